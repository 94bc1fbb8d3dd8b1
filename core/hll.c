/* hll.c - see hll.h.
 *
 * Dense registers are read and written eight at a time: 48 bits are spread over the eight bytes of
 * a word, in three steps that each halve the width (and back).
 *
 *   hgfedcba (6 bits each)  ─►  ..hgfe ..dcba  ─►  ..hg ..fe ..dc ..ba  ─►  .h .g .f .e .d .c .b .a
 *
 * Adding to a sparse value replaces the run that the register lies in by up to three, and then
 * joins neighbours of the same value where that fits one run: exactly where Redis does, so that the
 * same elements in the same order give the same bytes.
 */
#include "core/hll.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    INDEX_BITS = 14,
    HASH_BITS = 64 - INDEX_BITS, /* of the hash, those that zeroes are counted in */
    REGISTER_MAX = 63,           /* what six bits hold; adding makes HASH_BITS + 1 at most */
    ZERO_MAX = 64, XZERO_MAX = 16384, VALUE_RUN_MAX = 4, /* registers of a run */
    SPLIT_BYTES_MAX = 5,         /* XZERO becomes XZERO, value, XZERO */
    JOIN_STEPS = 5,              /* runs looked at for neighbours to join */
    STALE_BIT = 0x80,
    STALE_BYTE = 15,
};
static_assert(1 << INDEX_BITS == HLL_REGISTERS, "an index for each register");
static_assert(HLL_REGISTERS % 8 == 0, "whole words of registers");

static const char magic[4] = {'H', 'Y', 'L', 'L'};

/* --- hash --- */

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

uint64_t hll_hash(const void *data, size_t len)
{
    const uint64_t m = 0xc6a4a7935bd1e995u, seed = 0xadc83b19u;
    const uint8_t *p = data;
    uint64_t h = seed ^ (uint64_t)(int)len * m; /* Redis's function takes an int */
    for (size_t left = len; left >= 8; left -= 8, p += 8) {
        uint64_t k = load64(p) * m;
        k ^= k >> 47;
        h = (h ^ k * m) * m;
    }
    if (len % 8 > 0) {
        uint64_t rest = 0;
        memcpy(&rest, p, len % 8);
        h = (h ^ rest) * m;
    }
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

/* An element's register, and what it should be at least. */
static inline unsigned place(const void *element, size_t len, uint8_t *value)
{
    uint64_t h = hll_hash(element, len);
    uint64_t bits = h >> INDEX_BITS | (uint64_t)1 << HASH_BITS;
    *value = (uint8_t)(__builtin_ctzll(bits) + 1);
    return (unsigned)(h & (HLL_REGISTERS - 1));
}

/* --- header --- */

bool hll_valid(const void *value, size_t len)
{
    return len >= HLL_HEADER_BYTES && memcmp(value, magic, sizeof magic) == 0 &&
           (hll_encoding_of(value) == HLL_SPARSE ||
            (hll_encoding_of(value) == HLL_DENSE && len == HLL_DENSE_BYTES));
}

static void write_header(uint8_t *out, enum hll_encoding encoding)
{
    memset(out, 0, HLL_HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    out[4] = (uint8_t)encoding;
}

bool hll_cached(const void *value, uint64_t *count)
{
    const uint8_t *p = value;
    *count = load64(p + 8);
    return !(p[STALE_BYTE] & STALE_BIT);
}

void hll_set_cached(void *value, uint64_t count)
{
    memcpy((uint8_t *)value + 8, &count, 8);
}

void hll_drop_cached(void *value)
{
    ((uint8_t *)value)[STALE_BYTE] |= STALE_BIT;
}

/* --- dense registers --- */

/* Eight registers, a byte each, of 48 bits. */
static inline uint64_t spread(uint64_t w)
{
    w = (w & 0xffffffu) | (w & 0xffffff000000u) << 8;
    w = (w & 0x00000fff00000fffu) | (w & 0x00fff00000fff000u) << 4;
    return (w & 0x003f003f003f003fu) | (w & 0x0fc00fc00fc00fc0u) << 2;
}

static inline uint64_t gather(uint64_t w)
{
    w = (w & 0x003f003f003f003fu) | (w & 0x3f003f003f003f00u) >> 2;
    w = (w & 0x00000fff00000fffu) | (w & 0x0fff00000fff0000u) >> 4;
    return (w & 0xffffffu) | (w & 0x00ffffff00000000u) >> 8;
}

static void dense_read(struct hll_registers *r, const uint8_t *dense)
{
    for (unsigned i = 0; i < HLL_REGISTERS; i += 8, dense += 6) {
        uint64_t w = 0;
        memcpy(&w, dense, 6);
        w = spread(w);
        memcpy(&r->at[i], &w, 8);
    }
}

static void dense_write(uint8_t *dense, const struct hll_registers *r)
{
    for (unsigned i = 0; i < HLL_REGISTERS; i += 8, dense += 6) {
        uint64_t w = gather(load64(&r->at[i]));
        memcpy(dense, &w, 6);
    }
}

/* Four registers are three bytes. */
static bool dense_raise(uint8_t *dense, unsigned index, uint8_t value)
{
    uint8_t *p = dense + index / 4 * 3;
    const unsigned shift = index % 4 * 6;
    uint32_t w = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
    if ((w >> shift & REGISTER_MAX) >= value) {
        return false;
    }
    w = (w & ~((uint32_t)REGISTER_MAX << shift)) | (uint32_t)value << shift;
    p[0] = (uint8_t)w;
    p[1] = (uint8_t)(w >> 8);
    p[2] = (uint8_t)(w >> 16);
    return true;
}

/* --- runs --- */

static inline bool is_value(const uint8_t *p)
{
    return *p & 0x80;
}

static inline bool is_xzero(const uint8_t *p)
{
    return (*p & 0xc0) == 0x40;
}

bool hll_run_read(const uint8_t *p, const uint8_t *end, struct hll_run *run)
{
    if (p >= end) {
        return false;
    }
    if (is_value(p)) {
        *run = (struct hll_run){(*p & 3u) + 1, (uint8_t)((*p >> 2 & 0x1f) + 1), 1};
    } else if (!is_xzero(p)) {
        *run = (struct hll_run){*p + 1u, 0, 1};
    } else if (end - p < 2) {
        return false;
    } else {
        *run = (struct hll_run){((*p & 0x3fu) << 8 | p[1]) + 1, 0, 2};
    }
    return true;
}

static inline uint8_t *put_value(uint8_t *p, uint8_t value, unsigned registers)
{
    assert(value >= 1 && value <= HLL_SPARSE_VALUE_MAX);
    assert(registers >= 1 && registers <= VALUE_RUN_MAX);
    *p = (uint8_t)(0x80u | (value - 1u) << 2 | (registers - 1));
    return p + 1;
}

/* Zeroes in as few bytes as they need; none for none. */
static inline uint8_t *put_zeroes(uint8_t *p, unsigned registers)
{
    if (registers == 0) {
        return p;
    }
    assert(registers <= XZERO_MAX);
    unsigned n = registers - 1;
    if (registers > ZERO_MAX) {
        *p++ = (uint8_t)(0x40 | n >> 8);
    }
    *p++ = (uint8_t)n;
    return p;
}

void hll_init(void *value)
{
    uint8_t *p = value;
    write_header(p, HLL_SPARSE);
    uint8_t *end = put_zeroes(p + HLL_HEADER_BYTES, HLL_REGISTERS);
    assert(end == p + HLL_EMPTY_BYTES);
    (void)end;
}

/* --- adding to a sparse value --- */

/* Where a register lies: its run, and the one before (NULL: none). */
struct spot {
    uint8_t *at, *before;
    struct hll_run run;
    unsigned first; /* register of the run */
};

/* How many registers a run of one byte has; 0: two bytes. */
static inline unsigned short_run(uint8_t byte)
{
    return byte & 0x80 ? (byte & 3u) + 1 : byte & 0x40 ? 0 : byte + 1u;
}

static bool find_spot(uint8_t *runs, uint8_t *end, unsigned index, struct spot *spot)
{
    uint8_t *p = runs, *before = NULL;
    unsigned first = 0;
    while (p < end) {
        unsigned n = short_run(*p), bytes = 1;
        if (n == 0) {
            if (end - p < 2) {
                return false;
            }
            n = ((*p & 0x3fu) << 8 | p[1]) + 1;
            bytes = 2;
        }
        if (index < first + n) {
            spot->at = p;
            spot->before = before;
            spot->first = first;
            return hll_run_read(p, end, &spot->run) && first + n <= HLL_REGISTERS;
        }
        before = p;
        first += n;
        p += bytes;
    }
    return false;
}

/* What the run at the spot becomes when one of its registers gets another value. */
static size_t split_run(uint8_t out[SPLIT_BYTES_MAX], const struct spot *spot, unsigned index,
                        uint8_t value)
{
    const unsigned left = index - spot->first;
    const unsigned right = spot->first + spot->run.registers - 1 - index;
    uint8_t *p = out;
    if (spot->run.value == 0) {
        p = put_zeroes(p, left);
        p = put_value(p, value, 1);
        p = put_zeroes(p, right);
    } else {
        p = left > 0 ? put_value(p, spot->run.value, left) : p;
        p = put_value(p, value, 1);
        p = right > 0 ? put_value(p, spot->run.value, right) : p;
    }
    return (size_t)(p - out);
}

/* Joins neighbours of the same value among the runs from p on; returns the new end. */
static uint8_t *join_runs(uint8_t *p, uint8_t *end)
{
    for (int steps = JOIN_STEPS; p < end && steps > 0; steps--) {
        if (!is_value(p)) {
            p += is_xzero(p) ? 2 : 1;
            continue;
        }
        const bool same = p + 1 < end && is_value(p + 1) && (*p | 3) == (p[1] | 3);
        const unsigned registers = same ? (*p & 3u) + (p[1] & 3u) + 2 : 0;
        if (!same || registers > VALUE_RUN_MAX) {
            p++;
            continue;
        }
        p[1] = (uint8_t)((p[1] & ~3u) | (registers - 1));
        memmove(p, p + 1, (size_t)(end - p - 1));
        end--;
    }
    return end;
}

static enum hll_result sparse_raise(uint8_t *value, size_t *len, size_t sparse_max, unsigned index,
                                    uint8_t count)
{
    if (count > HLL_SPARSE_VALUE_MAX) {
        return HLL_MUST_BE_DENSE;
    }
    uint8_t *runs = value + HLL_HEADER_BYTES, *end = value + *len;
    struct spot spot;
    if (!find_spot(runs, end, index, &spot)) {
        return HLL_CORRUPT;
    }
    if (spot.run.value >= count) {
        return HLL_SAME;
    }
    uint8_t split[SPLIT_BYTES_MAX];
    const size_t bytes = split_run(split, &spot, index, count);
    const size_t before = spot.run.bytes;
    if (bytes > before && *len + bytes - before > sparse_max) {
        return HLL_MUST_BE_DENSE;
    }
    uint8_t *rest = spot.at + before;
    memmove(spot.at + bytes, rest, (size_t)(end - rest));
    memcpy(spot.at, split, bytes);
    end += (ptrdiff_t)bytes - (ptrdiff_t)before;
    end = join_runs(spot.before ? spot.before : runs, end);
    *len = (size_t)(end - value);
    return HLL_CHANGED;
}

enum hll_result hll_add(void *value, size_t *len, size_t sparse_max, const void *element,
                        size_t element_len)
{
    uint8_t *p = value, count;
    unsigned index = place(element, element_len, &count);
    if (hll_encoding_of(p) == HLL_SPARSE) {
        return sparse_raise(p, len, sparse_max, index, count);
    }
    assert(*len == HLL_DENSE_BYTES);
    return dense_raise(p + HLL_HEADER_BYTES, index, count) ? HLL_CHANGED : HLL_SAME;
}

/* --- merging and writing --- */

static bool sparse_merge(struct hll_registers *r, const uint8_t *p, const uint8_t *end)
{
    unsigned at = 0;
    while (p < end) {
        struct hll_run run;
        if (!hll_run_read(p, end, &run) || at + run.registers > HLL_REGISTERS) {
            return false;
        }
        for (unsigned i = 0; run.value > 0 && i < run.registers; i++) {
            uint8_t *own = &r->at[at + i];
            *own = run.value > *own ? run.value : *own;
        }
        at += run.registers;
        p += run.bytes;
    }
    return at == HLL_REGISTERS;
}

bool hll_merge(struct hll_registers *r, const void *value, size_t len)
{
    const uint8_t *p = value;
    if (hll_encoding_of(p) == HLL_SPARSE) {
        return sparse_merge(r, p + HLL_HEADER_BYTES, p + len);
    }
    struct hll_registers other;
    dense_read(&other, p + HLL_HEADER_BYTES);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        r->at[i] = other.at[i] > r->at[i] ? other.at[i] : r->at[i];
    }
    return true;
}

size_t hll_write_sparse(void *out, size_t room, const struct hll_registers *r)
{
    uint8_t *start = out, *p = start + HLL_HEADER_BYTES;
    unsigned at = 0;
    if (room < HLL_EMPTY_BYTES) {
        return 0;
    }
    write_header(start, HLL_SPARSE);
    while (at < HLL_REGISTERS) {
        const uint8_t value = r->at[at];
        const unsigned run_max = value > 0 ? VALUE_RUN_MAX : XZERO_MAX;
        unsigned n = 1;
        while (n < run_max && at + n < HLL_REGISTERS && r->at[at + n] == value) {
            n++;
        }
        const size_t bytes = value == 0 && n > ZERO_MAX ? 2 : 1;
        if (value > HLL_SPARSE_VALUE_MAX || (size_t)(p - start) + bytes > room) {
            return 0;
        }
        p = value > 0 ? put_value(p, value, n) : put_zeroes(p, n);
        at += n;
    }
    hll_drop_cached(start);
    return (size_t)(p - start);
}

void hll_write_dense(uint8_t out[HLL_DENSE_BYTES], const struct hll_registers *r)
{
    write_header(out, HLL_DENSE);
    dense_write(out + HLL_HEADER_BYTES, r);
    hll_drop_cached(out);
}

bool hll_to_dense(uint8_t out[HLL_DENSE_BYTES], const void *value, size_t len)
{
    struct hll_registers r = {{0}};
    if (!hll_merge(&r, value, len)) {
        return false;
    }
    memcpy(out, value, HLL_HEADER_BYTES);
    out[4] = HLL_DENSE;
    dense_write(out + HLL_HEADER_BYTES, &r);
    return true;
}

/* --- counting --- */

struct histogram {
    uint32_t of[REGISTER_MAX + 1];
};

static double sigma(double x)
{
    if (x == 1.0) {
        return INFINITY;
    }
    double y = 1, z = x, last;
    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z != last);
    return z;
}

static double tau(double x)
{
    if (x == 0.0 || x == 1.0) {
        return 0.0;
    }
    double y = 1, z = 1 - x, last;
    do {
        x = sqrt(x);
        last = z;
        y *= 0.5;
        z -= pow(1 - x, 2) * y;
    } while (z != last);
    return z / 3;
}

/* Every operation in the order in which Redis does them: the same roundings, the same count. */
static uint64_t estimate(const struct histogram *h)
{
    const double alpha_inf = 0.721347520444481703680, m = HLL_REGISTERS;
    double z = m * tau((m - h->of[HASH_BITS + 1]) / m);
    for (int i = HASH_BITS; i >= 1; i--) {
        z += h->of[i];
        z *= 0.5;
    }
    z += m * sigma(h->of[0] / m);
    return (uint64_t)llroundl(alpha_inf * m * m / z);
}

/* Four tables: neighbouring registers are often the same, and would wait for each other. */
uint64_t hll_registers_count(const struct hll_registers *r)
{
    struct histogram h[4] = {0};
    for (unsigned i = 0; i < HLL_REGISTERS; i += 4) {
        for (unsigned lane = 0; lane < 4; lane++) {
            h[lane].of[r->at[i + lane] & REGISTER_MAX]++;
        }
    }
    for (unsigned v = 0; v <= REGISTER_MAX; v++) {
        h[0].of[v] += h[1].of[v] + h[2].of[v] + h[3].of[v];
    }
    return estimate(&h[0]);
}

static bool sparse_histogram(struct histogram *h, const uint8_t *p, const uint8_t *end)
{
    unsigned at = 0;
    while (p < end) {
        struct hll_run run;
        if (!hll_run_read(p, end, &run) || at + run.registers > HLL_REGISTERS) {
            return false;
        }
        h->of[run.value] += run.registers;
        at += run.registers;
        p += run.bytes;
    }
    return at == HLL_REGISTERS;
}

bool hll_count(const void *value, size_t len, uint64_t *count)
{
    const uint8_t *registers = (const uint8_t *)value + HLL_HEADER_BYTES;
    if (hll_encoding_of(value) == HLL_DENSE) {
        struct hll_registers r;
        dense_read(&r, registers);
        *count = hll_registers_count(&r);
        return true;
    }
    struct histogram h = {0};
    if (!sparse_histogram(&h, registers, (const uint8_t *)value + len)) {
        return false;
    }
    *count = estimate(&h);
    return true;
}
