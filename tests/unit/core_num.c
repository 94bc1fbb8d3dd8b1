/* core_num.c - numbers: the bounds, what is refused, and that what is printed reads back. */
#include "core/num.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_int(const char *s, int64_t expected)
{
    int64_t v = ~expected;
    return num_parse_int(s, strlen(s), &v) && v == expected;
}

static bool not_int(const char *s)
{
    int64_t v;
    return !num_parse_int(s, strlen(s), &v);
}

Test(num, integers)
{
    cr_assert(is_int("0", 0));
    cr_assert(is_int("7", 7));
    cr_assert(is_int("-1", -1));
    cr_assert(is_int("9223372036854775807", INT64_MAX));
    cr_assert(is_int("-9223372036854775808", INT64_MIN));
}

Test(num, not_integers)
{
    static const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "01", "-0", "00", "-01", "1.0", "1e3", "0x10", "a", "--1",
        "9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "99999999999999999999", "123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(not_int(bad[i]), "%s", bad[i]);
    }
    int64_t v;
    cr_assert(!num_parse_int("1\0", 2, &v));
}

Test(num, unsigned_integers)
{
    uint64_t v;
    cr_assert(num_parse_uint("18446744073709551615", 20, &v) && v == UINT64_MAX);
    cr_assert(num_parse_uint("0", 1, &v) && v == 0);
    cr_assert(!num_parse_uint("18446744073709551616", 20, &v));
    cr_assert(!num_parse_uint("-1", 2, &v));
    cr_assert(!num_parse_uint("", 0, &v));
}

Test(num, integers_read_back)
{
    srand(1);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = ((uint64_t)rand() << 42) ^ ((uint64_t)rand() << 21) ^ (uint64_t)rand();
        int64_t v = (int64_t)bits >> (rand() % 64);
        char ours[NUM_INT_CHARS], libc[32];
        size_t len = num_format_int(ours, v);
        snprintf(libc, sizeof libc, "%" PRId64, v);
        cr_assert(len == strlen(libc) && memcmp(ours, libc, len) == 0, "%s", libc);
        cr_assert(is_int(libc, v));
    }
    char text[NUM_INT_CHARS];
    cr_assert_eq(num_format_int(text, INT64_MIN), 20);
    cr_assert_eq(memcmp(text, "-9223372036854775808", 20), 0);
}

static bool is_double(const char *s, double expected)
{
    double v;
    return num_parse_double(s, strlen(s), &v) && v == expected;
}

Test(num, doubles)
{
    double v;
    cr_assert(is_double("3", 3));
    cr_assert(is_double("-3.5", -3.5));
    cr_assert(is_double("+1", 1));
    cr_assert(is_double("01", 1));
    cr_assert(is_double("1e3", 1000));
    cr_assert(is_double("0x10", 16));
    cr_assert(is_double("inf", INFINITY));
    cr_assert(is_double("-Infinity", -INFINITY));
    cr_assert(num_parse_double("-0", 2, &v) && v == 0 && signbit(v));
    cr_assert(is_double("4.9e-324", 4.9e-324), "denormal numbers are numbers");

    static const char *const bad[] = {
        "", " 1", "1 ", "nan", "1e400", "-1e400", "1e-400", "x", "1,5",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(!num_parse_double(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
    }
    cr_assert(!num_parse_double("1\0", 2, &v));
}

Test(num, long_digits_of_a_double)
{
    enum { LEN = 4000 };
    char text[LEN];
    double v;
    memset(text, '0', LEN);
    text[1] = '.';
    text[2] = '5';
    cr_assert(num_parse_double(text, LEN, &v) && v == 0.5);
    text[LEN - 1] = 'x';
    cr_assert(!num_parse_double(text, LEN, &v));
}

static const char *double_text(double v)
{
    static char text[NUM_DOUBLE_CHARS + 1];
    text[num_format_double(text, v)] = '\0';
    return text;
}

Test(num, doubles_printed)
{
    cr_assert_str_eq(double_text(0), "0");
    cr_assert_str_eq(double_text(-0.0), "-0");
    cr_assert_str_eq(double_text(3), "3");
    cr_assert_str_eq(double_text(-3), "-3");
    cr_assert_str_eq(double_text(0.1), "0.10000000000000001");
    cr_assert_str_eq(double_text(1e15), "1000000000000000");
    cr_assert_str_eq(double_text(1e18), "1000000000000000000");
    cr_assert_str_eq(double_text(1e19), "1e+19");
    cr_assert_str_eq(double_text(INFINITY), "inf");
    cr_assert_str_eq(double_text(-INFINITY), "-inf");
    cr_assert_str_eq(double_text(NAN), "nan");
    cr_assert_str_eq(double_text(-1.7976931348623157e308), "-1.7976931348623157e+308");
}

static const char *long_double_text(long double v)
{
    static char text[NUM_LONG_DOUBLE_CHARS + 1];
    text[num_format_long_double(text, v)] = '\0';
    return text;
}

Test(num, long_doubles)
{
    long double v;
    cr_assert_str_eq(long_double_text(10.5L), "10.5");
    cr_assert_str_eq(long_double_text(10.6L), "10.6");
    cr_assert_str_eq(long_double_text(5000), "5000");
    cr_assert_str_eq(long_double_text(0), "0");
    cr_assert_str_eq(long_double_text(-0.0L), "0");
    cr_assert_str_eq(long_double_text(-1e-30L), "0");
    cr_assert_str_eq(long_double_text(INFINITY), "inf");
    cr_assert_eq(strlen(long_double_text(1e4932L)), 4933);
    cr_assert(num_parse_long_double("5.0e3", 5, &v) && v == 5000);
    cr_assert(num_parse_long_double("3.0e+5", 6, &v) && v == 300000);
    cr_assert(!num_parse_long_double("", 0, &v));
    cr_assert(!num_parse_long_double(" 1", 2, &v));
    cr_assert(!num_parse_long_double("nan", 3, &v));
    cr_assert(!num_parse_long_double("1e5000", 6, &v));
}

static bool is_memory(const char *s, int64_t expected)
{
    int64_t v;
    return num_parse_memory(s, strlen(s), &v) && v == expected;
}

Test(num, memory)
{
    int64_t v;
    cr_assert(is_memory("0", 0));
    cr_assert(is_memory("100", 100));
    cr_assert(is_memory("100b", 100));
    cr_assert(is_memory("1k", 1000));
    cr_assert(is_memory("1KB", 1024));
    cr_assert(is_memory("3m", 3000000));
    cr_assert(is_memory("3mb", 3 << 20));
    cr_assert(is_memory("2g", 2000000000));
    cr_assert(is_memory("1Gb", 1 << 30));
    static const char *const bad[] = {"", "mb", "-1", "1tb", "1 mb", "1.5gb", "10000000000gb"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert(!num_parse_memory(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
    }
}
