/* monitor.h - MONITOR: connections that see every command.
 *
 * A command is shown by the home shard of its connection: the line is made once, given to the
 * monitors at home there, and sent as a note to each other shard that has monitors. Lines of one
 * connection come in its order; lines of several homes come in the order in which they arrive.
 *
 *   cmd_monitor() ─► CONN_MONITOR, shard->monitors, server->monitors ─► monitor_stop()
 *
 * Thread: the home shard's own. server->monitors and shard->monitor_count may be read by all.
 *
 * I1  A connection is in its shard's list exactly while it has CONN_MONITOR.
 * I2  server->monitors is the sum of all shards' monitor_count (as soon as all stores are seen).
 */
#ifndef ASHLAR_SHARDS_MONITOR_H
#define ASHLAR_SHARDS_MONITOR_H

#include "core/command.h"
#include "shards/text.h"
#include <stdint.h>

struct shard;
struct conn;

/* Shows a command to all monitors; to be called only while server->monitors > 0. Commands that
 * Redis does not show (ADMIN, SKIP_MONITOR) are left out here. */
void monitor_feed(struct shard *shard, struct conn *conn, int db, const struct command *cmd,
                  const struct slice *argv, uint32_t argc);
/* The connection ends MONITOR (RESET) or is being closed. Nothing happens when it is in none. */
void monitor_stop(struct conn *conn);
/* The line of a command, "+" and line end included. */
void monitor_format(struct text *t, int64_t unix_us, int db, const char *from,
                    const struct command *cmd, const struct slice *argv, uint32_t argc);

#endif
