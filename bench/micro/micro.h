/* micro.h - micro-benchmarks of the parts: what a benchmark is, and what it may ask for.
 *
 * Benchmarks come in groups. A group runs in a process of its own (forked), so that no group finds
 * the memory that another left behind; it builds once what its benchmarks work on, and they run in
 * the order of the table.
 *
 *   group   setup() ─► benchmark ─► benchmark ─► …         the process ends: nothing is torn down
 *
 * A benchmark does m->ops operations. Only the time between micro_resume() and micro_pause()
 * counts; it is called resumed. It may be called with any number of operations, as often as it takes: what
 * it changes, it puts back (while paused), or it makes no difference.
 *
 * Time is processor time of the calling thread, so that neighbours do not count, or with MICRO_WALL
 * the time that passes, for what goes on between threads. A benchmark with value() is no loop: it
 * measures something once and returns it, in its own unit.
 *
 * Owner: one thread, that of the group's process.
 */
#ifndef ASHLAR_BENCH_MICRO_H
#define ASHLAR_BENCH_MICRO_H

#include <stddef.h>
#include <stdint.h>

enum micro_flag { MICRO_WALL = 1 };

struct micro {
    uint64_t ops;  /* operations to do */
    uint32_t keys; /* how large what is large should be */
    void *state;   /* what the group's setup() returned */

    struct micro__clock {
        unsigned flags;
        int cycles_fd; /* leader of the counters' group, -1: none */
        double from_ns, total_ns;
        uint64_t from[2], total[2]; /* cycles, instructions */
    } clock_;
};

struct micro_bench {
    const char *name; /* without blanks: "hit" of the group "keyspace" is keyspace/hit */
    const char *what; /* for --list */
    void (*run)(struct micro *m);
    unsigned flags;
    double (*value)(struct micro *m); /* instead of run */
    const char *unit;                 /* of value() */
};

enum { MICRO_GROUP_MAX = 24 };

struct micro_group {
    const char *name;
    void *(*setup)(uint32_t keys); /* may be NULL */
    const struct micro_bench *benches;
    size_t count; /* at most MICRO_GROUP_MAX */
};

void micro_pause(struct micro *m);
void micro_resume(struct micro *m);

/* Keeps the compiler from dropping what computes p or the memory behind it. */
static inline void micro_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static inline void micro_keep_word(uint64_t v)
{
    __asm__ volatile("" : : "r"(v));
}

/* Random numbers, the same in every run (xorshift64*). */
uint64_t micro_random(void);

/* Processor time of this thread; resident memory of this process. */
double micro_cpu_ns(void);
double micro_resident_bytes(void);

/* --- the groups, one file each --- */
extern const struct micro_group micro_parse, micro_reply;             /* micro_proto.c */
extern const struct micro_group micro_hash, micro_keyspace;           /* micro_keyspace.c */
extern const struct micro_group micro_memory[4];                      /* micro_keyspace.c */
/* micro_small.c */
extern const struct micro_group micro_listpack, micro_intset, micro_hll, micro_stream;
/* micro_big.c */
extern const struct micro_group micro_list, micro_big_hash, micro_big_set, micro_big_zset;
extern const struct micro_group micro_mailbox, micro_order;           /* micro_shards.c */
extern const struct micro_group micro_hist;                           /* micro_hist.c */

#endif
