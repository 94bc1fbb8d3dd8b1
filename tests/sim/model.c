/* model.c - one single-threaded server, as far as clients (client.c) can tell (see sim.h).
 *
 * A state is a plain value without padding that differs, so that states can be compared and kept by
 * their bytes. A step runs one op of a client as a whole: a command, or a transaction, and then
 * serves those who are blocked on the keys that it has touched, first come, first served. */
#include "tests/sim/sim.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

struct answer {
    char bytes[SIM_REPLY_BYTES];
    size_t len;
    uint8_t touched[64]; /* keys, in the order of being touched */
    unsigned touched_count;
};

/* --- replies --------------------------------------------------------------------------------- */

static void answer_clear(struct answer *a)
{
    a->len = 0;
    a->touched_count = 0;
}

static void put(struct answer *a, const char *format, long n)
{
    a->len += (size_t)snprintf(a->bytes + a->len, sizeof a->bytes - a->len, format, n);
    assert(a->len < sizeof a->bytes);
}

static void put_bulk(struct answer *a, long n)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%ld", n);
    put(a, "$%ld\r\n", (long)strlen(digits));
    put(a, "%ld\r\n", n);
}

static void put_text(struct answer *a, const char *text)
{
    put(a, "$%ld\r\n", (long)strlen(text));
    a->len += (size_t)snprintf(a->bytes + a->len, sizeof a->bytes - a->len, "%s\r\n", text);
}

static void put_nil(struct answer *a)
{
    put(a, "$-1\r\n", 0);
}

static void put_error(struct answer *a)
{
    put(a, "-\r\n", 0);
}

static void put_ok(struct answer *a)
{
    put(a, "+OK\r\n", 0);
}

static bool answer_is(const struct answer *a, unsigned client, const struct sim_op *op)
{
    if (op->answered_at == 0 && sim_history.client[client].gone) {
        return true; /* nobody knows */
    }
    return op->answered_at != 0 && op->reply_len == a->len && memcmp(op->reply, a->bytes, a->len) == 0;
}

/* --- keys ------------------------------------------------------------------------------------ */

static void touch(struct sim_state *s, struct answer *a, unsigned key)
{
    for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++) {
        s->dirty[i] = s->dirty[i] || (s->watched[i] >> key & 1);
    }
    assert(a->touched_count < sizeof a->touched);
    a->touched[a->touched_count++] = (uint8_t)key;
}

static void set_key(struct sim_state *s, struct answer *a, unsigned key, struct sim_key value)
{
    s->key[key] = value;
    touch(s, a, key);
}

static struct sim_key string_of(long value)
{
    return (struct sim_key){.type = SIM_STRING, .value = (int32_t)value};
}

/* Absent, or of that type. */
static bool fits(const struct sim_key *k, unsigned type)
{
    return k->type == SIM_NONE || k->type == type;
}

static bool remove_key(struct sim_state *s, struct answer *a, unsigned key)
{
    if (s->key[key].type == SIM_NONE) {
        return false;
    }
    set_key(s, a, key, (struct sim_key){.type = SIM_NONE});
    return true;
}

static int list_pop(struct sim_state *s, struct answer *a, unsigned key)
{
    struct sim_key *k = &s->key[key];
    int item = k->item[0];
    k->count--;
    memmove(k->item, k->item + 1, k->count * sizeof k->item[0]);
    k->item[k->count] = 0;
    if (k->count == 0) {
        *k = (struct sim_key){.type = SIM_NONE};
    }
    touch(s, a, key);
    return item;
}

static void list_push(struct sim_state *s, struct answer *a, unsigned key, int item, bool left)
{
    struct sim_key *k = &s->key[key];
    assert(k->count < SIM_LIST_MAX);
    k->type = SIM_LIST;
    if (left) {
        memmove(k->item + 1, k->item, k->count * sizeof k->item[0]);
        k->item[0] = (int16_t)item;
    } else {
        k->item[k->count] = (int16_t)item;
    }
    k->count++;
    touch(s, a, key);
}

static void set_members(struct sim_state *s, struct answer *a, unsigned key, unsigned members)
{
    set_key(s, a, key, (struct sim_key){.type = members ? SIM_SETTYPE : SIM_NONE,
                                        .members = (uint16_t)members});
}

/* --- commands -------------------------------------------------------------------------------- */

static void run_string(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    struct sim_key *k = &s->key[c->key[0]];
    if (c->kind == SIM_SET) {
        set_key(s, a, c->key[0], string_of(c->value[0]));
        put_ok(a);
        return;
    }
    if (!fits(k, SIM_STRING)) {
        put_error(a);
        return;
    }
    if (c->kind == SIM_INCR) {
        set_key(s, a, c->key[0], string_of(k->value + 1));
        put(a, ":%ld\r\n", k->value);
        return;
    }
    if (k->type == SIM_NONE) {
        put_nil(a);
    } else {
        put_bulk(a, k->value);
    }
    if (c->kind == SIM_GETSET) {
        set_key(s, a, c->key[0], string_of(c->value[0]));
    }
}

static void run_many(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    unsigned present = 0;
    for (unsigned i = 0; i < c->nkeys; i++) {
        present += s->key[c->key[i]].type != SIM_NONE;
    }
    switch (c->kind) {
    case SIM_DEL:
        for (unsigned i = 0; i < c->nkeys; i++) {
            remove_key(s, a, c->key[i]);
        }
        put(a, ":%ld\r\n", present);
        break;
    case SIM_EXISTS:
        put(a, ":%ld\r\n", present);
        break;
    case SIM_MGET:
        put(a, "*%ld\r\n", c->nkeys);
        for (unsigned i = 0; i < c->nkeys; i++) {
            const struct sim_key *k = &s->key[c->key[i]];
            if (k->type == SIM_STRING) {
                put_bulk(a, k->value);
            } else {
                put_nil(a);
            }
        }
        break;
    default: /* MSET, MSETNX */
        if (c->kind == SIM_MSETNX && present > 0) {
            put(a, ":0\r\n", 0);
            break;
        }
        for (unsigned i = 0; i < c->nkeys; i++) {
            set_key(s, a, c->key[i], string_of(c->value[i]));
        }
        put(a, c->kind == SIM_MSET ? "+OK\r\n" : ":1\r\n", 0);
        break;
    }
}

static void run_rename(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    struct sim_key from = s->key[c->key[0]];
    if (!remove_key(s, a, c->key[0])) {
        put_error(a);
        return;
    }
    set_key(s, a, c->key[1], from);
    put_ok(a);
}

static void run_list(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    const struct sim_key *k = &s->key[c->key[0]];
    if (!fits(k, SIM_LIST)) {
        put_error(a);
        return;
    }
    switch (c->kind) {
    case SIM_LPUSH:
    case SIM_RPUSH:
        list_push(s, a, c->key[0], c->value[0], c->kind == SIM_LPUSH);
        put(a, ":%ld\r\n", k->count);
        break;
    case SIM_LPOP:
        if (k->type == SIM_NONE) {
            put_nil(a);
        } else {
            put_bulk(a, list_pop(s, a, c->key[0]));
        }
        break;
    case SIM_LRANGE:
        put(a, "*%ld\r\n", k->count);
        for (unsigned i = 0; i < k->count; i++) {
            put_bulk(a, k->item[i]);
        }
        break;
    default: /* LMOVE */
        if (k->type == SIM_NONE) {
            put_nil(a);
        } else if (!fits(&s->key[c->key[1]], SIM_LIST)) {
            put_error(a);
        } else {
            int item = list_pop(s, a, c->key[0]);
            list_push(s, a, c->key[1], item, false);
            put_bulk(a, item);
        }
        break;
    }
}

static void run_set(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    const struct sim_key *k = &s->key[c->key[0]];
    unsigned bit = 1u << (c->value[0] % SIM_MEMBERS), had = k->members & bit;
    if (!fits(k, SIM_SETTYPE)) {
        put_error(a);
        return;
    }
    switch (c->kind) {
    case SIM_SMISMEMBER:
        put(a, "*%ld\r\n", SIM_MEMBERS);
        for (unsigned i = 0; i < SIM_MEMBERS; i++) {
            put(a, ":%ld\r\n", k->members >> i & 1);
        }
        return;
    case SIM_SADD:
        if (!had) {
            set_members(s, a, c->key[0], k->members | bit);
        }
        put(a, ":%ld\r\n", !had);
        return;
    case SIM_SREM:
        if (had) {
            set_members(s, a, c->key[0], k->members & ~bit);
        }
        put(a, ":%ld\r\n", had != 0);
        return;
    default: /* SMOVE */
        if (k->type == SIM_NONE) {
            put(a, ":0\r\n", 0);
        } else if (!fits(&s->key[c->key[1]], SIM_SETTYPE)) {
            put_error(a);
        } else {
            if (had) {
                set_members(s, a, c->key[0], k->members & ~bit);
                unsigned there = s->key[c->key[1]].members;
                if (!(there & bit)) {
                    set_members(s, a, c->key[1], there | bit);
                }
            }
            put(a, ":%ld\r\n", had != 0);
        }
        return;
    }
}

static void run_store(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    const struct sim_key *one = &s->key[c->key[1]], *two = &s->key[c->key[2]];
    if (!fits(one, SIM_SETTYPE) || !fits(two, SIM_SETTYPE)) {
        put_error(a);
        return;
    }
    unsigned all = c->kind == SIM_SINTERSTORE ? one->members & two->members
                                              : one->members | two->members;
    if (all != 0 || s->key[c->key[0]].type != SIM_NONE) {
        set_members(s, a, c->key[0], all);
    }
    put(a, ":%ld\r\n", __builtin_popcount(all));
}

static void run_script(struct sim_state *s, const struct sim_command *c, struct answer *a)
{
    const struct sim_key *k = &s->key[c->key[0]];
    if (c->kind == SIM_EVAL_SUM) {
        const struct sim_key *other = &s->key[c->key[1]];
        if (!fits(k, SIM_STRING) || !fits(other, SIM_STRING)) {
            put_error(a);
        } else {
            put(a, ":%ld\r\n", (long)k->value + other->value);
        }
        return;
    }
    if (!fits(k, SIM_STRING)) {
        put_error(a);
        return;
    }
    if (k->type == SIM_NONE) {
        put_nil(a);
        return;
    }
    int value = k->value;
    set_key(s, a, c->key[1], string_of(value));
    remove_key(s, a, c->key[0]);
    put_bulk(a, value);
}

static void run_server(struct sim_state *s, unsigned client, const struct sim_command *c,
                       struct answer *a)
{
    unsigned keys = 0;
    switch (c->kind) {
    case SIM_DBSIZE:
        for (unsigned i = 0; i < SIM_KEYS_MAX; i++) {
            keys += s->key[i].type != SIM_NONE;
        }
        put(a, ":%ld\r\n", keys);
        return;
    case SIM_FLUSHALL:
        for (unsigned i = 0; i < SIM_KEYS_MAX; i++) {
            remove_key(s, a, i);
        }
        break;
    case SIM_WATCH:
        for (unsigned i = 0; i < c->nkeys; i++) {
            s->watched[client] |= (uint8_t)(1u << c->key[i]);
        }
        break;
    case SIM_UNWATCH:
        s->watched[client] = 0;
        s->dirty[client] = false;
        break;
    default: /* CONFIG RESETSTAT */
        break;
    }
    put_ok(a);
}

static void run(struct sim_state *s, unsigned client, const struct sim_command *c, struct answer *a)
{
    switch (c->kind) {
    case SIM_GET:
    case SIM_SET:
    case SIM_INCR:
    case SIM_GETSET:
        run_string(s, c, a);
        break;
    case SIM_DEL:
    case SIM_EXISTS:
    case SIM_MSET:
    case SIM_MGET:
    case SIM_MSETNX:
        run_many(s, c, a);
        break;
    case SIM_RENAME:
        run_rename(s, c, a);
        break;
    case SIM_LPUSH:
    case SIM_RPUSH:
    case SIM_LPOP:
    case SIM_LRANGE:
    case SIM_LMOVE:
        run_list(s, c, a);
        break;
    case SIM_SADD:
    case SIM_SREM:
    case SIM_SMISMEMBER:
    case SIM_SMOVE:
        run_set(s, c, a);
        break;
    case SIM_SINTERSTORE:
    case SIM_SUNIONSTORE:
        run_store(s, c, a);
        break;
    case SIM_EVAL_SUM:
    case SIM_EVAL_MOVE:
    case SIM_EVAL_FAR:
    case SIM_EVAL_BLIND:
        run_script(s, c, a);
        break;
    default:
        run_server(s, client, c, a);
        break;
    }
}

/* --- blocked clients ------------------------------------------------------------------------- */

static void put_popped(struct sim_state *s, unsigned key, struct answer *to, struct answer *touches)
{
    put(to, "*%ld\r\n", 2);
    put_text(to, sim_history.key[key]);
    put_bulk(to, list_pop(s, touches, key));
}

/* True: answered at once. */
static bool pop_or_wait(struct sim_state *s, unsigned client, const struct sim_command *c,
                        struct answer *a)
{
    for (unsigned i = 0; i < c->nkeys; i++) {
        const struct sim_key *k = &s->key[c->key[i]];
        if (!fits(k, SIM_LIST)) {
            put_error(a);
            return true;
        }
        if (k->type == SIM_LIST) {
            put_popped(s, c->key[i], a, a);
            return true;
        }
    }
    s->waits[client] = ++s->waiting;
    return false;
}

static void wait_over(struct sim_state *s, unsigned client)
{
    for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++) {
        s->waits[i] -= s->waits[i] > s->waits[client];
    }
    s->waits[client] = 0;
    s->waiting--;
    s->at[client]++;
}

static bool waits_for(const struct sim_state *s, unsigned client, unsigned key)
{
    const struct sim_command *c = &sim_history.client[client].op[s->at[client]].command[0];
    return s->waits[client] > 0 &&
           (c->key[0] == key || (c->nkeys > 1 && c->key[1] == key));
}

/* Who waits for two keys gets one of them when commands that are under way at the same time fill both,
 * not always the one that is filled first (blocked.h): its answer tells. */
static bool gets_other(const struct sim_state *s, unsigned client, unsigned key)
{
    const struct sim_op *op = &sim_history.client[client].op[s->at[client]];
    const struct sim_command *c = &op->command[0];
    const char *other = sim_history.key[c->key[0] == key ? c->key[1] : c->key[0]];
    return c->nkeys > 1 && op->answered_at != 0 &&
           memmem(op->reply, op->reply_len, other, strlen(other)) != NULL;
}

/* The first of those who wait for a key; SIM_CLIENTS_MAX: nobody. */
static unsigned first_waiter(const struct sim_state *s, unsigned key)
{
    unsigned first = SIM_CLIENTS_MAX;
    for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++) {
        if (waits_for(s, i, key) && !gets_other(s, i, key) &&
            (first == SIM_CLIENTS_MAX || s->waits[i] < s->waits[first])) {
            first = i;
        }
    }
    return first;
}

static bool serve(struct sim_state *s, struct answer *a)
{
    for (unsigned n = a->touched_count, i = 0; i < n; i++) {
        unsigned key = a->touched[i], client;
        while (s->key[key].type == SIM_LIST && (client = first_waiter(s, key)) < SIM_CLIENTS_MAX) {
            struct answer to;
            answer_clear(&to);
            put_popped(s, key, &to, &to);
            if (!answer_is(&to, client, &sim_history.client[client].op[s->at[client]])) {
                return false;
            }
            wait_over(s, client);
        }
    }
    return true;
}

/* --- steps ----------------------------------------------------------------------------------- */

bool sim_model_step(struct sim_state *s, unsigned client)
{
    const struct sim_op *op = &sim_history.client[client].op[s->at[client]];
    struct answer a;
    answer_clear(&a);
    if (sim_op_blocks(op)) {
        if (!pop_or_wait(s, client, &op->command[0], &a)) {
            return true;
        }
    } else if (!op->transaction) {
        run(s, client, &op->command[0], &a);
    } else {
        bool skip = s->dirty[client];
        s->watched[client] = 0;
        s->dirty[client] = false;
        put(&a, "*%ld\r\n", skip ? -1 : op->count);
        for (unsigned i = 0; i < op->count && !skip; i++) {
            run(s, client, &op->command[i], &a);
        }
    }
    s->at[client]++;
    return answer_is(&a, client, op) && serve(s, &a);
}

bool sim_model_timeout(struct sim_state *s, unsigned client)
{
    const struct sim_op *op = &sim_history.client[client].op[s->at[client]];
    struct answer a;
    answer_clear(&a);
    put(&a, "*-1\r\n", 0);
    wait_over(s, client);
    if (op->answered_at == 0 && sim_history.client[client].gone) {
        return true;
    }
    return op->command[0].value[0] > 0 && answer_is(&a, client, op);
}
