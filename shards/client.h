/* client.h - the CLIENT command between its files; nothing for others.
 *
 *   cmd_connection.c   the rows of PING … and of CLIENT's container
 *   cmd_client.c       subcommands about the own connection (ROUTE_HOME), rows of all subcommands
 *   cmd_client_all.c   subcommands about all connections (ROUTE_BARRIER, broadcast)
 *
 * Thread: all of them run on the connection's home shard; what is broadcast says so itself.
 */
#ifndef ASHLAR_SHARDS_CLIENT_H
#define ASHLAR_SHARDS_CLIENT_H

#include "core/command.h"
#include "shards/conn.h"
#include "shards/text.h"

extern const struct command client_subcommands[];

/* A connection as CLIENT LIST shows it, with the newline. On the shard of the connection. */
void client__describe(struct text *t, const struct conn *conn);

/* Names must not break the columns of CLIENT LIST: printable ASCII without blanks. */
bool client__name_valid(struct slice name);
/* Replaces *name (the connection's field), which becomes NULL when the new one is empty. */
void client__name_set(char **name, struct slice value);
/* Replies the error when the name is not valid. */
bool client__name_check(struct call *c, struct slice name);

/* A client's word as errors repeat it ("%.*s"): its length, within reason. */
enum { CLIENT_ERROR_WORD_MAX = 1024 };
static inline int client__shown(struct slice word)
{
    return word.len < CLIENT_ERROR_WORD_MAX ? (int)word.len : CLIENT_ERROR_WORD_MAX;
}

void client__list(struct call *c);
void client__kill(struct call *c);
void client__unblock(struct call *c);
void client__pause(struct call *c);
void client__unpause(struct call *c);

#endif
