/* ab_sweep.c - the highest rate whose latency stays under a bound.
 *
 * First the closed loop's throughput, which no open loop can exceed by much: the range is up to
 * there (--sweep-from and --sweep-to set it by hand). Then the range in even steps, upwards, until
 * two steps in a row are over: that is the curve. Then bisection between the highest rate that held
 * and the lowest above it that did not, until they are 2 % apart.
 *
 * A rate that is over is tried a second time, and the better of both counts: one hiccup of a machine
 * that does other things, too, must not end the search far too low.
 *
 * A rate holds when the bound does and at least 99 % of it was achieved: a server that falls behind
 * may still answer a few requests fast.
 */
#include "bench/ab_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OVER_IN_A_ROW = 2, BISECTIONS_MAX = 8, TRIES = 2 };
#define PRECISION 0.02
#define ACHIEVED_MIN 0.99
#define WARMUP_SHARE 4 /* of a step's time: a quarter before it */

static double closed_loop_rate(struct ab_session *s, const struct ab_phase *phase)
{
    struct ab_run_spec spec = ab_session_spec(s, phase);
    struct ab_result r;
    spec.name = "closed loop";
    spec.rate = 0;
    spec.requests = 0;
    spec.duration_ns = s->options->sweep_time_ns;
    spec.warmup_ns = spec.duration_ns / WARMUP_SHARE;
    ab_session_run(s, &spec, false, &r);
    double rps = ab_result_rps(&r, &r.total);
    ab_result_free(&r);
    return rps;
}

static uint64_t bounded_value(const struct ab_options *o, const struct ab_hist *h)
{
    switch (o->sweep_on) {
    case AB_SWEEP_MEAN:
        return (uint64_t)ab_hist_mean(h);
    case AB_SWEEP_MAX:
        return ab_hist_max(h);
    case AB_SWEEP_PERCENTILE:
        break;
    }
    return ab_hist_percentile(h, o->sweep_percentile);
}

static int by_rate(const void *a, const void *b)
{
    const struct ab_sweep_point *x = a, *y = b;
    return (x->rate > y->rate) - (x->rate < y->rate);
}

static struct ab_sweep_point measure_rate(struct ab_session *s, const struct ab_phase *phase,
                                          double rate)
{
    const struct ab_options *o = s->options;
    struct ab_run_spec spec = ab_session_spec(s, phase);
    char name[AB_NAME_BYTES * 2];

    snprintf(name, sizeof name, "%.100s at %.0f/s", phase->name, rate);
    spec.name = name;
    spec.rate = rate;
    spec.requests = 0;
    spec.duration_ns = o->sweep_time_ns;
    spec.warmup_ns = o->sweep_time_ns / WARMUP_SHARE;
    if (spec.drain_ns > o->sweep_time_ns) {
        spec.drain_ns = o->sweep_time_ns;
    }
    const struct ab_result *r = ab_session_run(s, &spec, true, NULL);
    const struct ab_hist *h = r->total.latency;
    struct ab_sweep_point p = {
        .rate = rate,
        .rps = ab_result_rps(r, &r->total),
        .p50_ns = ab_hist_percentile(h, 50),
        .p99_ns = ab_hist_percentile(h, 99),
        .p999_ns = ab_hist_percentile(h, 99.9),
        .bounded_ns = bounded_value(o, h),
    };
    p.holds = h->count > 0 && p.bounded_ns < o->sweep_bound_ns && p.rps >= rate * ACHIEVED_MIN;
    return p;
}

static bool try_rate(struct ab_session *s, const struct ab_phase *phase, double rate)
{
    struct ab_report *rep = &s->report;
    struct ab_sweep_point p = measure_rate(s, phase, rate);

    for (int i = 1; i < TRIES && !p.holds && !s->failed; i++) {
        struct ab_sweep_point again = measure_rate(s, phase, rate);
        p = again.holds || again.bounded_ns < p.bounded_ns ? again : p;
    }
    rep->points = realloc(rep->points, sizeof *rep->points * (size_t)(rep->point_count + 1));
    if (!rep->points) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    rep->points[rep->point_count++] = p;
    return p.holds;
}

void ab_sweep_run(struct ab_session *s, const struct ab_phase *phase)
{
    const struct ab_options *o = s->options;
    struct ab_report *rep = &s->report;
    double top = o->sweep_to > 0 ? o->sweep_to : closed_loop_rate(s, phase);
    double bottom = o->sweep_from > 0 ? o->sweep_from : top / (double)o->sweep_steps;
    double best = 0, worst = 0; /* highest that held, lowest above it that did not */
    int over = 0;

    rep->point_count = 0;
    for (int64_t i = 0; i < o->sweep_steps && over < OVER_IN_A_ROW && !s->failed; i++) {
        double rate = bottom + (top - bottom) * (double)i / (double)(o->sweep_steps - 1);
        if (try_rate(s, phase, rate)) {
            best = rate;
            worst = 0; /* a step below was over by accident */
            over = 0;
        } else {
            worst = worst > 0 ? worst : rate;
            over++;
        }
    }
    for (int i = 0; i < BISECTIONS_MAX && worst > best * (1 + PRECISION) && !s->failed; i++) {
        double rate = (best + worst) / 2;
        if (rate < 1) {
            break;
        }
        if (try_rate(s, phase, rate)) {
            best = rate;
        } else {
            worst = rate;
        }
    }
    rep->best_rate = best;
    qsort(rep->points, (size_t)rep->point_count, sizeof *rep->points, by_rate);
    ab_report_print_sweep(rep);
}
