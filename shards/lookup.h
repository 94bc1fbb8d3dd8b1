/* lookup.h - finding structs by a hash: an intrusive hash table that grows and shrinks by one bucket
 * at a time (linear hashing), so that no insertion ever pays for all the others.
 *
 *   buckets 0 … 7 │ 8 … 15 │ 16 … 31 │ …        segments, each as large as all before it
 *                     ▲ split: bucket n of the last round gives half of its nodes to n + 8
 *
 * A node is a member of the struct that is to be found; the table allocates only its buckets. Owner:
 * whoever owns the table; no function is safe to be called from two threads.
 *
 * I1  A node lies in the bucket that lookup__bucket() tells from its hash and from buckets.
 * I2  buckets is 0 (nothing was ever inserted) or at least LOOKUP_BUCKETS_MIN.
 */
#ifndef ASHLAR_SHARDS_LOOKUP_H
#define ASHLAR_SHARDS_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOOKUP_BUCKETS_MIN = 8, LOOKUP_SEGMENTS = 29 };

struct lookup_node {
    struct lookup_node *next;
    uint64_t hash;
};

struct lookup {
    struct lookup_node **segments[LOOKUP_SEGMENTS];
    uint32_t count, buckets;
};

void lookup_insert(struct lookup *t, struct lookup_node *node, uint64_t hash);
/* The node must be in the table. */
void lookup_remove(struct lookup *t, struct lookup_node *node);
/* Frees the buckets; the nodes are the caller's. */
void lookup_free(struct lookup *t);

/* The bucket of a hash; the table is not empty of buckets. */
struct lookup_node **lookup__bucket(const struct lookup *t, uint64_t hash);

/* All nodes with that hash: the caller compares what the hash stands for.
 *   for (n = lookup_first(t, hash); n != NULL; n = lookup_next(n, hash)) */
static inline struct lookup_node *lookup__same(struct lookup_node *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash) {
        node = node->next;
    }
    return node;
}

static inline struct lookup_node *lookup_first(const struct lookup *t, uint64_t hash)
{
    return t->count == 0 ? NULL : lookup__same(*lookup__bucket(t, hash), hash);
}

static inline struct lookup_node *lookup_next(struct lookup_node *node, uint64_t hash)
{
    return lookup__same(node->next, hash);
}

/* Each node once, in no order: visit must not change the table. */
void lookup_each(const struct lookup *t, void (*visit)(struct lookup_node *node, void *ctx),
                 void *ctx);

#endif
