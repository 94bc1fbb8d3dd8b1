/* list.c - see list.h.
 *
 * I1  nodes[first … first + n) are the list's, in order; the rest of the array is free.
 * I2  count is the sum of the nodes' counts, and no node is empty between operations.
 *
 * An element's place is a node and its rank in it: place (i, k) lies before the k-th element of node
 * i, k == count behind its last one. */
#include "core/list.h"

#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/sha1.h"
#include <liblzf/lzf.h>

enum {
    ROW_CAP_MIN = 4,
    ROW_SLACK_MAX = 8,         /* a row so many times too long is cut */
    ROW_SLACK_CAP_MIN = 16,
    COUNTED_NODE_BYTES_MAX = 8192, /* of a node whose limit is a count of elements */
    COUNT_LIMIT_MAX = INT16_MAX,
    ELEMENT_ROOM_BYTES = 8,    /* a guess of what an element takes besides its bytes */
    COMPRESS_BYTES_MIN = 48,   /* smaller nodes are not worth trying */
    COMPRESS_GAIN_MIN = 8,
    MEMORY_SAMPLES = 32,
    CUT_NODES_MIN = VALUE_FREE_AT_ONCE, /* fewer are freed where they are cut away */
    LARGE_BYTES_LAST = 1 << 28, /* no element of a listpack is as long as this */
};
static_assert(LARGE_BYTES_LAST < LISTPACK_MAX_BYTES / 2, "one such element fits into a listpack");

enum node_kind { NODE_LISTPACK, NODE_COMPRESSED, NODE_LARGE };

struct list_node {
    void *data;     /* struct listpack, struct packed or struct blob */
    uint32_t count;
    uint32_t kind;  /* enum node_kind */
};
static_assert(sizeof(struct list_node) == 16, "four to a cache line");

struct list {
    struct list_node *nodes;
    uint64_t count;
    uint32_t cap, first, n;
};

struct packed { /* a listpack, compressed */
    uint32_t raw_bytes, bytes;
    uint8_t data[];
};

struct list_rules list_rules_of(const struct settings *settings)
{
    static const uint32_t classes[] = {4096, 8192, 16384, 32768, 65536};
    const int64_t class_max = sizeof classes / sizeof classes[0];
    int64_t size = settings->list_max_listpack_size, depth = settings->list_compress_depth;
    struct list_rules r = {.compress_depth = depth < 0            ? 0
                                             : depth > UINT32_MAX ? UINT32_MAX
                                                                  : (uint32_t)depth};
    if (size < 0) {
        r.node_bytes_max = classes[(size < -class_max ? class_max : -size) - 1];
        r.node_count_max = UINT32_MAX;
    } else {
        r.by_count = true;
        r.node_bytes_max = COUNTED_NODE_BYTES_MAX;
        r.node_count_max = size == 0 ? 1 : size > COUNT_LIMIT_MAX ? COUNT_LIMIT_MAX : (uint32_t)size;
    }
    const int64_t large = settings->list_large_bytes;
    r.large_bytes = large <= 0                 ? r.node_bytes_max + 1
                    : large > LARGE_BYTES_LAST ? LARGE_BYTES_LAST
                                               : (size_t)large;
    return r;
}

/* --- the row of nodes --- */

static inline struct list_node *node_of(const struct list *l, uint32_t i)
{
    return &l->nodes[l->first + i];
}

/* The nodes in the middle of a row of this length; there is room on both sides then. */
static void row_center(struct list *l, uint32_t cap)
{
    uint32_t first = (cap - l->n) / 2;
    assert(first > 0 && first + l->n < cap);
    if (cap == l->cap) {
        memmove(l->nodes + first, l->nodes + l->first, l->n * sizeof *l->nodes);
    } else {
        struct list_node *nodes = mem_alloc(cap * sizeof *nodes);
        if (l->n > 0) {
            memcpy(nodes + first, l->nodes + l->first, l->n * sizeof *nodes);
        }
        mem_free(l->nodes);
        l->nodes = nodes;
        l->cap = cap;
    }
    l->first = first;
}

static uint32_t row_cap_for(uint32_t n)
{
    assert(n <= UINT32_MAX / 2);
    return n * 2 < ROW_CAP_MIN ? ROW_CAP_MIN : n * 2;
}

static void row_insert(struct list *l, uint32_t i, struct list_node node)
{
    bool left = i < l->n - i; /* the shorter side makes way */
    if (left ? l->first == 0 : l->first + l->n == l->cap) {
        row_center(l, l->n > 0 && l->n <= l->cap / 2 ? l->cap : row_cap_for(l->n));
    }
    if (left) {
        l->first--;
        memmove(node_of(l, 0), node_of(l, 1), i * sizeof node);
    } else {
        memmove(node_of(l, i + 1), node_of(l, i), (l->n - i) * sizeof node);
    }
    *node_of(l, i) = node;
    l->n++;
}

/* The nodes' data are the caller's to free. */
static void row_remove(struct list *l, uint32_t i, uint32_t n)
{
    uint32_t behind = l->n - i - n;
    if (i < behind) {
        memmove(node_of(l, n), node_of(l, 0), i * sizeof *l->nodes);
        l->first += n;
    } else {
        memmove(node_of(l, i), node_of(l, i + n), behind * sizeof *l->nodes);
    }
    l->n -= n;
    if (l->cap > ROW_SLACK_CAP_MIN && l->n < l->cap / ROW_SLACK_MAX) {
        row_center(l, row_cap_for(l->n));
    }
}

/* --- nodes --- */

static void node_free(struct list_node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_LISTPACK:
        listpack_free(node->data);
        break;
    case NODE_COMPRESSED:
        mem_free(node->data);
        break;
    case NODE_LARGE:
        blob_release(node->data);
        break;
    }
}

static struct listpack *unpack(const struct packed *p)
{
    void *raw = mem_alloc(p->raw_bytes);
    unsigned len = lzf_decompress(p->data, p->bytes, raw, p->raw_bytes);
    assert(len == p->raw_bytes); /* node_compress() made it */
    struct listpack *lp = listpack_from_bytes(raw, len);
    if (!lp) {
        mem__out_of_memory(len);
    }
    mem_free(raw);
    return lp;
}

/* Makes a node's listpack one that can be changed. Not for large nodes. */
static struct listpack *node_open(struct list_node *node)
{
    assert(node->kind != NODE_LARGE);
    if (node->kind == NODE_COMPRESSED) {
        struct listpack *lp = unpack(node->data);
        node_free(node);
        node->data = lp;
        node->kind = NODE_LISTPACK;
    }
    return node->data;
}

static void node_compress(struct list_node *node)
{
    if (node->kind != NODE_LISTPACK) {
        return;
    }
    size_t raw = listpack_bytes(node->data);
    if (raw < COMPRESS_BYTES_MIN) {
        return;
    }
    struct packed *p = mem_alloc(sizeof *p + raw);
    unsigned len = lzf_compress(listpack_data(node->data), (unsigned)raw, p->data,
                                (unsigned)(raw - COMPRESS_GAIN_MIN));
    if (len == 0) {
        mem_free(p);
        return;
    }
    p->raw_bytes = (uint32_t)raw;
    p->bytes = len;
    listpack_free(node->data);
    node->data = mem_realloc(p, sizeof *p + len);
    node->kind = NODE_COMPRESSED;
}

static struct listpack *must(struct listpack *lp)
{
    if (!lp) { /* limits keep nodes far below LISTPACK_MAX_BYTES */
        mem__out_of_memory(0);
    }
    return lp;
}

static struct list_node node_new(const struct list_rules *r, struct slice s)
{
    if (s.len >= r->large_bytes) {
        return (struct list_node){blob_new(s.ptr, s.len, s.len), 1, NODE_LARGE};
    }
    return (struct list_node){must(listpack_append(listpack_new(0), s)), 1, NODE_LISTPACK};
}

/* Whether s may join the node. */
static bool node_fits(const struct list_node *node, const struct list_rules *r, struct slice s)
{
    if (node->kind == NODE_LARGE || s.len >= r->large_bytes || node->count >= r->node_count_max) {
        return false;
    }
    size_t bytes = node->kind == NODE_LISTPACK ? listpack_bytes(node->data)
                                               : ((const struct packed *)node->data)->raw_bytes;
    return bytes + s.len + ELEMENT_ROOM_BYTES <= r->node_bytes_max;
}

static void node_insert(struct list_node *node, uint32_t k, struct slice s)
{
    struct listpack *lp = node_open(node);
    if (k == node->count) {
        lp = listpack_append(lp, s);
    } else if (k == 0) {
        lp = listpack_prepend(lp, s);
    } else {
        lp = listpack_insert(lp, listpack_seek(lp, k), LISTPACK_BEFORE, s, NULL);
    }
    node->data = must(lp);
    node->count++;
}

static void node_delete(struct list_node *node, uint32_t k, uint32_t n)
{
    struct listpack *lp = node_open(node);
    node->data = listpack_delete(lp, listpack_seek(lp, k), n, NULL);
    node->count -= n;
}

/* Node i keeps its first k elements (0 < k < count), a new one behind it gets the others. */
static void node_split(struct list *l, uint32_t i, uint32_t k)
{
    struct list_node *node = node_of(l, i);
    struct list_node rest = {listpack_copy(node_open(node)), node->count, NODE_LISTPACK};
    node_delete(&rest, 0, k);
    node_delete(node, k, node->count - k);
    row_insert(l, i + 1, rest);
}

/* --- compression --- */

static bool is_edge(const struct list *l, const struct list_rules *r, uint64_t i)
{
    return i < r->compress_depth || i + r->compress_depth >= l->n;
}

/* The nodes from … to (inclusive, cut to what there is) have changed, or nodes have come or gone
 * there: edges are open, what lies further inside is compressed. */
static void settle_compression(struct list *l, const struct list_rules *r, int64_t from, int64_t to)
{
    enum { MOVED_MAX = 2 }; /* nodes that one operation adds */
    if (r->compress_depth == 0) {
        return;
    }
    int64_t depth = r->compress_depth < l->n ? r->compress_depth : l->n;
    for (int64_t i = 0; i < depth; i++) {
        struct list_node *ends[] = {node_of(l, (uint32_t)i), node_of(l, l->n - 1 - (uint32_t)i)};
        for (int e = 0; e < 2; e++) {
            if (ends[e]->kind == NODE_COMPRESSED) {
                node_open(ends[e]);
            }
        }
    }
    for (int64_t i = depth; i < depth + MOVED_MAX && i < l->n; i++) {
        int64_t mirrored = l->n - 1 - i;
        if (!is_edge(l, r, (uint64_t)i)) {
            node_compress(node_of(l, (uint32_t)i));
        }
        if (!is_edge(l, r, (uint64_t)mirrored)) {
            node_compress(node_of(l, (uint32_t)mirrored));
        }
    }
    for (int64_t i = from < 0 ? 0 : from; i <= to && i < l->n; i++) {
        pause_point(1);
        if (!is_edge(l, r, (uint64_t)i)) {
            node_compress(node_of(l, (uint32_t)i));
        }
    }
}

/* --- places --- */

/* Of the element at index < count. */
static void seek(const struct list *l, uint64_t index, uint32_t *node, uint32_t *rank)
{
    assert(index < l->count);
    if (index < l->count / 2) {
        uint32_t i = 0;
        for (; index >= node_of(l, i)->count; i++) {
            index -= node_of(l, i)->count;
        }
        *node = i;
        *rank = (uint32_t)index;
        return;
    }
    uint64_t behind = l->count - index; /* elements from index on */
    uint32_t i = l->n - 1;
    for (; behind > node_of(l, i)->count; i--) {
        behind -= node_of(l, i)->count;
    }
    *node = i;
    *rank = node_of(l, i)->count - (uint32_t)behind;
}

static void insert_at(struct list *l, const struct list_rules *r, uint32_t i, uint32_t k,
                      struct slice s)
{
    struct list_node *node = node_of(l, i);
    l->count++;
    if (node_fits(node, r, s)) {
        node_insert(node, k, s);
    } else if (k == 0 && i > 0 && node_fits(node - 1, r, s)) {
        node_insert(node - 1, node[-1].count, s);
    } else if (k == node->count && i + 1 < l->n && node_fits(node + 1, r, s)) {
        node_insert(node + 1, 0, s);
    } else if (k == 0 || k == node->count) {
        row_insert(l, k == 0 ? i : i + 1, node_new(r, s));
    } else {
        node_split(l, i, k);
        node = node_of(l, i);
        if (node_fits(node, r, s)) {
            node_insert(node, k, s);
        } else {
            row_insert(l, i + 1, node_new(r, s));
        }
    }
    settle_compression(l, r, (int64_t)i - 1, (int64_t)i + 2);
}

/* --- life --- */

struct list_value list_new(void)
{
    return (struct list_value){ENC_LISTPACK, listpack_new(0)};
}

void list_free(struct list_value v)
{
    if (v.encoding == ENC_LISTPACK) {
        listpack_free(v.object);
    } else {
        list_nodes_free(v.object);
    }
}

struct list_value list_copy(struct list_value v)
{
    if (v.encoding == ENC_LISTPACK) {
        return (struct list_value){v.encoding, listpack_copy(v.object)};
    }
    const struct list *from = v.object;
    struct list *to = list_nodes_new();
    for (uint32_t i = 0; i < from->n; i++) {
        struct list_node node = *node_of(from, i);
        pause_point(node.count);
        if (node.kind == NODE_LARGE) {
            blob_hold(node.data); /* large nodes are replaced, never changed */
        } else if (node.kind == NODE_LISTPACK) {
            node.data = listpack_copy(node.data);
        } else {
            const struct packed *p = node.data;
            node.data = mem_alloc(sizeof *p + p->bytes);
            memcpy(node.data, p, sizeof *p + p->bytes);
        }
        row_insert(to, to->n, node);
    }
    to->count = from->count;
    return (struct list_value){v.encoding, to};
}

uint64_t list_count(struct list_value v)
{
    return v.encoding == ENC_LISTPACK ? listpack_count(v.object)
                                      : ((const struct list *)v.object)->count;
}

/* --- encodings --- */

void list_prepare(struct list_value *v, const struct list_rules *r, const struct slice *s,
                  uint32_t n)
{
    if (v->encoding != ENC_LISTPACK) {
        return;
    }
    size_t bytes = listpack_bytes(v->object);
    bool large = false;
    for (uint32_t i = 0; i < n; i++) {
        bytes += s[i].len;
        large |= s[i].len >= r->large_bytes;
    }
    uint32_t count = listpack_count(v->object);
    if (!large && bytes <= r->node_bytes_max && (uint64_t)count + n <= r->node_count_max) {
        return;
    }
    struct list *l = list_nodes_new();
    if (count > 0) {
        list_nodes_append(l, v->object);
    } else {
        listpack_free(v->object);
    }
    *v = (struct list_value){ENC_QUICKLIST, l};
}

void list_settle_encoding(struct list_value *v, const struct list_rules *r, bool shrinking)
{
    if (v->encoding != ENC_QUICKLIST) {
        return;
    }
    struct list *l = v->object;
    if (l->n != 1 || node_of(l, 0)->kind == NODE_LARGE) {
        return;
    }
    struct list_node *node = node_of(l, 0);
    size_t share = shrinking ? 2 : 1;
    size_t bytes = node->kind == NODE_LISTPACK ? listpack_bytes(node->data)
                                               : ((const struct packed *)node->data)->raw_bytes;
    bool fits = r->by_count ? node->count <= r->node_count_max / share
                            : bytes <= r->node_bytes_max / share;
    if (fits) {
        *v = (struct list_value){ENC_LISTPACK, node_open(node)};
        mem_free(l->nodes);
        mem_free(l);
    }
}

/* --- reading --- */

struct list_needle list_needle(struct slice s)
{
    struct list_needle n = {.s = s};
    n.numeric = num_parse_int(s.ptr, s.len, &n.number);
    return n;
}

/* Leaves the node that the iterator is in. */
static void iter_leave(struct list_iter *it)
{
    if (it->temporary) {
        listpack_free(it->temporary);
        it->temporary = NULL;
    }
    it->lp = NULL;
}

void list_iter_init(struct list_iter *it, struct list_value v, uint64_t index, bool reverse)
{
    *it = (struct list_iter){.reverse = reverse};
    if (v.encoding == ENC_LISTPACK) {
        it->lp = v.object;
        it->at = listpack_seek(v.object, (int64_t)index);
        return;
    }
    it->list = v.object;
    it->node = -1;
    if (index >= it->list->count) {
        return;
    }
    uint32_t node, rank;
    seek(it->list, index, &node, &rank);
    it->node = node;
    struct blob *large;
    it->lp = list_nodes_get(it->list, node, &it->temporary, &large);
    if (it->lp) {
        it->at = listpack_seek(it->lp, rank);
    }
}

static void element_of(const uint8_t *at, struct list_element *e)
{
    struct listpack_value v = listpack_get(at);
    *e = (struct list_element){v.ptr, v.len, v.number, NULL};
}

/* Goes on to the next node, into it or past it if it is large. */
static bool iter_next_node(struct list_iter *it, struct list_element *e)
{
    for (;;) {
        if (!it->list || it->node < 0 || it->node >= it->list->n) {
            return false;
        }
        if (it->lp && it->at) {
            element_of(it->at, e);
            it->at = it->reverse ? listpack_prev(it->lp, it->at) : listpack_next(it->lp, it->at);
            return true;
        }
        if (!it->lp) {
            struct blob *large;
            it->lp = list_nodes_get(it->list, (uint32_t)it->node, &it->temporary, &large);
            if (!it->lp) {
                *e = (struct list_element){large->data, large->len, 0, large};
                it->node += it->reverse ? -1 : 1;
                return true;
            }
            it->at = it->reverse ? listpack_last(it->lp) : listpack_first(it->lp);
        } else {
            iter_leave(it);
            it->node += it->reverse ? -1 : 1;
        }
    }
}

bool list_iter_next(struct list_iter *it, struct list_element *e)
{
    pause_point(1);
    if (__builtin_expect(it->at != NULL, 1)) {
        element_of(it->at, e);
        it->at = it->reverse ? listpack_prev(it->lp, it->at) : listpack_next(it->lp, it->at);
        return true;
    }
    return iter_next_node(it, e);
}

void list_iter_end(struct list_iter *it)
{
    iter_leave(it);
}

/* --- changing --- */

static void nodes_push(struct list *l, const struct list_rules *r, enum list_end end,
                       struct slice s)
{
    uint32_t before = l->n;
    if (before > 0) {
        struct list_node *node = node_of(l, end == LIST_HEAD ? 0 : l->n - 1);
        if (node_fits(node, r, s)) {
            node_insert(node, end == LIST_HEAD ? 0 : node->count, s);
            l->count++;
            return;
        }
    }
    row_insert(l, end == LIST_HEAD ? 0 : l->n, node_new(r, s));
    l->count++;
    settle_compression(l, r, 0, -1);
}

void list_push(struct list_value *v, const struct list_rules *r, enum list_end end, struct slice s)
{
    if (v->encoding == ENC_QUICKLIST) {
        nodes_push(v->object, r, end, s);
    } else if (end == LIST_HEAD) {
        v->object = must(listpack_prepend(v->object, s));
    } else {
        v->object = must(listpack_append(v->object, s));
    }
}

void list_push_all(struct list_value *v, const struct list_rules *r, enum list_end end,
                   const struct slice *s, uint32_t n)
{
    list_prepare(v, r, s, n);
    if (v->encoding == ENC_LISTPACK && end == LIST_TAIL && n > 1) {
        v->object = must(listpack_append_all(v->object, s, n));
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        pause_point(1);
        list_push(v, r, end, s[i]);
    }
}

void list_insert(struct list_value *v, const struct list_rules *r, uint64_t index, struct slice s)
{
    if (index == list_count(*v)) {
        list_push(v, r, LIST_TAIL, s);
    } else if (v->encoding == ENC_LISTPACK) {
        struct listpack *lp = v->object;
        uint8_t *at = listpack_seek(lp, (int64_t)index);
        v->object = must(listpack_insert(lp, at, LISTPACK_BEFORE, s, NULL));
    } else {
        uint32_t i, k;
        seek(v->object, index, &i, &k);
        insert_at(v->object, r, i, k, s);
    }
}

void list_replace(struct list_value *v, const struct list_rules *r, uint64_t index, struct slice s)
{
    struct list_node alone = {.kind = NODE_LISTPACK, .data = v->object};
    struct list_node *node = &alone;
    uint32_t i = 0, k = (uint32_t)index;
    if (v->encoding == ENC_QUICKLIST) {
        seek(v->object, index, &i, &k);
        node = node_of(v->object, i);
        if (node->kind == NODE_LARGE || s.len >= r->large_bytes) {
            list_delete(v, r, index, 1);
            list_insert(v, r, index, s);
            return;
        }
    }
    struct listpack *lp = node_open(node);
    node->data = must(listpack_insert(lp, listpack_seek(lp, k), LISTPACK_REPLACE, s, NULL));
    if (v->encoding == ENC_LISTPACK) {
        v->object = alone.data;
        return;
    }
    if (listpack_bytes(node->data) > r->node_bytes_max && node->count > 1) {
        node_split(v->object, i, node->count / 2);
    }
    settle_compression(v->object, r, i, (int64_t)i + 1);
}

/* Nodes [i, i + n) in a list of their own; they are still in the row. */
static struct list *nodes_take(const struct list *l, uint32_t i, uint32_t n)
{
    struct list *taken = list_nodes_new();
    row_center(taken, row_cap_for(n));
    taken->first = 0;
    taken->n = n;
    memcpy(taken->nodes, node_of(l, i), n * sizeof *taken->nodes);
    for (uint32_t j = 0; j < n; j++) {
        taken->count += taken->nodes[j].count; /* I2 */
    }
    return taken;
}

/* cut NULL: all is freed here. */
static void nodes_delete(struct list *l, const struct list_rules *r, uint64_t index, uint64_t n,
                         struct list **cut)
{
    uint32_t i, k, gone = 0;
    seek(l, index, &i, &k);
    l->count -= n;
    if (k > 0) { /* the tail of the first node */
        struct list_node *node = node_of(l, i);
        uint32_t some = n < node->count - k ? (uint32_t)n : node->count - k;
        node_delete(node, k, some);
        n -= some;
        i++;
    }
    while (n > 0 && n >= node_of(l, i + gone)->count) {
        n -= node_of(l, i + gone)->count;
        gone++;
    }
    if (cut && gone >= CUT_NODES_MIN) {
        *cut = nodes_take(l, i, gone);
    } else {
        for (uint32_t j = 0; j < gone; j++) {
            pause_point(1);
            node_free(node_of(l, i + j));
        }
    }
    if (n > 0) { /* the head of the last */
        node_delete(node_of(l, i + gone), 0, (uint32_t)n);
    }
    if (gone > 0) {
        row_remove(l, i, gone);
    }
    settle_compression(l, r, (int64_t)i - 1, i);
}

static void delete_or_cut(struct list_value *v, const struct list_rules *r, uint64_t index,
                          uint64_t n, struct list **cut)
{
    if (n == 0) {
        return;
    }
    if (v->encoding == ENC_QUICKLIST) {
        nodes_delete(v->object, r, index, n, cut);
    } else {
        struct listpack *lp = v->object;
        v->object = listpack_delete(lp, listpack_seek(lp, (int64_t)index), (uint32_t)n, NULL);
    }
}

void list_delete(struct list_value *v, const struct list_rules *r, uint64_t index, uint64_t n)
{
    delete_or_cut(v, r, index, n, NULL);
}

struct list *list_cut(struct list_value *v, const struct list_rules *r, uint64_t index, uint64_t n)
{
    struct list *cut = NULL;
    delete_or_cut(v, r, index, n, &cut);
    return cut;
}

/* Deletes up to max elements of a node; its count may become 0. */
static uint64_t node_remove(struct list_node *node, struct slice s, uint64_t max,
                            enum list_end from)
{
    struct listpack *lp = node_open(node);
    uint8_t *at = from == LIST_HEAD ? listpack_first(lp) : listpack_last(lp);
    uint64_t removed = 0;
    while (at && removed < max) {
        if (from == LIST_HEAD) {
            at = listpack_find(lp, at, s, 0);
            if (at) {
                lp = listpack_delete(lp, at, 1, &at);
                removed++;
            }
        } else if (listpack_equals(at, s)) {
            uint8_t *next;
            lp = listpack_delete(lp, at, 1, &next);
            at = next ? listpack_prev(lp, next) : listpack_last(lp);
            removed++;
        } else {
            at = listpack_prev(lp, at);
        }
    }
    node->data = lp;
    node->count -= (uint32_t)removed;
    return removed;
}

static bool node_has(const struct list *l, uint32_t i, struct slice s)
{
    struct listpack *temporary;
    struct blob *large;
    const struct listpack *lp = list_nodes_get(l, i, &temporary, &large);
    if (!lp) {
        return slice_equal(slice_of(large->data, large->len), s);
    }
    bool found = listpack_find(lp, listpack_first(lp), s, 0) != NULL;
    if (temporary) {
        listpack_free(temporary);
    }
    return found;
}

/* Emptied nodes go in one pass (I2). */
static void row_sweep(struct list *l)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct list_node *node = node_of(l, i);
        pause_point(1);
        if (node->count > 0) {
            *node_of(l, kept++) = *node;
        } else {
            node_free(node);
        }
    }
    row_remove(l, kept, l->n - kept);
}

static uint64_t nodes_remove(struct list *l, const struct list_rules *r, struct slice s,
                             uint64_t max, enum list_end from)
{
    uint64_t removed = 0;
    for (uint32_t step = 0; step < l->n && removed < max; step++) {
        uint32_t i = from == LIST_HEAD ? step : l->n - 1 - step;
        struct list_node *node = node_of(l, i);
        pause_point(node->count);
        if (node->kind == NODE_LISTPACK) {
            removed += node_remove(node, s, max - removed, from);
        } else if (node_has(l, i, s)) {
            if (node->kind == NODE_LARGE) {
                node->count = 0;
                removed++;
            } else {
                removed += node_remove(node, s, max - removed, from);
            }
        }
    }
    if (removed > 0) {
        l->count -= removed;
        row_sweep(l);
        settle_compression(l, r, 0, l->n);
    }
    return removed;
}

uint64_t list_remove(struct list_value *v, const struct list_rules *r, struct slice s,
                     uint64_t max, enum list_end from)
{
    if (max == 0) {
        max = UINT64_MAX;
    }
    if (v->encoding == ENC_QUICKLIST) {
        return nodes_remove(v->object, r, s, max, from);
    }
    struct list_node node = {v->object, listpack_count(v->object), NODE_LISTPACK};
    uint64_t removed = node_remove(&node, s, max, from);
    v->object = node.data;
    return removed;
}

/* --- nodes for entry.c and serial.c --- */

struct list *list_nodes_new(void)
{
    return mem_alloc_zero(sizeof(struct list));
}

void list_nodes_free(void *list)
{
    uint64_t progress = 0;
    while (!list_nodes_free_slice(list, PAUSE_FREE_STEP, &progress)) {
        pause_point(PAUSE_FREE_STEP);
    }
}

bool list_nodes_free_slice(void *list, size_t budget, uint64_t *progress)
{
    struct list *l = list;
    (void)progress; /* n says how far it is */
    for (; budget > 0 && l->n > 0; budget--) {
        node_free(node_of(l, --l->n));
    }
    if (l->n > 0) {
        return false;
    }
    mem_free(l->nodes);
    mem_free(l);
    return true;
}

size_t list_nodes_free_effort(const void *list)
{
    return ((const struct list *)list)->n;
}

static size_t node_bytes(const struct list_node *node)
{
    return node->kind == NODE_LISTPACK ? listpack_memory(node->data) : mem_usable(node->data);
}

/* Long lists by samples from all over. */
size_t list_nodes_bytes(const void *list)
{
    const struct list *l = list;
    size_t nodes = 0;
    uint32_t samples = l->n < MEMORY_SAMPLES ? l->n : MEMORY_SAMPLES;
    for (uint32_t i = 0; i < samples; i++) {
        nodes += node_bytes(node_of(l, (uint32_t)((uint64_t)l->n * i / samples)));
    }
    if (samples > 0) {
        nodes = (size_t)((double)nodes / samples * l->n);
    }
    return nodes + mem_usable(l) + mem_usable(l->nodes);
}

uint32_t list_nodes_count(const struct list *list)
{
    return list->n;
}

const struct listpack *list_nodes_get(const struct list *list, uint32_t i,
                                      struct listpack **temporary, struct blob **large)
{
    const struct list_node *node = node_of(list, i);
    *temporary = NULL;
    *large = NULL;
    switch ((enum node_kind)node->kind) {
    case NODE_LARGE:
        *large = node->data;
        return NULL;
    case NODE_COMPRESSED:
        return *temporary = unpack(node->data);
    case NODE_LISTPACK:
        break;
    }
    return node->data;
}

void list_nodes_append(struct list *list, struct listpack *lp)
{
    uint32_t count = listpack_count(lp);
    assert(count > 0); /* I2 */
    row_insert(list, list->n, (struct list_node){lp, count, NODE_LISTPACK});
    list->count += count;
}

void list_nodes_append_large(struct list *list, struct blob *b)
{
    row_insert(list, list->n, (struct list_node){b, 1, NODE_LARGE});
    list->count++;
}

void list_nodes_compress(struct list *list, const struct list_rules *r)
{
    settle_compression(list, r, 0, list->n);
}

void list_digest(struct list_value v, uint8_t digest[20])
{
    struct list_iter it;
    struct list_element e;
    list_iter_init(&it, v, 0, false);
    while (list_iter_next(&it, &e)) {
        char digits[NUM_INT_CHARS];
        if (e.ptr) {
            sha1_mix(digest, e.ptr, e.len);
        } else {
            sha1_mix(digest, digits, num_format_int(digits, e.number));
        }
    }
    list_iter_end(&it);
}
