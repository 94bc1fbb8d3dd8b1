/* busy.h - shards that a script keeps for long.
 *
 *   running ──busy_begin──► BUSY ──busy_end──► (nothing)
 *                            │ busy_kill (any home), unless WROTE
 *                            ▼
 *                          KILLED ──script sees it at its next tick, ends──► busy_end
 *
 * A script that has run longer than busy-reply-threshold makes its shard busy: from now on it serves
 * its sockets and mailbox between the script's instructions (shard_serve), runs nothing else, and
 * every home refuses what needs that shard: commands on its keys; everything, where the script has
 * borrowed all shards; commands at home, where home is that shard. What needs other shards only goes
 * on. Commands that were on their way before wait.
 *
 * I1  A script whose state has WROTE is not killed; one whose state has KILLED does not write: one
 *     atomic word decides.
 *
 * Any shard's thread.
 */
#ifndef ASHLAR_SHARDS_BUSY_H
#define ASHLAR_SHARDS_BUSY_H

#include "core/command.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BUSY_SHARDS_MAX = 256 };

enum busy_state {
    BUSY_ON = 1 << 0,
    BUSY_FUNCTION = 1 << 1, /* FCALL, not EVAL */
    BUSY_WHOLE = 1 << 2,    /* it holds all shards */
    BUSY_WROTE = 1 << 3,
    BUSY_KILLED = 1 << 4,
};

struct busy {
    _Atomic uint32_t count; /* shards that are busy and not killed */
    _Atomic uint8_t state[BUSY_SHARDS_MAX];
};

static inline bool busy_any(const struct busy *b)
{
    return atomic_load_explicit(&b->count, memory_order_acquire) > 0;
}

/* The busy shard's thread. */
void busy_begin(struct busy *b, unsigned shard, uint8_t state);
void busy_end(struct busy *b, unsigned shard);
bool busy_is_killed(const struct busy *b, unsigned shard);
/* The script is about to write. False: it has been killed (I1). */
bool busy_may_write(struct busy *b, unsigned shard);

#define BUSY_ERROR_SCRIPT \
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
#define BUSY_ERROR_FUNCTION \
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."

/* The error for a command that needs this shard (negative: any), NULL: it is not busy. */
const char *busy_error(const struct busy *b, int shard);
/* SCRIPT KILL, FUNCTION KILL: stops all busy scripts of that kind. NULL, or why not. */
const char *busy_kill(struct busy *b, bool function);

#endif
