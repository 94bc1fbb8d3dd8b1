/* server.h - what the shards of one process share, and nothing else.
 *
 * Everything here is either fixed before the shards start, atomic, or says who writes it. A
 * function that needs it gets it from its shard (shard->server).
 */
#ifndef ASHLAR_SHARDS_SERVER_H
#define ASHLAR_SHARDS_SERVER_H

#include "core/command.h"
#include "core/mem.h"
#include "shards/busy.h"
#include "shards/clients.h"
#include "shards/config.h"
#include "shards/evict.h"
#include "shards/order.h"
#include "shards/pubsub.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHARDS_MAX = 256 };

struct shard;
struct worker; /* worker.h */
struct info; /* info.h */
struct scripts;
struct listeners;

struct server {
    /* fixed before the shards start */
    const char *executable;
    char run_id[41];
    int64_t started_unix_s;
    uint64_t started_mono_ns;
    unsigned shard_count;
    struct shard *shards[SHARDS_MAX];
    unsigned worker_count; /* threads of shards */
    struct worker *workers[SHARDS_MAX];
    const char *io_backend_name;
    _Atomic int listen_port; /* really bound; shard 0 writes */
    struct info *info; /* rates and what else INFO remembers; set by info_create() */
    struct scripts *scripts; /* scripts.h: atomic inside */
    struct listeners *listeners; /* shard 0's once it has started */

    /* starting: every worker reports, all wait for all (server_worker_started) */
    pthread_mutex_t start_lock;
    pthread_cond_t start_changed;
    unsigned start_count;
    bool start_failed;

    /* the slot map: owner of each slot; fixed for now (slot moves publish a new one) */
    uint16_t slot_shard[SLOT_COUNT];

    /* the configuration last published; shards use their own copy of the pointer (shard->config) */
    _Atomic(const struct config *) config;
    atomic_flag config_changing; /* held by the one CONFIG SET in progress */

    struct order order; /* phases (order.h) */
    struct busy busy;   /* shards kept by scripts (busy.h) */

    /* relaxed counters; any shard writes */
    _Alignas(64) _Atomic uint64_t next_client_id;
    _Atomic int64_t clients;             /* connections now */
    _Atomic int64_t shard_clients[SHARDS_MAX]; /* … at home on each shard: the acceptor's choice */
    _Atomic int64_t paused_clients;      /* those whose next command CLIENT PAUSE holds */
    _Atomic uint64_t connections, rejected_connections;
    _Atomic uint64_t slowlog_next_id;
    _Atomic int32_t monitors;            /* connections in MONITOR */
    _Atomic int64_t pubsub_clients;      /* connections with subscriptions */
    _Atomic int64_t peak_memory_bytes;
    _Atomic uint64_t tracked_keys, tracked_items, tracked_prefixes; /* tracking.h */
    _Atomic int64_t tracking_clients;
    /* whether anybody may be listening to keyspace events (pubsub.h I4); owners of channels write */
    _Alignas(64) _Atomic int32_t event_topics;
    _Atomic int32_t event_filter[EVENT_FILTER_SIZE];

    struct evict_server evict; /* evict.h */
    struct clients_server client_limit; /* clients.h */
    _Atomic bool cron_paused;  /* DEBUG PAUSE-CRON */
    _Atomic bool scripts_may_all; /* DEBUG SET-DISABLE-DENY-SCRIPTS */
    _Atomic uint32_t slice_units, slice_turn_us; /* slices.h; DEBUG SLICES */
    _Atomic uint32_t slices_resting;             /* commands left in the middle, on all shards */

    /* CLIENT PAUSE: until when (unix ms; 0: not paused) and whether only writes wait. Written by
     * the shard that runs CLIENT PAUSE, read by all when they route. */
    _Atomic int64_t pause_until_ms;
    _Atomic bool pause_writes_only;

    /* 0 running; 1 SHUTDOWN asked for: the shards end their loops */
    _Atomic int stopping;
    _Atomic int exit_code;
    _Atomic unsigned wound_down; /* workers without connections, at the end */
};

/* Makes the server and its shards; nothing runs yet. config stays the caller's until published. */
struct server *server_new(const struct config *config, const char *executable);
/* Starts the threads and waits until all are ready; 0, or negative when one failed (logged). */
int server_start(struct server *server);
/* A worker has set itself up (or not). Waits for the others; false: leave again. */
bool server_worker_started(struct server *server, bool ok);
/* Waits for all shards to end. */
void server_join(struct server *server);

#endif
