/* shard.c - a shard's part of a turn (DESIGN.md section 2, "One turn of a shard's loop"). Its
 * worker (worker.h) receives before it, and sends and sleeps after it.
 *
 *   shard_take_in  route_phase: take in commands, push them to their shards
 *   shard_run      exec_turn: take the mailbox, run what may run, send back what is done
 *   shard_answer   replies in the connections' order; barrier commands; one gathered send per
 *                  connection; background: timers, expiry, freeing, within a budget
 */
#include "shards/shard.h"
#include "shards/blocked.h"
#include "shards/exec.h"
#include "shards/info.h"
#include "shards/latency.h"
#include "shards/multi.h"
#include "shards/notify.h"
#include "shards/pubsub.h"
#include "shards/route.h"
#include "shards/scripting.h"
#include "shards/slowlog.h"
#include "shards/touch.h"
#include "shards/tracking.h"
#include "shards/worker.h"
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

enum {
    CRON_NS = 100000000,          /* timers of a shard's own */
    BACKGROUND_SLICE_NS = 150000, /* in one turn: freeing, expiring, compacting, each at most */
};

_Thread_local struct shard *shard_self;

struct shard *shard_new(struct server *server, unsigned id)
{
    struct shard *s = mem_alloc_aligned(sizeof *s, 64);
    memset(s, 0, sizeof *s);
    mailbox_init(&s->mailbox);
    s->server = server;
    s->id = id;
    return s;
}

/* --- now and then ---------------------------------------------------------------------------- */

static void publish_counters(struct shard *s)
{
    struct keyspace *ks = s->keyspace;
    scripting_measure(s);
    if (s->exec->held_all) {
        return; /* next time */
    }
    int64_t keys = 0, expiring = 0;
    for (int i = 0; i < ks->databases; i++) {
        keys += ks->db[i]->keys;
        expiring += ks->db[i]->expiring;
        if (i < 16) {
            counter_set(&s->stats.db_keys[i], (uint64_t)ks->db[i]->keys);
            counter_set(&s->stats.db_expiring[i], (uint64_t)ks->db[i]->expiring);
            counter_set(&s->stats.db_expiry_sum_ms[i], (uint64_t)ks->db[i]->expiry_sum_ms);
        }
    }
    counter_set(&s->stats.keys, (uint64_t)keys);
    counter_set(&s->stats.expiring, (uint64_t)expiring);
    counter_set(&s->stats.hits, ks->stats.hits);
    counter_set(&s->stats.misses, ks->stats.misses);
    counter_set(&s->stats.expired, ks->stats.expired);
    counter_set(&s->stats.evicted, ks->stats.evicted);
    counter_set(&s->stats.dirty, ks->dirty);
}

/* Of the thread: the first of its shards answers for all. */
static void read_cpu_time(struct shard *s)
{
    struct rusage u;
    if (s->worker->shards[0] == s && getrusage(RUSAGE_THREAD, &u) == 0) {
        counter_set(&s->stats.cpu_user_us,
                    (uint64_t)u.ru_utime.tv_sec * 1000000u + (uint64_t)u.ru_utime.tv_usec);
        counter_set(&s->stats.cpu_sys_us,
                    (uint64_t)u.ru_stime.tv_sec * 1000000u + (uint64_t)u.ru_stime.tv_usec);
    }
}

static void end_pause(struct shard *s)
{
    int64_t until = atomic_load_explicit(&s->server->pause_until_ms, memory_order_relaxed);
    if (until == 0 || s->now_ms >= until) {
        conn_pause_changed(s);
    }
}

static void cron(struct timer *t, uint64_t now_ns)
{
    struct shard *s = (struct shard *)((char *)t - offsetof(struct shard, cron));
    if (atomic_load_explicit(&s->server->cron_paused, memory_order_relaxed)) {
        timers_set(&s->timers, t, now_ns + CRON_NS);
        return;
    }
    s->cron_runs++;
    publish_counters(s);
    end_pause(s);
    s->compacting = s->collecting = true;
    if (s->cron_runs % 10 == 0) {
        conn_cron(s);
        clients_cron(s);
        read_cpu_time(s);
    }
    if (s->id == 0) {
        info_sample(s->server, now_ns);
    }
    timers_set(&s->timers, t, now_ns + CRON_NS);
}

/* --- background ------------------------------------------------------------------------------ */

static struct keyspace_background slice_until(struct shard *s, uint64_t deadline_ns)
{
    return (struct keyspace_background){
        .now_ms = s->now_ms, .deadline_ns = deadline_ns, .may_touch = exec_may_touch, .ctx = s};
}

/* Expiry gets at most a quarter of a busy shard's time. True when there is more to do. */
static bool expire(struct shard *s)
{
    if (!s->config->core.active_expire || s->keyspace->keep_expired ||
        keyspace_expire_next_ms(s->keyspace) > s->now_ms) {
        return false;
    }
    uint64_t start = clock_mono_ns();
    if (start < s->expire_pause_until_ns) {
        return false;
    }
    struct keyspace_background b = slice_until(s, start + BACKGROUND_SLICE_NS);
    keyspace_expire_slice(s->keyspace, &b);
    uint64_t end = clock_mono_ns();
    s->expire_pause_until_ns = end + 3 * (end - start);
    return keyspace_expire_next_ms(s->keyspace) <= s->now_ms;
}

/* Compaction begins with the cron and goes on in slices: one after the other while the shard has
 * nothing else to do, else for a quarter of the time. True when the next one may follow at once. */
static bool compact(struct shard *s, bool idle)
{
    if (!s->compacting || (!idle && s->now_ns < s->compact_pause_until_ns)) {
        return false;
    }
    uint64_t start = clock_mono_ns();
    struct keyspace_background b = slice_until(s, start + BACKGROUND_SLICE_NS);
    s->compacting = keyspace_compact_slice(s->keyspace, &b);
    uint64_t end = clock_mono_ns();
    s->compact_pause_until_ns = end + 3 * (end - start);
    return idle && s->compacting;
}

/* What scripts have left behind, begun by the cron; at once only while there is nothing else to do. */
static bool collect(struct shard *s, bool idle)
{
    if (!s->collecting) {
        return false;
    }
    bool more = s->scripting->vm != NULL && script_vm_collect_slice(s->scripting->vm);
    s->collecting = idle && more;
    return s->collecting;
}

/* True when there is more to do at once. */
static bool background(struct shard *s, bool idle)
{
    bool more = false;
    if (s->exec->held_all) {
        return false; /* somebody else works on the keyspace */
    }
    if (keyspace_free_pending(s->keyspace)) {
        more = !keyspace_free_slice(s->keyspace, clock_mono_ns() + BACKGROUND_SLICE_NS);
    }
    more |= evict_slice(s);
    more |= expire(s);
    more |= compact(s, idle);
    more |= collect(s, idle);
    return more;
}

/* --- the turn -------------------------------------------------------------------------------- */

static void take_done(struct shard *s)
{
    struct run *run = s->exec->done.first;
    s->exec->done = (struct chain){NULL, NULL};
    while (run != NULL) {
        struct run *next = run->next;
        run_prefetch(next);
        route_run_done(s, run);
        run = next;
    }
}

/* While CLIENT PAUSE lasts nothing changes the data set: expired keys are absent, but stay. */
static void follow_pause(struct shard *s)
{
    int64_t until = atomic_load_explicit(&s->server->pause_until_ms, memory_order_relaxed);
    if (!s->exec->held_all) {
        s->keyspace->keep_expired = s->now_ms < until;
    }
}

void shard_take_in(struct shard *s)
{
    follow_pause(s);
    evict_look(s);
    counter_add(&s->stats.turns, 1);
    clients_turn(s); /* before what has arrived runs, which may have been too much */
    route_phase(s);
}

bool shard_run(struct shard *s)
{
    return exec_turn(s);
}

void shard_answer(struct shard *s, bool worked)
{
    take_done(s);
    route_barriers(s);
    timers_run(&s->timers, s->now_ns, 64);
    pushes_flush(s);
    conn_flush_all(s);
    s->more = background(s, !worked);
    tracking_turn(s);
    if (pushes_flush(s)) { /* keys have expired */
        conn_flush_all(s);
    }
    clients_turn(s);
}

bool shard_is_busy(const struct shard *s)
{
    return s->more || s->ready != NULL || s->barriers != NULL || s->monitor_lines != NULL ||
           s->retries != NULL || s->again != NULL || exec_must_not_sleep(s);
}

bool shard_has_turn(const struct shard *s)
{
    return shard_is_busy(s) || !mailbox_empty(&s->mailbox) || s->flush != NULL ||
           timers_next_ns(&s->timers) <= s->now_ns || s->clients.grown || s->pushes->count > 0;
}

void shard_serve_part(struct shard *s)
{
    s->serving = true;
    counter_add(&s->stats.turns, 1);
    route_phase(s);
    exec_serve(s);
    take_done(s);
    route_barriers(s);
    conn_flush_all(s);
    clients_turn(s);
    s->serving = false;
}

/* --- life ------------------------------------------------------------------------------------ */

void shard_start(struct shard *s, struct io *io)
{
    struct server *server = s->server;
    s->io = io;
    timers_init(&s->timers);
    s->keyspace = keyspace_new(&s->config->core);
    touch_attach(s);
    s->keyspace->hooks.event = notify_event;
    s->tracking = tracking_shard_new();
    s->pubsub = pubsub_new();
    s->pushes = push_box_new(server->shard_count);
    s->exec = exec_new();
    s->blocked = blocked_new();
    s->route = route_new(server->shard_count);
    s->outbox = mem_alloc_zero(server->shard_count * sizeof *s->outbox);
    s->returns = mem_alloc_zero(server->shard_count * sizeof *s->returns);
    s->slowlog = slowlog_new();
    s->latency = latency_new();
    s->scripting = scripting_new();
    clients_configured(s);
    s->cron.fire = cron;
    timers_set(&s->timers, &s->cron, s->now_ns + CRON_NS);
}

void shard_end(struct shard *s)
{
#if defined(__SANITIZE_ADDRESS__)
    timers_free(&s->timers);
    keyspace_destroy(s->keyspace);
    tracking_shard_free(s->tracking);
    exec_free(s->exec);
    blocked_free(s->blocked);
    route_free(s->route);
    run_pool_free(&s->run_pool);
    multi_pool_free(s);
    mem_free(s->outbox);
    mem_free(s->returns);
    slowlog_free(s->slowlog);
    latency_free(s->latency);
    scripting_free(s->scripting);
    lookup_free(&s->conn_ids);
    pubsub_free(s->pubsub);
    push_box_free(s->pushes, s->server->shard_count);
    lookup_free(&s->watched);
#endif
    (void)s;
}
