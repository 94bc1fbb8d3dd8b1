/* cmd_hash.c - hash commands on single fields, and how all hash commands open and close their key
 * (cmd_hash.h). */
#include "core/cmd_hash.h"

#include "core/num.h"
#include "core/pause.h"
#include <math.h>

/* --- opening and closing --- */

bool hash__open_read(struct call *c, struct hash_value *h)
{
    bool bad = false;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_HASH, &bad);
    *h = e ? hash_value_of(e) : (struct hash_value){.encoding = ENC_LISTPACK};
    return !bad;
}

/* Puts the handle's address and encoding into the entry; a hash without fields is deleted. */
static void store(struct call *c, struct hash_open *o)
{
    const struct key *k = &c->keys[0];
    if (!o->value.object) {
        return;
    }
    if (!o->e) {
        o->e = key_set_object(c, k, NULL, TYPE_HASH, o->value.encoding, o->value.object, false);
    } else if (o->value.encoding != (enum value_encoding)o->e->encoding ||
               o->value.object != entry_object(o->e) ||
               hash_value_expire_min_ms(&o->value) != INT64_MAX) {
        key_convert(c, k, o->e, o->value.encoding, o->value.object);
    }
    if (hash_value_count(&o->value) == 0) {
        key_delete(c, k, o->e);
        *o = (struct hash_open){.value = {.encoding = ENC_LISTPACK}};
    }
}

static __attribute__((noinline)) void purge(struct call *c, struct hash_open *o)
{
    o->e = key_purge_fields(c, &c->keys[0], o->e, HASH_PURGE_FIELDS);
    o->value = o->e ? hash_value_of(o->e) : (struct hash_value){.encoding = ENC_LISTPACK};
}

bool hash__open_write(struct call *c, struct hash_open *o)
{
    const struct key *k = &c->keys[0];
    bool bad = false;
    o->e = key_write_type(c, k, TYPE_HASH, &bad);
    o->value = o->e ? hash_value_of(o->e) : (struct hash_value){.encoding = ENC_LISTPACK};
    if (__builtin_expect(hash_value_is_due(&o->value, hash__now(c)), 0) &&
        !call_keyspace(c, k)->keep_expired) {
        purge(c, o);
    }
    return !bad;
}

void hash__close(struct call *c, struct hash_open *o, const char *event, uint64_t changes)
{
    const struct key *k = &c->keys[0];
    const bool was_there = o->value.object != NULL;
    store(c, o);
    if (changes > 0) {
        key_modified(c, k, changes);
        key_event(c, EVENT_HASH, event, k);
    }
    if (was_there && !o->e) {
        if (changes == 0) { /* the last field had expired */
            key_modified(c, k, 0);
        }
        key_event(c, EVENT_GENERIC, "del", k);
    }
}

/* --- reading --- */

void hash__reply_value(struct call *c, const struct hash_value *h, struct slice field)
{
    struct hash_element e;
    if (hash_value_get(h, field, hash__now(c), &e)) {
        reply_bulk(c->out, e.value.ptr, e.value.len);
    } else {
        reply_null(c->out);
    }
}

void hash__hget(struct call *c)
{
    struct hash_value h;
    if (hash__open_read(c, &h)) {
        hash__reply_value(c, &h, c->argv[2]);
    }
}

void hash__hmget(struct call *c)
{
    struct hash_value h;
    if (!hash__open_read(c, &h)) {
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        pause_point(1);
        hash__reply_value(c, &h, c->argv[i]);
    }
}

void hash__hlen(struct call *c)
{
    struct hash_value h;
    if (hash__open_read(c, &h)) {
        reply_int(c->out, (int64_t)hash_value_count(&h));
    }
}

void hash__hexists(struct call *c)
{
    struct hash_value h;
    struct hash_element e;
    if (hash__open_read(c, &h)) {
        reply_int(c->out, hash_value_get(&h, c->argv[2], hash__now(c), &e));
    }
}

void hash__hstrlen(struct call *c)
{
    struct hash_value h;
    struct hash_element e;
    if (hash__open_read(c, &h)) {
        const bool there = hash_value_get(&h, c->argv[2], hash__now(c), &e);
        reply_int(c->out, there ? (int64_t)e.value.len : 0);
    }
}

/* --- setting --- */

/* HSET and HMSET; false when they replied an error. */
static bool set_pairs(struct call *c, int64_t *added)
{
    struct hash_open o;
    if (c->argc % 2 != 0) {
        call_error_arity(c);
        return false;
    }
    if (!hash__open_write(c, &o)) {
        return false;
    }
    *added = 0;
    for (uint32_t i = 2; i < c->argc; i += 2) {
        pause_point(1);
        hash_value_drop_expired(&o.value, c->argv[i], hash__now(c));
        *added += hash_value_put(&o.value, c->argv[i], c->argv[i + 1], false, c->ks->settings);
    }
    hash__close(c, &o, "hset", (c->argc - 2) / 2);
    return true;
}

void hash__hset(struct call *c)
{
    int64_t added;
    if (set_pairs(c, &added)) {
        reply_int(c->out, added);
    }
}

void hash__hmset(struct call *c)
{
    int64_t added;
    if (set_pairs(c, &added)) {
        reply_ok(c->out);
    }
}

void hash__hsetnx(struct call *c)
{
    struct hash_open o;
    struct hash_element e;
    if (!hash__open_write(c, &o)) {
        return;
    }
    if (hash_value_get(&o.value, c->argv[2], hash__now(c), &e)) {
        hash__close(c, &o, NULL, 0);
        reply_int(c->out, 0);
        return;
    }
    hash_value_drop_expired(&o.value, c->argv[2], hash__now(c));
    hash_value_put(&o.value, c->argv[2], c->argv[3], false, c->ks->settings);
    hash__close(c, &o, "hset", 1);
    reply_int(c->out, 1);
}

void hash__hdel(struct call *c)
{
    struct hash_open o;
    uint64_t deleted = 0;
    if (!hash__open_write(c, &o)) {
        return;
    }
    for (uint32_t i = 2; o.value.object && i < c->argc; i++) {
        pause_point(1);
        hash_value_drop_expired(&o.value, c->argv[i], hash__now(c));
        deleted += hash_value_remove(&o.value, c->argv[i]);
    }
    hash__close(c, &o, "hdel", deleted);
    reply_int(c->out, (int64_t)deleted);
}

/* --- numbers: the field's expiry stays --- */

/* The field, opened to be changed; *there says whether it has a value. */
static bool open_number(struct call *c, struct hash_open *o, struct hash_element *e, bool *there)
{
    if (!hash__open_write(c, o)) {
        return false;
    }
    hash_value_drop_expired(&o->value, c->argv[2], hash__now(c));
    *there = hash_value_get(&o->value, c->argv[2], hash__now(c), e);
    return true;
}

static void close_with_error(struct call *c, struct hash_open *o, const char *error)
{
    hash__close(c, o, NULL, 0);
    reply_error(c->out, error);
}

void hash__hincrby(struct call *c)
{
    struct hash_open o;
    struct hash_element e;
    int64_t by, value = 0;
    bool there;
    if (!call_arg_int(c, 3, &by) || !open_number(c, &o, &e, &there)) {
        return;
    }
    if (there && !num_parse_int(e.value.ptr, e.value.len, &value)) {
        close_with_error(c, &o, "ERR hash value is not an integer");
        return;
    }
    if (__builtin_add_overflow(value, by, &value)) {
        close_with_error(c, &o, "ERR increment or decrement would overflow");
        return;
    }
    char digits[NUM_INT_CHARS];
    const struct slice text = slice_of(digits, num_format_int(digits, value));
    hash_value_put(&o.value, c->argv[2], text, true, c->ks->settings);
    hash__close(c, &o, "hincrby", 1);
    reply_int(c->out, value);
}

void hash__hincrbyfloat(struct call *c)
{
    struct hash_open o;
    struct hash_element e;
    long double by, value = 0;
    bool there;
    if (!num_parse_long_double(c->argv[3].ptr, c->argv[3].len, &by)) {
        call_error_float(c);
        return;
    }
    if (isnan(by) || isinf(by)) {
        reply_error(c->out, "ERR value is NaN or Infinity");
        return;
    }
    if (!open_number(c, &o, &e, &there)) {
        return;
    }
    if (there && !num_parse_long_double(e.value.ptr, e.value.len, &value)) {
        close_with_error(c, &o, "ERR hash value is not a float");
        return;
    }
    value += by;
    if (isnan(value) || isinf(value)) {
        close_with_error(c, &o, "ERR increment would produce NaN or Infinity");
        return;
    }
    char digits[NUM_LONG_DOUBLE_CHARS];
    const struct slice text = slice_of(digits, num_format_long_double(digits, value));
    hash_value_put(&o.value, c->argv[2], text, true, c->ks->settings);
    hash__close(c, &o, "hincrbyfloat", 1);
    reply_bulk(c->out, text.ptr, text.len);
}
