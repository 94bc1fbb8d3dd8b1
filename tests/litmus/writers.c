/* writers.c - races of commands over several keys, one for each kind of them (litmus.h).
 *
 * Stores: A changes the keys p and q in one transaction (strings: by MSET), so that they are alike
 * at every moment. B stores something of both elsewhere, by one command, and asks what it got: the
 * union of two sets that are alike has one element, their difference none, and so on.
 *
 * Chains: A as before; B stores p as t, then q as u, and reads both: u is never older than t.
 *
 * Movers: A moves one thing between two keys, there and back; B asks both keys by one command, and
 * it is always in exactly one of them. Of databases B asks in a transaction.
 *
 * Canaries: A changes one key after the other, or takes away here and puts there by two commands. */
#include <stdio.h>
#include <string.h>

#include "litmus.h"

enum { SPOTS = PAIRS / 4, TEXT_MAX = 200 };

/* The command with each # made the number of the spot, and each @ the round. */
static void spot(struct actor *a, int scalars, const char *text, int i, int64_t round)
{
    char line[TEXT_MAX * 2];
    size_t n = 0;
    for (const char *c = text; *c != '\0' && n < TEXT_MAX; c++) {
        if (*c == '#') {
            n += (size_t)snprintf(line + n, sizeof line - n, "%d", i);
        } else if (*c == '@') {
            n += (size_t)snprintf(line + n, sizeof line - n, "%lld", (long long)round);
        } else {
            line[n++] = *c;
        }
    }
    line[n] = '\0';
    cmd(a, scalars, "%s", line);
}

/* --- stores and chains ----------------------------------------------------------------------- */

enum { CHANGES_MAX = 4 };

/* What A does to one spot, and the number of scalars of all these replies together is their count. */
struct change {
    const char *one;                  /* in one command, or NULL */
    const char *parts[CHANGES_MAX + 1]; /* in a transaction; as a canary alone */
};

static const struct change strings = {"MSET p:# @ q:# @", {"SET p:# @", "SET q:# @", NULL}};
static const struct change sets = {NULL, {"DEL sp:#", "SADD sp:# @", "DEL sq:#", "SADD sq:# @", NULL}};
static const struct change zsets = {NULL, {"ZADD zp:# @ m", "ZADD zq:# @ m", NULL}};
static const struct change members = {NULL, {"DEL yp:#", "ZADD yp:# 1 @", "DEL yq:#", "ZADD yq:# 1 @", NULL}};
static const struct change hlls = {NULL, {"DEL hp:#", "PFADD hp:# @", "DEL hq:#", "PFADD hq:# @", NULL}};
static const struct change streams = {
    NULL, {"DEL xp:#", "XADD xp:# @-1 f @", "DEL xq:#", "XADD xq:# @-1 f @", NULL}};
static const struct change lists = {NULL, {"DEL lp:#", "RPUSH lp:# @", "DEL lq:#", "RPUSH lq:# @", NULL}};

enum { STEPS_MAX = 4 };
enum verdict { ALWAYS, GROWS, ALIKE };

struct store {
    const struct change *change;
    struct {
        const char *text;
        int scalars;
    } step[STEPS_MAX + 1];
    enum verdict verdict;
    int64_t want[2]; /* ALWAYS: the first two scalars; GROWS and ALIKE: places of the two to compare */
};

static const struct store
    bitop = {&strings, {{"BITOP XOR d:# p:# q:#", 1}, {"BITCOUNT d:#", 1}}, ALWAYS, {13, 0}},
    lcs = {&strings, {{"LCS p:# q:# LEN", 1}, {"STRLEN p:#", 1}}, ALWAYS, {13, 13}},
    sortstore = {&strings, {{"SORT one:# BY nosort GET p:* GET q:* STORE d:#", 1}, {"LRANGE d:# 0 -1", 2}}, ALIKE, {1, 2}},
    sunion = {&sets, {{"SUNIONSTORE d:# sp:# sq:#", 1}, {"SCARD d:#", 1}}, ALWAYS, {1, 1}},
    sinter = {&sets, {{"SINTERSTORE d:# sp:# sq:#", 1}, {"SINTERCARD 2 sp:# sq:#", 1}}, ALWAYS, {1, 1}},
    sdiff = {&sets, {{"SDIFFSTORE d:# sp:# sq:#", 1}, {"SCARD d:#", 1}}, ALWAYS, {0, 0}},
    sread = {&sets, {{"SINTER sp:# sq:#", 1}, {"SUNION sq:# sp:#", 1}}, GROWS, {0, 1}},
    zunion = {&members, {{"ZUNIONSTORE d:# 2 yp:# yq:#", 1}, {"ZCARD d:#", 1}}, ALWAYS, {1, 1}},
    zinter = {&members, {{"ZINTERSTORE d:# 2 yp:# yq:#", 1}, {"ZINTERCARD 2 yp:# yq:#", 1}}, ALWAYS, {1, 1}},
    zdiff = {&members, {{"ZDIFFSTORE d:# 2 yp:# yq:#", 1}, {"ZCARD d:#", 1}}, ALWAYS, {0, 0}},
    pfmerge = {&hlls, {{"PFCOUNT hp:# hq:#", 1}, {"PFMERGE d#:@ hp:# hq:#", 1}, {"PFCOUNT d#:@", 1}, {"UNLINK d#:@", 1}},
               ALIKE, {0, 2}},
    pfcount = {&hlls, {{"PFCOUNT hp:# hq:#", 1}, {"PFCOUNT hq:# hp:# hp:#", 1}}, ALWAYS, {1, 1}},
    /* [[xp, [[id, [f, v]]]], [xq, [[id, [f, v]]]]] */
    xread = {&streams, {{"XREAD STREAMS xp:# xq:# 0 0", 8}}, ALIKE, {3, 7}},
    zrange = {&zsets, {{"ZRANGESTORE t:# zp:# 0 -1", 1}, {"ZRANGESTORE u:# zq:# 0 -1", 1},
                       {"ZSCORE t:# m", 1}, {"ZSCORE u:# m", 1}}, GROWS, {2, 3}},
    geo = {&zsets, {{"GEOSEARCHSTORE t:# zp:# FROMLONLAT 0 0 BYRADIUS 21000 km", 1},
                    {"GEOSEARCHSTORE u:# zq:# FROMLONLAT 0 0 BYRADIUS 21000 km", 1},
                    {"ZSCORE t:# m", 1}, {"ZSCORE u:# m", 1}}, GROWS, {2, 3}},
    copy = {&lists, {{"COPY lp:# t:# REPLACE", 1}, {"COPY lq:# u:# REPLACE", 1},
                     {"LINDEX t:# 0", 1}, {"LINDEX u:# 0", 1}}, GROWS, {2, 3}};

static void change_spot(struct actor *a, const struct change *change, int i, int64_t round)
{
    if (change->one != NULL && !canary) {
        spot(a, 1, change->one, i, round);
        return;
    }
    int parts = 0;
    cmd(a, 1, canary ? "PING" : "MULTI");
    for (; change->parts[parts] != NULL; parts++) {
        spot(a, 1, change->parts[parts], i, round);
    }
    cmd(a, canary ? 1 : parts, canary ? "PING" : "EXEC");
}

static void store_victim(struct actor *a, int64_t round)
{
    const struct store *s = a->race->with;
    for (int i = 0; i < SPOTS; i++) {
        change_spot(a, s->change, i, round);
    }
}

static void store_write(struct actor *a, int64_t round)
{
    const struct store *s = a->race->with;
    if (a->id == 0) {
        store_victim(a, round);
        return;
    }
    for (int i = 0; i < SPOTS; i++) {
        for (int k = 0; s->step[k].text != NULL; k++) {
            spot(a, s->step[k].scalars, s->step[k].text, i, round);
        }
    }
}

static void store_setup(struct actor *a)
{
    cmd(a, 1, "FLUSHDB");
    for (int i = 0; i < SPOTS; i++) {
        spot(a, 1, "SADD one:# #", i, 0);
        change_spot(a, ((const struct store *)a->race->with)->change, i, 1000000000000);
    }
}

static bool store_bad(const struct store *s, const int64_t *v)
{
    switch (s->verdict) {
    case ALWAYS:
        return v[0] != s->want[0] || v[1] != s->want[1];
    case ALIKE:
        return v[s->want[0]] < 0 || v[s->want[0]] != v[s->want[1]];
    case GROWS:
        return v[s->want[0]] < 0 || v[s->want[0]] > v[s->want[1]];
    }
    return true;
}

static long store_check(struct actor *a, int64_t round)
{
    const struct store *s = a->race->with;
    long bad = 0;
    int scalars = 0;
    (void)round;
    for (int k = 0; s->step[k].text != NULL; k++) {
        scalars += s->step[k].scalars;
    }
    for (int i = 0; i < SPOTS; i++) {
        bad += store_bad(s, &a[1].reply[scalars * i]);
    }
    return bad;
}

/* --- movers ---------------------------------------------------------------------------------- */

struct mover {
    const char *put, *there, *back;      /* there and back for A */
    const char *cut_there, *cut_put;     /* what the canary does: takes away, puts anew */
    const char *ask;                     /* one scalar, 1 */
    const char *undo;                    /* what ASK has taken, or NULL */
};

static const struct mover
    smove = {"SADD a:# m", "SMOVE a:# b:# m", "SMOVE b:# a:# m", "DEL a:#", "SADD a:# m", "EXISTS a:# b:#", NULL},
    lmove = {"RPUSH a:# m", "LMOVE a:# b:# LEFT RIGHT", "RPOPLPUSH b:# a:#", "DEL a:#", "RPUSH a:# m",
             "EXISTS a:# b:#", NULL},
    renamenx = {"HSET a:# f v", "RENAMENX a:# b:#", "RENAMENX b:# a:#", "DEL a:#", "HSET a:# f v", "EXISTS b:# a:#", NULL},
    lmpop = {"RPUSH a:# m", "LMOVE a:# b:# LEFT RIGHT", "LMOVE b:# a:# LEFT LEFT", "DEL a:#", "RPUSH a:# 1",
             "LMPOP 2 a:# b:# LEFT", "RPUSH a:# 1"},
    zmpop = {"ZADD a:# 1 m", "RENAME a:# b:#", "RENAME b:# a:#", "DEL a:#", "ZADD a:# 1 m", "ZMPOP 2 a:# b:# MAX",
             "ZADD a:# 1 m"};

static void mover_write(struct actor *a, int64_t round)
{
    const struct mover *m = a->race->with;
    for (int i = 0; i < SPOTS; i++) {
        if (a->id == 1) {
            spot(a, m->undo != NULL ? 4 : 1, m->ask, i, round);
            if (m->undo != NULL) {
                spot(a, 1, m->undo, i, round);
            }
        } else {
            for (int n = 0; n < 2; n++) {
                spot(a, 1, canary ? m->cut_there : m->there, i, round);
                spot(a, 1, canary ? m->cut_put : m->back, i, round);
            }
        }
    }
}

static void mover_setup(struct actor *a)
{
    const struct mover *m = a->race->with;
    cmd(a, 1, "FLUSHDB");
    for (int i = 0; i < SPOTS; i++) {
        spot(a, 1, m->put, i, 0);
    }
}

static long mover_check(struct actor *a, int64_t round)
{
    const struct mover *m = a->race->with;
    long bad = 0;
    (void)round;
    for (int i = 0; i < SPOTS; i++) {
        bad += m->undo != NULL ? a[1].reply[5 * i] == NIL : a[1].reply[i] != 1;
    }
    return bad;
}

/* Who vanishes moves only: it may take nothing with it. */
static void mover_victim(struct actor *a, int64_t round)
{
    a->id = 0;
    mover_write(a, round);
}

/* --- databases ------------------------------------------------------------------------------- */

enum { SOME = SPOTS / 2 };

/* MOVE between databases 5 and 6. */
static void movedb_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < SOME; i++) {
        if (a->id == 0) {
            cmd(a, 1, "SELECT 5");
            spot(a, 1, canary ? "DEL m:#" : "MOVE m:# 6", i, round);
            cmd(a, 1, "SELECT 6");
            spot(a, 1, canary ? "DEL m:#" : "MOVE m:# 5", i, round);
            cmd(a, 1, "SELECT 5");
            spot(a, 1, canary ? "SET m:# 1" : "PING", i, round);
        } else {
            cmd(a, 1, "MULTI");
            for (int db = 5; db <= 6; db++) {
                cmd(a, 1, "SELECT %d", db);
                spot(a, 1, "EXISTS m:#", i, round);
            }
            cmd(a, 4, "EXEC");
        }
    }
    cmd(a, 1, "SELECT 0");
}

static void movedb_setup(struct actor *a)
{
    cmd(a, 1, "FLUSHALL");
    cmd(a, 1, "SELECT 5");
    for (int i = 0; i < SOME; i++) {
        cmd(a, 1, "SET m:%d 1", i);
    }
    cmd(a, 1, "SELECT 0");
}

static long movedb_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < SOME; i++) {
        const int64_t *v = &a[1].reply[9 * i + 5];
        bad += v[1] + v[3] != 1;
    }
    return bad;
}

/* SWAPDB of databases whose keys are all 5, or all 6; FLUSHALL and FLUSHDB of what is set in pairs. */
static void swapdb_write(struct actor *a, int64_t round)
{
    cmd(a, 1, "SELECT 5");
    for (int i = 0; i < SOME; i++) {
        if (a->id == 1) {
            cmd(a, 4, "MGET x:%d y:%d x:%d y:%d", i, i, (i + 1) % SOME, (i + 1) % SOME);
        } else if (!canary) {
            cmd(a, 1, i % 2 == 0 ? "SWAPDB 5 6" : "SWAPDB 6 5");
        } else {
            cmd(a, 1, "SET x:%d %lld", i, (long long)round);
            cmd(a, 1, "SET y:%d %lld", i, (long long)round);
        }
    }
    cmd(a, 1, "SELECT 0");
}

static void swapdb_setup(struct actor *a)
{
    cmd(a, 1, "FLUSHALL");
    for (int db = 5; db <= 6; db++) {
        cmd(a, 1, "SELECT %d", db);
        for (int i = 0; i < SOME; i++) {
            cmd(a, 1, "MSET x:%d %d y:%d %d", i, db, i, db);
        }
    }
    cmd(a, 1, "SELECT 0");
}

static long swapdb_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < SOME; i++) {
        const int64_t *v = &a[1].reply[1 + 4 * i];
        bad += v[0] != v[1] || v[2] != v[3] || (!canary && v[0] != v[2]);
    }
    return bad;
}

static void flush_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < SOME; i++) {
        if (a->id == 1) {
            spot(a, 1, i % 2 == 0 ? "EXISTS fx:# fy:# fz:#" : "EXISTS fz:# fy:# fx:#", i, round);
            spot(a, 3, "MGET fz:# fx:# fy:#", i, round);
            continue;
        }
        if (canary) {
            spot(a, 1, "SET fx:# @", i, round);
            spot(a, 1, "DEL fx:#", i, round);
        } else {
            spot(a, 1, "MSET fx:# @ fy:# @ fz:# @", i, round);
            static const char *const how[] = {"FLUSHDB", "DEL fy:# fx:# fz:#", "FLUSHALL ASYNC", "UNLINK fx:# fz:# fy:#",
                                              "FLUSHALL"};
            spot(a, 1, how[i % 5], i, round);
            spot(a, 1, i % 2 == 0 ? "MSETNX fx:# @ fy:# @ fz:# @" : "MSET fz:# @ fy:# @ fx:# @", i, round);
        }
    }
}

static long flush_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < SOME; i++) {
        const int64_t *v = &a[1].reply[4 * i];
        bad += (v[0] != 0 && v[0] != 3) || v[1] != v[2] || v[2] != v[3];
    }
    return bad;
}

#define STORE(name) {#name, 2, store_write, store_check, store_victim, store_setup, &(name)}
/* A victim of the round before would make p or q older than it was. */
#define CHAIN(name) {#name, 2, store_write, store_check, NULL, store_setup, &(name)}
#define MOVER(name) {#name, 2, mover_write, mover_check, mover_victim, mover_setup, &(name)}

const struct race races_writers[] = {
    STORE(bitop), STORE(lcs), STORE(sortstore), STORE(sunion), STORE(sinter), STORE(sdiff), CHAIN(sread),
    STORE(zunion), STORE(zinter), STORE(zdiff), STORE(pfmerge), STORE(pfcount), STORE(xread), CHAIN(zrange),
    CHAIN(geo), CHAIN(copy),
    MOVER(smove), MOVER(lmove), MOVER(renamenx), MOVER(lmpop), MOVER(zmpop),
    {"movedb", 2, movedb_write, movedb_check, NULL, movedb_setup, NULL},
    {"swapdb", 2, swapdb_write, swapdb_check, swapdb_write, swapdb_setup, NULL},
    {"flush", 2, flush_write, flush_check, flush_write, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
