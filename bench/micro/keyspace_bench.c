/* keyspace_bench.c - bytes per key and nanoseconds per operation of the keyspace alone.
 *
 *   keyspace_bench [keys]        1,000,000 by default; 16-byte keys over all slots, database 0
 *
 * Memory is the growth of the resident set (bytes beyond nothing, payload included), as
 * PERFORMANCE.md section 2 counts. Times are processor time, keys drawn at random, hashing included,
 * one after the other and in batches that prefetch (slot, bucket, entry). */
#include "core/command.h"
#include "core/keyspace.h"
#include "core/mem.h"
#include "core/slab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEY_LEN = 16, BATCH_MAX = 64 };

static struct settings settings = {.databases = 1, .active_expire = true,
                                   .active_expire_effort = 1};
static uint32_t keys_total = 1000000;
static uint64_t sink;

/* Of this thread's processor time: neighbours do not count. */
static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &total, &resident) != 2) {
        exit(1);
    }
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static uint32_t random_next(void)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32);
}

static struct key key_at(char name[KEY_LEN], uint32_t i)
{
    memcpy(name, "key:000000000000", KEY_LEN);
    for (int at = KEY_LEN - 1; i; at--, i /= 10) {
        name[at] = (char)('0' + i % 10);
    }
    struct key k = {.ptr = name, .len = KEY_LEN};
    k.hash = hash_bytes(name, KEY_LEN);
    k.slot = hash_slot(name, KEY_LEN);
    return k;
}

/* What the names alone cost, to be taken off. */
static double name_ns(void)
{
    char name[KEY_LEN];
    double from = now_ns();
    for (uint32_t i = 0; i < keys_total; i++) {
        struct key k = key_at(name, random_next() % keys_total);
        sink += k.slot;
        sink += k.hash;
    }
    return (now_ns() - from) / keys_total;
}

static void fill(struct call *c, struct slice value, bool ttl, const char *what)
{
    char name[KEY_LEN];
    double before = resident_bytes(), from = now_ns();
    for (uint32_t i = 0; i < keys_total; i++) {
        struct key k = key_at(name, i);
        struct entry *e = key_set_string(c, &k, key_write(c, &k), value, false);
        if (ttl) {
            key_set_expiry(c, &k, e, c->now_ms + 1000);
        }
    }
    double ns = (now_ns() - from) / keys_total;
    double loaded = (resident_bytes() - before) / keys_total;
    struct keyspace_background b = {.deadline_ns = UINT64_MAX};
    from = now_ns();
    keyspace_compact_slice(c->ks, &b);
    for (int i = 0; i < 100; i++) {
        slab_collect(); /* gives a few pages back each time */
    }
    double compact_ms = (now_ns() - from) / 1e6;
    double rss = (resident_bytes() - before) / keys_total;
    size_t tables = 0;
    for (int s = 0; s < SLOT_COUNT; s++) {
        tables += table_bytes(&c->ks->db[0]->slots[s].table);
    }
    printf("%-28s %5.1f bytes/key resident, %.1f before compaction of %.0f ms (%.1f counted, %.1f "
           "tables), %.0f ns/key to fill\n",
           what, rss, loaded, compact_ms, (double)mem_used_total() / keys_total,
           (double)tables / keys_total, ns);
}

static double get_one_by_one(struct call *c)
{
    char name[KEY_LEN];
    double from = now_ns();
    for (uint32_t i = 0; i < keys_total; i++) {
        struct key k = key_at(name, random_next() % keys_total);
        const struct entry *e = key_read(c, &k);
        sink += (uint8_t)e->rest[30];
    }
    return (now_ns() - from) / keys_total;
}

static double batches(struct call *c, uint32_t batch, struct slice value)
{
    char names[BATCH_MAX][KEY_LEN];
    struct key k[BATCH_MAX];
    double from = now_ns();
    for (uint32_t i = 0; i < keys_total; i += batch) {
        for (uint32_t j = 0; j < batch; j++) {
            k[j] = key_at(names[j], random_next() % keys_total);
            keyspace_prefetch_table(c->ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < batch; j++) {
            keyspace_prefetch_bucket(c->ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < batch; j++) {
            keyspace_prefetch_entry(c->ks, 0, &k[j]);
        }
        for (uint32_t j = 0; j < batch; j++) {
            if (value.ptr) {
                key_set_string(c, &k[j], key_write(c, &k[j]), value, false);
            } else {
                const struct entry *e = key_read(c, &k[j]);
                sink += (uint8_t)e->rest[30];
            }
        }
    }
    return (now_ns() - from) / keys_total;
}

static void speeds(struct call *c, struct slice value)
{
    double names = name_ns();
    printf("  hash and slot               %5.0f ns (names included; below: taken off)\n", names);
    printf("  GET one by one              %5.0f ns\n", get_one_by_one(c) - names);
    for (uint32_t batch = 16; batch <= BATCH_MAX; batch *= 2) {
        printf("  GET in batches of %u        %5.0f ns\n", batch,
               batches(c, batch, slice_of(NULL, 0)) - names);
    }
    printf("  SET in batches of 16        %5.0f ns (same length)\n", batches(c, 16, value) - names);
}

static void expire_all(struct call *c)
{
    struct keyspace_background b = {.now_ms = c->now_ms + 100000};
    double from = now_ns(), worst = 0;
    size_t gone = 0;
    while (gone < keys_total) {
        double slice = now_ns();
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        b.deadline_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + 200000;
        gone += keyspace_expire_slice(c->ks, &b);
        double took = now_ns() - slice;
        worst = took > worst ? took : worst;
    }
    printf("  expiring all of them        %5.0f ns/key, longest slice of 200 us: %.0f us\n",
           (now_ns() - from) / keys_total, worst / 1000);
}

int main(int argc, char **argv)
{
    static struct mem_counter counter;
    mem_thread_register(&counter);
    if (argc > 1) {
        keys_total = (uint32_t)strtoul(argv[1], NULL, 10);
    }
    uint8_t seed[16] = "bench";
    hash_seed(seed);
    static const struct {
        const char *what, *value;
        bool ttl;
    } shapes[] = {
        {"16 B key + 32 B string", "abcdefghijklmnopqrstuvwxyz012345", false},
        {"16 B key + 16 B string", "abcdefghijklmnop", false},
        {"16 B key + 8-digit integer", "12345678", false},
        {"16 B key + 32 B string + TTL", "abcdefghijklmnopqrstuvwxyz012345", true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        fflush(stdout);
        pid_t child = fork(); /* each shape in an empty process */
        if (child == 0) {
            struct keyspace *ks = keyspace_new(&settings);
            struct call c = {.ks = ks, .now_ms = 1700000000000};
            fill(&c, slice_str(shapes[i].value), shapes[i].ttl, shapes[i].what);
            if (i == 0) {
                speeds(&c, slice_str(shapes[i].value));
            }
            if (shapes[i].ttl) {
                expire_all(&c);
            }
            fflush(stdout);
            _exit(sink == 1);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) < 0 || status) {
            return 1;
        }
    }
    return 0;
}
