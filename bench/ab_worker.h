/* ab_worker.h - a thread of the generator: its ring, its connections, its requests.
 *
 *   client ──┬─ connection ── requests in flight (a ring)      standalone: one connection
 *            └─ connection … one for each node                 cluster: opened when first needed
 *
 *                    worker__issue                 on_received
 *   (closed loop) ──────────────► encoded ──► sent ──────────► recorded, and the client's next
 *   (open loop)    issue_due                 flush              batch or a place for a due request
 *
 * Requests are encoded straight into the connection's output, sent together at the end of a turn,
 * and stamped with the time right before that. Replies are only measured for their end
 * (ab_reply.h). A turn costs one clock reading for the sends, one for each received buffer, and one
 * or two system calls. Nothing is allocated once buffers have grown to their size.
 *
 * I1  A connection's replies come in the order of its ring; a request leaves the ring exactly when
 *     its reply has been read whole.
 * I2  client->in_flight is the number of its requests (not greetings, not ASKING) in all rings.
 * I3  A redirected request keeps its intended start and its draw: the same bytes, a later reply.
 *
 * Thread: everything in struct ab_worker is its own thread's, but the fields that say otherwise.
 */
#ifndef ASHLAR_BENCH_AB_WORKER_H
#define ASHLAR_BENCH_AB_WORKER_H

#include "bench/ab_reply.h"
#include "bench/ab_run.h"
#include "bench/ab_schedule.h"
#include "io/io.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    AB_TRIES_MAX = 32,          /* redirects of one request; then it is an error */
    AB_TURN_NS_MAX = 20000000,  /* how late a worker may notice that it is to stop */
    AB_CLAIM_MAX = 64,          /* requests taken at once from the common count */
};

/* What the workers of a run share. */
struct ab_shared {
    const struct ab_run_spec *spec;
    _Alignas(64) atomic_int ready, finished;
    _Atomic uint64_t start_ns;        /* 0: not yet. Written by the main thread */
    atomic_bool stop;                 /* by anybody */
    _Alignas(64) _Atomic uint64_t claimed, claimed_warmup; /* by the workers */
    _Alignas(64) pthread_mutex_t lock; /* for what follows */
    char failure[AB_ERROR_BYTES], first_error[AB_ERROR_BYTES];
    uint64_t begin_ns, end_ns;        /* written before start_ns; end UINT64_MAX: none */
};

struct ab_counts {
    uint64_t requests, in_window, errors, misses, mismatches, bytes_in, bytes_out;
    struct ab_hist *latency, *service;
};

/* Replies of one batch that arrive together have the same times: they are counted here and go into
 * the histograms at once, when something differs or the buffer they came in has been read. */
struct ab_pending {
    struct ab_counts *counts;
    uint64_t latency_ns, service_ns, count;
    bool in_window;
};

struct ab_worker {
    struct ab_shared *shared;
    const struct ab_run_spec *spec;
    int index;
    pthread_t thread;
    struct io *io;
    const char *backend;
    struct ab_rng rng;

    struct ab_client *clients;
    int client_count, clients_ready;
    struct ab_conn *dirty;             /* connections with something to send */
    struct ab_conn *dead;              /* closed, to be freed or opened again */

    struct ab_client **room;           /* open loop: clients that can take a request, a ring */
    uint32_t room_head, room_tail, room_mask;

    uint64_t claim_next, claim_end;    /* sequence numbers taken from the common count */
    bool running, warm, exhausted;
    uint64_t claim_size;
    struct ab_schedule due;            /* open loop */
    uint64_t start_ns, begin_ns, end_ns; /* copies of what is shared */
    uint64_t in_flight, last_done_ns, unfinished;

    size_t scratch_bytes;
    char *scratch;                     /* cluster: a request before its node is known */
    double *cumulated;                 /* weights of the templates */

    struct ab_counts *counts;          /* one for each command */
    struct ab_pending pending;
    int command_count;
    size_t replay_at;

    /* Series: the worker records into interval[epoch & 1]; the main thread reads the other one once
     * done_epoch says so. */
    struct ab_hist *interval[2];
    unsigned epoch;
    _Alignas(64) atomic_uint wanted_epoch; /* main thread */
    _Alignas(64) atomic_uint done_epoch;   /* worker */
};

void *ab_worker_main(void *worker);
uint64_t ab_now_ns(void);
/* Ends the run with an error; the first one counts. Any thread. */
void ab_shared_fail_mp(struct ab_shared *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
