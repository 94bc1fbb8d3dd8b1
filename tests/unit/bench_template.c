/* bench/ab_template, ab_value, ab_reply, ab_cluster: what is sent, and what is read of the replies. */
#include "bench/ab_cluster.h"
#include "bench/ab_reply.h"
#include "bench/ab_template.h"
#include "bench/ab_value.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ab_space space_of(uint64_t keys, uint32_t data_bytes)
{
    struct ab_space s;
    memset(&s, 0, sizeof s);
    cr_assert(ab_space_key_format(&s, "key:%012d"));
    cr_assert(ab_dist_parse(&s.keys, "sequential"));
    ab_dist_prepare(&s.keys, keys);
    ab_size_fix(&s.data, data_bytes);
    s.expire_low_s = s.expire_high_s = 60;
    ab_value_prepare();
    return s;
}

static struct ab_template compile(const char *line, const struct ab_space *space)
{
    struct ab_template t;
    char **args, err[256] = "";
    size_t *lens;
    int argc = ab_args_split(line, &args, &lens);
    cr_assert_gt(argc, 0, "%s", line);
    cr_assert(ab_template_compile(&t, "test", argc, args, lens, space, err), "%s: %s", line, err);
    ab_args_free(argc, args, lens);
    return t;
}

static const char *encode(const struct ab_template *t, const struct ab_space *s, uint64_t seed,
                          uint64_t sequence)
{
    static char buf[1 << 20];
    memset(buf, 'Z', sizeof buf);
    cr_assert_leq(t->max_bytes, sizeof buf);
    size_t n = ab_template_encode(t, s, (struct ab_draw){seed, sequence}, buf);
    cr_assert_leq(n, t->max_bytes);
    buf[n] = 0;
    return buf;
}

Test(bench_template, fixed_parts)
{
    struct ab_space s = space_of(1000, 5);
    struct ab_template t = compile("SET __key__ value EX __expire__", &s);
    cr_assert_str_eq(encode(&t, &s, 1, 42),
                     "*5\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$5\r\nvalue\r\n$2\r\nEX\r\n$2\r\n60\r\n");
    ab_template_free(&t);
}

Test(bench_template, several_in_one_argument_and_quotes)
{
    struct ab_space s = space_of(10, 3);
    struct ab_template t = compile("eval \"return 'a b'\\x41\\n\" 1 {x}__key__-__int:-7:-7__-__key__", &s);
    cr_assert_str_eq(encode(&t, &s, 1, 4),
                     "*4\r\n$4\r\neval\r\n$14\r\nreturn 'a b'A\n\r\n$1\r\n1\r\n$39\r\n"
                     "{x}key:000000000004--7-key:000000000005\r\n");
    cr_assert_eq(t.key_arg, 3);
    cr_assert_eq(ab_template_sequences(&t), 2);
    ab_template_free(&t);
}

Test(bench_template, rand_int_is_left_alone_without_a_keyspace)
{
    struct ab_space s = space_of(10, 3);
    struct ab_template t = compile("INCR counter:__rand_int__", &s);
    cr_assert_str_eq(encode(&t, &s, 1, 0), "*2\r\n$4\r\nINCR\r\n$20\r\ncounter:__rand_int__\r\n");
    ab_template_free(&t);
    s.rand_count = 1;
    t = compile("INCR counter:__rand_int__", &s);
    cr_assert_str_eq(encode(&t, &s, 1, 0), "*2\r\n$4\r\nINCR\r\n$20\r\ncounter:000000000000\r\n");
    ab_template_free(&t);
}

/* Whatever is drawn, the lengths in the request are right, and the same seed gives the same bytes. */
Test(bench_template, lengths_always_fit)
{
    static const char *const lines[] = {
        "SET __key__ __data__", "MSET __key__ __data__ __key__ __data__", "ZADD z __float__ m:__int__",
        "X __int__ a__int:-1000:1000__b __time_ms__ __seq__", "HSET h f__rand_int__ x__data__y",
        "MGET {__tag__}__key__ {__tag__}__key__",
    };
    struct ab_space s = space_of(UINT64_C(3000000000000), 32);
    cr_assert(ab_space_key_format(&s, "user:%d:name"));
    cr_assert(ab_dist_parse(&s.keys, "uniform"));
    ab_dist_prepare(&s.keys, UINT64_C(3000000000000));
    cr_assert(ab_size_parse(&s.data, "0-40:3,200:1,70000:0.05"));
    cr_assert(ab_size_parse(&s.key_size, "5-60"));
    s.rand_count = 1000;

    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
        for (int sized = 0; sized < 2; sized++) {
            s.key_sized = sized;
            struct ab_template t = compile(lines[l], &s);
            for (uint64_t seed = 0; seed < 2000; seed++) {
                const char *first = encode(&t, &s, seed * 77, seed), *last;
                size_t len = strlen(first), n;
                char *copy = strdup(first);
                cr_assert(ab_request_arg(copy, len, t.argc - 1, &last, &n), "%s", lines[l]);
                cr_assert(last + n + 2 == copy + len, "%s: %s", lines[l], copy);
                cr_assert_not(ab_request_arg(copy, len, t.argc, &last, &n));
                if (!strstr(lines[l], "__time_ms__")) {
                    cr_assert_str_eq(encode(&t, &s, seed * 77, seed), copy);
                }
                free(copy);
            }
            ab_template_free(&t);
        }
    }
}

Test(bench_template, key_sizes_are_per_key)
{
    struct ab_space s = space_of(100, 3);
    s.key_sized = true;
    cr_assert(ab_size_parse(&s.key_size, "10-40"));
    struct ab_template t = compile("GET __key__", &s);
    char *first = strdup(encode(&t, &s, 1, 17));
    cr_assert_str_eq(first, encode(&t, &s, 999, 17));
    cr_assert_str_neq(first, encode(&t, &s, 1, 18));
    free(first);
    ab_template_free(&t);
}

Test(bench_template, bad_lines_and_formats)
{
    struct ab_space s = space_of(10, 3);
    char **args, err[256];
    size_t *lens;
    cr_assert_eq(ab_args_split("set \"a", &args, &lens), -1);
    cr_assert_eq(ab_args_split("set 'a'b", &args, &lens), -1);
    cr_assert_not(ab_space_key_format(&s, "nothing"));
    cr_assert_not(ab_space_key_format(&s, "%d%d"));
    cr_assert_not(ab_space_key_format(&s, "%s"));
    char many[AB_VAR_PARTS_MAX * 16 + 32] = "SET ";
    for (int i = 0; i <= AB_VAR_PARTS_MAX; i++) {
        strcat(many, "__int__x");
    }
    struct ab_template t;
    int argc = ab_args_split(many, &args, &lens);
    cr_assert_not(ab_template_compile(&t, "t", argc, args, lens, &s, err));
    ab_args_free(argc, args, lens);
}

Test(bench_value, pieces_match_and_others_do_not)
{
    static char v[200000 + AB_COPY_SLACK];
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 65536, 65552, 65553, 200000};
    ab_value_prepare();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        ab_value_write(v, 0x0123456789abcdef, n);
        cr_assert(n < 16 || memcmp(v, "0123456789abcdef", 16) == 0);
        for (size_t at = 0; at < n;) { /* in pieces that grow */
            size_t piece = n - at < at + 3 ? n - at : at + 3;
            cr_assert(ab_value_matches(0x0123456789abcdef, at, v + at, piece));
            v[at] ^= 1;
            cr_assert_not(ab_value_matches(0x0123456789abcdef, at, v + at, piece));
            v[at] ^= 1;
            at += piece;
        }
        cr_assert(n < 16 || !ab_value_matches(0x0123456789abcdee, 0, v, n));
    }
}

Test(bench_template, expected_value_is_what_set_sends)
{
    struct ab_space s = space_of(1000, 100);
    s.verify = true;
    cr_assert(ab_dist_parse(&s.keys, "zipf:1"));
    ab_dist_prepare(&s.keys, 1000);
    cr_assert(ab_size_parse(&s.data, "1-300"));
    struct ab_template set = compile("SET __key__ __data__", &s), get = compile("GET __key__", &s);
    cr_assert(get.checks_value && !set.checks_value);
    for (uint64_t seed = 0; seed < 500; seed++) {
        const char *arg;
        size_t n;
        uint64_t tag;
        uint32_t len;
        const char *request = encode(&set, &s, seed, 0);
        cr_assert(ab_request_arg(request, strlen(request), 2, &arg, &n));
        ab_template_expected(&get, &s, (struct ab_draw){seed, 0}, &tag, &len);
        cr_assert_eq(len, n);
        cr_assert(ab_value_matches(tag, 0, arg, n));
    }
    ab_template_free(&set);
    ab_template_free(&get);
}

/* ---- replies --------------------------------------------------------------------------------- */

static void expect_replies(const char *stream, size_t len, const char *types)
{
    for (size_t cut = 1; cut <= len; cut++) { /* every size of pieces, hostile 1 included */
        struct ab_reply r;
        size_t done = 0;
        ab_reply_init(&r);
        for (size_t at = 0; at < len;) {
            size_t piece = len - at < cut ? len - at : cut, used = 0;
            char *copy = malloc(piece); /* so that reading beyond it is noticed by ASan */
            memcpy(copy, stream + at, piece);
            used = ab_reply_quick(&r, copy, piece);
            enum ab_reply_result result = AB_REPLY_DONE;
            if (used == 0) {
                result = ab_reply_read(&r, copy, piece, &used);
            }
            free(copy);
            cr_assert_neq(result, AB_REPLY_BROKEN, "cut %zu at %zu", cut, at);
            cr_assert(used > 0 && used <= piece);
            at += used;
            if (result == AB_REPLY_DONE) {
                char got = r.null ? 'n' : r.type;
                cr_assert(types[done] && got == types[done], "cut %zu reply %zu is %c", cut, done, got);
                done++;
            }
        }
        cr_assert_eq(done, strlen(types), "cut %zu: %zu replies", cut, done);
    }
}

Test(bench_reply, ends_are_found_however_it_is_cut)
{
    static const char stream[] =
        "+OK\r\n:12\r\n$3\r\nabc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n+y\r\n$-1\r\n"
        "-ERR no\r\n_\r\n,1.5\r\n#t\r\n(123\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n"
        "~1\r\n:1\r\n>2\r\n+message\r\n*1\r\n+x\r\n+OK\r\n|1\r\n+ttl\r\n:3\r\n$2\r\nhi\r\n$5\r\na\r\nbc\r\n";
    expect_replies(stream, sizeof stream - 1, "+:$$nn**-n,#(=!%~+$$");
}

Test(bench_reply, errors_keep_their_text)
{
    struct ab_reply r;
    size_t used;
    static const char text[] = "-MOVED 3999 127.0.0.1:6381\r\n";
    ab_reply_init(&r);
    cr_assert_eq(ab_reply_read(&r, text, 10, &used), AB_REPLY_MORE);
    cr_assert_eq(ab_reply_read(&r, text + 10, sizeof text - 11, &used), AB_REPLY_DONE);
    cr_assert_str_eq(r.line, "MOVED 3999 127.0.0.1:6381");
}

Test(bench_reply, what_is_not_resp)
{
    static const char *const bad[] = {"HTTP/1.1 400\r\n", "$x\r\n", "$-2\r\n", "*9999999999999\r\n", "\r\n",
                                      "$12345678901234567890\r\n", "*1\r\n?\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ab_reply r;
        size_t used;
        ab_reply_init(&r);
        cr_assert_eq(ab_reply_read(&r, bad[i], strlen(bad[i]), &used), AB_REPLY_BROKEN, "%s", bad[i]);
    }
}

static bool differs(const char *reply, size_t len, uint32_t expected_len)
{
    struct ab_reply r;
    size_t used;
    ab_reply_init(&r);
    r.expect = true;
    r.expect_tag = 0xabcdef0123456789;
    r.expect_len = expected_len;
    for (size_t at = 0; at < len; at++) {
        if (ab_reply_read(&r, reply + at, 1, &used) == AB_REPLY_DONE) {
            return r.differs;
        }
    }
    cr_assert(false);
    return false;
}

Test(bench_reply, values_are_compared)
{
    static char reply[400];
    ab_value_prepare();
    int head = snprintf(reply, sizeof reply, "$200\r\n");
    ab_value_write(reply + head, 0xabcdef0123456789, 200);
    memcpy(reply + head + 200, "\r\n", 2);
    size_t len = (size_t)head + 202;
    cr_assert_not(differs(reply, len, 200));
    cr_assert(differs(reply, len, 199));
    reply[head + 150] ^= 1;
    cr_assert(differs(reply, len, 200));
    cr_assert_not(differs("$-1\r\n", 5, 200)); /* a miss is not a wrong value */
    cr_assert(differs("+OK\r\n", 5, 200));
    cr_assert_not(differs("-ERR\r\n", 6, 200));
}

/* ---- cluster --------------------------------------------------------------------------------- */

Test(bench_cluster, slots_as_redis_has_them)
{
    cr_assert_eq(ab_cluster_slot_of("123456789", 9), 0x31c3);
    cr_assert_eq(ab_cluster_slot_of("foo", 3), 12182);
    cr_assert_eq(ab_cluster_slot_of("a{foo}b", 7), 12182);
    cr_assert_eq(ab_cluster_slot_of("a{}foo", 6), ab_cluster_slot_of("a{}foo", 6));
    cr_assert_neq(ab_cluster_slot_of("a{}foo", 6), 12182);
    cr_assert_eq(ab_cluster_slot_of("", 0), 0);
}

Test(bench_cluster, redirects)
{
    struct ab_redirect r;
    cr_assert(ab_cluster_redirect("MOVED 3999 10.0.0.1:6381", &r));
    cr_assert(!r.ask && r.slot == 3999 && r.port == 6381);
    cr_assert_str_eq(r.host, "10.0.0.1");
    cr_assert(ab_cluster_redirect("ASK 1 ::1:7000", &r));
    cr_assert(r.ask && r.port == 7000);
    cr_assert_str_eq(r.host, "::1");
    cr_assert(ab_cluster_redirect("MOVED 1 [fe80::2]:7", &r));
    cr_assert_str_eq(r.host, "fe80::2");
    cr_assert(ab_cluster_redirect("MOVED 1 :7001", &r));
    cr_assert_str_eq(r.host, "");
    cr_assert_not(ab_cluster_redirect("MOVED 16384 h:1", &r));
    cr_assert_not(ab_cluster_redirect("MOVED 5 h", &r));
    cr_assert_not(ab_cluster_redirect("ERR no", &r));
}

Test(bench_cluster, nodes_are_added_once)
{
    struct ab_cluster *c = ab_cluster_new();
    cr_assert_eq(ab_cluster_add_mp(c, "a", 1), 0);
    cr_assert_eq(ab_cluster_add_mp(c, "a", 2), 1);
    cr_assert_eq(ab_cluster_add_mp(c, "a", 1), 0);
    cr_assert_eq(atomic_load(&c->node_count), 2);
    ab_cluster_free(c);
}
