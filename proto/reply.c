/* reply.c - see reply.h.
 *
 * A chunk of own bytes is one block: header, then data. Two sizes of blocks are kept in pools of
 * the thread; others (large values that are copied) are allocated to measure. A chunk whose first
 * bytes have been consumed points behind them: data, len and cap move together.
 */
#include "proto/reply.h"
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEADER_ROOM = 32,         /* longest protocol header: type, 20 digits, CRLF */
    POOL_SMALL_MAX = 512,     /* chunks kept per thread: 512 KiB */
    POOL_LARGE_MAX = 256,     /* 4 MiB */
    STEAL_MIN = 2048,         /* reply_move: whole chunks from this size change owner */
    FORMAT_STACK_BYTES = 512,
};

/* --- chunks ---------------------------------------------------------------------------------- */

struct pool {
    struct reply_chunk *small, *large;
    unsigned small_count, large_count;
};
static _Thread_local struct pool pool;

static struct reply_chunk *chunk_new(size_t bytes)
{
    struct reply_chunk *c;
    if (bytes <= REPLY_SMALL_CHUNK && pool.small != NULL) {
        c = pool.small;
        pool.small = c->next;
        pool.small_count--;
    } else if (bytes > REPLY_SMALL_CHUNK && bytes <= REPLY_LARGE_CHUNK && pool.large != NULL) {
        c = pool.large;
        pool.large = c->next;
        pool.large_count--;
    } else {
        size_t block = bytes <= REPLY_SMALL_CHUNK   ? REPLY_SMALL_CHUNK
                       : bytes <= REPLY_LARGE_CHUNK ? REPLY_LARGE_CHUNK
                                                    : bytes;
        c = malloc(block);
        if (c == NULL) {
            abort(); /* as everywhere: out of memory for what the server itself needs */
        }
        c->owner = NULL;
        c->cap = block - sizeof *c;
    }
    c->next = NULL;
    c->data = (char *)(c + 1);
    c->len = 0;
    c->release = NULL;
    return c;
}

/* The block's size, whatever has been consumed of it. */
static size_t chunk_block(const struct reply_chunk *c)
{
    return (size_t)(c->data + c->cap - (const char *)c);
}

static void chunk_free(struct reply_chunk *c)
{
    if (c->release != NULL) {
        c->release(c->owner);
        c->data = (char *)(c + 1); /* the node itself is a small block */
        c->cap = REPLY_SMALL_CHUNK - sizeof *c;
        c->release = NULL;
    }
    size_t block = chunk_block(c);
    c->data = (char *)(c + 1);
    c->cap = block - sizeof *c;
    if (block == REPLY_SMALL_CHUNK && pool.small_count < POOL_SMALL_MAX) {
        c->next = pool.small;
        pool.small = c;
        pool.small_count++;
    } else if (block == REPLY_LARGE_CHUNK && pool.large_count < POOL_LARGE_MAX) {
        c->next = pool.large;
        pool.large = c;
        pool.large_count++;
    } else {
        free(c);
    }
}

static void pool_free(struct reply_chunk **list)
{
    while (*list != NULL) {
        struct reply_chunk *c = *list;
        *list = c->next;
        free(c);
    }
}

void reply_thread_exit(void)
{
    pool_free(&pool.small);
    pool_free(&pool.large);
    pool.small_count = pool.large_count = 0;
}

static void append_chunk(struct reply *r, struct reply_chunk *c)
{
    if (r->tail != NULL) {
        r->tail->next = c;
    } else {
        r->head = c;
    }
    r->tail = c;
}

static inline size_t room(const struct reply *r)
{
    return r->tail != NULL && r->tail->release == NULL ? r->tail->cap - r->tail->len : 0;
}

/* A chunk with this much contiguous room. */
static void grow(struct reply *r, size_t bytes)
{
    size_t want = bytes + sizeof(struct reply_chunk);
    if (r->tail != NULL && want < REPLY_LARGE_CHUNK) {
        want = REPLY_LARGE_CHUNK;
    }
    append_chunk(r, chunk_new(want));
}

/* Contiguous room at the end; the caller writes there and then calls wrote(). */
static inline char *reserve(struct reply *r, size_t bytes)
{
    if (__builtin_expect(room(r) < bytes, 0)) {
        grow(r, bytes);
    }
    return r->tail->data + r->tail->len;
}

static inline void wrote(struct reply *r, size_t bytes)
{
    r->tail->len += bytes;
    r->total_bytes += bytes;
}

static void write_bytes(struct reply *r, const void *data, size_t len)
{
    const char *p = data;
    size_t fits = room(r);
    if (fits > len) {
        fits = len;
    }
    if (fits > 0) {
        memcpy(r->tail->data + r->tail->len, p, fits);
        wrote(r, fits);
    }
    if (fits < len) {
        char *rest = reserve(r, len - fits);
        memcpy(rest, p + fits, len - fits);
        wrote(r, len - fits);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

void reply_init(struct reply *r, int resp)
{
    r->head = r->tail = NULL;
    r->total_bytes = 0;
    r->resp = (uint8_t)resp;
    r->muted = false;
    r->errors = 0;
    r->error_code[0] = '\0';
}

void reply_clear(struct reply *r)
{
    struct reply_chunk *c = r->head;
    while (c != NULL) {
        struct reply_chunk *next = c->next;
        chunk_free(c);
        c = next;
    }
    r->head = r->tail = NULL;
    r->total_bytes = 0;
}

/* --- headers --------------------------------------------------------------------------------- */

static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

/* Digits of v at out; returns how many. */
static inline size_t put_uint(char *out, uint64_t v)
{
    char buf[20];
    size_t at = sizeof buf;
    while (v >= 100) {
        const char *pair = &digit_pairs[v % 100 * 2];
        v /= 100;
        buf[--at] = pair[1];
        buf[--at] = pair[0];
    }
    if (v >= 10) {
        buf[--at] = digit_pairs[v * 2 + 1];
        buf[--at] = digit_pairs[v * 2];
    } else {
        buf[--at] = (char)('0' + v);
    }
    memcpy(out, buf + at, sizeof buf - at);
    return sizeof buf - at;
}

static inline size_t put_int(char *out, int64_t v)
{
    if (v >= 0) {
        return put_uint(out, (uint64_t)v);
    }
    *out = '-';
    return 1 + put_uint(out + 1, 0 - (uint64_t)v);
}

static inline size_t put_header(char *out, char type, int64_t n)
{
    out[0] = type;
    size_t len = 1 + put_int(out + 1, n);
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}

static inline void header(struct reply *r, char type, int64_t n)
{
    if (!r->muted) {
        wrote(r, put_header(reserve(r, HEADER_ROOM), type, n));
    }
}

static inline void raw(struct reply *r, const char *text, size_t len)
{
    if (!r->muted) {
        memcpy(reserve(r, len), text, len);
        wrote(r, len);
    }
}

/* --- the types ------------------------------------------------------------------------------- */

void reply_ok(struct reply *r)
{
    raw(r, "+OK\r\n", 5);
}

void reply_status(struct reply *r, const char *text)
{
    size_t len = strlen(text);
    if (!r->muted) {
        char *p = reserve(r, len + 3);
        p[0] = '+';
        memcpy(p + 1, text, len);
        memcpy(p + 1 + len, "\r\n", 2);
        wrote(r, len + 3);
    }
}

void reply_error(struct reply *r, const char *text)
{
    size_t len = strlen(text), code = strcspn(text, " \r\n");
    if (code >= REPLY_ERROR_CODE_MAX) {
        code = REPLY_ERROR_CODE_MAX - 1;
    }
    r->errors++;
    memcpy(r->error_code, text, code);
    r->error_code[code] = '\0';
    if (r->muted) {
        return;
    }
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) {
        len--;
    }
    char *p = reserve(r, len + 3);
    p[0] = '-';
    for (size_t i = 0; i < len; i++) {
        p[1 + i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    }
    memcpy(p + 1 + len, "\r\n", 2);
    wrote(r, len + 3);
}

/* Formats on the stack, or in memory to be freed when it is long. */
static char *format(char stack[FORMAT_STACK_BYTES], size_t *len, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(stack, FORMAT_STACK_BYTES, fmt, ap);
    char *text = stack;
    if (n >= FORMAT_STACK_BYTES) {
        text = malloc((size_t)n + 1);
        if (text == NULL) {
            abort();
        }
        vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    *len = n > 0 ? (size_t)n : 0;
    return text;
}

void reply_errorf(struct reply *r, const char *fmt, ...)
{
    char stack[FORMAT_STACK_BYTES];
    size_t len;
    va_list ap;
    va_start(ap, fmt);
    char *text = format(stack, &len, fmt, ap);
    va_end(ap);
    reply_error(r, text);
    if (text != stack) {
        free(text);
    }
}

void reply_int(struct reply *r, int64_t v)
{
    header(r, ':', v);
}

void reply_bulk(struct reply *r, const void *data, size_t len)
{
    if (r->muted) {
        return;
    }
    if (__builtin_expect(len + HEADER_ROOM + 2 <= room(r), 1)) {
        char *p = r->tail->data + r->tail->len;
        size_t n = put_header(p, '$', (int64_t)len);
        memcpy(p + n, data, len);
        memcpy(p + n + len, "\r\n", 2);
        wrote(r, n + len + 2);
        return;
    }
    header(r, '$', (int64_t)len);
    write_bytes(r, data, len);
    raw(r, "\r\n", 2);
}

void reply_bulk_str(struct reply *r, const char *zero_terminated)
{
    reply_bulk(r, zero_terminated, strlen(zero_terminated));
}

void reply_bulk_int(struct reply *r, int64_t v)
{
    char digits[24];
    reply_bulk(r, digits, put_int(digits, v));
}

void reply_bulkf(struct reply *r, const char *fmt, ...)
{
    char stack[FORMAT_STACK_BYTES];
    size_t len;
    va_list ap;
    va_start(ap, fmt);
    char *text = format(stack, &len, fmt, ap);
    va_end(ap);
    reply_bulk(r, text, len);
    if (text != stack) {
        free(text);
    }
}

void reply_bulk_ref(struct reply *r, const void *data, size_t len, void (*release)(void *),
                    void *owner)
{
    if (r->muted) {
        release(owner);
        return;
    }
    header(r, '$', (int64_t)len);
    struct reply_chunk *c = chunk_new(REPLY_SMALL_CHUNK);
    c->data = (char *)(uintptr_t)data;
    c->len = c->cap = len;
    c->release = release;
    c->owner = owner;
    append_chunk(r, c);
    r->total_bytes += len;
    raw(r, "\r\n", 2);
}

void reply_null(struct reply *r)
{
    if (r->resp == 2) {
        raw(r, "$-1\r\n", 5);
    } else {
        raw(r, "_\r\n", 3);
    }
}

void reply_null_array(struct reply *r)
{
    if (r->resp == 2) {
        raw(r, "*-1\r\n", 5);
    } else {
        raw(r, "_\r\n", 3);
    }
}

void reply_array(struct reply *r, size_t n)
{
    header(r, '*', (int64_t)n);
}

void reply_map(struct reply *r, size_t pairs)
{
    if (r->resp == 2) {
        header(r, '*', (int64_t)(2 * pairs));
    } else {
        header(r, '%', (int64_t)pairs);
    }
}

void reply_set(struct reply *r, size_t n)
{
    header(r, r->resp == 2 ? '*' : '~', (int64_t)n);
}

void reply_push(struct reply *r, size_t n)
{
    header(r, r->resp == 2 ? '*' : '>', (int64_t)n);
}

void reply_attribute(struct reply *r, size_t pairs)
{
    assert(r->resp == 3);
    header(r, '|', (int64_t)pairs);
}

void reply_bool(struct reply *r, bool v)
{
    if (r->resp == 2) {
        header(r, ':', v);
    } else {
        raw(r, v ? "#t\r\n" : "#f\r\n", 4);
    }
}

void reply_double(struct reply *r, double v)
{
    char text[64];
    int len;
    if (isinf(v)) {
        len = snprintf(text, sizeof text, "%s", v > 0 ? "inf" : "-inf");
    } else if (isnan(v)) {
        len = snprintf(text, sizeof text, "nan");
    } else {
        len = snprintf(text, sizeof text, "%.17g", v);
    }
    if (r->resp == 2) {
        reply_bulk(r, text, (size_t)len);
    } else if (!r->muted) {
        char *p = reserve(r, (size_t)len + 3);
        p[0] = ',';
        memcpy(p + 1, text, (size_t)len);
        memcpy(p + 1 + len, "\r\n", 2);
        wrote(r, (size_t)len + 3);
    }
}

void reply_bignum(struct reply *r, const char *digits, size_t len)
{
    if (r->resp == 2) {
        reply_bulk(r, digits, len);
        return;
    }
    raw(r, "(", 1);
    raw(r, digits, len);
    raw(r, "\r\n", 2);
}

void reply_verbatim(struct reply *r, const char *ext3, const void *data, size_t len)
{
    if (r->resp == 2) {
        reply_bulk(r, data, len);
        return;
    }
    if (r->muted) {
        return;
    }
    header(r, '=', (int64_t)len + 4);
    write_bytes(r, ext3, 3);
    write_bytes(r, ":", 1);
    write_bytes(r, data, len);
    raw(r, "\r\n", 2);
}

void reply_raw(struct reply *r, const void *data, size_t len)
{
    if (!r->muted) {
        write_bytes(r, data, len);
    }
}

/* --- lengths that are known afterwards ------------------------------------------------------- */

/* Leaves HEADER_ROOM free bytes at the mark by ending the chunk there: the header is filled in at
 * the end of that chunk, and what follows begins in another one. */
struct reply_mark reply_deferred(struct reply *r)
{
    struct reply_mark m = {NULL, 0};
    if (r->muted) {
        return m;
    }
    reserve(r, HEADER_ROOM);
    m.chunk = r->tail;
    m.at = r->tail->len;
    append_chunk(r, chunk_new(REPLY_LARGE_CHUNK));
    return m;
}

static void fill_mark(struct reply *r, struct reply_mark m, char type, size_t n)
{
    if (m.chunk == NULL) {
        return;
    }
    assert(m.chunk->len == m.at && m.chunk->cap - m.at >= HEADER_ROOM);
    size_t len = put_header(m.chunk->data + m.at, type, (int64_t)n);
    m.chunk->len += len;
    r->total_bytes += len;
}

void reply_deferred_array(struct reply *r, struct reply_mark m, size_t n)
{
    fill_mark(r, m, '*', n);
}

void reply_deferred_map(struct reply *r, struct reply_mark m, size_t pairs)
{
    fill_mark(r, m, r->resp == 2 ? '*' : '%', r->resp == 2 ? 2 * pairs : pairs);
}

void reply_deferred_set(struct reply *r, struct reply_mark m, size_t n)
{
    fill_mark(r, m, r->resp == 2 ? '*' : '~', n);
}

/* --- moving and sending ---------------------------------------------------------------------- */

static struct reply_chunk *unlink_head(struct reply *r)
{
    struct reply_chunk *c = r->head;
    r->head = c->next;
    if (r->head == NULL) {
        r->tail = NULL;
    }
    c->next = NULL;
    return c;
}

void reply_move(struct reply *to, struct reply *from, size_t n)
{
    assert(n <= from->total_bytes);
    while (n > 0) {
        struct reply_chunk *c = from->head;
        size_t take = c->len < n ? c->len : n;
        if (take == c->len && (take >= STEAL_MIN || c->release != NULL)) {
            unlink_head(from);
            from->total_bytes -= take;
            append_chunk(to, c);
            to->total_bytes += take;
        } else {
            write_bytes(to, c->data, take);
            reply_consume(from, take);
        }
        n -= take;
    }
}

int reply_iovec(const struct reply *r, struct iovec *iov, int max)
{
    int n = 0;
    for (const struct reply_chunk *c = r->head; c != NULL && n < max; c = c->next) {
        if (c->len > 0) {
            iov[n++] = (struct iovec){c->data, c->len};
        }
    }
    return n;
}

void reply_consume(struct reply *r, size_t n)
{
    assert(n <= r->total_bytes);
    r->total_bytes -= n;
    while (r->head != NULL) {
        struct reply_chunk *c = r->head;
        if (n < c->len) {
            c->data += n;
            c->len -= n;
            c->cap -= n;
            return;
        }
        n -= c->len;
        chunk_free(unlink_head(r));
        if (n == 0 && r->total_bytes > 0) {
            return;
        }
    }
}

size_t reply_memory(const struct reply *r)
{
    size_t bytes = 0;
    for (const struct reply_chunk *c = r->head; c != NULL; c = c->next) {
        bytes += c->release != NULL ? c->len + REPLY_SMALL_CHUNK : chunk_block(c);
    }
    return bytes;
}
