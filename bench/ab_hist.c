/* ab_hist.c - see ab_hist.h. */
#include "bench/ab_hist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(AB_HIST_COUNTERS * 8 < 512 * 1024, "histograms are merged and cleared often");

struct ab_hist *ab_hist_new(void)
{
    struct ab_hist *h = calloc(1, sizeof *h);
    if (!h) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return h;
}

void ab_hist_free(struct ab_hist *h)
{
    free(h);
}

void ab_hist_clear(struct ab_hist *h)
{
    memset(h, 0, sizeof *h);
}

void ab_hist_merge(struct ab_hist *to, const struct ab_hist *from)
{
    if (from->count == 0) {
        return;
    }
    uint32_t last = ab_hist_index(from->max_ns);
    for (uint32_t i = ab_hist_index(from->min_ns); i <= last; i++) {
        to->counter[i] += from->counter[i];
    }
    if (to->count == 0 || from->min_ns < to->min_ns) {
        to->min_ns = from->min_ns;
    }
    if (to->count == 0 || from->max_ns > to->max_ns) {
        to->max_ns = from->max_ns;
    }
    to->count += from->count;
    to->sum_ns += from->sum_ns;
}

uint64_t ab_hist_lowest(uint32_t index)
{
    if (index < AB_HIST_SUB) {
        return index;
    }
    uint32_t shift = index / AB_HIST_HALF - 1;
    return (uint64_t)(index - shift * AB_HIST_HALF) << shift;
}

uint64_t ab_hist_highest(uint32_t index)
{
    return ab_hist_lowest(index + 1) - 1;
}

uint64_t ab_hist_percentile(const struct ab_hist *h, double percentile)
{
    if (h->count == 0) {
        return 0;
    }
    /* A little less than the product, so that 50 % of 2 is 1 and not 1.0000000001 rounded up. */
    double wanted = ceil(percentile / 100.0 * (double)h->count - 1e-9 * (double)h->count);
    uint64_t rank = wanted < 1 ? 1 : wanted > (double)h->count ? h->count : (uint64_t)wanted;
    uint64_t seen = 0;
    uint32_t last = ab_hist_index(h->max_ns);
    for (uint32_t i = ab_hist_index(h->min_ns); i <= last; i++) {
        seen += h->counter[i];
        if (seen >= rank) {
            uint64_t ns = ab_hist_highest(i);
            return ns > h->max_ns ? h->max_ns : ns;
        }
    }
    return h->max_ns;
}

double ab_hist_mean(const struct ab_hist *h)
{
    return h->count ? h->sum_ns / (double)h->count : 0;
}

uint64_t ab_hist_min(const struct ab_hist *h)
{
    return h->count ? h->min_ns : 0;
}

uint64_t ab_hist_max(const struct ab_hist *h)
{
    return h->count ? h->max_ns : 0;
}

uint64_t ab_hist_count_up_to(const struct ab_hist *h, uint64_t ns)
{
    uint64_t seen = 0;
    if (h->count == 0) {
        return 0;
    }
    uint32_t last = ab_hist_index(ns > h->max_ns ? h->max_ns : ns);
    for (uint32_t i = ab_hist_index(h->min_ns); i <= last; i++) {
        seen += h->counter[i];
    }
    return seen;
}
