/* cmd_client_all.c - CLIENT LIST, KILL, UNBLOCK, PAUSE and UNPAUSE: what concerns all connections.
 *
 * Each shard knows only its own connections. A command parses its arguments into a context of its
 * own (the arguments do not outlive the run), which is broadcast: every shard works on its own
 * part of the context, then the home shard puts the parts together, replies, and frees it.
 *
 *   run(): parse ─► broadcast ─┬─► part() on shard 0 ─┐
 *                              ├─► part() on shard 1 ─┼─► done() at home: reply, free
 *                              └─► …                 ─┘
 *
 * Limits: a part visits all connections of its shard in one go (about a microsecond for each that
 * it lists).
 */
#include "core/mem.h"
#include "shards/blocked.h"
#include "shards/client.h"
#include "shards/clock.h"
#include "shards/multi.h"
#include "shards/run.h"
#include "shards/shard.h"
#include "shards/subscribe.h"
#include "shards/tracking.h"
#include "shards/text.h"
#include "shards/watch.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    TYPE_ANY = -1,
    TYPE_MASTER = CLIENT_CLASSES, /* connections to a master: none of them is a client's */
};

/* --- a connection as text --- */

static void describe_flags(const struct conn *conn, char out[16])
{
    enum { SUBSCRIBED = 1 << 30 }; /* besides enum conn_flag */
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {
        {CONN_MONITOR, 'O'},  {SUBSCRIBED, 'P'},             {CONN_MULTI, 'x'},
                     {CONN_CLOSE_AFTER_REPLY, 'c'}, {CONN_UNIX, 'U'},
        {CONN_NO_EVICT, 'e'}, {CONN_NO_TOUCH, 'T'},          {CONN_PAUSE_WAIT, 'b'},
    };
    char *p = out;
    uint32_t flags = conn->flags | (conn_subscribed(conn) ? SUBSCRIBED : 0);
    if (blocked_waits(conn)) {
        *p++ = 'b';
    }
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (flags & letters[i].flag) {
            *p++ = letters[i].letter;
        }
    }
    if (watch_dirty(conn)) {
        *p++ = 'd';
    }
    const struct tracking *t = conn->tracking;
    if (t != NULL) {
        *p++ = 't';
        if (t->flags & TRACKING_BROKEN) {
            *p++ = 'R';
        }
        if (t->flags & TRACKING_BCAST) {
            *p++ = 'B';
        }
    }
    if (p == out) {
        *p++ = 'N';
    }
    *p = '\0';
}

static uint64_t seconds_since(const struct conn *conn, uint64_t then_ns)
{
    uint64_t now_ns = conn->shard->now_ns;
    return now_ns > then_ns ? (now_ns - then_ns) / 1000000000u : 0;
}

/* Redis counts the running command as part of the query buffer, and argument for argument. Here
 * only a command that stalls its connection is seen running by another one, or by itself. */
static size_t running_bytes(const struct conn *conn)
{
    const struct op *op = conn->first_op;
    if (!(conn->flags & CONN_STALLED) || op == NULL || !(op->flags & OP_BARRIER)) {
        return 0;
    }
    int bytes = snprintf(NULL, 0, "*%u\r\n", op->argc);
    for (uint32_t i = 0; i < op->argc; i++) {
        bytes += snprintf(NULL, 0, "$%zu\r\n\r\n", op->argv[i].len) + (int)op->argv[i].len;
    }
    return (size_t)bytes;
}

/* What is there of a command that is half here, as Redis shows it: arguments that are complete, and
 * what is not parsed yet. */
static size_t waiting_bytes(const struct conn *conn, size_t *args_bytes)
{
    *args_bytes = 0;
    size_t read = conn->partial != NULL ? resp_parser_read(conn->partial, args_bytes) : 0;
    return conn_query_bytes(conn) - read;
}

/* Replies wait in chunks: the first takes the place of the fixed buffer that Redis has (rbs, rbp,
 * obl), the others that of its list (oll). */
void client__describe(struct text *t, const struct conn *conn)
{
    const char *name = conn->name != NULL ? conn->name : "";
    const char *lib_name = conn->lib_name != NULL ? conn->lib_name : "";
    const char *lib_ver = conn->lib_ver != NULL ? conn->lib_ver : "";
    char flags[16];
    describe_flags(conn, flags);
    size_t args_bytes, input_bytes = waiting_bytes(conn, &args_bytes), running = running_bytes(conn);
    const char *events = conn->flags & (CONN_PAUSED | CONN_EOF)
                             ? (conn->sending_bytes > 0 ? "w" : "")
                             : (conn->sending_bytes > 0 ? "rw" : "r");
    const struct reply_chunk *first = conn->out.head;
    unsigned more = 0;
    for (const struct reply_chunk *chunk = first; chunk != NULL; chunk = chunk->next) {
        more += chunk != first;
    }

    text_printf(
        t,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRIu64 " idle=%" PRIu64
        " flags=%s db=%d sub=%u psub=%u ssub=%u multi=%d watch=%u qbuf=%zu qbuf-free=0 argv-mem=%zu"
        " multi-mem=%zu rbs=%zu rbp=%zu obl=%zu oll=%u omem=%zu tot-mem=%zu events=%s cmd=%s"
        " user=default redir=%lld resp=%d lib-name=%s lib-ver=%s\n",
        conn->id, conn->addr, conn->laddr, conn->sock.fd, name,
        seconds_since(conn, conn->created_ns), seconds_since(conn, conn->active_ns), flags,
        conn->db, conn_subscriptions(conn, SUB_CHANNEL), conn_subscriptions(conn, SUB_PATTERN),
        conn_subscriptions(conn, SUB_SHARD_CHANNEL),
        conn->multi != NULL ? (int)conn->multi->count : -1, watch_count(conn),
        input_bytes + running, args_bytes, multi_memory(conn),
        first != NULL ? first->cap : 0,
        first != NULL ? first->len : 0, first != NULL ? first->len : 0, more,
        reply_memory(&conn->out), conn_memory(conn) + running, events,
        conn->last_command != NULL ? conn->last_command->full_name : "NULL",
        conn->tracking != NULL ? (long long)conn->tracking->redirect : -1, conn->resp, lib_name,
        lib_ver);
}

/* enum client_class, TYPE_MASTER, or -1 after replying an error. */
static int parse_type(struct call *c, struct slice word)
{
    static const struct {
        const char *word;
        int type;
    } types[] = {
        {"normal", CLIENT_NORMAL}, {"slave", CLIENT_REPLICA}, {"replica", CLIENT_REPLICA},
        {"pubsub", CLIENT_PUBSUB}, {"master", TYPE_MASTER},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (slice_is(word, types[i].word)) {
            return types[i].type;
        }
    }
    reply_errorf(c->out, "ERR Unknown client type '%.*s'", client__shown(word), word.ptr);
    return -1;
}

static bool type_fits(const struct conn *conn, int type)
{
    return type == TYPE_ANY || type == (int)conn_class(conn);
}

/* --- LIST --- */

struct line {
    uint64_t id;
    size_t at, len; /* in the text of its part */
    const char *text; /* once all parts are there */
};

struct list_part {
    _Alignas(64) struct text text;
    struct line *lines;
    size_t count, cap;
};

struct listing {
    int type;
    bool by_id;
    uint64_t *wanted, *sorted; /* ids as the client gave them, and in order */
    size_t wanted_count;
    unsigned shards;
    struct list_part *parts; /* one per shard, written by it */
};

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int compare_lines(const void *a, const void *b)
{
    return compare_ids(&((const struct line *)a)->id, &((const struct line *)b)->id);
}

static void listing_part(struct shard *shard, void *ctx)
{
    struct listing *l = ctx;
    struct list_part *part = &l->parts[shard->id];
    for (const struct conn *conn = shard->conns; conn != NULL; conn = conn->next) {
        if ((conn->flags & CONN_CLOSING) || !type_fits(conn, l->type)) {
            continue;
        }
        if (l->by_id && bsearch(&conn->id, l->sorted, l->wanted_count, sizeof(*l->sorted),
                                compare_ids) == NULL) {
            continue;
        }
        if (part->count == part->cap) {
            part->cap = part->cap > 0 ? part->cap * 2 : 16;
            part->lines = mem_realloc(part->lines, part->cap * sizeof(*part->lines));
        }
        size_t at = part->text.len;
        client__describe(&part->text, conn);
        part->lines[part->count++] = (struct line){conn->id, at, part->text.len - at, NULL};
    }
}

/* All lines of all parts, by id. The caller frees them. */
static struct line *listing_sort(const struct listing *l, size_t *count)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->shards; i++) {
        n += l->parts[i].count;
    }
    struct line *lines = mem_alloc((n + 1) * sizeof(*lines));
    *count = n;
    n = 0;
    for (unsigned i = 0; i < l->shards; i++) {
        const struct list_part *part = &l->parts[i];
        for (size_t k = 0; k < part->count; k++, n++) {
            lines[n] = part->lines[k];
            lines[n].text = part->text.data + lines[n].at;
        }
    }
    qsort(lines, n, sizeof(*lines), compare_lines);
    return lines;
}

static void listing_free(struct listing *l)
{
    for (unsigned i = 0; i < l->shards; i++) {
        text_free(&l->parts[i].text);
        mem_free(l->parts[i].lines);
    }
    mem_free(l->parts);
    mem_free(l->wanted);
    mem_free(l->sorted);
    mem_free(l);
}

static void listing_done(struct call *c, void *ctx)
{
    struct listing *l = ctx;
    size_t count;
    struct line *lines = listing_sort(l, &count);

    struct text all = {0};
    if (l->by_id) { /* in the order, and as often, as they were asked for */
        for (size_t i = 0; i < l->wanted_count; i++) {
            const struct line key = {.id = l->wanted[i]};
            const struct line *line = bsearch(&key, lines, count, sizeof(key), compare_lines);
            if (line != NULL) {
                text_append(&all, line->text, line->len);
            }
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            text_append(&all, lines[i].text, lines[i].len);
        }
    }
    reply_verbatim(c->out, "txt", all.data != NULL ? all.data : "", all.len);
    text_free(&all);
    mem_free(lines);
    listing_free(l);
}

static bool listing_parse(struct call *c, struct listing *l)
{
    if (c->argc == 4 && slice_is(c->argv[2], "TYPE")) {
        l->type = parse_type(c, c->argv[3]);
        return l->type >= 0;
    }
    if (c->argc > 3 && slice_is(c->argv[2], "ID")) {
        l->by_id = true;
        l->wanted = mem_alloc((c->argc - 3) * sizeof(*l->wanted));
        for (uint32_t i = 3; i < c->argc; i++) {
            int64_t id;
            if (!call_arg_int_or(c, i, &id, "ERR Invalid client ID")) {
                return false;
            }
            l->wanted[l->wanted_count++] = (uint64_t)id;
        }
        l->sorted = mem_alloc(l->wanted_count * sizeof(*l->sorted));
        memcpy(l->sorted, l->wanted, l->wanted_count * sizeof(*l->sorted));
        qsort(l->sorted, l->wanted_count, sizeof(*l->sorted), compare_ids);
        return true;
    }
    if (c->argc != 2) {
        call_error_syntax(c);
        return false;
    }
    return true;
}

void client__list(struct call *c)
{
    struct listing *l = mem_alloc_zero(sizeof(*l));
    l->type = TYPE_ANY;
    if (!listing_parse(c, l)) {
        listing_free(l);
        return;
    }
    l->shards = call_conn(c)->shard->server->shard_count;
    l->parts = mem_alloc_aligned(l->shards * sizeof(*l->parts), _Alignof(struct list_part));
    memset(l->parts, 0, l->shards * sizeof(*l->parts));
    broadcast(c, listing_part, listing_done, l);
}

/* --- KILL --- */

struct kill {
    /* filters; a connection must fit all */
    uint64_t id;               /* 0: any */
    int type;
    struct slice addr, laddr;  /* copies; ptr NULL: any */
    uint64_t max_age_s;        /* 0: any */
    const struct conn *spare;  /* SKIPME */
    bool old_form;

    const struct conn *self;
    bool kills_self;           /* written by the home shard */
    _Atomic uint64_t killed;   /* any shard adds */
};

static bool address_fits(const char *address, struct slice wanted)
{
    return wanted.ptr == NULL || slice_equal(slice_str(address), wanted);
}

static bool kill_fits(const struct kill *k, const struct conn *conn)
{
    return address_fits(conn->addr, k->addr) && address_fits(conn->laddr, k->laddr) &&
           type_fits(conn, k->type) && (k->id == 0 || conn->id == k->id) &&
           (k->max_age_s == 0 || seconds_since(conn, conn->created_ns) >= k->max_age_s) &&
           conn != k->spare && !(conn->flags & CONN_CLOSING);
}

static void kill_part(struct shard *shard, void *ctx)
{
    struct kill *k = ctx;
    uint64_t killed = 0;
    for (struct conn *conn = shard->conns, *next; conn != NULL; conn = next) {
        next = conn->next;
        if (!kill_fits(k, conn)) {
            continue;
        }
        killed++;
        if (conn == k->self) {
            k->kills_self = true; /* it gets its reply first */
        } else {
            conn_close(conn, false);
        }
    }
    atomic_fetch_add_explicit(&k->killed, killed, memory_order_relaxed);
}

static void kill_free(struct kill *k)
{
    mem_free((void *)k->addr.ptr);
    mem_free((void *)k->laddr.ptr);
    mem_free(k);
}

static void kill_done(struct call *c, void *ctx)
{
    struct kill *k = ctx;
    uint64_t killed = atomic_load_explicit(&k->killed, memory_order_relaxed);
    if (!k->old_form) {
        reply_int(c->out, (int64_t)killed);
    } else if (killed > 0) {
        reply_ok(c->out);
    } else {
        reply_error(c->out, "ERR No such client");
    }
    if (k->kills_self) {
        conn_close(call_conn(c), true);
    }
    kill_free(k);
}

static void copy_address(struct slice *to, struct slice from)
{
    mem_free((void *)to->ptr);
    char *copy = mem_alloc(from.len + 1);
    memcpy(copy, from.ptr, from.len);
    *to = slice_of(copy, from.len);
}

/* One filter and its value; false after replying an error. */
static bool kill_parse_filter(struct call *c, uint32_t i, struct kill *k)
{
    struct slice filter = c->argv[i], value = c->argv[i + 1];
    int64_t n;
    if (slice_is(filter, "ID")) {
        const char *error = "ERR client-id should be greater than 0";
        if (!call_arg_range(c, i + 1, 1, INT64_MAX, &n, error)) {
            return false;
        }
        k->id = (uint64_t)n;
    } else if (slice_is(filter, "TYPE")) {
        k->type = parse_type(c, value);
        return k->type >= 0;
    } else if (slice_is(filter, "ADDR")) {
        copy_address(&k->addr, value);
    } else if (slice_is(filter, "LADDR")) {
        copy_address(&k->laddr, value);
    } else if (slice_is(filter, "USER")) {
        if (!slice_equal(value, slice_str("default"))) {
            reply_errorf(c->out, "ERR No such user '%.*s'", client__shown(value), value.ptr);
            return false;
        }
    } else if (slice_is(filter, "MAXAGE")) {
        if (!call_arg_int_or(c, i + 1, &n, "ERR maxage is not an integer or out of range")) {
            return false;
        }
        if (n <= 0) {
            reply_error(c->out, "ERR maxage should be greater than 0");
            return false;
        }
        k->max_age_s = (uint64_t)n;
    } else if (slice_is(filter, "SKIPME") && slice_is(value, "YES")) {
        k->spare = call_conn(c);
    } else if (slice_is(filter, "SKIPME") && slice_is(value, "NO")) {
        k->spare = NULL;
    } else {
        call_error_syntax(c);
        return false;
    }
    return true;
}

static bool kill_parse(struct call *c, struct kill *k)
{
    if (c->argc == 3) { /* CLIENT KILL addr: also one's own connection */
        k->old_form = true;
        copy_address(&k->addr, c->argv[2]);
        return true;
    }
    k->spare = call_conn(c);
    for (uint32_t i = 2; i < c->argc; i += 2) {
        if (i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!kill_parse_filter(c, i, k)) {
            return false;
        }
    }
    return true;
}

void client__kill(struct call *c)
{
    struct kill *k = mem_alloc_zero(sizeof(*k));
    k->type = TYPE_ANY;
    k->self = call_conn(c);
    if (!kill_parse(c, k)) {
        kill_free(k);
        return;
    }
    broadcast(c, kill_part, kill_done, k);
}

/* --- UNBLOCK --- */

struct unblock {
    uint64_t id;
    enum wait_state why;
    bool done; /* its home writes */
};

static void unblock_part(struct shard *s, void *ctx)
{
    struct unblock *u = ctx;
    struct conn *conn = conn_by_id(s, u->id);
    if (conn != NULL && blocked_cancel(conn, u->why)) {
        u->done = true;
    }
}

static void unblock_done(struct call *c, void *ctx)
{
    struct unblock *u = ctx;
    reply_int(c->out, u->done);
    mem_free(u);
}

void client__unblock(struct call *c)
{
    int64_t id;
    bool error = c->argc == 4 && slice_is(c->argv[3], "ERROR");
    if (c->argc > 4) {
        call_error_subcommand_args(c); /* too many; too few are noticed by arity */
    } else if (c->argc == 4 && !error && !slice_is(c->argv[3], "TIMEOUT")) {
        reply_error(c->out, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    } else if (call_arg_int(c, 2, &id)) {
        struct unblock *u = mem_alloc(sizeof *u);
        *u = (struct unblock){.id = (uint64_t)id, .why = error ? WAIT_ERROR : WAIT_UNBLOCKED};
        broadcast(c, unblock_part, unblock_done, u);
    }
}

/* --- PAUSE, UNPAUSE --- */

/* Two clients may pause at once; both words must change together. Held for a few instructions. */
static atomic_flag pause_changing = ATOMIC_FLAG_INIT;

/* A pause that lasts only becomes longer and stricter. */
static void pause_extend(struct server *server, int64_t now_ms, int64_t until_ms, bool writes_only)
{
    while (atomic_flag_test_and_set(&pause_changing)) {
    }
    int64_t current = atomic_load(&server->pause_until_ms);
    if (current > now_ms) {
        until_ms = until_ms > current ? until_ms : current;
        writes_only = writes_only && atomic_load(&server->pause_writes_only);
    }
    atomic_store(&server->pause_writes_only, writes_only);
    atomic_store(&server->pause_until_ms, until_ms);
    atomic_flag_clear(&pause_changing);
}

static void pause_part(struct shard *shard, void *ctx)
{
    conn_pause_changed(shard);
}

static void pause_done(struct call *c, void *ctx)
{
    reply_ok(c->out);
}

/* First the change, then a part on every shard: when that is through, no shard routes anything any
 * more without having seen the change. What was routed before and waits for its turn still runs. */
void client__pause(struct call *c)
{
    bool writes_only = false;
    if (c->argc > 4) {
        call_error_subcommand_args(c);
        return;
    }
    if (c->argc == 4) {
        writes_only = slice_is(c->argv[3], "WRITE");
        if (!writes_only && !slice_is(c->argv[3], "ALL")) {
            reply_error(c->out, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    int64_t timeout_ms;
    if (!call_arg_int_or(c, 2, &timeout_ms, "ERR timeout is not an integer or out of range")) {
        return;
    }
    if (timeout_ms < 0) {
        reply_error(c->out, "ERR timeout is negative");
        return;
    }
    int64_t now_ms = clock_unix_ms();
    if (timeout_ms > INT64_MAX - now_ms) {
        reply_error(c->out, "ERR timeout is out of range");
        return;
    }
    struct server *server = call_conn(c)->shard->server;
    pause_extend(server, now_ms, timeout_ms > 0 ? now_ms + timeout_ms : 0, writes_only);
    broadcast(c, pause_part, pause_done, NULL);
}

void client__unpause(struct call *c)
{
    struct server *server = call_conn(c)->shard->server;
    while (atomic_flag_test_and_set(&pause_changing)) {
    }
    atomic_store(&server->pause_until_ms, 0);
    atomic_flag_clear(&pause_changing);
    broadcast(c, pause_part, pause_done, NULL);
}
