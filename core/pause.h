/* pause.h - where a command that works for long can be interrupted.
 *
 * Loops that may run for long (over the members of a large value) say in each round how much they
 * have done:
 *
 *   while (set_next(&it, &m)) {
 *       pause_point(1);
 *       …
 *   }
 *
 * Whoever runs a command may arm its thread with a hook and a number of units: when so many are used
 * up, the hook is called in the middle of the loop. It may let other work happen on this thread
 * before it returns (shards/slices.h: commands in slices), or do nothing. Not armed, a point costs a
 * subtraction and a comparison.
 *
 * A unit is about what one member costs: a hundred nanoseconds; of plain bytes PAUSE_UNIT_BYTES.
 *
 * P1  At a point every structure that others may look at is whole: what is being built is reachable
 *     for the command alone, or complete as far as it goes. Other commands do not see the keys of
 *     the one that is interrupted, but they do see the keyspace around them, and use the same slab.
 * P2  No static or thread-local variable is in use across a point.
 */
#ifndef ASHLAR_CORE_PAUSE_H
#define ASHLAR_CORE_PAUSE_H

#include <stddef.h>
#include <stdint.h>

enum {
    PAUSE_UNIT_BYTES = 256, /* copied, compared or looked at */
    PAUSE_FREE_STEP = 32,  /* blocks that are freed between two points */
    PAUSE_NODE_UNITS = 64, /* a node of a list or a stream */
};

typedef void pause_hook(void *ctx);

struct pause {
    int64_t left;     /* units until the hook is called */
    pause_hook *hook; /* NULL: nobody wants to interrupt */
    void *ctx;
};
extern _Thread_local struct pause pause_state;

/* Arms this thread, and puts it back into what it was. The hook arms it anew if it wants to be called
 * again. */
static inline void pause_arm(pause_hook *hook, void *ctx, int64_t units)
{
    pause_state = (struct pause){.left = units, .hook = hook, .ctx = ctx};
}
void pause_disarm(void);
void pause_reached(void); /* pause_point() calls it */

static inline void pause_point(int64_t units)
{
    if (__builtin_expect((pause_state.left -= units) <= 0, 0)) {
        pause_reached();
    }
}

/* Work that cannot stop in the middle, and what is done by functions without points: it counts, the next
 * point may call the hook. */
static inline void pause_owe(int64_t units)
{
    pause_state.left -= units;
}

/* After so many bytes have been copied, compared or looked at. */
static inline void pause_point_bytes(size_t bytes)
{
    pause_point((int64_t)(bytes / PAUSE_UNIT_BYTES) + 1);
}

/* memcpy and mem_free of what may be very large, and mem_realloc of which so much is in use. */
void pause_copy(void *to, const void *from, size_t len);
void pause_free(void *p);
void *pause_realloc(void *p, size_t used, size_t bytes);

#endif
