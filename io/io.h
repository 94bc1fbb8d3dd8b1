/* io.h - the shard's way to the kernel: sockets, wake-ups and waiting, on one of two backends.
 *
 *   io_uring   one ring per shard (SINGLE_ISSUER, DEFER_TASKRUN), multishot accept and recv into
 *              provided buffers, one io_uring_enter per turn
 *   epoll      the same calls and the same callbacks, for containers that forbid io_uring
 *
 * Everything is asynchronous: a call queues work, io_turn() hands it to the kernel in one go,
 * waits if asked to, and runs the handlers of what has completed. Handlers run on the calling
 * thread, inside io_turn(), never inside another io_ call.
 *
 * Thread: a struct io belongs to the thread that created it. Only io_wake_mp() may be called by
 * others.
 *
 *               io_sock_open           io_sock_close
 *   (nothing) ───────────────► OPEN ───────────────────► CLOSING ───► handler closed(): memory is
 *                              │  ▲                                   the caller's again
 *               received() ◄───┘  └─── io_sock_send / sent()
 *
 * I1  received() hands over one reference on its buffer; the buffer goes back to the ring when
 *     io_buf_release() has been called as often as it was held.
 * I2  At most one send of a socket is in flight; sent() reports it exactly once, with all bytes
 *     sent (short sends are continued inside) or a negative errno.
 * I3  After closed() no handler of that socket runs any more. A send in flight is reported by
 *     sent() before that.
 */
#ifndef ASHLAR_IO_IO_H
#define ASHLAR_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct io;

enum {
    IO_BUF_BYTES = 16384, /* one receive buffer */
    IO_IOV_MAX = 64,      /* pieces of one gathered send */
};

/* A receive buffer. refs is touched by the owning thread only. */
struct io_buf {
    char *data;
    uint32_t refs;
    uint16_t id;
    struct io *io;
};

struct io_sock;
struct io_send;
struct io_accept;
struct io_listener;

struct io_handlers {
    /* A connection arrived (fd >= 0, non-blocking, close-on-exec, the callee owns it) or accept
     * failed (negative errno; accepting goes on, after a pause of 100 ms when the listener rather
     * than one connection is concerned: -EMFILE/-ENFILE/-ENOMEM/-ENOBUFS and the like). */
    void (*accepted)(struct io_listener *l, int fd);
    /* len > 0: bytes in buf->data. len == 0: the peer has closed (buf NULL). len < 0: negative
     * errno (buf NULL). After len <= 0 nothing more is received; nothing either after
     * io_sock_close(). One turn may deliver many buffers of one socket, at worst all there are. */
    void (*received)(struct io_sock *s, struct io_buf *buf, int len);
    void (*sent)(struct io_sock *s, ssize_t result);
    void (*closed)(struct io_sock *s);
};

/* Embedded in the caller's connection; all fields but fd are private to io/. Compact, because a
 * server has tens of thousands of them: what a gathered send needs comes from a pool. */
struct io_sock {
    int fd;
    uint32_t flags_;
    struct io *io_;
    union {
        struct iovec one_;      /* what is left of a send of one piece */
        struct io_send *many_;  /* … of more pieces */
    };
    size_t sent_bytes_;
    struct io_sock *next_, *prev_;
};

struct io_listener {
    int fd;
    void *user; /* for the caller */
    struct io *io_;
    struct io_accept *accept_;
};

enum io_backend { IO_AUTO, IO_URING, IO_EPOLL };

struct io_config {
    enum io_backend backend;
    uint32_t buffers;      /* receive buffers of this shard, a power of two <= 32768 */
    uint32_t entries;      /* submission queue entries */
    const struct io_handlers *handlers;
};

/* Creates the calling thread's io. With IO_AUTO io_uring is tried first. Returns 0 or a negative
 * errno; *why (static or thread-local text) says why the backend in use was chosen, for the log. */
int io_create(struct io **out, const struct io_config *config, const char **why);
/* Closes what is still open and frees everything; runs no handlers. The memory of sockets is the
 * caller's again, buffers still held are gone. */
void io_destroy(struct io *io);
const char *io_backend_name(const struct io *io); /* "io_uring" or "epoll" */

/* Hands queued work to the kernel, waits up to wait_ns for something to complete (0: does not
 * wait; negative: without limit), and runs the handlers. Returns the number of completions. It may
 * return early with 0 (a signal, an end of the pause after a failed accept). */
int io_turn(struct io *io, int64_t wait_ns);

/* Makes a waiting io_turn() of target return. Any thread, while target exists. from is the calling thread's own io, or
 * NULL: with it the io_uring backend sends MSG_RING together with the next io_turn(from); without
 * it (or on epoll) an eventfd is written at once. Wake-ups may be spurious, never lost: one that
 * comes while target is not waiting makes its next wait return at once. */
void io_wake_mp(struct io *target, struct io *from);

/* Starts accepting on a listening socket (non-blocking). Its fd stays the caller's. The descriptor
 * limit (RLIMIT_NOFILE) is the one of this moment. */
int io_listen(struct io *io, struct io_listener *l, int fd);
/* No accepted() once it has returned, and l is the caller's. The kernel itself may go on listening
 * until the next io_turn(). */
void io_unlisten(struct io *io, struct io_listener *l);

/* Starts receiving on a connected socket. s is zeroed memory of the caller. */
void io_sock_open(struct io *io, struct io_sock *s, int fd);
/* Stops and resumes receiving (back-pressure). Bytes that the kernel has already taken from the
 * socket may still be delivered after a pause, in the same turn or the next one. While paused, the
 * end of the stream is not noticed either. */
void io_sock_pause(struct io_sock *s);
void io_sock_resume(struct io_sock *s);
/* Queues a gathered send of at most IO_IOV_MAX pieces; they must stay in place until sent(). The
 * iovec array itself is copied. After io_sock_close() it is reported as -ECANCELED. */
void io_sock_send(struct io_sock *s, const struct iovec *iov, int count);
bool io_sock_sending(const struct io_sock *s);
/* Cancels what is in flight, closes the fd, reports closed() in a later io_turn(). */
void io_sock_close(struct io_sock *s);

/* Who keeps the end of an unfinished command should copy it when few buffers are left: as long as
 * all are held, nobody receives (it goes on by itself when one is released). */
uint32_t io_buf_available(const struct io *io);
void io_buf_hold(struct io_buf *buf);
void io_buf_release(struct io_buf *buf);

#endif
