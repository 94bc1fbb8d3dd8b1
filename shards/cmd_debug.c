/* cmd_debug.c - DEBUG: what tests and curious people ask for.
 *
 * In Redis DEBUG is one command; here its subcommands have rows, because they are routed
 * differently:
 *
 *   at once, at home         ERROR, LOG, PROTOCOL, STRINGMATCH-LEN, STRUCTSIZE, crashes
 *   broadcast()              DIGEST, HTSTATS, SET-ACTIVE-EXPIRE
 *   a part on every shard    POPULATE, SLEEP: at one place in the order
 *   where the key lies       OBJECT, DIGEST-VALUE (core/cmd_object.h)
 *
 * Statistics count them as the one command (latency.h, stats_record). Whether a connection may run
 * them at all is asked before they are routed (server_protected_error). Subcommands check their
 * number of arguments themselves, as Redis words that error differently here.
 */
#include "core/cmd_object.h"
#include "core/glob.h"
#include "core/mem.h"
#include "core/num.h"
#include "io/net.h"
#include "shards/clock.h"
#include "shards/cmd_config.h"
#include "shards/cmd_server.h"
#include "shards/exec.h"
#include "shards/info.h"
#include "shards/log.h"
#include "shards/worker.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { DIGEST_BYTES = 20, SHOWN_ARG_BYTES = 1024, POPULATE_NUMBER_BYTES = 32 };

/* --- who may --- */

enum { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL }; /* values of enable-*-command */

static bool protected_allowed(int setting, const struct conn *conn)
{
    return setting == PROTECTED_YES ||
           (setting == PROTECTED_LOCAL && net_peer_is_loopback(conn->sock.fd));
}

const char *server_protected_error(const struct conn *conn, const struct command *cmd)
{
    if (!(cmd->flags & CMD_PROTECTED)) {
        return NULL;
    }
    const struct config *config = conn->shard->config;
    const char *name = cmd->parent ? cmd->parent->name : cmd->name;
    if (strcmp(name, "debug") == 0 && !protected_allowed(config->enable_debug_command, conn)) {
        return "ERR DEBUG command not allowed. If the enable-debug-command option is set to "
               "\"local\", you can run it from a local connection, otherwise you need to set "
               "this option in the configuration file, and then restart the server.";
    }
    if (strcmp(name, "module") == 0 && !protected_allowed(config->enable_module_command, conn)) {
        return "ERR MODULE command not allowed. If the enable-module-command option is set to "
               "\"local\", you can run it from a local connection, otherwise you need to set this "
               "option in the configuration file, and then restart the server.";
    }
    return NULL;
}

/* False, and an error is written, when the number of arguments is wrong. */
static bool args_fit(struct call *c, uint32_t min, uint32_t max)
{
    if (c->argc < min || c->argc > max) {
        call_error_subcommand_args(c);
        return false;
    }
    return true;
}

static int shown_len(struct slice s)
{
    return (int)(s.len < SHOWN_ARG_BYTES ? s.len : SHOWN_ARG_BYTES);
}

static int64_t loose_int(struct slice s) /* as atoi: what is no number is 0 */
{
    int64_t v = 0;
    return num_parse_int(s.ptr, s.len, &v) ? v : 0;
}

/* --- at home: text and types --- */

static void cmd_debug_error(struct call *c)
{
    if (!args_fit(c, 3, 3)) {
        return;
    }
    struct text t = {0};
    text_append(&t, c->argv[2].ptr, c->argv[2].len);
    for (size_t i = 0; i < t.len; i++) {
        if (t.data[i] == '\r' || t.data[i] == '\n') {
            t.data[i] = ' ';
        }
    }
    reply_error(c->out, t.data);
    text_free(&t);
}

static void cmd_debug_log(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        log_warning("DEBUG LOG: %.*s", shown_len(c->argv[2]), c->argv[2].ptr);
        reply_ok(c->out);
    }
}

static void protocol_aggregate(struct reply *out, void (*open)(struct reply *, size_t), bool map)
{
    open(out, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(out, i);
        if (map) {
            reply_bool(out, i == 1);
        }
    }
}

static void protocol_attribute(struct reply *out)
{
    if (out->resp >= 3) {
        reply_attribute(out, 1);
        reply_bulk_str(out, "key-popularity");
        reply_array(out, 2);
        reply_bulk_str(out, "key:123");
        reply_int(out, 90);
    }
    reply_bulk_str(out, "Some real reply following the attribute");
}

static void protocol_push(struct reply *out)
{
    if (out->resp < 3) {
        reply_error(out, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(out, 2);
    reply_bulk_str(out, "server-cpu-usage");
    reply_int(out, 42);
    reply_bulk_str(out, "Some real reply following the push reply");
}

static void cmd_debug_protocol(struct call *c)
{
    static const char bignum[] = "1234567999999999999999999999999999999";
    static const char verbatim[] = "This is a verbatim\nstring";
    struct reply *out = c->out;
    if (!args_fit(c, 3, 3)) {
        return;
    }
    struct slice type = c->argv[2];
    if (slice_is(type, "string")) {
        reply_bulk_str(out, "Hello World");
    } else if (slice_is(type, "integer")) {
        reply_int(out, 12345);
    } else if (slice_is(type, "double")) {
        reply_double(out, 3.141);
    } else if (slice_is(type, "bignum")) {
        reply_bignum(out, bignum, sizeof bignum - 1);
    } else if (slice_is(type, "null")) {
        reply_null(out);
    } else if (slice_is(type, "array")) {
        protocol_aggregate(out, reply_array, false);
    } else if (slice_is(type, "set")) {
        protocol_aggregate(out, reply_set, false);
    } else if (slice_is(type, "map")) {
        protocol_aggregate(out, reply_map, true);
    } else if (slice_is(type, "attrib")) {
        protocol_attribute(out);
    } else if (slice_is(type, "push")) {
        protocol_push(out);
    } else if (slice_is(type, "true") || slice_is(type, "false")) {
        reply_bool(out, slice_is(type, "true"));
    } else if (slice_is(type, "verbatim")) {
        reply_verbatim(out, "txt", verbatim, sizeof verbatim - 1);
    } else {
        reply_error(out, "ERR Wrong protocol type name. Please use one of the following: "
                         "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|"
                         "true|false");
    }
}

static void cmd_debug_stringmatch(struct call *c)
{
    if (args_fit(c, 4, 4)) {
        reply_int(c->out, glob_match(c->argv[2], c->argv[3], false));
    }
}

static void cmd_debug_structsize(struct call *c)
{
    if (args_fit(c, 2, 2)) {
        reply_bulkf(c->out,
                    "bits:%d entry:%zu blob:%zu table:%zu slot_keys:%zu keyspace_db:%zu conn:%zu "
                    "shard:%zu reply_chunk:%d ",
                    (int)sizeof(void *) * 8, sizeof(struct entry), sizeof(struct blob),
                    sizeof(struct table), sizeof(struct slot_keys), sizeof(struct keyspace_db),
                    sizeof(struct conn), sizeof(struct shard), REPLY_SMALL_CHUNK);
    }
}

static void cmd_debug_change_replid(struct call *c)
{
    if (args_fit(c, 2, 2)) {
        log_warning("Changing replication IDs after receiving DEBUG change-repl-id");
        info_replid_change_mp(call_home(c)->server->info);
        reply_ok(c->out);
    }
}

/* --- crashing --- */

static void cmd_debug_segfault(struct call *c)
{
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 'x';
}

static void cmd_debug_panic(struct call *c)
{
    log_warning("DEBUG PANIC called at Unix time %lld", (long long)(clock_unix_ms() / 1000));
    abort();
}

static void cmd_debug_assert(struct call *c)
{
    log_warning("DEBUG ASSERT called");
    assert(!"DEBUG ASSERT");
}

static void cmd_debug_oom(struct call *c)
{
    mem_free(mem_alloc(PTRDIFF_MAX));
    reply_ok(c->out);
}

/* --- on every shard --- */

/* Whether another shard of this thread has slept for the same command: all lost the same time. */
static bool thread_has_slept(void)
{
    static _Thread_local struct {
        uint64_t stamp, number;
        const struct conn *conn;
    } last;
    const struct op *op = shard_self->executing;
    const struct run *run = op->run;
    uint64_t number = op->group != NULL ? op->group->head->number : op->number;
    bool same = last.stamp == run->stamp && last.number == number && last.conn == run->conn;
    last.stamp = run->stamp;
    last.number = number;
    last.conn = run->conn;
    return same;
}

/* Stops the whole server: every shard sleeps at this place of the order. */
static void cmd_debug_sleep(struct call *c)
{
    char text[NUM_DOUBLE_CHARS];
    struct slice arg = c->argv[2];
    size_t len = arg.len < sizeof text - 1 ? arg.len : sizeof text - 1;
    memcpy(text, arg.ptr, len);
    text[len] = 0;
    double seconds = strtod(text, NULL);
    bool shared = shard_self->worker->count > 1; /* else its runs may have no stamps */
    if (seconds > 0 && !(shared && thread_has_slept())) {
        struct timespec ts = {.tv_sec = (time_t)seconds};
        ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
        nanosleep(&ts, NULL);
    }
    reply_ok(c->out);
}

static bool populate_size(struct call *c, uint32_t arg, int64_t *out)
{
    if (!call_arg_int(c, arg, out)) {
        return false;
    }
    if (*out < 0) {
        reply_error(c->out, "ERR value is out of range, must be positive");
        return false;
    }
    return true;
}

/* Keys <prefix>:<number> of this shard, with "value:<number>", cut or filled with zeroes to
 * size. */
static void populate(struct call *c, int64_t count, struct slice prefix, int64_t size, char *value)
{
    const struct shard *shard = c->host;
    char *name = mem_alloc(prefix.len + POPULATE_NUMBER_BYTES);
    memcpy(name, prefix.ptr, prefix.len);
    name[prefix.len] = ':';
    for (int64_t i = 0; i < count; i++) {
        size_t digits = num_format_int(name + prefix.len + 1, i);
        struct key key = call_key(c, name, prefix.len + 1 + digits);
        if (key.slot < c->slot_begin || key.slot >= c->slot_end) {
            continue;
        }
        key.shard = (uint16_t)shard->id;
        if (key_write(c, &key)) {
            continue;
        }
        char text[POPULATE_NUMBER_BYTES];
        size_t text_len = (size_t)snprintf(text, sizeof text, "value:%lld", (long long)i);
        struct slice content = slice_of(text, text_len);
        if (size) {
            memcpy(value, text, (size_t)size < text_len ? (size_t)size : text_len);
            content = slice_of(value, (size_t)size);
        }
        key_set_string(c, &key, NULL, content, false);
        key_modified(c, &key, 0);
    }
    mem_free(name);
}
static_assert(1 + NUM_INT_CHARS <= POPULATE_NUMBER_BYTES, "colon and number fit behind a prefix");

static void cmd_debug_populate(struct call *c)
{
    int64_t count, size = 0;
    if (!args_fit(c, 3, 5) || !populate_size(c, 2, &count) ||
        (c->argc == 5 && !populate_size(c, 4, &size))) {
        return;
    }
    if (size > c->ks->settings->proto_max_bulk_len) {
        reply_error(c->out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    char *value = size ? mem_try_alloc((size_t)size) : NULL;
    if (size && !value) {
        reply_error(c->out, "ERR insufficient memory");
        return;
    }
    if (value) {
        memset(value, 0, (size_t)size);
    }
    populate(c, count, c->argc >= 4 ? c->argv[3] : slice_str("key"), size, value);
    mem_free(value);
    reply_ok(c->out);
}

/* --- DIGEST: of each database the XOR of the shards' digests, put together in the order of the
 * databases. A shard that has lent slots cannot tell now; then all are asked again. --- */

struct digest_db {
    bool used;
    uint8_t bytes[DIGEST_BYTES];
};

struct digest {
    struct digest_db *part[SHARDS_MAX]; /* by shard: one per database; NULL when it cannot tell */
    int databases;
};

static void digest_part(struct shard *shard, void *ctx)
{
    struct digest *d = ctx;
    if (shard->exec->holds > 0) {
        return;
    }
    struct digest_db *db = mem_alloc_zero((size_t)d->databases * sizeof *db);
    for (int i = 0; i < d->databases; i++) {
        db[i].used = keyspace_size(shard->keyspace, i) > 0;
        if (db[i].used) {
            keyspace_digest(shard->keyspace, i, db[i].bytes);
        }
    }
    d->part[shard->id] = db;
}

static void digest_of_database(const struct digest *d, unsigned shards, int db,
                               uint8_t digest[DIGEST_BYTES])
{
    uint8_t keys[DIGEST_BYTES] = {0};
    bool used = false;
    for (unsigned s = 0; s < shards; s++) {
        used |= d->part[s][db].used;
        for (int i = 0; i < DIGEST_BYTES; i++) {
            keys[i] ^= d->part[s][db].bytes[i];
        }
    }
    if (used) {
        keyspace_digest_db(digest, db);
        for (int i = 0; i < DIGEST_BYTES; i++) {
            digest[i] ^= keys[i];
        }
    }
}

static void digest_done(struct call *c, void *ctx)
{
    struct digest *d = ctx;
    unsigned shards = call_home(c)->server->shard_count;
    bool complete = true;
    for (unsigned s = 0; s < shards; s++) {
        complete &= d->part[s] != NULL;
    }
    uint8_t digest[DIGEST_BYTES] = {0};
    for (int db = 0; complete && db < d->databases; db++) {
        digest_of_database(d, shards, db, digest);
    }
    for (unsigned s = 0; s < shards; s++) {
        mem_free(d->part[s]);
        d->part[s] = NULL;
    }
    if (!complete) {
        broadcast(c, digest_part, digest_done, d);
        return;
    }
    char hex[DIGEST_BYTES * 2 + 1];
    for (int i = 0; i < DIGEST_BYTES; i++) {
        snprintf(hex + i * 2, 3, "%02x", digest[i]);
    }
    reply_status(c->out, hex);
    mem_free(d);
}

static void cmd_debug_config_rewrite(struct call *c)
{
    const struct config *config = call_conn(c)->shard->config;
    const int rc = config->file != NULL ? config_rewrite(config, true) : -ENOENT;
    if (rc != 0) {
        reply_errorf(c->out, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", strerror(-rc));
        return;
    }
    reply_ok(c->out);
}

static void cmd_debug_digest(struct call *c)
{
    if (args_fit(c, 2, 2)) {
        struct digest *d = mem_alloc_zero(sizeof *d);
        d->databases = c->ks->databases;
        broadcast(c, digest_part, digest_done, d);
    }
}

/* --- HTSTATS --- */

struct table_stats {
    int db;
    struct {
        int64_t keys, expiring;
        uint64_t slots, bytes, overflow, largest_keys;
        uint64_t lent; /* slots that another shard has now: not looked at */
    } part[SHARDS_MAX];
};

static void htstats_part(struct shard *shard, void *ctx)
{
    struct table_stats *st = ctx;
    const struct keyspace_db *db = shard->keyspace->db[st->db];
    for (uint32_t slot = shard->slot_begin; db->slots && slot < shard->slot_end; slot++) {
        if (!(db->occupied[slot / 64] >> (slot % 64) & 1)) {
            continue;
        }
        if (!exec_may_touch(shard, (uint16_t)slot)) {
            st->part[shard->id].lent++;
            continue;
        }
        const struct table *t = &db->slots[slot].table;
        st->part[shard->id].slots++;
        st->part[shard->id].bytes += table_bytes(t);
        st->part[shard->id].overflow += t->overflow_;
        if (t->count > st->part[shard->id].largest_keys) {
            st->part[shard->id].largest_keys = t->count;
        }
    }
    st->part[shard->id].keys = db->keys;
    st->part[shard->id].expiring = db->expiring;
}

static void htstats_done(struct call *c, void *ctx)
{
    struct table_stats *st = ctx;
    struct text t = {0};
    for (unsigned s = 0; s < call_home(c)->server->shard_count; s++) {
        text_printf(&t,
                    "[Shard %u, database %d]\n keys: %lld\n keys with expiry: %lld\n"
                    " tables (slots in use): %llu\n table bytes: %llu\n overflow buckets: %llu\n"
                    " keys in the largest table: %llu\n slots lent now: %llu\n",
                    s, st->db, (long long)st->part[s].keys, (long long)st->part[s].expiring,
                    (unsigned long long)st->part[s].slots, (unsigned long long)st->part[s].bytes,
                    (unsigned long long)st->part[s].overflow,
                    (unsigned long long)st->part[s].largest_keys,
                    (unsigned long long)st->part[s].lent);
    }
    reply_text(c, &t);
    mem_free(st);
}

static void cmd_debug_htstats(struct call *c)
{
    int64_t db;
    if (!args_fit(c, 3, 3) || !call_arg_int(c, 2, &db)) {
        return;
    }
    if (db < 0 || db >= c->ks->databases) {
        reply_error(c->out, "ERR Out of range database");
        return;
    }
    struct table_stats *st = mem_alloc_zero(sizeof *st);
    st->db = (int)db;
    broadcast(c, htstats_part, htstats_done, st);
}

/* --- SET-ACTIVE-EXPIRE, SET-SKIP-CHECKSUM-VALIDATION --- */

static bool edit_active_expire(struct call *c, struct config *copy)
{
    copy->core.active_expire = loose_int(c->argv[2]) != 0;
    return true;
}

static void cmd_debug_deny_scripts(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        atomic_store_explicit(&call_conn(c)->shard->server->scripts_may_all,
                              slice_is(c->argv[2], "1"), memory_order_relaxed);
        reply_ok(c->out);
    }
}

static bool edit_skip_checksum(struct call *c, struct config *copy)
{
    copy->core.skip_dump_checksum = loose_int(c->argv[2]) != 0;
    return true;
}

static void cmd_debug_skip_checksum(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        config_update(c, edit_skip_checksum);
    }
}

static void cmd_debug_set_active_expire(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        config_update(c, edit_active_expire);
    }
}

/* --- QUICKLIST-PACKED-THRESHOLD --- */

static bool edit_list_large(struct call *c, struct config *copy)
{
    int64_t bytes;
    if (!num_parse_memory(c->argv[2].ptr, c->argv[2].len, &bytes) || bytes < 0 ||
        bytes > UINT32_MAX) {
        reply_error(c->out, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
        return false;
    }
    copy->core.list_large_bytes = bytes;
    return true;
}

static void cmd_debug_list_large(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        config_update(c, edit_list_large);
    }
}

/* The shards' timers do nothing; what follows commands and connections at once goes on. */
static void cmd_debug_pause_cron(struct call *c)
{
    if (args_fit(c, 3, 3)) {
        struct server *server = call_conn(c)->shard->server;
        atomic_store_explicit(&server->cron_paused, loose_int(c->argv[2]) != 0,
                              memory_order_relaxed);
        reply_ok(c->out);
    }
}

/* How often commands in slices look at the clock, and how much of a turn they have (slices.h). */
static void cmd_debug_slices(struct call *c)
{
    int64_t units, us;
    if (!args_fit(c, 4, 4) || !call_arg_range(c, 2, 1, UINT32_MAX, &units, NULL) ||
        !call_arg_range(c, 3, 0, UINT32_MAX, &us, NULL)) {
        return;
    }
    struct server *server = call_conn(c)->shard->server;
    atomic_store_explicit(&server->slice_units, (uint32_t)units, memory_order_relaxed);
    atomic_store_explicit(&server->slice_turn_us, (uint32_t)us, memory_order_relaxed);
    reply_ok(c->out);
}

static void cmd_debug_help(struct call *c)
{
    static const char *const lines[] = {
        "ASSERT",
        "    Crash by a failed assertion.",
        "CHANGE-REPL-ID",
        "    Take a new replication id.",
        "CONFIG-REWRITE-FORCE-ALL",
        "    CONFIG REWRITE with the directives that are at their defaults as well.",
        "DIGEST",
        "    A hex digest of all keys and values.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Hex digests of the values of these keys.",
        "ERROR <string>",
        "    Reply with an error of this text.",
        "HTSTATS <dbid>",
        "    Statistics of the hash tables of a database.",
        "LOG <message>",
        "    Write a message to the log.",
        "OBJECT <key>",
        "    Internals of a key and its value.",
        "OOM",
        "    Crash as when memory runs out.",
        "PANIC",
        "    Crash on purpose.",
        "PAUSE-CRON <0|1>",
        "    Let the server's timers do nothing, or work again.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<number>, or <prefix>:<number>.",
        "PROTOCOL <type>",
        "    Reply with a value of this type: string, integer, double, bignum, null, array,",
        "    set, map, attrib, push, verbatim, true, false.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    From this size on, elements of lists stand alone; 0: when larger than a node.",
        "SEGFAULT",
        "    Crash by writing where that is forbidden.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Turn the expiry of keys in the background off or on.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Let scripts call what they may not call otherwise, or not.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Let RESTORE take payloads with a wrong checksum, or not.",
        "SLICES <units> <microseconds>",
        "    What commands that work for long do before they look at the clock, and how much of a",
        "    turn they get; SLICES 1 0 interrupts them wherever that is possible.",
        "SLEEP <seconds>",
        "    Stop all shards for that long.",
        "STRINGMATCH-LEN <pattern> <string>",
        "    Whether the glob pattern matches the string: 1 or 0.",
        "STRUCTSIZE",
        "    Sizes of internal structures.",
        NULL,
    };
    call_help(c, lines);
}

/* --- rows --- */

#define DEBUG_ROW(name_, run_, arity_, route_, summary_)                                           \
    .name = (name_), .run = (run_), .arity = (arity_),                                             \
    .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED,                   \
    .route = (route_), .group = "server", .since = "1.0.0", .summary = (summary_),                 \
    .complexity = "Depends on subcommand."

const struct command debug_subcommands[] = {
    {DEBUG_ROW("assert", cmd_debug_assert, -2, ROUTE_HOME, "Crashes by a failed assertion.")},
    {DEBUG_ROW("change-repl-id", cmd_debug_change_replid, -2, ROUTE_BARRIER,
               "Takes a new replication id.")},
    {DEBUG_ROW("config-rewrite-force-all", cmd_debug_config_rewrite, 2, ROUTE_BARRIER,
               "Rewrites the configuration file with all directives.")},
    {DEBUG_ROW("digest", cmd_debug_digest, -2, ROUTE_BARRIER,
               "Returns a digest of all keys and values.")},
    {
        DEBUG_ROW("digest-value", cmd_debug_digest_value, -2, ROUTE_KEYS,
                  "Returns digests of values."),
        .apart = APART_EACH_KEY,
        .keys = {{.flags = KEY_RO, KEYS_AT(2, -1, 1)}},
    },
    {DEBUG_ROW("error", cmd_debug_error, -2, ROUTE_HOME, "Replies with an error.")},
    {DEBUG_ROW("help", cmd_debug_help, 2, ROUTE_HOME, "Says what the subcommands do.")},
    {DEBUG_ROW("htstats", cmd_debug_htstats, -2, ROUTE_BARRIER,
               "Returns statistics of hash tables.")},
    {DEBUG_ROW("log", cmd_debug_log, -2, ROUTE_HOME, "Writes a message to the log.")},
    {
        DEBUG_ROW("object", cmd_debug_object, 3, ROUTE_KEYS, "Shows internals of a key."),
        .keys = {{.flags = KEY_RO, KEYS_AT(2, 0, 1)}},
    },
    {DEBUG_ROW("oom", cmd_debug_oom, -2, ROUTE_HOME, "Crashes as when memory runs out.")},
    {DEBUG_ROW("panic", cmd_debug_panic, -2, ROUTE_HOME, "Crashes on purpose.")},
    {DEBUG_ROW("pause-cron", cmd_debug_pause_cron, -2, ROUTE_BARRIER,
               "Stops the work of timers, or lets it go on.")},
    {
        DEBUG_ROW("populate", cmd_debug_populate, -2, ROUTE_ALL, "Creates many keys."),
        .apart = APART_OK,
    },
    {DEBUG_ROW("protocol", cmd_debug_protocol, -2, ROUTE_HOME, "Replies with a value of a type.")},
    {DEBUG_ROW("quicklist-packed-threshold", cmd_debug_list_large, -2, ROUTE_BARRIER,
               "Sets from which size elements of lists stand alone.")},
    {DEBUG_ROW("segfault", cmd_debug_segfault, -2, ROUTE_HOME, "Crashes by a forbidden write.")},
    {
        DEBUG_ROW("set-active-expire", cmd_debug_set_active_expire, -2, ROUTE_BARRIER,
                  "Turns expiry in the background off or on."),
    },
    {DEBUG_ROW("set-disable-deny-scripts", cmd_debug_deny_scripts, -2, ROUTE_BARRIER,
               "Lets scripts call all commands, or not.")},
    {DEBUG_ROW("set-skip-checksum-validation", cmd_debug_skip_checksum, -2, ROUTE_BARRIER,
               "Lets RESTORE take payloads with a wrong checksum, or not.")},
    {DEBUG_ROW("slices", cmd_debug_slices, -2, ROUTE_BARRIER,
               "Sets the length of slices of commands that work for long.")},
    {
        DEBUG_ROW("sleep", cmd_debug_sleep, 3, ROUTE_ALL, "Stops all shards for a while."),
        .apart = APART_OK,
    },
    {DEBUG_ROW("stringmatch-len", cmd_debug_stringmatch, -2, ROUTE_HOME,
               "Matches a glob pattern.")},
    {DEBUG_ROW("structsize", cmd_debug_structsize, -2, ROUTE_HOME, "Returns sizes of structures.")},
    {0},
};
