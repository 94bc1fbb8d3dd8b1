/* cmd_zset_table.c - the rows of the sorted set commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7, which clients read
 * through COMMAND; the descriptions are ours. */
#include "core/cmd_zset.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_condition[] = {
    ARG("nx", ARG_PURE_TOKEN, .token = "NX"),
    ARG("xx", ARG_PURE_TOKEN, .token = "XX"),
    END,
};

static const struct command_arg args_comparison[] = {
    ARG("gt", ARG_PURE_TOKEN, .token = "GT"),
    ARG("lt", ARG_PURE_TOKEN, .token = "LT"),
    END,
};

static const struct command_arg args_score_member[] = {
    ARG("score", ARG_DOUBLE),
    ARG("member", ARG_STRING),
    END,
};

static const struct command_arg args_zadd[] = {
    ARG("key", ARG_KEY),
    ARG("condition", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "3.0.2", .sub = args_condition),
    ARG("comparison", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "6.2.0", .sub = args_comparison),
    ARG("change", ARG_PURE_TOKEN, .token = "CH", .flags = ARG_OPTIONAL, .since = "3.0.2"),
    ARG("increment", ARG_PURE_TOKEN, .token = "INCR", .flags = ARG_OPTIONAL, .since = "3.0.2"),
    ARG("score-member", ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = args_score_member),
    END,
};

static const struct command_arg args_zcard[] = {
    ARG("key", ARG_KEY),
    END,
};

static const struct command_arg args_zcount[] = {
    ARG("key", ARG_KEY),
    ARG("min", ARG_DOUBLE),
    ARG("max", ARG_DOUBLE),
    END,
};

static const struct command_arg args_zdiff[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zdiffstore[] = {
    ARG("destination", ARG_KEY),
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE, .key_spec = 1),
    END,
};

static const struct command_arg args_zincrby[] = {
    ARG("key", ARG_KEY),
    ARG("increment", ARG_INTEGER),
    ARG("member", ARG_STRING),
    END,
};

static const struct command_arg args_aggregate[] = {
    ARG("sum", ARG_PURE_TOKEN, .token = "SUM"),
    ARG("min", ARG_PURE_TOKEN, .token = "MIN"),
    ARG("max", ARG_PURE_TOKEN, .token = "MAX"),
    END,
};

static const struct command_arg args_zinter[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("weight", ARG_INTEGER, .token = "WEIGHTS", .flags = ARG_OPTIONAL | ARG_MULTIPLE),
    ARG("aggregate", ARG_ONEOF, .token = "AGGREGATE", .flags = ARG_OPTIONAL,
        .sub = args_aggregate),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zintercard[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("limit", ARG_INTEGER, .token = "LIMIT", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zinterstore[] = {
    ARG("destination", ARG_KEY),
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE, .key_spec = 1),
    ARG("weight", ARG_INTEGER, .token = "WEIGHTS", .flags = ARG_OPTIONAL | ARG_MULTIPLE),
    ARG("aggregate", ARG_ONEOF, .token = "AGGREGATE", .flags = ARG_OPTIONAL,
        .sub = args_aggregate),
    END,
};

static const struct command_arg args_zlexcount[] = {
    ARG("key", ARG_KEY),
    ARG("min", ARG_STRING),
    ARG("max", ARG_STRING),
    END,
};

static const struct command_arg args_where[] = {
    ARG("min", ARG_PURE_TOKEN, .token = "MIN"),
    ARG("max", ARG_PURE_TOKEN, .token = "MAX"),
    END,
};

static const struct command_arg args_zmpop[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("where", ARG_ONEOF, .sub = args_where),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_bzpop[] = {
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("timeout", ARG_DOUBLE),
    END,
};

static const struct command_arg args_bzmpop[] = {
    ARG("timeout", ARG_DOUBLE),
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("where", ARG_ONEOF, .sub = args_where),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zmscore[] = {
    ARG("key", ARG_KEY),
    ARG("member", ARG_STRING, .flags = ARG_MULTIPLE),
    END,
};

static const struct command_arg args_zpopmax[] = {
    ARG("key", ARG_KEY),
    ARG("count", ARG_INTEGER, .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_random[] = {
    ARG("count", ARG_INTEGER),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zrandmember[] = {
    ARG("key", ARG_KEY),
    ARG("options", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_random),
    END,
};

static const struct command_arg args_sortby[] = {
    ARG("byscore", ARG_PURE_TOKEN, .token = "BYSCORE"),
    ARG("bylex", ARG_PURE_TOKEN, .token = "BYLEX"),
    END,
};

static const struct command_arg args_offset_count[] = {
    ARG("offset", ARG_INTEGER),
    ARG("count", ARG_INTEGER),
    END,
};

static const struct command_arg args_zrange[] = {
    ARG("key", ARG_KEY),
    ARG("start", ARG_STRING),
    ARG("stop", ARG_STRING),
    ARG("sortby", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "6.2.0", .sub = args_sortby),
    ARG("rev", ARG_PURE_TOKEN, .token = "REV", .flags = ARG_OPTIONAL, .since = "6.2.0"),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL, .since = "6.2.0",
        .sub = args_offset_count),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zrangebylex[] = {
    ARG("key", ARG_KEY),
    ARG("min", ARG_STRING),
    ARG("max", ARG_STRING),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL,
        .sub = args_offset_count),
    END,
};

static const struct command_arg args_zrangebyscore[] = {
    ARG("key", ARG_KEY),
    ARG("min", ARG_DOUBLE),
    ARG("max", ARG_DOUBLE),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL,
        .since = "2.0.0"),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL,
        .sub = args_offset_count),
    END,
};

static const struct command_arg args_zrangestore[] = {
    ARG("dst", ARG_KEY),
    ARG("src", ARG_KEY, .key_spec = 1),
    ARG("min", ARG_STRING),
    ARG("max", ARG_STRING),
    ARG("sortby", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_sortby),
    ARG("rev", ARG_PURE_TOKEN, .token = "REV", .flags = ARG_OPTIONAL),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL,
        .sub = args_offset_count),
    END,
};

static const struct command_arg args_zrank[] = {
    ARG("key", ARG_KEY),
    ARG("member", ARG_STRING),
    ARG("withscore", ARG_PURE_TOKEN, .token = "WITHSCORE", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zremrangebyrank[] = {
    ARG("key", ARG_KEY),
    ARG("start", ARG_INTEGER),
    ARG("stop", ARG_INTEGER),
    END,
};

static const struct command_arg args_zrevrange[] = {
    ARG("key", ARG_KEY),
    ARG("start", ARG_INTEGER),
    ARG("stop", ARG_INTEGER),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zrevrangebylex[] = {
    ARG("key", ARG_KEY),
    ARG("max", ARG_STRING),
    ARG("min", ARG_STRING),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL,
        .sub = args_offset_count),
    END,
};

static const struct command_arg args_zrevrangebyscore[] = {
    ARG("key", ARG_KEY),
    ARG("max", ARG_DOUBLE),
    ARG("min", ARG_DOUBLE),
    ARG("withscores", ARG_PURE_TOKEN, .token = "WITHSCORES", .flags = ARG_OPTIONAL),
    ARG("offset-count", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL,
        .sub = args_offset_count),
    END,
};

static const struct command_arg args_zscan[] = {
    ARG("key", ARG_KEY),
    ARG("cursor", ARG_INTEGER),
    ARG("pattern", ARG_PATTERN, .token = "MATCH", .flags = ARG_OPTIONAL),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};

static const struct command_arg args_zscore[] = {
    ARG("key", ARG_KEY),
    ARG("member", ARG_STRING),
    END,
};

/* --- history and tips --- */

static const struct command_change history_bzpop[] = {
    CHANGE("6.0.0", "Fractions of a second in `timeout`."),
    {.since = NULL},
};
static const struct command_change history_zadd[] = {
    CHANGE("2.4.0", "Takes several members."),
    CHANGE("3.0.2", "Options `XX`, `NX`, `CH` and `INCR`."),
    CHANGE("6.2.0", "Options `GT` and `LT`."),
    {.since = NULL},
};
static const struct command_change history_zrange[] = {
    CHANGE("6.2.0", "Options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."),
    {.since = NULL},
};
static const struct command_change history_zrangebyscore[] = {
    CHANGE("2.0.0", "Option `WITHSCORES`."),
    {.since = NULL},
};
static const struct command_change history_zrem[] = {
    CHANGE("2.4.0", "Takes several members."),
    {.since = NULL},
};
static const struct command_change history_zrevrangebyscore[] = {
    CHANGE("2.1.6", "`min` and `max` can be exclusive."),
    {.since = NULL},
};
static const struct command_change history_zrank[] = {
    CHANGE("7.2.0", "Option `WITHSCORE`."),
    {.since = NULL},
};
static const char *const tips_random[] = {"nondeterministic_output", NULL};

/* --- the rows --- */

#define ZSET_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_SORTEDSET, \
    .route = ROUTE_KEYS, .group = "sorted-set"
/* How many keys there are stands at pos, the keys follow. */
#define KEYS_COUNTED(pos) \
    .begin = KEY_BEGIN_INDEX, .index = (pos), .find = KEY_FIND_KEYNUM, .first = 1, .step = 1
#define WRITES (CMD_WRITE | CMD_DENYOOM)

const struct command zset_commands[] = {
    {
        ZSET_ROW("bzmpop", zset__bzmpop, -5, CMD_WRITE | CMD_BLOCKING),
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_COUNTED(2)}},
        .since = "7.0.0",
        .summary = "Takes members with the lowest or highest scores out of the first sorted set "
                   "that has any; waits while none has.",
        .complexity = "O(K)+O(log(N)+M) where K is the number of keys and M of members taken out",
        .args = args_bzmpop,
    },
    {
        ZSET_ROW("bzpopmax", zset__bzpopmax, -3,
                 CMD_WRITE | CMD_NOSCRIPT | CMD_FAST | CMD_BLOCKING),
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, -2, 1)}},
        .since = "5.0.0",
        .summary = "Takes the member with the highest score out of the first sorted set that has "
                   "any; waits while none has.",
        .complexity = "O(log(N)) where N is the size of the sorted set",
        .history = history_bzpop,
        .args = args_bzpop,
    },
    {
        ZSET_ROW("bzpopmin", zset__bzpopmin, -3,
                 CMD_WRITE | CMD_NOSCRIPT | CMD_FAST | CMD_BLOCKING),
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, -2, 1)}},
        .since = "5.0.0",
        .summary = "Takes the member with the lowest score out of the first sorted set that has "
                   "any; waits while none has.",
        .complexity = "O(log(N)) where N is the size of the sorted set",
        .history = history_bzpop,
        .args = args_bzpop,
    },
    {
        ZSET_ROW("zadd", zset__zadd, -4, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = -1,
        .keys = {{.flags = KEY_RW | KEY_UPDATE, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Adds members with their scores to a sorted set, or sets the scores of those "
                   "that are there.",
        .complexity = "O(log(N)) for each member where N is the size of the set",
        .history = history_zadd,
        .args = args_zadd,
    },
    {
        ZSET_ROW("zcard", zset__zcard, 2, CMD_READONLY | CMD_FAST),
        .keys = {{.flags = KEY_RO, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Replies how many members a sorted set has.",
        .complexity = "O(1)",
        .args = args_zcard,
    },
    {
        ZSET_ROW("zcount", zset__zcount, 4, CMD_READONLY | CMD_FAST),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.0.0",
        .summary = "Counts the members whose scores lie between two.",
        .complexity = "O(log(N)) where N is the number of members",
        .args = args_zcount,
    },
    {
        ZSET_ROW("zdiff", zset__zdiff, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(1)}},
        .since = "6.2.0",
        .summary = "Replies the members of the first sorted set that none of the others has.",
        .complexity = "O(N*K)+O(M*log(M)) where N is the size of the first input, K the number "
                      "of inputs and M of the result's members",
        .args = args_zdiff,
    },
    {
        ZSET_ROW("zdiffstore", zset__zdiffstore, -4, WRITES | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(2)}},
        .since = "6.2.0",
        .summary = "Stores the members of the first sorted set that none of the others has.",
        .complexity = "O(N*K)+O(M*log(M)) where N is the size of the first input, K the number "
                      "of inputs and M of the result's members",
        .args = args_zdiffstore,
    },
    {
        ZSET_ROW("zincrby", zset__zincrby, 4, WRITES | CMD_FAST),
        .member = 3,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Adds a number to a member's score; an absent member counts as 0.",
        .complexity = "O(log(N)) where N is the number of members",
        .args = args_zincrby,
    },
    {
        ZSET_ROW("zinter", zset__zinter, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(1)}},
        .since = "6.2.0",
        .summary = "Replies the members that all sorted sets have, with their scores put "
                   "together.",
        .complexity = "O(N*K)+O(M*log(M)) where N is the size of the smallest input, K the "
                      "number of inputs and M of the result's members",
        .args = args_zinter,
    },
    {
        ZSET_ROW("zintercard", zset__zintercard, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(1)}},
        .since = "7.0.0",
        .summary = "Counts the members that all sorted sets have.",
        .complexity = "O(N*K) where N is the size of the smallest input and K the number of "
                      "inputs",
        .args = args_zintercard,
    },
    {
        ZSET_ROW("zinterstore", zset__zinterstore, -4, WRITES | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(2)}},
        .since = "2.0.0",
        .summary = "Stores the members that all sorted sets have, with their scores put together.",
        .complexity = "O(N*K)+O(M*log(M)) where N is the size of the smallest input, K the "
                      "number of inputs and M of the result's members",
        .args = args_zinterstore,
    },
    {
        ZSET_ROW("zlexcount", zset__zlexcount, 4, CMD_READONLY | CMD_FAST | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.8.9",
        .summary = "Counts the members that lie between two by name, in a set of equal scores.",
        .complexity = "O(log(N)) where N is the number of members",
        .args = args_zlexcount,
    },
    {
        ZSET_ROW("zmpop", zset__zmpop, -4, CMD_WRITE | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_COUNTED(1)}},
        .since = "7.0.0",
        .summary = "Takes members with the lowest or highest scores out of the first sorted set "
                   "that has any.",
        .complexity = "O(K)+O(log(N)+M) where K is the number of keys and M of members taken out",
        .args = args_zmpop,
    },
    {
        ZSET_ROW("zmscore", zset__zmscore, -3, CMD_READONLY | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "6.2.0",
        .summary = "Replies the scores of several members, with null for those that are absent.",
        .complexity = "O(N) where N is the number of members asked for",
        .args = args_zmscore,
    },
    {
        ZSET_ROW("zpopmax", zset__zpopmax, -2, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = 3,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "5.0.0",
        .summary = "Takes out the members with the highest scores.",
        .complexity = "O(log(N)+M) where M is the number of members taken out",
        .args = args_zpopmax,
    },
    {
        ZSET_ROW("zpopmin", zset__zpopmin, -2, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = 3,
        .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "5.0.0",
        .summary = "Takes out the members with the lowest scores.",
        .complexity = "O(log(N)+M) where M is the number of members taken out",
        .args = args_zpopmax,
    },
    {
        ZSET_ROW("zrandmember", zset__zrandmember, -2, CMD_READONLY | CMD_SLICED | CMD_DRAWS),
        .sliced_from = 3,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "6.2.0",
        .summary = "Replies members chosen by chance.",
        .complexity = "O(N*log(M)) where N is the number of members replied and M the size of "
                      "the set",
        .args = args_zrandmember,
        .tips = tips_random,
    },
    {
        ZSET_ROW("zrange", zset__zrange, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Replies the members in a range of ranks, scores or names.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .history = history_zrange,
        .args = args_zrange,
    },
    {
        ZSET_ROW("zrangebylex", zset__zrangebylex, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.8.9",
        .summary = "Replies the members that lie between two by name, in a set of equal scores.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .deprecated_since = "6.2.0",
        .replaced_by = "`ZRANGE` with the `BYLEX` argument",
        .args = args_zrangebylex,
    },
    {
        ZSET_ROW("zrangebyscore", zset__zrangebyscore, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "1.0.5",
        .summary = "Replies the members whose scores lie between two.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .deprecated_since = "6.2.0",
        .replaced_by = "`ZRANGE` with the `BYSCORE` argument",
        .history = history_zrangebyscore,
        .args = args_zrangebyscore,
    },
    {
        ZSET_ROW("zrangestore", zset__zrangestore, -5, WRITES | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RO | KEY_ACCESS, KEYS_AT(2, 0, 1)}},
        .since = "6.2.0",
        .summary = "Stores the members in a range of ranks, scores or names under another key.",
        .complexity = "O(log(N)+M*log(M)) where M is the number of members stored",
        .args = args_zrangestore,
    },
    {
        ZSET_ROW("zrank", zset__zrank, -3, CMD_READONLY | CMD_FAST),
        .member = 2,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.0.0",
        .summary = "Replies a member's rank, counted from the lowest score.",
        .complexity = "O(log(N)) where N is the number of members",
        .history = history_zrank,
        .args = args_zrank,
    },
    {
        ZSET_ROW("zrem", zset__zrem, -3, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .member = 2,
        .keys = {{.flags = KEY_RW | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Removes members from a sorted set.",
        .complexity = "O(M*log(N)) where M is the number of members removed",
        .history = history_zrem,
        .args = args_zmscore,
    },
    {
        ZSET_ROW("zremrangebylex", zset__zremrangebylex, 4, CMD_WRITE | CMD_SLICED),
        .keys = {{.flags = KEY_RW | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "2.8.9",
        .summary = "Removes the members that lie between two by name, in a set of equal scores.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those removed",
        .args = args_zlexcount,
    },
    {
        ZSET_ROW("zremrangebyrank", zset__zremrangebyrank, 4, CMD_WRITE | CMD_SLICED),
        .keys = {{.flags = KEY_RW | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "2.0.0",
        .summary = "Removes the members in a range of ranks.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those removed",
        .args = args_zremrangebyrank,
    },
    {
        ZSET_ROW("zremrangebyscore", zset__zremrangebyscore, 4, CMD_WRITE | CMD_SLICED),
        .keys = {{.flags = KEY_RW | KEY_DELETE, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Removes the members whose scores lie between two.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those removed",
        .args = args_zcount,
    },
    {
        ZSET_ROW("zrevrange", zset__zrevrange, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Replies the members in a range of ranks, counted from the highest score.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .deprecated_since = "6.2.0",
        .replaced_by = "`ZRANGE` with the `REV` argument",
        .args = args_zrevrange,
    },
    {
        ZSET_ROW("zrevrangebylex", zset__zrevrangebylex, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.8.9",
        .summary = "Replies the members that lie between two by name, last first.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .deprecated_since = "6.2.0",
        .replaced_by = "`ZRANGE` with the `REV` and `BYLEX` arguments",
        .args = args_zrevrangebylex,
    },
    {
        ZSET_ROW("zrevrangebyscore", zset__zrevrangebyscore, -4, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.2.0",
        .summary = "Replies the members whose scores lie between two, highest first.",
        .complexity = "O(log(N)+M) where N is the number of members and M of those replied",
        .deprecated_since = "6.2.0",
        .replaced_by = "`ZRANGE` with the `REV` and `BYSCORE` arguments",
        .history = history_zrevrangebyscore,
        .args = args_zrevrangebyscore,
    },
    {
        ZSET_ROW("zrevrank", zset__zrevrank, -3, CMD_READONLY | CMD_FAST),
        .member = 2,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.0.0",
        .summary = "Replies a member's rank, counted from the highest score.",
        .complexity = "O(log(N)) where N is the number of members",
        .history = history_zrank,
        .args = args_zrank,
    },
    {
        ZSET_ROW("zscan", zset__zscan, -3, CMD_READONLY | CMD_SLICED),
        .sliced_from = 5,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "2.8.0",
        .summary = "Goes through members and scores step by step.",
        .complexity = "O(1) for a step, O(N) for all of them",
        .args = args_zscan,
        .tips = tips_random,
    },
    {
        ZSET_ROW("zscore", zset__zscore, 3, CMD_READONLY | CMD_FAST),
        .member = 2,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}},
        .since = "1.2.0",
        .summary = "Replies a member's score.",
        .complexity = "O(1)",
        .args = args_zscore,
    },
    {
        ZSET_ROW("zunion", zset__zunion, -3, CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(1)}},
        .since = "6.2.0",
        .summary = "Replies the members of all sorted sets, with their scores put together.",
        .complexity = "O(N)+O(M*log(M)) where N is the size of all inputs together and M of the "
                      "result",
        .args = args_zinter,
    },
    {
        ZSET_ROW("zunionstore", zset__zunionstore, -4, WRITES | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, 0, 1)},
                 {.flags = KEY_RO | KEY_ACCESS, KEYS_COUNTED(2)}},
        .since = "2.0.0",
        .summary = "Stores the members of all sorted sets, with their scores put together.",
        .complexity = "O(N)+O(M*log(M)) where N is the size of all inputs together and M of the "
                      "result",
        .args = args_zinterstore,
    },
    {.name = NULL},
};
