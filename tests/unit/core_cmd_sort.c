/* core_cmd_sort.c - SORT and SORT_RO; the rest is compared with redis-server by
 * differential/sort.py. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>

HARNESS_COMMANDS(sort_commands, set_commands, list_commands, zset_commands, hash_commands,
                 string_commands, generic_commands)

static struct harness *h;
static char events[256];

static void note_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    const size_t at = strlen(events);
    if (class == EVENT_LIST || class == EVENT_GENERIC) {
        snprintf(events + at, sizeof events - at, "%s %.*s|", event, (int)key.len, key.ptr);
    }
}

static void setup(void)
{
    h = harness_new();
    h->settings.notify_keyspace_events = ~0;
    h->ks->hooks.event = note_event;
}

static void teardown(void)
{
    harness_free(h);
}

TestSuite(sort, .init = setup, .fini = teardown);

static void expect_line(const char *line, const char *reply, int at)
{
    events[0] = '\0';
    const char *got = harness_line(h, line);
    cr_expect_str_eq(got, reply, "line %d: %s replied %s", at, line, got);
}
#define LINE(line, reply) expect_line(line, reply, __LINE__)

Test(sort, sorts_numbers_and_texts)
{
    harness_line(h, "RPUSH l 3 1 10 2");
    LINE("SORT l", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$2\r\n10\r\n");
    LINE("SORT l DESC LIMIT 1 2", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n");
    LINE("SORT l ALPHA", "*4\r\n$1\r\n1\r\n$2\r\n10\r\n$1\r\n2\r\n$1\r\n3\r\n");
    LINE("SORT l BY nosort DESC LIMIT 0 2", "*2\r\n$1\r\n2\r\n$2\r\n10\r\n");
    LINE("SORT l LIMIT 9 9", "*0\r\n");
    LINE("SORT l LIMIT 1", "-ERR syntax error\r\n");
    LINE("SORT_RO l STORE d", "-ERR syntax error\r\n");
    harness_line(h, "SADD s b a");
    LINE("SORT s", "-ERR One or more scores can't be converted into double\r\n");
    LINE("SORT s ALPHA", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    harness_line(h, "ZADD z 1 c 2 a");
    LINE("SORT z ALPHA", "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
    LINE("SORT z BY nosort", "*2\r\n$1\r\nc\r\n$1\r\na\r\n");
    LINE("SET k v", "+OK\r\n");
    LINE("SORT k", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    LINE("SORT none", "*0\r\n");
}

Test(sort, patterns)
{
    harness_line(h, "SADD s 1 2 3");
    harness_line(h, "MSET w_1 9 w_2 8 v_3 x");
    harness_line(h, "HSET h_2 f y");
    LINE("SORT s BY w_* GET # GET h_*->f GET v_*",
         "*9\r\n$1\r\n3\r\n$-1\r\n$1\r\nx\r\n$1\r\n2\r\n$1\r\ny\r\n$-1\r\n$1\r\n1\r\n$-1\r\n$-1\r\n");
}

Test(sort, stores)
{
    harness_line(h, "SADD s 2 1");
    LINE("SORT s STORE d", ":2\r\n");
    cr_expect_str_eq(events, "sortstore d|");
    cr_expect_eq(h->dirty, 2);
    LINE("LRANGE d 0 -1", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    LINE("SORT s STORE s", ":2\r\n");
    LINE("TYPE s", "+list\r\n");
    LINE("SORT none STORE d", ":0\r\n");
    cr_expect_str_eq(events, "del d|");
    LINE("EXISTS d", ":0\r\n");
}

Test(sort, finds_its_keys)
{
    uint32_t at[8];
    const struct slice argv[] = {slice_str("SORT"), slice_str("k"), slice_str("BY"),
                                 slice_str("store"), slice_str("STORE"), slice_str("a"),
                                 slice_str("STORE"), slice_str("b")};
    const struct command *cmd = harness_find(argv[0], NULL);
    cr_expect_eq(command_keys(cmd, argv, 8, at, 8), 2);
    cr_expect_eq(at[0], 1);
    cr_expect_eq(at[1], 7);
    cr_expect_eq(command_keys(cmd, argv, 4, at, 8), 1);
    const struct slice ro = slice_str("SORT_RO");
    cr_expect_eq(command_keys(harness_find(ro, NULL), argv, 8, at, 8), 1);
}
