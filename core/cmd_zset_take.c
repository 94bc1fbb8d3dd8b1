/* cmd_zset_take.c - ZPOPMIN, ZPOPMAX, ZMPOP, those that wait (BZPOPMIN …), ZRANDMEMBER, ZSCAN.
 *
 * Popping shows the pairs first and then takes them out as one range of ranks. */
#include "core/cmd_zset.h"

#include "core/cmd_scan.h"
#include "core/keyspace_internal.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WALK_FACTOR = 3, /* a sample of more than a third is drawn by walking through the set */
};

/* --- ZPOPMIN, ZPOPMAX, ZMPOP --- */

enum pop_shape {
    POP_FLAT,   /* name, score, name, score … */
    POP_NESTED, /* [name, score], … */
    POP_KEYED,  /* key, [[name, score], …] */
    POP_TRIPLE, /* key, name, score: of one pair */
};

/* Takes up to count pairs from one end of the set of a key, which is there. */
static void pop(struct call *c, const struct key *k, struct entry *e, bool max, uint64_t count,
                enum pop_shape shape)
{
    struct zset z = zset_of(e);
    const uint64_t all = zset_count(&z);
    const uint64_t n = count < all ? count : all;
    if (shape == POP_KEYED) {
        reply_array(c->out, 2);
        reply_bulk(c->out, k->ptr, k->len);
    }
    if (shape == POP_TRIPLE) {
        assert(n == 1);
        reply_array(c->out, 3);
        reply_bulk(c->out, k->ptr, k->len);
    } else {
        reply_array(c->out, shape == POP_FLAT ? n * 2 : n);
    }
    struct zset_iter it;
    bool more = zset_iter_seek(&it, &z, max ? all - 1 : 0);
    for (uint64_t i = 0; i < n; i++) {
        assert(more);
        if (shape == POP_NESTED || shape == POP_KEYED) {
            reply_array(c->out, 2);
        }
        reply_bulk(c->out, it.name.ptr, it.name.len);
        reply_double(c->out, it.score);
        more = i + 1 < n && (max ? zset_iter_prev(&it) : zset_iter_next(&it));
    }
    bool gone = n == all;
    if (gone) {
        key_delete(c, k, e);
    } else {
        zset_remove_ranks(&z, max ? all - n : 0, n);
        zset__put_back(c, k, e, &z);
    }
    zset__lost(c, k, max ? "zpopmax" : "zpopmin", n, gone);
}

static void pop_one_key(struct call *c, bool max)
{
    int64_t count = -1; /* not given */
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 3 && !call_arg_range(c, 2, 0, INT64_MAX, &count,
                                        "ERR value is out of range, must be positive")) {
        return;
    }
    bool bad;
    struct entry *e = key_write_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (!e || count == 0) {
        reply_array(c->out, 0);
        return;
    }
    const bool nested = c->out->resp > 2 && count != -1;
    pop(c, &c->keys[0], e, max, count < 0 ? 1 : (uint64_t)count, nested ? POP_NESTED : POP_FLAT);
}

void zset__zpopmin(struct call *c)
{
    pop_one_key(c, false);
}

void zset__zpopmax(struct call *c)
{
    pop_one_key(c, true);
}

/* numkeys key … MIN|MAX [COUNT count], from argv[at] on. */
static bool parse_zmpop(struct call *c, uint32_t at, bool *max, int64_t *count)
{
    int64_t keys;
    if (!call_arg_range(c, at, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) {
        return false;
    }
    if (keys > c->argc || at + 1 + (uint32_t)keys >= c->argc) {
        call_error_syntax(c);
        return false;
    }
    uint32_t i = at + 1 + (uint32_t)keys;
    *max = slice_is(c->argv[i], "max");
    if (!*max && !slice_is(c->argv[i], "min")) {
        call_error_syntax(c);
        return false;
    }
    *count = -1;
    for (i++; i < c->argc; i += 2) {
        if (*count != -1 || !slice_is(c->argv[i], "count") || i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!call_arg_range(c, i + 1, 1, INT64_MAX, count,
                            "ERR count should be greater than 0")) {
            return false;
        }
    }
    *count = *count == -1 ? 1 : *count;
    return true;
}

/* Takes from the first key that has a sorted set. False: none has. */
static bool pop_first(struct call *c, bool max, uint64_t count, enum pop_shape shape)
{
    for (uint32_t i = 0; i < c->nkeys; i++) {
        bool bad;
        struct entry *e = key_write_type(c, &c->keys[i], TYPE_ZSET, &bad);
        if (bad) {
            return true;
        }
        if (e) {
            if (call_claim(c)) {
                pop(c, &c->keys[i], e, max, count, shape);
            }
            return true;
        }
    }
    return false;
}

void zset__zmpop(struct call *c)
{
    bool max;
    int64_t count;
    if (parse_zmpop(c, 1, &max, &count) && !pop_first(c, max, (uint64_t)count, POP_KEYED)) {
        reply_null_array(c->out);
    }
}

/* --- BZPOPMIN, BZPOPMAX, BZMPOP --- */

static void pop_or_wait(struct call *c, bool max, int64_t count, enum pop_shape shape,
                        int64_t timeout_ms)
{
    if (pop_first(c, max, (uint64_t)count, shape)) {
        return;
    }
    if (call_may_block(c)) {
        call_block(c, WAIT_ZSET, c->nkeys, timeout_ms, NULL);
    } else {
        reply_null_array(c->out);
    }
}

void zset__bzpopmin(struct call *c)
{
    int64_t timeout_ms;
    if (call_arg_timeout(c, c->argc - 1, &timeout_ms)) {
        pop_or_wait(c, false, 1, POP_TRIPLE, timeout_ms);
    }
}

void zset__bzpopmax(struct call *c)
{
    int64_t timeout_ms;
    if (call_arg_timeout(c, c->argc - 1, &timeout_ms)) {
        pop_or_wait(c, true, 1, POP_TRIPLE, timeout_ms);
    }
}

void zset__bzmpop(struct call *c)
{
    bool max;
    int64_t count, timeout_ms;
    if (parse_zmpop(c, 2, &max, &count) && call_arg_timeout(c, 1, &timeout_ms)) {
        pop_or_wait(c, max, count, POP_KEYED, timeout_ms);
    }
}

/* --- ZRANDMEMBER --- */

static uint64_t random_below(struct keyspace *ks, uint64_t n)
{
    return (uint64_t)((unsigned __int128)keyspace__random(ks) * n >> 64);
}

static void reply_rank(struct call *c, const struct zset *z, uint64_t rank, bool scores)
{
    struct zset_iter it;
    bool there = zset_iter_seek(&it, z, rank);
    assert(there);
    if (scores) {
        zset__reply_pair(c, it.name, it.score);
    } else {
        reply_bulk(c->out, it.name.ptr, it.name.len);
    }
}

/* Every pair is taken with the chance that it must have for count of those left to be chosen. */
static void sample_walking(struct call *c, const struct zset *z, uint64_t count, bool scores)
{
    struct zset_iter it;
    uint64_t left = zset_count(z);
    bool more = zset_iter_seek(&it, z, 0);
    for (; count > 0; left--, more = zset_iter_next(&it)) {
        assert(more);
        if (random_below(c->ks, left) >= count) {
            continue;
        }
        count--;
        if (scores) {
            zset__reply_pair(c, it.name, it.score);
        } else {
            reply_bulk(c->out, it.name.ptr, it.name.len);
        }
    }
}

static int compare_ranks(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Draws ranks until so many are different: few are drawn twice, as the set is larger by far. */
static void sample_drawing(struct call *c, const struct zset *z, uint64_t count, bool scores)
{
    const uint64_t all = zset_count(z);
    uint64_t *ranks = mem_alloc(count * sizeof ranks[0]);
    for (uint64_t have = 0; have < count;) {
        while (have < count) {
            ranks[have++] = random_below(c->ks, all);
        }
        qsort(ranks, count, sizeof ranks[0], compare_ranks);
        have = 1;
        for (uint64_t i = 1; i < count; i++) {
            if (ranks[i] != ranks[have - 1]) {
                ranks[have++] = ranks[i];
            }
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        pause_point(4);
        reply_rank(c, z, ranks[i], scores);
    }
    mem_free(ranks);
}

static void reply_sample(struct call *c, const struct zset *z, int64_t wanted, bool scores)
{
    const uint64_t all = zset_count(z);
    if (wanted < 0) { /* with repetitions */
        uint64_t n = 0 - (uint64_t)wanted;
        for (zset__reply_header(c, n, scores); n > 0 && !c->out->over; n--) {
            pause_point(4);
            reply_rank(c, z, random_below(c->ks, all), scores);
        }
        return;
    }
    const uint64_t n = (uint64_t)wanted < all ? (uint64_t)wanted : all;
    zset__reply_header(c, n, scores);
    if (n > all / WALK_FACTOR) {
        sample_walking(c, z, n, scores);
    } else if (n > 0) {
        sample_drawing(c, z, n, scores);
    }
}

static bool parse_zrandmember(struct call *c, int64_t *count, bool *scores)
{
    *scores = c->argc == 4;
    if (!call_arg_range(c, 2, -INT64_MAX, INT64_MAX, count, NULL)) {
        return false;
    }
    if (c->argc > 4 || (*scores && !slice_is(c->argv[3], "withscores"))) {
        call_error_syntax(c);
        return false;
    }
    if (*scores && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
        reply_error(c->out, "ERR value is out of range");
        return false;
    }
    return true;
}

void zset__zrandmember(struct call *c)
{
    int64_t count = 0;
    bool scores = false, bad;
    if (c->argc > 2 && !parse_zrandmember(c, &count, &scores)) {
        return;
    }
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        if (c->argc > 2) {
            reply_array(c->out, 0);
        } else {
            reply_null(c->out);
        }
        return;
    }
    const struct zset z = zset_of(e);
    if (c->argc > 2) {
        reply_sample(c, &z, count, scores);
    } else {
        reply_rank(c, &z, random_below(c->ks, zset_count(&z)), false);
    }
}

/* --- ZSCAN --- */

struct zscan {
    struct call *c;
    struct scan_options options;
    uint64_t found, visited;
};

/* The score is a bulk string in RESP3 too; that of a listpack as it is stored there. */
static void scan_show(struct zscan *o, struct slice name, double score, bool stored)
{
    o->visited++;
    if (!scan_wants(&o->options, name)) {
        return;
    }
    o->found++;
    reply_bulk(o->c->out, name.ptr, name.len);
    char text[NUM_DOUBLE_CHARS];
    const size_t len = stored ? num_format_double(text, score)
                              : (size_t)snprintf(text, sizeof text, "%.17g", score);
    assert(len < sizeof text);
    reply_bulk(o->c->out, text, len);
}

static void scan_visit(void *item, void *ctx)
{
    const struct zset_member *m = item;
    scan_show(ctx, zset_member_name(m), m->score, false);
}

/* Cursors of trees are positions in the order of hashes (table.h), without their low 16 bits. */
static uint64_t scan_tree(struct zscan *o, const struct zset *z, uint64_t cursor)
{
    struct zset_tree *t = z->object;
    uint64_t pos = cursor << 16;
    const uint64_t count = (uint64_t)o->options.count;
    do {
        pos = table_scan(&t->members, pos, scan_visit, o);
    } while (pos != 0 && o->visited < count);
    return pos >> 16;
}

static void scan_listpack(struct zscan *o, const struct zset *z)
{
    struct zset_iter it;
    for (bool more = zset_iter_seek(&it, z, 0); more; more = zset_iter_next(&it)) {
        scan_show(o, it.name, it.score, true);
    }
}

void zset__zscan(struct call *c)
{
    uint64_t cursor;
    if (!scan_cursor_parse(c->argv[2], &cursor)) {
        reply_error(c->out, "ERR invalid cursor");
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        scan_reply_empty(c->out);
        return;
    }
    struct zscan o = {.c = c};
    if (!scan_options_parse(c, 3, &o.options, NULL, NULL)) {
        return;
    }
    struct reply pairs, *const out = c->out;
    const struct zset z = zset_of(e);
    reply_init(&pairs, out->resp);
    c->out = &pairs;
    if (z.encoding == ENC_TREE) {
        cursor = scan_tree(&o, &z, cursor);
    } else {
        scan_listpack(&o, &z);
        cursor = 0;
    }
    c->out = out;
    scan_reply(out, cursor, &pairs, o.found * 2);
}
