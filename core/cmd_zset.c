/* cmd_zset.c - members of sorted sets: ZADD, ZINCRBY, ZREM, ZCARD, ZSCORE, ZMSCORE, ZRANK,
 * ZREVRANK; and what the other files of the type share (cmd_zset.h).
 *
 * ZADD reads all scores before it looks at the key: it does everything or nothing. */
#include "core/cmd_zset.h"

#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include <assert.h>

enum { SCORES_INLINE = 16 }; /* of one ZADD, without allocating */

/* --- shared --- */

bool zset__put_back(struct call *c, const struct key *k, struct entry *e, const struct zset *z)
{
    if (!e) {
        key_set_object(c, k, NULL, TYPE_ZSET, z->encoding, z->object, false);
        return false;
    }
    if (z->object != entry_object(e) || z->encoding != (enum value_encoding)e->encoding) {
        key_convert(c, k, e, z->encoding, z->object);
    }
    if (zset_count(z) > 0) {
        return false;
    }
    key_delete(c, k, e);
    return true;
}

void zset__lost(struct call *c, const struct key *k, const char *event, uint64_t n, bool gone)
{
    if (n == 0) {
        return;
    }
    key_modified(c, k, n);
    key_event(c, EVENT_ZSET, event, k);
    if (gone) {
        key_event(c, EVENT_GENERIC, "del", k);
    }
}

void zset__store(struct call *c, const struct key *k, const char *event, struct zset *z)
{
    struct entry *e = key_write(c, k);
    uint64_t n = zset_count(z);
    if (n > 0) {
        key_set_object(c, k, e, TYPE_ZSET, z->encoding, z->object, false);
        key_modified(c, k, 1);
        key_event(c, EVENT_ZSET, event, k);
    } else {
        zset_free(z);
        if (e) {
            key_delete(c, k, e);
            key_modified(c, k, 1);
            key_event(c, EVENT_GENERIC, "del", k);
        }
    }
    reply_int(c->out, (int64_t)n);
}

void zset__reply_header(struct call *c, uint64_t n, bool scores)
{
    reply_array(c->out, scores && c->out->resp == 2 ? n * 2 : n);
}

void zset__reply_pair(struct call *c, struct slice name, double score)
{
    if (c->out->resp > 2) {
        reply_array(c->out, 2);
    }
    reply_bulk(c->out, name.ptr, name.len);
    reply_double(c->out, score);
}

/* --- ZADD, ZINCRBY --- */

struct zadd {
    unsigned flags; /* enum zset_put_flag */
    bool changed;   /* CH: reply those updated, too */
    uint32_t first; /* position of the first score */
    uint32_t pairs;
};

static bool parse_zadd(struct call *c, struct zadd *o)
{
    uint32_t i = 2;
    for (; i < c->argc; i++) {
        const struct slice word = c->argv[i];
        if (word.len != 2 && word.len != 4) {
            break;
        }
        if (slice_is(word, "nx")) {
            o->flags |= ZSET_NX;
        } else if (slice_is(word, "xx")) {
            o->flags |= ZSET_XX;
        } else if (slice_is(word, "gt")) {
            o->flags |= ZSET_GT;
        } else if (slice_is(word, "lt")) {
            o->flags |= ZSET_LT;
        } else if (slice_is(word, "ch")) {
            o->changed = true;
        } else if (slice_is(word, "incr")) {
            o->flags |= ZSET_INCR;
        } else {
            break;
        }
    }
    o->first = i;
    o->pairs = (c->argc - i) / 2;
    if (o->pairs == 0 || (c->argc - i) % 2 != 0) {
        call_error_syntax(c);
        return false;
    }
    const bool nx = o->flags & ZSET_NX, gt = o->flags & ZSET_GT, lt = o->flags & ZSET_LT;
    if (nx && (o->flags & ZSET_XX)) {
        reply_error(c->out, "ERR XX and NX options at the same time are not compatible");
        return false;
    }
    if ((gt && nx) || (lt && nx) || (gt && lt)) {
        reply_error(c->out, "ERR GT, LT, and/or NX options at the same time are not compatible");
        return false;
    }
    if ((o->flags & ZSET_INCR) && o->pairs > 1) {
        reply_error(c->out, "ERR INCR option supports a single increment-element pair");
        return false;
    }
    return true;
}

static bool parse_scores(struct call *c, const struct zadd *o, double *scores)
{
    for (uint32_t i = 0; i < o->pairs; i++) {
        pause_point(1);
        const struct slice word = c->argv[o->first + 2 * i];
        if (!num_parse_double(word.ptr, word.len, &scores[i])) {
            call_error_float(c);
            return false;
        }
    }
    return true;
}

static void add_pairs(struct call *c, const struct zadd *o, double *scores)
{
    const struct key *k = &c->keys[0];
    const struct settings *settings = c->ks->settings;
    const bool incr = o->flags & ZSET_INCR;
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    uint64_t added = 0, updated = 0;
    enum zset_put_result result = ZSET_LEFT;
    if (e || !(o->flags & ZSET_XX)) {
        struct zset z = e ? zset_of(e) : zset_new(settings, 1, c->argv[o->first + 1].len);
        for (uint32_t i = 0; i < o->pairs; i++) {
            pause_point(1);
        pause_point(1);
            result = zset_put(&z, settings, c->argv[o->first + 2 * i + 1], &scores[i], o->flags);
            added += result == ZSET_ADDED;
            updated += result == ZSET_UPDATED;
        }
        zset__put_back(c, k, e, &z);
    }
    if (result == ZSET_NAN) {
        reply_error(c->out, "ERR resulting score is not a number (NaN)");
    } else if (!incr) {
        reply_int(c->out, (int64_t)(o->changed ? added + updated : added));
    } else if (result == ZSET_LEFT) {
        reply_null(c->out);
    } else {
        reply_double(c->out, scores[0]);
    }
    if (added + updated > 0) {
        key_modified(c, k, added + updated);
        key_event(c, EVENT_ZSET, incr ? "zincr" : "zadd", k);
    }
}

static void zadd(struct call *c, unsigned flags)
{
    struct zadd o = {.flags = flags};
    double inline_scores[SCORES_INLINE], *scores = inline_scores;
    if (!parse_zadd(c, &o)) {
        return;
    }
    if (o.pairs > SCORES_INLINE) {
        scores = mem_alloc(o.pairs * sizeof scores[0]);
    }
    if (parse_scores(c, &o, scores)) {
        add_pairs(c, &o, scores);
    }
    if (scores != inline_scores) {
        mem_free(scores);
    }
}

void zset__zadd(struct call *c)
{
    zadd(c, 0);
}

/* Takes ZADD's options too, as far as its arity has room for them: so does Redis. */
void zset__zincrby(struct call *c)
{
    zadd(c, ZSET_INCR);
}

/* --- ZREM --- */

void zset__zrem(struct call *c)
{
    const struct key *k = &c->keys[0];
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    uint64_t removed = 0;
    bool gone = false;
    if (e) {
        struct zset z = zset_of(e);
        for (uint32_t i = 2; i < c->argc && zset_count(&z) > 0; i++) {
            pause_point(1);
            removed += zset_remove(&z, c->argv[i]);
        }
        gone = zset__put_back(c, k, e, &z);
    }
    zset__lost(c, k, "zrem", removed, gone);
    reply_int(c->out, (int64_t)removed);
}

/* --- ZCARD, ZSCORE, ZMSCORE --- */

void zset__zcard(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    int64_t n = 0;
    if (e) {
        const struct zset z = zset_of(e);
        n = (int64_t)zset_count(&z);
    }
    reply_int(c->out, n);
}

static void reply_score(struct call *c, const struct entry *e, struct slice name)
{
    double score;
    if (e) {
        const struct zset z = zset_of(e);
        if (zset_score(&z, name, &score)) {
            reply_double(c->out, score);
            return;
        }
    }
    reply_null(c->out);
}

void zset__zscore(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (!bad) {
        reply_score(c, e, c->argv[2]);
    }
}

void zset__zmscore(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        pause_point(1);
        reply_score(c, e, c->argv[i]);
    }
}

/* --- ZRANK, ZREVRANK --- */

static void reply_rank(struct call *c, bool reverse)
{
    const bool with_score = c->argc == 4;
    if (c->argc > 4) {
        call_error_arity(c);
        return;
    }
    if (with_score && !slice_is(c->argv[3], "withscore")) {
        call_error_syntax(c);
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    uint64_t rank;
    double score;
    struct zset z;
    if (e) {
        z = zset_of(e);
    }
    if (!e || !zset_rank_of(&z, c->argv[2], &rank, &score)) {
        if (with_score) {
            reply_null_array(c->out);
        } else {
            reply_null(c->out);
        }
        return;
    }
    if (with_score) {
        reply_array(c->out, 2);
    }
    reply_int(c->out, (int64_t)(reverse ? zset_count(&z) - 1 - rank : rank));
    if (with_score) {
        reply_double(c->out, score);
    }
}

void zset__zrank(struct call *c)
{
    reply_rank(c, false);
}

void zset__zrevrank(struct call *c)
{
    reply_rank(c, true);
}
