/* cmd_geo_search.c - members of a sorted set near a place: GEOSEARCH, GEOSEARCHSTORE, GEORADIUS,
 * GEORADIUSBYMEMBER and their read-only forms. One parser and one search; the commands differ in
 * where the center stands and in the options that they know.
 *
 * The search walks, for each cell that geo_cover names, the members whose scores lie in the cell,
 * and keeps those within the shape. Names stay in the set; only what a listpack holds as an
 * integer is copied. With COUNT (but not ANY) all hits are found and only the nearest are put in
 * order. */
#include "core/cmd_geo.h"

#include "core/cmd_zset.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/merge_sort.h"
#include "core/pause.h"
#include "core/zset_tree.h"
#include <assert.h>

enum search_kind {
    BY_COORDINATES = 1 << 0, /* GEORADIUS: the center stands in argv */
    BY_MEMBER = 1 << 1,      /* GEORADIUSBYMEMBER */
    NO_STORE = 1 << 2,       /* …_RO */
    SEARCH = 1 << 3,         /* GEOSEARCH: center and shape are options */
    SEARCH_STORE = 1 << 4,   /* GEOSEARCHSTORE */
};

enum sort_order { SORT_NONE, SORT_ASC, SORT_DESC };

struct query {
    unsigned kind; /* enum search_kind */
    const struct entry *source; /* NULL: no key */
    struct geo_shape shape;
    bool with_distance, with_hash, with_point;
    bool from_member, from_point, by_radius, by_box;
    enum sort_order sort;
    bool any;
    int64_t count; /* 0: all */
    const struct key *store; /* NULL: reply */
    bool store_distance;
};

/* --- parsing --- */

static bool arg_number(struct call *c, uint32_t i, double *v, const char *error)
{
    if (!num_parse_double(c->argv[i].ptr, c->argv[i].len, v)) {
        reply_error(c->out, error);
        return false;
    }
    return true;
}

static bool parse_radius(struct call *c, uint32_t i, struct geo_shape *shape)
{
    if (!arg_number(c, i, &shape->radius, "ERR need numeric radius")) {
        return false;
    }
    if (shape->radius < 0) {
        reply_error(c->out, "ERR radius cannot be negative");
        return false;
    }
    shape->is_box = false;
    return geo__arg_unit(c, i + 1, &shape->unit);
}

static bool parse_box(struct call *c, uint32_t i, struct geo_shape *shape)
{
    if (!arg_number(c, i, &shape->width, "ERR need numeric width") ||
        !arg_number(c, i + 1, &shape->height, "ERR need numeric height")) {
        return false;
    }
    if (shape->width < 0 || shape->height < 0) {
        reply_error(c->out, "ERR height or width cannot be negative");
        return false;
    }
    shape->is_box = true;
    return geo__arg_unit(c, i + 2, &shape->unit);
}

/* The center is a member; without a source key nothing will be searched. */
static bool parse_member(struct call *c, uint32_t i, struct query *q)
{
    double score;
    if (!q->source) {
        return true;
    }
    const struct zset z = zset_of(q->source);
    if (!zset_score(&z, c->argv[i], &score)) {
        reply_error(c->out, "ERR could not decode requested zset member");
        return false;
    }
    q->shape.center = geo_decode(score);
    return true;
}

static bool parse_count(struct call *c, uint32_t i, struct query *q)
{
    if (!call_arg_int(c, i, &q->count)) {
        return false;
    }
    if (q->count <= 0) {
        reply_error(c->out, "ERR COUNT must be > 0");
        return false;
    }
    return true;
}

/* STORE key, STOREDIST key. The last one counts. */
static bool parse_store(struct call *c, uint32_t i, struct query *q, bool distance)
{
    q->store = NULL;
    q->store_distance = distance;
    for (uint32_t n = 1; n < c->nkeys; n++) {
        if (c->keys[n].arg == i) {
            q->store = &c->keys[n];
        }
    }
    if (!q->store) {
        call_error_syntax(c); /* the same option twice: the command was not brought to this key */
        return false;
    }
    return true;
}

/* Options of one word; false when the word is none. */
static bool parse_switch(struct query *q, struct slice word)
{
    if (slice_is(word, "withdist")) {
        q->with_distance = true;
    } else if (slice_is(word, "withhash")) {
        q->with_hash = true;
    } else if (slice_is(word, "withcoord")) {
        q->with_point = true;
    } else if (slice_is(word, "any")) {
        q->any = true;
    } else if (slice_is(word, "asc")) {
        q->sort = SORT_ASC;
    } else if (slice_is(word, "desc")) {
        q->sort = SORT_DESC;
    } else if (slice_is(word, "storedist") && (q->kind & SEARCH_STORE)) {
        q->store_distance = true;
    } else {
        return false;
    }
    return true;
}

/* GEOSEARCH's center and shape: words behind the option's, 0 when it is none of them, -1 after an
 * error reply. */
static int parse_search_option(struct call *c, uint32_t i, struct query *q)
{
    const struct slice word = c->argv[i];
    const uint32_t follow = c->argc - i - 1;
    if (slice_is(word, "frommember") && follow >= 1 && !q->from_point) {
        q->from_member = true;
        return parse_member(c, i + 1, q) ? 1 : -1;
    }
    if (slice_is(word, "fromlonlat") && follow >= 2 && !q->from_member) {
        q->from_point = true;
        return geo__arg_point(c, i + 1, &q->shape.center) ? 2 : -1;
    }
    if (slice_is(word, "byradius") && follow >= 2 && !q->by_box) {
        q->by_radius = true;
        return parse_radius(c, i + 1, &q->shape) ? 2 : -1;
    }
    if (slice_is(word, "bybox") && follow >= 3 && !q->by_radius) {
        q->by_box = true;
        return parse_box(c, i + 1, &q->shape) ? 3 : -1;
    }
    return 0;
}

/* As above, for all options. */
static int parse_option(struct call *c, uint32_t i, struct query *q)
{
    const struct slice word = c->argv[i];
    const uint32_t follow = c->argc - i - 1;
    if (slice_is(word, "count") && follow >= 1) {
        return parse_count(c, i + 1, q) ? 1 : -1;
    }
    if (q->kind & SEARCH) {
        return parse_search_option(c, i, q);
    }
    const bool distance = slice_is(word, "storedist");
    if ((distance || slice_is(word, "store")) && follow >= 1 && !(q->kind & NO_STORE)) {
        return parse_store(c, i + 1, q, distance) ? 1 : -1;
    }
    return 0;
}

static bool parse_options(struct call *c, uint32_t i, struct query *q)
{
    for (; i < c->argc; i++) {
        if (parse_switch(q, c->argv[i])) {
            continue;
        }
        int words = parse_option(c, i, q);
        if (words <= 0) {
            if (words == 0) {
                call_error_syntax(c);
            }
            return false;
        }
        i += (uint32_t)words;
    }
    return true;
}

/* What does not go together, in the order in which Redis looks. */
static bool check_options(struct call *c, const struct query *q)
{
    const int name_len = (int)c->argv[0].len;
    if (q->store && (q->with_distance || q->with_hash || q->with_point)) {
        reply_errorf(c->out,
                     "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                     q->kind & SEARCH_STORE ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
        return false;
    }
    if ((q->kind & SEARCH) && !q->from_member && !q->from_point) {
        reply_errorf(c->out,
                     "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
                     name_len, c->argv[0].ptr);
        return false;
    }
    if ((q->kind & SEARCH) && !q->by_radius && !q->by_box) {
        reply_errorf(c->out, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s",
                     name_len, c->argv[0].ptr);
        return false;
    }
    if (q->any && q->count == 0) {
        reply_error(c->out, "ERR the ANY argument requires COUNT argument");
        return false;
    }
    return true;
}

/* Where the options begin; 0 after an error reply. */
static uint32_t parse_fixed(struct call *c, struct query *q)
{
    if (q->kind & BY_COORDINATES) {
        return geo__arg_point(c, 2, &q->shape.center) && parse_radius(c, 4, &q->shape) ? 6 : 0;
    }
    if (q->kind & BY_MEMBER) {
        bool good = !q->source || (parse_member(c, 2, q) && parse_radius(c, 3, &q->shape));
        return good ? 5 : 0;
    }
    return q->kind & SEARCH_STORE ? 3 : 2;
}

/* --- searching --- */

struct hit {
    struct geo_point place;
    double distance, score;
    struct slice name; /* ptr NULL: in digits */
    char digits[LISTPACK_INT_CHARS];
};

struct hits {
    struct hit *at;
    size_t count, room;
    size_t limit; /* stop at so many; 0: never */
};

static inline bool hits_enough(const struct hits *hits)
{
    return hits->limit > 0 && hits->count >= hits->limit;
}

static struct slice hit_name(const struct hit *h)
{
    return h->name.ptr ? h->name : slice_of(h->digits, h->name.len);
}

static void hits_add(struct hits *hits, const struct zset_iter *it, struct geo_point place,
                     double distance)
{
    if (hits->count == hits->room) {
        hits->room = hits->room > 0 ? hits->room * 2 : 16;
        hits->at = pause_realloc(hits->at, hits->count * sizeof *hits->at,
                                 hits->room * sizeof *hits->at);
    }
    struct hit *h = &hits->at[hits->count++];
    h->place = place;
    h->distance = distance;
    h->score = it->score;
    h->name = it->name;
    if (it->name.ptr == it->digits_) { /* good until the next step only */
        memcpy(h->digits, it->digits_, it->name.len);
        h->name.ptr = NULL;
    }
}

static void search_cell(const struct zset *z, const struct geo_shape *shape, struct geo_cell cell,
                        struct hits *hits)
{
    uint64_t first, end;
    geo_cell_scores(cell, &first, &end);
    const struct zset_bound from = {.by = ZSET_BY_SCORE, .score = (double)first};
    struct zset_iter it;
    bool more = zset_iter_seek(&it, z, zset_rank(z, &from));
    for (; more && it.score < (double)end && !hits_enough(hits); more = zset_iter_next(&it)) {
        struct geo_point place = geo_decode(it.score);
        double distance;
        if (geo_within(shape, place, &distance)) {
            hits_add(hits, &it, place, distance);
        }
    }
}

static void search(const struct query *q, struct hits *hits)
{
    struct geo_cell cells[GEO_CELLS_MAX];
    const struct zset z = zset_of(q->source);
    unsigned count = geo_cover(&q->shape, cells);
    for (unsigned i = 0; i < count && !hits_enough(hits); i++) {
        search_cell(&z, &q->shape, cells[i], hits);
    }
}

/* --- order --- */

static int compare_asc(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

static int compare_desc(const void *a, const void *b)
{
    return compare_asc(b, a);
}

typedef int hit_compare(const void *, const void *);

/* Restores the heap of n hits, the last in order on top, below place i. */
static void sift_down(struct hit *heap, size_t n, size_t i, hit_compare *compare)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) {
            return;
        }
        if (child + 1 < n && compare(&heap[child + 1], &heap[child]) > 0) {
            child++;
        }
        if (compare(&heap[child], &heap[i]) <= 0) {
            return;
        }
        struct hit swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
    }
}

/* Brings the first n in order to the front, in no order yet. */
static void select_first(struct hit *hits, size_t count, size_t n, hit_compare *compare)
{
    for (size_t i = n / 2; i-- > 0;) {
        pause_point(1);
        sift_down(hits, n, i, compare);
    }
    for (size_t i = n; i < count; i++) {
        pause_point(1);
        if (compare(&hits[i], &hits[0]) < 0) {
            hits[0] = hits[i];
            sift_down(hits, n, 0, compare);
        }
    }
}

/* The first n; those that are equally far away stay as they are. */
static void sort_hits(struct hits *hits, size_t n, enum sort_order order)
{
    struct ranked *ordered = mem_alloc(n * sizeof *ordered);
    for (size_t i = 0; i < n; i++) {
        const uint64_t rank = zset_key(hits->at[i].distance);
        pause_point(1);
        ordered[i] = (struct ranked){order == SORT_ASC ? rank : ~rank, &hits->at[i]};
    }
    merge_sort(ordered, n, NULL, NULL);
    struct hit *sorted = mem_alloc(n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) {
        pause_point(1);
        sorted[i] = *(const struct hit *)ordered[i].item;
    }
    pause_free(ordered);
    pause_free(hits->at);
    hits->at = sorted;
}

static void put_in_order(const struct query *q, struct hits *hits, size_t wanted)
{
    /* COUNT means the nearest ones, unless any will do */
    enum sort_order order = q->sort;
    if (order == SORT_NONE && q->count > 0 && !q->any) {
        order = SORT_ASC;
    }
    if (order == SORT_NONE || wanted == 0) {
        return;
    }
    hit_compare *compare = order == SORT_ASC ? compare_asc : compare_desc;
    if (wanted < hits->count) {
        select_first(hits->at, hits->count, wanted, compare);
    }
    sort_hits(hits, wanted, order);
}

/* --- results --- */

static void reply_hits(struct call *c, const struct query *q, const struct hits *hits, size_t count)
{
    const size_t extras = (size_t)q->with_distance + q->with_hash + q->with_point;
    reply_array(c->out, count);
    for (size_t i = 0; i < count; i++) {
        pause_point(1);
        const struct hit *h = &hits->at[i];
        const struct slice name = hit_name(h);
        if (extras > 0) {
            reply_array(c->out, extras + 1);
        }
        reply_bulk(c->out, name.ptr, name.len);
        if (q->with_distance) {
            geo__reply_distance(c, h->distance / q->shape.unit);
        }
        if (q->with_hash) {
            reply_int(c->out, (int64_t)h->score);
        }
        if (q->with_point) {
            geo__reply_point(c, h->place);
        }
    }
}

/* The source may be the destination: it is replaced when the result is complete. */
static void store_hits(struct call *c, const struct query *q, const struct hits *hits, size_t count)
{
    const struct settings *settings = c->ks->settings;
    struct zset z = zset_new(settings, count, count > 0 ? hits->at[0].name.len : 0);
    for (size_t i = 0; i < count; i++) {
        pause_point(1);
        const struct hit *h = &hits->at[i];
        double score = q->store_distance ? h->distance / q->shape.unit : h->score;
        enum zset_put_result result = zset_put(&z, settings, hit_name(h), &score, 0);
        assert(result == ZSET_ADDED);
        (void)result;
    }
    zset_settle(&z, settings);
    zset__store(c, q->store, q->kind & SEARCH ? "geosearchstore" : "georadiusstore", &z);
}

static void run_query(struct call *c, const struct query *q)
{
    struct hits hits = {.limit = q->any ? (size_t)q->count : 0};
    if (q->source) {
        search(q, &hits);
    }
    size_t wanted = hits.count;
    if (q->count > 0 && (uint64_t)q->count < wanted) {
        wanted = (size_t)q->count;
    }
    put_in_order(q, &hits, wanted);
    if (q->store) {
        store_hits(c, q, &hits, wanted);
    } else {
        reply_hits(c, q, &hits, wanted);
    }
    pause_free(hits.at);
}

static void geo_query(struct call *c, unsigned kind)
{
    struct query q = {.kind = kind};
    bool bad = false;
    q.source = key_read_type(c, &c->keys[kind & SEARCH_STORE ? 1 : 0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (kind & SEARCH_STORE) {
        q.store = &c->keys[0];
    }
    uint32_t options = parse_fixed(c, &q);
    if (options > 0 && parse_options(c, options, &q) && check_options(c, &q)) {
        run_query(c, &q);
    }
}

void geo__georadius(struct call *c)
{
    geo_query(c, BY_COORDINATES);
}

void geo__georadius_ro(struct call *c)
{
    geo_query(c, BY_COORDINATES | NO_STORE);
}

void geo__georadiusbymember(struct call *c)
{
    geo_query(c, BY_MEMBER);
}

void geo__georadiusbymember_ro(struct call *c)
{
    geo_query(c, BY_MEMBER | NO_STORE);
}

void geo__geosearch(struct call *c)
{
    geo_query(c, SEARCH);
}

void geo__geosearchstore(struct call *c)
{
    geo_query(c, SEARCH | SEARCH_STORE);
}
