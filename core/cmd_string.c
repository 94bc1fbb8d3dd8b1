/* cmd_string.c - string commands that read and set whole values: GET, SET and their kin, MGET,
 * MSET. The rest of the type is in cmd_string_change.c and cmd_string_lcs.c, the rows in
 * cmd_string_table.c.
 *
 * GET and SET without options are what most servers do most of the time. GET is a look-up and a
 * copy; a value of REPLY_REF_MIN bytes and more is not even copied: the reply holds the blob. SET
 * with three words never sees the option parser.
 *
 * MGET and MSET may run in parts, each on its shard's keys (CALL_PART), so they walk c->keys and
 * take the place in argv from there. A key that MSET names twice is set twice, in order. */
#include "core/cmd_string.h"

#include "core/num.h"
#include "core/pause.h"
#include <assert.h>

void string__reply(struct call *c, struct entry *e)
{
    assert(e->type == TYPE_STRING);
    if (e->encoding == ENC_INLINE) {
        reply_bulk(c->out, entry_inline_value(e), e->value_len);
    } else if (e->encoding == ENC_INT) {
        reply_bulk_int(c->out, entry_int(e));
    } else {
        struct blob *b = entry_object(e);
        if (b->len < REPLY_REF_MIN) {
            reply_bulk(c->out, b->data, b->len);
        } else {
            blob_hold(b);
            reply_bulk_ref(c->out, b->data, b->len, blob_release, b);
        }
    }
}

void string__changed(struct call *c, const struct key *k, const char *event)
{
    key_modified(c, k, 1);
    key_event(c, EVENT_STRING, event, k);
}

/* Replies the value, or null. False when there was an error; *found may be NULL. */
static bool reply_value(struct call *c, const struct key *k, struct entry **found)
{
    bool bad = false;
    struct entry *e = key_read_type(c, k, TYPE_STRING, &bad);
    if (found) {
        *found = e;
    }
    if (bad) {
        return false;
    }
    if (e) {
        string__reply(c, e);
    } else {
        reply_null(c->out);
    }
    return true;
}

void string__get(struct call *c)
{
    reply_value(c, &c->keys[0], NULL);
}

void string__strlen(struct call *c)
{
    bool bad = false;
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (!bad) {
        char digits[24];
        reply_int(c->out, e ? (int64_t)entry_string(e, digits).len : 0);
    }
}

void string__getdel(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct entry *e;
    if (!reply_value(c, k, &e) || !e) {
        return;
    }
    key_delete(c, k, e);
    key_modified(c, k, 1);
    key_event(c, EVENT_GENERIC, "del", k);
}

/* Sets the key to a value without expiry, whatever it was. */
static void set_plain(struct call *c, const struct key *k, struct entry *e, struct slice value)
{
    key_set_string(c, k, e, value, false);
    string__changed(c, k, "set");
}

void string__getset(struct call *c)
{
    const struct key *k = &c->keys[0];
    if (reply_value(c, k, NULL)) {
        set_plain(c, k, key_write(c, k), c->argv[2]);
    }
}

/* --- options of SET and GETEX --- */

enum expire_unit { EXPIRE_NONE, EXPIRE_EX, EXPIRE_PX, EXPIRE_EXAT, EXPIRE_PXAT };

struct set_options {
    bool nx, xx, get, keep_ttl, persist;
    enum expire_unit unit;
    uint32_t expire_arg; /* place of the number that belongs to the unit */
};

static enum expire_unit expire_unit_of(struct slice word)
{
    static const struct {
        const char *word;
        enum expire_unit unit;
    } units[] = {
        {"EX", EXPIRE_EX}, {"PX", EXPIRE_PX}, {"EXAT", EXPIRE_EXAT}, {"PXAT", EXPIRE_PXAT},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (slice_is(word, units[i].word)) {
            return units[i].unit;
        }
    }
    return EXPIRE_NONE;
}

/* An expiry option at argv[i] with its number behind it. The same unit may come twice (the last
 * number counts); two that contradict each other may not. */
static bool take_expire(const struct call *c, uint32_t i, struct set_options *o)
{
    enum expire_unit unit = expire_unit_of(c->argv[i]);
    if (unit == EXPIRE_NONE || i + 1 == c->argc || o->keep_ttl || o->persist ||
        (o->unit != EXPIRE_NONE && o->unit != unit)) {
        return false;
    }
    o->unit = unit;
    o->expire_arg = i + 1;
    return true;
}

/* Words of SET alone. */
static bool take_set_word(struct slice word, struct set_options *o)
{
    if (slice_is(word, "NX")) {
        o->nx = true;
        return !o->xx;
    }
    if (slice_is(word, "XX")) {
        o->xx = true;
        return !o->nx;
    }
    if (slice_is(word, "GET")) {
        o->get = true;
        return true;
    }
    if (slice_is(word, "KEEPTTL")) {
        o->keep_ttl = true;
        return o->unit == EXPIRE_NONE;
    }
    return false;
}

static bool take_getex_word(struct slice word, struct set_options *o)
{
    if (slice_is(word, "PERSIST")) {
        o->persist = true;
        return o->unit == EXPIRE_NONE;
    }
    return false;
}

/* Words from argv[i] on; replies a syntax error if they make no sense. */
static bool parse_options(struct call *c, uint32_t i, struct set_options *o,
                          bool (*take_word)(struct slice, struct set_options *))
{
    *o = (struct set_options){0};
    for (; i < c->argc; i++) {
        if (take_expire(c, i, o)) {
            i++;
        } else if (expire_unit_of(c->argv[i]) != EXPIRE_NONE || !take_word(c->argv[i], o)) {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

/* The moment that argv[i] means; replies an error if it is not a number, or not after 1970. */
static bool parse_expire(struct call *c, uint32_t i, enum expire_unit unit, int64_t *at_ms)
{
    if (!call_arg_int(c, i, at_ms)) {
        return false;
    }
    bool seconds = unit == EXPIRE_EX || unit == EXPIRE_EXAT;
    bool relative = unit == EXPIRE_EX || unit == EXPIRE_PX;
    if (*at_ms <= 0 || (seconds && __builtin_mul_overflow(*at_ms, 1000, at_ms)) ||
        (relative && __builtin_add_overflow(*at_ms, c->now_ms, at_ms)) || *at_ms <= 0) {
        call_error_expire(c);
        return false;
    }
    return true;
}

/* Sets value and expiry. An old expiry is kept until the new one takes its place, so that the
 * entry changes its shape once at most. */
static void set_expiring(struct call *c, const struct key *k, struct entry *e, struct slice value,
                         int64_t at_ms)
{
    e = key_set_string(c, k, e, value, true);
    key_set_expiry(c, k, e, at_ms);
    string__changed(c, k, "set");
    key_event(c, EVENT_GENERIC, "expire", k);
}

static void set_with_options(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct set_options o;
    int64_t at_ms = 0;
    if (!parse_options(c, 3, &o, take_set_word) ||
        (o.unit != EXPIRE_NONE && !parse_expire(c, o.expire_arg, o.unit, &at_ms)) ||
        (o.get && !reply_value(c, k, NULL))) {
        return;
    }

    struct entry *e = key_write(c, k);
    if ((o.nx && e) || (o.xx && !e)) {
        if (!o.get) {
            reply_null(c->out);
        }
        return;
    }
    if (o.unit != EXPIRE_NONE) {
        set_expiring(c, k, e, c->argv[2], at_ms);
    } else if (o.keep_ttl) {
        key_set_string(c, k, e, c->argv[2], true);
        string__changed(c, k, "set");
    } else {
        set_plain(c, k, e, c->argv[2]);
    }
    if (!o.get) {
        reply_ok(c->out);
    }
}

void string__set(struct call *c)
{
    if (c->argc > 3) {
        set_with_options(c);
        return;
    }
    const struct key *k = &c->keys[0];
    set_plain(c, k, key_write(c, k), c->argv[2]);
    reply_ok(c->out);
}

void string__setnx(struct call *c)
{
    const struct key *k = &c->keys[0];
    if (key_write(c, k)) {
        reply_int(c->out, 0);
        return;
    }
    set_plain(c, k, NULL, c->argv[2]);
    reply_int(c->out, 1);
}

static void set_for(struct call *c, enum expire_unit unit)
{
    const struct key *k = &c->keys[0];
    int64_t at_ms;
    if (parse_expire(c, 2, unit, &at_ms)) {
        set_expiring(c, k, key_write(c, k), c->argv[3], at_ms);
        reply_ok(c->out);
    }
}

void string__setex(struct call *c)
{
    set_for(c, EXPIRE_EX);
}

void string__psetex(struct call *c)
{
    set_for(c, EXPIRE_PX);
}

/* A moment given outright may be over already. What a master says is done as it says. */
static bool expires_at_once(const struct call *c, enum expire_unit unit, int64_t at_ms)
{
    return (unit == EXPIRE_EXAT || unit == EXPIRE_PXAT) && at_ms <= c->now_ms &&
           !(c->flags & CALL_FROM_MASTER);
}

void string__getex(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct set_options o;
    int64_t at_ms = 0;
    bool bad = false;
    if (!parse_options(c, 2, &o, take_getex_word)) {
        return;
    }
    struct entry *e = key_read_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_null(c->out);
        return;
    }
    if (o.unit != EXPIRE_NONE && !parse_expire(c, o.expire_arg, o.unit, &at_ms)) {
        return;
    }

    string__reply(c, e);
    const char *event;
    if (o.unit != EXPIRE_NONE && expires_at_once(c, o.unit, at_ms)) {
        key_delete(c, k, e);
        event = "del";
    } else if (o.unit != EXPIRE_NONE) {
        key_set_expiry(c, k, e, at_ms);
        event = "expire";
    } else if (o.persist && (e->flags & ENTRY_EXPIRES)) {
        key_clear_expiry(c, k, e);
        event = "persist";
    } else {
        return;
    }
    key_modified(c, k, 1);
    key_event(c, EVENT_GENERIC, event, k);
}

/* --- several keys --- */

void string__mget(struct call *c)
{
    if (!(c->flags & CALL_PART)) {
        reply_array(c->out, c->nkeys);
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        struct entry *e = key_read(c, &c->keys[i]);
        if (e && e->type == TYPE_STRING) {
            string__reply(c, e);
        } else {
            reply_null(c->out);
        }
        call_mark(c);
    }
}

/* Keys and values must come in pairs, whatever part of them is ours. */
static bool check_pairs(struct call *c)
{
    if (c->argc % 2 == 0) {
        call_error_arity(c);
        return false;
    }
    return true;
}

static void set_all(struct call *c)
{
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        const struct key *k = &c->keys[i];
        assert(k->arg + 1 < c->argc);
        set_plain(c, k, key_write(c, k), c->argv[k->arg + 1]);
    }
}

void string__mset(struct call *c)
{
    if (check_pairs(c)) {
        set_all(c);
        reply_ok(c->out);
    }
}

void string__msetnx(struct call *c)
{
    if (!check_pairs(c)) {
        return;
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        if (key_write(c, &c->keys[i])) {
            reply_int(c->out, 0);
            return;
        }
    }
    set_all(c);
    reply_int(c->out, 1);
}
