/* cmd_sort_table.c - the rows of SORT and SORT_RO (see command.h). Facts are those of Redis 7.4; the
 * descriptions are ours. */
#include "core/cmd_sort.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}

static const struct command_arg args_limit[] = {
    ARG("offset", ARG_INTEGER), ARG("count", ARG_INTEGER), END,
};
static const struct command_arg args_order[] = {
    ARG("asc", ARG_PURE_TOKEN, .token = "ASC"), ARG("desc", ARG_PURE_TOKEN, .token = "DESC"), END,
};

#define ARGS_READING \
    ARG("key", ARG_KEY), \
    ARG("by-pattern", ARG_PATTERN, .token = "BY", .key_spec = 1, .flags = ARG_OPTIONAL), \
    ARG("limit", ARG_BLOCK, .token = "LIMIT", .flags = ARG_OPTIONAL, .sub = args_limit), \
    ARG("get-pattern", ARG_PATTERN, .token = "GET", .key_spec = 1, \
        .flags = ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN), \
    ARG("order", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_order), \
    ARG("sorting", ARG_PURE_TOKEN, .token = "ALPHA", .flags = ARG_OPTIONAL)

static const struct command_arg args_sort[] = {
    ARGS_READING,
    ARG("destination", ARG_KEY, .token = "STORE", .key_spec = 2, .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_sort_ro[] = {ARGS_READING, END};

#define PATTERN_KEYS \
    {.flags = KEY_RO | KEY_ACCESS, .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN, \
     .notes = "keys that BY and GET make of their patterns and the elements"}
#define STORE_KEY \
    {.flags = KEY_OW | KEY_UPDATE, .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN, \
     .notes = "key of STORE, which may stand anywhere"}
#define SORT_ROW(name_, run_, flags_) \
    .name = (name_), .run = (run_), .arity = -2, .flags = (flags_) | CMD_MOVABLE_KEYS, \
    .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .route = ROUTE_KEYS, \
    .apart = APART_LEND, .undeclared = sort__undeclared, .group = "generic", \
    .complexity = "O(N+M*log(M)) where N is the number of elements, M the number replied"

const struct command sort_commands[] = {
    {
        SORT_ROW("sort", sort__sort, CMD_WRITE | CMD_DENYOOM | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}, PATTERN_KEYS, STORE_KEY},
        .find_keys = sort__find_keys,
        .since = "1.0.0",
        .summary = "Sorts the elements of a list, set or sorted set; replies or stores them.",
        .args = args_sort,
    },
    {
        SORT_ROW("sort_ro", sort__sort_ro, CMD_READONLY | CMD_SLICED),
        .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}, PATTERN_KEYS},
        .find_keys = sort__find_keys_ro,
        .since = "7.0.0",
        .summary = "Sorts the elements of a list, set or sorted set and replies them.",
        .args = args_sort_ro,
    },
    {.name = NULL},
};
