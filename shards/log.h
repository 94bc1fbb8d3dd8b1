/* log.h - the server's log, in the format of Redis: "PID:ROLE DD Mon YYYY HH:MM:SS.mmm L message".
 * Any thread; one write(2) per line, so lines of different shards never mix. To stdout or the
 * logfile, and to syslog if asked, as the configuration says. A logfile that was moved away
 * (logrotate) is created anew within a second. */
#ifndef ASHLAR_SHARDS_LOG_H
#define ASHLAR_SHARDS_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_VERBOSE,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTHING
};

enum { LOG_MESSAGE_BYTES = 1024 }; /* longer messages are cut */

/* Applies the settings; may be called again (CONFIG SET loglevel). Empty logfile: stdout.
 * Returns 0 or a negative errno when the file cannot be opened (the old one stays). One caller at
 * a time. */
int log_open(const char *logfile, enum log_level level, bool syslog_enabled, const char *ident,
             int facility);
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For the crash handler: async-signal-safe, no formatting. */
void log_raw(const char *text);
int log_fd(void);

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)

#endif
