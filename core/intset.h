/* intset.h - a sorted array of distinct integers in one block of memory.
 *
 * The byte format is that of Redis's intsets, so that RDB files (type 11) and DUMP payloads carry
 * it as it is:
 *
 *   width u32 LE │ count u32 LE │ integers of that width, ascending, LE
 *
 * The width is 2, 4 or 8 bytes, enough for the largest integer that was ever in the set; it never
 * shrinks. Finding one is a binary search; a change moves what lies behind it, which is quick for
 * the few hundred integers that set-max-intset-entries allows, and bounded by INTSET_MAX_COUNT.
 *
 * Memory from mem.h; functions that change return the block's new address. Owner: one thread. What
 * comes from strangers is checked by intset_validate() before anything else touches it.
 */
#ifndef ASHLAR_CORE_INTSET_H
#define ASHLAR_CORE_INTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INTSET_HEADER_BYTES = 8, INTSET_MAX_COUNT = 1 << 30 };

struct intset; /* the block */

struct intset *intset_new(void);
void intset_free(struct intset *is);
struct intset *intset_copy(const struct intset *is);
/* A block of foreign bytes that intset_validate() has accepted. */
struct intset *intset_from_bytes(const void *bytes, size_t len);
bool intset_validate(const void *bytes, size_t len);

uint32_t intset_count(const struct intset *is);
size_t intset_bytes(const struct intset *is); /* of the format */
bool intset_has(const struct intset *is, int64_t v);
int64_t intset_at(const struct intset *is, uint32_t i); /* i < count, in ascending order */
struct intset *intset_add(struct intset *is, int64_t v, bool *added);
struct intset *intset_remove(struct intset *is, int64_t v, bool *removed);

#endif
