/* conn.h - a client connection. Owner: its home shard's thread, which parses its input, routes its
 * commands and writes its replies in order. Other shards never touch it.
 *
 *              accepted                 input, replies              error, QUIT, KILL, limits
 *   (nothing) ─────────► CONN_OPEN ◄──────────────────► CONN_OPEN ───────────────────────────►
 *   CONN_CLOSING (nothing is read or sent any more; commands in flight come back and are dropped)
 *   ───────────► conn_free() when the socket is closed and nothing is in flight
 */
#ifndef ASHLAR_SHARDS_CONN_H
#define ASHLAR_SHARDS_CONN_H

#include "core/command.h"
#include "io/io.h"
#include "io/net.h"
#include "proto/reply.h"
#include "proto/resp_parse.h"
#include "shards/clients.h"
#include "shards/config.h"
#include "shards/lookup.h"
#include <stdint.h>

struct shard;
struct op;
struct run;
struct subscriber;
struct held_push;
struct multi;
struct watch;

enum conn_flag {
    CONN_CLOSING = 1 << 0,
    CONN_CLOSE_AFTER_REPLY = 1 << 1, /* QUIT, protocol errors */
    CONN_UNIX = 1 << 2,
    CONN_MONITOR = 1 << 3,
    CONN_NO_EVICT = 1 << 4,
    CONN_NO_TOUCH = 1 << 5,
    CONN_STALLED = 1 << 6,   /* a barrier or blocking command waits or runs: nothing more is parsed */
    CONN_READY = 1 << 7,     /* in the shard's list of connections with input */
    CONN_FLUSH = 1 << 8,     /* in the shard's list of connections with output */
    CONN_PAUSED = 1 << 9,    /* reading is stopped: too much is in flight */
    CONN_EOF = 1 << 10,
    CONN_SOCK_CLOSED = 1 << 11,
    CONN_PAUSE_WAIT = 1 << 12, /* CLIENT PAUSE holds its next command */
    CONN_BARRIER_LISTED = 1 << 13,
    CONN_TRACKING_TARGET = 1 << 17, /* others redirect their invalidations here */
    CONN_MULTI = 1 << 14,    /* between MULTI and the end of EXEC: conn->multi is there */
    CONN_EXEC = 1 << 15,     /* EXEC has begun and part of its transaction is not sent yet */
    CONN_RETRY = 1 << 16,    /* in the shard's list of connections with a command to route anew */
};

enum { CONN_HOLD_NS = 200000 }; /* output waits at most this long for the rest of its pipeline */

enum conn_reply_mode { CONN_REPLY_ON, CONN_REPLY_OFF, CONN_REPLY_SKIP_NEXT, CONN_REPLY_SKIP };

struct conn {
    struct io_sock sock; /* first: handlers cast */
    struct shard *shard;
    struct conn *next, *prev; /* all connections of the shard, newest last */
    struct lookup_node by_id; /* in the shard's conn_ids, as long as it is in that list */
    struct conn *ready_next, *flush_next, *barrier_next, *retry_next;
    uint64_t id;
    uint32_t flags;

    /* state that commands change */
    int db;
    uint8_t resp;
    bool authenticated;
    uint8_t reply_mode;
    struct tracking *tracking; /* NULL: it does not track (tracking.h) */
    char *name, *lib_name, *lib_ver; /* NULL: not set */
    char addr[NET_ADDR_BYTES], laddr[NET_ADDR_BYTES];

    /* for CLIENT LIST */
    uint64_t created_ns, active_ns; /* monotonic */
    const struct command *last_command;
    uint64_t commands; /* run so far */
    uint64_t in_bytes, out_bytes;

    /* input not yet parsed: either the rest of a receive buffer, or a private buffer that grows */
    struct io_buf *in_buf;
    uint32_t in_at, in_len;
    struct inbuf *in_own;
    size_t own_at;
    bool rest; /* complete commands may be left, to be parsed when fewer are in flight */
    struct resp_parser *partial; /* NULL unless a command is half here */

    /* commands in the connection's order whose replies are not written yet */
    struct op *first_op, *last_op;
    uint32_t in_flight;      /* ops in that list */
    uint64_t drained;        /* ops that have left it */
    struct held_push *held; /* messages that wait for one of them (push.h I3) */
    struct subscriber *subscriber;      /* what it is subscribed to; NULL: never was (subscribe.h) */
    uint32_t barrier_ops;    /* of them: barrier commands; CONN_STALLED while there are any */

    struct multi *multi;     /* multi.h: CONN_MULTI */
    struct watch *watch;     /* watch.h: NULL unless keys are watched */

    /* output */
    struct reply out;
    size_t sending_bytes;
    uint64_t soft_limit_since_ns;
    uint64_t held_since_ns; /* output waits for the rest of its pipeline; 0: it does not */

    struct client_memory memory; /* clients.h */
};

/* The open connection with that id, if it is at home on this shard: other shards know connections by
 * id, and what they send may come when it is gone. The shard's own thread. */
struct conn *conn_by_id(const struct shard *shard, uint64_t id);
/* Closes a connection: as soon as its output is sent (after_reply) or at once. The memory stays
 * until everything in flight has come back. */
void conn_close(struct conn *conn, bool after_reply);
/* The connection's output has grown outside of a command (MONITOR lines, push messages). */
void conn_output_ready(struct conn *conn);
/* Memory of replies that is beyond the connection's hard limit for sure; 0: there is no limit. */
size_t conn_output_bound(const struct conn *conn);
/* Replies of its commands have reached that: it is closed. */
void conn_output_over(struct conn *conn);
/* Whether commands need no (further) AUTH. */
bool conn_authenticated(const struct conn *conn);
size_t conn_query_bytes(const struct conn *conn);      /* input not yet run */
size_t conn_memory(const struct conn *conn);           /* all of it */
enum client_class conn_class(const struct conn *conn);

/* --- for the shard's loop --- */
/* A connection that was accepted; takes over fd. */
void conn_accept(struct shard *shard, int fd, bool unix_socket);
/* Handlers of io/. */
void conn_received(struct io_sock *sock, struct io_buf *buf, int len);
void conn_sent(struct io_sock *sock, ssize_t result);
void conn_closed(struct io_sock *sock);
void conn_make_ready(struct conn *conn);
/* Writes the replies that are due, in the connection's order. */
void conn_drain(struct conn *conn);
/* Sends what has been written, one gathered send per connection. */
void conn_flush_all(struct shard *shard);
/* Idle connections (timeout) and soft output limits; about once a second. */
void conn_cron(struct shard *shard);
/* CLIENT PAUSE holds the connection's next command. */
void conn_pause(struct conn *conn);
/* CLIENT PAUSE was changed or has ended: looks again at the connections it held. */
void conn_pause_changed(struct shard *shard);
/* Input that stays behind moves to memory of the connection, so that no receive buffer is kept. */
void conn_keep_input(struct conn *conn);
void conn_consume_input(struct conn *conn, size_t bytes);
struct slice conn_input(const struct conn *conn);
void inbuf_release(struct inbuf *buf);

/* The connection that a ROUTE_HOME or ROUTE_BARRIER command came on. */
static inline struct conn *call_conn(const struct call *c)
{
    return c->host;
}

#endif
