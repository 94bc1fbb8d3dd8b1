/* ab_session.h - what lasts over all runs of one call: the control connection, the cluster's map,
 * the server's processes, and the options; makes run specs from them.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_SESSION_H
#define ASHLAR_BENCH_AB_SESSION_H

#include "bench/ab_control.h"
#include "bench/ab_options.h"
#include "bench/ab_replay.h"
#include "bench/ab_report.h"
#include "bench/ab_workload.h"

struct ab_session {
    const struct ab_options *options;
    struct ab_workload work;
    struct ab_replay replay;
    struct ab_control control;
    struct ab_cluster *cluster;
    struct ab_cpu cpu;
    struct ab_report report;
    bool live; /* a progress line is shown */
    bool line_open; /* … and stands there now */
    const char *running; /* what it calls the run */
    bool failed;
};

/* Connects, asks the server what it is. False: err says why. */
bool ab_session_open(struct ab_session *s, const struct ab_options *o, char err[400]);
void ab_session_close(struct ab_session *s);
/* Drops the results that the report holds. */
void ab_session_forget(struct ab_session *s);
/* A spec of options and a phase; the caller changes what differs. */
struct ab_run_spec ab_session_spec(struct ab_session *s, const struct ab_phase *phase);
/* Runs it, and keeps the result in the report when keep; returns the result, which is the
 * report's then, or *own's. Ends the session's success when the run failed. */
const struct ab_result *ab_session_run(struct ab_session *s, const struct ab_run_spec *spec, bool keep,
                                       struct ab_result *own);

/* ab_sweep.c: the rates, and what came of them, into the report. */
void ab_sweep_run(struct ab_session *s, const struct ab_phase *phase);

#endif
