/* group.h - commands over several shards: taken apart at home, put together at home.
 *
 * Each shard concerned gets a part, all with one place in the order (run.h). The row's .apart says
 * what a part does and how the reply is made:
 *
 *   SUM, OK, EACH_…, CONCAT, ANY     every part runs on its own keys; the replies are combined
 *   MADE                         every part does its work; home has made the reply
 *   LEND                             every part holds its slots and lends them to the runner
 *
 * The head op and what it refers to lie in the memory of one run of the group. Owner: home.
 */
#ifndef ASHLAR_SHARDS_GROUP_H
#define ASHLAR_SHARDS_GROUP_H

#include "shards/shard.h"

/* A head with room for so many parts, in the memory of a run; not yet in the connection's order. */
struct group *group_new(struct shard *s, struct conn *conn, const struct command *cmd,
                        const struct slice *argv, uint32_t argc, struct run *memory,
                        uint32_t nparts);
void group_by_keys(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc, const struct key *keys,
                   uint32_t nkeys);
/* A command that may touch keys which it does not name: all shards lend themselves whole. */
void group_lend_all(struct shard *s, struct conn *conn, const struct command *cmd,
                    const struct slice *argv, uint32_t argc, const struct key *keys,
                    uint32_t nkeys);
void group_on_all(struct shard *s, struct conn *conn, const struct command *cmd,
                  const struct slice *argv, uint32_t argc);
/* All parts are back: takes their replies out of their runs and writes the group's. */
void group_reply(struct group *group, struct reply *out);
/* The same when nobody wants to read it. */
void group_discard(struct group *group);

#endif
