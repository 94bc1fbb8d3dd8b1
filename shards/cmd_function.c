/* cmd_function.c - FUNCTION: libraries of functions. Every change makes a new set, published to all
 * shards at one moment (scripts.h); a broadcast then lets the VMs forget what is gone. */
#include "shards/busy.h"
#include "shards/cmd_server.h"
#include "shards/scripting.h"
#include <limits.h>

static struct scripts *scripts_of(const struct call *c)
{
    return call_home(c)->server->scripts;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* A change that has been published, on its way through the shards. */
struct change {
    struct function_catalog *old;
    struct function_library *loaded; /* FUNCTION LOAD: its name is the reply; else NULL */
};

/* Once every shard has been here, none looks at the old catalog any more (scripts.h I2). */
static void change_part(struct shard *s, void *ctx)
{
    (void)s;
    (void)ctx;
}

static void settle(struct shard *s, void *ctx)
{
    (void)ctx;
    if (s->scripting->vm != NULL) {
        function_vm_settle(s->scripting->vm);
        scripting_measure(s);
    }
}

static void change_done(struct call *c, void *ctx)
{
    struct change *change = ctx;
    if (change->loaded != NULL) {
        reply_bulk_str(c->out, change->loaded->name);
        function_library_unref(change->loaded);
    } else {
        reply_ok(c->out);
    }
    function_catalog_unref(change->old);
    mem_free(change);
    broadcast_note(call_home(c), settle, NULL);
}

/* set may be NULL: then the error is written already. False: somebody else has changed the functions
 * meanwhile; begin again. */
static bool publish(struct call *c, struct function_catalog *old, struct function_set *set,
                    struct function_library *loaded)
{
    if (set == NULL) {
        return true;
    }
    if (!functions_publish(scripts_of(c), old, set)) {
        if (loaded != NULL) {
            function_library_unref(loaded);
        }
        return false;
    }
    struct change *change = mem_alloc(sizeof *change);
    *change = (struct change){old, loaded};
    broadcast(c, change_part, change_done, change);
    return true;
}

static void cmd_function_load(struct call *c)
{
    bool replace = false;
    for (uint32_t i = 2; i + 1 < c->argc; i++) {
        if (!slice_is(c->argv[i], "replace")) {
            reply_errorf(c->out, "ERR Unknown option given: %.*s",
                         (int)(c->argv[i].len < INT_MAX ? c->argv[i].len : INT_MAX), c->argv[i].ptr);
            return;
        }
        replace = true;
    }
    struct slice code = c->argv[c->argc - 1];
    bool done = false;
    while (!done) {
        struct function_catalog *old = functions_now(scripts_of(c));
        struct function_library *loaded = NULL;
        struct function_set *set =
            function_set_load(old->set, scripting_vm(call_home(c)), code, replace,
                              FUNCTION_LOAD_TIMEOUT_MS, &loaded, c->out);
        done = publish(c, old, set, loaded);
    }
}

static void cmd_function_delete(struct call *c)
{
    bool done = false;
    while (!done) {
        struct function_catalog *old = functions_now(scripts_of(c));
        done = publish(c, old, function_set_delete(old->set, c->argv[2], c->out), NULL);
    }
}

static void cmd_function_flush(struct call *c)
{
    if (c->argc > 3) {
        call_error_subcommand_args(c);
        return;
    }
    if (c->argc == 3 && !slice_is(c->argv[2], "sync") && !slice_is(c->argv[2], "async")) {
        reply_error(c->out, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
        return;
    }
    bool done = false;
    while (!done) {
        done = publish(c, functions_now(scripts_of(c)), function_set_empty(), NULL);
    }
}

static void cmd_function_restore(struct call *c)
{
    static const char *const words[] = {"append", "replace", "flush"}; /* enum function_restore */
    unsigned policy = FUNCTION_RESTORE_APPEND;
    if (c->argc > 4) {
        call_error_subcommand_args(c);
        return;
    }
    if (c->argc == 4) {
        for (policy = 0; policy < 3 && !slice_is(c->argv[3], words[policy]); policy++) {
        }
        if (policy == 3) {
            reply_error(c->out, "ERR Wrong restore policy given, value should be either FLUSH, "
                                "APPEND or REPLACE.");
            return;
        }
    }
    bool done = false;
    while (!done) {
        struct function_catalog *old = functions_now(scripts_of(c));
        struct function_set *set =
            function_set_restore(old->set, scripting_vm(call_home(c)), c->argv[2],
                                 (enum function_restore)policy, c->out);
        done = publish(c, old, set, NULL);
    }
}

/* --- looking ---------------------------------------------------------------------------------- */

static void cmd_function_list(struct call *c)
{
    bool with_code = false;
    struct slice pattern = {NULL, 0};
    for (uint32_t i = 2; i < c->argc; i++) {
        if (!with_code && slice_is(c->argv[i], "withcode")) {
            with_code = true;
        } else if (pattern.ptr == NULL && slice_is(c->argv[i], "libraryname")) {
            if (i + 1 >= c->argc) {
                reply_error(c->out, "ERR library name argument was not given");
                return;
            }
            pattern = c->argv[++i];
        } else {
            reply_errorf(c->out, "ERR Unknown argument %.*s",
                         (int)(c->argv[i].len < INT_MAX ? c->argv[i].len : INT_MAX), c->argv[i].ptr);
            return;
        }
    }
    function_set_reply_list(functions_now(scripts_of(c))->set, pattern, with_code, c->out);
}

static void cmd_function_dump(struct call *c)
{
    struct bytes payload = {0};
    function_set_dump(functions_now(scripts_of(c))->set, &call_home(c)->config->core, &payload,
                      false);
    reply_bulk(c->out, payload.data, payload.len);
    bytes_free(&payload);
}

/* What runs: each shard writes its own. The one that has run for longest is shown. */
struct running {
    struct reply shown[SHARDS_MAX];
    uint64_t ms[SHARDS_MAX]; /* plus one; 0: nothing runs */
};

static void stats_part(struct shard *s, void *ctx)
{
    struct running *running = ctx;
    struct reply *out = &running->shown[s->id];
    const char *name;
    uint64_t ms;
    bool function;
    const struct call *c = scripting_running(s, &name, &ms, &function);
    if (c == NULL || !function) {
        return;
    }
    running->ms[s->id] = ms + 1;
    reply_map(out, 3);
    reply_bulk_str(out, "name");
    reply_bulk_str(out, name);
    reply_bulk_str(out, "command");
    reply_array(out, c->argc);
    for (uint32_t i = 0; i < c->argc; i++) {
        reply_bulk(out, c->argv[i].ptr, c->argv[i].len);
    }
    reply_bulk_str(out, "duration_ms");
    reply_int(out, (int64_t)ms);
}

static void stats_done(struct call *c, void *ctx)
{
    struct running *running = ctx;
    unsigned n = call_home(c)->server->shard_count, longest = 0;
    for (unsigned i = 1; i < n; i++) {
        longest = running->ms[i] > running->ms[longest] ? i : longest;
    }
    reply_map(c->out, 2);
    reply_bulk_str(c->out, "running_script");
    if (running->ms[longest] == 0) {
        reply_null(c->out);
    } else {
        reply_move(c->out, &running->shown[longest], running->shown[longest].total_bytes);
    }
    reply_bulk_str(c->out, "engines");
    function_set_reply_engines(functions_now(scripts_of(c))->set, c->out);
    for (unsigned i = 0; i < n; i++) {
        reply_clear(&running->shown[i]);
    }
    mem_free(running);
}

static void cmd_function_stats(struct call *c)
{
    const struct server *server = call_home(c)->server;
    const char *error = busy_error(&server->busy, -1);
    if (error != NULL && strcmp(error, BUSY_ERROR_SCRIPT) == 0) {
        reply_error(c->out, error);
        return;
    }
    struct running *running = mem_alloc_zero(sizeof *running);
    for (unsigned i = 0; i < server->shard_count; i++) {
        reply_init(&running->shown[i], c->out->resp);
    }
    broadcast(c, stats_part, stats_done, running);
}

static void cmd_function_kill(struct call *c)
{
    const char *error = busy_kill(&call_home(c)->server->busy, true);
    if (error != NULL) {
        reply_error(c->out, error);
    } else {
        reply_ok(c->out);
    }
}

static void cmd_function_help(struct call *c)
{
    static const char *const lines[] = {
        "DELETE <LIBRARY NAME>",
        "    Removes a library.",
        "DUMP",
        "    All libraries as one payload, for FUNCTION RESTORE.",
        "FLUSH [ASYNC|SYNC]",
        "    Removes all libraries. Both modes do the same.",
        "KILL",
        "    Ends the function that has been running for too long, if it has not written yet.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    The libraries, or those whose names match: name, engine, functions, and code if wanted.",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Adds a library, or with REPLACE puts it in the place of the one with its name.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Adds the libraries of a payload: after removing all others (FLUSH), refusing names that",
        "    are taken (APPEND, unless given) or replacing them (REPLACE).",
        "STATS",
        "    The function that runs now, the command that called it and its time in milliseconds; the",
        "    engines with the numbers of their libraries and functions.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows ------------------------------------------------------------------------------------- */

static const struct command_arg delete_args[] = {
    {.name = "library-name", .type = ARG_STRING}, {0}};
static const struct command_arg flush_modes[] = {
    {.name = "async", .type = ARG_PURE_TOKEN, .token = "ASYNC"},
    {.name = "sync", .type = ARG_PURE_TOKEN, .token = "SYNC"},
    {0},
};
static const struct command_arg flush_args[] = {
    {.name = "flush-type", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = flush_modes}, {0}};
static const struct command_arg list_args[] = {
    {.name = "library-name-pattern", .type = ARG_STRING, .token = "LIBRARYNAME",
     .flags = ARG_OPTIONAL},
    {.name = "withcode", .type = ARG_PURE_TOKEN, .token = "WITHCODE", .flags = ARG_OPTIONAL},
    {0},
};
static const struct command_arg load_args[] = {
    {.name = "replace", .type = ARG_PURE_TOKEN, .token = "REPLACE", .flags = ARG_OPTIONAL},
    {.name = "function-code", .type = ARG_STRING},
    {0},
};
static const struct command_arg policies[] = {
    {.name = "flush", .type = ARG_PURE_TOKEN, .token = "FLUSH"},
    {.name = "append", .type = ARG_PURE_TOKEN, .token = "APPEND"},
    {.name = "replace", .type = ARG_PURE_TOKEN, .token = "REPLACE"},
    {0},
};
static const struct command_arg restore_args[] = {
    {.name = "serialized-value", .type = ARG_STRING},
    {.name = "policy", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = policies},
    {0},
};
static const char *const change_tips[] = {"request_policy:all_shards",
                                          "response_policy:all_succeeded", NULL};
static const char *const list_tips[] = {"nondeterministic_output_order", NULL};
static const char *const stats_tips[] = {"nondeterministic_output", "request_policy:all_shards",
                                         "response_policy:special", NULL};
static const char *const kill_tips[] = {"request_policy:all_shards",
                                        "response_policy:one_succeeded", NULL};

#define ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = CMD_NOSCRIPT | (flags_), \
    .acl = ACL_SCRIPTING, .route = ROUTE_BARRIER, .group = "scripting", .since = "7.0.0"

static const struct command subcommands[] = {
    {
        ROW("delete", cmd_function_delete, 3, CMD_WRITE),
        .summary = "Removes a library.", .complexity = "O(1)", .args = delete_args,
        .tips = change_tips,
    },
    {
        ROW("dump", cmd_function_dump, 2, 0),
        .summary = "Returns all libraries as one payload.",
        .complexity = "O(N) where N is the number of functions",
    },
    {
        ROW("flush", cmd_function_flush, -2, CMD_WRITE),
        .summary = "Removes all libraries.",
        .complexity = "O(N) where N is the number of functions", .args = flush_args,
        .tips = change_tips,
    },
    {
        .name = "help", .run = cmd_function_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_SCRIPTING, .route = ROUTE_HOME, .group = "scripting", .since = "7.0.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        ROW("kill", cmd_function_kill, 2, CMD_ALLOW_BUSY),
        .summary = "Ends a function that runs for too long.", .complexity = "O(1)",
        .tips = kill_tips,
    },
    {
        ROW("list", cmd_function_list, -2, 0),
        .summary = "Lists the libraries and their functions.",
        .complexity = "O(N) where N is the number of functions", .args = list_args,
        .tips = list_tips,
    },
    {
        ROW("load", cmd_function_load, -3, CMD_WRITE | CMD_DENYOOM),
        .summary = "Adds a library of functions.",
        .complexity = "O(1), the time that its code takes aside", .args = load_args,
        .tips = change_tips,
    },
    {
        ROW("restore", cmd_function_restore, -3, CMD_WRITE | CMD_DENYOOM),
        .summary = "Adds the libraries of a payload.",
        .complexity = "O(N) where N is the number of functions in the payload",
        .args = restore_args, .tips = change_tips,
    },
    {
        ROW("stats", cmd_function_stats, 2, CMD_ALLOW_BUSY),
        .summary = "Tells which function runs, and about the engines.", .complexity = "O(1)",
        .tips = stats_tips,
    },
    {0},
};

const struct command function_commands[] = {
    {
        .name = "function", .arity = -2, .route = ROUTE_BARRIER, .subcommands = subcommands,
        .group = "scripting", .since = "7.0.0", .summary = "Commands about libraries of functions.",
        .complexity = "Depends on the subcommand.",
    },
    {0},
};
