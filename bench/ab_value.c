/* ab_value.c - see ab_value.h. */
#include "bench/ab_value.h"

#include "bench/ab_random.h"

#include <assert.h>
#include <string.h>

enum { HEAD_BYTES = 16, TEXT_BYTES = 65536 };

static_assert((TEXT_BYTES & (TEXT_BYTES - 1)) == 0, "positions are taken by a mask");

static char text[2 * TEXT_BYTES + AB_COPY_SLACK]; /* twice, so that TEXT_BYTES can be read from any position */

void ab_value_prepare(void)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    struct ab_rng r = {0x61736c6172}; /* a constant: the text never changes */
    for (int i = 0; i < TEXT_BYTES; i++) {
        text[i] = letters[ab_rng_next(&r) & 63];
    }
    memcpy(text + TEXT_BYTES, text, TEXT_BYTES);
}

/* Sixteen hexadecimal digits, the highest first, eight at a time: each half is spread to one digit
 * per byte, then 0-9 and a-f are told apart by a carry. */
static uint64_t hex8(uint32_t v)
{
    uint64_t x = v;
    x = (x << 16 | x) & 0x0000ffff0000ffffu;
    x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
    x = (x << 4 | x) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return __builtin_bswap64(x + 0x3030303030303030u + letters * ('a' - '0' - 10));
}

static void head_write(char head[HEAD_BYTES], uint64_t tag)
{
    uint64_t high = hex8((uint32_t)(tag >> 32)), low = hex8((uint32_t)tag);
    memcpy(head, &high, 8);
    memcpy(head + 8, &low, 8);
}

void ab_value_write(char *to, uint64_t tag, size_t len)
{
    head_write(to, tag); /* whole even if len is less: there is slack */
    const char *from = text + (tag & (TEXT_BYTES - 1));
    for (size_t at = HEAD_BYTES; at < len; at += TEXT_BYTES) {
        ab_copy_over(to + at, from, len - at < TEXT_BYTES ? len - at : TEXT_BYTES);
    }
}

bool ab_value_matches(uint64_t tag, size_t offset, const char *piece, size_t n)
{
    if (offset < HEAD_BYTES) {
        char head[HEAD_BYTES];
        size_t part = HEAD_BYTES - offset < n ? HEAD_BYTES - offset : n;
        head_write(head, tag);
        if (memcmp(head + offset, piece, part) != 0) {
            return false;
        }
        offset += part;
        piece += part;
        n -= part;
    }
    const char *from = text + (tag & (TEXT_BYTES - 1));
    while (n > 0) {
        size_t at = (offset - HEAD_BYTES) & (TEXT_BYTES - 1);
        size_t part = TEXT_BYTES - at < n ? TEXT_BYTES - at : n;
        if (memcmp(from + at, piece, part) != 0) {
            return false;
        }
        offset += part;
        piece += part;
        n -= part;
    }
    return true;
}
