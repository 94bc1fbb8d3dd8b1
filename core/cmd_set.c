/* cmd_set.c - commands on one set, and SMOVE between two.
 *
 * What the members are kept in is set.c's business; here stand arguments, replies and events. An
 * empty set is no key: whoever takes the last member deletes it. */
#include "core/cmd_set.h"

#include "core/cmd_scan.h"
#include "core/keyspace_internal.h"
#include "core/pause.h"
#include <assert.h>


static void reply_member(struct call *c, struct set_member *m)
{
    const struct slice bytes = set_member_bytes(m);
    reply_bulk(c->out, bytes.ptr, bytes.len);
}

void set__put_or_delete(struct call *c, const struct key *k, struct entry *e, const struct set *s)
{
    set_put(c, k, e, s);
    if (set_count(s) == 0) {
        key_delete(c, k, e);
    }
}

/* --- SADD, SREM --- */

void set__sadd(struct call *c)
{
    const struct key *k = &c->keys[0];
    const struct settings *settings = c->ks->settings;
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_SET, &bad);
    if (bad) {
        return;
    }
    const uint32_t given = c->argc - 2;
    struct set s;
    if (e) {
        s = set_of(e);
        set_expect(&s, given, settings);
    } else {
        s = set_new(c->argv[2], given, settings);
    }
    uint64_t added = 0;
    for (uint32_t i = 2; i < c->argc; i++) {
        pause_point(1);
        struct set_member m = set_member_of(c->argv[i]);
        added += set_add(&s, &m, settings);
    }
    if (e) {
        set_put(c, k, e, &s);
    } else {
        key_set_object(c, k, NULL, TYPE_SET, s.encoding, s.object, false);
    }
    if (added > 0) {
        key_modified(c, k, added);
        key_event(c, EVENT_SET, "sadd", k);
    }
    reply_int(c->out, (int64_t)added);
}

void set__srem(struct call *c)
{
    const struct key *k = &c->keys[0];
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_SET, &bad);
    if (bad) {
        return;
    }
    uint64_t removed = 0;
    if (e) {
        struct set s = set_of(e);
        bool empty = false;
        for (uint32_t i = 2; i < c->argc && !empty; i++) {
            pause_point(1);
            struct set_member m = set_member_of(c->argv[i]);
            removed += set_remove(&s, &m);
            empty = set_count(&s) == 0;
        }
        set__put_or_delete(c, k, e, &s);
        if (removed > 0) {
            key_modified(c, k, removed);
            key_event(c, EVENT_SET, "srem", k);
        }
        if (empty) {
            key_event(c, EVENT_GENERIC, "del", k);
        }
    }
    reply_int(c->out, (int64_t)removed);
}

/* --- SMOVE --- */

static void move_member(struct call *c, struct entry *source, struct entry *target,
                        struct set_member *m)
{
    const struct key *from = &c->keys[0], *to = &c->keys[1];
    const struct settings *settings = c->ks->settings;
    struct set s = set_of(source);
    if (!set_remove(&s, m)) {
        reply_int(c->out, 0);
        return;
    }
    const bool empty = set_count(&s) == 0;
    set__put_or_delete(c, from, source, &s);
    key_event(c, EVENT_SET, "srem", from);
    if (empty) {
        key_event(c, EVENT_GENERIC, "del", from);
    }
    key_modified(c, from, 1);
    struct set t = target ? set_of(target) : set_new(c->argv[3], 1, settings);
    const bool added = set_add(&t, m, settings);
    if (target) {
        set_put(c, to, target, &t);
    } else {
        key_set_object(c, to, NULL, TYPE_SET, t.encoding, t.object, false);
    }
    if (added) {
        key_modified(c, to, 1);
        key_event(c, EVENT_SET, "sadd", to);
    }
    reply_int(c->out, 1);
}

void set__smove(struct call *c)
{
    struct entry *source = key_write(c, &c->keys[0]), *target = key_write(c, &c->keys[1]);
    if (!source) {
        reply_int(c->out, 0);
        return;
    }
    if (source->type != TYPE_SET || (target && target->type != TYPE_SET)) {
        call_error_wrong_type(c);
        return;
    }
    struct set_member m = set_member_of(c->argv[3]);
    if (source == target) {
        const struct set s = set_of(source);
        reply_int(c->out, set_has(&s, &m));
        return;
    }
    move_member(c, source, target, &m);
}

/* --- SISMEMBER, SMISMEMBER, SCARD, SMEMBERS --- */

void set__sismember(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    bool found = false;
    if (e) {
        const struct set s = set_of(e);
        struct set_member m = set_member_of(c->argv[2]);
        found = set_has(&s, &m);
    }
    reply_int(c->out, found);
}

void set__smismember(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    struct set s = {.object = NULL};
    if (e) {
        s = set_of(e);
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        pause_point(1);
        struct set_member m = set_member_of(c->argv[i]);
        reply_int(c->out, e && set_has(&s, &m));
    }
}

void set__scard(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    int64_t count = 0;
    if (e) {
        const struct set s = set_of(e);
        count = (int64_t)set_count(&s);
    }
    reply_int(c->out, count);
}

static void reply_members(struct call *c, const struct set *s)
{
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, s);
    while (set_next(&it, &m)) {
        reply_member(c, &m);
    }
    set_iter_end(&it);
}

void set__smembers(struct call *c)
{
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_set(c->out, 0);
        return;
    }
    const struct set s = set_of(e);
    reply_set(c->out, set_count(&s));
    reply_members(c, &s);
}

/* --- SPOP --- */

/* Takes count members out, fewer than there are, and replies them. */
static void pop_members(struct call *c, struct set *s, size_t count)
{
    struct keyspace *ks = call_keyspace(c, &c->keys[0]);
    for (; count > 0; count--) {
        pause_point(1);
        struct set_member m;
        set_random(s, keyspace__random, ks, &m);
        reply_member(c, &m);
        const bool removed = set_remove(s, &m);
        assert(removed);
    }
}

static void pop_one(struct call *c)
{
    const struct key *k = &c->keys[0];
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_null(c->out);
        return;
    }
    struct set s = set_of(e);
    pop_members(c, &s, 1);
    const bool empty = set_count(&s) == 0;
    set__put_or_delete(c, k, e, &s);
    key_event(c, EVENT_SET, "spop", k);
    if (empty) {
        key_event(c, EVENT_GENERIC, "del", k);
    }
    key_modified(c, k, 1);
}

static void pop_count(struct call *c)
{
    const struct key *k = &c->keys[0];
    int64_t wanted;
    if (!call_arg_range(c, 2, 0, INT64_MAX, &wanted, "ERR value is out of range, must be positive")) {
        return;
    }
    bool bad;
    struct entry *e = key_write_type(c, k, TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e || wanted == 0) {
        reply_set(c->out, 0);
        return;
    }
    struct set s = set_of(e);
    const size_t size = set_count(&s);
    const bool all = (uint64_t)wanted >= size;
    const size_t count = all ? size : (size_t)wanted;
    reply_set(c->out, count);
    key_event(c, EVENT_SET, "spop", k);
    if (all) {
        reply_members(c, &s);
        key_delete(c, k, e);
        key_event(c, EVENT_GENERIC, "del", k);
    } else {
        pop_members(c, &s, count);
        set_put(c, k, e, &s);
    }
    key_modified(c, k, count);
}

void set__spop(struct call *c)
{
    if (c->argc == 2) {
        pop_one(c);
    } else if (c->argc == 3) {
        pop_count(c);
    } else {
        call_error_syntax(c);
    }
}

/* --- SRANDMEMBER --- */

static void reply_sampled(struct set_member *m, void *ctx)
{
    reply_member(ctx, m);
}

static void random_count(struct call *c)
{
    const struct key *k = &c->keys[0];
    int64_t wanted;
    if (!call_arg_range(c, 2, -INT64_MAX, INT64_MAX, &wanted, NULL)) {
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, k, TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e || wanted == 0) {
        reply_array(c->out, 0);
        return;
    }
    struct keyspace *ks = call_keyspace(c, k);
    const struct set s = set_of(e);
    if (wanted > 0) {
        const size_t size = set_count(&s);
        const size_t count = (uint64_t)wanted < size ? (size_t)wanted : size;
        reply_array(c->out, count);
        set_sample(&s, count, keyspace__random, ks, reply_sampled, c);
        return;
    }
    reply_array(c->out, (size_t)-wanted);
    for (; wanted < 0 && !c->out->over; wanted++) {
        pause_point(1);
        struct set_member m;
        set_random(&s, keyspace__random, ks, &m);
        reply_member(c, &m);
    }
}

void set__srandmember(struct call *c)
{
    if (c->argc == 3) {
        random_count(c);
        return;
    }
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_null(c->out);
        return;
    }
    const struct set s = set_of(e);
    struct set_member m;
    set_random(&s, keyspace__random, call_keyspace(c, &c->keys[0]), &m);
    reply_member(c, &m);
}

/* --- SSCAN --- */

struct sscan {
    struct call *c;
    struct scan_options options;
    size_t found;
};

static void show_scanned(struct set_member *m, void *ctx)
{
    struct sscan *o = ctx;
    if (o->options.all || scan_wants(&o->options, set_member_bytes(m))) {
        reply_member(o->c, m);
        o->found++;
    }
}

void set__sscan(struct call *c)
{
    uint64_t cursor;
    if (!scan_cursor_parse(c->argv[2], &cursor)) {
        reply_error(c->out, "ERR invalid cursor");
        return;
    }
    bool bad;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_SET, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        scan_reply_empty(c->out);
        return;
    }
    struct sscan o = {.c = c};
    if (!scan_options_parse(c, 3, &o.options, NULL, NULL)) {
        return;
    }
    struct reply members, *const out = c->out;
    reply_init(&members, out->resp);
    const struct set s = set_of(e);
    c->out = &members;
    cursor = set_scan(&s, cursor, (size_t)o.options.count, show_scanned, &o);
    c->out = out;
    scan_reply(out, cursor, &members, o.found);
}
