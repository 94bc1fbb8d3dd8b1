/* ab_hist.h - a histogram of durations with 3 significant digits: Gil Tene's HdrHistogram.
 *
 * Values are nanoseconds, from 0 to AB_HIST_MAX_NS (larger ones are counted there). Buckets double
 * in width: the first holds 2048 values, one by one; each further one covers twice the range with
 * 1024 counters of twice the width. So a counter is never wider than 1/1024 of its value, and
 * recording is a bit scan, a shift and an increment.
 *
 *   value         0 ……… 2047 | 2048 ……… 4095 | 4096 ……… 8191 | …
 *   counter       every 1    | every 2       | every 4       |
 *   index         0 ……… 2047 | 2048 ……… 3071 | 3072 ……… 4095 |
 *
 * Percentiles are the upper end of the counter that holds them (as HdrHistogram reports them), but
 * never more than the largest value recorded; minimum, maximum and mean are exact.
 *
 * Thread: one writer, nobody else while it writes.
 */
#ifndef ASHLAR_BENCH_AB_HIST_H
#define ASHLAR_BENCH_AB_HIST_H

#include <assert.h>
#include <stdint.h>

enum {
    AB_HIST_SUB_BITS = 11, /* 2^11 > 2 * 10^3: three significant digits */
    AB_HIST_SUB = 1 << AB_HIST_SUB_BITS,
    AB_HIST_HALF = AB_HIST_SUB / 2,
    AB_HIST_MAX_BITS = 42, /* 2^42 ns are 73 minutes */
    AB_HIST_COUNTERS = AB_HIST_SUB + (AB_HIST_MAX_BITS - AB_HIST_SUB_BITS) * AB_HIST_HALF,
};
#define AB_HIST_MAX_NS ((UINT64_C(1) << AB_HIST_MAX_BITS) - 1)

static_assert(AB_HIST_SUB >= 2 * 1000, "three digits need two thousand counters");

struct ab_hist {
    uint64_t count;
    uint64_t min_ns, max_ns; /* meaningless while count is 0 */
    double sum_ns;
    uint64_t counter[AB_HIST_COUNTERS];
};

struct ab_hist *ab_hist_new(void); /* exits when there is no memory */
void ab_hist_free(struct ab_hist *h);
void ab_hist_clear(struct ab_hist *h);
void ab_hist_merge(struct ab_hist *to, const struct ab_hist *from);

static inline uint32_t ab_hist_index(uint64_t ns)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(ns | (AB_HIST_SUB - 1)); /* >= SUB_BITS */
    uint32_t shift = bits - AB_HIST_SUB_BITS;
    return shift * AB_HIST_HALF + (uint32_t)(ns >> shift);
}

/* The same value n times, n > 0. */
static inline void ab_hist_record_many(struct ab_hist *h, uint64_t ns, uint64_t n)
{
    if (ns > AB_HIST_MAX_NS) {
        ns = AB_HIST_MAX_NS;
    }
    h->counter[ab_hist_index(ns)] += n;
    if (h->count == 0) {
        h->min_ns = ns;
        h->max_ns = ns;
    } else if (ns < h->min_ns) {
        h->min_ns = ns;
    } else if (ns > h->max_ns) {
        h->max_ns = ns;
    }
    h->count += n;
    h->sum_ns += (double)ns * (double)n;
}

static inline void ab_hist_record(struct ab_hist *h, uint64_t ns)
{
    ab_hist_record_many(h, ns, 1);
}

/* The lowest and the highest value that share a counter. */
uint64_t ab_hist_lowest(uint32_t index);
uint64_t ab_hist_highest(uint32_t index);

/* 0 when empty. percentile in [0, 100]. */
uint64_t ab_hist_percentile(const struct ab_hist *h, double percentile);
double ab_hist_mean(const struct ab_hist *h);
uint64_t ab_hist_min(const struct ab_hist *h);
uint64_t ab_hist_max(const struct ab_hist *h);
/* How many values are at most ns, to the width of a counter. */
uint64_t ab_hist_count_up_to(const struct ab_hist *h, uint64_t ns);

#endif
