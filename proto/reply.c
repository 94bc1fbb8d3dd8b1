/* reply.c - writing replies; see reply.h for the contract and the invariants.
 *
 * Chunks. The memory of a chunk is its header and room behind it; which of three sizes it has
 * follows from where its room ends (chunk_room), so that a chunk consumed in part needs no field
 * for it:
 *
 *   small   REPLY_SMALL_CHUNK   the first of a reply, and the one behind a reference
 *   large   REPLY_LARGE_CHUNK   every other
 *   exact   what is needed      lines and bodies that no large chunk can hold
 *   ref     the header alone    bytes that belong to somebody else
 *   lent    what is there       in memory of the caller: the first of a reply (reply_lend)
 *
 * Small and large ones are kept in a bounded pool of the thread that frees them; that may be
 * another thread than the one that took them, hence the bound.
 *
 * Marks. A deferred header reserves REPLY_HEADER_MAX bytes and is written at the end of that gap
 * when the length is known; then the shorter side of the chunk closes up to it:
 *
 *   [*2 $1 0|..gap.......|a b c]  ->  [|*2 $1 0|*3|a b c]      data moves to the right
 *
 * As there is one open mark per chunk (I3), the offset in the mark stays true.
 */
#include "proto/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SMALL_ROOM = REPLY_SMALL_CHUNK - sizeof(struct reply_chunk),
    LARGE_ROOM = REPLY_LARGE_CHUNK - sizeof(struct reply_chunk),
    MOVE_COPY_MAX = 4096,   /* reply_move: shorter pieces are copied */
    FORMAT_STACK_MAX = 512, /* formatted text up to here needs no allocation */
    DOUBLE_CHARS = 32,
    INT_CHARS = 20, /* "-9223372036854775808" */
};
static_assert(REPLY_HEADER_MAX >= 1 + INT_CHARS + 2, "a header fits its gap");
static_assert((int)SMALL_ROOM >= (int)REPLY_BULK_INLINE_ROOM, "one short bulk fits");
static_assert(REPLY_BULK_INLINE_MAX < 100, "reply_bulk writes two digits");

/* Under AddressSanitizer nothing is pooled: it must see every chunk come and go. */
#if defined(__SANITIZE_ADDRESS__)
enum { POOL_SMALL_MAX = 0, POOL_LARGE_MAX = 0 };
#else
enum {
    POOL_SMALL_MAX = 256 * 1024 / REPLY_SMALL_CHUNK,
    POOL_LARGE_MAX = 4 * 1024 * 1024 / REPLY_LARGE_CHUNK,
};
#endif

/* --- Chunks --- */

struct pool_list {
    struct reply_chunk *head;
    uint32_t count;
};

static _Thread_local struct pool_list pool_small, pool_large;

static struct reply_chunk *pool_take(struct pool_list *list, size_t bytes)
{
    struct reply_chunk *c = list->head;
    if (c != NULL) {
        list->head = c->next;
        list->count--;
        return c;
    }
    c = malloc(bytes);
    if (c == NULL) {
        fprintf(stderr, "reply: out of memory allocating %zu bytes\n", bytes);
        abort();
    }
    return c;
}

static void pool_give(struct pool_list *list, uint32_t max, struct reply_chunk *c)
{
    if (list->count >= max) {
        free(c);
        return;
    }
    c->next = list->head;
    list->head = c;
    list->count++;
}

static void pool_drain(struct pool_list *list)
{
    while (list->head != NULL) {
        struct reply_chunk *c = list->head;
        list->head = c->next;
        free(c);
    }
    list->count = 0;
}

void reply_pool_drain(void)
{
    pool_drain(&pool_small);
    pool_drain(&pool_large);
}

/* A chunk of its own bytes with at least n bytes of room. */
static struct reply_chunk *chunk_take(size_t n, bool small)
{
    static struct pool_list none; /* never holds anything */
    struct reply_chunk *c;
    size_t room;
    if (small && n <= SMALL_ROOM) {
        room = SMALL_ROOM;
        c = pool_take(&pool_small, REPLY_SMALL_CHUNK);
    } else if (n <= LARGE_ROOM) {
        room = LARGE_ROOM;
        c = pool_take(&pool_large, REPLY_LARGE_CHUNK);
    } else {
        room = n;
        c = pool_take(&none, sizeof *c + n);
    }
    *c = (struct reply_chunk){.data = (char *)(c + 1), .cap = room};
    return c;
}

/* Bytes of room that an own chunk began with. */
static size_t chunk_room(const struct reply_chunk *c)
{
    return (size_t)(c->data - (const char *)(c + 1)) + c->cap;
}

static size_t chunk_held(const struct reply_chunk *c)
{
    return sizeof *c + (c->release != NULL ? c->len : chunk_room(c));
}

/* c was r's. */
static void chunk_free(const struct reply *r, struct reply_chunk *c)
{
    if (c == r->lent_) {
        return;
    }
    if (c->release != NULL) {
        c->release(c->owner);
        free(c);
        return;
    }
    switch (chunk_room(c)) {
    case SMALL_ROOM:
        pool_give(&pool_small, POOL_SMALL_MAX, c);
        break;
    case LARGE_ROOM:
        pool_give(&pool_large, POOL_LARGE_MAX, c);
        break;
    default:
        free(c);
        break;
    }
}

static void append(struct reply *r, struct reply_chunk *c)
{
    c->next = NULL;
    if (r->tail != NULL) {
        r->tail->next = c;
    } else {
        r->head = c;
    }
    r->tail = c;
    r->total_bytes += c->len;
    r->held_bytes_ += chunk_held(c);
}

static struct reply_chunk *take_head(struct reply *r)
{
    struct reply_chunk *c = r->head;
    r->head = c->next;
    if (r->head == NULL) {
        r->tail = NULL;
    }
    r->total_bytes -= c->len;
    r->held_bytes_ -= chunk_held(c);
    return c;
}

/* A new chunk at the end, for n bytes that stay together. */
static void append_room(struct reply *r, size_t n)
{
    struct reply_chunk *lent = r->lent_;
    if (r->tail == NULL && lent != NULL && sizeof *lent + n <= r->lent_bytes_) {
        *lent = (struct reply_chunk){.data = (char *)(lent + 1),
                                     .cap = r->lent_bytes_ - sizeof *lent};
        append(r, lent);
        return;
    }
    append(r, chunk_take(n, r->tail == NULL || r->tail->release != NULL));
}

void reply_init(struct reply *r, int resp)
{
    assert(resp == 2 || resp == 3);
    *r = (struct reply){.resp = (uint8_t)resp};
}

void reply_clear(struct reply *r)
{
    while (r->head != NULL) {
        chunk_free(r, take_head(r));
    }
    assert(r->total_bytes == 0 && r->held_bytes_ == 0); /* I1 */
}

size_t reply_memory(const struct reply *r)
{
    return r->held_bytes_;
}

/* --- Bytes --- */

/* Whether nothing more is to be written, as far as new chunks go. */
static bool drops(struct reply *r)
{
    r->over |= r->bound_bytes > 0 && r->held_bytes_ >= r->bound_bytes;
    return r->muted || r->over;
}

char *reply__room_slow(struct reply *r, size_t n)
{
    if (drops(r)) {
        return NULL;
    }
    append_room(r, n);
    return r->tail->data;
}

/* Bytes that may be spread over chunks: the body of a bulk. */
static void write_body(struct reply *r, const char *data, size_t len)
{
    struct reply_chunk *c = r->tail;
    if (c != NULL && c->cap > c->len && len > 0) {
        size_t part = c->cap - c->len < len ? c->cap - c->len : len;
        memcpy(c->data + c->len, data, part);
        reply__wrote(r, part);
        data += part;
        len -= part;
    }
    if (len > 0) {
        append_room(r, len + 2); /* with its CRLF */
        memcpy(r->tail->data, data, len);
        reply__wrote(r, len);
    }
}

void reply_raw(struct reply *r, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    char *out = reply__room(r, len);
    if (out != NULL) {
        memcpy(out, data, len);
        reply__wrote(r, len);
    }
}

/* --- Numbers --- */

static const char digit_pairs[200] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546"
    "4748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293"
    "949596979899";

static size_t format_int(char *out, int64_t v)
{
    char buf[INT_CHARS];
    char *const end = buf + sizeof buf;
    char *p = end;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    while (u >= 100) {
        p -= 2;
        memcpy(p, digit_pairs + u % 100 * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        p -= 2;
        memcpy(p, digit_pairs + u * 2, 2);
    } else {
        *--p = (char)('0' + u);
    }
    if (v < 0) {
        *--p = '-';
    }
    size_t len = (size_t)(end - p);
    memcpy(out, p, len);
    return len;
}

size_t reply__format_header(char *out, char type, int64_t v)
{
    out[0] = type;
    size_t len = 1 + format_int(out + 1, v);
    memcpy(out + len, "\r\n", 2);
    return len + 2;
}

void reply__header_slow(struct reply *r, char type, int64_t v)
{
    char *out = reply__room(r, REPLY_HEADER_MAX);
    if (out != NULL) {
        reply__wrote(r, reply__format_header(out, type, v));
    }
}

/* "%.17g" with a name for what is no number. */
static size_t format_double(char out[DOUBLE_CHARS], double v)
{
    if (isnan(v)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (isinf(v)) {
        const char *name = v > 0 ? "inf" : "-inf";
        size_t len = strlen(name);
        memcpy(out, name, len);
        return len;
    }
    /* Up to 17 digits "%.17g" shows a whole number without exponent; -0 keeps its sign. */
    if (v > -1e17 && v < 1e17 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        return format_int(out, (int64_t)v);
    }
    return (size_t)snprintf(out, DOUBLE_CHARS, "%.17g", v);
}

/* --- Lines --- */

static void write_line(struct reply *r, char type, const char *text, size_t len)
{
    char *out = reply__room(r, len + 3);
    if (out != NULL) {
        out[0] = type;
        memcpy(out + 1, text, len);
        memcpy(out + 1 + len, "\r\n", 2);
        reply__wrote(r, len + 3);
    }
}

void reply_status(struct reply *r, const char *text)
{
    write_line(r, '+', text, strlen(text));
}

/* The code is the first word; a text without blank among its first characters has none. */
static void count_error(struct reply *r, const char *text, size_t len)
{
    const size_t look = len < REPLY_ERROR_CODE_MAX - 1 ? len : REPLY_ERROR_CODE_MAX - 1;
    const char *blank = memchr(text, ' ', look);
    struct slice code = blank == NULL ? slice_str("ERR") : slice_of(text, (size_t)(blank - text));
    memcpy(r->error_code, code.ptr, code.len);
    r->error_code[code.len] = '\0';
    r->errors++;
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

static void write_error(struct reply *r, const char *text, size_t len)
{
    while (len > 0 && is_line_end(text[len - 1])) {
        len--;
    }
    count_error(r, text, len);
    char *out = reply__room(r, len + 3);
    if (out == NULL) {
        return;
    }
    *out++ = '-';
    for (size_t i = 0; i < len; i++) {
        *out++ = is_line_end(text[i]) ? ' ' : text[i];
    }
    memcpy(out, "\r\n", 2);
    reply__wrote(r, len + 3);
}

void reply_error(struct reply *r, const char *text)
{
    write_error(r, text, strlen(text));
}

/* Formats into buf or, when that is too small, into memory that the caller frees if != buf. */
static char *format_text(char buf[FORMAT_STACK_MAX], size_t *len, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(buf, FORMAT_STACK_MAX, fmt, args);
    char *text = buf;
    *len = n > 0 ? (size_t)n : 0;
    if (*len >= FORMAT_STACK_MAX) {
        text = malloc(*len + 1);
        if (text == NULL) { /* cut, rather than dying over a message */
            text = buf;
            *len = FORMAT_STACK_MAX - 1;
        } else {
            vsnprintf(text, *len + 1, fmt, again);
        }
    }
    va_end(again);
    return text;
}

void reply_errorf(struct reply *r, const char *fmt, ...)
{
    char buf[FORMAT_STACK_MAX];
    size_t len;
    va_list args;
    va_start(args, fmt);
    char *text = format_text(buf, &len, fmt, args);
    va_end(args);
    write_error(r, text, len);
    if (text != buf) {
        free(text);
    }
}

/* --- Bulk strings --- */

void reply__bulk_slow(struct reply *r, const void *data, size_t len)
{
    if (drops(r)) {
        return;
    }
    if (len <= REPLY_BULK_INLINE_MAX) {
        append_room(r, REPLY_BULK_INLINE_ROOM);
        reply_bulk(r, data, len); /* has room now */
        return;
    }
    char *out = reply__room(r, REPLY_HEADER_MAX);
    reply__wrote(r, reply__format_header(out, '$', (int64_t)len));
    write_body(r, data, len);
    reply_raw(r, "\r\n", 2);
}

void reply_bulk_str(struct reply *r, const char *zero_terminated)
{
    reply_bulk(r, zero_terminated, strlen(zero_terminated));
}

void reply_bulk_int(struct reply *r, int64_t v)
{
    char digits[INT_CHARS];
    reply_bulk(r, digits, format_int(digits, v));
}

void reply_bulkf(struct reply *r, const char *fmt, ...)
{
    char buf[FORMAT_STACK_MAX];
    size_t len;
    va_list args;
    va_start(args, fmt);
    char *text = format_text(buf, &len, fmt, args);
    va_end(args);
    reply_bulk(r, text, len);
    if (text != buf) {
        free(text);
    }
}

/* In place of no function: a reference is known by having one. */
static void release_nothing(void *owner)
{
    (void)owner;
}

void reply_bulk_ref(struct reply *r, const void *data, size_t len, void (*release)(void *),
                    void *owner)
{
    if (release == NULL) {
        release = release_nothing;
    }
    if (drops(r) || len == 0) {
        reply_bulk(r, data, len);
        release(owner);
        return;
    }
    reply__header(r, '$', (int64_t)len);
    struct reply_chunk *c = malloc(sizeof *c);
    if (c == NULL) { /* no worse than a value that is too small to be referred to */
        write_body(r, data, len);
        release(owner);
    } else {
        *c = (struct reply_chunk){.data = (char *)(uintptr_t)data, .len = len, .cap = len,
                                  .release = release, .owner = owner};
        append(r, c);
    }
    reply_raw(r, "\r\n", 2);
}

void reply_verbatim(struct reply *r, const char *ext3, const void *data, size_t len)
{
    if (r->resp == 2) {
        reply_bulk(r, data, len);
        return;
    }
    assert(strlen(ext3) == 3);
    char *out = reply__room(r, REPLY_HEADER_MAX + 4);
    if (out == NULL) {
        return;
    }
    size_t header = reply__format_header(out, '=', (int64_t)len + 4);
    memcpy(out + header, ext3, 3);
    out[header + 3] = ':';
    reply__wrote(r, header + 4);
    write_body(r, data, len);
    reply_raw(r, "\r\n", 2);
}

/* --- Other types --- */

void reply_null(struct reply *r)
{
    if (r->resp == 2) {
        reply_raw(r, "$-1\r\n", 5);
    } else {
        reply_raw(r, "_\r\n", 3);
    }
}

void reply_null_array(struct reply *r)
{
    if (r->resp == 2) {
        reply_raw(r, "*-1\r\n", 5);
    } else {
        reply_raw(r, "_\r\n", 3);
    }
}

void reply_map(struct reply *r, size_t pairs)
{
    if (r->resp == 2) {
        reply__header(r, '*', (int64_t)pairs * 2);
    } else {
        reply__header(r, '%', (int64_t)pairs);
    }
}

void reply_set(struct reply *r, size_t n)
{
    reply__header(r, r->resp == 2 ? '*' : '~', (int64_t)n);
}

void reply_push(struct reply *r, size_t n)
{
    reply__header(r, r->resp == 2 ? '*' : '>', (int64_t)n);
}

void reply_attribute(struct reply *r, size_t pairs)
{
    assert(r->resp == 3);
    reply__header(r, '|', (int64_t)pairs);
}

void reply_bool(struct reply *r, bool v)
{
    if (r->resp == 2) {
        reply_int(r, v);
    } else {
        reply_raw(r, v ? "#t\r\n" : "#f\r\n", 4);
    }
}

void reply_double(struct reply *r, double v)
{
    char text[DOUBLE_CHARS];
    size_t len = format_double(text, v);
    if (r->resp == 2) {
        reply_bulk(r, text, len);
    } else {
        write_line(r, ',', text, len);
    }
}

void reply_bignum(struct reply *r, const char *digits, size_t len)
{
    if (r->resp == 2) {
        reply_bulk(r, digits, len);
    } else {
        write_line(r, '(', digits, len);
    }
}

/* --- Marks --- */

struct reply_mark reply_deferred(struct reply *r)
{
    if (drops(r)) {
        return (struct reply_mark){NULL, 0};
    }
    struct reply_chunk *c = r->tail;
    bool open = c != NULL && c->release == NULL && c->owner != NULL;
    if (open || c == NULL || c->cap - c->len < REPLY_HEADER_MAX) {
        append_room(r, REPLY_HEADER_MAX); /* I3 */
        c = r->tail;
    }
    struct reply_mark m = {c, c->len};
    c->owner = c;
    reply__wrote(r, REPLY_HEADER_MAX);
    return m;
}

static void fill_mark(struct reply *r, struct reply_mark m, char type, size_t n)
{
    struct reply_chunk *c = m.chunk;
    if (c == NULL) {
        return;
    }
    assert(c->release == NULL && c->owner == c); /* I3 */
    c->owner = NULL;

    char header[REPLY_HEADER_MAX];
    size_t len = reply__format_header(header, type, (int64_t)n);
    size_t spare = REPLY_HEADER_MAX - len;
    size_t behind = c->len - m.at - REPLY_HEADER_MAX;
    if (m.at <= behind) {
        memmove(c->data + spare, c->data, m.at);
        c->data += spare;
        c->cap -= spare;
        memcpy(c->data + m.at, header, len);
    } else {
        char *gap = c->data + m.at;
        memcpy(gap, header, len);
        memmove(gap + len, gap + REPLY_HEADER_MAX, behind);
    }
    c->len -= spare;
    r->total_bytes -= spare;
}

void reply_deferred_array(struct reply *r, struct reply_mark m, size_t n)
{
    fill_mark(r, m, '*', n);
}

void reply_deferred_map(struct reply *r, struct reply_mark m, size_t pairs)
{
    if (r->resp == 2) {
        fill_mark(r, m, '*', pairs * 2);
    } else {
        fill_mark(r, m, '%', pairs);
    }
}

void reply_deferred_set(struct reply *r, struct reply_mark m, size_t n)
{
    fill_mark(r, m, r->resp == 2 ? '*' : '~', n);
}

/* --- Moving and sending --- */

/* Cuts n bytes, fewer than it holds, off the head chunk. */
static void trim_head(struct reply *r, size_t n)
{
    struct reply_chunk *c = r->head;
    size_t held = chunk_held(c);
    c->data += n;
    c->len -= n;
    c->cap -= n;
    r->total_bytes -= n;
    r->held_bytes_ -= held - chunk_held(c);
}

void reply__consume_slow(struct reply *r, size_t n)
{
    assert(n <= r->total_bytes);
    while (n > 0) {
        struct reply_chunk *c = r->head;
        assert(c->release != NULL || c->owner == NULL); /* I3 */
        if (n < c->len) {
            trim_head(r, n);
            return;
        }
        n -= c->len;
        chunk_free(r, take_head(r));
    }
}

/* Everything, to a reply without chunks: the usual case of one command at a time. */
static void move_all(struct reply *to, struct reply *from)
{
    to->head = from->head;
    to->tail = from->tail;
    to->total_bytes = from->total_bytes;
    to->held_bytes_ = from->held_bytes_;
    from->head = from->tail = NULL;
    from->total_bytes = from->held_bytes_ = 0;
}

void reply__move_slow(struct reply *to, struct reply *from, size_t n)
{
    assert(to != from && n <= from->total_bytes);
    if (to->muted) {
        reply_consume(from, n);
        return;
    }
    if (to->head == NULL && n == from->total_bytes && from->head != from->lent_) {
        move_all(to, from);
        return;
    }
    while (n > 0) {
        struct reply_chunk *c = from->head;
        assert(c->release != NULL || c->owner == NULL); /* I3 */
        size_t part = c->len < n ? c->len : n;
        n -= part;
        bool growing = to->tail != NULL && to->tail->release == NULL;
        if (part == c->len && c != from->lent_ &&
            (c->release != NULL || part >= MOVE_COPY_MAX || !growing)) {
            append(to, take_head(from));
        } else {
            reply_raw(to, c->data, part);
            reply_consume(from, part);
        }
    }
}

int reply_iovec(const struct reply *r, struct iovec *iov, int max)
{
    int n = 0;
    for (const struct reply_chunk *c = r->head; c != NULL && n < max; c = c->next) {
        iov[n++] = (struct iovec){c->data, c->len};
    }
    return n;
}
