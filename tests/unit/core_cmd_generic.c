/* core_cmd_generic.c - the commands on keys of any type: replies, errors in Redis' order, and what
 * is left behind. */
#include "harness.h"

#include "core/cmd_generic.h"
#include "core/serial.h"
#include "core_serial_payloads.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct command containers[] = {
    /* rows that the server's commands make of cmd_object.h, named without their container */
    {.name = "memory-usage", .run = cmd_memory_usage, .arity = -3,
     .keys = {{.flags = KEY_RO, KEYS_AT(2, 0, 1)}}},
    {.name = "debug-object", .run = cmd_debug_object, .arity = 3,
     .keys = {{.flags = KEY_RO, KEYS_AT(2, 0, 1)}}},
    {.name = "debug-digest-value", .run = cmd_debug_digest_value, .arity = -2,
     .keys = {{.flags = KEY_RO, KEYS_AT(2, -1, 1)}}},
    {0},
};
HARNESS_COMMANDS(string_commands, generic_commands, containers)

static struct harness *h;

/* --- events and changes, as a shard would hear of them --- */

static char events[4096];

static void hear_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    const size_t len = strlen(events);
    snprintf(events + len, sizeof events - len, "%s%s:%.*s@%d", len ? " " : "", event,
             (int)key.len, key.ptr, db);
}

static char modified[4096];

static void hear_modified(struct keyspace *ks, int db, const struct key *k)
{
    const size_t len = strlen(modified);
    snprintf(modified + len, sizeof modified - len, "%s%.*s@%d", len ? " " : "", (int)k->len,
             k->ptr, db);
}

static void start(void)
{
    h = harness_new();
    h->settings.notify_keyspace_events = 0xffff & ~EVENT_KEY_MISS;
    h->ks->hooks.event = hear_event;
    h->ks->hooks.modified = hear_modified;
}

static void stop(void)
{
    harness_free(h);
}

TestSuite(generic, .init = start, .fini = stop);

static const char *run(const char *line)
{
    events[0] = modified[0] = '\0';
    return harness_line(h, line);
}

#define REPLY(line, expected) cr_assert_str_eq(run(line), expected, "%s: %s", line, run(line))
#define OK(line) REPLY(line, "+OK\r\n")
#define INT(line, n) REPLY(line, ":" #n "\r\n")
#define ERROR(line, text) REPLY(line, "-" text "\r\n")
/* The same once, for commands that change something. */
#define ONCE(line, expected) cr_assert_str_eq(run(line), expected)
#define EVENTS(expected) cr_assert_str_eq(events, expected)
#define MODIFIED(expected) cr_assert_str_eq(modified, expected)

/* --- counting commands --- */

Test(generic, del_and_unlink)
{
    OK("SET a 1");
    OK("SET b 2");
    ONCE("DEL a b c a", ":2\r\n");
    EVENTS("del:a@0 del:b@0");
    MODIFIED("a@0 b@0");
    cr_assert_eq(h->dirty, 2);
    INT("DEL a b", 0);
    cr_assert_eq(h->dirty, 0);
    OK("SET a 1");
    ONCE("UNLINK a", ":1\r\n");
    EVENTS("del:a@0");
    OK("SET a 1 PX 10");
    h->now_ms += 11;
    ONCE("DEL a", ":0\r\n");
    EVENTS("expired:a@0");
    ERROR("DEL", "ERR wrong number of arguments for 'del' command");
}

Test(generic, exists_and_touch)
{
    OK("SET a 1");
    OK("SET b 2");
    INT("EXISTS a b c a", 3);
    INT("TOUCH a b c a", 3);
    h->now_ms += 10000;
    INT("EXISTS a", 1);
    REPLY("TYPE a", "+string\r\n");
    INT("TTL a", -1);
    INT("OBJECT IDLETIME a", 10);
    h->call_flags = CALL_NO_TOUCH;
    INT("TOUCH a", 1);
    INT("OBJECT IDLETIME a", 0);
    h->call_flags = 0;
    REPLY("TYPE nosuch", "+none\r\n");
}

Test(generic, existence_is_counted)
{
    OK("SET a 1");
    const struct keyspace_stats before = h->ks->stats;
    ONCE("EXISTS a b", ":1\r\n");
    ONCE("OBJECT ENCODING a", "$3\r\nint\r\n");
    ONCE("OBJECT ENCODING b", "$-1\r\n");
    cr_assert_eq(h->ks->stats.hits - before.hits, 2);
    cr_assert_eq(h->ks->stats.misses - before.misses, 2);
}

/* --- expiry --- */

Test(generic, expire)
{
    OK("SET a 1");
    ONCE("EXPIRE a 100", ":1\r\n");
    EVENTS("expire:a@0");
    MODIFIED("a@0");
    cr_assert_eq(h->dirty, 1);
    INT("TTL a", 100);
    INT("PTTL a", 100000);
    INT("EXPIRETIME a", 1700000100);
    INT("PEXPIRETIME a", 1700000100000);
    ONCE("PEXPIRE a 1499", ":1\r\n");
    INT("TTL a", 1);
    ONCE("PEXPIRE a 1500", ":1\r\n");
    INT("TTL a", 2);
    ONCE("EXPIREAT a 1700000007", ":1\r\n");
    INT("TTL a", 7);
    ONCE("PEXPIREAT a 1700000008500", ":1\r\n");
    INT("PTTL a", 8500);
    INT("EXPIRETIME a", 1700000009);
    h->now_ms += 8500;
    INT("PTTL a", 0);
    h->now_ms += 1;
    INT("PTTL a", -2);
    INT("TTL nosuch", -2);
    INT("EXPIRE nosuch 100", 0);
    cr_assert_eq(h->dirty, 0);
}

Test(generic, expire_in_the_past_deletes)
{
    static const char *const lines[] = {"EXPIRE a 0", "EXPIRE a -1", "PEXPIRE a 0",
                                        "EXPIREAT a 1", "PEXPIREAT a 1700000000000",
                                        "PEXPIRE a -9223372036854775808"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        OK("SET a 1");
        ONCE(lines[i], ":1\r\n");
        EVENTS("del:a@0");
        MODIFIED("a@0");
        cr_assert_eq(h->dirty, 1);
        INT("EXISTS a", 0);
    }
    OK("SET a 1");
    h->call_flags = CALL_FROM_MASTER;
    ONCE("PEXPIREAT a 1000", ":1\r\n");
    EVENTS("expire:a@0");
    INT("PEXPIRETIME a", 1000);
}

Test(generic, expire_conditions)
{
    OK("SET a 1");
    ONCE("EXPIRE a 100 XX", ":0\r\n");
    ONCE("EXPIRE a 100 GT", ":0\r\n");
    ONCE("EXPIRE a 100 NX", ":1\r\n");
    ONCE("EXPIRE a 200 NX", ":0\r\n");
    ONCE("EXPIRE a 100 gt", ":0\r\n");
    ONCE("EXPIRE a 100 lt", ":0\r\n");
    ONCE("EXPIRE a 101 GT XX", ":1\r\n");
    ONCE("EXPIRE a 100 LT", ":1\r\n");
    INT("TTL a", 100);
    ONCE("PERSIST a", ":1\r\n");
    ONCE("EXPIRE a 100 LT", ":1\r\n");
    ONCE("EXPIRE a -1 GT", ":0\r\n");
    ONCE("EXPIRE a -1 LT", ":1\r\n");
    INT("EXISTS a", 0);
}

Test(generic, expire_errors)
{
    ERROR("EXPIRE a 1 QX", "ERR Unsupported option QX");
    ERROR("EXPIRE a x QX", "ERR Unsupported option QX");
    ERROR("EXPIRE a x NX XX",
          "ERR NX and XX, GT or LT options at the same time are not compatible");
    ERROR("EXPIRE a 1 NX LT",
          "ERR NX and XX, GT or LT options at the same time are not compatible");
    ERROR("EXPIRE a 1 GT LT", "ERR GT and LT options at the same time are not compatible");
    ERROR("EXPIRE a x", "ERR value is not an integer or out of range");
    ERROR("EXPIRE a 9223372036854775807", "ERR invalid expire time in 'expire' command");
    ERROR("EXPIRE a -9223372036854775807", "ERR invalid expire time in 'expire' command");
    ERROR("EXPIRE a 9223372036854775", "ERR invalid expire time in 'expire' command");
    ERROR("PEXPIRE a 9223372036854775807", "ERR invalid expire time in 'pexpire' command");
    ERROR("EXPIREAT a 9223372036854776", "ERR invalid expire time in 'expireat' command");
    INT("PEXPIREAT a 9223372036854775807", 0);
    OK("SET a 1");
    INT("PEXPIREAT a 9223372036854775807", 1);
    INT("PEXPIRETIME a", 9223372036854775807);
}

Test(generic, persist)
{
    OK("SET a 1");
    ONCE("PERSIST a", ":0\r\n");
    EVENTS("");
    ONCE("EXPIRE a 100", ":1\r\n");
    ONCE("PERSIST a", ":1\r\n");
    EVENTS("persist:a@0");
    MODIFIED("a@0");
    INT("TTL a", -1);
    INT("PERSIST nosuch", 0);
}

/* --- names --- */

Test(generic, rename)
{
    OK("SET a 1 EX 100");
    OK("SET b 2");
    ONCE("RENAME a b", "+OK\r\n");
    EVENTS("new:b@0 rename_from:a@0 rename_to:b@0");
    MODIFIED("a@0 b@0");
    cr_assert_eq(h->dirty, 1);
    INT("EXISTS a", 0);
    REPLY("GET b", "$1\r\n1\r\n");
    INT("TTL b", 100);
    INT("DBSIZE", 1);
    ERROR("RENAME a b", "ERR no such key");
    ERROR("RENAME a a", "ERR no such key");
    OK("RENAME b b");
    cr_assert_eq(h->dirty, 0);
}

Test(generic, renamenx)
{
    OK("SET a 1");
    OK("SET b 2");
    INT("RENAMENX a b", 0);
    INT("RENAMENX a a", 0);
    ERROR("RENAMENX x a", "ERR no such key");
    ONCE("RENAMENX a c", ":1\r\n");
    EVENTS("new:c@0 rename_from:a@0 rename_to:c@0");
    OK("SET d 1 PX 1");
    h->now_ms += 2;
    ONCE("RENAMENX c d", ":1\r\n"); /* what has expired is not in the way */
    REPLY("GET d", "$1\r\n1\r\n");
}

Test(generic, rename_of_large_values_and_long_names)
{
    char name[601];
    memset(name, 'n', 600);
    name[600] = '\0';
    char value[5001];
    memset(value, 'v', 5000);
    value[5000] = '\0';
    harness_run(h, "SET", "a", value, NULL);
    cr_assert_str_eq(harness_run(h, "RENAME", "a", name, NULL), "+OK\r\n");
    cr_assert_str_eq(harness_run(h, "STRLEN", name, NULL), ":5000\r\n");
    cr_assert_str_eq(harness_run(h, "RENAME", name, "b", NULL), "+OK\r\n");
    INT("STRLEN b", 5000);
}

Test(generic, copy)
{
    OK("SET a hello EX 100");
    ONCE("COPY a b", ":1\r\n");
    EVENTS("new:b@0 copy_to:b@0");
    MODIFIED("b@0");
    cr_assert_eq(h->dirty, 1);
    REPLY("GET b", "$5\r\nhello\r\n");
    INT("TTL b", 100);
    OK("SET a other");
    ONCE("COPY a b", ":0\r\n");
    ONCE("COPY a b REPLACE", ":1\r\n");
    REPLY("GET b", "$5\r\nother\r\n");
    INT("TTL b", -1);
    ONCE("COPY a a DB 3", ":1\r\n");
    EVENTS("new:a@3 copy_to:a@3");
    cr_assert_eq(h->dirty, 1);
    ONCE("COPY nosuch b", ":0\r\n");
    h->db = 3;
    REPLY("GET a", "$5\r\nother\r\n");
    INT("DBSIZE", 1);
}

Test(generic, copy_keeps_the_encoding)
{
    OK("SET n 12345");
    ONCE("COPY n m", ":1\r\n");
    REPLY("OBJECT ENCODING m", "$3\r\nint\r\n");
    ONCE("SET r 12", "+OK\r\n");
    ONCE("APPEND r 34", ":4\r\n");
    REPLY("OBJECT ENCODING r", "$3\r\nraw\r\n");
    ONCE("COPY r s", ":1\r\n");
    REPLY("OBJECT ENCODING s", "$3\r\nraw\r\n");
    REPLY("GET s", "$4\r\n1234\r\n");
}

Test(generic, copies_part_when_changed)
{
    char value[5001];
    memset(value, 'v', 5000);
    value[5000] = '\0';
    harness_run(h, "SET", "a", value, NULL);
    ONCE("COPY a b", ":1\r\n");
    ONCE("APPEND b x", ":5001\r\n");
    ONCE("SETRANGE a 0 w", ":5000\r\n");
    REPLY("GETRANGE a 0 0", "$1\r\nw\r\n");
    REPLY("GETRANGE b 0 0", "$1\r\nv\r\n");
    INT("STRLEN a", 5000);
    ONCE("DEL a", ":1\r\n");
    INT("STRLEN b", 5001);
}

Test(generic, copy_errors)
{
    ERROR("COPY a b DB", "ERR syntax error");
    ERROR("COPY a b what", "ERR syntax error");
    ERROR("COPY a b DB x", "ERR value is not an integer or out of range");
    ERROR("COPY a b DB 16", "ERR DB index is out of range");
    ERROR("COPY a b DB -1", "ERR DB index is out of range");
    ERROR("COPY a b DB 4294967296",
          "ERR value is out of range, value must between -2147483648 and 2147483647");
    ERROR("COPY a a", "ERR source and destination objects are the same");
    ERROR("COPY a a DB 0", "ERR source and destination objects are the same");
}

Test(generic, move)
{
    OK("SET a 1 EX 100");
    ONCE("MOVE a 2", ":1\r\n");
    EVENTS("new:a@2 move_from:a@0 move_to:a@2");
    MODIFIED("a@0 a@2");
    cr_assert_eq(h->dirty, 1);
    INT("EXISTS a", 0);
    INT("MOVE a 2", 0);
    OK("SET a other");
    ONCE("MOVE a 2", ":0\r\n");
    REPLY("GET a", "$5\r\nother\r\n");
    ERROR("MOVE a 0", "ERR source and destination objects are the same");
    ERROR("MOVE a 16", "ERR DB index is out of range");
    ERROR("MOVE a x", "ERR value is not an integer or out of range");
    h->db = 2;
    REPLY("GET a", "$1\r\n1\r\n");
    INT("TTL a", 100);
}

/* --- databases --- */

Test(generic, keys)
{
    REPLY("KEYS *", "*0\r\n");
    OK("SET foo 1");
    OK("SET bar 2");
    OK("SET {tag}1 3");
    OK("SET gone 4 PX 1");
    h->now_ms += 2;
    REPLY("KEYS f*", "*1\r\n$3\r\nfoo\r\n");
    REPLY("KEYS foo", "*1\r\n$3\r\nfoo\r\n");
    REPLY("KEYS nosuch", "*0\r\n");
    REPLY("KEYS gone", "*0\r\n");
    REPLY("KEYS go*", "*0\r\n");
    REPLY("KEYS {tag}*", "*1\r\n$6\r\n{tag}1\r\n");
    REPLY("KEYS {ta?}*", "*1\r\n$6\r\n{tag}1\r\n");
    REPLY("KEYS {}*", "*0\r\n");
    REPLY("KEYS [fb]a[r]", "*1\r\n$3\r\nbar\r\n");
    cr_assert_eq(strncmp(run("KEYS *"), "*3\r\n", 4), 0);
    h->call_flags = CALL_PART;
    cr_assert_eq(strncmp(run("KEYS *"), "$", 1), 0);
    cr_assert_eq(h->marks_count, 3);
    REPLY("KEYS foo", "$3\r\nfoo\r\n");
    cr_assert_eq(h->marks_count, 1);
}

/* Goes through a whole scan; returns how many keys came, counts each in seen[] by its number. */
static int scan_all(const char *options, int *seen)
{
    char cursor[32] = "0", line[200];
    int total = 0;
    do {
        snprintf(line, sizeof line, "SCAN %s%s", cursor, options);
        const char *p = run(line);
        cr_assert_eq(strncmp(p, "*2\r\n$", 5), 0);
        p = strstr(p + 5, "\r\n") + 2;
        snprintf(cursor, sizeof cursor, "%.*s", (int)(strstr(p, "\r\n") - p), p);
        p = strstr(p, "\r\n") + 2;
        long n = strtol(p + 1, NULL, 10);
        for (; n > 0; n--, total++) {
            p = strstr(p, "key:");
            seen[strtol(p + 4, (char **)&p, 10)]++;
        }
    } while (strcmp(cursor, "0") != 0);
    return total;
}

Test(generic, scan)
{
    enum { KEYS = 2000 };
    static int seen[KEYS];
    char line[64];
    REPLY("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof line, i % 10 ? "SET key:%d v" : "SET key:%d v PX 1", i);
        OK(line);
    }
    h->now_ms += 2;
    cr_assert_eq(scan_all("", seen), KEYS * 9 / 10);
    for (int i = 0; i < KEYS; i++) {
        cr_assert_eq(seen[i], i % 10 ? 1 : 0, "key %d came %d times", i, seen[i]);
    }
    cr_assert_eq(scan_all(" COUNT 1000000", seen), KEYS * 9 / 10);
    cr_assert_eq(scan_all(" COUNT 1", seen), KEYS * 9 / 10);
    cr_assert_eq(scan_all(" MATCH key:1?5 COUNT 100", seen), 10);
    cr_assert_eq(scan_all(" TYPE string MATCH *", seen), KEYS * 9 / 10);
    cr_assert_eq(scan_all(" TYPE STRING", seen), KEYS * 9 / 10);
    cr_assert_eq(scan_all(" TYPE hash", seen), 0);
    cr_assert_eq(scan_all(" TYPE nonsense", seen), 0);
}

Test(generic, scan_of_one_slot)
{
    enum { KEYS = 5000 };
    static int seen[KEYS];
    char line[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof line, "SET {t}key:%d v", i);
        OK(line);
    }
    cr_assert_eq(scan_all(" COUNT 7", seen), KEYS);
    cr_assert_eq(strncmp(run("KEYS {t}*"), "*5000\r\n", 7), 0);
}

Test(generic, scan_errors)
{
    ERROR("SCAN x", "ERR invalid cursor");
    ERROR("SCAN x COUNT 0", "ERR invalid cursor");
    ERROR("SCAN 1x", "ERR invalid cursor");
    ERROR("SCAN 18446744073709551616", "ERR invalid cursor");
    ERROR("SCAN 0 COUNT 0", "ERR syntax error");
    ERROR("SCAN 0 COUNT x", "ERR value is not an integer or out of range");
    ERROR("SCAN 0 COUNT", "ERR syntax error");
    ERROR("SCAN 0 what 1", "ERR syntax error");
    REPLY("SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n");
    REPLY("SCAN 4611686018427387904", "*2\r\n$1\r\n0\r\n*0\r\n");
}

Test(generic, scan_cursors)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t cursor;
    } cases[] = {
        {"", true, 0}, {"0", true, 0}, {"+7", true, 7}, {"-1", true, UINT64_MAX},
        {"0007", true, 7}, {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0}, {"99999999999999999999", false, 0},
        {" 1", false, 0}, {"1 ", false, 0}, {"+", false, 0}, {"-", false, 0}, {"0x1", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t cursor = 0;
        cr_assert_eq(scan_cursor_parse(slice_str(cases[i].text), &cursor), cases[i].good);
        cr_assert(!cases[i].good || cursor == cases[i].cursor);
    }
}

Test(generic, randomkey)
{
    REPLY("RANDOMKEY", "$-1\r\n");
    OK("SET a 1");
    REPLY("RANDOMKEY", "$1\r\na\r\n");
    char line[64];
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "SET gone:%d v PX 1", i);
        OK(line);
    }
    h->now_ms += 2;
    for (int i = 0; i < 20; i++) { /* the one live key is found among all the others */
        REPLY("RANDOMKEY", "$1\r\na\r\n");
    }
    INT("DBSIZE", 1);
    ONCE("DEL a", ":1\r\n");
    REPLY("RANDOMKEY", "$-1\r\n");
}

Test(generic, randomkey_where_a_master_expires)
{
    h->ks->keep_expired = true;
    OK("SET gone 1 PX 1");
    h->now_ms += 2;
    REPLY("RANDOMKEY", "$-1\r\n");
    OK("SET a 1");
    REPLY("RANDOMKEY", "$1\r\na\r\n");
    INT("DBSIZE", 2);
}

Test(generic, flush)
{
    OK("SET a 1");
    OK("SET b 1");
    h->db = 1;
    OK("SET c 1");
    ONCE("FLUSHDB", "+OK\r\n");
    cr_assert_eq(h->dirty, 1);
    INT("DBSIZE", 0);
    h->db = 0;
    INT("DBSIZE", 2);
    ERROR("FLUSHALL what", "ERR syntax error");
    ERROR("FLUSHDB sync async", "ERR syntax error");
    ONCE("FLUSHALL ASYNC", "+OK\r\n");
    cr_assert_eq(h->dirty, 2);
    INT("DBSIZE", 0);
    OK("FLUSHALL sync");
}

Test(generic, swapdb)
{
    OK("SET a 1");
    OK("SWAPDB 0 5");
    OK("SWAPDB 5 0");
    ONCE("SWAPDB 0 5", "+OK\r\n");
    cr_assert_eq(h->dirty, 1);
    INT("DBSIZE", 0);
    h->db = 5;
    INT("DBSIZE", 1);
    OK("SWAPDB 5 5");
    ERROR("SWAPDB x 1", "ERR invalid first DB index");
    ERROR("SWAPDB 1 x", "ERR invalid second DB index");
    ERROR("SWAPDB 4294967296 1", "ERR invalid first DB index");
    ERROR("SWAPDB 16 1", "ERR DB index is out of range");
    ERROR("SWAPDB 1 -1", "ERR DB index is out of range");
}

/* --- OBJECT and its kin --- */

Test(generic, object_encoding)
{
    OK("SET i 123");
    REPLY("OBJECT ENCODING i", "$3\r\nint\r\n");
    OK("SET z 0123");
    REPLY("OBJECT ENCODING z", "$6\r\nembstr\r\n");
    char value[5001];
    memset(value, 'v', 5000);
    static const struct {
        int len;
        const char *encoding;
    } cases[] = {{44, "$6\r\nembstr\r\n"}, {45, "$3\r\nraw\r\n"}, {448, "$3\r\nraw\r\n"},
                 {5000, "$3\r\nraw\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        value[cases[i].len] = '\0';
        harness_run(h, "SET", "s", value, NULL);
        REPLY("OBJECT ENCODING s", cases[i].encoding);
        value[cases[i].len] = 'v';
    }
    REPLY("OBJECT ENCODING nosuch", "$-1\r\n");
    h->resp = 3;
    REPLY("OBJECT ENCODING nosuch", "_\r\n");
}

Test(generic, object_refcount)
{
    OK("SET a 9999");
    OK("SET b 10000");
    OK("SET c x");
    INT("OBJECT REFCOUNT a", 2147483647);
    INT("OBJECT REFCOUNT b", 1);
    INT("OBJECT REFCOUNT c", 1);
    h->settings.maxmemory_policy = POLICY_ALLKEYS_LRU;
    INT("OBJECT REFCOUNT a", 2147483647);
    h->settings.maxmemory = 1 << 30;
    INT("OBJECT REFCOUNT a", 1);
    h->settings.maxmemory_policy = POLICY_ALLKEYS_RANDOM;
    INT("OBJECT REFCOUNT a", 2147483647);
}

Test(generic, object_clock)
{
    OK("SET a 1");
    h->now_ms += 100000;
    INT("OBJECT IDLETIME a", 100);
    ERROR("OBJECT FREQ a",
          "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
          "that when switching between policies at runtime LRU and LFU data will take some time "
          "to adjust.");
    REPLY("OBJECT FREQ nosuch", "$-1\r\n");
    h->settings.maxmemory_policy = POLICY_ALLKEYS_LFU;
    OK("SET b 1");
    REPLY("OBJECT FREQ b", ":5\r\n");
    ERROR("OBJECT IDLETIME b",
          "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
          "switching between policies at runtime LRU and LFU data will take some time to adjust.");
    cr_assert_eq(strncmp(run("OBJECT HELP"), "*11\r\n+OBJECT <subcommand>", 23), 0);
}

Test(generic, memory_usage)
{
    OK("SET a hello");
    const long small = strtol(run("MEMORY-USAGE x a") + 1, NULL, 10);
    cr_assert(small >= 14 && small < 200, "%ld", small);
    char value[5001];
    memset(value, 'v', 5000);
    value[5000] = '\0';
    harness_run(h, "SET", "b", value, NULL);
    const long large = strtol(run("MEMORY-USAGE x b SAMPLES 0") + 1, NULL, 10);
    cr_assert(large >= 5000 && large < 7000, "%ld", large);
    REPLY("MEMORY-USAGE x nosuch", "$-1\r\n");
    ERROR("MEMORY-USAGE x a SAMPLES", "ERR syntax error");
    ERROR("MEMORY-USAGE x a SAMPLES -1", "ERR syntax error");
    ERROR("MEMORY-USAGE x a SAMPLES y", "ERR value is not an integer or out of range");
    ERROR("MEMORY-USAGE x a what 1", "ERR syntax error");
}

Test(generic, debug_object)
{
    OK("SET a hello");
    const char *text = run("DEBUG-OBJECT x a");
    cr_assert(strncmp(text, "+Value at:0x", 12) == 0);
    cr_assert(strstr(text, " refcount:1 encoding:embstr serializedlength:6 lru:"), "%s", text);
    cr_assert(strstr(text, " lru_seconds_idle:0\r\n"), "%s", text);
    ERROR("DEBUG-OBJECT x nosuch", "ERR no such key");
}

Test(generic, debug_digest_value)
{
    /* 20,000 zeroes: the digest that Redis 7.0.15 gave */
    char *value = calloc(1, 20001);
    memset(value, '0', 20000);
    harness_run(h, "SET", "k", value, NULL);
    REPLY("DEBUG-DIGEST-VALUE x k nosuch",
          "*2\r\n+026b2fb76135d2776e57defb2ac762a40da84e73\r\n"
          "+0000000000000000000000000000000000000000\r\n");
    h->call_flags = CALL_PART;
    run("DEBUG-DIGEST-VALUE x k nosuch");
    cr_assert_eq(h->marks_count, 2);
    free(value);
}

/* --- DUMP, RESTORE --- */

static struct slice restore(const char *ttl, const struct serial_payload *p, const char *option,
                            const char *argument)
{
    const struct slice argv[] = {
        slice_str("RESTORE"), slice_str("k"), slice_str(ttl), slice_of(p->payload, p->payload_len),
        slice_str(option ? option : ""), slice_str(argument ? argument : "")};
    events[0] = modified[0] = '\0';
    return harness_run_argv(h, argv, option ? (argument ? 6 : 5) : 4);
}

#define RESTORE(expected, ...) cr_assert_str_eq(restore(__VA_ARGS__).ptr, expected)

Test(generic, dump_and_restore)
{
    for (int i = 0; i < SERIAL_PAYLOADS; i++) {
        const struct serial_payload *p = &serial_payloads[i];
        RESTORE("+OK\r\n", "0", p, "REPLACE", NULL);
        const struct slice argv[] = {slice_str("DUMP"), slice_str("k")};
        const struct slice dump = harness_run_argv(h, argv, 2);
        const char *body = strstr(dump.ptr, "\r\n") + 2;
        cr_assert_eq(strtoul(dump.ptr + 1, NULL, 10), p->payload_len);
        cr_assert_eq(memcmp(body, p->payload, p->payload_len), 0);
    }
    REPLY("DUMP nosuch", "$-1\r\n");
}

Test(generic, restore_options)
{
    const struct serial_payload *a = &serial_payloads[1]; /* "a" */
    RESTORE("+OK\r\n", "100", a, NULL, NULL);
    EVENTS("new:k@0 restore:k@0");
    MODIFIED("k@0");
    cr_assert_eq(h->dirty, 1);
    REPLY("GET k", "$1\r\na\r\n");
    REPLY("OBJECT ENCODING k", "$6\r\nembstr\r\n");
    INT("PTTL k", 100);
    RESTORE("-BUSYKEY Target key name already exists.\r\n", "x", a, NULL, NULL);
    RESTORE("+OK\r\n", "1700000000500", a, "replace", "absttl");
    INT("PTTL k", 500);
    RESTORE("+OK\r\n", "0", a, "REPLACE", NULL);
    INT("PTTL k", -1);
    ONCE("DEL k", ":1\r\n");
    RESTORE("+OK\r\n", "0", a, "IDLETIME", "70");
    INT("OBJECT IDLETIME k", 70);
    h->settings.maxmemory_policy = POLICY_ALLKEYS_LFU;
    ONCE("DEL k", ":1\r\n");
    RESTORE("+OK\r\n", "0", a, "FREQ", "255");
    INT("OBJECT FREQ k", 255);
}

Test(generic, restore_in_the_past)
{
    const struct serial_payload *a = &serial_payloads[1];
    RESTORE("+OK\r\n", "1000", a, "ABSTTL", NULL);
    EVENTS("");
    cr_assert_eq(h->dirty, 0);
    INT("EXISTS k", 0);
    OK("SET k v");
    RESTORE("+OK\r\n", "1000", a, "ABSTTL", "REPLACE");
    EVENTS("del:k@0");
    MODIFIED("k@0");
    INT("EXISTS k", 0);
}

Test(generic, restore_errors)
{
    const struct serial_payload *a = &serial_payloads[1];
    RESTORE("-ERR Invalid TTL value, must be >= 0\r\n", "-1", a, NULL, NULL);
    RESTORE("-ERR value is not an integer or out of range\r\n", "x", a, NULL, NULL);
    RESTORE("-ERR syntax error\r\n", "x", a, "what", NULL);
    RESTORE("-ERR syntax error\r\n", "0", a, "IDLETIME", NULL);
    RESTORE("-ERR Invalid IDLETIME value, must be >= 0\r\n", "0", a, "IDLETIME", "-1");
    RESTORE("-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n", "0", a, "FREQ", "256");
    ERROR("RESTORE k 0 x", "ERR DUMP payload version or checksum are wrong");
    ERROR("RESTORE k 0 x IDLETIME 1 FREQ 1", "ERR syntax error");
    struct serial_payload bad = *a;
    bad.payload_len--;
    RESTORE("-ERR DUMP payload version or checksum are wrong\r\n", "0", &bad, NULL, NULL);
    /* a type that no version knows, with a good footer */
    static const char value[] = "\xfe\1\1a\x0a\0";
    char payload[14];
    memcpy(payload, value, 6);
    const uint64_t crc = crc64_update(0, payload, 6);
    memcpy(payload + 6, &crc, 8);
    bad = (struct serial_payload){.payload = payload, .payload_len = sizeof payload};
    OK("SET k v");
    RESTORE("-ERR Bad data format\r\n", "0", &bad, "REPLACE", NULL);
    REPLY("GET k", "$1\r\nv\r\n"); /* still there */
}

/* --- rows --- */

Test(generic, rows_are_complete)
{
    for (const struct command *cmd = generic_commands; cmd->name; cmd++) {
        cr_assert(cmd->arity != 0 && cmd->group && cmd->since && cmd->summary && cmd->complexity);
        cr_assert((cmd->run != NULL) != (cmd->subcommands != NULL));
        cr_assert(cmd->subcommands || cmd->route != ROUTE_KEYS ||
                  cmd->keys[0].begin != KEY_BEGIN_NONE, "%s", cmd->name);
        for (const struct command *other = generic_commands; other != cmd; other++) {
            cr_assert(strcmp(other->name, cmd->name) != 0, "%s twice", cmd->name);
        }
    }
}
