/* ab_value.h - values that can be told from a tag: what --verify checks.
 *
 * A value of n bytes with tag t is the first n bytes of: t in 16 hexadecimal digits, then a fixed
 * text of 64 KiB from position t mod 64 Ki on, again and again. So writing one is a copy, checking
 * one is a comparison, in pieces as they arrive, and a value of another key, a shifted, a
 * shortened or a damaged one differs. When values are verified the tag is derived from the key;
 * otherwise it is random.
 *
 * The fixed text is the same in every process, so one ashlar-bench can check what another wrote.
 *
 * Thread: ab_value_prepare() once before all others, which any thread may call.
 */
#ifndef ASHLAR_BENCH_AB_VALUE_H
#define ASHLAR_BENCH_AB_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Copies n bytes in steps of 16, so up to 15 bytes beyond both ends are read and written: most
 * pieces of a request are short, and a call of memcpy costs more than they do. */
enum { AB_COPY_SLACK = 16, AB_COPY_SHORT_MAX = 128 };
static inline void ab_copy_over(char *to, const char *from, size_t n)
{
    if (n > AB_COPY_SHORT_MAX) {
        memcpy(to, from, n);
        return;
    }
    for (size_t at = 0; at < n; at += 16) {
        memcpy(to + at, from + at, 16);
    }
}

void ab_value_prepare(void);
/* Room for len + AB_COPY_SLACK bytes. */
void ab_value_write(char *to, uint64_t tag, size_t len);
/* Whether piece[0..n) is what stands at `offset` of the value with that tag. */
bool ab_value_matches(uint64_t tag, size_t offset, const char *piece, size_t n);

#endif
