/* micro_hist.c - the load generator's histogram: recording latencies, and reading percentiles. */
#include "bench/ab_hist.h"
#include "bench/micro/micro.h"

static void hist_record(struct micro *m)
{
    struct ab_hist *h = ab_hist_new();
    for (uint64_t i = 0; i < m->ops; i++) {
        ab_hist_record(h, 20000 + (i * 7919 & 0xfffff)); /* 20 us to a millisecond */
    }
    micro_keep(h);
    ab_hist_free(h);
}

static void hist_percentile(struct micro *m)
{
    struct ab_hist *h = ab_hist_new();
    micro_pause(m);
    for (uint64_t i = 0; i < 100000; i++) {
        ab_hist_record(h, 20000 + (i * 7919 & 0xfffff));
    }
    micro_resume(m);
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep_word(ab_hist_percentile(h, 99.9));
    }
    ab_hist_free(h);
}

static const struct micro_bench hist_benches[] = {
    {"record", "record a latency", hist_record},
    {"percentile", "find p99.9 of 100,000 latencies", hist_percentile},
};
const struct micro_group micro_hist = {"hist", NULL, hist_benches,
                                       sizeof hist_benches / sizeof *hist_benches};
