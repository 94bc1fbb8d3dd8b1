/* touch.c - see touch.h. */
#include "shards/touch.h"
#include "core/mem.h"
#include "shards/blocked.h"
#include "shards/shard.h"
#include "shards/tracking.h"
#include "shards/watch.h"
#include <string.h>

struct touched_note {
    struct touched_note *next;
    enum touch_kind kind;
    int db, other;
    uint64_t client;
    struct key key; /* its bytes follow */
    char bytes[];
};

/* --- who waits ------------------------------------------------------------------------------- */

void touch_key(struct shard *s, int db, const struct key *k, uint64_t client)
{
    tracking_key(s, k, client);
    watch_touched(s, db, k);
    blocked_touch(s, db, k);
}

void touch_ready(struct shard *s, int db, const struct key *k)
{
    blocked_touch(s, db, k);
}

void touch_flush(struct shard *s, int db, uint64_t client)
{
    tracking_flush(s, client);
    watch_flushing(s, db);
    blocked_touch_db(s, db);
}

void touch_swap(struct shard *s, int a, int b, uint64_t client)
{
    (void)client;
    watch_swapping(s, a, b);
    blocked_touch_db(s, a);
    blocked_touch_db(s, b);
}

/* --- the owner's own changes ------------------------------------------------------------------ */

/* The connection whose command runs on this thread. */
static uint64_t client_now(void)
{
    const struct op *op = shard_self->executing;
    return op != NULL ? op->run->conn->id : 0;
}

static void own_modified(struct keyspace *ks, int db, const struct key *k)
{
    struct shard *s = ks->hooks.ctx;
    if (s->interests > 0) { /* I2 */
        touch_key(s, db, k, client_now());
    }
}

static void own_ready(struct keyspace *ks, int db, const struct key *k)
{
    struct shard *s = ks->hooks.ctx;
    if (s->interests > 0) {
        touch_ready(s, db, k);
    }
}

static void own_flushing(struct keyspace *ks, int db)
{
    struct shard *s = ks->hooks.ctx;
    if (s->interests > 0) {
        touch_flush(s, db, client_now());
    }
}

static void own_swapping(struct keyspace *ks, int a, int b)
{
    struct shard *s = ks->hooks.ctx;
    if (s->interests > 0) {
        touch_swap(s, a, b, client_now());
    }
}

void touch_attach(struct shard *s)
{
    s->keyspace->hooks.modified = own_modified;
    s->keyspace->hooks.ready = own_ready;
    s->keyspace->hooks.flushing = own_flushing;
    s->keyspace->hooks.swapping = own_swapping;
    s->keyspace->hooks.ctx = s;
}

/* --- a borrower's changes --------------------------------------------------------------------- */

static struct touched_note *note_add(struct keyspace *ks, enum touch_kind kind, int db, size_t bytes)
{
    struct touched *t = ks->hooks.record;
    struct touched_note *note = mem_alloc(sizeof *note + bytes);
    *note = (struct touched_note){.kind = kind, .db = db, .client = client_now()};
    *t->last = note;
    t->last = &note->next;
    return note;
}

static void note_key(struct keyspace *ks, enum touch_kind kind, int db, const struct key *k)
{
    struct touched_note *note = note_add(ks, kind, db, k->len);
    note->key = *k;
    memcpy(note->bytes, k->ptr, k->len);
    note->key.ptr = note->bytes;
}

static void lent_modified(struct keyspace *ks, int db, const struct key *k)
{
    note_key(ks, TOUCH_KEY, db, k);
}

static void lent_ready(struct keyspace *ks, int db, const struct key *k)
{
    note_key(ks, TOUCH_READY, db, k);
}

static void lent_flushing(struct keyspace *ks, int db)
{
    note_add(ks, TOUCH_FLUSH, db, 0);
}

static void lent_swapping(struct keyspace *ks, int a, int b)
{
    note_add(ks, TOUCH_SWAP, a, 0)->other = b;
}

void touched_begin(struct touched *t, struct shard *owner, struct keyspace *ks)
{
    t->first = NULL;
    t->last = &t->first;
    bool wanted = owner->interests > 0;
    ks->hooks.modified = wanted ? lent_modified : NULL;
    ks->hooks.ready = wanted ? lent_ready : NULL;
    ks->hooks.flushing = wanted ? lent_flushing : NULL;
    ks->hooks.swapping = wanted ? lent_swapping : NULL;
    ks->hooks.record = t;
}

void touched_replay(struct touched *t, struct shard *owner)
{
    while (t->first != NULL) {
        struct touched_note *note = t->first;
        t->first = note->next;
        switch (note->kind) {
        case TOUCH_KEY:
            touch_key(owner, note->db, &note->key, note->client);
            break;
        case TOUCH_READY:
            touch_ready(owner, note->db, &note->key);
            break;
        case TOUCH_FLUSH:
            watch_changed(owner, note->db);
            touch_flush(owner, note->db, note->client);
            break;
        case TOUCH_SWAP:
            watch_changed(owner, note->db);
            watch_changed(owner, note->other);
            touch_swap(owner, note->db, note->other, note->client);
            break;
        }
        mem_free(note);
    }
    t->last = &t->first;
}
