/* cmd_zset_range.c - ranges of sorted sets: ZRANGE and all its older forms, ZRANGESTORE, ZCOUNT,
 * ZLEXCOUNT, ZREMRANGEBY….
 *
 * Whatever a range is given by, it becomes ranks [from, to) first; from then on all forms are one.
 * By name, the set is taken to have one score throughout; if it has several, what is found is some
 * range of ranks, as in Redis. */
#include "core/cmd_zset.h"

#include "core/mem.h"
#include "core/num.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    FLOAT_COPY_BYTES = 128,
    RUN_MAX = 32, /* pairs shown at once */
};

/* --- bounds --- */

/* A bound is read more leniently than a score: as strtod does, up to the first zero byte. */
static bool parse_bound_number(const char *text, size_t len, double *out)
{
    int64_t whole;
    if (len <= 15 && num_parse_int(text, len, &whole)) {
        *out = (double)whole;
        return true;
    }
    char small[FLOAT_COPY_BYTES], *copy = small;
    if (len >= sizeof small && !(copy = mem_try_alloc(len + 1))) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *end;
    *out = strtod(copy, &end);
    bool sound = *end == '\0' && !isnan(*out);
    if (copy != small) {
        mem_free(copy);
    }
    return sound;
}

static bool parse_score(struct slice word, double *score, bool *exclusive)
{
    *exclusive = word.len > 0 && word.ptr[0] == '(';
    return parse_bound_number(word.ptr + *exclusive, word.len - *exclusive, score);
}

bool zset__parse_scores(struct call *c, uint32_t min, uint32_t max, struct zset_limits *out)
{
    bool min_exclusive, max_exclusive;
    *out = (struct zset_limits){.min.by = ZSET_BY_SCORE, .max.by = ZSET_BY_SCORE};
    if (!parse_score(c->argv[min], &out->min.score, &min_exclusive) ||
        !parse_score(c->argv[max], &out->max.score, &max_exclusive)) {
        reply_error(c->out, "ERR min or max is not a float");
        return false;
    }
    out->min.after = min_exclusive;
    out->max.after = !max_exclusive;
    out->no_min = !min_exclusive && out->min.score == -INFINITY;
    out->no_max = !max_exclusive && out->max.score == INFINITY;
    return true;
}

enum name_bound { NAME_BAD, NAME_LEAST, NAME_GREATEST, NAME_INCLUSIVE, NAME_EXCLUSIVE };

static enum name_bound parse_name(struct slice word, struct slice *name)
{
    const char first = word.len > 0 ? word.ptr[0] : '\0';
    const bool alone = word.len == 1 || (word.len > 1 && word.ptr[1] == '\0');
    switch (first) {
    case '-':
        return alone ? NAME_LEAST : NAME_BAD;
    case '+':
        return alone ? NAME_GREATEST : NAME_BAD;
    case '[':
    case '(':
        *name = slice_of(word.ptr + 1, word.len - 1);
        return first == '(' ? NAME_EXCLUSIVE : NAME_INCLUSIVE;
    default:
        return NAME_BAD;
    }
}

bool zset__parse_names(struct call *c, uint32_t min, uint32_t max, struct zset_limits *out)
{
    *out = (struct zset_limits){.min.by = ZSET_BY_NAME, .max.by = ZSET_BY_NAME};
    const enum name_bound low = parse_name(c->argv[min], &out->min.name);
    const enum name_bound high = parse_name(c->argv[max], &out->max.name);
    if (low == NAME_BAD || high == NAME_BAD) {
        reply_error(c->out, "ERR min or max not valid string range item");
        return false;
    }
    out->min.after = low == NAME_EXCLUSIVE;
    out->max.after = high == NAME_INCLUSIVE;
    out->no_min = low == NAME_LEAST;
    out->no_max = high == NAME_GREATEST;
    out->none = low == NAME_GREATEST || high == NAME_LEAST;
    return true;
}

struct zset_range zset__range_of(const struct zset *z, const struct zset_limits *limits)
{
    struct zset_range r = {0, 0};
    if (limits->none) {
        return r;
    }
    r.from = limits->no_min ? 0 : zset_rank(z, &limits->min);
    r.to = limits->no_max ? zset_count(z) : zset_rank(z, &limits->max);
    if (r.to < r.from) {
        r.to = r.from;
    }
    return r;
}

struct zset_range zset__range_of_ranks(const struct zset *z, int64_t start, int64_t stop)
{
    const int64_t n = (int64_t)zset_count(z);
    start = start < 0 ? start + n : start;
    stop = stop < 0 ? stop + n : stop;
    start = start < 0 ? 0 : start;
    if (start > stop || start >= n) {
        return (struct zset_range){0, 0};
    }
    stop = stop >= n ? n - 1 : stop;
    return (struct zset_range){(uint64_t)start, (uint64_t)stop + 1};
}

/* --- ZRANGE --- */

enum range_by { BY_ANY, BY_RANK, BY_SCORE, BY_NAME };

struct zrange {
    enum range_by by;
    bool may_reverse; /* REV is an option of this form */
    bool reverse, scores, store;
    uint32_t key;     /* position of the source */
    int64_t offset, limit;
    int64_t start, stop;
    struct zset_limits limits;
};

static bool parse_range_options(struct call *c, struct zrange *o)
{
    const bool any = o->by == BY_ANY;
    o->limit = -1;
    for (uint32_t i = o->key + 3; i < c->argc; i++) {
        const struct slice word = c->argv[i];
        if (!o->store && slice_is(word, "withscores")) {
            o->scores = true;
        } else if (slice_is(word, "limit") && i + 2 < c->argc) {
            if (!call_arg_int(c, i + 1, &o->offset) || !call_arg_int(c, i + 2, &o->limit)) {
                return false;
            }
            i += 2;
        } else if (o->may_reverse && slice_is(word, "rev")) {
            o->reverse = true;
            o->may_reverse = false;
        } else if (any && o->by == BY_ANY && slice_is(word, "bylex")) {
            o->by = BY_NAME;
        } else if (any && o->by == BY_ANY && slice_is(word, "byscore")) {
            o->by = BY_SCORE;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    if (o->by == BY_ANY) {
        o->by = BY_RANK;
    }
    if (o->limit != -1 && o->by == BY_RANK) {
        reply_error(c->out, "ERR syntax error, LIMIT is only supported in combination with either "
                            "BYSCORE or BYLEX");
        return false;
    }
    if (o->scores && o->by == BY_NAME) {
        reply_error(c->out,
                    "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        return false;
    }
    return true;
}

static bool parse_range(struct call *c, struct zrange *o)
{
    uint32_t min = o->key + 1, max = o->key + 2;
    if (!parse_range_options(c, o)) {
        return false;
    }
    if (o->by == BY_RANK) {
        return call_arg_int(c, min, &o->start) && call_arg_int(c, max, &o->stop);
    }
    if (o->reverse) { /* then the greater one comes first */
        min = o->key + 2;
        max = o->key + 1;
    }
    return o->by == BY_SCORE ? zset__parse_scores(c, min, max, &o->limits)
                             : zset__parse_names(c, min, max, &o->limits);
}

/* What is left of a range after LIMIT, counted from the end that it is read from. */
static struct zset_range limit_range(struct zset_range r, const struct zrange *o)
{
    const uint64_t n = r.to - r.from;
    if (o->offset < 0 || (uint64_t)o->offset >= n) {
        return (struct zset_range){0, 0};
    }
    uint64_t left = n - (uint64_t)o->offset;
    if (o->limit >= 0 && (uint64_t)o->limit < left) {
        left = (uint64_t)o->limit;
    }
    if (o->reverse) {
        r.to -= (uint64_t)o->offset;
        r.from = r.to - left;
    } else {
        r.from += (uint64_t)o->offset;
        r.to = r.from + left;
    }
    return r;
}

static struct zset_range chosen_range(const struct zset *z, const struct zrange *o)
{
    struct zset_range r;
    if (o->by == BY_RANK) {
        const uint64_t n = zset_count(z);
        r = zset__range_of_ranks(z, o->start, o->stop);
        return o->reverse && r.to > 0 ? (struct zset_range){n - r.to, n - r.from} : r;
    }
    r = zset__range_of(z, &o->limits);
    return limit_range(r, o);
}

/* n pairs of a tree from this rank on, a run of a leaf at a time. */
static void reply_tree(struct call *c, const struct zset_tree *t, uint64_t from, uint64_t n,
                       bool scores)
{
    const struct zset_member *run[RUN_MAX];
    struct zset_cursor at;
    if (n > 0) {
        zset_tree_seek(t, from, &at);
    }
    while (n > 0) {
        const uint32_t got = zset_tree_run(&at, run, n < RUN_MAX ? (uint32_t)n : RUN_MAX);
        for (uint32_t i = 0; i < got; i++) {
            const struct slice name = zset_member_name(run[i]);
            if (scores) {
                zset__reply_pair(c, name, run[i]->score);
            } else {
                reply_bulk(c->out, name.ptr, name.len);
            }
        }
        n -= got;
    }
}

static void reply_range(struct call *c, const struct zset *z, const struct zrange *o)
{
    const struct zset_range r = chosen_range(z, o);
    uint64_t n = r.to - r.from;
    struct zset_iter it;
    zset__reply_header(c, n, o->scores);
    if (z->encoding == ENC_TREE && !o->reverse) {
        reply_tree(c, z->object, r.from, n, o->scores);
        return;
    }
    bool more = n > 0 && zset_iter_seek(&it, z, o->reverse ? r.to - 1 : r.from);
    assert(more || n == 0);
    while (n > 0) {
        if (o->scores) {
            zset__reply_pair(c, it.name, it.score);
        } else {
            reply_bulk(c->out, it.name.ptr, it.name.len);
        }
        if (--n > 0) {
            more = o->reverse ? zset_iter_prev(&it) : zset_iter_next(&it);
            assert(more);
        }
    }
}

static void zrange(struct call *c, struct zrange o)
{
    o.key = 1;
    if (!parse_range(c, &o)) {
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_array(c->out, 0);
        return;
    }
    const struct zset z = zset_of(e);
    reply_range(c, &z, &o);
}

void zset__zrange(struct call *c)
{
    zrange(c, (struct zrange){.may_reverse = true});
}

void zset__zrevrange(struct call *c)
{
    zrange(c, (struct zrange){.by = BY_RANK, .reverse = true});
}

void zset__zrangebyscore(struct call *c)
{
    zrange(c, (struct zrange){.by = BY_SCORE});
}

void zset__zrevrangebyscore(struct call *c)
{
    zrange(c, (struct zrange){.by = BY_SCORE, .reverse = true});
}

void zset__zrangebylex(struct call *c)
{
    zrange(c, (struct zrange){.by = BY_NAME});
}

void zset__zrevrangebylex(struct call *c)
{
    zrange(c, (struct zrange){.by = BY_NAME, .reverse = true});
}

/* --- ZRANGESTORE --- */

void zset__zrangestore(struct call *c)
{
    const struct settings *settings = c->ks->settings;
    struct zrange o = {.may_reverse = true, .store = true, .key = 2};
    if (!parse_range(c, &o)) {
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[1], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    struct zset result;
    if (!e) {
        result = zset_new(settings, 0, 0);
    } else {
        const struct zset z = zset_of(e);
        const struct zset_range r = chosen_range(&z, &o);
        /* As in Redis, which knows the number beforehand for ranks only, and goes through a reversed
         * range from its end: in a listpack -0 is 0, also for those that came before it is left. */
        result = zset_new(settings, o.by == BY_RANK ? r.to - r.from : 0, 0);
        struct zset_iter it;
        uint64_t n = r.to - r.from;
        bool more = n > 0 && zset_iter_seek(&it, &z, o.reverse ? r.to - 1 : r.from);
        for (; n > 0; n--, more = n > 0 && (o.reverse ? zset_iter_prev(&it) : zset_iter_next(&it))) {
            assert(more);
            double score = it.score;
            zset_put(&result, settings, it.name, &score, 0);
        }
    }
    zset__store(c, &c->keys[0], "zrangestore", &result);
}

/* --- ZCOUNT, ZLEXCOUNT --- */

static void reply_count(struct call *c, const struct zset_limits *limits)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    int64_t n = 0;
    if (e) {
        const struct zset z = zset_of(e);
        const struct zset_range r = zset__range_of(&z, limits);
        n = (int64_t)(r.to - r.from);
    }
    reply_int(c->out, n);
}

void zset__zcount(struct call *c)
{
    struct zset_limits limits;
    if (zset__parse_scores(c, 2, 3, &limits)) {
        reply_count(c, &limits);
    }
}

void zset__zlexcount(struct call *c)
{
    struct zset_limits limits;
    if (zset__parse_names(c, 2, 3, &limits)) {
        reply_count(c, &limits);
    }
}

/* --- ZREMRANGEBYRANK, …SCORE, …LEX --- */

static void remove_range(struct call *c, const struct zrange *o, const char *event)
{
    const struct key *k = &c->keys[0];
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    uint64_t n = 0;
    bool gone = false;
    if (e) {
        struct zset z = zset_of(e);
        const struct zset_range r = o->by == BY_RANK
                                        ? zset__range_of_ranks(&z, o->start, o->stop)
                                        : zset__range_of(&z, &o->limits);
        n = r.to - r.from;
        if (n == zset_count(&z)) { /* everything: the keyspace frees it, in slices if it is huge */
            key_delete(c, k, e);
            gone = true;
        } else {
            zset_remove_ranks(&z, r.from, n);
            gone = zset__put_back(c, k, e, &z);
        }
    }
    zset__lost(c, k, event, n, gone);
    reply_int(c->out, (int64_t)n);
}

void zset__zremrangebyrank(struct call *c)
{
    struct zrange o = {.by = BY_RANK};
    if (call_arg_int(c, 2, &o.start) && call_arg_int(c, 3, &o.stop)) {
        remove_range(c, &o, "zremrangebyrank");
    }
}

void zset__zremrangebyscore(struct call *c)
{
    struct zrange o = {.by = BY_SCORE};
    if (zset__parse_scores(c, 2, 3, &o.limits)) {
        remove_range(c, &o, "zremrangebyscore");
    }
}

void zset__zremrangebylex(struct call *c)
{
    struct zrange o = {.by = BY_NAME};
    if (zset__parse_names(c, 2, 3, &o.limits)) {
        remove_range(c, &o, "zremrangebylex");
    }
}
