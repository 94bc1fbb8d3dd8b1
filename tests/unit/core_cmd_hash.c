/* core_cmd_hash.c - the hash commands, reply by reply as Redis gives them. Random ones are compared
 * by differential/hashes.py; here stand events, changes, and what Redis 7.0 does not have yet. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(hash_commands, string_commands, generic_commands)

static struct harness *h;
static char events[1024]; /* "hset h|hdel h|" */

static void note_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    size_t at = strlen(events);
    snprintf(events + at, sizeof events - at, "%s %.*s|", event, (int)key.len, key.ptr);
}

static void setup(void)
{
    h = harness_new();
    h->settings.notify_keyspace_events = ~(EVENT_NEW | EVENT_KEY_MISS);
    h->ks->hooks.event = note_event;
}

static void teardown(void)
{
    harness_free(h);
}

TestSuite(cmd_hash, .init = setup, .fini = teardown);

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NO_FIELDS "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n"
#define NO_MATCH "-ERR The `numfields` parameter must match the number of arguments\r\n"

static void expect_line(const char *line, const char *reply, uint64_t dirty, const char *posted,
                        int at)
{
    events[0] = '\0';
    const char *got = harness_line(h, line);
    cr_expect_str_eq(got, reply, "line %d: %s replied %s", at, line, got);
    cr_expect_eq(h->dirty, dirty, "line %d: %s made %lu changes", at, line, h->dirty);
    cr_expect_str_eq(events, posted, "line %d: %s posted %s", at, line, events);
}
#define READS(line, reply) expect_line(line, reply, 0, "", __LINE__)
#define WRITES(line, reply, dirty, posted) expect_line(line, reply, dirty, posted, __LINE__)
#define ENCODING(key, name) \
    cr_expect(strstr(harness_line(h, "OBJECT ENCODING " key), name), "line %d: not " name, __LINE__)

Test(cmd_hash, sets_and_deletes)
{
    WRITES("HSET h a 1 b 2", ":2\r\n", 2, "hset h|");
    WRITES("HSET h a 3 c 4", ":1\r\n", 2, "hset h|");
    WRITES("HMSET h a 5", "+OK\r\n", 1, "hset h|");
    WRITES("HSETNX h a 6", ":0\r\n", 0, "");
    WRITES("HSETNX h d 6", ":1\r\n", 1, "hset h|");
    READS("HGETALL h", "*8\r\n$1\r\na\r\n$1\r\n5\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\nc\r\n$1\r\n4\r\n"
                       "$1\r\nd\r\n$1\r\n6\r\n");
    READS("HMGET h a x d", "*3\r\n$1\r\n5\r\n$-1\r\n$1\r\n6\r\n");
    READS("HLEN h", ":4\r\n");
    WRITES("HDEL h a x b", ":2\r\n", 2, "hdel h|");
    WRITES("HDEL h c d", ":2\r\n", 2, "hdel h|del h|");
    READS("EXISTS h", ":0\r\n");
    WRITES("HDEL h c", ":0\r\n", 0, "");
    READS("HGETALL h", "*0\r\n");
    READS("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command\r\n");
    h->resp = 3;
    READS("HGETALL h", "%0\r\n");
    READS("HGET h a", "_\r\n");
    READS("HRANDFIELD h", "_\r\n");
}

Test(cmd_hash, wrong_type)
{
    harness_line(h, "SET s v");
    static const char *const lines[] = {
        "HSET s a 1", "HGET s a", "HGETALL s", "HDEL s a", "HSCAN s 0", "HRANDFIELD s",
        "HINCRBY s a 1", "HEXPIRE s 1 FIELDS 1 a", "HTTL s FIELDS 1 a", "HPERSIST s FIELDS 1 a",
        "HGETDEL s FIELDS 1 a", "HGETEX s FIELDS 1 a", "HSETEX s FIELDS 1 a v",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        READS(lines[i], WRONG_TYPE);
    }
}

Test(cmd_hash, counts)
{
    WRITES("HINCRBY h n 5", ":5\r\n", 1, "hincrby h|");
    WRITES("HINCRBY h n -7", ":-2\r\n", 1, "hincrby h|");
    WRITES("HINCRBYFLOAT h f 10.5", "$4\r\n10.5\r\n", 1, "hincrbyfloat h|");
    WRITES("HINCRBYFLOAT h f 0.1", "$4\r\n10.6\r\n", 1, "hincrbyfloat h|");
    READS("HINCRBYFLOAT h f nan", "-ERR value is not a valid float\r\n");
    READS("HINCRBY h f 1", "-ERR hash value is not an integer\r\n");
    READS("HINCRBY h n x", "-ERR value is not an integer or out of range\r\n");
}

/* Runs a scan to its end; returns how many elements it replied. */
static int scan_all(const char *options)
{
    char line[128], cursor[32] = "0";
    int elements = 0, steps = 0;
    do {
        snprintf(line, sizeof line, "HSCAN h %s %s", cursor, options);
        const char *reply = harness_line(h, line);
        int count, at;
        cr_assert_eq(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]\r\n*%d%n", cursor, &count, &at), 2,
                     "%s", reply);
        elements += count;
        cr_assert_lt(steps++, 10000);
    } while (strcmp(cursor, "0") != 0);
    return elements;
}

Test(cmd_hash, scans)
{
    char line[64];
    READS("HSCAN h 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    READS("HSCAN h x", "-ERR invalid cursor\r\n");
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "HSET h field:%d %d", i, i);
        harness_line(h, line);
    }
    ENCODING("h", "hashtable");
    cr_expect_eq(scan_all(""), 2000);
    cr_expect_eq(scan_all("NOVALUES"), 1000);
    cr_expect_eq(scan_all("COUNT 3 MATCH field:99*"), 22);
    cr_expect_eq(scan_all("COUNT 100000"), 2000);
}

Test(cmd_hash, draws)
{
    char line[64];
    harness_line(h, "HSET h a 1 b 2 c 3");
    READS("HRANDFIELD h 0", "*0\r\n");
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h 2"), "*2\r\n", 4) == 0);
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h 9 WITHVALUES"), "*6\r\n", 4) == 0);
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h -9"), "*9\r\n", 4) == 0);
    READS("HRANDFIELD h 1 WITHVALUE", "-ERR syntax error\r\n");
    READS("HRANDFIELD h 9223372036854775807 WITHVALUES", "-ERR value is out of range\r\n");
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "HSET h field:%d %d", i, i);
        harness_line(h, line);
    }
    h->resp = 3;
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h 20 WITHVALUES"), "*20\r\n*2\r\n", 9) == 0);
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h 900"), "*900\r\n", 6) == 0);
    cr_expect(strncmp(harness_line(h, "HRANDFIELD h -2000"), "*2000\r\n", 7) == 0);
}

/* --- fields that expire --- */

static void check_expiry(void)
{
    WRITES("HEXPIRE h 10 FIELDS 2 a x", "*2\r\n:1\r\n:-2\r\n", 1, "hexpire h|");
    READS("HTTL h FIELDS 3 a b x", "*3\r\n:10\r\n:-1\r\n:-2\r\n");
    READS("HPTTL h FIELDS 1 a", "*1\r\n:10000\r\n");
    READS("HEXPIRETIME h FIELDS 1 a", "*1\r\n:1700000010\r\n");
    READS("HPEXPIRETIME h FIELDS 1 a", "*1\r\n:1700000010000\r\n");
    READS("HEXPIRE h 20 NX FIELDS 1 a", "*1\r\n:0\r\n");
    READS("HEXPIRE h 20 XX FIELDS 1 b", "*1\r\n:0\r\n");
    READS("HEXPIRE h 20 GT FIELDS 1 b", "*1\r\n:0\r\n");
    READS("HEXPIRE h 5 GT FIELDS 1 a", "*1\r\n:0\r\n");
    READS("HEXPIRE h 10 LT FIELDS 1 a", "*1\r\n:0\r\n");
    WRITES("HPEXPIREAT h 1700000005000 LT FIELDS 2 a b", "*2\r\n:1\r\n:1\r\n", 2, "hexpire h|");
    WRITES("HPERSIST h FIELDS 3 b c x", "*3\r\n:1\r\n:-1\r\n:-2\r\n", 1, "hpersist h|");
    WRITES("HEXPIREAT h 1600000000 FIELDS 1 b", "*1\r\n:2\r\n", 1, "hdel h|");

    h->now_ms += 5000; /* not yet */
    READS("HGET h a", "$1\r\n1\r\n");
    h->now_ms += 1;
    READS("HGET h a", "$-1\r\n");
    READS("HEXISTS h a", ":0\r\n");
    READS("HSTRLEN h a", ":0\r\n");
    READS("HMGET h a c", "*2\r\n$-1\r\n$1\r\n3\r\n");
    READS("HGETALL h", "*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    READS("HSCAN h 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    READS("HRANDFIELD h 5", "*1\r\n$1\r\nc\r\n");
    READS("HTTL h FIELDS 1 a", "*1\r\n:-2\r\n");
    READS("HLEN h", ":2\r\n"); /* as in Redis: what has not been deleted yet counts */
    WRITES("HSET h a 9", ":1\r\n", 1, "hexpired h|hset h|");
    READS("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
    READS("HLEN h", ":2\r\n");

    WRITES("HEXPIRE h 1 FIELDS 2 a c", "*2\r\n:1\r\n:1\r\n", 2, "hexpire h|");
    h->now_ms += 2000;
    READS("HGETALL h", "*0\r\n");
    READS("HRANDFIELD h", "$-1\r\n");
    READS("HRANDFIELD h -3", "*0\r\n");
    WRITES("HDEL h a", ":0\r\n", 0, "hexpired h|del h|");
    READS("EXISTS h", ":0\r\n");
}

Test(cmd_hash, fields_expire_in_a_listpack)
{
    harness_line(h, "HSET h a 1 b 2 c 3");
    check_expiry();
}

Test(cmd_hash, listpackex_is_shown)
{
    harness_line(h, "HSET h a 1 b 2");
    harness_line(h, "HEXPIRE h 10 FIELDS 1 a");
    ENCODING("h", "listpackex");
}

Test(cmd_hash, fields_expire_in_a_table)
{
    h->settings.hash_max_listpack_entries = 0;
    harness_line(h, "HSET h a 1 b 2 c 3");
    ENCODING("h", "hashtable");
    check_expiry();
}

Test(cmd_hash, what_keeps_a_fields_expiry)
{
    harness_line(h, "HSET h a 1 b 2");
    harness_line(h, "HEXPIRE h 10 FIELDS 1 a");
    harness_line(h, "HINCRBY h a 1");
    READS("HTTL h FIELDS 1 a", "*1\r\n:10\r\n");
    harness_line(h, "HINCRBYFLOAT h a 1");
    READS("HTTL h FIELDS 1 a", "*1\r\n:10\r\n");
    harness_line(h, "COPY h copy");
    READS("HTTL copy FIELDS 1 a", "*1\r\n:10\r\n");
    harness_line(h, "HSET h a 1");
    READS("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
}

Test(cmd_hash, expire_errors)
{
    harness_line(h, "HSET h a 1");
    READS("HEXPIRE h x FIELDS 1 a", "-ERR value is not an integer or out of range\r\n");
    READS("HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n");
    READS("HPEXPIRE h 70368744177664 FIELDS 1 a",
          "-ERR invalid expire time in 'hpexpire' command\r\n");
    READS("HEXPIRE h 1 FIELD 1 a", NO_FIELDS);
    READS("HEXPIRE h 1 FIELDS 0 a", "-ERR Parameter `numFields` should be greater than 0\r\n");
    READS("HEXPIRE h 1 FIELDS 2 a", NO_MATCH);
    READS("HTTL h FIELDS 0 a", "-ERR Number of fields must be a positive integer\r\n");
    READS("HTTL h FIELDS 2 a", NO_MATCH);
    READS("HPERSIST h 1 a b", NO_FIELDS);
    READS("HEXPIRE nosuch 1 FIELDS 2 a b", "*2\r\n:-2\r\n:-2\r\n");
    READS("HTTL nosuch FIELDS 1 a", "*1\r\n:-2\r\n");
    READS("HPERSIST nosuch FIELDS 1 a", "*1\r\n:-2\r\n");
}

Test(cmd_hash, hgetdel)
{
    harness_line(h, "HSET h a 1 b 2");
    WRITES("HGETDEL h FIELDS 2 a x", "*2\r\n$1\r\n1\r\n$-1\r\n", 1, "hdel h|");
    WRITES("HGETDEL h FIELDS 2 b b", "*2\r\n$1\r\n2\r\n$-1\r\n", 1, "hdel h|del h|");
    READS("HGETDEL h FIELDS 1 b", "*1\r\n$-1\r\n");
    READS("HGETDEL h FIELDS 2 b", NO_MATCH);
}

Test(cmd_hash, hgetex)
{
    harness_line(h, "HSET h a 1 b 2");
    READS("HGETEX h FIELDS 2 a x", "*2\r\n$1\r\n1\r\n$-1\r\n");
    WRITES("HGETEX h EX 10 FIELDS 2 a x", "*2\r\n$1\r\n1\r\n$-1\r\n", 1, "hexpire h|");
    READS("HTTL h FIELDS 2 a b", "*2\r\n:10\r\n:-1\r\n");
    WRITES("HGETEX h PERSIST FIELDS 1 a", "*1\r\n$1\r\n1\r\n", 1, "hpersist h|");
    WRITES("HGETEX h PXAT 5 FIELDS 2 a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n", 2, "hdel h|del h|");
    READS("HGETEX h EX FIELDS 1 a", "-ERR value is not an integer or out of range\r\n");
    READS("HGETEX h NX FIELDS 1 a", NO_FIELDS);
}

Test(cmd_hash, hsetex)
{
    WRITES("HSETEX h EX 10 FIELDS 2 a 1 b 2", ":1\r\n", 2, "hset h|hexpire h|");
    READS("HTTL h FIELDS 2 a b", "*2\r\n:10\r\n:10\r\n");
    READS("HSETEX h FNX FIELDS 2 c 1 a 2", ":0\r\n");
    READS("HSETEX h FXX FIELDS 2 c 1 a 2", ":0\r\n");
    WRITES("HSETEX h KEEPTTL FXX FIELDS 1 a 5", ":1\r\n", 1, "hset h|");
    READS("HTTL h FIELDS 1 a", "*1\r\n:10\r\n");
    WRITES("HSETEX h FIELDS 1 a 5", ":1\r\n", 1, "hset h|");
    READS("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
    WRITES("HSETEX h PXAT 1 FIELDS 2 a 5 b 6", ":1\r\n", 2, "hset h|hdel h|del h|");
    READS("EXISTS h", ":0\r\n");
    READS("HSETEX h FXX FIELDS 1 a 1", ":0\r\n");
    READS("HSETEX h EX 1 PX 1 FIELDS 1 a 1",
          "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n");
    READS("HSETEX h FXX FNX FIELDS 1 a 1",
          "-ERR Only one of FXX or FNX arguments can be specified\r\n");
    READS("HSETEX h Q FIELDS 1 a 1", "-ERR unknown argument: Q\r\n");
    READS("HSETEX h FIELDS 2 a 1", "-ERR wrong number of arguments for 'hsetex' command\r\n");
    READS("HSETEX h FIELDS 0 a 1", "-ERR invalid number of fields\r\n");
}

/* A replica shows no expired field, and deletes none: its master does. */
Test(cmd_hash, replicas_keep_expired_fields)
{
    harness_line(h, "HSET h a 1 b 2");
    harness_line(h, "HEXPIRE h 1 FIELDS 1 a");
    h->now_ms += 2000;
    h->ks->keep_expired = true;
    READS("HGET h a", "$-1\r\n");
    READS("HLEN h", ":2\r\n");
    h->call_flags = CALL_FROM_MASTER;
    WRITES("HINCRBY h a 1", ":2\r\n", 1, "hincrby h|");
    WRITES("HDEL h a", ":1\r\n", 1, "hdel h|");
}

/* --- DUMP and RESTORE --- */

static void round_trip(const char *encoding)
{
    char payload[65536];
    struct slice argv[4] = {slice_str("DUMP"), slice_str("h")};
    struct slice dumped = harness_run_argv(h, argv, 2);
    const char *body = strchr(dumped.ptr, '\n') + 1;
    const size_t len = (size_t)atol(dumped.ptr + 1);
    cr_assert_lt(len, sizeof payload);
    memcpy(payload, body, len);
    argv[0] = slice_str("RESTORE");
    argv[1] = slice_str("copy");
    argv[2] = slice_str("0");
    argv[3] = slice_of(payload, len);
    cr_assert_str_eq(harness_run_argv(h, argv, 4).ptr, "+OK\r\n");
    ENCODING("copy", "listpack"); /* listpack or listpackex, when it is small */
    cr_expect(strstr(harness_line(h, "OBJECT ENCODING copy"), encoding));
    for (size_t at = 0; at < len; at++) { /* cut short, or changed: refused without harm */
        argv[3] = slice_of(payload, at);
        cr_assert_eq(harness_run_argv(h, argv, 4).ptr[0], '-');
    }
}

Test(cmd_hash, dump_and_restore)
{
    harness_line(h, "HSET h a 1 b 2 c three");
    round_trip("listpack\r\n");
    READS("HMGET copy a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$5\r\nthree\r\n");
}

Test(cmd_hash, dump_and_restore_with_expiries)
{
    harness_line(h, "HSET h a 1 b 2 c three");
    harness_line(h, "HPEXPIRE h 5000 FIELDS 2 a c");
    round_trip("listpackex\r\n");
    READS("HPTTL copy FIELDS 3 a b c", "*3\r\n:5000\r\n:-1\r\n:5000\r\n");
}

Test(cmd_hash, dump_and_restore_of_a_table_with_expiries)
{
    h->settings.hash_max_listpack_entries = 0;
    harness_line(h, "HSET h a 1 b 2 c three");
    harness_line(h, "HPEXPIRE h 5000 FIELDS 2 a c");
    h->settings.hash_max_listpack_entries = 128;
    ENCODING("h", "hashtable");
    round_trip("listpackex\r\n");
    READS("HPTTL copy FIELDS 3 a b c", "*3\r\n:5000\r\n:-1\r\n:5000\r\n");
}

/* --- the active cycle --- */

/* One round, in slices; deadline 0: each as short as can be. */
static int expire_all(int64_t now_ms, uint64_t deadline_ns)
{
    const struct keyspace_background b = {.now_ms = now_ms, .deadline_ns = deadline_ns};
    int slices = 0;
    do {
        keyspace_expire_slice(h->ks, &b);
        cr_assert_lt(++slices, 100000);
    } while (h->ks->expire_.in_round);
    return slices;
}

Test(cmd_hash, fields_expire_in_the_background)
{
    harness_line(h, "HSET h a 1 b 2 c 3");
    harness_line(h, "HPEXPIRE h 100 FIELDS 2 a b");
    cr_assert_eq(keyspace_expire_next_ms(h->ks), h->now_ms + 100);
    events[0] = '\0';
    expire_all(h->now_ms + 100, UINT64_MAX);
    cr_expect_str_eq(events, "", "not before their time");
    expire_all(h->now_ms + 101, UINT64_MAX);
    cr_expect_str_eq(events, "hexpired h|");
    cr_expect_eq(h->ks->stats.expired_fields, 2);
    READS("HLEN h", ":1\r\n");
    cr_expect_eq(keyspace_expire_next_ms(h->ks), INT64_MAX, "nothing is left to wait for");

    harness_line(h, "HPEXPIRE h 100 FIELDS 1 c");
    events[0] = '\0';
    expire_all(h->now_ms + 102, UINT64_MAX);
    cr_expect_str_eq(events, "hexpired h|del h|");
    READS("DBSIZE", ":0\r\n");
    cr_expect_eq(h->ks->stats.expired, 0, "the key itself has not expired");
}

Test(cmd_hash, a_large_hash_expires_in_slices)
{
    char line[128];
    enum { N = 20000 };
    harness_line(h, "SET {h}stays v");
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof line, "HSETEX {h} PX %d FIELDS 1 f%d v", i % 10 ? 100 : 100000, i);
        harness_line(h, line);
    }
    const int slices = expire_all(h->now_ms + 101, 0);
    cr_expect_gt(slices, 20);
    cr_expect_eq(h->ks->stats.expired_fields, N - N / 10);
    READS("HLEN {h}", ":2000\r\n");
    expire_all(h->now_ms + 100001, 0);
    READS("EXISTS {h} {h}stays", ":1\r\n");
    cr_expect_eq(keyspace_expire_next_ms(h->ks), INT64_MAX);
}

/* However a hash with such fields comes into being, the cycle learns of it. */
Test(cmd_hash, the_cycle_finds_every_hash)
{
    harness_line(h, "HSET h a 1");
    harness_line(h, "HPEXPIRE h 100 FIELDS 1 a");
    harness_line(h, "COPY h copied");
    harness_line(h, "COPY h h DB 3");
    harness_line(h, "RENAME h renamed");
    harness_line(h, "HSET plain a 1");
    harness_line(h, "HSETEX later PX 5000 FIELDS 1 a 1");
    harness_line(h, "EXPIRE later 1");
    harness_line(h, "PERSIST later");
    READS("DBSIZE", ":4\r\n");
    expire_all(h->now_ms + 101, UINT64_MAX);
    READS("DBSIZE", ":2\r\n");
    cr_expect_eq(keyspace_size(h->ks, 3), 0);
    expire_all(h->now_ms + 5001, UINT64_MAX);
    READS("DBSIZE", ":1\r\n");

    h->settings.active_expire = false; /* by access only */
    harness_line(h, "HSETEX h PX 100 FIELDS 1 a 1");
    const struct keyspace_background b = {.now_ms = h->now_ms + 101, .deadline_ns = UINT64_MAX};
    cr_expect_eq(keyspace_expire_slice(h->ks, &b), 0);
    h->settings.active_expire = true;
    h->ks->keep_expired = true; /* a replica */
    cr_expect_eq(keyspace_expire_slice(h->ks, &b), 0);
    h->ks->keep_expired = false;
    cr_expect_eq(keyspace_expire_slice(h->ks, &b), 1);
}
