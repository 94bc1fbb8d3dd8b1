/* config.h - the configuration: redis.conf's syntax, command line, CONFIG GET/SET/REWRITE.
 *
 * One table of directives (config_table.c) says of each: name, alias, type, range, default,
 * whether CONFIG SET may change it, and where its value goes. A directive without a place is only
 * accepted: it is validated and kept as text, config_warnings() names those that were set. A struct
 * config is a value: while published it is immutable; CONFIG SET copies it, changes the copy, and
 * publishes that to all shards (cmd_config.c).
 *
 *   config_new ─► config_load ─► published ─► config_copy ─► config_set … ─► published ─► …
 *
 * Thread: any, on configs of its own; published ones are read only.
 */
#ifndef ASHLAR_SHARDS_CONFIG_H
#define ASHLAR_SHARDS_CONFIG_H

#include "core/settings.h"
#include "io/io.h"
#include "proto/reply.h"
#include "shards/log.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CONFIG_ERR_BYTES = 512,
    CONFIG_BINDS_MAX = 16,
    CONFIG_NAME_MAX = 64,
    CONFIG_PERCENTILES_MAX = 16,
    CONFIG_GO_ON = -1, /* config_from_command_line(): start the server */
};
enum oom_score_mode { OOM_SCORE_NO, OOM_SCORE_RELATIVE, OOM_SCORE_ABSOLUTE };
enum { OOM_SCORE_CLASSES = 3 };
enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB, CLIENT_CLASSES };

struct output_limit {
    int64_t hard_bytes, soft_bytes, soft_seconds; /* 0: no limit */
};

/* rename-command: applied once, before the shards start. An empty new name removes the command. */
struct config_rename {
    char *from, *to;
};

struct config {
    struct settings core;

    /* own directives */
    int shards;               /* 0: auto (one per usable core) */
    int shard_threads;        /* 0: auto (one per usable core, at most one per shard) */
    bool shard_pinning;       /* pin the threads to cores */
    enum io_backend io_backend;

    /* network */
    char *bind[CONFIG_BINDS_MAX]; /* a leading '-' means: not an error when unavailable */
    int bind_count;
    int port, tcp_backlog, tcp_keepalive_s, timeout_s, maxclients;
    char *unixsocket;         /* NULL: none */
    int unixsocketperm;
    bool protected_mode;
    struct slice requirepass; /* ptr NULL: none; may hold zero bytes */

    /* clients */
    int64_t client_query_buffer_limit;
    struct output_limit output_limit[CLIENT_CLASSES];
    int64_t maxmemory_clients; /* bytes; negative: percent of maxmemory */
    int maxmemory_eviction_tenacity;

    /* server */
    enum oom_score_mode oom_score_adj;
    int oom_score_values[OOM_SCORE_CLASSES]; /* the first one is a master's */
    char *dir;                /* absolute; the process works there */
    char *dbfilename;
    char *pidfile;            /* NULL: none */
    char *logfile;            /* "": stdout */
    char *syslog_ident;
    enum log_level loglevel;
    bool syslog_enabled, daemonize, always_show_logo, crash_log_enabled;
    int syslog_facility, supervised, hz;
    bool dynamic_hz;
    int64_t slowlog_log_slower_than_us, slowlog_max_len;
    int64_t busy_reply_threshold_ms;
    int64_t latency_monitor_threshold_ms;
    int64_t tracking_table_max_keys; /* 0: no limit */
    bool latency_tracking;
    double latency_tracking_percentiles[CONFIG_PERCENTILES_MAX];
    int latency_tracking_percentiles_count;
    int shutdown_timeout_s;
    /* 0 no, 1 yes, 2 local */
    int enable_protected_configs, enable_debug_command, enable_module_command;

    struct config_rename *renames;
    int rename_count;

    /* every directive as text, by its index in the table: what CONFIG GET prints, and what CONFIG
     * REWRITE compares with the defaults. Only passwords may hold zero bytes. */
    char **text;
    size_t *text_bytes;
    char *file; /* absolute path of the configuration file, NULL when there is none */

    bool loading_, save_loaded_; /* within config_load() */
    bool initial;                /* no copy: main() reads it as long as the process lives */
};

enum { SUPERVISED_NO, SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART };

struct config *config_new(void); /* the defaults */
struct config *config_copy(const struct config *c);
void config_free(struct config *c);

/* Reads a file (NULL: none), then stdin if asked, then further lines of directives (from the
 * command line, or NULL), in that order. dir takes effect at once, as later relative names
 * depend on it. On failure false, and err is what to print, as Redis does: line number, line and
 * reason. */
bool config_load(struct config *c, const char *file, bool from_stdin, const char *extra_lines,
                 char err[CONFIG_ERR_BYTES]);
/* Turns "--name value --other a b" into lines for config_load. argv[0] is the first argument behind
 * the program's (and the file's) name; *from_stdin is set by a lone "-" at either end. The result
 * is to be freed with free(). */
char *config_lines_of_args(int argc, char **argv, bool *from_stdin);
/* All of it for main(): prints version or help, or makes the configuration from file, stdin and
 * options. Returns CONFIG_GO_ON with *out set, or the exit code. */
int config_from_command_line(int argc, char **argv, struct config **out);
/* Logs once which directives were set that have no effect here. */
void config_warnings(const struct config *c);

/* Raises the limit on open files to what maxclients and the shards need; when the system does
 * not allow that, lowers maxclients and logs it. For start-up, before the configuration is
 * published. Returns 0, or -EMFILE when not even one client fits. */
int config_fit_open_files(struct config *c);

/* Sets one directive of a config that is not published. err is the text behind "CONFIG SET failed
 * (possibly related to argument 'x') - ". Looks at value only, not at whether CONFIG SET may. */
bool config_set(struct config *c, struct slice name, struct slice value,
                char err[CONFIG_ERR_BYTES]);

/* config_find() >= 0 for a known name or alias. */
int config_find(struct slice name);
/* Its value must not be shown in slow log, monitor or logs (passwords). */
bool config_is_sensitive(struct slice name);
/* The name of maxmemory-policy's value, for INFO. */
const char *config_policy_name(enum maxmemory_policy policy);

/* Rewrites c->file: comments and order stay, changed directives change in place, new ones are
 * appended; with all, those at their defaults too. Atomic. Blocks on the disk. Returns 0 or a
 * negative errno. */
int config_rewrite(const struct config *c, bool all);

#endif
