/* touch.h - keys that commands change, told to those who wait for it: transactions that watch them
 * (WATCH), clients blocked on them, clients that cache them.
 *
 * Whoever waits is registered with the shard that owns the key, and the owner alone looks at its
 * registrations. A key changes on its owner's thread: then it is told at once. While slots are
 * lent, the borrower notes what it touches in the part (struct touched), and the owner goes
 * through the notes when its slots come back, before anything else runs on them:
 *
 *   owner:     command ► key_modified() ► touch_key()
 *   borrower:  command ► key_modified() ► noted ─── RELEASE ───► owner: touched_replay()
 *
 * I1  Between a change and its telling nothing else runs on the slots concerned.
 * I2  Where nobody waits (shard->interests == 0) a change costs one comparison.
 */
#ifndef ASHLAR_SHARDS_TOUCH_H
#define ASHLAR_SHARDS_TOUCH_H

#include "core/keyspace.h"
#include <stdint.h>

struct shard;

enum touch_kind { TOUCH_KEY, TOUCH_READY, TOUCH_FLUSH, TOUCH_SWAP };

/* What a borrower changed in a part's slots, oldest first. The borrower writes, then the owner. */
struct touched_note;
struct touched {
    struct touched_note *first, **last;
};

/* The owner's hooks, when its keyspace is made. */
void touch_attach(struct shard *s);
/* Owner: the hooks of a keyspace or view that is about to be lent. */
void touched_begin(struct touched *t, struct shard *owner, struct keyspace *ks);
/* Owner: tells what was noted; t is empty afterwards. The hooks are the lender's to restore. */
void touched_replay(struct touched *t, struct shard *owner);

/* Owner's thread: tells all who wait. client is the id of the connection whose command it was, 0
 * when it was nobody's (expiry). */
void touch_key(struct shard *s, int db, const struct key *k, uint64_t client);
/* Only those who are blocked on it. */
void touch_ready(struct shard *s, int db, const struct key *k);
/* A database (-1: all) is about to be emptied. */
void touch_flush(struct shard *s, int db, uint64_t client);
void touch_swap(struct shard *s, int a, int b, uint64_t client);

#endif
