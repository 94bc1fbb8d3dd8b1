/* bench/ab_random and ab_schedule: distributions by chi-square against their formulas, from fixed
 * seeds, so that a test either always passes or never. */
#include "bench/ab_random.h"
#include "bench/ab_schedule.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 400000, CELLS_MAX = 1000 };

/* The value that chi-square with n degrees of freedom stays under with 99.9 % (Wilson, Hilferty). */
static double chi_limit(int n)
{
    double t = 1.0 - 2.0 / (9.0 * n) + 3.09 * sqrt(2.0 / (9.0 * n));
    return n * t * t * t;
}

static struct ab_dist dist(const char *text, uint64_t count)
{
    struct ab_dist d;
    cr_assert(ab_dist_parse(&d, text), "%s", text);
    ab_dist_prepare(&d, count);
    return d;
}

/* Draws, and compares with the expected shares of each value. Cells with less than 5 expected are
 * put together, as the test demands. */
static void expect_shares(const char *text, int n, const double *share)
{
    struct ab_dist d = dist(text, (uint64_t)n);
    struct ab_rng r = {99};
    static uint64_t seen[CELLS_MAX];
    double chi = 0, rest_expected = 0, rest_seen = 0;
    int cells = 0;

    memset(seen, 0, sizeof seen);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = ab_dist_draw(&d, &r, 0);
        cr_assert_lt(v, (uint64_t)n);
        seen[v]++;
    }
    for (int i = 0; i < n; i++) {
        double expected = share[i] * DRAWS;
        if (expected < 5) {
            rest_expected += expected;
            rest_seen += (double)seen[i];
            continue;
        }
        chi += ((double)seen[i] - expected) * ((double)seen[i] - expected) / expected;
        cells++;
    }
    if (rest_expected >= 5) {
        chi += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
        cells++;
    }
    cr_assert_lt(chi, chi_limit(cells - 1), "%s over %d: chi-square %.1f, limit %.1f", text, n, chi,
                 chi_limit(cells - 1));
}

static void expect_zipf(const char *text, double s, int n)
{
    static double share[CELLS_MAX];
    double total = 0;
    for (int i = 0; i < n; i++) {
        share[i] = pow(i + 1, -s);
        total += share[i];
    }
    for (int i = 0; i < n; i++) {
        share[i] /= total;
    }
    expect_shares(text, n, share);
}

Test(bench_random, uniform)
{
    static double share[CELLS_MAX];
    for (int i = 0; i < CELLS_MAX; i++) {
        share[i] = 1.0 / CELLS_MAX;
    }
    expect_shares("uniform", CELLS_MAX, share);
}

Test(bench_random, zipf_of_any_skew)
{
    static const char *const skews[] = {"0", "0.3", "0.99", "1", "1.0000001", "1.2", "2", "5"};
    static const int sizes[] = {2, 3, 10, 1000};
    char text[32];
    for (size_t i = 0; i < sizeof skews / sizeof *skews; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            snprintf(text, sizeof text, "zipf:%s", skews[i]);
            expect_zipf(text, atof(skews[i]), sizes[k]);
        }
    }
}

Test(bench_random, zipf_of_one_and_of_many)
{
    struct ab_dist one = dist("zipf:1.1", 1), many = dist("zipf:0.99", UINT64_C(1) << 40);
    struct ab_rng r = {5};
    uint64_t largest = 0;
    for (int i = 0; i < 100000; i++) {
        cr_assert_eq(ab_dist_draw(&one, &r, 0), 0);
        uint64_t v = ab_dist_draw(&many, &r, 0);
        cr_assert_lt(v, UINT64_C(1) << 40);
        largest = v > largest ? v : largest;
    }
    cr_assert_gt(largest, UINT64_C(1) << 38);
}

Test(bench_random, hot_set)
{
    static double share[100];
    for (int i = 0; i < 100; i++) {
        share[i] = i < 20 ? 0.9 / 20 : 0.1 / 80;
    }
    expect_shares("hot:0.2,0.9", 100, share);
}

static double bell(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

Test(bench_random, gauss)
{
    enum { N = 200 };
    static double share[N];
    double whole = bell((1 - 0.4) / 0.2) - bell((0 - 0.4) / 0.2);
    for (int i = 0; i < N; i++) {
        double low = (double)i / N, high = (double)(i + 1) / N;
        share[i] = (bell((high - 0.4) / 0.2) - bell((low - 0.4) / 0.2)) / whole;
    }
    expect_shares("gauss:0.4,0.2", N, share);
}

Test(bench_random, sequential)
{
    struct ab_dist d = dist("sequential", 10);
    struct ab_rng r = {1};
    for (uint64_t i = 0; i < 25; i++) {
        cr_assert_eq(ab_dist_draw(&d, &r, i), i % 10);
    }
}

Test(bench_random, what_is_no_distribution)
{
    static const char *const bad[] = {
        "", "zipf", "zipf:", "zipf:-1", "zipf:x", "zipf:1,2", "zipf:nan", "gauss:0.5", "gauss:2,1",
        "gauss:0.5,0", "hot:0.1", "hot:0,1", "hot:0.1,1.1", "hot:0.1,0.9,3", "Uniform", "uniform ",
    };
    struct ab_dist d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(ab_dist_parse(&d, bad[i]), "%s", bad[i]);
    }
}

Test(bench_random, sizes)
{
    struct ab_size s;
    struct ab_rng r = {3};
    int small = 0, exact = 0;

    cr_assert(ab_size_parse(&s, "32"));
    cr_assert(s.fixed && s.max == 32 && ab_size_of(&s, 123) == 32);
    cr_assert(ab_size_parse(&s, "16-64:9,4k:1"));
    cr_assert(!s.fixed && s.max == 4096);
    for (int i = 0; i < 100000; i++) {
        uint64_t random = ab_rng_next(&r);
        uint32_t n = ab_size_of(&s, random);
        cr_assert_eq(n, ab_size_of(&s, random));
        cr_assert((n >= 16 && n <= 64) || n == 4096, "%u", n);
        small += n <= 64;
        exact += n == 16;
    }
    cr_assert(small > 89500 && small < 90500, "%d", small);
    cr_assert(exact > 90000 / 49 - 250 && exact < 90000 / 49 + 250, "%d", exact);

    static const char *const bad[] = {"", "-1", "5-", "9-3", "1:0", "1:-2", "1,", "600m", "1x", "a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(ab_size_parse(&s, bad[i]), "%s", bad[i]);
    }
}

Test(bench_schedule, even_over_all_threads)
{
    enum { THREADS = 3, EACH = 1000 };
    static char seen[THREADS * EACH];
    struct ab_rng r = {1};
    for (int t = 0; t < THREADS; t++) {
        struct ab_schedule s;
        ab_schedule_begin(&s, 7000, false, THREADS, t, &r);
        for (int i = 0; i < EACH; i++, ab_schedule_next(&s, &r)) {
            double number = s.due_ns * 7000 / 1e9;
            cr_assert_float_eq(number, round(number), 1e-6);
            seen[(int)round(number)]++;
        }
    }
    for (int i = 0; i < THREADS * EACH; i++) {
        cr_assert_eq(seen[i], 1, "request %d", i);
    }
}

Test(bench_schedule, even_does_not_drift)
{
    struct ab_schedule s;
    struct ab_rng r = {1};
    ab_schedule_begin(&s, 333333, false, 1, 0, &r);
    s.number = UINT64_C(333333) * 3600 * 24;
    ab_schedule_next(&s, &r);
    cr_assert_float_eq(s.due_ns, 3600e9 * 24, 1e3);
}

Test(bench_schedule, poisson_has_the_rate_and_exponential_gaps)
{
    enum { N = 200000, CELLS = 50 };
    struct ab_schedule s;
    struct ab_rng r = {2};
    double last = 0, chi = 0;
    int seen[CELLS] = {0};

    ab_schedule_begin(&s, 1000, true, 4, 1, &r);
    for (int i = 0; i < N; i++, ab_schedule_next(&s, &r)) {
        double share = 1 - exp(-(s.due_ns - last) / 4e6); /* even in [0, 1) */
        last = s.due_ns;
        seen[(int)(share * CELLS)]++;
    }
    cr_assert_float_eq(last / N / 4e6, 1.0, 0.01);
    for (int i = 0; i < CELLS; i++) {
        double expected = (double)N / CELLS;
        chi += (seen[i] - expected) * (seen[i] - expected) / expected;
    }
    cr_assert_lt(chi, chi_limit(CELLS - 1));
}
