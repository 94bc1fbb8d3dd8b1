/* ab_plot.h - which pictures a report gives, and what is in them.
 *
 *   <prefix>-percentiles   latency over percentiles to p99.999, one line for each run or command
 *   <prefix>-throughput    requests per second and latency over time
 *   <prefix>-rate          latency over rate, of a sweep
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_PLOT_H
#define ASHLAR_BENCH_AB_PLOT_H

#include "bench/ab_report.h"

/* Writes the pictures; messages about what failed go to standard error. */
bool ab_plot_write(const struct ab_report *rep, const char *prefix, bool png);

#endif
