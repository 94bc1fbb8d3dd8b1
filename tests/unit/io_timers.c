/* The heap of timers against a plain array that is searched. */
#include "io/timers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS = 300, STEPS = 60000 };

struct probe {
    struct timer timer; /* first */
    int id;
};

static struct timers timers;
static struct probe probes[TIMERS];
static uint64_t model[TIMERS]; /* deadline, 0 when not set */
static uint64_t last_fired_ns;
static int fired;
static uint64_t seed = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static uint64_t model_next(void)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        if (model[i] != 0 && model[i] < next) {
            next = model[i];
        }
    }
    return next;
}

static void set(int i, uint64_t deadline_ns)
{
    timers_set(&timers, &probes[i].timer, deadline_ns);
    model[i] = deadline_ns;
}

static void cancel(int i)
{
    timers_cancel(&timers, &probes[i].timer);
    model[i] = 0;
}

/* Checks that it is the earliest, then sets or cancels others, or itself again. */
static void on_fire(struct timer *t, uint64_t now_ns)
{
    int id = ((struct probe *)t)->id;

    cr_assert(!timer_is_set(t));
    cr_assert_eq(model[id], t->deadline_ns);
    cr_assert_eq(model_next(), t->deadline_ns);
    cr_assert_leq(t->deadline_ns, now_ns);
    model[id] = 0;
    last_fired_ns = t->deadline_ns;
    fired++;
    switch (rnd(4)) {
    case 0:
        set(id, now_ns + 1 + rnd(1000));
        break;
    case 1:
        set((int)rnd(TIMERS), now_ns + 1 + rnd(1000));
        break;
    case 2:
        cancel((int)rnd(TIMERS));
        break;
    }
}

Test(io_timers, behaves_like_a_sorted_list)
{
    uint64_t now_ns = 1;

    timers_init(&timers);
    for (int i = 0; i < TIMERS; i++) {
        probes[i].id = i;
        probes[i].timer.fire = on_fire;
    }
    for (int step = 0; step < STEPS; step++) {
        int i = (int)rnd(TIMERS);
        switch (rnd(5)) {
        case 0:
        case 1:
            set(i, now_ns + rnd(2000));
            break;
        case 2:
            cancel(i);
            break;
        case 3: {
            int limit = (int)rnd(6), before = fired;
            now_ns += rnd(60);
            int n = timers_run(&timers, now_ns, limit);
            cr_assert_eq(n, fired - before);
            cr_assert_leq(n, limit);
            if (n < limit) {
                cr_assert_gt(timers_next_ns(&timers), now_ns);
            }
            break;
        }
        default:
            cr_assert_eq(timers_next_ns(&timers), model_next());
            cr_assert_eq(timer_is_set(&probes[i].timer), model[i] != 0);
        }
    }
    cr_assert_gt(fired, 1000);
    timers_free(&timers);
    cr_assert(!timer_is_set(&probes[0].timer));
    cr_assert_eq(timers_next_ns(&timers), UINT64_MAX);
}

static struct probe *self_freeing;

static void free_itself(struct timer *t, uint64_t now_ns)
{
    free(self_freeing);
    self_freeing = NULL;
}

static void set_at_once(struct timer *t, uint64_t now_ns)
{
    timers_set(&timers, t, now_ns);
}

Test(io_timers, a_callback_may_free_its_timer)
{
    self_freeing = calloc(1, sizeof *self_freeing);
    self_freeing->timer.fire = free_itself;
    timers_init(&timers);
    timers_set(&timers, &self_freeing->timer, 5);
    cr_assert_eq(timers_run(&timers, 4, 10), 0);
    cr_assert_eq(timers_run(&timers, 5, 10), 1);
    cr_assert_null(self_freeing);
    timers_free(&timers);
}

Test(io_timers, the_limit_bounds_a_timer_that_is_always_due)
{
    struct timer t = {.fire = set_at_once};
    timers_init(&timers);
    timers_set(&timers, &t, 1);
    cr_assert_eq(timers_run(&timers, 9, 17), 17);
    timers_cancel(&timers, &t);
    timers_cancel(&timers, &t); /* does nothing */
    cr_assert_eq(timers_run(&timers, 9, 17), 0);
    timers_free(&timers);
}
