/* zset_serial.c - sorted sets as the bytes of an RDB file (serial_type.h).
 *
 *   RDB_ZSET_LISTPACK  a string that is a listpack: names and scores in order
 *   RDB_ZSET_ZIPLIST   the same in the form of before Redis 7 (ziplist.h). Read only.
 *   RDB_ZSET_2         length, then name and score (eight bytes, little endian), highest first
 *   RDB_ZSET           the same with scores as text behind a byte of length; 253 nan, 254 inf,
 *                      255 -inf. Read only.
 *
 * What is read is checked: names differ, scores are numbers, a listpack is in order. */
#include "core/hash.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/serial_type.h"
#include "core/ziplist.h"
#include "core/zset.h"
#include <endian.h>
#include <math.h>

enum { SCORE_NAN = 253, SCORE_INF = 254, SCORE_MINUS_INF = 255 };

void serial__save_zset(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    const struct zset z = zset_of(e);
    if (z.encoding == ENC_LISTPACK) {
        const struct slice bytes = slice_of(listpack_data(z.object), listpack_bytes(z.object));
        serial__write_byte(out, RDB_ZSET_LISTPACK);
        serial__write_string(out, bytes, settings);
        return;
    }
    const uint64_t n = zset_count(&z);
    serial__write_byte(out, RDB_ZSET_2);
    serial__write_len(out, n);
    struct zset_iter it;
    for (bool more = zset_iter_seek(&it, &z, n - 1); more; more = zset_iter_prev(&it)) {
        uint64_t wire;
        memcpy(&wire, &it.score, sizeof wire);
        wire = htole64(wire);
        serial__write_string(out, it.name, settings);
        bytes_append(out, &wire, sizeof wire);
    }
}

static bool read_binary_score(struct serial_reader *r, double *score)
{
    uint64_t wire;
    const uint8_t *p = serial__read_bytes(r, sizeof wire);
    if (!p) {
        return false;
    }
    memcpy(&wire, p, sizeof wire);
    wire = le64toh(wire);
    memcpy(score, &wire, sizeof wire);
    return !isnan(*score);
}

static bool read_text_score(struct serial_reader *r, double *score)
{
    const uint8_t *p = serial__read_bytes(r, 1);
    if (!p || *p == SCORE_NAN) {
        return false;
    }
    if (*p >= SCORE_INF) {
        *score = *p == SCORE_INF ? INFINITY : -INFINITY;
        return true;
    }
    const uint8_t *text = serial__read_bytes(r, *p);
    return text && num_parse_double((const char *)text, *p, score);
}

static bool read_pair(struct serial_reader *r, enum serial_rdb_type type, struct zset_tree *t)
{
    struct blob *blob;
    int64_t number = 0;
    char digits[NUM_INT_CHARS];
    double score;
    if (!serial__read_string(r, &blob, &number)) {
        return false;
    }
    struct slice name = blob ? slice_of(blob->data, blob->len)
                             : slice_of(digits, num_format_int(digits, number));
    bool ok = name.len <= UINT32_MAX && (type == RDB_ZSET_2 ? read_binary_score(r, &score)
                                                            : read_text_score(r, &score));
    if (ok) {
        const uint64_t hash = hash_bytes(name.ptr, name.len);
        ok = !zset_tree_find(t, hash, name);
        if (ok) {
            zset_tree_add(t, hash, name, score);
        }
    }
    if (blob) {
        blob_release(blob);
    }
    return ok;
}

bool serial__load_zset(struct serial_reader *r, enum serial_rdb_type type,
                       struct serial_loaded *out)
{
    uint64_t n;
    if (!serial__read_len(r, &n) || n == 0) {
        return false;
    }
    struct zset z = {ENC_TREE, zset_tree_new()};
    for (; n > 0; n--) { /* S1: every pair is there, or the loop ends */
        pause_point(1);
        if (!read_pair(r, type, z.object)) {
            zset_free(&z);
            return false;
        }
    }
    zset_settle(&z, r->settings);
    *out = (struct serial_loaded){.type = TYPE_ZSET, .encoding = z.encoding, .object = z.object};
    return true;
}

/* The bytes as a listpack that is a sorted set; NULL when they are none. */
static struct listpack *listpack_of(const struct blob *b, enum serial_rdb_type type)
{
    if (type == RDB_ZSET_LISTPACK) {
        return zset_listpack_validate(b->data, b->len) ? listpack_from_bytes(b->data, b->len)
                                                       : NULL;
    }
    struct listpack *lp = ziplist_to_listpack(b->data, b->len);
    if (lp && !zset_listpack_validate(listpack_data(lp), listpack_bytes(lp))) {
        listpack_free(lp);
        lp = NULL;
    }
    return lp;
}

bool serial__load_zset_listpack(struct serial_reader *r, enum serial_rdb_type type,
                                struct serial_loaded *out)
{
    struct blob *blob;
    int64_t number;
    if (!serial__read_string(r, &blob, &number) || !blob) {
        return false;
    }
    struct listpack *lp = listpack_of(blob, type);
    blob_release(blob);
    if (!lp) {
        return false;
    }
    const struct zset z = zset_from_listpack(lp, r->settings);
    *out = (struct serial_loaded){.type = TYPE_ZSET, .encoding = z.encoding, .object = z.object};
    return true;
}
