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
 * I2  A connection appears at most once in a phase; its runs of that phase are one per shard.
 */
#ifndef ASHLAR_SHARDS_ROUTE_H
#define ASHLAR_SHARDS_ROUTE_H

#include "shards/shard.h"

enum {
    ROUTE_COMMANDS_PER_CONN = 256,  /* of one connection in one phase */
    ROUTE_COMMANDS_PER_PHASE = 2048,
    ROUTE_IN_FLIGHT_MAX = 16384,    /* of one connection: then it is not read from */
};

/* The connection's run to a shard in this phase, if its session number is the present one. */
struct route_slot {
    uint64_t session;
    struct run *run;
    /* while a group is built */
    uint32_t part_keys;
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
    struct inbuf *inline_text; /* arguments of the inline commands being routed, else NULL */
    bool paused; /* CLIENT PAUSE may be in force */
    bool monitored; /* somebody listens to MONITOR: all runs are ordered (monitor.h) */
    struct resp_parser parser; /* for connections without a partial command */
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

/* --- for group.c --- */
struct run *route_run_to(struct shard *s, struct conn *conn, unsigned shard);
struct op *route_op_new(struct shard *s, struct run *run, struct conn *conn,
                        const struct command *cmd, const struct slice *argv, uint32_t argc);
const struct slice *route_copy_argv(struct shard *s, struct run *run, const struct slice *argv,
                                    uint32_t argc);
void route_conn_append(struct conn *conn, struct op *op);

#endif
