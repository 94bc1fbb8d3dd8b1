/* stream_serial.c - streams as RDB files have them (see serial_type.h).
 *
 *   nodes n, n × (id as a string of 16 bytes, listpack as a string)
 *   length, last id
 *   types 19 and 21: first id, greatest deleted id, entries added
 *   groups n, n × (name, last id, [19, 21: entries read],
 *                  pending n, n × (id, time of delivery, deliveries),
 *                  consumers n, n × (name, last seen, [21: last active], pending n, n × id))
 *
 * Ids outside of strings are two lengths, in pending lists 16 bytes big endian; times are 8 bytes
 * little endian. Type 19 is written, which has no time of last activity: that of being seen stands
 * for it.
 *
 * What is read must keep the rules of stream.h and stream_group.h, and be ordered as Redis writes
 * it: nodes by id, groups, consumers and pending entries by name and id. */
#include "core/pause.h"
#include "core/serial_type.h"
#include "core/stream.h"
#include "core/stream_serial.h"

#include <endian.h>

enum { ID_BYTES = 16, TIME_BYTES = 8 };

/* --- writing --- */

static void encode_id(uint8_t out[ID_BYTES], struct stream_id id)
{
    const uint64_t wire[2] = {htobe64(id.ms), htobe64(id.seq)};
    memcpy(out, wire, ID_BYTES);
}

static void write_id(struct bytes *out, struct stream_id id)
{
    serial__write_len(out, id.ms);
    serial__write_len(out, id.seq);
}

static void write_time(struct bytes *out, int64_t ms)
{
    const uint64_t wire = htole64((uint64_t)ms);
    bytes_append(out, &wire, TIME_BYTES);
}

static void write_pel(struct bytes *out, const struct idtree *pel, bool nacks)
{
    struct idtree_at at;
    serial__write_len(out, pel->count);
    for (const struct idtree_item *item = idtree_first(pel, &at); item; item = idtree_next(&at)) {
        uint8_t id[ID_BYTES];
        encode_id(id, item->id);
        bytes_append(out, id, ID_BYTES);
        if (nacks) {
            const struct stream_nack *nack = item->value;
            write_time(out, nack->delivered_ms);
            serial__write_len(out, nack->deliveries);
        }
    }
}

static void write_group(struct bytes *out, const struct stream_group *g,
                        const struct settings *settings)
{
    serial__write_string(out, g->named.name, settings);
    write_id(out, g->last_id);
    serial__write_len(out, (uint64_t)g->entries_read);
    write_pel(out, &g->pel, true);
    serial__write_len(out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        serial__write_string(out, consumer->named.name, settings);
        write_time(out, consumer->seen_ms);
        write_pel(out, &consumer->pel, false);
    }
}

void stream__save(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    const struct stream *s = entry_object(e);
    struct idtree_at at;
    serial__write_byte(out, RDB_STREAM_LISTPACKS_2);
    serial__write_len(out, s->nodes.count);
    for (const struct idtree_item *item = idtree_first(&s->nodes, &at); item;
         item = idtree_next(&at)) {
        uint8_t id[ID_BYTES];
        const struct stream_node *n = item->value;
        encode_id(id, item->id);
        serial__write_string(out, slice_of((const char *)id, ID_BYTES), settings);
        serial__write_string(out, slice_of((const char *)n->lp, snode_total(n)), settings);
    }
    serial__write_len(out, s->length);
    write_id(out, s->last_id);
    write_id(out, s->first_id);
    write_id(out, s->max_deleted_id);
    serial__write_len(out, s->entries_added);
    serial__write_len(out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        write_group(out, s->groups.items[i], settings);
    }
}

/* --- reading --- */

static struct stream_id decode_id(const void *bytes)
{
    uint64_t wire[2];
    memcpy(wire, bytes, ID_BYTES);
    return (struct stream_id){be64toh(wire[0]), be64toh(wire[1])};
}

static bool read_id(struct serial_reader *r, struct stream_id *id)
{
    return serial__read_len(r, &id->ms) && serial__read_len(r, &id->seq);
}

static bool read_raw_id(struct serial_reader *r, struct stream_id *id)
{
    const uint8_t *p = serial__read_bytes(r, ID_BYTES);
    if (p) {
        *id = decode_id(p);
    }
    return p != NULL;
}

static bool read_time(struct serial_reader *r, int64_t *ms)
{
    uint64_t wire;
    const uint8_t *p = serial__read_bytes(r, TIME_BYTES);
    if (p) {
        memcpy(&wire, p, TIME_BYTES);
        *ms = (int64_t)le64toh(wire);
    }
    return p != NULL;
}

/* A string, as bytes that are good until the blob is released or buf is used otherwise. */
static bool read_name(struct serial_reader *r, struct blob **blob, char buf[NUM_INT_CHARS],
                      struct slice *name)
{
    int64_t number;
    if (!serial__read_string(r, blob, &number)) {
        return false;
    }
    *name = *blob ? slice_of((*blob)->data, (*blob)->len)
                  : slice_of(buf, num_format_int(buf, number));
    return true;
}

static void release_name(struct blob *blob)
{
    if (blob) {
        blob_release(blob);
    }
}

/* Adds a node with its id to the end of the stream, and the entries in it to *live. */
static bool add_node(struct stream *s, struct slice id_bytes, struct slice lp, uint64_t *live)
{
    struct idtree_at at;
    uint64_t in_node;
    if (id_bytes.len != ID_BYTES ||
        !snode_validate((const uint8_t *)lp.ptr, lp.len, &in_node)) {
        return false;
    }
    const struct stream_id id = decode_id(id_bytes.ptr);
    const struct idtree_item *last = idtree_last(&s->nodes, &at);
    if (last && stream_id_compare(last->id, id) >= 0) {
        return false;
    }
    struct stream_node *n = snode_from_bytes((const uint8_t *)lp.ptr, lp.len);
    s->node_bytes += snode_memory(n);
    idtree_insert(&s->nodes, id, n);
    *live += in_node;
    return true;
}

static bool load_node(struct serial_reader *r, struct stream *s, uint64_t *live)
{
    struct blob *id_blob, *lp_blob;
    char id_buf[NUM_INT_CHARS], lp_buf[NUM_INT_CHARS];
    struct slice id, lp;
    if (!read_name(r, &id_blob, id_buf, &id)) {
        return false;
    }
    bool good = read_name(r, &lp_blob, lp_buf, &lp);
    if (good) {
        good = add_node(s, id, lp, live);
        release_name(lp_blob);
    }
    release_name(id_blob);
    return good;
}

static bool load_nodes(struct serial_reader *r, enum serial_rdb_type type, struct stream *s)
{
    uint64_t nodes, live = 0;
    if (!serial__read_len(r, &nodes)) {
        return false;
    }
    for (; nodes > 0; nodes--) {
        pause_point(PAUSE_NODE_UNITS);
        if (!load_node(r, s, &live)) {
            return false;
        }
    }
    if (!serial__read_len(r, &s->length) || s->length != live /* S1 */ ||
        !read_id(r, &s->last_id) ||
        stream_id_compare(stream_last_live(s), s->last_id) > 0 /* S2 */) {
        return false;
    }
    if (type == RDB_STREAM_LISTPACKS) {
        s->entries_added = s->length;
        stream_find_first(s);
        return true;
    }
    return read_id(r, &s->first_id) && read_id(r, &s->max_deleted_id) &&
           serial__read_len(r, &s->entries_added);
}

/* The group's list of pending entries, which belong to nobody yet. */
static bool load_pel(struct serial_reader *r, struct stream_group *g)
{
    uint64_t count;
    if (!serial__read_len(r, &count)) {
        return false;
    }
    for (; count > 0; count--) {
        pause_point(1);
        struct stream_id id;
        int64_t delivered_ms;
        uint64_t deliveries;
        if (!read_raw_id(r, &id) || !read_time(r, &delivered_ms) ||
            !serial__read_len(r, &deliveries)) {
            return false;
        }
        struct stream_nack *nack = stream_group_add_nack(g, id);
        if (!nack) {
            return false;
        }
        nack->delivered_ms = delivered_ms;
        nack->deliveries = deliveries;
    }
    return true;
}

/* Each of the ids must be pending in the group and belong to nobody yet. */
static bool load_consumer_pel(struct serial_reader *r, struct stream_group *g,
                              struct stream_consumer *consumer)
{
    uint64_t count;
    if (!serial__read_len(r, &count)) {
        return false;
    }
    for (; count > 0; count--) {
        pause_point(1);
        struct stream_id id;
        if (!read_raw_id(r, &id)) {
            return false;
        }
        struct stream_nack *nack = idtree_find(&g->pel, id);
        if (!nack || nack->consumer) {
            return false;
        }
        stream_nack_assign(nack, id, consumer);
    }
    return true;
}

/* Whether a name may follow those that are there: they come in order. */
static bool comes_last(const struct stream_names *names, struct slice name)
{
    uint32_t at;
    return !stream_names_find(names, name, &at) && at == names->count;
}

static bool load_consumer(struct serial_reader *r, enum serial_rdb_type type,
                          struct stream_group *g)
{
    struct blob *blob;
    char buf[NUM_INT_CHARS];
    struct slice name;
    if (!read_name(r, &blob, buf, &name)) {
        return false;
    }
    struct stream_consumer *consumer =
        comes_last(&g->consumers, name) ? stream_group_add_consumer(g, name, 0) : NULL;
    release_name(blob);
    if (!consumer || !read_time(r, &consumer->seen_ms)) {
        return false;
    }
    consumer->active_ms = consumer->seen_ms;
    return (type != RDB_STREAM_LISTPACKS_3 || read_time(r, &consumer->active_ms)) &&
           load_consumer_pel(r, g, consumer);
}

/* G1: what is pending has a consumer. */
static bool all_assigned(const struct stream_group *g)
{
    uint64_t assigned = 0;
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        assigned += consumer->pel.count;
    }
    return assigned == g->pel.count;
}

static bool load_group(struct serial_reader *r, enum serial_rdb_type type, struct stream *s)
{
    struct blob *blob;
    char buf[NUM_INT_CHARS];
    struct slice name;
    struct stream_id last_id;
    uint64_t entries_read, consumers;
    if (!read_name(r, &blob, buf, &name)) {
        return false;
    }
    struct stream_group *g = NULL;
    if (read_id(r, &last_id) && comes_last(&s->groups, name)) {
        g = stream_groups_add(&s->groups, name, last_id, STREAM_READ_UNKNOWN);
    }
    release_name(blob);
    if (!g) {
        return false;
    }
    if (type == RDB_STREAM_LISTPACKS) {
        g->entries_read = stream_entries_until(s, last_id);
    } else if (serial__read_len(r, &entries_read)) {
        g->entries_read = (int64_t)entries_read;
    } else {
        return false;
    }
    if (!load_pel(r, g) || !serial__read_len(r, &consumers)) {
        return false;
    }
    for (; consumers > 0; consumers--) {
        if (!load_consumer(r, type, g)) {
            return false;
        }
    }
    return all_assigned(g);
}

bool stream__load(struct serial_reader *r, enum serial_rdb_type type, struct serial_loaded *out)
{
    struct stream *s = stream_new();
    uint64_t groups = 0;
    bool good = load_nodes(r, type, s) && serial__read_len(r, &groups);
    for (; good && groups > 0; groups--) {
        good = load_group(r, type, s);
    }
    if (!good) {
        stream_free(s);
        return false;
    }
    *out = (struct serial_loaded){.type = TYPE_STREAM, .encoding = ENC_TREE, .object = s};
    return true;
}
