/* bits.h - counting, finding and combining bits of long strings. Any thread.
 *
 * Bit 0 is the highest bit of the first byte, as in SETBIT: bit n lies in byte n / 8 under the mask
 * 0x80 >> n % 8. Numbers of more than one bit (BITFIELD) have their highest bit first.
 *
 *   bit     0 1 2 3 4 5 6 7   8 9 …
 *   byte   [7 6 5 4 3 2 1 0] [7 6 …    (places of the masks 1 << 7 … 1 << 0)
 *
 * What runs over whole strings exists several times: for any machine, for POPCNT, for AVX2. The
 * best that the CPU can do is chosen at the first use. Tests name a level and compare.
 */
#ifndef ASHLAR_CORE_BITS_H
#define ASHLAR_CORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bits_level { BITS_PORTABLE, BITS_POPCNT, BITS_AVX2, BITS_LEVELS };
/* The best level of this machine, or what bits_set_level chose. */
enum bits_level bits_level(void);
/* Tests and benchmarks; false when the machine cannot do it. Before other threads use bits. */
bool bits_set_level(enum bits_level level);

/* --- counting and finding --- */

/* Ones among len bytes. */
uint64_t bits_count(const void *data, size_t len);
/* Ones among the bits from first to last, both included; first <= last, both within the data. */
uint64_t bits_count_range(const void *data, uint64_t first, uint64_t last);
/* The first bit of that value from first to last, -1 when there is none. */
int64_t bits_find_range(const void *data, uint64_t first, uint64_t last, bool bit);

static inline bool bits_get(const void *data, uint64_t at)
{
    return ((const uint8_t *)data)[at / 8] >> (7 - at % 8) & 1;
}

static inline void bits_put(void *data, uint64_t at, bool bit)
{
    uint8_t *byte = (uint8_t *)data + at / 8;
    const unsigned shift = 7 - at % 8;
    *byte = (uint8_t)((*byte & ~(1u << shift)) | (unsigned)bit << shift);
}

/* --- numbers of 1 to 64 bits --- */

/* Bits beyond the end of the data (len bytes) read as zeroes. */
uint64_t bits_get_number(const void *data, size_t len, uint64_t at, unsigned bits);
/* The lowest bits of value; all of them must lie within the data. */
void bits_put_number(void *data, uint64_t at, unsigned bits, uint64_t value);

/* --- combining --- */

enum bits_op {
    BITS_AND,
    BITS_OR,
    BITS_XOR,
    BITS_NOT,   /* of one source */
    BITS_DIFF,  /* in the first source and in no other */
    BITS_DIFF1, /* in another source, but not in the first */
    BITS_ANDOR, /* in the first source and in another */
    BITS_ONE,   /* in exactly one source */
};

struct bits_source {
    const void *data;
    size_t len;
};

/* Writes len bytes, as many as the longest source has: shorter ones count as filled up with zeroes.
 * out must not overlap a source. count > 0. */
void bits_combine(enum bits_op op, void *out, size_t len, const struct bits_source *sources,
                  size_t count);

#endif
