/* main.c - seeds (see sim.h and README.md).
 *
 *   sim [--shards N] [--threads N] [--seed N [--verbose[=2]]] [--first N] [--seeds N] [--seconds N]
 *       [--mutant NAME]
 *
 * The server is started once; each seed is a process forked from there, so that all begin with the
 * same memory and a crash ends one seed only. --seed runs that one alone, as it was run before. */
#include "shards/commands.h"
#include "shards/log.h"
#include "tests/sim/sim.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FOUND = 1, EXIT_UNDECIDED = 3, SECONDS_PER_SEED = 60 };

int sim_verbose;
enum sched_mutant sim_mutant;

static struct {
    unsigned shards, threads, seconds; /* threads 0: one for each shard */
    uint64_t first, seeds;
    bool one;
} options = {.shards = 2, .first = 1, .seeds = 1000};

static uint64_t present_seed;

static const char *const mutants[] = {
    [SCHED_FREE_BYPASSES] = "free-bypasses",
    [SCHED_FREE_TRANSACTION] = "free-transaction",
    [SCHED_CLOSES_EARLY] = "closes-early",
    [SCHED_HORIZON_LATE] = "horizon-late",
    [SCHED_SLEEPS_BLINDLY] = "sleeps-blindly",
    [SCHED_FENCE_OPEN] = "fence-open",
    [SCHED_ASKS_FORGOTTEN] = "asks-forgotten",
};

static void show_end(const char *text)
{
    printf("seed %llu, %u shards, step %llu: %s\n", (unsigned long long)present_seed, options.shards,
           (unsigned long long)sim_steps, text);
    sim_history_show();
    printf("replay: sim --shards %u --threads %u --seed %llu --verbose=2%s%s\n", options.shards,
           options.threads, (unsigned long long)present_seed, sim_mutant ? " --mutant " : "",
           sim_mutant ? mutants[sim_mutant] : "");
    fflush(stdout);
}

void sim_fail(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    show_end(text);
    _exit(EXIT_FOUND);
}

/* One seed, in a process of its own. */
static int run_seed(uint64_t seed)
{
    present_seed = seed;
    sim_random_seed(seed);
    sim_client_prepare();
    sim_fibers_run();
    unsigned states;
    int found = sim_search(&states);
    if (found == 0) {
        sim_fail("this history has no order");
    }
    if (sim_verbose > 0) {
        char text[64];
        snprintf(text, sizeof text, "%s (%u states)", found > 0 ? "fine" : "given up", states);
        show_end(text);
    }
    return found > 0 ? 0 : EXIT_UNDECIDED;
}

static void start_server(void)
{
    char count[12], threads[12];
    snprintf(count, sizeof count, "%u", options.shards);
    snprintf(threads, sizeof threads, "%u", options.threads > 0 ? options.threads : options.shards);
    char *args[] = {"sim",     "--shards", count, "--shard-pinning", "no", "--port", "0",
                    "--save",  "",         "--loglevel", "warning",
                    "--shard-threads", threads, NULL};
    struct config *config;
    static struct mem_counter memory;
    mem_thread_register(&memory);
    if (config_from_command_line((int)(sizeof args / sizeof *args) - 1, args, &config) !=
        CONFIG_GO_ON) {
        exit(2);
    }
    if (log_open(config->logfile, config->loglevel, false, "sim", 0) != 0) {
        exit(2);
    }
    commands_init();
    static const uint8_t hash_key[16] = {1};
    struct server *server = server_new(config, "sim");
    hash_seed(hash_key); /* not the drawn one */
    atomic_store(&server->slice_units, UINT32_MAX); /* no command rests: that goes by the real clock */
    sim_fibers_start(server);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "not a number: %s\n", text);
        exit(2);
    }
    return n;
}

static enum sched_mutant mutant_of(const char *name)
{
    for (unsigned i = 1; i < sizeof mutants / sizeof *mutants; i++) {
        if (strcmp(mutants[i], name) == 0) {
            return (enum sched_mutant)i;
        }
    }
    fprintf(stderr, "no such mutant: %s\n", name);
    exit(2);
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strncmp(name, "--verbose", 9) == 0) {
            sim_verbose = name[9] == '=' ? (int)number(name + 10) : 1;
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : "";
        if (strcmp(name, "--shards") == 0) {
            options.shards = (unsigned)number(value);
        } else if (strcmp(name, "--threads") == 0) {
            options.threads = (unsigned)number(value);
        } else if (strcmp(name, "--seed") == 0) {
            options.first = number(value);
            options.one = true;
        } else if (strcmp(name, "--first") == 0) {
            options.first = number(value);
        } else if (strcmp(name, "--seeds") == 0) {
            options.seeds = number(value);
        } else if (strcmp(name, "--seconds") == 0) {
            options.seconds = (unsigned)number(value);
        } else if (strcmp(name, "--mutant") == 0) {
            sim_mutant = mutant_of(value);
        } else {
            fprintf(stderr, "unknown option: %s (see tests/sim/README.md)\n", name);
            exit(2);
        }
    }
    if (options.shards < 1 || options.shards > SIM_SHARDS_MAX) {
        fprintf(stderr, "--shards: 1 to %d\n", SIM_SHARDS_MAX);
        exit(2);
    }
}

/* Returns the exit code of the seed's process. */
static int fork_seed(uint64_t seed)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        alarm(SECONDS_PER_SEED);
        int code = run_seed(seed);
        fflush(stdout);
        _exit(code);
    }
    int status;
    if (waitpid(child, &status, 0) != child) {
        perror("waitpid");
        exit(2);
    }
    if (WIFSIGNALED(status)) {
        printf("seed %llu, %u shards: ended by signal %d (%s)\n", (unsigned long long)seed,
               options.shards, WTERMSIG(status), strsignal(WTERMSIG(status)));
        return EXIT_FOUND;
    }
    return WEXITSTATUS(status);
}

/* The server does not end: what it has is no leak. */
static void __attribute__((noreturn)) leave(int code)
{
    fflush(stdout);
    _exit(code);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    start_server();
    if (options.one) {
        leave(run_seed(options.first));
    }
    time_t end = time(NULL) + (time_t)options.seconds;
    uint64_t done = 0, undecided = 0;
    int code = 0;
    while (done < options.seeds && code == 0 && (options.seconds == 0 || time(NULL) < end)) {
        code = fork_seed(options.first + done);
        if (code == EXIT_UNDECIDED) {
            undecided++;
            code = 0;
        }
        done++;
    }
    printf("%u shards%s%s: %llu seeds from %llu, %llu undecided%s\n", options.shards,
           sim_mutant ? ", mutant " : "", sim_mutant ? mutants[sim_mutant] : "",
           (unsigned long long)done, (unsigned long long)options.first,
           (unsigned long long)undecided, code != 0 ? ", the last one FAILED" : "");
    leave(code);
}
