/* core_slab.c - blocks do not overlap, keep their bytes, and come back. */
#include "core/mem.h"
#include "core/slab.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 20000, STEPS = 400000 };

struct held {
    unsigned char *p;
    size_t bytes;
    unsigned char fill;
};

static void check(const struct held *h)
{
    for (size_t i = 0; i < h->bytes; i++) {
        cr_assert_eq(h->p[i], h->fill);
    }
}

static void take(struct held *h, size_t bytes)
{
    *h = (struct held){slab_alloc(bytes), bytes, (unsigned char)random()};
    cr_assert(h->p);
    cr_assert_eq((uintptr_t)h->p % 8, 0);
    if (slab_size(bytes) % 64 == 0) {
        cr_assert_eq((uintptr_t)h->p % 64, 0);
    }
    memset(h->p, h->fill, bytes);
}

static void give(struct held *h)
{
    check(h);
    slab_free(h->p, h->bytes);
    h->p = NULL;
}

Test(slab, sizes)
{
    cr_assert_eq(slab_size(1), 16);
    cr_assert_eq(slab_size(17), 24);
    cr_assert_eq(slab_size(56), 56);
    cr_assert_eq(slab_size(512), 512);
    cr_assert_eq(slab_size(513), 576);
    cr_assert_eq(slab_size(4096), 4096);
    for (size_t n = 1; n <= SLAB_MAX_BYTES; n++) {
        cr_assert_geq(slab_size(n), n);
        cr_assert_lt(slab_size(n), n + 64);
        cr_assert_eq(slab_size(slab_size(n)), slab_size(n));
    }
}

Test(slab, large_sizes_share_pages_evenly)
{
    cr_assert_eq(slab_size(4097), SLAB_PAGE_BYTES / 15 / 64 * 64);
    cr_assert_eq(slab_size(SLAB_LARGE_BYTES), SLAB_LARGE_BYTES);
    for (size_t n = SLAB_MAX_BYTES + 1; n <= SLAB_LARGE_BYTES; n++) {
        const size_t size = slab_size(n), per_page = SLAB_PAGE_BYTES / size;
        cr_assert_geq(size, n);
        cr_assert_eq(size % 64, 0);
        cr_assert_eq(size, SLAB_PAGE_BYTES / per_page / 64 * 64);
        cr_assert_eq(slab_size(size), size);
    }
}

Test(slab, random_patterns)
{
    struct slab *s = slab_thread_init();
    struct mem_counter counter = {0};
    mem_thread_register(&counter);
    static struct held held[BLOCKS];
    srandom(3);
    for (int i = 0; i < STEPS; i++) {
        struct held *h = &held[random() % BLOCKS];
        if (h->p) {
            give(h);
        } else {
            take(h, 1 + (size_t)random() % (random() % 8 ? 200 : SLAB_LARGE_BYTES));
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (held[i].p) {
            give(&held[i]);
        }
    }
    cr_assert_eq(counter.used_bytes >= 0, true);
    struct slab_stats stats;
    slab_stats(s, &stats);
    cr_assert_eq(stats.used_bytes, 0);
    cr_assert_eq(stats.pages, 0);
    slab_thread_exit();
    cr_assert_eq(mem_used_total(), 0);
}

Test(slab, pages_move_between_classes)
{
    struct slab *s = slab_thread_init();
    static struct held held[BLOCKS];
    struct slab_stats stats;
    for (size_t bytes = 64; bytes <= 640; bytes += 64) {
        for (int i = 0; i < BLOCKS; i++) {
            take(&held[i], bytes);
        }
        for (int i = 0; i < BLOCKS; i++) {
            give(&held[i]);
        }
    }
    for (int i = 0; i < 100; i++) {
        slab_collect();
    }
    slab_stats(s, &stats);
    cr_assert_eq(stats.pages, 0);
    cr_assert_leq(stats.reserved_bytes, 4u << 20);
    slab_thread_exit();
}

static void *free_all(void *arg)
{
    struct held *held = arg;
    for (int i = 0; i < BLOCKS; i++) {
        give(&held[i]);
    }
    return NULL;
}

Test(slab, freed_elsewhere)
{
    struct slab *s = slab_thread_init();
    static struct held held[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        take(&held[i], 1 + (size_t)i % 600);
    }
    pthread_t t;
    pthread_create(&t, NULL, free_all, held);
    pthread_join(t, NULL);
    cr_assert_leq(mem_used_total(), 4096, "what is left is the slab itself");
    slab_collect();
    struct slab_stats stats;
    slab_stats(s, &stats);
    cr_assert_eq(stats.used_bytes, 0);
    cr_assert_eq(stats.pages, 0);
    slab_thread_exit();
}
