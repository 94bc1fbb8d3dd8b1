/* cmd_stream_read.c - XREAD and XREADGROUP.
 *
 * All arguments are understood and all streams and groups found before anything is delivered. With
 * BLOCK and nothing to deliver the command waits (struct call_wait), and remembers behind which ids
 * ("$" has meant what was last then). It is served from the one stream that has something new. */
#include "core/cmd_stream.h"

#include "core/mem.h"

/* One of the streams read. */
struct source {
    struct stream *s;       /* NULL: no such key */
    struct stream_group *g; /* XREADGROUP */
    struct stream_id after; /* entries behind this id are wanted */
    bool fresh;             /* ">": what the group has given to nobody yet */
    bool last;              /* "+": just the last entry */
};

struct read_options {
    struct slice group, consumer;
    int64_t count;       /* 0: all */
    int64_t block_ms;    /* -1: does not wait */
    uint32_t streams_at; /* argv[streams_at …]: keys, then ids */
    uint32_t streams;
    bool has_group, noack;
};

int stream__xread_keys(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    uint32_t i = 1;
    while (i < argc && !slice_is(argv[i], "streams")) {
        if (slice_is(argv[i], "group")) {
            i += 3;
        } else if (slice_is(argv[i], "count") || slice_is(argv[i], "block")) {
            i += 2;
        } else if (slice_is(argv[i], "noack")) {
            i++;
        } else {
            return 0; /* none: the command says what is wrong */
        }
    }
    const uint32_t rest = i < argc ? argc - i - 1 : 0;
    if (rest % 2 != 0) {
        return 0;
    }
    for (uint32_t k = 0; k < rest / 2 && (int)k < max; k++) {
        positions[k] = i + 1 + k;
    }
    return (int)(rest / 2);
}

/* --- arguments --- */

static bool parse_block(struct call *c, uint32_t i, struct read_options *o)
{
    int64_t timeout_ms;
    if (c->flags & CALL_IN_SCRIPT) {
        reply_errorf(c->out, "ERR %.*s command is not allowed with BLOCK option from scripts",
                     (int)c->argv[0].len, c->argv[0].ptr);
        return false;
    }
    if (!call_arg_int_or(c, i, &timeout_ms, "ERR timeout is not an integer or out of range")) {
        return false;
    }
    if (timeout_ms < 0) {
        reply_error(c->out, "ERR timeout is negative");
        return false;
    }
    o->block_ms = timeout_ms;
    return true;
}

static bool refuse_in_xread(struct call *c, const char *option, bool is_group)
{
    if (!is_group) {
        reply_errorf(c->out, "ERR The %s option is only supported by XREADGROUP. You called XREAD "
                             "instead.", option);
    }
    return is_group;
}

/* The option at argv[*i]; *i is left on its last word. */
static bool parse_option(struct call *c, uint32_t *i, struct read_options *o, bool is_group)
{
    const struct slice option = c->argv[*i];
    const uint32_t more = c->argc - *i - 1;
    if (more >= 1 && slice_is(option, "block")) {
        return parse_block(c, ++*i, o);
    }
    if (more >= 1 && slice_is(option, "count")) {
        if (!call_arg_int(c, ++*i, &o->count)) {
            return false;
        }
        o->count = o->count < 0 ? 0 : o->count;
        return true;
    }
    if (more >= 2 && slice_is(option, "group")) {
        o->has_group = true;
        o->group = c->argv[++*i];
        o->consumer = c->argv[++*i];
        return refuse_in_xread(c, "GROUP", is_group);
    }
    if (slice_is(option, "noack")) {
        o->noack = true;
        return refuse_in_xread(c, "NOACK", is_group);
    }
    call_error_syntax(c);
    return false;
}

static bool parse_read(struct call *c, struct read_options *o, bool is_group)
{
    *o = (struct read_options){.block_ms = -1};
    for (uint32_t i = 1; i < c->argc && o->streams_at == 0; i++) {
        if (slice_is(c->argv[i], "streams") && i + 1 < c->argc) {
            o->streams_at = i + 1;
            o->streams = (c->argc - i - 1) / 2;
        } else if (!parse_option(c, &i, o, is_group)) {
            return false;
        }
    }
    if (o->streams_at == 0) {
        call_error_syntax(c);
        return false;
    }
    if ((c->argc - o->streams_at) % 2 != 0) {
        reply_error(c->out, "ERR Unbalanced XREAD list of streams: for each stream key an ID or "
                            "'$' must be specified.");
        return false;
    }
    if (is_group && !o->has_group) {
        reply_error(c->out, "ERR Missing GROUP option for XREADGROUP");
        return false;
    }
    assert((c->flags & CALL_SERVING) ||
           (c->nkeys == o->streams && c->keys[0].arg == o->streams_at));
    return true;
}

static bool refuse_in_xreadgroup(struct call *c, const char *id)
{
    reply_errorf(c->out, "ERR The %s ID is meaningless in the context of XREADGROUP: you want to "
                         "read the history of this consumer by specifying a proper ID, or use the "
                         "> ID to get new messages. The %s ID would just return an empty result "
                         "set.", id, id);
    return false;
}

static bool parse_source_id(struct call *c, uint32_t i, struct source *src, bool is_group)
{
    const struct slice arg = c->argv[i];
    if (slice_is(arg, "$")) {
        src->after = src->s ? src->s->last_id : STREAM_ID_MIN;
        return !is_group || refuse_in_xreadgroup(c, "$");
    }
    if (slice_is(arg, "+")) {
        src->last = true;
        return !is_group || refuse_in_xreadgroup(c, "+");
    }
    if (slice_is(arg, ">")) {
        if (!is_group) {
            reply_error(c->out, "ERR The > ID can be specified only when calling XREADGROUP using "
                                "the GROUP <group> <consumer> option.");
        }
        src->fresh = true;
        return is_group;
    }
    if (!stream__arg_id(c, i, &src->after)) {
        return false;
    }
    /* The last of all ids is how Redis writes down ">". */
    src->fresh = is_group && stream_id_compare(src->after, STREAM_ID_MAX) == 0;
    return true;
}

static bool find_source(struct call *c, uint32_t i, const struct read_options *o, bool is_group,
                        struct source *src)
{
    bool bad = false;
    *src = (struct source){0};
    src->s = is_group ? stream__write(c, &c->keys[i], &bad) : stream__read(c, &c->keys[i], &bad);
    if (bad) {
        return false;
    }
    if (is_group) {
        src->g = stream__group(src->s, o->group);
        if (!src->g) {
            reply_errorf(c->out, "NOGROUP No such key '%.*s' or consumer group '%.*s' in "
                                 "XREADGROUP with GROUP option", (int)c->keys[i].len, c->keys[i].ptr,
                         (int)o->group.len, o->group.ptr);
            return false;
        }
    }
    return parse_source_id(c, o->streams_at + o->streams + i, src, is_group);
}

/* --- delivery --- */

/* Entries behind an id, until the end; with a group they become the consumer's. */
static void reply_entries(struct call *c, const struct source *src, const struct read_options *o,
                          struct stream_consumer *consumer)
{
    struct stream_iter it;
    struct stream_id from = src->fresh ? src->g->last_id : src->after;
    struct reply_mark mark = reply_deferred(c->out);
    int64_t count = 0;
    stream_id_next(&from);
    stream_iter_init(&it, src->s, from, STREAM_ID_MAX, false);
    while ((o->count == 0 || count < o->count) && stream_iter_next(&it)) {
        const struct stream_id id = it.entry.id;
        if (src->g && stream_id_compare(id, src->g->last_id) > 0) {
            stream_group_advance(src->s, src->g, id);
        }
        stream__reply_entry(c->out, &it);
        if (src->g && !o->noack) {
            stream_group_deliver(src->g, consumer, id, c->now_ms);
            consumer->active_ms = c->now_ms;
        }
        count++;
    }
    reply_deferred_array(c->out, mark, (size_t)count);
}

static void reply_last(struct call *c, const struct source *src)
{
    struct stream_iter it;
    stream_iter_init(&it, src->s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    const bool found = stream_iter_next(&it);
    reply_array(c->out, found);
    if (found) {
        stream__reply_entry(c->out, &it);
    }
}

/* What is pending for the consumer already; deleted entries have no fields any more. */
static void reply_history(struct call *c, const struct source *src, const struct read_options *o,
                          struct stream_consumer *consumer)
{
    struct stream_id from = src->after;
    struct idtree_at at;
    struct reply_mark mark = reply_deferred(c->out);
    int64_t count = 0;
    stream_id_next(&from);
    for (const struct idtree_item *item = idtree_not_below(&consumer->pel, from, &at);
         item && (o->count == 0 || count < o->count); item = idtree_next(&at)) {
        if (stream__reply_one(c->out, src->s, item->id)) {
            struct stream_nack *nack = item->value;
            nack->delivered_ms = c->now_ms;
            nack->deliveries++;
        } else {
            reply_array(c->out, 2);
            stream__reply_id(c->out, item->id);
            reply_null_array(c->out);
        }
        count++;
    }
    reply_deferred_array(c->out, mark, (size_t)count);
}

static bool has_something(const struct source *src)
{
    if (src->g && !src->fresh) {
        return true; /* history, maybe an empty one */
    }
    if (src->s->length == 0) {
        return false;
    }
    return src->last || stream_id_compare(stream_last_live(src->s),
                                          src->g ? src->g->last_id : src->after) > 0;
}

/* True when the stream is part of the reply. */
static bool deliver(struct call *c, const struct key *k, const struct source *src,
                    const struct read_options *o, struct reply_mark *mark, bool first)
{
    struct stream_consumer *consumer = NULL;
    if (!src->s) {
        return false;
    }
    if (src->g) {
        consumer = stream__consumer(c, k, src->g, o->consumer);
    }
    if (!has_something(src)) {
        return false;
    }
    if (first) {
        *mark = reply_deferred(c->out);
    }
    if (c->out->resp == 2) {
        reply_array(c->out, 2);
    }
    reply_bulk(c->out, k->ptr, k->len);
    if (src->g && !src->fresh) {
        reply_history(c, src, o, consumer);
    } else if (src->last) {
        reply_last(c, src);
    } else {
        reply_entries(c, src, o, consumer);
    }
    stream__groups_changed(c, k, src->g != NULL);
    return true;
}

/* --- waiting --- */

enum { SERVED_COUNT_DEFAULT = 1000 }; /* who waited and gave no COUNT gets no more at once */

bool stream__xread_may_wait(const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 1; i + 1 < argc && !slice_is(argv[i], "streams"); i++) {
        if (slice_is(argv[i], "block")) {
            return true;
        }
    }
    return false;
}

/* What the stream numbered i was asked for. */
struct remembered {
    struct stream_id after;
    bool last;
};

static void wait_for_entries(struct call *c, const struct read_options *o,
                             const struct source *sources, bool is_group)
{
    struct remembered *memo = mem_alloc(o->streams * sizeof memo[0]);
    for (uint32_t i = 0; i < o->streams; i++) {
        memo[i] = (struct remembered){sources[i].after, sources[i].last};
    }
    call_block(c, is_group ? WAIT_GROUP : WAIT_STREAM, c->nkeys, o->block_ms, memo);
}

/* The group of a consumer that waits; false (answered) when there is none any more. */
static bool find_group_again(struct call *c, const struct read_options *o, bool is_stream,
                             struct source *src)
{
    src->fresh = true;
    src->g = is_stream ? stream__group(src->s, o->group) : NULL;
    if (src->g) {
        return true;
    }
    if (call_claim(c)) {
        reply_error(c->out, is_stream ? "NOGROUP the consumer group this client was blocked on no "
                                        "longer exists"
                                      : "UNBLOCKED the stream key no longer exists");
    }
    return false;
}

/* One key may have got something new. */
static void serve_stream(struct call *c, struct read_options *o, bool is_group)
{
    const struct key *k = &c->keys[0];
    const struct remembered *memo = c->wait->memo;
    const struct entry *e = key_peek(c, k);
    const bool is_stream = e && e->type == TYPE_STREAM;
    memo += k->arg - o->streams_at;
    struct source src = {.s = is_stream ? entry_object(e) : NULL, .after = memo->after,
                         .last = memo->last};
    if (is_group && !find_group_again(c, o, is_stream, &src)) {
        return;
    }
    if (!is_stream || !has_something(&src)) {
        call_block(c, is_group ? WAIT_GROUP : WAIT_STREAM, 1, 0, NULL);
        return;
    }
    if (!call_claim(c)) {
        return;
    }
    o->count = o->count == 0 ? SERVED_COUNT_DEFAULT : o->count;
    struct reply_mark mark = {0};
    deliver(c, k, &src, o, &mark, true);
    if (c->out->resp == 2) {
        reply_deferred_array(c->out, mark, 1);
    } else {
        reply_deferred_map(c->out, mark, 1);
    }
}

static void read_streams(struct call *c, bool is_group)
{
    struct read_options o;
    if (!parse_read(c, &o, is_group)) {
        return;
    }
    if (c->flags & CALL_SERVING) {
        serve_stream(c, &o, is_group);
        return;
    }
    struct source *sources = mem_alloc(o.streams * sizeof sources[0]);
    bool good = true;
    for (uint32_t i = 0; i < o.streams && good; i++) {
        good = find_source(c, i, &o, is_group, &sources[i]);
    }
    struct reply_mark mark = {0};
    size_t delivered = 0;
    for (uint32_t i = 0; i < o.streams && good; i++) {
        delivered += deliver(c, &c->keys[i], &sources[i], &o, &mark, delivered == 0);
    }
    const bool waits = good && delivered == 0 && o.block_ms >= 0 && call_may_block(c);
    if (waits) {
        wait_for_entries(c, &o, sources, is_group);
    }
    mem_free(sources);
    if (!good || waits) {
        return;
    }
    if (delivered == 0) {
        reply_null_array(c->out);
    } else if (c->out->resp == 2) {
        reply_deferred_array(c->out, mark, delivered);
    } else {
        reply_deferred_map(c->out, mark, delivered);
    }
}

void stream__xread(struct call *c)
{
    read_streams(c, false);
}

void stream__xreadgroup(struct call *c)
{
    read_streams(c, true);
}
