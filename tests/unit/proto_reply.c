/* Writing replies: every type byte for byte, chunk crossings, references, marks, moving and
 * sending. After each step the invariants of reply.h are checked from outside (check). */
#include "proto/reply.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { BIG = 3 * REPLY_LARGE_CHUNK };

/* --- Help --- */

/* I1, and what the list promises. */
static void check(const struct reply *r)
{
    size_t total = 0, held = 0;
    const struct reply_chunk *last = NULL;
    for (const struct reply_chunk *c = r->head; c != NULL; c = c->next) {
        cr_assert_gt(c->len, 0);
        cr_assert_leq(c->len, c->cap);
        total += c->len;
        size_t own = (size_t)(c->data - (const char *)(c + 1)) + c->cap;
        held += sizeof *c + (c->release != NULL ? c->len : own);
        last = c;
    }
    cr_assert_eq(total, r->total_bytes);
    cr_assert_eq(held, reply_memory(r));
    cr_assert_eq(last, r->tail);
}

static char *buffer(size_t len)
{
    char *p = malloc(len);
    if (p == NULL) {
        abort();
    }
    return p;
}

/* All bytes, as a string; the caller frees it. */
static char *bytes_of(const struct reply *r)
{
    check(r);
    char *all = buffer(r->total_bytes + 1);
    size_t len = 0;
    for (const struct reply_chunk *c = r->head; c != NULL; c = c->next) {
        memcpy(all + len, c->data, c->len);
        len += c->len;
    }
    all[len] = '\0';
    return all;
}

static void expect_n(struct reply *r, const char *want, size_t len)
{
    char *all = bytes_of(r);
    cr_assert(r->total_bytes == len && memcmp(all, want, len) == 0, "got %.*s\nwant %.*s",
              (int)r->total_bytes, all, (int)len, want);
    free(all);
}

static void expect(struct reply *r, const char *want)
{
    expect_n(r, want, strlen(want));
    reply_clear(r);
    check(r);
}

static char *pattern(size_t len)
{
    char *p = buffer(len + 1);
    for (size_t i = 0; i < len; i++) {
        p[i] = (char)('a' + i % 23);
    }
    p[len] = '\0';
    return p;
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

/* Fills the current chunk until `left` bytes of room remain. */
static size_t fill_chunk(struct reply *r, size_t left)
{
    if (r->tail == NULL) {
        reply_ok(r);
    }
    size_t n = r->tail->cap - r->tail->len - left;
    char *p = pattern(n);
    reply_raw(r, p, n);
    free(p);
    cr_assert_eq(r->tail->cap - r->tail->len, left);
    return r->total_bytes;
}

/* --- Types --- */

#define EXPECT_BOTH(resp2, resp3, ...)                                                             \
    do {                                                                                           \
        struct reply r_, *r = &r_;                                                                 \
        reply_init(r, 2);                                                                          \
        __VA_ARGS__;                                                                               \
        expect(r, resp2);                                                                          \
        reply_init(r, 3);                                                                          \
        __VA_ARGS__;                                                                               \
        expect(r, resp3);                                                                          \
    } while (0)
#define EXPECT(both, ...) EXPECT_BOTH(both, both, __VA_ARGS__)

Test(reply, lines)
{
    EXPECT("+OK\r\n", reply_ok(r));
    EXPECT("+PONG\r\n", reply_status(r, "PONG"));
    EXPECT("+\r\n", reply_status(r, ""));
    EXPECT("-ERR no such key\r\n", reply_error(r, "ERR no such key"));
    EXPECT("-ERR a  b c\r\n", reply_error(r, "ERR a\r\nb\nc\r\n"));
    EXPECT("-ERR bad 'x  y' 7\r\n", reply_errorf(r, "ERR bad '%s' %d\n", "x\r\ny", 7));
}

Test(reply, numbers)
{
    EXPECT(":0\r\n", reply_int(r, 0));
    EXPECT(":9\r\n", reply_int(r, 9));
    EXPECT(":10\r\n", reply_int(r, 10));
    EXPECT(":-1\r\n", reply_int(r, -1));
    EXPECT(":100\r\n", reply_int(r, 100));
    EXPECT(":9223372036854775807\r\n", reply_int(r, INT64_MAX));
    EXPECT(":-9223372036854775808\r\n", reply_int(r, INT64_MIN));
    EXPECT("$2\r\n-7\r\n", reply_bulk_int(r, -7));
    EXPECT("$20\r\n-9223372036854775808\r\n", reply_bulk_int(r, INT64_MIN));
    EXPECT_BOTH(":1\r\n", "#t\r\n", reply_bool(r, true));
    EXPECT_BOTH(":0\r\n", "#f\r\n", reply_bool(r, false));
    EXPECT_BOTH("$5\r\n12345\r\n", "(12345\r\n", reply_bignum(r, "12345", 5));
}

/* Around every power of ten and two, as printf would. */
Test(reply, integers_as_printf)
{
    struct reply r;
    reply_init(&r, 2);
    for (int base = 2; base <= 10; base += 8) {
        int64_t v = 1;
        do {
            for (int64_t d = -1; d <= 1; d++) {
                char want[64];
                snprintf(want, sizeof want, ":%lld\r\n:%lld\r\n", (long long)(v + d),
                         (long long)-(v + d));
                reply_int(&r, v + d);
                reply_int(&r, -(v + d));
                expect(&r, want);
            }
        } while (!__builtin_mul_overflow(v, base, &v));
    }
}

Test(reply, bulks)
{
    EXPECT("$0\r\n\r\n", reply_bulk(r, NULL, 0));
    EXPECT("$1\r\nx\r\n", reply_bulk(r, "x", 1));
    EXPECT("$5\r\nhello\r\n", reply_bulk_str(r, "hello"));
    EXPECT("$7\r\nhello 7\r\n", reply_bulkf(r, "%s %d", "hello", 7));
    EXPECT_BOTH("$4\r\ntext\r\n", "=8\r\ntxt:text\r\n", reply_verbatim(r, "txt", "text", 4));
    EXPECT_BOTH("$0\r\n\r\n", "=4\r\nmkd:\r\n", reply_verbatim(r, "mkd", "", 0));
    EXPECT_BOTH("$-1\r\n", "_\r\n", reply_null(r));
    EXPECT_BOTH("*-1\r\n", "_\r\n", reply_null_array(r));
}

Test(reply, aggregates)
{
    EXPECT("*0\r\n", reply_array(r, 0));
    EXPECT("*12\r\n", reply_array(r, 12));
    EXPECT_BOTH("*6\r\n", "%3\r\n", reply_map(r, 3));
    EXPECT_BOTH("*3\r\n", "~3\r\n", reply_set(r, 3));
    EXPECT_BOTH("*3\r\n", ">3\r\n", reply_push(r, 3));
    struct reply r;
    reply_init(&r, 3);
    reply_attribute(&r, 1);
    expect(&r, "|1\r\n");
}

Test(reply, doubles)
{
    EXPECT_BOTH("$1\r\n3\r\n", ",3\r\n", reply_double(r, 3));
    EXPECT_BOTH("$2\r\n-0\r\n", ",-0\r\n", reply_double(r, -0.0));
    EXPECT_BOTH("$3\r\n0.5\r\n", ",0.5\r\n", reply_double(r, 0.5));
    EXPECT_BOTH("$18\r\n3.1400000000000001\r\n", ",3.1400000000000001\r\n", reply_double(r, 3.14));
    EXPECT_BOTH("$3\r\ninf\r\n", ",inf\r\n", reply_double(r, INFINITY));
    EXPECT_BOTH("$4\r\n-inf\r\n", ",-inf\r\n", reply_double(r, -INFINITY));
    EXPECT_BOTH("$3\r\nnan\r\n", ",nan\r\n", reply_double(r, -NAN));
    EXPECT_BOTH("$5\r\n1e+17\r\n", ",1e+17\r\n", reply_double(r, 1e17));
    EXPECT_BOTH("$17\r\n99999999999999984\r\n", ",99999999999999984\r\n",
                reply_double(r, 99999999999999984.0));
}

/* The short way for whole numbers prints what printf prints. */
Test(reply, doubles_as_printf)
{
    struct reply r;
    reply_init(&r, 3);
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double v;
        memcpy(&v, &seed, sizeof v);
        if (i % 2 == 0) {
            v = (double)((int64_t)seed >> (i / 2 % 63));
        }
        if (isnan(v)) {
            continue;
        }
        char want[64];
        snprintf(want, sizeof want, ",%.17g\r\n", v);
        reply_double(&r, v);
        expect(&r, want);
    }
}

Test(reply, errors_are_counted_by_code)
{
    struct reply r;
    reply_init(&r, 2);
    reply_error(&r, "WRONGTYPE Operation against a key");
    cr_assert_str_eq(r.error_code, "WRONGTYPE");
    reply_errorf(&r, "MOVED %d %s", 5, "127.0.0.1:7000");
    cr_assert_str_eq(r.error_code, "MOVED");
    reply_error(&r, "ALONE");
    cr_assert_str_eq(r.error_code, "ERR");
    reply_error(&r, "A123456789012345678901234567890123 too long for a code");
    cr_assert_str_eq(r.error_code, "ERR");
    reply_error(&r, "A12345678901234567890123456789 has thirty");
    cr_assert_str_eq(r.error_code, "A12345678901234567890123456789");
    cr_assert_eq(r.errors, 5);
    reply_clear(&r);
}

Test(reply, long_formats)
{
    char *p = pattern(40000);
    struct reply r;
    for (size_t len = 500; len < 40000; len = len * 3 / 2) {
        reply_init(&r, 2);
        reply_bulkf(&r, "%.*s", (int)len, p);
        reply_errorf(&r, "ERR %.*s", (int)len, p);
        char *want = buffer(2 * len + 64);
        int n = sprintf(want, "$%zu\r\n%.*s\r\n-ERR %.*s\r\n", len, (int)len, p, (int)len, p);
        expect_n(&r, want, (size_t)n);
        reply_clear(&r);
        free(want);
    }
    free(p);
}

Test(reply, muted)
{
    int released = 0;
    struct reply r;
    reply_init(&r, 3);
    reply_int(&r, 1);
    r.muted = true;
    char *p = pattern(BIG);
    reply_ok(&r);
    reply_status(&r, "x");
    reply_int(&r, 5);
    reply_int(&r, 500);
    reply_bulk(&r, "x", 1);
    reply_bulk(&r, p, BIG);
    reply_bulk_ref(&r, p, BIG, count_release, &released);
    reply_verbatim(&r, "txt", p, BIG);
    reply_double(&r, 1.5);
    reply_null(&r);
    reply_map(&r, 2);
    reply_deferred_array(&r, reply_deferred(&r), 3);
    reply_raw(&r, p, 10);
    reply_error(&r, "ERR x");
    cr_assert_eq(released, 1);
    cr_assert_eq(r.errors, 1);
    expect(&r, ":1\r\n");
    free(p);
}

/* A bound is reached a chunk late, and nothing behind it is kept. */
Test(reply, bound)
{
    int released = 0;
    struct reply r;
    char *p = pattern(BIG);
    reply_init(&r, 2);
    r.bound_bytes = 3 * REPLY_LARGE_CHUNK;
    struct reply_mark mark = reply_deferred(&r);
    for (int i = 0; i < 100000; i++) {
        reply_bulk(&r, "0123456789", 10);
    }
    cr_assert(r.over);
    reply_deferred_array(&r, mark, 100000);
    size_t bytes = r.total_bytes;
    cr_assert_lt(reply_memory(&r), 4 * REPLY_LARGE_CHUNK);
    reply_bulk(&r, p, BIG);
    reply_bulk_ref(&r, p, BIG, count_release, &released);
    reply_deferred_array(&r, reply_deferred(&r), 3);
    cr_assert_eq(released, 1);
    cr_assert_lt(r.total_bytes, bytes + REPLY_LARGE_CHUNK);
    reply_clear(&r);

    reply_init(&r, 2);
    r.bound_bytes = 3 * REPLY_LARGE_CHUNK;
    reply_bulk(&r, p, 2 * REPLY_LARGE_CHUNK);
    reply_ok(&r);
    cr_assert(!r.over);
    reply_clear(&r);
    free(p);
}

/* --- Chunks --- */

/* A line, a header or a CRLF never straddles chunks (I2): every piece is checked at every amount
 * of room that the chunk may have left. */
Test(reply, what_belongs_together_stays_together)
{
    char *p = pattern(200);
    for (size_t left = 0; left < 120; left++) {
        struct reply r;
        reply_init(&r, 3);
        size_t before = fill_chunk(&r, left);
        reply_ok(&r);
        reply_int(&r, 1234567);
        reply_bulk(&r, p, 200);
        reply_bulk(&r, p, 50);
        reply_error(&r, "ERR x");
        reply_verbatim(&r, "txt", p, 30);
        for (const struct reply_chunk *c = r.head; c != NULL; c = c->next) {
            cr_assert_neq(c->data[0], '\n');
            cr_assert_neq(c->data[c->len - 1], '\r');
            cr_assert_neq(c->data[c->len - 1], '$');
        }
        char want[1024];
        sprintf(want,
                "+OK\r\n:1234567\r\n$200\r\n%s\r\n$50\r\n%.50s\r\n-ERR x\r\n"
                "=34\r\ntxt:%.30s\r\n",
                p, p, p);
        char *all = bytes_of(&r);
        cr_assert_str_eq(all + before, want);
        free(all);
        reply_clear(&r);
    }
    free(p);
}

Test(reply, bulks_of_every_size)
{
    char *p = pattern(BIG);
    char *want = buffer(BIG + 64);
    for (size_t len = 0; len <= BIG; len = len < 1200 ? len + 1 : len + 997) {
        struct reply r;
        reply_init(&r, 2);
        reply_bulk(&r, p, len);
        int n = sprintf(want, "$%zu\r\n%.*s\r\n", len, (int)len, p);
        expect_n(&r, want, (size_t)n);
        reply_clear(&r);
    }
    free(want);
    free(p);
}

Test(reply, large_chunks_follow_small_ones)
{
    struct reply r;
    reply_init(&r, 2);
    reply_ok(&r);
    cr_assert_eq(reply_memory(&r), REPLY_SMALL_CHUNK);
    for (int i = 0; i < 1000; i++) {
        reply_ok(&r);
    }
    cr_assert_eq(reply_memory(&r), REPLY_SMALL_CHUNK + REPLY_LARGE_CHUNK);
    reply_consume(&r, r.total_bytes);
    cr_assert_eq(reply_memory(&r), 0);
    cr_assert_null(r.head);
}

static void *use_a_pool(void *arg)
{
    struct reply *theirs = arg;
    reply_clear(theirs); /* taken by another thread */
    struct reply r;
    reply_init(&r, 2);
    for (int i = 0; i < 100000; i++) {
        reply_ok(&r);
    }
    reply_clear(&r);
    reply_pool_drain();
    return NULL;
}

Test(reply, chunks_may_be_freed_by_another_thread)
{
    struct reply r;
    reply_init(&r, 2);
    for (int i = 0; i < 1000000; i++) { /* more than the pool keeps */
        reply_ok(&r);
    }
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, use_a_pool, &r), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    check(&r);
    reply_pool_drain();
}

/* --- References --- */

Test(reply, references_are_released_once)
{
    char *p = pattern(BIG);
    int released = 0;
    struct reply r;
    reply_init(&r, 2);
    reply_bulk_ref(&r, p, BIG, count_release, &released);
    cr_assert_eq(r.head->next->data, p);
    char *want = buffer(BIG + 64);
    int n = sprintf(want, "$%d\r\n%s\r\n", BIG, p);
    expect_n(&r, want, (size_t)n);
    reply_consume(&r, (size_t)n - 3);
    check(&r);
    cr_assert_eq(released, 0);
    reply_consume(&r, 1);
    cr_assert_eq(released, 1);
    reply_consume(&r, 2);
    cr_assert_null(r.head);

    reply_bulk_ref(&r, p, BIG, count_release, &released);
    reply_clear(&r);
    cr_assert_eq(released, 2);
    reply_bulk_ref(&r, p, 0, count_release, &released);
    cr_assert_eq(released, 3);
    expect(&r, "$0\r\n\r\n");
    reply_bulk_ref(&r, "for ever", 8, NULL, NULL);
    reply_bulk_ref(&r, "for ever", 8, NULL, NULL);
    expect(&r, "$8\r\nfor ever\r\n$8\r\nfor ever\r\n");
    free(want);
    free(p);
}

/* --- Marks --- */

Test(reply, deferred_lengths)
{
    EXPECT("*0\r\n", reply_deferred_array(r, reply_deferred(r), 0));
    EXPECT_BOTH("*4\r\n", "%2\r\n", reply_deferred_map(r, reply_deferred(r), 2));
    EXPECT_BOTH("*7\r\n", "~7\r\n", reply_deferred_set(r, reply_deferred(r), 7));
    EXPECT("*2\r\n$1\r\n0\r\n*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n", {
        reply_array(r, 2);
        reply_bulk_str(r, "0");
        struct reply_mark m = reply_deferred(r);
        reply_int(r, 1);
        reply_int(r, 2);
        reply_int(r, 3);
        reply_deferred_array(r, m, 3);
        reply_int(r, 4);
    });
    EXPECT("*1\r\n:1\r\n*12345678901\r\n:2\r\n", {
        struct reply_mark a = reply_deferred(r);
        reply_int(r, 1);
        reply_deferred_array(r, a, 1);
        a = reply_deferred(r);
        reply_int(r, 2);
        reply_deferred_array(r, a, 12345678901);
    });
}

/* Three marks, nested, filled in every order, with little and much between them. */
Test(reply, marks_in_any_order)
{
    static const int orders[6][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
    };
    static const size_t sizes[] = {0, 1, 20, 900, 5000, BIG};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    char *p = pattern(BIG);
    char *want = buffer(4 * BIG + 256);
    for (size_t k = 0; k < SIZES * SIZES * SIZES * 6; k++) {
        const size_t a = sizes[k % SIZES], b = sizes[k / SIZES % SIZES];
        const size_t c = sizes[k / (SIZES * SIZES) % SIZES];
        const int *order = orders[k / (SIZES * SIZES * SIZES)];
        struct reply r;
        struct reply_mark m[3];
        reply_init(&r, 2);
        reply_bulk(&r, p, a);
        m[0] = reply_deferred(&r);
        m[1] = reply_deferred(&r);
        reply_bulk(&r, p, b);
        m[2] = reply_deferred(&r);
        reply_bulk(&r, p, c);
        for (int i = 0; i < 3; i++) {
            reply_deferred_array(&r, m[order[i]], (size_t[]){1, 22, 333}[order[i]]);
        }
        int n = sprintf(want,
                        "$%zu\r\n%.*s\r\n*1\r\n*22\r\n$%zu\r\n%.*s\r\n*333\r\n$%zu\r\n%.*s\r\n",
                        a, (int)a, p, b, (int)b, p, c, (int)c, p);
        expect_n(&r, want, (size_t)n);
        reply_clear(&r);
    }
    free(want);
    free(p);
}

Test(reply, an_open_mark_may_be_dropped)
{
    struct reply r;
    reply_init(&r, 2);
    reply_deferred(&r);
    reply_clear(&r);
    reply_error(&r, "ERR x");
    expect(&r, "-ERR x\r\n");
}

/* --- Moving and sending --- */

/* Small and large pieces, references: the same bytes each time. */
static void write_mixture(struct reply *r, const char *p, int *released)
{
    reply_ok(r);
    reply_bulk(r, p, 3000);
    reply_bulk_ref(r, p, 700, count_release, released);
    reply_bulk_ref(r, p, 20000, count_release, released);
    reply_int(r, 123456);
    reply_bulk(r, p, 9000);
    reply_bulk(r, p, 5000);
    reply_bulk(r, p, 20000);
    reply_bulk_str(r, "end");
}
enum { MIXTURE_REFS = 2 };

/* Moves the first n bytes and compares; `filled` is how much `to` holds before. */
static void check_move(const char *p, size_t n, size_t filled, const char *want, size_t want_len)
{
    int released = 0;
    struct reply from, to;
    reply_init(&from, 2);
    reply_init(&to, 2);
    reply_raw(&to, p, filled);
    write_mixture(&from, p, &released);
    reply_move(&to, &from, n);
    check(&from);
    cr_assert_eq(to.total_bytes, filled + n);
    char *all = bytes_of(&to);
    cr_assert(memcmp(all, p, filled) == 0 && memcmp(all + filled, want, n) == 0, "moving %zu", n);
    free(all);
    expect_n(&from, want + n, want_len - n);
    reply_move(&to, &from, from.total_bytes);
    cr_assert_null(from.head);
    reply_int(&to, 77);
    all = bytes_of(&to);
    cr_assert(memcmp(all + filled, want, want_len) == 0, "moving the rest after %zu", n);
    cr_assert_str_eq(all + filled + want_len, ":77\r\n");
    free(all);
    reply_clear(&to);
    reply_clear(&from);
    cr_assert_eq(released, MIXTURE_REFS, "moving %zu: released %d", n, released);
}

Test(reply, moves_at_every_place, .timeout = 100)
{
    char *p = pattern(BIG);
    int released = 0;
    struct reply r;
    reply_init(&r, 2);
    write_mixture(&r, p, &released);
    char *want = bytes_of(&r);
    size_t len = r.total_bytes;
    for (size_t n = 0; n <= len; n = n < 200 || n + 200 > len ? n + 1 : n + 7) {
        check_move(p, n, 0, want, len);
        check_move(p, n, 100, want, len);
        check_move(p, n, 970, want, len);
    }
    /* Every place near the edges of the chunks. */
    size_t edge = 0;
    for (const struct reply_chunk *c = r.head; c != NULL; c = c->next) {
        edge += c->len;
        for (size_t n = edge - 3; n <= edge + 3 && n <= len; n++) {
            check_move(p, n, 50, want, len);
        }
    }
    reply_clear(&r);
    free(want);
    free(p);
}

Test(reply, small_pieces_are_gathered)
{
    struct reply to;
    reply_init(&to, 2);
    for (int i = 0; i < 150; i++) {
        struct reply from;
        reply_init(&from, 2);
        reply_ok(&from);
        reply_move(&to, &from, from.total_bytes);
        check(&to);
    }
    struct iovec iov[4];
    cr_assert_eq(reply_iovec(&to, iov, 4), 1);
    reply_clear(&to);
}

Test(reply, large_pieces_are_not_copied)
{
    char *p = pattern(BIG);
    struct reply from, to;
    reply_init(&from, 2);
    reply_init(&to, 2);
    reply_ok(&to);
    reply_bulk(&from, p, BIG);
    const char *body = from.tail->data;
    reply_move(&to, &from, from.total_bytes);
    cr_assert_eq(to.tail->data, body);
    reply_clear(&to);
    free(p);
}

/* Lent room is copied from, however much is taken, and never freed; it serves again once it is empty. */
Test(reply, the_first_chunk_may_be_lent)
{
    char memory[256] __attribute__((aligned(8))), line[128];
    struct reply r, to;
    reply_init(&r, 2);
    reply_init(&to, 2);
    reply_lend(&r, memory, sizeof memory);
    for (int round = 0; round < 3; round++) {
        reply_int(&r, 7);
        cr_assert_eq((char *)r.head, memory);
        reply_move(&to, &r, 2); /* into nothing: a piece */
        reply_move(&to, &r, 2);
        check(&r);
        cr_assert_null(r.head);
        reply_ok(&r);
        reply_move(&to, &r, 5); /* all of it, behind something */
        expect(&to, ":7\r\n+OK\r\n");
        reply_ok(&r);
        reply_move(&to, &r, 5); /* all of it, into nothing */
        cr_assert_neq((char *)to.head, memory);
        expect(&to, "+OK\r\n");
    }
    memset(line, 'x', sizeof line);
    reply_bulk(&r, line, 60);
    for (int i = 0; i < 9; i++) {
        reply_bulk(&r, line, sizeof line); /* more than was lent */
    }
    size_t bytes = r.total_bytes;
    check(&r);
    reply_move(&to, &r, bytes);
    cr_assert_eq(to.total_bytes, bytes);
    check(&to);
    reply_ok(&r);
    reply_clear(&r);
    reply_clear(&to);
}

Test(reply, moving_into_a_muted_reply_drops)
{
    int released = 0;
    char *p = pattern(BIG);
    struct reply from, to;
    reply_init(&from, 2);
    reply_init(&to, 2);
    to.muted = true;
    reply_bulk_ref(&from, p, BIG, count_release, &released);
    reply_move(&to, &from, from.total_bytes);
    cr_assert_eq(released, 1);
    expect(&from, "");
    expect(&to, "");
    free(p);
}

Test(reply, sends_in_pieces)
{
    char *p = pattern(BIG);
    for (size_t step = 1; step < 60000; step = step * 2 + 1) {
        int released = 0;
        struct reply r;
        reply_init(&r, 2);
        write_mixture(&r, p, &released);
        char *want = bytes_of(&r);
        size_t len = r.total_bytes, sent = 0;
        while (r.total_bytes > 0) {
            struct iovec iov[2];
            int n = reply_iovec(&r, iov, 2);
            cr_assert(n > 0);
            size_t offered = 0;
            for (int i = 0; i < n; i++) {
                cr_assert_eq(memcmp(want + sent + offered, iov[i].iov_base, iov[i].iov_len), 0);
                offered += iov[i].iov_len;
            }
            size_t take = offered < step ? offered : step;
            reply_consume(&r, take);
            check(&r);
            sent += take;
            if (sent == take) { /* what is sent and what is written do not disturb each other */
                reply_ok(&r);
                len += 5;
                want = realloc(want, len + 1);
                memcpy(want + len - 5, "+OK\r\n", 6);
            }
        }
        cr_assert_eq(sent, len);
        cr_assert_eq(released, MIXTURE_REFS);
        cr_assert_null(r.head);
        struct iovec none;
        cr_assert_eq(reply_iovec(&r, &none, 1), 0);
        free(want);
    }
    free(p);
}
