/* server.c - starting and stopping the process's shards (see server.h). */
#include "shards/server.h"
#include "shards/info.h"
#include "shards/scripts.h"
#include "shards/shard.h"
#include "shards/slices.h"
#include "shards/worker.h"
#include <stdlib.h>
#include <sched.h>
#include <sys/random.h>

static void make_run_id(char out[41])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t random_bytes[20];
    if (getrandom(random_bytes, sizeof random_bytes, 0) != (ssize_t)sizeof random_bytes) {
        abort();
    }
    for (int i = 0; i < 20; i++) {
        out[2 * i] = hex[random_bytes[i] >> 4];
        out[2 * i + 1] = hex[random_bytes[i] & 15];
    }
    out[40] = '\0';
}

static void seed_hash(void)
{
    uint8_t seed[16];
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort();
    }
    hash_seed(seed);
}

static unsigned usable_cores(void)
{
    cpu_set_t usable;
    int n = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
    return n > SHARDS_MAX ? SHARDS_MAX : (unsigned)n;
}

static unsigned shards_wanted(const struct config *config)
{
    return config->shards > 0 ? (unsigned)config->shards : usable_cores();
}

/* Divides the shards among threads. */
static void make_workers(struct server *server, const struct config *config)
{
    unsigned shards = server->shard_count;
    unsigned n = config->shard_threads > 0 ? (unsigned)config->shard_threads : usable_cores();
    n = n < shards ? n : shards;
    for (unsigned i = 0; i < n; i++) {
        unsigned first = shards * i / n, end = shards * (i + 1) / n;
        server->workers[i] = worker_new(server, i, &server->shards[first], end - first);
    }
    server->worker_count = n;
}

struct server *server_new(const struct config *config, const char *executable)
{
    struct server *server = mem_alloc_aligned(sizeof *server, 64);
    memset(server, 0, sizeof *server);
    server->executable = executable;
    make_run_id(server->run_id);
    seed_hash();
    server->started_unix_s = clock_unix_ms() / 1000;
    server->started_mono_ns = clock_mono_ns();
    server->shard_count = shards_wanted(config);
    atomic_init(&server->config, config);
    atomic_init(&server->slice_units, SLICE_UNITS);
    atomic_init(&server->slice_turn_us, SLICE_TURN_US);
    info_create(server);
    server->scripts = scripts_new();
    order_init(&server->order, server->shard_count);
    pthread_mutex_init(&server->start_lock, NULL);
    pthread_cond_init(&server->start_changed, NULL);
    unsigned n = server->shard_count;
    for (unsigned i = 0; i < n; i++) {
        struct shard *s = shard_new(server, i);
        server->shards[i] = s;
        s->config = config;
        s->slot_begin = (uint16_t)(((uint64_t)SLOT_COUNT * i + n - 1) / n);
        s->slot_end = (uint16_t)(((uint64_t)SLOT_COUNT * (i + 1) + n - 1) / n);
        for (uint32_t slot = s->slot_begin; slot < s->slot_end; slot++) {
            server->slot_shard[slot] = (uint16_t)i;
        }
    }
    make_workers(server, config);
    return server;
}

bool server_worker_started(struct server *server, bool ok)
{
    pthread_mutex_lock(&server->start_lock);
    server->start_count++;
    server->start_failed = server->start_failed || !ok;
    pthread_cond_broadcast(&server->start_changed);
    while (server->start_count < server->worker_count) {
        pthread_cond_wait(&server->start_changed, &server->start_lock);
    }
    ok = !server->start_failed;
    pthread_mutex_unlock(&server->start_lock);
    return ok;
}

int server_start(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        struct worker *w = server->workers[i];
        int err = pthread_create(&w->thread, NULL, worker_main, w);
        if (err != 0) {
            log_warning("Could not start the thread of shard %u: %s", w->shards[0]->id, strerror(err));
            return -err;
        }
    }
    pthread_mutex_lock(&server->start_lock);
    while (server->start_count < server->worker_count) {
        pthread_cond_wait(&server->start_changed, &server->start_lock);
    }
    bool failed = server->start_failed;
    pthread_mutex_unlock(&server->start_lock);
    return failed ? -1 : 0;
}

void server_join(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++) {
        pthread_join(server->workers[i]->thread, NULL);
    }
}

void server_stop_mp(struct server *server, int exit_code)
{
    atomic_store(&server->exit_code, exit_code);
    atomic_store(&server->stopping, 1);
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i]->io != NULL) {
            io_wake_mp(server->workers[i]->io, NULL);
        }
    }
}
