/* Who receives what (shards/pubsub.h): the topics of one shard, and what it puts into its box. Homes
 * are played by the test: it reads the deliveries from the box. */
#include "core/hash.h"
#include "core/mem.h"
#include "shards/pubsub.h"
#include "shards/shard.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOMES = 3, SUBS = 300, NAMES = 10 };

static struct server server;
static struct shard *s;

static void setup(void)
{
    server.shard_count = HOMES;
    s = mem_alloc_aligned(sizeof *s, 64);
    memset(s, 0, sizeof *s);
    s->server = &server;
    s->id = 1;
    s->pubsub = pubsub_new();
    s->pushes = push_box_new(HOMES);
}

TestSuite(pubsub, .init = setup);

static struct subscription *sub_new(enum subscription_kind kind, const char *name, unsigned home)
{
    size_t len = strlen(name);
    struct subscription *sub = calloc(1, sizeof *sub + HOMES * sizeof sub->at[0] + len);
    sub->kind = (uint8_t)kind;
    sub->home = (uint16_t)home;
    sub->name = (char *)(sub->at + HOMES);
    sub->name_len = (uint32_t)len;
    memcpy(sub->name, name, len);
    sub->hash = hash_bytes(name, len);
    return sub;
}

static uint64_t publish(enum subscription_kind kind, const char *channel, const char *payload)
{
    return pubsub_publish(s, kind, slice_str(channel), hash_bytes(channel, strlen(channel)),
                          slice_str(payload));
}

static void release(struct delivery *d)
{
    push_release(d->push);
    if (d->to != NULL) {
        receivers_release(d->to);
    }
    mem_free(d);
}

/* The deliveries for a home, taken out of the box. */
static struct delivery *box_take(unsigned home)
{
    struct delivery *first = s->pushes->chains[home].first;
    s->pushes->chains[home] = (struct delivery_chain){NULL, NULL};
    return first;
}

static void box_drop(void)
{
    for (unsigned home = 0; home < HOMES; home++) {
        for (struct delivery *d = box_take(home), *next; d != NULL; d = next) {
            next = d->next;
            release(d);
        }
    }
    s->pushes->count = 0;
}

static uint32_t receivers_in_box(void)
{
    uint32_t n = 0;
    for (unsigned home = 0; home < HOMES; home++) {
        for (const struct delivery *d = s->pushes->chains[home].first; d != NULL; d = d->next) {
            for (uint32_t i = 0; i < d->count; i++) {
                cr_assert_eq(d->to->subs[i]->home, home);
            }
            n += d->count;
        }
    }
    return n;
}

Test(pubsub, one_delivery_per_home_concerned_with_the_message_encoded_once)
{
    struct subscription *a = sub_new(SUB_CHANNEL, "c", 0), *b = sub_new(SUB_CHANNEL, "c", 0);
    struct subscription *far = sub_new(SUB_CHANNEL, "c", 2), *other = sub_new(SUB_CHANNEL, "d", 1);
    pubsub_add(s, a);
    pubsub_add(s, b);
    pubsub_add(s, far);
    pubsub_add(s, other);
    cr_assert_eq(publish(SUB_CHANNEL, "c", "hello"), 3);
    cr_assert_eq(publish(SUB_SHARD_CHANNEL, "c", "hello"), 0);
    cr_assert_eq(s->pushes->count, 2);
    struct delivery *near = box_take(0), *distant = box_take(2);
    cr_assert_eq(near->count, 2);
    cr_assert_eq(distant->count, 1);
    cr_assert_eq(near->push, distant->push);
    cr_assert_null(near->next);
    static const char want[] = "$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n";
    cr_assert_eq(near->push->elements, 3);
    cr_assert_eq(near->push->len, sizeof want - 1);
    cr_assert_arr_eq(near->push->bytes, want, sizeof want - 1);
    release(near);
    release(distant);
}

Test(pubsub, what_is_on_its_way_is_not_changed_by_who_comes_and_goes)
{
    struct subscription *subs[9];
    for (int i = 0; i < 9; i++) {
        subs[i] = sub_new(SUB_CHANNEL, "c", 0);
    }
    for (int i = 0; i < 5; i++) {
        pubsub_add(s, subs[i]);
    }
    publish(SUB_CHANNEL, "c", "1");
    pubsub_remove(s, subs[1]);
    publish(SUB_CHANNEL, "c", "2");
    for (int i = 5; i < 9; i++) {
        pubsub_add(s, subs[i]);
    }
    pubsub_remove(s, subs[0]);
    publish(SUB_CHANNEL, "c", "3");
    struct delivery *first = box_take(0), *second = first->next, *third = second->next;
    cr_assert_eq(first->count, 5);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(first->to->subs[i], subs[i]);
    }
    cr_assert_eq(second->count, 4);
    cr_assert_eq(third->count, 7);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_neq(second->to->subs[i], subs[1]);
    }
    for (uint32_t i = 0; i < 7; i++) {
        cr_assert(third->to->subs[i] != subs[0] && third->to->subs[i] != subs[1]);
    }
    release(first);
    release(second);
    release(third);
}

Test(pubsub, event_topics_are_counted_while_they_have_subscribers)
{
    struct subscription *a = sub_new(SUB_CHANNEL, "__keyspace@0__:x", 0);
    struct subscription *b = sub_new(SUB_CHANNEL, "__keyspace@0__:x", 1);
    struct subscription *c = sub_new(SUB_CHANNEL, "__kez", 1);
    _Atomic int32_t *filter = &server.event_filter[a->hash % EVENT_FILTER_SIZE];
    pubsub_add(s, a);
    pubsub_add(s, b);
    pubsub_add(s, c);
    cr_assert_eq(atomic_load(&server.event_topics), 1);
    cr_assert_eq(atomic_load(filter), 1);
    pubsub_remove(s, a);
    cr_assert_eq(atomic_load(filter), 1);
    pubsub_remove(s, b);
    cr_assert_eq(atomic_load(filter), 0);
    cr_assert_eq(atomic_load(&server.event_topics), 0);
}

Test(pubsub, counts_follow_a_model)
{
    static struct subscription *subs[SUBS];
    static bool in[SUBS];
    uint64_t random = 11;
    for (int i = 0; i < SUBS; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i % NAMES);
        subs[i] = sub_new((enum subscription_kind)(i / NAMES % SUB_KINDS), name,
                          (unsigned)(i * 7 / NAMES) % HOMES);
    }
    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(random >> 33) % SUBS;
        (in[i] ? pubsub_remove : pubsub_add)(s, subs[i]);
        in[i] = !in[i];
        if (step % 7 != 0) {
            continue;
        }
        char channel[16];
        snprintf(channel, sizeof channel, "n%u", (unsigned)(random >> 20) % NAMES);
        uint64_t want[SUB_KINDS] = {0};
        for (int k = 0; k < SUBS; k++) {
            want[subs[k]->kind] += in[k] && strlen(channel) == subs[k]->name_len &&
                                   memcmp(subs[k]->name, channel, subs[k]->name_len) == 0;
        }
        box_drop();
        uint64_t hash = hash_bytes(channel, strlen(channel));
        cr_assert_eq(pubsub_subscribers(s, SUB_CHANNEL, slice_str(channel), hash),
                     want[SUB_CHANNEL]);
        cr_assert_eq(publish(SUB_CHANNEL, channel, "m"), want[SUB_CHANNEL] + want[SUB_PATTERN]);
        cr_assert_eq(receivers_in_box(), want[SUB_CHANNEL] + want[SUB_PATTERN]);
        box_drop();
        cr_assert_eq(publish(SUB_SHARD_CHANNEL, channel, "m"), want[SUB_SHARD_CHANNEL]);
        if (step % 2 == 0) { /* else they are on their way while subscribers change */
            box_drop();
        }
    }
}
