/* cmd_command.c - COMMAND: what the command table says about itself.
 *
 * Everything is printed from the rows (core/command.h); nothing is known here about any command,
 * but for two whose key flags depend on their arguments (variable_flags). Runs at home: the table
 * never changes. What may answer with hundreds of kilobytes does so as ROUTE_BARRIER, not while
 * input is parsed: other shards wait for the end of that.
 *
 * The shapes are those of Redis: flags and categories are sets of status strings, key
 * specifications a set of maps; COMMAND INFO is an array of ten elements per command, COMMAND DOCS
 * a map. Commands come in the order of the table (in Redis: in no order).
 */
#include "core/glob.h"
#include "core/mem.h"
#include "shards/commands.h"

/* --- small parts --- */

struct bit_name {
    uint32_t bit;
    const char *name; /* NULL ends */
};

static void reply_bits(struct reply *r, uint32_t bits, const struct bit_name *names)
{
    size_t n = 0;
    for (const struct bit_name *b = names; b->name != NULL; b++) {
        n += (bits & b->bit) != 0;
    }
    reply_set(r, n);
    for (const struct bit_name *b = names; b->name != NULL; b++) {
        if (bits & b->bit) {
            reply_status(r, b->name);
        }
    }
}

/* MAY_REPLICATE, PROTECTED and the two SENTINEL flags are nobody's business but the server's. */
static const struct bit_name flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_ASKING, "asking"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {0, NULL},
};

static const struct bit_name category_names[] = {
    {ACL_KEYSPACE, "@keyspace"},
    {ACL_READ, "@read"},
    {ACL_WRITE, "@write"},
    {ACL_SET, "@set"},
    {ACL_SORTEDSET, "@sortedset"},
    {ACL_LIST, "@list"},
    {ACL_HASH, "@hash"},
    {ACL_STRING, "@string"},
    {ACL_BITMAP, "@bitmap"},
    {ACL_HYPERLOGLOG, "@hyperloglog"},
    {ACL_GEO, "@geo"},
    {ACL_STREAM, "@stream"},
    {ACL_PUBSUB, "@pubsub"},
    {ACL_ADMIN, "@admin"},
    {ACL_FAST, "@fast"},
    {ACL_SLOW, "@slow"},
    {ACL_BLOCKING, "@blocking"},
    {ACL_DANGEROUS, "@dangerous"},
    {ACL_CONNECTION, "@connection"},
    {ACL_TRANSACTION, "@transaction"},
    {ACL_SCRIPTING, "@scripting"},
    {0, NULL},
};

static const struct bit_name key_flag_names[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE_FLAGS, "variable_flags"},
    {0, NULL},
};

static const struct bit_name arg_flag_names[] = {
    {ARG_OPTIONAL, "optional"},
    {ARG_MULTIPLE, "multiple"},
    {ARG_MULTIPLE_TOKEN, "multiple_token"},
    {0, NULL},
};

static const char *const arg_type_names[] = {
    [ARG_STRING] = "string",         [ARG_INTEGER] = "integer",
    [ARG_DOUBLE] = "double",         [ARG_KEY] = "key",
    [ARG_PATTERN] = "pattern",       [ARG_UNIX_TIME] = "unix-time",
    [ARG_PURE_TOKEN] = "pure-token", [ARG_ONEOF] = "oneof",
    [ARG_BLOCK] = "block",
};

static void field_str(struct reply *r, const char *name, const char *value)
{
    if (value != NULL) {
        reply_bulk_str(r, name);
        reply_bulk_str(r, value);
    }
}

static void field_int(struct reply *r, const char *name, int64_t value)
{
    reply_bulk_str(r, name);
    reply_int(r, value);
}

static size_t subcommand_count(const struct command *cmd)
{
    size_t n = 0;
    while (cmd->subcommands != NULL && cmd->subcommands[n].name != NULL) {
        n++;
    }
    return n;
}

static int key_spec_count(const struct command *cmd)
{
    int n = 0;
    while (n < COMMAND_KEY_SPECS_MAX && cmd->keys[n].begin != KEY_BEGIN_NONE) {
        n++;
    }
    return n;
}

static void reply_strings(struct reply *r, const char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL) {
        n++;
    }
    reply_set(r, n);
    for (size_t i = 0; i < n; i++) {
        reply_bulk_str(r, list[i]);
    }
}

/* --- COMMAND INFO --- */

static void reply_key_begin(struct reply *r, const struct key_spec *k)
{
    reply_bulk_str(r, "begin_search");
    reply_map(r, 2);
    reply_bulk_str(r, "type");
    if (k->begin == KEY_BEGIN_INDEX) {
        reply_bulk_str(r, "index");
        reply_bulk_str(r, "spec");
        reply_map(r, 1);
        field_int(r, "index", k->index);
    } else if (k->begin == KEY_BEGIN_KEYWORD) {
        reply_bulk_str(r, "keyword");
        reply_bulk_str(r, "spec");
        reply_map(r, 2);
        field_str(r, "keyword", k->keyword);
        field_int(r, "startfrom", k->index);
    } else {
        reply_bulk_str(r, "unknown");
        reply_bulk_str(r, "spec");
        reply_map(r, 0);
    }
}

static void reply_key_find(struct reply *r, const struct key_spec *k)
{
    reply_bulk_str(r, "find_keys");
    reply_map(r, 2);
    reply_bulk_str(r, "type");
    if (k->find == KEY_FIND_RANGE) {
        reply_bulk_str(r, "range");
        reply_bulk_str(r, "spec");
        reply_map(r, 3);
        field_int(r, "lastkey", k->last);
        field_int(r, "keystep", k->step);
        field_int(r, "limit", k->limit);
    } else if (k->find == KEY_FIND_KEYNUM) {
        reply_bulk_str(r, "keynum");
        reply_bulk_str(r, "spec");
        reply_map(r, 3);
        field_int(r, "keynumidx", k->keynum);
        field_int(r, "firstkey", k->first);
        field_int(r, "keystep", k->step);
    } else {
        reply_bulk_str(r, "unknown");
        reply_bulk_str(r, "spec");
        reply_map(r, 0);
    }
}

static void reply_key_specs(struct reply *r, const struct command *cmd)
{
    int n = key_spec_count(cmd);
    reply_set(r, (size_t)n);
    for (int i = 0; i < n; i++) {
        const struct key_spec *k = &cmd->keys[i];
        reply_map(r, k->notes != NULL ? 4 : 3);
        field_str(r, "notes", k->notes);
        reply_bulk_str(r, "flags");
        reply_bits(r, k->flags, key_flag_names);
        reply_key_begin(r, k);
        reply_key_find(r, k);
    }
}

static void reply_info(struct reply *r, const struct command *cmd)
{
    if (cmd == NULL) {
        reply_null(r);
        return;
    }
    struct command_range range;
    command_legacy_range(cmd, &range);

    reply_array(r, 10);
    reply_bulk_str(r, cmd->full_name);
    reply_int(r, cmd->arity);
    reply_bits(r, cmd->flags, flag_names);
    reply_int(r, range.first);
    reply_int(r, range.last);
    reply_int(r, range.step);
    reply_bits(r, command_acl(cmd), category_names);
    reply_strings(r, cmd->tips);
    reply_key_specs(r, cmd);

    size_t subs = subcommand_count(cmd);
    if (subs == 0) {
        reply_set(r, 0);
        return;
    }
    reply_array(r, subs);
    for (size_t i = 0; i < subs; i++) {
        reply_info(r, &cmd->subcommands[i]); /* subcommands have none themselves */
    }
}

static size_t callable_count(void)
{
    size_t n = 0;
    for (unsigned id = 0; id < commands_count(); id++) {
        n += commands_callable(commands_by_id(id));
    }
    return n;
}

static void run_info(struct call *c)
{
    if (c->argc <= 2) { /* COMMAND, COMMAND INFO */
        reply_array(c->out, callable_count());
        for (unsigned id = 0; id < commands_count(); id++) {
            if (commands_callable(commands_by_id(id))) {
                reply_info(c->out, commands_by_id(id));
            }
        }
        return;
    }
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        reply_info(c->out, commands_find_full(c->argv[i]));
    }
}

/* --- COMMAND DOCS --- */

static void reply_args(struct reply *r, const struct command_arg *args)
{
    size_t n = 0;
    while (args != NULL && args[n].name != NULL) {
        n++;
    }
    reply_array(r, n);
    for (size_t i = 0; i < n; i++) {
        const struct command_arg *a = &args[i];
        bool nested = a->type == ARG_ONEOF || a->type == ARG_BLOCK;
        bool key = a->type == ARG_KEY && a->key_spec >= 0;
        reply_map(r, 2u + key + (a->token != NULL) + (a->summary != NULL) + (a->since != NULL) +
                         (a->deprecated_since != NULL) + (a->flags != 0) + nested);
        field_str(r, "name", a->name);
        field_str(r, "type", arg_type_names[a->type]);
        if (key) {
            field_int(r, "key_spec_index", a->key_spec);
        }
        field_str(r, "token", a->token);
        field_str(r, "summary", a->summary);
        field_str(r, "since", a->since);
        field_str(r, "deprecated_since", a->deprecated_since);
        if (a->flags != 0) {
            reply_bulk_str(r, "flags");
            reply_bits(r, a->flags, arg_flag_names);
        }
        if (nested) {
            reply_bulk_str(r, "arguments");
            reply_args(r, a->sub); /* as deep as the rows are written */
        }
    }
}

static void reply_history(struct reply *r, const struct command_change *history)
{
    size_t n = 0;
    while (history[n].since != NULL) {
        n++;
    }
    reply_set(r, n);
    for (size_t i = 0; i < n; i++) {
        reply_array(r, 2);
        reply_bulk_str(r, history[i].since);
        reply_bulk_str(r, history[i].text);
    }
}

static void reply_docs(struct reply *r, const struct command *cmd)
{
    size_t subs = subcommand_count(cmd);
    bool deprecated = cmd->deprecated_since != NULL;
    reply_map(r, (cmd->summary != NULL) + (cmd->since != NULL) + 1u + (cmd->complexity != NULL) +
                     2u * deprecated + (cmd->replaced_by != NULL) + (cmd->history != NULL) +
                     (cmd->args != NULL) + (subs > 0));
    field_str(r, "summary", cmd->summary);
    field_str(r, "since", cmd->since);
    field_str(r, "group", cmd->group != NULL ? cmd->group : "generic");
    field_str(r, "complexity", cmd->complexity);
    if (deprecated) {
        reply_bulk_str(r, "doc_flags");
        reply_set(r, 1);
        reply_status(r, "deprecated");
    }
    field_str(r, "deprecated_since", cmd->deprecated_since);
    field_str(r, "replaced_by", cmd->replaced_by);
    if (cmd->history != NULL) {
        reply_bulk_str(r, "history");
        reply_history(r, cmd->history);
    }
    if (cmd->args != NULL) {
        reply_bulk_str(r, "arguments");
        reply_args(r, cmd->args);
    }
    if (subs > 0) {
        reply_bulk_str(r, "subcommands");
        reply_map(r, subs);
        for (size_t i = 0; i < subs; i++) {
            reply_bulk_str(r, cmd->subcommands[i].full_name);
            reply_docs(r, &cmd->subcommands[i]);
        }
    }
}

static void run_docs(struct call *c)
{
    if (c->argc == 2) {
        reply_map(c->out, callable_count());
        for (unsigned id = 0; id < commands_count(); id++) {
            if (commands_callable(commands_by_id(id))) {
                reply_bulk_str(c->out, commands_by_id(id)->full_name);
                reply_docs(c->out, commands_by_id(id));
            }
        }
        return;
    }
    struct reply_mark mark = reply_deferred(c->out);
    size_t n = 0;
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct command *cmd = commands_find_full(c->argv[i]);
        if (cmd != NULL) {
            reply_bulk_str(c->out, cmd->full_name);
            reply_docs(c->out, cmd);
            n++;
        }
    }
    reply_deferred_map(c->out, mark, n);
}

/* --- COMMAND COUNT, LIST --- */

static void run_count(struct call *c)
{
    reply_int(c->out, (int64_t)callable_count());
}

struct filter {
    bool none;             /* nothing fits: there are no modules, no such category */
    uint32_t categories;   /* 0: any */
    struct slice pattern;  /* ptr NULL: any */
};

static uint32_t category_of(struct slice name)
{
    for (const struct bit_name *b = category_names; b->name != NULL; b++) {
        if (slice_is(name, b->name + 1)) {
            return b->bit;
        }
    }
    return 0;
}

static bool parse_filter(struct call *c, struct filter *f)
{
    if (c->argc == 2) {
        return true;
    }
    if (c->argc == 5 && slice_is(c->argv[2], "FILTERBY")) {
        struct slice value = c->argv[4];
        if (slice_is(c->argv[3], "MODULE")) {
            f->none = true;
            return true;
        }
        if (slice_is(c->argv[3], "ACLCAT")) {
            f->categories = category_of(value);
            f->none = f->categories == 0;
            return true;
        }
        if (slice_is(c->argv[3], "PATTERN")) {
            f->pattern = value;
            return true;
        }
    }
    call_error_syntax(c);
    return false;
}

static void run_list(struct call *c)
{
    struct filter f = {0};
    if (!parse_filter(c, &f)) {
        return;
    }
    struct reply_mark mark = reply_deferred(c->out);
    size_t n = 0;
    for (unsigned id = 0; id < commands_ids() && !f.none; id++) {
        const struct command *cmd = commands_by_id(id);
        if (!commands_callable(cmd) || (f.categories != 0 && !(command_acl(cmd) & f.categories)) ||
            (f.pattern.ptr != NULL && !glob_match(f.pattern, slice_str(cmd->full_name), true))) {
            continue;
        }
        reply_bulk_str(c->out, cmd->full_name);
        n++;
    }
    reply_deferred_array(c->out, mark, n);
}

/* --- COMMAND GETKEYS, GETKEYSANDFLAGS --- */

/* SET reads the old value only with GET. */
static uint32_t set_flags(const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 3; i < argc; i++) {
        if (slice_is(argv[i], "GET")) {
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
        }
    }
    return KEY_OW | KEY_UPDATE;
}

/* BITFIELD that only GETs changes nothing; what it does not understand counts as a change. */
static uint32_t bitfield_flags(const struct slice *argv, uint32_t argc)
{
    for (uint32_t i = 2; i < argc;) {
        uint32_t more = argc - 1 - i;
        if (slice_is(argv[i], "GET") && more >= 2) {
            i += 3;
        } else if (slice_is(argv[i], "OVERFLOW") && more >= 1) {
            i += 2;
        } else {
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
        }
    }
    return KEY_RO | KEY_ACCESS;
}

/* Flags of commands whose specification says KEY_VARIABLE_FLAGS. */
static uint32_t variable_flags(const struct command *cmd, const struct key_spec *k,
                               const struct slice *argv, uint32_t argc)
{
    if (strcmp(cmd->full_name, "set") == 0) {
        return set_flags(argv, argc);
    }
    if (strcmp(cmd->full_name, "bitfield") == 0) {
        return bitfield_flags(argv, argc);
    }
    return k->flags;
}

/* The flags of every argument that is a key, by its position; room has argc elements as well. Keys
 * that no specification finds, the row's function does: they belong to the last one that says
 * "unknown" (SORT has two: what BY and GET name, which no function can find, and STORE). Takes one pass for each specification. */
static void flags_by_position(const struct command *cmd, const struct slice *argv, uint32_t argc,
                              uint32_t *flags, uint32_t *room)
{
    struct command alone = *cmd; /* with one specification at a time */
    alone.find_keys = NULL;
    memset(alone.keys, 0, sizeof(alone.keys));

    uint32_t unknown = 0;
    bool *seen = mem_alloc_zero(argc * sizeof(*seen));
    for (int s = 0; s < key_spec_count(cmd); s++) {
        const struct key_spec *k = &cmd->keys[s];
        uint32_t found = k->flags & KEY_VARIABLE_FLAGS ? variable_flags(cmd, k, argv, argc)
                                                       : k->flags;
        found &= ~(uint32_t)(KEY_INCOMPLETE | KEY_VARIABLE_FLAGS);
        if (k->begin == KEY_BEGIN_UNKNOWN || k->find == KEY_FIND_UNKNOWN) {
            unknown = found;
            continue;
        }
        alone.keys[0] = *k;
        alone.keys[0].flags &= ~(uint32_t)KEY_INCOMPLETE;
        int n = command_keys(&alone, argv, argc, room, (int)argc);
        for (int i = 0; i < n && i < (int)argc; i++) {
            if (!seen[room[i]]) {
                seen[room[i]] = true;
                flags[room[i]] = found;
            }
        }
    }
    for (uint32_t i = 0; i < argc; i++) {
        flags[i] = seen[i] ? flags[i] : unknown;
    }
    mem_free(seen);
}

static bool has_keys(const struct command *cmd)
{
    if (cmd->find_keys != NULL) {
        return true;
    }
    for (int i = 0; i < key_spec_count(cmd); i++) {
        if (!(cmd->keys[i].flags & KEY_NOT_KEY)) {
            return true;
        }
    }
    return false;
}

/* The elements; returns their number. Channels and the like are routed by as keys, but are none. */
static size_t reply_keys(struct reply *r, const struct command *cmd, const struct slice *argv,
                         uint32_t argc, bool with_flags)
{
    uint32_t *positions = mem_alloc(3 * (size_t)argc * sizeof(*positions));
    uint32_t *flags = positions + argc;
    int found = command_keys(cmd, argv, argc, positions, (int)argc);
    flags_by_position(cmd, argv, argc, flags, flags + argc);
    size_t n = 0;
    for (int i = 0; i < found && i < (int)argc; i++) {
        uint32_t key_flags = flags[positions[i]];
        if (key_flags & KEY_NOT_KEY) {
            continue;
        }
        const struct slice *key = &argv[positions[i]];
        if (with_flags) {
            reply_array(r, 2);
        }
        reply_bulk(r, key->ptr, key->len);
        if (with_flags) {
            reply_bits(r, key_flags, key_flag_names);
        }
        n++;
    }
    mem_free(positions);
    return n;
}

static void get_keys(struct call *c, bool with_flags)
{
    const struct slice *argv = c->argv + 2;
    uint32_t argc = c->argc - 2;
    const struct command *cmd = commands_lookup(argv, argc);
    if (cmd == NULL) {
        reply_error(c->out, "ERR Invalid command specified");
        return;
    }
    if (!has_keys(cmd)) {
        reply_error(c->out, "ERR The command has no key arguments");
        return;
    }
    if (!command_arity_fits(cmd, argc)) {
        reply_error(c->out, "ERR Invalid number of arguments specified for command");
        return;
    }

    struct reply keys;
    reply_init(&keys, c->out->resp);
    size_t n = reply_keys(&keys, cmd, argv, argc, with_flags);
    if (n == 0 && !(cmd->flags & CMD_NO_MANDATORY_KEYS)) {
        reply_error(c->out, "ERR Invalid arguments specified for command");
    } else {
        reply_array(c->out, n);
        reply_move(c->out, &keys, keys.total_bytes);
    }
    reply_clear(&keys);
}

static void run_getkeys(struct call *c)
{
    get_keys(c, false);
}

static void run_getkeysandflags(struct call *c)
{
    get_keys(c, true);
}

static void run_help(struct call *c)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    All commands in detail.",
        "COUNT",
        "    How many commands there are.",
        "DOCS [<command-name> ...]",
        "    Documentation of these commands, or of all.",
        "GETKEYS <full-command>",
        "    The keys among the arguments of a command.",
        "GETKEYSANDFLAGS <full-command>",
        "    The keys among the arguments of a command, and what it does to them.",
        "INFO [<command-name> ...]",
        "    These commands, or all, in detail.",
        "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Names of all commands, or of those that the filter lets through.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

enum { ANYTIME = CMD_LOADING | CMD_STALE | CMD_SENTINEL };
#define EACH_NAMED "O(N), N being the number of commands asked for"
#define EACH_ARGUMENT "O(N), N being the number of the command's arguments"

static const char *const unordered_tips[] = {"nondeterministic_output_order", NULL};

static const struct command_arg names_args[] = {
    {.name = "command-name", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_change info_history[] = {
    {"7.0.0", "Without names it reports all commands."},
    {0},
};
static const struct command_arg filters[] = {
    {.name = "module-name", .type = ARG_STRING, .token = "MODULE"},
    {.name = "category", .type = ARG_STRING, .token = "ACLCAT"},
    {.name = "pattern", .type = ARG_PATTERN, .token = "PATTERN"},
    {0},
};
static const struct command_arg list_args[] = {
    {.name = "filterby", .type = ARG_ONEOF, .token = "FILTERBY", .flags = ARG_OPTIONAL,
     .sub = filters},
    {0},
};
static const struct command_arg getkeys_args[] = {
    {.name = "command", .type = ARG_STRING},
    {.name = "arg", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};

#define ROW(name_, run_, arity_, route_, since_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = ANYTIME, .acl = ACL_CONNECTION, \
    .route = (route_), .group = "server", .since = (since_)

static const struct command subcommands[] = {
    {
        ROW("count", run_count, 2, ROUTE_HOME, "2.8.13"),
        .summary = "Counts the commands.", .complexity = "O(1)",
    },
    {
        ROW("docs", run_docs, -2, ROUTE_BARRIER, "7.0.0"),
        .summary = "Documents commands.", .complexity = EACH_NAMED,
        .args = names_args, .tips = unordered_tips,
    },
    {
        ROW("getkeys", run_getkeys, -3, ROUTE_BARRIER, "2.8.13"),
        .summary = "Finds the keys in a command.", .complexity = EACH_ARGUMENT,
        .args = getkeys_args,
    },
    {
        ROW("getkeysandflags", run_getkeysandflags, -3, ROUTE_BARRIER, "7.0.0"),
        .summary = "Finds the keys in a command, and what it does to them.",
        .complexity = EACH_ARGUMENT, .args = getkeys_args,
    },
    {
        ROW("help", run_help, 2, ROUTE_HOME, "5.0.0"),
        .summary = "Explains the subcommands.", .complexity = "O(1)",
    },
    {
        ROW("info", run_info, -2, ROUTE_BARRIER, "2.8.13"),
        .summary = "Describes commands.", .complexity = EACH_NAMED,
        .history = info_history, .args = names_args, .tips = unordered_tips,
    },
    {
        ROW("list", run_list, -2, ROUTE_BARRIER, "7.0.0"),
        .summary = "Lists the names of commands.",
        .complexity = "O(N), N being the number of commands",
        .args = list_args, .tips = unordered_tips,
    },
    {0},
};

const struct command command_commands[] = {
    {
        ROW("command", run_info, -1, ROUTE_BARRIER, "2.8.13"),
        .summary = "Describes all commands.", .complexity = "O(N), N being the number of commands",
        .tips = unordered_tips,
        .subcommands = subcommands,
    },
    {0},
};
