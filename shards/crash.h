/* crash.h - what signals do to the process.
 *
 *   SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT   a report into the log, then the signal's own effect
 *   SIGTERM SIGINT                         the server stops in order; a second SIGINT ends it at once
 *   SIGPIPE SIGHUP                         ignored
 *
 * Start-up, in this order, on the main thread: crash_init(), signals_block(), threads,
 * signals_start(). SIGTERM and SIGINT are blocked in every thread and taken by one thread that
 * does nothing else, so what they cause runs in a normal context and may log.
 */
#ifndef ASHLAR_SHARDS_CRASH_H
#define ASHLAR_SHARDS_CRASH_H

#include "shards/server.h"
#include <stdbool.h>

/* Installs the report (crash-log-enabled) or gives the signals their default effect back. Any
 * thread, also later. */
void crash_init(bool enabled);
/* Gives the calling thread a stack for the handler of its own, so that a stack overflow is
 * reported, too. Every thread once; crash_init() does it for its caller. */
void crash_thread_init(void);
/* fn is called by the handler and writes what each shard was running to fd; it must be
 * async-signal-safe. NULL: nothing. */
void crash_set_describer(void (*fn)(int fd));

/* Blocks SIGTERM and SIGINT in the calling thread and all that it starts; ignores SIGPIPE and
 * SIGHUP. */
void signals_block(void);
/* Starts the thread that waits for SIGTERM and SIGINT. Returns 0 or a negative errno. */
int signals_start(struct server *server);
/* Ends it: before server's memory goes away. */
void signals_stop(void);

#endif
