/* core_mem.c - what mem.h promises beside giving memory: alignment, counting. */
#include "core/mem.h"

#include <criterion/criterion.h>
#include <string.h>

Test(mem, aligned)
{
    enum { N = 64 };
    for (size_t align = 16; align <= 64; align *= 2) {
        void *blocks[N];
        for (size_t i = 0; i < N; i++) {
            size_t bytes = i % 2 ? (i + 1) * 16 * align : i * 700 + 1;
            blocks[i] = mem_alloc_aligned(bytes, align);
            cr_assert_eq((uintptr_t)blocks[i] % align, 0, "%zu bytes to %zu", bytes, align);
            memset(blocks[i], 0xa5, bytes);
        }
        for (size_t i = 0; i < N; i++) {
            mem_free(blocks[i]);
        }
    }
}

Test(mem, sizes_that_the_caller_knows)
{
    const int64_t before = mem_used_total();
    char *p = mem_try_alloc_sized(100);
    cr_assert_eq(mem_used_total() - before, 100);
    memset(p, 'x', 100);
    p = mem_try_realloc_sized(p, 100, 3000);
    cr_assert_eq(mem_used_total() - before, 3000);
    cr_assert(p[0] == 'x' && p[99] == 'x');
    p = mem_try_realloc_sized(p, 3000, 10);
    cr_assert_eq(mem_used_total() - before, 10);
    mem_free_sized(p, 10);
    mem_free_sized(NULL, 0);
    cr_assert_eq(mem_used_total(), before);
}
