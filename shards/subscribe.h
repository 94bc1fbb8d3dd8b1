/* subscribe.h - the home's side of Pub/Sub: what a connection is subscribed to.
 *
 *   SUBSCRIBE a b ─► subscribe_route(): changes the connection's set, writes the confirmations
 *                        │                                                        │
 *                        └► a part on the owner of a, one on b's ─► all back ────►└► output
 *
 * The set changes when the command is taken in, in the connection's order, so the running counts
 * of the confirmations are known at once; they are written into the group (struct group, made) and
 * leave in the connection's order when every shard concerned has done its part. Patterns concern
 * every shard. SUBSCRIBE is thus one command with one place in the order, like MSET; PUBLISH is a
 * command with one key.
 *
 * A subscription is a struct of the home that the owning shards know by its address:
 *
 *   ACTIVE ──UNSUBSCRIBE, RESET: out of the set──► LEAVING ──the group is back──► freed
 *     └──the connection is gone, nothing in flight: subscribe_end() tells the owners──► freed
 *
 * I1  A subscription is freed only after every shard that keeps it has taken it out and said so:
 *     by then no delivery that refers to it is on its way (push.h I2).
 * I2  Its connection outlives it: conn_release() waits for subscribe_end().
 * I3  A message never precedes the confirmation of its subscription (confirmed_at; push.h I3), and
 *     none follows that of the unsubscription.
 * I4  What a connection may do as a RESP2 subscriber is judged by the set as its earlier commands
 *     leave it, answered or not.
 *
 * Limits: the set changes before the parts run. That is right for commands that cannot fail; a
 * transaction that may be given up (WATCH) takes them in after it is decided (multi.c).
 */
#ifndef ASHLAR_SHARDS_SUBSCRIBE_H
#define ASHLAR_SHARDS_SUBSCRIBE_H

#include "core/command.h"
#include "proto/slice.h"
#include "shards/lookup.h"
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct group;
struct shard;

enum subscription_kind { SUB_CHANNEL, SUB_PATTERN, SUB_SHARD_CHANNEL, SUB_KINDS };

struct subscription {
    /* fixed; read by the owning shards */
    struct conn *conn;
    char *name;
    uint64_t hash;  /* hash_bytes() of the name */
    uint32_t name_len;
    uint16_t home;
    uint16_t shard; /* that keeps the channel; of a pattern: all do */
    uint8_t kind;
    /* home */
    struct lookup_node node;          /* in the connection's set */
    struct subscription *next, *prev; /* those of this kind, oldest first */
    uint64_t confirmed_at;            /* when so many of the connection's commands are answered */
    /* its place among the receivers: written by the shard that keeps it; of a pattern: one each */
    uint32_t at[];
};

/* What a connection is subscribed to; made by its first SUBSCRIBE. */
struct subscriber {
    struct lookup set;
    struct {
        struct subscription *first, *last;
        uint32_t count;
    } kinds[SUB_KINDS];
    size_t bytes;      /* of the subscriptions */
    uint32_t leaving;  /* shards that have not answered yet (subscribe_end) */
};

static inline struct slice subscription_name(const struct subscription *sub)
{
    return slice_of(sub->name, sub->name_len);
}

/* Takes in (P|S)(UN)SUBSCRIBE. During a phase (route.h). */
void subscribe_route(struct shard *s, struct conn *conn, const struct command *cmd,
                     const struct slice *argv, uint32_t argc);
/* Takes in RESET on a connection that has subscriptions: reset() does the rest of it. */
void subscribe_route_reset(struct shard *s, struct conn *conn, const struct command *cmd,
                           const struct slice *argv, uint32_t argc);
/* All parts are back: writes the confirmations, frees what has left. */
void subscribe_group_done(struct conn *conn, struct group *group);
/* The connection is closed and nothing of it is in flight. False while shards still know its
 * subscriptions: conn_drain() is called when they do not any more. */
bool subscribe_end(struct conn *conn);

bool conn_subscribed(const struct conn *conn);
uint32_t conn_subscriptions(const struct conn *conn, enum subscription_kind kind);
size_t subscribe_memory(const struct conn *conn);

/* --- run functions of the rows (cmd_pubsub.c): a command's part on an owning shard --- */
command_run subscribe__subscribe, subscribe__psubscribe, subscribe__ssubscribe;
command_run subscribe__unsubscribe, subscribe__punsubscribe, subscribe__sunsubscribe;

#endif
