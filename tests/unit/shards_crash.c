/* What signals do: a crash leaves a report and ends by the signal, also in a thread whose stack
 * is full; SIGTERM and SIGINT reach server_stop_mp. A plain program: children crash on purpose. */
#include "shards/config_table.h"
#include "shards/crash.h"
#include "shards/shard.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

/* Sanitizers report crashes in their own way, and use signals for it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CRASHES_ARE_OURS = 0 };
#else
enum { CRASHES_ARE_OURS = 1 };
#endif

static char path[64];
static int stop_pipe[2];

void server_stop_mp(struct server *server, int exit_code)
{
    const char ch = (char)('0' + exit_code);
    if (write(stop_pipe[1], &ch, 1) != 1) {
        abort();
    }
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

static void describe(int fd)
{
    static const char text[] = "shard 0: get\n";
    if (write(fd, text, sizeof(text) - 1) < 0) {
        _exit(9);
    }
}

static volatile int *volatile nowhere;

static void crash_by_address(void)
{
    *nowhere = 1;
}

static void crash_by_abort(void)
{
    abort();
}

static volatile bool always = true;

static int recurse(volatile char *above)
{
    volatile char frame[4096];
    frame[0] = *above;
    return always ? frame[0] + recurse(frame) + frame[1] : 0;
}

static void *overflow(void *unused)
{
    crash_thread_init();
    volatile char start = 0;
    recurse(&start);
    return NULL;
}

static void crash_by_overflow(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, overflow, NULL);
    pthread_join(thread, NULL);
}

static void check_crash(const char *name, void (*crash)(void), int sig, bool enabled)
{
    unlink(path);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        log_open(path, LOG_LEVEL_NOTICE, false, "", LOG_USER);
        crash_init(enabled);
        crash_set_describer(describe);
        crash();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    check(WIFSIGNALED(status) && WTERMSIG(status) == sig, name);

    size_t len;
    char *text = config__read_file(path, &len);
    check(text != NULL, name);
    if (enabled) {
        check(strstr(text, "=== ASHLAR BUG REPORT START") != NULL, "a report begins");
        check(strstr(text, sig == SIGABRT ? "signal SIGABRT" : "signal SIGSEGV") != NULL, "signal");
        check(strstr(text, "STACK TRACE") != NULL, "stack trace");
        check(strstr(text, "shard 0: get") != NULL, "what was running");
        check(strstr(text, "=== ASHLAR BUG REPORT END") != NULL, "a report ends");
    } else {
        check(len == 0, "no report when it is off");
    }
    free(text);
    unlink(path);
}

static void check_stop(void)
{
    static struct server server;
    check(pipe(stop_pipe) == 0, "pipe");
    signals_block();
    check(signals_start(&server) == 0, "signals_start");
    kill(getpid(), SIGTERM);
    char ch = 0;
    check(read(stop_pipe[0], &ch, 1) == 1 && ch == '0', "SIGTERM stops the server");
    kill(getpid(), SIGINT);
    check(read(stop_pipe[0], &ch, 1) == 1 && ch == '0', "SIGINT stops the server");
    raise(SIGPIPE);
    raise(SIGHUP);
    signals_stop();
    signals_stop();

    const pid_t child = fork();
    if (child == 0) {
        signals_block();
        signals_start(&server);
        kill(getpid(), SIGINT);
        if (read(stop_pipe[0], &ch, 1) != 1) {
            _exit(3);
        }
        kill(getpid(), SIGINT);
        sleep(10);
        _exit(2);
    }
    int status;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 1, "a second SIGINT ends it at once");
}

int main(void)
{
    snprintf(path, sizeof(path), "/tmp/ashlar-crash-%d", (int)getpid());
    if (CRASHES_ARE_OURS) {
        check_crash("address", crash_by_address, SIGSEGV, true);
        check_crash("abort", crash_by_abort, SIGABRT, true);
        check_crash("overflow", crash_by_overflow, SIGSEGV, true);
        check_crash("off", crash_by_address, SIGSEGV, false);
    }
    check_stop();
    puts("ok");
    return 0;
}
