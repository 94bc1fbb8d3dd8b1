/* proto_bench.c - nanoseconds per command parsed and per reply written, on one core.
 *
 *   build/bench/bench-proto [rounds]
 *
 * A buffer holds a pipeline of equal commands, as it arrives; a reply is sent (iovec, consume)
 * after each command or after 100. The best of some repetitions counts: the machine is shared.
 */
#include "proto/reply.h"
#include "proto/resp_parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REPEAT = 7, PIPELINE = 100, ROUNDS = 5000 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* --- Parsing --- */

static void bench_parse(const char *name, const char *command, int rounds)
{
    const struct resp_limits limits = {512 * 1024 * 1024, true};
    const size_t len = strlen(command);
    char *buf = malloc(len * PIPELINE);
    if (buf == NULL) {
        abort();
    }
    for (int i = 0; i < PIPELINE; i++) {
        memcpy(buf + (size_t)i * len, command, len);
    }
    struct resp_parser p;
    resp_parser_init(&p);
    double best = 1e18;
    for (int repeat = 0; repeat < REPEAT; repeat++) {
        double start = now_ns();
        for (int round = 0; round < rounds; round++) {
            size_t at = 0;
            while (at < len * PIPELINE) {
                if (resp_parse(&p, buf + at, len * PIPELINE - at, &limits) != RESP_COMMAND) {
                    abort();
                }
                keep(p.argv);
                at += p.used_bytes;
            }
        }
        double ns = (now_ns() - start) / ((double)rounds * PIPELINE);
        best = ns < best ? ns : best;
    }
    printf("parse %-22s %7.1f ns  %6.2f GB/s\n", name, best, (double)len / best);
    resp_parser_free(&p);
    free(buf);
}

/* --- Writing --- */

static char value[REPLY_REF_MIN];

static void write_ok(struct reply *r) { reply_ok(r); }
static void write_int_1(struct reply *r) { reply_int(r, 1); }
static void write_int_10(struct reply *r) { reply_int(r, 1234567890); }
static void write_null(struct reply *r) { reply_null(r); }
static void write_bulk_3(struct reply *r) { reply_bulk(r, value, 3); }
static void write_bulk_64(struct reply *r) { reply_bulk(r, value, 64); }
static void write_bulk_1k(struct reply *r) { reply_bulk(r, value, 1024); }
static void write_bulk_16k(struct reply *r) { reply_bulk(r, value, sizeof value); }
static void write_ref_16k(struct reply *r) { reply_bulk_ref(r, value, sizeof value, NULL, NULL); }
static void write_array_10(struct reply *r)
{
    reply_array(r, 10);
    for (int i = 0; i < 10; i++) {
        reply_bulk(r, value, 10);
    }
}
static void write_deferred_10(struct reply *r)
{
    struct reply_mark m = reply_deferred(r);
    for (int i = 0; i < 10; i++) {
        reply_bulk(r, value, 10);
    }
    reply_deferred_array(r, m, 10);
}
static void write_double(struct reply *r) { reply_double(r, 3.14); }
static void write_moved(struct reply *r)
{
    struct reply from;
    reply_init(&from, 2);
    reply_bulk(&from, value, 3);
    reply_move(r, &from, from.total_bytes);
}

/* How often a reply is sent: after each command, or after a pipeline. */
static double time_replies(void (*write)(struct reply *), int per_send, int rounds)
{
    struct reply r;
    reply_init(&r, 2);
    double best = 1e18;
    for (int repeat = 0; repeat < REPEAT; repeat++) {
        double start = now_ns();
        for (int i = 0; i < rounds; i++) {
            for (int k = 0; k < per_send; k++) {
                write(&r);
            }
            struct iovec iov[64];
            keep(iov + reply_iovec(&r, iov, 64));
            reply_consume(&r, r.total_bytes);
        }
        double ns = (now_ns() - start) / ((double)rounds * per_send);
        best = ns < best ? ns : best;
    }
    return best;
}

static void bench_reply(const char *name, void (*write)(struct reply *), int rounds)
{
    printf("reply %-22s %7.1f ns  %7.1f ns each of 100\n", name,
           time_replies(write, 1, rounds * 10), time_replies(write, 100, rounds / 10 + 1));
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    if (rounds <= 0) {
        fprintf(stderr, "usage: bench-proto [rounds]\n");
        return EXIT_FAILURE;
    }
    memset(value, 'x', sizeof value);
    bench_parse("PING", "*1\r\n$4\r\nPING\r\n", rounds);
    bench_parse("GET k", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", rounds);
    bench_parse("GET key:000000000123", "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000123\r\n", rounds);
    bench_parse("SET", "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000123\r\n$3\r\nxyz\r\n", rounds);
    bench_parse("MSET10",
                "*21\r\n$4\r\nMSET\r\n$5\r\nkey:0\r\n$3\r\nxyz\r\n"
                "$5\r\nkey:1\r\n$3\r\nxyz\r\n$5\r\nkey:2\r\n$3\r\nxyz\r\n"
                "$5\r\nkey:3\r\n$3\r\nxyz\r\n$5\r\nkey:4\r\n$3\r\nxyz\r\n"
                "$5\r\nkey:5\r\n$3\r\nxyz\r\n$5\r\nkey:6\r\n$3\r\nxyz\r\n"
                "$5\r\nkey:7\r\n$3\r\nxyz\r\n$5\r\nkey:8\r\n$3\r\nxyz\r\n"
                "$5\r\nkey:9\r\n$3\r\nxyz\r\n", rounds / 4 + 1);
    bench_parse("inline GET k", "GET k\r\n", rounds);

    static const struct {
        const char *name;
        void (*write)(struct reply *);
    } replies[] = {
        {"ok", write_ok},
        {"int 1 digit", write_int_1},
        {"int 10 digits", write_int_10},
        {"null", write_null},
        {"bulk 3", write_bulk_3},
        {"bulk 64", write_bulk_64},
        {"bulk 1 KiB", write_bulk_1k},
        {"bulk 16 KiB", write_bulk_16k},
        {"reference 16 KiB", write_ref_16k},
        {"array of 10 bulks", write_array_10},
        {"deferred 10 bulks", write_deferred_10},
        {"double 3.14", write_double},
        {"bulk 3, moved", write_moved},
    };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        bench_reply(replies[i].name, replies[i].write, rounds);
    }
    return EXIT_SUCCESS;
}
