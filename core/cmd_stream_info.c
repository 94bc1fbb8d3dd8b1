/* cmd_stream_info.c - XINFO: what a stream, its groups and their consumers are like. */
#include "core/cmd_stream.h"

enum { FULL_COUNT = 10 }; /* entries that XINFO STREAM FULL shows of each list unless told */

static struct stream *find_stream(struct call *c)
{
    bool bad = false;
    struct stream *s = stream__read(c, &c->keys[0], &bad);
    if (!s && !bad) {
        call_error_no_key(c);
    }
    return s;
}

static void reply_name(struct call *c, struct slice name)
{
    reply_bulk_str(c->out, "name");
    reply_bulk(c->out, name.ptr, name.len);
}

static void reply_pair_id(struct call *c, const char *name, struct stream_id id)
{
    reply_bulk_str(c->out, name);
    stream__reply_id(c->out, id);
}

static void reply_pair_int(struct call *c, const char *name, int64_t v)
{
    reply_bulk_str(c->out, name);
    reply_int(c->out, v);
}

/* What a group has read, and what it has not. */
static void reply_progress(struct call *c, const struct stream *s, const struct stream_group *g)
{
    int64_t lag;
    reply_bulk_str(c->out, "entries-read");
    if (g->entries_read == STREAM_READ_UNKNOWN) {
        reply_null(c->out);
    } else {
        reply_int(c->out, g->entries_read);
    }
    reply_bulk_str(c->out, "lag");
    if (stream_group_lag(s, g, &lag)) {
        reply_int(c->out, lag);
    } else {
        reply_null(c->out);
    }
}

/* --- XINFO STREAM --- */

static bool parse_full(struct call *c, bool *full, int64_t *count)
{
    *full = c->argc > 3;
    *count = FULL_COUNT;
    if (!*full) {
        return true;
    }
    if ((c->argc != 4 && c->argc != 6) || !slice_is(c->argv[3], "full") ||
        (c->argc == 6 && !slice_is(c->argv[4], "count"))) {
        call_error_subcommand_args(c);
        return false;
    }
    if (c->argc == 6 && !call_arg_int(c, 5, count)) {
        return false;
    }
    if (*count < 0) {
        *count = FULL_COUNT;
    }
    return true;
}

static void reply_edge(struct call *c, const char *name, const struct stream *s, bool last)
{
    struct stream_iter it;
    reply_bulk_str(c->out, name);
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, last);
    if (stream_iter_next(&it)) {
        stream__reply_entry(c->out, &it);
    } else {
        reply_null(c->out);
    }
}

/* Up to count (0: all) pending entries, with the consumer's name in a group's list. */
static void reply_pel(struct call *c, const struct idtree *pel, int64_t count, bool of_group)
{
    struct idtree_at at;
    const struct idtree_item *item = idtree_first(pel, &at);
    uint64_t left = count && (uint64_t)count < pel->count ? (uint64_t)count : pel->count;
    reply_bulk_str(c->out, "pending");
    reply_array(c->out, left);
    for (; left > 0; left--, item = idtree_next(&at)) {
        const struct stream_nack *nack = item->value;
        const struct slice name = nack->consumer->named.name;
        reply_array(c->out, of_group ? 4 : 3);
        stream__reply_id(c->out, item->id);
        if (of_group) {
            reply_bulk(c->out, name.ptr, name.len);
        }
        reply_int(c->out, nack->delivered_ms);
        reply_int(c->out, (int64_t)nack->deliveries);
    }
}

static void reply_full_group(struct call *c, const struct stream *s, const struct stream_group *g,
                             int64_t count)
{
    reply_map(c->out, 7);
    reply_name(c, g->named.name);
    reply_pair_id(c, "last-delivered-id", g->last_id);
    reply_progress(c, s, g);
    reply_pair_int(c, "pel-count", (int64_t)g->pel.count);
    reply_pel(c, &g->pel, count, true);
    reply_bulk_str(c->out, "consumers");
    reply_array(c->out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        reply_map(c->out, 5);
        reply_name(c, consumer->named.name);
        reply_pair_int(c, "seen-time", consumer->seen_ms);
        reply_pair_int(c, "active-time", consumer->active_ms);
        reply_pair_int(c, "pel-count", (int64_t)consumer->pel.count);
        reply_pel(c, &consumer->pel, count, false);
    }
}

static void reply_full(struct call *c, const struct stream *s, int64_t count)
{
    struct stream_iter it;
    int64_t found = 0;
    reply_bulk_str(c->out, "entries");
    struct reply_mark mark = reply_deferred(c->out);
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    while ((count == 0 || found < count) && stream_iter_next(&it)) {
        stream__reply_entry(c->out, &it);
        found++;
    }
    reply_deferred_array(c->out, mark, (size_t)found);
    reply_bulk_str(c->out, "groups");
    reply_array(c->out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        reply_full_group(c, s, s->groups.items[i], count);
    }
}

void stream__xinfo_stream(struct call *c)
{
    bool full;
    int64_t count;
    const struct stream *s = find_stream(c);
    if (!s || !parse_full(c, &full, &count)) {
        return;
    }
    reply_map(c->out, full ? 9 : 10);
    reply_pair_int(c, "length", (int64_t)s->length);
    reply_pair_int(c, "radix-tree-keys", (int64_t)s->nodes.count);
    /* Those of the tree that holds them; an empty one has its root. */
    reply_pair_int(c, "radix-tree-nodes",
                   (int64_t)(s->nodes.count + (s->nodes.nodes ? s->nodes.nodes : 1)));
    reply_pair_id(c, "last-generated-id", s->last_id);
    reply_pair_id(c, "max-deleted-entry-id", s->max_deleted_id);
    reply_pair_int(c, "entries-added", (int64_t)s->entries_added);
    reply_pair_id(c, "recorded-first-entry-id", s->first_id);
    if (full) {
        reply_full(c, s, count);
    } else {
        reply_pair_int(c, "groups", s->groups.count);
        reply_edge(c, "first-entry", s, false);
        reply_edge(c, "last-entry", s, true);
    }
}

/* --- XINFO GROUPS, CONSUMERS --- */

void stream__xinfo_groups(struct call *c)
{
    const struct stream *s = find_stream(c);
    if (!s) {
        return;
    }
    reply_array(c->out, s->groups.count);
    for (uint32_t i = 0; i < s->groups.count; i++) {
        const struct stream_group *g = s->groups.items[i];
        reply_map(c->out, 6);
        reply_name(c, g->named.name);
        reply_pair_int(c, "consumers", g->consumers.count);
        reply_pair_int(c, "pending", (int64_t)g->pel.count);
        reply_pair_id(c, "last-delivered-id", g->last_id);
        reply_progress(c, s, g);
    }
}

static int64_t since(const struct call *c, int64_t then_ms)
{
    const int64_t ms = (int64_t)((uint64_t)c->now_ms - (uint64_t)then_ms);
    return ms < 0 ? 0 : ms;
}

void stream__xinfo_consumers(struct call *c)
{
    const struct stream *s = find_stream(c);
    if (!s) {
        return;
    }
    const struct stream_group *g = stream__group(s, c->argv[3]);
    if (!g) {
        reply_errorf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                     (int)c->argv[3].len, c->argv[3].ptr, (int)c->argv[2].len, c->argv[2].ptr);
        return;
    }
    reply_array(c->out, g->consumers.count);
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        const bool never = consumer->active_ms == STREAM_NEVER_ACTIVE;
        reply_map(c->out, 4);
        reply_name(c, consumer->named.name);
        reply_pair_int(c, "pending", (int64_t)consumer->pel.count);
        reply_pair_int(c, "idle", since(c, consumer->seen_ms));
        reply_pair_int(c, "inactive", never ? -1 : since(c, consumer->active_ms));
    }
}

void stream__xinfo_help(struct call *c)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    List the consumers of <groupname>.",
        "GROUPS <key>",
        "    List the consumer groups of the stream.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Describe the stream.",
        NULL,
    };
    call_help(c, lines);
}
