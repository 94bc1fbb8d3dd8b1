/* io_epoll.c - the epoll backend: the same calls and callbacks where io_uring is not permitted.
 *
 * Sockets are registered once, edge-triggered, for reading and writing; no epoll_ctl() follows
 * until they are closed. What an edge has told is kept in flags (SOCK_READABLE, SOCK_WRITE) until a
 * short read or EAGAIN disproves it, so a request and its reply cost one recv() and one send(), and
 * pausing costs nothing.
 *
 *   io_sock_send ─► ready ──turn: write──► sent()            all sends of a turn in one go
 *   edge, resume ─► ready ──turn: read ≤ 2 buffers──► received(); stays ready while readable
 *
 * E1  A socket with SOCK_WRITE, or SOCK_READABLE and allowed to read (not paused, ended, starved),
 *     is on the ready list; a starved one with SOCK_WRITE is found on the starved list.
 * E2  A turn that begins or goes on with a non-empty ready list does not wait.
 */
#include "io/io_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    EPOLL_EVENTS_MAX = 512,
    EPOLL_READS_MAX = 2,    /* buffers of one socket in a turn */
    EPOLL_WRITES_MAX = 4,   /* system calls for one send in a turn */
    EPOLL_ACCEPTS_MAX = 64, /* of one listener in a turn */
};

enum tag { TAG_SOCK, TAG_ACCEPT, TAG_WAKE, TAG_MASK = 7 };

struct epoll {
    struct io io;
    int fd;
    bool no_pwait2; /* the kernel or a filter refuses it: milliseconds will do */
    struct epoll_event events[EPOLL_EVENTS_MAX];
};

static struct epoll *epoll_of(struct io *io)
{
    return (struct epoll *)io; /* io is the first member */
}

static int watch(struct epoll *e, int op, int fd, uint32_t events, const void *p, enum tag tag)
{
    struct epoll_event ev = {.events = events};
    ev.data.u64 = (uint64_t)(uintptr_t)p | tag;
    return epoll_ctl(e->fd, op, fd, &ev) < 0 ? -errno : 0;
}

static void make_ready(struct io *io, struct io_sock *s)
{
    if (!(s->flags_ & (SOCK_READY | SOCK_CLOSING))) {
        s->flags_ |= SOCK_READY;
        io__list_move(&io->ready, s);
    }
}

static bool may_read(const struct io_sock *s)
{
    return (s->flags_ & (SOCK_READABLE | SOCK_PAUSED | SOCK_ENDED | SOCK_STARVED | SOCK_CLOSING)) ==
           SOCK_READABLE;
}

/* ---- one socket -------------------------------------------------------------------------- */

static int write_some(struct io_sock *s)
{
    for (int i = 0; i < EPOLL_WRITES_MAX; i++) {
        ssize_t n =
            s->flags_ & SOCK_MANY
                ? sendmsg(s->fd, &s->many_->msg, MSG_NOSIGNAL | MSG_DONTWAIT)
                : send(s->fd, s->one_.iov_base, s->one_.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            s->flags_ &= ~SOCK_WRITE; /* the next edge sets it again */
            return 0;
        }
        if (n < 0) {
            io__send_done(s, -errno);
            return 1;
        }
        if (io__send_advance(s, (size_t)n) == 0) {
            io__send_done(s, (ssize_t)s->sent_bytes_);
            return 1;
        }
    }
    return 0;
}

static int read_some(struct io *io, struct io_sock *s)
{
    int done = 0;

    for (int i = 0; i < EPOLL_READS_MAX && may_read(s); i++) {
        struct io_buf *buf = io__buf_take(io);
        if (!buf) {
            s->flags_ &= ~SOCK_READY;
            io__sock_starve(s);
            return done;
        }
        ssize_t n = recv(s->fd, buf->data, IO_BUF_BYTES, MSG_DONTWAIT);
        int error = errno;
        if (n > 0) {
            if (n < IO_BUF_BYTES && !(s->flags_ & SOCK_HUNG_UP)) {
                s->flags_ &= ~SOCK_READABLE; /* drained: what comes now makes a new edge */
            }
            done++;
            io->handlers->received(s, buf, (int)n);
            continue;
        }
        io_buf_release(buf);
        if (n < 0 && error == EINTR) {
            continue;
        }
        if (n < 0 && error == EAGAIN) {
            s->flags_ &= ~(SOCK_READABLE | SOCK_HUNG_UP);
            break;
        }
        s->flags_ |= SOCK_ENDED;
        s->flags_ &= ~SOCK_READABLE;
        done++;
        io->handlers->received(s, NULL, n == 0 ? 0 : -error);
    }
    return done;
}

/* ---- calls ------------------------------------------------------------------------------- */

static void epoll_sock_open(struct io *io, struct io_sock *s)
{
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

    if (watch(epoll_of(io), EPOLL_CTL_ADD, s->fd, events, s, TAG_SOCK) < 0) {
        /* No memory. Nothing would ever wake it: let the caller read the end of the stream. */
        shutdown(s->fd, SHUT_RDWR);
        s->flags_ |= SOCK_READABLE | SOCK_HUNG_UP;
        make_ready(io, s);
    }
}

static void epoll_sock_pause(struct io *io, struct io_sock *s)
{
}

static void epoll_sock_receive(struct io *io, struct io_sock *s)
{
    if (may_read(s) || (s->flags_ & SOCK_WRITE)) {
        make_ready(io, s); /* E1 */
    }
}

static void epoll_sock_send(struct io *io, struct io_sock *s)
{
    s->flags_ |= SOCK_WRITE;
    if (!(s->flags_ & SOCK_STARVED)) { /* those are few and rare: their list is looked through */
        make_ready(io, s);
    }
}

static void epoll_sock_close(struct io *io, struct io_sock *s)
{
    /* Deleted although close() would do it: a forked child may share the file. */
    epoll_ctl(epoll_of(io)->fd, EPOLL_CTL_DEL, s->fd, NULL);
    s->flags_ &= ~SOCK_READY;
    io__sock_end(s);
}

static int epoll_accept_start(struct io *io, struct io_accept *a)
{
    int rc = watch(epoll_of(io), EPOLL_CTL_ADD, a->fd, EPOLLIN | EPOLLEXCLUSIVE, a, TAG_ACCEPT);
    a->live = rc == 0;
    return rc;
}

static void epoll_accept_stop(struct io *io, struct io_accept *a)
{
    if (a->live) {
        epoll_ctl(epoll_of(io)->fd, EPOLL_CTL_DEL, a->fd, NULL);
        a->live = false;
    }
}

static int accept_some(struct io *io, struct io_accept *a)
{
    int done = 0;

    for (; done < EPOLL_ACCEPTS_MAX && a->listener; done++) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            io->handlers->accepted(a->listener, fd);
            continue;
        }
        int error = -errno;
        if (error == -EAGAIN) {
            break;
        }
        io__accept_failed(io, a, error);
        if (a->resume_ns != 0) {
            epoll_accept_stop(io, a); /* level-triggered: it would not let us sleep */
            break;
        }
    }
    return done;
}

/* ---- the turn ---------------------------------------------------------------------------- */

/* First all sends, then waiting: their bytes are on the way while we sleep. */
static int write_ready(struct io *io)
{
    struct io_sock ready;
    int done = 0;

    io__list_take(&ready, &io->ready);
    while (!io__list_is_empty(&ready)) {
        struct io_sock *s = ready.next_;
        s->flags_ &= ~SOCK_READY;
        io__list_move(&io->quiet, s);
        if (s->flags_ & SOCK_WRITE) {
            done += write_some(s);
        }
        if (may_read(s) || (s->flags_ & SOCK_WRITE)) {
            make_ready(io, s);
        }
    }
    return done;
}

static int service_ready(struct io *io)
{
    struct io_sock ready;
    int done = 0;

    io__list_take(&ready, &io->ready);
    while (!io__list_is_empty(&ready)) {
        struct io_sock *s = ready.next_;
        s->flags_ &= ~SOCK_READY;
        io__list_move(&io->quiet, s);
        /* SOCK_WRITE of sends that handlers begin now is for the next turn: E1 keeps it ready. */
        if (may_read(s)) {
            done += read_some(io, s);
        }
        if (!(s->flags_ & SOCK_STARVED) && (may_read(s) || (s->flags_ & SOCK_WRITE))) {
            make_ready(io, s);
        }
    }
    return done;
}

static int wait_events(struct epoll *e, int64_t wait_ns)
{
    int n;

    if (wait_ns > 0 && !e->no_pwait2) {
        struct timespec ts = {wait_ns / 1000000000, wait_ns % 1000000000};
        n = epoll_pwait2(e->fd, e->events, EPOLL_EVENTS_MAX, &ts, NULL);
        if (n >= 0 || errno == EINTR) {
            return n < 0 ? 0 : n;
        }
        assert(errno == ENOSYS || errno == EPERM);
        e->no_pwait2 = true;
    }
    int64_t wait_ms = wait_ns <= 0 ? wait_ns : (wait_ns + 999999) / 1000000;
    if (wait_ms > INT_MAX) {
        wait_ms = INT_MAX;
    }
    n = epoll_wait(e->fd, e->events, EPOLL_EVENTS_MAX, wait_ms < 0 ? -1 : (int)wait_ms);
    assert(n >= 0 || errno == EINTR);
    return n < 0 ? 0 : n;
}

static int note_event(struct epoll *e, const struct epoll_event *ev)
{
    struct io *io = &e->io;
    void *p = (void *)(uintptr_t)(ev->data.u64 & ~(uint64_t)TAG_MASK);

    switch ((enum tag)(ev->data.u64 & TAG_MASK)) {
    case TAG_ACCEPT:
        return accept_some(io, p);
    case TAG_WAKE: /* edge-triggered: nobody reads it */
        io__wake_seen(io);
        return 1;
    case TAG_SOCK: {
        struct io_sock *s = p;
        if (ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            s->flags_ |= SOCK_READABLE;
        }
        if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            s->flags_ |= SOCK_HUNG_UP;
        }
        if ((ev->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && (s->flags_ & SOCK_SENDING) &&
            !(s->flags_ & SOCK_CLOSING)) {
            s->flags_ |= SOCK_WRITE;
        }
        if (!(s->flags_ & SOCK_STARVED) && (may_read(s) || (s->flags_ & SOCK_WRITE))) {
            make_ready(io, s);
        }
        return 0;
    }
    default:
        abort();
    }
}

/* Sockets without a buffer can still send. *again: there is more to write at once. */
static int write_starved(struct io *io, bool *again)
{
    struct io_sock starved;
    int done = 0;

    io__list_take(&starved, &io->starved);
    while (!io__list_is_empty(&starved)) {
        struct io_sock *s = starved.next_;
        io__list_move(&io->starved, s);
        if (s->flags_ & SOCK_WRITE) {
            done += write_some(s);
            *again |= s->flags_ & SOCK_WRITE;
        }
    }
    return done;
}

static int epoll_turn(struct io *io, int64_t wait_ns)
{
    struct epoll *e = epoll_of(io);
    bool again = false;
    int done = 0;

    if (!io__list_is_empty(&io->ready)) {
        done += write_ready(io);
    }
    if (!io__list_is_empty(&io->starved)) {
        done += write_starved(io, &again);
    }
    if (done > 0 || again || !io__list_is_empty(&io->ready)) {
        wait_ns = 0; /* E2 */
    }
    int n = wait_events(e, wait_ns);
    for (int i = 0; i < n; i++) {
        done += note_event(e, &e->events[i]);
    }
    if (!io__list_is_empty(&io->ready)) {
        done += service_ready(io);
    }
    return done;
}

/* ---- creation ---------------------------------------------------------------------------- */

static void epoll_destroy(struct io *io)
{
    struct epoll *e = epoll_of(io);

    if (e->fd >= 0) {
        close(e->fd);
    }
    io__fini(io);
    free(e);
}

static const struct io_ops epoll_ops = {
    .name = "epoll",
    .turn = epoll_turn,
    .sock_open = epoll_sock_open,
    .sock_pause = epoll_sock_pause,
    .sock_receive = epoll_sock_receive,
    .sock_send = epoll_sock_send,
    .sock_close = epoll_sock_close,
    .accept_start = epoll_accept_start,
    .accept_stop = epoll_accept_stop,
    .destroy = epoll_destroy,
};

int io__epoll_create(struct io **out, const struct io_config *config)
{
    struct epoll *e = aligned_alloc(_Alignof(struct epoll), sizeof *e);
    if (!e) {
        return -ENOMEM;
    }
    memset(e, 0, sizeof *e);
    e->fd = -1;
    int rc = io__init(&e->io, config, &epoll_ops);
    if (rc < 0) {
        free(e);
        return rc;
    }
    e->fd = epoll_create1(EPOLL_CLOEXEC);
    rc = e->fd < 0 ? -errno
                   : watch(e, EPOLL_CTL_ADD, e->io.wake_fd, EPOLLIN | EPOLLET, NULL, TAG_WAKE);
    if (rc < 0) {
        epoll_destroy(&e->io);
        return rc;
    }
    *out = &e->io;
    return 0;
}
