/* Sockets on both backends: every scenario runs on io_uring and on epoll. Clients are plain
 * non-blocking sockets on the same thread; alarm() ends a test that hangs. */
#include "io/io.h"
#include "io/io_internal.h"
#include "io/net.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { GUARD_S = 60, HELD_MAX = 600, KIB = 1024, MIB = 1024 * 1024 };

#define BOTH(name)                                                                                 \
    static void name(enum io_backend backend);                                                     \
    Test(io_sock, name##_on_io_uring)                                                              \
    {                                                                                              \
        alarm(GUARD_S);                                                                            \
        name(IO_URING);                                                                            \
    }                                                                                              \
    Test(io_sock, name##_on_epoll)                                                                 \
    {                                                                                              \
        alarm(GUARD_S);                                                                            \
        name(IO_EPOLL);                                                                            \
    }                                                                                              \
    static void name(enum io_backend backend)

/* ---- a server whose behaviour a test chooses ---------------------------------------------- */

enum mode { MODE_COUNT, MODE_HOLD, MODE_ECHO };

struct conn {
    struct io_sock sock; /* first */
    enum mode mode;
    struct io_buf *held[HELD_MAX];
    int lens[HELD_MAX];
    int held_count, sending_count; /* the first sending_count of held are in flight */
    size_t received;
    int received_calls, ended_calls, end_result, sent_calls, closed_calls;
    int turn_of_close;
    ssize_t sent_result;
    bool paused, pause_on_receive, close_on_receive, close_on_sent;
    struct conn *close_other;
};

static struct io *io;
static struct io_listener listener;
static struct conn *last_accepted, *first_accepted[4];
static int accepted_count, failed_count, last_accept_error, turns;
static enum mode accept_mode;
static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void echo_step(struct conn *c)
{
    struct iovec iov[IO_IOV_MAX];

    if (!io_sock_sending(&c->sock) && c->held_count > 0) {
        c->sending_count = c->held_count < IO_IOV_MAX ? c->held_count : IO_IOV_MAX;
        for (int i = 0; i < c->sending_count; i++) {
            iov[i] = (struct iovec){c->held[i]->data, (size_t)c->lens[i]};
        }
        io_sock_send(&c->sock, iov, c->sending_count);
    }
    /* A random back-pressure, besides the one that is needed. */
    if (c->held_count > 4 || rnd(50) == 0) {
        io_sock_pause(&c->sock);
        c->paused = true;
    } else if (c->paused) {
        io_sock_resume(&c->sock);
        c->paused = false;
    }
}

static void release_held(struct conn *c, int count)
{
    for (int i = 0; i < count; i++) {
        io_buf_release(c->held[i]);
    }
    memmove(c->held, c->held + count, sizeof c->held[0] * (size_t)(c->held_count - count));
    memmove(c->lens, c->lens + count, sizeof c->lens[0] * (size_t)(c->held_count - count));
    c->held_count -= count;
}

static void on_accepted(struct io_listener *l, int fd)
{
    cr_assert_eq(l, &listener);
    if (fd < 0) {
        failed_count++;
        last_accept_error = fd;
        return;
    }
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    last_accepted = calloc(1, sizeof *last_accepted);
    last_accepted->mode = accept_mode;
    if (accepted_count < 4) {
        first_accepted[accepted_count] = last_accepted;
    }
    accepted_count++;
    io_sock_open(io, &last_accepted->sock, fd);
}

static void on_received(struct io_sock *s, struct io_buf *buf, int len)
{
    struct conn *c = (struct conn *)s;

    cr_assert_eq(c->closed_calls, 0);
    cr_assert_eq(c->ended_calls, 0);
    cr_assert_eq(buf != NULL, len > 0);
    if (len <= 0) {
        c->ended_calls++;
        c->end_result = len;
        return;
    }
    c->received_calls++;
    c->received += (size_t)len;
    if (c->mode == MODE_COUNT) {
        io_buf_hold(buf);
        io_buf_release(buf);
        io_buf_release(buf);
    } else {
        cr_assert_lt(c->held_count, HELD_MAX);
        c->lens[c->held_count] = len;
        c->held[c->held_count++] = buf;
        if (c->mode == MODE_ECHO) {
            echo_step(c);
        }
    }
    if (c->pause_on_receive) {
        io_sock_pause(s);
    }
    if (c->close_on_receive) {
        io_sock_close(s);
        c->turn_of_close = turns;
    }
    if (c->close_other) {
        io_sock_close(&c->close_other->sock);
        c->close_other->turn_of_close = turns;
        c->close_other = NULL;
    }
}

static void on_sent(struct io_sock *s, ssize_t result)
{
    struct conn *c = (struct conn *)s;

    cr_assert_eq(c->closed_calls, 0);
    cr_assert(!io_sock_sending(s));
    c->sent_calls++;
    c->sent_result = result;
    if (c->mode == MODE_ECHO) {
        release_held(c, c->sending_count);
        c->sending_count = 0;
        if (result >= 0) {
            echo_step(c);
        }
    }
    if (c->close_on_sent) {
        io_sock_close(s);
        c->turn_of_close = turns;
    }
}

static void on_closed(struct io_sock *s)
{
    struct conn *c = (struct conn *)s;
    cr_assert(!io_sock_sending(s));
    cr_assert_gt(turns, c->turn_of_close);
    c->closed_calls++;
    release_held(c, c->held_count);
}

static const struct io_handlers handlers = {on_accepted, on_received, on_sent, on_closed};

static int turn(int64_t wait_ns)
{
    turns++;
    return io_turn(io, wait_ns);
}

#define TURN_UNTIL(condition)                                                                      \
    while (!(condition)) {                                                                         \
        turn(1000000);                                                                             \
    }

static void turn_for_ms(int ms)
{
    for (int i = 0; i < ms; i++) {
        turn(1000000);
    }
}

static void start(enum io_backend backend, uint32_t buffers, uint32_t entries)
{
    struct io_config config = {
        .backend = backend, .buffers = buffers, .entries = entries, .handlers = &handlers};
    const char *why;
    char err[NET_ERR_BYTES];

    const char *chosen = getenv("ASHLAR_TEST_SEED"); /* another run of what is random */

    if (chosen) {
        seed ^= strtoull(chosen, NULL, 10) * 0xD1B54A32D192ED03u;
    }
    int rc = io_create(&io, &config, &why);
    if (backend == IO_URING && (rc == -EPERM || rc == -EACCES || rc == -ENOSYS)) {
        cr_skip_test("%s", why);
    }
    cr_assert_eq(rc, 0, "%s", why);
    cr_assert_str_eq(io_backend_name(io), backend == IO_URING ? "io_uring" : "epoll");
    int fd = net_listen_tcp("127.0.0.1", 0, 512, err);
    cr_assert_geq(fd, 0, "%s", err);
    cr_assert_eq(io_listen(io, &listener, fd), 0);
}

static void stop(void)
{
    io_destroy(io);
    close(listener.fd);
}

static int dial(void)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(getsockname(listener.fd, (struct sockaddr *)&a, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static struct conn *connect_one(enum mode mode, int *client)
{
    int before = accepted_count;
    accept_mode = mode;
    *client = dial();
    TURN_UNTIL(accepted_count > before);
    return last_accepted;
}

static void finish(struct conn *c, int client)
{
    io_sock_close(&c->sock);
    c->turn_of_close = turns;
    TURN_UNTIL(c->closed_calls > 0);
    free(c);
    close(client);
}

/* Writes what fits; returns how much. */
static size_t feed(int fd, size_t bytes)
{
    static char zeros[64 * KIB];
    size_t done = 0;
    while (done < bytes) {
        size_t n = bytes - done < sizeof zeros ? bytes - done : sizeof zeros;
        ssize_t rc = send(fd, zeros, n, MSG_NOSIGNAL);
        if (rc < 0) {
            break;
        }
        done += (size_t)rc;
    }
    return done;
}

static size_t drain(int fd)
{
    static char sink[64 * KIB];
    size_t done = 0;
    ssize_t n;
    while ((n = recv(fd, sink, sizeof sink, 0)) > 0) {
        done += (size_t)n;
    }
    return done;
}

/* True when the peer has closed or reset. */
static bool is_over(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* ---- echo --------------------------------------------------------------------------------- */

struct client {
    int fd;
    size_t total, written, read;
};

static char pattern(size_t connection, size_t at)
{
    return (char)((at * 2654435761u + connection * 97) >> 7);
}

static void client_step(struct client *c, size_t id)
{
    char bytes[8 * KIB];

    if (c->written < c->total) {
        size_t n = 1 + rnd(sizeof bytes);
        n = n < c->total - c->written ? n : c->total - c->written;
        for (size_t i = 0; i < n; i++) {
            bytes[i] = pattern(id, c->written + i);
        }
        ssize_t rc = send(c->fd, bytes, n, MSG_NOSIGNAL);
        c->written += rc > 0 ? (size_t)rc : 0;
    }
    if (rnd(3) != 0) {
        ssize_t rc = recv(c->fd, bytes, 1 + rnd(sizeof bytes), 0);
        for (ssize_t i = 0; i < rc; i++) {
            cr_assert_eq(bytes[i], pattern(id, c->read + (size_t)i));
        }
        c->read += rc > 0 ? (size_t)rc : 0;
    }
}

static void echo(enum io_backend backend, size_t count, uint32_t buffers, uint32_t entries,
                 size_t large)
{
    struct client *clients = calloc(count, sizeof *clients);
    struct conn **conns = calloc(count, sizeof(struct conn *));
    size_t left = count;

    start(backend, buffers, entries);
    for (size_t i = 0; i < count; i++) {
        conns[i] = connect_one(MODE_ECHO, &clients[i].fd);
        clients[i].total = i == 0 ? large : 1 + rnd(i % 8 == 0 ? 300 * KIB : 5000);
    }
    while (left > 0) {
        left = 0;
        for (size_t i = 0; i < count; i++) {
            for (int burst = i == 0 ? 8 : 1; burst > 0; burst--) {
                client_step(&clients[i], i);
            }
            left += clients[i].read < clients[i].total;
        }
        turn(0);
        /* Sockets that were paused while nothing was in flight. */
        for (size_t i = 0; i < count; i++) {
            if (conns[i]->paused && !io_sock_sending(&conns[i]->sock)) {
                io_sock_resume(&conns[i]->sock);
                conns[i]->paused = false;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(conns[i]->received, clients[i].total);
        finish(conns[i], clients[i].fd);
    }
    cr_assert_eq(io_buf_available(io), buffers);
    stop();
    free(clients);
    free(conns);
}

BOTH(echo_of_many)
{
    echo(backend, 100, 512, 256, 4 * MIB);
}

/* Submission and completion queues that are always full, and hardly any buffers: the connections
 * hold up to 5 each, so they starve each other all the time. */
BOTH(echo_on_tiny_queues)
{
    echo(backend, 40, 16, 1, 300 * KIB);
}

/* ---- sends -------------------------------------------------------------------------------- */

BOTH(a_slow_reader_delays_nobody)
{
    int slow_fd, other_fd;
    size_t total = 8 * MIB, got = 0;
    char *value = calloc(1, total);
    struct iovec iov[IO_IOV_MAX];

    start(backend, 64, 64);
    for (int pieces = 1; pieces <= IO_IOV_MAX; pieces *= 8) { /* 1, 8, 64 */
        struct conn *slow = connect_one(MODE_COUNT, &slow_fd);
        struct conn *other = connect_one(MODE_ECHO, &other_fd);
        for (int i = 0; i < pieces; i++) {
            iov[i] = (struct iovec){value, total / (size_t)pieces};
        }
        io_sock_send(&slow->sock, iov, pieces);
        memset(iov, 0, sizeof iov); /* it was copied */
        turn_for_ms(5);
        cr_assert_eq(slow->sent_calls, 0);
        cr_assert(io_sock_sending(&slow->sock));

        for (int i = 0; i < 20; i++) {
            cr_assert_eq(feed(other_fd, 100), 100);
            for (size_t back = 0; back < 100; back += drain(other_fd)) {
                turn(1000000);
                if (other->paused && !io_sock_sending(&other->sock)) {
                    io_sock_resume(&other->sock);
                    other->paused = false;
                }
            }
        }
        for (got = 0; got < total; got += drain(slow_fd)) {
            turn(1000000);
        }
        TURN_UNTIL(slow->sent_calls > 0);
        cr_assert_eq(slow->sent_result, (ssize_t)total);
        cr_assert_eq(slow->sent_calls, 1);
        finish(slow, slow_fd);
        finish(other, other_fd);
    }
    stop();
    free(value);
}

BOTH(empty_and_odd_sends)
{
    int fd;
    char byte = 'x';
    struct iovec empty[3] = {{&byte, 0}, {NULL, 0}, {&byte, 0}};
    struct iovec odd[5] = {{&byte, 0}, {&byte, 1}, {NULL, 0}, {&byte, 1}, {&byte, 0}};

    start(backend, 8, 8);
    struct conn *c = connect_one(MODE_COUNT, &fd);
    for (int count = 0; count <= 3; count++) {
        io_sock_send(&c->sock, empty, count);
        TURN_UNTIL(c->sent_calls == count + 1);
        cr_assert_eq(c->sent_result, 0);
    }
    io_sock_send(&c->sock, odd, 5);
    TURN_UNTIL(c->sent_calls == 5);
    cr_assert_eq(c->sent_result, 2);
    finish(c, fd);
    stop();
}

BOTH(unix_sockets)
{
    struct conn c = {.mode = MODE_COUNT};
    struct iovec iov[2] = {{"ab", 2}, {"c", 1}};
    int pair[2];

    start(backend, 8, 8);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    io_sock_open(io, &c.sock, pair[0]);
    cr_assert_eq(feed(pair[1], 20 * KIB), 20 * KIB);
    TURN_UNTIL(c.received == 20 * KIB);
    io_sock_send(&c.sock, iov, 2);
    TURN_UNTIL(c.sent_calls == 1);
    cr_assert_eq(c.sent_result, 3);
    cr_assert_eq(drain(pair[1]), 3);
    close(pair[1]);
    TURN_UNTIL(c.ended_calls == 1);
    cr_assert_eq(c.end_result, 0);
    io_sock_close(&c.sock);
    c.turn_of_close = turns;
    TURN_UNTIL(c.closed_calls == 1);
    stop();
}

/* ---- pausing ------------------------------------------------------------------------------ */

BOTH(a_paused_socket_receives_nothing)
{
    int fd;

    start(backend, 64, 64);
    struct conn *c = connect_one(MODE_COUNT, &fd);
    for (int round = 0; round < 20; round++) {
        io_sock_pause(&c->sock);
        io_sock_pause(&c->sock);
        turn_for_ms(2);
        size_t before = c->received, sent = feed(fd, 200 * KIB);
        turn_for_ms(5);
        cr_assert_eq(c->received, before);
        io_sock_resume(&c->sock);
        io_sock_resume(&c->sock);
        TURN_UNTIL(c->received == before + sent);
        /* In one breath, also before the kernel has heard of the first. */
        io_sock_pause(&c->sock);
        io_sock_resume(&c->sock);
        if (round % 2 == 0) {
            io_sock_pause(&c->sock);
            turn(0);
            io_sock_resume(&c->sock);
        }
    }
    io_sock_pause(&c->sock);
    finish(c, fd); /* closing while paused */
    stop();
}

BOTH(pausing_in_the_handler_stops_within_a_turn)
{
    int fd;

    start(backend, 512, 64);
    struct conn *c = connect_one(MODE_HOLD, &fd);
    c->pause_on_receive = true;
    size_t sent = feed(fd, 2 * MIB), before = 0;
    while (c->received < sent) {
        TURN_UNTIL(c->received > before);
        turn(0);
        before = c->received;
        turn_for_ms(2);
        cr_assert_eq(c->received, before);
        release_held(c, c->held_count);
        io_sock_resume(&c->sock);
    }
    finish(c, fd);
    stop();
}

/* ---- ends --------------------------------------------------------------------------------- */

BOTH(close_during_a_send)
{
    int fd;
    size_t total = 16 * MIB;
    char *value = calloc(1, total);
    struct iovec iov[12];

    start(backend, 64, 64);
    for (int pieces = 1; pieces <= 12; pieces += 11) {
        for (int delay = 0; delay < 3; delay++) {
            struct conn *c = connect_one(MODE_COUNT, &fd);
            for (int i = 0; i < pieces; i++) {
                iov[i] = (struct iovec){value, total / 12};
            }
            iov[0].iov_len = total;
            io_sock_send(&c->sock, iov, pieces);
            turn_for_ms(delay);
            io_sock_close(&c->sock);
            io_sock_close(&c->sock); /* does nothing */
            c->turn_of_close = turns;
            cr_assert_eq(c->sent_calls, 0);
            TURN_UNTIL(c->closed_calls > 0);
            turn_for_ms(2);
            cr_assert_eq(c->sent_calls, 1);
            cr_assert_eq(c->sent_result, -ECANCELED);
            cr_assert_eq(c->closed_calls, 1);
            drain(fd);
            cr_assert(is_over(fd));
            free(c);
            close(fd);
        }
    }
    stop();
    free(value);
}

BOTH(send_after_close_is_cancelled)
{
    int fd;
    struct iovec iov = {"x", 1};

    start(backend, 64, 64);
    struct conn *c = connect_one(MODE_COUNT, &fd);
    io_sock_close(&c->sock);
    c->turn_of_close = turns;
    io_sock_send(&c->sock, &iov, 1);
    io_sock_pause(&c->sock);
    io_sock_resume(&c->sock);
    TURN_UNTIL(c->closed_calls > 0);
    cr_assert_eq(c->sent_calls, 1);
    cr_assert_eq(c->sent_result, -ECANCELED);
    free(c);
    close(fd);
    stop();
}

BOTH(peer_closes)
{
    int fd;

    start(backend, 64, 64);
    for (int round = 0; round < 3; round++) {
        struct conn *c = connect_one(MODE_COUNT, &fd);
        size_t sent = round > 0 ? feed(fd, 100 * KIB) : 0;
        if (round == 2) { /* half-closed: we can still answer */
            shutdown(fd, SHUT_WR);
        } else {
            close(fd);
        }
        TURN_UNTIL(c->ended_calls > 0);
        cr_assert_eq(c->end_result, 0);
        cr_assert_eq(c->received, sent);
        if (round == 2) {
            struct iovec iov = {"bye", 3};
            io_sock_send(&c->sock, &iov, 1);
            TURN_UNTIL(c->sent_calls > 0);
            cr_assert_eq(c->sent_result, 3);
            cr_assert_eq(drain(fd), 3);
        }
        turn_for_ms(2);
        cr_assert_eq(c->ended_calls, 1);
        finish(c, round == 2 ? fd : -1);
    }
    stop();
}

BOTH(peer_vanishes)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    size_t total = 16 * MIB;
    char *value = calloc(1, total);
    int fd;

    start(backend, 64, 64);
    for (int round = 0; round < 4; round++) {
        struct conn *c = connect_one(MODE_COUNT, &fd);
        struct iovec iov = {value, total};
        if (round % 2 == 1) {
            io_sock_send(&c->sock, &iov, 1);
            turn_for_ms(2);
        }
        if (round >= 2) {
            feed(fd, 50 * KIB);
        }
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
        TURN_UNTIL(c->ended_calls > 0 && !io_sock_sending(&c->sock));
        cr_assert_leq(c->end_result, 0);
        if (round % 2 == 1) {
            cr_assert_eq(c->sent_calls, 1);
            cr_assert(c->sent_result == -ECONNRESET || c->sent_result == -EPIPE);
        }
        io_sock_send(&c->sock, &iov, 1); /* into the void */
        TURN_UNTIL(!io_sock_sending(&c->sock));
        cr_assert_lt(c->sent_result, 0);
        finish(c, -1);
    }
    stop();
    free(value);
}

BOTH(handlers_may_close_anybody)
{
    struct conn *c[4];
    int fd[4];
    struct iovec iov = {"x", 1};

    start(backend, 64, 64);
    for (int i = 0; i < 4; i++) {
        c[i] = connect_one(MODE_COUNT, &fd[i]);
    }
    /* All become readable in one turn; the first whose turn it is closes another, which then must
     * not be heard of but by closed(). */
    c[0]->close_other = c[1];
    c[1]->close_other = c[0];
    c[2]->close_on_receive = true;
    c[3]->close_on_sent = true;
    for (int i = 0; i < 3; i++) {
        feed(fd[i], 60 * KIB);
    }
    io_sock_send(&c[3]->sock, &iov, 1);
    TURN_UNTIL(c[2]->closed_calls > 0 && c[3]->closed_calls > 0);
    cr_assert_eq(c[2]->received_calls, 1);
    TURN_UNTIL(c[0]->closed_calls + c[1]->closed_calls > 0);
    turn_for_ms(3);
    cr_assert_eq(c[0]->closed_calls + c[1]->closed_calls, 1);
    int alive = c[0]->closed_calls > 0 ? 1 : 0;
    c[alive]->close_other = NULL;
    finish(c[alive], fd[alive]);
    for (int i = 0; i < 4; i++) {
        if (i != alive) {
            free(c[i]);
            close(fd[i]);
        }
    }
    stop();
}

BOTH(destroy_with_everything_open)
{
    size_t total = 16 * MIB;
    char *value = calloc(1, total);
    struct iovec iov[3] = {{value, total}, {value, 1}, {value, 1}};
    struct conn *c[6];
    int fd[6];

    start(backend, 4, 64);
    for (int i = 0; i < 6; i++) {
        c[i] = connect_one(MODE_HOLD, &fd[i]);
    }
    feed(fd[0], 200 * KIB); /* holds all the buffers; 1 starves */
    turn_for_ms(2);
    feed(fd[1], 200 * KIB);
    turn_for_ms(2);
    io_sock_pause(&c[2]->sock);
    io_sock_send(&c[3]->sock, iov, 1);
    io_sock_send(&c[4]->sock, iov, 3);
    turn_for_ms(1);
    io_sock_send(&c[5]->sock, iov, 1); /* not even submitted */
    int dialled = dial();              /* nor accepted */
    stop();
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(c[i]->closed_calls, 0);
        drain(fd[i]);
        cr_assert(is_over(fd[i]));
        close(fd[i]);
        free(c[i]);
    }
    close(dialled);
    free(value);
}

/* ---- buffers ------------------------------------------------------------------------------ */

BOTH(who_holds_all_buffers_starves_others_until_release)
{
    enum { BUFFERS = 8, OTHERS = 20 };
    struct conn *others[OTHERS];
    int greedy_fd, fds[OTHERS];

    start(backend, BUFFERS, 64);
    struct conn *greedy = connect_one(MODE_HOLD, &greedy_fd);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = connect_one(MODE_COUNT, &fds[i]);
    }
    size_t sent = feed(greedy_fd, 1 * MIB);
    TURN_UNTIL(greedy->held_count == BUFFERS);
    cr_assert_eq(io_buf_available(io), 0);
    for (int i = 0; i < OTHERS; i++) {
        cr_assert_eq(feed(fds[i], 1000), 1000);
    }
    turn_for_ms(5);
    for (int i = 0; i < OTHERS; i++) {
        cr_assert_eq(others[i]->received, 0);
    }
    /* Starving is no reason to spin. */
    int completions = 0;
    for (int i = 0; i < 20; i++) {
        completions += turn(1000000);
    }
    cr_assert_eq(completions, 0);
    /* … nor to be deaf for the rest. */
    struct iovec iov = {"x", 1};
    io_sock_send(&others[0]->sock, &iov, 1);
    TURN_UNTIL(others[0]->sent_calls == 1);
    io_sock_pause(&others[1]->sock);
    io_sock_pause(&others[2]->sock);
    io_sock_resume(&others[2]->sock);
    finish(others[3], fds[3]); /* closing a starved one */

    /* One buffer comes back and goes round, the greedy one keeps the rest. */
    greedy->mode = MODE_COUNT;
    release_held(greedy, 1);
    for (int i = 0; i < OTHERS; i++) {
        if (i != 1 && i != 3) {
            TURN_UNTIL(others[i]->received == 1000);
        }
    }
    cr_assert_eq(others[1]->received, 0);
    io_sock_resume(&others[1]->sock);
    TURN_UNTIL(others[1]->received == 1000);
    release_held(greedy, greedy->held_count);
    TURN_UNTIL(greedy->received == sent);
    cr_assert_eq(io_buf_available(io), BUFFERS);
    for (int i = 0; i < OTHERS; i++) {
        if (i != 3) {
            finish(others[i], fds[i]);
        }
    }
    finish(greedy, greedy_fd);
    stop();
}

/* ---- everything at once -------------------------------------------------------------------- */

enum { SLOTS = 40 };

static void random_step(struct conn **c, int *fd, char *value)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct iovec iov[20];

    switch (rnd(12)) {
    case 0:
        if (*fd >= 0) {
            if (rnd(2) == 0) {
                setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            }
            close(*fd);
            *fd = -1;
        }
        break;
    case 1:
        if ((*c)->ended_calls > 0 || rnd(4) == 0) {
            if ((*c)->turn_of_close == 0) {
                (*c)->turn_of_close = turns;
            }
            io_sock_close(&(*c)->sock);
        }
        break;
    case 2:
        io_sock_pause(&(*c)->sock);
        break;
    case 3:
    case 4:
        io_sock_resume(&(*c)->sock);
        break;
    case 5:
        if (!io_sock_sending(&(*c)->sock)) {
            int pieces = 1 + (int)rnd(20);
            for (int i = 0; i < pieces; i++) {
                iov[i] = (struct iovec){value, rnd(rnd(10) == 0 ? MIB : 1000)};
            }
            io_sock_send(&(*c)->sock, iov, pieces);
        }
        break;
    case 6:
    case 7:
        release_held(*c, (int)rnd((uint64_t)(*c)->held_count + 1));
        break;
    case 8:
        drain(*fd);
        break;
    default:
        feed(*fd, rnd(rnd(8) == 0 ? MIB : 2000));
    }
}

BOTH(anything_in_any_order)
{
    struct conn *c[SLOTS];
    int fd[SLOTS], replaced = 0;
    char *value = calloc(1, MIB);

    start(backend, 32, 16);
    for (int i = 0; i < SLOTS; i++) {
        c[i] = connect_one(MODE_HOLD, &fd[i]);
    }
    for (int step = 0; step < 30000; step++) {
        int i = (int)rnd(SLOTS);
        if (c[i]->closed_calls > 0) {
            cr_assert_eq(c[i]->closed_calls, 1);
            close(fd[i]);
            free(c[i]);
            c[i] = connect_one(MODE_HOLD, &fd[i]);
            replaced++;
        }
        random_step(&c[i], &fd[i], value);
        if (rnd(4) == 0) {
            turn(rnd(4) == 0 ? 20000 : 0);
        }
    }
    cr_assert_gt(replaced, 100);
    for (int i = 0; i < SLOTS; i++) {
        if (c[i]->turn_of_close == 0) {
            c[i]->turn_of_close = turns;
        }
        io_sock_close(&c[i]->sock);
        TURN_UNTIL(c[i]->closed_calls > 0);
        free(c[i]);
        close(fd[i]);
    }
    cr_assert_eq(io_buf_available(io), 32);
    stop();
    free(value);
}

/* ---- listeners ---------------------------------------------------------------------------- */

BOTH(descriptors_run_out)
{
    struct rlimit limit, saved;
    struct timespec a, b;

    start(backend, 8, 64);
    int fds[2] = {dial(), dial()};
    TURN_UNTIL(accepted_count == 2);

    io_unlisten(io, &listener);
    turn_for_ms(2);
    int third = dial();
    int next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &saved);
    limit = saved;
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    /* io_uring notes the limit when it begins to accept. */
    cr_assert_eq(io_listen(io, &listener, listener.fd), 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    TURN_UNTIL(failed_count == 3);
    clock_gettime(CLOCK_MONOTONIC, &b);
    cr_assert_eq(last_accept_error, -EMFILE);
    cr_assert_eq(accepted_count, 2);
    double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    cr_assert_geq(s, 0.19); /* two pauses */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    TURN_UNTIL(accepted_count == 3);
    close(third);
    close(fds[0]);
    close(fds[1]);
    stop(); /* with connections open on our side */
    for (int i = 0; i < accepted_count; i++) {
        free(first_accepted[i]);
    }
}

BOTH(nothing_is_accepted_after_unlisten)
{
    start(backend, 8, 64);
    int first = dial();
    TURN_UNTIL(accepted_count == 1);
    int second = dial(); /* may be on its way */
    turn(0);
    int before = accepted_count;
    io_unlisten(io, &listener);
    io_unlisten(io, &listener); /* does nothing */
    turn_for_ms(3);
    cr_assert_eq(accepted_count, before);
    cr_assert_eq(io_listen(io, &listener, listener.fd), 0);
    int third = dial();
    TURN_UNTIL(accepted_count > before);
    close(first);
    close(second);
    close(third);
    stop();
    for (int i = 0; i < accepted_count; i++) {
        free(first_accepted[i]);
    }
}

/* ---- waiting ------------------------------------------------------------------------------ */

BOTH(waits_end_in_time)
{
    struct timespec a, b;

    start(backend, 8, 64);
    turn_for_ms(2);
    clock_gettime(CLOCK_MONOTONIC, &a);
    cr_assert_eq(turn(20 * 1000000), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    cr_assert_geq(ms, 19.9);
    cr_assert_lt(ms, 2000);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(turn(0), 0);
    }
    stop();
}

static void nothing(int signal)
{
}

static void *wake_later(void *unused)
{
    struct timespec ts = {0, 20 * 1000000};
    nanosleep(&ts, NULL);
    io_wake_mp(io, NULL);
    return NULL;
}

BOTH(signals_do_not_disturb)
{
    struct sigaction act = {.sa_handler = nothing};
    struct itimerval every = {{0, 1000}, {0, 1000}}, off = {{0, 0}, {0, 0}};
    pthread_t t;

    start(backend, 8, 64);
    sigaction(SIGVTALRM, &act, NULL);
    sigaction(SIGPROF, &act, NULL);
    setitimer(ITIMER_PROF, &every, NULL);
    pthread_create(&t, NULL, wake_later, NULL);
    int n;
    do {
        for (int i = 0; i < 3; i++) {
            pthread_kill(pthread_self(), SIGVTALRM);
        }
        n = turn(-1);
        cr_assert_geq(n, 0);
    } while (n == 0);
    setitimer(ITIMER_PROF, &off, NULL);
    pthread_join(t, NULL);
    stop();
}

/* ---- the choice of the backend ------------------------------------------------------------- */

static int refusal;

static int refuse(void)
{
    return refusal;
}

Test(io_sock, refused_io_uring_falls_back)
{
    static const struct {
        int error;
        const char *why;
    } cases[] = {
        {-EPERM, "io_uring is not permitted here (seccomp or kernel.io_uring_disabled): "
                 "Operation not permitted"},
        {-ENOSYS, "this kernel has no io_uring: Function not implemented"},
        {-EINVAL, "this kernel's io_uring is too old (Linux 6.1 is needed): Invalid argument"},
        {-ENOMEM, "io_uring got no memory (see RLIMIT_MEMLOCK): Cannot allocate memory"},
        {-EMFILE, "io_uring cannot be used: Too many open files"},
    };
    struct io_config config = {.buffers = 8, .entries = 8, .handlers = &handlers};
    const char *why;

    io__uring_refusal = refuse;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refusal = cases[i].error;
        config.backend = IO_AUTO;
        cr_assert_eq(io_create(&io, &config, &why), 0);
        cr_assert_str_eq(io_backend_name(io), "epoll");
        cr_assert_str_eq(why, cases[i].why);
        io_destroy(io);

        config.backend = IO_URING;
        cr_assert_eq(io_create(&io, &config, &why), refusal);
        cr_assert_null(io);
        cr_assert_str_eq(why, cases[i].why);
    }
    config.buffers = 12;
    cr_assert_eq(io_create(&io, &config, &why), -EINVAL);
}
