/* lookup.c - linear hashing (see lookup.h). */
#include "shards/lookup.h"
#include "core/mem.h"
#include <assert.h>

enum { MIN_BITS = 3 };
static_assert(LOOKUP_BUCKETS_MIN == 1 << MIN_BITS, "segment 0 holds the smallest table");

/* Segment 0 has the first LOOKUP_BUCKETS_MIN buckets, segment k as many as all before it. */
static unsigned segment_of(uint32_t bucket)
{
    return bucket < LOOKUP_BUCKETS_MIN ? 0 : 32 - MIN_BITS - (unsigned)__builtin_clz(bucket);
}

static uint32_t segment_begin(unsigned segment)
{
    return segment == 0 ? 0 : (uint32_t)LOOKUP_BUCKETS_MIN << (segment - 1);
}

static uint32_t segment_size(unsigned segment)
{
    return segment == 0 ? LOOKUP_BUCKETS_MIN : segment_begin(segment);
}

static struct lookup_node **bucket_at(const struct lookup *t, uint32_t bucket)
{
    unsigned segment = segment_of(bucket);
    return &t->segments[segment][bucket - segment_begin(segment)];
}

/* The largest power of two that is not above n. */
static uint32_t round_of(uint32_t n)
{
    return UINT32_C(1) << (31 - __builtin_clz(n));
}

struct lookup_node **lookup__bucket(const struct lookup *t, uint64_t hash)
{
    uint32_t round = round_of(t->buckets), h = (uint32_t)(hash ^ hash >> 32);
    uint32_t bucket = h & (2 * round - 1);
    if (bucket >= t->buckets) {
        bucket = h & (round - 1);
    }
    return bucket_at(t, bucket);
}

static void push(struct lookup_node **bucket, struct lookup_node *node)
{
    node->next = *bucket;
    *bucket = node;
}

/* One more bucket, which takes its nodes from the one that it is the double of. */
static void grow(struct lookup *t)
{
    uint32_t fresh = t->buckets;
    unsigned segment = segment_of(fresh);
    if (segment >= LOOKUP_SEGMENTS) {
        return; /* 2^31 buckets: chains grow longer */
    }
    if (t->segments[segment] == NULL) {
        t->segments[segment] = mem_alloc_zero(segment_size(segment) * sizeof(struct lookup_node *));
    }
    struct lookup_node **from = bucket_at(t, fresh - round_of(fresh)), *node = *from;
    *from = NULL;
    t->buckets++;
    while (node != NULL) {
        struct lookup_node *next = node->next;
        push(lookup__bucket(t, node->hash), node); /* I1 */
        node = next;
    }
}

static void shrink(struct lookup *t)
{
    uint32_t last = t->buckets - 1;
    struct lookup_node *node = *bucket_at(t, last);
    *bucket_at(t, last) = NULL;
    t->buckets = last;
    while (node != NULL) {
        struct lookup_node *next = node->next;
        push(lookup__bucket(t, node->hash), node);
        node = next;
    }
    unsigned segment = segment_of(last);
    if (last == segment_begin(segment)) {
        mem_free(t->segments[segment]);
        t->segments[segment] = NULL;
    }
}

void lookup_insert(struct lookup *t, struct lookup_node *node, uint64_t hash)
{
    if (t->buckets == 0) {
        t->segments[0] = mem_alloc_zero(LOOKUP_BUCKETS_MIN * sizeof(struct lookup_node *));
        t->buckets = LOOKUP_BUCKETS_MIN;
    } else if (t->count >= t->buckets) {
        grow(t);
    }
    node->hash = hash;
    push(lookup__bucket(t, hash), node);
    t->count++;
}

void lookup_remove(struct lookup *t, struct lookup_node *node)
{
    struct lookup_node **link = lookup__bucket(t, node->hash);
    while (*link != node) {
        assert(*link != NULL); /* I1 */
        link = &(*link)->next;
    }
    *link = node->next;
    t->count--;
    /* Begins at half full: two for each that leaves are few enough when the last one does. */
    for (int i = 0; i < 2 && t->buckets > LOOKUP_BUCKETS_MIN && t->count < t->buckets / 2; i++) {
        shrink(t);
    }
}

void lookup_free(struct lookup *t)
{
    for (unsigned i = 0; i < LOOKUP_SEGMENTS; i++) {
        mem_free(t->segments[i]);
        t->segments[i] = NULL;
    }
    t->count = t->buckets = 0;
}

void lookup_each(const struct lookup *t, void (*visit)(struct lookup_node *node, void *ctx),
                 void *ctx)
{
    for (uint32_t i = 0; i < t->buckets; i++) {
        for (struct lookup_node *node = *bucket_at(t, i); node != NULL; node = node->next) {
            visit(node, ctx);
        }
    }
}
