/* ab_plot.c - see ab_plot.h. */
#include "bench/ab_plot.h"

#include "bench/ab_chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NINES_STEPS = 40, NINES = 5, PERCENTILE_POINTS = NINES * NINES_STEPS + 1, NUMBERS_MAX = 64 };

/* Arrays of numbers that live as long as a chart. */
struct numbers {
    double *held[NUMBERS_MAX];
    int count;
};

static double *take(struct numbers *n, int count)
{
    double *v = n->count < NUMBERS_MAX ? calloc((size_t)count + 1, sizeof *v) : NULL;
    if (!v) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    n->held[n->count++] = v;
    return v;
}

static void release(struct numbers *n)
{
    while (n->count > 0) {
        free(n->held[--n->count]);
    }
}

static void head(struct ab_chart *c, const struct ab_report *rep, const char *what)
{
    const struct ab_options *o = rep->options;
    char target[300];

    memset(c, 0, sizeof *c);
    ab_target_name(&o->target, NULL, 0, target);
    snprintf(c->title, sizeof c->title, "%s%s%s", o->title ? o->title : "", o->title ? ": " : "", what);
    int n = snprintf(c->subtitle, sizeof c->subtitle, "%.80s, %lld clients, pipeline %lld, %lld thread%s",
                     target, (long long)o->clients, (long long)o->pipeline, (long long)o->threads,
                     o->threads > 1 ? "s" : "");
    if (o->rate > 0) {
        snprintf(c->subtitle + n, sizeof c->subtitle - (size_t)n, ", open loop at %.0f/s", o->rate);
    } else if (!o->sweep && !o->replay) {
        snprintf(c->subtitle + n, sizeof c->subtitle - (size_t)n, ", closed loop");
    }
}

/* x of percentile q is -log10(1 - q): every nine more is one step to the right. It ends where there
 * is less than one value beyond. */
static void add_percentiles(struct ab_panel *p, struct numbers *mem, const struct ab_hist *h,
                            const char *label, bool dashed)
{
    if (h->count == 0 || p->series_count == AB_SERIES_MAX) {
        return;
    }
    struct ab_series *s = &p->series[p->series_count++];
    double *x = take(mem, PERCENTILE_POINTS), *y = take(mem, PERCENTILE_POINTS);
    snprintf(s->label, sizeof s->label, "%s", label);
    s->dashed = dashed;
    for (int i = 0; i < PERCENTILE_POINTS; i++) {
        double nines = (double)i / NINES_STEPS, beyond = pow(10, -nines);
        if (beyond * (double)h->count < 1) {
            break;
        }
        x[i] = nines;
        y[i] = (double)ab_hist_percentile(h, 100 * (1 - beyond)) / 1e6;
        s->count = i + 1;
    }
    s->x = x;
    s->y = y;
}

static void percentile_axis(struct ab_panel *p)
{
    static const struct {
        double at;
        const char *label;
    } ticks[] = {{0, "min"}, {0.30103, "50"}, {1, "90"}, {2, "99"}, {3, "99.9"}, {4, "99.99"}, {5, "99.999"}};
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++) {
        p->tick_at[i] = ticks[i].at;
        snprintf(p->tick_label[i], sizeof p->tick_label[i], "%s", ticks[i].label);
    }
    p->tick_count = (int)(sizeof ticks / sizeof *ticks);
    snprintf(p->x_label, sizeof p->x_label, "percentile");
    snprintf(p->y_label, sizeof p->y_label, "latency, ms");
    p->log_y = true;
}

static void chart_percentiles(struct ab_chart *c, const struct ab_report *rep, struct numbers *mem)
{
    char label[AB_LABEL_BYTES];

    head(c, rep, "latency by percentile");
    struct ab_panel *p = &c->panel[c->panel_count++];
    percentile_axis(p);
    for (int i = 0; i < rep->run_count; i++) {
        const struct ab_result *r = &rep->runs[i];
        if (r->open_loop && !rep->options->sweep && rep->run_count == 1) {
            add_percentiles(p, mem, r->total.latency, "from the intended start", false);
            add_percentiles(p, mem, r->total.service, "from sending (service time)", true);
        } else {
            snprintf(label, sizeof label, "%.60s", r->name);
            add_percentiles(p, mem, r->total.latency, label, false);
        }
        for (int k = 0; rep->run_count == 1 && r->command_count > 1 && k < r->command_count; k++) {
            snprintf(label, sizeof label, "%.60s", r->commands[k].name);
            add_percentiles(p, mem, r->commands[k].latency, label, true);
        }
    }
}

static struct ab_series *add_line(struct ab_panel *p, const char *label, const double *x,
                                  const double *y, int count)
{
    if (p->series_count == AB_SERIES_MAX) {
        return &p->series[AB_SERIES_MAX - 1];
    }
    struct ab_series *s = &p->series[p->series_count++];
    snprintf(s->label, sizeof s->label, "%s", label);
    s->x = x;
    s->y = y;
    s->count = count;
    return s;
}

static void chart_throughput(struct ab_chart *c, const struct ab_report *rep, struct numbers *mem)
{
    head(c, rep, "throughput and latency over time");
    struct ab_panel *top = &c->panel[0], *below = &c->panel[1];
    c->panel_count = 2;
    snprintf(top->y_label, sizeof top->y_label, "requests per second");
    snprintf(below->y_label, sizeof below->y_label, "latency, ms");
    snprintf(top->x_label, sizeof top->x_label, "seconds");
    snprintf(below->x_label, sizeof below->x_label, "seconds");
    top->y_from_zero = true;
    below->log_y = true;
    for (int i = 0; i < rep->run_count && i < AB_SERIES_MAX; i++) {
        const struct ab_result *r = &rep->runs[i];
        int n = r->point_count;
        double *x = take(mem, n), *rps = take(mem, n), *p50 = take(mem, n), *p99 = take(mem, n);
        double *most = take(mem, n);
        char label[AB_LABEL_BYTES];
        for (int k = 0; k < n; k++) {
            x[k] = r->series[k].at_s;
            rps[k] = r->series[k].rps;
            p50[k] = (double)r->series[k].p50_ns / 1e6;
            p99[k] = (double)r->series[k].p99_ns / 1e6;
            most[k] = (double)r->series[k].max_ns / 1e6;
        }
        snprintf(label, sizeof label, "%.60s", r->name);
        add_line(top, label, x, rps, n);
        if (rep->run_count == 1) {
            add_line(below, "p50", x, p50, n);
            add_line(below, "p99", x, p99, n);
            add_line(below, "max", x, most, n)->dashed = true;
        } else {
            snprintf(label, sizeof label, "p99 %.60s", r->name);
            add_line(below, label, x, p99, n);
        }
    }
}

static void chart_rate(struct ab_chart *c, const struct ab_report *rep, struct numbers *mem)
{
    const struct ab_options *o = rep->options;
    int n = rep->point_count;
    double *x = take(mem, n), *p50 = take(mem, n), *p99 = take(mem, n), *p999 = take(mem, n);

    head(c, rep, "latency over rate");
    struct ab_panel *p = &c->panel[c->panel_count++];
    for (int i = 0; i < n; i++) {
        x[i] = rep->points[i].rate;
        p50[i] = (double)rep->points[i].p50_ns / 1e6;
        p99[i] = (double)rep->points[i].p99_ns / 1e6;
        p999[i] = (double)rep->points[i].p999_ns / 1e6;
    }
    add_line(p, "p50", x, p50, n)->dots = true;
    add_line(p, "p99", x, p99, n)->dots = true;
    add_line(p, "p99.9", x, p999, n)->dots = true;
    snprintf(p->x_label, sizeof p->x_label, "requests per second (open loop)");
    snprintf(p->y_label, sizeof p->y_label, "latency from the intended start, ms");
    p->log_y = true;
    p->has_bound = true;
    p->bound = (double)o->sweep_bound_ns / 1e6;
    snprintf(p->bound_label, sizeof p->bound_label, "%.100s", o->sweep);
    if (rep->best_rate > 0) {
        p->has_mark = true;
        p->mark = rep->best_rate;
        snprintf(p->mark_label, sizeof p->mark_label, "best: %.0f/s", rep->best_rate);
    }
}

typedef void (*chart_fn)(struct ab_chart *c, const struct ab_report *rep, struct numbers *mem);

static bool write_one(const struct ab_report *rep, chart_fn make, const char *prefix, const char *name,
                      bool png)
{
    static struct ab_chart chart;
    struct numbers mem = {.count = 0};
    char path[1100], err[300];

    make(&chart, rep, &mem);
    snprintf(path, sizeof path, "%.1000s-%s.%s", prefix, name, png ? "png" : "svg");
    bool ok = png ? ab_chart_png(&chart, path, err) : ab_chart_svg(&chart, path);
    if (!ok && png) {
        fprintf(stderr, "ashlar-bench: --png %s\n", err);
    } else if (!ok) {
        fprintf(stderr, "ashlar-bench: --svg %s: %s\n", path, strerror(errno));
    }
    release(&mem);
    return ok;
}

bool ab_plot_write(const struct ab_report *rep, const char *prefix, bool png)
{
    bool ok = true;
    if (rep->run_count > 0 && !rep->options->sweep) {
        ok &= write_one(rep, chart_percentiles, prefix, "percentiles", png);
        ok &= write_one(rep, chart_throughput, prefix, "throughput", png);
    }
    if (rep->point_count > 0) {
        ok &= write_one(rep, chart_rate, prefix, "rate", png);
        ok &= write_one(rep, chart_percentiles, prefix, "percentiles", png);
    }
    return ok;
}
