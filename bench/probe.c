/* probe.c - how long others wait: a steady PING/GET load, for the stalls section of bench/compare.
 *
 *   probe PORT INTERVAL_US KEY
 *
 * Sends PING and GET KEY in turn, one every INTERVAL_US by the clock, whether the one before has
 * been answered or not, and counts each one's latency from the moment at which it was due. So
 * a server that stands still for a second shows up as one second of late answers, not as one slow
 * request (no coordinated omission).
 *
 *   stdin   "window NAME"  ends the window that runs, prints it, begins another under this name
 *   stdout  {"window": …, "requests": …, "ping": {…}, "get": {…}, "late": {…}}   one line each
 *
 * "late" is how late the probe itself was in sending: what of a latency is the probe's own fault.
 * It asks for real-time scheduling, because on a machine with two cores it shares one with whoever
 * loads the server; without permission it goes on without ("realtime": false). A request belongs to
 * the window in which it was due. Ends with its input. One thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    FLIGHT_MAX = 1 << 16, /* requests without answer: 32 s at 500 us; beyond that none are sent */
    DRAIN_SECONDS = 120,  /* a window that ends waits so long for its answers */
    REQUEST_MAX = 512,
};

struct samples {
    float *us;
    size_t count, cap;
};

static struct samples ping, get, late;

static struct {
    double due_ns[FLIGHT_MAX];
    uint64_t sent, answered; /* even numbers are PING, odd ones GET */
    uint64_t skipped;        /* due while too many were in flight */
} flight;

static char get_request[REQUEST_MAX];
static size_t get_request_len;
static int server;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void samples_add(struct samples *s, double us)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->us = realloc(s->us, s->cap * sizeof *s->us);
        if (!s->us) {
            fail("memory");
        }
    }
    s->us[s->count++] = (float)us;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void samples_print(const char *name, struct samples *s)
{
    if (s->count > 0) {
        qsort(s->us, s->count, sizeof *s->us, compare_floats);
    }
    static const double q[] = {50, 99, 99.9, 100};
    double v[4] = {0};
    for (int i = 0; i < 4 && s->count; i++) {
        size_t at = (size_t)((double)s->count * q[i] / 100);
        v[i] = (double)s->us[at < s->count ? at : s->count - 1];
    }
    printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}", name, v[0],
           v[1], v[2], v[3]);
    s->count = 0;
}

/* --- requests and answers --- */

static void send_due(double due_ns)
{
    if (flight.sent - flight.answered == FLIGHT_MAX) {
        flight.skipped++;
        return;
    }
    static const char ping_request[] = "*1\r\n$4\r\nPING\r\n";
    bool is_get = flight.sent & 1;
    const char *bytes = is_get ? get_request : ping_request;
    size_t len = is_get ? get_request_len : sizeof ping_request - 1;
    samples_add(&late, (now_ns() - due_ns) / 1000);
    flight.due_ns[flight.sent++ % FLIGHT_MAX] = due_ns;
    for (size_t at = 0; at < len;) {
        ssize_t n = send(server, bytes + at, len - at, MSG_NOSIGNAL);
        if (n < 0) {
            fail("send");
        }
        at += (size_t)n;
    }
}

/* Takes one whole reply (a line, or a bulk string) off the front; its length, 0: not all there. */
static size_t reply_len(const char *p, size_t len)
{
    const char *eol = memchr(p, '\n', len);
    if (!eol) {
        return 0;
    }
    size_t line = (size_t)(eol - p) + 1;
    if (p[0] != '$' || p[1] == '-') {
        return line;
    }
    size_t whole = line + strtoul(p + 1, NULL, 10) + 2;
    return whole <= len ? whole : 0;
}

static void receive(void)
{
    static char buf[1 << 16];
    static size_t have;
    ssize_t n = recv(server, buf + have, sizeof buf - have, 0);
    if (n <= 0) {
        fail("the server closed the connection");
    }
    double now = now_ns();
    have += (size_t)n;
    size_t at = 0;
    for (size_t len; at < have && (len = reply_len(buf + at, have - at)) > 0; at += len) {
        if (flight.answered == flight.sent) {
            fprintf(stderr, "probe: an answer to nothing\n");
            exit(1);
        }
        double us = (now - flight.due_ns[flight.answered % FLIGHT_MAX]) / 1000;
        samples_add(flight.answered++ & 1 ? &get : &ping, us);
    }
    memmove(buf, buf + at, have - at);
    have -= at;
}

static void drain(void)
{
    double until = now_ns() + DRAIN_SECONDS * 1e9;
    struct pollfd p = {.fd = server, .events = POLLIN};
    while (flight.answered < flight.sent && now_ns() < until) {
        if (poll(&p, 1, 1000) > 0) {
            receive();
        }
    }
}

/* --- windows --- */

static char window[256];
static double window_from_ns;
static bool realtime;

/* Ends the window, if one runs, when all that it sent is answered. */
static void window_end(void)
{
    if (!*window) {
        return;
    }
    double seconds = (now_ns() - window_from_ns) / 1e9;
    drain();
    printf("{\"window\": \"%s\", \"seconds\": %.3f, \"requests\": %zu, \"skipped\": %llu, "
           "\"realtime\": %s",
           window, seconds, ping.count + get.count, (unsigned long long)flight.skipped,
           realtime ? "true" : "false");
    samples_print("ping", &ping);
    samples_print("get", &get);
    samples_print("late", &late);
    printf("}\n");
    fflush(stdout);
    flight.skipped = 0;
}

/* False at the end of the input. */
static bool command(void)
{
    static char line[256];
    static size_t have;
    ssize_t n = read(0, line + have, sizeof line - have);
    if (n <= 0) {
        return false;
    }
    have += (size_t)n;
    for (char *eol; (eol = memchr(line, '\n', have));) {
        *eol = 0;
        if (strncmp(line, "window ", 7) == 0) {
            window_end();
            snprintf(window, sizeof window, "%s", line + 7);
            window_from_ns = now_ns();
        }
        have -= (size_t)(eol + 1 - line);
        memmove(line, eol + 1, have);
    }
    return have < sizeof line;
}

static int connect_to(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        fail("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int main(int argc, char **argv)
{
    double interval_ns = argc == 4 ? strtod(argv[2], NULL) * 1000 : 0;
    if (interval_ns < 10000 || strlen(argv[3]) > REQUEST_MAX - 64) {
        fprintf(stderr, "usage: probe PORT INTERVAL_US KEY    (at least 10 us)\n");
        return 2;
    }
    get_request_len =
        (size_t)snprintf(get_request, sizeof get_request, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n",
                         strlen(argv[3]), argv[3]);
    server = connect_to(argv[1]);
    prctl(PR_SET_TIMERSLACK, 1);
    realtime = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
    struct pollfd p[2] = {{.fd = server, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    double due_ns = now_ns();
    for (;;) {
        double now = now_ns();
        if (now >= due_ns) {
            send_due(due_ns);
            due_ns += interval_ns;
            continue;
        }
        double wait = due_ns - now;
        struct timespec t = {(time_t)(wait / 1e9), (long)((uint64_t)wait % 1000000000u)};
        if (ppoll(p, 2, &t, NULL) < 0 && errno != EINTR) {
            fail("poll");
        }
        if (p[0].revents) {
            receive();
        }
        if (p[1].revents) {
            if (!command()) {
                window_end();
                return 0;
            }
            now = now_ns();
            due_ns = due_ns > now ? due_ns : now; /* draining was no fault of the server's */
        }
    }
}
