/* num.c - see num.h.
 *
 * Integers are read and written by hand, for they are on the path of every command. Floating point
 * goes through the C library, which needs a terminated string: the bytes are copied first. The
 * process must not set LC_NUMERIC. */
#include "core/num.h"

#include "core/mem.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    INT64_DIGITS = 19,     /* of INT64_MAX; so many digits always fit a uint64_t */
    UINT64_DIGITS = 20,    /* of UINT64_MAX */
    LONG_DOUBLE_DECIMALS = 17,
    DOUBLE_COPY_BYTES = 512, /* longer numbers are copied to the heap */
};
static_assert(NUM_INT_CHARS > 1 + UINT64_DIGITS, "a sign and all digits fit");
static_assert(NUM_LONG_DOUBLE_CHARS > 1 + LDBL_MAX_10_EXP + 1 + 1 + LONG_DOUBLE_DECIMALS + 1,
              "the largest long double in fixed notation fits");

/* Digits without sign or leading zero. */
static bool parse_digits(const char *s, size_t len, uint64_t *out)
{
    if (len == 0 || len > UINT64_DIGITS || (s[0] == '0' && len > 1)) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)s[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        if (i < INT64_DIGITS) {
            v = v * 10 + digit;
        } else if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

bool num_parse_int(const char *s, size_t len, int64_t *out)
{
    bool negative = len > 0 && s[0] == '-';
    uint64_t v;
    if (!parse_digits(s + negative, len - negative, &v) || v > (uint64_t)INT64_MAX + negative ||
        (negative && v == 0)) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

bool num_parse_uint(const char *s, size_t len, uint64_t *out)
{
    return parse_digits(s, len, out);
}

size_t num_format_int(char out[NUM_INT_CHARS], int64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[UINT64_DIGITS];
    size_t at = sizeof digits;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    while (rest >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + rest % 100 * 2, 2);
        rest /= 100;
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + rest * 2, 2);
    } else {
        digits[--at] = (char)('0' + rest);
    }
    size_t len = 0;
    if (v < 0) {
        out[len++] = '-';
    }
    memcpy(out + len, digits + at, sizeof digits - at);
    return len + sizeof digits - at;
}

/* What strtod and strtold say about a terminated copy of len bytes at s. */
static bool number_is_sound(const char *s, size_t len, const char *end, int error, int class)
{
    bool lost = error == ERANGE && (class == FP_INFINITE || class == FP_ZERO);
    return (size_t)(end - s) == len && !isspace((unsigned char)s[0]) && !lost && error != EINVAL &&
           class != FP_NAN;
}

bool num_parse_double(const char *s, size_t len, double *out)
{
    int64_t whole;
    if (len <= DBL_DIG && num_parse_int(s, len, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (len == 0) {
        return false;
    }
    char small[DOUBLE_COPY_BYTES];
    char *copy = len < sizeof small ? small : mem_try_alloc(len + 1);
    if (!copy) {
        return false;
    }
    memcpy(copy, s, len);
    copy[len] = '\0';
    char *end;
    errno = 0;
    double v = strtod(copy, &end);
    bool sound = number_is_sound(copy, len, end, errno, fpclassify(v));
    if (copy != small) {
        mem_free(copy);
    }
    if (sound) {
        *out = v;
    }
    return sound;
}

bool num_parse_long_double(const char *s, size_t len, long double *out)
{
    char copy[NUM_LONG_DOUBLE_CHARS];
    if (len == 0 || len >= sizeof copy) {
        return false;
    }
    memcpy(copy, s, len);
    copy[len] = '\0';
    char *end;
    errno = 0;
    long double v = strtold(copy, &end);
    if (!number_is_sound(copy, len, end, errno, fpclassify(v))) {
        return false;
    }
    *out = v;
    return true;
}

static size_t format_text(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

size_t num_format_double(char out[NUM_DOUBLE_CHARS], double v)
{
    /* Beyond this a double is printed as %.17g does, though it may still be a whole number. */
    static const double whole_max = (double)(INT64_MAX / 2);

    if (isnan(v)) {
        return format_text(out, "nan");
    }
    if (isinf(v)) {
        return format_text(out, v > 0 ? "inf" : "-inf");
    }
    if (v == 0) {
        return format_text(out, signbit(v) ? "-0" : "0");
    }
    if (v >= -whole_max && v <= whole_max && v == (double)(int64_t)v) {
        return num_format_int(out, (int64_t)v);
    }
    int len = snprintf(out, NUM_DOUBLE_CHARS, "%.17g", v);
    assert(len > 0 && len < NUM_DOUBLE_CHARS);
    return (size_t)len;
}
static_assert((int)NUM_DOUBLE_CHARS >= (int)NUM_INT_CHARS, "whole doubles are printed as integers");

size_t num_format_long_double(char out[NUM_LONG_DOUBLE_CHARS], long double v)
{
    if (isnan(v)) {
        return format_text(out, "nan");
    }
    if (isinf(v)) {
        return format_text(out, v > 0 ? "inf" : "-inf");
    }
    int printed = snprintf(out, NUM_LONG_DOUBLE_CHARS, "%.*Lf", LONG_DOUBLE_DECIMALS, v);
    assert(printed > LONG_DOUBLE_DECIMALS && printed < NUM_LONG_DOUBLE_CHARS);

    size_t len = (size_t)printed; /* there is always a point, so this stops there at the latest */
    while (out[len - 1] == '0') {
        len--;
    }
    if (out[len - 1] == '.') {
        len--;
    }
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        return format_text(out, "0");
    }
    return len;
}

bool num_parse_memory(const char *s, size_t len, int64_t *bytes)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {
        {"", 1},           {"b", 1},           {"k", 1000},          {"kb", 1 << 10},
        {"m", 1000000},    {"mb", 1 << 20},    {"g", 1000000000},    {"gb", 1 << 30},
    };
    size_t digits = 0;
    uint64_t count = 0;
    for (; digits < len && s[digits] >= '0' && s[digits] <= '9'; digits++) {
        if (__builtin_mul_overflow(count, 10, &count) ||
            __builtin_add_overflow(count, (unsigned)(s[digits] - '0'), &count)) {
            return false;
        }
    }
    if (digits == 0 || count > INT64_MAX) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t unit_len = strlen(units[i].name);
        if (len - digits == unit_len && strncasecmp(s + digits, units[i].name, unit_len) == 0) {
            return !__builtin_mul_overflow((int64_t)count, units[i].bytes, bytes);
        }
    }
    return false;
}
