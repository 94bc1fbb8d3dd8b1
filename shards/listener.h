/* listener.h - the acceptor: listening sockets, the limit of clients, protected mode, and the
 * choice of a home for each connection. It runs on shard 0; a connection's fd travels to its home
 * by a note. */
#ifndef ASHLAR_SHARDS_LISTENER_H
#define ASHLAR_SHARDS_LISTENER_H

#include "shards/shard.h"

struct listeners;

/* Binds all addresses of the configuration, before the shards start, and sets listen_port. Logs
 * failures as Redis words them; NULL when the server cannot start. */
struct listeners *listeners_open(const struct config *config, struct server *server);
/* Shard 0: begins to accept. */
void listeners_start(struct listeners *l, struct shard *shard);
/* Shard 0: listens on fresh's port and addresses instead of old's; false when they cannot be had,
 * and then all is as it was (the log says why). */
bool listeners_change(struct listeners *l, struct shard *shard, const struct config *old,
                      const struct config *fresh);
void listeners_close(struct listeners *l);
/* Handler of io/. */
void listener_accepted(struct io_listener *l, int fd);

#endif
