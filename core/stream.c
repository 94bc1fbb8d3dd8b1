/* stream.c - see stream.h. */
#include "core/stream.h"

#include "core/mem.h"
#include "core/pause.h"
#include "core/sha1.h"
#include "core/slab.h"

enum {
    NODE_FIRST_BYTES = 116, /* room of a stream's first node: a block of 120 */
    NODE_SLACK_SHIFT = 4,   /* a new node is expected to be 1/16 larger than the last */
};

struct stream *stream_new(void)
{
    return mem_alloc_zero(sizeof(struct stream));
}

/* --- nodes --- */

static void node_set(struct stream *s, struct idtree_item *item, struct stream_node *n,
                     size_t bytes_before)
{
    item->value = n;
    s->node_bytes += snode_memory(n) - bytes_before;
}

static void node_drop(struct stream *s, struct stream_id node_id)
{
    struct stream_node *n = idtree_remove(&s->nodes, node_id);
    assert(n);
    s->node_bytes -= snode_memory(n);
    snode_free(n);
}

/* --- freeing, copying, measuring --- */

bool stream_free_slice(void *object, size_t budget, uint64_t *progress)
{
    struct stream *s = object;
    struct idtree_item item;
    (void)progress;
    while (budget > 0 && idtree_pop_last(&s->nodes, &item)) {
        snode_free(item.value);
        budget--;
    }
    while (budget > 0 && s->groups.count > 0) {
        if (stream_group_free_slice(s->groups.items[s->groups.count - 1], &budget)) {
            s->groups.count--;
        }
    }
    if (budget == 0) {
        return false;
    }
    mem_free(s->groups.items);
    mem_free(s);
    return true;
}

void stream_free(void *object)
{
    uint64_t progress = 0;
    const bool gone = stream_free_slice(object, SIZE_MAX, &progress);
    assert(gone);
    (void)gone;
}

size_t stream_free_effort(const void *object)
{
    const struct stream *s = object;
    size_t effort = s->nodes.count;
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = s->groups.items[i];
        effort += 2 * g->pel.count + g->consumers.count;
    }
    return effort;
}

size_t stream_bytes(const void *object)
{
    const struct stream *s = object;
    size_t bytes = mem_usable(s) + idtree_bytes(&s->nodes) + s->node_bytes +
                   s->groups.cap * sizeof s->groups.items[0];
    for (uint32_t i = 0; i < s->groups.count; i++) {
        bytes += stream_group_bytes(s->groups.items[i]);
    }
    return bytes;
}

struct stream *stream_of_group(struct stream_group *g)
{
    struct stream *s = stream_new();
    stream_groups_put(&s->groups, g);
    return s;
}

struct stream *stream_copy(const struct stream *s)
{
    struct stream *to = stream_new();
    struct idtree_at at;
    *to = (struct stream){
        .length = s->length,
        .entries_added = s->entries_added,
        .first_id = s->first_id,
        .last_id = s->last_id,
        .max_deleted_id = s->max_deleted_id,
    };
    for (const struct idtree_item *item = idtree_first(&s->nodes, &at); item;
         item = idtree_next(&at)) {
        struct stream_node *n = snode_copy(item->value);
        to->node_bytes += snode_memory(n);
        idtree_insert(&to->nodes, item->id, n);
    }
    for (uint32_t i = 0; i < s->groups.count; i++) {
        stream_group_copy(&to->groups, s->groups.items[i]);
    }
    return to;
}

void stream_digest(const void *object, uint8_t digest[20])
{
    struct stream_iter it;
    stream_iter_init(&it, object, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_iter_next(&it)) {
        char id[STREAM_ID_CHARS];
        const size_t len = stream_id_format(id, it.entry.id);
        *(char *)memchr(id, '-', len) = '.';
        sha1_mix(digest, id, len);
        for (int64_t i = 0; i < it.entry.fields; i++) {
            struct slice pair[2];
            char buf[2][NUM_INT_CHARS];
            stream_iter_pair(&it, pair, buf);
            sha1_mix(digest, pair[0].ptr, pair[0].len);
            sha1_mix(digest, pair[1].ptr, pair[1].len);
        }
    }
}

/* --- ids --- */

bool stream_id_next(struct stream_id *id)
{
    if (id->seq != UINT64_MAX) {
        id->seq++;
    } else if (id->ms != UINT64_MAX) {
        *id = (struct stream_id){id->ms + 1, 0};
    } else {
        *id = STREAM_ID_MIN;
        return false;
    }
    return true;
}

bool stream_id_prev(struct stream_id *id)
{
    if (id->seq != 0) {
        id->seq--;
    } else if (id->ms != 0) {
        *id = (struct stream_id){id->ms - 1, UINT64_MAX};
    } else {
        *id = STREAM_ID_MAX;
        return false;
    }
    return true;
}

static char *format_u64(char *out, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    memcpy(out, digits + sizeof digits - n, n);
    return out + n;
}

size_t stream_id_format(char out[STREAM_ID_CHARS], struct stream_id id)
{
    char *p = format_u64(out, id.ms);
    *p++ = '-';
    return (size_t)(format_u64(p, id.seq) - out);
}

struct stream_id stream_next_id(const struct stream *s, int64_t now_ms)
{
    struct stream_id id = s->last_id;
    if ((uint64_t)now_ms > id.ms) {
        return (struct stream_id){(uint64_t)now_ms, 0};
    }
    stream_id_next(&id);
    return id;
}

/* --- adding --- */

static size_t node_bytes_max(const struct settings *settings)
{
    const int64_t max = settings->stream_node_max_bytes;
    return max <= 0 || (uint64_t)max > STREAM_NODE_MAX_BYTES ? STREAM_NODE_MAX_BYTES : (size_t)max;
}

static bool node_is_full(const struct stream_node *n, const struct settings *settings, size_t more)
{
    return snode_total(n) + more >= node_bytes_max(settings) ||
           (settings->stream_node_max_entries > 0 &&
            snode_count(n) + snode_deleted(n) >= settings->stream_node_max_entries);
}

/* Room that a node grows to at first: of what it may have, as much as one block of the slab. */
static size_t room_max(const struct settings *settings)
{
    const size_t max = node_bytes_max(settings);
    const size_t block = SLAB_MAX_BYTES - sizeof(struct stream_node);
    return max <= SLAB_MAX_BYTES && max > block ? block : max;
}

void stream_add(struct stream *s, const struct settings *settings, struct stream_id id,
                const struct slice *pairs, int64_t fields)
{
    assert(stream_id_compare(id, s->last_id) > 0); /* S2 */
    struct idtree_at at;
    struct idtree_item *last = idtree_last(&s->nodes, &at);
    size_t more = 0, expected = NODE_FIRST_BYTES;
    for (int64_t i = 0; i < 2 * fields; i++) {
        more += pairs[i].len;
    }
    /* (Behind the last node's id: XSETID may have gone back to before one of deleted entries.) */
    if (last && node_is_full(last->value, settings, more) &&
        stream_id_compare(last->id, id) < 0) {
        const size_t before = snode_memory(last->value);
        struct stream_node *sealed = snode_seal(last->value);
        node_set(s, last, sealed, before);
        expected = snode_total(sealed) + (snode_total(sealed) >> NODE_SLACK_SHIFT);
        expected = expected > room_max(settings) ? room_max(settings) : expected;
        last = NULL;
    }
    if (last) {
        const struct stream_node *n = last->value;
        const size_t before = snode_memory(n);
        node_set(s, last,
                 snode_append(last->value, last->id, id, pairs, fields, room_max(settings)),
                 before);
    } else {
        struct stream_node *n = snode_new(id, pairs, fields, expected);
        s->node_bytes += snode_memory(n);
        const bool added = idtree_insert(&s->nodes, id, n);
        assert(added);
        (void)added;
    }
    s->length++;
    s->entries_added++;
    s->last_id = id;
    if (s->length == 1) {
        s->first_id = id;
    }
}

/* --- iteration --- */

static void iter_enter(struct stream_iter *it, const struct idtree_item *item)
{
    it->node = NULL;
    if (!item) {
        return;
    }
    it->node = item->value;
    it->node_id = item->id;
    it->fields = snode_fields(it->node, &it->master_fields);
    it->next = it->reverse ? snode_last(it->node) : snode_first(it->node);
}

void stream_iter_init(struct stream_iter *it, const struct stream *s, struct stream_id from,
                      struct stream_id to, bool reverse)
{
    *it = (struct stream_iter){.from = from, .to = to, .reverse = reverse};
    const struct idtree_item *item =
        idtree_not_above(&s->nodes, reverse ? to : from, &it->at);
    if (!item && !reverse) {
        item = idtree_first(&s->nodes, &it->at);
    }
    iter_enter(it, item);
}

/* Reads the entry at hand and moves on to the next one; false when the node has no more. */
static bool iter_step(struct stream_iter *it)
{
    if (it->reverse ? !it->next : it->next == snode_end(it->node)) {
        return false;
    }
    snode_entry_read(it->node_id, it->master_fields, it->next, &it->entry);
    it->next = it->reverse ? snode_before(it->node, it->next) : snode_entry_end(&it->entry);
    return true;
}

bool stream_iter_next(struct stream_iter *it)
{
    pause_point(1);
    while (it->node) {
        if (!iter_step(it)) {
            iter_enter(it, it->reverse ? idtree_prev(&it->at) : idtree_next(&it->at));
            continue;
        }
        if (it->entry.deleted) {
            continue;
        }
        const bool below = stream_id_compare(it->entry.id, it->from) < 0;
        const bool above = stream_id_compare(it->entry.id, it->to) > 0;
        if (it->reverse ? below : above) {
            it->node = NULL;
        } else if (!below && !above) {
            it->field_ = it->fields;
            it->value_ = it->entry.values;
            return true;
        }
    }
    return false;
}

void stream_iter_pair(struct stream_iter *it, struct slice pair[2], char buf[2][NUM_INT_CHARS])
{
    if (it->entry.same_fields) {
        pair[0] = selem_slice(it->field_, buf[0]);
        it->field_ = selem_next(it->field_);
    } else {
        pair[0] = selem_slice(it->value_, buf[0]);
        it->value_ = selem_next(it->value_);
    }
    pair[1] = selem_slice(it->value_, buf[1]);
    it->value_ = selem_next(it->value_);
}

bool stream_has(const struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    stream_iter_init(&it, s, id, id, false);
    return stream_iter_next(&it);
}

struct stream_id stream_last_live(const struct stream *s)
{
    struct stream_iter it;
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    return stream_iter_next(&it) ? it.entry.id : STREAM_ID_MIN;
}

void stream_find_first(struct stream *s)
{
    struct stream_iter it;
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    s->first_id = s->length > 0 && stream_iter_next(&it) ? it.entry.id : STREAM_ID_MIN;
}

/* --- deleting --- */

bool stream_delete(struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    stream_iter_init(&it, s, id, id, false);
    if (!stream_iter_next(&it)) {
        return false;
    }
    const int64_t live = snode_count(it.node);
    assert(live > 0 && s->length > 0); /* S1 */
    s->length--;
    if (live == 1) {
        node_drop(s, it.node_id);
        return true;
    }
    struct idtree_item *item = &it.at.leaf->items[it.at.i];
    struct stream_node *n = item->value;
    const size_t before = snode_memory(n);
    n = snode_mark_deleted(n, (size_t)(it.entry.at - it.node->lp));
    node_set(s, item, snode_recount(n, live - 1, snode_deleted(n) + 1), before);
    return true;
}

/* --- trimming --- */

/* The id of a node's last entry, deleted or not. */
static struct stream_id node_last_id(const struct idtree_item *item)
{
    struct snode_entry e;
    int64_t fields;
    snode_fields(item->value, &fields);
    snode_entry_read(item->id, fields, snode_last(item->value), &e);
    return e.id;
}

static bool trim_whole_node(const struct stream *s, const struct stream_trim *trim,
                            const struct idtree_item *item)
{
    if (trim->strategy == STREAM_TRIM_MINID) {
        return stream_id_compare(node_last_id(item), trim->minid) < 0;
    }
    const uint64_t live = (uint64_t)snode_count(item->value);
    return s->length - live >= (uint64_t)trim->maxlen;
}

/* Deletes the first entries of a node, one by one. */
static int64_t trim_within(struct stream *s, const struct stream_trim *trim,
                           struct idtree_item *item)
{
    struct stream_node *n = item->value;
    const size_t before = snode_memory(n);
    int64_t fields, deleted = 0;
    snode_fields(n, &fields);
    size_t offset = (size_t)(snode_first(n) - n->lp);
    while (n->lp + offset != snode_end(n)) {
        struct snode_entry e;
        snode_entry_read(item->id, fields, n->lp + offset, &e);
        if (trim->strategy == STREAM_TRIM_MAXLEN ? s->length <= (uint64_t)trim->maxlen
                                                 : stream_id_compare(e.id, trim->minid) >= 0) {
            break;
        }
        offset += (size_t)(snode_entry_end(&e) - e.at);
        if (!e.deleted) {
            const size_t total = snode_total(n);
            n = snode_mark_deleted(n, (size_t)(e.at - n->lp));
            offset -= total - snode_total(n); /* foreign flags may have taken more bytes */
            deleted++;
            s->length--;
        }
    }
    n = snode_recount(n, snode_count(n) - deleted, snode_deleted(n) + deleted);
    node_set(s, item, n, before);
    return deleted;
}

int64_t stream_trim(struct stream *s, const struct stream_trim *trim)
{
    int64_t deleted = 0;
    struct idtree_at at;
    struct idtree_item *item;
    while (trim->strategy != STREAM_TRIM_NONE && (item = idtree_first(&s->nodes, &at))) {
        if (trim->strategy == STREAM_TRIM_MAXLEN && s->length <= (uint64_t)trim->maxlen) {
            break;
        }
        const int64_t live = snode_count(item->value);
        pause_point(PAUSE_NODE_UNITS);
        if (trim->limit && deleted + live > trim->limit) {
            break;
        }
        if (!trim_whole_node(s, trim, item)) {
            deleted += trim->approx ? 0 : trim_within(s, trim, item);
            break;
        }
        s->length -= (uint64_t)live;
        deleted += live;
        node_drop(s, item->id);
    }
    if (deleted || s->length == 0) {
        stream_find_first(s);
    }
    return deleted;
}

/* --- how far groups are --- */

static bool id_is_zero(struct stream_id id)
{
    return id.ms == 0 && id.seq == 0;
}

bool stream_has_tombstones(const struct stream *s, struct stream_id from)
{
    if (s->length == 0 || id_is_zero(s->max_deleted_id) ||
        stream_id_compare(s->first_id, s->max_deleted_id) > 0) {
        return false;
    }
    return stream_id_compare(from, s->max_deleted_id) <= 0;
}

int64_t stream_entries_until(const struct stream *s, struct stream_id id)
{
    const int64_t added = (int64_t)s->entries_added;
    if (added == 0) {
        return 0;
    }
    const int order = stream_id_compare(id, s->last_id);
    if (order == 0 || (s->length == 0 && order < 0)) {
        return added;
    }
    if (order > 0) { /* the future */
        return STREAM_READ_UNKNOWN;
    }
    if (id_is_zero(s->max_deleted_id) ||
        stream_id_compare(s->max_deleted_id, s->first_id) < 0) { /* no holes */
        const int to_first = stream_id_compare(id, s->first_id);
        if (to_first <= 0) {
            return (int64_t)(s->entries_added - s->length + (to_first == 0));
        }
    }
    return STREAM_READ_UNKNOWN;
}

bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag)
{
    const int64_t added = (int64_t)s->entries_added;
    *lag = 0;
    if (added == 0) {
        return true;
    }
    int64_t read = g->entries_read;
    if (read == STREAM_READ_UNKNOWN || stream_has_tombstones(s, g->last_id)) {
        read = stream_entries_until(s, g->last_id);
    }
    *lag = (int64_t)((uint64_t)added - (uint64_t)read);
    return read != STREAM_READ_UNKNOWN;
}

void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id)
{
    if (g->entries_read != STREAM_READ_UNKNOWN && !stream_has_tombstones(s, id)) {
        g->entries_read = (int64_t)((uint64_t)g->entries_read + 1);
    } else if (s->entries_added) {
        g->entries_read = stream_entries_until(s, id);
    }
    g->last_id = id;
}
