/* commands.h - the command table: all rows of all parts, built once at start.
 *
 * The parts describe their commands in constant rows (core/command.h). commands_init() copies them
 * into one table, gives every command and subcommand its id, full name and container, adds the
 * flag that follows from the key specifications, and hashes the names:
 *
 *   string_commands[] ┐             ids 0 … count-1        ids count … ids-1
 *   generic_commands[]├─ copies ──► [get][set] … [client] … [client|id][client|info] …
 *   …                 ┘                            └ subcommands ─►┘ (lie together)
 *
 * Thread: commands_init() before the shards start; from then on the table is immutable and any
 * thread reads it. Pointers to rows stay valid for ever, and a command is known by its pointer:
 * only the table's rows travel, never the parts' own.
 */
#ifndef ASHLAR_SHARDS_COMMANDS_H
#define ASHLAR_SHARDS_COMMANDS_H

#include "core/command.h"
#include "proto/reply.h"
#include "proto/slice.h"
#include <stdbool.h>
#include <stdint.h>

/* Rows of this folder's commands; those of core/ are declared in core/command.h. Each ends with
 * name == NULL. */
extern const struct command connection_commands[]; /* cmd_connection.c: PING, AUTH, CLIENT … */
extern const struct command pubsub_commands[];     /* cmd_pubsub.c: SUBSCRIBE, PUBLISH, PUBSUB … */
extern const struct command command_commands[];    /* cmd_command.c: COMMAND */
extern const struct command config_commands[];     /* cmd_config.c: CONFIG */
extern const struct command server_commands[];     /* INFO, SLOWLOG, MEMORY … */
extern const struct command cluster_commands[];    /* cmd_cluster.c: CLUSTER, READONLY … */
extern const struct command replication_commands[]; /* cmd_replication.c: WAIT, ROLE … */
extern const struct command eval_commands[];       /* cmd_eval.c: EVAL, FCALL … */
extern const struct command script_commands[];     /* cmd_script.c: SCRIPT */
extern const struct command function_commands[];   /* cmd_function.c: FUNCTION */
extern const struct command multi_commands[];      /* multi.c: MULTI, EXEC, WATCH … */

command_run cmd_quit, cmd_reset;   /* never queued by MULTI */
command_run cmd_select, cmd_hello; /* change how the commands after them are taken */

/* Whether it is RESET, which concerns more of the connection than its own file does. */
bool connection_is_reset(const struct command *cmd);

void commands_init(void);
/* rename-command, before the shards start: from now on the command is called to, which the caller
 * keeps, or cannot be called (""). 0, -ENOENT or -EEXIST. */
int commands_rename(const char *from, const char *to);
/* False for a command that rename-command has taken away (ids and counts below include it). */
bool commands_callable(const struct command *cmd);

unsigned commands_count(void); /* commands, without subcommands: COMMAND COUNT */
unsigned commands_ids(void);   /* commands and subcommands; every id is below this */
/* The command or subcommand with this id; commands come first (id < commands_count()). */
const struct command *commands_by_id(unsigned id);

/* Without regard to case; NULL when there is none. A few nanoseconds, allocates nothing. */
const struct command *commands_find(struct slice name);
/* The same for a subcommand of a container. */
const struct command *commands_find_sub(const struct command *container, struct slice name);
/* By full name, "get" or "client|list"; "client" finds the container. */
const struct command *commands_find_full(struct slice full_name);

/* The command that argv calls, subcommands included; argc >= 1. NULL when it does not exist or the
 * number of arguments is wrong, and then err has the error reply that Redis gives. A container
 * called without a subcommand is such an error, too. */
const struct command *commands_resolve(const struct slice *argv, uint32_t argc, struct reply *err);
/* The same without error and without looking at the number of arguments (COMMAND GETKEYS). */
const struct command *commands_lookup(const struct slice *argv, uint32_t argc);

static inline bool command_arity_fits(const struct command *cmd, uint32_t argc)
{
    return cmd->arity >= 0 ? argc == (uint32_t)cmd->arity : argc >= (uint32_t)-cmd->arity;
}

/* The keys as old clients see them: argv[first], every step up to last (negative: from the end).
 * All 0 when there are none or they cannot be told so. Returns whether that misses keys: then the
 * command has the flag CMD_MOVABLE_KEYS. */
struct command_range {
    int first, last, step;
};
bool command_legacy_range(const struct command *cmd, struct command_range *out);

#endif
