/* sim_point.h - where the interleaving of threads matters: the places at which the simulator
 * (tests/sim) may go on with another shard, and the mistakes that it must be able to find.
 *
 * In the product all of this is nothing. In the simulator's build (ASHLAR_SIM, which stands in this
 * file only) shards are fibers of one thread; sched_point() may hand over to any of them, and so
 * stands before and after each access to memory that another thread may write. Any thread.
 */
#ifndef ASHLAR_SHARDS_SIM_POINT_H
#define ASHLAR_SHARDS_SIM_POINT_H

#include <sched.h>
#include <stdbool.h>

/* Mistakes planted by the simulator's canaries: each must be found. */
enum sched_mutant {
    SCHED_FREE_BYPASSES = 1,  /* a free run does not wait behind older ones on its slots */
    SCHED_FREE_TRANSACTION,   /* a free transaction begins when its first command can run */
    SCHED_CLOSES_EARLY,       /* a phase is closed before its pushes */
    SCHED_HORIZON_LATE,       /* the horizon is read after the mailbox was taken */
    SCHED_SLEEPS_BLINDLY,     /* a sleeper does not look again once it has declared itself */
    SCHED_FENCE_OPEN,         /* a transaction's fence lets others pass */
    SCHED_ASKS_FORGOTTEN,     /* broadcasts that wait for a lent shard are not run when it is back */
};

#ifdef ASHLAR_SIM
void sched_point(const char *where);
/* Another shard has something to do: lets it. */
void sched_rest(void);
bool sched_has(enum sched_mutant mutant);
#else
static inline void sched_point(const char *where)
{
    (void)where;
}

static inline void sched_rest(void)
{
    sched_yield();
}

static inline bool sched_has(enum sched_mutant mutant)
{
    (void)mutant;
    return false;
}
#endif

#endif
