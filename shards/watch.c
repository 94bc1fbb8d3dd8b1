/* watch.c - see watch.h. */
#include "shards/watch.h"
#include "shards/group.h"
#include "shards/route.h"
#include "shards/sim_point.h"
#include <assert.h>
#include <stddef.h>

struct watched {
    struct lookup_node node; /* in the shard's watched table, by the key's hash and the database */
    int db;
    struct key key;          /* .ptr is bytes */
    struct watcher *first;
    char bytes[];
};

/* --- counting -------------------------------------------------------------------------------- */

static void watch_hold(struct watch *w, uint32_t count)
{
    atomic_fetch_add_explicit(&w->refs, count, memory_order_relaxed);
}

static void watch_release(struct watch *w)
{
    if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    while (w->watchers != NULL) {
        struct watcher *watcher = w->watchers;
        w->watchers = watcher->next;
        mem_free(watcher);
    }
    mem_free(w);
}

static void make_dirty(struct watch *w)
{
    atomic_store_explicit(&w->dirty, true, memory_order_release);
}

/* --- the owner's registrations ---------------------------------------------------------------- */

static uint64_t watched_hash(int db, const struct key *k)
{
    return k->hash + (uint64_t)db * 0x9e3779b97f4a7c15u;
}

static struct watched *watched_find(const struct shard *s, int db, const struct key *k)
{
    uint64_t hash = watched_hash(db, k);
    struct lookup_node *node = lookup_first(&s->watched, hash);
    for (; node != NULL; node = lookup_next(node, hash)) {
        struct watched *w = (struct watched *)((char *)node - offsetof(struct watched, node));
        if (w->db == db && w->key.len == k->len && memcmp(w->bytes, k->ptr, k->len) == 0) {
            return w;
        }
    }
    return NULL;
}

static struct watched *watched_new(struct shard *s, int db, const struct key *k)
{
    struct watched *w = mem_alloc(sizeof *w + k->len);
    *w = (struct watched){.db = db, .key = *k};
    memcpy(w->bytes, k->ptr, k->len);
    w->key.ptr = w->bytes;
    lookup_insert(&s->watched, &w->node, watched_hash(db, k));
    return w;
}

static void watcher_register(struct shard *s, struct watcher *watcher)
{
    struct watch_part *part = &watcher->watch->parts[s->id];
    struct watched *w = watched_find(s, watcher->db, &watcher->key);
    if (w == NULL) {
        w = watched_new(s, watcher->db, &watcher->key);
    }
    watcher->part_next = part->first;
    part->first = watcher;
    watcher->watched = w;
    watcher->key_prev = NULL;
    watcher->key_next = w->first;
    if (w->first != NULL) {
        w->first->key_prev = watcher;
    }
    w->first = watcher;
    s->interests++; /* I3 */
}

/* The watcher's count is not given back yet. */
static void watcher_unlink(struct shard *s, struct watcher *watcher)
{
    struct watched *w = watcher->watched;
    if (watcher->key_prev != NULL) {
        watcher->key_prev->key_next = watcher->key_next;
    } else {
        w->first = watcher->key_next;
    }
    if (watcher->key_next != NULL) {
        watcher->key_next->key_prev = watcher->key_prev;
    }
    watcher->watched = NULL;
    s->interests--;
    if (w->first == NULL) {
        lookup_remove(&s->watched, &w->node);
        mem_free(w);
    }
}

/* The caller has a count of its own, so the watch stays. */
static void watch_forget(struct shard *s, struct watch *w)
{
    struct watcher *watcher = w->parts[s->id].first;
    w->parts[s->id].first = NULL;
    while (watcher != NULL) {
        struct watcher *next = watcher->part_next;
        if (watcher->watched != NULL) {
            watcher_unlink(s, watcher);
            watch_release(w);
        }
        watcher = next;
    }
}

static bool entry_expired(const struct shard *s, const struct entry *e)
{
    return (e->flags & ENTRY_EXPIRES) && s->now_ms > entry_expiry_ms(e);
}

static bool key_expired(const struct shard *s, int db, const struct key *k)
{
    const struct entry *e = keyspace_find(s->keyspace, db, k);
    return e != NULL && entry_expired(s, e);
}

void watch_touched(struct shard *s, int db, const struct key *k)
{
    struct watched *w = watched_find(s, db, k);
    if (w == NULL) {
        return;
    }
    bool absent = keyspace_find(s->keyspace, db, k) == NULL;
    struct watcher *next;
    for (struct watcher *watcher = w->first; watcher != NULL; watcher = next) {
        next = watcher->key_next;
        if (watcher->expired) {
            watcher->expired = !absent; /* what was gone is gone for good: nothing has changed */
            continue;
        }
        struct watch *watch = watcher->watch;
        make_dirty(watch);
        watcher_unlink(s, watcher); /* frees w with the last one; its memory is the watch's */
        watch_release(watch);
    }
}

/* --- whole databases --- */

struct replaced {
    struct shard *shard;
    int db, by; /* by: the database that takes its place; -1: none, it is emptied */
    bool unknown;
};

/* The table must not change here: watchers stay registered. */
static void visit_replaced(struct lookup_node *node, void *ctx)
{
    struct watched *w = (struct watched *)((char *)node - offsetof(struct watched, node));
    const struct replaced *r = ctx;
    struct shard *s = r->shard;
    if (r->db != -1 && w->db != r->db) {
        return;
    }
    const struct entry *now = NULL, *then = NULL;
    if (!r->unknown) {
        now = keyspace_find(s->keyspace, w->db, &w->key);
        then = r->by >= 0 ? keyspace_find(s->keyspace, r->by, &w->key) : NULL;
        if (now == NULL && then == NULL) {
            return;
        }
    }
    bool then_expired = then != NULL && entry_expired(s, then);
    for (struct watcher *watcher = w->first; watcher != NULL; watcher = watcher->key_next) {
        if (watcher->expired && !r->unknown && (then == NULL || then_expired)) {
            watcher->expired = then != NULL; /* absent before and after */
        } else if (now == NULL && then_expired) {
            watcher->expired = true; /* still absent */
        } else {
            make_dirty(watcher->watch);
        }
    }
}

void watch_flushing(struct shard *s, int db)
{
    struct replaced r = {.shard = s, .db = db, .by = -1};
    lookup_each(&s->watched, visit_replaced, &r);
}

void watch_swapping(struct shard *s, int a, int b)
{
    struct replaced first = {.shard = s, .db = a, .by = b}, second = {.shard = s, .db = b, .by = a};
    lookup_each(&s->watched, visit_replaced, &first);
    lookup_each(&s->watched, visit_replaced, &second);
}

void watch_changed(struct shard *s, int db)
{
    struct replaced r = {.shard = s, .db = db, .by = -1, .unknown = true};
    lookup_each(&s->watched, visit_replaced, &r);
}

/* --- home ------------------------------------------------------------------------------------ */

bool watch_dirty(const struct conn *conn)
{
    return conn->watch != NULL && atomic_load_explicit(&conn->watch->dirty, memory_order_acquire);
}

uint32_t watch_count(const struct conn *conn)
{
    return conn->watch != NULL ? conn->watch->count : 0;
}

size_t watch_memory(const struct conn *conn)
{
    return conn->watch != NULL ? conn->watch->bytes : 0;
}

static struct watch *watch_new(const struct shard *s)
{
    size_t bytes = sizeof(struct watch) + s->server->shard_count * sizeof(struct watch_part);
    struct watch *w = mem_alloc_zero(bytes);
    atomic_init(&w->refs, 1);
    w->bytes = bytes;
    return w;
}

static bool watches(const struct watch *w, int db, const struct key *k)
{
    for (const struct watcher *watcher = w->watchers; watcher != NULL; watcher = watcher->next) {
        if (watcher->db == db && watcher->key.hash == k->hash && watcher->key.len == k->len &&
            memcmp(watcher->bytes, k->ptr, k->len) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns the key as the owner will see it: its bytes are the watcher's. */
static struct key watcher_add(struct watch *w, int db, const struct key *k)
{
    struct watcher *watcher = mem_alloc(sizeof *watcher + k->len);
    *watcher = (struct watcher){.next = w->watchers, .watch = w, .key = *k, .db = db};
    memcpy(watcher->bytes, k->ptr, k->len);
    watcher->key.ptr = watcher->bytes;
    w->watchers = watcher;
    w->count++;
    w->bytes += sizeof *watcher + k->len;
    w->parts[k->shard].concerned = true;
    watch_hold(w, 1);
    return watcher->key;
}

void watch_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc)
{
    if (watch_dirty(conn)) {
        route_at_home(s, conn, cmd, argv, argc); /* it makes no difference any more */
        return;
    }
    if (conn->watch == NULL) {
        conn->watch = watch_new(s);
    }
    struct watch *w = conn->watch;
    int found = route_find_keys(s, cmd, argv, argc);
    struct key *keys = s->route->keys;
    uint32_t count = 0;
    for (int i = 0; i < found; i++) {
        if (!watches(w, conn->db, &keys[i])) {
            keys[count++] = watcher_add(w, conn->db, &keys[i]);
        }
    }
    if (count == 0) {
        route_at_home(s, conn, cmd, argv, argc);
        return;
    }
    s->route->extra = w;
    route_by_keys(s, conn, cmd, argv, argc, count);
    s->route->extra = NULL;
}

/* On a key's owner, with the watch as extra: registers. At home, without: there is nothing to do. */
void watch_run_watch(struct call *c)
{
    if (c->extra == NULL) {
        if (call_conn(c)->flags & CONN_MULTI) {
            reply_error(c->out, "ERR WATCH inside MULTI is not allowed");
        } else {
            reply_ok(c->out);
        }
        return;
    }
    struct shard *s = c->host;
    struct watch *w = c->extra;
    bool needed = !atomic_load_explicit(&w->ended, memory_order_acquire) && /* I2 */
                  !atomic_load_explicit(&w->dirty, memory_order_relaxed);
    for (uint32_t i = 0; i < c->nkeys; i++) {
        struct watcher *watcher =
            (struct watcher *)(uintptr_t)(c->keys[i].ptr - offsetof(struct watcher, bytes));
        if (needed) {
            watcher->expired = key_expired(s, watcher->db, &watcher->key);
            watcher_register(s, watcher);
        } else {
            watch_release(w);
        }
    }
    reply_ok(c->out);
}

void watch_run_unwatch(struct call *c)
{
    watch_end(call_conn(c));
    reply_ok(c->out);
}

static void note_ended(struct shard *s, void *ctx)
{
    watch_forget(s, ctx);
    watch_release(ctx);
}

void watch_end(struct conn *conn)
{
    struct watch *w = conn->watch;
    if (w == NULL) {
        return;
    }
    struct shard *s = conn->shard;
    conn->watch = NULL;
    atomic_store_explicit(&w->ended, true, memory_order_release);
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        if (!w->parts[i].concerned) {
            continue;
        }
        if (i == s->id) {
            watch_forget(s, w);
        } else {
            watch_hold(w, 1);
            shard_note(s, s->server->shards[i], note_ended, w);
        }
    }
    watch_release(w);
}

/* --- EXEC: home ------------------------------------------------------------------------------ */

struct op *watch_check_begin(struct shard *s, struct conn *conn, const struct command *cmd,
                             uint32_t commands)
{
    static const struct slice name = {"EXEC", 4};
    struct route *r = s->route;
    unsigned shards = s->server->shard_count;
    struct run *memory = route_run_to(s, conn, conn->watch->watchers->key.shard);
    struct group *group = group_new(s, conn, cmd, &name, 1, memory, shards);
    struct decision *d = run_alloc(&s->run_pool, memory, sizeof *d + shards * sizeof *d->parts);
    *d = (struct decision){.watch = conn->watch, .commands = commands, .group = group};
    struct op *head = group->head;
    head->flags |= OP_CHECK;
    head->extra = d;
    route_conn_append(conn, head);
    r->decision = d;
    watch_check_run(s, conn, memory);
    return head;
}

void watch_check_run(struct shard *s, struct conn *conn, struct run *run)
{
    struct decision *d = s->route->decision;
    struct group *group = d->group;
    struct op *op = route_op_new(s, run, conn, group->head->command, group->head->argv, 1);
    op->flags |= OP_PART | OP_CHECK;
    run->flags |= RUN_PARTS;
    op->group = group;
    struct decision_part *part = &d->parts[group->nparts];
    *part = (struct decision_part){
        .message.kind = MESSAGE_DECIDED, .decision = d, .shard = run->shard};
    op->extra = part;
    uint32_t count = 0;
    for (const struct watcher *w = d->watch->watchers; w != NULL; w = w->next) {
        count += w->key.shard == run->shard;
    }
    if (count > 0) {
        op->keys = run_alloc(&s->run_pool, run, count * sizeof *op->keys);
        for (const struct watcher *w = d->watch->watchers; w != NULL; w = w->next) {
            if (w->key.shard == run->shard) {
                op->keys[op->nkeys++] = w->key;
            }
        }
    }
    watch_hold(d->watch, 1);
    group->parts[group->nparts++] = op;
    run_append(run, op);
}

void watch_check_end(struct shard *s, struct conn *conn)
{
    struct route *r = s->route;
    struct decision *d = r->decision;
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        if (d->watch->parts[i].concerned) {
            route_run_to(s, conn, i);
        }
    }
    r->decision = NULL;
    atomic_init(&d->missing, d->group->nparts);
    d->group->missing = d->group->nparts;
    conn->watch = NULL; /* the checks put an end to it */
    watch_release(d->watch);
}

bool watch_check_reply(const struct op *head, struct reply *out)
{
    const struct decision *d = head->extra;
    if (d->skip) {
        reply_null_array(out);
    } else {
        reply_array(out, d->commands);
    }
    return d->skip;
}

/* --- EXEC: the executing shard ---------------------------------------------------------------- */

/* The place of the check in the order: what counts is what has changed before it. */
static void vote(struct shard *s, struct decision_part *mine, struct op *op)
{
    struct decision *d = mine->decision;
    struct watch *w = d->watch;
    for (const struct watcher *watcher = w->parts[s->id].first; watcher != NULL;
         watcher = watcher->part_next) {
        if (!watcher->expired && key_expired(s, watcher->db, &watcher->key)) {
            make_dirty(w);
        }
    }
    watch_forget(s, w);
    mine->voted = true;
    sched_point("vote");
    op->nkeys = 0; /* newer commands may have the watched keys now */
    if (atomic_fetch_sub_explicit(&d->missing, 1, memory_order_acq_rel) == 1) {
        sched_point("last vote");
        d->skip = atomic_load_explicit(&w->dirty, memory_order_acquire);
        sched_point("decided");
        for (uint32_t i = 0; i < d->group->nparts; i++) {
            struct decision_part *part = &d->parts[i];
            if (part != mine) {
                shard_send(s, s->server->shards[part->shard], &part->message);
            }
        }
        mine->told = true;
    }
    watch_release(w);
}

bool watch_decide(struct shard *s, struct op *op)
{
    struct decision_part *mine = op->extra;
    if (!mine->voted) {
        vote(s, mine, op);
    }
    if (!mine->told) {
        return false; /* DECIDED will come */
    }
    if (mine->decision->skip) {
        op->outcome |= OP_SKIPPED;
    }
    return true;
}

void watch_decided(struct message *message)
{
    ((struct decision_part *)((char *)message - offsetof(struct decision_part, message)))->told = true;
}
