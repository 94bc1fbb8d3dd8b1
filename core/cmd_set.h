/* cmd_set.h - the set commands: what the files cmd_set.c and cmd_set_algebra.c run, for the rows in
 * cmd_set_table.c. Private to core/; thread contract of command.h. */
#ifndef ASHLAR_CORE_CMD_SET_H
#define ASHLAR_CORE_CMD_SET_H

#include "core/command.h"
#include "core/set.h"

/* cmd_set.c: one set, and SMOVE */
command_run set__sadd, set__scard, set__sismember, set__smembers, set__smismember, set__smove;
command_run set__spop, set__srandmember, set__srem, set__sscan;

/* cmd_set_algebra.c: several sets */
command_run set__sdiff, set__sdiffstore, set__sinter, set__sintercard, set__sinterstore;
command_run set__sunion, set__sunionstore;

/* After members were taken out: the entry takes the handle back, or the key goes with its last
 * member, which is told by a "del" event. */
void set__put_or_delete(struct call *c, const struct key *k, struct entry *e,
                        const struct set *s);

#endif
