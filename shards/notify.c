/* notify.c - see notify.h. */
#include "shards/notify.h"
#include "core/hash.h"
#include "core/mem.h"
#include "shards/pubsub.h"
#include "shards/shard.h"
#include <stdio.h>
#include <string.h>

enum {
    CHANNEL_HEAD_MAX = 32,   /* "__keyspace@255__:" and the like */
    CHANNEL_STACK_MAX = 512, /* longer channels are built in allocated memory */
};

static bool may_be_heard(const struct shard *s, uint64_t hash)
{
    return atomic_load_explicit(&s->server->event_filter[hash % EVENT_FILTER_SIZE],
                                memory_order_relaxed) > 0;
}

static void publish(struct shard *s, const char *kind, int db, struct slice about,
                    struct slice payload)
{
    char stack[CHANNEL_STACK_MAX], *channel = stack;
    if (about.len > CHANNEL_STACK_MAX - CHANNEL_HEAD_MAX) {
        channel = mem_alloc(CHANNEL_HEAD_MAX + about.len);
    }
    size_t len = (size_t)snprintf(channel, CHANNEL_HEAD_MAX, "__%s@%d__:", kind, db);
    memcpy(channel + len, about.ptr, about.len);
    struct slice name = slice_of(channel, len + about.len);
    uint64_t hash = hash_bytes(name.ptr, name.len);
    if (may_be_heard(s, hash)) {
        pubsub_publish_channel(s, SUB_CHANNEL, name, hash, payload);
    }
    pubsub_publish_patterns(s, name, payload);
    if (channel != stack) {
        mem_free(channel);
    }
}

void notify_event(struct keyspace *ks, int db, unsigned class, const char *event, struct slice key)
{
    struct shard *s = shard_self; /* not the owner of ks when that is a view */
    (void)class;
    if (s->pubsub->patterns == NULL &&
        atomic_load_explicit(&s->server->event_topics, memory_order_relaxed) == 0) {
        return;
    }
    unsigned flags = (unsigned)ks->settings->notify_keyspace_events;
    if (flags & EVENT_KEYSPACE) {
        publish(s, "keyspace", db, key, slice_str(event));
    }
    if (flags & EVENT_KEYEVENT) {
        publish(s, "keyevent", db, slice_str(event), key);
    }
}
