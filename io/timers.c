/* timers.c - a binary heap of deadlines with back pointers.
 *
 * heap[i] is not later than its children heap[2i+1] and heap[2i+2]; a timer knows its place
 * (index_ = place + 1), so moving and cancelling cost O(log n) without a search. The array only
 * grows: it is bounded by the number of timers that were ever set at once. */
#include "io/timers.h"

#include <assert.h>
#include <stdlib.h>

enum { TIMERS_CAP_MIN = 64 };

static void put(struct timers *ts, uint32_t at, struct timer *t)
{
    ts->heap[at] = t;
    t->index_ = at + 1;
}

static void sift_up(struct timers *ts, uint32_t at, struct timer *t)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (ts->heap[parent]->deadline_ns <= t->deadline_ns) {
            break;
        }
        put(ts, at, ts->heap[parent]);
        at = parent;
    }
    put(ts, at, t);
}

static void sift_down(struct timers *ts, uint32_t at, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= ts->count) {
            break;
        }
        if (child + 1 < ts->count &&
            ts->heap[child + 1]->deadline_ns < ts->heap[child]->deadline_ns) {
            child++;
        }
        if (t->deadline_ns <= ts->heap[child]->deadline_ns) {
            break;
        }
        put(ts, at, ts->heap[child]);
        at = child;
    }
    put(ts, at, t);
}

/* To where it belongs, from a place whose own neighbours are in order. */
static void settle(struct timers *ts, uint32_t at, struct timer *t)
{
    if (at > 0 && t->deadline_ns < ts->heap[(at - 1) / 2]->deadline_ns) {
        sift_up(ts, at, t);
    } else {
        sift_down(ts, at, t);
    }
}

void timers_init(struct timers *ts)
{
    *ts = (struct timers){0};
}

void timers_free(struct timers *ts)
{
    for (uint32_t i = 0; i < ts->count; i++) {
        ts->heap[i]->index_ = 0;
    }
    free(ts->heap);
    *ts = (struct timers){0};
}

void timers_set(struct timers *ts, struct timer *t, uint64_t deadline_ns)
{
    t->deadline_ns = deadline_ns;
    if (t->index_ != 0) {
        assert(ts->heap[t->index_ - 1] == t);
        settle(ts, t->index_ - 1, t);
        return;
    }
    if (ts->count == ts->cap) {
        uint32_t cap = ts->cap ? ts->cap * 2 : TIMERS_CAP_MIN;
        struct timer **heap = realloc(ts->heap, cap * sizeof(struct timer *));
        if (!heap) {
            abort(); /* eight bytes for each timer */
        }
        ts->heap = heap;
        ts->cap = cap;
    }
    sift_up(ts, ts->count++, t);
}

void timers_cancel(struct timers *ts, struct timer *t)
{
    if (t->index_ == 0) {
        return;
    }
    uint32_t at = t->index_ - 1;
    assert(at < ts->count && ts->heap[at] == t);
    struct timer *last = ts->heap[--ts->count];
    t->index_ = 0;
    if (last != t) {
        settle(ts, at, last);
    }
}

uint64_t timers_next_ns(const struct timers *ts)
{
    return ts->count > 0 ? ts->heap[0]->deadline_ns : UINT64_MAX;
}

int timers_run(struct timers *ts, uint64_t now_ns, int limit)
{
    int fired = 0;

    while (fired < limit && ts->count > 0 && ts->heap[0]->deadline_ns <= now_ns) {
        struct timer *t = ts->heap[0];
        timers_cancel(ts, t); /* before the callback, which may set it again or free it */
        t->fire(t, now_ns);
        fired++;
    }
    return fired;
}
