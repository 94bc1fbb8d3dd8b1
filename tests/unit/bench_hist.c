/* bench/ab_hist: accuracy against sorted samples, merging, the ends of the range. */
#include "bench/ab_hist.h"
#include "bench/ab_random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 200000 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Latencies over many decades, as real ones are. */
static uint64_t sample(struct ab_rng *r)
{
    return (uint64_t)exp(ab_rng_unit(r) * 24.0);
}

Test(bench_hist, counters_tile_the_range)
{
    cr_assert_eq(ab_hist_index(0), 0);
    cr_assert_eq(ab_hist_index(AB_HIST_MAX_NS), AB_HIST_COUNTERS - 1);
    for (uint32_t i = 0; i < AB_HIST_COUNTERS; i++) {
        uint64_t low = ab_hist_lowest(i), high = ab_hist_highest(i);
        cr_assert_eq(ab_hist_index(low), i);
        cr_assert_eq(ab_hist_index(high), i);
        cr_assert(i == 0 || ab_hist_lowest(i) == ab_hist_highest(i - 1) + 1);
        /* Three significant digits: no wider than a thousandth. */
        cr_assert((high - low) * 1000 <= high, "counter %u", i);
    }
}

Test(bench_hist, percentiles_are_those_of_the_sorted_samples)
{
    static const double percentiles[] = {0, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 99.999, 100};
    uint64_t *v = malloc(SAMPLES * sizeof *v);
    struct ab_hist *h = ab_hist_new();
    struct ab_rng r = {7};
    double sum = 0;

    for (int i = 0; i < SAMPLES; i++) {
        v[i] = sample(&r);
        sum += (double)v[i];
        ab_hist_record(h, v[i]);
    }
    qsort(v, SAMPLES, sizeof *v, by_value);
    for (size_t i = 0; i < sizeof percentiles / sizeof *percentiles; i++) {
        double rank = ceil(percentiles[i] / 100 * SAMPLES - 1e-6);
        uint64_t exact = v[rank < 1 ? 0 : (size_t)rank - 1];
        uint64_t got = ab_hist_percentile(h, percentiles[i]);
        cr_assert(got >= exact && (double)(got - exact) <= (double)exact / 1000.0, "p%g: %lu, not %lu",
                  percentiles[i], got, exact);
    }
    cr_assert_eq(ab_hist_min(h), v[0]);
    cr_assert_eq(ab_hist_max(h), v[SAMPLES - 1]);
    cr_assert_float_eq(ab_hist_mean(h) * SAMPLES / sum, 1.0, 1e-9);
    ab_hist_free(h);
    free(v);
}

Test(bench_hist, merging_is_recording_into_one)
{
    struct ab_hist *all = ab_hist_new(), *merged = ab_hist_new(), *part[3];
    struct ab_rng r = {8};

    for (int p = 0; p < 3; p++) {
        part[p] = ab_hist_new();
    }
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t v = sample(&r);
        ab_hist_record(all, v);
        ab_hist_record(part[i % 2], v); /* the third stays empty */
    }
    for (int p = 0; p < 3; p++) {
        ab_hist_merge(merged, part[p]);
        ab_hist_free(part[p]);
    }
    cr_assert_eq(merged->count, all->count);
    cr_assert_eq(merged->min_ns, all->min_ns);
    cr_assert_eq(merged->max_ns, all->max_ns);
    cr_assert(memcmp(merged->counter, all->counter, sizeof all->counter) == 0);
    ab_hist_free(all);
    ab_hist_free(merged);
}

Test(bench_hist, ends)
{
    struct ab_hist *h = ab_hist_new();
    cr_assert_eq(ab_hist_percentile(h, 99), 0);
    cr_assert_eq(ab_hist_max(h), 0);
    ab_hist_record(h, UINT64_MAX);
    cr_assert_eq(ab_hist_max(h), AB_HIST_MAX_NS);
    ab_hist_record(h, 0);
    cr_assert_eq(ab_hist_min(h), 0);
    cr_assert_eq(ab_hist_percentile(h, 50), 0);
    cr_assert_eq(ab_hist_percentile(h, 50.1), AB_HIST_MAX_NS);
    cr_assert_eq(ab_hist_count_up_to(h, 1000), 1);
    ab_hist_clear(h);
    cr_assert_eq(h->count, 0);
    ab_hist_free(h);
}
