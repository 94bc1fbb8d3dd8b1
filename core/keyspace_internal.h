/* keyspace_internal.h - what the files of the keyspace share: keyspace.c (life, looking up,
 * changing), keyspace_expire.c (active expiry, freeing in slices), keyspace_evict.c (eviction),
 * keyspace_scan.c (walking, random keys, digests). Owner's thread, or a borrower's for a view. */
#ifndef ASHLAR_CORE_KEYSPACE_INTERNAL_H
#define ASHLAR_CORE_KEYSPACE_INTERNAL_H

#include "core/keyspace.h"
#include <time.h>

enum { OCCUPIED_WORDS = SLOT_COUNT / 64 };
#define SLOTS_MAP_BYTES (SLOT_COUNT * sizeof(struct slot_keys) + OCCUPIED_WORDS * sizeof(uint64_t))

extern const struct table_type keyspace__table_type; /* items are entries */

/* Takes a key out of its slot: counters, occupied bit. The entry is the caller's. */
void keyspace__take(struct keyspace *ks, int db, uint16_t slot, uint64_t hash, struct entry *e);
/* Frees an entry that has been taken out; a large value in slices. */
void keyspace__free_entry(struct keyspace *ks, struct entry *e);
/* Tells the hooks, counts, takes out and frees. */
void keyspace__expire(struct keyspace *ks, int db, const struct key *k, struct entry *e);
/* Deletes expired fields of a hash, tells the hooks, posts the events; deletes the key when none is
 * left: NULL then. *budget: as in hash_value_purge(). */
struct entry *keyspace__purge_fields(struct keyspace *ks, int db, const struct key *k,
                                     struct entry *e, int64_t now_ms, size_t *budget);
/* When the earliest field of a hash expires (a bound); INT64_MAX: none does. */
int64_t keyspace__fields_expire_ms(const struct entry *e);
/* Has notify-keyspace-events this class? Then tells the hook. */
void keyspace__event(struct keyspace *ks, int db, enum event_class class, const char *event,
                     struct slice key);

/* Puts a value aside, to be freed in slices. */
void keyspace__free_later(struct keyspace *ks, enum value_type type, enum value_encoding encoding,
                          void *object);
/* The same for all of a database's slots (SLOTS_MAP_BYTES, mapped). */
void keyspace__free_slots_later(struct keyspace *ks, struct slot_keys *slots, uint64_t *occupied);
/* Moves what from has put aside to ks. */
void keyspace__free_adopt(struct keyspace *ks, struct keyspace *from);
void keyspace__slots_unmap(struct slot_keys *slots);

/* First occupied slot from slot on; SLOT_COUNT if none. */
uint32_t keyspace__occupied_from(const struct keyspace_db *db, uint32_t slot);

/* The active cycle forgets where it is in this database (-1: any). */
void keyspace__expire_restart(struct keyspace *ks, int db);

uint64_t keyspace__random(void *ks); /* 64 bits; fits table_random */

static inline uint64_t keyspace__now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* An entry's key as the functions above want it. */
static inline struct key keyspace__key_of(const struct entry *e, uint16_t slot)
{
    struct slice name = entry_key(e);
    return (struct key){
        .ptr = name.ptr, .len = (uint32_t)name.len, .hash = entry_hash(e), .slot = slot};
}

#endif
