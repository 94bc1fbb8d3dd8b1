/* shards_fiber.c - functions that are left in the middle, many of them, in turns. */
#include "shards/fiber.h"
#include <criterion/criterion.h>

#ifndef SUITE
#define SUITE shards_fiber
#endif

struct job {
    struct fiber *fiber;
    int steps, sum;
    double half;
};

static int deep(struct job *job, int depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    room[511] = (char)depth;
    if (depth == 0) {
        fiber_leave(job->fiber);
        return 1;
    }
    return deep(job, depth - 1) + (room[0] == (char)depth && room[511] == (char)depth);
}

static void work(void *arg)
{
    struct job *job = arg;
    double half = job->half; /* in a register, maybe */
    for (int i = 0; i < job->steps; i++) {
        job->sum += i;
        fiber_leave(job->fiber);
        cr_assert(half == job->half);
    }
    if (job->steps > 1) {
        cr_assert(deep(job, 500) == 501);
    }
}

Test(SUITE, leave_and_enter)
{
    enum { MANY = 20 };
    struct job jobs[MANY];
    for (int round = 0; round < 2; round++) { /* stacks are used again */
        for (int i = 0; i < MANY; i++) {
            struct fiber *f = round == 0 ? fiber_new() : jobs[i].fiber;
            cr_assert(f != NULL);
            jobs[i] = (struct job){.fiber = f, .steps = i, .half = i / 2.0};
            fiber_begin(f, work, &jobs[i]);
        }
        int left = MANY;
        bool ended[MANY] = {false};
        while (left > 0) {
            for (int i = 0; i < MANY; i++) {
                if (!ended[i] && fiber_enter(jobs[i].fiber)) {
                    ended[i] = true;
                    left--;
                }
            }
        }
        for (int i = 0; i < MANY; i++) {
            cr_assert(jobs[i].sum == i * (i - 1) / 2);
        }
    }
    for (int i = 0; i < MANY; i++) {
        fiber_free(jobs[i].fiber);
    }
}
