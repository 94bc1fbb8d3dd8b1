/* cmd_set_table.c - the rows of the set commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7.4, which clients read
 * through COMMAND; the descriptions are ours. */
#include "core/cmd_set.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_key[] = {ARG("key", ARG_KEY), END};
static const struct command_arg args_keys[] = {ARG("key", ARG_KEY, .flags = ARG_MULTIPLE), END};
static const struct command_arg args_key_member[] = {
    ARG("key", ARG_KEY), ARG("member", ARG_STRING), END,
};
static const struct command_arg args_key_members[] = {
    ARG("key", ARG_KEY), ARG("member", ARG_STRING, .flags = ARG_MULTIPLE), END,
};
static const struct command_arg args_store[] = {
    ARG("destination", ARG_KEY),
    ARG("key", ARG_KEY, .key_spec = 1, .flags = ARG_MULTIPLE),
    END,
};
static const struct command_arg args_sintercard[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("limit", ARG_INTEGER, .token = "LIMIT", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_smove[] = {
    ARG("source", ARG_KEY),
    ARG("destination", ARG_KEY, .key_spec = 1),
    ARG("member", ARG_STRING),
    END,
};
static const struct command_arg args_spop[] = {
    ARG("key", ARG_KEY),
    ARG("count", ARG_INTEGER, .flags = ARG_OPTIONAL, .since = "3.2.0"),
    END,
};
static const struct command_arg args_srandmember[] = {
    ARG("key", ARG_KEY),
    ARG("count", ARG_INTEGER, .flags = ARG_OPTIONAL, .since = "2.6.0"),
    END,
};
static const struct command_arg args_sscan[] = {
    ARG("key", ARG_KEY),
    ARG("cursor", ARG_INTEGER),
    ARG("pattern", ARG_PATTERN, .token = "MATCH", .flags = ARG_OPTIONAL),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};

/* --- history and tips --- */

static const struct command_change history_members[] = {
    CHANGE("2.4.0", "Several members at once."),
    {.since = NULL},
};
static const struct command_change history_spop[] = {
    CHANGE("3.2.0", "Argument `count`."),
    {.since = NULL},
};
static const struct command_change history_srandmember[] = {
    CHANGE("2.6.0", "Argument `count`."),
    {.since = NULL},
};
static const char *const tips_order[] = {"nondeterministic_output_order", NULL};
static const char *const tips_chance[] = {"nondeterministic_output", NULL};

/* --- the rows --- */

#define SET_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_SET, \
    .route = ROUTE_KEYS, .group = "set"
#define ONE_KEY(flags_) .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}}
#define ALL_KEYS .apart = APART_LEND, .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, -1, 1)}}
#define STORE_KEYS(flags_) \
    .apart = APART_LEND, \
    .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}, \
             {.flags = KEY_RO | KEY_ACCESS, KEYS_AT(2, -1, 1)}}
#define WRITES (CMD_WRITE | CMD_DENYOOM)

const struct command set_commands[] = {
    {
        SET_ROW("sadd", set__sadd, -3, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "1.0.0",
        .summary = "Adds members to a set; creates the key if it is absent.",
        .complexity = "O(N) where N is the number of members given",
        .history = history_members,
        .args = args_key_members,
    },
    {
        SET_ROW("scard", set__scard, 2, CMD_READONLY | CMD_FAST),
        ONE_KEY(KEY_RO),
        .since = "1.0.0",
        .summary = "Replies how many members a set has.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        SET_ROW("sdiff", set__sdiff, -2, CMD_READONLY | CMD_SLICED),
        ALL_KEYS,
        .since = "1.0.0",
        .summary = "Replies the members of the first set that are in none of the others.",
        .complexity = "O(N) where N is the number of members of all sets",
        .args = args_keys,
        .tips = tips_order,
    },
    {
        SET_ROW("sdiffstore", set__sdiffstore, -3, WRITES | CMD_SLICED),
        STORE_KEYS(KEY_OW | KEY_UPDATE),
        .since = "1.0.0",
        .summary = "Stores the members of the first set that are in none of the others.",
        .complexity = "O(N) where N is the number of members of all sets",
        .args = args_store,
    },
    {
        SET_ROW("sinter", set__sinter, -2, CMD_READONLY | CMD_SLICED),
        ALL_KEYS,
        .since = "1.0.0",
        .summary = "Replies the members that several sets have in common.",
        .complexity = "O(N*M) where N is the size of the smallest set, M the number of sets",
        .args = args_keys,
        .tips = tips_order,
    },
    {
        SET_ROW("sintercard", set__sintercard, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS,
                  .begin = KEY_BEGIN_INDEX,
                  .index = 1,
                  .find = KEY_FIND_KEYNUM,
                  .keynum = 0,
                  .first = 1,
                  .step = 1}},
        .since = "7.0.0",
        .summary = "Replies how many members several sets have in common, up to a limit.",
        .complexity = "O(N*M) where N is the size of the smallest set, M the number of sets",
        .args = args_sintercard,
    },
    {
        SET_ROW("sinterstore", set__sinterstore, -3, WRITES | CMD_SLICED),
        STORE_KEYS(KEY_RW | KEY_UPDATE),
        .since = "1.0.0",
        .summary = "Stores the members that several sets have in common.",
        .complexity = "O(N*M) where N is the size of the smallest set, M the number of sets",
        .args = args_store,
    },
    {
        SET_ROW("sismember", set__sismember, 3, CMD_READONLY | CMD_FAST),
        .member = 2,
        ONE_KEY(KEY_RO),
        .since = "1.0.0",
        .summary = "Tells whether a set has a member.",
        .complexity = "O(1)",
        .args = args_key_member,
    },
    {
        SET_ROW("smembers", set__smembers, 2, CMD_READONLY | CMD_SLICED),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies all members of a set.",
        .complexity = "O(N) where N is the size of the set",
        .args = args_key,
        .tips = tips_order,
    },
    {
        SET_ROW("smismember", set__smismember, -3, CMD_READONLY | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "6.2.0",
        .summary = "Tells of several members whether a set has them.",
        .complexity = "O(N) where N is the number of members given",
        .args = args_key_members,
    },
    {
        SET_ROW("smove", set__smove, 4, CMD_WRITE | CMD_FAST),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RW | KEY_INSERT, KEYS_AT(2, 0, 1)}},
        .since = "1.0.0",
        .summary = "Moves a member from one set to another.",
        .complexity = "O(1)",
        .args = args_smove,
    },
    {
        SET_ROW("spop", set__spop, -2, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = 3,
        ONE_KEY(KEY_RW | KEY_ACCESS | KEY_DELETE),
        .since = "1.0.0",
        .summary = "Takes members out of a set by chance, and replies them.",
        .complexity = "O(N) where N is the number of members taken",
        .history = history_spop,
        .args = args_spop,
        .tips = tips_chance,
    },
    {
        SET_ROW("srandmember", set__srandmember, -2, CMD_READONLY | CMD_SLICED | CMD_DRAWS),
        .sliced_from = 3,
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies members of a set by chance.",
        .complexity = "O(N) where N is the number of members replied",
        .history = history_srandmember,
        .args = args_srandmember,
        .tips = tips_chance,
    },
    {
        SET_ROW("srem", set__srem, -3, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        ONE_KEY(KEY_RW | KEY_DELETE),
        .since = "1.0.0",
        .summary = "Takes members out of a set; the key goes with the last one.",
        .complexity = "O(N) where N is the number of members given",
        .history = history_members,
        .args = args_key_members,
    },
    {
        SET_ROW("sscan", set__sscan, -3, CMD_READONLY | CMD_SLICED),
        .sliced_from = 5,
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "2.8.0",
        .summary = "Replies some members of a set and the cursor to go on from.",
        .complexity = "O(1) for each call, O(N) for a whole set of N members",
        .args = args_sscan,
        .tips = tips_chance,
    },
    {
        SET_ROW("sunion", set__sunion, -2, CMD_READONLY | CMD_SLICED),
        ALL_KEYS,
        .since = "1.0.0",
        .summary = "Replies the members that are in any of several sets.",
        .complexity = "O(N) where N is the number of members of all sets",
        .args = args_keys,
        .tips = tips_order,
    },
    {
        SET_ROW("sunionstore", set__sunionstore, -3, WRITES | CMD_SLICED),
        STORE_KEYS(KEY_OW | KEY_UPDATE),
        .since = "1.0.0",
        .summary = "Stores the members that are in any of several sets.",
        .complexity = "O(N) where N is the number of members of all sets",
        .args = args_store,
    },
    {.name = NULL},
};
