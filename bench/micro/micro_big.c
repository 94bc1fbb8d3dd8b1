/* micro_big.c - large values: a hash, a set and a sorted set of m->keys members, and a long list.
 *
 * Members have 15 bytes ("member:00000042") and are drawn at random, hashing included: nothing of
 * what they need is in a cache when there are a million. What is inserted is removed again,
 * untimed, in chunks, so that the value keeps its size. */
#include "bench/micro/micro.h"
#include "core/hash_value.h"
#include "core/list.h"
#include "core/set.h"
#include "core/zset.h"

#include <stdlib.h>

enum { NAME_LEN = 15, CHUNK = 8192, RANGE = 10 };

static const struct settings settings = {
    .hash_max_listpack_entries = 128, .hash_max_listpack_value = 64, .list_max_listpack_size = -2,
    .set_max_intset_entries = 512, .set_max_listpack_entries = 128, .set_max_listpack_value = 64,
    .zset_max_listpack_entries = 128, .zset_max_listpack_value = 64,
};

/* Names of members below and (absent) from count on; the first are visited in mixed order. */
struct names {
    char (*present)[NAME_LEN], (*absent)[NAME_LEN];
    uint32_t count, at, fresh;
};

static void write_name(char name[NAME_LEN], uint32_t i)
{
    memcpy(name, "member:00000000", NAME_LEN);
    for (int at = NAME_LEN - 1; i; at--, i /= 10) {
        name[at] = (char)('0' + i % 10);
    }
}

static struct names names_new(uint32_t count)
{
    struct names n = {.count = count};
    n.present = malloc((size_t)count * NAME_LEN);
    n.absent = malloc((size_t)CHUNK * NAME_LEN);
    if (!n.present || !n.absent) {
        abort();
    }
    for (uint32_t i = 0; i < count; i++) {
        write_name(n.present[i], i);
    }
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(micro_random() % (i + 1));
        char t[NAME_LEN];
        memcpy(t, n.present[i], NAME_LEN);
        memcpy(n.present[i], n.present[j], NAME_LEN);
        memcpy(n.present[j], t, NAME_LEN);
    }
    return n;
}

static inline struct slice next_name(struct names *n)
{
    n->at = n->at + 1 < n->count ? n->at + 1 : 0;
    return slice_of(n->present[n->at], NAME_LEN);
}

/* CHUNK names that were not used before, so that nothing of theirs is in a cache. */
static void renew_absent(struct names *n)
{
    for (uint32_t i = 0; i < CHUNK; i++) {
        write_name(n->absent[i], n->count + n->fresh++ % 10000000);
    }
}

/* Calls add for new names, timed, and remove for the same, untimed. */
static inline void add_and_remove(struct micro *m, struct names *n,
                                  void (*add)(void *state, struct slice name),
                                  void (*remove)(void *state, struct slice name))
{
    for (uint64_t done = 0; done < m->ops;) {
        uint64_t chunk = m->ops - done < CHUNK ? m->ops - done : CHUNK;
        micro_pause(m);
        renew_absent(n);
        micro_resume(m);
        for (uint64_t i = 0; i < chunk; i++) {
            add(m->state, slice_of(n->absent[i], NAME_LEN));
        }
        micro_pause(m);
        for (uint64_t i = 0; i < chunk; i++) {
            remove(m->state, slice_of(n->absent[i], NAME_LEN));
        }
        micro_resume(m);
        done += chunk;
    }
}

/* --- hash --- */

struct hash_state {
    struct names names;
    struct hash_value value;
};

static void *hash_setup(uint32_t keys)
{
    static struct hash_state s;
    s.names = names_new(keys);
    s.value = hash_value_new();
    for (uint32_t i = 0; i < keys; i++) {
        hash_value_put(&s.value, next_name(&s.names), slice_str("abcdefghijkl"), false, &settings);
    }
    return &s;
}

static void hash_get(struct micro *m)
{
    struct hash_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct hash_element e;
        if (!hash_value_get(&s->value, next_name(&s->names), HASH_SEE_ALL, &e)) {
            abort();
        }
        micro_keep(e.value.ptr);
    }
}

static void hash_get_absent(struct micro *m)
{
    struct hash_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        if (i % CHUNK == 0) {
            micro_pause(m);
            renew_absent(&s->names);
            micro_resume(m);
        }
        struct hash_element e;
        struct slice name = slice_of(s->names.absent[i % CHUNK], NAME_LEN);
        micro_keep_word(hash_value_get(&s->value, name, HASH_SEE_ALL, &e));
    }
}

static void hash_put(struct micro *m)
{
    struct hash_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        hash_value_put(&s->value, next_name(&s->names), slice_str("ABCDEFGHIJKL"), false,
                       &settings);
    }
}

static void hash_add_one(void *state, struct slice name)
{
    struct hash_state *s = state;
    hash_value_put(&s->value, name, slice_str("abcdefghijkl"), false, &settings);
}

static void hash_remove_one(void *state, struct slice name)
{
    struct hash_state *s = state;
    hash_value_remove(&s->value, name);
}

static void hash_insert(struct micro *m)
{
    add_and_remove(m, &((struct hash_state *)m->state)->names, hash_add_one, hash_remove_one);
}

static const struct micro_bench hash_benches[] = {
    {"get", "look up a random field", hash_get},
    {"get-absent", "look up a field that is not there", hash_get_absent},
    {"put", "set a random field to a value as long as its own", hash_put},
    {"insert", "set a new field", hash_insert},
};
const struct micro_group micro_big_hash = {
    "big-hash", hash_setup, hash_benches, sizeof hash_benches / sizeof *hash_benches};

/* --- set --- */

struct set_state {
    struct names names;
    struct set value;
};

static void set_add_one(void *state, struct slice name)
{
    struct set_state *s = state;
    struct set_member member = set_member_of(name);
    set_add(&s->value, &member, &settings);
}

static void set_remove_one(void *state, struct slice name)
{
    struct set_state *s = state;
    struct set_member member = set_member_of(name);
    set_remove(&s->value, &member);
}

static void *set_setup(uint32_t keys)
{
    static struct set_state s;
    s.names = names_new(keys);
    s.value = set_new(next_name(&s.names), keys, &settings);
    for (uint32_t i = 0; i < keys; i++) {
        set_add_one(&s, next_name(&s.names));
    }
    return &s;
}

static void set_bench_has(struct micro *m)
{
    struct set_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct set_member member = set_member_of(next_name(&s->names));
        micro_keep_word(set_has(&s->value, &member));
    }
}

static void set_bench_insert(struct micro *m)
{
    add_and_remove(m, &((struct set_state *)m->state)->names, set_add_one, set_remove_one);
}

static const struct micro_bench set_benches[] = {
    {"has", "look up a random member", set_bench_has},
    {"insert", "add a new member", set_bench_insert},
};
const struct micro_group micro_big_set = {
    "big-set", set_setup, set_benches, sizeof set_benches / sizeof *set_benches};

/* --- sorted set --- */

struct zset_state {
    struct names names;
    struct zset value;
};

static double random_score(void)
{
    return (double)(micro_random() >> 24);
}

static void zset_add_one(void *state, struct slice name)
{
    struct zset_state *s = state;
    double score = random_score();
    zset_put(&s->value, &settings, name, &score, 0);
}

static void zset_remove_one(void *state, struct slice name)
{
    struct zset_state *s = state;
    zset_remove(&s->value, name);
}

static void *zset_setup(uint32_t keys)
{
    static struct zset_state s;
    s.names = names_new(keys);
    s.value = zset_new(&settings, keys, NAME_LEN);
    for (uint32_t i = 0; i < keys; i++) {
        zset_add_one(&s, next_name(&s.names));
    }
    return &s;
}

static void zset_bench_insert(struct micro *m)
{
    add_and_remove(m, &((struct zset_state *)m->state)->names, zset_add_one, zset_remove_one);
}

static void zset_bench_rescore(struct micro *m)
{
    struct zset_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        zset_add_one(s, next_name(&s->names));
    }
}

static void zset_bench_score(struct micro *m)
{
    struct zset_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        double score;
        micro_keep_word(zset_score(&s->value, next_name(&s->names), &score));
    }
}

static void zset_bench_rank(struct micro *m)
{
    struct zset_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        uint64_t rank;
        double score;
        if (!zset_rank_of(&s->value, next_name(&s->names), &rank, &score)) {
            abort();
        }
        micro_keep_word(rank);
    }
}

static inline void read_range(const struct zset *z, uint64_t rank)
{
    struct zset_iter it;
    bool there = zset_iter_seek(&it, z, rank);
    for (int n = 0; n < RANGE && there; n++) {
        micro_keep(it.name.ptr);
        there = zset_iter_next(&it);
    }
}

static void zset_bench_range(struct micro *m)
{
    struct zset_state *s = m->state;
    uint64_t count = zset_count(&s->value);
    for (uint64_t i = 0; i < m->ops; i++) {
        read_range(&s->value, micro_random() % count);
    }
}

static void zset_bench_range_by_score(struct micro *m)
{
    struct zset_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct zset_bound bound = {.by = ZSET_BY_SCORE, .score = random_score()};
        read_range(&s->value, zset_rank(&s->value, &bound));
    }
}

static const struct micro_bench zset_benches[] = {
    {"insert", "add a new member with a random score", zset_bench_insert},
    {"rescore", "give a random member another score", zset_bench_rescore},
    {"score", "score of a random member", zset_bench_score},
    {"rank", "rank of a random member", zset_bench_rank},
    {"range-10", "ten pairs from a random rank on", zset_bench_range},
    {"range-score-10", "ten pairs from a random score on", zset_bench_range_by_score},
};
const struct micro_group micro_big_zset = {
    "big-zset", zset_setup, zset_benches, sizeof zset_benches / sizeof *zset_benches};

/* --- list --- */

struct list_state {
    struct list_rules rules;
    struct list_value value;
    uint32_t count;
};

static void *list_setup(uint32_t keys)
{
    static struct list_state s;
    s.rules = list_rules_of(&settings);
    s.value = list_new();
    s.count = keys;
    char name[NAME_LEN];
    for (uint32_t i = 0; i < keys; i++) {
        write_name(name, i);
        struct slice element = slice_of(name, NAME_LEN);
        list_push_all(&s.value, &s.rules, LIST_TAIL, &element, 1);
    }
    return &s;
}

/* Pushed at one end and popped at the other. */
static void list_bench_push_pop(struct micro *m)
{
    struct list_state *s = m->state;
    const struct slice element = slice_str("member:00000042");
    for (uint64_t i = 0; i < m->ops; i++) {
        list_push_all(&s->value, &s->rules, LIST_HEAD, &element, 1);
        list_delete(&s->value, &s->rules, s->count, 1);
    }
}

static void list_bench_index(struct micro *m)
{
    struct list_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct list_iter it;
        struct list_element e;
        list_iter_init(&it, s->value, micro_random() % s->count, false);
        list_iter_next(&it, &e);
        micro_keep(e.ptr);
        list_iter_end(&it);
    }
}

static const struct micro_bench list_benches[] = {
    {"push-pop", "push at the head and pop at the tail of a long list", list_bench_push_pop},
    {"index", "element at a random index of a long list", list_bench_index},
};
const struct micro_group micro_list = {
    "list", list_setup, list_benches, sizeof list_benches / sizeof *list_benches};
