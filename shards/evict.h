/* evict.h - maxmemory: who refuses, who evicts, and when.
 *
 * The limit is on the memory of the whole server. Every shard knows about how much that is: its own
 * count as it is, and that of the others as it was when its turn began.
 *
 *   home       command that may need memory ─► evict_refuses(): only when nothing can be done
 *   executing  before it runs ─► evict_before(): its share of what is too much ─┐ asks the others,
 *   any        background     ─► evict_slice():  its share of what is too much ─┘ who may sleep
 *
 * A shard's share is that of the keys which the policy may take: so each evicts at the rate at which
 * it holds keys, wherever writes go. Once above the limit, all of them together go on until memory is
 * a margin below it (evict_server.lowering): within the margin a write need not wait for the others.
 * Where that does not do, the shard that writes evicts of its own what is too much, up to the margin,
 * and what it has grown by; unless it holds less than its part of the keys (its memory may be the
 * input of its connections): then the others come first, or it would run out of cold keys.
 * A single shard has no margin.
 *
 * An eviction is no command: it happens between two commands on its shard, and has a place there in
 * the one order like an expiry.
 *
 * I1  Nothing is evicted while a command runs (a script may let its shard serve others), from
 *     slots that are lent, nor from those of a transaction that has stopped
 *     in the middle (exec.h I4).
 * I2  What is being freed in slices counts as used, but will not be: nothing is refused because of
 *     it, and nothing is evicted by a shard that still frees.
 * I3  server->evict.futile: everything that can be evicted was, and it was not enough. Set when a
 *     write finds it so, until memory is below the limit, or something can be evicted again.
 *
 * Owner: functions run on the thread of the shard they are given.
 */
#ifndef ASHLAR_SHARDS_EVICT_H
#define ASHLAR_SHARDS_EVICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct run;
struct shard;

/* A shard's. */
struct evict {
    int64_t others_bytes;           /* counted by other threads, when the turn began */
    int64_t floor_bytes;            /* own count after the last eviction */
    uint64_t rest_until_ns;         /* its share is done: the others may do theirs until then */
    uint64_t told_turn;             /* the last turn in which evictions were told to clients */
    /* its own thread writes, others read relaxed */
    _Atomic int64_t evictable_keys; /* keyspace_evictable(), some moments ago */
    _Atomic bool freeing;           /* values are being freed in slices */
    _Atomic bool asked;             /* any shard sets: it has been asked to evict; itself clears */
};

/* The server's; any shard writes. */
struct evict_server {
    _Atomic bool futile;                /* I3 */
    _Atomic bool lowering;              /* the limit was exceeded, and the margin is not there yet */
    _Atomic uint64_t exceeded_since_ns; /* more than the limit is used since; 0: it is not */
    _Atomic uint64_t exceeded_ns;       /* for how long it was, before that */
};

/* The turn begins: looks at how much is used. */
void evict_look(struct shard *s);
/* What commands did is about to be seen by others: so is what may be evicted now. */
void evict_publish(struct shard *s);
/* Home: whether a command that may need memory is refused. */
bool evict_refuses(const struct shard *s);
/* Executing shard, between commands: makes room before one that may need memory. */
void evict_before(struct shard *s);
/* The configuration has changed: what a lower limit asks for begins at once. */
void evict_configured(struct shard *s);
/* Background. True when there is more to do at once. */
bool evict_slice(struct shard *s);
/* INFO: how long memory was above the limit, in all and this time; ms. Any thread. */
void evict_exceeded_mp(const struct shard *any, uint64_t *total_ms, uint64_t *current_ms);
/* CONFIG RESETSTAT. */
void evict_reset(struct shard *s);

#endif
