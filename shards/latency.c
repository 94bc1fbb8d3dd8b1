/* latency.c - histograms, error codes and latency events of a shard (latency.h). */
#include "shards/latency.h"
#include "core/mem.h"
#include "shards/clock.h"
#include "shards/shard.h"
#include <assert.h>
#include <math.h>

static_assert(HISTOGRAM_BUCKETS == 16 * 38, "the essay's picture");

/* --- histograms --- */

uint64_t histogram_bucket_low(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB) {
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_SUB - 1;
    return (uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift;
}

uint64_t histogram_bucket_high(unsigned bucket)
{
    return histogram_bucket_low(bucket + 1) - 1;
}

double histogram_percentile(const struct histogram_sum *sum, double percent)
{
    if (sum->total == 0) {
        return 0;
    }
    double share = percent < 0 ? 0 : percent > 100 ? 1 : percent / 100;
    uint64_t wanted = (uint64_t)ceil(share * (double)sum->total);
    if (wanted == 0) {
        wanted = 1;
    }
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        seen += sum->bucket[bucket];
        if (seen >= wanted) {
            break;
        }
    }
    return ((double)histogram_bucket_low(bucket) + (double)histogram_bucket_high(bucket)) / 2;
}

uint64_t histogram_count_up_to(const struct histogram_sum *sum, double ticks)
{
    uint64_t count = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS && (double)histogram_bucket_high(b) <= ticks; b++) {
        count += sum->bucket[b];
    }
    return count;
}

/* --- life --- */

struct latency *latency_new(void)
{
    return mem_alloc_zero(sizeof(struct latency));
}

void latency_free(struct latency *l)
{
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        mem_free(l->command[id].histogram);
    }
    mem_free(l->event);
    mem_free(l);
}

/* --- counting commands --- */

/* What DEBUG's rows are for is routing; to clients DEBUG is one command, and the only container
 * that is protected as a whole: it is counted as one. */
static const struct command *counted_as(const struct command *cmd)
{
    return cmd->parent && (cmd->parent->flags & CMD_PROTECTED) ? cmd->parent : cmd;
}

static struct latency_command *note_command(struct latency *l, const struct command *cmd)
{
    assert(cmd->id < STATS_COMMANDS_MAX);
    struct latency_command *lc = &l->command[cmd->id];
    if (__builtin_expect(lc->command != cmd, 0)) {
        __atomic_store_n(&lc->command, cmd, __ATOMIC_RELEASE);
    }
    return lc;
}

static __attribute__((noinline)) struct histogram *add_histogram(struct latency_command *lc)
{
    struct histogram *h = mem_alloc_zero(sizeof *h);
    __atomic_store_n(&lc->histogram, h, __ATOMIC_RELEASE);
    return h;
}

void stats_record(struct shard *shard, const struct command *cmd, uint64_t ticks, bool failed)
{
    cmd = counted_as(cmd);
    struct latency_command *lc = note_command(shard->latency, cmd);
    struct command_stats *s = &shard->stats.command[cmd->id];
    counter_add(&s->calls, 1);
    counter_add(&s->ticks, ticks);
    if (__builtin_expect(failed, 0)) {
        counter_add(&s->failed, 1);
    }
    if (shard->config->latency_tracking) {
        struct histogram *h = lc->histogram ? lc->histogram : add_histogram(lc);
        counter_add(&h->bucket[histogram_bucket(ticks)], 1);
    }
}

void stats_reject(struct shard *shard, const struct command *cmd)
{
    cmd = counted_as(cmd);
    note_command(shard->latency, cmd);
    counter_add(&shard->stats.command[cmd->id].rejected, 1);
}

void stats_error(struct shard *shard, const char *code)
{
    struct latency *l = shard->latency;
    counter_add(&shard->stats.errors, 1);
    size_t len = strnlen(code, ERROR_CODE_BYTES - 1);
    for (uint32_t i = 0; i < l->errors; i++) {
        if (memcmp(l->error[i].code, code, len) == 0 && l->error[i].code[len] == 0) {
            counter_add(&l->error[i].count, 1);
            return;
        }
    }
    if (l->errors == STATS_ERRORS_MAX) {
        return; /* scripts can make up codes without end: only the total counts these */
    }
    struct error_count *e = &l->error[l->errors];
    memcpy(e->code, code, len);
    e->code[len] = 0;
    counter_set(&e->count, 1);
    __atomic_store_n(&l->errors, l->errors + 1, __ATOMIC_RELEASE);
}

/* --- resetting --- */

static void reset_counters(struct shard_stats *s)
{
    counter *const zeroed[] = {
        &s->turns, &s->sleeps, &s->wakeups_sent, &s->commands, &s->executed, &s->remote,
        &s->waited, &s->groups, &s->connections, &s->in_bytes, &s->out_bytes, &s->errors,
        &s->unexpected_errors, &s->evicted_clients, &s->output_limit_disconnections,
        &s->query_limit_disconnections, &s->hits, &s->misses, &s->expired, &s->evicted,
        &s->longest_turn_ns, &s->longest_turn_cpu_ns, &s->sliced, &s->slices, &s->slice_ticks_max,
        &s->cut,
    };
    for (size_t i = 0; i < sizeof zeroed / sizeof *zeroed; i++) {
        counter_set(zeroed[i], 0);
    }
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        counter_set(&s->command[id].calls, 0);
        counter_set(&s->command[id].ticks, 0);
        counter_set(&s->command[id].rejected, 0);
        counter_set(&s->command[id].failed, 0);
    }
}

void stats_reset(struct shard *shard)
{
    struct latency *l = shard->latency;
    reset_counters(&shard->stats);
    shard->keyspace->stats = (struct keyspace_stats){0};
    for (unsigned id = 0; id < STATS_COMMANDS_MAX; id++) {
        struct histogram *h = l->command[id].histogram;
        for (unsigned b = 0; h && b < HISTOGRAM_BUCKETS; b++) {
            counter_set(&h->bucket[b], 0);
        }
    }
    for (uint32_t i = 0; i < l->errors; i++) {
        counter_set(&l->error[i].count, 0);
    }
}

/* --- reading, any thread --- */

const struct command *latency_command_mp(const struct latency *l, unsigned id)
{
    return __atomic_load_n(&l->command[id].command, __ATOMIC_ACQUIRE);
}

bool latency_histogram_mp(const struct latency *l, unsigned id, struct histogram_sum *sum)
{
    const struct histogram *h = __atomic_load_n(&l->command[id].histogram, __ATOMIC_ACQUIRE);
    for (unsigned b = 0; h && b < HISTOGRAM_BUCKETS; b++) {
        uint64_t n = counter_get(&h->bucket[b]);
        sum->bucket[b] += n;
        sum->total += n;
    }
    return h != NULL;
}

uint32_t latency_errors_mp(const struct latency *l)
{
    return __atomic_load_n(&l->errors, __ATOMIC_ACQUIRE);
}

/* --- events --- */

struct latency_event *latency_event_find(struct latency_event *events, uint32_t count,
                                         struct slice name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slice_equal(slice_str(events[i].name), name)) {
            return &events[i];
        }
    }
    return NULL;
}

void latency_event_add(struct latency_event *e, int64_t unix_s, uint32_t ms)
{
    if (ms > e->max_ms) {
        e->max_ms = ms;
    }
    struct latency_sample *last = &e->sample[(e->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    if (last->unix_s == unix_s) {
        last->ms = ms > last->ms ? ms : last->ms;
        return;
    }
    e->sample[e->next] = (struct latency_sample){unix_s, ms};
    e->next = (e->next + 1) % LATENCY_SAMPLES;
}

uint32_t latency_event_samples(const struct latency_event *e,
                               struct latency_sample out[LATENCY_SAMPLES])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *s = &e->sample[(e->next + i) % LATENCY_SAMPLES];
        if (s->unix_s) {
            out[n++] = *s;
        }
    }
    return n;
}

void latency_event_merge(struct latency_event *into, const struct latency_event *from)
{
    struct latency_sample a[LATENCY_SAMPLES], b[LATENCY_SAMPLES];
    uint32_t a_count = latency_event_samples(into, a), b_count = latency_event_samples(from, b);
    uint32_t max_ms = into->max_ms > from->max_ms ? into->max_ms : from->max_ms;

    into->next = 0;
    memset(into->sample, 0, sizeof into->sample);
    for (uint32_t i = 0, j = 0; i < a_count || j < b_count;) {
        bool take_a = j == b_count || (i < a_count && a[i].unix_s <= b[j].unix_s);
        const struct latency_sample *s = take_a ? &a[i++] : &b[j++];
        latency_event_add(into, s->unix_s, s->ms);
    }
    into->max_ms = max_ms;
}

void latency_events_reset(struct latency *l, struct slice name)
{
    if (!name.ptr) {
        l->events = 0;
        return;
    }
    for (uint32_t i = 0; i < l->events;) {
        if (slice_is(name, l->event[i].name)) {
            l->event[i] = l->event[--l->events];
        } else {
            i++;
        }
    }
}

static struct latency_event *new_event(struct latency *l, struct slice name)
{
    if (l->events == LATENCY_EVENTS_MAX || name.len >= LATENCY_EVENT_BYTES) {
        return NULL;
    }
    if (l->events == l->events_cap) {
        l->events_cap = l->events_cap ? l->events_cap * 2 : 4;
        l->event = mem_realloc(l->event, l->events_cap * sizeof *l->event);
    }
    struct latency_event *e = &l->event[l->events++];
    *e = (struct latency_event){0};
    memcpy(e->name, name.ptr, name.len);
    return e;
}

void latency_add(struct shard *shard, const char *event, uint32_t ms)
{
    int64_t threshold_ms = shard->config->latency_monitor_threshold_ms;
    if (threshold_ms <= 0 || ms < threshold_ms) {
        return;
    }
    struct latency *l = shard->latency;
    struct slice name = slice_str(event);
    struct latency_event *e = latency_event_find(l->event, l->events, name);
    if (!e) {
        e = new_event(l, name);
    }
    if (e) {
        latency_event_add(e, clock_unix_us() / 1000000, ms);
    }
}

void latency_consider(struct shard *shard, const struct command *cmd, uint64_t duration_us)
{
    latency_add(shard, (cmd->flags & CMD_FAST) ? "fast-command" : "command",
                (uint32_t)(duration_us / 1000));
}
