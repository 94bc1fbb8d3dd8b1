/* cmd_hash_table.c - the rows of the hash commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7.4 (HGETDEL, HGETEX,
 * HSETEX: of Redis 8.0), which clients read through COMMAND; the descriptions are ours. */
#include "core/cmd_hash.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_key[] = {ARG("key", ARG_KEY), END};
static const struct command_arg args_key_field[] = {
    ARG("key", ARG_KEY), ARG("field", ARG_STRING), END,
};
static const struct command_arg args_key_fields[] = {
    ARG("key", ARG_KEY), ARG("field", ARG_STRING, .flags = ARG_MULTIPLE), END,
};
static const struct command_arg args_field_value[] = {
    ARG("field", ARG_STRING), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_pairs[] = {
    ARG("key", ARG_KEY),
    ARG("data", ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = args_field_value),
    END,
};
static const struct command_arg args_hsetnx[] = {
    ARG("key", ARG_KEY), ARG("field", ARG_STRING), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_hincrby[] = {
    ARG("key", ARG_KEY), ARG("field", ARG_STRING), ARG("increment", ARG_INTEGER), END,
};
static const struct command_arg args_hincrbyfloat[] = {
    ARG("key", ARG_KEY), ARG("field", ARG_STRING), ARG("increment", ARG_DOUBLE), END,
};
static const struct command_arg args_hrandfield_options[] = {
    ARG("count", ARG_INTEGER),
    ARG("withvalues", ARG_PURE_TOKEN, .token = "WITHVALUES", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_hrandfield[] = {
    ARG("key", ARG_KEY),
    ARG("options", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_hrandfield_options),
    END,
};
static const struct command_arg args_hscan[] = {
    ARG("key", ARG_KEY),
    ARG("cursor", ARG_INTEGER),
    ARG("pattern", ARG_PATTERN, .token = "MATCH", .flags = ARG_OPTIONAL),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    ARG("novalues", ARG_PURE_TOKEN, .token = "NOVALUES", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_numfields[] = {
    ARG("numfields", ARG_INTEGER),
    ARG("field", ARG_STRING, .flags = ARG_MULTIPLE),
    END,
};
static const struct command_arg args_numfields_data[] = {
    ARG("numfields", ARG_INTEGER),
    ARG("data", ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = args_field_value),
    END,
};
#define ARG_FIELDS ARG("fields", ARG_BLOCK, .token = "FIELDS", .sub = args_numfields)
static const struct command_arg args_fields[] = {ARG("key", ARG_KEY), ARG_FIELDS, END};
static const struct command_arg args_condition[] = {
    ARG("nx", ARG_PURE_TOKEN, .token = "NX"),
    ARG("xx", ARG_PURE_TOKEN, .token = "XX"),
    ARG("gt", ARG_PURE_TOKEN, .token = "GT"),
    ARG("lt", ARG_PURE_TOKEN, .token = "LT"),
    END,
};
#define ARG_CONDITION ARG("condition", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_condition)
static const struct command_arg args_hexpire[] = {
    ARG("key", ARG_KEY), ARG("seconds", ARG_INTEGER), ARG_CONDITION, ARG_FIELDS, END,
};
static const struct command_arg args_hpexpire[] = {
    ARG("key", ARG_KEY), ARG("milliseconds", ARG_INTEGER), ARG_CONDITION, ARG_FIELDS, END,
};
static const struct command_arg args_hexpireat[] = {
    ARG("key", ARG_KEY), ARG("unix-time-seconds", ARG_UNIX_TIME), ARG_CONDITION, ARG_FIELDS, END,
};
static const struct command_arg args_hpexpireat[] = {
    ARG("key", ARG_KEY), ARG("unix-time-milliseconds", ARG_UNIX_TIME), ARG_CONDITION, ARG_FIELDS,
    END,
};
#define ARGS_TIMES                                                                                \
    ARG("seconds", ARG_INTEGER, .token = "EX"), ARG("milliseconds", ARG_INTEGER, .token = "PX"),  \
        ARG("unix-time-seconds", ARG_UNIX_TIME, .token = "EXAT"),                                 \
        ARG("unix-time-milliseconds", ARG_UNIX_TIME, .token = "PXAT")
static const struct command_arg args_getex_expiration[] = {
    ARGS_TIMES, ARG("persist", ARG_PURE_TOKEN, .token = "PERSIST"), END,
};
static const struct command_arg args_hgetex[] = {
    ARG("key", ARG_KEY),
    ARG("expiration", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_getex_expiration),
    ARG_FIELDS,
    END,
};
static const struct command_arg args_setex_condition[] = {
    ARG("fnx", ARG_PURE_TOKEN, .token = "FNX"),
    ARG("fxx", ARG_PURE_TOKEN, .token = "FXX"),
    END,
};
static const struct command_arg args_setex_expiration[] = {
    ARGS_TIMES, ARG("keepttl", ARG_PURE_TOKEN, .token = "KEEPTTL"), END,
};
static const struct command_arg args_hsetex[] = {
    ARG("key", ARG_KEY),
    ARG("condition", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_setex_condition),
    ARG("expiration", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_setex_expiration),
    ARG("fields", ARG_BLOCK, .token = "FIELDS", .sub = args_numfields_data),
    END,
};

/* --- history and tips --- */

static const struct command_change history_hset[] = {
    CHANGE("4.0.0", "Several `field` and `value` arguments."),
    {.since = NULL},
};
static const struct command_change history_hdel[] = {
    CHANGE("2.4.0", "Several `field` arguments."),
    {.since = NULL},
};
static const char *const tips_random[] = {"nondeterministic_output", NULL};
static const char *const tips_order[] = {"nondeterministic_output_order", NULL};

/* --- the rows --- */

#define HASH_ROW(name_, run_, arity_, flags_, keys_, since_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_HASH, \
    .route = ROUTE_KEYS, .group = "hash", .since = (since_), \
    .keys = {{.flags = (keys_), KEYS_AT(1, 0, 1)}}
#define WRITES (CMD_WRITE | CMD_DENYOOM | CMD_FAST)
#define READS (CMD_READONLY | CMD_FAST)
#define O_FIELDS "O(N) where N is the number of fields named"
#define O_HASH "O(N) where N is the size of the hash"

const struct command hash_commands[] = {
    {
        HASH_ROW("hdel", hash__hdel, -3, CMD_WRITE | CMD_FAST | CMD_SLICED,
                 KEY_RW | KEY_DELETE, "2.0.0"),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .summary = "Deletes fields of a hash; the key goes with the last of them.",
        .complexity = O_FIELDS,
        .history = history_hdel,
        .args = args_key_fields,
    },
    {
        HASH_ROW("hexists", hash__hexists, 3, READS, KEY_RO, "2.0.0"),
        .member = 2,
        .summary = "Tells whether a field is in a hash.",
        .complexity = "O(1)",
        .args = args_key_field,
    },
    {
        HASH_ROW("hexpire", hash__hexpire, -6, WRITES, KEY_RW | KEY_UPDATE, "7.4.0"),
        .summary = "Gives fields of a hash a time to live in seconds.",
        .complexity = O_FIELDS,
        .args = args_hexpire,
    },
    {
        HASH_ROW("hexpireat", hash__hexpireat, -6, WRITES, KEY_RW | KEY_UPDATE, "7.4.0"),
        .summary = "Lets fields of a hash expire at a unix time in seconds.",
        .complexity = O_FIELDS,
        .args = args_hexpireat,
    },
    {
        HASH_ROW("hexpiretime", hash__hexpiretime, -5, READS, KEY_RO | KEY_ACCESS, "7.4.0"),
        .summary = "Replies when fields of a hash expire, as unix time in seconds.",
        .complexity = O_FIELDS,
        .args = args_fields,
    },
    {
        HASH_ROW("hget", hash__hget, 3, READS, KEY_RO | KEY_ACCESS, "2.0.0"),
        .member = 2,
        .summary = "Replies the value of a field of a hash.",
        .complexity = "O(1)",
        .args = args_key_field,
    },
    {
        HASH_ROW("hgetall", hash__hgetall, 2, CMD_READONLY | CMD_SLICED,
                 KEY_RO | KEY_ACCESS, "2.0.0"),
        .summary = "Replies all fields of a hash with their values.",
        .complexity = O_HASH,
        .args = args_key,
        .tips = tips_order,
    },
    {
        HASH_ROW("hgetdel", hash__hgetdel, -5, CMD_WRITE | CMD_FAST,
                 KEY_RW | KEY_ACCESS | KEY_DELETE, "8.0.0"),
        .summary = "Replies the values of fields of a hash and deletes these.",
        .complexity = O_FIELDS,
        .args = args_fields,
    },
    {
        HASH_ROW("hgetex", hash__hgetex, -5, CMD_WRITE | CMD_FAST,
                 KEY_RW | KEY_ACCESS | KEY_UPDATE, "8.0.0"),
        .summary = "Replies the values of fields of a hash and sets or removes their expiry.",
        .complexity = O_FIELDS,
        .args = args_hgetex,
    },
    {
        HASH_ROW("hincrby", hash__hincrby, 4, WRITES, KEY_RW | KEY_ACCESS | KEY_UPDATE, "2.0.0"),
        .member = 2,
        .summary = "Adds a number to the integer in a field; an absent field counts as 0.",
        .complexity = "O(1)",
        .args = args_hincrby,
    },
    {
        HASH_ROW("hincrbyfloat", hash__hincrbyfloat, 4, WRITES, KEY_RW | KEY_ACCESS | KEY_UPDATE,
                 "2.6.0"),
        .member = 2,
        .summary = "Adds a floating point number to that in a field; an absent one counts as 0.",
        .complexity = "O(1)",
        .args = args_hincrbyfloat,
    },
    {
        HASH_ROW("hkeys", hash__hkeys, 2, CMD_READONLY | CMD_SLICED, KEY_RO | KEY_ACCESS, "2.0.0"),
        .summary = "Replies all fields of a hash.",
        .complexity = O_HASH,
        .args = args_key,
        .tips = tips_order,
    },
    {
        HASH_ROW("hlen", hash__hlen, 2, READS, KEY_RO, "2.0.0"),
        .summary = "Replies how many fields a hash has.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        HASH_ROW("hmget", hash__hmget, -3, READS | CMD_SLICED, KEY_RO | KEY_ACCESS, "2.0.0"),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .summary = "Replies the values of several fields of a hash.",
        .complexity = O_FIELDS,
        .args = args_key_fields,
    },
    {
        HASH_ROW("hmset", hash__hmset, -4, WRITES | CMD_SLICED, KEY_RW | KEY_UPDATE, "2.0.0"),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .summary = "Sets several fields of a hash.",
        .complexity = O_FIELDS,
        .deprecated_since = "4.0.0",
        .replaced_by = "`HSET` with multiple field-value pairs",
        .args = args_pairs,
    },
    {
        HASH_ROW("hpersist", hash__hpersist, -5, CMD_WRITE | CMD_FAST, KEY_RW | KEY_UPDATE,
                 "7.4.0"),
        .summary = "Removes the expiry of fields of a hash.",
        .complexity = O_FIELDS,
        .args = args_fields,
    },
    {
        HASH_ROW("hpexpire", hash__hpexpire, -6, WRITES, KEY_RW | KEY_UPDATE, "7.4.0"),
        .summary = "Gives fields of a hash a time to live in milliseconds.",
        .complexity = O_FIELDS,
        .args = args_hpexpire,
    },
    {
        HASH_ROW("hpexpireat", hash__hpexpireat, -6, WRITES, KEY_RW | KEY_UPDATE, "7.4.0"),
        .summary = "Lets fields of a hash expire at a unix time in milliseconds.",
        .complexity = O_FIELDS,
        .args = args_hpexpireat,
    },
    {
        HASH_ROW("hpexpiretime", hash__hpexpiretime, -5, READS, KEY_RO | KEY_ACCESS, "7.4.0"),
        .summary = "Replies when fields of a hash expire, as unix time in milliseconds.",
        .complexity = O_FIELDS,
        .args = args_fields,
    },
    {
        HASH_ROW("hpttl", hash__hpttl, -5, READS, KEY_RO | KEY_ACCESS, "7.4.0"),
        .summary = "Replies the time to live of fields of a hash in milliseconds.",
        .complexity = O_FIELDS,
        .args = args_fields,
        .tips = tips_random,
    },
    {
        HASH_ROW("hrandfield", hash__hrandfield, -2, CMD_READONLY | CMD_SLICED | CMD_DRAWS,
                 KEY_RO | KEY_ACCESS, "6.2.0"),
        .sliced_from = 3,
        .summary = "Replies fields of a hash drawn at random.",
        .complexity = "O(N) where N is the number of fields replied",
        .args = args_hrandfield,
        .tips = tips_random,
    },
    {
        HASH_ROW("hscan", hash__hscan, -3, CMD_READONLY | CMD_SLICED, KEY_RO | KEY_ACCESS, "2.8.0"),
        .sliced_from = 5,
        .summary = "Goes through the fields of a hash step by step.",
        .complexity = "O(1) for every step, O(N) for a whole scan of N fields",
        .args = args_hscan,
        .tips = tips_random,
    },
    {
        HASH_ROW("hset", hash__hset, -4, WRITES | CMD_SLICED, KEY_RW | KEY_UPDATE, "2.0.0"),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .summary = "Sets fields of a hash; creates the key if it is absent.",
        .complexity = O_FIELDS,
        .history = history_hset,
        .args = args_pairs,
    },
    {
        HASH_ROW("hsetex", hash__hsetex, -6, WRITES, KEY_RW | KEY_UPDATE, "8.0.0"),
        .summary = "Sets fields of a hash together with their expiry.",
        .complexity = O_FIELDS,
        .args = args_hsetex,
    },
    {
        HASH_ROW("hsetnx", hash__hsetnx, 4, WRITES, KEY_RW | KEY_INSERT, "2.0.0"),
        .member = 2,
        .summary = "Sets a field of a hash if it is absent.",
        .complexity = "O(1)",
        .args = args_hsetnx,
    },
    {
        HASH_ROW("hstrlen", hash__hstrlen, 3, READS, KEY_RO, "3.2.0"),
        .member = 2,
        .summary = "Replies the length of a field's value in bytes.",
        .complexity = "O(1)",
        .args = args_key_field,
    },
    {
        HASH_ROW("httl", hash__httl, -5, READS, KEY_RO | KEY_ACCESS, "7.4.0"),
        .summary = "Replies the time to live of fields of a hash in seconds.",
        .complexity = O_FIELDS,
        .args = args_fields,
        .tips = tips_random,
    },
    {
        HASH_ROW("hvals", hash__hvals, 2, CMD_READONLY | CMD_SLICED, KEY_RO | KEY_ACCESS, "2.0.0"),
        .summary = "Replies all values of a hash.",
        .complexity = O_HASH,
        .args = args_key,
        .tips = tips_order,
    },
    {.name = NULL},
};
