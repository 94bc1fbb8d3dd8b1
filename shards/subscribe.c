/* subscribe.c - see subscribe.h. */
#include "shards/subscribe.h"
#include "core/hash.h"
#include "core/mem.h"
#include "shards/conn.h"
#include "shards/group.h"
#include "shards/pubsub.h"
#include "shards/route.h"
#include "shards/run.h"
#include "shards/shard.h"
#include <assert.h>
#include <string.h>

/* --- the connection's set -------------------------------------------------------------------- */

static struct subscription *sub_of(struct lookup_node *node)
{
    return (struct subscription *)((char *)node - offsetof(struct subscription, node));
}

/* One table holds all kinds. */
static uint64_t set_hash(enum subscription_kind kind, uint64_t hash)
{
    return hash + (uint64_t)kind;
}

static struct subscription *set_find(const struct subscriber *set, enum subscription_kind kind,
                                     struct slice name, uint64_t hash)
{
    if (set == NULL) {
        return NULL;
    }
    hash = set_hash(kind, hash);
    struct lookup_node *n = lookup_first(&set->set, hash);
    for (; n != NULL; n = lookup_next(n, hash)) {
        struct subscription *sub = sub_of(n);
        if (sub->kind == kind && slice_equal(subscription_name(sub), name)) {
            return sub;
        }
    }
    return NULL;
}

static uint32_t total(const struct subscriber *set)
{
    uint32_t n = 0;
    for (int kind = 0; set != NULL && kind < SUB_KINDS; kind++) {
        n += set->kinds[kind].count;
    }
    return n;
}

bool conn_subscribed(const struct conn *conn)
{
    return total(conn->subscriber) > 0;
}

uint32_t conn_subscriptions(const struct conn *conn, enum subscription_kind kind)
{
    return conn->subscriber != NULL ? conn->subscriber->kinds[kind].count : 0;
}

size_t subscribe_memory(const struct conn *conn)
{
    return conn->subscriber != NULL ? sizeof *conn->subscriber + conn->subscriber->bytes : 0;
}

/* What confirmations count: shard channels apart from the rest. */
static int64_t shown_count(const struct subscriber *set, enum subscription_kind kind)
{
    if (set == NULL) {
        return 0;
    }
    if (kind == SUB_SHARD_CHANNEL) {
        return set->kinds[SUB_SHARD_CHANNEL].count;
    }
    return (int64_t)set->kinds[SUB_CHANNEL].count + set->kinds[SUB_PATTERN].count;
}

static size_t places_of(const struct shard *s, enum subscription_kind kind)
{
    return kind == SUB_PATTERN ? s->server->shard_count : 1;
}

static size_t sub_bytes(const struct shard *s, const struct subscription *sub)
{
    return sizeof *sub + places_of(s, sub->kind) * sizeof sub->at[0] + sub->name_len;
}

static struct subscription *set_add(struct conn *conn, enum subscription_kind kind,
                                    struct slice name, uint64_t hash)
{
    struct shard *s = conn->shard;
    size_t places = places_of(s, kind);
    struct subscription *sub =
        mem_alloc(sizeof *sub + places * sizeof sub->at[0] + name.len);
    *sub = (struct subscription){
        .conn = conn, .name = (char *)(sub->at + places), .hash = hash,
        .name_len = (uint32_t)name.len, .home = (uint16_t)s->id, .kind = (uint8_t)kind,
    };
    memcpy(sub->name, name.ptr, name.len);
    if (conn->subscriber == NULL) {
        conn->subscriber = mem_alloc_zero(sizeof *conn->subscriber);
    }
    struct subscriber *set = conn->subscriber;
    if (total(set) == 0) {
        atomic_fetch_add_explicit(&s->server->pubsub_clients, 1, memory_order_relaxed);
    }
    lookup_insert(&set->set, &sub->node, set_hash(kind, hash));
    sub->prev = set->kinds[kind].last;
    *(sub->prev != NULL ? &sub->prev->next : &set->kinds[kind].first) = sub;
    set->kinds[kind].last = sub;
    set->kinds[kind].count++;
    set->bytes += sub_bytes(s, sub);
    return sub;
}

static void set_remove(struct conn *conn, struct subscription *sub)
{
    struct subscriber *set = conn->subscriber;
    lookup_remove(&set->set, &sub->node);
    *(sub->prev != NULL ? &sub->prev->next : &set->kinds[sub->kind].first) = sub->next;
    *(sub->next != NULL ? &sub->next->prev : &set->kinds[sub->kind].last) = sub->prev;
    set->kinds[sub->kind].count--;
    set->bytes -= sub_bytes(conn->shard, sub);
    if (total(set) == 0) {
        atomic_fetch_sub_explicit(&conn->shard->server->pubsub_clients, 1, memory_order_relaxed);
    }
}

/* --- taking in ------------------------------------------------------------------------------- */

/* One command being taken in. */
struct intake {
    struct shard *s;
    struct conn *conn;
    const struct command *cmd;
    enum subscription_kind kind;
    bool add;
    struct reply made;           /* the confirmations */
    struct subscription **subs;  /* those that the owners are told about */
    uint32_t count, cap;
};

static void intake_begin(struct intake *in, struct shard *s, struct conn *conn,
                         const struct command *cmd)
{
    *in = (struct intake){.s = s, .conn = conn, .cmd = cmd};
    reply_init(&in->made, conn->resp);
}

static void changed(struct intake *in, struct subscription *sub)
{
    if (in->count == in->cap) {
        in->cap = in->cap > 0 ? in->cap * 2 : 8;
        in->subs = mem_realloc(in->subs, in->cap * sizeof in->subs[0]);
    }
    in->subs[in->count++] = sub;
}

/* name NULL: there was nothing to unsubscribe from. */
static void confirm(struct intake *in, const struct slice *name)
{
    struct reply *out = &in->made;
    reply_push(out, 3);
    reply_bulk_str(out, in->cmd->name);
    if (name != NULL) {
        reply_bulk(out, name->ptr, name->len);
    } else {
        reply_null(out);
    }
    reply_int(out, shown_count(in->conn->subscriber, in->kind));
}

static void take_name(struct intake *in, struct slice name)
{
    struct conn *conn = in->conn;
    uint64_t hash = hash_bytes(name.ptr, name.len);
    struct subscription *sub = set_find(conn->subscriber, in->kind, name, hash);
    if (in->add && sub == NULL) {
        changed(in, set_add(conn, in->kind, name, hash));
    } else if (!in->add && sub != NULL) {
        set_remove(conn, sub);
        changed(in, sub);
    }
    confirm(in, &name);
}

static void leave_all(struct intake *in, bool confirmed)
{
    struct subscriber *set = in->conn->subscriber;
    while (set != NULL && set->kinds[in->kind].first != NULL) {
        struct subscription *sub = set->kinds[in->kind].first;
        struct slice name = subscription_name(sub);
        set_remove(in->conn, sub);
        changed(in, sub);
        if (confirmed) {
            confirm(in, &name);
        }
    }
}

/* The group that was just begun takes over what the command has prepared. */
static void group_takes_over(struct intake *in)
{
    struct conn *conn = in->conn;
    struct op *head = conn->last_op;
    struct group *group = head->group;
    struct run_pool *pool = &in->s->run_pool;
    group->made = run_alloc(pool, head->run, sizeof *group->made);
    *group->made = in->made;
    group->subs = run_alloc(pool, head->run, in->count * sizeof in->subs[0]);
    memcpy(group->subs, in->subs, in->count * sizeof in->subs[0]);
    group->subs_count = in->count;
    group->subs_leave = !in->add;
    for (uint32_t i = 0; i < in->count && in->add; i++) {
        in->subs[i]->confirmed_at = head->number; /* I3 */
    }
    mem_free(in->subs);
}

static void send_to_owners(struct intake *in, const struct slice *argv, uint32_t argc)
{
    struct key *keys = mem_alloc(in->count * sizeof *keys);
    for (uint32_t i = 0; i < in->count; i++) {
        struct subscription *sub = in->subs[i];
        uint16_t slot = hash_slot(sub->name, sub->name_len);
        sub->shard = in->s->server->slot_shard[slot];
        keys[i] = (struct key){.ptr = sub->name, .len = sub->name_len, .arg = i,
                               .hash = sub->hash, .slot = slot, .shard = sub->shard};
    }
    group_by_keys(in->s, in->conn, in->cmd, argv, argc, keys, in->count);
    group_takes_over(in);
    mem_free(keys);
}

static void find_kind(struct intake *in, const struct command *cmd)
{
    static const struct {
        command_run *run;
        enum subscription_kind kind;
        bool add;
    } kinds[] = {
        {subscribe__subscribe, SUB_CHANNEL, true},
        {subscribe__psubscribe, SUB_PATTERN, true},
        {subscribe__ssubscribe, SUB_SHARD_CHANNEL, true},
        {subscribe__unsubscribe, SUB_CHANNEL, false},
        {subscribe__punsubscribe, SUB_PATTERN, false},
        {subscribe__sunsubscribe, SUB_SHARD_CHANNEL, false},
    };
    size_t i = 0;
    while (kinds[i].run != cmd->run) {
        i++;
        assert(i < sizeof kinds / sizeof kinds[0]);
    }
    in->kind = kinds[i].kind;
    in->add = kinds[i].add;
}

void subscribe_route(struct shard *s, struct conn *conn, const struct command *cmd,
                     const struct slice *argv, uint32_t argc)
{
    struct intake in;
    intake_begin(&in, s, conn, cmd);
    find_kind(&in, cmd);
    for (uint32_t i = 1; i < argc; i++) {
        take_name(&in, argv[i]);
    }
    if (argc == 1) {
        leave_all(&in, true);
        if (in.count == 0) {
            confirm(&in, NULL);
        }
    }
    if (in.count == 0) { /* nothing changes for anybody */
        route_reply_at_home(s, conn, cmd, &in.made);
    } else if (in.kind == SUB_PATTERN) {
        group_on_all(s, conn, cmd, argv, argc);
        group_takes_over(&in);
    } else {
        send_to_owners(&in, argv, argc);
    }
}

/* --- the parts, on the shards that keep the channels ----------------------------------------- */

/* A part by keys names its own; one on every shard looks for its own among all. */
static void part(struct call *c)
{
    struct shard *s = c->host;
    const struct group *group = s->executing->group;
    void (*change)(struct shard *, struct subscription *) =
        group->subs_leave ? pubsub_remove : pubsub_add;
    for (uint32_t i = 0; i < c->nkeys; i++) {
        change(s, group->subs[c->keys[i].arg]);
    }
    for (uint32_t i = 0; c->nkeys == 0 && i < group->subs_count; i++) {
        struct subscription *sub = group->subs[i];
        if (sub->kind == SUB_PATTERN || sub->shard == s->id) {
            change(s, sub);
        }
    }
}

void subscribe__subscribe(struct call *c)
{
    part(c);
}

void subscribe__psubscribe(struct call *c)
{
    part(c);
}

void subscribe__ssubscribe(struct call *c)
{
    part(c);
}

void subscribe__unsubscribe(struct call *c)
{
    part(c);
}

void subscribe__punsubscribe(struct call *c)
{
    part(c);
}

void subscribe__sunsubscribe(struct call *c)
{
    part(c);
}

void subscribe_group_done(struct conn *conn, struct group *group)
{
    if (conn->flags & CONN_CLOSING) {
        reply_clear(group->made);
    } else {
        reply_move(&conn->out, group->made, group->made->total_bytes); /* also with replies off */
    }
    for (uint32_t i = 0; group->subs_leave && i < group->subs_count; i++) {
        mem_free(group->subs[i]); /* I1 */
    }
}

/* --- the end --------------------------------------------------------------------------------- */

/* RESET: the parts take everything out; its own work is done at once, as always. */
void subscribe_route_reset(struct shard *s, struct conn *conn, const struct command *cmd,
                           const struct slice *argv, uint32_t argc)
{
    static const struct command removal = {.name = "reset", .run = subscribe__unsubscribe,
                                           .apart = APART_MADE, .full_name = "reset"};
    struct intake in;
    intake_begin(&in, s, conn, cmd);
    for (int kind = 0; kind < SUB_KINDS; kind++) {
        in.kind = (enum subscription_kind)kind;
        leave_all(&in, false);
    }
    struct call c = {.command = cmd, .ks = s->keyspace, .argv = argv, .argc = argc,
                     .db = conn->db, .out = &in.made, .now_ms = s->now_ms, .host = conn};
    cmd->run(&c);
    group_on_all(s, conn, cmd, argv, argc);
    struct group *group = conn->last_op->group;
    for (uint32_t i = 0; i < group->nparts; i++) {
        group->parts[i]->command = &removal;
    }
    group_takes_over(&in);
}

/* The subscriptions of a connection that is gone, on their way through the shards. */
struct farewell {
    struct conn *conn;
    struct shard *home;
    uint32_t count;
    struct subscription *subs[];
};

static void farewell_returned(struct shard *home, void *ctx)
{
    struct farewell *f = ctx;
    struct conn *conn = f->conn;
    (void)home;
    if (--conn->subscriber->leaving > 0) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        mem_free(f->subs[i]); /* I1 */
    }
    mem_free(f);
    conn_drain(conn);
}

static void farewell_arrived(struct shard *s, void *ctx)
{
    struct farewell *f = ctx;
    for (uint32_t i = 0; i < f->count; i++) {
        struct subscription *sub = f->subs[i];
        if (sub->kind == SUB_PATTERN || sub->shard == s->id) {
            pubsub_remove(s, sub);
        }
    }
    pushes_flush(s); /* push.h I2: what refers to them goes first */
    shard_note(s, f->home, farewell_returned, f);
}

static void farewell_begin(struct conn *conn)
{
    struct shard *s = conn->shard;
    struct subscriber *set = conn->subscriber;
    struct farewell *f = mem_alloc(sizeof *f + total(set) * sizeof f->subs[0]);
    *f = (struct farewell){.conn = conn, .home = s};
    bool concerned[SHARDS_MAX] = {false};
    for (int kind = 0; kind < SUB_KINDS; kind++) {
        while (set->kinds[kind].first != NULL) {
            struct subscription *sub = set->kinds[kind].first;
            set_remove(conn, sub);
            f->subs[f->count++] = sub;
            concerned[sub->shard] = true;
            if (kind == SUB_PATTERN) {
                memset(concerned, true, s->server->shard_count);
            }
        }
    }
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        set->leaving += concerned[i];
    }
    for (unsigned i = 0; i < s->server->shard_count; i++) {
        if (concerned[i]) {
            shard_note(s, s->server->shards[i], farewell_arrived, f);
        }
    }
}

bool subscribe_end(struct conn *conn)
{
    struct subscriber *set = conn->subscriber;
    if (set == NULL) {
        return true;
    }
    if (set->leaving == 0 && total(set) > 0) {
        farewell_begin(conn);
    }
    if (set->leaving > 0) {
        return false; /* I2 */
    }
    lookup_free(&set->set);
    mem_free(set);
    conn->subscriber = NULL;
    return true;
}
