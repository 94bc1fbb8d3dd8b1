/* reply.h - writing replies, RESP2 and RESP3.
 *
 * A reply is a list of chunks that grows at its end. Small writes go to the current chunk
 * without a check beyond "is there room"; large values can be referred to where they lie
 * (reply_bulk_ref) and are let go when the bytes have been sent. Chunks come from a pool of the
 * calling thread; a chunk may be freed by another thread than the one that took it.
 *
 *   head ─► [chunk 1 KiB] ─► [chunk 16 KiB] ─► [reference to a large value] ─► [chunk]  ◄─ tail
 *
 * One thread at a time. The executing shard writes into the reply of the message; the home shard
 * moves the bytes to the connection's output in the connection's order (reply_move).
 *
 * I1  total_bytes is the sum of the chunks' lengths, held_bytes_ that of their memory.
 * I2  A protocol header ("$123\r\n") never straddles two chunks, nor does any other line or the
 *     CRLF behind a bulk.
 * I3  A chunk holds at most one open mark (reply_deferred); a chunk with one is neither moved nor
 *     consumed.
 */
#ifndef ASHLAR_PROTO_REPLY_H
#define ASHLAR_PROTO_REPLY_H

#include "proto/slice.h"
#include <assert.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    REPLY_SMALL_CHUNK = 1024,  /* bytes of memory, header included */
    REPLY_LARGE_CHUNK = 16384, /* the second and later chunks */
    REPLY_REF_MIN = 16384,     /* values from this size are referred to, not copied */
    REPLY_ERROR_CODE_MAX = 32,
};

struct reply_chunk {
    struct reply_chunk *next;
    char *data;                        /* own bytes behind the header, or those referred to */
    size_t len;                        /* bytes written */
    size_t cap;                        /* bytes of room; == len for a reference */
    void (*release)(void *owner);      /* NULL for own bytes */
    void *owner;                       /* own bytes: not NULL while a mark is open in the chunk */
};
static_assert(sizeof(struct reply_chunk) == 48, "small chunks have 976 bytes of room");

struct reply {
    struct reply_chunk *head, *tail;
    size_t total_bytes;
    uint8_t resp;                      /* 2 or 3 */
    bool muted;                        /* writes are dropped (CLIENT REPLY OFF) */
    bool over;                         /* the bound was reached: what came then is missing */
    uint32_t errors;                   /* error replies written so far */
    char error_code[REPLY_ERROR_CODE_MAX]; /* of the last one: "ERR", "WRONGTYPE" … */
    size_t held_bytes_;                /* private to reply.c: what reply_memory tells */
    size_t bound_bytes;                /* no new chunk when so much is held; 0: none. Who reads the
                                          reply must look at over first: it ends anywhere */
    struct reply_chunk *lent_;         /* reply_lend: room for the first chunk, not ours to free */
    size_t lent_bytes_;                /* … header included */
};


void reply_init(struct reply *r, int resp);
void reply_clear(struct reply *r);     /* frees all chunks, keeps resp, muted and errors */

/* The first chunk may lie in memory of the caller, which stays until the reply is cleared. It is
 * copied from, never moved as a whole. */
static inline void reply_lend(struct reply *r, void *memory, size_t bytes)
{
    assert(r->head == NULL);
    r->lent_ = memory;
    r->lent_bytes_ = bytes;
}

/* Gives the calling thread's pooled chunks back to the allocator: before a thread ends. */
void reply_pool_drain(void);

/* --- Inside: what the fast paths below need. --- */

/* Room for n contiguous bytes in a new chunk at the end; NULL when muted. */
char *reply__room_slow(struct reply *r, size_t n);
void reply__bulk_slow(struct reply *r, const void *data, size_t len);
/* type, digits, CR LF at out, which has room for REPLY_HEADER_MAX bytes; returns the length. */
size_t reply__format_header(char *out, char type, int64_t v);
void reply__header_slow(struct reply *r, char type, int64_t v);

enum {
    REPLY_HEADER_MAX = 24,      /* ":-9223372036854775808\r\n" has 23 */
    REPLY_BULK_INLINE_MAX = 64, /* bytes; up to here a bulk is written by its caller */
    REPLY_BULK_INLINE_ROOM = REPLY_BULK_INLINE_MAX + 7, /* "$64\r\n" and the last CRLF */
};

/* Where the next n bytes go; they count after reply__wrote. NULL when muted. */
static inline char *reply__room(struct reply *r, size_t n)
{
    struct reply_chunk *c = r->tail;
    if (__builtin_expect(c != NULL && c->cap - c->len >= n && !r->muted, 1)) {
        return c->data + c->len;
    }
    return reply__room_slow(r, n);
}

static inline void reply__wrote(struct reply *r, size_t n)
{
    r->tail->len += n;
    r->total_bytes += n;
}

/* "*7\r\n" and the like: one digit is written here, the rest is not worth inlining. */
static inline void reply__header(struct reply *r, char type, int64_t v)
{
    if ((uint64_t)v > 9) {
        reply__header_slow(r, type, v);
        return;
    }
    char *out = reply__room(r, 4);
    if (out != NULL) {
        const char line[4] = {type, (char)('0' + v), '\r', '\n'};
        memcpy(out, line, 4);
        reply__wrote(r, 4);
    }
}

/* --- Every RESP type. Lengths in bytes or elements. --- */
static inline void reply_ok(struct reply *r)                    /* +OK */
{
    char *out = reply__room(r, 5);
    if (out != NULL) {
        memcpy(out, "+OK\r\n", 5);
        reply__wrote(r, 5);
    }
}
void reply_status(struct reply *r, const char *text);           /* +text */
/* -text, which begins with its code: "ERR …". Line ends become blanks, those at the end are cut.
 * Counted in errors also when muted. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void reply_int(struct reply *r, int64_t v)        /* :v */
{
    reply__header(r, ':', v);
}
static inline void reply_bulk(struct reply *r, const void *data, size_t len) /* $len */
{
    struct reply_chunk *c = r->tail;
    if (__builtin_expect(len > REPLY_BULK_INLINE_MAX || c == NULL || r->muted ||
                         c->cap - c->len < REPLY_BULK_INLINE_ROOM, 0)) {
        reply__bulk_slow(r, data, len);
        return;
    }
    char *out = c->data + c->len;
    char *const start = out;
    *out++ = '$';
    if (len > 9) {
        *out++ = (char)('0' + len / 10);
    }
    *out++ = (char)('0' + len % 10);
    memcpy(out, "\r\n", 2);
    if (len > 0) {
        memcpy(out + 2, data, len);
    }
    memcpy(out + 2 + len, "\r\n", 2);
    reply__wrote(r, (size_t)(out - start) + len + 4);
}
void reply_bulk_str(struct reply *r, const char *zero_terminated);
void reply_bulk_int(struct reply *r, int64_t v);                /* a bulk string of digits */
void reply_bulkf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A bulk whose bytes stay where they are until release(owner) is called (once, at the latest when
 * they have been sent; at once if the reply is muted or len is 0), on any thread. release may be
 * NULL for bytes that live for ever. */
void reply_bulk_ref(struct reply *r, const void *data, size_t len, void (*release)(void *),
                    void *owner);
void reply_null(struct reply *r);                               /* RESP2 $-1, RESP3 _ */
void reply_null_array(struct reply *r);                         /* RESP2 *-1, RESP3 _ */
static inline void reply_array(struct reply *r, size_t n)
{
    reply__header(r, '*', (int64_t)n);
}
void reply_map(struct reply *r, size_t pairs);                  /* RESP2: array of 2 n */
void reply_set(struct reply *r, size_t n);                      /* RESP2: array */
void reply_push(struct reply *r, size_t n);                     /* RESP2: array */
void reply_attribute(struct reply *r, size_t pairs);            /* RESP3 only */
void reply_bool(struct reply *r, bool v);                       /* RESP2 :1 / :0 */
void reply_double(struct reply *r, double v);                   /* %.17g, inf, nan; RESP2: bulk */
void reply_bignum(struct reply *r, const char *digits, size_t len);
/* RESP2: bulk. ext3: "txt" or "mkd". */
void reply_verbatim(struct reply *r, const char *ext3, const void *data, size_t len);

/* Length known only afterwards: remember the place, write the elements, then fill it in. Marks may
 * be nested and filled in any order, each exactly once and before the reply is moved or consumed
 * (reply_clear is fine). Until then total_bytes counts REPLY_HEADER_MAX bytes for each. */
struct reply_mark {
    struct reply_chunk *chunk; /* NULL: the reply was muted */
    size_t at;                 /* offset from chunk->data */
};
struct reply_mark reply_deferred(struct reply *r);
void reply_deferred_array(struct reply *r, struct reply_mark m, size_t n);
void reply_deferred_map(struct reply *r, struct reply_mark m, size_t pairs);
void reply_deferred_set(struct reply *r, struct reply_mark m, size_t n);

/* Bytes that are RESP already; they stay together. */
void reply_raw(struct reply *r, const void *data, size_t len);

/* Drops the first n bytes (they have been sent), frees or pools emptied chunks. */
void reply__consume_slow(struct reply *r, size_t n);
static inline void reply_consume(struct reply *r, size_t n)
{
    struct reply_chunk *c = r->head;
    if (c == NULL || n >= c->len || c->release != NULL) {
        reply__consume_slow(r, n);
        return;
    }
    assert(c->owner == NULL); /* I3 */
    c->data += n; /* a piece of a chunk */
    c->len -= n;
    c->cap -= n;
    r->total_bytes -= n;
}

/* Moves the first n bytes of from to the end of to: small pieces are copied, whole large chunks
 * and references change owner. n <= from->total_bytes. Moving into a muted reply drops the
 * bytes. Errors are not carried over: they were counted where they were written. */
void reply__move_slow(struct reply *to, struct reply *from, size_t n);
static inline void reply_move(struct reply *to, struct reply *from, size_t n)
{
    struct reply_chunk *c = from->head, *end = to->tail;
    if (__builtin_expect(c == NULL || end == NULL || n >= c->len || c->release != NULL ||
                         end->cap - end->len < n || to->muted, 0)) {
        reply__move_slow(to, from, n);
        return;
    }
    memcpy(end->data + end->len, c->data, n); /* a piece of a chunk, and there is room */
    reply__wrote(to, n);
    reply_consume(from, n);
}

/* Up to max pieces of what is to be sent, from the start; returns how many. */
int reply_iovec(const struct reply *r, struct iovec *iov, int max);


/* Memory held by the chunks and the values referred to (output buffer limits), bytes. */
size_t reply_memory(const struct reply *r);

#endif
