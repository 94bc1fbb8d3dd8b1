/* cmd_geo.c - places as members of sorted sets: GEOADD, GEODIST, GEOHASH, GEOPOS. A score is a
 * geohash of 52 bits (geohash.h), which a double holds exactly; so ZREM, ZRANGE and the rest of the
 * sorted set commands work on places, too. Searches are in cmd_geo_search.c, the rows in
 * cmd_geo_table.c. */
#include "core/cmd_geo.h"

#include "core/cmd_zset.h"
#include "core/mem.h"
#include "core/num.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { SCORES_ON_STACK = 64 };

bool geo__arg_point(struct call *c, uint32_t i, struct geo_point *p)
{
    if (!num_parse_double(c->argv[i].ptr, c->argv[i].len, &p->longitude) ||
        !num_parse_double(c->argv[i + 1].ptr, c->argv[i + 1].len, &p->latitude)) {
        call_error_float(c);
        return false;
    }
    if (!geo_point_valid(*p)) {
        reply_errorf(c->out, "ERR invalid longitude,latitude pair %f,%f", p->longitude,
                     p->latitude);
        return false;
    }
    return true;
}

bool geo__arg_unit(struct call *c, uint32_t i, double *metres)
{
    static const struct {
        const char *name;
        double metres;
    } units[] = {{"m", 1}, {"km", 1000}, {"ft", 0.3048}, {"mi", 1609.34}};
    for (unsigned u = 0; u < sizeof units / sizeof units[0]; u++) {
        if (slice_is(c->argv[i], units[u].name)) {
            *metres = units[u].metres;
            return true;
        }
    }
    reply_error(c->out, "ERR unsupported unit provided. please use M, KM, FT, MI");
    return false;
}

void geo__reply_distance(struct call *c, double distance)
{
    char text[32];
    /* between opposite ends of the earth a rounding may make it no number: INT64_MIN here */
    const int64_t scaled = llrint(distance * 10000);
    const uint64_t size = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled;
    int len = snprintf(text, sizeof text, "%s%" PRIu64 ".%04" PRIu64, scaled < 0 ? "-" : "",
                       size / 10000, size % 10000);
    reply_bulk(c->out, text, (size_t)len);
}

/* All the digits that tell it from its neighbours, and no exponent: not as other doubles. */
static void reply_coordinate(struct call *c, double v)
{
    char text[1 + NUM_LONG_DOUBLE_CHARS + 2];
    size_t len = num_format_long_double(text + 1, v);
    if (c->out->resp == 2) {
        reply_bulk(c->out, text + 1, len);
        return;
    }
    text[0] = ',';
    memcpy(text + 1 + len, "\r\n", 2);
    reply_raw(c->out, text, len + 3);
}

void geo__reply_point(struct call *c, struct geo_point p)
{
    reply_array(c->out, 2);
    reply_coordinate(c, p.longitude);
    reply_coordinate(c, p.latitude);
}

/* --- GEOADD --- */

struct geoadd {
    unsigned flags; /* enum zset_put_flag */
    bool changed;   /* CH */
    uint32_t first, places;
};

static bool parse_geoadd(struct call *c, struct geoadd *o)
{
    uint32_t i = 2;
    for (; i < c->argc; i++) {
        if (slice_is(c->argv[i], "nx")) {
            o->flags |= ZSET_NX;
        } else if (slice_is(c->argv[i], "xx")) {
            o->flags |= ZSET_XX;
        } else if (slice_is(c->argv[i], "ch")) {
            o->changed = true;
        } else {
            break;
        }
    }
    o->first = i;
    o->places = (c->argc - i) / 3;
    if ((c->argc - i) % 3 != 0 || o->places == 0 || o->flags == (ZSET_NX | ZSET_XX)) {
        call_error_syntax(c);
        return false;
    }
    return true;
}

static bool parse_places(struct call *c, const struct geoadd *o, double *scores)
{
    for (uint32_t i = 0; i < o->places; i++) {
        struct geo_point p;
        if (!geo__arg_point(c, o->first + i * 3, &p)) {
            return false;
        }
        scores[i] = (double)geo_score(p);
    }
    return true;
}

static void add_places(struct call *c, const struct geoadd *o, double *scores)
{
    const struct key *k = &c->keys[0];
    const struct settings *settings = c->ks->settings;
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    if (!e && (o->flags & ZSET_XX)) {
        reply_int(c->out, 0);
        return;
    }
    struct zset z =
        e ? zset_of(e) : zset_new(settings, o->places, c->argv[o->first + 2].len);
    uint64_t added = 0, updated = 0;
    for (uint32_t i = 0; i < o->places; i++) {
        struct slice name = c->argv[o->first + i * 3 + 2];
        enum zset_put_result result = zset_put(&z, settings, name, &scores[i], o->flags);
        added += result == ZSET_ADDED;
        updated += result == ZSET_UPDATED;
    }
    zset__put_back(c, k, e, &z);
    if (added + updated > 0) {
        key_modified(c, k, added + updated);
        key_event(c, EVENT_ZSET, "zadd", k);
    }
    reply_int(c->out, (int64_t)(o->changed ? added + updated : added));
}

void geo__geoadd(struct call *c)
{
    struct geoadd o = {0};
    double on_stack[SCORES_ON_STACK], *scores = on_stack;
    if (!parse_geoadd(c, &o)) {
        return;
    }
    if (o.places > SCORES_ON_STACK) {
        scores = mem_alloc(o.places * sizeof *scores);
    }
    if (parse_places(c, &o, scores)) {
        add_places(c, &o, scores);
    }
    if (scores != on_stack) {
        mem_free(scores);
    }
}

/* --- reading --- */

/* The place of a member; false when there is no such member (or no key). */
static bool place_of(const struct entry *e, struct slice name, struct geo_point *p)
{
    double score;
    if (!e) {
        return false;
    }
    const struct zset z = zset_of(e);
    if (!zset_score(&z, name, &score)) {
        return false;
    }
    *p = geo_decode(score);
    return true;
}

void geo__geodist(struct call *c)
{
    double unit = 1;
    bool bad = false;
    if (c->argc > 5) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 5 && !geo__arg_unit(c, 4, &unit)) {
        return;
    }
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    struct geo_point a, b;
    if (place_of(e, c->argv[2], &a) && place_of(e, c->argv[3], &b)) {
        geo__reply_distance(c, geo_distance(a, b) / unit);
    } else {
        reply_null(c->out);
    }
}

void geo__geohash(struct call *c)
{
    bool bad = false;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        struct geo_point p;
        if (place_of(e, c->argv[i], &p)) {
            char text[GEO_TEXT_CHARS];
            geo_text(p, text);
            reply_bulk(c->out, text, sizeof text);
        } else {
            reply_null(c->out);
        }
    }
}

void geo__geopos(struct call *c)
{
    bool bad = false;
    const struct entry *e = key_read_type(c, &c->keys[0], TYPE_ZSET, &bad);
    if (bad) {
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        struct geo_point p;
        if (place_of(e, c->argv[i], &p)) {
            geo__reply_point(c, p);
        } else {
            reply_null_array(c->out);
        }
    }
}
