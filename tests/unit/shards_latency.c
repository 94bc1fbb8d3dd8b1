/* Histograms, percentiles, latency events and error codes (shards/latency.h). */
#include "core/mem.h"
#include "shards/latency.h"
#include "shards/shard.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 11;
}

Test(histogram, every_bucket_covers_its_range_and_follows_the_one_before)
{
    uint64_t expected_low = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        uint64_t low = histogram_bucket_low(b), high = histogram_bucket_high(b);
        cr_assert_eq(low, expected_low, "bucket %u", b);
        cr_assert_geq(high, low);
        cr_assert_eq(histogram_bucket(low), b);
        cr_assert_eq(histogram_bucket(high), b);
        expected_low = high + 1;
    }
    cr_assert_eq(expected_low, 1ull << (HISTOGRAM_TOP_BIT + 1));
    cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1u);
}

Test(histogram, the_middle_of_a_bucket_is_at_most_a_32nd_off)
{
    uint64_t state = 42;
    for (int i = 0; i < 200000; i++) {
        uint64_t v = next_random(&state) >> (next_random(&state) % 44);
        if (v == 0 || v >= 1ull << (HISTOGRAM_TOP_BIT + 1)) {
            continue;
        }
        unsigned b = histogram_bucket(v);
        double middle = ((double)histogram_bucket_low(b) + (double)histogram_bucket_high(b)) / 2;
        double off = middle > (double)v ? middle - (double)v : (double)v - middle;
        cr_assert_leq(off / (double)v, 1.0 / 32, "%llu", (unsigned long long)v);
    }
}

static int compare_values(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(histogram, percentiles_agree_with_sorted_values)
{
    enum { VALUES = 20000 };
    static uint64_t value[VALUES];
    struct histogram_sum *sum = mem_alloc_zero(sizeof *sum);
    uint64_t state = 7;
    for (int i = 0; i < VALUES; i++) {
        value[i] = 100 + next_random(&state) % (1ull << (10 + next_random(&state) % 20));
        sum->bucket[histogram_bucket(value[i])]++;
        sum->total++;
    }
    qsort(value, VALUES, sizeof *value, compare_values);
    static const double percents[] = {0, 1, 50, 90, 99, 99.9, 100};
    for (size_t p = 0; p < sizeof percents / sizeof *percents; p++) {
        int index = (int)(percents[p] / 100 * VALUES + 0.9999999) - 1;
        double exact = (double)value[index < 0 ? 0 : index];
        double got = histogram_percentile(sum, percents[p]);
        cr_assert_leq((got > exact ? got - exact : exact - got) / exact, 1.0 / 16,
                      "p%g: %f, exactly %f", percents[p], got, exact);
    }
    cr_assert_eq(histogram_count_up_to(sum, 1e18), VALUES);
    cr_assert_eq(histogram_count_up_to(sum, 50), 0);
    mem_free(sum);
}

Test(histogram, an_empty_one_has_no_percentiles)
{
    struct histogram_sum *sum = mem_alloc_zero(sizeof *sum);
    cr_assert_eq(histogram_percentile(sum, 50), 0);
    mem_free(sum);
}

/* --- what a shard counts --- */

static struct shard *new_shard(void)
{
    struct shard *shard = mem_alloc_zero(sizeof *shard);
    struct config *config = mem_alloc_zero(sizeof *config);
    config->latency_tracking = true;
    config->latency_monitor_threshold_ms = 10;
    shard->config = config;
    shard->latency = latency_new();
    return shard;
}

static void free_shard(struct shard *shard)
{
    latency_free(shard->latency);
    mem_free((void *)shard->config);
    mem_free(shard);
}

Test(stats, commands_are_counted_under_their_id)
{
    struct shard *shard = new_shard();
    const struct command get = {.name = "get", .id = 5, .full_name = "get"};
    for (int i = 1; i <= 100; i++) {
        stats_record(shard, &get, (uint64_t)i * 1000, i % 10 == 0);
    }
    stats_reject(shard, &get);
    const struct command_stats *s = &shard->stats.command[5];
    cr_assert_eq(counter_get(&s->calls), 100);
    cr_assert_eq(counter_get(&s->ticks), 5050000);
    cr_assert_eq(counter_get(&s->failed), 10);
    cr_assert_eq(counter_get(&s->rejected), 1);
    cr_assert_eq(latency_command_mp(shard->latency, 5), &get);
    cr_assert_null(latency_command_mp(shard->latency, 6));

    struct histogram_sum *sum = mem_alloc_zero(sizeof *sum);
    cr_assert(latency_histogram_mp(shard->latency, 5, sum));
    cr_assert(!latency_histogram_mp(shard->latency, 6, sum));
    cr_assert_eq(sum->total, 100);
    mem_free(sum);
    free_shard(shard);
}

Test(stats, without_latency_tracking_there_is_no_histogram)
{
    struct shard *shard = new_shard();
    ((struct config *)shard->config)->latency_tracking = false;
    const struct command get = {.name = "get", .id = 5};
    stats_record(shard, &get, 10, false);
    cr_assert_null(shard->latency->command[5].histogram);
    cr_assert_eq(counter_get(&shard->stats.command[5].calls), 1);
    free_shard(shard);
}

Test(stats, debug_is_counted_as_a_whole)
{
    struct shard *shard = new_shard();
    const struct command debug = {.name = "debug", .id = 1, .flags = CMD_PROTECTED};
    const struct command client = {.name = "client", .id = 2};
    const struct command sleep = {.name = "sleep", .id = 3, .parent = &debug};
    const struct command list = {.name = "list", .id = 4, .parent = &client};
    stats_record(shard, &sleep, 10, false);
    stats_record(shard, &list, 10, false);
    cr_assert_eq(counter_get(&shard->stats.command[1].calls), 1);
    cr_assert_eq(counter_get(&shard->stats.command[3].calls), 0);
    cr_assert_eq(counter_get(&shard->stats.command[4].calls), 1);
    free_shard(shard);
}

Test(stats, error_codes_are_bounded)
{
    struct shard *shard = new_shard();
    stats_error(shard, "ERR");
    stats_error(shard, "ERRX");
    stats_error(shard, "ERR");
    stats_error(shard, "a code that is much longer than the table has room for");
    cr_assert_eq(latency_errors_mp(shard->latency), 3);
    cr_assert_eq(counter_get(&shard->latency->error[0].count), 2);
    cr_assert_str_eq(shard->latency->error[1].code, "ERRX");
    for (int i = 0; i < 2 * STATS_ERRORS_MAX; i++) {
        char code[16];
        snprintf(code, sizeof code, "C%d", i);
        stats_error(shard, code);
    }
    cr_assert_eq(latency_errors_mp(shard->latency), STATS_ERRORS_MAX);
    cr_assert_eq(counter_get(&shard->stats.errors), 4 + 2 * STATS_ERRORS_MAX);
    free_shard(shard);
}

/* --- events --- */

Test(events, one_sample_per_second_the_worst)
{
    struct latency_event e = {.name = "command"};
    struct latency_sample got[LATENCY_SAMPLES];
    latency_event_add(&e, 100, 20);
    latency_event_add(&e, 100, 50);
    latency_event_add(&e, 100, 30);
    latency_event_add(&e, 101, 10);
    cr_assert_eq(latency_event_samples(&e, got), 2);
    cr_assert_eq(got[0].ms, 50);
    cr_assert_eq(got[1].unix_s, 101);
    cr_assert_eq(e.max_ms, 50);
}

Test(events, the_oldest_samples_go)
{
    struct latency_event e = {.name = "command"};
    struct latency_sample got[LATENCY_SAMPLES];
    for (int i = 1; i <= LATENCY_SAMPLES + 40; i++) {
        latency_event_add(&e, i, (uint32_t)i);
    }
    cr_assert_eq(latency_event_samples(&e, got), LATENCY_SAMPLES);
    cr_assert_eq(got[0].unix_s, 41);
    cr_assert_eq(got[LATENCY_SAMPLES - 1].unix_s, LATENCY_SAMPLES + 40);
}

Test(events, merging_is_as_if_all_had_happened_on_one_shard)
{
    struct latency_event a = {.name = "command"}, b = a, both = a;
    struct latency_sample got[LATENCY_SAMPLES], expected[LATENCY_SAMPLES];
    uint64_t state = 3;
    for (int second = 1; second <= 400; second++) {
        uint32_t ms = (uint32_t)(next_random(&state) % 1000);
        switch (next_random(&state) % 4) {
        case 0:
            latency_event_add(&a, second, ms);
            break;
        case 1:
            latency_event_add(&b, second, ms);
            break;
        case 2:
            latency_event_add(&a, second, ms);
            latency_event_add(&b, second, ms / 2);
            break;
        default:
            continue;
        }
        latency_event_add(&both, second, ms);
    }
    latency_event_merge(&a, &b);
    uint32_t n = latency_event_samples(&a, got);
    cr_assert_eq(n, latency_event_samples(&both, expected));
    for (uint32_t i = 0; i < n; i++) {
        cr_assert_eq(got[i].unix_s, expected[i].unix_s);
        cr_assert_eq(got[i].ms, expected[i].ms);
    }
    cr_assert_eq(a.max_ms, both.max_ms);
}

Test(events, below_the_threshold_nothing_is_kept)
{
    struct shard *shard = new_shard();
    latency_add(shard, "expire-cycle", 9);
    cr_assert_eq(shard->latency->events, 0);
    latency_add(shard, "expire-cycle", 10);
    const struct command ping = {.name = "ping", .flags = CMD_FAST};
    latency_consider(shard, &ping, 25000);
    cr_assert_eq(shard->latency->events, 2);
    cr_assert_str_eq(shard->latency->event[1].name, "fast-command");
    cr_assert_eq(shard->latency->event[1].max_ms, 25);

    latency_events_reset(shard->latency, slice_str("EXPIRE-cycle"));
    cr_assert_eq(shard->latency->events, 1);
    latency_events_reset(shard->latency, slice_of(NULL, 0));
    cr_assert_eq(shard->latency->events, 0);
    free_shard(shard);
}

Test(events, kinds_are_bounded)
{
    struct shard *shard = new_shard();
    for (int i = 0; i < 2 * LATENCY_EVENTS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "event-%d", i);
        latency_add(shard, name, 100);
    }
    cr_assert_eq(shard->latency->events, LATENCY_EVENTS_MAX);
    free_shard(shard);
}
