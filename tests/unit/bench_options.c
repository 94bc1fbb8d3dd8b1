/* bench/ab_options, ab_workload: redis-benchmark's options, ours, and what is refused. */
#include "bench/ab_options.h"
#include "bench/ab_value.h"
#include "bench/ab_workload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct ab_options o;
static char err[AB_OPTIONS_ERR_BYTES];

static bool parse(const char *line)
{
    static char copy[2000], *argv[200];
    int argc = 1;
    argv[0] = "ashlar-bench";
    snprintf(copy, sizeof copy, "%s", line);
    for (char *save, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        argv[argc++] = w;
    }
    err[0] = 0;
    return ab_options_parse(&o, argc, argv, err);
}

Test(bench_options, those_of_redis_benchmark)
{
    cr_assert(parse("-h example -p 7000 -a secret --user me -c 20 -n 5000 -d 100 --dbnum 3 -3 --threads 4 "
                    "-k 0 -r 1000 -P 16 -q --precision 2 -t set,get --seed 5 --enable-tracking"), "%s", err);
    cr_assert_str_eq(o.target.host, "example");
    cr_assert_str_eq(o.target.password, "secret");
    cr_assert_str_eq(o.target.user, "me");
    cr_assert(o.target.port == 7000 && o.target.db == 3 && o.target.resp3 && o.target.tracking);
    cr_assert(o.clients == 20 && o.requests == 5000 && o.threads == 4 && o.pipeline == 16);
    cr_assert(!o.keep_alive && o.keyspace == 1000 && o.keyspace_given && o.quiet && o.precision == 2);
    cr_assert(o.data.fixed && o.data.max == 100);
    cr_assert_str_eq(o.tests, "set,get");
}

Test(bench_options, defaults_are_those_of_redis_benchmark)
{
    cr_assert(parse(""));
    cr_assert_str_eq(o.target.host, "127.0.0.1");
    cr_assert(o.target.port == 6379 && o.clients == 50 && o.requests == 100000 && o.pipeline == 1);
    cr_assert(o.data.max == 3 && o.keep_alive && o.threads == 1 && !o.keyspace_given);
}

Test(bench_options, a_command_ends_the_options)
{
    cr_assert(parse("-n 10 lpush mylist -n __rand_int__"));
    cr_assert_eq(o.argc, 4);
    cr_assert_str_eq(o.argv[2], "-n");
}

Test(bench_options, ours)
{
    cr_assert(parse("--rate=25k --duration 1.5s --warmup 500ms --dist zipf:0.99 --cpus 0,2-3 --expiry 5-9 "
                    "--data-size 1-10 --key-format u:%05d --drain 2 --arrival poisson"), "%s", err);
    cr_assert_float_eq(o.rate, 25000, 1e-9);
    cr_assert_eq(o.duration_ns, 1500000000u);
    cr_assert_eq(o.warmup_ns, 500000000u);
    cr_assert_eq(o.requests, 0);
    cr_assert(o.cpu_count == 3 && o.cpus[2] == 3);
    cr_assert(o.expire_low_s == 5 && o.expire_high_s == 9);
    cr_assert(parse("--sweep p99.9<250us"));
    cr_assert_float_eq(o.sweep_percentile, 99.9, 1e-9);
    cr_assert_eq(o.sweep_bound_ns, 250000);
    cr_assert(parse("--sweep max<2s") && o.sweep_on == AB_SWEEP_MAX);
}

Test(bench_options, uri)
{
    cr_assert(parse("-u redis://me:p%40ss@host:7001/2"));
    cr_assert_str_eq(o.target.user, "me");
    cr_assert_str_eq(o.target.password, "p@ss");
    cr_assert_str_eq(o.target.host, "host");
    cr_assert(o.target.port == 7001 && o.target.db == 2);
    ab_options_free(&o);
    cr_assert(parse("-u redis://:pw@h"));
    cr_assert(!o.target.user && o.target.port == 6379);
    cr_assert_str_eq(o.target.password, "pw");
    ab_options_free(&o);
}

static void refused(const char *line, const char *message)
{
    cr_assert_not(parse(line), "%s", line);
    cr_assert_str_eq(err, message);
}

Test(bench_options, refused)
{
    refused("--bogus", "unknown option '--bogus' (--help lists them)");
    refused("-Z 3", "unknown option '-Z' (--help lists them)");
    refused("-n", "-n needs a number of requests");
    refused("-n zero", "-n 'zero': a number of requests is wanted");
    refused("-c 0", "-c '0': a number of clients is wanted");
    refused("-p 70000", "-p '70000': a port from 1 to 65535 is wanted");
    refused("-q=1", "unknown option '-q=1' (--help lists them)");
    refused("--csv=1", "--csv takes no value");
    refused("--tls", "--tls: TLS is not supported");
    refused("--cacert x", "--cacert: TLS is not supported");
    refused("--sweep p99<1", "--sweep 'p99<1': a bound with its unit: p99<1ms, p99.9<500us, mean<1ms or "
                             "max<50ms is wanted");
    refused("--ratio 3", "--ratio '3': a number > 0, after a --command is wanted");
    refused("--user me", "--user needs -a");
    refused("--rate 10 -k 0", "--rate needs connections that stay (-k 1)");
    refused("--dist zipf", "--dist 'zipf': uniform, zipf:<skew>, gauss[:<mean>,<deviation>], sequential or "
                           "hot:<share of keys>,<share of requests> is wanted");
}

static int phases_of(const char *line, struct ab_workload *w)
{
    cr_assert(parse(line), "%s: %s", line, err);
    ab_value_prepare();
    return ab_workload_make(w, &o, err) ? w->phase_count : -1;
}

Test(bench_workload, tests_by_name)
{
    struct ab_workload w;
    cr_assert_eq(phases_of("", &w), 20); /* redis-benchmark's default */
    ab_workload_free(&w);
    cr_assert_eq(phases_of("-t PING,get", &w), 3);
    cr_assert_str_eq(w.phases[2].name, "GET");
    ab_workload_free(&w);
    cr_assert_eq(phases_of("-t lrange_300", &w), 2); /* and what fills the list */
    ab_workload_free(&w);
    cr_assert_eq(phases_of("-t nonsense", &w), -1);
    cr_assert_str_eq(err, "-t: unknown test 'nonsense'");
    ab_workload_free(&w);
}

Test(bench_workload, mixes)
{
    struct ab_workload w;
    cr_assert_eq(phases_of("--mix get=9,set=1", &w), 1);
    cr_assert(w.phases[0].count == 2 && w.phases[0].weights[0] == 9);
    cr_assert_str_eq(w.phases[0].name, "GET=9,SET=1");
    ab_workload_free(&w);
    cr_assert_eq(phases_of("--command PING --ratio 2 --command TIME", &w), 1);
    cr_assert(w.phases[0].count == 2 && w.phases[0].weights[0] == 2 && w.phases[0].weights[1] == 1);
    ab_workload_free(&w);
    cr_assert_eq(phases_of("--mix get=0", &w), -1);
    ab_workload_free(&w);
    cr_assert_eq(phases_of("-t get --mix set=1", &w), -1);
    ab_workload_free(&w);
}
