/* script_sandbox.c - what a script may see, and that it can change none of it.
 *
 * Redis's Lua is patched so that tables can be read-only. Stock Lua's are not, so here a protected
 * table hides behind a proxy: an empty table whose metatable reads from the real one and refuses
 * writes. Scripts hold proxies only:
 *
 *   _G, environment ──► proxy ─meta─► { __index = globals, __newindex = refuse, [tag] = globals }
 *                                         │ "string" ──► proxy ─meta─► { __index = string lib … }
 *                                         │ "redis"  ──► proxy …
 *                                         └ meta: { __index = "nonexistent global variable" }
 *
 * Functions that work on raw tables (next, pairs, rawget, rawset, getmetatable, setmetatable,
 * table.insert, table.foreach) are made anew: they know a proxy by its tag and read behind it, or
 * refuse. The others find an empty table, which is what they would find in Redis: protected tables
 * have no elements. ("").x looks up in the real string library, which the script cannot reach:
 * getmetatable("") gives a proxy of a copy.
 *
 * Lua 5.1.5 itself is kept from harm: binary chunks are refused, a chunk is parsed while the
 * collector rests (its name is not anchored), load() gathers its pieces before the parser starts,
 * unpack() checks its bounds.
 */
#include "core/script_internal.h"
#include <assert.h>
#include <limits.h>
#include <string.h>

enum { CODE_MAX_BYTES = 1 << 29 }; /* of loadstring: the lexer counts in int */

static const char proxy_tag; /* its address marks a proxy's metatable */

static const char readonly_text[] = "Attempt to modify a readonly table";

/* --- Proxies --- */

bool script__push_behind_proxy(lua_State *lua, int index)
{
    if (!lua_istable(lua, index) || !lua_getmetatable(lua, index)) {
        return false;
    }
    lua_pushlightuserdata(lua, (void *)&proxy_tag);
    lua_rawget(lua, -2);
    lua_remove(lua, -2);
    if (lua_istable(lua, -1)) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

/* __newindex */
static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, readonly_text);
}

/* The same from within a C function: Redis gives no position there. */
static int refuse_raw_write(lua_State *lua)
{
    lua_pushstring(lua, readonly_text);
    return lua_error(lua);
}

/* Replaces the table on top by a proxy for it. */
static void make_proxy(lua_State *lua)
{
    lua_newtable(lua);
    lua_createtable(lua, 0, 3);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_write);
    lua_setfield(lua, -2, "__newindex");
    lua_pushlightuserdata(lua, (void *)&proxy_tag);
    lua_pushvalue(lua, -4);
    lua_rawset(lua, -3);
    lua_setmetatable(lua, -2);
    lua_remove(lua, -2);
}

/* __index of globals */
static int no_such_global(lua_State *lua)
{
    if (lua_gettop(lua) != 2) {
        return luaL_error(lua, "Wrong number of arguments to luaProtectedTableError");
    }
    if (!lua_isstring(lua, -1)) {
        return luaL_error(lua,
                          "Second argument to luaProtectedTableError must be a string or number");
    }
    return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                      lua_tostring(lua, -1));
}

/* Gives the table on top the metatable that names what is missing. */
static void report_missing(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_pushcfunction(lua, no_such_global);
    lua_setfield(lua, -2, "__index");
    lua_setmetatable(lua, -2);
}

/* --- Functions of the base library, made anew --- */

static int base_next(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (script__push_behind_proxy(lua, 1)) {
        lua_replace(lua, 1);
    }
    lua_settop(lua, 2);
    if (lua_next(lua, 1)) {
        return 2;
    }
    lua_pushnil(lua);
    return 1;
}

/* Upvalue 1: base_next, which scripts see as next. */
static int base_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

static int base_rawget(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    if (script__push_behind_proxy(lua, 1)) {
        lua_replace(lua, 1);
    }
    lua_rawget(lua, 1);
    return 1;
}

static int base_rawset(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    lua_settop(lua, 3);
    if (script__push_behind_proxy(lua, 1)) {
        return refuse_raw_write(lua);
    }
    lua_rawset(lua, 1);
    return 1;
}

static int base_setmetatable(lua_State *lua)
{
    int type = lua_type(lua, 2);
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (script__push_behind_proxy(lua, 1)) {
        return refuse_raw_write(lua);
    }
    if (luaL_getmetafield(lua, 1, "__metatable")) {
        return luaL_error(lua, "cannot change a protected metatable");
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* A metatable of ours is shown as a proxy. Upvalue 1: that of the metatable of strings. */
static int base_getmetatable(lua_State *lua)
{
    luaL_checkany(lua, 1);
    if (lua_type(lua, 1) == LUA_TSTRING) {
        lua_pushvalue(lua, lua_upvalueindex(1));
        return 1;
    }
    bool is_ours = script__push_behind_proxy(lua, 1);
    if (!lua_getmetatable(lua, is_ours ? -1 : 1)) {
        lua_pushnil(lua);
    } else if (is_ours) {
        make_proxy(lua);
    } else {
        luaL_getmetafield(lua, 1, "__metatable"); /* pushes nothing if there is none */
    }
    return 1;
}

static int base_unpack(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int first = luaL_optint(lua, 2, 1);
    int last = luaL_opt(lua, luaL_checkint, 3, (int)lua_objlen(lua, 1));
    if (first > last) {
        return 0;
    }
    unsigned n = (unsigned)last - (unsigned)first;
    if (n >= INT_MAX || !lua_checkstack(lua, (int)n + 1)) {
        return luaL_error(lua, "too many results to unpack");
    }
    for (unsigned i = 0; i <= n; i++) {
        lua_rawgeti(lua, 1, (int)((unsigned)first + i));
    }
    return (int)n + 1;
}

/* pcall as Redis has it: of an error object that has a text, the text. */
static int base_pcall(lua_State *lua)
{
    int argc = lua_gettop(lua);
    lua_pushboolean(lua, 1);
    lua_insert(lua, 1);
    if (lua_pcall(lua, argc - 1, LUA_MULTRET, 0) != 0) {
        lua_remove(lua, 1);
        if (lua_istable(lua, -1)) {
            lua_getfield(lua, -1, "err");
            if (lua_isstring(lua, -1)) {
                lua_replace(lua, -2);
            }
        }
        lua_pushboolean(lua, 0);
        lua_insert(lua, 1);
    }
    return lua_gettop(lua);
}

/* The error handler that xpcall sets: calls upvalue 1, the script's. Not when the script has been
 * killed: Lua calls no hook while the handler runs for an error that a hook has raised, so a
 * handler that does not end could not be stopped. */
static int guarded_handler(lua_State *lua)
{
    const struct script_run_ctx *run = script__state_of(lua)->run;
    if (run != NULL && run->killed) {
        return 1;
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    return 1;
}

static int base_xpcall(lua_State *lua)
{
    luaL_checkany(lua, 2);
    lua_settop(lua, 2);
    lua_pushcclosure(lua, guarded_handler, 1);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, 0, LUA_MULTRET, 1);
    lua_pushboolean(lua, status == 0);
    lua_replace(lua, 1);
    return lua_gettop(lua);
}

/* --- Compiling --- */

struct code_reader {
    const char *code;
    size_t len;
    bool blank_first;
};

static const char *read_code(lua_State *lua, void *from, size_t *len)
{
    struct code_reader *r = from;
    if (r->blank_first) {
        r->blank_first = false;
        *len = 1;
        return " ";
    }
    *len = r->len;
    r->len = 0;
    return *len > 0 ? r->code : NULL;
}

int script__load(lua_State *lua, const char *code, size_t len, const char *name)
{
    if (len > CODE_MAX_BYTES) {
        lua_pushliteral(lua, "not enough memory");
        return LUA_ERRMEM;
    }
    /* Lua looks at the first byte for what says "binary": behind a blank it is read as text. */
    struct code_reader reader = {code, len, len > 0 && code[0] == LUA_SIGNATURE[0]};
    lua_gc(lua, LUA_GCSTOP, 0);
    int status = lua_load(lua, read_code, &reader, name);
    lua_gc(lua, LUA_GCRESTART, 0);
    return status;
}

static int load_result(lua_State *lua, int status)
{
    if (status == 0) {
        return 1;
    }
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

static int base_loadstring(lua_State *lua)
{
    size_t len;
    const char *code = luaL_checklstring(lua, 1, &len);
    const char *name = luaL_optstring(lua, 2, code);
    return load_result(lua, script__load(lua, code, len, name));
}

/* load(function): the pieces until one is nil or empty. An error in the function is the result. */
static int base_load(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TFUNCTION);
    const char *name = luaL_optstring(lua, 2, "=(load)");
    lua_settop(lua, 2);
    lua_newtable(lua);
    int pieces = 0;
    size_t total = 0;
    for (;;) {
        lua_pushvalue(lua, 1);
        int status = lua_pcall(lua, 0, 1, 0);
        if (status != 0) {
            return load_result(lua, status);
        }
        if (lua_isnil(lua, -1) || (lua_isstring(lua, -1) && lua_objlen(lua, -1) == 0)) {
            break;
        }
        if (!lua_isstring(lua, -1)) {
            lua_pushliteral(lua, "reader function must return a string");
            return load_result(lua, LUA_ERRRUN);
        }
        size_t len;
        lua_tolstring(lua, -1, &len);
        total += len;
        if (total > CODE_MAX_BYTES) {
            return luaL_error(lua, "not enough memory");
        }
        lua_rawseti(lua, 3, ++pieces);
    }
    lua_settop(lua, 3);
    luaL_Buffer b;
    luaL_buffinit(lua, &b);
    for (int i = 1; i <= pieces; i++) {
        lua_rawgeti(lua, 3, i);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *code = lua_tolstring(lua, -1, &len);
    return load_result(lua, script__load(lua, code, len, name));
}

/* --- Functions of the table library, made anew --- */

static int lib_table_insert(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int end = (int)lua_objlen(lua, 1) + 1;
    int at = end;
    if (lua_gettop(lua) == 3) {
        at = luaL_checkint(lua, 2);
        for (int i = at > end ? at : end; i > at; i--) {
            lua_rawgeti(lua, 1, i - 1);
            lua_rawseti(lua, 1, i);
        }
    } else if (lua_gettop(lua) != 2) {
        return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    if (script__push_behind_proxy(lua, 1)) {
        return refuse_raw_write(lua);
    }
    lua_rawseti(lua, 1, at);
    return 0;
}

static int table_foreach(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    if (script__push_behind_proxy(lua, 1)) {
        lua_replace(lua, 1);
    }
    for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 2)) {
        lua_pushvalue(lua, 2);
        lua_pushvalue(lua, -3);
        lua_pushvalue(lua, -3);
        lua_call(lua, 2, 1);
        if (!lua_isnil(lua, -1)) {
            return 1;
        }
    }
    return 0;
}

/* --- Texts --- */

void script__push_text(lua_State *lua, int index)
{
    switch (lua_type(lua, index)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(lua, index);
        lua_tostring(lua, -1);
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(lua, lua_toboolean(lua, index) ? "true" : "false");
        break;
    case LUA_TNIL:
        lua_pushliteral(lua, "nil");
        break;
    default:
        lua_pushfstring(lua, "%s: %p", luaL_typename(lua, index), lua_topointer(lua, index));
    }
}

/* --- Building --- */

static void set_function(lua_State *lua, const char *name, lua_CFunction function)
{
    lua_pushcfunction(lua, function);
    lua_setfield(lua, -2, name);
}

static void open_library(lua_State *lua, const char *name, lua_CFunction open)
{
    lua_pushcfunction(lua, open);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

/* Libraries written here leave their table on the stack. */
static void open_own(lua_State *lua, const char *name, lua_CFunction open)
{
    lua_pushcfunction(lua, open);
    lua_call(lua, 0, 1);
    lua_setfield(lua, LUA_GLOBALSINDEX, name);
}

/* globals are on top. */
static void replace_functions(lua_State *lua)
{
    lua_pushcfunction(lua, base_next);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "next");
    lua_pushcclosure(lua, base_pairs, 1);
    lua_setfield(lua, -2, "pairs");
    set_function(lua, "rawget", base_rawget);
    set_function(lua, "rawset", base_rawset);
    set_function(lua, "unpack", base_unpack);
    set_function(lua, "pcall", base_pcall);
    set_function(lua, "xpcall", base_xpcall);
    set_function(lua, "loadstring", base_loadstring);
    set_function(lua, "load", base_load);
    set_function(lua, "setmetatable", base_setmetatable);

    static const char *const removed[] = {
        "dofile", "loadfile", "print", "getfenv", "setfenv", "newproxy", "require", "module",
    };
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        lua_pushnil(lua);
        lua_setfield(lua, -2, removed[i]);
    }

    lua_getfield(lua, -1, "table");
    set_function(lua, "insert", lib_table_insert);
    set_function(lua, "foreach", table_foreach);
    lua_pop(lua, 1);
    lua_getfield(lua, -1, "math");
    set_function(lua, "random", script__math_random);
    set_function(lua, "randomseed", script__math_randomseed);
    lua_pop(lua, 1);
}

/* getmetatable knows a proxy for the metatable of strings; globals are on top and hold proxies. */
static void set_getmetatable(lua_State *lua)
{
    lua_createtable(lua, 0, 1);
    lua_getfield(lua, -2, "string");
    lua_setfield(lua, -2, "__index");
    make_proxy(lua);
    lua_pushcclosure(lua, base_getmetatable, 1);
    lua_setfield(lua, -2, "getmetatable");
}

/* Every library in the globals on top becomes a proxy, and the loaded ones are forgotten. */
static void protect_libraries(lua_State *lua)
{
    static const char *const names[] = {
        "string", "table", "math", "coroutine", "bit", "cjson", "cmsgpack", "struct", "redis",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_getfield(lua, -1, names[i]);
        assert(lua_istable(lua, -1));
        make_proxy(lua);
        lua_setfield(lua, -2, names[i]);
    }
    lua_pushnil(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, "_LOADED");
}

/* What a library of functions sees while it is loaded: only `redis`, and of that a part. */
static void push_load_globals(lua_State *lua)
{
    lua_newtable(lua);
    lua_newtable(lua);
    set_function(lua, "register_function", script__register_function);
    script__add_log_and_version(lua);
    report_missing(lua);
    make_proxy(lua);
    lua_setfield(lua, -2, "redis");
    report_missing(lua);
}

/* Registry names of what script__sandbox_constants pushes. */
#define KEPT_GLOBALS "ashlar.globals"
#define KEPT_LOAD_GLOBALS "ashlar.load_globals"

int script__sandbox_build(lua_State *lua)
{
    struct script_state *state = lua_touserdata(lua, 1);
    open_library(lua, "", luaopen_base);
    open_library(lua, LUA_TABLIBNAME, luaopen_table);
    open_library(lua, LUA_STRLIBNAME, luaopen_string);
    open_library(lua, LUA_MATHLIBNAME, luaopen_math);
    open_own(lua, "bit", script__open_bit);
    open_own(lua, "struct", script__open_struct);
    open_own(lua, "cmsgpack", script__open_msgpack);
    open_own(lua, "cjson", script__open_json);

    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    replace_functions(lua);
    script__push_api(lua, state->is_functions);
    lua_setfield(lua, -2, "redis");
    if (!state->is_functions) {
        lua_pushcfunction(lua, script__handler); /* scripts of Redis can see it, too */
        lua_setfield(lua, -2, "__redis__err__handler");
    }
    protect_libraries(lua);
    set_getmetatable(lua);
    report_missing(lua);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, LUA_REGISTRYINDEX, KEPT_GLOBALS);

    lua_pushvalue(lua, -1);
    make_proxy(lua);
    lua_pushvalue(lua, -1);
    lua_setfield(lua, -3, "_G");
    lua_replace(lua, LUA_GLOBALSINDEX);

    push_load_globals(lua);
    lua_setfield(lua, LUA_REGISTRYINDEX, KEPT_LOAD_GLOBALS);
    return 0;
}

void script__sandbox_constants(struct script_state *state)
{
    lua_State *lua = state->lua;
    lua_getfield(lua, LUA_REGISTRYINDEX, KEPT_GLOBALS);
    lua_pushcfunction(lua, script__handler);
    lua_pushvalue(lua, STACK_GLOBALS);
    lua_pushliteral(lua, "KEYS");
    lua_pushliteral(lua, "ARGV");
    lua_pushcclosure(lua, script__runner, 3);
    static const char *const names[] = {
        "KEYS", "ARGV", "err", "ok", "double", "big_number", "verbatim_string", "map", "set",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lua_pushstring(lua, names[i]);
    }
    lua_getfield(lua, LUA_REGISTRYINDEX, KEPT_LOAD_GLOBALS);
    lua_pushvalue(lua, LUA_GLOBALSINDEX);
    lua_getmetatable(lua, -1);
    lua_remove(lua, -2);
    assert(lua_gettop(lua) == STACK_BASE);
    assert(lua_istable(lua, STACK_ENV_META) && lua_isstring(lua, STACK_SET));
}
