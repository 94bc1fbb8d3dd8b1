/* cmd_list_table.c - the rows of the list commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7.4; the descriptions are
 * ours. */
#include "core/cmd_list.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_key[] = {ARG("key", ARG_KEY), END};
static const struct command_arg args_push[] = {
    ARG("key", ARG_KEY), ARG("element", ARG_STRING, .flags = ARG_MULTIPLE), END,
};
static const struct command_arg args_pop[] = {
    ARG("key", ARG_KEY),
    ARG("count", ARG_INTEGER, .flags = ARG_OPTIONAL, .since = "6.2.0"),
    END,
};
static const struct command_arg args_lindex[] = {
    ARG("key", ARG_KEY), ARG("index", ARG_INTEGER), END,
};
static const struct command_arg args_lset[] = {
    ARG("key", ARG_KEY), ARG("index", ARG_INTEGER), ARG("element", ARG_STRING), END,
};
static const struct command_arg args_range[] = {
    ARG("key", ARG_KEY), ARG("start", ARG_INTEGER), ARG("stop", ARG_INTEGER), END,
};
static const struct command_arg args_lrem[] = {
    ARG("key", ARG_KEY), ARG("count", ARG_INTEGER), ARG("element", ARG_STRING), END,
};
static const struct command_arg args_linsert_where[] = {
    ARG("before", ARG_PURE_TOKEN, .token = "BEFORE"),
    ARG("after", ARG_PURE_TOKEN, .token = "AFTER"),
    END,
};
static const struct command_arg args_linsert[] = {
    ARG("key", ARG_KEY),
    ARG("where", ARG_ONEOF, .sub = args_linsert_where),
    ARG("pivot", ARG_STRING),
    ARG("element", ARG_STRING),
    END,
};
static const struct command_arg args_lpos[] = {
    ARG("key", ARG_KEY),
    ARG("element", ARG_STRING),
    ARG("rank", ARG_INTEGER, .token = "RANK", .flags = ARG_OPTIONAL),
    ARG("num-matches", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    ARG("len", ARG_INTEGER, .token = "MAXLEN", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_end[] = {
    ARG("left", ARG_PURE_TOKEN, .token = "LEFT"),
    ARG("right", ARG_PURE_TOKEN, .token = "RIGHT"),
    END,
};
static const struct command_arg args_lmove[] = {
    ARG("source", ARG_KEY),
    ARG("destination", ARG_KEY, .key_spec = 1),
    ARG("wherefrom", ARG_ONEOF, .sub = args_end),
    ARG("whereto", ARG_ONEOF, .sub = args_end),
    END,
};
static const struct command_arg args_blmove[] = {
    ARG("source", ARG_KEY),
    ARG("destination", ARG_KEY, .key_spec = 1),
    ARG("wherefrom", ARG_ONEOF, .sub = args_end),
    ARG("whereto", ARG_ONEOF, .sub = args_end),
    ARG("timeout", ARG_DOUBLE),
    END,
};
static const struct command_arg args_brpoplpush[] = {
    ARG("source", ARG_KEY),
    ARG("destination", ARG_KEY, .key_spec = 1),
    ARG("timeout", ARG_DOUBLE),
    END,
};
static const struct command_arg args_blpop[] = {
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE), ARG("timeout", ARG_DOUBLE), END,
};
static const struct command_arg args_blmpop[] = {
    ARG("timeout", ARG_DOUBLE),
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("where", ARG_ONEOF, .sub = args_end),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_rpoplpush[] = {
    ARG("source", ARG_KEY), ARG("destination", ARG_KEY, .key_spec = 1), END,
};
static const struct command_arg args_lmpop[] = {
    ARG("numkeys", ARG_INTEGER),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE),
    ARG("where", ARG_ONEOF, .sub = args_end),
    ARG("count", ARG_INTEGER, .token = "COUNT", .flags = ARG_OPTIONAL),
    END,
};

/* --- history --- */

static const struct command_change history_push[] = {
    CHANGE("2.4.0", "Several elements at once."), {.since = NULL},
};
static const struct command_change history_timeout[] = {
    CHANGE("6.0.0", "Fractions of a second in `timeout`."), {.since = NULL},
};
static const struct command_change history_pushx[] = {
    CHANGE("4.0.0", "Several elements at once."), {.since = NULL},
};
static const struct command_change history_pop[] = {
    CHANGE("6.2.0", "Argument `count`."), {.since = NULL},
};

/* --- the rows --- */

#define LIST_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_LIST, \
    .route = ROUTE_KEYS, .group = "list"
#define ONE_KEY(flags_) .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}}
#define FROM_TO                                                                                   \
    .keys = {{.flags = TAKES, KEYS_AT(1, 0, 1)}, {.flags = KEY_RW | KEY_INSERT, KEYS_AT(2, 0, 1)}}
#define WRITES (CMD_WRITE | CMD_DENYOOM)
#define TAKES (KEY_RW | KEY_ACCESS | KEY_DELETE)

const struct command list_commands[] = {
    {
        LIST_ROW("blmove", list__blmove, 6, WRITES | CMD_NOSCRIPT | CMD_BLOCKING),
        FROM_TO,
        .since = "6.2.0",
        .summary = "Takes an element from an end of one list to an end of another (or the same) "
                   "and replies it; waits while there is none.",
        .complexity = "O(1)",
        .args = args_blmove,
    },
    {
        LIST_ROW("blmpop", list__blmpop, -5, CMD_WRITE | CMD_BLOCKING),
        .keys = {{.flags = TAKES, .begin = KEY_BEGIN_INDEX, .index = 2, .find = KEY_FIND_KEYNUM,
                  .keynum = 0, .first = 1, .step = 1}},
        .since = "7.0.0",
        .summary = "Takes elements from an end of the first list that is not empty; waits while "
                   "all are.",
        .complexity = "O(N+M) where N is the number of keys and M the number of elements replied",
        .args = args_blmpop,
    },
    {
        LIST_ROW("blpop", list__blpop, -3, CMD_WRITE | CMD_NOSCRIPT | CMD_BLOCKING),
        .keys = {{.flags = TAKES, KEYS_AT(1, -2, 1)}},
        .since = "2.0.0",
        .summary = "Takes the first element of the first list that is not empty; waits while all "
                   "are.",
        .complexity = "O(N) where N is the number of keys",
        .history = history_timeout,
        .args = args_blpop,
    },
    {
        LIST_ROW("brpop", list__brpop, -3, CMD_WRITE | CMD_NOSCRIPT | CMD_BLOCKING),
        .keys = {{.flags = TAKES, KEYS_AT(1, -2, 1)}},
        .since = "2.0.0",
        .summary = "Takes the last element of the first list that is not empty; waits while all "
                   "are.",
        .complexity = "O(N) where N is the number of keys",
        .history = history_timeout,
        .args = args_blpop,
    },
    {
        LIST_ROW("brpoplpush", list__brpoplpush, 4, WRITES | CMD_NOSCRIPT | CMD_BLOCKING),
        FROM_TO,
        .since = "2.2.0",
        .summary = "Takes the last element of one list to the head of another and replies it; "
                   "waits while there is none.",
        .complexity = "O(1)",
        .deprecated_since = "6.2.0",
        .replaced_by = "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
        .history = history_timeout,
        .args = args_brpoplpush,
    },
    {
        LIST_ROW("lindex", list__lindex, 3, CMD_READONLY),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies the element at an index.",
        .complexity = "O(N) where N is the number of elements to the nearer end; a node of many "
                      "elements counts as one",
        .args = args_lindex,
    },
    {
        LIST_ROW("linsert", list__linsert, 5, WRITES | CMD_SLICED),
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "2.2.0",
        .summary = "Inserts an element before or after the first one that equals the pivot.",
        .complexity = "O(N) where N is the number of elements up to the pivot",
        .args = args_linsert,
    },
    {
        LIST_ROW("llen", list__llen, 2, CMD_READONLY | CMD_FAST),
        ONE_KEY(KEY_RO),
        .since = "1.0.0",
        .summary = "Replies the number of elements.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        LIST_ROW("lmove", list__lmove, 5, WRITES),
        FROM_TO,
        .since = "6.2.0",
        .summary = "Takes an element from an end of one list to an end of another (or the same) "
                   "and replies it.",
        .complexity = "O(1)",
        .args = args_lmove,
    },
    {
        LIST_ROW("lmpop", list__lmpop, -4, CMD_WRITE | CMD_SLICED),
        .keys = {{.flags = TAKES, .begin = KEY_BEGIN_INDEX, .index = 1, .find = KEY_FIND_KEYNUM,
                  .keynum = 0, .first = 1, .step = 1}},
        .since = "7.0.0",
        .summary = "Takes elements from an end of the first list that is not empty.",
        .complexity = "O(N+M) where N is the number of keys and M the number of elements replied",
        .args = args_lmpop,
    },
    {
        LIST_ROW("lpop", list__lpop, -2, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = 3,
        ONE_KEY(TAKES),
        .since = "1.0.0",
        .summary = "Takes and replies the first elements.",
        .complexity = "O(N) where N is the number of elements replied",
        .history = history_pop,
        .args = args_pop,
    },
    {
        LIST_ROW("lpos", list__lpos, -3, CMD_READONLY | CMD_SLICED),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "6.0.6",
        .summary = "Replies the indexes of elements that equal a value.",
        .complexity = "O(N) where N is the number of elements looked at",
        .args = args_lpos,
    },
    {
        LIST_ROW("lpush", list__lpush, -3, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "1.0.0",
        .summary = "Adds elements at the head; an absent key counts as an empty list.",
        .complexity = "O(N) where N is the number of elements added",
        .history = history_push,
        .args = args_push,
    },
    {
        LIST_ROW("lpushx", list__lpushx, -3, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "2.2.0",
        .summary = "Adds elements at the head, only if the list exists.",
        .complexity = "O(N) where N is the number of elements added",
        .history = history_pushx,
        .args = args_push,
    },
    {
        LIST_ROW("lrange", list__lrange, 4, CMD_READONLY | CMD_SLICED),
        ONE_KEY(KEY_RO | KEY_ACCESS),
        .since = "1.0.0",
        .summary = "Replies the elements from one index to another.",
        .complexity = "O(S+N) where S is the distance from the nearer end and N the number of "
                      "elements replied",
        .args = args_range,
    },
    {
        LIST_ROW("lrem", list__lrem, 4, CMD_WRITE | CMD_SLICED),
        ONE_KEY(KEY_RW | KEY_DELETE),
        .since = "1.0.0",
        .summary = "Removes elements that equal a value.",
        .complexity = "O(N+M) where N is the length of the list and M the number removed",
        .args = args_lrem,
    },
    {
        LIST_ROW("lset", list__lset, 4, WRITES),
        ONE_KEY(KEY_RW | KEY_UPDATE),
        .since = "1.0.0",
        .summary = "Replaces the element at an index.",
        .complexity = "O(N) where N is the distance from the nearer end",
        .args = args_lset,
    },
    {
        LIST_ROW("ltrim", list__ltrim, 4, CMD_WRITE | CMD_SLICED),
        ONE_KEY(KEY_RW | KEY_DELETE),
        .since = "1.0.0",
        .summary = "Removes all elements but those from one index to another.",
        .complexity = "O(N) where N is the number of elements removed",
        .args = args_range,
    },
    {
        LIST_ROW("rpop", list__rpop, -2, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = 3,
        ONE_KEY(TAKES),
        .since = "1.0.0",
        .summary = "Takes and replies the last elements.",
        .complexity = "O(N) where N is the number of elements replied",
        .history = history_pop,
        .args = args_pop,
    },
    {
        LIST_ROW("rpoplpush", list__rpoplpush, 3, WRITES),
        FROM_TO,
        .since = "1.2.0",
        .summary = "Takes the last element of one list to the head of another and replies it.",
        .complexity = "O(1)",
        .deprecated_since = "6.2.0",
        .replaced_by = "`LMOVE` with the `RIGHT` and `LEFT` arguments",
        .args = args_rpoplpush,
    },
    {
        LIST_ROW("rpush", list__rpush, -3, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "1.0.0",
        .summary = "Adds elements at the tail; an absent key counts as an empty list.",
        .complexity = "O(N) where N is the number of elements added",
        .history = history_push,
        .args = args_push,
    },
    {
        LIST_ROW("rpushx", list__rpushx, -3, WRITES | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        ONE_KEY(KEY_RW | KEY_INSERT),
        .since = "2.2.0",
        .summary = "Adds elements at the tail, only if the list exists.",
        .complexity = "O(N) where N is the number of elements added",
        .history = history_pushx,
        .args = args_push,
    },
    {.name = NULL},
};
