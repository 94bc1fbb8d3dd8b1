/* core_table.c - the table against an array of what must be in it. */
#include "core/hash.h"
#include "core/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct item {
    uint64_t id;
    bool in, seen;
    bool steady; /* there during the whole scan */
    uint32_t drawn;
};

static uint64_t id_hash(uint64_t id)
{
    return hash_bytes(&id, sizeof id);
}

static uint64_t item_hash(const void *p)
{
    return id_hash(((const struct item *)p)->id);
}

static uint64_t crowded_hash(const void *p) /* many collisions, and 16 positions in all */
{
    return (((const struct item *)p)->id % 16) << 60;
}

static const struct table_type type = {item_hash};
static const struct table_type crowded = {crowded_hash};

static bool match(const void *p, const void *wanted)
{
    return ((const struct item *)p)->id == *(const uint64_t *)wanted;
}

static struct item *items_new(size_t n)
{
    struct item *items = calloc(n, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i].id = i;
    }
    return items;
}

static void flip(struct table *t, const struct table_type *ty, struct item *it)
{
    uint64_t hash = ty->hash(it);
    if (it->in) {
        cr_assert(table_remove(t, ty, hash, it));
        cr_assert_not(table_remove(t, ty, hash, it));
    } else {
        table_insert(t, ty, hash, it);
    }
    it->in = !it->in;
}

static void check_all(struct table *t, const struct table_type *ty, struct item *items, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        void *found = table_find(t, ty->hash(&items[i]), match, &items[i].id);
        cr_assert_eq(found, items[i].in ? &items[i] : NULL, "item %zu of %zu", i, n);
        count += items[i].in;
    }
    cr_assert_eq(t->count, count);
}

static void forget(void *p, void *ctx)
{
}

static void end(struct table *t, struct item *items)
{
    cr_assert(table_drain(t, forget, NULL, SIZE_MAX));
    free(items);
}

static uint64_t next_random(void *ctx)
{
    uint64_t *x = ctx; /* splitmix64 */
    uint64_t z = *x += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

Test(table, empty)
{
    struct table t;
    table_init(&t);
    uint64_t id = 1, seed = 1;
    cr_assert_null(table_find(&t, 5, match, &id));
    cr_assert_not(table_remove(&t, &type, 5, &t));
    cr_assert_eq(table_scan(&t, 0, NULL, NULL), 0);
    cr_assert_null(table_random(&t, next_random, &seed));
    cr_assert_eq(table_bytes(&t), 0);
    cr_assert(table_drain(&t, NULL, NULL, 1));
}

/* Grows to n items and back to none, checked on the way; fills at every size. */
static void grow_and_shrink(const struct table_type *ty, size_t n)
{
    struct table t;
    table_init(&t);
    struct item *items = items_new(n);
    size_t next = 1;
    for (size_t i = 0; i < n; i++) {
        flip(&t, ty, &items[i]);
        if (i == next) {
            check_all(&t, ty, items, n);
            next += next / 2 + 1;
        }
    }
    check_all(&t, ty, items, n);
    for (size_t i = 0; i < n; i++) {
        size_t pick = i * 7919 % n; /* n is no multiple of it: all of them, out of order */
        flip(&t, ty, &items[pick]);
        if (n - i == next) {
            check_all(&t, ty, items, n);
            next -= next / 3 + 1;
        }
    }
    cr_assert_eq(t.count, 0);
    cr_assert_null(t.root_, "all memory is given back");
    cr_assert_eq(table_bytes(&t), 0);
    free(items);
}

Test(table, grow_and_shrink)
{
    for (size_t n = 1; n < 100; n += 3) {
        grow_and_shrink(&type, n);
    }
    grow_and_shrink(&type, 2049);
    grow_and_shrink(&type, 100000);
}

Test(table, grow_and_shrink_with_collisions)
{
    grow_and_shrink(&crowded, 60);
    grow_and_shrink(&crowded, 3000);
}

Test(table, random_changes)
{
    enum { N = 30000 };
    struct table t;
    table_init(&t);
    struct item *items = items_new(N);
    srandom(5);
    /* the pool breathes: the number of items swings between some and most */
    for (size_t round = 0; round < 30; round++) {
        size_t pool = round % 3 == 0 ? 200 : N;
        for (size_t i = 0; i < 20000; i++) {
            struct item *it = &items[(size_t)random() % pool];
            if (round % 5 == 4 && !it->in) {
                continue; /* mostly removals */
            }
            flip(&t, &type, it);
        }
        check_all(&t, &type, items, N);
    }
    end(&t, items);
}

Test(table, bytes_per_item)
{
    /* over all sizes that a slot may have, and for a big table */
    double sum = 0, points = 0;
    struct table t;
    table_init(&t);
    enum { N = 400000 };
    struct item *items = items_new(N);
    for (size_t i = 0; i < N; i++) {
        flip(&t, &type, &items[i]);
        if (i >= 40 && (i < 2000 || i % 997 == 0)) {
            sum += (double)table_bytes(&t) / (double)t.count;
            points++;
        }
    }
    /* what the allocator rounds up to is in it: segments use all of their blocks */
    cr_assert_leq(sum / points, 10.8, "%.2f bytes per item", sum / points);
    end(&t, items);
}

/* --- no run of changes moves much --- */

static size_t moved; /* items: the hash is asked for only when an item moves */

static uint64_t counting_hash(const void *p)
{
    moved++;
    return item_hash(p);
}

static const struct table_type counting = {counting_hash};

enum {
    WINDOW = 100,
    STEP_MAX = 2 * TABLE_SEGMENT_BUCKETS * TABLE_BUCKET_ITEMS, /* a segment at its fullest */
    MOVED_MAX = 1024 + 16 * WINDOW + STEP_MAX,                 /* as table.c says */
};

struct moves {
    size_t changes, window_at, most, all;
};

static void moves_count(struct moves *m)
{
    m->changes++;
    if (m->changes % WINDOW == 0) {
        m->most = moved - m->window_at > m->most ? moved - m->window_at : m->most;
        m->window_at = moved;
    }
    m->all = moved;
}

/* Items go round the tables, so that all have the same number of them at any time. */
static void change_evenly(size_t tables, size_t n)
{
    struct table *t = calloc(tables, sizeof *t);
    struct item *items = items_new(n);
    struct moves grow = {0}, shrink = {0};
    moved = 0;
    for (size_t i = 0; i < n; i++) {
        table_insert(&t[i % tables], &counting, id_hash(i), &items[i]);
        moves_count(&grow);
    }
    cr_assert_leq(grow.most, MOVED_MAX, "%zu tables: %zu moved", tables, grow.most);
    cr_assert_leq(grow.all, 6 * n, "%zu tables: %zu moved", tables, grow.all);
    size_t bytes = 0;
    for (size_t i = 0; i < tables; i++) {
        bytes += table_bytes(&t[i]);
    }
    cr_assert_leq(bytes, 11 * n, "%zu tables: %zu bytes", tables, bytes);
    moved = 0;
    for (size_t i = 0; i < n; i++) {
        cr_assert(table_remove(&t[i % tables], &counting, id_hash(i), &items[i]));
        moves_count(&shrink);
    }
    cr_assert_leq(shrink.most, MOVED_MAX, "%zu tables: %zu moved", tables, shrink.most);
    cr_assert_leq(shrink.all, 6 * n, "%zu tables: %zu moved", tables, shrink.all);
    for (size_t i = 0; i < tables; i++) {
        cr_assert_null(t[i].root_, "all memory is given back");
    }
    free(items);
    free(t);
}

Test(table, many_tables_do_not_grow_all_at_once)
{
    change_evenly(16384, 16384 * 61);
    change_evenly(1000, 1000000);
    change_evenly(200, 600000);
}

Test(table, segments_do_not_split_all_at_once)
{
    change_evenly(1, 1500000);
}

struct scan {
    struct table *t;
    size_t visited;
    struct item *last;
};

static void mark(void *p, void *ctx)
{
    struct item *it = p;
    it->seen = true;
    ((struct scan *)ctx)->visited++;
}

/* A scan during which other items come and go: all that stay are returned. */
static void scan_while(size_t n, size_t grow_to, size_t changes)
{
    struct table t;
    table_init(&t);
    struct item *items = items_new(grow_to);
    for (size_t i = 0; i < n; i++) {
        flip(&t, &type, &items[i]);
        items[i].steady = i % 5 == 0;
    }
    struct scan s = {.t = &t};
    uint64_t pos = 0;
    size_t steps = 0;
    do {
        uint64_t next = table_scan(&t, pos, mark, &s);
        cr_assert(next > pos || next == 0);
        cr_assert_eq(next & 0xffff, 0);
        pos = next;
        for (size_t i = 0; i < changes; i++) {
            struct item *it = &items[(size_t)random() % grow_to];
            if (!it->steady) {
                flip(&t, &type, it);
            }
        }
        steps++;
    } while (pos);
    for (size_t i = 0; i < grow_to; i++) {
        cr_assert(!items[i].steady || items[i].seen, "item %zu was missed", i);
    }
    cr_assert_leq(steps, grow_to + 4);
    end(&t, items);
}

Test(table, scan_returns_what_stays)
{
    srandom(6);
    for (size_t n = 5; n < 200; n += 13) {
        scan_while(n, n * 20, 10);  /* grows meanwhile */
        scan_while(n * 20, n * 20, 40); /* shrinks meanwhile */
    }
    scan_while(3000, 60000, 100);
    scan_while(60000, 60000, 30);
}

Test(table, scan_visits_once_when_nothing_changes)
{
    for (size_t n = 1; n < 50000; n = n * 3 + 1) {
        struct table t;
        table_init(&t);
        struct item *items = items_new(n);
        for (size_t i = 0; i < n; i++) {
            flip(&t, &type, &items[i]);
        }
        struct scan s = {0};
        uint64_t pos = 0;
        do {
            pos = table_scan(&t, pos, mark, &s);
        } while (pos);
        cr_assert_eq(s.visited, n);
        end(&t, items);
    }
}

static void remove_some(void *p, void *ctx)
{
    struct item *it = p;
    struct scan *s = ctx;
    s->visited++;
    if (it->id % 8) {
        flip(s->t, &type, it);
    }
}

static void replace(void *p, void *ctx)
{
    struct item *it = p;
    struct scan *s = ctx;
    table_replace(s->t, item_hash(it), it, it + 100000);
    it[100000].id = it->id;
    s->visited++;
}

Test(table, visits_may_remove_and_replace)
{
    enum { N = 100000 };
    struct table t;
    table_init(&t);
    struct item *items = items_new(2 * N);
    for (size_t i = 0; i < N; i++) {
        flip(&t, &type, &items[i]);
    }
    struct scan s = {.t = &t};
    uint64_t pos = 0;
    do {
        pos = table_scan_remove(&t, &type, pos, remove_some, &s);
    } while (pos);
    cr_assert(s.visited >= N && s.visited < N + N / 4); /* shrinking brings some twice */
    check_all(&t, &type, items, N);
    cr_assert_leq((double)table_bytes(&t) / (double)t.count, 32.0, "it has shrunk");
    do {
        pos = table_scan(&t, pos, replace, &s);
    } while (pos);
    for (size_t i = 0; i < N; i++) {
        uint64_t id = i;
        void *found = table_find(&t, id_hash(id), match, &id);
        cr_assert_eq(found, i % 8 ? NULL : &items[i + N]);
    }
    end(&t, items);
}

Test(table, random_is_even)
{
    uint64_t seed = 7;
    static const size_t sizes[] = {1, 2, 9, 30, 500, 3000, 10000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k], draws = n * 50;
        struct table t;
        table_init(&t);
        struct item *items = items_new(n);
        for (size_t i = 0; i < n; i++) {
            flip(&t, &type, &items[i]);
        }
        for (size_t i = 0; i < draws; i++) {
            struct item *it = table_random(&t, next_random, &seed);
            it->drawn++;
        }
        double chi2 = 0; /* expected: n - 1, give or take sqrt(2 n) */
        for (size_t i = 0; i < n; i++) {
            double off = (double)items[i].drawn - 50;
            chi2 += off * off / 50;
        }
        cr_assert_leq(chi2, (double)n + 6 * __builtin_sqrt(2.0 * (double)n) + 6,
                      "%zu items: chi2 %.1f", n, chi2);
        end(&t, items);
    }
}

static void count_visit(void *p, void *ctx)
{
    struct item *it = p;
    cr_assert_not(it->seen);
    it->seen = true;
    ++*(size_t *)ctx;
}

Test(table, drain_in_slices)
{
    for (size_t n = 1; n <= 50000; n = n * 6 + 1) {
        struct table t;
        table_init(&t);
        struct item *items = items_new(n);
        for (size_t i = 0; i < n; i++) {
            flip(&t, &type, &items[i]);
        }
        size_t freed = 0, before = 0;
        while (!table_drain(&t, count_visit, &freed, 100)) {
            cr_assert_leq(freed - before, 100);
            before = freed;
        }
        cr_assert_eq(freed, n);
        cr_assert_null(t.root_);
        end(&t, items);
    }
}

static void *clone_of(void *item, void *ctx)
{
    return (struct item *)ctx + ((struct item *)item)->id;
}

/* A clone of a table of any size and shape holds the clones of its items, and lives by itself. */
static void clones(const struct table_type *ty, size_t n)
{
    struct table t, clone;
    struct item *items = items_new(n), *others = items_new(n);
    table_init(&t);
    table_init(&clone);
    for (size_t i = 0; i < n; i++) {
        flip(&t, ty, &items[i]);
    }
    table_clone(&clone, &t, clone_of, others);
    for (size_t i = 0; i < n; i++) {
        others[i].in = true;
    }
    cr_assert_eq(table_bytes(&clone), table_bytes(&t));
    check_all(&clone, ty, others, n);
    for (size_t i = 0; i < n; i += 2) {
        flip(&clone, ty, &others[i]);
    }
    check_all(&clone, ty, others, n);
    check_all(&t, ty, items, n);
    end(&clone, others);
    end(&t, items);
}

Test(table, clones)
{
    clones(&type, 1);
    clones(&type, 100);
    clones(&type, 3000);
    clones(&type, 100000);
    clones(&crowded, 500);
    struct table empty, clone;
    table_init(&empty);
    table_init(&clone);
    table_clone(&clone, &empty, NULL, NULL);
    cr_assert_null(clone.root_);
}
