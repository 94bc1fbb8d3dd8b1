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
#include "shards/evict.h"
#include "shards/mailbox.h"
#include "shards/run.h"
#include "shards/server.h"
#include "shards/stats.h"
#include <pthread.h>
#include <stdint.h>

struct exec;   /* messages waiting and running (exec.h) */
struct route;  /* taking in commands (route.h) */
struct blocked; /* who waits for data (blocked.h) */
struct slowlog;
struct latency;
struct scripting;
struct pubsub;    /* subscribers of the channels that it owns (pubsub.h) */
struct push_box;  /* messages on their way out (push.h) */
struct multi;
struct slab;
struct worker;    /* the thread, and the shards that it runs (worker.h) */

struct shard {
    struct mailbox mailbox; /* producers push, the shard takes */

    /* fixed before it starts */
    struct server *server;
    unsigned id;
    struct worker *worker; /* whose thread it runs on (worker.h) */
    struct slab *slab;     /* that its keyspace's objects come from */
    uint16_t slot_begin, slot_end; /* owns slots [begin, end) */

    /* its own thread */
    struct io *io;         /* its worker's */
    struct timers timers;
    struct keyspace *keyspace;
    const struct config *config;   /* in force on this shard */
    struct exec *exec;
    struct route *route;
    struct blocked *blocked;
    struct run_pool run_pool;
    struct multi *multi_pool;      /* multi.h: memory of ended transactions */
    uint32_t multi_pool_count;
    struct chain *outbox;          /* by shard: runs taken in during this phase */
    struct chain *returns;         /* by home: runs executed during this turn */
    struct slowlog *slowlog;       /* slowlog.h: entries of connections at home here */
    struct latency *latency;       /* latency.h */
    struct pubsub *pubsub;
    struct push_box *pushes;
    struct conn *conns, *conns_last;
    uint32_t conn_count;           /* in that list */
    struct lookup conn_ids;        /* the same, by id */
    uint32_t conns_alive;          /* and those that are closing */
    struct conn *ready, *ready_last; /* connections with input to parse */
    struct conn *flush;              /* connections with output to send */
    struct conn **monitors;          /* connections at home here in MONITOR (monitor.h) */
    uint32_t monitors_cap;
    struct monitor_line *monitor_lines; /* not shown yet, in their order */
    struct conn *barriers;           /* connections whose barrier command may run */
    struct conn *again;              /* connections whose command is to be sent anew (OP_AGAIN) */
    struct scripting *scripting;     /* scripting.h */
    bool serving;                    /* between a script's instructions (shard_serve) */
    struct conn *retries;            /* connections whose blocking command is to be routed anew */
    struct op *executing;          /* the op that runs now, NULL: none (exec_op) */
    struct tracking_shard *tracking; /* tracking.h */
    struct lookup watched;         /* watch.h: keys of this shard that transactions watch */
    uint32_t interests;            /* who waits for changes of keys here (touch.h) */
    struct op *barrier_op;         /* the barrier command running now (broadcast.c) */
    bool broadcasting;             /* it has begun a broadcast */
    struct timer cron;             /* every 100 ms */
    uint64_t cron_runs;
    uint64_t expire_pause_until_ns; /* active expiry may take a quarter of the time */
    uint64_t compact_pause_until_ns; /* and so may compaction */
    bool compacting;
    bool collecting; /* what scripts have left behind */
    struct evict evict;            /* evict.h: maxmemory; says itself who writes what */
    struct clients clients;        /* clients.h: maxmemory-clients; likewise */
    bool more;                     /* the background has more to do at once */
    bool active, worked;           /* worker.c: has a part in this turn; and ran something in it */
    bool taken_in;                 /* worker.c: a phase of it has not been run yet */
    bool in_turn;                  /* worker.c W4: its part has begun … */
    bool busy;                     /* … and has stopped in shard_serve() */
    uint64_t now_ns;               /* monotonic, read once a turn */
    int64_t now_ms;                /* unix, read once a turn */
    uint32_t lru_clock;

    /* its own thread writes, all may read relaxed */
    _Alignas(64) _Atomic(const struct command *) running; /* for the crash report */
    struct mem_counter memory;
    struct shard_stats stats;
    _Atomic uint32_t monitor_count;  /* of monitors */
};

/* The connection's buffers may have changed. */
static inline void clients_account(struct conn *conn)
{
    if (__builtin_expect(conn->shard->clients.on, 0)) {
        clients__account(conn);
    }
}

/* The end of a turn: connections go when all of them take too much. */
static inline void clients_turn(struct shard *s)
{
    if (__builtin_expect(s->clients.grown, 0)) {
        clients__turn(s);
    }
}

/* The shard that this thread works on; NULL on other threads. For hooks, which are told whose keys are
 * concerned, and not who works on them (core/keyspace.h, views). */
extern _Thread_local struct shard *shard_self;

/* --- broadcast: a function on every shard ----------------------------------------------------
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

/* Runs the note that a message is (exec.c). */
void note_run(struct shard *s, struct message *message);
/* Whether an ASK belongs to a command that is allowed while a script is busy: it does not look at
 * keyspaces. */
bool note_serves_busy(const struct message *message);
/* Pushes a message and wakes the receiver if it sleeps; a sibling of from's is awake, whatever it has
 * declared: its thread runs this. */
void shard_send(struct shard *from, struct shard *to, struct message *message);

struct shard *shard_new(struct server *server, unsigned id);

/* --- for worker.c ---------------------------------------------------------------------------- */
/* Its clocks have been read, as before every part of a turn. */
void shard_start(struct shard *s, struct io *io);
/* The process ends: memory is only given back where a leak checker looks for it. */
void shard_end(struct shard *s);
/* The three parts of a turn; shard_run() is true when there was anything. */
void shard_take_in(struct shard *s);
bool shard_run(struct shard *s);
void shard_answer(struct shard *s, bool worked);
/* Has something to do that neither a message nor input nor a timer will announce. */
bool shard_is_busy(const struct shard *s);
/* Would do something in a turn. */
bool shard_has_turn(const struct shard *s);
/* In place of a turn, while a script has it stopped in the middle of one: what arrives is taken in,
 * sorted, refused or sent to other shards, replies leave; nothing runs here (scripting.h I3). */
void shard_serve_part(struct shard *s);

/* Ends the process in order: all shards leave their loops, main() exits with code. Any thread,
 * and signal handlers. */
void server_stop_mp(struct server *server, int exit_code);

#endif
