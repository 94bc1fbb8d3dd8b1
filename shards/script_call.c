/* script_call.c - redis.call: a command that a script calls, run on this thread as if it had come
 * in the place of the script.
 *
 *   look up ► allowed in scripts? ► keys in reach? ► row's run() on the outer call's keyspaces
 *
 * Commands by keys see the slots that the script holds. Commands on all shards (DBSIZE, FLUSHALL,
 * KEYS) need all keyspaces: they run on each, and their replies are combined as group.c combines
 * those of parts. */
#include "core/num.h"
#include "shards/busy.h"
#include "shards/commands.h"
#include "shards/group.h"
#include "shards/latency.h"
#include "shards/monitor.h"
#include "shards/pubsub.h"
#include "shards/script_run.h"
#include "shards/tracking.h"
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

/* --- is it allowed? --------------------------------------------------------------------------- */

static const char *refusal(const struct script_run *x, const struct command *cmd, uint32_t argc)
{
    if (cmd == NULL) {
        return SCRIPT_ERROR_UNKNOWN;
    }
    if (cmd->run == NULL || !command_arity_fits(cmd, argc)) {
        return SCRIPT_ERROR_ARITY;
    }
    if ((cmd->flags & CMD_NOSCRIPT) &&
        !atomic_load_explicit(&x->shard->server->scripts_may_all, memory_order_relaxed)) {
        return SCRIPT_ERROR_NOSCRIPT;
    }
    if (x->read_only && (cmd->flags & (CMD_WRITE | CMD_MAY_REPLICATE))) {
        return SCRIPT_ERROR_READ_ONLY;
    }
    if (x->out_of_memory && !x->allow_oom && !x->wrote && (cmd->flags & CMD_DENYOOM)) {
        return "OOM command not allowed when used memory > 'maxmemory'.";
    }
    return NULL;
}

int script_call_allowed(void *ctx, const struct slice *argv, uint32_t argc)
{
    (void)ctx; /* there are no users yet: everybody may do everything */
    return commands_lookup(argv, argc) != NULL ? 1 : -1;
}

static void refuse(struct script_run *x, const struct command *cmd, const char *text,
                   struct reply *out)
{
    reply_error(out, text);
    stats_error(x->shard, out->error_code);
    if (cmd != NULL) {
        stats_reject(x->shard, cmd);
    }
}

/* --- reach ------------------------------------------------------------------------------------ */

static bool slot_declared(const struct script_run *x, uint16_t slot)
{
    const struct call *c = x->outer;
    if (c->nkeys > SCRIPT_RUN_KEYS_FEW) {
        return x->scripting->declared[slot / 64] >> (slot % 64) & 1;
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        if (c->keys[i].slot == slot) {
            return true;
        }
    }
    return false;
}

/* The script reaches beyond its keys. False: it may not, and an error was written. */
static bool stray(struct script_run *x, const struct command *cmd, struct reply *out)
{
    x->strayed = true;
    if (!x->bounded) {
        return true;
    }
    x->abandoned = x->may_restart && !x->wrote; /* I2 of scripting.h */
    refuse(x, cmd, "ERR Script reached for a key that its text does not show; now that this is known "
                   "it will not happen again. Run it anew", out);
    return false;
}

/* Most keys that a command names are the script's own: those are hashed already. */
static bool key_of_outer(const struct call *outer, struct slice name, struct key *k)
{
    for (uint32_t i = 0; i < outer->nkeys && i < SCRIPT_RUN_KEYS_FEW; i++) {
        const struct key *o = &outer->keys[i];
        if (o->len == name.len && memcmp(o->ptr, name.ptr, name.len) == 0) {
            k->hash = o->hash;
            k->slot = o->slot;
            k->shard = o->shard;
            return true;
        }
    }
    return false;
}

/* The command's keys into the scratch. */
static uint32_t find_keys(struct script_run *x, const struct command *cmd, const struct slice *argv,
                          uint32_t argc)
{
    struct scripting *g = x->scripting;
    if (g->keys_cap < argc) {
        g->keys_cap = argc < 64 ? 64 : argc;
        g->keys = mem_realloc(g->keys, g->keys_cap * sizeof *g->keys);
        g->positions = mem_realloc(g->positions, g->keys_cap * sizeof *g->positions);
    }
    int n = command_keys(cmd, argv, argc, g->positions, (int)g->keys_cap);
    for (int i = 0; i < n; i++) {
        struct slice name = argv[g->positions[i]];
        struct key *k = &g->keys[i];
        k->ptr = name.ptr;
        k->len = (uint32_t)name.len;
        k->arg = g->positions[i];
        if (!key_of_outer(x->outer, name, k)) {
            k->hash = hash_bytes(name.ptr, name.len);
            k->slot = hash_slot(name.ptr, name.len);
            k->shard = x->shard->server->slot_shard[k->slot];
        }
    }
    return n > 0 ? (uint32_t)n : 0; /* a bad number of keys: the command says what is wrong */
}

/* I1 of scripting.h. */
static bool within_reach(struct script_run *x, const struct command *cmd, const struct slice *argv,
                         uint32_t argc, uint32_t nkeys, struct reply *out)
{
    if (!x->bounded && !x->watched) {
        return true;
    }
    if (cmd->undeclared != NULL && cmd->undeclared(argv, argc)) {
        return stray(x, cmd, out);
    }
    for (uint32_t i = 0; i < nkeys; i++) {
        if (!slot_declared(x, x->scripting->keys[i].slot)) {
            return stray(x, cmd, out);
        }
    }
    return true;
}

/* --- running ---------------------------------------------------------------------------------- */

static struct call inner_call(const struct script_run *x, const struct command *cmd,
                              const struct slice *argv, uint32_t argc, struct reply *out)
{
    const struct call *outer = x->outer;
    return (struct call){
        .command = cmd,
        .ks = outer->ks,
        .views = outer->views,
        .argv = argv,
        .argc = argc,
        .flags = (outer->flags & (CALL_WHOLE | CALL_NO_TOUCH | CALL_FROM_MASTER | CALL_IN_MULTI)) |
                 CALL_DENY_BLOCKING | CALL_IN_SCRIPT,
        .db = x->db,
        .out = out,
        .now_ms = outer->now_ms,
        .slot_begin = outer->slot_begin,
        .slot_end = outer->slot_end,
        .slot_shard = outer->slot_shard,
        .host = x->shard,
    };
}

static void run_by_keys(struct script_run *x, struct call *c, uint32_t nkeys)
{
    struct shard *s = x->shard;
    c->keys = x->scripting->keys;
    c->nkeys = nkeys;
    c->command->run(c);
    x->outer->dirty += c->dirty;
    if ((s->executing->flags & OP_TRACK) && (c->command->flags & CMD_READONLY)) {
        tracking_remember(s, s->executing, s->executing->keys, s->executing->nkeys); /* all declared */
    }
}

/* One shard's part of a command on all of them. */
static void run_part(struct script_run *x, const struct call *like, struct op *op, unsigned shard,
                     bool part)
{
    const struct shard *owner = x->shard->server->shards[shard];
    struct call c = *like;
    c.ks = c.views != NULL ? c.views[shard] : c.ks;
    c.out = &op->run->reply;
    c.out->resp = like->out->resp;
    c.flags |= part ? CALL_PART : 0;
    c.marked_bytes_ = 0;
    c.slot_begin = owner->slot_begin;
    c.slot_end = owner->slot_end;
    c.command->run(&c);
    x->outer->dirty += c.dirty;
    op->reply_bytes = c.out->total_bytes;
    op->weight = c.weight;
    op->marks = c.marks;
    op->marks_count = c.marks_count;
    op->outcome = c.out->errors > 0 ? OP_FAILED : 0;
}

/* DBSIZE, FLUSHALL, KEYS …: on every shard's keyspace, put together as a group's parts are. */
static void run_on_all(struct script_run *x, struct call *c)
{
    unsigned n = x->shard->server->shard_count;
    struct run *runs = mem_alloc_zero(n * sizeof *runs);
    struct op *ops = mem_alloc_zero(n * sizeof *ops);
    struct op **parts = mem_alloc_zero(n * sizeof *parts);
    struct op head = {.command = c->command, .argv = c->argv, .argc = c->argc};
    for (unsigned i = 0; i < n; i++) {
        reply_init(&runs[i].reply, c->out->resp);
        ops[i].run = &runs[i];
        parts[i] = &ops[i];
        run_part(x, c, &ops[i], i, true);
    }
    struct group group = {.head = &head, .nparts = n, .parts = parts};
    bool failed = false;
    for (unsigned i = 0; i < n; i++) {
        failed |= ops[i].outcome & OP_FAILED;
        memcpy(c->out->error_code, runs[i].reply.error_code, sizeof c->out->error_code);
    }
    group_reply(&group, c->out);
    c->out->errors += failed;
    for (unsigned i = 0; i < n; i++) {
        reply_clear(&runs[i].reply);
    }
    mem_free(parts);
    mem_free(ops);
    mem_free(runs);
}

/* SCAN: by the slot in its cursor. */
static void run_by_cursor(struct script_run *x, struct call *c)
{
    int64_t cursor = 0;
    uint64_t slot = 0;
    char digits[24];
    if (c->argv[1].len < sizeof digits) {
        memcpy(digits, c->argv[1].ptr, c->argv[1].len);
        digits[c->argv[1].len] = '\0';
        cursor = (int64_t)strtoull(digits, NULL, 10); /* nonsense is refused where it runs */
        slot = (uint64_t)cursor >> 48;
    }
    const struct server *server = x->shard->server;
    unsigned shard = slot < SLOT_COUNT ? server->slot_shard[slot] : 0;
    c->ks = c->views != NULL ? c->views[shard] : c->ks;
    c->slot_begin = server->shards[shard]->slot_begin;
    c->slot_end = server->shards[shard]->slot_end;
    c->command->run(c);
}

static void run_select(struct script_run *x, struct call *c)
{
    int64_t db;
    if (!call_arg_int(c, 1, &db)) {
        return;
    }
    if (db < INT_MIN || db > INT_MAX) {
        reply_errorf(c->out, "ERR value is out of range, value must between %d and %d", INT_MIN,
                     INT_MAX);
    } else if (db < 0 || db >= x->shard->config->core.databases) {
        reply_error(c->out, "ERR DB index is out of range");
    } else {
        x->db = (int)db;
        reply_ok(c->out);
    }
}

static void run_at_home(struct script_run *x, struct call *c)
{
    c->host = NULL; /* there is no connection here */
    if ((c->command->flags & CMD_NOSCRIPT) && !(c->command->flags & CMD_PROTECTED)) {
        reply_error(c->out, SCRIPT_ERROR_NOSCRIPT); /* AUTH, HELLO …: it is about one */
        return;
    }
    if (slice_is(c->argv[0], "select")) {
        run_select(x, c);
    } else {
        c->command->run(c);
    }
}

/* The row finds the channel's owner by itself when it is given no key (cmd_pubsub.c). */
static void run_publish(struct script_run *x, struct call *c)
{
    c->nkeys = 0;
    c->command->run(c);
}

static void run_routed(struct script_run *x, struct call *c, uint32_t nkeys)
{
    switch (c->command->route) {
    case ROUTE_KEYS:
        run_by_keys(x, c, nkeys);
        break;
    case ROUTE_HOME:
        run_at_home(x, c);
        break;
    case ROUTE_ALL:
        run_on_all(x, c);
        break;
    case ROUTE_CURSOR:
        run_by_cursor(x, c);
        break;
    case ROUTE_CHANNELS:
        run_publish(x, c);
        break;
    case ROUTE_SUBSCRIBE:
    case ROUTE_TRANSACTION:
    case ROUTE_BARRIER: /* asks other shards, which may be waiting for this script */
        reply_error(c->out, SCRIPT_ERROR_NOSCRIPT);
        break;
    }
}

void script_call(void *ctx, const struct slice *argv, uint32_t argc, struct reply *out)
{
    struct script_run *x = ctx;
    struct shard *s = x->shard;
    if (x->abandoned) {
        reply_error(out, "ERR Script is about to be run anew");
        return;
    }
    const struct command *cmd = commands_lookup(argv, argc);
    const char *error = refusal(x, cmd, argc);
    if (error != NULL) {
        refuse(x, cmd, error, out);
        return;
    }
    bool everywhere = cmd->route == ROUTE_ALL || cmd->route == ROUTE_CURSOR;
    uint32_t nkeys = cmd->route == ROUTE_KEYS ? find_keys(x, cmd, argv, argc) : 0;
    if (!within_reach(x, cmd, argv, argc, nkeys, out) ||
        (everywhere && (x->bounded || x->watched) && !stray(x, cmd, out))) {
        return;
    }
    if (x->may_restart && (cmd->flags & (CMD_WRITE | CMD_PUBSUB | CMD_MAY_REPLICATE))) {
        stray(x, cmd, out); /* while it still can be run anew: I2 */
        return;
    }
    if (cmd->flags & CMD_WRITE) {
        if (x->busy && !busy_may_write(&s->server->busy, s->id)) {
            reply_error(out, "ERR Error running script: it was killed");
            return;
        }
        x->wrote = true;
    }
    if (atomic_load_explicit(&s->server->monitors, memory_order_relaxed) > 0) {
        monitor_feed_script(s, x->db, cmd, argv, argc);
    }
    struct call c = inner_call(x, cmd, argv, argc, out);
    uint32_t errors = out->errors;
    uint64_t start = clock_ticks();
    run_routed(x, &c, nkeys);
    uint64_t ticks = clock_ticks() - start;
    bool failed = out->errors != errors;
    if (failed) {
        stats_error(s, out->error_code);
    }
    stats_record(s, cmd, ticks, failed);
    counter_add(&s->stats.commands, 1);
}
