/* slab.h - small blocks in steps of 8 bytes (mimalloc rounds to 16), for entries and buckets.
 *
 * Classes: 16, 24, 32 … 512 by 8, then multiples of 64 up to SLAB_MAX_BYTES; above, for segments of
 * tables, 1/15, 1/14 … 1/4 of a page, up to SLAB_LARGE_BYTES. Pages of 64 KiB hold blocks of one class
 * and are cut from chunks of 2 MiB, aligned to their size, so that a block's page is found by masking.
 * The caller knows a block's size and says it when freeing.
 * Blocks whose size is a multiple of 64 are aligned to 64 (buckets are cache lines).
 *
 * Thread: each shard thread has a slab of its own (slab_thread_init, or made by the first
 * slab_alloc); a slab outlives its thread. Any thread, also one without a slab, may free any
 * block: one that does not own the page pushes it onto the page owner's remote list (lock-free,
 * many producers), which the owner empties when it allocates or in its background slice.
 */
#ifndef ASHLAR_CORE_SLAB_H
#define ASHLAR_CORE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_MAX_BYTES = 4096,    /* what is larger, and no segment of a table, is mimalloc's */
    SLAB_LARGE_BYTES = 16384,
    SLAB_PAGE_BYTES = 65536,
    SLAB_CHUNK_BYTES = 2 << 20,
};

struct slab;

struct slab *slab_thread_init(void); /* the calling thread's slab, made at first */
/* For a thread that works for several owners in turn: its slab from now on. One slab is used by one
 * thread only. NULL: none, so that slab_thread_init() makes another. */
void slab_thread_use(struct slab *s);
void slab_thread_exit(void);         /* tests: gives everything back; no block may be in use */

void *slab_alloc(size_t bytes) __attribute__((malloc)); /* 1 … SLAB_LARGE_BYTES */
void slab_free(void *p, size_t bytes);                  /* the size it was allocated with */
size_t slab_size(size_t bytes);                         /* bytes such a block really takes */
/* In the background, often: takes back remotely freed blocks, gives some empty memory back to the
 * kernel (well below a millisecond). */
void slab_collect(void);

/* Compaction: whoever can move a block allocates another, copies, and frees the first. True when
 * that helps: the block lies in a page of this thread's slab that is filled badly while others of
 * its class have room. Goes on until all pages of a class but one are filled to 7/8. */
bool slab_is_sparse(const void *p);
/* Memory of this thread's slab in pages but not in blocks, bytes; and in blocks. */
size_t slab_idle_bytes(void);
size_t slab_used_bytes(void);

/* Told a chunk of which all pages are in use, so that a huge page can be made of it; on the owner's
 * thread, which must not wait. NULL: khugepaged does it, in its own time. Set before any slab is used. */
extern void (*slab_chunk_full)(void *chunk);

struct slab_stats {
    size_t pages, pages_empty;
    size_t used_bytes;     /* in blocks handed out, and not yet taken back when freed remotely */
    size_t reserved_bytes; /* address space of the chunks */
};
void slab_stats(const struct slab *s, struct slab_stats *out); /* owner */

#endif
