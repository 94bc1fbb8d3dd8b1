/* core_zset_tree.c - random changes of a tree against a sorted array, invariants checked. */
#include "core/zset_tree.h"

#include "core/hash.h"
#include "core/slab.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 3000, STEPS = 60000 };

static uint64_t random_state;

static uint64_t rnd(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

struct model_pair {
    double score;
    char name[16];
    bool present;
};

static int compare(const void *a, const void *b)
{
    const struct model_pair *x = a, *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static double random_score(int kind)
{
    static const double odd[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, 1e300, -1e300, 1e-300, 5e-324};
    switch (kind) {
    case 0:
        return (double)rnd(1000000);
    case 1:
        return (double)rnd(5); /* many equal scores */
    case 2:
        return odd[rnd(sizeof odd / sizeof odd[0])];
    case 3:
        return ldexp((double)rnd(1 << 20) - (1 << 19), (int)rnd(200) - 100);
    default:
        return 1700000000000.0 + (double)rnd(1000);
    }
}

static struct slice name_of(const struct model_pair *p)
{
    return slice_of(p->name, strlen(p->name));
}

static uint64_t hash_of(struct slice s)
{
    return hash_bytes(s.ptr, s.len);
}

/* The whole order, forwards and backwards, and ranks of bounds. */
static void check_against(const struct zset_tree *t, const struct model_pair *model)
{
    static struct model_pair sorted[NAMES];
    size_t n = 0;
    for (int i = 0; i < NAMES; i++) {
        if (model[i].present) {
            sorted[n++] = model[i];
        }
    }
    qsort(sorted, n, sizeof sorted[0], compare);
    zset_tree_check(t);
    cr_assert_eq(t->count, n);
    struct zset_cursor at;
    const struct zset_member *m = zset_tree_seek(t, 0, &at);
    for (size_t i = 0; i < n; i++, m = zset_tree_next(&at)) {
        cr_assert(m && slice_equal(zset_member_name(m), name_of(&sorted[i])));
        cr_assert(m->score == sorted[i].score);
    }
    cr_assert_null(m);
    m = n ? zset_tree_seek(t, n - 1, &at) : NULL;
    for (size_t i = n; i-- > 0; m = zset_tree_prev(&at)) {
        cr_assert(m && slice_equal(zset_member_name(m), name_of(&sorted[i])));
    }
    cr_assert_null(m);
    for (int k = 0; n > 0 && k < 20; k++) {
        size_t i = rnd(n);
        struct zset_bound b = {.by = ZSET_BY_PAIR, .score = sorted[i].score,
                               .name = name_of(&sorted[i])};
        cr_assert_eq(zset_tree_rank(t, &b), i);
        b.after = true;
        cr_assert_eq(zset_tree_rank(t, &b), i + 1);
        b.by = ZSET_BY_SCORE;
        size_t end = i + 1;
        while (end < n && sorted[end].score == sorted[i].score) {
            end++;
        }
        cr_assert_eq(zset_tree_rank(t, &b), end);
        b.after = false;
        while (i > 0 && sorted[i - 1].score == sorted[end - 1].score) {
            i--;
        }
        cr_assert_eq(zset_tree_rank(t, &b), i);
    }
}

static void change(struct zset_tree *t, struct model_pair *model, int kind, bool growing)
{
    struct model_pair *p = &model[rnd(NAMES)];
    struct slice name = name_of(p);
    struct zset_member *m = zset_tree_find(t, hash_of(name), name);
    cr_assert_eq(m != NULL, p->present);
    if (!m) {
        if (growing || rnd(4) == 0) {
            p->score = random_score(kind);
            p->present = true;
            zset_tree_add(t, hash_of(name), name, p->score);
        }
    } else if (rnd(3) == 0) {
        p->score = random_score(kind);
        zset_tree_rescore(t, m, p->score);
    } else if (!growing || rnd(4) == 0) {
        p->present = false;
        zset_tree_remove(t, m);
    }
}

static void run(int kind, uint64_t seed)
{
    static struct model_pair model[NAMES];
    random_state = seed;
    for (int i = 0; i < NAMES; i++) {
        snprintf(model[i].name, sizeof model[i].name, "%x", (unsigned)i * 2654435761u);
        model[i].present = false;
    }
    struct zset_tree *t = zset_tree_new();
    for (int step = 0; step < STEPS; step++) {
        change(t, model, kind == 5 ? (int)rnd(5) : kind, step / 10000 % 2 == 0);
        if (step % 1000 == 0) {
            check_against(t, model);
        }
        if (step % 9000 == 5000) {
            struct zset_tree *copy = zset_tree_copy(t);
            cr_assert_eq(zset_tree_bytes(copy), zset_tree_bytes(t));
            zset_tree_free(t); /* the copy lives by itself, and the test goes on with it */
            t = copy;
            zset_tree_check(t);
            check_against(t, model);
        }
    }
    while (!zset_tree_free_slice(t, 1 + rnd(50))) {
    }
}

Test(zset_tree, model)
{
    slab_thread_init();
    size_t used = slab_used_bytes();
    for (int kind = 0; kind <= 5; kind++) {
        run(kind, 42 + (uint64_t)kind);
        cr_assert_eq(slab_used_bytes(), used, "kind %d leaks", kind);
    }
    slab_thread_exit();
}

static struct slice numbered(char buf[24], int64_t i)
{
    return slice_of(buf, (size_t)snprintf(buf, 24, "member:%08d", (int)i));
}

/* In order, in reverse order, and in interleaved sweeps; then ranks are taken out in runs. */
Test(zset_tree, in_order)
{
    enum { N = 20000 };
    slab_thread_init();
    for (int shape = 0; shape < 3; shape++) {
        struct zset_tree *t = zset_tree_new();
        for (int64_t i = 0; i < N; i++) {
            char buf[24];
            struct slice name = numbered(buf, i);
            double score = shape == 0 ? (double)i : shape == 1 ? (double)-i : (double)(i * 7 % N);
            zset_tree_add(t, hash_of(name), name, score);
        }
        zset_tree_check(t);
        cr_assert_lt(t->node_bytes_, N * 14);
        while (t->count > 0) {
            uint64_t from = rnd(t->count), n = 1 + rnd(t->count / 3 + 1);
            n = n < t->count - from ? n : t->count - from;
            uint64_t before = t->count;
            zset_tree_remove_ranks(t, from, n);
            zset_tree_check(t);
            cr_assert_eq(t->count, before - n);
        }
        cr_assert_null(t->root_);
        zset_tree_free(t);
    }
    slab_thread_exit();
}

Test(zset_tree, unordered_then_ordered)
{
    enum { N = 5000 };
    slab_thread_init();
    struct zset_tree *t = zset_tree_new();
    for (int64_t i = 0; i < N; i++) {
        char buf[24];
        struct slice name = numbered(buf, i);
        struct zset_member *m = zset_tree_add_unordered(t, hash_of(name), name, 0);
        m->score = (double)(i % 100);
    }
    zset_tree_put_in_order(t);
    zset_tree_check(t);
    zset_tree_free(t);
    slab_thread_exit();
}

/* Names of all lengths, by name: how lexical ranges look. */
Test(zset_tree, names)
{
    slab_thread_init();
    size_t used = slab_used_bytes();
    struct zset_tree *t = zset_tree_new();
    static char long_name[6000];
    memset(long_name, 'x', sizeof long_name);
    for (size_t len = 0; len < sizeof long_name; len += 1 + len / 16) {
        struct slice name = slice_of(long_name, len);
        zset_tree_add(t, hash_of(name), name, 0);
    }
    zset_tree_check(t);
    struct zset_bound b = {.by = ZSET_BY_NAME, .name = slice_of(long_name, 10)};
    cr_assert_eq(zset_tree_rank(t, &b), 10);
    b.after = true;
    cr_assert_eq(zset_tree_rank(t, &b), 11);
    b.name = slice_of("y", 1);
    cr_assert_eq(zset_tree_rank(t, &b), t->count);
    zset_tree_free(t);
    cr_assert_eq(slab_used_bytes(), used);
    slab_thread_exit();
}
