/* ab_options.c - see ab_options.h. */
#include "bench/ab_options.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool (*take_fn)(struct ab_options *o, const char *value);

enum option_kind {
    FLAG,     /* a bool becomes true */
    TEXT,     /* const char * */
    INTEGER,  /* int64_t from low to high */
    NUMBER,   /* double >= 0 */
    TIME,     /* uint64_t ns: "10", "1.5s", "200ms", "50us", "2m" */
    CUSTOM,   /* take(value) */
};

struct option {
    const char *name, *alias;
    enum option_kind kind;
    size_t offset;
    int64_t low, high;
    take_fn take;
    const char *what; /* the value that is wanted, for messages */
};

/* ---- values ---------------------------------------------------------------------------------- */

static bool read_integer(const char *s, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)s[0]) && s[0] != '-') {
        return false;
    }
    long long v = strtoll(s, &end, 10);
    if (*end == 'k' && end[1] == 0) {
        v *= 1000;
        end++;
    } else if (*end == 'm' && end[1] == 0) {
        v *= 1000000;
        end++;
    }
    *out = v;
    return *end == 0;
}

static bool read_number(const char *s, double *out)
{
    char *end;
    *out = strtod(s, &end);
    if (end == s || !isfinite(*out) || *out < 0) {
        return false;
    }
    if (*end == 'k' && end[1] == 0) {
        *out *= 1000;
        end++;
    } else if (*end == 'm' && end[1] == 0) {
        *out *= 1000000;
        end++;
    }
    return *end == 0;
}

static bool read_time(const char *s, uint64_t *out_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}, {"h", 3600e9}};
    char *end;
    double v = strtod(s, &end);
    if (end == s || !isfinite(v) || v < 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) == 0 && v * units[i].ns < 1e18) {
            *out_ns = (uint64_t)(v * units[i].ns + 0.5);
            return true;
        }
    }
    return false;
}

/* ---- options of their own -------------------------------------------------------------------- */

static bool take_port(struct ab_options *o, const char *v)
{
    int64_t port;
    if (!read_integer(v, &port) || port < 1 || port > 65535) {
        return false;
    }
    o->target.port = (uint16_t)port;
    return true;
}

static bool take_db(struct ab_options *o, const char *v)
{
    int64_t db;
    if (!read_integer(v, &db) || db < 0 || db > INT32_MAX) {
        return false;
    }
    o->target.db = (int)db;
    return true;
}

static bool take_keep_alive(struct ab_options *o, const char *v)
{
    o->keep_alive = strcmp(v, "0") != 0;
    return strcmp(v, "0") == 0 || strcmp(v, "1") == 0;
}

/* redis-benchmark's -d: 1 byte at least; ours also takes ranges and lists. */
static bool take_data(struct ab_options *o, const char *v)
{
    o->data_given = true;
    return ab_size_parse(&o->data, v);
}

static bool take_key_size(struct ab_options *o, const char *v)
{
    o->key_sized = true;
    return ab_size_parse(&o->key_size, v);
}

static bool take_keyspace(struct ab_options *o, const char *v)
{
    o->keyspace_given = true;
    return read_integer(v, &o->keyspace) && o->keyspace >= 0;
}

static bool take_requests(struct ab_options *o, const char *v)
{
    o->requests_given = true;
    return read_integer(v, &o->requests) && o->requests > 0;
}

static bool take_dist(struct ab_options *o, const char *v)
{
    return ab_dist_parse(&o->dist, v);
}

static bool take_command(struct ab_options *o, const char *v)
{
    if (o->command_count == AB_OPTION_COMMANDS_MAX) {
        return false;
    }
    o->commands[o->command_count++] = (struct ab_option_command){v, 1};
    return true;
}

static bool take_ratio(struct ab_options *o, const char *v)
{
    double ratio;
    if (o->command_count == 0 || !read_number(v, &ratio) || ratio <= 0) {
        return false;
    }
    o->commands[o->command_count - 1].ratio = ratio;
    return true;
}

static bool take_order(struct ab_options *o, const char *v)
{
    o->in_order = strcmp(v, "sequence") == 0;
    return o->in_order || strcmp(v, "random") == 0;
}

static bool take_arrival(struct ab_options *o, const char *v)
{
    o->arrival = strcmp(v, "poisson") == 0 ? AB_ARRIVAL_POISSON : AB_ARRIVAL_EVEN;
    return strcmp(v, "poisson") == 0 || strcmp(v, "even") == 0;
}

static bool take_rate(struct ab_options *o, const char *v)
{
    return read_number(v, &o->rate) && o->rate > 0;
}

static bool take_replay_speed(struct ab_options *o, const char *v)
{
    if (strcmp(v, "max") == 0) {
        o->replay_speed = 0;
        return true;
    }
    return read_number(v, &o->replay_speed) && o->replay_speed > 0;
}

static bool take_expiry(struct ab_options *o, const char *v)
{
    char *end;
    if (!isdigit((unsigned char)*v)) {
        return false;
    }
    o->expire_low_s = o->expire_high_s = strtoull(v, &end, 10);
    if (*end == '-' && isdigit((unsigned char)end[1])) {
        o->expire_high_s = strtoull(end + 1, &end, 10);
    }
    return *end == 0 && o->expire_low_s >= 1 && o->expire_high_s >= o->expire_low_s;
}

static bool take_seed(struct ab_options *o, const char *v)
{
    char *end;
    o->seed = strtoull(v, &end, 0);
    return isdigit((unsigned char)*v) && *end == 0;
}

/* "0,2,4-7" */
static bool take_cpus(struct ab_options *o, const char *v)
{
    o->cpu_count = 0;
    for (;;) {
        char *end;
        if (!isdigit((unsigned char)*v)) {
            return false;
        }
        unsigned long first = strtoul(v, &end, 10), last = first;
        if (*end == '-') {
            v = end + 1;
            last = strtoul(v, &end, 10);
        }
        if (end == v || first > last || last >= AB_OPTION_CPUS_MAX) {
            return false;
        }
        for (unsigned long c = first; c <= last && o->cpu_count < AB_OPTION_CPUS_MAX; c++) {
            o->cpus[o->cpu_count++] = (int)c;
        }
        if (*end == 0) {
            return true;
        }
        if (*end != ',') {
            return false;
        }
        v = end + 1;
    }
}

/* p99<1ms, p99.9<500us, mean<2ms, max<50ms */
static bool take_sweep(struct ab_options *o, const char *v)
{
    const char *less = strchr(v, '<');
    char *end;

    o->sweep = v;
    if (!less || !read_time(less + 1, &o->sweep_bound_ns) || o->sweep_bound_ns == 0 ||
        isdigit((unsigned char)v[strlen(v) - 1])) { /* a bound needs its unit */
        return false;
    }
    if (strncmp(v, "mean<", 5) == 0) {
        o->sweep_on = AB_SWEEP_MEAN;
        return true;
    }
    if (strncmp(v, "max<", 4) == 0) {
        o->sweep_on = AB_SWEEP_MAX;
        return true;
    }
    o->sweep_on = AB_SWEEP_PERCENTILE;
    o->sweep_percentile = *v == 'p' ? strtod(v + 1, &end) : 0;
    return *v == 'p' && end == less && o->sweep_percentile > 0 && o->sweep_percentile < 100;
}

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static void percent_decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (*s == '%' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
            *to++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
}

/* redis://[[user]:password@]host[:port][/db] */
static bool take_uri(struct ab_options *o, const char *v)
{
    if (strncmp(v, "redis://", 8) != 0) {
        return false;
    }
    free(o->uri_copy);
    char *s = o->uri_copy = strdup(v + 8);
    char *at = strrchr(s, '@');
    if (at) {
        *at = 0;
        char *colon = strchr(s, ':');
        if (colon) {
            *colon = 0;
            percent_decode(colon + 1);
            o->target.password = colon + 1;
            percent_decode(s);
            o->target.user = *s ? s : NULL;
        }
        s = at + 1;
    }
    char *slash = strchr(s, '/');
    if (slash) {
        *slash = 0;
        if (slash[1] && !take_db(o, slash + 1)) {
            return false;
        }
    }
    char *colon = strrchr(s, ':');
    if (colon) {
        *colon = 0;
        if (!take_port(o, colon + 1)) {
            return false;
        }
    }
    if (*s) {
        percent_decode(s);
        o->target.host = s;
    }
    return true;
}

static bool take_threads(struct ab_options *o, const char *v)
{
    return read_integer(v, &o->threads) && o->threads >= 1 && o->threads <= AB_THREADS_MAX;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define AT(field) offsetof(struct ab_options, field)

static const struct option options[] = {
    {"-h", "--host", TEXT, AT(target.host), 0, 0, NULL, "a host"},
    {"-p", "--port", CUSTOM, 0, 0, 0, take_port, "a port from 1 to 65535"},
    {"-s", "--socket", TEXT, AT(target.unix_path), 0, 0, NULL, "the path of a unix socket"},
    {"-a", "--pass", TEXT, AT(target.password), 0, 0, NULL, "a password"},
    {"--user", NULL, TEXT, AT(target.user), 0, 0, NULL, "a user's name"},
    {"-u", "--uri", CUSTOM, 0, 0, 0, take_uri, "redis://[[user]:password@]host[:port][/db]"},
    {"-c", "--clients", INTEGER, AT(clients), 1, 1000000, NULL, "a number of clients"},
    {"-n", "--requests", CUSTOM, 0, 0, 0, take_requests, "a number of requests"},
    {"-P", "--pipeline", INTEGER, AT(pipeline), 1, 1 << 20, NULL, "a number of requests"},
    {"-d", "--data-size", CUSTOM, 0, 0, 0, take_data, "a size: 32, 16-1024 or 16:9,1024:1"},
    {"-r", "--keys", CUSTOM, 0, 0, 0, take_keyspace, "a number of keys"},
    {"-k", "--keep-alive", CUSTOM, 0, 0, 0, take_keep_alive, "0 or 1"},
    {"-t", "--tests", TEXT, AT(tests), 0, 0, NULL, "names of tests"},
    {"-q", "--quiet", FLAG, AT(quiet), 0, 0, NULL, NULL},
    {"--csv", NULL, FLAG, AT(csv), 0, 0, NULL, NULL},
    {"-l", "--loop", FLAG, AT(loop_forever), 0, 0, NULL, NULL},
    {"-I", "--idle", FLAG, AT(idle), 0, 0, NULL, NULL},
    {"-x", NULL, FLAG, AT(last_arg_stdin), 0, 0, NULL, NULL},
    {"-e", NULL, FLAG, AT(errors_option), 0, 0, NULL, NULL},
    {"-3", "--resp3", FLAG, AT(target.resp3), 0, 0, NULL, NULL},
    {"--dbnum", "--db", CUSTOM, 0, 0, 0, take_db, "the number of a database"},
    {"--threads", NULL, CUSTOM, 0, 0, 0, take_threads, "a number from 1 to 500"},
    {"--cluster", NULL, FLAG, AT(cluster), 0, 0, NULL, NULL},
    {"--enable-tracking", NULL, FLAG, AT(target.tracking), 0, 0, NULL, NULL},
    {"--precision", NULL, INTEGER, AT(precision), 0, 3, NULL, "0 to 3 decimal places"},
    {"--seed", NULL, CUSTOM, 0, 0, 0, take_seed, "a number"},
    {"--help", NULL, FLAG, AT(show_help), 0, 0, NULL, NULL},
    {"--version", "-v", FLAG, AT(show_version), 0, 0, NULL, NULL},

    {"--mix", NULL, TEXT, AT(mix), 0, 0, NULL, "tests with ratios: get=9,set=1"},
    {"--command", NULL, CUSTOM, 0, 0, 0, take_command, "a command template"},
    {"--ratio", "--command-ratio", CUSTOM, 0, 0, 0, take_ratio, "a number > 0, after a --command"},
    {"--commands", NULL, TEXT, AT(commands_file), 0, 0, NULL, "a file of command templates"},
    {"--order", NULL, CUSTOM, 0, 0, 0, take_order, "random or sequence"},
    {"--replay", NULL, TEXT, AT(replay), 0, 0, NULL, "a file with the output of MONITOR"},
    {"--replay-speed", NULL, CUSTOM, 0, 0, 0, take_replay_speed, "a factor or max"},
    {"--load", NULL, INTEGER, AT(load), 0, INT64_MAX, NULL, "a number of keys"},
    {"--load-command", NULL, TEXT, AT(load_command), 0, 0, NULL, "a command template"},
    {"--dist", "--key-dist", CUSTOM, 0, 0, 0, take_dist,
     "uniform, zipf:<skew>, gauss[:<mean>,<deviation>], sequential or "
     "hot:<share of keys>,<share of requests>"},
    {"--key-prefix", NULL, TEXT, AT(key_prefix), 0, 0, NULL, "a prefix"},
    {"--key-format", NULL, TEXT, AT(key_format), 0, 0, NULL, "a text with one %d or %0<n>d"},
    {"--key-size", NULL, CUSTOM, 0, 0, 0, take_key_size, "a size: 32, 16-64 or 16:9,100:1"},
    {"--expiry", NULL, CUSTOM, 0, 0, 0, take_expiry, "seconds: 60 or 10-100"},
    {"--verify", NULL, FLAG, AT(verify), 0, 0, NULL, NULL},

    {"--rate", NULL, CUSTOM, 0, 0, 0, take_rate, "requests per second"},
    {"--arrival", NULL, CUSTOM, 0, 0, 0, take_arrival, "even or poisson"},
    {"--warmup", NULL, TIME, AT(warmup_ns), 0, 0, NULL, "a time: 5, 500ms"},
    {"--duration", "--test-time", TIME, AT(duration_ns), 0, 0, NULL, "a time: 30, 2m, 500ms"},
    {"--drain", NULL, TIME, AT(drain_ns), 0, 0, NULL, "a time: 5, 500ms"},
    {"--interval", NULL, TIME, AT(interval_ns), 0, 0, NULL, "a time: 1, 100ms"},
    {"--sweep", NULL, CUSTOM, 0, 0, 0, take_sweep,
     "a bound with its unit: p99<1ms, p99.9<500us, mean<1ms or max<50ms"},
    {"--sweep-time", NULL, TIME, AT(sweep_time_ns), 0, 0, NULL, "a time: 3, 500ms"},
    {"--sweep-from", NULL, NUMBER, AT(sweep_from), 0, 0, NULL, "requests per second"},
    {"--sweep-to", NULL, NUMBER, AT(sweep_to), 0, 0, NULL, "requests per second"},
    {"--sweep-steps", NULL, INTEGER, AT(sweep_steps), 2, 1000, NULL, "a number from 2 to 1000"},

    {"--cpus", NULL, CUSTOM, 0, 0, 0, take_cpus, "CPUs: 1 or 0,2-3"},
    {"--epoll", NULL, FLAG, AT(epoll), 0, 0, NULL, NULL},
    {"--json", NULL, TEXT, AT(json), 0, 0, NULL, "a file"},
    {"--csv-file", NULL, TEXT, AT(csv_file), 0, 0, NULL, "a file"},
    {"--svg", NULL, TEXT, AT(svg), 0, 0, NULL, "a prefix of file names"},
    {"--png", NULL, TEXT, AT(png), 0, 0, NULL, "a prefix of file names"},
    {"--title", NULL, TEXT, AT(title), 0, 0, NULL, "a text for the pictures"},
    {"--no-progress", NULL, FLAG, AT(no_progress), 0, 0, NULL, NULL},
};

static const char *const tls_options[] = {
    "--tls", "--sni", "--cacert", "--cacertdir", "--insecure", "--cert", "--key", "--tls-ciphers",
    "--tls-ciphersuites",
};

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(name, options[i].name) == 0 ||
            (options[i].alias && strcmp(name, options[i].alias) == 0)) {
            return &options[i];
        }
    }
    return NULL;
}

static bool apply(struct ab_options *o, const struct option *option, const char *value)
{
    void *field = (char *)o + option->offset;
    switch (option->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case TEXT:
        *(const char **)field = value;
        return true;
    case INTEGER:
        return read_integer(value, field) && *(int64_t *)field >= option->low &&
               *(int64_t *)field <= option->high;
    case NUMBER:
        return read_number(value, field);
    case TIME:
        return read_time(value, field);
    case CUSTOM:
        return option->take(o, value);
    }
    return false;
}

static void defaults(struct ab_options *o)
{
    memset(o, 0, sizeof *o);
    o->target.host = "127.0.0.1";
    o->target.port = 6379;
    o->clients = 50;
    o->pipeline = 1;
    o->threads = 1;
    o->requests = 100000;
    o->keyspace = 1000000;
    o->keep_alive = true;
    o->replay_speed = 1;
    o->seed = 12345;
    o->drain_ns = 5000000000u;
    o->sweep_time_ns = 2000000000u;
    o->sweep_steps = 10;
    ab_size_fix(&o->data, 3);
}

/* What options say together. */
static bool check(struct ab_options *o, char err[AB_OPTIONS_ERR_BYTES])
{
    const char *problem = NULL;

    if (o->load > 0 && !o->keyspace_given) {
        o->keyspace = o->load;
        o->keyspace_given = true;
    }
    if (o->verify) {
        o->keyspace_given = true;
    }
    if (o->key_format && o->key_prefix) {
        problem = "--key-format and --key-prefix: only one of them";
    } else if (o->target.user && !o->target.password) {
        problem = "--user needs -a";
    } else if (o->keyspace_given && o->keyspace == 0) {
        o->keyspace_given = false; /* redis-benchmark: -r 0 */
        o->keyspace = 1;
    }
    if (o->rate > 0 && !o->keep_alive) {
        problem = "--rate needs connections that stay (-k 1)";
    } else if (o->cluster && o->target.unix_path) {
        problem = "--cluster goes over TCP, not over a unix socket (-s)";
    } else if (o->cluster && o->target.db != 0) {
        problem = "a cluster has database 0 only (--dbnum)";
    } else if (o->sweep && (o->rate > 0 || o->replay)) {
        problem = "--sweep chooses the rates itself: not with --rate or --replay";
    } else if (o->replay && (o->rate > 0 || o->tests || o->mix || o->command_count || o->commands_file ||
                             o->argc > 0 || !o->keep_alive || o->duration_ns || o->warmup_ns)) {
        problem = "--replay sends what was recorded: not with -t, --mix, --command, --commands, "
                  "--rate, --warmup, --duration, -k 0 or a command";
    } else if (o->sweep && o->sweep_to > 0 && o->sweep_from >= o->sweep_to) {
        problem = "--sweep-from must be less than --sweep-to";
    } else if (o->target.password && strlen(o->target.password) > 1000) {
        problem = "-a: at most 1000 bytes";
    } else if (o->target.user && strlen(o->target.user) > 500) {
        problem = "--user: at most 500 bytes";
    }
    if (problem) {
        snprintf(err, AB_OPTIONS_ERR_BYTES, "%s", problem);
        return false;
    }
    o->clients = o->clients < o->threads ? o->threads : o->clients;
    if (!o->requests_given && o->duration_ns > 0) {
        o->requests = 0;
    }
    return true;
}

bool ab_options_parse(struct ab_options *o, int argc, char **argv, char err[AB_OPTIONS_ERR_BYTES])
{
    char name[64];

    defaults(o);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        if (word[0] != '-' || !word[1]) {
            o->argc = argc - i;
            o->argv = argv + i;
            break;
        }
        const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
        snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
        for (size_t t = 0; t < sizeof tls_options / sizeof *tls_options; t++) {
            if (strcmp(name, tls_options[t]) == 0) {
                snprintf(err, AB_OPTIONS_ERR_BYTES, "%s: TLS is not supported", name);
                return false;
            }
        }
        const struct option *option = find(name);
        if (!option) {
            snprintf(err, AB_OPTIONS_ERR_BYTES, "unknown option '%s' (--help lists them)", word);
            return false;
        }
        if (option->kind != FLAG) {
            value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
            if (!value) {
                snprintf(err, AB_OPTIONS_ERR_BYTES, "%s needs %s", name, option->what);
                return false;
            }
        } else if (equals) {
            snprintf(err, AB_OPTIONS_ERR_BYTES, "%s takes no value", name);
            return false;
        }
        if (!apply(o, option, value)) {
            snprintf(err, AB_OPTIONS_ERR_BYTES, "%s '%s': %s is wanted", name, value, option->what);
            return false;
        }
    }
    return check(o, err);
}

void ab_options_free(struct ab_options *o)
{
    free(o->uri_copy);
    o->uri_copy = NULL;
}
