/* table.h - the hash table of slots, large hashes and large sets. Owner: one thread.
 *
 * Items are pointers (48 bits) to what the caller allocates; the table stores no keys. A bucket
 * is one cache line: 9 items of 6 bytes, 9 one-byte tags, one byte of state. A full bucket chains
 * to an overflow bucket.
 *
 *   byte 0      1 … 9       10 … 63
 *   state       9 tags      9 pointers of 48 bits (the ninth links to the overflow bucket, if any)
 *
 * The place of an item is its *position*, the high 48 bits of its hash: bucket = position *
 * buckets >> 48. So a table lies in hash order whatever its size, and need not be a power of two:
 * it grows by a third. A table that outgrows a segment (TABLE_SEGMENT_BUCKETS) becomes a directory
 * of the top hash bits whose segments grow and split one at a time (extendible hashing, Fagin et
 * al. 1979): no insertion ever moves more than one segment's items. The tag is the hash's low byte.
 *
 * Scanning goes in hash order: a cursor is a hash position and survives growth and shrinking.
 * Shrinking happens the same way, one segment at a time. Cursors have their low 16 bits clear (the
 * position has 48), so that a caller may put pos >> 16 into a cursor of its own.
 *
 * A zeroed struct table is an empty table.
 */
#ifndef ASHLAR_CORE_TABLE_H
#define ASHLAR_CORE_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    TABLE_BUCKET_ITEMS = 9,
    TABLE_SEGMENT_BUCKETS = 255, /* of one segment at most: about 2,000 items, 16 KiB with header */
};

struct table {
    void *root_;       /* buckets of the one segment, or the directory */
    uint64_t count;    /* items */
    uint16_t buckets_; /* of the one segment; 0 when empty */
    uint8_t depth_;    /* directory of 2^depth entries; 0: one segment */
    uint8_t flags_;
    uint32_t overflow_; /* overflow buckets */
};

struct table_type {
    uint64_t (*hash)(const void *item); /* to find an item's new place when a segment grows */
};

typedef bool table_match(const void *item, const void *wanted);
typedef void table_visit(void *item, void *ctx);

void table_init(struct table *t);
/* The item that match() accepts among those with this hash, or NULL. */
void *table_find(const struct table *t, uint64_t hash, table_match *match, const void *wanted);
/* The same, inlined where it is called, match included (below). */
static inline void *table_find_inline(const struct table *t, uint64_t hash, table_match *match,
                                      const void *wanted);
/* Adds an item; the caller has made sure that no equal one is there. */
void table_insert(struct table *t, const struct table_type *type, uint64_t hash, void *item);
/* Puts another pointer in an item's place (the entry was reallocated). Same hash. */
void table_replace(struct table *t, uint64_t hash, const void *old_item, void *new_item);
/* Takes an item out; the caller frees it. False if it is not there. */
bool table_remove(struct table *t, const struct table_type *type, uint64_t hash, const void *item);

/* Touching memory early, for batches: first the bucket, later the items whose tag fits. */
static inline void table_prefetch_bucket(const struct table *t, uint64_t hash);
static inline void table_prefetch_item(const struct table *t, uint64_t hash);

/* Visits all items of the bucket that covers position pos and returns the next position; 0 when
 * the end is reached. Start with 0. visit may remove or replace the item it is given, nothing
 * else; what becomes too empty by that shrinks at the next removal outside a scan. */
uint64_t table_scan(struct table *t, uint64_t pos, table_visit *visit, void *ctx);
/* The same, and shrinks when the visits have removed much. */
uint64_t table_scan_remove(struct table *t, const struct table_type *type, uint64_t pos,
                           table_visit *visit, void *ctx);
/* A random item, evenly; NULL when empty. random is 64 fresh random bits per call. */
void *table_random(const struct table *t, uint64_t (*random)(void *ctx), void *ctx);
/* Moves the buckets that cover position pos (with pos as table_scan gives it) to better places, if
 * there are any (slab_is_sparse). The items stay; between scans only. */
void table_compact(struct table *t, uint64_t pos);
/* Makes the empty table to a table like from, bucket by bucket: no hashing and no growing;
 * each item is what clone() makes of from's (the same pointer, if the caller replaces it later). The
 * items are touched ahead. */
typedef void *table_clone_item(void *item, void *ctx);
void table_clone(struct table *to, const struct table *from, table_clone_item *clone, void *ctx);
/* Memory of buckets and directory, bytes. */
size_t table_bytes(const struct table *t);
/* Frees items (by visit) and buckets, at most about budget items per call; true when done and the
 * table is as after table_init(). Once begun, nothing else may be done with the table. */
bool table_drain(struct table *t, table_visit *free_item, void *ctx, size_t budget);

/* --- what follows is private to table.c and the inlined functions --- */

enum {
    TABLE__COUNT_MASK = 15, /* state: items in this bucket, packed from 0; 8 when chained */
    TABLE__CHAINED = 16,    /* state: the ninth pointer is the overflow bucket */
};

struct table__bucket {
    uint8_t state;
    uint8_t tags[TABLE_BUCKET_ITEMS];
    uint8_t pointers[6 * TABLE_BUCKET_ITEMS];
} __attribute__((aligned(64)));
static_assert(sizeof(struct table__bucket) == 64, "a bucket is a cache line");

/* A directory's entry: the segment's buckets (48 bits), their number - 1 (8), its local depth (8).
 * A segment of local depth d covers 2^(depth - d) neighbouring entries, all equal. */
struct table__dir {
    uint64_t deepest;      /* segments whose local depth is the directory's; while draining: entry */
    uint64_t buckets;      /* of all segments, with their header lines, without overflow */
    uint64_t at[];
};

enum { TABLE__POSITION_BITS = 48 };
#define TABLE__POINTER_MASK ((1ull << 48) - 1)
#define TABLE__POSITION_MASK (~0xffffull) /* the hash bits that make the position */

/* gcc takes a loop that does nothing but prefetch for one without effect, and deletes it: the asm
 * keeps it. */
static inline void table__touch(const void *p)
{
    __builtin_prefetch(p);
    __asm__ volatile("" : : "r"(p));
}

static inline void *table__pointer(const struct table__bucket *b, unsigned i)
{
    uint64_t word; /* the pointer and the two bytes before it: never reads past the bucket */
    memcpy(&word, b->pointers + 6 * i - 2, 8);
    return (void *)(uintptr_t)(word >> 16);
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pointers are cut from words");

static inline const struct table__bucket *table__bucket(const struct table *t, uint64_t hash)
{
    uint64_t position = hash & TABLE__POSITION_MASK;
    if (__builtin_expect(t->depth_ == 0, 1)) {
        /* Empty: NULL + 0. */
        return (const struct table__bucket *)t->root_ + ((position >> 16) * t->buckets_ >> 48);
    }
    const struct table__dir *dir = t->root_;
    uint64_t segment = dir->at[position >> (64 - t->depth_)];
    uint64_t buckets = (segment >> 48 & 255) + 1;
    uint64_t depth = segment >> 56;
    return (const struct table__bucket *)(uintptr_t)(segment & TABLE__POINTER_MASK) +
           (((position << depth) >> 16) * buckets >> 48);
}

/* Bit i: item i has this tag. */
static inline unsigned table__match_tags(const struct table__bucket *b, uint8_t tag)
{
    unsigned used = (1u << (b->state & TABLE__COUNT_MASK)) - 1;
#if defined(__SSE2__)
    __m128i head = _mm_load_si128((const __m128i *)b);
    int equal = _mm_movemask_epi8(_mm_cmpeq_epi8(head, _mm_set1_epi8((char)tag)));
    return (unsigned)equal >> 1 & used;
#else
    unsigned equal = 0;
    for (unsigned i = 0; i < TABLE_BUCKET_ITEMS; i++) {
        equal |= (unsigned)(b->tags[i] == tag) << i;
    }
    return equal & used;
#endif
}

static inline void *table_find_inline(const struct table *t, uint64_t hash, table_match *match,
                                      const void *wanted)
{
    const struct table__bucket *b = table__bucket(t, hash);
    if (!b) {
        return NULL;
    }
    for (;;) {
        for (unsigned hits = table__match_tags(b, (uint8_t)hash); hits; hits &= hits - 1) {
            void *item = table__pointer(b, (unsigned)__builtin_ctz(hits));
            if (__builtin_expect(match(item, wanted), 1)) {
                return item;
            }
        }
        if (__builtin_expect(!(b->state & TABLE__CHAINED), 1)) {
            return NULL;
        }
        b = table__pointer(b, TABLE_BUCKET_ITEMS - 1);
    }
}

static inline void table_prefetch_bucket(const struct table *t, uint64_t hash)
{
    table__touch(table__bucket(t, hash));
}

static inline void table_prefetch_item(const struct table *t, uint64_t hash)
{
    const struct table__bucket *b = table__bucket(t, hash);
    if (!b) {
        return;
    }
    for (unsigned hits = table__match_tags(b, (uint8_t)hash); hits; hits &= hits - 1) {
        const char *item = table__pointer(b, (unsigned)__builtin_ctz(hits));
        table__touch(item);
        table__touch(item + 48); /* most items of interest reach into a second line */
    }
    if (__builtin_expect(b->state & TABLE__CHAINED, 0)) {
        table__touch(table__pointer(b, TABLE_BUCKET_ITEMS - 1));
    }
}

#endif
