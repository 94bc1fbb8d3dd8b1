/* merge_sort.h - sorting what may be very much, with pause points (pause.h).
 *
 * Each thing has a rank, an integer that decides in most cases (a score, the first bytes of a text);
 * only where ranks are equal the things themselves are asked. So sorting reads two words of each,
 * side by side in memory.
 *
 * Stable: what is equal in every respect stays in its order. Takes as much memory again meanwhile.
 */
#ifndef ASHLAR_CORE_ORDER_H
#define ASHLAR_CORE_ORDER_H

#include "proto/slice.h"
#include <stddef.h>
#include <stdint.h>

struct ranked {
    uint64_t rank;
    const void *item;
};

/* Of two items whose ranks are equal: negative when a comes first, 0 when it does not matter. */
typedef int rank_tie(const void *a, const void *b, void *ctx);

/* tie may be NULL: then it never matters. */
void merge_sort(struct ranked *at, size_t n, rank_tie *tie, void *ctx);

/* The rank of a text: its first bytes. Texts of equal rank need not be equal. */
uint64_t rank_of_text(struct slice text);

#endif
