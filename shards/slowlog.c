/* slowlog.c - entries and rings of the slow log (slowlog.h). */
#include "shards/slowlog.h"
#include "core/mem.h"
#include "shards/clock.h"
#include "shards/conn.h"
#include "shards/redact.h"
#include "shards/server.h"
#include "shards/shard.h"
#include <assert.h>
#include <stdio.h>

enum { SLOWLOG_NOTE_BYTES = 48 }; /* "... (18446744073709551615 more arguments)" */

struct slowlog *slowlog_new(void)
{
    return mem_alloc_zero(sizeof(struct slowlog));
}

void slowlog_free(struct slowlog *log)
{
    slowlog_reset(log);
    mem_free(log->ring);
    mem_free(log);
}

/* --- entries --- */

static char *put_bytes(char *at, struct slice *out, struct slice bytes)
{
    memcpy(at, bytes.ptr, bytes.len);
    *out = slice_of(at, bytes.len);
    return at + bytes.len;
}

static size_t kept_bytes(size_t len)
{
    return len <= SLOWLOG_ARG_BYTES_MAX ? len : SLOWLOG_ARG_BYTES_MAX + SLOWLOG_NOTE_BYTES;
}

static char *put_argument(char *at, struct slice *out, struct slice arg)
{
    if (arg.len <= SLOWLOG_ARG_BYTES_MAX) {
        return put_bytes(at, out, arg);
    }
    memcpy(at, arg.ptr, SLOWLOG_ARG_BYTES_MAX);
    int note = snprintf(at + SLOWLOG_ARG_BYTES_MAX, SLOWLOG_NOTE_BYTES, "... (%zu more bytes)",
                        arg.len - SLOWLOG_ARG_BYTES_MAX);
    *out = slice_of(at, SLOWLOG_ARG_BYTES_MAX + (size_t)note);
    return at + out->len;
}

struct slowlog_entry *slowlog_entry_new(uint64_t id, int64_t unix_s, uint64_t duration_us,
                                        const struct command *cmd, const struct slice *argv,
                                        uint32_t argc, struct slice peer, struct slice name)
{
    bool cut = argc > SLOWLOG_ARGS_MAX;
    uint32_t kept = cut ? SLOWLOG_ARGS_MAX - 1 : argc;
    struct slice shown[SLOWLOG_ARGS_MAX];
    size_t bytes = peer.len + name.len + (cut ? SLOWLOG_NOTE_BYTES : 0);
    for (uint32_t i = 0; i < kept; i++) {
        shown[i] = redact_argument(cmd, argv, argc, i) ? slice_str(REDACTED_TEXT) : argv[i];
        bytes += kept_bytes(shown[i].len);
    }

    uint32_t entry_argc = kept + cut;
    struct slowlog_entry *e = mem_alloc(sizeof *e + entry_argc * sizeof e->argv[0] + bytes);
    atomic_init(&e->refs, 1);
    e->argc = entry_argc;
    e->id = id;
    e->unix_s = unix_s;
    e->duration_us = duration_us;
    char *at = (char *)(e->argv + entry_argc);
    for (uint32_t i = 0; i < kept; i++) {
        at = put_argument(at, &e->argv[i], shown[i]);
    }
    if (cut) {
        int note = snprintf(at, SLOWLOG_NOTE_BYTES, "... (%u more arguments)", argc - kept);
        e->argv[kept] = slice_of(at, (size_t)note);
        at += note;
    }
    at = put_bytes(at, &e->peer, peer);
    put_bytes(at, &e->name, name);
    return e;
}

void slowlog_entry_release(struct slowlog_entry *e)
{
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) {
        mem_free(e);
    }
}

/* --- the ring --- */

static uint32_t oldest_index(const struct slowlog *log)
{
    return (log->next + log->cap - log->count) % log->cap;
}

static void drop_oldest(struct slowlog *log)
{
    slowlog_entry_release(log->ring[oldest_index(log)]);
    log->count--;
}

void slowlog_reset(struct slowlog *log)
{
    while (log->count) {
        drop_oldest(log);
    }
}

/* Gives the ring another capacity; the oldest entries go when it shrinks. */
static void resize(struct slowlog *log, uint32_t cap)
{
    while (log->count > cap) {
        drop_oldest(log);
    }
    struct slowlog_entry **ring = cap ? mem_alloc(cap * sizeof *ring) : NULL;
    for (uint32_t i = 0, from = log->count ? oldest_index(log) : 0; i < log->count; i++) {
        ring[i] = log->ring[(from + i) % log->cap];
    }
    mem_free(log->ring);
    log->ring = ring;
    log->cap = cap;
    log->next = cap ? log->count % cap : 0;
}

void slowlog_push(struct slowlog *log, struct slowlog_entry *e, int64_t len_max)
{
    int64_t most = len_max > SLOWLOG_LEN_MAX ? SLOWLOG_LEN_MAX : len_max;
    uint32_t limit = most < 0 ? 0 : (uint32_t)most;

    /* The ring grows with what is in it, so that a large limit costs nothing until it is used. */
    if (log->cap > limit) {
        resize(log, limit);
    } else if (log->count == log->cap && log->cap < limit) {
        uint32_t cap = log->cap < 64 ? 128 : log->cap * 2;
        resize(log, cap < limit ? cap : limit);
    }
    if (limit == 0) {
        slowlog_entry_release(e);
        return;
    }
    if (log->count == log->cap) {
        drop_oldest(log);
    }
    log->ring[log->next] = e;
    log->next = (log->next + 1) % log->cap;
    log->count++;
    assert(log->count <= log->cap); /* I2 */
}

uint32_t slowlog_take(const struct slowlog *log, struct slowlog_entry **out, uint32_t max)
{
    uint32_t n = log->count < max ? log->count : max;
    for (uint32_t i = 0; i < n; i++) {
        struct slowlog_entry *e = log->ring[(log->next + log->cap - 1 - i) % log->cap];
        assert(i == 0 || e->id < out[i - 1]->id); /* I1 */
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        out[i] = e;
    }
    return n;
}

/* --- the hook --- */

void slowlog_consider(struct shard *shard, struct conn *conn, const struct command *cmd,
                      const struct slice *argv, uint32_t argc, uint64_t duration_us)
{
    const struct config *config = shard->config;
    int64_t slower_than_us = config->slowlog_log_slower_than_us;
    if (slower_than_us < 0 || duration_us < (uint64_t)slower_than_us ||
        (cmd->flags & CMD_SKIP_SLOWLOG) || config->slowlog_max_len <= 0) {
        return;
    }
    uint64_t id =
        atomic_fetch_add_explicit(&shard->server->slowlog_next_id, 1, memory_order_relaxed);
    struct slice name = conn->name ? slice_str(conn->name) : slice_of("", 0);
    struct slowlog_entry *e = slowlog_entry_new(id, clock_unix_us() / 1000000, duration_us, cmd,
                                                argv, argc, slice_str(conn->addr), name);
    slowlog_push(shard->slowlog, e, config->slowlog_max_len);
}
