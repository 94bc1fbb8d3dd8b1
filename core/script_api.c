/* script_api.c - the table `redis` that scripts see, and math.random.
 *
 * redis.call in steps: arguments become slices of Lua's own strings (which stay on the stack), the
 * host runs the command, its reply becomes a value (script_convert.c). Nothing is allocated on the
 * way but the value.
 */
#include "core/mem.h"
#include "core/script_internal.h"
#include <math.h>
#include <stdio.h>

enum {
    REDIS_VERSION_NUM = 0x0007000f, /* 7.0.15, whose API this is */
    ARGV_KEEP_MAX = 1024,
    RANDOM_MAX = INT32_MAX,
};
#define REDIS_VERSION "7.0.15"

/* Pushes {err = "ERR text"} (or as text says) and raises it. */
static int raise(lua_State *lua, const char *text)
{
    script__push_error(lua, text, strlen(text));
    return lua_error(lua);
}

static struct script_run_ctx *run_or_raise(lua_State *lua, const char *text)
{
    struct script_run_ctx *run = script__state_of(lua)->run;
    if (run == NULL) {
        raise(lua, text);
    }
    return run;
}

/* --- Commands --- */

static bool reserve_argv(struct script_vm *vm, uint32_t argc)
{
    if (argc <= vm->argv_cap) {
        return true;
    }
    uint32_t cap = argc < 16 ? 16 : argc + argc / 2;
    struct slice *argv = mem_try_realloc(vm->argv, cap * sizeof *argv);
    if (argv == NULL) {
        return false;
    }
    vm->argv = argv;
    char(*numbers)[32] = mem_try_realloc(vm->numbers, cap * sizeof *numbers);
    if (numbers == NULL) {
        return false;
    }
    vm->numbers = numbers;
    vm->argv_cap = cap;
    return true;
}

/* A number as "%.17g" prints it; most are small integers. */
static size_t print_number(char out[32], lua_Number v)
{
    enum { EXACT_MAX = 1000000000 };
    if (v >= 1 && v <= EXACT_MAX && v == (lua_Number)(int64_t)v) {
        char digits[12];
        size_t n = 0;
        for (uint64_t rest = (uint64_t)v; rest > 0; rest /= 10) {
            digits[n++] = (char)('0' + rest % 10);
        }
        for (size_t i = 0; i < n; i++) {
            out[i] = digits[n - 1 - i];
        }
        return n;
    }
    return (size_t)snprintf(out, 32, "%.17g", v);
}

/* The C function's arguments as vm->argv. False: an error table was pushed. */
static bool take_arguments(lua_State *lua, struct script_vm *vm, uint32_t *argc)
{
    int n = lua_gettop(lua);
    if (n == 0) {
        static const char text[] = "Please specify at least one argument for this redis lib call";
        script__push_error(lua, text, sizeof text - 1);
        return false;
    }
    if (!reserve_argv(vm, (uint32_t)n)) {
        luaL_error(lua, "not enough memory");
    }
    for (int i = 0; i < n; i++) {
        switch (lua_type(lua, i + 1)) {
        case LUA_TNUMBER:
            vm->argv[i].len = print_number(vm->numbers[i], lua_tonumber(lua, i + 1));
            vm->argv[i].ptr = vm->numbers[i];
            break;
        case LUA_TSTRING:
            vm->argv[i].ptr = lua_tolstring(lua, i + 1, &vm->argv[i].len);
            break;
        default: {
            static const char text[] =
                "Lua redis lib command arguments must be strings or integers";
            script__push_error(lua, text, sizeof text - 1);
            return false;
        }
        }
    }
    *argc = (uint32_t)n;
    return true;
}

static void trim_argv(struct script_vm *vm)
{
    if (vm->argv_cap > ARGV_KEEP_MAX) {
        mem_free(vm->argv);
        mem_free(vm->numbers);
        vm->argv = NULL;
        vm->numbers = NULL;
        vm->argv_cap = 0;
    }
}

static int call_command(lua_State *lua, bool raise_errors)
{
    struct script_state *state = script__state_of(lua);
    struct script_vm *vm = state->vm;
    struct script_run_ctx *run = run_or_raise(
        lua, "redis.call/pcall can only be called inside a script invocation");
    uint32_t argc;
    if (!take_arguments(lua, vm, &argc)) {
        return raise_errors ? lua_error(lua) : 1;
    }
    if (vm->reply.head != NULL) {
        reply_clear(&vm->reply); /* an error struck while the last one was being converted */
    }
    vm->reply.resp = (uint8_t)run->resp;
    vm->host->call(run->call->ctx, vm->argv, argc, &vm->reply);
    trim_argv(vm);
    lua_settop(lua, 0); /* thousands of arguments leave no room for the reply */
    bool is_error = script__push_reply(lua, vm);
    return is_error && raise_errors ? lua_error(lua) : 1;
}

static int redis_call(lua_State *lua)
{
    return call_command(lua, true);
}

static int redis_pcall(lua_State *lua)
{
    return call_command(lua, false);
}

static int redis_acl_check_cmd(lua_State *lua)
{
    struct script_vm *vm = script__state_of(lua)->vm;
    struct script_run_ctx *run = run_or_raise(
        lua, "redis.acl_check_cmd can only be called inside a script invocation");
    uint32_t argc;
    if (!take_arguments(lua, vm, &argc)) {
        return lua_error(lua);
    }
    int allowed = vm->host->acl_check(run->call->ctx, vm->argv, argc);
    trim_argv(vm);
    if (allowed < 0) {
        return raise(lua, "Invalid command passed to redis.acl_check_cmd()");
    }
    lua_pushboolean(lua, allowed);
    return 1;
}

/* --- The rest of `redis` --- */

static int redis_sha1hex(lua_State *lua)
{
    if (lua_gettop(lua) != 1) {
        return raise(lua, "wrong number of arguments");
    }
    size_t len = 0;
    const char *text = lua_tolstring(lua, 1, &len);
    char sha[SCRIPT_SHA_LEN + 1];
    script_sha(slice_of(text, text != NULL ? len : 0), sha);
    lua_pushlstring(lua, sha, SCRIPT_SHA_LEN);
    return 1;
}

static bool is_one_string(lua_State *lua)
{
    if (lua_gettop(lua) == 1 && lua_type(lua, 1) == LUA_TSTRING) {
        return true;
    }
    static const char text[] = "wrong number or type of arguments";
    script__push_error(lua, text, sizeof text - 1);
    return false;
}

static int redis_error_reply(lua_State *lua)
{
    if (!is_one_string(lua)) {
        return 1;
    }
    const char *text = lua_tostring(lua, 1);
    if (text[0] != '-') {
        lua_pushliteral(lua, "-");
        lua_insert(lua, 1);
        lua_concat(lua, 2);
        text = lua_tostring(lua, 1);
    }
    script__push_error(lua, text, strlen(text));
    return 1;
}

static int redis_status_reply(lua_State *lua)
{
    if (!is_one_string(lua)) {
        return 1;
    }
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
}

static int redis_set_repl(lua_State *lua)
{
    struct script_vm *vm = script__state_of(lua)->vm;
    struct script_run_ctx *run = run_or_raise(
        lua, "redis.set_repl can only be called inside a script invocation");
    if (lua_gettop(lua) != 1) {
        return raise(lua, "redis.set_repl() requires two arguments.");
    }
    lua_Number given = lua_tonumber(lua, 1);
    int flags = given >= INT32_MIN && given <= INT32_MAX ? (int)given : -1;
    if ((flags & ~SCRIPT_REPL_ALL) != 0) {
        return raise(lua, "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                          "REPL_NONE.");
    }
    vm->host->set_repl(run->call->ctx, flags);
    return 0;
}

static int redis_setresp(lua_State *lua)
{
    struct script_run_ctx *run = run_or_raise(
        lua, "redis.setresp can only be called inside a script invocation");
    if (lua_gettop(lua) != 1) {
        return raise(lua, "redis.setresp() requires one argument.");
    }
    lua_Number given = lua_tonumber(lua, 1);
    if (!(given >= 2 && given < 4)) {
        return raise(lua, "RESP version must be 2 or 3.");
    }
    run->resp = (int)given;
    return 0;
}

static int redis_log(lua_State *lua)
{
    int argc = lua_gettop(lua);
    if (argc < 2) {
        return raise(lua, "redis.log() requires two arguments or more.");
    }
    if (!lua_isnumber(lua, 1)) {
        return raise(lua, "First argument must be a number (log level).");
    }
    lua_Number level = lua_tonumber(lua, 1);
    if (!(level > SCRIPT_LOG_DEBUG - 1 && level < SCRIPT_LOG_WARNING + 1)) {
        return raise(lua, "Invalid debug level.");
    }
    const struct script_host *host = script__state_of(lua)->vm->host;
    if (!host->wants_log((enum script_log_level)level)) {
        return 0;
    }
    luaL_Buffer b;
    luaL_buffinit(lua, &b);
    for (int i = 2; i <= argc; i++) {
        size_t len;
        const char *text = lua_tolstring(lua, i, &len);
        if (text == NULL) {
            continue;
        }
        if (i > 2) {
            luaL_addchar(&b, ' ');
        }
        luaL_addlstring(&b, text, len);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(lua, -1, &len);
    host->log((enum script_log_level)level, slice_of(text, len));
    return 0;
}

/* There is no debugger: as Redis answers outside of one. */
static int redis_breakpoint(lua_State *lua)
{
    lua_pushboolean(lua, 0);
    return 1;
}

static int redis_debug(lua_State *lua)
{
    return 0;
}

static int redis_replicate_commands(lua_State *lua)
{
    lua_pushboolean(lua, 1);
    return 1;
}

struct number_constant {
    const char *name;
    int value;
};

static void add_numbers(lua_State *lua, const struct number_constant *numbers)
{
    for (; numbers->name != NULL; numbers++) {
        lua_pushinteger(lua, numbers->value);
        lua_setfield(lua, -2, numbers->name);
    }
}

void script__add_log_and_version(lua_State *lua)
{
    static const struct number_constant levels[] = {
        {"LOG_DEBUG", SCRIPT_LOG_DEBUG},
        {"LOG_VERBOSE", SCRIPT_LOG_VERBOSE},
        {"LOG_NOTICE", SCRIPT_LOG_NOTICE},
        {"LOG_WARNING", SCRIPT_LOG_WARNING},
        {"REDIS_VERSION_NUM", REDIS_VERSION_NUM},
        {NULL, 0},
    };
    add_numbers(lua, levels);
    lua_pushliteral(lua, REDIS_VERSION);
    lua_setfield(lua, -2, "REDIS_VERSION");
    lua_pushcfunction(lua, redis_log);
    lua_setfield(lua, -2, "log");
}

void script__push_api(lua_State *lua, bool is_functions)
{
    static const luaL_Reg common[] = {
        {"call", redis_call},
        {"pcall", redis_pcall},
        {"setresp", redis_setresp},
        {"sha1hex", redis_sha1hex},
        {"error_reply", redis_error_reply},
        {"status_reply", redis_status_reply},
        {"set_repl", redis_set_repl},
        {"acl_check_cmd", redis_acl_check_cmd},
        {NULL, NULL},
    };
    static const luaL_Reg eval_only[] = {
        {"breakpoint", redis_breakpoint},
        {"debug", redis_debug},
        {"replicate_commands", redis_replicate_commands},
        {NULL, NULL},
    };
    static const struct number_constant targets[] = {
        {"REPL_NONE", SCRIPT_REPL_NONE},
        {"REPL_AOF", SCRIPT_REPL_AOF},
        {"REPL_SLAVE", SCRIPT_REPL_REPLICA},
        {"REPL_REPLICA", SCRIPT_REPL_REPLICA},
        {"REPL_ALL", SCRIPT_REPL_ALL},
        {NULL, 0},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, common);
    if (!is_functions) {
        luaL_register(lua, NULL, eval_only);
    }
    script__add_log_and_version(lua);
    add_numbers(lua, targets);
}

/* --- math.random: the same numbers on every machine (the generator of drand48) --- */

static uint32_t next_random(struct script_state *state)
{
    uint64_t x = state->random[0] | (uint64_t)state->random[1] << 16 |
                 (uint64_t)state->random[2] << 32;
    x = x * 0x5deece66du + 0xb;
    state->random[0] = (uint16_t)x;
    state->random[1] = (uint16_t)(x >> 16);
    state->random[2] = (uint16_t)(x >> 32);
    return ((uint32_t)state->random[2] << 15) + (state->random[1] >> 1);
}

int script__math_random(lua_State *lua)
{
    struct script_state *state = script__state_of(lua);
    if (state->run == NULL) {
        return luaL_error(lua, "math.random can only be called inside a script invocation");
    }
    lua_Number r = (lua_Number)(next_random(state) % RANDOM_MAX) / (lua_Number)RANDOM_MAX;
    switch (lua_gettop(lua)) {
    case 0:
        lua_pushnumber(lua, r);
        break;
    case 1: {
        int upper = luaL_checkint(lua, 1);
        luaL_argcheck(lua, upper >= 1, 1, "interval is empty");
        lua_pushnumber(lua, floor(r * upper) + 1);
        break;
    }
    case 2: {
        int lower = luaL_checkint(lua, 1), upper = luaL_checkint(lua, 2);
        luaL_argcheck(lua, lower <= upper, 2, "interval is empty");
        /* As Redis has it: the difference is of int. */
        int32_t span = (int32_t)((uint32_t)upper - (uint32_t)lower + 1);
        lua_pushnumber(lua, floor(r * span) + lower);
        break;
    }
    default:
        return luaL_error(lua, "wrong number of arguments");
    }
    return 1;
}

int script__math_randomseed(lua_State *lua)
{
    struct script_state *state = script__state_of(lua);
    if (state->run == NULL) {
        return luaL_error(lua, "math.randomseed can only be called inside a script invocation");
    }
    uint32_t seed = (uint32_t)luaL_checkint(lua, 1);
    state->random[0] = 0x330e;
    state->random[1] = (uint16_t)seed;
    state->random[2] = (uint16_t)(seed >> 16);
    return 0;
}
