/* zset.h - sorted sets, small and large: one interface over both encodings.
 *
 *   ENC_LISTPACK  name, score, name, score … in order; a score that is a whole number is one
 *                 (so -0 becomes 0), others are text
 *   ENC_TREE      zset_tree.h
 *
 * A struct zset is a handle that says where the value lies: taken from an entry, given to functions
 * that may move the value or turn the listpack into a tree, and written back to the entry
 * (key_convert) when it has changed. When one becomes a tree, settings zset_max_listpack_* say.
 * A tree does not become a listpack again, but for results that are stored (zset_settle).
 *
 * Ranges are ranks: whoever looks for scores or names turns bounds into ranks first (zset_rank).
 *
 * Thread: the owner of the slot, one at a time. A name that a pair shows lies in the set or in the
 * iterator: good until the next step or change.
 */
#ifndef ASHLAR_CORE_ZSET_H
#define ASHLAR_CORE_ZSET_H

#include "core/entry.h"
#include "core/listpack.h"
#include "core/settings.h"
#include "core/zset_tree.h"

struct zset {
    enum value_encoding encoding; /* ENC_LISTPACK or ENC_TREE */
    void *object;
};

static inline struct zset zset_of(const struct entry *e)
{
    return (struct zset){e->encoding, entry_object(e)};
}

/* An empty one, for so many pairs (a guess) whose first name has so many bytes. */
struct zset zset_new(const struct settings *settings, uint64_t pairs, size_t name_bytes);
struct zset zset_copy(const struct zset *z);
void zset_free(struct zset *z);
uint64_t zset_count(const struct zset *z);
bool zset_score(const struct zset *z, struct slice name, double *score);

enum zset_put_flag { ZSET_NX = 1, ZSET_XX = 2, ZSET_GT = 4, ZSET_LT = 8, ZSET_INCR = 16 };
enum zset_put_result {
    ZSET_LEFT,    /* a condition was not met: nothing done */
    ZSET_SAME,    /* the member has that score already */
    ZSET_ADDED,
    ZSET_UPDATED,
    ZSET_NAN,     /* the sum is not a number: nothing done */
};
/* Adds a member or sets its score. *score is no NaN; unless the result is LEFT or NAN it receives
 * the score that the member has now. */
enum zset_put_result zset_put(struct zset *z, const struct settings *settings, struct slice name,
                              double *score, unsigned flags);
bool zset_remove(struct zset *z, struct slice name);
/* Pairs [from, from + n), which are there. */
void zset_remove_ranks(struct zset *z, uint64_t from, uint64_t n);
/* Turns a tree that fits the limits of a listpack into one. */
void zset_settle(struct zset *z, const struct settings *settings);

/* How many pairs lie before the bound. */
uint64_t zset_rank(const struct zset *z, const struct zset_bound *bound);
/* A member's rank and score; false when it is not there. */
bool zset_rank_of(const struct zset *z, struct slice name, uint64_t *rank, double *score);

struct zset_iter {
    /* the pair that it stands at */
    struct slice name;
    double score;

    struct listpack *lp_; /* NULL: a tree */
    uint8_t *at_;
    char digits_[LISTPACK_INT_CHARS];
    struct zset_cursor cursor_;
};
/* False when there is no such pair, or no next. */
bool zset_iter_seek(struct zset_iter *it, const struct zset *z, uint64_t rank);
bool zset_iter_next(struct zset_iter *it);
bool zset_iter_prev(struct zset_iter *it);

/* Whether these bytes are a listpack that can be a sorted set: names that differ, scores that are
 * numbers, in order. */
bool zset_listpack_validate(const void *bytes, size_t len);
/* The value in the encoding that its size asks for. */
struct zset zset_from_listpack(struct listpack *lp, const struct settings *settings);

extern const struct value_ops zset_listpack_ops, zset_tree_ops;

#endif
