/* cmd_stream_pending.c - entries given to consumers and not yet acknowledged: XACK, XPENDING,
 * XCLAIM, XAUTOCLAIM. */
#include "core/cmd_stream.h"

#include "core/mem.h"
#include "core/pause.h"

enum {
    AUTOCLAIM_COUNT = 100,   /* entries that XAUTOCLAIM claims unless told */
    AUTOCLAIM_ATTEMPTS = 10, /* … and for each of them, entries that it looks at */
};

/* Time since the last delivery; foreign payloads may have any time there. */
static int64_t idle_ms(const struct call *c, const struct stream_nack *nack)
{
    return (int64_t)((uint64_t)c->now_ms - (uint64_t)nack->delivered_ms);
}

/* The group argv[2] of the stream; replies and returns NULL when there is none. */
static struct stream_group *find_group(struct call *c, const struct stream *s)
{
    struct stream_group *g = stream__group(s, c->argv[2]);
    if (!g) {
        reply_errorf(c->out, "NOGROUP No such key '%.*s' or consumer group '%.*s'",
                     (int)c->argv[1].len, c->argv[1].ptr, (int)c->argv[2].len, c->argv[2].ptr);
    }
    return g;
}

/* --- XACK --- */

void stream__xack(struct call *c)
{
    bool bad = false;
    const struct stream *s = stream__write(c, &c->keys[0], &bad);
    if (bad) {
        return;
    }
    struct stream_group *g = stream__group(s, c->argv[2]);
    if (!g) {
        reply_int(c->out, 0);
        return;
    }
    struct stream_id *ids = stream__arg_ids(c, 3, c->argc);
    if (!ids) {
        return;
    }
    int64_t acknowledged = 0;
    for (uint32_t i = 0; i < c->argc - 3; i++) {
        pause_point(1);
        acknowledged += stream_group_forget(g, ids[i]);
    }
    mem_free(ids);
    stream__groups_changed(c, &c->keys[0], (uint64_t)acknowledged);
    reply_int(c->out, acknowledged);
}

/* --- XPENDING --- */

struct pending_options {
    int64_t idle_min_ms, count;
    struct stream_id from, to;
    uint32_t consumer_at; /* 0: not given */
};

static bool parse_pending(struct call *c, struct pending_options *o)
{
    uint32_t i = 3;
    *o = (struct pending_options){0};
    if (c->argc < 6 || c->argc > 9) {
        call_error_syntax(c);
        return false;
    }
    if (slice_is(c->argv[3], "idle")) {
        if (!call_arg_int(c, 4, &o->idle_min_ms)) {
            return false;
        }
        if (c->argc < 8) {
            call_error_syntax(c);
            return false;
        }
        i = 5;
    }
    if (!call_arg_int(c, i + 2, &o->count) || !stream__arg_start(c, i, &o->from) ||
        !stream__arg_end(c, i + 1, &o->to)) {
        return false;
    }
    o->consumer_at = i + 3 < c->argc ? i + 3 : 0;
    return true;
}

static void reply_summary(struct call *c, const struct stream_group *g)
{
    struct idtree_at at;
    reply_array(c->out, 4);
    reply_int(c->out, (int64_t)g->pel.count);
    if (g->pel.count == 0) {
        reply_null(c->out);
        reply_null(c->out);
        reply_null_array(c->out);
        return;
    }
    stream__reply_id(c->out, idtree_first(&g->pel, &at)->id);
    stream__reply_id(c->out, idtree_last(&g->pel, &at)->id);
    struct reply_mark mark = reply_deferred(c->out);
    size_t count = 0;
    for (uint32_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *consumer = g->consumers.items[i];
        if (consumer->pel.count > 0) {
            reply_array(c->out, 2);
            reply_bulk(c->out, consumer->named.name.ptr, consumer->named.name.len);
            reply_bulk_int(c->out, (int64_t)consumer->pel.count);
            count++;
        }
    }
    reply_deferred_array(c->out, mark, count);
}

static void reply_pending(struct call *c, const struct idtree *pel, const struct pending_options *o)
{
    struct reply_mark mark = reply_deferred(c->out);
    struct idtree_at at;
    int64_t count = 0;
    for (const struct idtree_item *item = idtree_not_below(pel, o->from, &at);
         item && count < o->count && stream_id_compare(item->id, o->to) <= 0;
         item = idtree_next(&at)) {
        const struct stream_nack *nack = item->value;
        const int64_t idle = idle_ms(c, nack);
        if (o->idle_min_ms && idle < o->idle_min_ms) {
            continue;
        }
        const struct slice name = nack->consumer->named.name;
        reply_array(c->out, 4);
        stream__reply_id(c->out, item->id);
        reply_bulk(c->out, name.ptr, name.len);
        reply_int(c->out, idle < 0 ? 0 : idle);
        reply_int(c->out, (int64_t)nack->deliveries);
        count++;
    }
    reply_deferred_array(c->out, mark, (size_t)count);
}

void stream__xpending(struct call *c)
{
    struct pending_options o;
    const bool summary = c->argc == 3;
    if (!summary && !parse_pending(c, &o)) {
        return;
    }
    bool bad = false;
    const struct stream *s = stream__read(c, &c->keys[0], &bad);
    const struct stream_group *g = bad ? NULL : find_group(c, s);
    if (!g) {
        return;
    }
    if (summary) {
        reply_summary(c, g);
        return;
    }
    const struct idtree *pel = &g->pel;
    if (o.consumer_at) {
        const struct stream_consumer *consumer =
            stream_group_consumer(g, c->argv[o.consumer_at]);
        if (!consumer) {
            reply_array(c->out, 0);
            return;
        }
        pel = &consumer->pel;
    }
    reply_pending(c, pel, &o);
}

/* --- XCLAIM --- */

struct claim_options {
    int64_t idle_min_ms, delivered_ms;
    int64_t retries; /* negative: one more than before */
    struct stream_id last_id;
    bool force, just_id;
};

/* "Invalid … argument for XCLAIM" */
static bool parse_idle_min(struct call *c, const char *error, int64_t *idle_min_ms)
{
    if (!call_arg_int_or(c, 4, idle_min_ms, error)) {
        return false;
    }
    *idle_min_ms = *idle_min_ms < 0 ? 0 : *idle_min_ms;
    return true;
}

static bool parse_claim_option(struct call *c, uint32_t *i, struct claim_options *o)
{
    const struct slice option = c->argv[*i];
    const bool has_value = *i + 1 < c->argc;
    if (slice_is(option, "force")) {
        o->force = true;
        return true;
    }
    if (slice_is(option, "justid")) {
        o->just_id = true;
        return true;
    }
    if (has_value && slice_is(option, "idle")) {
        int64_t idle;
        if (!call_arg_int_or(c, ++*i, &idle, "ERR Invalid IDLE option argument for XCLAIM")) {
            return false;
        }
        o->delivered_ms = (int64_t)((uint64_t)c->now_ms - (uint64_t)idle);
        return true;
    }
    if (has_value && slice_is(option, "time")) {
        return call_arg_int_or(c, ++*i, &o->delivered_ms,
                               "ERR Invalid TIME option argument for XCLAIM");
    }
    if (has_value && slice_is(option, "retrycount")) {
        return call_arg_int_or(c, ++*i, &o->retries,
                               "ERR Invalid RETRYCOUNT option argument for XCLAIM");
    }
    if (has_value && slice_is(option, "lastid")) {
        return stream__arg_id(c, ++*i, &o->last_id);
    }
    reply_errorf(c->out, "ERR Unrecognized XCLAIM option '%.*s'", (int)option.len, option.ptr);
    return false;
}

/* The ids are argv[5] … argv[*options_at - 1]: what is no id any more begins the options. */
static bool parse_claim(struct call *c, struct claim_options *o, uint32_t *options_at)
{
    struct stream_id id;
    uint32_t i = 5;
    *o = (struct claim_options){.delivered_ms = -1, .retries = -1};
    if (!parse_idle_min(c, "ERR Invalid min-idle-time argument for XCLAIM", &o->idle_min_ms)) {
        return false;
    }
    while (i < c->argc && stream__parse_id(c->argv[i], 0, true, &id, NULL)) {
        i++;
    }
    *options_at = i;
    for (; i < c->argc; i++) {
        if (!parse_claim_option(c, &i, o)) {
            return false;
        }
    }
    if (o->delivered_ms < 0 || o->delivered_ms > c->now_ms) {
        o->delivered_ms = c->now_ms; /* not given, or clocks differ */
    }
    return true;
}

/* Gives a pending entry, which is there, to the consumer and replies with it. */
static void claim(struct call *c, struct reply *out, const struct stream *s,
                  struct stream_consumer *consumer, struct stream_nack *nack, struct stream_id id,
                  const struct claim_options *o)
{
    stream_nack_assign(nack, id, consumer);
    nack->delivered_ms = o->delivered_ms;
    if (o->retries >= 0) {
        nack->deliveries = (uint64_t)o->retries;
    } else if (!o->just_id) {
        nack->deliveries++;
    }
    consumer->active_ms = c->now_ms;
    if (o->just_id) {
        stream__reply_id(out, id);
    } else {
        const bool found = stream__reply_one(out, s, id);
        assert(found);
        (void)found;
    }
    stream__groups_changed(c, &c->keys[0], 1);
}

/* One id of XCLAIM; true when it is part of the reply. */
static bool claim_id(struct call *c, const struct stream *s, struct stream_group *g,
                     struct stream_consumer *consumer, struct stream_id id,
                     const struct claim_options *o)
{
    struct stream_nack *nack = idtree_find(&g->pel, id);
    if (!stream_has(s, id)) { /* deleted meanwhile: nobody has it pending any more */
        stream__groups_changed(c, &c->keys[0], stream_group_forget(g, id));
        return false;
    }
    if (!nack && !o->force) {
        return false;
    }
    if (!nack) {
        nack = stream_group_add_nack(g, id);
        nack->deliveries = 1;
    } else if (o->idle_min_ms && idle_ms(c, nack) < o->idle_min_ms) {
        return false;
    }
    claim(c, c->out, s, consumer, nack, id, o);
    return true;
}

void stream__xclaim(struct call *c)
{
    const struct key *k = &c->keys[0];
    bool bad = false;
    const struct stream *s = stream__write(c, k, &bad);
    struct stream_group *g = bad ? NULL : find_group(c, s);
    struct claim_options o;
    uint32_t options_at;
    if (!g || !parse_claim(c, &o, &options_at)) {
        return;
    }
    if (stream_id_compare(o.last_id, g->last_id) > 0) {
        g->last_id = o.last_id;
        stream__groups_changed(c, k, 1);
    }
    struct stream_consumer *consumer = stream__consumer(c, k, g, c->argv[3]);
    struct reply_mark mark = reply_deferred(c->out);
    size_t count = 0;
    for (uint32_t i = 5; i < options_at; i++) {
        pause_point(1);
        struct stream_id id;
        stream__parse_id(c->argv[i], 0, true, &id, NULL);
        count += claim_id(c, s, g, consumer, id, &o);
    }
    reply_deferred_array(c->out, mark, count);
}

/* --- XAUTOCLAIM --- */

struct autoclaim_options {
    struct claim_options claim;
    struct stream_id from;
    int64_t count;
};

static bool parse_autoclaim(struct call *c, struct autoclaim_options *o)
{
    *o = (struct autoclaim_options){
        .claim = {.delivered_ms = c->now_ms, .retries = -1},
        .count = AUTOCLAIM_COUNT,
    };
    if (!parse_idle_min(c, "ERR Invalid min-idle-time argument for XAUTOCLAIM",
                        &o->claim.idle_min_ms) ||
        !stream__arg_start(c, 5, &o->from)) {
        return false;
    }
    for (uint32_t i = 6; i < c->argc; i++) {
        if (slice_is(c->argv[i], "count") && i + 1 < c->argc) {
            if (!call_arg_range(c, ++i, 1, INT64_MAX / (int64_t)sizeof(struct stream_id), &o->count,
                                "ERR COUNT must be > 0")) {
                return false;
            }
        } else if (slice_is(c->argv[i], "justid")) {
            o->claim.just_id = true;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

/* Claimed entries go to one reply, ids of deleted ones to another: the reply begins with where to
 * go on, which is known last. */
static void autoclaim(struct call *c, const struct stream *s, struct stream_group *g,
                      struct stream_consumer *consumer, const struct autoclaim_options *o)
{
    struct reply claimed, deleted;
    size_t claimed_count = 0, deleted_count = 0;
    int64_t left = o->count, attempts = o->count * AUTOCLAIM_ATTEMPTS;
    struct idtree_at at;
    struct idtree_item *item = idtree_not_below(&g->pel, o->from, &at);
    reply_init(&claimed, c->out->resp);
    reply_init(&deleted, c->out->resp);
    while (left > 0 && attempts-- > 0 && item) {
        const struct stream_id id = item->id;
        struct stream_nack *nack = item->value;
        if (!stream_has(s, id)) {
            stream_group_forget(g, id);
            stream__reply_id(&deleted, id);
            stream__groups_changed(c, &c->keys[0], 1);
            deleted_count++;
            left--;
            item = idtree_not_below(&g->pel, id, &at);
            continue;
        }
        if (!o->claim.idle_min_ms || idle_ms(c, nack) >= o->claim.idle_min_ms) {
            claim(c, &claimed, s, consumer, nack, id, &o->claim);
            claimed_count++;
            left--;
        }
        item = idtree_next(&at);
    }
    reply_array(c->out, 3);
    stream__reply_id(c->out, item ? item->id : STREAM_ID_MIN);
    reply_array(c->out, claimed_count);
    reply_move(c->out, &claimed, claimed.total_bytes);
    reply_array(c->out, deleted_count);
    reply_move(c->out, &deleted, deleted.total_bytes);
    reply_clear(&claimed);
    reply_clear(&deleted);
}

void stream__xautoclaim(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct autoclaim_options o;
    if (!parse_autoclaim(c, &o)) {
        return;
    }
    bool bad = false;
    const struct stream *s = stream__write(c, k, &bad);
    struct stream_group *g = bad ? NULL : find_group(c, s);
    if (g) {
        autoclaim(c, s, g, stream__consumer(c, k, g, c->argv[3]), &o);
    }
}
