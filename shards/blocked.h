/* blocked.h - commands that wait for data: BLPOP and its like, XREAD BLOCK.
 *
 * A blocking command runs as any other at its place in the order. If it finds nothing it says so
 * (call_block()), having changed nothing, and from then on waits: its run is *parked* - out of the
 * executing shard's list, holding no slot, hindering nobody - and a *waiter* stands in the queue
 * of each of its keys, on the shard that owns the key. Its connection is stalled from the moment
 * it is routed, so a blocking command is alone in its runs and the last of its connection.
 *
 *   home                     shard of the key
 *   route: stall ──run──►    try: data ─────────────────────────────────────────► run returns
 *                                 nothing ► waiter in the queue(s), run parked
 *                            a key is touched ► it is ready ► after the op: try again, with
 *                                 this key alone ► data ► claim ► reply ────────► run returns
 *                            the time is up ► claim ────────────────────────────► run returns
 *   CLIENT UNBLOCK, closed
 *     ► claim ──CANCEL──►    waiter leaves the queue(s) ────────────────────────► run returns
 *
 * Serving happens right after the op (a whole transaction, a script) that touched the keys, or when
 * lent slots come back with touches noted, before anything else runs on the shard: keys in the order
 * in which they became ready, for each the waiters in the order in which they came. It is a rerun
 * of the command, so it replies and changes what the command would; what it pushes (BLMOVE) makes
 * further keys ready.
 *
 * *Keys on several shards.* The first try is a lending group (run.h): nothing can come between its
 * look at all keys and, when the slots come back, its waiters' standing in the queues. Each shard
 * has a part of the wait and may serve it with its own keys alone (so does Redis: with the one key
 * that is ready). Who may is decided by one word:
 *
 *   WAIT_TRIES ─blocked_tried─► WAIT_WAITS ─claim: wait_claim()─► WAIT_SERVED
 *       │                            ├────── wait_timed_out() ──► WAIT_TIMED_OUT
 *       │                            ├────── wait_for_turn() ───► WAIT_RETRIES
 *       └───── blocked_cancel() ─────┴────── blocked_cancel() ──► WAIT_UNBLOCKED, WAIT_ERROR, WAIT_GONE
 *
 * W1  A transition is one compare-and-swap; whoever makes it out of WAIT_WAITS has ended the wait,
 *     sends CANCEL to all other parts that stand in queues, and nobody else answers.
 * W2  A shard claims only when it has seen data, on the thread that owns them, and then takes them:
 *     a claim that is won is never in vain.
 * W3  A part that stands in queues leaves them, and its run returns, exactly once: when its shard
 *     ends the wait, or at CANCEL. So memory of the wait (the head's run) outlives all messages.
 *     Parts that stand in no queue return after the first try.
 *
 * *A destination that is out of reach* (BLMOVE). The shard of the source cannot push to a slot that
 * is another's, is lent, or for which an older command waits here. Then the wait ends in
 * WAIT_RETRIES: the command goes home and is routed anew, as an ordered command at a new place. Its
 * waiter stays as a *placeholder*, behind which nobody who wants list elements is served: the new
 * try finds the element, unless a command that does not wait has taken it first; then it waits
 * again in its old place. So commands may come between the push and the serving of such a BLMOVE.
 *
 * W4  Home sends something for every placeholder: the command routed anew, or a note to drop it.
 *
 * *Several keys* that are filled by commands under way at the same time (one transaction, one pipeline,
 * several clients): which of them the wait gets goes by the moments at which shards run these commands,
 * not by their order. A shard, too, runs early what conflicts with nothing that waits. It gets one.
 *
 * Timers are with the shard of the first key. Thread contract: "home" and "shard" (the one that
 * executes) as said at each function.
 */
#ifndef ASHLAR_SHARDS_BLOCKED_H
#define ASHLAR_SHARDS_BLOCKED_H

#include "shards/shard.h"

struct wait_queue;
struct waiter;

enum wait_state {
    WAIT_TRIES,     /* not run yet, or answered at once */
    WAIT_WAITS,
    WAIT_SERVED,    /* wait->answer has the reply */
    WAIT_TIMED_OUT, /* null */
    WAIT_RETRIES,   /* to be routed anew */
    WAIT_UNBLOCKED, /* CLIENT UNBLOCK TIMEOUT: null */
    WAIT_ERROR,     /* CLIENT UNBLOCK ERROR */
    WAIT_GONE,      /* nobody wants the answer */
};

/* What one shard has of a wait. */
struct wait_part {
    struct message cancel; /* whoever ends the wait -> the part's shard */
    struct wait *wait;
    struct op *op;
    uint16_t shard;
    bool waits;            /* stands in queues; written with wait->asked */
    /* its shard */
    bool cancelled;        /* CANCEL came before the slots did */
    bool parked;           /* its run is out of exec's list */
    struct waiter *waiter;
};

/* One blocking command, in the memory of its (head's) run. */
struct wait {
    _Atomic uint32_t state;
    /* written by the first try before the wait begins, read only then */
    struct call_wait asked;
    uint64_t deadline_ns;    /* 0: none */
    bool abandoned;          /* there was nothing, and by then nobody to wait */
    /* home: it was routed anew, and has this placeholder */
    struct waiter *place;
    uint16_t place_shard;
    uint16_t timekeeper;     /* shard of the first key */
    /* whoever makes it WAIT_RETRIES: the placeholder that it leaves */
    struct waiter *left;
    uint16_t left_shard;
    struct op *answer;       /* whoever serves */
    uint32_t nparts;
    struct wait_part parts[];
};

struct wait_ready {
    struct wait_queue *first, *last;
};

/* A shard's queues. Owner: the shard. */
struct blocked {
    struct lookup queues;    /* struct wait_queue, by database and key */
    struct wait_ready ready; /* those whose key was touched, oldest first */
    uint64_t arrivals;       /* waiters so far: their order */
};

struct blocked *blocked_new(void);
void blocked_free(struct blocked *b);

/* --- home --- */
/* The op (a head with all its parts) may have to wait. again: the wait that it takes up, or NULL. */
void blocked_prepare(struct shard *s, struct op *op, const struct wait *again);
/* Ends the wait of a connection's last command; false when it does not wait (any more). A command
 * that is still under way will not begin to wait if why is WAIT_GONE. */
bool blocked_cancel(struct conn *conn, enum wait_state why);
/* Whether the connection waits for data, for CLIENT LIST. */
bool blocked_waits(const struct conn *conn);
/* The run(s) are back: what the client gets where there was no reply is written (out NULL: it is
 * gone), and what the tries left is freed. */
void blocked_end(struct op *op, struct reply *out);
/* The op that has the reply; op when it is not a group or was answered at once. */
struct op *blocked_answer(struct op *op, struct op *otherwise);
/* A command in WAIT_RETRIES that will not be routed anew. */
void blocked_give_up(struct shard *s, struct op *op);
static inline enum wait_state blocked_state(const struct op *op)
{
    return atomic_load_explicit(&op->wait->wait->state, memory_order_acquire);
}

/* --- the executing shard --- */
/* The command has been run and op->wait->wait->asked says whether there was nothing: before the
 * slots are given back. */
void blocked_begin(struct wait *w);
/* A part's slots are free (again): stands in its queues, and returns true, if the wait has begun. */
bool blocked_tried(struct shard *s, struct wait_part *part);
/* CANCEL. */
void blocked_cancelled(struct shard *s, struct wait_part *part);
/* A key that somebody may wait for was touched; all keys of a database (-1: of all). */
void blocked_touch(struct shard *s, int db, const struct key *k);
void blocked_touch_db(struct shard *s, int db);
/* Serves all ready keys. in_pass: exec's marks say what waits; else whatever waits counts. */
void blocked_serve(struct shard *s, bool in_pass);
static inline bool blocked_ready(const struct shard *s)
{
    return s->blocked->ready.first != NULL;
}

#endif
