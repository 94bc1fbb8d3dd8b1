/* core_cmd_bitmap.c - bitmap, HyperLogLog and geo commands: events, changes, encodings and what the
 * differential tests (tests/differential/{bits,hll,geo}.py) cannot ask redis-server. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>

HARNESS_COMMANDS(string_commands, generic_commands, bitmap_commands, hll_commands, geo_commands,
                 zset_commands)

static struct harness *h;
static char events[256]; /* "setbit k|" */

static void note_event(struct keyspace *ks, int db, unsigned class, const char *event,
                       struct slice key)
{
    if (class == EVENT_KEY_MISS) {
        return;
    }
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

TestSuite(bitmap, .init = setup, .fini = teardown);

static void expect_at(const char *line, const char *reply, uint64_t dirty, const char *posted,
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
#define expect(line, reply, dirty, posted) expect_at(line, reply, dirty, posted, __LINE__)

Test(bitmap, setbit)
{
    expect("SETBIT k 7 1", ":0\r\n", 1, "new k|setbit k|");
    expect("SETBIT k 7 1", ":1\r\n", 0, "");
    expect("SETBIT k 7 0", ":1\r\n", 1, "setbit k|");
    expect("SETBIT k 9 0", ":0\r\n", 1, "setbit k|"); /* longer */
    expect("STRLEN k", ":2\r\n", 0, "");
    expect("OBJECT ENCODING k", "$3\r\nraw\r\n", 0, "");
    expect("SETBIT k 4294967295 1", ":0\r\n", 1, "setbit k|");
    expect("SETBIT k 4294967296 1",
           "-ERR bit offset is not an integer or out of range\r\n", 0, "");
    expect("SETBIT k 1 2", "-ERR bit is not an integer or out of range\r\n", 0, "");
    expect("BITCOUNT k", ":1\r\n", 0, "");
    expect("BITPOS k 1", ":4294967295\r\n", 0, "");
}

Test(bitmap, an_expiry_stays)
{
    expect("SET k 12 EX 100", "+OK\r\n", 1, NULL);
    expect("SETBIT k 1 0", ":0\r\n", 0, "");
    expect("SETBIT k 0 1", ":0\r\n", 1, "setbit k|");
    expect("TTL k", ":100\r\n", 0, "");
    expect("BITFIELD k SET u8 8 97", "*1\r\n:50\r\n", 1, "setbit k|");
    expect("GETRANGE k 1 1", "$1\r\na\r\n", 0, "");
    expect("TTL k", ":100\r\n", 0, "");
}

Test(bitmap, bitop_of_redis_8)
{
    expect("SET x \xf0", "+OK\r\n", 1, NULL);
    expect("SET y \xcc", "+OK\r\n", 1, NULL);
    expect("SET z \xaa", "+OK\r\n", 1, NULL);
    expect("BITOP DIFF d x y z", ":1\r\n", 1, "new d|set d|");
    expect("GET d", "$1\r\n\x10\r\n", 0, "");
    expect("BITOP diff1 d x y z", ":1\r\n", 1, "set d|");
    expect("GET d", "$1\r\n\x0e\r\n", 0, "");
    expect("BITOP ANDOR d x y z", ":1\r\n", 1, "set d|");
    expect("GET d", "$1\r\n\xe0\r\n", 0, "");
    expect("BITOP ONE d x y z", ":1\r\n", 1, "set d|");
    expect("GET d", "$1\r\n\x16\r\n", 0, "");
    expect("BITOP DIFF d x", "-ERR BITOP DIFF must be called with at least two source keys.\r\n", 0,
           "");
    expect("BITOP NOT d no", ":0\r\n", 1, "del d|");
    expect("BITOP NOT d no", ":0\r\n", 0, "");
}

Test(bitmap, bitfield_changes)
{
    expect("BITFIELD k SET u8 0 255 INCRBY u8 0 10 GET u8 0", "*3\r\n:0\r\n:9\r\n:9\r\n", 2,
           "new k|setbit k|");
    expect("BITFIELD k GET u8 0", "*1\r\n:9\r\n", 0, "");
    expect("BITFIELD k OVERFLOW FAIL INCRBY u8 0 250", "*1\r\n$-1\r\n", 0, "");
    expect("BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0",
           "*2\r\n:9\r\n:-128\r\n", 1, "setbit k|");
    expect("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n", 0,
           "");
}

Test(bitmap, hyperloglog)
{
    expect("PFADD k", ":1\r\n", 1, "new k|pfadd k|");
    expect("PFADD k a b c", ":1\r\n", 3, "pfadd k|");
    expect("PFADD k a b c", ":0\r\n", 0, "");
    expect("PFCOUNT k", ":3\r\n", 1, ""); /* kept in the value */
    expect("PFCOUNT k", ":3\r\n", 0, "");
    expect("PFADD l d", ":1\r\n", 2, "new l|pfadd l|");
    expect("PFCOUNT k l no", ":4\r\n", 0, "");
    expect("PFMERGE m k l", "+OK\r\n", 1, "new m|pfadd m|");
    expect("PFCOUNT m", ":4\r\n", 1, "");
    expect("PFDEBUG ENCODING m", "+sparse\r\n", 0, "");
    expect("PFDEBUG TODENSE l", ":1\r\n", 1, "");
    expect("PFMERGE m l", "+OK\r\n", 1, "pfadd m|");
    expect("PFDEBUG ENCODING m", "+dense\r\n", 0, "");
    expect("PFCOUNT m", ":4\r\n", 1, "");
    expect("PFMERGE n", "+OK\r\n", 1, "new n|pfadd n|");
    expect("SET s x", "+OK\r\n", 1, NULL);
    expect("PFADD s a", "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n", 0, "");
    expect("PFSELFTEST", "+OK\r\n", 0, "");
}

Test(bitmap, corrupt_hyperloglog)
{
    static const char bytes[] = "HYLL\1\0\0\0\0\0\0\0\0\0\0\x80\x7f"; /* half a run */
    const struct slice set[] = {slice_str("SET"), slice_str("k"), slice_of(bytes, 17)};
    static const char corrupt[] = "-INVALIDOBJ Corrupted HLL object detected\r\n";
    harness_run_argv(h, set, 3);
    expect("PFADD k a", corrupt, 0, "");
    expect("PFCOUNT k", corrupt, 0, "");
    expect("PFCOUNT k k", corrupt, 0, "");
    expect("PFMERGE m k", corrupt, 0, "");
    expect("PFDEBUG TODENSE k", corrupt, 0, "");
    expect("PFDEBUG GETREG k", corrupt, 0, "");
    expect("PFDEBUG DECODE k", "$0\r\n\r\n", 0, "");
}

Test(bitmap, geo)
{
    expect("GEOADD g 13.361389 38.115556 p 15.087269 37.502669 c", ":2\r\n", 2, "new g|zadd g|");
    expect("GEOADD g XX 13.361389 38.115556 q", ":0\r\n", 0, "");
    expect("GEOADD n XX 13.361389 38.115556 q", ":0\r\n", 0, "");
    expect("GEODIST g p c km", "$8\r\n166.2742\r\n", 0, "");
    expect("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC", "*2\r\n$1\r\nc\r\n$1\r\np\r\n", 0,
           "");
    expect("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1", "*1\r\n$1\r\nc\r\n", 0, "");
    expect("GEORADIUS g 15 37 200 km STORE d STOREDIST e", ":2\r\n", 1, "new e|georadiusstore e|");
    expect("GEORADIUS g 15 37 200 km STORE d STORE e", "-ERR syntax error\r\n", 0, "");
    expect("GEOSEARCHSTORE d g FROMMEMBER p BYBOX 1 1 km", ":1\r\n", 1, "new d|geosearchstore d|");
    expect("GEOSEARCHSTORE d g FROMLONLAT 0 0 BYBOX 1 1 km", ":0\r\n", 1, "del d|");
    expect("GEOSEARCHSTORE d no FROMLONLAT 0 0 BYBOX 1 1 km", ":0\r\n", 0, "");
}
