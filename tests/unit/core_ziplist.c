/* core_ziplist.c - the forms of small collections from before Redis 7, as RESTORE takes them: zipmaps
 * (hashes), ziplists (hashes, sorted sets, lists). What sound ones mean has been compared with
 * redis-server 7.0.15; what is cut or changed is refused, or means something that can be read. */
#include "core/serial.h"
#include "harness.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(generic_commands, hash_commands, zset_commands, list_commands)

enum { BODY_MAX = 4096, RDB_VERSION = 9 };

static struct harness *h;

static void start(void)
{
    h = harness_new();
}

static void stop(void)
{
    harness_free(h);
}

TestSuite(old_forms, .init = start, .fini = stop);

struct body {
    uint8_t bytes[BODY_MAX];
    size_t len;
};

static void put(struct body *b, const void *bytes, size_t len)
{
    cr_assert_leq(b->len + len, sizeof b->bytes);
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static void put_byte(struct body *b, uint8_t byte)
{
    put(b, &byte, 1);
}

/* --- building --- */

/* Words end with NULL; each value has some unused bytes. pairs: what the first byte says. */
static struct body zipmap(const char *const *words, uint8_t pairs)
{
    struct body b = {.len = 0};
    put_byte(&b, pairs);
    for (int i = 0; words[i]; i++) {
        const uint32_t len = (uint32_t)strlen(words[i]);
        const uint8_t unused = i % 2 ? (uint8_t)(i % 4) : 0;
        if (len < 254) {
            put_byte(&b, (uint8_t)len);
        } else {
            put_byte(&b, 254);
            put(&b, &len, 4);
        }
        if (i % 2) {
            put_byte(&b, unused);
        }
        put(&b, words[i], len);
        put(&b, "????", unused);
    }
    put_byte(&b, 255);
    return b;
}

/* "#5": the number 5 in one byte, else a string of less than 64 bytes. */
static struct body ziplist(const char *const *words)
{
    struct body b = {.len = 10};
    uint32_t before = 0, last = 10;
    uint16_t count = 0;
    for (; words[count]; count++) {
        last = (uint32_t)b.len;
        put_byte(&b, (uint8_t)before);
        if (words[count][0] == '#') {
            const int8_t number = (int8_t)atoi(words[count] + 1);
            put_byte(&b, 0xfe);
            put(&b, &number, 1);
        } else {
            put_byte(&b, (uint8_t)strlen(words[count]));
            put(&b, words[count], strlen(words[count]));
        }
        before = (uint32_t)b.len - last;
    }
    put_byte(&b, 255);
    const uint32_t total = (uint32_t)b.len;
    memcpy(b.bytes, &total, 4);
    memcpy(b.bytes + 4, &last, 4);
    memcpy(b.bytes + 8, &count, 2);
    return b;
}

/* RESTORE k from a value of this type; the reply. */
static const char *restore(uint8_t type, const struct body *value)
{
    struct body b = {.len = 0};
    const uint32_t len = htobe32((uint32_t)value->len);
    const uint16_t version = htole16(RDB_VERSION);
    put_byte(&b, type);
    put_byte(&b, 0x80);
    put(&b, &len, 4);
    put(&b, value->bytes, value->len);
    put(&b, &version, 2);
    const uint64_t crc = htole64(crc64_update(0, b.bytes, b.len));
    put(&b, &crc, 8);
    harness_line(h, "DEL k");
    struct slice argv[] = {slice_str("RESTORE"), slice_str("k"), slice_str("0"),
                           slice_of((char *)b.bytes, b.len)};
    return harness_run_argv(h, argv, 4).ptr;
}

enum { ZIPMAP = 9, LIST_ZIPLIST = 10, ZSET_ZIPLIST = 12, HASH_ZIPLIST = 13 };

#define BAD "-ERR Bad data format\r\n"
#define GOOD "+OK\r\n"
#define WORDS(...) (const char *const[]){__VA_ARGS__, NULL}
#define TAKES(type, value) takes(type, value, GOOD, __LINE__)
#define REFUSES(type, value) takes(type, value, BAD, __LINE__)

static void takes(uint8_t type, struct body value, const char *reply, int line)
{
    cr_expect_str_eq(restore(type, &value), reply, "line %d", line);
}

static void expect(const char *line, const char *reply)
{
    cr_expect_str_eq(harness_line(h, line), reply, "%s", line);
}

Test(old_forms, zipmaps)
{
    TAKES(ZIPMAP, zipmap(WORDS("f", "v", "number", "12"), 2));
    expect("HGETALL k", "*4\r\n$1\r\nf\r\n$1\r\nv\r\n$6\r\nnumber\r\n$2\r\n12\r\n");
    expect("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    TAKES(ZIPMAP, zipmap(WORDS("f", "", "", "x"), 254)); /* the count is not known */
    expect("HLEN k", ":2\r\n");
    REFUSES(ZIPMAP, zipmap(WORDS("f", "v"), 2));
    REFUSES(ZIPMAP, zipmap(WORDS("f", "v", "g"), 1));
    REFUSES(ZIPMAP, zipmap(WORDS("f", "v", "f", "w"), 2));
    REFUSES(ZIPMAP, zipmap(WORDS(NULL), 0));

    char longer[301];
    memset(longer, 'x', 300);
    longer[300] = '\0';
    TAKES(ZIPMAP, zipmap(WORDS("f", longer, "g", "1"), 2));
    expect("HSTRLEN k f", ":300\r\n");
    expect("HGET k g", "$1\r\n1\r\n");
    expect("OBJECT ENCODING k", "$9\r\nhashtable\r\n");
}

Test(old_forms, ziplists_of_hashes)
{
    TAKES(HASH_ZIPLIST, ziplist(WORDS("f", "v", "g", "#-7")));
    expect("HMGET k f g", "*2\r\n$1\r\nv\r\n$2\r\n-7\r\n");
    REFUSES(HASH_ZIPLIST, ziplist(WORDS("f", "v", "g")));
    REFUSES(HASH_ZIPLIST, ziplist(WORDS("f", "v", "f", "w")));
}

Test(old_forms, ziplists_of_sorted_sets)
{
    TAKES(ZSET_ZIPLIST, ziplist(WORDS("a", "#1", "b", "1.5", "c", "inf")));
    expect("ZRANGE k 0 -1 WITHSCORES", "*6\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\n1.5\r\n"
                                       "$1\r\nc\r\n$3\r\ninf\r\n");
    expect("OBJECT ENCODING k", "$8\r\nlistpack\r\n");
    expect("ZADD k 1.2 ab", ":1\r\n");
    expect("ZRANK k b", ":2\r\n");
    h->settings.zset_max_listpack_entries = 2;
    TAKES(ZSET_ZIPLIST, ziplist(WORDS("#3", "#1", "#5", "#2", "x", "#3")));
    expect("OBJECT ENCODING k", "$8\r\nskiplist\r\n");
    expect("ZSCORE k 5", "$1\r\n2\r\n");
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS("a", "#1", "b")));
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS("a", "#1", "a", "#2")));
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS("a", "one")));
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS("a", "nan")));
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS("a", "#2", "b", "#1")));
    REFUSES(ZSET_ZIPLIST, ziplist(WORDS(NULL)));
}

/* Every cut, and every byte set to values that mean something, and many random changes. */
static void harass(uint8_t type, struct body sound, const char *read)
{
    static const uint8_t odd[] = {0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xd0, 0xe0, 0xf0,
                                  0xf1, 0xfc, 0xfd, 0xfe, 0xff};
    int loaded = 0;
    for (size_t len = 0; len < sound.len; len++) {
        struct body b = sound;
        b.len = len;
        cr_assert_str_eq(restore(type, &b), BAD, "cut to %zu", len);
    }
    for (size_t i = 0; i < sound.len; i++) {
        for (size_t j = 0; j < sizeof odd; j++) {
            struct body b = sound;
            b.bytes[i] = odd[j];
            loaded += restore(type, &b)[0] == '+';
            harness_line(h, read);
        }
    }
    uint64_t seed = 99;
    for (int n = 0; n < 20000; n++) {
        struct body b = sound;
        for (int i = 0; i < 1 + n % 4; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            b.bytes[(seed >> 33) % b.len] = (uint8_t)(seed >> 20);
        }
        if (restore(type, &b)[0] == '+') {
            loaded++;
            harness_line(h, read);
            harness_line(h, "DUMP k");
        }
    }
    cr_expect_gt(loaded, 100, "changed names and numbers are none the worse");
}

Test(old_forms, hostile)
{
    harass(ZIPMAP, zipmap(WORDS("f", "v", "number", "12", "empty", "", "a", "b"), 4), "HGETALL k");
    harass(HASH_ZIPLIST, ziplist(WORDS("f", "v", "number", "#12", "x", "")), "HGETALL k");
    harass(ZSET_ZIPLIST, ziplist(WORDS("a", "#1", "bb", "1.5", "#7", "1e3", "c", "inf")),
           "ZRANGE k 0 -1 WITHSCORES");
    harass(LIST_ZIPLIST, ziplist(WORDS("a", "#1", "bb", "1.5", "#7", "")), "LRANGE k 0 -1");
}
