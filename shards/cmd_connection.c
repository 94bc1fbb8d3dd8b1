/* cmd_connection.c - PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET, and CLIENT's container.
 *
 * All run at home, at once, when they are parsed: they touch nothing but their connection
 * (struct conn), so commands in flight on other shards do not matter to them. Their replies keep
 * their place in the connection's order.
 *
 * There is one user, "default". Its password is requirepass of the configuration; without that any
 * password will do.
 *
 * Limits: whoever has not authenticated is stopped in route.c, before a command comes here.
 */
#include "shards/client.h"
#include "shards/commands.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/tracking.h"
#include "shards/shard.h"
#include "shards/version.h"
#include <limits.h>

#define WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."

static void run_ping(struct call *c)
{
    if (c->argc > 2) {
        call_error_arity(c);
        return;
    }
    /* RESP2 clients in pub/sub mode read everything as messages. */
    if (c->out->resp == 2 && call_conn(c) != NULL && conn_class(call_conn(c)) == CLIENT_PUBSUB) {
        reply_array(c->out, 2);
        reply_bulk_str(c->out, "pong");
        reply_bulk(c->out, c->argc > 1 ? c->argv[1].ptr : "", c->argc > 1 ? c->argv[1].len : 0);
    } else if (c->argc > 1) {
        reply_bulk(c->out, c->argv[1].ptr, c->argv[1].len);
    } else {
        reply_status(c->out, "PONG");
    }
}

static void run_echo(struct call *c)
{
    reply_bulk(c->out, c->argv[1].ptr, c->argv[1].len);
}

void cmd_select(struct call *c)
{
    struct conn *conn = call_conn(c);
    int64_t db;
    if (!call_arg_int(c, 1, &db)) {
        return;
    }
    if (db < INT_MIN || db > INT_MAX) {
        reply_errorf(c->out, "ERR value is out of range, value must between %d and %d", INT_MIN,
                     INT_MAX);
    } else if (db < 0 || db >= conn->shard->config->core.databases) {
        reply_error(c->out, "ERR DB index is out of range");
    } else {
        conn->db = (int)db;
        reply_ok(c->out);
    }
}

/* --- authentication --- */

/* ptr NULL: none is needed. */
static struct slice password_of(const struct conn *conn)
{
    return conn->shard->config->requirepass;
}

/* How long it takes says nothing about where the two differ. */
static bool password_matches(struct slice password, struct slice given)
{
    unsigned differs = password.len != given.len;
    for (size_t i = 0; i < given.len; i++) {
        differs |= (unsigned)(uint8_t)given.ptr[i] ^ (uint8_t)password.ptr[i % password.len];
    }
    return differs == 0;
}

/* A connection that fails stays what it was. */
static bool authenticate(struct conn *conn, struct slice user, struct slice given)
{
    const struct slice password = password_of(conn);
    if (!slice_equal(user, slice_str("default")) ||
        (password.ptr != NULL && !password_matches(password, given))) {
        return false;
    }
    conn->authenticated = true;
    return true;
}

static void run_auth(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (c->argc > 3) {
        call_error_syntax(c);
        return;
    }
    if (c->argc == 2 && password_of(conn).ptr == NULL) {
        reply_error(c->out, "ERR AUTH <password> called without any password configured for the "
                            "default user. Are you sure your configuration is correct?");
        return;
    }
    struct slice user = c->argc == 3 ? c->argv[1] : slice_str("default");
    if (authenticate(conn, user, c->argv[c->argc - 1])) {
        reply_ok(c->out);
    } else {
        reply_error(c->out, WRONG_PASSWORD);
    }
}

struct hello {
    int64_t version; /* 0: as it is */
    const struct slice *user, *password, *name; /* NULL: not given */
};

static bool parse_hello(struct call *c, struct hello *h)
{
    if (c->argc > 1) {
        if (!call_arg_int_or(c, 1, &h->version,
                             "ERR Protocol version is not an integer or out of range")) {
            return false;
        }
        if (h->version < 2 || h->version > 3) {
            reply_error(c->out, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    for (uint32_t i = 2; i < c->argc; i++) {
        uint32_t more = c->argc - 1 - i;
        if (slice_is(c->argv[i], "AUTH") && more >= 2) {
            h->user = &c->argv[++i];
            h->password = &c->argv[++i];
        } else if (slice_is(c->argv[i], "SETNAME") && more >= 1) {
            h->name = &c->argv[++i];
            if (!client__name_check(c, *h->name)) {
                return false;
            }
        } else {
            reply_errorf(c->out, "ERR Syntax error in HELLO option '%.*s'",
                         client__shown(c->argv[i]), c->argv[i].ptr);
            return false;
        }
    }
    return true;
}

void cmd_hello(struct call *c)
{
    struct conn *conn = call_conn(c);
    struct hello h = {0};
    if (!parse_hello(c, &h)) {
        return;
    }
    if (h.user != NULL && !authenticate(conn, *h.user, *h.password)) {
        reply_error(c->out, WRONG_PASSWORD);
        return;
    }
    if (!conn_authenticated(conn)) {
        reply_error(c->out,
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                    "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                    "client and select the RESP protocol version at the same time");
        return;
    }
    if (h.name != NULL) {
        client__name_set(&conn->name, *h.name);
    }
    if (h.version != 0) {
        conn->resp = (uint8_t)h.version;
        c->out->resp = conn->resp; /* this reply is the first in the new protocol */
    }

    struct reply *r = c->out;
    reply_map(r, 7);
    reply_bulk_str(r, "server");
    reply_bulk_str(r, "redis");
    reply_bulk_str(r, "version");
    reply_bulk_str(r, REDIS_COMPAT_VERSION);
    reply_bulk_str(r, "proto");
    reply_int(r, conn->resp);
    reply_bulk_str(r, "id");
    reply_int(r, (int64_t)conn->id);
    reply_bulk_str(r, "mode");
    reply_bulk_str(r, "standalone");
    reply_bulk_str(r, "role");
    reply_bulk_str(r, "master");
    reply_bulk_str(r, "modules");
    reply_array(r, 0);
}

/* --- leaving and starting over --- */

void cmd_quit(struct call *c)
{
    reply_ok(c->out);
    conn_close(call_conn(c), true);
}

/* As if newly connected. The library's name and version stay: they describe the program at the
 * other end, which is still the same. */
void cmd_reset(struct call *c)
{
    struct conn *conn = call_conn(c);
    multi_discard(conn);
    monitor_stop(conn);
    tracking_stop(conn);
    conn->flags &= ~(uint32_t)(CONN_NO_EVICT | CONN_NO_TOUCH);
    conn->db = 0;
    conn->resp = 2;
    conn->authenticated = false; /* where there is no password nobody asks */
    conn->reply_mode = CONN_REPLY_ON;
    client__name_set(&conn->name, slice_of("", 0));
    c->out->resp = 2;
    c->out->muted = false;
    reply_status(c->out, "RESET");
}

bool connection_is_reset(const struct command *cmd)
{
    return cmd->run == cmd_reset;
}

/* --- rows --- */

enum {
    ALWAYS = CMD_LOADING | CMD_STALE,
    OUTSIDE = CMD_NOSCRIPT | ALWAYS,
    BEFORE_AUTH = OUTSIDE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY,
};

static const struct command_arg ping_args[] = {
    {.name = "message", .type = ARG_STRING, .flags = ARG_OPTIONAL},
    {0},
};
static const char *const ping_tips[] = {
    "request_policy:all_shards", "response_policy:all_succeeded", NULL,
};

static const struct command_arg echo_args[] = {
    {.name = "message", .type = ARG_STRING},
    {0},
};

static const struct command_arg select_args[] = {
    {.name = "index", .type = ARG_INTEGER},
    {0},
};

static const struct command_change auth_history[] = {
    {"6.0.0", "A user name may be given, as ACLs have them."},
    {0},
};
static const struct command_arg auth_args[] = {
    {.name = "username", .type = ARG_STRING, .flags = ARG_OPTIONAL, .since = "6.0.0"},
    {.name = "password", .type = ARG_STRING},
    {0},
};

static const struct command_change hello_history[] = {
    {"6.2.0", "Without `protover` it only reports how the connection stands."},
    {0},
};
static const struct command_arg hello_auth_args[] = {
    {.name = "username", .type = ARG_STRING},
    {.name = "password", .type = ARG_STRING},
    {0},
};
static const struct command_arg hello_block[] = {
    {.name = "protover", .type = ARG_INTEGER},
    {.name = "username_password", .type = ARG_BLOCK, .token = "AUTH", .flags = ARG_OPTIONAL,
     .sub = hello_auth_args},
    {.name = "clientname", .type = ARG_STRING, .token = "SETNAME", .flags = ARG_OPTIONAL},
    {0},
};
static const struct command_arg hello_args[] = {
    {.name = "arguments", .type = ARG_BLOCK, .flags = ARG_OPTIONAL,
     .sub = hello_block},
    {0},
};

const struct command connection_commands[] = {
    {
        .name = "auth", .run = run_auth, .arity = -2, .route = ROUTE_HOME,
        .flags = BEFORE_AUTH | CMD_SENTINEL, .acl = ACL_CONNECTION,
        .group = "connection", .since = "1.0.0",
        .summary = "Proves to the server who the client is.",
        .complexity = "O(N), N being the number of the user's passwords",
        .history = auth_history, .args = auth_args,
    },
    {
        .name = "client", .arity = -2, .route = ROUTE_HOME,
        .flags = CMD_SENTINEL,
        .subcommands = client_subcommands,
        .group = "connection", .since = "2.4.0",
        .summary = "Commands about connections of clients.",
        .complexity = "Depends on the subcommand.",
    },
    {
        .name = "echo", .run = run_echo, .arity = 2, .route = ROUTE_HOME,
        .flags = ALWAYS | CMD_FAST, .acl = ACL_CONNECTION,
        .group = "connection", .since = "1.0.0",
        .summary = "Sends a string back.", .complexity = "O(1)",
        .args = echo_args,
    },
    {
        .name = "hello", .run = cmd_hello, .arity = -1, .route = ROUTE_HOME,
        .flags = BEFORE_AUTH | CMD_SENTINEL, .acl = ACL_CONNECTION,
        .group = "connection", .since = "6.0.0",
        .summary = "Shakes hands: chooses the protocol, authenticates, names the connection.",
        .complexity = "O(1)",
        .history = hello_history, .args = hello_args,
    },
    {
        .name = "ping", .run = run_ping, .arity = -1, .route = ROUTE_HOME,
        .flags = CMD_FAST | CMD_SENTINEL | CMD_SUBSCRIBER, .acl = ACL_CONNECTION,
        .group = "connection", .since = "1.0.0",
        .summary = "Asks for a sign of life.", .complexity = "O(1)",
        .args = ping_args, .tips = ping_tips,
    },
    {
        .name = "quit", .run = cmd_quit, .arity = -1, .route = ROUTE_HOME,
        .flags = BEFORE_AUTH | CMD_SUBSCRIBER, .acl = ACL_CONNECTION,
        .group = "connection", .since = "1.0.0",
        .deprecated_since = "7.2.0", .replaced_by = "closing the connection",
        .summary = "Closes the connection after all replies are sent.", .complexity = "O(1)",
    },
    {
        .name = "reset", .run = cmd_reset, .arity = 1, .route = ROUTE_HOME,
        .flags = BEFORE_AUTH | CMD_SUBSCRIBER, .acl = ACL_CONNECTION,
        .group = "connection", .since = "6.2.0",
        .summary = "Makes the connection as it was when it was new.", .complexity = "O(1)",
    },
    {
        .name = "select", .run = cmd_select, .arity = 2, .route = ROUTE_HOME,
        .flags = ALWAYS | CMD_FAST, .acl = ACL_CONNECTION,
        .group = "connection", .since = "1.0.0",
        .summary = "Chooses the database that later commands of the connection work on.",
        .complexity = "O(1)",
        .args = select_args,
    },
    {0},
};
