/* idtree.h - a B+ tree from stream ids to pointers: the nodes of a stream, and the lists of pending
 * entries of groups and consumers.
 *
 *               [ –∞ · 70-0 · 90-2 ]                     inner: lower bounds of the subtrees
 *              ╱         │         ╲
 *   [1-0 … 69-9] ⇄ [70-0 … 88-0] ⇄ [90-2 … 99-1]         leaves, linked both ways
 *
 * Ids mostly come in growing order: a full last leaf is not split in half but followed by a new
 * one, so leaves are full (25 bytes an item). A leaf that falls below a quarter is merged with a
 * neighbour if the two fill no more than three quarters. A tree of one leaf grows by doubling from
 * IDTREE_LEAF_MIN items; an empty tree owns no memory.
 *
 * I1  The first bound of an inner node is not looked at: it stands for minus infinity.
 * I2  Every node but an empty root has at least one item; all leaves have the same depth.
 *
 * Owner: one thread. Memory from slab.h. Items (idtree_item *) are good until the tree changes. */
#ifndef ASHLAR_CORE_IDTREE_H
#define ASHLAR_CORE_IDTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_id {
    uint64_t ms, seq;
};
#define STREAM_ID_MIN ((struct stream_id){0, 0})
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

enum { IDTREE_FANOUT = 32, IDTREE_LEAF_MIN = 4, IDTREE_HEIGHT_MAX = 16 };

struct idtree_item {
    struct stream_id id;
    void *value; /* in an inner node: the child */
};

struct idtree_node {
    struct idtree_node *prev, *next; /* leaves */
    uint32_t count, cap;
    struct idtree_item items[];
};

struct idtree {
    struct idtree_node *root, *first, *last; /* first and last leaf; NULL when empty */
    uint64_t count;
    uint32_t height; /* levels above the leaves */
    uint32_t nodes;  /* leaves and inner nodes */
};

/* Where an iteration is. */
struct idtree_at {
    struct idtree_node *leaf;
    uint32_t i;
};

/* All zeroes is an empty tree. */
/* False when the id is there already: nothing is changed. */
bool idtree_insert(struct idtree *t, struct stream_id id, void *value);
/* The value, NULL when the id is not there. */
void *idtree_find(const struct idtree *t, struct stream_id id);
/* The value taken out, NULL when the id is not there. */
void *idtree_remove(struct idtree *t, struct stream_id id);
/* Takes the last item out; false when the tree is empty. */
bool idtree_pop_last(struct idtree *t, struct idtree_item *out);
/* Frees the tree, not the values. */
void idtree_free(struct idtree *t);
size_t idtree_bytes(const struct idtree *t);

/* Items; NULL beyond the ends. */
struct idtree_item *idtree_first(const struct idtree *t, struct idtree_at *at);
struct idtree_item *idtree_last(const struct idtree *t, struct idtree_at *at);
struct idtree_item *idtree_next(struct idtree_at *at);
struct idtree_item *idtree_prev(struct idtree_at *at);
/* The first item not below id, the last one not above it. */
struct idtree_item *idtree_not_below(const struct idtree *t, struct stream_id id,
                                     struct idtree_at *at);
struct idtree_item *idtree_not_above(const struct idtree *t, struct stream_id id,
                                     struct idtree_at *at);

#endif
