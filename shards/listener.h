/* listener.h - the acceptor: listening sockets, the limit of clients, protected mode, and the
 * choice of a home for each connection. It runs on shard 0; a connection's fd travels to its home
 * by a note. */
#ifndef ASHLAR_SHARDS_LISTENER_H
#define ASHLAR_SHARDS_LISTENER_H

#include "shards/shard.h"

struct listeners;

/* Binds all addresses of the configuration, before the shards start. Logs failures as Redis words
 * them; NULL when the server cannot start. */
struct listeners *listeners_open(const struct config *config, int *bound_port);
/* Shard 0: begins to accept. */
void listeners_start(struct listeners *l, struct shard *shard);
void listeners_close(struct listeners *l);
/* Handler of io/. */
void listener_accepted(struct io_listener *l, int fd);

#endif
