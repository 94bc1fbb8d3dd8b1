/* cmd_string_change.c - string commands that work on part of a value (APPEND, SETRANGE, GETRANGE)
 * and on numbers (INCR …).
 *
 * A value that APPEND or SETRANGE has touched becomes a blob with room to grow: as much again as
 * it is long, STRING_ROOM_MAX at most. So n appended bytes cost O(n) copies until then, and few
 * afterwards. Its memory is asked for, not taken: a client that names an absurd offset gets an
 * error.
 *
 * An integer is changed where it stands. */
#include "core/cmd_string.h"

#include "core/num.h"
#include <math.h>

enum { STRING_ROOM_MAX = 1 << 20 };

/* Would a string of at + len bytes be too long? Replies if so. */
static bool check_length(struct call *c, size_t at, size_t len)
{
    size_t total;
    if (c->flags & CALL_FROM_MASTER) {
        return true;
    }
    if (__builtin_add_overflow(at, len, &total) || total > INT64_MAX ||
        (int64_t)total > c->ks->settings->proto_max_bulk_len) {
        reply_error(c->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return false;
    }
    return true;
}

static size_t with_room(size_t len)
{
    return len < STRING_ROOM_MAX ? len * 2 : len + STRING_ROOM_MAX;
}

static void error_memory(struct call *c)
{
    reply_error(c->out, "OOM not enough memory for a string of that size");
}

struct blob *string__blob_to_change(struct call *c, const struct key *k, struct entry *e, size_t len)
{
    struct blob *b;
    if (e->encoding == ENC_BLOB) {
        b = entry_object(e);
        b = blob_own(b, len <= b->cap ? len : with_room(len));
        if (b) {
            entry_set_object(e, b);
            e->flags |= ENTRY_RAW;
        }
    } else {
        char digits[24];
        struct slice old = entry_string(e, digits);
        b = blob_try_new(old.ptr, old.len, with_room(len));
        if (b) {
            key_set_blob(c, k, e, b, true);
        }
    }
    if (!b) {
        error_memory(c);
    }
    return b;
}

static size_t string_len(const struct entry *e)
{
    char digits[24];
    return entry_string(e, digits).len;
}

void string__append(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct slice more = c->argv[2];
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    size_t total = more.len;
    if (!e) {
        key_set_string(c, k, NULL, more, false);
    } else {
        size_t old = string_len(e);
        if (!check_length(c, old, more.len)) {
            return;
        }
        total = old + more.len;
        struct blob *b = string__blob_to_change(c, k, e, total);
        if (!b) {
            return;
        }
        memcpy(b->data + old, more.ptr, more.len);
        b->len = total;
    }
    string__changed(c, k, "append");
    reply_int(c->out, (int64_t)total);
}

struct blob *string__blob_zeroes(struct call *c, const struct key *k, size_t len)
{
    struct blob *b = blob_try_new(NULL, len, len);
    if (b) {
        key_set_blob(c, k, NULL, b, false);
    } else {
        error_memory(c);
    }
    return b;
}

void string__setrange(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct slice value = c->argv[3];
    int64_t offset;
    bool bad = false;
    if (!call_arg_int(c, 2, &offset)) {
        return;
    }
    if (offset < 0) {
        reply_error(c->out, "ERR offset is out of range");
        return;
    }
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    size_t old = e ? string_len(e) : 0;
    if (value.len == 0) {
        reply_int(c->out, (int64_t)old);
        return;
    }
    if (!check_length(c, (size_t)offset, value.len)) {
        return;
    }

    size_t at = (size_t)offset, end = at + value.len;
    struct blob *b = e ? string__blob_to_change(c, k, e, end > old ? end : old)
                       : string__blob_zeroes(c, k, end);
    if (!b) {
        return;
    }
    if (at > old && e) {
        memset(b->data + old, 0, at - old);
    }
    memcpy(b->data + at, value.ptr, value.len);
    b->len = end > old ? end : old;
    string__changed(c, k, "setrange");
    reply_int(c->out, (int64_t)b->len);
}

/* From and to (inclusive) as clients write them, negative from the end, as a part of len bytes.
 * False when nothing is left. */
static bool clip_range(int64_t from, int64_t to, size_t len, size_t *at, size_t *count)
{
    int64_t size = (int64_t)len;
    if (from < 0 && to < 0 && from > to) {
        return false;
    }
    from = from < 0 ? from + size : from;
    to = to < 0 ? to + size : to;
    from = from < 0 ? 0 : from;
    to = to < 0 ? 0 : to;
    to = to >= size ? size - 1 : to;
    if (from > to) {
        return false;
    }
    *at = (size_t)from;
    *count = (size_t)(to - from) + 1;
    return true;
}

void string__getrange(struct call *c)
{
    int64_t from, to;
    bool bad = false;
    if (!call_arg_int(c, 2, &from) || !call_arg_int(c, 3, &to)) {
        return;
    }
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    char digits[24];
    struct slice value = e ? entry_string(e, digits) : slice_of("", 0);
    size_t at, count;
    if (!clip_range(from, to, value.len, &at, &count)) {
        reply_bulk(c->out, "", 0);
    } else if (e->encoding == ENC_BLOB && count >= REPLY_REF_MIN) {
        struct blob *b = entry_object(e);
        blob_hold(b);
        reply_bulk_ref(c->out, b->data + at, count, blob_release, b);
    } else {
        reply_bulk(c->out, value.ptr + at, count);
    }
}

/* --- numbers --- */

static void increment(struct call *c, int64_t by)
{
    const struct key *k = &c->keys[0];
    int64_t value = 0;
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (e && e->encoding == ENC_INT) {
        value = entry_int(e);
    } else if (e) {
        char digits[24];
        struct slice text = entry_string(e, digits);
        if (!num_parse_int(text.ptr, text.len, &value)) {
            call_error_integer(c);
            return;
        }
    }
    if (__builtin_add_overflow(value, by, &value)) {
        reply_error(c->out, "ERR increment or decrement would overflow");
        return;
    }
    if (e && e->encoding == ENC_INT) {
        entry_set_int(e, value);
    } else {
        key_set_int(c, k, e, value, true);
    }
    string__changed(c, k, "incrby");
    reply_int(c->out, value);
}

void string__incr(struct call *c)
{
    increment(c, 1);
}

void string__decr(struct call *c)
{
    increment(c, -1);
}

void string__incrby(struct call *c)
{
    int64_t by;
    if (call_arg_int(c, 2, &by)) {
        increment(c, by);
    }
}

void string__decrby(struct call *c)
{
    int64_t by;
    if (!call_arg_int(c, 2, &by)) {
        return;
    }
    if (by == INT64_MIN) { /* has no opposite */
        reply_error(c->out, "ERR decrement would overflow");
        return;
    }
    increment(c, -by);
}

void string__incrbyfloat(struct call *c)
{
    const struct key *k = &c->keys[0];
    long double value = 0, by;
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (e && e->encoding == ENC_INT) {
        value = (long double)entry_int(e);
    } else if (e) {
        char digits[24];
        struct slice text = entry_string(e, digits);
        if (!num_parse_long_double(text.ptr, text.len, &value)) {
            call_error_float(c);
            return;
        }
    }
    if (!num_parse_long_double(c->argv[2].ptr, c->argv[2].len, &by)) {
        call_error_float(c);
        return;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        reply_error(c->out, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUM_LONG_DOUBLE_CHARS];
    size_t len = num_format_long_double(text, value);
    key_set_string(c, k, e, slice_of(text, len), true);
    string__changed(c, k, "incrbyfloat");
    reply_bulk(c->out, text, len);
}
