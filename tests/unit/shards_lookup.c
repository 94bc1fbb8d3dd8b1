/* The intrusive hash table (shards/lookup.h) against a plain array of what should be in it. */
#include "shards/lookup.h"
#include <criterion/criterion.h>
#include <stdlib.h>

enum { ITEMS = 5000 };

struct item {
    struct lookup_node node;
    uint64_t hash;
    bool in;
    int seen;
};

static struct item items[ITEMS];

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 11;
}

static bool found(const struct lookup *t, const struct item *item)
{
    struct lookup_node *n = lookup_first(t, item->hash);
    while (n != NULL && n != &item->node) {
        n = lookup_next(n, item->hash);
    }
    return n != NULL;
}

static void count_visit(struct lookup_node *node, void *ctx)
{
    ((struct item *)node)->seen++;
    ++*(uint32_t *)ctx;
}

static void check_all(const struct lookup *t)
{
    uint32_t visited = 0, in = 0;
    lookup_each(t, count_visit, &visited);
    for (int i = 0; i < ITEMS; i++) {
        cr_assert_eq(found(t, &items[i]), items[i].in, "item %d", i);
        cr_assert_eq(items[i].seen, items[i].in, "item %d", i);
        items[i].seen = 0;
        in += items[i].in;
    }
    cr_assert_eq(visited, in);
    cr_assert_eq(t->count, in);
}

static void toggle(struct lookup *t, struct item *item)
{
    if (item->in) {
        lookup_remove(t, &item->node);
    } else {
        lookup_insert(t, &item->node, item->hash);
    }
    item->in = !item->in;
}

Test(lookup, what_is_in_it_is_found_while_it_grows_and_shrinks)
{
    struct lookup t = {0};
    uint64_t random = 7;
    for (int i = 0; i < ITEMS; i++) { /* some hashes are shared, some differ in high bits only */
        items[i].hash = i % 10 == 0 ? 42 : next_random(&random) << (i % 3 == 0 ? 20 : 0);
    }
    cr_assert_null(lookup_first(&t, 42));
    for (int i = 0; i < ITEMS; i++) {
        toggle(&t, &items[i]);
    }
    check_all(&t);
    cr_assert_geq(t.buckets, ITEMS / 2);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < ITEMS; i++) {
            toggle(&t, &items[next_random(&random) % ITEMS]);
        }
        check_all(&t);
    }
    for (int i = 0; i < ITEMS; i++) {
        if (items[i].in) {
            toggle(&t, &items[i]);
        }
    }
    check_all(&t);
    cr_assert_eq(t.buckets, LOOKUP_BUCKETS_MIN);
    lookup_free(&t);
}

Test(lookup, ids_that_follow_each_other_spread)
{
    struct lookup t = {0};
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (struct item){.hash = 1000u + (unsigned)i};
        toggle(&t, &items[i]);
    }
    check_all(&t);
    uint32_t used = 0;
    for (uint64_t h = 1000; h < 1000 + t.buckets; h++) {
        used += *lookup__bucket(&t, h) != NULL;
    }
    cr_assert_eq(used, t.buckets);
    lookup_free(&t);
}
