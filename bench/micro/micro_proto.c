/* micro_proto.c - commands parsed and replies written, as the server does it.
 *
 * A buffer holds a pipeline of equal commands, as it arrives. Replies are written 100 at a time and
 * then sent (iovec, consume), but for those that say "alone": sent after each. */
#include "bench/micro/micro.h"
#include "proto/reply.h"
#include "proto/resp_parse.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIPELINE = 100 };

/* --- parsing --- */

static void parse(struct micro *m, const char *command)
{
    const struct resp_limits limits = {512 * 1024 * 1024, true};
    const size_t len = strlen(command);
    micro_pause(m);
    char *buf = malloc(len * PIPELINE);
    if (!buf) {
        abort();
    }
    for (size_t i = 0; i < PIPELINE; i++) {
        memcpy(buf + i * len, command, len);
    }
    struct resp_parser p;
    resp_parser_init(&p);
    micro_resume(m);
    for (uint64_t done = 0; done < m->ops;) {
        for (size_t at = 0; at < len * PIPELINE && done < m->ops; done++) {
            if (resp_parse(&p, buf + at, len * PIPELINE - at, &limits) != RESP_COMMAND) {
                abort();
            }
            micro_keep(p.argv);
            at += p.used_bytes;
        }
    }
    micro_pause(m);
    resp_parser_free(&p);
    free(buf);
    micro_resume(m);
}

static void parse_ping(struct micro *m)
{
    parse(m, "*1\r\n$4\r\nPING\r\n");
}

static void parse_get(struct micro *m)
{
    parse(m, "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000123\r\n");
}

static void parse_set(struct micro *m)
{
    parse(m, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000123\r\n"
             "$32\r\nabcdefghijklmnopqrstuvwxyz012345\r\n");
}

static void parse_mset(struct micro *m)
{
    char text[1024];
    int at = snprintf(text, sizeof text, "*21\r\n$4\r\nMSET\r\n");
    for (int i = 0; i < 10; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "$16\r\nkey:00000000012%d\r\n"
                       "$32\r\nabcdefghijklmnopqrstuvwxyz012345\r\n", i);
    }
    parse(m, text);
}

static void parse_inline(struct micro *m)
{
    parse(m, "GET key:000000000123\r\n");
}

static const struct micro_bench parse_benches[] = {
    {"ping", "parse PING", parse_ping},
    {"get", "parse GET of a key of 16 bytes", parse_get},
    {"set", "parse SET of a key of 16 bytes to a value of 32", parse_set},
    {"mset10", "parse MSET of ten such keys and values", parse_mset},
    {"inline", "parse GET as an inline command", parse_inline},
};
const struct micro_group micro_parse = {
    "parse", NULL, parse_benches, sizeof parse_benches / sizeof *parse_benches};

/* --- replies --- */

static char value[REPLY_REF_MIN];

static inline void replies(struct micro *m, void (*write)(struct reply *), unsigned per_send)
{
    struct reply r;
    reply_init(&r, 2);
    for (uint64_t done = 0; done < m->ops;) {
        for (unsigned i = 0; i < per_send && done < m->ops; i++, done++) {
            write(&r);
        }
        struct iovec iov[64];
        while (r.total_bytes > 0) {
            size_t bytes = 0;
            int n = (int)reply_iovec(&r, iov, 64);
            micro_keep(iov);
            for (int i = 0; i < n; i++) {
                bytes += iov[i].iov_len;
            }
            reply_consume(&r, bytes);
        }
    }
    reply_clear(&r);
}

static void write_ok(struct reply *r) { reply_ok(r); }
static void write_int(struct reply *r) { reply_int(r, 1234567890); }
static void write_null(struct reply *r) { reply_null(r); }
static void write_bulk_32(struct reply *r) { reply_bulk(r, value, 32); }
static void write_bulk_1k(struct reply *r) { reply_bulk(r, value, 1024); }
static void write_ref_16k(struct reply *r) { reply_bulk_ref(r, value, sizeof value, NULL, NULL); }
static void write_double(struct reply *r) { reply_double(r, 3.14); }

static void write_array_10(struct reply *r)
{
    reply_array(r, 10);
    for (int i = 0; i < 10; i++) {
        reply_bulk(r, value, 10);
    }
}

static void write_deferred_10(struct reply *r)
{
    struct reply_mark mark = reply_deferred(r);
    for (int i = 0; i < 10; i++) {
        reply_bulk(r, value, 10);
    }
    reply_deferred_array(r, mark, 10);
}

static void write_moved(struct reply *r)
{
    struct reply from;
    reply_init(&from, 2);
    reply_bulk(&from, value, 3);
    reply_move(r, &from, from.total_bytes);
}

static void reply_bench_ok(struct micro *m) { replies(m, write_ok, PIPELINE); }
static void reply_bench_ok_alone(struct micro *m) { replies(m, write_ok, 1); }
static void reply_bench_int(struct micro *m) { replies(m, write_int, PIPELINE); }
static void reply_bench_null(struct micro *m) { replies(m, write_null, PIPELINE); }
static void reply_bench_bulk_32(struct micro *m) { replies(m, write_bulk_32, PIPELINE); }
static void reply_bench_bulk_1k(struct micro *m) { replies(m, write_bulk_1k, PIPELINE); }
static void reply_bench_ref_16k(struct micro *m) { replies(m, write_ref_16k, 1); }
static void reply_bench_double(struct micro *m) { replies(m, write_double, PIPELINE); }
static void reply_bench_array(struct micro *m) { replies(m, write_array_10, PIPELINE); }
static void reply_bench_deferred(struct micro *m) { replies(m, write_deferred_10, PIPELINE); }
static void reply_bench_moved(struct micro *m) { replies(m, write_moved, PIPELINE); }

static const struct micro_bench reply_benches[] = {
    {"ok", "+OK", reply_bench_ok},
    {"ok-alone", "+OK, sent alone", reply_bench_ok_alone},
    {"int", "an integer of ten digits", reply_bench_int},
    {"null", "null", reply_bench_null},
    {"bulk-32", "a bulk string of 32 bytes", reply_bench_bulk_32},
    {"bulk-1k", "a bulk string of 1 KiB", reply_bench_bulk_1k},
    {"ref-16k", "16 KiB by reference, sent alone", reply_bench_ref_16k},
    {"double", "3.14", reply_bench_double},
    {"array-10", "an array of ten bulk strings", reply_bench_array},
    {"deferred-10", "the same, counted at last", reply_bench_deferred},
    {"moved", "a bulk string moved from another reply", reply_bench_moved},
};
const struct micro_group micro_reply = {
    "reply", NULL, reply_benches, sizeof reply_benches / sizeof *reply_benches};
