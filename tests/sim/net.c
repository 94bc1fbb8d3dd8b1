/* net.c - io/io.h in memory (see sim.h). A shard's io knows the sockets of its connections; what a
 * client has sent arrives in portions of any size, one at a time, and so does what is sent to it.
 * Siblings share an io, as on one thread. Wake-ups are a flag, as an eventfd is. Nothing here fails,
 * and nobody listens. */
#include "io/io.h"
#include "shards/listener.h"
#include "tests/sim/sim.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FD_FIRST = 1 << 20, PIPE_BYTES = 65536 };

struct io {
    const struct io_handlers *handlers;
    unsigned shard;
    bool woken;
};

/* One connection. */
struct line {
    struct io_sock *sock; /* NULL: not accepted yet */
    struct io *io;
    struct shard *home;
    bool arriving, paused;
    bool hung_up, end_told, closing;
    char in[PIPE_BYTES]; /* sent by the client, not yet received */
    size_t in_len;
    bool sending;
    struct iovec out[IO_IOV_MAX];
    int out_at, out_count;
    size_t out_bytes;    /* of this send, gone */
};

static struct line lines[SIM_CLIENTS_MAX];
static struct io ios[SIM_SHARDS_MAX];

/* --- the clients' side ----------------------------------------------------------------------- */

void sim_net_connect(unsigned client, unsigned shard)
{
    lines[client].home = sim_server->shards[shard];
    lines[client].io = lines[client].home->io;
    lines[client].arriving = true;
}

void sim_net_leave(unsigned client)
{
    lines[client].hung_up = true;
}

void sim_net_send(unsigned client, const char *bytes, size_t len)
{
    struct line *l = &lines[client];
    if (l->in_len + len > sizeof l->in) {
        abort(); /* a few commands never are that long */
    }
    memcpy(l->in + l->in_len, bytes, len);
    l->in_len += len;
}

/* --- events ---------------------------------------------------------------------------------- */

static bool may_receive(const struct line *l)
{
    return !l->paused && !l->end_told && !l->closing && (l->in_len > 0 || l->hung_up);
}

static bool line_pending(const struct line *l)
{
    return l->arriving ||
           (l->sock != NULL && (l->closing || l->sending || may_receive(l)));
}

bool sim_net_pending(const struct io *io)
{
    if (io->woken) {
        return true;
    }
    for (unsigned i = 0; i < SIM_CLIENTS_MAX; i++) {
        if (lines[i].io == io && line_pending(&lines[i])) {
            return true;
        }
    }
    return false;
}

static size_t portion(size_t len)
{
    return len > 1 && sim_one_in(3) ? 1 + sim_below((unsigned)len) : len;
}

static void receive(struct line *l)
{
    if (l->hung_up && (l->in_len == 0 || sim_one_in(4))) { /* a reset drops what was sent */
        l->end_told = true;
        sim_fiber_trace("client %u has gone", (unsigned)(l - lines));
        l->io->handlers->received(l->sock, NULL, l->in_len == 0 ? 0 : -ECONNRESET);
        return;
    }
    size_t n = portion(l->in_len);
    struct io_buf *buf = malloc(sizeof *buf);
    *buf = (struct io_buf){.data = malloc(n), .refs = 1, .io = l->io};
    memcpy(buf->data, l->in, n);
    memmove(l->in, l->in + n, l->in_len - n);
    l->in_len -= n;
    sim_fiber_trace("receives %zu bytes of client %u", n, (unsigned)(l - lines));
    l->io->handlers->received(l->sock, buf, (int)n);
}

/* Reports the send when all of it is gone. */
static void transmit(struct line *l)
{
    if (l->hung_up && sim_one_in(2)) {
        l->sending = false;
        l->io->handlers->sent(l->sock, -EPIPE);
        return;
    }
    while (l->out_at < l->out_count) {
        struct iovec *v = &l->out[l->out_at];
        size_t n = portion(v->iov_len);
        sim_client_received((unsigned)(l - lines), v->iov_base, n);
        l->out_bytes += n;
        v->iov_base = (char *)v->iov_base + n;
        v->iov_len -= n;
        if (v->iov_len > 0) {
            return;
        }
        l->out_at++;
    }
    l->sending = false;
    l->io->handlers->sent(l->sock, (ssize_t)l->out_bytes);
}

static void end_line(struct line *l)
{
    struct io_sock *sock = l->sock;
    if (l->sending) {
        l->sending = false;
        l->io->handlers->sent(sock, -ECANCELED);
    }
    l->sock = NULL;
    l->closing = false;
    l->io->handlers->closed(sock);
}

static int deliver(struct io *io)
{
    int done = 0;
    unsigned first = sim_below(SIM_CLIENTS_MAX);
    for (unsigned k = 0; k < SIM_CLIENTS_MAX; k++) {
        struct line *l = &lines[(first + k) % SIM_CLIENTS_MAX];
        if (l->io != io || !line_pending(l) || sim_one_in(5)) {
            continue;
        }
        done++;
        if (l->arriving) {
            l->arriving = false;
            conn_accept(l->home, FD_FIRST + (int)(l - lines), false);
            continue;
        }
        if (l->closing) {
            end_line(l);
            continue;
        }
        if (l->sending) {
            transmit(l);
        }
        if (may_receive(l)) {
            receive(l);
        }
    }
    return done;
}

/* --- the shards' side ------------------------------------------------------------------------ */

int io_turn(struct io *io, int64_t wait_ns)
{
    sched_point("turn");
    int done = deliver(io);
    if (done > 0 || io->woken) {
        wait_ns = 0;
    }
    uint64_t deadline_ns = wait_ns < 0 ? UINT64_MAX : sim_now_ns + (uint64_t)wait_ns;
    while (wait_ns != 0 && done == 0 && !io->woken && sim_now_ns < deadline_ns) {
        sim_fiber_wait(deadline_ns);
        done = deliver(io);
    }
    io->woken = false;
    if (done == 0 && wait_ns == 0) {
        sched_rest(); /* busy: let the others do what it waits for */
    }
    return done;
}

void io_wake_mp(struct io *target, struct io *from)
{
    (void)from;
    target->woken = true;
}

int io_create(struct io **out, const struct io_config *config, const char **why)
{
    struct io *io = &ios[shard_self->id];
    *io = (struct io){.handlers = config->handlers, .shard = shard_self->id};
    *out = io;
    *why = "simulated";
    return 0;
}

const char *io_backend_name(const struct io *io)
{
    (void)io;
    return "simulated";
}

static struct line *line_of(const struct io_sock *s)
{
    return &lines[s->fd - FD_FIRST];
}

void io_sock_open(struct io *io, struct io_sock *s, int fd)
{
    s->fd = fd;
    s->io_ = io;
    line_of(s)->sock = s;
}

void io_sock_pause(struct io_sock *s)
{
    line_of(s)->paused = true;
}

void io_sock_resume(struct io_sock *s)
{
    line_of(s)->paused = false;
}

void io_sock_send(struct io_sock *s, const struct iovec *iov, int count)
{
    struct line *l = line_of(s);
    assert(!l->sending && count <= IO_IOV_MAX);
    memcpy(l->out, iov, (size_t)count * sizeof *iov);
    l->out_at = 0;
    l->out_count = count;
    l->out_bytes = 0;
    l->sending = true;
}

bool io_sock_sending(const struct io_sock *s)
{
    return line_of(s)->sending;
}

void io_sock_close(struct io_sock *s)
{
    struct line *l = line_of(s);
    if (!l->hung_up) {
        sim_fail("the server closes the connection of client %u", (unsigned)(l - lines));
    }
    l->closing = true;
}

void io_buf_hold(struct io_buf *buf)
{
    assert(buf->refs > 0);
    buf->refs++;
}

void io_buf_release(struct io_buf *buf)
{
    assert(buf->refs > 0);
    if (--buf->refs == 0) {
        free(buf->data);
        free(buf);
    }
}

/* --- listener.h: nobody listens -------------------------------------------------------------- */

void listeners_start(struct listeners *l, struct shard *shard)
{
    (void)l;
    (void)shard;
}

bool listeners_change(struct listeners *l, struct shard *shard, const struct config *old,
                      const struct config *fresh)
{
    (void)l;
    (void)shard;
    (void)old;
    (void)fresh;
    return false;
}

void listener_accepted(struct io_listener *l, int fd)
{
    (void)l;
    (void)fd;
}
