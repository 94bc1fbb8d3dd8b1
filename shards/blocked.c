/* blocked.c - queues of waiters, serving, and the end of waiting (see blocked.h). */
#include "shards/blocked.h"
#include "shards/exec.h"
#include "shards/route.h"
#include "shards/sim_point.h"
#include <assert.h>
#include <stddef.h>

/* A waiter in one queue. */
struct waiter_link {
    struct waiter_link *next, *prev;
    struct wait_queue *queue;
    struct waiter *waiter;
    uint32_t key; /* index into the part's keys */
};

/* A part of a wait in all its queues on this shard. */
struct waiter {
    struct wait_part *part; /* NULL: a placeholder */
    struct shard *shard;
    struct timer timer;
    uint64_t arrived;
    enum wait_kind kind;
    bool counted;           /* in stats.blocked */
    uint32_t nlinks;
    struct waiter_link links[];
};

/* Those who wait for one key. */
struct wait_queue {
    struct lookup_node node;
    struct waiter_link *first, *last;
    struct wait_queue *ready_next;
    int db;
    uint32_t groups; /* of kind WAIT_GROUP */
    bool ready;      /* in the list of ready ones */
    bool serving;    /* must not be freed; touches are seen to anyway */
    struct key key;  /* its bytes follow */
    char bytes[];
};

struct blocked *blocked_new(void)
{
    return mem_alloc_zero(sizeof(struct blocked));
}

void blocked_free(struct blocked *b)
{
    lookup_free(&b->queues);
    mem_free(b);
}

/* --- queues ---------------------------------------------------------------------------------- */

static uint64_t queue_hash(int db, const struct key *k)
{
    return k->hash ^ (uint64_t)db * UINT64_C(0x9e3779b97f4a7c15);
}

static struct wait_queue *queue_find(const struct blocked *b, int db, const struct key *k)
{
    const uint64_t hash = queue_hash(db, k);
    for (struct lookup_node *n = lookup_first(&b->queues, hash); n; n = lookup_next(n, hash)) {
        struct wait_queue *q = (struct wait_queue *)((char *)n - offsetof(struct wait_queue, node));
        if (q->db == db && q->key.len == k->len && memcmp(q->bytes, k->ptr, k->len) == 0) {
            return q;
        }
    }
    return NULL;
}

static struct wait_queue *queue_make(struct shard *s, int db, const struct key *k)
{
    struct wait_queue *q = queue_find(s->blocked, db, k);
    if (q != NULL) {
        return q;
    }
    q = mem_alloc(sizeof *q + k->len);
    *q = (struct wait_queue){.db = db, .key = *k};
    memcpy(q->bytes, k->ptr, k->len);
    q->key.ptr = q->bytes;
    lookup_insert(&s->blocked->queues, &q->node, queue_hash(db, k));
    s->interests++;
    return q;
}

static void queue_free_if_empty(struct shard *s, struct wait_queue *q)
{
    if (q->first != NULL || q->ready || q->serving) {
        return;
    }
    lookup_remove(&s->blocked->queues, &q->node);
    s->interests--;
    mem_free(q);
}

static void queue_ready(struct blocked *b, struct wait_queue *q)
{
    if (q->ready || q->serving) {
        return;
    }
    q->ready = true;
    q->ready_next = NULL;
    if (b->ready.last != NULL) {
        b->ready.last->ready_next = q;
    } else {
        b->ready.first = q;
    }
    b->ready.last = q;
}

static struct wait_queue *ready_take(struct blocked *b)
{
    struct wait_queue *q = b->ready.first;
    if (q != NULL) {
        b->ready.first = q->ready_next;
        if (q->ready_next == NULL) {
            b->ready.last = NULL;
        }
        q->ready = false;
    }
    return q;
}

void blocked_touch(struct shard *s, int db, const struct key *k)
{
    struct wait_queue *q = queue_find(s->blocked, db, k);
    if (q != NULL) {
        queue_ready(s->blocked, q);
    }
}

struct touched_db {
    struct blocked *b;
    int db;
};

static void touch_visit(struct lookup_node *node, void *ctx)
{
    struct wait_queue *q = (struct wait_queue *)((char *)node - offsetof(struct wait_queue, node));
    const struct touched_db *t = ctx;
    if (t->db == -1 || q->db == t->db) {
        queue_ready(t->b, q);
    }
}

void blocked_touch_db(struct shard *s, int db)
{
    struct touched_db t = {.b = s->blocked, .db = db};
    lookup_each(&s->blocked->queues, touch_visit, &t);
}

/* --- waiters --------------------------------------------------------------------------------- */

/* Behind all who came before. */
static void link_append(struct waiter_link *link, struct wait_queue *q)
{
    link->queue = q;
    link->next = NULL;
    link->prev = q->last;
    if (q->last != NULL) {
        q->last->next = link;
    } else {
        q->first = link;
    }
    q->last = link;
    q->groups += link->waiter->kind == WAIT_GROUP;
}

static void link_remove(struct waiter_link *link)
{
    struct wait_queue *q = link->queue;
    if (link->prev != NULL) {
        link->prev->next = link->next;
    } else {
        q->first = link->next;
    }
    if (link->next != NULL) {
        link->next->prev = link->prev;
    } else {
        q->last = link->prev;
    }
    q->groups -= link->waiter->kind == WAIT_GROUP;
}

static void wait_timed_out(struct timer *t, uint64_t now_ns);

/* One part of each wait counts it and keeps its time. */
static void waiter_count(struct waiter *waiter)
{
    struct shard *s = waiter->shard;
    const struct wait *w = waiter->part->wait;
    if (w->timekeeper != s->id) {
        return;
    }
    waiter->counted = true;
    counter_add(&s->stats.blocked, 1);
    if (w->deadline_ns != 0) {
        waiter->timer.fire = wait_timed_out;
        timers_set(&s->timers, &waiter->timer, w->deadline_ns);
        counter_add(&s->stats.blocked_timed, 1);
    }
}

static void waiter_uncount(struct waiter *waiter)
{
    struct shard *s = waiter->shard;
    if (!waiter->counted) {
        return;
    }
    waiter->counted = false;
    counter_add(&s->stats.blocked, (uint64_t)-1);
    if (waiter->part->wait->deadline_ns != 0) {
        timers_cancel(&s->timers, &waiter->timer);
        counter_add(&s->stats.blocked_timed, (uint64_t)-1);
    }
}

static bool key_is_waited_for(const struct wait *w, const struct op *op, uint32_t i)
{
    const struct op *whole = op->group != NULL ? op->group->head : op;
    if (w->asked.nkeys == whole->nkeys) {
        return true;
    }
    for (uint32_t k = 0; k < w->asked.nkeys; k++) {
        if (whole->keys[k].arg == op->keys[i].arg) {
            return true;
        }
    }
    return false;
}

static struct waiter *waiter_new(struct shard *s, struct wait_part *part)
{
    const struct wait *w = part->wait;
    const struct op *op = part->op;
    struct waiter *waiter = mem_alloc(sizeof *waiter + op->nkeys * sizeof waiter->links[0]);
    *waiter = (struct waiter){.shard = s, .kind = w->asked.kind, .arrived = s->blocked->arrivals++};
    for (uint32_t i = 0; i < op->nkeys; i++) {
        if (!key_is_waited_for(w, op, i)) {
            continue;
        }
        struct wait_queue *q = queue_make(s, op->db, &op->keys[i]);
        if (q->last != NULL && q->last->waiter == waiter) {
            continue; /* the same key twice */
        }
        struct waiter_link *link = &waiter->links[waiter->nlinks++];
        link->waiter = waiter;
        link->key = i;
        link_append(link, q);
    }
    return waiter;
}

/* Leaves all queues. */
static void waiter_free(struct shard *s, struct waiter *waiter)
{
    for (uint32_t i = 0; i < waiter->nlinks; i++) {
        struct wait_queue *q = waiter->links[i].queue;
        link_remove(&waiter->links[i]);
        queue_free_if_empty(s, q);
    }
    mem_free(waiter);
}

/* The run of a part that waited goes home. W3 */
static void part_return(struct shard *s, struct wait_part *part)
{
    struct op *op = part->op;
    struct run *run = op->run;
    part->waiter = NULL;
    op->outcome &= ~(uint32_t)OP_WAITS;
    run->at = NULL;
    if (part->parked) {
        exec_return(s, run); /* else the pass finds it done */
    }
}

/* W1 */
static bool wait_end(struct wait *w, enum wait_state how)
{
    uint32_t waits = WAIT_WAITS;
    sched_point("wait: ends");
    return atomic_compare_exchange_strong_explicit(&w->state, &waits, how, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* Tells all parts that stand in queues but one. from: the shard whose thread this is. */
static void cancel_parts(struct shard *from, struct wait *w, const struct wait_part *but)
{
    for (uint32_t i = 0; i < w->nparts; i++) {
        struct wait_part *part = &w->parts[i];
        if (part != but && part->waits) {
            shard_send(from, from->server->shards[part->shard], &part->cancel);
        }
    }
}

/* This shard has ended the wait. The memory of the wait may be gone afterwards. */
static void waiter_ended(struct shard *s, struct waiter *waiter)
{
    struct wait_part *part = waiter->part;
    cancel_parts(s, part->wait, part);
    waiter_uncount(waiter);
    waiter_free(s, waiter);
    part_return(s, part);
}

static void wait_timed_out(struct timer *t, uint64_t now_ns)
{
    struct waiter *waiter = (struct waiter *)((char *)t - offsetof(struct waiter, timer));
    (void)now_ns;
    if (wait_end(waiter->part->wait, WAIT_TIMED_OUT)) {
        waiter_ended(waiter->shard, waiter);
    }
}

void blocked_cancelled(struct shard *s, struct wait_part *part)
{
    struct waiter *waiter = part->waiter;
    if (waiter == NULL) {
        part->cancelled = true; /* its slots are on their way back */
        return;
    }
    waiter_uncount(waiter);
    waiter_free(s, waiter);
    part_return(s, part);
}

/* --- the first try --------------------------------------------------------------------------- */

static bool part_waits(const struct wait *w, const struct op *op)
{
    for (uint32_t i = 0; i < op->nkeys; i++) {
        if (key_is_waited_for(w, op, i)) {
            return true;
        }
    }
    return w->asked.nkeys == 0; /* WAIT: stands in no queue, is counted and has a timer */
}

void blocked_begin(struct wait *w)
{
    if (!w->asked.blocked) {
        return;
    }
    for (uint32_t i = 0; i < w->nparts; i++) {
        w->parts[i].waits = part_waits(w, w->parts[i].op);
    }
    if (w->place == NULL && w->asked.timeout_ms > 0) { /* else the deadline is what it was */
        const uint64_t now_ns = clock_mono_ns(), ms_max = (UINT64_MAX - now_ns) / 1000000u;
        const uint64_t ms = (uint64_t)w->asked.timeout_ms;
        w->deadline_ns = now_ns + (ms < ms_max ? ms : ms_max) * 1000000u;
    }
    uint32_t tries = WAIT_TRIES;
    sched_point("wait: begins");
    if (!atomic_compare_exchange_strong_explicit(&w->state, &tries, WAIT_WAITS,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        w->asked.blocked = false; /* nobody wants to wait any more */
        w->abandoned = true;
    }
}

/* On the shard's thread, with the slot in reach: no try will come for this placeholder. */
static void place_drop(struct shard *s, struct waiter *place)
{
    for (uint32_t i = 0; i < place->nlinks; i++) {
        queue_ready(s->blocked, place->links[i].queue); /* those behind it may be served */
    }
    waiter_free(s, place);
}

bool blocked_tried(struct shard *s, struct wait_part *part)
{
    struct wait *w = part->wait;
    struct waiter *place = w->place != NULL && w->place_shard == s->id ? w->place : NULL;
    if (!w->asked.blocked || !part->waits || part->cancelled) {
        if (place != NULL) {
            place_drop(s, place); /* W4 */
        }
        return false;
    }
    struct waiter *waiter = place != NULL ? place : waiter_new(s, part);
    waiter->part = part;
    part->waiter = waiter;
    part->op->outcome |= OP_WAITS;
    waiter_count(waiter);
    return true;
}

/* --- serving --------------------------------------------------------------------------------- */

struct claim {
    struct call_wait call; /* first: claim() casts */
    struct waiter *waiter;
    bool won;
};

static bool wait_claim(struct call_wait *call)
{
    struct claim *claim = (struct claim *)call;
    assert(!claim->won);
    claim->won = wait_end(claim->waiter->part->wait, WAIT_SERVED);
    return claim->won;
}

/* Runs the command again, with the key that is ready (and what it does not wait for: a
 * destination). */
static void waiter_try(struct shard *s, const struct waiter_link *link)
{
    struct waiter *waiter = link->waiter;
    struct wait *w = waiter->part->wait;
    struct op *op = waiter->part->op;
    const bool all = w->asked.nkeys < op->nkeys;
    struct claim claim = {.call = w->asked, .waiter = waiter};
    claim.call.blocked = false;
    claim.call.claim = wait_claim;
    exec_again(s, op, all ? op->keys : &op->keys[link->key], all ? op->nkeys : 1, &claim.call);
    if (claim.won) {
        w->answer = op;
        waiter_ended(s, waiter);
    }
    /* else it goes on waiting, or CANCEL is on its way */
}

/* Whether the command can be run again here and now. */
static bool target_in_reach(struct shard *s, const struct waiter *waiter, bool in_pass)
{
    const struct op *op = waiter->part->op;
    const struct op *whole = op->group != NULL ? op->group->head : op;
    const uint32_t waited = waiter->part->wait->asked.nkeys;
    for (uint32_t i = waited; i < whole->nkeys; i++) {
        if (whole->keys[i].shard != s->id || exec_slot_busy(s, whole->keys[i].slot, in_pass)) {
            return false;
        }
    }
    return true;
}

/* The command has to be routed anew: home is told, the place in the queue is kept. */
static void wait_for_turn(struct shard *s, struct waiter *waiter)
{
    struct wait_part *part = waiter->part;
    struct wait *w = part->wait;
    if (!wait_end(w, WAIT_RETRIES)) {
        return; /* CANCEL is on its way */
    }
    cancel_parts(s, w, part);
    waiter_uncount(waiter);
    waiter->part = NULL;
    w->left = waiter;
    w->left_shard = (uint16_t)s->id;
    part_return(s, part);
}

static const struct entry *key_of(struct shard *s, const struct wait_queue *q)
{
    struct call c = {.ks = s->keyspace, .db = q->db, .now_ms = s->now_ms, .host = s};
    return key_peek(&c, &q->key);
}

static bool kind_fits(enum wait_kind kind, const struct entry *e)
{
    switch (kind) {
    case WAIT_LIST:
        return e != NULL && e->type == TYPE_LIST;
    case WAIT_ZSET:
        return e != NULL && e->type == TYPE_ZSET;
    case WAIT_STREAM:
        return e != NULL && e->type == TYPE_STREAM;
    case WAIT_GROUP:
        return true; /* it also wants to know when the stream is gone */
    case WAIT_REPLICAS:
        break; /* waits for no key */
    }
    return false;
}

static void serve_queue(struct shard *s, struct wait_queue *q, bool in_pass)
{
    bool lists_held = false; /* the elements belong to a placeholder */
    struct waiter_link *next;
    q->serving = true;
    for (struct waiter_link *link = q->first; link != NULL; link = next) {
        next = link->next;
        struct waiter *waiter = link->waiter;
        const struct entry *e = key_of(s, q);
        if (e == NULL && q->groups == 0) {
            break; /* nothing is left */
        }
        if (waiter->part == NULL) {
            lists_held = true;
            continue;
        }
        if (!kind_fits(waiter->kind, e) || (lists_held && waiter->kind == WAIT_LIST)) {
            continue;
        }
        if (target_in_reach(s, waiter, in_pass)) {
            waiter_try(s, link);
        } else {
            wait_for_turn(s, waiter);
            lists_held = true;
        }
    }
    q->serving = false;
    queue_free_if_empty(s, q);
}

void blocked_serve(struct shard *s, bool in_pass)
{
    struct wait_queue *q, *later = NULL, **end = &later;
    while ((q = ready_take(s->blocked)) != NULL) {
        if (exec_in_transaction(s->exec, q->key.slot)) {
            q->ready = true; /* as it will be again */
            q->ready_next = NULL;
            *end = q;
            end = &q->ready_next;
            continue;
        }
        serve_queue(s, q, in_pass);
    }
    while (later != NULL) {
        q = later;
        later = q->ready_next;
        q->ready = false;
        queue_ready(s->blocked, q);
    }
}

/* --- home ------------------------------------------------------------------------------------ */

static void part_init(struct wait *w, struct op *op)
{
    struct wait_part *part = &w->parts[w->nparts++];
    *part = (struct wait_part){
        .cancel.kind = MESSAGE_CANCEL, .wait = w, .op = op, .shard = op->run->shard};
    op->wait = part;
}

void blocked_prepare(struct shard *s, struct op *op, const struct wait *again)
{
    const struct group *group = op->group;
    const uint32_t nparts = group != NULL ? group->nparts : 1;
    struct wait *w = run_alloc(&s->run_pool, op->run, sizeof *w + nparts * sizeof w->parts[0]);
    *w = (struct wait){.timekeeper = op->nkeys > 0 ? op->keys[0].shard : op->run->shard};
    if (again != NULL) {
        w->deadline_ns = again->deadline_ns;
        w->place = again->left;
        w->place_shard = again->left_shard;
    }
    for (uint32_t i = 0; group != NULL && i < nparts; i++) {
        part_init(w, group->parts[i]);
    }
    if (group == NULL) {
        part_init(w, op);
    }
    op->wait = &w->parts[0];
}

static struct wait *conn_wait(const struct conn *conn)
{
    const struct op *op = conn->last_op;
    return op != NULL && op->wait != NULL ? op->wait->wait : NULL;
}

bool blocked_cancel(struct conn *conn, enum wait_state why)
{
    struct wait *w = conn_wait(conn);
    if (w == NULL) {
        return false;
    }
    uint32_t tries = WAIT_TRIES;
    if (why == WAIT_GONE &&
        atomic_compare_exchange_strong_explicit(&w->state, &tries, WAIT_GONE,
                                                memory_order_acq_rel, memory_order_acquire)) {
        return false;
    }
    if (!wait_end(w, why)) {
        return false;
    }
    w->abandoned = why == WAIT_GONE;
    cancel_parts(conn->shard, w, NULL);
    return true;
}

bool blocked_waits(const struct conn *conn)
{
    const struct wait *w = conn_wait(conn);
    return w != NULL &&
           atomic_load_explicit(&w->state, memory_order_relaxed) == WAIT_WAITS;
}

static void reply_unserved(struct op *op, struct reply *out)
{
    out->resp = op->resp;
    out->muted = op->flags & OP_MUTED;
    switch (blocked_state(op)) {
    case WAIT_TIMED_OUT:
    case WAIT_UNBLOCKED:
        if (op->wait->wait->asked.kind == WAIT_REPLICAS) {
            reply_int(out, 0); /* have acknowledged */
        } else {
            reply_null_array(out);
        }
        break;
    case WAIT_ERROR:
        reply_error(out, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
        op->outcome |= OP_FAILED;
        break;
    default:
        break; /* the op's own reply, or none */
    }
    out->muted = false;
}

void blocked_end(struct op *op, struct reply *out)
{
    struct wait *w = op->wait->wait;
    if (out != NULL) {
        reply_unserved(op, out);
    }
    mem_free(w->asked.memo);
    w->asked.memo = NULL;
}

struct op *blocked_answer(struct op *op, struct op *otherwise)
{
    struct op *answer = op->wait != NULL ? op->wait->wait->answer : NULL;
    return answer != NULL ? answer : otherwise;
}

/* A note runs whenever it comes: those behind must not be served while the slot is lent, nor
 * before what is older and waits. */
static void place_given_up(struct shard *s, void *ctx)
{
    struct waiter *place = ctx;
    if (exec_slot_busy(s, place->links[0].queue->key.slot, false)) {
        shard_note(s, s, place_given_up, place);
        return;
    }
    place_drop(s, place);
}

void blocked_give_up(struct shard *s, struct op *op)
{
    const struct wait *w = op->wait->wait;
    shard_note(s, s->server->shards[w->left_shard], place_given_up, w->left);
}
