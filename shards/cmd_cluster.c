/* cmd_cluster.c - CLUSTER, READONLY, READWRITE, ASKING on a server that is no node of a cluster.
 *
 * Clients ask such a server, too: to find out whether it is a node. The answer is the same error for
 * all of them, once the subcommand is known and the number of its arguments is right. A connection
 * cannot be in another state than READWRITE, so none of them has anything to change.
 */
#include "shards/commands.h"

static void cmd_disabled(struct call *c)
{
    reply_error(c->out, "ERR This instance has cluster support disabled");
}

/* --- arguments --- */

static const struct command_arg node_args[] = {{.name = "node-id", .type = ARG_STRING}, {0}};
static const struct command_arg slot_args[] = {{.name = "slot", .type = ARG_INTEGER}, {0}};
static const struct command_arg slots_args[] = {
    {.name = "slot", .type = ARG_INTEGER, .flags = ARG_MULTIPLE},
    {0},
};
static const struct command_arg range_args[] = {
    {.name = "start-slot", .type = ARG_INTEGER},
    {.name = "end-slot", .type = ARG_INTEGER},
    {0},
};
static const struct command_arg ranges_args[] = {
    {.name = "start-slot_end-slot", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = range_args},
    {0},
};
static const struct command_arg failover_words[] = {
    {.name = "force", .type = ARG_PURE_TOKEN, .token = "FORCE"},
    {.name = "takeover", .type = ARG_PURE_TOKEN, .token = "TAKEOVER"},
    {0},
};
static const struct command_arg failover_args[] = {
    {.name = "options", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = failover_words},
    {0},
};
static const struct command_arg keys_in_slot_args[] = {
    {.name = "slot", .type = ARG_INTEGER},
    {.name = "count", .type = ARG_INTEGER},
    {0},
};
static const struct command_arg keyslot_args[] = {{.name = "key", .type = ARG_STRING}, {0}};
static const struct command_arg meet_args[] = {
    {.name = "ip", .type = ARG_STRING},
    {.name = "port", .type = ARG_INTEGER},
    {.name = "cluster_bus_port", .type = ARG_INTEGER, .flags = ARG_OPTIONAL, .since = "4.0.0"},
    {0},
};
static const struct command_arg reset_words[] = {
    {.name = "hard", .type = ARG_PURE_TOKEN, .token = "HARD"},
    {.name = "soft", .type = ARG_PURE_TOKEN, .token = "SOFT"},
    {0},
};
static const struct command_arg reset_args[] = {
    {.name = "hard_soft", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = reset_words},
    {0},
};
static const struct command_arg epoch_args[] = {
    {.name = "config-epoch", .type = ARG_INTEGER},
    {0},
};
static const struct command_arg setslot_words[] = {
    {.name = "node-id", .type = ARG_STRING, .token = "IMPORTING"},
    {.name = "node-id", .type = ARG_STRING, .token = "MIGRATING"},
    {.name = "node-id", .type = ARG_STRING, .token = "NODE"},
    {.name = "stable", .type = ARG_PURE_TOKEN, .token = "STABLE"},
    {0},
};
static const struct command_arg setslot_args[] = {
    {.name = "slot", .type = ARG_INTEGER},
    {.name = "subcommand", .type = ARG_ONEOF, .sub = setslot_words},
    {0},
};

/* --- what changed, tips --- */

static const struct command_change meet_history[] = {
    {"4.0.0", "Added the optional `cluster_bus_port` argument."},
    {0},
};
static const struct command_change slots_history[] = {
    {"4.0.0", "Added node IDs."},
    {"7.0.0", "Added additional networking metadata field."},
    {0},
};
static const char *const changing_tips[] = {"nondeterministic_output", NULL};

/* --- rows --- */

#define PER_SLOT "O(N) where N is the number of slots."
#define PER_NODE "O(N) where N is the number of nodes."

/* What changes a node, what only an administrator may ask it, and what everybody may. */
#define CLUSTER_ROW(name_, arity_, flags_, since_, complexity_, summary_)                          \
    .name = (name_), .run = cmd_disabled, .arity = (arity_), .flags = CMD_STALE | (flags_),        \
    .route = ROUTE_HOME, .group = "cluster", .since = (since_), .complexity = (complexity_),       \
    .summary = (summary_)
#define CHANGES (CMD_ADMIN | CMD_NO_ASYNC_LOADING)

static const struct command cluster_subcommands[] = {
    {
        CLUSTER_ROW("addslots", -3, CHANGES, "3.0.0", PER_SLOT, "Gives slots to this node."),
        .args = slots_args,
    },
    {
        CLUSTER_ROW("addslotsrange", -4, CHANGES, "7.0.0", PER_SLOT,
                    "Gives ranges of slots to this node."),
        .args = ranges_args,
    },
    {
        CLUSTER_ROW("bumpepoch", 2, CHANGES, "3.0.0", "O(1)",
                    "Raises the epoch of the cluster's configuration."),
        .tips = changing_tips,
    },
    {
        CLUSTER_ROW("count-failure-reports", 3, CMD_ADMIN, "3.0.0",
                    "O(N) where N is the number of failure reports.",
                    "Returns how many nodes report a node as failed."),
        .args = node_args, .tips = changing_tips,
    },
    {
        CLUSTER_ROW("countkeysinslot", 3, 0, "3.0.0", "O(1)", "Returns how many keys a slot has."),
        .args = slot_args,
    },
    {
        CLUSTER_ROW("delslots", -3, CHANGES, "3.0.0", PER_SLOT, "Takes slots from this node."),
        .args = slots_args,
    },
    {
        CLUSTER_ROW("delslotsrange", -4, CHANGES, "7.0.0", PER_SLOT,
                    "Takes ranges of slots from this node."),
        .args = ranges_args,
    },
    {
        CLUSTER_ROW("failover", -2, CHANGES, "3.0.0", "O(1)",
                    "Makes a replica take its master's place."),
        .args = failover_args,
    },
    {CLUSTER_ROW("flushslots", 2, CHANGES, "3.0.0", "O(1)", "Takes all slots from this node.")},
    {
        CLUSTER_ROW("forget", 3, CHANGES, "3.0.0", "O(1)",
                    "Takes a node out of those that this one knows."),
        .args = node_args,
    },
    {
        CLUSTER_ROW("getkeysinslot", 4, 0, "3.0.0", "O(N) where N is the number of keys asked for.",
                    "Returns names of keys of a slot."),
        .args = keys_in_slot_args, .tips = changing_tips,
    },
    {CLUSTER_ROW("help", 2, CMD_LOADING, "5.0.0", "O(1)", "Says what the subcommands do.")},
    {
        CLUSTER_ROW("info", 2, 0, "3.0.0", "O(1)", "Returns the state of the cluster."),
        .tips = changing_tips,
    },
    {
        CLUSTER_ROW("keyslot", 3, 0, "3.0.0", "O(N) where N is the number of bytes of the key.",
                    "Returns the slot of a key."),
        .args = keyslot_args,
    },
    {
        CLUSTER_ROW("links", 2, 0, "7.0.0", PER_NODE,
                    "Returns the connections between this node and others."),
        .tips = changing_tips,
    },
    {
        CLUSTER_ROW("meet", -4, CHANGES, "3.0.0", "O(1)", "Makes this node meet another one."),
        .history = meet_history, .args = meet_args,
    },
    {CLUSTER_ROW("myid", 2, 0, "3.0.0", "O(1)", "Returns this node's id.")},
    {
        CLUSTER_ROW("nodes", 2, 0, "3.0.0", PER_NODE,
                    "Returns the cluster's configuration as this node knows it."),
        .tips = changing_tips,
    },
    {
        CLUSTER_ROW("replicas", 3, CMD_ADMIN, "5.0.0", "O(1)", "Returns the replicas of a master."),
        .args = node_args, .tips = changing_tips,
    },
    {
        CLUSTER_ROW("replicate", 3, CHANGES, "3.0.0", "O(1)",
                    "Makes this node a replica of a master."),
        .args = node_args,
    },
    {
        CLUSTER_ROW("reset", -2, CMD_ADMIN | CMD_NOSCRIPT, "3.0.0",
                    "O(N) where N is the number of nodes; a hard reset may empty all databases.",
                    "Makes this node forget the cluster."),
        .args = reset_args,
    },
    {
        CLUSTER_ROW("saveconfig", 2, CHANGES, "3.0.0", "O(1)",
                    "Writes the cluster's configuration to disk."),
    },
    {
        CLUSTER_ROW("set-config-epoch", 3, CHANGES, "3.0.0", "O(1)",
                    "Sets the epoch of a new node's configuration."),
        .args = epoch_args,
    },
    {
        CLUSTER_ROW("setslot", -4, CHANGES, "3.0.0", "O(1)", "Says which node a slot belongs to."),
        .args = setslot_args,
    },
    {
        CLUSTER_ROW("shards", 2, 0, "7.0.0", PER_NODE,
                    "Returns the slots, with the nodes that serve them."),
        .tips = changing_tips,
    },
    {
        CLUSTER_ROW("slaves", 3, CMD_ADMIN, "3.0.0", "O(1)", "Returns the replicas of a master."),
        .deprecated_since = "5.0.0", .replaced_by = "`CLUSTER REPLICAS`",
        .args = node_args, .tips = changing_tips,
    },
    {
        CLUSTER_ROW("slots", 2, 0, "3.0.0", PER_NODE,
                    "Returns the ranges of slots, with the nodes that serve them."),
        .deprecated_since = "7.0.0", .replaced_by = "`CLUSTER SHARDS`",
        .history = slots_history, .tips = changing_tips,
    },
    {0},
};

const struct command cluster_commands[] = {
    {
        .name = "asking", .run = cmd_disabled, .arity = 1, .flags = CMD_FAST,
        .acl = ACL_CONNECTION, .route = ROUTE_HOME, .group = "cluster", .since = "3.0.0",
        .summary = "Lets the next command ask for a slot that is being imported.",
        .complexity = "O(1)",
    },
    {
        .name = "cluster", .arity = -2, .subcommands = cluster_subcommands, .group = "cluster",
        .since = "3.0.0", .summary = "Nodes and slots of the cluster.",
        .complexity = "Depends on subcommand.",
    },
    {
        .name = "readonly", .run = cmd_disabled, .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_CONNECTION, .route = ROUTE_HOME,
        .group = "cluster", .since = "3.0.0",
        .summary = "Lets the connection read from a replica in the cluster.", .complexity = "O(1)",
    },
    {
        .name = "readwrite", .run = cmd_disabled, .arity = 1,
        .flags = CMD_LOADING | CMD_STALE | CMD_FAST, .acl = ACL_CONNECTION, .route = ROUTE_HOME,
        .group = "cluster", .since = "3.0.0",
        .summary = "Ends what READONLY has begun.", .complexity = "O(1)",
    },
    {0},
};
