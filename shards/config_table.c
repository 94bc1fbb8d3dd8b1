/* config_table.c - the directives of Redis 7.4, and ours.
 *
 * Names, aliases, ranges, defaults and what is immutable are those of Redis: files, tools and
 * people rely on them. A row with AT(field) acts through that field; a row without is accepted,
 * checked, kept and printed, and does nothing here yet. Defaults are text like any value, and go
 * through the same checks when a struct config is made (config_new), so a wrong one cannot hide.
 *
 * Differences from Redis: databases is bounded by DATABASES_MAX; aclfile must be empty, since a
 * server that ignored it would stand open.
 */
#include "core/keyspace.h"
#include "shards/config_table.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

enum { HOSTNAME_MAX = 256 };

static const struct config_enum io_backends[] = {
    {"auto", IO_AUTO}, {"io_uring", IO_URING}, {"epoll", IO_EPOLL}, {NULL}};
static const struct config_enum tls_auth[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL}};
static const struct config_enum acl_pubsub[] = {{"allchannels", 1}, {"resetchannels", 0}, {NULL}};
static const struct config_enum no_yes_local[] = {{"no", 0}, {"yes", 1}, {"local", 2}, {NULL}};
static const struct config_enum supervised_modes[] = {{"upstart", SUPERVISED_UPSTART},
                                                      {"systemd", SUPERVISED_SYSTEMD},
                                                      {"auto", SUPERVISED_AUTO},
                                                      {"no", SUPERVISED_NO},
                                                      {NULL}};
static const struct config_enum log_levels[] = {{"debug", LOG_LEVEL_DEBUG},
                                                {"verbose", LOG_LEVEL_VERBOSE},
                                                {"notice", LOG_LEVEL_NOTICE},
                                                {"warning", LOG_LEVEL_WARNING},
                                                {"nothing", LOG_LEVEL_NOTHING},
                                                {NULL}};
static const struct config_enum syslog_facilities[] = {
    {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7}, {NULL}};
enum { SHUTDOWN_SAVE = 1, SHUTDOWN_NOSAVE = 2, SHUTDOWN_NOW = 4, SHUTDOWN_FORCE = 8 };
static const struct config_enum shutdown_flags[] = {
    {"default", 0}, {"save", SHUTDOWN_SAVE}, {"nosave", SHUTDOWN_NOSAVE},
    {"now", SHUTDOWN_NOW}, {"force", SHUTDOWN_FORCE}, {NULL}};
static const struct config_enum oom_modes[] = {
    {"no", OOM_SCORE_NO}, {"yes", OOM_SCORE_RELATIVE}, {"relative", OOM_SCORE_RELATIVE},
    {"absolute", OOM_SCORE_ABSOLUTE}, {NULL}};
static const struct config_enum policies[] = {{"volatile-lru", POLICY_VOLATILE_LRU},
                                              {"volatile-lfu", POLICY_VOLATILE_LFU},
                                              {"volatile-random", POLICY_VOLATILE_RANDOM},
                                              {"volatile-ttl", POLICY_VOLATILE_TTL},
                                              {"allkeys-lru", POLICY_ALLKEYS_LRU},
                                              {"allkeys-lfu", POLICY_ALLKEYS_LFU},
                                              {"allkeys-random", POLICY_ALLKEYS_RANDOM},
                                              {"noeviction", POLICY_NOEVICTION},
                                              {NULL}};
static const struct config_enum sanitize_modes[] = {
    {"no", 0}, {"yes", 1}, {"clients", 2}, {NULL}};
static const struct config_enum fsync_modes[] = {{"everysec", 0}, {"always", 1}, {"no", 2}, {NULL}};
static const struct config_enum diskless_loads[] = {
    {"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL}};
static const struct config_enum propagation_modes[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL}};
static const struct config_enum endpoint_types[] = {
    {"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL}};

static bool refuse(char err[CONFIG_ERR_BYTES], const char *why)
{
    snprintf(err, CONFIG_ERR_BYTES, "%s", why);
    return false;
}

static bool is_base_name(const char *text)
{
    return strchr(text, '/') == NULL && strchr(text, '\\') == NULL;
}

static bool check_dbfilename(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    return is_base_name(text) || refuse(err, "dbfilename can't be a path, just a filename");
}

static bool check_appendfilename(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    if (text[0] == '\0') {
        return refuse(err, "appendfilename can't be empty");
    }
    return is_base_name(text) || refuse(err, "appendfilename can't be a path, just a filename");
}

static bool check_appenddirname(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    if (text[0] == '\0') {
        return refuse(err, "appenddirname can't be empty");
    }
    return is_base_name(text) || refuse(err, "appenddirname can't be a path, just a dirname");
}

static bool check_aclfile(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    return text[0] == '\0' ||
           refuse(err, "ACL users are not available in this version, use requirepass");
}

static bool check_shutdown(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    if ((value & SHUTDOWN_SAVE) && (value & SHUTDOWN_NOSAVE)) {
        return refuse(err, "shutdown options SAVE and NOSAVE can't be used simultaneously");
    }
    return true;
}

static bool check_defrag(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    return value == 0 || refuse(err, "Active defragmentation cannot be enabled: it is not "
                                     "available in this version");
}

static bool check_hostname(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    if (strlen(text) >= HOSTNAME_MAX) {
        return refuse(err, "Hostnames must be less than 256 characters");
    }
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
    return text[strspn(text, allowed)] == '\0' ||
           refuse(err, "Hostnames may only contain alphanumeric characters, hyphens or dots");
}

static bool check_nodename(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    return (strlen(text) < HOSTNAME_MAX && text[strspn(text, allowed)] == '\0') ||
           refuse(err, "Announced human node name contained invalid character");
}

/* Every {…} of the template must be a variable that it knows. */
static bool check_title(const char *text, int64_t value, char err[CONFIG_ERR_BYTES])
{
    static const char *const known[] = {"title",       "listen-addr", "server-mode", "port",
                                        "tls-port",    "unixsocket",  "config-file"};
    bool good = text[0] != '\0';
    for (const char *p = strchr(text, '{'); good && p != NULL; p = strchr(p, '{')) {
        const char *end = strchr(++p, '}');
        bool found = false;
        for (size_t i = 0; end != NULL && i < sizeof(known) / sizeof(known[0]); i++) {
            found |= strlen(known[i]) == (size_t)(end - p) && memcmp(known[i], p, end - p) == 0;
        }
        good = found;
    }
    return good || refuse(err, "template format is invalid or contains unknown variables");
}

/* clang-format off */
#define FIELD_OF(x) _Generic((x), bool: CONFIG_FIELD_BOOL, int: CONFIG_FIELD_INT, \
    unsigned: CONFIG_FIELD_INT, int64_t: CONFIG_FIELD_INT64, char *: CONFIG_FIELD_STRING, \
    struct slice: CONFIG_FIELD_SLICE)
#define AT(member) \
    .offset = offsetof(struct config, member), .field = FIELD_OF(((struct config *)0)->member)
#define BOOL(name_, alias_, flags_, initial_, ...) \
    {.name = name_, .alias = alias_, .type = CONFIG_BOOL, .flags = flags_, .initial = initial_, \
     ##__VA_ARGS__}
#define INT(name_, alias_, flags_, min_, max_, initial_, ...) \
    {.name = name_, .alias = alias_, .type = CONFIG_INT, .flags = flags_, .min = min_, .max = max_, \
     .initial = initial_, ##__VA_ARGS__}
#define ENUM(name_, flags_, values_, initial_, ...) \
    {.name = name_, .type = CONFIG_ENUM, .flags = flags_, .values = values_, .initial = initial_, \
     ##__VA_ARGS__}
#define TEXT(name_, alias_, flags_, initial_, ...) \
    {.name = name_, .alias = alias_, .type = CONFIG_STRING, .flags = flags_, .initial = initial_, \
     ##__VA_ARGS__}
#define SPECIAL(name_, alias_, flags_, fn_, initial_, ...) \
    {.name = name_, .alias = alias_, .type = CONFIG_SPECIAL, .flags = flags_, .special = fn_, \
     .initial = initial_, ##__VA_ARGS__}

const struct config_row config__rows[] = {
    /* --- our own --- */
    SPECIAL("shards", NULL, CONFIG_IMMUTABLE | CONFIG_SAME_OK | CONFIG_ACTS, config__shards, "auto"),
    SPECIAL("shard-threads", NULL, CONFIG_IMMUTABLE | CONFIG_SAME_OK | CONFIG_ACTS,
            config__shard_threads, "auto"),
    BOOL("shard-pinning", NULL, CONFIG_IMMUTABLE | CONFIG_SAME_OK, "yes", AT(shard_pinning)),
    ENUM("io-backend", CONFIG_IMMUTABLE | CONFIG_SAME_OK, io_backends, "auto", AT(io_backend)),

    /* --- network --- */
    SPECIAL("bind", NULL, CONFIG_MULTI_ARG | CONFIG_ACTS, config__bind, "* -::*"),
    INT("port", NULL, 0, 0, 65535, "6379", AT(port)),
    TEXT("bind-source-addr", NULL, CONFIG_EMPTY_IS_NULL, ""),
    BOOL("protected-mode", NULL, 0, "yes", AT(protected_mode)),
    INT("tcp-backlog", NULL, CONFIG_IMMUTABLE, 0, INT_MAX, "511", AT(tcp_backlog)),
    INT("tcp-keepalive", NULL, 0, 0, INT_MAX, "300", AT(tcp_keepalive_s)),
    INT("timeout", NULL, 0, 0, INT_MAX, "0", AT(timeout_s)),
    INT("maxclients", NULL, CONFIG_UNSIGNED, 1, UINT_MAX, "10000", AT(maxclients)),
    TEXT("unixsocket", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, "", AT(unixsocket)),
    INT("unixsocketperm", NULL, CONFIG_IMMUTABLE | CONFIG_UNSIGNED | CONFIG_OCTAL, 0, 0777, "0",
         AT(unixsocketperm)),
    INT("socket-mark-id", NULL, CONFIG_IMMUTABLE | CONFIG_UNSIGNED, 0, UINT_MAX, "0"),
    INT("max-new-connections-per-cycle", NULL, 0, 1, 1000, "10"),
    INT("max-new-tls-connections-per-cycle", NULL, 0, 1, 1000, "1"),

    /* --- TLS --- */
    INT("tls-port", NULL, 0, 0, 65535, "0"),
    INT("tls-session-cache-size", NULL, 0, 0, INT_MAX, "20480"),
    INT("tls-session-cache-timeout", NULL, 0, 0, INT_MAX, "300"),
    BOOL("tls-cluster", NULL, 0, "no"),
    BOOL("tls-replication", NULL, 0, "no"),
    ENUM("tls-auth-clients", 0, tls_auth, "yes"),
    BOOL("tls-prefer-server-ciphers", NULL, 0, "no"),
    BOOL("tls-session-caching", NULL, 0, "yes"),
    TEXT("tls-cert-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-key-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-key-file-pass", NULL, CONFIG_EMPTY_IS_NULL | CONFIG_SENSITIVE, ""),
    TEXT("tls-client-cert-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-client-key-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-client-key-file-pass", NULL, CONFIG_EMPTY_IS_NULL | CONFIG_SENSITIVE, ""),
    TEXT("tls-dh-params-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-ca-cert-file", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-ca-cert-dir", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-protocols", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-ciphers", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("tls-ciphersuites", NULL, CONFIG_EMPTY_IS_NULL, ""),

    /* --- security --- */
    TEXT("requirepass", NULL, CONFIG_EMPTY_IS_NULL | CONFIG_SENSITIVE | CONFIG_BINARY, "",
         AT(requirepass)),
    TEXT("aclfile", NULL, CONFIG_IMMUTABLE, "", .check = check_aclfile),
    INT("acllog-max-len", NULL, 0, 0, LONG_MAX, "128"),
    ENUM("acl-pubsub-default", 0, acl_pubsub, "resetchannels"),
    ENUM("enable-protected-configs", CONFIG_IMMUTABLE, no_yes_local, "no",
         AT(enable_protected_configs)),
    ENUM("enable-debug-command", CONFIG_IMMUTABLE, no_yes_local, "no", AT(enable_debug_command)),
    ENUM("enable-module-command", CONFIG_IMMUTABLE, no_yes_local, "no", AT(enable_module_command)),
    BOOL("hide-user-data-from-log", NULL, 0, "no"),

    /* --- clients --- */
    SPECIAL("client-output-buffer-limit", NULL, CONFIG_MULTI_ARG | CONFIG_ACTS,
         config__output_limits, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
    INT("client-query-buffer-limit", NULL, CONFIG_MEMORY | CONFIG_UNSIGNED, 1048576, LONG_MAX,
         "1073741824", AT(client_query_buffer_limit)),
    INT("maxmemory-clients", NULL, CONFIG_MEMORY | CONFIG_PERCENT, -100, LONG_MAX, "0",
         AT(maxmemory_clients)),
    INT("proto-max-bulk-len", NULL, CONFIG_MEMORY, 1048576, LONG_MAX, "536870912",
         AT(core.proto_max_bulk_len)),
    INT("tracking-table-max-keys", NULL, CONFIG_UNSIGNED, 0, LONG_MAX, "1000000",
        AT(tracking_table_max_keys)),

    /* --- process and log --- */
    BOOL("daemonize", NULL, CONFIG_IMMUTABLE, "no", AT(daemonize)),
    ENUM("supervised", CONFIG_IMMUTABLE, supervised_modes, "no", AT(supervised)),
    TEXT("pidfile", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, "", AT(pidfile)),
    ENUM("loglevel", 0, log_levels, "notice", AT(loglevel)),
    TEXT("logfile", NULL, CONFIG_IMMUTABLE, "", AT(logfile)),
    BOOL("syslog-enabled", NULL, CONFIG_IMMUTABLE, "no", AT(syslog_enabled)),
    TEXT("syslog-ident", NULL, CONFIG_IMMUTABLE, "redis", AT(syslog_ident)),
    ENUM("syslog-facility", CONFIG_IMMUTABLE, syslog_facilities, "local0", AT(syslog_facility)),
    BOOL("crash-log-enabled", NULL, 0, "yes", AT(crash_log_enabled)),
    BOOL("crash-memcheck-enabled", NULL, 0, "yes"),
    BOOL("always-show-logo", NULL, CONFIG_IMMUTABLE, "no", AT(always_show_logo)),
    BOOL("set-proc-title", NULL, CONFIG_IMMUTABLE, "yes"),
    TEXT("proc-title-template", NULL, 0, "{title} {listen-addr} {server-mode}",
         .check = check_title),
    TEXT("locale-collate", NULL, 0, ""),
    TEXT("ignore-warnings", NULL, 0, ""),
    INT("shutdown-timeout", NULL, 0, 0, INT_MAX, "10", AT(shutdown_timeout_s)),
    ENUM("shutdown-on-sigint", CONFIG_MULTI_ARG, shutdown_flags, "default",
         .check = check_shutdown),
    ENUM("shutdown-on-sigterm", CONFIG_MULTI_ARG, shutdown_flags, "default",
         .check = check_shutdown),
    INT("hz", NULL, 0, 0, INT_MAX, "10", AT(hz)),
    BOOL("dynamic-hz", NULL, 0, "yes", AT(dynamic_hz)),
    ENUM("oom-score-adj", 0, oom_modes, "no", AT(oom_score_adj)),
    SPECIAL("oom-score-adj-values", NULL, CONFIG_MULTI_ARG | CONFIG_ACTS, config__oom_values, "0 200 800"),
    BOOL("disable-thp", NULL, CONFIG_IMMUTABLE, "yes"),
    INT("io-threads", NULL, CONFIG_IMMUTABLE, 1, 128, "1"),
    BOOL("io-threads-do-reads", NULL, CONFIG_IMMUTABLE, "no"),
    TEXT("server_cpulist", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, ""),
    TEXT("bio_cpulist", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, ""),
    TEXT("aof_rewrite_cpulist", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, ""),
    TEXT("bgsave_cpulist", NULL, CONFIG_IMMUTABLE | CONFIG_EMPTY_IS_NULL, ""),
    BOOL("use-exit-on-panic", NULL, CONFIG_HIDDEN, "no"),
    INT("watchdog-period", NULL, CONFIG_HIDDEN, 0, INT_MAX, "0"),
    BOOL("enable-debug-assert", NULL, CONFIG_IMMUTABLE | CONFIG_HIDDEN, "no"),

    /* --- keyspace --- */
    INT("databases", NULL, CONFIG_IMMUTABLE, 1, DATABASES_MAX, "16", AT(core.databases)),
    SPECIAL("notify-keyspace-events", NULL, CONFIG_ACTS, config__notify_events, ""),
    INT("active-expire-effort", NULL, 0, 1, 10, "1", AT(core.active_expire_effort)),
    BOOL("lazyfree-lazy-eviction", NULL, 0, "no", AT(core.lazyfree_lazy_eviction)),
    BOOL("lazyfree-lazy-expire", NULL, 0, "no", AT(core.lazyfree_lazy_expire)),
    BOOL("lazyfree-lazy-server-del", NULL, 0, "no", AT(core.lazyfree_lazy_server_del)),
    BOOL("lazyfree-lazy-user-del", NULL, 0, "no", AT(core.lazyfree_lazy_user_del)),
    BOOL("lazyfree-lazy-user-flush", NULL, 0, "no", AT(core.lazyfree_lazy_user_flush)),
    BOOL("lazyexpire-nested-arbitrary-keys", NULL, 0, "yes"),
    BOOL("activerehashing", NULL, 0, "yes"),

    /* --- memory --- */
    INT("maxmemory", NULL, CONFIG_MEMORY, 0, INT64_MAX, "0", AT(core.maxmemory)),
    ENUM("maxmemory-policy", 0, policies, "noeviction", AT(core.maxmemory_policy)),
    INT("maxmemory-samples", NULL, 0, 1, INT_MAX, "5", AT(core.maxmemory_samples)),
    INT("maxmemory-eviction-tenacity", NULL, 0, 0, 100, "10", AT(maxmemory_eviction_tenacity)),
    INT("lfu-log-factor", NULL, 0, 0, INT_MAX, "10", AT(core.lfu_log_factor)),
    INT("lfu-decay-time", NULL, 0, 0, INT_MAX, "1", AT(core.lfu_decay_time)),
    BOOL("activedefrag", NULL, 0, "no", .check = check_defrag),
    INT("active-defrag-cycle-min", NULL, 0, 1, 99, "1"),
    INT("active-defrag-cycle-max", NULL, 0, 1, 99, "25"),
    INT("active-defrag-threshold-lower", NULL, 0, 0, 1000, "10"),
    INT("active-defrag-threshold-upper", NULL, 0, 0, 1000, "100"),
    INT("active-defrag-max-scan-fields", NULL, 0, 1, LONG_MAX, "1000"),
    INT("active-defrag-ignore-bytes", NULL, CONFIG_MEMORY | CONFIG_UNSIGNED, 1, LLONG_MAX,
         "104857600"),
    BOOL("jemalloc-bg-thread", NULL, 0, "yes"),

    /* --- encodings --- */
    INT("hash-max-listpack-entries", "hash-max-ziplist-entries", CONFIG_UNSIGNED, 0, LONG_MAX,
         "512", AT(core.hash_max_listpack_entries)),
    INT("hash-max-listpack-value", "hash-max-ziplist-value", CONFIG_MEMORY | CONFIG_UNSIGNED, 0,
         LONG_MAX, "64", AT(core.hash_max_listpack_value)),
    INT("list-max-listpack-size", "list-max-ziplist-size", 0, INT_MIN, INT_MAX, "-2",
         AT(core.list_max_listpack_size)),
    INT("list-compress-depth", NULL, 0, 0, INT_MAX, "0", AT(core.list_compress_depth)),
    INT("set-max-intset-entries", NULL, CONFIG_UNSIGNED, 0, LONG_MAX, "512",
         AT(core.set_max_intset_entries)),
    INT("set-max-listpack-entries", NULL, CONFIG_UNSIGNED, 0, LONG_MAX, "128",
         AT(core.set_max_listpack_entries)),
    INT("set-max-listpack-value", NULL, CONFIG_MEMORY | CONFIG_UNSIGNED, 0, LONG_MAX, "64",
         AT(core.set_max_listpack_value)),
    INT("zset-max-listpack-entries", "zset-max-ziplist-entries", CONFIG_UNSIGNED, 0, LONG_MAX,
         "128", AT(core.zset_max_listpack_entries)),
    INT("zset-max-listpack-value", "zset-max-ziplist-value", CONFIG_MEMORY | CONFIG_UNSIGNED, 0,
         LONG_MAX, "64", AT(core.zset_max_listpack_value)),
    INT("hll-sparse-max-bytes", NULL, CONFIG_MEMORY | CONFIG_UNSIGNED, 0, LONG_MAX, "3000",
         AT(core.hll_sparse_max_bytes)),
    INT("stream-node-max-bytes", NULL, CONFIG_MEMORY | CONFIG_UNSIGNED, 0, LONG_MAX, "4096",
         AT(core.stream_node_max_bytes)),
    INT("stream-node-max-entries", NULL, 0, 0, LLONG_MAX, "100", AT(core.stream_node_max_entries)),

    /* --- slow log, latency, scripts --- */
    INT("slowlog-log-slower-than", NULL, 0, -1, LLONG_MAX, "10000", AT(slowlog_log_slower_than_us)),
    INT("slowlog-max-len", NULL, 0, 0, LONG_MAX, "128", AT(slowlog_max_len)),
    INT("latency-monitor-threshold", NULL, 0, 0, LLONG_MAX, "0", AT(latency_monitor_threshold_ms)),
    BOOL("latency-tracking", NULL, 0, "yes", AT(latency_tracking)),
    SPECIAL("latency-tracking-info-percentiles", NULL, CONFIG_MULTI_ARG | CONFIG_ACTS,
         config__latency_percentiles, "50 99 99.9"),
    INT("busy-reply-threshold", "lua-time-limit", 0, 0, LONG_MAX, "5000",
         AT(busy_reply_threshold_ms)),
    BOOL("lua-enable-deprecated-api", NULL, CONFIG_IMMUTABLE | CONFIG_HIDDEN, "no"),

    /* --- RDB --- */
    SPECIAL("dir", NULL, CONFIG_PROTECTED | CONFIG_DENY_LOADING, config__dir, ".", AT(dir)),
    TEXT("dbfilename", NULL, CONFIG_PROTECTED, "dump.rdb", AT(dbfilename),
         .check = check_dbfilename),
    SPECIAL("save", NULL, CONFIG_MULTI_ARG, config__save, "3600 1 300 100 60 10000", .inert = ""),
    BOOL("rdbcompression", NULL, 0, "yes", AT(core.rdb_compression)),
    BOOL("rdbchecksum", NULL, CONFIG_IMMUTABLE, "yes", AT(core.rdb_checksum)),
    ENUM("sanitize-dump-payload", 0, sanitize_modes, "no", AT(core.sanitize_dump_payload)),
    BOOL("rdb-del-sync-files", NULL, 0, "no"),
    BOOL("stop-writes-on-bgsave-error", NULL, 0, "yes"),
    BOOL("rdb-save-incremental-fsync", NULL, 0, "yes"),
    INT("rdb-key-save-delay", NULL, CONFIG_HIDDEN, INT_MIN, INT_MAX, "0"),
    INT("key-load-delay", NULL, CONFIG_HIDDEN, INT_MIN, INT_MAX, "0"),
    INT("loading-process-events-interval-bytes", NULL, CONFIG_HIDDEN, 1024, INT_MAX, "2097152"),

    /* --- AOF --- */
    BOOL("appendonly", NULL, CONFIG_DENY_LOADING, "no"),
    TEXT("appendfilename", NULL, CONFIG_IMMUTABLE, "appendonly.aof", .check = check_appendfilename),
    TEXT("appenddirname", NULL, CONFIG_IMMUTABLE, "appendonlydir", .check = check_appenddirname),
    ENUM("appendfsync", 0, fsync_modes, "everysec"),
    BOOL("no-appendfsync-on-rewrite", NULL, 0, "no"),
    INT("auto-aof-rewrite-percentage", NULL, 0, 0, INT_MAX, "100"),
    INT("auto-aof-rewrite-min-size", NULL, CONFIG_MEMORY, 0, LLONG_MAX, "67108864"),
    BOOL("aof-load-truncated", NULL, 0, "yes"),
    BOOL("aof-use-rdb-preamble", NULL, 0, "yes"),
    BOOL("aof-timestamp-enabled", NULL, 0, "no"),
    BOOL("aof-rewrite-incremental-fsync", NULL, 0, "yes"),
    BOOL("aof-disable-auto-gc", NULL, 0, "no"),

    /* --- replication --- */
    SPECIAL("replicaof", "slaveof", CONFIG_IMMUTABLE | CONFIG_MULTI_ARG, config__replicaof, ""),
    TEXT("masteruser", NULL, CONFIG_EMPTY_IS_NULL | CONFIG_SENSITIVE, ""),
    TEXT("masterauth", NULL, CONFIG_EMPTY_IS_NULL | CONFIG_SENSITIVE | CONFIG_BINARY, ""),
    BOOL("replica-serve-stale-data", "slave-serve-stale-data", 0, "yes"),
    BOOL("replica-read-only", "slave-read-only", 0, "yes"),
    BOOL("replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, "yes"),
    BOOL("replica-ignore-disk-write-errors", NULL, 0, "no"),
    BOOL("replica-lazy-flush", "slave-lazy-flush", 0, "no"),
    INT("replica-priority", "slave-priority", 0, 0, INT_MAX, "100"),
    BOOL("replica-announced", NULL, 0, "yes"),
    TEXT("replica-announce-ip", "slave-announce-ip", CONFIG_EMPTY_IS_NULL, ""),
    INT("replica-announce-port", "slave-announce-port", 0, 0, 65535, "0"),
    BOOL("repl-diskless-sync", NULL, 0, "yes"),
    INT("repl-diskless-sync-delay", NULL, 0, 0, INT_MAX, "5"),
    INT("repl-diskless-sync-max-replicas", NULL, 0, 0, INT_MAX, "0"),
    ENUM("repl-diskless-load", CONFIG_DENY_LOADING, diskless_loads, "disabled"),
    BOOL("repl-disable-tcp-nodelay", NULL, 0, "no"),
    INT("repl-timeout", NULL, 0, 1, INT_MAX, "60"),
    INT("repl-ping-replica-period", "repl-ping-slave-period", 0, 1, INT_MAX, "10"),
    INT("repl-backlog-size", NULL, CONFIG_MEMORY, 1, LLONG_MAX, "1048576"),
    INT("repl-backlog-ttl", NULL, 0, 0, LONG_MAX, "3600"),
    INT("min-replicas-to-write", "min-slaves-to-write", 0, 0, INT_MAX, "0"),
    INT("min-replicas-max-lag", "min-slaves-max-lag", 0, 0, INT_MAX, "10"),
    ENUM("propagation-error-behavior", 0, propagation_modes, "ignore"),

    /* --- cluster --- */
    BOOL("cluster-enabled", NULL, CONFIG_IMMUTABLE, "no"),
    TEXT("cluster-config-file", NULL, CONFIG_IMMUTABLE, "nodes.conf"),
    INT("cluster-node-timeout", NULL, 0, 0, LLONG_MAX, "15000"),
    INT("cluster-port", NULL, CONFIG_IMMUTABLE, 0, 65535, "0"),
    TEXT("cluster-announce-ip", NULL, CONFIG_EMPTY_IS_NULL, ""),
    TEXT("cluster-announce-hostname", NULL, CONFIG_EMPTY_IS_NULL, "", .check = check_hostname),
    TEXT("cluster-announce-human-nodename", NULL, CONFIG_EMPTY_IS_NULL, "",
         .check = check_nodename),
    INT("cluster-announce-port", NULL, 0, 0, 65535, "0"),
    INT("cluster-announce-tls-port", NULL, 0, 0, 65535, "0"),
    INT("cluster-announce-bus-port", NULL, 0, 0, 65535, "0"),
    ENUM("cluster-preferred-endpoint-type", 0, endpoint_types, "ip"),
    BOOL("cluster-require-full-coverage", NULL, 0, "yes"),
    BOOL("cluster-replica-no-failover", "cluster-slave-no-failover", 0, "no"),
    INT("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0, 0, INT_MAX, "10"),
    BOOL("cluster-allow-replica-migration", NULL, 0, "yes"),
    INT("cluster-migration-barrier", NULL, 0, 0, INT_MAX, "1"),
    BOOL("cluster-allow-reads-when-down", NULL, 0, "no"),
    BOOL("cluster-allow-pubsubshard-when-down", NULL, 0, "yes"),
    INT("cluster-link-sendbuf-limit", NULL, CONFIG_MEMORY, 0, INT64_MAX, "0"),
    INT("cluster-ping-interval", NULL, CONFIG_HIDDEN, 1, INT_MAX, "1000"),
    {NULL}};
/* clang-format on */

int config__row_count(void)
{
    return (int)(sizeof(config__rows) / sizeof(config__rows[0])) - 1;
}

bool config__acts(const struct config_row *row)
{
    return row->field != CONFIG_NO_FIELD || (row->flags & CONFIG_ACTS);
}

const char *config__enum_name(const struct config_enum *values, int value)
{
    for (; values->name != NULL; values++) {
        if (values->value == value) {
            return values->name;
        }
    }
    return "unknown";
}

const char *config_policy_name(enum maxmemory_policy policy)
{
    return config__enum_name(policies, (int)policy);
}
