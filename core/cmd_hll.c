/* cmd_hll.c - HyperLogLog commands: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST (rows at the end;
 * the format and the mathematics are in hll.h).
 *
 * A HyperLogLog is a string. One that PFADD works on is a blob with some room to grow while it is
 * sparse. PFCOUNT of one key keeps the count in the value, so that the next one costs nothing: a
 * command that reads and yet changes a value, as in Redis. */
#include "core/cmd_string.h"
#include "core/hll.h"
#include "core/mem.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>

enum { NEW_VALUE_ROOM = 64, DECODED_RUN_MAX = sizeof("Z:16384 ") };

/* --- values of keys --- */

static void error_corrupt(struct call *c)
{
    reply_error(c->out, "INVALIDOBJ Corrupted HLL object detected");
}

static void error_memory(struct call *c)
{
    reply_error(c->out, "OOM not enough memory for a HyperLogLog");
}

/* The value of e (may be NULL: an empty slice) if it is a HyperLogLog; replies an error if not. */
static bool check_value(struct call *c, const struct entry *e, char digits[24], struct slice *value)
{
    *value = e ? entry_string(e, digits) : slice_of("", 0);
    if (e && !hll_valid(value->ptr, value->len)) {
        reply_error(c->out, "WRONGTYPE Key is not a valid HyperLogLog string value.");
        return false;
    }
    return true;
}

/* Looks a key up for reading; false after an error reply. Absent: the value is empty. */
static bool read_value(struct call *c, const struct key *k, char digits[24], struct slice *value)
{
    bool bad = false;
    struct entry *e = key_read_type(c, k, TYPE_STRING, &bad);
    return !bad && check_value(c, e, digits, value);
}

/* A value that is being changed. */
struct open_value {
    struct entry *e;
    struct blob *b; /* its own, nobody else reads it */
};

/* Makes e's value, which is a HyperLogLog, a blob of its own; false after an error reply. */
static bool open_value(struct call *c, const struct key *k, struct entry *e, struct slice value,
                       struct open_value *o)
{
    if (e->encoding == ENC_BLOB) {
        o->b = blob_own(entry_object(e), value.len);
    } else {
        o->b = blob_try_new(value.ptr, value.len, value.len + NEW_VALUE_ROOM);
    }
    if (!o->b) {
        error_memory(c);
        return false;
    }
    if (e->encoding == ENC_BLOB) {
        entry_set_object(e, o->b);
        e->flags |= ENTRY_RAW;
        o->e = e;
    } else {
        o->e = key_set_blob(c, k, e, o->b, true);
    }
    return true;
}

static void open_new(struct call *c, const struct key *k, struct open_value *o)
{
    o->b = blob_new("", 0, NEW_VALUE_ROOM);
    hll_init(o->b->data);
    o->b->len = HLL_EMPTY_BYTES;
    o->e = key_set_blob(c, k, NULL, o->b, false);
}

/* Room for an element more, twice as much as there is, but not more than a sparse value may use. */
static bool open_reserve(struct call *c, struct open_value *o, size_t sparse_max)
{
    const size_t len = o->b->len, needed = len + HLL_GROW_BYTES;
    if (hll_encoding_of(o->b->data) == HLL_DENSE || o->b->cap >= needed) {
        return true;
    }
    size_t cap = len * 2;
    if (cap > sparse_max && sparse_max >= len) {
        cap = sparse_max + HLL_GROW_BYTES;
    }
    struct blob *b = blob_own(o->b, cap < needed ? needed : cap);
    if (!b) {
        error_memory(c);
        return false;
    }
    o->b = b;
    entry_set_object(o->e, b);
    return true;
}

/* False after an error reply. */
static bool open_to_dense(struct call *c, struct open_value *o)
{
    struct blob *b = blob_try_new("", 0, HLL_DENSE_BYTES);
    if (!b) {
        error_memory(c);
        return false;
    }
    if (!hll_to_dense((uint8_t *)b->data, o->b->data, o->b->len)) {
        blob_release(b);
        error_corrupt(c);
        return false;
    }
    b->len = HLL_DENSE_BYTES;
    blob_release(o->b);
    o->b = b;
    entry_set_object(o->e, b);
    return true;
}

/* --- PFADD --- */

static size_t sparse_max_bytes(const struct call *c)
{
    int64_t max = c->ks->settings->hll_sparse_max_bytes;
    return max < 0 ? 0 : (size_t)max;
}

/* HLL_CORRUPT also when memory was short: an error was replied. */
static enum hll_result add_element(struct call *c, struct open_value *o, struct slice element)
{
    const size_t sparse_max = sparse_max_bytes(c);
    for (;;) {
        if (!open_reserve(c, o, sparse_max)) {
            return HLL_CORRUPT;
        }
        enum hll_result result =
            hll_add(o->b->data, &o->b->len, sparse_max, element.ptr, element.len);
        if (result == HLL_CORRUPT) {
            error_corrupt(c);
        }
        if (result != HLL_MUST_BE_DENSE) {
            return result;
        }
        if (!open_to_dense(c, o)) {
            return HLL_CORRUPT;
        }
    }
}

static void hll_pfadd(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct open_value o;
    struct slice value;
    char digits[24];
    bool bad = false;
    uint64_t changes = 0;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad || !check_value(c, e, digits, &value)) {
        return;
    }
    if (!e) {
        open_new(c, k, &o);
        changes++;
    } else if (!open_value(c, k, e, value, &o)) {
        return;
    }
    enum hll_result result = HLL_SAME;
    for (uint32_t i = 2; i < c->argc && result != HLL_CORRUPT; i++) {
        result = add_element(c, &o, c->argv[i]);
        changes += result == HLL_CHANGED;
    }
    if (changes > 0) {
        hll_drop_cached(o.b->data);
        key_modified(c, k, changes);
        key_event(c, EVENT_STRING, "pfadd", k);
    }
    if (result != HLL_CORRUPT) {
        reply_int(c->out, changes > 0);
    }
}

/* --- PFCOUNT --- */

/* Keeps the count in the value; it does not matter if memory is too short for that. */
static void keep_count(struct call *c, const struct key *k, uint64_t count)
{
    struct entry *e = key_write(c, k);
    assert(e && e->type == TYPE_STRING);
    if (e->encoding == ENC_INLINE) {
        hll_set_cached(entry_inline_value(e), count);
    } else {
        struct blob *b = entry_object(e);
        b = blob_own(b, b->len);
        if (!b) {
            return;
        }
        entry_set_object(e, b);
        hll_set_cached(b->data, count);
    }
    e->flags |= ENTRY_RAW;
    key_modified(c, k, 1);
}

static void count_one(struct call *c, const struct key *k)
{
    struct slice value;
    char digits[24];
    uint64_t count;
    if (!read_value(c, k, digits, &value)) {
        return;
    }
    if (value.len == 0) {
        reply_int(c->out, 0);
        return;
    }
    if (!hll_cached(value.ptr, &count)) {
        if (!hll_count(value.ptr, value.len, &count)) {
            error_corrupt(c);
            return;
        }
        keep_count(c, k, count);
    }
    reply_int(c->out, (int64_t)count);
}

/* The largest of each register over all keys; *dense when one of the values is. False after an
 * error reply. */
static bool merge_keys(struct call *c, struct hll_registers *r, bool *dense)
{
    memset(r, 0, sizeof *r);
    *dense = false;
    for (uint32_t i = 0; i < c->nkeys; i++) {
        struct slice value;
        char digits[24];
        if (!read_value(c, &c->keys[i], digits, &value)) {
            return false;
        }
        if (value.len == 0) {
            continue;
        }
        *dense |= hll_encoding_of(value.ptr) == HLL_DENSE;
        if (!hll_merge(r, value.ptr, value.len)) {
            error_corrupt(c);
            return false;
        }
    }
    return true;
}

static void hll_pfcount(struct call *c)
{
    if (c->nkeys == 1) {
        count_one(c, &c->keys[0]);
        return;
    }
    struct hll_registers r;
    bool dense;
    if (merge_keys(c, &r, &dense)) {
        reply_int(c->out, (int64_t)hll_registers_count(&r));
    }
}

/* --- PFMERGE --- */

static struct blob *new_value(struct call *c, const struct hll_registers *r, bool dense)
{
    if (!dense) {
        uint8_t sparse[HLL_HEADER_BYTES + HLL_REGISTERS]; /* a byte per register at most */
        size_t room = sparse_max_bytes(c);
        room = room > HLL_EMPTY_BYTES ? room : HLL_EMPTY_BYTES;
        size_t len = hll_write_sparse(sparse, room < sizeof sparse ? room : sizeof sparse, r);
        if (len > 0) {
            return blob_try_new(sparse, len, len);
        }
    }
    struct blob *b = blob_try_new("", 0, HLL_DENSE_BYTES);
    if (b) {
        hll_write_dense((uint8_t *)b->data, r);
        b->len = HLL_DENSE_BYTES;
    }
    return b;
}

/* A destination alone is all right, which the row's second key specification cannot say. */
static int find_merge_keys(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    for (uint32_t i = 1; i < argc && (int)i <= max; i++) {
        positions[i - 1] = i;
    }
    return (int)argc - 1;
}

/* The destination is one of the sources. */
static void hll_pfmerge(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct hll_registers r;
    bool dense;
    if (!merge_keys(c, &r, &dense)) {
        return;
    }
    struct blob *b = new_value(c, &r, dense);
    if (!b) {
        error_memory(c);
        return;
    }
    key_set_blob(c, k, key_write(c, k), b, true);
    key_modified(c, k, 1);
    key_event(c, EVENT_STRING, "pfadd", k);
    reply_ok(c->out);
}

/* --- PFDEBUG --- */

static void debug_getreg(struct call *c, const struct key *k, struct entry *e, struct slice value)
{
    struct open_value o;
    struct hll_registers r = {{0}};
    if (!open_value(c, k, e, value, &o)) {
        return;
    }
    if (hll_encoding_of(o.b->data) == HLL_SPARSE) {
        if (!open_to_dense(c, &o)) {
            return;
        }
        key_modified(c, k, 1);
    }
    hll_merge(&r, o.b->data, o.b->len);
    reply_array(c->out, HLL_REGISTERS);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        reply_int(c->out, r.at[i]);
    }
}

static void debug_todense(struct call *c, const struct key *k, struct entry *e, struct slice value)
{
    struct open_value o;
    if (hll_encoding_of(value.ptr) == HLL_DENSE) {
        reply_int(c->out, 0);
        return;
    }
    if (open_value(c, k, e, value, &o) && open_to_dense(c, &o)) {
        key_modified(c, k, 1);
        reply_int(c->out, 1);
    }
}

/* "Z:1000 v:2,1 z:10": zeroes, zeroes in two bytes, values and how many. */
static void debug_decode(struct call *c, struct slice value)
{
    if (hll_encoding_of(value.ptr) != HLL_SPARSE) {
        reply_error(c->out, "ERR HLL encoding is not sparse");
        return;
    }
    const uint8_t *p = (const uint8_t *)value.ptr + HLL_HEADER_BYTES;
    const uint8_t *end = (const uint8_t *)value.ptr + value.len;
    char *text = mem_alloc((size_t)(end - p) * DECODED_RUN_MAX + 1);
    size_t len = 0;
    struct hll_run run;
    for (; hll_run_read(p, end, &run); p += run.bytes) {
        if (run.value > 0) {
            len += (size_t)sprintf(text + len, "v:%u,%u ", run.value, run.registers);
        } else {
            len += (size_t)sprintf(text + len, "%c:%u ", run.bytes == 1 ? 'z' : 'Z',
                                   run.registers);
        }
    }
    reply_bulk(c->out, text, len > 0 ? len - 1 : 0);
    mem_free(text);
}

static void hll_pfdebug(struct call *c)
{
    const struct key *k = &c->keys[0];
    const struct slice what = c->argv[1];
    struct slice value;
    char digits[24];
    bool bad = false;
    struct entry *e = key_write_type(c, k, TYPE_STRING, &bad);
    if (bad) {
        return;
    }
    if (!e) {
        reply_error(c->out, "ERR The specified key does not exist");
        return;
    }
    if (!check_value(c, e, digits, &value)) {
        return;
    }
    if (slice_is(what, "getreg")) {
        debug_getreg(c, k, e, value);
    } else if (slice_is(what, "decode")) {
        debug_decode(c, value);
    } else if (slice_is(what, "encoding")) {
        reply_status(c->out, hll_encoding_of(value.ptr) == HLL_DENSE ? "dense" : "sparse");
    } else if (slice_is(what, "todense")) {
        debug_todense(c, k, e, value);
    } else {
        reply_errorf(c->out, "ERR Unknown PFDEBUG subcommand '%.*s'",
                     (int)(what.len < 128 ? what.len : 128), what.ptr);
    }
}

/* --- PFSELFTEST: registers keep what they are given, dense and sparse values agree, and counts are
 * as good as they should be. Redis adds ten million elements; a shard is not kept that long. --- */

enum { SELFTEST_ELEMENTS = 100000, SELFTEST_SPARSE_MAX = 3000, SELFTEST_ERRORS = 6 };

static bool selftest_registers(struct call *c)
{
    struct hll_registers r, back = {{0}};
    uint8_t dense[HLL_DENSE_BYTES];
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        r.at[i] = (uint8_t)(hll_hash(&i, sizeof i) & 63);
    }
    hll_write_dense(dense, &r);
    hll_merge(&back, dense, sizeof dense);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (r.at[i] != back.at[i]) {
            reply_errorf(c->out, "TESTFAILED Register %u should be %u but is %u", i, r.at[i],
                         back.at[i]);
            return false;
        }
    }
    return true;
}

struct selftest {
    uint8_t dense[HLL_DENSE_BYTES];
    uint8_t other[HLL_DENSE_BYTES]; /* sparse as long as that goes */
    size_t dense_len, other_len;
};

static bool selftest_check(struct call *c, const struct selftest *t, uint64_t added)
{
    uint64_t count = 0, other = 0;
    if (added < SELFTEST_SPARSE_MAX / 2 && hll_encoding_of(t->other) != HLL_SPARSE) {
        reply_error(c->out, "TESTFAILED sparse encoding not used");
        return false;
    }
    if (!hll_count(t->dense, t->dense_len, &count) || !hll_count(t->other, t->other_len, &other) ||
        count != other) {
        reply_error(c->out, "TESTFAILED dense/sparse disagree");
        return false;
    }
    const double standard_error = 1.04 / sqrt(HLL_REGISTERS);
    const double off = fabs((double)added - (double)count);
    if (off > ceil(standard_error * SELFTEST_ERRORS * (double)added)) {
        reply_errorf(c->out, "TESTFAILED Too big error. card:%llu abserr:%.0f",
                     (unsigned long long)added, off);
        return false;
    }
    return true;
}

static bool selftest_counts(struct call *c)
{
    struct selftest t = {.dense_len = HLL_DENSE_BYTES, .other_len = HLL_EMPTY_BYTES};
    const struct hll_registers none = {{0}};
    hll_write_dense(t.dense, &none);
    hll_init(t.other);
    const uint64_t seed = (uint64_t)c->now_ms << 20;
    uint64_t checkpoint = 1;
    for (uint64_t i = 1; i <= SELFTEST_ELEMENTS; i++) {
        const uint64_t element = i ^ seed;
        hll_add(t.dense, &t.dense_len, 0, &element, sizeof element);
        while (hll_add(t.other, &t.other_len, SELFTEST_SPARSE_MAX, &element, sizeof element) ==
               HLL_MUST_BE_DENSE) {
            uint8_t dense[HLL_DENSE_BYTES];
            hll_to_dense(dense, t.other, t.other_len);
            memcpy(t.other, dense, sizeof dense);
            t.other_len = HLL_DENSE_BYTES;
        }
        if (i == checkpoint) {
            if (!selftest_check(c, &t, i)) {
                return false;
            }
            checkpoint *= 10;
        }
    }
    return true;
}

static void hll_pfselftest(struct call *c)
{
    if (selftest_registers(c) && selftest_counts(c)) {
        reply_ok(c->out);
    }
}

/* --- the rows, ordered by name --- */

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}

static const struct command_arg args_pfadd[] = {
    ARG("key", ARG_KEY), ARG("element", ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE), END,
};
static const struct command_arg args_keys[] = {ARG("key", ARG_KEY, .flags = ARG_MULTIPLE), END};
static const struct command_arg args_pfdebug[] = {
    ARG("subcommand", ARG_STRING), ARG("key", ARG_KEY), END,
};
static const struct command_arg args_pfmerge[] = {
    ARG("destkey", ARG_KEY),
    ARG("sourcekey", ARG_KEY, .flags = ARG_OPTIONAL | ARG_MULTIPLE, .key_spec = 1),
    END,
};

#define HLL_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), \
    .acl = ACL_HYPERLOGLOG, .group = "hyperloglog", .since = "2.8.9"

const struct command hll_commands[] = {
    {
        HLL_ROW("pfadd", hll_pfadd, -2, CMD_WRITE | CMD_DENYOOM | CMD_FAST),
        .route = ROUTE_KEYS,
        .keys = {{.flags = KEY_RW | KEY_INSERT, KEYS_AT(1, 0, 1)}},
        .summary = "Adds elements to a HyperLogLog; creates the key if it is absent.",
        .complexity = "O(1) for each element",
        .args = args_pfadd,
    },
    {
        HLL_ROW("pfcount", hll_pfcount, -2, CMD_READONLY | CMD_MAY_REPLICATE),
        .route = ROUTE_KEYS,
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS,
                  .notes = "RW: the count is kept in the value, and may reach replicas",
                  KEYS_AT(1, -1, 1)}},
        .summary = "Estimates how many different elements HyperLogLogs have seen together.",
        .complexity = "O(1) for one key, most often; O(N) for N keys, with a larger constant",
        .args = args_keys,
    },
    {
        HLL_ROW("pfdebug", hll_pfdebug, 3, CMD_WRITE | CMD_DENYOOM | CMD_ADMIN),
        .route = ROUTE_KEYS,
        .keys = {{.flags = KEY_RW | KEY_ACCESS, KEYS_AT(2, 0, 1)}},
        .summary = "Shows the inside of a HyperLogLog.",
        .complexity = "N/A",
        .args = args_pfdebug,
    },
    {
        HLL_ROW("pfmerge", hll_pfmerge, -2, CMD_WRITE | CMD_DENYOOM),
        .route = ROUTE_KEYS,
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_INSERT, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RO | KEY_ACCESS, KEYS_AT(2, -1, 1)}},
        .find_keys = find_merge_keys,
        .summary = "Merges HyperLogLogs into the first one.",
        .complexity = "O(N) for N HyperLogLogs, with a large constant",
        .args = args_pfmerge,
    },
    {
        HLL_ROW("pfselftest", hll_pfselftest, 1, CMD_ADMIN),
        .route = ROUTE_HOME,
        .summary = "Tests the HyperLogLog code.",
        .complexity = "N/A",
    },
    {.name = NULL},
};
