/* idtree.c - see idtree.h. */
#include "core/idtree.h"

#include "core/pause.h"
#include "core/slab.h"
#include <assert.h>
#include <string.h>

enum {
    MERGE_BELOW = IDTREE_FANOUT / 4,   /* a node with fewer items looks for a neighbour … */
    MERGED_MAX = IDTREE_FANOUT * 3 / 4, /* … and they become one up to so many items */
};

/* The way from the root to a leaf: at level i the node and the item taken in it. */
struct step {
    struct idtree_node *node;
    uint32_t i;
};

struct path {
    struct step steps[IDTREE_HEIGHT_MAX + 1];
};

static size_t node_bytes(uint32_t cap)
{
    return sizeof(struct idtree_node) + cap * sizeof(struct idtree_item);
}
static_assert(sizeof(struct idtree_node) + IDTREE_FANOUT * sizeof(struct idtree_item) <=
                  SLAB_MAX_BYTES, "nodes come from the slab");

static struct idtree_node *node_new(struct idtree *t, uint32_t cap)
{
    struct idtree_node *n = slab_alloc(node_bytes(cap));
    *n = (struct idtree_node){.cap = cap};
    t->nodes++;
    return n;
}

static void node_free(struct idtree *t, struct idtree_node *n)
{
    t->nodes--;
    slab_free(n, node_bytes(n->cap));
}

/* How many items stand before the first one above id. */
static uint32_t upper_bound(const struct idtree_node *n, uint32_t from, struct stream_id id)
{
    uint32_t lo = from, hi = n->count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (stream_id_compare(n->items[mid].id, id) <= 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* The leaf that id belongs to; I1: the first child takes all that is below the second bound. */
static struct idtree_node *descend(const struct idtree *t, struct stream_id id, struct path *path)
{
    struct idtree_node *n = t->root;
    for (uint32_t level = 0; level < t->height; level++) {
        const uint32_t i = upper_bound(n, 1, id) - 1;
        if (path) {
            path->steps[level] = (struct step){n, i};
        }
        n = n->items[i].value;
    }
    return n;
}

static void item_put(struct idtree_node *n, uint32_t i, struct stream_id id, void *value)
{
    assert(n->count < n->cap && i <= n->count);
    memmove(n->items + i + 1, n->items + i, (n->count - i) * sizeof n->items[0]);
    n->items[i] = (struct idtree_item){id, value};
    n->count++;
}

static void item_drop(struct idtree_node *n, uint32_t i)
{
    assert(i < n->count);
    n->count--;
    memmove(n->items + i, n->items + i + 1, (n->count - i) * sizeof n->items[0]);
}

/* --- inserting --- */

/* The only leaf, with twice the room. */
static struct idtree_node *root_leaf_grow(struct idtree *t)
{
    struct idtree_node *old = t->root;
    const uint32_t cap = old->cap * 2 < IDTREE_FANOUT ? old->cap * 2 : IDTREE_FANOUT;
    struct idtree_node *n = node_new(t, cap);
    n->count = old->count;
    memcpy(n->items, old->items, old->count * sizeof old->items[0]);
    node_free(t, old);
    t->root = t->first = t->last = n;
    return n;
}

/* What goes into a full node at i begins a new one to its right: with the upper half, or empty, the
 * item being the last of all. */
static struct idtree_node *node_split(struct idtree *t, struct idtree_node *n, uint32_t i,
                                      bool at_end)
{
    struct idtree_node *right = node_new(t, IDTREE_FANOUT);
    const uint32_t keep = at_end && i == n->count ? n->count : n->count / 2;
    right->count = n->count - keep;
    memcpy(right->items, n->items + keep, right->count * sizeof n->items[0]);
    n->count = keep;
    return right;
}

static void link_leaf(struct idtree *t, struct idtree_node *left, struct idtree_node *right)
{
    right->prev = left;
    right->next = left->next;
    left->next = right;
    if (right->next) {
        right->next->prev = right;
    } else {
        t->last = right;
    }
}

/* A node has been split: its parents learn of the new one, from the bottom up. */
static void insert_child(struct idtree *t, struct path *path, struct stream_id bound,
                         struct idtree_node *child, bool at_end)
{
    for (uint32_t level = t->height; level-- > 0;) {
        struct idtree_node *n = path->steps[level].node;
        const uint32_t i = path->steps[level].i + 1;
        if (n->count < n->cap) {
            item_put(n, i, bound, child);
            return;
        }
        struct idtree_node *right = node_split(t, n, i, at_end);
        if (i > n->count || right->count == 0) {
            item_put(right, i - n->count, bound, child);
        } else {
            item_put(n, i, bound, child);
        }
        bound = right->items[0].id;
        child = right;
    }
    assert(t->height < IDTREE_HEIGHT_MAX);
    struct idtree_node *root = node_new(t, IDTREE_FANOUT);
    item_put(root, 0, STREAM_ID_MIN, t->root);
    item_put(root, 1, bound, child);
    t->root = root;
    t->height++;
}

static struct idtree_node *first_leaf(struct idtree *t)
{
    t->root = t->first = t->last = node_new(t, IDTREE_LEAF_MIN);
    return t->root;
}

bool idtree_insert(struct idtree *t, struct stream_id id, void *value)
{
    struct path path;
    struct idtree_node *leaf = t->root ? descend(t, id, &path) : first_leaf(t);
    uint32_t i = upper_bound(leaf, 0, id);
    if (i > 0 && stream_id_compare(leaf->items[i - 1].id, id) == 0) {
        return false;
    }
    t->count++;
    if (leaf->count == leaf->cap && leaf->cap < IDTREE_FANOUT) {
        leaf = root_leaf_grow(t);
    }
    if (leaf->count < leaf->cap) {
        item_put(leaf, i, id, value);
        return true;
    }
    const bool at_end = leaf == t->last && i == leaf->count;
    struct idtree_node *right = node_split(t, leaf, i, at_end);
    link_leaf(t, leaf, right);
    if (i > leaf->count || right->count == 0) {
        item_put(right, i - leaf->count, id, value);
    } else {
        item_put(leaf, i, id, value);
    }
    insert_child(t, &path, right->items[0].id, right, at_end);
    return true;
}

/* --- removing --- */

static void unlink_leaf(struct idtree *t, struct idtree_node *leaf)
{
    if (leaf->prev) {
        leaf->prev->next = leaf->next;
    } else {
        t->first = leaf->next;
    }
    if (leaf->next) {
        leaf->next->prev = leaf->prev;
    } else {
        t->last = leaf->prev;
    }
}

/* Children i and i + 1 of parent become one if they are small enough. */
static bool merge_children(struct idtree *t, struct idtree_node *parent, uint32_t i, bool leaves)
{
    struct idtree_node *a = parent->items[i].value, *b = parent->items[i + 1].value;
    if (a->count + b->count > MERGED_MAX) {
        return false;
    }
    assert(a->cap == IDTREE_FANOUT);
    if (leaves) {
        unlink_leaf(t, b);
    } else {
        b->items[0].id = parent->items[i + 1].id; /* no longer the first: I1 */
    }
    memcpy(a->items + a->count, b->items, b->count * sizeof b->items[0]);
    a->count += b->count;
    node_free(t, b);
    item_drop(parent, i + 1);
    return true;
}

/* A node (at level, path leads to it) has lost an item: it goes when empty, merges when small. */
static void shrink(struct idtree *t, struct path *path, struct idtree_node *n)
{
    for (uint32_t level = t->height;; level--) {
        const bool is_leaf = level == t->height;
        if (level == 0) {
            break;
        }
        struct idtree_node *parent = path->steps[level - 1].node;
        const uint32_t i = path->steps[level - 1].i;
        if (n->count == 0) {
            if (is_leaf) {
                unlink_leaf(t, n);
            }
            node_free(t, n);
            item_drop(parent, i);
        } else if (n->count >= MERGE_BELOW ||
                   !((i + 1 < parent->count && merge_children(t, parent, i, is_leaf)) ||
                     (i > 0 && merge_children(t, parent, i - 1, is_leaf)))) {
            break;
        }
        n = parent;
    }
    while (t->height > 0 && t->root->count == 1) {
        struct idtree_node *root = t->root;
        t->root = root->items[0].value;
        t->height--;
        node_free(t, root);
    }
    if (t->root->count == 0) {
        assert(t->count == 0 && t->height == 0);
        node_free(t, t->root);
        t->root = t->first = t->last = NULL;
    }
}

void *idtree_remove(struct idtree *t, struct stream_id id)
{
    if (!t->root) {
        return NULL;
    }
    struct path path;
    struct idtree_node *leaf = descend(t, id, &path);
    const uint32_t i = upper_bound(leaf, 0, id);
    if (i == 0 || stream_id_compare(leaf->items[i - 1].id, id) != 0) {
        return NULL;
    }
    void *value = leaf->items[i - 1].value;
    item_drop(leaf, i - 1);
    t->count--;
    shrink(t, &path, leaf);
    return value;
}

bool idtree_pop_last(struct idtree *t, struct idtree_item *out)
{
    struct idtree_at at;
    pause_point(1);
    const struct idtree_item *item = idtree_last(t, &at);
    if (!item) {
        return false;
    }
    *out = *item;
    if (at.leaf->count > 1) { /* no merging: the rest will follow */
        at.leaf->count--;
        t->count--;
    } else {
        idtree_remove(t, out->id);
    }
    return true;
}

static void free_below(struct idtree *t, struct idtree_node *n, uint32_t level)
{
    for (uint32_t i = 0; level < t->height && i < n->count; i++) {
        free_below(t, n->items[i].value, level + 1); /* no deeper than IDTREE_HEIGHT_MAX */
    }
    node_free(t, n);
}

void idtree_free(struct idtree *t)
{
    if (t->root) {
        free_below(t, t->root, 0);
    }
    assert(t->nodes == 0);
    *t = (struct idtree){0};
}

size_t idtree_bytes(const struct idtree *t)
{
    return t->root ? t->nodes * slab_size(node_bytes(t->root->cap)) : 0;
}

/* --- looking --- */

void *idtree_find(const struct idtree *t, struct stream_id id)
{
    struct idtree_at at;
    const struct idtree_item *item = idtree_not_above(t, id, &at);
    return item && stream_id_compare(item->id, id) == 0 ? item->value : NULL;
}

static struct idtree_item *item_at(const struct idtree_at *at)
{
    return &at->leaf->items[at->i];
}

struct idtree_item *idtree_first(const struct idtree *t, struct idtree_at *at)
{
    *at = (struct idtree_at){t->first, 0};
    return t->first ? item_at(at) : NULL;
}

struct idtree_item *idtree_last(const struct idtree *t, struct idtree_at *at)
{
    *at = (struct idtree_at){t->last, t->last ? t->last->count - 1 : 0};
    return t->last ? item_at(at) : NULL;
}

struct idtree_item *idtree_next(struct idtree_at *at)
{
    pause_point(1);
    if (++at->i == at->leaf->count) {
        *at = (struct idtree_at){at->leaf->next, 0};
    }
    return at->leaf ? item_at(at) : NULL;
}

struct idtree_item *idtree_prev(struct idtree_at *at)
{
    pause_point(1);
    if (at->i-- == 0) {
        struct idtree_node *leaf = at->leaf->prev;
        *at = (struct idtree_at){leaf, leaf ? leaf->count - 1 : 0};
    }
    return at->leaf ? item_at(at) : NULL;
}

struct idtree_item *idtree_not_above(const struct idtree *t, struct stream_id id,
                                     struct idtree_at *at)
{
    *at = (struct idtree_at){0};
    if (!t->root) {
        return NULL;
    }
    at->leaf = descend(t, id, NULL);
    at->i = upper_bound(at->leaf, 0, id);
    return idtree_prev(at);
}

struct idtree_item *idtree_not_below(const struct idtree *t, struct stream_id id,
                                     struct idtree_at *at)
{
    const struct idtree_item *item = idtree_not_above(t, id, at);
    if (!item) {
        return idtree_first(t, at);
    }
    return stream_id_compare(item->id, id) == 0 ? item_at(at) : idtree_next(at);
}
