/* core_bits.c - counting, finding and combining bits: every level against one bit at a time. */
#include "core/bits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { DATA_MAX = 20000 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Mostly one byte throughout, so that skipping has something to skip; or noise. */
static void fill(uint8_t *p, size_t len)
{
    static const uint8_t usual[] = {0x00, 0xff};
    const unsigned kind = next_random() % 3;
    for (size_t i = 0; i < len; i++) {
        p[i] = kind < 2 ? usual[kind] : (uint8_t)next_random();
    }
    if (kind < 2 && len > 0) {
        p[next_random() % len] ^= (uint8_t)(1u << next_random() % 8);
    }
}

static size_t random_len(void)
{
    static const size_t lens[] = {1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1000, 8191,
                                  8192, 8193, DATA_MAX};
    return lens[next_random() % (sizeof lens / sizeof lens[0])];
}

static void check_level(void)
{
    static uint8_t data[DATA_MAX + 8];
    for (int round = 0; round < 150; round++) {
        const size_t len = random_len();
        uint8_t *p = data + next_random() % 8; /* not aligned */
        fill(p, len);
        uint64_t a = next_random() % (len * 8), b = next_random() % (len * 8);
        const uint64_t first = a < b ? a : b, last = a < b ? b : a;
        uint64_t ones = 0;
        int64_t found[2] = {-1, -1};
        for (uint64_t i = first; i <= last; i++) {
            bool bit = p[i / 8] & 0x80 >> i % 8;
            ones += bit;
            found[bit] = found[bit] < 0 ? (int64_t)i : found[bit];
        }
        cr_assert_eq(bits_count_range(p, first, last), ones);
        cr_assert_eq(bits_find_range(p, first, last, true), found[1]);
        cr_assert_eq(bits_find_range(p, first, last, false), found[0]);
        cr_assert_eq(bits_count(p, len), bits_count_range(p, 0, len * 8 - 1));
    }
}

Test(bits, count_and_find_on_every_level)
{
    cr_assert(bits_set_level(BITS_PORTABLE));
    check_level();
    for (int level = BITS_PORTABLE + 1; level < BITS_LEVELS; level++) {
        if (bits_set_level((enum bits_level)level)) {
            cr_assert_eq((int)bits_level(), level);
            check_level();
        }
    }
}

Test(bits, single_bits)
{
    uint8_t data[4] = {0};
    bits_put(data, 9, true);
    cr_assert_eq(data[1], 0x40);
    cr_assert(bits_get(data, 9));
    cr_assert_not(bits_get(data, 8));
    bits_put(data, 9, false);
    cr_assert_eq(data[1], 0);
}

Test(bits, numbers_against_single_bits)
{
    uint8_t data[32], model[32];
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof data; i++) {
            model[i] = data[i] = (uint8_t)next_random();
        }
        const unsigned width = 1 + next_random() % 64;
        const uint64_t at = next_random() % (sizeof data * 8 - width + 1);
        const size_t len = next_random() % (sizeof data + 1); /* what lies beyond reads as zero */
        uint64_t expected = 0;
        for (unsigned i = 0; i < width; i++) {
            uint64_t n = at + i;
            expected = expected << 1 | (n / 8 < len && bits_get(data, n));
        }
        cr_assert_eq(bits_get_number(data, len, at, width), expected);

        const uint64_t value = next_random();
        bits_put_number(data, at, width, value);
        for (unsigned i = 0; i < width; i++) {
            bits_put(model, at + i, value >> (width - 1 - i) & 1);
        }
        cr_assert_arr_eq(data, model, sizeof data);
    }
}

static uint8_t combine_byte(enum bits_op op, const struct bits_source *s, size_t count, size_t i)
{
    uint8_t first = 0, any = 0, all = 0xff, odd = 0, twice = 0, others = 0;
    for (size_t n = 0; n < count; n++) {
        uint8_t byte = i < s[n].len ? ((const uint8_t *)s[n].data)[i] : 0;
        first = n == 0 ? byte : first;
        others |= n == 0 ? 0 : byte;
        twice |= any & byte;
        any |= byte;
        all &= byte;
        odd ^= byte;
    }
    switch (op) {
    case BITS_AND:
        return all;
    case BITS_OR:
        return any;
    case BITS_XOR:
        return odd;
    case BITS_NOT:
        return (uint8_t)~first;
    case BITS_DIFF:
        return first & (uint8_t)~others;
    case BITS_DIFF1:
        return others & (uint8_t)~first;
    case BITS_ANDOR:
        return first & others;
    case BITS_ONE:
        break;
    }
    return any & (uint8_t)~twice;
}

static void check_combine(enum bits_op op)
{
    enum { SOURCES_MAX = 5 };
    static uint8_t data[SOURCES_MAX][DATA_MAX], out[DATA_MAX];
    for (int round = 0; round < 12; round++) {
        struct bits_source s[SOURCES_MAX];
        const size_t count = op == BITS_NOT ? 1 : 2 + next_random() % (SOURCES_MAX - 1);
        size_t longest = 0;
        for (size_t n = 0; n < count; n++) {
            s[n] = (struct bits_source){data[n], round % 2 ? random_len() : 9000};
            s[n].len = next_random() % 6 == 0 && n > 0 ? 0 : s[n].len;
            fill(data[n], s[n].len);
            longest = s[n].len > longest ? s[n].len : longest;
        }
        bits_combine(op, out, longest, s, count);
        for (size_t i = 0; i < longest; i++) {
            cr_assert_eq(out[i], combine_byte(op, s, count, i), "operation %d, byte %zu", op, i);
        }
    }
}

Test(bits, combine_on_every_level)
{
    for (int level = BITS_PORTABLE; level < BITS_LEVELS; level++) {
        if (!bits_set_level((enum bits_level)level)) {
            continue;
        }
        for (int op = BITS_AND; op <= BITS_ONE; op++) {
            check_combine((enum bits_op)op);
        }
    }
}
