/* tracking.c - see tracking.h: remembering, telling. CLIENT's subcommands are in cmd_tracking.c. */
#include "shards/tracking.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/num.h"
#include "shards/conn.h"
#include "shards/lookup.h"
#include "shards/push.h"
#include "shards/run.h"
#include "shards/shard.h"
#include "shards/subscribe.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    READERS_MIN = 2,
    CHANGED_MIN = 16,
    EVICT_PER_TURN = 100, /* keys forgotten for the limit in one turn */
    DROP_PER_TURN = 200,  /* keys of a flushed table freed in one turn */
    NUMBER_BYTES = 32,
};

/* A connection that has read keys here, or has prefixes. */
struct tracker {
    struct lookup_node node; /* in trackers */
    uint64_t id;
    uint16_t home;
    bool noloop;
    uint32_t refs;        /* keys, or prefixes */
    uint64_t answered_at; /* I5: number of the last command of it that has read here */
};

/* A key that somebody has read. */
struct tracked {
    struct lookup_node node; /* in keys */
    struct tracked *next, *prev;
    struct tracker **readers;
    uint32_t count, cap, len;
    char bytes[];
};

/* A key that has changed, on its way to those with a prefix of it. */
struct changed {
    char *bytes;
    uint32_t len;
    uint32_t turn;   /* the later change wins */
    uint64_t client; /* whose command it was */
};

struct bcast {
    struct bcast *next;
    struct tracker **clients;
    uint32_t count, cap;
    struct changed *changed;
    uint32_t changed_count, changed_cap;
    uint32_t len;
    char bytes[];
};

struct tracking_shard {
    struct lookup keys, trackers;
    struct tracked *first, *last; /* least lately added first: what the limit takes */
    struct tracked *dropped;      /* flushed, to be freed in slices */
    uint64_t items;               /* readers of all keys */
    struct bcast *prefixes;
    bool changed; /* some prefix has changed keys */
};

/* What a push says, before the keys in RESP. */
struct invalidation {
    uint64_t client; /* whose command it was */
    bool bcast, all;
};

struct tracking_shard *tracking_shard_new(void)
{
    return mem_alloc_zero(sizeof(struct tracking_shard));
}

static struct tracker *tracker_find(const struct tracking_shard *t, uint64_t id)
{
    struct lookup_node *n = lookup_first(&t->trackers, hash_bytes(&id, sizeof id));
    while (n != NULL && ((struct tracker *)n)->id != id) {
        n = lookup_next(n, n->hash);
    }
    return (struct tracker *)n;
}

/* Takes a reference. */
static struct tracker *tracker_of(struct tracking_shard *t, uint64_t id, uint16_t home)
{
    struct tracker *tracker = tracker_find(t, id);
    if (tracker == NULL) {
        tracker = mem_alloc(sizeof *tracker);
        *tracker = (struct tracker){.id = id, .home = home};
        lookup_insert(&t->trackers, &tracker->node, hash_bytes(&id, sizeof id));
    }
    tracker->refs++;
    return tracker;
}

static void tracker_release(struct tracking_shard *t, struct tracker *tracker)
{
    if (--tracker->refs == 0) {
        lookup_remove(&t->trackers, &tracker->node);
        mem_free(tracker);
    }
}

static void tracked_free(struct tracking_shard *t, struct tracked *k)
{
    for (uint32_t i = 0; i < k->count; i++) {
        tracker_release(t, k->readers[i]);
    }
    mem_free(k->readers);
    mem_free(k);
}

static void bcast_free(struct tracking_shard *t, struct bcast *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        tracker_release(t, b->clients[i]);
    }
    for (uint32_t i = 0; i < b->changed_count; i++) {
        mem_free(b->changed[i].bytes);
    }
    mem_free(b->changed);
    mem_free(b->clients);
    mem_free(b);
}

static void tracked_free_list(struct tracking_shard *t, struct tracked *k)
{
    while (k != NULL) {
        struct tracked *next = k->next;
        tracked_free(t, k);
        k = next;
    }
}

void tracking_shard_free(struct tracking_shard *t)
{
    tracked_free_list(t, t->first);
    tracked_free_list(t, t->dropped);
    lookup_free(&t->keys);
    while (t->prefixes != NULL) {
        struct bcast *b = t->prefixes;
        t->prefixes = b->next;
        bcast_free(t, b);
    }
    lookup_free(&t->trackers);
    mem_free(t);
}

/* --- pushes ---------------------------------------------------------------------------------- */

/* An answer to CLIENT TRACKING … REDIRECT, on the way to the connection that wants it. */
struct redirected {
    uint64_t id, from; /* connections: who is told, and who asked for it … */
    uint16_t from_home; /* … there */
    size_t len;
    char bytes[];
};

static void write_invalidate(struct conn *conn, struct slice keys)
{
    struct reply *out = &conn->out;
    if (conn->resp > 2) {
        reply_push(out, 2);
        reply_bulk_str(out, "invalidate");
    } else {
        reply_array(out, 3);
        reply_bulk_str(out, "message");
        reply_bulk_str(out, "__redis__:invalidate");
    }
    reply_raw(out, keys.ptr, keys.len);
    conn_output_ready(conn);
}

static void tell_broken(struct conn *conn)
{
    conn->tracking->flags |= TRACKING_BROKEN;
    if (conn->resp > 2) {
        conn->out.resp = conn->resp;
        reply_push(&conn->out, 2);
        reply_bulk_str(&conn->out, "tracking-redir-broken");
        reply_int(&conn->out, (int64_t)conn->tracking->redirect);
        conn_output_ready(conn);
    }
}

static void broken_arrived(struct shard *s, void *ctx)
{
    struct redirected *r = ctx;
    struct conn *conn = conn_by_id(s, r->from);
    if (conn != NULL && conn->tracking != NULL && conn->tracking->redirect == r->id) {
        tell_broken(conn);
    }
    mem_free(r);
}

static void redirected_arrived(struct shard *s, void *ctx)
{
    struct redirected *r = ctx;
    struct conn *conn = conn_by_id(s, r->id);
    if (conn == NULL || (conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY))) {
        shard_note(s, s->server->shards[r->from_home], broken_arrived, r);
        return;
    }
    if (conn->resp > 2 || conn_subscribed(conn)) {
        conn->out.resp = conn->resp;
        write_invalidate(conn, slice_of(r->bytes, r->len));
    }
    mem_free(r);
}

static void redirect(struct conn *conn, struct slice keys)
{
    const struct tracking *t = conn->tracking;
    struct shard *s = conn->shard;
    if (t->flags & TRACKING_BROKEN) {
        tell_broken(conn);
        return;
    }
    struct redirected *r = mem_alloc(sizeof *r + keys.len);
    *r = (struct redirected){.id = t->redirect, .from = conn->id, .from_home = (uint16_t)s->id,
                             .len = keys.len};
    memcpy(r->bytes, keys.ptr, keys.len);
    shard_note(s, s->server->shards[t->redirect_home], redirected_arrived, r);
}

/* At home: the connection may have changed its mind since the push left. */
static void tracking_write(const struct push *push, struct conn *conn)
{
    struct tracking *t = conn->tracking;
    struct invalidation inv;
    memcpy(&inv, push->bytes, sizeof inv);
    if (t == NULL || (!inv.all && inv.bcast != !!(t->flags & TRACKING_BCAST))) {
        return;
    }
    if ((t->flags & TRACKING_NOLOOP) && inv.client == conn->id && !inv.all && !inv.bcast) {
        return; /* of a prefix's changes the owner has left out this connection's */
    }
    struct slice keys = slice_of(push->bytes + sizeof inv, push->len - sizeof inv);
    if (inv.all) {
        if (t->flushed_at == conn->drained + 1) {
            return; /* it knows, and has been told nothing since */
        }
        t->flushed_at = conn->drained + 1;
        keys = conn->resp > 2 ? slice_str("_\r\n") : slice_str("$-1\r\n");
    }
    if (t->redirect != 0) {
        redirect(conn, keys);
    } else if (conn->resp > 2) {
        write_invalidate(conn, keys);
    }
}

static struct push *invalidation_new(struct invalidation inv, size_t keys_bytes)
{
    struct push *push = push_new(2, sizeof inv + keys_bytes);
    push->write = tracking_write;
    memcpy(push->bytes, &inv, sizeof inv);
    return push;
}

static size_t put_count(char *to, char kind, uint64_t n)
{
    size_t len = 0;
    to[len++] = kind;
    len += num_format_int(to + len, (int64_t)n);
    to[len++] = '\r';
    to[len++] = '\n';
    return len;
}

static struct push *push_of_key(const char *bytes, uint32_t len, uint64_t client)
{
    char head[2 * NUMBER_BYTES];
    size_t n = put_count(head, '*', 1);
    n += put_count(head + n, '$', len);
    struct push *push = invalidation_new((struct invalidation){.client = client}, n + len + 2);
    char *to = push->bytes + sizeof(struct invalidation);
    memcpy(to, head, n);
    memcpy(to + n, bytes, len);
    memcpy(to + n + len, "\r\n", 2);
    return push;
}

/* --- keys that were read ---------------------------------------------------------------------- */

static struct tracked *tracked_find(const struct tracking_shard *t, const char *bytes, uint32_t len,
                                    uint64_t hash)
{
    for (struct lookup_node *n = lookup_first(&t->keys, hash); n; n = lookup_next(n, hash)) {
        struct tracked *k = (struct tracked *)((char *)n - offsetof(struct tracked, node));
        if (k->len == len && memcmp(k->bytes, bytes, len) == 0) {
            return k;
        }
    }
    return NULL;
}

static struct tracked *tracked_add(struct shard *s, const struct key *key)
{
    struct tracking_shard *t = s->tracking;
    struct tracked *k = mem_alloc(sizeof *k + key->len);
    *k = (struct tracked){.prev = t->last, .len = key->len};
    memcpy(k->bytes, key->ptr, key->len);
    *(t->last != NULL ? &t->last->next : &t->first) = k;
    t->last = k;
    lookup_insert(&t->keys, &k->node, key->hash);
    s->interests++; /* I4 */
    atomic_fetch_add_explicit(&s->server->tracked_keys, 1, memory_order_relaxed);
    return k;
}

static void tracked_remove(struct shard *s, struct tracked *k)
{
    struct tracking_shard *t = s->tracking;
    *(k->prev != NULL ? &k->prev->next : &t->first) = k->next;
    *(k->next != NULL ? &k->next->prev : &t->last) = k->prev;
    lookup_remove(&t->keys, &k->node);
    s->interests--;
    atomic_fetch_sub_explicit(&s->server->tracked_keys, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->server->tracked_items, k->count, memory_order_relaxed);
    t->items -= k->count;
    tracked_free(t, k);
}

static void reader_add(struct shard *s, struct tracked *k, const struct op *op)
{
    uint64_t id = op->run->conn->id;
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->readers[i]->id == id) {
            return;
        }
    }
    if (k->count == k->cap) {
        k->cap = k->cap > 0 ? k->cap * 2 : READERS_MIN;
        k->readers = mem_realloc(k->readers, k->cap * sizeof *k->readers);
    }
    k->readers[k->count++] = tracker_of(s->tracking, id, op->run->home);
    s->tracking->items++;
    atomic_fetch_add_explicit(&s->server->tracked_items, 1, memory_order_relaxed);
}

void tracking_remember(struct shard *s, const struct op *op, const struct key *keys, uint32_t nkeys)
{
    for (uint32_t i = 0; i < nkeys && !(op->flags & OP_TRACK_BCAST); i++) {
        if (keys[i].shard == s->id) {
            struct tracked *k =
                tracked_find(s->tracking, keys[i].ptr, keys[i].len, keys[i].hash);
            reader_add(s, k != NULL ? k : tracked_add(s, &keys[i]), op);
        }
    }
    struct tracker *tracker = tracker_find(s->tracking, op->run->conn->id);
    if (tracker != NULL) {
        tracker->answered_at = (op->flags & OP_PART ? op->group->head : op)->number;
    }
}

static void tell(struct shard *s, const struct tracker *tracker, struct push *push)
{
    push_to_conn(s, tracker->home, tracker->id, push, tracker->answered_at);
}

/* Tells all who have read the key, and forgets it. */
static void tracked_invalidate(struct shard *s, struct tracked *k, uint64_t client)
{
    struct push *push = push_of_key(k->bytes, k->len, client);
    for (uint32_t i = 0; i < k->count; i++) {
        tell(s, k->readers[i], push);
    }
    push_release(push);
    tracked_remove(s, k);
}

/* --- prefixes --------------------------------------------------------------------------------- */

static void bcast_note(struct bcast *b, const struct key *k, uint64_t client)
{
    if (b->changed_count == b->changed_cap) {
        b->changed_cap = b->changed_cap > 0 ? b->changed_cap * 2 : CHANGED_MIN;
        b->changed = mem_realloc(b->changed, b->changed_cap * sizeof *b->changed);
    }
    struct changed *c = &b->changed[b->changed_count];
    *c = (struct changed){.bytes = mem_alloc(k->len > 0 ? k->len : 1), .len = k->len,
                          .turn = b->changed_count++, .client = client};
    memcpy(c->bytes, k->ptr, k->len);
}

static int compare_keys(const struct changed *a, const struct changed *b)
{
    uint32_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int compare_changed(const void *x, const void *y)
{
    const struct changed *a = x, *b = y;
    int order = compare_keys(a, b);
    return order != 0 ? order : (a->turn > b->turn) - (a->turn < b->turn);
}

/* Sorted by key, each once, with its last change. */
static void bcast_tidy(struct bcast *b)
{
    qsort(b->changed, b->changed_count, sizeof *b->changed, compare_changed);
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->changed_count; i++) {
        if (i + 1 < b->changed_count && compare_keys(&b->changed[i], &b->changed[i + 1]) == 0) {
            mem_free(b->changed[i].bytes);
        } else {
            b->changed[n++] = b->changed[i];
        }
    }
    b->changed_count = n;
}

/* All changes but those by a client (0: all changes); NULL when none is left. */
static struct push *push_of_changes(const struct bcast *b, uint64_t but)
{
    size_t bytes = NUMBER_BYTES, count = 0;
    for (uint32_t i = 0; i < b->changed_count; i++) {
        if (but == 0 || b->changed[i].client != but) {
            bytes += NUMBER_BYTES + b->changed[i].len;
            count++;
        }
    }
    if (count == 0) {
        return NULL;
    }
    struct push *push = invalidation_new((struct invalidation){.bcast = true}, bytes);
    char *start = push->bytes + sizeof(struct invalidation), *to = start;
    to += put_count(to, '*', count);
    for (uint32_t i = 0; i < b->changed_count; i++) {
        const struct changed *c = &b->changed[i];
        if (but == 0 || c->client != but) {
            to += put_count(to, '$', c->len);
            memcpy(to, c->bytes, c->len);
            to += c->len;
            memcpy(to, "\r\n", 2);
            to += 2;
        }
    }
    push->len = sizeof(struct invalidation) + (size_t)(to - start);
    return push;
}

static void bcast_send(struct shard *s, struct bcast *b)
{
    bcast_tidy(b);
    struct push *all = push_of_changes(b, 0);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct tracker *client = b->clients[i];
        struct push *push = client->noloop ? push_of_changes(b, client->id) : all;
        if (push != NULL) {
            tell(s, client, push);
        }
        if (push != NULL && push != all) {
            push_release(push);
        }
    }
    push_release(all);
    for (uint32_t i = 0; i < b->changed_count; i++) {
        mem_free(b->changed[i].bytes);
    }
    b->changed_count = 0;
}

static void bcast_add(struct shard *s, const struct tracking_prefix *p, uint64_t id, uint16_t home,
                      bool noloop)
{
    struct bcast **link = &s->tracking->prefixes;
    while (*link != NULL &&
           ((*link)->len != p->len || memcmp((*link)->bytes, p->bytes, p->len) != 0)) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        *link = mem_alloc_zero(sizeof **link + p->len);
        (*link)->len = p->len;
        memcpy((*link)->bytes, p->bytes, p->len);
        s->interests++; /* I4 */
        if (s->id == 0) {
            atomic_fetch_add_explicit(&s->server->tracked_prefixes, 1, memory_order_relaxed);
        }
    }
    struct bcast *b = *link;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->clients[i]->id == id) {
            b->clients[i]->noloop = noloop;
            return;
        }
    }
    if (b->count == b->cap) {
        b->cap = b->cap > 0 ? b->cap * 2 : READERS_MIN;
        b->clients = mem_realloc(b->clients, b->cap * sizeof *b->clients);
    }
    struct tracker *client = b->clients[b->count++] = tracker_of(s->tracking, id, home);
    client->noloop = noloop;
}

/* The client is in none of the prefixes any more. */
static void bcast_leave(struct shard *s, uint64_t id)
{
    struct bcast **link = &s->tracking->prefixes;
    while (*link != NULL) {
        struct bcast *b = *link;
        for (uint32_t i = 0; i < b->count; i++) {
            if (b->clients[i]->id == id) {
                tracker_release(s->tracking, b->clients[i]);
                b->clients[i] = b->clients[--b->count];
                break;
            }
        }
        if (b->count > 0) {
            link = &b->next;
            continue;
        }
        *link = b->next;
        bcast_free(s->tracking, b);
        s->interests--;
        if (s->id == 0) {
            atomic_fetch_sub_explicit(&s->server->tracked_prefixes, 1, memory_order_relaxed);
        }
    }
}

void tracking__join(struct shard *s, uint64_t id, uint16_t home, const struct tracking *t)
{
    for (const struct tracking_prefix *p = t->prefixes; p != NULL; p = p->next) {
        bcast_add(s, p, id, home, t->flags & TRACKING_NOLOOP);
    }
}

/* --- changes ----------------------------------------------------------------------------------- */

void tracking_key(struct shard *s, const struct key *k, uint64_t client)
{
    struct tracking_shard *t = s->tracking;
    for (struct bcast *b = t->prefixes; b != NULL; b = b->next) {
        if (b->len <= k->len && memcmp(b->bytes, k->ptr, b->len) == 0) {
            bcast_note(b, k, client);
            t->changed = true;
        }
    }
    struct tracked *tracked = tracked_find(t, k->ptr, k->len, k->hash);
    if (tracked != NULL) {
        tracked_invalidate(s, tracked, client);
    }
}

/* The table empties at once; its keys are freed in slices. */
static void drop_keys(struct shard *s)
{
    struct tracking_shard *t = s->tracking;
    s->interests -= t->keys.count;
    atomic_fetch_sub_explicit(&s->server->tracked_keys, t->keys.count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->server->tracked_items, t->items, memory_order_relaxed);
    lookup_free(&t->keys);
    t->keys = (struct lookup){0};
    t->items = 0;
    if (t->last != NULL) {
        t->last->next = t->dropped;
        t->dropped = t->first;
    }
    t->first = t->last = NULL;
}

/* Those that have read here must hear it from here (I5), all others of their home. One that hears
 * it twice with no answer in between is told once (tracking_write). */
struct flush {
    struct shard *s;
    struct push *push;
};

static void tell_flush(struct lookup_node *node, void *ctx)
{
    const struct flush *f = ctx;
    tell(f->s, (struct tracker *)node, f->push);
}

void tracking_flush(struct shard *s, uint64_t client)
{
    struct push *push = invalidation_new((struct invalidation){.client = client, .all = true}, 0);
    struct flush f = {s, push};
    lookup_each(&s->tracking->trackers, tell_flush, &f);
    for (struct conn *conn = s->conns; conn != NULL; conn = conn->next) {
        if (conn->tracking != NULL) {
            push_to_conn(s, s->id, conn->id, push, 0);
        }
    }
    push_release(push);
    drop_keys(s);
}

/* Keys above the limit are forgotten, and their readers told. */
static void keep_limit(struct shard *s)
{
    uint64_t max = (uint64_t)s->config->tracking_table_max_keys;
    for (int i = 0; i < EVICT_PER_TURN && max > 0 && s->tracking->first != NULL; i++) {
        if (atomic_load_explicit(&s->server->tracked_keys, memory_order_relaxed) <= max) {
            return;
        }
        tracked_invalidate(s, s->tracking->first, 0);
    }
}

void tracking_turn(struct shard *s)
{
    struct tracking_shard *t = s->tracking;
    if (t->changed) {
        t->changed = false;
        for (struct bcast *b = t->prefixes; b != NULL; b = b->next) {
            if (b->changed_count > 0) {
                bcast_send(s, b);
            }
        }
    }
    for (int i = 0; i < DROP_PER_TURN && t->dropped != NULL; i++) {
        struct tracked *k = t->dropped;
        t->dropped = k->next;
        tracked_free(t, k);
    }
    keep_limit(s);
}

/* --- at home ----------------------------------------------------------------------------------- */

bool tracking_wanted(const struct conn *conn)
{
    uint32_t flags = conn->tracking->flags;
    bool caching = flags & TRACKING_CACHING;
    return !(flags & TRACKING_BCAST) && !((flags & TRACKING_OPTIN) && !caching) &&
           !((flags & TRACKING_OPTOUT) && caching);
}

static void free_prefixes(struct tracking_prefix *p)
{
    while (p != NULL) {
        struct tracking_prefix *next = p->next;
        mem_free(p);
        p = next;
    }
}

static bool prefixes_have(const struct tracking_prefix *list, const struct tracking_prefix *p)
{
    while (list != NULL && (list->len != p->len || memcmp(list->bytes, p->bytes, p->len) != 0)) {
        list = list->next;
    }
    return list != NULL;
}

void tracking_start(struct conn *conn, const struct tracking *t)
{
    if (conn->tracking == NULL) {
        conn->tracking = mem_alloc_zero(sizeof *conn->tracking);
        conn->shard->interests++; /* I4 */
        atomic_fetch_add_explicit(&conn->shard->server->tracking_clients, 1, memory_order_relaxed);
    }
    struct tracking_prefix *more = t->prefixes, *before = conn->tracking->prefixes;
    size_t bytes = conn->tracking->bytes;
    *conn->tracking = *t;
    conn->tracking->prefixes = before;
    conn->tracking->bytes = bytes;
    while (more != NULL) { /* they add up */
        struct tracking_prefix *next = more->next;
        if (prefixes_have(conn->tracking->prefixes, more)) {
            mem_free(more);
        } else {
            more->next = conn->tracking->prefixes;
            conn->tracking->prefixes = more;
            conn->tracking->bytes += sizeof *more + more->len;
        }
        more = next;
    }
}

static void leave_arrived(struct shard *s, void *ctx)
{
    uint64_t *id = ctx;
    bcast_leave(s, *id);
    mem_free(id);
}

size_t tracking_memory(const struct conn *conn)
{
    return conn->tracking != NULL ? sizeof *conn->tracking + conn->tracking->bytes : 0;
}

void tracking_stop(struct conn *conn)
{
    struct tracking *t = conn->tracking;
    if (t == NULL) {
        return;
    }
    struct shard *s = conn->shard;
    for (unsigned i = 0; i < s->server->shard_count && (t->flags & TRACKING_BCAST); i++) {
        uint64_t *id = mem_alloc(sizeof *id);
        *id = conn->id;
        shard_note(s, s->server->shards[i], leave_arrived, id);
    }
    free_prefixes(t->prefixes);
    mem_free(t);
    conn->tracking = NULL;
    s->interests--;
    atomic_fetch_sub_explicit(&s->server->tracking_clients, 1, memory_order_relaxed);
}

static void target_gone_arrived(struct shard *s, void *ctx)
{
    uint64_t *id = ctx;
    for (struct conn *conn = s->conns; conn != NULL; conn = conn->next) {
        if (conn->tracking != NULL && conn->tracking->redirect == *id) {
            conn->tracking->flags |= TRACKING_BROKEN;
        }
    }
    mem_free(id);
}

void tracking_target_gone(struct shard *s, uint64_t conn_id)
{
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        uint64_t *id = mem_alloc(sizeof *id);
        *id = conn_id;
        shard_note(s, s->server->shards[i], target_gone_arrived, id);
    }
}
