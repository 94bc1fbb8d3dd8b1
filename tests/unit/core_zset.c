/* core_zset.c - sorted sets in both encodings against a sorted array; thresholds, foreign bytes,
 * and the commands through the harness. tests/differential/zsets.py compares the replies with Redis. */
#include "core/zset.h"
#include "tests/unit/harness.h"

#include "core/slab.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(zset_commands, set_commands, string_commands, generic_commands)

static struct harness *h;

static void set_up(void)
{
    h = harness_new();
}

static void tear_down(void)
{
    harness_free(h);
}

TestSuite(zset, .init = set_up, .fini = tear_down);

static uint64_t random_state = 7;

static uint64_t rnd(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

/* --- a model --- */

enum { NAMES = 300, STEPS = 4000 };

struct model_pair {
    double score;
    char name[16];
    bool present;
};

static int compare(const void *a, const void *b)
{
    const struct model_pair *x = a, *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static void check_against(const struct zset *z, const struct model_pair *model)
{
    static struct model_pair sorted[NAMES];
    size_t n = 0;
    for (int i = 0; i < NAMES; i++) {
        if (model[i].present) {
            sorted[n++] = model[i];
        }
    }
    qsort(sorted, n, sizeof sorted[0], compare);
    cr_assert_eq(zset_count(z), n);
    struct zset_iter it;
    bool more = zset_iter_seek(&it, z, 0);
    for (size_t i = 0; i < n; i++, more = zset_iter_next(&it)) {
        const struct slice name = slice_str(sorted[i].name);
        uint64_t rank;
        double score;
        cr_assert(more && slice_equal(it.name, name) && it.score == sorted[i].score);
        cr_assert(zset_rank_of(z, name, &rank, &score) && rank == i && score == it.score);
        const struct zset_bound b = {.by = ZSET_BY_SCORE, .score = score};
        cr_assert_leq(zset_rank(z, &b), i);
    }
    cr_assert_not(more);
    more = n > 0 && zset_iter_seek(&it, z, n - 1);
    for (size_t i = n; i-- > 0; more = zset_iter_prev(&it)) {
        cr_assert(more && slice_equal(it.name, slice_str(sorted[i].name)));
    }
    cr_assert_not(more);
}

static double random_score(void)
{
    return rnd(2) ? (double)rnd(20) : rnd(10) == 0 ? INFINITY : (double)rnd(1000) / 7;
}

Test(zset, model_through_conversion)
{
    static struct model_pair model[NAMES];
    h->settings.zset_max_listpack_entries = 100;
    struct zset z = zset_new(&h->settings, 1, 1);
    cr_assert_eq(z.encoding, ENC_LISTPACK);
    for (int i = 0; i < NAMES; i++) {
        snprintf(model[i].name, sizeof model[i].name, i % 2 ? "%d" : "name%d", i);
    }
    for (int step = 0; step < STEPS; step++) {
        /* at first few names, so that it stays a listpack for a while */
        struct model_pair *p = &model[rnd(step < STEPS / 2 ? 100 : NAMES)];
        const struct slice name = slice_str(p->name);
        double score = random_score();
        if (rnd(3) > 0) {
            enum zset_put_result expected = !p->present          ? ZSET_ADDED
                                            : p->score == score ? ZSET_SAME
                                                                : ZSET_UPDATED;
            cr_assert_eq(zset_put(&z, &h->settings, name, &score, 0), expected);
            p->score = score;
            p->present = true;
        } else {
            cr_assert_eq(zset_remove(&z, name), p->present);
            p->present = false;
        }
        if (step % 50 == 0) {
            check_against(&z, model);
        }
    }
    cr_assert_eq(z.encoding, ENC_TREE);
    struct zset copy = zset_copy(&z);
    check_against(&copy, model);
    zset_free(&copy);
    zset_free(&z);
}

Test(zset, conditions)
{
    struct zset z = zset_new(&h->settings, 1, 1);
    const struct settings *s = &h->settings;
    const struct slice a = slice_str("a");
    double score = 1;
    for (int tree = 0; tree < 2; tree++) {
        score = 1;
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_XX), tree ? ZSET_SAME : ZSET_LEFT);
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_NX), tree ? ZSET_LEFT : ZSET_ADDED);
        score = 2;
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_LT), ZSET_LEFT);
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_GT), ZSET_UPDATED);
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_GT), ZSET_LEFT);
        score = INFINITY;
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_INCR), ZSET_UPDATED);
        score = -INFINITY;
        cr_assert_eq(zset_put(&z, s, a, &score, ZSET_INCR), ZSET_NAN);
        score = 1;
        cr_assert_eq(zset_put(&z, s, a, &score, 0), ZSET_UPDATED);
        char long_name[65];
        memset(long_name, 'x', sizeof long_name);
        score = 5;
        zset_put(&z, s, slice_of(long_name, sizeof long_name), &score, 0);
        cr_assert_eq(z.encoding, ENC_TREE);
    }
    zset_settle(&z, s);
    cr_assert_eq(z.encoding, ENC_TREE); /* the name is too long */
    zset_remove_ranks(&z, 1, 1);
    zset_settle(&z, s);
    cr_assert_eq(z.encoding, ENC_LISTPACK);
    zset_free(&z);
}

/* --- foreign listpacks --- */

static bool sound(void (*fill)(struct listpack **lp))
{
    struct listpack *lp = listpack_new(16);
    fill(&lp);
    bool result = zset_listpack_validate(listpack_data(lp), listpack_bytes(lp));
    listpack_free(lp);
    return result;
}

static void add(struct listpack **lp, const char *text)
{
    *lp = listpack_append(*lp, slice_str(text));
}

static void fill_nothing(struct listpack **lp)
{
}

static void fill_good(struct listpack **lp)
{
    add(lp, "b");
    add(lp, "-inf");
    add(lp, "a");
    add(lp, "1.5");
    add(lp, "c");
    add(lp, "1.5");
}

static void fill_odd(struct listpack **lp)
{
    fill_good(lp);
    add(lp, "d");
}

static void fill_twice(struct listpack **lp)
{
    fill_good(lp);
    add(lp, "a");
    add(lp, "2");
}

static void fill_nan(struct listpack **lp)
{
    fill_good(lp);
    add(lp, "d");
    add(lp, "nan");
}

static void fill_disorder(struct listpack **lp)
{
    fill_good(lp);
    add(lp, "d");
    add(lp, "1");
}

static void fill_name_disorder(struct listpack **lp)
{
    fill_good(lp);
    add(lp, "bb");
    add(lp, "1.5");
}

Test(zset, foreign_listpacks)
{
    cr_assert(sound(fill_good));
    cr_assert_not(sound(fill_nothing));
    cr_assert_not(sound(fill_odd));
    cr_assert_not(sound(fill_twice));
    cr_assert_not(sound(fill_nan));
    cr_assert_not(sound(fill_disorder));
    cr_assert_not(sound(fill_name_disorder));
}

/* --- commands --- */

#define EXPECT(line, reply) cr_assert_str_eq(harness_line(h, line), reply)

Test(zset, thresholds)
{
    h->settings.zset_max_listpack_entries = 3;
    EXPECT("ZADD k 1 a 2 b 3 c", ":3\r\n");
    EXPECT("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    EXPECT("ZADD k 4 d", ":1\r\n");
    EXPECT("OBJECT ENCODING k", "$8\r\nskiplist\r\n");
    EXPECT("ZREM k d", ":1\r\n");
    EXPECT("OBJECT ENCODING k", "$8\r\nskiplist\r\n");
    EXPECT("ZUNIONSTORE u 1 k", ":3\r\n");
    EXPECT("OBJECT ENCODING u", "$8\r\nlistpack\r\n");
    h->settings.zset_max_listpack_entries = 0;
    EXPECT("ZADD t 1 a", ":1\r\n");
    EXPECT("OBJECT ENCODING t", "$8\r\nskiplist\r\n");
    EXPECT("COPY t t2", ":1\r\n");
    EXPECT("ZRANGE t2 0 -1 WITHSCORES", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

Test(zset, empty_ones_go)
{
    EXPECT("ZADD k 1 a 2 b", ":2\r\n");
    EXPECT("ZREM k a b c", ":2\r\n");
    EXPECT("EXISTS k", ":0\r\n");
    EXPECT("ZADD k 1 a 2 b", ":2\r\n");
    EXPECT("ZPOPMAX k 5", "*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\n1\r\n");
    EXPECT("EXISTS k", ":0\r\n");
    EXPECT("ZADD k 1 a 2 b", ":2\r\n");
    EXPECT("ZREMRANGEBYSCORE k -inf +inf", ":2\r\n");
    EXPECT("EXISTS k", ":0\r\n");
    EXPECT("ZADD k 1 a", ":1\r\n");
    EXPECT("ZINTERSTORE k 2 k none", ":0\r\n");
    EXPECT("EXISTS k", ":0\r\n");
    EXPECT("ZADD k XX 1 a", ":0\r\n");
    EXPECT("EXISTS k", ":0\r\n");
}

Test(zset, rank_with_score)
{
    EXPECT("ZADD k 1 a 2.5 b", ":2\r\n");
    EXPECT("ZRANK k b WITHSCORE", "*2\r\n:1\r\n$3\r\n2.5\r\n");
    EXPECT("ZREVRANK k b withscore", "*2\r\n:0\r\n$3\r\n2.5\r\n");
    EXPECT("ZRANK k c WITHSCORE", "*-1\r\n");
    EXPECT("ZRANK k c", "$-1\r\n");
    EXPECT("ZRANK k b q", "-ERR syntax error\r\n");
    h->resp = 3;
    EXPECT("ZRANK k b WITHSCORE", "*2\r\n:1\r\n,2.5\r\n");
    EXPECT("ZRANGE k 0 -1 WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n");
}

Test(zset, dump_and_restore)
{
    for (int entries = 0; entries <= 128; entries += 128) {
        h->settings.zset_max_listpack_entries = entries;
        EXPECT("DEL k copy", entries ? ":2\r\n" : ":0\r\n");
        EXPECT("ZADD k 1 a 2.5 b inf c -3 d", ":4\r\n");
        struct slice text = harness_run_argv(
            h, (struct slice[]){slice_str("DUMP"), slice_str("k")}, 2);
        const char *bytes = strchr(text.ptr, '\n') + 1;
        char payload[256];
        size_t len = text.len - (size_t)(bytes - text.ptr) - 2;
        memcpy(payload, bytes, len);
        text = harness_run_argv(h, (struct slice[]){slice_str("RESTORE"), slice_str("copy"),
                                                    slice_str("0"), slice_of(payload, len)}, 4);
        cr_assert_str_eq(text.ptr, "+OK\r\n");
        EXPECT("ZRANGE copy 0 -1", "*4\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
        cr_assert_str_eq(harness_line(h, "OBJECT ENCODING copy"),
                         entries ? "$8\r\nlistpack\r\n" : "$8\r\nskiplist\r\n");
        uint8_t a[20], b[20];
        keyspace_digest(h->ks, 0, a);
        EXPECT("DEL copy", ":1\r\n");
        EXPECT("COPY k copy", ":1\r\n");
        keyspace_digest(h->ks, 0, b);
        cr_assert_eq(memcmp(a, b, sizeof a), 0);
    }
}

/* A scan shows every member that is there all the time, while others come and go. */
Test(zset, scan_while_it_changes)
{
    char line[64];
    static bool seen[500];
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "ZADD k %d steady%d", i, i);
        EXPECT(line, ":1\r\n");
    }
    char cursor[32] = "0";
    do {
        snprintf(line, sizeof line, "ZSCAN k %s COUNT 7", cursor);
        const char *text = harness_line(h, line);
        const char *digits = strchr(strchr(text, '$'), '\n') + 1;
        snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(digits, "\r"), digits);
        for (const char *at = text; (at = strstr(at, "steady")); at++) {
            seen[atoi(at + 6)] = true;
        }
        for (int i = 0; i < 30; i++) {
            snprintf(line, sizeof line, rnd(2) ? "ZADD k 1 guest%d" : "ZREM k guest%d",
                     (int)rnd(1000));
            harness_line(h, line);
        }
    } while (strcmp(cursor, "0") != 0);
    for (int i = 0; i < 500; i++) {
        cr_assert(seen[i], "%d", i);
    }
}

Test(zset, random_members_are_even)
{
    enum { MEMBERS = 20, DRAWS = 4000 };
    for (int entries = 0; entries <= 128; entries += 128) {
        int drawn[MEMBERS] = {0};
        char line[64];
        h->settings.zset_max_listpack_entries = entries;
        harness_line(h, "DEL k");
        for (int i = 0; i < MEMBERS; i++) {
            snprintf(line, sizeof line, "ZADD k %d m%d", i, i);
            EXPECT(line, ":1\r\n");
        }
        for (int i = 0; i < DRAWS; i++) {
            const char *text = harness_line(h, i % 2 ? "ZRANDMEMBER k 3" : "ZRANDMEMBER k 15");
            for (const char *at = text; (at = strchr(at, 'm')); at++) {
                drawn[atoi(at + 1)]++;
            }
        }
        for (int i = 0; i < MEMBERS; i++) {
            cr_assert(abs(drawn[i] - DRAWS * 9 / MEMBERS) < 200, "%d: %d", i, drawn[i]);
        }
    }
}

Test(zset, huge_ones_are_freed_in_slices)
{
    char line[64];
    size_t used = slab_used_bytes();
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof line, "ZADD k %d member%d", i, i);
        EXPECT(line, ":1\r\n");
    }
    EXPECT("DEL k", ":1\r\n");
    cr_assert(keyspace_free_pending(h->ks));
    while (!keyspace_free_slice(h->ks, UINT64_MAX)) {
    }
    cr_assert_leq(slab_used_bytes(), used + 4096);
}
