/* ab_workload.c - see ab_workload.h. */
#include "bench/ab_workload.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test of redis-benchmark. KEY, COUNTER … stand for its keys: with -r random ones, without always
 * the same. In a cluster the keys of one command share a hash tag. */
struct named_test {
    const char *name, *title;
    const char *text;
    bool in_default; /* without -t */
    const char *also; /* another name that selects it */
};

static const char list_filler[] = "LPUSH (needed to benchmark LRANGE)";

#define KEY10 "KEYTAG DATA KEYTAG DATA KEYTAG DATA KEYTAG DATA KEYTAG DATA " \
              "KEYTAG DATA KEYTAG DATA KEYTAG DATA KEYTAG DATA KEYTAG DATA"

static const struct named_test tests[] = {
    {"ping_inline", "PING_INLINE", NULL, true, "ping"},
    {"ping_mbulk", "PING_MBULK", "PING", true, "ping"},
    {"set", "SET", "SET KEY DATA EXPIRY", true, NULL},
    {"get", "GET", "GET KEY", true, NULL},
    {"incr", "INCR", "INCR counter:__rand_int__", true, NULL},
    {"lpush", "LPUSH", "LPUSH mylist DATA", true, NULL},
    {"rpush", "RPUSH", "RPUSH mylist DATA", true, NULL},
    {"lpop", "LPOP", "LPOP mylist", true, NULL},
    {"rpop", "RPOP", "RPOP mylist", true, NULL},
    {"sadd", "SADD", "SADD myset element:__rand_int__", true, NULL},
    {"hset", "HSET", "HSET myhash element:__rand_int__ DATA", true, NULL},
    {"spop", "SPOP", "SPOP myset", true, NULL},
    {"zadd", "ZADD", "ZADD myzset SCORE element:__rand_int__", true, NULL},
    {"zpopmin", "ZPOPMIN", "ZPOPMIN myzset", true, NULL},
    {"lrange fill", list_filler, "LPUSH mylist DATA", true, "lrange_"},
    {"lrange_100", "LRANGE_100 (first 100 elements)", "LRANGE mylist 0 99", true, "lrange"},
    {"lrange_300", "LRANGE_300 (first 300 elements)", "LRANGE mylist 0 299", true, "lrange"},
    {"lrange_500", "LRANGE_500 (first 500 elements)", "LRANGE mylist 0 499", true, "lrange"},
    {"lrange_600", "LRANGE_600 (first 600 elements)", "LRANGE mylist 0 599", true, "lrange"},
    {"mset", "MSET (10 keys)", "MSET " KEY10, true, NULL},
    {"mget", "MGET (10 keys)", "MGET KEYTAG KEYTAG KEYTAG KEYTAG KEYTAG KEYTAG KEYTAG KEYTAG KEYTAG "
                               "KEYTAG", false, NULL},
    {"xadd", "XADD", "XADD mystream * myfield DATA", false, NULL},
    {"del", "DEL", "DEL KEY", false, NULL},
    {"exists", "EXISTS", "EXISTS KEY", false, NULL},
};

enum { TEST_COUNT = sizeof tests / sizeof *tests };

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

static struct ab_template *phase_add(struct ab_phase *p, double weight)
{
    p->templates = need(realloc(p->templates, sizeof *p->templates * (size_t)(p->count + 1)));
    p->weights = need(realloc(p->weights, sizeof *p->weights * (size_t)(p->count + 1)));
    p->weights[p->count] = weight;
    memset(&p->templates[p->count], 0, sizeof *p->templates);
    return &p->templates[p->count++];
}

static struct ab_phase *add_phase(struct ab_workload *w, const char *name)
{
    w->phases = need(realloc(w->phases, sizeof *w->phases * (size_t)(w->phase_count + 1)));
    struct ab_phase *p = &w->phases[w->phase_count++];
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", name);
    return p;
}

/* ---- named tests ----------------------------------------------------------------------------- */

/* The words of a test's text that depend on the options. always: keys are random even without -r
 * (mixes). "" leaves the word out. */
static const char *word_for(const char *word, const struct ab_options *o, bool always)
{
    bool random = o->keyspace_given || always;
    if (strcmp(word, "KEY") == 0) {
        return random ? "__key__" : "key:__rand_int__";
    }
    if (strcmp(word, "KEYTAG") == 0) {
        return o->cluster ? random ? "{__tag__}__key__" : "{__tag__}key:__rand_int__"
               : random   ? "__key__" : "key:__rand_int__";
    }
    if (strcmp(word, "DATA") == 0) {
        return "__data__";
    }
    if (strcmp(word, "SCORE") == 0) {
        return random ? "__rand_int__" : "0";
    }
    return word;
}

static bool compile_text(struct ab_template *t, const char *name, const char *text,
                         const struct ab_space *space, char err[400])
{
    char **args, why[256];
    size_t *lens;
    int argc = ab_args_split(text, &args, &lens);
    if (argc < 1) {
        snprintf(err, 400, "command '%s': %s", text, argc < 0 ? "unbalanced quotes" : "is empty");
        ab_args_free(argc < 0 ? 0 : argc, argc < 0 ? NULL : args, argc < 0 ? NULL : lens);
        return false;
    }
    bool ok = ab_template_compile(t, name ? name : args[0], argc, args, lens, space, why);
    if (!ok) {
        snprintf(err, 400, "command '%s': %s", text, why);
    }
    ab_args_free(argc, args, lens);
    return ok;
}

static bool compile_test(struct ab_template *t, const struct named_test *test,
                         const struct ab_options *o, const struct ab_space *space, bool always,
                         char err[400])
{
    char text[1024], words[1024];
    size_t at = 0;

    if (!test->text) {
        ab_template_raw(t, test->title, "PING\r\n", 6);
        return true;
    }
    snprintf(words, sizeof words, "%s", test->text);
    for (char *save, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        const char *put = strcmp(word, "EXPIRY") != 0 ? word_for(word, o, always)
                          : o->expire_low_s > 0       ? "EX __expire__" : "";
        at += (size_t)snprintf(text + at, sizeof text - at, "%s ", put);
    }
    return compile_text(t, test->title, text, space, err);
}

/* Whether one of the names in a list "get,set" selects a test. The filler of lists comes with every
 * lrange test. */
static bool selected(const char *list, const struct named_test *test)
{
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
        size_t n = strcspn(p, ",");
        if ((strlen(test->name) == n && strncasecmp(p, test->name, n) == 0) ||
            (test->also && strlen(test->also) == n && strncasecmp(p, test->also, n) == 0) ||
            (test->title == list_filler && n >= 6 && strncasecmp(p, "lrange", 6) == 0)) {
            return true;
        }
    }
    return false;
}

static bool all_known(const char *list, char err[400])
{
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
        size_t n = strcspn(p, ",");
        bool known = n == 0;
        for (int i = 0; i < TEST_COUNT && !known; i++) {
            known = tests[i].title != list_filler &&
                    ((strlen(tests[i].name) == n && strncasecmp(p, tests[i].name, n) == 0) ||
                     (tests[i].also && strlen(tests[i].also) == n && strncasecmp(p, tests[i].also, n) == 0));
        }
        if (!known) {
            snprintf(err, 400, "-t: unknown test '%.*s'", (int)n, p);
            return false;
        }
    }
    return true;
}

static bool add_tests(struct ab_workload *w, const struct ab_options *o, char err[400])
{
    if (o->tests && !all_known(o->tests, err)) {
        return false;
    }
    for (int i = 0; i < TEST_COUNT; i++) {
        if (o->tests ? selected(o->tests, &tests[i]) : tests[i].in_default) {
            struct ab_phase *p = add_phase(w, tests[i].title);
            if (!compile_test(phase_add(p, 1), &tests[i], o, &w->space, false, err)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- mixes ----------------------------------------------------------------------------------- */

/* "get=9,set=1" */
static bool add_mix(struct ab_workload *w, struct ab_phase *p, const struct ab_options *o, char err[400])
{
    for (const char *s = o->mix; *s; s += *s == ',') {
        size_t n = strcspn(s, "=,"), whole = strcspn(s, ",");
        double ratio = 1;
        char *end = (char *)s + n;
        const struct named_test *test = NULL;
        if (s[n] == '=') {
            ratio = strtod(s + n + 1, &end);
        }
        for (int i = 0; i < TEST_COUNT; i++) {
            if (strlen(tests[i].name) == n && strncasecmp(tests[i].name, s, n) == 0) {
                test = &tests[i];
            }
        }
        if (!test || end != s + whole || !(ratio > 0)) {
            snprintf(err, 400, "--mix: '%.*s' is not <test>=<ratio>", (int)whole, s);
            return false;
        }
        if (p->count == AB_COMMANDS_MAX) {
            snprintf(err, 400, "at most %d commands", AB_COMMANDS_MAX);
            return false;
        }
        if (!compile_test(phase_add(p, ratio), test, o, &w->space, true, err)) {
            return false;
        }
        s += whole;
    }
    return true;
}

/* A file: one template per line, "@<ratio> " in front if it is not 1; # begins a comment line. */
static bool add_file(struct ab_workload *w, struct ab_phase *p, const char *path, char err[400])
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    bool ok = f;

    if (!f) {
        snprintf(err, 400, "--commands: cannot read %s", path);
    }
    while (ok && getline(&line, &cap, f) > 0) {
        char *s = line;
        double ratio = 1;
        while (isspace((unsigned char)*s)) {
            s++;
        }
        if (*s == '#' || !*s) {
            continue;
        }
        if (*s == '@') {
            char *end;
            ratio = strtod(s + 1, &end);
            ok = end != s + 1 && ratio > 0 && isspace((unsigned char)*end);
            s = end;
        }
        if (!ok || p->count == AB_COMMANDS_MAX) {
            snprintf(err, 400, ok ? "--commands: more than %d commands" : "--commands: @<ratio> must be > 0",
                     AB_COMMANDS_MAX);
            ok = false;
            break;
        }
        s[strcspn(s, "\r\n")] = 0;
        ok = compile_text(phase_add(p, ratio), NULL, s, &w->space, err);
    }
    free(line);
    if (f && f != stdin) {
        fclose(f);
    }
    return ok;
}

static void name_mix(struct ab_phase *p)
{
    size_t at = 0;
    p->name[0] = 0;
    for (int i = 0; i < p->count && at < sizeof p->name - 1; i++) {
        int n = p->count == 1 ? snprintf(p->name, sizeof p->name, "%s", p->templates[i].name)
                              : snprintf(p->name + at, sizeof p->name - at, "%s%s=%g", i ? "," : "",
                                         p->templates[i].name, p->weights[i]);
        at += (size_t)n;
    }
}

/* ---- a command on the command line ----------------------------------------------------------- */

static char *read_stdin(size_t *len)
{
    size_t cap = 65536;
    char *buf = need(malloc(cap));
    *len = 0;
    for (size_t n; (n = fread(buf + *len, 1, cap - *len, stdin)) > 0;) {
        *len += n;
        if (*len == cap) {
            buf = need(realloc(buf, cap *= 2));
        }
    }
    return buf;
}

static bool add_argv(struct ab_workload *w, const struct ab_options *o, char err[400])
{
    int argc = o->argc + (o->last_arg_stdin ? 1 : 0);
    char **args = need(calloc((size_t)argc, sizeof *args)), *last = NULL, why[256];
    size_t *lens = need(calloc((size_t)argc, sizeof *lens)), at = 0;
    struct ab_phase *p = add_phase(w, "");

    for (int i = 0; i < o->argc; i++) {
        args[i] = o->argv[i];
        lens[i] = strlen(args[i]);
        if (at < sizeof p->name) {
            at += (size_t)snprintf(p->name + at, sizeof p->name - at, "%s%s", i ? " " : "", args[i]);
        }
    }
    if (o->last_arg_stdin) {
        args[o->argc] = last = read_stdin(&lens[o->argc]);
    }
    bool ok = ab_template_compile(phase_add(p, 1), p->name, argc, args, lens, &w->space, why);
    if (!ok) {
        snprintf(err, 400, "%s", why);
    }
    free(last);
    free(args);
    free(lens);
    return ok;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool make_space(struct ab_space *space, const struct ab_options *o, char err[400])
{
    char format[300];

    memset(space, 0, sizeof *space);
    snprintf(format, sizeof format, o->key_format ? "%s" : "%s%%012d",
             o->key_format ? o->key_format : o->key_prefix ? o->key_prefix : "key:");
    if (!ab_space_key_format(space, format)) {
        snprintf(err, 400, "--key-format '%s': a text with one %%d or %%0<n>d is wanted", format);
        return false;
    }
    space->keys = o->dist;
    ab_dist_prepare(&space->keys, (uint64_t)(o->keyspace > 0 ? o->keyspace : 1));
    space->key_sized = o->key_sized;
    space->key_size = o->key_size;
    space->data = o->data;
    if (o->verify && !o->data_given) {
        ab_size_fix(&space->data, 32); /* 3 bytes would tell little */
    }
    space->rand_count = o->keyspace_given ? (uint64_t)o->keyspace : 0;
    space->expire_low_s = o->expire_low_s ? o->expire_low_s : 1;
    space->expire_high_s = o->expire_high_s ? o->expire_high_s : 1;
    space->verify = o->verify;
    space->sequence_step = 1;
    return true;
}

/* How many sequence numbers a request uses at most: sequential keys must not repeat. */
static uint64_t sequence_step(const struct ab_workload *w)
{
    uint64_t most = 1;
    for (int p = 0; p < w->phase_count; p++) {
        for (int i = 0; i < w->phases[p].count; i++) {
            uint64_t n = ab_template_sequences(&w->phases[p].templates[i]);
            most = n > most ? n : most;
        }
    }
    return most;
}

static bool add_load(struct ab_workload *w, const struct ab_options *o, char err[400])
{
    const char *set = o->expire_low_s ? "SET __key__ __data__ EX __expire__" : "SET __key__ __data__";
    if (o->load == 0) {
        return true;
    }
    w->load_space = w->space;
    w->load_space.keys = (struct ab_dist){.kind = AB_SEQUENTIAL};
    ab_dist_prepare(&w->load_space.keys, (uint64_t)o->load);
    snprintf(w->load.name, sizeof w->load.name, "load");
    return compile_text(phase_add(&w->load, 1), NULL, o->load_command ? o->load_command : set,
                        &w->load_space, err);
}

bool ab_workload_make(struct ab_workload *w, const struct ab_options *o, char err[400])
{
    memset(w, 0, sizeof *w);
    if (!make_space(&w->space, o, err) || !add_load(w, o, err)) {
        return false;
    }
    bool mixed = o->mix || o->command_count > 0 || o->commands_file;
    if ((o->argc > 0) + mixed + (o->tests != NULL) > 1) {
        snprintf(err, 400, "only one of: -t, a mix (--mix, --command, --commands), a command");
        return false;
    }
    if (o->replay || o->idle) {
        return true;
    }
    if (o->argc > 0) {
        if (!add_argv(w, o, err)) {
            return false;
        }
    } else if (mixed) {
        struct ab_phase *p = add_phase(w, "");
        if ((o->mix && !add_mix(w, p, o, err)) ||
            (o->commands_file && !add_file(w, p, o->commands_file, err))) {
            return false;
        }
        for (int i = 0; i < o->command_count; i++) {
            if (!compile_text(phase_add(p, o->commands[i].ratio), NULL, o->commands[i].text, &w->space,
                              err)) {
                return false;
            }
        }
        if (p->count == 0) {
            snprintf(err, 400, "--commands: %s has no commands", o->commands_file);
            return false;
        }
        name_mix(p);
    } else if (o->load == 0 || o->tests) {
        if (!add_tests(w, o, err)) {
            return false;
        }
    }
    w->space.sequence_step = sequence_step(w);
    return true;
}

static void phase_free(struct ab_phase *p)
{
    for (int i = 0; i < p->count; i++) {
        ab_template_free(&p->templates[i]);
    }
    free(p->templates);
    free(p->weights);
}

void ab_workload_free(struct ab_workload *w)
{
    for (int i = 0; i < w->phase_count; i++) {
        phase_free(&w->phases[i]);
    }
    free(w->phases);
    phase_free(&w->load);
    memset(w, 0, sizeof *w);
}
