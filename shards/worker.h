/* worker.h - a thread, and the shards that it runs.
 *
 * While there is a core for each, a shard has a thread of its own. When there are more shards than
 * threads (shard-threads: by default one for each usable core), a thread runs several. Shards that
 * could only take the core from each other, and would wake each other through the kernel, take
 * turns in a loop instead, and find each other's messages in memory.
 *
 *   receive   one io for all: submit, sleep when nobody has anything to do, run the handlers
 *   take in   each shard: its phase, pushed to the mailboxes
 *   run       each shard: what all of them have sent it, in one pass
 *   answer    each shard: what has come back, replies, barrier commands, timers, background
 *
 * So a command whose key lies with a sibling is taken in, run and answered in one turn of the
 * thread.
 *
 * W1  A shard is touched by its worker's thread only. Nothing between two shards depends on
 *     whether they share a thread: mailboxes, phases, lending are the same, and one part of a turn
 *     after the other is one of the ways in which threads may run.
 * W2  While a shard is worked on the thread's variables are its own: worker_become().
 * W3  The thread sleeps only when each of its shards would (README.md, rule 7): all have declared
 *     it. What a shard sends its siblings from a handler, while they have, wakes nobody: the thread
 *     looks at their mailboxes when it has received.
 * W4  A script that runs for long lets its siblings take their turns (shard_share, shard_serve).
 *     Such a turn runs on top of the script's, to its end: it waits for nobody, so all come to
 *     theirs. Its own script may do the same. Shards below that are busy (busy.h) are served;
 *     nothing of theirs runs. A sibling that has taken in, and not run yet, runs that phase first.
 *
 * Owner: the worker's thread.
 */
#ifndef ASHLAR_SHARDS_WORKER_H
#define ASHLAR_SHARDS_WORKER_H

#include "core/slab.h"
#include "io/io.h"
#include "shards/shard.h"
#include <pthread.h>

struct worker {
    /* fixed before it starts */
    struct server *server;
    unsigned id;
    pthread_t thread;
    struct shard **shards; /* consecutive, in their order */
    unsigned count;

    /* its own thread */
    struct io *io;
    uint32_t linger;        /* looks at the mailboxes left before sleeping */
    uint64_t now_ns;        /* monotonic; this and the next as in each shard */
    int64_t now_ms;
    uint64_t turn_began_ns; /* worker.c, "how long turns take" */
    uint64_t slept_from_ns; /* since when the turn that ends has slept; 0: it has not */
    uint64_t turn_cpu_ns;   /* the thread's CPU clock when it was last read */
    uint64_t turn_cpu_age_ns; /* time of the turns that have ended since */
};

/* The worker of shards [first, first + count). */
struct worker *worker_new(struct server *server, unsigned id, struct shard **first, unsigned count);
/* The thread's main function; returns when the server stops. */
void *worker_main(void *worker);

/* W2 */
static inline void worker_become(struct shard *s)
{
    if (shard_self != s) {
        shard_self = s;
        mem_thread_counter = &s->memory;
        slab_thread_use(s->slab);
    }
}

#endif
