/* core_stream.c - core/stream.h against an array of entries; the bytes of nodes; what payloads may
 * not do. */
#include "core/mem.h"
#include "core/serial.h"
#include "core/slab.h"
#include "core/stream.h"
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>

HARNESS_COMMANDS(string_commands, generic_commands, stream_commands)

enum { ENTRIES = 4000 };

struct model {
    struct {
        struct stream_id id;
        uint32_t number;
        bool live;
    } entries[ENTRIES];
    uint32_t count, live;
};

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* An entry of one to three fields, all of which follow from its number. */
static int64_t make_pairs(uint32_t number, struct slice pairs[6], char text[6][48])
{
    const int64_t fields = number % 5 == 0 ? 1 + number % 3 : 2;
    for (int i = 0; i < 2 * fields; i++) {
        const bool is_number = (number + (uint32_t)i) % 3 == 0;
        const int len = i % 2 == 0 ? snprintf(text[i], 48, "field-%d", i)
                                   : snprintf(text[i], 48, is_number ? "%u" : "value-%u", number);
        pairs[i] = slice_of(text[i], (size_t)len);
    }
    return fields;
}

static void check_entry(struct stream_iter *it, uint32_t number)
{
    struct slice pairs[6], pair[2];
    char text[6][48], buf[2][NUM_INT_CHARS];
    const int64_t fields = make_pairs(number, pairs, text);
    cr_assert_eq(it->entry.fields, fields);
    for (int64_t i = 0; i < fields; i++) {
        stream_iter_pair(it, pair, buf);
        cr_assert(slice_equal(pair[0], pairs[2 * i]) && slice_equal(pair[1], pairs[2 * i + 1]));
    }
}

static void check_range(const struct stream *s, const struct model *m, uint32_t from, uint32_t to)
{
    struct stream_iter it;
    if (m->count == 0) {
        return;
    }
    from %= m->count;
    to %= m->count;
    stream_iter_init(&it, s, m->entries[from].id, m->entries[to].id, false);
    for (uint32_t i = from; i <= to; i++) {
        if (m->entries[i].live) {
            cr_assert(stream_iter_next(&it));
            cr_assert_eq(stream_id_compare(it.entry.id, m->entries[i].id), 0);
            check_entry(&it, m->entries[i].number);
        }
    }
    cr_assert_not(stream_iter_next(&it));
    stream_iter_init(&it, s, m->entries[from].id, m->entries[to].id, true);
    for (uint32_t i = to + 1; from <= to && i-- > from;) {
        if (m->entries[i].live) {
            cr_assert(stream_iter_next(&it));
            cr_assert_eq(stream_id_compare(it.entry.id, m->entries[i].id), 0);
            check_entry(&it, m->entries[i].number);
        }
    }
    cr_assert_not(stream_iter_next(&it));
}

static void check_numbers(const struct stream *s, const struct model *m)
{
    struct stream_id first = STREAM_ID_MIN, last = STREAM_ID_MIN;
    for (uint32_t i = m->count; i-- > 0;) {
        if (m->entries[i].live) {
            first = m->entries[i].id;
            last = last.ms ? last : first;
        }
    }
    cr_assert_eq(s->length, m->live);
    cr_assert_eq(stream_id_compare(s->first_id, first), 0);
    cr_assert_eq(stream_id_compare(stream_last_live(s), last), 0);
    size_t bytes = 0;
    struct idtree_at at;
    for (const struct idtree_item *item = idtree_first(&s->nodes, &at); item;
         item = idtree_next(&at)) {
        uint64_t live;
        const struct stream_node *n = item->value;
        bytes += snode_memory(n);
        cr_assert(snode_validate(n->lp, snode_total(n), &live));
        cr_assert_eq((int64_t)live, snode_count(n));
    }
    cr_assert_eq(s->node_bytes, bytes);
}

static void add(struct stream *s, struct model *m, const struct settings *settings, uint64_t step)
{
    struct slice pairs[6];
    char text[6][48];
    struct stream_id id = s->last_id;
    id = step % 3 ? (struct stream_id){id.ms + step, step % 200}
                  : (struct stream_id){id.ms, id.seq + 1};
    const int64_t fields = make_pairs(m->count, pairs, text);
    stream_add(s, settings, id, pairs, fields);
    m->entries[m->count].id = id;
    m->entries[m->count].number = m->count;
    m->entries[m->count].live = true;
    m->count++;
    m->live++;
}

static void delete_one(struct stream *s, struct model *m, uint32_t i)
{
    const bool was = m->entries[i].live;
    cr_assert_eq(stream_has(s, m->entries[i].id), was);
    cr_assert_eq(stream_delete(s, m->entries[i].id), was);
    m->live -= was;
    m->entries[i].live = false;
    stream_find_first(s);
}

static void trim(struct stream *s, struct model *m, uint64_t random)
{
    struct stream_trim t = {.strategy = STREAM_TRIM_MAXLEN,
                            .maxlen = (int64_t)(m->live - m->live * (random % 8) / 40)};
    const uint32_t at = (uint32_t)(random >> 8) % m->count;
    const uint64_t before = s->length;
    if (random & 1 << 7) {
        t = (struct stream_trim){.strategy = STREAM_TRIM_MINID,
                                 .minid = m->entries[at < m->count / 2 ? at / 4 : at / 2].id};
    }
    t.approx = random & 1 << 6;
    const int64_t deleted = stream_trim(s, &t);
    cr_assert_eq((uint64_t)deleted, before - s->length);
    int64_t left = deleted; /* they went from the front */
    for (uint32_t i = 0; i < m->count && left > 0; i++) {
        left -= m->entries[i].live;
        m->entries[i].live = false;
    }
    m->live -= (uint32_t)deleted;
    if (t.strategy == STREAM_TRIM_MAXLEN && !t.approx) {
        cr_assert_leq(s->length, (uint64_t)t.maxlen);
    } else if (!t.approx && s->length) {
        cr_assert_geq(stream_id_compare(s->first_id, t.minid), 0);
    }
}

static void run_model(int64_t max_entries, int64_t max_bytes, uint64_t seed)
{
    struct harness *h = harness_new();
    struct model *m = calloc(1, sizeof *m);
    struct stream *s = stream_new();
    uint64_t state = seed;
    h->settings.stream_node_max_entries = max_entries;
    h->settings.stream_node_max_bytes = max_bytes;
    while (m->count < ENTRIES) {
        const uint64_t r = random_next(&state);
        if (m->count == 0 || r % 10 < 7) {
            add(s, m, &h->settings, r >> 16 & 0xff);
        } else if (r % 100 < 99) {
            delete_one(s, m, (uint32_t)(r >> 8) % m->count);
        } else {
            trim(s, m, r >> 16);
        }
        if (m->count % 64 == 0) {
            check_range(s, m, (uint32_t)(r >> 20), (uint32_t)(r >> 40));
            check_numbers(s, m);
        }
    }
    check_range(s, m, 0, m->count - 1);
    struct stream *copy = stream_copy(s);
    check_range(copy, m, 0, m->count - 1);
    check_numbers(copy, m);
    uint64_t progress = 0;
    while (!stream_free_slice(copy, 3, &progress)) {
    }
    stream_free(s);
    free(m);
    harness_free(h);
}

Test(core_stream, random_changes_as_an_array)
{
    run_model(100, 4096, 1);
    run_model(7, 4096, 2);
    run_model(0, 300, 3);
    run_model(0, 0, 4);
    run_model(1, 0, 5);
    run_model(300, 100000, 6);
}

/* "XADD s 1-1 a 1 b xyz; XADD s 1-2 a 300 b -1; XADD s 2-0 c v" written down by hand. */
Test(core_stream, nodes_have_the_bytes_of_redis)
{
    static const uint8_t expected[] = {
        0, 0, 0, 0, 0, 0, /* not compared */
        3, 1, 0, 1, 2, 1, 0x81, 'a', 2, 0x81, 'b', 2, 0, 1,
        2, 1, 0, 1, 0, 1, 1, 1, 0x83, 'x', 'y', 'z', 4, 5, 1,
        2, 1, 0, 1, 1, 1, 0xc1, 0x2c, 2, 0xdf, 0xff, 2, 5, 1,
    };
    struct harness *h = harness_new();
    struct slice one[] = {slice_str("a"), slice_str("1"), slice_str("b"), slice_str("xyz")};
    struct slice two[] = {slice_str("a"), slice_str("300"), slice_str("b"), slice_str("-1")};
    struct slice three[] = {slice_str("c"), slice_str("v")};
    struct stream *s = stream_new();
    stream_add(s, &h->settings, (struct stream_id){1, 1}, one, 2);
    stream_add(s, &h->settings, (struct stream_id){1, 2}, two, 2);
    stream_add(s, &h->settings, (struct stream_id){2, 0}, three, 1);
    struct idtree_at at;
    const struct stream_node *n = idtree_first(&s->nodes, &at)->value;
    const uint8_t third[] = {0, 1, 1, 1, 0xdf, 0xff, 2, 1, 1, 0x81, 'c', 2, 0x81, 'v', 2, 6, 1,
                             0xff};
    cr_assert_eq(memcmp(n->lp + 6, expected + 6, sizeof expected - 6), 0);
    cr_assert_eq(memcmp(n->lp + sizeof expected, third, sizeof third), 0);
    cr_assert_eq(snode_total(n), sizeof expected + sizeof third);
    cr_assert_eq(n->lp[4], 6 + 6 + 6 + 7);
    stream_free(s);
    harness_free(h);
}

/* --- commands --- */

#define RUN(line, reply) cr_assert_str_eq(harness_line(h, line), reply)

Test(core_stream, commands)
{
    struct harness *h = harness_new();
    RUN("XADD s NOMKSTREAM 1-1 f v", "$-1\r\n");
    RUN("XADD s 1-1 f v", "$3\r\n1-1\r\n");
    RUN("XADD s 1-* f v", "$3\r\n1-2\r\n");
    RUN("XADD s * f v", "$15\r\n1700000000000-0\r\n");
    RUN("XADD s * f v", "$15\r\n1700000000000-1\r\n");
    h->now_ms -= 1000; /* ids never go back */
    RUN("XADD s * f v", "$15\r\n1700000000000-2\r\n");
    RUN("OBJECT ENCODING s", "$6\r\nstream\r\n");
    RUN("XLEN s", ":5\r\n");
    RUN("XTRIM s MAXLEN 1", ":4\r\n");
    cr_assert_eq(h->dirty, 4);
    RUN("XRANGE s - +", "*1\r\n*2\r\n$15\r\n1700000000000-2\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    RUN("XDEL s 1700000000000-2", ":1\r\n");
    RUN("XLEN s", ":0\r\n");
    RUN("EXISTS s", ":1\r\n");
    RUN("XREAD BLOCK 0 STREAMS s $", "*-1\r\n");
    h->resp = 3;
    RUN("XREAD BLOCK 0 STREAMS s $", "_\r\n");
    RUN("XADD s 1700000000001-0 f v", "$15\r\n1700000000001-0\r\n");
    RUN("XREAD STREAMS s +", "%1\r\n$1\r\ns\r\n*1\r\n*2\r\n$15\r\n1700000000001-0\r\n"
                             "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    harness_free(h);
}

Test(core_stream, a_group_with_much_pending_is_freed_in_slices)
{
    struct harness *h = harness_new();
    for (int i = 0; i < 2000; i++) {
        harness_line(h, "XADD s * f v");
    }
    RUN("XGROUP CREATE s small 0", "+OK\r\n");
    RUN("XGROUP DESTROY s small", ":1\r\n");
    cr_assert(!keyspace_free_pending(h->ks));
    RUN("XGROUP CREATE s g 0", "+OK\r\n");
    harness_line(h, "XREADGROUP GROUP g one COUNT 1000 STREAMS s >");
    harness_line(h, "XREADGROUP GROUP g two STREAMS s >");
    RUN("XGROUP DESTROY s g", ":1\r\n");
    cr_assert(keyspace_free_pending(h->ks));
    RUN("XGROUP CREATE s g 0", "+OK\r\n");
    RUN("XPENDING s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    RUN("XLEN s", ":2000\r\n");
    int slices = 0;
    while (!keyspace_free_slice(h->ks, 0)) {
        slices++;
    }
    cr_assert_gt(slices, 10);
    harness_free(h);
}

Test(core_stream, keys_of_xread)
{
    struct harness *h = harness_new();
    harness_line(h, "XADD STREAMS 1-1 f v");
    harness_line(h, "XGROUP CREATE STREAMS g 0");
    /* A consumer named like the keyword does not lead astray. */
    RUN("XREADGROUP COUNT 1 GROUP g streams STREAMS STREAMS >",
        "*1\r\n*2\r\n$7\r\nSTREAMS\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    cr_assert_eq(h->nkeys, 1);
    RUN("XREAD STREAMS a b c",
        "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
        "specified.\r\n");
    RUN("XREAD COUNT 1 STREAMS", "-ERR syntax error\r\n");
    RUN("XREAD q 1 STREAMS a 0", "-ERR syntax error\r\n");
    harness_free(h);
}

Test(core_stream, consumers_are_seen_and_active)
{
    struct harness *h = harness_new();
    harness_line(h, "XGROUP CREATE s g 0 MKSTREAM");
    RUN("XREADGROUP GROUP g alice STREAMS s >", "*-1\r\n"); /* exists from now on */
    h->now_ms += 5;
    RUN("XINFO CONSUMERS s g", "*1\r\n*8\r\n$4\r\nname\r\n$5\r\nalice\r\n$7\r\npending\r\n:0\r\n"
                               "$4\r\nidle\r\n:5\r\n$8\r\ninactive\r\n:-1\r\n");
    harness_line(h, "XADD s 1-1 f v");
    harness_line(h, "XREADGROUP GROUP g alice STREAMS s >");
    h->now_ms += 7;
    RUN("XINFO CONSUMERS s g", "*1\r\n*8\r\n$4\r\nname\r\n$5\r\nalice\r\n$7\r\npending\r\n:1\r\n"
                               "$4\r\nidle\r\n:7\r\n$8\r\ninactive\r\n:7\r\n");
    RUN("XPENDING s g - + 10", "*1\r\n*4\r\n$3\r\n1-1\r\n$5\r\nalice\r\n:7\r\n:1\r\n");
    RUN("XGROUP DELCONSUMER s g alice", ":1\r\n");
    RUN("XPENDING s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    harness_free(h);
}

/* XSETID may go back behind deleted entries; what is added then must not meet their node's id. */
Test(core_stream, ids_behind_a_node_of_deleted_entries)
{
    struct harness *h = harness_new();
    h->settings.stream_node_max_entries = 2;
    harness_line(h, "XADD s 10-0 f v");
    harness_line(h, "XADD s 11-0 f v");
    harness_line(h, "XADD s 20-0 f v");
    harness_line(h, "XADD s 30-0 f v");
    harness_line(h, "XDEL s 30-0");
    harness_line(h, "XTRIM s MINID 25");
    RUN("XLEN s", ":0\r\n");
    RUN("XSETID s 12-0", "+OK\r\n");
    RUN("XADD s 13-0 f v", "$4\r\n13-0\r\n");
    RUN("XADD s 20-0 f v", "$4\r\n20-0\r\n");
    RUN("XADD s 21-0 f v", "$4\r\n21-0\r\n");
    RUN("XLEN s", ":3\r\n");
    RUN("XRANGE s 13 13", "*1\r\n*2\r\n$4\r\n13-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    harness_free(h);
}

/* --- payloads --- */

static struct slice keep(struct slice s, char *room)
{
    memcpy(room, s.ptr, s.len);
    return slice_of(room, s.len);
}

static void sign(char *payload, size_t len)
{
    const uint64_t crc = crc64_update(0, payload, len - 8);
    memcpy(payload + len - 8, &crc, 8);
}

Test(core_stream, payloads_survive_and_hostile_ones_do_no_harm)
{
    static char dump[1 << 16], broken[1 << 16];
    struct harness *h = harness_new();
    uint64_t state = 77;
    h->settings.rdb_compression = false; /* so that every byte counts */
    h->settings.stream_node_max_entries = 5;
    for (int i = 1; i < 40; i++) {
        char line[64];
        snprintf(line, sizeof line, i % 4 ? "XADD s %d-1 f %d g v" : "XADD s %d-1 h x%d", i,
                 i * 999);
        harness_line(h, line);
    }
    harness_line(h, "XDEL s 3-1 9-1 12-1");
    harness_line(h, "XGROUP CREATE s g 0");
    harness_line(h, "XGROUP CREATE s other $");
    harness_line(h, "XREADGROUP GROUP g alice COUNT 9 STREAMS s >");
    harness_line(h, "XREADGROUP GROUP g bob COUNT 4 STREAMS s >");
    struct slice words[] = {slice_str("DUMP"), slice_str("s")};
    struct slice reply = harness_run_argv(h, words, 2);
    const char *body = strchr(reply.ptr, 10) + 1;
    const struct slice payload =
        keep(slice_of(body, reply.len - 2 - (size_t)(body - reply.ptr)), dump);

    struct slice restore[] = {slice_str("RESTORE"), slice_str("t"), slice_str("0"), payload};
    cr_assert_str_eq(harness_run_argv(h, restore, 4).ptr, "+OK\r\n");
    char *twin = strdup(harness_line(h, "XINFO STREAM t FULL COUNT 0"));
    cr_assert_str_eq(harness_line(h, "XINFO STREAM s FULL COUNT 0"), twin);
    free(twin);

    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        harness_line(h, "DEL t");
        keep(payload, broken);
        for (uint64_t n = 1 + random_next(&state) % 3; n > 0; n--) {
            broken[1 + random_next(&state) % (payload.len - 11)] = (char)random_next(&state);
        }
        sign(broken, payload.len);
        restore[3] = slice_of(broken, payload.len);
        if (harness_run_argv(h, restore, 4).ptr[0] == '-') {
            continue;
        }
        taken++;
        harness_line(h, "XREVRANGE t + -");
        harness_line(h, "XREADGROUP GROUP g alice STREAMS t 0");
        harness_line(h, "XREADGROUP GROUP g carol STREAMS t >");
        harness_line(h, "XAUTOCLAIM t g bob 0 - COUNT 5");
        harness_line(h, "XDEL t 5-1 6-1 7-1 39-1");
        harness_line(h, "XADD t * f v");
        harness_line(h, "XTRIM t MAXLEN 20");
        harness_line(h, "XTRIM t MINID 25-0");
        harness_line(h, "XGROUP DELCONSUMER t g alice");
        harness_line(h, "XINFO STREAM t FULL COUNT 0");
        harness_line(h, "COPY t u REPLACE");
    }
    cr_assert_gt(taken, 100);
    harness_free(h);
}
