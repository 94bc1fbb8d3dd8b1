/* core_idtree.c - core/idtree.h against a sorted array: random insertions, removals and walks. */
#include "core/idtree.h"
#include "core/slab.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { IDS = 3000 };

struct model {
    bool there[IDS];
    uint64_t count;
};

/* Some ids share their first half. */
static struct stream_id id_of(int i)
{
    return (struct stream_id){(uint64_t)i / 7, (uint64_t)i % 7};
}

static void *value_of(int i)
{
    return (void *)(uintptr_t)(i + 1);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check_all(const struct idtree *t, const struct model *m)
{
    struct idtree_at at;
    const struct idtree_item *item = idtree_first(t, &at);
    cr_assert_eq(t->count, m->count);
    for (int i = 0; i < IDS; i++) {
        cr_assert_eq(idtree_find(t, id_of(i)), m->there[i] ? value_of(i) : NULL);
        if (m->there[i]) {
            cr_assert(item && item->value == value_of(i));
            item = idtree_next(&at);
        }
    }
    cr_assert_null(item);
    item = idtree_last(t, &at);
    for (int i = IDS; i-- > 0;) {
        if (m->there[i]) {
            cr_assert(item && item->value == value_of(i));
            item = idtree_prev(&at);
        }
    }
    cr_assert_null(item);
}

static void check_bounds(const struct idtree *t, const struct model *m, int i)
{
    struct idtree_at at;
    int below = i, above = i;
    while (below >= 0 && !m->there[below]) {
        below--;
    }
    while (above < IDS && !m->there[above]) {
        above++;
    }
    const struct idtree_item *item = idtree_not_above(t, id_of(i), &at);
    cr_assert_eq(item ? item->value : NULL, below >= 0 ? value_of(below) : NULL);
    item = idtree_not_below(t, id_of(i), &at);
    cr_assert_eq(item ? item->value : NULL, above < IDS ? value_of(above) : NULL);
}

static void put(struct idtree *t, struct model *m, int i)
{
    cr_assert_eq(idtree_insert(t, id_of(i), value_of(i)), !m->there[i]);
    m->count += !m->there[i];
    m->there[i] = true;
}

static void take(struct idtree *t, struct model *m, int i)
{
    cr_assert_eq(idtree_remove(t, id_of(i)), m->there[i] ? value_of(i) : NULL);
    m->count -= m->there[i];
    m->there[i] = false;
}

Test(core_idtree, random_changes_as_a_sorted_array)
{
    static struct model m;
    struct idtree t = {0};
    uint64_t state = 88172645463325252;
    for (int round = 0; round < 12; round++) {
        /* rounds that grow, rounds that shrink */
        for (int step = 0; step < 4000; step++) {
            const int i = (int)(random_next(&state) % IDS);
            if (random_next(&state) % 8 < (round % 2 ? 2u : 6u)) {
                put(&t, &m, i);
            } else {
                take(&t, &m, i);
            }
            if (step % 16 == 0) {
                check_bounds(&t, &m, (int)(random_next(&state) % IDS));
            }
        }
        check_all(&t, &m);
    }
    for (int i = 0; i < IDS; i++) {
        take(&t, &m, i);
    }
    check_all(&t, &m);
    cr_assert_eq(t.nodes, 0);
    cr_assert_eq(idtree_bytes(&t), 0);
    slab_thread_exit();
}

Test(core_idtree, growing_ids_fill_leaves)
{
    struct idtree t = {0};
    const uint64_t n = 100000;
    for (uint64_t i = 0; i < n; i++) {
        cr_assert(idtree_insert(&t, (struct stream_id){i, 0}, value_of(1)));
    }
    cr_assert_lt(idtree_bytes(&t), n * 27, "%zu", idtree_bytes(&t));
    for (uint64_t i = 0; i < n; i++) { /* as trimming does */
        cr_assert(idtree_remove(&t, (struct stream_id){i, 0}));
    }
    cr_assert_null(t.root);
    slab_thread_exit();
}

Test(core_idtree, popped_from_the_end)
{
    struct idtree t = {0};
    struct idtree_item item;
    for (int i = 0; i < 2000; i++) {
        idtree_insert(&t, id_of(i), value_of(i));
    }
    for (int i = 2000; i-- > 500;) {
        cr_assert(idtree_pop_last(&t, &item));
        cr_assert_eq(item.value, value_of(i));
    }
    for (int i = 500; i < 700; i++) { /* and used again */
        cr_assert(idtree_insert(&t, id_of(i), value_of(i)));
    }
    cr_assert_eq(t.count, 700);
    idtree_free(&t);
    cr_assert_not(idtree_pop_last(&t, &item));
    slab_thread_exit();
}
