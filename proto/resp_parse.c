/* resp_parse.c - see resp_parse.h.
 *
 * State of a command that has begun: at_ is the first byte not yet looked at, args_left_ the
 * arguments that are still to come, bulk_len_ the length of the one at hand. Slices in argv hold
 * offsets while a command may still have to wait (ptr is the offset), and become pointers when it
 * is complete: the buffer may have moved in between.
 */
#include "proto/resp_parse.h"
#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARGV_MIN = 16,
    BULK_NONE = -1,
};

void resp_parser_init(struct resp_parser *p)
{
    memset(p, 0, sizeof *p);
    p->bulk_len_ = BULK_NONE;
}

void resp_parser_free(struct resp_parser *p)
{
    free(p->argv);
    free(p->unquoted_);
    resp_parser_init(p);
}

void resp_parser_move(struct resp_parser *to, struct resp_parser *from)
{
    resp_parser_free(to);
    *to = *from;
    resp_parser_init(from);
}

/* Ready for the next command; memory is kept. */
static void reset(struct resp_parser *p)
{
    p->at_ = 0;
    p->args_left_ = 0;
    p->bulk_len_ = BULK_NONE;
}

static enum resp_result fail(struct resp_parser *p, const char *error)
{
    p->error = error;
    reset(p);
    return RESP_ERROR;
}

/* Grows with the arguments that arrive, never by what a client announces. */
static bool argv_push(struct resp_parser *p, struct slice arg)
{
    if (p->argc == p->argv_cap_) {
        uint32_t cap = p->argv_cap_ > 0 ? p->argv_cap_ * 2 : ARGV_MIN;
        struct slice *argv = realloc(p->argv, cap * sizeof *argv);
        if (argv == NULL) {
            return false;
        }
        p->argv = argv;
        p->argv_cap_ = cap;
    }
    p->argv[p->argc++] = arg;
    return true;
}

/* Strict decimal: no plus sign, no leading zeroes, no blanks. */
static bool parse_number(const char *s, size_t len, int64_t *out)
{
    bool negative = len > 0 && s[0] == '-';
    size_t i = negative;
    if (i == len || len > 20 || s[i] < '0' || s[i] > '9' || (s[i] == '0' && len > 1)) {
        return false;
    }
    uint64_t v = 0;
    for (; i < len; i++) {
        unsigned digit = (unsigned char)s[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    if (v > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

enum line { LINE_OK, LINE_MORE, LINE_TOO_LONG, LINE_NOT_A_NUMBER };

/* The number on the line "<type><digits>\r\n" at at; *next is behind the line. Small numbers, nearly
 * all there are, take the short way. */
static inline enum line number_line(const char *buf, size_t len, size_t at, int64_t *out,
                                    size_t *next)
{
    size_t i = at + 1;
    if (i + 3 < len && buf[i] >= '1' && buf[i] <= '9') {
        int64_t v = buf[i++] - '0';
        while (i < len && i < at + 8 && buf[i] >= '0' && buf[i] <= '9') {
            v = v * 10 + (buf[i++] - '0');
        }
        if (i + 1 < len && buf[i] == '\r') {
            *out = v;
            *next = i + 2;
            return LINE_OK;
        }
    }
    size_t rest = len - at;
    size_t look = rest > RESP_INLINE_MAX_BYTES ? RESP_INLINE_MAX_BYTES : rest;
    const char *cr = memchr(buf + at, '\r', look);
    if (cr == NULL) {
        return rest > RESP_INLINE_MAX_BYTES ? LINE_TOO_LONG : LINE_MORE;
    }
    size_t end = (size_t)(cr - buf);
    if (end + 1 >= len) {
        return LINE_MORE; /* the \n has not come */
    }
    *next = end + 2;
    return parse_number(buf + at + 1, end - at - 1, out) ? LINE_OK : LINE_NOT_A_NUMBER;
}

/* --- inline commands ------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char escaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* A quoted piece that begins behind its quote at s; appends to *out. Returns what follows the
 * closing quote, or NULL when there is none, or something other than a blank follows it. */
static const char *unquote(const char *s, const char *end, char quote, char **out)
{
    for (; s < end; s++) {
        if (*s == '\\' && quote == '"' && end - s > 3 && s[1] == 'x' && hex_digit(s[2]) >= 0 &&
            hex_digit(s[3]) >= 0) {
            *(*out)++ = (char)(hex_digit(s[2]) * 16 + hex_digit(s[3]));
            s += 3;
        } else if (*s == '\\' && quote == '"' && end - s > 1) {
            *(*out)++ = escaped(*++s);
        } else if (*s == '\\' && quote == '\'' && end - s > 1 && s[1] == '\'') {
            *(*out)++ = *++s;
        } else if (*s == quote) {
            return s + 1 == end || isspace((unsigned char)s[1]) ? s + 1 : NULL;
        } else {
            *(*out)++ = *s;
        }
    }
    return NULL;
}

static bool split_words(struct resp_parser *p, const char *s, const char *end)
{
    char *out = p->unquoted_;
    for (;;) {
        while (s < end && isspace((unsigned char)*s)) {
            s++;
        }
        if (s == end || *s == '\0') {
            return true;
        }
        char *word = out;
        while (s != NULL && s < end && !isspace((unsigned char)*s) && *s != '\0') {
            if (*s == '"' || *s == '\'') {
                s = unquote(s + 1, end, *s, &out);
            } else {
                *out++ = *s++;
            }
        }
        if (s == NULL || !argv_push(p, slice_of(word, (size_t)(out - word)))) {
            return false;
        }
    }
}

static enum resp_result parse_inline(struct resp_parser *p, const char *buf, size_t len)
{
    const char *newline = memchr(buf, '\n', len);
    if (newline == NULL) {
        return len > RESP_INLINE_MAX_BYTES ? fail(p, "Protocol error: too big inline request")
                                           : RESP_MORE;
    }
    size_t line = (size_t)(newline - buf);
    p->used_bytes = line + 1;
    if (line > 0 && buf[line - 1] == '\r') {
        line--;
    }
    free(p->unquoted_);
    p->unquoted_ = malloc(line + 1);
    if (p->unquoted_ == NULL || !split_words(p, buf, buf + line)) {
        return fail(p, "Protocol error: unbalanced quotes in request");
    }
    reset(p);
    return p->argc > 0 ? RESP_COMMAND : RESP_EMPTY;
}

/* --- arrays ---------------------------------------------------------------------------------- */

static enum resp_result bad_bulk_header(struct resp_parser *p, char got)
{
    snprintf(p->error_buf_, sizeof p->error_buf_, "Protocol error: expected '$', got '%c'", got);
    return fail(p, p->error_buf_);
}

static enum resp_result parse_header(struct resp_parser *p, const char *buf, size_t len,
                                     const struct resp_limits *limits)
{
    int64_t n = 0;
    size_t next = 0;
    switch (number_line(buf, len, 0, &n, &next)) {
    case LINE_MORE:
        return RESP_MORE;
    case LINE_TOO_LONG:
        return fail(p, "Protocol error: too big mbulk count string");
    case LINE_NOT_A_NUMBER:
        return fail(p, "Protocol error: invalid multibulk length");
    case LINE_OK:
        break;
    }
    if (n > INT_MAX) {
        return fail(p, "Protocol error: invalid multibulk length");
    }
    if (n > RESP_UNAUTH_ARGS_MAX && !limits->authenticated) {
        return fail(p, "Protocol error: unauthenticated multibulk length");
    }
    if (n <= 0) {
        p->used_bytes = next;
        reset(p);
        return RESP_EMPTY;
    }
    p->at_ = next;
    p->args_left_ = n;
    return RESP_COMMAND;
}

static enum resp_result parse_bulk_header(struct resp_parser *p, const char *buf, size_t len,
                                          const struct resp_limits *limits)
{
    int64_t n = 0;
    size_t next = 0;
    if (p->at_ == len) {
        return RESP_MORE;
    }
    enum line line = number_line(buf, len, p->at_, &n, &next);
    if (line == LINE_TOO_LONG) {
        return fail(p, "Protocol error: too big bulk count string");
    }
    if (line == LINE_MORE) {
        return RESP_MORE;
    }
    if (buf[p->at_] != '$') {
        return bad_bulk_header(p, buf[p->at_]);
    }
    if (line == LINE_NOT_A_NUMBER || n < 0 || n > limits->bulk_max_bytes) {
        return fail(p, "Protocol error: invalid bulk length");
    }
    if (n > RESP_UNAUTH_BULK_MAX && !limits->authenticated) {
        return fail(p, "Protocol error: unauthenticated bulk length");
    }
    p->at_ = next;
    p->bulk_len_ = n;
    return RESP_COMMAND;
}

static enum resp_result parse_array(struct resp_parser *p, const char *buf, size_t len,
                                    const struct resp_limits *limits)
{
    enum resp_result r;
    if (p->args_left_ == 0 && (r = parse_header(p, buf, len, limits)) != RESP_COMMAND) {
        return r;
    }
    while (p->args_left_ > 0) {
        if (p->bulk_len_ == BULK_NONE &&
            (r = parse_bulk_header(p, buf, len, limits)) != RESP_COMMAND) {
            return r;
        }
        if (len - p->at_ < (size_t)p->bulk_len_ + 2) {
            return RESP_MORE;
        }
        if (!argv_push(p, slice_of((const char *)(uintptr_t)p->at_, (size_t)p->bulk_len_))) {
            return fail(p, "Protocol error: out of memory");
        }
        p->at_ += (size_t)p->bulk_len_ + 2;
        p->bulk_len_ = BULK_NONE;
        p->args_left_--;
    }
    for (uint32_t i = 0; i < p->argc; i++) {
        p->argv[i].ptr = buf + (uintptr_t)p->argv[i].ptr;
    }
    p->used_bytes = p->at_;
    reset(p);
    return RESP_COMMAND;
}

enum resp_result resp_parse(struct resp_parser *p, const char *buf, size_t len,
                            const struct resp_limits *limits)
{
    if (!resp_parser_partial(p)) {
        if (len == 0) {
            return RESP_MORE;
        }
        p->argc = 0;
        if (buf[0] != '*') {
            return parse_inline(p, buf, len);
        }
    }
    return parse_array(p, buf, len, limits);
}

size_t resp_parser_wants(const struct resp_parser *p, size_t len)
{
    if (p->bulk_len_ == BULK_NONE) {
        return 0;
    }
    size_t end = p->at_ + (size_t)p->bulk_len_ + 2;
    return end > len ? end - len : 0;
}
