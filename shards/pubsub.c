/* pubsub.c - see pubsub.h. */
#include "shards/pubsub.h"
#include "core/glob.h"
#include "core/hash.h"
#include "core/mem.h"
#include "proto/reply.h"
#include "shards/shard.h"
#include <assert.h>
#include <string.h>

enum { RECEIVERS_CAP_MIN = 2 };
#define EVENT_PREFIX "__key"

struct pubsub *pubsub_new(void)
{
    return mem_alloc_zero(sizeof(struct pubsub));
}

void pubsub_free(struct pubsub *p)
{
    for (int kind = 0; kind < SUB_KINDS; kind++) {
        lookup_free(&p->topics[kind]);
    }
    mem_free(p);
}

/* --- topics ---------------------------------------------------------------------------------- */

static struct topic *topic_find(const struct shard *s, enum subscription_kind kind,
                                struct slice name, uint64_t hash)
{
    const struct lookup *topics = &s->pubsub->topics[kind];
    for (struct lookup_node *n = lookup_first(topics, hash); n != NULL; n = lookup_next(n, hash)) {
        struct topic *topic = topic_of(n);
        if (topic->name_len == name.len && memcmp(topic->name, name.ptr, name.len) == 0) {
            return topic;
        }
    }
    return NULL;
}

static void count_topics(struct shard *s)
{
    const struct pubsub *p = s->pubsub;
    counter_set(&s->stats.pubsub_channels, p->topics[SUB_CHANNEL].count);
    counter_set(&s->stats.pubsub_patterns, p->topics[SUB_PATTERN].count);
    counter_set(&s->stats.pubsub_shard_channels, p->topics[SUB_SHARD_CHANNEL].count);
}

/* I4. by is 1 or -1. */
static void count_event_topic(struct shard *s, enum subscription_kind kind,
                              const struct topic *topic, int32_t by)
{
    const size_t len = sizeof EVENT_PREFIX - 1;
    if (kind == SUB_CHANNEL && topic->name_len >= len &&
        memcmp(topic->name, EVENT_PREFIX, len) == 0) {
        struct server *server = s->server;
        atomic_fetch_add_explicit(&server->event_filter[topic->node.hash % EVENT_FILTER_SIZE], by,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&server->event_topics, by, memory_order_relaxed);
    }
}

static struct topic *topic_new(struct shard *s, enum subscription_kind kind, struct slice name,
                               uint64_t hash)
{
    struct pubsub *p = s->pubsub;
    struct topic *topic = mem_alloc(sizeof *topic + name.len);
    *topic = (struct topic){.name_len = (uint32_t)name.len};
    memcpy(topic->name, name.ptr, name.len);
    lookup_insert(&p->topics[kind], &topic->node, hash);
    if (kind == SUB_PATTERN) {
        topic->prev = p->patterns_last;
        if (p->patterns_last != NULL) {
            p->patterns_last->next = topic;
        } else {
            p->patterns = topic;
        }
        p->patterns_last = topic;
    }
    count_event_topic(s, kind, topic, 1);
    count_topics(s);
    return topic;
}

static void topic_free(struct shard *s, enum subscription_kind kind, struct topic *topic)
{
    struct pubsub *p = s->pubsub;
    count_event_topic(s, kind, topic, -1);
    lookup_remove(&p->topics[kind], &topic->node);
    if (kind == SUB_PATTERN) {
        *(topic->prev != NULL ? &topic->prev->next : &p->patterns) = topic->next;
        *(topic->next != NULL ? &topic->next->prev : &p->patterns_last) = topic->prev;
    }
    mem_free(topic->audience);
    mem_free(topic);
    count_topics(s);
}

/* --- receivers ------------------------------------------------------------------------------- */

static struct receivers *receivers_copy(const struct receivers *from, uint32_t cap)
{
    struct receivers *r = mem_alloc(sizeof *r + cap * sizeof r->subs[0]);
    *r = (struct receivers){.cap = cap};
    atomic_init(&r->refs, 1);
    if (from != NULL) {
        r->count = from->count;
        memcpy(r->subs, from->subs, from->count * sizeof r->subs[0]);
    }
    return r;
}

static uint32_t *place_of(const struct shard *s, struct subscription *sub)
{
    return &sub->at[sub->kind == SUB_PATTERN ? s->id : 0];
}

static struct audience *audience_of(struct topic *topic, uint16_t home)
{
    for (uint16_t i = 0; i < topic->homes; i++) {
        if (topic->audience[i].home == home) {
            return &topic->audience[i];
        }
    }
    return NULL;
}

static struct audience *audience_new(struct topic *topic, uint16_t home)
{
    if (topic->homes == topic->homes_cap) {
        topic->homes_cap = topic->homes_cap > 0 ? (uint16_t)(topic->homes_cap * 2) : 1;
        topic->audience =
            mem_realloc(topic->audience, topic->homes_cap * sizeof *topic->audience);
    }
    struct audience *a = &topic->audience[topic->homes++];
    *a = (struct audience){receivers_copy(NULL, RECEIVERS_CAP_MIN), home};
    return a;
}

void pubsub_add(struct shard *s, struct subscription *sub)
{
    struct slice name = subscription_name(sub);
    struct topic *topic = topic_find(s, sub->kind, name, sub->hash);
    if (topic == NULL) {
        topic = topic_new(s, sub->kind, name, sub->hash);
    }
    struct audience *a = audience_of(topic, sub->home);
    if (a == NULL) {
        a = audience_new(topic, sub->home);
    }
    if (a->to->count == a->to->cap) {
        struct receivers *larger = receivers_copy(a->to, a->to->cap * 2);
        receivers_release(a->to);
        a->to = larger;
    }
    /* Deliveries on their way know how many they concern: what is behind those may be written. */
    *place_of(s, sub) = a->to->count;
    a->to->subs[a->to->count++] = sub;
    topic->subscribers++;
}

void pubsub_remove(struct shard *s, struct subscription *sub)
{
    struct topic *topic = topic_find(s, sub->kind, subscription_name(sub), sub->hash);
    assert(topic != NULL); /* I3 */
    struct audience *a = audience_of(topic, sub->home);
    assert(a != NULL);
    if (atomic_load_explicit(&a->to->refs, memory_order_acquire) > 1) {
        struct receivers *own = receivers_copy(a->to, a->to->cap);
        receivers_release(a->to);
        a->to = own;
    }
    struct receivers *r = a->to;
    uint32_t at = *place_of(s, sub);
    assert(at < r->count && r->subs[at] == sub);
    struct subscription *last = r->subs[--r->count];
    r->subs[at] = last;
    *place_of(s, last) = at;
    if (r->count == 0) {
        receivers_release(r);
        *a = topic->audience[--topic->homes];
    }
    if (--topic->subscribers == 0) {
        topic_free(s, sub->kind, topic);
    }
}

uint64_t pubsub_subscribers(const struct shard *s, enum subscription_kind kind,
                            struct slice channel, uint64_t hash)
{
    const struct topic *topic = topic_find(s, kind, channel, hash);
    return topic != NULL ? topic->subscribers : 0;
}

/* --- publishing ------------------------------------------------------------------------------ */

static char *put_bulk(char *out, struct slice text)
{
    out += reply__format_header(out, '$', (int64_t)text.len);
    memcpy(out, text.ptr, text.len);
    memcpy(out + text.len, "\r\n", 2);
    return out + text.len + 2;
}

/* The word for the kind, the pattern if it is one, channel, payload. */
static struct push *encode(enum subscription_kind kind, struct slice pattern,
                           struct slice channel, struct slice payload)
{
    enum { AROUND = REPLY_HEADER_MAX + 2 };
    static const char *const words[SUB_KINDS] = {"message", "pmessage", "smessage"};
    struct slice word = slice_str(words[kind]);
    size_t room = 4 * AROUND + word.len + pattern.len + channel.len + payload.len;
    struct push *push = push_new(kind == SUB_PATTERN ? 4 : 3, room);
    push->kind = (uint8_t)kind;
    char *out = put_bulk(push->bytes, word);
    if (kind == SUB_PATTERN) {
        out = put_bulk(out, pattern);
    }
    out = put_bulk(out, channel);
    push->channel_len = channel.len;
    push->channel_at = (size_t)(out - push->bytes) - 2 - channel.len;
    out = put_bulk(out, payload);
    push->payload_len = payload.len;
    push->payload_at = (size_t)(out - push->bytes) - 2 - payload.len;
    push->len = (size_t)(out - push->bytes);
    return push;
}

static void send_to_topic(struct shard *s, const struct topic *topic, struct push *push)
{
    for (uint16_t i = 0; i < topic->homes; i++) {
        push_to_receivers(s, topic->audience[i].home, push, topic->audience[i].to);
    }
}

uint64_t pubsub_publish_patterns(struct shard *s, struct slice channel, struct slice payload)
{
    uint64_t receivers = 0;
    for (const struct topic *topic = s->pubsub->patterns; topic != NULL; topic = topic->next) {
        struct slice pattern = slice_of(topic->name, topic->name_len);
        if (!glob_match(pattern, channel, false)) {
            continue;
        }
        struct push *push = encode(SUB_PATTERN, pattern, channel, payload);
        send_to_topic(s, topic, push);
        push_release(push);
        receivers += topic->subscribers;
    }
    return receivers;
}

uint64_t pubsub_publish(struct shard *s, enum subscription_kind kind, struct slice channel,
                        uint64_t hash, struct slice payload)
{
    uint64_t receivers = 0;
    const struct topic *topic = topic_find(s, kind, channel, hash);
    if (topic != NULL) {
        struct push *push = encode(kind, slice_of(NULL, 0), channel, payload);
        send_to_topic(s, topic, push);
        push_release(push);
        receivers = topic->subscribers;
    }
    if (kind == SUB_CHANNEL) {
        receivers += pubsub_publish_patterns(s, channel, payload);
    }
    return receivers;
}

void pubsub_publish_channel(struct shard *s, enum subscription_kind kind, struct slice channel,
                            uint64_t hash, struct slice payload)
{
    unsigned owner = s->server->slot_shard[hash_slot(channel.ptr, channel.len)];
    const struct topic *topic = NULL;
    if (owner == s->id) {
        topic = topic_find(s, kind, channel, hash);
        if (topic == NULL) {
            return;
        }
    }
    struct push *push = encode(kind, slice_of(NULL, 0), channel, payload);
    if (topic != NULL) {
        send_to_topic(s, topic, push);
    } else {
        push_forward(s, owner, push);
    }
    push_release(push);
}

void pubsub_forwarded(struct shard *s, struct push *push)
{
    struct slice channel = slice_of(push->bytes + push->channel_at, push->channel_len);
    const struct topic *topic =
        topic_find(s, push->kind, channel, hash_bytes(channel.ptr, channel.len));
    if (topic != NULL) {
        send_to_topic(s, topic, push);
    }
}
