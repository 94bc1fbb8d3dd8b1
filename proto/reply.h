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
 * I1  total_bytes is the sum of the chunks' lengths.
 * I2  A protocol header ("$123\r\n") never straddles two chunks.
 */
#ifndef ASHLAR_PROTO_REPLY_H
#define ASHLAR_PROTO_REPLY_H

#include "proto/slice.h"
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
    void *owner;
};

struct reply {
    struct reply_chunk *head, *tail;
    size_t total_bytes;
    uint8_t resp;                      /* 2 or 3 */
    bool muted;                        /* writes are dropped (CLIENT REPLY OFF) */
    uint32_t errors;                   /* error replies written so far */
    char error_code[REPLY_ERROR_CODE_MAX]; /* of the last one: "ERR", "WRONGTYPE" … */
};

/* Gives the calling thread's pool back, before the thread ends. */
void reply_thread_exit(void);

void reply_init(struct reply *r, int resp);
void reply_clear(struct reply *r);     /* frees all chunks, keeps resp */

/* --- Every RESP type. Lengths in bytes or elements. --- */
void reply_ok(struct reply *r);                                 /* +OK */
void reply_status(struct reply *r, const char *text);           /* +text */
void reply_error(struct reply *r, const char *text);            /* -text; begins with its code: "ERR …" */
void reply_errorf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void reply_int(struct reply *r, int64_t v);                     /* :v */
void reply_bulk(struct reply *r, const void *data, size_t len); /* $len */
void reply_bulk_str(struct reply *r, const char *zero_terminated);
void reply_bulk_int(struct reply *r, int64_t v);                /* a bulk string of digits */
void reply_bulkf(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A bulk whose bytes stay where they are until release(owner) is called, on any thread. */
void reply_bulk_ref(struct reply *r, const void *data, size_t len, void (*release)(void *),
                    void *owner);
void reply_null(struct reply *r);                               /* RESP2 $-1, RESP3 _ */
void reply_null_array(struct reply *r);                         /* RESP2 *-1, RESP3 _ */
void reply_array(struct reply *r, size_t n);
void reply_map(struct reply *r, size_t pairs);                  /* RESP2: array of 2 n */
void reply_set(struct reply *r, size_t n);                      /* RESP2: array */
void reply_push(struct reply *r, size_t n);                     /* RESP2: array */
void reply_attribute(struct reply *r, size_t pairs);            /* RESP3 only */
void reply_bool(struct reply *r, bool v);                       /* RESP2 :1 / :0 */
void reply_double(struct reply *r, double v);                   /* RESP2: bulk; as Redis prints (%.17g, inf, nan) */
void reply_bignum(struct reply *r, const char *digits, size_t len);
void reply_verbatim(struct reply *r, const char *ext3, const void *data, size_t len); /* RESP2: bulk */

/* Length known only afterwards: remember the place, write the elements, then fill it in. */
struct reply_mark {
    struct reply_chunk *chunk;
    size_t at;
};
struct reply_mark reply_deferred(struct reply *r);
void reply_deferred_array(struct reply *r, struct reply_mark m, size_t n);
void reply_deferred_map(struct reply *r, struct reply_mark m, size_t pairs);
void reply_deferred_set(struct reply *r, struct reply_mark m, size_t n);

/* Bytes that are RESP already. */
void reply_raw(struct reply *r, const void *data, size_t len);

/* Moves the first n bytes of from to the end of to: small pieces are copied, whole large chunks
 * and references change owner. n <= from->total_bytes. */
void reply_move(struct reply *to, struct reply *from, size_t n);

/* Up to max pieces of what is to be sent, from the start; returns how many. */
int reply_iovec(const struct reply *r, struct iovec *iov, int max);

/* Drops the first n bytes (they have been sent), frees or pools emptied chunks. */
void reply_consume(struct reply *r, size_t n);

/* Memory held by the chunks (output buffer limits), bytes. */
size_t reply_memory(const struct reply *r);

#endif
