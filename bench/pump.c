/* pump.c - drives any line-counting protocol with one template: for bench/compare.
 *
 *   pump -p PORT [-c CONNECTIONS] [-P DEPTH] [-n REQUESTS] [-r KEYS] -l LINES TEMPLATE
 *
 * It knows no protocol: a request is the template (with \r, \n and \\ understood), in which every
 * __rand_int__ is a fresh number below KEYS of 12 digits, and it is answered when LINES line ends
 * have come back. That is enough for memcached's text protocol and for transactions, which the
 * load generator of Redis cannot send. Everything else is ashlar-bench's.
 *
 *   connection   DEPTH requests are written ─► LINES * DEPTH line ends are read ─► and again
 *
 * A line that begins like an error of RESP or of memcached is counted as one. Prints one line of
 * JSON in the shape of ashlar-bench's, with the latency of whole batches. One thread; values must
 * not contain line ends. Exit 1 when the server cannot be reached or goes away.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 10000,
    DEPTH_MAX = 1000,
    NUMBERS_MAX = 64, /* __rand_int__ in a template */
    NUMBER_LEN = 12,
    READ_BYTES = 1 << 16,
    SAMPLES_MAX = 1 << 24,
};

static const char number_mark[] = "__rand_int__";
static_assert(sizeof number_mark - 1 == NUMBER_LEN, "a number replaces its mark in place");

struct conn {
    int fd;
    uint64_t lines_left; /* of the batch in flight */
    double sent_ns;
    uint32_t batch;      /* requests in flight */
    bool at_line_start;
};

static struct {
    int port;
    uint32_t connections, depth;
    uint64_t requests, keys, lines;
} options = {.connections = 50, .depth = 1, .requests = 100000, .keys = 1000000};

static struct {
    char *bytes; /* DEPTH copies of the template */
    size_t len;  /* of one */
    size_t number_at[NUMBERS_MAX];
    size_t numbers;
} request;

static struct {
    uint64_t started, done, errors, bytes_in, bytes_out, samples;
    float *latency_us;
} run;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t random_next(void)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x >> 16;
}

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "pump: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p) {
        fail("memory");
    }
    return p;
}

/* --- the template --- */

static size_t unescape(char *out, const char *text)
{
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '\\' && text[1]) {
            text++;
            out[n++] = *text == 'r' ? '\r' : *text == 'n' ? '\n' : *text;
        } else {
            out[n++] = *text;
        }
    }
    return n;
}

static bool request_prepare(const char *text)
{
    char *one = allocate(strlen(text) + 1);
    request.len = unescape(one, text);
    one[request.len] = 0;
    for (char *at = one; (at = strstr(at, number_mark)); at += NUMBER_LEN) {
        if (request.numbers == NUMBERS_MAX) {
            free(one);
            return false;
        }
        request.number_at[request.numbers++] = (size_t)(at - one);
    }
    request.bytes = allocate(request.len * options.depth + 1);
    for (uint32_t i = 0; i < options.depth; i++) {
        memcpy(request.bytes + i * request.len, one, request.len);
    }
    free(one);
    return request.len > 0;
}

static void renew_numbers(uint32_t requests)
{
    for (uint32_t i = 0; i < requests; i++) {
        for (size_t n = 0; n < request.numbers; n++) {
            char *out = request.bytes + i * request.len + request.number_at[n];
            uint64_t v = random_next() % options.keys;
            for (int at = NUMBER_LEN - 1; at >= 0; at--, v /= 10) {
                out[at] = (char)('0' + v % 10);
            }
        }
    }
}

/* --- connections --- */

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        fail("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Sends the next batch, if any requests are left. Blocking: a batch is no larger than what socket
 * buffers take while the server reads. */
static void send_batch(struct conn *c)
{
    uint64_t left = options.requests - run.started;
    c->batch = left < options.depth ? (uint32_t)left : options.depth;
    if (c->batch == 0) {
        return;
    }
    run.started += c->batch;
    renew_numbers(c->batch);
    c->lines_left = options.lines * c->batch;
    c->at_line_start = true;
    c->sent_ns = now_ns();
    size_t len = request.len * c->batch;
    for (size_t at = 0; at < len;) {
        ssize_t n = send(c->fd, request.bytes + at, len - at, MSG_NOSIGNAL);
        if (n < 0) {
            fail("send");
        }
        at += (size_t)n;
    }
    run.bytes_out += len;
}

static bool is_error(const char *line, size_t len)
{
    return line[0] == '-' || (len > 1 && line[0] == 'E' && line[1] == 'R') ||
           (len > 6 && (memcmp(line, "CLIENT_", 7) == 0 || memcmp(line, "SERVER_", 7) == 0));
}

static void take_lines(struct conn *c, const char *p, size_t len)
{
    const char *end = p + len;
    while (p < end) {
        if (c->at_line_start && is_error(p, (size_t)(end - p))) {
            run.errors++;
        }
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        c->at_line_start = eol != NULL;
        if (!eol) {
            return;
        }
        p = eol + 1;
        if (c->lines_left == 0) {
            fprintf(stderr, "pump: more lines than expected\n");
            exit(1);
        }
        c->lines_left--;
    }
}

static void receive(struct conn *c)
{
    static char buf[READ_BYTES];
    ssize_t n = recv(c->fd, buf, sizeof buf, 0);
    if (n <= 0) {
        fail("the server closed a connection");
    }
    run.bytes_in += (uint64_t)n;
    take_lines(c, buf, (size_t)n);
    if (c->lines_left > 0) {
        return;
    }
    run.done += c->batch;
    if (run.samples < SAMPLES_MAX) {
        run.latency_us[run.samples++] = (float)((now_ns() - c->sent_ns) / 1000);
    }
    send_batch(c);
}

/* --- the result --- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(double q)
{
    uint64_t at = (uint64_t)((double)run.samples * q / 100);
    return run.samples ? (double)run.latency_us[at < run.samples ? at : run.samples - 1] : 0;
}

static void print_result(double seconds, double cpu_us)
{
    qsort(run.latency_us, run.samples, sizeof *run.latency_us, compare_floats);
    double sum = 0;
    for (uint64_t i = 0; i < run.samples; i++) {
        sum += (double)run.latency_us[i];
    }
    printf("{\"tool\": \"pump\", \"runs\": [{\"name\": \"template\", \"requests\": %llu, "
           "\"errors\": %llu, \"seconds\": %.6f, \"rps\": %.1f, \"bytes_in\": %llu, "
           "\"bytes_out\": %llu, \"client_cpu_us_per_request\": %.4f, "
           "\"latency_us\": {\"min\": %.1f, \"mean\": %.1f, ",
           (unsigned long long)run.done, (unsigned long long)run.errors, seconds,
           (double)run.done / seconds, (unsigned long long)run.bytes_in,
           (unsigned long long)run.bytes_out, cpu_us / (double)run.done, percentile(0),
           run.samples ? sum / (double)run.samples : 0);
    static const char *const names[] = {"50", "90", "99", "99.9", "99.99"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        printf("\"p%s\": %.1f, ", names[i], percentile(strtod(names[i], NULL)));
    }
    printf("\"max\": %.1f}}]}\n", percentile(100));
}

static double process_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && end != text && !*end && *out >= min && *out <= max;
}

static bool parse_options(int argc, char **argv)
{
    uint64_t v = 0;
    bool good = true;
    for (int o; (o = getopt(argc, argv, "p:c:P:n:r:l:")) >= 0;) {
        switch (o) {
        case 'p':
            good = good && number(optarg, 1, 65535, &v);
            options.port = (int)v;
            break;
        case 'c':
            good = good && number(optarg, 1, CONNECTIONS_MAX, &v);
            options.connections = (uint32_t)v;
            break;
        case 'P':
            good = good && number(optarg, 1, DEPTH_MAX, &v);
            options.depth = (uint32_t)v;
            break;
        case 'n':
            good = good && number(optarg, 1, UINT64_MAX, &options.requests);
            break;
        case 'r':
            good = good && number(optarg, 1, UINT64_C(1000000000000), &options.keys);
            break;
        case 'l':
            good = good && number(optarg, 1, 1000000, &options.lines);
            break;
        default:
            good = false;
        }
    }
    return good && options.port && options.lines && optind == argc - 1 &&
           request_prepare(argv[optind]);
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: pump -p PORT [-c CONNECTIONS] [-P DEPTH] [-n REQUESTS] [-r KEYS] "
                        "-l LINES TEMPLATE\n");
        return 2;
    }
    uint64_t batches = options.requests / options.depth + options.connections + 1;
    run.latency_us = allocate((batches < SAMPLES_MAX ? batches : SAMPLES_MAX) * sizeof(float));
    struct conn *conns = allocate(options.connections * sizeof *conns);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < options.connections; i++) {
        conns[i] = (struct conn){.fd = connect_to(options.port)};
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &e) < 0) {
            fail("epoll");
        }
    }
    double from = now_ns(), cpu = process_cpu_us();
    for (uint32_t i = 0; i < options.connections; i++) {
        send_batch(&conns[i]);
    }
    while (run.done < options.requests) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        if (n < 0 && errno != EINTR) {
            fail("epoll");
        }
        for (int i = 0; i < n; i++) {
            receive(events[i].data.ptr);
        }
    }
    print_result((now_ns() - from) / 1e9, process_cpu_us() - cpu);
    for (uint32_t i = 0; i < options.connections; i++) {
        close(conns[i].fd);
    }
    close(epoll);
    free(conns);
    free(run.latency_us);
    free(request.bytes);
    return 0;
}
