/* ab_run.c - see ab_run.h. */
#include "bench/ab_run.h"

#include "bench/ab_cpu.h"
#include "bench/ab_replay.h"
#include "bench/ab_worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    POLL_NS = 2000000,          /* how often the main thread looks whether workers are done */
    POLL_LATER_NS = 10000000,   /* … after the first second */
    START_IN_NS = 2000000,      /* all workers see the start time before it comes */
    INTERVAL_SHORT_NS = 250000000,
    INTERVAL_LONG_NS = 1000000000,
    SHORT_RUN_S = 60,
    POINTS_MAX = 100000,        /* of a series; later ones are not kept */
};

struct measure {
    int64_t server_ns, own_ns;
};

static struct measure measure_cpu(const struct ab_run_spec *spec)
{
    return (struct measure){spec->cpu ? ab_cpu_ns(spec->cpu) : -1, ab_cpu_own_ns()};
}

static void nap(uint64_t ns)
{
    struct timespec ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&ts, NULL);
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ---- series ---------------------------------------------------------------------------------- */

static void add_point(struct ab_result *r, struct ab_point p)
{
    if (r->point_count == POINTS_MAX) {
        return;
    }
    if (r->point_count == r->point_cap) {
        r->point_cap = r->point_cap ? r->point_cap * 2 : 256;
        r->series = need(realloc(r->series, sizeof *r->series * (size_t)r->point_cap));
    }
    r->series[r->point_count++] = p;
}

/* Makes the workers change over, and adds what they have recorded to the series. A worker that is
 * busy or asleep answers within a turn; one that has ended no longer does. */
static void collect(struct ab_shared *s, struct ab_worker *workers, struct ab_hist *sum,
                    struct ab_result *r, double at_s, double seconds)
{
    int threads = s->spec->threads;

    ab_hist_clear(sum);
    for (int i = 0; i < threads; i++) {
        unsigned next = atomic_load_explicit(&workers[i].wanted_epoch, memory_order_relaxed) + 1;
        atomic_store_explicit(&workers[i].wanted_epoch, next, memory_order_release);
    }
    for (int i = 0; i < threads; i++) {
        struct ab_worker *w = &workers[i];
        unsigned wanted = atomic_load_explicit(&w->wanted_epoch, memory_order_relaxed);
        while (atomic_load_explicit(&w->done_epoch, memory_order_acquire) != wanted &&
               atomic_load(&s->finished) < threads) {
            nap(50000);
            if (atomic_load(&s->finished) > 0 && atomic_load(&s->finished) < threads) {
                return; /* the run is ending: what is left is in the totals */
            }
        }
        struct ab_hist *h = w->interval[(wanted - 1) & 1];
        ab_hist_merge(sum, h);
        ab_hist_clear(h);
        if (atomic_load(&s->finished) == threads) { /* it may have ended before it changed over */
            ab_hist_merge(sum, w->interval[wanted & 1]);
            ab_hist_clear(w->interval[wanted & 1]);
        }
    }
    if (seconds > 0) {
        add_point(r, (struct ab_point){at_s, (double)sum->count / seconds,
                                       ab_hist_percentile(sum, 50), ab_hist_percentile(sum, 99),
                                       ab_hist_max(sum)});
    }
}

/* ---- results --------------------------------------------------------------------------------- */

static void add_counts(struct ab_command_result *to, const struct ab_counts *from)
{
    to->requests += from->requests;
    to->in_window += from->in_window;
    to->errors += from->errors;
    to->misses += from->misses;
    to->mismatches += from->mismatches;
    to->bytes_in += from->bytes_in;
    to->bytes_out += from->bytes_out;
    ab_hist_merge(to->latency, from->latency);
    if (from->service) {
        ab_hist_merge(to->service, from->service);
    }
}

static void add_totals(struct ab_command_result *to, const struct ab_command_result *from)
{
    struct ab_counts c = {from->requests, from->in_window, from->errors, from->misses,
                          from->mismatches, from->bytes_in, from->bytes_out, from->latency,
                          from->service};
    add_counts(to, &c);
}

static void merge(const struct ab_run_spec *spec, struct ab_worker *workers, struct ab_result *r)
{
    r->command_count = workers[0].command_count;
    r->commands = need(calloc((size_t)r->command_count, sizeof *r->commands));
    snprintf(r->total.name, sizeof r->total.name, "%s", spec->name);
    r->total.latency = ab_hist_new();
    r->total.service = r->open_loop ? ab_hist_new() : NULL;
    for (int c = 0; c < r->command_count; c++) {
        struct ab_command_result *to = &r->commands[c];
        snprintf(to->name, sizeof to->name, "%s",
                 spec->replay ? spec->replay->names[c] : spec->templates[c].name);
        to->latency = ab_hist_new();
        to->service = r->open_loop ? ab_hist_new() : NULL;
        for (int i = 0; i < spec->threads; i++) {
            add_counts(to, &workers[i].counts[c]);
        }
        add_totals(&r->total, to);
    }
    for (int i = 0; i < spec->threads; i++) {
        r->unfinished += workers[i].unfinished;
    }
    r->backend = workers[0].backend;
}

static void free_worker_results(struct ab_worker *w)
{
    for (int c = 0; c < w->command_count; c++) {
        ab_hist_free(w->counts[c].latency);
        ab_hist_free(w->counts[c].service);
    }
    free(w->counts);
    ab_hist_free(w->interval[0]);
    ab_hist_free(w->interval[1]);
}

static void free_command(struct ab_command_result *c)
{
    ab_hist_free(c->latency);
    ab_hist_free(c->service);
}

void ab_result_free(struct ab_result *r)
{
    free_command(&r->total);
    for (int i = 0; i < r->command_count; i++) {
        free_command(&r->commands[i]);
    }
    free(r->commands);
    free(r->series);
    memset(r, 0, sizeof *r);
}

/* ---- the run --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

struct watch {
    uint64_t begin_ns, end_ns, next_ns, last_ns, interval_ns;
    struct measure at_begin, at_end;
    bool begun, ended;
};

/* What the main thread does while the workers work. */
static void watch_run(struct ab_shared *s, struct ab_worker *workers, struct watch *x,
                      struct ab_result *r)
{
    const struct ab_run_spec *spec = s->spec;
    struct ab_hist *sum = ab_hist_new();

    while (atomic_load(&s->finished) < spec->threads) {
        uint64_t now = ab_now_ns();
        if (!x->begun && now >= x->begin_ns) {
            x->at_begin = measure_cpu(spec);
            x->begun = true;
        }
        if (!x->ended && now >= x->end_ns) {
            x->at_end = measure_cpu(spec);
            x->ended = true;
        }
        if (interrupted) {
            atomic_store(&s->stop, true);
        }
        if (spec->cluster && spec->refresh && atomic_exchange(&spec->cluster->refresh_wanted, false)) {
            spec->refresh(spec->user);
        }
        if (x->begun && !x->ended && now >= x->next_ns) {
            collect(s, workers, sum, r, (double)(now - x->begin_ns) / 1e9,
                    (double)(now - x->last_ns) / 1e9);
            x->last_ns = now;
            x->next_ns += x->interval_ns;
            if (r->point_count == SHORT_RUN_S * 4 && spec->interval_ns == 0) {
                x->interval_ns = INTERVAL_LONG_NS;
            }
            if (spec->progress) {
                r->seconds = (double)(now - x->begin_ns) / 1e9;
                spec->progress(spec->user, r);
            }
        }
        uint64_t step = now > x->begin_ns + 1000000000u ? POLL_LATER_NS : POLL_NS;
        uint64_t until = !x->begun ? x->begin_ns : x->end_ns;
        now = ab_now_ns();
        nap(until > now && until - now < step ? until - now : step);
    }
    ab_hist_free(sum);
}

static void start_workers(struct ab_shared *s, struct ab_worker *workers)
{
    const struct ab_run_spec *spec = s->spec;
    for (int i = 0; i < spec->threads; i++) {
        struct ab_worker *w = &workers[i];
        w->shared = s;
        w->spec = spec;
        w->index = i;
        w->client_count = spec->clients / spec->threads + (i < spec->clients % spec->threads);
        if (pthread_create(&w->thread, NULL, ab_worker_main, w) != 0) {
            fprintf(stderr, "ashlar-bench: cannot start a thread\n");
            exit(1);
        }
    }
    while (atomic_load(&s->ready) < spec->threads && !atomic_load(&s->stop)) {
        if (interrupted) {
            atomic_store(&s->stop, true);
        }
        nap(200000);
    }
}

static void finish(struct ab_shared *s, struct ab_worker *workers, struct watch *x,
                   struct ab_result *r)
{
    const struct ab_run_spec *spec = s->spec;
    uint64_t last_ns = x->begin_ns;

    for (int i = 0; i < spec->threads; i++) {
        pthread_join(workers[i].thread, NULL);
        last_ns = workers[i].last_done_ns > last_ns ? workers[i].last_done_ns : last_ns;
    }
    if (!x->ended) {
        x->at_end = measure_cpu(spec);
    }
    merge(spec, workers, r);
    bool whole = x->end_ns != UINT64_MAX && last_ns + 100000000u >= x->end_ns;
    r->seconds = (double)((whole ? x->end_ns : last_ns) - x->begin_ns) / 1e9;
    if (last_ns > x->last_ns && x->begun && !x->ended) { /* the rest of the last interval */
        struct ab_hist *sum = ab_hist_new();
        collect(s, workers, sum, r, r->seconds, (double)(last_ns - x->last_ns) / 1e9);
        ab_hist_free(sum);
    }
    r->server_cpu_us = r->client_cpu_us = -1;
    if (x->begun && r->total.in_window > 0) {
        double n = (double)r->total.in_window * 1000.0;
        if (x->at_begin.server_ns >= 0 && x->at_end.server_ns >= 0) {
            r->server_cpu_us = (double)(x->at_end.server_ns - x->at_begin.server_ns) / n;
        }
        r->client_cpu_us = (double)(x->at_end.own_ns - x->at_begin.own_ns) / n;
    }
    snprintf(r->failure, sizeof r->failure, "%s", s->failure);
    snprintf(r->first_error, sizeof r->first_error, "%s", s->first_error);
    if (interrupted && !r->failure[0]) {
        snprintf(r->failure, sizeof r->failure, "interrupted");
    }
    if (spec->cluster) {
        r->moved = atomic_load(&spec->cluster->moved) - r->moved;
        r->asked = atomic_load(&spec->cluster->asked) - r->asked;
    }
}

void ab_run(const struct ab_run_spec *spec, struct ab_result *r)
{
    struct ab_shared *s = need(aligned_alloc(64, (sizeof *s + 63) / 64 * 64));
    size_t bytes = sizeof(struct ab_worker) * (size_t)spec->threads;
    struct ab_worker *workers = need(aligned_alloc(64, (bytes + 63) / 64 * 64));
    struct watch x = {0};

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    memset(s, 0, sizeof *s);
    memset(workers, 0, bytes);
    memset(r, 0, sizeof *r);
    s->spec = spec;
    pthread_mutex_init(&s->lock, NULL);
    snprintf(r->name, sizeof r->name, "%s", spec->name);
    r->open_loop = spec->rate > 0 || (spec->replay && spec->replay_speed > 0);
    r->rate = spec->rate;
    if (spec->cluster) {
        r->moved = atomic_load(&spec->cluster->moved);
        r->asked = atomic_load(&spec->cluster->asked);
    }

    start_workers(s, workers);
    uint64_t start = ab_now_ns() + START_IN_NS;
    s->begin_ns = start + spec->warmup_ns;
    s->end_ns = spec->duration_ns ? s->begin_ns + spec->duration_ns : UINT64_MAX;
    x.begin_ns = x.last_ns = s->begin_ns;
    x.end_ns = s->end_ns;
    bool is_short = spec->duration_ns <= SHORT_RUN_S * UINT64_C(1000000000);
    x.interval_ns = spec->interval_ns ? spec->interval_ns
                                      : is_short ? INTERVAL_SHORT_NS : INTERVAL_LONG_NS;
    x.next_ns = x.begin_ns + x.interval_ns;
    if (spec->warmup_ns == 0) { /* before anything is sent: short runs are over soon */
        x.at_begin = measure_cpu(spec);
        x.begun = true;
    }
    atomic_store(&s->start_ns, start);
    watch_run(s, workers, &x, r);
    finish(s, workers, &x, r);

    for (int i = 0; i < spec->threads; i++) {
        free_worker_results(&workers[i]);
    }
    free(workers);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
