/* micro.c - runs the micro-benchmarks of the parts and prints what an operation costs.
 *
 *   micro [options] [filter …]      about a minute without any
 *
 * A filter chooses the benchmarks whose name (group/name) contains it, or fits it as a pattern when
 * it has a '*'. Each benchmark is first run with growing numbers of operations until it is
 * known how many fill a round; then come the rounds. Printed are the median of the rounds and the
 * spread: the fastest and the slowest round. Cycles and instructions are those of user mode,
 * where the machine has counters that we may read (many virtual machines have none).
 */
#include "bench/micro/micro.h"

#include "core/hash.h"
#include "core/mem.h"
#include "shards/clock.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 101 };

static const struct micro_group *const groups[] = {
    &micro_parse,     &micro_reply,     &micro_hash,      &micro_keyspace, &micro_memory[0],
    &micro_memory[1], &micro_memory[2], &micro_memory[3], &micro_listpack, &micro_list,
    &micro_intset,    &micro_big_hash,  &micro_big_set,   &micro_big_zset, &micro_stream,
    &micro_hll,       &micro_mailbox,   &micro_order,     &micro_hist,
};
enum { GROUPS = sizeof groups / sizeof *groups };

static struct options {
    double seconds;
    unsigned rounds;
    uint32_t keys;
    bool json, list;
    char **filters;
} options = {.seconds = 35, .rounds = 7, .keys = 1000000};

struct result {
    bool done, counted;
    uint64_t ops; /* of a round */
    double median, min, max, cycles, instructions;
};

/* --- the clock --- */

static double clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double micro_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int counter_open(uint64_t config, int leader)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE, .size = sizeof attr, .config = config,
        .exclude_kernel = 1, .exclude_hv = 1, .read_format = PERF_FORMAT_GROUP,
    };
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

/* The leader's descriptor, or -1 where there are no counters for us. They live as long as the
 * process. */
static int counters_open(void)
{
    int leader = counter_open(PERF_COUNT_HW_CPU_CYCLES, -1);
    if (leader >= 0 && counter_open(PERF_COUNT_HW_INSTRUCTIONS, leader) < 0) {
        close(leader);
        return -1;
    }
    return leader;
}

static void counters_read(const struct micro__clock *c, uint64_t out[2])
{
    uint64_t group[3] = {0}; /* how many, then their values */
    if (c->cycles_fd >= 0 && read(c->cycles_fd, group, sizeof group) == sizeof group) {
        out[0] = group[1];
        out[1] = group[2];
    }
}

static clockid_t clock_of(const struct micro__clock *c)
{
    return c->flags & MICRO_WALL ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
}

void micro_resume(struct micro *m)
{
    counters_read(&m->clock_, m->clock_.from);
    m->clock_.from_ns = clock_ns(clock_of(&m->clock_));
}

void micro_pause(struct micro *m)
{
    struct micro__clock *c = &m->clock_;
    c->total_ns += clock_ns(clock_of(c)) - c->from_ns;
    uint64_t now[2] = {0};
    counters_read(c, now);
    for (int i = 0; i < 2; i++) {
        c->total[i] += now[i] - c->from[i];
    }
}

/* --- what benchmarks may ask for --- */

double micro_resident_bytes(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &total, &resident) != 2) {
        abort();
    }
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

uint64_t micro_random(void)
{
    static uint64_t x = 88172645463325252;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return x * 0x2545f4914f6cdd1dull;
}

/* --- measuring --- */

/* Nanoseconds that this many operations took. */
static double run_once(struct micro *m, const struct micro_bench *b, uint64_t ops)
{
    m->ops = ops;
    m->clock_.total_ns = 0;
    m->clock_.total[0] = m->clock_.total[1] = 0;
    micro_resume(m);
    b->run(m);
    micro_pause(m);
    return m->clock_.total_ns;
}

static uint64_t operations_for(struct micro *m, const struct micro_bench *b, double round_ns)
{
    uint64_t ops = 64;
    for (;;) {
        double took = run_once(m, b, ops);
        if (took * 4 >= round_ns || ops >= UINT64_C(1) << 40) {
            uint64_t wanted = (uint64_t)((double)ops * round_ns / (took > 1 ? took : 1));
            return wanted > 0 ? wanted : 1;
        }
        double factor = took > 0 ? round_ns / took / 2 : 16;
        ops = (uint64_t)((double)ops * (factor > 16 ? 16 : factor < 2 ? 2 : factor));
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof *v, compare_doubles);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static struct result measure(struct micro *m, const struct micro_bench *b, double round_ns)
{
    struct result r = {.done = true, .ops = 1};
    m->clock_.flags = b->flags;
    if (b->value) {
        r.median = r.min = r.max = b->value(m);
        return r;
    }
    double ns[ROUNDS_MAX], cycles[ROUNDS_MAX], instructions[ROUNDS_MAX];
    r.ops = operations_for(m, b, round_ns);
    for (unsigned i = 0; i < options.rounds; i++) {
        ns[i] = run_once(m, b, r.ops) / (double)r.ops;
        cycles[i] = (double)m->clock_.total[0] / (double)r.ops;
        instructions[i] = (double)m->clock_.total[1] / (double)r.ops;
    }
    r.median = median(ns, options.rounds);
    r.min = ns[0];
    r.max = ns[options.rounds - 1];
    r.cycles = median(cycles, options.rounds);
    r.instructions = median(instructions, options.rounds);
    /* The counters are of this thread alone. */
    r.counted = m->clock_.cycles_fd >= 0 && !(b->flags & MICRO_WALL);
    return r;
}

/* --- groups, each in a process --- */

static void full_name(char out[64], const struct micro_group *g, const struct micro_bench *b)
{
    snprintf(out, 64, "%s/%s", g->name, b->name);
}

static bool chosen(const struct micro_group *g, const struct micro_bench *b)
{
    if (!*options.filters) {
        return true;
    }
    char name[64];
    full_name(name, g, b);
    for (char **f = options.filters; *f; f++) {
        if (strchr(*f, '*') ? fnmatch(*f, name, 0) == 0 : strstr(name, *f) != NULL) {
            return true;
        }
    }
    return false;
}

static void __attribute__((noreturn))
group_child(const struct micro_group *g, double round_ns, int out)
{
    static struct mem_counter counter;
    mem_thread_register(&counter);
    struct micro m = {.keys = options.keys, .clock_ = {.cycles_fd = counters_open()}};
    m.state = g->setup ? g->setup(options.keys) : NULL;
    for (size_t i = 0; i < g->count; i++) {
        if (!chosen(g, &g->benches[i])) {
            continue;
        }
        struct result r = measure(&m, &g->benches[i], round_ns);
        if (write(out, &r, sizeof r) != sizeof r) {
            _exit(1);
        }
    }
    _exit(0);
}

static void print_result(const struct micro_group *g, const struct micro_bench *b,
                         const struct result *r, bool first)
{
    char name[64];
    full_name(name, g, b);
    const char *unit = b->value ? b->unit : "ns";
    if (!options.json) {
        printf("%-28s %9.2f %-5s", name, r->median, unit);
        if (!b->value) {
            printf(" %9.2f … %-9.2f", r->min, r->max);
        }
        if (r->counted) {
            printf(" %8.1f cycles %8.1f instructions", r->cycles, r->instructions);
        }
        printf("\n");
        fflush(stdout);
        return;
    }
    printf("%s\n  {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %.4f, \"min\": %.4f, "
           "\"max\": %.4f, \"operations\": %llu, ",
           first ? "" : ",", name, unit, r->median, r->min, r->max, (unsigned long long)r->ops);
    if (r->counted) {
        printf("\"cycles\": %.2f, \"instructions\": %.2f}", r->cycles, r->instructions);
    } else {
        printf("\"cycles\": null, \"instructions\": null}");
    }
}

/* Runs the chosen benchmarks of a group and prints them; false when its process failed. */
static bool run_group(const struct micro_group *g, double round_ns, bool *first)
{
    int fd[2];
    fflush(stdout);
    if (pipe(fd) < 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        group_child(g, round_ns, fd[1]);
    }
    close(fd[1]);
    if (child < 0) {
        close(fd[0]);
        return false;
    }
    for (size_t i = 0; i < g->count; i++) {
        struct result r;
        if (chosen(g, &g->benches[i]) && read(fd[0], &r, sizeof r) == sizeof r) {
            print_result(g, &g->benches[i], &r, *first);
            *first = false;
        }
    }
    close(fd[0]);
    int status = 1;
    if (waitpid(child, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "micro: group %s failed (status %d)\n", g->name, status);
        return false;
    }
    return true;
}

static unsigned chosen_in(const struct micro_group *g, bool loops_only)
{
    unsigned n = 0;
    for (size_t i = 0; i < g->count; i++) {
        n += chosen(g, &g->benches[i]) && !(loops_only && g->benches[i].value);
    }
    return n;
}

static void list(void)
{
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < groups[g]->count; i++) {
            if (chosen(groups[g], &groups[g]->benches[i])) {
                char name[64];
                full_name(name, groups[g], &groups[g]->benches[i]);
                printf("%-28s %s\n", name, groups[g]->benches[i].what);
            }
        }
    }
}

static bool counters_there(void)
{
    int fd = counters_open();
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static const char usage[] =
    "usage: micro [options] [filter ...]\n"
    "  --seconds S   measure for S seconds in all (35); building what is measured comes on top\n"
    "  --rounds N    rounds of each benchmark (7)\n"
    "  --keys N      keys, fields, members of what is large (1000000)\n"
    "  --json        results as JSON\n"
    "  --list        name the benchmarks\n"
    "A filter is a part of a name (group/name), or a pattern with '*'.\n";

static void parse_options(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"seconds", required_argument, NULL, 's'}, {"rounds", required_argument, NULL, 'r'},
        {"keys", required_argument, NULL, 'k'},    {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},          {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    for (int o; (o = getopt_long(argc, argv, "", long_options, NULL)) >= 0;) {
        char *end = NULL;
        switch (o) {
        case 's':
            options.seconds = strtod(optarg, &end);
            good = good && !*end && options.seconds > 0 && options.seconds < 1e6;
            break;
        case 'r': {
            long n = strtol(optarg, &end, 10);
            good = good && !*end && n >= 1 && n <= ROUNDS_MAX;
            options.rounds = (unsigned)n;
            break;
        }
        case 'k': {
            long n = strtol(optarg, &end, 10);
            good = good && !*end && n >= 1000 && n <= 100000000;
            options.keys = (uint32_t)n;
            break;
        }
        case 'j':
            options.json = true;
            break;
        case 'l':
            options.list = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            good = false;
        }
    }
    if (!good) {
        fputs(usage, stderr);
        exit(2);
    }
    options.filters = argv + optind;
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    if (options.list) {
        list();
        return 0;
    }
    unsigned loops = 0, all = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        loops += chosen_in(groups[g], true);
        all += chosen_in(groups[g], false);
    }
    if (all == 0) {
        fprintf(stderr, "micro: no benchmark has such a name (--list shows them)\n");
        return 2;
    }
    static const uint8_t seed[16] = "micro-benchmarks";
    hash_seed(seed);
    clock_init();
    /* Finding out how many operations fill a round costs about another round. */
    double round_ns = options.seconds * 1e9 / ((double)(loops ? loops : 1) * (options.rounds + 1));
    bool counters = counters_there(), first = true, good = true;
    if (options.json) {
        printf("{\"tool\": \"micro\", \"version\": \"%s\", \"keys\": %u, \"rounds\": %u, "
               "\"counters\": %s, \"results\": [",
               ASHLAR_VERSION, options.keys, options.rounds, counters ? "true" : "false");
    } else {
        printf("medians of %u rounds of %.0f ms, fastest … slowest; %u keys, fields, members%s\n",
               options.rounds, round_ns / 1e6, options.keys,
               counters ? "" : "; this machine has no counters of cycles for us");
    }
    for (size_t g = 0; g < GROUPS; g++) {
        if (chosen_in(groups[g], false)) {
            good = run_group(groups[g], round_ns, &first) && good;
        }
    }
    if (options.json) {
        printf("\n]}\n");
    }
    return good ? 0 : 1;
}
