/* finish.c - commands that are answered: their replies go to the connection's output in its order, they
 * are counted, and what they kept is let go. Barrier commands begin here, because they begin when all
 * before them is answered. See route.h.
 *
 *   run comes back ──► route_run_done ──► conn_drain ──► route_finish, first op by first op
 *                                                          │ reply moved, accounted
 *                                                          ▼
 *                                        route_undrain: the run's last op: memory and input are free
 */
#include "shards/blocked.h"
#include "shards/broadcast.h"
#include "shards/group.h"
#include "shards/latency.h"
#include "shards/multi.h"
#include "shards/route.h"
#include "shards/slowlog.h"
#include "shards/subscribe.h"
#include <assert.h>

void route_undrain(struct shard *s, struct run *run)
{
    assert(run->undrained > 0);
    if (--run->undrained > 0) {
        return;
    }
    if (run->io_buf != NULL) {
        io_buf_release(run->io_buf);
    }
    if (run->inbuf != NULL) {
        inbuf_release(run->inbuf);
    }
    run_free(&s->run_pool, run);
}

void route_undrain_op(struct shard *s, struct op *op)
{
    struct run *run = op->run;
    if (op->flags & OP_HEAD) {
        uint32_t nparts = op->group->nparts; /* the group lies in the head's run, which goes last */
        struct op **parts = op->group->parts;
        for (uint32_t i = 0; i < nparts; i++) {
            route_undrain(s, parts[i]->run);
        }
    }
    route_undrain(s, run);
}

void route_note_slow(struct shard *s, struct conn *conn, const struct command *cmd,
                     const struct slice *argv, uint32_t argc, uint64_t ticks)
{
    int64_t slow_us = s->config->slowlog_log_slower_than_us;
    double us = (double)ticks / clock_ticks_per_us;
    if (slow_us >= 0 && us >= (double)slow_us) {
        slowlog_consider(s, conn, cmd, argv, argc, (uint64_t)us);
    }
    int64_t spike_ms = s->config->latency_monitor_threshold_ms;
    if (spike_ms > 0 && us >= (double)spike_ms * 1000) {
        latency_consider(s, cmd, (uint64_t)us);
    }
}

void route_barriers(struct shard *s)
{
    struct conn *later = NULL;
    while (s->barriers != NULL) {
        struct conn *conn = s->barriers;
        s->barriers = conn->barrier_next;
        struct op *op = conn->first_op;
        assert(op != NULL && (op->flags & OP_BARRIER));
        if (s->serving && !(op->command->flags & CMD_ALLOW_BUSY)) {
            conn->barrier_next = later; /* a script keeps the shard */
            later = conn;
            continue;
        }
        conn->flags &= ~(uint32_t)CONN_BARRIER_LISTED;
        op->flags |= OP_STARTED;
        if (conn->flags & CONN_CLOSING) {
            op->flags |= OP_DONE;
            conn_drain(conn);
            continue;
        }
        broadcast_run(s, conn, op);
    }
    s->barriers = later;
}

/* Counts, times and remembers a command that is answered. */
static void account(struct conn *conn, const struct op *op)
{
    struct shard *s = conn->shard;
    if (op->command == NULL || op->argv == NULL || (op->flags & OP_ANEW)) {
        return; /* counted where it ran, or will be */
    }
    if (op->extra != NULL && op->command->release != NULL) {
        op->command->release(op->extra);
    }
    if (op->outcome & OP_SKIPPED) {
        return; /* it did not happen */
    }
    stats_record(s, op->command, op->ticks, op->outcome & OP_FAILED);
    route_note_slow(s, conn, op->command, op->argv, op->argc, op->ticks);
}

/* The op, or the part of the group, that a command ran as a whole. */
static const struct op *runner_of(const struct op *op)
{
    if (!(op->flags & OP_HEAD)) {
        return op;
    }
    return op->group->lend != NULL ? op->group->lend->runner_op : NULL;
}

/* A command that its connection waits for, and nothing else. True when it is to be sent again: then
 * it is not done yet. */
static bool stalling_done(struct conn *conn, struct op *op)
{
    const struct op *runner = runner_of(op);
    if (runner != NULL && (runner->outcome & OP_AGAIN) &&
        !((conn->flags & CONN_CLOSING) || (op->flags & OP_DROPPED))) {
        if (!(op->flags & OP_LISTED)) {
            op->flags |= OP_LISTED;
            conn->barrier_next = conn->shard->again;
            conn->shard->again = conn;
        }
        return true;
    }
    conn->flags &= ~(uint32_t)CONN_STALLED;
    conn_make_ready(conn);
    return false;
}

/* False when the command goes on: it is to be routed anew. Else its connection does. */
static bool wait_is_over(struct conn *conn, struct op *op)
{
    struct shard *s = conn->shard;
    if (blocked_state(op) == WAIT_RETRIES && !(op->flags & OP_ANEW)) {
        if (!(conn->flags & CONN_RETRY)) {
            conn->flags |= CONN_RETRY;
            conn->retry_next = s->retries;
            s->retries = conn;
        }
        return false;
    }
    if (!(op->flags & OP_ANEW)) {
        if (op->wait->wait->abandoned) {
            conn_consume_input(conn, conn_query_bytes(conn)); /* what is behind it is not its turn */
        }
        conn->flags &= ~(uint32_t)CONN_STALLED;
        conn_make_ready(conn);
    }
    return true;
}

/* What takes the place of a reply when there was nothing until the end. */
static void finish_wait(struct conn *conn, struct op *op)
{
    struct reply *out = &conn->out;
    uint32_t errors = out->errors;
    blocked_end(op, conn->flags & CONN_CLOSING ? NULL : out);
    if (out->errors != errors) {
        stats_error(conn->shard, out->error_code);
        out->errors = errors;
    }
}

static void finish_group(struct conn *conn, struct op *head)
{
    struct shard *s = conn->shard;
    struct group *group = head->group;
    if (group->made != NULL) {
        subscribe_group_done(conn, group);
    } else if (head->flags & OP_CHECK) {
        multi_decided(conn, head);
    } else if (group->parts[0]->outcome & OP_SKIPPED) {
        head->outcome |= OP_SKIPPED;
    } else if (!(conn->flags & CONN_CLOSING) && !(head->flags & (OP_MUTED | OP_ANEW))) {
        conn->out.resp = head->resp;
        group_reply(group, &conn->out);
    } else {
        group_discard(group);
    }
    if (head->wait != NULL) {
        finish_wait(conn, head);
    }
    account(conn, head);
    route_undrain_op(s, head);
}

bool route_finish(struct conn *conn, struct op *op)
{
    struct shard *s = conn->shard;
    if (op->flags & OP_HEAD) {
        if (op->group->missing > 0 || ((op->flags & OP_STALLS) && stalling_done(conn, op)) ||
            (op->wait != NULL && !wait_is_over(conn, op))) {
            return false;
        }
        finish_group(conn, op);
        return true;
    }
    if (op->flags & OP_BARRIER) {
        if (!((op->flags & OP_DONE) || (op->outcome & OP_SKIPPED))) {
            if (!(op->flags & OP_STARTED) && !(conn->flags & CONN_BARRIER_LISTED)) {
                conn->flags |= CONN_BARRIER_LISTED;
                conn->barrier_next = s->barriers;
                s->barriers = conn;
            }
            return false;
        }
        if (--conn->barrier_ops == 0) {
            conn->flags &= ~(uint32_t)CONN_STALLED;
            conn_make_ready(conn);
        }
    } else if (!(op->run->flags & RUN_DONE) ||
               ((op->flags & OP_STALLS) && stalling_done(conn, op)) ||
               (op->wait != NULL && !wait_is_over(conn, op))) {
        return false;
    }
    struct run *run = op->run;
    if (!(run->flags & RUN_DIRECT) && !(conn->flags & CONN_CLOSING)) {
        reply_move(&conn->out, &run->reply, op->reply_bytes);
    }
    if (op->wait != NULL) {
        finish_wait(conn, op);
    }
    account(conn, op);
    route_undrain(s, run);
    return true;
}

void route_run_done(struct shard *s, struct run *run)
{
    struct conn *conn = run->conn;
    run->flags |= RUN_DONE;
    if (run->reply.over) {
        conn_output_over(conn); /* before anybody reads it */
    }
    for (struct op *op = run->flags & RUN_PARTS ? run->first : NULL; op != NULL; op = op->run_next) {
        if (op->flags & OP_PART) {
            assert(op->group->missing > 0);
            op->group->missing--;
        }
    }
    conn_drain(conn);
}
