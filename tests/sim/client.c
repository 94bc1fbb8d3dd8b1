/* client.c - what clients send and what they are answered (see sim.h).
 *
 * Each seed draws its own small world: two to four clients, at most five keys anywhere in the slots,
 * and some of the kinds of commands only, so that what they do to each other is dense. A client
 * sends its ops one by one or in pipelines. sent_at and answered_at count what happens, so that
 * "answered before the other was sent" is exact. */
#include "tests/sim/sim.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 2048, BACKLOG_BYTES = 8192, OPS_EACH_MAX = 15, FIRST_VALUE = 1000 };

struct sim_history sim_history;

static uint64_t happened;       /* events so far */
static char backlog[SIM_CLIENTS_MAX][BACKLOG_BYTES]; /* part of a reply */
static size_t backlog_len[SIM_CLIENTS_MAX];
static unsigned replies_of[SIM_CLIENTS_MAX]; /* of the transaction being answered */
static bool drawn[SIM_KINDS]; /* kinds of this seed */
static int next_value;
static unsigned pushes;         /* drawn so far */
static bool near_transactions;  /* of this seed (draw_keys) */
static bool reading;            /* the last client has begun */

/* --- what there is --------------------------------------------------------------------------- */

enum { STRINGS = 1, LISTS = 2, SETS = 4, ALL = 7 }; /* what a seed may be about */
static const struct {
    const char *name;
    uint8_t keys_min, keys_max, values;
    uint8_t about; /* 0: whatever the seed is about, but less often */
} kinds[SIM_KINDS] = {
    [SIM_GET] = {"GET", 1, 1, 0, STRINGS},
    [SIM_SET] = {"SET", 1, 1, 1, STRINGS},
    [SIM_INCR] = {"INCR", 1, 1, 0, STRINGS},
    [SIM_GETSET] = {"GETSET", 1, 1, 1, STRINGS},
    [SIM_DEL] = {"DEL", 1, 2, 0, ALL},
    [SIM_EXISTS] = {"EXISTS", 1, 2, 0, ALL},
    [SIM_MSET] = {"MSET", 2, 3, 0, STRINGS},
    [SIM_MGET] = {"MGET", 2, 3, 0, STRINGS},
    [SIM_MSETNX] = {"MSETNX", 2, 2, 0, STRINGS},
    [SIM_RENAME] = {"RENAME", 2, 2, 0, ALL},
    [SIM_LPUSH] = {"LPUSH", 1, 1, 1, LISTS},
    [SIM_RPUSH] = {"RPUSH", 1, 1, 1, LISTS},
    [SIM_LPOP] = {"LPOP", 1, 1, 0, LISTS},
    [SIM_LRANGE] = {"LRANGE", 1, 1, 0, LISTS},
    [SIM_LMOVE] = {"LMOVE", 2, 2, 0, LISTS},
    [SIM_BLPOP] = {"BLPOP", 1, 2, 0, LISTS},
    [SIM_SADD] = {"SADD", 1, 1, 1, SETS},
    [SIM_SREM] = {"SREM", 1, 1, 1, SETS},
    [SIM_SMISMEMBER] = {"SMISMEMBER", 1, 1, 0, SETS},
    [SIM_SINTERSTORE] = {"SINTERSTORE", 3, 3, 0, SETS},
    [SIM_SUNIONSTORE] = {"SUNIONSTORE", 3, 3, 0, SETS},
    [SIM_SMOVE] = {"SMOVE", 2, 2, 1, SETS},
    [SIM_FLUSHALL] = {"FLUSHALL", 0, 0, 0, 0},
    [SIM_DBSIZE] = {"DBSIZE", 0, 0, 0, 0},
    [SIM_EVAL_SUM] = {"EVAL sum", 2, 2, 0, STRINGS},
    [SIM_EVAL_MOVE] = {"EVAL move", 2, 2, 0, STRINGS},
    [SIM_EVAL_FAR] = {"EVAL far", 2, 2, 0, STRINGS},
    [SIM_EVAL_BLIND] = {"EVAL blind", 2, 2, 0, STRINGS},
    [SIM_WATCH] = {"WATCH", 1, 2, 0, 0},
    [SIM_UNWATCH] = {"UNWATCH", 0, 0, 0, 0},
    [SIM_RESETSTAT] = {"CONFIG RESETSTAT", 0, 0, 0, 0},
};

static const char script_sum[] =
    "local n = 0 for i = 1, #KEYS do n = n + (tonumber(redis.call('GET', KEYS[i])) or 0) end return n";
static const char script_move[] =
    "local v = redis.call('GET', KEYS[1]) if v then redis.call('SET', KEYS[2], v) "
    "redis.call('DEL', KEYS[1]) end return v";
/* The same: with keys that it does not declare; with one of them declared. */
static const char script_far[] =
    "local v = redis.call('GET', ARGV[1]) if v then redis.call('SET', ARGV[2], v) "
    "redis.call('DEL', ARGV[1]) end return v";
static const char script_blind[] =
    "local v = redis.call('GET', KEYS[1]) if v then redis.call('SET', ARGV[1], v) "
    "redis.call('DEL', KEYS[1]) end return v";

/* --- drawing --------------------------------------------------------------------------------- */

static bool in_multi(unsigned kind)
{
    return kind != SIM_BLPOP && kind != SIM_WATCH && kind != SIM_UNWATCH;
}

enum { ANYWHERE = SIM_SHARDS_MAX };

static unsigned shard_of(unsigned key)
{
    const char *name = sim_history.key[key];
    return sim_server->slot_shard[hash_slot(name, strlen(name))];
}

static bool is_push(unsigned kind)
{
    return kind == SIM_LPUSH || kind == SIM_RPUSH;
}

/* multi: within a transaction. shard: a command with one key, which is of that shard; ANYWHERE: any. */
static void draw_command(struct sim_command *c, bool multi, unsigned shard)
{
    uint8_t order[SIM_KEYS_MAX];
    unsigned keys = 0;
    for (unsigned i = 0; i < sim_history.keys; i++) {
        if (shard == ANYWHERE || shard_of(i) == shard) {
            unsigned j = sim_below(keys + 1);
            order[keys++] = order[j];
            order[j] = (uint8_t)i;
        }
    }
    do {
        c->kind = (uint8_t)sim_below(SIM_KINDS);
    } while (!drawn[c->kind] || (multi && !in_multi(c->kind)) ||
             (is_push(c->kind) && pushes == SIM_LIST_MAX) || kinds[c->kind].keys_min > keys ||
             (shard != ANYWHERE && kinds[c->kind].keys_max != 1));
    pushes += is_push(c->kind);
    unsigned least = kinds[c->kind].keys_min, most = kinds[c->kind].keys_max;
    most = most > keys ? keys : most;
    c->nkeys = (uint8_t)(least >= most ? most : least + sim_below(most - least + 1));
    memcpy(c->key, order, c->nkeys); /* all different */
    for (unsigned i = 0; i < 3; i++) {
        c->value[i] = (int16_t)next_value++;
    }
    if (c->kind == SIM_SADD || c->kind == SIM_SREM || c->kind == SIM_SMOVE) {
        c->value[0] = (int16_t)sim_below(SIM_MEMBERS);
    } else if (c->kind == SIM_BLPOP) {
        c->value[0] = sim_one_in(2) ? 0 : 1 + (int16_t)sim_below(60); /* ms; 0: for ever */
    }
}

/* local: of a client that has near transactions. */
static void draw_op(struct sim_op *op, const struct sim_op *before, bool local)
{
    bool watched = before != NULL && before->command[0].kind == SIM_WATCH;
    op->transaction = watched ? !sim_one_in(4) : sim_one_in(local ? 2 : 5);
    op->alone = local || sim_one_in(near_transactions ? 4 : 2);
    op->count = (uint8_t)(op->transaction ? 1 + sim_below(SIM_COMMANDS_MAX) : 1);
    unsigned shard = local && op->transaction ? shard_of(sim_below(sim_history.keys)) : ANYWHERE;
    for (unsigned i = 0; i < op->count; i++) {
        draw_command(&op->command[i], op->transaction, shard);
    }
}

/* Few kinds meet each other often; there is always one that makes something to look at. */
static void draw_kinds(void)
{
    if (near_transactions) { /* dense: who is seen in the middle is seen soon */
        drawn[SIM_GET] = drawn[SIM_MSET] = drawn[SIM_MGET] = true;
        drawn[SIM_RENAME] = sim_one_in(2); /* lends */
        drawn[SIM_SET] = sim_one_in(2);
        return;
    }
    static const uint8_t abouts[] = {STRINGS, STRINGS, LISTS, SETS, STRINGS | LISTS, ALL};
    unsigned about = abouts[sim_below(6)], often = 1 + sim_below(3);
    for (unsigned k = 0; k < SIM_KINDS; k++) {
        drawn[k] = kinds[k].about != 0 ? (kinds[k].about & about) && sim_one_in(often)
                                       : sim_one_in(often + 2);
        drawn[k] = drawn[k] && kinds[k].keys_min <= sim_history.keys;
    }
    drawn[SIM_SET] = drawn[SIM_SET] || (about & STRINGS);
    drawn[SIM_RPUSH] = drawn[SIM_RPUSH] || (about & LISTS);
    drawn[SIM_EXISTS] = true; /* lists are bounded: something is always left to draw */
    drawn[SIM_SADD] = drawn[SIM_SADD] || (about & SETS);
}

/* Sometimes the first two share a slot. In some seeds all keys are of two shards; every other client
 * waits for each answer, and its transactions keep to one shard: they travel in free runs, beside pipelines
 * of commands over both shards. */
static void draw_keys(void)
{
    struct sim_history *h = &sim_history;
    near_transactions = sim_one_in(3) || sim_mutant == SCHED_FREE_TRANSACTION; /* rare otherwise */
    h->keys = near_transactions ? SIM_KEYS_MAX : 2 + sim_below(SIM_KEYS_MAX - 1);
    unsigned first = sim_below(sim_server->shard_count), shard;
    for (unsigned i = 0; i < h->keys; i++) {
        do {
            snprintf(h->key[i], sizeof h->key[i], "k%u{%u}", i, sim_below(1000));
            shard = shard_of(i);
        } while (near_transactions && shard != first && shard != (first + 1) % sim_server->shard_count);
    }
    if (!near_transactions && sim_one_in(4)) {
        memcpy(h->key[1], h->key[0], sizeof h->key[1]);
        h->key[1][1] = '1';
    }
}

/* At the end everything is looked at. */
static void draw_reader(struct sim_client *reader)
{
    static const uint8_t looks[] = {SIM_GET, SIM_LRANGE, SIM_SMISMEMBER};
    for (unsigned i = 0; i < sim_history.keys; i++) {
        for (unsigned k = 0; k < 3; k++) {
            struct sim_op *op = &reader->op[reader->count++];
            op->count = 1;
            op->command[0] = (struct sim_command){.kind = looks[k], .nkeys = 1, .key = {(uint8_t)i}};
        }
    }
    struct sim_op *op = &reader->op[reader->count++];
    op->count = 1;
    op->command[0].kind = SIM_DBSIZE;
}

void sim_client_prepare(void)
{
    static_assert(SIM_KEYS_MAX * 3 + 1 <= SIM_OPS_MAX, "the reader's ops");
    struct sim_history *h = &sim_history;
    h->clients = 2 + sim_below(SIM_CLIENTS_MAX - 2);
    next_value = FIRST_VALUE;
    draw_keys();
    draw_kinds();
    for (unsigned i = 0; i < h->clients; i++) {
        struct sim_client *c = &h->client[i];
        c->home = sim_below(sim_server->shard_count);
        c->count = 3 + sim_below(OPS_EACH_MAX - 2);
        c->leaves_after = sim_one_in(6) ? 1 + sim_below(c->count) : 0;
        for (unsigned k = 0; k < c->count; k++) {
            draw_op(&c->op[k], k > 0 ? &c->op[k - 1] : NULL, near_transactions && i % 2 == 1);
        }
        sim_net_connect(i, c->home);
    }
    struct sim_client *reader = &h->client[h->clients];
    reader->home = sim_below(sim_server->shard_count);
    draw_reader(reader);
}

/* --- sending --------------------------------------------------------------------------------- */

struct text {
    char bytes[TEXT_BYTES];
    size_t len;
};

static void put_args(struct text *t, unsigned count, const char *const *args)
{
    t->len += (size_t)snprintf(t->bytes + t->len, sizeof t->bytes - t->len, "*%u\r\n", count);
    for (unsigned i = 0; i < count; i++) {
        t->len += (size_t)snprintf(t->bytes + t->len, sizeof t->bytes - t->len, "$%zu\r\n%s\r\n",
                                   strlen(args[i]), args[i]);
    }
    assert(t->len < sizeof t->bytes);
}

/* The words of a command. numbers: room for what is printed. */
static unsigned words_of(const struct sim_command *c, const char *word[16], char number[3][12])
{
    unsigned n = 0;
    const char *key[3] = {NULL};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(number[i], 12, "%d", c->value[i]);
        key[i] = i < c->nkeys ? sim_history.key[c->key[i]] : NULL;
    }
    switch (c->kind) {
    case SIM_EVAL_SUM:
    case SIM_EVAL_MOVE:
    case SIM_EVAL_FAR:
    case SIM_EVAL_BLIND:
        word[n++] = "EVAL";
        word[n++] = c->kind == SIM_EVAL_SUM    ? script_sum
                    : c->kind == SIM_EVAL_MOVE ? script_move
                    : c->kind == SIM_EVAL_FAR  ? script_far
                                               : script_blind;
        word[n++] = c->kind == SIM_EVAL_FAR ? "0" : c->kind == SIM_EVAL_BLIND ? "1" : "2";
        word[n++] = key[0];
        word[n++] = key[1];
        return n;
    case SIM_RESETSTAT:
        word[n++] = "CONFIG";
        word[n++] = "RESETSTAT";
        return n;
    default:
        break;
    }
    word[n++] = kinds[c->kind].name;
    for (unsigned i = 0; i < c->nkeys; i++) {
        word[n++] = key[i];
        if (c->kind == SIM_MSET || c->kind == SIM_MSETNX) {
            word[n++] = number[i];
        }
    }
    for (unsigned i = 0; i < kinds[c->kind].values; i++) {
        word[n++] = number[i];
    }
    if (c->kind == SIM_LRANGE) {
        word[n++] = "0";
        word[n++] = "-1";
    } else if (c->kind == SIM_LMOVE) {
        word[n++] = "LEFT";
        word[n++] = "RIGHT";
    } else if (c->kind == SIM_BLPOP) {
        snprintf(number[0], 12, "0.%03d", c->value[0]);
        word[n++] = number[0];
    } else if (c->kind == SIM_SMISMEMBER) {
        static const char *const members[SIM_MEMBERS] = {"0", "1", "2", "3", "4", "5"};
        for (unsigned i = 0; i < SIM_MEMBERS; i++) {
            word[n++] = members[i];
        }
    }
    return n;
}

static void put_command(struct text *t, const struct sim_command *c)
{
    const char *word[16];
    char number[3][12];
    put_args(t, words_of(c, word, number), word);
}

static void send_op(unsigned client, struct sim_op *op)
{
    struct text t = {.len = 0};
    if (op->transaction) {
        put_args(&t, 1, &(const char *){"MULTI"});
    }
    for (unsigned i = 0; i < op->count; i++) {
        put_command(&t, &op->command[i]);
    }
    if (op->transaction) {
        put_args(&t, 1, &(const char *){"EXEC"});
    }
    op->sent_at = ++happened;
    sim_net_send(client, t.bytes, t.len);
}

static bool may_send(unsigned client)
{
    const struct sim_client *c = &sim_history.client[client];
    return c->sent < c->count && !c->gone && (client < sim_history.clients || reading) &&
           !(c->op[c->sent].alone && c->answered < c->sent);
}

static bool may_leave(unsigned client)
{
    const struct sim_client *c = &sim_history.client[client];
    return c->leaves_after > 0 && c->sent >= c->leaves_after && !c->gone;
}

bool sim_client_can_act(void)
{
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        if (may_send(i) || may_leave(i)) {
            return true;
        }
    }
    return false;
}

void sim_client_act(void)
{
    unsigned i;
    do {
        i = sim_below(sim_history.clients + 1);
    } while (!may_send(i) && !may_leave(i));
    struct sim_client *c = &sim_history.client[i];
    if (may_leave(i) && (!may_send(i) || sim_one_in(2))) {
        sim_fiber_trace("client %u hangs up", i);
        c->gone = true;
        sim_net_leave(i);
        return;
    }
    sim_fiber_trace("client %u sends", i);
    do { /* a pipeline in one piece, or several */
        send_op(i, &c->op[c->sent++]);
    } while (may_send(i) && !sim_one_in(4));
}

/* --- replies --------------------------------------------------------------------------------- */

/* Length of the first reply; 0: it is not all there. */
static size_t reply_length(const char *p, size_t len)
{
    const char *end = memmem(p, len, "\r\n", 2);
    if (end == NULL) {
        return 0;
    }
    size_t at = (size_t)(end - p) + 2;
    long n = strtol(p + 1, NULL, 10);
    if (p[0] == '$' && n >= 0) {
        at += (size_t)n + 2;
    } else if (p[0] == '*') {
        for (long i = 0; i < n; i++) {
            size_t one = at < len ? reply_length(p + at, len - at) : 0;
            if (one == 0) {
                return 0;
            }
            at += one;
        }
    } else if (memchr("+-:$", p[0], 4) == NULL) {
        sim_fail("a reply that is none: %.*s", (int)(len < 40 ? len : 40), p);
    }
    return at <= len ? at : 0;
}

/* Texts of errors are not compared. */
static void keep_reply(struct sim_op *op, const char *p, size_t len)
{
    op->reply_len = 0;
    for (size_t i = 0; i < len; i++) {
        bool begins = i == 0 || p[i - 1] == '\n';
        assert(op->reply_len < SIM_REPLY_BYTES);
        op->reply[op->reply_len++] = p[i];
        if (begins && p[i] == '-') {
            while (p[i + 1] != '\r') {
                i++;
            }
        }
    }
}

static void one_reply(unsigned client, const char *p, size_t len)
{
    struct sim_client *c = &sim_history.client[client];
    if (c->answered == c->sent) {
        sim_fail("client %u gets a reply to nothing", client);
    }
    struct sim_op *op = &c->op[c->answered];
    if (op->transaction) {
        unsigned number = replies_of[client]++;
        if (number <= op->count) {
            const char *wanted = number == 0 ? "+OK\r\n" : "+QUEUED\r\n";
            if (len != strlen(wanted) || memcmp(p, wanted, len) != 0) {
                sim_fail("client %u: %.*s in a transaction", client, (int)len - 2, p);
            }
            return;
        }
        replies_of[client] = 0;
    }
    keep_reply(op, p, len);
    op->answered_at = ++happened;
    c->answered++;
    sim_fiber_trace("client %u is answered: op %u", client, c->answered - 1);
}

void sim_client_received(unsigned client, const char *bytes, size_t len)
{
    char *p = backlog[client];
    if (sim_history.client[client].gone) {
        return;
    }
    assert(backlog_len[client] + len <= BACKLOG_BYTES);
    memcpy(p + backlog_len[client], bytes, len);
    backlog_len[client] += len;
    size_t n;
    while (backlog_len[client] > 0 && (n = reply_length(p, backlog_len[client])) > 0) {
        one_reply(client, p, n);
        backlog_len[client] -= n;
        memmove(p, p + n, backlog_len[client]);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

/* Replies of a half answered pipeline are kept back for a moment (conn.c). */
static bool output_held(void)
{
    for (unsigned i = 0; i < sim_server->shard_count; i++) {
        if (sim_server->shards[i]->flush != NULL) {
            return true;
        }
    }
    return false;
}

/* All that hung up have been let go of. */
static void look_for_connections(void)
{
    unsigned there = 0, wanted = 0;
    for (unsigned i = 0; i < sim_server->shard_count; i++) {
        there += sim_server->shards[i]->conns_alive;
    }
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        wanted += !sim_history.client[i].gone;
    }
    if (there != wanted) {
        sim_fail("%u connections are left, there should be %u", there, wanted);
    }
}

bool sim_client_quiet(void)
{
    if (output_held()) {
        return false;
    }
    bool timed = false;
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        const struct sim_client *c = &sim_history.client[i];
        if (c->answered == c->sent || c->gone) {
            continue;
        }
        const struct sim_op *op = &c->op[c->answered];
        if (!sim_op_blocks(op)) {
            sim_fail("client %u waits for its op %u, and no shard has anything to do", i, c->answered);
        }
        timed = timed || op->command[0].value[0] > 0;
    }
    if (timed) {
        return false;
    }
    if (!reading) {
        reading = true;
        sim_net_connect(sim_history.clients, sim_history.client[sim_history.clients].home);
        return false;
    }
    const struct sim_client *reader = &sim_history.client[sim_history.clients];
    if (reader->answered < reader->count) {
        return false;
    }
    look_for_connections();
    return true;
}

static void show_bytes(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '\r') {
            continue;
        }
        putchar(p[i] == '\n' ? (i + 1 < len ? ' ' : '\n') : p[i]);
    }
}

static void show_op(const struct sim_op *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        const struct sim_command *c = &op->command[i];
        const char *word[16];
        char number[3][12];
        unsigned n = words_of(c, word, number);
        printf("%s%s", i > 0 ? "; " : op->transaction ? "MULTI " : "",
               kinds[c->kind].name);
        if (c->kind != SIM_RESETSTAT) {
            for (unsigned k = strcmp(word[0], "EVAL") == 0 ? 3 : 1; k < n; k++) {
                printf(" %s", word[k]);
            }
        }
    }
    printf("%s", op->transaction ? " EXEC" : "");
}

/* In the order in which ops were sent: client, from, to, what, reply. */
void sim_history_show(void)
{
    const struct sim_history *h = &sim_history;
    printf("keys:");
    for (unsigned i = 0; i < h->keys; i++) {
        printf(" %s (shard %u)", h->key[i], shard_of(i));
    }
    printf("\nclients at home on:");
    for (unsigned i = 0; i <= h->clients; i++) {
        printf(" %u%s", h->client[i].home, h->client[i].gone ? " (hangs up)" : "");
    }
    printf("\n");
    for (uint64_t at = 1; at <= happened; at++) {
        for (unsigned i = 0; i <= h->clients; i++) {
            const struct sim_client *c = &h->client[i];
            for (unsigned k = 0; k < c->sent; k++) {
                const struct sim_op *op = &c->op[k];
                if (op->sent_at != at) {
                    continue;
                }
                printf("  client %u op %u [%llu, ", i, k, (unsigned long long)op->sent_at);
                if (op->answered_at == 0) {
                    printf("-]  ");
                } else {
                    printf("%llu]  ", (unsigned long long)op->answered_at);
                }
                show_op(op);
                printf("  =>  ");
                if (op->answered_at != 0) {
                    show_bytes(op->reply, op->reply_len);
                } else {
                    printf("no reply\n");
                }
            }
        }
    }
}
