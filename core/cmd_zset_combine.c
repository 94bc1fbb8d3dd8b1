/* cmd_zset_combine.c - several sets become one: ZUNION, ZINTER, ZDIFF, their STORE forms, and
 * ZINTERCARD. Sets count as sorted sets whose scores are all 1.
 *
 * The result is gathered as members without order, since scores still change while inputs are added
 * up; it is put in order at the end. Sums of floating point numbers depend on their order: it is
 * that of Redis, inputs from the smallest to the largest.
 */
#include "core/cmd_zset.h"

#include "core/hash.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/set.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

/* --- inputs --- */

struct input {
    const struct entry *entry; /* NULL: absent, an empty set */
    struct zset zset;
    struct set set;
    bool is_set;
    uint32_t place;            /* in the command */
    uint64_t count;
    double weight;
};

struct input_iter {
    const struct input *in;
    struct zset_iter zset;
    struct set_iter set;
    struct set_member member;
    bool begun;
    struct slice name;
    double score;
};

static struct input input_of(const struct entry *e, uint32_t place)
{
    struct input in = {.entry = e, .place = place, .weight = 1};
    if (e && e->type == TYPE_SET) {
        in.is_set = true;
        in.set = set_of(e);
        in.count = set_count(&in.set);
    } else if (e) {
        in.zset = zset_of(e);
        in.count = zset_count(&in.zset);
    }
    return in;
}

static void input_begin(struct input_iter *it, const struct input *in)
{
    it->in = in;
    it->begun = false;
    if (in->is_set) {
        set_iter_init(&it->set, &in->set);
    }
}

static bool input_next(struct input_iter *it)
{
    if (it->in->is_set) {
        if (!set_next(&it->set, &it->member)) {
            return false;
        }
        it->name = set_member_bytes(&it->member);
        it->score = 1;
        return true;
    }
    if (!it->in->entry) {
        return false;
    }
    bool more = it->begun ? zset_iter_next(&it->zset)
                          : zset_iter_seek(&it->zset, &it->in->zset, 0);
    it->begun = true;
    it->name = it->zset.name;
    it->score = it->zset.score;
    return more;
}

static void input_end(struct input_iter *it)
{
    if (it->in->is_set) {
        set_iter_end(&it->set);
    }
}

static bool input_find(const struct input *in, struct slice name, double *score)
{
    if (!in->entry) {
        return false;
    }
    if (in->is_set) {
        struct set_member m = set_member_of(name);
        *score = 1;
        return set_has(&in->set, &m);
    }
    return zset_score(&in->zset, name, score);
}

static int compare_counts(const void *a, const void *b)
{
    const struct input *x = a, *y = b;
    if (x->count != y->count) {
        return x->count < y->count ? -1 : 1;
    }
    return x->place < y->place ? -1 : 1;
}

/* --- options --- */

struct combine {
    enum operation operation;
    bool store, only_count;
    uint32_t numkeys; /* its position */
    uint32_t n;       /* inputs */
    struct input *inputs;
    enum aggregate aggregate;
    bool scores;
    uint64_t limit;   /* 0: none */
};

static bool parse_weights(struct call *c, struct combine *o, uint32_t i)
{
    for (uint32_t j = 0; j < o->n; j++) {
        const struct slice word = c->argv[i + j];
        if (!num_parse_double(word.ptr, word.len, &o->inputs[j].weight)) {
            reply_error(c->out, "ERR weight value is not a float");
            return false;
        }
    }
    return true;
}

static bool parse_aggregate(struct call *c, struct combine *o, struct slice word)
{
    if (slice_is(word, "sum")) {
        o->aggregate = SUM;
    } else if (slice_is(word, "min")) {
        o->aggregate = MIN;
    } else if (slice_is(word, "max")) {
        o->aggregate = MAX;
    } else {
        call_error_syntax(c);
        return false;
    }
    return true;
}

static bool parse_options(struct call *c, struct combine *o)
{
    const bool weighs = o->operation != DIFF && !o->only_count;
    for (uint32_t i = o->numkeys + 1 + o->n; i < c->argc;) {
        const struct slice word = c->argv[i];
        const uint32_t left = c->argc - i;
        if (weighs && left > o->n && slice_is(word, "weights")) {
            if (!parse_weights(c, o, i + 1)) {
                return false;
            }
            i += 1 + o->n;
        } else if (weighs && left >= 2 && slice_is(word, "aggregate")) {
            if (!parse_aggregate(c, o, c->argv[i + 1])) {
                return false;
            }
            i += 2;
        } else if (!o->store && !o->only_count && slice_is(word, "withscores")) {
            o->scores = true;
            i++;
        } else if (o->only_count && left >= 2 && slice_is(word, "limit")) {
            int64_t limit;
            if (!call_arg_range(c, i + 1, 0, INT64_MAX, &limit, "ERR LIMIT can't be negative")) {
                return false;
            }
            o->limit = (uint64_t)limit;
            i += 2;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static bool find_inputs(struct call *c, struct combine *o)
{
    const uint32_t first = o->store ? 1 : 0;
    assert(c->nkeys == first + o->n);
    o->inputs = mem_alloc(o->n * sizeof o->inputs[0]);
    for (uint32_t i = 0; i < o->n; i++) {
        const struct entry *e = key_read(c, &c->keys[first + i]);
        if (e && e->type != TYPE_ZSET && e->type != TYPE_SET) {
            call_error_wrong_type(c);
            return false;
        }
        o->inputs[i] = input_of(e, i);
    }
    return true;
}

static bool parse_combine(struct call *c, struct combine *o)
{
    int64_t n;
    if (!call_arg_int(c, o->numkeys, &n)) {
        return false;
    }
    if (n < 1) {
        reply_errorf(c->out, "ERR at least 1 input key is needed for '%s' command",
                     c->command->name);
        return false;
    }
    if (n > c->argc - (o->numkeys + 1)) {
        call_error_syntax(c);
        return false;
    }
    o->n = (uint32_t)n;
    return find_inputs(c, o) && parse_options(c, o);
}

/* --- combining --- */

static double aggregated(double a, double b, enum aggregate how)
{
    if (how == MIN) {
        return b < a ? b : a;
    }
    if (how == MAX) {
        return b > a ? b : a;
    }
    const double sum = a + b;
    return isnan(sum) ? 0 : sum; /* inf and -inf */
}

static double weighted(const struct input *in, double score)
{
    const double product = in->weight * score;
    return isnan(product) ? 0 : product; /* 0 times inf */
}

static uint64_t hash_of(struct slice name)
{
    return hash_bytes(name.ptr, name.len);
}

static void unite(const struct combine *o, struct zset_tree *result)
{
    for (uint32_t i = 0; i < o->n; i++) {
        struct input_iter it;
        input_begin(&it, &o->inputs[i]);
        while (input_next(&it)) {
            const uint64_t hash = hash_of(it.name);
            const double score = weighted(&o->inputs[i], it.score);
            struct zset_member *m = zset_tree_find(result, hash, it.name);
            if (m) {
                m->score = aggregated(m->score, score, o->aggregate);
            } else {
                zset_tree_add_unordered(result, hash, it.name, score);
            }
        }
        input_end(&it);
    }
}

/* Adds up the scores that a pair of the first input has in all; false if one has it not. */
static bool in_all(const struct combine *o, const struct input_iter *it, double *score)
{
    *score = weighted(&o->inputs[0], it->score);
    for (uint32_t i = 1; i < o->n; i++) {
        double other;
        if (!input_find(&o->inputs[i], it->name, &other)) {
            return false;
        }
        *score = aggregated(*score, other * o->inputs[i].weight, o->aggregate);
    }
    return true;
}

/* Returns how many there are; result may be NULL. */
static uint64_t intersect(const struct combine *o, struct zset_tree *result)
{
    struct input_iter it;
    uint64_t found = 0;
    input_begin(&it, &o->inputs[0]);
    while (input_next(&it)) {
        double score;
        if (!in_all(o, &it, &score)) {
            continue;
        }
        found++;
        if (result) {
            zset_tree_add_unordered(result, hash_of(it.name), it.name, score);
        } else if (found == o->limit) {
            break;
        }
    }
    input_end(&it);
    return found;
}

static bool in_none(const struct combine *o, struct slice name)
{
    double score;
    for (uint32_t i = 1; i < o->n; i++) {
        if (input_find(&o->inputs[i], name, &score)) {
            return false;
        }
    }
    return true;
}

static void subtract(const struct combine *o, struct zset_tree *result)
{
    struct input_iter it;
    input_begin(&it, &o->inputs[0]);
    while (input_next(&it)) {
        if (in_none(o, it.name)) {
            zset_tree_add_unordered(result, hash_of(it.name), it.name, it.score);
        }
    }
    input_end(&it);
}

static void reply_result(struct call *c, const struct combine *o, const struct zset *z)
{
    zset__reply_header(c, zset_count(z), o->scores);
    struct zset_iter it;
    for (bool more = zset_iter_seek(&it, z, 0); more; more = zset_iter_next(&it)) {
        if (o->scores) {
            zset__reply_pair(c, it.name, it.score);
        } else {
            reply_bulk(c->out, it.name.ptr, it.name.len);
        }
    }
}

static void combine_inputs(struct call *c, struct combine *o)
{
    static const char *const events[] = {
        [UNION] = "zunionstore", [INTER] = "zinterstore", [DIFF] = "zdiffstore"};
    if (o->operation != DIFF) {
        qsort(o->inputs, o->n, sizeof o->inputs[0], compare_counts);
    }
    if (o->only_count) {
        reply_int(c->out, (int64_t)intersect(o, NULL));
        return;
    }
    struct zset_tree *t = zset_tree_new();
    if (o->operation == UNION) {
        unite(o, t);
    } else if (o->operation == INTER) {
        intersect(o, t);
    } else {
        subtract(o, t);
    }
    zset_tree_put_in_order(t);
    struct zset result = {ENC_TREE, t};
    if (o->store) {
        zset_settle(&result, c->ks->settings);
        zset__store(c, &c->keys[0], events[o->operation], &result);
    } else {
        reply_result(c, o, &result);
        zset_free(&result);
    }
}

static void combine(struct call *c, struct combine o)
{
    o.numkeys = o.store ? 2 : 1;
    if (parse_combine(c, &o)) {
        combine_inputs(c, &o);
    }
    mem_free(o.inputs);
}

void zset__zunion(struct call *c)
{
    combine(c, (struct combine){.operation = UNION});
}

void zset__zinter(struct call *c)
{
    combine(c, (struct combine){.operation = INTER});
}

void zset__zdiff(struct call *c)
{
    combine(c, (struct combine){.operation = DIFF});
}

void zset__zintercard(struct call *c)
{
    combine(c, (struct combine){.operation = INTER, .only_count = true});
}

void zset__zunionstore(struct call *c)
{
    combine(c, (struct combine){.operation = UNION, .store = true});
}

void zset__zinterstore(struct call *c)
{
    combine(c, (struct combine){.operation = INTER, .store = true});
}

void zset__zdiffstore(struct call *c)
{
    combine(c, (struct combine){.operation = DIFF, .store = true});
}
