/* hash_fields.h - the fields of a large hash: a table (table.h) of items, one allocation each.
 *
 *   ┌────────┬─────────────┬──────────┬───────┬───────┐
 *   │ header │ lengths 16  │ expiry 8 │ field │ value │
 *   │ 3      │ if WIDE     │ if any   │       │       │
 *   └────────┴─────────────┴──────────┴───────┴───────┘
 *
 * The header has room for lengths of up to 255 bytes each; where one is longer, both stand behind
 * it. A field of 14 bytes with a value of 12 takes 29 bytes, a slab block of 32, and 10.4 bytes of
 * table. The size of an item follows from its header.
 *
 * Expiry: each item may have one. Once one has, the range of hashes is divided into 2^region_bits_
 * equal regions of some HASH_REGION_FIELDS fields each, and for every region a lower bound of its
 * earliest expiry is kept: 8 bytes per thousand fields. hash_fields_purge() deletes what is due in
 * bounded steps, and looks only at regions where something may be: in a hash of a million fields,
 * a few that are due cost a few thousand looks, not a million.
 *
 *   hash ─► region hash >> (64 - bits): bounds_[region] ─► min of all: expire_min_ms
 *
 * F1  expiring is the number of items with an expiry; bounds_ is there exactly when it is not 0.
 * F2  expire_min_ms is never later than the earliest expiry, nor bounds_[r] than that of the items
 *     of region r; INT64_MAX when there is none.
 * F3  item_bytes is the sum of the items' blocks.
 *
 * Owner: one thread; what it allocates may be freed by any. */
#ifndef ASHLAR_CORE_HASH_FIELDS_H
#define ASHLAR_CORE_HASH_FIELDS_H

#include "core/hash.h"
#include "core/table.h"
#include "proto/slice.h"

#define HASH_NO_EXPIRY INT64_C(-1)

enum hash_item_flag {
    HASH_ITEM_WIDE = 1,    /* lengths behind the header */
    HASH_ITEM_EXPIRES = 2, /* has an expiry word */
};

enum { HASH_ITEM_NARROW_MAX = 255, HASH_ITEM_WIDE_BYTES = 16 };
enum { HASH_REGION_FIELDS = 1024 }; /* on average; twice as many before regions are halved */

struct hash_item {
    uint8_t flags;                /* enum hash_item_flag */
    uint8_t field_len, value_len; /* unless WIDE */
    char rest[];
};
static_assert(sizeof(struct hash_item) == 3, "the header is three bytes");

struct hash_fields {
    struct table table;
    size_t item_bytes;
    uint64_t expiring;
    int64_t expire_min_ms;
    int64_t *bounds_;      /* by region */
    uint64_t purge_pos_;   /* where hash_fields_purge() goes on; 0: at the start */
    int64_t purge_min_ms_; /* earliest expiry met in its region, or set anywhere meanwhile */
    uint8_t region_bits_;
    bool in_region_;       /* purge_pos_ lies in a region that has been begun with */
};

static inline size_t hash_item__len(const struct hash_item *item, unsigned which)
{
    uint64_t len = which ? item->value_len : item->field_len;
    if (__builtin_expect(item->flags & HASH_ITEM_WIDE, 0)) {
        memcpy(&len, item->rest + 8 * which, 8);
    }
    return len;
}

static inline size_t hash_item__field_at(const struct hash_item *item)
{
    return (item->flags & HASH_ITEM_WIDE ? HASH_ITEM_WIDE_BYTES : 0) +
           (item->flags & HASH_ITEM_EXPIRES ? 8 : 0);
}

static inline struct slice hash_item_field(const struct hash_item *item)
{
    return slice_of(item->rest + hash_item__field_at(item), hash_item__len(item, 0));
}

static inline struct slice hash_item_value(const struct hash_item *item)
{
    return slice_of(item->rest + hash_item__field_at(item) + hash_item__len(item, 0),
                    hash_item__len(item, 1));
}

/* Unix time in milliseconds, or HASH_NO_EXPIRY. */
static inline int64_t hash_item_expiry_ms(const struct hash_item *item)
{
    int64_t at_ms = HASH_NO_EXPIRY;
    if (item->flags & HASH_ITEM_EXPIRES) {
        memcpy(&at_ms, item->rest + hash_item__field_at(item) - 8, 8);
    }
    return at_ms;
}

static inline bool hash_item_is(const void *candidate, const void *wanted)
{
    const struct slice field = hash_item_field(candidate);
    return slice_equal(field, *(const struct slice *)wanted);
}

/* hash is always hash_bytes() of the field. */
static inline struct hash_item *hash_fields_find(const struct hash_fields *f, uint64_t hash,
                                                 struct slice field)
{
    return table_find_inline(&f->table, hash, hash_item_is, &field);
}

struct hash_fields *hash_fields_new(void);
struct hash_fields *hash_fields_copy(const struct hash_fields *f);
void hash_fields_free(struct hash_fields *f);
/* Frees about budget items; true when f is gone. Once begun, nothing else may be done with f. */
bool hash_fields_free_slice(struct hash_fields *f, size_t budget);
/* Adds a field that is not there. */
void hash_fields_add(struct hash_fields *f, uint64_t hash, struct slice field, struct slice value,
                     int64_t at_ms);
/* Gives a field another value and another expiry (or none). value may be the item's own. */
void hash_fields_set(struct hash_fields *f, uint64_t hash, struct hash_item *item,
                     struct slice value, int64_t at_ms);
void hash_fields_remove(struct hash_fields *f, uint64_t hash, struct hash_item *item);
/* Deletes fields whose expiry lies before now_ms; goes on at the next call where it stopped.
 * *budget is how many fields it may look at, about, and becomes what is left of that. Returns how
 * many it deleted. */
size_t hash_fields_purge(struct hash_fields *f, int64_t now_ms, size_t *budget);
/* Memory of items, table and the struct itself. */
size_t hash_fields_bytes(const struct hash_fields *f);

#endif
