/* cmd_object.h - what MEMORY USAGE, DEBUG OBJECT and DEBUG DIGEST-VALUE do. They look at keys, so
 * they run where the keys live, but stand under containers whose rows belong to the server's
 * commands (shards/). Those rows put them to use as subcommands:
 *
 *   memory usage         arity -3, key spec KEYS_AT(2, 0, 1), ROUTE_KEYS
 *   debug object         arity 3,  key spec KEYS_AT(2, 0, 1), ROUTE_KEYS
 *   debug digest-value   arity -2, key spec KEYS_AT(2, -1, 1), ROUTE_KEYS, APART_EACH_KEY
 *
 * argv[0] and argv[1] are the container's and the subcommand's names. Thread: as command.h says. */
#ifndef ASHLAR_CORE_CMD_OBJECT_H
#define ASHLAR_CORE_CMD_OBJECT_H

#include "core/command.h"

void cmd_memory_usage(struct call *c);
extern const struct command_arg cmd_memory_usage_args[];
void cmd_debug_object(struct call *c);
void cmd_debug_digest_value(struct call *c);

#endif
