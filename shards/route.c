/* route.c - one phase of taking in commands (see route.h). Groups are in group.c, what happens when
 * commands are answered is in finish.c. */
#include "shards/route.h"
#include "shards/blocked.h"
#include "shards/broadcast.h"
#include "shards/busy.h"
#include "shards/cmd_server.h"
#include "shards/commands.h"
#include "shards/exec.h"
#include "shards/group.h"
#include "shards/latency.h"
#include "shards/log.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/sim_point.h"
#include "shards/scripting.h"
#include "shards/slowlog.h"
#include "shards/subscribe.h"
#include "shards/tracking.h"
#include "shards/watch.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    INLINE_TEXT_BYTES = 16384, /* arguments of inline commands kept in one piece */
    HOME_REPLY_BYTES = 1024,   /* answers of home's own that share an op: in_flight bounds their sum */
    KEYS_KEEP_MAX = 4096,      /* of the scratch for keys, between phases */
};

struct route *route_new(unsigned shards)
{
    struct route *r = mem_alloc_zero(sizeof *r);
    r->run_of = mem_alloc_zero(shards * sizeof *r->run_of);
    resp_parser_init(&r->parser);
    return r;
}

void route_free(struct route *r)
{
    resp_parser_free(&r->parser);
    mem_free(r->run_of);
    mem_free(r->positions);
    mem_free(r->keys);
    mem_free(r);
}

/* --- runs of this connection in this phase --------------------------------------------------- */

static struct run *run_start(struct shard *s, struct conn *conn, unsigned shard)
{
    struct route *r = s->route;
    struct run *run = run_new(&s->run_pool, s->id, shard, r->stamp, conn, conn->resp);
    run->reply.bound_bytes = conn_output_bound(conn);
    if (r->input_of != NULL) {
        run->io_buf = r->input_of->io_buf;
        run->inbuf = r->input_of->inbuf;
    } else {
        run->io_buf = r->own_text == NULL ? conn->in_buf : NULL;
        run->inbuf = r->own_text == NULL ? conn->in_own : r->own_text;
    }
    if (run->io_buf != NULL) {
        io_buf_hold(run->io_buf);
    } else if (run->inbuf != NULL) {
        run->inbuf->refs++;
    }
    return run;
}

static struct run *run_begin(struct shard *s, struct conn *conn, struct route_slot *slot,
                             unsigned shard)
{
    struct route *r = s->route;
    struct run *run = run_start(s, conn, shard);
    slot->session = r->session;
    slot->run = run;
    r->targets++;
    r->last_target = run;
    chain_append(&s->outbox[shard], run);
    if (r->decision != NULL) {
        watch_check_run(s, conn, run);
    }
    return run;
}

struct run *route_run_to(struct shard *s, struct conn *conn, unsigned shard)
{
    struct route *r = s->route;
    struct route_slot *slot = &r->run_of[shard];
    struct run *run = slot->run;
    if (slot->session != r->session) {
        run = run_begin(s, conn, slot, shard);
    }
    if (r->in_multi && slot->transaction != r->transaction) {
        slot->transaction = r->transaction;
        r->transaction_runs++;
        r->transaction_run = run;
    }
    return run;
}

static inline void conn_append(struct conn *conn, struct op *op)
{
    op->conn_next = NULL;
    if (conn->last_op != NULL) {
        conn->last_op->conn_next = op;
    } else {
        conn->first_op = op;
    }
    conn->last_op = op;
    conn->in_flight++;
    op->number = conn->drained + conn->in_flight;
}

/* Scripts read by the commands that they call. */
static uint32_t tracks(const struct conn *conn, const struct command *cmd)
{
    bool reads = cmd != NULL && ((cmd->flags & (CMD_READONLY | CMD_PUBSUB)) == CMD_READONLY ||
                                 (command_acl(cmd) & ACL_SCRIPTING));
    if (reads && (conn->tracking->flags & TRACKING_BCAST)) {
        return OP_TRACK | OP_TRACK_BCAST;
    }
    return reads && tracking_wanted(conn) ? OP_TRACK : 0;
}

/* Flags that follow from the connection and from the transaction, if there is one. */
static inline uint32_t op_flags(const struct shard *s, const struct conn *conn,
                                const struct command *cmd)
{
    uint32_t flags = s->route->in_multi ? OP_MULTI | OP_MORE : 0;
    if (__builtin_expect(conn->reply_mode != CONN_REPLY_ON, 0)) {
        flags |= OP_MUTED;
    }
    if (__builtin_expect((conn->flags & CONN_NO_TOUCH) != 0, 0)) {
        flags |= OP_NO_TOUCH;
    }
    return conn->tracking != NULL ? flags | tracks(conn, cmd) : flags;
}

/* With room behind it for so many bytes. */
static inline struct op *op_new(struct shard *s, struct run *run, struct conn *conn,
                                const struct command *cmd, const struct slice *argv, uint32_t argc,
                                size_t more_bytes)
{
    struct op *op = run_alloc(&s->run_pool, run, sizeof *op + more_bytes);
    *op = (struct op){
        .run = run,
        .command = cmd,
        .argv = argv,
        .argc = argc,
        .db = (uint16_t)conn->db,
        .resp = conn->resp,
        .extra = s->route->extra,
        .flags = op_flags(s, conn, cmd),
    };
    return op;
}

struct op *route_op_new(struct shard *s, struct run *run, struct conn *conn,
                        const struct command *cmd, const struct slice *argv, uint32_t argc)
{
    return op_new(s, run, conn, cmd, argv, argc, 0);
}

struct op *route_op_new_with(struct shard *s, struct run *run, struct conn *conn,
                             const struct command *cmd, const struct slice *argv, uint32_t argc,
                             size_t more_bytes)
{
    return op_new(s, run, conn, cmd, argv, argc, more_bytes);
}

const struct slice *route_copy_argv(struct shard *s, struct run *run, const struct slice *argv,
                                    uint32_t argc)
{
    struct slice *copy = run_alloc(&s->run_pool, run, argc * sizeof *copy);
    memcpy(copy, argv, argc * sizeof *copy);
    return copy;
}

void route_conn_append(struct conn *conn, struct op *op)
{
    conn_append(conn, op);
}

/* --- commands at home ------------------------------------------------------------------------ */

/* The ops of one session that are done already share a run. It is kept by one more than its ops. */
static struct run *home_run(struct shard *s, struct conn *conn)
{
    struct route *r = s->route;
    if (r->home_run == NULL) {
        r->home_run = run_new(&s->run_pool, s->id, s->id, r->stamp, conn, conn->resp);
        r->home_run->flags |= RUN_DONE;
        r->home_run->undrained = 1;
    }
    return r->home_run;
}

static void home_run_end(struct shard *s)
{
    struct route *r = s->route;
    if (r->home_run != NULL) {
        route_undrain(s, r->home_run);
        r->home_run = NULL;
    }
}

/* Where a reply of home's own goes: straight to the output when nothing is ahead of it, else into
 * an op of its own that is done already. */
static struct reply *home_reply(struct shard *s, struct conn *conn, const struct command *cmd)
{
    struct reply *out = &conn->out;
    struct op *last = conn->last_op;
    if (last != NULL && (last->flags & (OP_DONE | OP_BARRIER)) == OP_DONE &&
        last->reply_bytes < HOME_REPLY_BYTES) {
        out = &last->run->reply; /* an answer of home's own is the last: this one goes with it */
        s->route->home_queued = true;
    } else if (conn->in_flight > 0) {
        struct run *run = home_run(s, conn);
        struct op *op = route_op_new(s, run, conn, cmd, NULL, 0);
        op->flags |= OP_DONE;
        run_append(run, op);
        conn_append(conn, op);
        s->route->home_queued = true;
        out = &run->reply;
    }
    out->resp = conn->resp;
    out->muted = conn->reply_mode != CONN_REPLY_ON;
    return out;
}

static void home_reply_end(struct conn *conn, struct reply *out, size_t before)
{
    out->muted = false;
    if (out == &conn->out) {
        conn_output_ready(conn);
    } else {
        conn->last_op->reply_bytes += out->total_bytes - before;
    }
}

static void reply_refusal(struct shard *s, struct conn *conn, const struct command *cmd,
                          const char *text)
{
    struct reply *out = home_reply(s, conn, cmd);
    size_t before = out->total_bytes;
    reply_error(out, text);
    stats_error(s, out->error_code);
    if (cmd != NULL) {
        stats_reject(s, cmd);
    }
    home_reply_end(conn, out, before);
}

void route_at_home(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc)
{
    struct reply *out = home_reply(s, conn, cmd);
    size_t before = out->total_bytes;
    uint32_t errors = out->errors;
    struct call c = {
        .command = cmd, .ks = s->keyspace, .argv = argv, .argc = argc, .db = conn->db,
        .out = out, .now_ms = s->now_ms, .host = conn,
        .flags = s->route->in_multi ? CALL_IN_MULTI | CALL_DENY_BLOCKING : 0,
    };
    uint64_t start = clock_ticks();
    cmd->run(&c);
    uint64_t ticks = clock_ticks() - start;
    bool failed = out->errors != errors;
    if (failed) {
        stats_error(s, out->error_code);
    }
    home_reply_end(conn, out, before);
    stats_record(s, cmd, ticks, failed);
    route_note_slow(s, conn, cmd, argv, argc, ticks);
}

void route_reply_at_home(struct shard *s, struct conn *conn, const struct command *cmd,
                         struct reply *made)
{
    struct reply *out = home_reply(s, conn, cmd);
    size_t before = out->total_bytes;
    out->muted = false;
    reply_move(out, made, made->total_bytes);
    home_reply_end(conn, out, before);
    stats_record(s, cmd, 0, false);
}

void route_barrier(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc)
{
    struct run *run = run_start(s, conn, s->id);
    struct op *op = route_op_new(s, run, conn, cmd, route_copy_argv(s, run, argv, argc), argc);
    op->flags |= OP_BARRIER;
    run_append(run, op);
    conn_append(conn, op);
    conn->flags |= CONN_STALLED;
    conn->barrier_ops++;
    s->route->home_queued = true;
    conn_drain(conn); /* lists it when it is the first */
}

/* --- by keys --------------------------------------------------------------------------------- */

static inline void key_fill(const struct server *server, struct key *k, const struct slice *argv,
                     uint32_t arg)
{
    k->ptr = argv[arg].ptr;
    k->len = (uint32_t)argv[arg].len;
    k->arg = arg;
    k->hash = hash_bytes(k->ptr, k->len);
    k->slot = hash_slot(k->ptr, k->len);
    k->shard = server->slot_shard[k->slot];
}

static void keys_reserve(struct route *r, uint32_t count)
{
    if (r->keys_cap < count) {
        r->keys_cap = count < 64 ? 64 : count;
        r->keys = mem_realloc(r->keys, r->keys_cap * sizeof *r->keys);
        r->positions = mem_realloc(r->positions, r->keys_cap * sizeof *r->positions);
    }
}

/* What a command with very many keys has left behind. */
static void keys_trim(struct route *r)
{
    if (r->keys_cap > KEYS_KEEP_MAX) {
        mem_free(r->keys);
        mem_free(r->positions);
        r->keys = NULL;
        r->positions = NULL;
        r->keys_cap = 0;
    }
}

int route_find_keys(struct shard *s, const struct command *cmd, const struct slice *argv,
                    uint32_t argc)
{
    struct route *r = s->route;
    keys_reserve(r, argc);
    int n = command_keys(cmd, argv, argc, r->positions, (int)r->keys_cap);
    for (int i = 0; i < n; i++) {
        key_fill(s->server, &r->keys[i], argv, r->positions[i]);
    }
    return n;
}

static void send_to_shard(struct shard *s, struct conn *conn, unsigned shard,
                          const struct command *cmd, const struct slice *argv, uint32_t argc,
                          const struct key *keys, uint32_t nkeys)
{
    struct run *run = route_run_to(s, conn, shard);
    size_t args_bytes = argc * sizeof *argv, keys_bytes = nkeys * sizeof *keys;
    struct op *op = op_new(s, run, conn, cmd, NULL, argc, args_bytes + keys_bytes);
    struct slice *args = (struct slice *)(op + 1);
    for (uint32_t i = 0; i < argc; i++) {
        args[i] = argv[i];
    }
    op->argv = args;
    if (nkeys > 0) {
        op->keys = (struct key *)(args + argc);
        memcpy(op->keys, keys, keys_bytes);
        op->nkeys = nkeys;
    }
    run_append(run, op);
    if (s->route->waits) {
        blocked_prepare(s, op, s->route->again);
    }
    conn_append(conn, op);
}

/* What prepare() found goes along with the command that was just sent. */
static void attach(struct conn *conn, void *extra, uint32_t flags)
{
    struct op *op = conn->last_op;
    op->extra = extra;
    op->flags |= flags;
    for (uint32_t i = 0; (op->flags & OP_HEAD) && i < op->group->nparts; i++) {
        op->group->parts[i]->extra = extra;
        op->group->parts[i]->flags |= flags;
    }
}

void route_by_keys(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc, uint32_t count)
{
    const struct key *keys = s->route->keys;
    unsigned shard = count > 0 ? keys[0].shard : s->id;
    for (uint32_t i = 1; i < count; i++) {
        if (keys[i].shard != shard) {
            group_by_keys(s, conn, cmd, argv, argc, keys, count);
            return;
        }
    }
    send_to_shard(s, conn, shard, cmd, argv, argc, keys, count);
}

static void send_by_keys(struct shard *s, struct conn *conn, const struct command *cmd,
                         const struct slice *argv, uint32_t argc)
{
    if (__builtin_expect(cmd->only_key > 0, 1)) {
        struct key key;
        key_fill(s->server, &key, argv, cmd->only_key);
        send_to_shard(s, conn, key.shard, cmd, argv, argc, &key, 1);
        return;
    }
    int n = route_find_keys(s, cmd, argv, argc);
    const struct key *keys = s->route->keys;
    uint32_t nkeys = n > 0 ? (uint32_t)n : 0; /* a bad number of keys: the command, run without any,
                                                 says what is wrong with it */
    enum command_reach reach = REACH_NAMED;
    void *extra = NULL;
    if (cmd->prepare != NULL) {
        reach = cmd->prepare(argv, argc, &extra);
    } else if (cmd->undeclared != NULL && cmd->undeclared(argv, argc)) {
        reach = REACH_ALL;
    }
    uint32_t roams = 0;
    if (s->server->shard_count == 1) {
        roams = reach != REACH_NAMED ? OP_ROAMS : 0;
        reach = REACH_NAMED; /* all is in reach */
    } else if (reach == REACH_TRY && s->route->in_multi) {
        reach = REACH_ALL; /* one command of a transaction cannot be run anew */
    }
    if (reach == REACH_ALL) {
        group_lend_all(s, conn, cmd, argv, argc, keys, nkeys);
    } else {
        route_by_keys(s, conn, cmd, argv, argc, nkeys);
        conn->last_op->flags |= roams;
    }
    if (extra != NULL) {
        attach(conn, extra, reach == REACH_TRY ? OP_STALLS : 0);
        if (reach == REACH_TRY) {
            conn->flags |= CONN_STALLED;
        }
    }
}

static void send_by_channels(struct shard *s, struct conn *conn, const struct command *cmd,
                             const struct slice *argv, uint32_t argc)
{
    uint32_t first = cmd->parent != NULL ? 2 : 1, end = cmd->parent != NULL ? argc : 2;
    keys_reserve(s->route, argc);
    for (uint32_t i = first; i < end; i++) {
        key_fill(s->server, &s->route->keys[i - first], argv, i);
    }
    route_by_keys(s, conn, cmd, argv, argc, end - first);
}

static void send_by_cursor(struct shard *s, struct conn *conn, const struct command *cmd,
                           const struct slice *argv, uint32_t argc)
{
    char digits[24];
    uint64_t cursor = 0;
    if (argv[1].len < sizeof digits) {
        memcpy(digits, argv[1].ptr, argv[1].len);
        digits[argv[1].len] = '\0';
        cursor = strtoull(digits, NULL, 10); /* nonsense is refused where it runs */
    }
    uint64_t slot = cursor >> 48;
    unsigned shard = slot < SLOT_COUNT ? s->server->slot_shard[slot] : 0;
    send_to_shard(s, conn, shard, cmd, argv, argc, NULL, 0);
    conn->last_op->flags |= OP_WHOLE; /* it may look at any slot of that shard */
}

/* --- checks ---------------------------------------------------------------------------------- */

/* A script that says that it does not write need not wait for the end of CLIENT PAUSE WRITE. */
static bool may_write(const struct conn *conn, const struct command *cmd, const struct slice *argv,
                      uint32_t argc)
{
    uint32_t flags = multi_flags(conn, cmd);
    if (cmd->prepare != NULL && !(conn->flags & CONN_MULTI)) {
        void *extra = NULL;
        cmd->prepare(argv, argc, &extra);
        if (extra != NULL) {
            flags = scripting_command_flags(cmd, extra);
            cmd->release(extra);
        }
    }
    return flags & (CMD_WRITE | CMD_MAY_REPLICATE);
}

static bool paused(struct shard *s, const struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc)
{
    int64_t until = atomic_load_explicit(&s->server->pause_until_ms, memory_order_relaxed);
    if (until == 0 || s->now_ms >= until) {
        return false;
    }
    return !atomic_load_explicit(&s->server->pause_writes_only, memory_order_relaxed) ||
           may_write(conn, cmd, argv, argc);
}

static const char *refusal_of_subscriber(struct route *r, const struct command *cmd)
{
    snprintf(r->refusal, sizeof r->refusal,
             "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
             "are allowed in this context",
             cmd->full_name);
    return r->refusal;
}

/* The refusal's text, or NULL. */
static const char *refuse(struct shard *s, const struct conn *conn, const struct command *cmd)
{
    if (!conn_authenticated(conn) && !(cmd->flags & CMD_NO_AUTH)) {
        return "NOAUTH Authentication required.";
    }
    if ((conn->flags & CONN_MULTI) && (cmd->flags & CMD_NO_MULTI)) {
        return "ERR Command not allowed inside a transaction";
    }
    if (__builtin_expect((cmd->flags & CMD_PROTECTED) != 0, 0)) {
        const char *error = server_protected_error(conn, cmd);
        if (error != NULL) {
            return error;
        }
    }
    if (__builtin_expect(conn->subscriber != NULL, 0) && conn->resp == 2 &&
        !(cmd->flags & CMD_SUBSCRIBER) && conn_subscribed(conn)) {
        return refusal_of_subscriber(s->route, cmd);
    }
    if (s->config->core.maxmemory > 0 && (multi_flags(conn, cmd) & CMD_DENYOOM) &&
        evict_refuses(s)) {
        return "OOM command not allowed when used memory > 'maxmemory'.";
    }
    return NULL;
}

static bool reaches_out(const struct command *cmd, const struct slice *argv, uint32_t argc)
{
    if (cmd->prepare == NULL) {
        return cmd->undeclared != NULL && cmd->undeclared(argv, argc);
    }
    void *extra = NULL;
    enum command_reach reach = cmd->prepare(argv, argc, &extra);
    if (extra != NULL) {
        cmd->release(extra);
    }
    return reach != REACH_NAMED;
}

/* The same for what needs a shard that a script keeps for long (busy.h). */
static const char *refuse_busy(struct shard *s, const struct command *cmd,
                               const struct slice *argv, uint32_t argc)
{
    const struct busy *busy = &s->server->busy;
    switch (cmd->route) {
    case ROUTE_HOME:
        return busy_error(busy, (int)s->id);
    case ROUTE_KEYS:
        break;
    case ROUTE_ALL:
    case ROUTE_CURSOR:
    case ROUTE_BARRIER: /* most ask all shards */
    case ROUTE_CHANNELS:
    case ROUTE_SUBSCRIBE:
    case ROUTE_TRANSACTION:
        return busy_error(busy, -1);
    }
    if (reaches_out(cmd, argv, argc)) {
        return busy_error(busy, -1);
    }
    int n = route_find_keys(s, cmd, argv, argc);
    if (n <= 0) {
        return busy_error(busy, (int)s->id);
    }
    const char *error = NULL;
    for (int i = 0; i < n && error == NULL; i++) {
        error = busy_error(busy, s->route->keys[i].shard);
    }
    return error;
}

/* CLIENT REPLY SKIP concerns the command after it. */
static void reply_mode_step(struct conn *conn)
{
    if (conn->reply_mode == CONN_REPLY_SKIP) {
        conn->reply_mode = CONN_REPLY_ON;
    } else if (conn->reply_mode == CONN_REPLY_SKIP_NEXT) {
        conn->reply_mode = CONN_REPLY_SKIP;
    }
}

static void reply_unresolved(struct shard *s, struct conn *conn, const struct slice *argv,
                             uint32_t argc)
{
    const struct command *known = commands_lookup(argv, argc);
    if ((conn->flags & CONN_MULTI) || (known != NULL && known->run == multi_run_exec)) {
        char text[MULTI_REFUSAL_BYTES];
        const char *refusal = "wrong number of arguments for 'exec' command";
        if (multi_refused(conn, known, refusal, text) == text) {
            reply_refusal(s, conn, known, text);
            return;
        }
    }
    struct reply *out = home_reply(s, conn, NULL);
    size_t before = out->total_bytes;
    const struct command *cmd = commands_resolve(argv, argc, out);
    assert(cmd == NULL);
    (void)cmd;
    stats_error(s, out->error_code);
    if (known != NULL) {
        stats_reject(s, known);
    }
    home_reply_end(conn, out, before);
}

static void reply_queued(struct shard *s, struct conn *conn, const struct command *cmd)
{
    struct reply *out = home_reply(s, conn, cmd);
    size_t before = out->total_bytes;
    reply_status(out, "QUEUED");
    home_reply_end(conn, out, before);
}

/* A web page can make a browser send us HTTP: what begins so gets no further than its headers. */
static bool is_http(struct slice name)
{
    return slice_is(name, "post") || slice_is(name, "host:");
}

/* Runs that are begun from now on hold the connection's input again. */
static void own_text_end(struct route *r)
{
    r->session++;
    inbuf_release(r->own_text);
    r->own_text = NULL;
}

/* Moves arguments to memory that runs hold in place of the input. cap: room for how many bytes, if
 * there is none yet. */
static void own_text_keep(struct route *r, struct slice *argv, uint32_t argc, size_t cap)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < argc; i++) {
        bytes += argv[i].len;
    }
    struct inbuf *text = r->own_text;
    if (text != NULL && text->cap - text->len < bytes) {
        own_text_end(r);
        text = NULL;
    }
    if (text == NULL) {
        cap = cap < bytes ? bytes : cap;
        text = mem_alloc(sizeof *text + cap);
        *text = (struct inbuf){.refs = 1, .cap = cap};
        r->own_text = text;
        r->session++; /* what was begun before holds the input */
    }
    for (uint32_t i = 0; i < argc; i++) {
        memcpy(text->data + text->len, argv[i].ptr, argv[i].len);
        argv[i].ptr = text->data + text->len;
        text->len += argv[i].len;
    }
}

/* A command that may have to wait for data. I3 */
static void send_and_wait(struct shard *s, struct conn *conn, const struct command *cmd,
                          struct slice *argv, uint32_t argc, const struct wait *again)
{
    struct route *r = s->route;
    struct inbuf *before = r->own_text; /* an inline command's arguments lie there */
    if (before != NULL) {
        before->refs++;
        own_text_end(r);
    }
    own_text_keep(r, argv, argc, 0);
    if (before != NULL) {
        inbuf_release(before);
    }
    r->waits = true;
    r->again = again;
    send_by_keys(s, conn, cmd, argv, argc);
    r->waits = false;
    own_text_end(r);
    conn->flags |= CONN_STALLED;
}

static bool may_wait(const struct command *cmd, const struct slice *argv, uint32_t argc)
{
    return cmd->may_wait != NULL ? cmd->may_wait(argv, argc) : (cmd->flags & CMD_BLOCKING) != 0;
}

void route_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   struct slice *argv, uint32_t argc)
{
    conn->commands++;
    counter_add(&s->stats.commands, 1);
    bool after = cmd->route == ROUTE_TRANSACTION; /* EXEC is shown after what it executes */
    int db = conn->db;
    if (s->route->monitored && !after) {
        monitor_feed(s, conn, s->route->stamp, db, cmd, argv, argc);
    }
    switch (cmd->route) {
    case ROUTE_KEYS:
        if (!s->route->in_multi && may_wait(cmd, argv, argc)) {
            send_and_wait(s, conn, cmd, argv, argc, NULL);
        } else {
            send_by_keys(s, conn, cmd, argv, argc);
        }
        break;
    case ROUTE_HOME:
        if (__builtin_expect(conn->subscriber != NULL, 0) && connection_is_reset(cmd) &&
            conn_subscribed(conn)) {
            subscribe_route_reset(s, conn, cmd, argv, argc);
            break;
        }
        route_at_home(s, conn, cmd, argv, argc);
        break;
    case ROUTE_CHANNELS:
        send_by_channels(s, conn, cmd, argv, argc);
        break;
    case ROUTE_SUBSCRIBE:
        subscribe_route(s, conn, cmd, argv, argc);
        break;
    case ROUTE_BARRIER:
        route_barrier(s, conn, cmd, argv, argc);
        break;
    case ROUTE_ALL:
        group_on_all(s, conn, cmd, argv, argc);
        break;
    case ROUTE_CURSOR:
        send_by_cursor(s, conn, cmd, argv, argc);
        break;
    case ROUTE_TRANSACTION:
        multi_command(s, conn, cmd, argv, argc);
        break;
    }
    if (s->route->monitored && after) {
        monitor_feed(s, conn, s->route->stamp, db, cmd, argv, argc);
    }
}

/* False when the command must stay in the input (CLIENT PAUSE). */
static bool dispatch(struct shard *s, struct conn *conn, struct slice *argv, uint32_t argc)
{
    const struct command *cmd = commands_lookup(argv, argc);
    if (cmd == NULL || cmd->run == NULL || !command_arity_fits(cmd, argc)) {
        if (is_http(argv[0])) {
            log_warning("Possible SECURITY ATTACK detected: HTTP instead of commands from %s. "
                        "Connection aborted.", conn->addr);
            conn_close(conn, true);
            return true;
        }
        if (conn->reply_mode == CONN_REPLY_SKIP_NEXT) {
            conn->reply_mode = CONN_REPLY_SKIP;
        }
        reply_unresolved(s, conn, argv, argc);
        reply_mode_step(conn);
        return true;
    }
    if (s->route->paused && paused(s, conn, cmd, argv, argc)) {
        conn_pause(conn);
        return false;
    }
    if (conn->reply_mode == CONN_REPLY_SKIP_NEXT) {
        conn->reply_mode = CONN_REPLY_SKIP;
    }
    conn->last_command = cmd;
    const char *refusal = refuse(s, conn, cmd);
    if (s->route->busy && refusal == NULL && !(cmd->flags & CMD_ALLOW_BUSY)) {
        refusal = refuse_busy(s, cmd, argv, argc);
    }
    uint8_t mode = conn->reply_mode;
    if (refusal != NULL) {
        char text[MULTI_REFUSAL_BYTES];
        reply_refusal(s, conn, cmd, multi_refused(conn, cmd, refusal, text));
    } else if ((conn->flags & CONN_MULTI) && multi_queues(cmd)) {
        multi_queue(conn, cmd, argv, argc);
        reply_queued(s, conn, cmd);
    } else {
        route_command(s, conn, cmd, argv, argc);
    }
    if (conn->tracking != NULL && !(conn->flags & CONN_MULTI) && !slice_is(argv[0], "client")) {
        conn->tracking->flags &= ~(uint32_t)TRACKING_CACHING; /* it was for this command */
    }
    if (mode == CONN_REPLY_SKIP && conn->reply_mode == CONN_REPLY_SKIP) {
        conn->reply_mode = CONN_REPLY_ON;
    }
    return true;
}

/* --- the phase ------------------------------------------------------------------------------- */

static void protocol_error(struct shard *s, struct conn *conn, const char *text)
{
    struct reply *out = home_reply(s, conn, NULL);
    size_t before = out->total_bytes;
    reply_errorf(out, "ERR %s", text);
    stats_error(s, out->error_code);
    home_reply_end(conn, out, before);
    conn_close(conn, true);
}

static void remember_partial(struct conn *conn, struct resp_parser *p)
{
    if (conn->partial == NULL && resp_parser_partial(p)) {
        conn->partial = mem_alloc(sizeof *conn->partial);
        resp_parser_init(conn->partial);
        resp_parser_move(conn->partial, p);
    }
}

static void forget_partial(struct conn *conn)
{
    if (conn->partial != NULL) {
        resp_parser_free(conn->partial);
        mem_free(conn->partial);
        conn->partial = NULL;
    }
}

static bool may_parse(const struct conn *conn)
{
    return !(conn->flags & (CONN_STALLED | CONN_CLOSING | CONN_CLOSE_AFTER_REPLY | CONN_PAUSE_WAIT)) &&
           conn->in_flight < ROUTE_IN_FLIGHT_MAX;
}

/* Parses and routes a bounded amount of a connection's input. Returns the number of commands;
 * *more says that complete commands may be left. */
static uint32_t take_input(struct shard *s, struct conn *conn, bool *more)
{
    struct resp_limits limits = {
        .bulk_max_bytes = s->config->core.proto_max_bulk_len,
        .authenticated = conn_authenticated(conn),
    };
    uint32_t commands = 0;
    *more = false;
    if ((conn->flags & (CONN_EXEC | CONN_STALLED)) == CONN_EXEC) {
        multi_resume(s, conn); /* first the rest of the transaction (multi.h I3) */
    }
    while (may_parse(conn)) {
        struct slice in = conn_input(conn);
        if (in.len == 0) {
            return commands;
        }
        if (commands == ROUTE_COMMANDS_PER_CONN) {
            *more = true;
            return commands;
        }
        struct resp_parser *p = conn->partial != NULL ? conn->partial : &s->route->parser;
        switch (resp_parse(p, in.ptr, in.len, &limits)) {
        case RESP_MORE:
            remember_partial(conn, p);
            return commands;
        case RESP_EMPTY:
            conn_consume_input(conn, p->used_bytes);
            break;
        case RESP_ERROR:
            protocol_error(s, conn, p->error);
            return commands;
        case RESP_COMMAND:
            if (in.ptr[0] != '*') { /* they lie in the parser, which soon forgets them */
                own_text_keep(s->route, p->argv, p->argc,
                              in.len < INLINE_TEXT_BYTES ? in.len : INLINE_TEXT_BYTES);
            } else if (s->route->own_text != NULL) {
                own_text_end(s->route);
            }
            if (!dispatch(s, conn, p->argv, p->argc)) {
                return commands;
            }
            commands++;
            conn_consume_input(conn, p->used_bytes);
            forget_partial(conn);
            limits.authenticated = conn_authenticated(conn);
            break;
        }
    }
    return commands;
}

/* The end of the input has come before what waits was sent: that takes what is there, or nothing. */
static void blocked_follow_end(struct conn *conn)
{
    if (conn->flags & CONN_EOF) {
        blocked_cancel(conn, WAIT_GONE);
    }
}

/* One connection's part of the phase. */
static uint32_t conn_session(struct shard *s, struct conn *conn)
{
    struct route *r = s->route;
    r->session++;
    r->targets = 0;
    r->groups = false;
    r->home_queued = conn->in_flight > 0;
    bool idle = conn->in_flight == 0, more;
    assert(r->home_run == NULL);
    uint32_t commands = take_input(s, conn, &more);
    home_run_end(s);
    if (r->own_text != NULL) {
        own_text_end(r);
    }
    if (idle && r->targets == 1 && !r->groups && !r->monitored) {
        r->last_target->flags |= RUN_FREE; /* run.h I2 */
        if (r->last_target->shard == s->id && !r->home_queued) {
            r->last_target->flags |= RUN_DIRECT;
        }
    }
    if (conn->flags & CONN_CLOSING) {
        conn_drain(conn); /* it may have been the rest of a transaction that it waited for */
        return commands;
    }
    blocked_follow_end(conn);
    if (more) {
        conn_make_ready(conn);
    } else {
        conn->rest = conn->in_flight >= ROUTE_IN_FLIGHT_MAX;
        conn_keep_input(conn);
        if (conn->flags & CONN_EOF) {
            conn_drain(conn);
        }
    }
    return commands;
}

static void push_outbox(struct shard *s)
{
    struct server *server = s->server;
    for (unsigned i = 0; i < server->shard_count; i++) {
        struct chain *out = &s->outbox[i];
        if (out->first == NULL) {
            continue;
        }
        if (i == s->id) {
            assert(s->exec->local.first == NULL);
            s->exec->local = *out;
            *out = (struct chain){NULL, NULL};
        } else {
            struct run *first = chain_close(out);
            first->message.kind = MESSAGE_RUNS;
            shard_send(s, server->shards[i], &first->message);
        }
    }
}

/* A command that strayed is sent again, with all shards held (run.h, OP_AGAIN). Its connection has
 * taken in nothing since: it is the only one in flight. */
static void send_again(struct shard *s, struct conn *conn)
{
    struct route *r = s->route;
    struct op *op = conn->first_op;
    assert(op != NULL && op == conn->last_op && (op->flags & OP_STALLS));
    op->flags &= ~(uint32_t)OP_LISTED;
    if (conn->flags & CONN_CLOSING) {
        op->flags |= OP_DROPPED;
        conn_drain(conn);
        return;
    }
    r->session++;
    r->input_of = op->run;
    conn->first_op = conn->last_op = NULL;
    conn->in_flight--;
    group_lend_all(s, conn, op->command, op->argv, op->argc, op->keys, op->nkeys);
    conn->last_op->flags |= op->flags & OP_MUTED;
    attach(conn, op->extra, OP_STALLS);
    r->input_of = NULL;
    route_undrain_op(s, op);
}

static void send_all_again(struct shard *s)
{
    struct conn *conn = s->again;
    s->again = NULL;
    while (conn != NULL) {
        struct conn *next = conn->barrier_next;
        send_again(s, conn);
        conn = next;
    }
}

/* A blocking command that could not be served where it waits takes a new place in the order. */
static void route_anew(struct shard *s, struct conn *conn)
{
    struct op *old = conn->first_op;
    assert(old != NULL && old == conn->last_op); /* its connection has been stalled */
    conn->flags &= ~(uint32_t)CONN_RETRY;
    if (conn->flags & CONN_CLOSING) {
        blocked_give_up(s, old);
    } else {
        struct slice *argv = mem_alloc(old->argc * sizeof *argv);
        memcpy(argv, old->argv, old->argc * sizeof *argv);
        s->route->session++;
        send_and_wait(s, conn, old->command, argv, old->argc, old->wait->wait);
        mem_free(argv);
        conn->last_op->flags &= ~(uint32_t)OP_MUTED;
        conn->last_op->flags |= old->flags & OP_MUTED;
        blocked_follow_end(conn);
    }
    old->flags |= OP_ANEW;
    conn_drain(conn);
}

static void route_retries(struct shard *s)
{
    struct conn *list = s->retries;
    s->retries = NULL;
    while (list != NULL) {
        struct conn *conn = list;
        list = conn->retry_next;
        route_anew(s, conn);
    }
}

void route_phase(struct shard *s)
{
    if (s->ready == NULL && s->again == NULL && s->retries == NULL) {
        return;
    }
    struct route *r = s->route;
    bool ordered = s->server->shard_count > 1;
    r->stamp = ordered ? order_phase_open(&s->server->order, s->id) : 0;
    r->paused = atomic_load_explicit(&s->server->pause_until_ms, memory_order_relaxed) != 0;
    r->monitored = atomic_load_explicit(&s->server->monitors, memory_order_relaxed) > 0;
    r->busy = busy_any(&s->server->busy);
    if (s->again != NULL) {
        send_all_again(s);
    }
    route_retries(s);
    struct conn *list = s->ready;
    s->ready = s->ready_last = NULL;
    uint32_t commands = 0;
    while (list != NULL && commands < ROUTE_COMMANDS_PER_PHASE) {
        struct conn *conn = list;
        list = conn->ready_next;
        conn->flags &= ~(uint32_t)CONN_READY;
        commands += conn_session(s, conn);
    }
    if (list != NULL) { /* the rest comes first in the next phase */
        struct conn *last = list;
        while (last->ready_next != NULL) {
            last = last->ready_next;
        }
        last->ready_next = s->ready;
        if (s->ready == NULL) {
            s->ready_last = last;
        }
        s->ready = list;
    }
    if (ordered && sched_has(SCHED_CLOSES_EARLY)) {
        order_phase_close(&s->server->order, s->id);
    }
    push_outbox(s);
    if (ordered) {
        order_phase_close(&s->server->order, s->id);
    }
    keys_trim(r);
}
