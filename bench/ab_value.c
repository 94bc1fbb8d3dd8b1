/* ab_value.c - see ab_value.h. */
#include "bench/ab_value.h"

#include "bench/ab_random.h"

#include <assert.h>
#include <string.h>

enum { HEAD_BYTES = 16, TEXT_BYTES = 65536 };

static_assert((TEXT_BYTES & (TEXT_BYTES - 1)) == 0, "positions are taken by a mask");

static char text[2 * TEXT_BYTES]; /* twice, so that TEXT_BYTES can be read from any position */

void ab_value_prepare(void)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    struct ab_rng r = {0x61736c6172}; /* a constant: the text never changes */
    for (int i = 0; i < TEXT_BYTES; i++) {
        text[i] = letters[ab_rng_next(&r) & 63];
    }
    memcpy(text + TEXT_BYTES, text, TEXT_BYTES);
}

static void head_write(char head[HEAD_BYTES], uint64_t tag)
{
    for (int i = HEAD_BYTES - 1; i >= 0; i--, tag >>= 4) {
        head[i] = "0123456789abcdef"[tag & 15];
    }
}

void ab_value_write(char *to, uint64_t tag, size_t len)
{
    char head[HEAD_BYTES];

    head_write(head, tag);
    if (len <= HEAD_BYTES) {
        memcpy(to, head, len);
        return;
    }
    memcpy(to, head, HEAD_BYTES);
    const char *from = text + (tag & (TEXT_BYTES - 1));
    for (size_t at = HEAD_BYTES; at < len; at += TEXT_BYTES) {
        size_t n = len - at < TEXT_BYTES ? len - at : TEXT_BYTES;
        memcpy(to + at, from, n);
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
