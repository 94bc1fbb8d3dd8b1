/* evict.c - see evict.h. */
#include "shards/evict.h"

#include "shards/exec.h"
#include "shards/latency.h"
#include "shards/push.h"
#include "shards/tracking.h"
#include <sched.h>

enum {
    SLICE_NS = 250000,        /* in the background, at most */
    LOOK_EVERY = 16,          /* keys evicted between two looks at the clock and at the others */
    TENACITY_LINEAR_MAX = 10, /* up to here a step is … */
    TENACITY_STEP_NS = 50000, /* … that long; beyond, TENACITY_GROWTH times the one before */
    TENACITY_NO_LIMIT = 100,
    REST_NS = 1000000,        /* after its share, a shard evicts only what it has grown by since */
    TOLD_TURNS = 2,           /* until messages have left, so that they do not cause evictions */
    MARGIN_SHARE = 256,       /* of maxmemory, at most: what is evicted at once by several shards */
    MARGIN_BYTES_MAX = 32768, /* … and of each shard */
};
#define TENACITY_GROWTH 1.15

static int64_t own_bytes(const struct shard *s)
{
    return atomic_load_explicit(&s->memory.used_bytes, memory_order_relaxed);
}

void evict_look(struct shard *s)
{
    if (s->config->core.maxmemory > 0) {
        s->evict.others_bytes = mem_used_total() - own_bytes(s);
    }
}

/* Bytes above the limit; not above 0 when all is well. */
static int64_t excess(const struct shard *s)
{
    int64_t max = s->config->core.maxmemory;
    return max > 0 ? s->evict.others_bytes + own_bytes(s) - max : 0;
}

static int64_t margin(const struct shard *s)
{
    unsigned shards = s->server->shard_count;
    int64_t bytes = s->config->core.maxmemory / MARGIN_SHARE, most = (int64_t)shards * MARGIN_BYTES_MAX;
    return shards == 1 ? 0 : bytes < most ? bytes : most;
}

/* Whether the shards have to evict: the limit is exceeded, or was, and the margin is not there. */
static bool lowering(struct shard *s)
{
    struct evict_server *e = &s->server->evict;
    int64_t bytes = excess(s);
    bool was = atomic_load_explicit(&e->lowering, memory_order_relaxed);
    bool is = bytes > 0 || (was && bytes + margin(s) > 0);
    if (is != was) {
        atomic_store_explicit(&e->lowering, is, memory_order_relaxed);
    }
    return is;
}

void evict_publish(struct shard *s)
{
    if (s->config->core.maxmemory == 0 || s->exec->held_all) {
        return;
    }
    int64_t keys = keyspace_evictable(s->keyspace);
    bool freeing = keyspace_free_pending(s->keyspace);
    if (atomic_load_explicit(&s->evict.evictable_keys, memory_order_relaxed) != keys) {
        atomic_store_explicit(&s->evict.evictable_keys, keys, memory_order_relaxed);
    }
    if (atomic_load_explicit(&s->evict.freeing, memory_order_relaxed) != freeing) {
        atomic_store_explicit(&s->evict.freeing, freeing, memory_order_relaxed);
    }
}

static bool anybody_frees(const struct shard *s)
{
    const struct server *server = s->server;
    for (unsigned i = 0; i < server->shard_count; i++) {
        if (atomic_load_explicit(&server->shards[i]->evict.freeing, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static int64_t evictable_keys(const struct shard *s)
{
    const struct server *server = s->server;
    int64_t keys = 0;
    for (unsigned i = 0; i < server->shard_count; i++) {
        keys += atomic_load_explicit(&server->shards[i]->evict.evictable_keys, memory_order_relaxed);
    }
    return keys;
}

static bool paused(const struct shard *s)
{
    return atomic_load_explicit(&s->server->pause_until_ms, memory_order_relaxed) > s->now_ms;
}

bool evict_refuses(const struct shard *s)
{
    if (excess(s) <= 0 || paused(s) || anybody_frees(s)) { /* I2 */
        return false;
    }
    return s->config->core.maxmemory_policy == POLICY_NOEVICTION ||
           atomic_load_explicit(&s->server->evict.futile, memory_order_relaxed) ||
           evictable_keys(s) == 0;
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void note_excess(struct shard *s, bool exceeded)
{
    struct evict_server *e = &s->server->evict;
    uint64_t since_ns = atomic_load_explicit(&e->exceeded_since_ns, memory_order_relaxed);
    if (exceeded == (since_ns != 0)) {
        return;
    }
    uint64_t now_ns = clock_mono_ns();
    if (exceeded) {
        atomic_compare_exchange_strong(&e->exceeded_since_ns, &since_ns, now_ns);
    } else if (atomic_compare_exchange_strong(&e->exceeded_since_ns, &since_ns, 0)) {
        if (now_ns > since_ns) {
            atomic_fetch_add_explicit(&e->exceeded_ns, now_ns - since_ns, memory_order_relaxed);
        }
        atomic_store_explicit(&e->futile, false, memory_order_relaxed); /* I3 */
    }
}

void evict_exceeded_mp(const struct shard *any, uint64_t *total_ms, uint64_t *current_ms)
{
    const struct evict_server *e = &any->server->evict;
    uint64_t since_ns = atomic_load_explicit(&e->exceeded_since_ns, memory_order_relaxed);
    uint64_t now_ns = clock_mono_ns();
    uint64_t current_ns = since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;
    uint64_t before_ns = atomic_load_explicit(&e->exceeded_ns, memory_order_relaxed);
    *current_ms = current_ns / 1000000;
    *total_ms = (before_ns + current_ns) / 1000000;
}

void evict_reset(struct shard *s)
{
    atomic_store_explicit(&s->server->evict.exceeded_ns, 0, memory_order_relaxed);
    if (atomic_load_explicit(&s->server->evict.exceeded_since_ns, memory_order_relaxed) != 0) {
        atomic_store_explicit(&s->server->evict.exceeded_since_ns, clock_mono_ns(),
                              memory_order_relaxed);
    }
}

/* --- evicting --------------------------------------------------------------------------------- */

/* How long a shard may evict at once, by maxmemory-eviction-tenacity. */
static uint64_t time_limit_ns(const struct shard *s)
{
    int tenacity = s->config->maxmemory_eviction_tenacity;
    if (tenacity >= TENACITY_NO_LIMIT) {
        return UINT64_MAX / 2;
    }
    int linear = tenacity < TENACITY_LINEAR_MAX ? tenacity : TENACITY_LINEAR_MAX;
    double limit_ns = (double)TENACITY_STEP_NS * linear;
    for (int i = TENACITY_LINEAR_MAX; i < tenacity; i++) {
        limit_ns *= TENACITY_GROWTH;
    }
    return (uint64_t)limit_ns;
}

/* I1 */
static bool slot_evictable(void *shard, uint16_t slot)
{
    struct shard *s = shard;
    return exec_may_touch(s, slot) && !exec_in_transaction(s->exec, slot);
}

static void asked_arrived(struct shard *s, void *ctx)
{
    (void)ctx; /* it has been woken: its background slice looks by itself */
    atomic_store_explicit(&s->evict.asked, false, memory_order_relaxed);
}

/* Those who could evict, too, may be asleep. */
static void ask_others(struct shard *s)
{
    struct server *server = s->server;
    for (unsigned i = 0; i < server->shard_count; i++) {
        struct shard *other = server->shards[i];
        if (other != s &&
            atomic_load_explicit(&other->evict.evictable_keys, memory_order_relaxed) > 0 &&
            !atomic_load_explicit(&other->evict.asked, memory_order_relaxed) &&
            !atomic_exchange_explicit(&other->evict.asked, true, memory_order_relaxed)) {
            shard_note(s, other, asked_arrived, NULL);
        }
    }
}

/* Of all keys that may be evicted, how many are here: 0 to 1. */
static double part_of_keys(const struct shard *s)
{
    int64_t mine = keyspace_evictable(s->keyspace);
    int64_t published = atomic_load_explicit(&s->evict.evictable_keys, memory_order_relaxed);
    int64_t all = evictable_keys(s) - published + mine;
    return mine >= all || all <= 0 ? 1 : (double)mine / (double)all;
}

/* Frees and evicts until so many bytes are free, or time is up. Returns how many are. */
static int64_t make_room(struct shard *s, int64_t bytes, uint64_t deadline_ns)
{
    struct keyspace *ks = s->keyspace;
    const struct keyspace_background b = {
        .now_ms = s->now_ms, .deadline_ns = deadline_ns, .may_touch = slot_evictable, .ctx = s};
    int64_t freed = 0;
    uint64_t del_ns = 0;
    for (uint32_t n = 1; freed < bytes; n++) {
        uint64_t begin_ns = s->config->latency_monitor_threshold_ms > 0 ? clock_mono_ns() : 0;
        int64_t key_bytes = 0;
        if (keyspace_free_pending(ks)) { /* I2 */
            int64_t before = own_bytes(s);
            keyspace_free_slice(ks, deadline_ns);
            freed += before - own_bytes(s);
        } else if (keyspace_evict(ks, &b, &key_bytes)) {
            freed += key_bytes;
        } else {
            break;
        }
        if (begin_ns > 0 && clock_mono_ns() - begin_ns > del_ns) {
            del_ns = clock_mono_ns() - begin_ns;
        }
        if ((n % LOOK_EVERY == 0 || keyspace_free_pending(ks)) && clock_mono_ns() >= deadline_ns) {
            break;
        }
    }
    if (del_ns > 0) {
        latency_add(s, "eviction-del", (uint32_t)(del_ns / 1000000));
    }
    return freed;
}

/* The shard's share of what is too much. writes: or all that is above the limit, if that is little:
 * much of it (the input of a pipeline, say) would take all keys of the shards that happen to be
 * written to; nor where it holds less than its part of the keys (evict.h). True when it got on. */
static bool evict_share(struct shard *s, uint64_t limit_ns, bool writes)
{
    if (s->executing != NULL || s->exec->held_all || paused(s) ||
        s->config->core.maxmemory_policy == POLICY_NOEVICTION) {
        return false;
    }
    uint64_t start_ns = clock_mono_ns();
    const double part = part_of_keys(s);
    const bool poor = part * s->server->shard_count < 1; /* it must not pay for the others as well */
    int64_t above = excess(s), bytes = (int64_t)((double)(above + margin(s)) * part) + (part < 1);
    if (start_ns < s->evict.rest_until_ns) { /* the others have not had time for their shares */
        bytes = writes && !poor ? own_bytes(s) - s->evict.floor_bytes : 0; /* input counts, too */
    } else {
        bytes = writes && !poor && bytes < above && above <= margin(s) ? above : bytes;
        s->evict.rest_until_ns = s->server->shard_count > 1 ? start_ns + REST_NS : 0;
    }
    if (bytes <= 0) {
        return false;
    }
    uint64_t evicted = s->keyspace->stats.evicted;
    int64_t freed = make_room(s, bytes, start_ns + limit_ns);
    latency_add(s, "eviction-cycle", (uint32_t)((clock_mono_ns() - start_ns) / 1000000));
    if (s->keyspace->stats.evicted != evicted) {
        if (atomic_load_explicit(&s->server->evict.futile, memory_order_relaxed)) {
            atomic_store_explicit(&s->server->evict.futile, false, memory_order_relaxed); /* I3 */
        }
        if (s->interests > 0) {
            tracking_turn(s);
            s->evict.told_turn = counter_get(&s->stats.turns);
        }
    }
    s->evict.floor_bytes = own_bytes(s);
    s->evict.rest_until_ns = freed > 0 ? s->evict.rest_until_ns : 0;
    evict_publish(s);
    if (s->server->shard_count > 1 && above > 0) {
        ask_others(s);
    }
    return freed > 0;
}

void evict_before(struct shard *s)
{
    if (__builtin_expect(excess(s) <= 0, 1)) {
        return;
    }
    lowering(s);
    evict_share(s, time_limit_ns(s), true);
    if (excess(s) > 0 && !paused(s) && evictable_keys(s) == 0 && !anybody_frees(s)) {
        atomic_store_explicit(&s->server->evict.futile, true, memory_order_relaxed); /* I3 */
    }
}

void evict_configured(struct shard *s)
{
    evict_look(s);
    evict_publish(s);
    if (s->config->core.maxmemory > 0 && lowering(s)) {
        evict_share(s, time_limit_ns(s), false);
        pushes_flush(s);
    }
}

bool evict_slice(struct shard *s)
{
    if (s->config->core.maxmemory == 0) {
        note_excess(s, false);
        return false;
    }
    bool more = false;
    bool told = s->evict.told_turn > 0 &&
                counter_get(&s->stats.turns) - s->evict.told_turn <= TOLD_TURNS;
    if (told || clock_mono_ns() < s->evict.rest_until_ns) {
        more = true;
        sched_yield();
    } else if (lowering(s)) {
        uint64_t limit_ns = time_limit_ns(s);
        more = evict_share(s, limit_ns < SLICE_NS ? limit_ns : SLICE_NS, false);
    }
    evict_publish(s);
    note_excess(s, excess(s) > 0);
    return more && lowering(s);
}
