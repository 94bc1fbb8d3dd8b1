/* shard.c - the loop of a shard (DESIGN.md section 2, "One turn of a shard's loop").
 *
 *   io_turn        submit, sleep if there is nothing to do, receive
 *   route_phase    take in commands, push them to their shards
 *   exec_turn      take the mailbox, run what may run, send back what is done
 *   finish         replies in the connections' order; barrier commands
 *   flush          one gathered send per connection (handed over by the next io_turn)
 *   background     timers, expiry, freeing, within a budget
 */
#include "shards/shard.h"
#include "core/slab.h"
#include "shards/blocked.h"
#include "shards/crash.h"
#include "shards/exec.h"
#include "shards/info.h"
#include "shards/latency.h"
#include "shards/listener.h"
#include "shards/multi.h"
#include "shards/notify.h"
#include "shards/pubsub.h"
#include "shards/route.h"
#include "shards/sim_point.h"
#include "shards/scripting.h"
#include "shards/slowlog.h"
#include "shards/touch.h"
#include <assert.h>
#include "shards/tracking.h"
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    CRON_NS = 100000000,          /* timers of a shard's own */
    BACKGROUND_SLICE_NS = 150000, /* in one turn: freeing, expiring, compacting, each at most */
    WIND_DOWN_NS = 2000000000,    /* at the end: for what is in flight to come back */
    LINGER_ROUNDS = 4,            /* looks at the mailbox before sleeping, after work */
    TURN_LONG_NS = 1000000,       /* turns above it are worth a reading of the CPU clock */
    TURN_CPU_AGE_NS = 100000,     /* the reading before is no older than this, in time of turns */
    TURN_SLEEP_CPU_NS = 10000,    /* what going to sleep and waking up may have cost */
    SHARD_BUFFERS = 512,          /* receive buffers (8 MiB of address space, touched as needed) */
    SHARD_ENTRIES = 2048,
};

_Thread_local struct shard *shard_self;

static const struct io_handlers handlers = {
    .accepted = listener_accepted,
    .received = conn_received,
    .sent = conn_sent,
    .closed = conn_closed,
};

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

static void read_cpu_time(struct shard *s)
{
    struct rusage u;
    if (getrusage(RUSAGE_THREAD, &u) == 0) {
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

/* --- the loop -------------------------------------------------------------------------------- */

static void read_clocks(struct shard *s)
{
    s->now_ns = clock_mono_ns();
    s->now_ms = clock_unix_ms();
    s->lru_clock = (uint32_t)(s->now_ms / 1000) & 0xffffff;
}

/* --- how long turns take ----------------------------------------------------------------------
 * From one read_clocks() to the next, without the sleep between them: so long does everybody else
 * on the shard wait. The clock alone cannot tell a long turn from one whose core was taken away, so
 * that turns above TURN_LONG_NS are also measured in CPU time. Reading that is a system call: it is
 * done at the end of such a turn, and else only when the reading before has become too old. A turn
 * that begins has so at most TURN_CPU_AGE_NS of others' time in its figure. */

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void raise_to(counter *longest, uint64_t ns)
{
    if (ns > counter_get(longest)) {
        counter_set(longest, ns);
    }
}

/* At the end of a turn, which is the beginning of the next. */
static void measure_turn(struct shard *s)
{
    bool slept = s->slept_from_ns != 0;
    uint64_t awake_ns = (slept ? s->slept_from_ns : s->now_ns) - s->turn_began_ns;
    s->turn_began_ns = s->now_ns;
    s->slept_from_ns = 0;
    s->turn_cpu_age_ns += awake_ns + (slept ? TURN_SLEEP_CPU_NS : 0);
    raise_to(&s->stats.longest_turn_ns, awake_ns);
    if (awake_ns < TURN_LONG_NS && s->turn_cpu_age_ns < TURN_CPU_AGE_NS) {
        return;
    }
    uint64_t cpu_ns = thread_cpu_ns();
    if (awake_ns >= TURN_LONG_NS) {
        raise_to(&s->stats.longest_turn_cpu_ns, cpu_ns - s->turn_cpu_ns);
    }
    s->turn_cpu_ns = cpu_ns;
    s->turn_cpu_age_ns = 0;
}

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

/* Right after work, more is likely to come from the other shards: looking a few times again, and
 * letting them run where the core is shared, is cheaper than sleeping and being woken. */
static bool linger(struct shard *s)
{
    while (s->linger > 0) {
        s->linger--;
        sched_rest();
        if (!mailbox_empty(&s->mailbox)) {
            return true;
        }
    }
    return false;
}

/* Submits, waits when there is nothing to do, and receives. */
static void wait_turn(struct shard *s, bool busy)
{
    if (busy) {
        io_turn(s->io, 0);
        if (exec_must_not_sleep(s)) {
            sched_rest(); /* the owner of the open phase may need this core */
        }
        return;
    }
    if (s->linger > 0) {
        if (io_turn(s->io, 0) > 0 || s->ready != NULL || linger(s)) {
            return;
        }
    }
    uint64_t next = timers_next_ns(&s->timers), now = clock_mono_ns();
    int64_t wait = next > now ? (int64_t)(next - now) : 0;
    if (s->flush != NULL && wait > CONN_HOLD_NS) {
        wait = CONN_HOLD_NS;
    }
    if (mailbox_sleep_sc(&s->mailbox)) {
        counter_add(&s->stats.sleeps, 1);
        s->slept_from_ns = now;
        io_turn(s->io, wait);
        mailbox_awake_sc(&s->mailbox);
    } else {
        io_turn(s->io, 0);
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

/* One turn; returns whether the background has more to do. */
static bool turn(struct shard *s, bool more)
{
    bool busy = more || s->ready != NULL || s->barriers != NULL || s->monitor_lines != NULL ||
                s->retries != NULL || s->again != NULL || exec_must_not_sleep(s);
    wait_turn(s, busy);
    read_clocks(s);
    measure_turn(s);
    follow_pause(s);
    evict_look(s);
    counter_add(&s->stats.turns, 1);
    clients_turn(s); /* before what has arrived runs, which may have been too much */
    route_phase(s);
    bool worked = exec_turn(s);
    if (worked && s->server->shard_count > 1) {
        s->linger = LINGER_ROUNDS;
    }
    take_done(s);
    route_barriers(s);
    timers_run(&s->timers, s->now_ns, 64);
    pushes_flush(s);
    conn_flush_all(s);
    more = background(s, !worked);
    tracking_turn(s);
    if (pushes_flush(s)) { /* keys have expired */
        conn_flush_all(s);
    }
    clients_turn(s);
    return more;
}

/* The same between a script's instructions: what arrives is taken in, sorted, refused or sent to
 * other shards, replies leave; nothing runs here (scripting.h I3). */
void shard_serve(struct shard *s)
{
    assert(!s->serving);
    s->serving = true;
    io_turn(s->io, 0);
    read_clocks(s);
    counter_add(&s->stats.turns, 1);
    route_phase(s);
    exec_serve(s);
    take_done(s);
    route_barriers(s);
    conn_flush_all(s);
    clients_turn(s);
    s->serving = false;
}

/* Closes all connections, and goes on until what they have in flight has come back to every shard:
 * no message is left behind for one that is gone. */
static void wind_down(struct shard *s)
{
    struct server *server = s->server;
    uint64_t give_up_ns = clock_mono_ns() + WIND_DOWN_NS;
    bool counted = false;
    while (s->conns != NULL) {
        conn_close(s->conns, false);
    }
    while (atomic_load(&server->wound_down) < server->shard_count && s->now_ns < give_up_ns) {
        if (s->conns_alive == 0 && !counted) {
            counted = true;
            atomic_fetch_add(&server->wound_down, 1);
        }
        turn(s, true);
        sched_rest();
        while (s->conns != NULL) { /* one that was on its way here */
            conn_close(s->conns, false);
        }
    }
}

static void loop(struct shard *s)
{
    bool more = false;
    while (!atomic_load_explicit(&s->server->stopping, memory_order_acquire)) {
        more = turn(s, more);
    }
    wind_down(s);
}

/* The process ends: memory is only given back where a leak checker looks for it. */
static void give_back(struct shard *s)
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
    reply_pool_drain();
#endif
    (void)s;
}

static void pin(const struct shard *s)
{
    cpu_set_t usable, one;
    if (sched_getaffinity(0, sizeof usable, &usable) != 0) {
        return;
    }
    int n = CPU_COUNT(&usable), want = (int)(s->id % (unsigned)n);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &usable) && want-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof one, &one) != 0) {
                log_warning("Shard %u could not be pinned to CPU %d: %s", s->id, cpu,
                            strerror(errno));
            }
            return;
        }
    }
}

static bool start(struct shard *s)
{
    struct server *server = s->server;
    crash_thread_init();
    mem_thread_register(&s->memory);
    slab_thread_init();
    shard_self = s;
    if (s->config->shard_pinning) {
        pin(s);
    }
    struct io_config io = {
        .backend = s->config->io_backend,
        .buffers = SHARD_BUFFERS,
        .entries = SHARD_ENTRIES,
        .handlers = &handlers,
    };
    const char *why = "";
    int err = io_create(&s->io, &io, &why);
    if (err < 0) {
        log_warning("Shard %u could not set up its I/O: %s (%s)", s->id, strerror(-err), why);
        return false;
    }
    if (s->id == 0) {
        server->io_backend_name = io_backend_name(s->io);
        log_notice("I/O backend: %s (%s)", server->io_backend_name, why);
    }
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
    read_clocks(s);
    s->turn_began_ns = s->now_ns;
    s->turn_cpu_ns = thread_cpu_ns();
    s->cron.fire = cron;
    timers_set(&s->timers, &s->cron, s->now_ns + CRON_NS);
    return true;
}

void *shard_main(void *arg)
{
    struct shard *s = arg;
    char name[16];
    snprintf(name, sizeof name, "shard-%u", s->id);
    pthread_setname_np(pthread_self(), name);
    bool ok = start(s);
    if (!server_shard_started(s->server, ok)) {
        return NULL;
    }
    if (s->id == 0) {
        listeners_start(s->server->listeners, s);
    }
    loop(s);
    give_back(s);
    return NULL;
}
