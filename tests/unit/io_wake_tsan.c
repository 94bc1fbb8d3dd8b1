/* Wake-ups are never lost: threads publish work and wake a sleeper that waits without limit. If one
 * wake-up were lost, the sleeper would hang and the alarm would end the test.
 *
 * A plain program, because Criterion does not run under ThreadSanitizer. */
#include "io/io.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAKERS = 3, WAKES = 4000, ROUNDS = 3000, GUARD_S = 100 };

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void no_accepted(struct io_listener *l, int fd)
{
}
static void no_received(struct io_sock *s, struct io_buf *buf, int len)
{
}
static void no_sent(struct io_sock *s, ssize_t result)
{
}
static void no_closed(struct io_sock *s)
{
}
static const struct io_handlers handlers = {no_accepted, no_received, no_sent, no_closed};

static struct io *make(enum io_backend backend)
{
    struct io_config config = {
        .backend = backend, .buffers = 8, .entries = 64, .handlers = &handlers};
    struct io *io;
    const char *why;
    if (io_create(&io, &config, &why) < 0) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    return io;
}

static struct io *sleeper;
static atomic_int published, taken;
static atomic_bool asleep;
static enum io_backend waker_backend;
static bool waker_has_io;

/* One waker in lock step: every single wake-up must end one wait. */
static void *wake_in_step(void *unused)
{
    struct io *mine = waker_has_io ? make(waker_backend) : NULL;
    for (int i = 1; i <= ROUNDS; i++) {
        atomic_store(&published, i);
        io_wake_mp(sleeper, mine);
        if (mine) {
            io_turn(mine, 0);
        }
        while (atomic_load(&taken) != i) {
            sched_yield();
        }
    }
    if (mine) {
        io_destroy(mine);
    }
    return NULL;
}

/* Many wakers that do not wait for anything, and wake only a sleeper who said that it sleeps. */
static void *hammer(void *unused)
{
    struct io *mine = waker_has_io ? make(waker_backend) : NULL;
    for (int i = 0; i < WAKES; i++) {
        atomic_fetch_add(&published, 1);
        if (i % 2 == 0 || atomic_exchange(&asleep, false)) {
            io_wake_mp(sleeper, mine);
        }
        if (mine) {
            /* Some turns wait: what is queued must be submitted by those as well. */
            io_turn(mine, i % 64 == 0 ? 1000 : 0);
        }
    }
    if (mine) {
        io_destroy(mine);
    }
    return NULL;
}

static void run_in_step(enum io_backend backend)
{
    pthread_t t;
    sleeper = make(backend);
    atomic_store(&published, 0);
    atomic_store(&taken, 0);
    CHECK(pthread_create(&t, NULL, wake_in_step, NULL) == 0);
    while (atomic_load(&taken) != ROUNDS) {
        io_turn(sleeper, -1);
        atomic_store(&taken, atomic_load(&published));
    }
    pthread_join(t, NULL);
    io_destroy(sleeper);
}

static void run_hammer(enum io_backend backend)
{
    pthread_t t[WAKERS];
    sleeper = make(backend);
    atomic_store(&published, 0);
    atomic_store(&asleep, false);
    for (int i = 0; i < WAKERS; i++) {
        CHECK(pthread_create(&t[i], NULL, hammer, NULL) == 0);
    }
    /* Declare, look again, sleep: as a shard does. */
    for (;;) {
        int seen = atomic_load(&published);
        if (seen == WAKERS * WAKES) {
            break;
        }
        atomic_store(&asleep, true);
        if (atomic_load(&published) == seen) {
            io_turn(sleeper, -1);
        } else {
            io_turn(sleeper, 0);
        }
    }
    for (int i = 0; i < WAKERS; i++) {
        pthread_join(t[i], NULL);
    }
    /* One that comes while nobody waits ends the next wait, also one's own. */
    while (io_turn(sleeper, 0) > 0) {
    }
    io_wake_mp(sleeper, NULL);
    CHECK(io_turn(sleeper, -1) > 0);
    io_wake_mp(sleeper, sleeper);
    CHECK(io_turn(sleeper, -1) > 0);
    CHECK(io_turn(sleeper, 1000000) == 0);
    io_destroy(sleeper);
}

int main(void)
{
    static const enum io_backend backends[] = {IO_URING, IO_EPOLL};
    bool have_uring = true;
    struct io_config config = {
        .backend = IO_AUTO, .buffers = 8, .entries = 64, .handlers = &handlers};
    struct io *io;
    const char *why;

    alarm(GUARD_S);
    CHECK(io_create(&io, &config, &why) == 0);
    if (strcmp(io_backend_name(io), "epoll") == 0) {
        fprintf(stderr, "without io_uring: %s\n", why);
        have_uring = false;
    }
    io_destroy(io);
    for (int i = have_uring ? 0 : 1; i < 2; i++) {
        for (int j = have_uring ? -1 : 1; j < 2; j++) {
            if (j == -1 || (j == 1 && !have_uring)) {
                waker_has_io = false;
            } else {
                waker_has_io = true;
                waker_backend = backends[j];
            }
            run_in_step(backends[i]);
            run_hammer(backends[i]);
        }
    }
    return 0;
}
