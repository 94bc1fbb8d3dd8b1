/* core_set.c - sets against a model, their encodings, chance, scanning, payloads, commands. */
#include "core/intset.h"
#include "core/listpack.h"
#include "core/mem.h"
#include "core/serial.h"
#include "core/set.h"
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(set_commands, generic_commands, string_commands)

static struct harness *h;
static uint64_t state;

static uint64_t next_random(void *ctx)
{
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t n)
{
    return next_random(NULL) % n;
}

static char events[1024]; /* "sadd k|" */

static void note_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    const size_t at = strlen(events);
    if (strcmp(event, "new") != 0 && class != EVENT_KEY_MISS) {
        snprintf(events + at, sizeof events - at, "%s %.*s|", event, (int)key.len, key.ptr);
    }
}

static void setup(void)
{
    h = harness_new();
    h->settings.notify_keyspace_events = ~0;
    h->ks->hooks.event = note_event;
    state = 1;
}

static void teardown(void)
{
    harness_free(h);
}

TestSuite(set, .init = setup, .fini = teardown);

static void expect_line(const char *line, const char *reply, int at)
{
    const char *got = harness_line(h, line);
    cr_expect_str_eq(got, reply, "line %d: %s replied %s", at, line, got);
}
#define LINE(line, reply) expect_line(line, reply, __LINE__)

static void expect_change(const char *line, const char *reply, uint64_t dirty, const char *posted,
                          int at)
{
    events[0] = '\0';
    expect_line(line, reply, at);
    cr_expect_eq(h->dirty, dirty, "line %d: %s made %lu changes", at, line, h->dirty);
    cr_expect_str_eq(events, posted, "line %d: %s posted %s", at, line, events);
}
#define CHANGES(line, reply, dirty, posted) expect_change(line, reply, dirty, posted, __LINE__)

static void expect_encoding(const char *key, const char *encoding, int at)
{
    char reply[64];
    snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(encoding), encoding);
    const char *got = harness_run(h, "OBJECT", "ENCODING", key, NULL);
    cr_expect_str_eq(got, reply, "line %d: %s", at, got);
}
#define ENCODING(key, encoding) expect_encoding(key, encoding, __LINE__)

/* --- intset --- */

Test(set, intset_is_sorted_and_widens)
{
    struct intset *is = intset_new();
    bool present[200] = {false};
    for (int i = 0; i < 5000; i++) {
        const unsigned v = (unsigned)below(200);
        /* spread over all widths, on both sides of zero */
        const int64_t n = ((int64_t)v - 100) * (v % 3 == 0 ? 1 : v % 3 == 1 ? 300 : 40000000);
        bool changed;
        if (below(2)) {
            is = intset_add(is, n, &changed);
            cr_assert_eq(changed, !present[v]);
            present[v] = true;
        } else {
            is = intset_remove(is, n, &changed);
            cr_assert_eq(changed, present[v]);
            present[v] = false;
        }
        cr_assert_eq(intset_has(is, n), present[v]);
        cr_assert(intset_validate(is, intset_bytes(is)));
    }
    for (uint32_t i = 1; i < intset_count(is); i++) {
        cr_assert_lt(intset_at(is, i - 1), intset_at(is, i));
    }
    intset_free(is);
}

Test(set, intset_bytes_are_those_of_rdb_files)
{
    struct intset *is = intset_new();
    bool added;
    is = intset_add(is, 5, &added);
    is = intset_add(is, -2, &added);
    static const char narrow[] = "\2\0\0\0\2\0\0\0\xfe\xff\5\0";
    cr_assert_eq(intset_bytes(is), sizeof narrow - 1);
    cr_assert_arr_eq(is, narrow, sizeof narrow - 1);
    is = intset_add(is, 65536, &added);
    static const char wide[] = "\4\0\0\0\3\0\0\0\xfe\xff\xff\xff\5\0\0\0\0\0\1\0";
    cr_assert_arr_eq(is, wide, sizeof wide - 1);
    cr_assert(intset_validate(wide, sizeof wide - 1));
    cr_assert_not(intset_validate(wide, sizeof wide - 2));
    cr_assert_not(intset_validate("\3\0\0\0\0\0\0\0", 8));
    cr_assert_not(intset_validate("\2\0\0\0\2\0\0\0\5\0\5\0", 12), "twice the same");
    cr_assert_not(intset_validate("\2\0\0\0\2\0\0\0\6\0\5\0", 12), "falling");
    cr_assert_not(intset_validate("\2\0\0\0\xff\xff\xff\xff\6\0\5\0", 12), "too many");
    cr_assert_not(intset_validate("\2\0\0", 3));
    intset_free(is);
}

/* --- sets against a model --- */

enum { WORDS = 900 };

static struct slice word(unsigned i, char buf[400])
{
    if (i % 3 == 0) {
        return slice_of(buf, (size_t)snprintf(buf, 400, "%d", (int)i * (i % 2 ? 7 : -70001)));
    }
    if (i % 50 == 1) { /* around the bound of short headers */
        const size_t len = 250 + i % 10;
        memset(buf, 'a' + (int)(i / 50), len);
        return slice_of(buf, len);
    }
    return slice_of(buf, (size_t)snprintf(buf, 400, "%s%u", i % 3 == 1 ? "member:" : "0", i));
}

static void check_against(const struct set *s, const bool present[WORDS])
{
    size_t count = 0, seen = 0;
    char buf[400];
    for (unsigned i = 0; i < WORDS; i++) {
        struct set_member m = set_member_of(word(i, buf));
        cr_assert_eq(set_has(s, &m), present[i], "word %u", i);
        count += present[i];
    }
    cr_assert_eq(set_count(s), count);
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, s);
    while (set_next(&it, &m)) {
        seen++;
        struct slice bytes = set_member_bytes(&m);
        struct set_member again = set_member_of(bytes);
        cr_assert(set_has(s, &again));
    }
    set_iter_end(&it);
    cr_assert_eq(seen, count);
}

static void model_round(unsigned words, bool only_ints)
{
    static bool present[WORDS];
    memset(present, 0, sizeof present);
    char buf[400];
    struct set s = set_new(slice_str(only_ints ? "1" : "x"), 1, &h->settings);
    for (int i = 0; i < 6000; i++) {
        unsigned w = (unsigned)below(words);
        w = only_ints ? w / 3 * 3 : w;
        struct set_member m = set_member_of(word(w, buf));
        if (below(100) < (i % 2000 < 1200 ? 70 : 25)) {
            cr_assert_eq(set_add(&s, &m, &h->settings), !present[w]);
            present[w] = true;
        } else {
            cr_assert_eq(set_remove(&s, &m), present[w]);
            present[w] = false;
        }
        if (i % 500 == 0) {
            check_against(&s, present);
        }
    }
    struct set copy = set_copy(&s);
    check_against(&copy, present);
    set_free(&copy);
    check_against(&s, present);
    set_free(&s);
}

Test(set, behaves_like_its_model)
{
    model_round(60, true);
    model_round(WORDS, true);
    model_round(60, false);
    model_round(WORDS, false);
    h->settings.set_max_intset_entries = 5;
    h->settings.set_max_listpack_entries = 10;
    h->settings.set_max_listpack_value = 8;
    model_round(30, true);
    model_round(30, false);
}

/* --- encodings --- */

static void add_numbers(const char *key, int from, int to)
{
    for (int i = from; i < to; i++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", i);
        harness_run(h, "SADD", key, digits, NULL);
    }
}

Test(set, encodings_and_thresholds)
{
    add_numbers("i", 0, 512);
    ENCODING("i", "intset");
    LINE("SADD i 512", ":1\r\n");
    ENCODING("i", "hashtable");

    add_numbers("m", 0, 127);
    LINE("SADD m text", ":1\r\n");
    ENCODING("m", "listpack");
    LINE("SADD m text 0", ":0\r\n");
    ENCODING("m", "listpack");
    LINE("SADD m more", ":1\r\n");
    ENCODING("m", "hashtable");
    LINE("SCARD m", ":129\r\n");

    add_numbers("n", 0, 128);
    ENCODING("n", "intset");
    LINE("SADD n text", ":1\r\n");
    ENCODING("n", "hashtable");

    char text[80];
    memset(text, 'x', 65);
    text[65] = '\0';
    harness_run(h, "SADD", "long", text + 1, NULL);
    ENCODING("long", "listpack");
    harness_run(h, "SADD", "long", text, NULL);
    ENCODING("long", "hashtable");

    h->settings.set_max_intset_entries = 2;
    LINE("SADD few 1 2 3", ":3\r\n");
    ENCODING("few", "listpack");
    h->settings.set_max_listpack_entries = 2;
    LINE("SADD table 1 2 3", ":3\r\n");
    ENCODING("table", "hashtable");
    h->settings.set_max_listpack_value = 1;
    h->settings.set_max_listpack_entries = 10;
    LINE("SADD wide 10", ":1\r\n");
    ENCODING("wide", "intset");
    LINE("SADD wide x", ":1\r\n");
    ENCODING("wide", "hashtable");
    LINE("SADD s 007 7 +7 -0 0", ":5\r\n");
    LINE("SMISMEMBER s 7 07 007", "*3\r\n:1\r\n:0\r\n:1\r\n");
}

/* --- commands --- */

Test(set, changes_and_events)
{
    CHANGES("SADD a x y x", ":2\r\n", 2, "sadd a|");
    CHANGES("SADD a x", ":0\r\n", 0, "");
    CHANGES("SREM a q", ":0\r\n", 0, "");
    CHANGES("SMOVE a b x", ":1\r\n", 2, "srem a|sadd b|");
    CHANGES("SADD b y", ":1\r\n", 1, "sadd b|");
    CHANGES("SMOVE a b y", ":1\r\n", 1, "srem a|del a|");
    CHANGES("SMOVE b b y", ":1\r\n", 0, "");
    CHANGES("SREM b x y z", ":2\r\n", 2, "srem b|del b|");
    LINE("EXISTS a b", ":0\r\n");
    harness_line(h, "SADD a 1 2 3");
    harness_line(h, "SADD b 2 3 4");
    CHANGES("SINTERSTORE c a b", ":2\r\n", 1, "sinterstore c|");
    CHANGES("SUNIONSTORE c a b", ":4\r\n", 1, "sunionstore c|");
    CHANGES("SDIFFSTORE c a b", ":1\r\n", 1, "sdiffstore c|");
    CHANGES("SDIFFSTORE c a a", ":0\r\n", 1, "del c|");
    CHANGES("SINTERSTORE c a nosuch", ":0\r\n", 0, "");
}

Test(set, pops)
{
    harness_line(h, "SADD a 1 2 3 x");
    events[0] = '\0';
    cr_expect_eq(harness_line(h, "SPOP a 2")[1], '2');
    cr_expect_str_eq(events, "spop a|");
    cr_expect_eq(h->dirty, 2);
    LINE("SCARD a", ":2\r\n");
    events[0] = '\0';
    harness_line(h, "SPOP a");
    cr_expect_str_eq(events, "spop a|");
    harness_line(h, "SPOP a");
    cr_expect_str_eq(events, "spop a|spop a|del a|");
    LINE("SPOP a", "$-1\r\n");
    LINE("SPOP a 1", "*0\r\n");
    LINE("SPOP a -1", "-ERR value is out of range, must be positive\r\n");
    h->resp = 3;
    LINE("SPOP a 1", "~0\r\n");
    LINE("SMEMBERS a", "~0\r\n");
    LINE("SADD a x", ":1\r\n");
    LINE("SUNION a a", "~1\r\n$1\r\nx\r\n");
    LINE("SRANDMEMBER a 3", "*1\r\n$1\r\nx\r\n");
}

/* Algebra of random sets against counting words; all encodings meet. */
Test(set, algebra)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (int round = 0; round < 60; round++) {
        unsigned member_of[WORDS] = {0};
        harness_line(h, "DEL a b c d e f");
        for (unsigned k = 0; k < 6; k++) {
            const unsigned words = 1 + (unsigned)below(round % 2 ? 30 : WORDS);
            const bool ints = below(3) == 0;
            for (unsigned i = 0; i < words; i++) {
                char buf[400];
                unsigned w = (unsigned)below(words);
                w = ints ? w / 3 * 3 : w;
                const struct slice argv[] = {slice_str("SADD"), slice_str(names[k]), word(w, buf)};
                harness_run_argv(h, argv, 3);
                member_of[w] |= 1u << k;
            }
        }
        const unsigned n = 1 + (unsigned)below(6), used = (1u << n) - 1;
        size_t in_all = 0, in_any = 0, in_first = 0;
        for (unsigned w = 0; w < WORDS; w++) {
            in_all += (member_of[w] & used) == used;
            in_any += (member_of[w] & used) != 0;
            in_first += (member_of[w] & used) == 1;
        }
        const size_t counts[] = {in_all, in_any, in_first};
        static const char *const ops[] = {"SINTER", "SUNION", "SDIFF"};
        for (int op = 0; op < 3; op++) {
            char line[100], reply[40];
            snprintf(line, sizeof line, "%s %.*s", ops[op], (int)(2 * n - 1), "a b c d e f");
            snprintf(reply, sizeof reply, "*%zu\r\n", counts[op]);
            const char *got = harness_line(h, line);
            cr_assert_eq(strncmp(got, reply, strlen(reply)), 0, "%s: %.20s", line, got);
            snprintf(line, sizeof line, "%sSTORE t %.*s", ops[op], (int)(2 * n - 1), "a b c d e f");
            snprintf(reply, sizeof reply, ":%zu\r\n", counts[op]);
            cr_assert_str_eq(harness_line(h, line), reply);
            cr_assert_str_eq(harness_line(h, "SCARD t"), reply);
        }
    }
}

/* --- chance --- */

static unsigned index_of(struct set_member *m)
{
    const struct slice bytes = set_member_bytes(m);
    char digits[24] = {0};
    memcpy(digits, bytes.ptr + (bytes.ptr[0] == 'm'), bytes.len - (bytes.ptr[0] == 'm'));
    return (unsigned)strtoul(digits, NULL, 10);
}

static void tally(struct set_member *m, void *ctx)
{
    unsigned *hits = ctx;
    hits[index_of(m)]++;
}

/* Chi-square of draws over n members: within about six sigma. */
static void expect_fair(const unsigned *hits, unsigned n, double expected, const char *what)
{
    double sum = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += (hits[i] - expected) * (hits[i] - expected) / expected;
    }
    const double sigma = __builtin_sqrt(2.0 * n);
    cr_expect_lt(sum, n + 6 * sigma, "%s of %u: chi-square %f", what, n, sum);
}

static void chance_round(unsigned n, bool ints)
{
    enum { EACH = 100, NMAX = 4000 };
    static unsigned hits[NMAX];
    struct set s = set_new(slice_str(ints ? "1" : "m"), 1, &h->settings);
    for (unsigned i = 0; i < n; i++) {
        char buf[16];
        snprintf(buf, sizeof buf, ints ? "%u" : "m%u", i);
        struct set_member m = set_member_of(slice_str(buf));
        set_add(&s, &m, &h->settings);
    }
    memset(hits, 0, sizeof hits);
    for (unsigned i = 0; i < n * EACH; i++) {
        struct set_member m;
        set_random(&s, next_random, NULL, &m);
        tally(&m, hits);
    }
    expect_fair(hits, n, EACH, "draws");
    const unsigned sizes[] = {n / 10 + 1, n / 2};
    for (int which = 0; which < 2; which++) {
        memset(hits, 0, sizeof hits);
        unsigned drawn = 0;
        for (; drawn < n * 20; drawn += sizes[which]) {
            set_sample(&s, sizes[which], next_random, NULL, tally, hits);
        }
        expect_fair(hits, n, (double)drawn / n, "samples");
    }
    set_free(&s);
}

Test(set, chance_is_fair)
{
    chance_round(100, true);
    chance_round(100, false);
    chance_round(200, false);
    chance_round(4000, false);
}

Test(set, samples_are_distinct)
{
    for (unsigned n = 1; n < 700; n += 37) {
        harness_line(h, "DEL s");
        for (unsigned i = 0; i < n; i++) {
            char buf[16];
            snprintf(buf, sizeof buf, "m%u", i);
            harness_run(h, "SADD", "s", buf, NULL);
        }
        struct call c = {.ks = h->ks, .now_ms = h->now_ms};
        struct key k = call_key(&c, "s", 1);
        const struct set s = set_of(key_peek(&c, &k));
        for (unsigned count = 0; count <= n; count += 1 + n / 7) {
            unsigned hits[700] = {0}, sum = 0;
            set_sample(&s, count, next_random, NULL, tally, hits);
            for (unsigned i = 0; i < n; i++) {
                cr_assert_leq(hits[i], 1);
                sum += hits[i];
            }
            cr_assert_eq(sum, count);
        }
    }
}

/* --- scanning --- */

Test(set, scan_survives_growth_and_shrinking)
{
    enum { STAY = 3000, EXTRA = 20000 };
    struct set s = set_new(slice_str("m0"), 1000, &h->settings);
    char buf[16];
    for (unsigned i = 0; i < STAY; i++) {
        snprintf(buf, sizeof buf, "m%u", i);
        struct set_member m = set_member_of(slice_str(buf));
        set_add(&s, &m, &h->settings);
    }
    unsigned extra = 0, calls = 0;
    static unsigned all[EXTRA + STAY];
    uint64_t cursor = 0;
    do {
        cursor = set_scan(&s, cursor, 10, tally, all);
        calls++;
        for (int i = 0; i < 60; i++) { /* grows, then shrinks */
            const bool grow = extra < EXTRA && calls < 200;
            if (!grow && extra == 0) {
                break;
            }
            snprintf(buf, sizeof buf, "m%u", STAY + (grow ? extra++ : --extra));
            struct set_member m = set_member_of(slice_str(buf));
            cr_assert(grow ? set_add(&s, &m, &h->settings) : set_remove(&s, &m));
        }
    } while (cursor != 0);
    for (unsigned i = 0; i < STAY; i++) {
        cr_assert_geq(all[i], 1, "member %u was not shown", i);
    }
    set_free(&s);
}

Test(set, sscan_replies)
{
    LINE("SSCAN nosuch 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    LINE("SSCAN nosuch x", "-ERR invalid cursor\r\n");
    LINE("SADD s 1 2 11", ":3\r\n");
    LINE("SSCAN s 0 MATCH 1*", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\n1\r\n$2\r\n11\r\n");
    LINE("SSCAN s 0 COUNT 0", "-ERR syntax error\r\n");
    LINE("SSCAN s 0 TYPE set", "-ERR syntax error\r\n");
}

/* --- payloads --- */

static struct slice payload(const void *body, size_t len, char *out)
{
    memcpy(out, body, len);
    memcpy(out + len, "\x0a\0", 2);
    const uint64_t crc = crc64_update(0, out, len + 2);
    memcpy(out + len + 2, &crc, 8);
    return slice_of(out, len + 10);
}

static const char *restore(const void *body, size_t len)
{
    static char buf[512];
    const struct slice argv[] = {slice_str("RESTORE"), slice_str("r"), slice_str("0"),
                                 payload(body, len, buf), slice_str("REPLACE")};
    return harness_run_argv(h, argv, 5).ptr;
}
#define RESTORE(bytes) restore(bytes, sizeof(bytes) - 1)
#define BAD "-ERR Bad data format\r\n"

Test(set, payloads)
{
    cr_expect_str_eq(RESTORE("\2\3\1a\xc0\5\1b"), "+OK\r\n");
    LINE("SMISMEMBER r a 5 b", "*3\r\n:1\r\n:1\r\n:1\r\n");
    ENCODING("r", "listpack");
    cr_expect_str_eq(RESTORE("\2\2\xc0\5\xc1\0\4"), "+OK\r\n");
    ENCODING("r", "intset");
    cr_expect_str_eq(RESTORE("\x0b\x0c\2\0\0\0\2\0\0\0\xfe\xff\5\0"), "+OK\r\n");
    LINE("SMEMBERS r", "*2\r\n$2\r\n-2\r\n$1\r\n5\r\n");
    cr_expect_str_eq(RESTORE("\x14\x0c\x0c\0\0\0\2\0\x81x\2\7\1\xff"), "+OK\r\n");
    LINE("SMEMBERS r", "*2\r\n$1\r\nx\r\n$1\r\n7\r\n");
    /* hostile ones */
    cr_expect_str_eq(RESTORE("\2\0"), BAD);
    cr_expect_str_eq(RESTORE("\2\2\1a\1a"), BAD);
    cr_expect_str_eq(RESTORE("\2\2\xc0\5\0015"), BAD);
    cr_expect_str_eq(RESTORE("\2\2\1a"), BAD);
    cr_expect_str_eq(RESTORE("\2\x81\xff\xff\xff\xff\xff\xff\xff\xff\1a"), BAD);
    cr_expect_str_eq(RESTORE("\x0b\x08\2\0\0\0\0\0\0\0"), BAD);
    cr_expect_str_eq(RESTORE("\x0b\x0c\2\0\0\0\2\0\0\0\5\0\5\0"), BAD);
    cr_expect_str_eq(RESTORE("\x0b\x0c\2\0\0\0\3\0\0\0\4\0\5\0"), BAD);
    cr_expect_str_eq(RESTORE("\x0b\xc0\5"), BAD);
    cr_expect_str_eq(RESTORE("\x14\x0a\x0a\0\0\0\2\0\7\1\7\1\xff"), BAD);
    cr_expect_str_eq(RESTORE("\x14\x0c\x0c\0\0\0\2\0\7\1\7\1\xff\xff"), BAD);
    cr_expect_str_eq(RESTORE("\x14\7\7\0\0\0\0\0\xff"), BAD);
    cr_expect_str_eq(RESTORE("\x14\xc0\5"), BAD);
    cr_expect_str_eq(RESTORE("\x14\2ab"), BAD);
}

Test(set, dump_and_restore_keep_all_members)
{
    static const unsigned sizes[] = {1, 20, 200, 3000};
    for (int i = 0; i < 8; i++) {
        harness_line(h, "DEL s r");
        for (unsigned n = 0; n < sizes[i / 2]; n++) {
            char buf[400];
            const struct slice argv[] = {slice_str("SADD"), slice_str("s"),
                                         word(i % 2 ? n : n * 3, buf)};
            harness_run_argv(h, argv, 3);
        }
        struct call c = {.ks = h->ks, .now_ms = h->now_ms};
        struct key k = call_key(&c, "s", 1);
        struct bytes dump = {0};
        serial_dump(&dump, key_peek(&c, &k), &h->settings);
        const struct slice argv[] = {slice_str("RESTORE"), slice_str("r"), slice_str("0"),
                                     slice_of(dump.data, dump.len)};
        cr_assert_str_eq(harness_run_argv(h, argv, 4).ptr, "+OK\r\n");
        bytes_free(&dump);
        uint8_t a[20] = {0}, b[20] = {0};
        struct key r = call_key(&c, "r", 1);
        keyspace_digest_value(key_peek(&c, &k), a);
        keyspace_digest_value(key_peek(&c, &r), b);
        cr_assert_arr_eq(a, b, 20);
        cr_assert_eq(key_peek(&c, &k)->encoding, key_peek(&c, &r)->encoding);
        harness_line(h, "COPY s r REPLACE");
        memset(b, 0, sizeof b);
        keyspace_digest_value(key_peek(&c, &r), b);
        cr_assert_arr_eq(a, b, 20);
    }
}

/* --- memory --- */

Test(set, a_member_of_many_costs_little)
{
    enum { N = 10000 };
    size_t payload_bytes = 0;
    struct set s = set_new(slice_str("x"), 1000, &h->settings);
    for (int i = 0; i < N; i++) {
        char buf[32];
        const size_t len = (size_t)snprintf(buf, sizeof buf, "member:%08d", i);
        struct set_member m = set_member_of(slice_of(buf, len));
        set_add(&s, &m, &h->settings);
        payload_bytes += len;
    }
    const size_t bytes = entry_value_ops(TYPE_SET, s.encoding)->bytes(s.object);
    cr_expect_lt((bytes + N - 1) / N, 34 - 4, "%zu bytes a member", bytes / N);
    cr_expect_lt((bytes - payload_bytes) / N, 14, "%zu beyond payload", (bytes - payload_bytes) / N);
    set_free(&s);
}
