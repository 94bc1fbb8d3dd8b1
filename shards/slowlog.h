/* slowlog.h - the slow log: commands that took longer than slowlog-log-slower-than.
 *
 * Each shard keeps the entries of the connections at home on it, newest first, in a ring of at
 * most slowlog-max-len entries; ids come from one counter of the server, so the logs of all shards
 * merge by id into one (SLOWLOG GET, cmd_slowlog.c), of which the newest slowlog-max-len count.
 *
 * An entry never changes once it is made and is counted by reference (atomic), so that the shard
 * that answers SLOWLOG GET can read entries which their own shard drops meanwhile.
 *
 * Thread: the shard's own, except slowlog_entry_release(): any.
 *
 * I1  Ids of one shard's ring grow strictly from oldest to newest.
 * I2  count <= cap, and cap is the limit in force at the last push.
 */
#ifndef ASHLAR_SHARDS_SLOWLOG_H
#define ASHLAR_SHARDS_SLOWLOG_H

#include "core/command.h"
#include <stdatomic.h>
#include <stdint.h>

enum {
    SLOWLOG_ARGS_MAX = 32,          /* arguments kept; the last one says how many there were more */
    SLOWLOG_ARG_BYTES_MAX = 128,    /* bytes kept of each */
    SLOWLOG_LEN_MAX = 1024 * 1024,  /* entries of one shard, whatever the configuration says */
};

struct slowlog_entry {
    _Atomic uint32_t refs;
    uint32_t argc;
    uint64_t id;
    int64_t unix_s;
    uint64_t duration_us;
    struct slice peer, name;
    struct slice argv[]; /* their bytes lie behind it, in the same allocation */
};

struct slowlog {
    struct slowlog_entry **ring; /* cap of them; the oldest at (next - count) */
    uint32_t cap, count, next;
};

struct slowlog *slowlog_new(void);
void slowlog_free(struct slowlog *log);
void slowlog_reset(struct slowlog *log);

/* An entry with one reference. cmd says which arguments are secret. */
struct slowlog_entry *slowlog_entry_new(uint64_t id, int64_t unix_s, uint64_t duration_us,
                                        const struct command *cmd, const struct slice *argv,
                                        uint32_t argc, struct slice peer, struct slice name);
void slowlog_entry_release(struct slowlog_entry *e);
/* Takes over the reference; drops what is older than the newest len_max entries. */
void slowlog_push(struct slowlog *log, struct slowlog_entry *e, int64_t len_max);
/* Takes references of up to max entries, newest first; returns how many. */
uint32_t slowlog_take(const struct slowlog *log, struct slowlog_entry **out, uint32_t max);

struct shard;
struct conn;
/* Notes a command of a connection at home here, if it was slow enough to be logged at all. */
void slowlog_consider(struct shard *shard, struct conn *conn, const struct command *cmd,
                      const struct slice *argv, uint32_t argc, uint64_t duration_us);

#endif
