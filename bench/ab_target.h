/* ab_target.h - where the server is, how to log in, and how sockets to it are made.
 *
 * Thread: a struct ab_target is constant; the functions may be called by any thread.
 */
#ifndef ASHLAR_BENCH_AB_TARGET_H
#define ASHLAR_BENCH_AB_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ab_target {
    const char *host;
    uint16_t port;
    const char *unix_path; /* NULL: TCP */
    const char *password;  /* NULL: no AUTH */
    const char *user;      /* NULL: AUTH with the password alone */
    int db;
    bool resp3, tracking;
};

/* A socket that is being connected (non-blocking) or, with wait, is connected (blocking, at most
 * 10 s). Returns the descriptor or a negative errno; -EADDRNOTAVAIL also for names that nobody
 * knows. host and port NULL and 0: the target's own. */
int ab_target_connect(const struct ab_target *t, const char *host, uint16_t port, bool wait);
/* "127.0.0.1:6379" or the path of the socket. */
void ab_target_name(const struct ab_target *t, const char *host, uint16_t port, char out[300]);

/* Writes the commands that a new connection begins with (HELLO, AUTH, SELECT, CLIENT TRACKING) to
 * out; returns their bytes, and their number in *count. 0 when there is no room. */
size_t ab_target_greeting(const struct ab_target *t, char *out, size_t room, int *count);

#endif
