/* stream_group.h - consumer groups of a stream: who has been given which entries.
 *
 *   group ─► pel       ids pending in the group ──► nack (when, how often, to whom)
 *         └► consumers by name ─► pel               ──► the same nack
 *
 * G1  A nack stands in the group's pel and in that of its consumer, under the same id.
 *
 * Groups and consumers are kept in arrays ordered by name (bytes), as they are listed and saved.
 * Adding one moves those behind it: eight bytes each.
 *
 * Owner: one thread, the stream's. */
#ifndef ASHLAR_CORE_STREAM_GROUP_H
#define ASHLAR_CORE_STREAM_GROUP_H

#include "core/idtree.h"
#include "proto/slice.h"

/* Things ordered by name; each begins with its name. */
struct stream_named {
    struct slice name; /* bytes behind the thing, in the same block */
};

struct stream_names {
    void **items;
    uint32_t count, cap;
};

#define STREAM_READ_UNKNOWN INT64_C(-1)
#define STREAM_NEVER_ACTIVE INT64_C(-1)

struct stream_consumer {
    struct stream_named named;
    int64_t seen_ms;   /* last time it tried to read or claim */
    int64_t active_ms; /* last time it got something; STREAM_NEVER_ACTIVE */
    struct idtree pel;
};

struct stream_nack {
    int64_t delivered_ms;
    uint64_t deliveries;
    struct stream_consumer *consumer; /* NULL only while a payload is being loaded */
};

struct stream_group {
    struct stream_named named;
    struct stream_id last_id;
    int64_t entries_read; /* STREAM_READ_UNKNOWN */
    struct idtree pel;
    struct stream_names consumers;
};

/* The thing of this name or NULL; *at (may be NULL) is its place or where it belongs. */
void *stream_names_find(const struct stream_names *names, struct slice name, uint32_t *at);

/* --- consumers --- */
struct stream_consumer *stream_group_consumer(const struct stream_group *g, struct slice name);
/* NULL when there is one of that name. */
struct stream_consumer *stream_group_add_consumer(struct stream_group *g, struct slice name,
                                                  int64_t now_ms);
/* With all that is pending for it. */
void stream_group_remove_consumer(struct stream_group *g, struct stream_consumer *consumer);

/* --- pending entries --- */
/* Makes the entry pending for this consumer, whoever had it: delivered once, now. */
void stream_group_deliver(struct stream_group *g, struct stream_consumer *consumer,
                          struct stream_id id, int64_t now_ms);
/* A new nack under an id that is not pending, without a consumer yet: see stream_nack_assign(). */
struct stream_nack *stream_group_add_nack(struct stream_group *g, struct stream_id id);
/* Gives a nack to another consumer. */
void stream_nack_assign(struct stream_nack *nack, struct stream_id id,
                        struct stream_consumer *consumer);
/* The entry is no longer pending; false when it was not. */
bool stream_group_forget(struct stream_group *g, struct stream_id id);

/* --- groups (stream.h has the functions by stream) --- */
struct stream_group *stream_groups_add(struct stream_names *groups, struct slice name,
                                       struct stream_id last_id, int64_t entries_read);
/* Puts a group that has been taken out into another array. */
void stream_groups_put(struct stream_names *groups, struct stream_group *g);
/* Takes a group out of the array; it is the caller's. */
void stream_groups_take(struct stream_names *groups, struct stream_group *g);
/* Frees about *budget pending entries, counting it down; true when the group is gone. */
bool stream_group_free_slice(struct stream_group *g, size_t *budget);
size_t stream_group_bytes(const struct stream_group *g);
/* A copy, added to another stream's groups. */
void stream_group_copy(struct stream_names *to, const struct stream_group *g);

#endif
