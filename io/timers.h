/* timers.h - a shard's timers: a binary heap of deadlines. Owner: one thread.
 *
 * A timer is embedded in what it serves; adding, moving and removing it allocate nothing beyond
 * the heap's array. Callbacks may add and remove any timer, their own included. */
#ifndef ASHLAR_IO_TIMERS_H
#define ASHLAR_IO_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t deadline_ns; /* monotonic clock */
    void (*fire)(struct timer *t, uint64_t now_ns);
    uint32_t index_; /* place in the heap + 1, 0 when not set */
};

struct timers {
    struct timer **heap;
    uint32_t count, cap;
};

void timers_init(struct timers *ts);
void timers_free(struct timers *ts);
/* Sets (or moves) a timer. */
void timers_set(struct timers *ts, struct timer *t, uint64_t deadline_ns);
void timers_cancel(struct timers *ts, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return t->index_ != 0;
}
/* Earliest deadline, UINT64_MAX when there is none. */
uint64_t timers_next_ns(const struct timers *ts);
/* Fires what is due, at most limit timers; returns how many. */
int timers_run(struct timers *ts, uint64_t now_ns, int limit);

#endif
