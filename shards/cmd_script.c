/* cmd_script.c - SCRIPT: the cache of scripts, and stopping what runs for too long. All at home, as
 * barrier commands; the cache is one for all shards (scripts.h). */
#include "shards/busy.h"
#include "shards/cmd_server.h"
#include "shards/scripting.h"

static struct scripts *scripts_of(const struct call *c)
{
    return call_home(c)->server->scripts;
}

static void cmd_script_load(struct call *c)
{
    struct runnable *r = scripts_by_body(scripts_of(c), c->argv[2], c->out);
    if (r == NULL) {
        return;
    }
    if (scripting_compiles(call_home(c), r, c->out)) {
        reply_bulk(c->out, r->script->sha, SCRIPT_SHA_LEN);
    }
    runnable_unref(r);
}

static void cmd_script_exists(struct call *c)
{
    reply_array(c->out, c->argc - 2);
    for (uint32_t i = 2; i < c->argc; i++) {
        struct runnable *r = scripts_by_sha(scripts_of(c), c->argv[i]);
        reply_int(c->out, r != NULL);
        if (r != NULL) {
            runnable_unref(r);
        }
    }
}

static void flush_part(struct shard *s, void *ctx)
{
    (void)ctx;
    if (s->scripting->vm != NULL) {
        script_vm_flush(s->scripting->vm);
        scripting_measure(s);
    }
}

static void flush_done(struct call *c, void *ctx)
{
    script_table_free(ctx); /* scripts.h I2 */
    reply_ok(c->out);
}

static void cmd_script_flush(struct call *c)
{
    bool mode = c->argc == 3 && (slice_is(c->argv[2], "sync") || slice_is(c->argv[2], "async"));
    if (c->argc != 2 && !mode) {
        reply_error(c->out, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    broadcast(c, flush_part, flush_done, scripts_replace(scripts_of(c)));
}

static void cmd_script_kill(struct call *c)
{
    const char *error = busy_kill(&call_home(c)->server->busy, false);
    if (error != NULL) {
        reply_error(c->out, error);
    } else {
        reply_ok(c->out);
    }
}

static void cmd_script_debug(struct call *c)
{
    if (slice_is(c->argv[2], "no")) {
        reply_ok(c->out);
    } else if (slice_is(c->argv[2], "yes") || slice_is(c->argv[2], "sync")) {
        reply_error(c->out, "ERR this server has no debugger for scripts");
    } else {
        reply_error(c->out, "ERR Use SCRIPT DEBUG YES/SYNC/NO");
    }
}

static void cmd_script_help(struct call *c)
{
    static const char *const lines[] = {
        "DEBUG (YES|SYNC|NO)",
        "    Only NO: there is no debugger.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Whether the scripts with these digests are known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forgets all scripts. Both modes do the same.",
        "KILL",
        "    Ends the script that has been running for too long, if it has not written yet.",
        "LOAD <script>",
        "    Makes a script known without running it; its digest is the reply.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows ------------------------------------------------------------------------------------- */

static const struct command_arg script_arg[] = {{.name = "script", .type = ARG_STRING}, {0}};
static const struct command_arg sha_args[] = {
    {.name = "sha1", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static const struct command_arg flush_modes[] = {
    {.name = "async", .type = ARG_PURE_TOKEN, .token = "ASYNC"},
    {.name = "sync", .type = ARG_PURE_TOKEN, .token = "SYNC"},
    {0},
};
static const struct command_arg flush_args[] = {
    {.name = "flush-type", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "6.2.0",
     .sub = flush_modes},
    {0},
};
static const struct command_arg debug_modes[] = {
    {.name = "yes", .type = ARG_PURE_TOKEN, .token = "YES"},
    {.name = "sync", .type = ARG_PURE_TOKEN, .token = "SYNC"},
    {.name = "no", .type = ARG_PURE_TOKEN, .token = "NO"},
    {0},
};
static const struct command_arg debug_args[] = {
    {.name = "mode", .type = ARG_ONEOF, .sub = debug_modes}, {0}};
static const struct command_change flush_history[] = {
    {"6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers."}, {0}};
static const char *const load_tips[] = {"request_policy:all_nodes",
                                        "response_policy:all_succeeded", NULL};
static const char *const exists_tips[] = {"request_policy:all_shards",
                                          "response_policy:agg_logical_and", NULL};
static const char *const kill_tips[] = {"request_policy:all_shards",
                                        "response_policy:one_succeeded", NULL};

#define ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_SCRIPTING, \
    .route = ROUTE_BARRIER, .group = "scripting"

static const struct command subcommands[] = {
    {
        ROW("debug", cmd_script_debug, 3, CMD_NOSCRIPT),
        .since = "3.2.0", .summary = "Turns the debugger of scripts off; there is none.",
        .complexity = "O(1)", .args = debug_args,
    },
    {
        ROW("exists", cmd_script_exists, -3, CMD_NOSCRIPT),
        .since = "2.6.0", .summary = "Says which scripts the server knows.",
        .complexity = "O(N) where N is the number of digests", .args = sha_args,
        .tips = exists_tips,
    },
    {
        ROW("flush", cmd_script_flush, -2, CMD_NOSCRIPT),
        .since = "2.6.0", .summary = "Forgets all scripts.",
        .complexity = "O(N) where N is the number of scripts", .history = flush_history,
        .args = flush_args, .tips = load_tips,
    },
    {
        .name = "help", .run = cmd_script_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .acl = ACL_SCRIPTING, .route = ROUTE_HOME, .group = "scripting", .since = "5.0.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        ROW("kill", cmd_script_kill, 2, CMD_NOSCRIPT | CMD_ALLOW_BUSY),
        .since = "2.6.0", .summary = "Ends a script that runs for too long.",
        .complexity = "O(1)", .tips = kill_tips,
    },
    {
        ROW("load", cmd_script_load, 3, CMD_NOSCRIPT | CMD_STALE),
        .since = "2.6.0", .summary = "Makes a script known to the server.",
        .complexity = "O(N) where N is the length of the script", .args = script_arg,
        .tips = load_tips,
    },
    {0},
};

const struct command script_commands[] = {
    {
        .name = "script", .arity = -2, .route = ROUTE_BARRIER, .subcommands = subcommands,
        .group = "scripting", .since = "2.6.0", .summary = "Commands about scripts.",
        .complexity = "Depends on the subcommand.",
    },
    {0},
};
