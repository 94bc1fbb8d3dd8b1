/* exec.c - one pass over what has arrived and what waits (see exec.h). */
#include "shards/exec.h"
#include "shards/blocked.h"
#include "shards/busy.h"
#include "shards/latency.h"
#include "shards/monitor.h"
#include "shards/push.h"
#include "shards/sim_point.h"
#include "shards/tracking.h"
#include "shards/watch.h"
#include <assert.h>

enum { PREFETCH_OPS = 32 };

struct exec *exec_new(void)
{
    return mem_alloc_zero(sizeof(struct exec));
}

void exec_free(struct exec *x)
{
    slices_free(&x->slices);
    mem_free(x->chains);
    mem_free(x);
}

bool exec_must_not_sleep(const struct shard *s)
{
    const struct exec *x = s->exec;
    return x->waits_for_horizon || x->cut || x->done.first != NULL || x->local.first != NULL ||
           x->returning || blocked_ready(s) || x->chains_count > 0 || x->late != NULL ||
           slices_must_not_sleep(&x->slices);
}

bool exec_may_touch(void *shard, uint16_t slot)
{
    const struct shard *s = shard;
    return !s->exec->held_all && s->exec->held[slot] == 0;
}

/* --- conflicts ------------------------------------------------------------------------------ */

static void mark_waiting(struct exec *x, const struct run *run)
{
    x->marked = true;
    const struct op *from = run->unit != NULL ? run->unit : run->at; /* I4 */
    for (const struct op *op = from; op != NULL; op = op->run_next) {
        if (op->flags & (OP_WHOLE | OP_ROAMS)) {
            x->marked_all = true;
        }
        for (uint32_t i = 0; i < op->nkeys; i++) {
            x->mark[op->keys[i].slot] = x->pass;
        }
    }
}

static bool conflicts(const struct exec *x, const struct op *op)
{
    if (op->outcome & OP_HELD) {
        return false; /* it is the one that holds */
    }
    if (x->marked_all || x->held_all || (op->flags & (OP_WHOLE | OP_ROAMS))) {
        return true; /* called only when something is marked or held */
    }
    for (uint32_t i = 0; i < op->nkeys; i++) {
        uint16_t slot = op->keys[i].slot;
        if (x->mark[slot] == x->pass || x->held[slot] != 0) {
            return true;
        }
    }
    return false;
}

/* A transaction in a free run begins only when all of it can run (multi.h I2). */
static bool transaction_conflicts(const struct exec *x, const struct op *op)
{
    if (x->holds == 0 && sched_has(SCHED_FREE_BYPASSES)) {
        return false;
    }
    for (; op != NULL; op = op->run_next) {
        if (conflicts(x, op)) {
            return true;
        }
        if (!(op->flags & OP_MORE) || sched_has(SCHED_FREE_TRANSACTION)) {
            break;
        }
    }
    return false;
}

static bool run_concerns(const struct run *run, uint16_t slot)
{
    for (const struct op *op = run->at; op != NULL; op = op->run_next) {
        if (op->flags & (OP_WHOLE | OP_ROAMS)) {
            return true;
        }
        for (uint32_t i = 0; i < op->nkeys; i++) {
            if (op->keys[i].slot == slot) {
                return true;
            }
        }
    }
    return false;
}

bool exec_slot_busy(const struct shard *s, uint16_t slot, bool in_pass)
{
    const struct exec *x = s->exec;
    if (x->held_all || x->held[slot] != 0) {
        return true;
    }
    if (in_pass) {
        return x->marked && (x->marked_all || x->mark[slot] == x->pass); /* I2 */
    }
    for (const struct run *run = x->waiting; run != NULL; run = run->next) {
        if (run_concerns(run, slot)) {
            return true;
        }
    }
    return false;
}

/* Something stops in the middle, or goes on (I4): by is 1 or -1. */
static void op_count(struct exec *x, const struct op *op, uint32_t by)
{
    if (op->flags & (OP_WHOLE | OP_ROAMS)) {
        x->open_all += by;
    }
    for (uint32_t i = 0; i < op->nkeys; i++) {
        x->open[op->keys[i].slot] += by;
    }
}

static void unit_count(struct exec *x, const struct run *run, uint32_t by)
{
    for (const struct op *op = run->unit;; op = op->run_next) {
        op_count(x, op, by);
        if (!(op->flags & OP_MORE)) {
            return;
        }
    }
}

static void unit_stop(struct exec *x, struct run *run)
{
    if (run->unit != NULL) {
        unit_count(x, run, 1);
        run->unit_open = true;
    }
}

static void unit_go_on(struct exec *x, struct run *run)
{
    if (run->unit_open) {
        unit_count(x, run, UINT32_MAX);
        run->unit_open = false;
    }
}

/* --- running -------------------------------------------------------------------------------- */

/* While the op still is the one that runs: what it causes is told to its own connection later. */
static void track(struct shard *s, const struct op *op)
{
    if ((op->flags & OP_TRACK) && (op->command->flags & CMD_READONLY) &&
        op->command->prepare == NULL && /* a script: when it reads (script_call.c) */
        !((op->flags & OP_PART) && op->group->lend != NULL)) {
        tracking_remember(s, op, op->keys, op->nkeys);
    }
    if (!(op->flags & OP_MORE)) {
        tracking_turn(s); /* what a transaction changes here is told at once */
    }
}

static uint32_t call_flags(const struct shard *s, const struct op *op)
{
    const struct lend *lend = op->flags & OP_PART ? op->group->lend : NULL;
    bool whole = lend != NULL ? lend->whole : s->server->shard_count == 1;
    return ((op->flags & OP_PART) && lend == NULL ? CALL_PART : 0) |
           (op->flags & OP_NO_TOUCH ? CALL_NO_TOUCH : 0) | (whole ? CALL_WHOLE : 0) |
           (op->flags & OP_MULTI ? CALL_IN_MULTI | CALL_DENY_BLOCKING : 0);
}

static struct call make_call(struct shard *s, struct op *op, struct reply *out)
{
    return (struct call){
        .command = op->command,
        .ks = s->keyspace,
        .argv = op->argv,
        .keys = op->keys,
        .argc = op->argc,
        .nkeys = op->nkeys,
        .flags = call_flags(s, op),
        .db = op->db,
        .out = out,
        .now_ms = s->now_ms,
        .marks = op->marks,
        .marks_cap = op->marks_cap,
        .marked_bytes_ = out->total_bytes,
        .slot_begin = s->slot_begin,
        .slot_end = s->slot_end,
        .slot_shard = s->server->slot_shard,
        .extra = op->extra,
        .host = s,
    };
}

/* Position of the member that the command names; not above 0: none. */
static int64_t member_at(const struct op *op)
{
    int64_t at = op->command->member;
    return at < 0 ? (int64_t)op->argc + at : at;
}

/* One clock read per command: where it begins is where the one before it has ended, if nothing else
 * was done in between. */
static inline void run_call(struct shard *s, struct op *op, struct call *c)
{
    struct exec *x = s->exec;
    struct reply *out = c->out;
    struct op *outer = s->executing;
    s->executing = op;
    size_t bytes = out->total_bytes;
    uint32_t errors = out->errors;
    out->resp = op->resp;
    out->muted = op->flags & OP_MUTED;
    atomic_store_explicit(&s->running, op->command, memory_order_relaxed);
    if (op->member_hash != 0) {
        const struct slice *member = &op->argv[member_at(op)];
        hash_known = (struct hash_known){member->ptr, member->len, op->member_hash};
    }
    uint64_t start = x->ticks != 0 ? x->ticks : clock_ticks();
    x->ticks = 0;
    op->command->run(c);
    uint64_t end = clock_ticks();
    op->ticks += end - start;
    x->over |= end >= x->until_ticks;
    hash_known.data = NULL;
    if (s->interests > 0 || (op->flags & OP_TRACK)) {
        track(s, op);
    } else {
        x->ticks = end;
    }
    s->executing = outer;
    out->muted = false;
    op->reply_bytes = out->total_bytes - bytes;
    if (out->errors != errors) {
        op->outcome |= OP_FAILED;
        stats_error(s, out->error_code);
    }
}

void exec_op(struct shard *s, struct op *op, struct reply *out, struct keyspace *const *views)
{
    struct call c = make_call(s, op, out);
    c.views = views;
    c.wait = op->wait != NULL ? &op->wait->wait->asked : NULL;
    run_call(s, op, &c);
    op->weight = c.weight;
    op->marks = c.marks;
    op->marks_count = c.marks_count;
    counter_add(&s->stats.executed, 1);
}

void exec_again(struct shard *s, struct op *op, const struct key *keys, uint32_t nkeys,
                struct call_wait *wait)
{
    struct call c = make_call(s, op, &op->run->reply);
    c.keys = keys;
    c.nkeys = nkeys;
    c.flags |= CALL_SERVING;
    c.wait = wait;
    s->exec->ticks = 0;
    run_call(s, op, &c);
}

/* --- lending -------------------------------------------------------------------------------- */

static struct lend_part *lend_part_of(struct lend *lend, const struct op *op)
{
    for (uint32_t i = 0; i < lend->nparts; i++) {
        if (lend->parts[i].op == op) {
            return &lend->parts[i];
        }
    }
    assert(!"a part belongs to its group");
    return NULL;
}

static void slots_hold(struct exec *x, const struct op *op)
{
    x->holders++;
    if (op->flags & (OP_WHOLE | OP_ROAMS)) {
        assert(x->holds == 0);
        x->held_all = true;
        x->holds++;
        return;
    }
    for (uint32_t i = 0; i < op->nkeys; i++) {
        if (x->held[op->keys[i].slot]++ == 0) {
            x->holds++;
        }
    }
}

static void slots_let_go(struct exec *x, const struct op *op)
{
    x->holders--;
    if (op->flags & (OP_WHOLE | OP_ROAMS)) {
        x->held_all = false;
        x->holds--;
        return;
    }
    for (uint32_t i = 0; i < op->nkeys; i++) {
        assert(x->held[op->keys[i].slot] > 0);
        if (--x->held[op->keys[i].slot] == 0) {
            x->holds--;
        }
    }
}

/* What the runner will work on: a view of some slots, or the whole keyspace. Changes are noted. */
static void lend_give(struct shard *s, const struct lend *lend, struct lend_part *part)
{
    if (lend->whole) {
        part->hooks = s->keyspace->hooks;
        touched_begin(&part->touched, s, s->keyspace);
        return;
    }
    for (int db = 0; db < s->keyspace->databases; db++) {
        keyspace_db_prepare(s->keyspace, db);
    }
    keyspace_view_init(&part->view, s->keyspace);
    touched_begin(&part->touched, s, &part->view);
}

/* The part's turn has come: from now on its slots are out of reach for everybody else here. */
static void lend_hold(struct shard *s, struct op *op)
{
    struct lend *lend = op->group->lend;
    struct lend_part *part = lend_part_of(lend, op);
    slots_hold(s->exec, op);
    op->outcome |= OP_HELD;
    if ((op->flags & OP_TRACK) &&
        ((op->command->flags & CMD_READONLY) || op->command->prepare != NULL)) {
        const struct op *head = op->group->head;
        tracking_remember(s, op, head->keys, head->nkeys);
    }
    if (op != lend->runner_op) {
        lend_give(s, lend, part);
    }
    pushes_flush(s); /* notify.h I1 */
    struct shard *runner = s->server->shards[lend->runner];
    sched_point("lend: holds");
    if (atomic_fetch_sub_explicit(&lend->missing, 1, memory_order_acq_rel) == 1) {
        if (runner == s) {
            lend->may_go = true;
        } else {
            sched_point("lend: ready");
            shard_send(s, runner, &lend->ready);
        }
    }
}

/* The runner has all slots of the group. It sees all keys of the command, in their order: those of
 * the head. */
static void lend_begin(struct shard *s, struct op *op)
{
    struct lend *lend = op->group->lend;
    for (uint32_t i = 0; i < lend->nparts; i++) {
        struct lend_part *part = &lend->parts[i];
        lend->views[part->shard] = part->op == op || lend->whole
                                       ? s->server->shards[part->shard]->keyspace
                                       : &part->view;
    }
    lend->own_keys = op->keys;
    lend->own_nkeys = op->nkeys;
    op->keys = op->group->head->keys;
    op->nkeys = op->group->head->nkeys;
}

static void keys_own(struct op *op)
{
    op->keys = op->group->lend->own_keys;
    op->nkeys = op->group->lend->own_nkeys;
}

static void lend_end(struct shard *s, struct op *op)
{
    struct lend *lend = op->group->lend;
    sched_point("lend: ran");
    keys_own(op);
    pushes_flush(s); /* notify.h I1 */
    if (op->wait != NULL) {
        blocked_begin(op->wait->wait);
    }
    for (uint32_t i = 0; i < lend->nparts; i++) {
        struct lend_part *part = &lend->parts[i];
        if (part->op != op) {
            shard_send(s, s->server->shards[part->shard], &part->release);
        }
    }
    slots_let_go(s->exec, op);
    op->outcome &= ~(uint32_t)OP_HELD;
}

/* --- in slices (slices.h) --------------------------------------------------------------------- */

/* The op stops in the middle: S1, S3. */
static void op_rest(struct exec *x, struct op *op)
{
    op->outcome |= OP_RESTS;
    if (!(op->outcome & OP_HELD)) {
        slots_hold(x, op);
    }
    op_count(x, op, 1);
}

/* It has come to its end. */
static void op_rested(struct exec *x, struct op *op)
{
    op->outcome &= ~(uint32_t)OP_RESTS;
    op_count(x, op, UINT32_MAX);
    if (!(op->outcome & OP_HELD)) {
        slots_let_go(x, op);
    }
}

/* What the run has answered so far goes out; from now on its replies wait in it. S2 */
static void direct_end(struct run *run)
{
    for (struct op *op = run->first; op != run->at; op = op->run_next) {
        op->reply_bytes = 0;
    }
    run->flags &= ~(uint32_t)RUN_DIRECT;
    conn_output_ready(run->conn);
}

/* False: it rests, or has not begun. */
static bool op_begin_sliced(struct shard *s, struct run *run, struct op *op,
                            struct keyspace *const *views)
{
    switch (slice_run(s, op, views)) {
    case SLICE_PUT_OFF:
        return false;
    case SLICE_RESTS:
        if (run->flags & RUN_DIRECT) {
            direct_end(run);
        }
        op_rest(s->exec, op);
        return false;
    case SLICE_DONE:
        break;
    }
    if (run->flags & RUN_DIRECT) {
        reply_move(&run->conn->out, &run->reply, run->reply.total_bytes);
    }
    return true;
}

/* True: the op that rested is done. */
static bool op_go_on(struct shard *s, struct op *op)
{
    s->exec->ticks = 0;
    if (slice_go_on(s, op) == SLICE_RESTS) {
        return false;
    }
    op_rested(s->exec, op);
    if (op->group != NULL && op->group->lend != NULL) {
        lend_end(s, op);
    }
    return true;
}

/* --- getting back ----------------------------------------------------------------------------- */

static void view_settle(struct shard *s, struct lend_part *part)
{
    const struct op *op = part->op;
    uint16_t slots[64];
    uint32_t i = 0;
    while (i < op->nkeys) {
        int n = 0;
        while (i < op->nkeys && n < 64) {
            slots[n++] = op->keys[i++].slot;
        }
        for (int db = 0; db < s->keyspace->databases; db++) {
            keyspace_view_settle(&part->view, db, slots, n);
        }
    }
    keyspace_view_free(&part->view);
}

/* The owner gets its slots back. */
static void lend_released(struct shard *s, struct lend_part *part)
{
    struct op *op = part->op;
    sched_point("lend: released");
    if (op->group->lend->whole) {
        s->keyspace->hooks = part->hooks;
    } else {
        view_settle(s, part);
    }
    touched_replay(&part->touched, s); /* served before the pass */
    tracking_turn(s);
    slots_let_go(s->exec, op);
    op->outcome &= ~(uint32_t)OP_HELD;
    if (op->wait == NULL || !blocked_tried(s, op->wait)) {
        op->run->at = op->run_next;
        if (!(op->flags & OP_MORE)) {
            unit_go_on(s->exec, op->run);
            op->run->unit = NULL;
        }
    }
}

/* False while the command still waits for others. */
static bool run_lend_op(struct shard *s, struct run *run, struct op *op)
{
    struct lend *lend = op->group->lend;
    s->exec->ticks = 0;
    if (!(op->outcome & OP_HELD)) {
        lend_hold(s, op);
    }
    if (op != lend->runner_op || !lend->may_go) {
        return false; /* READY or RELEASE will come */
    }
    lend_begin(s, op);
    sched_point("lend: runs");
    if (!slice_wanted(op)) {
        exec_op(s, op, &run->reply, lend->views);
    } else if (!op_begin_sliced(s, run, op, lend->views)) {
        if (!(op->outcome & OP_RESTS)) {
            keys_own(op);
        }
        return false;
    }
    lend_end(s, op);
    return true;
}

/* --- the pass ------------------------------------------------------------------------------- */

/* Members of large collections that the commands name: their buckets, then themselves. */
static void prefetch_members(const struct keyspace *ks, struct op *const *ahead, uint32_t n)
{
    const struct table *table[PREFETCH_OPS], *last_table = NULL;
    uint64_t hash[PREFETCH_OPS];
    const struct op *last = NULL;
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct op *op = ahead[i];
        int64_t at = member_at(op);
        if (at <= 0 || at >= op->argc || op->nkeys == 0) {
            continue;
        }
        if (last == NULL || last->keys[0].hash != op->keys[0].hash || last->db != op->db) {
            last = op;
            last_table = keyspace_members(ks, op->db, &op->keys[0]);
        }
        if (last_table != NULL) {
            table[m] = last_table;
            op->member_hash = hash[m] = hash_bytes(op->argv[at].ptr, op->argv[at].len);
            table_prefetch_bucket(last_table, hash[m]);
            m++;
        }
    }
    for (uint32_t i = 0; i < m; i++) {
        table_prefetch_item(table[i], hash[i]);
    }
}

/* Commands on the key of the one before need nothing that is not under way. */
static bool on_same_key(const struct op *a, const struct op *b)
{
    return a->nkeys == 1 && b->nkeys == 1 && a->keys[0].hash == b->keys[0].hash && a->db == b->db;
}

/* The batch is known before the first command runs: load slot headers, then buckets, then
 * entries, then members, each while the others are under way. */
static void prefetch_ahead(struct shard *s, struct run *run, struct op *op)
{
    struct op *ahead[PREFETCH_OPS], *other[PREFETCH_OPS]; /* other: but for those on the same key */
    uint32_t n = 0, others = 0;
    while (run != NULL && n < PREFETCH_OPS) {
        run_prefetch(run->next);
        for (; op != NULL && n < PREFETCH_OPS; op = op->run_next) {
            if (n == 0 || !on_same_key(ahead[n - 1], op)) {
                other[others++] = op;
            }
            ahead[n++] = op;
        }
        run = run->next;
        op = run != NULL ? run->at : NULL;
    }
    s->exec->prefetched = n;
    s->exec->ticks = 0;
    if ((n == 1 && ahead[0]->nkeys <= 1) || s->exec->holds > 0) {
        return; /* nothing to overlap; or tables that a borrower may be changing */
    }
    for (uint32_t i = 0; i < others; i++) {
        for (uint32_t k = 0; k < other[i]->nkeys; k++) {
            keyspace_prefetch_table(s->keyspace, other[i]->db, &other[i]->keys[k]);
        }
    }
    for (uint32_t i = 0; i < others; i++) {
        for (uint32_t k = 0; k < other[i]->nkeys; k++) {
            keyspace_prefetch_bucket(s->keyspace, other[i]->db, &other[i]->keys[k]);
        }
    }
    for (uint32_t i = 0; i < others; i++) {
        for (uint32_t k = 0; k < other[i]->nkeys; k++) {
            keyspace_prefetch_entry(s->keyspace, other[i]->db, &other[i]->keys[k]);
        }
    }
    prefetch_members(s->keyspace, ahead, n);
}

/* None of its commands happens here. Returns the last. */
static struct op *transaction_skip(struct op *op)
{
    while (op->flags & OP_MORE) {
        op = op->run_next;
        op->outcome |= OP_SKIPPED;
    }
    return op;
}

/* Whether what an op has changed may be seen: at the end of a transaction, not inside of it. */
static bool ends_unit(const struct op *op)
{
    return !(op->flags & OP_MORE);
}

/* Whether memory is looked at before an op: it may need some, and has not begun. */
static bool needs_room(const struct op *op)
{
    return (!(op->command->flags & CMD_READONLY) || (op->flags & OP_MULTI)) &&
           !(op->outcome & OP_HELD);
}

enum run_state { RUN_LEFT, RUN_PARKED, RUN_FINISHED };

/* One command that is on this shard alone. RUN_PARKED: it waits for data. RUN_LEFT: it rests. */
static enum run_state run_op(struct shard *s, struct run *run, struct op *op)
{
    if ((run->flags & RUN_DIRECT) && s->pushes->count > 0) {
        pushes_flush(s); /* push.h I2: its reply goes out at once */
        s->exec->ticks = 0;
    }
    sched_point("run");
    if (__builtin_expect(op->command->flags & CMD_SLICED, 0) && slice_wanted(op) &&
        !slice_is_small(s, op)) {
        return op_begin_sliced(s, run, op, NULL) ? RUN_FINISHED : RUN_LEFT;
    }
    const bool direct = run->flags & RUN_DIRECT, bounded = op->command->flags & CMD_DRAWS;
    exec_op(s, op, direct && !bounded ? &run->conn->out : &run->reply, NULL);
    if (__builtin_expect(direct && bounded, 0)) { /* only a run's reply has a bound */
        reply_move(&run->conn->out, &run->reply, run->reply.total_bytes);
    }
    if (__builtin_expect(op->wait == NULL, 1)) {
        return RUN_FINISHED;
    }
    blocked_begin(op->wait->wait);
    if (!blocked_tried(s, op->wait)) {
        return RUN_FINISHED;
    }
    if (run->flags & RUN_DIRECT) { /* the reply comes later, in the run; its home is here */
        run->flags &= ~(uint32_t)RUN_DIRECT;
    }
    return RUN_PARKED;
}

static enum run_state run_park(struct run *run)
{
    struct op *op = run->at;
    assert(op->run_next == NULL); /* the last of its connection */
    op->wait->parked = true;
    return RUN_PARKED;
}

/* The op at hand is done: on to the next. */
static inline void op_end(struct shard *s, struct run *run, struct op *op)
{
    run->at = op->run_next;
    if (ends_unit(op)) {
        run->unit = NULL;
        if (blocked_ready(s)) {
            blocked_serve(s, true);
            s->exec->ticks = 0;
        }
    }
}

static enum run_state run_ops(struct shard *s, struct run *run)
{
    struct exec *x = s->exec;
    if (run->at != NULL && (run->at->outcome & (OP_WAITS | OP_RESTS))) {
        if (run->at->outcome & OP_WAITS) {
            return run_park(run);
        }
        if (!op_go_on(s, run->at)) {
            return RUN_LEFT;
        }
        op_end(s, run, run->at);
    }
    if (run->stamp > x->now) {
        x->waits_for_horizon = true;
        return RUN_LEFT; /* I3 */
    }
    if (!(run->flags & RUN_FREE) && run->stamp >= x->horizon) {
        x->waits_for_horizon = true;
        return RUN_LEFT;
    }
    if (run->at == run->first && !(run->flags & RUN_DIRECT)) {
        run_make_reply_room(run);
    }
    bool inside = false; /* a free run: within a transaction that has begun */
    while (run->at != NULL) {
        struct op *op = run->at;
        if (__builtin_expect(x->over, 0) && run->unit == NULL) {
            if (!x->cut) {
                x->cut = true;
                counter_add(&s->stats.cut, 1);
                x->cut_stamp = run->stamp;
            }
            return RUN_LEFT; /* I6 */
        }
        if ((x->marked || x->holds > 0) && !inside &&
            (run->flags & RUN_FREE ? transaction_conflicts(x, op) : conflicts(x, op))) {
            return RUN_LEFT;
        }
        inside = (run->flags & RUN_FREE) && (op->flags & OP_MORE);
        if (s->config->core.maxmemory > 0 && run->unit == NULL && needs_room(op)) {
            evict_before(s);
            x->ticks = 0;
        }
        if (run->unit == NULL && (op->flags & OP_MORE)) {
            run->unit = op;
        }
        if (x->prefetched == 0) {
            prefetch_ahead(s, run, op);
        }
        x->prefetched--;
        if (op->flags & OP_CHECK) {
            x->ticks = 0;
            if (!watch_decide(s, op)) {
                return RUN_LEFT;
            }
            op = op->outcome & OP_SKIPPED ? transaction_skip(op) : op;
        } else if (op->group != NULL && op->group->lend != NULL) {
            if (!run_lend_op(s, run, op)) {
                return RUN_LEFT;
            }
            if (op->wait != NULL && blocked_tried(s, op->wait)) {
                return run_park(run);
            }
        } else {
            enum run_state state = run_op(s, run, op);
            if (__builtin_expect(state != RUN_FINISHED, 0)) {
                return state == RUN_PARKED ? run_park(run) : RUN_LEFT;
            }
        }
        op_end(s, run, op);
    }
    return RUN_FINISHED;
}

static enum run_state run_proceed(struct shard *s, struct run *run)
{
    unit_go_on(s->exec, run);
    enum run_state state = run_ops(s, run);
    if (state == RUN_LEFT) {
        unit_stop(s->exec, run);
    }
    return state;
}

void exec_return(struct shard *s, struct run *run)
{
    if (run->home == s->id) {
        chain_append(&s->exec->done, run);
    } else {
        chain_append(&s->returns[run->home], run);
        s->exec->returning = true;
        counter_add(&s->stats.remote, 1);
    }
}

void exec_fence_up(struct shard *s)
{
    struct exec *x = s->exec;
    assert(x->fence == NULL && x->holds == 0 && !x->marked); /* I5 */
    x->fence = s->executing->run->conn;
}

void exec_fence_down(struct shard *s)
{
    struct exec *x = s->exec;
    assert(x->fence == s->executing->run->conn && s->executing->run_next == NULL);
    x->fence_ends = true;
}

static bool run_holds(const struct run *run)
{
    return run->at != NULL && (run->at->outcome & (OP_HELD | OP_RESTS));
}

static void pass(struct shard *s)
{
    struct exec *x = s->exec;
    uint32_t holders = x->holders;
    x->pass++;
    x->marked = x->marked_all = false;
    x->waits_for_horizon = false;
    x->prefetched = 0;
    slices_turn(s);
    x->ticks = 0;
    x->over = x->cut = false;
    x->until_ticks = clock_ticks() + slices_ticks(s);
    struct run **link = &x->waiting;
    while (*link != NULL) {
        struct run *run = *link;
        if (x->fence != NULL && x->fence != run->conn && !sched_has(SCHED_FENCE_OPEN)) {
            link = &run->next; /* I5 */
            continue;
        }
        holders -= run_holds(run);
        switch (run_proceed(s, run)) {
        case RUN_FINISHED:
            *link = run->next;
            exec_return(s, run);
            break;
        case RUN_PARKED:
            *link = run->next;
            break;
        case RUN_LEFT:
            mark_waiting(x, run); /* I2 */
            counter_add(&s->stats.waited, 1);
            link = &run->next;
            break;
        }
        if (x->fence_ends) {
            x->fence = NULL;
            x->fence_ends = false;
            x->waits_for_horizon = x->waiting != NULL; /* do not sleep: theirs is the next pass */
            break;
        }
        if ((x->marked_all || x->cut) && holders == 0) {
            break; /* all that is left conflicts (many scripts with undeclared keys, say), or I6 */
        }
    }
}

/* --- taking --------------------------------------------------------------------------------- */

static bool run_before(const struct run *a, const struct run *b)
{
    return a->stamp != b->stamp ? a->stamp < b->stamp : a->home < b->home;
}

static void chains_add(struct exec *x, struct run *first)
{
    if (x->chains_count == x->chains_cap) {
        x->chains_cap = x->chains_cap > 0 ? x->chains_cap * 2 : 64;
        x->chains = mem_realloc(x->chains, x->chains_cap * sizeof *x->chains);
    }
    /* Nearly sorted already: mailboxes keep the order of pushes. */
    uint32_t i = x->chains_count++;
    while (i > 0 && run_before(first, x->chains[i - 1])) {
        x->chains[i] = x->chains[i - 1];
        i--;
    }
    x->chains[i] = first;
}

static void messages_append(struct message **first, struct message **last, struct message *m)
{
    m->link.next = NULL;
    if (*first != NULL) {
        (*last)->link.next = &m->link;
    } else {
        *first = m;
    }
    *last = m;
}

/* Broadcasts look at the keyspace: they wait while all of it is lent. Those of commands that are
 * allowed while a script is busy do not. */
static void asked_append(struct shard *s, struct message *m)
{
    struct exec *x = s->exec;
    if (note_serves_busy(m)) {
        note_run(s, m);
    } else {
        messages_append(&x->asked, &x->asked_last, m);
    }
}

static void run_asked(struct shard *s)
{
    struct exec *x = s->exec;
    sched_point("asked");
    while (x->asked != NULL && !x->held_all) {
        struct message *m = x->asked;
        x->asked = message_next(m);
        note_run(s, m);
    }
}

/* A message about lending. */
static void lend_message(struct shard *s, struct message *m)
{
    if (m->kind == MESSAGE_READY) {
        ((struct lend *)((char *)m - offsetof(struct lend, ready)))->may_go = true;
    } else {
        lend_released(s, (struct lend_part *)((char *)m - offsetof(struct lend_part, release)));
    }
}

/* What has come while a script ran. */
static void take_late(struct shard *s)
{
    struct exec *x = s->exec;
    while (x->late != NULL) {
        struct message *m = x->late;
        x->late = message_next(m);
        lend_message(s, m);
    }
}

static void chain_join(struct chain *chain, struct run *first)
{
    if (chain->last != NULL) {
        chain->last->next = first;
    } else {
        chain->first = first;
    }
    chain->last = first->chain_last;
}

/* A chain has come. There may be one from each shard, of a run or two: load them side by side. */
static void chain_prefetch(const struct run *first)
{
    run_prefetch(first);
    run_prefetch(first->next);
}

static void take(struct shard *s)
{
    struct exec *x = s->exec;
    struct message *m = mailbox_take_sc(&s->mailbox);
    while (m != NULL) {
        struct message *next = message_next(m);
        switch (m->kind) {
        case MESSAGE_RUNS:
            chain_prefetch((struct run *)m);
            chains_add(x, (struct run *)m);
            break;
        case MESSAGE_RETURNS:
            chain_prefetch((struct run *)m);
            chain_join(&x->done, (struct run *)m);
            break;
        case MESSAGE_READY:
        case MESSAGE_RELEASE:
            if (s->serving) { /* keyspace and waiting runs are in use */
                messages_append(&x->late, &x->late_last, m);
            } else {
                lend_message(s, m);
            }
            break;
        case MESSAGE_PUSHES:
            pushes_arrived(s, (struct delivery *)m);
            break;
        case MESSAGE_DECIDED:
            watch_decided(m);
            break;
        case MESSAGE_CANCEL:
            blocked_cancelled(
                s, (struct wait_part *)((char *)m - offsetof(struct wait_part, cancel)));
            break;
        case MESSAGE_NOTE:
            note_run(s, m);
            break;
        case MESSAGE_ASK:
            asked_append(s, m);
            break;
        }
        m = next;
    }
}

/* Merges the chains, sorted, into the waiting list. */
static void merge_chains(struct exec *x)
{
    struct run **link = &x->waiting;
    for (uint32_t i = 0; i < x->chains_count; i++) {
        struct run *first = x->chains[i], *last = first->chain_last;
        while (*link != NULL && !run_before(first, *link)) {
            link = &(*link)->next;
        }
        last->next = *link;
        *link = first;
        link = &last->next;
    }
    x->chains_count = 0;
}

static void send_returns(struct shard *s)
{
    struct server *server = s->server;
    for (unsigned home = 0; home < server->shard_count; home++) {
        struct chain *chain = &s->returns[home];
        if (chain->first != NULL) {
            struct run *first = chain_close(chain);
            first->message.kind = MESSAGE_RETURNS;
            shard_send(s, server->shards[home], &first->message);
        }
    }
    s->exec->returning = false;
}

/* --- while a script keeps the shard ----------------------------------------------------------- */

/* Whether nothing of a run has happened yet and none of it needs another shard. */
static bool run_is_plain(const struct run *run)
{
    for (const struct op *op = run->first; op != NULL; op = op->run_next) {
        if ((op->flags & (OP_PART | OP_HEAD | OP_WHOLE | OP_BARRIER | OP_MULTI |
                          OP_CHECK)) ||
            op->command->route != ROUTE_KEYS || op->wait != NULL || (op->outcome & OP_RESTS)) {
            return false;
        }
    }
    return run->at == run->first;
}

static void run_refuse(struct shard *s, struct run *run, const char *error)
{
    struct reply *out = run->flags & RUN_DIRECT ? &run->conn->out : &run->reply;
    for (struct op *op = run->first; op != NULL; op = op->run_next) {
        size_t before = out->total_bytes;
        out->resp = op->resp;
        out->muted = op->flags & OP_MUTED;
        reply_error(out, error);
        out->muted = false;
        op->reply_bytes = out->total_bytes - before;
        op->outcome |= OP_FAILED;
        stats_error(s, out->error_code);
    }
    run->at = NULL;
    exec_return(s, run);
}

static void refuse_list(struct shard *s, struct run **link, const char *error)
{
    while (*link != NULL) {
        struct run *run = *link;
        if (run_is_plain(run)) {
            *link = run->next;
            run_refuse(s, run, error);
        } else {
            link = &run->next;
        }
    }
}

static struct run *last_of(struct run *run)
{
    while (run->next != NULL) {
        run = run->next;
    }
    return run;
}

/* What came before the shard was known to be busy gets the same answer as what comes now. It has had
 * no effect, so its place in the order does not matter. behind: the run that the script is in; NULL:
 * the shard is lent to it. */
static void refuse_waiting(struct shard *s, struct run *behind)
{
    struct exec *x = s->exec;
    const char *error = busy_error(&s->server->busy, (int)s->id);
    if (error == NULL) {
        return;
    }
    refuse_list(s, behind != NULL ? &behind->next : &x->waiting, error);
    uint32_t left = 0;
    for (uint32_t i = 0; i < x->chains_count; i++) {
        refuse_list(s, &x->chains[i], error);
        struct run *first = x->chains[i];
        if (first != NULL) {
            first->chain_last = last_of(first);
            x->chains[left++] = first;
        }
    }
    x->chains_count = left;
}

/* The pass that the script runs in goes on afterwards: its list and horizon stay as they are. */
void exec_serve(struct shard *s)
{
    struct exec *x = s->exec;
    take(s);
    if (x->local.first != NULL) {
        chains_add(x, chain_close(&x->local));
    }
    refuse_waiting(s, s->executing->run);
    pushes_flush(s); /* push.h I2 */
    if (x->returning) {
        send_returns(s);
    }
}

bool exec_turn(struct shard *s)
{
    struct exec *x = s->exec;
    if (x->waiting == NULL && x->local.first == NULL && s->monitor_lines == NULL &&
        mailbox_empty(&s->mailbox) && !x->returning && !blocked_ready(s) && x->chains_count == 0 &&
        x->late == NULL) {
        return false;
    }
    if (s->server->shard_count == 1) {
        x->horizon = x->now = UINT64_MAX;
    } else {
        x->horizon = order_horizon(&s->server->order, x->horizon, &x->now);
    }
    take_late(s);
    take(s); /* after the phases were read */
    if (s->server->shard_count > 1 && sched_has(SCHED_HORIZON_LATE)) {
        x->horizon = order_horizon(&s->server->order, x->horizon, &x->now);
    }
    run_asked(s);
    if (s->monitor_lines != NULL) {
        monitor_show(s, x->horizon);
    }
    if (x->local.first != NULL) {
        chains_add(x, chain_close(&x->local));
    }
    merge_chains(x);
    if (x->held_all && busy_any(&s->server->busy)) {
        refuse_waiting(s, NULL);
    }
    if (blocked_ready(s)) {
        blocked_serve(s, false);
    }
    if (x->waiting != NULL) {
        pass(s);
    } else {
        x->waits_for_horizon = x->cut = false;
    }
    if (!sched_has(SCHED_ASKS_FORGOTTEN)) {
        run_asked(s); /* a script that had everything may have just ended here */
    }
    evict_publish(s);
    pushes_flush(s); /* push.h I2: before what was executed after them goes back */
    if (x->returning) {
        send_returns(s);
    }
    return true;
}
