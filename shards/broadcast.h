/* broadcast.h - functions that run on other shards: notes, broadcasts, and the barrier commands
 * that use them. The public part is in shard.h; this is for the shard's loop. */
#ifndef ASHLAR_SHARDS_BROADCAST_H
#define ASHLAR_SHARDS_BROADCAST_H

#include "shards/shard.h"

/* Runs a barrier command that is first in its connection's order. */
void broadcast_run(struct shard *s, struct conn *conn, struct op *op);

#endif
