/* clients.h - maxmemory-clients: how much memory connections take, and which of them go when it is
 * too much.
 *
 * Each shard counts its own connections and keeps those that may go in buckets, one for each power
 * of two of their memory. What others need to know is atomic: the sum, and which buckets are not
 * empty. When the sum over all shards reaches the limit, a connection goes from the highest bucket
 * that is not empty anywhere: the shard that has one there closes it; one that has none tells one
 * that has.
 *
 *   connection's buffers change ─► clients_account() ─► grown ─► end of turn: clients_turn()
 *     └─ too much? ─► highest bucket here: close one, look again
 *                  └► highest bucket elsewhere: note ─► clients_turn() there
 *
 * Counted is what conn_memory() says: the connection, its own input buffer and what is parsed of a
 * command that is half there, its output (values that are sent from where they lie included), a
 * transaction's queue, watched keys, subscriptions, prefixes. Not counted: commands in flight, of
 * which a connection has a bounded number.
 *
 * Output is counted when it is about to be sent, behind the output buffer limits: a connection that
 * they end does not make others go. Little output (two chunks) is counted only when it is still there
 * after some time (clients_cron): most is taken by the kernel in the same turn, and Redis's connections
 * have as much for good.
 *
 * I1  Nothing is kept while maxmemory-clients is 0; it costs a connection's turn one test.
 * I2  One shard at a time decides (server->client_limit.deciding), and subtracts what will be free before
 *     the next one does: not more go than have to. Among those of one bucket, any may go.
 * I3  While a new configuration is on its way to the shards, none decides; CONFIG SET is answered
 *     when those that have to go because of it are gone.
 * I4  Connections with CLIENT NO-EVICT are counted, but are in no bucket.
 *
 * Owner: functions run on the thread of the shard or the connection they are given.
 */
#ifndef ASHLAR_SHARDS_CLIENTS_H
#define ASHLAR_SHARDS_CLIENTS_H

#include "core/command.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct conn;
struct shard;

enum {
    CLIENTS_BUCKET_MIN_LOG = 15, /* the lowest bucket has all up to 32 KiB, */
    CLIENTS_BUCKET_MAX_LOG = 33, /* the highest all from 4 GiB */
    CLIENTS_BUCKETS = CLIENTS_BUCKET_MAX_LOG - CLIENTS_BUCKET_MIN_LOG + 1,
    CLIENTS_NO_BUCKET = 0xff,
};

/* A shard's. */
struct clients {
    bool on;     /* maxmemory-clients is set */
    bool grown;  /* some connection has, since the last look at the limit */
    bool warned; /* that it is too much, and none may go */
    struct {
        struct conn *first, *last; /* longest in it first */
    } bucket[CLIENTS_BUCKETS];
    /* itself writes, others read relaxed */
    _Alignas(64) _Atomic int64_t bytes;
    _Atomic uint32_t filled; /* bit i: bucket i is not empty */
    _Atomic bool asked;      /* any shard sets: it has been told to look; itself clears */
};

/* The server's. */
struct clients_server {
    atomic_flag deciding; /* I2; held for some instructions */
};

/* In a connection. */
struct client_memory {
    size_t bytes;   /* as counted; 0: not counted */
    uint8_t bucket; /* or CLIENTS_NO_BUCKET */
    struct conn *next, *prev; /* in the bucket */
};

void clients__account(struct conn *conn);
void clients__turn(struct shard *s);

/* A shard begins to count, or another limit holds for it. */
void clients_configured(struct shard *s);
/* About once a second. */
void clients_cron(struct shard *s);
/* The connection is closing: it does not count any more. */
void clients_forget(struct conn *conn);
/* maxmemory-clients in bytes; 0: no limit. */
int64_t clients_limit(const struct config *config);
/* Behind a change of the configuration (I3): whoever has to go is closed, then +OK is replied. */
void clients_settle(struct call *c);

#endif
