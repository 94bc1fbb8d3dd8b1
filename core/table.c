/* table.c - see table.h.
 *
 * A *segment* is an array of at most TABLE_SEGMENT_BUCKETS buckets. A table has one (depth 0: its
 * numbers stand in struct table) or a directory of them; then a header line before the segment's
 * first bucket counts its items. Whatever changes a segment's size builds a new array from the
 * items, one of
 *
 *   grow      full (LOAD_MAX items per bucket on average): a third more buckets
 *   split     full and of full size: two segments, one bit deeper (the directory may double)
 *   shrink    filled to less than 40 % : as many buckets as LOAD_BUILT asks for
 *   merge     tried before shrinking: with its sibling of equal depth, when both together are half
 *             a segment at most (the directory may halve)
 *
 * so a size that has just been chosen is far from the next change in both directions. Segments beyond
 * the slab's blocks get as many buckets more as the allocator's block has room for.
 *
 * Many segments come to the point at about the same time: hashes are even, and the keys of a sequence
 * are spread over the slots more evenly still, so that thousands of tables become full one right after
 * the other. So changes of size are on an allowance, of the thread, for all tables together: each item
 * that is added or taken out allows REBUILD_PER_CHANGE more items to be moved (on average it takes 3
 * or 4), of which REBUILD_SAVED_MAX are kept for later. While the allowance is used up, a segment waits
 * for its next change: its buckets chain, up to OVERLOAD_MAX times the load.
 *
 * I1  Chained buckets hold 8 items and a link; the last of a chain holds 2 to 9 (a single bucket 0
 *     to 9).
 * I2  count of a table is the sum over its segments.
 * I3  All directory entries that a segment covers are equal; dir->deepest counts the segments whose
 *     local depth is the directory's, and is not 0: otherwise the directory halves.
 *
 * Load: with 7 to 9 items per bucket on average, and the fill of single buckets spread as Poisson
 * has it, a quarter of the buckets chain, an item in nine is found one bucket further, and an item
 * costs 10.4 bytes. At most 8 per bucket would be 10.8 bytes and one item in thirteen. */
#include "core/table.h"

#include "core/mem.h"
#include "core/pause.h"
#include "core/slab.h"

enum {
    LOAD_MAX = 9,           /* mean items per bucket; beyond, the segment grows */
    MERGE_ITEMS_MAX = TABLE_SEGMENT_BUCKETS * LOAD_MAX / 2,
    GATHER_MAX = TABLE_SEGMENT_BUCKETS * LOAD_MAX + 64, /* items gathered on the stack */
    CHAIN_GATHER = 64,
    REBUILD_AHEAD = 12,     /* items touched ahead while they are rehashed */
    REBUILD_PER_CHANGE = 16,
    REBUILD_SAVED_MAX = 1024,
    OVERLOAD_MAX = 2,       /* times LOAD_MAX */
    PAUSE_UNIT_ITEMS = 2,   /* rehashed in a unit of core/pause.h */
    DEPTH_MAX = 40,
    CLONE_AHEAD = 3,        /* buckets whose items are touched ahead while they are cloned */
    RANDOM_TRIES = 256,
    FLAG_SCANNING = 1,      /* a visit is running: nothing moves */
    FLAG_DRAINING = 2,
};

struct segment {
    struct table__bucket *buckets;
    unsigned n;       /* buckets */
    unsigned depth;   /* top bits of the position that all its items share */
    uint64_t prefix;  /* these bits */
    uint64_t count;
};

struct segment_header {
    uint64_t count;
} __attribute__((aligned(64)));
static_assert(sizeof(struct segment_header) == sizeof(struct table__bucket), "one line");

/* All items of a segment (or two) on their way to another: 40 KiB of stack. */
struct gathered {
    struct {
        void *item;
        uint64_t hash;
    } *at, local[GATHER_MAX];
    size_t count;
};

void table_init(struct table *t)
{
    memset(t, 0, sizeof *t);
}

void *table_find(const struct table *t, uint64_t hash, table_match *match, const void *wanted)
{
    return table_find_inline(t, hash, match, wanted);
}

/* --- memory of buckets --- */

static struct table__bucket *buckets_alloc(unsigned n)
{
    size_t bytes = n * sizeof(struct table__bucket);
    struct table__bucket *b = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes)
                                                      : mem_alloc_aligned(bytes, 64);
    memset(b, 0, bytes);
    return b;
}

static void buckets_free(struct table__bucket *b, unsigned n)
{
    size_t bytes = n * sizeof(struct table__bucket);
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(b, bytes);
    } else {
        mem_free(b);
    }
}

/* --- single buckets --- */

static inline unsigned bucket_count(const struct table__bucket *b)
{
    return b->state & TABLE__COUNT_MASK;
}

static inline struct table__bucket *bucket_next(const struct table__bucket *b)
{
    return b->state & TABLE__CHAINED ? table__pointer(b, TABLE_BUCKET_ITEMS - 1) : NULL;
}

static inline void pointer_set(struct table__bucket *b, unsigned i, const void *p)
{
    assert((uintptr_t)p >> 47 == 0);
    uint64_t word = (uintptr_t)p;
    memcpy(b->pointers + 6 * i, &word, 6);
}

static void bucket_add(struct table *t, struct table__bucket *b, uint8_t tag, void *item)
{
    while (b->state & TABLE__CHAINED) {
        b = bucket_next(b);
    }
    unsigned n = bucket_count(b);
    if (n == TABLE_BUCKET_ITEMS) { /* I1: the ninth moves over and makes room for the link */
        struct table__bucket *next = buckets_alloc(1);
        next->tags[0] = b->tags[n - 1];
        pointer_set(next, 0, table__pointer(b, n - 1));
        next->state = 1;
        pointer_set(b, n - 1, next);
        b->state = (uint8_t)((b->state & ~TABLE__COUNT_MASK) | TABLE__CHAINED | (n - 1));
        t->overflow_++;
        b = next;
        n = 1;
    }
    b->tags[n] = tag;
    pointer_set(b, n, item);
    b->state++;
}

/* Where an item stands in a chain; NULL if it does not. */
static struct table__bucket *chain_find(struct table__bucket *b, uint8_t tag, const void *item,
                                        unsigned *at)
{
    for (; b; b = bucket_next(b)) {
        for (unsigned hits = table__match_tags(b, tag); hits; hits &= hits - 1) {
            unsigned i = (unsigned)__builtin_ctz(hits);
            if (table__pointer(b, i) == item) {
                *at = i;
                return b;
            }
        }
    }
    return NULL;
}

/* Fills the hole with the chain's last item and keeps I1. */
static void chain_remove(struct table *t, struct table__bucket *first, struct table__bucket *hole,
                         unsigned at)
{
    struct table__bucket *before = NULL, *last = first;
    while (last->state & TABLE__CHAINED) {
        before = last;
        last = bucket_next(last);
    }
    unsigned end = bucket_count(last) - 1;
    hole->tags[at] = last->tags[end];
    pointer_set(hole, at, table__pointer(last, end));
    last->state--;
    if (before && end == 1) { /* the last one goes back to where its link stood */
        unsigned n = TABLE_BUCKET_ITEMS - 1;
        assert(bucket_count(before) == n); /* I1 */
        before->tags[n] = last->tags[0];
        pointer_set(before, n, table__pointer(last, 0));
        before->state = (uint8_t)((before->state & ~TABLE__CHAINED) + 1);
        buckets_free(last, 1);
        t->overflow_--;
    }
}

/* --- segments --- */

static_assert((int)LOAD_MAX == (int)TABLE_BUCKET_ITEMS, "a single bucket is full before it chains");
static inline uint64_t segment_limit(unsigned n)
{
    return (uint64_t)n * LOAD_MAX;
}

/* Buckets for so many items: 7 per bucket. */
static unsigned segment_size_for(uint64_t items)
{
    if (items <= TABLE_BUCKET_ITEMS - 2) {
        return 1;
    }
    uint64_t n = (items + 6) / 7;
    return n < TABLE_SEGMENT_BUCKETS ? (unsigned)n : TABLE_SEGMENT_BUCKETS;
}

static struct segment_header *segment_header(struct table__bucket *b)
{
    return (struct segment_header *)b - 1;
}

static struct table__dir *table_dir(const struct table *t)
{
    assert(t->depth_ > 0);
    return t->root_;
}

static struct segment segment_unpack(uint64_t packed)
{
    return (struct segment){
        .buckets = (struct table__bucket *)(uintptr_t)(packed & TABLE__POINTER_MASK),
        .n = (unsigned)(packed >> 48 & 255) + 1,
        .depth = (unsigned)(packed >> 56),
    };
}

static struct segment segment_at(const struct table *t, uint64_t hash)
{
    uint64_t position = hash & TABLE__POSITION_MASK;
    if (t->depth_ == 0) {
        return (struct segment){t->root_, t->buckets_, 0, 0, t->count};
    }
    struct segment s = segment_unpack(table_dir(t)->at[position >> (64 - t->depth_)]);
    s.prefix = s.depth ? position >> (64 - s.depth) : 0;
    s.count = segment_header(s.buckets)->count;
    return s;
}

/* So many buckets, or a few more if the block has room for them. */
static unsigned segment_fill(const struct table *t, unsigned n)
{
    unsigned header = t->depth_ ? 1 : 0;
    size_t bytes = (n + header) * sizeof(struct table__bucket);
    if (bytes <= SLAB_MAX_BYTES) {
        return n;
    }
    n = (unsigned)(mem_good_size(bytes) / sizeof(struct table__bucket)) - header;
    return n < TABLE_SEGMENT_BUCKETS ? n : TABLE_SEGMENT_BUCKETS;
}

/* A segment of at least s->n buckets, all empty. */
static struct table__bucket *segment_new(struct table *t, struct segment *s)
{
    s->n = segment_fill(t, s->n);
    if (t->depth_ == 0) {
        s->buckets = buckets_alloc(s->n);
    } else {
        s->buckets = buckets_alloc(s->n + 1) + 1;
        segment_header(s->buckets)->count = s->count;
        table_dir(t)->buckets += s->n + 1;
    }
    return s->buckets;
}

/* Frees a segment's buckets, overflow included; the items are the caller's. */
static void segment_free(struct table *t, const struct segment *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct table__bucket *b = bucket_next(&s->buckets[i]);
        while (b) {
            struct table__bucket *next = bucket_next(b);
            buckets_free(b, 1);
            t->overflow_--;
            b = next;
        }
    }
    if (t->depth_ == 0) {
        buckets_free(s->buckets, s->n);
    } else {
        buckets_free(s->buckets - 1, s->n + 1);
        table_dir(t)->buckets -= s->n + 1;
    }
}

/* Makes a segment the one that its part of the hash space belongs to. */
static void segment_publish(struct table *t, const struct segment *s)
{
    if (t->depth_ == 0) {
        t->root_ = s->buckets;
        t->buckets_ = (uint16_t)s->n;
        return;
    }
    uint64_t packed = (uint64_t)(uintptr_t)s->buckets | (uint64_t)(s->n - 1) << 48 |
                      (uint64_t)s->depth << 56;
    uint64_t first = s->prefix << (t->depth_ - s->depth);
    for (uint64_t i = 0; i < 1ull << (t->depth_ - s->depth); i++) {
        table_dir(t)->at[first + i] = packed;
    }
}

static struct table__bucket *segment_bucket(const struct segment *s, uint64_t hash)
{
    uint64_t position = hash & TABLE__POSITION_MASK;
    return &s->buckets[((position << s->depth) >> 16) * s->n >> TABLE__POSITION_BITS];
}

static void gather_begin(struct gathered *g, uint64_t count)
{
    g->count = 0;
    g->at = count <= GATHER_MAX ? (void *)g->local : mem_alloc(count * sizeof g->local[0]);
}

static void gather(struct gathered *g, const struct segment *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        for (const struct table__bucket *b = &s->buckets[i]; b; b = bucket_next(b)) {
            for (unsigned j = 0; j < bucket_count(b); j++) {
                g->at[g->count++].item = table__pointer(b, j);
            }
        }
    }
}

/* --- how much may be moved (see above) --- */

static _Thread_local int64_t allowance; /* items; below 0 after a step that was larger */

static bool may_rebuild(void)
{
    if (allowance > REBUILD_SAVED_MAX) {
        allowance = REBUILD_SAVED_MAX;
    }
    return allowance > 0;
}

static void note_rebuild(size_t items)
{
    allowance -= (int64_t)items;
    pause_owe((int64_t)(items / PAUSE_UNIT_ITEMS));
}

/* Every item is a miss: they are touched ahead. */
static void gather_hashes(struct gathered *g, const struct table_type *type)
{
    note_rebuild(g->count);
    for (size_t i = 0; i < g->count; i++) {
        if (i + REBUILD_AHEAD < g->count) {
            const char *item = g->at[i + REBUILD_AHEAD].item;
            __builtin_prefetch(item);
            __builtin_prefetch(item + 31);
        }
        g->at[i].hash = type->hash(g->at[i].item);
    }
}

static void gather_end(struct gathered *g)
{
    if ((void *)g->at != (void *)g->local) {
        mem_free(g->at);
    }
}

/* Puts gathered items into new segments, of one depth and neighbours, the first being s. */
static void scatter(struct table *t, const struct gathered *g, const struct segment *s)
{
    for (size_t i = 0; i < g->count; i++) {
        uint64_t hash = g->at[i].hash;
        const struct segment *to = s;
        if (s->depth) {
            to += (hash >> (64 - s->depth)) - s->prefix;
        }
        bucket_add(t, segment_bucket(to, hash), (uint8_t)hash, g->at[i].item);
    }
}

/* Grow or shrink: the same items in another number of buckets. */
static void segment_resize(struct table *t, const struct table_type *type, struct segment old,
                           unsigned n)
{
    struct gathered g;
    gather_begin(&g, old.count);
    gather(&g, &old);
    assert(g.count == old.count); /* I2 */
    gather_hashes(&g, type);
    struct segment new = old;
    new.n = n;
    segment_new(t, &new);
    scatter(t, &g, &new);
    segment_publish(t, &new);
    segment_free(t, &old);
    gather_end(&g);
}

/* --- directory --- */

static struct table__dir *dir_new(unsigned depth)
{
    struct table__dir *dir = mem_alloc(sizeof *dir + (sizeof dir->at[0] << depth));
    dir->deepest = dir->buckets = 0;
    return dir;
}

static void dir_double(struct table *t)
{
    struct table__dir *old = table_dir(t), *new = dir_new(t->depth_ + 1u);
    new->buckets = old->buckets;
    for (uint64_t i = 0; i < 1ull << t->depth_; i++) {
        new->at[2 * i] = new->at[2 * i + 1] = old->at[i];
    }
    mem_free(old);
    t->root_ = new;
    t->depth_++;
}

static void dir_halve(struct table *t)
{
    struct table__dir *old = table_dir(t), *new = dir_new(t->depth_ - 1u);
    assert(t->depth_ > 1);
    new->buckets = old->buckets;
    t->depth_--;
    for (uint64_t i = 0; i < 1ull << t->depth_; i++) {
        assert(old->at[2 * i] == old->at[2 * i + 1]); /* I3 */
        new->at[i] = old->at[2 * i];
    }
    for (uint64_t i = 0; i < 1ull << t->depth_;) {
        unsigned depth = (unsigned)(new->at[i] >> 56);
        new->deepest += depth == t->depth_;
        i += 1ull << (t->depth_ - depth);
    }
    mem_free(old);
    t->root_ = new;
}

static void segment_split(struct table *t, const struct table_type *type, struct segment old)
{
    struct gathered g;
    gather_begin(&g, old.count);
    gather(&g, &old);
    gather_hashes(&g, type);
    unsigned depth = old.depth + 1;
    struct segment half[2] = {0};
    for (size_t i = 0; i < g.count; i++) {
        half[g.at[i].hash >> (64 - depth) & 1].count++;
    }
    struct table before = *t; /* to free the old segment by its own shape */
    if (t->depth_ == 0) {
        t->root_ = dir_new(1);
        t->depth_ = 1;
        t->buckets_ = 0;
    } else if (old.depth == t->depth_) {
        dir_double(t);
    }
    for (unsigned i = 0; i < 2; i++) {
        half[i].n = segment_size_for(half[i].count);
        half[i].depth = depth;
        half[i].prefix = old.prefix << 1 | i;
        segment_new(t, &half[i]);
    }
    scatter(t, &g, half);
    segment_publish(t, &half[0]);
    segment_publish(t, &half[1]);
    if (depth == t->depth_) {
        table_dir(t)->deepest += 2;
    }
    if (before.depth_ == 0) {
        uint32_t overflow = before.overflow_;
        segment_free(&before, &old);
        t->overflow_ -= overflow - before.overflow_;
    } else {
        segment_free(t, &old);
    }
    gather_end(&g);
}

/* Joins a segment with its sibling when both together are small; false when they are not. */
static bool segment_merge(struct table *t, const struct table_type *type, struct segment s)
{
    struct segment low = segment_at(t, (s.prefix & ~1ull) << (64 - s.depth));
    struct segment high = segment_at(t, (s.prefix | 1) << (64 - s.depth));
    if (low.depth != high.depth || low.count + high.count > MERGE_ITEMS_MAX) {
        return false;
    }
    struct gathered g;
    gather_begin(&g, low.count + high.count);
    gather(&g, &low);
    gather(&g, &high);
    gather_hashes(&g, type);
    if (low.depth == t->depth_) {
        table_dir(t)->deepest -= 2;
    }
    struct segment joined = {
        .n = segment_size_for(g.count),
        .depth = low.depth - 1,
        .prefix = low.prefix >> 1,
        .count = g.count,
    };
    segment_free(t, &low);
    segment_free(t, &high);
    if (joined.depth == 0) { /* the last two: back to a table without a directory */
        mem_free(table_dir(t));
        t->depth_ = 0;
    }
    segment_new(t, &joined);
    scatter(t, &g, &joined);
    segment_publish(t, &joined);
    while (t->depth_ > 1 && table_dir(t)->deepest == 0) {
        dir_halve(t);
    }
    gather_end(&g);
    return true;
}

/* --- adding and taking out --- */

/* The last step before the split is a large one: segments of a big table pass it all the time. */
static unsigned segment_grown(unsigned n)
{
    return n > TABLE_SEGMENT_BUCKETS / 2 ? TABLE_SEGMENT_BUCKETS : n + (n + 2) / 3;
}

/* Makes sure that the segment of this hash may take one more item. */
static void table_make_room(struct table *t, const struct table_type *type, uint64_t hash)
{
    for (;;) {
        struct segment s = segment_at(t, hash);
        const uint64_t limit = segment_limit(s.n);
        if (s.count < limit || (!may_rebuild() && s.count < limit * OVERLOAD_MAX)) {
            return;
        }
        if (s.n < TABLE_SEGMENT_BUCKETS) {
            segment_resize(t, type, s, segment_grown(s.n));
            return;
        }
        /* A hash that does not spread must not blow the directory up: rather long chains. */
        if (s.depth >= DEPTH_MAX || (t->count >> 5) >> (s.depth + 1) == 0) {
            return;
        }
        segment_split(t, type, s);
    }
}

void table_insert(struct table *t, const struct table_type *type, uint64_t hash, void *item)
{
    assert(t->flags_ == 0);
    allowance += REBUILD_PER_CHANGE;
    if (!t->root_) {
        t->root_ = buckets_alloc(1);
        t->buckets_ = 1;
    }
    table_make_room(t, type, hash);
    struct table__bucket *b = (struct table__bucket *)table__bucket(t, hash);
    bucket_add(t, b, (uint8_t)hash, item);
    t->count++;
    if (t->depth_) {
        struct segment s = segment_unpack(table_dir(t)->at[hash >> (64 - t->depth_)]);
        segment_header(s.buckets)->count++;
    }
}

void table_replace(struct table *t, uint64_t hash, const void *old_item, void *new_item)
{
    unsigned at;
    struct table__bucket *first = (struct table__bucket *)table__bucket(t, hash);
    struct table__bucket *b = chain_find(first, (uint8_t)hash, old_item, &at);
    assert(b);
    pointer_set(b, at, new_item);
}

/* An empty table keeps nothing. Most of its segments have merged before. */
static void table_release(struct table *t)
{
    assert(t->count == 0);
    if (t->depth_ == 0) {
        const struct segment s = segment_at(t, 0);
        segment_free(t, &s);
    } else {
        struct table__dir *dir = table_dir(t);
        for (uint64_t i = 0; i < 1ull << t->depth_;) {
            const struct segment s = segment_unpack(dir->at[i]);
            i += 1ull << (t->depth_ - s.depth);
            segment_free(t, &s);
        }
        assert(dir->buckets == 0);
        mem_free(dir);
    }
    assert(t->overflow_ == 0);
    table_init(t);
}

/* Shrinks the segment of this hash if it has become too empty. */
static void table_tighten(struct table *t, const struct table_type *type, uint64_t hash)
{
    if (!t->root_) {
        return;
    }
    if (t->count == 0) {
        table_release(t);
        return;
    }
    struct segment s = segment_at(t, hash);
    bool sparse = s.n > 1 && s.count * 5 < s.n * (uint64_t)LOAD_MAX * 2;
    if ((sparse && may_rebuild()) || s.count == 0) {
        if (s.depth > 0 && segment_merge(t, type, s)) {
            return;
        }
        unsigned n = segment_size_for(s.count);
        if (n < s.n) {
            segment_resize(t, type, s, n);
        }
    }
}

bool table_remove(struct table *t, const struct table_type *type, uint64_t hash, const void *item)
{
    assert(!(t->flags_ & FLAG_DRAINING));
    struct table__bucket *first = (struct table__bucket *)table__bucket(t, hash);
    unsigned at;
    struct table__bucket *b = chain_find(first, (uint8_t)hash, item, &at);
    if (!b) {
        return false;
    }
    chain_remove(t, first, b, at);
    t->count--;
    allowance += REBUILD_PER_CHANGE;
    if (t->depth_) {
        struct segment s = segment_unpack(table_dir(t)->at[hash >> (64 - t->depth_)]);
        segment_header(s.buckets)->count--;
    }
    if (!(t->flags_ & FLAG_SCANNING)) {
        table_tighten(t, type, hash);
    }
    return true;
}

/* --- walking --- */

/* First position (as a hash) behind the bucket; 0 behind the last one. */
static uint64_t bucket_end(const struct segment *s, unsigned bucket)
{
    uint64_t within = (((uint64_t)(bucket + 1) << TABLE__POSITION_BITS) + s->n - 1) / s->n;
    uint64_t width = (uint64_t)1 << (TABLE__POSITION_BITS - s->depth);
    uint64_t local = (within + ((uint64_t)1 << s->depth) - 1) >> s->depth;
    assert(local <= width);
    return (s->prefix * width + local) << 16; /* 2^48 becomes 0 */
}

uint64_t table_scan(struct table *t, uint64_t pos, table_visit *visit, void *ctx)
{
    assert(!(t->flags_ & FLAG_SCANNING));
    if (!t->root_) {
        return 0;
    }
    struct segment s = segment_at(t, pos);
    struct table__bucket *first = segment_bucket(&s, pos);
    unsigned count = 0;
    for (const struct table__bucket *b = first; b; b = bucket_next(b)) {
        count += bucket_count(b);
    }
    /* Gathered first: a visit that removes its item moves others. */
    void *local[CHAIN_GATHER], **items = local;
    if (count > CHAIN_GATHER) {
        items = mem_alloc(count * sizeof(void *));
    }
    unsigned n = 0;
    for (const struct table__bucket *b = first; b; b = bucket_next(b)) {
        for (unsigned i = 0; i < bucket_count(b); i++) {
            items[n] = table__pointer(b, i);
            __builtin_prefetch(items[n]);
            n++;
        }
    }
    t->flags_ |= FLAG_SCANNING;
    for (unsigned i = 0; i < n; i++) {
        visit(items[i], ctx);
    }
    t->flags_ &= (uint8_t)~FLAG_SCANNING;
    if (items != local) {
        mem_free(items);
    }
    return bucket_end(&s, (unsigned)(first - s.buckets));
}

uint64_t table_scan_remove(struct table *t, const struct table_type *type, uint64_t pos,
                           table_visit *visit, void *ctx)
{
    uint64_t next = table_scan(t, pos, visit, ctx);
    table_tighten(t, type, pos);
    return next;
}

/* Rejection makes it even: a bucket is drawn evenly and kept as often as it is full, a segment as
 * often as it has few copies in the directory and many buckets. */
void *table_random(const struct table *t, uint64_t (*random)(void *ctx), void *ctx)
{
    enum { CHAIN_MAX = 2 * TABLE_BUCKET_ITEMS }; /* longer chains count as this */
    void *fallback = NULL;
    for (int tries = 0; t->count > 0 && (tries < RANDOM_TRIES || !fallback); tries++) {
        uint64_t r = random(ctx);
        struct segment s = segment_at(t, r);
        const struct table__bucket *b = segment_bucket(&s, r);
        unsigned count = 0;
        for (const struct table__bucket *at = b; at; at = bucket_next(at)) {
            count += bucket_count(at);
        }
        if (count == 0) {
            continue;
        }
        uint64_t r2 = random(ctx);
        unsigned pick = (unsigned)((r2 >> 32) * count >> 32);
        const struct table__bucket *from = b;
        while (pick >= bucket_count(from)) {
            pick -= bucket_count(from);
            from = bucket_next(from);
        }
        fallback = table__pointer(from, pick);
        uint64_t weight = t->count <= TABLE_BUCKET_ITEMS && s.n == 1 ? CHAIN_MAX : count;
        uint64_t limit = CHAIN_MAX;
        if (t->depth_) {
            weight *= s.n;
            limit *= (uint64_t)TABLE_SEGMENT_BUCKETS;
            limit <<= t->depth_ - s.depth;
        }
        if ((r2 & UINT32_MAX) * limit >> 32 < weight) {
            break;
        }
    }
    return fallback;
}

void table_compact(struct table *t, uint64_t pos)
{
    assert(t->flags_ == 0);
    if (!t->root_) {
        return;
    }
    struct segment s = segment_at(t, pos);
    struct table__bucket *b = segment_bucket(&s, pos);
    if (b == s.buckets) { /* the segment's first bucket stands for the whole array */
        unsigned header = t->depth_ ? 1 : 0;
        size_t bytes = (s.n + header) * sizeof *b;
        if (bytes <= SLAB_MAX_BYTES && slab_is_sparse(s.buckets - header)) {
            struct table__bucket *moved = slab_alloc(bytes);
            memcpy(moved, s.buckets - header, bytes);
            slab_free(s.buckets - header, bytes);
            b = s.buckets = moved + header;
            segment_publish(t, &s);
        }
    }
    for (; b->state & TABLE__CHAINED; b = bucket_next(b)) {
        struct table__bucket *next = bucket_next(b);
        if (slab_is_sparse(next)) {
            struct table__bucket *moved = slab_alloc(sizeof *moved);
            *moved = *next;
            slab_free(next, sizeof *next);
            pointer_set(b, TABLE_BUCKET_ITEMS - 1, moved);
        }
    }
}

static void touch_items(const struct table__bucket *b)
{
    for (unsigned i = 0; i < bucket_count(b); i++) {
        table__touch(table__pointer(b, i));
    }
}

/* A bucket with what is chained to it, items replaced by their clones. */
static void bucket_clone(struct table__bucket *to, const struct table__bucket *from,
                         table_clone_item *clone, void *ctx)
{
    for (;;) {
        *to = *from;
        for (unsigned i = 0; i < bucket_count(from); i++) {
            pointer_set(to, i, clone(table__pointer(from, i), ctx));
        }
        from = bucket_next(from);
        if (!from) {
            return;
        }
        struct table__bucket *next = buckets_alloc(1);
        pointer_set(to, TABLE_BUCKET_ITEMS - 1, next);
        to = next;
    }
}

static void segment_clone(struct table__bucket *to, const struct table__bucket *from, unsigned n,
                          table_clone_item *clone, void *ctx)
{
    for (unsigned i = 0; i < n; i++) {
        if (i + CLONE_AHEAD < n) {
            touch_items(&from[i + CLONE_AHEAD]);
        }
        pause_point(bucket_count(&from[i]) + 1);
        bucket_clone(&to[i], &from[i], clone, ctx);
    }
}

void table_clone(struct table *to, const struct table *from, table_clone_item *clone, void *ctx)
{
    assert(to->count == 0 && !to->root_ && from->flags_ == 0);
    if (!from->root_) {
        return;
    }
    *to = *from;
    if (from->depth_ == 0) {
        to->root_ = buckets_alloc(from->buckets_);
        segment_clone(to->root_, from->root_, from->buckets_, clone, ctx);
        return;
    }
    const struct table__dir *dir = table_dir(from);
    struct table__dir *copy = mem_alloc(sizeof *copy + (sizeof(uint64_t) << from->depth_));
    to->root_ = copy;
    copy->deepest = dir->deepest;
    copy->buckets = 0; /* segment_new() counts */
    for (uint64_t i = 0; i < 1ull << from->depth_;) {
        struct segment s = segment_unpack(dir->at[i]), new = s;
        new.count = segment_header(s.buckets)->count;
        new.prefix = i >> (from->depth_ - s.depth);
        segment_new(to, &new);
        segment_clone(new.buckets, s.buckets, s.n, clone, ctx);
        segment_publish(to, &new);
        i += 1ull << (from->depth_ - s.depth);
    }
    assert(copy->buckets == dir->buckets);
}

size_t table_bytes(const struct table *t)
{
    size_t buckets = t->overflow_ + (size_t)t->buckets_;
    size_t dir = 0;
    if (t->depth_) {
        dir = sizeof(struct table__dir) + (sizeof(uint64_t) << t->depth_);
        buckets += table_dir(t)->buckets;
    }
    return buckets * sizeof(struct table__bucket) + dir;
}

/* --- freeing in slices --- */

/* Frees items of a segment, bucket by bucket; true when it is empty. */
static bool segment_drain(struct table *t, struct segment *s, table_visit *free_item, void *ctx,
                          size_t *budget)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct table__bucket *first = &s->buckets[i];
        while (bucket_count(first) > 0) {
            if (*budget == 0) {
                return false;
            }
            struct table__bucket *last = first;
            while (last->state & TABLE__CHAINED) {
                last = bucket_next(last);
            }
            unsigned end = bucket_count(last) - 1;
            void *item = table__pointer(last, end);
            chain_remove(t, first, last, end);
            t->count--;
            --*budget;
            free_item(item, ctx);
        }
    }
    return true;
}

bool table_drain(struct table *t, table_visit *free_item, void *ctx, size_t budget)
{
    if (!t->root_) {
        table_init(t);
        return true;
    }
    if (t->depth_ == 0) {
        t->flags_ |= FLAG_DRAINING;
        struct segment s = segment_at(t, 0);
        if (!segment_drain(t, &s, free_item, ctx, &budget)) {
            return false;
        }
        segment_free(t, &s);
        table_init(t);
        return true;
    }
    struct table__dir *dir = table_dir(t);
    if (!(t->flags_ & FLAG_DRAINING)) {
        t->flags_ |= FLAG_DRAINING;
        dir->deepest = 0; /* from here on: the first entry not yet freed */
    }
    while (dir->deepest < 1ull << t->depth_) {
        struct segment s = segment_unpack(dir->at[dir->deepest]);
        if (!segment_drain(t, &s, free_item, ctx, &budget)) {
            return false;
        }
        dir->deepest += 1ull << (t->depth_ - s.depth);
        segment_free(t, &s);
    }
    assert(t->count == 0 && t->overflow_ == 0 && dir->buckets == 0);
    mem_free(dir);
    table_init(t);
    return true;
}
