/* listpack.c - see listpack.h for the format.
 *
 * An element begins with its encoding; the bytes in brackets are the rest of its head:
 *
 *   0vvvvvvv                 number 0 … 127
 *   10llllll                 string of up to 63 bytes
 *   110vvvvv [1]             number of 13 bits, signed, high bits first
 *   1110llll [1]             string of up to 4095 bytes, high bits first
 *   11110000 [4]             string, length in 4 bytes LE
 *   11110001 … 11110100 [2 3 4 8]  number of 16, 24, 32, 64 bits, LE
 *   11111111                 the end; all others are invalid
 *
 * The last group of a length behind an element is written first and is the only one without the
 * high bit, read from the back: reading backwards ends at the byte whose high bit is clear.
 * Redis gives lengths of 2^14 - 1, 2^21 - 1 and 2^28 - 1 one group more than they need, and so do
 * we (backlen_size): the size of the groups follows from the length alone.
 *
 * What we write is canonical (smallest encoding, numbers as numbers); what we read need not be: a
 * foreign listpack may carry "12" as a string, which equals the number 12 for listpack_equals.
 *
 * Memory: small listpacks come from the slab, whose classes are finer, and the class follows from the
 * total in the header (so there is no room beyond the class); larger ones come from mem.h, and
 * their room is what the allocator set aside. */
#include "core/listpack.h"

#include "core/mem.h"
#include "core/num.h"
#include "core/slab.h"
#include <assert.h>

struct listpack {
    uint32_t total_bytes;
    uint16_t count; /* COUNT_UNKNOWN: that many or more */
    uint8_t elements[];
};
static_assert(offsetof(struct listpack, elements) == LISTPACK_HEADER_BYTES, "no hole in the header");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "header and numbers are used in place");
static_assert((int)LISTPACK_INT_CHARS == (int)NUM_INT_CHARS, "num_format_int prints there");

enum {
    END = 0xFF,
    END_BYTES = 1,
    COUNT_UNKNOWN = UINT16_MAX,

    STRING_6 = 0x80,
    INT_13 = 0xC0,
    STRING_12 = 0xE0,
    STRING_32 = 0xF0,
    INT_16 = 0xF1,
    INT_24 = 0xF2,
    INT_32 = 0xF3,
    INT_64 = 0xF4,

    STRING_6_MAX = 63,
    STRING_12_MAX = 4095,
    BACKLEN_BYTES_MAX = 5,
    HEAD_BYTES_MAX = 9, /* of a number of 64 bits */
    SLAB_BYTES_MAX = 512, /* beyond, the slab's classes are no finer than the allocator's */
    SHRINK_FACTOR = 2,    /* a block from mem.h this many times too large is given back in part */
};
static_assert((int)SLAB_BYTES_MAX <= (int)SLAB_MAX_BYTES, "the slab has such blocks");

/* Bytes from an element to the next by its first byte; 0: read on. */
#define STEP_1(n) [STRING_6 + (n)] = 1 + (n) + 1
#define STEP_4(n) STEP_1(n), STEP_1((n) + 1), STEP_1((n) + 2), STEP_1((n) + 3)
#define STEP_16(n) STEP_4(n), STEP_4((n) + 4), STEP_4((n) + 8), STEP_4((n) + 12)
static const uint8_t steps[256] = {
    [0 ... 127] = 2,    STEP_16(0),   STEP_16(16),  STEP_16(32),  STEP_16(48),
    [0xC0 ... 0xDF] = 3, [INT_16] = 4, [INT_24] = 5, [INT_32] = 6, [INT_64] = 10,
};

/* ---- reading elements -------------------------------------------------------------------- */

static inline uint64_t load(const void *from, size_t bytes)
{
    uint64_t v = 0;
    memcpy(&v, from, bytes);
    return v;
}

static inline size_t backlen_size(size_t len)
{
    if (len <= 127) {
        return 1;
    }
    if (len < (1u << 14) - 1) {
        return 2;
    }
    if (len < (1u << 21) - 1) {
        return 3;
    }
    return len < (1u << 28) - 1 ? 4 : 5;
}

static size_t backlen_write(uint8_t *out, size_t len)
{
    size_t size = backlen_size(len);
    for (size_t i = size; i-- > 0; len >>= 7) {
        out[i] = (uint8_t)((len & 127) | (i > 0 ? 128 : 0));
    }
    return size;
}

static inline bool is_int(uint8_t first)
{
    return first < STRING_6 || (first & 0xE0) == INT_13 || (first >= INT_16 && first <= INT_64);
}

/* Of a string: bytes before the data, and the data's length. */
static inline size_t string_head(const uint8_t *at, size_t *len)
{
    if (*at < INT_13) {
        *len = *at & STRING_6_MAX;
        return 1;
    }
    if (*at < STRING_32) {
        *len = (size_t)(at[0] & 15) << 8 | at[1];
        return 2;
    }
    *len = load(at + 1, 4);
    return 5;
}

static inline int64_t int_value(const uint8_t *at)
{
    if (*at < STRING_6) {
        return *at;
    }
    switch (*at) {
    case INT_16:
        return (int16_t)load(at + 1, 2);
    case INT_24:
        return (int32_t)(load(at + 1, 3) << 8) >> 8;
    case INT_32:
        return (int32_t)load(at + 1, 4);
    case INT_64:
        return (int64_t)load(at + 1, 8);
    default: /* 13 bits, the upper one is the sign */
        return (int32_t)((uint32_t)(at[0] << 8 | at[1]) << 19) >> 19;
    }
}

static __attribute__((noinline)) size_t step_long(const uint8_t *at)
{
    size_t len;
    size_t head = string_head(at, &len);
    return head + len + backlen_size(head + len);
}

static inline const uint8_t *step(const uint8_t *at)
{
    uint8_t bytes = steps[*at];
    return at + (__builtin_expect(bytes > 0, 1) ? bytes : step_long(at));
}

/* memcmp for what is mostly short: the ends are looked at first. */
static inline bool same_bytes(const uint8_t *a, const char *b, size_t len)
{
    if (len >= 8) {
        uint64_t differ = load(a, 8) ^ load(b, 8);
        differ |= load(a + len - 8, 8) ^ load(b + len - 8, 8);
        return differ == 0 && (len <= 16 || memcmp(a + 8, b + 8, len - 16) == 0);
    }
    if (len >= 4) {
        return load(a, 4) == load(b, 4) && load(a + len - 4, 4) == load(b + len - 4, 4);
    }
    return len == 0 || (a[0] == (uint8_t)b[0] && a[len / 2] == (uint8_t)b[len / 2] &&
                        a[len - 1] == (uint8_t)b[len - 1]);
}

struct listpack_value listpack_get(const uint8_t *at)
{
    if (is_int(*at)) {
        return (struct listpack_value){.number = int_value(at)};
    }
    size_t len;
    size_t head = string_head(at, &len);
    return (struct listpack_value){.ptr = (const char *)at + head, .len = (uint32_t)len};
}

struct slice listpack_string(const uint8_t *at, char buf[LISTPACK_INT_CHARS])
{
    if (is_int(*at)) {
        return slice_of(buf, num_format_int(buf, int_value(at)));
    }
    size_t len;
    size_t head = string_head(at, &len);
    return slice_of((const char *)at + head, len);
}

static bool string_equals(const uint8_t *at, struct slice s)
{
    size_t len;
    size_t head = string_head(at, &len);
    return len == s.len && same_bytes(at + head, s.ptr, len);
}

bool listpack_equals(const uint8_t *at, struct slice s)
{
    if (!is_int(*at)) {
        return string_equals(at, s);
    }
    int64_t number;
    return num_parse_int(s.ptr, s.len, &number) && number == int_value(at);
}

/* ---- finding positions ------------------------------------------------------------------- */

uint8_t *listpack_first(const struct listpack *lp)
{
    return lp->elements[0] == END ? NULL : (uint8_t *)lp->elements;
}

static inline uint8_t *end_of(const struct listpack *lp)
{
    return (uint8_t *)lp + lp->total_bytes - END_BYTES;
}

/* The element that ends before at. */
static const uint8_t *step_back(const uint8_t *at)
{
    size_t len = 0;
    const uint8_t *p = at;
    unsigned shift = 0;
    do {
        p--;
        len |= (size_t)(*p & 127) << shift;
        shift += 7;
    } while (*p & 128);
    return p - len;
}

uint8_t *listpack_last(const struct listpack *lp)
{
    return lp->elements[0] == END ? NULL : (uint8_t *)step_back(end_of(lp));
}

uint8_t *listpack_next(const struct listpack *lp, const uint8_t *at)
{
    (void)lp;
    const uint8_t *next = step(at);
    return *next == END ? NULL : (uint8_t *)next;
}

uint8_t *listpack_prev(const struct listpack *lp, const uint8_t *at)
{
    return at == lp->elements ? NULL : (uint8_t *)step_back(at);
}

static uint64_t count_from(const uint8_t *at)
{
    uint64_t n = 0;
    for (; *at != END; at = step(at)) {
        n++;
    }
    return n;
}

uint32_t listpack_count(const struct listpack *lp)
{
    return lp->count != COUNT_UNKNOWN ? lp->count : (uint32_t)count_from(lp->elements);
}

/* From the nearer end where the count is known. */
uint8_t *listpack_seek(const struct listpack *lp, int64_t index)
{
    if (lp->count != COUNT_UNKNOWN) {
        int64_t n = lp->count;
        if (index >= n || index < -n) {
            return NULL;
        }
        if (index >= 0 && index > n / 2) {
            index -= n;
        } else if (index < 0 && -index > n / 2) {
            index += n;
        }
    }
    const uint8_t *at = lp->elements;
    if (index >= 0) {
        for (; index > 0 && *at != END; index--) {
            at = step(at);
        }
        return *at == END ? NULL : (uint8_t *)at;
    }
    for (at = end_of(lp); index < 0; index++) {
        if (at == lp->elements) {
            return NULL;
        }
        at = step_back(at);
    }
    return (uint8_t *)at;
}

uint8_t *listpack_find(const struct listpack *lp, const uint8_t *at, struct slice s, uint32_t skip)
{
    (void)lp;
    if (!at) {
        return NULL;
    }
    int64_t number = 0;
    bool numeric = num_parse_int(s.ptr, s.len, &number);
    unsigned wanted = s.len <= STRING_6_MAX ? STRING_6 | (unsigned)s.len : END;
    while (*at != END) {
        unsigned first = *at;
        if (first == wanted) {
            if (same_bytes(at + 1, s.ptr, s.len)) {
                return (uint8_t *)at;
            }
        } else if (first < STRING_6 || first >= INT_13) { /* short strings differ in length */
            if (is_int(*at) ? numeric && int_value(at) == number : string_equals(at, s)) {
                return (uint8_t *)at;
            }
        }
        at = step(at);
        for (uint32_t i = 0; i < skip && *at != END; i++) {
            at = step(at);
        }
    }
    return NULL;
}

/* ---- changing ---------------------------------------------------------------------------- */

/* An element about to be written. */
struct element {
    const char *data; /* behind the head; of strings only */
    uint32_t data_len;
    uint32_t head_len;
    uint8_t head[HEAD_BYTES_MAX];
};

static inline void head_write(struct element *e, uint8_t first, uint64_t rest, uint32_t bytes)
{
    e->head[0] = first;
    memcpy(e->head + 1, &rest, sizeof rest);
    e->head_len = 1 + bytes;
}
static_assert(HEAD_BYTES_MAX == 1 + sizeof(uint64_t), "head_write stays inside");

static void element_of_int(struct element *e, int64_t v)
{
    e->data = NULL;
    e->data_len = 0;
    if (v >= 0 && v < STRING_6) {
        head_write(e, (uint8_t)v, 0, 0);
    } else if (v >= -4096 && v <= 4095) {
        head_write(e, (uint8_t)(INT_13 | (v >> 8 & 31)), (uint64_t)v & 255, 1);
    } else if (v >= INT16_MIN && v <= INT16_MAX) {
        head_write(e, INT_16, (uint64_t)v, 2);
    } else if (v >= -(1 << 23) && v < 1 << 23) {
        head_write(e, INT_24, (uint64_t)v, 3);
    } else if (v >= INT32_MIN && v <= INT32_MAX) {
        head_write(e, INT_32, (uint64_t)v, 4);
    } else {
        head_write(e, INT_64, (uint64_t)v, 8);
    }
}

/* False when s is longer than any listpack. */
static inline bool element_of(struct element *e, struct slice s)
{
    int64_t number;
    if (num_parse_int(s.ptr, s.len, &number)) {
        element_of_int(e, number);
        return true;
    }
    if (s.len > LISTPACK_MAX_BYTES) {
        return false;
    }
    e->data = s.ptr;
    e->data_len = (uint32_t)s.len;
    if (s.len <= STRING_6_MAX) {
        head_write(e, (uint8_t)(STRING_6 | s.len), 0, 0);
    } else if (s.len <= STRING_12_MAX) {
        head_write(e, (uint8_t)(STRING_12 | s.len >> 8), s.len & 255, 1);
    } else {
        head_write(e, STRING_32, s.len, 4);
    }
    return true;
}

size_t listpack_cost(struct slice s)
{
    struct element e;
    if (!element_of(&e, s)) {
        return s.len + HEAD_BYTES_MAX + BACKLEN_BYTES_MAX;
    }
    size_t len = e.head_len + e.data_len;
    return len + backlen_size(len);
}

static struct listpack *block_alloc(size_t total)
{
    return total <= SLAB_BYTES_MAX ? slab_alloc(total) : mem_try_alloc(total);
}

static void block_free(struct listpack *lp, size_t total)
{
    if (total <= SLAB_BYTES_MAX) {
        slab_free(lp, total);
    } else {
        mem_free(lp);
    }
}

/* Does a listpack that grows or shrinks so far need another block? */
static bool must_move(const struct listpack *lp, size_t before, size_t after)
{
    if (before <= SLAB_BYTES_MAX || after <= SLAB_BYTES_MAX) {
        return (before > SLAB_BYTES_MAX) != (after > SLAB_BYTES_MAX) ||
               slab_size(before) != slab_size(after);
    }
    size_t usable = mem_usable(lp);
    return after > usable || (after < before && usable / SHRINK_FACTOR > after);
}

/* Makes a hole of new_span bytes where old_span bytes were, at offset. NULL: too large. */
static struct listpack *open_gap(struct listpack *lp, size_t offset, size_t old_span,
                                 size_t new_span)
{
    size_t before = lp->total_bytes;
    size_t after = before - old_span + new_span;
    if (after > LISTPACK_MAX_BYTES) {
        return NULL;
    }
    uint8_t *from = (uint8_t *)lp, *to = from;
    if (must_move(lp, before, after)) {
        to = (uint8_t *)block_alloc(after);
        if (!to) {
            return NULL;
        }
        memcpy(to, from, offset);
        memcpy(to + offset + new_span, from + offset + old_span, before - offset - old_span);
        block_free(lp, before);
        lp = (struct listpack *)to;
    } else {
        memmove(to + offset + new_span, from + offset + old_span, before - offset - old_span);
    }
    lp->total_bytes = (uint32_t)after;
    return lp;
}

/* Returns the bytes written. */
static inline size_t element_write(uint8_t *at, const struct element *e)
{
    size_t len = (size_t)e->head_len + e->data_len;
    memcpy(at, e->head, e->head_len);
    if (e->data_len > 0) {
        memcpy(at + e->head_len, e->data, e->data_len);
    }
    return len + backlen_write(at + len, len);
}

static struct listpack *put(struct listpack *lp, size_t offset, size_t old_span,
                            const struct element *e, uint8_t **placed)
{
    size_t len = (size_t)e->head_len + e->data_len;
    lp = open_gap(lp, offset, old_span, len + backlen_size(len));
    if (!lp) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)lp + offset;
    element_write(at, e);
    if (old_span == 0 && lp->count != COUNT_UNKNOWN) {
        lp->count++; /* may become COUNT_UNKNOWN, and rightly so */
    }
    if (placed) {
        *placed = at;
    }
    return lp;
}

static struct listpack *insert(struct listpack *lp, const uint8_t *at, enum listpack_where where,
                               const struct element *e, uint8_t **placed)
{
    size_t span = where == LISTPACK_BEFORE ? 0 : (size_t)(step(at) - at);
    size_t offset = (size_t)(at - (uint8_t *)lp);
    if (where == LISTPACK_AFTER) {
        return put(lp, offset + span, 0, e, placed);
    }
    return put(lp, offset, span, e, placed);
}

struct listpack *listpack_insert(struct listpack *lp, uint8_t *at, enum listpack_where where,
                                 struct slice s, uint8_t **placed)
{
    struct element e;
    return element_of(&e, s) ? insert(lp, at, where, &e, placed) : NULL;
}

struct listpack *listpack_insert_int(struct listpack *lp, uint8_t *at, enum listpack_where where,
                                     int64_t v, uint8_t **placed)
{
    struct element e;
    element_of_int(&e, v);
    return insert(lp, at, where, &e, placed);
}

struct listpack *listpack_append(struct listpack *lp, struct slice s)
{
    struct element e;
    return element_of(&e, s) ? put(lp, lp->total_bytes - END_BYTES, 0, &e, NULL) : NULL;
}

struct listpack *listpack_append_int(struct listpack *lp, int64_t v)
{
    struct element e;
    element_of_int(&e, v);
    return put(lp, lp->total_bytes - END_BYTES, 0, &e, NULL);
}

struct listpack *listpack_prepend(struct listpack *lp, struct slice s)
{
    struct element e;
    return element_of(&e, s) ? put(lp, LISTPACK_HEADER_BYTES, 0, &e, NULL) : NULL;
}

struct listpack *listpack_append_all(struct listpack *lp, const struct slice *s, uint32_t n)
{
    size_t more = 0;
    for (uint32_t i = 0; i < n; i++) {
        more += listpack_cost(s[i]);
    }
    size_t offset = lp->total_bytes - END_BYTES;
    lp = open_gap(lp, offset, 0, more);
    if (!lp) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)lp + offset;
    for (uint32_t i = 0; i < n; i++) {
        struct element e = {0};
        bool fits = element_of(&e, s[i]);
        assert(fits); /* or the gap would have been too large */
        at += element_write(at, &e);
    }
    lp->count = n < (uint32_t)(COUNT_UNKNOWN - lp->count) ? (uint16_t)(lp->count + n)
                                                         : COUNT_UNKNOWN;
    return lp;
}

struct listpack *listpack_delete(struct listpack *lp, uint8_t *at, uint32_t n, uint8_t **next)
{
    const uint8_t *until = at;
    uint32_t gone = 0;
    for (; gone < n && *until != END; gone++) {
        until = step(until);
    }
    size_t offset = (size_t)(at - (uint8_t *)lp);
    size_t total = lp->total_bytes;
    lp = open_gap(lp, offset, (size_t)(until - at), 0);
    if (!lp) { /* while shrinking: there is no way to tell */
        mem__out_of_memory(total);
    }
    if (lp->count != COUNT_UNKNOWN) {
        lp->count = (uint16_t)(lp->count - gone);
    }
    if (next) {
        uint8_t *after = (uint8_t *)lp + offset;
        *next = *after == END ? NULL : after;
    }
    return lp;
}

/* ---- blocks ------------------------------------------------------------------------------ */

struct listpack *listpack_new(size_t capacity_bytes)
{
    (void)capacity_bytes; /* small blocks have no room to spare, and grow cheaply */
    enum { EMPTY_BYTES = LISTPACK_HEADER_BYTES + END_BYTES };
    struct listpack *lp = block_alloc(EMPTY_BYTES);
    lp->total_bytes = EMPTY_BYTES;
    lp->count = 0;
    lp->elements[0] = END;
    return lp;
}

void listpack_free(struct listpack *lp)
{
    block_free(lp, lp->total_bytes);
}

struct listpack *listpack_compact(struct listpack *lp)
{
    if (lp->total_bytes > SLAB_BYTES_MAX || !slab_is_sparse(lp)) {
        return lp;
    }
    struct listpack *moved = listpack_copy(lp);
    listpack_free(lp);
    return moved;
}

size_t listpack_memory(const struct listpack *lp)
{
    return lp->total_bytes <= SLAB_BYTES_MAX ? slab_size(lp->total_bytes) : mem_usable(lp);
}

struct listpack *listpack_from_bytes(const void *bytes, size_t len)
{
    struct listpack *lp = block_alloc(len);
    if (lp) {
        memcpy(lp, bytes, len);
    }
    return lp;
}

struct listpack *listpack_copy(const struct listpack *lp)
{
    struct listpack *copy = listpack_from_bytes(lp, lp->total_bytes);
    if (!copy) {
        mem__out_of_memory(lp->total_bytes);
    }
    return copy;
}

size_t listpack_bytes(const struct listpack *lp)
{
    return lp->total_bytes;
}

const void *listpack_data(const struct listpack *lp)
{
    return lp;
}

/* ---- foreign bytes ----------------------------------------------------------------------- */

/* Bytes of the element at p (of left bytes that follow, the end mark not among them), 0 if it is
 * not sound. */
static size_t element_check(const uint8_t *p, size_t left)
{
    static const uint8_t int_bytes[] = {3, 4, 5, 9}; /* INT_16 and following */
    size_t head = 1, len = 0;
    if (is_int(*p)) {
        head = *p < STRING_6 ? 1 : *p < STRING_12 ? 2 : int_bytes[*p - INT_16];
    } else if (*p > INT_64) {
        return 0;
    } else {
        size_t head_len = *p < INT_13 ? 1 : *p < STRING_32 ? 2 : 5;
        if (head_len > left) {
            return 0;
        }
        head = string_head(p, &len);
    }
    size_t bytes = head + len;
    uint8_t back[BACKLEN_BYTES_MAX];
    size_t back_len = backlen_write(back, bytes);
    if (bytes + back_len > left || memcmp(p + bytes, back, back_len) != 0) {
        return 0;
    }
    return bytes + back_len;
}

bool listpack_validate(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    if (len < LISTPACK_HEADER_BYTES + END_BYTES || len > LISTPACK_MAX_BYTES ||
        load(p, 4) != len || p[len - 1] != END) {
        return false;
    }
    uint64_t claimed = load(p + 4, 2);
    uint64_t count = 0;
    const uint8_t *end = p + len - END_BYTES;
    for (p += LISTPACK_HEADER_BYTES; p < end; count++) {
        size_t span = element_check(p, (size_t)(end - p));
        if (span == 0) {
            return false;
        }
        p += span;
    }
    return claimed == COUNT_UNKNOWN || claimed == count;
}
