/* cmd_stream_group.c - XGROUP: consumer groups and their consumers. */
#include "core/cmd_stream.h"

struct stream_group *stream__group(const struct stream *s, struct slice name)
{
    return s ? stream_names_find(&s->groups, name, NULL) : NULL;
}

static struct stream_consumer *add_consumer(struct call *c, const struct key *k,
                                            struct stream_group *g, struct slice name)
{
    struct stream_consumer *consumer = stream_group_add_consumer(g, name, c->now_ms);
    if (consumer) {
        stream__groups_changed(c, k, 1);
        key_event(c, EVENT_STREAM, "xgroup-createconsumer", k);
    }
    return consumer;
}

struct stream_consumer *stream__consumer(struct call *c, const struct key *k,
                                         struct stream_group *g, struct slice name)
{
    struct stream_consumer *consumer = stream_group_consumer(g, name);
    if (!consumer) {
        consumer = add_consumer(c, k, g, name);
    }
    consumer->seen_ms = c->now_ms;
    return consumer;
}

static void error_no_group(struct call *c)
{
    reply_errorf(c->out, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                 (int)c->argv[3].len, c->argv[3].ptr, (int)c->argv[2].len, c->argv[2].ptr);
}

static void error_no_stream(struct call *c)
{
    reply_error(c->out, "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE "
                        "you may want to use the MKSTREAM option to create an empty stream "
                        "automatically.");
}

/* The stream; replies and returns NULL when there is none. */
static struct stream *find_stream(struct call *c)
{
    bool bad = false;
    struct stream *s = stream__write(c, &c->keys[0], &bad);
    if (!s && !bad) {
        error_no_stream(c);
    }
    return s;
}

/* The group of argv[3] likewise; *s is its stream. */
static struct stream_group *find_group(struct call *c, struct stream **s)
{
    *s = find_stream(c);
    struct stream_group *g = stream__group(*s, c->argv[3]);
    if (*s && !g) {
        error_no_group(c);
    }
    return g;
}

/* --- XGROUP CREATE, SETID --- */

struct group_options {
    int64_t entries_read;
    bool mkstream;
};

static bool parse_group_options(struct call *c, struct group_options *o, bool creating)
{
    *o = (struct group_options){.entries_read = STREAM_READ_UNKNOWN};
    for (uint32_t i = 5; i < c->argc; i++) {
        if (creating && slice_is(c->argv[i], "mkstream")) {
            o->mkstream = true;
        } else if (slice_is(c->argv[i], "entriesread") && i + 1 < c->argc) {
            if (!call_arg_int(c, ++i, &o->entries_read)) {
                return false;
            }
            if (o->entries_read < 0 && o->entries_read != STREAM_READ_UNKNOWN) {
                reply_error(c->out, "ERR value for ENTRIESREAD must be positive or -1");
                return false;
            }
        } else {
            call_error_subcommand_args(c);
            return false;
        }
    }
    return true;
}

void stream__xgroup_create(struct call *c)
{
    enum { WORDS_MAX = 8 };
    const struct key *k = &c->keys[0];
    struct group_options o;
    if (!parse_group_options(c, &o, true)) {
        return;
    }
    bool bad = false;
    struct stream *s = stream__write(c, k, &bad);
    if (bad) {
        return;
    }
    if (!s && !o.mkstream) {
        error_no_stream(c);
        return;
    }
    if (c->argc > WORDS_MAX) {
        call_error_subcommand_args(c);
        return;
    }
    struct stream_id id = s ? s->last_id : STREAM_ID_MIN;
    if (!slice_is(c->argv[4], "$") && !stream__arg_id(c, 4, &id)) {
        return;
    }
    if (!s) {
        s = stream_new();
        key_set_object(c, k, NULL, TYPE_STREAM, ENC_TREE, s, false);
        key_modified(c, k, 0);
    }
    if (!stream_groups_add(&s->groups, c->argv[3], id, o.entries_read)) {
        reply_error(c->out, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    reply_ok(c->out);
    stream__groups_changed(c, k, 1);
    key_event(c, EVENT_STREAM, "xgroup-create", k);
}

void stream__xgroup_setid(struct call *c)
{
    struct group_options o;
    struct stream *s;
    if (!parse_group_options(c, &o, false)) {
        return;
    }
    struct stream_group *g = find_group(c, &s);
    if (!g) {
        return;
    }
    if (c->argc != 5 && c->argc != 7) {
        call_error_subcommand_args(c);
        return;
    }
    struct stream_id id = s->last_id;
    if (!slice_is(c->argv[4], "$") && !stream__parse_id(c->argv[4], 0, false, &id, NULL)) {
        stream__error_id(c);
        return;
    }
    g->last_id = id;
    g->entries_read = o.entries_read;
    reply_ok(c->out);
    stream__groups_changed(c, &c->keys[0], 1);
    key_event(c, EVENT_STREAM, "xgroup-setid", &c->keys[0]);
}

/* --- XGROUP DESTROY, CREATECONSUMER, DELCONSUMER --- */

void stream__xgroup_destroy(struct call *c)
{
    struct stream *s = find_stream(c);
    if (!s) {
        return;
    }
    struct stream_group *g = stream__group(s, c->argv[3]);
    if (g) {
        stream_groups_take(&s->groups, g);
        key_release(c, &c->keys[0], TYPE_STREAM, ENC_TREE, stream_of_group(g));
        stream__groups_changed(c, &c->keys[0], 1);
        key_event(c, EVENT_STREAM, "xgroup-destroy", &c->keys[0]);
        key_ready(c, &c->keys[0]);
    }
    reply_int(c->out, g != NULL);
}

void stream__xgroup_createconsumer(struct call *c)
{
    struct stream *s;
    struct stream_group *g = find_group(c, &s);
    if (g) {
        reply_int(c->out, add_consumer(c, &c->keys[0], g, c->argv[4]) != NULL);
    }
}

void stream__xgroup_delconsumer(struct call *c)
{
    struct stream *s;
    struct stream_group *g = find_group(c, &s);
    if (!g) {
        return;
    }
    struct stream_consumer *consumer = stream_group_consumer(g, c->argv[4]);
    int64_t pending = 0;
    if (consumer) {
        pending = (int64_t)consumer->pel.count;
        stream_group_remove_consumer(g, consumer);
        stream__groups_changed(c, &c->keys[0], 1);
        key_event(c, EVENT_STREAM, "xgroup-delconsumer", &c->keys[0]);
    }
    reply_int(c->out, pending);
}

void stream__xgroup_help(struct call *c)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Make a consumer group. Options:",
        "    * MKSTREAM",
        "      Make an empty stream if there is none.",
        "    * ENTRIESREAD entries_read",
        "      Start the group's counter of entries read (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Make a consumer in a group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Delete a consumer.",
        "DESTROY <key> <groupname>",
        "    Delete a group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set where a group stands, and its counter of entries read.",
        NULL,
    };
    call_help(c, lines);
}
