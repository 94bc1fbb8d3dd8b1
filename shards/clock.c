/* clock.c - the two clocks of the machine, and how fast its tick counter runs.
 *
 * The tick rate is measured once against the monotonic clock: two readings 10 ms apart are off by
 * well under 0.1 %, which is far below what single commands vary by. */
#include "shards/clock.h"

enum { MEASURE_NS = 10 * 1000 * 1000 };

static uint64_t mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t unix_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct clock_source clock_source = {.mono_ns = mono_ns, .unix_us = unix_us};
double clock_ticks_per_us = 1000.0;

void clock_init(void)
{
    const uint64_t start_ns = mono_ns();
    const uint64_t start_ticks = clock_ticks();

    const struct timespec pause = {.tv_nsec = MEASURE_NS};
    nanosleep(&pause, NULL);

    const uint64_t ticks = clock_ticks() - start_ticks;
    const uint64_t ns = mono_ns() - start_ns;
    if (ns > 0 && ticks > 0) {
        clock_ticks_per_us = (double)ticks * 1000.0 / (double)ns;
    }
}
