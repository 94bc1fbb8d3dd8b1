/* entry.c - see entry.h: layout, access clocks, and the table of what can be done with values. */
#include "core/entry.h"

#include "core/hash.h"
#include "core/list.h"
#include "core/hash_value.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/set.h"
#include "core/sha1.h"
#include "core/slab.h"
#include "core/stream.h"
#include "core/zset.h"
#include <stdatomic.h>
#include <sys/mman.h>

static_assert(ENTRY_INLINE_MAX <= UINT16_MAX, "inline lengths have 16 bits");
static_assert(ENC_COUNT <= 16 && TYPE_COUNT <= 16, "four bits each");

/* --- memory --- */

static struct entry *entry_alloc(size_t bytes)
{
    return bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
}

static void entry_dealloc(struct entry *e, size_t bytes)
{
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(e, bytes);
    } else {
        mem_free(e);
    }
}

/* Writes the header, and the key at its place; the key may be e's own, elsewhere in it. */
static void entry_lay_out(struct entry *e, struct slice key, const struct entry_shape *shape)
{
    uint64_t wide = key.len;
    e->type = shape->type;
    e->encoding = shape->encoding;
    e->flags = (uint8_t)((shape->expires ? ENTRY_EXPIRES : 0) |
                         (key.len >= 255 ? ENTRY_LONG_KEY : 0));
    e->key_len = key.len >= 255 ? 255 : (uint8_t)key.len;
    e->value_len = shape->encoding == ENC_INLINE ? (uint16_t)shape->inline_len : 0;
    memmove(e->rest + entry__key_at(e), key.ptr, key.len);
    if (e->flags & ENTRY_LONG_KEY) {
        memcpy(e->rest + entry__long_at(e), &wide, 8);
    }
}

struct entry *entry_new(struct slice key, const struct entry_shape *shape)
{
    assert(shape->encoding != ENC_INLINE || shape->inline_len <= ENTRY_INLINE_MAX);
    struct entry *e = entry_alloc(entry_shape_bytes(shape, key.len));
    e->lru = 0;
    entry_lay_out(e, key, shape);
    return e;
}

static bool same_room(size_t a, size_t b)
{
    return a <= SLAB_MAX_BYTES && b <= SLAB_MAX_BYTES ? slab_size(a) == slab_size(b) : a == b;
}

struct entry *entry_reshape(struct entry *e, const struct entry_shape *shape)
{
    struct slice key = entry_key(e);
    size_t before = entry_bytes(e), after = entry_shape_bytes(shape, key.len);
    uint8_t raw = e->flags & ENTRY_RAW;
    int64_t at_ms = entry_expiry_ms(e);
    struct entry *to = e;
    bool same = same_room(before, after);
    if (!same) {
        to = entry_alloc(after);
        to->lru = e->lru;
    }
    entry_lay_out(to, key, shape);
    to->flags |= raw;
    if (shape->expires && at_ms >= 0) {
        memcpy(to->rest, &at_ms, 8);
    }
    if (!same) {
        entry_dealloc(e, before);
    }
    return to;
}

/* Moves all that stands behind the expiry word. */
static struct entry *entry_shift(struct entry *e, size_t from, size_t to)
{
    size_t before = entry_bytes(e), body = before - sizeof *e - from;
    size_t after = sizeof *e + to + body;
    if (same_room(before, after)) {
        memmove(e->rest + to, e->rest + from, body);
        return e;
    }
    struct entry *moved = entry_alloc(after);
    memcpy(moved, e, sizeof *e);
    memcpy(moved->rest + to, e->rest + from, body);
    entry_dealloc(e, before);
    return moved;
}

struct entry *entry_add_expiry(struct entry *e)
{
    assert(!(e->flags & ENTRY_EXPIRES));
    e = entry_shift(e, 0, 8);
    e->flags |= ENTRY_EXPIRES;
    return e;
}

struct entry *entry_drop_expiry(struct entry *e)
{
    assert(e->flags & ENTRY_EXPIRES);
    e = entry_shift(e, 8, 0);
    e->flags &= (uint8_t)~ENTRY_EXPIRES;
    return e;
}

struct entry *entry_compact(struct entry *e)
{
    if (e->encoding == ENC_LISTPACK) {
        entry_set_object(e, listpack_compact(entry_object(e)));
    }
    size_t bytes = entry_bytes(e);
    if (bytes > SLAB_MAX_BYTES || !slab_is_sparse(e)) {
        return e;
    }
    struct entry *moved = slab_alloc(bytes);
    memcpy(moved, e, bytes);
    slab_free(e, bytes);
    return moved;
}

struct entry *entry_rename(struct entry *e, struct slice key)
{
    struct entry_shape shape = {
        .type = e->type,
        .encoding = e->encoding,
        .expires = e->flags & ENTRY_EXPIRES,
        .inline_len = e->value_len,
    };
    struct entry *to = entry_new(key, &shape);
    to->lru = e->lru;
    to->flags |= e->flags & ENTRY_RAW;
    if (shape.expires) {
        entry_set_expiry_ms(to, entry_expiry_ms(e));
    }
    if (e->encoding == ENC_INLINE) {
        memcpy(entry_inline_value(to), entry_inline_value(e), e->value_len);
    } else {
        memcpy(to->rest + entry__word_at(to), e->rest + entry__word_at(e), 8);
    }
    entry_free_shell(e);
    return to;
}

void entry_free_shell(struct entry *e)
{
    entry_dealloc(e, entry_bytes(e));
}

void entry_free(struct entry *e)
{
    if (e->encoding >= ENC_BLOB) {
        entry_value_ops(e->type, e->encoding)->free(entry_object(e));
    }
    entry_free_shell(e);
}

size_t entry_memory(const struct entry *e)
{
    size_t bytes = entry_bytes(e);
    bytes = bytes <= SLAB_MAX_BYTES ? slab_size(bytes) : mem_usable(e);
    if (e->encoding >= ENC_BLOB) {
        bytes += entry_value_ops(e->type, e->encoding)->bytes(entry_object(e));
    }
    return bytes;
}

uint64_t entry_hash(const struct entry *e)
{
    struct slice key = entry_key(e);
    return hash_bytes(key.ptr, key.len);
}

struct slice entry_string(const struct entry *e, char buf[24])
{
    assert(e->type == TYPE_STRING);
    switch ((enum value_encoding)e->encoding) {
    case ENC_INLINE:
        return slice_of(e->rest + entry__key_at(e) + entry_key(e).len, e->value_len);
    case ENC_INT:
        return slice_of(buf, num_format_int(buf, entry_int(e)));
    default: {
        assert(e->encoding == ENC_BLOB);
        const struct blob *b = entry_object(e);
        return slice_of(b->data, b->len);
    }
    }
}

/* --- values --- */

enum { BLOB_UNIT = 16384, BLOB_PAGE = 4096 }; /* freeing a blob costs a unit per 16 KiB */

static size_t blob_free_effort(const void *object)
{
    const struct blob *b = object;
    return b->cap / BLOB_UNIT;
}

static size_t blob_bytes(const void *object)
{
    return mem_usable(object);
}

static void blob_digest(const void *object, uint8_t digest[20])
{
    const struct blob *b = object;
    sha1_mix(digest, b->data, b->len);
}

/* Unmapping 512 MiB takes the kernel tens of milliseconds. So a large blob's pages are given back
 * piece by piece before the block is freed; progress counts the bytes. If a reply still sends from
 * the blob, letting go is all there is to do: the last holder frees it. */
static bool blob_free_slice(void *object, size_t budget, uint64_t *progress)
{
    struct blob *b = object;
    if (atomic_load_explicit(&b->refs, memory_order_acquire) == 1) {
        uintptr_t from = ((uintptr_t)b->data + BLOB_PAGE - 1) & ~(uintptr_t)(BLOB_PAGE - 1);
        uintptr_t to = ((uintptr_t)b->data + b->cap) & ~(uintptr_t)(BLOB_PAGE - 1);
        size_t step = budget * BLOB_UNIT;
        from += *progress;
        if (from < to && to - from > step) {
            madvise((void *)from, step, MADV_DONTNEED);
            *progress += step;
            return false;
        }
    }
    blob_release(b);
    return true;
}

static const struct value_ops blob_ops = {
    .free = blob_release,
    .free_slice = blob_free_slice,
    .free_effort = blob_free_effort,
    .bytes = blob_bytes,
    .digest = blob_digest,
};

/* Listpacks of any type. */
static void free_listpack(void *object)
{
    listpack_free(object);
}

static size_t listpack_value_bytes(const void *object)
{
    return listpack_memory(object);
}

static void list_listpack_digest(const void *object, uint8_t digest[20])
{
    list_digest((struct list_value){ENC_LISTPACK, (void *)object}, digest);
}

static void list_nodes_digest(const void *object, uint8_t digest[20])
{
    list_digest((struct list_value){ENC_QUICKLIST, (void *)object}, digest);
}

static const struct value_ops list_listpack_ops = {
    .free = free_listpack,
    .bytes = listpack_value_bytes,
    .digest = list_listpack_digest,
};

static const struct value_ops list_nodes_ops = {
    .free = list_nodes_free,
    .free_slice = list_nodes_free_slice,
    .free_effort = list_nodes_free_effort,
    .bytes = list_nodes_bytes,
    .digest = list_nodes_digest,
};

static const struct value_ops stream_ops = {
    .free = stream_free,
    .free_slice = stream_free_slice,
    .free_effort = stream_free_effort,
    .bytes = stream_bytes,
    .digest = stream_digest,
};

static const struct value_ops *const value_ops[TYPE_COUNT][ENC_COUNT] = {
    [TYPE_STRING] = {[ENC_BLOB] = &blob_ops},
    [TYPE_SET] = {[ENC_INTSET] = &set__intset_ops,
                  [ENC_LISTPACK] = &set__listpack_ops,
                  [ENC_TABLE] = &set__table_ops},
    [TYPE_LIST] = {[ENC_LISTPACK] = &list_listpack_ops, [ENC_QUICKLIST] = &list_nodes_ops},
    [TYPE_HASH] = {[ENC_LISTPACK] = &hash_listpack_ops,
                   [ENC_LISTPACK_EX] = &hash_listpack_ex_ops,
                   [ENC_TABLE] = &hash_table_ops},
    [TYPE_ZSET] = {[ENC_LISTPACK] = &zset_listpack_ops, [ENC_TREE] = &zset_tree_ops},
    [TYPE_STREAM] = {[ENC_TREE] = &stream_ops},
};

const struct value_ops *entry_value_ops(enum value_type type, enum value_encoding encoding)
{
    assert(type < TYPE_COUNT && encoding < ENC_COUNT);
    const struct value_ops *ops = value_ops[type][encoding];
    assert(ops);
    return ops;
}

/* --- access clocks --- */

enum { LRU_MASK = (1 << 24) - 1, LFU_MINUTES_MASK = 0xffff, LFU_COUNTER_MAX = 255 };

static uint32_t lru_clock(int64_t now_ms)
{
    return (uint32_t)(now_ms / 1000) & LRU_MASK;
}

static uint32_t lfu_minutes(int64_t now_ms)
{
    return (uint32_t)(now_ms / 60000) & LFU_MINUTES_MASK;
}

static uint32_t lfu_word(uint32_t minutes, uint32_t counter)
{
    return minutes << 8 | counter;
}

uint32_t entry_clock_new(const struct settings *settings, int64_t now_ms)
{
    return settings_use_lfu(settings) ? lfu_word(lfu_minutes(now_ms), LFU_INIT) : lru_clock(now_ms);
}

uint8_t entry_lfu_counter(const struct entry *e, const struct settings *settings, int64_t now_ms)
{
    uint32_t then = e->lru >> 8, counter = e->lru & LFU_COUNTER_MAX, now = lfu_minutes(now_ms);
    /* Minutes wrap every 45 days: at most one turn is assumed, and counted as Redis counts it. */
    uint32_t elapsed = now >= then ? now - then : LFU_MINUTES_MASK - then + now;
    uint32_t steps = settings->lfu_decay_time ? elapsed / (uint32_t)settings->lfu_decay_time : 0;
    return (uint8_t)(steps > counter ? 0 : counter - steps);
}

void entry_touch(struct entry *e, const struct settings *settings, int64_t now_ms, uint64_t random)
{
    uint32_t clock;
    if (settings_use_lfu(settings)) {
        uint32_t counter = entry_lfu_counter(e, settings, now_ms);
        if (counter < LFU_COUNTER_MAX) {
            /* one chance in (counter - init) * factor + 1 */
            uint64_t base = counter > LFU_INIT ? counter - LFU_INIT : 0;
            uint64_t odds = base * (uint64_t)settings->lfu_log_factor + 1;
            counter += (random & UINT32_MAX) * odds >> 32 == 0;
        }
        clock = lfu_word(lfu_minutes(now_ms), counter);
    } else {
        clock = lru_clock(now_ms);
    }
    if (e->lru != clock) { /* do not dirty the line for nothing */
        e->lru = clock & LRU_MASK;
    }
}

int64_t entry_idle_s(const struct entry *e, int64_t now_ms)
{
    return (lru_clock(now_ms) - e->lru) & LRU_MASK;
}

void entry_set_idle_s(struct entry *e, int64_t idle_s, int64_t now_ms)
{
    e->lru = (uint32_t)(now_ms / 1000 - idle_s) & LRU_MASK;
}

void entry_set_lfu(struct entry *e, uint8_t counter, int64_t now_ms)
{
    e->lru = lfu_word(lfu_minutes(now_ms), counter) & LRU_MASK;
}
