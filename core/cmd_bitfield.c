/* cmd_bitfield.c - BITFIELD and BITFIELD_RO: numbers of any width anywhere in a string.
 *
 * All operations are parsed before the first one is done, so that an error leaves the string as it
 * was; and it grows once, to where the furthest write ends. Signed and unsigned numbers share one
 * code: a field's old value, a change and the field's bounds are 128 bits wide, so nothing
 * overflows on the way.
 *
 *   u8 255 + 10    WRAP 9    SAT 255    FAIL: null, field unchanged */
#include "core/cmd_bitmap.h"

#include "core/bits.h"
#include "core/mem.h"
#include "core/num.h"

enum { OPS_ON_STACK = 16 };

enum field_verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field_op {
    uint64_t at;
    int64_t value; /* of SET and INCRBY */
    uint8_t verb, overflow, bits;
    bool is_signed;
};

struct field_ops {
    struct field_op *op;
    uint32_t count;
    bool writes;
    uint64_t last_written; /* the furthest bit */
};

/* --- parsing --- */

/* "u8", "i64". */
static bool parse_width(struct call *c, uint32_t i, struct field_op *op)
{
    struct slice text = c->argv[i];
    int64_t bits;
    op->is_signed = text.len > 0 && text.ptr[0] == 'i';
    if (text.len == 0 || (text.ptr[0] != 'i' && text.ptr[0] != 'u') ||
        !num_parse_int(text.ptr + 1, text.len - 1, &bits) || bits < 1 ||
        bits > (op->is_signed ? 64 : 63)) {
        reply_error(c->out, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 "
                            "is not supported but i64 is.");
        return false;
    }
    op->bits = (uint8_t)bits;
    return true;
}

static bool parse_overflow(struct call *c, uint32_t i, uint8_t *overflow)
{
    if (slice_is(c->argv[i], "wrap")) {
        *overflow = OVERFLOW_WRAP;
    } else if (slice_is(c->argv[i], "sat")) {
        *overflow = OVERFLOW_SAT;
    } else if (slice_is(c->argv[i], "fail")) {
        *overflow = OVERFLOW_FAIL;
    } else {
        reply_error(c->out, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* One operation from argv[i] on; returns how many words it has, 0 after an error reply. */
static uint32_t parse_op(struct call *c, uint32_t i, struct field_op *op)
{
    const uint32_t follow = c->argc - i - 1;
    if (slice_is(c->argv[i], "get") && follow >= 2) {
        op->verb = FIELD_GET;
    } else if (slice_is(c->argv[i], "set") && follow >= 3) {
        op->verb = FIELD_SET;
    } else if (slice_is(c->argv[i], "incrby") && follow >= 3) {
        op->verb = FIELD_INCRBY;
    } else {
        call_error_syntax(c);
        return 0;
    }
    if (!parse_width(c, i + 1, op) || !bitmap__arg_offset(c, i + 2, op->bits, &op->at) ||
        (op->verb != FIELD_GET && !call_arg_int(c, i + 3, &op->value))) {
        return 0;
    }
    return op->verb == FIELD_GET ? 3 : 4;
}

/* ops->op has room for as many as there may be. */
static bool parse_ops(struct call *c, struct field_ops *ops)
{
    uint8_t overflow = OVERFLOW_WRAP;
    uint32_t i = 2;
    while (i < c->argc) {
        if (slice_is(c->argv[i], "overflow") && i + 1 < c->argc) {
            if (!parse_overflow(c, i + 1, &overflow)) {
                return false;
            }
            i += 2;
            continue;
        }
        struct field_op *op = &ops->op[ops->count];
        *op = (struct field_op){.overflow = overflow};
        uint32_t words = parse_op(c, i, op);
        if (words == 0) {
            return false;
        }
        if (op->verb != FIELD_GET) {
            uint64_t last = op->at + op->bits - 1;
            ops->writes = true;
            ops->last_written = last > ops->last_written ? last : ops->last_written;
        }
        ops->count++;
        i += words;
    }
    return true;
}

/* --- doing --- */

static int64_t field_value(const struct field_op *op, uint64_t raw)
{
    const unsigned unused = 64u - op->bits;
    return op->is_signed ? (int64_t)(raw << unused) >> unused : (int64_t)raw;
}

static int64_t field_get(const struct field_op *op, const void *data, size_t len)
{
    return field_value(op, bits_get_number(data, len, op->at, op->bits));
}

/* What the field becomes when it should hold wanted; false: nothing, OVERFLOW FAIL. */
static bool field_fit(const struct field_op *op, __int128 wanted, int64_t *value)
{
    const __int128 one = 1;
    const __int128 min = op->is_signed ? -(one << (op->bits - 1)) : 0;
    const __int128 max = (one << (op->is_signed ? op->bits - 1 : op->bits)) - 1;
    if (wanted < min || wanted > max) {
        if (op->overflow == OVERFLOW_FAIL) {
            return false;
        }
        if (op->overflow == OVERFLOW_SAT) {
            wanted = wanted < min ? min : max;
        }
    }
    const uint64_t all = UINT64_MAX >> (64 - op->bits);
    *value = field_value(op, (uint64_t)wanted & all);
    return true;
}

/* What SET is given for an unsigned field is unsigned: -1 is above every bound, not below. */
static __int128 field_wanted(const struct field_op *op, int64_t old)
{
    if (op->verb == FIELD_INCRBY) {
        return (__int128)old + op->value;
    }
    return op->is_signed ? (__int128)op->value : (__int128)(uint64_t)op->value;
}

/* Replies; true when the field has changed. */
static bool field_write(struct call *c, const struct field_op *op, uint8_t *data, size_t len)
{
    const int64_t old = field_get(op, data, len);
    int64_t value;
    if (!field_fit(op, field_wanted(op, old), &value)) {
        reply_null(c->out);
        return false;
    }
    bits_put_number(data, op->at, op->bits, (uint64_t)value);
    reply_int(c->out, op->verb == FIELD_SET ? old : value);
    return value != old;
}

static void run_reads(struct call *c, const struct field_ops *ops)
{
    bool bad = false;
    struct entry *e = key_read_type(c, &c->keys[0], TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    char digits[24];
    struct slice value = e ? entry_string(e, digits) : slice_of("", 0);
    reply_array(c->out, ops->count);
    for (uint32_t i = 0; i < ops->count; i++) {
        reply_int(c->out, field_get(&ops->op[i], value.ptr, value.len));
    }
}

static size_t value_len(struct call *c, const struct key *k)
{
    char digits[24];
    return entry_string(key_peek(c, k), digits).len;
}

static void run_writes(struct call *c, const struct field_ops *ops)
{
    const struct key *k = &c->keys[0];
    bool grew;
    uint8_t *data = bitmap__to_change(c, k, ops->last_written / 8 + 1, &grew);
    if (!data) {
        return;
    }
    const size_t len = value_len(c, k); /* reads may go beyond what is written */
    uint64_t changes = 0;
    reply_array(c->out, ops->count);
    for (uint32_t i = 0; i < ops->count; i++) {
        const struct field_op *op = &ops->op[i];
        if (op->verb == FIELD_GET) {
            reply_int(c->out, field_get(op, data, len));
        } else {
            changes += field_write(c, op, data, len) || grew;
        }
    }
    if (changes > 0) {
        key_modified(c, k, changes);
        key_event(c, EVENT_STRING, "setbit", k);
    }
}

static void run_bitfield(struct call *c, bool read_only)
{
    struct field_op on_stack[OPS_ON_STACK];
    struct field_ops ops = {.op = on_stack};
    const size_t count_max = (c->argc - 2) / 3 + 1; /* GET, the shortest, has three words */
    if (count_max > OPS_ON_STACK) {
        ops.op = mem_alloc(count_max * sizeof *ops.op);
    }
    if (parse_ops(c, &ops)) {
        if (!ops.writes) {
            run_reads(c, &ops);
        } else if (read_only) {
            reply_error(c->out, "ERR BITFIELD_RO only supports the GET subcommand");
        } else {
            run_writes(c, &ops);
        }
    }
    if (ops.op != on_stack) {
        mem_free(ops.op);
    }
}

void bitmap__bitfield(struct call *c)
{
    run_bitfield(c, false);
}

void bitmap__bitfield_ro(struct call *c)
{
    run_bitfield(c, true);
}
