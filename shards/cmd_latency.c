/* cmd_latency.c - LATENCY: events and histograms of all shards as one (latency.h).
 *
 * The events of a shard are copied on its thread (a broadcast part) and merged at home; histograms
 * are read directly, they are relaxed counters.
 *
 *   LATEST, HISTORY, GRAPH, DOCTOR ─► merge_events() ─► broadcast(copy_part) ─► report(c, merged)
 */
#include "core/mem.h"
#include "shards/clock.h"
#include "shards/cmd_server.h"
#include "shards/latency.h"
#include <limits.h>
#include <stdio.h>

enum {
    AGE_BYTES = 24, /* of "12d", whatever the clock says */
    GRAPH_COLUMNS = 80,
    GRAPH_ROWS = 4,
    GRAPH_LEVELS = 3, /* heights that one character shows */
    HISTOGRAM_REPORT_POWERS = 31, /* 1 µs, 2 µs, 4 µs … 2^30 µs */
};

struct merged_events {
    void (*report)(struct call *c, struct merged_events *m);
    struct latency_event *event; /* after the merge */
    uint32_t events;
    struct {
        struct latency_event *event;
        uint32_t count;
    } part[SHARDS_MAX];
};

static void copy_part(struct shard *shard, void *ctx)
{
    struct merged_events *m = ctx;
    const struct latency *l = shard->latency;
    if (l->events) {
        size_t bytes = l->events * sizeof *l->event;
        m->part[shard->id].event = mem_alloc(bytes);
        m->part[shard->id].count = l->events;
        memcpy(m->part[shard->id].event, l->event, bytes);
    }
}

static void merge_done(struct call *c, void *ctx)
{
    struct merged_events *m = ctx;
    uint32_t most = 0;
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        most += m->part[s].count;
    }
    m->event = mem_alloc((most + 1) * sizeof *m->event);
    for (unsigned s = 0; s < SHARDS_MAX; s++) {
        for (uint32_t i = 0; i < m->part[s].count; i++) {
            const struct latency_event *from = &m->part[s].event[i];
            struct latency_event *into =
                latency_event_find(m->event, m->events, slice_str(from->name));
            if (into) {
                latency_event_merge(into, from);
            } else {
                m->event[m->events++] = *from;
            }
        }
        mem_free(m->part[s].event);
    }
    m->report(c, m);
    mem_free(m->event);
    mem_free(m);
}

static void merge_events(struct call *c, void (*report)(struct call *c, struct merged_events *m))
{
    struct merged_events *m = mem_alloc_zero(sizeof *m);
    m->report = report;
    broadcast(c, copy_part, merge_done, m);
}

/* --- LATEST, HISTORY --- */

static void report_latest(struct call *c, struct merged_events *m)
{
    reply_array(c->out, m->events);
    for (uint32_t i = 0; i < m->events; i++) {
        struct latency_sample sample[LATENCY_SAMPLES];
        uint32_t n = latency_event_samples(&m->event[i], sample);
        reply_array(c->out, 4);
        reply_bulk_str(c->out, m->event[i].name);
        reply_int(c->out, sample[n - 1].unix_s);
        reply_int(c->out, sample[n - 1].ms);
        reply_int(c->out, m->event[i].max_ms);
    }
}

static void cmd_latency_latest(struct call *c)
{
    merge_events(c, report_latest);
}

static void report_history(struct call *c, struct merged_events *m)
{
    struct latency_sample sample[LATENCY_SAMPLES];
    const struct latency_event *e = latency_event_find(m->event, m->events, c->argv[2]);
    uint32_t n = e ? latency_event_samples(e, sample) : 0;
    reply_array(c->out, n);
    for (uint32_t i = 0; i < n; i++) {
        reply_array(c->out, 2);
        reply_int(c->out, sample[i].unix_s);
        reply_int(c->out, sample[i].ms);
    }
}

static void cmd_latency_history(struct call *c)
{
    merge_events(c, report_history);
}

/* --- RESET --- */

struct reset_events {
    uint32_t argc;       /* names; 0: all */
    struct slice *names; /* bytes behind them */
    struct merged_events *before;
};

static void reset_part(struct shard *shard, void *ctx)
{
    struct reset_events *reset = ctx;
    copy_part(shard, reset->before);
    if (reset->argc == 0) {
        latency_events_reset(shard->latency, slice_of(NULL, 0));
    }
    for (uint32_t i = 0; i < reset->argc; i++) {
        latency_events_reset(shard->latency, reset->names[i]);
    }
}

static void report_reset(struct call *c, struct merged_events *m)
{
    int64_t gone = 0;
    for (uint32_t e = 0; e < m->events; e++) {
        bool named = c->argc == 2;
        for (uint32_t i = 2; i < c->argc && !named; i++) {
            named = slice_is(c->argv[i], m->event[e].name);
        }
        gone += named;
    }
    reply_int(c->out, gone);
}

static void reset_done(struct call *c, void *ctx)
{
    struct reset_events *reset = ctx;
    merge_done(c, reset->before);
    mem_free(reset->names);
    mem_free(reset);
}

static void cmd_latency_reset(struct call *c)
{
    size_t bytes = 0;
    for (uint32_t i = 2; i < c->argc; i++) {
        bytes += c->argv[i].len;
    }
    struct reset_events *reset = mem_alloc_zero(sizeof *reset);
    reset->before = mem_alloc_zero(sizeof *reset->before);
    reset->before->report = report_reset;
    reset->argc = c->argc - 2;
    reset->names = mem_alloc(reset->argc * sizeof *reset->names + bytes + 1);
    char *at = (char *)(reset->names + reset->argc);
    for (uint32_t i = 0; i < reset->argc; i++) {
        struct slice name = c->argv[i + 2];
        memcpy(at, name.ptr, name.len);
        reset->names[i] = slice_of(at, name.len);
        at += name.len;
    }
    broadcast(c, reset_part, reset_done, reset);
}

/* --- GRAPH: one column per sample, its age below, written downwards --- */

static void age_label(char out[AGE_BYTES], int64_t seconds)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (seconds >= units[i].seconds) {
            snprintf(out, AGE_BYTES, "%lld%c", (long long)(seconds / units[i].seconds),
                     units[i].unit);
            return;
        }
    }
    snprintf(out, AGE_BYTES, "%llds", (long long)(seconds < 0 ? 0 : seconds));
}

static char graph_cell(uint32_t ms, uint32_t low, uint32_t high, int row)
{
    int steps = GRAPH_ROWS * GRAPH_LEVELS;
    uint64_t above = high == low ? 0 : (uint64_t)(ms - low) * (unsigned)(steps - 1) / (high - low);
    int height = 1 + (int)above;
    int in_row = height - (GRAPH_ROWS - 1 - row) * GRAPH_LEVELS;
    return in_row <= 0 ? ' ' : in_row > GRAPH_LEVELS ? '|' : "_o#"[in_row - 1];
}

static void graph_rows(struct text *t, const struct latency_sample *sample, uint32_t n,
                       uint32_t low, uint32_t high)
{
    for (int row = 0; row < GRAPH_ROWS; row++) {
        for (uint32_t i = 0; i < n; i++) {
            text_printf(t, "%c", graph_cell(sample[i].ms, low, high, row));
        }
        text_append(t, "\n", 1);
    }
    text_append(t, "\n", 1);
    int64_t now_s = clock_unix_us() / 1000000;
    for (size_t line = 0, more = 1; more; line++) {
        struct text labels = {0};
        more = 0;
        for (uint32_t i = 0; i < n; i++) {
            char age[AGE_BYTES];
            age_label(age, now_s - sample[i].unix_s);
            bool has = strlen(age) > line;
            text_append(&labels, has ? &age[line] : " ", 1);
            more += has;
        }
        if (more) {
            text_append(t, labels.data, labels.len);
            text_append(t, "\n", 1);
        }
        text_free(&labels);
    }
}

static void report_graph(struct call *c, struct merged_events *m)
{
    const struct latency_event *e = latency_event_find(m->event, m->events, c->argv[2]);
    if (!e) {
        reply_errorf(c->out, "ERR No samples available for event '%.*s'",
                     (int)(c->argv[2].len < INT_MAX ? c->argv[2].len : INT_MAX), c->argv[2].ptr);
        return;
    }
    struct latency_sample sample[LATENCY_SAMPLES];
    uint32_t n = latency_event_samples(e, sample);
    uint32_t low = UINT32_MAX, high = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = sample[i].ms < low ? sample[i].ms : low;
        high = sample[i].ms > high ? sample[i].ms : high;
    }

    struct text t = {0};
    text_printf(&t, "%s - high %u ms, low %u ms (all time high %u ms)\n", e->name, high, low,
                e->max_ms);
    for (int i = 0; i < GRAPH_COLUMNS; i++) {
        text_append(&t, "-", 1);
    }
    text_append(&t, "\n", 1);
    for (uint32_t i = 0; i < n; i += GRAPH_COLUMNS) {
        uint32_t columns = n - i < GRAPH_COLUMNS ? n - i : GRAPH_COLUMNS;
        graph_rows(&t, sample + i, columns, low, high);
    }
    reply_text(c, &t);
}

static void cmd_latency_graph(struct call *c)
{
    merge_events(c, report_graph);
}

/* --- DOCTOR --- */

struct event_summary {
    uint32_t samples;
    double mean_ms, deviation_ms, period_s;
};

static struct event_summary summarise(const struct latency_event *e)
{
    struct latency_sample sample[LATENCY_SAMPLES];
    struct event_summary s = {.samples = latency_event_samples(e, sample)};
    if (s.samples == 0) {
        return s;
    }
    for (uint32_t i = 0; i < s.samples; i++) {
        s.mean_ms += sample[i].ms;
    }
    s.mean_ms /= s.samples;
    for (uint32_t i = 0; i < s.samples; i++) {
        double off = sample[i].ms - s.mean_ms;
        s.deviation_ms += off < 0 ? -off : off;
    }
    s.deviation_ms /= s.samples;
    int64_t span_s = clock_unix_us() / 1000000 - sample[0].unix_s;
    s.period_s = (double)(span_s > 0 ? span_s : 1) / s.samples;
    return s;
}

static void advise(struct text *t, const struct config *config, const char *event)
{
    if (strcmp(event, "command") == 0) {
        int64_t wanted_us = config->latency_monitor_threshold_ms * 1000;
        if (config->slowlog_log_slower_than_us < 0 ||
            config->slowlog_log_slower_than_us > wanted_us) {
            text_printf(t, "- The slow log does not see all of these commands: CONFIG SET "
                           "slowlog-log-slower-than %lld would show them.\n", (long long)wanted_us);
        }
        text_printf(t, "- SLOWLOG GET names the commands that took long. Commands over many "
                       "elements (KEYS, SMEMBERS, large ranges) are better cut in pieces (SCAN, "
                       "SSCAN, LIMIT).\n");
    } else if (strcmp(event, "fast-command") == 0) {
        text_printf(t, "- Commands that do little work took long: the shards' threads do not get "
                       "their cores in time. Look for other processes on these cores, for CPU "
                       "limits of a container, for steal time, and whether there are more "
                       "shards than cores.\n");
    } else if (strcmp(event, "expire-cycle") == 0) {
        text_printf(t, "- Deleting expired keys took long: many keys seem to expire at one time. "
                       "Spread their expiry, or lower active-expire-effort.\n");
    } else if (strncmp(event, "eviction", 8) == 0) {
        text_printf(t, "- Evicting keys took long: memory is needed faster than it is made free. "
                       "Raise maxmemory, or write in smaller pieces.\n");
    }
}

static void report_doctor(struct call *c, struct merged_events *m)
{
    const struct config *config = call_home(c)->config;
    struct text t = {0};
    if (m->events == 0 && config->latency_monitor_threshold_ms == 0) {
        text_printf(&t, "Latency monitoring is off, so there is nothing to look at. CONFIG SET "
                        "latency-monitor-threshold <milliseconds> turns it on.\n");
    } else if (m->events == 0) {
        text_printf(&t, "No event took %lld ms or more since the last reset.\n",
                    (long long)config->latency_monitor_threshold_ms);
    } else {
        text_printf(&t, "Events that took too long:\n\n");
        for (uint32_t i = 0; i < m->events; i++) {
            struct event_summary s = summarise(&m->event[i]);
            text_printf(&t, "%u. %s: %u latency spikes (average %.0fms, mean deviation %.0fms, "
                            "period %.2f sec). Worst all time event %ums.\n",
                        i + 1, m->event[i].name, s.samples, s.mean_ms, s.deviation_ms, s.period_s,
                        m->event[i].max_ms);
        }
        text_printf(&t, "\nWhat can be done:\n\n");
        for (uint32_t i = 0; i < m->events; i++) {
            advise(&t, config, m->event[i].name);
        }
    }
    reply_text(c, &t);
}

static void cmd_latency_doctor(struct call *c)
{
    merge_events(c, report_doctor);
}

/* --- HISTOGRAM --- */

/* Upper limits of the ranges are 1,024 ns and its doublings, printed as Redis prints them: the end
 * of the range of its own histogram that the limit falls in (1/128 wider), in whole µs. */
static void reply_distribution(struct reply *out, const struct histogram_sum *sum)
{
    reply_map(out, 2);
    reply_bulk_str(out, "calls");
    reply_int(out, (int64_t)sum->total);
    reply_bulk_str(out, "histogram_usec");

    struct reply_mark mark = reply_deferred(out);
    size_t pairs = 0;
    uint64_t before = 0;
    for (unsigned power = 0; power < HISTOGRAM_REPORT_POWERS && before < sum->total; power++) {
        uint64_t limit_ns = (1024ull << power) + (8ull << power) - 1;
        bool last = power == HISTOGRAM_REPORT_POWERS - 1;
        double limit_ticks = (double)limit_ns / 1000 * clock_ticks_per_us;
        uint64_t count = last ? sum->total : histogram_count_up_to(sum, limit_ticks);
        if (count > before) {
            reply_int(out, (int64_t)(limit_ns / 1000));
            reply_int(out, (int64_t)count);
            pairs++;
        }
        before = count;
    }
    reply_deferred_map(out, mark, pairs);
}

/* The command that is counted under this id on any shard, and its durations on all of them. */
static const struct command *sum_histograms(const struct server *server, unsigned id,
                                            struct histogram_sum *sum)
{
    const struct command *cmd = NULL;
    *sum = (struct histogram_sum){0};
    for (unsigned s = 0; s < server->shard_count; s++) {
        const struct latency *l = server->shards[s]->latency;
        const struct command *here = latency_command_mp(l, id);
        if (here) {
            cmd = here;
            latency_histogram_mp(l, id, sum);
        }
    }
    return sum->total ? cmd : NULL;
}

static bool asked_for(const struct call *c, const struct command *cmd)
{
    for (uint32_t i = 2; i < c->argc; i++) {
        if (slice_is(c->argv[i], cmd->full_name) ||
            (cmd->parent && slice_is(c->argv[i], cmd->parent->full_name))) {
            return true;
        }
    }
    return c->argc == 2;
}

static void cmd_latency_histogram(struct call *c)
{
    const struct server *server = call_home(c)->server;
    struct histogram_sum *sum = mem_alloc(sizeof *sum);
    struct reply_mark mark = reply_deferred(c->out);
    size_t pairs = 0;
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        const struct command *cmd = sum_histograms(server, id, sum);
        if (cmd && asked_for(c, cmd)) {
            reply_bulk_str(c->out, cmd->full_name);
            reply_distribution(c->out, sum);
            pairs++;
        }
    }
    reply_deferred_map(c->out, mark, pairs);
    mem_free(sum);
}

static void cmd_latency_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    What the recorded events say about this server, in words.",
        "GRAPH <event>",
        "    The samples of an event as a graph of characters.",
        "HISTOGRAM [<command> ...]",
        "    How the durations of commands are distributed (all commands unless some are named).",
        "HISTORY <event>",
        "    Time and duration of an event's samples.",
        "LATEST",
        "    The latest sample of every event.",
        "RESET [<event> ...]",
        "    Forget the samples of these events (of all unless some are named).",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

enum { LATENCY_FLAGS = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE };

static const struct command_arg event_args[] = {{.name = "event", .type = ARG_STRING}, {0}};
static const struct command_arg events_args[] = {
    {.name = "event", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const struct command_arg histogram_args[] = {
    {.name = "command", .type = ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE},
    {0},
};
static const char *const report_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                          "response_policy:special", NULL};
static const char *const reset_tips[] = {"request_policy:all_nodes", "response_policy:agg_sum",
                                         NULL};

const struct command latency_subcommands[] = {
    {
        .name = "doctor", .run = cmd_latency_doctor, .arity = 2, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "2.8.13",
        .summary = "Explains the recorded latency events.", .complexity = "O(1)",
        .tips = report_tips,
    },
    {
        .name = "graph", .run = cmd_latency_graph, .arity = 3, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "2.8.13",
        .summary = "Draws the samples of a latency event.", .complexity = "O(1)",
        .args = event_args, .tips = report_tips,
    },
    {
        .name = "help", .run = cmd_latency_help, .arity = 2, .flags = CMD_LOADING | CMD_STALE,
        .route = ROUTE_HOME, .group = "server", .since = "2.8.13",
        .summary = "Says what the subcommands do.", .complexity = "O(1)",
    },
    {
        .name = "histogram", .run = cmd_latency_histogram, .arity = -2, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "7.0.0",
        .summary = "Returns how the durations of commands are distributed.",
        .complexity = "O(N) where N is the number of commands with latency information being "
                      "retrieved.",
        .args = histogram_args, .tips = report_tips,
    },
    {
        .name = "history", .run = cmd_latency_history, .arity = 3, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "2.8.13",
        .summary = "Returns the samples of a latency event.", .complexity = "O(1)",
        .args = event_args, .tips = report_tips,
    },
    {
        .name = "latest", .run = cmd_latency_latest, .arity = 2, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "2.8.13",
        .summary = "Returns the latest sample of every latency event.", .complexity = "O(1)",
        .tips = report_tips,
    },
    {
        .name = "reset", .run = cmd_latency_reset, .arity = -2, .flags = LATENCY_FLAGS,
        .route = ROUTE_BARRIER, .group = "server", .since = "2.8.13",
        .summary = "Forgets the samples of some or all latency events.", .complexity = "O(1)",
        .args = events_args, .tips = reset_tips,
    },
    {0},
};
