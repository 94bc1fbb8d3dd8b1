/* core_keyspace_evict.c - which keys go by each policy. */
#include "core/keyspace.h"
#include "harness.h"

#include "core/cmd_generic.h"
#include "core/cmd_string.h"
#include <criterion/criterion.h>
#include <stdio.h>

HARNESS_COMMANDS(string_commands, generic_commands)

enum { KEYS = 400, HOT_EVERY = 4, MINUTE_MS = 60000 };

static bool slot_even(void *ctx, uint16_t slot)
{
    (void)ctx;
    return slot % 2 == 0;
}

static bool slot_none(void *ctx, uint16_t slot)
{
    (void)ctx;
    (void)slot;
    return false;
}

static const struct keyspace_background anywhere = {.deadline_ns = UINT64_MAX};

static bool evict(struct harness *h, bool (*may_touch)(void *, uint16_t))
{
    struct keyspace_background b = anywhere;
    b.now_ms = h->now_ms;
    b.may_touch = may_touch;
    int64_t freed = 0;
    bool done = keyspace_evict(h->ks, &b, &freed);
    cr_assert(!done || freed > 0);
    return done;
}

static struct harness *start(enum maxmemory_policy policy)
{
    struct harness *h = harness_new();
    h->settings.maxmemory_policy = policy;
    h->settings.maxmemory_samples = 5;
    h->settings.lfu_log_factor = 10;
    h->settings.lfu_decay_time = 1;
    return h;
}

static const char *runf(struct harness *h, const char *form, int i)
{
    char line[64];
    snprintf(line, sizeof line, form, i);
    return harness_line(h, line);
}

static bool there(struct harness *h, int i)
{
    uint32_t flags = h->call_flags;
    h->call_flags |= CALL_NO_TOUCH;
    bool is = strcmp(runf(h, "EXISTS k%d", i), ":1\r\n") == 0;
    h->call_flags = flags;
    return is;
}

/* How many of the hot keys, and of the others, are left. */
static void count(struct harness *h, int *hot, int *cold)
{
    *hot = *cold = 0;
    for (int i = 0; i < KEYS; i++) {
        *(i % HOT_EVERY == 0 ? hot : cold) += there(h, i);
    }
}

static void fill(struct harness *h, const char *form)
{
    for (int i = 0; i < KEYS; i++) {
        runf(h, form, i);
    }
}

static void check_cold_first(struct harness *h)
{
    int hot, cold;
    for (int i = 0; i < KEYS / 2; i++) {
        cr_assert(evict(h, NULL));
    }
    count(h, &hot, &cold);
    cr_assert_eq(hot + cold, KEYS / 2);
    cr_assert_geq(hot, KEYS / HOT_EVERY * 9 / 10, "%d hot, %d cold", hot, cold);
    cr_assert_eq(h->ks->stats.evicted, KEYS / 2);
}

Test(keyspace_evict, lru)
{
    struct harness *h = start(POLICY_ALLKEYS_LRU);
    fill(h, "SET k%d v");
    h->now_ms += MINUTE_MS;
    for (int i = 0; i < KEYS; i += HOT_EVERY) {
        runf(h, "GET k%d", i);
    }
    h->now_ms += MINUTE_MS;
    check_cold_first(h);
    harness_free(h);
}

Test(keyspace_evict, lfu)
{
    struct harness *h = start(POLICY_ALLKEYS_LFU);
    fill(h, "SET k%d v");
    for (int i = 0; i < KEYS; i += HOT_EVERY) {
        for (int n = 0; n < 20; n++) {
            runf(h, "GET k%d", i);
        }
    }
    check_cold_first(h);
    harness_free(h);
}

Test(keyspace_evict, ttl)
{
    struct harness *h = start(POLICY_VOLATILE_TTL);
    for (int i = 0; i < KEYS; i++) {
        runf(h, i % HOT_EVERY == 0 ? "SET k%d v EX 10000" : "SET k%d v EX 1000", i);
    }
    check_cold_first(h);
    harness_free(h);
}

Test(keyspace_evict, a_key_used_after_it_was_seen_stays)
{
    struct harness *h = start(POLICY_ALLKEYS_LRU);
    fill(h, "SET k%d v");
    h->now_ms += MINUTE_MS;
    cr_assert(evict(h, NULL)); /* fills the pool */
    fill(h, "GET k%d");
    harness_line(h, "SET old v");
    harness_line(h, "SET older v");
    h->now_ms += MINUTE_MS;
    fill(h, "GET k%d");
    for (int i = 0; i < KEYS; i++) { /* the hand comes round to both */
        cr_assert(evict(h, NULL));
        if (strcmp(harness_line(h, "EXISTS old older"), ":0\r\n") == 0) {
            break;
        }
    }
    int hot, cold;
    count(h, &hot, &cold);
    cr_assert_gt(hot + cold, KEYS / 4);
    harness_free(h);
}

Test(keyspace_evict, only_volatile)
{
    static const enum maxmemory_policy policies[] = {
        POLICY_VOLATILE_LRU, POLICY_VOLATILE_LFU, POLICY_VOLATILE_RANDOM, POLICY_VOLATILE_TTL};
    for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
        struct harness *h = start(policies[p]);
        fill(h, "SET k%d v");
        for (int i = 0; i < 50; i++) {
            runf(h, "SET {tag}%d v EX 1000", i);
            runf(h, "SET {tag}stays%d v", i);
        }
        cr_assert_eq(keyspace_evictable(h->ks), 50);
        for (int i = 0; i < 50; i++) {
            cr_assert(evict(h, NULL), "policy %zu, key %d", p, i);
        }
        cr_assert(!evict(h, NULL));
        cr_assert_eq(keyspace_evictable(h->ks), 0);
        cr_assert_str_eq(harness_line(h, "DBSIZE"), ":450\r\n");
        harness_free(h);
    }
}

Test(keyspace_evict, random_takes_all)
{
    struct harness *h = start(POLICY_ALLKEYS_RANDOM);
    fill(h, "SET k%d v");
    h->db = 3;
    fill(h, "SET k%d v");
    for (int i = 0; i < KEYS; i++) {
        cr_assert(evict(h, NULL));
    }
    cr_assert_eq(keyspace_size(h->ks, 0), KEYS / 2, "each database in turn");
    for (int i = 0; i < KEYS; i++) {
        cr_assert(evict(h, NULL));
    }
    cr_assert(!evict(h, NULL));
    harness_free(h);
}

Test(keyspace_evict, lent_slots_are_left_alone)
{
    for (int policy = POLICY_NOEVICTION + 1; policy <= POLICY_ALLKEYS_RANDOM; policy++) {
        struct harness *h = start((enum maxmemory_policy)policy);
        fill(h, "SET k%d v EX 1000");
        cr_assert(!evict(h, slot_none));
        int gone = 0;
        while (evict(h, slot_even)) {
            gone++;
        }
        cr_assert_gt(gone, KEYS / 4);
        for (int i = 0; i < KEYS; i++) {
            char name[16];
            size_t len = (size_t)snprintf(name, sizeof name, "k%d", i);
            cr_assert_eq(there(h, i), hash_slot(name, len) % 2 == 1);
        }
        harness_free(h);
    }
}

Test(keyspace_evict, nothing_by_noeviction)
{
    struct harness *h = start(POLICY_NOEVICTION);
    fill(h, "SET k%d v EX 1000");
    cr_assert_eq(keyspace_evictable(h->ks), 0);
    cr_assert(!evict(h, NULL));
    harness_free(h);
}
