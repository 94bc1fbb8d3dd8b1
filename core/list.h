/* list.h - the value of a list, in either of its encodings.
 *
 *   ENC_LISTPACK   one listpack
 *   ENC_QUICKLIST  struct list: nodes in a row, each a listpack, a compressed listpack or one
 *                  large element
 *
 *      nodes ─► [ free │ data,count │ data,count │ … │ free ]     16 bytes per node
 *                        └► listpack  └► compressed
 *
 * The nodes stand in one array with room at both ends, so that pushing at either end costs no
 * copy, and counting through to the middle of a list of a million elements reads a few cache lines
 * instead of chasing pointers. It begins at the nearer end.
 *
 * How large a node may be, and how many at each end stay uncompressed, say the rules, taken from the
 * settings at each change; lists made under other rules stay as they are until something
 * touches them. An element larger than a node stands alone in a blob. A list is a
 * listpack as long as the rules let it fit into one node (as Redis 7.2: list_prepare() before
 * growing, list_settle_encoding() after shrinking).
 *
 * A struct list_value is a copy of what an entry holds: after a change the caller stores it again.
 * Functions that change never fail (memory running out aborts, as mem_alloc does).
 * Owner: one thread. */
#ifndef ASHLAR_CORE_LIST_H
#define ASHLAR_CORE_LIST_H

#include "core/entry.h"
#include "core/listpack.h"
#include "core/settings.h"

struct list_rules {
    size_t node_bytes_max;
    size_t large_bytes; /* elements from here on stand alone */
    uint32_t node_count_max;
    bool by_count; /* list-max-listpack-size counts elements */
    uint32_t compress_depth;
};
struct list_rules list_rules_of(const struct settings *settings);

enum list_end { LIST_HEAD, LIST_TAIL };

struct list_value {
    enum value_encoding encoding;
    void *object;
};
static inline struct list_value list_of(const struct entry *e)
{
    return (struct list_value){e->encoding, entry_object(e)};
}

/* --- life --- */
struct list_value list_new(void); /* an empty listpack */
void list_free(struct list_value v);
struct list_value list_copy(struct list_value v);
uint64_t list_count(struct list_value v);

/* --- encodings --- */
/* Before n strings are added: becomes a quicklist if they would not fit into one node. */
void list_prepare(struct list_value *v, const struct list_rules *r, const struct slice *s,
                  uint32_t n);
/* A quicklist of one node becomes a listpack if that is no larger than the limit (shrinking: than
 * half of it, so that one element more or less does not convert to and fro). */
void list_settle_encoding(struct list_value *v, const struct list_rules *r, bool shrinking);

/* --- reading --- */
struct list_element {
    const char *ptr; /* NULL: an integer */
    size_t len;
    int64_t number;
    struct blob *blob; /* a large element: ptr is its data, references may be taken */
};

struct list;

struct list_iter {
    const struct list *list; /* NULL: the listpack alone */
    const struct listpack *lp;
    uint8_t *at;             /* the next element; NULL: enter the next node */
    struct listpack *temporary;
    int64_t node;            /* where lp comes from */
    bool reverse;
};
/* From the element at index on (0 … count - 1; count at most: nothing follows). */
void list_iter_init(struct list_iter *it, struct list_value v, uint64_t index, bool reverse);
/* False at the end. The element is valid until the next call. */
bool list_iter_next(struct list_iter *it, struct list_element *e);
void list_iter_end(struct list_iter *it);
/* What is compared with many elements. */
struct list_needle {
    struct slice s;
    int64_t number;
    bool numeric;
};
struct list_needle list_needle(struct slice s);
static inline bool list_element_is(const struct list_element *e, const struct list_needle *n)
{
    if (!e->ptr) {
        return n->numeric && e->number == n->number;
    }
    return e->len == n->s.len && memcmp(e->ptr, n->s.ptr, e->len) == 0;
}

/* --- changing. Where something is added, list_prepare() comes first. --- */
/* One after the other, list_prepare() included. */
void list_push_all(struct list_value *v, const struct list_rules *r, enum list_end end,
                   const struct slice *s, uint32_t n);
void list_push(struct list_value *v, const struct list_rules *r, enum list_end end,
               struct slice s);
/* Before the element at index; at the end when index is the count. */
void list_insert(struct list_value *v, const struct list_rules *r, uint64_t index, struct slice s);
void list_replace(struct list_value *v, const struct list_rules *r, uint64_t index,
                  struct slice s);
/* n elements from index on, which must be there. Deleting all leaves an empty list. */
void list_delete(struct list_value *v, const struct list_rules *r, uint64_t index, uint64_t n);
/* The same, but whole nodes, if there are many, come back as a list of their own: to be freed in
 * slices. NULL otherwise. */
struct list *list_cut(struct list_value *v, const struct list_rules *r, uint64_t index, uint64_t n);
/* Deletes elements equal to s, at most max (0: all), beginning at an end; returns how many. */
uint64_t list_remove(struct list_value *v, const struct list_rules *r, struct slice s,
                     uint64_t max, enum list_end from);

/* --- ENC_QUICKLIST alone: what entry.c and serial.c need --- */
struct list *list_nodes_new(void);
void list_nodes_free(void *list);
bool list_nodes_free_slice(void *list, size_t budget, uint64_t *progress);
size_t list_nodes_free_effort(const void *list);
size_t list_nodes_bytes(const void *list);
uint32_t list_nodes_count(const struct list *list);
/* Node i: its listpack (to be freed with listpack_free if *temporary), or NULL and *large. */
const struct listpack *list_nodes_get(const struct list *list, uint32_t i,
                                      struct listpack **temporary, struct blob **large);
/* Takes over a listpack that is not empty, or a blob. */
void list_nodes_append(struct list *list, struct listpack *lp);
void list_nodes_append_large(struct list *list, struct blob *b);
void list_nodes_compress(struct list *list, const struct list_rules *r); /* after loading */
void list_digest(struct list_value v, uint8_t digest[20]);

#endif
