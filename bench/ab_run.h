/* ab_run.h - one run: a set of commands against a server for a time or a number of requests.
 *
 * The caller fills in a struct ab_run_spec; ab_run() starts the threads, measures, and fills a
 * struct ab_result.
 *
 *   main thread                          worker threads (ab_worker.h)
 *   ab_run()     start them ───────────► connect, log in
 *                wait for all   ◄─────── ready
 *                set start time ───────► send and receive
 *                every interval: ask ──► change over to the other interval histogram
 *                  collect      ◄─────── done
 *                wait for all   ◄─────── finished
 *                merge, CPU times
 *
 * Closed loop: every client sends `pipeline` requests, waits for all replies, sends the next; the
 * latency of a request begins when it is sent. Open loop (rate > 0): requests have intended starts
 * at a fixed rate, whatever the server does. A request waits in the generator while all clients
 * have `pipeline` requests outstanding; its latency counts from the intended start, its service
 * time from the moment it was sent.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_RUN_H
#define ASHLAR_BENCH_AB_RUN_H

#include "bench/ab_cluster.h"
#include "bench/ab_hist.h"
#include "bench/ab_target.h"
#include "bench/ab_template.h"

struct ab_replay; /* ab_replay.h */
struct ab_cpu;    /* ab_cpu.h */
struct ab_result;

enum { AB_ERROR_BYTES = 300, AB_COMMANDS_MAX = 512, AB_THREADS_MAX = 500 };

enum ab_arrival { AB_ARRIVAL_EVEN, AB_ARRIVAL_POISSON };

struct ab_run_spec {
    const char *name;
    const struct ab_target *target;
    struct ab_cluster *cluster; /* NULL: standalone */
    const struct ab_space *space;
    const struct ab_template *templates;
    const double *weights;      /* one for each template */
    int template_count;
    bool in_order;              /* templates one after the other instead of by weight */
    const struct ab_replay *replay; /* instead of templates */
    double replay_speed;        /* 0: as fast as possible */

    int threads, clients, pipeline;
    bool keep_alive;
    const int *cpus;            /* threads are pinned to these in turn */
    int cpu_count;
    bool force_epoll;

    uint64_t requests;          /* 0: no limit */
    uint64_t warmup_ns, duration_ns; /* duration 0: until `requests` are done */
    double rate;                /* requests per second, 0: closed loop */
    enum ab_arrival arrival;
    uint64_t drain_ns;          /* at most so long for what is late at the end of an open loop */
    uint64_t interval_ns;       /* of the series; 0: chosen */
    uint64_t seed;

    struct ab_cpu *cpu;         /* the server's CPU time, or NULL */
    /* Called every interval, NULL: not. */
    void (*progress)(void *user, const struct ab_result *so_far);
    /* Called when a MOVED was met: CLUSTER SLOTS should be read again. */
    void (*refresh)(void *user);
    void *user;
};

struct ab_command_result {
    char name[AB_NAME_BYTES];
    uint64_t requests, errors, misses, mismatches, bytes_in, bytes_out;
    uint64_t in_window; /* replies within the measured time, on which rps is based */
    struct ab_hist *latency, *service; /* service NULL in closed loop */
};

struct ab_point {
    double at_s, rps;
    uint64_t p50_ns, p99_ns, max_ns;
};

struct ab_result {
    char name[AB_NAME_BYTES * 2];
    bool open_loop;
    double rate;
    double seconds;
    struct ab_command_result total;
    struct ab_command_result *commands;
    int command_count;
    struct ab_point *series;
    int point_count, point_cap;
    double server_cpu_us, client_cpu_us; /* per request, < 0: unknown */
    uint64_t unfinished;  /* open loop: due, but not answered when the draining ended */
    uint64_t moved, asked;
    char first_error[AB_ERROR_BYTES]; /* of the replies, "" if none */
    char failure[AB_ERROR_BYTES];     /* why the run ended early, "" if it did not */
    const char *backend;
};

void ab_run(const struct ab_run_spec *spec, struct ab_result *result);
void ab_result_free(struct ab_result *result);
static inline double ab_result_rps(const struct ab_result *r, const struct ab_command_result *c)
{
    return r->seconds > 0 ? (double)c->in_window / r->seconds : 0;
}

#endif
