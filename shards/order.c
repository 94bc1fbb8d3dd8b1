/* order.c - phases and the horizon (see order.h). */
#include "shards/order.h"
#include "shards/clock.h"
#include "shards/sim_point.h"
#include <assert.h>

void order_init(struct order *o, unsigned shards)
{
    assert(shards >= 1 && shards <= ORDER_SHARDS_MAX);
    o->shards = shards;
    for (unsigned i = 0; i < ORDER_SHARDS_MAX; i++) {
        atomic_init(&o->phase[i].stamp, ORDER_CLOSED);
        o->phase[i].last_ = 0;
    }
}

/* A clock read is no memory access: on x86 later loads could run ahead of it. */
static inline void clock_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#endif
}

uint64_t order_phase_open(struct order *o, unsigned home)
{
    struct order_phase *p = &o->phase[home];
    assert(atomic_load_explicit(&p->stamp, memory_order_relaxed) == ORDER_CLOSED);
    atomic_store_explicit(&p->stamp, ORDER_OPENING, memory_order_seq_cst);
    clock_fence(); /* I3 */
    sched_point("phase opening");
    uint64_t stamp = clock_mono_ns();
    if (stamp <= p->last_) {
        stamp = p->last_ + 1; /* I1 */
    }
    p->last_ = stamp;
    sched_point("phase stamped");
    atomic_store_explicit(&p->stamp, stamp, memory_order_release);
    sched_point("phase open");
    return stamp;
}

void order_phase_close(struct order *o, unsigned home)
{
    sched_point("phase closing");
    atomic_store_explicit(&o->phase[home].stamp, ORDER_CLOSED, memory_order_release); /* I2 */
    sched_point("phase closed");
}

uint64_t order_horizon(const struct order *o, uint64_t last, uint64_t *now)
{
    uint64_t t = clock_mono_ns();
    clock_fence(); /* I3 */
    uint64_t horizon = t;
    sched_point("horizon clock");
    for (unsigned i = 0; i < o->shards; i++) {
        uint64_t stamp = atomic_load_explicit(&o->phase[i].stamp, memory_order_seq_cst);
        sched_point("horizon phase");
        if (stamp == ORDER_OPENING) {
            stamp = last;
        }
        if (stamp < horizon) {
            horizon = stamp;
        }
    }
    sched_point("horizon");
    *now = t;
    return horizon > last ? horizon : last; /* I4 */
}
