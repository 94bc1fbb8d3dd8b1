/* ab_reply.c - see ab_reply.h. */
#include "bench/ab_reply.h"

#include "bench/ab_value.h"

#include <string.h>

enum { AGGREGATE_MAX = 1 << 30 }; /* elements; more is taken for garbage */

void ab_reply_init(struct ab_reply *r)
{
    memset(r, 0, sizeof *r);
}

/* The number of a header line, -1 for a null, -2 when it is none. */
static int64_t header_number(const char *s, size_t len)
{
    if (len == 2 && s[0] == '-' && s[1] == '1') {
        return -1;
    }
    if (len == 0 || len > 18) {
        return -2;
    }
    int64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return -2;
        }
        n = n * 10 + (s[i] - '0');
    }
    return n;
}

static void value_done(struct ab_reply *r)
{
    r->todo_--;
    if (r->push_left_ > 0) {
        r->push_left_--;
    }
}

static bool aggregate(struct ab_reply *r, int64_t n, unsigned values_each)
{
    if (n < 0 || n > AGGREGATE_MAX) {
        return n == -1 ? (value_done(r), true) : false;
    }
    r->todo_ += (uint64_t)n * values_each;
    if (r->push_left_ > 0) {
        r->push_left_ += (uint64_t)n * values_each;
    }
    value_done(r);
    return true;
}

/* Whether the value that comes is the reply itself. The last element of an array also has a todo_
 * of 1, but then the reply has begun. */
static bool at_top(const struct ab_reply *r)
{
    return !r->begun_ && r->todo_ == 1 && r->push_left_ == 0;
}

/* A whole line without its \r\n, the type in front. False: not RESP. */
static bool take_line(struct ab_reply *r, const char *s, size_t len)
{
    bool top = at_top(r);
    int64_t n;

    if (len == 0) {
        return false;
    }
    switch (s[0]) {
    case '$':
    case '!':
    case '=':
        n = header_number(s + 1, len - 1);
        if (n == -2) {
            return false;
        }
        if (n == -1) {
            r->null |= top;
            value_done(r);
            break;
        }
        r->body_left_ = (uint64_t)n + 2;
        r->body_at_ = 0;
        r->top_body_ = top;
        r->line_len = top ? 0 : r->line_len;
        if (top && r->expect && (uint64_t)n != r->expect_len) {
            r->differs = true;
        }
        break;
    case '*':
    case '~':
        n = header_number(s + 1, len - 1);
        r->null |= top && n == -1;
        return aggregate(r, n, 1);
    case '%':
        return aggregate(r, header_number(s + 1, len - 1), 2);
    case '>':
        n = header_number(s + 1, len - 1);
        if (!top || n < 0 || n > AGGREGATE_MAX) {
            return false;
        }
        r->push_left_ = (uint64_t)n;
        r->todo_ += (uint64_t)n; /* and the reply is still to come */
        break;
    case '|':
        n = header_number(s + 1, len - 1);
        if (n < 0 || n > AGGREGATE_MAX) {
            return false;
        }
        r->todo_ += (uint64_t)n * 2;
        r->push_left_ += r->push_left_ > 0 ? (uint64_t)n * 2 : 0;
        break;
    case '_':
        r->null |= top;
        value_done(r);
        break;
    case '+':
    case '-':
        if (top) {
            size_t keep = len - 1 < AB_REPLY_LINE_MAX - 1 ? len - 1 : AB_REPLY_LINE_MAX - 1;
            memmove(r->line, s + 1, keep);
            r->line[keep] = 0;
            r->line_len = (uint32_t)keep;
        }
        value_done(r);
        break;
    case ':':
    case ',':
    case '#':
    case '(':
        value_done(r);
        break;
    default:
        return false;
    }
    return true;
}

/* A piece of a body that lies in buf[0..n), n <= body_left_. */
static void take_body(struct ab_reply *r, const char *buf, size_t n)
{
    uint64_t data = r->body_left_ > 2 ? r->body_left_ - 2 : 0;
    size_t part = n < data ? n : (size_t)data;

    if (r->top_body_ && part > 0) {
        if (r->expect && r->type == '$' && !r->differs &&
            !ab_value_matches(r->expect_tag, (size_t)r->body_at_, buf, part)) {
            r->differs = true;
        }
        if (r->type == '!' && r->line_len < AB_REPLY_LINE_MAX - 1) {
            size_t room = AB_REPLY_LINE_MAX - 1 - r->line_len;
            size_t keep = part < room ? part : room;
            memcpy(r->line + r->line_len, buf, keep);
            r->line_len += (uint32_t)keep;
            r->line[r->line_len] = 0;
        }
    }
    r->body_at_ += part;
    r->body_left_ -= n;
    if (r->body_left_ == 0) {
        r->top_body_ = false;
        value_done(r);
    }
}

/* Keeps the piece of a line that ends with the buffer. */
static void keep_piece(struct ab_reply *r, const char *s, size_t n)
{
    size_t room = AB_REPLY_LINE_MAX - 1 - r->line_len;
    size_t keep = n < room ? n : room;
    memcpy(r->line + r->line_len, s, keep);
    r->line_len += (uint32_t)keep;
    r->in_line_ = true;
}

enum ab_reply_result ab_reply_read(struct ab_reply *r, const char *buf, size_t len, size_t *used)
{
    size_t at = 0;

    if (r->todo_ == 0 && len > 0) {
        r->todo_ = 1;
        r->type = 0;
        r->null = false;
        r->differs = false;
        r->line_len = 0;
        r->push_left_ = 0;
        r->begun_ = false;
    }
    while (at < len) {
        if (r->body_left_ > 0) {
            size_t n = len - at < r->body_left_ ? len - at : (size_t)r->body_left_;
            take_body(r, buf + at, n);
            at += n;
        } else {
            const char *end = memchr(buf + at, '\n', len - at);
            size_t n = end ? (size_t)(end - buf) - at : len - at;
            const char *line = buf + at;
            if (!end || r->in_line_) {
                if (!r->in_line_) {
                    r->line_len = 0;
                }
                keep_piece(r, line, n);
            }
            if (!end) {
                break;
            }
            if (r->in_line_) {
                line = r->line;
                n = r->line_len;
                r->in_line_ = false;
            }
            at = (size_t)(end - buf) + 1;
            n -= n > 0 && line[n - 1] == '\r' ? 1 : 0;
            char first = n > 0 ? line[0] : 0; /* take_line() may move the line */
            bool begins = at_top(r) && first != '>' && first != '|';
            if (!take_line(r, line, n)) {
                return AB_REPLY_BROKEN;
            }
            if (begins) {
                r->type = first;
                r->begun_ = true;
            }
        }
        if (r->todo_ == 0) {
            *used = at;
            r->differs |= r->expect && !r->null && r->type != '$' && r->type != '-' && r->type != '!';
            return AB_REPLY_DONE;
        }
    }
    *used = len;
    return AB_REPLY_MORE;
}
