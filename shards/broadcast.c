/* broadcast.c - notes and broadcasts (see shard.h).
 *
 *   home: command ► broadcast() ──note──► every shard: part() ──note──► home: the last one: done()
 */
#include "shards/broadcast.h"
#include "shards/latency.h"
#include "shards/sim_point.h"
#include <assert.h>
#include <stddef.h>

struct note {
    struct message message;
    broadcast_part *fn;
    void *ctx;
};

struct broadcast {
    struct conn *conn;
    struct op *op;
    broadcast_part *part;
    broadcast_done *done;
    void *ctx;
    struct shard *home;
    unsigned missing; /* home */
};

void shard_send(struct shard *from, struct shard *to, struct message *message)
{
    if (mailbox_push_mp(&to->mailbox, message) && (from == NULL || from->io != to->io)) {
        sched_point("wake");
        io_wake_mp(to->io, from != NULL ? from->io : NULL);
        if (from != NULL) {
            counter_add(&from->stats.wakeups_sent, 1);
        }
    }
}

static void note_send(struct shard *from, struct shard *to, enum message_kind kind,
                      broadcast_part *fn, void *ctx)
{
    struct note *note = mem_alloc(sizeof *note);
    *note = (struct note){.message.kind = kind, .fn = fn, .ctx = ctx};
    shard_send(from, to, &note->message);
}

void shard_note(struct shard *from, struct shard *to, broadcast_part *fn, void *ctx)
{
    note_send(from, to, MESSAGE_NOTE, fn, ctx);
}

void note_run(struct shard *s, struct message *message)
{
    struct note *note = (struct note *)((char *)message - offsetof(struct note, message));
    note->fn(s, note->ctx);
    mem_free(note);
}

/* An ASK comes from broadcast(). */
bool note_serves_busy(const struct message *message)
{
    const struct note *note =
        (const struct note *)((const char *)message - offsetof(struct note, message));
    const struct broadcast *b = note->ctx;
    return b->op->command->flags & CMD_ALLOW_BUSY;
}

void broadcast_note(struct shard *from, broadcast_part *part, void *ctx)
{
    for (unsigned i = 0; i < from->server->shard_count; i++) {
        shard_note(from, from->server->shards[i], part, ctx);
    }
}

/* --- barrier commands ------------------------------------------------------------------------ */

static struct call barrier_call(struct conn *conn, struct op *op)
{
    struct shard *s = conn->shard;
    return (struct call){
        .command = op->command, .ks = s->keyspace, .argv = op->argv, .argc = op->argc,
        .db = op->db, .out = &op->run->reply, .now_ms = s->now_ms, .host = conn,
        .slot_begin = s->slot_begin, .slot_end = s->slot_end,
        .flags = op->flags & OP_MULTI ? CALL_IN_MULTI | CALL_DENY_BLOCKING : 0,
    };
}

static void barrier_finish(struct op *op, uint32_t errors)
{
    struct reply *out = &op->run->reply;
    out->muted = false;
    op->reply_bytes = out->total_bytes;
    if (out->errors != errors) {
        op->outcome |= OP_FAILED;
    }
    op->flags |= OP_DONE;
}

void broadcast_run(struct shard *s, struct conn *conn, struct op *op)
{
    struct call c = barrier_call(conn, op);
    c.out->muted = op->flags & OP_MUTED;
    s->broadcasting = false;
    s->barrier_op = op;
    atomic_store_explicit(&s->running, op->command, memory_order_relaxed);
    uint64_t start = clock_ticks();
    op->command->run(&c);
    op->ticks = clock_ticks() - start;
    s->barrier_op = NULL;
    if (s->broadcasting) {
        return; /* done() will finish it */
    }
    barrier_finish(op, 0);
    if (op->outcome & OP_FAILED) {
        stats_error(s, c.out->error_code);
    }
    conn_drain(conn);
}

static void broadcast_finish(struct broadcast *b)
{
    struct op *op = b->op;
    struct conn *conn = b->conn;
    struct call c = barrier_call(conn, op);
    c.out->muted = op->flags & OP_MUTED;
    uint32_t errors = c.out->errors;
    b->home->broadcasting = false;
    b->home->barrier_op = op;
    b->done(&c, b->ctx);
    b->home->barrier_op = NULL;
    bool again = b->home->broadcasting; /* done() has started another round */
    mem_free(b);
    if (again) {
        return;
    }
    barrier_finish(op, errors);
    if (op->outcome & OP_FAILED) {
        stats_error(conn->shard, c.out->error_code);
    }
    conn_drain(conn);
}

static void broadcast_returned(struct shard *home, void *ctx)
{
    struct broadcast *b = ctx;
    (void)home;
    if (--b->missing == 0) {
        broadcast_finish(b);
    }
}

static void broadcast_arrived(struct shard *s, void *ctx)
{
    struct broadcast *b = ctx;
    b->part(s, b->ctx);
    shard_note(s, b->home, broadcast_returned, b);
}

void broadcast(struct call *c, broadcast_part *part, broadcast_done *done, void *ctx)
{
    struct conn *conn = call_conn(c);
    struct shard *s = conn->shard;
    assert(s->barrier_op != NULL && !s->broadcasting);
    struct broadcast *b = mem_alloc(sizeof *b);
    *b = (struct broadcast){.conn = conn, .op = s->barrier_op, .part = part, .done = done,
                            .ctx = ctx, .home = s, .missing = s->server->shard_count};
    s->broadcasting = true;
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        note_send(s, s->server->shards[i], MESSAGE_ASK, broadcast_arrived, b);
    }
}
