/* cmd_hash_walk.c - hash commands that go through a hash: HGETALL, HKEYS, HVALS, HSCAN, HRANDFIELD.
 *
 * HRANDFIELD draws from a large hash directly while all its fields are alive and few of them are
 * wanted. Otherwise it gathers the places of live fields (8 bytes each) and draws from them. */
#include "core/cmd_generic.h"
#include "core/cmd_hash.h"
#include "core/keyspace_internal.h"
#include "core/mem.h"
#include "core/pause.h"

enum {
    SCAN_STEPS_PER_COUNT = 10, /* buckets looked at per field asked for, at most */
    SCAN_POSITION_SHIFT = 16,  /* a cursor is a position without its low bits */
    DRAW_SHARE = 3,            /* draws singly what is at most a third of the hash */
};

/* --- HGETALL, HKEYS, HVALS --- */

enum part { PART_FIELD = 1, PART_VALUE = 2 };

struct show {
    struct reply *out;
    unsigned parts; /* enum part */
    bool pairs;     /* each in an array of its own */
};

static void show(const struct hash_element *e, void *ctx)
{
    const struct show *s = ctx;
    if (s->pairs) {
        reply_array(s->out, 2);
    }
    if (s->parts & PART_FIELD) {
        reply_bulk(s->out, e->field.ptr, e->field.len);
    }
    if (s->parts & PART_VALUE) {
        reply_bulk(s->out, e->value.ptr, e->value.len);
    }
}

static void reply_all(struct call *c, unsigned parts)
{
    struct hash_value h;
    if (!hash__open_read(c, &h)) {
        return;
    }
    struct show s = {.out = c->out, .parts = parts};
    const uint64_t count = hash_value_count_live(&h, hash__now(c));
    if (parts == (PART_FIELD | PART_VALUE)) {
        reply_map(c->out, count);
    } else {
        reply_array(c->out, count);
    }
    hash_value_each(&h, hash__now(c), show, &s);
}

void hash__hgetall(struct call *c)
{
    reply_all(c, PART_FIELD | PART_VALUE);
}

void hash__hkeys(struct call *c)
{
    reply_all(c, PART_FIELD);
}

void hash__hvals(struct call *c)
{
    reply_all(c, PART_VALUE);
}

/* --- HSCAN --- */

struct scan {
    struct scan_options options;
    struct show show;
    uint64_t seen, shown;
};

static bool option_novalues(struct call *c, uint32_t *i, void *ctx)
{
    struct scan *s = ctx;
    if (!slice_is(c->argv[*i], "novalues")) {
        return false;
    }
    s->show.parts = PART_FIELD;
    return true;
}

static void visit_scan(const struct hash_element *e, void *ctx)
{
    struct scan *s = ctx;
    s->seen++;
    if (scan_wants(&s->options, e->field)) {
        show(e, &s->show);
        s->shown++;
    }
}

/* Goes on from the cursor; the fields go to s->show.out. */
static uint64_t scan_from(const struct call *c, const struct hash_value *h, uint64_t cursor,
                          struct scan *s)
{
    const uint64_t wanted = (uint64_t)s->options.count;
    const uint64_t steps_max = wanted > UINT64_MAX / SCAN_STEPS_PER_COUNT
                                   ? UINT64_MAX : wanted * SCAN_STEPS_PER_COUNT;
    uint64_t at = cursor << SCAN_POSITION_SHIFT;
    for (uint64_t steps = 0; steps < steps_max; steps++) {
        at = hash_value_scan(h, at, hash__now(c), visit_scan, s);
        if (at == 0 || s->seen >= wanted) {
            break;
        }
    }
    return at >> SCAN_POSITION_SHIFT;
}

void hash__hscan(struct call *c)
{
    uint64_t cursor;
    struct hash_value h;
    if (!scan_cursor_parse(c->argv[2], &cursor)) {
        reply_error(c->out, "ERR invalid cursor");
        return;
    }
    if (!hash__open_read(c, &h)) {
        return;
    }
    struct reply fields;
    struct scan s = {.show = {.out = &fields, .parts = PART_FIELD | PART_VALUE}};
    if (!h.object) {
        scan_reply_empty(c->out);
        return;
    }
    if (!scan_options_parse(c, 3, &s.options, option_novalues, &s)) {
        return;
    }
    reply_init(&fields, c->out->resp);
    cursor = scan_from(c, &h, cursor, &s);
    scan_reply(c->out, cursor, &fields, s.shown * (s.show.parts == PART_FIELD ? 1 : 2));
}

/* --- HRANDFIELD --- */

/* What fields are drawn from. */
struct urn {
    struct call *c;
    struct hash_value hash;
    void **places; /* of all live fields; NULL: the hash itself, none of whose fields has expired */
    uint64_t count;
    struct show show;
};

static uint64_t random_below(struct urn *u, uint64_t limit)
{
    return (uint64_t)((unsigned __int128)keyspace__random(u->c->ks) * limit >> 64);
}

static void visit_gather(const struct hash_element *e, void *ctx)
{
    struct urn *u = ctx;
    u->places[u->count++] = e->place;
}

static void urn_gather(struct urn *u)
{
    const uint64_t room = u->count > 0 ? u->count : 1;
    u->places = mem_alloc(room * sizeof *u->places);
    u->count = 0;
    hash_value_each(&u->hash, hash__now(u->c), visit_gather, u);
}

static void urn_show(struct urn *u, void *place)
{
    struct hash_element e;
    hash_value_look(&u->hash, place, &e);
    show(&e, &u->show);
}

/* Any field, those drawn before included. */
static void *urn_draw(struct urn *u)
{
    if (u->places) {
        return u->places[random_below(u, u->count)];
    }
    return hash_value_random(&u->hash, keyspace__random, u->c->ks);
}

/* The drawn number of places, each different, from the gathered ones: these are shuffled as far as
 * needed. */
static void draw_gathered(struct urn *u, uint64_t wanted)
{
    for (uint64_t i = 0; i < wanted; i++) {
        pause_point(1);
        const uint64_t j = i + random_below(u, u->count - i);
        void *drawn = u->places[j];
        u->places[j] = u->places[i];
        u->places[i] = drawn;
        urn_show(u, drawn);
    }
}

/* A few different fields of a large hash: draws until enough are different. A table of twice their
 * number, rounded up to a power of two, knows which were drawn. */
static void draw_few(struct urn *u, uint64_t wanted)
{
    unsigned bits = 2;
    while ((uint64_t)1 << bits < 2 * wanted) {
        bits++;
    }
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    void **drawn = mem_alloc_zero((mask + 1) * sizeof *drawn);
    for (uint64_t found = 0; found < wanted;) {
        pause_point(1);
        void *place = urn_draw(u);
        uint64_t i = (uint64_t)(uintptr_t)place * 0x9e3779b97f4a7c15ull >> (64 - bits);
        while (drawn[i] && drawn[i] != place) {
            i = (i + 1) & mask;
        }
        if (!drawn[i]) {
            drawn[i] = place;
            urn_show(u, place);
            found++;
        }
    }
    pause_free(drawn);
}

static void urn_open(struct call *c, const struct hash_value *h, struct urn *u)
{
    *u = (struct urn){.c = c, .hash = *h, .count = hash_value_count(h)};
    u->show = (struct show){.out = c->out, .parts = PART_FIELD};
    if (h->encoding != ENC_TABLE || hash_value_is_due(h, hash__now(c))) {
        urn_gather(u);
    }
}

/* count fields, each different; or, if negative, so many draws. */
static void reply_random(struct urn *u, int64_t count, bool with_values)
{
    struct reply *out = u->c->out;
    const bool repeat = count < 0;
    uint64_t wanted = repeat ? (uint64_t)-count : (uint64_t)count;
    if (u->count == 0 || (!repeat && wanted > u->count)) {
        wanted = u->count;
    }
    u->show.parts = with_values ? PART_FIELD | PART_VALUE : PART_FIELD;
    u->show.pairs = with_values && out->resp > 2;
    reply_array(out, with_values && !u->show.pairs ? 2 * wanted : wanted);
    if (repeat) {
        for (; wanted > 0 && !out->over; wanted--) {
            pause_point(1);
            urn_show(u, urn_draw(u));
        }
    } else if (wanted == u->count) {
        hash_value_each(&u->hash, hash__now(u->c), show, &u->show);
    } else if (!u->places && wanted <= u->count / DRAW_SHARE) {
        draw_few(u, wanted);
    } else {
        if (!u->places) {
            urn_gather(u);
        }
        draw_gathered(u, wanted);
    }
}

void hash__hrandfield(struct call *c)
{
    struct hash_value h;
    int64_t count = 1;
    const bool with_values = c->argc == 4 && slice_is(c->argv[3], "withvalues");
    if (c->argc >= 3 && !call_arg_range(c, 2, -INT64_MAX, INT64_MAX, &count, NULL)) {
        return;
    }
    if (c->argc > 4 || (c->argc == 4 && !with_values)) {
        call_error_syntax(c);
        return;
    }
    if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(c->out, "ERR value is out of range");
        return;
    }
    if (!hash__open_read(c, &h)) {
        return;
    }
    if (!h.object) {
        if (c->argc == 2) {
            reply_null(c->out);
        } else {
            reply_array(c->out, 0);
        }
        return;
    }
    struct urn u;
    urn_open(c, &h, &u);
    if (c->argc > 2) {
        reply_random(&u, count, with_values);
    } else if (u.count > 0) {
        urn_show(&u, urn_draw(&u));
    } else {
        reply_null(c->out);
    }
    mem_free(u.places);
}
