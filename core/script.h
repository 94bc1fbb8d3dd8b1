/* script.h - Lua scripts: what EVAL runs, and the machine that runs it.
 *
 *   home shard                                   shard that runs it
 *   script_create(body) ──► struct script ─────► script_run(vm, script, call, out)
 *   (immutable, counted; sha1, shebang flags)      compiled on first use in each VM
 *                                                      │ redis.call
 *                                                      ▼
 *                                                  host->call(ctx, argv, argc, reply)
 *
 * A script is a value: made once, shared by reference between threads. A VM belongs to one shard;
 * it holds two Lua states, as Redis does: one for EVAL (global KEYS and ARGV) and one for functions
 * (core/function.h), so that SCRIPT FLUSH and FUNCTION FLUSH do not touch each other. Everything
 * that a script sees is made as Redis 7.0.15 makes it: conversions, error objects, texts, sandbox.
 *
 * Which Lua: PUC Lua 5.1 (Debian's liblua5.1-0), not LuaJIT. Measured on 2026-11-21, two cores,
 * Xeon 2.6 GHz: KEYS, ARGV and a call to a C function with two arguments, 3 million times:
 * PUC 0.45 µs (0.46 with a count hook set for each run), LuaJIT with the compiler off 0.37 (0.49);
 * arithmetic, tables, strings, calls: PUC 330 to 400 ms, LuaJIT's interpreter 145 to 230. (The
 * compiler must be off: compiled loops look at no hook, so nothing could be killed.) LuaJIT drops
 * the caller's frame when it calls a C function in tail position: "return redis.call(…)" would lose
 * the "script: <sha>, on @user_script:1." of its errors, and error() its position. It also walks
 * tables in another order (cjson.encode) and has no implicit `arg`. A call costs the same, so
 * being exact won.
 *
 * What stock Lua lacks against Redis's patched one is made here: tables that cannot be written to
 * are empty proxies before the real ones, seen through by pairs, next, rawget and the like
 * (script_sandbox.c). Guards against known holes of Lua 5.1.5: no binary chunks, no collection
 * while a chunk is parsed, unpack with bounds. cjson and bit are our own as well, because Debian's
 * are not safe for what strangers store (script_lib_json.c, script_lib_bit.c).
 *
 * Memory of both states comes from mem.h, so it is counted as the shard's. When it runs out, or a
 * script needs more than script_vm_limit_memory says, the script gets "not enough memory" as an error.
 *
 * Threads: a VM on its shard's thread. Scripts on any; they are immutable and counted atomically.
 */
#ifndef ASHLAR_CORE_SCRIPT_H
#define ASHLAR_CORE_SCRIPT_H

#include "proto/reply.h"
#include "proto/slice.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SCRIPT_SHA_LEN = 40 };

/* Flags that a script declares after "#!lua flags=", a function in its registration. */
enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,
    SCRIPT_ALLOW_OOM = 1 << 1,
    SCRIPT_ALLOW_STALE = 1 << 2,
    SCRIPT_NO_CLUSTER = 1 << 3,
    SCRIPT_COMPAT = 1 << 4, /* EVAL without a shebang: the rules from before Redis 7 */
    SCRIPT_ALLOW_CROSS_SLOT = 1 << 5,
};
/* "no-writes" … , by bit; NULL for SCRIPT_COMPAT and beyond. */
const char *script_flag_name(unsigned bit);
/* 0 if there is no such flag. Functions are registered without regard to case. */
uint32_t script_flag_by_name(struct slice name, bool ignore_case);

/* --- scripts --- */

struct script {
    _Atomic uint32_t refs_;
    uint32_t flags;                  /* enum script_flag */
    char sha[SCRIPT_SHA_LEN + 1];    /* lower case hex, 0 */
    uint32_t shebang_len;            /* bytes of the first line that Lua does not get to see */
    size_t body_len;
    char body[];                     /* as it came, and a 0 behind it */
};

/* The sha of a body, 40 digits and a 0. */
void script_sha(struct slice body, char sha[SCRIPT_SHA_LEN + 1]);
/* A sha as EVALSHA's client wrote it: 40 bytes, any case. False: not that long. */
bool script_sha_normalize(struct slice given, char sha[SCRIPT_SHA_LEN + 1]);
/* Parses the shebang. NULL: an error was written to out. Its code is not compiled yet. sha may be
 * NULL or what script_sha() made of body. */
struct script *script_create(struct slice body, const char *sha, struct reply *out);
struct script *script_ref(struct script *s);
void script_unref(struct script *s); /* frees the last one */
static inline size_t script_memory_bytes(const struct script *s)
{
    return sizeof *s + s->body_len + 1;
}

/* --- may it run? --- */

struct script_conditions {
    bool cluster_enabled;
    bool replica_stale;        /* link down and replica-serve-stale-data no */
    bool replica_read_only;    /* and the client is not the master */
    bool from_master;
    bool read_only_command;    /* EVAL_RO, EVALSHA_RO, FCALL_RO */
    bool too_few_replicas;     /* min-replicas-to-write */
    bool out_of_memory;        /* over maxmemory when the command began */
    const char *disk_error;    /* NULL, "RDB", or the text of the last failed write to the AOF */
};
/* What Redis checks before a script or function with these flags starts. False: an error was
 * written to out. */
bool script_may_run(uint32_t flags, const struct script_conditions *now, struct reply *out);
/* Write commands of this run are to be refused with SCRIPT_ERROR_READ_ONLY. */
static inline bool script_is_read_only(uint32_t flags, bool read_only_command)
{
    return read_only_command || (!(flags & SCRIPT_COMPAT) && (flags & SCRIPT_NO_WRITES));
}
/* Commands run even when memory is out. */
static inline bool script_is_allowed_oom(uint32_t flags)
{
    return !(flags & SCRIPT_COMPAT) && (flags & SCRIPT_ALLOW_OOM);
}

/* Errors that the host writes from call(), as Redis words them. */
#define SCRIPT_ERROR_UNKNOWN "ERR Unknown Redis command called from script"
#define SCRIPT_ERROR_ARITY "ERR Wrong number of args calling Redis command from script"
#define SCRIPT_ERROR_NOSCRIPT "ERR This Redis command is not allowed from script"
#define SCRIPT_ERROR_READ_ONLY "ERR Write commands are not allowed from read-only scripts."
#define SCRIPT_ERROR_STALE "ERR Can not execute the command on a stale replica"
#define SCRIPT_ERROR_CROSS_SLOT \
    "ERR Script attempted to access keys that do not hash to the same slot"
#define SCRIPT_ERROR_NON_LOCAL "ERR Script attempted to access a non local key in a cluster node"

/* --- the machine --- */

enum script_verdict {
    SCRIPT_GO_ON,
    SCRIPT_STOP, /* SCRIPT KILL, FUNCTION KILL: an error that pcall cannot hold up for long */
};

enum script_log_level {
    SCRIPT_LOG_DEBUG, SCRIPT_LOG_VERBOSE, SCRIPT_LOG_NOTICE, SCRIPT_LOG_WARNING,
};

enum script_repl {
    SCRIPT_REPL_NONE = 0, SCRIPT_REPL_AOF = 1, SCRIPT_REPL_REPLICA = 2, SCRIPT_REPL_ALL = 3,
};

/* What a running script asks of the server. ctx is that of the call; all on the VM's thread. None
 * may enter the VM again. */
struct script_host {
    /* Runs one command: looks it up, checks arity, flags, ACL, memory; writes exactly one reply to
     * out, whose resp (2 or 3) is what redis.setresp chose. argv's bytes stay until it returns. */
    void (*call)(void *ctx, const struct slice *argv, uint32_t argc, struct reply *out);
    /* redis.acl_check_cmd: 1 allowed, 0 not, -1 no such command. */
    int (*acl_check)(void *ctx, const struct slice *argv, uint32_t argc);
    /* redis.log. Levels below the server's are not worth building the text: wants_log first. */
    bool (*wants_log)(enum script_log_level level);
    void (*log)(enum script_log_level level, struct slice text);
    /* redis.set_repl: enum script_repl. */
    void (*set_repl)(void *ctx, int repl);
    /* Every SCRIPT_TICK_INSTRUCTIONS. It finds out how long the script has been running. */
    enum script_verdict (*tick)(void *ctx);
};

enum {
    SCRIPT_TICK_INSTRUCTIONS = 100000,
    SCRIPT_REPLY_DEPTH_MAX = 4000, /* nesting of a result; deeper: "ERR reached lua stack limit" */
};

struct script_vm;

struct script_call {
    void *ctx;                 /* for the host's functions */
    const struct slice *keys;
    const struct slice *args;
    uint32_t nkeys, nargs;
};

struct script_result {
    bool failed;         /* the reply is an error */
    bool error_counted;  /* and is one that a command gave: errorstats has seen it already */
};

struct script_vm *script_vm_create(const struct script_host *host); /* host outlives the VM */
void script_vm_free(struct script_vm *vm);

/* Runs it and writes one reply to out, converted for out->resp. The first run in this VM compiles
 * it; what does not compile is an error reply and stays unknown. */
struct script_result script_run(struct script_vm *vm, struct script *s,
                                const struct script_call *call, struct reply *out);
/* SCRIPT LOAD: compiles it if this VM does not have it. False: an error was written to out. */
bool script_compile(struct script_vm *vm, struct script *s, struct reply *out);

/* SCRIPT FLUSH: forgets all scripts and the state of EVAL (libraries' settings included). */
void script_vm_flush(struct script_vm *vm);
/* Forgets one compiled script. */
void script_vm_drop(struct script_vm *vm, const char sha[SCRIPT_SHA_LEN]);
uint32_t script_vm_count(const struct script_vm *vm); /* compiled scripts */

/* Name of what is running: sha of a script, name of a function; NULL: nothing. */
const char *script_vm_running(const struct script_vm *vm, bool *is_function);

/* Memory of the Lua states, bytes. */
size_t script_vm_memory_bytes(const struct script_vm *vm);           /* used_memory_vm_eval */
size_t script_vm_function_memory_bytes(const struct script_vm *vm);  /* used_memory_vm_functions */
/* Above this a state gets no more memory: 0 is no limit of our own (the default). */
void script_vm_limit_memory(struct script_vm *vm, size_t bytes);
/* Collects all garbage of both states (MEMORY PURGE, tests). */
void script_vm_collect(struct script_vm *vm);
/* Lua collects while scripts run. When none do any more, what the last ones have left would stay, and
 * count against maxmemory: this collects some of it, unless it is little. True: there is more. */
bool script_vm_collect_slice(struct script_vm *vm);

#endif
