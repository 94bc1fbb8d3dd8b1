/* io.c - what both backends have in common: the life of sockets and listeners, receive buffers,
 * send records, wake-ups by eventfd, and the choice of the backend. See io_internal.h for the
 * lists a socket moves through, README.md for the rules.
 *
 * Everything runs on the owner's thread, but io_wake_mp().
 */
#include "io/io.h"

#include "io/io_internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(struct io_sock) <= 64, "a server has tens of thousands of sockets");
static_assert(IO__IOV_SMALL <= (int)IO_IOV_MAX, "two sizes of send records");

int (*io__uring_refusal)(void);

static uint64_t mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- creation ---------------------------------------------------------------------------- */

static const char *refusal_reason(int error)
{
    switch (error) {
    case -EPERM:
    case -EACCES:
        return "io_uring is not permitted here (seccomp or kernel.io_uring_disabled)";
    case -ENOSYS:
        return "this kernel has no io_uring";
    case -EINVAL:
    case -EOPNOTSUPP:
        return "this kernel's io_uring is too old (Linux 6.1 is needed)";
    case -ENOMEM:
        return "io_uring got no memory (see RLIMIT_MEMLOCK)";
    default:
        return "io_uring cannot be used";
    }
}

int io_create(struct io **out, const struct io_config *config, const char **why)
{
    static _Thread_local char text[200];
    int rc;

    *out = NULL;
    if (config->buffers == 0 || config->buffers > 32768 ||
        (config->buffers & (config->buffers - 1)) != 0 || config->entries == 0) {
        *why = "buffers must be a power of two up to 32768, and entries not 0";
        return -EINVAL;
    }

    if (config->backend == IO_EPOLL) {
        *why = "the configuration asks for epoll";
        return io__epoll_create(out, config);
    }

    rc = io__uring_refusal ? io__uring_refusal() : 0;
    if (rc == 0) {
        rc = io__uring_create(out, config);
    }
    if (rc == 0) {
        *why = config->backend == IO_AUTO ? "io_uring is available"
                                          : "the configuration asks for io_uring";
        return 0;
    }
    snprintf(text, sizeof text, "%s: %s", refusal_reason(rc), strerror(-rc));
    *why = text;
    return config->backend == IO_AUTO ? io__epoll_create(out, config) : rc;
}

/* From one receive buffer to the next: no power of two, so that the beginnings of the buffers do not
 * fall into the same few sets of the caches. */
enum { BUF_STRIDE_BYTES = IO_BUF_BYTES + 5 * 64 };

int io__init(struct io *io, const struct io_config *config, const struct io_ops *ops)
{
    size_t bytes = (size_t)config->buffers * BUF_STRIDE_BYTES;

    io->ops = ops;
    io->handlers = config->handlers;
    io->thread = pthread_self();
    io->buf_count = config->buffers;
    io__list_init(&io->quiet);
    io__list_init(&io->starved);
    io__list_init(&io->ready);
    io__list_init(&io->ending);
    atomic_init(&io->wake_pending, false);

    io->bufs = calloc(config->buffers, sizeof *io->bufs);
    io->free_ids = calloc(config->buffers, sizeof *io->free_ids);
    io->buf_memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (io->buf_memory == MAP_FAILED) {
        io->buf_memory = NULL;
    }
    /* Blocking: written by many, but never read (io_uring), or read once it is readable (epoll). */
    io->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (!io->bufs || !io->free_ids || !io->buf_memory || io->wake_fd < 0) {
        int rc = io->wake_fd < 0 ? -errno : -ENOMEM;
        io__fini(io);
        return rc;
    }

    for (uint32_t i = 0; i < config->buffers; i++) {
        io->bufs[i].data = io->buf_memory + (size_t)i * BUF_STRIDE_BYTES;
        io->bufs[i].id = (uint16_t)i;
        io->bufs[i].io = io;
        io->free_ids[i] = (uint16_t)(config->buffers - 1 - i); /* the first are used first */
    }
    io->free_count = config->buffers;
    return 0;
}

void io__fini(struct io *io)
{
    for (int size = 0; size < 2; size++) {
        while (io->send_free[size]) {
            struct io_send *send = io->send_free[size];
            io->send_free[size] = send->next_free;
            free(send);
        }
    }
    while (io->accepts) {
        struct io_accept *a = io->accepts;
        io->accepts = a->next;
        free(a);
    }
    if (io->wake_fd >= 0) {
        close(io->wake_fd);
    }
    if (io->buf_memory) {
        munmap(io->buf_memory, (size_t)io->buf_count * BUF_STRIDE_BYTES);
    }
    free(io->free_ids);
    free(io->bufs);
}

static void mute_accepted(struct io_listener *l, int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void mute_received(struct io_sock *s, struct io_buf *buf, int len)
{
    if (buf) {
        io_buf_release(buf);
    }
}

static void mute_sent(struct io_sock *s, ssize_t result)
{
}

static void mute_closed(struct io_sock *s)
{
}

static void close_all(struct io_sock *head)
{
    struct io_sock *next;
    for (struct io_sock *s = head->next_; s != head; s = next) {
        next = s->next_;
        io_sock_close(s);
    }
}

/* Closes everything the ordinary way, without the caller's handlers, so that the kernel is done
 * with our memory and the caller's before either is freed. */
void io_destroy(struct io *io)
{
    static const struct io_handlers mute = {mute_accepted, mute_received, mute_sent, mute_closed};

    assert(!io->in_turn);
    io->handlers = &mute;
    for (struct io_accept *a = io->accepts; a; a = a->next) {
        if (a->listener) {
            io_unlisten(io, a->listener);
        }
    }
    close_all(&io->quiet);
    close_all(&io->starved);
    close_all(&io->ready);
    for (int i = 0; i < IO__DESTROY_TURNS_MAX; i++) {
        if (io__list_is_empty(&io->quiet) && io__list_is_empty(&io->ready) &&
            io__list_is_empty(&io->ending) && !io->accepts) {
            break;
        }
        io_turn(io, 10 * 1000000);
    }
    io->ops->destroy(io);
}

const char *io_backend_name(const struct io *io)
{
    return io->ops->name;
}

/* ---- the turn ---------------------------------------------------------------------------- */

static void sweep_accepts(struct io *io)
{
    struct io_accept **link = &io->accepts;

    io->accepts_dead = false;
    while (*link) {
        struct io_accept *a = *link;
        if (!a->listener && !a->live && !a->cancelling) {
            *link = a->next;
            free(a);
        } else {
            io->accepts_dead |= !a->listener;
            link = &a->next;
        }
    }
}

/* Starts again what has paused long enough; returns how long the turn may wait. */
static int64_t resume_accepts(struct io *io, int64_t wait_ns)
{
    uint64_t now_ns = mono_ns();

    io->accepts_pausing = false;
    for (struct io_accept *a = io->accepts; a; a = a->next) {
        if (a->resume_ns == 0 || !a->listener) {
            continue;
        }
        if (a->resume_ns <= now_ns) {
            a->resume_ns = 0;
            if (io->ops->accept_start(io, a) == 0) {
                continue;
            }
            a->resume_ns = now_ns + IO__ACCEPT_PAUSE_MS * 1000000ull;
        }
        io->accepts_pausing = true;
        int64_t rest_ns = (int64_t)(a->resume_ns - now_ns);
        if (wait_ns < 0 || wait_ns > rest_ns) {
            wait_ns = rest_ns;
        }
    }
    return wait_ns;
}

/* At most one starved socket for each buffer there is, oldest first, so that a thousand of them do
 * not run after one buffer. Those that are left have the next turn, which then does not wait. */
static void feed_starved(struct io *io)
{
    for (uint32_t n = io_buf_available(io); n > 0 && !io__list_is_empty(&io->starved); n--) {
        struct io_sock *s = io->starved.next_;
        s->flags_ &= ~SOCK_STARVED;
        io__list_move(&io->quiet, s);
        io->ops->sock_receive(io, s);
    }
}

static int finish_ending(struct io *io, struct io_sock *ending)
{
    int done = 0;

    while (!io__list_is_empty(ending)) {
        struct io_sock *s = ending->next_;
        assert(s->flags_ & SOCK_CLOSING);
        if (s->flags_ & SOCK_SENDING) {
            io__send_done(s, -ECANCELED); /* I3 */
        }
        io__list_unlink(s);
        close(s->fd);
        s->fd = -1;
        io->handlers->closed(s); /* s is gone */
        done++;
    }
    return done;
}

int io_turn(struct io *io, int64_t wait_ns)
{
    struct io_sock ending;
    int done = 0;

    assert(pthread_equal(io->thread, pthread_self()) && !io->in_turn);
    io->in_turn = true;
    if (io->accepts_dead) {
        sweep_accepts(io);
    }
    if (io->accepts_pausing) {
        wait_ns = resume_accepts(io, wait_ns);
    }
    if (!io__list_is_empty(&io->starved)) {
        feed_starved(io);
        if (!io__list_is_empty(&io->starved) && io_buf_available(io) > 0) {
            wait_ns = 0;
        }
    }
    if (io->woken_by_self) {
        io->woken_by_self = false;
        wait_ns = 0;
        done++;
    }

    /* Only those that were ending before this turn: closed() comes in a later turn than the call
     * of io_sock_close(). */
    io__list_take(&ending, &io->ending);
    if (!io__list_is_empty(&ending)) {
        wait_ns = 0;
    }
    done += io->ops->turn(io, wait_ns);
    done += finish_ending(io, &ending);
    io->in_turn = false;
    return done;
}

/* ---- wake-ups ---------------------------------------------------------------------------- */

/* wake_pending saves system calls when many wake at once. The owner clears it after it has consumed
 * the event, inside a turn: who finds it set before that has its wake-up in this turn's return; who
 * comes after finds it clear and writes. */
void io_wake_mp(struct io *target, struct io *from)
{
    if (from == target) {
        target->woken_by_self = true;
        return;
    }
    if (from && io__uring_wake(target, from)) {
        return;
    }
    if (!atomic_exchange(&target->wake_pending, true)) {
        const uint64_t one = 1;
        ssize_t rc;
        do {
            rc = write(target->wake_fd, &one, sizeof one);
        } while (rc < 0 && errno == EINTR);
        assert(rc == sizeof one);
    }
}

void io__wake_seen(struct io *io)
{
    atomic_exchange(&io->wake_pending, false);
}

/* ---- listeners --------------------------------------------------------------------------- */

int io_listen(struct io *io, struct io_listener *l, int fd)
{
    struct io_accept *a = calloc(1, sizeof *a);
    if (!a) {
        return -ENOMEM;
    }
    a->fd = fd;
    a->listener = l;
    int rc = io->ops->accept_start(io, a);
    if (rc < 0) {
        free(a);
        return rc;
    }
    a->next = io->accepts;
    io->accepts = a;
    l->fd = fd;
    l->io_ = io;
    l->accept_ = a;
    return 0;
}

void io_unlisten(struct io *io, struct io_listener *l)
{
    struct io_accept *a = l->accept_;
    if (!a) {
        return;
    }
    assert(l->io_ == io && a->listener == l);
    l->accept_ = NULL;
    a->listener = NULL;
    a->resume_ns = 0;
    io->accepts_dead = true;
    io->ops->accept_stop(io, a);
}

/* One connection has failed, the next may be fine. */
static bool accept_error_is_passing(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPERM: /* a firewall's rule */
    case EINTR:
    case EAGAIN:
        return true;
    default:
        return false;
    }
}

void io__accept_failed(struct io *io, struct io_accept *a, int error)
{
    if (!accept_error_is_passing(error)) {
        a->resume_ns = mono_ns() + IO__ACCEPT_PAUSE_MS * 1000000ull;
        io->accepts_pausing = true;
    }
    if (error != -EAGAIN && error != -EINTR) {
        io->handlers->accepted(a->listener, error);
    }
}

/* ---- sockets ----------------------------------------------------------------------------- */

void io_sock_open(struct io *io, struct io_sock *s, int fd)
{
    s->fd = fd;
    s->flags_ = 0;
    s->io_ = io;
    io__list_append(&io->quiet, s);
    io->ops->sock_open(io, s);
}

void io_sock_pause(struct io_sock *s)
{
    if (!(s->flags_ & (SOCK_PAUSED | SOCK_ENDED | SOCK_CLOSING))) {
        s->flags_ |= SOCK_PAUSED;
        s->io_->ops->sock_pause(s->io_, s);
    }
}

void io_sock_resume(struct io_sock *s)
{
    if (s->flags_ & SOCK_PAUSED) {
        s->flags_ &= ~SOCK_PAUSED;
        if (!(s->flags_ & (SOCK_ENDED | SOCK_CLOSING | SOCK_STARVED))) {
            s->io_->ops->sock_receive(s->io_, s);
        }
    }
}

void io_sock_close(struct io_sock *s)
{
    if (s->flags_ & SOCK_CLOSING) {
        return;
    }
    if (s->flags_ & SOCK_STARVED) {
        s->flags_ &= ~SOCK_STARVED;
        io__list_move(&s->io_->quiet, s);
    }
    s->flags_ |= SOCK_CLOSING;
    s->io_->ops->sock_close(s->io_, s);
}

void io__sock_end(struct io_sock *s)
{
    assert((s->flags_ & (SOCK_CLOSING | SOCK_ENDING)) == SOCK_CLOSING);
    s->flags_ |= SOCK_ENDING;
    io__list_move(&s->io_->ending, s);
}

void io__sock_starve(struct io_sock *s)
{
    assert(!(s->flags_ & (SOCK_STARVED | SOCK_CLOSING)));
    s->flags_ |= SOCK_STARVED;
    io__list_move(&s->io_->starved, s);
}

/* ---- sends ------------------------------------------------------------------------------- */

static struct io_send *send_take(struct io *io, bool large)
{
    struct io_send *send = io->send_free[large];
    if (send) {
        io->send_free[large] = send->next_free;
        io->send_free_count[large]--;
        return send;
    }
    send = malloc(sizeof *send + sizeof(struct iovec) * (large ? IO_IOV_MAX : IO__IOV_SMALL));
    if (!send) {
        abort(); /* a few hundred bytes */
    }
    memset(&send->msg, 0, sizeof send->msg);
    send->large = large;
    return send;
}

static void send_give_back(struct io *io, struct io_send *send)
{
    if (io->send_free_count[send->large] >= IO__SEND_FREE_MAX) {
        free(send);
        return;
    }
    send->next_free = io->send_free[send->large];
    io->send_free[send->large] = send;
    io->send_free_count[send->large]++;
}

void io_sock_send(struct io_sock *s, const struct iovec *iov, int count)
{
    struct io *io = s->io_;

    assert(!(s->flags_ & SOCK_SENDING)); /* I2 */
    assert(count >= 0 && count <= IO_IOV_MAX);
    s->flags_ |= SOCK_SENDING;
    s->sent_bytes_ = 0;
    if (count <= 1) {
        s->one_ = count == 1 ? iov[0] : (struct iovec){NULL, 0};
    } else {
        struct io_send *send = send_take(io, count > IO__IOV_SMALL);
        send->left = 0;
        for (int i = 0; i < count; i++) {
            send->iov[i] = iov[i];
            send->left += iov[i].iov_len;
        }
        send->msg.msg_iov = send->iov;
        send->msg.msg_iovlen = (size_t)count;
        s->many_ = send;
        s->flags_ |= SOCK_MANY;
    }
    if (!(s->flags_ & SOCK_CLOSING)) {
        io->ops->sock_send(io, s);
    }
}

bool io_sock_sending(const struct io_sock *s)
{
    return s->flags_ & SOCK_SENDING;
}

size_t io__send_left(const struct io_sock *s)
{
    return s->flags_ & SOCK_MANY ? s->many_->left : s->one_.iov_len;
}

size_t io__send_advance(struct io_sock *s, size_t bytes)
{
    assert(bytes <= io__send_left(s));
    s->sent_bytes_ += bytes;
    if (!(s->flags_ & SOCK_MANY)) {
        s->one_.iov_base = (char *)s->one_.iov_base + bytes;
        s->one_.iov_len -= bytes;
        return s->one_.iov_len;
    }

    struct io_send *send = s->many_;
    struct msghdr *msg = &send->msg;
    send->left -= bytes;
    if (send->left == 0) {
        return 0;
    }
    while (bytes >= msg->msg_iov->iov_len) {
        bytes -= msg->msg_iov->iov_len;
        msg->msg_iov++;
        msg->msg_iovlen--;
    }
    msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + bytes;
    msg->msg_iov->iov_len -= bytes;
    return send->left;
}

void io__send_done(struct io_sock *s, ssize_t result)
{
    if (s->flags_ & SOCK_MANY) {
        send_give_back(s->io_, s->many_);
    }
    s->flags_ &= ~(SOCK_SENDING | SOCK_MANY | SOCK_WRITE);
    s->io_->handlers->sent(s, result);
}

/* ---- buffers ----------------------------------------------------------------------------- */

uint32_t io_buf_available(const struct io *io)
{
    return io->buf_count - io->held_count;
}

struct io_buf *io__buf_take(struct io *io)
{
    if (io->free_count == 0) {
        return NULL;
    }
    struct io_buf *buf = &io->bufs[io->free_ids[--io->free_count]];
    assert(buf->refs == 0);
    buf->refs = 1;
    io->held_count++;
    return buf;
}

void io_buf_hold(struct io_buf *buf)
{
    assert(buf->refs > 0); /* I1 */
    buf->refs++;
}

void io_buf_release(struct io_buf *buf)
{
    assert(buf->refs > 0); /* I1 */
    if (--buf->refs == 0) {
        struct io *io = buf->io;
        io->held_count--;
        io->free_ids[io->free_count++] = buf->id;
    }
}
