/* route.h - taking in commands: from a connection's input to runs for the shards that own the keys.
 *
 *   input ──parse──► command table ──► checks (arity, AUTH, memory) ──► by its row:
 *      ROUTE_HOME      runs at once, touches only the connection
 *      ROUTE_BARRIER   the connection stalls; runs at home when all before it are answered
 *      ROUTE_KEYS      one shard: an op in that shard's run. Several: a group with a part on each
 *      ROUTE_ALL       a group with a part on every shard
 *      ROUTE_CHANNELS  as ROUTE_KEYS, with channels for keys
 *      ROUTE_SUBSCRIBE subscribe.h
 *      ROUTE_CURSOR    by the slot in the cursor
 *
 * All connections that have input are served in one phase (order.h), a bounded amount each; the
 * rest stays for the next turn. Owner: the shard's thread.
 *
 * I1  Between order_phase_open and order_phase_close nothing waits and nothing is executed except
 *     ROUTE_HOME commands.
 * I2  A connection appears at most once in a phase; its runs of that phase are one per shard and
 *     buffer that their arguments lie in.
 * I3  A command that may wait for data has runs of its own, which hold a copy of its arguments: the
 *     replies before it are not kept back, no receive buffer is. Its connection is stalled, as after
 *     a barrier command.
 */
#ifndef ASHLAR_SHARDS_ROUTE_H
#define ASHLAR_SHARDS_ROUTE_H

#include "shards/shard.h"

enum {
    ROUTE_COMMANDS_PER_CONN = 256,  /* of one connection in one phase */
    ROUTE_COMMANDS_PER_PHASE = 2048,
    ROUTE_CONNS_PER_PHASE = 64,     /* each costs the turn a receive and a send */
    ROUTE_PHASE_US = 200,           /* then no other connection has its turn */
    ROUTE_IN_FLIGHT_MAX = 16384,    /* of one connection: then it is not read from */
};

/* The connection's run to a shard in this phase, if its session number is the present one. */
struct route_slot {
    uint64_t session;
    uint64_t transaction; /* the last one that used it */
    struct run *run;
    /* while a group is built */
    uint32_t part_keys;
    uint16_t part_index;
    struct op *part;
};

struct route {
    uint64_t stamp;   /* of the open phase */
    uint64_t session; /* counts connections' turns */
    struct route_slot *run_of; /* by shard */
    /* of this session */
    uint32_t targets;
    struct run *last_target;
    bool groups, home_queued;
    struct run *home_run; /* for replies of home's own that stand behind others; NULL: none yet */
    struct inbuf *own_text; /* arguments that do not lie in the connection's input (inline commands,
                               transactions, commands that wait), else NULL */
    bool in_multi; /* a transaction is being sent (multi.h) */
    uint64_t transaction;      /* counts them */
    uint32_t transaction_runs; /* that it has ops in, */
    struct run *transaction_run; /* … the last of them */
    struct decision *decision; /* every run that is begun begins with a part of it (watch.h) */
    void *extra;               /* of every op that is made: struct op's extra */
    bool waits;  /* the command being routed may have to wait for data (blocked.h) */
    const struct wait *again; /* it has waited before, else NULL */
    bool paused; /* CLIENT PAUSE may be in force */
    bool busy;   /* a script keeps a shard for long (busy.h) */
    const struct run *input_of; /* whose input the runs hold that are made now; NULL: the connection's */
    bool monitored; /* somebody listens to MONITOR: all runs are ordered (monitor.h) */
    struct resp_parser parser; /* for connections without a partial command */
    const struct key *last_key; /* of the last op with one key in this phase, in its run, to spare
                                   the next on that key its hashing; NULL: none */
    struct key *keys;          /* scratch */
    uint32_t *positions;
    uint32_t keys_cap;
    char refusal[192]; /* text that refuse() has made */
};

struct route *route_new(unsigned shards);
void route_free(struct route *r);
/* One phase: parses ready connections' input, pushes runs to their shards. */
void route_phase(struct shard *s);
/* Runs barrier commands that have come first in their connection's order. Outside a phase. */
void route_barriers(struct shard *s);
/* Group and statistics work when a command's reply is taken over: called by conn_drain() for the
 * first op of the connection's order; false when it is not done yet. */
bool route_finish(struct conn *conn, struct op *op);
/* A run has come back to its home. */
void route_run_done(struct shard *s, struct run *run);

/* A command that is answered when it is taken in: moves the reply made for it to its place in the
 * connection's order, also when replies are off. */
void route_reply_at_home(struct shard *s, struct conn *conn, const struct command *cmd,
                         struct reply *made);

/* --- finish.c, for route.c --- */
/* One of those that keep a run is done with it. */
void route_undrain(struct shard *s, struct run *run);
/* Lets go of the runs that an op or a group kept. */
void route_undrain_op(struct shard *s, struct op *op);
/* For the slow log and the latency monitor. */
void route_note_slow(struct shard *s, struct conn *conn, const struct command *cmd,
                     const struct slice *argv, uint32_t argc, uint64_t ticks);

/* --- for group.c --- */
struct run *route_run_to(struct shard *s, struct conn *conn, unsigned shard);
struct op *route_op_new(struct shard *s, struct run *run, struct conn *conn,
                        const struct command *cmd, const struct slice *argv, uint32_t argc);
/* The same with room behind it for so many bytes. */
struct op *route_op_new_with(struct shard *s, struct run *run, struct conn *conn,
                             const struct command *cmd, const struct slice *argv, uint32_t argc,
                             size_t more_bytes);
const struct slice *route_copy_argv(struct shard *s, struct run *run, const struct slice *argv,
                                    uint32_t argc);
void route_conn_append(struct conn *conn, struct op *op);
/* --- for multi.c and watch.c --- */
/* Brings a command that has passed all checks to where it runs. */
void route_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   struct slice *argv, uint32_t argc);
/* Keys of argv into the route's scratch; returns how many, negative when argv does not fit. */
int route_find_keys(struct shard *s, const struct command *cmd, const struct slice *argv,
                    uint32_t argc);
/* To the owners of the first count keys in the scratch. */
void route_by_keys(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc, uint32_t count);
/* Runs a command at home when all before it in the connection's order are answered; the connection
 * stalls until then. */
void route_barrier(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc);
/* Runs a command at once, on the connection alone. */
void route_at_home(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc);

#endif
