/* script_vm.c - the machine of script.h: states and their memory, compiled scripts, runs.
 *
 *   script_run ── chunk known? ──no──► compile (protected)
 *       │ yes                             │
 *       ▼                                 ▼
 *   script__execute ─ lua_pcall(runner) ─ KEYS, ARGV, lua_call(chunk) ─► value or error ─► reply
 *
 * One lua_pcall covers a whole run: the runner is a C function, so running out of memory while the
 * arguments are built is an error like any other. The error handler sees the stack as it was and
 * notes where the error came from.
 *
 * The count hook is set once, when a state is made: coroutines inherit it, a run need not set it.
 */
#include "core/function.h"
#include "core/mem.h"
#include "core/script_internal.h"
#include <assert.h>
#include <stdio.h>

enum {
    SMALL_BLOCK_BYTES = 512,
    REUSE_COUNT_MAX = 8,          /* strings in a KEYS or ARGV that serves again */
    CHUNKS_MIN = 64,
    TUNE_PERIOD = 64,             /* runs between two looks at the collector */
    SMALL_HEAP_BYTES = 4 << 20,   /* below this garbage is cheaper than collecting it */
    PAUSE_SMALL = 800,            /* percent of what survived, when the next cycle begins */
    PAUSE_LARGE = 200,
    CYCLES_DUE = 2,               /* the one under way spares what was young when it began */
    SLICE_STEP_KB = 16,
    SLICE_STEPS = 4,
};

/* --- Memory --- */

static void *allocate(void *owner, void *old, size_t old_bytes, size_t bytes)
{
    struct script_state *state = owner;
    if (bytes == 0) {
        state->used_bytes -= old_bytes;
        mem_free_sized(old, old_bytes);
        return NULL;
    }
    size_t limit = state->vm->limit_bytes;
    if (limit > 0 && bytes > old_bytes && state->used_bytes + (bytes - old_bytes) > limit &&
        !state->must_have) {
        state->starved = true;
        return NULL;
    }
    void *p = old == NULL ? mem_try_alloc_sized(bytes) : mem_try_realloc_sized(old, old_bytes, bytes);
    if (p == NULL) {
        if (state->must_have || bytes <= old_bytes) {
            mem__out_of_memory(bytes); /* Lua relies on shrinking */
        }
        state->starved = true;
        return NULL;
    }
    state->used_bytes += bytes - old_bytes;
    state->large_block |= bytes > SMALL_BLOCK_BYTES;
    return p;
}

struct script_state *script__state_of(lua_State *lua)
{
    void *owner;
    lua_getallocf(lua, &owner);
    return owner;
}

void script__scratch_grow(lua_State *lua, struct script_vm *vm, size_t n)
{
    enum { SCRATCH_MIN = 1024 };
    size_t cap = vm->scratch_len + n;
    cap = cap < SCRATCH_MIN ? SCRATCH_MIN : cap + cap / 2;
    char *data = mem_try_realloc(vm->scratch, cap);
    if (data == NULL) {
        luaL_error(lua, "not enough memory");
    }
    vm->scratch = data;
    vm->scratch_cap = cap;
}

void script__scratch_push(lua_State *lua, struct script_vm *vm)
{
    enum { SCRATCH_KEEP_MAX = 1 << 16 };
    lua_pushlstring(lua, vm->scratch, vm->scratch_len);
    if (vm->scratch_cap > SCRATCH_KEEP_MAX) {
        mem_free(vm->scratch);
        vm->scratch = NULL;
        vm->scratch_cap = 0;
    }
    vm->scratch_len = 0;
}

/* --- The hook --- */

static void on_hook(lua_State *lua, lua_Debug *what)
{
    struct script_state *state = script__state_of(lua);
    if (state->loading != NULL) {
        script__loading_tick(lua, state);
        return;
    }
    struct script_run_ctx *run = state->run;
    if (run == NULL) {
        return;
    }
    if (!run->killed) {
        if (what->event != LUA_HOOKCOUNT ||
            state->vm->host->tick(run->call->ctx) != SCRIPT_STOP) {
            return;
        }
        run->killed = true;
        static const char note[] = "Lua script killed by user with SCRIPT KILL.";
        state->vm->host->log(SCRIPT_LOG_WARNING, slice_of(note, sizeof note - 1));
    }
    script__kill(lua, "Script killed by user with SCRIPT KILL...");
}

/* From now on every line fails: a pcall in the script must not save it. */
void script__kill(lua_State *lua, const char *text)
{
    lua_sethook(lua, on_hook, LUA_MASKLINE | LUA_MASKCOUNT, 1);
    script__push_error(lua, text, strlen(text));
    lua_error(lua);
}

void script__set_hook(struct script_state *state)
{
    lua_sethook(state->lua, on_hook, LUA_MASKCOUNT, SCRIPT_TICK_INSTRUCTIONS);
}

/* --- States --- */

static int on_panic(lua_State *lua)
{
    const char *text = lua_tostring(lua, -1);
    fprintf(stderr, "Lua: unprotected error: %s\n", text != NULL ? text : "?");
    return 0; /* Lua aborts: I2 is broken */
}

bool script__state_open(struct script_state *state)
{
    if (state->lua != NULL) {
        return true;
    }
    lua_State *lua = lua_newstate(allocate, state);
    if (lua == NULL) {
        return false;
    }
    lua_atpanic(lua, on_panic);
    state->lua = lua;
    static const uint16_t initial[3] = {0x330e, 0xabcd, 0x1234}; /* as drand48 begins */
    memcpy(state->random, initial, sizeof initial);
    state->runs = 0;
    state->must_have = true; /* small and of fixed size */
    int status = lua_cpcall(lua, script__sandbox_build, state);
    if (status != 0) {
        fprintf(stderr, "Lua: %s\n", lua_tostring(lua, -1));
    }
    assert(status == 0);
    script__sandbox_constants(state);
    state->must_have = false;
    assert(lua_gettop(lua) == STACK_BASE); /* I1 */
    lua_gc(lua, LUA_GCSETPAUSE, PAUSE_SMALL);
    script__set_hook(state);
    return true;
}

void script__state_close(struct script_state *state)
{
    assert(state->run == NULL);
    if (state->lua != NULL) {
        lua_close(state->lua);
        state->lua = NULL;
    }
    assert(state->used_bytes == 0);
}

struct script_vm *script_vm_create(const struct script_host *host)
{
    struct script_vm *vm = mem_alloc_zero(sizeof *vm);
    vm->host = host;
    vm->eval.vm = vm->functions.vm = vm;
    vm->functions.is_functions = true;
    reply_init(&vm->reply, 2);
    return vm;
}

static void forget_chunks(struct script_vm *vm)
{
    for (uint32_t i = 0; i < vm->chunk_cap; i++) {
        if (vm->chunks[i].script != NULL) {
            script_unref(vm->chunks[i].script);
        }
    }
    mem_free(vm->chunks);
    vm->chunks = NULL;
    vm->chunk_count = vm->chunk_cap = 0;
}

void script_vm_free(struct script_vm *vm)
{
    script__state_close(&vm->eval);
    script__state_close(&vm->functions);
    forget_chunks(vm);
    function__forget_instances(vm);
    reply_clear(&vm->reply);
    mem_free(vm->argv);
    mem_free(vm->numbers);
    mem_free(vm->gathered);
    mem_free(vm->scratch);
    mem_free(vm);
}

void script_vm_flush(struct script_vm *vm)
{
    script__state_close(&vm->eval);
    forget_chunks(vm);
}

size_t script_vm_memory_bytes(const struct script_vm *vm)
{
    return vm->eval.used_bytes;
}

size_t script_vm_function_memory_bytes(const struct script_vm *vm)
{
    return vm->functions.used_bytes;
}

void script_vm_limit_memory(struct script_vm *vm, size_t bytes)
{
    vm->limit_bytes = bytes;
}

static int collect(lua_State *lua)
{
    lua_gc(lua, LUA_GCCOLLECT, 0);
    return 0;
}

static void collect_state(struct script_state *state)
{
    state->must_have = true;
    lua_cpcall(state->lua, collect, NULL);
    lua_settop(state->lua, STACK_BASE);
    state->must_have = false;
    state->starved = false;
}

void script_vm_collect(struct script_vm *vm)
{
    struct script_state *const states[] = {&vm->eval, &vm->functions};
    for (int i = 0; i < 2; i++) {
        if (states[i]->lua != NULL && states[i]->run == NULL) {
            collect_state(states[i]);
        }
    }
}

static int collect_some(lua_State *lua)
{
    struct script_state *state = lua_touserdata(lua, 1);
    for (int i = 0; i < SLICE_STEPS && state->cycles_due > 0; i++) {
        if (lua_gc(lua, LUA_GCSTEP, SLICE_STEP_KB) == 1) {
            state->cycles_due--;
        }
    }
    return 0;
}

/* The next script gets its own; until then these may hold megabytes. */
static void forget_arguments(struct script_state *state)
{
    for (int name = STACK_KEYS; name <= STACK_ARGV && !state->is_functions; name++) {
        lua_pushvalue(state->lua, name);
        lua_pushnil(state->lua);
        lua_rawset(state->lua, STACK_GLOBALS);
    }
}

bool script_vm_collect_slice(struct script_vm *vm)
{
    struct script_state *const states[] = {&vm->eval, &vm->functions};
    bool more = false;
    for (int i = 0; i < 2; i++) {
        struct script_state *state = states[i];
        if (state->cycles_due == 0 || state->run != NULL || state->used_bytes < SMALL_HEAP_BYTES) {
            continue;
        }
        state->must_have = true;
        if (state->cycles_due == CYCLES_DUE) {
            forget_arguments(state);
        }
        lua_cpcall(state->lua, collect_some, state);
        lua_settop(state->lua, STACK_BASE);
        state->must_have = false;
        more |= state->cycles_due > 0;
    }
    return more;
}

/* Scripts may have stopped or slowed the collector (collectgarbage). */
static void tune_collector(struct script_state *state)
{
    state->runs = 0;
    bool small = state->used_bytes < SMALL_HEAP_BYTES && state->vm->limit_bytes == 0;
    lua_gc(state->lua, LUA_GCSETPAUSE, small ? PAUSE_SMALL : PAUSE_LARGE);
    lua_gc(state->lua, LUA_GCSETSTEPMUL, 200);
    if (!small) {
        lua_gc(state->lua, LUA_GCRESTART, 0);
    }
}

/* --- Compiled scripts --- */

/* The sha is uniform: its first digits are the hash. */
static uint32_t chunk_home(const struct script_vm *vm, const char *sha)
{
    uint64_t h;
    memcpy(&h, sha, sizeof h);
    h *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) & (vm->chunk_cap - 1);
}

static struct compiled *find_chunk(const struct script_vm *vm, const char *sha)
{
    if (vm->chunk_cap == 0) {
        return NULL;
    }
    for (uint32_t i = chunk_home(vm, sha);; i = (i + 1) & (vm->chunk_cap - 1)) {
        struct compiled *c = &vm->chunks[i];
        if (c->script == NULL) {
            return NULL;
        }
        if (memcmp(c->script->sha, sha, SCRIPT_SHA_LEN) == 0) {
            return c;
        }
    }
}

static void place_chunk(struct script_vm *vm, struct compiled chunk)
{
    uint32_t i = chunk_home(vm, chunk.script->sha);
    while (vm->chunks[i].script != NULL) {
        i = (i + 1) & (vm->chunk_cap - 1);
    }
    vm->chunks[i] = chunk;
}

static void add_chunk(struct script_vm *vm, struct script *s, int ref)
{
    if (2 * (vm->chunk_count + 1) > vm->chunk_cap) {
        struct compiled *old = vm->chunks;
        uint32_t old_cap = vm->chunk_cap;
        vm->chunk_cap = old_cap == 0 ? CHUNKS_MIN : 2 * old_cap;
        vm->chunks = mem_alloc_zero(vm->chunk_cap * sizeof *vm->chunks);
        for (uint32_t i = 0; i < old_cap; i++) {
            if (old[i].script != NULL) {
                place_chunk(vm, old[i]);
            }
        }
        mem_free(old);
    }
    place_chunk(vm, (struct compiled){script_ref(s), ref});
    vm->chunk_count++;
}

void script_vm_drop(struct script_vm *vm, const char sha[SCRIPT_SHA_LEN])
{
    struct compiled *gone = find_chunk(vm, sha);
    if (gone == NULL) {
        return;
    }
    luaL_unref(vm->eval.lua, LUA_REGISTRYINDEX, gone->ref);
    script_unref(gone->script);
    gone->script = NULL;
    vm->chunk_count--;
    /* Those behind it may have been pushed on by it: place them anew. */
    uint32_t i = (uint32_t)(gone - vm->chunks);
    for (;;) {
        i = (i + 1) & (vm->chunk_cap - 1);
        struct compiled moved = vm->chunks[i];
        if (moved.script == NULL) {
            return;
        }
        vm->chunks[i].script = NULL;
        place_chunk(vm, moved);
    }
}

uint32_t script_vm_count(const struct script_vm *vm)
{
    return vm->chunk_count;
}

struct compile_args {
    struct script *script;
    int ref;
};

/* Protected: leaves the reference in args, or raises what the compiler says. */
static int compile(lua_State *lua)
{
    struct compile_args *args = lua_touserdata(lua, 1);
    const struct script *s = args->script;
    /* The line end behind the shebang stays, so that lines are counted as the user does. */
    if (script__load(lua, s->body + s->shebang_len, s->body_len - s->shebang_len,
                     "@user_script") != 0) {
        return lua_error(lua);
    }
    args->ref = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

/* LUA_NOREF: an error was written. */
static int chunk_of(struct script_vm *vm, struct script *s, struct reply *out)
{
    struct compiled *known = find_chunk(vm, s->sha);
    if (known != NULL) {
        return known->ref;
    }
    if (!script__state_open(&vm->eval)) {
        reply_error(out, "OOM not enough memory for a Lua state");
        return LUA_NOREF;
    }
    struct compile_args args = {s, LUA_NOREF};
    if (lua_cpcall(vm->eval.lua, compile, &args) != 0) {
        const char *text = lua_tostring(vm->eval.lua, -1);
        reply_errorf(out, "ERR Error compiling script (new function): %s", text);
        lua_settop(vm->eval.lua, STACK_BASE);
        return LUA_NOREF;
    }
    add_chunk(vm, s, args.ref);
    return args.ref;
}

bool script_compile(struct script_vm *vm, struct script *s, struct reply *out)
{
    return chunk_of(vm, s, out) != LUA_NOREF;
}

/* --- Runs --- */

static void set_strings(lua_State *lua, const struct slice *strings, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        lua_pushlstring(lua, strings[i].ptr, strings[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
}

static void push_strings(lua_State *lua, const struct slice *strings, uint32_t n)
{
    lua_createtable(lua, (int)n, 0);
    set_strings(lua, strings, n);
}

/* Has the table on top n elements, 1 to n, and nothing else? Its memory is at most two small
 * blocks, or this would take long. */
static bool is_plain(lua_State *lua, uint32_t n)
{
    if (lua_getmetatable(lua, -1)) {
        lua_pop(lua, 1);
        return false;
    }
    uint32_t seen = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        seen++;
        if (seen > n || lua_type(lua, -2) != LUA_TNUMBER || lua_tonumber(lua, -2) != seen) {
            lua_pop(lua, 2);
            return false;
        }
    }
    return seen == n;
}

/* KEYS or ARGV (upvalues 2 and 3) in the globals (upvalue 1). The table of the run before serves again
 * if it had as many elements and the script has done nothing to it: making tables and collecting them
 * would cost more than all else around a short script. Nothing outlives a script's run in this state,
 * so nobody has kept it. */
static void set_argument_table(lua_State *lua, int name, bool reuse, const struct slice *strings,
                               uint32_t n)
{
    if (reuse) {
        lua_pushvalue(lua, lua_upvalueindex(name));
        lua_rawget(lua, lua_upvalueindex(1));
        if (lua_istable(lua, -1) && is_plain(lua, n)) {
            set_strings(lua, strings, n);
            lua_pop(lua, 1);
            return;
        }
        lua_pop(lua, 1);
    }
    lua_pushvalue(lua, lua_upvalueindex(name));
    push_strings(lua, strings, n);
    lua_rawset(lua, lua_upvalueindex(1));
}

/* STACK_RUNNER, protected: argument 1 is the state. */
int script__runner(lua_State *lua)
{
    struct script_state *state = lua_touserdata(lua, 1);
    const struct script_run_ctx *run = state->run;
    const struct script_call *call = run->call;
    if (state->is_functions) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, run->ref);
        lua_rawgeti(lua, -1, (int)run->position);
        push_strings(lua, call->keys, call->nkeys);
        push_strings(lua, call->args, call->nargs);
        lua_call(lua, 2, 1);
        return 1;
    }
    bool small = !state->large_block; /* so the tables cannot have grown */
    state->large_block = false;
    set_argument_table(lua, 2, small && call->nkeys <= REUSE_COUNT_MAX, call->keys, call->nkeys);
    set_argument_table(lua, 3, small && call->nargs <= REUSE_COUNT_MAX, call->args, call->nargs);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, run->ref);
    lua_call(lua, 0, 1);
    return 1;
}

/* An error passes here before the stack is unwound: into a table that says where it was raised,
 * or, if that was in a C function, where that was called. */
int script__handler(lua_State *lua)
{
    if (!lua_istable(lua, 1)) {
        lua_createtable(lua, 0, 3);
        lua_pushliteral(lua, "ERR ");
        script__push_text(lua, 1);
        lua_concat(lua, 2);
        lua_setfield(lua, -2, "err");
        lua_replace(lua, 1);
    }
    lua_settop(lua, 1);
    lua_Debug where;
    bool known = lua_getstack(lua, 1, &where) && lua_getinfo(lua, "Sl", &where);
    if (known && where.what[0] == 'C') {
        known = lua_getstack(lua, 2, &where) && lua_getinfo(lua, "Sl", &where);
        lua_Debug below;
        if (known && where.what[0] == 'C' && !lua_getstack(lua, 3, &below)) {
            known = false; /* that is the runner */
        }
    }
    if (known) {
        lua_pushstring(lua, where.source);
        lua_setfield(lua, 1, "source");
        lua_pushinteger(lua, where.currentline);
        lua_setfield(lua, 1, "line");
    }
    return 1;
}

struct script_result script__execute(struct script_state *state, struct script_run_ctx *run,
                                     struct reply *out)
{
    struct script_result result = {0};
    lua_State *lua = state->lua;
    assert(state->run == NULL && lua_gettop(lua) == STACK_BASE); /* I1, I3 */
    state->run = run;
    run->resp = 2;
    lua_pushvalue(lua, STACK_RUNNER);
    lua_pushlightuserdata(lua, state);
    if (lua_pcall(lua, 1, 1, STACK_HANDLER) == 0) {
        script__reply_value(state, &result, out);
    } else {
        script__reply_failure(state, run->name, &result, out);
    }
    assert(lua_gettop(lua) == STACK_BASE);
    if (run->killed) {
        script__set_hook(state);
    }
    state->run = NULL;
    if (state->vm->reply.head != NULL) {
        reply_clear(&state->vm->reply); /* an error struck while it was being converted */
    }
    if (state->starved) {
        collect_state(state); /* Lua 5.1 does not by itself when memory runs out */
    }
    state->cycles_due = CYCLES_DUE;
    if (++state->runs == TUNE_PERIOD) {
        tune_collector(state);
    }
    return result;
}

struct script_result script_run(struct script_vm *vm, struct script *s,
                                const struct script_call *call, struct reply *out)
{
    struct script_run_ctx run = {.call = call, .name = s->sha};
    run.ref = chunk_of(vm, s, out);
    if (run.ref == LUA_NOREF) {
        return (struct script_result){.failed = true};
    }
    return script__execute(&vm->eval, &run, out);
}

const char *script_vm_running(const struct script_vm *vm, bool *is_function)
{
    const struct script_state *state = vm->functions.run != NULL ? &vm->functions : &vm->eval;
    *is_function = state->is_functions;
    return state->run != NULL ? state->run->name : NULL;
}
