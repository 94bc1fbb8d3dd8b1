/* config.h - the configuration: redis.conf's syntax, command line, CONFIG GET/SET/REWRITE.
 *
 * One table of directives (config_table.c) says of each: name, alias, type, range, default,
 * whether CONFIG SET may change it, and whether it acts here or is only accepted
 * (README.md lists those). A struct config is a value: while published it is immutable; CONFIG SET
 * copies it, changes the copy, and publishes that to all shards at one place in the order
 * (cmd_config.c). Thread: any, on configs of its own; published ones are read only.
 */
#ifndef ASHLAR_SHARDS_CONFIG_H
#define ASHLAR_SHARDS_CONFIG_H

#include "core/settings.h"
#include "io/io.h"
#include "proto/reply.h"
#include "shards/log.h"
#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_ERR_BYTES = 512, CONFIG_BINDS_MAX = 16, CONFIG_NAME_MAX = 64 };
enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_CLASSES };

struct output_limit {
    int64_t hard_bytes, soft_bytes, soft_seconds; /* 0: no limit */
};

struct config {
    struct settings core;

    /* own directives */
    int shards;               /* 0: auto (one per usable core) */
    bool shard_pinning;       /* pin shards to cores */
    enum io_backend io_backend;

    /* network */
    char *bind[CONFIG_BINDS_MAX]; /* a leading '-' means: not an error when unavailable */
    int bind_count;
    int port, tcp_backlog, tcp_keepalive_s, timeout_s, maxclients;
    char *unixsocket;
    int unixsocketperm;
    bool protected_mode;
    char *requirepass;        /* NULL: none */

    /* clients */
    int64_t client_query_buffer_limit;
    struct output_limit output_limit[CLIENT_CLASSES];
    int64_t maxmemory_clients;

    /* server */
    char *dir, *dbfilename, *pidfile, *logfile, *syslog_ident;
    enum log_level loglevel;
    bool syslog_enabled, daemonize, always_show_logo, crash_log_enabled;
    int syslog_facility, supervised, hz;
    bool dynamic_hz;
    int64_t slowlog_log_slower_than_us, slowlog_max_len;
    int64_t latency_monitor_threshold_ms;
    bool latency_tracking;
    double latency_tracking_percentiles[16];
    int latency_tracking_percentiles_count;
    int shutdown_timeout_s;
    /* 0 no, 1 yes, 2 local */
    int enable_protected_configs, enable_debug_command, enable_module_command;

    /* every directive as text, by its index in the table: what CONFIG GET prints of those that
     * only are accepted, and what CONFIG REWRITE compares */
    char **text;
    char *file; /* absolute path of the configuration file, NULL when there is none */
};

struct config *config_new(void); /* the defaults */
struct config *config_copy(const struct config *c);
void config_free(struct config *c);

/* Reads a file ("-": stdin), then further lines of directives (from the command line), in that
 * order. On failure false, and err says, as Redis prints, line number, line and reason. Directives that are
 * accepted without effect are collected: config_warnings() logs them once. */
bool config_load(struct config *c, const char *file, const char *extra_lines, char err[CONFIG_ERR_BYTES]);
/* Turns "--name value --other a b" into lines for config_load; false with err for bad ones. The
 * result is to be freed. */
char *config_lines_of_args(int argc, char **argv, char err[CONFIG_ERR_BYTES]);
void config_warnings(const struct config *c);

/* Sets one directive of a config that is not published. err is the text behind "CONFIG SET failed
 * (possibly related to argument 'x') - ". */
bool config_set(struct config *c, struct slice name, struct slice value, char err[CONFIG_ERR_BYTES]);

/* config_find() >= 0 for a known name or alias. */
int config_find(struct slice name);

#endif
