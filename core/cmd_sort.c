/* cmd_sort.c - SORT and SORT_RO: the elements of a list, set or sorted set in another order.
 *
 *   parse ► gather items ► weigh them (BY) ► sort ► LIMIT ► reply or store, with GET's values
 *
 * Items refer to the bytes where they lie: nothing changes them before the result is complete. What
 * is only good for a moment (elements of compressed nodes, digits) is copied to an arena.
 *
 * BY and GET name keys by patterns that the elements fill in: nobody knows them before the command
 * runs, unless the pattern has a {tag} that is the sorted key's. So with such patterns SORT holds
 * all shards whole (command.h, .undeclared): it costs what it looks at, and all others wait for it.
 */
#include "core/cmd_sort.h"

#include "core/hash_value.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/merge_sort.h"
#include "core/pause.h"
#include "core/set.h"
#include "core/zset.h"
#include "core/zset_tree.h"
#include <assert.h>
#include <errno.h>
#include <math.h>

enum { ARENA_CHUNK_BYTES = 16384, NUMBER_TEXT_MAX = 512 };

/* --- bytes that must last for the command --- */

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, cap;
    char data[];
};

struct item {
    struct slice bytes;
    struct slice by;    /* ALPHA; ptr is NULL when there is none */
    double score;       /* otherwise */
};

struct sort {
    struct call *c;
    bool descending, alpha, unsorted;
    int64_t limit_start, limit_count;
    const struct slice *by;     /* NULL: by the elements themselves */
    uint32_t *gets;             /* places in argv of GET's patterns */
    uint32_t gets_count;
    const struct key *store;    /* NULL: reply */
    struct item *items;
    struct ranked *order;      /* the items sorted; NULL: as they are */
    size_t count, cap;
    struct arena_chunk *arena;
    bool bad_number;
};

static struct slice keep(struct sort *s, struct slice bytes)
{
    struct arena_chunk *chunk = s->arena;
    if (!chunk || chunk->cap - chunk->used < bytes.len) {
        const size_t cap = bytes.len > ARENA_CHUNK_BYTES ? bytes.len : ARENA_CHUNK_BYTES;
        chunk = mem_alloc(sizeof *chunk + cap);
        *chunk = (struct arena_chunk){.next = s->arena, .cap = cap};
        s->arena = chunk;
    }
    char *to = chunk->data + chunk->used;
    if (bytes.len > 0) {
        memcpy(to, bytes.ptr, bytes.len);
    }
    chunk->used += bytes.len;
    return slice_of(to, bytes.len);
}

static struct slice keep_int(struct sort *s, int64_t v)
{
    char digits[NUM_INT_CHARS];
    return keep(s, slice_of(digits, num_format_int(digits, v)));
}

static void sort_free(struct sort *s)
{
    while (s->arena) {
        struct arena_chunk *chunk = s->arena;
        s->arena = chunk->next;
        pause_point(PAUSE_FREE_STEP);
        mem_free(chunk);
    }
    pause_free(s->items);
    pause_free(s->order);
    mem_free(s->gets);
}

/* --- options --- */

static bool parse_limit(struct sort *s, uint32_t i)
{
    return call_arg_int(s->c, i, &s->limit_start) && call_arg_int(s->c, i + 1, &s->limit_count);
}

static bool parse_options(struct sort *s, bool may_store)
{
    struct call *c = s->c;
    s->gets = mem_alloc(c->argc * sizeof *s->gets);
    s->limit_count = -1;
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct slice word = c->argv[i];
        const uint32_t left = c->argc - i - 1;
        if (slice_is(word, "asc")) {
            s->descending = false;
        } else if (slice_is(word, "desc")) {
            s->descending = true;
        } else if (slice_is(word, "alpha")) {
            s->alpha = true;
        } else if (slice_is(word, "limit") && left >= 2) {
            if (!parse_limit(s, i + 1)) {
                return false;
            }
            i += 2;
        } else if (may_store && slice_is(word, "store") && left >= 1) {
            assert(c->nkeys == 2);
            s->store = &c->keys[1]; /* sort__find_keys: the last one named */
            i++;
        } else if (slice_is(word, "by") && left >= 1) {
            s->by = &c->argv[++i];
            s->unsorted |= !memchr(s->by->ptr, '*', s->by->len);
        } else if (slice_is(word, "get") && left >= 1) {
            s->gets[s->gets_count++] = ++i;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

int sort__find_keys(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    int n = 1;
    if (max > 0) {
        positions[0] = 1;
    }
    for (uint32_t i = 2; i < argc; i++) {
        if (slice_is(argv[i], "limit")) {
            i += 2;
        } else if (slice_is(argv[i], "by") || slice_is(argv[i], "get")) {
            i++;
        } else if (slice_is(argv[i], "store") && i + 1 < argc) {
            if (max > 1) {
                positions[1] = i + 1;
            }
            n = 2;
            i++;
        }
    }
    return n;
}

int sort__find_keys_ro(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    if (max > 0) {
        positions[0] = 1;
    }
    return 1;
}

/* Whether the keys that a pattern makes may lie in another slot than the sorted key's. They cannot
 * when the pattern's tag stands before anything that is filled in. */
static bool leaves_slot(struct slice pattern, uint16_t slot)
{
    const char *star = memchr(pattern.ptr, '*', pattern.len);
    if (!star) {
        return false; /* names no key at all */
    }
    const char *open = memchr(pattern.ptr, '{', (size_t)(star - pattern.ptr));
    const char *close = open ? memchr(open, '}', (size_t)(star - open)) : NULL;
    bool tagged = close && close > open + 1;
    return !tagged || hash_slot(pattern.ptr, pattern.len) != slot;
}

bool sort__undeclared(const struct slice *argv, uint32_t argc)
{
    const uint16_t slot = hash_slot(argv[1].ptr, argv[1].len);
    for (uint32_t i = 2; i + 1 < argc; i++) {
        if (slice_is(argv[i], "limit")) {
            i += 2;
        } else if (slice_is(argv[i], "store")) {
            i++;
        } else if (slice_is(argv[i], "by") || slice_is(argv[i], "get")) {
            if (leaves_slot(argv[++i], slot)) {
                return true;
            }
        }
    }
    return false;
}

/* --- gathering --- */

static void add_item(struct sort *s, struct slice bytes)
{
    assert(s->count < s->cap);
    s->items[s->count++] = (struct item){.bytes = bytes};
}

static void make_room(struct sort *s, uint64_t count)
{
    s->items = mem_alloc((count > 0 ? count : 1) * sizeof *s->items);
    s->cap = count;
}

static void gather_list(struct sort *s, const struct entry *e, bool reverse)
{
    const struct list_value v = list_of(e);
    const uint64_t count = list_count(v);
    make_room(s, count);
    struct list_iter it;
    struct list_element element;
    list_iter_init(&it, v, reverse ? count - 1 : 0, reverse);
    while (list_iter_next(&it, &element)) {
        add_item(s, element.ptr ? keep(s, slice_of(element.ptr, element.len))
                                : keep_int(s, element.number));
    }
    list_iter_end(&it);
}

static void gather_set(struct sort *s, const struct entry *e)
{
    const struct set set = set_of(e);
    make_room(s, set_count(&set));
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, &set);
    while (set_next(&it, &m)) {
        add_item(s, m.ptr ? slice_of(m.ptr, m.len) : keep_int(s, m.number));
    }
    set_iter_end(&it);
}

static void gather_zset(struct sort *s, const struct entry *e, bool reverse)
{
    const struct zset z = zset_of(e);
    make_room(s, zset_count(&z));
    struct zset_iter it;
    bool more = zset_iter_seek(&it, &z, reverse ? zset_count(&z) - 1 : 0);
    while (more) {
        add_item(s, keep(s, it.name)); /* may lie in the iterator */
        more = reverse ? zset_iter_prev(&it) : zset_iter_next(&it);
    }
}

static void gather(struct sort *s, const struct entry *e)
{
    const bool reverse = s->unsorted && s->descending;
    if (e->type == TYPE_SET) {
        gather_set(s, e);
    } else if (e->type == TYPE_LIST) {
        gather_list(s, e, reverse);
    } else {
        gather_zset(s, e, reverse);
    }
}

/* --- patterns --- */

/* The key that a pattern and an element make, "weight_*" and 5 "weight_5", and the field behind
 * "->", if there is one. */
static struct slice fill_in(struct sort *s, struct slice pattern, struct slice element,
                            struct slice *field)
{
    const char *star = memchr(pattern.ptr, '*', pattern.len);
    const char *end = pattern.ptr + pattern.len, *rest = star + 1;
    const char *arrow = memmem(rest, (size_t)(end - rest), "->", 2);
    *field = slice_of(NULL, 0);
    if (arrow && arrow + 2 < end) {
        *field = slice_of(arrow + 2, (size_t)(end - arrow - 2));
        end = arrow;
    }
    const size_t before = (size_t)(star - pattern.ptr), behind = (size_t)(end - rest);
    char *key = mem_alloc(before + element.len + behind + 1);
    memcpy(key, pattern.ptr, before);
    memcpy(key + before, element.ptr, element.len);
    memcpy(key + before + element.len, rest, behind);
    return slice_of(key, before + element.len + behind);
}

/* False when the value is absent or of another kind. The bytes last. */
static bool read_value(struct sort *s, struct slice name, struct slice field, struct slice *out)
{
    struct call *c = s->c;
    const struct key k = call_key(c, name.ptr, name.len);
    assert((c->flags & CALL_WHOLE) || k.slot == c->keys[0].slot); /* sort__undeclared() */
    const struct entry *e = key_read(c, &k);
    if (!e || e->type != (field.ptr ? TYPE_HASH : TYPE_STRING)) {
        return false;
    }
    if (!field.ptr) {
        char digits[24];
        *out = entry_string(e, digits);
        if (e->encoding == ENC_INT) {
            *out = keep(s, *out);
        }
        return true;
    }
    const struct hash_value h = hash_value_of(e);
    struct hash_element element;
    if (!hash_value_get(&h, field, c->now_ms, &element)) {
        return false;
    }
    *out = keep(s, element.value);
    return true;
}

static bool look_up(struct sort *s, struct slice pattern, struct slice element, struct slice *out)
{
    if (pattern.len == 1 && pattern.ptr[0] == '#') {
        *out = element;
        return true;
    }
    if (!memchr(pattern.ptr, '*', pattern.len)) {
        return false;
    }
    struct slice field;
    const struct slice name = fill_in(s, pattern, element, &field);
    const bool found = read_value(s, name, field, out);
    mem_free((void *)name.ptr);
    return found;
}

/* --- weighing and sorting --- */

/* As strtod reads it: blanks before it and hexadecimal are fine, the empty string is 0. */
static bool parse_score(struct slice text, double *score)
{
    char buf[NUMBER_TEXT_MAX + 1], *end;
    if (text.len > NUMBER_TEXT_MAX) {
        return false;
    }
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    errno = 0;
    *score = strtod(buf, &end);
    return *end == '\0' && errno != ERANGE && !isnan(*score);
}

static void weigh(struct sort *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct item *item = &s->items[i];
        struct slice by = item->bytes;
        pause_point(2);
        if (s->by && !look_up(s, *s->by, item->bytes, &by)) {
            continue;
        }
        if (s->alpha) {
            item->by = by;
        } else if (!parse_score(by, &item->score)) {
            s->bad_number = true;
        }
    }
}

static int compare_bytes(struct slice a, struct slice b)
{
    const int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

/* Of items whose ranks are equal; those that are equal here stay as they were gathered. */
static int compare_items(const void *x, const void *y, void *ctx)
{
    const struct item *a = x, *b = y;
    const struct sort *s = ctx;
    int order;
    if (!s->alpha) {
        order = compare_bytes(a->bytes, b->bytes);
    } else if (a->by.ptr && b->by.ptr) {
        order = compare_bytes(a->by, b->by);
    } else {
        order = (a->by.ptr != NULL) - (b->by.ptr != NULL); /* without one: first */
    }
    return s->descending ? -order : order;
}

static uint64_t rank_of(const struct sort *s, const struct item *item)
{
    uint64_t rank;
    if (s->alpha) {
        rank = item->by.ptr ? rank_of_text(item->by) : 0;
    } else {
        rank = zset_key(item->score);
    }
    return s->descending ? ~rank : rank;
}

static void put_in_order(struct sort *s)
{
    s->order = mem_alloc(s->count * sizeof *s->order);
    for (size_t i = 0; i < s->count; i++) {
        pause_point(1);
        s->order[i] = (struct ranked){rank_of(s, &s->items[i]), &s->items[i]};
    }
    merge_sort(s->order, s->count, compare_items, s);
}

/* The part that LIMIT leaves: [*from, *to). */
static void limit(const struct sort *s, size_t *from, size_t *to)
{
    const int64_t start = s->limit_start < 0 ? 0 : s->limit_start;
    *from = (uint64_t)start > s->count ? s->count : (size_t)start;
    *to = s->count;
    if (s->limit_count >= 0 && (uint64_t)s->limit_count < s->count - *from) {
        *to = *from + (size_t)s->limit_count;
    }
}

/* --- results --- */

typedef void put_value(struct sort *s, bool found, struct slice value, void *ctx);

/* Every element, or every value that GET asks for, in turn. */
static void each_result(struct sort *s, size_t from, size_t to, put_value *put, void *ctx)
{
    for (size_t i = from; i < to; i++) {
        const struct item *item = s->order ? s->order[i].item : &s->items[i];
        const struct slice element = item->bytes;
        pause_point(1 + s->gets_count);
        if (s->gets_count == 0) {
            put(s, true, element, ctx);
        }
        for (uint32_t g = 0; g < s->gets_count; g++) {
            struct slice value = slice_of("", 0);
            const bool found = look_up(s, s->c->argv[s->gets[g]], element, &value);
            put(s, found, value, ctx);
        }
    }
}

static void put_reply(struct sort *s, bool found, struct slice value, void *ctx)
{
    struct reply *out = ctx;
    if (found) {
        reply_bulk(out, value.ptr, value.len);
    } else {
        reply_null(out);
    }
}

static void reply_result(struct sort *s, size_t from, size_t to)
{
    struct reply values; /* of its own: an error may come in its place */
    reply_init(&values, s->c->out->resp);
    each_result(s, from, to, put_reply, &values);
    reply_array(s->c->out, (to - from) * (s->gets_count ? s->gets_count : 1));
    reply_move(s->c->out, &values, values.total_bytes);
    reply_clear(&values);
}

struct stored {
    struct list_value list;
    struct list_rules rules;
};

static void put_stored(struct sort *s, bool found, struct slice value, void *ctx)
{
    struct stored *to = ctx;
    list_push_all(&to->list, &to->rules, LIST_TAIL, &value, 1);
}

static void store_result(struct sort *s, size_t from, size_t to)
{
    struct call *c = s->c;
    struct stored stored = {list_new(), list_rules_of(c->ks->settings)};
    each_result(s, from, to, put_stored, &stored);
    const uint64_t count = list_count(stored.list);
    if (count == 0) {
        list_free(stored.list);
    }
    struct entry *e = key_write(c, s->store);
    if (count > 0) {
        key_set_object(c, s->store, e, TYPE_LIST, stored.list.encoding, stored.list.object, false);
        key_modified(c, s->store, count);
        key_event(c, EVENT_LIST, "sortstore", s->store);
    } else if (e) {
        key_delete(c, s->store, e);
        key_modified(c, s->store, 1);
        key_event(c, EVENT_GENERIC, "del", s->store);
    }
    reply_int(c->out, (int64_t)count);
}

/* --- the commands --- */

static void sort_entry(struct sort *s, const struct entry *e)
{
    if (s->unsorted && e && e->type == TYPE_SET &&
        (s->store || (s->c->flags & CALL_IN_SCRIPT))) {
        /* What is stored, or decides what a script does, must not depend on the order in a table. */
        s->unsorted = false;
        s->alpha = true;
        s->by = NULL;
    }
    if (e) {
        gather(s, e);
    }
    if (!s->unsorted) {
        weigh(s);
    }
    if (s->bad_number) {
        reply_error(s->c->out, "ERR One or more scores can't be converted into double");
        return;
    }
    if (!s->unsorted && s->count > 1) {
        put_in_order(s);
    }
    size_t from, to;
    limit(s, &from, &to);
    if (s->store) {
        store_result(s, from, to);
    } else {
        reply_result(s, from, to);
    }
}

static void sort_run(struct call *c, bool may_store)
{
    struct sort s = {.c = c};
    if (parse_options(&s, may_store)) {
        const struct entry *e = key_read(c, &c->keys[0]);
        if (e && e->type != TYPE_LIST && e->type != TYPE_SET && e->type != TYPE_ZSET) {
            call_error_wrong_type(c);
        } else {
            sort_entry(&s, e);
        }
    }
    sort_free(&s);
}

void sort__sort(struct call *c)
{
    sort_run(c, true);
}

void sort__sort_ro(struct call *c)
{
    sort_run(c, false);
}
