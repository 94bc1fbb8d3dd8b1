/* io_uring.c - the io_uring backend.
 *
 * One ring per io, SINGLE_ISSUER and DEFER_TASKRUN: completions are made only while the owner is in
 * io_uring_enter(), so nothing interrupts it, and what arrives during the sends of a turn is taken
 * in the same call. A turn is one enter: submit what was queued, wait, reap.
 *
 *   accept  multishot; ends on errors and is armed again (after a pause if need be)
 *   recv    multishot into a ring of provided buffers; armed again whenever it has ended
 *   send    one piece: SEND, several: SENDMSG; MSG_WAITALL lets the kernel continue short ones
 *   wake    MSG_RING from other rings; a multishot poll on the eventfd for everybody else
 *
 * user_data is a pointer with a tag in its lowest three bits. The object stays in place until all
 * of its requests, cancellations included, have been answered:
 *
 * U1  A request's flag (SOCK_RECV_LIVE …) is set when its entry is queued and cleared by its last
 *     completion, never otherwise.
 * U2  A socket ends (io__sock_end) only when none of the four is set.
 * U3  A cancellation that found nothing although the request is live (it was between two states)
 *     is repeated.
 *
 * Buffers: the kernel takes them first in, first out, so a ring of all of them would walk through
 * 16 MiB of cold memory even for tiny requests. The ring is therefore kept filled to fill_target
 * only, which starts small and doubles whenever the ring runs dry; what is above it stays on the
 * stack of free buffers, the warmest on top.
 *
 * Completion queue overflow loses nothing: the kernel keeps what does not fit (FEAT_NODROP), ends
 * the multishot concerned, and every enter of ours with GETEVENTS moves the rest over.
 */
#include "io/io_internal.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    URING_FILL_MIN = 16, /* buffers in the ring at first */
    URING_BUFFER_GROUP = 1,
    URING_CQ_FACTOR = 4,             /* completion entries for each submission entry */
    URING_SUBMIT_TRIES_MAX = 1000000 /* kernel out of memory: then give up */
};
#define URING_SEND_MAX (1u << 30) /* bytes of one SEND: its result is an int */

enum tag {
    TAG_RECV,
    TAG_SEND,
    TAG_RECV_CANCEL,
    TAG_SEND_CANCEL,
    TAG_ACCEPT,
    TAG_ACCEPT_CANCEL,
    TAG_WAKE,      /* our eventfd, or MSG_RING from another ring */
    TAG_WAKE_SENT, /* a MSG_RING of ours has failed; the pointer is its target */
    TAG_MASK = 7
};
static_assert(TAG_WAKE_SENT <= TAG_MASK, "tags fit into the low bits of a pointer");
static_assert(_Alignof(struct io_sock) >= 8 && _Alignof(struct io_accept) >= 8 &&
                  _Alignof(struct io) >= 8,
              "tagged pointers");

struct uring {
    struct io io;
    struct io_uring ring;
    bool ring_made;
    struct io_uring_buf_ring *buf_ring;
    size_t buf_ring_bytes;
    uint32_t ring_count;  /* buffers that the kernel may take */
    uint32_t fill_target; /* … that it should have */
    bool grown;           /* fill_target, in this turn: once is enough for all that ran dry */
};

static struct uring *uring_of(struct io *io)
{
    return (struct uring *)io; /* io is the first member */
}

static uint64_t tagged(const void *p, enum tag tag)
{
    return (uint64_t)(uintptr_t)p | tag;
}

/* An entry of the submission queue. When it is full, what is in it goes to the kernel first. */
static struct io_uring_sqe *sqe_take(struct uring *u, const void *p, enum tag tag)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    for (int tries = 0; !sqe; tries++) {
        if (tries == URING_SUBMIT_TRIES_MAX) {
            abort();
        }
        if (io_uring_submit(&u->ring) < 0) {
            sched_yield();
        }
        sqe = io_uring_get_sqe(&u->ring);
    }
    sqe->user_data = tagged(p, tag);
    return sqe;
}

static void cancel(struct uring *u, const void *p, enum tag request, enum tag own)
{
    uint64_t user_data = tagged(p, request);
    struct io_uring_sqe *sqe = sqe_take(u, p, own);
    io_uring_prep_cancel64(sqe, user_data, 0);
    sqe->user_data = tagged(p, own);
}

/* ---- buffers ----------------------------------------------------------------------------- */

static void refill(struct uring *u)
{
    struct io *io = &u->io;
    int mask = io_uring_buf_ring_mask(io->buf_count), n = 0;

    while (u->ring_count < u->fill_target && io->free_count > 0) {
        uint16_t id = io->free_ids[--io->free_count];
        io_uring_buf_ring_add(u->buf_ring, io->bufs[id].data, IO_BUF_BYTES, id, mask, n++);
        u->ring_count++;
    }
    if (n > 0) {
        io_uring_buf_ring_advance(u->buf_ring, n);
    }
}

static struct io_buf *buf_from_ring(struct uring *u, uint32_t cqe_flags)
{
    struct io_buf *buf = &u->io.bufs[cqe_flags >> IORING_CQE_BUFFER_SHIFT];

    assert(u->ring_count > 0 && buf->refs == 0);
    u->ring_count--;
    u->io.held_count++;
    buf->refs = 1;
    return buf;
}

/* ---- receiving --------------------------------------------------------------------------- */

static void recv_arm(struct uring *u, struct io_sock *s)
{
    struct io_uring_sqe *sqe = sqe_take(u, s, TAG_RECV);
    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = URING_BUFFER_GROUP;
    sqe->user_data = tagged(s, TAG_RECV);
    s->flags_ |= SOCK_RECV_LIVE;
}

static void recv_cancel(struct uring *u, struct io_sock *s)
{
    if ((s->flags_ & (SOCK_RECV_LIVE | SOCK_RECV_CANCEL)) == SOCK_RECV_LIVE) {
        s->flags_ |= SOCK_RECV_CANCEL;
        cancel(u, s, TAG_RECV, TAG_RECV_CANCEL);
    }
}

static void sock_maybe_end(struct io_sock *s)
{
    if ((s->flags_ & (SOCK_CLOSING | SOCK_ENDING)) == SOCK_CLOSING &&
        !(s->flags_ & (SOCK_RECV_LIVE | SOCK_RECV_CANCEL | SOCK_SEND_LIVE | SOCK_SEND_CANCEL))) {
        io__sock_end(s); /* U2 */
    }
}

static bool recv_error_is_passing(int error)
{
    return error == -ENOBUFS || error == -ECANCELED || error == -EINTR || error == -EAGAIN;
}

/* The ring has run dry. If there are more buffers it was only filled too low. */
static void recv_out_of_buffers(struct uring *u, struct io_sock *s)
{
    if (!u->grown && u->fill_target < u->io.buf_count) {
        u->fill_target *= 2; /* both are powers of two */
        u->grown = true;
    }
    refill(u);
    if (u->ring_count == 0) {
        io__sock_starve(s);
    }
}

static void recv_done(struct uring *u, struct io_sock *s, int res, uint32_t flags)
{
    struct io_buf *buf = flags & IORING_CQE_F_BUFFER ? buf_from_ring(u, flags) : NULL;

    if (!(flags & IORING_CQE_F_MORE)) {
        s->flags_ &= ~SOCK_RECV_LIVE;
    }
    if (buf && (res <= 0 || (s->flags_ & (SOCK_CLOSING | SOCK_ENDED)))) {
        io_buf_release(buf);
        buf = NULL;
    }
    if (s->flags_ & SOCK_CLOSING) {
        sock_maybe_end(s);
        return;
    }
    if (buf) {
        u->io.handlers->received(s, buf, res);
    } else if (res == -ENOBUFS) {
        recv_out_of_buffers(u, s);
    } else if (res <= 0 && !recv_error_is_passing(res) && !(s->flags_ & SOCK_ENDED)) {
        s->flags_ |= SOCK_ENDED;
        u->io.handlers->received(s, NULL, res);
    }
    /* The handler may have closed, paused, or resumed it. */
    if (!(s->flags_ & (SOCK_RECV_LIVE | SOCK_PAUSED | SOCK_ENDED | SOCK_STARVED | SOCK_CLOSING))) {
        recv_arm(u, s);
    }
}

static void uring_sock_open(struct io *io, struct io_sock *s)
{
    recv_arm(uring_of(io), s);
}

static void uring_sock_pause(struct io *io, struct io_sock *s)
{
    recv_cancel(uring_of(io), s);
}

static void uring_sock_receive(struct io *io, struct io_sock *s)
{
    /* When it is live its cancellation is on the way, and it is armed again after that. */
    if (!(s->flags_ & (SOCK_RECV_LIVE | SOCK_PAUSED))) {
        recv_arm(uring_of(io), s);
    }
}

/* ---- sending ----------------------------------------------------------------------------- */

static void uring_sock_send(struct io *io, struct io_sock *s)
{
    const int msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    struct io_uring_sqe *sqe = sqe_take(uring_of(io), s, TAG_SEND);

    if (s->flags_ & SOCK_MANY) {
        io_uring_prep_sendmsg(sqe, s->fd, &s->many_->msg, (unsigned)msg_flags);
    } else {
        size_t bytes = s->one_.iov_len < URING_SEND_MAX ? s->one_.iov_len : URING_SEND_MAX;
        io_uring_prep_send(sqe, s->fd, s->one_.iov_base, bytes, msg_flags);
    }
    sqe->user_data = tagged(s, TAG_SEND);
    s->flags_ |= SOCK_SEND_LIVE;
}

static void send_done(struct uring *u, struct io_sock *s, int res)
{
    ssize_t result = res;

    s->flags_ &= ~SOCK_SEND_LIVE;
    if (res >= 0 || res == -EINTR || res == -EAGAIN) {
        size_t left = io__send_left(s);
        if (res > 0) {
            left = io__send_advance(s, (size_t)res);
        }
        if (left == 0) {
            result = (ssize_t)s->sent_bytes_;
        } else if (s->flags_ & SOCK_CLOSING) {
            result = -ECANCELED;
        } else if (res == 0) {
            result = -EPIPE; /* nothing of something was sent: no progress to hope for */
        } else {
            uring_sock_send(&u->io, s);
            return;
        }
    }
    io__send_done(s, result);
    sock_maybe_end(s);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void uring_sock_close(struct io *io, struct io_sock *s)
{
    struct uring *u = uring_of(io);

    recv_cancel(u, s);
    if ((s->flags_ & (SOCK_SEND_LIVE | SOCK_SEND_CANCEL)) == SOCK_SEND_LIVE) {
        s->flags_ |= SOCK_SEND_CANCEL;
        cancel(u, s, TAG_SEND, TAG_SEND_CANCEL);
    }
    sock_maybe_end(s);
}

static void recv_cancel_done(struct uring *u, struct io_sock *s, int res)
{
    s->flags_ &= ~SOCK_RECV_CANCEL;
    if (res < 0 && (s->flags_ & (SOCK_CLOSING | SOCK_PAUSED))) {
        recv_cancel(u, s); /* U3; does nothing if the recv has ended */
    }
    sock_maybe_end(s);
}

static void send_cancel_done(struct uring *u, struct io_sock *s, int res)
{
    s->flags_ &= ~SOCK_SEND_CANCEL;
    if (res < 0 && (s->flags_ & SOCK_SEND_LIVE)) {
        s->flags_ |= SOCK_SEND_CANCEL;
        cancel(u, s, TAG_SEND, TAG_SEND_CANCEL); /* U3 */
    }
    sock_maybe_end(s);
}

/* ---- accepting --------------------------------------------------------------------------- */

static int uring_accept_start(struct io *io, struct io_accept *a)
{
    struct uring *u = uring_of(io);

    assert(!a->live);
    struct io_uring_sqe *sqe = sqe_take(u, a, TAG_ACCEPT);
    io_uring_prep_multishot_accept(sqe, a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = tagged(a, TAG_ACCEPT);
    a->live = true;
    return 0;
}

static void uring_accept_stop(struct io *io, struct io_accept *a)
{
    if (a->live && !a->cancelling) {
        a->cancelling = true;
        cancel(uring_of(io), a, TAG_ACCEPT, TAG_ACCEPT_CANCEL);
    }
}

static void accept_done(struct uring *u, struct io_accept *a, int res, uint32_t flags)
{
    if (!(flags & IORING_CQE_F_MORE)) {
        a->live = false;
    }
    if (!a->listener) {
        if (res >= 0) {
            close(res);
        }
        return;
    }
    if (res >= 0) {
        u->io.handlers->accepted(a->listener, res);
    } else {
        io__accept_failed(&u->io, a, res);
    }
    if (a->listener && !a->live && a->resume_ns == 0) {
        uring_accept_start(&u->io, a);
    }
}

static void accept_cancel_done(struct uring *u, struct io_accept *a, int res)
{
    a->cancelling = false;
    if (res < 0 && !a->listener) {
        uring_accept_stop(&u->io, a); /* U3 */
    }
}

/* ---- wake-ups ---------------------------------------------------------------------------- */

/* The poll is edge-triggered: each write to the eventfd makes a completion, so nobody reads it. */
static void wake_arm(struct uring *u)
{
    struct io_uring_sqe *sqe = sqe_take(u, NULL, TAG_WAKE);
    io_uring_prep_poll_multishot(sqe, u->io.wake_fd, POLLIN);
    sqe->user_data = tagged(&u->io, TAG_WAKE);
}

/* p is NULL for MSG_RING, our io for the eventfd. */
static void wake_done(struct uring *u, const void *p, uint32_t flags)
{
    if (p) {
        io__wake_seen(&u->io);
        if (!(flags & IORING_CQE_F_MORE)) {
            wake_arm(u);
        }
    }
}

/* MSG_RING has failed. If the target is gone nobody needs to know; if the kernel had no memory the
 * eventfd still works. */
static void wake_sent(struct io *target, int res)
{
    if (res == -ENOMEM || res == -EAGAIN || res == -EOVERFLOW) {
        io_wake_mp(target, NULL);
    }
}

/* ---- the turn ---------------------------------------------------------------------------- */

static void completion(struct uring *u, const struct io_uring_cqe *cqe)
{
    void *p = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);
    int res = cqe->res;

    switch ((enum tag)(cqe->user_data & TAG_MASK)) {
    case TAG_RECV:
        recv_done(u, p, res, cqe->flags);
        break;
    case TAG_SEND:
        send_done(u, p, res);
        break;
    case TAG_RECV_CANCEL:
        recv_cancel_done(u, p, res);
        break;
    case TAG_SEND_CANCEL:
        send_cancel_done(u, p, res);
        break;
    case TAG_ACCEPT:
        accept_done(u, p, res, cqe->flags);
        break;
    case TAG_ACCEPT_CANCEL:
        accept_cancel_done(u, p, res);
        break;
    case TAG_WAKE:
        wake_done(u, p, cqe->flags);
        break;
    case TAG_WAKE_SENT:
        wake_sent(p, res);
        break;
    default:
        abort();
    }
}

/* Submits and waits. Whatever stops it (a signal, memory, time), entries that were not taken stay
 * queued for the next turn. */
static void enter(struct uring *u, int64_t wait_ns)
{
    struct io_uring *ring = &u->ring;
    int rc;

    if (wait_ns < 0) {
        rc = io_uring_submit_and_wait(ring, 1);
    } else if (wait_ns > 0) {
        struct io_uring_cqe *unused;
        struct __kernel_timespec ts = {wait_ns / 1000000000, wait_ns % 1000000000};
        rc = io_uring_submit_and_wait_timeout(ring, &unused, 1, &ts, NULL);
    } else {
        /* TASKRUN_FLAG tells whether the kernel has anything for us: a busy shard that polls
         * between its steps then does it without system calls. */
        unsigned flags = IO_URING_READ_ONCE(*ring->sq.kflags);
        if (io_uring_sq_ready(ring) == 0 &&
            !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))) {
            return;
        }
        rc = io_uring_submit_and_get_events(ring);
    }
    /* Anything else is an error of ours, or a completion that the kernel had to drop (EBADR). */
    assert(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY || rc == -ETIME ||
           rc == -ENOMEM);
}

static int uring_turn(struct io *io, int64_t wait_ns)
{
    struct uring *u = uring_of(io);
    struct io_uring_cq *cq = &u->ring.cq;

    u->grown = false;
    refill(u);
    enter(u, wait_ns);

    /* Bounded: what handlers complete by submitting on a full queue is left for the next turn. */
    unsigned head = *cq->khead, first = head;
    unsigned tail = io_uring_smp_load_acquire(cq->ktail);
    while (head != tail) {
        const struct io_uring_cqe cqe = cq->cqes[head & cq->ring_mask];
        head++;
        io_uring_smp_store_release(cq->khead, head);
        completion(u, &cqe);
    }
    return (int)(tail - first);
}

/* ---- creation ---------------------------------------------------------------------------- */

static void ring_unmake(struct io_uring *ring)
{
#if defined(__SANITIZE_THREAD__)
    /* liburing unmaps by bare system calls, which ThreadSanitizer does not see: it would take the
     * next ring at the same address, on another thread, for the same memory. */
    io_uring_unregister_ring_fd(ring);
    munmap(ring->sq.sqes, ring->sq.ring_entries * sizeof(struct io_uring_sqe));
    if (ring->cq.ring_ptr != ring->sq.ring_ptr) {
        munmap(ring->cq.ring_ptr, ring->cq.ring_sz);
    }
    munmap(ring->sq.ring_ptr, ring->sq.ring_sz);
    close(ring->ring_fd);
#else
    io_uring_queue_exit(ring);
#endif
}

static void uring_destroy(struct io *io)
{
    struct uring *u = uring_of(io);

    if (u->ring_made) {
        ring_unmake(&u->ring);
    }
    if (u->buf_ring) {
        munmap(u->buf_ring, u->buf_ring_bytes);
    }
    io__fini(io);
    free(u);
}

static const struct io_ops uring_ops = {
    .name = "io_uring",
    .turn = uring_turn,
    .sock_open = uring_sock_open,
    .sock_pause = uring_sock_pause,
    .sock_receive = uring_sock_receive,
    .sock_send = uring_sock_send,
    .sock_close = uring_sock_close,
    .accept_start = uring_accept_start,
    .accept_stop = uring_accept_stop,
    .destroy = uring_destroy,
};

/* DEFER_TASKRUN (Linux 6.1) implies multishot accept and recv, and buffer rings; the opcodes may
 * still have been taken away (restrictions, back-ports). */
static int probe(struct uring *u)
{
    static const int needed[] = {IORING_OP_ACCEPT,      IORING_OP_RECV,     IORING_OP_SEND,
                                 IORING_OP_SENDMSG,     IORING_OP_POLL_ADD, IORING_OP_MSG_RING,
                                 IORING_OP_ASYNC_CANCEL};
    const unsigned features = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP |
                              IORING_FEAT_FAST_POLL | IORING_FEAT_SUBMIT_STABLE;
    int rc = 0;

    if ((u->ring.features & features) != features) {
        return -EOPNOTSUPP;
    }
    struct io_uring_probe *p = io_uring_get_probe_ring(&u->ring);
    if (!p) {
        return -EOPNOTSUPP;
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (!io_uring_opcode_supported(p, needed[i])) {
            rc = -EOPNOTSUPP;
        }
    }
    io_uring_free_probe(p);
    return rc;
}

static int buf_ring_make(struct uring *u)
{
    struct io_uring_buf_reg reg = {0};
    void *p;

    u->buf_ring_bytes = u->io.buf_count * sizeof(struct io_uring_buf);
    p = mmap(NULL, u->buf_ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return -ENOMEM;
    }
    u->buf_ring = p;
    io_uring_buf_ring_init(u->buf_ring);
    reg.ring_addr = (uint64_t)(uintptr_t)p;
    reg.ring_entries = u->io.buf_count;
    reg.bgid = URING_BUFFER_GROUP;
    return io_uring_register_buf_ring(&u->ring, &reg, 0);
}

static int ring_make(struct uring *u, uint32_t entries)
{
    struct io_uring_params params = {0};
    int rc;

    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                   IORING_SETUP_CLAMP;
    params.cq_entries = entries * URING_CQ_FACTOR;
    rc = io_uring_queue_init_params(entries, &u->ring, &params);
    if (rc < 0) {
        return rc;
    }
    u->ring_made = true;
    rc = probe(u);
    if (rc == 0) {
        rc = buf_ring_make(u);
    }
    if (rc == 0) {
        io_uring_register_ring_fd(&u->ring); /* only faster; without it all works as well */
    }
    return rc;
}

int io__uring_create(struct io **out, const struct io_config *config)
{
    struct uring *u = aligned_alloc(_Alignof(struct uring), sizeof *u);
    if (!u) {
        return -ENOMEM;
    }
    memset(u, 0, sizeof *u);
    int rc = io__init(&u->io, config, &uring_ops);
    if (rc < 0) {
        free(u);
        return rc;
    }
    rc = ring_make(u, config->entries);
    if (rc < 0) {
        uring_destroy(&u->io);
        return rc;
    }
    u->fill_target = config->buffers < URING_FILL_MIN ? config->buffers : URING_FILL_MIN;
    wake_arm(u);
    *out = &u->io;
    return 0;
}

bool io__uring_wake(struct io *target, struct io *from)
{
    if (target->ops != &uring_ops || from->ops != &uring_ops) {
        return false;
    }
    struct uring *u = uring_of(from);
    struct io_uring_sqe *sqe = sqe_take(u, target, TAG_WAKE_SENT);
    io_uring_prep_msg_ring(sqe, uring_of(target)->ring.ring_fd, 0, tagged(NULL, TAG_WAKE), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tagged(target, TAG_WAKE_SENT);
    return true;
}
