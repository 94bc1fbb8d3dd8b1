/* stream_node.h - a run of stream entries in one block, in Redis's format: a listpack.
 *
 *   total bytes u32 │ elements u16 │ master entry │ entry │ entry … │ 0xFF
 *
 *   master  count │ deleted │ fields n │ field 1 … field n │ 0
 *   entry   flags │ ms delta │ seq delta │ fields m │ field 1 │ value 1 … │ pieces
 *      or   flags │ ms delta │ seq delta │ value 1 … value n │ pieces
 *
 * Deltas are to the node's id, the id of its first entry. An entry with NODE_SAME_FIELDS has the
 * master's fields. pieces counts the elements of the entry before it, for walking back; the 0 at
 * the master's end stops that. A deleted entry is flagged and counted; it goes with its node.
 *
 * The general listpack is listpack.h; here elements are read and written in place, an entry with
 * one check for room, because adding to a stream is little else. All of that is private to stream*.c.
 *
 * N1  A node's bytes are well formed: they were written here or accepted by snode_validate().
 *     The order of ids is not part of that: nothing here relies on it.
 * N2  cap is what was allocated for lp; the total never exceeds it, nor STREAM_NODE_MAX_BYTES.
 */
#ifndef ASHLAR_CORE_STREAM_NODE_H
#define ASHLAR_CORE_STREAM_NODE_H

#include "core/idtree.h"
#include "core/num.h"
#include "proto/slice.h"
#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define STREAM_NODE_MAX_BYTES ((size_t)1 << 30)

enum {
    NODE_HEADER_BYTES = 6,
    NODE_EOF = 0xff,
    NODE_ELEMENTS_MAX = UINT16_MAX, /* in the header: count them yourself */
    NODE_DELETED = 1,               /* flags of an entry */
    NODE_SAME_FIELDS = 2,
};

struct stream_node {
    uint32_t cap;
    uint8_t lp[];
};

/* --- elements --- */

/* Bytes of encoding and data; those of the length behind them follow from it. */
static inline size_t selem_body(const uint8_t *p)
{
    const uint8_t b = p[0];
    if (b < 0x80) {
        return 1; /* 7-bit number */
    }
    if (b < 0xc0) {
        return 1 + (b & 0x3f); /* string of up to 63 bytes */
    }
    if (b < 0xe0) {
        return 2; /* 13-bit number */
    }
    if (b < 0xf0) {
        return 2 + ((size_t)(b & 0x0f) << 8 | p[1]); /* string of up to 4095 bytes */
    }
    if (b == 0xf0) {
        uint32_t len;
        memcpy(&len, p + 1, sizeof len);
        return 5 + (size_t)le32toh(len);
    }
    return b == 0xf4 ? 9 : b - 0xf1 + 3u; /* numbers of 16, 24, 32 and 64 bits */
}

static inline size_t selem_backlen_bytes(size_t body)
{
    return body < 1u << 7 ? 1 : body < 1u << 14 ? 2 : body < 1u << 21 ? 3 : body < 1u << 28 ? 4 : 5;
}

static inline const uint8_t *selem_next(const uint8_t *p)
{
    const size_t body = selem_body(p);
    return p + body + selem_backlen_bytes(body);
}

static inline bool selem_is_int(const uint8_t *p)
{
    return p[0] < 0x80 || (p[0] & 0xe0) == 0xc0 || p[0] > 0xf0;
}

int64_t selem_int_wide(const uint8_t *p);

static inline int64_t selem_int(const uint8_t *p)
{
    return p[0] < 0x80 ? p[0] : selem_int_wide(p);
}

/* The element as bytes; a number is printed into buf. */
static inline struct slice selem_slice(const uint8_t *p, char buf[NUM_INT_CHARS])
{
    if (p[0] >= 0x80 && p[0] < 0xc0) {
        return slice_of((const char *)p + 1, p[0] & 0x3f);
    }
    if (selem_is_int(p)) {
        return slice_of(buf, num_format_int(buf, selem_int(p)));
    }
    const size_t head = p[0] == 0xf0 ? 5 : 2;
    return slice_of((const char *)p + head, selem_body(p) - head);
}

/* --- nodes --- */

/* An entry, as it lies in a node. */
struct snode_entry {
    const uint8_t *at;     /* its flags */
    const uint8_t *values; /* the first value, or the first field if it has its own */
    struct stream_id id;
    int64_t fields;
    bool deleted, same_fields;
};

static inline size_t snode_total(const struct stream_node *n)
{
    uint32_t total;
    memcpy(&total, n->lp, sizeof total);
    return le32toh(total);
}

static inline const uint8_t *snode_end(const struct stream_node *n)
{
    return n->lp + snode_total(n) - 1;
}

static inline int64_t snode_count(const struct stream_node *n)
{
    return selem_int(n->lp + NODE_HEADER_BYTES);
}

int64_t snode_deleted(const struct stream_node *n);
/* The master's first field; how many there are. */
const uint8_t *snode_fields(const struct stream_node *n, int64_t *fields);
/* The first entry; ssnode_end() when there is none. */
const uint8_t *snode_first(const struct stream_node *n);
/* The last entry, NULL when there is none; the one before an entry. */
const uint8_t *snode_last(const struct stream_node *n);
const uint8_t *snode_before(const struct stream_node *n, const uint8_t *entry);
/* Takes the entry at p apart. */
void snode_entry_read(struct stream_id node_id, int64_t master_fields, const uint8_t *p,
                      struct snode_entry *e);
/* What follows an entry: the next one or snode_end(). */
const uint8_t *snode_entry_end(const struct snode_entry *e);

/* --- making and changing; functions that may move the node return its address --- */

/* Names and values alternate in pairs. expected: bytes that the node will probably come to. */
struct stream_node *snode_new(struct stream_id id, const struct slice *pairs, int64_t fields,
                              size_t expected);
/* room_max: grows no further than that as long as it is enough. */
struct stream_node *snode_append(struct stream_node *n, struct stream_id node_id,
                                 struct stream_id id, const struct slice *pairs, int64_t fields,
                                 size_t room_max);
/* Marks the entry at this offset (of lp) as deleted; counts are ssnode_recount()'s. */
struct stream_node *snode_mark_deleted(struct stream_node *n, size_t offset);
struct stream_node *snode_recount(struct stream_node *n, int64_t count, int64_t deleted);
/* In a block of no more than it needs. */
struct stream_node *snode_seal(struct stream_node *n);
struct stream_node *snode_copy(const struct stream_node *n);
void snode_free(struct stream_node *n);
size_t snode_memory(const struct stream_node *n);

/* Foreign bytes: whether they are a node, and how many entries live in it. */
bool snode_validate(const uint8_t *lp, size_t len, uint64_t *live);
struct stream_node *snode_from_bytes(const uint8_t *lp, size_t len); /* validated before */

#endif
