/* num.h - numbers as clients write and read them. Any thread.
 *
 * Parsing is as strict as Redis: no blanks, no plus sign, no leading zeroes, whole input. */
#ifndef ASHLAR_CORE_NUM_H
#define ASHLAR_CORE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUM_INT_CHARS = 24, NUM_DOUBLE_CHARS = 40, NUM_LONG_DOUBLE_CHARS = 5120 };

bool num_parse_int(const char *s, size_t len, int64_t *out);
bool num_parse_uint(const char *s, size_t len, uint64_t *out);
size_t num_format_int(char out[NUM_INT_CHARS], int64_t v); /* no terminator; returns length */
bool num_parse_double(const char *s, size_t len, double *out); /* no NaN; as getDoubleFromObject */
bool num_parse_long_double(const char *s, size_t len, long double *out);
/* As Redis prints doubles: whole numbers as such, others as %.17g does; inf, -inf, nan, -0. */
size_t num_format_double(char out[NUM_DOUBLE_CHARS], double v);
/* Fixed notation with up to 17 decimals, trailing zeroes cut (INCRBYFLOAT). */
size_t num_format_long_double(char out[NUM_LONG_DOUBLE_CHARS], long double v);
/* "1gb", "512mb", "100" as in redis.conf; false when it is none of these. */
bool num_parse_memory(const char *s, size_t len, int64_t *bytes);

#endif
