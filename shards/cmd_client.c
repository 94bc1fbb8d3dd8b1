/* cmd_client.c - CLIENT: what a connection says and asks about itself, and the rows of all
 * subcommands. Those that concern other connections run in cmd_client_all.c.
 *
 * Those about client-side caching run in cmd_tracking.c.
 */
#include "core/mem.h"
#include "shards/client.h"
#include "shards/shard.h"
#include "shards/tracking.h"

/* --- names --- */

bool client__name_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] < '!' || name.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

bool client__name_check(struct call *c, struct slice name)
{
    if (client__name_valid(name)) {
        return true;
    }
    reply_error(c->out, "ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
}

void client__name_set(char **name, struct slice value)
{
    mem_free(*name);
    *name = NULL;
    if (value.len > 0) {
        *name = mem_alloc(value.len + 1);
        memcpy(*name, value.ptr, value.len);
        (*name)[value.len] = '\0';
    }
}

static void run_setname(struct call *c)
{
    if (client__name_check(c, c->argv[2])) {
        client__name_set(&call_conn(c)->name, c->argv[2]);
        reply_ok(c->out);
    }
}

static void run_getname(struct call *c)
{
    const struct conn *conn = call_conn(c);
    if (conn->name != NULL) {
        reply_bulk_str(c->out, conn->name);
    } else {
        reply_null(c->out);
    }
}

static void run_setinfo(struct call *c)
{
    struct conn *conn = call_conn(c);
    struct slice attribute = c->argv[2];
    char **field;
    if (slice_is(attribute, "lib-name")) {
        field = &conn->lib_name;
    } else if (slice_is(attribute, "lib-ver")) {
        field = &conn->lib_ver;
    } else {
        reply_errorf(c->out, "ERR Unrecognized option '%.*s'", client__shown(attribute),
                     attribute.ptr);
        return;
    }
    if (!client__name_valid(c->argv[3])) {
        reply_errorf(c->out, "ERR %.*s cannot contain spaces, newlines or special characters.",
                     client__shown(attribute), attribute.ptr);
        return;
    }
    client__name_set(field, c->argv[3]);
    reply_ok(c->out);
}

/* --- what it is --- */

static void run_id(struct call *c)
{
    reply_int(c->out, (int64_t)call_conn(c)->id);
}

static void run_info(struct call *c)
{
    struct text text = {0};
    client__describe(&text, call_conn(c));
    reply_verbatim(c->out, "txt", text.data, text.len);
    text_free(&text);
}

/* --- what it wants --- */

/* ON or OFF for one flag of the connection. */
static void switch_flag(struct call *c, enum conn_flag flag)
{
    struct conn *conn = call_conn(c);
    if (slice_is(c->argv[2], "ON")) {
        conn->flags |= flag;
    } else if (slice_is(c->argv[2], "OFF")) {
        conn->flags &= ~(uint32_t)flag;
    } else {
        call_error_syntax(c);
        return;
    }
    reply_ok(c->out);
}

static void run_no_evict(struct call *c)
{
    switch_flag(c, CONN_NO_EVICT);
}

static void run_no_touch(struct call *c)
{
    switch_flag(c, CONN_NO_TOUCH);
}

/* OFF and SKIP are not answered themselves; ON is, though it comes while replies are off. */
static void run_reply(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (slice_is(c->argv[2], "ON")) {
        conn->reply_mode = CONN_REPLY_ON;
        c->out->muted = false;
        reply_ok(c->out);
    } else if (slice_is(c->argv[2], "OFF")) {
        conn->reply_mode = CONN_REPLY_OFF;
    } else if (slice_is(c->argv[2], "SKIP")) {
        if (conn->reply_mode != CONN_REPLY_OFF) {
            conn->reply_mode = CONN_REPLY_SKIP_NEXT;
        }
    } else {
        call_error_syntax(c);
    }
}

static void run_help(struct call *c)
{
    static const char *const lines[] = {
        "CACHING (YES|NO)",
        "    Whether the keys of the next command are tracked.",
        "GETNAME",
        "    The name of this connection.",
        "GETREDIR",
        "    The client that gets this connection's invalidation messages.",
        "ID",
        "    The number of this connection.",
        "INFO",
        "    This connection, as CLIENT LIST shows it.",
        "KILL <ip:port>",
        "    Closes the connection that comes from this address.",
        "KILL <filter> <value> [<filter> <value> [...]]",
        "    Closes all connections that fit every filter:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      They come from this address.",
        "    * ID <client-id>",
        "      The one with this number.",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      They came to this address of the server.",
        "    * MAXAGE <seconds>",
        "      They have existed this long or longer.",
        "    * SKIPME (YES|NO)",
        "      Whether to spare this connection (default: yes).",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      They are of this type.",
        "    * USER <username>",
        "      They are authenticated as this user.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|ID <client-id> [<client-id> ...]]",
        "    All connections, those of a type, or those named.",
        "NO-EVICT (ON|OFF)",
        "    Whether this connection is spared when clients are evicted.",
        "NO-TOUCH (ON|OFF)",
        "    Whether commands of this connection leave the keys' age as it is.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Holds the commands of all clients, or only those that write, for some milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Which commands of this connection are answered.",
        "SETINFO (LIB-NAME <name>|LIB-VER <version>)",
        "    Tells which library speaks on this connection.",
        "SETNAME <name>",
        "    Names this connection.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Tells this connection, or another one, when keys change that it has read.",
        "TRACKINGINFO",
        "    How this connection's keys are tracked.",
        "UNBLOCK <client-id> [TIMEOUT|ERROR]",
        "    Wakes a client that a command blocks.",
        "UNPAUSE",
        "    Ends what CLIENT PAUSE began.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

enum {
    PLAIN = CMD_LOADING | CMD_STALE | CMD_SENTINEL,
    SELF = PLAIN | CMD_NOSCRIPT,
    ADMIN = SELF | CMD_ADMIN,
};
#define EACH_CONNECTION "O(N), N being the number of connections"

static const struct command_arg on_off[] = {
    {.name = "on", .type = ARG_PURE_TOKEN, .token = "ON"},
    {.name = "off", .type = ARG_PURE_TOKEN, .token = "OFF"},
    {0},
};
static const struct command_arg switch_args[] = {
    {.name = "enabled", .type = ARG_ONEOF, .sub = on_off},
    {0},
};

static const struct command_change kill_history[] = {
    {"2.8.12", "Filters, among them `ID`."},
    {"3.2.0", "`TYPE` knows `master`."},
    {"5.0.0", "`TYPE` knows `replica`; `slave` means the same."},
    {"6.2.0", "`LADDR`."},
    {"7.4.0", "`MAXAGE`."},
    {0},
};
static const struct command_arg kill_types[] = {
    {.name = "normal", .type = ARG_PURE_TOKEN, .token = "NORMAL"},
    {.name = "master", .type = ARG_PURE_TOKEN, .token = "MASTER", .since = "3.2.0"},
    {.name = "slave", .type = ARG_PURE_TOKEN, .token = "SLAVE"},
    {.name = "replica", .type = ARG_PURE_TOKEN, .token = "REPLICA", .since = "5.0.0"},
    {.name = "pubsub", .type = ARG_PURE_TOKEN, .token = "PUBSUB"},
    {0},
};
static const struct command_arg kill_skipme[] = {
    {.name = "yes", .type = ARG_PURE_TOKEN, .token = "YES"},
    {.name = "no", .type = ARG_PURE_TOKEN, .token = "NO"},
    {0},
};
static const struct command_arg kill_filters[] = {
    {.name = "client-id", .type = ARG_INTEGER, .token = "ID", .flags = ARG_OPTIONAL,
     .since = "2.8.12"},
    {.name = "client-type", .type = ARG_ONEOF, .token = "TYPE", .flags = ARG_OPTIONAL,
     .since = "2.8.12", .sub = kill_types},
    {.name = "username", .type = ARG_STRING, .token = "USER", .flags = ARG_OPTIONAL},
    {.name = "addr", .type = ARG_STRING, .token = "ADDR", .flags = ARG_OPTIONAL},
    {.name = "laddr", .type = ARG_STRING, .token = "LADDR", .flags = ARG_OPTIONAL,
     .since = "6.2.0"},
    {.name = "skipme", .type = ARG_ONEOF, .token = "SKIPME", .flags = ARG_OPTIONAL,
     .sub = kill_skipme},
    {.name = "maxage", .type = ARG_INTEGER, .token = "MAXAGE", .flags = ARG_OPTIONAL,
     .since = "7.4.0"},
    {0},
};
static const struct command_arg kill_forms[] = {
    {.name = "old-format", .type = ARG_STRING, .deprecated_since = "2.8.12"},
    {.name = "new-format", .type = ARG_ONEOF, .flags = ARG_MULTIPLE, .sub = kill_filters},
    {0},
};
static const struct command_arg kill_args[] = {
    {.name = "filter", .type = ARG_ONEOF, .sub = kill_forms},
    {0},
};

static const struct command_change list_history[] = {
    {"2.8.12", "The field `id`."},
    {"5.0.0", "The filter `TYPE`."},
    {"6.0.0", "The field `user`."},
    {"6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr`, `redir`; the filter `ID`."},
    {"7.0.0", "The fields `resp`, `multi-mem`, `rbs`, `rbp`."},
    {"7.0.3", "The field `ssub`."},
    {"7.2.0", "The fields `lib-name`, `lib-ver`."},
    {"7.4.0", "The field `watch`."},
    {0},
};
static const struct command_arg list_types[] = {
    {.name = "normal", .type = ARG_PURE_TOKEN, .token = "NORMAL"},
    {.name = "master", .type = ARG_PURE_TOKEN, .token = "MASTER"},
    {.name = "replica", .type = ARG_PURE_TOKEN, .token = "REPLICA"},
    {.name = "pubsub", .type = ARG_PURE_TOKEN, .token = "PUBSUB"},
    {0},
};
static const struct command_arg list_ids[] = {
    {.name = "client-id", .type = ARG_INTEGER, .flags = ARG_MULTIPLE},
    {0},
};
static const struct command_arg list_args[] = {
    {.name = "client-type", .type = ARG_ONEOF, .token = "TYPE", .flags = ARG_OPTIONAL,
     .since = "5.0.0", .sub = list_types},
    {.name = "id", .type = ARG_BLOCK, .token = "ID", .flags = ARG_OPTIONAL, .since = "6.2.0",
     .sub = list_ids},
    {0},
};
static const char *const set_tips[] = {
    "request_policy:all_nodes", "response_policy:all_succeeded", NULL,
};
static const char *const list_tips[] = {"nondeterministic_output", NULL};

static const struct command_change pause_history[] = {
    {"6.2.0", "The mode, and with it `WRITE`."},
    {0},
};
static const struct command_arg pause_modes[] = {
    {.name = "write", .type = ARG_PURE_TOKEN, .token = "WRITE"},
    {.name = "all", .type = ARG_PURE_TOKEN, .token = "ALL"},
    {0},
};
static const struct command_arg pause_args[] = {
    {.name = "timeout", .type = ARG_INTEGER},
    {.name = "mode", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "6.2.0",
     .sub = pause_modes},
    {0},
};

static const struct command_arg reply_modes[] = {
    {.name = "on", .type = ARG_PURE_TOKEN, .token = "ON"},
    {.name = "off", .type = ARG_PURE_TOKEN, .token = "OFF"},
    {.name = "skip", .type = ARG_PURE_TOKEN, .token = "SKIP"},
    {0},
};
static const struct command_arg reply_args[] = {
    {.name = "action", .type = ARG_ONEOF, .sub = reply_modes},
    {0},
};

static const struct command_arg setinfo_attributes[] = {
    {.name = "libname", .type = ARG_STRING, .token = "LIB-NAME"},
    {.name = "libver", .type = ARG_STRING, .token = "LIB-VER"},
    {0},
};
static const struct command_arg setinfo_args[] = {
    {.name = "attr", .type = ARG_ONEOF, .sub = setinfo_attributes},
    {0},
};
static const struct command_arg setname_args[] = {
    {.name = "connection-name", .type = ARG_STRING},
    {0},
};

static const struct command_arg unblock_ways[] = {
    {.name = "timeout", .type = ARG_PURE_TOKEN, .token = "TIMEOUT"},
    {.name = "error", .type = ARG_PURE_TOKEN, .token = "ERROR"},
    {0},
};
static const struct command_arg unblock_args[] = {
    {.name = "client-id", .type = ARG_INTEGER},
    {.name = "unblock-type", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = unblock_ways},
    {0},
};

static const struct command_arg yes_no[] = {
    {.name = "yes", .type = ARG_PURE_TOKEN, .token = "YES"},
    {.name = "no", .type = ARG_PURE_TOKEN, .token = "NO"},
    {0},
};
static const struct command_arg caching_args[] = {
    {.name = "mode", .type = ARG_ONEOF, .sub = yes_no},
    {0},
};

static const struct command_arg tracking_args[] = {
    {.name = "status", .type = ARG_ONEOF, .sub = on_off},
    {.name = "client-id", .type = ARG_INTEGER, .token = "REDIRECT", .flags = ARG_OPTIONAL},
    {.name = "prefix", .type = ARG_STRING, .token = "PREFIX",
     .flags = ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN},
    {.name = "bcast", .type = ARG_PURE_TOKEN, .token = "BCAST", .flags = ARG_OPTIONAL},
    {.name = "optin", .type = ARG_PURE_TOKEN, .token = "OPTIN", .flags = ARG_OPTIONAL},
    {.name = "optout", .type = ARG_PURE_TOKEN, .token = "OPTOUT", .flags = ARG_OPTIONAL},
    {.name = "noloop", .type = ARG_PURE_TOKEN, .token = "NOLOOP", .flags = ARG_OPTIONAL},
    {0},
};

#define ROW(name_, run_, arity_, flags_, route_, since_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_CONNECTION, \
    .route = (route_), .group = "connection", .since = (since_)

const struct command client_subcommands[] = {
    {
        ROW("caching", tracking__caching, 3, SELF, ROUTE_HOME, "6.0.0"),
        .summary = "Whether the next command's keys are tracked.", .complexity = "O(1)",
        .args = caching_args,
    },
    {
        ROW("getname", run_getname, 2, SELF, ROUTE_HOME, "2.6.9"),
        .summary = "The name of the connection.", .complexity = "O(1)",
    },
    {
        ROW("getredir", tracking__getredir, 2, SELF, ROUTE_HOME, "6.0.0"),
        .summary = "The client that invalidation messages for this connection go to.",
        .complexity = "O(1)",
    },
    {
        ROW("help", run_help, 2, PLAIN, ROUTE_HOME, "5.0.0"),
        .summary = "Explains the subcommands.", .complexity = "O(1)",
    },
    {
        ROW("id", run_id, 2, SELF, ROUTE_HOME, "5.0.0"),
        .summary = "The number of the connection.", .complexity = "O(1)",
    },
    {
        ROW("info", run_info, 2, SELF, ROUTE_HOME, "6.2.0"),
        .summary = "What the server knows of the connection.", .complexity = "O(1)",
        .tips = list_tips,
    },
    {
        ROW("kill", client__kill, -3, ADMIN, ROUTE_BARRIER, "2.4.0"),
        .summary = "Closes connections.", .complexity = EACH_CONNECTION,
        .history = kill_history, .args = kill_args,
    },
    {
        ROW("list", client__list, -2, ADMIN, ROUTE_BARRIER, "2.4.0"),
        .summary = "Lists the connections.", .complexity = EACH_CONNECTION,
        .history = list_history, .args = list_args, .tips = list_tips,
    },
    {
        ROW("no-evict", run_no_evict, 3, ADMIN, ROUTE_HOME, "7.0.0"),
        .summary = "Spares the connection when clients are evicted, or no longer.",
        .complexity = "O(1)", .args = switch_args,
    },
    {
        ROW("no-touch", run_no_touch, 3, CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, ROUTE_HOME,
            "7.2.0"),
        .summary = "Whether the connection's commands count as use of the keys (LRU, LFU).",
        .complexity = "O(1)", .args = switch_args,
    },
    {
        ROW("pause", client__pause, -3, ADMIN, ROUTE_BARRIER, "2.9.50"),
        .summary = "Holds the commands of clients for a while.", .complexity = "O(1)",
        .history = pause_history, .args = pause_args,
    },
    {
        ROW("reply", run_reply, 3, SELF, ROUTE_HOME, "3.2.0"),
        .summary = "Which commands of the connection are answered.", .complexity = "O(1)",
        .args = reply_args,
    },
    {
        ROW("setinfo", run_setinfo, 4, SELF, ROUTE_HOME, "7.2.0"),
        .summary = "Tells the server which library the client uses.", .complexity = "O(1)",
        .args = setinfo_args, .tips = set_tips,
    },
    {
        ROW("setname", run_setname, 3, SELF, ROUTE_HOME, "2.6.9"),
        .summary = "Names the connection.", .complexity = "O(1)",
        .args = setname_args, .tips = set_tips,
    },
    {
        ROW("tracking", tracking__tracking, -3, SELF, ROUTE_BARRIER, "6.0.0"),
        .summary = "Whether this connection is told when keys change that it has read.",
        .complexity = "O(1), and O(N) for N prefixes", .args = tracking_args,
    },
    {
        ROW("trackinginfo", tracking__info, 2, SELF, ROUTE_HOME, "6.2.0"),
        .summary = "How keys are tracked for this connection.", .complexity = "O(1)",
    },
    {
        ROW("unblock", client__unblock, -3, ADMIN, ROUTE_BARRIER, "5.0.0"),
        .summary = "Wakes a client that waits in a blocking command.",
        .complexity = "O(log N), N being the number of connections",
        .args = unblock_args,
    },
    {
        ROW("unpause", client__unpause, 2, ADMIN, ROUTE_BARRIER, "6.2.0"),
        .summary = "Lets held commands go on.",
        .complexity = "O(N), N being the number of clients held",
    },
    {0},
};
