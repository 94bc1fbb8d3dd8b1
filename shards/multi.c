/* multi.c - MULTI, EXEC, DISCARD (see multi.h). */
#include "shards/multi.h"
#include "core/num.h"
#include "shards/commands.h"
#include "shards/exec.h"
#include "shards/group.h"
#include "shards/route.h"
#include "shards/watch.h"
#include <assert.h>
#include <stdio.h>

/* --- memory ---------------------------------------------------------------------------------- */

static struct multi *multi_new(struct shard *s)
{
    struct multi *m = s->multi_pool;
    if (m == NULL) {
        return mem_alloc_zero(sizeof *m);
    }
    s->multi_pool = m->next;
    s->multi_pool_count--;
    return m;
}

static void multi_destroy(struct multi *m)
{
    if (m->text != NULL) {
        inbuf_release(m->text);
    }
    mem_free(m->queue);
    mem_free(m->args);
    mem_free(m);
}

static size_t multi_bytes(const struct multi *m)
{
    return m->cap * sizeof *m->queue + m->args_cap * sizeof *m->args +
           (m->text != NULL ? m->text->cap : 0);
}

/* Back to the pool; the text's runs may still be on their way. */
static void multi_release(struct shard *s, struct multi *m)
{
    if (s->multi_pool_count >= MULTI_POOL_MAX || multi_bytes(m) > MULTI_POOLED_BYTES_MAX) {
        multi_destroy(m);
        return;
    }
    m->count = m->at = 0;
    m->args_count = m->args_at = 0;
    m->command_flags = 0;
    m->aborted = m->kept = m->stops = m->fenced = false;
    m->check = NULL;
    m->next = s->multi_pool;
    s->multi_pool = m;
    s->multi_pool_count++;
}

void multi_pool_free(struct shard *s)
{
    while (s->multi_pool != NULL) {
        struct multi *m = s->multi_pool;
        s->multi_pool = m->next;
        multi_destroy(m);
    }
    s->multi_pool_count = 0;
}

void multi_free(struct conn *conn)
{
    if (conn->multi != NULL) {
        multi_destroy(conn->multi);
        conn->multi = NULL;
    }
}

/* The text of the transaction before, if no run refers to it any more. */
static void text_begin(struct multi *m)
{
    if (m->text != NULL && m->text->refs == 1) {
        m->text->len = 0;
    } else if (m->text != NULL) {
        inbuf_release(m->text);
        m->text = NULL;
    }
}

/* Room for bytes in text. */
static void text_reserve(struct multi *m, size_t bytes)
{
    struct inbuf *old = m->text;
    if (old != NULL && old->cap - old->len >= bytes) {
        return;
    }
    size_t len = old != NULL ? old->len : 0, cap = old != NULL ? 2 * old->cap : MULTI_TEXT_BYTES_MIN;
    cap = cap - len < bytes ? len + bytes : cap;
    assert(old == NULL || old->refs == 1); /* nothing is sent before EXEC */
    struct inbuf *text = mem_realloc(old, sizeof *text + cap);
    text->refs = 1;
    text->cap = cap;
    text->len = len;
    m->text = text;
}

size_t multi_memory(const struct conn *conn)
{
    const struct multi *m = conn->multi;
    return (m != NULL && m->kept ? m->text->len : 0) +
           (m != NULL ? m->args_count * sizeof *m->args + m->cap * sizeof *m->queue : 0) +
           watch_memory(conn);
}

/* --- queueing -------------------------------------------------------------------------------- */

bool multi_queues(const struct command *cmd)
{
    if (cmd->route == ROUTE_TRANSACTION) {
        return cmd->run == watch_run_unwatch;
    }
    return cmd->run != cmd_quit && cmd->run != cmd_reset;
}

/* Moves arguments to text, which they are offsets into from now on. */
static void args_copy(struct multi *m, struct slice *args, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += args[i].len;
    }
    text_reserve(m, bytes);
    struct inbuf *text = m->text;
    for (size_t i = 0; i < count; i++) {
        memcpy(text->data + text->len, args[i].ptr, args[i].len);
        args[i].ptr = (const char *)(uintptr_t)text->len;
        text->len += args[i].len;
    }
}

static void keep(struct multi *m)
{
    if (!m->kept) {
        text_begin(m);
        args_copy(m, m->args, m->args_count);
        m->kept = true;
    }
}

void multi_keep(struct conn *conn)
{
    struct multi *m = conn->multi;
    if (m != NULL && m->args_count > 0 && !m->aborted) {
        keep(m);
    }
}

void multi_queue(struct conn *conn, const struct command *cmd, const struct slice *argv,
                 uint32_t argc)
{
    struct multi *m = conn->multi;
    if (m->aborted || watch_dirty(conn)) {
        return; /* it will not be executed */
    }
    if (conn->shard->route->own_text != NULL) {
        keep(m); /* an inline command */
    }
    if (m->count == m->cap) {
        m->cap = m->cap > 0 ? 2 * m->cap : MULTI_QUEUE_MIN;
        m->queue = mem_realloc(m->queue, m->cap * sizeof *m->queue);
    }
    if (m->args_cap - m->args_count < argc) {
        size_t cap = m->args_cap > 0 ? 2 * m->args_cap : 4 * MULTI_QUEUE_MIN;
        m->args_cap = cap - m->args_count < argc ? m->args_count + argc : cap;
        m->args = mem_realloc(m->args, m->args_cap * sizeof *m->args);
    }
    m->queue[m->count++] = (struct multi_command){cmd, argc};
    m->command_flags |= cmd->flags;
    m->stops |= cmd->route == ROUTE_BARRIER ||
                (cmd->route == ROUTE_SUBSCRIBE && conn->watch != NULL); /* wait_for_decision() */
    struct slice *args = m->args + m->args_count;
    m->args_count += argc;
    for (uint32_t i = 0; i < argc; i++) {
        args[i] = argv[i];
    }
    if (m->kept) {
        args_copy(m, args, argc);
    }
}

uint32_t multi_flags(const struct conn *conn, const struct command *cmd)
{
    if (!(conn->flags & CONN_MULTI)) {
        return cmd->flags;
    }
    if (cmd->route == ROUTE_TRANSACTION && cmd->run == multi_run_exec) {
        return cmd->flags | conn->multi->command_flags;
    }
    /* Queueing takes memory, whatever the command. */
    return cmd->flags | (multi_queues(cmd) || cmd->run == watch_run_watch ? CMD_DENYOOM : 0);
}

const char *multi_refused(struct conn *conn, const struct command *cmd, const char *refusal,
                          char text[MULTI_REFUSAL_BYTES])
{
    if (cmd != NULL && cmd->run == multi_run_exec) {
        multi_discard(conn);
        snprintf(text, MULTI_REFUSAL_BYTES, "EXECABORT Transaction discarded because of: %s",
                 refusal);
        return text;
    }
    if (conn->flags & CONN_MULTI) {
        conn->multi->aborted = true;
    }
    return refusal;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* The transaction is over, executed or not. */
static void transaction_end(struct conn *conn)
{
    conn->flags &= ~(uint32_t)(CONN_MULTI | CONN_EXEC);
    multi_release(conn->shard, conn->multi);
    conn->multi = NULL;
}

void multi_discard(struct conn *conn)
{
    if (conn->flags & CONN_MULTI) {
        transaction_end(conn);
    }
    watch_end(conn);
}

/* --- commands -------------------------------------------------------------------------------- */

static void run_multi(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (conn->flags & CONN_MULTI) {
        reply_error(c->out, "ERR MULTI calls can not be nested");
        return;
    }
    conn->flags |= CONN_MULTI;
    conn->multi = multi_new(conn->shard);
    reply_ok(c->out);
}

static void run_discard(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (!(conn->flags & CONN_MULTI)) {
        reply_error(c->out, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(conn);
    reply_ok(c->out);
}

/* Arguments in text get their addresses. */
static void args_place(struct multi *m)
{
    for (size_t i = 0; m->kept && i < m->args_count; i++) {
        m->args[i].ptr = m->text->data + (uintptr_t)m->args[i].ptr;
    }
}

static void exec_begin(struct conn *conn)
{
    if (conn->shard->route->own_text != NULL) {
        keep(conn->multi); /* EXEC is inline: the runs would hold its text */
    }
    args_place(conn->multi);
    conn->flags |= CONN_EXEC;
}

/* Replies all that EXEC says itself: an error, null, or the header. */
void multi_run_exec(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (!(conn->flags & CONN_MULTI)) {
        reply_error(c->out, "ERR EXEC without MULTI");
    } else if (conn->multi->aborted) {
        multi_discard(conn);
        reply_error(c->out, "EXECABORT Transaction discarded because of previous errors.");
    } else if (watch_dirty(conn)) {
        multi_discard(conn);
        reply_null_array(c->out);
    } else {
        reply_array(c->out, conn->multi->count);
        exec_begin(conn);
    }
}

/* --- sending --------------------------------------------------------------------------------- */

/* Where the arguments do not lie in the input, runs are begun that hold what they lie in. The same
 * for watched keys: runs begin with a check. */
static void session_begin(struct shard *s, struct multi *m, bool own_runs)
{
    struct route *r = s->route;
    assert(!r->in_multi);
    m->outer_text = r->own_text;
    if (m->kept) {
        r->own_text = m->text;
    }
    if (m->kept || own_runs) {
        r->session++;
    }
    r->in_multi = true;
    r->transaction++;
    r->transaction_runs = 0;
}

/* I1: what follows in these runs, if anything, is no longer of the transaction. */
static void close_runs(struct shard *s)
{
    struct route *r = s->route;
    uint32_t left = r->transaction_runs;
    if (left == 1) {
        r->transaction_run->last->flags &= ~(uint32_t)OP_MORE;
        return;
    }
    for (unsigned i = 0; left > 0 && i < s->server->shard_count; i++) {
        if (r->run_of[i].transaction == r->transaction) {
            r->run_of[i].run->last->flags &= ~(uint32_t)OP_MORE;
            left--;
        }
    }
}

/* A transaction that has stopped is not over, even if nothing is left of it: the barrier command
 * shall see the connection in it (CLIENT LIST). The input may go before it goes on. */
static void session_end(struct shard *s, struct conn *conn, bool own_runs, bool stopped)
{
    struct route *r = s->route;
    struct multi *m = conn->multi;
    r->in_multi = false;
    close_runs(s);
    r->own_text = m->outer_text;
    if (m->kept || own_runs) {
        r->session++;
    }
    if (!stopped) {
        transaction_end(conn);
    } else if (!m->kept) {
        keep(m);
        args_place(m);
    }
}

/* A command at home whose transaction is not decided yet: it will run behind the decision. What the
 * commands after it depend on is anticipated. */
static void defer(struct shard *s, struct conn *conn, const struct command *cmd,
                  const struct slice *argv, uint32_t argc)
{
    int64_t v;
    route_barrier(s, conn, cmd, argv, argc);
    if (argc < 2 || !num_parse_int(argv[1].ptr, argv[1].len, &v)) {
        return;
    }
    if (cmd->run == cmd_select && v >= 0 && v < s->config->core.databases) {
        conn->db = (int)v;
    } else if (cmd->run == cmd_hello && (v == 2 || v == 3)) {
        conn->resp = (uint8_t)v;
    }
}

/* Subscriptions change when they are taken in (subscribe.h), so that must wait for the decision:
 * a barrier that does nothing, behind which the rest is sent. */
static void run_wait(struct call *c)
{
    call_conn(c)->first_op->argv = NULL; /* it counts as no command (route.c, account) */
}

static void wait_for_decision(struct shard *s, struct conn *conn)
{
    static const struct command wait = {.name = "exec", .full_name = "exec", .run = run_wait,
                                        .arity = 1, .route = ROUTE_BARRIER};
    static const struct slice argv[1];
    route_barrier(s, conn, &wait, argv, 1);
}

static void run_fence_up(struct call *c)
{
    exec_fence_up(c->host);
}

static void run_fence_down(struct call *c)
{
    exec_fence_down(c->host);
}

/* I5: a command on all shards which nobody hears about. */
static void send_fence(struct shard *s, struct conn *conn, const struct command *fence)
{
    static const struct slice argv[1];
    group_on_all(s, conn, fence, argv, 1);
    conn->last_op->argv = NULL; /* it counts as no command (finish.c, account) */
    conn->last_op->flags |= OP_MUTED;
}

static void fence_begin(struct shard *s, struct conn *conn)
{
    static const struct command up = {.name = "exec", .full_name = "exec", .run = run_fence_up,
                                      .arity = 1, .route = ROUTE_ALL, .apart = APART_OK};
    send_fence(s, conn, &up);
    conn->multi->fenced = true;
}

/* What the connection sends next must not run before others that have waited: it stalls. */
static void fence_end(struct shard *s, struct conn *conn)
{
    static const struct command down = {.name = "exec", .full_name = "exec", .run = run_fence_down,
                                        .arity = 1, .route = ROUTE_ALL, .apart = APART_OK};
    send_fence(s, conn, &down);
    conn->last_op->flags |= OP_STALLS;
    conn->flags |= CONN_STALLED;
}

/* Up to the end, or a barrier command: then true. */
static bool send_queued(struct shard *s, struct conn *conn)
{
    struct multi *m = conn->multi;
    int db = conn->db;
    uint8_t resp = conn->resp;
    bool stop = false;
    if (m->stops && !m->fenced) {
        fence_begin(s, conn);
    }
    while (m->at < m->count && !stop) {
        const struct multi_command *q = &m->queue[m->at++];
        const struct command *cmd = q->command;
        struct slice *argv = m->args + m->args_at;
        if (m->check != NULL && cmd->route == ROUTE_SUBSCRIBE) {
            m->at--;
            wait_for_decision(s, conn);
            stop = true;
            break;
        }
        m->args_at += q->argc;
        if (m->check != NULL && cmd->route == ROUTE_SUBSCRIBE) {
            m->at--; /* it takes effect when it is taken in: only what is sure to happen */
            m->args_at -= q->argc;
            conn->flags |= CONN_STALLED; /* until multi_decided() */
            stop = true;
        } else if (m->check != NULL && (cmd->route == ROUTE_HOME || cmd->route == ROUTE_TRANSACTION)) {
            defer(s, conn, cmd, argv, q->argc);
        } else {
            route_command(s, conn, cmd, argv, q->argc);
            stop = cmd->route == ROUTE_BARRIER;
        }
    }
    if (m->check != NULL) {
        conn->db = db;
        conn->resp = resp;
    }
    if (m->fenced && !stop) {
        fence_end(s, conn);
    }
    return stop;
}

void multi_resume(struct shard *s, struct conn *conn)
{
    session_begin(s, conn->multi, false);
    session_end(s, conn, false, send_queued(s, conn));
}

void multi_decided(struct conn *conn, struct op *check)
{
    struct reply *out = &conn->out, nobody;
    bool wanted = !(conn->flags & CONN_CLOSING) && !(check->flags & OP_MUTED);
    if (!wanted) {
        reply_init(&nobody, check->resp);
        nobody.muted = true;
        out = &nobody;
    }
    out->resp = check->resp;
    bool skipped = watch_check_reply(check, out);
    if (skipped) { /* what waits for that at home; the rest was told on its shard */
        for (struct op *op = check->conn_next; op != NULL && (op->flags & OP_MULTI);
             op = op->conn_next) {
            if (op->flags & OP_BARRIER) {
                op->outcome |= OP_SKIPPED;
            }
        }
    }
    if (conn->multi == NULL || conn->multi->check != check) {
        return; /* it was sent whole */
    }
    conn->multi->check = NULL;
    if (skipped) {
        transaction_end(conn);
    }
    if (conn->barrier_ops == 0) {
        conn->flags &= ~(uint32_t)CONN_STALLED;
        conn_make_ready(conn);
    }
}

/* --- EXEC ------------------------------------------------------------------------------------ */

/* Nothing has changed as far as is known here: the owners of the keys decide. */
static void exec_watched(struct shard *s, struct conn *conn, const struct command *cmd)
{
    struct route *r = s->route;
    struct multi *m = conn->multi;
    bool groups = r->groups;
    exec_begin(conn);
    session_begin(s, m, true);
    m->check = watch_check_begin(s, conn, cmd, m->count);
    struct group *group = m->check->group;
    bool stopped = send_queued(s, conn);
    watch_check_end(s, conn);
    if (group->nparts == 1) {
        r->groups = groups;    /* all on one shard: as a run it may be free … */
        r->home_queued = true; /* … but its replies stand behind EXEC's */
    }
    session_end(s, conn, true, stopped);
}

void multi_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc)
{
    bool exec = cmd->run == multi_run_exec;
    if (cmd->run == watch_run_watch && !(conn->flags & CONN_MULTI)) {
        watch_command(s, conn, cmd, argv, argc);
        return;
    }
    if (exec && (conn->flags & CONN_MULTI) && !conn->multi->aborted && conn->watch != NULL &&
        !watch_dirty(conn)) {
        exec_watched(s, conn, cmd);
        return;
    }
    route_at_home(s, conn, cmd, argv, argc);
    if (exec && (conn->flags & CONN_EXEC)) {
        multi_resume(s, conn);
    }
}

/* --- rows ------------------------------------------------------------------------------------ */

enum { ALWAYS = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command_arg watch_args[] = {
    {.name = "key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
    {0},
};

const struct command multi_commands[] = {
    {
        .name = "discard", .run = run_discard, .arity = 1, .route = ROUTE_TRANSACTION,
        .flags = ALWAYS | CMD_FAST | CMD_ALLOW_BUSY, .acl = ACL_TRANSACTION,
        .group = "transactions", .since = "2.0.0",
        .summary = "Drops the commands queued since MULTI.",
        .complexity = "O(N), N being the number of queued commands",
    },
    {
        .name = "exec", .run = multi_run_exec, .arity = 1, .route = ROUTE_TRANSACTION,
        .flags = ALWAYS | CMD_SKIP_SLOWLOG, .acl = ACL_TRANSACTION,
        .group = "transactions", .since = "1.2.0",
        .summary = "Runs the commands queued since MULTI, as one.",
        .complexity = "Depends on the commands.",
    },
    {
        .name = "multi", .run = run_multi, .arity = 1, .route = ROUTE_TRANSACTION,
        .flags = ALWAYS | CMD_FAST | CMD_ALLOW_BUSY, .acl = ACL_TRANSACTION,
        .group = "transactions", .since = "1.2.0",
        .summary = "Begins a transaction: what follows is queued until EXEC.",
        .complexity = "O(1)",
    },
    {
        .name = "unwatch", .run = watch_run_unwatch, .arity = 1, .route = ROUTE_TRANSACTION,
        .flags = ALWAYS | CMD_FAST | CMD_ALLOW_BUSY, .acl = ACL_TRANSACTION,
        .group = "transactions", .since = "2.2.0",
        .summary = "Forgets about all watched keys.", .complexity = "O(1)",
    },
    {
        .name = "watch", .run = watch_run_watch, .arity = -2, .route = ROUTE_TRANSACTION,
        .apart = APART_OK,
        .flags = ALWAYS | CMD_FAST | CMD_ALLOW_BUSY, .acl = ACL_TRANSACTION,
        .keys = {{.flags = KEY_RO, KEYS_AT(1, -1, 1)}},
        .group = "transactions", .since = "2.2.0",
        .summary = "The next EXEC happens only if the keys have not changed until then.",
        .complexity = "O(1) for each key",
        .args = watch_args,
    },
    {0},
};
