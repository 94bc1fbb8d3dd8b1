/* keyspace_expire.c - what goes on behind the commands: active expiry, compaction, and freeing in
 * slices.
 *
 * Active expiry goes round the databases and their slots:
 *
 *   round ─► database: only if something may be due (expire_next_ms_, expire_added_ms_)
 *              └─► slot: only if something may be due (expire_min_ms), and if it is not lent
 *                    └─► every key of the slot: deletes what is due, notes the earliest of the rest
 *                          └─► a hash with fields that are due: deletes FIELDS_AT_ONCE of them and,
 *                              if that was not enough, comes back to the same bucket of the slot
 *
 * A round may take many slices; it goes on where it was left, in the middle of a slot if need be.
 * What it learns becomes valid when a slot, and a database, is done with; what is set meanwhile is
 * noted apart (expiry_set_, expire_added_ms_), so bounds are never too late (keyspace.h, I3).
 *
 * Effort follows the share of stale keys: a round that looked at much and found little is followed
 * by a rest of REST_FACTOR times its own time, within REST_MS_MAX. */
#include "core/keyspace.h"

#include "core/keyspace_internal.h"
#include "core/mem.h"
#include "core/slab.h"

enum {
    CLOCK_EVERY_KEYS = 32,
    CLOCK_EVERY_SLOTS = 1024,
    REST_MS_MIN = 4,          /* after a round over many slots */
    REST_MS_MAX = 500,
    REST_FACTOR = 3,
    REST_SLOTS_MIN = 1024,    /* smaller rounds cost nothing worth a rest */
    REST_SEEN_MIN = 10000,
    REST_SHARE = 40,          /* "little": less than one key in 40 */
    FIELDS_AT_ONCE = 256,     /* looked at in a hash before the clock is */
    FREE_UNITS = 64,          /* items, or pages, freed between two looks at the clock */
};

/* --- active expiry --- */

struct sweep {
    struct keyspace *ks;
    const struct keyspace_background *b;
    int db;
    uint16_t slot;
    uint32_t seen, gone; /* keys and fields, in this slice */
    bool again;          /* a hash of this bucket has more fields that are due */
};

static inline int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A hash with fields that expire. */
static void sweep_fields(struct sweep *s, struct entry *e, int64_t at_ms)
{
    struct keyspace *ks = s->ks;
    if (at_ms < s->b->now_ms) {
        const struct key k = keyspace__key_of(e, s->slot);
        const uint64_t before = ks->stats.expired_fields;
        size_t budget = FIELDS_AT_ONCE;
        e = keyspace__purge_fields(ks, s->db, &k, e, s->b->now_ms, &budget);
        s->seen += (uint32_t)(FIELDS_AT_ONCE - budget);
        s->gone += (uint32_t)(ks->stats.expired_fields - before);
        at_ms = e ? keyspace__fields_expire_ms(e) : INT64_MAX;
        if (at_ms < s->b->now_ms) {
            s->again = true;
            return; /* what the next visit finds counts */
        }
    }
    if (at_ms != INT64_MAX) {
        ks->expire_.slot_fields = true;
        ks->expire_.slot_min_ms = min_ms(ks->expire_.slot_min_ms, at_ms);
    }
}

static void sweep_visit(void *item, void *ctx)
{
    struct sweep *s = ctx;
    struct entry *e = item;
    s->seen++;
    int64_t at_ms = e->flags & ENTRY_EXPIRES ? entry_expiry_ms(e) : INT64_MAX;
    if (at_ms >= s->b->now_ms) {
        s->ks->expire_.slot_min_ms = min_ms(s->ks->expire_.slot_min_ms, at_ms);
        int64_t fields_ms = keyspace__fields_expire_ms(e);
        if (fields_ms != INT64_MAX) {
            sweep_fields(s, e, fields_ms);
        }
        return;
    }
    if (s->b->expired) {
        s->b->expired(s->b->ctx, s->db, e);
    }
    struct key k = keyspace__key_of(e, s->slot);
    keyspace__expire(s->ks, s->db, &k, e);
    s->gone++;
}

static bool time_is_up(const struct keyspace_background *b)
{
    return b->deadline_ns != UINT64_MAX && keyspace__now_ns() >= b->deadline_ns;
}

/* All keys of a slot; false when time is up before its end. */
static bool sweep_slot(struct sweep *s, struct slot_keys *slot)
{
    struct keyspace *ks = s->ks;
    if (!ks->expire_.in_slot) {
        ks->expire_.in_slot = true;
        ks->expire_.pos = 0;
        ks->expire_.slot_min_ms = INT64_MAX;
        ks->expire_.slot_fields = false;
        slot->expiry_set_ = 0;
    }
    uint32_t clock_at = s->seen + CLOCK_EVERY_KEYS;
    do {
        s->again = false;
        uint64_t next = table_scan_remove(&slot->table, &keyspace__table_type, ks->expire_.pos,
                                          sweep_visit, s);
        ks->expire_.pos = s->again ? ks->expire_.pos : next;
        if (s->seen >= clock_at && (s->again || next)) {
            clock_at = s->seen + CLOCK_EVERY_KEYS;
            if (time_is_up(s->b)) {
                return false;
            }
        }
    } while (s->again || ks->expire_.pos);
    ks->expire_.in_slot = false;
    slot->expire_min_ms = ks->expire_.slot_min_ms;
    if (!slot->expiry_set_) {
        slot->fields_ = ks->expire_.slot_fields;
    }
    if (slot->expiry_set_) { /* while the sweep was interrupted: behind it, maybe */
        slot->expire_min_ms = min_ms(slot->expire_min_ms, s->b->now_ms);
    }
    return true;
}

/* All slots of a database from where the round is; false when time is up before the end. */
static bool sweep_db(struct sweep *s)
{
    struct keyspace *ks = s->ks;
    struct keyspace_db *d = ks->db[s->db];
    int64_t now_ms = s->b->now_ms;
    uint32_t seen_before = 0, slots_before = 0, slots = 0;
    for (;;) {
        uint32_t n = keyspace__occupied_from(d, ks->expire_.slot);
        if (n != ks->expire_.slot) {
            ks->expire_.in_slot = false; /* it has been emptied */
            ks->expire_.slot = n;
        }
        if (n == SLOT_COUNT) {
            return true;
        }
        slots++;
        if (s->b->may_touch && !s->b->may_touch(s->b->ctx, (uint16_t)n)) {
            ks->expire_.in_slot = false;
            ks->expire_.db_min_ms = min_ms(ks->expire_.db_min_ms, now_ms); /* comes back */
        } else {
            struct slot_keys *slot = &d->slots[n];
            s->slot = (uint16_t)n;
            bool due = slot_may_expire(slot) && slot->expire_min_ms < now_ms;
            if ((due || ks->expire_.in_slot) && !sweep_slot(s, slot)) {
                return false;
            }
            if (slot_may_expire(slot)) {
                ks->expire_.db_min_ms = min_ms(ks->expire_.db_min_ms, slot->expire_min_ms);
            }
        }
        ks->expire_.slot++;
        ks->expire_.slots++;
        if (s->seen - seen_before >= CLOCK_EVERY_KEYS ||
            slots - slots_before >= CLOCK_EVERY_SLOTS) {
            seen_before = s->seen;
            slots_before = slots;
            if (time_is_up(s->b)) {
                return false;
            }
        }
    }
}

/* Goes on with a round; true when it is over. */
static bool sweep_round(struct sweep *s)
{
    struct keyspace *ks = s->ks;
    for (; ks->expire_.db < (uint32_t)ks->databases; ks->expire_.db++) {
        s->db = (int)ks->expire_.db;
        struct keyspace_db *d = ks->db[s->db];
        if (!ks->expire_.in_db) {
            d->expire_next_ms_ = min_ms(d->expire_next_ms_, d->expire_added_ms_);
            d->expire_added_ms_ = INT64_MAX;
            if (d->expire_next_ms_ >= s->b->now_ms) {
                continue;
            }
            ks->expire_.in_db = true;
            ks->expire_.slot = 0;
            ks->expire_.db_min_ms = INT64_MAX;
        }
        if (!sweep_db(s)) {
            return false;
        }
        ks->expire_.in_db = false;
        d->expire_next_ms_ = ks->expire_.db_min_ms;
    }
    return true;
}

static void round_end(struct keyspace *ks, int64_t now_ms)
{
    int64_t rest_ms = 0;
    if (ks->expire_.slots >= REST_SLOTS_MIN) {
        rest_ms = REST_MS_MIN;
    }
    if (ks->expire_.seen >= REST_SEEN_MIN && ks->expire_.gone * REST_SHARE < ks->expire_.seen) {
        int64_t took_ms = now_ms - ks->expire_.round_ms;
        rest_ms = min_ms(REST_MS_MIN + took_ms * REST_FACTOR, REST_MS_MAX);
    }
    ks->expire_.rest_until_ms = now_ms + rest_ms;
    ks->expire_.in_round = false;
}

void keyspace__expire_restart(struct keyspace *ks, int db)
{
    if (db < 0 || (ks->expire_.in_round && ks->expire_.db == (uint32_t)db)) {
        ks->expire_.in_round = ks->expire_.in_db = ks->expire_.in_slot = false;
    }
}

size_t keyspace_expire_slice(struct keyspace *ks, const struct keyspace_background *b)
{
    assert(!ks->view_of);
    if (!ks->settings->active_expire || ks->keep_expired) {
        return 0;
    }
    if (!ks->expire_.in_round) {
        int64_t rest_ms = ks->expire_.rest_until_ms - b->now_ms;
        if (keyspace_expire_next_ms(ks) >= b->now_ms && (rest_ms <= 0 || rest_ms <= REST_MS_MAX)) {
            return 0;
        }
        ks->expire_.in_round = true;
        ks->expire_.in_db = ks->expire_.in_slot = false;
        ks->expire_.db = 0;
        ks->expire_.round_ms = b->now_ms;
        ks->expire_.slots = ks->expire_.seen = ks->expire_.gone = 0;
    }
    struct sweep s = {.ks = ks, .b = b};
    bool over = sweep_round(&s);
    ks->expire_.seen += s.seen;
    ks->expire_.gone += s.gone;
    if (over) {
        round_end(ks, b->now_ms);
    }
    return s.gone;
}

int64_t keyspace_expire_next_ms(const struct keyspace *ks)
{
    int64_t next_ms = INT64_MAX;
    for (int i = 0; i < ks->databases; i++) {
        next_ms = min_ms(next_ms, min_ms(ks->db[i]->expire_next_ms_, ks->db[i]->expire_added_ms_));
    }
    if (next_ms < ks->expire_.rest_until_ms && !ks->expire_.in_round) {
        return ks->expire_.rest_until_ms;
    }
    return next_ms;
}

/* --- compaction --- */

enum {
    IDLE_MIN_BYTES = 512 << 10, /* less is not worth a pass */
    IDLE_SHARE = 64,            /* nor is less than this share of what is in use */
};

struct compaction {
    struct keyspace *ks;
    struct table *table;
    uint32_t seen;
};

static void compact_visit(void *item, void *ctx)
{
    struct compaction *s = ctx;
    struct entry *moved = entry_compact(item);
    s->seen++;
    if (moved != item) {
        table_replace(s->table, entry_hash(moved), item, moved);
    }
}

/* From where the pass is to the end of the database; false when time is up before. */
static bool compact_db(struct keyspace *ks, const struct keyspace_background *b)
{
    struct keyspace_db *d = ks->db[ks->compact_.db];
    uint32_t slots = 0;
    struct compaction s = {.ks = ks};
    for (;;) {
        uint32_t n = keyspace__occupied_from(d, ks->compact_.slot);
        if (n != ks->compact_.slot) {
            ks->compact_.slot = n;
            ks->compact_.pos = 0;
        }
        if (n == SLOT_COUNT) {
            return true;
        }
        if (b->may_touch && !b->may_touch(b->ctx, (uint16_t)n)) {
            ks->compact_.pos = 0;
        } else {
            s.table = &d->slots[n].table;
            table_compact(s.table, ks->compact_.pos);
            ks->compact_.pos = table_scan(s.table, ks->compact_.pos, compact_visit, &s);
        }
        slots++;
        ks->compact_.slot += ks->compact_.pos == 0;
        if (s.seen >= CLOCK_EVERY_KEYS || slots >= CLOCK_EVERY_SLOTS) {
            s.seen = slots = 0;
            if (time_is_up(b)) {
                return false;
            }
        }
    }
}

bool keyspace_compact_slice(struct keyspace *ks, const struct keyspace_background *b)
{
    assert(!ks->view_of);
    slab_collect();
    if (!ks->compact_.in_pass) {
        size_t idle = slab_idle_bytes(), share = slab_used_bytes() / IDLE_SHARE;
        if (idle < ks->compact_.idle_after) {
            ks->compact_.idle_after = idle; /* what could not be done away with has gone by itself */
        }
        if (idle < ks->compact_.idle_after + IDLE_MIN_BYTES + share) {
            return false;
        }
        ks->compact_.in_pass = true;
        ks->compact_.db = ks->compact_.slot = 0;
        ks->compact_.pos = 0;
    }
    for (; ks->compact_.db < (uint32_t)ks->databases; ks->compact_.db++) {
        if (!compact_db(ks, b)) {
            return true;
        }
        ks->compact_.slot = 0;
    }
    ks->compact_.in_pass = false;
    ks->compact_.idle_after = slab_idle_bytes();
    return false;
}

/* --- freeing in slices --- */

struct deferred_free {
    struct deferred_free *next;
    const struct value_ops *ops; /* a value: object … */
    void *object;
    uint64_t progress;
    struct slot_keys *slots;     /* … or all slots of a database */
    uint64_t *occupied;
};

static struct deferred_free *defer(struct keyspace *ks)
{
    struct deferred_free *f = mem_alloc_zero(sizeof *f);
    f->next = ks->freeing_;
    ks->freeing_ = f;
    return f;
}

void keyspace__free_later(struct keyspace *ks, enum value_type type, enum value_encoding encoding,
                          void *object)
{
    struct deferred_free *f = defer(ks);
    f->ops = entry_value_ops(type, encoding);
    f->object = object;
    assert(f->ops->free_slice);
}

void keyspace__free_slots_later(struct keyspace *ks, struct slot_keys *slots, uint64_t *occupied)
{
    struct deferred_free *f = defer(ks);
    f->slots = slots;
    f->occupied = occupied;
}

void keyspace__free_adopt(struct keyspace *ks, struct keyspace *from)
{
    struct deferred_free **end = &from->freeing_;
    while (*end) {
        end = &(*end)->next;
    }
    *end = ks->freeing_;
    ks->freeing_ = from->freeing_;
    from->freeing_ = NULL;
}

static void free_item(void *item, void *ctx)
{
    struct keyspace *ks = ctx;
    keyspace__free_entry(ks, item);
    ks->stats.lazyfreed++;
}

/* About FREE_UNITS keys; true when the slots are gone. */
static bool free_slots(struct keyspace *ks, struct deferred_free *f)
{
    struct keyspace_db d = {.slots = f->slots, .occupied = f->occupied};
    uint32_t slot = keyspace__occupied_from(&d, (uint32_t)f->progress);
    f->progress = slot;
    if (slot == SLOT_COUNT) {
        keyspace__slots_unmap(f->slots);
        return true;
    }
    if (table_drain(&f->slots[slot].table, free_item, ks, FREE_UNITS)) {
        mem_count(-(int64_t)sizeof f->slots[slot]);
        f->progress++;
    }
    return false;
}

bool keyspace_free_slice(struct keyspace *ks, uint64_t deadline_ns)
{
    while (ks->freeing_) {
        /* Off the list while it is worked on: freeing keys may put their values on it. */
        struct deferred_free *f = ks->freeing_;
        ks->freeing_ = f->next;
        bool done = f->slots ? free_slots(ks, f)
                             : f->ops->free_slice(f->object, FREE_UNITS, &f->progress);
        if (done) {
            ks->stats.lazyfreed += f->slots == NULL;
            mem_free(f);
        } else {
            f->next = ks->freeing_;
            ks->freeing_ = f;
        }
        if (deadline_ns != UINT64_MAX && keyspace__now_ns() >= deadline_ns) {
            break;
        }
    }
    return !ks->freeing_;
}

bool keyspace_free_pending(const struct keyspace *ks)
{
    return ks->freeing_ != NULL;
}
