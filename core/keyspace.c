/* keyspace.c - see keyspace.h: life, lending, looking up and changing.
 *
 * The hot path is key_read(): slot header (the array of 640 KiB stays in the second-level cache),
 * bucket, entry: two misses, which a batch hides by prefetching.
 *
 * Everything that adds or removes a key goes through slot_add() and keyspace__take(), everything
 * that gives or takes an expiry through expiry_add() and expiry_drop(), every value in which fields
 * may expire through fields_note(): I1 to I3 are kept there. */
#include "core/keyspace.h"

#include "core/command.h"
#include "core/hash_value.h"
#include "core/keyspace_internal.h"
#include "core/mem.h"
#include "core/num.h"
#include <sys/mman.h>

static uint64_t item_hash(const void *item)
{
    return entry_hash(item);
}

const struct table_type keyspace__table_type = {item_hash};

/* --- random bits (xorshift64*, Vigna 2016): for samples and odds, not for secrets --- */

uint64_t keyspace__random(void *p)
{
    struct keyspace *ks = p;
    uint64_t x = ks->random_state_;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    ks->random_state_ = x;
    return x * 0x2545f4914f6cdd1d;
}

/* --- life --- */

struct keyspace *keyspace_new(const struct settings *settings)
{
    assert(settings->databases > 0 && settings->databases <= DATABASES_MAX);
    struct keyspace *ks = mem_alloc_zero(sizeof *ks);
    ks->settings = settings;
    ks->databases = settings->databases;
    ks->random_state_ = hash_bytes(&ks, sizeof ks) ^ keyspace__now_ns();
    ks->random_state_ |= 1; /* never all zero */
    ks->db = mem_alloc((size_t)ks->databases * sizeof *ks->db);
    for (int i = 0; i < ks->databases; i++) {
        ks->db[i] = mem_alloc_zero(sizeof *ks->db[i]);
        ks->db[i]->expire_next_ms_ = ks->db[i]->expire_added_ms_ = INT64_MAX;
    }
    return ks;
}

void keyspace_destroy(struct keyspace *ks)
{
    assert(!ks->view_of);
    keyspace_flush(ks, -1);
    bool done = keyspace_free_slice(ks, UINT64_MAX);
    assert(done);
    for (int i = 0; i < ks->databases; i++) {
        mem_free(ks->db[i]);
    }
    mem_free(ks->eviction_);
    mem_free(ks->db);
    mem_free(ks);
}

void keyspace_db_prepare(struct keyspace *ks, int db)
{
    struct keyspace_db *d = ks->db[db];
    if (d->slots) {
        return;
    }
    assert(!ks->view_of);
    /* Zero pages until touched: a zeroed slot is an empty one. */
    void *map = mmap(NULL, SLOTS_MAP_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        mem__out_of_memory(SLOTS_MAP_BYTES);
    }
    d->slots = map;
    d->occupied = (uint64_t *)(d->slots + SLOT_COUNT);
}

void keyspace__slots_unmap(struct slot_keys *slots)
{
    munmap(slots, SLOTS_MAP_BYTES);
}

uint32_t keyspace__occupied_from(const struct keyspace_db *db, uint32_t slot)
{
    if (slot >= SLOT_COUNT || !db->occupied) {
        return SLOT_COUNT;
    }
    uint32_t word = slot / 64;
    uint64_t bits = db->occupied[word] & (UINT64_MAX << (slot % 64));
    while (!bits) {
        if (++word == OCCUPIED_WORDS) {
            return SLOT_COUNT;
        }
        bits = db->occupied[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

static void occupied_set(struct keyspace_db *d, uint16_t slot, bool on)
{
    if (d->occupied) { /* I2: a view leaves this to keyspace_view_settle() */
        uint64_t bit = 1ull << (slot % 64);
        d->occupied[slot / 64] = on ? d->occupied[slot / 64] | bit : d->occupied[slot / 64] & ~bit;
    }
}

/* --- lending --- */

void keyspace_view_init(struct keyspace *view, struct keyspace *owner)
{
    assert(!owner->view_of);
    int n = owner->databases;
    size_t pointers = (size_t)n * sizeof(struct keyspace_db *);
    memset(view, 0, sizeof *view);
    view->databases = n;
    view->settings = owner->settings;
    view->hooks = owner->hooks;
    view->keep_expired = owner->keep_expired;
    view->view_of = owner;
    view->random_state_ = keyspace__random(owner) | 1;
    view->db = mem_alloc_zero(pointers + (size_t)n * sizeof(struct keyspace_db));
    struct keyspace_db *dbs = (struct keyspace_db *)((char *)view->db + pointers);
    for (int i = 0; i < n; i++) {
        dbs[i].slots = owner->db[i]->slots;
        dbs[i].expire_next_ms_ = dbs[i].expire_added_ms_ = INT64_MAX;
        view->db[i] = &dbs[i];
    }
}

/* A client may set expiries near the end of time: the sum, which is only reported, may wrap. */
static int64_t wrapping_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

void keyspace_view_settle(struct keyspace *view, int db, const uint16_t *slots, int count)
{
    struct keyspace *owner = view->view_of;
    struct keyspace_db *from = view->db[db], *to = owner->db[db];
    assert(from->slots == to->slots);
    to->keys += from->keys;
    to->expiring += from->expiring;
    to->expiry_sum_ms = wrapping_add(to->expiry_sum_ms, from->expiry_sum_ms);
    if (from->expire_added_ms_ < to->expire_added_ms_) {
        to->expire_added_ms_ = from->expire_added_ms_;
    }
    if (from->slot_keys_max_ > to->slot_keys_max_) {
        to->slot_keys_max_ = from->slot_keys_max_;
    }
    from->keys = from->expiring = from->expiry_sum_ms = 0;
    from->expire_added_ms_ = INT64_MAX;
    from->slot_keys_max_ = 0;
    for (int i = 0; i < count && to->slots; i++) {
        occupied_set(to, slots[i], to->slots[slots[i]].table.count > 0);
    }
    owner->stats.hits += view->stats.hits;
    owner->stats.misses += view->stats.misses;
    owner->stats.expired += view->stats.expired;
    owner->stats.evicted += view->stats.evicted;
    owner->stats.expired_fields += view->stats.expired_fields;
    owner->dirty += view->dirty;
    memset(&view->stats, 0, sizeof view->stats);
    view->dirty = 0;
    keyspace__free_adopt(owner, view);
}

void keyspace_view_free(struct keyspace *view)
{
    assert(view->view_of && !view->freeing_);
    mem_free(view->db);
    view->db = NULL;
}

/* --- expiries, keys and slots: the counters --- */

static void bounds_lower(struct keyspace_db *d, struct slot_keys *slot, int64_t at_ms) /* I3 */
{
    if (!slot_may_expire(slot) || at_ms < slot->expire_min_ms) {
        slot->expire_min_ms = at_ms;
    }
    slot->expiry_set_ = 1;
    if (at_ms < d->expire_added_ms_) {
        d->expire_added_ms_ = at_ms;
    }
}

static void expiry_add(struct keyspace_db *d, struct slot_keys *slot, int64_t at_ms)
{
    bounds_lower(d, slot, at_ms);
    slot->expiring++;
    d->expiring++;
    d->expiry_sum_ms = wrapping_add(d->expiry_sum_ms, at_ms);
}

static void expiry_drop(struct keyspace_db *d, struct slot_keys *slot, int64_t at_ms)
{
    assert(slot->expiring > 0);
    slot->expiring--; /* expire_min_ms may stay: it is a bound */
    d->expiring--;
    d->expiry_sum_ms = wrapping_add(d->expiry_sum_ms, -at_ms);
}

int64_t keyspace__fields_expire_ms(const struct entry *e)
{
    if (e->type != TYPE_HASH) {
        return INT64_MAX;
    }
    const struct value_ops *ops = entry_value_ops(e->type, e->encoding);
    return ops->expire_min_ms ? ops->expire_min_ms(entry_object(e)) : INT64_MAX;
}

/* A key has a value, or a changed one: its fields may expire earlier than all else in the slot. */
static void fields_note(struct keyspace *ks, int db, const struct key *k, const struct entry *e)
{
    const int64_t at_ms = keyspace__fields_expire_ms(e);
    if (__builtin_expect(at_ms == INT64_MAX, 1)) {
        return;
    }
    struct keyspace_db *d = ks->db[db];
    struct slot_keys *slot = &d->slots[k->slot];
    if (!slot->fields_ || at_ms < slot->expire_min_ms || !slot->expiry_set_) {
        bounds_lower(d, slot, at_ms);
        slot->fields_ = 1;
    }
}

static void slot_add(struct keyspace *ks, int db, const struct key *k, struct entry *e)
{
    struct keyspace_db *d = ks->db[db];
    if (!d->slots) {
        keyspace_db_prepare(ks, db);
    }
    struct slot_keys *slot = &d->slots[k->slot];
    table_insert(&slot->table, &keyspace__table_type, k->hash, e);
    d->keys++;
    if (slot->table.count == 1) {
        occupied_set(d, k->slot, true);
        mem_count(sizeof *slot);
    }
    if (slot->table.count > d->slot_keys_max_) {
        d->slot_keys_max_ = slot->table.count;
    }
    if (e->flags & ENTRY_EXPIRES) {
        expiry_add(d, slot, entry_expiry_ms(e));
    }
}

void keyspace__take(struct keyspace *ks, int db, uint16_t slot_number, uint64_t hash,
                    struct entry *e)
{
    struct keyspace_db *d = ks->db[db];
    struct slot_keys *slot = &d->slots[slot_number];
    if (e->flags & ENTRY_EXPIRES) {
        expiry_drop(d, slot, entry_expiry_ms(e));
    }
    bool there = table_remove(&slot->table, &keyspace__table_type, hash, e);
    assert(there);
    d->keys--;
    if (slot->table.count == 0) {
        assert(slot->expiring == 0); /* I1 */
        slot->fields_ = 0;
        occupied_set(d, slot_number, false);
        mem_count(-(int64_t)sizeof *slot);
    }
}

static void object_release(struct keyspace *ks, enum value_type type, enum value_encoding enc,
                           void *object)
{
    const struct value_ops *ops = entry_value_ops(type, enc);
    if (ops->free_slice && ops->free_effort(object) > VALUE_FREE_AT_ONCE) {
        keyspace__free_later(ks, type, enc, object);
    } else {
        ops->free(object);
    }
}

static void value_release(struct keyspace *ks, struct entry *e)
{
    if (e->encoding >= ENC_BLOB) {
        object_release(ks, e->type, e->encoding, entry_object(e));
    }
}

void key_release(struct call *c, const struct key *k, enum value_type type,
                 enum value_encoding enc, void *object)
{
    object_release(call_keyspace(c, k), type, enc, object);
}

void keyspace__free_entry(struct keyspace *ks, struct entry *e)
{
    value_release(ks, e);
    entry_free_shell(e);
}

/* --- telling others --- */

void keyspace__event(struct keyspace *ks, int db, enum event_class class, const char *event,
                     struct slice key)
{
    if (((unsigned)ks->settings->notify_keyspace_events & class) && ks->hooks.event) {
        ks->hooks.event(ks, db, class, event, key);
    }
}

void key_event(struct call *c, enum event_class class, const char *event, const struct key *k)
{
    keyspace__event(call_keyspace(c, k), c->db, class, event, slice_of(k->ptr, k->len));
}

void key_modified(struct call *c, const struct key *k, uint64_t changes)
{
    struct keyspace *ks = call_keyspace(c, k);
    c->dirty += changes;
    ks->dirty += changes;
    if (ks->hooks.modified) {
        ks->hooks.modified(ks, c->db, k);
    }
}

void key_ready(struct call *c, const struct key *k)
{
    struct keyspace *ks = call_keyspace(c, k);
    if (ks->hooks.ready) {
        ks->hooks.ready(ks, c->db, k);
    }
}

void keyspace__expire(struct keyspace *ks, int db, const struct key *k, struct entry *e)
{
    ks->stats.expired++;
    if (ks->hooks.expired) {
        ks->hooks.expired(ks, db, k);
    }
    keyspace__take(ks, db, k->slot, k->hash, e);
    keyspace__event(ks, db, EVENT_EXPIRED, "expired", slice_of(k->ptr, k->len));
    if (ks->hooks.modified) {
        ks->hooks.modified(ks, db, k);
    }
    keyspace__free_entry(ks, e); /* last: k may point into it */
}

struct entry *keyspace__purge_fields(struct keyspace *ks, int db, const struct key *k,
                                     struct entry *e, int64_t now_ms, size_t *budget)
{
    const struct slice name = slice_of(k->ptr, k->len);
    struct hash_value h = hash_value_of(e);
    const size_t gone = hash_value_purge(&h, now_ms, budget);
    if (gone == 0) {
        return e;
    }
    const bool empty = hash_value_count(&h) == 0;
    entry_set_object(e, h.object);
    ks->stats.expired_fields += gone;
    if (empty) {
        keyspace__take(ks, db, k->slot, k->hash, e);
    }
    if (ks->hooks.modified) {
        ks->hooks.modified(ks, db, k);
    }
    keyspace__event(ks, db, EVENT_HASH, "hexpired", name);
    if (empty) {
        keyspace__event(ks, db, EVENT_GENERIC, "del", name);
        keyspace__free_entry(ks, e); /* last: k may point into it */
    }
    return empty ? NULL : e;
}

struct entry *key_purge_fields(struct call *c, const struct key *k, struct entry *e, size_t budget)
{
    return keyspace__purge_fields(call_keyspace(c, k), c->db, k, e, c->now_ms, &budget);
}

/* --- looking up --- */

static inline uint64_t load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t load32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline bool bytes_equal(const char *a, const char *b, size_t len)
{
    if (len < 8) {
        if (len >= 4) { /* two words that may overlap */
            return load32(a) == load32(b) && load32(a + len - 4) == load32(b + len - 4);
        }
        return len == 0 || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
    }
    if (len > 64) {
        return memcmp(a, b, len) == 0;
    }
    size_t last = len - 8; /* the last word may overlap the one before */
    for (size_t i = 0; i < last; i += 8) {
        if (load64(a + i) != load64(b + i)) {
            return false;
        }
    }
    return load64(a + last) == load64(b + last);
}

static inline bool entry_is(const void *item, const void *wanted)
{
    const struct entry *e = item;
    const struct key *k = wanted;
    struct slice key = entry_key(e);
    return key.len == k->len && bytes_equal(key.ptr, k->ptr, k->len);
}

static inline struct entry *find(const struct keyspace *ks, int db, const struct key *k)
{
    const struct slot_keys *slots = ks->db[db]->slots;
    if (!slots) {
        return NULL;
    }
    return table_find_inline(&slots[k->slot].table, k->hash, entry_is, k);
}

const struct entry *keyspace_find(const struct keyspace *ks, int db, const struct key *k)
{
    return find(ks, db, k);
}

/* An expired entry: deletes it if that is this server's to do. True: the key counts as absent. */
static __attribute__((noinline)) bool is_gone(struct call *c, struct keyspace *ks,
                                              const struct key *k, struct entry *e)
{
    if (c->now_ms <= entry_expiry_ms(e) || (c->flags & CALL_FROM_MASTER)) {
        return false; /* a master decides itself when its keys expire */
    }
    if (!ks->keep_expired) {
        keyspace__expire(ks, c->db, k, e);
    }
    return true;
}

static inline struct entry *find_live(struct call *c, struct keyspace *ks, const struct key *k)
{
    struct entry *e = find(ks, c->db, k);
    if (e && __builtin_expect(e->flags & ENTRY_EXPIRES, 0) && is_gone(c, ks, k, e)) {
        return NULL;
    }
    return e;
}

static inline void touch(struct call *c, struct keyspace *ks, struct entry *e)
{
    if (!(c->flags & CALL_NO_TOUCH)) {
        uint64_t random = settings_use_lfu(ks->settings) ? keyspace__random(ks) : 0;
        entry_touch(e, ks->settings, c->now_ms, random);
    }
}

struct entry *key_read(struct call *c, const struct key *k)
{
    struct keyspace *ks = call_keyspace(c, k);
    struct entry *e = find_live(c, ks, k);
    if (e) {
        ks->stats.hits++;
        touch(c, ks, e);
    } else {
        ks->stats.misses++;
        key_event(c, EVENT_KEY_MISS, "keymiss", k);
    }
    return e;
}

struct entry *key_write(struct call *c, const struct key *k)
{
    struct keyspace *ks = call_keyspace(c, k);
    struct entry *e = find_live(c, ks, k);
    if (e) {
        touch(c, ks, e);
    }
    return e;
}

struct entry *key_peek(struct call *c, const struct key *k)
{
    return find_live(c, call_keyspace(c, k), k);
}

static struct entry *check_type(struct call *c, struct entry *e, enum value_type type, bool *bad)
{
    *bad = e && e->type != type;
    if (*bad) {
        call_error_wrong_type(c);
        return NULL;
    }
    return e;
}

struct entry *key_read_type(struct call *c, const struct key *k, enum value_type type, bool *bad)
{
    return check_type(c, key_read(c, k), type, bad);
}

struct entry *key_write_type(struct call *c, const struct key *k, enum value_type type, bool *bad)
{
    return check_type(c, key_write(c, k), type, bad);
}

/* --- changing --- */

static struct slot_keys *slot_of(const struct keyspace *ks, const struct call *c,
                                 const struct key *k)
{
    return &ks->db[c->db]->slots[k->slot];
}

static void add_new(struct call *c, struct keyspace *ks, const struct key *k, struct entry *e)
{
    slot_add(ks, c->db, k, e);
    key_event(c, EVENT_NEW, "new", k);
}

/* The clock of a value that replaces another: LFU keeps counting. */
static void clock_renew(struct call *c, struct keyspace *ks, struct entry *e)
{
    if (!settings_use_lfu(ks->settings)) {
        e->lru = entry_clock_new(ks->settings, c->now_ms);
    }
}

/* The entry of k in a new shape, whose value the caller writes next. A new key is added to its
 * slot here already: adding looks at the key and the expiry only. */
static struct entry *set_shape(struct call *c, const struct key *k, struct entry *e,
                               struct entry_shape *shape, bool keep_ttl)
{
    struct keyspace *ks = call_keyspace(c, k);
    if (!e) {
        shape->expires = false;
        e = entry_new(slice_of(k->ptr, k->len), shape);
        e->lru = entry_clock_new(ks->settings, c->now_ms);
        add_new(c, ks, k, e);
        return e;
    }
    struct slot_keys *slot = slot_of(ks, c, k);
    bool expires = e->flags & ENTRY_EXPIRES;
    shape->expires = expires && keep_ttl;
    if (expires && !keep_ttl) {
        expiry_drop(ks->db[c->db], slot, entry_expiry_ms(e));
    }
    value_release(ks, e);
    clock_renew(c, ks, e);
    struct entry *now = entry_reshape(e, shape);
    now->flags &= (uint8_t)~ENTRY_RAW;
    if (now != e) {
        table_replace(&slot->table, k->hash, e, now);
    }
    return now;
}

struct entry *key_set_int(struct call *c, const struct key *k, struct entry *e, int64_t value,
                          bool keep_ttl)
{
    struct entry_shape shape = {.type = TYPE_STRING, .encoding = ENC_INT};
    e = set_shape(c, k, e, &shape, keep_ttl);
    entry_set_int(e, value);
    return e;
}

struct entry *key_set_blob(struct call *c, const struct key *k, struct entry *e, struct blob *b,
                           bool keep_ttl)
{
    struct entry_shape shape = {.type = TYPE_STRING, .encoding = ENC_BLOB};
    e = set_shape(c, k, e, &shape, keep_ttl);
    entry_set_object(e, b);
    e->flags |= ENTRY_RAW;
    return e;
}

/* Worth a try: as many characters as an int64_t may have, the first a digit or a minus. */
static inline bool looks_like_int(struct slice value)
{
    return value.len > 0 && value.len <= 20 &&
           ((unsigned char)(value.ptr[0] - '0') < 10 || value.ptr[0] == '-');
}

struct entry *key_set_string(struct call *c, const struct key *k, struct entry *e,
                             struct slice value, bool keep_ttl)
{
    int64_t number;
    if (looks_like_int(value) && num_parse_int(value.ptr, value.len, &number)) {
        return key_set_int(c, k, e, number, keep_ttl);
    }
    if (value.len > ENTRY_INLINE_MAX) {
        struct blob *b = blob_new(value.ptr, value.len, value.len);
        e = key_set_blob(c, k, e, b, keep_ttl);
        e->flags &= (uint8_t)~ENTRY_RAW;
        return e;
    }
    if (e && e->encoding == ENC_INLINE && e->value_len == value.len && e->flags == 0) {
        clock_renew(c, call_keyspace(c, k), e); /* the usual overwrite: nothing but the bytes */
    } else {
        struct entry_shape shape = {
            .type = TYPE_STRING, .encoding = ENC_INLINE, .inline_len = value.len};
        e = set_shape(c, k, e, &shape, keep_ttl);
    }
    memcpy(entry_inline_value(e), value.ptr, value.len);
    return e;
}

struct entry *key_set_object(struct call *c, const struct key *k, struct entry *e,
                             enum value_type type, enum value_encoding enc, void *object,
                             bool keep_ttl)
{
    assert(enc > ENC_BLOB);
    struct entry_shape shape = {.type = type, .encoding = enc};
    e = set_shape(c, k, e, &shape, keep_ttl);
    entry_set_object(e, object);
    fields_note(call_keyspace(c, k), c->db, k, e);
    return e;
}

void key_convert(struct call *c, const struct key *k, struct entry *e, enum value_encoding enc,
                 void *object)
{
    assert(enc > ENC_BLOB && e->encoding > ENC_BLOB);
    e->encoding = enc;
    entry_set_object(e, object);
    fields_note(call_keyspace(c, k), c->db, k, e);
}

struct entry *key_set_expiry(struct call *c, const struct key *k, struct entry *e, int64_t at_ms)
{
    struct keyspace *ks = call_keyspace(c, k);
    struct slot_keys *slot = slot_of(ks, c, k);
    struct entry *now = e;
    if (e->flags & ENTRY_EXPIRES) {
        expiry_drop(ks->db[c->db], slot, entry_expiry_ms(e));
    } else {
        now = entry_add_expiry(e);
        if (now != e) {
            table_replace(&slot->table, k->hash, e, now);
        }
    }
    entry_set_expiry_ms(now, at_ms);
    expiry_add(ks->db[c->db], slot, at_ms);
    return now;
}

struct entry *key_clear_expiry(struct call *c, const struct key *k, struct entry *e)
{
    if (!(e->flags & ENTRY_EXPIRES)) {
        return e;
    }
    struct keyspace *ks = call_keyspace(c, k);
    struct slot_keys *slot = slot_of(ks, c, k);
    expiry_drop(ks->db[c->db], slot, entry_expiry_ms(e));
    struct entry *now = entry_drop_expiry(e);
    if (now != e) {
        table_replace(&slot->table, k->hash, e, now);
    }
    return now;
}

void key_delete(struct call *c, const struct key *k, struct entry *e)
{
    struct keyspace *ks = call_keyspace(c, k);
    keyspace__take(ks, c->db, k->slot, k->hash, e);
    keyspace__free_entry(ks, e);
}

struct entry *key_detach(struct call *c, const struct key *k, struct entry *e)
{
    keyspace__take(call_keyspace(c, k), c->db, k->slot, k->hash, e);
    return e;
}

struct entry *key_attach(struct call *c, const struct key *k, struct entry *loose)
{
    struct keyspace *ks = call_keyspace(c, k);
    struct entry *e = entry_rename(loose, slice_of(k->ptr, k->len));
    add_new(c, ks, k, e);
    fields_note(ks, c->db, k, e);
    return e;
}

struct call key_call_in_db(const struct call *c, int db)
{
    struct call other = *c;
    assert(db >= 0 && db < c->ks->databases);
    other.db = db;
    return other;
}

/* --- whole databases --- */

int64_t keyspace_size(const struct keyspace *ks, int db)
{
    return ks->db[db]->keys;
}

static void flush_one(struct keyspace *ks, int db)
{
    struct keyspace_db *d = ks->db[db];
    if (d->slots) {
        if (d->keys > 0) {
            keyspace__free_slots_later(ks, d->slots, d->occupied);
        } else {
            keyspace__slots_unmap(d->slots);
        }
    }
    memset(d, 0, sizeof *d);
    d->expire_next_ms_ = d->expire_added_ms_ = INT64_MAX;
    keyspace__expire_restart(ks, db);
}

void keyspace_flush(struct keyspace *ks, int db)
{
    assert(!ks->view_of);
    if (ks->hooks.flushing) {
        ks->hooks.flushing(ks, db);
    }
    if (db >= 0) {
        flush_one(ks, db);
        return;
    }
    for (int i = 0; i < ks->databases; i++) {
        flush_one(ks, i);
    }
}

void keyspace_swap(struct keyspace *ks, int a, int b)
{
    assert(!ks->view_of);
    if (ks->hooks.swapping) {
        ks->hooks.swapping(ks, a, b);
    }
    struct keyspace_db *d = ks->db[a];
    ks->db[a] = ks->db[b];
    ks->db[b] = d;
    keyspace__expire_restart(ks, -1);
}

/* --- batches --- */

void keyspace_prefetch_table(const struct keyspace *ks, int db, const struct key *k)
{
    const struct slot_keys *slots = ks->db[db]->slots;
    if (slots) {
        table__touch(&slots[k->slot]);
        table__touch(&slots[k->slot].table.depth_); /* may lie in the next line */
    }
}

void keyspace_prefetch_bucket(const struct keyspace *ks, int db, const struct key *k)
{
    const struct slot_keys *slots = ks->db[db]->slots;
    if (slots) {
        table_prefetch_bucket(&slots[k->slot].table, k->hash);
    }
}

void keyspace_prefetch_entry(const struct keyspace *ks, int db, const struct key *k)
{
    const struct slot_keys *slots = ks->db[db]->slots;
    if (slots) {
        table_prefetch_item(&slots[k->slot].table, k->hash);
    }
}

const struct table *keyspace_members(const struct keyspace *ks, int db, const struct key *k)
{
    const struct entry *e = find(ks, db, k);
    if (!e || e->encoding <= ENC_BLOB) {
        return NULL;
    }
    const struct value_ops *ops = entry_value_ops(e->type, e->encoding);
    const struct table *members = ops->members ? ops->members(entry_object(e)) : NULL;
    return members && members->depth_ > 0 ? members : NULL;
}
