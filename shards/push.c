/* push.c - see push.h. */
#include "shards/push.h"
#include "core/mem.h"
#include "shards/conn.h"
#include "shards/pubsub.h"
#include "shards/run.h"
#include "shards/shard.h"
#include "shards/subscribe.h"
#include <assert.h>
#include <string.h>

enum { PREFETCH_SUBS = 8 };

struct push_box *push_box_new(unsigned shards)
{
    struct push_box *box = mem_alloc_zero(sizeof *box);
    box->chains = mem_alloc_zero(shards * sizeof *box->chains);
    box->filled = mem_alloc_zero(shards * sizeof *box->filled);
    return box;
}

static void delivery_free(struct delivery *d)
{
    push_release(d->push);
    if (d->to != NULL) {
        receivers_release(d->to);
    }
    mem_free(d);
}

void push_box_free(struct push_box *box, unsigned shards)
{
    for (unsigned i = 0; i < shards; i++) {
        for (struct delivery *d = box->chains[i].first; d != NULL;) {
            struct delivery *next = d->next;
            delivery_free(d);
            d = next;
        }
    }
    mem_free(box->chains);
    mem_free(box->filled);
    mem_free(box);
}

struct push *push_new(uint32_t elements, size_t len)
{
    struct push *push = mem_alloc(sizeof *push + len);
    *push = (struct push){.elements = elements, .len = len};
    atomic_init(&push->refs, 1);
    return push;
}

static void push_hold(struct push *push)
{
    atomic_fetch_add_explicit(&push->refs, 1, memory_order_relaxed);
}

void push_release(struct push *push)
{
    if (atomic_fetch_sub_explicit(&push->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(push);
    }
}

void receivers_release(struct receivers *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(r);
    }
}

/* --- sending --------------------------------------------------------------------------------- */

static struct delivery *box_add(struct shard *s, unsigned shard, struct push *push)
{
    struct push_box *box = s->pushes;
    struct delivery_chain *chain = &box->chains[shard];
    struct delivery *d = mem_alloc(sizeof *d);
    *d = (struct delivery){.message.kind = MESSAGE_PUSHES, .push = push, .from = (uint16_t)s->id};
    push_hold(push);
    if (chain->last != NULL) {
        chain->last->next = d;
    } else {
        chain->first = d;
        box->filled[box->count++] = (uint16_t)shard;
    }
    chain->last = d;
    return d;
}

/* The running command, as seen in its connection's order, if that is at home there. */
static const struct op *origin_at(const struct shard *s, unsigned home)
{
    const struct op *op = s->executing;
    if (op == NULL || op->run->home != home) {
        return NULL;
    }
    return op->flags & OP_PART ? op->group->head : op;
}

void push_to_receivers(struct shard *s, unsigned home, struct push *push, struct receivers *to)
{
    struct delivery *d = box_add(s, home, push);
    atomic_fetch_add_explicit(&to->refs, 1, memory_order_relaxed);
    d->to = to;
    d->count = to->count;
    d->origin = origin_at(s, home);
}

void push_to_conn(struct shard *s, unsigned home, uint64_t conn_id, struct push *push,
                  uint64_t after)
{
    assert(conn_id != 0);
    struct delivery *d = box_add(s, home, push);
    d->conn_id = conn_id;
    d->after = after;
    d->origin = origin_at(s, home);
}

void push_forward(struct shard *s, unsigned shard, struct push *push)
{
    assert(shard != s->id && push->channel_at != 0);
    box_add(s, shard, push);
}

bool pushes_flush(struct shard *s)
{
    struct push_box *box = s->pushes;
    if (box->count == 0) {
        return false;
    }
    for (unsigned i = 0; i < box->count; i++) { /* nothing is added meanwhile */
        unsigned shard = box->filled[i];
        struct delivery *first = box->chains[shard].first;
        box->chains[shard] = (struct delivery_chain){NULL, NULL};
        if (shard == s->id) {
            pushes_arrived(s, first);
        } else {
            shard_send(s, s->server->shards[shard], &first->message);
        }
    }
    box->count = 0;
    return true;
}

/* --- at home --------------------------------------------------------------------------------- */

static void let_go(void *push)
{
    push_release(push);
}

void push_write(const struct push *push, struct conn *conn)
{
    struct reply *out = &conn->out;
    assert(!out->muted); /* CLIENT REPLY OFF does not concern pushes */
    out->resp = conn->resp;
    reply_push(out, push->elements);
    if (push->payload_len < REPLY_REF_MIN) {
        reply_raw(out, push->bytes, push->len);
        return;
    }
    /* All receivers refer to the one payload, the last element. */
    size_t before = push->payload_at;
    do {
        before--;
    } while (push->bytes[before] != '$');
    struct push *shared = (struct push *)push; /* only its count of references changes */
    push_hold(shared);
    reply_raw(out, push->bytes, before);
    reply_bulk_ref(out, push->bytes + push->payload_at, push->payload_len,
                   let_go, shared);
}

static void write_now(struct push *push, struct conn *conn)
{
    if (push->write != NULL) {
        push->write(push, conn);
    } else {
        push_write(push, conn);
    }
    conn_output_ready(conn);
}

/* I3: nothing overtakes what was pushed before it on the same shard. */
static uint64_t not_before_held(const struct conn *conn, uint16_t from, uint64_t after)
{
    for (const struct held_push *held = conn->held; held != NULL; held = held->next) {
        if (held->from == from && held->after > after) {
            after = held->after;
        }
    }
    return after;
}

static void hold_push(struct conn *conn, const struct delivery *d, uint64_t after)
{
    struct held_push *held = mem_alloc(sizeof *held);
    push_hold(d->push);
    struct held_push **link = &conn->held;
    while (*link != NULL && (*link)->after <= after) {
        link = &(*link)->next;
    }
    *held = (struct held_push){*link, d->push, after, d->from};
    *link = held;
}

static inline void deliver(struct conn *conn, const struct delivery *d, uint64_t after)
{
    if (conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY)) {
        return;
    }
    if (d->origin != NULL && d->origin->run->conn == conn) {
        after = d->origin->number > after ? d->origin->number : after;
    }
    if (conn->held != NULL) {
        after = not_before_held(conn, d->from, after);
    }
    if (conn->drained >= after) {
        write_now(d->push, conn);
    } else {
        hold_push(conn, d, after);
    }
}

static void deliver_all(const struct delivery *d)
{
    struct subscription *const *subs = d->to->subs;
    for (uint32_t i = 0; i < d->count; i++) {
        if (i + PREFETCH_SUBS < d->count) {
            __builtin_prefetch(subs[i + PREFETCH_SUBS]);
        }
        deliver(subs[i]->conn, d, subs[i]->confirmed_at);
    }
}

void pushes_arrived(struct shard *s, struct delivery *d)
{
    while (d != NULL) {
        struct delivery *next = d->next;
        if (d->to != NULL) {
            deliver_all(d);
        } else if (d->conn_id != 0) {
            struct conn *conn = conn_by_id(s, d->conn_id);
            if (conn != NULL) {
                deliver(conn, d, d->after);
            }
        } else {
            pubsub_forwarded(s, d->push);
        }
        delivery_free(d);
        d = next;
    }
}

static void held_free(struct held_push *held)
{
    push_release(held->push);
    mem_free(held);
}

void push_release_held(struct conn *conn)
{
    while (conn->held != NULL && conn->drained >= conn->held->after) {
        struct held_push *held = conn->held;
        conn->held = held->next;
        if (!(conn->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY))) {
            write_now(held->push, conn);
        }
        held_free(held);
    }
}

void push_drop_held(struct conn *conn)
{
    while (conn->held != NULL) {
        struct held_push *next = conn->held->next;
        held_free(conn->held);
        conn->held = next;
    }
}
