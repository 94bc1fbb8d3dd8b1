/* info.c - rates, gathering and memory figures (info.h). The sections are in cmd_info.c. */
#include "shards/info.h"
#include "core/mem.h"
#include "core/table.h"
#include "shards/conn.h"
#include "shards/exec.h"
#include "shards/shard.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#ifdef ASHLAR_MIMALLOC
#include <mimalloc.h>
#endif

/* --- life, rates --- */

void info_create(struct server *server)
{
    struct info *info = mem_alloc_zero(sizeof *info);
    ssize_t got = getrandom(info->replid_seed, sizeof info->replid_seed, 0);
    assert(got == sizeof info->replid_seed);
    server->info = info;
}

static uint64_t total_of(const struct server *server, enum info_rate rate)
{
    uint64_t total = 0;
    for (unsigned s = 0; s < server->shard_count; s++) {
        const struct shard_stats *st = &server->shards[s]->stats;
        total += counter_get(rate == INFO_RATE_COMMANDS ? &st->commands
                             : rate == INFO_RATE_INPUT  ? &st->in_bytes
                                                        : &st->out_bytes);
    }
    return total;
}

static void note_peak_memory(struct server *server, int64_t used)
{
    int64_t peak = atomic_load_explicit(&server->peak_memory_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&server->peak_memory_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void info_sample(struct server *server, uint64_t now_ns)
{
    struct info *info = server->info;
    uint64_t elapsed_ns = now_ns - info->last_ns;
    if (info->last_ns && elapsed_ns < (INFO_SAMPLE_MS - 1) * 1000000ull) {
        return;
    }
    int64_t used = mem_used_total();
    note_peak_memory(server, used);
    if (!info->last_ns) {
        atomic_store_explicit(&info->startup_memory_bytes, used, memory_order_relaxed);
    }
    for (int r = 0; r < INFO_RATES; r++) {
        uint64_t total = total_of(server, r);
        uint64_t more = total > info->last_total[r] ? total - info->last_total[r] : 0;
        if (info->last_ns) { /* CONFIG RESETSTAT lets totals fall: then nothing was counted */
            counter_set(&info->rate[r][info->next],
                        (uint64_t)((double)more * 1e9 / (double)elapsed_ns));
        }
        info->last_total[r] = total;
    }
    info->next = (info->next + 1) % INFO_SAMPLES;
    info->last_ns = now_ns;
}

uint64_t info_rate_mp(const struct info *info, enum info_rate rate)
{
    uint64_t sum = 0;
    for (int i = 0; i < INFO_SAMPLES; i++) {
        sum += counter_get(&info->rate[rate][i]);
    }
    return sum / INFO_SAMPLES;
}

/* --- replication id: follows from seed and generation, so that changing it is one store --- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

void info_replid_mp(const struct info *info, char out[INFO_REPLID_CHARS + 1])
{
    uint64_t generation = atomic_load_explicit(&info->replid_generation, memory_order_relaxed);
    uint64_t word[3];
    for (int i = 0; i < 3; i++) {
        word[i] = mix(info->replid_seed[i] + generation * 0x9e3779b97f4a7c15ull);
    }
    snprintf(out, INFO_REPLID_CHARS + 1, "%016llx%016llx%08llx", (unsigned long long)word[0],
             (unsigned long long)word[1], (unsigned long long)(word[2] & 0xffffffff));
}

void info_replid_change_mp(struct info *info)
{
    atomic_fetch_add_explicit(&info->replid_generation, 1, memory_order_relaxed);
}

/* --- gathering --- */

struct info_gathering *info_gathering_new(const struct shard *home, bool tables)
{
    int64_t used_bytes = mem_used_total();
    unsigned shards = home->server->shard_count;
    struct info_gathering *g = mem_alloc_zero(sizeof *g + shards * sizeof *g->shard);
    g->used_bytes = used_bytes;
    g->shards = shards;
    g->databases = home->config->core.databases;
    g->tables = tables;
    return g;
}

void info_gathering_free(struct info_gathering *g)
{
    for (unsigned s = 0; s < g->shards; s++) {
        mem_free(g->shard[s]);
    }
    mem_free(g);
}

/* Bytes of a database's tables, from those of its first occupied slots: slots fill evenly, unless
 * hash tags gather keys, and then the few slots that are occupied are all looked at. */
static uint64_t measure_tables(struct shard *shard, const struct keyspace_db *db)
{
    uint64_t bytes = 0, keys = 0;
    int tables = 0;
    for (uint32_t word = 0; word < SLOT_COUNT / 64 && tables < INFO_TABLES_MAX; word++) {
        for (uint64_t bits = db->occupied[word]; bits; bits &= bits - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (!exec_may_touch(shard, (uint16_t)slot)) {
                continue; /* lent: another thread changes it */
            }
            const struct table *t = &db->slots[slot].table;
            bytes += table_bytes(t);
            keys += t->count;
            tables++;
        }
    }
    if (keys && (uint64_t)db->keys > keys) {
        bytes = (uint64_t)((double)bytes * (double)db->keys / (double)keys);
    }
    return bytes;
}

static void gather_databases(struct shard *shard, bool tables, struct info_shard *out)
{
    const struct keyspace *ks = shard->keyspace;
    for (int d = 0; d < ks->databases; d++) {
        const struct keyspace_db *db = ks->db[d];
        if (db->slots && db->keys) {
            out->db[d] = (struct info_db){
                .keys = db->keys,
                .expiring = db->expiring,
                .expiry_sum_ms = db->expiry_sum_ms,
                .table_bytes = tables ? measure_tables(shard, db) : 0,
            };
        }
    }
}

static void gather_connections(const struct shard *shard, struct info_shard *out)
{
    uint32_t looked = 0;
    const struct conn *conn = shard->conns;
    for (; conn && looked < INFO_CONNS_MAX; conn = conn->next) {
        size_t in = conn_query_bytes(conn), sent = conn->out.total_bytes;
        out->input_max_bytes = in > out->input_max_bytes ? in : out->input_max_bytes;
        out->output_max_bytes = sent > out->output_max_bytes ? sent : out->output_max_bytes;
        out->conns_bytes += conn_memory(conn);
        looked++;
    }
    out->conns = shard->conn_count;
    if (looked && shard->conn_count > looked) {
        out->conns_bytes = out->conns_bytes / looked * shard->conn_count;
    }
}

void info_gather_part(struct shard *shard, void *gathering)
{
    struct info_gathering *g = gathering;
    const struct keyspace *ks = shard->keyspace;
    struct info_shard *out =
        mem_alloc_zero(sizeof *out + (size_t)ks->databases * sizeof *out->db);
    out->keyspace = ks->stats;
    out->dirty = ks->dirty;
    out->freeing = keyspace_free_pending(ks);
    gather_databases(shard, g->tables, out);
    gather_connections(shard, out);
    g->shard[shard->id] = out;
}

struct info_db info_db_sum(const struct info_gathering *g, int db)
{
    struct info_db sum = {0};
    for (unsigned s = 0; s < g->shards; s++) {
        const struct info_db *one = &g->shard[s]->db[db];
        sum.keys += one->keys;
        sum.expiring += one->expiring;
        sum.expiry_sum_ms += one->expiry_sum_ms;
        sum.table_bytes += one->table_bytes;
    }
    return sum;
}

/* --- memory --- */

static int64_t resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    long long total = 0, resident = 0;
    text[n > 0 ? n : 0] = 0;
    return sscanf(text, "%lld %lld", &total, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

void info_allocator(char out[INFO_ALLOCATOR_BYTES])
{
#ifdef ASHLAR_MIMALLOC
    int v = mi_version(); /* 209: 2.0.9 */
    snprintf(out, INFO_ALLOCATOR_BYTES, "mimalloc-%d.%d.%d", v / 100, v / 10 % 10, v % 10);
#else
    snprintf(out, INFO_ALLOCATOR_BYTES, "libc");
#endif
}

void info_memory(struct server *server, const struct info_gathering *g, struct info_memory *out)
{
    *out = (struct info_memory){0};
    out->used = g->used_bytes;
    note_peak_memory(server, out->used);
    out->peak = atomic_load_explicit(&server->peak_memory_bytes, memory_order_relaxed);
    out->startup = atomic_load_explicit(&server->info->startup_memory_bytes, memory_order_relaxed);
    out->rss = resident_bytes();
    out->system = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

    for (unsigned s = 0; s < g->shards; s++) {
        out->clients += (int64_t)g->shard[s]->conns_bytes;
    }
    out->overhead = out->startup + out->clients;
    for (int d = 0; d < g->databases; d++) {
        struct info_db db = info_db_sum(g, d);
        out->keys += db.keys;
        out->overhead += (int64_t)db.table_bytes + db.keys * (int64_t)sizeof(struct entry) +
                         db.expiring * (int64_t)sizeof(int64_t);
    }
    out->overhead = out->overhead < out->used ? out->overhead : out->used;
    out->dataset = out->used - out->overhead;

    int64_t net = out->used > out->startup ? out->used - out->startup : 1;
    out->dataset_percent = 100.0 * (double)out->dataset / (double)net;
    out->peak_percent = out->peak ? 100.0 * (double)out->used / (double)out->peak : 0;
    out->keys_bytes_each = out->keys ? net / out->keys : 0;
    out->fragmentation = out->used > 0 ? (double)out->rss / (double)out->used : 0;
    out->fragmentation_bytes = out->rss - out->used;
}
