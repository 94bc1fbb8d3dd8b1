/* entry.h - a key and its value (or where it lies), in one allocation. Owner: the slot's shard.
 *
 *   ┌────────┬──────────┬─────────┬──────────┬───────┬──────────────┐
 *   │ header │ expiry 8 │ word 8  │ long len │  key  │ value inline │
 *   │ 8      │ if any   │ if any  │ 8 if any │       │ if inline    │
 *   └────────┴──────────┴─────────┴──────────┴───────┴──────────────┘
 *
 * word: the integer of ENC_INT, or the pointer to a blob or a collection; inline strings have
 * none. Keys of 255 bytes and more keep their length in the long len word. An entry's size follows
 * from its header, so the slab needs no usable-size look-up.
 *
 *   SET k 12345678 (16-byte key)  8 + 8 + 16      = 32
 *   SET k <32 bytes>              8 + 16 + 32     = 56
 *   … with a TTL                  8 + 8 + 16 + 32 = 64
 *
 * Setting an expiry, or another value, may move the entry: functions that can do so return the
 * entry's new address and have put it in the old one's place in the table.
 */
#ifndef ASHLAR_CORE_ENTRY_H
#define ASHLAR_CORE_ENTRY_H

#include "core/blob.h"
#include "proto/slice.h"
#include <assert.h>
#include <stdint.h>
#include <string.h>

enum value_type { TYPE_STRING, TYPE_LIST, TYPE_SET, TYPE_ZSET, TYPE_HASH, TYPE_STREAM, TYPE_COUNT };

enum value_encoding {
    ENC_INLINE,    /* string: value bytes in the entry */
    ENC_INT,       /* string: int64_t in the word */
    ENC_BLOB,      /* string: struct blob * in the word */
    ENC_LISTPACK,  /* list, set, zset, hash */
    ENC_QUICKLIST, /* list */
    ENC_INTSET,    /* set */
    ENC_TABLE,     /* set, hash */
    ENC_TREE,      /* zset, stream */
};

enum entry_flag {
    ENTRY_EXPIRES = 1,  /* has an expiry word */
    ENTRY_LONG_KEY = 2, /* key length in the long len word */
    ENTRY_RAW = 4,      /* string changed in place (APPEND, SETRANGE): OBJECT ENCODING says "raw" */
};

enum { ENTRY_INLINE_MAX = 448 }; /* longest inline value, bytes; larger ones are blobs */

struct entry {
    uint32_t type : 4;
    uint32_t encoding : 4;
    uint32_t lru : 24;      /* access clock in seconds, or LFU: 16 bits minutes, 8 bits counter */
    uint8_t flags;          /* enum entry_flag */
    uint8_t key_len;        /* unless ENTRY_LONG_KEY */
    uint16_t value_len;     /* of an inline value */
    char rest[];
};
static_assert(sizeof(struct entry) == 8, "the header is one word");

static inline bool entry_has_word(const struct entry *e)
{
    return e->encoding != ENC_INLINE;
}

static inline size_t entry__word_at(const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES) ? 8 : 0;
}

static inline size_t entry__long_at(const struct entry *e)
{
    return entry__word_at(e) + (entry_has_word(e) ? 8 : 0);
}

static inline size_t entry__key_at(const struct entry *e)
{
    return entry__long_at(e) + ((e->flags & ENTRY_LONG_KEY) ? 8 : 0);
}

static inline struct slice entry_key(const struct entry *e)
{
    size_t len = e->key_len;
    if (e->flags & ENTRY_LONG_KEY) {
        uint64_t wide;
        memcpy(&wide, e->rest + entry__long_at(e), 8);
        len = wide;
    }
    return slice_of(e->rest + entry__key_at(e), len);
}

/* Unix time in milliseconds, or -1 when the key does not expire. */
static inline int64_t entry_expiry_ms(const struct entry *e)
{
    int64_t at = -1;
    if (e->flags & ENTRY_EXPIRES) {
        memcpy(&at, e->rest, 8);
    }
    return at;
}

static inline void *entry_object(const struct entry *e)
{
    void *p;
    assert(e->encoding >= ENC_BLOB);
    memcpy(&p, e->rest + entry__word_at(e), 8);
    return p;
}

static inline void entry_set_object(struct entry *e, void *p)
{
    assert(e->encoding >= ENC_BLOB);
    memcpy(e->rest + entry__word_at(e), &p, 8);
}

static inline int64_t entry_int(const struct entry *e)
{
    int64_t v;
    assert(e->encoding == ENC_INT);
    memcpy(&v, e->rest + entry__word_at(e), 8);
    return v;
}

static inline void entry_set_int(struct entry *e, int64_t v)
{
    assert(e->encoding == ENC_INT);
    memcpy(e->rest + entry__word_at(e), &v, 8);
}

/* Bytes of the allocation. */
static inline size_t entry_bytes(const struct entry *e)
{
    return sizeof *e + entry__key_at(e) + entry_key(e).len + (entry_has_word(e) ? 0 : e->value_len);
}

/* The bytes of a string value. Integers are printed into buf (at least 24 bytes). Valid until the
 * entry changes. */
struct slice entry_string(const struct entry *e, char buf[24]);
static inline char *entry_inline_value(struct entry *e)
{
    assert(e->encoding == ENC_INLINE);
    return e->rest + entry__key_at(e) + entry_key(e).len;
}

/* Frees the value (blob, collection) and the entry. Large values are freed in slices by the
 * keyspace's background work (keyspace_free_later), small ones at once. */
void entry_free(struct entry *e);

#endif
