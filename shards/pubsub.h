/* pubsub.h - the owner's side of Pub/Sub: who receives what is published.
 *
 *                       owner of hash_slot(channel)                      home shards
 *   PUBLISH c m ──────► topic c ─► home 0: receivers [sub sub sub] ────► push ─► 3 outputs
 *   (one-key command)          └─► home 2: receivers [sub]         ────► push ─► 1 output
 *                       pattern c* ─► home 1: receivers [sub]      ────► push ─► 1 output
 *
 * The shard that owns a channel's slot keeps the channel's subscribers and orders its messages:
 * PUBLISH is executed there like a command with one key, counts the receivers, and sends one
 * delivery (push.h) to each home that has any. Patterns are kept by every shard, so that they are
 * matched where the message is. The cost of PUBLISH grows with the patterns and the receivers, not
 * with the shards. Channels of SSUBSCRIBE are another kind and do not meet patterns.
 *
 * Keyspace events (notify.h) arise where the key is worked on: patterns are matched there, a message
 * for a channel proper is forwarded to the channel's owner.
 *
 * A PUBLISH inside of another command is forwarded in the same way if its channel belongs to a
 * third shard.
 *
 * I1  All subscribers of a channel see its messages in one order: that in which its owner executed
 *     them (push.h I1).
 * I2  A message goes to exactly those who are subscribed at the PUBLISH's place in the order: to as
 *     many as it replies, unless their connections are closed before it comes.
 * I3  A topic exists while it has subscribers.
 * I4  server->event_topics counts the topics called __key…, server->event_filter those by hash: a
 *     shard on which an event arises forwards it only if somebody may be listening.
 *
 * Owner: the shard's thread.
 */
#ifndef ASHLAR_SHARDS_PUBSUB_H
#define ASHLAR_SHARDS_PUBSUB_H

#include "shards/lookup.h"
#include "shards/push.h"
#include "shards/subscribe.h"
#include <stdint.h>

struct server;
struct shard;

enum { EVENT_FILTER_SIZE = 1024 };

struct audience { /* subscribers of one home */
    struct receivers *to;
    uint16_t home;
};

/* A channel or pattern that somebody is subscribed to. */
struct topic {
    struct lookup_node node;   /* in topics[kind] */
    struct topic *next, *prev; /* patterns: oldest first */
    uint32_t subscribers;
    uint16_t homes, homes_cap;
    struct audience *audience; /* homes of them */
    uint32_t name_len;
    char name[];
};

struct pubsub {
    struct lookup topics[SUB_KINDS];
    struct topic *patterns, *patterns_last;
};

struct pubsub *pubsub_new(void);
void pubsub_free(struct pubsub *p);

void pubsub_add(struct shard *s, struct subscription *sub);
void pubsub_remove(struct shard *s, struct subscription *sub);

/* Publishes to a channel that this shard owns; returns the number of receivers. hash: hash_bytes() of
 * the channel. */
uint64_t pubsub_publish(struct shard *s, enum subscription_kind kind, struct slice channel,
                        uint64_t hash, struct slice payload);
/* Only to patterns, from the shard where it arises. */
uint64_t pubsub_publish_patterns(struct shard *s, struct slice channel, struct slice payload);
/* Only to the channel, on whatever shard owns it. */
void pubsub_publish_channel(struct shard *s, enum subscription_kind kind, struct slice channel,
                            uint64_t hash, struct slice payload);
/* Such a message has come to the owner. */
void pubsub_forwarded(struct shard *s, struct push *push);

/* How many are subscribed to a channel that this shard owns. */
uint64_t pubsub_subscribers(const struct shard *s, enum subscription_kind kind,
                            struct slice channel, uint64_t hash);

static inline struct topic *topic_of(struct lookup_node *node)
{
    return (struct topic *)((char *)node - offsetof(struct topic, node));
}

#endif
