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
#include "core/settings.h"
#include "core/table.h"
#include "proto/slice.h"
#include <assert.h>
#include <stdbool.h>
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
    ENC_LISTPACK_EX, /* hash with fields that expire */
    ENC_COUNT,
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

/* --- making and freeing --- */

/* What an entry looks like besides its key. */
struct entry_shape {
    enum value_type type;
    enum value_encoding encoding;
    bool expires;
    size_t inline_len; /* ENC_INLINE */
};

/* Bytes that an entry of this shape takes. */
static inline size_t entry_shape_bytes(const struct entry_shape *shape, size_t key_len)
{
    return sizeof(struct entry) + (shape->expires ? 8 : 0) +
           (shape->encoding == ENC_INLINE ? shape->inline_len : 8) + (key_len >= 255 ? 8 : 0) +
           key_len;
}

/* Header and key are filled in; the value and the expiry are the caller's. Access clock 0. */
struct entry *entry_new(struct slice key, const struct entry_shape *shape);
/* The same entry in another shape, moved if its size class differs; access clock, ENTRY_RAW and
 * (if both shapes have one) expiry stay, the value's bytes are the caller's to write. The old value
 * is not looked at: whoever needs it takes it out first. */
struct entry *entry_reshape(struct entry *e, const struct entry_shape *shape);
/* The same entry and value with an expiry word (to be set next), or without; may move. */
struct entry *entry_add_expiry(struct entry *e);
struct entry *entry_drop_expiry(struct entry *e);
/* The same value, expiry and access clock under another key; moves. */
struct entry *entry_rename(struct entry *e, struct slice key);
/* Moves an entry to a better place, if there is one (slab_is_sparse); its address, maybe the old. */
struct entry *entry_compact(struct entry *e);
/* Gives an entry that has an expiry word another expiry. */
static inline void entry_set_expiry_ms(struct entry *e, int64_t at_ms)
{
    assert(e->flags & ENTRY_EXPIRES);
    memcpy(e->rest, &at_ms, 8);
}

/* Frees the entry alone; its value has been taken over by somebody else. */
void entry_free_shell(struct entry *e);
/* Frees the value (blob, collection) and the entry, all at once. */
void entry_free(struct entry *e);
/* Memory of entry and value, bytes (MEMORY USAGE). */
size_t entry_memory(const struct entry *e);
/* hash_bytes() of the key. */
uint64_t entry_hash(const struct entry *e);

/* --- values by type and encoding ---
 * What the keyspace must be able to do with values that it does not know. One row per type and
 * encoding, in entry.c; rows of types that are not built in are NULL, and meeting such a value
 * asserts. */
struct value_ops {
    /* Frees the value at once. */
    void (*free)(void *object);
    /* Frees about budget units (elements, or pages of memory); true when the value is gone.
     * *progress is 0 at the first call and the callee's own then. NULL: free() is always quick. */
    bool (*free_slice)(void *object, size_t budget, uint64_t *progress);
    /* How long free() would take, in elements or pages: beyond VALUE_FREE_AT_ONCE it is sliced. */
    size_t (*free_effort)(const void *object);
    size_t (*bytes)(const void *object);
    /* Mixes the value into a key's digest as DEBUG DIGEST does (keyspace_digest). */
    void (*digest)(const void *object, uint8_t digest[20]);
    /* Lower bound of the earliest expiry within the value (a hash's fields), INT64_MAX if there is
     * none. NULL: never any. */
    int64_t (*expire_min_ms)(const void *object);
    /* The table in which members or fields are found by hash_bytes() of their names; NULL: none. */
    const struct table *(*members)(const void *object);
};
enum { VALUE_FREE_AT_ONCE = 64 };
const struct value_ops *entry_value_ops(enum value_type type, enum value_encoding encoding);

/* --- access clock. LRU: the second of the last access, modulo 2^24. LFU: the minute of the last
 * decay, modulo 2^16, and a logarithmic counter of accesses. Which of the two is kept depends on
 * maxmemory-policy. --- */
enum { LFU_INIT = 5 };
/* As of a new value. */
uint32_t entry_clock_new(const struct settings *settings, int64_t now_ms);
/* An access; random is 64 random bits (LFU counts by chance). */
void entry_touch(struct entry *e, const struct settings *settings, int64_t now_ms, uint64_t random);
/* LFU counter, decayed to now (OBJECT FREQ). */
uint8_t entry_lfu_counter(const struct entry *e, const struct settings *settings, int64_t now_ms);
/* Seconds since the last access (OBJECT IDLETIME); needs an LRU policy. */
int64_t entry_idle_s(const struct entry *e, int64_t now_ms);
/* RESTORE IDLETIME and FREQ, loading. */
void entry_set_idle_s(struct entry *e, int64_t idle_s, int64_t now_ms);
void entry_set_lfu(struct entry *e, uint8_t counter, int64_t now_ms);

#endif
