/* cmd_set_algebra.c - intersections, unions and differences of sets, replied, counted or stored.
 *
 * Where the keys lie apart their slots have been lent (command.h, APART_LEND): all sets are read in
 * place. The work starts from the set that bounds it: an intersection walks the smallest, a union
 * replies the largest without looking anything up, a difference walks the first or copies it,
 * whichever costs less. A member's hash is computed once however many sets are asked. */
#include "core/cmd_set.h"

#include "core/keyspace_internal.h"
#include "core/mem.h"
#include <assert.h>
#include <stdlib.h>

enum {
    UNION_LOOKUPS_SETS_MAX = 4, /* a union of more sets is put together before it is replied */
    DIFF_WALK_ADVANTAGE = 2,    /* walking costs less per member than copying and removing */
};

/* --- the sets --- */

/* The sets of n keys; an absent key's has no object. False (and an error) when one is none. The
 * array is the caller's to free. */
static struct set *open_sets(struct call *c, const struct key *keys, uint32_t n)
{
    struct set *sets = mem_alloc((n ? n : 1) * sizeof *sets);
    for (uint32_t i = 0; i < n; i++) {
        bool bad;
        const struct entry *e = key_read_type(c, &keys[i], TYPE_SET, &bad);
        if (bad) {
            mem_free(sets);
            return NULL;
        }
        sets[i] = e ? set_of(e) : (struct set){.object = NULL};
    }
    return sets;
}

static size_t count_of(const struct set *s)
{
    return s->object ? set_count(s) : 0;
}

static int by_count(const void *a, const void *b)
{
    const size_t x = count_of(a), y = count_of(b);
    return x < y ? -1 : x > y;
}

static int by_count_falling(const void *a, const void *b)
{
    return by_count(b, a);
}

/* Whether one of the n sets has the member. */
static bool any_has(const struct set *sets, uint32_t n, struct set_member *m)
{
    for (uint32_t i = 0; i < n; i++) {
        if (sets[i].object && set_has(&sets[i], m)) {
            return true;
        }
    }
    return false;
}

static bool all_have(const struct set *sets, uint32_t n, struct set_member *m)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!set_has(&sets[i], m)) {
            return false;
        }
    }
    return true;
}

/* --- where a result goes --- */

enum goal { GOAL_REPLY, GOAL_STORE, GOAL_COUNT };

struct result {
    struct call *c;
    enum goal goal;
    size_t count;
    size_t limit;           /* GOAL_COUNT: no more are counted; 0: all */
    struct set set;         /* GOAL_STORE; no object while it is empty */
    struct reply_mark mark; /* GOAL_REPLY */
};

static struct result result_begin(struct call *c, enum goal goal)
{
    struct result r = {.c = c, .goal = goal};
    if (goal == GOAL_REPLY) {
        r.mark = reply_deferred(c->out);
    }
    return r;
}

/* False when no more are wanted. */
static bool result_add(struct result *r, struct set_member *m)
{
    if (r->goal == GOAL_REPLY) {
        const struct slice bytes = set_member_bytes(m);
        reply_bulk(r->c->out, bytes.ptr, bytes.len);
    } else if (r->goal == GOAL_STORE) {
        const struct settings *settings = r->c->ks->settings;
        if (!r->set.object) {
            r->set = set_new(set_member_bytes(m), 1, settings);
        }
        if (!set_add(&r->set, m, settings)) {
            return true;
        }
    }
    r->count++;
    return r->goal != GOAL_COUNT || r->count != r->limit;
}

/* Adds all members of a set. */
static void result_add_all(struct result *r, const struct set *s)
{
    struct set_iter it;
    struct set_member m;
    set_iter_init(&it, s);
    while (set_next(&it, &m)) {
        result_add(r, &m);
    }
    set_iter_end(&it);
}

static void store(struct call *c, const struct set *s, const char *event)
{
    const struct key *k = &c->keys[0];
    struct entry *e = key_write(c, k);
    if (s->object && set_count(s) > 0) {
        const size_t count = set_count(s);
        key_set_object(c, k, e, TYPE_SET, s->encoding, s->object, false);
        key_modified(c, k, 1);
        key_event(c, EVENT_SET, event, k);
        reply_int(c->out, (int64_t)count);
        return;
    }
    if (s->object) {
        struct set empty = *s;
        set_free(&empty);
    }
    if (e) {
        key_delete(c, k, e);
        key_modified(c, k, 1);
        key_event(c, EVENT_GENERIC, "del", k);
    }
    reply_int(c->out, 0);
}

static void result_end(struct result *r, const char *event)
{
    switch (r->goal) {
    case GOAL_REPLY:
        reply_deferred_set(r->c->out, r->mark, r->count);
        break;
    case GOAL_STORE:
        store(r->c, &r->set, event);
        break;
    case GOAL_COUNT:
        reply_int(r->c->out, (int64_t)r->count);
        break;
    }
}

/* A set that was put together for a reply: a large one is freed in slices. */
static void discard(struct call *c, struct set *s)
{
    if (!s->object) {
        return;
    }
    if (s->encoding == ENC_TABLE && set_count(s) > VALUE_FREE_AT_ONCE) {
        keyspace__free_later(call_keyspace(c, &c->keys[0]), TYPE_SET, s->encoding, s->object);
    } else {
        set_free(s);
    }
}

/* --- SINTER, SINTERSTORE, SINTERCARD --- */

static void intersect(struct call *c, const struct key *keys, uint32_t n, enum goal goal,
                      size_t limit)
{
    struct set *sets = open_sets(c, keys, n);
    if (!sets) {
        return;
    }
    qsort(sets, n, sizeof *sets, by_count);
    struct result r = result_begin(c, goal);
    r.limit = limit;
    if (sets[0].object) {
        struct set_iter it;
        struct set_member m;
        bool more = true;
        set_iter_init(&it, &sets[0]);
        while (more && set_next(&it, &m)) {
            if (all_have(sets + 1, n - 1, &m)) {
                more = result_add(&r, &m);
            }
        }
        set_iter_end(&it);
    }
    result_end(&r, "sinterstore");
    mem_free(sets);
}

void set__sinter(struct call *c)
{
    intersect(c, c->keys, c->nkeys, GOAL_REPLY, 0);
}

void set__sinterstore(struct call *c)
{
    intersect(c, c->keys + 1, c->nkeys - 1, GOAL_STORE, 0);
}

void set__sintercard(struct call *c)
{
    int64_t numkeys, limit = 0;
    if (!call_arg_range(c, 1, 1, INT64_MAX, &numkeys, "ERR numkeys should be greater than 0")) {
        return;
    }
    if (numkeys > (int64_t)c->argc - 2) {
        reply_error(c->out, "ERR Number of keys can't be greater than number of args");
        return;
    }
    for (uint32_t i = 2 + (uint32_t)numkeys; i < c->argc; i += 2) {
        if (!slice_is(c->argv[i], "limit") || i + 1 == c->argc) {
            call_error_syntax(c);
            return;
        }
        if (!call_arg_range(c, i + 1, 0, INT64_MAX, &limit, "ERR LIMIT can't be negative")) {
            return;
        }
    }
    assert(c->nkeys == (uint32_t)numkeys);
    intersect(c, c->keys, c->nkeys, GOAL_COUNT, (size_t)limit);
}

/* --- SUNION, SUNIONSTORE --- */

/* The largest set needs no looking up: nothing has been replied before it. */
static void reply_union_of_few(struct result *r, const struct set *sets, uint32_t n)
{
    for (uint32_t i = 0; i < n && sets[i].object; i++) {
        struct set_iter it;
        struct set_member m;
        set_iter_init(&it, &sets[i]);
        while (set_next(&it, &m)) {
            if (!any_has(sets, i, &m)) {
                result_add(r, &m);
            }
        }
        set_iter_end(&it);
    }
}

static void unite(struct call *c, const struct key *keys, uint32_t n, enum goal goal)
{
    struct set *sets = open_sets(c, keys, n);
    if (!sets) {
        return;
    }
    qsort(sets, n, sizeof *sets, by_count_falling); /* absent ones to the end */
    struct result r = result_begin(c, goal);
    if (goal == GOAL_REPLY && n <= UNION_LOOKUPS_SETS_MAX) {
        reply_union_of_few(&r, sets, n);
    } else {
        struct result all = {.c = c, .goal = GOAL_STORE};
        for (uint32_t i = 0; i < n && sets[i].object; i++) {
            result_add_all(&all, &sets[i]);
        }
        if (goal == GOAL_STORE) {
            r.set = all.set;
        } else if (all.set.object) {
            result_add_all(&r, &all.set);
            discard(c, &all.set);
        }
    }
    result_end(&r, "sunionstore");
    mem_free(sets);
}

void set__sunion(struct call *c)
{
    unite(c, c->keys, c->nkeys, GOAL_REPLY);
}

void set__sunionstore(struct call *c)
{
    unite(c, c->keys + 1, c->nkeys - 1, GOAL_STORE);
}

/* --- SDIFF, SDIFFSTORE --- */

/* Whether walking the first set and looking its members up in the others (the largest first) is
 * less work than walking all sets. */
static bool walk_is_cheaper(const struct set *sets, uint32_t n)
{
    size_t walk = 0, copy = 0;
    for (uint32_t i = 0; i < n; i++) {
        walk += sets[i].object ? count_of(&sets[0]) : 0;
        copy += count_of(&sets[i]);
    }
    return walk / DIFF_WALK_ADVANTAGE <= copy;
}

static void diff_by_walking(struct result *r, struct set *sets, uint32_t n)
{
    struct set_iter it;
    struct set_member m;
    qsort(sets + 1, n - 1, sizeof *sets, by_count_falling);
    set_iter_init(&it, &sets[0]);
    while (set_next(&it, &m)) {
        if (!any_has(sets + 1, n - 1, &m)) {
            result_add(r, &m);
        }
    }
    set_iter_end(&it);
}

static void diff_by_copying(struct result *r, const struct set *sets, uint32_t n)
{
    struct set rest = set_copy(&sets[0]);
    for (uint32_t i = 1; i < n && set_count(&rest) > 0; i++) {
        if (!sets[i].object) {
            continue;
        }
        struct set_iter it;
        struct set_member m;
        set_iter_init(&it, &sets[i]);
        while (set_next(&it, &m)) {
            set_remove(&rest, &m);
        }
        set_iter_end(&it);
    }
    if (r->goal == GOAL_STORE) {
        r->set = rest;
        return;
    }
    result_add_all(r, &rest);
    discard(r->c, &rest);
}

static void subtract(struct call *c, const struct key *keys, uint32_t n, enum goal goal)
{
    struct set *sets = open_sets(c, keys, n);
    if (!sets) {
        return;
    }
    struct result r = result_begin(c, goal);
    bool itself = false; /* the first set is taken from itself */
    for (uint32_t i = 1; i < n; i++) {
        itself |= sets[i].object == sets[0].object;
    }
    if (!sets[0].object || itself) {
        /* nothing is left */
    } else if (walk_is_cheaper(sets, n)) {
        diff_by_walking(&r, sets, n);
    } else {
        diff_by_copying(&r, sets, n);
    }
    result_end(&r, "sdiffstore");
    mem_free(sets);
}

void set__sdiff(struct call *c)
{
    subtract(c, c->keys, c->nkeys, GOAL_REPLY);
}

void set__sdiffstore(struct call *c)
{
    subtract(c, c->keys + 1, c->nkeys - 1, GOAL_STORE);
}
