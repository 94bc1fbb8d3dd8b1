/* slices.c - see slices.h. */
#include "shards/slices.h"
#include "core/pause.h"
#include "shards/exec.h"
#include "shards/fiber.h"
#include <assert.h>

enum { SMALL_KEYS_MAX = 4 };

struct sliced {
    struct sliced *next; /* in a list of struct slices */
    struct shard *shard;
    struct fiber *fiber;
    struct op *op;
    struct keyspace *const *views;
    uint64_t until_ticks; /* of this slice */
    bool rested;          /* it has been left in the middle */
};

static struct slices *slices_of(struct shard *s)
{
    return &s->exec->slices;
}

static void slice_free(struct sliced *slice)
{
    fiber_free(slice->fiber);
    mem_free(slice);
}

void slices_free(struct slices *x)
{
    assert(x->count == 0);
    while (x->idle != NULL) {
        struct sliced *next = x->idle->next;
        slice_free(x->idle);
        x->idle = next;
    }
}

/* --- on the fiber ---------------------------------------------------------------------------- */

static void paused(void *ctx)
{
    struct sliced *slice = ctx;
    struct shard *s = slice->shard;
    struct op *op = slice->op;
    const int64_t units =
        atomic_load_explicit(&s->server->slice_units, memory_order_relaxed);
    const uint64_t now = clock_ticks();
    if (now < slice->until_ticks ||
        atomic_load_explicit(&s->server->stopping, memory_order_relaxed)) {
        pause_arm(paused, slice, units);
        return;
    }
    assert(s->executing == op);
    s->executing = NULL;
    fiber_leave(slice->fiber);
    s->executing = op;
    atomic_store_explicit(&s->running, op->command, memory_order_relaxed);
    op->ticks -= clock_ticks() - now; /* S4: run_call() adds all that has passed */
    pause_arm(paused, slice, units);
}

static void fiber_run(void *arg)
{
    struct sliced *slice = arg;
    struct op *op = slice->op;
    pause_arm(paused, slice,
              atomic_load_explicit(&slice->shard->server->slice_units, memory_order_relaxed));
    exec_op(slice->shard, op, &op->run->reply, slice->views); /* S2 */
}

/* --- by turns -------------------------------------------------------------------------------- */

static uint64_t ticks_of(uint64_t us)
{
    return (uint64_t)((double)us * clock_ticks_per_us);
}

static uint64_t turn_us(const struct shard *s)
{
    return atomic_load_explicit(&s->server->slice_turn_us, memory_order_relaxed);
}

void slices_turn(struct shard *s)
{
    struct slices *x = slices_of(s);
    x->used_ticks = 0;
    x->put_off = false;
}

/* Whether those that rest have had so many turns' time in this one. */
static bool turn_is_over(struct shard *s, struct slices *x, uint64_t turns)
{
    return x->used_ticks > 0 && x->used_ticks >= turns * ticks_of(turn_us(s));
}

bool slice_is_small(const struct shard *s, const struct op *op)
{
    if ((op->command->flags & (CMD_DENYOOM | CMD_DRAWS)) || op->nkeys > SMALL_KEYS_MAX ||
        op->argc >= COMMAND_MANY_ARGS || turn_us(s) == 0) {
        return false; /* it may make something large of its arguments, or by its count */
    }
    for (uint32_t i = 0; i < op->nkeys; i++) {
        const struct entry *e = keyspace_find(s->keyspace, op->db, &op->keys[i]);
        if (e != NULL && e->encoding != ENC_LISTPACK && e->encoding != ENC_LISTPACK_EX &&
            e->encoding != ENC_INT && e->encoding != ENC_INLINE) {
            return false;
        }
    }
    return true;
}

static struct sliced *slice_new(struct shard *s, struct slices *x)
{
    struct sliced *slice = x->idle;
    if (slice != NULL) {
        x->idle = slice->next;
        x->idle_count--;
        return slice;
    }
    struct fiber *fiber = fiber_new();
    if (fiber == NULL) {
        return NULL;
    }
    slice = mem_alloc(sizeof *slice);
    *slice = (struct sliced){.shard = s, .fiber = fiber};
    return slice;
}

static void slice_end(struct slices *x, struct sliced *slice)
{
    if (x->idle_count == SLICES_KEPT_MAX) {
        slice_free(slice);
        return;
    }
    slice->next = x->idle;
    x->idle = slice;
    x->idle_count++;
}

/* One slice: each has its part of the turn. True when the op is done. */
static bool go_on(struct sliced *slice)
{
    struct shard *s = slice->shard;
    struct slices *x = slices_of(s);
    const uint64_t us = turn_us(s), share = us / (x->count > 0 ? x->count : 1);
    const uint64_t least = us < SLICE_LEAST_US ? us : SLICE_LEAST_US;
    const uint64_t began = clock_ticks();
    slice->until_ticks = began + ticks_of(share > least ? share : least);
    const bool done = fiber_enter(slice->fiber);
    pause_disarm();
    if (!done || slice->rested) {
        const uint64_t ticks = clock_ticks() - began;
        x->used_ticks += ticks;
        counter_add(&s->stats.slices, 1);
        if (ticks > counter_get(&s->stats.slice_ticks_max)) {
            counter_set(&s->stats.slice_ticks_max, ticks);
        }
    }
    return done;
}

enum slice_state slice_run(struct shard *s, struct op *op, struct keyspace *const *views)
{
    struct slices *x = slices_of(s);
    if (x->count == SLICES_MAX || turn_is_over(s, x, 2)) {
        x->put_off = true;
        return SLICE_PUT_OFF;
    }
    struct sliced *slice = slice_new(s, x);
    if (slice == NULL) {
        exec_op(s, op, &op->run->reply, views);
        return SLICE_DONE;
    }
    slice->op = op;
    slice->views = views;
    slice->rested = false;
    fiber_begin(slice->fiber, fiber_run, slice);
    if (go_on(slice)) {
        slice_end(x, slice);
        return SLICE_DONE;
    }
    slice->rested = true;
    slice->next = x->resting;
    x->resting = slice;
    x->count++;
    atomic_fetch_add_explicit(&s->server->slices_resting, 1, memory_order_relaxed);
    counter_add(&s->stats.sliced, 1);
    return SLICE_RESTS;
}

enum slice_state slice_go_on(struct shard *s, struct op *op)
{
    struct slices *x = slices_of(s);
    if (turn_is_over(s, x, 1)) {
        return SLICE_RESTS;
    }
    struct sliced **link = &x->resting;
    while ((*link)->op != op) {
        link = &(*link)->next;
    }
    struct sliced *slice = *link;
    if (!go_on(slice)) {
        return SLICE_RESTS;
    }
    *link = slice->next;
    x->count--;
    atomic_fetch_sub_explicit(&s->server->slices_resting, 1, memory_order_relaxed);
    slice_end(x, slice);
    return SLICE_DONE;
}
