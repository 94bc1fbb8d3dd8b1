/* clients.c - see clients.h. */
#include "shards/clients.h"

#include "shards/client.h"
#include "shards/shard.h"
#include "shards/text.h"

enum {
    LIMIT_MIN_BYTES = 128 * 1024, /* below, nobody could even change the limit */
    OUTPUT_SMALL_BYTES = REPLY_SMALL_CHUNK + REPLY_LARGE_CHUNK, /* two chunks */
    SETTLE_ROUNDS = 64,           /* of CONFIG SET, at most: the rest goes by itself */
};

int64_t clients_limit(const struct config *config)
{
    int64_t limit = config->maxmemory_clients;
    if (limit < 0) {
        limit = (int64_t)((double)config->core.maxmemory * (double)-limit / 100);
        if (config->core.maxmemory == 0) {
            return 0;
        }
    }
    return limit > 0 && limit < LIMIT_MIN_BYTES ? LIMIT_MIN_BYTES : limit;
}

/* --- counting --------------------------------------------------------------------------------- */

static unsigned bucket_of(size_t bytes)
{
    unsigned log = bytes == 0 ? 0 : 63 - (unsigned)__builtin_clzll(bytes);
    log = log < CLIENTS_BUCKET_MIN_LOG ? CLIENTS_BUCKET_MIN_LOG : log;
    log = log > CLIENTS_BUCKET_MAX_LOG ? CLIENTS_BUCKET_MAX_LOG : log;
    return log - CLIENTS_BUCKET_MIN_LOG;
}

static void add_bytes(struct shard *s, int64_t bytes)
{
    int64_t now = atomic_load_explicit(&s->clients.bytes, memory_order_relaxed);
    atomic_store_explicit(&s->clients.bytes, now + bytes, memory_order_relaxed);
}

static void mark_filled(struct shard *s, unsigned bucket)
{
    uint32_t filled = atomic_load_explicit(&s->clients.filled, memory_order_relaxed);
    uint32_t bit = (uint32_t)1 << bucket;
    filled = s->clients.bucket[bucket].first != NULL ? filled | bit : filled & ~bit;
    atomic_store_explicit(&s->clients.filled, filled, memory_order_relaxed);
}

static void bucket_remove(struct shard *s, struct conn *conn)
{
    struct client_memory *m = &conn->memory;
    if (m->bucket == CLIENTS_NO_BUCKET) {
        return;
    }
    if (m->prev != NULL) {
        m->prev->memory.next = m->next;
    } else {
        s->clients.bucket[m->bucket].first = m->next;
    }
    if (m->next != NULL) {
        m->next->memory.prev = m->prev;
    } else {
        s->clients.bucket[m->bucket].last = m->prev;
    }
    mark_filled(s, m->bucket);
    m->bucket = CLIENTS_NO_BUCKET;
}

static void bucket_append(struct shard *s, struct conn *conn, unsigned bucket)
{
    struct client_memory *m = &conn->memory;
    m->bucket = (uint8_t)bucket;
    m->next = NULL;
    m->prev = s->clients.bucket[bucket].last;
    if (m->prev != NULL) {
        m->prev->memory.next = conn;
    } else {
        s->clients.bucket[bucket].first = conn;
    }
    s->clients.bucket[bucket].last = conn;
    mark_filled(s, bucket);
}

/* small_output: with output of any size. */
static void account(struct conn *conn, bool small_output)
{
    struct shard *s = conn->shard;
    struct client_memory *m = &conn->memory;
    if (conn->flags & CONN_CLOSING) {
        return;
    }
    size_t bytes = conn_memory(conn), output = reply_memory(&conn->out);
    if (output <= OUTPUT_SMALL_BYTES && !small_output) {
        bytes -= output;
    }
    unsigned bucket = conn->flags & CONN_NO_EVICT ? CLIENTS_NO_BUCKET : bucket_of(bytes);
    if (bytes == m->bytes && bucket == m->bucket) {
        return;
    }
    s->clients.grown |= bytes > m->bytes || m->bucket == CLIENTS_NO_BUCKET;
    add_bytes(s, (int64_t)bytes - (int64_t)m->bytes);
    m->bytes = bytes;
    if (bucket != m->bucket) {
        bucket_remove(s, conn);
        if (bucket != CLIENTS_NO_BUCKET) { /* I4 */
            bucket_append(s, conn, bucket);
        }
    }
}

void clients__account(struct conn *conn)
{
    account(conn, false);
}

void clients_cron(struct shard *s)
{
    for (struct conn *conn = s->conns; conn != NULL && s->clients.on; conn = conn->next) {
        account(conn, true);
    }
}

void clients_forget(struct conn *conn)
{
    bucket_remove(conn->shard, conn);
    add_bytes(conn->shard, -(int64_t)conn->memory.bytes);
    conn->memory.bytes = 0;
}

void clients_configured(struct shard *s)
{
    bool on = s->config->maxmemory_clients != 0;
    for (struct conn *conn = s->conns; conn != NULL && on != s->clients.on; conn = conn->next) {
        if (on) {
            clients__account(conn);
        } else {
            clients_forget(conn);
        }
    }
    s->clients.on = on;
    s->clients.grown = on;
}

/* --- deciding --------------------------------------------------------------------------------- */

static int64_t total_bytes(const struct server *server)
{
    int64_t bytes = 0;
    for (unsigned i = 0; i < server->shard_count; i++) {
        bytes += atomic_load_explicit(&server->shards[i]->clients.bytes, memory_order_relaxed);
    }
    return bytes;
}

static bool too_much(const struct shard *s)
{
    int64_t limit = clients_limit(s->config);
    return limit > 0 && total_bytes(s->server) >= limit;
}

/* -1: all its buckets are empty. */
static int highest_of(const struct shard *s)
{
    uint32_t filled = atomic_load_explicit(&s->clients.filled, memory_order_relaxed);
    return filled != 0 ? 31 - __builtin_clz(filled) : -1;
}

/* The highest bucket that is not empty anywhere; s if it has one there, else a shard that does. NULL:
 * all are empty. */
static struct shard *highest(struct shard *s, int *bucket)
{
    const struct server *server = s->server;
    struct shard *found = s;
    *bucket = highest_of(s);
    for (unsigned i = 0; i < server->shard_count; i++) {
        int theirs = highest_of(server->shards[i]);
        if (theirs > *bucket) {
            *bucket = theirs;
            found = server->shards[i];
        }
    }
    return *bucket >= 0 ? found : NULL;
}

static void asked_arrived(struct shard *s, void *ctx)
{
    (void)ctx; /* the turn's end looks */
    atomic_store_explicit(&s->clients.asked, false, memory_order_relaxed);
    s->clients.grown = true;
}

static void ask(struct shard *s, struct shard *other)
{
    if (!atomic_exchange_explicit(&other->clients.asked, true, memory_order_relaxed)) {
        shard_note(s, other, asked_arrived, NULL);
    }
}

/* Who has to go next, if that is one of this shard's; it does not count any more. Else *other is the
 * shard that has it; NULL: nobody has to, or may. */
static struct conn *choose(struct shard *s, struct shard **other)
{
    struct clients_server *server = &s->server->client_limit;
    struct conn *conn = NULL;
    int bucket;
    *other = NULL;
    while (atomic_flag_test_and_set_explicit(&server->deciding, memory_order_acquire)) {
    }
    if (too_much(s)) {
        struct shard *who = highest(s, &bucket);
        if (who == s) {
            conn = s->clients.bucket[bucket].first;
            clients_forget(conn);
        } else {
            *other = who;
        }
    }
    atomic_flag_clear_explicit(&server->deciding, memory_order_release);
    return conn;
}

static void evict(struct conn *conn)
{
    struct shard *s = conn->shard;
    struct text text = {0};
    client__describe(&text, conn);
    log_notice("Evicting client: %.*s", (int)text.len - 1, text.data); /* without its line end */
    text_free(&text);
    conn_close(conn, false);
    counter_add(&s->stats.evicted_clients, 1);
}

static void warn(struct shard *s)
{
    if (!s->clients.warned) {
        log_warning("Over client maxmemory after evicting all evictable clients");
    }
    s->clients.warned = true;
}

void clients__turn(struct shard *s)
{
    if (s->config != atomic_load_explicit(&s->server->config, memory_order_acquire)) {
        return; /* I3 */
    }
    s->clients.grown = false;
    if (!s->clients.on || !too_much(s)) {
        s->clients.warned = false;
        return;
    }
    struct shard *other;
    struct conn *conn;
    while ((conn = choose(s, &other)) != NULL) {
        evict(conn);
    }
    if (other != NULL) {
        ask(s, other);
    } else if (too_much(s)) {
        warn(s);
    }
}

/* --- CONFIG SET ------------------------------------------------------------------------------- */

static void settle_part(struct shard *s, void *ctx)
{
    (void)ctx;
    clients__turn(s);
}

static void settle(struct call *c, uintptr_t rounds);

static void settle_done(struct call *c, void *ctx)
{
    settle(c, (uintptr_t)ctx + 1);
}

static void settle(struct call *c, uintptr_t rounds)
{
    struct shard *s = call_conn(c)->shard;
    int bucket;
    if (s->clients.on && rounds < SETTLE_ROUNDS && too_much(s) && highest(s, &bucket) != NULL) {
        broadcast(c, settle_part, settle_done, (void *)rounds);
    } else {
        reply_ok(c->out);
    }
}

void clients_settle(struct call *c)
{
    settle(c, 0);
}
