/* group.c - building groups and combining their replies (see group.h). */
#include "shards/group.h"
#include "core/num.h"
#include "shards/blocked.h"
#include "shards/route.h"
#include <assert.h>
#include <stdlib.h>

/* --- building -------------------------------------------------------------------------------- */

struct group *group_new(struct shard *s, struct conn *conn, const struct command *cmd,
                        const struct slice *argv, uint32_t argc, struct run *memory,
                        uint32_t nparts)
{
    struct op *head = route_op_new(s, memory, conn, cmd, route_copy_argv(s, memory, argv, argc), argc);
    struct group *group = run_alloc(&s->run_pool, memory, sizeof *group);
    *group = (struct group){.head = head, .missing = nparts};
    group->parts = run_alloc(&s->run_pool, memory, nparts * sizeof *group->parts);
    head->group = group;
    head->flags |= OP_HEAD;
    head->run = memory;
    memory->undrained++;
    s->route->groups = true;
    counter_add(&s->stats.groups, 1);
    return group;
}

/* A part is its head without what only the head has: one copy, as there are many. */
static struct op *part_new(struct shard *s, struct conn *conn, struct group *group, unsigned shard,
                           uint32_t nkeys)
{
    const struct op *head = group->head;
    struct run *run = route_run_to(s, conn, shard);
    uint32_t nmarks = group->part_of != NULL ? nkeys : 0;
    struct op *op = run_alloc(&s->run_pool, run,
                              sizeof *op + nkeys * sizeof *op->keys + nmarks * sizeof *op->marks);
    *op = *head;
    op->flags = (head->flags & ~(uint32_t)(OP_HEAD | OP_MUTED)) | OP_PART; /* parts must report */
    op->keys = (struct key *)(op + 1);
    op->nkeys = 0;
    op->marks = nmarks > 0 ? (uint32_t *)(op->keys + nkeys) : NULL;
    op->marks_cap = nmarks;
    run->flags |= RUN_PARTS;
    run_append(run, op);
    group->parts[group->nparts++] = op;
    return op;
}

static void lend_new(struct shard *s, struct group *group, struct run *memory, struct op *runner)
{
    struct run_pool *pool = &s->run_pool;
    struct lend *lend = run_alloc(pool, memory, sizeof *lend);
    memset(lend, 0, sizeof *lend);
    lend->ready.kind = MESSAGE_READY;
    atomic_init(&lend->missing, group->nparts);
    lend->runner = runner->run->shard;
    lend->runner_op = runner;
    lend->nparts = group->nparts;
    lend->views = run_alloc(pool, memory, s->server->shard_count * sizeof *lend->views);
    memset(lend->views, 0, s->server->shard_count * sizeof *lend->views);
    lend->parts = run_alloc(pool, memory, group->nparts * sizeof *lend->parts);
    memset(lend->parts, 0, group->nparts * sizeof *lend->parts);
    for (uint32_t i = 0; i < group->nparts; i++) {
        lend->parts[i].release.kind = MESSAGE_RELEASE;
        lend->parts[i].op = group->parts[i];
        lend->parts[i].shard = group->parts[i]->run->shard;
    }
    group->lend = lend;
}

/* Keys per shard, into the route's scratch; returns how many shards. */
static uint32_t count_shards(struct shard *s, const struct key *keys, uint32_t nkeys)
{
    struct route *r = s->route;
    uint32_t shards = 0;
    for (uint32_t i = 0; i < nkeys; i++) {
        struct route_slot *slot = &r->run_of[keys[i].shard];
        if (slot->part_keys++ == 0) {
            shards++;
        }
    }
    return shards;
}

void group_by_keys(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc, const struct key *keys,
                   uint32_t nkeys)
{
    struct route *r = s->route;
    uint32_t nparts = count_shards(s, keys, nkeys), most = 0;
    struct run *memory = route_run_to(s, conn, keys[0].shard);
    struct group *group = group_new(s, conn, cmd, argv, argc, memory, nparts);
    struct op *head = group->head, *runner = NULL;
    if (cmd->apart == APART_EACH_KEY || cmd->apart == APART_EACH_PAIR) {
        group->part_of = run_alloc(&s->run_pool, memory, nkeys * sizeof *group->part_of);
    }
    for (uint32_t i = 0; i < nkeys; i++) {
        struct route_slot *slot = &r->run_of[keys[i].shard];
        if (slot->part_keys > 0) { /* the first of its keys */
            uint32_t n = slot->part_keys;
            slot->part_index = (uint16_t)group->nparts;
            slot->part = part_new(s, conn, group, keys[i].shard, n);
            slot->part_keys = 0;
            if (n > most) {
                most = n;
                runner = slot->part;
            }
        }
        slot->part->keys[slot->part->nkeys++] = keys[i];
        if (group->part_of != NULL) {
            group->part_of[i] = slot->part_index;
        }
    }
    head->nkeys = nkeys;
    if (cmd->apart == APART_LEND || r->waits) { /* else the parts' are enough */
        head->keys = run_alloc(&s->run_pool, memory, nkeys * sizeof *head->keys);
        memcpy(head->keys, keys, nkeys * sizeof *head->keys);
    }
    if (cmd->apart == APART_LEND) {
        lend_new(s, group, memory, runner);
    }
    if (r->waits) {
        blocked_prepare(s, head, r->again);
    }
    route_conn_append(conn, head);
}

void group_on_all(struct shard *s, struct conn *conn, const struct command *cmd,
                  const struct slice *argv, uint32_t argc)
{
    unsigned shards = s->server->shard_count;
    struct run *memory = route_run_to(s, conn, s->id);
    struct group *group = group_new(s, conn, cmd, argv, argc, memory, shards);
    for (unsigned i = 0; i < shards; i++) {
        struct op *op = part_new(s, conn, group, i, 0);
        op->flags |= OP_WHOLE;
    }
    route_conn_append(conn, group->head);
}

void group_lend_all(struct shard *s, struct conn *conn, const struct command *cmd,
                    const struct slice *argv, uint32_t argc, const struct key *keys,
                    uint32_t nkeys)
{
    unsigned shards = s->server->shard_count, runner = nkeys > 0 ? keys[0].shard : s->id;
    struct run *memory = route_run_to(s, conn, runner);
    struct group *group = group_new(s, conn, cmd, argv, argc, memory, shards);
    struct op *head = group->head, *runner_op = NULL;
    for (unsigned i = 0; i < shards; i++) {
        struct op *op = part_new(s, conn, group, i, 0);
        op->flags |= OP_WHOLE;
        runner_op = i == runner ? op : runner_op;
    }
    head->keys = run_alloc(&s->run_pool, memory, nkeys * sizeof *head->keys);
    memcpy(head->keys, keys, nkeys * sizeof *head->keys);
    head->nkeys = nkeys;
    lend_new(s, group, memory, runner_op);
    group->lend->whole = true;
    route_conn_append(conn, head);
}

/* --- combining ------------------------------------------------------------------------------- */

static void drop_reply(struct op *op)
{
    reply_consume(&op->run->reply, op->reply_bytes);
    op->reply_bytes = 0;
}

static void take_reply(struct op *op, struct reply *out)
{
    reply_move(out, &op->run->reply, op->reply_bytes);
    op->reply_bytes = 0;
}

static int64_t integer_of(struct op *op)
{
    struct iovec iov;
    int64_t v = 0;
    /* ":<digits>\r\n", never cut (reply.h I2) */
    int n = reply_iovec(&op->run->reply, &iov, 1);
    assert(n == 1 && iov.iov_len >= op->reply_bytes && *(char *)iov.iov_base == ':');
    (void)n;
    bool ok = num_parse_int((char *)iov.iov_base + 1, op->reply_bytes - 3, &v);
    assert(ok);
    (void)ok;
    return v;
}

static void reply_sum(struct group *group, struct reply *out)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < group->nparts; i++) {
        sum += integer_of(group->parts[i]);
        drop_reply(group->parts[i]);
    }
    reply_int(out, sum);
}

/* The parts' elements, so many per key, put into the order of the keys. */
static void reply_each_key(struct group *group, size_t elements, struct reply *out)
{
    const struct op *head = group->head;
    reply_array(out, elements * head->nkeys);
    for (uint32_t i = 0; i < group->nparts; i++) {
        group->parts[i]->nkeys = 0; /* from here on: elements taken */
    }
    for (uint32_t k = 0; k < head->nkeys; k++) {
        struct op *part = group->parts[group->part_of[k]];
        assert(part->nkeys < part->marks_count);
        uint32_t bytes = part->marks[part->nkeys++];
        reply_move(out, &part->run->reply, bytes);
        part->reply_bytes -= bytes;
    }
}

static void reply_concat(struct group *group, struct reply *out)
{
    size_t elements = 0;
    for (uint32_t i = 0; i < group->nparts; i++) {
        elements += group->parts[i]->marks_count;
    }
    reply_array(out, elements);
    for (uint32_t i = 0; i < group->nparts; i++) {
        take_reply(group->parts[i], out);
    }
}

static void reply_any(struct group *group, struct reply *out)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < group->nparts; i++) {
        sum += group->parts[i]->weight;
    }
    uint64_t pick = sum > 0 ? ((uint64_t)random() << 31 | (uint64_t)random()) % sum : 0;
    struct op *chosen = NULL;
    for (uint32_t i = 0; i < group->nparts && chosen == NULL; i++) {
        struct op *part = group->parts[i];
        if (sum == 0 || pick < part->weight) {
            chosen = part;
        } else {
            pick -= part->weight;
        }
    }
    take_reply(chosen, out);
}

void group_reply(struct group *group, struct reply *out)
{
    struct op *head = group->head;
    uint32_t errors = out->errors;
    struct op *failed = NULL;
    for (uint32_t i = group->nparts; i-- > 0;) {
        struct op *part = group->parts[i]; /* parts run side by side: the longest counts */
        head->ticks = part->ticks > head->ticks ? part->ticks : head->ticks;
        failed = part->outcome & OP_FAILED ? part : failed;
    }
    if (group->lend != NULL) {
        struct op *answer = blocked_answer(head, group->lend->runner_op);
        take_reply(answer, out);
        head->outcome |= answer->outcome & OP_FAILED;
    } else if (failed != NULL) { /* it speaks for all */
        take_reply(failed, out);
        head->outcome |= OP_FAILED;
    } else {
        switch (head->command->apart) {
        case APART_SUM:
            reply_sum(group, out);
            break;
        case APART_OK:
            reply_ok(out);
            break;
        case APART_EACH_KEY:
            reply_each_key(group, 1, out);
            break;
        case APART_EACH_PAIR:
            reply_each_key(group, 2, out);
            break;
        case APART_CONCAT:
            reply_concat(group, out);
            break;
        case APART_ANY:
            reply_any(group, out);
            break;
        case APART_LEND:
        case APART_MADE:
            assert(!"not combined from parts");
        }
    }
    out->errors = errors; /* counted where they arose */
    group_discard(group);
}

void group_discard(struct group *group)
{
    for (uint32_t i = 0; i < group->nparts; i++) {
        if (group->parts[i]->reply_bytes > 0) {
            drop_reply(group->parts[i]);
        }
        if (group->head->command->apart == APART_CONCAT) {
            mem_free(group->parts[i]->marks); /* grown by call_mark() */
        }
    }
}
