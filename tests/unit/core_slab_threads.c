/* core_slab_threads.c - threads that hand blocks round and free each other's. For ThreadSanitizer.
 *
 * Each thread allocates blocks, writes them, and puts them into a shared exchange; whatever it
 * finds there (mostly another's) it checks and frees. */
#include "core/mem.h"
#include "core/slab.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, STEPS = 50000, PLACES = 512 };

struct block {
    uint32_t bytes, fill;
    unsigned char data[];
};

static struct block *_Atomic exchange[PLACES];
static struct mem_counter counters[THREADS + 1];
static pthread_barrier_t all_done;
static _Atomic int failures;

static void check_and_free(struct block *b)
{
    for (uint32_t i = 0; i < b->bytes - sizeof *b; i++) {
        if (b->data[i] != (unsigned char)b->fill) {
            atomic_fetch_add(&failures, 1);
            break;
        }
    }
    slab_free(b, b->bytes);
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    mem_thread_register(&counters[seed]);
    slab_thread_init();
    for (int i = 0; i < STEPS; i++) {
        uint32_t bytes = (uint32_t)sizeof(struct block) + (uint32_t)rand_r(&seed) % 500;
        struct block *b = slab_alloc(bytes);
        b->bytes = bytes;
        b->fill = (uint32_t)rand_r(&seed);
        memset(b->data, (int)b->fill, bytes - sizeof *b);
        b = atomic_exchange(&exchange[(unsigned)rand_r(&seed) % PLACES], b);
        if (b) {
            check_and_free(b);
        }
        if (i % 1000 == 0) {
            slab_collect();
        }
    }
    pthread_barrier_wait(&all_done); /* the main thread frees what is left over */
    pthread_barrier_wait(&all_done);
    slab_thread_exit();              /* asserts that every block has come back */
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    pthread_barrier_init(&all_done, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&t[i], NULL, work, (void *)(i + 1));
    }
    pthread_barrier_wait(&all_done);
    for (int i = 0; i < PLACES; i++) {
        struct block *b = atomic_exchange(&exchange[i], NULL);
        if (b) {
            check_and_free(b);
        }
    }
    pthread_barrier_wait(&all_done);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], NULL);
    }
    if (failures || mem_used_total() != 0) {
        fprintf(stderr, "failures %d, bytes left %lld\n", failures, (long long)mem_used_total());
        return 1;
    }
    return 0;
}
