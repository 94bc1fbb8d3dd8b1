/* blob.c - see blob.h. Blobs come from mem.h, also the short ones: their size may change. */
#include "core/blob.h"

#include "core/mem.h"
#include <assert.h>
#include <string.h>

struct blob *blob_try_new(const void *data, size_t len, size_t cap)
{
    if (cap < len) {
        cap = len;
    }
    if (cap > SIZE_MAX / 2) {
        return NULL;
    }
    struct blob *b = mem_try_alloc(sizeof *b + cap);
    if (!b) {
        return NULL;
    }
    atomic_init(&b->refs, 1);
    b->unused = 0;
    b->len = len;
    b->cap = cap;
    if (data) {
        memcpy(b->data, data, len);
    } else {
        memset(b->data, 0, len);
    }
    return b;
}

struct blob *blob_new(const void *data, size_t len, size_t cap)
{
    struct blob *b = blob_try_new(data, len, cap);
    if (!b) {
        mem__out_of_memory(cap);
    }
    return b;
}

void blob_hold(struct blob *b)
{
    uint32_t before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    assert(before > 0 && before < UINT32_MAX);
}

void blob_release(void *p)
{
    struct blob *b = p;
    /* What other holders have read must be over before the bytes go: acquire and release. */
    uint32_t before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        mem_free(b);
    }
}

struct blob *blob_own(struct blob *b, size_t cap)
{
    if (cap < b->len) {
        cap = b->len;
    }
    if (atomic_load_explicit(&b->refs, memory_order_acquire) == 1) {
        if (cap <= b->cap) {
            return b;
        }
        struct blob *moved = mem_try_realloc(b, sizeof *b + cap);
        if (moved) {
            moved->cap = cap;
        }
        return moved;
    }
    struct blob *copy = blob_try_new(b->data, b->len, cap);
    if (copy) {
        blob_release(b);
    }
    return copy;
}
