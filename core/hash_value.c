/* hash_value.c - see hash_value.h. */
#include "core/hash_value.h"

#include "core/pause.h"
#include "core/sha1.h"

enum {
    PAIR = 2,              /* elements per field in ENC_LISTPACK */
    TRIPLE = 3,            /* in ENC_LISTPACK_EX */
    LISTPACK_FIRST_BYTES = 0,
};

static uint32_t stride(const struct hash_value *h)
{
    return h->encoding == ENC_LISTPACK_EX ? TRIPLE : PAIR;
}

static bool is_expired(int64_t at_ms, int64_t now_ms)
{
    return at_ms != HASH_NO_EXPIRY && at_ms < now_ms;
}

/* --- life --- */

struct hash_value hash_value_new(void)
{
    return (struct hash_value){ENC_LISTPACK, listpack_new(LISTPACK_FIRST_BYTES)};
}

void hash_value_free(struct hash_value *h)
{
    if (h->object && h->encoding == ENC_TABLE) {
        hash_fields_free(h->object);
    } else if (h->object) {
        listpack_free(h->object);
    }
    h->object = NULL;
}

static void visit_copy(const struct hash_element *e, void *ctx)
{
    hash_fields_add(ctx, hash_bytes(e->field.ptr, e->field.len), e->field, e->value, e->at_ms);
}

struct hash_value hash_value_copy(const struct hash_value *h)
{
    struct hash_value copy = {.encoding = h->encoding};
    if (h->encoding == ENC_TABLE) {
        copy.object = hash_fields_copy(h->object);
    } else {
        copy.object = listpack_copy(h->object);
    }
    return copy;
}

void hash_value_to_table(struct hash_value *h)
{
    struct hash_fields *fields = hash_fields_new();
    assert(h->encoding != ENC_TABLE);
    hash_value_each(h, HASH_SEE_ALL, visit_copy, fields);
    listpack_free(h->object);
    *h = (struct hash_value){ENC_TABLE, fields};
}

/* --- elements --- */

/* The expiry that stands behind a value in ENC_LISTPACK_EX. */
static int64_t listpack_expiry_ms(const uint8_t *at)
{
    const int64_t at_ms = listpack_get(at).number;
    return at_ms > 0 ? at_ms : HASH_NO_EXPIRY;
}

static void look_listpack(const struct hash_value *h, uint8_t *place, struct hash_element *out)
{
    uint8_t *value = listpack_next(h->object, place);
    out->place = place;
    out->field = listpack_string(place, out->field_digits);
    out->value = listpack_string(value, out->value_digits);
    out->at_ms = h->encoding == ENC_LISTPACK ? HASH_NO_EXPIRY
                                             : listpack_expiry_ms(listpack_next(h->object, value));
}

static void look_item(struct hash_item *item, struct hash_element *out)
{
    out->place = item;
    out->field = hash_item_field(item);
    out->value = hash_item_value(item);
    out->at_ms = hash_item_expiry_ms(item);
}

void hash_value_look(const struct hash_value *h, void *place, struct hash_element *out)
{
    if (h->encoding == ENC_TABLE) {
        look_item(place, out);
    } else {
        look_listpack(h, place, out);
    }
}

static uint8_t *find_in_listpack(const struct hash_value *h, struct slice field)
{
    uint8_t *first = listpack_first(h->object);
    return first ? listpack_find(h->object, first, field, stride(h) - 1) : NULL;
}

static struct hash_item *find_item(const struct hash_value *h, struct slice field, uint64_t *hash)
{
    *hash = hash_member(field.ptr, field.len);
    return hash_fields_find(h->object, *hash, field);
}

bool hash_value_get(const struct hash_value *h, struct slice field, int64_t now_ms,
                    struct hash_element *out)
{
    if (!h->object) {
        return false;
    }
    if (h->encoding == ENC_TABLE) {
        uint64_t hash;
        struct hash_item *item = find_item(h, field, &hash);
        if (!item) {
            return false;
        }
        look_item(item, out);
    } else {
        uint8_t *place = find_in_listpack(h, field);
        if (!place) {
            return false;
        }
        look_listpack(h, place, out);
    }
    return !is_expired(out->at_ms, now_ms);
}

/* --- the whole --- */

uint64_t hash_value_count(const struct hash_value *h)
{
    if (!h->object) {
        return 0;
    }
    if (h->encoding == ENC_TABLE) {
        return ((const struct hash_fields *)h->object)->table.count;
    }
    return listpack_count(h->object) / stride(h);
}

static void visit_count(const struct hash_element *e, void *ctx)
{
    ++*(uint64_t *)ctx;
}

uint64_t hash_value_count_live(const struct hash_value *h, int64_t now_ms)
{
    if (!h->object || !hash_value_is_due(h, now_ms)) {
        return hash_value_count(h);
    }
    uint64_t count = 0;
    hash_value_each(h, now_ms, visit_count, &count);
    return count;
}

int64_t hash_value_expire_min_ms(const struct hash_value *h)
{
    if (!h->object || h->encoding == ENC_LISTPACK) {
        return INT64_MAX;
    }
    if (h->encoding == ENC_TABLE) {
        return ((const struct hash_fields *)h->object)->expire_min_ms;
    }
    uint8_t *at = listpack_seek(h->object, TRIPLE - 1); /* of the first field: the earliest */
    const int64_t at_ms = at ? listpack_expiry_ms(at) : HASH_NO_EXPIRY;
    return at_ms == HASH_NO_EXPIRY ? INT64_MAX : at_ms;
}

struct each {
    int64_t now_ms;
    hash_value_visit *visit;
    void *ctx;
};

static void visit_item(void *item, void *ctx)
{
    const struct each *each = ctx;
    struct hash_element e;
    pause_point(1);
    look_item(item, &e);
    if (!is_expired(e.at_ms, each->now_ms)) {
        each->visit(&e, each->ctx);
    }
}

uint64_t hash_value_scan(const struct hash_value *h, uint64_t at, int64_t now_ms,
                         hash_value_visit *visit, void *ctx)
{
    if (!h->object) {
        return 0;
    }
    if (h->encoding == ENC_TABLE) {
        struct each each = {.now_ms = now_ms, .visit = visit, .ctx = ctx};
        struct hash_fields *fields = h->object;
        return table_scan(&fields->table, at, visit_item, &each);
    }
    uint8_t *place = listpack_first(h->object);
    while (place) {
        struct hash_element e;
        pause_point(1);
        look_listpack(h, place, &e);
        if (!is_expired(e.at_ms, now_ms)) {
            visit(&e, ctx);
        }
        for (uint32_t i = stride(h); i > 0; i--) {
            place = listpack_next(h->object, place);
        }
    }
    return 0;
}

void hash_value_each(const struct hash_value *h, int64_t now_ms, hash_value_visit *visit, void *ctx)
{
    uint64_t at = 0;
    do {
        at = hash_value_scan(h, at, now_ms, visit, ctx);
    } while (at != 0);
}

void *hash_value_random(const struct hash_value *h, uint64_t (*random)(void *ctx), void *ctx)
{
    assert(h->encoding == ENC_TABLE);
    return table_random(&((const struct hash_fields *)h->object)->table, random, ctx);
}

/* --- listpacks that change --- */

static void append_slice(struct listpack **lp, struct slice s)
{
    *lp = listpack_append(*lp, s);
    assert(*lp); /* callers have made sure that it fits */
}

static void append_expiry(struct listpack **lp, int64_t at_ms)
{
    *lp = listpack_append_int(*lp, at_ms == HASH_NO_EXPIRY ? 0 : at_ms);
    assert(*lp);
}

struct rebuild {
    struct listpack *lp;
    struct slice field, value; /* the triple to be placed */
    int64_t at_ms;
    void *skip;                /* where it stood */
    bool placed;
};

static void append_triple(struct rebuild *r, struct slice field, struct slice value, int64_t at_ms)
{
    append_slice(&r->lp, field);
    append_slice(&r->lp, value);
    append_expiry(&r->lp, at_ms);
}

static void visit_rebuild(const struct hash_element *e, void *ctx)
{
    struct rebuild *r = ctx;
    const bool here = r->at_ms != HASH_NO_EXPIRY &&
                      (e->at_ms == HASH_NO_EXPIRY || e->at_ms > r->at_ms);
    if (here && !r->placed) {
        append_triple(r, r->field, r->value, r->at_ms);
        r->placed = true;
    }
    if (e->place != r->skip) {
        append_triple(r, e->field, e->value, e->at_ms);
    }
}

/* A triple moves to the place that its new expiry gives it: the listpack is written anew, as
 * nearly all of it would have to be moved anyway. */
static void replace_triple(struct hash_value *h, const struct hash_element *old, int64_t at_ms)
{
    struct rebuild r = {
        .lp = listpack_new(listpack_bytes(h->object) + LISTPACK_INT_CHARS),
        .field = old->field,
        .value = old->value,
        .at_ms = at_ms,
        .skip = old->place,
    };
    hash_value_each(h, HASH_SEE_ALL, visit_rebuild, &r);
    if (!r.placed) {
        append_triple(&r, r.field, r.value, at_ms);
    }
    listpack_free(h->object);
    h->object = r.lp;
}

static void visit_extend(const struct hash_element *e, void *ctx)
{
    append_triple(ctx, e->field, e->value, HASH_NO_EXPIRY);
}

/* Pairs become triples. */
static void extend(struct hash_value *h)
{
    struct rebuild r = {
        .lp = listpack_new(listpack_bytes(h->object) + listpack_count(h->object)),
    };
    hash_value_each(h, HASH_SEE_ALL, visit_extend, &r);
    listpack_free(h->object);
    *h = (struct hash_value){ENC_LISTPACK_EX, r.lp};
}

/* Room for two elements and an expiry, whatever they replace? */
static bool fits_listpack(const struct hash_value *h, struct slice field, struct slice value,
                          const struct settings *settings)
{
    const size_t max = settings->hash_max_listpack_value < 0
                           ? 0 : (size_t)settings->hash_max_listpack_value;
    return field.len <= max && value.len <= max &&
           listpack_bytes(h->object) + field.len + value.len + 4 * LISTPACK_INT_CHARS <
               LISTPACK_MAX_BYTES / 2; /* half: ENC_LISTPACK_EX adds to it */
}

static bool put_in_listpack(struct hash_value *h, struct slice field, struct slice value,
                            bool keep_expiry)
{
    struct listpack *lp = h->object;
    uint8_t *place = find_in_listpack(h, field);
    if (!place) {
        append_slice(&lp, field);
        append_slice(&lp, value);
        if (h->encoding == ENC_LISTPACK_EX) {
            append_expiry(&lp, HASH_NO_EXPIRY);
        }
        h->object = lp;
        return true;
    }
    if (h->encoding == ENC_LISTPACK_EX && !keep_expiry) {
        struct hash_element old;
        look_listpack(h, place, &old);
        if (old.at_ms != HASH_NO_EXPIRY) {
            old.value = value;
            replace_triple(h, &old, HASH_NO_EXPIRY);
            return false;
        }
    }
    uint8_t *value_at = listpack_next(lp, place);
    h->object = listpack_insert(lp, value_at, LISTPACK_REPLACE, value, NULL);
    assert(h->object);
    return false;
}

/* --- fields --- */

bool hash_value_put(struct hash_value *h, struct slice field, struct slice value, bool keep_expiry,
                    const struct settings *settings)
{
    if (!h->object) {
        *h = hash_value_new();
    }
    if (h->encoding != ENC_TABLE) {
        if (fits_listpack(h, field, value, settings)) {
            const bool added = put_in_listpack(h, field, value, keep_expiry);
            const int64_t max = settings->hash_max_listpack_entries;
            if (max < 0 || hash_value_count(h) > (uint64_t)max) {
                hash_value_to_table(h);
            }
            return added;
        }
        hash_value_to_table(h);
    }
    uint64_t hash;
    struct hash_item *item = find_item(h, field, &hash);
    if (!item) {
        hash_fields_add(h->object, hash, field, value, HASH_NO_EXPIRY);
        return true;
    }
    hash_fields_set(h->object, hash, item, value,
                    keep_expiry ? hash_item_expiry_ms(item) : HASH_NO_EXPIRY);
    return false;
}

bool hash_value_remove(struct hash_value *h, struct slice field)
{
    if (h->encoding == ENC_TABLE) {
        uint64_t hash;
        struct hash_item *item = find_item(h, field, &hash);
        if (item) {
            hash_fields_remove(h->object, hash, item);
        }
        return item != NULL;
    }
    uint8_t *place = find_in_listpack(h, field);
    if (place) {
        h->object = listpack_delete(h->object, place, stride(h), NULL);
    }
    return place != NULL;
}

void hash_value_set_expiry(struct hash_value *h, struct slice field, int64_t at_ms)
{
    if (h->encoding == ENC_TABLE) {
        uint64_t hash;
        struct hash_item *item = find_item(h, field, &hash);
        assert(item);
        hash_fields_set(h->object, hash, item, hash_item_value(item), at_ms);
        return;
    }
    if (h->encoding == ENC_LISTPACK && at_ms == HASH_NO_EXPIRY) {
        return;
    }
    if (h->encoding == ENC_LISTPACK) {
        extend(h);
    }
    uint8_t *place = find_in_listpack(h, field);
    struct hash_element old;
    assert(place);
    look_listpack(h, place, &old);
    if (old.at_ms != at_ms) {
        replace_triple(h, &old, at_ms);
    }
}

bool hash_value_drop_expired(struct hash_value *h, struct slice field, int64_t now_ms)
{
    struct hash_element e;
    if (!h->object || !hash_value_is_due(h, now_ms) ||
        !hash_value_get(h, field, HASH_SEE_ALL, &e) || !is_expired(e.at_ms, now_ms)) {
        return false;
    }
    return hash_value_remove(h, field);
}

size_t hash_value_purge(struct hash_value *h, int64_t now_ms, size_t *budget)
{
    size_t gone = 0;
    if (h->encoding == ENC_TABLE) {
        return hash_fields_purge(h->object, now_ms, budget);
    }
    for (; *budget > 0 && hash_value_expire_min_ms(h) < now_ms; --*budget) {
        h->object = listpack_delete(h->object, listpack_first(h->object), TRIPLE, NULL);
        gone++;
    }
    return gone;
}

/* --- value_ops --- */

static int64_t listpack_ex_expire_min(const void *object)
{
    const struct hash_value h = {ENC_LISTPACK_EX, (void *)(uintptr_t)object};
    return hash_value_expire_min_ms(&h);
}

static int64_t table_expire_min(const void *object)
{
    return ((const struct hash_fields *)object)->expire_min_ms;
}

static const struct table *table_members(const void *object)
{
    return &((const struct hash_fields *)object)->table;
}

static void free_listpack(void *object)
{
    listpack_free(object);
}

static size_t listpack_effort(const void *object)
{
    return 1;
}

static size_t listpack_value_bytes(const void *object)
{
    return listpack_memory(object);
}

/* Each field is a digest of its own, so that the order does not matter. */
static void visit_digest(const struct hash_element *e, void *ctx)
{
    uint8_t digest[SHA1_BYTES] = {0};
    sha1_mix(digest, e->field.ptr, e->field.len);
    sha1_mix(digest, e->value.ptr, e->value.len);
    if (e->at_ms != HASH_NO_EXPIRY) {
        static const char mark[] = "!!hexpire!!";
        sha1_xor(digest, mark, sizeof mark - 1);
    }
    sha1_xor(ctx, digest, sizeof digest);
}

static void digest_as(enum value_encoding encoding, const void *object, uint8_t digest[20])
{
    const struct hash_value h = {encoding, (void *)(uintptr_t)object};
    hash_value_each(&h, HASH_SEE_ALL, visit_digest, digest);
}

static void digest_listpack(const void *object, uint8_t digest[20])
{
    digest_as(ENC_LISTPACK, object, digest);
}

static void digest_listpack_ex(const void *object, uint8_t digest[20])
{
    digest_as(ENC_LISTPACK_EX, object, digest);
}

static void digest_table(const void *object, uint8_t digest[20])
{
    digest_as(ENC_TABLE, object, digest);
}

static void free_table(void *object)
{
    hash_fields_free(object);
}

static bool free_table_slice(void *object, size_t budget, uint64_t *progress)
{
    return hash_fields_free_slice(object, budget);
}

static size_t table_effort(const void *object)
{
    return ((const struct hash_fields *)object)->table.count;
}

static size_t table_memory(const void *object)
{
    return hash_fields_bytes(object);
}

const struct value_ops hash_listpack_ops = {
    .free = free_listpack,
    .free_effort = listpack_effort,
    .bytes = listpack_value_bytes,
    .digest = digest_listpack,
};
const struct value_ops hash_listpack_ex_ops = {
    .free = free_listpack,
    .free_effort = listpack_effort,
    .bytes = listpack_value_bytes,
    .digest = digest_listpack_ex,
    .expire_min_ms = listpack_ex_expire_min,
};
const struct value_ops hash_table_ops = {
    .free = free_table,
    .free_slice = free_table_slice,
    .free_effort = table_effort,
    .bytes = table_memory,
    .digest = digest_table,
    .expire_min_ms = table_expire_min,
    .members = table_members,
};
