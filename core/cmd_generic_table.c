/* cmd_generic_table.c - the rows of the commands on keys of any type (see struct command).
 *
 * Facts are those of Redis 7.0, and of 7.2 and 7.4 where those say more. The functions stand in
 * cmd_expire.c, cmd_key.c, cmd_object.c, cmd_scan.c and cmd_serial.c. Rows stand in the order of
 * those files. */
#include "core/cmd_generic.h"

#define O1 "O(1)"
#define KEY_ARG {.name = "key", .type = ARG_KEY}
#define ONE_KEY(flags_, pos) {{.flags = (flags_), KEYS_AT((pos), 0, 1)}}
#define MANY_KEYS(flags_) {{.flags = (flags_), KEYS_AT(1, -1, 1)}}

/* --- shared by several rows --- */

static const struct command_arg key_args[] = {KEY_ARG, {0}};
static const struct command_arg keys_args[] = {
    {.name = "key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
    {0},
};

static const char *const tips_nondeterministic[] = {"nondeterministic_output", NULL};
static const char *const tips_summed_keys[] = {
    "request_policy:multi_shard", "response_policy:agg_sum", NULL};
static const char *const tips_summed_shards[] = {
    "request_policy:all_shards", "response_policy:agg_sum", NULL};
static const char *const tips_all_succeed[] = {
    "request_policy:all_shards", "response_policy:all_succeeded", NULL};

/* --- expiry --- */

static const struct command_arg condition_args[] = {
    {.name = "nx", .type = ARG_PURE_TOKEN, .token = "NX"},
    {.name = "xx", .type = ARG_PURE_TOKEN, .token = "XX"},
    {.name = "gt", .type = ARG_PURE_TOKEN, .token = "GT"},
    {.name = "lt", .type = ARG_PURE_TOKEN, .token = "LT"},
    {0},
};
#define CONDITION_ARG                                                                             \
    {.name = "condition", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "7.0.0",             \
     .sub = condition_args}
static const struct command_arg expire_args[] = {
    KEY_ARG, {.name = "seconds", .type = ARG_INTEGER}, CONDITION_ARG, {0}};
static const struct command_arg pexpire_args[] = {
    KEY_ARG, {.name = "milliseconds", .type = ARG_INTEGER}, CONDITION_ARG, {0}};
static const struct command_arg expireat_args[] = {
    KEY_ARG, {.name = "unix-time-seconds", .type = ARG_UNIX_TIME}, CONDITION_ARG, {0}};
static const struct command_arg pexpireat_args[] = {
    KEY_ARG, {.name = "unix-time-milliseconds", .type = ARG_UNIX_TIME}, CONDITION_ARG, {0}};
static const struct command_change expire_history[] = {
    {"7.0.0", "The conditions `NX`, `XX`, `GT` and `LT` came in."}, {0}};
static const struct command_change ttl_history[] = {
    {"2.8.0", "Replies -2 when the key is absent."}, {0}};

#define EXPIRE_ROW(name_, run_, args_, since_, summary_)                                          \
    {                                                                                             \
        .name = name_, .run = run_, .arity = -3, .flags = CMD_WRITE | CMD_FAST,                   \
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RW | KEY_UPDATE, 1),        \
        .group = "generic", .since = since_, .summary = summary_, .complexity = O1,               \
        .history = expire_history, .args = args_,                                                 \
    }
#define TTL_ROW(name_, run_, since_, history_, tips_, summary_)                                   \
    {                                                                                             \
        .name = name_, .run = run_, .arity = 2, .flags = CMD_READONLY | CMD_FAST,                 \
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RO | KEY_ACCESS, 1),        \
        .group = "generic", .since = since_, .summary = summary_, .complexity = O1,               \
        .history = history_, .args = key_args, .tips = tips_,                                     \
    }

/* --- keys --- */

static const struct command_arg rename_args[] = {
    KEY_ARG, {.name = "newkey", .type = ARG_KEY, .key_spec = 1}, {0}};
static const struct command_change renamenx_history[] = {
    {"3.2.0", "Source and destination may be the same key."}, {0}};
static const struct command_arg copy_args[] = {
    {.name = "source", .type = ARG_KEY},
    {.name = "destination", .type = ARG_KEY, .key_spec = 1},
    {.name = "destination-db", .type = ARG_INTEGER, .token = "DB", .flags = ARG_OPTIONAL},
    {.name = "replace", .type = ARG_PURE_TOKEN, .token = "REPLACE", .flags = ARG_OPTIONAL},
    {0},
};
static const struct command_arg move_args[] = {KEY_ARG, {.name = "db", .type = ARG_INTEGER}, {0}};
static const struct command_change exists_history[] = {
    {"3.0.3", "Takes more than one `key`."}, {0}};

/* Counting commands: each shard counts its own keys. */
#define COUNT_ROW(name_, run_, flags_, key_flags, since_, history_, summary_, complexity_)        \
    {                                                                                             \
        .name = name_, .run = run_, .arity = -2, .flags = (flags_) | CMD_SLICED,                  \
        .sliced_from = COMMAND_MANY_ARGS, .acl = ACL_KEYSPACE,                                    \
        .route = ROUTE_KEYS, .apart = APART_SUM, .keys = MANY_KEYS(key_flags),                    \
        .group = "generic", .since = since_, .summary = summary_, .complexity = complexity_,      \
        .history = history_, .args = keys_args, .tips = tips_summed_keys,                         \
    }

/* --- databases --- */

static const struct command_arg keys_pattern_args[] = {
    {.name = "pattern", .type = ARG_PATTERN}, {0}};
static const char *const keys_tips[] = {
    "request_policy:all_shards", "nondeterministic_output_order", NULL};
static const struct command_arg scan_args[] = {
    {.name = "cursor", .type = ARG_INTEGER},
    {.name = "pattern", .type = ARG_PATTERN, .token = "MATCH", .flags = ARG_OPTIONAL},
    {.name = "count", .type = ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL},
    {.name = "type", .type = ARG_STRING, .token = "TYPE", .flags = ARG_OPTIONAL, .since = "6.0.0"},
    {0},
};
static const struct command_change scan_history[] = {{"6.0.0", "The option `TYPE` came in."}, {0}};
static const char *const scan_tips[] = {
    "nondeterministic_output", "request_policy:special", "response_policy:special", NULL};
static const char *const randomkey_tips[] = {
    "request_policy:all_shards", "response_policy:special", "nondeterministic_output", NULL};
static const struct command_arg flush_type_args[] = {
    {.name = "async", .type = ARG_PURE_TOKEN, .token = "ASYNC", .since = "4.0.0"},
    {.name = "sync", .type = ARG_PURE_TOKEN, .token = "SYNC", .since = "6.2.0"},
    {0},
};
static const struct command_arg flush_args[] = {
    {.name = "flush-type", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = flush_type_args}, {0}};
static const struct command_change flush_history[] = {
    {"4.0.0", "The mode `ASYNC` came in."}, {"6.2.0", "The mode `SYNC` came in."}, {0}};
static const struct command_arg swapdb_args[] = {
    {.name = "index1", .type = ARG_INTEGER}, {.name = "index2", .type = ARG_INTEGER}, {0}};

/* --- OBJECT --- */

#define OBJECT_ROW(name_, run_, since_, summary_)                                                 \
    {                                                                                             \
        .name = name_, .run = run_, .arity = 3, .flags = CMD_READONLY, .acl = ACL_KEYSPACE,       \
        .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RO, 2), .group = "generic", .since = since_,     \
        .summary = summary_, .complexity = O1, .args = key_args, .tips = tips_nondeterministic,   \
    }
static const struct command object_subcommands[] = {
    OBJECT_ROW("encoding", cmd_object_encoding, "2.2.3", "Names the representation of a value."),
    OBJECT_ROW("freq", cmd_object_freq, "4.0.0",
               "Returns the logarithmic counter of accesses to a key."),
    OBJECT_ROW("idletime", cmd_object_idletime, "2.2.3",
               "Returns the seconds since a key was last accessed."),
    OBJECT_ROW("refcount", cmd_object_refcount, "2.2.3",
               "Returns how many references to a value there are."),
    {
        .name = "help", .run = cmd_object_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_KEYSPACE, .route = ROUTE_HOME, .group = "generic", .since = "6.2.0",
        .summary = "Describes the subcommands.", .complexity = O1,
    },
    {0},
};

/* --- DUMP, RESTORE --- */

#define RESTORE_COMPLEXITY                                                                        \
    "O(N*M), where N is the number of elements of the value and M their average size; O(1) for "  \
    "short strings, O(N*M*log(N)) for sorted sets."
static const struct command_arg restore_args[] = {
    KEY_ARG,
    {.name = "ttl", .type = ARG_INTEGER},
    {.name = "serialized-value", .type = ARG_STRING},
    {.name = "replace", .type = ARG_PURE_TOKEN, .token = "REPLACE", .flags = ARG_OPTIONAL,
     .since = "3.0.0"},
    {.name = "absttl", .type = ARG_PURE_TOKEN, .token = "ABSTTL", .flags = ARG_OPTIONAL,
     .since = "5.0.0"},
    {.name = "seconds", .type = ARG_INTEGER, .token = "IDLETIME", .flags = ARG_OPTIONAL,
     .since = "5.0.0"},
    {.name = "frequency", .type = ARG_INTEGER, .token = "FREQ", .flags = ARG_OPTIONAL,
     .since = "5.0.0"},
    {0},
};
static const struct command_change restore_history[] = {
    {"3.0.0", "The modifier `REPLACE` came in."},
    {"5.0.0", "The modifier `ABSTTL` came in."},
    {"5.0.0", "The options `IDLETIME` and `FREQ` came in."},
    {0},
};
#define RESTORE_ROW(name_, flags_, group_, since_, summary_)                                      \
    {                                                                                             \
        .name = name_, .run = cmd_restore, .arity = -4,                                           \
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_SLICED | (flags_),                                 \
        .acl = ACL_KEYSPACE | ACL_DANGEROUS,                                                      \
        .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_OW | KEY_UPDATE, 1), .group = group_,            \
        .since = since_, .summary = summary_, .complexity = RESTORE_COMPLEXITY,                   \
        .history = restore_history, .args = restore_args,                                         \
    }

const struct command generic_commands[] = {
    EXPIRE_ROW("expire", cmd_expire, expire_args, "1.0.0",
               "Sets how many seconds a key has left to live."),
    EXPIRE_ROW("pexpire", cmd_pexpire, pexpire_args, "2.6.0",
               "Sets how many milliseconds a key has left to live."),
    EXPIRE_ROW("expireat", cmd_expireat, expireat_args, "1.2.0",
               "Sets the moment at which a key expires, as Unix time in seconds."),
    EXPIRE_ROW("pexpireat", cmd_pexpireat, pexpireat_args, "2.6.0",
               "Sets the moment at which a key expires, as Unix time in milliseconds."),
    TTL_ROW("ttl", cmd_ttl, "1.0.0", ttl_history, tips_nondeterministic,
            "Returns how many seconds a key has left to live."),
    TTL_ROW("pttl", cmd_pttl, "2.6.0", ttl_history, tips_nondeterministic,
            "Returns how many milliseconds a key has left to live."),
    TTL_ROW("expiretime", cmd_expiretime, "7.0.0", NULL, NULL,
            "Returns the moment at which a key expires, as Unix time in seconds."),
    TTL_ROW("pexpiretime", cmd_pexpiretime, "7.0.0", NULL, NULL,
            "Returns the moment at which a key expires, as Unix time in milliseconds."),
    {
        .name = "persist", .run = cmd_persist, .arity = 2, .flags = CMD_WRITE | CMD_FAST,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RW | KEY_UPDATE, 1),
        .group = "generic", .since = "2.2.0", .summary = "Lets a key live on without expiry.",
        .complexity = O1, .args = key_args,
    },

    COUNT_ROW("del", cmd_del, CMD_WRITE, KEY_RM | KEY_DELETE, "1.0.0", NULL,
              "Deletes keys.",
              "O(N) in the number of keys; the memory of large values is given back in slices "
              "afterwards."),
    COUNT_ROW("unlink", cmd_unlink, CMD_WRITE | CMD_FAST, KEY_RM | KEY_DELETE, "4.0.0", NULL,
              "Deletes keys and gives their memory back later.",
              "O(1) per key; giving the memory back is O(N) in the number of allocations, in "
              "slices afterwards."),
    COUNT_ROW("exists", cmd_exists, CMD_READONLY | CMD_FAST, KEY_RO, "1.0.0", exists_history,
              "Counts those of the given keys that exist.", "O(N) in the number of keys."),
    COUNT_ROW("touch", cmd_touch, CMD_READONLY | CMD_FAST, KEY_RO, "3.2.1", NULL,
              "Marks keys as accessed now and counts those that exist.",
              "O(N) in the number of keys."),
    {
        .name = "type", .run = cmd_type, .arity = 2, .flags = CMD_READONLY | CMD_FAST,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RO, 1), .group = "generic",
        .since = "1.0.0", .summary = "Names the type of the value of a key.", .complexity = O1,
        .args = key_args,
    },
    {
        .name = "rename", .run = cmd_rename, .arity = 3, .flags = CMD_WRITE, .acl = ACL_KEYSPACE,
        .route = ROUTE_KEYS, .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_OW | KEY_UPDATE, KEYS_AT(2, 0, 1)}},
        .group = "generic", .since = "1.0.0",
        .summary = "Gives a key another name, in place of a key that has it.", .complexity = O1,
        .args = rename_args,
    },
    {
        .name = "renamenx", .run = cmd_renamenx, .arity = 3, .flags = CMD_WRITE | CMD_FAST,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_OW | KEY_INSERT, KEYS_AT(2, 0, 1)}},
        .group = "generic", .since = "1.0.0",
        .summary = "Gives a key another name, unless a key has it.", .complexity = O1,
        .history = renamenx_history, .args = rename_args,
    },
    {
        .name = "copy", .run = cmd_copy, .arity = -3,
        .flags = CMD_WRITE | CMD_DENYOOM | CMD_SLICED,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_OW | KEY_UPDATE, KEYS_AT(2, 0, 1)}},
        .group = "generic", .since = "6.2.0",
        .summary = "Copies the value and the expiry of a key to another one.",
        .complexity = "O(1) for strings, O(N) in the number of elements for collections.",
        .args = copy_args,
    },
    {
        .name = "move", .run = cmd_move, .arity = 3, .flags = CMD_WRITE | CMD_FAST,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS,
        .keys = ONE_KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE, 1), .group = "generic",
        .since = "1.0.0", .summary = "Moves a key to another database.", .complexity = O1,
        .args = move_args,
    },

    {
        .name = "keys", .run = cmd_keys, .arity = 2, .flags = CMD_READONLY,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS, .route = ROUTE_ALL, .apart = APART_CONCAT,
        .group = "generic", .since = "1.0.0", .summary = "Lists all keys that fit a pattern.",
        .complexity = "O(N) in the number of keys of the database, for names and patterns of "
                      "bounded length.",
        .args = keys_pattern_args, .tips = keys_tips,
    },
    {
        .name = "scan", .run = cmd_scan, .arity = -2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE,
        .route = ROUTE_CURSOR, .group = "generic", .since = "2.8.0",
        .summary = "Goes through the keys of the database step by step.",
        .complexity = "O(1) per call; O(N) in the number of keys for all calls of a scan.",
        .history = scan_history, .args = scan_args, .tips = scan_tips,
    },
    {
        .name = "randomkey", .run = cmd_randomkey, .arity = 1, .flags = CMD_READONLY,
        .acl = ACL_KEYSPACE, .route = ROUTE_ALL, .apart = APART_ANY, .group = "generic",
        .since = "1.0.0", .summary = "Returns some key of the database, chosen at random.",
        .complexity = O1, .tips = randomkey_tips,
    },
    {
        .name = "dbsize", .run = cmd_dbsize, .arity = 1, .flags = CMD_READONLY | CMD_FAST,
        .acl = ACL_KEYSPACE, .route = ROUTE_ALL, .apart = APART_SUM, .group = "server",
        .since = "1.0.0", .summary = "Counts the keys of the database.", .complexity = O1,
        .tips = tips_summed_shards,
    },
    {
        .name = "flushdb", .run = cmd_flushdb, .arity = -1, .flags = CMD_WRITE,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS, .route = ROUTE_ALL, .apart = APART_OK,
        .group = "server", .since = "1.0.0", .summary = "Deletes all keys of the database.",
        .complexity = "O(N) in the number of keys of the database, in slices afterwards.",
        .history = flush_history, .args = flush_args, .tips = tips_all_succeed,
    },
    {
        .name = "flushall", .run = cmd_flushall, .arity = -1, .flags = CMD_WRITE,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS, .route = ROUTE_ALL, .apart = APART_OK,
        .group = "server", .since = "1.0.0", .summary = "Deletes all keys of all databases.",
        .complexity = "O(N) in the number of keys of all databases, in slices afterwards.",
        .history = flush_history, .args = flush_args, .tips = tips_all_succeed,
    },
    {
        .name = "swapdb", .run = cmd_swapdb, .arity = 3, .flags = CMD_WRITE | CMD_FAST,
        .acl = ACL_KEYSPACE | ACL_DANGEROUS, .route = ROUTE_ALL, .apart = APART_OK,
        .group = "server", .since = "4.0.0", .summary = "Exchanges two databases.",
        .complexity = "O(N) in the number of clients that watch or wait for keys of the two.",
        .args = swapdb_args,
    },

    {
        .name = "object", .arity = -2, .subcommands = object_subcommands, .group = "generic",
        .since = "2.2.3", .summary = "Groups the commands that look into values.",
        .complexity = "That of the subcommand.",
    },

    {
        .name = "dump", .run = cmd_dump, .arity = 2, .flags = CMD_READONLY | CMD_SLICED,
        .acl = ACL_KEYSPACE, .route = ROUTE_KEYS, .keys = ONE_KEY(KEY_RO | KEY_ACCESS, 1),
        .group = "generic",
        .since = "2.6.0", .summary = "Returns the value of a key in the form that RESTORE takes.",
        .complexity = "O(N*M), where N is the number of elements of the value and M their average "
                      "size; O(1) for short strings.",
        .args = key_args, .tips = tips_nondeterministic,
    },
    RESTORE_ROW("restore", 0, "generic", "2.6.0", "Makes a key of a value that DUMP has returned."),
    RESTORE_ROW("restore-asking", CMD_ASKING, "server", "3.0.0",
                "RESTORE as cluster nodes send it to each other while a slot moves."),
    {0},
};
