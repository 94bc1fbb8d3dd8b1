/* monitor.c - MONITOR (monitor.h). */
#include "shards/monitor.h"
#include "core/mem.h"
#include "shards/clock.h"
#include "shards/cmd_server.h"
#include "shards/conn.h"
#include "shards/redact.h"
#include "shards/server.h"
#include "shards/shard.h"
#include <assert.h>
#include <stdio.h>

enum { MONITORS_CAP_MIN = 4, MONITOR_FROM_BYTES = NET_ADDR_BYTES + 8 };

/* --- who listens --- */

static void add_monitor(struct shard *shard, struct conn *conn)
{
    uint32_t count = atomic_load_explicit(&shard->monitor_count, memory_order_relaxed);
    if (count == shard->monitors_cap) {
        shard->monitors_cap = count ? count * 2 : MONITORS_CAP_MIN;
        shard->monitors =
            mem_realloc(shard->monitors, shard->monitors_cap * sizeof *shard->monitors);
    }
    shard->monitors[count] = conn;
    conn->flags |= CONN_MONITOR; /* I1 */
    atomic_store_explicit(&shard->monitor_count, count + 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->server->monitors, 1, memory_order_relaxed); /* I2 */
}

void monitor_stop(struct conn *conn)
{
    if (!(conn->flags & CONN_MONITOR)) {
        return;
    }
    struct shard *shard = conn->shard;
    uint32_t count = atomic_load_explicit(&shard->monitor_count, memory_order_relaxed);
    uint32_t i = 0;
    while (i < count && shard->monitors[i] != conn) {
        i++;
    }
    assert(i < count); /* I1 */
    shard->monitors[i] = shard->monitors[count - 1];
    conn->flags &= ~(uint32_t)CONN_MONITOR;
    atomic_store_explicit(&shard->monitor_count, count - 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&shard->server->monitors, 1, memory_order_relaxed); /* I2 */
}

/* Replies +OK; a connection that listens already gets no second reply, as in Redis. */
void cmd_monitor(struct call *c)
{
    struct conn *conn = call_conn(c);
    if (c->flags & CALL_DENY_BLOCKING) {
        reply_error(c->out, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (conn->flags & CONN_MONITOR) {
        return;
    }
    add_monitor(conn->shard, conn);
    reply_ok(c->out);
}

/* --- the lines --- */

void monitor_format(struct text *t, int64_t unix_us, int db, const char *from,
                    const struct command *cmd, const struct slice *argv, uint32_t argc)
{
    text_printf(t, "+%lld.%06lld [%d %s]", (long long)(unix_us / 1000000),
                (long long)(unix_us % 1000000), db, from);
    for (uint32_t i = 0; i < argc; i++) {
        text_append(t, " ", 1);
        text_quote(t, redact_argument(cmd, argv, argc, i) ? slice_str(REDACTED_TEXT) : argv[i]);
    }
    text_append(t, "\r\n", 2);
}

static void deliver(struct shard *shard, const struct text *line)
{
    uint32_t i = atomic_load_explicit(&shard->monitor_count, memory_order_relaxed);
    while (i-- > 0) { /* downwards: one that is closed for its output limit leaves the list */
        struct conn *monitor = shard->monitors[i];
        if (!(monitor->flags & (CONN_CLOSING | CONN_CLOSE_AFTER_REPLY))) {
            reply_raw(&monitor->out, line->data, line->len);
            conn_output_ready(monitor);
        }
    }
}

/* A line on its way to the shards that have monitors; the last one frees it. */
struct monitor_note {
    _Atomic uint32_t refs;
    uint16_t home;
    uint64_t stamp;
    struct text line;
};

/* Its place among those that wait for the horizon. */
struct monitor_line {
    struct monitor_line *next;
    struct monitor_note *note;
};

static void release_note(struct monitor_note *note)
{
    if (atomic_fetch_sub_explicit(&note->refs, 1, memory_order_acq_rel) == 1) {
        text_free(&note->line);
        mem_free(note);
    }
}

static bool note_before(const struct monitor_note *a, const struct monitor_note *b)
{
    return a->stamp != b->stamp ? a->stamp < b->stamp : a->home < b->home;
}

static void note_arrived(struct shard *shard, void *ctx)
{
    struct monitor_line *line = mem_alloc(sizeof *line), **link = &shard->monitor_lines;
    line->note = ctx;
    while (*link != NULL && !note_before(line->note, (*link)->note)) { /* I3 */
        link = &(*link)->next;
    }
    line->next = *link;
    *link = line;
}

void monitor_show(struct shard *shard, uint64_t horizon)
{
    while (shard->monitor_lines != NULL && shard->monitor_lines->note->stamp < horizon) {
        struct monitor_line *line = shard->monitor_lines;
        shard->monitor_lines = line->next;
        deliver(shard, &line->note->line);
        release_note(line->note);
        mem_free(line);
    }
}

/* Takes over the line. */
static void send_line(struct shard *shard, uint64_t stamp, struct text line)
{
    struct monitor_note *note = mem_alloc(sizeof *note);
    *note = (struct monitor_note){.home = (uint16_t)shard->id, .stamp = stamp, .line = line};
    atomic_init(&note->refs, 1);
    struct server *server = shard->server;
    for (unsigned s = 0; s < server->shard_count; s++) {
        struct shard *other = server->shards[s];
        if (atomic_load_explicit(&other->monitor_count, memory_order_relaxed) > 0) {
            atomic_fetch_add_explicit(&note->refs, 1, memory_order_relaxed);
            if (other == shard) {
                note_arrived(shard, note);
            } else {
                shard_note(shard, other, note_arrived, note);
            }
        }
    }
    release_note(note);
}

static bool shown(const struct command *cmd)
{
    /* scripts have the flag because they show themselves in Redis, before what they call */
    return !(cmd->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) || cmd->prepare != NULL;
}

void monitor_feed(struct shard *shard, struct conn *conn, uint64_t stamp, int db,
                  const struct command *cmd, const struct slice *argv, uint32_t argc)
{
    if (!shown(cmd)) {
        return;
    }
    char from[MONITOR_FROM_BYTES];
    if (conn->flags & CONN_UNIX) {
        const char *path = shard->config->unixsocket;
        snprintf(from, sizeof from, "unix:%s", path ? path : "");
    } else {
        snprintf(from, sizeof from, "%s", conn->addr);
    }
    struct text line = {0};
    monitor_format(&line, clock_unix_us(), db, from, cmd, argv, argc);
    send_line(shard, stamp, line);
}

void monitor_feed_script(struct shard *shard, int db, const struct command *cmd,
                         const struct slice *argv, uint32_t argc)
{
    if (shown(cmd)) {
        struct text line = {0};
        monitor_format(&line, clock_unix_us(), db, "lua", cmd, argv, argc);
        send_line(shard, 0, line);
    }
}
