/* core_pause.c - points call the hook when their units are used up, and only then. */
#include "core/pause.h"
#include "core/mem.h"
#include <criterion/criterion.h>
#include <string.h>

static void count(void *ctx)
{
    ++*(int *)ctx;
    pause_arm(count, ctx, 10);
}

Test(core_pause, hook)
{
    int calls = 0;
    for (int i = 0; i < 1000; i++) {
        pause_point(1000); /* not armed */
    }
    pause_arm(count, &calls, 10);
    for (int i = 0; i < 9; i++) {
        pause_point(1);
    }
    cr_assert(calls == 0);
    pause_point(1);
    cr_assert(calls == 1);
    pause_point(25);
    cr_assert(calls == 2);
    pause_disarm();
    pause_point(1 << 30);
    cr_assert(calls == 2);
}

Test(core_pause, no_hook_any_more)
{
    pause_state.left = 1;
    pause_point(5);
    cr_assert(pause_state.left > 1 << 30);
}

Test(core_pause, large_blocks)
{
    int calls = 0;
    const size_t bytes = 9000001;
    pause_arm(count, &calls, 10);
    char *a = mem_alloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        a[i] = (char)(i * 7 % 251);
    }
    char *b = mem_alloc(bytes);
    pause_copy(b, a, bytes);
    cr_assert(memcmp(a, b, bytes) == 0);
    cr_assert(calls > 50);
    b = pause_realloc(b, bytes, 2 * bytes);
    cr_assert(memcmp(a, b, bytes) == 0);
    calls = 0;
    pause_free(b);
    cr_assert(calls > 5);
    pause_free(a);
    pause_free(NULL);
    pause_free(mem_alloc(1));
    char *small = pause_realloc(NULL, 0, 10);
    small = pause_realloc(small, 10, 20);
    pause_free(small);
    pause_disarm();
}
