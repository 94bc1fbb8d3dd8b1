/* micro_small.c - the compact forms: listpack, intset, HyperLogLog, stream. */
#include "bench/micro/micro.h"
#include "core/hll.h"
#include "core/intset.h"
#include "core/listpack.h"
#include "core/stream.h"

#include <stdio.h>
#include <stdlib.h>

enum { ELEMENTS = 128, ELEMENT_LEN = 12, ELEMENT_POOL = 4096 };

static const struct settings settings = {
    .hll_sparse_max_bytes = 3000, .stream_node_max_bytes = 4096, .stream_node_max_entries = 100};

/* --- listpack --- */

struct listpack_state {
    char names[ELEMENTS][ELEMENT_LEN + 1];
    struct listpack *strings, *ints; /* ELEMENTS each */
};

static void *listpack_setup(uint32_t keys)
{
    struct listpack_state *s = calloc(1, sizeof *s);
    if (!s) {
        abort();
    }
    s->strings = listpack_new(0);
    s->ints = listpack_new(0);
    for (int i = 0; i < ELEMENTS; i++) {
        snprintf(s->names[i], sizeof s->names[i], "element:%04d", i);
        s->strings = listpack_append(s->strings, slice_of(s->names[i], ELEMENT_LEN));
        s->ints = listpack_append_int(s->ints, i * 37);
    }
    return s;
}

static void listpack_bench_append(struct micro *m)
{
    struct listpack_state *s = m->state;
    for (uint64_t done = 0; done < m->ops;) {
        struct listpack *lp = listpack_new(0);
        for (uint32_t i = 0; i < ELEMENTS && done < m->ops; i++, done++) {
            lp = listpack_append(lp, slice_of(s->names[i], ELEMENT_LEN));
        }
        listpack_free(lp);
    }
}

static void listpack_bench_append_int(struct micro *m)
{
    for (uint64_t done = 0; done < m->ops;) {
        struct listpack *lp = listpack_new(0);
        for (uint32_t i = 0; i < ELEMENTS && done < m->ops; i++, done++) {
            lp = listpack_append_int(lp, i * 37);
        }
        listpack_free(lp);
    }
}

static void listpack_bench_prepend(struct micro *m)
{
    struct listpack_state *s = m->state;
    for (uint64_t done = 0; done < m->ops;) {
        struct listpack *lp = listpack_new(0);
        for (uint32_t i = 0; i < ELEMENTS && done < m->ops; i++, done++) {
            lp = listpack_prepend(lp, slice_of(s->names[i], ELEMENT_LEN));
        }
        listpack_free(lp);
    }
}

static void listpack_bench_find(struct micro *m)
{
    struct listpack_state *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep(listpack_find(s->strings, listpack_first(s->strings),
                                 slice_of(s->names[i % ELEMENTS], ELEMENT_LEN), 0));
    }
}

static void listpack_bench_find_int(struct micro *m)
{
    struct listpack_state *s = m->state;
    char text[16];
    for (uint64_t i = 0; i < m->ops; i++) {
        int len = snprintf(text, sizeof text, "%d", (int)(i % ELEMENTS) * 37);
        micro_keep(listpack_find(s->ints, listpack_first(s->ints), slice_of(text, (size_t)len), 0));
    }
}

static void listpack_bench_next(struct micro *m)
{
    struct listpack_state *s = m->state;
    uint8_t *at = listpack_first(s->strings);
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep(at);
        at = listpack_next(s->strings, at);
        at = at ? at : listpack_first(s->strings);
    }
}

static const struct micro_bench listpack_benches[] = {
    {"append", "append 12 bytes to a listpack that grows to 128 elements", listpack_bench_append},
    {"append-int", "append an integer to one", listpack_bench_append_int},
    {"prepend", "prepend 12 bytes to one", listpack_bench_prepend},
    {"find", "find one of 128 strings", listpack_bench_find},
    {"find-int", "find one of 128 integers (text made with snprintf)", listpack_bench_find_int},
    {"next", "step to the next element", listpack_bench_next},
};
const struct micro_group micro_listpack = {"listpack", listpack_setup, listpack_benches,
                                           sizeof listpack_benches / sizeof *listpack_benches};

/* --- intset --- */

enum { INTS = 512 };

static void *intset_setup(uint32_t keys)
{
    struct intset *is = intset_new();
    bool added;
    for (int64_t i = 0; i < INTS; i++) {
        is = intset_add(is, i * 1000, &added);
    }
    return is;
}

static void intset_bench_has(struct micro *m)
{
    const struct intset *is = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep_word(intset_has(is, (int64_t)(i * 7919 % INTS) * 1000));
    }
}

/* Builds sets of INTS integers in mixed order. */
static void intset_bench_add(struct micro *m)
{
    for (uint64_t done = 0; done < m->ops;) {
        struct intset *is = intset_new();
        bool added;
        for (uint64_t i = 0; i < INTS && done < m->ops; i++, done++) {
            is = intset_add(is, (int64_t)(i * 7919 % INTS) * 1000, &added);
        }
        intset_free(is);
    }
}

static const struct micro_bench intset_benches[] = {
    {"has", "find one of 512 integers", intset_bench_has},
    {"add", "add to a set that grows to 512, in mixed order", intset_bench_add},
};
const struct micro_group micro_intset = {
    "intset", intset_setup, intset_benches, sizeof intset_benches / sizeof *intset_benches};

/* --- HyperLogLog --- */

static void hll_bench_add_dense(struct micro *m)
{
    static uint8_t sparse[HLL_EMPTY_BYTES], dense[HLL_DENSE_BYTES];
    hll_init(sparse);
    if (!hll_to_dense(dense, sparse, sizeof sparse)) {
        abort();
    }
    size_t len = sizeof dense;
    for (uint64_t i = 0; i < m->ops; i++) {
        uint64_t element = i * 0x9e3779b97f4a7c15u;
        micro_keep_word((uint64_t)hll_add(dense, &len, 0, &element, sizeof element));
    }
}

/* From empty until 100 elements are in it, again and again. */
static void hll_bench_add_sparse(struct micro *m)
{
    static uint8_t value[4096];
    for (uint64_t done = 0; done < m->ops;) {
        size_t len = HLL_EMPTY_BYTES;
        hll_init(value);
        for (uint64_t i = 0; i < 100 && done < m->ops; i++, done++) {
            uint64_t element = done * 0x9e3779b97f4a7c15u;
            micro_keep_word((uint64_t)hll_add(value, &len, 3000, &element, sizeof element));
        }
    }
}

static void hll_bench_count(struct micro *m)
{
    static uint8_t sparse[HLL_EMPTY_BYTES], dense[HLL_DENSE_BYTES];
    hll_init(sparse);
    hll_to_dense(dense, sparse, sizeof sparse);
    size_t len = sizeof dense;
    for (uint64_t i = 0; i < 100000; i++) {
        hll_add(dense, &len, 0, &i, sizeof i);
    }
    for (uint64_t i = 0; i < m->ops; i++) {
        uint64_t count = 0;
        hll_count(dense, len, &count);
        micro_keep_word(count);
    }
}

static const struct micro_bench hll_benches[] = {
    {"add", "add an element to dense registers", hll_bench_add_dense},
    {"add-sparse", "add to a sparse value of up to 100 elements", hll_bench_add_sparse},
    {"count", "count dense registers", hll_bench_count},
};
const struct micro_group micro_hll = {
    "hll", NULL, hll_benches, sizeof hll_benches / sizeof *hll_benches};

/* --- stream --- */

enum { STREAM_ENTRIES = 100000 };

static void *stream_setup(uint32_t keys)
{
    const struct slice pair[2] = {slice_str("field"),
                                  slice_str("abcdefghijklmnopqrstuvwxyz012345")};
    struct stream *s = stream_new();
    for (uint64_t i = 0; i < STREAM_ENTRIES; i++) {
        stream_add(s, &settings, (struct stream_id){1700000000000 + i / 4, i % 4}, pair, 1);
    }
    return s;
}

static void stream_bench_add(struct micro *m)
{
    const struct slice pair[2] = {slice_str("field"),
                                  slice_str("abcdefghijklmnopqrstuvwxyz012345")};
    for (uint64_t done = 0; done < m->ops;) {
        struct stream *s = stream_new();
        for (uint64_t i = 0; i < STREAM_ENTRIES && done < m->ops; i++, done++) {
            stream_add(s, &settings, (struct stream_id){1700000000000 + i / 4, i % 4}, pair, 1);
        }
        micro_pause(m);
        stream_free(s);
        micro_resume(m);
    }
}

static void stream_bench_range(struct micro *m)
{
    const struct stream *s = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        struct stream_iter it;
        struct stream_id from = {1700000000000 + micro_random() % (STREAM_ENTRIES / 4), 0};
        stream_iter_init(&it, s, from, (struct stream_id){UINT64_MAX, UINT64_MAX}, false);
        for (int n = 0; n < 10 && stream_iter_next(&it); n++) {
            struct slice pair[2];
            char digits[2][NUM_INT_CHARS];
            stream_iter_pair(&it, pair, digits);
            micro_keep(pair[1].ptr);
        }
    }
}

static const struct micro_bench stream_benches[] = {
    {"add", "append an entry of one field, 32 bytes", stream_bench_add},
    {"range-10", "read ten entries from a random id on", stream_bench_range},
};
const struct micro_group micro_stream = {
    "stream", stream_setup, stream_benches, sizeof stream_benches / sizeof *stream_benches};
