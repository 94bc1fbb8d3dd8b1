/* exec.h - running what has arrived, in the one order (order.h, DESIGN.md section 3).
 *
 *   mailbox ──take──► sort by stamp ─┐
 *   own phase ──────────────────────►├─► one pass, oldest first: run, or leave waiting
 *   still waiting ──────────────────►┘
 *
 * An ordered run may start when its stamp is below the horizon. A free run may start at once. Both
 * wait behind whatever older one waits here and concerns the same slot, and behind slots that are
 * held (lent to another shard).
 *
 * I1  waiting is sorted by (stamp, home); a run leaves it when all its ops are done.
 * I2  During a pass, marks cover exactly the slots of the runs left waiting so far: all of them
 *     are older than the run in hand.
 * I3  A run newer than T (the clock read before the take) is not touched.
 * I4  What a transaction that has stopped in the middle has done here is not seen before it ends:
 *     its slots, those of the commands done included, stay marked, and open[] keeps clients that
 *     are blocked on them from being served. The same holds for a command that rests (slices.h).
 * I5  While a transaction with a command about the server in it keeps the shard (multi.h), only its
 *     own runs are looked at. When the fence is put up, nothing older waits here and nothing is held;
 *     when it is taken down, the pass ends: those who were passed over are older than what follows.
 *
 * Owner: the shard's thread.
 */
#ifndef ASHLAR_SHARDS_EXEC_H
#define ASHLAR_SHARDS_EXEC_H

#include "shards/run.h"
#include "shards/shard.h"
#include "shards/slices.h"
#include <stdint.h>

struct exec {
    struct run *waiting;     /* I1 */
    uint64_t horizon, now;   /* of this turn; now: T */
    bool waits_for_horizon;  /* somebody else's phase must close: do not sleep */
    bool marked, marked_all; /* any mark in this pass; one that covers the whole shard */
    uint32_t pass;           /* number of the pass: mark[slot] == pass means marked */
    uint32_t holds;          /* slots held, and one more while the whole shard is */
    uint32_t holders;        /* ops that hold: each is the next one of a waiting run */
    bool held_all;           /* the whole shard is lent */
    const struct conn *fence; /* I5: whose transaction keeps the shard, NULL: none's */
    bool fence_ends;         /* … until the end of the run at hand */
    struct message *asked, *asked_last; /* MESSAGE_ASK that wait until the shard is back */
    struct message *late, *late_last;   /* READY and RELEASE that came while a script ran */
    uint64_t ticks;          /* at the end of the command before, where the next one begins; 0: something
                                else was done since */
    uint32_t prefetched;     /* ops ahead whose memory is on its way */
    struct chain local;      /* own runs of the phase that just closed */
    struct chain done;       /* runs at home here that are done */
    bool returning;          /* runs for other homes are done */
    struct slices slices;    /* commands that are left in the middle */
    struct run **chains;     /* chains taken, to be merged into waiting in this turn or the next */
    uint32_t chains_count, chains_cap;
    uint32_t mark[SLOT_COUNT];
    uint32_t open[SLOT_COUNT]; /* I4: ops of stopped transactions, or resting, on the slot */
    uint32_t open_all;         /* … that concern the whole shard */
    uint16_t held[SLOT_COUNT]; /* how many ops hold the slot: 0 or 1 */
};

struct exec *exec_new(void);
void exec_free(struct exec *x);
/* Takes the mailbox, runs what may run, sends back what is done. True when there was anything. */
bool exec_turn(struct shard *s);
/* While a script keeps the shard: takes the mailbox and sorts it, sends back what was done before,
 * runs nothing. */
void exec_serve(struct shard *s);
/* True when the shard has something to do that no message will announce. */
bool exec_must_not_sleep(const struct shard *s);
/* I4: nobody may be served with keys of this slot now. */
static inline bool exec_in_transaction(const struct exec *x, uint16_t slot)
{
    return x->open[slot] > 0 || x->open_all > 0 || x->fence != NULL;
}
/* For the keyspace's background work: the slot is here and nobody has borrowed it. */
bool exec_may_touch(void *shard, uint16_t slot);
/* I5, by the op at hand. */
void exec_fence_up(struct shard *s);
void exec_fence_down(struct shard *s);
/* Runs one command on this thread: the call of op is built, timed and counted. */
void exec_op(struct shard *s, struct op *op, struct reply *out, struct keyspace *const *views);

/* --- for blocked.c --- */
/* Runs a command that waits once more, with these of its keys, into its run's reply. */
void exec_again(struct shard *s, struct op *op, const struct key *keys, uint32_t nkeys,
                struct call_wait *wait);
/* A parked run is done. */
void exec_return(struct shard *s, struct run *run);
/* Whether a slot is lent, or something older waits for it. Between passes: whether anything waits
 * for it. */
bool exec_slot_busy(const struct shard *s, uint16_t slot, bool in_pass);

#endif
