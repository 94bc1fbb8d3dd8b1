/* run.h - what travels between shards: the commands of one connection for one shard, taken in
 * during one phase.
 *
 *   connection ──parse──► op 1   op 2   op 3   op 4   op 5          (the connection's order)
 *                          │      │      │      │      │
 *                 run to shard 0: 1, 3, 4    run to shard 1: 2, 5
 *
 * A run is executed in order on its shard, then goes back to its home, which writes the replies
 * in the connection's order. A command whose keys lie apart is a *group*: a head op in the
 * connection's order, and a part op in the run of each shard concerned.
 *
 * Owner: the home allocates and frees it; from the push into a mailbox until it comes back it
 * belongs to the executing shard, but for what is marked "home". Its memory is a chain of blocks
 * from the home's pool, in which ops, arguments and keys lie. Arguments are slices of the receive
 * buffer that the run holds.
 *
 * I1  All ops of a run come from one phase and have its stamp.
 * I2  A free run is the only thing in flight of its connection when it is sent.
 * I3  The replies in run->reply stand in the order of its ops; op->reply_bytes says how long each.
 */
#ifndef ASHLAR_SHARDS_RUN_H
#define ASHLAR_SHARDS_RUN_H

#include "core/command.h"
#include "io/io.h"
#include "proto/reply.h"
#include "shards/mailbox.h"
#include "shards/touch.h"
#include <stdint.h>

struct conn;
struct group;
struct shard;
struct subscription;
struct wait_part;

/* A private input buffer of a connection, shared with the runs whose arguments lie in it. Home. */
struct inbuf {
    uint32_t refs;
    size_t cap, len;
    char data[];
};

enum op_flag {
    OP_PART = 1 << 0,    /* of a group: not in the connection's order itself */
    OP_HEAD = 1 << 1,    /* of a group: in the connection's order, its reply made from the parts' */
    OP_WHOLE = 1 << 2,   /* concerns the whole shard: conflicts with everything */
    OP_MUTED = 1 << 3,   /* CLIENT REPLY OFF or SKIP */
    OP_FAILED = 1 << 4,  /* its reply is an error */
    OP_HELD = 1 << 5,    /* lending: holds its slots (executing shard) */
    OP_BARRIER = 1 << 6, /* runs at home when it is the first in the connection's order */
    OP_DONE = 1 << 7,    /* home: barrier or home command answered */
    OP_NO_TOUCH = 1 << 8,
    OP_STARTED = 1 << 9, /* home: barrier command running (broadcast) */
    OP_MULTI = 1 << 10,  /* of a transaction (multi.h) */
    OP_MORE = 1 << 11,   /* … and not its last op in this run: nothing may come in between */
    OP_CHECK = 1 << 12,  /* of EXEC: decides about the transaction by the watched keys (watch.h) */
    OP_SKIPPED = 1 << 13, /* outcome: a watched key has changed, the transaction does not happen */
    OP_WAITS = 1 << 14,  /* for data (blocked.h): stands in queues (executing shard) */
    OP_ANEW = 1 << 15,   /* home: routed anew, another op answers */
    OP_TRACK = 1 << 16,  /* what it reads is remembered for its connection (tracking.h) */
    OP_TRACK_BCAST = 1 << 17, /* … whose prefixes are known: only that it has read */
    OP_STALLS = 1 << 18, /* home: its connection takes in nothing until it is answered (REACH_TRY) */
    OP_AGAIN = 1 << 19,  /* outcome: reached beyond its keys, changed nothing, is to be run anew */
    OP_LISTED = 1 << 20, /* home: waits to be sent anew */
    OP_DROPPED = 1 << 21, /* home: … which nobody wants any more */
    OP_RESTS = 1 << 22,   /* left in the middle (slices.h), to be gone on with (executing shard) */
    OP_ROAMS = 1 << 23,   /* one shard only: may touch keys that it does not name */
};

struct op {
    struct op *run_next;   /* in the run */
    struct op *conn_next;  /* home: in the connection's order */
    struct run *run;
    const struct command *command;
    const struct slice *argv;
    struct key *keys;
    struct group *group;   /* of a head or part, else NULL */
    struct wait_part *wait; /* of a command that may have to wait for data (blocked.h), else NULL */
    void *extra;           /* what the command needs beyond argv: struct call's extra */
    uint32_t argc, nkeys;
    uint32_t flags;
    uint16_t db;
    uint8_t resp;
    /* written by the executing shard; the home looks at flags above meanwhile, so these are apart */
    uint32_t outcome;      /* OP_FAILED, OP_HELD, OP_SKIPPED, OP_WAITS, OP_RESTS */
    size_t reply_bytes;
    uint64_t ticks;        /* CPU ticks it took */
    uint64_t member_hash;  /* of the member that it names, if that was prefetched; else 0 */
    uint64_t number;       /* home: of its connection's commands, this is the number-th answered */
    uint64_t weight;       /* APART_ANY */
    uint32_t *marks;       /* APART_EACH_KEY, APART_CONCAT: bytes of each element */
    uint32_t marks_count, marks_cap;
};

enum run_flag {
    RUN_FREE = 1 << 0,   /* need not wait for the horizon */
    RUN_DIRECT = 1 << 1, /* home's own free run: replies go straight to the connection's output */
    RUN_DONE = 1 << 2,   /* home: it has come back */
    RUN_PARTS = 1 << 3,  /* home: there are parts of groups among its ops */
};

struct run_block {
    struct run_block *next;
    size_t bytes; /* of the whole block */
};

enum {
    RUN_BLOCK_BYTES = 1792, /* no power of two: the runs' heads shall not fall into the same few sets
                               of the caches (a size class of allocators, too) */
    RUN_POOL_MAX = 1024,
    RUN_REPLY_ROOM_MIN = 128,
    RUN_PREFETCH_BYTES = 512, /* the run itself and its first op */
};

struct run {
    struct message message; /* of a chain's first run */
    struct run *next;       /* in a chain or in the executing shard's waiting list */
    struct run *chain_last; /* of a chain's first run, from when the chain is sent until it is taken */
    uint64_t stamp;
    uint16_t home, shard;
    uint32_t flags;         /* enum run_flag */
    struct op *first, *last;
    struct op *at;          /* executing shard: the next op to run */
    struct op *unit;        /* … the first op of the transaction that has begun, NULL: none */
    bool unit_open;         /* … which has stopped in the middle (exec.h I4) */
    struct reply reply;
    /* home */
    struct conn *conn;
    struct io_buf *io_buf;  /* the buffer that the arguments lie in: one of the two */
    struct inbuf *inbuf;
    uint32_t undrained;     /* ops (and groups) whose replies are not taken yet */
    struct run_block *blocks;
    char *room, *room_end;
};

/* Runs for one shard, in order. */
struct chain {
    struct run *first, *last;
};

static inline void chain_append(struct chain *chain, struct run *run)
{
    run->next = NULL;
    if (chain->last != NULL) {
        chain->last->next = run;
    } else {
        chain->first = run;
    }
    chain->last = run;
}

/* The chain is complete, and known by its first run from now on. */
static inline struct run *chain_close(struct chain *chain)
{
    struct run *first = chain->first;
    first->chain_last = chain->last;
    *chain = (struct chain){NULL, NULL};
    return first;
}

/* The home's pool of blocks. */
struct run_pool {
    struct run_block *free;
    uint32_t count;
};

struct run *run_new(struct run_pool *pool, unsigned home, unsigned shard, uint64_t stamp,
                    struct conn *conn, int resp);
void run_free(struct run_pool *pool, struct run *run);
void *run_alloc_slow(struct run_pool *pool, struct run *run, size_t bytes);
void run_pool_free(struct run_pool *pool);

/* Memory that lives as long as the run; 8-byte aligned. Home, while the run is being built. */
static inline void *run_alloc(struct run_pool *pool, struct run *run, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (bytes > (size_t)(run->room_end - run->room)) {
        return run_alloc_slow(pool, run, bytes);
    }
    void *p = run->room;
    run->room += bytes;
    return p;
}

/* Chains are walked once: the next run is loaded while this one is worked on. */
static inline void run_prefetch(const struct run *run)
{
    for (size_t at = 0; run != NULL && at < RUN_PREFETCH_BYTES; at += 64) {
        __builtin_prefetch((const char *)run + at);
    }
}

/* What is left of the run's memory becomes room for its replies: nothing more is allocated in it. The
 * thread that writes the first one. */
static inline void run_make_reply_room(struct run *run)
{
    size_t bytes = (size_t)(run->room_end - run->room);
    if (bytes >= RUN_REPLY_ROOM_MIN) {
        reply_lend(&run->reply, run->room, bytes);
        run->room = run->room_end;
    }
}

static inline void run_append(struct run *run, struct op *op)
{
    op->run = run;
    op->run_next = NULL;
    if (run->last != NULL) {
        run->last->run_next = op;
    } else {
        run->first = run->at = op;
    }
    run->last = op;
    run->undrained++;
}

/* --- groups: commands whose keys lie on several shards ------------------------------------- */

/* A shard's slots on loan to the runner. */
struct lend_part {
    struct message release;  /* runner -> owner: the slots come back */
    struct op *op;
    struct keyspace view;    /* made by the owner when it holds, used by the runner */
    struct keyspace_hooks hooks; /* of a whole shard's keyspace, as the owner had set them */
    struct touched touched;  /* what the runner changes, for the owner */
    uint16_t shard;
};

/* Lending (DESIGN.md section 4): every part holds its slots at its place in the order; the last
 * to hold lets the runner go; the runner executes the command on all slots through views and
 * gives them back.
 *
 *   part:    waits its turn ► holds, makes a view ► counts missing down ───────────► release ► done
 *   runner:  waits its turn ► holds ► counts down ► (READY) ► runs ► sends releases ► done
 *
 * A command that may touch keys which it does not name (SORT with BY, scripts) borrows all shards
 * whole: their keyspaces themselves, whose owners keep away from them meanwhile. */
struct lend {
    struct message ready;    /* last holder -> runner */
    _Atomic uint32_t missing; /* parts that do not hold yet */
    bool may_go;             /* runner's thread */
    bool whole;              /* all slots of all shards: no views, the keyspaces themselves */
    uint16_t runner;         /* shard */
    struct op *runner_op;
    struct key *own_keys;    /* the runner's, while its op shows all */
    uint32_t own_nkeys;
    struct keyspace **views; /* by shard id, for struct call; filled in by the runner */
    struct lend_part *parts; /* one per part, the runner's included (its view unused) */
    uint32_t nparts;
};

struct group {
    struct op *head;
    uint32_t nparts, missing; /* home: parts that have not come back */
    struct op **parts;
    uint16_t *part_of;        /* APART_EACH_…: by key of the head, the part that has it */
    struct lend *lend;        /* APART_LEND only */
    /* APART_MADE only (subscribe.h) */
    struct reply *made;
    struct subscription **subs; /* that the parts add or take out; read by the executing shards */
    uint32_t subs_count;
    bool subs_leave;
};

#endif
