/* io_echo.c - what the io layer costs: a single-threaded responder on io/ that counts RESP
 * commands (every '*' at the start of a line of a well-formed pipeline) and answers +OK to each,
 * to be held against an empty responder written straight on io_uring.
 *
 *   build/bench/io_echo PORT [auto|io_uring|epoll]         127.0.0.1 only; ends on SIGTERM
 *
 * bench/compare or redis-benchmark drive it (keys and values must not contain '*'). */
#include "io/io.h"
#include "io/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPLIES = 4096, REPLY_BYTES = 5 }; /* of one send */

struct conn {
    struct io_sock sock; /* first */
    struct conn *next_dirty;
    size_t owed;
    bool dirty, closing;
};

static char replies[REPLIES * REPLY_BYTES];
static struct io *io;
static struct conn *dirty;

static void mark(struct conn *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = dirty;
        dirty = c;
    }
}

static void on_accepted(struct io_listener *l, int fd)
{
    struct conn *c = fd >= 0 ? calloc(1, sizeof *c) : NULL;
    if (c) {
        net_set_nodelay(fd);
        io_sock_open(io, &c->sock, fd);
    }
}

static void on_received(struct io_sock *s, struct io_buf *buf, int len)
{
    struct conn *c = (struct conn *)s;
    if (len <= 0) {
        c->closing = true;
    } else {
        const char *p = buf->data, *end = p + len;
        while ((p = memchr(p, '*', (size_t)(end - p)))) {
            c->owed++;
            p++;
        }
        io_buf_release(buf);
    }
    mark(c);
}

static void on_sent(struct io_sock *s, ssize_t result)
{
    struct conn *c = (struct conn *)s;
    c->closing |= result < 0;
    if (c->owed > 0 || c->closing) {
        mark(c);
    }
}

static void on_closed(struct io_sock *s)
{
    free(s);
}

static void flush(void)
{
    while (dirty) {
        struct conn *c = dirty;
        dirty = c->next_dirty;
        c->dirty = false;
        if (c->closing) {
            io_sock_close(&c->sock);
        } else if (c->owed > 0 && !io_sock_sending(&c->sock)) {
            size_t n = c->owed < REPLIES ? c->owed : REPLIES;
            struct iovec iov = {replies, n * REPLY_BYTES};
            c->owed -= n;
            io_sock_send(&c->sock, &iov, 1);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct io_handlers handlers = {on_accepted, on_received, on_sent, on_closed};
    const char *want = argc > 2 ? argv[2] : "auto", *why;
    struct io_config config = {.buffers = 1024, .entries = 4096, .handlers = &handlers};
    struct io_listener listener = {0};
    char err[NET_ERR_BYTES];

    config.backend = strcmp(want, "epoll") == 0      ? IO_EPOLL
                     : strcmp(want, "io_uring") == 0 ? IO_URING
                                                     : IO_AUTO;
    for (int i = 0; i < REPLIES; i++) {
        memcpy(replies + i * REPLY_BYTES, "+OK\r\n", REPLY_BYTES);
    }
    if (io_create(&io, &config, &why) < 0) {
        fprintf(stderr, "io_echo: %s\n", why);
        return 1;
    }
    int fd = net_listen_tcp("127.0.0.1", (uint16_t)(argc > 1 ? atoi(argv[1]) : 21098), 1024, err);
    if (fd < 0 || io_listen(io, &listener, fd) < 0) {
        fprintf(stderr, "io_echo: %s\n", err);
        return 1;
    }
    fprintf(stderr, "io_echo: %s, %s\n", io_backend_name(io), why);
    for (;;) {
        io_turn(io, -1);
        flush();
    }
}
