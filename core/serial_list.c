/* serial_list.c - lists in RDB files and DUMP payloads (serial_type.h).
 *
 *   RDB_LIST_QUICKLIST_2   nodes, then for each: 1 and an element, or 2 and a listpack as a string
 *   RDB_LIST_QUICKLIST     nodes, then for each a ziplist as a string      (read only)
 *   RDB_LIST_ZIPLIST       a ziplist as a string                           (read only)
 *   RDB_LIST               elements, then each as a string                 (read only)
 *
 * A list in one listpack is written as a quicklist of one node, as Redis 7.2 does. Empty nodes are
 * skipped, an empty list is refused. */
#include "core/list.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/serial_type.h"
#include "core/ziplist.h"

enum { CONTAINER_PLAIN = 1, CONTAINER_PACKED = 2 };

/* --- writing --- */

static void save_listpack(struct bytes *out, const struct listpack *lp,
                          const struct settings *settings)
{
    serial__write_len(out, CONTAINER_PACKED);
    serial__write_string(out, slice_of(listpack_data(lp), listpack_bytes(lp)), settings);
}

void serial__save_list(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    serial__write_byte(out, RDB_LIST_QUICKLIST_2);
    if (e->encoding == ENC_LISTPACK) {
        serial__write_len(out, 1);
        save_listpack(out, entry_object(e), settings);
        return;
    }
    const struct list *l = entry_object(e);
    const uint32_t n = list_nodes_count(l);
    serial__write_len(out, n);
    for (uint32_t i = 0; i < n; i++) {
        pause_point(PAUSE_NODE_UNITS);
        struct listpack *temporary;
        struct blob *large;
        const struct listpack *lp = list_nodes_get(l, i, &temporary, &large);
        if (lp) {
            save_listpack(out, lp, settings);
        } else {
            serial__write_len(out, CONTAINER_PLAIN);
            serial__write_string(out, slice_of(large->data, large->len), settings);
        }
        if (temporary) {
            listpack_free(temporary);
        }
    }
}

/* --- reading --- */

/* A string that must hold a listpack or a ziplist; NULL when it does not. */
static struct listpack *read_listpack(struct serial_reader *r, bool is_ziplist)
{
    struct blob *b;
    int64_t number;
    if (!serial__read_string(r, &b, &number) || !b) {
        return NULL;
    }
    struct listpack *lp = NULL;
    if (is_ziplist) {
        lp = ziplist_to_listpack(b->data, b->len);
    } else if (listpack_validate(b->data, b->len)) {
        lp = listpack_from_bytes(b->data, b->len);
    }
    blob_release(b);
    return lp;
}

static bool read_packed_node(struct serial_reader *r, bool is_ziplist, struct list *l)
{
    struct listpack *lp = read_listpack(r, is_ziplist);
    if (!lp) {
        return false;
    }
    if (listpack_first(lp)) {
        list_nodes_append(l, lp);
    } else {
        listpack_free(lp);
    }
    return true;
}

static bool read_plain_node(struct serial_reader *r, struct list *l)
{
    struct blob *b;
    int64_t number;
    if (!serial__read_string(r, &b, &number)) {
        return false;
    }
    if (!b) {
        char digits[NUM_INT_CHARS];
        size_t len = num_format_int(digits, number);
        b = blob_new(digits, len, len);
    }
    if (b->len == 0) { /* never alone in a node */
        blob_release(b);
        return false;
    }
    list_nodes_append_large(l, b);
    return true;
}

static bool read_nodes(struct serial_reader *r, enum serial_rdb_type type, struct list *l)
{
    uint64_t n = 1, container = CONTAINER_PACKED;
    if (type != RDB_LIST_ZIPLIST && !serial__read_len(r, &n)) {
        return false;
    }
    for (; n > 0; n--) { /* every node takes bytes, so n need not be believed */
        pause_point(PAUSE_NODE_UNITS);
        if (type == RDB_LIST_QUICKLIST_2 && !serial__read_len(r, &container)) {
            return false;
        }
        bool good = false;
        if (container == CONTAINER_PLAIN) {
            good = read_plain_node(r, l);
        } else if (container == CONTAINER_PACKED) {
            good = read_packed_node(r, type != RDB_LIST_QUICKLIST_2, l);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool read_elements(struct serial_reader *r, const struct list_rules *rules,
                          struct list_value *v)
{
    uint64_t n;
    if (!serial__read_len(r, &n)) {
        return false;
    }
    for (; n > 0; n--) {
        pause_point(1);
        struct blob *b;
        int64_t number = 0;
        if (!serial__read_string(r, &b, &number)) {
            return false;
        }
        char digits[NUM_INT_CHARS];
        struct slice s =
            b ? slice_of(b->data, b->len) : slice_of(digits, num_format_int(digits, number));
        list_push_all(v, rules, LIST_TAIL, &s, 1);
        if (b) {
            blob_release(b);
        }
    }
    return true;
}

bool serial__load_list(struct serial_reader *r, enum serial_rdb_type type,
                       struct serial_loaded *out)
{
    const struct list_rules rules = list_rules_of(r->settings);
    struct list_value v;
    bool good;
    if (type == RDB_LIST) {
        v = list_new();
        good = read_elements(r, &rules, &v);
    } else {
        v = (struct list_value){ENC_QUICKLIST, list_nodes_new()};
        good = read_nodes(r, type, v.object);
    }
    if (!good || list_count(v) == 0) {
        list_free(v);
        return false;
    }
    list_settle_encoding(&v, &rules, false);
    if (v.encoding == ENC_QUICKLIST) {
        list_nodes_compress(v.object, &rules);
    }
    *out = (struct serial_loaded){.type = TYPE_LIST, .encoding = v.encoding, .object = v.object};
    return true;
}
