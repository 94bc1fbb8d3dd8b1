/* cmd_string_lcs.c - LCS, the longest common subsequence of two strings, by the textbook's table.
 *
 *            b → 0 1 2 … blen           cell (i, j): length of the longest subsequence common to
 *        a   0 │ 0 0 0 … 0               the first i bytes of a and the first j bytes of b
 *        ↓   1 │ 0
 *        …     │ 0       (i, j)
 *       alen   │ 0
 *
 * Walking back from the last corner finds the bytes themselves and the ranges in which they lie;
 * where two ways are equally long it turns towards b, as Redis does, so the same subsequence comes
 * out. The table takes (alen + 1) * (blen + 1) * 4 bytes, proto-max-bulk-len at most. */
#include "core/cmd_string.h"

#include "core/mem.h"
#include "core/pause.h"
#include <assert.h>

struct lcs_options {
    bool len, idx, with_match_len;
    int64_t min_match_len;
};

struct lcs_table {
    struct slice a, b;
    uint32_t *cells;
    size_t width; /* cells in a row */
};

static uint32_t lcs_cell(const struct lcs_table *t, size_t i, size_t j)
{
    return t->cells[i * t->width + j];
}

/* Matching bytes of both strings that lie side by side; ends inclusive. */
struct lcs_range {
    bool open;
    size_t a_from, a_to, b_from, b_to;
};

static bool parse_options(struct call *c, struct lcs_options *o)
{
    *o = (struct lcs_options){0};
    for (uint32_t i = 3; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_is(word, "IDX")) {
            o->idx = true;
        } else if (slice_is(word, "LEN")) {
            o->len = true;
        } else if (slice_is(word, "WITHMATCHLEN")) {
            o->with_match_len = true;
        } else if (slice_is(word, "MINMATCHLEN") && i + 1 < c->argc) {
            if (!call_arg_int(c, ++i, &o->min_match_len)) {
                return false;
            }
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    if (o->len && o->idx) {
        reply_error(c->out,
                    "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* Memory for the table; replies and returns false when it is too much. */
static bool table_alloc(struct call *c, struct lcs_table *t)
{
    if (t->a.len >= UINT32_MAX - 1 || t->b.len >= UINT32_MAX - 1) {
        reply_error(c->out, "ERR String too long for LCS");
        return false;
    }
    size_t bytes;
    t->width = t->b.len + 1;
    bool countable = !__builtin_mul_overflow((t->a.len + 1) * t->width, sizeof *t->cells, &bytes);
    if (countable && bytes > (size_t)c->ks->settings->proto_max_bulk_len) {
        reply_error(c->out, "ERR Insufficient memory, transient memory for LCS exceeds "
                            "proto-max-bulk-len");
        return false;
    }
    t->cells = countable ? mem_try_alloc(bytes) : NULL;
    if (!t->cells) {
        reply_error(c->out, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return false;
    }
    return true;
}

static void table_fill(struct lcs_table *t)
{
    memset(t->cells, 0, t->width * sizeof *t->cells);
    for (size_t i = 1; i <= t->a.len; i++) {
        const uint32_t *above = t->cells + (i - 1) * t->width;
        uint32_t *row = t->cells + i * t->width;
        char byte = t->a.ptr[i - 1];
        row[0] = 0;
        pause_point_bytes(4 * t->width);
        for (size_t j = 1; j <= t->b.len; j++) {
            uint32_t longer = above[j] > row[j - 1] ? above[j] : row[j - 1];
            row[j] = byte == t->b.ptr[j - 1] ? above[j - 1] + 1 : longer;
        }
    }
}

/* Where a walk back through the table stands. */
struct lcs_walk {
    size_t i, j;
    struct lcs_range range;
};

/* One step back. True when the open range is complete: the caller takes and closes it. *matched
 * tells whether the step passed a common byte, which is a[i] afterwards. */
static bool walk_back(const struct lcs_table *t, struct lcs_walk *w, bool *matched)
{
    struct lcs_range *r = &w->range;
    pause_point(1);
    *matched = t->a.ptr[w->i - 1] == t->b.ptr[w->j - 1];
    if (!*matched) {
        if (lcs_cell(t, w->i - 1, w->j) > lcs_cell(t, w->i, w->j - 1)) {
            w->i--;
        } else {
            w->j--;
        }
        return r->open;
    }
    w->i--;
    w->j--;
    if (r->open) {
        /* A match follows its neighbour directly, or a step without match had come between. */
        assert(r->a_from == w->i + 1 && r->b_from == w->j + 1);
        r->a_from--;
        r->b_from--;
    } else {
        *r = (struct lcs_range){true, w->i, w->i, w->j, w->j};
    }
    return w->i == 0 || w->j == 0;
}

static void reply_range(struct call *c, const struct lcs_range *r, bool with_len)
{
    reply_array(c->out, with_len ? 3 : 2);
    reply_array(c->out, 2);
    reply_int(c->out, (int64_t)r->a_from);
    reply_int(c->out, (int64_t)r->a_to);
    reply_array(c->out, 2);
    reply_int(c->out, (int64_t)r->b_from);
    reply_int(c->out, (int64_t)r->b_to);
    if (with_len) {
        reply_int(c->out, (int64_t)(r->a_to - r->a_from + 1));
    }
}

/* The ranges, last first, and the length. */
static void reply_indexes(struct call *c, const struct lcs_table *t, const struct lcs_options *o)
{
    struct lcs_walk w = {.i = t->a.len, .j = t->b.len};
    size_t ranges = 0;

    reply_map(c->out, 2);
    reply_bulk_str(c->out, "matches");
    struct reply_mark mark = reply_deferred(c->out);
    while (w.i > 0 && w.j > 0) {
        bool matched;
        if (!walk_back(t, &w, &matched)) {
            continue;
        }
        if ((int64_t)(w.range.a_to - w.range.a_from + 1) >= o->min_match_len) {
            reply_range(c, &w.range, o->with_match_len);
            ranges++;
        }
        w.range.open = false;
    }
    reply_bulk_str(c->out, "len");
    reply_int(c->out, lcs_cell(t, t->a.len, t->b.len));
    reply_deferred_array(c->out, mark, ranges);
}

/* The subsequence itself, found from its end to its start. */
static void reply_sequence(struct call *c, const struct lcs_table *t)
{
    struct lcs_walk w = {.i = t->a.len, .j = t->b.len};
    uint32_t len = lcs_cell(t, w.i, w.j);
    char *text = mem_try_alloc(len + 1);
    if (!text) {
        reply_error(c->out, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    uint32_t at = len;
    while (w.i > 0 && w.j > 0) {
        bool matched;
        if (walk_back(t, &w, &matched)) {
            w.range.open = false;
        }
        if (matched) {
            text[--at] = t->a.ptr[w.i];
        }
    }
    assert(at == 0);
    reply_bulk(c->out, text, len);
    mem_free(text);
}

void string__lcs(struct call *c)
{
    struct entry *e[2];
    char digits[2][24];
    struct lcs_table t = {0};
    struct lcs_options o;

    e[0] = key_read(c, &c->keys[0]);
    e[1] = key_read(c, &c->keys[1]);
    if ((e[0] && e[0]->type != TYPE_STRING) || (e[1] && e[1]->type != TYPE_STRING)) {
        reply_error(c->out, "ERR The specified keys must contain string values");
        return;
    }
    t.a = e[0] ? entry_string(e[0], digits[0]) : slice_of("", 0);
    t.b = e[1] ? entry_string(e[1], digits[1]) : slice_of("", 0);
    if (!parse_options(c, &o) || !table_alloc(c, &t)) {
        return;
    }
    table_fill(&t);
    if (o.idx) {
        reply_indexes(c, &t, &o);
    } else if (o.len) {
        reply_int(c->out, lcs_cell(&t, t.a.len, t.b.len));
    } else {
        reply_sequence(c, &t);
    }
    pause_free(t.cells);
}
