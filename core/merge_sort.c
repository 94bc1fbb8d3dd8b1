/* merge_sort.c - see merge_sort.h. Short runs by insertion, then merged, each time twice as long. */
#include "core/merge_sort.h"

#include "core/mem.h"
#include "core/pause.h"
#include <endian.h>
#include <string.h>

enum { RUN = 16 };

struct ties {
    rank_tie *tie;
    void *ctx;
};

/* Whether b must stand before a, which is there first. */
static inline bool before(const struct ties *t, const struct ranked *b, const struct ranked *a)
{
    if (b->rank != a->rank) {
        return b->rank < a->rank;
    }
    return t->tie != NULL && t->tie(b->item, a->item, t->ctx) < 0;
}

static void insert_run(const struct ties *t, struct ranked *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct ranked x = at[i];
        size_t j = i;
        while (j > 0 && before(t, &x, &at[j - 1])) {
            at[j] = at[j - 1];
            j--;
        }
        at[j] = x;
    }
}

/* The runs [0, middle) and [middle, end) of from become one. */
static void merge(const struct ties *t, struct ranked *to, const struct ranked *from,
                  size_t middle, size_t end)
{
    size_t a = 0, b = middle;
    while (a < middle && b < end) {
        size_t round = end - a - (b - middle); /* what is left */
        round = round < RUN ? round : RUN;
        pause_point(1 + (int64_t)round / 4);
        for (; round > 0 && a < middle && b < end; round--) {
            *to++ = before(t, &from[b], &from[a]) ? from[b++] : from[a++];
        }
    }
    pause_copy(to, from + a, (middle - a) * sizeof *to);
    to += middle - a;
    pause_copy(to, from + b, (end - b) * sizeof *to);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void merge_sort(struct ranked *at, size_t n, rank_tie *tie, void *ctx)
{
    const struct ties t = {tie, ctx};
    for (size_t i = 0; i < n; i += RUN) {
        pause_point(RUN);
        insert_run(&t, at + i, least(RUN, n - i));
    }
    if (n <= RUN) {
        return;
    }
    struct ranked *from = at, *to = mem_alloc(n * sizeof *to), *const room = to;
    for (size_t run = RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            merge(&t, to + i, from + i, least(run, n - i), least(2 * run, n - i));
        }
        struct ranked *const swap = from;
        from = to;
        to = swap;
    }
    if (from != at) {
        pause_copy(at, from, n * sizeof *at);
    }
    pause_free(room);
}

uint64_t rank_of_text(struct slice text)
{
    uint64_t first = 0;
    memcpy(&first, text.ptr, text.len < sizeof first ? text.len : sizeof first);
    return be64toh(first);
}
