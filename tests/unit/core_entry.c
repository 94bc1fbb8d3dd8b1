/* core_entry.c - entries of every shape. */
#include "core/entry.h"
#include "core/mem.h"
#include "core/slab.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const size_t key_lens[] = {0, 1, 7, 16, 254, 255, 256, 1000, 5000, 100000};
static const size_t value_lens[] = {0, 1, 8, 32, 44, 100, ENTRY_INLINE_MAX};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static char *pattern(size_t n, char from)
{
    char *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)(from + (char)(i % 23));
    }
    return p;
}

Test(entry, sizes_as_promised)
{
    struct entry_shape s = {.type = TYPE_STRING, .encoding = ENC_INT};
    cr_assert_eq(slab_size(entry_shape_bytes(&s, 16)), 32);
    s = (struct entry_shape){.type = TYPE_STRING, .encoding = ENC_INLINE, .inline_len = 32};
    cr_assert_eq(slab_size(entry_shape_bytes(&s, 16)), 56);
    s.expires = true;
    cr_assert_eq(slab_size(entry_shape_bytes(&s, 16)), 64);
}

/* Every change of shape keeps the key, the clock and what else must stay. */
static void reshape_all(size_t key_len, size_t len)
{
    char *key_bytes = pattern(key_len, 'a'), *value = pattern(len, '0'), buf[24];
    struct slice key = slice_of(key_bytes, key_len);
    struct entry_shape s = {.type = TYPE_STRING, .encoding = ENC_INLINE, .inline_len = len};
    struct entry *e = entry_new(key, &s);
    e->lru = 123456;
    memcpy(entry_inline_value(e), value, len);
    cr_assert_eq(entry_bytes(e), entry_shape_bytes(&s, key_len));
    cr_assert(slice_equal(entry_key(e), key));
    cr_assert(slice_equal(entry_string(e, buf), slice_of(value, len)));
    cr_assert_eq(entry_expiry_ms(e), -1);

    e = entry_add_expiry(e);
    entry_set_expiry_ms(e, 77);
    cr_assert_eq(entry_expiry_ms(e), 77);
    cr_assert(slice_equal(entry_key(e), key));
    cr_assert(slice_equal(entry_string(e, buf), slice_of(value, len)));

    s = (struct entry_shape){.type = TYPE_STRING, .encoding = ENC_INT, .expires = true};
    e = entry_reshape(e, &s);
    entry_set_int(e, -42);
    cr_assert_eq(entry_expiry_ms(e), 77);
    cr_assert(slice_equal(entry_key(e), key));
    cr_assert(slice_equal(entry_string(e, buf), slice_str("-42")));

    char *other = pattern(key_len / 2 + 300, 'k');
    struct slice renamed = slice_of(other, key_len / 2 + 300);
    e = entry_rename(e, renamed);
    cr_assert(slice_equal(entry_key(e), renamed));
    cr_assert_eq(entry_expiry_ms(e), 77);
    cr_assert_eq(entry_int(e), -42);
    e = entry_rename(e, key);

    e = entry_drop_expiry(e);
    cr_assert_eq(entry_expiry_ms(e), -1);
    cr_assert_eq(entry_int(e), -42);

    s = (struct entry_shape){.type = TYPE_STRING, .encoding = ENC_BLOB};
    e = entry_reshape(e, &s);
    entry_set_object(e, blob_new(value, len, len + 10));
    cr_assert(slice_equal(entry_string(e, buf), slice_of(value, len)));
    cr_assert(slice_equal(entry_key(e), key));
    cr_assert_eq(e->lru, 123456);
    cr_assert_geq(entry_memory(e), entry_bytes(e) + len);
    entry_free(e);
    free(key_bytes);
    free(value);
    free(other);
}

Test(entry, every_shape)
{
    slab_thread_init();
    int64_t before = mem_used_total();
    for (size_t k = 0; k < COUNT(key_lens); k++) {
        for (size_t v = 0; v < COUNT(value_lens); v++) {
            reshape_all(key_lens[k], value_lens[v]);
        }
    }
    cr_assert_eq(mem_used_total(), before, "nothing leaks");
}

Test(entry, lru_clock)
{
    struct settings settings = {.maxmemory_policy = POLICY_NOEVICTION};
    struct entry_shape s = {.type = TYPE_STRING, .encoding = ENC_INT};
    struct entry *e = entry_new(slice_str("k"), &s);
    int64_t now_ms = 1700000000000;
    e->lru = entry_clock_new(&settings, now_ms) & 0xffffff;
    cr_assert_eq(entry_idle_s(e, now_ms), 0);
    cr_assert_eq(entry_idle_s(e, now_ms + 5999), 5);
    entry_touch(e, &settings, now_ms + 5000, 0);
    cr_assert_eq(entry_idle_s(e, now_ms + 5999), 0);
    entry_set_idle_s(e, 1000, now_ms);
    cr_assert_eq(entry_idle_s(e, now_ms), 1000);
    /* across the wrap of 24 bits */
    entry_touch(e, &settings, 0xffffffll * 1000, 0);
    cr_assert_eq(entry_idle_s(e, 0x1000001ll * 1000), 2);
    entry_free(e);
}

Test(entry, lfu_counter)
{
    struct settings settings = {
        .maxmemory_policy = POLICY_ALLKEYS_LFU, .lfu_log_factor = 10, .lfu_decay_time = 1};
    struct entry_shape s = {.type = TYPE_STRING, .encoding = ENC_INT};
    struct entry *e = entry_new(slice_str("k"), &s);
    int64_t now_ms = 1700000000000, minute_ms = 60000;
    e->lru = entry_clock_new(&settings, now_ms) & 0xffffff;
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms), LFU_INIT);
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms + 2 * minute_ms), LFU_INIT - 2);
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms + 100 * minute_ms), 0);
    entry_touch(e, &settings, now_ms, 0); /* random 0 always counts */
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms), LFU_INIT + 1);
    entry_touch(e, &settings, now_ms, UINT64_MAX); /* one in 11 now */
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms), LFU_INIT + 1);
    entry_set_lfu(e, 255, now_ms);
    entry_touch(e, &settings, now_ms, 0);
    cr_assert_eq(entry_lfu_counter(e, &settings, now_ms), 255);
    /* a million accesses at factor 10 come near the top, as Redis documents */
    entry_set_lfu(e, 0, now_ms);
    uint64_t x = 1;
    for (int i = 0; i < 1000000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        entry_touch(e, &settings, now_ms, x >> 32);
    }
    cr_assert_geq(entry_lfu_counter(e, &settings, now_ms), 240);
    entry_free(e);
}

Test(entry, blobs)
{
    struct blob *b = blob_new("hello", 5, 100);
    cr_assert_eq(b->cap, 100);
    cr_assert_eq(blob_own(b, 50), b);
    blob_hold(b);
    struct blob *mine = blob_own(b, 200);
    cr_assert_neq(mine, b);
    cr_assert_eq(mine->len, 5);
    cr_assert_geq(mine->cap, 200);
    cr_assert_eq(memcmp(mine->data, "hello", 5), 0);
    mine = blob_own(mine, 100000);
    cr_assert_eq(memcmp(mine->data, "hello", 5), 0);
    blob_release(b);
    blob_release(mine);
    cr_assert_null(blob_try_new(NULL, 0, SIZE_MAX - 8));
}
