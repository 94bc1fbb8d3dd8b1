/* zset_tree.c - see zset_tree.h.
 *
 * A change finds its way down first (a cursor), makes room or repairs on the way up. Splitting is
 * one step at a time: whatever is full gets split, topmost first, and the search begins anew; that
 * happens once in fifty insertions and keeps every step simple.
 *
 * A leaf that is filled in order (all pairs at its end, or all at its beginning: loading, times as
 * scores) is split so that the old one stays full.
 *
 * Removal merges neighbours of one parent when together they fill no more than three quarters.
 */
#include "core/zset_tree.h"

#include "core/hash.h"
#include "core/mem.h"
#include "core/pause.h"
#include "core/slab.h"

/* --- nodes --- */

enum {
    LINE = 64,
    LEAF_BYTES_MIN = 64,
    LEAF_BYTES_MAX = 1024,
    LEAF_HEADER = 16,
    PAIR_BYTES = 4 + 6,
    LEAF_MAX = (LEAF_BYTES_MAX - LEAF_HEADER) / PAIR_BYTES, /* 100 */
    LEAF_LOW = LEAF_MAX / 4,                                /* below: look for a neighbour */
    LEAF_MERGED_MAX = LEAF_MAX * 3 / 4,
    SHARP_MIN = 1 << 20, /* a leaf that uses less of its window gets a new one when split */
    INNER_FIRST = 15,    /* children of a new inner node; then 31, then 63 */
    INNER_LOW = ZSET_INNER_MAX / 4,
    INNER_MERGED_MAX = ZSET_INNER_MAX * 3 / 4,
};

struct leaf {
    uint64_t base;
    uint16_t count, cap, bytes;
    uint8_t shift;
    uint8_t unused_;
    uint32_t keys[]; /* cap of them; behind them the pointers */
};
static_assert(sizeof(struct leaf) == LEAF_HEADER, "ten bytes per pair besides");

struct inner {
    uint16_t count, cap;
    uint32_t unused_;
    uint64_t keys[]; /* cap of each: keys, first members, children, counts */
};

static inline uint8_t *leaf_pointers(const struct leaf *l)
{
    return (uint8_t *)(uintptr_t)(l->keys + l->cap);
}

static inline struct zset_member *leaf_get(const struct leaf *l, uint32_t i)
{
    uint64_t word; /* the pointer and two bytes before it, which are the leaf's own */
    memcpy(&word, leaf_pointers(l) + 6 * (size_t)i - 2, 8);
    return (struct zset_member *)(uintptr_t)(word >> 16);
}

static inline void leaf_put(struct leaf *l, uint32_t i, const struct zset_member *m)
{
    uint64_t word = (uintptr_t)m;
    memcpy(leaf_pointers(l) + 6 * (size_t)i, &word, 6);
}

static inline const struct zset_member **firsts(const struct inner *n)
{
    return (const struct zset_member **)(uintptr_t)(n->keys + n->cap);
}

static inline void **children(const struct inner *n)
{
    return (void **)(uintptr_t)(n->keys + 2 * n->cap);
}

static inline uint64_t *counts(const struct inner *n)
{
    return (uint64_t *)(uintptr_t)(n->keys + 3 * n->cap);
}

static size_t leaf_bytes_for(uint32_t pairs)
{
    size_t bytes = LEAF_HEADER + PAIR_BYTES * (size_t)pairs;
    bytes = (bytes + LINE - 1) / LINE * LINE;
    return bytes < LEAF_BYTES_MIN ? LEAF_BYTES_MIN : bytes;
}

static struct leaf *leaf_new(struct zset_tree *t, size_t bytes)
{
    assert(bytes <= LEAF_BYTES_MAX);
    struct leaf *l = slab_alloc(bytes);
    *l = (struct leaf){.bytes = (uint16_t)bytes,
                       .cap = (uint16_t)((bytes - LEAF_HEADER) / PAIR_BYTES)};
    t->node_bytes_ += bytes;
    return l;
}

static void leaf_free(struct zset_tree *t, struct leaf *l)
{
    t->node_bytes_ -= l->bytes;
    slab_free(l, l->bytes);
}

static void leaf_copy_pairs(struct leaf *to, uint32_t at, const struct leaf *from, uint32_t begin,
                            uint32_t n)
{
    memcpy(to->keys + at, from->keys + begin, n * sizeof from->keys[0]);
    memcpy(leaf_pointers(to) + 6 * at, leaf_pointers(from) + 6 * begin, 6 * (size_t)n);
}

static size_t inner_bytes(uint32_t cap)
{
    return sizeof(struct inner) + cap * (size_t)32;
}

static struct inner *inner_new(struct zset_tree *t, uint32_t cap)
{
    assert(cap <= ZSET_INNER_MAX);
    struct inner *n = slab_alloc(inner_bytes(cap));
    *n = (struct inner){.cap = (uint16_t)cap};
    t->node_bytes_ += inner_bytes(cap);
    return n;
}

static void inner_free(struct zset_tree *t, struct inner *n)
{
    t->node_bytes_ -= inner_bytes(n->cap);
    slab_free(n, inner_bytes(n->cap));
}

static void inner_copy(struct inner *to, uint32_t at, const struct inner *from, uint32_t begin,
                       uint32_t n)
{
    memcpy(to->keys + at, from->keys + begin, n * sizeof to->keys[0]);
    memcpy(firsts(to) + at, firsts(from) + begin, n * sizeof firsts(to)[0]);
    memcpy(children(to) + at, children(from) + begin, n * sizeof children(to)[0]);
    memcpy(counts(to) + at, counts(from) + begin, n * sizeof counts(to)[0]);
}

/* --- members --- */

static size_t member_bytes(size_t len)
{
    return offsetof(struct zset_member, rest_) + (len < 255 ? 0 : 4) + len;
}

static struct zset_member *member_new(struct zset_tree *t, struct slice name, double score)
{
    assert(name.len <= UINT32_MAX);
    size_t bytes = member_bytes(name.len);
    struct zset_member *m = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
    char *to = m->rest_;
    m->score = score;
    m->len_ = name.len < 255 ? (uint8_t)name.len : 255;
    if (m->len_ == 255) {
        uint32_t len = (uint32_t)name.len;
        memcpy(to, &len, sizeof len);
        to += sizeof len;
    }
    if (name.len > 0) {
        memcpy(to, name.ptr, name.len);
    }
    t->member_bytes_ += bytes;
    return m;
}

static void member_free(struct zset_tree *t, struct zset_member *m)
{
    size_t bytes = member_bytes(zset_member_name(m).len);
    t->member_bytes_ -= bytes;
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(m, bytes);
    } else {
        mem_free(m);
    }
}

static uint64_t member_hash(const void *item)
{
    struct slice name = zset_member_name(item);
    return hash_bytes(name.ptr, name.len);
}

static const struct table_type member_type = {.hash = member_hash};

static bool member_is(const void *item, const void *wanted)
{
    return slice_equal(zset_member_name(item), *(const struct slice *)wanted);
}

struct zset_member *zset_tree_find(const struct zset_tree *t, uint64_t hash, struct slice name)
{
    return table_find_inline(&t->members, hash, member_is, &name);
}

/* --- a leaf's window --- */

static bool leaf_covers(const struct leaf *l, uint64_t key)
{
    return key >= l->base && (key - l->base) >> l->shift <= UINT32_MAX;
}

static inline uint32_t leaf_short(const struct leaf *l, uint64_t key)
{
    assert(leaf_covers(l, key)); /* I1 */
    return (uint32_t)((key - l->base) >> l->shift);
}

/* A new window around all keys and one more, with half of their range to spare on either side, so
 * that keys which come in order do not ask for another every time. */
static void leaf_window(struct leaf *l, uint64_t key)
{
    uint64_t low = key, high = key;
    if (l->count > 0) {
        uint64_t first = zset_key(leaf_get(l, 0)->score);
        uint64_t last = zset_key(leaf_get(l, l->count - 1u)->score);
        low = first < low ? first : low;
        high = last > high ? last : high;
    }
    uint64_t spare = (high - low) / 2;
    l->base = low > spare ? low - spare : 0;
    uint64_t end = high < UINT64_MAX - spare ? high + spare : UINT64_MAX;
    l->shift = 0;
    while ((end - l->base) >> l->shift > UINT32_MAX) {
        l->shift++;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        l->keys[i] = leaf_short(l, zset_key(leaf_get(l, i)->score));
    }
}

/* --- searching --- */

struct target {
    const struct zset_bound *bound;
    uint64_t key;
};

static struct target target_of(const struct zset_bound *bound)
{
    return (struct target){bound,
                           bound->by == ZSET_BY_NAME ? 0 : zset_key(bound->score)};
}

static bool is_before(const struct target *w, uint64_t key, const struct zset_member *m)
{
    const struct zset_bound *b = w->bound;
    if (b->by != ZSET_BY_NAME && key != w->key) {
        return key < w->key;
    }
    if (b->by == ZSET_BY_SCORE) {
        return b->after;
    }
    int order = zset_compare_names(zset_member_name(m), b->name);
    return order < 0 || (order == 0 && b->after);
}

/* How many children begin before the bound. */
static uint32_t inner_search(const struct inner *n, const struct target *w)
{
    uint32_t low = 0, high = n->count;
    if (w->bound->by != ZSET_BY_NAME) { /* all keys below, then only those that are equal */
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (n->keys[middle] < w->key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        while (high < n->count && n->keys[high] == w->key) {
            high++;
        }
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (is_before(w, n->keys[middle], firsts(n)[middle])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* First of the leaf's short keys that is not less. */
static inline uint32_t lower_short(const struct leaf *l, uint32_t wanted)
{
    const uint32_t *at = l->keys;
    uint32_t n = l->count;
    while (n > 1) {
        uint32_t half = n / 2;
        at += at[half - 1] < wanted ? half : 0;
        n -= half;
    }
    return (uint32_t)(at - l->keys) + (n == 1 && *at < wanted);
}

/* How many pairs lie before the bound. */
static uint32_t leaf_search(const struct leaf *l, const struct target *w)
{
    uint32_t low = 0, high = l->count;
    if (w->bound->by != ZSET_BY_NAME) {
        if (w->key < l->base) {
            return 0;
        }
        if (!leaf_covers(l, w->key)) {
            return l->count;
        }
        uint32_t wanted = leaf_short(l, w->key);
        low = lower_short(l, wanted);
        high = low;
        while (high < l->count && l->keys[high] == wanted) {
            high++;
        }
        if (l->shift == 0 && w->bound->by == ZSET_BY_SCORE) {
            return w->bound->after ? high : low;
        }
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct zset_member *m = leaf_get(l, middle);
        if (is_before(w, zset_key(m->score), m)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A leaf's keys are searched next, its pointers moved: all their lines at once. */
static inline void leaf_touch(const struct leaf *l)
{
    const char *p = (const char *)l;
    for (int i = 0; i < LEAF_BYTES_MAX / 2; i += LINE) {
        table__touch(p + i);
    }
}

/* The way to the leaf that the bound lies in; at->step[height].at pairs of it lie before. Returns
 * the rank if that is asked for: adding up the counts costs more cache lines than the search. */
static inline uint64_t descend(const struct zset_tree *t, const struct zset_bound *bound,
                               bool ranked, struct zset_cursor *at)
{
    const struct target w = target_of(bound);
    uint64_t rank = 0;
    void *node = t->root_;
    at->height = t->height_;
    for (uint32_t level = 0; level < t->height_; level++) {
        const struct inner *n = node;
        uint32_t before = inner_search(n, &w);
        uint32_t i = before > 0 ? before - 1 : 0;
        void *child = children(n)[i];
        if (level + 1 == t->height_) {
            leaf_touch(child);
        }
        for (uint32_t j = 0; ranked && j < i; j++) {
            rank += counts(n)[j];
        }
        at->step[level].node = node;
        at->step[level].at = i;
        node = child;
    }
    at->step[t->height_].node = node;
    at->step[t->height_].at = leaf_search(node, &w);
    return rank + at->step[t->height_].at;
}

uint64_t zset_tree_rank(const struct zset_tree *t, const struct zset_bound *bound)
{
    struct zset_cursor at;
    return t->root_ ? descend(t, bound, true, &at) : 0;
}

/* The cursor of a member. (The bound is the place behind it: that before it may be the end of the
 * leaf before.) */
static void locate(const struct zset_tree *t, const struct zset_member *m, struct zset_cursor *at)
{
    const struct zset_bound bound = {.by = ZSET_BY_PAIR,
                                     .after = true,
                                     .score = m->score,
                                     .name = zset_member_name(m)};
    descend(t, &bound, false, at);
    assert(at->step[at->height].at > 0);
    at->step[at->height].at--;
}

/* --- cursors --- */

struct zset_member *zset_tree_seek(const struct zset_tree *t, uint64_t rank, struct zset_cursor *at)
{
    if (rank >= t->count) {
        return NULL;
    }
    void *node = t->root_;
    at->height = t->height_;
    for (uint32_t level = 0; level < t->height_; level++) {
        const struct inner *n = node;
        const uint64_t *below = counts(n);
        uint32_t i = 0;
        while (rank >= below[i]) {
            rank -= below[i++];
        }
        assert(i < n->count); /* I3 */
        at->step[level].node = node;
        at->step[level].at = i;
        node = children(n)[i];
    }
    at->step[t->height_].node = node;
    at->step[t->height_].at = (uint32_t)rank;
    return leaf_get(node, (uint32_t)rank);
}

static uint32_t node_count(const struct zset_cursor *at, uint32_t level)
{
    return level == at->height ? ((const struct leaf *)at->step[level].node)->count
                               : ((const struct inner *)at->step[level].node)->count;
}

/* The leaf beside this one: its last pair (backwards) or its first. */
static struct zset_member *cross(struct zset_cursor *at, bool back)
{
    uint32_t level = at->height;
    for (;;) {
        if (level-- == 0) {
            return NULL;
        }
        if (back ? at->step[level].at > 0 : at->step[level].at + 1 < node_count(at, level)) {
            break;
        }
    }
    at->step[level].at += back ? -1u : 1u;
    for (; level < at->height; level++) {
        const struct inner *n = at->step[level].node;
        at->step[level + 1].node = children(n)[at->step[level].at];
        at->step[level + 1].at = back ? node_count(at, level + 1) - 1 : 0;
    }
    return leaf_get(at->step[at->height].node, at->step[at->height].at);
}

struct zset_member *zset_tree_next(struct zset_cursor *at)
{
    const struct leaf *l = at->step[at->height].node;
    uint32_t i = at->step[at->height].at + 1;
    if (i < l->count) {
        at->step[at->height].at = i;
        if (i + 4u < l->count) {
            table__touch(leaf_get(l, i + 4u));
        }
        return leaf_get(l, i);
    }
    return cross(at, false);
}

struct zset_member *zset_tree_prev(struct zset_cursor *at)
{
    const struct leaf *l = at->step[at->height].node;
    if (at->step[at->height].at > 0) {
        uint32_t i = --at->step[at->height].at;
        if (i >= 4) {
            table__touch(leaf_get(l, i - 4));
        }
        return leaf_get(l, i);
    }
    return cross(at, true);
}

uint32_t zset_tree_run(struct zset_cursor *at, const struct zset_member **out, uint32_t max)
{
    const struct leaf *l = at->step[at->height].node;
    const uint32_t i = at->step[at->height].at, left = l->count - i;
    const uint32_t n = left < max ? left : max;
    pause_point(n);
    for (uint32_t j = 0; j < n; j++) {
        out[j] = leaf_get(l, i + j);
        table__touch(out[j]);
    }
    if (n < left) {
        at->step[at->height].at = i + n;
    } else {
        cross(at, false);
    }
    return n;
}

/* --- repairing the way up --- */

/* A node on the way has a new address. */
static void replace_node(struct zset_tree *t, struct zset_cursor *at, uint32_t level, void *node)
{
    at->step[level].node = node;
    if (level == 0) {
        t->root_ = node;
    } else {
        children(at->step[level - 1].node)[at->step[level - 1].at] = node;
    }
}

/* The first pair of the node at this level is another one (I2). */
static void renew_first(struct zset_cursor *at, uint32_t level)
{
    while (level > 0) {
        uint64_t key;
        const struct zset_member *first;
        if (level == at->height) {
            first = leaf_get(at->step[level].node, 0);
            key = zset_key(first->score);
        } else {
            const struct inner *n = at->step[level].node;
            first = firsts(n)[0];
            key = n->keys[0];
        }
        level--;
        struct inner *parent = at->step[level].node;
        uint32_t i = at->step[level].at;
        parent->keys[i] = key;
        firsts(parent)[i] = first;
        if (i > 0) {
            return;
        }
    }
}

static void add_to_counts(struct zset_tree *t, struct zset_cursor *at, int64_t n)
{
    t->count += (uint64_t)n;
    for (uint32_t level = 0; level < at->height; level++) {
        counts(at->step[level].node)[at->step[level].at] += (uint64_t)n; /* I3 */
    }
}

/* --- children come and go --- */

static struct inner *inner_grow(struct zset_tree *t, struct zset_cursor *at, uint32_t level)
{
    struct inner *n = at->step[level].node;
    if (n->count < n->cap) {
        return n;
    }
    struct inner *larger = inner_new(t, n->cap * 2u + 1);
    inner_copy(larger, 0, n, 0, n->count);
    larger->count = n->count;
    inner_free(t, n);
    replace_node(t, at, level, larger);
    return larger;
}

/* Adds a right neighbour of the child that the cursor goes through. There is room. */
static void add_neighbour(struct zset_tree *t, struct zset_cursor *at, uint32_t level, void *child,
                          uint64_t key, const struct zset_member *first, uint64_t count)
{
    struct inner *n = inner_grow(t, at, level);
    uint32_t i = at->step[level].at + 1, tail = n->count - i;
    memmove(n->keys + i + 1, n->keys + i, tail * sizeof n->keys[0]);
    memmove(firsts(n) + i + 1, firsts(n) + i, tail * sizeof firsts(n)[0]);
    memmove(children(n) + i + 1, children(n) + i, tail * sizeof children(n)[0]);
    memmove(counts(n) + i + 1, counts(n) + i, tail * sizeof counts(n)[0]);
    n->keys[i] = key;
    firsts(n)[i] = first;
    children(n)[i] = child;
    counts(n)[i] = count;
    counts(n)[i - 1] -= count;
    n->count++;
}

static void cut_child(struct inner *n, uint32_t i)
{
    uint32_t tail = n->count - i - 1u;
    memmove(n->keys + i, n->keys + i + 1, tail * sizeof n->keys[0]);
    memmove(firsts(n) + i, firsts(n) + i + 1, tail * sizeof firsts(n)[0]);
    memmove(children(n) + i, children(n) + i + 1, tail * sizeof children(n)[0]);
    memmove(counts(n) + i, counts(n) + i + 1, tail * sizeof counts(n)[0]);
    n->count--;
}

/* --- splitting --- */

/* Where to cut a full node that the next pair or child enters at i: at the ends of the tree, so
 * that the old node stays full. */
static uint32_t split_point(const struct zset_cursor *at, uint32_t level, uint32_t i,
                            uint32_t count)
{
    bool first = i == 0, last = i >= count;
    for (uint32_t above = 0; above < level; above++) {
        first = first && at->step[above].at == 0;
        last = last && at->step[above].at + 1 == node_count(at, above);
    }
    return last ? count - 1 : first ? 1 : count / 2;
}

static void split_leaf(struct zset_tree *t, struct zset_cursor *at)
{
    struct leaf *full = at->step[at->height].node;
    uint32_t cut = split_point(at, at->height, at->step[at->height].at, full->count);
    uint32_t rest = full->count - cut;
    struct leaf *left = leaf_new(t, leaf_bytes_for(cut < LEAF_MAX ? cut + 1 : cut));
    struct leaf *right = leaf_new(t, leaf_bytes_for(rest + 1));
    leaf_copy_pairs(left, 0, full, 0, cut);
    leaf_copy_pairs(right, 0, full, cut, rest);
    left->count = (uint16_t)cut;
    right->count = (uint16_t)rest;
    left->base = right->base = full->base;
    left->shift = right->shift = full->shift;
    leaf_free(t, full);
    if (left->shift > 0 && left->keys[cut - 1] - left->keys[0] < SHARP_MIN) {
        leaf_window(left, zset_key(leaf_get(left, 0)->score));
    }
    if (right->shift > 0 && right->keys[rest - 1] - right->keys[0] < SHARP_MIN) {
        leaf_window(right, zset_key(leaf_get(right, 0)->score));
    }
    replace_node(t, at, at->height, left);
    const struct zset_member *first = leaf_get(right, 0);
    add_neighbour(t, at, at->height - 1, right, zset_key(first->score), first, rest);
}

static void split_inner(struct zset_tree *t, struct zset_cursor *at, uint32_t level)
{
    struct inner *n = at->step[level].node;
    uint32_t cut = split_point(at, level, at->step[level].at + 1, n->count);
    uint32_t rest = n->count - cut;
    struct inner *right = inner_new(t, rest < INNER_FIRST ? INNER_FIRST : ZSET_INNER_MAX);
    inner_copy(right, 0, n, cut, rest);
    right->count = (uint16_t)rest;
    n->count = (uint16_t)cut;
    uint64_t moved = 0;
    for (uint32_t i = 0; i < rest; i++) {
        moved += counts(right)[i];
    }
    add_neighbour(t, at, level - 1, right, right->keys[0], firsts(right)[0], moved);
}

static void grow_root(struct zset_tree *t)
{
    assert(t->height_ < ZSET_DEPTH_MAX);
    struct inner *root = inner_new(t, INNER_FIRST);
    root->count = 1;
    children(root)[0] = t->root_;
    counts(root)[0] = t->count;
    if (t->height_ == 0) {
        firsts(root)[0] = leaf_get(t->root_, 0);
        root->keys[0] = zset_key(firsts(root)[0]->score);
    } else {
        const struct inner *below = t->root_;
        firsts(root)[0] = firsts(below)[0];
        root->keys[0] = below->keys[0];
    }
    t->root_ = root;
    t->height_++;
}

/* The leaf is full: splits the topmost node on the way that must be split for it. */
static void split_one(struct zset_tree *t, struct zset_cursor *at)
{
    uint32_t level = at->height;
    while (level > 0 && ((struct inner *)at->step[level - 1].node)->count == ZSET_INNER_MAX) {
        level--;
    }
    if (level == 0) {
        grow_root(t);
    } else if (level == at->height) {
        split_leaf(t, at);
    } else {
        split_inner(t, at, level);
    }
}

/* --- adding --- */

/* Room for one more pair in the leaf; NULL when it had to be split. */
static struct leaf *leaf_room(struct zset_tree *t, struct zset_cursor *at)
{
    struct leaf *l = at->step[at->height].node;
    if (l->count < l->cap) {
        return l;
    }
    if (l->bytes == LEAF_BYTES_MAX) {
        split_one(t, at);
        return NULL;
    }
    struct leaf *larger = leaf_new(t, (size_t)l->bytes + LINE);
    larger->base = l->base;
    larger->shift = l->shift;
    larger->count = l->count;
    leaf_copy_pairs(larger, 0, l, 0, l->count);
    leaf_free(t, l);
    replace_node(t, at, at->height, larger);
    return larger;
}

static void insert_pair(struct zset_tree *t, const struct zset_member *m)
{
    const struct zset_bound bound = {
        .by = ZSET_BY_PAIR, .score = m->score, .name = zset_member_name(m)};
    const uint64_t key = zset_key(m->score);
    struct zset_cursor at;
    struct leaf *l;
    if (!t->root_) {
        t->root_ = leaf_new(t, LEAF_BYTES_MIN);
    }
    do {
        descend(t, &bound, false, &at);
        l = leaf_room(t, &at);
    } while (!l);
    if (l->count == 0 || !leaf_covers(l, key)) {
        leaf_window(l, key);
    }
    uint32_t i = at.step[at.height].at, tail = l->count - i;
    memmove(l->keys + i + 1, l->keys + i, tail * sizeof l->keys[0]);
    memmove(leaf_pointers(l) + 6 * (i + 1), leaf_pointers(l) + 6 * i, 6 * (size_t)tail);
    l->keys[i] = leaf_short(l, key);
    leaf_put(l, i, m);
    l->count++;
    add_to_counts(t, &at, 1);
    if (i == 0) {
        renew_first(&at, at.height);
    }
}

struct zset_member *zset_tree_add_unordered(struct zset_tree *t, uint64_t hash, struct slice name,
                                            double score)
{
    struct zset_member *m = member_new(t, name, score);
    table_insert(&t->members, &member_type, hash, m);
    return m;
}

void zset_tree_add(struct zset_tree *t, uint64_t hash, struct slice name, double score)
{
    insert_pair(t, zset_tree_add_unordered(t, hash, name, score));
}

static void insert_visited(void *item, void *ctx)
{
    pause_point(4); /* looks at members on its way down */
    insert_pair(ctx, item);
}

void zset_tree_put_in_order(struct zset_tree *t)
{
    assert(t->count == 0);
    uint64_t pos = 0;
    do {
        pos = table_scan(&t->members, pos, insert_visited, t);
    } while (pos != 0);
}

/* --- removing --- */

static void drop_child(struct zset_tree *t, struct zset_cursor *at, uint32_t level);

static void shrink_root(struct zset_tree *t)
{
    while (t->height_ > 0 && ((struct inner *)t->root_)->count == 1) {
        struct inner *n = t->root_;
        t->root_ = children(n)[0];
        t->height_--;
        inner_free(t, n);
    }
}

/* Children i and i + 1 of an inner node, leaves, become one. */
static void merge_leaves(struct zset_tree *t, struct inner *n, uint32_t i)
{
    struct leaf *a = children(n)[i], *b = children(n)[i + 1];
    struct leaf *both = leaf_new(t, leaf_bytes_for((uint32_t)a->count + b->count));
    leaf_copy_pairs(both, 0, a, 0, a->count);
    leaf_copy_pairs(both, a->count, b, 0, b->count);
    both->count = (uint16_t)(a->count + b->count);
    leaf_window(both, zset_key(leaf_get(both, 0)->score));
    leaf_free(t, a);
    leaf_free(t, b);
    children(n)[i] = both;
}

static void merge_inners(struct zset_tree *t, struct inner *n, uint32_t i)
{
    struct inner *a = children(n)[i], *b = children(n)[i + 1];
    struct inner *both = inner_new(t, ZSET_INNER_MAX);
    inner_copy(both, 0, a, 0, a->count);
    inner_copy(both, a->count, b, 0, b->count);
    both->count = (uint16_t)(a->count + b->count);
    inner_free(t, a);
    inner_free(t, b);
    children(n)[i] = both;
}

/* The child at this level (not the root) has become small: joins it with a neighbour if that is
 * small enough too. */
static void join(struct zset_tree *t, struct zset_cursor *at, uint32_t level)
{
    struct inner *parent = at->step[level - 1].node;
    const bool leaves = level == at->height;
    const uint32_t limit = leaves ? LEAF_MERGED_MAX : INNER_MERGED_MAX;
    uint32_t i = at->step[level - 1].at;
    for (int side = 0; side < 2; side++) {
        uint32_t left = side == 0 ? i : i - 1;
        if (left >= parent->count - 1u) { /* also i - 1 of 0 */
            continue;
        }
        const void *a = children(parent)[left], *b = children(parent)[left + 1];
        uint32_t sum = leaves ? (uint32_t)((const struct leaf *)a)->count +
                                    ((const struct leaf *)b)->count
                              : (uint32_t)((const struct inner *)a)->count +
                                    ((const struct inner *)b)->count;
        if (sum > limit) {
            continue;
        }
        if (leaves) {
            merge_leaves(t, parent, left);
        } else {
            merge_inners(t, parent, left);
        }
        counts(parent)[left] += counts(parent)[left + 1];
        at->step[level - 1].at = left + 1;
        drop_child(t, at, level - 1);
        return;
    }
}

/* Takes out the child that the cursor goes through at this level; it has been freed already. */
static void drop_child(struct zset_tree *t, struct zset_cursor *at, uint32_t level)
{
    struct inner *n = at->step[level].node;
    uint32_t i = at->step[level].at;
    cut_child(n, i);
    if (n->count == 0) {
        inner_free(t, n);
        if (level == 0) {
            t->root_ = NULL;
            t->height_ = 0;
        } else {
            drop_child(t, at, level - 1);
        }
        return;
    }
    if (i == 0) {
        renew_first(at, level);
    }
    if (level == 0) {
        shrink_root(t);
    } else if (n->count < INNER_LOW) {
        join(t, at, level);
    }
}

/* A leaf that has lost pairs gives back memory when it is two lines too large. */
static struct leaf *leaf_shrink(struct zset_tree *t, struct zset_cursor *at)
{
    struct leaf *l = at->step[at->height].node;
    size_t bytes = leaf_bytes_for(l->count + 1u);
    if (bytes + 2 * LINE > l->bytes) {
        return l;
    }
    struct leaf *smaller = leaf_new(t, bytes);
    smaller->base = l->base;
    smaller->shift = l->shift;
    smaller->count = l->count;
    leaf_copy_pairs(smaller, 0, l, 0, l->count);
    leaf_free(t, l);
    replace_node(t, at, at->height, smaller);
    return smaller;
}

/* Takes n pairs out of the cursor's leaf, from the cursor on. The members stay. */
static void remove_run(struct zset_tree *t, struct zset_cursor *at, uint32_t n)
{
    struct leaf *l = at->step[at->height].node;
    uint32_t i = at->step[at->height].at, tail = l->count - i - n;
    memmove(l->keys + i, l->keys + i + n, tail * sizeof l->keys[0]);
    memmove(leaf_pointers(l) + 6 * i, leaf_pointers(l) + 6 * (i + n), 6 * (size_t)tail);
    l->count = (uint16_t)(l->count - n);
    add_to_counts(t, at, -(int64_t)n);
    if (l->count == 0) {
        leaf_free(t, l);
        if (at->height == 0) {
            t->root_ = NULL;
        } else {
            drop_child(t, at, at->height - 1);
        }
        return;
    }
    l = leaf_shrink(t, at);
    if (i == 0) {
        renew_first(at, at->height);
    }
    if (l->count < LEAF_LOW && at->height > 0) {
        join(t, at, at->height);
    }
}

static void forget_member(struct zset_tree *t, struct zset_member *m, uint64_t hash)
{
    bool found = table_remove(&t->members, &member_type, hash, m);
    assert(found);
    member_free(t, m);
}

/* Members of one leaf: each is a miss or two, which overlap. */
static void forget_members(struct zset_tree *t, struct zset_member *const *gone, uint32_t n)
{
    uint64_t hashes[LEAF_MAX];
    for (uint32_t i = 0; i < n; i++) {
        table__touch(gone[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        hashes[i] = member_hash(gone[i]);
        table_prefetch_bucket(&t->members, hashes[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        forget_member(t, gone[i], hashes[i]);
    }
}

void zset_tree_remove(struct zset_tree *t, struct zset_member *m)
{
    struct zset_cursor at;
    locate(t, m, &at);
    assert(leaf_get(at.step[at.height].node, at.step[at.height].at) == m);
    remove_run(t, &at, 1);
    forget_member(t, m, member_hash(m));
}

void zset_tree_remove_ranks(struct zset_tree *t, uint64_t from, uint64_t n)
{
    assert(n <= t->count && from <= t->count - n);
    while (n > 0) {
        struct zset_cursor at;
        struct zset_member *gone[LEAF_MAX];
        zset_tree_seek(t, from, &at);
        const struct leaf *l = at.step[at.height].node;
        uint32_t i = at.step[at.height].at, run = l->count - i;
        run = run < n ? run : (uint32_t)n;
        pause_point(2 * run);
        for (uint32_t j = 0; j < run; j++) {
            gone[j] = leaf_get(l, i + j);
        }
        remove_run(t, &at, run);
        forget_members(t, gone, run);
        n -= run;
    }
}

/* Whether a pair stays where it is in its leaf under another key: told by the short keys alone. */
static bool keeps_place(const struct leaf *l, uint32_t i, uint64_t key)
{
    if (i == 0 || i + 1u >= l->count || !leaf_covers(l, key)) {
        return false;
    }
    uint32_t wanted = leaf_short(l, key);
    return l->keys[i - 1] < wanted && wanted < l->keys[i + 1];
}

void zset_tree_rescore(struct zset_tree *t, struct zset_member *m, double score)
{
    struct zset_cursor at;
    locate(t, m, &at);
    struct leaf *l = at.step[at.height].node;
    uint32_t i = at.step[at.height].at;
    assert(leaf_get(l, i) == m);
    if (keeps_place(l, i, zset_key(score))) {
        l->keys[i] = leaf_short(l, zset_key(score));
        m->score = score;
        return;
    }
    remove_run(t, &at, 1);
    m->score = score;
    insert_pair(t, m);
}

/* --- life --- */

struct zset_tree *zset_tree_new(void)
{
    struct zset_tree *t = slab_alloc(sizeof *t);
    memset(t, 0, sizeof *t);
    table_init(&t->members);
    return t;
}

/* --- copying: the table as it is, with the old members; then node by node, each member's copy taking
 * the old one's place in the new table --- */

static void *same_item(void *item, void *ctx)
{
    return item;
}

static struct leaf *leaf_clone(struct zset_tree *t, const struct leaf *l)
{
    pause_point(2 * l->count);
    struct leaf *to = leaf_new(t, l->bytes);
    uint64_t hashes[LEAF_MAX];
    memcpy(to, l, l->bytes);
    for (uint32_t i = 0; i < l->count; i++) {
        table__touch(leaf_get(l, i));
    }
    for (uint32_t i = 0; i < l->count; i++) {
        hashes[i] = member_hash(leaf_get(l, i));
        table_prefetch_bucket(&t->members, hashes[i]);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const struct zset_member *m = leaf_get(l, i);
        struct zset_member *copy = member_new(t, zset_member_name(m), m->score);
        table_replace(&t->members, hashes[i], m, copy);
        leaf_put(to, i, copy);
    }
    return to;
}

/* The copy of a node and all below it; *first becomes its first member. At most ZSET_DEPTH_MAX
 * deep. */
static void *node_clone(struct zset_tree *t, const void *node, uint32_t height,
                        const struct zset_member **first)
{
    if (height == 0) {
        struct leaf *l = leaf_clone(t, node);
        *first = leaf_get(l, 0);
        return l;
    }
    const struct inner *n = node;
    struct inner *to = inner_new(t, n->cap);
    to->count = n->count;
    inner_copy(to, 0, n, 0, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        children(to)[i] = node_clone(t, children(n)[i], height - 1, &firsts(to)[i]);
    }
    *first = firsts(to)[0];
    return to;
}

struct zset_tree *zset_tree_copy(const struct zset_tree *t)
{
    struct zset_tree *to = zset_tree_new();
    const struct zset_member *first;
    table_clone(&to->members, &t->members, same_item, NULL);
    if (t->root_) {
        to->root_ = node_clone(to, t->root_, t->height_, &first);
    }
    to->height_ = t->height_;
    to->count = t->count;
    return to;
}

static void free_visited(void *item, void *ctx)
{
    member_free(ctx, item);
}

/* Frees the last leaf, and the inner nodes that become empty. */
static void free_last_leaf(struct zset_tree *t)
{
    struct inner *way[ZSET_DEPTH_MAX];
    void *node = t->root_;
    for (uint32_t level = 0; level < t->height_; level++) {
        way[level] = node;
        node = children(way[level])[way[level]->count - 1];
    }
    leaf_free(t, node);
    for (uint32_t level = t->height_; level-- > 0;) {
        if (--way[level]->count > 0) {
            return;
        }
        inner_free(t, way[level]);
    }
    t->root_ = NULL;
}

bool zset_tree_free_slice(struct zset_tree *t, size_t budget)
{
    for (; t->root_ && budget > 0; budget--) {
        free_last_leaf(t);
    }
    if (t->root_ || !table_drain(&t->members, free_visited, t, budget)) {
        return false;
    }
    slab_free(t, sizeof *t);
    return true;
}

void zset_tree_free(struct zset_tree *t)
{
    while (!zset_tree_free_slice(t, PAUSE_FREE_STEP)) {
        pause_point(PAUSE_FREE_STEP);
    }
}

size_t zset_tree_bytes(const struct zset_tree *t)
{
    return slab_size(sizeof *t) + t->node_bytes_ + t->member_bytes_ + table_bytes(&t->members);
}

/* --- checking --- */

static uint64_t check_leaf(const struct zset_tree *t, const struct leaf *l,
                           const struct zset_member **last)
{
    assert(l->count > 0 && l->count <= l->cap);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct zset_member *m = leaf_get(l, i);
        assert(l->keys[i] == leaf_short(l, zset_key(m->score))); /* I1 */
        if (*last) {
            uint64_t before = zset_key((*last)->score), key = zset_key(m->score);
            assert(before < key || (before == key && zset_compare_names(zset_member_name(*last),
                                                                        zset_member_name(m)) < 0));
        }
        struct slice name = zset_member_name(m);
        assert(zset_tree_find(t, member_hash(m), name) == m);
        *last = m;
    }
    return l->count;
}

static uint64_t check_node(const struct zset_tree *t, const void *node, uint32_t height,
                           const struct zset_member **last)
{
    if (height == 0) {
        return check_leaf(t, node, last);
    }
    const struct inner *n = node;
    uint64_t sum = 0;
    assert(n->count > 0 && n->count <= n->cap);
    for (uint32_t i = 0; i < n->count; i++) {
        const void *first = children(n)[i];
        for (uint32_t level = 1; level < height; level++) {
            first = children(first)[0];
        }
        assert(firsts(n)[i] == leaf_get(first, 0));               /* I2 */
        assert(n->keys[i] == zset_key(leaf_get(first, 0)->score)); /* I2 */
        uint64_t below = check_node(t, children(n)[i], height - 1, last);
        assert(below == counts(n)[i]); /* I3 */
        sum += below;
    }
    return sum;
}

void zset_tree_check(const struct zset_tree *t)
{
    const struct zset_member *last = NULL;
    uint64_t sum = t->root_ ? check_node(t, t->root_, t->height_, &last) : 0;
    assert(sum == t->count && sum == t->members.count);
}
