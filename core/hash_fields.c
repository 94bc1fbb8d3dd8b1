/* hash_fields.c - see hash_fields.h. */
#include "core/hash_fields.h"

#include "core/mem.h"
#include "core/pause.h"
#include "core/slab.h"

enum { HASH_REGION_BITS_MAX = 20 };

/* --- items --- */

static size_t item_bytes_for(size_t field_len, size_t value_len, bool expires)
{
    const bool wide = field_len > HASH_ITEM_NARROW_MAX || value_len > HASH_ITEM_NARROW_MAX;
    return sizeof(struct hash_item) + (wide ? HASH_ITEM_WIDE_BYTES : 0) + (expires ? 8 : 0) +
           field_len + value_len;
}

static size_t item_bytes(const struct hash_item *item)
{
    return sizeof *item + hash_item__field_at(item) + hash_item__len(item, 0) +
           hash_item__len(item, 1);
}

/* What a block of so many bytes really takes. */
static size_t room_of(size_t bytes)
{
    return bytes <= SLAB_MAX_BYTES ? slab_size(bytes) : bytes;
}

static void item_free(struct hash_item *item)
{
    const size_t bytes = item_bytes(item);
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(item, bytes);
    } else {
        mem_free(item);
    }
}

static struct hash_item *item_new(struct slice field, struct slice value, int64_t at_ms)
{
    const bool expires = at_ms != HASH_NO_EXPIRY;
    const size_t bytes = item_bytes_for(field.len, value.len, expires);
    struct hash_item *item = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
    char *at = item->rest;
    item->flags = expires ? HASH_ITEM_EXPIRES : 0;
    if (__builtin_expect(field.len <= HASH_ITEM_NARROW_MAX && value.len <= HASH_ITEM_NARROW_MAX,
                         1)) {
        item->field_len = (uint8_t)field.len;
        item->value_len = (uint8_t)value.len;
    } else {
        const uint64_t lens[2] = {field.len, value.len};
        item->flags |= HASH_ITEM_WIDE;
        memcpy(at, lens, sizeof lens);
        at += sizeof lens;
    }
    if (expires) {
        memcpy(at, &at_ms, 8);
        at += 8;
    }
    memcpy(at, field.ptr, field.len);
    memcpy(at + field.len, value.ptr, value.len);
    return item;
}

static uint64_t item_hash(const void *item)
{
    const struct slice field = hash_item_field(item);
    return hash_bytes(field.ptr, field.len);
}

static const struct table_type fields_type = {.hash = item_hash};

/* --- expiry: F1, F2 --- */

static size_t regions(const struct hash_fields *f)
{
    return (size_t)1 << f->region_bits_;
}

static uint64_t region_of(const struct hash_fields *f, uint64_t hash)
{
    return f->region_bits_ ? hash >> (64 - f->region_bits_) : 0;
}

/* The position at which a region begins; that of the one behind the last is 0. */
static uint64_t region_pos(const struct hash_fields *f, uint64_t region)
{
    return region < regions(f) && region > 0 ? region << (64 - f->region_bits_) : 0;
}

/* As many regions as the table asks for; new ones have the bound of the one that they come from. */
static void regions_fit(struct hash_fields *f)
{
    unsigned bits = f->bounds_ ? f->region_bits_ : 0;
    while (bits < HASH_REGION_BITS_MAX && f->table.count >> bits > 2 * HASH_REGION_FIELDS) {
        bits++;
    }
    if (f->bounds_ && bits == f->region_bits_) {
        return;
    }
    int64_t *bounds = mem_alloc(sizeof *bounds << bits);
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        bounds[i] = f->bounds_ ? f->bounds_[i >> (bits - f->region_bits_)] : INT64_MAX;
    }
    mem_free(f->bounds_);
    f->bounds_ = bounds;
    f->region_bits_ = (uint8_t)bits;
    f->purge_pos_ = 0;
    f->in_region_ = false;
}

static void regions_drop(struct hash_fields *f)
{
    mem_free(f->bounds_);
    f->bounds_ = NULL;
    f->region_bits_ = 0;
    f->expire_min_ms = INT64_MAX;
    f->purge_pos_ = 0;
    f->in_region_ = false;
}

static void expiry_added(struct hash_fields *f, uint64_t hash, int64_t at_ms)
{
    if (at_ms == HASH_NO_EXPIRY) {
        return;
    }
    f->expiring++;
    regions_fit(f);
    int64_t *bound = &f->bounds_[region_of(f, hash)];
    *bound = at_ms < *bound ? at_ms : *bound;
    f->expire_min_ms = at_ms < f->expire_min_ms ? at_ms : f->expire_min_ms;
    f->purge_min_ms_ = at_ms < f->purge_min_ms_ ? at_ms : f->purge_min_ms_;
}

static void expiry_removed(struct hash_fields *f, int64_t at_ms)
{
    if (at_ms != HASH_NO_EXPIRY) {
        assert(f->expiring > 0); /* F1 */
        if (--f->expiring == 0) {
            regions_drop(f);
        }
    }
}

/* --- fields --- */

struct hash_fields *hash_fields_new(void)
{
    struct hash_fields *f = slab_alloc(sizeof *f);
    *f = (struct hash_fields){.expire_min_ms = INT64_MAX};
    table_init(&f->table);
    return f;
}

static void *item_clone(void *item, void *ctx)
{
    const size_t bytes = item_bytes(item);
    void *clone = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
    return memcpy(clone, item, bytes);
}

struct hash_fields *hash_fields_copy(const struct hash_fields *f)
{
    struct hash_fields *copy = slab_alloc(sizeof *copy);
    *copy = *f;
    table_init(&copy->table);
    table_clone(&copy->table, &f->table, item_clone, NULL);
    if (f->bounds_) {
        copy->bounds_ = mem_alloc(sizeof *f->bounds_ << f->region_bits_);
        memcpy(copy->bounds_, f->bounds_, sizeof *f->bounds_ << f->region_bits_);
    }
    return copy;
}

static void visit_free(void *item, void *ctx)
{
    item_free(item);
}

bool hash_fields_free_slice(struct hash_fields *f, size_t budget)
{
    if (!table_drain(&f->table, visit_free, NULL, budget)) {
        return false;
    }
    mem_free(f->bounds_);
    slab_free(f, sizeof *f);
    return true;
}

void hash_fields_free(struct hash_fields *f)
{
    while (!hash_fields_free_slice(f, PAUSE_FREE_STEP)) {
        pause_point(PAUSE_FREE_STEP);
    }
}

void hash_fields_add(struct hash_fields *f, uint64_t hash, struct slice field, struct slice value,
                     int64_t at_ms)
{
    struct hash_item *item = item_new(field, value, at_ms);
    table_insert(&f->table, &fields_type, hash, item);
    f->item_bytes += room_of(item_bytes(item));
    expiry_added(f, hash, at_ms);
}

/* Writes a value over the old one where block and header have the right shape for it. */
static bool set_in_place(struct hash_item *item, struct slice value)
{
    const size_t before = item_bytes(item);
    const size_t after = before - hash_item__len(item, 1) + value.len;
    char *at = item->rest + hash_item__field_at(item) + hash_item__len(item, 0);
    if (before > SLAB_MAX_BYTES || after > SLAB_MAX_BYTES ||
        slab_size(before) != slab_size(after)) {
        return false;
    }
    if (item->flags & HASH_ITEM_WIDE) {
        const uint64_t len = value.len;
        memcpy(item->rest + 8, &len, 8);
    } else if (value.len <= HASH_ITEM_NARROW_MAX) {
        item->value_len = (uint8_t)value.len;
    } else {
        return false;
    }
    memmove(at, value.ptr, value.len);
    return true;
}

void hash_fields_set(struct hash_fields *f, uint64_t hash, struct hash_item *item,
                     struct slice value, int64_t at_ms)
{
    const int64_t before_ms = hash_item_expiry_ms(item);
    if (before_ms == at_ms && set_in_place(item, value)) {
        return;
    }
    struct hash_item *now = item_new(hash_item_field(item), value, at_ms);
    table_replace(&f->table, hash, item, now);
    f->item_bytes += room_of(item_bytes(now)) - room_of(item_bytes(item));
    expiry_removed(f, before_ms);
    expiry_added(f, hash, at_ms);
    item_free(item);
}

void hash_fields_remove(struct hash_fields *f, uint64_t hash, struct hash_item *item)
{
    const bool there = table_remove(&f->table, &fields_type, hash, item);
    assert(there);
    f->item_bytes -= room_of(item_bytes(item));
    expiry_removed(f, hash_item_expiry_ms(item));
    item_free(item);
}

struct purge {
    struct hash_fields *fields;
    int64_t now_ms;
    uint64_t region;
    size_t seen, gone;
};

static void purge_visit(void *visited, void *ctx)
{
    struct purge *p = ctx;
    struct hash_fields *f = p->fields;
    struct hash_item *item = visited;
    const int64_t at_ms = hash_item_expiry_ms(item);
    p->seen++;
    if (at_ms == HASH_NO_EXPIRY) {
        return;
    }
    const uint64_t hash = item_hash(item);
    if (at_ms < p->now_ms) {
        hash_fields_remove(f, hash, item);
        p->gone++;
    } else if (at_ms < f->purge_min_ms_ && region_of(f, hash) == p->region) {
        f->purge_min_ms_ = at_ms;
    }
}

/* The first region from the one at purge_pos_ on in which something may be due. */
static bool find_due_region(struct hash_fields *f, int64_t now_ms)
{
    for (uint64_t r = region_of(f, f->purge_pos_); r < regions(f); r++) {
        if (f->bounds_[r] < now_ms) {
            f->purge_pos_ = region_pos(f, r);
            f->purge_min_ms_ = INT64_MAX;
            f->in_region_ = true;
            return true;
        }
    }
    return false;
}

/* All regions have been passed: the bound of the whole is as good as theirs. */
static void pass_end(struct hash_fields *f)
{
    f->purge_pos_ = 0;
    f->expire_min_ms = INT64_MAX;
    for (size_t r = 0; r < regions(f); r++) {
        f->expire_min_ms = f->bounds_[r] < f->expire_min_ms ? f->bounds_[r] : f->expire_min_ms;
    }
}

size_t hash_fields_purge(struct hash_fields *f, int64_t now_ms, size_t *budget)
{
    struct purge p = {.fields = f, .now_ms = now_ms};
    while (f->expire_min_ms < now_ms && p.seen < *budget) {
        if (!f->in_region_ && !find_due_region(f, now_ms)) {
            pass_end(f);
            continue;
        }
        p.region = region_of(f, f->purge_pos_);
        p.seen++; /* empty buckets cost something, too */
        f->purge_pos_ =
            table_scan_remove(&f->table, &fields_type, f->purge_pos_, purge_visit, &p);
        if (!f->bounds_) { /* none is left that could expire */
            break;
        }
        /* Buckets may reach over the ends of a region: it is done with once the next lies behind. */
        if (f->purge_pos_ == 0 || region_of(f, f->purge_pos_) != p.region) {
            f->bounds_[p.region] = f->purge_min_ms_;
            f->in_region_ = false;
            f->purge_pos_ = region_pos(f, p.region + 1);
            if (f->purge_pos_ == 0) {
                pass_end(f);
            }
        }
    }
    *budget -= p.seen < *budget ? p.seen : *budget;
    return p.gone;
}

size_t hash_fields_bytes(const struct hash_fields *f)
{
    return slab_size(sizeof *f) + f->item_bytes + table_bytes(&f->table) +
           (f->bounds_ ? mem_usable(f->bounds_) : 0);
}
