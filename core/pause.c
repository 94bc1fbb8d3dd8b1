/* pause.c - see pause.h. */
#include "core/pause.h"
#include "core/mem.h"
#include <string.h>
#include <sys/mman.h>

enum {
    COPY_STEP_BYTES = 64 * 1024,
    FREE_STEP_BYTES = 1024 * 1024, /* the kernel takes that back in some ten microseconds */
    PAGE_BYTES = 4096,
};

_Thread_local struct pause pause_state = {.left = INT64_MAX};

void pause_disarm(void)
{
    pause_state = (struct pause){.left = INT64_MAX};
}

void pause_reached(void)
{
    if (pause_state.hook == NULL) {
        pause_state.left = INT64_MAX;
        return;
    }
    pause_state.hook(pause_state.ctx);
}

void pause_copy(void *to, const void *from, size_t len)
{
    char *t = to;
    const char *f = from;
    while (len > COPY_STEP_BYTES) {
        memcpy(t, f, COPY_STEP_BYTES);
        t += COPY_STEP_BYTES;
        f += COPY_STEP_BYTES;
        len -= COPY_STEP_BYTES;
        pause_point_bytes(COPY_STEP_BYTES);
    }
    if (len > 0) {
        memcpy(t, f, len);
    }
}

/* The pages of a large block go back to the kernel one step at a time; what mem_free() is left with is
 * only their addresses. */
void pause_free(void *p)
{
    const size_t bytes = p != NULL ? mem_usable(p) : 0;
    if (bytes >= 2 * FREE_STEP_BYTES) {
        uintptr_t at = ((uintptr_t)p + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
        const uintptr_t end = ((uintptr_t)p + bytes) & ~(uintptr_t)(PAGE_BYTES - 1);
        while (at < end) {
            const size_t step = end - at < FREE_STEP_BYTES ? end - at : FREE_STEP_BYTES;
            madvise((void *)at, step, MADV_DONTNEED); /* a hint: mem_free() does it anyway */
            at += step;
            pause_point(FREE_STEP_BYTES / PAGE_BYTES);
        }
    }
    mem_free(p);
}

void *pause_realloc(void *p, size_t used, size_t bytes)
{
    if (used < FREE_STEP_BYTES) {
        return mem_realloc(p, bytes);
    }
    void *larger = mem_alloc(bytes);
    pause_copy(larger, p, used);
    pause_free(p);
    return larger;
}
