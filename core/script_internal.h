/* script_internal.h - what the files of the script machine share: struct script_vm, its two Lua
 * states, and the names of the parts. Only for core/script*.c and core/function.c.
 *
 * A state's stack keeps constants at its bottom, so that the hot paths push by position instead of
 * interning strings again and again (STACK_*); everything above STACK_BASE belongs to whoever runs.
 * The allocator's argument is the struct script_state, which is how a C function finds its state.
 *
 * I1  Outside of a run a state's main stack has exactly STACK_BASE elements.
 * I2  Lua code runs, and Lua memory is allocated, only under lua_pcall, or with must_have set
 *     (then the allocator does not refuse; conversion of results, which needs little).
 * I3  state->run is not NULL exactly while a script or function runs in the state.
 */
#ifndef ASHLAR_CORE_SCRIPT_INTERNAL_H
#define ASHLAR_CORE_SCRIPT_INTERNAL_H

#include "core/script.h"
#include "core/serial.h"
#include "proto/resp_parse.h"
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>

enum {
    STACK_GLOBALS = 1, /* the real table behind _G */
    STACK_HANDLER,     /* the error handler */
    STACK_RUNNER,      /* C function that a protected run begins with */
    STACK_KEYS,        /* "KEYS" and so on */
    STACK_ARGV,
    STACK_ERR,
    STACK_OK,
    STACK_DOUBLE,
    STACK_BIG_NUMBER,
    STACK_VERBATIM,
    STACK_MAP,
    STACK_SET,
    STACK_LOAD_GLOBALS, /* functions: what a library sees while it is loaded */
    STACK_ENV_META,     /* functions: metatable of the environment, whose __index changes */
    STACK_BASE = STACK_ENV_META,
};

struct compiled {      /* an entry of a state's table of chunks, open addressing by key */
    struct script *script; /* NULL: free */
    int ref;           /* in the registry */
};

struct function_library;
struct instance {      /* a library in the state of functions */
    struct function_library *library; /* a reference */
    int ref;           /* registry: table of its callbacks, by position in library->functions */
};

/* One run of a script or function. */
struct script_run_ctx {
    const struct script_call *call;
    const char *name;      /* sha, or name of the function */
    int ref;               /* registry: what to run (a function's: table of its library) */
    uint32_t position;     /* functions: place in that table, from 1 */
    int resp;              /* redis.setresp */
    bool killed;
};

struct loading; /* function.c: FUNCTION LOAD under way */

struct script_state {
    lua_State *lua;
    struct script_vm *vm;
    size_t used_bytes;
    bool must_have;        /* I2 */
    bool starved;          /* memory was refused during this run */
    bool large_block;      /* one was allocated since the last run began (SMALL_BLOCK_BYTES) */
    bool is_functions;
    struct script_run_ctx *run; /* I3 */
    struct loading *loading;
    uint32_t runs;         /* since the collector was last tuned */
    uint8_t cycles_due;    /* of the collector, until nothing is left of what has run */
    uint16_t random[3];    /* math.random: 48 bits, lowest word first */
};

struct script_vm {
    const struct script_host *host;
    struct script_state eval, functions; /* lua NULL until first used */
    size_t limit_bytes;    /* of one state; 0: none */

    struct compiled *chunks; /* cap is a power of two, at most half full */
    uint32_t chunk_count, chunk_cap;
    struct instance *instances;
    uint32_t instance_count, instance_cap;

    /* redis.call, reused from call to call */
    struct slice *argv;
    char (*numbers)[32];   /* numbers as text, one per argument */
    uint32_t argv_cap;
    struct reply reply;    /* the command's; empty between calls */
    char *gathered;        /* a string that lay in several chunks */
    size_t gathered_cap;

    /* cjson.encode, cmsgpack.pack: what they write; script__scratch_* */
    char *scratch;
    size_t scratch_len, scratch_cap;
};

/* --- script.c --- */
/* Splits the first line of code as a command line; line is that line without its end, or NULL if
 * there is none. False: not words. words is to be freed in any case. */
bool script__shebang_words(struct resp_parser *words, struct slice code, struct slice *line);

/* --- script_vm.c --- */
struct script_state *script__state_of(lua_State *lua);
/* Makes the Lua state on first use. False: no memory. */
bool script__state_open(struct script_state *state);
void script__state_close(struct script_state *state);
/* Under the collector's stop, and text only: see script_sandbox.c. lua_load's status. */
int script__load(lua_State *lua, const char *code, size_t len, const char *name);
/* STACK_RUNNER with its upvalues (globals, "KEYS", "ARGV"), STACK_HANDLER. */
int script__runner(lua_State *lua);
int script__handler(lua_State *lua);
/* Raises text, and has every further line of the run fail. */
void script__kill(lua_State *lua, const char *text);
void script__set_hook(struct script_state *state); /* as it is between runs */
struct script_result script__execute(struct script_state *state, struct script_run_ctx *run,
                                     struct reply *out);

/* --- script_api.c --- */
/* Pushes the table `redis`: of the state, or of a library while it is loaded. */
void script__push_api(lua_State *lua, bool is_functions);
void script__add_log_and_version(lua_State *lua); /* to the table on top */
int script__math_random(lua_State *lua);
int script__math_randomseed(lua_State *lua);

/* --- script_convert.c --- */
/* Pushes {err = …}: text with a leading '-' brings its code, else it is "ERR text". */
void script__push_error(lua_State *lua, const char *text, size_t len);
/* The command's reply in vm->reply, as a Lua value; true if it is an error. Empties it. */
bool script__push_reply(lua_State *lua, struct script_vm *vm);
/* Pops the value on top and writes it. True if it is an error, whose source may be a command. */
void script__reply_value(struct script_state *state, struct script_result *result,
                         struct reply *out);
/* Pops what a failed run left on top, writes it as an error. */
void script__reply_failure(struct script_state *state, const char *name,
                           struct script_result *result, struct reply *out);
/* Text of the error on top (a table with err, or a string); valid while it stands there. */
const char *script__error_text(lua_State *lua);

/* --- script_sandbox.c --- */
/* Fills a new state: libraries, globals, protection; leaves the constants of STACK_*. Runs under
 * lua_pcall. */
int script__sandbox_build(lua_State *lua);
void script__sandbox_constants(struct script_state *state); /* then: fills the stack's bottom */
/* Pushes what tostring() gives for a value, without metamethods. */
void script__push_text(lua_State *lua, int index);
/* If the value at index is a protected table's proxy, pushes the table behind it. */
bool script__push_behind_proxy(lua_State *lua, int index);
/* redis.register_function, function.c. */
int script__register_function(lua_State *lua);

/* --- function.c --- */
#define FUNCTION_NAME_ERROR "Library names can only contain letters, numbers, or underscores(_) " \
                            "and must be at least one character long"
bool function__name_is_good(struct slice name);
/* Name (own memory, zero-terminated) and length of a library's first line. */
bool function__parse_shebang(struct slice code, struct slice *name, size_t *shebang_len,
                             struct reply *out);
void function__forget_instances(struct script_vm *vm);
void script__loading_tick(lua_State *lua, struct script_state *state);

/* --- libraries ---
 * The scratch buffer outlives errors, so nothing leaks when one is raised while it is in use. No
 * Lua code runs between start and push. */
void script__scratch_grow(lua_State *lua, struct script_vm *vm, size_t n); /* or raises */
static inline struct script_vm *script__scratch_start(lua_State *lua)
{
    struct script_vm *vm = script__state_of(lua)->vm;
    vm->scratch_len = 0;
    return vm;
}
/* Room for n bytes; script__scratch_wrote says how many were used. */
static inline char *script__scratch_room(lua_State *lua, struct script_vm *vm, size_t n)
{
    if (vm->scratch_cap - vm->scratch_len < n) {
        script__scratch_grow(lua, vm, n);
    }
    return vm->scratch + vm->scratch_len;
}
static inline void script__scratch_wrote(struct script_vm *vm, size_t n)
{
    vm->scratch_len += n;
}
static inline void script__scratch_add(lua_State *lua, struct script_vm *vm, const void *data,
                                       size_t n)
{
    memcpy(script__scratch_room(lua, vm, n + 1), data, n);
    vm->scratch_len += n;
}
void script__scratch_push(lua_State *lua, struct script_vm *vm); /* as a Lua string */
int script__open_bit(lua_State *lua);
int script__open_struct(lua_State *lua);
int script__open_msgpack(lua_State *lua);
int script__open_json(lua_State *lua);

#endif
