/* main.c - the process: configuration, shards, signals, end.
 *
 * The one file that may put parts of every folder together. The main thread starts the shards and
 * then waits for them; it serves nothing itself.
 */
#include "shards/commands.h"
#include "shards/crash.h"
#include "shards/huge.h"
#include "shards/listener.h"
#include "shards/oom.h"
#include "shards/shard.h"
#include "shards/version.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct server *described; /* for the crash report */

/* What each shard was running. Async-signal-safe. */
static void describe_shards(int fd)
{
    for (unsigned i = 0; i < described->shard_count; i++) {
        const struct command *cmd =
            atomic_load_explicit(&described->shards[i]->running, memory_order_relaxed);
        char line[128] = "shard ";
        char *p = line + 6;
        for (unsigned digit = 100; digit > 0; digit /= 10) {
            *p++ = (char)('0' + i / digit % 10);
        }
        const char *name = cmd != NULL ? cmd->full_name : "(nothing yet)";
        strcpy(p, ": last command ");
        strncat(line, name, 64);
        strcat(line, "\n");
        if (write(fd, line, strlen(line)) < 0) {
            return;
        }
    }
}

static void write_pidfile(const struct config *config)
{
    if (config->pidfile == NULL) {
        return;
    }
    FILE *f = fopen(config->pidfile, "w");
    if (f == NULL) {
        log_warning("Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
}

/* Lines that tools wait for, as Redis prints them. */
static void announce(const struct server *server, const struct config *config)
{
    log_notice("Ashlar %s (speaks Redis %s), %u shard%s, I/O by %s", ASHLAR_VERSION,
               REDIS_COMPAT_VERSION, server->shard_count, server->shard_count == 1 ? "" : "s",
               server->io_backend_name);
    log_notice("Running mode=standalone, port=%d. PID: %d", server->listen_port, (int)getpid());
    log_notice("Server initialized");
    if (server->listen_port != 0) {
        log_notice("Ready to accept connections tcp");
    }
    if (config->unixsocket != NULL) {
        log_notice("Ready to accept connections unix");
    }
}

static int run(struct config *config, const char *executable)
{
    struct server *server = server_new(config, executable);
    described = server;
    crash_set_describer(describe_shards);
    server->listeners = listeners_open(config, server);
    if (server->listeners == NULL) {
        return 1;
    }
    signals_block();
    huge_start();
    if (server_start(server) != 0 || signals_start(server) != 0) {
        return 1;
    }
    write_pidfile(config);
    announce(server, config);
    server_join(server);
    signals_stop();
    listeners_close(server->listeners);
    if (config->pidfile != NULL) {
        unlink(config->pidfile);
    }
    log_warning("Ashlar is now ready to exit, bye bye...");
    return atomic_load(&server->exit_code);
}

static bool rename_commands(const struct config *config)
{
    for (int i = 0; i < config->rename_count; i++) {
        const struct config_rename *r = &config->renames[i];
        const int err = commands_rename(r->from, r->to);
        if (err != 0) {
            fprintf(stderr,
                    "\n*** FATAL CONFIG FILE ERROR (Ashlar " ASHLAR_VERSION ") ***\n"
                    ">>> 'rename-command %s %s'\n%s\n",
                    r->from, r->to,
                    err == -ENOENT ? "No such command in rename-command"
                                   : "Target command name already exists");
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct mem_counter memory; /* the main thread's */
    mem_thread_register(&memory);
    struct config *config;
    int code = config_from_command_line(argc, argv, &config);
    if (code != CONFIG_GO_ON) {
        return code;
    }
    if (config->daemonize && daemon(1, 0) != 0) {
        fprintf(stderr, "Could not become a daemon: %s\n", strerror(errno));
        return 1;
    }
    int err = log_open(config->logfile, config->loglevel, config->syslog_enabled,
                       config->syslog_ident, config->syslog_facility);
    if (err < 0) {
        fprintf(stderr, "Can't open the log file: %s\n", strerror(-err));
        return 1;
    }
    crash_init(config->crash_log_enabled);
    clock_init();
    commands_init();
    if (!rename_commands(config)) {
        return 1;
    }
    log_notice("oO0OoO0OoO0Oo Ashlar is starting oO0OoO0OoO0Oo. PID: %d", (int)getpid());
    config_warnings(config);
    oom_score_apply(config); /* what goes wrong is logged */
    if (config_fit_open_files(config) != 0) {
        return 1;
    }
    return run(config, argv[0]);
}
