/* keyspace_scan.c - walking over a database: SCAN and KEYS, random keys, digests. */
#include "core/keyspace.h"

#include "core/keyspace_internal.h"
#include "core/sha1.h"
#include <arpa/inet.h>

enum {
    CURSOR_POSITION_BITS = 48,
    SCAN_BUCKETS_PER_COUNT = 4, /* sparse tables: buckets looked at per key asked for */
    RANDOM_SLOT_TRIES = 32,
};
#define CURSOR_POSITION_MASK ((1ull << CURSOR_POSITION_BITS) - 1)

/* --- SCAN --- */

struct scan {
    keyspace_visit *visit;
    void *ctx;
    size_t visited;
};

static void scan_visit(void *item, void *ctx)
{
    struct scan *s = ctx;
    s->visited++;
    s->visit(item, s->ctx);
}

uint64_t keyspace_scan(struct keyspace *ks, int db, uint64_t cursor, uint32_t end_slot,
                       size_t count, keyspace_visit *visit, void *ctx)
{
    assert(end_slot <= SLOT_COUNT);
    struct keyspace_db *d = ks->db[db];
    struct scan s = {visit, ctx, 0};
    uint32_t slot = (uint32_t)(cursor >> CURSOR_POSITION_BITS);
    uint64_t pos = (cursor & CURSOR_POSITION_MASK) << 16; /* exact: positions have 48 bits */
    size_t buckets_left = count > SIZE_MAX / SCAN_BUCKETS_PER_COUNT ? SIZE_MAX
                                                                    : count * SCAN_BUCKETS_PER_COUNT;
    for (;;) {
        uint32_t next = keyspace__occupied_from(d, slot);
        if (next != slot) {
            slot = next;
            pos = 0;
        }
        if (slot >= end_slot) {
            return (uint64_t)end_slot << CURSOR_POSITION_BITS;
        }
        if (s.visited >= count || buckets_left == 0) {
            return (uint64_t)slot << CURSOR_POSITION_BITS | pos >> 16;
        }
        buckets_left--;
        pos = table_scan_remove(&d->slots[slot].table, &keyspace__table_type, pos, scan_visit, &s);
        slot += pos == 0;
    }
}

/* --- random keys --- */

/* Evenly among the keys: a slot is drawn evenly and kept as often as it is full. Where slots differ
 * too much for that, or few are occupied, their counts are summed up instead. */
struct entry *keyspace_random(struct keyspace *ks, int db)
{
    struct keyspace_db *d = ks->db[db];
    if (d->keys <= 0) {
        return NULL;
    }
    for (int i = 0; i < RANDOM_SLOT_TRIES; i++) {
        uint64_t r = keyspace__random(ks);
        const struct table *t = &d->slots[r % SLOT_COUNT].table;
        if (t->count > 0 && (r >> 32) * d->slot_keys_max_ >> 32 < t->count) {
            return table_random(t, keyspace__random, ks);
        }
    }
    unsigned __int128 wide = (unsigned __int128)keyspace__random(ks) * (uint64_t)d->keys;
    uint64_t at = (uint64_t)(wide >> 64), max = 0;
    const struct table *chosen = NULL;
    for (uint32_t slot = 0; (slot = keyspace__occupied_from(d, slot)) < SLOT_COUNT; slot++) {
        const struct table *t = &d->slots[slot].table;
        max = t->count > max ? t->count : max;
        if (!chosen) {
            if (at < t->count) {
                chosen = t;
            } else {
                at -= t->count;
            }
        }
    }
    d->slot_keys_max_ = max; /* exact again */
    assert(chosen);          /* I1, I2 */
    return table_random(chosen, keyspace__random, ks);
}

/* --- digests --- */

void keyspace_digest_db(uint8_t digest[20], int db)
{
    uint32_t number = htonl((uint32_t)db);
    sha1_mix(digest, &number, sizeof number);
}

void keyspace_digest_value(const struct entry *e, uint8_t digest[20])
{
    /* Numbers of the types as Redis has them; 5 is modules. */
    static const uint8_t numbers[TYPE_COUNT] = {
        [TYPE_STRING] = 0, [TYPE_LIST] = 1, [TYPE_SET] = 2,
        [TYPE_ZSET] = 3,   [TYPE_HASH] = 4, [TYPE_STREAM] = 6,
    };
    uint32_t type = htonl(numbers[e->type]);
    sha1_mix(digest, &type, sizeof type);
    if (e->type == TYPE_STRING) {
        char buf[24];
        struct slice value = entry_string(e, buf);
        sha1_mix(digest, value.ptr, value.len);
    } else {
        entry_value_ops(e->type, e->encoding)->digest(entry_object(e), digest);
    }
    if (e->flags & ENTRY_EXPIRES) {
        sha1_xor(digest, "!!expire!!", 10);
    }
}

static void digest_entry(struct entry *e, void *ctx)
{
    uint8_t digest[20] = {0};
    struct slice key = entry_key(e);
    sha1_mix(digest, key.ptr, key.len);
    keyspace_digest_value(e, digest);
    sha1_xor(ctx, digest, sizeof digest);
}

void keyspace_digest(struct keyspace *ks, int db, uint8_t out[20])
{
    memset(out, 0, 20);
    int first = db >= 0 ? db : 0, last = db >= 0 ? db : ks->databases - 1;
    for (int i = first; i <= last; i++) {
        if (keyspace_size(ks, i) > 0) {
            if (db < 0) {
                keyspace_digest_db(out, i);
            }
            keyspace_scan(ks, i, 0, SLOT_COUNT, SIZE_MAX, digest_entry, out);
        }
    }
}
