/* cmd_info.c - INFO's sections.
 *
 * A section is a function that writes its fields; a table names them, in the order in which Redis
 * prints them. Fields have Redis's names wherever we have a true value for them. Those that belong
 * to what this server does not do by design or not yet (replicas, saving, forks, scripts, pub/sub,
 * active defragmentation) say so with the value that Redis gives when the thing is not in use;
 * whoever builds the thing replaces the constant. Fields without any true value are left out
 * (tests/integration/test_server_commands.py lists them).
 */
#include "core/mem.h"
#include "shards/clock.h"
#include "shards/cmd_server.h"
#include "shards/info.h"
#include "shards/latency.h"
#include "shards/scripting.h"
#include "shards/version.h"
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

struct report {
    struct text text;
    struct shard *home;
    struct server *server;
    const struct config *config;
    const struct info_gathering *gathered;
};

/* Sum of one counter over the shards. */
#define SHARDS_SUM(r, field) shards_sum((r)->server, offsetof(struct shard_stats, field))

static unsigned long long shards_sum(const struct server *server, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned s = 0; s < server->shard_count; s++) {
        sum += counter_get((const counter *)((const char *)&server->shards[s]->stats + offset));
    }
    return sum;
}

#define GATHERED_SUM(r, sum, field)                                                                \
    do {                                                                                           \
        for (unsigned s_ = 0; s_ < (r)->gathered->shards; s_++) {                                  \
            (sum) += (r)->gathered->shard[s_]->field;                                              \
        }                                                                                          \
    } while (0)

/* --- Server --- */

static const char *supervisor(const struct config *config)
{
    if (!config->supervised) {
        return "no";
    }
    return getenv("NOTIFY_SOCKET") ? "systemd" : getenv("UPSTART_JOB") ? "upstart" : "unknown";
}

/* Tells builds apart: FNV-1a of what they were made of. */
static unsigned long long build_id(void)
{
    unsigned long long h = 0xcbf29ce484222325ull;
    for (const char *p = ASHLAR_VERSION " " REDIS_COMPAT_VERSION " " __VERSION__; *p; p++) {
        h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
    }
    return h;
}

static void listeners(struct report *r)
{
    const struct config *config = r->config;
    int listener = 0;
    if (r->server->listen_port) {
        text_printf(&r->text, "listener%d:name=tcp", listener++);
        for (int i = 0; i < config->bind_count; i++) {
            text_printf(&r->text, ",bind=%s", config->bind[i]);
        }
        text_printf(&r->text, ",port=%d\r\n", r->server->listen_port);
    }
    if (config->unixsocket && *config->unixsocket) {
        text_printf(&r->text, "listener%d:name=unix,bind=%s\r\n", listener, config->unixsocket);
    }
}

static void section_server(struct report *r)
{
    const struct server *server = r->server;
    int64_t now_us = clock_unix_us();
    int64_t uptime_s = (int64_t)((clock_mono_ns() - server->started_mono_ns) / 1000000000);
    struct utsname os;
    if (uname(&os) != 0) {
        memset(&os, 0, sizeof os);
    }
    text_printf(&r->text,
                "redis_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
                "redis_build_id:%llx\r\nredis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%d\r\n"
                "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:%s\r\n"
                "atomicvar_api:c11-builtin\r\ngcc_version:%d.%d.%d\r\n",
                REDIS_COMPAT_VERSION, build_id(), os.sysname, os.release, os.machine,
                (int)sizeof(void *) * 8, server->io_backend_name, __GNUC__, __GNUC_MINOR__,
                __GNUC_PATCHLEVEL__);
    text_printf(&r->text,
                "process_id:%d\r\nprocess_supervised:%s\r\nrun_id:%s\r\ntcp_port:%d\r\n"
                "server_time_usec:%lld\r\nuptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\n"
                "hz:%d\r\nconfigured_hz:%d\r\nlru_clock:%u\r\nexecutable:%s\r\nconfig_file:%s\r\n"
                "io_threads_active:0\r\n",
                (int)getpid(), supervisor(r->config), server->run_id, server->listen_port,
                (long long)now_us, (long long)uptime_s, (long long)(uptime_s / 86400),
                r->config->hz, r->config->hz, r->home->lru_clock,
                server->executable ? server->executable : "",
                r->config->file ? r->config->file : "");
    listeners(r);
    text_printf(&r->text, "ashlar_version:%s\r\nio_backend:%s\r\nshards:%u\r\n", ASHLAR_VERSION,
                server->io_backend_name, server->shard_count);
}

/* --- Clients --- */

static void section_clients(struct report *r)
{
    size_t input_max = 0, output_max = 0;
    uint64_t blocked = 0, timed = 0;
    for (unsigned s = 0; s < r->gathered->shards; s++) {
        const struct info_shard *one = r->gathered->shard[s];
        input_max = one->input_max_bytes > input_max ? one->input_max_bytes : input_max;
        output_max = one->output_max_bytes > output_max ? one->output_max_bytes : output_max;
        blocked += counter_get(&r->server->shards[s]->stats.blocked);
        timed += counter_get(&r->server->shards[s]->stats.blocked_timed);
    }
    text_printf(&r->text,
                "connected_clients:%lld\r\ncluster_connections:0\r\nmaxclients:%d\r\n"
                "client_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%zu\r\n"
                "blocked_clients:%lld\r\ntracking_clients:%lld\r\npubsub_clients:%lld\r\n"
                "clients_in_timeout_table:%lld\r\n"
                "monitors:%d\r\n",
                (long long)atomic_load_explicit(&r->server->clients, memory_order_relaxed),
                r->config->maxclients, input_max, output_max,
                (long long)atomic_load_explicit(&r->server->paused_clients, memory_order_relaxed) +
                    (long long)blocked,
                (long long)atomic_load_explicit(&r->server->tracking_clients, memory_order_relaxed),
                (long long)atomic_load_explicit(&r->server->pubsub_clients, memory_order_relaxed),
                (long long)timed,
                (int)atomic_load_explicit(&r->server->monitors, memory_order_relaxed));
}

/* --- Memory --- */

static void bytes_field(struct report *r, const char *name, int64_t bytes)
{
    char human[TEXT_HUMAN_BYTES];
    text_human_bytes(human, bytes > 0 ? (uint64_t)bytes : 0);
    text_printf(&r->text, "%s:%lld\r\n%s_human:%s\r\n", name, (long long)bytes, name, human);
}

static void memory_scripts(struct report *r)
{
    struct scripts_count n = scripts_count(r->server->scripts);
    uint64_t eval = 0, functions = 0; /* the machines of all shards */
    scripting_memory(r->server, &eval, &functions);
    char human[TEXT_HUMAN_BYTES];
    text_human_bytes(human, eval);
    text_printf(&r->text,
                "used_memory_lua:%llu\r\nused_memory_vm_eval:%llu\r\nused_memory_lua_human:%s\r\n"
                "used_memory_scripts_eval:%llu\r\nnumber_of_cached_scripts:%llu\r\n"
                "number_of_functions:%llu\r\nnumber_of_libraries:%llu\r\n"
                "used_memory_vm_functions:%llu\r\n",
                (unsigned long long)eval, (unsigned long long)eval, human,
                (unsigned long long)n.script_bytes, (unsigned long long)n.scripts,
                (unsigned long long)n.functions, (unsigned long long)n.libraries,
                (unsigned long long)functions);
    bytes_field(r, "used_memory_vm_total", (int64_t)(eval + functions));
    text_printf(&r->text, "used_memory_functions:%llu\r\n", (unsigned long long)n.function_bytes);
    bytes_field(r, "used_memory_scripts", (int64_t)(n.script_bytes + n.function_bytes));
}

/* The allocator does not say how much it holds and uses: as Redis does with such allocators, what
 * the process holds stands for both. */
static void memory_allocator(struct report *r, const struct info_memory *m)
{
    char allocator[INFO_ALLOCATOR_BYTES];
    info_allocator(allocator);
    unsigned pending = 0; /* shards that have something to free: 0 exactly when nothing waits */
    uint64_t lazyfreed = 0;
    GATHERED_SUM(r, pending, freeing);
    GATHERED_SUM(r, lazyfreed, keyspace.lazyfreed);
    text_printf(&r->text,
                "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%lld\r\n"
                "allocator_rss_ratio:1.00\r\nallocator_rss_bytes:0\r\n"
                "rss_overhead_ratio:1.00\r\nrss_overhead_bytes:0\r\n"
                "mem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%lld\r\n"
                "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
                "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n"
                "mem_clients_normal:%lld\r\nmem_cluster_links:0\r\nmem_aof_buffer:0\r\n"
                "mem_allocator:%s\r\nactive_defrag_running:0\r\nlazyfree_pending_objects:%u\r\n"
                "lazyfreed_objects:%llu\r\n",
                m->fragmentation, (long long)m->fragmentation_bytes, m->fragmentation,
                (long long)m->fragmentation_bytes, (long long)m->clients, allocator, pending,
                (unsigned long long)lazyfreed);
}

static void section_memory(struct report *r)
{
    struct info_memory m;
    info_memory(r->server, r->gathered, &m);
    bytes_field(r, "used_memory", m.used);
    bytes_field(r, "used_memory_rss", m.rss);
    bytes_field(r, "used_memory_peak", m.peak);
    text_printf(&r->text,
                "used_memory_peak_perc:%.2f%%\r\nused_memory_overhead:%lld\r\n"
                "used_memory_startup:%lld\r\nused_memory_dataset:%lld\r\n"
                "used_memory_dataset_perc:%.2f%%\r\nallocator_allocated:%lld\r\n"
                "allocator_active:%lld\r\nallocator_resident:%lld\r\n",
                m.peak_percent, (long long)m.overhead, (long long)m.startup, (long long)m.dataset,
                m.dataset_percent, (long long)m.used, (long long)m.rss, (long long)m.rss);
    bytes_field(r, "total_system_memory", m.system);
    memory_scripts(r);
    bytes_field(r, "maxmemory", r->config->core.maxmemory);
    text_printf(&r->text, "maxmemory_policy:%s\r\n",
                config_policy_name(r->config->core.maxmemory_policy));
    memory_allocator(r, &m);
}

/* --- Persistence --- */

static void section_persistence(struct report *r)
{
    uint64_t dirty = 0;
    GATHERED_SUM(r, dirty, dirty);
    text_printf(&r->text,
                "loading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
                "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\n"
                "current_save_keys_processed:0\r\ncurrent_save_keys_total:0\r\n"
                "rdb_changes_since_last_save:%llu\r\nrdb_bgsave_in_progress:0\r\n"
                "rdb_last_save_time:%lld\r\nrdb_last_bgsave_status:ok\r\n"
                "rdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\nrdb_saves:0\r\n"
                "rdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\n"
                "rdb_last_load_keys_loaded:0\r\n",
                (unsigned long long)dirty, (long long)r->server->started_unix_s);
    text_printf(&r->text,
                "aof_enabled:0\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
                "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
                "aof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\n"
                "aof_rewrites_consecutive_failures:0\r\naof_last_write_status:ok\r\n"
                "aof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
                "module_fork_last_cow_size:0\r\n");
}

/* --- Stats --- */

static void stats_traffic(struct report *r)
{
    const struct info *info = r->server->info;
    text_printf(&r->text,
                "total_connections_received:%llu\r\ntotal_commands_processed:%llu\r\n"
                "instantaneous_ops_per_sec:%llu\r\ntotal_net_input_bytes:%llu\r\n"
                "total_net_output_bytes:%llu\r\ntotal_net_repl_input_bytes:0\r\n"
                "total_net_repl_output_bytes:0\r\ninstantaneous_input_kbps:%.2f\r\n"
                "instantaneous_output_kbps:%.2f\r\ninstantaneous_input_repl_kbps:0.00\r\n"
                "instantaneous_output_repl_kbps:0.00\r\nrejected_connections:%llu\r\n",
                SHARDS_SUM(r, connections), SHARDS_SUM(r, commands),
                (unsigned long long)info_rate_mp(info, INFO_RATE_COMMANDS), SHARDS_SUM(r, in_bytes),
                SHARDS_SUM(r, out_bytes), (double)info_rate_mp(info, INFO_RATE_INPUT) / 1024,
                (double)info_rate_mp(info, INFO_RATE_OUTPUT) / 1024,
                (unsigned long long)atomic_load_explicit(&r->server->rejected_connections,
                                                         memory_order_relaxed));
}

static void section_stats(struct report *r)
{
    uint64_t hits = 0, misses = 0, expired = 0, expired_fields = 0, evicted = 0;
    uint64_t exceeded_ms, exceeding_ms;
    GATHERED_SUM(r, hits, keyspace.hits);
    GATHERED_SUM(r, misses, keyspace.misses);
    GATHERED_SUM(r, expired, keyspace.expired);
    GATHERED_SUM(r, expired_fields, keyspace.expired_fields);
    GATHERED_SUM(r, evicted, keyspace.evicted);
    evict_exceeded_mp(r->server->shards[0], &exceeded_ms, &exceeding_ms);
    stats_traffic(r);
    text_printf(&r->text,
                "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\nexpired_keys:%llu\r\n"
                "expired_subkeys:%llu\r\n"
                "evicted_keys:%llu\r\nevicted_clients:%llu\r\ntotal_eviction_exceeded_time:%llu\r\n"
                "current_eviction_exceeded_time:%llu\r\nkeyspace_hits:%llu\r\n"
                "keyspace_misses:%llu\r\npubsub_channels:%llu\r\npubsub_patterns:%llu\r\n"
                "pubsubshard_channels:%llu\r\nlatest_fork_usec:0\r\ntotal_forks:0\r\n"
                "migrate_cached_sockets:0\r\nslave_expires_tracked_keys:0\r\n"
                "active_defrag_hits:0\r\nactive_defrag_misses:0\r\nactive_defrag_key_hits:0\r\n"
                "active_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
                "current_active_defrag_time:0\r\n",
                (unsigned long long)expired, (unsigned long long)expired_fields,
                (unsigned long long)evicted,
                SHARDS_SUM(r, evicted_clients), (unsigned long long)exceeded_ms,
                (unsigned long long)exceeding_ms, (unsigned long long)hits,
                (unsigned long long)misses, SHARDS_SUM(r, pubsub_channels),
                (unsigned long long)counter_get(&r->server->shards[0]->stats.pubsub_patterns),
                SHARDS_SUM(r, pubsub_shard_channels)); /* every shard has all patterns */
    text_printf(&r->text,
                "tracking_total_keys:%llu\r\ntracking_total_items:%llu\r\n"
                "tracking_total_prefixes:%llu\r\n",
                (unsigned long long)atomic_load_explicit(&r->server->tracked_keys, memory_order_relaxed),
                (unsigned long long)atomic_load_explicit(&r->server->tracked_items, memory_order_relaxed),
                (unsigned long long)atomic_load_explicit(&r->server->tracked_prefixes,
                                                         memory_order_relaxed));
    text_printf(&r->text,
                "unexpected_error_replies:%llu\r\ntotal_error_replies:%llu\r\n"
                "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n"
                "client_query_buffer_limit_disconnections:%llu\r\n"
                "client_output_buffer_limit_disconnections:%llu\r\n",
                SHARDS_SUM(r, unexpected_errors), SHARDS_SUM(r, errors),
                SHARDS_SUM(r, query_limit_disconnections),
                SHARDS_SUM(r, output_limit_disconnections));
}

/* --- Replication, CPU, Modules, Cluster --- */

static void section_replication(struct report *r)
{
    char replid[INFO_REPLID_CHARS + 1];
    info_replid_mp(r->server->info, replid);
    text_printf(&r->text,
                "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
                "master_replid:%s\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n"
                "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
                "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\n"
                "repl_backlog_histlen:0\r\n",
                replid);
}

static void cpu_field(struct report *r, const char *name, uint64_t us)
{
    text_printf(&r->text, "%s:%llu.%06llu\r\n", name, (unsigned long long)(us / 1000000),
                (unsigned long long)(us % 1000000));
}

static uint64_t timeval_us(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

/* What Redis calls its main thread is shard 0 here. */
static void section_cpu(struct report *r)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    const struct shard_stats *main_shard = &r->server->shards[0]->stats;
    cpu_field(r, "used_cpu_sys", timeval_us(self.ru_stime));
    cpu_field(r, "used_cpu_user", timeval_us(self.ru_utime));
    cpu_field(r, "used_cpu_sys_children", timeval_us(children.ru_stime));
    cpu_field(r, "used_cpu_user_children", timeval_us(children.ru_utime));
    cpu_field(r, "used_cpu_sys_main_thread", counter_get(&main_shard->cpu_sys_us));
    cpu_field(r, "used_cpu_user_main_thread", counter_get(&main_shard->cpu_user_us));
}

static void section_modules(struct report *r)
{
    /* none are loaded */
}

static void section_cluster(struct report *r)
{
    text_printf(&r->text, "cluster_enabled:0\r\n");
}

/* --- Commandstats, Errorstats, Latencystats --- */

static const struct command *counted_command(const struct server *server, unsigned id)
{
    const struct command *cmd = NULL;
    for (unsigned s = 0; s < server->shard_count && !cmd; s++) {
        cmd = latency_command_mp(server->shards[s]->latency, id);
    }
    return cmd;
}

static void section_commandstats(struct report *r)
{
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        const struct command *cmd = counted_command(r->server, id);
        if (!cmd) {
            continue;
        }
        uint64_t calls = 0, ticks = 0, rejected = 0, failed = 0;
        for (unsigned s = 0; s < r->server->shard_count; s++) {
            const struct command_stats *st = &r->server->shards[s]->stats.command[id];
            calls += counter_get(&st->calls);
            ticks += counter_get(&st->ticks);
            rejected += counter_get(&st->rejected);
            failed += counter_get(&st->failed);
        }
        double us = (double)ticks / clock_ticks_per_us;
        if (calls || rejected || failed) {
            text_printf(&r->text,
                        "cmdstat_%s:calls=%llu,usec=%.0f,usec_per_call=%.2f,rejected_calls=%llu,"
                        "failed_calls=%llu\r\n",
                        cmd->full_name, (unsigned long long)calls, us,
                        calls ? us / (double)calls : 0, (unsigned long long)rejected,
                        (unsigned long long)failed);
        }
    }
}

struct error_sum {
    char code[ERROR_CODE_BYTES];
    uint64_t count;
};

static int by_code(const void *a, const void *b)
{
    return strcmp(((const struct error_sum *)a)->code, ((const struct error_sum *)b)->code);
}

/* Control characters and separators would break the line apart. */
static void code_for_info(char *code)
{
    for (; *code; code++) {
        if (strchr("#:\n\r ,=", *code)) {
            *code = '_';
        }
    }
}

static void section_errorstats(struct report *r)
{
    struct error_sum *all =
        mem_alloc((size_t)r->server->shard_count * STATS_ERRORS_MAX * sizeof *all);
    size_t n = 0;
    for (unsigned s = 0; s < r->server->shard_count; s++) {
        const struct latency *l = r->server->shards[s]->latency;
        uint32_t errors = latency_errors_mp(l);
        for (uint32_t i = 0; i < errors; i++, n++) {
            memcpy(all[n].code, l->error[i].code, sizeof all[n].code);
            code_for_info(all[n].code);
            all[n].count = counter_get(&l->error[i].count);
        }
    }
    qsort(all, n, sizeof *all, by_code);
    for (size_t i = 0, next; i < n; i = next) {
        uint64_t count = 0;
        for (next = i; next < n && by_code(&all[i], &all[next]) == 0; next++) {
            count += all[next].count;
        }
        if (count) {
            text_printf(&r->text, "errorstat_%s:count=%llu\r\n", all[i].code,
                        (unsigned long long)count);
        }
    }
    mem_free(all);
}

static void section_latencystats(struct report *r)
{
    if (!r->config->latency_tracking) {
        return;
    }
    struct histogram_sum *sum = mem_alloc(sizeof *sum);
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        const struct command *cmd = counted_command(r->server, id);
        *sum = (struct histogram_sum){0};
        for (unsigned s = 0; cmd && s < r->server->shard_count; s++) {
            latency_histogram_mp(r->server->shards[s]->latency, id, sum);
        }
        if (!sum->total) {
            continue;
        }
        text_printf(&r->text, "latency_percentiles_usec_%s:", cmd->full_name);
        for (int i = 0; i < r->config->latency_tracking_percentiles_count; i++) {
            double percent = r->config->latency_tracking_percentiles[i];
            text_printf(&r->text, "%sp%.10g=%.3f", i ? "," : "", percent,
                        histogram_percentile(sum, percent) / clock_ticks_per_us);
        }
        text_printf(&r->text, "\r\n");
    }
    mem_free(sum);
}

/* --- Keyspace, Shards --- */

static void section_keyspace(struct report *r)
{
    int64_t now_ms = clock_unix_ms();
    for (int d = 0; d < r->gathered->databases; d++) {
        struct info_db db = info_db_sum(r->gathered, d);
        if (db.keys <= 0) {
            continue;
        }
        int64_t ttl_ms = db.expiring > 0 ? db.expiry_sum_ms / db.expiring - now_ms : 0;
        text_printf(&r->text, "db%d:keys=%lld,expires=%lld,avg_ttl=%lld\r\n", d, (long long)db.keys,
                    (long long)db.expiring, (long long)(ttl_ms > 0 ? ttl_ms : 0));
    }
}

static void section_shards(struct report *r)
{
    for (unsigned s = 0; s < r->server->shard_count; s++) {
        const struct shard *shard = r->server->shards[s];
        const struct shard_stats *st = &shard->stats;
        const struct info_shard *gathered = r->gathered->shard[s];
        long long keys = 0;
        for (int d = 0; d < r->gathered->databases; d++) {
            keys += gathered->db[d].keys;
        }
        int64_t used = atomic_load_explicit(&shard->memory.used_bytes, memory_order_relaxed);
        text_printf(&r->text,
                    "shard%u:slots=%u-%u,keys=%lld,connections=%u,commands=%llu,executed=%llu,"
                    "remote=%llu,waited=%llu,groups=%llu,turns=%llu,sleeps=%llu,wakeups_sent=%llu,"
                    "used_memory=%lld,cpu_user_usec=%llu,cpu_sys_usec=%llu,longest_turn_usec=%llu,"
                    "longest_turn_cpu_usec=%llu,lazyfree_pending=%d,commands_sliced=%llu,"
                    "slices=%llu,longest_slice_usec=%.0f,passes_cut=%llu\r\n",
                    s, shard->slot_begin, (unsigned)shard->slot_end - 1, keys, gathered->conns,
                    (unsigned long long)counter_get(&st->commands),
                    (unsigned long long)counter_get(&st->executed),
                    (unsigned long long)counter_get(&st->remote),
                    (unsigned long long)counter_get(&st->waited),
                    (unsigned long long)counter_get(&st->groups),
                    (unsigned long long)counter_get(&st->turns),
                    (unsigned long long)counter_get(&st->sleeps),
                    (unsigned long long)counter_get(&st->wakeups_sent), (long long)used,
                    (unsigned long long)counter_get(&st->cpu_user_us),
                    (unsigned long long)counter_get(&st->cpu_sys_us),
                    (unsigned long long)counter_get(&st->longest_turn_ns) / 1000,
                    (unsigned long long)counter_get(&st->longest_turn_cpu_ns) / 1000,
                    gathered->freeing, (unsigned long long)counter_get(&st->sliced),
                    (unsigned long long)counter_get(&st->slices),
                    (double)counter_get(&st->slice_ticks_max) / clock_ticks_per_us,
                    (unsigned long long)counter_get(&st->cut));
    }
}

/* --- which sections --- */

static const struct section {
    const char *name, *title;
    bool by_default;
    void (*write)(struct report *r);
} sections[] = {
    {"server", "Server", true, section_server},
    {"clients", "Clients", true, section_clients},
    {"memory", "Memory", true, section_memory},
    {"persistence", "Persistence", true, section_persistence},
    {"stats", "Stats", true, section_stats},
    {"replication", "Replication", true, section_replication},
    {"cpu", "CPU", true, section_cpu},
    {"modules", "Modules", true, section_modules},
    {"commandstats", "Commandstats", false, section_commandstats},
    {"errorstats", "Errorstats", true, section_errorstats},
    {"latencystats", "Latencystats", false, section_latencystats},
    {"cluster", "Cluster", true, section_cluster},
    {"keyspace", "Keyspace", true, section_keyspace},
    {"shards", "Shards", false, section_shards},
};
enum { SECTIONS = sizeof sections / sizeof *sections };
static_assert(SECTIONS <= 32, "one bit each");

/* The sections that the arguments name; unknown names name none, as in Redis. */
static uint32_t wanted_sections(const struct call *c)
{
    uint32_t wanted = 0;
    for (uint32_t i = 1; i < c->argc || i == 1; i++) {
        bool defaults = c->argc == 1 || slice_is(c->argv[i], "default");
        bool all = !defaults && (slice_is(c->argv[i], "all") || slice_is(c->argv[i], "everything"));
        for (uint32_t s = 0; s < SECTIONS; s++) {
            if (all || (defaults && sections[s].by_default) ||
                (!defaults && slice_is(c->argv[i], sections[s].name))) {
                wanted |= 1u << s;
            }
        }
    }
    return wanted;
}

static void info_done(struct call *c, void *ctx)
{
    struct info_gathering *gathered = ctx;
    struct shard *home = call_home(c);
    struct report r = {
        .home = home, .server = home->server, .config = home->config, .gathered = gathered};
    uint32_t wanted = wanted_sections(c);
    for (uint32_t s = 0; s < SECTIONS; s++) {
        if (wanted & (1u << s)) {
            text_printf(&r.text, "%s# %s\r\n", r.text.len ? "\r\n" : "", sections[s].title);
            sections[s].write(&r);
        }
    }
    reply_text(c, &r.text);
    info_gathering_free(gathered);
}

void cmd_info(struct call *c)
{
    bool tables = false; /* measuring them costs something: only for the section that shows it */
    uint32_t wanted = wanted_sections(c);
    for (uint32_t s = 0; s < SECTIONS; s++) {
        tables |= (wanted & (1u << s)) && sections[s].write == section_memory;
    }
    broadcast(c, info_gather_part, info_done, info_gathering_new(call_home(c), tables));
}
