/* ab_options.h - the command line.
 *
 * redis-benchmark's options have its names and meaning; ours have long names. `--name value` and
 * `--name=value` are the same. What is left over is a command to be sent, as in redis-benchmark.
 * Anything unknown, a missing value or one out of range ends with a message that names the option.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_OPTIONS_H
#define ASHLAR_BENCH_AB_OPTIONS_H

#include "bench/ab_run.h"

enum { AB_OPTION_COMMANDS_MAX = 256, AB_OPTION_CPUS_MAX = 1024, AB_OPTIONS_ERR_BYTES = 400 };

enum ab_sweep_on { AB_SWEEP_PERCENTILE, AB_SWEEP_MEAN, AB_SWEEP_MAX };

struct ab_option_command {
    const char *text;
    double ratio;
};

struct ab_options {
    struct ab_target target;
    char *uri_copy; /* what target points into, after -u */

    int64_t clients, pipeline, threads, requests, keyspace, load;
    bool keyspace_given, requests_given;
    bool keep_alive, cluster, idle, loop_forever, last_arg_stdin, epoll;
    int cpus[AB_OPTION_CPUS_MAX];
    int cpu_count;

    const char *tests, *mix, *commands_file, *load_command;
    struct ab_option_command commands[AB_OPTION_COMMANDS_MAX];
    int command_count;
    bool in_order;
    int argc; /* a command on the command line */
    char **argv;
    const char *replay;
    double replay_speed; /* 0: as fast as possible */

    struct ab_dist dist;
    struct ab_size data, key_size;
    bool key_sized, data_given;
    const char *key_format, *key_prefix;
    uint64_t expire_low_s, expire_high_s; /* 0: none */
    bool verify;
    uint64_t seed;

    double rate;
    enum ab_arrival arrival;
    uint64_t warmup_ns, duration_ns, drain_ns, interval_ns;

    const char *sweep; /* as given */
    enum ab_sweep_on sweep_on;
    double sweep_percentile;
    uint64_t sweep_bound_ns, sweep_time_ns;
    double sweep_from, sweep_to;
    int64_t sweep_steps;

    bool quiet, csv, no_progress, show_help, show_version, errors_option;
    int64_t precision;
    bool precision_given;
    const char *json, *csv_file, *svg, *png, *title;
};

/* False: err has the message (without "ashlar-bench: "). The strings stay argv's. */
bool ab_options_parse(struct ab_options *o, int argc, char **argv, char err[AB_OPTIONS_ERR_BYTES]);
void ab_options_free(struct ab_options *o);
extern const char *const ab_options_help;

#endif
