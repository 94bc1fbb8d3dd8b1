/* cmd_config.c - see cmd_config.h.
 *
 * What a shard may still be looking at when all shards have the new configuration are settings that
 * travel with a lent view (core/keyspace.h), and those of a command that rests (slices.h). A view
 * is gone within a round of messages, once no command rests; an old configuration is kept for
 * CONFIG_RETIRED_MAX further changes, each of which is a round that all shards take part in. The
 * configuration of the start is never freed: main() keeps to it. */
#include "shards/cmd_config.h"
#include "core/glob.h"
#include "io/net.h"
#include "shards/config_table.h"
#include "shards/crash.h"
#include "shards/latency.h"
#include "shards/listener.h"
#include "shards/oom.h"
#include "shards/shard.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_RETIRED_MAX = 32, NAME_SHOWN_MAX = 1024 };

/* Old configurations, oldest first. Touched while server->config_changing is held. */
static struct config **retired;
static unsigned retired_count, retired_cap;
static unsigned retired_quiet; /* so many have retired while no command rested anywhere */

static struct server *server_of(struct call *c)
{
    return call_conn(c)->shard->server;
}

/* --- changing -------------------------------------------------------------------------------- */

struct change {
    config_edit *edit;
    struct config *fresh;
    bool deaf; /* shard 0 could not listen as the new configuration says */
};

static void error_of_arg(struct call *c, struct slice name, const char *why)
{
    const int len = (int)(name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX);
    reply_errorf(c->out, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", len,
                 name.ptr, why);
}

/* What the machine has to agree to, once all values are known to be good. */
static bool apply_to_process(struct call *c, const struct config *old, const struct config *fresh)
{
    if (fresh->maxclients > old->maxclients) {
        const int64_t fits = config__raise_open_files(fresh, fresh->maxclients);
        if (fits < fresh->maxclients) {
            reply_errorf(c->out,
                         "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The "
                         "operating system is not able to handle the specified number of clients, "
                         "try with %lld",
                         (long long)fits);
            return false;
        }
    }
    if (fresh->crash_log_enabled != old->crash_log_enabled) {
        crash_init(fresh->crash_log_enabled);
    }
    if (strcmp(fresh->dir, old->dir) != 0 && chdir(fresh->dir) != 0) {
        error_of_arg(c, slice_str("dir"), strerror(errno));
        return false;
    }
    if (oom_score_differs(old, fresh) && oom_score_apply(fresh) != 0) {
        bool mode = old->oom_score_adj != fresh->oom_score_adj;
        oom_score_apply(old);
        error_of_arg(c, slice_str(mode ? "oom-score-adj" : "oom-score-adj-values"),
                     "Failed to set current oom_score_adj. Check server logs.");
        return false;
    }
    return true;
}

/* Takes back what apply_to_process() did. */
static void process_revert(const struct config *old, const struct config *fresh)
{
    if (fresh->crash_log_enabled != old->crash_log_enabled) {
        crash_init(old->crash_log_enabled);
    }
    if (strcmp(fresh->dir, old->dir) != 0 && chdir(old->dir) != 0) {
        log_warning("Could not go back to the directory %s: %s", old->dir, strerror(errno));
    }
    if (oom_score_differs(old, fresh)) {
        oom_score_apply(old);
    }
}

static void change_part(struct shard *shard, void *ctx)
{
    const struct change *change = ctx;
    shard->config = change->fresh;
    shard->keyspace->settings = &change->fresh->core;
    evict_configured(shard);
    clients_configured(shard);
}

static void retire(const struct server *server, const struct config *old)
{
    if (old->initial) {
        return;
    }
    bool rests = atomic_load_explicit(&server->slices_resting, memory_order_acquire) > 0;
    retired_quiet = rests ? 0 : retired_quiet + 1;
    if (retired_quiet > CONFIG_RETIRED_MAX && retired_count >= CONFIG_RETIRED_MAX) {
        const unsigned gone = retired_count - CONFIG_RETIRED_MAX + 1;
        for (unsigned i = 0; i < gone; i++) {
            config_free(retired[i]);
        }
        retired_count -= gone;
        memmove(retired, retired + gone, retired_count * sizeof *retired);
    }
    if (retired_count == retired_cap) {
        retired_cap = retired_cap > 0 ? retired_cap * 2 : CONFIG_RETIRED_MAX;
        retired = mem_realloc(retired, retired_cap * sizeof *retired);
    }
    retired[retired_count++] = (struct config *)old; /* published, so const to all; ours to free */
}

static void change_done(struct call *c, void *ctx)
{
    struct change *change = ctx;
    struct server *server = server_of(c);
    const struct config *old = atomic_load(&server->config);

    atomic_store(&server->config, change->fresh);
    if (old->loglevel != change->fresh->loglevel) {
        log_set_level(change->fresh->loglevel);
    }
    free(change);
    retire(server, old);
    atomic_flag_clear(&server->config_changing);
    clients_settle(c);
}

static void discard(struct server *server, struct change *change)
{
    config_free(change->fresh);
    free(change);
    atomic_flag_clear(&server->config_changing);
}

/* --- sockets: shard 0 has them, and must succeed before anybody sees the new configuration --- */

static const char *text_of(const struct config *config, const char *name)
{
    return config->text[config_find(slice_str(name))];
}

static bool listens_alike(const struct config *a, const struct config *b)
{
    return a->port == b->port && strcmp(text_of(a, "bind"), text_of(b, "bind")) == 0;
}

static void listen_part(struct shard *shard, void *ctx)
{
    struct change *change = ctx;
    if (shard->id == 0) {
        change->deaf = !listeners_change(shard->server->listeners, shard, shard->config,
                                         change->fresh);
    }
}

static void listen_done(struct call *c, void *ctx)
{
    struct change *change = ctx;
    struct server *server = server_of(c);
    const struct config *old = atomic_load(&server->config);
    if (!change->deaf) {
        broadcast(c, change_part, change_done, change);
        return;
    }
    if (old->port != change->fresh->port) {
        error_of_arg(c, slice_str("port"), "Unable to listen on this port. Check server logs.");
    } else {
        error_of_arg(c, slice_str("bind"), "Failed to bind to specified addresses.");
    }
    process_revert(old, change->fresh);
    discard(server, change);
}

static void retry_part(struct shard *shard, void *ctx)
{
    (void)shard;
    (void)ctx;
}

static void retry_done(struct call *c, void *ctx)
{
    struct change *change = ctx;
    config_edit *edit = change->edit;
    free(change);
    config_update(c, edit);
}

void config_update(struct call *c, config_edit *edit)
{
    struct server *server = server_of(c);
    struct change *change = config__alloc(sizeof(*change));
    change->edit = edit;

    if (atomic_flag_test_and_set(&server->config_changing)) {
        /* Another shard's change is on its way. A round over all shards later we look again. */
        broadcast(c, retry_part, retry_done, change);
        return;
    }
    const struct config *old = atomic_load(&server->config);
    change->fresh = config_copy(old);
    if (!edit(c, change->fresh)) {
        discard(server, change);
    } else if (listens_alike(old, change->fresh)) {
        broadcast(c, change_part, change_done, change);
    } else {
        broadcast(c, listen_part, listen_done, change);
    }
}

/* --- CONFIG SET ------------------------------------------------------------------------------ */

static struct slice pair_name(const struct call *c, uint32_t i)
{
    return c->argv[2 + 2 * i];
}

static bool protected_allowed(const struct call *c, const struct config *config)
{
    enum { NO, YES, LOCAL };
    return config->enable_protected_configs == YES ||
           (config->enable_protected_configs == LOCAL &&
            net_peer_is_loopback(call_conn(c)->sock.fd));
}

/* All names must be known, changeable and different before any value is looked at. */
static bool check_names(struct call *c, uint32_t pairs, const struct config *config)
{
    for (uint32_t i = 0; i < pairs; i++) {
        const struct slice name = pair_name(c, i);
        if (config_find(name) < 0) {
            reply_errorf(c->out, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                         (int)(name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX), name.ptr);
            return false;
        }
    }
    for (uint32_t i = 0; i < pairs; i++) {
        const int row = config_find(pair_name(c, i));
        const unsigned flags = config__rows[row].flags;
        const bool same = (flags & CONFIG_SAME_OK) &&
                          slice_is(c->argv[3 + 2 * i], config->text[row]);
        if ((flags & CONFIG_IMMUTABLE) && !same) {
            error_of_arg(c, pair_name(c, i), "can't set immutable config");
            return false;
        }
        if ((flags & CONFIG_PROTECTED) && !protected_allowed(c, config)) {
            error_of_arg(c, pair_name(c, i), "can't set protected config");
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (config_find(pair_name(c, j)) == row) {
                error_of_arg(c, pair_name(c, i), "duplicate parameter");
                return false;
            }
        }
    }
    return true;
}

static bool edit_by_pairs(struct call *c, struct config *copy)
{
    const struct config *old = call_conn(c)->shard->config;
    const uint32_t pairs = (c->argc - 2) / 2;
    if (!check_names(c, pairs, copy)) {
        return false;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        char err[CONFIG_ERR_BYTES] = "";
        if (!config_set(copy, pair_name(c, i), c->argv[3 + 2 * i], err)) {
            error_of_arg(c, slice_str(config__rows[config_find(pair_name(c, i))].name), err);
            return false;
        }
    }
    return apply_to_process(c, old, copy);
}

static void config_set_command(struct call *c)
{
    if (c->argc % 2 != 0) {
        call_error_syntax(c);
        return;
    }
    config_update(c, edit_by_pairs);
}

/* --- CONFIG GET ------------------------------------------------------------------------------ */

/* What has been put into the answer, by row: under its name, under its alias. */
struct found {
    bool *name, *alias;
    size_t count;
};

static void found_put(struct call *c, const struct config *config, struct found *found, int row,
                      bool is_alias, struct slice shown)
{
    bool *seen = is_alias ? &found->alias[row] : &found->name[row];
    if (*seen) {
        return;
    }
    *seen = true;
    found->count++;
    reply_bulk(c->out, shown.ptr, shown.len);
    reply_bulk(c->out, config->text[row], config->text_bytes[row]);
}

static bool has_wildcard(struct slice s)
{
    return memchr(s.ptr, '*', s.len) != NULL || memchr(s.ptr, '?', s.len) != NULL ||
           memchr(s.ptr, '[', s.len) != NULL;
}

static void get_matching(struct call *c, const struct config *config, struct found *found,
                         struct slice pattern)
{
    for (int i = 0; i < config__row_count(); i++) {
        const struct config_row *row = &config__rows[i];
        if (row->flags & CONFIG_HIDDEN) {
            continue;
        }
        if (glob_match(pattern, slice_str(row->name), true)) {
            found_put(c, config, found, i, false, slice_str(row->name));
        }
        if (row->alias != NULL && glob_match(pattern, slice_str(row->alias), true)) {
            found_put(c, config, found, i, true, slice_str(row->alias));
        }
    }
}

static void config_get_command(struct call *c)
{
    const struct config *config = call_conn(c)->shard->config;
    const size_t rows = (size_t)config__row_count();
    struct found found = {0};
    found.name = config__alloc(rows * 2);
    found.alias = found.name + rows;

    const struct reply_mark mark = reply_deferred(c->out);
    for (uint32_t i = 2; i < c->argc; i++) {
        const struct slice name = c->argv[i];
        if (has_wildcard(name)) {
            get_matching(c, config, &found, name);
            continue;
        }
        const int row = config_find(name);
        if (row >= 0) { /* shown as it was asked for */
            found_put(c, config, &found, row, !slice_is(name, config__rows[row].name), name);
        }
    }
    reply_deferred_map(c->out, mark, found.count);
    free(found.name);
}

/* --- the others ------------------------------------------------------------------------------ */

/* Runs on the connection's shard and blocks it until the file is on the disk: an administrator's
 * command, and the file is small. */
static void config_rewrite_command(struct call *c)
{
    const struct config *config = call_conn(c)->shard->config;
    if (config->file == NULL) {
        reply_error(c->out, "ERR The server is running without a config file");
        return;
    }
    const int rc = config_rewrite(config, false);
    if (rc != 0) {
        log_warning("CONFIG REWRITE failed: %s", strerror(-rc));
        reply_errorf(c->out, "ERR Rewriting config file: %s", strerror(-rc));
        return;
    }
    log_notice("CONFIG REWRITE executed with success.");
    reply_ok(c->out);
}

static void reset_part(struct shard *shard, void *ctx)
{
    (void)ctx;
    stats_reset(shard);
    evict_reset(shard);
}

static void reset_done(struct call *c, void *ctx)
{
    (void)ctx;
    struct server *server = server_of(c);
    atomic_store_explicit(&server->connections, 0, memory_order_relaxed);
    atomic_store_explicit(&server->rejected_connections, 0, memory_order_relaxed);
    reply_ok(c->out);
}

static void config_resetstat_command(struct call *c)
{
    broadcast(c, reset_part, reset_done, NULL);
}

static void config_help_command(struct call *c)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Directives whose names match one of the glob-like patterns, with their values.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change directives, all of them or none.",
        "RESETSTAT",
        "    Set the statistics that INFO reports back to zero.",
        "REWRITE",
        "    Write the values in force into the configuration file.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows ------------------------------------------------------------------------------------ */

enum { ADMIN_FLAGS = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command_arg get_block[] = {{.name = "parameter", .type = ARG_STRING}, {NULL}};
static const struct command_arg get_args[] = {
    {.name = "parameter", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = get_block}, {NULL}};
static const struct command_change get_history[] = {
    {"7.0.0", "Accepts several patterns in one call"}, {NULL}};

static const struct command_arg set_block[] = {
    {.name = "parameter", .type = ARG_STRING}, {.name = "value", .type = ARG_STRING}, {NULL}};
static const struct command_arg set_args[] = {
    {.name = "parameter_value", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = set_block},
    {NULL}};
static const struct command_change set_history[] = {
    {"7.0.0", "Accepts several parameters in one call"}, {NULL}};
static const char *const set_tips[] = {"request_policy:all_nodes",
                                       "response_policy:all_succeeded", NULL};

static const struct command config_subcommands[] = {
    {.name = "get",
     .run = config_get_command,
     .arity = -3,
     .flags = ADMIN_FLAGS,
     .route = ROUTE_BARRIER,
     .group = "server",
     .since = "2.0.0",
     .summary = "Shows the values of configuration parameters",
     .complexity = "O(N) when N is the number of configuration parameters provided",
     .history = get_history,
     .args = get_args},
    {.name = "help",
     .run = config_help_command,
     .arity = 2,
     .flags = CMD_LOADING | CMD_STALE,
     .route = ROUTE_HOME,
     .group = "server",
     .since = "5.0.0",
     .summary = "Shows what the subcommands do",
     .complexity = "O(1)"},
    {.name = "resetstat",
     .run = config_resetstat_command,
     .arity = 2,
     .flags = ADMIN_FLAGS,
     .route = ROUTE_BARRIER,
     .group = "server",
     .since = "2.0.0",
     .summary = "Sets the statistics of INFO back to zero",
     .complexity = "O(1)"},
    {.name = "rewrite",
     .run = config_rewrite_command,
     .arity = 2,
     .flags = ADMIN_FLAGS,
     .route = ROUTE_BARRIER,
     .group = "server",
     .since = "2.8.0",
     .summary = "Writes the configuration in force into its file",
     .complexity = "O(1)"},
    {.name = "set",
     .run = config_set_command,
     .arity = -4,
     .flags = ADMIN_FLAGS,
     .route = ROUTE_BARRIER,
     .group = "server",
     .since = "2.0.0",
     .summary = "Changes configuration parameters while the server runs",
     .complexity = "O(N) when N is the number of configuration parameters provided",
     .history = set_history,
     .args = set_args,
     .tips = set_tips},
    {NULL},
};

const struct command config_commands[] = {
    {.name = "config",
     .arity = -2,
     .route = ROUTE_BARRIER,
     .subcommands = config_subcommands,
     .group = "server",
     .since = "2.0.0",
     .summary = "Holds the commands for the server's configuration",
     .complexity = "Depends on subcommand."},
    {NULL},
};
