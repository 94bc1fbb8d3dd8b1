/* ziplist.c - see ziplist.h. First bytes of an element, behind the length of the one before:
 *
 *   00llllll, 01llllll [1], 10...... [4]   string, length high bits first
 *   C0 [2]  D0 [4]  E0 [8]  F0 [3]  FE [1] number, LE
 *   F1 … FD                                number 0 … 12
 */
#include "core/ziplist.h"

#include <assert.h>

enum {
    HEADER_BYTES = 10,
    END = 0xFF,
    COUNT_UNKNOWN = UINT16_MAX,
    PREV_LONG = 0xFE, /* the length before takes 4 more bytes */
    INT_8 = 0xFE,
    INT_16 = 0xC0,
    INT_24 = 0xF0,
    INT_32 = 0xD0,
    INT_64 = 0xE0,
    IMMEDIATE_MIN = 0xF1,
    IMMEDIATE_MAX = 0xFD,
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie");

static uint64_t load(const uint8_t *from, size_t bytes)
{
    uint64_t v = 0;
    memcpy(&v, from, bytes);
    return v;
}

struct element {
    const uint8_t *string; /* NULL: a number */
    size_t len;
    int64_t number;
};

/* A number of so many bytes, with its sign. */
static int64_t signed_number(const uint8_t *p, size_t bytes)
{
    unsigned unused = (unsigned)(8 - bytes) * 8;
    return (int64_t)(load(p, bytes) << unused) >> unused;
}

/* The string at p (its head has been told by *p); bytes in all, 0 if it does not fit. */
static size_t read_string(const uint8_t *p, size_t left, struct element *e)
{
    size_t head = *p < 0x40 ? 1 : *p < 0x80 ? 2 : 5;
    if (head > left) {
        return 0;
    }
    if (head == 1) {
        e->len = *p;
    } else if (head == 2) {
        e->len = (size_t)(p[0] & 0x3F) << 8 | p[1];
    } else {
        e->len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    }
    e->string = p + head;
    return e->len > left - head ? 0 : head + e->len;
}

static size_t read_number(const uint8_t *p, size_t left, struct element *e)
{
    size_t bytes;
    switch (*p) {
    case INT_8:
        bytes = 1;
        break;
    case INT_16:
        bytes = 2;
        break;
    case INT_24:
        bytes = 3;
        break;
    case INT_32:
        bytes = 4;
        break;
    case INT_64:
        bytes = 8;
        break;
    default:
        if (*p < IMMEDIATE_MIN || *p > IMMEDIATE_MAX) {
            return 0;
        }
        e->number = *p - IMMEDIATE_MIN;
        return 1;
    }
    if (1 + bytes > left) {
        return 0;
    }
    e->number = signed_number(p + 1, bytes);
    return 1 + bytes;
}

/* Bytes of the element at p, 0 if it is not sound; before: what the one before it took. */
static size_t read_element(const uint8_t *p, size_t left, size_t before, struct element *e)
{
    size_t head = *p < PREV_LONG ? 1 : 5;
    if (*p == END || left <= head || (head == 1 ? *p : load(p + 1, 4)) != before) {
        return 0;
    }
    *e = (struct element){0};
    p += head;
    left -= head;
    size_t body = *p < 0xC0 ? read_string(p, left, e) : read_number(p, left, e);
    return body ? head + body : 0;
}

struct listpack *ziplist_to_listpack(const void *bytes, size_t len)
{
    const uint8_t *start = bytes, *p = start + HEADER_BYTES;
    if (len < HEADER_BYTES + 1 || len > UINT32_MAX || load(start, 4) != len ||
        start[len - 1] != END) {
        return NULL;
    }
    const uint8_t *end = start + len - 1;
    struct listpack *lp = listpack_new(len);
    size_t before = 0, count = 0;
    bool sound = true;
    while (sound && p < end) {
        struct element e;
        size_t span = read_element(p, (size_t)(end - p), before, &e);
        struct listpack *more = NULL;
        if (span > 0) {
            more = e.string ? listpack_append(lp, slice_of((const char *)e.string, e.len))
                            : listpack_append_int(lp, e.number);
        }
        sound = more != NULL;
        lp = more ? more : lp;
        before = span;
        p += span;
        count++;
    }
    size_t claimed = load(start + 8, 2);
    size_t last = (size_t)(end - start) - before;
    if (!sound || (claimed != COUNT_UNKNOWN && claimed != count) || load(start + 4, 4) != last) {
        listpack_free(lp);
        return NULL;
    }
    return lp;
}
