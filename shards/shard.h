/* shard.h - one shard: a thread with its keyspace, its connections, its ring and its mailbox.
 *
 * Fields are grouped by who writes them. All functions: the shard's own thread, unless their name
 * ends in _mp (any thread).
 */
#ifndef ASHLAR_SHARDS_SHARD_H
#define ASHLAR_SHARDS_SHARD_H

#include "core/command.h"
#include "core/keyspace.h"
#include "io/io.h"
#include "io/timers.h"
#include "shards/clock.h"
#include "shards/config.h"
#include "shards/conn.h"
#include "shards/server.h"
#include "shards/stats.h"
#include <pthread.h>
#include <stdint.h>

struct exec;   /* messages waiting and running (exec.h) */
struct slowlog;
struct latency;

struct shard {
    /* fixed before it starts */
    struct server *server;
    unsigned id;
    pthread_t thread;
    uint16_t slot_begin, slot_end; /* owns slots [begin, end) */

    /* its own thread */
    struct io *io;
    struct timers timers;
    struct keyspace *keyspace;
    const struct config *config;   /* in force on this shard */
    struct exec *exec;
    struct slowlog *slowlog;       /* slowlog.h: entries of connections at home here */
    struct latency *latency;       /* latency.h */
    struct conn *conns, *conns_last;
    uint32_t conn_count;
    struct conn *ready, *ready_last; /* connections with input to parse */
    struct conn *flush;              /* connections with output to send */
    struct conn **monitors;          /* connections at home here in MONITOR (monitor.h) */
    uint32_t monitors_cap;
    uint64_t now_ns;               /* monotonic, read once a turn */
    int64_t now_ms;                /* unix, read once a turn */
    uint32_t lru_clock;

    /* its own thread writes, all may read relaxed */
    struct mem_counter memory;
    struct shard_stats stats;
    _Atomic uint32_t monitor_count;  /* of monitors */
};

/* --- broadcast: a function on every shard, at one place in the order ------------------------
 * For a command that runs at home (ROUTE_BARRIER) and needs all shards: part() runs on each
 * shard's thread, the home's own included; when all are through, done() runs at home and writes
 * the reply to c->out. c is valid again in done() (the same command's call, rebuilt). ctx is the
 * caller's, and shared by the parts: index is the shard's id, so each writes what is its own.
 * The connection stays stalled meanwhile; done() is called even when it is closing. */
typedef void broadcast_part(struct shard *shard, void *ctx);
typedef void broadcast_done(struct call *c, void *ctx);
void broadcast(struct call *c, broadcast_part *part, broadcast_done *done, void *ctx);
/* The same without a command: fire and forget, e.g. to tell all shards something. ctx must
 * live for ever or be counted by the parts. */
void broadcast_note(struct shard *from, broadcast_part *part, void *ctx);
/* Runs fn on one shard's thread. Any shard's thread may call it. */
void shard_note(struct shard *from, struct shard *to, broadcast_part *fn, void *ctx);

/* Ends the process in order: all shards leave their loops, main() exits with code. Any thread,
 * and signal handlers. */
void server_stop_mp(struct server *server, int exit_code);

#endif
