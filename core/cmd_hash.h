/* cmd_hash.h - the hash commands among themselves: what the files cmd_hash*.c share, and the
 * functions that the table (cmd_hash_table.c) names.
 *
 * A command that changes a hash opens it, works on the handle, and closes it:
 *
 *     struct hash_open o;
 *     if (!hash__open_write(c, &o)) { return; }        replied WRONGTYPE
 *     hash_value_put(&o.value, …);
 *     hash__close(c, &o, "hset", 1);                   stores, tells the others
 *
 * Expired fields are invisible to every command. Opening for writing deletes some of those that
 * are due (HASH_PURGE_FIELDS), posts "hexpired", and the key itself goes when nothing is left. */
#ifndef ASHLAR_CORE_CMD_HASH_H
#define ASHLAR_CORE_CMD_HASH_H

#include "core/command.h"
#include "core/hash_value.h"

enum { HASH_PURGE_FIELDS = 512 }; /* looked at by one write command */

struct hash_open {
    struct entry *e;         /* NULL: no such key */
    struct hash_value value; /* object NULL: no such key, and nothing put yet */
};

/* The moment that decides which fields have expired. To a master's commands none has: the master
 * itself says what goes. */
static inline int64_t hash__now(const struct call *c)
{
    return c->flags & CALL_FROM_MASTER ? HASH_SEE_ALL : c->now_ms;
}

/* The hash at the command's key, object NULL if there is none; false when it is of another type
 * (replied). */
bool hash__open_read(struct call *c, struct hash_value *h);
bool hash__open_write(struct call *c, struct hash_open *o);
/* Gives the hash back to its key. With changes: counts them and posts event. A hash that is empty
 * goes. */
void hash__close(struct call *c, struct hash_open *o, const char *event, uint64_t changes);
/* A field's value as a bulk, or null. */
void hash__reply_value(struct call *c, const struct hash_value *h, struct slice field);

/* cmd_hash.c */
command_run hash__hdel, hash__hexists, hash__hget, hash__hincrby, hash__hincrbyfloat, hash__hlen;
command_run hash__hmget, hash__hmset, hash__hset, hash__hsetnx, hash__hstrlen;

/* cmd_hash_walk.c */
command_run hash__hgetall, hash__hkeys, hash__hrandfield, hash__hscan, hash__hvals;

/* cmd_hash_expire.c */
command_run hash__hexpire, hash__hexpireat, hash__hexpiretime, hash__hgetdel, hash__hgetex;
command_run hash__hpersist, hash__hpexpire, hash__hpexpireat, hash__hpexpiretime, hash__hpttl;
command_run hash__hsetex, hash__httl;

#endif
