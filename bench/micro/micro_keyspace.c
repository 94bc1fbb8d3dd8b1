/* micro_keyspace.c - hashes of keys, and the keyspace: looking up, setting, bytes per key.
 *
 * Keys have 16 bytes and lie over all slots of one keyspace. They are drawn, hashed and shuffled
 * beforehand: what is timed begins where routing has left a struct key. Random keys of a million
 * are not in any cache: "hit" waits for slot, bucket and entry one after the other; the batches
 * prefetch them as the server does for a pipeline.
 */
#include "bench/micro/micro.h"
#include "core/command.h"
#include "core/keyspace.h"
#include "core/mem.h"
#include "core/slab.h"

#include <stdlib.h>
#include <time.h>

enum { KEY_LEN = 16, BATCH_MAX = 64, CHUNK = 8192 };

static const char value_32[] = "abcdefghijklmnopqrstuvwxyz012345";
static const char value_32_other[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

struct known_key {
    uint64_t hash;
    char name[KEY_LEN];
    uint16_t slot;
};

struct keyspace_state {
    struct call call;
    struct known_key *present; /* keys of them, shuffled */
    struct known_key *absent;  /* CHUNK of them, not in the keyspace */
    uint32_t keys, at, fresh;
};

static struct settings settings = {
    .databases = 1, .active_expire = true, .active_expire_effort = 1};

static void name_key(char name[KEY_LEN], uint32_t i)
{
    memcpy(name, "key:000000000000", KEY_LEN);
    for (int at = KEY_LEN - 1; i; at--, i /= 10) {
        name[at] = (char)('0' + i % 10);
    }
}

static struct known_key known_key(uint32_t i)
{
    struct known_key k;
    name_key(k.name, i);
    k.hash = hash_bytes(k.name, KEY_LEN);
    k.slot = hash_slot(k.name, KEY_LEN);
    return k;
}

static inline struct key key_of(const struct known_key *k)
{
    return (struct key){.ptr = k->name, .len = KEY_LEN, .hash = k->hash, .slot = k->slot};
}

static void *allocate(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) {
        abort();
    }
    return p;
}

static void *keyspace_setup(uint32_t keys)
{
    struct keyspace_state *s = allocate(sizeof *s);
    *s = (struct keyspace_state){.keys = keys};
    s->call.ks = keyspace_new(&settings);
    s->call.now_ms = 1700000000000;
    s->present = allocate(keys * sizeof *s->present);
    s->absent = allocate(CHUNK * sizeof *s->absent);
    for (uint32_t i = 0; i < keys; i++) {
        s->present[i] = known_key(i);
        struct key k = key_of(&s->present[i]);
        key_set_string(&s->call, &k, NULL, slice_str(value_32), false);
    }
    for (uint32_t i = keys - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(micro_random() % (i + 1));
        struct known_key t = s->present[i];
        s->present[i] = s->present[j];
        s->present[j] = t;
    }
    return s;
}

/* The next keys in shuffled order, n of them in a row. */
static const struct known_key *next_keys(struct keyspace_state *s, uint32_t n)
{
    if (s->at + n > s->keys) {
        s->at = 0;
    }
    s->at += n;
    return s->present + s->at - n;
}

static inline void read_key(struct call *c, const struct key *k)
{
    const struct entry *e = key_read(c, k);
    micro_keep_word((uint8_t)e->rest[KEY_LEN + 14]); /* into the value */
}

/* Names that were not used before, so that nothing of theirs is in a cache. */
static void renew_absent(struct keyspace_state *s)
{
    for (uint32_t i = 0; i < CHUNK; i++) {
        s->absent[i] = known_key(s->keys + s->fresh++ % 1000000000);
    }
}

static void hit(struct micro *m)
{
    struct keyspace_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct key k = key_of(next_keys(s, 1));
        read_key(&s->call, &k);
    }
}

static void miss(struct micro *m)
{
    struct keyspace_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        if (i % CHUNK == 0) {
            micro_pause(m);
            renew_absent(s);
            micro_resume(m);
        }
        struct key k = key_of(&s->absent[i % CHUNK]);
        micro_keep(key_read(&s->call, &k));
    }
}

/* Looks keys up, or sets them, as a pipeline of this depth would. */
static inline void batches(struct micro *m, uint32_t depth, const char *value)
{
    struct keyspace_state *s = m->state;
    struct key k[BATCH_MAX];
    for (uint64_t i = 0; i < m->ops; i += depth) {
        const struct known_key *known = next_keys(s, depth);
        for (uint32_t j = 0; j < depth; j++) {
            k[j] = key_of(&known[j]);
            keyspace_prefetch_table(s->call.ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < depth; j++) {
            keyspace_prefetch_bucket(s->call.ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < depth; j++) {
            keyspace_prefetch_entry(s->call.ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < depth; j++) {
            if (value) {
                key_set_string(&s->call, &k[j], key_write(&s->call, &k[j]), slice_str(value),
                               false);
            } else {
                read_key(&s->call, &k[j]);
            }
        }
    }
}

static void hit_16(struct micro *m)
{
    batches(m, 16, NULL);
}

static void hit_64(struct micro *m)
{
    batches(m, 64, NULL);
}

static void set_16(struct micro *m)
{
    batches(m, 16, value_32_other);
}

static void set(struct micro *m)
{
    struct keyspace_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct key k = key_of(next_keys(s, 1));
        key_set_string(&s->call, &k, key_write(&s->call, &k), slice_str(value_32), false);
    }
}

/* Chunks of new keys are inserted and deleted again; one of the two is timed. */
static inline void insert_and_delete(struct micro *m, bool time_inserts)
{
    struct keyspace_state *s = m->state;
    micro_pause(m);
    for (uint64_t done = 0; done < m->ops;) {
        renew_absent(s);
        uint32_t n = m->ops - done < CHUNK ? (uint32_t)(m->ops - done) : CHUNK;
        for (int deleting = 0; deleting < 2; deleting++) {
            if (deleting != time_inserts) {
                micro_resume(m);
            }
            for (uint32_t i = 0; i < n; i++) {
                struct key k = key_of(&s->absent[i]);
                struct entry *e = key_write(&s->call, &k);
                if (deleting) {
                    key_delete(&s->call, &k, e);
                } else {
                    key_set_string(&s->call, &k, e, slice_str(value_32), false);
                }
            }
            if (deleting != time_inserts) {
                micro_pause(m);
            }
        }
        done += n;
    }
    micro_resume(m);
}

static void insert(struct micro *m)
{
    insert_and_delete(m, true);
}

static void delete(struct micro *m)
{
    insert_and_delete(m, false);
}

static const struct micro_bench keyspace_benches[] = {
    {"hit", "look up a random key that is there, one by one", hit},
    {"miss", "look up a key that is not there", miss},
    {"hit-16", "look up in batches of 16 that prefetch", hit_16},
    {"hit-64", "look up in batches of 64 that prefetch", hit_64},
    {"set", "set a random key to a value as long as its own", set},
    {"set-16", "the same in batches of 16 that prefetch", set_16},
    {"insert", "set a new key", insert},
    {"delete", "delete a key", delete},
};
const struct micro_group micro_keyspace = {"keyspace", keyspace_setup, keyspace_benches,
                                           sizeof keyspace_benches / sizeof *keyspace_benches};

/* --- hashes --- */

static const char some_bytes[] =
    "key:{123456789}:000000000000:abcdefghijklmnopqrstuvwxyz0123456789";

static inline void hash_of(struct micro *m, size_t len)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < m->ops; i++) {
        sum += hash_bytes(some_bytes + (sum & 1), len); /* one after the other */
    }
    micro_keep_word(sum);
}

static void siphash_16(struct micro *m)
{
    hash_of(m, 16);
}

static void siphash_64(struct micro *m)
{
    hash_of(m, 64);
}

static inline void crc_of(struct micro *m, size_t len)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < m->ops; i++) {
        sum += hash_crc16(some_bytes + (sum & 1), len);
    }
    micro_keep_word(sum);
}

static void crc16_16(struct micro *m)
{
    crc_of(m, 16);
}

static void crc16_64(struct micro *m)
{
    crc_of(m, 64);
}

static void slot_16(struct micro *m)
{
    uint64_t sum = 0;
    char name[KEY_LEN];
    name_key(name, 123456);
    for (uint64_t i = 0; i < m->ops; i++) {
        name[KEY_LEN - 1] = (char)('0' + (sum & 7));
        sum += hash_slot(name, KEY_LEN);
    }
    micro_keep_word(sum);
}

static void slot_tag(struct micro *m)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < m->ops; i++) {
        sum += hash_slot(some_bytes + (sum & 1), 28);
    }
    micro_keep_word(sum);
}

static const struct micro_bench hash_benches[] = {
    {"siphash-16", "SipHash-1-3 of 16 bytes", siphash_16},
    {"siphash-64", "SipHash-1-3 of 64 bytes", siphash_64},
    {"crc16-16", "CRC16 of 16 bytes", crc16_16},
    {"crc16-64", "CRC16 of 64 bytes", crc16_64},
    {"slot-16", "slot of a key of 16 bytes", slot_16},
    {"slot-tag", "slot of a key of 28 bytes with a hash tag", slot_tag},
};
const struct micro_group micro_hash = {
    "hash", NULL, hash_benches, sizeof hash_benches / sizeof *hash_benches};

/* --- memory: each shape in an empty process --- */

struct memory_state {
    struct call call;
    double loaded, compacted, fill_ns; /* per key */
};

static struct memory_state *fill(uint32_t keys, const char *value, bool ttl)
{
    struct memory_state *s = allocate(sizeof *s);
    *s = (struct memory_state){0};
    s->call.ks = keyspace_new(&settings);
    s->call.now_ms = 1700000000000;
    char name[KEY_LEN];
    double before = micro_resident_bytes(), from = micro_cpu_ns();
    for (uint32_t i = 0; i < keys; i++) {
        name_key(name, i);
        struct key k = {.ptr = name, .len = KEY_LEN, .hash = hash_bytes(name, KEY_LEN),
                        .slot = hash_slot(name, KEY_LEN)};
        struct entry *e = key_set_string(&s->call, &k, NULL, slice_str(value), false);
        if (ttl) {
            key_set_expiry(&s->call, &k, e, s->call.now_ms + 1000);
        }
    }
    s->fill_ns = (micro_cpu_ns() - from) / keys;
    s->loaded = (micro_resident_bytes() - before) / keys;
    struct keyspace_background b = {.now_ms = s->call.now_ms, .deadline_ns = UINT64_MAX};
    keyspace_compact_slice(s->call.ks, &b);
    for (int i = 0; i < 100; i++) {
        slab_collect(); /* gives a few pages back each time */
    }
    s->compacted = (micro_resident_bytes() - before) / keys;
    return s;
}

static void *memory_32(uint32_t keys)
{
    return fill(keys, value_32, false);
}

static void *memory_16(uint32_t keys)
{
    return fill(keys, "abcdefghijklmnop", false);
}

static void *memory_int(uint32_t keys)
{
    return fill(keys, "12345678", false);
}

static void *memory_ttl(uint32_t keys)
{
    return fill(keys, value_32, true);
}

static double memory_loaded(struct micro *m)
{
    return ((struct memory_state *)m->state)->loaded;
}

static double memory_compacted(struct micro *m)
{
    return ((struct memory_state *)m->state)->compacted;
}

static double memory_fill(struct micro *m)
{
    return ((struct memory_state *)m->state)->fill_ns;
}

/* Expires all keys, in slices of 200 us as the server does; the mean per key. */
static double memory_expire(struct micro *m)
{
    struct memory_state *s = m->state;
    struct keyspace_background b = {.now_ms = s->call.now_ms + 100000};
    double from = micro_cpu_ns();
    for (size_t gone = 0; gone < m->keys;) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        b.deadline_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + 200000;
        gone += keyspace_expire_slice(s->call.ks, &b);
    }
    return (micro_cpu_ns() - from) / m->keys;
}

static const struct micro_bench memory_benches[] = {
    {"loaded", "resident bytes per key after loading", .value = memory_loaded, .unit = "B"},
    {"compacted", "the same after compaction", .value = memory_compacted, .unit = "B"},
    {"fill", "hash and insert into a growing keyspace", .value = memory_fill, .unit = "ns"},
    {"expire", "the active cycle, per key", .value = memory_expire, .unit = "ns"},
};
enum { MEMORY_BENCHES = sizeof memory_benches / sizeof *memory_benches };

/* Only the last has keys that expire. */
const struct micro_group micro_memory[4] = {
    {"memory-32", memory_32, memory_benches, MEMORY_BENCHES - 1},
    {"memory-16", memory_16, memory_benches, MEMORY_BENCHES - 1},
    {"memory-int", memory_int, memory_benches, MEMORY_BENCHES - 1},
    {"memory-ttl", memory_ttl, memory_benches, MEMORY_BENCHES},
};
