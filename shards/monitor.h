/* monitor.h - MONITOR: connections that see every command.
 *
 * All monitors see one order, the one in which the commands take effect (order.h). While anybody
 * listens no run is free, so that order is known when a command is taken in: by stamp, then home,
 * then as the home took them in. The home makes the line and sends it to each shard that has
 * monitors, before its phase closes; a shard with monitors keeps the lines sorted and shows those
 * below its horizon: none that comes later can belong before them.
 *
 *   home: dispatch ► monitor_feed() ──note──► monitor_lines (sorted) ──horizon──► connections
 *   cmd_monitor() ─► CONN_MONITOR, shard->monitors, server->monitors ─► monitor_stop()
 *
 * Commands called by scripts are shown by the shard that runs the script, as they happen.
 *
 * Thread: the home shard's own, where nothing else is said. server->monitors and shard->monitor_count may be read by all.
 *
 * I1  A connection is in its shard's list exactly while it has CONN_MONITOR.
 * I2  server->monitors is the sum of all shards' monitor_count (as soon as all stores are seen).
 * I3  monitor_lines is sorted by (stamp, home); lines of one home come in its order.
 */
#ifndef ASHLAR_SHARDS_MONITOR_H
#define ASHLAR_SHARDS_MONITOR_H

#include "core/command.h"
#include "shards/text.h"
#include <stdint.h>

struct shard;
struct conn;

/* Shows a command to all monitors; to be called in a phase, with its stamp, and only while
 * server->monitors > 0. Commands that Redis does not show (ADMIN, SKIP_MONITOR) are left out here. */
void monitor_feed(struct shard *shard, struct conn *conn, uint64_t stamp, int db,
                  const struct command *cmd, const struct slice *argv, uint32_t argc);
/* The same for a command that a script calls, from the shard that runs it: from is "lua". Shown as
 * soon as it arrives. */
void monitor_feed_script(struct shard *shard, int db, const struct command *cmd,
                         const struct slice *argv, uint32_t argc);
/* Shows the lines below the horizon (which was computed before the mailbox was taken). */
void monitor_show(struct shard *shard, uint64_t horizon);
/* The connection ends MONITOR (RESET) or is being closed. Nothing happens when it is in none. */
void monitor_stop(struct conn *conn);
/* The line of a command, "+" and line end included. */
void monitor_format(struct text *t, int64_t unix_us, int db, const char *from,
                    const struct command *cmd, const struct slice *argv, uint32_t argc);

#endif
