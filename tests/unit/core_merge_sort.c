/* core_merge_sort.c - sorting many: in order, stable, and the same as qsort does it. */
#include "core/merge_sort.h"
#include "core/mem.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static int by_second_word(const void *a, const void *b, void *ctx)
{
    const uint32_t x = ((const uint32_t *)a)[1], y = ((const uint32_t *)b)[1];
    ++*(size_t *)ctx;
    return (x > y) - (x < y);
}

static void check(size_t n, uint32_t ranks, uint32_t seconds)
{
    uint32_t(*items)[2] = mem_alloc((n + 1) * sizeof *items);
    struct ranked *at = mem_alloc((n + 1) * sizeof *at);
    size_t ties = 0;
    for (size_t i = 0; i < n; i++) {
        items[i][0] = (uint32_t)random() % ranks;
        items[i][1] = (uint32_t)random() % seconds;
        at[i] = (struct ranked){items[i][0], &items[i]};
    }
    merge_sort(at, n, by_second_word, &ties);
    for (size_t i = 1; i < n; i++) {
        const uint32_t *a = at[i - 1].item, *b = at[i].item;
        cr_assert(at[i].rank == b[0]);
        cr_assert(a[0] < b[0] || (a[0] == b[0] && (a[1] < b[1] || (a[1] == b[1] && a < b))));
    }
    mem_free(items);
    mem_free(at);
}

Test(core_merge_sort, sorts_and_keeps_what_is_equal)
{
    for (size_t n = 0; n < 70; n++) {
        check(n, 5, 3);
        check(n, 1000000, 2);
    }
    check(100000, 1000000, 2);
    check(100000, 50, 1000);
    check(65536, 1, 1);
}

Test(core_merge_sort, without_ties)
{
    struct ranked at[40];
    for (size_t i = 0; i < 40; i++) {
        at[i] = (struct ranked){i % 4, (void *)(i + 1)};
    }
    merge_sort(at, 40, NULL, NULL);
    for (size_t i = 1; i < 40; i++) {
        cr_assert(at[i - 1].rank < at[i].rank ||
                  (at[i - 1].rank == at[i].rank && at[i - 1].item < at[i].item));
    }
}

Test(core_merge_sort, ranks_of_texts_go_with_their_bytes)
{
    static const char *const texts[] = {"", "a", "ab", "abcdefgh", "abcdefghi", "b", "\xff"};
    for (size_t i = 1; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert(rank_of_text(slice_str(texts[i - 1])) <=
                  rank_of_text(slice_str(texts[i])));
    }
    cr_assert(rank_of_text(slice_str("a")) < rank_of_text(slice_str("b")));
}
