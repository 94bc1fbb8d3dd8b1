/* function.c - libraries: loading them into a VM, running their functions. See function.h; sets of
 * libraries are in function_set.c.
 *
 *   code ─ shebang ─► name
 *     └─ run under lua_pcall, with `redis` as its only global ─► register_function(…) each
 *                      └─► callbacks in a table of the registry, by position
 *
 * The environment of functions is one proxy whose metatable's __index is switched: to the globals
 * of loading while a library's code runs, back to all globals afterwards. So a function sees all of
 * `redis` when it is called, but nothing of it while it is loaded.
 */
#include "core/function.h"
#include "core/mem.h"
#include "core/script_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What a library's code has registered so far. */
struct registered {
    struct slice name, description; /* own memory; description.ptr NULL: none */
    uint32_t flags;
    uint32_t order;                 /* in which it came, from 1: place in the table of callbacks */
};

struct loading {
    struct registered *items;
    uint32_t count, cap;
    int64_t deadline_ms;            /* 0: none */
    int callbacks;                  /* registry: the table */
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct slice copy_of(struct slice s)
{
    char *copy = mem_alloc(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = 0;
    return slice_of(copy, s.len);
}

bool function__name_is_good(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_')) {
            return false;
        }
    }
    return name.len > 0;
}

/* --- redis.register_function --- */

static int raise(lua_State *lua, const char *text)
{
    script__push_error(lua, text, strlen(text));
    return lua_error(lua);
}

static struct slice string_at(lua_State *lua, int index)
{
    size_t len;
    const char *text = lua_tolstring(lua, index, &len);
    return slice_of(text, len);
}

/* The table of flags on top of the stack. */
static bool read_flags(lua_State *lua, uint32_t *flags)
{
    for (int i = 1;; i++) {
        lua_pushinteger(lua, i);
        lua_gettable(lua, -2);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            return true;
        }
        uint32_t flag =
            lua_isstring(lua, -1) ? script_flag_by_name(string_at(lua, -1), true) : 0;
        lua_pop(lua, 1);
        if (flag == 0) {
            return false;
        }
        *flags |= flag;
    }
}

/* Takes one named argument, whose value is on top. Strings are put where they outlive the loop: on
 * the stack, at NAME_SLOT and so on. */
enum { NAME_SLOT = 2, DESCRIPTION_SLOT, CALLBACK_SLOT };

static void read_named_argument(lua_State *lua, struct slice key, uint32_t *flags)
{
    if (slice_is(key, "function_name")) {
        if (!lua_isstring(lua, -1)) {
            raise(lua, "function_name argument given to redis.register_function must be a string");
        }
        lua_pushvalue(lua, -1);
        lua_replace(lua, NAME_SLOT);
    } else if (slice_is(key, "description")) {
        if (!lua_isstring(lua, -1)) {
            raise(lua, "description argument given to redis.register_function must be a string");
        }
        lua_pushvalue(lua, -1);
        lua_replace(lua, DESCRIPTION_SLOT);
    } else if (slice_is(key, "callback")) {
        if (!lua_isfunction(lua, -1)) {
            raise(lua, "callback argument given to redis.register_function must be a function");
        }
        lua_pushvalue(lua, -1);
        lua_replace(lua, CALLBACK_SLOT);
    } else if (slice_is(key, "flags")) {
        if (!lua_istable(lua, -1)) {
            raise(lua, "flags argument to redis.register_function must be a table representing "
                       "function flags");
        }
        *flags = 0;
        if (!read_flags(lua, flags)) {
            raise(lua, "unknown flag given");
        }
    } else {
        raise(lua, "unknown argument given to redis.register_function");
    }
}

static void read_named_arguments(lua_State *lua, uint32_t *flags)
{
    if (!lua_istable(lua, 1)) {
        raise(lua, "calling redis.register_function with a single argument is only applicable to "
                   "Lua table (representing named arguments).");
    }
    lua_settop(lua, CALLBACK_SLOT);
    for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING && lua_type(lua, -2) != LUA_TNUMBER) {
            raise(lua, "named argument key given to redis.register_function is not a string");
        }
        bool is_name = lua_type(lua, -2) == LUA_TSTRING; /* a number must not become a string */
        read_named_argument(lua, is_name ? string_at(lua, -2) : slice_str("?"), flags);
    }
    if (lua_isnil(lua, NAME_SLOT)) {
        raise(lua, "redis.register_function must get a function name argument");
    }
    if (lua_isnil(lua, CALLBACK_SLOT)) {
        raise(lua, "redis.register_function must get a callback argument");
    }
}

static void read_positional_arguments(lua_State *lua)
{
    if (!lua_isstring(lua, 1)) {
        raise(lua, "first argument to redis.register_function must be a string");
    }
    if (!lua_isfunction(lua, 2)) {
        raise(lua, "second argument to redis.register_function must be a function");
    }
    lua_settop(lua, CALLBACK_SLOT);
    lua_pushvalue(lua, 2);
    lua_replace(lua, CALLBACK_SLOT);
    lua_pushvalue(lua, 1);
    lua_replace(lua, NAME_SLOT);
}

int script__register_function(lua_State *lua)
{
    struct loading *loading = script__state_of(lua)->loading;
    if (loading == NULL) {
        return raise(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    }
    uint32_t flags = 0;
    int argc = lua_gettop(lua);
    if (argc < 1 || argc > 2) {
        return raise(lua, "wrong number of arguments to redis.register_function");
    }
    if (argc == 1) {
        read_named_arguments(lua, &flags);
    } else {
        read_positional_arguments(lua);
    }
    struct slice name = string_at(lua, NAME_SLOT);
    if (!function__name_is_good(name)) {
        return raise(lua, FUNCTION_NAME_ERROR);
    }
    for (uint32_t i = 0; i < loading->count; i++) {
        if (slice_equal(loading->items[i].name, name)) {
            return raise(lua, "Function already exists in the library");
        }
    }
    /* The callback first: what can raise comes before what would leak. */
    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->callbacks);
    lua_pushvalue(lua, CALLBACK_SLOT);
    lua_rawseti(lua, -2, (int)loading->count + 1);
    if (loading->count == loading->cap) {
        loading->cap = loading->cap == 0 ? 8 : 2 * loading->cap;
        loading->items = mem_realloc(loading->items, loading->cap * sizeof *loading->items);
    }
    struct registered *item = &loading->items[loading->count++];
    *item = (struct registered){.name = copy_of(name), .flags = flags, .order = loading->count};
    if (!lua_isnil(lua, DESCRIPTION_SLOT)) {
        item->description = copy_of(string_at(lua, DESCRIPTION_SLOT));
    }
    return 0;
}

/* --- Running a library's code --- */

void script__loading_tick(lua_State *lua, struct script_state *state)
{
    if (state->loading->deadline_ms > 0 && clock_ms() > state->loading->deadline_ms) {
        script__kill(lua, "FUNCTION LOAD timeout");
    }
}

struct load_args {
    struct slice code;  /* behind the shebang */
    bool compiled;      /* how far it came */
    struct loading *loading;
};

/* Protected. */
static int run_library(lua_State *lua)
{
    struct load_args *args = lua_touserdata(lua, 1);
    lua_newtable(lua);
    args->loading->callbacks = luaL_ref(lua, LUA_REGISTRYINDEX);
    if (script__load(lua, args->code.ptr, args->code.len, "@user_function") != 0) {
        return lua_error(lua);
    }
    args->compiled = true;
    lua_call(lua, 0, 0);
    return 0;
}

static void switch_globals(struct script_state *state, int stack_position)
{
    state->must_have = true;
    lua_pushliteral(state->lua, "__index");
    lua_pushvalue(state->lua, stack_position);
    lua_rawset(state->lua, STACK_ENV_META);
    state->must_have = false;
}

static void drop_ref(struct script_state *state, int ref)
{
    state->must_have = true;
    luaL_unref(state->lua, LUA_REGISTRYINDEX, ref);
    state->must_have = false;
}

static void forget_registered(struct loading *loading)
{
    for (uint32_t i = 0; i < loading->count; i++) {
        mem_free((char *)loading->items[i].name.ptr);
        mem_free((char *)loading->items[i].description.ptr);
    }
    mem_free(loading->items);
}

/* Runs the code. False: an error was written, nothing is left behind. */
static bool load_code(struct script_vm *vm, struct slice code, int64_t timeout_ms,
                      struct loading *loading, struct reply *out)
{
    struct script_state *state = &vm->functions;
    if (!script__state_open(state)) {
        reply_error(out, "OOM not enough memory for a Lua state");
        return false;
    }
    assert(state->run == NULL && state->loading == NULL);
    *loading = (struct loading){.callbacks = LUA_NOREF};
    loading->deadline_ms = timeout_ms > 0 ? clock_ms() + timeout_ms : 0;
    struct load_args args = {.code = code, .loading = loading};
    state->loading = loading;
    switch_globals(state, STACK_LOAD_GLOBALS);
    int status = lua_cpcall(state->lua, run_library, &args);
    switch_globals(state, STACK_GLOBALS);
    state->loading = NULL;
    script__set_hook(state);
    if (status == 0) {
        return true;
    }
    state->must_have = true;
    const char *text = script__error_text(state->lua);
    bool plain = lua_isstring(state->lua, -1);
    text = text != NULL ? text : "ERR unknown error";
    if (!args.compiled) {
        reply_errorf(out, "ERR Error compiling function: %s", text);
    } else {
        reply_errorf(out, "ERR Error registering functions: %s%s", plain ? "ERR " : "", text);
    }
    state->must_have = false;
    lua_settop(state->lua, STACK_BASE);
    drop_ref(state, loading->callbacks);
    forget_registered(loading);
    return false;
}

/* --- Libraries --- */

bool function__parse_shebang(struct slice code, struct slice *name, size_t *shebang_len,
                             struct reply *out)
{
    struct resp_parser words;
    struct slice line;
    *name = slice_of(NULL, 0);
    if (code.len < 2 || memcmp(code.ptr, "#!", 2) != 0) {
        reply_error(out, "ERR Missing library metadata");
        return false;
    }
    if (!script__shebang_words(&words, code, &line)) {
        reply_error(out, "ERR Invalid library metadata");
        resp_parser_free(&words);
        return false;
    }
    struct slice engine = slice_of(words.argv[0].ptr + 2, words.argv[0].len - 2);
    bool good = true;
    for (uint32_t i = 1; good && i < words.argc; i++) {
        struct slice word = words.argv[i];
        if (word.len < 5 || strncasecmp(word.ptr, "name=", 5) != 0) {
            reply_errorf(out, "ERR Invalid metadata value given: %.*s", (int)word.len, word.ptr);
            good = false;
        } else if (name->ptr != NULL) {
            reply_error(out, "ERR Invalid metadata value, name argument was given multiple times");
            good = false;
        } else {
            *name = slice_of(word.ptr + 5, word.len - 5);
        }
    }
    if (good && name->ptr == NULL) {
        reply_error(out, "ERR Library name was not given");
        good = false;
    }
    if (good && !function__name_is_good(*name)) {
        reply_error(out, "ERR " FUNCTION_NAME_ERROR);
        good = false;
    }
    if (good && !slice_is(engine, "lua")) {
        reply_errorf(out, "ERR Engine '%.*s' not found", (int)engine.len, engine.ptr);
        good = false;
    }
    *name = good ? copy_of(*name) : slice_of(NULL, 0); /* a quoted one goes with the parser */
    *shebang_len = line.len;
    resp_parser_free(&words);
    return good;
}

static int by_name(const void *a, const void *b)
{
    const struct registered *one = a, *other = b;
    return strcmp(one->name.ptr, other->name.ptr);
}

/* A library of what was registered; takes the names out of loading. */
static struct function_library *make_library(struct slice name, struct slice code,
                                             struct loading *loading)
{
    struct function_library *lib = mem_alloc_zero(sizeof *lib);
    atomic_init(&lib->refs_, 1);
    lib->name = (char *)name.ptr;
    lib->code = (char *)copy_of(code).ptr;
    lib->code_len = code.len;
    lib->count = loading->count;
    lib->functions = mem_alloc_zero(loading->count * sizeof *lib->functions);
    for (uint32_t i = 0; i < loading->count; i++) {
        const struct registered *item = &loading->items[i];
        lib->functions[i] = (struct function){
            .name = (char *)item->name.ptr,
            .description = (char *)item->description.ptr,
            .description_len = item->description.len,
            .flags = item->flags,
            .library = lib,
        };
    }
    return lib;
}

struct function_library *function_library_ref(struct function_library *lib)
{
    uint32_t before = atomic_fetch_add_explicit(&lib->refs_, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return lib;
}

void function_library_unref(struct function_library *lib)
{
    if (atomic_fetch_sub_explicit(&lib->refs_, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < lib->count; i++) {
        mem_free(lib->functions[i].name);
        mem_free(lib->functions[i].description);
    }
    mem_free(lib->functions);
    mem_free(lib->name);
    mem_free(lib->code);
    mem_free(lib);
}

/* --- Instances: a library in a VM --- */

static void add_instance(struct script_vm *vm, struct function_library *lib, int ref)
{
    function_vm_settle(vm);
    if (vm->instance_count == vm->instance_cap) {
        vm->instance_cap = vm->instance_cap == 0 ? 8 : 2 * vm->instance_cap;
        vm->instances = mem_realloc(vm->instances, vm->instance_cap * sizeof *vm->instances);
    }
    vm->instances[vm->instance_count++] = (struct instance){function_library_ref(lib), ref};
}

void function_vm_settle(struct script_vm *vm)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < vm->instance_count; i++) {
        struct instance *it = &vm->instances[i];
        if (atomic_load_explicit(&it->library->refs_, memory_order_acquire) > 1) {
            vm->instances[kept++] = *it;
            continue;
        }
        drop_ref(&vm->functions, it->ref);
        function_library_unref(it->library);
    }
    vm->instance_count = kept;
}

void function__forget_instances(struct script_vm *vm)
{
    for (uint32_t i = 0; i < vm->instance_count; i++) {
        function_library_unref(vm->instances[i].library);
    }
    mem_free(vm->instances);
    vm->instances = NULL;
    vm->instance_count = vm->instance_cap = 0;
}

/* Puts the callbacks in the order of sorted items: callbacks[i + 1] is that of items[i]. */
struct reorder_args {
    const struct loading *loading;
    int ref;
};

static int reorder_callbacks(lua_State *lua)
{
    struct reorder_args *args = lua_touserdata(lua, 1);
    const struct loading *loading = args->loading;
    lua_createtable(lua, (int)loading->count, 0);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, loading->callbacks);
    for (uint32_t i = 0; i < loading->count; i++) {
        lua_rawgeti(lua, -1, (int)loading->items[i].order);
        lua_rawseti(lua, -3, (int)i + 1);
    }
    lua_pop(lua, 1);
    args->ref = luaL_ref(lua, LUA_REGISTRYINDEX);
    return 0;
}

/* The registry's table of callbacks by position; loading's own is let go. LUA_NOREF: no memory. */
static int sort_callbacks(struct script_vm *vm, struct loading *loading)
{
    if (loading->count > 0) {
        qsort(loading->items, loading->count, sizeof *loading->items, by_name);
    }
    struct script_state *state = &vm->functions;
    struct reorder_args args = {loading, LUA_NOREF};
    int status = lua_cpcall(state->lua, reorder_callbacks, &args);
    lua_settop(state->lua, STACK_BASE);
    drop_ref(state, loading->callbacks);
    return status == 0 ? args.ref : LUA_NOREF;
}

struct function_library *function_library_load(struct script_vm *vm, struct slice code,
                                               int64_t timeout_ms, struct reply *out)
{
    struct slice name;
    size_t shebang_len;
    if (!function__parse_shebang(code, &name, &shebang_len, out)) {
        return NULL;
    }
    struct loading loading;
    struct slice lua_code = slice_of(code.ptr + shebang_len, code.len - shebang_len);
    if (!load_code(vm, lua_code, timeout_ms, &loading, out)) {
        mem_free((char *)name.ptr);
        return NULL;
    }
    int ref = sort_callbacks(vm, &loading);
    if (loading.count == 0 || ref == LUA_NOREF) {
        reply_error(out, loading.count == 0 ? "ERR No functions registered"
                                            : "ERR Error registering functions: not enough memory");
        drop_ref(&vm->functions, ref);
        forget_registered(&loading);
        mem_free((char *)name.ptr);
        return NULL;
    }
    struct function_library *lib = make_library(name, code, &loading);
    mem_free(loading.items);
    add_instance(vm, lib, ref);
    return lib;
}

/* The same functions as when the library was loaded first, by name? */
static bool is_same(const struct function_library *lib, const struct loading *loading)
{
    bool same = lib->count == loading->count;
    for (uint32_t i = 0; same && i < lib->count; i++) {
        same = strcmp(lib->functions[i].name, loading->items[i].name.ptr) == 0;
    }
    return same;
}

/* Runs a library's code in this VM. LUA_NOREF: an error was written. */
static int instantiate(struct script_vm *vm, const struct function_library *lib, struct reply *out)
{
    struct loading loading;
    const char *lua_code = memchr(lib->code, '\n', lib->code_len);
    struct slice code = slice_of(lua_code, lib->code_len - (size_t)(lua_code - lib->code));
    if (!load_code(vm, code, 0, &loading, out)) {
        return LUA_NOREF;
    }
    int ref = sort_callbacks(vm, &loading);
    if (ref != LUA_NOREF && !is_same(lib, &loading)) {
        drop_ref(&vm->functions, ref);
        ref = LUA_NOREF;
        reply_error(out, "ERR Error registering functions: the library does not register the same "
                         "functions each time");
    } else if (ref == LUA_NOREF) {
        reply_error(out, "ERR Error registering functions: not enough memory");
    }
    forget_registered(&loading);
    if (ref != LUA_NOREF) {
        add_instance(vm, (struct function_library *)lib, ref);
    }
    return ref;
}

static int instance_of(struct script_vm *vm, const struct function_library *lib, struct reply *out)
{
    for (uint32_t i = 0; i < vm->instance_count; i++) {
        if (vm->instances[i].library == lib) {
            struct instance found = vm->instances[i];
            vm->instances[i] = vm->instances[0]; /* those in use are found first */
            vm->instances[0] = found;
            return found.ref;
        }
    }
    return instantiate(vm, lib, out);
}

struct script_result function_run(struct script_vm *vm, const struct function *f,
                                  const struct script_call *call, struct reply *out)
{
    struct script_run_ctx run = {.call = call, .name = f->name};
    run.ref = instance_of(vm, f->library, out);
    if (run.ref == LUA_NOREF) {
        return (struct script_result){.failed = true};
    }
    run.position = (uint32_t)(f - f->library->functions) + 1;
    return script__execute(&vm->functions, &run, out);
}
