/* stats.h - a shard's counters. Written by its thread, read by any (relaxed): plain 64-bit stores,
 * which are atomic where we run; readers use stats_read(). */
#ifndef ASHLAR_SHARDS_STATS_H
#define ASHLAR_SHARDS_STATS_H

#include <stdint.h>

enum { STATS_COMMANDS_MAX = 600, STATS_ERRORS_MAX = 128, STATS_HIST_BUCKETS = 64 };

/* Only the owner adds; a reader on another thread sees some recent value. */
typedef struct {
    uint64_t v;
} counter;

static inline void counter_add(counter *c, uint64_t n)
{
    __atomic_store_n(&c->v, __atomic_load_n(&c->v, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const counter *c)
{
    return __atomic_load_n(&c->v, __ATOMIC_RELAXED);
}

static inline void counter_set(counter *c, uint64_t v)
{
    __atomic_store_n(&c->v, v, __ATOMIC_RELAXED);
}

struct command_stats { /* by command id, counted where the connection is at home */
    counter calls, ticks, rejected, failed;
};

struct shard_stats {
    counter turns, sleeps, wakeups_sent; /* of the loop */
    counter commands;                    /* processed for connections at home here */
    counter executed;                    /* run on this shard, for whatever home */
    counter remote;                      /* … of them for other homes */
    counter waited;                      /* messages that had to wait for horizon or conflict */
    counter groups;                      /* commands over several shards, started here */
    counter sliced, slices;              /* commands left in the middle; how many slices they had */
    counter slice_ticks_max;             /* the longest of those */
    counter connections;                 /* accepted for this home */
    counter in_bytes, out_bytes;
    counter errors;
    counter unexpected_errors;
    counter evicted_clients, output_limit_disconnections, query_limit_disconnections;
    counter keys, expiring;              /* all databases, refreshed each turn that changed them */
    counter pubsub_channels, pubsub_patterns, pubsub_shard_channels; /* kept here (pubsub.h) */
    counter hits, misses, expired, evicted, dirty; /* copies of keyspace->stats */
    counter db_keys[16], db_expiring[16], db_expiry_sum_ms[16]; /* the first 16 databases */
    counter cpu_user_us, cpu_sys_us;     /* of the thread, refreshed about every second */
    counter blocked, blocked_timed;      /* commands that wait for data now; with a timeout */
    counter cut;                         /* passes that ended because their time was up (exec.h I6) */
    counter longest_turn_ns;             /* by the clock, input and output included, without sleep */
    counter longest_turn_cpu_ns;         /* of those above 1 ms: their CPU time (shard.c) */
    struct command_stats command[STATS_COMMANDS_MAX];
};

#endif
