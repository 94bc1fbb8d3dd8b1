/* core_list.c - lists: an array of strings agrees after any changes under any rules, in both
 * encodings; the commands' replies, events and encodings; payloads of Redis. */
#include "core/list.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/serial.h"
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(string_commands, generic_commands, list_commands)

static uint64_t seed = 7;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

/* --- a model: strings by number, so that an array of numbers is a list --- */

enum { MODEL_MAX = 3000, KINDS = 400 };

static uint32_t model[MODEL_MAX];
static uint32_t model_n;

static char text[100000];

/* The string with that number: short, a number, or (some) large. */
static struct slice string_of(uint32_t id)
{
    if (id % 3 == 0) {
        return slice_of(text, num_format_int(text, (int64_t)id * id * (id % 2 ? -1 : 1)));
    }
    size_t len = (size_t)snprintf(text, 32, "element-%u", id);
    size_t more = id % 97 == 1 ? id * 40 : id % 11 == 1 ? id / 2 : 0;
    memset(text + len, 'x', more);
    return slice_of(text, len + more);
}

static void model_insert(uint32_t at, uint32_t id)
{
    memmove(model + at + 1, model + at, (model_n - at) * sizeof model[0]);
    model[at] = id;
    model_n++;
}

static void model_delete(uint32_t at, uint32_t n)
{
    memmove(model + at, model + at + n, (model_n - at - n) * sizeof model[0]);
    model_n -= n;
}

static bool is(const struct list_element *e, uint32_t id)
{
    struct list_needle n = list_needle(string_of(id));
    return list_element_is(e, &n);
}

static void compare(struct list_value v)
{
    cr_assert(list_count(v) == model_n);
    struct list_iter it;
    struct list_element e;
    list_iter_init(&it, v, 0, false);
    for (uint32_t i = 0; i < model_n; i++) {
        cr_assert(list_iter_next(&it, &e) && is(&e, model[i]), "%u", i);
    }
    cr_assert(!list_iter_next(&it, &e));
    list_iter_end(&it);
    if (model_n == 0) {
        return;
    }
    uint32_t from = below(model_n);
    list_iter_init(&it, v, from, true);
    for (uint32_t i = from + 1; i-- > 0;) {
        cr_assert(list_iter_next(&it, &e) && is(&e, model[i]), "%u", i);
    }
    cr_assert(!list_iter_next(&it, &e));
    list_iter_end(&it);
}

static uint64_t model_remove(uint32_t id, uint64_t max, enum list_end from)
{
    uint64_t removed = 0;
    uint32_t i = from == LIST_HEAD ? 0 : model_n;
    while (removed < max) {
        if (from == LIST_HEAD ? i >= model_n : i == 0) {
            break;
        }
        uint32_t at = from == LIST_HEAD ? i : i - 1;
        bool gone = model[at] == id;
        if (gone) {
            model_delete(at, 1);
            removed++;
        }
        i = from == LIST_HEAD ? (gone ? i : i + 1) : at;
    }
    return removed;
}

static void change(struct list_value *v, const struct list_rules *r)
{
    uint32_t id = below(KINDS), at = below(model_n + 1);
    struct slice s = string_of(id);
    uint32_t what = model_n > 2000 ? 5 : below(model_n > 800 ? 9 : 8);
    if (model_n == 0 || what <= 2) {
        enum list_end end = what == 0 ? LIST_HEAD : LIST_TAIL;
        list_push_all(v, r, end, &s, 1);
        model_insert(end == LIST_HEAD ? 0 : model_n, id);
    } else if (what == 3) {
        list_prepare(v, r, &s, 1);
        list_insert(v, r, at, s);
        model_insert(at, id);
    } else if (what == 4 && at < model_n) {
        list_prepare(v, r, &s, 1);
        list_replace(v, r, at, s);
        model[at] = id;
    } else if (what == 5 || what == 8) {
        uint32_t n = below(what == 8 || model_n > 2000 ? model_n - at + 1 : 3);
        n = n > model_n - at ? model_n - at : n;
        list_delete(v, r, at, n);
        model_delete(at, n);
    } else if (what == 6) {
        uint64_t max = below(3);
        enum list_end from = below(2) ? LIST_HEAD : LIST_TAIL;
        uint64_t removed = list_remove(v, r, s, max, from);
        cr_assert(removed == model_remove(id, max ? max : UINT64_MAX, from));
    }
    list_settle_encoding(v, r, true);
}

static void run_model(int64_t size, int64_t depth, int rounds)
{
    struct settings settings = {.list_max_listpack_size = size, .list_compress_depth = depth};
    struct list_rules r = list_rules_of(&settings);
    struct list_value v = list_new();
    model_n = 0;
    for (int i = 0; i < rounds; i++) {
        change(&v, &r);
        if (i % 8 == 0) {
            compare(v);
        }
        if (i == rounds / 2) {
            struct list_value copy = list_copy(v);
            compare(copy);
            list_free(v);
            v = copy;
        }
    }
    compare(v);
    list_free(v);
}

Test(list, behaves_as_an_array)
{
    static const int64_t sizes[] = {-2, -1, -5, 1, 3, 16, 128, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int64_t depth = 0; depth < 4; depth++) {
            run_model(sizes[i], depth, 1200);
        }
    }
}

Test(list, rules_change_under_way)
{
    struct list_value v = list_new();
    model_n = 0;
    for (int i = 0; i < 5000; i++) {
        struct settings settings = {.list_max_listpack_size = (int64_t)below(12) - 5,
                                    .list_compress_depth = below(4)};
        struct list_rules r = list_rules_of(&settings);
        change(&v, &r);
        if (i % 16 == 0) {
            compare(v);
        }
    }
    list_free(v);
}

Test(list, freed_in_slices)
{
    struct settings settings = {.list_max_listpack_size = 1};
    struct list_rules r = list_rules_of(&settings);
    struct list_value v = list_new();
    for (uint32_t i = 0; i < 1000; i++) {
        struct slice s = string_of(i % KINDS);
        list_push_all(&v, &r, LIST_TAIL, &s, 1);
    }
    cr_assert(v.encoding == ENC_QUICKLIST && list_nodes_free_effort(v.object) == 1000);
    uint64_t progress = 0;
    int slices = 0;
    while (!list_nodes_free_slice(v.object, 100, &progress)) {
        slices++;
    }
    cr_assert(slices == 9);
}

/* --- the commands --- */

static struct harness *h;
static char events[4096];

static void hear_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    const size_t len = strlen(events);
    snprintf(events + len, sizeof events - len, "%s%s:%.*s", len ? " " : "", event, (int)key.len,
             key.ptr);
}

static void start(void)
{
    h = harness_new();
    h->settings.notify_keyspace_events = 0xffff & ~(EVENT_KEY_MISS | EVENT_NEW);
    h->ks->hooks.event = hear_event;
}

static void stop(void)
{
    harness_free(h);
}

TestSuite(list_commands, .init = start, .fini = stop);

static void reply(const char *line, const char *expected)
{
    events[0] = '\0';
    const char *got = harness_line(h, line);
    cr_assert_str_eq(got, expected, "%s: %s", line, got);
}

#define EVENTS(expected) cr_assert_str_eq(events, expected)

Test(list_commands, events_and_changes)
{
    reply("RPUSH k a b c", ":3\r\n");
    EVENTS("rpush:k");
    cr_assert(h->dirty == 3);
    reply("LMOVE k t LEFT RIGHT", "$1\r\na\r\n");
    EVENTS("rpush:t lpop:k");
    cr_assert(h->dirty == 1);
    reply("LMOVE t t LEFT RIGHT", "$1\r\na\r\n");
    EVENTS("rpush:t lpop:t");
    reply("LPUSHX none a", ":0\r\n");
    EVENTS("");
    reply("LINSERT k BEFORE c x", ":3\r\n");
    EVENTS("linsert:k");
    reply("LSET k 0 y", "+OK\r\n");
    EVENTS("lset:k");
    reply("LREM k 0 x", ":1\r\n");
    EVENTS("lrem:k");
    reply("LTRIM k 1 -1", "+OK\r\n");
    EVENTS("ltrim:k");
    cr_assert(h->dirty == 1);
    reply("RPOP k", "$1\r\nc\r\n");
    EVENTS("rpop:k del:k");
    reply("LMPOP 2 k t LEFT COUNT 5", "*2\r\n$1\r\nt\r\n*1\r\n$1\r\na\r\n");
    EVENTS("lpop:t del:t");
    reply("DBSIZE", ":0\r\n");
}

/* What is cut from a long list is freed in slices; the rest is as if it had been deleted. */
Test(list_commands, a_long_list_is_cut)
{
    char line[64], value[32];
    enum { N = 60000, FROM = 25000, TO = 25009 };
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof line, "RPUSH long some-element-%08d", i);
        harness_line(h, line);
    }
    reply("COPY long other", ":1\r\n");
    snprintf(line, sizeof line, "LTRIM long %d %d", FROM, TO);
    reply(line, "+OK\r\n");
    cr_assert(keyspace_free_pending(h->ks));
    reply("LLEN long", ":10\r\n");
    snprintf(value, sizeof value, "$21\r\nsome-element-%08d\r\n", FROM);
    reply("LPOP long", value);
    snprintf(value, sizeof value, "$21\r\nsome-element-%08d\r\n", TO);
    reply("RPOP long", value);
    int slices = 0;
    while (!keyspace_free_slice(h->ks, 0)) {
        slices++;
    }
    cr_assert_gt(slices, 1);
    reply("LTRIM other 1 0", "+OK\r\n");
    reply("EXISTS other", ":0\r\n");
    cr_assert(keyspace_free_pending(h->ks));
}

Test(list_commands, encodings)
{
    h->settings.list_max_listpack_size = 4;
    reply("RPUSH k 1 2 3 4", ":4\r\n");
    reply("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    reply("RPUSH k 5", ":5\r\n");
    reply("OBJECT ENCODING k", "$9\r\nquicklist\r\n");
    reply("RPOP k 2", "*2\r\n$1\r\n5\r\n$1\r\n4\r\n");
    reply("OBJECT ENCODING k", "$9\r\nquicklist\r\n"); /* more than half of what fits */
    reply("LPOP k", "$1\r\n1\r\n");
    reply("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    reply("RPUSH n 1 2 3 4 5", ":5\r\n");
    reply("OBJECT ENCODING n", "$9\r\nquicklist\r\n");
}

Test(list_commands, huge_elements)
{
    enum { BYTES = 20000 };
    char *x = malloc(BYTES);
    memset(x, 'q', BYTES);
    struct slice push[] = {slice_str("RPUSH"), slice_str("k"), slice_str("a"), slice_of(x, BYTES),
                           slice_str("b")};
    cr_assert(slice_equal(harness_run_argv(h, push, 5), slice_str(":3\r\n")));
    reply("OBJECT ENCODING k", "$9\r\nquicklist\r\n");
    struct slice index[] = {slice_str("LINDEX"), slice_str("k"), slice_str("1")};
    cr_assert(harness_run_argv(h, index, 3).len == BYTES + 10);
    reply("LPOP k", "$1\r\na\r\n");
    cr_assert(strlen(harness_line(h, "LMOVE k t LEFT LEFT")) == BYTES + 10);
    reply("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    reply("LLEN t", ":1\r\n");
    reply("COPY t u", ":1\r\n");
    reply("DEL t", ":1\r\n");
    cr_assert(harness_run_argv(h, (struct slice[]){slice_str("LINDEX"), slice_str("u"),
                                                   slice_str("0")}, 3).len == BYTES + 10);
    reply("LSET u 0 small", "+OK\r\n");
    reply("OBJECT ENCODING u", "$8\r\nlistpack\r\n");
    free(x);
}

/* What redis-server 7.0.15 returned for RPUSH k a 1 hello -300 and DUMP k. */
Test(list_commands, payload_of_redis)
{
    static const char payload[] =
        "\x12\x01\x02\x16\x16\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x85\x68\x65\x6c\x6c"
        "\x6f\x06\xde\xd4\x02\xff\x0a\x00\x17\x84\xe5\xc1\x3f\x8c\x04\xc1";
    struct slice restore[] = {slice_str("RESTORE"), slice_str("k"), slice_str("0"),
                              slice_of(payload, sizeof payload - 1)};
    cr_assert(slice_equal(harness_run_argv(h, restore, 4), slice_str("+OK\r\n")));
    reply("LRANGE k 0 -1", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$5\r\nhello\r\n$4\r\n-300\r\n");
    struct slice dump[] = {slice_str("DUMP"), slice_str("k")};
    struct slice got = harness_run_argv(h, dump, 2);
    cr_assert(got.len > sizeof payload && memmem(got.ptr, got.len, payload, sizeof payload - 1));
}

/* Cut or changed, a payload is refused or loads a list that can be read. */
Test(list_commands, hostile_payloads)
{
    h->settings.list_max_listpack_size = 3;
    reply("RPUSH k a 1 hello -300 12345678 bb cc dd ee ff gg", ":11\r\n");
    struct slice dump[] = {slice_str("DUMP"), slice_str("k")};
    struct slice got = harness_run_argv(h, dump, 2);
    const char *line = memchr(got.ptr, '\n', got.len);
    size_t len = got.len - (size_t)(line + 1 - got.ptr) - 2 - 10;
    uint8_t *body = malloc(len + 10), *clean = malloc(len);
    memcpy(clean, line + 1, len);
    int loaded = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(body, clean, len);
        size_t used = i % 4 == 0 ? 1 + below((uint32_t)len) : len;
        for (uint32_t n = below(3); n > 0; n--) {
            body[below((uint32_t)used)] = (uint8_t)below(256);
        }
        body[0] = (uint8_t)(const uint8_t[]){18, 18, 18, 1, 10, 14}[below(6)];
        memcpy(body + used, "\x0a\x00", 2);
        uint64_t crc = crc64_update(0, body, used + 2);
        memcpy(body + used + 2, &crc, 8);
        struct slice restore[] = {slice_str("RESTORE"), slice_str("k"), slice_str("0"),
                                  slice_of((char *)body, used + 10), slice_str("REPLACE")};
        loaded += harness_run_argv(h, restore, 5).ptr[0] == '+';
        harness_line(h, "LRANGE k 0 -1");
        harness_line(h, "LINDEX k -1");
        harness_line(h, "RPUSH k tail");
    }
    cr_assert(loaded > 100);
    free(body);
    free(clean);
}
