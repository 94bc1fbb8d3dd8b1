/* io_internal.h - what io.c and its two backends share. Nobody outside io/ includes this (unit
 * tests of io/ do, for io__uring_refusal).
 *
 * io.c owns the life of sockets, listeners, buffers and send records; a backend moves bytes. Each
 * backend embeds struct io as its first member and is called through struct io_ops.
 *
 * A socket is on exactly one list, so that it can be found and unlinked at any time:
 *
 *   quiet ──(no buffer left)──► starved ──(buffers came back)──► quiet
 *     │ ▲                                                (epoll: ready, then quiet)
 *     │ └────── serviced ◄── ready   (epoll only: something can be read or written)
 *     └──(closing, nothing in flight)──► ending ──(next turn)──► handler closed()
 */
#ifndef ASHLAR_IO_IO_INTERNAL_H
#define ASHLAR_IO_IO_INTERNAL_H

#include "io/io.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum {
    IO__ACCEPT_PAUSE_MS = 100,
    IO__IOV_SMALL = 8,          /* pieces of a small send record */
    IO__SEND_FREE_MAX = 4096,   /* send records kept for reuse, of each size */
    IO__DESTROY_TURNS_MAX = 200 /* turns of 10 ms that io_destroy() gives the kernel to let go */
};

/* io_sock.flags_ */
enum {
    SOCK_PAUSED = 1u << 0,
    SOCK_ENDED = 1u << 1,       /* end of stream or error has been reported: nothing more to read */
    SOCK_STARVED = 1u << 2,     /* on the starved list */
    SOCK_SENDING = 1u << 3,     /* a send has not been reported yet */
    SOCK_MANY = 1u << 4,        /* … and it lies in many_, not in one_ */
    SOCK_CLOSING = 1u << 5,     /* io_sock_close() was called */
    SOCK_ENDING = 1u << 6,      /* on the ending list */
    SOCK_RECV_LIVE = 1u << 7,   /* uring: the multishot recv has not ended */
    SOCK_RECV_CANCEL = 1u << 8, /* uring: a cancellation of it has not been answered */
    SOCK_SEND_LIVE = 1u << 9,
    SOCK_SEND_CANCEL = 1u << 10,
    SOCK_READABLE = 1u << 11, /* epoll: there may be something to read */
    SOCK_HUNG_UP = 1u << 12,  /* epoll: read until the end, it will come */
    SOCK_WRITE = 1u << 13,    /* epoll: the send is worth another try */
    SOCK_READY = 1u << 14,    /* epoll: on the ready list */
};

/* A gathered send in flight. */
struct io_send {
    struct io_send *next_free;
    size_t left;
    bool large;
    struct msghdr msg; /* msg_iov moves on through iov with what is sent */
    struct iovec iov[];
};

/* The io's side of a listener. It outlives the listener until the kernel has let go of it. */
struct io_accept {
    struct io_accept *next;
    struct io_listener *listener; /* NULL once unlistened */
    uint64_t resume_ns;           /* 0: not pausing */
    int fd;
    bool live, cancelling; /* uring: accept, its cancellation in the kernel; live on epoll: added */
};

struct io_ops {
    const char *name;
    /* Submits, waits, and runs handlers; returns the number of completions. */
    int (*turn)(struct io *io, int64_t wait_ns);
    void (*sock_open)(struct io *io, struct io_sock *s);
    void (*sock_pause)(struct io *io, struct io_sock *s);
    void (*sock_receive)(struct io *io, struct io_sock *s); /* resumed, or no longer starved */
    void (*sock_send)(struct io *io, struct io_sock *s);
    void (*sock_close)(struct io *io, struct io_sock *s);
    int (*accept_start)(struct io *io, struct io_accept *a);
    void (*accept_stop)(struct io *io, struct io_accept *a);
    void (*destroy)(struct io *io); /* frees io */
};

struct io {
    /* owner */
    const struct io_ops *ops;
    const struct io_handlers *handlers;
    pthread_t thread;
    struct io_buf *bufs;
    char *buf_memory;
    uint16_t *free_ids; /* stack of buffers that nobody has: the warmest on top */
    uint32_t free_count, buf_count;
    uint32_t held_count;                          /* buffers in the caller's hands */
    struct io_sock quiet, starved, ready, ending; /* list heads */
    struct io_send *send_free[2];                 /* small, large */
    uint32_t send_free_count[2];
    struct io_accept *accepts;
    bool accepts_pausing, accepts_dead, woken_by_self, in_turn;

    /* any thread */
    int wake_fd;                           /* constant */
    _Alignas(64) atomic_bool wake_pending; /* an eventfd write has not been noticed by the owner */
};

/* Tests set it to make io_uring refuse: returns a negative errno, or 0. */
extern int (*io__uring_refusal)(void);

int io__uring_create(struct io **out, const struct io_config *config);
int io__epoll_create(struct io **out, const struct io_config *config);
/* True when both are io_uring and the wake-up was queued on from's ring. */
bool io__uring_wake(struct io *target, struct io *from);

/* The part of struct io that both backends need; undone by io__fini. */
int io__init(struct io *io, const struct io_config *config, const struct io_ops *ops);
void io__fini(struct io *io);

void io__wake_seen(struct io *io); /* after the eventfd's event has been consumed */

struct io_buf *io__buf_take(struct io *io); /* NULL when there is none; refs is 1 */
void io__sock_starve(struct io_sock *s);
void io__sock_end(struct io_sock *s); /* to the ending list */

/* What is left of the send in flight; advance takes sent bytes off it; done forgets it and runs
 * the handler. */
size_t io__send_left(const struct io_sock *s);
size_t io__send_advance(struct io_sock *s, size_t bytes);
void io__send_done(struct io_sock *s, ssize_t result);

/* Reports a failed accept and decides whether to pause. */
void io__accept_failed(struct io *io, struct io_accept *a, int error);

static inline void io__list_init(struct io_sock *head)
{
    head->next_ = head->prev_ = head;
}

static inline bool io__list_is_empty(const struct io_sock *head)
{
    return head->next_ == head;
}

static inline void io__list_unlink(struct io_sock *s)
{
    s->prev_->next_ = s->next_;
    s->next_->prev_ = s->prev_;
}

static inline void io__list_append(struct io_sock *head, struct io_sock *s)
{
    s->prev_ = head->prev_;
    s->next_ = head;
    head->prev_->next_ = s;
    head->prev_ = s;
}

static inline void io__list_move(struct io_sock *head, struct io_sock *s)
{
    io__list_unlink(s);
    io__list_append(head, s);
}

/* All of from, in order, to the empty list to. */
static inline void io__list_take(struct io_sock *to, struct io_sock *from)
{
    io__list_init(to);
    if (!io__list_is_empty(from)) {
        to->next_ = from->next_;
        to->prev_ = from->prev_;
        to->next_->prev_ = to;
        to->prev_->next_ = to;
        io__list_init(from);
    }
}

#endif
