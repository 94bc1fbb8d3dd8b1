/* latency.h - what commands cost: statistics per command, error codes, latency events.
 *
 * Everything is kept where the connection is at home, without locks, and added up over the shards
 * by those who report it (INFO, LATENCY).
 *
 * Histograms. Durations are counted in CPU ticks, in buckets that are 1/16 of a power of two wide:
 * a value read back is off by at most 1/32 (3.1 %). They become microseconds when they are
 * reported.
 *
 *   ticks    0 … 15   16 … 31   32 … 63   64 … 127   …   up to 2^41 (about 10 minutes at 3 GHz)
 *   width       1         1         2         4      …   more counts as that
 *
 * A histogram (about 5 KiB) is allocated when its command first runs on the shard.
 *
 * Events ("command", "fast-command", "expire-cycle" …) keep one sample per second, the worst of
 * that second, and the 160 latest of them; LATENCY merges those of all shards.
 *
 * Thread: the shard's own, except the functions ending in _mp: they read what is published with
 * release stores and relaxed counters, from any thread, and may see a slightly older state.
 */
#ifndef ASHLAR_SHARDS_LATENCY_H
#define ASHLAR_SHARDS_LATENCY_H

#include "core/command.h"
#include "shards/stats.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 4,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS, /* buckets per power of two */
    HISTOGRAM_TOP_BIT = 40,                  /* highest bit of a value that is told apart */
    HISTOGRAM_BUCKETS = HISTOGRAM_SUB * (HISTOGRAM_TOP_BIT - HISTOGRAM_SUB_BITS + 2),

    LATENCY_SAMPLES = 160,
    LATENCY_EVENTS_MAX = 32,  /* kinds of events; further ones are not recorded */
    LATENCY_EVENT_BYTES = 32, /* of a name, terminator included */
    ERROR_CODE_BYTES = 32,
};

struct histogram {
    counter bucket[HISTOGRAM_BUCKETS];
};

/* A sum over shards, on the reporter's stack or heap. */
struct histogram_sum {
    uint64_t total;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ticks)
{
    if (ticks < HISTOGRAM_SUB) {
        return (unsigned)ticks;
    }
    unsigned top = 63 - (unsigned)__builtin_clzll(ticks);
    if (top > HISTOGRAM_TOP_BIT) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned shift = top - HISTOGRAM_SUB_BITS;
    return (shift + 1) * HISTOGRAM_SUB + (unsigned)(ticks >> shift) - HISTOGRAM_SUB;
}

uint64_t histogram_bucket_low(unsigned bucket);  /* smallest value in it */
uint64_t histogram_bucket_high(unsigned bucket); /* largest */
/* The value below or at which this share of all values lies (the middle of its bucket). */
double histogram_percentile(const struct histogram_sum *sum, double percent);
/* How many values are at most ticks (whole buckets: those that end there or before). */
uint64_t histogram_count_up_to(const struct histogram_sum *sum, double ticks);

struct latency_command {
    const struct command *command; /* NULL until it was counted here */
    struct histogram *histogram;   /* NULL until a duration was recorded */
};

struct latency_sample {
    int64_t unix_s; /* 0: none */
    uint32_t ms;
};

struct latency_event {
    char name[LATENCY_EVENT_BYTES];
    uint32_t next;   /* where the next sample goes */
    uint32_t max_ms; /* since the last reset */
    struct latency_sample sample[LATENCY_SAMPLES];
};

struct error_count {
    char code[ERROR_CODE_BYTES];
    counter count;
};

struct latency {
    struct latency_command command[STATS_COMMANDS_MAX];
    struct error_count error[STATS_ERRORS_MAX];
    uint32_t errors; /* of error[] in use; released after the code is written */
    struct latency_event *event;
    uint32_t events, events_cap;
};

struct shard;

struct latency *latency_new(void);
void latency_free(struct latency *l);

/* --- hooks --- */
/* A command of a connection at home here is answered; failed: with an error. */
void stats_record(struct shard *shard, const struct command *cmd, uint64_t ticks, bool failed);
/* … was refused before it ran (arity, auth, memory …). */
void stats_reject(struct shard *shard, const struct command *cmd);
/* An error reply was written for a connection at home here; its code ("ERR", "WRONGTYPE" …). */
void stats_error(struct shard *shard, const char *code);
/* CONFIG RESETSTAT's part of one shard: all of its statistics, commands, errors and histograms. */
void stats_reset(struct shard *shard);
/* An event that took that long; what is below latency-monitor-threshold is not kept. */
void latency_add(struct shard *shard, const char *event, uint32_t ms);
/* A command's duration as event "command" or "fast-command". */
void latency_consider(struct shard *shard, const struct command *cmd, uint64_t duration_us);

/* --- reports, any thread --- */
const struct command *latency_command_mp(const struct latency *l, unsigned id);
/* Adds the histogram of a command to sum; false when there is none. */
bool latency_histogram_mp(const struct latency *l, unsigned id, struct histogram_sum *sum);
uint32_t latency_errors_mp(const struct latency *l);

/* --- events --- */
struct latency_event *latency_event_find(struct latency_event *events, uint32_t count,
                                         struct slice name);
void latency_event_add(struct latency_event *e, int64_t unix_s, uint32_t ms);
/* Adds the samples of from, by time; of the same second the worse stays. */
void latency_event_merge(struct latency_event *into, const struct latency_event *from);
/* Samples from oldest to newest; returns how many. */
uint32_t latency_event_samples(const struct latency_event *e,
                               struct latency_sample out[LATENCY_SAMPLES]);
/* Forgets an event, or all of them (name.ptr NULL). */
void latency_events_reset(struct latency *l, struct slice name);

#endif
