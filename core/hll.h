/* hll.h - HyperLogLog values: how many different elements were added, from 16384 small registers.
 * Any thread; the caller owns the bytes.
 *
 * A value is a string that clients may read, copy and write, in Redis's format:
 *
 *   "HYLL" | encoding 1 | zeroes 3 | cached count 8 | registers …
 *
 * The cached count is little endian; the top bit of its last byte says that it is out of date. An
 * element's hash chooses a register (14 bits); the register keeps the longest run of zeroes seen in
 * the other 50 bits, plus one (1 to 51; 0: none seen).
 *
 *   dense (0)   16384 registers of 6 bits, the lowest bits of a byte first: 12288 bytes
 *   sparse (1)  runs:  00nnnnnn            n + 1 registers are zero (up to 64)
 *                      01nnnnnn nnnnnnnn   n + 1 registers are zero (up to 16384)
 *                      1vvvvvnn            n + 1 registers are v + 1 (up to 4; 32)
 *
 * Counts are those of Redis to the last digit: same hash, same estimator (Ertl, arXiv:1702.01284).
 *
 * Values come from clients, so any bytes may be met: every function that reads sparse registers
 * checks that the runs end at register 16384 and at the value's last byte.
 */
#ifndef ASHLAR_CORE_HLL_H
#define ASHLAR_CORE_HLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HLL_REGISTERS = 16384,
    HLL_HEADER_BYTES = 16,
    HLL_DENSE_BYTES = HLL_HEADER_BYTES + HLL_REGISTERS * 6 / 8,
    HLL_EMPTY_BYTES = HLL_HEADER_BYTES + 2, /* of an empty sparse value */
    HLL_GROW_BYTES = 3,                     /* at most, by one element, while sparse */
    HLL_SPARSE_VALUE_MAX = 32,
};

enum hll_encoding { HLL_DENSE, HLL_SPARSE };

enum hll_result {
    HLL_CORRUPT = -1,
    HLL_SAME,        /* nothing changed */
    HLL_CHANGED,
    HLL_MUST_BE_DENSE, /* nothing changed: call again after hll_to_dense */
};

/* Is this a value at all? Its runs are not looked at. */
bool hll_valid(const void *value, size_t len);
static inline enum hll_encoding hll_encoding_of(const void *value)
{
    return (enum hll_encoding)((const uint8_t *)value)[4];
}

/* Writes an empty sparse value of HLL_EMPTY_BYTES. */
void hll_init(void *value);

/* Adds an element. A sparse value may grow: it needs HLL_GROW_BYTES of room behind *len, and stays
 * within sparse_max bytes. The cached count is not touched. */
enum hll_result hll_add(void *value, size_t *len, size_t sparse_max, const void *element,
                        size_t element_len);

/* The same as a dense value, cached count included, into another buffer; false: corrupt. */
bool hll_to_dense(uint8_t out[HLL_DENSE_BYTES], const void *value, size_t len);

/* The count that is kept in the value; false when it is out of date. */
bool hll_cached(const void *value, uint64_t *count);
void hll_set_cached(void *value, uint64_t count);
void hll_drop_cached(void *value);

/* Counts the registers; false: corrupt. */
bool hll_count(const void *value, size_t len, uint64_t *count);

/* --- one register per byte: what values are merged in --- */

struct hll_registers {
    uint8_t at[HLL_REGISTERS];
};

/* Each register becomes the larger one of its own and the value's; false: corrupt (registers may
 * have changed). */
bool hll_merge(struct hll_registers *r, const void *value, size_t len);
uint64_t hll_registers_count(const struct hll_registers *r);
/* Writes a value, cached count dropped. Sparse: at most room bytes; returns the length, or 0 when it
 * does not fit or a register is too large. */
size_t hll_write_sparse(void *out, size_t room, const struct hll_registers *r);
void hll_write_dense(uint8_t out[HLL_DENSE_BYTES], const struct hll_registers *r);

/* --- a look at the runs (PFDEBUG DECODE) --- */

struct hll_run {
    uint32_t registers; /* how many */
    uint8_t value;      /* 0: none seen */
    uint8_t bytes;      /* that the run takes: 1 or 2 */
};
/* The run at p; false when it does not end before end. */
bool hll_run_read(const uint8_t *p, const uint8_t *end, struct hll_run *run);

/* The hash of elements, 64 bits (MurmurHash64A). */
uint64_t hll_hash(const void *data, size_t len);

#endif
