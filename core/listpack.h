/* listpack.h - a compact sequence of strings and integers in one block of memory.
 *
 * The byte format is Redis's listpack (described in the comments and documentation of Redis 7),
 * so that RDB files and DUMP payloads carry it as it is:
 *
 *   total bytes u32 LE │ elements u16 LE │ element … │ 0xFF
 *   element: encoding and length │ data │ backlen (length of the two before, 7 bits a byte, backwards)
 *
 * 65535 in the count means "count them". Small hashes, sets, sorted sets, and the nodes of lists and
 * streams are listpacks. Every change may move the block: functions that change return its new
 * address and give back positions inside it. Numbers in canonical form are stored as integers.
 *
 * A listpack is at most LISTPACK_MAX_BYTES; a function that would exceed that returns NULL and
 * leaves the block as it was. Memory from slab.h or mem.h. Owner: one thread; a position (uint8_t *)
 * is valid until the next change. What comes from strangers is checked by listpack_validate()
 * before anything else touches it.
 */
#ifndef ASHLAR_CORE_LISTPACK_H
#define ASHLAR_CORE_LISTPACK_H

#include "proto/slice.h"
#include <stdint.h>

#define LISTPACK_MAX_BYTES ((size_t)1 << 30)
enum { LISTPACK_HEADER_BYTES = 6, LISTPACK_INT_CHARS = 24 };

struct listpack; /* the block */

struct listpack *listpack_new(size_t capacity_bytes); /* the capacity is only a hint */
void listpack_free(struct listpack *lp);
struct listpack *listpack_copy(const struct listpack *lp);
/* A block of foreign bytes that listpack_validate() has accepted; NULL when memory is short. */
struct listpack *listpack_from_bytes(const void *bytes, size_t len);
size_t listpack_bytes(const struct listpack *lp);  /* the format's total */
size_t listpack_memory(const struct listpack *lp); /* what it takes */
/* Moves it to a better place if there is one (slab_is_sparse); its address, maybe the old. */
struct listpack *listpack_compact(struct listpack *lp);
const void *listpack_data(const struct listpack *lp);
uint32_t listpack_count(const struct listpack *lp);

/* Positions; NULL beyond the ends. Index from 0; negative from the end (-1 is the last). */
uint8_t *listpack_first(const struct listpack *lp);
uint8_t *listpack_last(const struct listpack *lp);
uint8_t *listpack_next(const struct listpack *lp, const uint8_t *at);
uint8_t *listpack_prev(const struct listpack *lp, const uint8_t *at);
uint8_t *listpack_seek(const struct listpack *lp, int64_t index);

struct listpack_value {
    const char *ptr; /* NULL: an integer */
    uint32_t len;
    int64_t number;
};
struct listpack_value listpack_get(const uint8_t *at);
/* The element as bytes; integers are printed into buf. */
struct slice listpack_string(const uint8_t *at, char buf[LISTPACK_INT_CHARS]);
bool listpack_equals(const uint8_t *at, struct slice s);
/* The first element equal to s from at on, looking at every (skip + 1)th: skip 1 finds fields. */
uint8_t *listpack_find(const struct listpack *lp, const uint8_t *at, struct slice s, uint32_t skip);

enum listpack_where { LISTPACK_BEFORE, LISTPACK_AFTER, LISTPACK_REPLACE };
/* *placed (may be NULL) receives the new element's position. s must not lie in lp. */
struct listpack *listpack_insert(struct listpack *lp, uint8_t *at, enum listpack_where where,
                                 struct slice s, uint8_t **placed);
struct listpack *listpack_insert_int(struct listpack *lp, uint8_t *at, enum listpack_where where,
                                     int64_t v, uint8_t **placed);
struct listpack *listpack_append(struct listpack *lp, struct slice s);
struct listpack *listpack_append_int(struct listpack *lp, int64_t v);
struct listpack *listpack_prepend(struct listpack *lp, struct slice s);
/* Several at once: the block moves at most once. */
struct listpack *listpack_append_all(struct listpack *lp, const struct slice *s, uint32_t n);
/* Deletes n elements from at on; *next (may be NULL) is what follows them, NULL at the end. */
struct listpack *listpack_delete(struct listpack *lp, uint8_t *at, uint32_t n, uint8_t **next);
/* Bytes that an element would add. */
size_t listpack_cost(struct slice s);

/* Whether these bytes are a well-formed listpack, walking every element. */
bool listpack_validate(const void *bytes, size_t len);

#endif
