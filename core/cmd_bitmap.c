/* cmd_bitmap.c - strings as arrays of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP (BITFIELD is in
 * cmd_bitfield.c, the rows in cmd_bitmap_table.c, the loops over bytes in bits.c).
 *
 * A bit is changed where it stands, also in a short string that lies in its entry. A string that
 * must grow becomes a blob with room, as APPEND makes it; a new one is as long as it has to be, for
 * nobody knows whether the next bit will be set beyond it. */
#include "core/cmd_bitmap.h"

#include "core/bits.h"
#include "core/cmd_string.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include <assert.h>

enum { BITOP_SOURCES_ON_STACK = 32, STEP_BYTES = 16384 };

static const char error_offset[] = "ERR bit offset is not an integer or out of range";

bool bitmap__arg_offset(struct call *c, uint32_t i, unsigned unit, uint64_t *offset)
{
    struct slice text = c->argv[i];
    int64_t v;
    const bool in_units = unit > 0 && text.len > 0 && text.ptr[0] == '#';
    if (in_units) {
        text = slice_of(text.ptr + 1, text.len - 1);
    }
    if (!num_parse_int(text.ptr, text.len, &v) ||
        (in_units && __builtin_mul_overflow(v, (int64_t)unit, &v)) || v < 0 ||
        (!(c->flags & CALL_FROM_MASTER) && v / 8 >= c->ks->settings->proto_max_bulk_len)) {
        reply_error(c->out, error_offset);
        return false;
    }
    *offset = (uint64_t)v;
    return true;
}

static uint8_t *new_zeroes(struct call *c, const struct key *k, size_t len)
{
    static const char zeroes[ENTRY_INLINE_MAX];
    if (len > sizeof zeroes) {
        struct blob *b = string__blob_zeroes(c, k, len);
        return b ? (uint8_t *)b->data : NULL;
    }
    struct entry *e = key_set_string(c, k, NULL, slice_of(zeroes, len), false);
    e->flags |= ENTRY_RAW;
    return (uint8_t *)entry_inline_value(e);
}

uint8_t *bitmap__to_change(struct call *c, const struct key *k, size_t len, bool *grew)
{
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return NULL;
    }
    *grew = true;
    if (!e) {
        return new_zeroes(c, k, len);
    }
    char digits[24];
    const size_t old = entry_string(e, digits).len;
    *grew = len > old;
    if (e->encoding == ENC_INLINE && !*grew) {
        e->flags |= ENTRY_RAW;
        return (uint8_t *)entry_inline_value(e);
    }
    struct blob *b = string__blob_to_change(c, k, e, *grew ? len : old);
    if (!b) {
        return NULL;
    }
    if (*grew) {
        memset(b->data + old, 0, len - old);
        b->len = len;
    }
    return (uint8_t *)b->data;
}

void bitmap__setbit(struct call *c)
{
    static const char error_bit[] = "ERR bit is not an integer or out of range";
    const struct key *k = &c->keys[0];
    uint64_t at;
    int64_t bit;
    bool grew;
    if (!bitmap__arg_offset(c, 2, 0, &at) || !call_arg_range(c, 3, 0, 1, &bit, error_bit)) {
        return;
    }
    uint8_t *data = bitmap__to_change(c, k, at / 8 + 1, &grew);
    if (!data) {
        return;
    }
    const bool before = bits_get(data, at);
    if (grew || before != (bool)bit) {
        bits_put(data, at, bit);
        string__changed(c, k, "setbit");
    }
    reply_int(c->out, before);
}

void bitmap__getbit(struct call *c)
{
    uint64_t at;
    bool bad = false;
    if (!bitmap__arg_offset(c, 2, 0, &at)) {
        return;
    }
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    bool bit = false;
    if (e) {
        char digits[24];
        struct slice value = entry_string(e, digits);
        bit = at / 8 < value.len && bits_get(value.ptr, at);
    }
    reply_int(c->out, bit);
}

/* --- BITCOUNT, BITPOS --- */

/* Bits of a string, both included; none when first > last. */
struct bit_range {
    int64_t first, last;
};

/* Parses "BIT" or "BYTE"; replies a syntax error when it is neither. */
static bool parse_unit(struct call *c, uint32_t i, bool *in_bits)
{
    *in_bits = slice_is(c->argv[i], "bit");
    if (!*in_bits && !slice_is(c->argv[i], "byte")) {
        call_error_syntax(c);
        return false;
    }
    return true;
}

/* From and to as clients write them, negative from the end, of a string of len bytes. */
static struct bit_range clip(int64_t from, int64_t to, size_t len, bool in_bits)
{
    const int64_t size = in_bits ? (int64_t)len * 8 : (int64_t)len;
    from = from < 0 ? from + size : from;
    to = to < 0 ? to + size : to;
    from = from < 0 ? 0 : from;
    to = to < 0 ? 0 : to;
    to = to >= size ? size - 1 : to;
    if (from > to) {
        return (struct bit_range){1, 0};
    }
    return in_bits ? (struct bit_range){from, to} : (struct bit_range){from * 8, to * 8 + 7};
}

/* Redis looks at the range only when the key is there, and at the unit only when the range may hold
 * anything. */
static bool parse_count_range(struct call *c, size_t len, struct bit_range *range)
{
    int64_t from, to;
    bool in_bits = false;
    if (c->argc == 2) {
        *range = clip(0, -1, len, false);
        return true;
    }
    if (c->argc != 4 && c->argc != 5) {
        call_error_syntax(c);
        return false;
    }
    if (!call_arg_int(c, 2, &from) || !call_arg_int(c, 3, &to)) {
        return false;
    }
    if (from < 0 && to < 0 && from > to) {
        *range = (struct bit_range){1, 0};
        return true;
    }
    if (c->argc == 5 && !parse_unit(c, 4, &in_bits)) {
        return false;
    }
    *range = clip(from, to, len, in_bits);
    return true;
}

/* The last bit of the step that begins with this one. */
static uint64_t step_last(uint64_t first, uint64_t last)
{
    const uint64_t end = (first | (STEP_BYTES * 8 - 1));
    return end < last ? end : last;
}

static uint64_t count_range(const char *data, uint64_t first, uint64_t last)
{
    uint64_t n = 0;
    for (uint64_t end; first <= last; first = end + 1) {
        end = step_last(first, last);
        n += bits_count_range(data, first, end);
        pause_point_bytes(STEP_BYTES);
    }
    return n;
}

/* -1: there is none. */
static int64_t find_range(const char *data, uint64_t first, uint64_t last, bool bit)
{
    for (uint64_t end; first <= last; first = end + 1) {
        end = step_last(first, last);
        const int64_t at = bits_find_range(data, first, end, bit);
        if (at >= 0) {
            return at;
        }
        pause_point_bytes(STEP_BYTES);
    }
    return -1;
}

void bitmap__bitcount(struct call *c)
{
    bool bad = false;
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_int(c->out, 0);
        return;
    }
    char digits[24];
    struct slice value = entry_string(e, digits);
    struct bit_range range;
    if (!parse_count_range(c, value.len, &range)) {
        return;
    }
    uint64_t n = 0;
    if (range.first <= range.last) {
        n = count_range(value.ptr, (uint64_t)range.first, (uint64_t)range.last);
    }
    reply_int(c->out, (int64_t)n);
}

/* BITPOS key bit [start [end [unit]]]. */
static bool parse_pos_range(struct call *c, size_t len, struct bit_range *range)
{
    int64_t from = 0, to = -1;
    bool in_bits = false;
    if (c->argc > 6) {
        call_error_syntax(c);
        return false;
    }
    if ((c->argc > 3 && !call_arg_int(c, 3, &from)) ||
        (c->argc > 5 && !parse_unit(c, 5, &in_bits)) ||
        (c->argc > 4 && !call_arg_int(c, 4, &to))) {
        return false;
    }
    *range = clip(from, to, len, in_bits);
    return true;
}

void bitmap__bitpos(struct call *c)
{
    int64_t bit;
    bool bad = false;
    if (!call_arg_int(c, 2, &bit)) {
        return;
    }
    if (bit != 0 && bit != 1) {
        reply_error(c->out, "ERR The bit argument must be 1 or 0.");
        return;
    }
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_int(c->out, bit ? -1 : 0); /* zeroes without end */
        return;
    }
    char digits[24];
    struct slice value = entry_string(e, digits);
    struct bit_range range;
    if (!parse_pos_range(c, value.len, &range)) {
        return;
    }
    int64_t at = -1;
    if (range.first <= range.last) {
        at = find_range(value.ptr, (uint64_t)range.first, (uint64_t)range.last, bit);
        if (at < 0 && bit == 0 && c->argc < 5) {
            at = range.last + 1; /* no end was asked for: zeroes follow the string */
        }
    }
    reply_int(c->out, at);
}

/* --- BITOP --- */

static const struct {
    const char *name;
    enum bits_op op;
} operations[] = {
    {"AND", BITS_AND},     {"OR", BITS_OR},       {"XOR", BITS_XOR},     {"NOT", BITS_NOT},
    {"DIFF", BITS_DIFF},   {"DIFF1", BITS_DIFF1}, {"ANDOR", BITS_ANDOR}, {"ONE", BITS_ONE},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static bool parse_operation(struct call *c, enum bits_op *op)
{
    unsigned i = 0;
    while (i < OPERATIONS && !slice_is(c->argv[1], operations[i].name)) {
        i++;
    }
    if (i == OPERATIONS) {
        call_error_syntax(c);
        return false;
    }
    *op = operations[i].op;
    const uint32_t sources = c->argc - 3;
    if (*op == BITS_NOT && sources != 1) {
        reply_error(c->out, "ERR BITOP NOT must be called with a single source key.");
        return false;
    }
    const bool against_first = *op == BITS_DIFF || *op == BITS_DIFF1 || *op == BITS_ANDOR;
    if (against_first && sources < 2) {
        reply_errorf(c->out, "ERR BITOP %s must be called with at least two source keys.",
                     operations[i].name);
        return false;
    }
    return true;
}

/* Digits of an integer have to stay somewhere until the sources are combined. */
struct bitop_source {
    char digits[24];
};

/* Looks up the sources; returns the longest one's length, -1 after an error reply. */
static int64_t find_sources(struct call *c, struct bits_source *sources, struct bitop_source *room)
{
    size_t longest = 0;
    for (uint32_t i = 1; i < c->nkeys; i++) {
        bool bad = false;
        struct entry *e = key_read_type(c, &c->keys[i], TYPE_STRING, &bad);
        if (bad) {
            return -1;
        }
        struct slice value = e ? entry_string(e, room[i - 1].digits) : slice_of("", 0);
        sources[i - 1] = (struct bits_source){value.ptr, value.len};
        longest = value.len > longest ? value.len : longest;
    }
    return (int64_t)longest;
}

static void bitop_store(struct call *c, struct blob *result)
{
    const struct key *to = &c->keys[0];
    struct entry *e = key_write(c, to);
    if (result) {
        key_set_blob(c, to, e, result, false);
        string__changed(c, to, "set");
    } else if (e) {
        key_delete(c, to, e);
        key_modified(c, to, 1);
        key_event(c, EVENT_GENERIC, "del", to);
    }
}

/* Piece by piece. */
static void combine(enum bits_op op, char *out, size_t len, const struct bits_source *sources,
                    uint32_t count)
{
    struct bits_source *pieces = mem_alloc(count * sizeof *pieces);
    for (size_t from = 0; from < len; from += STEP_BYTES) {
        const size_t step = len - from < STEP_BYTES ? len - from : STEP_BYTES;
        pause_point_bytes(step * (count + 1));
        for (uint32_t i = 0; i < count; i++) {
            const struct bits_source *s = &sources[i];
            const size_t left = s->len > from ? s->len - from : 0;
            pieces[i].data = (const char *)s->data + (left > 0 ? from : 0);
            pieces[i].len = left < step ? left : step;
        }
        bits_combine(op, out + from, step, pieces, count);
    }
    mem_free(pieces);
}

static void bitop_run(struct call *c, enum bits_op op, struct bits_source *sources,
                      struct bitop_source *room)
{
    int64_t len = find_sources(c, sources, room);
    if (len < 0) {
        return;
    }
    struct blob *result = NULL;
    if (len > 0) {
        result = blob_try_new("", 0, (size_t)len); /* not cleared: every byte is written below */
        if (!result) {
            reply_error(c->out, "OOM not enough memory for a string of that size");
            return;
        }
        combine(op, result->data, (size_t)len, sources, c->nkeys - 1);
        result->len = (size_t)len;
    }
    bitop_store(c, result);
    reply_int(c->out, len);
}

void bitmap__bitop(struct call *c)
{
    enum bits_op op;
    if (!parse_operation(c, &op)) {
        return;
    }
    assert(c->nkeys == c->argc - 2);
    struct bits_source on_stack[BITOP_SOURCES_ON_STACK], *sources = on_stack;
    struct bitop_source room_on_stack[BITOP_SOURCES_ON_STACK], *room = room_on_stack;
    const size_t count = c->nkeys - 1;
    if (count > BITOP_SOURCES_ON_STACK) {
        sources = mem_alloc(count * (sizeof *sources + sizeof *room));
        room = (struct bitop_source *)(sources + count);
    }
    bitop_run(c, op, sources, room);
    if (sources != on_stack) {
        mem_free(sources);
    }
}
