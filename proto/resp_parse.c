/* resp_parse.c - reading commands; see resp_parse.h for the contract.
 *
 * One loop reads the arguments, whether the command is whole or arrives in pieces. It keeps its
 * position in locals, so that a whole command touches the parser only for the result:
 *
 *   resp_parse ──'*'──► parse_array ──► read_short_count   digits and CR at hand: the usual case
 *       │                    │    └───► read_line_count    anything else: waits, errors
 *       │                    └──► suspend ─ RESP_MORE ─► … next call goes on at line_ / at_
 *       └──else──► parse_inline ──► split_line ──► unquote
 *
 * What Redis accepts is accepted: a "*" or "$" line ends at its CR plus whatever byte follows, and
 * the two bytes behind a bulk are skipped unseen. A NUL inside a line is an ordinary byte here
 * (Redis would wait for the line to exceed its bound).
 *
 * I1  While suspended, argv[i].ptr holds an offset into the buffer for every i < argc; pointers
 *     are made from all of them when the command is complete.
 * I2  line_ <= at_, and no byte in [line_, at_) ends the line.
 * I3  Memory follows what has arrived, never what a count claims: argv doubles when it is full,
 *     and an argument takes at least 6 bytes of input.
 */
#include "proto/resp_parse.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARGV_START = 8,         /* slices; enough for most commands */
    SHORT_COUNT_DIGITS = 9, /* longer numbers take the careful path; cannot overflow 63 bits */
    INT64_CHARS = 20,       /* "-9223372036854775808" */
};

/* Bytes behind a bulk. The canary build of the fuzzer waits for one too few. */
#ifdef FUZZ_CANARY
enum { BULK_END_BYTES = 2, BULK_END_AWAITED = 1 };
#else
enum { BULK_END_BYTES = 2, BULK_END_AWAITED = 2 };
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

void resp_parser_init(struct resp_parser *p)
{
    *p = (struct resp_parser){.bulk_len_ = -1};
}

void resp_parser_free(struct resp_parser *p)
{
    free(p->argv);
    free(p->unquoted_);
    resp_parser_init(p);
}

void resp_parser_move(struct resp_parser *to, struct resp_parser *from)
{
    free(to->argv);
    free(to->unquoted_);
    *to = *from;
    if (from->error == from->error_buf_) {
        to->error = to->error_buf_;
    }
    resp_parser_init(from);
}

size_t resp_parser_wants(const struct resp_parser *p, size_t len)
{
    if (p->bulk_len_ < 0) {
        return 0;
    }
    size_t end = p->line_ + (size_t)p->bulk_len_ + BULK_END_BYTES;
    return end > len ? end - len : 0;
}

size_t resp_parser_read(const struct resp_parser *p, size_t *args_bytes)
{
    *args_bytes = 0;
    for (uint32_t i = 0; i < p->argc && p->args_left_ > 0; i++) {
        *args_bytes += p->argv[i].len;
    }
    return p->line_;
}

size_t resp_parser_memory(const struct resp_parser *p)
{
    return p->argv_cap_ * sizeof *p->argv;
}

/* Back to "between two commands". */
static void reset(struct resp_parser *p)
{
    p->args_left_ = 0;
    p->bulk_len_ = -1;
    p->at_ = 0;
    p->line_ = 0;
}

static enum resp_result fail(struct resp_parser *p, const char *error)
{
    reset(p);
    p->argc = 0;
    p->error = error;
    return RESP_ERROR;
}

static enum resp_result fail_no_dollar(struct resp_parser *p, char got)
{
    /* The text becomes one line of a reply. */
    if (got == '\r' || got == '\n' || got == '\0') {
        got = ' ';
    }
    snprintf(p->error_buf_, sizeof p->error_buf_, "Protocol error: expected '$', got '%c'", got);
    return fail(p, p->error_buf_);
}

static enum resp_result done(struct resp_parser *p, size_t used_bytes)
{
    reset(p);
    p->used_bytes = used_bytes;
    return p->argc > 0 ? RESP_COMMAND : RESP_EMPTY;
}

static bool argv_grow(struct resp_parser *p)
{
    uint32_t cap = p->argv_cap_ == 0 ? ARGV_START : p->argv_cap_ * 2;
    struct slice *argv = NULL;
    if (cap > p->argv_cap_) {
        argv = realloc(p->argv, (size_t)cap * sizeof *argv);
    }
    if (argv == NULL) {
        return false;
    }
    p->argv = argv;
    p->argv_cap_ = cap;
    return true;
}

static inline bool argv_push(struct resp_parser *p, const char *ptr, size_t len)
{
    if (UNLIKELY(p->argc == p->argv_cap_) && !argv_grow(p)) {
        return false;
    }
    p->argv[p->argc++] = slice_of(ptr, len);
    return true;
}

/* What the last command left behind and a connection should not hold on to. */
static void begin(struct resp_parser *p)
{
    p->argc = 0;
    if (UNLIKELY(p->argv_cap_ > RESP_ARGV_KEEP_MAX)) {
        free(p->argv);
        p->argv = NULL;
        p->argv_cap_ = 0;
    }
    if (UNLIKELY(p->unquoted_ != NULL)) {
        free(p->unquoted_);
        p->unquoted_ = NULL;
    }
}

/* --- Numbers --- */

/* The whole of s is a decimal integer without blanks, plus sign or leading zeroes. */
static bool parse_int64(const char *s, size_t len, int64_t *out)
{
    if (len == 0 || len > INT64_CHARS) {
        return false;
    }
    if (len == 1 && s[0] == '0') {
        *out = 0;
        return true;
    }
    bool negative = s[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == len || s[i] == '0') {
        return false;
    }
    int64_t v = 0; /* counts down: the negative range is the larger one */
    for (; i < len; i++) {
        int digit = s[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, digit, &v)) {
            return false;
        }
    }
    if (!negative && v == INT64_MIN) {
        return false;
    }
    *out = negative ? v : -v;
    return true;
}

/* The usual count or length: s is behind the '*' or '$'. Returns where the next line begins, or
 * NULL when the line is incomplete or in any way special; then read_line_count looks again. */
static inline const char *read_short_count(const char *s, const char *end, int64_t *out)
{
    if (UNLIKELY(end - s < 3)) {
        return NULL;
    }
    unsigned digit = (unsigned char)s[0] - '0';
    if (LIKELY(s[1] == '\r' && digit <= 9)) {
        *out = digit;
        return s + 3;
    }
    if (digit - 1 > 8) { /* no digit, or a leading zero */
        return NULL;
    }
    const char *stop = end - s > SHORT_COUNT_DIGITS ? s + SHORT_COUNT_DIGITS : end;
    int64_t v = digit;
    for (s++; s < stop && (digit = (unsigned char)*s - '0') <= 9; s++) {
        v = v * 10 + digit;
    }
    if (end - s < 2 || *s != '\r') {
        return NULL;
    }
    *out = v;
    return s + 2;
}

enum line_result { LINE_OK, LINE_MORE, LINE_TOO_LONG };

/* Looks for the byte that ends the line at line_, going on where the last call stopped. */
static enum line_result find_line_end(struct resp_parser *p, const char *buf, size_t len,
                                      char mark, size_t *at)
{
    size_t bound = p->line_ + RESP_INLINE_MAX_BYTES + 1;
    size_t stop = len < bound ? len : bound;
    if (p->at_ < p->line_) {
        p->at_ = p->line_;
    }
    const char *hit = stop > p->at_ ? memchr(buf + p->at_, mark, stop - p->at_) : NULL;
    if (hit != NULL) {
        *at = (size_t)(hit - buf);
        return LINE_OK;
    }
    p->at_ = stop; /* I2 */
    return stop == bound ? LINE_TOO_LONG : LINE_MORE;
}

/* A "*<count>" or "$<length>" line at line_, whatever its state. LINE_OK: *valid tells whether it
 * holds a number, *next is the offset behind it. */
static enum line_result read_line_count(struct resp_parser *p, const char *buf, size_t len,
                                        int64_t *value, bool *valid, size_t *next)
{
    size_t cr;
    enum line_result res = find_line_end(p, buf, len, '\r', &cr);
    if (res != LINE_OK) {
        return res;
    }
    if (len - cr < 2) {
        p->at_ = cr;
        return LINE_MORE;
    }
    size_t digits = p->line_ + 1;
    *valid = cr >= digits && parse_int64(buf + digits, cr - digits, value);
    *next = cr + 2;
    return LINE_OK;
}

/* --- Arrays --- */

/* Remembers the place; arguments read in this call, from first_new on, become offsets (I1). */
static enum resp_result suspend(struct resp_parser *p, const char *buf, size_t line,
                                uint32_t first_new)
{
    for (uint32_t i = first_new; i < p->argc; i++) {
        p->argv[i].ptr = (const char *)(uintptr_t)(p->argv[i].ptr - buf);
    }
    p->line_ = line;
    if (p->at_ < line) {
        p->at_ = line;
    }
    return RESP_MORE;
}

/* Arguments of earlier calls point into the buffer of this one (I1). */
static void resolve(struct resp_parser *p, const char *buf, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        p->argv[i].ptr = buf + (uintptr_t)p->argv[i].ptr;
    }
}

/* The "*<count>" line. RESP_COMMAND: *count and *next are set, arguments follow. */
static enum resp_result read_array_count(struct resp_parser *p, const char *buf, size_t len,
                                         const struct resp_limits *limits, int64_t *count,
                                         size_t *next)
{
    bool valid = false;
    switch (read_line_count(p, buf, len, count, &valid, next)) {
    case LINE_MORE:
        return RESP_MORE;
    case LINE_TOO_LONG:
        return fail(p, "Protocol error: too big mbulk count string");
    case LINE_OK:
        break;
    }
    if (!valid || *count > INT_MAX) {
        return fail(p, "Protocol error: invalid multibulk length");
    }
    if (*count > RESP_UNAUTH_ARGS_MAX && !limits->authenticated) {
        return fail(p, "Protocol error: unauthenticated multibulk length");
    }
    return *count <= 0 ? done(p, *next) : RESP_COMMAND;
}

/* The "$<length>" line at line_, when it is not of the usual kind. */
static enum resp_result read_bulk_len(struct resp_parser *p, const char *buf, size_t len,
                                      const struct resp_limits *limits, int64_t *bulk_len,
                                      size_t *next)
{
    bool valid = false;
    switch (read_line_count(p, buf, len, bulk_len, &valid, next)) {
    case LINE_MORE:
        return RESP_MORE;
    case LINE_TOO_LONG:
        return fail(p, "Protocol error: too big bulk count string");
    case LINE_OK:
        break;
    }
    if (buf[p->line_] != '$') {
        return fail_no_dollar(p, buf[p->line_]);
    }
    if (!valid || *bulk_len < 0 || *bulk_len > limits->bulk_max_bytes) {
        return fail(p, "Protocol error: invalid bulk length");
    }
    if (*bulk_len > RESP_UNAUTH_BULK_MAX && !limits->authenticated) {
        return fail(p, "Protocol error: unauthenticated bulk length");
    }
    return RESP_COMMAND;
}

/* Lengths up to here need no second look. */
static inline int64_t plain_bulk_max(const struct resp_limits *limits)
{
    return LIKELY(limits->authenticated) || limits->bulk_max_bytes < RESP_UNAUTH_BULK_MAX
               ? limits->bulk_max_bytes
               : RESP_UNAUTH_BULK_MAX;
}

/* The arguments, from pos on. */
static enum resp_result parse_args(struct resp_parser *p, const char *buf, size_t len,
                                   const struct resp_limits *limits, const char *pos,
                                   int64_t args_left)
{
    const char *end = buf + len;
    const uint32_t resumed = p->argc;
    const int64_t plain_max = plain_bulk_max(limits);
    int64_t bulk_len = p->bulk_len_;

    for (; args_left > 0; args_left--) {
        if (LIKELY(bulk_len < 0)) {
            const char *next = NULL;
            if (LIKELY(pos < end && *pos == '$')) {
                next = read_short_count(pos + 1, end, &bulk_len);
            }
            if (UNLIKELY(next == NULL || bulk_len > plain_max)) {
                size_t at = 0;
                p->line_ = (size_t)(pos - buf);
                enum resp_result res = read_bulk_len(p, buf, len, limits, &bulk_len, &at);
                if (res == RESP_MORE) {
                    p->args_left_ = args_left;
                    p->bulk_len_ = -1;
                    return suspend(p, buf, p->line_, resumed);
                }
                if (res == RESP_ERROR) {
                    return res;
                }
                next = buf + at;
            }
            pos = next;
        }
        if (UNLIKELY((size_t)(end - pos) < (size_t)bulk_len + BULK_END_AWAITED)) {
            p->args_left_ = args_left;
            p->bulk_len_ = bulk_len;
            return suspend(p, buf, (size_t)(pos - buf), resumed);
        }
        if (UNLIKELY(!argv_push(p, pos, (size_t)bulk_len))) {
            return fail(p, "Protocol error: out of memory");
        }
        pos += bulk_len + BULK_END_BYTES;
        bulk_len = -1;
    }

    if (UNLIKELY(p->at_ != 0)) {
        resolve(p, buf, resumed);
        reset(p);
    }
    p->used_bytes = (size_t)(pos - buf);
    return RESP_COMMAND;
}

static enum resp_result parse_array(struct resp_parser *p, const char *buf, size_t len,
                                    const struct resp_limits *limits)
{
    if (p->args_left_ > 0) {
        return parse_args(p, buf, len, limits, buf + p->line_, p->args_left_);
    }
    int64_t count = 0;
    const char *pos = read_short_count(buf + 1, buf + len, &count);
    if (UNLIKELY(pos == NULL || count == 0 ||
                 (count > RESP_UNAUTH_ARGS_MAX && !limits->authenticated))) {
        size_t next = 0;
        enum resp_result res = read_array_count(p, buf, len, limits, &count, &next);
        if (res != RESP_COMMAND) {
            return res;
        }
        pos = buf + next;
    }
    return parse_args(p, buf, len, limits, pos, count);
}

/* --- Inline commands --- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A vertical tab or form feed is skipped between arguments, but does not end one. */
static bool ends_argument(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escape at s, behind its backslash, in double quotes; returns how many bytes it has. */
static size_t unescape(const char *s, const char *end, char *out)
{
    if (s[0] == 'x' && end - s >= 3 && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0) {
        *out = (char)(hex_value(s[1]) * 16 + hex_value(s[2]));
        return 3;
    }
    switch (s[0]) {
    case 'n':
        *out = '\n';
        break;
    case 'r':
        *out = '\r';
        break;
    case 't':
        *out = '\t';
        break;
    case 'b':
        *out = '\b';
        break;
    case 'a':
        *out = '\a';
        break;
    default:
        *out = s[0];
        break;
    }
    return 1;
}

/* Copies the quoted part that begins at s, the opening quote, to *out. Returns what follows the
 * closing quote (a blank or the end), NULL when the quotes do not balance. */
static const char *unquote(const char *s, const char *end, char **out)
{
    const char quote = *s;
    char *o = *out;
    for (s++; s < end && *s != quote; s++) {
        char c = *s;
        if (c == '\\' && end - s >= 2) {
            if (quote == '"') {
                s += unescape(s + 1, end, &c);
            } else if (s[1] == '\'') {
                c = *++s;
            }
        }
        *o++ = c;
    }
    *out = o;
    if (s == end || (s + 1 < end && !is_blank(s[1]))) {
        return NULL;
    }
    return s + 1;
}

/* An argument with quotes in it: s is its start, the result grows at *out. */
static const char *copy_argument(const char *s, const char *end, char **out)
{
    for (; s < end && !ends_argument(*s); s++) {
        if (*s == '"' || *s == '\'') {
            return unquote(s, end, out); /* a closing quote ends the argument */
        }
        *(*out)++ = *s;
    }
    return s;
}

/* Splits a line without its end into argv; NULL or the error. */
static const char *split_line(struct resp_parser *p, const char *s, const char *end)
{
    const size_t line_bytes = (size_t)(end - s);
    char *out = NULL;
    for (;;) {
        while (s < end && is_blank(*s)) {
            s++;
        }
        if (s == end) {
            return NULL;
        }
        const char *start = s;
        while (s < end && !ends_argument(*s) && *s != '"' && *s != '\'') {
            s++;
        }
        size_t len = (size_t)(s - start);
        if (s < end && (*s == '"' || *s == '\'')) {
            if (out == NULL) {
                /* Unquoting never lengthens, so the line's length is enough for all. */
                out = p->unquoted_ = malloc(line_bytes);
                if (out == NULL) {
                    return "Protocol error: out of memory";
                }
            }
            char *copy = out;
            s = copy_argument(start, end, &out);
            if (s == NULL) {
                return "Protocol error: unbalanced quotes in request";
            }
            start = copy;
            len = (size_t)(out - copy);
        }
        if (!argv_push(p, start, len)) {
            return "Protocol error: out of memory";
        }
    }
}

static enum resp_result parse_inline(struct resp_parser *p, const char *buf, size_t len)
{
    size_t lf;
    switch (find_line_end(p, buf, len, '\n', &lf)) {
    case LINE_MORE:
        return RESP_MORE;
    case LINE_TOO_LONG:
        return fail(p, "Protocol error: too big inline request");
    case LINE_OK:
        break;
    }
    size_t line_bytes = lf > 0 && buf[lf - 1] == '\r' ? lf - 1 : lf;
    const char *error = split_line(p, buf, buf + line_bytes);
    return error != NULL ? fail(p, error) : done(p, lf + 1);
}

enum resp_result resp_parse(struct resp_parser *p, const char *buf, size_t len,
                            const struct resp_limits *limits)
{
    assert(p->line_ <= p->at_ && p->at_ <= len); /* I2: the same bytes and more */
    if (UNLIKELY(len == 0)) {
        return RESP_MORE;
    }
    if (LIKELY(p->at_ == 0)) {
        begin(p);
    }
    return LIKELY(buf[0] == '*') ? parse_array(p, buf, len, limits) : parse_inline(p, buf, len);
}
