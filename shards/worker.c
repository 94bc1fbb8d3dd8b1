/* worker.c - see worker.h. */
#include "shards/worker.h"
#include "shards/crash.h"
#include "shards/exec.h"
#include "shards/latency.h"
#include "shards/listener.h"
#include "shards/log.h"
#include "shards/scripting.h"
#include "shards/sim_point.h"
#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
    WIND_DOWN_NS = 2000000000,  /* at the end: for what is in flight to come back */
    LINGER_ROUNDS = 4,          /* looks at the mailboxes before sleeping, after work */
    TURN_LONG_NS = 1000000,     /* turns above it are worth a reading of the CPU clock */
    TURN_CPU_AGE_NS = 100000,   /* the reading before is no older than this, in time of turns */
    TURN_SLEEP_CPU_NS = 10000,  /* what going to sleep and waking up may have cost */
    WORKER_BUFFERS = 512,       /* receive buffers (8 MiB of address space, touched as needed) */
    WORKER_ENTRIES = 2048,
};

/* --- handlers: W2 ---------------------------------------------------------------------------- */

static struct shard *shard_of(const struct io_sock *sock)
{
    return ((const struct conn *)(const void *)sock)->shard;
}

/* The first worker listens, for its first shard. */
static void accepted(struct io_listener *l, int fd)
{
    worker_become(shard_self->worker->shards[0]);
    listener_accepted(l, fd);
}

static void received(struct io_sock *sock, struct io_buf *buf, int len)
{
    worker_become(shard_of(sock));
    conn_received(sock, buf, len);
}

static void sent(struct io_sock *sock, ssize_t result)
{
    worker_become(shard_of(sock));
    conn_sent(sock, result);
}

static void closed(struct io_sock *sock)
{
    worker_become(shard_of(sock));
    conn_closed(sock);
}

static const struct io_handlers handlers = {
    .accepted = accepted,
    .received = received,
    .sent = sent,
    .closed = closed,
};

/* --- clocks ---------------------------------------------------------------------------------- */

static void read_clocks(struct worker *w)
{
    w->now_ns = clock_mono_ns();
    w->now_ms = clock_unix_ms();
}

/* The time that the worker has read. */
static void set_clocks(struct shard *s)
{
    s->now_ns = s->worker->now_ns;
    s->now_ms = s->worker->now_ms;
    s->lru_clock = (uint32_t)(s->now_ms / 1000) & 0xffffff;
}

/* --- how long turns take ----------------------------------------------------------------------
 * From one read_clocks() to the next, without the sleep between them: so long does everybody else
 * on the thread wait. The clock alone cannot tell a long turn from one whose core was taken away, so
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

/* At the end of a turn, which is the beginning of the next. Those that are short are noted with the
 * first shard only: it takes a cache line of each. */
static void measure_turn(struct worker *w)
{
    bool slept = w->slept_from_ns != 0;
    uint64_t awake_ns = (slept ? w->slept_from_ns : w->now_ns) - w->turn_began_ns;
    w->turn_began_ns = w->now_ns;
    w->slept_from_ns = 0;
    w->turn_cpu_age_ns += awake_ns + (slept ? TURN_SLEEP_CPU_NS : 0);
    if (awake_ns < TURN_LONG_NS && w->turn_cpu_age_ns < TURN_CPU_AGE_NS) {
        raise_to(&w->shards[0]->stats.longest_turn_ns, awake_ns);
        return;
    }
    uint64_t cpu_ns = thread_cpu_ns();
    for (unsigned i = 0; i < w->count; i++) {
        raise_to(&w->shards[i]->stats.longest_turn_ns, awake_ns);
        if (awake_ns >= TURN_LONG_NS) {
            raise_to(&w->shards[i]->stats.longest_turn_cpu_ns, cpu_ns - w->turn_cpu_ns);
        }
    }
    w->turn_cpu_ns = cpu_ns;
    w->turn_cpu_age_ns = 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool any_message(const struct worker *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (!mailbox_empty(&w->shards[i]->mailbox)) {
            return true;
        }
    }
    return false;
}

/* Right after work, more is likely to come from the other threads: looking a few times again, and
 * letting them run where the core is shared, is cheaper than sleeping and being woken. */
static bool linger(struct worker *w)
{
    while (w->linger > 0) {
        w->linger--;
        sched_rest();
        if (any_message(w)) {
            return true;
        }
    }
    return false;
}

/* W3. False: somebody has got a message, all are awake. */
static bool declare_sleep(struct worker *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (!mailbox_sleep_sc(&w->shards[i]->mailbox)) {
            while (i-- > 0) {
                mailbox_awake_sc(&w->shards[i]->mailbox);
            }
            return false;
        }
    }
    return true;
}

static void sleep_turn(struct worker *w)
{
    uint64_t next = UINT64_MAX, now = clock_mono_ns();
    bool holds = false;
    for (unsigned i = 0; i < w->count; i++) {
        const struct shard *s = w->shards[i];
        uint64_t timer = timers_next_ns(&s->timers);
        next = timer < next ? timer : next;
        holds |= s->flush != NULL;
    }
    int64_t wait = next > now ? (int64_t)(next - now) : 0;
    if (holds && wait > CONN_HOLD_NS) {
        wait = CONN_HOLD_NS;
    }
    if (!declare_sleep(w)) {
        io_turn(w->io, 0);
        return;
    }
    counter_add(&w->shards[0]->stats.sleeps, 1);
    w->slept_from_ns = now;
    io_turn(w->io, wait);
    for (unsigned i = 0; i < w->count; i++) {
        mailbox_awake_sc(&w->shards[i]->mailbox);
    }
}

static bool any_ready(const struct worker *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->shards[i]->ready != NULL) {
            return true;
        }
    }
    return false;
}

/* Submits, waits when there is nothing to do, and receives. */
static void wait_turn(struct worker *w, bool busy)
{
    bool rest = false;
    for (unsigned i = 0; i < w->count; i++) {
        const struct shard *s = w->shards[i];
        busy |= shard_is_busy(s) || (w->count > 1 && !mailbox_empty(&s->mailbox));
        rest |= exec_must_not_sleep(s);
    }
    if (busy) {
        io_turn(w->io, 0);
        if (rest) {
            sched_rest(); /* the owner of the open phase may need this core */
        }
        return;
    }
    if (w->linger > 0 && (io_turn(w->io, 0) > 0 || any_ready(w) || linger(w))) {
        return;
    }
    sleep_turn(w);
}

/* --- the turn -------------------------------------------------------------------------------- */

/* The first part of a shard's turn; nothing when it has no use for one. */
static void take_in(struct shard *s)
{
    set_clocks(s);
    s->worked = false;
    s->active = s->worker->count == 1 || shard_has_turn(s);
    if (s->active) {
        worker_become(s);
        shard_take_in(s);
        s->taken_in = true;
    }
}

static bool run(struct shard *s)
{
    if (!s->active) {
        if (mailbox_empty(&s->mailbox)) {
            return false;
        }
        s->active = true; /* siblings have sent something */
        worker_become(s);
        shard_take_in(s);
    }
    worker_become(s);
    s->taken_in = false;
    s->in_turn = true;
    s->worked = shard_run(s);
    s->in_turn = false;
    return s->worked;
}

/* What siblings have done for it since it ran comes with the rest. */
static bool answer(struct shard *s)
{
    bool more = s->worker->count > 1 && !mailbox_empty(&s->mailbox) && run(s);
    if (s->active) {
        worker_become(s);
        s->in_turn = true;
        shard_answer(s, s->worked);
        s->in_turn = false;
    }
    return more;
}

static void turn(struct worker *w, bool busy)
{
    wait_turn(w, busy);
    read_clocks(w);
    measure_turn(w);
    bool worked = false;
    for (unsigned i = 0; i < w->count; i++) {
        take_in(w->shards[i]);
    }
    for (unsigned i = 0; i < w->count; i++) {
        worked |= run(w->shards[i]);
    }
    for (unsigned i = 0; i < w->count; i++) {
        worked |= answer(w->shards[i]);
    }
    if (worked && w->server->worker_count > 1) {
        w->linger = LINGER_ROUNDS;
    }
}

/* W4: s is in the middle of its turn, and so are those below it. Others may have taken in, and not run
 * yet: they must not take in once more before. */
static void share(struct shard *s)
{
    struct worker *w = s->worker;
    io_turn(w->io, 0);
    read_clocks(w);
    for (unsigned i = 0; i < w->count; i++) {
        struct shard *other = w->shards[i];
        if (!other->in_turn) {
            if (!other->taken_in) {
                take_in(other);
            }
            run(other);
            answer(other);
        } else if (other->busy) {
            set_clocks(other);
            worker_become(other);
            shard_serve_part(other);
        }
    }
    worker_become(s);
}

void shard_serve(struct shard *s)
{
    assert(s->in_turn && !s->serving);
    s->busy = true;
    share(s);
    s->busy = false;
}

void shard_share(struct shard *s)
{
    assert(s->in_turn && !s->serving);
    const uint64_t alone_us =
        atomic_load_explicit(&s->server->slice_turn_us, memory_order_relaxed); /* as a slice has */
    if (s->worker->count > 1 && clock_mono_ns() - s->worker->now_ns >= alone_us * 1000) {
        share(s);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

/* Closes all connections, and goes on until what they have in flight has come back to every shard:
 * no message is left behind for one that is gone. */
static bool close_all(struct worker *w)
{
    bool alive = false;
    for (unsigned i = 0; i < w->count; i++) {
        struct shard *s = w->shards[i];
        worker_become(s);
        while (s->conns != NULL) {
            conn_close(s->conns, false);
        }
        alive |= s->conns_alive > 0;
    }
    return alive;
}

static void wind_down(struct worker *w)
{
    struct server *server = w->server;
    uint64_t give_up_ns = clock_mono_ns() + WIND_DOWN_NS;
    bool counted = false, alive = close_all(w);
    while (atomic_load(&server->wound_down) < server->worker_count && w->now_ns < give_up_ns) {
        if (!alive && !counted) {
            counted = true;
            atomic_fetch_add(&server->wound_down, 1);
        }
        turn(w, true);
        sched_rest();
        alive = close_all(w); /* one that was on its way here */
    }
}

static void pin(const struct worker *w)
{
    cpu_set_t usable, one;
    if (sched_getaffinity(0, sizeof usable, &usable) != 0) {
        return;
    }
    int n = CPU_COUNT(&usable), want = (int)(w->id % (unsigned)n);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &usable) && want-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof one, &one) != 0) {
                log_warning("Shard %u could not be pinned to CPU %d: %s", w->shards[0]->id, cpu,
                            strerror(errno));
            }
            return;
        }
    }
}

static bool start_io(struct worker *w)
{
    const struct config *config = w->shards[0]->config;
    struct io_config io = {
        .backend = config->io_backend,
        .buffers = WORKER_BUFFERS,
        .entries = WORKER_ENTRIES,
        .handlers = &handlers,
    };
    const char *why = "";
    int err = io_create(&w->io, &io, &why);
    if (err < 0) {
        log_warning("Shard %u could not set up its I/O: %s (%s)", w->shards[0]->id, strerror(-err),
                    why);
        return false;
    }
    if (w->id == 0) {
        w->server->io_backend_name = io_backend_name(w->io);
        log_notice("I/O backend: %s (%s)", w->server->io_backend_name, why);
    }
    return true;
}

static bool start(struct worker *w)
{
    crash_thread_init();
    for (unsigned i = 0; i < w->count; i++) { /* each its own counter and slab: W2 */
        struct shard *s = w->shards[i];
        mem_thread_register(&s->memory);
        slab_thread_use(NULL);
        s->slab = slab_thread_init();
    }
    worker_become(w->shards[0]);
    if (w->shards[0]->config->shard_pinning) {
        pin(w);
    }
    if (!start_io(w)) {
        return false;
    }
    read_clocks(w);
    w->turn_began_ns = w->now_ns;
    w->turn_cpu_ns = thread_cpu_ns();
    for (unsigned i = 0; i < w->count; i++) {
        worker_become(w->shards[i]);
        set_clocks(w->shards[i]);
        shard_start(w->shards[i], w->io);
    }
    return true;
}

static void name_thread(const struct worker *w)
{
    char name[16]; /* with its end, all that the kernel keeps */
    unsigned first = w->shards[0]->id % 1000, last = w->shards[w->count - 1]->id % 1000;
    if (w->count == 1) {
        snprintf(name, sizeof name, "shard-%u", first);
    } else {
        snprintf(name, sizeof name, "shards-%u-%u", first, last);
    }
    pthread_setname_np(pthread_self(), name);
}

struct worker *worker_new(struct server *server, unsigned id, struct shard **first, unsigned count)
{
    struct worker *w = mem_alloc_aligned(sizeof *w, 64);
    memset(w, 0, sizeof *w);
    w->server = server;
    w->id = id;
    w->shards = first;
    w->count = count;
    for (unsigned i = 0; i < count; i++) {
        first[i]->worker = w;
    }
    return w;
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    name_thread(w);
    bool ok = start(w);
    if (!server_worker_started(w->server, ok)) {
        return NULL;
    }
    if (w->id == 0) {
        worker_become(w->shards[0]);
        listeners_start(w->server->listeners, w->shards[0]);
    }
    while (!atomic_load_explicit(&w->server->stopping, memory_order_acquire)) {
        turn(w, false);
    }
    wind_down(w);
    for (unsigned i = 0; i < w->count; i++) {
        worker_become(w->shards[i]);
        shard_end(w->shards[i]);
    }
#if defined(__SANITIZE_ADDRESS__)
    reply_pool_drain();
#endif
    return NULL;
}
