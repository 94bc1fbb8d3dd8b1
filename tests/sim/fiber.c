/* fiber.c - shards as fibers, and the scheduler (see sim.h).
 *
 * A worker, which is one shard or several, runs worker_main() on a stack of its own. It hands over
 * at sched_point(), sched_rest() and when it waits in io_turn(); the scheduler, on the process's
 * stack, chooses who goes on:
 *
 *   RUNS ──sched_point: by chance──► READY ──chosen──► RUNS
 *     │                                └─ frozen: not chosen for so many steps, as a thread that the
 *     │                                   system has taken off its core in the worst place
 *     └──io_turn: nothing to do──► WAITS ──woken, events, time──► READY
 *
 * How often it switches, whom it favours and how long it freezes is drawn anew for each seed, since
 * different faults want different schedules. Time passes by chance at every step, often not at all,
 * so that equal stamps are met; when all wait, it jumps to the next deadline.
 *
 * ucontext makes the stacks; switching is by _setjmp and _longjmp, which make no system call.
 * AddressSanitizer, which has to know stacks, gets swapcontext() and is told.
 */
#undef _FORTIFY_SOURCE /* its longjmp does not know stacks */
#include "shards/worker.h"
#include "tests/sim/sim.h"
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

enum {
    STACK_BYTES = 512 * 1024,
    STEPS_MAX = 400000, /* of one seed: more is going round in circles */
    FREEZE_STEPS_MAX = 3000,
    PLACES = 16, /* more than there are names: in some seeds none is a favourite */
    FREEZE_FAVOURITE_ONE_IN = 4,
};

/* A stack, and where on it to go on. */
struct context {
    jmp_buf here;
    ucontext_t machine;
    const void *stack;
    size_t stack_bytes;
    void *fake_stack; /* the sanitizer's */
    bool begun;
};

struct fiber {
    struct context context;
    struct worker *worker;
    struct shard *self; /* shard_self of its thread */
    const char *at;
    bool waits;
    uint64_t deadline_ns;  /* while it waits */
    uint64_t frozen_until; /* step */
    unsigned weight;
};

struct server *sim_server;
uint64_t sim_now_ns = UINT64_C(1) << 60; /* past any deadline of the machine's own clock */
uint64_t sim_steps;

static struct fiber fibers[SIM_SHARDS_MAX];
static unsigned fiber_count;
static struct fiber *current; /* NULL: the scheduler */
static struct context scheduler;
static bool running;          /* the seed's schedule, not yet the server's start */

static struct {
    unsigned switch_one_in, freeze_one_in, tick_one_in, tick_ns, client_weight;
    unsigned place; /* where shards are likely to freeze: those whose names come to this */
} habits;

/* --- chance ---------------------------------------------------------------------------------- */

static uint64_t random_state;

void sim_random_seed(uint64_t seed)
{
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

uint64_t sim_random(void) /* splitmix64 */
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) >> 8;
}

/* --- time ------------------------------------------------------------------------------------ */

static void time_passes(void)
{
    if (running && sim_one_in(habits.tick_one_in)) {
        sim_now_ns += 1 + sim_below(habits.tick_ns);
    }
}

static uint64_t mono_ns(void)
{
    time_passes();
    return sim_now_ns;
}

static int64_t unix_us(void)
{
    return INT64_C(1700000000000000) + (int64_t)((sim_now_ns - (UINT64_C(1) << 60)) / 1000);
}

/* --- switching ------------------------------------------------------------------------------- */

void sim_fiber_trace(const char *format, ...)
{
    if (sim_verbose < 2 || !running) {
        return;
    }
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%7llu %9llu  ", (unsigned long long)sim_steps,
           (unsigned long long)(sim_now_ns - (UINT64_C(1) << 60)));
    if (current != NULL) {
        printf("shard %u: %s\n", shard_self->id, text);
    } else {
        printf("%s\n", text);
    }
}

#if defined(__SANITIZE_ADDRESS__)
static void __attribute__((noinline)) switch_stack(struct context *from, struct context *to)
{
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_bytes);
    swapcontext(&from->machine, &to->machine);
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

static void fiber_begins(void)
{
    __sanitizer_finish_switch_fiber(NULL, &scheduler.stack, &scheduler.stack_bytes);
}
#else
static void __attribute__((noinline)) switch_stack(struct context *from, struct context *to)
{
    if (_setjmp(from->here) != 0) {
        return;
    }
    if (to->begun) {
        _longjmp(to->here, 1);
    }
    to->begun = true;
    setcontext(&to->machine);
}

static void fiber_begins(void)
{
}
#endif

static void leave(void)
{
    switch_stack(&current->context, &scheduler);
}

static void enter(struct fiber *f)
{
    current = f;
    shard_self = f->self;
    scheduler.begun = true;
    switch_stack(&scheduler, &f->context);
    f->self = shard_self;
    current = NULL;
    shard_self = NULL;
}

static void step(const char *where)
{
    current->at = where;
    if (++sim_steps > STEPS_MAX) {
        sim_fail("no end after %d steps: shards go round in circles", STEPS_MAX);
    }
    time_passes();
}

/* Of this seed. */
static bool is_favourite(const char *where)
{
    unsigned sum = 0;
    for (; *where != '\0'; where++) {
        sum = sum * 31 + (unsigned char)*where;
    }
    return sum % PLACES == habits.place;
}

void sched_point(const char *where)
{
    if (!running || current == NULL) {
        return;
    }
    step(where);
    if (sim_one_in(is_favourite(where) ? FREEZE_FAVOURITE_ONE_IN : habits.freeze_one_in)) {
        current->frozen_until = sim_steps + 1 + sim_below(1 + sim_below(FREEZE_STEPS_MAX));
        sim_fiber_trace("%s, frozen until %llu", where, (unsigned long long)current->frozen_until);
        leave();
    } else if (sim_one_in(habits.switch_one_in)) {
        sim_fiber_trace("%s", where);
        leave();
    }
}

void sched_rest(void)
{
    if (running && current != NULL) {
        step("rest");
        leave();
    }
}

bool sched_has(enum sched_mutant mutant)
{
    return mutant == sim_mutant;
}

void sim_fiber_wait(uint64_t deadline_ns)
{
    struct fiber *f = current;
    assert(f != NULL);
    step("waits");
    f->deadline_ns = deadline_ns;
    f->waits = true;
    sim_fiber_trace("waits");
    leave();
    f->waits = false;
}

static void fiber_main(void)
{
    fiber_begins();
    worker_main(current->worker);
    abort(); /* nothing stops the server */
}

/* Not in the loop: getcontext() may return twice. */
static void __attribute__((noinline)) fiber_init(struct fiber *f, struct worker *worker)
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || getcontext(&f->context.machine) != 0) {
        abort();
    }
    f->worker = worker;
    f->self = worker->shards[0];
    f->context.stack = f->context.machine.uc_stack.ss_sp = stack;
    f->context.stack_bytes = f->context.machine.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context.machine, fiber_main, 0);
}

void sim_fibers_start(struct server *server)
{
    clock_source = (struct clock_source){.mono_ns = mono_ns, .unix_us = unix_us};
    clock_ticks_per_us = 1e15; /* no command is slow, no script busy */
    sim_server = server;
    fiber_count = server->worker_count;
    server->start_count = server->worker_count; /* so that none waits for the others */
    for (unsigned i = 0; i < fiber_count; i++) {
        fiber_init(&fibers[i], server->workers[i]);
        enter(&fibers[i]);
    }
}

/* --- the scheduler --------------------------------------------------------------------------- */

static bool ready(const struct fiber *f)
{
    return !f->waits || sim_net_pending(f->worker->io) || f->deadline_ns <= sim_now_ns;
}

/* A fiber, or NULL: the clients'. False: there is none. */
static bool choose(struct fiber **chosen)
{
    unsigned sum = sim_client_can_act() ? habits.client_weight : 0;
    struct fiber *frozen = NULL;
    for (unsigned i = 0; i < fiber_count; i++) {
        if (!ready(&fibers[i])) {
            continue;
        }
        if (fibers[i].frozen_until > sim_steps) {
            frozen = frozen == NULL || frozen->frozen_until > fibers[i].frozen_until ? &fibers[i]
                                                                                     : frozen;
            continue;
        }
        sum += fibers[i].weight;
    }
    *chosen = frozen; /* when there is nobody else */
    if (sum == 0) {
        return frozen != NULL;
    }
    unsigned pick = sim_below(sum);
    for (unsigned i = 0; i < fiber_count; i++) {
        struct fiber *f = &fibers[i];
        if (!ready(f) || f->frozen_until > sim_steps) {
            continue;
        }
        if (pick < f->weight) {
            *chosen = f;
            return true;
        }
        pick -= f->weight;
    }
    *chosen = NULL;
    return true;
}

static void draw_habits(void)
{
    static const unsigned switches[] = {1, 2, 4, 8, 20, 60}, freezes[] = {25, 60, 150, 400, 1u << 30};
    static const unsigned ticks[] = {1, 2, 8, 30}, lengths[] = {1, 3, 50, 1000, 20000};
    static const unsigned weights[] = {1, 1, 3, 10};
    habits.switch_one_in = switches[sim_below(6)];
    habits.freeze_one_in = freezes[sim_below(5)];
    habits.tick_one_in = ticks[sim_below(4)];
    habits.tick_ns = lengths[sim_below(5)];
    habits.client_weight = weights[sim_below(4)];
    habits.place = sim_below(PLACES);
    for (unsigned i = 0; i < fiber_count; i++) {
        fibers[i].weight = weights[sim_below(4)];
    }
}

/* All wait. A message for one that sleeps should have woken it. */
static void look_for_sleepers(void)
{
    for (unsigned i = 0; i < sim_server->shard_count; i++) {
        if (!mailbox_empty(&sim_server->shards[i]->mailbox)) {
            sim_fail("lost wake-up: shard %u sleeps with a message in its mailbox", i);
        }
    }
}

static void time_jumps(void)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < fiber_count; i++) {
        next = fibers[i].deadline_ns < next ? fibers[i].deadline_ns : next;
    }
    assert(next != UINT64_MAX && next > sim_now_ns);
    sim_now_ns = next;
    sim_fiber_trace("time passes");
}

void sim_fibers_run(void)
{
    draw_habits();
    running = true;
    for (;;) {
        struct fiber *f;
        if (!choose(&f)) {
            look_for_sleepers();
            if (sim_client_quiet()) {
                break;
            }
            if (!sim_client_can_act()) {
                time_jumps();
            }
            continue;
        }
        if (f == NULL) {
            sim_client_act();
        } else {
            f->frozen_until = 0;
            enter(f);
        }
    }
    running = false;
}
