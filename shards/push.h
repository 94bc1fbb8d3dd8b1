/* push.h - what reaches connections without having been asked for: messages of Pub/Sub, keyspace
 * events, invalidations. A push is encoded once, on the shard where it arises, and shared by all
 * that receive it; to each home shard concerned goes one delivery that names the receivers.
 *
 *   publishing shard                              home shard
 *   push_new() ─► push_to_receivers() ─► box ═══► pushes_arrived() ─► connection's output
 *                 push_to_conn()        (by         │
 *                                      shard)       └► held until an earlier command is answered
 *                 push_forward() ─────► box ═══► pubsub_forwarded() on the channel's owner
 *
 * The box is sent once in a turn (pushes_flush()), before the runs executed in that turn go back,
 * and whenever slots that were worked on pass to another shard. Mailboxes keep the order of what
 * is put into them, hence:
 *
 * I1  What one shard pushes arrives at each home in the order in which it was pushed.
 * I2  A push arrives before the return of any command that was executed after it, and of the command
 *     that caused it: when a SUBSCRIBE has come back, all messages that it did not see have been
 *     delivered; when an UNSUBSCRIBE has, no message for the subscription is on its way.
 * I3  A push that depends on a command of its receiver (the SUBSCRIBE that it answers to, the PUBLISH
 *     or the write that caused it) is written behind that command's reply: until then it is held, and
 *     so is everything that arrives for the connection after it from the same shard (I1). It is
 *     not held for longer: what comes from other shards may pass it, as a command that stops those
 *     messages (UNSUBSCRIBE) may be answered earlier.
 *
 * Threads: the functions run on the thread of the shard they are given. A push is immutable once
 * it is on its way, and counted (atomic): whoever lets go last frees it.
 */
#ifndef ASHLAR_SHARDS_PUSH_H
#define ASHLAR_SHARDS_PUSH_H

#include "proto/slice.h"
#include "shards/mailbox.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct op;
struct push;
struct shard;
struct subscription;

/* Subscriptions of one home to one channel, or to one pattern on one shard. Owner: the shard that
 * keeps the channel; deliveries on their way refer to the first so many of them, so what they may
 * see is not changed in place (pubsub.c). */
struct receivers {
    _Atomic uint32_t refs;
    uint32_t count, cap;
    struct subscription *subs[];
};

/* Writes the push to a connection's output in a form that depends on the connection. */
typedef void push_writer(const struct push *push, struct conn *conn);

struct push {
    _Atomic uint32_t refs;
    uint32_t elements;     /* of the array (RESP2) or push (RESP3) */
    uint8_t kind;          /* of a message: enum subscription_kind */
    push_writer *write;    /* NULL: elements, then the bytes as they are */
    size_t len;            /* of bytes: the elements in RESP */
    size_t channel_at, channel_len; /* within bytes: a message's channel and payload; 0: it is none */
    size_t payload_at, payload_len;
    char bytes[];
};

/* One for each shard to which something is on its way, linked in order. */
struct delivery {
    struct message message;  /* of the first in a chain */
    struct delivery *next;
    struct push *push;       /* a reference */
    struct receivers *to;    /* a reference to the first count of them, or NULL: */
    uint32_t count;
    uint16_t from;           /* the shard that pushed it */
    uint64_t conn_id;        /* … this connection; 0: forwarded to the owner of the channel */
    uint64_t after;          /* … when so many of its commands are answered */
    const struct op *origin; /* the command that caused it, when it came on a connection of that home */
};

/* What waits to be sent, by shard. */
struct push_box {
    struct delivery_chain {
        struct delivery *first, *last;
    } *chains;
    uint16_t *filled; /* shards whose chain is not empty */
    unsigned count;
};

/* A push that has come before the reply behind which it belongs. Home. */
struct held_push {
    struct held_push *next; /* sorted by after, then as they came */
    struct push *push;
    uint64_t after; /* commands of the connection that are answered first (conn->drained) */
    uint16_t from;
};

struct push_box *push_box_new(unsigned shards);
void push_box_free(struct push_box *box, unsigned shards);

/* A push with room for len bytes; the caller fills them in, and lets go of it when it is sent. */
struct push *push_new(uint32_t elements, size_t len);
void push_release(struct push *push);
void receivers_release(struct receivers *r);

/* --- sending. They take references of their own. --- */
void push_to_receivers(struct shard *s, unsigned home, struct push *push, struct receivers *to);
/* To a connection that may be gone when it comes. home is its shard. Held until so many of the
 * connection's commands are answered (op->number; 0: at once). */
void push_to_conn(struct shard *s, unsigned home, uint64_t conn_id, struct push *push,
                  uint64_t after);
/* A message for a channel that another shard keeps: it is published there. */
void push_forward(struct shard *s, unsigned shard, struct push *push);
/* Sends what is in the box, what is for connections at home here included. True when there was
 * anything. Not while a command is running. */
bool pushes_flush(struct shard *s);

/* --- at home --- */
void pushes_arrived(struct shard *s, struct delivery *first);
/* A command of the connection is answered: writes what waited for it. */
void push_release_held(struct conn *conn);
void push_drop_held(struct conn *conn);
/* Writes to a connection's output at once: elements as push (RESP3) or array (RESP2), then bytes. */
void push_write(const struct push *push, struct conn *conn);

#endif
