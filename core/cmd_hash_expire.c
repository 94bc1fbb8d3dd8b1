/* cmd_hash_expire.c - fields that expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST, and the
 * commands that read or set fields together with their expiry: HGETEX, HGETDEL, HSETEX.
 *
 * Times are kept as absolute unix time in milliseconds, at most FIELD_EXPIRY_MAX_MS. A time that has
 * come already deletes the field at once, except where a master decides (CALL_FROM_MASTER). */
#include "core/cmd_hash.h"

#include <limits.h>

#define FIELD_EXPIRY_MAX_MS ((INT64_C(1) << 46) - 1) /* as Redis bounds it */

#define ERROR_FIELDS "ERR Mandatory argument FIELDS is missing or not at the right position"
#define ERROR_COUNT "ERR Number of fields must be a positive integer"
#define ERROR_COUNT_EXPIRE "ERR Parameter `numFields` should be greater than 0"
#define ERROR_MATCH "ERR The `numfields` parameter must match the number of arguments"

enum field_reply { FIELD_DELETED = 2, FIELD_SET = 1, FIELD_KEPT = 0, FIELD_NO_EXPIRY = -1,
                   FIELD_ABSENT = -2 };

enum time_unit { UNIT_MS = 1, UNIT_S = 1000 };

enum condition { IF_ANY, IF_NX, IF_XX, IF_GT, IF_LT };

/* --- arguments --- */

/* Fields named by FIELDS n f1 … fn: argv[first] to the end. */
static bool parse_fields(struct call *c, uint32_t at, const char *error_count, uint32_t *first)
{
    int64_t count;
    if (at >= c->argc || !slice_is(c->argv[at], "fields")) {
        reply_error(c->out, ERROR_FIELDS);
        return false;
    }
    if (at + 1 >= c->argc) {
        call_error_arity(c);
        return false;
    }
    if (!call_arg_range(c, at + 1, 1, INT64_MAX, &count, error_count)) {
        return false;
    }
    if (count != (int64_t)c->argc - at - 2) {
        reply_error(c->out, ERROR_MATCH);
        return false;
    }
    *first = at + 2;
    return true;
}

static bool parse_time(struct call *c, uint32_t i, enum time_unit unit, int64_t base_ms,
                       int64_t *at_ms)
{
    int64_t t;
    if (!call_arg_int(c, i, &t)) {
        return false;
    }
    if (t < 0) {
        reply_error(c->out, "ERR invalid expire time, must be >= 0");
        return false;
    }
    if (t > FIELD_EXPIRY_MAX_MS / unit || t * unit > FIELD_EXPIRY_MAX_MS - base_ms) {
        call_error_expire(c);
        return false;
    }
    *at_ms = t * unit + base_ms;
    return true;
}

/* EX, PX, EXAT or PXAT as argv[i] with the time behind it. */
struct expiry_word {
    const char *word;
    enum time_unit unit;
    bool absolute;
};

static const struct expiry_word *find_expiry_word(struct slice s)
{
    static const struct expiry_word words[] = {
        {"ex", UNIT_S, false}, {"px", UNIT_MS, false}, {"exat", UNIT_S, true},
        {"pxat", UNIT_MS, true},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (slice_is(s, words[i].word)) {
            return &words[i];
        }
    }
    return NULL;
}

static bool parse_expiry_word(struct call *c, uint32_t i, const struct expiry_word *word,
                              int64_t *at_ms)
{
    return parse_time(c, i, word->unit, word->absolute ? 0 : c->now_ms, at_ms);
}

/* --- changing one field's expiry --- */

/* The field's expiry becomes at_ms, or the field goes when that has come. */
static enum field_reply expire_field(const struct call *c, struct hash_value *h,
                                     struct slice field, int64_t at_ms)
{
    if (at_ms <= c->now_ms && !(c->flags & CALL_FROM_MASTER)) {
        hash_value_remove(h, field);
        return FIELD_DELETED;
    }
    hash_value_set_expiry(h, field, at_ms);
    return FIELD_SET;
}

static bool condition_holds(enum condition condition, int64_t current_ms, int64_t at_ms)
{
    const bool expires = current_ms != HASH_NO_EXPIRY;
    switch (condition) {
    case IF_NX:
        return !expires;
    case IF_XX:
        return expires;
    case IF_GT:
        return expires && at_ms > current_ms;
    case IF_LT:
        return !expires || at_ms < current_ms;
    case IF_ANY:
        break;
    }
    return true;
}

/* --- HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT --- */

static enum condition find_condition(struct slice s)
{
    return slice_is(s, "nx")   ? IF_NX
           : slice_is(s, "xx") ? IF_XX
           : slice_is(s, "gt") ? IF_GT
           : slice_is(s, "lt") ? IF_LT
                               : IF_ANY;
}

static enum field_reply expire_if(const struct call *c, struct hash_value *h, struct slice field,
                                  enum condition condition, int64_t at_ms)
{
    struct hash_element e;
    hash_value_drop_expired(h, field, hash__now(c));
    if (!hash_value_get(h, field, hash__now(c), &e)) {
        return FIELD_ABSENT;
    }
    if (!condition_holds(condition, e.at_ms, at_ms)) {
        return FIELD_KEPT;
    }
    return expire_field(c, h, field, at_ms);
}

static void expire(struct call *c, enum time_unit unit, int64_t base_ms)
{
    struct hash_open o;
    int64_t at_ms;
    uint32_t first;
    uint64_t set = 0, deleted = 0;
    if (!hash__open_write(c, &o) || !parse_time(c, 2, unit, base_ms, &at_ms)) {
        return;
    }
    const enum condition condition = find_condition(c->argv[3]);
    if (!parse_fields(c, condition == IF_ANY ? 3 : 4, ERROR_COUNT_EXPIRE, &first)) {
        return;
    }
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        const enum field_reply r = expire_if(c, &o.value, c->argv[i], condition, at_ms);
        set += r == FIELD_SET;
        deleted += r == FIELD_DELETED;
        reply_int(c->out, r);
    }
    hash__close(c, &o, deleted ? "hdel" : "hexpire", set + deleted);
}

void hash__hexpire(struct call *c)
{
    expire(c, UNIT_S, c->now_ms);
}

void hash__hpexpire(struct call *c)
{
    expire(c, UNIT_MS, c->now_ms);
}

void hash__hexpireat(struct call *c)
{
    expire(c, UNIT_S, 0);
}

void hash__hpexpireat(struct call *c)
{
    expire(c, UNIT_MS, 0);
}

/* --- HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME --- */

static void reply_expiries(struct call *c, enum time_unit unit, int64_t base_ms)
{
    struct hash_value h;
    uint32_t first;
    if (!hash__open_read(c, &h) || !parse_fields(c, 2, ERROR_COUNT, &first)) {
        return;
    }
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        struct hash_element e;
        if (!hash_value_get(&h, c->argv[i], hash__now(c), &e)) {
            reply_int(c->out, FIELD_ABSENT);
        } else if (e.at_ms == HASH_NO_EXPIRY) {
            reply_int(c->out, FIELD_NO_EXPIRY);
        } else {
            reply_int(c->out, (e.at_ms - base_ms + unit - 1) / unit);
        }
    }
}

void hash__httl(struct call *c)
{
    reply_expiries(c, UNIT_S, c->now_ms);
}

void hash__hpttl(struct call *c)
{
    reply_expiries(c, UNIT_MS, c->now_ms);
}

void hash__hexpiretime(struct call *c)
{
    reply_expiries(c, UNIT_S, 0);
}

void hash__hpexpiretime(struct call *c)
{
    reply_expiries(c, UNIT_MS, 0);
}

/* --- HPERSIST --- */

void hash__hpersist(struct call *c)
{
    struct hash_open o;
    uint32_t first;
    uint64_t changed = 0;
    if (!hash__open_write(c, &o) || !parse_fields(c, 2, ERROR_COUNT, &first)) {
        return;
    }
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        struct hash_element e;
        enum field_reply r = FIELD_SET;
        if (!hash_value_get(&o.value, c->argv[i], hash__now(c), &e)) {
            r = FIELD_ABSENT;
        } else if (e.at_ms == HASH_NO_EXPIRY) {
            r = FIELD_NO_EXPIRY;
        } else {
            hash_value_set_expiry(&o.value, c->argv[i], HASH_NO_EXPIRY);
            changed++;
        }
        reply_int(c->out, r);
    }
    hash__close(c, &o, "hpersist", changed > 0);
}

/* --- HGETDEL --- */

void hash__hgetdel(struct call *c)
{
    struct hash_open o;
    uint32_t first;
    uint64_t deleted = 0;
    if (!hash__open_write(c, &o) || !parse_fields(c, 2, ERROR_COUNT, &first)) {
        return;
    }
    reply_array(c->out, c->argc - first);
    for (uint32_t i = first; i < c->argc; i++) {
        const struct slice field = c->argv[i];
        hash_value_drop_expired(&o.value, field, hash__now(c));
        hash__reply_value(c, &o.value, field);
        if (o.value.object) {
            deleted += hash_value_remove(&o.value, field);
        }
    }
    hash__close(c, &o, "hdel", deleted);
}

/* --- HGETEX --- */

struct getex {
    const struct expiry_word *word; /* NULL: no expiry given */
    bool persist;
    int64_t at_ms;
    uint32_t first;
};

static bool parse_getex(struct call *c, struct getex *g)
{
    *g = (struct getex){.word = find_expiry_word(c->argv[2]),
                        .persist = slice_is(c->argv[2], "persist")};
    if (g->word && !parse_expiry_word(c, 3, g->word, &g->at_ms)) {
        return false;
    }
    return parse_fields(c, 2 + (g->word ? 2 : 0) + (g->persist ? 1 : 0), ERROR_COUNT, &g->first);
}

void hash__hgetex(struct call *c)
{
    struct hash_open o;
    struct getex g;
    uint64_t set = 0, deleted = 0;
    if (!hash__open_write(c, &o) || !parse_getex(c, &g)) {
        return;
    }
    reply_array(c->out, c->argc - g.first);
    for (uint32_t i = g.first; i < c->argc; i++) {
        const struct slice field = c->argv[i];
        struct hash_element e;
        hash_value_drop_expired(&o.value, field, hash__now(c));
        hash__reply_value(c, &o.value, field);
        if (!hash_value_get(&o.value, field, hash__now(c), &e)) {
            continue;
        }
        if (g.word) {
            const enum field_reply r = expire_field(c, &o.value, field, g.at_ms);
            set += r == FIELD_SET;
            deleted += r == FIELD_DELETED;
        } else if (g.persist && e.at_ms != HASH_NO_EXPIRY) {
            hash_value_set_expiry(&o.value, field, HASH_NO_EXPIRY);
            set++;
        }
    }
    hash__close(c, &o, deleted ? "hdel" : g.persist ? "hpersist" : "hexpire", set + deleted);
}

/* --- HSETEX --- */

struct setex {
    bool keep_expiry, only_new, only_present;
    const struct expiry_word *word; /* NULL: no expiry given */
    int64_t at_ms;
    uint32_t first;                 /* field, value, field, value … */
};

static bool parse_setex_fields(struct call *c, uint32_t at, struct setex *s)
{
    int64_t count;
    if (at + 3 >= c->argc) {
        call_error_arity(c);
        return false;
    }
    if (!call_arg_range(c, at + 1, 1, INT_MAX, &count, "ERR invalid number of fields")) {
        return false;
    }
    const int64_t words = (int64_t)c->argc - at - 2;
    if (words % 2 != 0 || count != words / 2) {
        call_error_arity(c);
        return false;
    }
    s->first = at + 2;
    return true;
}

/* One option; *i moves behind it. */
static bool parse_setex_option(struct call *c, uint32_t *i, struct setex *s)
{
    const struct slice option = c->argv[(*i)++];
    const struct expiry_word *word = find_expiry_word(option);
    const bool keep = slice_is(option, "keepttl");
    const bool fnx = slice_is(option, "fnx"), fxx = slice_is(option, "fxx");
    if (!word && !keep && !fnx && !fxx) {
        const size_t len = strnlen(option.ptr, option.len);
        reply_errorf(c->out, "ERR unknown argument: %.*s", (int)len, option.ptr);
        return false;
    }
    if ((word || keep) && (s->word || s->keep_expiry)) {
        reply_error(c->out,
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        return false;
    }
    if ((fnx || fxx) && (s->only_new || s->only_present)) {
        reply_error(c->out, "ERR Only one of FXX or FNX arguments can be specified");
        return false;
    }
    if (word && *i >= c->argc) {
        reply_error(c->out, "ERR missing expire time");
        return false;
    }
    s->word = word ? word : s->word;
    s->keep_expiry |= keep;
    s->only_new |= fnx;
    s->only_present |= fxx;
    return !word || parse_expiry_word(c, (*i)++, word, &s->at_ms);
}

static bool parse_setex(struct call *c, struct setex *s)
{
    *s = (struct setex){0};
    uint32_t i = 2;
    while (i < c->argc && !slice_is(c->argv[i], "fields")) {
        if (!parse_setex_option(c, &i, s)) {
            return false;
        }
    }
    if (i == c->argc) {
        reply_error(c->out, ERROR_FIELDS);
        return false;
    }
    return parse_setex_fields(c, i, s);
}

/* FNX: none of the fields is there; FXX: all are. */
static bool setex_may(const struct call *c, const struct hash_value *h, const struct setex *s)
{
    for (uint32_t i = s->first; i < c->argc; i += 2) {
        struct hash_element e;
        const bool there = hash_value_get(h, c->argv[i], hash__now(c), &e);
        if ((s->only_new && there) || (s->only_present && !there)) {
            return false;
        }
    }
    return true;
}

static void notify_expiry(struct call *c, uint64_t set, uint64_t deleted)
{
    if (set + deleted > 0) {
        key_event(c, EVENT_HASH, deleted ? "hdel" : "hexpire", &c->keys[0]);
    }
}

void hash__hsetex(struct call *c)
{
    struct hash_open o;
    struct setex s;
    uint64_t set = 0, deleted = 0;
    if (!parse_setex(c, &s) || !hash__open_write(c, &o)) {
        return;
    }
    if (!setex_may(c, &o.value, &s)) {
        reply_int(c->out, 0);
        return;
    }
    for (uint32_t i = s.first; i < c->argc; i += 2) {
        const struct slice field = c->argv[i];
        hash_value_drop_expired(&o.value, field, hash__now(c));
        hash_value_put(&o.value, field, c->argv[i + 1], s.keep_expiry || s.word, c->ks->settings);
        if (s.word) {
            const enum field_reply r = expire_field(c, &o.value, field, s.at_ms);
            set += r == FIELD_SET;
            deleted += r == FIELD_DELETED;
        }
    }
    if (hash_value_count(&o.value) > 0) {
        hash__close(c, &o, "hset", (c->argc - s.first) / 2);
        notify_expiry(c, set, deleted);
    } else { /* all deleted again: "del" comes last */
        key_event(c, EVENT_HASH, "hset", &c->keys[0]);
        hash__close(c, &o, "hdel", (c->argc - s.first) / 2);
    }
    reply_int(c->out, 1);
}
