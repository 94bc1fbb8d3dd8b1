/* core_cmd_string.c - the string commands, reply by reply as Redis gives them. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(string_commands)

/* Address sanitizer: too much memory is to be refused, as malloc does, not reported. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct harness *h;
static char events[1024]; /* "set k|expire k|" */

static void note_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    size_t at = strlen(events);
    snprintf(events + at, sizeof events - at, "%s %.*s|", event, (int)key.len, key.ptr);
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

TestSuite(string, .init = setup, .fini = teardown);

#define SYNTAX "-ERR syntax error\r\n"
#define NOT_INT "-ERR value is not an integer or out of range\r\n"
#define NOT_FLOAT "-ERR value is not a valid float\r\n"
#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define TOO_LONG "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
#define NO_MEMORY "-OOM not enough memory for a string of that size\r\n"
#define BAD_EXPIRE(name) "-ERR invalid expire time in '" name "' command\r\n"
#define NIL "$-1\r\n"

/* Runs a line ("SET k v") and compares reply, changes and events. */
static void expect_line(const char *line, const char *reply, uint64_t dirty, const char *posted,
                        int at)
{
    events[0] = '\0';
    const char *got = harness_line(h, line);
    cr_expect_str_eq(got, reply, "line %d: %s replied %s", at, line, got);
    cr_expect_eq(h->dirty, dirty, "line %d: %s made %lu changes", at, line, h->dirty);
    if (posted) {
        cr_expect_str_eq(events, posted, "line %d: %s posted %s", at, line, events);
    }
}
#define READS(line, reply) expect_line(line, reply, 0, NULL, __LINE__)
#define WRITES(line, reply, dirty, posted) expect_line(line, reply, dirty, posted, __LINE__)

static struct entry *peek(const char *name)
{
    struct call c = {.ks = h->ks, .db = h->db, .now_ms = h->now_ms};
    struct key k = call_key(&c, name, strlen(name));
    return key_peek(&c, &k);
}

/* Milliseconds to live, -1 without expiry. */
static int64_t ttl(const char *name)
{
    int64_t at = entry_expiry_ms(peek(name));
    return at < 0 ? at : at - h->now_ms;
}

/* A key of another type: an empty object will do, no command may look into it. */
static void make_list(const char *name)
{
    struct call c = {.ks = h->ks, .db = h->db, .now_ms = h->now_ms};
    struct key k = call_key(&c, name, strlen(name));
    struct entry *e = key_set_string(&c, &k, key_peek(&c, &k), slice_str("stands in"), false);
    e->type = TYPE_LIST;
}

Test(string, get_and_set)
{
    READS("GET k", NIL);
    WRITES("SET k hello", "+OK\r\n", 1, "new k|set k|");
    READS("GET k", "$5\r\nhello\r\n");
    WRITES("SET k 12345", "+OK\r\n", 1, "set k|");
    READS("GET k", "$5\r\n12345\r\n");
    cr_assert_eq(peek("k")->encoding, ENC_INT);
    READS("STRLEN k", ":5\r\n");
    READS("STRLEN none", ":0\r\n");
    READS("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    h->resp = 3;
    READS("GET none", "_\r\n");
}

Test(string, empty_and_binary_values)
{
    struct slice set[] = {{"SET", 3}, {"\0k", 2}, {"a\0\r\nb", 5}};
    struct slice get[] = {{"GET", 3}, {"\0k", 2}};
    harness_run_argv(h, set, 3);
    cr_assert(slice_equal(harness_run_argv(h, get, 2), slice_of("$5\r\na\0\r\nb\r\n", 11)));
    cr_assert_str_eq(harness_run(h, "SET", "e", "", NULL), "+OK\r\n");
    cr_assert_str_eq(harness_run(h, "GET", "e", NULL), "$0\r\n\r\n");
}

Test(string, wrong_type)
{
    make_list("l");
    READS("GET l", WRONG_TYPE);
    READS("GETDEL l", WRONG_TYPE);
    READS("GETEX l EX 10", WRONG_TYPE);
    READS("GETEX l EX 0", WRONG_TYPE);
    READS("GETSET l v", WRONG_TYPE);
    READS("SET l v GET", WRONG_TYPE);
    READS("SET l v NX GET", WRONG_TYPE);
    READS("SET l v NX", NIL);
    READS("APPEND l v", WRONG_TYPE);
    READS("SETRANGE l 0 v", WRONG_TYPE);
    READS("GETRANGE l 0 1", WRONG_TYPE);
    READS("STRLEN l", WRONG_TYPE);
    READS("INCR l", WRONG_TYPE);
    READS("INCRBYFLOAT l x", WRONG_TYPE);
    READS("MGET l", "*1\r\n" NIL);
    READS("LCS l k NONSENSE", "-ERR The specified keys must contain string values\r\n");
    WRITES("MSET l v", "+OK\r\n", 1, "set l|");
    READS("GET l", "$1\r\nv\r\n");
}

Test(string, set_conditions)
{
    WRITES("SET k v XX", NIL, 0, "");
    WRITES("SET k v NX", "+OK\r\n", 1, "new k|set k|");
    WRITES("SET k w NX", NIL, 0, "");
    WRITES("set k w xx", "+OK\r\n", 1, "set k|");
    WRITES("SET k x NX GET", "$1\r\nw\r\n", 0, "");
    WRITES("SET k x GET XX", "$1\r\nw\r\n", 1, "set k|");
    WRITES("SET m x XX GET", NIL, 0, "keymiss m|");
    WRITES("SET m x GET", NIL, 1, "keymiss m|new m|set m|");
    WRITES("SET k y GET GET", "$1\r\nx\r\n", 1, "set k|");
    READS("SET k v NX XX", SYNTAX);
    READS("SET k v XX NX", SYNTAX);
    READS("SET k v NY", SYNTAX);
    READS("SET k v PERSIST", SYNTAX);
}

Test(string, set_expiry)
{
    WRITES("SET k v EX 10", "+OK\r\n", 1, "new k|set k|expire k|");
    cr_assert_eq(ttl("k"), 10000);
    WRITES("SET k v PX 1500", "+OK\r\n", 1, "set k|expire k|");
    cr_assert_eq(ttl("k"), 1500);
}

Test(string, set_expiry_of_all_kinds)
{
    harness_line(h, "SET k v px 1500");
    cr_assert_eq(ttl("k"), 1500);
    harness_line(h, "SET k longer-value KEEPTTL");
    cr_assert_eq(ttl("k"), 1500);
    harness_line(h, "SET k v");
    cr_assert_eq(ttl("k"), -1);
    harness_line(h, "SET k v EXAT 1700000005");
    cr_assert_eq(ttl("k"), 5000);
    harness_line(h, "SET k v PXAT 1700000000007");
    cr_assert_eq(ttl("k"), 7);
    harness_line(h, "SET k v EX 1 EX 2");
    cr_assert_eq(ttl("k"), 2000);
    h->now_ms += 2001;
    READS("GET k", NIL);
    WRITES("SET past v PXAT 1", "+OK\r\n", 1, NULL);
    READS("GET past", NIL);
}

Test(string, set_expiry_refused)
{
    READS("SET k v EX", SYNTAX);
    READS("SET k v EX 1 PX 1", SYNTAX);
    READS("SET k v EX 1 KEEPTTL", SYNTAX);
    READS("SET k v KEEPTTL PXAT 1", SYNTAX);
    READS("SET k v EX x", NOT_INT);
    READS("SET k v EX 0", BAD_EXPIRE("set"));
    READS("SET k v PX -1", BAD_EXPIRE("set"));
    READS("SET k v EX 9223372036854775807", BAD_EXPIRE("set"));
    READS("SET k v PX 9223372036854775807", BAD_EXPIRE("set"));
    READS("SET k v EX 9223372036854775", BAD_EXPIRE("set"));
    READS("SET k v EX 0 XX", BAD_EXPIRE("set"));
    READS("SETEX k 0 v", BAD_EXPIRE("setex"));
    READS("SETEX k x v", NOT_INT);
    READS("PSETEX k -5 v", BAD_EXPIRE("psetex"));
    READS("GET k", NIL);
}

Test(string, kin_of_set)
{
    WRITES("SETNX k v", ":1\r\n", 1, "new k|set k|");
    WRITES("SETNX k w", ":0\r\n", 0, "");
    WRITES("SETEX k 3 x", "+OK\r\n", 1, "set k|expire k|");
    cr_assert_eq(ttl("k"), 3000);
    WRITES("PSETEX k 3 y", "+OK\r\n", 1, "set k|expire k|");
    cr_assert_eq(ttl("k"), 3);
    WRITES("GETSET k z", "$1\r\ny\r\n", 1, "set k|");
    cr_assert_eq(ttl("k"), -1);
    WRITES("GETSET n z", NIL, 1, "keymiss n|new n|set n|");
    WRITES("GETDEL k", "$1\r\nz\r\n", 1, "del k|");
    WRITES("GETDEL k", NIL, 0, "keymiss k|");
    cr_assert_null(peek("k"));
}

Test(string, getex)
{
    harness_line(h, "SET k v");
    WRITES("GETEX k", "$1\r\nv\r\n", 0, "");
    WRITES("GETEX k PERSIST", "$1\r\nv\r\n", 0, "");
    WRITES("GETEX k EX 10", "$1\r\nv\r\n", 1, "expire k|");
    cr_assert_eq(ttl("k"), 10000);
    WRITES("GETEX k", "$1\r\nv\r\n", 0, "");
    cr_assert_eq(ttl("k"), 10000);
    WRITES("GETEX k PXAT 1700000000500", "$1\r\nv\r\n", 1, "expire k|");
    cr_assert_eq(ttl("k"), 500);
    WRITES("GETEX k PERSIST", "$1\r\nv\r\n", 1, "persist k|");
    cr_assert_eq(ttl("k"), -1);
    READS("GETEX none EX 0", NIL);
    READS("GETEX k EX 0", BAD_EXPIRE("getex"));
    READS("GETEX k KEEPTTL", SYNTAX);
    READS("GETEX k NX", SYNTAX);
    READS("GETEX k GET", SYNTAX);
    READS("GETEX k PERSIST EX 1", SYNTAX);
    READS("GETEX k EX 1 PERSIST", SYNTAX);
    READS("GETEX none PX", SYNTAX);
    WRITES("GETEX k EXAT 1", "$1\r\nv\r\n", 1, "del k|");
    cr_assert_null(peek("k"));
}

Test(string, several_keys)
{
    WRITES("MSET a 1 b two", "+OK\r\n", 2, "new a|set a|new b|set b|");
    READS("MGET a none b a", "*4\r\n$1\r\n1\r\n" NIL "$3\r\ntwo\r\n$1\r\n1\r\n");
    WRITES("MSET a 1 a 2", "+OK\r\n", 2, "set a|set a|");
    READS("GET a", "$1\r\n2\r\n");
    READS("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    READS("MSETNX c 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n");
    WRITES("MSETNX c 1 a 2", ":0\r\n", 0, "");
    READS("GET c", NIL);
    WRITES("MSETNX c 1 d 2 c 3", ":1\r\n", 3, "new c|set c|new d|set d|set c|");
    READS("MGET c d", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n");
}

Test(string, parts_of_several_keys)
{
    harness_line(h, "MSET a 1 b two");
    h->call_flags = CALL_PART;
    READS("MGET a none b", "$1\r\n1\r\n" NIL "$3\r\ntwo\r\n");
    cr_assert_eq(h->marks_count, 3);
    cr_assert_eq(h->marks[0], 7);
    cr_assert_eq(h->marks[1], 5);
    cr_assert_eq(h->marks[2], 9);

    /* a part has some of the keys only */
    struct slice argv[] = {slice_str("MSET"), slice_str("a"), slice_str("x"),
                           slice_str("b"),    slice_str("y")};
    const struct command *mset = harness_find(argv[0], NULL);
    struct reply out;
    struct call c = {.command = mset, .ks = h->ks, .argv = argv, .argc = 5,
                     .flags = CALL_PART, .out = &out, .now_ms = h->now_ms};
    struct key k = call_key(&c, "b", 1);
    k.arg = 3;
    c.keys = &k;
    c.nkeys = 1;
    reply_init(&out, 2);
    mset->run(&c);
    reply_clear(&out);
    cr_assert_eq(c.dirty, 1);
    h->call_flags = 0;
    READS("MGET a b", "*2\r\n$1\r\n1\r\n$1\r\ny\r\n");
}

Test(string, keys_of_two_shards)
{
    struct keyspace *other = keyspace_new(&h->settings);
    struct keyspace view;
    keyspace_db_prepare(other, 0);
    keyspace_view_init(&view, other);
    struct keyspace *const views[] = {h->ks, &view};

    struct slice argv[] = {slice_str("MSETNX"), slice_str("a"), slice_str("x"),
                           slice_str("b"),      slice_str("y")};
    struct reply out;
    struct call c = {.ks = h->ks, .argv = argv, .argc = 5, .out = &out, .now_ms = h->now_ms,
                     .command = harness_find(argv[0], NULL), .views = views};
    struct key keys[2] = {call_key(&c, "a", 1), call_key(&c, "b", 1)};
    keys[0].arg = 1;
    keys[1].arg = 3;
    keys[1].shard = 1;
    c.keys = keys;
    c.nkeys = 2;
    reply_init(&out, 2);
    c.command->run(&c);
    c.command->run(&c); /* and finds both of them there */
    reply_clear(&out);
    keyspace_view_settle(&view, 0, &keys[1].slot, 1);
    keyspace_view_free(&view);
    cr_assert_eq(c.dirty, 2);
    cr_assert_eq(keyspace_size(h->ks, 0), 1);
    cr_assert_eq(keyspace_size(other, 0), 1);
    keyspace_destroy(other);
}

Test(string, append)
{
    WRITES("APPEND k 10", ":2\r\n", 1, "new k|append k|");
    cr_assert_eq(peek("k")->encoding, ENC_INT);
    WRITES("APPEND k 5", ":3\r\n", 1, "append k|");
    READS("GET k", "$3\r\n105\r\n");
    cr_assert_eq(peek("k")->encoding, ENC_BLOB, "raw from now on");
    WRITES("INCR k", ":106\r\n", 1, "incrby k|");
    cr_assert_eq(peek("k")->encoding, ENC_INT);
}

Test(string, append_keeps_the_expiry_and_takes_amortised_time)
{
    enum { TIMES = 100000 };
    struct blob *last = NULL;
    int moves = 0;
    harness_line(h, "SET k start EX 100");
    for (int i = 0; i < TIMES; i++) {
        harness_run(h, "APPEND", "k", "0123456789", NULL);
        struct blob *b = entry_object(peek("k"));
        moves += b != last;
        last = b;
    }
    cr_assert_eq(last->len, 5 + 10 * TIMES);
    cr_assert_lt(moves, 25);
    cr_assert_eq(ttl("k"), 100000);
}

Test(string, setrange)
{
    WRITES("SETRANGE k 0 hello", ":5\r\n", 1, "new k|setrange k|");
    WRITES("SETRANGE k 1 EL", ":5\r\n", 1, "setrange k|");
    READS("GET k", "$5\r\nhELlo\r\n");
    WRITES("SETRANGE k 4 oooo", ":8\r\n", 1, "setrange k|");
    READS("GET k", "$8\r\nhELloooo\r\n");
    READS("SETRANGE k x v", NOT_INT);
    READS("SETRANGE k -1 v", "-ERR offset is out of range\r\n");
    READS("SETRANGE k 536870912 v", TOO_LONG);
    READS("SETRANGE none 536870911 vv", TOO_LONG);
    READS("SETRANGE k 9223372036854775807 v", TOO_LONG);
    cr_assert_str_eq(harness_run(h, "SETRANGE", "none", "3", "", NULL), ":0\r\n");
    cr_assert_null(peek("none"));
    cr_assert_str_eq(harness_run(h, "SETRANGE", "k", "999999999999", "", NULL), ":8\r\n");

    harness_line(h, "SET n 123 PX 500");
    WRITES("SETRANGE n 5 x", ":6\r\n", 1, "setrange n|");
    struct slice get[] = {{"GET", 3}, {"n", 1}};
    cr_assert(slice_equal(harness_run_argv(h, get, 2), slice_of("$6\r\n123\0\0x\r\n", 12)));
    cr_assert_eq(ttl("n"), 500);
    WRITES("SETRANGE new 2 x", ":3\r\n", 1, "new new|setrange new|");
    get[1] = slice_str("new");
    cr_assert(slice_equal(harness_run_argv(h, get, 2), slice_of("$3\r\n\0\0x\r\n", 9)));
}

Test(string, a_gap_in_old_room_is_zeroed)
{
    harness_run(h, "APPEND", "k", "start-of-a-string", NULL);
    harness_run(h, "APPEND", "k", "and some more so that there is room", NULL);
    struct blob *b = entry_object(peek("k"));
    memset(b->data + b->len, 'x', b->cap - b->len);
    size_t len = b->len;
    char offset[24];
    snprintf(offset, sizeof offset, "%zu", len + 4);
    harness_run(h, "SETRANGE", "k", offset, "end", NULL);
    b = entry_object(peek("k"));
    cr_assert_eq(b->len, len + 7);
    cr_assert_eq(memcmp(b->data + len, "\0\0\0\0end", 7), 0);
}

Test(string, no_memory_is_an_error)
{
    h->settings.proto_max_bulk_len = INT64_MAX;
    READS("SETRANGE k 1000000000000000000 v", NO_MEMORY);
    cr_assert_null(peek("k"));
    harness_line(h, "SET k v");
    READS("SETRANGE k 1000000000000000000 v", NO_MEMORY);
    READS("GET k", "$1\r\nv\r\n");
    harness_line(h, "APPEND k w");
    READS("SETRANGE k 1000000000000000000 v", NO_MEMORY);
    READS("GET k", "$2\r\nvw\r\n");
}

Test(string, getrange)
{
    harness_run(h, "SET", "k", "This is a string", NULL);
    READS("GETRANGE k 0 3", "$4\r\nThis\r\n");
    READS("GETRANGE k -3 -1", "$3\r\ning\r\n");
    READS("SUBSTR k 0 -1", "$16\r\nThis is a string\r\n");
    READS("GETRANGE k 10 100", "$6\r\nstring\r\n");
    READS("GETRANGE k -100 1", "$2\r\nTh\r\n");
    READS("GETRANGE k 5 3", "$0\r\n\r\n");
    READS("GETRANGE k -1 -3", "$0\r\n\r\n");
    READS("GETRANGE k -100 -90", "$1\r\nT\r\n");
    READS("GETRANGE k 20 30", "$0\r\n\r\n");
    READS("GETRANGE k 0 9223372036854775807", "$16\r\nThis is a string\r\n");
    READS("GETRANGE k -9223372036854775808 0", "$1\r\nT\r\n");
    READS("GETRANGE none 0 -1", "$0\r\n\r\n");
    READS("GETRANGE k x 1", NOT_INT);
    READS("GETRANGE none 0 x", NOT_INT);
    harness_line(h, "SET n -123");
    READS("GETRANGE n 0 1", "$2\r\n-1\r\n");
}

Test(string, counters)
{
    WRITES("INCR k", ":1\r\n", 1, "new k|incrby k|");
    WRITES("INCR k", ":2\r\n", 1, "incrby k|");
    WRITES("DECR k", ":1\r\n", 1, "incrby k|");
    WRITES("INCRBY k 10", ":11\r\n", 1, "incrby k|");
    WRITES("DECRBY k 20", ":-9\r\n", 1, "incrby k|");
    READS("INCRBY k x", NOT_INT);
    READS("INCRBY k 1.5", NOT_INT);
    READS("DECRBY k -9223372036854775808", "-ERR decrement would overflow\r\n");
    harness_line(h, "SET k 9223372036854775807 EX 10");
    READS("INCR k", "-ERR increment or decrement would overflow\r\n");
    READS("GET k", "$19\r\n9223372036854775807\r\n");
    WRITES("DECR k", ":9223372036854775806\r\n", 1, "incrby k|");
    cr_assert_eq(ttl("k"), 10000);
    harness_line(h, "SET k -9223372036854775808");
    READS("DECR k", "-ERR increment or decrement would overflow\r\n");
    harness_line(h, "SET k 010");
    READS("INCR k", NOT_INT);
    harness_run(h, "SET", "k", " 1", NULL);
    READS("INCR k", NOT_INT);
    harness_run(h, "SET", "k", "", NULL);
    READS("INCR k", NOT_INT);
    harness_line(h, "SETRANGE r 0 41");
    READS("STRLEN r", ":2\r\n");
    WRITES("INCR r", ":42\r\n", 1, "incrby r|");
    cr_assert_eq(peek("r")->encoding, ENC_INT);
    cr_assert_eq(peek("r")->flags & ENTRY_RAW, 0);
}

Test(string, floating_point_counters)
{
    WRITES("INCRBYFLOAT k 10.50", "$4\r\n10.5\r\n", 1, "new k|incrbyfloat k|");
    WRITES("INCRBYFLOAT k 0.1", "$4\r\n10.6\r\n", 1, "incrbyfloat k|");
    WRITES("INCRBYFLOAT k -5", "$3\r\n5.6\r\n", 1, "incrbyfloat k|");
    harness_line(h, "SET k 5.0e3 PX 700");
    WRITES("INCRBYFLOAT k 2.0e2", "$4\r\n5200\r\n", 1, "incrbyfloat k|");
    cr_assert_eq(ttl("k"), 700);
    READS("INCRBYFLOAT k x", NOT_FLOAT);
    READS("INCRBYFLOAT k nan", NOT_FLOAT);
    READS("INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity\r\n");
    WRITES("INCRBYFLOAT k -5200", "$1\r\n0\r\n", 1, "incrbyfloat k|");
    harness_line(h, "SET k abc");
    READS("INCRBYFLOAT k 1", NOT_FLOAT);
    harness_line(h, "SET i 3");
    WRITES("INCRBYFLOAT i 1.5", "$3\r\n4.5\r\n", 1, "incrbyfloat i|");
    WRITES("INCRBYFLOAT i 1.5", "$1\r\n6\r\n", 1, "incrbyfloat i|");
    WRITES("INCR i", ":7\r\n", 1, "incrby i|");
}

static char *repeated(const char *pattern, size_t len)
{
    char *text = malloc(len + 1);
    for (size_t i = 0, n = strlen(pattern); i < len; i++) {
        text[i] = pattern[i % n];
    }
    text[len] = '\0';
    return text;
}

Test(string, large_values)
{
    static const size_t lens[] = {447, 448, 449, 4096, REPLY_REF_MIN - 1, REPLY_REF_MIN, 1000003};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        char *value = repeated("abcdefghijklm", lens[i]);
        char head[32];
        int head_len = snprintf(head, sizeof head, "$%zu\r\n", lens[i]);
        cr_assert_str_eq(harness_run(h, "SET", "k", value, NULL), "+OK\r\n");
        const char *got = harness_run(h, "GET", "k", NULL);
        cr_assert_eq(memcmp(got, head, (size_t)head_len), 0);
        cr_assert_eq(memcmp(got + head_len, value, lens[i]), 0);
        got = harness_run(h, "GETRANGE", "k", "1", "-1", NULL);
        head_len = snprintf(head, sizeof head, "$%zu\r\n", lens[i] - 1);
        cr_assert_eq(memcmp(got, head, (size_t)head_len), 0);
        cr_assert_eq(memcmp(got + head_len, value + 1, lens[i] - 1), 0);
        free(value);
    }
}

Test(string, a_large_value_in_a_reply_stays_as_it_was)
{
    char *value = repeated("abc", 100000);
    harness_run(h, "SET", "k", value, NULL);
    struct slice argv[] = {slice_str("GET"), slice_str("k")};
    struct reply out;
    struct call c = {.ks = h->ks, .argv = argv, .argc = 2, .out = &out, .now_ms = h->now_ms,
                     .command = harness_find(argv[0], NULL)};
    struct key k = call_key(&c, "k", 1);
    c.keys = &k;
    c.nkeys = 1;
    reply_init(&out, 2);
    c.command->run(&c);

    harness_run(h, "SETRANGE", "k", "0", "XXXX", NULL);
    harness_run(h, "APPEND", "k", "YYYY", NULL);
    harness_run(h, "SET", "k", "small", NULL);
    struct iovec pieces[8];
    char *got = malloc(out.total_bytes);
    size_t len = 0;
    for (int i = 0, n = reply_iovec(&out, pieces, 8); i < n; i++) {
        memcpy(got + len, pieces[i].iov_base, pieces[i].iov_len);
        len += pieces[i].iov_len;
    }
    cr_assert_eq(len, 9 + 100000 + 2);
    cr_assert_eq(memcmp(got + 9, value, 100000), 0);
    reply_clear(&out);
    free(got);
    free(value);
}

Test(string, lcs)
{
    harness_line(h, "MSET a ohmytext b mynewtext n 123");
    READS("LCS a b", "$6\r\nmytext\r\n");
    READS("LCS a b LEN", ":6\r\n");
    READS("LCS a b IDX",
          "*4\r\n$7\r\nmatches\r\n*2\r\n"
          "*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
          "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n"
          "$3\r\nlen\r\n:6\r\n");
    READS("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
          "*4\r\n$7\r\nmatches\r\n*1\r\n"
          "*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
          "$3\r\nlen\r\n:6\r\n");
    READS("LCS a none", "$0\r\n\r\n");
    READS("LCS none none LEN", ":0\r\n");
    READS("LCS a none IDX", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
    READS("LCS n n", "$3\r\n123\r\n");
    READS("LCS a b LEN IDX",
          "-ERR If you want both the length and indexes, please just use IDX.\r\n");
    READS("LCS a b MINMATCHLEN", SYNTAX);
    READS("LCS a b MINMATCHLEN x", NOT_INT);
    READS("LCS a b IDX MINMATCHLEN -5 nonsense", SYNTAX);
    READS("LCS a", "-ERR wrong number of arguments for 'lcs' command\r\n");
    h->resp = 3;
    READS("LCS n n IDX",
          "%2\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:0\r\n:2\r\n*2\r\n:0\r\n:2\r\n"
          "$3\r\nlen\r\n:3\r\n");
}

Test(string, lcs_has_limits)
{
    char *value = repeated("ab", 20000);
    harness_run(h, "SET", "a", value, NULL);
    harness_run(h, "SET", "b", value, NULL);
    READS("LCS a b", "-ERR Insufficient memory, transient memory for LCS exceeds "
                     "proto-max-bulk-len\r\n");
    free(value);
}
