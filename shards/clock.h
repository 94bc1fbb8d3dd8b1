/* clock.h - the clocks. Every place that asks for the time asks here, so that a deterministic
 * scheduler can stand in for them (set clock_source before the threads start). Any thread. */
#ifndef ASHLAR_SHARDS_CLOCK_H
#define ASHLAR_SHARDS_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock_source {
    uint64_t (*mono_ns)(void); /* CLOCK_MONOTONIC */
    int64_t (*unix_us)(void);  /* CLOCK_REALTIME */
};
extern struct clock_source clock_source;

/* The machine's one monotonic clock, which stamps are read from. */
static inline uint64_t clock_mono_ns(void)
{
    return clock_source.mono_ns();
}

static inline int64_t clock_unix_us(void)
{
    return clock_source.unix_us();
}

static inline int64_t clock_unix_ms(void)
{
    return clock_source.unix_us() / 1000;
}

/* CPU ticks, to time single commands (slow log, command statistics); see clock_ticks_per_us. */
static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return clock_mono_ns();
#endif
}

extern double clock_ticks_per_us; /* measured by clock_init() */
void clock_init(void);            /* once, at start; takes about 10 ms */

#endif
