/* cmd_scan.c - whole databases: KEYS, SCAN, RANDOMKEY, DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.
 *
 * Each of these has a part on every shard (SCAN: runs on the shard that its cursor points to) and
 * looks at the slots [c->slot_begin, c->slot_end) only. Where it runs alone (no CALL_PART), that
 * is the whole database and it writes the whole reply.
 *
 * Expired keys are never shown; they are passed over here and deleted by the background cycle. */
#include "core/cmd_generic.h"
#include "core/glob.h"
#include "core/mem.h"
#include <limits.h>

enum {
    KEYS_BATCH = 4096,         /* entries per step of KEYS */
    RANDOM_TRIES_MAX = 100,    /* expired keys that RANDOMKEY draws before it searches instead */
};

static bool is_expired(const struct call *c, const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES) && c->now_ms > entry_expiry_ms(e);
}

static uint64_t slot_cursor(uint32_t slot)
{
    return (uint64_t)slot << SCAN_CURSOR_SLOT_SHIFT;
}

/* --- what KEYS and SCAN choose by --- */

struct filter {
    struct scan_options scan;
    bool any_type;
    int type;         /* enum value_type, -1 for a name that no type has */
};

static void filter_type(struct filter *f, struct slice name)
{
    f->any_type = false;
    f->type = -1;
    for (int type = 0; type < TYPE_COUNT; type++) {
        if (slice_is(name, cmd__type_name(type))) {
            f->type = type;
        }
    }
}

struct collector {
    struct call *c;
    const struct filter *filter;
    bool marks;       /* elements of a part */
    size_t found;
};

static void show(struct collector *to, struct slice name)
{
    reply_bulk(to->c->out, name.ptr, name.len);
    if (to->marks) {
        call_mark(to->c);
    }
    to->found++;
}

static void collect(struct entry *e, void *ctx)
{
    struct collector *to = ctx;
    const struct filter *f = to->filter;
    const struct slice name = entry_key(e);
    if ((!f->any_type && (int)e->type != f->type) || is_expired(to->c, e) ||
        !scan_wants(&f->scan, name)) {
        return;
    }
    show(to, name);
}

/* --- KEYS --- */

/* The one slot that all keys fitting the pattern lie in, -1 when there is no such: the pattern has
 * a hash tag, and nothing up to its end is special. */
static int pattern_slot(struct slice pattern)
{
    size_t open = SIZE_MAX;
    for (size_t i = 0; i < pattern.len; i++) {
        const char ch = pattern.ptr[i];
        if (ch == '*' || ch == '?' || ch == '[' || ch == '\\') {
            return -1;
        }
        if (ch == '{' && open == SIZE_MAX) {
            open = i;
        } else if (ch == '}' && open != SIZE_MAX) {
            return i > open + 1 ? hash_slot(pattern.ptr, i + 1) : -1;
        }
    }
    return -1;
}

/* A pattern that can match one key only is looked up. */
static void collect_literal(struct collector *to)
{
    struct call *c = to->c;
    const struct slice name = to->filter->scan.pattern;
    const struct key k = call_key(c, name.ptr, name.len);
    if (k.slot >= c->slot_begin && k.slot < c->slot_end && key_peek(c, &k)) {
        show(to, name);
    }
}

static void collect_slots(struct collector *to, uint32_t begin, uint32_t end)
{
    struct call *c = to->c;
    for (uint64_t cursor = slot_cursor(begin); cursor < slot_cursor(end);) {
        cursor = keyspace_scan(c->ks, c->db, cursor, end, KEYS_BATCH, collect, to);
    }
}

void cmd_keys(struct call *c)
{
    struct filter filter = {.any_type = true};
    const struct slice pattern = c->argv[1];
    scan_set_pattern(&filter.scan, pattern);
    const bool part = (c->flags & CALL_PART) != 0;
    struct collector to = {.c = c, .filter = &filter, .marks = part};
    struct reply_mark start = {0};
    if (!part) {
        start = reply_deferred(c->out);
    }
    const int slot = pattern_slot(pattern);
    if (glob_is_literal(pattern) && pattern.len <= UINT32_MAX) {
        collect_literal(&to);
    } else if (slot < 0) {
        collect_slots(&to, c->slot_begin, c->slot_end);
    } else if (slot >= c->slot_begin && slot < c->slot_end) {
        collect_slots(&to, (uint32_t)slot, (uint32_t)slot + 1);
    }
    if (!part) {
        reply_deferred_array(c->out, start, to.found);
    }
}

/* --- SCAN --- */

bool scan_cursor_parse(struct slice text, uint64_t *cursor)
{
    size_t at = 0;
    const size_t len = strnlen(text.ptr, text.len); /* a zero byte ends it */
    bool negative = false;
    if (at < len && (text.ptr[at] == '+' || text.ptr[at] == '-')) {
        negative = text.ptr[at++] == '-';
        if (at == len) {
            return false;
        }
    }
    uint64_t v = 0;
    for (; at < len; at++) {
        const unsigned digit = (unsigned)text.ptr[at] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v)) {
            return false;
        }
    }
    *cursor = negative ? -v : v;
    return true;
}

void scan_set_pattern(struct scan_options *o, struct slice pattern)
{
    o->pattern = pattern;
    o->all = pattern.len == 1 && pattern.ptr[0] == '*';
}

bool scan_wants(const struct scan_options *o, struct slice name)
{
    return o->all || glob_match(o->pattern, name, false);
}

bool scan_options_parse(struct call *c, uint32_t at, struct scan_options *o, scan_option *other,
                        void *ctx)
{
    *o = (struct scan_options){.all = true, .count = SCAN_COUNT_DEFAULT};
    for (uint32_t i = at; i < c->argc; i++) {
        const bool has_value = i + 1 < c->argc;
        if (has_value && slice_is(c->argv[i], "count")) {
            if (!call_arg_int(c, ++i, &o->count)) {
                return false;
            }
            if (o->count < 1) {
                call_error_syntax(c);
                return false;
            }
        } else if (has_value && slice_is(c->argv[i], "match")) {
            scan_set_pattern(o, c->argv[++i]);
        } else if (!other || !other(c, &i, ctx)) {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

void scan_reply(struct reply *out, uint64_t cursor, struct reply *elements, size_t count)
{
    reply_array(out, 2);
    reply_bulkf(out, "%llu", (unsigned long long)cursor);
    reply_array(out, count);
    reply_move(out, elements, elements->total_bytes);
    reply_clear(elements);
}

void scan_reply_empty(struct reply *out)
{
    reply_array(out, 2);
    reply_bulk_str(out, "0");
    reply_array(out, 0);
}

static bool option_type(struct call *c, uint32_t *i, void *filter)
{
    if (!slice_is(c->argv[*i], "type") || *i + 1 >= c->argc) {
        return false;
    }
    filter_type(filter, c->argv[++*i]);
    return true;
}

void cmd_scan(struct call *c)
{
    uint64_t cursor;
    struct filter filter = {.any_type = true};
    if (!scan_cursor_parse(c->argv[1], &cursor)) {
        reply_error(c->out, "ERR invalid cursor");
        return;
    }
    if (!scan_options_parse(c, 2, &filter.scan, option_type, &filter)) {
        return;
    }
    const uint64_t slot = cursor >> SCAN_CURSOR_SLOT_SHIFT;
    if (slot < c->slot_begin || slot >= c->slot_end) { /* no cursor that SCAN gave out leads here */
        scan_reply_empty(c->out);
        return;
    }
    struct reply keys, *const out = c->out;
    reply_init(&keys, out->resp);
    struct collector to = {.c = c, .filter = &filter};
    c->out = &keys;
    cursor = keyspace_scan(c->ks, c->db, cursor, c->slot_end, (size_t)filter.scan.count, collect, &to);
    c->out = out;
    if (cursor >= slot_cursor(SLOT_COUNT)) {
        cursor = 0;
    }
    scan_reply(out, cursor, &keys, to.found);
}

/* --- RANDOMKEY --- */

struct first_live {
    const struct call *c;
    const struct entry *entry;
};

static void find_live(struct entry *e, void *ctx)
{
    struct first_live *first = ctx;
    if (!first->entry && !is_expired(first->c, e)) {
        first->entry = e;
    }
}

/* False when it may not be deleted here, because a master decides that. */
static bool delete_expired(struct call *c, const struct entry *e)
{
    const int64_t keys = keyspace_size(c->ks, c->db);
    const struct slice name = entry_key(e);
    char *copy = mem_alloc(name.len + 1); /* looking the key up frees the entry's own bytes */
    memcpy(copy, name.ptr, name.len);
    const struct key k = call_key(c, copy, name.len);
    key_write(c, &k);
    mem_free(copy);
    return keyspace_size(c->ks, c->db) < keys;
}

/* Draws keys; those that have expired are deleted on the way. After many of them it takes the first
 * live one that a scan comes upon. NULL when there is none. */
static const struct entry *random_live(struct call *c)
{
    for (int i = 0; i < RANDOM_TRIES_MAX; i++) {
        const struct entry *e = keyspace_random(c->ks, c->db);
        if (!e || !is_expired(c, e)) {
            return e;
        }
        if (!delete_expired(c, e)) {
            break;
        }
    }
    struct first_live first = {.c = c};
    for (uint64_t at = slot_cursor(c->slot_begin); !first.entry && at < slot_cursor(c->slot_end);) {
        at = keyspace_scan(c->ks, c->db, at, c->slot_end, 1, find_live, &first);
    }
    return first.entry;
}

void cmd_randomkey(struct call *c)
{
    const struct entry *e = random_live(c);
    if (!e) {
        c->weight = 0;
        reply_null(c->out);
        return;
    }
    c->weight = (uint64_t)keyspace_size(c->ks, c->db);
    const struct slice name = entry_key(e);
    reply_bulk(c->out, name.ptr, name.len);
}

/* --- DBSIZE --- */

void cmd_dbsize(struct call *c)
{
    reply_int(c->out, keyspace_size(c->ks, c->db));
}

/* --- FLUSHDB, FLUSHALL --- */

/* SYNC and ASYNC are taken and mean the same: the database is empty at once, and what was in it
 * is freed in slices. */
static bool check_flush_options(struct call *c)
{
    if (c->argc == 1 ||
        (c->argc == 2 && (slice_is(c->argv[1], "sync") || slice_is(c->argv[1], "async")))) {
        return true;
    }
    call_error_syntax(c);
    return false;
}

void cmd_flushdb(struct call *c)
{
    if (!check_flush_options(c)) {
        return;
    }
    c->dirty += (uint64_t)keyspace_size(c->ks, c->db);
    keyspace_flush(c->ks, c->db);
    reply_ok(c->out);
}

void cmd_flushall(struct call *c)
{
    if (!check_flush_options(c)) {
        return;
    }
    for (int db = 0; db < c->ks->databases; db++) {
        c->dirty += (uint64_t)keyspace_size(c->ks, db);
    }
    keyspace_flush(c->ks, -1);
    reply_ok(c->out);
}

/* --- SWAPDB --- */

void cmd_swapdb(struct call *c)
{
    int64_t a, b;
    if (!call_arg_range(c, 1, INT_MIN, INT_MAX, &a, "ERR invalid first DB index") ||
        !call_arg_range(c, 2, INT_MIN, INT_MAX, &b, "ERR invalid second DB index")) {
        return;
    }
    if (a < 0 || b < 0 || a >= c->ks->databases || b >= c->ks->databases) {
        reply_error(c->out, "ERR DB index is out of range");
        return;
    }
    if (a != b) {
        keyspace_swap(c->ks, (int)a, (int)b);
    }
    c->dirty += c->slot_begin == 0; /* one change, counted by one of the parts */
    reply_ok(c->out);
}
