/* ab_report.h - results as text, CSV and JSON.
 *
 * -q and --csv have the shape of redis-benchmark, so that what reads it reads this; --csv-file and
 * --json have everything.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_REPORT_H
#define ASHLAR_BENCH_AB_REPORT_H

#include "bench/ab_control.h"
#include "bench/ab_options.h"
#include "bench/ab_run.h"

struct ab_sweep_point {
    double rate, rps;
    uint64_t p50_ns, p99_ns, p999_ns, bounded_ns;
    bool holds;
};

struct ab_report {
    const struct ab_options *options;
    struct ab_server_info server;
    struct ab_result *runs;
    int run_count;
    struct ab_sweep_point *points; /* by rate */
    int point_count;
    double best_rate;              /* 0: not even the lowest held */
    double load_seconds;
    uint64_t loaded;
};

/* One run's result on standard output, as -q, --csv or neither ask for. */
void ab_report_print(const struct ab_report *rep, const struct ab_result *r);
void ab_report_csv_head(void);
void ab_report_print_sweep(const struct ab_report *rep);
/* A file of everything. False: errno says why. */
bool ab_report_json(const struct ab_report *rep, const char *path);
bool ab_report_csv_file(const struct ab_report *rep, const char *path);
/* The percentiles that are shown, ended by a negative one, and their names ("p99.9"). */
extern const double ab_report_percentiles[];
extern const char *const ab_report_percentile_names[];

#endif
