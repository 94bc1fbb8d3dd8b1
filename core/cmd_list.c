/* cmd_list.c - the list commands (list.h says how lists are kept).
 *
 * A command that changes a list opens it (struct open_list: a copy of what the entry holds, with
 * the rules of the moment), changes the copy, and closes it: what has become of the list, its
 * encoding and its address, goes back to the entry, or the key goes when nothing is left. */
#include "core/cmd_list.h"

#include "core/list.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"

struct open_list {
    const struct key *k;
    struct entry *e; /* NULL: absent */
    struct list_value v;
    struct list_rules rules;
};

/* False when the key is of another type, which has been replied. */
static bool open_list(struct call *c, const struct key *k, struct open_list *o)
{
    bool bad = false;
    o->k = k;
    o->e = key_write_type(c, k, TYPE_LIST, &bad);
    if (bad) {
        return false;
    }
    o->rules = list_rules_of(c->ks->settings);
    if (o->e) {
        o->v = list_of(o->e);
    }
    return true;
}

static void store(struct call *c, struct open_list *o)
{
    if (o->v.object != entry_object(o->e) || o->v.encoding != o->e->encoding) {
        key_convert(c, o->k, o->e, o->v.encoding, o->v.object);
    }
}

/* After something was added. */
static void close_grown(struct call *c, struct open_list *o)
{
    if (o->e) {
        store(c, o);
    } else {
        o->e = key_set_object(c, o->k, NULL, TYPE_LIST, o->v.encoding, o->v.object, false);
    }
}

/* After something was deleted: the key goes if that was all. */
static void close_shrunk(struct call *c, struct open_list *o)
{
    if (list_count(o->v) > 0) {
        list_settle_encoding(&o->v, &o->rules, true);
        store(c, o);
        return;
    }
    store(c, o);
    key_delete(c, o->k, o->e);
    key_event(c, EVENT_GENERIC, "del", o->k);
}

static void reply_element(struct call *c, const struct list_element *e)
{
    if (!e->ptr) {
        reply_bulk_int(c->out, e->number);
    } else if (e->blob && e->len >= REPLY_REF_MIN) {
        blob_hold(e->blob);
        reply_bulk_ref(c->out, e->ptr, e->len, blob_release, e->blob);
    } else {
        reply_bulk(c->out, e->ptr, e->len);
    }
}

/* n elements from index on, in the order asked for. */
static void reply_elements(struct call *c, struct list_value v, uint64_t index, uint64_t n,
                           bool reverse)
{
    struct list_iter it;
    struct list_element e;
    list_iter_init(&it, v, index, reverse);
    for (; n > 0; n--) {
        pause_point(1);
        bool there = list_iter_next(&it, &e);
        assert(there);
        reply_element(c, &e);
    }
    list_iter_end(&it);
}

/* --- LPUSH, RPUSH, LPUSHX, RPUSHX --- */

static void push(struct call *c, enum list_end end, bool only_if_present)
{
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e) {
        if (only_if_present) {
            reply_int(c->out, 0);
            return;
        }
        o.v = list_new();
    }
    const uint32_t n = c->argc - 2;
    list_push_all(&o.v, &o.rules, end, c->argv + 2, n);
    close_grown(c, &o);
    reply_int(c->out, (int64_t)list_count(o.v));
    key_modified(c, o.k, n);
    key_event(c, EVENT_LIST, end == LIST_HEAD ? "lpush" : "rpush", o.k);
}

void list__lpush(struct call *c)
{
    push(c, LIST_HEAD, false);
}

void list__rpush(struct call *c)
{
    push(c, LIST_TAIL, false);
}

void list__lpushx(struct call *c)
{
    push(c, LIST_HEAD, true);
}

void list__rpushx(struct call *c)
{
    push(c, LIST_TAIL, true);
}

/* --- LPOP, RPOP, LMPOP --- */

static const char *pop_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpop" : "rpop";
}

/* n elements at an end are gone. */
static void popped(struct call *c, struct open_list *o, enum list_end end, uint64_t n)
{
    key_event(c, EVENT_LIST, pop_event(end), o->k);
    close_shrunk(c, o);
    key_modified(c, o->k, n);
}

/* Replies up to n elements as an array, the one at the end first, and deletes them. */
static void pop_array(struct call *c, struct open_list *o, enum list_end end, uint64_t n)
{
    const uint64_t count = list_count(o->v);
    n = n < count ? n : count;
    reply_array(c->out, n);
    reply_elements(c, o->v, end == LIST_HEAD ? 0 : count - 1, n, end == LIST_TAIL);
    list_delete(&o->v, &o->rules, end == LIST_HEAD ? 0 : count - n, n);
    popped(c, o, end, n);
}

/* Replies the element at an end and deletes it. */
static void pop_one(struct call *c, struct open_list *o, enum list_end end)
{
    const uint64_t index = end == LIST_HEAD ? 0 : list_count(o->v) - 1;
    reply_elements(c, o->v, index, 1, false);
    list_delete(&o->v, &o->rules, index, 1);
    popped(c, o, end, 1);
}

static void pop(struct call *c, enum list_end end)
{
    int64_t n = 0;
    if (c->argc > 3) {
        call_error_arity(c);
        return;
    }
    const bool with_count = c->argc == 3;
    if (with_count &&
        !call_arg_range(c, 2, 0, INT64_MAX, &n, "ERR value is out of range, must be positive")) {
        return;
    }
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e && with_count) {
        reply_null_array(c->out);
    } else if (!o.e) {
        reply_null(c->out);
    } else if (!with_count) {
        pop_one(c, &o, end);
    } else if (n == 0) {
        reply_array(c->out, 0);
    } else {
        pop_array(c, &o, end, (uint64_t)n);
    }
}

void list__lpop(struct call *c)
{
    pop(c, LIST_HEAD);
}

void list__rpop(struct call *c)
{
    pop(c, LIST_TAIL);
}

static bool parse_end(struct call *c, struct slice s, enum list_end *end)
{
    if (slice_is(s, "left")) {
        *end = LIST_HEAD;
    } else if (slice_is(s, "right")) {
        *end = LIST_TAIL;
    } else {
        call_error_syntax(c);
        return false;
    }
    return true;
}

struct mpop_options {
    uint32_t keys;
    enum list_end end;
    int64_t count;
};

/* numkeys key … LEFT|RIGHT [COUNT count], from argv[at] on. */
static bool parse_mpop(struct call *c, uint32_t at, struct mpop_options *o)
{
    int64_t keys;
    if (!call_arg_range(c, at, 1, INT64_MAX, &keys, "ERR numkeys should be greater than 0")) {
        return false;
    }
    if (keys >= (int64_t)c->argc - at - 1) {
        call_error_syntax(c);
        return false;
    }
    o->keys = (uint32_t)keys;
    o->count = -1;
    const uint32_t where = at + 1 + o->keys;
    if (!parse_end(c, c->argv[where], &o->end)) {
        return false;
    }
    for (uint32_t i = where + 1; i < c->argc; i += 2) {
        if (o->count != -1 || !slice_is(c->argv[i], "count") || i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!call_arg_range(c, i + 1, 1, INT64_MAX, &o->count,
                            "ERR count should be greater than 0")) {
            return false;
        }
    }
    o->count = o->count == -1 ? 1 : o->count;
    return true;
}

/* Takes from the first key that has a list: count elements, or (-1) one that is not replied in an
 * array of its own. False: no key has one. */
static bool pop_first(struct call *c, enum list_end end, int64_t count)
{
    for (uint32_t i = 0; i < c->nkeys; i++) {
        struct open_list o;
        if (!open_list(c, &c->keys[i], &o)) {
            return true;
        }
        if (!o.e) {
            continue;
        }
        if (!call_claim(c)) {
            return true;
        }
        reply_array(c->out, 2);
        reply_bulk(c->out, o.k->ptr, o.k->len);
        if (count == -1) {
            pop_one(c, &o, end);
        } else {
            pop_array(c, &o, end, (uint64_t)count);
        }
        return true;
    }
    return false;
}

void list__lmpop(struct call *c)
{
    struct mpop_options options;
    if (!parse_mpop(c, 1, &options)) {
        return;
    }
    if (c->nkeys != options.keys) { /* who found the keys counted otherwise */
        call_error_syntax(c);
        return;
    }
    if (!pop_first(c, options.end, options.count)) {
        reply_null_array(c->out);
    }
}

/* --- BLPOP, BRPOP, BLMPOP --- */

static void pop_or_wait(struct call *c, enum list_end end, int64_t count, int64_t timeout_ms)
{
    if (pop_first(c, end, count)) {
        return;
    }
    if (call_may_block(c)) {
        call_block(c, WAIT_LIST, c->nkeys, timeout_ms, NULL);
    } else {
        reply_null_array(c->out);
    }
}

void list__blpop(struct call *c)
{
    int64_t timeout_ms;
    if (call_arg_timeout(c, c->argc - 1, &timeout_ms)) {
        pop_or_wait(c, LIST_HEAD, -1, timeout_ms);
    }
}

void list__brpop(struct call *c)
{
    int64_t timeout_ms;
    if (call_arg_timeout(c, c->argc - 1, &timeout_ms)) {
        pop_or_wait(c, LIST_TAIL, -1, timeout_ms);
    }
}

void list__blmpop(struct call *c)
{
    struct mpop_options options;
    int64_t timeout_ms;
    if (!parse_mpop(c, 2, &options) || !call_arg_timeout(c, 1, &timeout_ms)) {
        return;
    }
    if (c->nkeys != options.keys && !(c->flags & CALL_SERVING)) {
        call_error_syntax(c);
        return;
    }
    pop_or_wait(c, options.end, options.count, timeout_ms);
}

/* --- LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH --- */

/* An element taken out of its list. */
struct held_element {
    struct slice s;
    struct blob *blob; /* to be released */
    char *copy;        /* to be freed */
    char small[256];
};

static void hold_element(struct list_value v, uint64_t index, struct held_element *h)
{
    struct list_iter it;
    struct list_element e;
    list_iter_init(&it, v, index, false);
    bool there = list_iter_next(&it, &e);
    assert(there);
    h->blob = e.blob;
    h->copy = NULL;
    if (e.blob) {
        blob_hold(e.blob);
        h->s = slice_of(e.ptr, e.len);
    } else if (!e.ptr) {
        h->s = slice_of(h->small, num_format_int(h->small, e.number));
    } else {
        h->copy = e.len <= sizeof h->small ? NULL : mem_alloc(e.len);
        char *to = h->copy ? h->copy : h->small;
        memcpy(to, e.ptr, e.len);
        h->s = slice_of(to, e.len);
    }
    list_iter_end(&it);
}
static_assert(sizeof((struct held_element){0}.small) >= NUM_INT_CHARS, "numbers fit");

static void drop_element(struct held_element *h)
{
    if (h->blob) {
        blob_release(h->blob);
    }
    mem_free(h->copy);
}

/* False: the source is absent. */
static bool move(struct call *c, enum list_end from, enum list_end to)
{
    struct open_list source, other, *target = &other;
    if (!open_list(c, &c->keys[0], &source)) {
        return true;
    }
    if (!source.e) {
        return false;
    }
    if (!call_claim(c)) {
        return true;
    }
    if (slice_equal(slice_of(c->keys[0].ptr, c->keys[0].len),
                    slice_of(c->keys[1].ptr, c->keys[1].len))) {
        target = &source;
    } else if (!open_list(c, &c->keys[1], target)) {
        return true;
    } else if (!target->e) {
        target->v = list_new();
    }

    struct held_element element;
    const uint64_t index = from == LIST_HEAD ? 0 : list_count(source.v) - 1;
    hold_element(source.v, index, &element);
    list_delete(&source.v, &source.rules, index, 1);
    list_push_all(&target->v, &target->rules, to, &element.s, 1);
    reply_bulk(c->out, element.s.ptr, element.s.len);
    drop_element(&element);

    close_grown(c, target);
    key_modified(c, target->k, 0);
    key_event(c, EVENT_LIST, to == LIST_HEAD ? "lpush" : "rpush", target->k);
    popped(c, &source, from, 1);
    return true;
}

static void move_or_null(struct call *c, enum list_end from, enum list_end to)
{
    if (!move(c, from, to)) {
        reply_null(c->out);
    }
}

/* Waits for the source alone. */
static void move_or_wait(struct call *c, enum list_end from, enum list_end to, int64_t timeout_ms)
{
    if (!call_may_block(c)) {
        move_or_null(c, from, to);
    } else if (!move(c, from, to)) {
        call_block(c, WAIT_LIST, 1, timeout_ms, NULL);
    }
}

void list__lmove(struct call *c)
{
    enum list_end from, to;
    if (parse_end(c, c->argv[3], &from) && parse_end(c, c->argv[4], &to)) {
        move_or_null(c, from, to);
    }
}

void list__rpoplpush(struct call *c)
{
    move_or_null(c, LIST_TAIL, LIST_HEAD);
}

void list__blmove(struct call *c)
{
    enum list_end from, to;
    int64_t timeout_ms;
    if (parse_end(c, c->argv[3], &from) && parse_end(c, c->argv[4], &to) &&
        call_arg_timeout(c, 5, &timeout_ms)) {
        move_or_wait(c, from, to, timeout_ms);
    }
}

void list__brpoplpush(struct call *c)
{
    int64_t timeout_ms;
    if (call_arg_timeout(c, 3, &timeout_ms)) {
        move_or_wait(c, LIST_TAIL, LIST_HEAD, timeout_ms);
    }
}

/* --- LLEN, LINDEX, LRANGE --- */

void list__llen(struct call *c)
{
    bool bad = false;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_LIST, &bad);
    if (!bad) {
        reply_int(c->out, e ? (int64_t)list_count(list_of(e)) : 0);
    }
}

/* An index as clients write it, negative from the end; false when there is no such element. */
static bool find_index(int64_t index, uint64_t count, uint64_t *out)
{
    if (index < 0) {
        index += (int64_t)count;
    }
    *out = (uint64_t)index;
    return index >= 0 && (uint64_t)index < count;
}

void list__lindex(struct call *c)
{
    bool bad = false;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_LIST, &bad);
    if (bad) {
        return;
    }
    int64_t wanted;
    uint64_t index;
    if (!e) {
        reply_null(c->out);
    } else if (call_arg_int(c, 2, &wanted)) {
        if (find_index(wanted, list_count(list_of(e)), &index)) {
            reply_elements(c, list_of(e), index, 1, false);
        } else {
            reply_null(c->out);
        }
    }
}

/* From and to (inclusive), negative from the end, as a part of count elements; false: nothing. */
static bool clip_range(int64_t from, int64_t to, uint64_t count, uint64_t *at, uint64_t *n)
{
    const int64_t size = (int64_t)count;
    from = from < 0 ? from + size : from;
    to = to < 0 ? to + size : to;
    from = from < 0 ? 0 : from;
    to = to >= size ? size - 1 : to;
    if (from > to) {
        return false;
    }
    *at = (uint64_t)from;
    *n = (uint64_t)(to - from) + 1;
    return true;
}

void list__lrange(struct call *c)
{
    int64_t from, to;
    bool bad = false;
    if (!call_arg_int(c, 2, &from) || !call_arg_int(c, 3, &to)) {
        return;
    }
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_LIST, &bad);
    if (bad) {
        return;
    }
    uint64_t at, n;
    if (e && clip_range(from, to, list_count(list_of(e)), &at, &n)) {
        reply_array(c->out, n);
        reply_elements(c, list_of(e), at, n, false);
    } else {
        reply_array(c->out, 0);
    }
}

/* --- LPOS --- */

struct pos_options {
    int64_t rank, count, max_len; /* count -1: not given */
};

static bool parse_pos(struct call *c, struct pos_options *o)
{
    *o = (struct pos_options){.rank = 1, .count = -1};
    for (uint32_t i = 3; i < c->argc; i += 2) {
        const struct slice option = c->argv[i];
        bool good;
        if (i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (slice_is(option, "rank")) {
            good = call_arg_range(c, i + 1, -INT64_MAX, INT64_MAX, &o->rank, NULL);
            if (good && o->rank == 0) {
                reply_error(c->out,
                            "ERR RANK can't be zero: use 1 to start from the first match, 2 from "
                            "the second ... or use negative to start from the end of the list");
                return false;
            }
        } else if (slice_is(option, "count")) {
            good = call_arg_range(c, i + 1, 0, INT64_MAX, &o->count,
                                  "ERR COUNT can't be negative");
        } else if (slice_is(option, "maxlen")) {
            good = call_arg_range(c, i + 1, 0, INT64_MAX, &o->max_len,
                                  "ERR MAXLEN can't be negative");
        } else {
            call_error_syntax(c);
            return false;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Replies the positions found; returns how many. */
static uint64_t find_positions(struct call *c, struct list_value v, const struct pos_options *o)
{
    const bool reverse = o->rank < 0;
    const uint64_t rank = reverse ? 0 - (uint64_t)o->rank : (uint64_t)o->rank;
    const uint64_t count = list_count(v), max_len = o->max_len ? (uint64_t)o->max_len : count;
    const uint64_t wanted = o->count == -1 ? 1 : o->count == 0 ? UINT64_MAX : (uint64_t)o->count;
    const struct list_needle needle = list_needle(c->argv[2]);
    struct list_iter it;
    struct list_element e;
    uint64_t matches = 0, found = 0;
    list_iter_init(&it, v, reverse ? count - 1 : 0, reverse);
    for (uint64_t i = 0; i < max_len && found < wanted && list_iter_next(&it, &e); i++) {
        if (list_element_is(&e, &needle) && ++matches >= rank) {
            reply_int(c->out, (int64_t)(reverse ? count - 1 - i : i));
            found++;
        }
    }
    list_iter_end(&it);
    return found;
}

void list__lpos(struct call *c)
{
    struct pos_options o;
    bool bad = false;
    if (!parse_pos(c, &o)) {
        return;
    }
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_LIST, &bad);
    if (bad) {
        return;
    }
    if (o.count == -1) {
        if (!e || find_positions(c, list_of(e), &o) == 0) {
            reply_null(c->out);
        }
    } else if (!e) {
        reply_array(c->out, 0);
    } else {
        struct reply_mark mark = reply_deferred(c->out);
        reply_deferred_array(c->out, mark, find_positions(c, list_of(e), &o));
    }
}

/* --- LSET, LINSERT, LREM, LTRIM --- */

void list__lset(struct call *c)
{
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e) {
        call_error_no_key(c);
        return;
    }
    int64_t wanted;
    uint64_t index;
    if (!call_arg_int(c, 2, &wanted)) {
        return;
    }
    if (!find_index(wanted, list_count(o.v), &index)) {
        reply_error(c->out, "ERR index out of range");
        return;
    }
    list_prepare(&o.v, &o.rules, &c->argv[3], 1);
    list_replace(&o.v, &o.rules, index, c->argv[3]);
    list_settle_encoding(&o.v, &o.rules, true);
    store(c, &o);
    reply_ok(c->out);
    key_modified(c, o.k, 1);
    key_event(c, EVENT_LIST, "lset", o.k);
}

/* Index of the first element equal to s; false: none. */
static bool find_element(struct list_value v, struct slice s, uint64_t *index)
{
    const struct list_needle needle = list_needle(s);
    struct list_iter it;
    struct list_element e;
    bool found = false;
    list_iter_init(&it, v, 0, false);
    for (*index = 0; list_iter_next(&it, &e); (*index)++) {
        if (list_element_is(&e, &needle)) {
            found = true;
            break;
        }
    }
    list_iter_end(&it);
    return found;
}

void list__linsert(struct call *c)
{
    const bool after = slice_is(c->argv[2], "after");
    if (!after && !slice_is(c->argv[2], "before")) {
        call_error_syntax(c);
        return;
    }
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e) {
        reply_int(c->out, 0);
        return;
    }
    uint64_t index;
    if (!find_element(o.v, c->argv[3], &index)) {
        reply_int(c->out, -1);
        return;
    }
    list_prepare(&o.v, &o.rules, &c->argv[4], 1);
    list_insert(&o.v, &o.rules, index + after, c->argv[4]);
    store(c, &o);
    reply_int(c->out, (int64_t)list_count(o.v));
    key_modified(c, o.k, 1);
    key_event(c, EVENT_LIST, "linsert", o.k);
}

void list__lrem(struct call *c)
{
    int64_t count;
    if (!call_arg_range(c, 2, -INT64_MAX, INT64_MAX, &count, NULL)) {
        return;
    }
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e) {
        reply_int(c->out, 0);
        return;
    }
    const uint64_t max = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    const uint64_t removed =
        list_remove(&o.v, &o.rules, c->argv[3], max, count < 0 ? LIST_TAIL : LIST_HEAD);
    if (removed > 0) {
        key_event(c, EVENT_LIST, "lrem", o.k);
        close_shrunk(c, &o);
        key_modified(c, o.k, removed);
    } else {
        store(c, &o);
    }
    reply_int(c->out, (int64_t)removed);
}

static void cut_away(struct call *c, struct open_list *o, uint64_t index, uint64_t n)
{
    struct list *cut = list_cut(&o->v, &o->rules, index, n);
    if (cut) {
        key_release(c, o->k, TYPE_LIST, ENC_QUICKLIST, cut);
    }
}

void list__ltrim(struct call *c)
{
    int64_t from, to;
    if (!call_arg_int(c, 2, &from) || !call_arg_int(c, 3, &to)) {
        return;
    }
    struct open_list o;
    if (!open_list(c, &c->keys[0], &o)) {
        return;
    }
    if (!o.e) {
        reply_ok(c->out);
        return;
    }
    const uint64_t count = list_count(o.v);
    uint64_t at = count, n = 0;
    if (!clip_range(from, to, count, &at, &n)) {
        at = count;
    }
    cut_away(c, &o, at + n, count - at - n);
    cut_away(c, &o, 0, at);
    key_event(c, EVENT_LIST, "ltrim", o.k);
    close_shrunk(c, &o);
    key_modified(c, o.k, count - n);
    reply_ok(c->out);
}
