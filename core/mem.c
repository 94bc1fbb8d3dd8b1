/* mem.c - see mem.h. A thin layer: which allocator, what to do when it fails, and the counting. */
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(ASHLAR_MIMALLOC)
#include <mimalloc.h>
#define raw_malloc mi_malloc
#define raw_zalloc(bytes) mi_zalloc(bytes)
#define raw_realloc mi_realloc
#define raw_aligned(bytes, align) mi_malloc_aligned(bytes, align)
#define raw_free mi_free
#define raw_usable mi_usable_size
#else
#include <malloc.h>
#define raw_malloc malloc
#define raw_zalloc(bytes) calloc(1, bytes)
#define raw_realloc realloc
/* aligned_alloc wants a multiple of the alignment */
#define raw_aligned(bytes, align) aligned_alloc(align, ((bytes) + (align)-1) / (align) * (align))
#define raw_free free
#define raw_usable(p) malloc_usable_size((void *)(p))
#endif

enum { ALIGNED_ANYWAY_BYTES = 4096 };

_Thread_local struct mem_counter *mem_thread_counter;

static struct mem_counter shared_counter; /* of all threads without one of their own */
static struct mem_counter *_Atomic counters;

void mem__out_of_memory(size_t bytes)
{
    fprintf(stderr, "Out of memory allocating %zu bytes\n", bytes);
    abort();
}

void mem__count_shared(int64_t delta_bytes)
{
    atomic_fetch_add_explicit(&shared_counter.used_bytes, delta_bytes, memory_order_relaxed);
}

void mem_thread_register(struct mem_counter *c)
{
    atomic_init(&c->used_bytes, 0);
    struct mem_counter *head = atomic_load_explicit(&counters, memory_order_relaxed);
    do {
        c->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&counters, &head, c, memory_order_release,
                                                    memory_order_relaxed));
    mem_thread_counter = c;
}

int64_t mem_used_total(void)
{
    int64_t sum = atomic_load_explicit(&shared_counter.used_bytes, memory_order_relaxed);
    const struct mem_counter *c = atomic_load_explicit(&counters, memory_order_acquire);
    for (; c; c = c->next) {
        sum += atomic_load_explicit(&c->used_bytes, memory_order_relaxed);
    }
    return sum;
}

size_t mem_usable(const void *p)
{
    return p ? raw_usable(p) : 0;
}

static void *counted(void *p)
{
    if (p) {
        mem_count((int64_t)raw_usable(p));
    }
    return p;
}

void *mem_try_alloc(size_t bytes)
{
    return counted(raw_malloc(bytes));
}

void *mem_alloc(size_t bytes)
{
    void *p = mem_try_alloc(bytes);
    if (!p) {
        mem__out_of_memory(bytes);
    }
    return p;
}

void *mem_alloc_zero(size_t bytes)
{
    void *p = counted(raw_zalloc(bytes));
    if (!p) {
        mem__out_of_memory(bytes);
    }
    return p;
}

/* Large blocks are aligned anyway, nearly always, where mimalloc's aligned allocation asks for align
 * bytes more: often the next class, a quarter larger. */
void *mem_alloc_aligned(size_t bytes, size_t align)
{
    void *p = NULL;
    if (bytes >= ALIGNED_ANYWAY_BYTES && bytes % align == 0) {
        p = raw_malloc(bytes);
        if ((uintptr_t)p % align != 0) {
            raw_free(p);
            p = NULL;
        }
    }
    p = counted(p ? p : raw_aligned(bytes, align));
    if (!p) {
        mem__out_of_memory(bytes);
    }
    return p;
}

void *mem_try_realloc(void *p, size_t bytes)
{
    int64_t before = (int64_t)mem_usable(p);
    void *moved = raw_realloc(p, bytes);
    if (moved) {
        mem_count((int64_t)raw_usable(moved) - before);
    }
    return moved;
}

void *mem_realloc(void *p, size_t bytes)
{
    void *moved = mem_try_realloc(p, bytes);
    if (!moved) {
        mem__out_of_memory(bytes);
    }
    return moved;
}

void mem_free(void *p)
{
    if (p) {
        mem_count(-(int64_t)raw_usable(p));
        raw_free(p);
    }
}

void *mem_try_alloc_sized(size_t bytes)
{
    void *p = raw_malloc(bytes);
    if (p) {
        mem_count((int64_t)bytes);
    }
    return p;
}

void *mem_try_realloc_sized(void *p, size_t old_bytes, size_t bytes)
{
    void *moved = raw_realloc(p, bytes);
    if (moved) {
        mem_count((int64_t)bytes - (int64_t)old_bytes);
    }
    return moved;
}

void mem_free_sized(void *p, size_t bytes)
{
    if (p) {
        mem_count(-(int64_t)bytes);
        raw_free(p);
    }
}
