/* ab_reply.h - finding the end of replies without decoding them.
 *
 * A load generator needs to know three things of a reply: where it ends, whether it is an error,
 * and, sometimes, whether its bytes are the expected ones. So this reader keeps one counter
 * instead of a stack: how many values are still to come. An array of n adds n; when the counter
 * reaches zero the reply is over. Bodies of bulk strings are skipped by their length and never
 * copied; only a line that is cut by the end of the buffer is.
 *
 *   *2\r\n      $3\r\nabc\r\n   :1\r\n
 *   todo 1→2    2→1             1→0: done
 *
 * RESP3: a map of n adds 2n, an attribute adds 2n without being a value itself, a push at the top
 * is not a reply and is skipped. Streamed types, which no server sends, are an error.
 *
 * Thread: one at a time. Allocates nothing.
 */
#ifndef ASHLAR_BENCH_AB_REPLY_H
#define ASHLAR_BENCH_AB_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AB_REPLY_LINE_MAX = 256 }; /* kept of a line; the rest of longer ones is skipped */

enum ab_reply_result {
    AB_REPLY_DONE,  /* one reply, *used bytes of this buffer were part of it */
    AB_REPLY_MORE,  /* everything was used, go on with the next buffer */
    AB_REPLY_BROKEN /* not RESP: the connection is of no more use */
};

struct ab_reply {
    /* Of the reply that is done. */
    char type;       /* its first byte: + - : $ * _ , # ! = ( % ~ */
    bool null;       /* $-1, *-1 or _ */
    bool differs;    /* expect_tag was set and it is not that value */
    uint32_t line_len;
    char line[AB_REPLY_LINE_MAX]; /* of an error (also one of !): its text, for + its text */

    /* Set by the caller before a reply begins: bulk strings at the top are compared with the value
     * of this tag (ab_value.h) and length. */
    bool expect;
    uint32_t expect_len;
    uint64_t expect_tag;

    /* private: between calls */
    uint64_t todo_;      /* values still to come; 0: at the beginning of a reply */
    uint64_t body_left_; /* bytes of a body, its \r\n included */
    uint64_t body_at_;
    uint64_t push_left_; /* values of a push in front of the reply */
    bool in_line_, top_body_;
    bool begun_;         /* the reply's own first line has been read */
};

void ab_reply_init(struct ab_reply *r);
enum ab_reply_result ab_reply_read(struct ab_reply *r, const char *buf, size_t len, size_t *used);

/* The replies that nearly all of them are, whole in the buffer and nothing to compare: how many
 * bytes it has, or 0, and ab_reply_read() decides. Fills in type and null. */
static inline size_t ab_reply_quick(struct ab_reply *r, const char *buf, size_t len)
{
    if (r->todo_ != 0 || r->expect || len < 5) {
        return 0;
    }
    if (buf[0] == '+' && buf[1] == 'O' && buf[2] == 'K' && buf[3] == '\r') {
        r->type = '+';
        r->null = false;
        r->differs = false;
        return 5;
    }
    if (buf[0] == '$' && buf[1] >= '0' && buf[1] <= '9') {
        size_t n = 0, at = 1;
        while (at < len && at < 9 && buf[at] >= '0' && buf[at] <= '9') {
            n = n * 10 + (size_t)(buf[at++] - '0');
        }
        if (at < 9 && at < len && buf[at] == '\r' && at + n + 4 <= len) {
            r->type = '$';
            r->null = false;
            r->differs = false;
            return at + n + 4;
        }
    }
    return 0;
}

#endif
