/* zset.c - see zset.h. What both encodings do; the listpack is here, the tree in zset_tree.c. */
#include "core/zset.h"

#include "core/hash.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/sha1.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SCORE_CHARS_MAX = 127, /* of a score's text that are looked at */
    LISTPACK_FIRST_BYTES = 32,
    LISTPACK_ROOM = 256,   /* a listpack is left when it comes so near to its limit */
};
/* Beyond this a whole number is stored as text; the bound of Redis. */
static const double whole_max = (double)(INT64_MAX / 2);

static struct zset_tree *tree_of(const struct zset *z)
{
    assert(z->encoding == ENC_TREE);
    return z->object;
}

static uint64_t hash_of(struct slice name)
{
    return hash_member(name.ptr, name.len);
}

/* --- pairs in a listpack --- */

static double lp_score(const uint8_t *at)
{
    struct listpack_value v = listpack_get(at);
    if (!v.ptr) {
        return (double)v.number;
    }
    char text[SCORE_CHARS_MAX + 1];
    size_t len = v.len < SCORE_CHARS_MAX ? v.len : SCORE_CHARS_MAX;
    memcpy(text, v.ptr, len);
    text[len] = '\0';
    return strtod(text, NULL);
}

static bool is_whole(double score)
{
    return score >= -whole_max && score <= whole_max && score == (double)(int64_t)score;
}

/* Inserts a pair before the name at `at`, NULL: at the end. */
static struct listpack *lp_insert_pair(struct listpack *lp, uint8_t *at, struct slice name,
                                       double score)
{
    char text[NUM_DOUBLE_CHARS];
    struct slice digits = {text, 0};
    bool whole = is_whole(score);
    if (!whole) {
        digits.len = num_format_double(text, score);
    }
    if (!at) {
        lp = listpack_append(lp, name);
        return whole ? listpack_append_int(lp, (int64_t)score) : listpack_append(lp, digits);
    }
    uint8_t *placed;
    lp = listpack_insert(lp, at, LISTPACK_BEFORE, name, &placed);
    return whole ? listpack_insert_int(lp, placed, LISTPACK_AFTER, (int64_t)score, NULL)
                 : listpack_insert(lp, placed, LISTPACK_AFTER, digits, NULL);
}

static bool lp_is_before(const uint8_t *name_at, const uint8_t *score_at,
                         const struct zset_bound *b)
{
    if (b->by != ZSET_BY_NAME) {
        double score = lp_score(score_at);
        if (score != b->score) {
            return score < b->score;
        }
        if (b->by == ZSET_BY_SCORE) {
            return b->after;
        }
    }
    char digits[LISTPACK_INT_CHARS];
    int order = zset_compare_names(listpack_string(name_at, digits), b->name);
    return order < 0 || (order == 0 && b->after);
}

/* The first name that is not before the bound, NULL when all are; *rank may be NULL. */
static uint8_t *lp_seek(const struct listpack *lp, const struct zset_bound *b, uint64_t *rank)
{
    uint64_t before = 0;
    uint8_t *at = listpack_first(lp);
    while (at) {
        uint8_t *score_at = listpack_next(lp, at);
        if (!lp_is_before(at, score_at, b)) {
            break;
        }
        at = listpack_next(lp, score_at);
        before++;
    }
    if (rank) {
        *rank = before;
    }
    return at;
}

static struct listpack *lp_add(struct listpack *lp, struct slice name, double score)
{
    const struct zset_bound b = {.by = ZSET_BY_PAIR, .score = score, .name = name};
    return lp_insert_pair(lp, lp_seek(lp, &b, NULL), name, score);
}

static uint8_t *lp_find(const struct listpack *lp, struct slice name)
{
    uint8_t *at = listpack_first(lp);
    return at ? listpack_find(lp, at, name, 1) : NULL;
}

/* --- life --- */

struct zset zset_new(const struct settings *settings, uint64_t pairs, size_t name_bytes)
{
    if (settings->zset_max_listpack_entries == 0 ||
        pairs > (uint64_t)settings->zset_max_listpack_entries ||
        name_bytes > (uint64_t)settings->zset_max_listpack_value) {
        return (struct zset){ENC_TREE, zset_tree_new()};
    }
    return (struct zset){ENC_LISTPACK, listpack_new(LISTPACK_FIRST_BYTES)};
}

static void to_tree(struct zset *z)
{
    struct listpack *lp = z->object;
    struct zset_tree *t = zset_tree_new();
    for (uint8_t *at = listpack_first(lp); at;) {
        char digits[LISTPACK_INT_CHARS];
        struct slice name = listpack_string(at, digits);
        at = listpack_next(lp, at);
        zset_tree_add(t, hash_of(name), name, lp_score(at));
        at = listpack_next(lp, at);
    }
    listpack_free(lp);
    *z = (struct zset){ENC_TREE, t};
}

struct zset zset_copy(const struct zset *z)
{
    if (z->encoding == ENC_LISTPACK) {
        return (struct zset){ENC_LISTPACK, listpack_copy(z->object)};
    }
    return (struct zset){ENC_TREE, zset_tree_copy(tree_of(z))};
}

void zset_free(struct zset *z)
{
    if (z->encoding == ENC_LISTPACK) {
        listpack_free(z->object);
    } else {
        zset_tree_free(z->object);
    }
    z->object = NULL;
}

uint64_t zset_count(const struct zset *z)
{
    return z->encoding == ENC_LISTPACK ? listpack_count(z->object) / 2 : tree_of(z)->count;
}

void zset_settle(struct zset *z, const struct settings *settings)
{
    if (z->encoding != ENC_TREE ||
        tree_of(z)->count > (uint64_t)settings->zset_max_listpack_entries) {
        return;
    }
    struct zset_cursor at;
    size_t bytes = 0;
    const struct zset_member *m;
    for (m = zset_tree_seek(z->object, 0, &at); m; m = zset_tree_next(&at)) {
        struct slice name = zset_member_name(m);
        bytes += name.len + NUM_DOUBLE_CHARS;
        if (name.len > (uint64_t)settings->zset_max_listpack_value ||
            bytes > LISTPACK_MAX_BYTES - LISTPACK_ROOM) {
            return;
        }
    }
    struct listpack *lp = listpack_new(LISTPACK_FIRST_BYTES);
    for (m = zset_tree_seek(z->object, 0, &at); m; m = zset_tree_next(&at)) {
        lp = lp_insert_pair(lp, NULL, zset_member_name(m), m->score);
    }
    zset_tree_free(z->object);
    *z = (struct zset){ENC_LISTPACK, lp};
}

/* --- members --- */

bool zset_score(const struct zset *z, struct slice name, double *score)
{
    if (z->encoding == ENC_LISTPACK) {
        const uint8_t *at = lp_find(z->object, name);
        if (at) {
            *score = lp_score(listpack_next(z->object, at));
        }
        return at != NULL;
    }
    const struct zset_member *m = zset_tree_find(z->object, hash_of(name), name);
    if (m) {
        *score = m->score;
    }
    return m != NULL;
}

/* What becomes of a member that has the score now; *score is the new one if it is UPDATED. */
static enum zset_put_result decide(double now, double *score, unsigned flags)
{
    double wanted = *score;
    if (flags & ZSET_NX) {
        return ZSET_LEFT;
    }
    if (flags & ZSET_INCR) {
        wanted += now;
        if (isnan(wanted)) {
            return ZSET_NAN;
        }
    }
    if (((flags & ZSET_LT) && wanted >= now) || ((flags & ZSET_GT) && wanted <= now)) {
        return ZSET_LEFT;
    }
    *score = wanted;
    return wanted == now ? ZSET_SAME : ZSET_UPDATED;
}

static bool fits_listpack(const struct listpack *lp, const struct settings *settings,
                          struct slice name)
{
    return listpack_count(lp) / 2 + 1ull <= (uint64_t)settings->zset_max_listpack_entries &&
           name.len <= (uint64_t)settings->zset_max_listpack_value &&
           listpack_bytes(lp) + name.len <= LISTPACK_MAX_BYTES - LISTPACK_ROOM;
}

static enum zset_put_result put_in_tree(struct zset_tree *t, struct slice name, double *score,
                                        unsigned flags)
{
    uint64_t hash = hash_of(name);
    struct zset_member *m = zset_tree_find(t, hash, name);
    if (m) {
        enum zset_put_result result = decide(m->score, score, flags);
        if (result == ZSET_UPDATED) {
            zset_tree_rescore(t, m, *score);
        }
        return result;
    }
    if (flags & ZSET_XX) {
        return ZSET_LEFT;
    }
    zset_tree_add(t, hash, name, *score);
    return ZSET_ADDED;
}

enum zset_put_result zset_put(struct zset *z, const struct settings *settings, struct slice name,
                              double *score, unsigned flags)
{
    if (z->encoding == ENC_TREE) {
        return put_in_tree(z->object, name, score, flags);
    }
    struct listpack *lp = z->object;
    uint8_t *at = lp_find(lp, name);
    if (at) {
        enum zset_put_result result = decide(lp_score(listpack_next(lp, at)), score, flags);
        if (result == ZSET_UPDATED) {
            lp = listpack_delete(lp, at, 2, NULL);
            z->object = lp_add(lp, name, *score);
        }
        return result;
    }
    if (flags & ZSET_XX) {
        return ZSET_LEFT;
    }
    if (!fits_listpack(lp, settings, name)) {
        to_tree(z);
        zset_tree_add(z->object, hash_of(name), name, *score);
    } else {
        z->object = lp_add(lp, name, *score);
    }
    return ZSET_ADDED;
}

bool zset_remove(struct zset *z, struct slice name)
{
    if (z->encoding == ENC_LISTPACK) {
        uint8_t *at = lp_find(z->object, name);
        if (at) {
            z->object = listpack_delete(z->object, at, 2, NULL);
        }
        return at != NULL;
    }
    struct zset_member *m = zset_tree_find(z->object, hash_of(name), name);
    if (m) {
        zset_tree_remove(z->object, m);
    }
    return m != NULL;
}

void zset_remove_ranks(struct zset *z, uint64_t from, uint64_t n)
{
    if (n == 0) {
        return;
    }
    if (z->encoding == ENC_LISTPACK) {
        uint8_t *at = listpack_seek(z->object, (int64_t)from * 2);
        z->object = listpack_delete(z->object, at, (uint32_t)n * 2, NULL);
    } else {
        zset_tree_remove_ranks(z->object, from, n);
    }
}

/* --- order --- */

uint64_t zset_rank(const struct zset *z, const struct zset_bound *bound)
{
    uint64_t rank;
    if (z->encoding == ENC_TREE) {
        return zset_tree_rank(z->object, bound);
    }
    lp_seek(z->object, bound, &rank);
    return rank;
}

bool zset_rank_of(const struct zset *z, struct slice name, uint64_t *rank, double *score)
{
    if (z->encoding == ENC_TREE) {
        const struct zset_member *m = zset_tree_find(z->object, hash_of(name), name);
        if (!m) {
            return false;
        }
        const struct zset_bound b = {.by = ZSET_BY_PAIR, .score = m->score, .name = name};
        *rank = zset_tree_rank(z->object, &b);
        *score = m->score;
        return true;
    }
    const struct listpack *lp = z->object;
    *rank = 0;
    for (uint8_t *at = listpack_first(lp); at; at = listpack_next(lp, at), ++*rank) {
        uint8_t *score_at = listpack_next(lp, at);
        if (listpack_equals(at, name)) {
            *score = lp_score(score_at);
            return true;
        }
        at = score_at;
    }
    return false;
}

static bool show_member(struct zset_iter *it, const struct zset_member *m)
{
    if (m) {
        it->name = zset_member_name(m);
        it->score = m->score;
    }
    return m != NULL;
}

static bool show_listpack(struct zset_iter *it, uint8_t *at)
{
    it->at_ = at;
    if (at) {
        it->name = listpack_string(at, it->digits_);
        it->score = lp_score(listpack_next(it->lp_, at));
    }
    return at != NULL;
}

bool zset_iter_seek(struct zset_iter *it, const struct zset *z, uint64_t rank)
{
    it->lp_ = NULL;
    if (z->encoding == ENC_TREE) {
        return show_member(it, zset_tree_seek(z->object, rank, &it->cursor_));
    }
    it->lp_ = z->object;
    return rank < zset_count(z) &&
           show_listpack(it, listpack_seek(it->lp_, (int64_t)rank * 2));
}

bool zset_iter_next(struct zset_iter *it)
{
    pause_point(1);
    if (!it->lp_) {
        return show_member(it, zset_tree_next(&it->cursor_));
    }
    return show_listpack(it, listpack_next(it->lp_, listpack_next(it->lp_, it->at_)));
}

bool zset_iter_prev(struct zset_iter *it)
{
    pause_point(1);
    if (!it->lp_) {
        return show_member(it, zset_tree_prev(&it->cursor_));
    }
    uint8_t *score_at = listpack_prev(it->lp_, it->at_);
    return score_at && show_listpack(it, listpack_prev(it->lp_, score_at));
}

/* --- foreign listpacks --- */

static bool score_is_sound(const uint8_t *at)
{
    struct listpack_value v = listpack_get(at);
    double score;
    if (!v.ptr) {
        return true;
    }
    return v.len <= SCORE_CHARS_MAX && num_parse_double(v.ptr, v.len, &score);
}

bool zset_listpack_validate(const void *bytes, size_t len)
{
    if (!listpack_validate(bytes, len)) {
        return false;
    }
    struct listpack *lp = listpack_from_bytes(bytes, len);
    if (!lp) {
        return false;
    }
    bool sound = listpack_count(lp) > 0 && listpack_count(lp) % 2 == 0;
    struct zset_tree *seen = zset_tree_new();
    const uint8_t *before = NULL;
    for (uint8_t *at = listpack_first(lp); sound && at;) {
        char digits[LISTPACK_INT_CHARS];
        struct slice name = listpack_string(at, digits);
        uint8_t *score_at = listpack_next(lp, at);
        sound = score_is_sound(score_at) && !zset_tree_find(seen, hash_of(name), name);
        if (sound && before) {
            const struct zset_bound b = {
                .by = ZSET_BY_PAIR, .score = lp_score(score_at), .name = name};
            sound = lp_is_before(before, listpack_next(lp, before), &b);
        }
        if (sound) {
            zset_tree_add_unordered(seen, hash_of(name), name, 0);
        }
        before = at;
        at = listpack_next(lp, score_at);
    }
    zset_tree_free(seen);
    listpack_free(lp);
    return sound;
}

struct zset zset_from_listpack(struct listpack *lp, const struct settings *settings)
{
    struct zset z = {ENC_LISTPACK, lp};
    if (zset_count(&z) > (uint64_t)settings->zset_max_listpack_entries) {
        to_tree(&z);
    }
    return z;
}

/* --- what the keyspace does with values --- */

static void digest_all(const struct zset *z, uint8_t digest[SHA1_BYTES])
{
    struct zset_iter it;
    for (bool more = zset_iter_seek(&it, z, 0); more; more = zset_iter_next(&it)) {
        uint8_t pair[SHA1_BYTES] = {0};
        char text[NUM_DOUBLE_CHARS];
        int len = snprintf(text, sizeof text, "%.17g", it.score);
        sha1_mix(pair, it.name.ptr, it.name.len);
        sha1_mix(pair, text, (size_t)len);
        for (int i = 0; i < SHA1_BYTES; i++) {
            digest[i] ^= pair[i];
        }
    }
}

static void listpack_value_free(void *object)
{
    listpack_free(object);
}

static size_t listpack_value_effort(const void *object)
{
    return 1;
}

static size_t listpack_value_bytes(const void *object)
{
    return listpack_memory(object);
}

static void listpack_value_digest(const void *object, uint8_t digest[SHA1_BYTES])
{
    const struct zset z = {ENC_LISTPACK, (void *)(uintptr_t)object};
    digest_all(&z, digest);
}

const struct value_ops zset_listpack_ops = {
    .free = listpack_value_free,
    .free_effort = listpack_value_effort,
    .bytes = listpack_value_bytes,
    .digest = listpack_value_digest,
};

static void tree_value_free(void *object)
{
    zset_tree_free(object);
}

static bool tree_value_free_slice(void *object, size_t budget, uint64_t *progress)
{
    return zset_tree_free_slice(object, budget);
}

static size_t tree_value_effort(const void *object)
{
    return ((const struct zset_tree *)object)->count;
}

static size_t tree_value_bytes(const void *object)
{
    return zset_tree_bytes(object);
}

static void tree_value_digest(const void *object, uint8_t digest[SHA1_BYTES])
{
    const struct zset z = {ENC_TREE, (void *)(uintptr_t)object};
    digest_all(&z, digest);
}

static const struct table *tree_value_members(const void *object)
{
    return &((const struct zset_tree *)object)->members;
}

const struct value_ops zset_tree_ops = {
    .free = tree_value_free,
    .free_slice = tree_value_free_slice,
    .free_effort = tree_value_effort,
    .bytes = tree_value_bytes,
    .digest = tree_value_digest,
    .members = tree_value_members,
};
