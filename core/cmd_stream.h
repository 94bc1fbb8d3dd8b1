/* cmd_stream.h - what the files of the stream commands share. Private to core/cmd_stream*.c.
 *
 * Changes of groups alone (acknowledging, claiming, reading) count as changes but do not tell
 * watchers: nothing that they could have read has changed. That is how Redis has it. */
#ifndef ASHLAR_CORE_CMD_STREAM_H
#define ASHLAR_CORE_CMD_STREAM_H

#include "core/command.h"
#include "core/stream.h"

/* The stream of a key, NULL when the key is absent or (replied to, *bad) of another type. */
struct stream *stream__read(struct call *c, const struct key *k, bool *bad);
struct stream *stream__write(struct call *c, const struct key *k, bool *bad);

/* --- ids as arguments --- */
/* "ms" or "ms-seq"; "-" and "+" unless strict; with seq_given also "ms-*". */
bool stream__parse_id(struct slice arg, uint64_t missing_seq, bool strict, struct stream_id *id,
                      bool *seq_given);
/* As above, strictly, of argv[i]; replies when it is none. */
bool stream__arg_id(struct call *c, uint32_t i, struct stream_id *id);
/* The ids argv[from] … argv[to - 1], in memory for the caller to free; NULL when it has replied. */
struct stream_id *stream__arg_ids(struct call *c, uint32_t from, uint32_t to);
/* Bounds of an interval: "(id" leaves the id out. */
bool stream__arg_start(struct call *c, uint32_t i, struct stream_id *id);
bool stream__arg_end(struct call *c, uint32_t i, struct stream_id *id);
void stream__error_id(struct call *c);

/* --- replies --- */
void stream__reply_id(struct reply *out, struct stream_id id);
/* The entry that an iterator has found: its id, its fields and values. */
void stream__reply_entry(struct reply *out, struct stream_iter *it);
/* The entry of this id; false (nothing written) when there is none. */
bool stream__reply_one(struct reply *out, const struct stream *s, struct stream_id id);

/* The group argv[i] of a stream that may be NULL. */
struct stream_group *stream__group(const struct stream *s, struct slice name);
/* A consumer that tries something now; made when there is none. */
struct stream_consumer *stream__consumer(struct call *c, const struct key *k,
                                         struct stream_group *g, struct slice name);

/* Groups have changed, so many times. */
static inline void stream__groups_changed(struct call *c, const struct key *k, uint64_t changes)
{
    c->dirty += changes;
    call_keyspace(c, k)->dirty += changes;
}

/* cmd_stream.c */
void stream__xadd(struct call *c);
void stream__xdel(struct call *c);
void stream__xlen(struct call *c);
void stream__xrange(struct call *c);
void stream__xrevrange(struct call *c);
void stream__xsetid(struct call *c);
void stream__xtrim(struct call *c);

/* cmd_stream_read.c */
void stream__xread(struct call *c);
void stream__xreadgroup(struct call *c);
command_find_keys stream__xread_keys;
bool stream__xread_may_wait(const struct slice *argv, uint32_t argc); /* has BLOCK */

/* cmd_stream_group.c */
void stream__xgroup_create(struct call *c);
void stream__xgroup_setid(struct call *c);
void stream__xgroup_destroy(struct call *c);
void stream__xgroup_createconsumer(struct call *c);
void stream__xgroup_delconsumer(struct call *c);
void stream__xgroup_help(struct call *c);

/* cmd_stream_pending.c */
void stream__xack(struct call *c);
void stream__xpending(struct call *c);
void stream__xclaim(struct call *c);
void stream__xautoclaim(struct call *c);

/* cmd_stream_info.c */
void stream__xinfo_stream(struct call *c);
void stream__xinfo_groups(struct call *c);
void stream__xinfo_consumers(struct call *c);
void stream__xinfo_help(struct call *c);

#endif
