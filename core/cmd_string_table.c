/* cmd_string_table.c - the rows of the string commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7.4, which clients read
 * through COMMAND; the descriptions are ours. */
#include "core/cmd_string.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_key[] = {ARG("key", ARG_KEY), END};
static const struct command_arg args_keys[] = {ARG("key", ARG_KEY, .flags = ARG_MULTIPLE), END};
static const struct command_arg args_key_value[] = {
    ARG("key", ARG_KEY), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_pairs[] = {
    ARG("data", ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = args_key_value), END,
};
static const struct command_arg args_decrby[] = {
    ARG("key", ARG_KEY), ARG("decrement", ARG_INTEGER), END,
};
static const struct command_arg args_incrby[] = {
    ARG("key", ARG_KEY), ARG("increment", ARG_INTEGER), END,
};
static const struct command_arg args_incrbyfloat[] = {
    ARG("key", ARG_KEY), ARG("increment", ARG_DOUBLE), END,
};
static const struct command_arg args_range[] = {
    ARG("key", ARG_KEY), ARG("start", ARG_INTEGER), ARG("end", ARG_INTEGER), END,
};
static const struct command_arg args_setrange[] = {
    ARG("key", ARG_KEY), ARG("offset", ARG_INTEGER), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_setex[] = {
    ARG("key", ARG_KEY), ARG("seconds", ARG_INTEGER), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_psetex[] = {
    ARG("key", ARG_KEY), ARG("milliseconds", ARG_INTEGER), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_getex_expiration[] = {
    ARG("seconds", ARG_INTEGER, .token = "EX"),
    ARG("milliseconds", ARG_INTEGER, .token = "PX"),
    ARG("unix-time-seconds", ARG_UNIX_TIME, .token = "EXAT"),
    ARG("unix-time-milliseconds", ARG_UNIX_TIME, .token = "PXAT"),
    ARG("persist", ARG_PURE_TOKEN, .token = "PERSIST"),
    END,
};
static const struct command_arg args_getex[] = {
    ARG("key", ARG_KEY),
    ARG("expiration", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_getex_expiration),
    END,
};
static const struct command_arg args_lcs[] = {
    ARG("key1", ARG_KEY),
    ARG("key2", ARG_KEY),
    ARG("len", ARG_PURE_TOKEN, .token = "LEN", .flags = ARG_OPTIONAL),
    ARG("idx", ARG_PURE_TOKEN, .token = "IDX", .flags = ARG_OPTIONAL),
    ARG("min-match-len", ARG_INTEGER, .token = "MINMATCHLEN", .flags = ARG_OPTIONAL),
    ARG("withmatchlen", ARG_PURE_TOKEN, .token = "WITHMATCHLEN", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_set_condition[] = {
    ARG("nx", ARG_PURE_TOKEN, .token = "NX"),
    ARG("xx", ARG_PURE_TOKEN, .token = "XX"),
    END,
};
static const struct command_arg args_set_expiration[] = {
    ARG("seconds", ARG_INTEGER, .token = "EX", .since = "2.6.12"),
    ARG("milliseconds", ARG_INTEGER, .token = "PX", .since = "2.6.12"),
    ARG("unix-time-seconds", ARG_UNIX_TIME, .token = "EXAT", .since = "6.2.0"),
    ARG("unix-time-milliseconds", ARG_UNIX_TIME, .token = "PXAT", .since = "6.2.0"),
    ARG("keepttl", ARG_PURE_TOKEN, .token = "KEEPTTL", .since = "6.0.0"),
    END,
};
static const struct command_arg args_set[] = {
    ARG("key", ARG_KEY),
    ARG("value", ARG_STRING),
    ARG("condition", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "2.6.12",
        .sub = args_set_condition),
    ARG("get", ARG_PURE_TOKEN, .token = "GET", .flags = ARG_OPTIONAL, .since = "6.2.0"),
    ARG("expiration", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_set_expiration),
    END,
};

/* --- history and tips --- */

static const struct command_change history_set[] = {
    CHANGE("2.6.12", "Options `EX`, `PX`, `NX` and `XX`."),
    CHANGE("6.0.0", "Option `KEEPTTL`."),
    CHANGE("6.2.0", "Options `GET`, `EXAT` and `PXAT`."),
    CHANGE("7.0.0", "`NX` and `GET` may stand together."),
    {.since = NULL},
};
static const char *const tips_mget[] = {"request_policy:multi_shard", NULL};
static const char *const tips_mset[] = {
    "request_policy:multi_shard", "response_policy:all_succeeded", NULL,
};
static const char *const tips_msetnx[] = {
    "request_policy:multi_shard", "response_policy:agg_min", NULL,
};

/* --- the rows --- */

#define STRING_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_STRING, \
    .route = ROUTE_KEYS, .group = "string"
#define ONE_KEY(flags_) .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}}
#define WRITES (CMD_WRITE | CMD_DENYOOM)
#define COUNTS (KEY_RW | KEY_ACCESS | KEY_UPDATE)

const struct command string_commands[] = {
    {
        STRING_ROW("append", string__append, 3, WRITES | CMD_FAST),
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "2.0.0",
        .summary = "Adds bytes to the end of a string; creates the key if it is absent.",
        .complexity = "O(1) amortized for short additions",
        .args = args_key_value,
    },
    {
        STRING_ROW("decr", string__decr, 2, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "1.0.0",
        .summary = "Takes one from an integer; an absent key counts as 0.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STRING_ROW("decrby", string__decrby, 3, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "1.0.0",
        .summary = "Takes a number from an integer; an absent key counts as 0.",
        .complexity = "O(1)",
        .args = args_decrby,
    },
    {
        STRING_ROW("get", string__get, 2, CMD_READONLY | CMD_FAST),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies a key's string.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STRING_ROW("getdel", string__getdel, 2, CMD_WRITE | CMD_FAST),
        ONE_KEY(KEY_RW | KEY_ACCESS | KEY_DELETE),
        .since = "6.2.0",
        .summary = "Replies a key's string and deletes the key.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STRING_ROW("getex", string__getex, -2, CMD_WRITE | CMD_FAST),
        .keys = {{.flags = COUNTS, .notes = "RW and UPDATE: the expiry may change",
                  KEYS_AT(1, 0, 1)}},
        .since = "6.2.0",
        .summary = "Replies a key's string and sets or removes the key's expiry.",
        .complexity = "O(1)",
        .args = args_getex,
    },
    {
        STRING_ROW("getrange", string__getrange, 4, CMD_READONLY),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "2.4.0",
        .summary = "Replies part of a string, given by its first and last byte.",
        .complexity = "O(N) where N is the number of bytes replied",
        .args = args_range,
    },
    {
        STRING_ROW("getset", string__getset, 3, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "1.0.0",
        .summary = "Sets a key's string and replies the one before.",
        .complexity = "O(1)",
        .deprecated_since = "6.2.0",
        .replaced_by = "`SET` with the `!GET` argument",
        .args = args_key_value,
    },
    {
        STRING_ROW("incr", string__incr, 2, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "1.0.0",
        .summary = "Adds one to an integer; an absent key counts as 0.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STRING_ROW("incrby", string__incrby, 3, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "1.0.0",
        .summary = "Adds a number to an integer; an absent key counts as 0.",
        .complexity = "O(1)",
        .args = args_incrby,
    },
    {
        STRING_ROW("incrbyfloat", string__incrbyfloat, 3, WRITES | CMD_FAST),
        ONE_KEY(COUNTS),
        .since = "2.6.0",
        .summary = "Adds a floating point number to a number; an absent key counts as 0.",
        .complexity = "O(1)",
        .args = args_incrbyfloat,
    },
    {
        STRING_ROW("lcs", string__lcs, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 1, 1)}},
        .since = "7.0.0",
        .summary = "Finds the longest common subsequence of two strings.",
        .complexity = "O(N*M) where N and M are the strings' lengths",
        .args = args_lcs,
    },
    {
        STRING_ROW("mget", string__mget, -2, CMD_READONLY | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .apart = APART_EACH_KEY,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, -1, 1)}},
        .since = "1.0.0",
        .summary = "Replies the strings of several keys, with null for what is none.",
        .complexity = "O(N) where N is the number of keys",
        .args = args_keys,
        .tips = tips_mget,
    },
    {
        STRING_ROW("mset", string__mset, -3, WRITES | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .apart = APART_OK,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, -1, 2)}},
        .since = "1.0.1",
        .summary = "Sets the strings of several keys at once.",
        .complexity = "O(N) where N is the number of keys",
        .args = args_pairs,
        .tips = tips_mset,
    },
    {
        STRING_ROW("msetnx", string__msetnx, -3, WRITES | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_INSERT, KEYS_AT(1, -1, 2)}},
        .since = "1.0.1",
        .summary = "Sets the strings of several keys at once if none of them is there.",
        .complexity = "O(N) where N is the number of keys",
        .args = args_pairs,
        .tips = tips_msetnx,
    },
    {
        STRING_ROW("psetex", string__psetex, 4, WRITES),
        ONE_KEY(KEY_OW | KEY_UPDATE),
        .since = "2.6.0",
        .summary = "Sets a key's string with an expiry in milliseconds.",
        .complexity = "O(1)",
        .deprecated_since = "2.6.12",
        .replaced_by = "`SET` with the `PX` argument",
        .args = args_psetex,
    },
    {
        STRING_ROW("set", string__set, -3, WRITES),
        .keys = {{.flags = COUNTS | KEY_VARIABLE_FLAGS,
                  .notes = "RW and ACCESS: `GET` replies the value before", KEYS_AT(1, 0, 1)}},
        .since = "1.0.0",
        .summary = "Sets a key's string, whatever the key held before.",
        .complexity = "O(1)",
        .history = history_set,
        .args = args_set,
    },
    {
        STRING_ROW("setex", string__setex, 4, WRITES),
        ONE_KEY(KEY_OW | KEY_UPDATE),
        .since = "2.0.0",
        .summary = "Sets a key's string with an expiry in seconds.",
        .complexity = "O(1)",
        .deprecated_since = "2.6.12",
        .replaced_by = "`SET` with the `EX` argument",
        .args = args_setex,
    },
    {
        STRING_ROW("setnx", string__setnx, 3, WRITES | CMD_FAST),
        ONE_KEY(KEY_OW | KEY_INSERT),
        .since = "1.0.0",
        .summary = "Sets a key's string if the key is absent.",
        .complexity = "O(1)",
        .deprecated_since = "2.6.12",
        .replaced_by = "`SET` with the `NX` argument",
        .args = args_key_value,
    },
    {
        STRING_ROW("setrange", string__setrange, 4, WRITES),
        ONE_KEY(KEY_RW | KEY_UPDATE),
        .since = "2.2.0",
        .summary = "Overwrites part of a string from an offset on; fills a gap with zero bytes.",
        .complexity = "O(M) where M is the length of the value",
        .args = args_setrange,
    },
    {
        STRING_ROW("strlen", string__strlen, 2, CMD_READONLY | CMD_FAST),
        ONE_KEY(KEY_RO),
        .since = "2.2.0",
        .summary = "Replies the length of a string in bytes.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STRING_ROW("substr", string__getrange, 4, CMD_READONLY),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies part of a string, given by its first and last byte.",
        .complexity = "O(N) where N is the number of bytes replied",
        .deprecated_since = "2.0.0",
        .replaced_by = "`GETRANGE`",
        .args = args_range,
    },
    {.name = NULL},
};
