/* config_special.c - directives whose values are more than one word or number. Each function checks
 * all of its arguments before it changes a field, and returns the text that CONFIG GET shows. */
#include "core/keyspace.h"
#include "core/num.h"
#include "shards/config_table.h"
#include "shards/order.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OOM_LIMIT = 2000, PORT_MAX = 65535, CLASS_WORDS = 4 };

static char *refuse(char err[CONFIG_ERR_BYTES], const char *why)
{
    snprintf(err, CONFIG_ERR_BYTES, "%s", why);
    return NULL;
}

static bool parse_long(const char *text, long long *out)
{
    char *end;
    *out = strtoll(text, &end, 10);
    return *end == '\0';
}

static char *join(int argc, char **argv)
{
    struct config_text t = {0};
    for (int i = 0; i < argc; i++) {
        config__append_str(&t, i > 0 ? " " : "");
        config__append_str(&t, argv[i]);
    }
    return config__take(&t);
}

static bool is_empty(int argc, char **argv)
{
    return argc == 0 || (argc == 1 && argv[0][0] == '\0');
}

/* "auto", or how many. */
static char *auto_or_count(int *field, char **argv, char err[CONFIG_ERR_BYTES])
{
    int64_t n = 0;
    if (strcasecmp(argv[0], "auto") != 0 &&
        (!num_parse_int(argv[0], strlen(argv[0]), &n) || n < 1 || n > ORDER_SHARDS_MAX)) {
        snprintf(err, CONFIG_ERR_BYTES, "argument must be 'auto' or between 1 and %d inclusive",
                 ORDER_SHARDS_MAX);
        return NULL;
    }
    *field = (int)n;
    struct config_text t = {0};
    if (n == 0) {
        return config__strdup("auto");
    }
    config__appendf(&t, "%d", (int)n);
    return config__take(&t);
}

char *config__shards(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    return auto_or_count(&c->shards, argv, err);
}

char *config__shard_threads(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    return auto_or_count(&c->shard_threads, argv, err);
}

char *config__bind(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    if (argc > CONFIG_BINDS_MAX) {
        return refuse(err, "Too many bind addresses specified.");
    }
    if (is_empty(argc, argv)) {
        argc = 0;
    }
    for (int i = 0; i < c->bind_count; i++) {
        free(c->bind[i]);
    }
    for (int i = 0; i < argc; i++) {
        c->bind[i] = config__strdup(argv[i]);
    }
    c->bind_count = argc;
    return join(argc, argv);
}

/* While the configuration is being loaded the process goes there at once, since later directives
 * may be relative to it. CONFIG SET only looks whether it could; it goes when all else is fine. */
char *config__dir(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    if (c->dir == NULL) { /* the default: wherever the process was started */
        char *here = realpath(".", NULL);
        return here != NULL ? here : config__strdup(".");
    }
    char *path = realpath(argv[0], NULL);
    if (path == NULL || access(path, X_OK) != 0 || (c->loading_ && chdir(path) != 0)) {
        const int why = errno;
        free(path);
        return refuse(err, strerror(why));
    }
    return path;
}

/* In the file, the first line replaces the default and further lines add to it. */
char *config__save(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    if (is_empty(argc, argv)) {
        argc = 0;
    }
    bool ok = argc % 2 == 0;
    struct config_text t = {0};
    const int row = config_find(slice_str("save"));
    const bool adds = c->loading_ && c->save_loaded_ && argc > 0;
    if (adds) {
        config__append_str(&t, c->text[row]);
    }
    for (int i = 0; ok && i < argc; i++) {
        long long v;
        ok = parse_long(argv[i], &v) && v >= (i % 2 == 0 ? 1 : 0);
        config__appendf(&t, "%s%lld", t.len > 0 ? " " : "", v);
    }
    if (!ok) {
        free(t.data);
        return refuse(err, "Invalid save parameters");
    }
    c->save_loaded_ |= c->loading_;
    return config__take(&t);
}

static int class_by_name(const char *name)
{
    if (strcasecmp(name, "slave") == 0) {
        return CLIENT_REPLICA;
    }
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        if (strcasecmp(name, config__class_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static bool parse_bytes(const char *text, int64_t *out)
{
    *out = 0; /* an empty one is 0, as Redis reads it */
    return text[0] == '\0' ||
           (text[0] != '-' && num_parse_memory(text, strlen(text), out));
}

char *config__output_limits(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    struct output_limit limits[CLIENT_CLASSES];
    memcpy(limits, c->output_limit, sizeof(limits));

    if (argc % CLASS_WORDS != 0) {
        return refuse(err, "Wrong number of arguments in buffer limit configuration.");
    }
    for (int i = 0; i < argc; i += CLASS_WORDS) {
        const int class = class_by_name(argv[i]);
        if (class < 0) {
            return refuse(err, "Invalid client class specified in buffer limit configuration.");
        }
        struct output_limit *l = &limits[class];
        long long seconds;
        if (!parse_bytes(argv[i + 1], &l->hard_bytes) ||
            !parse_bytes(argv[i + 2], &l->soft_bytes) || !parse_long(argv[i + 3], &seconds) ||
            seconds < 0 || seconds > INT_MAX) {
            return refuse(err, "Error in hard, soft or soft_seconds setting in buffer limit "
                               "configuration.");
        }
        l->soft_seconds = seconds;
    }
    memcpy(c->output_limit, limits, sizeof(limits));

    struct config_text t = {0};
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        config__appendf(&t, "%s%s %lld %lld %lld", i > 0 ? " " : "",
                        i == CLIENT_REPLICA ? "slave" : config__class_names[i],
                        (long long)limits[i].hard_bytes, (long long)limits[i].soft_bytes,
                        (long long)limits[i].soft_seconds);
    }
    return config__take(&t);
}

char *config__oom_values(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    if (argc != OOM_SCORE_CLASSES) {
        return refuse(err, "wrong number of arguments");
    }
    struct config_text t = {0};
    long long values[OOM_SCORE_CLASSES];
    for (int i = 0; i < argc; i++) {
        long long v;
        if (!parse_long(argv[i], &v) || v < -OOM_LIMIT || v > OOM_LIMIT) {
            free(t.data);
            return refuse(err, "Invalid oom-score-adj-values, elements must be between -2000 and "
                               "2000.");
        }
        config__appendf(&t, "%s%lld", i > 0 ? " " : "", v);
        values[i] = v;
    }
    for (int i = 0; i < argc; i++) {
        c->oom_score_values[i] = (int)values[i];
    }
    return config__take(&t);
}

/* Letters of notify-keyspace-events in the order in which they are printed; 'A' stands for the
 * first ones. */
static const struct {
    char letter;
    int bit;
} event_letters[] = {
    {'g', EVENT_GENERIC}, {'$', EVENT_STRING},  {'l', EVENT_LIST},     {'s', EVENT_SET},
    {'h', EVENT_HASH},    {'z', EVENT_ZSET},    {'x', EVENT_EXPIRED},  {'e', EVENT_EVICTED},
    {'t', EVENT_STREAM},  {'d', EVENT_MODULE},  {'n', EVENT_NEW},      {'K', EVENT_KEYSPACE},
    {'E', EVENT_KEYEVENT}, {'m', EVENT_KEY_MISS}};
enum {
    EVENT_LETTERS = sizeof(event_letters) / sizeof(event_letters[0]),
    EVENTS_ALL = EVENT_GENERIC | EVENT_STRING | EVENT_LIST | EVENT_SET | EVENT_HASH | EVENT_ZSET |
                 EVENT_EXPIRED | EVENT_EVICTED | EVENT_STREAM | EVENT_MODULE,
};

char *config__notify_events(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    int mask = 0;
    for (const char *p = argv[0]; *p != '\0'; p++) {
        int bits = *p == 'A' ? EVENTS_ALL : 0;
        for (int i = 0; i < EVENT_LETTERS; i++) {
            bits |= event_letters[i].letter == *p ? event_letters[i].bit : 0;
        }
        if (bits == 0) {
            return refuse(err, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        }
        mask |= bits;
    }
    c->core.notify_keyspace_events = mask;

    struct config_text t = {0};
    int rest = mask;
    if ((mask & EVENTS_ALL) == EVENTS_ALL) {
        config__append_str(&t, "A");
        rest &= ~EVENTS_ALL;
    }
    for (int i = 0; i < EVENT_LETTERS; i++) {
        if (rest & event_letters[i].bit) {
            config__append(&t, &event_letters[i].letter, 1);
        }
    }
    return config__take(&t);
}

char *config__replicaof(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    if (is_empty(argc, argv)) {
        return config__strdup("");
    }
    if (argc != 2) {
        return refuse(err, "wrong number of arguments");
    }
    if (strcasecmp(argv[0], "no") == 0 && strcasecmp(argv[1], "one") == 0) {
        return config__strdup("");
    }
    long long port;
    if (!parse_long(argv[1], &port) || port < 0 || port > PORT_MAX) {
        return refuse(err, "Invalid master port");
    }
    return join(argc, argv);
}

char *config__latency_percentiles(struct config *c, int argc, char **argv,
                                  char err[CONFIG_ERR_BYTES])
{
    double values[CONFIG_PERCENTILES_MAX];
    if (is_empty(argc, argv)) {
        argc = 0;
    }
    if (argc > CONFIG_PERCENTILES_MAX) {
        return refuse(err, "Too many latency-tracking-info-percentiles parameters");
    }
    for (int i = 0; i < argc; i++) {
        if (!num_parse_double(argv[i], strlen(argv[i]), &values[i])) {
            return refuse(err, "Invalid latency-tracking-info-percentiles parameters");
        }
        if (values[i] < 0.0 || values[i] > 100.0) {
            return refuse(err, "latency-tracking-info-percentiles parameters should sit between "
                               "[0.0,100.0]");
        }
    }
    struct config_text t = {0};
    for (int i = 0; i < argc; i++) {
        c->latency_tracking_percentiles[i] = values[i];
        config__appendf(&t, "%s%f", i > 0 ? " " : "", values[i]);
        while (t.data[t.len - 1] == '0') { /* 99.900000 -> 99.9, 50.000000 -> 50 */
            t.data[--t.len] = '\0';
        }
        if (t.data[t.len - 1] == '.') {
            t.data[--t.len] = '\0';
        }
    }
    c->latency_tracking_percentiles_count = argc;
    return config__take(&t);
}
