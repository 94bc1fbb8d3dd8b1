/* slices.h - commands that work for long, in slices: nothing stops a core for long (P4).
 *
 *   slice_run ──► on a fiber: exec_op ─── pause_point … ─── end ──► SLICE_DONE
 *                                │ time is up
 *                                ▼
 *                    SLICE_RESTS: its slots are held, its run stays with the waiting ones
 *                                │ next turn
 *   slice_go_on ─────────────────┘ … ──► true: done
 *
 * A command whose row has CMD_SLICED runs on a fiber. When it has used up what this turn has for it
 * (pause points in its loops look, core/pause.h), it is left in the middle: its op has OP_RESTS, its
 * slots are held as if they were lent, and the shard goes on with what else there is. Every turn gives
 * it some time until it is done; meanwhile the shard does not sleep. Most such commands end in their
 * first slice: then nothing has been held and nothing differs from any other command, but for two
 * switches of the stack. (One whose values are small by their encoding is not even put on a fiber.)
 *
 * Transactions and scripts run in one go (multi.h, scripting.h), and so does what they call.
 *
 * S1  A command that rests holds its slots (exec.h): no other op on them begins, and expiry,
 *     eviction and compaction keep away. The runner of a group holds all the group's slots.
 * S2  What a command writes while it may rest goes to its run's reply, never straight to a
 *     connection's output.
 * S3  Nobody is served with keys of a command that rests (exec_in_transaction).
 * S4  Time: what a command is told (call->now_ms) stays; op->ticks counts its slices only.
 *
 * Owner: the shard's thread.
 */
#ifndef ASHLAR_SHARDS_SLICES_H
#define ASHLAR_SHARDS_SLICES_H

#include "shards/run.h"
#include <stdbool.h>
#include <stdint.h>

struct shard;
struct sliced;

/* Both may be given by the build (-D), so that whole test suites run with everything interrupted, and
 * set by DEBUG SLICES. */
#ifndef SLICE_TURN_US
#define SLICE_TURN_US 300 /* for all commands in slices together, in one turn; for all others as well */
#endif
#ifndef SLICE_UNITS
#define SLICE_UNITS 128 /* between two looks at the clock (core/pause.h) */
#endif

enum {
    SLICES_MAX = 64,      /* commands that rest on a shard: others wait until one is done */
    SLICES_KEPT_MAX = 4,  /* idle stacks kept for later */
    SLICE_LEAST_US = 50,  /* a slice is at least as long, however many share the turn */
};

struct slices {
    struct sliced *idle, *resting;   /* in no order */
    uint32_t idle_count, count;     /* of those that rest */
    uint64_t used_ticks;            /* of this turn, by those that rest */
    bool put_off;                   /* one that was to begin or to go on waits for the next turn */
};

enum slice_state { SLICE_DONE, SLICE_RESTS, SLICE_PUT_OFF };

void slices_free(struct slices *x);
/* A pass begins. */
void slices_turn(struct shard *s);
/* SLICE_TURN_US of this server, in ticks. */
uint64_t slices_ticks(const struct shard *s);
/* The op begins. SLICE_PUT_OFF: not in this turn. */
enum slice_state slice_run(struct shard *s, struct op *op, struct keyspace *const *views);
/* It goes on: SLICE_DONE or SLICE_RESTS. */
enum slice_state slice_go_on(struct shard *s, struct op *op);

/* Whether an op runs in slices. */
static inline bool slice_wanted(const struct op *op)
{
    return (op->command->flags & CMD_SLICED) && op->argc >= op->command->sliced_from &&
           !(op->flags & OP_MULTI) && op->wait == NULL;
}

/* Whether what it looks at is small for certain: then it need not be prepared to rest. */
bool slice_is_small(const struct shard *s, const struct op *op);

static inline bool slices_must_not_sleep(const struct slices *x)
{
    return x->count > 0 || x->put_off;
}

#endif
