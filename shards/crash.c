/* crash.c - see crash.h.
 *
 * The handler calls nothing but async-signal-safe functions, with one exception that everybody
 * makes: backtrace(), which is loaded by a first call at start. Numbers are formatted by hand. A
 * crash inside the handler ends the process: all fatal signals are blocked there, and the kernel
 * then takes the default action. A crash of another thread waits for the first report. */
#include "shards/crash.h"
#include "shards/log.h"
#include "shards/shard.h"
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALT_STACK_BYTES = 64 * 1024, FRAMES_MAX = 100, NUMBER_CHARS = 24 };

/* A sanitizer reports crashes itself, and knows more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { REPORT_IS_OURS = 0 };
#else
enum { REPORT_IS_OURS = 1 };
#endif

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { FATAL_SIGNALS = sizeof(fatal_signals) / sizeof(fatal_signals[0]) };

static void (*_Atomic describer)(int fd);
static atomic_flag reporting = ATOMIC_FLAG_INIT;

static void write_number(uint64_t v, unsigned base)
{
    char buf[NUMBER_CHARS];
    char *p = buf + sizeof(buf) - 1;
    *p = '\0';
    do {
        *--p = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    log_raw(p);
}

static const char *signal_name(int sig)
{
    switch (sig) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    default:
        return "SIGABRT";
    }
}

static void write_report(int sig, const siginfo_t *info)
{
    log_raw("\n\n=== ASHLAR BUG REPORT START: cut and paste from here ===\nAshlar " ASHLAR_VERSION
            " crashed by signal ");
    log_raw(signal_name(sig));
    log_raw(", si_code ");
    if (info->si_code < 0) {
        log_raw("-");
    }
    write_number((uint64_t)(info->si_code < 0 ? -(int64_t)info->si_code : info->si_code), 10);
    if (sig == SIGSEGV || sig == SIGBUS) {
        log_raw(", accessing address 0x");
        write_number((uintptr_t)info->si_addr, 16);
    }
    log_raw("\n\n------ STACK TRACE ------\n");
    void *frames[FRAMES_MAX];
    const int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, log_fd());

    void (*const describe)(int) = atomic_load(&describer);
    if (describe != NULL) {
        log_raw("\n------ RUNNING ------\n");
        describe(log_fd());
    }
    log_raw("\n=== ASHLAR BUG REPORT END. Please report this with the log before it. ===\n");
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (!atomic_flag_test_and_set(&reporting)) {
        write_report(sig, info);
        signal(sig, SIG_DFL);
        raise(sig); /* blocked here: takes effect when we return */
        return;
    }
    /* Another thread is reporting: its re-raise ends the process. */
    for (;;) {
        pause();
    }
}

void crash_thread_init(void)
{
    stack_t current;
    if (sigaltstack(NULL, &current) == 0 && !(current.ss_flags & SS_DISABLE)) {
        return; /* a sanitizer has set one */
    }
    void *memory = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return;
    }
    const stack_t stack = {.ss_sp = memory, .ss_size = ALT_STACK_BYTES};
    sigaltstack(&stack, NULL); /* lives as long as the thread: as long as the process */
}

void crash_init(bool enabled)
{
    if (!REPORT_IS_OURS) {
        return;
    }
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    if (enabled) {
        void *frames[1];
        (void)backtrace(frames, 1); /* loads what it needs now, not in the handler */
        crash_thread_init();
        action.sa_sigaction = on_fatal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int i = 0; i < FATAL_SIGNALS; i++) {
            sigaddset(&action.sa_mask, fatal_signals[i]);
        }
    } else {
        action.sa_handler = SIG_DFL;
    }
    for (int i = 0; i < FATAL_SIGNALS; i++) {
        sigaction(fatal_signals[i], &action, NULL);
    }
}

void crash_set_describer(void (*fn)(int fd))
{
    atomic_store(&describer, fn);
}

/* --- SIGTERM and SIGINT --------------------------------------------------------------------- */

static pthread_t signals_thread;
static _Atomic bool signals_running, signals_closing;

static void stop_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void signals_block(void)
{
    sigset_t set;
    stop_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void *wait_for_signals(void *server)
{
    sigset_t set;
    stop_set(&set);
    int interrupts = 0;

    for (;;) {
        const int sig = sigwaitinfo(&set, NULL);
        if (atomic_load(&signals_closing)) {
            return NULL;
        }
        if (sig < 0) {
            continue; /* EINTR */
        }
        if (sig == SIGINT && interrupts++ > 0) {
            log_warning("Received SIGINT again: exiting at once");
            _exit(1);
        }
        log_warning("Received %s scheduling shutdown...", sig == SIGINT ? "SIGINT" : "SIGTERM");
        server_stop_mp(server, 0);
    }
}

int signals_start(struct server *server)
{
    atomic_store(&signals_closing, false);
    const int rc = pthread_create(&signals_thread, NULL, wait_for_signals, server);
    if (rc != 0) {
        return -rc;
    }
    pthread_setname_np(signals_thread, "signals");
    atomic_store(&signals_running, true);
    return 0;
}

void signals_stop(void)
{
    if (!atomic_exchange(&signals_running, false)) {
        return;
    }
    atomic_store(&signals_closing, true);
    pthread_kill(signals_thread, SIGTERM); /* blocked there, so it ends the wait and nothing else */
    pthread_join(signals_thread, NULL);
}
