/* cmd_config.h - CONFIG, and how the configuration changes while the server runs.
 *
 *   config_update ─► copy of server->config ─► edit ─► broadcast: every shard takes the new one
 *                                                ─► server->config, +OK, the old one is retired
 *
 * One change at a time: server->config_changing is held from the copy until the last shard has
 * the new one. Thread: the connection's home.
 */
#ifndef ASHLAR_SHARDS_CMD_CONFIG_H
#define ASHLAR_SHARDS_CMD_CONFIG_H

#include "core/command.h"
#include "shards/config.h"

extern const struct command config_commands[];

/* Changes the copy as c's arguments say. On failure replies the error and returns false; nothing
 * is published then. May be called again for the same command when another change was under way. */
typedef bool config_edit(struct call *c, struct config *copy);
/* Runs edit on a copy of the configuration, publishes it, and replies +OK. For a ROUTE_BARRIER
 * command (CONFIG SET, DEBUG SET-ACTIVE-EXPIRE), as the last thing that it does. */
void config_update(struct call *c, config_edit *edit);

#endif
