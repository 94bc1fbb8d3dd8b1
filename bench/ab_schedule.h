/* ab_schedule.h - when the requests of an open loop are due.
 *
 * Evenly: request number n of the whole run is due n / rate after the start; thread k of t has the
 * numbers k, k + t, k + 2t … so that all threads together are even, too. Each time is computed from
 * its number, not from the one before: nothing adds up to a drift. Poisson: gaps of an exponential
 * distribution, each thread with its share of the rate, as from many independent users.
 *
 * The schedule is also the queue: requests that cannot be sent yet are those between the next one
 * due and now, so a stall of any length costs no memory.
 *
 * Thread: its owner's.
 */
#ifndef ASHLAR_BENCH_AB_SCHEDULE_H
#define ASHLAR_BENCH_AB_SCHEDULE_H

#include "bench/ab_random.h"
#include <math.h>

struct ab_schedule {
    double interval_ns; /* between two requests of the whole run */
    uint64_t threads, index, number;
    bool poisson;
    double due_ns;      /* of the next request, after the start */
};

static inline void ab_schedule_next(struct ab_schedule *s, struct ab_rng *rng)
{
    if (s->poisson) {
        s->due_ns += -log(1.0 - ab_rng_unit(rng)) * s->interval_ns * (double)s->threads;
    } else {
        s->due_ns = (double)(s->number++ * s->threads + s->index) * s->interval_ns;
    }
}

static inline void ab_schedule_begin(struct ab_schedule *s, double rate, bool poisson, int threads,
                                     int index, struct ab_rng *rng)
{
    *s = (struct ab_schedule){.interval_ns = 1e9 / rate, .threads = (uint64_t)threads,
                              .index = (uint64_t)index, .poisson = poisson};
    ab_schedule_next(s, rng);
}

#endif
