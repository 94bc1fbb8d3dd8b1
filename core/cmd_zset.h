/* cmd_zset.h - what the files of the sorted set commands share: cmd_zset.c (members),
 * cmd_zset_range.c (ranges), cmd_zset_take.c (popping, random members, ZSCAN), cmd_zset_combine.c
 * (unions and the like); the rows are in cmd_zset_table.c.
 *
 * Private to core/. Thread contract of command.h. */
#ifndef ASHLAR_CORE_CMD_ZSET_H
#define ASHLAR_CORE_CMD_ZSET_H

#include "core/command.h"
#include "core/zset.h"

/* --- shared --- */
/* Writes a changed value back to its entry; deletes the key when it is empty and returns true. Without
 * an entry the value, which is not empty, becomes that of a new key. */
bool zset__put_back(struct call *c, const struct key *k, struct entry *e, const struct zset *z);
/* The key has lost n pairs: signals, posts the event, and "del" if the key is gone. */
void zset__lost(struct call *c, const struct key *k, const char *event, uint64_t n, bool gone);
/* Stores a result (taken over) under a key, whatever was there; an empty one deletes the key.
 * Replies the number of pairs. */
void zset__store(struct call *c, const struct key *k, const char *event, struct zset *z);
/* A pair as an element of a reply of pairs: flat in RESP2, an array of two in RESP3. */
void zset__reply_pair(struct call *c, struct slice name, double score);
/* The header of n elements, with or without scores. */
void zset__reply_header(struct call *c, uint64_t n, bool scores);

/* --- ranges: from bounds to ranks --- */
struct zset_range {
    uint64_t from, to; /* [from, to) */
};
struct zset_limits {
    struct zset_bound min, max; /* what lies before max is in */
    bool no_min, no_max;        /* "-" and "+", -inf and +inf */
    bool none;                  /* "+" as min or "-" as max: nothing */
};
/* Bounds by score or by name from argv; replies the error and returns false when they are none. */
bool zset__parse_scores(struct call *c, uint32_t min, uint32_t max, struct zset_limits *out);
bool zset__parse_names(struct call *c, uint32_t min, uint32_t max, struct zset_limits *out);
struct zset_range zset__range_of(const struct zset *z, const struct zset_limits *limits);
/* Ranks as ZRANGE counts them: negative from the end. */
struct zset_range zset__range_of_ranks(const struct zset *z, int64_t start, int64_t stop);

/* --- commands --- */
command_run zset__zadd, zset__zincrby, zset__zrem, zset__zcard, zset__zscore, zset__zmscore;
command_run zset__zrank, zset__zrevrank;
command_run zset__zcount, zset__zlexcount, zset__zrange, zset__zrangestore, zset__zrevrange;
command_run zset__zrangebyscore, zset__zrevrangebyscore, zset__zrangebylex, zset__zrevrangebylex;
command_run zset__zremrangebyrank, zset__zremrangebyscore, zset__zremrangebylex;
command_run zset__bzpopmin, zset__bzpopmax, zset__bzmpop;
command_run zset__zpopmin, zset__zpopmax, zset__zmpop, zset__zrandmember, zset__zscan;
command_run zset__zunion, zset__zinter, zset__zdiff, zset__zintercard;
command_run zset__zunionstore, zset__zinterstore, zset__zdiffstore;

#endif
