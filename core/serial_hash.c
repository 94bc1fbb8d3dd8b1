/* serial_hash.c - hashes as the bytes of an RDB file (serial_type.h).
 *
 *   RDB_HASH              length, then field, value …
 *   RDB_HASH_LISTPACK     a string: the listpack
 *   RDB_HASH_ZIPLIST      a string: the ziplist that came before it (read only)
 *   RDB_HASH_ZIPMAP       a string: the zipmap that came before that (read only)
 *   RDB_HASH_METADATA     earliest expiry (8 bytes LE), length, then per field: its expiry counted
 *                         from the earliest, plus one, 0 for none; field; value
 *   RDB_HASH_LISTPACK_EX  earliest expiry (8 bytes LE), a string: the listpack of triples
 *
 * The last two are of Redis 7.4, and written only when a field expires. What is read is checked in
 * full: no field twice, no empty hash, expiries in order and in range. */
#include "core/hash_value.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/serial_type.h"
#include "core/ziplist.h"
#include "core/zipmap.h"

#include <endian.h>

#define EXPIRY_MAX_MS ((INT64_C(1) << 46) - 1) /* as HEXPIRE bounds it */

/* --- saving --- */

struct save {
    struct bytes *out;
    const struct settings *settings;
    bool expiries;
    int64_t min_ms;
};

static void save_field(const struct hash_element *e, void *ctx)
{
    const struct save *s = ctx;
    if (s->expiries) {
        const bool expires = e->at_ms != HASH_NO_EXPIRY;
        serial__write_len(s->out, expires ? (uint64_t)(e->at_ms - s->min_ms) + 1 : 0);
    }
    serial__write_string(s->out, e->field, s->settings);
    serial__write_string(s->out, e->value, s->settings);
}

static void write_ms(struct bytes *out, int64_t ms)
{
    const uint64_t wire = htole64((uint64_t)ms);
    bytes_append(out, &wire, sizeof wire);
}

static void save_listpack(const struct save *s, const struct listpack *lp)
{
    serial__write_string(s->out, slice_of(listpack_data(lp), listpack_bytes(lp)), s->settings);
}

static void find_min(const struct hash_element *e, void *ctx)
{
    int64_t *min_ms = ctx;
    if (e->at_ms != HASH_NO_EXPIRY && e->at_ms < *min_ms) {
        *min_ms = e->at_ms;
    }
}

static void save_table(struct save *s, const struct hash_value *h)
{
    const struct hash_fields *fields = h->object;
    s->expiries = fields->expiring > 0;
    serial__write_byte(s->out, s->expiries ? RDB_HASH_METADATA : RDB_HASH);
    if (s->expiries) {
        s->min_ms = INT64_MAX;
        hash_value_each(h, HASH_SEE_ALL, find_min, &s->min_ms);
        write_ms(s->out, s->min_ms);
    }
    serial__write_len(s->out, fields->table.count);
    hash_value_each(h, HASH_SEE_ALL, save_field, s);
}

void serial__save_hash(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    const struct hash_value h = hash_value_of(e);
    struct save s = {.out = out, .settings = settings};
    if (h.encoding == ENC_TABLE) {
        save_table(&s, &h);
        return;
    }
    if (h.encoding == ENC_LISTPACK) {
        serial__write_byte(out, RDB_HASH_LISTPACK);
    } else {
        const int64_t min_ms = hash_value_expire_min_ms(&h);
        serial__write_byte(out, RDB_HASH_LISTPACK_EX);
        write_ms(out, min_ms == INT64_MAX ? 0 : min_ms);
    }
    save_listpack(&s, h.object);
}

/* --- loading --- */

/* A string as a slice; the blob (or NULL) is to be released when it is no longer needed. */
static bool read_slice(struct serial_reader *r, char digits[NUM_INT_CHARS], struct slice *s,
                       struct blob **blob)
{
    int64_t number;
    if (!serial__read_string(r, blob, &number)) {
        return false;
    }
    *s = *blob ? slice_of((*blob)->data, (*blob)->len)
               : slice_of(digits, num_format_int(digits, number));
    return true;
}

static void release(struct blob *blob)
{
    if (blob) {
        blob_release(blob);
    }
}

static bool read_ms(struct serial_reader *r, int64_t *ms)
{
    uint64_t wire;
    const uint8_t *p = serial__read_bytes(r, sizeof wire);
    if (!p) {
        return false;
    }
    memcpy(&wire, p, sizeof wire);
    *ms = (int64_t)le64toh(wire);
    return true;
}

/* One field with its value and expiry; false when it is malformed or there already. */
static bool load_field(struct serial_reader *r, struct hash_value *h, bool expiries,
                       int64_t min_ms)
{
    char field_digits[NUM_INT_CHARS], value_digits[NUM_INT_CHARS];
    struct slice field, value;
    struct blob *field_blob = NULL, *value_blob = NULL;
    uint64_t from_min = 0;
    bool good = (!expiries || serial__read_len(r, &from_min)) &&
                from_min <= (uint64_t)EXPIRY_MAX_MS &&
                read_slice(r, field_digits, &field, &field_blob) &&
                read_slice(r, value_digits, &value, &value_blob) &&
                hash_value_put(h, field, value, false, r->settings);
    if (good && from_min > 0) {
        const int64_t at_ms = min_ms + (int64_t)from_min - 1;
        good = at_ms > 0 && at_ms <= EXPIRY_MAX_MS;
        if (good) {
            hash_value_set_expiry(h, field, at_ms);
        }
    }
    release(field_blob);
    release(value_blob);
    return good;
}

static bool load_fields(struct serial_reader *r, bool expiries, struct hash_value *h)
{
    uint64_t count;
    int64_t min_ms = 0;
    if ((expiries && (!read_ms(r, &min_ms) || min_ms < 0 || min_ms > EXPIRY_MAX_MS)) ||
        !serial__read_len(r, &count) || count == 0) {
        return false;
    }
    *h = hash_value_new();
    if (r->settings->hash_max_listpack_entries < 0 ||
        count > (uint64_t)r->settings->hash_max_listpack_entries) {
        hash_value_to_table(h);
    }
    for (; count > 0; count--) { /* each reads two bytes at least, or fails */
        pause_point(1);
        if (!load_field(r, h, expiries, min_ms)) {
            hash_value_free(h);
            return false;
        }
    }
    return true;
}

/* Whether a listpack is a hash: whole pairs or triples, no field twice, and triples in the order of
 * their expiries. The table built on the way is what a hash with so many fields becomes. */
struct check {
    struct hash_fields *fields;
    int64_t last_ms;
    size_t longest; /* field or value, bytes */
    bool good;
};

static void check_field(const struct hash_element *e, void *ctx)
{
    struct check *c = ctx;
    const uint64_t hash = hash_bytes(e->field.ptr, e->field.len);
    const int64_t at_ms = e->at_ms == HASH_NO_EXPIRY ? INT64_MAX : e->at_ms;
    if (hash_fields_find(c->fields, hash, e->field) || at_ms < c->last_ms ||
        e->at_ms > EXPIRY_MAX_MS) {
        c->good = false;
        return;
    }
    c->last_ms = at_ms;
    c->longest = e->field.len > c->longest ? e->field.len : c->longest;
    c->longest = e->value.len > c->longest ? e->value.len : c->longest;
    hash_fields_add(c->fields, hash, e->field, e->value, e->at_ms);
}

/* The third of each triple must be a number, and not a negative one. */
static bool expiries_are_numbers(const struct listpack *lp)
{
    uint32_t i = 0;
    for (uint8_t *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        const struct listpack_value v = listpack_get(at);
        if (i++ % 3 == 2 && (v.ptr || v.number < 0)) {
            return false;
        }
    }
    return true;
}

/* Becomes a table when it has too many fields, or when it was a zipmap, whose limit was another, and
 * one is too long. */
static bool accept_listpack(struct serial_reader *r, enum serial_rdb_type type,
                            struct hash_value *h)
{
    const uint32_t elements = listpack_count(h->object);
    const uint32_t stride = h->encoding == ENC_LISTPACK_EX ? 3 : 2;
    if (elements == 0 || elements % stride != 0 ||
        (stride == 3 && !expiries_are_numbers(h->object))) {
        return false;
    }
    struct check check = {.fields = hash_fields_new(), .good = true};
    hash_value_each(h, HASH_SEE_ALL, check_field, &check);
    const int64_t max = r->settings->hash_max_listpack_entries;
    const bool too_long = type == RDB_HASH_ZIPMAP &&
                          (int64_t)check.longest > r->settings->hash_max_listpack_value;
    if (check.good && (max < 0 || elements / stride > (uint64_t)max || too_long)) {
        listpack_free(h->object);
        *h = (struct hash_value){ENC_TABLE, check.fields};
    } else {
        hash_fields_free(check.fields);
    }
    return check.good;
}

static struct listpack *listpack_of(struct slice bytes, enum serial_rdb_type type)
{
    if (type == RDB_HASH_ZIPLIST) {
        return ziplist_to_listpack(bytes.ptr, bytes.len);
    }
    if (type == RDB_HASH_ZIPMAP) {
        return zipmap_to_listpack(bytes.ptr, bytes.len);
    }
    return listpack_validate(bytes.ptr, bytes.len) ? listpack_from_bytes(bytes.ptr, bytes.len)
                                                   : NULL;
}

static bool load_listpack(struct serial_reader *r, enum serial_rdb_type type,
                          struct hash_value *h)
{
    const bool expiries = type == RDB_HASH_LISTPACK_EX;
    char digits[NUM_INT_CHARS];
    struct slice bytes;
    struct blob *blob = NULL;
    int64_t min_ms;
    if ((expiries && !read_ms(r, &min_ms)) || !read_slice(r, digits, &bytes, &blob)) {
        return false;
    }
    h->encoding = expiries ? ENC_LISTPACK_EX : ENC_LISTPACK;
    h->object = listpack_of(bytes, type);
    release(blob);
    if (h->object && !accept_listpack(r, type, h)) {
        hash_value_free(h);
    }
    return h->object != NULL;
}

bool serial__load_hash(struct serial_reader *r, enum serial_rdb_type type,
                       struct serial_loaded *out)
{
    struct hash_value h = {.encoding = ENC_LISTPACK};
    const bool fields = type == RDB_HASH || type == RDB_HASH_METADATA;
    if (!(fields ? load_fields(r, type == RDB_HASH_METADATA, &h) : load_listpack(r, type, &h))) {
        return false;
    }
    *out = (struct serial_loaded){.type = TYPE_HASH, .encoding = h.encoding, .object = h.object};
    return true;
}
