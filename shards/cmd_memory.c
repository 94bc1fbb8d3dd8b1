/* cmd_memory.c - MEMORY: what the memory is used for (figures: info.h).
 *
 * USAGE runs where its key lies, in core/ (cmd_object.h). */
#include "core/cmd_object.h"
#include "core/mem.h"
#include "core/slab.h"
#include "shards/cmd_server.h"
#include "shards/info.h"
#include "shards/scripts.h"
#include <stdio.h>
#ifdef ASHLAR_MIMALLOC
#include <mimalloc.h>
#endif

static void gather(struct call *c, broadcast_done *done)
{
    broadcast(c, info_gather_part, done, info_gathering_new(call_home(c), true));
}

/* --- STATS --- */

static void field_int(struct reply *out, const char *name, int64_t v)
{
    reply_bulk_str(out, name);
    reply_int(out, v);
}

static void field_double(struct reply *out, const char *name, double v)
{
    reply_bulk_str(out, name);
    reply_double(out, v);
}

static size_t stats_databases(struct reply *out, const struct info_gathering *g)
{
    size_t shown = 0;
    for (int d = 0; d < g->databases; d++) {
        struct info_db db = info_db_sum(g, d);
        if (db.keys <= 0) {
            continue;
        }
        reply_bulkf(out, "db.%d", d);
        reply_map(out, 3);
        field_int(out, "overhead.hashtable.main",
                  (int64_t)db.table_bytes + db.keys * (int64_t)sizeof(struct entry));
        field_int(out, "overhead.hashtable.expires", db.expiring * (int64_t)sizeof(int64_t));
        field_int(out, "overhead.hashtable.slot-to-keys", 0);
        shown++;
    }
    return shown;
}

static void stats_done(struct call *c, void *ctx)
{
    struct info_gathering *g = ctx;
    struct info_memory m;
    struct reply *out = c->out;
    info_memory(call_home(c)->server, g, &m);

    struct reply_mark mark = reply_deferred(out);
    field_int(out, "peak.allocated", m.peak);
    field_int(out, "total.allocated", m.used);
    field_int(out, "startup.allocated", m.startup);
    field_int(out, "replication.backlog", 0);
    field_int(out, "clients.slaves", 0);
    field_int(out, "clients.normal", m.clients);
    field_int(out, "cluster.links", 0);
    field_int(out, "aof.buffer", 0);
    struct scripts_count scripts = scripts_count(call_home(c)->server->scripts);
    field_int(out, "lua.caches", (int64_t)scripts.script_bytes);
    field_int(out, "functions.caches", (int64_t)scripts.function_bytes);
    size_t databases = stats_databases(out, g);
    field_int(out, "overhead.total", m.overhead);
    field_int(out, "keys.count", m.keys);
    field_int(out, "keys.bytes-per-key", m.keys_bytes_each);
    field_int(out, "dataset.bytes", m.dataset);
    field_double(out, "dataset.percentage", m.dataset_percent);
    field_double(out, "peak.percentage", m.peak_percent);
    field_int(out, "allocator.allocated", m.used);
    field_int(out, "allocator.active", m.rss);
    field_int(out, "allocator.resident", m.rss);
    field_double(out, "allocator-fragmentation.ratio", m.fragmentation);
    field_int(out, "allocator-fragmentation.bytes", m.fragmentation_bytes);
    field_double(out, "allocator-rss.ratio", 1);
    field_int(out, "allocator-rss.bytes", 0);
    field_double(out, "rss-overhead.ratio", 1);
    field_int(out, "rss-overhead.bytes", 0);
    field_double(out, "fragmentation", m.fragmentation);
    field_int(out, "fragmentation.bytes", m.fragmentation_bytes);
    reply_deferred_map(out, mark, 27 + databases);
    info_gathering_free(g);
}

static void cmd_memory_stats(struct call *c)
{
    gather(c, stats_done);
}

/* --- DOCTOR --- */

enum {
    DOCTOR_USED_MIN = 5 * 1024 * 1024,        /* below that ratios mean nothing */
    DOCTOR_WASTE_MIN = 10 * 1024 * 1024,
    DOCTOR_CLIENT_BYTES_MAX = 200 * 1024,     /* mean of a connection */
};

static void doctor_done(struct call *c, void *ctx)
{
    struct info_gathering *g = ctx;
    struct info_memory m;
    struct text t = {0};
    uint64_t conns = 0;
    info_memory(call_home(c)->server, g, &m);
    for (unsigned s = 0; s < g->shards; s++) {
        conns += g->shard[s]->conns;
    }

    if (m.used < DOCTOR_USED_MIN) {
        text_printf(&t, "This instance is empty or is using very little memory: there is nothing "
                        "to diagnose yet.\n");
    } else {
        if ((double)m.peak > 1.5 * (double)m.used) {
            text_printf(&t, "* Peak memory: at its peak the server used more than 150%% of what it "
                            "uses now. What the allocator still holds will be used again; MEMORY "
                            "PURGE gives back what can be given back.\n");
        }
        if (m.fragmentation > 1.4 && m.fragmentation_bytes > DOCTOR_WASTE_MIN) {
            text_printf(&t, "* High total RSS: the process holds %.2f times the memory that is in "
                            "use. Either memory was at a peak before, or small values were "
                            "deleted between others that stay.\n", m.fragmentation);
        }
        if (conns && (uint64_t)m.clients / conns > DOCTOR_CLIENT_BYTES_MAX) {
            text_printf(&t, "* Big client buffers: connections take %lld bytes on average. CLIENT "
                            "LIST shows which ones do not read what they asked for, or pipeline "
                            "too much.\n",
                        (long long)((uint64_t)m.clients / conns));
        }
        if (t.len == 0) {
            text_printf(&t, "No memory issue was found in this instance.\n");
        }
    }
    reply_text(c, &t);
    info_gathering_free(g);
}

static void cmd_memory_doctor(struct call *c)
{
    gather(c, doctor_done);
}

/* --- MALLOC-STATS, PURGE --- */

#ifdef ASHLAR_MIMALLOC
static void collect_output(const char *line, void *text)
{
    text_append(text, line, strlen(line));
}

static void cmd_memory_malloc_stats(struct call *c)
{
    struct text t = {0};
    mi_stats_print_out(collect_output, &t);
    reply_text(c, &t);
}
#else
static void cmd_memory_malloc_stats(struct call *c)
{
    reply_bulk_str(c->out, "Stats not supported for the current allocator");
}
#endif

static void purge_part(struct shard *shard, void *ctx)
{
    slab_collect();
#ifdef ASHLAR_MIMALLOC
    mi_collect(true);
#endif
}

static void purge_done(struct call *c, void *ctx)
{
    reply_ok(c->out);
}

static void cmd_memory_purge(struct call *c)
{
    broadcast(c, purge_part, purge_done, NULL);
}

static void cmd_memory_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Problems with memory, in words.",
        "MALLOC-STATS",
        "    What the allocator says about itself.",
        "PURGE",
        "    Let the allocator give unused memory back to the system.",
        "STATS",
        "    What the memory of the server is used for.",
        "USAGE <key> [SAMPLES <count>]",
        "    Bytes that a key and its value take; of nested values <count> are looked at",
        "    (5 unless given, 0 for all).",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

static const char *const report_tips[] = {"nondeterministic_output", "request_policy:all_shards",
                                          "response_policy:special", NULL};
static const char *const purge_tips[] = {"request_policy:all_shards",
                                         "response_policy:all_succeeded", NULL};

const struct command memory_subcommands[] = {
    {
        .name = "doctor", .run = cmd_memory_doctor, .arity = 2, .route = ROUTE_BARRIER,
        .group = "server", .since = "4.0.0", .summary = "Looks for problems with memory.",
        .complexity = "O(1)", .tips = report_tips,
    },
    {
        .name = "help", .run = cmd_memory_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .route = ROUTE_HOME, .group = "server", .since = "4.0.0",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        .name = "malloc-stats", .run = cmd_memory_malloc_stats, .arity = 2, .route = ROUTE_BARRIER,
        .group = "server", .since = "4.0.0", .summary = "Returns the allocator's own statistics.",
        .complexity = "Depends on how much memory is allocated, could be slow", .tips = report_tips,
    },
    {
        .name = "purge", .run = cmd_memory_purge, .arity = 2, .route = ROUTE_BARRIER,
        .group = "server", .since = "4.0.0", .summary = "Gives unused memory back to the system.",
        .complexity = "Depends on how much memory is allocated, could be slow", .tips = purge_tips,
    },
    {
        .name = "stats", .run = cmd_memory_stats, .arity = 2, .route = ROUTE_BARRIER,
        .group = "server", .since = "4.0.0", .summary = "Returns what the memory is used for.",
        .complexity = "O(1)", .tips = report_tips,
    },
    {
        .name = "usage", .run = cmd_memory_usage, .arity = -3, .flags = CMD_READONLY,
        .route = ROUTE_KEYS, .keys = {{.flags = KEY_RO, KEYS_AT(2, 0, 1)}},
        .group = "server", .since = "4.0.0", .summary = "Estimates the memory that a key takes.",
        .complexity = "O(N) where N is the number of samples.", .args = cmd_memory_usage_args,
    },
    {0},
};
