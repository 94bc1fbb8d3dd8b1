/* cmd_replication.c - WAIT, REPLICAOF, FAILOVER and ROLE on a server that has no replicas and is
 * nobody's replica.
 *
 * WAIT has no keys, so it runs where its connection is at home, at its place in the order, and if it
 * asks for a replica it waits there (blocked.h) for what cannot happen: until its time is up.
 */
#include "shards/commands.h"

enum { PORT_MAX = 65535 };

/* --- WAIT --- */

static void cmd_wait(struct call *c)
{
    int64_t replicas, timeout_ms;
    if (!call_arg_int(c, 1, &replicas) ||
        !call_arg_int_or(c, 2, &timeout_ms, "ERR timeout is not an integer or out of range")) {
        return;
    }
    if (timeout_ms < 0) {
        reply_error(c->out, "ERR timeout is negative");
        return;
    }
    if (replicas <= 0 || !call_may_block(c)) {
        reply_int(c->out, 0);
        return;
    }
    call_block(c, WAIT_REPLICAS, 0, timeout_ms, NULL);
}

static bool wait_may_wait(const struct slice *argv, uint32_t argc)
{
    (void)argv;
    (void)argc;
    return true;
}

/* --- ROLE, REPLICAOF --- */

static void cmd_role(struct call *c)
{
    reply_array(c->out, 3);
    reply_bulk_str(c->out, "master");
    reply_int(c->out, 0);
    reply_array(c->out, 0);
}

static void cmd_replicaof(struct call *c)
{
    if (slice_is(c->argv[1], "no") && slice_is(c->argv[2], "one")) {
        reply_ok(c->out); /* as it is */
        return;
    }
    int64_t port;
    if (call_arg_range(c, 2, 0, PORT_MAX, &port, "ERR Invalid master port")) {
        reply_error(c->out, "ERR This server cannot be a replica yet");
    }
}

/* --- FAILOVER --- */

/* Whether the options are well-formed; else the error is written. */
static bool check_failover(struct call *c)
{
    bool to = false, force = false, timeout = false;
    int64_t number;
    for (uint32_t i = 1; i < c->argc; i++) {
        const struct slice word = c->argv[i];
        const uint32_t more = c->argc - i - 1;
        if (slice_is(word, "timeout") && more >= 1 && !timeout) {
            if (!call_arg_int(c, ++i, &number)) {
                return false;
            }
            if (number <= 0) {
                reply_error(c->out, "ERR FAILOVER timeout must be greater than 0");
                return false;
            }
            timeout = true;
        } else if (slice_is(word, "to") && more >= 2 && !to) {
            i += 2;
            if (!call_arg_int(c, i, &number)) {
                return false;
            }
            to = true;
        } else if (slice_is(word, "force") && !force) {
            force = true;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static void cmd_failover(struct call *c)
{
    if (c->argc == 2 && slice_is(c->argv[1], "abort")) {
        reply_error(c->out, "ERR No failover in progress.");
    } else if (check_failover(c)) {
        reply_error(c->out, "ERR FAILOVER requires connected replicas.");
    }
}

/* --- rows --- */

static const struct command_arg wait_args[] = {
    {.name = "numreplicas", .type = ARG_INTEGER},
    {.name = "timeout", .type = ARG_INTEGER},
    {0},
};
static const char *const wait_tips[] = {"request_policy:all_shards", "response_policy:agg_min",
                                        NULL};

static const struct command_arg failover_target_args[] = {
    {.name = "host", .type = ARG_STRING},
    {.name = "port", .type = ARG_INTEGER},
    {.name = "force", .type = ARG_PURE_TOKEN, .token = "FORCE", .flags = ARG_OPTIONAL},
    {0},
};
static const struct command_arg failover_args[] = {
    {.name = "target", .type = ARG_BLOCK, .token = "TO", .flags = ARG_OPTIONAL,
     .sub = failover_target_args},
    {.name = "abort", .type = ARG_PURE_TOKEN, .token = "ABORT", .flags = ARG_OPTIONAL},
    {.name = "milliseconds", .type = ARG_INTEGER, .token = "TIMEOUT", .flags = ARG_OPTIONAL},
    {0},
};

static const struct command_arg master_args[] = {
    {.name = "host", .type = ARG_STRING},
    {.name = "port", .type = ARG_INTEGER},
    {0},
};
static const struct command_arg no_one_args[] = {
    {.name = "no", .type = ARG_PURE_TOKEN, .token = "NO"},
    {.name = "one", .type = ARG_PURE_TOKEN, .token = "ONE"},
    {0},
};
static const struct command_arg replicaof_choice[] = {
    {.name = "host-port", .type = ARG_BLOCK, .sub = master_args},
    {.name = "no-one", .type = ARG_BLOCK, .sub = no_one_args},
    {0},
};
static const struct command_arg replicaof_args[] = {
    {.name = "args", .type = ARG_ONEOF, .sub = replicaof_choice},
    {0},
};

const struct command replication_commands[] = {
    {
        .name = "failover", .run = cmd_failover, .arity = -1,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE, .route = ROUTE_BARRIER, .group = "server",
        .since = "6.2.0",
        .summary = "Hands the master's part over to one of its replicas, without loss.",
        .complexity = "O(1)", .args = failover_args,
    },
    {
        .name = "replicaof", .run = cmd_replicaof, .arity = 3,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .route = ROUTE_BARRIER, .group = "server", .since = "5.0.0",
        .summary = "Makes the server a replica of another one, or a master.",
        .complexity = "O(1)", .args = replicaof_args,
    },
    {
        .name = "role", .run = cmd_role, .arity = 1,
        .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_SENTINEL,
        .acl = ACL_ADMIN | ACL_DANGEROUS, .route = ROUTE_BARRIER, .group = "server",
        .since = "2.8.12",
        .summary = "Returns the server's part in replication.", .complexity = "O(1)",
    },
    {
        .name = "slaveof", .run = cmd_replicaof, .arity = 3,
        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE | CMD_NO_ASYNC_LOADING,
        .route = ROUTE_BARRIER, .group = "server", .since = "1.0.0",
        .deprecated_since = "5.0.0", .replaced_by = "`REPLICAOF`",
        .summary = "Makes the server a replica of another one, or a master.",
        .complexity = "O(1)", .args = replicaof_args,
    },
    {
        .name = "wait", .run = cmd_wait, .arity = 3, .flags = CMD_NOSCRIPT, .acl = ACL_CONNECTION,
        .route = ROUTE_KEYS, .may_wait = wait_may_wait, .group = "generic", .since = "3.0.0",
        .summary = "Waits until replicas have what the connection has written.",
        .complexity = "O(1)", .args = wait_args, .tips = wait_tips,
    },
    {0},
};
