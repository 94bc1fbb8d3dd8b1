/* set.c - see set.h. */
#include "core/set.h"

#include "core/hash.h"
#include "core/intset.h"
#include "core/listpack.h"
#include "core/mem.h"
#include "core/pause.h"
#include "core/sha1.h"
#include "core/slab.h"
#include <assert.h>

/* --- members of tables --- */

enum {
    LEN_LONG = 255,                  /* the length stands in the four bytes behind */
    LONG_HEADER_BYTES = 5,
    SAMPLE_SPARSE = 3,               /* fewer than one in so many: draw, otherwise walk and choose */
};

struct members { /* the object of ENC_TABLE */
    struct table table;
    uint64_t bytes;                  /* memory of the members */
};

static inline size_t header_bytes(size_t len)
{
    return len < LEN_LONG ? 1 : LONG_HEADER_BYTES;
}

static inline struct slice member_slice(const void *item)
{
    const uint8_t *p = item;
    if (__builtin_expect(p[0] < LEN_LONG, 1)) {
        return slice_of((const char *)p + 1, p[0]);
    }
    uint32_t len;
    memcpy(&len, p + 1, sizeof len);
    return slice_of((const char *)p + LONG_HEADER_BYTES, len);
}

static uint64_t member_hash(const void *item)
{
    const struct slice s = member_slice(item);
    return hash_bytes(s.ptr, s.len);
}

static const struct table_type members_type = {.hash = member_hash};

static inline bool member_is(const void *item, const void *wanted)
{
    const struct set_member *m = wanted;
    const uint8_t *p = item;
    if (p[0] != (m->len < LEN_LONG ? m->len : LEN_LONG)) {
        return false;
    }
    const struct slice s = member_slice(item);
    return s.len == m->len && memcmp(s.ptr, m->ptr, s.len) == 0;
}

static size_t member_room(size_t bytes)
{
    return bytes <= SLAB_MAX_BYTES ? slab_size(bytes) : bytes;
}

static void *member_new(struct members *t, struct slice s)
{
    assert(s.len <= UINT32_MAX);
    const size_t header = header_bytes(s.len), bytes = header + s.len;
    uint8_t *p = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
    if (header == 1) {
        p[0] = (uint8_t)s.len;
    } else {
        const uint32_t len = (uint32_t)s.len;
        p[0] = LEN_LONG;
        memcpy(p + 1, &len, sizeof len);
    }
    if (s.len > 0) {
        memcpy(p + header, s.ptr, s.len);
    }
    t->bytes += member_room(bytes);
    return p;
}

static void member_free(void *item, void *ctx)
{
    struct members *t = ctx;
    const size_t len = member_slice(item).len, bytes = header_bytes(len) + len;
    t->bytes -= member_room(bytes);
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(item, bytes);
    } else {
        mem_free(item);
    }
}

/* --- the member of a call --- */

struct set_member set_member_of(struct slice bytes)
{
    struct set_member m;
    m.ptr = bytes.ptr;
    m.len = bytes.len;
    m.form = SET_MEMBER_UNKNOWN;
    m.hashed = false;
    return m;
}

static inline void member_set_bytes(struct set_member *m, struct slice bytes)
{
    m->ptr = bytes.ptr;
    m->len = bytes.len;
    m->form = SET_MEMBER_UNKNOWN;
    m->hashed = false;
}

static inline void member_set_int(struct set_member *m, int64_t v)
{
    m->ptr = NULL;
    m->number = v;
    m->form = SET_MEMBER_INT;
    m->hashed = false;
}

struct slice set_member_bytes(struct set_member *m)
{
    if (!m->ptr) {
        assert(m->form == SET_MEMBER_INT);
        m->len = num_format_int(m->digits, m->number);
        m->ptr = m->digits;
    }
    return slice_of(m->ptr, m->len);
}

static bool member_is_int(struct set_member *m)
{
    if (m->form == SET_MEMBER_UNKNOWN) {
        m->form = num_parse_int(m->ptr, m->len, &m->number) ? SET_MEMBER_INT : SET_MEMBER_TEXT;
    }
    return m->form == SET_MEMBER_INT;
}

static inline uint64_t hash_of(struct set_member *m)
{
    if (!m->hashed) {
        const struct slice s = set_member_bytes(m);
        m->hash = hash_member(s.ptr, s.len);
        m->hashed = true;
    }
    return m->hash;
}

/* --- life --- */

static struct members *members_new(void)
{
    struct members *t = mem_alloc(sizeof *t);
    table_init(&t->table);
    t->bytes = 0;
    return t;
}

static struct members *members_of(const struct set *s)
{
    assert(s->encoding == ENC_TABLE);
    return s->object;
}

static size_t intset_entries_max(const struct settings *settings)
{
    const int64_t max = settings->set_max_intset_entries;
    return max < 0 ? 0 : max > INTSET_MAX_COUNT ? INTSET_MAX_COUNT : (size_t)max;
}

static bool listpack_holds(const struct settings *settings, size_t count, size_t len)
{
    return (int64_t)count <= settings->set_max_listpack_entries &&
           (int64_t)len <= settings->set_max_listpack_value;
}

struct set set_new(struct slice first, size_t count, const struct settings *settings)
{
    struct set_member m = set_member_of(first);
    if (count <= intset_entries_max(settings) && member_is_int(&m)) {
        return (struct set){ENC_INTSET, intset_new()};
    }
    if (listpack_holds(settings, count, 0)) {
        return (struct set){ENC_LISTPACK, listpack_new(0)};
    }
    return (struct set){ENC_TABLE, members_new()};
}

static void members_free(void *object)
{
    struct members *t = object;
    while (!table_drain(&t->table, member_free, t, PAUSE_FREE_STEP)) {
        pause_point(PAUSE_FREE_STEP);
    }
    mem_free(t);
}

static bool members_free_slice(void *object, size_t budget, uint64_t *progress)
{
    struct members *t = object;
    if (!table_drain(&t->table, member_free, t, budget)) {
        return false;
    }
    mem_free(t);
    return true;
}

void set_free(struct set *s)
{
    entry_value_ops(TYPE_SET, s->encoding)->free(s->object);
    s->object = NULL;
}

struct set set_of(const struct entry *e)
{
    assert(e->type == TYPE_SET);
    return (struct set){e->encoding, entry_object(e)};
}

void set_put(struct call *c, const struct key *k, struct entry *e, const struct set *s)
{
    if (e->encoding != s->encoding || entry_object(e) != s->object) {
        key_convert(c, k, e, s->encoding, s->object);
    }
}

size_t set_count(const struct set *s)
{
    switch (s->encoding) {
    case ENC_INTSET:
        return intset_count(s->object);
    case ENC_LISTPACK:
        return listpack_count(s->object);
    default:
        return members_of(s)->table.count;
    }
}

/* --- conversions --- */

static void convert_to_table(struct set *s)
{
    struct members *t = members_new();
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, s);
    while (set_next(&it, &m)) {
        const uint64_t hash = hash_of(&m);
        table_insert(&t->table, &members_type, hash, member_new(t, set_member_bytes(&m)));
    }
    set_iter_end(&it);
    set_free(s);
    *s = (struct set){ENC_TABLE, t};
}

/* False when it would not fit; the set is as before. */
static bool convert_to_listpack(struct set *s)
{
    struct listpack *lp = listpack_new(intset_bytes(s->object));
    for (uint32_t i = 0; i < intset_count(s->object); i++) {
        struct listpack *longer = listpack_append_int(lp, intset_at(s->object, i));
        if (!longer) {
            listpack_free(lp);
            return false;
        }
        lp = longer;
    }
    intset_free(s->object);
    *s = (struct set){ENC_LISTPACK, lp};
    return true;
}

void set_expect(struct set *s, size_t count, const struct settings *settings)
{
    if ((s->encoding == ENC_LISTPACK && !listpack_holds(settings, count, 0)) ||
        (s->encoding == ENC_INTSET && count > intset_entries_max(settings))) {
        convert_to_table(s);
    }
}

static void *member_clone(void *item, void *ctx)
{
    return member_new(ctx, member_slice(item));
}

struct set set_copy(const struct set *s)
{
    if (s->encoding == ENC_INTSET) {
        return (struct set){ENC_INTSET, intset_copy(s->object)};
    }
    if (s->encoding == ENC_LISTPACK) {
        return (struct set){ENC_LISTPACK, listpack_copy(s->object)};
    }
    struct members *t = members_new();
    table_clone(&t->table, &members_of(s)->table, member_clone, t);
    return (struct set){ENC_TABLE, t};
}

/* --- looking up, adding, removing --- */

static uint8_t *listpack_member(const struct set *s, struct set_member *m)
{
    uint8_t *first = listpack_first(s->object);
    return first ? listpack_find(s->object, first, set_member_bytes(m), 0) : NULL;
}

static const void *table_member(const struct set *s, struct set_member *m)
{
    const uint64_t hash = hash_of(m);
    return table_find_inline(&members_of(s)->table, hash, member_is, m);
}

bool set_has(const struct set *s, struct set_member *m)
{
    switch (s->encoding) {
    case ENC_INTSET:
        return member_is_int(m) && intset_has(s->object, m->number);
    case ENC_LISTPACK:
        return listpack_member(s, m) != NULL;
    default:
        return table_member(s, m) != NULL;
    }
}

static bool table_add(struct set *s, struct set_member *m)
{
    struct members *t = members_of(s);
    if (table_member(s, m)) {
        return false;
    }
    table_insert(&t->table, &members_type, hash_of(m), member_new(t, set_member_bytes(m)));
    return true;
}

/* Appends a member that is not there; converts where the listpack has no room. */
static void listpack_add(struct set *s, struct set_member *m, const struct settings *settings)
{
    const struct slice bytes = set_member_bytes(m);
    if (listpack_holds(settings, (size_t)listpack_count(s->object) + 1, bytes.len)) {
        struct listpack *lp = listpack_append(s->object, bytes);
        if (lp) {
            s->object = lp;
            return;
        }
    }
    convert_to_table(s);
    table_add(s, m);
}

static size_t digits_of(int64_t v)
{
    char digits[NUM_INT_CHARS];
    return num_format_int(digits, v);
}

/* A text comes into an intset. */
static void intset_add_text(struct set *s, struct set_member *m, const struct settings *settings)
{
    const uint32_t count = intset_count(s->object);
    size_t longest = set_member_bytes(m).len;
    if (count > 0) { /* the longest integer is the least or the greatest */
        const size_t least = digits_of(intset_at(s->object, 0));
        const size_t greatest = digits_of(intset_at(s->object, count - 1));
        longest = longest > least ? longest : least;
        longest = longest > greatest ? longest : greatest;
    }
    if (listpack_holds(settings, (size_t)count + 1, longest) && convert_to_listpack(s)) {
        listpack_add(s, m, settings);
        return;
    }
    convert_to_table(s);
    table_add(s, m);
}

static bool intset_add_member(struct set *s, struct set_member *m, const struct settings *settings)
{
    if (!member_is_int(m)) {
        intset_add_text(s, m, settings);
        return true;
    }
    bool added;
    s->object = intset_add(s->object, m->number, &added);
    if (added && intset_count(s->object) > intset_entries_max(settings)) {
        convert_to_table(s);
    }
    return added;
}

bool set_add(struct set *s, struct set_member *m, const struct settings *settings)
{
    if (__builtin_expect(s->encoding == ENC_TABLE, 1)) {
        return table_add(s, m);
    }
    if (s->encoding == ENC_INTSET) {
        return intset_add_member(s, m, settings);
    }
    if (listpack_member(s, m)) {
        return false;
    }
    listpack_add(s, m, settings);
    return true;
}

bool set_remove(struct set *s, struct set_member *m)
{
    if (s->encoding == ENC_INTSET) {
        bool removed = false;
        if (member_is_int(m)) {
            s->object = intset_remove(s->object, m->number, &removed);
        }
        return removed;
    }
    if (s->encoding == ENC_LISTPACK) {
        uint8_t *at = listpack_member(s, m);
        if (at) {
            s->object = listpack_delete(s->object, at, 1, NULL);
        }
        return at != NULL;
    }
    struct members *t = members_of(s);
    void *item = (void *)table_member(s, m);
    if (!item) {
        return false;
    }
    table_remove(&t->table, &members_type, hash_of(m), item);
    member_free(item, t); /* m may lie in it: the caller is done with its bytes */
    return true;
}

/* --- iteration --- */

void set_iter_init(struct set_iter *it, const struct set *s)
{
    it->set = s;
    it->index = 0;
    it->at = s->encoding == ENC_LISTPACK ? listpack_first(s->object) : NULL;
    it->pos = 0;
    it->items = it->inline_;
    it->count = it->next = 0;
    it->cap = SET_ITER_INLINE;
    it->end = false;
}

static void gather(void *item, void *ctx)
{
    struct set_iter *it = ctx;
    if (it->count == it->cap) { /* a bucket with a long chain */
        const size_t bytes = it->cap * sizeof it->items[0];
        const void **wider = mem_alloc(2 * bytes);
        memcpy(wider, it->items, bytes);
        if (it->items != it->inline_) {
            mem_free(it->items);
        }
        it->items = wider;
        it->cap *= 2;
    }
    it->items[it->count++] = item;
}

static const void *next_item(struct set_iter *it)
{
    while (it->next == it->count) {
        if (it->end) {
            return NULL;
        }
        it->next = it->count = 0;
        it->pos = table_scan(&members_of(it->set)->table, it->pos, gather, it);
        it->end = it->pos == 0;
    }
    return it->items[it->next++];
}

static void member_from_listpack(struct set_member *m, const uint8_t *at)
{
    const struct listpack_value v = listpack_get(at);
    if (v.ptr) {
        member_set_bytes(m, slice_of(v.ptr, v.len));
    } else {
        member_set_int(m, v.number);
    }
}

bool set_next(struct set_iter *it, struct set_member *m)
{
    pause_point(1);
    if (it->set->encoding == ENC_TABLE) {
        const void *item = next_item(it);
        if (item) {
            member_set_bytes(m, member_slice(item));
        }
        return item != NULL;
    }
    if (it->set->encoding == ENC_INTSET) {
        if (it->index == intset_count(it->set->object)) {
            return false;
        }
        member_set_int(m, intset_at(it->set->object, it->index++));
        return true;
    }
    if (!it->at) {
        return false;
    }
    member_from_listpack(m, it->at);
    it->at = listpack_next(it->set->object, it->at);
    return true;
}

void set_iter_end(struct set_iter *it)
{
    if (it->items != it->inline_) {
        mem_free(it->items);
    }
}

struct scan {
    set_visit *visit;
    void *ctx;
    size_t seen;
};

static void scan_item(void *item, void *ctx)
{
    struct scan *scan = ctx;
    struct set_member m;
    pause_point(1);
    member_set_bytes(&m, member_slice(item));
    scan->visit(&m, scan->ctx);
    scan->seen++;
}

uint64_t set_scan(const struct set *s, uint64_t cursor, size_t count, set_visit *visit, void *ctx)
{
    if (s->encoding != ENC_TABLE) {
        struct set_iter it;
        struct set_member m;
        set_iter_init(&it, s);
        while (set_next(&it, &m)) {
            visit(&m, ctx);
        }
        set_iter_end(&it);
        return 0;
    }
    struct scan scan = {.visit = visit, .ctx = ctx};
    uint64_t pos = cursor << 16; /* table.h: positions have their low 16 bits clear */
    do {
        pos = table_scan(&members_of(s)->table, pos, scan_item, &scan);
    } while (pos != 0 && scan.seen < count);
    return pos >> 16;
}

/* --- chance --- */

static uint64_t below(uint64_t n, uint64_t (*random)(void *ctx), void *ctx)
{
    return (uint64_t)((unsigned __int128)random(ctx) * n >> 64);
}

void set_random(const struct set *s, uint64_t (*random)(void *ctx), void *ctx,
                struct set_member *out)
{
    const size_t count = set_count(s);
    assert(count > 0);
    if (s->encoding == ENC_TABLE) {
        member_set_bytes(out, member_slice(table_random(&members_of(s)->table, random, ctx)));
        return;
    }
    const uint64_t i = below(count, random, ctx);
    if (s->encoding == ENC_INTSET) {
        member_set_int(out, intset_at(s->object, (uint32_t)i));
    } else {
        member_from_listpack(out, listpack_seek(s->object, (int64_t)i));
    }
}

static void forget_item(void *item, void *ctx)
{
}

static bool same_item(const void *item, const void *wanted)
{
    return item == wanted;
}

/* Draws members until enough different ones are found: few of a large table. */
static void sample_by_drawing(const struct set *s, size_t count, uint64_t (*random)(void *ctx),
                              void *random_ctx, set_visit *visit, void *ctx)
{
    struct table drawn; /* of items that belong to the set */
    table_init(&drawn);
    while (drawn.count < count) {
        pause_point(1);
        void *item = table_random(&members_of(s)->table, random, random_ctx);
        struct set_member m;
        member_set_bytes(&m, member_slice(item));
        const uint64_t hash = hash_of(&m);
        if (!table_find(&drawn, hash, same_item, item)) {
            table_insert(&drawn, &members_type, hash, item);
            visit(&m, ctx);
        }
    }
    while (!table_drain(&drawn, forget_item, NULL, PAUSE_FREE_STEP)) {
        pause_point(PAUSE_FREE_STEP);
    }
}

/* Walks and takes each member with the chance that it should have, given what is still wanted and
 * what is still to come: each choice of count members is equally likely (Knuth's algorithm S). */
void set_sample(const struct set *s, size_t count, uint64_t (*random)(void *ctx),
                void *random_ctx, set_visit *visit, void *ctx)
{
    size_t left = set_count(s);
    assert(count <= left);
    if (s->encoding == ENC_TABLE && count < left / SAMPLE_SPARSE) {
        sample_by_drawing(s, count, random, random_ctx, visit, ctx);
        return;
    }
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, s);
    while (count > 0 && set_next(&it, &m)) {
        if (below(left--, random, random_ctx) < count) {
            visit(&m, ctx);
            count--;
        }
    }
    set_iter_end(&it);
}

/* --- what entry.c can do with sets --- */

static void set_digest(enum value_encoding encoding, const void *object, uint8_t digest[20])
{
    const struct set s = {encoding, (void *)object};
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, &s);
    while (set_next(&it, &m)) {
        const struct slice bytes = set_member_bytes(&m);
        sha1_xor(digest, bytes.ptr, bytes.len);
    }
    set_iter_end(&it);
}

static void free_intset(void *object)
{
    intset_free(object);
}

static size_t intset_block_bytes(const void *object)
{
    return mem_usable(object);
}

static size_t listpack_block_bytes(const void *object)
{
    return listpack_memory(object);
}

static void digest_intset(const void *object, uint8_t digest[20])
{
    set_digest(ENC_INTSET, object, digest);
}

static void free_listpack(void *object)
{
    listpack_free(object);
}

static void digest_listpack(const void *object, uint8_t digest[20])
{
    set_digest(ENC_LISTPACK, object, digest);
}

static size_t members_effort(const void *object)
{
    return ((const struct members *)object)->table.count;
}

static size_t members_bytes(const void *object)
{
    const struct members *t = object;
    return mem_usable(t) + table_bytes(&t->table) + t->bytes;
}

static void digest_members(const void *object, uint8_t digest[20])
{
    set_digest(ENC_TABLE, object, digest);
}

static const struct table *members_table(const void *object)
{
    return &((const struct members *)object)->table;
}

const struct value_ops set__intset_ops = {
    .free = free_intset,
    .bytes = intset_block_bytes,
    .digest = digest_intset,
};

const struct value_ops set__listpack_ops = {
    .free = free_listpack,
    .bytes = listpack_block_bytes,
    .digest = digest_listpack,
};

const struct value_ops set__table_ops = {
    .free = members_free,
    .free_slice = members_free_slice,
    .free_effort = members_effort,
    .bytes = members_bytes,
    .digest = digest_members,
    .members = members_table,
};
