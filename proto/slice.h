/* slice.h - a run of bytes that somebody else owns.
 *
 * Arguments of commands are slices of the buffer that they arrived in; whoever keeps one
 * longer than that buffer lives copies the bytes.
 */
#ifndef ASHLAR_PROTO_SLICE_H
#define ASHLAR_PROTO_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *ptr;
    size_t len;
};

static inline struct slice slice_of(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_str(const char *zero_terminated)
{
    return (struct slice){zero_terminated, strlen(zero_terminated)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

/* Options and subcommands are compared without regard to case (ASCII). */
static inline bool slice_is(struct slice a, const char *word)
{
    size_t len = strlen(word);
    return a.len == len && strncasecmp(a.ptr, word, len) == 0;
}

#endif
