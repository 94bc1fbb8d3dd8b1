/* ab_worker_loop.c - the turns of a worker: what is sent when, what is recorded, when it ends. See
 * ab_worker.h and, for the two kinds of loop, ab_run.h. */
#include "bench/ab_worker_internal.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum {
    BUFFERS_MIN = 32,            /* few: they go round, and should stay in the cache */
    BUFFERS_MAX = 4096,
    RING_ENTRIES = 1024,
    READY_TURN_NS = 1000000,
    SPIN_NS = 3000,              /* a due request that is nearer than this is not slept for */
    REPLAY_IN_FLIGHT_MAX = 1 << 16, /* of one client; then the replay waits for it */
};

/* ---- recording ------------------------------------------------------------------------------- */

void worker__record_pending(struct ab_worker *w)
{
    struct ab_pending *p = &w->pending;
    if (p->count == 0) {
        return;
    }
    ab_hist_record_many(p->counts->latency, p->latency_ns, p->count);
    if (p->counts->service) {
        ab_hist_record_many(p->counts->service, p->service_ns, p->count);
    }
    if (p->in_window) {
        p->counts->in_window += p->count;
        ab_hist_record_many(w->interval[w->epoch & 1], p->latency_ns, p->count);
    }
    p->count = 0;
}

void worker__record(struct ab_worker *w, const struct ab_request *r, uint64_t now_ns, uint64_t bytes,
                    enum request_result result)
{
    bool timed = worker__is_timed(w->spec);
    bool in_window = now_ns >= w->begin_ns && now_ns <= w->end_ns;

    w->last_done_ns = now_ns;
    if (r->warm || (!timed && !in_window)) {
        return;
    }
    struct ab_counts *c = &w->counts[r->command];
    struct ab_pending *p = &w->pending;
    uint64_t latency = now_ns - r->intended_ns, service = now_ns - r->sent_ns;
    c->requests++;
    c->bytes_in += bytes;
    c->bytes_out += r->bytes;
    c->errors += result == RESULT_ERROR;
    c->mismatches += result == RESULT_DIFFERS;
    c->misses += result == RESULT_NULL;
    if (p->counts != c || p->latency_ns != latency || p->service_ns != service ||
        p->in_window != in_window) {
        worker__record_pending(w);
        *p = (struct ab_pending){c, latency, service, 0, in_window};
    }
    p->count++;
}

/* What is due but was not answered in time counts with the time that it has taken so far: leaving
 * it out would hide the very requests that the open loop is for. */
static void record_unfinished(struct ab_worker *w, uint64_t intended_ns, uint64_t sent_ns,
                              uint16_t command, uint64_t now_ns)
{
    struct ab_counts *c = &w->counts[command];
    ab_hist_record(c->latency, now_ns - intended_ns);
    if (c->service && sent_ns > 0) {
        ab_hist_record(c->service, now_ns - sent_ns);
    }
    c->requests++;
    w->unfinished++;
}

static void change_epoch(struct ab_worker *w)
{
    unsigned wanted = atomic_load_explicit(&w->wanted_epoch, memory_order_acquire);
    if (wanted != w->epoch) {
        w->epoch = wanted;
        atomic_store_explicit(&w->done_epoch, wanted, memory_order_release);
    }
}

/* ---- making requests ------------------------------------------------------------------------- */

/* The next sequence number; false when the count is used up. */
static bool claim(struct ab_worker *w, uint64_t *sequence)
{
    if (w->claim_next == w->claim_end) {
        _Atomic uint64_t *from = w->warm ? &w->shared->claimed_warmup : &w->shared->claimed;
        uint64_t limit = w->warm || w->spec->requests == 0 ? UINT64_MAX : w->spec->requests;
        if (atomic_load_explicit(from, memory_order_relaxed) >= limit) {
            w->exhausted = true;
            return false;
        }
        uint64_t first = atomic_fetch_add_explicit(from, w->claim_size, memory_order_relaxed);
        if (first >= limit) {
            w->exhausted = true;
            return false;
        }
        w->claim_next = first;
        w->claim_end = limit - first < w->claim_size ? limit : first + w->claim_size;
    }
    *sequence = w->claim_next++;
    return true;
}

static uint16_t choose_command(struct ab_worker *w, uint64_t sequence)
{
    int n = w->spec->template_count;
    if (n == 1) {
        return 0;
    }
    if (w->spec->in_order) {
        return (uint16_t)(sequence % (uint64_t)n);
    }
    double u = ab_rng_unit(&w->rng);
    int at = 0;
    while (at < n - 1 && u >= w->cumulated[at]) {
        at++;
    }
    return (uint16_t)at;
}

static bool issue(struct ab_worker *w, struct ab_client *client, uint64_t intended_ns)
{
    struct ab_request r = {.intended_ns = intended_ns, .kind = REQUEST, .warm = w->warm};
    uint64_t sequence;

    if (!claim(w, &sequence)) {
        return false;
    }
    r.command = choose_command(w, sequence);
    r.draw.seed = ab_rng_next(&w->rng);
    r.draw.sequence = sequence * w->spec->space->sequence_step;
    worker__send_request(w, client, &r);
    return true;
}

static void room_push(struct ab_worker *w, struct ab_client *client)
{
    client->queued = true;
    w->room[w->room_tail++ & w->room_mask] = client;
}

void worker__client_free(struct ab_worker *w, struct ab_client *client)
{
    const struct ab_run_spec *spec = w->spec;
    if (!w->running || spec->replay) {
        return;
    }
    if (spec->rate > 0) {
        if (!client->queued && client->in_flight < (uint32_t)spec->pipeline) {
            room_push(w, client);
        }
        return;
    }
    if (client->in_flight == 0) {
        for (int i = 0; i < spec->pipeline && issue(w, client, 0); i++) {
        }
    }
}

static uint64_t due_ns(const struct ab_worker *w)
{
    return w->start_ns + (uint64_t)w->due.due_ns;
}

static void issue_due(struct ab_worker *w, uint64_t now_ns)
{
    while (!w->exhausted && due_ns(w) <= now_ns && w->room_head != w->room_tail) {
        uint64_t due = due_ns(w);
        if (due >= w->end_ns) {
            w->exhausted = true;
            return;
        }
        bool warm = due < w->begin_ns;
        if (w->warm && !warm) {
            w->claim_next = w->claim_end = 0; /* what was claimed for the warm-up */
        }
        w->warm = warm;
        struct ab_client *client = w->room[w->room_head++ & w->room_mask];
        client->queued = false;
        if (!issue(w, client, due)) {
            return;
        }
        ab_schedule_next(&w->due, &w->rng);
        if (client->in_flight < (uint32_t)w->spec->pipeline) {
            room_push(w, client);
        }
    }
}

static void issue_replay(struct ab_worker *w, uint64_t now_ns)
{
    const struct ab_replay *replay = w->spec->replay;
    double speed = w->spec->replay_speed;
    uint32_t threads = (uint32_t)w->spec->threads;

    while (w->replay_at < replay->count) {
        const struct ab_replay_item *item = &replay->items[w->replay_at];
        if (item->client % threads != (uint32_t)w->index) {
            w->replay_at++;
            continue;
        }
        struct ab_client *client = &w->clients[item->client / threads % (uint32_t)w->client_count];
        uint64_t due = w->start_ns + (speed > 0 ? (uint64_t)((double)item->at_ns / speed) : 0);
        uint32_t room = speed > 0 ? REPLAY_IN_FLIGHT_MAX : (uint32_t)w->spec->pipeline;
        if ((speed > 0 && due > now_ns) || client->in_flight >= room) {
            w->due.due_ns = (double)(due - w->start_ns);
            return;
        }
        struct ab_request r = {.intended_ns = due, .kind = REQUEST, .command = item->name};
        r.draw.sequence = w->replay_at++;
        worker__send_request(w, client, &r);
    }
    w->exhausted = true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int64_t time_to_wait(const struct ab_worker *w, uint64_t now_ns)
{
    int64_t wait = AB_TURN_NS_MAX;
    bool can_issue = w->spec->replay ? w->spec->replay_speed > 0 : w->room_head != w->room_tail;
    if (worker__is_timed(w->spec) && !w->exhausted && can_issue) {
        int64_t left = (int64_t)(due_ns(w) - now_ns);
        wait = left < wait ? left : wait;
        if (wait < SPIN_NS) {
            return 0;
        }
    }
    if (w->end_ns != UINT64_MAX && now_ns < w->end_ns && (int64_t)(w->end_ns - now_ns) < wait) {
        wait = (int64_t)(w->end_ns - now_ns);
    }
    return wait;
}

static bool is_over(struct ab_worker *w, uint64_t now_ns)
{
    const struct ab_run_spec *spec = w->spec;
    if (atomic_load_explicit(&w->shared->stop, memory_order_relaxed)) {
        return true;
    }
    if (w->exhausted && w->in_flight == 0) {
        return true;
    }
    if (spec->rate > 0) {
        return w->end_ns != UINT64_MAX && now_ns >= w->end_ns + spec->drain_ns;
    }
    return now_ns >= w->end_ns;
}

/* The open loop's end: what is due and was not answered. */
static void count_unfinished(struct ab_worker *w, uint64_t now_ns)
{
    for (int i = 0; i < w->client_count; i++) {
        int nodes = w->spec->cluster ? AB_NODES_MAX : 1;
        for (int n = 0; n < nodes; n++) {
            struct ab_conn *c = w->clients[i].conn[n];
            for (uint32_t at = c ? c->head : 0; c && at != c->tail; at++) {
                struct ab_request *r = &c->ring[at & c->mask];
                if (r->kind == REQUEST && !r->warm) {
                    record_unfinished(w, r->intended_ns, r->sent_ns, r->command, now_ns);
                }
            }
        }
    }
    while (!w->exhausted && due_ns(w) < w->end_ns && due_ns(w) < now_ns) {
        if (due_ns(w) >= w->begin_ns) {
            record_unfinished(w, due_ns(w), 0, choose_command(w, w->due.number), now_ns);
        }
        ab_schedule_next(&w->due, &w->rng);
    }
}

static void run_turns(struct ab_worker *w)
{
    const struct ab_run_spec *spec = w->spec;
    uint64_t now_ns;

    w->running = true;
    w->warm = w->begin_ns > w->start_ns;
    if (spec->rate > 0) {
        ab_schedule_begin(&w->due, spec->rate, spec->arrival == AB_ARRIVAL_POISSON, spec->threads,
                          w->index, &w->rng);
    }
    for (int i = 0; i < w->client_count; i++) {
        worker__client_free(w, &w->clients[i]);
    }
    for (;;) {
        now_ns = ab_now_ns();
        if (w->warm && spec->rate <= 0 && now_ns >= w->begin_ns) {
            w->warm = false;
            w->claim_next = w->claim_end = 0;
        }
        if (spec->replay) {
            issue_replay(w, now_ns);
        } else if (spec->rate > 0) {
            issue_due(w, now_ns);
        }
        worker__flush(w, now_ns);
        change_epoch(w);
        if (is_over(w, now_ns)) {
            break;
        }
        io_turn(w->io, time_to_wait(w, now_ns));
    }
    if (spec->rate > 0 && w->end_ns != UINT64_MAX) {
        count_unfinished(w, now_ns);
    }
    w->running = false;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void prepare(struct ab_worker *w)
{
    const struct ab_run_spec *spec = w->spec;
    uint32_t cap = 2;
    double total = 0;

    w->rng.state = ab_mix(spec->seed + (uint64_t)w->index * AB_GOLDEN);
    w->command_count = spec->replay ? spec->replay->name_count : spec->template_count;
    w->counts = worker__alloc((size_t)w->command_count, sizeof *w->counts);
    for (int i = 0; i < w->command_count; i++) {
        w->counts[i].latency = ab_hist_new();
        w->counts[i].service = worker__is_timed(spec) ? ab_hist_new() : NULL;
    }
    w->interval[0] = ab_hist_new();
    w->interval[1] = ab_hist_new();
    w->cumulated = worker__alloc((size_t)spec->template_count + 1, sizeof *w->cumulated);
    for (int i = 0; i < spec->template_count; i++) {
        total += spec->weights[i];
        w->cumulated[i] = total;
    }
    for (int i = 0; i < spec->template_count; i++) {
        w->cumulated[i] /= total;
    }
    while (cap < (uint32_t)w->client_count * 2) {
        cap *= 2;
    }
    w->room = worker__alloc(cap, sizeof *w->room);
    w->room_mask = cap - 1;
    w->claim_size = AB_CLAIM_MAX;
    if (spec->requests > 0) {
        uint64_t share = spec->requests / ((uint64_t)spec->clients * 8 + 1);
        w->claim_size = share < 1 ? 1 : share < AB_CLAIM_MAX ? share : AB_CLAIM_MAX;
    }
    w->clients = worker__alloc((size_t)w->client_count, sizeof *w->clients);
    for (int i = 0; i < w->client_count; i++) {
        w->clients[i].conn = worker__alloc(spec->cluster ? AB_NODES_MAX : 1, sizeof(struct ab_conn *));
    }
}

static bool start_io(struct ab_worker *w)
{
    struct io_config config = {.backend = w->spec->force_epoll ? IO_EPOLL : IO_AUTO,
                               .buffers = BUFFERS_MIN,
                               .entries = RING_ENTRIES,
                               .handlers = &worker__handlers};
    const char *why;
    while (config.buffers < (uint32_t)w->client_count && config.buffers < BUFFERS_MAX) {
        config.buffers *= 2;
    }
    int rc = io_create(&w->io, &config, &why);
    if (rc < 0) {
        ab_shared_fail_mp(w->shared, "cannot set up a thread's I/O: %s", why);
        return false;
    }
    w->backend = io_backend_name(w->io);
    return true;
}

/* Standalone: every client's connection. Cluster: to all nodes that have slots, so that the run
 * does not begin with connecting. */
static void connect_all(struct ab_worker *w)
{
    struct ab_cluster *cluster = w->spec->cluster;
    bool serves[AB_NODES_MAX] = {!cluster};

    for (int i = 0; cluster && i < AB_SLOTS; i++) {
        uint16_t node = atomic_load(&cluster->slot[i]);
        if (node != AB_NODE_NONE) {
            serves[node] = true;
        }
    }
    for (int i = 0; i < w->client_count; i++) {
        for (int n = 0; n < AB_NODES_MAX; n++) {
            if (serves[n] && !worker__connect(w, &w->clients[i], n)) {
                return;
            }
        }
        worker__flush(w, ab_now_ns());
        io_turn(w->io, 0);
    }
}

static void free_all(struct ab_worker *w)
{
    if (w->io) {
        io_destroy(w->io);
    }
    for (int i = 0; i < w->client_count; i++) {
        for (int n = 0; n < (w->spec->cluster ? AB_NODES_MAX : 1); n++) {
            if (w->clients[i].conn[n]) {
                worker__conn_free(w->clients[i].conn[n]);
            }
        }
        free(w->clients[i].conn);
    }
    free(w->clients);
    free(w->room);
    free(w->scratch);
    free(w->cumulated);
}

void *ab_worker_main(void *worker)
{
    struct ab_worker *w = worker;
    struct ab_shared *s = w->shared;

    prctl(PR_SET_TIMERSLACK, 1000);
    if (w->spec->cpu_count > 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(w->spec->cpus[w->index % w->spec->cpu_count], &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) {
            ab_shared_fail_mp(s, "--cpus: this machine has no CPU %d, or it may not be used",
                              w->spec->cpus[w->index % w->spec->cpu_count]);
        }
    }
    prepare(w);
    if (!atomic_load(&s->stop) && start_io(w)) {
        connect_all(w);
        while (w->clients_ready < w->client_count && !atomic_load(&s->stop)) {
            worker__flush(w, ab_now_ns());
            io_turn(w->io, READY_TURN_NS);
        }
    }
    atomic_fetch_add(&s->ready, 1);
    uint64_t start;
    while ((start = atomic_load(&s->start_ns)) == 0 && !atomic_load(&s->stop)) {
        io_turn(w->io, READY_TURN_NS);
    }
    w->start_ns = start;
    w->begin_ns = s->begin_ns;
    w->end_ns = s->end_ns;
    while (!atomic_load(&s->stop) && ab_now_ns() < start) {
        io_turn(w->io, (int64_t)(start - ab_now_ns()) > 0 ? (int64_t)(start - ab_now_ns()) : 0);
    }
    if (!atomic_load(&s->stop)) {
        run_turns(w);
    }
    free_all(w);
    atomic_fetch_add(&s->finished, 1);
    return NULL;
}
