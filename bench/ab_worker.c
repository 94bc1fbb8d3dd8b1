/* ab_worker.c - see ab_worker.h. This file: connections, requests, replies. ab_worker_loop.c: the
 * turns, the schedule and the recording. */
#include "bench/ab_worker_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GREETING_BYTES = 2048 };

uint64_t ab_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void ab_shared_fail_mp(struct ab_shared *s, const char *format, ...)
{
    va_list args;
    pthread_mutex_lock(&s->lock);
    if (!s->failure[0]) {
        va_start(args, format);
        vsnprintf(s->failure, sizeof s->failure, format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->stop, true);
}

void *worker__alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void mark_dirty(struct ab_conn *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = c->worker->dirty;
        c->worker->dirty = c;
    }
}

/* Room for n more bytes in the output that is being filled. */
static char *out_reserve(struct ab_conn *c, size_t n)
{
    struct ab_out *o = &c->out[c->filling];
    if (o->len + n > o->cap) {
        o->cap = (o->len + n) * 2 < 4096 ? 4096 : (o->len + n) * 2;
        o->bytes = realloc(o->bytes, o->cap);
        if (!o->bytes) {
            fprintf(stderr, "ashlar-bench: out of memory\n");
            exit(1);
        }
    }
    return o->bytes + o->len;
}

static struct ab_request *ring_push(struct ab_conn *c, enum request_kind kind)
{
    if (c->tail - c->head > c->mask) {
        uint32_t cap = (c->mask + 1) * 2;
        struct ab_request *ring = worker__alloc(cap, sizeof *ring);
        for (uint32_t i = c->head; i != c->tail; i++) {
            ring[i & (cap - 1)] = c->ring[i & c->mask];
        }
        free(c->ring);
        c->ring = ring;
        c->mask = cap - 1;
    }
    struct ab_request *r = &c->ring[c->tail++ & c->mask];
    r->kind = (uint8_t)kind;
    r->sent_ns = 0;
    return r;
}

static void push_bytes(struct ab_conn *c, enum request_kind kind, const char *bytes, size_t len)
{
    memcpy(out_reserve(c, len), bytes, len);
    c->out[c->filling].len += len;
    ring_push(c, kind)->bytes = (uint32_t)len;
    mark_dirty(c);
}

size_t worker__max_bytes(const struct ab_worker *w, const struct ab_request *r)
{
    return w->spec->replay ? w->spec->replay->items[r->draw.sequence].len
                           : w->spec->templates[r->command].max_bytes;
}

static size_t encode(const struct ab_worker *w, const struct ab_request *r, char *to)
{
    const struct ab_replay *replay = w->spec->replay;
    if (replay) {
        const struct ab_replay_item *item = &replay->items[r->draw.sequence];
        memcpy(to, replay->bytes + item->offset, item->len);
        return item->len;
    }
    return ab_template_encode(&w->spec->templates[r->command], w->spec->space, r->draw, to);
}

/* Puts a request, encoded already or not, on a connection. */
static void put_request(struct ab_conn *c, const struct ab_request *from, const char *bytes, size_t len)
{
    if (bytes) {
        memcpy(out_reserve(c, len), bytes, len);
    } else {
        len = encode(c->worker, from, out_reserve(c, worker__max_bytes(c->worker, from)));
    }
    c->out[c->filling].len += len;
    struct ab_request *r = ring_push(c, REQUEST);
    *r = *from;
    r->bytes = (uint32_t)len;
    mark_dirty(c);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* What a connection begins with: the greeting, and a PING that shows that it works. */
static void greet(struct ab_conn *c)
{
    char buf[GREETING_BYTES];
    int count;
    size_t len = ab_target_greeting(c->worker->spec->target, buf, sizeof buf, &count);
    if (len > 0) {
        memcpy(out_reserve(c, len), buf, len);
        c->out[c->filling].len += len;
    }
    for (int i = 0; i < count; i++) {
        ring_push(c, GREETING)->bytes = 0;
    }
    if (!c->was_open) {
        push_bytes(c, GREETING, "*1\r\n$4\r\nPING\r\n", 14);
    }
    if (c->out[c->filling].len > 0) {
        mark_dirty(c);
    }
    c->db = c->worker->spec->target->db;
}

static void conn_name(const struct ab_conn *c, char out[300])
{
    const struct ab_run_spec *spec = c->worker->spec;
    const struct ab_node *n = spec->cluster ? &spec->cluster->node[c->node] : NULL;
    ab_target_name(spec->target, n ? n->host : NULL, n ? n->port : 0, out);
}

static bool conn_open(struct ab_conn *c)
{
    const struct ab_run_spec *spec = c->worker->spec;
    const struct ab_node *n = spec->cluster ? &spec->cluster->node[c->node] : NULL;
    int fd = ab_target_connect(spec->target, n ? n->host : NULL, n ? n->port : 0, false);
    if (fd < 0) {
        char name[300];
        conn_name(c, name);
        ab_shared_fail_mp(c->worker->shared, "Could not connect to Redis at %s: %s", name,
                          fd == -EADDRNOTAVAIL ? "Name or service not known" : strerror(-fd));
        return false;
    }
    memset(&c->sock, 0, sizeof c->sock);
    ab_reply_init(&c->reply);
    c->closing = false;
    io_sock_open(c->worker->io, &c->sock, fd);
    greet(c);
    return true;
}

struct ab_conn *worker__connect(struct ab_worker *w, struct ab_client *client, int node)
{
    struct ab_conn *c = worker__alloc(1, sizeof *c);
    uint32_t cap = 8;
    while (cap < (uint32_t)w->spec->pipeline + 8 && cap < 1u << 20) {
        cap *= 2;
    }
    c->worker = w;
    c->client = client;
    c->node = node;
    c->ring = worker__alloc(cap, sizeof *c->ring);
    c->mask = cap - 1;
    client->conn[node] = c;
    return conn_open(c) ? c : NULL;
}

void worker__conn_free(struct ab_conn *c)
{
    free(c->ring);
    free(c->out[0].bytes);
    free(c->out[1].bytes);
    free(c);
}

/* Without keep-alive: the batch is answered, the next one gets a connection of its own. */
static void conn_renew(struct ab_conn *c)
{
    c->closing = true;
    c->was_open = true;
    io_sock_close(&c->sock);
}

static struct ab_conn *conn_of(struct io_sock *s)
{
    return (struct ab_conn *)((char *)s - offsetof(struct ab_conn, sock));
}

static void on_closed(struct io_sock *s)
{
    struct ab_conn *c = conn_of(s);
    struct ab_worker *w = c->worker;
    c->out[0].len = c->out[1].len = 0;
    if (!atomic_load_explicit(&w->shared->stop, memory_order_relaxed) && !w->exhausted &&
        conn_open(c)) {
        worker__client_free(w, c->client);
    }
}

static void on_sent(struct io_sock *s, ssize_t result)
{
    struct ab_conn *c = conn_of(s);
    c->out[!c->filling].len = 0;
    if (c->out[c->filling].len > 0) {
        mark_dirty(c);
    }
    (void)result; /* an error is seen by the reader, too */
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The connection of a client to the node that serves this request. */
static struct ab_conn *route(struct ab_worker *w, struct ab_client *client, const char *request,
                             size_t len, uint32_t key_arg)
{
    struct ab_cluster *cluster = w->spec->cluster;
    const char *key;
    size_t key_len;
    uint32_t node = AB_NODE_NONE;

    if (key_arg > 0 && ab_request_arg(request, len, key_arg, &key, &key_len)) {
        uint32_t slot = ab_cluster_slot_of(key, key_len);
        node = atomic_load_explicit(&cluster->slot[slot], memory_order_relaxed);
    }
    if (node == AB_NODE_NONE) { /* no key, or a slot that nobody serves: any node with slots */
        uint32_t slot = (uint32_t)ab_rng_below(&w->rng, AB_SLOTS);
        for (uint32_t i = 0; i < AB_SLOTS && node == AB_NODE_NONE; i++) {
            node = atomic_load_explicit(&cluster->slot[(slot + i) % AB_SLOTS], memory_order_relaxed);
        }
        node = node == AB_NODE_NONE ? 0 : node;
    }
    return client->conn[node] ? client->conn[node] : worker__connect(w, client, (int)node);
}

void worker__send_request(struct ab_worker *w, struct ab_client *client, const struct ab_request *r)
{
    struct ab_conn *c = client->conn[0];
    const char *bytes = NULL;
    size_t len = 0;

    if (w->spec->cluster) {
        size_t most = worker__max_bytes(w, r);
        if (most > w->scratch_bytes) {
            free(w->scratch);
            w->scratch = worker__alloc(1, most);
            w->scratch_bytes = most;
        }
        len = encode(w, r, w->scratch);
        bytes = w->scratch;
        c = route(w, client, bytes, len,
                  w->spec->replay ? w->spec->replay->items[r->draw.sequence].key_arg
                                  : w->spec->templates[r->command].key_arg);
        if (!c) {
            return; /* the run has failed */
        }
    } else if (w->spec->replay && w->spec->replay->items[r->draw.sequence].db != c->db) {
        char select[64], db[12];
        c->db = w->spec->replay->items[r->draw.sequence].db;
        int digits = snprintf(db, sizeof db, "%d", c->db);
        int n = snprintf(select, sizeof select, "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digits, db);
        push_bytes(c, EXTRA, select, (size_t)n);
    }
    put_request(c, r, bytes, len);
    client->in_flight++; /* I2 */
    w->in_flight++;
}

/* Sends a redirected request again. False: it is an error after all. */
static bool redirect(struct ab_conn *c, const struct ab_request *request)
{
    struct ab_worker *w = c->worker;
    struct ab_cluster *cluster = w->spec->cluster;
    struct ab_request r = *request; /* the ring may move */
    struct ab_redirect to;
    struct ab_conn *target = c;
    bool asking = false;

    if (!cluster || ++r.tries > AB_TRIES_MAX) {
        return false;
    }
    if (ab_cluster_redirect(c->reply.line, &to)) {
        const struct ab_node *here = &cluster->node[c->node];
        int node = ab_cluster_add_mp(cluster, to.host[0] ? to.host : here->host, to.port);
        if (node < 0) {
            return false;
        }
        asking = to.ask;
        if (asking) {
            atomic_fetch_add_explicit(&cluster->asked, 1, memory_order_relaxed);
        } else {
            atomic_store_explicit(&cluster->slot[to.slot], (uint16_t)node, memory_order_relaxed);
            atomic_fetch_add_explicit(&cluster->moved, 1, memory_order_relaxed);
            atomic_store_explicit(&cluster->refresh_wanted, true, memory_order_relaxed);
        }
        target = c->client->conn[node];
        target = target ? target : worker__connect(w, c->client, node);
        if (!target) {
            return false;
        }
    } else if (strncmp(c->reply.line, "TRYAGAIN", 8) == 0) {
        asking = r.asked;
    } else {
        return false;
    }
    r.asked = asking;
    if (asking) {
        push_bytes(target, EXTRA, "*1\r\n$6\r\nASKING\r\n", 16);
    }
    r.sent_ns = 0;
    put_request(target, &r, NULL, 0); /* I3 */
    return true;
}

/* ---- replies --------------------------------------------------------------------------------- */

static void greeting_done(struct ab_conn *c)
{
    struct ab_worker *w = c->worker;
    if (c->reply.type == '-' || c->reply.type == '!') {
        ab_shared_fail_mp(w->shared, "Error from server: %s", c->reply.line);
    } else if (c->head == c->tail && !c->was_open) {
        c->was_open = true;
        if (!c->client->ready) {
            c->client->ready = true;
            w->clients_ready++;
        }
    }
}

static void note_error(struct ab_worker *w, const char *line)
{
    struct ab_shared *s = w->shared;
    pthread_mutex_lock(&s->lock);
    if (!s->first_error[0]) {
        snprintf(s->first_error, sizeof s->first_error, "%s", line);
    }
    pthread_mutex_unlock(&s->lock);
}

/* A reply has been read whole: bytes long, for the request at the head of the ring. */
static void reply_done(struct ab_conn *c, uint64_t now_ns, uint64_t bytes)
{
    struct ab_worker *w = c->worker;
    struct ab_request *r = &c->ring[c->head & c->mask];

    c->head++; /* I1; r stays readable until the next push */
    if (r->kind != REQUEST) {
        if (r->kind == GREETING) {
            greeting_done(c);
        } else if (c->reply.type == '-') {
            note_error(w, c->reply.line);
        }
        return;
    }
    bool error = c->reply.type == '-' || c->reply.type == '!';
    if (error) {
        struct ab_request copy = *r;
        if (redirect(c, &copy)) {
            return;
        }
        note_error(w, c->reply.line);
        worker__record(w, &copy, now_ns, bytes, RESULT_ERROR);
    } else {
        worker__record(w, r, now_ns, bytes,
                       c->reply.differs ? RESULT_DIFFERS : c->reply.null ? RESULT_NULL : RESULT_OK);
    }
    c->client->in_flight--;
    w->in_flight--;
    if (c->client->in_flight == 0 && !w->spec->keep_alive) {
        conn_renew(c);
    } else {
        worker__client_free(w, c->client);
    }
}

/* Says which value the next reply should be. */
static void expect_value(struct ab_conn *c)
{
    const struct ab_request *r = &c->ring[c->head & c->mask];
    const struct ab_run_spec *spec = c->worker->spec;
    c->reply.expect = false;
    if (c->head != c->tail && r->kind == REQUEST && !spec->replay &&
        spec->templates[r->command].checks_value) {
        c->reply.expect = true;
        ab_template_expected(&spec->templates[r->command], spec->space, r->draw,
                             &c->reply.expect_tag, &c->reply.expect_len);
    }
}

static void read_replies(struct ab_conn *c, const char *p, size_t len, uint64_t now_ns)
{
    bool verify = c->worker->spec->space && c->worker->spec->space->verify;

    while (len > 0 && !c->closing) {
        if (verify && c->reply.todo_ == 0) {
            expect_value(c);
        }
        size_t used = ab_reply_quick(&c->reply, p, len);
        if (used == 0) {
            enum ab_reply_result result = ab_reply_read(&c->reply, p, len, &used);
            if (result == AB_REPLY_BROKEN) {
                ab_shared_fail_mp(c->worker->shared, "the server sent something that is not RESP");
                return;
            }
            if (result == AB_REPLY_MORE) {
                c->reply_bytes += used;
                return;
            }
        }
        if (c->head == c->tail) {
            ab_shared_fail_mp(c->worker->shared, "the server sent a reply that nobody asked for");
            return;
        }
        uint64_t bytes = c->reply_bytes + used;
        c->reply_bytes = 0;
        p += used;
        len -= used;
        reply_done(c, now_ns, bytes);
    }
}

static void on_received(struct io_sock *s, struct io_buf *buf, int len)
{
    struct ab_conn *c = conn_of(s);
    if (len > 0) {
        read_replies(c, buf->data, (size_t)len, ab_now_ns());
        worker__record_pending(c->worker);
        io_buf_release(buf);
        return;
    }
    if (!c->closing) {
        char name[300];
        conn_name(c, name);
        if (len < 0 && !c->was_open) {
            ab_shared_fail_mp(c->worker->shared, "Could not connect to Redis at %s: %s", name,
                              strerror(-len));
        } else {
            ab_shared_fail_mp(c->worker->shared, "the server %s closed the connection%s%s", name,
                              len < 0 ? ": " : "", len < 0 ? strerror(-len) : "");
        }
    }
}

const struct io_handlers worker__handlers = {
    .received = on_received, .sent = on_sent, .closed = on_closed,
};

/* Hands what has been encoded to the ring, stamped with now. */
void worker__flush(struct ab_worker *w, uint64_t now_ns)
{
    struct ab_conn *c = w->dirty;
    bool timed = worker__is_timed(w->spec);

    w->dirty = NULL;
    while (c) {
        struct ab_conn *next = c->next_dirty;
        struct ab_out *o = &c->out[c->filling];
        c->dirty = false;
        if (!c->closing && !io_sock_sending(&c->sock) && o->len > 0) {
            struct iovec piece = {o->bytes, o->len};
            for (uint32_t i = c->tail; i != c->head && c->ring[(i - 1) & c->mask].sent_ns == 0; i--) {
                struct ab_request *r = &c->ring[(i - 1) & c->mask];
                r->sent_ns = now_ns;
                if (!timed && r->tries == 0) {
                    r->intended_ns = now_ns;
                }
            }
            c->filling = !c->filling;
            io_sock_send(&c->sock, &piece, 1);
        } /* otherwise on_sent() comes back to it */
        c = next;
    }
}
