/* core_hash_value.c - hash values in their three forms against a plain model. */
#include "core/hash_value.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/slab.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIELDS = 400, STEPS = 20000, START_MS = 1000 };

/* The model: fields are numbers. */
static struct model {
    bool there;
    int64_t value, at_ms;
} model[FIELDS];

static struct settings settings;
static uint64_t random_state;

static uint64_t draw(uint64_t limit)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % limit;
}

static uint64_t draw_any(void *ctx)
{
    return draw(1 << 22) << 42 ^ draw(1 << 22) << 20 ^ draw(1 << 20);
}

static void setup(void)
{
    static const uint8_t seed[16] = {1, 2, 3};
    hash_seed(seed);
    slab_thread_init();
    settings = (struct settings){.hash_max_listpack_entries = 128, .hash_max_listpack_value = 64};
    memset(model, 0, sizeof model);
    random_state = 42;
}

static void teardown(void)
{
    slab_thread_exit(); /* asserts that no block is left */
}

TestSuite(hash_value, .init = setup, .fini = teardown);

/* Every third field is a number, others are words; some are long. */
static struct slice name(int i, char buf[512])
{
    int len = i % 3 == 0 ? sprintf(buf, "%d", i) : sprintf(buf, "field:%d", i);
    if (i % 101 == 100) {
        memset(buf + len, 'x', 300);
        len += 300;
    }
    return slice_of(buf, (size_t)len);
}

static struct slice text(int64_t value, char buf[512])
{
    int len = value % 2 ? sprintf(buf, "%lld", (long long)value)
                        : sprintf(buf, "value %lld", (long long)value);
    if (value % 97 == 96) {
        memset(buf + len, 'y', 400);
        len += 400;
    }
    return slice_of(buf, (size_t)len);
}

static bool model_live(int i, int64_t now_ms)
{
    return model[i].there && (model[i].at_ms == HASH_NO_EXPIRY || model[i].at_ms >= now_ms);
}

struct tally {
    int64_t now_ms;
    unsigned seen[FIELDS];
};

static void visit(const struct hash_element *e, void *ctx)
{
    struct tally *t = ctx;
    char name_buf[512], value_buf[512];
    for (int i = 0; i < FIELDS; i++) {
        if (slice_equal(e->field, name(i, name_buf))) {
            t->seen[i]++;
            cr_assert(model[i].there, "field %d is not in the model", i);
            cr_assert(slice_equal(e->value, text(model[i].value, value_buf)), "value of %d", i);
            cr_assert_eq(e->at_ms, model[i].at_ms, "expiry of %d", i);
            return;
        }
    }
    cr_assert_fail("an unknown field");
}

static void compare(const struct hash_value *h, int64_t now_ms)
{
    struct tally t = {.now_ms = now_ms};
    uint64_t count = 0, live = 0;
    int64_t min_ms = INT64_MAX;
    hash_value_each(h, now_ms, visit, &t);
    for (int i = 0; i < FIELDS; i++) {
        cr_assert_eq(t.seen[i], model_live(i, now_ms), "field %d seen %u times", i, t.seen[i]);
        count += model[i].there;
        live += model_live(i, now_ms);
        if (model[i].there && model[i].at_ms != HASH_NO_EXPIRY && model[i].at_ms < min_ms) {
            min_ms = model[i].at_ms;
        }
    }
    cr_assert_eq(hash_value_count(h), count);
    cr_assert_eq(hash_value_count_live(h, now_ms), live);
    cr_assert_leq(hash_value_expire_min_ms(h), min_ms, "F2");
}

static void purge_model(struct hash_value *h, int64_t now_ms)
{
    size_t gone = 0, due = 0;
    for (int i = 0; i < FIELDS; i++) {
        if (model[i].there && !model_live(i, now_ms)) {
            model[i].there = false;
            due++;
        }
    }
    for (int tries = 0; hash_value_is_due(h, now_ms) && tries < 1000; tries++) {
        size_t budget = 50;
        gone += hash_value_purge(h, now_ms, &budget);
    }
    cr_assert_eq(gone, due);
}

static void put(struct hash_value *h, int i)
{
    char name_buf[512], value_buf[512];
    const int64_t value = (int64_t)draw(1000000);
    const bool keep = draw(2);
    const bool added =
        hash_value_put(h, name(i, name_buf), text(value, value_buf), keep, &settings);
    cr_assert_eq(added, !model[i].there);
    const int64_t at_ms = keep && model[i].there ? model[i].at_ms : HASH_NO_EXPIRY;
    model[i] = (struct model){true, value, at_ms};
}

static void step(struct hash_value *h, int fields, int64_t now_ms, bool expiries)
{
    char buf[512], value_buf[512];
    struct hash_element e;
    const int i = (int)draw((uint64_t)fields);
    const uint64_t what = draw(100);
    if (what < 40) {
        put(h, i);
    } else if (what < 60) {
        cr_assert_eq(hash_value_remove(h, name(i, buf)), model[i].there);
        model[i].there = false;
    } else if (what < 80) {
        const bool found = hash_value_get(h, name(i, buf), now_ms, &e);
        cr_assert_eq(found, model_live(i, now_ms));
        if (found) {
            cr_assert(slice_equal(e.value, text(model[i].value, value_buf)));
        }
    } else if (what < 95 && expiries && model[i].there) {
        model[i].at_ms = draw(4) ? now_ms + (int64_t)draw(2000) : HASH_NO_EXPIRY;
        hash_value_set_expiry(h, name(i, buf), model[i].at_ms);
    } else if (what < 98) {
        const bool dropped = hash_value_drop_expired(h, name(i, buf), now_ms);
        cr_assert_eq(dropped, model[i].there && !model_live(i, now_ms));
        model[i].there &= !dropped;
    }
}

static void run(int fields, bool expiries, enum value_encoding first, enum value_encoding last)
{
    struct hash_value h = hash_value_new();
    int64_t now_ms = START_MS;
    cr_assert_eq(h.encoding, ENC_LISTPACK);
    for (int n = 0; n < STEPS; n++) {
        step(&h, fields, now_ms, expiries);
        if (n == 20) {
            cr_assert_eq(h.encoding, first);
        }
        now_ms += (int64_t)draw(10);
        if (n % 1000 == 999) {
            compare(&h, now_ms);
            compare(&h, HASH_SEE_ALL);
            if (draw(3) == 0) {
                purge_model(&h, now_ms);
                compare(&h, now_ms);
            }
            struct hash_value copy = hash_value_copy(&h);
            compare(&copy, now_ms);
            hash_value_free(&copy);
        }
    }
    cr_assert_eq(h.encoding, last);
    hash_value_free(&h);
}

Test(hash_value, stays_a_listpack)
{
    settings.hash_max_listpack_value = 1000;
    run(100, false, ENC_LISTPACK, ENC_LISTPACK);
}

Test(hash_value, listpack_with_expiries)
{
    settings.hash_max_listpack_value = 1000;
    run(60, true, ENC_LISTPACK_EX, ENC_LISTPACK_EX);
}

Test(hash_value, becomes_a_table)
{
    run(FIELDS, false, ENC_LISTPACK, ENC_TABLE);
}

Test(hash_value, table_with_expiries)
{
    settings.hash_max_listpack_entries = 0;
    run(FIELDS, true, ENC_TABLE, ENC_TABLE);
}

Test(hash_value, converts_at_the_thresholds)
{
    struct hash_value h = hash_value_new();
    char buf[512];
    for (int i = 0; i < 128; i++) {
        hash_value_put(&h, slice_of(buf, (size_t)sprintf(buf, "f%d", i)), slice_str("v"), false,
                       &settings);
    }
    cr_assert_eq(h.encoding, ENC_LISTPACK);
    hash_value_put(&h, slice_str("f0"), slice_str("w"), false, &settings);
    cr_assert_eq(h.encoding, ENC_LISTPACK);
    hash_value_put(&h, slice_str("one more"), slice_str("v"), false, &settings);
    cr_assert_eq(h.encoding, ENC_TABLE);
    hash_value_free(&h);

    for (int part = 0; part < 2; part++) {
        memset(buf, 'x', 65);
        h = hash_value_new();
        hash_value_put(&h, slice_of(buf, 64), slice_of(buf, 64), false, &settings);
        cr_assert_eq(h.encoding, ENC_LISTPACK);
        hash_value_put(&h, slice_of(buf, part ? 65 : 1), slice_of(buf, part ? 1 : 65), false,
                       &settings);
        cr_assert_eq(h.encoding, ENC_TABLE);
        hash_value_free(&h);
    }
}

Test(hash_value, triples_stand_in_order_of_expiry)
{
    struct hash_value h = hash_value_new();
    const char *const fields[] = {"a", "b", "c", "d"};
    const int64_t expiries[] = {500, 100, HASH_NO_EXPIRY, 300};
    for (int i = 0; i < 4; i++) {
        hash_value_put(&h, slice_str(fields[i]), slice_str("v"), false, &settings);
    }
    for (int i = 0; i < 4; i++) {
        hash_value_set_expiry(&h, slice_str(fields[i]), expiries[i]);
    }
    cr_assert_eq(h.encoding, ENC_LISTPACK_EX);
    char order[8] = "";
    int at = 0;
    for (uint8_t *p = listpack_first(h.object); p;) {
        order[at++] = listpack_get(p).ptr[0];
        for (int skip = 0; skip < 3; skip++) {
            p = listpack_next(h.object, p);
        }
    }
    cr_assert_str_eq(order, "bdac");
    cr_assert_eq(hash_value_expire_min_ms(&h), 100);
    size_t budget = 10;
    cr_assert_eq(hash_value_purge(&h, 301, &budget), 2);
    cr_assert_eq(budget, 8);
    cr_assert_eq(hash_value_count(&h), 2);
    hash_value_free(&h);
}

/* Fields that stay during a scan are seen, whatever comes and goes meanwhile. */
struct scan_seen {
    unsigned seen[FIELDS];
};

static void visit_scan(const struct hash_element *e, void *ctx)
{
    struct scan_seen *s = ctx;
    int i;
    char field[32] = "";
    memcpy(field, e->field.ptr, e->field.len < 31 ? e->field.len : 31);
    if (sscanf(field, "stays:%d", &i) == 1) {
        s->seen[i]++;
    }
}

Test(hash_value, scan_survives_growth)
{
    struct hash_value h = hash_value_new();
    struct scan_seen s = {0};
    char buf[64];
    for (int i = 0; i < FIELDS; i++) {
        hash_value_put(&h, slice_of(buf, (size_t)sprintf(buf, "stays:%d", i)), slice_str("v"),
                       false, &settings);
    }
    uint64_t at = 0;
    int others = 0;
    do {
        at = hash_value_scan(&h, at, HASH_SEE_ALL, visit_scan, &s);
        cr_assert_eq(at & 0xffff, 0);
        for (int i = 0; i < 100 && others < 20000; i++, others++) {
            hash_value_put(&h, slice_of(buf, (size_t)sprintf(buf, "comes:%d", others)),
                           slice_str("v"), false, &settings);
        }
    } while (at != 0);
    for (int i = 0; i < FIELDS; i++) {
        cr_assert_geq(s.seen[i], 1, "field %d was not seen", i);
    }
    hash_value_free(&h);
}

Test(hash_value, draws_are_even)
{
    struct hash_value h = hash_value_new();
    enum { DRAWS = 40000, COUNT = 200 };
    unsigned drawn[COUNT] = {0};
    char buf[64];
    hash_value_to_table(&h);
    for (int i = 0; i < COUNT; i++) {
        hash_value_put(&h, slice_of(buf, (size_t)sprintf(buf, "%d", i)), slice_str("v"), false,
                       &settings);
    }
    for (int i = 0; i < DRAWS; i++) {
        struct hash_element e;
        int64_t number;
        hash_value_look(&h, hash_value_random(&h, draw_any, NULL), &e);
        cr_assert(num_parse_int(e.field.ptr, e.field.len, &number));
        drawn[number]++;
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert(drawn[i] > 100 && drawn[i] < 320, "%d drawn %u times of 200 expected", i,
                  drawn[i]);
    }
    hash_value_free(&h);
}

Test(hash_value, large_ones_are_freed_in_slices)
{
    struct hash_value h = hash_value_new();
    char buf[64];
    for (int i = 0; i < 20000; i++) {
        hash_value_put(&h, slice_of(buf, (size_t)sprintf(buf, "field:%d", i)), slice_str("v"),
                       false, &settings);
    }
    const struct value_ops *ops = entry_value_ops(TYPE_HASH, h.encoding);
    cr_assert_eq(ops->free_effort(h.object), 20000);
    cr_assert_gt(ops->bytes(h.object), 20000 * 24);
    uint64_t progress = 0;
    int slices = 1;
    while (!ops->free_slice(h.object, 1000, &progress)) {
        slices++;
    }
    cr_assert(slices >= 20 && slices < 25, "%d slices", slices);
}

/* The digest does not depend on the form, nor on the order. */
Test(hash_value, digests_agree)
{
    struct hash_value a = hash_value_new(), b = hash_value_new();
    uint8_t digest_a[20] = {0}, digest_b[20] = {0};
    char buf[64];
    hash_value_to_table(&b);
    for (int i = 0; i < 100; i++) {
        const int j = 99 - i;
        hash_value_put(&a, slice_of(buf, (size_t)sprintf(buf, "%d", i)), slice_of(buf, 1), false,
                       &settings);
        hash_value_put(&b, slice_of(buf, (size_t)sprintf(buf, "%d", j)), slice_of(buf, 1), false,
                       &settings);
    }
    hash_value_set_expiry(&a, slice_str("7"), 1000);
    hash_value_set_expiry(&b, slice_str("7"), 2000);
    entry_value_ops(TYPE_HASH, a.encoding)->digest(a.object, digest_a);
    entry_value_ops(TYPE_HASH, b.encoding)->digest(b.object, digest_b);
    cr_assert_arr_eq(digest_a, digest_b, sizeof digest_a);
    hash_value_free(&a);
    hash_value_free(&b);
}

/* --- regions of a large hash --- */

/* A hundred thousand fields that expire one after the other. */
static struct hash_value hash_of_deadlines(int n)
{
    struct hash_value h = hash_value_new();
    char buf[32];
    hash_value_to_table(&h);
    for (int i = 0; i < n; i++) {
        const struct slice field = slice_of(buf, (size_t)sprintf(buf, "f%d", i));
        hash_value_put(&h, field, slice_str("v"), false, &settings);
        hash_value_set_expiry(&h, field, 1000 + i);
    }
    return h;
}

Test(hash_value, a_purge_looks_only_where_something_is_due)
{
    enum { N = 100000, DUE = 3 };
    struct hash_value h = hash_of_deadlines(N);
    size_t gone = 0, looked = 0, all = SIZE_MAX;
    const struct hash_fields *f = h.object;
    cr_assert_gt(f->region_bits_, 4);
    /* Regions that were halved while the hash grew have bounds that are too early: once. */
    cr_assert_eq(hash_value_purge(&h, 1001, &all), 1);
    while (hash_value_is_due(&h, 1000 + DUE)) {
        size_t budget = 100;
        gone += hash_value_purge(&h, 1000 + DUE, &budget);
        looked += 100 - budget;
    }
    cr_assert_eq(gone, DUE - 1);
    cr_assert_leq(looked, DUE * 3 * HASH_REGION_FIELDS, "%zu looked at", looked);
    cr_assert_eq(hash_value_expire_min_ms(&h), 1000 + DUE, "exact after a whole pass");
    cr_assert_eq(hash_value_count(&h), N - DUE);
    hash_value_free(&h);
}

Test(hash_value, regions_smaller_than_a_bucket)
{
    enum { N = 100000, LEFT = 20 };
    struct hash_value h = hash_of_deadlines(N);
    char buf[32];
    size_t gone = 0;
    int slices = 0;
    for (int i = 0; i < N - LEFT; i++) {
        hash_value_remove(&h, slice_of(buf, (size_t)sprintf(buf, "f%d", i)));
    }
    cr_assert(hash_value_is_due(&h, INT64_MAX));
    for (; hash_value_is_due(&h, 1000 + N - LEFT / 2); slices++) {
        size_t budget = 10;
        gone += hash_value_purge(&h, 1000 + N - LEFT / 2, &budget);
        cr_assert_lt(slices, 1000);
    }
    cr_assert_eq(gone, LEFT / 2);
    cr_assert_eq(hash_value_count(&h), LEFT - LEFT / 2);
    cr_assert_eq(hash_value_expire_min_ms(&h), 1000 + N - LEFT / 2);
    hash_value_free(&h);
}
