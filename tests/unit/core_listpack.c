/* core_listpack.c - the bytes are those of Redis; a model of plain strings agrees after any changes;
 * mutated bytes are refused or safe to walk. */
#include "core/listpack.h"
#include "core/num.h"
#include "core/serial.h"
#include "core_listpack_payloads.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

Test(listpack, bytes_as_redis)
{
    for (size_t i = 0; i < COUNT(listpack_payloads); i++) {
        const struct listpack_payload *p = &listpack_payloads[i];
        struct slice s = slice_str(p->element);
        struct listpack *lp = listpack_append(listpack_new(0), s);
        cr_assert(listpack_bytes(lp) == p->len, "%s", p->element);
        cr_assert(memcmp(listpack_data(lp), p->bytes, p->len) == 0, "%s", p->element);
        cr_assert(listpack_validate(p->bytes, p->len));
        cr_assert(listpack_cost(s) + 7 == p->len);
        cr_assert(listpack_equals(listpack_first(lp), s));
        listpack_free(lp);
    }
}

Test(listpack, long_strings_as_redis)
{
    for (size_t i = 0; i < COUNT(listpack_long_payloads); i++) {
        const struct listpack_long_payload *p = &listpack_long_payloads[i];
        char *x = malloc(p->times);
        memset(x, 'x', p->times);
        struct slice s = slice_of(x, p->times);
        struct listpack *lp = listpack_append(listpack_new(0), s);
        cr_assert(listpack_bytes(lp) == p->len);
        cr_assert(crc64_update(0, listpack_data(lp), p->len) == p->crc, "%zu", p->times);
        cr_assert(listpack_validate(listpack_data(lp), p->len));
        cr_assert(listpack_cost(s) + 7 == p->len);
        cr_assert(listpack_last(lp) == listpack_first(lp));
        cr_assert(listpack_equals(listpack_last(lp), s));
        listpack_free(lp);
        free(x);
    }
}

/* ---- the model --------------------------------------------------------------------------- */

enum { MODEL_MAX = 400 };

static struct {
    char *s[MODEL_MAX];
    size_t len[MODEL_MAX];
    uint32_t n;
} model;

static char text[40000];

static struct slice random_string(void)
{
    static const int64_t edges[] = {0,       127,     128,       -1,        4095,      4096,
                                    -4096,   -4097,   INT16_MAX, INT16_MIN, 1 << 23,   -(1 << 23),
                                    8388607, 8388609, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (below(3) == 0) {
        int64_t v = edges[below(COUNT(edges))];
        if (below(2) && v != INT64_MAX && v != INT64_MIN) {
            v += (int64_t)below(3) - 1;
        }
        return slice_of(text, num_format_int(text, v));
    }
    static const uint32_t sizes[] = {1, 4, 20, 70, 70, 200, 5000, 30000};
    size_t len = below(sizes[below(below(20) ? 4 : COUNT(sizes))]);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)("ab1"[below(3)]);
    }
    return slice_of(text, len);
}

static void model_insert(uint32_t at, struct slice s)
{
    memmove(model.s + at + 1, model.s + at, (model.n - at) * sizeof model.s[0]);
    memmove(model.len + at + 1, model.len + at, (model.n - at) * sizeof model.len[0]);
    model.s[at] = malloc(s.len + 1);
    memcpy(model.s[at], s.ptr, s.len);
    model.len[at] = s.len;
    model.n++;
}

static void model_delete(uint32_t at)
{
    free(model.s[at]);
    model.n--;
    memmove(model.s + at, model.s + at + 1, (model.n - at) * sizeof model.s[0]);
    memmove(model.len + at, model.len + at + 1, (model.n - at) * sizeof model.len[0]);
}

static void expect_at(const uint8_t *at, uint32_t i)
{
    char buf[LISTPACK_INT_CHARS];
    cr_assert(at != NULL);
    cr_assert(slice_equal(listpack_string(at, buf), slice_of(model.s[i], model.len[i])));
    struct listpack_value v = listpack_get(at);
    int64_t number;
    if (num_parse_int(model.s[i], model.len[i], &number)) {
        cr_assert(!v.ptr && v.number == number);
    } else {
        cr_assert(v.ptr && v.len == model.len[i]);
    }
}

static void compare(const struct listpack *lp)
{
    cr_assert(listpack_validate(listpack_data(lp), listpack_bytes(lp)));
    cr_assert(listpack_count(lp) == model.n);
    const uint8_t *at = listpack_first(lp);
    for (uint32_t i = 0; i < model.n; i++) {
        expect_at(at, i);
        cr_assert(listpack_seek(lp, i) == at);
        cr_assert(listpack_seek(lp, (int64_t)i - model.n) == at);
        const uint8_t *next = listpack_next(lp, at);
        cr_assert((next ? listpack_prev(lp, next) : listpack_last(lp)) == at);
        at = next;
    }
    cr_assert(at == NULL);
    cr_assert(model.n == 0 || listpack_prev(lp, listpack_first(lp)) == NULL);
    cr_assert(listpack_seek(lp, model.n) == NULL);
    cr_assert(listpack_seek(lp, -(int64_t)model.n - 1) == NULL);
}

static void check_find(const struct listpack *lp, struct slice s)
{
    uint32_t from = below(model.n), skip = below(3), expected = from;
    while (expected < model.n &&
           !slice_equal(slice_of(model.s[expected], model.len[expected]), s)) {
        expected += skip + 1;
    }
    const uint8_t *at = listpack_find(lp, listpack_seek(lp, from), s, skip);
    cr_assert(at == (expected < model.n ? listpack_seek(lp, expected) : NULL));
}

static struct listpack *change(struct listpack *lp, struct slice s)
{
    uint8_t *placed = NULL;
    uint32_t at = model.n > 0 ? below(model.n) : 0;
    uint8_t *p = listpack_seek(lp, at);
    int64_t number = 0;
    bool numeric = num_parse_int(s.ptr, s.len, &number) && below(2);
    size_t before = listpack_bytes(lp);
    uint32_t what = below(model.n > MODEL_MAX / 2 ? 7 : 6);
    if (model.n == 0 || what == 0) {
        model_insert(model.n, s);
        lp = numeric ? listpack_append_int(lp, number) : listpack_append(lp, s);
        cr_assert(listpack_bytes(lp) == before + listpack_cost(s));
    } else if (what == 1) {
        model_insert(0, s);
        lp = listpack_prepend(lp, s);
    } else if (what == 6) {
        uint32_t n = below(MODEL_MAX);
        uint8_t *next;
        lp = listpack_delete(lp, p, n, &next);
        for (; n > 0 && at < model.n; n--) {
            model_delete(at);
        }
        cr_assert(next == listpack_seek(lp, at));
    } else if (what == 5) {
        model_delete(at);
        lp = listpack_delete(lp, p, 1, NULL);
    } else {
        enum listpack_where where = what == 2   ? LISTPACK_BEFORE
                                    : what == 3 ? LISTPACK_AFTER
                                                : LISTPACK_REPLACE;
        at += where == LISTPACK_AFTER;
        if (where == LISTPACK_REPLACE) {
            model_delete(at);
        }
        model_insert(at, s);
        lp = numeric ? listpack_insert_int(lp, p, where, number, &placed)
                     : listpack_insert(lp, p, where, s, &placed);
        cr_assert(placed == listpack_seek(lp, at));
    }
    return lp;
}

Test(listpack, behaves_as_an_array)
{
    struct listpack *lp = listpack_new(100);
    for (int i = 0; i < 6000; i++) {
        lp = change(lp, random_string());
        if (i % 16 == 0) {
            compare(lp);
        }
        if (model.n > 0) {
            check_find(lp, random_string());
            uint32_t known = below(model.n);
            check_find(lp, slice_of(model.s[known], model.len[known]));
        }
    }
    struct listpack *copy = listpack_copy(lp);
    compare(copy);
    listpack_free(copy);
    listpack_free(lp);
}

Test(listpack, more_than_the_header_can_count)
{
    struct listpack *lp = listpack_new(0);
    for (uint32_t i = 0; i < 70000; i++) {
        lp = listpack_append_int(lp, i);
    }
    cr_assert(listpack_count(lp) == 70000);
    cr_assert(listpack_get(listpack_seek(lp, 69999)).number == 69999);
    cr_assert(listpack_get(listpack_seek(lp, -70000)).number == 0);
    cr_assert(listpack_seek(lp, 70000) == NULL && listpack_seek(lp, -70001) == NULL);
    cr_assert(listpack_validate(listpack_data(lp), listpack_bytes(lp)));
    uint8_t *next;
    lp = listpack_delete(lp, listpack_seek(lp, 10), 69980, &next);
    cr_assert(listpack_count(lp) == 20 && listpack_get(next).number == 69990);
    cr_assert(listpack_validate(listpack_data(lp), listpack_bytes(lp)));
    lp = listpack_delete(lp, listpack_first(lp), UINT32_MAX, &next);
    cr_assert(listpack_count(lp) == 0 && !next && !listpack_first(lp) && !listpack_last(lp));
    listpack_free(lp);
}

Test(listpack, appends_all_as_one_by_one)
{
    enum { N = 12 };
    for (int round = 0; round < 200; round++) {
        struct listpack *one = listpack_append(listpack_new(0), slice_str("x"));
        struct listpack *all = listpack_copy(one);
        struct slice s[N];
        uint32_t n = below(N);
        for (uint32_t i = 0; i < n; i++) {
            struct slice r = random_string();
            char *copy = malloc(r.len + 1);
            memcpy(copy, r.ptr, r.len);
            s[i] = slice_of(copy, r.len);
            one = listpack_append(one, r);
        }
        all = listpack_append_all(all, s, n);
        cr_assert(listpack_bytes(one) == listpack_bytes(all));
        cr_assert(memcmp(listpack_data(one), listpack_data(all), listpack_bytes(one)) == 0);
        for (uint32_t i = 0; i < n; i++) {
            free((char *)s[i].ptr);
        }
        listpack_free(one);
        listpack_free(all);
    }
}

Test(listpack, refuses_what_is_too_large)
{
    struct listpack *lp = listpack_append(listpack_new(0), slice_str("a"));
    struct slice huge = slice_of("", LISTPACK_MAX_BYTES); /* is refused before it is read */
    cr_assert(listpack_append(lp, huge) == NULL);
    cr_assert(listpack_prepend(lp, huge) == NULL);
    cr_assert(listpack_insert(lp, listpack_first(lp), LISTPACK_REPLACE, huge, NULL) == NULL);
    cr_assert(listpack_count(lp) == 1 && listpack_equals(listpack_first(lp), slice_str("a")));
    listpack_free(lp);
}

Test(listpack, numbers_written_as_strings_by_others)
{
    static const uint8_t foreign[] = {10, 0, 0, 0, 1, 0, 0x82, '1', '2', 3, 0xFF};
    cr_assert(!listpack_validate(foreign, sizeof foreign - 1));
    cr_assert(!listpack_validate(foreign, sizeof foreign));
    uint8_t right[sizeof foreign];
    memcpy(right, foreign, sizeof foreign);
    right[0] = sizeof foreign;
    cr_assert(listpack_validate(right, sizeof right));
    struct listpack *lp = listpack_from_bytes(right, sizeof right);
    cr_assert(listpack_find(lp, listpack_first(lp), slice_str("12"), 0) == listpack_first(lp));
    cr_assert(!listpack_find(lp, listpack_first(lp), slice_str("13"), 0));
    listpack_free(lp);
}

/* Everything that validate accepts can be read from end to end without leaving the block (what
 * AddressSanitizer watches), with as many elements forwards as backwards. */
static bool walk(const uint8_t *bytes, size_t len)
{
    if (!listpack_validate(bytes, len)) {
        return false;
    }
    struct listpack *lp = listpack_from_bytes(bytes, len);
    char buf[LISTPACK_INT_CHARS];
    uint32_t n = 0;
    volatile unsigned sum = 0;
    for (uint8_t *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        struct slice s = listpack_string(at, buf);
        sum += s.len > 0 ? (unsigned char)s.ptr[s.len - 1] : 0;
        n++;
    }
    for (uint8_t *at = listpack_last(lp); at; at = listpack_prev(lp, at)) {
        n--;
    }
    cr_assert(n == 0);
    listpack_free(lp);
    return true;
}

Test(listpack, mutated_bytes)
{
    uint32_t accepted = 0;
    for (int round = 0; round < 300; round++) {
        struct listpack *lp = listpack_new(0);
        for (uint32_t n = below(20); n > 0; n--) {
            lp = listpack_append(lp, random_string());
        }
        size_t len = listpack_bytes(lp);
        uint8_t *bytes = malloc(len);
        memcpy(bytes, listpack_data(lp), len);
        cr_assert(walk(bytes, len));
        for (size_t cut = 0; cut < len && cut < 100; cut++) {
            cr_assert(!listpack_validate(bytes, cut));
        }
        for (int i = 0; i < 200; i++) {
            size_t at = below(2) ? below((uint32_t)len) : below(len < 40 ? (uint32_t)len : 40);
            uint8_t old = bytes[at];
            bytes[at] = (uint8_t)(below(2) ? below(256) : (uint32_t)(old ^ 1 << below(8)));
            accepted += walk(bytes, len);
            if (below(4)) {
                bytes[at] = old;
            }
        }
        free(bytes);
        listpack_free(lp);
    }
    cr_assert(accepted > 0);
}
