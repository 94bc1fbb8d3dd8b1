/* info.h - INFO: what the server knows about itself, added up over its shards.
 *
 * Two sources:
 *   - counters of the shards (shard_stats, latency.h): relaxed, read directly;
 *   - a *gathering*: a part on every shard, at one place in the order, notes what must be exact
 *     (keys, changes, hits …) or what only the shard's thread may look at (its connections).
 *
 *   cmd_info() ─► info_gather_new() ─► broadcast(info_gather_part) ─► sections ─► reply
 *
 * info_sample() keeps the rates: 16 samples, 100 ms apart, as Redis does.
 *
 * Thread: info_create(): before the shards start. info_sample(): shard 0 alone. Others: as they
 * say.
 */
#ifndef ASHLAR_SHARDS_INFO_H
#define ASHLAR_SHARDS_INFO_H

#include "core/keyspace.h"
#include "shards/server.h"
#include "shards/stats.h"
#include <stdint.h>

enum {
    INFO_SAMPLES = 16,
    INFO_SAMPLE_MS = 100,
    INFO_CONNS_MAX = 1024,  /* connections of a shard looked at; the rest is extrapolated */
    INFO_TABLES_MAX = 512,  /* slots of a database whose tables are measured; likewise */
    INFO_REPLID_CHARS = 40,
    INFO_ALLOCATOR_BYTES = 32,
};

enum info_rate { INFO_RATE_COMMANDS, INFO_RATE_INPUT, INFO_RATE_OUTPUT, INFO_RATES };

struct info {
    uint64_t replid_seed[3];             /* fixed */
    _Atomic uint64_t replid_generation;  /* DEBUG CHANGE-REPL-ID; any shard */
    _Atomic int64_t startup_memory_bytes; /* used memory when the shards had just started */

    /* shard 0 writes, all may read relaxed */
    counter rate[INFO_RATES][INFO_SAMPLES]; /* per second */
    uint64_t last_ns, last_total[INFO_RATES];
    uint32_t next;
};

/* Sets server->info. */
void info_create(struct server *server);
/* To be called about every INFO_SAMPLE_MS (more often does no harm). Shard 0. */
void info_sample(struct server *server, uint64_t now_ns);
/* Mean of the samples. Any thread. */
uint64_t info_rate_mp(const struct info *info, enum info_rate rate);
/* The replication id in force, 40 hex digits. Any thread. */
void info_replid_mp(const struct info *info, char out[INFO_REPLID_CHARS + 1]);
void info_replid_change_mp(struct info *info);

/* --- gathering --- */
struct info_db {
    int64_t keys, expiring, expiry_sum_ms;
    uint64_t table_bytes; /* the slots' tables; estimated, see INFO_TABLES_MAX */
};

struct info_shard {
    struct keyspace_stats keyspace;
    uint64_t dirty;
    uint32_t conns;
    size_t input_max_bytes, output_max_bytes; /* of one connection */
    size_t conns_bytes;                       /* of all; estimated, see INFO_CONNS_MAX */
    bool freeing;                             /* values wait to be freed in slices */
    struct info_db db[];                      /* all databases */
};

struct info_gathering {
    unsigned shards;
    int databases;
    bool tables;                /* measure tables as well */
    int64_t used_bytes;         /* memory in use, without what gathering takes */
    struct info_shard *shard[]; /* each allocated and filled in by its shard */
};

struct shard;
struct info_gathering *info_gathering_new(const struct shard *home, bool tables);
void info_gathering_free(struct info_gathering *g);
void info_gather_part(struct shard *shard, void *gathering); /* fits broadcast() */
struct info_db info_db_sum(const struct info_gathering *g, int db);

/* --- memory, for INFO, MEMORY STATS and MEMORY DOCTOR --- */
struct info_memory {
    int64_t used, peak, startup, rss;
    int64_t overhead, dataset;         /* what is not data, what is */
    int64_t clients;                   /* connections */
    int64_t keys, keys_bytes_each;
    double dataset_percent, peak_percent;
    double fragmentation;              /* rss / used */
    int64_t fragmentation_bytes;
    int64_t system;                    /* of the machine */
};
void info_memory(struct server *server, const struct info_gathering *g, struct info_memory *out);
void info_allocator(char out[INFO_ALLOCATOR_BYTES]); /* "mimalloc-2.0.9", "libc" */

#endif
