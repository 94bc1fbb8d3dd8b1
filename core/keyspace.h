/* keyspace.h - the keys of one shard: per database, a table per slot.
 *
 *   keyspace ─► db 0 … n ─► slots[16384] ─► table (table.h) ─► entries (entry.h)
 *
 * Commands reach keys through struct call (command.h), with the key_* functions below: they look
 * after expiry, access clocks, counters, events and the memory of entries.
 *
 * Owner: the shard's thread. A slot may be *lent* to another shard's thread for one command whose
 * keys lie apart (DESIGN.md section 4): while the owner holds the slot and keeps away from it, the
 * borrower works on it through a *view*: a keyspace that shares the slot arrays and counts changes
 * on its own. When the slot comes back, the owner adds the view's counts to its own
 * (keyspace_view_settle). What the borrower allocates may be freed by the owner (slab.h).
 *
 * I1  keys and expiring of a database are the sums over its slots.
 * I2  a bit of occupied[] is set exactly when the slot's table is not empty (owner's copy; settled
 *     after lending).
 * I3  expire_min_ms of a slot is never later than its earliest expiry, of a key or of a hash's
 *     field; expire_next_ms and expire_added_ms_ of a database together are never later than that
 *     of any of its slots.
 */
#ifndef ASHLAR_CORE_KEYSPACE_H
#define ASHLAR_CORE_KEYSPACE_H

#include "core/entry.h"
#include "core/hash.h"
#include "core/settings.h"
#include "core/table.h"
#include <stdbool.h>
#include <stdint.h>

enum { DATABASES_MAX = 256 };

struct slot_keys {
    struct table table;
    uint32_t expiring;     /* keys with an expiry */
    uint16_t expiry_set_;  /* an expiry was set since the active cycle began with this slot */
    uint16_t fields_;      /* there may be hashes with fields that expire */
    int64_t expire_min_ms; /* lower bound of the earliest expiry; only if slot_may_expire() */
};
static_assert(sizeof(struct slot_keys) == 40, "16384 of them stay in the second-level cache");

/* Has the slot anything that expires? Then expire_min_ms says when. */
static inline bool slot_may_expire(const struct slot_keys *slot)
{
    return slot->expiring > 0 || slot->fields_;
}

struct keyspace_db {
    struct slot_keys *slots; /* SLOT_COUNT; NULL until the first key (mapped lazily) */
    uint64_t *occupied;      /* SLOT_COUNT bits, behind slots; NULL in a view */
    int64_t keys, expiring;  /* in a view: change since it was made */
    int64_t expiry_sum_ms;   /* of all expiries, for INFO's avg_ttl; in a view: change */
    int64_t expire_next_ms_; /* lower bound of all expiries when the active cycle last began */
    int64_t expire_added_ms_; /* lower bound of those set since */
    uint64_t slot_keys_max_; /* no slot has more keys than this (fair choice of random keys) */
};

/* What commands did to keys, for INFO, watchers and the journal. Single writer; others read relaxed. */
struct keyspace_stats {
    uint64_t hits, misses, expired, evicted;
    uint64_t expired_fields;
    uint64_t lazyfreed; /* values, and keys of databases, freed in slices */
};

struct deferred_free; /* values being freed in slices */
struct eviction;      /* candidates for eviction (keyspace_evict.c) */

struct keyspace;
struct key;

/* Whom the keyspace tells; set by the shard, NULL: nobody. Called on the thread that runs the
 * command, also for a view (ks->view_of is the owner's keyspace then). They must not change keys. */
/* A keyspace event that notify-keyspace-events asks for. */
typedef void keyspace_event_hook(struct keyspace *ks, int db, unsigned class, const char *event,
                                 struct slice key);
/* The key has changed or gone: WATCH, client-side caching. */
typedef void keyspace_modified_hook(struct keyspace *ks, int db, const struct key *k);
/* The key has not changed for those, but clients who wait for its data must look again. */
typedef void keyspace_ready_hook(struct keyspace *ks, int db, const struct key *k);
/* The key has expired and is about to be deleted, by access or by the active cycle: journal. */
typedef void keyspace_expired_hook(struct keyspace *ks, int db, const struct key *k);
/* A database (-1: all) is about to be emptied; databases a and b are about to be swapped. */
typedef void keyspace_flushing_hook(struct keyspace *ks, int db);
typedef void keyspace_swapping_hook(struct keyspace *ks, int a, int b);

struct keyspace_hooks {
    keyspace_event_hook *event;
    keyspace_modified_hook *modified;
    keyspace_ready_hook *ready;
    keyspace_expired_hook *expired;
    keyspace_flushing_hook *flushing;
    keyspace_swapping_hook *swapping;
    void *ctx;    /* the owner's */
    void *record; /* while lent: where the borrower notes for the owner what it changed */
};

struct keyspace {
    struct keyspace_db **db;    /* settings->databases of them; SWAPDB swaps the pointers */
    int databases;
    const struct settings *settings;
    struct keyspace_stats stats;
    uint64_t dirty;             /* changes since start, as rdb_changes_since_last_save counts */
    struct deferred_free *freeing_;
    struct {
        uint32_t db, slot;
        uint64_t pos;             /* in a slot begun with: hash position */
        int64_t slot_min_ms;      /* in a slot begun with: earliest expiry found so far */
        int64_t db_min_ms;        /* earliest expiry found in this round in this database */
        int64_t round_ms;         /* when the round began */
        int64_t rest_until_ms;    /* the last round found little: no new one before */
        uint64_t slots, seen, gone; /* slots and keys looked at, keys deleted in this round */
        bool in_round, in_db, in_slot;
        bool slot_fields;         /* in a slot begun with: fields that expire have been found */
    } expire_;                    /* where the active cycle is */
    struct {
        uint32_t db, slot;
        uint64_t pos;
        size_t idle_after;        /* idle memory that the last pass could not do away with */
        bool in_pass;
    } compact_;                   /* where compaction is */
    struct eviction *eviction_; /* NULL until the first */
    uint64_t random_state_;
    struct keyspace *view_of;   /* the owner's keyspace when this is a view, NULL otherwise */
    struct keyspace_hooks hooks; /* copied into views */
    bool keep_expired;          /* expired keys are absent, but stay: on a replica, during a pause */
};

struct key {
    const char *ptr;
    uint32_t len;
    uint32_t arg;  /* its place in argv */
    uint64_t hash; /* hash_bytes() */
    uint16_t slot; /* hash_slot() */
    uint16_t shard; /* owner, filled in by routing */
};

struct call;

/* --- life --- */
struct keyspace *keyspace_new(const struct settings *settings);
void keyspace_destroy(struct keyspace *ks);
/* Makes sure that a database's slot array exists, so that it can be lent. */
void keyspace_db_prepare(struct keyspace *ks, int db);

/* --- lending --- */
void keyspace_view_init(struct keyspace *view, struct keyspace *owner);
/* Owner's thread, after the borrower is done: counters and occupied bits of these slots. */
/* Once per database concerned; what the view had to free in slices becomes the owner's to free. */
void keyspace_view_settle(struct keyspace *view, int db, const uint16_t *slots, int count);
void keyspace_view_free(struct keyspace *view);

/* --- looking up (all honour expiry: an expired key is absent, and deleted where that is allowed) */
/* For reading: counts hit or miss, refreshes the access clock (unless CALL_NO_TOUCH). */
struct entry *key_read(struct call *c, const struct key *k);
/* For writing: as above without counting hits. */
struct entry *key_write(struct call *c, const struct key *k);
/* Without any trace (OBJECT, TTL, TYPE, DEBUG …). */
struct entry *key_peek(struct call *c, const struct key *k);
/* What lies under the key, expired or not; nothing is done about it. */
const struct entry *keyspace_find(const struct keyspace *ks, int db, const struct key *k);
/* As key_read/key_write, and replies WRONGTYPE and sets *bad when the type differs. */
struct entry *key_read_type(struct call *c, const struct key *k, enum value_type type, bool *bad);
struct entry *key_write_type(struct call *c, const struct key *k, enum value_type type, bool *bad);

/* --- changing. e is the present entry, or NULL where a function allows that the key is absent.
 * They return the entry's (new) address. None of them signals or posts events: the command does
 * (but for "new", posted when a key comes into being, as Redis does). The old value, if any, is
 * freed (in slices when large): a value given must not lie in it. --- */
/* A string value in the most compact encoding: integer, inline, or blob. keep_ttl keeps an expiry. */
struct entry *key_set_string(struct call *c, const struct key *k, struct entry *e,
                             struct slice value, bool keep_ttl);
struct entry *key_set_int(struct call *c, const struct key *k, struct entry *e, int64_t value,
                          bool keep_ttl);
/* Takes over a reference of b; OBJECT ENCODING "raw". */
struct entry *key_set_blob(struct call *c, const struct key *k, struct entry *e, struct blob *b,
                           bool keep_ttl);
/* A collection: takes over object. */
struct entry *key_set_object(struct call *c, const struct key *k, struct entry *e,
                             enum value_type type, enum value_encoding enc, void *object,
                             bool keep_ttl);
struct entry *key_set_expiry(struct call *c, const struct key *k, struct entry *e, int64_t at_ms);
struct entry *key_clear_expiry(struct call *c, const struct key *k, struct entry *e);
/* Deletes the key; its value is freed at once when small, else in slices. */
void key_delete(struct call *c, const struct key *k, struct entry *e);
/* Frees a value that belongs to no key (any more), at once when it is small, else in slices; k is
 * the key that it belonged to. */
void key_release(struct call *c, const struct key *k, enum value_type type,
                 enum value_encoding enc, void *object);
/* A collection takes another encoding in place, or another address: its object has been replaced
 * by the caller. Same entry, nothing freed. */
void key_convert(struct call *c, const struct key *k, struct entry *e, enum value_encoding enc,
                 void *object);
/* Takes the value out (for RENAME, MOVE): the key is gone, the caller holds the loose entry and
 * gives it back with key_attach under a new name (which must be absent), or frees it. */
struct entry *key_detach(struct call *c, const struct key *k, struct entry *e);
struct entry *key_attach(struct call *c, const struct key *k, struct entry *loose);
/* Deletes fields of a hash that have expired, looking at about budget of them, tells the hooks and
 * posts the events; the key goes when none is left: NULL then, else the entry. */
struct entry *key_purge_fields(struct call *c, const struct key *k, struct entry *e,
                               size_t budget);
/* The same key_* functions in another database: COPY DB, MOVE. */
struct call key_call_in_db(const struct call *c, int db);

/* --- telling others --- */
enum event_class { /* bits of notify-keyspace-events */
    EVENT_KEYSPACE = 1 << 0, /* K */
    EVENT_KEYEVENT = 1 << 1, /* E */
    EVENT_GENERIC = 1 << 2,  /* g */
    EVENT_STRING = 1 << 3,   /* $ */
    EVENT_LIST = 1 << 4,     /* l */
    EVENT_SET = 1 << 5,      /* s */
    EVENT_HASH = 1 << 6,     /* h */
    EVENT_ZSET = 1 << 7,     /* z */
    EVENT_EXPIRED = 1 << 8,  /* x */
    EVENT_EVICTED = 1 << 9,  /* e */
    EVENT_STREAM = 1 << 10,  /* t */
    EVENT_KEY_MISS = 1 << 11, /* m */
    EVENT_LOADED = 1 << 12,
    EVENT_MODULE = 1 << 13,  /* d */
    EVENT_NEW = 1 << 14,     /* n */
};
/* The key has changed: watchers, client-side caches, and c->dirty += changes. */
void key_modified(struct call *c, const struct key *k, uint64_t changes);
/* Only those who wait for the key's data are told (a consumer group has gone). */
void key_ready(struct call *c, const struct key *k);
/* A keyspace event ("set", "del" …). */
void key_event(struct call *c, enum event_class class, const char *event, const struct key *k);

/* --- whole databases --- */
int64_t keyspace_size(const struct keyspace *ks, int db);
/* Empties a database (-1: all); what was there is freed in slices. */
void keyspace_flush(struct keyspace *ks, int db);
void keyspace_swap(struct keyspace *ks, int a, int b);
typedef void keyspace_visit(struct entry *e, void *ctx);
/* SCAN over the slots of this shard. A cursor is slot << 48 | hash position >> 16; the visit sees
 * expired keys too. Goes on until about count entries were visited, or the slot end_slot
 * (exclusive) is reached: then the cursor returned is (uint64_t)end_slot << 48. */
uint64_t keyspace_scan(struct keyspace *ks, int db, uint64_t cursor, uint32_t end_slot,
                       size_t count, keyspace_visit *visit, void *ctx);
/* Evenly among the keys; NULL when empty; may be expired. */
struct entry *keyspace_random(struct keyspace *ks, int db);

/* --- batches: start loading the cache lines that a key will need --- */
void keyspace_prefetch_table(const struct keyspace *ks, int db, const struct key *k); /* slot header */
void keyspace_prefetch_bucket(const struct keyspace *ks, int db, const struct key *k);
void keyspace_prefetch_entry(const struct keyspace *ks, int db, const struct key *k);
/* The table of a large value's members, if the key has one whose buckets are not in the cache
 * anyway, else NULL; good until something changes. */
const struct table *keyspace_members(const struct keyspace *ks, int db, const struct key *k);

/* --- background slice. may_touch says whether the owner has the slot (not lent); deadline by the
 * monotonic clock. --- */
struct keyspace_background {
    int64_t now_ms;       /* unix time */
    uint64_t deadline_ns; /* give back control by then */
    bool (*may_touch)(void *ctx, uint16_t slot); /* NULL: all */
    /* Called before an expired key is deleted, besides the hooks; may be NULL. */
    void (*expired)(void *ctx, int db, const struct entry *e);
    void *ctx;
};
/* Deletes expired keys, and expired fields of hashes, slot after slot; returns how many keys and
 * fields. */
size_t keyspace_expire_slice(struct keyspace *ks, const struct keyspace_background *b);
/* Frees some of what was put aside; true when nothing is left. */
bool keyspace_free_slice(struct keyspace *ks, uint64_t deadline_ns);
bool keyspace_free_pending(const struct keyspace *ks);
/* Compaction: while much of the slab's memory is idle (tables that grew, values that changed leave
 * holes), moves entries and buckets together so that whole pages become free. Cheap when there is
 * nothing to do; true when there is more to do. Also calls slab_collect(), which takes back what
 * other threads have freed and gives empty memory to the kernel. Entries' addresses change: between
 * commands only. */
bool keyspace_compact_slice(struct keyspace *ks, const struct keyspace_background *b);
/* Deletes the key that maxmemory-policy says should go next, of those that may be touched; tells
 * the hooks, posts the event. A large value is put aside, to be freed by keyspace_free_slice. False
 * when there is none. Uses now_ms and may_touch of b. *freed_bytes: what was freed at once, without
 * what telling others has taken. */
bool keyspace_evict(struct keyspace *ks, const struct keyspace_background *b, int64_t *freed_bytes);
/* How many keys the policy may take. */
int64_t keyspace_evictable(const struct keyspace *ks);
/* Earliest expiry that may be due in any slot of this shard (a lower bound), INT64_MAX if none. */
int64_t keyspace_expire_next_ms(const struct keyspace *ks);

/* Digest of a database, independent of order: XOR over its keys of SHA-1 digests as DEBUG DIGEST
 * defines them, so that digests of shards are combined by XOR. -1: of all databases of this shard,
 * as DEBUG DIGEST defines it. For a server of several shards: begin with 20 zero bytes; for each
 * database that is not empty, keyspace_digest_db() and then XOR the shards' digests into it. */
void keyspace_digest(struct keyspace *ks, int db, uint8_t out[20]);
void keyspace_digest_db(uint8_t digest[20], int db);
/* DEBUG DIGEST-VALUE: type, value and whether it expires, mixed into digest (begin with zeroes). */
void keyspace_digest_value(const struct entry *e, uint8_t digest[20]);

#endif
