/* slab.c - see slab.h.
 *
 *   chunk: 2 MiB, aligned to its size                    page: 64 KiB of blocks of one class
 *   ┌────────┬──────────┬──────────┬─ … ─┬──────────┐    ┌───────┬───────┬──────┬─ … ──────┐
 *   │ header │ page 0   │ page 1   │     │ page 31  │    │ block │ block │ free │ untouched│
 *   └────────┴──────────┴──────────┴─ … ─┴──────────┘    └───────┴───────┴──────┴─ … ──────┘
 *
 * What is known about the pages stands in the chunk's header (the first bytes of page 0), not in
 * the pages: headers at the same offset of every 64 KiB would all compete for the same few lines
 * of the cache. A page is
 *
 *     in use ──page_release()──► empty, resident ──pages_trim()──► empty, released
 *       ▲───────────────page_take()───┴───────────────────────────────────┘
 *
 * and a chunk whose pages are all empty is unmapped (one is kept). Both kinds of giving back cost
 * system calls and happen in slab_collect() only, a few at a time. Chunks come from the kernel, not
 * from mimalloc: they must be aligned to 2 MiB, and when there are more than the TLB covers huge
 * pages are made of them, which spare a random access its TLB miss. Ashlar never forks, so huge pages
 * cost no copies. They are asked for once all of a chunk is in use: its memory is there by then, so
 * it takes no more, and somebody else does the work (slab_chunk_full). Asked for before, the first
 * access would do it, and where free memory is in pieces that takes up to 10 ms (compaction).
 *
 * A page in use with room (free blocks, or an untouched rest) stands in its class's list; blocks
 * are taken from the list's head. Untouched blocks are handed out in order, so the rest of a page
 * takes no memory.
 *
 * Threads: everything in a slab is its owner's, except remote: blocks freed by other threads,
 * linked through their first word, pushed with one compare-and-swap, taken all at once.
 *
 * Under AddressSanitizer every block is a malloc of its own, so that overflows (beyond the size of
 * the class, which a caller may use) are seen. */
#include "core/slab.h"

#include "core/mem.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

void (*slab_chunk_full)(void *chunk);

enum {
    FINE_MAX = 512, /* classes in steps of 8 up to here */
    FINE_CLASSES = (FINE_MAX - 16) / 8 + 1,
    MEDIUM_CLASSES = (SLAB_MAX_BYTES - FINE_MAX) / 64,
    LARGE_PER_PAGE_MAX = (SLAB_PAGE_BYTES - 1) / SLAB_MAX_BYTES, /* 15 of them, just larger */
    LARGE_CLASSES = LARGE_PER_PAGE_MAX - SLAB_PAGE_BYTES / SLAB_LARGE_BYTES + 1,
    CLASSES = FINE_CLASSES + MEDIUM_CLASSES + LARGE_CLASSES,
    CHUNK_BYTES = SLAB_CHUNK_BYTES,
    CHUNK_PAGES = CHUNK_BYTES / SLAB_PAGE_BYTES,
    HUGE_FROM_CHUNKS = 24,  /* the untouched rests of pages become resident: below 48 MiB that tells */
    CHUNKS_EMPTY_KEPT = 1,
    DROP_LOOK_AT = 64,      /* chunks looked at for one to give back */
    SPARSE_NUM = 7, SPARSE_DEN = 8,
    TRIM_PAGES_MAX = 16,    /* pages given back per slab_collect() */
    TRIM_KEEP = 4,          /* resident empty pages kept while pages come and go, ... */
    TRIM_SHARE = 256,       /* and one per so many in use */
};

static inline unsigned class_of(size_t bytes)
{
    if (bytes <= FINE_MAX) {
        return bytes <= 16 ? 0 : (unsigned)((bytes + 7) / 8 - 2);
    }
    size_t lines = (bytes + 63) / 64;
    if (bytes <= SLAB_MAX_BYTES) {
        return (unsigned)(FINE_CLASSES + lines - FINE_MAX / 64 - 1);
    }
    size_t per_page = SLAB_PAGE_BYTES / (lines * 64);
    return (unsigned)(FINE_CLASSES + MEDIUM_CLASSES + LARGE_PER_PAGE_MAX - per_page);
}

static inline size_t class_bytes(unsigned class)
{
    if (class < FINE_CLASSES) {
        return 16 + 8 * (size_t)class;
    }
    if (class < FINE_CLASSES + MEDIUM_CLASSES) {
        return FINE_MAX + 64 * (size_t)(class - FINE_CLASSES + 1);
    }
    size_t per_page = LARGE_PER_PAGE_MAX - (class - FINE_CLASSES - MEDIUM_CLASSES);
    return SLAB_PAGE_BYTES / per_page / 64 * 64;
}

size_t slab_size(size_t bytes)
{
    assert(bytes <= SLAB_LARGE_BYTES);
    return class_bytes(class_of(bytes));
}

#if defined(__SANITIZE_ADDRESS__)

struct slab {
    int unused;
};

struct slab *slab_thread_init(void)
{
    static struct slab one;
    return &one;
}

void slab_thread_use(struct slab *s)
{
    (void)s;
}

void slab_thread_exit(void)
{
}

void *slab_alloc(size_t bytes)
{
    assert(bytes > 0 && bytes <= SLAB_LARGE_BYTES);
    size_t size = slab_size(bytes);
    return size % 64 == 0 ? mem_alloc_aligned(size, 64) : mem_alloc(size);
}

void slab_free(void *p, size_t bytes)
{
    assert(bytes > 0 && bytes <= SLAB_LARGE_BYTES);
    mem_free(p);
}

void slab_collect(void)
{
}

/* Any answer will do: this one moves some blocks each time, so that the movers are tested. */
bool slab_is_sparse(const void *p)
{
    static _Thread_local uint32_t asked;
    return ++asked % 16 == 0;
}

size_t slab_idle_bytes(void)
{
    return SIZE_MAX / 4;
}

size_t slab_used_bytes(void)
{
    return 0;
}

void slab_stats(const struct slab *s, struct slab_stats *out)
{
    memset(out, 0, sizeof *out);
}

#else

struct block {
    struct block *next;
};

struct page {
    struct block *free;
    struct page *next, *prev; /* of its class's pages with room, or of the empty pages */
    uint32_t block_bytes;
    uint16_t class;
    uint16_t used;     /* blocks handed out */
    uint16_t touched;  /* blocks handed out at least once since the page was taken */
    uint16_t capacity;
    bool in_use, in_list, resident;
};

struct chunk {
    struct slab *owner;
    struct chunk *next, *prev;
    uint32_t empty_pages;
    bool huge; /* somebody has been asked to make one page of it */
    struct page pages[CHUNK_PAGES];
};

enum { CHUNK_HEADER_BYTES = (sizeof(struct chunk) + 63) / 64 * 64 };
static_assert(CHUNK_HEADER_BYTES <= SLAB_PAGE_BYTES / 16, "page 0 has room for blocks");
static_assert(SLAB_PAGE_BYTES / 16 <= UINT16_MAX, "blocks of a page are counted in 16 bits");

struct slab {
    struct page *room[CLASSES]; /* pages with room, by class */
    struct page *resident, *released; /* empty pages */
    struct chunk *chunks;
    size_t chunk_count, chunks_empty, pages_used, pages_resident;
    bool page_taken; /* since the last slab_collect() */
    size_t used_bytes; /* as seen by the owner: remote frees count when collected */
    /* any thread: */
    struct block *_Atomic remote __attribute__((aligned(64)));
};

static _Thread_local struct slab *own;

static inline struct chunk *chunk_of(const void *p)
{
    return (struct chunk *)((uintptr_t)p & ~(uintptr_t)(CHUNK_BYTES - 1));
}

static inline char *page_start(const struct page *page)
{
    struct chunk *chunk = chunk_of(page);
    size_t i = (size_t)(page - chunk->pages);
    return (char *)chunk + (i ? i * SLAB_PAGE_BYTES : CHUNK_HEADER_BYTES);
}

static inline struct page *page_of(const void *p)
{
    struct chunk *chunk = chunk_of(p);
    return &chunk->pages[((uintptr_t)p - (uintptr_t)chunk) / SLAB_PAGE_BYTES];
}

static void list_push(struct page **list, struct page *page)
{
    page->prev = NULL;
    page->next = *list;
    if (*list) {
        (*list)->prev = page;
    }
    *list = page;
}

static void list_remove(struct page **list, struct page *page)
{
    if (page->prev) {
        page->prev->next = page->next;
    } else {
        assert(*list == page);
        *list = page->next;
    }
    if (page->next) {
        page->next->prev = page->prev;
    }
}

struct slab *slab_thread_init(void)
{
    if (!own) {
        own = mem_alloc_aligned(sizeof *own, 64);
        memset(own, 0, sizeof *own);
    }
    return own;
}

void slab_thread_use(struct slab *s)
{
    own = s;
}

static void *map_aligned(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        mem__out_of_memory(bytes);
    }
    if ((uintptr_t)p % bytes == 0) {
        return p;
    }
    /* Not aligned: map twice the room and cut both ends off. The next ones will fit below. */
    munmap(p, bytes);
    char *wide = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wide == MAP_FAILED) {
        mem__out_of_memory(bytes);
    }
    size_t before = (bytes - (uintptr_t)wide % bytes) % bytes;
    if (before) {
        munmap(wide, before);
    }
    munmap(wide + before + bytes, bytes - before);
    return wide + before;
}

static void chunk_link(struct slab *s, struct chunk *chunk)
{
    chunk->prev = NULL;
    chunk->next = s->chunks;
    if (s->chunks) {
        s->chunks->prev = chunk;
    }
    s->chunks = chunk;
}

static void chunk_unlink(struct slab *s, struct chunk *chunk)
{
    if (chunk->prev) {
        chunk->prev->next = chunk->next;
    } else {
        s->chunks = chunk->next;
    }
    if (chunk->next) {
        chunk->next->prev = chunk->prev;
    }
}

/* A chunk that is wholly in use, of a slab with many. */
static void chunk_make_huge(struct chunk *chunk)
{
    if (chunk->huge) {
        return;
    }
    chunk->huge = true;
    if (slab_chunk_full) {
        slab_chunk_full(chunk);
    } else {
        madvise(chunk, CHUNK_BYTES, MADV_HUGEPAGE);
    }
}

/* There have been too few chunks until now. */
static void chunks_make_huge(struct slab *s)
{
    for (struct chunk *chunk = s->chunks; chunk; chunk = chunk->next) {
        if (chunk->empty_pages == 0) {
            chunk_make_huge(chunk);
        }
    }
}

static void chunk_add(struct slab *s)
{
    struct chunk *chunk = map_aligned(CHUNK_BYTES);
    chunk->owner = s;
    chunk->empty_pages = CHUNK_PAGES;
    chunk_link(s, chunk);
    if (++s->chunk_count == HUGE_FROM_CHUNKS) {
        chunks_make_huge(s);
    }
    s->chunks_empty++;
    for (int i = CHUNK_PAGES - 1; i >= 0; i--) {
        list_push(&s->released, &chunk->pages[i]);
    }
}

static void chunk_drop(struct slab *s, struct chunk *chunk)
{
    assert(chunk->empty_pages == CHUNK_PAGES);
    for (int i = 0; i < CHUNK_PAGES; i++) {
        struct page *page = &chunk->pages[i];
        list_remove(page->resident ? &s->resident : &s->released, page);
        s->pages_resident -= page->resident;
    }
    chunk_unlink(s, chunk);
    s->chunk_count--;
    s->chunks_empty--;
    munmap(chunk, CHUNK_BYTES);
}

/* Empty pages that were in use lately are taken first: their memory is there and warm. */
static struct page *page_take(struct slab *s, unsigned class)
{
    if (!s->resident && !s->released) {
        chunk_add(s);
    }
    struct page **list = s->resident ? &s->resident : &s->released;
    struct page *page = *list;
    list_remove(list, page);
    struct chunk *chunk = chunk_of(page);
    s->chunks_empty -= chunk->empty_pages == CHUNK_PAGES;
    if (--chunk->empty_pages == 0 && s->chunk_count >= HUGE_FROM_CHUNKS) {
        chunk_make_huge(chunk);
    }
    s->pages_resident -= page->resident;
    s->pages_used++;
    s->page_taken = true;

    size_t room = (size_t)((char *)chunk + SLAB_PAGE_BYTES * (size_t)(page - chunk->pages + 1) -
                           page_start(page));
    page->free = NULL;
    page->class = (uint16_t)class;
    page->block_bytes = (uint32_t)class_bytes(class);
    page->capacity = (uint16_t)(room / page->block_bytes);
    page->used = page->touched = 0;
    page->in_use = page->in_list = page->resident = true;
    list_push(&s->room[class], page);
    return page;
}

static void page_release(struct slab *s, struct page *page)
{
    assert(page->in_use && page->used == 0);
    if (page->in_list) {
        list_remove(&s->room[page->class], page);
    }
    page->in_use = page->in_list = false;
    list_push(&s->resident, page);
    s->pages_resident++;
    s->pages_used--;
    struct chunk *chunk = chunk_of(page);
    if (++chunk->empty_pages == CHUNK_PAGES) {
        s->chunks_empty++;
        chunk_unlink(s, chunk); /* to the front, where chunks_trim() looks first */
        chunk_link(s, chunk);
    }
}

static inline void free_local(struct slab *s, struct page *page, void *p)
{
    assert(page->in_use && page->used > 0);
    struct block *block = p;
    block->next = page->free;
    page->free = block;
    page->used--;
    s->used_bytes -= page->block_bytes;
    if (page->used == 0) {
        page_release(s, page);
    } else if (!page->in_list) {
        page->in_list = true;
        list_push(&s->room[page->class], page);
    }
}

static void remote_take(struct slab *s)
{
    struct block *block = atomic_exchange_explicit(&s->remote, NULL, memory_order_acquire);
    while (block) {
        struct block *next = block->next;
        free_local(s, page_of(block), block);
        block = next;
    }
}

static struct page *page_with_room(struct slab *s, unsigned class)
{
    if (atomic_load_explicit(&s->remote, memory_order_relaxed)) {
        remote_take(s);
        if (s->room[class]) {
            return s->room[class];
        }
    }
    return page_take(s, class);
}

void *slab_alloc(size_t bytes)
{
    assert(bytes > 0 && bytes <= SLAB_LARGE_BYTES);
    struct slab *s = own ? own : slab_thread_init();
    unsigned class = class_of(bytes);
    struct page *page = s->room[class];
    if (__builtin_expect(!page, 0)) {
        page = page_with_room(s, class);
    }
    struct block *block = page->free;
    if (block) {
        page->free = block->next;
    } else {
        assert(page->touched < page->capacity);
        block = (struct block *)(page_start(page) + (size_t)page->touched++ * page->block_bytes);
    }
    page->used++;
    if (page->used == page->capacity) {
        list_remove(&s->room[class], page);
        page->in_list = false;
    }
    s->used_bytes += page->block_bytes;
    mem_count(page->block_bytes);
    return block;
}

void slab_free(void *p, size_t bytes)
{
    struct chunk *chunk = chunk_of(p);
    struct page *page = page_of(p);
    assert(page->class == class_of(bytes));
    mem_count(-(int64_t)page->block_bytes);
    if (__builtin_expect(chunk->owner == own, 1)) {
        free_local(own, page, p);
        return;
    }
    struct slab *s = chunk->owner;
    struct block *block = p;
    struct block *head = atomic_load_explicit(&s->remote, memory_order_relaxed);
    do {
        block->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&s->remote, &head, block, memory_order_release,
                                                    memory_order_relaxed));
}

static void pages_trim(struct slab *s)
{
    const size_t keep = s->page_taken ? TRIM_KEEP + s->pages_used / TRIM_SHARE : 0;
    s->page_taken = false;
    for (int i = 0; i < TRIM_PAGES_MAX; i++) {
        if (s->pages_resident <= keep) {
            return;
        }
        struct page *page = s->resident;
        struct chunk *chunk = chunk_of(page);
        list_remove(&s->resident, page);
        s->pages_resident--;
        page->resident = false;
        list_push(&s->released, page);
        if (page != &chunk->pages[0]) { /* page 0 holds the header */
            madvise(page_start(page), SLAB_PAGE_BYTES, MADV_DONTNEED);
            chunk->huge = false;
        }
    }
}

/* Gives one chunk back, if more than enough are empty. */
static void chunks_trim(struct slab *s)
{
    if (s->chunks_empty <= CHUNKS_EMPTY_KEPT) {
        return;
    }
    struct chunk *chunk = s->chunks;
    for (int i = 0; chunk && i < DROP_LOOK_AT; i++, chunk = chunk->next) {
        if (chunk->empty_pages == CHUNK_PAGES) {
            chunk_drop(s, chunk);
            return;
        }
    }
}

void slab_collect(void)
{
    struct slab *s = own;
    if (s) {
        if (atomic_load_explicit(&s->remote, memory_order_relaxed)) {
            remote_take(s);
        }
        chunks_trim(s);
        pages_trim(s);
    }
}

bool slab_is_sparse(const void *p)
{
    if (chunk_of(p)->owner != own) {
        return false; /* it came with a value from another shard, who alone may look at its page */
    }
    const struct page *page = page_of(p);
    return page->in_list && page->used * SPARSE_DEN < page->capacity * SPARSE_NUM &&
           own->room[page->class] != page;
}

size_t slab_idle_bytes(void)
{
    return own ? own->pages_used * SLAB_PAGE_BYTES - own->used_bytes : 0;
}

size_t slab_used_bytes(void)
{
    return own ? own->used_bytes : 0;
}

void slab_thread_exit(void)
{
    struct slab *s = own;
    if (!s) {
        return;
    }
    remote_take(s);
    assert(s->pages_used == 0);
    while (s->chunks) {
        chunk_drop(s, s->chunks);
    }
    own = NULL;
    mem_free(s);
}

void slab_stats(const struct slab *s, struct slab_stats *out)
{
    *out = (struct slab_stats){
        .pages = s->pages_used,
        .pages_empty = s->chunk_count * CHUNK_PAGES - s->pages_used,
        .used_bytes = s->used_bytes,
        .reserved_bytes = s->chunk_count * CHUNK_BYTES,
    };
}

#endif
