/* set_serial.c - sets as the bytes of an RDB file (serial_type.h).
 *
 *   RDB_SET           length, members as strings
 *   RDB_SET_INTSET    a string that is an intset
 *   RDB_SET_LISTPACK  a string that is a listpack (Redis 7.2 and later)
 *
 * An intset is written as such, everything else as RDB_SET, which all versions read: DUMP promises
 * what Redis 7.0 understands. Whatever is read is checked and then added member by member under
 * the present thresholds, so a payload cannot bring two equal members or an encoding that we
 * would not have chosen; only an intset that is in order is taken as it is. */
#include "core/intset.h"
#include "core/listpack.h"
#include "core/pause.h"
#include "core/serial_type.h"
#include "core/set.h"

void serial__save_set(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    const struct set s = set_of(e);
    if (s.encoding == ENC_INTSET) {
        serial__write_byte(out, RDB_SET_INTSET);
        serial__write_string(out, slice_of(s.object, intset_bytes(s.object)), settings);
        return;
    }
    serial__write_byte(out, RDB_SET);
    serial__write_len(out, set_count(&s));
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, &s);
    while (set_next(&it, &m)) {
        serial__write_string(out, set_member_bytes(&m), settings);
    }
    set_iter_end(&it);
}

static bool loaded(struct serial_loaded *out, const struct set *s)
{
    *out = (struct serial_loaded){
        .type = TYPE_SET, .encoding = s->encoding, .object = s->object};
    return true;
}

/* The next string; *blob is the caller's, digits the text of a number. */
static bool read_member(struct serial_reader *r, struct blob **blob, char digits[NUM_INT_CHARS],
                        struct slice *bytes)
{
    int64_t number = 0;
    if (!serial__read_string(r, blob, &number)) {
        return false;
    }
    *bytes = *blob ? slice_of((*blob)->data, (*blob)->len)
                   : slice_of(digits, num_format_int(digits, number));
    return bytes->len <= UINT32_MAX;
}

bool serial__load_set(struct serial_reader *r, enum serial_rdb_type type,
                      struct serial_loaded *out)
{
    uint64_t count;
    if (!serial__read_len(r, &count) || count == 0 ||
        count > (uint64_t)(r->end - r->at)) { /* S1: a member takes a byte at least */
        return false;
    }
    struct set s = {.object = NULL};
    bool good = true;
    for (uint64_t i = 0; i < count && good; i++) {
        pause_point(1);
        struct blob *blob = NULL;
        char digits[NUM_INT_CHARS];
        struct slice bytes;
        good = read_member(r, &blob, digits, &bytes);
        if (good) {
            struct set_member m = set_member_of(bytes);
            if (!s.object) {
                s = set_new(bytes, count, r->settings);
            }
            good = set_add(&s, &m, r->settings);
        }
        if (blob) {
            blob_release(blob);
        }
    }
    if (!good && s.object) {
        set_free(&s);
    }
    return good && loaded(out, &s);
}

/* Adds one after the other what lies in a small encoding; false when two are equal. */
static bool add_all(struct set *to, const struct set *from, const struct settings *settings)
{
    struct set_iter it;
    struct set_member m;
    bool good = true;
    set_iter_init(&it, from);
    while (good && set_next(&it, &m)) {
        if (!to->object) {
            *to = set_new(set_member_bytes(&m), set_count(from), settings);
        }
        good = set_add(to, &m, settings);
    }
    set_iter_end(&it);
    if (!good && to->object) {
        set_free(to);
    }
    return good;
}

bool serial__load_set_intset(struct serial_reader *r, enum serial_rdb_type type,
                             struct serial_loaded *out)
{
    struct blob *blob;
    int64_t number;
    if (!serial__read_string(r, &blob, &number) || !blob) {
        return false;
    }
    struct set s = {.object = NULL}, found = {.encoding = ENC_INTSET};
    bool good = intset_validate(blob->data, blob->len) && blob->len > INTSET_HEADER_BYTES;
    if (good) {
        found.object = intset_from_bytes(blob->data, blob->len);
        if ((int64_t)intset_count(found.object) <= r->settings->set_max_intset_entries) {
            s = found;
        } else {
            good = add_all(&s, &found, r->settings);
            set_free(&found);
        }
    }
    blob_release(blob);
    return good && loaded(out, &s);
}

bool serial__load_set_listpack(struct serial_reader *r, enum serial_rdb_type type,
                               struct serial_loaded *out)
{
    struct blob *blob;
    int64_t number;
    if (!serial__read_string(r, &blob, &number) || !blob) {
        return false;
    }
    struct set s = {.object = NULL}, found = {.encoding = ENC_LISTPACK};
    bool good = listpack_validate(blob->data, blob->len);
    if (good) {
        found.object = listpack_from_bytes(blob->data, blob->len);
        good = found.object != NULL;
    }
    if (good) {
        good = listpack_count(found.object) > 0 && add_all(&s, &found, r->settings);
        set_free(&found);
    }
    blob_release(blob);
    return good && loaded(out, &s);
}
