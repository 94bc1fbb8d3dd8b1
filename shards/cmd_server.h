/* cmd_server.h - the rows of the server commands, and what their files share.
 *
 * server_commands[] (cmd_server.c) is one array of the command table; the subcommands of a
 * container stand beside their functions. All these commands are run at home, when the
 * connection's earlier commands are answered (ROUTE_BARRIER): what concerns every shard goes
 * through broadcast(). Exceptions are routed by their keys and implemented in core/ (MEMORY USAGE,
 * DEBUG OBJECT, DEBUG DIGEST-VALUE).
 */
#ifndef ASHLAR_SHARDS_CMD_SERVER_H
#define ASHLAR_SHARDS_CMD_SERVER_H

#include "core/command.h"
#include "shards/conn.h"
#include "shards/shard.h"
#include "shards/text.h"

extern const struct command server_commands[];
extern const struct command slowlog_subcommands[], latency_subcommands[], memory_subcommands[],
    debug_subcommands[];

command_run cmd_info, cmd_monitor;

/* The error for commands that the configuration protects (CMD_PROTECTED: DEBUG), or NULL when this
 * connection may run them. To be asked at home before such a command is routed. */
const char *server_protected_error(const struct conn *conn, const struct command *cmd);

/* Replies with a report and frees it. */
static inline void reply_text(struct call *c, struct text *t)
{
    reply_verbatim(c->out, "txt", t->data ? t->data : "", t->len);
    text_free(t);
}

/* The shard on which a ROUTE_HOME or ROUTE_BARRIER command runs. */
static inline struct shard *call_home(const struct call *c)
{
    return call_conn(c)->shard;
}

#endif
