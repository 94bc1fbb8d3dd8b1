/* zset_tree.h - a large sorted set: members by name in a hash table, and in order of (score, name)
 * in a B+ tree whose inner nodes count what lies below them.
 *
 *              inner   key of the first pair │ first member │ child │ pairs below it
 *             ┌──┴───┐
 *          inner    inner          up to ZSET_INNER_MAX children
 *         ┌──┴──┐
 *       leaf   leaf  …             up to 100 pairs: 4 bytes of score, 6 bytes of pointer each
 *
 *   member   score 8 │ length 1 │ (length 4, from 255 bytes on) │ name         one allocation
 *
 * Scores are ordered as 64-bit keys (zset_key()). A leaf keeps 32 bits of each key, those in which
 * its own keys differ: (key - base) >> shift. Where two of them are equal, the members tell. So a
 * search touches the leaf's first lines and hardly ever a member; and a pair costs 10 bytes.
 *
 * Leaves are as large as what they hold (in steps of a cache line), since half empty ones would
 * cost more than the pairs' own bytes; for the same reason there are no links between leaves: a cursor
 * knows the way down.
 *
 *   a million members of 15 bytes: 24 + 10.4 (table) + 10 + about 1.5 (headers, slack, inner nodes)
 *
 * I1  A leaf's short keys rise with its pairs; its window [base, base + 2^32 << shift) covers all.
 * I2  key and first of a child are those of the first pair below it.
 * I3  count of a child is the number of pairs below it.
 *
 * Thread: one at a time; nodes and members may be freed by another than allocated them (slab.h). A
 * cursor is good until the next change. Limits: depth 12, names below 4 GiB.
 */
#ifndef ASHLAR_CORE_ZSET_TREE_H
#define ASHLAR_CORE_ZSET_TREE_H

#include "core/table.h"
#include "proto/slice.h"

enum { ZSET_DEPTH_MAX = 12, ZSET_INNER_MAX = 63 };

struct zset_member {
    double score;
    uint8_t len_; /* 255: four bytes of length follow */
    char rest_[];
};

static inline struct slice zset_member_name(const struct zset_member *m)
{
    if (__builtin_expect(m->len_ < 255, 1)) {
        return slice_of(m->rest_, m->len_);
    }
    uint32_t len;
    memcpy(&len, m->rest_, sizeof len);
    return slice_of(m->rest_ + sizeof len, len);
}

struct zset_tree {
    struct table members;
    void *root_;         /* NULL: empty; a leaf when height_ is 0 */
    uint64_t count;      /* pairs in the tree */
    uint32_t height_;    /* levels of inner nodes */
    size_t node_bytes_, member_bytes_;
};

/* A place between pairs: those before it are less. */
struct zset_bound {
    enum { ZSET_BY_SCORE, ZSET_BY_NAME, ZSET_BY_PAIR } by;
    bool after;          /* what equals the bound lies before it */
    double score;        /* not by name; no NaN */
    struct slice name;   /* not by score */
};

struct zset_cursor {
    struct {
        void *node;
        uint32_t at;
    } step[ZSET_DEPTH_MAX + 1]; /* step[height] is the leaf */
    uint32_t height;
};

/* The order of scores as that of integers; 0 and -0 are equal. */
static inline uint64_t zset_key(double score)
{
    uint64_t bits;
    double plain = score + 0.0; /* -0 + 0 is 0 */
    memcpy(&bits, &plain, sizeof bits);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

/* Names are ordered by their bytes, a shorter one before what continues it. */
static inline int zset_compare_names(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct zset_tree *zset_tree_new(void);
struct zset_tree *zset_tree_copy(const struct zset_tree *t);
void zset_tree_free(struct zset_tree *t);
/* Frees about budget members or leaves; true when all is gone, t included. */
bool zset_tree_free_slice(struct zset_tree *t, size_t budget);
size_t zset_tree_bytes(const struct zset_tree *t);

/* hash is hash_bytes() of the name. */
struct zset_member *zset_tree_find(const struct zset_tree *t, uint64_t hash, struct slice name);
/* The caller has made sure that the name is not there. */
void zset_tree_add(struct zset_tree *t, uint64_t hash, struct slice name, double score);
void zset_tree_rescore(struct zset_tree *t, struct zset_member *m, double score);
void zset_tree_remove(struct zset_tree *t, struct zset_member *m);
/* Pairs [from, from + n). */
void zset_tree_remove_ranks(struct zset_tree *t, uint64_t from, uint64_t n);

/* Building from unordered members whose scores still change: add them without order, set their
 * scores as members, at last put them in order. In between only find and free are allowed. */
struct zset_member *zset_tree_add_unordered(struct zset_tree *t, uint64_t hash, struct slice name,
                                            double score);
void zset_tree_put_in_order(struct zset_tree *t);

/* How many pairs lie before the bound. */
uint64_t zset_tree_rank(const struct zset_tree *t, const struct zset_bound *bound);
/* The pair of that rank, NULL beyond the end. */
struct zset_member *zset_tree_seek(const struct zset_tree *t, uint64_t rank,
                                   struct zset_cursor *at);
/* The neighbours; NULL at the ends, after which the cursor is of no more use. */
struct zset_member *zset_tree_next(struct zset_cursor *at);
struct zset_member *zset_tree_prev(struct zset_cursor *at);

/* Up to max pairs, at least one, from where the cursor stands; it then stands behind them. Returns how
 * many: fewer than asked for at the end of a leaf. At the end of the set the cursor is of no more
 * use. */
uint32_t zset_tree_run(struct zset_cursor *at, const struct zset_member **out, uint32_t max);

/* For tests: asserts I1 to I3, the order, and that table and tree hold the same. */
void zset_tree_check(const struct zset_tree *t);

#endif
