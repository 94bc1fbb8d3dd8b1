/* scripting.c - see scripting.h. The commands that scripts call are in script_call.c. */
#include "shards/scripting.h"
#include "shards/busy.h"
#include "shards/log.h"
#include "shards/script_run.h"
#include <assert.h>

/* --- the script's host ------------------------------------------------------------------------ */

static uint64_t run_ms(const struct script_run *x)
{
    return (uint64_t)((double)(clock_ticks() - x->started_ticks) / clock_ticks_per_us / 1000);
}

static void become_busy(struct script_run *x)
{
    bool function = x->what->function != NULL;
    log_warning("Slow script detected: still in execution after %llu milliseconds. You can try "
                "killing the script using the %s command. Script name is: %s.",
                (unsigned long long)run_ms(x), function ? "FUNCTION KILL" : "SCRIPT KILL",
                runnable_name(x->what));
    bool whole = (x->outer->flags & CALL_WHOLE) && x->shard->server->shard_count > 1;
    x->busy = true;
    busy_begin(&x->shard->server->busy, x->shard->id,
               (function ? BUSY_FUNCTION : 0) | (whole ? BUSY_WHOLE : 0) |
                   (x->wrote ? BUSY_WROTE : 0));
}

static enum script_verdict host_tick(void *ctx)
{
    struct script_run *x = ctx;
    struct shard *s = x->shard;
    if (x->abandoned || atomic_load_explicit(&s->server->stopping, memory_order_relaxed)) {
        return SCRIPT_STOP;
    }
    if (!x->busy) {
        if ((int64_t)run_ms(x) < s->config->busy_reply_threshold_ms) {
            shard_share(s);
            return SCRIPT_GO_ON;
        }
        become_busy(x);
    }
    shard_serve(s);
    return busy_is_killed(&s->server->busy, s->id) ||
                   atomic_load_explicit(&s->server->stopping, memory_order_relaxed)
               ? SCRIPT_STOP
               : SCRIPT_GO_ON;
}

static enum log_level level_of(enum script_log_level level)
{
    static const enum log_level levels[] = {LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE,
                                            LOG_LEVEL_WARNING};
    return levels[level];
}

static bool host_wants_log(enum script_log_level level)
{
    return level_of(level) >= shard_self->config->loglevel;
}

static void host_log(enum script_log_level level, struct slice text)
{
    log_write(level_of(level), "%.*s", (int)text.len, text.ptr);
}

/* Nothing is replicated yet, so there is nothing to choose from. */
static void host_set_repl(void *ctx, int repl)
{
    (void)ctx;
    (void)repl;
}

static const struct script_host host = {
    .call = script_call,
    .acl_check = script_call_allowed,
    .wants_log = host_wants_log,
    .log = host_log,
    .set_repl = host_set_repl,
    .tick = host_tick,
};

/* --- a shard's machine ------------------------------------------------------------------------ */

struct scripting *scripting_new(void)
{
    return mem_alloc_zero(sizeof(struct scripting));
}

void scripting_free(struct scripting *s)
{
    if (s->vm != NULL) {
        script_vm_free(s->vm);
    }
    mem_free(s->keys);
    mem_free(s->positions);
    mem_free(s);
}

struct script_vm *scripting_vm(struct shard *s)
{
    if (s->scripting->vm == NULL) {
        s->scripting->vm = script_vm_create(&host);
    }
    return s->scripting->vm;
}

void scripting_measure(struct shard *s)
{
    struct scripting *g = s->scripting;
    if (g->vm != NULL) {
        atomic_store_explicit(&g->vm_bytes, script_vm_memory_bytes(g->vm), memory_order_relaxed);
        atomic_store_explicit(&g->vm_function_bytes, script_vm_function_memory_bytes(g->vm),
                              memory_order_relaxed);
    }
}

void scripting_memory(const struct server *server, uint64_t *eval_bytes, uint64_t *function_bytes)
{
    for (unsigned i = 0; i < server->shard_count; i++) {
        const struct scripting *g = server->shards[i]->scripting;
        *eval_bytes += atomic_load_explicit(&g->vm_bytes, memory_order_relaxed);
        *function_bytes += atomic_load_explicit(&g->vm_function_bytes, memory_order_relaxed);
    }
}

const struct call *scripting_running(const struct shard *s, const char **name, uint64_t *duration_ms,
                                     bool *is_function)
{
    const struct script_run *x = s->scripting->running;
    if (x == NULL) {
        return NULL;
    }
    *name = runnable_name(x->what);
    *duration_ms = run_ms(x);
    *is_function = x->what->function != NULL;
    return x->outer;
}

uint32_t scripting_command_flags(const struct command *cmd, const struct runnable *r)
{
    if (r->flags & SCRIPT_COMPAT) {
        return cmd->flags;
    }
    return (cmd->flags & ~(uint32_t)(CMD_STALE | CMD_DENYOOM | CMD_WRITE | CMD_MAY_REPLICATE)) |
           (r->flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES) ? 0 : CMD_DENYOOM) |
           (r->flags & SCRIPT_NO_WRITES ? 0 : CMD_WRITE) |
           (r->flags & SCRIPT_ALLOW_STALE ? CMD_STALE : 0);
}

/* --- running ---------------------------------------------------------------------------------- */

static bool may_run(struct call *c, const struct runnable *r, bool read_only_command, bool oom)
{
    struct script_conditions now = {.read_only_command = read_only_command, .out_of_memory = oom};
    return script_may_run(r->flags, &now, c->out);
}

static void declare(struct script_run *x, bool in)
{
    const struct call *c = x->outer;
    if (!(x->bounded || x->watched) || c->nkeys <= SCRIPT_RUN_KEYS_FEW) {
        return;
    }
    for (uint32_t i = 0; i < c->nkeys; i++) {
        uint64_t bit = 1ull << (c->keys[i].slot % 64), *word = &x->scripting->declared[c->keys[i].slot / 64];
        *word = in ? *word | bit : *word & ~bit;
    }
}

bool scripting_compiles(struct shard *s, struct runnable *r, struct reply *out)
{
    if (r->script == NULL ||
        atomic_load_explicit(&r->code, memory_order_relaxed) == RUNNABLE_COMPILES) {
        return true;
    }
    bool ok = script_compile(scripting_vm(s), r->script, out);
    scripts_judge(s->server->scripts, r, ok);
    return ok;
}

/* A run that failed says nothing about what a better one will reach for. */
static void remember_reach(const struct script_run *x, bool failed)
{
    if (x->strayed || (x->watched && x->wrote)) {
        atomic_store_explicit(&x->what->reach, RUNNABLE_WIDE, memory_order_relaxed);
    } else if (x->watched && !failed) {
        uint8_t unknown = RUNNABLE_UNKNOWN; /* another shard may just have found it WIDE */
        atomic_compare_exchange_strong_explicit(&x->what->reach, &unknown, RUNNABLE_TRIED,
                                                memory_order_relaxed, memory_order_relaxed);
    }
}

static struct script_result enter(struct script_run *x, struct script_vm *vm, uint32_t nkeys,
                                  struct reply *out)
{
    const struct call *c = x->outer;
    struct script_call call = {
        .ctx = x,
        .keys = c->argv + 3,
        .nkeys = nkeys,
        .args = c->argv + 3 + nkeys,
        .nargs = c->argc - 3 - nkeys,
    };
    return x->what->script != NULL ? script_run(vm, x->what->script, &call, out)
                                   : function_run(vm, x->what->function, &call, out);
}

static void run(struct script_run *x, struct script_vm *vm, uint32_t nkeys)
{
    struct call *c = x->outer;
    struct scripting *g = x->scripting;
    struct reply kept, *out = c->out;
    if (x->may_restart) { /* its reply may have to be forgotten */
        reply_init(&kept, c->out->resp);
        kept.muted = c->out->muted;
        out = &kept;
    }
    assert(g->running == NULL); /* I3 */
    g->running = x;
    declare(x, true);
    uint32_t errors = out->errors;
    struct script_result result = enter(x, vm, nkeys, out);
    declare(x, false);
    g->running = NULL;
    if (x->busy) {
        busy_end(&x->shard->server->busy, x->shard->id);
    }
    remember_reach(x, result.failed);
    if (x->abandoned) {
        assert(!x->wrote); /* I2 */
        x->shard->executing->outcome |= OP_AGAIN;
        reply_clear(&kept);
        return;
    }
    if (result.error_counted && out->errors != errors) {
        out->errors = errors; /* counted when its command failed */
        x->shard->executing->outcome |= OP_FAILED;
    }
    if (x->may_restart) {
        c->out->errors += kept.errors;
        memcpy(c->out->error_code, kept.error_code, sizeof kept.error_code);
        reply_move(c->out, &kept, kept.total_bytes);
        reply_clear(&kept);
    }
}

void scripting_run(struct call *c, struct runnable *r, uint32_t nkeys, bool read_only_command)
{
    struct shard *s = c->host;
    bool oom = evict_refuses(s);
    struct script_vm *vm = scripting_vm(s);
    if (!scripting_compiles(s, r, c->out) || !may_run(c, r, read_only_command, oom)) {
        return;
    }
    bool everything = c->flags & CALL_WHOLE, alone = s->server->shard_count == 1;
    uint8_t reach = atomic_load_explicit(&r->reach, memory_order_relaxed);
    struct script_run x = {
        .shard = s,
        .scripting = s->scripting,
        .outer = c,
        .what = r,
        .started_ticks = clock_ticks(),
        .db = c->db,
        .read_only = script_is_read_only(r->flags, read_only_command),
        .allow_oom = script_is_allowed_oom(r->flags),
        .out_of_memory = oom,
        .bounded = !everything,
        .watched = everything && !alone && reach == RUNNABLE_UNKNOWN,
        .may_restart = !everything && s->executing != NULL && (s->executing->flags & OP_STALLS),
    };
    run(&x, vm, nkeys);
}
