/* The slow log's entries and ring (shards/slowlog.h), secrets (shards/redact.h), and MONITOR's way
 * of writing arguments (shards/text.h). */
#include "core/mem.h"
#include "shards/redact.h"
#include "shards/slowlog.h"
#include "shards/text.h"
#include <criterion/criterion.h>
#include <stdio.h>

static const struct command set_command = {.name = "set"};

static struct slowlog_entry *entry(uint64_t id)
{
    const struct slice argv[] = {slice_str("SET"), slice_str("k"), slice_str("v")};
    return slowlog_entry_new(id, 1700000000, 12345, &set_command, argv, 3,
                             slice_str("127.0.0.1:5000"), slice_str("tester"));
}

static bool is(struct slice s, const char *text)
{
    return slice_equal(s, slice_str(text));
}

Test(entry, keeps_what_was_said)
{
    struct slowlog_entry *e = entry(7);
    cr_assert_eq(e->id, 7);
    cr_assert_eq(e->argc, 3);
    cr_assert(is(e->argv[0], "SET") && is(e->argv[1], "k") && is(e->argv[2], "v"));
    cr_assert(is(e->peer, "127.0.0.1:5000") && is(e->name, "tester"));
    slowlog_entry_release(e);
}

Test(entry, long_arguments_are_cut)
{
    char bytes[200];
    memset(bytes, 'A', sizeof bytes);
    const struct slice argv[] = {slice_str("set"), slice_of(bytes, 128), slice_of(bytes, 129),
                                 slice_of(bytes, 200)};
    struct slowlog_entry *e = slowlog_entry_new(0, 0, 0, &set_command, argv, 4, slice_str(""),
                                                slice_str(""));
    cr_assert_eq(e->argv[1].len, 128);
    cr_assert_eq(memcmp(e->argv[2].ptr + 128, "... (1 more bytes)", 18), 0);
    cr_assert_eq(e->argv[2].len, 128 + 18);
    cr_assert_eq(memcmp(e->argv[3].ptr + 128, "... (72 more bytes)", 19), 0);
    slowlog_entry_release(e);
}

Test(entry, many_arguments_are_cut)
{
    struct slice argv[40];
    for (int i = 0; i < 40; i++) {
        argv[i] = slice_str("x");
    }
    for (uint32_t argc = 1; argc <= 40; argc++) {
        struct slowlog_entry *e = slowlog_entry_new(0, 0, 0, &set_command, argv, argc,
                                                    slice_str("p"), slice_str("n"));
        if (argc <= 32) {
            cr_assert_eq(e->argc, argc);
            cr_assert(is(e->argv[argc - 1], "x"));
        } else {
            char last[64];
            snprintf(last, sizeof last, "... (%u more arguments)", argc - 31);
            cr_assert_eq(e->argc, 32);
            cr_assert(is(e->argv[31], last));
        }
        cr_assert(is(e->peer, "p") && is(e->name, "n"));
        slowlog_entry_release(e);
    }
}

/* Pushes and changes of the limit at random, against a plain list of ids. */
Test(ring, keeps_the_newest)
{
    struct slowlog *log = slowlog_new();
    uint64_t model[512], next_id = 0;
    uint32_t model_count = 0, state = 1;
    for (int step = 0; step < 5000; step++) {
        state = state * 1103515245 + 12345;
        int64_t limit = (state >> 16) % 7 == 0 ? (state >> 20) % 300 : 40;
        slowlog_push(log, entry(next_id), limit);
        model[model_count++] = next_id++;
        if (model_count > limit) {
            memmove(model, model + model_count - limit, (size_t)limit * sizeof *model);
            model_count = (uint32_t)limit;
        }
        cr_assert_eq(log->count, model_count);
        struct slowlog_entry *got[8];
        uint32_t n = slowlog_take(log, got, 8);
        cr_assert_eq(n, model_count < 8 ? model_count : 8);
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(got[i]->id, model[model_count - 1 - i]);
            slowlog_entry_release(got[i]);
        }
    }
    slowlog_free(log);
}

Test(ring, entries_outlive_the_log)
{
    struct slowlog *log = slowlog_new();
    struct slowlog_entry *kept;
    slowlog_push(log, entry(1), 10);
    cr_assert_eq(slowlog_take(log, &kept, 1), 1);
    slowlog_free(log);
    cr_assert(is(kept->argv[1], "k"));
    slowlog_entry_release(kept);
}

Test(redact, passwords_are_secret)
{
    const struct command auth = {.name = "auth"}, hello = {.name = "hello"};
    const struct command migrate = {.name = "migrate"};
    const struct command config = {.name = "config"}, acl = {.name = "acl"};
    const struct command config_set = {.name = "set", .parent = &config};
    const struct command setuser = {.name = "setuser", .parent = &acl};
    const struct {
        const struct command *cmd;
        const char *words; /* what is secret begins with '!' */
    } cases[] = {
        {&auth, "AUTH !user !password"},
        {&hello, "HELLO 3 AUTH !user !password SETNAME me"},
        {&hello, "HELLO 3 SETNAME me"},
        {&migrate, "MIGRATE host 6379 AUTH 0 10 AUTH !password"},
        {&migrate, "MIGRATE host 6379 key 0 10 COPY AUTH2 !user !password KEYS a b"},
        {&config_set, "CONFIG SET maxclients 10 RequirePass !secret masterauth !secret"},
        {&setuser, "ACL SETUSER !me !on !>password"},
        {&set_command, "SET auth password"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        struct slice argv[16];
        bool secret[16];
        uint32_t argc = 0;
        snprintf(text, sizeof text, "%s", cases[i].words);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
            secret[argc] = *word == '!';
            argv[argc++] = slice_str(word + (*word == '!'));
        }
        for (uint32_t a = 0; a < argc; a++) {
            cr_assert_eq(redact_argument(cases[i].cmd, argv, argc, a), secret[a], "%s, argument %u",
                         cases[i].words, a);
        }
    }
}

Test(text, quotes_as_monitor_shows_arguments)
{
    struct text t = {0};
    text_quote(&t, slice_of("a\"b\\c\n\r\t\a\b\v\0\x7f\xff", 14));
    cr_assert_str_eq(t.data, "\"a\\\"b\\\\c\\n\\r\\t\\a\\b\\x0b\\x00\\x7f\\xff\"");
    text_free(&t);
}

Test(text, grows)
{
    struct text t = {0};
    for (int i = 0; i < 1000; i++) {
        text_printf(&t, "%d,", i);
    }
    char *wide = mem_alloc(5001);
    memset(wide, 'x', 5000);
    wide[5000] = 0;
    size_t before = t.len;
    text_printf(&t, "%s", wide);
    cr_assert_eq(t.len, before + 5000);
    cr_assert_eq(strlen(t.data), t.len);
    mem_free(wide);
    text_free(&t);
}

Test(text, bytes_for_people)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0B"}, {1023, "1023B"}, {1024, "1.00K"}, {1536, "1.50K"},
                 {1024 * 1024, "1.00M"}, {1ull << 30, "1.00G"}, {5ull << 40, "5.00T"},
                 {1ull << 50, "1.00P"}, {1ull << 62, "4096.00P"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[TEXT_HUMAN_BYTES];
        text_human_bytes(got, cases[i].bytes);
        cr_assert_str_eq(got, cases[i].text);
    }
}
