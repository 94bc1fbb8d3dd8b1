/* multi.h - transactions: MULTI, EXEC, DISCARD; WATCH is in watch.h.
 *
 * Between MULTI and EXEC commands are only checked, and kept at home:
 *
 *   MULTI ─► CONN_MULTI ─► queued, queued … ─► EXEC ─► CONN_EXEC: sent ─► (none)
 *                │                                        ▲      │ a barrier command stalls
 *                └── DISCARD, RESET, close ─► (none)      └──────┘ the rest (multi_resume)
 *
 * EXEC sends all of them in the phase in which it is read: first the header of its reply, as a
 * command at home, then each command as if it came from the connection just now. What is taken in
 * from one connection in one phase has consecutive places in the one order (order.h), so nothing
 * lies between the commands of a transaction, on whatever shards they run; those of one shard
 * travel in one run, with what else the connection sends there in this phase. No second round, no
 * locks.
 *
 *   connection's order:  *3 header   SET a   INCR b   GET a
 *   run to shard 0:                  SET a ──MORE──► GET a
 *   run to shard 1:                          INCR b
 *
 * An ordered run may stop in the middle of a transaction (for a conflict, or while slots are lent):
 * its place is its stamp, whenever its commands run, and who conflicts with the rest is newer and
 * waits. A free run has no such place before it runs. If it could stop in the middle, its first
 * half would have the place of this turn and the second that of a later one, and an ordered
 * command of another connection could fit between. Hence I2.
 *
 * Where a transaction holds a barrier command (INFO, CONFIG, DEBUG …), that one runs when all
 * before it is answered, and the rest is sent after it, even if the client is gone meanwhile. So that
 * nothing comes between, it begins with a fence and ends by taking it down:
 *
 *   first phase, to every shard:  FENCE ──MORE──► what it has to do there before the barrier
 *   … answered; the barrier runs at home and may ask the shards; then the next phase …
 *   last phase, to every shard:   the rest ──MORE──► FENCE DOWN
 *
 * A shard with a fence runs nothing but this connection's runs (exec.h, I5). Its place in the order is
 * that of the fence, on all shards; that a later phase bears a later stamp does not matter then.
 *
 * I1  The ops of a transaction in a run follow one another: all have OP_MULTI, all but the last
 *     OP_MORE.
 * I2  A transaction in a free run begins only when none of its commands has to wait.
 * I3  While CONN_EXEC is set, no input of the connection is parsed.
 * I4  Arguments of queued commands stay in the connection's input. When that goes before EXEC has
 *     come (input_drop), or when one of them does not lie in it, all are copied to one text, which
 *     the runs then hold as they hold receive buffers.
 *
 * I5  Every shard that has got a fence gets the end of it, unless watched keys have changed: then the
 *     fence does not happen. The connection takes in nothing until the fence is down everywhere.
 *
 * Owner: the connection's home.
 */
#ifndef ASHLAR_SHARDS_MULTI_H
#define ASHLAR_SHARDS_MULTI_H

#include "core/command.h"
#include "shards/shard.h"

enum {
    MULTI_POOL_MAX = 64,          /* of a shard: transactions' memory for the next ones */
    MULTI_POOLED_BYTES_MAX = 16384, /* what is larger is not kept */
    MULTI_TEXT_BYTES_MIN = 512,
    MULTI_QUEUE_MIN = 8,          /* commands */
};

struct multi_command {
    const struct command *command;
    uint32_t argc;
};

struct multi {
    struct multi *next; /* in the pool */
    struct multi_command *queue;
    uint32_t count, cap;
    struct slice *args; /* of all commands, one after the other */
    size_t args_count, args_cap;
    bool kept;          /* I4: they lie in text; until EXEC, .ptr is only an offset into it, because it
                           moves when it grows */
    struct inbuf *text;
    uint32_t command_flags; /* of all commands */
    bool aborted;           /* a command was refused: EXEC will be, too */
    bool stops;             /* a barrier is among them */
    bool fenced;            /* I5 */
    /* EXEC */
    struct op *check;       /* of watched keys, in the connection's order; NULL: decided, or none */
    uint32_t at;            /* the next command to send */
    size_t args_at;         /* its arguments */
    struct inbuf *outer_text; /* while sending: the route's, before */
};

command_run multi_run_exec;

/* ROUTE_TRANSACTION: in the connection's session. */
void multi_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc);
/* In a transaction: whether the command is to be queued rather than run. */
bool multi_queues(const struct command *cmd);
void multi_queue(struct conn *conn, const struct command *cmd, const struct slice *argv,
                 uint32_t argc);
/* The input that arguments may lie in is about to go (I4). */
void multi_keep(struct conn *conn);
/* A command was refused. Within a transaction: it cannot be executed any more. EXEC itself: it is
 * over. Returns what to reply, which may be made in text. */
enum { MULTI_REFUSAL_BYTES = 256 };
const char *multi_refused(struct conn *conn, const struct command *cmd, const char *refusal,
                          char text[MULTI_REFUSAL_BYTES]);
/* The flags by which a command is judged: those of EXEC are those of what it executes. */
uint32_t multi_flags(const struct conn *conn, const struct command *cmd);
/* CONN_EXEC, in the connection's session: goes on sending. */
void multi_resume(struct shard *s, struct conn *conn);
/* The check of watched keys has come back: replies for EXEC, and drops what is not to happen. */
void multi_decided(struct conn *conn, struct op *check);
/* Ends the transaction, if there is one, and the watching of keys: DISCARD, RESET. */
void multi_discard(struct conn *conn);
/* The same for a connection that is being freed. */
void multi_free(struct conn *conn);
size_t multi_memory(const struct conn *conn);
void multi_pool_free(struct shard *s);

#endif
