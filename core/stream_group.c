/* stream_group.c - see stream_group.h. */
#include "core/stream_group.h"

#include "core/mem.h"
#include "core/slab.h"
#include <assert.h>

enum { NAMES_FIRST = 4 };

/* --- arrays by name --- */

static int compare_names(struct slice a, struct slice b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

void *stream_names_find(const struct stream_names *names, struct slice name, uint32_t *at)
{
    uint32_t lo = 0, hi = names->count;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        const struct stream_named *item = names->items[mid];
        const int order = compare_names(item->name, name);
        if (order == 0) {
            if (at) {
                *at = mid;
            }
            return names->items[mid];
        }
        if (order < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (at) {
        *at = lo;
    }
    return NULL;
}

static void names_put(struct stream_names *names, uint32_t at, void *item)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : NAMES_FIRST;
        names->items = mem_realloc(names->items, names->cap * sizeof names->items[0]);
    }
    memmove(names->items + at + 1, names->items + at,
            (names->count - at) * sizeof names->items[0]);
    names->items[at] = item;
    names->count++;
}

static void names_drop(struct stream_names *names, struct slice name)
{
    uint32_t at;
    void *found = stream_names_find(names, name, &at);
    assert(found);
    (void)found;
    names->count--;
    memmove(names->items + at, names->items + at + 1,
            (names->count - at) * sizeof names->items[0]);
}

/* A block for a thing and its name. */
static void *named_new(size_t bytes, struct slice name)
{
    struct stream_named *thing = mem_alloc_zero(bytes + name.len);
    char *copy = (char *)thing + bytes;
    if (name.len > 0) {
        memcpy(copy, name.ptr, name.len);
    }
    thing->name = slice_of(copy, name.len);
    return thing;
}

/* --- consumers --- */

struct stream_consumer *stream_group_consumer(const struct stream_group *g, struct slice name)
{
    return stream_names_find(&g->consumers, name, NULL);
}

struct stream_consumer *stream_group_add_consumer(struct stream_group *g, struct slice name,
                                                  int64_t now_ms)
{
    uint32_t at;
    if (stream_names_find(&g->consumers, name, &at)) {
        return NULL;
    }
    struct stream_consumer *consumer = named_new(sizeof *consumer, name);
    consumer->seen_ms = now_ms;
    consumer->active_ms = STREAM_NEVER_ACTIVE;
    names_put(&g->consumers, at, consumer);
    return consumer;
}

static void nack_free(struct stream_nack *nack)
{
    slab_free(nack, sizeof *nack);
}

static void consumer_free(struct stream_consumer *consumer)
{
    idtree_free(&consumer->pel);
    mem_free(consumer);
}

void stream_group_remove_consumer(struct stream_group *g, struct stream_consumer *consumer)
{
    struct idtree_item item;
    while (idtree_pop_last(&consumer->pel, &item)) {
        void *nack = idtree_remove(&g->pel, item.id);
        assert(nack == item.value); /* G1 */
        nack_free(nack);
    }
    names_drop(&g->consumers, consumer->named.name);
    consumer_free(consumer);
}

/* --- pending entries --- */

struct stream_nack *stream_group_add_nack(struct stream_group *g, struct stream_id id)
{
    struct stream_nack *nack = slab_alloc(sizeof *nack);
    *nack = (struct stream_nack){0};
    if (!idtree_insert(&g->pel, id, nack)) {
        nack_free(nack);
        return NULL;
    }
    return nack;
}

void stream_nack_assign(struct stream_nack *nack, struct stream_id id,
                        struct stream_consumer *consumer)
{
    if (nack->consumer == consumer) {
        return;
    }
    if (nack->consumer) {
        void *old = idtree_remove(&nack->consumer->pel, id);
        assert(old == nack); /* G1 */
        (void)old;
    }
    nack->consumer = consumer;
    const bool added = idtree_insert(&consumer->pel, id, nack);
    assert(added);
    (void)added;
}

void stream_group_deliver(struct stream_group *g, struct stream_consumer *consumer,
                          struct stream_id id, int64_t now_ms)
{
    struct stream_nack *nack = stream_group_add_nack(g, id);
    if (!nack) { /* SETID has moved the group back */
        nack = idtree_find(&g->pel, id);
    }
    nack->delivered_ms = now_ms;
    nack->deliveries = 1;
    stream_nack_assign(nack, id, consumer);
}

bool stream_group_forget(struct stream_group *g, struct stream_id id)
{
    struct stream_nack *nack = idtree_remove(&g->pel, id);
    if (!nack) {
        return false;
    }
    if (nack->consumer) {
        void *same = idtree_remove(&nack->consumer->pel, id);
        assert(same == nack); /* G1 */
        (void)same;
    }
    nack_free(nack);
    return true;
}

/* --- groups --- */

struct stream_group *stream_groups_add(struct stream_names *groups, struct slice name,
                                       struct stream_id last_id, int64_t entries_read)
{
    uint32_t at;
    if (stream_names_find(groups, name, &at)) {
        return NULL;
    }
    struct stream_group *g = named_new(sizeof *g, name);
    g->last_id = last_id;
    g->entries_read = entries_read;
    names_put(groups, at, g);
    return g;
}

void stream_groups_put(struct stream_names *groups, struct stream_group *g)
{
    uint32_t at;
    const void *other = stream_names_find(groups, g->named.name, &at);
    assert(!other);
    names_put(groups, at, g);
}

void stream_groups_take(struct stream_names *groups, struct stream_group *g)
{
    names_drop(groups, g->named.name);
    if (groups->count == 0) {
        mem_free(groups->items);
        *groups = (struct stream_names){0};
    }
}

/* Consumers first: their trees are freed without a look at the nacks, which the group owns. */
bool stream_group_free_slice(struct stream_group *g, size_t *budget)
{
    struct idtree_item item;
    while (g->consumers.count > 0) {
        struct stream_consumer *consumer = g->consumers.items[g->consumers.count - 1];
        while (*budget > 0 && idtree_pop_last(&consumer->pel, &item)) {
            --*budget;
        }
        if (*budget == 0) {
            return false;
        }
        consumer_free(consumer);
        g->consumers.count--;
        --*budget;
    }
    while (*budget > 0 && idtree_pop_last(&g->pel, &item)) {
        nack_free(item.value);
        --*budget;
    }
    if (*budget == 0) {
        return false;
    }
    mem_free(g->consumers.items);
    mem_free(g);
    return true;
}

static size_t consumer_bytes(const struct stream_consumer *consumer)
{
    return mem_usable(consumer) + idtree_bytes(&consumer->pel);
}

size_t stream_group_bytes(const struct stream_group *g)
{
    size_t bytes = mem_usable(g) + idtree_bytes(&g->pel) +
                   g->pel.count * slab_size(sizeof(struct stream_nack)) +
                   g->consumers.cap * sizeof g->consumers.items[0];
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        bytes += consumer_bytes(g->consumers.items[i]);
    }
    return bytes;
}

void stream_group_copy(struct stream_names *to, const struct stream_group *g)
{
    struct stream_group *copy = stream_groups_add(to, g->named.name, g->last_id, g->entries_read);
    assert(copy);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        struct stream_consumer *twin =
            stream_group_add_consumer(copy, consumer->named.name, consumer->seen_ms);
        twin->active_ms = consumer->active_ms;
    }
    struct idtree_at at;
    for (const struct idtree_item *item = idtree_first(&g->pel, &at); item;
         item = idtree_next(&at)) {
        const struct stream_nack *nack = item->value;
        struct stream_nack *twin = stream_group_add_nack(copy, item->id);
        twin->delivered_ms = nack->delivered_ms;
        twin->deliveries = nack->deliveries;
        stream_nack_assign(twin, item->id,
                           stream_group_consumer(copy, nack->consumer->named.name));
    }
}
