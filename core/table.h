/* table.h - the hash table of slots, large hashes and large sets. Owner: one thread.
 *
 * Items are pointers (48 bits) to what the caller allocates; the table stores no keys. A bucket
 * is one cache line: 9 items of 6 bytes, 9 one-byte tags, one byte of state. A full bucket chains
 * to an overflow bucket.
 *
 *   byte 0      1 … 9       10 … 63
 *   state       9 tags      9 pointers of 48 bits (the ninth links to the overflow bucket, if any)
 *
 * The place of an item is taken from the high bits of its hash: bucket = hash * buckets >> 64, so
 * a table lies in hash order whatever its size, and need not be a power of two: it grows by less
 * than doubling. A table that outgrows a segment (TABLE_SEGMENT_BUCKETS) becomes a directory of
 * the top hash bits whose segments grow and split one at a time (extendible hashing, Fagin et al.
 * 1979): no insertion ever moves more than one segment's items.
 *
 * Scanning goes in hash order: a cursor is a hash position and survives growth and shrinking.
 * Shrinking happens the same way, one segment at a time.
 */
#ifndef ASHLAR_CORE_TABLE_H
#define ASHLAR_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TABLE_BUCKET_ITEMS = 9,
    TABLE_SEGMENT_BUCKETS = 256, /* of one segment at most: about 2,000 items, 16 KiB */
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
/* Adds an item; the caller has made sure that no equal one is there. */
void table_insert(struct table *t, const struct table_type *type, uint64_t hash, void *item);
/* Puts another pointer in an item's place (the entry was reallocated). Same hash. */
void table_replace(struct table *t, uint64_t hash, const void *old_item, void *new_item);
/* Takes an item out; the caller frees it. False if it is not there. */
bool table_remove(struct table *t, const struct table_type *type, uint64_t hash, const void *item);

/* Touching memory early, for batches: first the bucket, later the items whose tag fits. */
void table_prefetch_bucket(const struct table *t, uint64_t hash);
void table_prefetch_item(const struct table *t, uint64_t hash);

/* Visits all items of the bucket that covers position pos (visit may remove or replace the item
 * it is given, nothing else) and returns the next position; 0 when the end is reached.
 * Start with 0. */
uint64_t table_scan(struct table *t, uint64_t pos, table_visit *visit, void *ctx);
/* A random item, close to evenly; NULL when empty. random is 64 fresh random bits per call. */
void *table_random(const struct table *t, uint64_t (*random)(void *ctx), void *ctx);
/* Memory of buckets and directory, bytes. */
size_t table_bytes(const struct table *t);
/* Frees items (by visit) and buckets, at most about budget items per call; true when done and the
 * table is as after table_init(). */
bool table_drain(struct table *t, table_visit *free_item, void *ctx, size_t budget);

#endif
