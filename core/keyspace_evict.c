/* keyspace_evict.c - which key goes when memory is short: maxmemory-policy.
 *
 * Keys are not kept in the order of their use: that would cost every access. As in Redis some are
 * looked at each time, and a *pool* remembers the best of all that have been seen, across calls:
 *
 *   hand ──► the next bucket or two of each database ──score──► pool: 16, best last
 *                                                                │
 *            keyspace_evict():  still there, and not used since? ◄┘ ─► deleted
 *
 * Samples are not drawn at random. Tables lie in the order of a keyed hash, which says nothing of
 * when a key was used: so a *hand* goes round the tables and takes what comes next. Every key has its
 * turn, however unequal the slots are, no key is seen twice before all are seen once, and nothing
 * has to be counted or drawn. Whole buckets are looked at, so samples are maxmemory-samples or a few
 * more. The policies that want a random key draw one.
 *
 * The volatile policies go the same way, past slots in which nothing expires (their headers say
 * so), and past the keys of others that do not. Where those are rare, one found is enough after
 * LOOKED_MAX others.
 *
 * A candidate is known by database, slot and hash: names need not be copied, and should two keys
 * of a slot share 64 bits of hash, either will do. Scores only grow while a key is left alone, so
 * one that has become smaller means that the key was used (or set) since: it is no candidate
 * any more.
 *
 * I1  pool[0 … count) is sorted by score, the best candidate last.
 * I2  Slots that may not be touched (lent ones) are not even looked at.
 */
#include "core/keyspace.h"

#include "core/keyspace_internal.h"
#include "core/mem.h"

enum {
    POOL_SIZE = 16,
    POOL_ROUNDS = 3,     /* looking for candidates again, when all in the pool were gone */
    LOOKED_MAX = 256,    /* keys looked at for one sample that is there already */
    RANDOM_TRIES = 32,   /* draws of a slot */
    RANDOM_IN_SLOT = 8,  /* draws of a key that expires, in a slot */
};

struct candidate {
    uint64_t score; /* the higher, the sooner it goes */
    uint64_t hash;
    uint16_t slot, db;
};

struct hand {
    uint32_t slot;
    uint64_t pos; /* hash position */
};

struct eviction {
    struct candidate pool[POOL_SIZE]; /* I1 */
    uint32_t count;
    uint32_t next_db;                 /* random policies: a key of each database in turn */
    enum maxmemory_policy policy;     /* that the scores are of */
    struct hand hand[];               /* by database */
};

static bool policy_volatile(enum maxmemory_policy policy)
{
    return policy == POLICY_VOLATILE_LRU || policy == POLICY_VOLATILE_LFU ||
           policy == POLICY_VOLATILE_RANDOM || policy == POLICY_VOLATILE_TTL;
}

static bool policy_random(enum maxmemory_policy policy)
{
    return policy == POLICY_VOLATILE_RANDOM || policy == POLICY_ALLKEYS_RANDOM;
}

static int64_t db_evictable(const struct keyspace *ks, int db)
{
    bool only_volatile = policy_volatile(ks->settings->maxmemory_policy);
    return only_volatile ? ks->db[db]->expiring : ks->db[db]->keys;
}

int64_t keyspace_evictable(const struct keyspace *ks)
{
    int64_t keys = 0;
    for (int i = 0; i < ks->databases && ks->settings->maxmemory_policy != POLICY_NOEVICTION; i++) {
        keys += db_evictable(ks, i);
    }
    return keys;
}

static struct eviction *eviction_of(struct keyspace *ks)
{
    if (!ks->eviction_) {
        size_t hands = (size_t)ks->databases * sizeof(struct hand);
        ks->eviction_ = mem_alloc_zero(sizeof *ks->eviction_ + hands);
    }
    if (ks->eviction_->policy != ks->settings->maxmemory_policy) {
        ks->eviction_->policy = ks->settings->maxmemory_policy;
        ks->eviction_->count = 0;
    }
    return ks->eviction_;
}

/* --- candidates --- */

static uint64_t score_of(const struct keyspace *ks, const struct entry *e, int64_t now_ms)
{
    switch (ks->settings->maxmemory_policy) {
    case POLICY_VOLATILE_LRU:
    case POLICY_ALLKEYS_LRU:
        return (uint64_t)entry_idle_s(e, now_ms);
    case POLICY_VOLATILE_LFU:
    case POLICY_ALLKEYS_LFU:
        return UINT8_MAX - entry_lfu_counter(e, ks->settings, now_ms);
    case POLICY_VOLATILE_TTL:
        return UINT64_MAX - (uint64_t)entry_expiry_ms(e);
    default:
        return 0;
    }
}

/* Keeps a candidate if there is room, or a worse one. */
static void pool_offer(struct eviction *v, const struct candidate *c)
{
    uint32_t at = 0;
    while (at < v->count && v->pool[at].score < c->score) {
        at++;
    }
    if (v->count < POOL_SIZE) {
        memmove(v->pool + at + 1, v->pool + at, (v->count - at) * sizeof *c);
        v->count++;
    } else if (at > 0) {
        at--; /* the worst goes */
        memmove(v->pool, v->pool + 1, at * sizeof *c);
    } else {
        return;
    }
    v->pool[at] = *c;
}

struct walk {
    struct keyspace *ks;
    const struct keyspace_background *b;
    struct eviction *eviction;
    struct entry *chosen; /* random policies: one of those found */
    uint32_t found, looked;
    uint16_t db, slot, chosen_slot;
    bool only_volatile, random;
};

static void walk_visit(void *item, void *ctx)
{
    struct walk *w = ctx;
    struct entry *e = item;
    w->looked++;
    if (w->only_volatile && !(e->flags & ENTRY_EXPIRES)) {
        return;
    }
    w->found++;
    if (w->random) {
        if (!w->chosen || keyspace__random(w->ks) % w->found == 0) {
            w->chosen = e;
            w->chosen_slot = w->slot;
        }
        return;
    }
    struct eviction *v = w->eviction;
    struct candidate c = {.score = score_of(w->ks, e, w->b->now_ms), .slot = w->slot, .db = w->db};
    if (v->count < POOL_SIZE || c.score > v->pool[0].score) {
        c.hash = entry_hash(e);
        pool_offer(v, &c);
    }
}

static bool may_touch(const struct keyspace_background *b, uint32_t slot)
{
    return !b->may_touch || b->may_touch(b->ctx, (uint16_t)slot);
}

/* Moves a database's hand over so many keys that the policy may take, once round at most. */
static void walk_on(struct walk *w, uint32_t wanted)
{
    struct keyspace_db *d = w->ks->db[w->db];
    struct hand *hand = &w->eviction->hand[w->db];
    uint32_t ends = 0;
    w->found = w->looked = 0;
    while (w->found < wanted && !(w->found > 0 && w->looked > LOOKED_MAX)) {
        uint32_t slot = keyspace__occupied_from(d, hand->slot);
        if (slot != hand->slot) {
            *hand = (struct hand){.slot = slot};
        }
        if (slot == SLOT_COUNT) {
            *hand = (struct hand){0};
            if (++ends == 2) {
                return;
            }
            continue;
        }
        const struct slot_keys *keys = &d->slots[slot];
        if (!may_touch(w->b, slot) || (w->only_volatile && keys->expiring == 0)) { /* I2 */
            *hand = (struct hand){.slot = slot + 1};
            continue;
        }
        w->slot = (uint16_t)slot;
        hand->pos = table_scan(&d->slots[slot].table, hand->pos, walk_visit, w);
        hand->slot += hand->pos == 0;
    }
}

static struct walk walk_of(struct keyspace *ks, const struct keyspace_background *b, int db)
{
    enum maxmemory_policy policy = ks->settings->maxmemory_policy;
    return (struct walk){.ks = ks, .b = b, .eviction = ks->eviction_, .db = (uint16_t)db,
                         .only_volatile = policy_volatile(policy), .random = policy_random(policy)};
}

/* Looks at samples of every database. False when there are none. */
static bool pool_fill(struct keyspace *ks, const struct keyspace_background *b)
{
    bool any = false;
    for (int i = 0; i < ks->databases; i++) {
        if (db_evictable(ks, i) > 0) {
            struct walk w = walk_of(ks, b, i);
            walk_on(&w, (uint32_t)ks->settings->maxmemory_samples);
            any |= w.found > 0;
        }
    }
    return any;
}

static bool hash_matches(const void *item, const void *hash)
{
    return entry_hash(item) == *(const uint64_t *)hash;
}

/* The key that a candidate was, if it still deserves its score. */
static struct entry *candidate_entry(struct keyspace *ks, const struct keyspace_background *b,
                                     const struct candidate *c)
{
    const struct keyspace_db *d = ks->db[c->db];
    if (!d->slots || !may_touch(b, c->slot)) {
        return NULL;
    }
    struct entry *e = table_find(&d->slots[c->slot].table, c->hash, hash_matches, &c->hash);
    bool only_volatile = policy_volatile(ks->settings->maxmemory_policy);
    if (!e || (only_volatile && !(e->flags & ENTRY_EXPIRES)) ||
        score_of(ks, e, b->now_ms) < c->score) {
        return NULL;
    }
    return e;
}

static struct entry *best_key(struct keyspace *ks, const struct keyspace_background *b, int *db,
                              uint16_t *slot)
{
    struct eviction *v = eviction_of(ks);
    for (int i = 0; i < POOL_ROUNDS && pool_fill(ks, b); i++) {
        while (v->count > 0) {
            const struct candidate c = v->pool[--v->count];
            struct entry *e = candidate_entry(ks, b, &c);
            if (e) {
                *db = c.db;
                *slot = c.slot;
                return e;
            }
        }
    }
    return NULL;
}

/* --- a random key --- */

/* As in keyspace_random(): a slot is drawn evenly and kept as often as it is full. */
static struct entry *draw(struct keyspace *ks, const struct keyspace_background *b, int db,
                          uint16_t *slot)
{
    struct keyspace_db *d = ks->db[db];
    bool only_volatile = policy_volatile(ks->settings->maxmemory_policy);
    for (int i = 0; i < RANDOM_TRIES; i++) {
        uint64_t r = keyspace__random(ks);
        *slot = (uint16_t)(r % SLOT_COUNT);
        if (!may_touch(b, *slot)) { /* I2 */
            continue;
        }
        const struct slot_keys *keys = &d->slots[*slot];
        uint64_t count = only_volatile ? keys->expiring : keys->table.count;
        if (count == 0 || (r >> 32) * d->slot_keys_max_ >> 32 >= count) {
            continue;
        }
        for (int k = 0; k < RANDOM_IN_SLOT; k++) {
            struct entry *e = table_random(&keys->table, keyspace__random, ks);
            if (!only_volatile || (e->flags & ENTRY_EXPIRES)) {
                return e;
            }
        }
    }
    return NULL;
}

static struct entry *random_key(struct keyspace *ks, const struct keyspace_background *b, int *db,
                                uint16_t *slot)
{
    struct eviction *v = eviction_of(ks);
    for (int i = 0; i < ks->databases; i++) {
        *db = (int)(v->next_db++ % (uint32_t)ks->databases);
        if (db_evictable(ks, *db) <= 0) {
            continue;
        }
        struct entry *e = draw(ks, b, *db, slot);
        if (e) {
            return e;
        }
        struct walk w = walk_of(ks, b, *db);
        walk_on(&w, 1);
        if (w.chosen) {
            *slot = w.chosen_slot;
            return w.chosen;
        }
    }
    return NULL;
}

/* --- evicting --- */

/* What this thread has allocated, less what it has freed. */
static int64_t thread_bytes(void)
{
    const struct mem_counter *c = mem_thread_counter;
    return c ? atomic_load_explicit(&c->used_bytes, memory_order_relaxed) : mem_used_total();
}

bool keyspace_evict(struct keyspace *ks, const struct keyspace_background *b, int64_t *freed_bytes)
{
    assert(!ks->view_of);
    enum maxmemory_policy policy = ks->settings->maxmemory_policy;
    int db = 0;
    uint16_t slot = 0;
    struct entry *e = NULL;
    if (policy != POLICY_NOEVICTION) {
        e = policy_random(policy) ? random_key(ks, b, &db, &slot) : best_key(ks, b, &db, &slot);
    }
    if (!e) {
        return false;
    }
    const struct key k = keyspace__key_of(e, slot);
    ks->stats.evicted++;
    int64_t before = thread_bytes();
    keyspace__take(ks, db, slot, k.hash, e);
    *freed_bytes = before - thread_bytes();
    if (ks->hooks.modified) {
        ks->hooks.modified(ks, db, &k);
    }
    keyspace__event(ks, db, EVENT_EVICTED, "evicted", slice_of(k.ptr, k.len));
    before = thread_bytes();
    keyspace__free_entry(ks, e); /* last: k points into it */
    *freed_bytes += before - thread_bytes();
    return true;
}
