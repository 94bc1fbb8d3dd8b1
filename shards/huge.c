/* huge.c - see huge.h. */
#include "shards/huge.h"
#include "core/slab.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { PAUSE_MS = 10 }; /* between two: at most a tenth of a core, and of the time, goes into copying */

static int chunks_pipe[2]; /* addresses of chunks: from any shard, to the thread */

/* A shard's thread. When the pipe is full the chunk stays as it is: they come faster than pages are
 * made. */
static void chunk_full_mp(void *chunk)
{
    ssize_t n = write(chunks_pipe[1], &chunk, sizeof chunk);
    (void)n;
}

/* A place for one huge page, to be touched and given back. NULL: no room. */
static char *spare_map(void)
{
    char *map = mmap(NULL, 2 * SLAB_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    char *page = map + (SLAB_CHUNK_BYTES - (uintptr_t)map % SLAB_CHUNK_BYTES) % SLAB_CHUNK_BYTES;
    madvise(page, SLAB_CHUNK_BYTES, MADV_HUGEPAGE);
    return page;
}

/* The chunk may have been unmapped since: then nothing happens, or some other memory of ours gets a
 * huge page. */
static void chunk_collapse(void *chunk, char *spare)
{
    if (spare != NULL) {
        *(volatile char *)spare = 1; /* the kernel finds a huge page, and clears it */
        madvise(spare, SLAB_CHUNK_BYTES, MADV_DONTNEED);
    }
    if (madvise(chunk, SLAB_CHUNK_BYTES, MADV_COLLAPSE) != 0 && errno == EINVAL) {
        madvise(chunk, SLAB_CHUNK_BYTES, MADV_HUGEPAGE);
    }
}

static void *huge_main(void *unused)
{
    char *spare = spare_map();
    void *chunk;
    while (read(chunks_pipe[0], &chunk, sizeof chunk) == sizeof chunk) {
        chunk_collapse(chunk, spare);
        usleep(PAUSE_MS * 1000);
    }
    return unused;
}

static bool huge_pages_are_off(void)
{
    char text[128] = "";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (f == NULL) {
        return true;
    }
    bool off = fgets(text, sizeof text, f) == NULL || strstr(text, "[never]") != NULL;
    fclose(f);
    return off;
}

void huge_start(void)
{
    if (huge_pages_are_off() || pipe2(chunks_pipe, O_CLOEXEC) != 0) {
        return;
    }
    fcntl(chunks_pipe[1], F_SETFL, O_NONBLOCK);
    pthread_t thread;
    if (pthread_create(&thread, NULL, huge_main, NULL) != 0) {
        close(chunks_pipe[0]);
        close(chunks_pipe[1]);
        return;
    }
    pthread_setname_np(thread, "huge pages");
    pthread_detach(thread);
    slab_chunk_full = chunk_full_mp;
}
