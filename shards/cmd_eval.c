/* cmd_eval.c - EVAL, EVALSHA, FCALL and their read-only forms (see scripting.h). */
#include "shards/scripting.h"
#include <assert.h>

/* How many of the arguments behind numkeys are keys. False: an error was written. */
static bool parse_numkeys(struct call *c, const char *not_a_number, uint32_t *out)
{
    int64_t n;
    if (!call_arg_int_or(c, 2, &n, not_a_number)) {
        return false;
    }
    if (n > (int64_t)c->argc - 3) {
        reply_error(c->out, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    if (n < 0) {
        reply_error(c->out, "ERR Number of keys can't be negative");
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static struct scripts *scripts_here(void)
{
    return shard_self->server->scripts;
}

/* --- at home ---------------------------------------------------------------------------------- */

static enum command_reach reach_of(const struct runnable *r)
{
    switch ((enum runnable_reach)atomic_load_explicit(&r->reach, memory_order_relaxed)) {
    case RUNNABLE_PROVEN:
        return REACH_NAMED;
    case RUNNABLE_TRIED:
        return REACH_TRY;
    case RUNNABLE_UNKNOWN:
    case RUNNABLE_WIDE:
        break;
    }
    return REACH_ALL;
}

static bool numkeys_fits(const struct slice *argv, uint32_t argc)
{
    int64_t n = 0;
    struct slice text = argv[2];
    if (text.len == 0 || text.len > 10) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        n = n * 10 + (text.ptr[i] - '0');
    }
    return n <= (int64_t)argc - 3;
}

/* What is wrong with the call is said where it runs, without *extra. */
static enum command_reach prepared(struct runnable *r, void **extra)
{
    *extra = r;
    return r != NULL ? reach_of(r) : REACH_NAMED;
}

static enum command_reach prepare_eval(const struct slice *argv, uint32_t argc, void **extra)
{
    if (!numkeys_fits(argv, argc)) {
        return REACH_NAMED;
    }
    struct reply error;
    reply_init(&error, 2);
    error.muted = true;
    struct runnable *r = scripts_by_body(scripts_here(), argv[1], &error);
    reply_clear(&error);
    return prepared(r, extra);
}

static enum command_reach prepare_evalsha(const struct slice *argv, uint32_t argc, void **extra)
{
    if (!numkeys_fits(argv, argc)) {
        return REACH_NAMED;
    }
    return prepared(scripts_by_sha(scripts_here(), argv[1]), extra);
}

static enum command_reach prepare_fcall(const struct slice *argv, uint32_t argc, void **extra)
{
    if (!numkeys_fits(argv, argc)) {
        return REACH_NAMED;
    }
    return prepared(functions_find(scripts_here(), argv[1]), extra);
}

static void release(void *extra)
{
    runnable_unref(extra);
}

/* --- where it runs ---------------------------------------------------------------------------- */

static void eval(struct call *c, bool read_only)
{
    uint32_t nkeys;
    if (!parse_numkeys(c, "ERR value is not an integer or out of range", &nkeys)) {
        return;
    }
    struct runnable *r = c->extra;
    if (r == NULL) { /* it cannot be made: say why */
        r = scripts_by_body(scripts_here(), c->argv[1], c->out);
        assert(r == NULL);
        return;
    }
    scripting_run(c, r, nkeys, read_only);
}

static void evalsha(struct call *c, bool read_only)
{
    static const char *const unknown = "NOSCRIPT No matching script. Please use EVAL.";
    uint32_t nkeys;
    if (c->argv[1].len != SCRIPT_SHA_LEN) {
        reply_error(c->out, unknown);
        return;
    }
    if (!parse_numkeys(c, "ERR value is not an integer or out of range", &nkeys)) {
        return;
    }
    struct runnable *r = c->extra;
    struct reply error; /* it may be known only because an EVAL of it, which will fail, is on its way */
    reply_init(&error, 2);
    error.muted = true;
    if (r == NULL || !scripting_compiles(c->host, r, &error)) {
        reply_error(c->out, unknown);
        return;
    }
    scripting_run(c, r, nkeys, read_only);
}

static void fcall(struct call *c, bool read_only)
{
    uint32_t nkeys;
    struct runnable *r = c->extra;
    if (r == NULL) { /* say why */
        r = functions_find(scripts_here(), c->argv[1]);
        if (r == NULL || parse_numkeys(c, "ERR Bad number of keys provided", &nkeys)) {
            reply_error(c->out, "ERR Function not found"); /* or: has been loaded since */
        }
        if (r != NULL) {
            runnable_unref(r);
        }
        return;
    }
    if (parse_numkeys(c, "ERR Bad number of keys provided", &nkeys)) {
        scripting_run(c, r, nkeys, read_only);
    }
}

static void cmd_eval(struct call *c)
{
    eval(c, false);
}

static void cmd_eval_ro(struct call *c)
{
    eval(c, true);
}

static void cmd_evalsha(struct call *c)
{
    evalsha(c, false);
}

static void cmd_evalsha_ro(struct call *c)
{
    evalsha(c, true);
}

static void cmd_fcall(struct call *c)
{
    fcall(c, false);
}

static void cmd_fcall_ro(struct call *c)
{
    fcall(c, true);
}

/* --- rows ------------------------------------------------------------------------------------- */

#define ARGS(name_, first_) \
    static const struct command_arg name_[] = { \
        {.name = (first_), .type = ARG_STRING}, \
        {.name = "numkeys", .type = ARG_INTEGER}, \
        {.name = "key", .type = ARG_KEY, .flags = ARG_OPTIONAL | ARG_MULTIPLE}, \
        {.name = "arg", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE}, \
        {0}, \
    }
ARGS(eval_args, "script");
ARGS(evalsha_args, "sha1");
ARGS(fcall_args, "function");

#define NUMBERED_KEYS(flags_, ...) \
    {{.flags = (flags_), .begin = KEY_BEGIN_INDEX, .index = 2, .find = KEY_FIND_KEYNUM, \
      .keynum = 0, .first = 1, .step = 1, __VA_ARGS__}}
#define WRITES KEY_RW | KEY_ACCESS | KEY_UPDATE
#define READS KEY_RO | KEY_ACCESS
#define WRITES_NOTE .notes = "what the script does with its keys cannot be told: taken as written"
#define READS_NOTE .notes = "what the script does with its keys cannot be told: taken as read"
#define ROW(name_, run_, flags_, args_, prepare_) \
    .name = (name_), .run = (run_), .arity = -3, \
    .flags = CMD_NOSCRIPT | CMD_SKIP_MONITOR | CMD_NO_MANDATORY_KEYS | CMD_STALE | (flags_), \
    .acl = ACL_SCRIPTING, .route = ROUTE_KEYS, .apart = APART_LEND, .prepare = (prepare_), \
    .release = release, .group = "scripting", \
    .complexity = "Depends on what it runs.", .args = (args_)

const struct command eval_commands[] = {
    {
        ROW("eval", cmd_eval, CMD_MAY_REPLICATE, eval_args, prepare_eval),
        .keys = NUMBERED_KEYS(WRITES, WRITES_NOTE),
        .since = "2.6.0", .summary = "Runs a Lua script.",
    },
    {
        ROW("eval_ro", cmd_eval_ro, CMD_READONLY, eval_args, prepare_eval),
        .keys = NUMBERED_KEYS(READS, READS_NOTE),
        .since = "7.0.0", .summary = "Runs a Lua script that only reads.",
    },
    {
        ROW("evalsha", cmd_evalsha, CMD_MAY_REPLICATE, evalsha_args, prepare_evalsha),
        .keys = NUMBERED_KEYS(WRITES),
        .since = "2.6.0", .summary = "Runs a Lua script that the server knows, by its SHA1.",
    },
    {
        ROW("evalsha_ro", cmd_evalsha_ro, CMD_READONLY, evalsha_args, prepare_evalsha),
        .keys = NUMBERED_KEYS(READS),
        .since = "7.0.0",
        .summary = "Runs a Lua script that the server knows and that only reads, by its SHA1.",
    },
    {
        ROW("fcall", cmd_fcall, CMD_MAY_REPLICATE, fcall_args, prepare_fcall),
        .keys = NUMBERED_KEYS(WRITES, WRITES_NOTE),
        .since = "7.0.0", .summary = "Runs a function of a library.",
    },
    {
        ROW("fcall_ro", cmd_fcall_ro, CMD_READONLY, fcall_args, prepare_fcall),
        .keys = NUMBERED_KEYS(READS, READS_NOTE),
        .since = "7.0.0", .summary = "Runs a function of a library that only reads.",
    },
    {0},
};
