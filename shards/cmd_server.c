/* cmd_server.c - the rows of the server commands, and the small ones among them. */
#include "shards/cmd_server.h"
#include "core/num.h"
#include "shards/clock.h"
#include "shards/log.h"
#include "shards/version.h"

/* --- TIME, LASTSAVE --- */

static void cmd_time(struct call *c)
{
    int64_t us = clock_unix_us();
    reply_array(c->out, 2);
    reply_bulk_int(c->out, us / 1000000);
    reply_bulk_int(c->out, us % 1000000);
}

/* As long as nothing is saved, Redis counts the start as the last save. */
static void cmd_lastsave(struct call *c)
{
    reply_int(c->out, call_home(c)->server->started_unix_s);
}

/* --- SHUTDOWN --- */

struct shutdown_options {
    bool save, nosave, now, force, abort;
};

static bool parse_shutdown(struct call *c, struct shutdown_options *o)
{
    *o = (struct shutdown_options){0};
    for (uint32_t i = 1; i < c->argc; i++) {
        struct slice word = c->argv[i];
        if (slice_is(word, "nosave")) {
            o->nosave = true;
        } else if (slice_is(word, "save")) {
            o->save = true;
        } else if (slice_is(word, "now")) {
            o->now = true;
        } else if (slice_is(word, "force")) {
            o->force = true;
        } else if (slice_is(word, "abort")) {
            o->abort = true;
        } else {
            return false;
        }
    }
    return !(o->abort && c->argc > 2) && !(o->save && o->nosave);
}

static void cmd_shutdown(struct call *c)
{
    struct shutdown_options o;
    if (!parse_shutdown(c, &o)) {
        call_error_syntax(c);
        return;
    }
    if (o.abort) { /* there are no replicas to wait for, so a shutdown is never in progress */
        reply_error(c->out, "ERR No shutdown in progress.");
        return;
    }
    if (!o.now && (c->flags & CALL_DENY_BLOCKING)) {
        reply_error(c->out, "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY "
                            "BLOCKING client");
        return;
    }
    const char *busy = o.nosave ? NULL : busy_error(&call_home(c)->server->busy, -1);
    if (busy != NULL) {
        reply_error(c->out, busy);
        return;
    }
    log_warning("User requested shutdown...");
    if (o.save) {
        log_warning("SHUTDOWN SAVE: this server cannot save to disk yet, so nothing was saved");
        if (!o.force) {
            reply_error(c->out, "ERR Errors trying to SHUTDOWN. Check logs.");
            return;
        }
    }
    server_stop_mp(call_home(c)->server, 0); /* no reply: the connection ends with the server */
}

/* --- LOLWUT: a wall of squared stones, another one each time --- */

enum { WALL_COLUMNS = 64, WALL_COURSES = 9, STONE_MIN = 4, STONE_MORE = 9 };

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    uint64_t x = *state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* Two lines: the stones' faces, and the bed below. Joints are where stones end. */
static void draw_course(struct text *t, uint64_t *random)
{
    char face[WALL_COLUMNS + 1], bed[WALL_COLUMNS + 1];
    memset(bed, '_', WALL_COLUMNS);
    uint64_t texture = ' ';
    for (int at = 0, joint = 0; at < WALL_COLUMNS; at++) {
        bool is_joint = at == joint || at == WALL_COLUMNS - 1;
        if (at == joint) {
            joint += STONE_MIN + (int)(next_random(random) % STONE_MORE);
            texture = (uint64_t)" .:'"[next_random(random) % 4];
        }
        face[at] = is_joint ? '|' : next_random(random) % 4 ? ' ' : (char)texture;
        bed[at] = is_joint ? '|' : '_';
    }
    text_printf(t, "%.*s\n%.*s\n", WALL_COLUMNS, face, WALL_COLUMNS, bed);
}

static void cmd_lolwut(struct call *c)
{
    if (c->argc >= 3 && slice_is(c->argv[1], "version")) {
        int64_t version; /* every version shows the same kind of wall */
        if (!call_arg_int(c, 2, &version)) {
            return;
        }
    }
    uint64_t random = clock_ticks() ^ (uint64_t)clock_unix_us();
    struct text t = {0};
    text_printf(&t, " ");
    for (int i = 2; i < WALL_COLUMNS; i++) {
        text_append(&t, "_", 1);
    }
    text_append(&t, "\n", 1);
    for (int i = 0; i < WALL_COURSES; i++) {
        draw_course(&t, &random);
    }
    text_printf(&t, "\nSquared stones laid as one wall: Ashlar %s\nRedis ver. %s\n", ASHLAR_VERSION,
                REDIS_COMPAT_VERSION);
    reply_text(c, &t);
}

/* --- MODULE: there is no interface for modules, so none can be loaded, and none is. --- */

static void cmd_module_load(struct call *c)
{
    log_warning("Module %.*s failed to load: this server has no interface for modules",
                (int)c->argv[2].len, c->argv[2].ptr);
    reply_error(c->out, "ERR Error loading the extension. Please check the server logs.");
}

static void cmd_module_unload(struct call *c)
{
    reply_error(c->out, "ERR Error unloading module: no such module with that name");
}

static void cmd_module_list(struct call *c)
{
    reply_array(c->out, 0);
}

static void cmd_module_help(struct call *c)
{
    static const char *const lines[] = {
        "LIST",
        "    The modules that are loaded (this server loads none).",
        "LOAD <path> [<arg> ...]",
        "    Load a module (fails).",
        "LOADEX <path> [[CONFIG <name> <value>] ...] [ARGS <arg> ...]",
        "    Load a module with settings (fails).",
        "UNLOAD <name>",
        "    Unload a module.",
        NULL,
    };
    call_help(c, lines);
}

static const char *const module_list_tips[] = {"nondeterministic_output_order", NULL};

static const struct command_arg module_load_args[] = {
    {.name = "path", .type = ARG_STRING},
    {.name = "arg", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg module_config_args[] = {
    {.name = "name", .type = ARG_STRING},
    {.name = "value", .type = ARG_STRING},
    {0},
};
static const struct command_arg module_arg_args[] = {{.name = "arg", .type = ARG_STRING}, {0}};
static const struct command_arg module_loadex_args[] = {
    {.name = "path", .type = ARG_STRING},
    {.name = "configs", .type = ARG_BLOCK, .token = "CONFIG", .sub = module_config_args,
     .flags = ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN},
    {.name = "args", .type = ARG_BLOCK, .token = "ARGS", .sub = module_arg_args,
     .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg module_unload_args[] = {{.name = "name", .type = ARG_STRING}, {0}};

#define MODULE_CHANGES CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_PROTECTED

static const struct command module_subcommands[] = {
    {
        .name = "help", .run = cmd_module_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .route = ROUTE_HOME, .group = "server", .since = "5.0.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        .name = "list", .run = cmd_module_list, .arity = 2, .flags = CMD_ADMIN | CMD_NOSCRIPT,
        .route = ROUTE_HOME, .group = "server", .since = "4.0.0",
        .summary = "Returns the modules that are loaded.",
        .complexity = "O(N) where N is the number of loaded modules.", .tips = module_list_tips,
    },
    {
        .name = "load", .run = cmd_module_load, .arity = -3, .flags = MODULE_CHANGES,
        .route = ROUTE_BARRIER, .group = "server", .since = "4.0.0",
        .summary = "Loads a module.", .complexity = "O(1)", .args = module_load_args,
    },
    {
        .name = "loadex", .run = cmd_module_load, .arity = -3, .flags = MODULE_CHANGES,
        .route = ROUTE_BARRIER, .group = "server", .since = "7.0.0",
        .summary = "Loads a module with settings.", .complexity = "O(1)",
        .args = module_loadex_args,
    },
    {
        .name = "unload", .run = cmd_module_unload, .arity = 3, .flags = MODULE_CHANGES,
        .route = ROUTE_BARRIER, .group = "server", .since = "4.0.0",
        .summary = "Unloads a module.", .complexity = "O(1)", .args = module_unload_args,
    },
    {0},
};

/* --- rows --- */

static const struct command_change info_history[] = {
    {"7.0.0", "Added support for taking multiple section arguments."},
    {0},
};
static const struct command_arg info_args[] = {
    {.name = "section", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const char *const info_tips[] = {"nondeterministic_output", "request_policy:all_shards",
                                        "response_policy:special", NULL};
static const char *const changing_tips[] = {"nondeterministic_output", NULL};

static const struct command_arg lolwut_args[] = {
    {.name = "version", .type = ARG_INTEGER, .token = "VERSION", .flags = ARG_OPTIONAL},
    {0},
};

static const struct command_change shutdown_history[] = {
    {"7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."},
    {0},
};
static const struct command_arg shutdown_save_args[] = {
    {.name = "nosave", .type = ARG_PURE_TOKEN, .token = "NOSAVE"},
    {.name = "save", .type = ARG_PURE_TOKEN, .token = "SAVE"},
    {0},
};
static const struct command_arg shutdown_args[] = {
    {.name = "save-selector", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = shutdown_save_args},
    {.name = "now", .type = ARG_PURE_TOKEN, .token = "NOW", .flags = ARG_OPTIONAL,
     .since = "7.0.0"},
    {.name = "force", .type = ARG_PURE_TOKEN, .token = "FORCE", .flags = ARG_OPTIONAL,
     .since = "7.0.0"},
    {.name = "abort", .type = ARG_PURE_TOKEN, .token = "ABORT", .flags = ARG_OPTIONAL,
     .since = "7.0.0"},
    {0},
};

const struct command server_commands[] = {
    {
        .name = "debug", .arity = -2,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED,
        .subcommands = debug_subcommands,
        .group = "server", .since = "1.0.0", .summary = "Debugging of the server.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "info", .run = cmd_info, .arity = -1,
        .flags = CMD_LOADING | CMD_STALE | CMD_SENTINEL, .acl = ACL_DANGEROUS,
        .route = ROUTE_BARRIER,
        .group = "server", .since = "1.0.0",
        .summary = "Returns information and statistics about the server.", .complexity = "O(1)",
        .history = info_history, .args = info_args, .tips = info_tips,
    },
    {
        .name = "lastsave", .run = cmd_lastsave, .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_ADMIN | ACL_DANGEROUS,
        .route = ROUTE_BARRIER, .group = "server", .since = "1.0.0",
        .summary = "Returns when the data was saved to disk the last time.", .complexity = "O(1)",
        .tips = changing_tips,
    },
    {
        .name = "latency", .arity = -2, .subcommands = latency_subcommands,
        .group = "server", .since = "2.8.13", .summary = "Diagnosis of latency.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "lolwut", .run = cmd_lolwut, .arity = -1, .flags = CMD_READONLY | CMD_FAST,
        .route = ROUTE_HOME, .group = "server", .since = "5.0.0",
        .summary = "Shows some art of the computer and the version.", .args = lolwut_args,
    },
    {
        .name = "memory", .arity = -2, .subcommands = memory_subcommands,
        .group = "server", .since = "4.0.0", .summary = "Diagnosis of memory.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "module", .arity = -2, .subcommands = module_subcommands,
        .group = "server", .since = "4.0.0", .summary = "Modules of the server.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "monitor", .run = cmd_monitor, .arity = 1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .route = ROUTE_BARRIER,
        .group = "server", .since = "1.0.0", 
        .summary = "Shows every command that the server takes.",
    },
    {
        .name = "shutdown", .run = cmd_shutdown, .arity = -1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_SENTINEL |
                 CMD_ALLOW_BUSY,
        .route = ROUTE_BARRIER, .group = "server", .since = "1.0.0",
        .summary = "Saves the data to disk, if asked for, and ends the server.",
        .complexity = "O(N) when saving, where N is the total number of keys in all databases when "
                      "saving data, otherwise O(1)",
        .history = shutdown_history, .args = shutdown_args,
    },
    {
        .name = "slowlog", .arity = -2, .subcommands = slowlog_subcommands,
        .group = "server", .since = "2.2.12", .summary = "The log of slow commands.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "time", .run = cmd_time, .arity = 1, .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
        .route = ROUTE_HOME, .group = "server", .since = "2.6.0",
        .summary = "Returns the server's clock.", .complexity = "O(1)", .tips = changing_tips,
    },
    {0},
};
