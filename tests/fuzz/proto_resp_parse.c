/* Fuzzer of the command parser: whatever arrives, in whatever pieces, it must say the same as a
 * second parser, written for plainness, that looks at all bytes from the start every time.
 *
 *   input   [limits][cuts][bytes of the connection …]
 *
 * The bytes are handed over in random pieces, each time in new memory of exactly their size.
 */
#include "fuzz/driver.h"
#include "proto/resp_parse.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef FUZZ_LIBFUZZER
_Noreturn void fuzz_fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    abort();
}
#endif

#define SEED(text) {text, sizeof text - 1}
const struct slice fuzz_seeds[] = {
    SEED("*1\r\n$4\r\nPING\r\n"),
    SEED("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"),
    SEED("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\n"),
    SEED("*12\r\n$0\r\n\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n"),
    SEED("$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$2\r\n10\r\n$2\r\n11\r\n$2\r\n12\r\n"),
    SEED("*0\r\n"),
    SEED("*-1\r\n"),
    SEED("*2147483648\r\n"),
    SEED("$536870913\r\n"),
    SEED("*1\r\n$-1\r\n"),
    SEED("*1\r\n$17000\r\n"),
    SEED("*1\r\n$9223372036854775807\r\n"),
    SEED("PING\r\n"),
    SEED("set \"a \\x41\\n\\\"\" 'b\\'c' d\"e\"\n"),
    SEED(" \t\v\f\r\n"),
    SEED("\"'\\ \x80\xff"),
    {NULL, 0},
};

/* --- The plain parser --- */

enum { ARGS_MAX = 2048 }; /* more than an input has bytes for */

struct plain {
    const char *buf;
    size_t len;
    size_t used;
    size_t argc;
    struct slice argv[ARGS_MAX];
    char storage[1024 * 1024];
    size_t stored;
    char error[64];
};

static enum resp_result plain_fail(struct plain *m, const char *error)
{
    snprintf(m->error, sizeof m->error, "Protocol error: %s", error);
    return RESP_ERROR;
}

/* Digits up to the CR at `cr`; 1 a number, 0 none. */
static int plain_number(const struct plain *m, size_t from, size_t cr, long long *out)
{
    char text[32], again[32];
    if (cr <= from || cr - from >= sizeof text) {
        return 0;
    }
    memcpy(text, m->buf + from, cr - from);
    text[cr - from] = '\0';
    *out = strtoll(text, NULL, 10);
    int len = snprintf(again, sizeof again, "%lld", *out); /* canonical, or it is not a number */
    return cr - from == (size_t)len && memcmp(text, again, cr - from) == 0;
}

/* Offset of `mark` at or after from; -1 not there yet, -2 too far. */
static long plain_find(const struct plain *m, size_t from, char mark)
{
    for (size_t i = from; i < m->len && i - from <= RESP_INLINE_MAX_BYTES; i++) {
        if (m->buf[i] == mark) {
            return (long)i;
        }
    }
    return m->len - from > RESP_INLINE_MAX_BYTES ? -2 : -1;
}

static enum resp_result plain_array(struct plain *m, const struct resp_limits *limits)
{
    long long count, bytes;
    long cr = plain_find(m, 0, '\r');
    if (cr == -2) {
        return plain_fail(m, "too big mbulk count string");
    }
    if (cr < 0 || (size_t)cr + 2 > m->len) {
        return RESP_MORE;
    }
    if (!plain_number(m, 1, (size_t)cr, &count) || count > INT_MAX) {
        return plain_fail(m, "invalid multibulk length");
    }
    if (count > 10 && !limits->authenticated) {
        return plain_fail(m, "unauthenticated multibulk length");
    }
    size_t at = (size_t)cr + 2;
    for (long long i = 0; i < count; i++) {
        cr = plain_find(m, at, '\r');
        if (cr == -2) {
            return plain_fail(m, "too big bulk count string");
        }
        if (cr < 0 || (size_t)cr + 2 > m->len) {
            return RESP_MORE;
        }
        if (m->buf[at] != '$') {
            char text[32] = "expected '$', got 'x'";
            char c = m->buf[at];
            text[19] = c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
            return plain_fail(m, text);
        }
        if (!plain_number(m, at + 1, (size_t)cr, &bytes) || bytes < 0 ||
            bytes > limits->bulk_max_bytes) {
            return plain_fail(m, "invalid bulk length");
        }
        if (bytes > 16384 && !limits->authenticated) {
            return plain_fail(m, "unauthenticated bulk length");
        }
        at = (size_t)cr + 2;
        if (m->len - at < (size_t)bytes + 2) {
            return RESP_MORE;
        }
        if (m->argc == ARGS_MAX) {
            fuzz_fail("the plain parser has too little room");
        }
        m->argv[m->argc++] = slice_of(m->buf + at, (size_t)bytes);
        at += (size_t)bytes + 2;
    }
    m->used = at;
    return m->argc > 0 ? RESP_COMMAND : RESP_EMPTY;
}

/* The line's byte at i, -1 behind its end. */
static int plain_at(const struct plain *m, size_t end, size_t i)
{
    return i < end ? (unsigned char)m->buf[i] : -1;
}

static int plain_hex(int c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *hit = c > 0 ? strchr(digits, c) : NULL;
    return hit != NULL ? (int)(hit - digits) % 16 : -1;
}

/* One escape in double quotes, i at the byte behind the backslash; returns the last byte's i. */
static size_t plain_escape(struct plain *m, size_t end, size_t i)
{
    static const char names[] = "nrtba", values[] = "\n\r\t\b\a";
    int c = plain_at(m, end, i);
    int high = plain_hex(plain_at(m, end, i + 1)), low = plain_hex(plain_at(m, end, i + 2));
    if (c == 'x' && high >= 0 && low >= 0) {
        m->storage[m->stored++] = (char)(high * 16 + low);
        return i + 2;
    }
    const char *name = c > 0 ? strchr(names, c) : NULL;
    m->storage[m->stored++] = name != NULL ? values[name - names] : (char)c;
    return i;
}

static enum resp_result plain_inline(struct plain *m)
{
    long lf = plain_find(m, 0, '\n');
    if (lf < 0) {
        return lf == -2 ? plain_fail(m, "too big inline request") : RESP_MORE;
    }
    size_t end = lf > 0 && m->buf[lf - 1] == '\r' ? (size_t)lf - 1 : (size_t)lf;
    size_t i = 0;
    for (;;) {
        while (i < end && memchr(" \t\n\v\f\r", m->buf[i], 6) != NULL) {
            i++;
        }
        if (i == end) {
            break;
        }
        size_t start = m->stored;
        char quote = 0;
        bool over = false;
        while (!over) {
            int c = plain_at(m, end, i);
            if (quote != 0 && c < 0) {
                return plain_fail(m, "unbalanced quotes in request");
            } else if (quote == '"' && c == '\\' && plain_at(m, end, i + 1) >= 0) {
                i = plain_escape(m, end, i + 1);
            } else if (quote == '\'' && c == '\\' && plain_at(m, end, i + 1) == '\'') {
                m->storage[m->stored++] = m->buf[++i];
            } else if (quote != 0 && c == quote) {
                int behind = plain_at(m, end, i + 1);
                if (behind >= 0 && memchr(" \t\n\v\f\r", behind, 6) == NULL) {
                    return plain_fail(m, "unbalanced quotes in request");
                }
                over = true;
            } else if (quote == 0 && (c < 0 || memchr(" \t\n\r", c, 4) != NULL)) {
                break;
            } else if (quote == 0 && (c == '"' || c == '\'')) {
                quote = (char)c;
            } else {
                m->storage[m->stored++] = (char)c;
            }
            i++;
        }
        m->argv[m->argc++] = slice_of(m->storage + start, m->stored - start);
    }
    m->used = (size_t)lf + 1;
    return m->argc > 0 ? RESP_COMMAND : RESP_EMPTY;
}

static enum resp_result plain_parse(struct plain *m, const char *buf, size_t len,
                                    const struct resp_limits *limits)
{
    m->buf = buf;
    m->len = len;
    m->used = m->argc = m->stored = 0;
    if (len == 0) {
        return RESP_MORE;
    }
    return buf[0] == '*' ? plain_array(m, limits) : plain_inline(m);
}

/* --- Comparison --- */

static void compare(enum resp_result res, const struct resp_parser *p, const struct plain *m,
                    enum resp_result want, size_t len)
{
    if (res != want) {
        fuzz_fail("another result than the plain parser's");
    }
    if (res == RESP_ERROR && strcmp(p->error, m->error) != 0) {
        fuzz_fail("another error");
    }
    if (res == RESP_MORE) {
        if (resp_parser_partial(p) != (len > 0)) {
            fuzz_fail("partial or not");
        }
        return;
    }
    if (res == RESP_ERROR) {
        return;
    }
    if (p->used_bytes != m->used || p->used_bytes > len || p->argc != m->argc) {
        fuzz_fail("another number of bytes or arguments");
    }
    for (size_t i = 0; i < m->argc; i++) {
        if (!slice_equal(p->argv[i], m->argv[i])) {
            fuzz_fail("another argument");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct plain model;
    if (len < 2) {
        return 0;
    }
    const struct resp_limits limits = {
        .bulk_max_bytes = data[0] & 1 ? INT64_MAX : data[0] & 2 ? 100 : 512 * 1024 * 1024,
        .authenticated = (data[0] & 4) != 0,
    };
    uint32_t cut = data[1];
    const char *input = (const char *)data + 2;
    len -= 2;

    struct resp_parser p;
    resp_parser_init(&p);
    size_t start = 0, arrived = 0;
    for (;;) {
        size_t n = arrived - start;
        char *buf = malloc(n > 0 ? n : 1);
        if (buf == NULL) {
            fuzz_fail("out of memory");
        }
        memcpy(buf, input + start, n);
        enum resp_result want = plain_parse(&model, buf, n, &limits);
        enum resp_result res = resp_parse(&p, buf, n, &limits);
        compare(res, &p, &model, want, n);
        free(buf);
        if (res == RESP_ERROR || (res == RESP_MORE && arrived == len)) {
            break;
        }
        if (res == RESP_MORE) {
            cut = cut * 1103515245u + 12345u; /* pieces of 1, about 8 or about 64 bytes */
            size_t piece = 1 + (cut >> 16) % (data[1] % 3 == 0 ? 1 : data[1] % 3 == 1 ? 16 : 128);
            arrived = len - arrived < piece ? len : arrived + piece;
        } else {
            start += p.used_bytes;
        }
    }
    resp_parser_free(&p);
    return 0;
}
