/* stream.h - the stream: an append-only log of entries under growing ids.
 *
 *   stream ─► nodes   B+ tree (idtree.h) by first id ─► nodes of entries (stream_node.h)
 *          └► groups  consumer groups (stream_group.h)
 *
 * Entries are added to the last node until it is full (stream-node-max-bytes and -entries); then
 * it is put into a block of just its size. Deleting flags an entry; a node without live entries goes.
 *
 * S1  length is the number of live entries in all nodes, node_bytes the memory of all nodes.
 * S2  last_id is no smaller than the id of any live entry.
 * S3  first_id is that of the first live entry, 0-0 when there is none (payloads of others may bring
 *     another one: it counts for the lag of groups only).
 *
 * A node without live entries may exist (Redis's payloads have them), and among deleted entries ids
 * need not grow (XSETID may go back behind them): iteration looks at live entries only.
 *
 * Owner: one thread, its key's. Nothing here copies or keeps what it is given as slices. */
#ifndef ASHLAR_CORE_STREAM_H
#define ASHLAR_CORE_STREAM_H

#include "core/idtree.h"
#include "core/settings.h"
#include "core/stream_group.h"
#include "core/stream_node.h"

struct stream {
    struct idtree nodes;
    uint64_t length, entries_added;
    struct stream_id first_id, last_id, max_deleted_id;
    size_t node_bytes;
    struct stream_names groups;
};

struct stream *stream_new(void);
void stream_free(void *s);
/* A stream without entries that owns this group, which has been taken out of its own: it can be
 * freed in slices. */
struct stream *stream_of_group(struct stream_group *g);
struct stream *stream_copy(const struct stream *s);

/* As value_ops wants them (entry.h). */
bool stream_free_slice(void *s, size_t budget, uint64_t *progress);
size_t stream_free_effort(const void *s);
size_t stream_bytes(const void *s);
void stream_digest(const void *s, uint8_t digest[20]);

/* --- ids --- */
enum { STREAM_ID_CHARS = 41 };
bool stream_id_next(struct stream_id *id); /* the one behind it; false at the end */
bool stream_id_prev(struct stream_id *id);
/* "ms-seq" without terminator; returns the length. */
size_t stream_id_format(char out[STREAM_ID_CHARS], struct stream_id id);
/* The id of an entry added now. */
struct stream_id stream_next_id(const struct stream *s, int64_t now_ms);

/* --- changing --- */
/* Names and values alternate in pairs; id is above last_id, and all that is to be added less than
 * STREAM_NODE_MAX_BYTES. */
void stream_add(struct stream *s, const struct settings *settings, struct stream_id id,
                const struct slice *pairs, int64_t fields);
/* Deletes one entry; first_id and max_deleted_id are the caller's. */
bool stream_delete(struct stream *s, struct stream_id id);
/* After deletions: first_id as it is now. */
void stream_find_first(struct stream *s);

struct stream_trim {
    enum { STREAM_TRIM_NONE, STREAM_TRIM_MAXLEN, STREAM_TRIM_MINID } strategy;
    bool approx;    /* whole nodes only */
    int64_t limit;  /* entries to delete at most; 0: all that there are */
    int64_t maxlen;
    struct stream_id minid;
};
/* Returns how many entries it has deleted. */
int64_t stream_trim(struct stream *s, const struct stream_trim *trim);

/* --- reading --- */
struct stream_iter {
    struct idtree_at at;
    const struct stream_node *node;
    struct stream_id node_id, from, to;
    const uint8_t *next;    /* entry to be looked at; NULL: that of another node */
    const uint8_t *fields;  /* the master's */
    int64_t master_fields;
    bool reverse;

    struct snode_entry entry; /* the one found */
    const uint8_t *field_, *value_; /* its next pair */
};
/* Live entries from … to, both included, backwards if reverse. */
void stream_iter_init(struct stream_iter *it, const struct stream *s, struct stream_id from,
                      struct stream_id to, bool reverse);
bool stream_iter_next(struct stream_iter *it);
/* The next pair of the entry: to be called entry.fields times. Numbers are printed into buf. */
void stream_iter_pair(struct stream_iter *it, struct slice pair[2], char buf[2][NUM_INT_CHARS]);

bool stream_has(const struct stream *s, struct stream_id id);
/* The last live entry's id; 0-0 when there is none. */
struct stream_id stream_last_live(const struct stream *s);

/* --- groups: how far they are --- */
bool stream_has_tombstones(const struct stream *s, struct stream_id from);
/* How many entries were added up to this one; STREAM_READ_UNKNOWN when that cannot be told. */
int64_t stream_entries_until(const struct stream *s, struct stream_id id);
/* Entries that the group has not read yet; false when that cannot be told. */
bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag);
/* The group has been given the entry id, which lies behind all it had. */
void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id);

#endif
