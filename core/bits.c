/* bits.c - see bits.h.
 *
 * Three functions are worth vectors: counting, skipping what cannot hold the bit looked for, and
 * combining two runs of bytes into a third. A struct kernels holds the three for each level.
 *
 * Sources are combined block by block, so that what several sources are gathered in stays in the
 * first-level cache:
 *
 *   out[block] = source 0 op source 1;  out[block] = out[block] op source 2;  …
 *
 * Two sources, the usual case, are so read once and written once.
 */
#include "core/bits.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define BITS_X86 1
#else
#define BITS_X86 0
#endif

enum { BLOCK_BYTES = 8192 };

enum pair_op { PAIR_AND, PAIR_OR, PAIR_XOR, PAIR_ANDNOT /* a & ~b */ };

struct kernels {
    uint64_t (*count)(const uint8_t *p, size_t len);
    /* Bytes at the start that equal skip; may stop early, up to 64 bytes before the first other. */
    size_t (*skip)(const uint8_t *p, size_t len, uint8_t skip);
    /* out may be a or b (but not overlap them otherwise). */
    void (*pair)(enum pair_op op, uint8_t *out, const uint8_t *a, const uint8_t *b, size_t len);
};

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static inline void store64(uint8_t *p, uint64_t w)
{
    memcpy(p, &w, 8);
}

/* The last bytes, fewer than eight, with zeroes behind them. */
static inline uint64_t load_rest(const uint8_t *p, size_t len)
{
    uint64_t w = 0;
    memcpy(&w, p, len);
    return w;
}

/* --- for any machine --- */

/* Ones in a word: sums of two, four, then eight bits side by side. */
static inline uint64_t ones(uint64_t w)
{
    w -= w >> 1 & 0x5555555555555555u;
    w = (w & 0x3333333333333333u) + (w >> 2 & 0x3333333333333333u);
    w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return w * 0x0101010101010101u >> 56;
}

static uint64_t count_portable(const uint8_t *p, size_t len)
{
    uint64_t n = 0;
    for (; len >= 8; p += 8, len -= 8) {
        n += ones(load64(p));
    }
    return n + ones(load_rest(p, len));
}

static size_t skip_portable(const uint8_t *p, size_t len, uint8_t skip)
{
    const uint64_t same = skip * 0x0101010101010101u;
    size_t i = 0;
    while (len - i >= 8 && load64(p + i) == same) {
        i += 8;
    }
    return i;
}

static inline uint64_t pair_word(enum pair_op op, uint64_t a, uint64_t b)
{
    switch (op) {
    case PAIR_AND:
        return a & b;
    case PAIR_OR:
        return a | b;
    case PAIR_XOR:
        return a ^ b;
    case PAIR_ANDNOT:
        break;
    }
    return a & ~b;
}

static inline void pair_rest(enum pair_op op, uint8_t *out, const uint8_t *a, const uint8_t *b,
                             size_t len)
{
    uint64_t w = pair_word(op, load_rest(a, len), load_rest(b, len));
    memcpy(out, &w, len);
}

/* Once per operation, so that the loop does not ask which it is. */
static inline __attribute__((always_inline)) void pair_words(enum pair_op op, uint8_t *out,
                                                             const uint8_t *a, const uint8_t *b,
                                                             size_t len)
{
    size_t i = 0;
    for (; len - i >= 8; i += 8) {
        store64(out + i, pair_word(op, load64(a + i), load64(b + i)));
    }
    pair_rest(op, out + i, a + i, b + i, len - i);
}

static void pair_portable(enum pair_op op, uint8_t *out, const uint8_t *a, const uint8_t *b,
                          size_t len)
{
    switch (op) {
    case PAIR_AND:
        pair_words(PAIR_AND, out, a, b, len);
        break;
    case PAIR_OR:
        pair_words(PAIR_OR, out, a, b, len);
        break;
    case PAIR_XOR:
        pair_words(PAIR_XOR, out, a, b, len);
        break;
    case PAIR_ANDNOT:
        pair_words(PAIR_ANDNOT, out, a, b, len);
        break;
    }
}

#if BITS_X86

/* --- POPCNT --- */

__attribute__((target("popcnt"))) static uint64_t count_popcnt(const uint8_t *p, size_t len)
{
    /* four sums: the instruction depends on the register that it writes, on some CPUs */
    uint64_t n[4] = {0};
    for (; len >= 32; p += 32, len -= 32) {
        n[0] += (uint64_t)__builtin_popcountll(load64(p));
        n[1] += (uint64_t)__builtin_popcountll(load64(p + 8));
        n[2] += (uint64_t)__builtin_popcountll(load64(p + 16));
        n[3] += (uint64_t)__builtin_popcountll(load64(p + 24));
    }
    for (; len >= 8; p += 8, len -= 8) {
        n[0] += (uint64_t)__builtin_popcountll(load64(p));
    }
    n[0] += (uint64_t)__builtin_popcountll(load_rest(p, len));
    return n[0] + n[1] + n[2] + n[3];
}

/* --- AVX2 --- */

#define AVX2 __attribute__((target("avx2,popcnt")))

static inline AVX2 __m256i load256(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Ones of each byte: a table of sixteen is looked up for both halves. */
static inline AVX2 __m256i ones_bytes(__m256i v)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i half = _mm256_set1_epi8(0x0f);
    __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, half));
    __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(v, 4), half));
    return _mm256_add_epi8(low, high);
}

static inline AVX2 __m256i ones_words(__m256i v)
{
    return _mm256_sad_epu8(ones_bytes(v), _mm256_setzero_si256());
}

/* A full adder for each bit: a + b + *sum = 2 * carry + *sum. */
static inline AVX2 __m256i add_carry(__m256i *sum, __m256i a, __m256i b)
{
    __m256i either = _mm256_xor_si256(*sum, a);
    __m256i carry = _mm256_or_si256(_mm256_and_si256(*sum, a), _mm256_and_si256(either, b));
    *sum = _mm256_xor_si256(either, b);
    return carry;
}

/* Adds eight vectors bit by bit (Harley and Seal): only one in eight is counted, the carries to
 * eights; ones, twos and fours are left over at the end. */
static AVX2 uint64_t count_avx2(const uint8_t *p, size_t len)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i total = zero, sum1 = zero, sum2 = zero, sum4 = zero;
    for (; len >= 256; p += 256, len -= 256) {
        __m256i twos_a = add_carry(&sum1, load256(p), load256(p + 32));
        __m256i twos_b = add_carry(&sum1, load256(p + 64), load256(p + 96));
        __m256i fours_a = add_carry(&sum2, twos_a, twos_b);
        twos_a = add_carry(&sum1, load256(p + 128), load256(p + 160));
        twos_b = add_carry(&sum1, load256(p + 192), load256(p + 224));
        __m256i fours_b = add_carry(&sum2, twos_a, twos_b);
        __m256i eights = add_carry(&sum4, fours_a, fours_b);
        total = _mm256_add_epi64(total, ones_words(eights));
    }
    total = _mm256_slli_epi64(total, 3);
    total = _mm256_add_epi64(total, _mm256_slli_epi64(ones_words(sum4), 2));
    total = _mm256_add_epi64(total, _mm256_slli_epi64(ones_words(sum2), 1));
    total = _mm256_add_epi64(total, ones_words(sum1));
    for (; len >= 32; p += 32, len -= 32) {
        total = _mm256_add_epi64(total, ones_words(load256(p)));
    }
    uint64_t part[4];
    _mm256_storeu_si256((__m256i *)part, total);
    return part[0] + part[1] + part[2] + part[3] + count_popcnt(p, len);
}

static AVX2 size_t skip_avx2(const uint8_t *p, size_t len, uint8_t skip)
{
    const __m256i same = _mm256_set1_epi8((char)skip);
    size_t i = 0;
    for (; len - i >= 64; i += 64) {
        __m256i a = _mm256_xor_si256(load256(p + i), same);
        __m256i b = _mm256_xor_si256(load256(p + i + 32), same);
        __m256i other = _mm256_or_si256(a, b);
        if (!_mm256_testz_si256(other, other)) {
            break;
        }
    }
    return i;
}

static inline AVX2 __attribute__((always_inline)) __m256i pair_vector(enum pair_op op, __m256i a,
                                                                      __m256i b)
{
    switch (op) {
    case PAIR_AND:
        return _mm256_and_si256(a, b);
    case PAIR_OR:
        return _mm256_or_si256(a, b);
    case PAIR_XOR:
        return _mm256_xor_si256(a, b);
    case PAIR_ANDNOT:
        break;
    }
    return _mm256_andnot_si256(b, a);
}

static inline AVX2 __attribute__((always_inline)) void pair_vectors(enum pair_op op, uint8_t *out,
                                                                    const uint8_t *a,
                                                                    const uint8_t *b, size_t len)
{
    size_t i = 0;
    for (; len - i >= 64; i += 64) {
        __m256i v = pair_vector(op, load256(a + i), load256(b + i));
        __m256i w = pair_vector(op, load256(a + i + 32), load256(b + i + 32));
        _mm256_storeu_si256((__m256i *)(out + i), v);
        _mm256_storeu_si256((__m256i *)(out + i + 32), w);
    }
    for (; len - i >= 8; i += 8) {
        store64(out + i, pair_word(op, load64(a + i), load64(b + i)));
    }
    pair_rest(op, out + i, a + i, b + i, len - i);
}

static AVX2 void pair_avx2(enum pair_op op, uint8_t *out, const uint8_t *a, const uint8_t *b,
                           size_t len)
{
    switch (op) {
    case PAIR_AND:
        pair_vectors(PAIR_AND, out, a, b, len);
        break;
    case PAIR_OR:
        pair_vectors(PAIR_OR, out, a, b, len);
        break;
    case PAIR_XOR:
        pair_vectors(PAIR_XOR, out, a, b, len);
        break;
    case PAIR_ANDNOT:
        pair_vectors(PAIR_ANDNOT, out, a, b, len);
        break;
    }
}

#endif

/* --- which --- */

static const struct kernels levels[BITS_LEVELS] = {
    [BITS_PORTABLE] = {count_portable, skip_portable, pair_portable},
#if BITS_X86
    [BITS_POPCNT] = {count_popcnt, skip_portable, pair_portable},
    [BITS_AVX2] = {count_avx2, skip_avx2, pair_avx2},
#endif
};

/* -1: not asked yet. Threads that ask at the same time find the same. */
static _Atomic int chosen = -1;

static bool machine_can(enum bits_level level)
{
#if BITS_X86
    switch (level) {
    case BITS_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
    case BITS_POPCNT:
        return __builtin_cpu_supports("popcnt");
    case BITS_PORTABLE:
    case BITS_LEVELS:
        break;
    }
#endif
    return level == BITS_PORTABLE;
}

enum bits_level bits_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (__builtin_expect(level < 0, 0)) {
        level = BITS_LEVELS - 1;
        while (!machine_can((enum bits_level)level)) {
            level--;
        }
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return (enum bits_level)level;
}

bool bits_set_level(enum bits_level level)
{
    if (!machine_can(level)) {
        return false;
    }
    atomic_store_explicit(&chosen, (int)level, memory_order_relaxed);
    return true;
}

static inline const struct kernels *kernels(void)
{
    return &levels[bits_level()];
}

/* --- counting and finding --- */

uint64_t bits_count(const void *data, size_t len)
{
    return kernels()->count(data, len);
}

/* The bits of a byte that lie in the range; byte is the number of one that it touches. */
static inline uint8_t range_mask(uint64_t byte, uint64_t first, uint64_t last)
{
    unsigned mask = 0xff;
    if (byte == first / 8) {
        mask &= 0xffu >> first % 8;
    }
    if (byte == last / 8) {
        mask &= 0xff00u >> (last % 8 + 1);
    }
    return (uint8_t)mask;
}

uint64_t bits_count_range(const void *data, uint64_t first, uint64_t last)
{
    assert(first <= last);
    const uint8_t *p = data;
    const uint64_t from = first / 8, to = last / 8;
    uint64_t n = ones((uint64_t)p[from] & range_mask(from, first, last));
    if (from == to) {
        return n;
    }
    n += ones((uint64_t)p[to] & range_mask(to, first, last));
    return to - from > 1 ? n + bits_count(p + from + 1, to - from - 1) : n;
}

int64_t bits_find_range(const void *data, uint64_t first, uint64_t last, bool bit)
{
    assert(first <= last);
    const uint8_t *p = data;
    const uint8_t skip = bit ? 0x00 : 0xff;
    const uint64_t to = last / 8;
    for (uint64_t i = first / 8; i <= to; i++) {
        unsigned found = (unsigned)(p[i] ^ skip) & range_mask(i, first, last);
        if (found) {
            return (int64_t)(i * 8) + __builtin_clz(found) - 24;
        }
        if (i + 1 < to && p[i + 1] == skip) {
            i += kernels()->skip(p + i + 1, to - i - 1, skip);
        }
    }
    return -1;
}

/* --- numbers --- */

uint64_t bits_get_number(const void *data, size_t len, uint64_t at, unsigned bits)
{
    assert(bits >= 1 && bits <= 64);
    uint8_t bytes[16] = {0}; /* eight and the one that the last bits may reach into */
    const uint64_t from = at / 8;
    if (from < len) {
        size_t there = len - from;
        memcpy(bytes, (const uint8_t *)data + from, there < 9 ? there : 9);
    }
    const unsigned shift = at % 8;
    uint64_t w = __builtin_bswap64(load64(bytes));
    if (shift > 0) {
        w = w << shift | (uint64_t)bytes[8] >> (8 - shift);
    }
    return w >> (64 - bits);
}

void bits_put_number(void *data, uint64_t at, unsigned bits, uint64_t value)
{
    assert(bits >= 1 && bits <= 64);
    uint8_t *p = (uint8_t *)data + at / 8;
    unsigned left = bits; /* of value, still to be written, highest first */
    unsigned in = at % 8; /* bits of this byte before ours */
    for (; left > 0; p++) {
        unsigned n = 8 - in < left ? 8 - in : left;
        unsigned shift = 8 - in - n;
        unsigned mask = (0xffu >> (8 - n)) << shift;
        unsigned part = (unsigned)(value >> (left - n)) << shift;
        *p = (uint8_t)((*p & ~mask) | (part & mask));
        left -= n;
        in = 0;
    }
}

/* --- combining --- */

/* How many of the bytes from at on, up to len, a source has. */
static inline size_t source_has(const struct bits_source *s, size_t at, size_t len)
{
    if (s->len <= at) {
        return 0;
    }
    return s->len - at < len ? s->len - at : len;
}

static inline const uint8_t *source_at(const struct bits_source *s, size_t at)
{
    return s->len > at ? (const uint8_t *)s->data + at : NULL;
}

/* out = out op source, for the bytes that begin at at. */
static void block_fold(enum pair_op op, uint8_t *out, const struct bits_source *s, size_t at,
                       size_t len)
{
    size_t has = source_has(s, at, len);
    if (has > 0) {
        kernels()->pair(op, out, out, source_at(s, at), has);
    }
    if (op == PAIR_AND && has < len) {
        memset(out + has, 0, len - has);
    }
}

/* out = source, filled up with zeroes. */
static void block_copy(uint8_t *out, const struct bits_source *s, size_t at, size_t len)
{
    size_t has = source_has(s, at, len);
    if (has > 0) {
        memcpy(out, source_at(s, at), has);
    }
    memset(out + has, 0, len - has);
}

/* out = all sources combined by op, which must not care about order. */
static void block_gather(enum pair_op op, uint8_t *out, const struct bits_source *s, size_t count,
                         size_t at, size_t len)
{
    size_t next = 1;
    if (count >= 2 && source_has(&s[0], at, len) == len && source_has(&s[1], at, len) == len) {
        kernels()->pair(op, out, source_at(&s[0], at), source_at(&s[1], at), len);
        next = 2;
    } else if (count > 0) {
        block_copy(out, &s[0], at, len);
    } else {
        memset(out, 0, len);
    }
    for (; next < count; next++) {
        block_fold(op, out, &s[next], at, len);
    }
}

static void block_not(uint8_t *out, const struct bits_source *s, size_t at, size_t len)
{
    static const uint8_t full[BLOCK_BYTES] = {[0 ... BLOCK_BYTES - 1] = 0xff};
    assert(len <= sizeof full && source_has(s, at, len) == len);
    kernels()->pair(PAIR_ANDNOT, out, full, source_at(s, at), len);
}

/* What is in one source at least, and not in two. */
static void block_one(uint8_t *out, const struct bits_source *s, size_t count, size_t at,
                      size_t len)
{
    uint8_t twice[BLOCK_BYTES], both[BLOCK_BYTES];
    memset(twice, 0, len);
    block_copy(out, &s[0], at, len);
    for (size_t i = 1; i < count; i++) {
        size_t has = source_has(&s[i], at, len);
        if (has == 0) {
            continue;
        }
        kernels()->pair(PAIR_AND, both, out, source_at(&s[i], at), has);
        kernels()->pair(PAIR_OR, twice, twice, both, has);
        kernels()->pair(PAIR_OR, out, out, source_at(&s[i], at), has);
    }
    kernels()->pair(PAIR_ANDNOT, out, out, twice, len);
}

static void combine_block(enum bits_op op, uint8_t *out, const struct bits_source *s, size_t count,
                          size_t at, size_t len)
{
    uint8_t first[BLOCK_BYTES];
    switch (op) {
    case BITS_AND:
        block_gather(PAIR_AND, out, s, count, at, len);
        break;
    case BITS_OR:
        block_gather(PAIR_OR, out, s, count, at, len);
        break;
    case BITS_XOR:
        block_gather(PAIR_XOR, out, s, count, at, len);
        break;
    case BITS_NOT:
        block_not(out, s, at, len);
        break;
    case BITS_DIFF:
        block_gather(PAIR_OR, out, s + 1, count - 1, at, len);
        block_copy(first, s, at, len);
        kernels()->pair(PAIR_ANDNOT, out, first, out, len);
        break;
    case BITS_DIFF1:
        block_gather(PAIR_OR, out, s + 1, count - 1, at, len);
        block_fold(PAIR_ANDNOT, out, s, at, len);
        break;
    case BITS_ANDOR:
        block_gather(PAIR_OR, out, s + 1, count - 1, at, len);
        block_fold(PAIR_AND, out, s, at, len);
        break;
    case BITS_ONE:
        block_one(out, s, count, at, len);
        break;
    }
}

void bits_combine(enum bits_op op, void *out, size_t len, const struct bits_source *sources,
                  size_t count)
{
    assert(count > 0 && (op != BITS_NOT || count == 1));
    for (size_t at = 0; at < len; at += BLOCK_BYTES) {
        size_t n = len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;
        combine_block(op, (uint8_t *)out + at, sources, count, at, n);
    }
}
