/* log.c - see log.h.
 *
 * The descriptor is kept open, and its number never changes while the log goes to a file: a new
 * file is opened beside it and put in its place with dup3(), so that a thread in the middle of a
 * write never meets a closed or foreign descriptor. About once a second the thread that happens to
 * log compares the path with what is open, and reopens when the file was moved or removed. */
#include "shards/log.h"
#include "shards/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { PREFIX_BYTES = 96, RECHECK_NS = 1000 * 1000 * 1000 };

static _Atomic int level_min = LOG_LEVEL_NOTICE;
static _Atomic int current_fd = STDOUT_FILENO;
static _Atomic bool to_syslog;
static _Atomic(const char *) path; /* of the logfile; NULL: stdout */
static _Atomic uint64_t checked_ns;

/* log_open's callers only */
static int file_fd = -1; /* kept for the next logfile when the log went back to stdout */
static char *syslog_ident;

static int open_file(const char *name)
{
    const int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

/* Puts a freshly opened file where the log's descriptor is. */
static void replace_fd(int fresh)
{
    if (file_fd < 0) {
        file_fd = fresh;
        return;
    }
    dup3(fresh, file_fd, O_CLOEXEC);
    close(fresh);
}

int log_open(const char *logfile, enum log_level level, bool syslog_enabled, const char *ident,
             int facility)
{
    const bool is_file = logfile != NULL && logfile[0] != '\0';
    const char *old = atomic_load(&path);

    if (is_file && (old == NULL || strcmp(old, logfile) != 0)) {
        /* The name is looked at again later, when the working directory may be another one. */
        char *full = NULL;
        const int fd = open_file(logfile);
        if (fd < 0) {
            return fd;
        }
        full = realpath(logfile, NULL);
        replace_fd(fd);
        atomic_store(&path, full); /* the old one stays: a thread may be reading it */
        atomic_store(&current_fd, file_fd);
    } else if (!is_file && old != NULL) {
        atomic_store(&path, NULL);
        atomic_store(&current_fd, STDOUT_FILENO);
    }

    if (syslog_enabled && !atomic_load(&to_syslog)) {
        free(syslog_ident);
        syslog_ident = strdup(ident != NULL ? ident : "ashlar");
        openlog(syslog_ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility);
    }
    atomic_store(&to_syslog, syslog_enabled);
    log_set_level(level);
    return 0;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

int log_fd(void)
{
    return atomic_load_explicit(&current_fd, memory_order_relaxed);
}

/* One thread per second looks whether the logfile is still the one that is open. */
static void reopen_if_moved(void)
{
    const char *name = atomic_load(&path);
    if (name == NULL) {
        return;
    }
    const uint64_t now = clock_mono_ns();
    uint64_t last = atomic_load_explicit(&checked_ns, memory_order_relaxed);
    if (now - last < RECHECK_NS || !atomic_compare_exchange_strong(&checked_ns, &last, now)) {
        return;
    }
    struct stat named, opened;
    const int fd = log_fd();
    if (fstat(fd, &opened) != 0) {
        return;
    }
    if (stat(name, &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev) {
        return;
    }
    const int fresh = open_file(name);
    if (fresh >= 0) {
        dup3(fresh, fd, O_CLOEXEC);
        close(fresh);
    }
}

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(log_fd(), data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a full disk must not stop the server */
        }
        data += n;
        len -= (size_t)n;
    }
}

static size_t format_prefix(char out[PREFIX_BYTES], enum log_level level)
{
    static const char marks[] = ".-*#";
    const int64_t now_us = clock_unix_us();
    const time_t now_s = (time_t)(now_us / 1000000);
    struct tm tm;
    char when[40];

    localtime_r(&now_s, &tm);
    strftime(when, sizeof(when), "%d %b %Y %H:%M:%S", &tm);
    const int n = snprintf(out, PREFIX_BYTES, "%d:M %s.%03d %c ", (int)getpid(), when,
                           (int)(now_us / 1000 % 1000), marks[level]);
    return (size_t)n;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed) ||
        level >= LOG_LEVEL_NOTHING) {
        return;
    }
    char line[PREFIX_BYTES + LOG_MESSAGE_BYTES + 1];
    const size_t prefix = format_prefix(line, level);

    va_list args;
    va_start(args, fmt);
    const int wanted = vsnprintf(line + prefix, LOG_MESSAGE_BYTES, fmt, args);
    va_end(args);
    size_t len = prefix;
    if (wanted > 0) {
        len += wanted < LOG_MESSAGE_BYTES ? (size_t)wanted : (size_t)LOG_MESSAGE_BYTES - 1;
    }

    if (atomic_load_explicit(&to_syslog, memory_order_relaxed)) {
        static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
        syslog(priorities[level], "%s", line + prefix);
    }
    line[len++] = '\n';
    reopen_if_moved();
    write_all(line, len);
}

void log_raw(const char *text)
{
    write_all(text, strlen(text));
}
