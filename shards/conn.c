/* conn.c - life, input and output of connections (see conn.h). */
#include "shards/conn.h"
#include "shards/blocked.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/push.h"
#include "shards/route.h"
#include "shards/shard.h"
#include "shards/subscribe.h"
#include "shards/tracking.h"
#include "shards/watch.h"
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INBUF_MIN_BYTES = 4096,      /* of the block, as the next two */
    INBUF_ROUND_MAX = 1 << 20,   /* blocks up to here are powers of two */
    INBUF_FIT_BYTES = 32768,
    INPUT_PAUSE_BYTES = 1 << 20, /* input that waits behind a stalled connection */
    OUTPUT_NO_AUTH_BYTES = REPLY_LARGE_CHUNK + 1024,
};

/* --- input ----------------------------------------------------------------------------------- */

void inbuf_release(struct inbuf *buf)
{
    assert(buf->refs > 0);
    if (--buf->refs == 0) {
        mem_free(buf);
    }
}

struct slice conn_input(const struct conn *conn)
{
    if (conn->in_buf != NULL) {
        return slice_of(conn->in_buf->data + conn->in_at, conn->in_len - conn->in_at);
    }
    if (conn->in_own != NULL) {
        return slice_of(conn->in_own->data + conn->own_at, conn->in_own->len - conn->own_at);
    }
    return slice_of(NULL, 0);
}

size_t conn_query_bytes(const struct conn *conn)
{
    return conn_input(conn).len;
}

static void input_drop(struct conn *conn)
{
    if (conn->multi != NULL) {
        multi_keep(conn);
    }
    if (conn->in_buf != NULL) {
        io_buf_release(conn->in_buf);
        conn->in_buf = NULL;
    }
    if (conn->in_own != NULL) {
        inbuf_release(conn->in_own);
        conn->in_own = NULL;
    }
    conn->in_at = conn->in_len = 0;
    conn->own_at = 0;
}

void conn_consume_input(struct conn *conn, size_t bytes)
{
    if (conn->in_buf != NULL) {
        conn->in_at += (uint32_t)bytes;
    } else {
        conn->own_at += bytes;
    }
    if (conn_query_bytes(conn) == 0) {
        input_drop(conn);
    }
}

/* Makes the input, with room for cap bytes in all, the connection's own. False: no memory. */
static bool own_move(struct conn *conn, size_t cap)
{
    struct slice in = conn_input(conn);
    struct inbuf *buf = mem_try_alloc(sizeof *buf + cap);
    if (buf == NULL) {
        return false;
    }
    buf->refs = 1;
    buf->cap = cap;
    buf->len = in.len;
    if (in.len > 0) {
        memcpy(buf->data, in.ptr, in.len);
    }
    input_drop(conn);
    conn->in_own = buf;
    clients_account(conn);
    return true;
}

/* Room for extra bytes behind the input in the connection's own buffer. False: no memory. */
static bool own_reserve(struct conn *conn, size_t extra)
{
    struct inbuf *old = conn->in_own;
    struct slice in = conn_input(conn);
    if (old != NULL && old->refs == 1 && old->len + extra <= old->cap) {
        return true;
    }
    size_t cap = in.len + extra;
    if (conn->partial != NULL) {
        size_t wants = in.len + resp_parser_wants(conn->partial, in.len);
        /* Grow with what really arrives, not with what is announced. */
        cap = cap < wants && wants < 2 * cap ? wants : (cap < wants ? 2 * cap : cap);
    }
    cap = cap < INBUF_MIN_BYTES - sizeof *old ? INBUF_MIN_BYTES - sizeof *old : cap;
    if (in.len + extra > cap / 2 && cap > INBUF_MIN_BYTES && in.len + extra == cap) {
        cap += cap / 2;
    }
    if (cap <= INBUF_ROUND_MAX) { /* few sizes: the allocator keeps memory for every size apart */
        size_t round = INBUF_MIN_BYTES;
        while (round < cap + sizeof *old) {
            round *= 2;
        }
        cap = round - sizeof *old;
    }
    return own_move(conn, cap);
}

/* A large argument has begun to arrive before its length was known: gives back what it does not need. */
static void own_fit(struct conn *conn)
{
    if (conn->in_own == NULL || conn->partial == NULL || conn->in_own->cap < INBUF_FIT_BYTES) {
        return;
    }
    size_t len = conn_query_bytes(conn), wants = resp_parser_wants(conn->partial, len);
    if (wants > 0 && len + wants < conn->in_own->cap) {
        own_move(conn, len + wants); /* without memory for it, all stays as it is */
    }
}

void conn_keep_input(struct conn *conn)
{
    own_fit(conn);
    if (conn->in_buf != NULL && !own_reserve(conn, 0)) {
        conn_close(conn, false);
    }
}

static bool input_over_limit(struct conn *conn)
{
    struct shard *s = conn->shard;
    if (conn_query_bytes(conn) <= (size_t)s->config->client_query_buffer_limit) {
        return false;
    }
    counter_add(&s->stats.query_limit_disconnections, 1);
    log_warning("Closing client that reached max query buffer length: id=%llu addr=%s",
                (unsigned long long)conn->id, conn->addr);
    return true;
}

static void input_add(struct conn *conn, struct io_buf *buf, size_t len)
{
    if (conn->in_buf == NULL && conn->in_own == NULL) {
        conn->in_buf = buf;
        conn->in_at = 0;
        conn->in_len = (uint32_t)len;
        return;
    }
    bool ok = own_reserve(conn, len);
    if (ok) {
        memcpy(conn->in_own->data + conn->in_own->len, buf->data, len);
        conn->in_own->len += len;
    }
    io_buf_release(buf);
    if (!ok || input_over_limit(conn)) {
        conn_close(conn, false);
    }
}

void conn_received(struct io_sock *sock, struct io_buf *buf, int len)
{
    struct conn *conn = (struct conn *)sock;
    struct shard *s = conn->shard;
    if (len <= 0) {
        conn->flags |= CONN_EOF;
        if (len < 0) {
            conn_close(conn, false);
        } else {
            blocked_cancel(conn, WAIT_GONE); /* who waits for data does not wait for nobody */
            conn_drain(conn);                /* closes when nothing is left to answer */
        }
        return;
    }
    if (conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY)) {
        io_buf_release(buf);
        return;
    }
    conn->in_bytes += (uint64_t)len;
    conn->active_ns = s->now_ns;
    counter_add(&s->stats.in_bytes, (uint64_t)len);
    input_add(conn, buf, (size_t)len);
    bool waits = (conn->flags & (CONN_STALLED | CONN_PAUSE_WAIT)) ||
                 conn->in_flight >= ROUTE_IN_FLIGHT_MAX;
    if (!waits) {
        conn_make_ready(conn);
    } else if (conn_query_bytes(conn) > INPUT_PAUSE_BYTES && !(conn->flags & CONN_PAUSED)) {
        conn->flags |= CONN_PAUSED;
        io_sock_pause(sock);
    }
}

void conn_make_ready(struct conn *conn)
{
    struct shard *s = conn->shard;
    bool begun = conn->flags & CONN_EXEC; /* a transaction, to be finished whatever happens */
    bool input = !(conn->flags & CONN_CLOSING) && conn_query_bytes(conn) > 0;
    if ((conn->flags & CONN_READY) || !(begun || input)) {
        return;
    }
    conn->flags |= CONN_READY;
    conn->ready_next = NULL;
    if (s->ready_last != NULL) {
        s->ready_last->ready_next = conn;
    } else {
        s->ready = conn;
    }
    s->ready_last = conn;
}

/* --- output ---------------------------------------------------------------------------------- */

static bool output_over_limit(struct conn *conn)
{
    struct shard *s = conn->shard;
    const struct output_limit *limit = &s->config->output_limit[conn_class(conn)];
    if (conn->out.total_bytes > OUTPUT_NO_AUTH_BYTES && !conn_authenticated(conn)) {
        return true; /* who has no business here shall not make us keep replies */
    }
    if (limit->hard_bytes == 0 && limit->soft_bytes == 0) {
        return false;
    }
    size_t bytes = reply_memory(&conn->out);
    if (limit->hard_bytes > 0 && bytes >= (size_t)limit->hard_bytes) {
        return true;
    }
    if (limit->soft_bytes == 0 || bytes < (size_t)limit->soft_bytes) {
        conn->soft_limit_since_ns = 0;
        return false;
    }
    if (conn->soft_limit_since_ns == 0) {
        conn->soft_limit_since_ns = s->now_ns;
    }
    return s->now_ns - conn->soft_limit_since_ns > (uint64_t)limit->soft_seconds * 1000000000u;
}

size_t conn_output_bound(const struct conn *conn)
{
    const int64_t hard_bytes = conn->shard->config->output_limit[conn_class(conn)].hard_bytes;
    return hard_bytes > 0 ? (size_t)hard_bytes + 2 * REPLY_LARGE_CHUNK : 0; /* as chunks go */
}

void conn_output_over(struct conn *conn)
{
    if (conn->flags & CONN_CLOSING) {
        return;
    }
    counter_add(&conn->shard->stats.output_limit_disconnections, 1);
    log_warning("Client id=%llu addr=%s closed for overcoming of output buffer limits.",
                (unsigned long long)conn->id, conn->addr);
    conn_close(conn, false);
}

static void check_output_limit(struct conn *conn)
{
    if (output_over_limit(conn)) {
        conn_output_over(conn);
    }
}

void conn_output_ready(struct conn *conn)
{
    struct shard *s = conn->shard;
    if (conn->flags & (CONN_FLUSH | CONN_CLOSING)) {
        return;
    }
    conn->flags |= CONN_FLUSH;
    conn->flush_next = s->flush;
    s->flush = conn;
}

static void flush_one(struct conn *conn)
{
    if (conn->out.total_bytes > REPLY_LARGE_CHUNK) {
        check_output_limit(conn); /* also while the client does not take what is under way */
    }
    clients_account(conn);
    if ((conn->flags & CONN_CLOSING) || io_sock_sending(&conn->sock)) {
        return;
    }
    if (conn->out.total_bytes > 0) {
        struct iovec iov[IO_IOV_MAX];
        int n = reply_iovec(&conn->out, iov, IO_IOV_MAX);
        io_sock_send(&conn->sock, iov, n);
    } else if (conn->in_flight == 0 && (conn->flags & CONN_CLOSE_AFTER_REPLY)) {
        conn_close(conn, false);
    }
}

/* Replies of a pipeline that is half answered wait a moment for the other half, which other shards
 * are working on: one send instead of two. */
static bool hold_output(struct conn *conn)
{
    if (conn->in_flight == 0 || conn->out.total_bytes >= REPLY_LARGE_CHUNK) {
        return false;
    }
    uint64_t now_ns = conn->shard->now_ns;
    if (conn->held_since_ns == 0) {
        conn->held_since_ns = now_ns;
    }
    return now_ns - conn->held_since_ns < CONN_HOLD_NS;
}

void conn_flush_all(struct shard *s)
{
    struct conn *list = s->flush;
    s->flush = NULL;
    while (list != NULL) {
        struct conn *conn = list;
        list = conn->flush_next;
        if (hold_output(conn)) {
            conn->flush_next = s->flush;
            s->flush = conn;
            continue;
        }
        conn->held_since_ns = 0;
        conn->flags &= ~(uint32_t)CONN_FLUSH;
        flush_one(conn);
    }
}

void conn_sent(struct io_sock *sock, ssize_t result)
{
    struct conn *conn = (struct conn *)sock;
    if (result < 0) {
        conn_close(conn, false);
        return;
    }
    conn->out_bytes += (uint64_t)result;
    counter_add(&conn->shard->stats.out_bytes, (uint64_t)result);
    reply_consume(&conn->out, (size_t)result);
    clients_account(conn);
    if (conn->out.total_bytes > 0 || (conn->flags & CONN_CLOSE_AFTER_REPLY)) {
        conn_output_ready(conn);
    } else if (conn->flags & CONN_EOF) {
        conn_drain(conn);
    }
}

/* --- order ----------------------------------------------------------------------------------- */

static void conn_release(struct conn *conn);

void conn_drain(struct conn *conn)
{
    while (conn->first_op != NULL) {
        struct op *op = conn->first_op, *next = op->conn_next;
        if (!route_finish(conn, op)) {
            break;
        }
        conn->first_op = next;
        if (next == NULL) {
            conn->last_op = NULL;
        }
        conn->in_flight--;
        conn->drained++;
        if (conn->held != NULL) {
            push_release_held(conn);
        }
    }
    if (conn->flags & CONN_CLOSING) {
        conn_release(conn);
        return;
    }
    bool idle = conn->in_flight == 0;
    if (conn->out.total_bytes > 0 || (idle && (conn->flags & CONN_CLOSE_AFTER_REPLY))) {
        conn_output_ready(conn);
    } else if (!(conn->flags & CONN_FLUSH)) {
        clients_account(conn);
    }
    if (!(conn->flags & (CONN_STALLED | CONN_PAUSE_WAIT)) && conn->in_flight < ROUTE_IN_FLIGHT_MAX) {
        if (conn->flags & CONN_PAUSED) {
            conn->flags &= ~(uint32_t)CONN_PAUSED;
            io_sock_resume(&conn->sock);
        }
        if (conn->rest) {
            conn->rest = false;
            conn_make_ready(conn);
        }
    }
    if ((conn->flags & CONN_EOF) && idle && conn->out.total_bytes == 0 &&
        !(conn->flags & CONN_READY)) {
        conn_close(conn, false);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static void list_append(struct shard *s, struct conn *conn)
{
    conn->prev = s->conns_last;
    conn->next = NULL;
    if (s->conns_last != NULL) {
        s->conns_last->next = conn;
    } else {
        s->conns = conn;
    }
    s->conns_last = conn;
    s->conn_count++;
    lookup_insert(&s->conn_ids, &conn->by_id, conn->id);
}

static void list_remove(struct shard *s, struct conn *conn)
{
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        s->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    } else {
        s->conns_last = conn->prev;
    }
    s->conn_count--;
    lookup_remove(&s->conn_ids, &conn->by_id);
}

struct conn *conn_by_id(const struct shard *s, uint64_t id)
{
    struct lookup_node *node = lookup_first(&s->conn_ids, id); /* ids differ: so do their hashes */
    return node == NULL ? NULL : (struct conn *)((char *)node - offsetof(struct conn, by_id));
}

void conn_accept(struct shard *s, int fd, bool unix_socket)
{
    struct conn *conn = mem_alloc_zero(sizeof *conn);
    conn->shard = s;
    conn->id = atomic_fetch_add_explicit(&s->server->next_client_id, 1, memory_order_relaxed) + 1;
    conn->flags = unix_socket ? CONN_UNIX : 0;
    conn->resp = 2;
    conn->authenticated = s->config->requirepass.ptr == NULL;
    conn->reply_mode = CONN_REPLY_ON;
    conn->created_ns = conn->active_ns = s->now_ns;
    const char *path = unix_socket ? s->config->unixsocket : NULL;
    net_format_address(fd, false, path, conn->addr);
    net_format_address(fd, true, path, conn->laddr);
    if (!unix_socket) {
        net_set_nodelay(fd);
        net_set_keepalive(fd, s->config->tcp_keepalive_s);
    }
    reply_init(&conn->out, 2);
    conn->memory.bucket = CLIENTS_NO_BUCKET;
    list_append(s, conn);
    clients_account(conn);
    s->conns_alive++;
    counter_add(&s->stats.connections, 1);
    io_sock_open(s->io, &conn->sock, fd);
}

static void ready_remove(struct conn *conn)
{
    struct shard *s = conn->shard;
    struct conn *before = NULL;
    for (struct conn **link = &s->ready; *link != NULL; link = &(*link)->ready_next) {
        if (*link == conn) {
            *link = conn->ready_next;
            if (s->ready_last == conn) {
                s->ready_last = before;
            }
            break;
        }
        before = *link;
    }
    conn->flags &= ~(uint32_t)CONN_READY;
}

static void flush_remove(struct conn *conn)
{
    for (struct conn **link = &conn->shard->flush; *link != NULL; link = &(*link)->flush_next) {
        if (*link == conn) {
            *link = conn->flush_next;
            break;
        }
    }
    conn->flags &= ~(uint32_t)CONN_FLUSH;
}

void conn_pause(struct conn *conn)
{
    conn->flags |= CONN_PAUSE_WAIT;
    atomic_fetch_add_explicit(&conn->shard->server->paused_clients, 1, memory_order_relaxed);
}

static void pause_end(struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_PAUSE_WAIT;
    atomic_fetch_sub_explicit(&conn->shard->server->paused_clients, 1, memory_order_relaxed);
}

void conn_close(struct conn *conn, bool after_reply)
{
    struct shard *s = conn->shard;
    if (conn->flags & CONN_CLOSING) {
        return;
    }
    if (after_reply) {
        conn->flags |= CONN_CLOSE_AFTER_REPLY;
        conn_output_ready(conn);
        return;
    }
    conn->flags |= CONN_CLOSING;
    if ((conn->flags & CONN_READY) && !(conn->flags & CONN_EXEC)) {
        ready_remove(conn);
    }
    if (conn->flags & CONN_FLUSH) {
        flush_remove(conn);
    }
    if (conn->flags & CONN_PAUSE_WAIT) {
        pause_end(conn);
    }
    blocked_cancel(conn, WAIT_GONE);
    monitor_stop(conn);
    tracking_stop(conn);
    if (conn->flags & CONN_TRACKING_TARGET) {
        tracking_target_gone(s, conn->id);
    }
    watch_end(conn);
    clients_forget(conn);
    atomic_fetch_sub_explicit(&s->server->clients, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->server->shard_clients[s->id], 1, memory_order_relaxed);
    list_remove(s, conn);
    io_sock_close(&conn->sock);
}

void conn_closed(struct io_sock *sock)
{
    struct conn *conn = (struct conn *)sock;
    conn->flags |= CONN_SOCK_CLOSED;
    conn_drain(conn);
}

/* Frees a closing connection when neither the kernel nor a shard refers to it. */
static void conn_release(struct conn *conn)
{
    if (!(conn->flags & CONN_SOCK_CLOSED) || (conn->flags & CONN_EXEC) || conn->in_flight > 0 ||
        !subscribe_end(conn)) {
        return;
    }
    conn->shard->conns_alive--;
    multi_free(conn);
    input_drop(conn);
    reply_clear(&conn->out);
    push_drop_held(conn);
    if (conn->partial != NULL) {
        resp_parser_free(conn->partial);
        mem_free(conn->partial);
    }
    mem_free(conn->name);
    mem_free(conn->lib_name);
    mem_free(conn->lib_ver);
    mem_free(conn);
}

bool conn_authenticated(const struct conn *conn)
{
    return conn->authenticated || conn->shard->config->requirepass.ptr == NULL;
}

enum client_class conn_class(const struct conn *conn)
{
    return conn_subscribed(conn) ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

size_t conn_memory(const struct conn *conn)
{
    size_t bytes = sizeof *conn + reply_memory(&conn->out) + subscribe_memory(conn) +
                   multi_memory(conn) + tracking_memory(conn);
    if (conn->partial != NULL) {
        bytes += sizeof *conn->partial + resp_parser_memory(conn->partial);
    }
    if (conn->in_own != NULL) {
        bytes += sizeof *conn->in_own + conn->in_own->cap;
    }
    return bytes;
}

/* --- now and then ---------------------------------------------------------------------------- */

void conn_cron(struct shard *s)
{
    uint64_t timeout_ns = (uint64_t)s->config->timeout_s * 1000000000u;
    struct conn *next;
    for (struct conn *conn = s->conns; conn != NULL; conn = next) {
        next = conn->next;
        bool idle = conn->in_flight == 0 && !(conn->flags & CONN_MONITOR) && !conn_subscribed(conn);
        if (timeout_ns > 0 && idle && s->now_ns - conn->active_ns > timeout_ns) {
            log_verbose("Closing idle client");
            conn_close(conn, false);
        } else if (conn->out.total_bytes > 0) {
            check_output_limit(conn);
        }
    }
}

void conn_pause_changed(struct shard *s)
{
    for (struct conn *conn = s->conns; conn != NULL; conn = conn->next) {
        if (conn->flags & CONN_PAUSE_WAIT) {
            pause_end(conn);
            conn_make_ready(conn);
        }
    }
}
