/* cmd_object.c - how values are kept: OBJECT, and what MEMORY USAGE and DEBUG ask of keys
 * (cmd_object.h).
 *
 * The names of encodings and the numbers of references are those that Redis would show for such a
 * value; tools and test suites compare them. Here short strings lie in the entry, small integers
 * are not shared, and only long strings count references. */
#include "core/cmd_generic.h"
#include "core/serial.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    EMBSTR_MAX_BYTES = 44,   /* longest string that Redis calls embstr */
    SHARED_INTS = 10000,     /* 0 … are shared objects in Redis */
    SHARED_REFCOUNT = INT32_MAX,
    SAMPLES_DEFAULT = 5,     /* of MEMORY USAGE, for collections */
    DIGEST_BYTES = 20,
};

/* OBJECT's look at a key: counted as any other, but no event and no access clock. */
static struct entry *look(struct call *c, const struct key *k)
{
    struct entry *e = key_peek(c, k);
    struct keyspace_stats *stats = &call_keyspace(c, k)->stats;
    if (e) {
        stats->hits++;
    } else {
        stats->misses++;
    }
    return e;
}

static struct entry *look_or_null(struct call *c)
{
    struct entry *e = look(c, &c->keys[0]);
    if (!e) {
        reply_null(c->out);
    }
    return e;
}

/* --- OBJECT ENCODING --- */

static const char *encoding_name(const struct entry *e)
{
    static const char *const names[] = {
        [ENC_INT] = "int",         [ENC_BLOB] = "raw",      [ENC_LISTPACK] = "listpack",
        [ENC_QUICKLIST] = "quicklist", [ENC_INTSET] = "intset", [ENC_TABLE] = "hashtable",
        [ENC_TREE] = "skiplist",   [ENC_LISTPACK_EX] = "listpackex",
    };
    if (e->encoding == ENC_INLINE) {
        return (e->flags & ENTRY_RAW) || e->value_len > EMBSTR_MAX_BYTES ? "raw" : "embstr";
    }
    if (e->type == TYPE_STREAM) {
        return "stream";
    }
    assert(e->encoding < sizeof names / sizeof names[0]);
    return names[e->encoding];
}

void cmd_object_encoding(struct call *c)
{
    const struct entry *e = look_or_null(c);
    if (e) {
        reply_bulk_str(c->out, encoding_name(e));
    }
}

/* --- OBJECT REFCOUNT --- */

/* Redis shares small integers, unless it evicts by clocks that every key needs for itself. */
static bool shares_ints(const struct settings *s)
{
    switch (s->maxmemory_policy) {
    case POLICY_VOLATILE_LRU:
    case POLICY_VOLATILE_LFU:
    case POLICY_ALLKEYS_LRU:
    case POLICY_ALLKEYS_LFU:
        return s->maxmemory == 0;
    case POLICY_NOEVICTION:
    case POLICY_VOLATILE_RANDOM:
    case POLICY_VOLATILE_TTL:
    case POLICY_ALLKEYS_RANDOM:
        break;
    }
    return true;
}

static int64_t refcount(const struct call *c, const struct entry *e)
{
    const bool shared = e->encoding == ENC_INT && entry_int(e) >= 0 &&
                        entry_int(e) < SHARED_INTS && shares_ints(c->ks->settings);
    return shared ? SHARED_REFCOUNT : 1;
}

void cmd_object_refcount(struct call *c)
{
    const struct entry *e = look_or_null(c);
    if (e) {
        reply_int(c->out, refcount(c, e));
    }
}

/* --- OBJECT IDLETIME, OBJECT FREQ --- */

#define ERROR_POLICY(what)                                                                        \
    "ERR An LFU maxmemory policy is " what " tracked. Please note that when switching between "   \
    "policies at runtime LRU and LFU data will take some time to adjust."

void cmd_object_idletime(struct call *c)
{
    const struct entry *e = look_or_null(c);
    if (!e) {
        return;
    }
    if (settings_use_lfu(c->ks->settings)) {
        reply_error(c->out, ERROR_POLICY("selected, idle time not"));
        return;
    }
    reply_int(c->out, entry_idle_s(e, c->now_ms));
}

void cmd_object_freq(struct call *c)
{
    const struct entry *e = look_or_null(c);
    if (!e) {
        return;
    }
    if (!settings_use_lfu(c->ks->settings)) {
        reply_error(c->out, ERROR_POLICY("not selected, access frequency not"));
        return;
    }
    reply_int(c->out, entry_lfu_counter(e, c->ks->settings, c->now_ms));
}

/* --- OBJECT HELP --- */

void cmd_object_help(struct call *c)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Name the representation that holds the value of <key>.",
        "FREQ <key>",
        "    Show the logarithmic counter of how often <key> is accessed (LFU policies).",
        "IDLETIME <key>",
        "    Show for how many seconds <key> has not been accessed, approximately.",
        "REFCOUNT <key>",
        "    Show how many references there are to the value of <key>.",
        NULL,
    };
    call_help(c, lines);
}

/* --- MEMORY USAGE --- */

const struct command_arg cmd_memory_usage_args[] = {
    {.name = "key", .type = ARG_KEY},
    {.name = "count", .type = ARG_INTEGER, .token = "SAMPLES", .flags = ARG_OPTIONAL},
    {0},
};

/* Of collections, up to so many elements are looked at (0: all); strings need none. */
static bool parse_samples(struct call *c, int64_t *samples)
{
    *samples = SAMPLES_DEFAULT;
    for (uint32_t i = 3; i < c->argc; i += 2) {
        if (!slice_is(c->argv[i], "samples") || i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!call_arg_int(c, i + 1, samples)) {
            return false;
        }
        if (*samples < 0) {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

void cmd_memory_usage(struct call *c)
{
    int64_t samples;
    if (!parse_samples(c, &samples)) {
        return;
    }
    const struct key *k = &c->keys[0];
    const struct entry *e = key_peek(c, k);
    if (!e) {
        reply_null(c->out);
        return;
    }
    /* with its share of the slot's table */
    const struct table *t = &call_keyspace(c, k)->db[c->db]->slots[k->slot].table;
    reply_int(c->out, (int64_t)(entry_memory(e) + table_bytes(t) / t->count));
}

/* --- DEBUG OBJECT --- */

static const void *value_address(const struct entry *e)
{
    return e->encoding >= ENC_BLOB ? entry_object(e) : e;
}

void cmd_debug_object(struct call *c)
{
    /* Also one that has expired and is still there. */
    const struct entry *e = keyspace_find(call_keyspace(c, &c->keys[0]), c->db, &c->keys[0]);
    if (!e) {
        call_error_no_key(c);
        return;
    }
    struct bytes value = {0};
    serial_value(&value, e, c->ks->settings);
    char text[256];
    snprintf(text, sizeof text,
             "Value at:%p refcount:%" PRId64 " encoding:%s serializedlength:%zu lru:%u "
             "lru_seconds_idle:%" PRId64,
             value_address(e), refcount(c, e), encoding_name(e), value.len - 1 /* type byte */,
             (unsigned)e->lru, (int64_t)entry_idle_s(e, c->now_ms));
    bytes_free(&value);
    reply_status(c->out, text);
}

/* --- DEBUG DIGEST-VALUE --- */

void cmd_debug_digest_value(struct call *c)
{
    if (!(c->flags & CALL_PART)) {
        reply_array(c->out, c->nkeys);
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        uint8_t digest[DIGEST_BYTES] = {0};
        const struct entry *e = key_peek(c, &c->keys[i]);
        if (e) {
            keyspace_digest_value(e, digest);
        }
        char hex[2 * DIGEST_BYTES + 1];
        for (int b = 0; b < DIGEST_BYTES; b++) {
            snprintf(hex + 2 * b, 3, "%02x", digest[b]);
        }
        reply_status(c->out, hex);
        call_mark(c);
    }
}
