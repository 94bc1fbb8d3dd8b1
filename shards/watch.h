/* watch.h - WATCH: keys whose change makes the next EXEC do nothing. */
#ifndef ASHLAR_SHARDS_WATCH_H
#define ASHLAR_SHARDS_WATCH_H

#include "core/command.h"
#include "shards/shard.h"

command_run watch_run_unwatch;
static inline bool watch_dirty(const struct conn *conn)
{
    (void)conn;
    return false;
}
static inline void watch_end(struct conn *conn)
{
    (void)conn;
}
static inline size_t watch_memory(const struct conn *conn)
{
    (void)conn;
    return 0;
}

#endif
