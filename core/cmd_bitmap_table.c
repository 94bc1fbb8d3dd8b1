/* cmd_bitmap_table.c - the rows of the bitmap commands (see command.h), ordered by name. Facts are
 * those of Redis 7.4, which clients read through COMMAND; the descriptions are ours. */
#include "core/cmd_bitmap.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_unit[] = {
    ARG("byte", ARG_PURE_TOKEN, .token = "BYTE"),
    ARG("bit", ARG_PURE_TOKEN, .token = "BIT"),
    END,
};
static const struct command_arg args_count_range[] = {
    ARG("start", ARG_INTEGER),
    ARG("end", ARG_INTEGER),
    ARG("unit", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "7.0.0", .sub = args_unit),
    END,
};
static const struct command_arg args_bitcount[] = {
    ARG("key", ARG_KEY),
    ARG("range", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_count_range),
    END,
};
static const struct command_arg args_pos_end[] = {
    ARG("end", ARG_INTEGER),
    ARG("unit", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "7.0.0", .sub = args_unit),
    END,
};
static const struct command_arg args_pos_range[] = {
    ARG("start", ARG_INTEGER),
    ARG("end-unit-block", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_pos_end),
    END,
};
static const struct command_arg args_bitpos[] = {
    ARG("key", ARG_KEY),
    ARG("bit", ARG_INTEGER),
    ARG("range", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_pos_range),
    END,
};
static const struct command_arg args_field_get[] = {
    ARG("encoding", ARG_STRING), ARG("offset", ARG_INTEGER), END,
};
static const struct command_arg args_field_set[] = {
    ARG("encoding", ARG_STRING), ARG("offset", ARG_INTEGER), ARG("value", ARG_INTEGER), END,
};
static const struct command_arg args_field_incrby[] = {
    ARG("encoding", ARG_STRING), ARG("offset", ARG_INTEGER), ARG("increment", ARG_INTEGER), END,
};
static const struct command_arg args_field_overflow[] = {
    ARG("wrap", ARG_PURE_TOKEN, .token = "WRAP"),
    ARG("sat", ARG_PURE_TOKEN, .token = "SAT"),
    ARG("fail", ARG_PURE_TOKEN, .token = "FAIL"),
    END,
};
static const struct command_arg args_field_write[] = {
    ARG("set-block", ARG_BLOCK, .token = "SET", .sub = args_field_set),
    ARG("incrby-block", ARG_BLOCK, .token = "INCRBY", .sub = args_field_incrby),
    END,
};
static const struct command_arg args_field_writes[] = {
    ARG("overflow-block", ARG_ONEOF, .token = "OVERFLOW", .flags = ARG_OPTIONAL,
        .sub = args_field_overflow),
    ARG("write-operation", ARG_ONEOF, .sub = args_field_write),
    END,
};
static const struct command_arg args_field_operation[] = {
    ARG("get-block", ARG_BLOCK, .token = "GET", .sub = args_field_get),
    ARG("write", ARG_BLOCK, .sub = args_field_writes),
    END,
};
static const struct command_arg args_bitfield[] = {
    ARG("key", ARG_KEY),
    ARG("operation", ARG_ONEOF, .flags = ARG_OPTIONAL | ARG_MULTIPLE, .sub = args_field_operation),
    END,
};
static const struct command_arg args_bitfield_ro[] = {
    ARG("key", ARG_KEY),
    ARG("get-block", ARG_BLOCK, .token = "GET",
        .flags = ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN, .sub = args_field_get),
    END,
};
static const struct command_arg args_operation[] = {
    ARG("and", ARG_PURE_TOKEN, .token = "AND"),
    ARG("or", ARG_PURE_TOKEN, .token = "OR"),
    ARG("xor", ARG_PURE_TOKEN, .token = "XOR"),
    ARG("not", ARG_PURE_TOKEN, .token = "NOT"),
    ARG("diff", ARG_PURE_TOKEN, .token = "DIFF", .since = "8.2.0"),
    ARG("diff1", ARG_PURE_TOKEN, .token = "DIFF1", .since = "8.2.0"),
    ARG("andor", ARG_PURE_TOKEN, .token = "ANDOR", .since = "8.2.0"),
    ARG("one", ARG_PURE_TOKEN, .token = "ONE", .since = "8.2.0"),
    END,
};
static const struct command_arg args_bitop[] = {
    ARG("operation", ARG_ONEOF, .sub = args_operation),
    ARG("destkey", ARG_KEY),
    ARG("key", ARG_KEY, .flags = ARG_MULTIPLE, .key_spec = 1),
    END,
};
static const struct command_arg args_getbit[] = {
    ARG("key", ARG_KEY), ARG("offset", ARG_INTEGER), END,
};
static const struct command_arg args_setbit[] = {
    ARG("key", ARG_KEY), ARG("offset", ARG_INTEGER), ARG("value", ARG_INTEGER), END,
};

/* --- history --- */

static const struct command_change history_unit[] = {
    CHANGE("7.0.0", "Option `BYTE|BIT`."),
    {.since = NULL},
};
static const struct command_change history_bitop[] = {
    CHANGE("8.2.0", "Operations `DIFF`, `DIFF1`, `ANDOR` and `ONE`."),
    {.since = NULL},
};

/* --- the rows --- */

#define BITMAP_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_BITMAP, \
    .route = ROUTE_KEYS, .group = "bitmap"
#define ONE_KEY(flags_) .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}}
#define READS (KEY_RO | KEY_ACCESS)

const struct command bitmap_commands[] = {
    {
        BITMAP_ROW("bitcount", bitmap__bitcount, -2, CMD_READONLY | CMD_SLICED),
        ONE_KEY(READS),
        .since = "2.6.0",
        .summary = "Counts the ones among a string's bits, or among part of them.",
        .complexity = "O(N)",
        .history = history_unit,
        .args = args_bitcount,
    },
    {
        BITMAP_ROW("bitfield", bitmap__bitfield, -2, CMD_WRITE | CMD_DENYOOM),
        .keys = {{.flags = KEY_RW | KEY_UPDATE | KEY_ACCESS | KEY_VARIABLE_FLAGS,
                  .notes = "RW and UPDATE: `SET` and `INCRBY` change the string",
                  KEYS_AT(1, 0, 1)}},
        .since = "3.2.0",
        .summary = "Reads and changes integers of any width anywhere in a string.",
        .complexity = "O(1) for each operation",
        .args = args_bitfield,
    },
    {
        BITMAP_ROW("bitfield_ro", bitmap__bitfield_ro, -2, CMD_READONLY | CMD_FAST),
        ONE_KEY(READS),
        .since = "6.0.0",
        .summary = "Reads integers of any width anywhere in a string.",
        .complexity = "O(1) for each operation",
        .args = args_bitfield_ro,
    },
    {
        BITMAP_ROW("bitop", bitmap__bitop, -4, CMD_WRITE | CMD_DENYOOM | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(2, 0, 1)},
                 {.flags = READS, KEYS_AT(3, -1, 1)}},
        .since = "2.6.0",
        .summary = "Combines the bits of strings and stores the result.",
        .complexity = "O(N)",
        .history = history_bitop,
        .args = args_bitop,
    },
    {
        BITMAP_ROW("bitpos", bitmap__bitpos, -3, CMD_READONLY | CMD_SLICED),
        ONE_KEY(READS),
        .since = "2.8.7",
        .summary = "Finds a string's first bit that is one, or zero.",
        .complexity = "O(N)",
        .history = history_unit,
        .args = args_bitpos,
    },
    {
        BITMAP_ROW("getbit", bitmap__getbit, 3, CMD_READONLY | CMD_FAST),
        ONE_KEY(READS),
        .since = "2.2.0",
        .summary = "Replies one bit of a string.",
        .complexity = "O(1)",
        .args = args_getbit,
    },
    {
        BITMAP_ROW("setbit", bitmap__setbit, 4, CMD_WRITE | CMD_DENYOOM),
        ONE_KEY(KEY_RW | KEY_ACCESS | KEY_UPDATE),
        .since = "2.2.0",
        .summary = "Sets one bit of a string and replies the one before.",
        .complexity = "O(1)",
        .args = args_setbit,
    },
    {.name = NULL},
};
