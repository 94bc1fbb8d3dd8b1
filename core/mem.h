/* mem.h - memory: mimalloc (libc malloc under sanitizers), counted per thread.
 *
 * mem_alloc never returns NULL: when memory runs out the process logs and aborts, as Redis does;
 * mem_try_alloc returns NULL and is used wherever a client chooses the size. Any thread may free
 * what another has allocated: counters are per thread and only their sum means something.
 * Small objects of the keyspace come from slab.h, which counts itself here.
 */
#ifndef ASHLAR_CORE_MEM_H
#define ASHLAR_CORE_MEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t bytes) __attribute__((malloc));
void *mem_alloc_zero(size_t bytes) __attribute__((malloc));
void *mem_try_alloc(size_t bytes) __attribute__((malloc));
void *mem_realloc(void *p, size_t bytes);
void *mem_try_realloc(void *p, size_t bytes);
void *mem_alloc_aligned(size_t bytes, size_t align) __attribute__((malloc));
void mem_free(void *p);
/* For those who know their blocks' sizes, all of whose calls must be of these: what was asked for is
 * counted, where the others ask the allocator what it has set aside. */
void *mem_try_alloc_sized(size_t bytes) __attribute__((malloc));
void *mem_try_realloc_sized(void *p, size_t old_bytes, size_t bytes);
void mem_free_sized(void *p, size_t bytes);
size_t mem_usable(const void *p); /* bytes the allocator set aside for p */

/* A thread's counter: bytes allocated minus bytes freed by it; may be negative. Every thread that
 * allocates registers once; the sum over all is the server's used_memory. */
struct mem_counter {
    _Atomic int64_t used_bytes; /* writer: its thread; readers: any, relaxed */
    struct mem_counter *next;
} __attribute__((aligned(64)));
extern _Thread_local struct mem_counter *mem_thread_counter;
void mem_thread_register(struct mem_counter *c); /* c must outlive the process's readers */
int64_t mem_used_total(void);                    /* any thread */

void mem__count_shared(int64_t delta_bytes); /* threads that have not registered */
void mem__out_of_memory(size_t bytes) __attribute__((noreturn));

/* Adds to the calling thread's counter (slab.c counts blocks here as they come and go). */
static inline void mem_count(int64_t delta_bytes)
{
    struct mem_counter *c = mem_thread_counter;
    if (__builtin_expect(c == NULL, 0)) {
        mem__count_shared(delta_bytes);
        return;
    }
    /* One writer: a load and a store do, no locked instruction. */
    int64_t now = atomic_load_explicit(&c->used_bytes, memory_order_relaxed);
    atomic_store_explicit(&c->used_bytes, now + delta_bytes, memory_order_relaxed);
}

#endif
