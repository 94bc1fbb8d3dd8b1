/* cmd_slowlog.c - SLOWLOG: one log made of those of all shards (slowlog.h).
 *
 * GET: each shard lends its newest entries (references); at home they are sorted by id.
 */
#include "core/mem.h"
#include "core/num.h"
#include "shards/cmd_server.h"
#include "shards/slowlog.h"
#include <stdlib.h>

enum { SLOWLOG_GET_DEFAULT = 10 };

struct slowlog_get {
    uint32_t limit;
    struct {
        struct slowlog_entry **entries;
        uint32_t count;
    } taken[SHARDS_MAX]; /* by shard */
};

static void take_part(struct shard *shard, void *ctx)
{
    struct slowlog_get *get = ctx;
    uint32_t most = shard->slowlog->count < get->limit ? shard->slowlog->count : get->limit;
    if (most == 0) {
        return;
    }
    struct slowlog_entry **entries = mem_alloc(most * sizeof *entries);
    get->taken[shard->id].entries = entries;
    get->taken[shard->id].count = slowlog_take(shard->slowlog, entries, most);
}

static int newest_first(const void *a, const void *b)
{
    const struct slowlog_entry *x = *(struct slowlog_entry *const *)a;
    const struct slowlog_entry *y = *(struct slowlog_entry *const *)b;
    return x->id < y->id ? 1 : x->id > y->id ? -1 : 0;
}

static void reply_entry(struct reply *out, const struct slowlog_entry *e)
{
    reply_array(out, 6);
    reply_int(out, (int64_t)e->id);
    reply_int(out, e->unix_s);
    reply_int(out, (int64_t)e->duration_us);
    reply_array(out, e->argc);
    for (uint32_t i = 0; i < e->argc; i++) {
        reply_bulk(out, e->argv[i].ptr, e->argv[i].len);
    }
    reply_bulk(out, e->peer.ptr, e->peer.len);
    reply_bulk(out, e->name.ptr, e->name.len);
}

static void get_done(struct call *c, void *ctx)
{
    struct slowlog_get *get = ctx;
    uint32_t total = 0;
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        total += get->taken[s].count;
    }
    struct slowlog_entry **all = mem_alloc((total + 1) * sizeof *all);
    uint32_t n = 0;
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        if (get->taken[s].count) {
            memcpy(all + n, get->taken[s].entries, get->taken[s].count * sizeof *all);
            n += get->taken[s].count;
        }
        mem_free(get->taken[s].entries);
    }
    qsort(all, n, sizeof *all, newest_first);

    uint32_t shown = n < get->limit ? n : get->limit;
    reply_array(c->out, shown);
    for (uint32_t i = 0; i < n; i++) {
        if (i < shown) {
            reply_entry(c->out, all[i]);
        }
        slowlog_entry_release(all[i]);
    }
    mem_free(all);
    mem_free(get);
}

/* How many entries the log as a whole may show. */
static uint32_t log_limit(const struct call *c)
{
    int64_t len_max = call_home(c)->config->slowlog_max_len;
    return len_max < 0 ? 0 : len_max > SLOWLOG_LEN_MAX ? SLOWLOG_LEN_MAX : (uint32_t)len_max;
}

static void cmd_slowlog_get(struct call *c)
{
    int64_t count = SLOWLOG_GET_DEFAULT;
    if (c->argc > 3) {
        call_error_subcommand_args(c);
        return;
    }
    if (c->argc == 3 && (!num_parse_int(c->argv[2].ptr, c->argv[2].len, &count) || count < -1)) {
        reply_error(c->out, "ERR count should be greater than or equal to -1");
        return;
    }
    uint32_t limit = log_limit(c);
    struct slowlog_get *get = mem_alloc_zero(sizeof *get);
    get->limit = count >= 0 && count < limit ? (uint32_t)count : limit;
    broadcast(c, take_part, get_done, get);
}

struct slowlog_len {
    uint32_t count[SHARDS_MAX];
};

static void len_part(struct shard *shard, void *ctx)
{
    struct slowlog_len *len = ctx;
    len->count[shard->id] = shard->slowlog->count;
}

static void len_done(struct call *c, void *ctx)
{
    struct slowlog_len *len = ctx;
    uint64_t total = 0;
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        total += len->count[s];
    }
    uint32_t limit = log_limit(c);
    reply_int(c->out, total < limit ? (int64_t)total : limit);
    mem_free(len);
}

static void cmd_slowlog_len(struct call *c)
{
    broadcast(c, len_part, len_done, mem_alloc_zero(sizeof(struct slowlog_len)));
}

static void reset_part(struct shard *shard, void *ctx)
{
    slowlog_reset(shard->slowlog);
}

static void reset_done(struct call *c, void *ctx)
{
    reply_ok(c->out);
}

static void cmd_slowlog_reset(struct call *c)
{
    broadcast(c, reset_part, reset_done, NULL);
}

static void cmd_slowlog_help(struct call *c)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Newest entries of the slow log, at most <count> (10 unless given, -1 for all).",
        "    An entry is: id, unix time, microseconds, arguments, client address, client name.",
        "LEN",
        "    Number of entries in the slow log.",
        "RESET",
        "    Forget all entries.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

static const struct command_change get_history[] = {
    {"4.0.0", "Added client IP address, port and name to the reply."},
    {0},
};
static const struct command_arg get_args[] = {
    {.name = "count", .type = ARG_INTEGER, .flags = ARG_OPTIONAL},
    {0},
};
static const char *const get_tips[] = {"request_policy:all_nodes", "nondeterministic_output", NULL};
static const char *const len_tips[] = {"request_policy:all_nodes", "response_policy:agg_sum",
                                       "nondeterministic_output", NULL};
static const char *const reset_tips[] = {"request_policy:all_nodes",
                                         "response_policy:all_succeeded", NULL};

const struct command slowlog_subcommands[] = {
    {
        .name = "get", .run = cmd_slowlog_get, .arity = -2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE, .route = ROUTE_BARRIER,
        .group = "server", .since = "2.2.12", 
        .summary = "Returns the newest entries of the slow log.",
        .complexity = "O(N) where N is the number of entries returned",
        .history = get_history, .args = get_args, .tips = get_tips,
    },
    {
        .name = "help", .run = cmd_slowlog_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .route = ROUTE_HOME, .group = "server", .since = "6.2.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        .name = "len", .run = cmd_slowlog_len, .arity = 2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE, .route = ROUTE_BARRIER,
        .group = "server", .since = "2.2.12", 
        .summary = "Returns how many entries the slow log has.",
        .complexity = "O(1)", .tips = len_tips,
    },
    {
        .name = "reset", .run = cmd_slowlog_reset, .arity = 2,
        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE, .route = ROUTE_BARRIER,
        .group = "server", .since = "2.2.12", .summary = "Removes all entries of the slow log.",
        .complexity = "O(N) where N is the number of entries in the slowlog", .tips = reset_tips,
    },
    {0},
};
