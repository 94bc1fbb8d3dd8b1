/* Reading commands: what is accepted, how errors are worded, and that it does not matter where
 * the input is cut. Each input is parsed from a copy of exactly its size, made anew for every
 * call, so that a stale pointer or a byte too many shows (under AddressSanitizer at once). */
#include "proto/resp_parse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct resp_limits open_limits = {512 * 1024 * 1024, true};
static const struct resp_limits unauth_limits = {512 * 1024 * 1024, false};

/* --- Recording what the parser says --- */

struct text {
    char *data;
    size_t len, cap;
};

static void text_add(struct text *t, const void *data, size_t len)
{
    if (t->cap - t->len < len) {
        t->cap = (t->len + len) * 2;
        t->data = realloc(t->data, t->cap);
        cr_assert_not_null(t->data);
    }
    if (len > 0) {
        memcpy(t->data + t->len, data, len);
    }
    t->len += len;
}

static void text_addf(struct text *t, const char *fmt, unsigned long long v)
{
    char buf[64];
    text_add(t, buf, (size_t)snprintf(buf, sizeof buf, fmt, v));
}

static void record(struct text *t, const struct resp_parser *p, enum resp_result res)
{
    if (res == RESP_ERROR) {
        text_add(t, "!", 1);
        text_add(t, p->error, strlen(p->error));
        text_add(t, "\n", 1);
        return;
    }
    text_addf(t, "%llu bytes", p->used_bytes);
    text_addf(t, " %llu args", p->argc);
    for (uint32_t i = 0; i < p->argc; i++) {
        text_addf(t, " %llu:", p->argv[i].len);
        text_add(t, p->argv[i].ptr, p->argv[i].len);
    }
    text_add(t, "\n", 1);
}

static char *copy_of(const char *data, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    cr_assert_not_null(copy);
    memcpy(copy, data, len);
    return copy;
}

/* Parses input of which ever more arrives: cuts are increasing offsets, the last one its length.
 * After each arrival the parser runs until it wants more or fails. */
static struct text parse_cut(const char *input, const size_t *cuts, size_t n_cuts,
                             const struct resp_limits *limits)
{
    struct text said = {0};
    struct resp_parser p;
    resp_parser_init(&p);
    size_t start = 0;
    bool failed = false;
    for (size_t i = 0; i < n_cuts && !failed; i++) {
        enum resp_result res;
        do {
            size_t len = cuts[i] - start;
            char *buf = copy_of(input + start, len);
            res = resp_parse(&p, buf, len, limits);
            if (res != RESP_MORE) {
                record(&said, &p, res);
                start += p.used_bytes;
                failed = res == RESP_ERROR;
            } else {
                cr_assert_eq(resp_parser_partial(&p), len > 0);
            }
            free(buf);
        } while (res != RESP_MORE && !failed);
    }
    text_addf(&said, "%llu left", failed ? 0 : cuts[n_cuts - 1] - start);
    resp_parser_free(&p);
    return said;
}

static struct text parse_whole(const char *input, size_t len, const struct resp_limits *limits)
{
    return parse_cut(input, &len, 1, limits);
}

static void assert_same(struct text want, struct text got, size_t where)
{
    cr_assert(want.len == got.len && memcmp(want.data, got.data, got.len) == 0,
              "cut at %zu:\nwant %.*s\ngot  %.*s", where, (int)want.len, want.data, (int)got.len,
              got.data);
    free(got.data);
}

/* Whole, cut at every place, and one byte at a time: always the same. */
static void check_cuts(const char *input, size_t len, const struct resp_limits *limits)
{
    struct text want = parse_whole(input, len, limits);
    size_t *every = malloc((len + 1) * sizeof *every);
    for (size_t at = 0; at <= len; at++) {
        assert_same(want, parse_cut(input, (size_t[]){at, len}, 2, limits), at);
        every[at] = at;
    }
    assert_same(want, parse_cut(input, every, len + 1, limits), 0);
    free(every);
    free(want.data);
}

static void expect_n(const char *input, size_t len, const struct resp_limits *limits,
                     const char *want)
{
    struct text got = parse_whole(input, len, limits);
    text_add(&got, "", 1);
    cr_assert_str_eq(got.data, want);
    free(got.data);
    check_cuts(input, len, limits);
}

static void expect(const char *input, const char *want)
{
    expect_n(input, strlen(input), &open_limits, want);
}

static void expect_error(const char *input, const struct resp_limits *limits, const char *error)
{
    char want[128];
    snprintf(want, sizeof want, "!%s\n0 left", error);
    expect_n(input, strlen(input), limits, want);
}

/* --- Arrays --- */

Test(resp_parse, reads_arrays)
{
    expect("*1\r\n$4\r\nPING\r\n", "14 bytes 1 args 4:PING\n0 left");
    expect("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI", "20 bytes 2 args 3:GET 1:k\n10 left");
    expect("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nhello\r\nworld\r\n",
           "38 bytes 3 args 3:SET 0: 12:hello\r\nworld\n0 left");
    expect("", "0 left");
    expect("*", "1 left");
}

Test(resp_parse, arrays_without_arguments_are_empty)
{
    expect("*0\r\n*-1\r\n*-9223372036854775808\r\nPING\r\n",
           "4 bytes 0 args\n5 bytes 0 args\n23 bytes 0 args\n6 bytes 1 args 4:PING\n0 left");
}

/* As Redis: only the CR is looked for, the byte behind it and the two behind a bulk are skipped. */
Test(resp_parse, line_feeds_are_not_looked_at)
{
    expect("*1\rX$4\rYPINGab*0\r\n", "14 bytes 1 args 4:PING\n4 bytes 0 args\n0 left");
}

Test(resp_parse, wrong_counts)
{
    static const char *const bad[] = {
        "*\r\n",    "*01\r\n",  "*+1\r\n", "* 1\r\n",         "*1 \r\n",
        "*-\r\n",   "*-0\r\n",  "*1x\r\n", "*2147483648\r\n", "*99999999999999999999\r\n",
        "*00\r\n",  "*-01\r\n", "*a\r\n",  "*9223372036854775808\r\n",
        "*-9223372036854775809\r\n",       "*18446744073709551617\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_error(bad[i], &open_limits, "Protocol error: invalid multibulk length");
    }
    expect("*2147483647\r\n", "13 left");
}

Test(resp_parse, wrong_bulk_lengths)
{
    static const char *const bad[] = {
        "$\r\n",  "$01\r\n", "$+1\r\n", "$-1\r\n",         "$ 1\r\n",
        "$1 \r\n", "$1x\r\n", "$x\r\n",  "$536870913\r\n", "$99999999999999999999\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char input[64];
        snprintf(input, sizeof input, "*2\r\n$1\r\na\r\n%s", bad[i]);
        expect_error(input, &open_limits, "Protocol error: invalid bulk length");
    }
    expect("*1\r\n$536870912\r\n", "16 left");
}

Test(resp_parse, expects_a_dollar)
{
    expect_error("*1\r\nfoo\r\n", &open_limits, "Protocol error: expected '$', got 'f'");
    expect_error("*1\r\n\r\n", &open_limits, "Protocol error: expected '$', got ' '");
    expect("*1\r\nfoo", "7 left");
    struct text got = parse_whole("*1\r\n\0\r\n", 7, &open_limits);
    cr_assert_eq(memcmp(got.data, "!Protocol error: expected '$', got ' '\n", 39), 0);
    free(got.data);
}

Test(resp_parse, little_before_authentication)
{
    expect_error("*11\r\n", &unauth_limits, "Protocol error: unauthenticated multibulk length");
    expect_error("*1\r\n$16385\r\n", &unauth_limits,
                 "Protocol error: unauthenticated bulk length");
    expect_n("*10\r\n$16384\r\n", 13, &unauth_limits, "13 left");
    /* The general bound comes first. */
    expect_error("*1\r\n$536870913\r\n", &unauth_limits, "Protocol error: invalid bulk length");
    const struct resp_limits narrow = {100, false};
    expect_error("*1\r\n$101\r\n", &narrow, "Protocol error: invalid bulk length");
}

Test(resp_parse, no_bulk_limit_for_those_we_trust)
{
    const struct resp_limits none = {INT64_MAX, true};
    struct resp_parser p;
    resp_parser_init(&p);
    const char *input = "*1\r\n$9223372036854775807\r\nabc";
    cr_assert_eq(resp_parse(&p, input, strlen(input), &none), RESP_MORE);
    cr_assert_eq(resp_parser_wants(&p, strlen(input)), (size_t)INT64_MAX + 2 - 3);
    resp_parser_free(&p);
}

/* --- Bounds on lines --- */

static void expect_line_bound(const char *before, char fill, const char *end, const char *error)
{
    size_t before_len = strlen(before);
    for (size_t line = RESP_INLINE_MAX_BYTES - 1; line <= RESP_INLINE_MAX_BYTES + 1; line++) {
        struct text in = {0};
        text_add(&in, before, before_len);
        for (size_t i = 0; i < line; i++) {
            text_add(&in, before_len > 0 && i == 0 ? "$" : i == 0 && fill == '1' ? "*" : &fill, 1);
        }
        char want[128];
        snprintf(want, sizeof want, "!%s\n0 left", error);
        const bool too_long = line > RESP_INLINE_MAX_BYTES;
        struct text got = parse_whole(in.data, in.len, &open_limits);
        text_add(&got, "", 1);
        cr_assert_eq(too_long, strcmp(got.data, want) == 0, "%zu: %s", line, got.data);
        free(got.data);

        /* With the line's end: too long stays too long, however it arrives. */
        text_add(&in, end, strlen(end));
        size_t *every = malloc(in.len * sizeof *every);
        for (size_t i = 0; i < in.len; i++) {
            every[i] = i + 1;
        }
        struct text whole = parse_whole(in.data, in.len, &open_limits);
        cr_assert_eq(too_long, whole.len >= strlen(want) &&
                                   memcmp(whole.data, want, strlen(want)) == 0);
        size_t tail = in.len - 8;
        assert_same(whole, parse_cut(in.data, every + tail, 8, &open_limits), tail);
        free(every);
        free(whole.data);
        free(in.data);
    }
}

Test(resp_parse, lines_are_bounded)
{
    expect_line_bound("", '1', "\r\n", "Protocol error: too big mbulk count string");
    expect_line_bound("*1\r\n", '1', "\r\n", "Protocol error: too big bulk count string");
    expect_line_bound("", 'x', "\n", "Protocol error: too big inline request");
}

/* --- Inline commands --- */

Test(resp_parse, reads_inline)
{
    expect("PING\r\n", "6 bytes 1 args 4:PING\n0 left");
    expect("PING\n", "5 bytes 1 args 4:PING\n0 left");
    expect("  set  a\tb \r\n", "13 bytes 3 args 3:set 1:a 1:b\n0 left");
    expect("\r\n\n   \r\n", "2 bytes 0 args\n1 bytes 0 args\n5 bytes 0 args\n0 left");
    expect("a\rb\r\r\n", "6 bytes 2 args 1:a 1:b\n0 left");
    expect("a\vb \vc\n", "7 bytes 2 args 3:a\vb 1:c\n0 left");
    expect("PING", "4 left");
}

Test(resp_parse, unquotes_inline)
{
    expect("a \"b c\" 'd e'\n", "14 bytes 3 args 1:a 3:b c 3:d e\n0 left");
    expect("\"\\x41\\x4a\\x4Az\\n\\r\\t\\b\\a\\q\\\\\\\"'\"\n",
           "33 bytes 1 args 13:AJJz\n\r\t\b\aq\\\"'\n0 left");
    expect("\"\\xg1\\x1\"\n", "10 bytes 1 args 5:xg1x1\n0 left");
    expect("'it\\'s \\n \\\\.'\n", "15 bytes 1 args 11:it's \\n \\\\.\n0 left");
    expect("foo\"bar\" x'y'\n", "14 bytes 2 args 6:foobar 2:xy\n0 left");
    expect("\"\" ''\n", "6 bytes 2 args 0: 0:\n0 left");
    expect("\"a\"\vb\n", "6 bytes 2 args 1:a 1:b\n0 left");
    expect_n("\"\\x00\" a\0b\n", 11, &open_limits, "11 bytes 2 args 1:");
}

Test(resp_parse, unbalanced_quotes)
{
    static const char *const bad[] = {
        "\"abc\r\n", "'abc\r\n", "\"a\"b\r\n", "'a'b\r\n", "\"a\\\"\n", "\"\\\n", "'a\\'\n",
        "a\"\n", "\"a\"\"b\"\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect_error(bad[i], &open_limits, "Protocol error: unbalanced quotes in request");
    }
}

/* --- Cuts --- */

Test(resp_parse, a_mixed_pipeline_cut_anywhere)
{
    static const char input[] =
        "*1\r\n$4\r\nPING\r\nset \"a b\" 'c'\r\n*0\r\n*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n"
        "$10\r\n0123\r\n6789\r\n\r\n*-1\r\nget k\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
        "*12\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n"
        "$1\r\n8\r\n$1\r\n9\r\n$2\r\n10\r\n$2\r\n11\r\n$2\r\n12\r\n*1\r\n$3\r\nEND\r\n*1\r\nx\r\n";
    const size_t len = sizeof input - 1;
    check_cuts(input, len, &open_limits);

    /* And at every pair of places. */
    struct text want = parse_whole(input, len, &open_limits);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            assert_same(want, parse_cut(input, (size_t[]){a, b, len}, 3, &open_limits), a);
        }
    }
    free(want.data);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random commands of random bytes: each comes out as it went in, at random cuts. */
Test(resp_parse, random_commands_come_out_as_they_went_in)
{
    uint64_t seed = 0x9e3779b97f4a7c15u;
    for (int round = 0; round < 400; round++) {
        struct text in = {0}, want = {0};
        int commands = 1 + (int)(next_random(&seed) % 6);
        for (int c = 0; c < commands; c++) {
            struct text args = {0};
            size_t before = in.len;
            unsigned n = 1 + (unsigned)(next_random(&seed) % (c == 0 ? 40 : 5));
            text_addf(&in, "*%llu\r\n", n);
            for (unsigned i = 0; i < n; i++) {
                char arg[300];
                size_t len = next_random(&seed) % (i % 7 == 0 ? sizeof arg : 12);
                for (size_t k = 0; k < len; k++) {
                    arg[k] = "\r\n$*-0123456789ab\0"[next_random(&seed) % 18];
                }
                text_addf(&in, "$%llu\r\n", len);
                text_add(&in, arg, len);
                text_add(&in, "\r\n", 2);
                text_addf(&args, " %llu:", len);
                text_add(&args, arg, len);
            }
            text_addf(&want, "%llu bytes", in.len - before);
            text_addf(&want, " %llu args", n);
            text_add(&want, args.data, args.len);
            text_add(&want, "\n", 1);
            free(args.data);
        }
        text_add(&want, "0 left", 6);
        assert_same(want, parse_whole(in.data, in.len, &open_limits), 0);

        size_t cuts[64], n_cuts = 0;
        for (size_t at = 0; n_cuts < 63 && at < in.len;) {
            at += next_random(&seed) % (1 + in.len / 8);
            cuts[n_cuts++] = at < in.len ? at : in.len;
        }
        cuts[n_cuts++] = in.len;
        assert_same(want, parse_cut(in.data, cuts, n_cuts, &open_limits), cuts[0]);
        free(in.data);
        free(want.data);
    }
}

/* --- State --- */

Test(resp_parse, tells_what_is_missing)
{
    struct resp_parser p;
    resp_parser_init(&p);
    const char *input = "*2\r\n$3\r\nGET\r\n$100\r\nabc";
    cr_assert_eq(resp_parse(&p, input, 3, &open_limits), RESP_MORE);
    cr_assert_eq(resp_parser_wants(&p, 3), 0);
    cr_assert_eq(resp_parse(&p, input, 22, &open_limits), RESP_MORE);
    cr_assert_eq(resp_parser_wants(&p, 22), 102 - 3);
    cr_assert_eq(resp_parser_wants(&p, 23), 102 - 4);
    cr_assert_eq(resp_parser_wants(&p, 19 + 102), 0);
    cr_assert(resp_parser_partial(&p));
    resp_parser_free(&p);
    cr_assert_not(resp_parser_partial(&p));
}

/* After a bulk the next "$" line is unknown again. */
Test(resp_parse, wants_nothing_known_between_arguments)
{
    struct resp_parser p;
    resp_parser_init(&p);
    const char *input = "*2\r\n$3\r\nGET\r\n$1";
    cr_assert_eq(resp_parse(&p, input, 9, &open_limits), RESP_MORE);
    cr_assert_eq(resp_parser_wants(&p, 9), 4);
    cr_assert_eq(resp_parse(&p, input, strlen(input), &open_limits), RESP_MORE);
    cr_assert_eq(resp_parser_wants(&p, strlen(input)), 0);
    resp_parser_free(&p);
}

Test(resp_parse, a_partial_command_moves_to_another_parser)
{
    struct resp_parser a, b;
    resp_parser_init(&a);
    resp_parser_init(&b);
    const char *input = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
    cr_assert_eq(resp_parse(&a, input, 20, &open_limits), RESP_MORE);
    resp_parser_move(&b, &a);
    cr_assert_not(resp_parser_partial(&a));
    cr_assert_eq(resp_parse(&b, input, strlen(input), &open_limits), RESP_COMMAND);
    cr_assert_eq(b.argc, 2);
    cr_assert(slice_is(b.argv[1], "key"));
    resp_parser_free(&a);

    cr_assert_eq(resp_parse(&b, "*1\r\nx\r\n", 7, &open_limits), RESP_ERROR);
    resp_parser_init(&a);
    resp_parser_move(&a, &b);
    cr_assert_eq(resp_parse(&b, "*1\r\ny\r\n", 7, &open_limits), RESP_ERROR);
    cr_assert_str_eq(a.error, "Protocol error: expected '$', got 'x'");
    resp_parser_free(&a);
    resp_parser_free(&b);
}

Test(resp_parse, a_claim_costs_no_memory)
{
    struct resp_parser p;
    resp_parser_init(&p);
    cr_assert_eq(resp_parse(&p, "*1000000\r\n$1\r\na\r\n", 17, &open_limits), RESP_MORE);
    cr_assert_leq(p.argv_cap_, 16);
    resp_parser_free(&p);
}

Test(resp_parse, many_arguments_are_given_back)
{
    struct text in = {0};
    text_add(&in, "*50000\r\n", 8);
    for (int i = 0; i < 50000; i++) {
        text_add(&in, "$1\r\na\r\n", 7);
    }
    struct resp_parser p;
    resp_parser_init(&p);
    cr_assert_eq(resp_parse(&p, in.data, in.len, &open_limits), RESP_COMMAND);
    cr_assert_eq(p.argc, 50000);
    cr_assert_eq(resp_parse(&p, "PING\n", 5, &open_limits), RESP_COMMAND);
    cr_assert_leq(p.argv_cap_, RESP_ARGV_KEEP_MAX);
    resp_parser_free(&p);
    free(in.data);
}

/* 200,000 arguments in steps of a few bytes: quadratic work would take minutes. */
Test(resp_parse, every_byte_is_looked_at_once, .timeout = 20)
{
    enum { ARGS = 200000 };
    struct text in = {0};
    text_addf(&in, "*%llu\r\n", ARGS);
    for (int i = 0; i < ARGS; i++) {
        text_add(&in, "$1\r\na\r\n", 7);
    }
    struct resp_parser p;
    resp_parser_init(&p);
    for (size_t len = 1; len < in.len; len += 3) {
        cr_assert_eq(resp_parse(&p, in.data, len, &open_limits), RESP_MORE);
    }
    cr_assert_eq(resp_parse(&p, in.data, in.len, &open_limits), RESP_COMMAND);
    cr_assert_eq(p.argc, ARGS);
    cr_assert_eq(p.argv[ARGS - 1].ptr, in.data + in.len - 3);
    resp_parser_free(&p);
    free(in.data);
}
