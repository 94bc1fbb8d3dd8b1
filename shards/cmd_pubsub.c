/* cmd_pubsub.c - the commands of Pub/Sub: what runs on the owners of channels, and the rows.
 *
 * SUBSCRIBE and the like are taken in by subscribe.c, which also has their parts. Everything else
 * here has its channels as ordinary commands have their keys (ROUTE_CHANNELS), or asks all shards.
 */
#include "core/glob.h"
#include "core/hash.h"
#include "shards/commands.h"
#include "shards/pubsub.h"
#include "shards/shard.h"

/* Called from inside of another command (a script), the channel may belong to another shard. Then
 * the message is forwarded, and its receivers there are not counted. */
static uint64_t publish_elsewhere(struct shard *s, enum subscription_kind kind,
                                  struct slice channel, uint64_t hash, struct slice payload)
{
    pubsub_publish_channel(s, kind, channel, hash, payload);
    return kind == SUB_CHANNEL ? pubsub_publish_patterns(s, channel, payload) : 0;
}

static void publish(struct call *c, enum subscription_kind kind)
{
    struct shard *s = c->host;
    struct slice channel = c->argv[1], payload = c->argv[2];
    bool routed = c->nkeys > 0;
    uint64_t hash = routed ? c->keys[0].hash : hash_bytes(channel.ptr, channel.len);
    unsigned owner = routed ? c->keys[0].shard
                            : s->server->slot_shard[hash_slot(channel.ptr, channel.len)];
    uint64_t receivers = owner == s->id ? pubsub_publish(s, kind, channel, hash, payload)
                                        : publish_elsewhere(s, kind, channel, hash, payload);
    reply_int(c->out, (int64_t)receivers);
}

static void run_publish(struct call *c)
{
    publish(c, SUB_CHANNEL);
}

static void run_spublish(struct call *c)
{
    publish(c, SUB_SHARD_CHANNEL);
}

/* --- PUBSUB ---------------------------------------------------------------------------------- */

struct channel_list {
    struct call *call;
    const struct slice *pattern; /* NULL: all */
};

static void list_channel(struct lookup_node *node, void *ctx)
{
    struct channel_list *list = ctx;
    const struct topic *topic = topic_of(node);
    struct slice name = slice_of(topic->name, topic->name_len);
    if (list->pattern == NULL || glob_match(*list->pattern, name, false)) {
        reply_bulk(list->call->out, name.ptr, name.len);
        call_mark(list->call);
    }
}

static void list_channels(struct call *c, enum subscription_kind kind)
{
    const struct shard *s = c->host;
    if (c->argc > 3) {
        call_error_subcommand_args(c);
        return;
    }
    struct channel_list list = {c, c->argc == 3 ? &c->argv[2] : NULL};
    lookup_each(&s->pubsub->topics[kind], list_channel, &list);
}

static void run_channels(struct call *c)
{
    list_channels(c, SUB_CHANNEL);
}

static void run_shardchannels(struct call *c)
{
    list_channels(c, SUB_SHARD_CHANNEL);
}

static void count_subscribers(struct call *c, enum subscription_kind kind)
{
    const struct shard *s = c->host;
    if (!(c->flags & CALL_PART)) {
        reply_array(c->out, 2 * (size_t)c->nkeys);
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        const struct key *k = &c->keys[i];
        struct slice channel = slice_of(k->ptr, k->len);
        reply_bulk(c->out, k->ptr, k->len);
        reply_int(c->out, (int64_t)pubsub_subscribers(s, kind, channel, k->hash));
        call_mark(c);
    }
}

static void run_numsub(struct call *c)
{
    count_subscribers(c, SUB_CHANNEL);
}

static void run_shardnumsub(struct call *c)
{
    count_subscribers(c, SUB_SHARD_CHANNEL);
}

static void run_numpat(struct call *c)
{
    const struct shard *s = c->host; /* every shard knows all patterns */
    reply_int(c->out, s->pubsub->topics[SUB_PATTERN].count);
}

static void run_help(struct call *c)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    The channels that have subscribers, or those that match the pattern.",
        "NUMPAT",
        "    The number of patterns that have subscribers.",
        "NUMSUB [<channel> ...]",
        "    The number of subscribers of each channel, those of patterns not counted.",
        "SHARDCHANNELS [<pattern>]",
        "    The shard channels that have subscribers, or those that match the pattern.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    The number of subscribers of each shard channel.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows ------------------------------------------------------------------------------------ */

enum {
    ANY_TIME = CMD_LOADING | CMD_STALE,
    PUBSUB = CMD_PUBSUB | ANY_TIME,
    LISTEN = PUBSUB | CMD_NOSCRIPT | CMD_SUBSCRIBER,
    SEND = PUBSUB | CMD_FAST | CMD_MAY_REPLICATE,
};
#define NOT_KEYS(last_) {{.flags = KEY_NOT_KEY, KEYS_AT(1, last_, 1)}}

static const struct command_arg channel_args[] = {
    {.name = "channel", .type = ARG_STRING, .flags = ARG_MULTIPLE},
    {0},
};
static const struct command_arg channel_opt_args[] = {
    {.name = "channel", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg shardchannel_args[] = {
    {.name = "shardchannel", .type = ARG_STRING, .flags = ARG_MULTIPLE},
    {0},
};
static const struct command_arg shardchannel_opt_args[] = {
    {.name = "shardchannel", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg pattern_inner[] = {
    {.name = "pattern", .type = ARG_PATTERN},
    {0},
};
static const struct command_arg pattern_args[] = {
    {.name = "pattern", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = pattern_inner},
    {0},
};
static const struct command_arg patterns_opt_args[] = {
    {.name = "pattern", .type = ARG_PATTERN, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg pattern_opt_args[] = {
    {.name = "pattern", .type = ARG_PATTERN, .flags = ARG_OPTIONAL},
    {0},
};
static const struct command_arg publish_args[] = {
    {.name = "channel", .type = ARG_STRING},
    {.name = "message", .type = ARG_STRING},
    {0},
};
static const struct command_arg spublish_args[] = {
    {.name = "shardchannel", .type = ARG_STRING},
    {.name = "message", .type = ARG_STRING},
    {0},
};

static const struct command pubsub_subcommands[] = {
    {
        .name = "channels", .run = run_channels, .arity = -2, .route = ROUTE_ALL,
        .apart = APART_CONCAT, .flags = PUBSUB, .group = "pubsub", .since = "2.8.0",
        .summary = "Lists the channels that have subscribers.",
        .complexity = "O(N), N being the number of channels",
        .args = pattern_opt_args,
    },
    {
        .name = "help", .run = run_help, .arity = 2, .route = ROUTE_HOME, .flags = ANY_TIME,
        .group = "pubsub", .since = "6.2.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        .name = "numpat", .run = run_numpat, .arity = 2, .route = ROUTE_KEYS, .flags = PUBSUB,
        .group = "pubsub", .since = "2.8.0",
        .summary = "Counts the patterns that have subscribers.", .complexity = "O(1)",
    },
    {
        .name = "numsub", .run = run_numsub, .arity = -2, .route = ROUTE_CHANNELS,
        .apart = APART_EACH_PAIR, .flags = PUBSUB, .group = "pubsub", .since = "2.8.0",
        .summary = "Counts the subscribers of channels.",
        .complexity = "O(N), N being the number of channels asked about",
        .args = channel_opt_args,
    },
    {
        .name = "shardchannels", .run = run_shardchannels, .arity = -2, .route = ROUTE_ALL,
        .apart = APART_CONCAT, .flags = PUBSUB, .group = "pubsub", .since = "7.0.0",
        .summary = "Lists the shard channels that have subscribers.",
        .complexity = "O(N), N being the number of shard channels",
        .args = pattern_opt_args,
    },
    {
        .name = "shardnumsub", .run = run_shardnumsub, .arity = -2, .route = ROUTE_CHANNELS,
        .apart = APART_EACH_PAIR, .flags = PUBSUB, .group = "pubsub", .since = "7.0.0",
        .summary = "Counts the subscribers of shard channels.",
        .complexity = "O(N), N being the number of shard channels asked about",
        .args = shardchannel_opt_args,
    },
    {0},
};

const struct command pubsub_commands[] = {
    {
        .name = "psubscribe", .run = subscribe__psubscribe, .arity = -2, .route = ROUTE_SUBSCRIBE,
        .apart = APART_MADE, .flags = LISTEN | CMD_SENTINEL,
        .group = "pubsub", .since = "2.0.0",
        .summary = "Listens to all channels whose names match patterns.",
        .complexity = "O(N), N being the number of patterns",
        .args = pattern_args,
    },
    {
        .name = "publish", .run = run_publish, .arity = 3, .route = ROUTE_CHANNELS,
        .flags = SEND | CMD_SENTINEL, .group = "pubsub", .since = "2.0.0",
        .summary = "Sends a message to a channel.",
        .complexity = "O(N+M), N being the number of receivers, M that of all patterns",
        .args = publish_args,
    },
    {
        .name = "pubsub", .arity = -2, .subcommands = pubsub_subcommands,
        .group = "pubsub", .since = "2.8.0",
        .summary = "Commands about Pub/Sub.", .complexity = "Depends on the subcommand.",
    },
    {
        .name = "punsubscribe", .run = subscribe__punsubscribe, .arity = -1,
        .route = ROUTE_SUBSCRIBE, .apart = APART_MADE, .flags = LISTEN | CMD_SENTINEL,
        .group = "pubsub", .since = "2.0.0",
        .summary = "Stops listening to patterns, or to all patterns.",
        .complexity = "O(N), N being the number of patterns",
        .args = patterns_opt_args,
    },
    {
        .name = "spublish", .run = run_spublish, .arity = 3, .route = ROUTE_CHANNELS,
        .flags = SEND, .keys = NOT_KEYS(0), .group = "pubsub", .since = "7.0.0",
        .summary = "Sends a message to a shard channel.",
        .complexity = "O(N), N being the number of receivers",
        .args = spublish_args,
    },
    {
        .name = "ssubscribe", .run = subscribe__ssubscribe, .arity = -2, .route = ROUTE_SUBSCRIBE,
        .apart = APART_MADE, .flags = LISTEN, .keys = NOT_KEYS(-1),
        .group = "pubsub", .since = "7.0.0",
        .summary = "Listens to shard channels.",
        .complexity = "O(N), N being the number of shard channels",
        .args = shardchannel_args,
    },
    {
        .name = "subscribe", .run = subscribe__subscribe, .arity = -2, .route = ROUTE_SUBSCRIBE,
        .apart = APART_MADE, .flags = LISTEN | CMD_SENTINEL,
        .group = "pubsub", .since = "2.0.0",
        .summary = "Listens to channels.",
        .complexity = "O(N), N being the number of channels",
        .args = channel_args,
    },
    {
        .name = "sunsubscribe", .run = subscribe__sunsubscribe, .arity = -1,
        .route = ROUTE_SUBSCRIBE, .apart = APART_MADE, .flags = LISTEN, .keys = NOT_KEYS(-1),
        .group = "pubsub", .since = "7.0.0",
        .summary = "Stops listening to shard channels, or to all of them.",
        .complexity = "O(N), N being the number of shard channels",
        .args = shardchannel_opt_args,
    },
    {
        .name = "unsubscribe", .run = subscribe__unsubscribe, .arity = -1,
        .route = ROUTE_SUBSCRIBE, .apart = APART_MADE, .flags = LISTEN | CMD_SENTINEL,
        .group = "pubsub", .since = "2.0.0",
        .summary = "Stops listening to channels, or to all channels.",
        .complexity = "O(N), N being the number of channels",
        .args = channel_opt_args,
    },
    {0},
};
