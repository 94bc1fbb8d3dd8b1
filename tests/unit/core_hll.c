/* core_hll.c - HyperLogLog values: against a plain array of registers, across encodings, and with
 * bytes that are none. */
#include "core/hll.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SPARSE_MAX = 3000 };

static uint64_t random_state = 362436069u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

struct value {
    uint8_t bytes[HLL_DENSE_BYTES + HLL_GROW_BYTES];
    size_t len;
};

static void value_init(struct value *v)
{
    hll_init(v->bytes);
    v->len = HLL_EMPTY_BYTES;
}

static enum hll_result value_add(struct value *v, uint64_t element)
{
    enum hll_result result;
    while ((result = hll_add(v->bytes, &v->len, SPARSE_MAX, &element, sizeof element)) ==
           HLL_MUST_BE_DENSE) {
        uint8_t dense[HLL_DENSE_BYTES];
        cr_assert(hll_to_dense(dense, v->bytes, v->len));
        memcpy(v->bytes, dense, sizeof dense);
        v->len = HLL_DENSE_BYTES;
    }
    return result;
}

static void model_add(struct hll_registers *r, uint64_t element)
{
    uint64_t h = hll_hash(&element, sizeof element);
    unsigned zeroes = 1;
    for (unsigned bit = 14; bit < 64 && !(h >> bit & 1); bit++) {
        zeroes++;
    }
    uint8_t *own = &r->at[h % HLL_REGISTERS];
    *own = zeroes > *own ? (uint8_t)zeroes : *own;
}

Test(hll, values_keep_the_registers_that_elements_give)
{
    struct value v;
    struct hll_registers model = {{0}};
    bool was_sparse = false;
    value_init(&v);
    for (unsigned i = 1; i <= 60000; i++) {
        uint64_t element = next_random() % 50000;
        struct hll_registers before = model;
        model_add(&model, element);
        bool changed = memcmp(&before, &model, sizeof model) != 0;
        cr_assert_eq(value_add(&v, element), changed ? HLL_CHANGED : HLL_SAME);
        was_sparse |= hll_encoding_of(v.bytes) == HLL_SPARSE;
        cr_assert(hll_encoding_of(v.bytes) == HLL_DENSE || v.len <= SPARSE_MAX);
        if (i % 997 == 0 || i < 50) {
            struct hll_registers now = {{0}};
            uint64_t count;
            cr_assert(hll_valid(v.bytes, v.len) && hll_merge(&now, v.bytes, v.len));
            cr_assert_arr_eq(now.at, model.at, HLL_REGISTERS);
            cr_assert(hll_count(v.bytes, v.len, &count));
            cr_assert_eq(count, hll_registers_count(&model));
        }
    }
    cr_assert(was_sparse && hll_encoding_of(v.bytes) == HLL_DENSE);
}

Test(hll, counts_are_close)
{
    struct hll_registers r = {{0}};
    for (uint64_t i = 1; i <= 200000; i++) {
        model_add(&r, i * 0x9e3779b97f4a7c15u);
        if (i == 100 || i == 1000 || i == 20000 || i == 200000) {
            double off = (double)hll_registers_count(&r) / (double)i - 1;
            cr_assert(off > -0.04 && off < 0.04, "%f of %lu", off, i);
        }
    }
}

Test(hll, writing_and_reading_registers)
{
    for (int round = 0; round < 200; round++) {
        struct hll_registers r = {{0}}, back = {{0}};
        const unsigned filled = next_random() % 1500, max = round % 2 ? 32 : 63;
        for (unsigned i = 0; i < filled; i++) {
            unsigned at = next_random() % HLL_REGISTERS;
            uint8_t value = (uint8_t)(1 + next_random() % max);
            for (unsigned n = next_random() % 7; n > 0 && at + n < HLL_REGISTERS; n--) {
                r.at[at + n] = value;
            }
        }
        uint8_t out[HLL_HEADER_BYTES + HLL_REGISTERS];
        hll_write_dense(out, &r);
        cr_assert(hll_valid(out, HLL_DENSE_BYTES) && hll_merge(&back, out, HLL_DENSE_BYTES));
        cr_assert_arr_eq(back.at, r.at, HLL_REGISTERS);
        size_t len = hll_write_sparse(out, sizeof out, &r);
        cr_assert(len > 0 || max > HLL_SPARSE_VALUE_MAX);
        if (len > 0) {
            memset(&back, 0, sizeof back);
            cr_assert(hll_valid(out, len) && hll_merge(&back, out, len));
            cr_assert_arr_eq(back.at, r.at, HLL_REGISTERS);
            cr_assert_eq(hll_write_sparse(out, len - 1, &r), 0);
        }
    }
}

Test(hll, cached_count)
{
    uint8_t value[HLL_EMPTY_BYTES];
    uint64_t count;
    hll_init(value);
    cr_assert(hll_cached(value, &count) && count == 0);
    hll_set_cached(value, 123456789012);
    cr_assert(hll_cached(value, &count) && count == 123456789012);
    hll_drop_cached(value);
    cr_assert_not(hll_cached(value, &count));
}

Test(hll, what_is_none)
{
    uint8_t value[HLL_DENSE_BYTES + 1] = "HYLL";
    cr_assert(hll_valid(value, HLL_DENSE_BYTES));
    cr_assert_not(hll_valid(value, HLL_DENSE_BYTES - 1));
    cr_assert_not(hll_valid(value, HLL_DENSE_BYTES + 1));
    cr_assert_not(hll_valid(value, 3));
    value[4] = 2;
    cr_assert_not(hll_valid(value, HLL_DENSE_BYTES));
    value[4] = HLL_SPARSE;
    cr_assert(hll_valid(value, 16));
    value[0] = 'h';
    cr_assert_not(hll_valid(value, 16));
}

/* Under the address sanitizer: each value has exactly the memory that it may use. */
Test(hll, any_bytes_do_no_harm)
{
    unsigned corrupt = 0;
    for (int round = 0; round < 20000; round++) {
        struct value v;
        value_init(&v);
        for (unsigned n = next_random() % 20; n > 0; n--) {
            value_add(&v, next_random());
        }
        for (unsigned n = 1 + next_random() % 3; n > 0; n--) {
            size_t at = HLL_HEADER_BYTES + next_random() % (v.len - HLL_HEADER_BYTES);
            v.bytes[at] = (uint8_t)next_random();
        }
        v.len -= next_random() % 3 == 0 && v.len > HLL_HEADER_BYTES + 1;
        uint8_t *exact = malloc(v.len + HLL_GROW_BYTES);
        memcpy(exact, v.bytes, v.len);
        size_t len = v.len;
        uint64_t element = next_random(), count;
        struct hll_registers r = {{0}};
        bool good = hll_merge(&r, exact, len);
        cr_assert_eq(hll_count(exact, len, &count), good);
        enum hll_result result = hll_add(exact, &len, SPARSE_MAX, &element, sizeof element);
        cr_assert(len <= v.len + HLL_GROW_BYTES);
        cr_assert(!good || result != HLL_CORRUPT);
        corrupt += !good;
        free(exact);
    }
    cr_assert_gt(corrupt, 1000);
}
