/* ab_session.c - see ab_session.h. */
#include "bench/ab_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void refresh(void *user)
{
    struct ab_session *s = user;
    char err[400];
    if (!ab_control_slots(&s->control, &s->options->target, s->cluster, err)) {
        /* The node that we ask may be the one that left: the next known one. */
        static int turn;
        int count = atomic_load(&s->cluster->node_count);
        const struct ab_node *n = &s->cluster->node[turn++ % count];
        ab_control_close(&s->control);
        ab_control_open(&s->control, &s->options->target, n->host, n->port, err);
    }
}

static void progress(void *user, const struct ab_result *so_far)
{
    struct ab_session *s = user;
    if (!s->live || so_far->point_count == 0) {
        return;
    }
    const struct ab_point *p = &so_far->series[so_far->point_count - 1];
    fprintf(stderr, "\r\033[K%s: %.1f s  %.0f requests/s  p50 %.3f  p99 %.3f  max %.3f ms", s->running,
            p->at_s, p->rps, (double)p->p50_ns / 1e6, (double)p->p99_ns / 1e6, (double)p->max_ns / 1e6);
    fflush(stderr);
    s->line_open = true;
}

bool ab_session_open(struct ab_session *s, const struct ab_options *o, char err[400])
{
    memset(s, 0, sizeof *s);
    s->options = o;
    s->report.options = o;
    s->control.fd = -1;
    s->live = isatty(STDERR_FILENO) && !o->no_progress;
    if (!ab_workload_make(&s->work, o, err)) {
        return false;
    }
    if (o->replay && !ab_replay_read(&s->replay, o->replay, err)) {
        return false;
    }
    if (!ab_control_open(&s->control, &o->target, NULL, 0, err)) {
        return false;
    }
    if (!ab_control_info(&s->control, &s->report.server)) {
        snprintf(err, 400, "the server does not answer INFO");
        return false;
    }
    if (o->cluster) {
        s->cluster = ab_cluster_new();
        if (!ab_control_slots(&s->control, &o->target, s->cluster, err)) {
            return false;
        }
    }
    ab_control_find_cpu(&o->target, s->cluster, &s->cpu);
    return true;
}

void ab_session_forget(struct ab_session *s)
{
    for (int i = 0; i < s->report.run_count; i++) {
        ab_result_free(&s->report.runs[i]);
    }
    free(s->report.runs);
    s->report.runs = NULL;
    s->report.run_count = 0;
}

void ab_session_close(struct ab_session *s)
{
    ab_session_forget(s);
    free(s->report.points);
    ab_control_close(&s->control);
    ab_cluster_free(s->cluster);
    ab_replay_free(&s->replay);
    ab_workload_free(&s->work);
}

struct ab_run_spec ab_session_spec(struct ab_session *s, const struct ab_phase *phase)
{
    const struct ab_options *o = s->options;
    return (struct ab_run_spec){
        .name = phase ? phase->name : "replay",
        .target = &o->target,
        .cluster = s->cluster,
        .space = &s->work.space,
        .templates = phase ? phase->templates : NULL,
        .weights = phase ? phase->weights : NULL,
        .template_count = phase ? phase->count : 0,
        .in_order = o->in_order,
        .replay = phase ? NULL : &s->replay,
        .replay_speed = o->replay_speed,
        .threads = (int)o->threads,
        .clients = (int)o->clients,
        .pipeline = (int)o->pipeline,
        .keep_alive = o->keep_alive,
        .cpus = o->cpus,
        .cpu_count = o->cpu_count,
        .force_epoll = o->epoll,
        .requests = (uint64_t)o->requests,
        .warmup_ns = o->warmup_ns,
        .duration_ns = o->duration_ns,
        .rate = o->rate,
        .arrival = o->arrival,
        .drain_ns = o->drain_ns,
        .interval_ns = o->interval_ns,
        .seed = o->seed,
        .cpu = &s->cpu,
        .progress = progress,
        .refresh = refresh,
        .user = s,
    };
}

const struct ab_result *ab_session_run(struct ab_session *s, const struct ab_run_spec *spec, bool keep,
                                       struct ab_result *own)
{
    struct ab_report *rep = &s->report;
    struct ab_result *r = own;

    if (keep) {
        rep->runs = realloc(rep->runs, sizeof *rep->runs * (size_t)(rep->run_count + 1));
        if (!rep->runs) {
            fprintf(stderr, "ashlar-bench: out of memory\n");
            exit(1);
        }
        r = &rep->runs[rep->run_count++];
    }
    s->running = spec->name;
    ab_run(spec, r);
    if (s->line_open) {
        fprintf(stderr, "\r\033[K");
        s->line_open = false;
    }
    if (r->failure[0]) {
        fprintf(stderr, "ashlar-bench: %s\n", r->failure);
        s->failed = true;
    }
    return r;
}
