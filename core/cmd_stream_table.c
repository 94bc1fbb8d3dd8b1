/* cmd_stream_table.c - the rows of the stream commands (see command.h), ordered by name.
 *
 * Facts (arity, flags, keys, argument names, versions) are those of Redis 7.4, which clients read
 * through COMMAND; the descriptions are ours. */
#include "core/cmd_stream.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define TOKEN(name_, token_, ...) \
    {.name = (name_), .type = ARG_PURE_TOKEN, .token = (token_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}
#define OPTIONAL .flags = ARG_OPTIONAL
#define MULTIPLE .flags = ARG_MULTIPLE

/* --- arguments --- */

static const struct command_arg args_key[] = {ARG("key", ARG_KEY), END};
static const struct command_arg args_key_group[] = {
    ARG("key", ARG_KEY), ARG("group", ARG_STRING), END,
};
static const struct command_arg args_key_ids[] = {
    ARG("key", ARG_KEY), ARG("id", ARG_STRING, MULTIPLE), END,
};
static const struct command_arg args_xack[] = {
    ARG("key", ARG_KEY), ARG("group", ARG_STRING), ARG("id", ARG_STRING, MULTIPLE), END,
};
static const struct command_arg args_strategy[] = {
    TOKEN("maxlen", "MAXLEN"), TOKEN("minid", "MINID", .since = "6.2.0"), END,
};
static const struct command_arg args_operator[] = {
    TOKEN("equal", "="), TOKEN("approximately", "~"), END,
};
static const struct command_arg args_trim[] = {
    ARG("strategy", ARG_ONEOF, .sub = args_strategy),
    ARG("operator", ARG_ONEOF, OPTIONAL, .sub = args_operator),
    ARG("threshold", ARG_STRING),
    ARG("count", ARG_INTEGER, .token = "LIMIT", OPTIONAL, .since = "6.2.0"),
    END,
};
static const struct command_arg args_xtrim[] = {
    ARG("key", ARG_KEY), ARG("trim", ARG_BLOCK, .sub = args_trim), END,
};
static const struct command_arg args_id_selector[] = {
    TOKEN("auto-id", "*"), ARG("id", ARG_STRING), END,
};
static const struct command_arg args_field_value[] = {
    ARG("field", ARG_STRING), ARG("value", ARG_STRING), END,
};
static const struct command_arg args_xadd[] = {
    ARG("key", ARG_KEY),
    TOKEN("nomkstream", "NOMKSTREAM", OPTIONAL, .since = "6.2.0"),
    ARG("trim", ARG_BLOCK, OPTIONAL, .sub = args_trim),
    ARG("id-selector", ARG_ONEOF, .sub = args_id_selector),
    ARG("data", ARG_BLOCK, MULTIPLE, .sub = args_field_value),
    END,
};
static const struct command_arg args_xautoclaim[] = {
    ARG("key", ARG_KEY),
    ARG("group", ARG_STRING),
    ARG("consumer", ARG_STRING),
    ARG("min-idle-time", ARG_STRING),
    ARG("start", ARG_STRING),
    ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL),
    TOKEN("justid", "JUSTID", OPTIONAL),
    END,
};
static const struct command_arg args_xclaim[] = {
    ARG("key", ARG_KEY),
    ARG("group", ARG_STRING),
    ARG("consumer", ARG_STRING),
    ARG("min-idle-time", ARG_STRING),
    ARG("id", ARG_STRING, MULTIPLE),
    ARG("ms", ARG_INTEGER, .token = "IDLE", OPTIONAL),
    ARG("unix-time-milliseconds", ARG_UNIX_TIME, .token = "TIME", OPTIONAL),
    ARG("count", ARG_INTEGER, .token = "RETRYCOUNT", OPTIONAL),
    TOKEN("force", "FORCE", OPTIONAL),
    TOKEN("justid", "JUSTID", OPTIONAL),
    ARG("lastid", ARG_STRING, .token = "LASTID", OPTIONAL),
    END,
};
static const struct command_arg args_group_id[] = {
    ARG("id", ARG_STRING), TOKEN("new-id", "$"), END,
};
static const struct command_arg args_xgroup_create[] = {
    ARG("key", ARG_KEY),
    ARG("group", ARG_STRING),
    ARG("id-selector", ARG_ONEOF, .sub = args_group_id),
    TOKEN("mkstream", "MKSTREAM", OPTIONAL),
    ARG("entries-read", ARG_INTEGER, .token = "ENTRIESREAD", OPTIONAL),
    END,
};
static const struct command_arg args_xgroup_setid[] = {
    ARG("key", ARG_KEY),
    ARG("group", ARG_STRING),
    ARG("id-selector", ARG_ONEOF, .sub = args_group_id),
    ARG("entriesread", ARG_INTEGER, .token = "ENTRIESREAD", OPTIONAL),
    END,
};
static const struct command_arg args_xgroup_consumer[] = {
    ARG("key", ARG_KEY), ARG("group", ARG_STRING), ARG("consumer", ARG_STRING), END,
};
static const struct command_arg args_full[] = {
    TOKEN("full", "FULL"), ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL), END,
};
static const struct command_arg args_xinfo_stream[] = {
    ARG("key", ARG_KEY), ARG("full-block", ARG_BLOCK, OPTIONAL, .sub = args_full), END,
};
static const struct command_arg args_pending_filters[] = {
    ARG("min-idle-time", ARG_INTEGER, .token = "IDLE", OPTIONAL, .since = "6.2.0"),
    ARG("start", ARG_STRING),
    ARG("end", ARG_STRING),
    ARG("count", ARG_INTEGER),
    ARG("consumer", ARG_STRING, OPTIONAL),
    END,
};
static const struct command_arg args_xpending[] = {
    ARG("key", ARG_KEY),
    ARG("group", ARG_STRING),
    ARG("filters", ARG_BLOCK, OPTIONAL, .sub = args_pending_filters),
    END,
};
static const struct command_arg args_xrange[] = {
    ARG("key", ARG_KEY),
    ARG("start", ARG_STRING),
    ARG("end", ARG_STRING),
    ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL),
    END,
};
static const struct command_arg args_xrevrange[] = {
    ARG("key", ARG_KEY),
    ARG("end", ARG_STRING),
    ARG("start", ARG_STRING),
    ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL),
    END,
};
static const struct command_arg args_streams[] = {
    ARG("key", ARG_KEY, MULTIPLE), ARG("id", ARG_STRING, MULTIPLE), END,
};
static const struct command_arg args_xread[] = {
    ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL),
    ARG("milliseconds", ARG_INTEGER, .token = "BLOCK", OPTIONAL),
    ARG("streams", ARG_BLOCK, .token = "STREAMS", .sub = args_streams),
    END,
};
static const struct command_arg args_group_consumer[] = {
    ARG("group", ARG_STRING), ARG("consumer", ARG_STRING), END,
};
static const struct command_arg args_xreadgroup[] = {
    ARG("group-block", ARG_BLOCK, .token = "GROUP", .sub = args_group_consumer),
    ARG("count", ARG_INTEGER, .token = "COUNT", OPTIONAL),
    ARG("milliseconds", ARG_INTEGER, .token = "BLOCK", OPTIONAL),
    TOKEN("noack", "NOACK", OPTIONAL),
    ARG("streams", ARG_BLOCK, .token = "STREAMS", .sub = args_streams),
    END,
};
static const struct command_arg args_xsetid[] = {
    ARG("key", ARG_KEY),
    ARG("last-id", ARG_STRING),
    ARG("entries-added", ARG_INTEGER, .token = "ENTRIESADDED", OPTIONAL, .since = "7.0.0"),
    ARG("max-deleted-id", ARG_STRING, .token = "MAXDELETEDID", OPTIONAL, .since = "7.0.0"),
    END,
};

/* --- history and tips --- */

static const struct command_change history_xadd[] = {
    CHANGE("6.2.0", "Options `NOMKSTREAM`, `MINID` and `LIMIT`."),
    CHANGE("7.0.0", "Ids of the form `<ms>-*`."),
    {.since = NULL},
};
static const struct command_change history_xautoclaim[] = {
    CHANGE("7.0.0", "The reply names the deleted entries that are no longer pending."),
    {.since = NULL},
};
static const struct command_change history_entries_read[] = {
    CHANGE("7.0.0", "Option `ENTRIESREAD`."),
    {.since = NULL},
};
static const struct command_change history_xinfo_consumers[] = {
    CHANGE("7.2.0", "Field `inactive`; `idle` counts attempts, too."),
    {.since = NULL},
};
static const struct command_change history_xinfo_groups[] = {
    CHANGE("7.0.0", "Fields `entries-read` and `lag`."),
    {.since = NULL},
};
static const struct command_change history_xinfo_stream[] = {
    CHANGE("6.0.0", "Option `FULL`."),
    CHANGE("7.0.0", "Fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, "
                    "`entries-read` and `lag`."),
    CHANGE("7.2.0", "Field `active-time`; `seen-time` counts attempts, too."),
    {.since = NULL},
};
static const struct command_change history_xpending[] = {
    CHANGE("6.2.0", "Option `IDLE`, and intervals without their bounds."),
    {.since = NULL},
};
static const struct command_change history_xrange[] = {
    CHANGE("6.2.0", "Intervals without their bounds."),
    {.since = NULL},
};
static const struct command_change history_xsetid[] = {
    CHANGE("7.0.0", "Options `ENTRIESADDED` and `MAXDELETEDID`."),
    {.since = NULL},
};
static const struct command_change history_xtrim[] = {
    CHANGE("6.2.0", "Options `MINID` and `LIMIT`."),
    {.since = NULL},
};
static const char *const tips_nondeterministic[] = {"nondeterministic_output", NULL};

/* --- the rows --- */

#define STREAM_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_STREAM, \
    .route = ROUTE_KEYS, .group = "stream"
#define KEY_1(flags_) .keys = {{.flags = (flags_), KEYS_AT(1, 0, 1)}}
#define KEY_2(flags_) .keys = {{.flags = (flags_), KEYS_AT(2, 0, 1)}}
#define HELP_ROW(run_)                                                                            \
    {                                                                                             \
        .name = "help", .run = (run_), .arity = 2, .flags = CMD_LOADING | CMD_STALE,              \
        .acl = ACL_STREAM, .route = ROUTE_HOME, .group = "stream", .since = "5.0.0",              \
        .summary = "Describes the subcommands.", .complexity = "O(1)",                            \
    }

static const struct command xgroup_subcommands[] = {
    {
        STREAM_ROW("create", stream__xgroup_create, -5, CMD_WRITE | CMD_DENYOOM),
        KEY_2(KEY_RW | KEY_INSERT),
        .since = "5.0.0",
        .summary = "Makes a consumer group.",
        .complexity = "O(1)",
        .history = history_entries_read,
        .args = args_xgroup_create,
    },
    {
        STREAM_ROW("createconsumer", stream__xgroup_createconsumer, 5, CMD_WRITE | CMD_DENYOOM),
        KEY_2(KEY_RW | KEY_INSERT),
        .since = "6.2.0",
        .summary = "Makes a consumer in a group.",
        .complexity = "O(1)",
        .args = args_xgroup_consumer,
    },
    {
        STREAM_ROW("delconsumer", stream__xgroup_delconsumer, 5, CMD_WRITE | CMD_SLICED),
        KEY_2(KEY_RW | KEY_DELETE),
        .since = "5.0.0",
        .summary = "Deletes a consumer of a group, and what is pending for it.",
        .complexity = "O(N) in the number of entries pending for the consumer",
        .args = args_xgroup_consumer,
    },
    {
        STREAM_ROW("destroy", stream__xgroup_destroy, 4, CMD_WRITE | CMD_SLICED),
        KEY_2(KEY_RW | KEY_DELETE),
        .since = "5.0.0",
        .summary = "Deletes a consumer group.",
        .complexity = "O(N) in the number of entries pending in the group",
        .args = args_key_group,
    },
    HELP_ROW(stream__xgroup_help),
    {
        STREAM_ROW("setid", stream__xgroup_setid, -5, CMD_WRITE | CMD_SLICED),
        KEY_2(KEY_RW | KEY_UPDATE),
        .since = "5.0.0",
        .summary = "Sets the id after which a group goes on.",
        .complexity = "O(1)",
        .history = history_entries_read,
        .args = args_xgroup_setid,
    },
    {.name = NULL},
};

static const struct command xinfo_subcommands[] = {
    {
        STREAM_ROW("consumers", stream__xinfo_consumers, 4, CMD_READONLY),
        KEY_2(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Lists the consumers of a group.",
        .complexity = "O(1)",
        .history = history_xinfo_consumers,
        .args = args_key_group,
        .tips = tips_nondeterministic,
    },
    {
        STREAM_ROW("groups", stream__xinfo_groups, 3, CMD_READONLY),
        KEY_2(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Lists the consumer groups of a stream.",
        .complexity = "O(1)",
        .history = history_xinfo_groups,
        .args = args_key,
    },
    HELP_ROW(stream__xinfo_help),
    {
        STREAM_ROW("stream", stream__xinfo_stream, -3, CMD_READONLY | CMD_SLICED),
        KEY_2(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Describes a stream.",
        .complexity = "O(1)",
        .history = history_xinfo_stream,
        .args = args_xinfo_stream,
    },
    {.name = NULL},
};

const struct command stream_commands[] = {
    {
        STREAM_ROW("xack", stream__xack, -4, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        KEY_1(KEY_RW | KEY_UPDATE),
        .since = "5.0.0",
        .summary = "Acknowledges entries: they are no longer pending. Returns how many were.",
        .complexity = "O(1) for each id",
        .args = args_xack,
    },
    {
        STREAM_ROW("xadd", stream__xadd, -5, CMD_WRITE | CMD_DENYOOM | CMD_FAST | CMD_SLICED),
        .sliced_from = 7,
        .keys = {{.flags = KEY_RW | KEY_UPDATE, KEYS_AT(1, 0, 1),
                  .notes = "UPDATE rather than INSERT, as it may trim"}},
        .since = "5.0.0",
        .summary = "Adds an entry to a stream; creates the key if it is absent.",
        .complexity = "O(1) to add, O(N) in the number of entries that trimming deletes",
        .history = history_xadd,
        .args = args_xadd,
        .tips = tips_nondeterministic,
    },
    {
        STREAM_ROW("xautoclaim", stream__xautoclaim, -6, CMD_WRITE | CMD_FAST | CMD_SLICED),
        KEY_1(KEY_RW | KEY_ACCESS | KEY_DELETE),
        .since = "6.2.0",
        .summary = "Gives entries that have been pending for long to another consumer.",
        .complexity = "O(1) for a small COUNT",
        .history = history_xautoclaim,
        .args = args_xautoclaim,
        .tips = tips_nondeterministic,
    },
    {
        STREAM_ROW("xclaim", stream__xclaim, -6, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        KEY_1(KEY_RW | KEY_UPDATE),
        .since = "5.0.0",
        .summary = "Gives pending entries to another consumer.",
        .complexity = "O(log N) for each id, where N is the number of entries pending in the group",
        .args = args_xclaim,
        .tips = tips_nondeterministic,
    },
    {
        STREAM_ROW("xdel", stream__xdel, -3, CMD_WRITE | CMD_FAST | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        KEY_1(KEY_RW | KEY_DELETE),
        .since = "5.0.0",
        .summary = "Deletes entries of a stream and returns how many.",
        .complexity = "O(1) for each id, whatever the size of the stream",
        .args = args_key_ids,
    },
    {
        .name = "xgroup", .arity = -2, .subcommands = xgroup_subcommands, .group = "stream",
        .since = "5.0.0", .summary = "Groups the commands for consumer groups.",
        .complexity = "That of the subcommand.",
    },
    {
        .name = "xinfo", .arity = -2, .subcommands = xinfo_subcommands, .group = "stream",
        .since = "5.0.0", .summary = "Groups the commands that describe streams.",
        .complexity = "That of the subcommand.",
    },
    {
        STREAM_ROW("xlen", stream__xlen, 2, CMD_READONLY | CMD_FAST),
        KEY_1(KEY_RO),
        .since = "5.0.0",
        .summary = "Counts the entries of a stream.",
        .complexity = "O(1)",
        .args = args_key,
    },
    {
        STREAM_ROW("xpending", stream__xpending, -3, CMD_READONLY | CMD_SLICED),
        KEY_1(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Tells which entries are pending in a group, for whom, and since when.",
        .complexity = "O(N) in the number of entries returned, or looked at when IDLE is given; "
                      "the summary is O(N) in the number of consumers",
        .history = history_xpending,
        .args = args_xpending,
        .tips = tips_nondeterministic,
    },
    {
        STREAM_ROW("xrange", stream__xrange, -4, CMD_READONLY | CMD_SLICED),
        KEY_1(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Returns the entries of a stream within an interval of ids.",
        .complexity = "O(N) in the number of entries returned",
        .history = history_xrange,
        .args = args_xrange,
    },
    {
        STREAM_ROW("xread", stream__xread, -4, CMD_BLOCKING | CMD_READONLY | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, .begin = KEY_BEGIN_KEYWORD, .keyword = "STREAMS",
                  .index = 1, .find = KEY_FIND_RANGE, .last = -1, .step = 1, .limit = 2}},
        .find_keys = stream__xread_keys,
        .may_wait = stream__xread_may_wait,
        .since = "5.0.0",
        .summary = "Returns the entries of streams behind given ids, or waits for some.",
        .complexity = "O(N) in the number of entries returned",
        .args = args_xread,
    },
    {
        STREAM_ROW("xreadgroup", stream__xreadgroup, -7, CMD_BLOCKING | CMD_WRITE | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = KEY_RO | KEY_ACCESS, .begin = KEY_BEGIN_KEYWORD, .keyword = "STREAMS",
                  .index = 4, .find = KEY_FIND_RANGE, .last = -1, .step = 1, .limit = 2}},
        .find_keys = stream__xread_keys,
        .may_wait = stream__xread_may_wait,
        .since = "5.0.0",
        .summary = "Gives entries of streams to a consumer of a group: new ones, or those that are "
                   "pending for it already.",
        .complexity = "O(N) in the number of entries returned",
        .args = args_xreadgroup,
    },
    {
        STREAM_ROW("xrevrange", stream__xrevrange, -4, CMD_READONLY | CMD_SLICED),
        KEY_1(KEY_RO | KEY_ACCESS),
        .since = "5.0.0",
        .summary = "Returns the entries of a stream within an interval of ids, the last one first.",
        .complexity = "O(N) in the number of entries returned",
        .history = history_xrange,
        .args = args_xrevrange,
    },
    {
        STREAM_ROW("xsetid", stream__xsetid, -3, CMD_WRITE | CMD_DENYOOM | CMD_FAST),
        KEY_1(KEY_RW | KEY_UPDATE),
        .since = "5.0.0",
        .summary = "Sets the last id of a stream (internal use).",
        .complexity = "O(1)",
        .history = history_xsetid,
        .args = args_xsetid,
    },
    {
        STREAM_ROW("xtrim", stream__xtrim, -4, CMD_WRITE | CMD_SLICED),
        KEY_1(KEY_RW | KEY_DELETE),
        .since = "5.0.0",
        .summary = "Deletes entries from the beginning of a stream and returns how many.",
        .complexity = "O(N) in the number of entries deleted; whole nodes of them go at once",
        .history = history_xtrim,
        .args = args_xtrim,
        .tips = tips_nondeterministic,
    },
    {.name = NULL},
};
