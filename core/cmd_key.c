/* cmd_key.c - keys as a whole: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE.
 *
 * The counting commands go over c->keys only, which in a part (CALL_PART) are those of this shard.
 * The commands over two keys read as on one thread: when the keys lie apart, the slots have been
 * lent to whoever runs this (command.h, APART_LEND). Renaming and moving hand the entry over, so a
 * huge value costs what a small one costs. */
#include "core/cmd_generic.h"
#include "core/pause.h"
#include "core/set.h"
#include "core/list.h"
#include "core/hash_value.h"
#include "core/zset.h"
#include "core/stream.h"

/* --- DEL, UNLINK, EXISTS, TOUCH --- */

static void delete_all(struct call *c)
{
    int64_t deleted = 0;
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        const struct key *k = &c->keys[i];
        struct entry *e = key_write(c, k);
        if (e) {
            key_delete(c, k, e);
            key_modified(c, k, 1);
            key_event(c, EVENT_GENERIC, "del", k);
            deleted++;
        }
    }
    reply_int(c->out, deleted);
}

void cmd_del(struct call *c)
{
    delete_all(c);
}

/* Freeing is sliced in any case, so there is no difference left. */
void cmd_unlink(struct call *c)
{
    delete_all(c);
}

struct entry *cmd__read_untouched(struct call *c, const struct key *k)
{
    const uint32_t flags = c->flags;
    c->flags |= CALL_NO_TOUCH;
    struct entry *e = key_read(c, k);
    c->flags = flags;
    return e;
}

void cmd_exists(struct call *c)
{
    int64_t found = 0;
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        found += cmd__read_untouched(c, &c->keys[i]) != NULL;
    }
    reply_int(c->out, found);
}

/* Asks for the access clock to be refreshed, so it is even under CLIENT NO-TOUCH. */
void cmd_touch(struct call *c)
{
    int64_t found = 0;
    const uint32_t flags = c->flags;
    c->flags &= ~(uint32_t)CALL_NO_TOUCH;
    for (uint32_t i = 0; i < c->nkeys; i++) {
        pause_point(1);
        found += key_read(c, &c->keys[i]) != NULL;
    }
    c->flags = flags;
    reply_int(c->out, found);
}

/* --- TYPE --- */

const char *cmd__type_name(enum value_type type)
{
    static const char *const names[TYPE_COUNT] = {
        [TYPE_STRING] = "string", [TYPE_LIST] = "list", [TYPE_SET] = "set",
        [TYPE_ZSET] = "zset",     [TYPE_HASH] = "hash", [TYPE_STREAM] = "stream",
    };
    assert(type < TYPE_COUNT);
    return names[type];
}

void cmd_type(struct call *c)
{
    const struct entry *e = cmd__read_untouched(c, &c->keys[0]);
    reply_status(c->out, e ? cmd__type_name(e->type) : "none");
}

/* --- RENAME, RENAMENX --- */

static bool same_key(const struct key *a, const struct key *b)
{
    return slice_equal(slice_of(a->ptr, a->len), slice_of(b->ptr, b->len));
}

static void rename_key(struct call *c, bool only_if_absent)
{
    const struct key *from = &c->keys[0], *to = &c->keys[1];
    struct entry *e = key_write(c, from);
    if (!e) {
        call_error_no_key(c);
        return;
    }
    struct entry *overwritten = same_key(from, to) ? e : key_write(c, to);
    if (overwritten && only_if_absent) {
        reply_int(c->out, 0);
        return;
    }
    if (overwritten == e) {
        reply_ok(c->out);
        return;
    }
    if (overwritten) {
        key_delete(c, to, overwritten);
    }
    key_attach(c, to, key_detach(c, from, e));
    key_modified(c, from, 1);
    key_modified(c, to, 0);
    key_event(c, EVENT_GENERIC, "rename_from", from);
    key_event(c, EVENT_GENERIC, "rename_to", to);
    if (only_if_absent) {
        reply_int(c->out, 1);
    } else {
        reply_ok(c->out);
    }
}

void cmd_rename(struct call *c)
{
    rename_key(c, false);
}

void cmd_renamenx(struct call *c)
{
    rename_key(c, true);
}

/* --- COPY --- */

#define ERROR_SAME_OBJECT "ERR source and destination objects are the same"

/* A database's number in argv[i]; replies and returns false when there is none such. */
static bool parse_db(struct call *c, uint32_t i, int *db)
{
    int64_t v;
    if (!call_arg_range(c, i, INT32_MIN, INT32_MAX, &v, NULL)) {
        return false;
    }
    if (v < 0 || v >= c->ks->databases) {
        reply_error(c->out, "ERR DB index is out of range");
        return false;
    }
    *db = (int)v;
    return true;
}

/* The same call in another database, with a count of changes of its own (to be added to c's). */
static struct call call_in_db(const struct call *c, int db)
{
    struct call there = key_call_in_db(c, db);
    there.dirty = 0;
    return there;
}

/* Stores a copy of from's value under k, in place of present (or NULL). */
typedef struct entry *copy_value(struct call *c, const struct key *k, struct entry *present,
                                 const struct entry *from);

static struct entry *copy_string(struct call *c, const struct key *k, struct entry *present,
                                 const struct entry *from)
{
    if (from->encoding == ENC_INT) {
        return key_set_int(c, k, present, entry_int(from), false);
    }
    if (from->encoding == ENC_BLOB) { /* shared: whoever changes it first makes a copy of its own */
        struct blob *b = entry_object(from);
        blob_hold(b);
        return key_set_blob(c, k, present, b, false);
    }
    char buf[24];
    const struct slice value = entry_string(from, buf);
    if (from->flags & ENTRY_RAW) { /* stays "raw", and text even if it reads as a number */
        return key_set_blob(c, k, present, blob_new(value.ptr, value.len, value.len), false);
    }
    return key_set_string(c, k, present, value, false);
}

static struct entry *copy_set(struct call *c, const struct key *k, struct entry *present,
                              const struct entry *from)
{
    const struct set source = set_of(from), copy = set_copy(&source);
    return key_set_object(c, k, present, TYPE_SET, copy.encoding, copy.object, false);
}

static struct entry *copy_list(struct call *c, const struct key *k, struct entry *present,
                               const struct entry *from)
{
    const struct list_value copy = list_copy(list_of(from));
    return key_set_object(c, k, present, TYPE_LIST, copy.encoding, copy.object, false);
}

static struct entry *copy_hash(struct call *c, const struct key *k, struct entry *present,
                               const struct entry *from)
{
    const struct hash_value original = hash_value_of(from);
    const struct hash_value copy = hash_value_copy(&original);
    return key_set_object(c, k, present, TYPE_HASH, copy.encoding, copy.object, false);
}

static struct entry *copy_zset(struct call *c, const struct key *k, struct entry *present,
                               const struct entry *from)
{
    const struct zset source = zset_of(from), copy = zset_copy(&source);
    return key_set_object(c, k, present, TYPE_ZSET, copy.encoding, copy.object, false);
}

static struct entry *copy_stream(struct call *c, const struct key *k, struct entry *present,
                                 const struct entry *from)
{
    return key_set_object(c, k, present, TYPE_STREAM, ENC_TREE, stream_copy(entry_object(from)),
                          false);
}

static copy_value *const copiers[TYPE_COUNT] = {
    [TYPE_STRING] = copy_string,
    [TYPE_SET] = copy_set,
    [TYPE_LIST] = copy_list,
    [TYPE_HASH] = copy_hash,
    [TYPE_ZSET] = copy_zset,
    [TYPE_STREAM] = copy_stream,
};

struct copy_options {
    int db;
    bool replace;
};

static bool parse_copy_options(struct call *c, struct copy_options *o)
{
    *o = (struct copy_options){.db = c->db};
    for (uint32_t i = 3; i < c->argc; i++) {
        if (slice_is(c->argv[i], "replace")) {
            o->replace = true;
        } else if (slice_is(c->argv[i], "db") && i + 1 < c->argc) {
            if (!parse_db(c, ++i, &o->db)) {
                return false;
            }
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct call *c)
{
    const struct key *from = &c->keys[0], *to = &c->keys[1];
    struct copy_options o;
    if (!parse_copy_options(c, &o)) {
        return;
    }
    if (o.db == c->db && same_key(from, to)) {
        reply_error(c->out, ERROR_SAME_OBJECT);
        return;
    }
    const struct entry *e = key_read(c, from);
    if (!e) {
        reply_int(c->out, 0);
        return;
    }
    struct call there = call_in_db(c, o.db);
    struct entry *overwritten = key_write(&there, to);
    if (overwritten && !o.replace) {
        reply_int(c->out, 0);
        return;
    }
    if (overwritten) { /* rather than written over: the copy starts with a clock of its own */
        key_delete(&there, to, overwritten);
    }
    assert(e->type < TYPE_COUNT && copiers[e->type]);
    const int64_t expiry_ms = entry_expiry_ms(e);
    struct entry *copy = copiers[e->type](&there, to, NULL, e);
    if (expiry_ms != -1) {
        key_set_expiry(&there, to, copy, expiry_ms);
    }
    key_modified(&there, to, 1);
    key_event(&there, EVENT_GENERIC, "copy_to", to);
    c->dirty += there.dirty;
    reply_int(c->out, 1);
}

/* --- MOVE --- */

void cmd_move(struct call *c)
{
    const struct key *k = &c->keys[0];
    int db;
    if (!parse_db(c, 2, &db)) {
        return;
    }
    if (db == c->db) {
        reply_error(c->out, ERROR_SAME_OBJECT);
        return;
    }
    struct entry *e = key_write(c, k);
    struct call there = call_in_db(c, db);
    if (!e || key_write(&there, k)) {
        reply_int(c->out, 0);
        return;
    }
    key_attach(&there, k, key_detach(c, k, e));
    key_modified(c, k, 1);
    key_modified(&there, k, 0);
    key_event(c, EVENT_GENERIC, "move_from", k);
    key_event(&there, EVENT_GENERIC, "move_to", k);
    c->dirty += there.dirty;
    reply_int(c->out, 1);
}
