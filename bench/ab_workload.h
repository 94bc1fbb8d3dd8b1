/* ab_workload.h - from options to runs: the named tests, mixes, templates, files of commands.
 *
 *   -t get,set            one run after another, each with one command (redis-benchmark's tests)
 *   --mix get=9,set=1     one run that mixes them; --command and --commands add to the mix
 *   a command             one run
 *   nothing               redis-benchmark's default tests
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_WORKLOAD_H
#define ASHLAR_BENCH_AB_WORKLOAD_H

#include "bench/ab_options.h"

struct ab_phase {
    char name[AB_NAME_BYTES * 2];
    struct ab_template *templates;
    double *weights;
    int count;
};

struct ab_workload {
    struct ab_space space;
    struct ab_phase *phases;
    int phase_count;
    struct ab_phase load;         /* count 0: none */
    struct ab_space load_space;   /* as space, but every key once */
};

bool ab_workload_make(struct ab_workload *w, const struct ab_options *o, char err[400]);
void ab_workload_free(struct ab_workload *w);

#endif
