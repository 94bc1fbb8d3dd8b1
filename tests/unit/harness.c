/* harness.c - see harness.h. */
#include "harness.h"

#include "core/hash.h"
#include "core/mem.h"
#include "core/slab.h"
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

enum { WORDS_MAX = 256, PIECES = 64 };

static const struct settings default_settings = {
    .databases = 16,
    .proto_max_bulk_len = 512ll << 20,
    .maxmemory_samples = 5,
    .lfu_log_factor = 10,
    .lfu_decay_time = 1,
    .active_expire_effort = 1,
    .active_expire = true,
    .hash_max_listpack_entries = 128,
    .hash_max_listpack_value = 64,
    .list_max_listpack_size = -2,
    .set_max_intset_entries = 512,
    .set_max_listpack_entries = 128,
    .set_max_listpack_value = 64,
    .zset_max_listpack_entries = 128,
    .zset_max_listpack_value = 64,
    .hll_sparse_max_bytes = 3000,
    .stream_node_max_bytes = 4096,
    .stream_node_max_entries = 100,
    .rdb_compression = true,
    .rdb_checksum = true,
};

struct harness *harness_new(void)
{
    static const uint8_t seed[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    if (!mem_thread_counter) { /* never freed: it is counted after the thread is gone */
        struct mem_counter *counter = aligned_alloc(64, sizeof *counter);
        memset(counter, 0, sizeof *counter);
        mem_thread_register(counter);
    }
    hash_seed(seed);
    struct harness *h = calloc(1, sizeof *h);
    h->slab_ = slab_thread_init();
    h->settings = default_settings;
    h->now_ms = HARNESS_START_MS;
    h->resp = 2;
    h->ks = keyspace_new(&h->settings);
    return h;
}

void harness_free(struct harness *h)
{
    keyspace_destroy(h->ks);
    slab_thread_exit();
    mem_free(h->marks_);
    free(h->text_);
    free(h);
}

static const struct command *find_in(const struct command *rows, struct slice name)
{
    for (; rows && rows->name; rows++) {
        if (slice_is(name, rows->name)) {
            return rows;
        }
    }
    return NULL;
}

const struct command *harness_find(struct slice name, const struct slice *sub)
{
    for (int t = 0; harness_tables[t]; t++) {
        const struct command *cmd = find_in(harness_tables[t], name);
        if (cmd && cmd->subcommands && sub) {
            return find_in(cmd->subcommands, *sub);
        }
        if (cmd) {
            return cmd;
        }
    }
    return NULL;
}

static void take_text(struct harness *h, struct reply *r)
{
    h->text_ = realloc(h->text_, r->total_bytes + 1);
    h->text_len_ = 0;
    while (r->total_bytes > 0) {
        struct iovec pieces[PIECES];
        size_t taken = 0;
        int n = reply_iovec(r, pieces, PIECES);
        for (int i = 0; i < n; i++) {
            memcpy(h->text_ + h->text_len_ + taken, pieces[i].iov_base, pieces[i].iov_len);
            taken += pieces[i].iov_len;
        }
        h->text_len_ += taken;
        reply_consume(r, taken);
    }
    h->text_[h->text_len_] = '\0';
}

static void run_call(struct harness *h, const struct command *cmd, struct call *c)
{
    if ((cmd->arity > 0 && (int)c->argc != cmd->arity) || (int)c->argc < -cmd->arity) {
        call_error_arity(c);
        return;
    }
    uint32_t *positions = calloc(c->argc, sizeof *positions);
    int n = command_keys(cmd, c->argv, c->argc, positions, (int)c->argc);
    n = n < 0 ? 0 : n;
    struct key *keys = calloc((size_t)n + 1, sizeof *keys);
    for (int i = 0; i < n; i++) {
        keys[i] = call_key(c, c->argv[positions[i]].ptr, c->argv[positions[i]].len);
        keys[i].arg = positions[i];
    }
    c->keys = keys;
    c->nkeys = (uint32_t)n;
    cmd->run(c);
    free(keys);
    free(positions);
}

struct slice harness_run_argv(struct harness *h, const struct slice *argv, uint32_t argc)
{
    struct reply out;
    const struct command *cmd = harness_find(argv[0], argc > 1 ? &argv[1] : NULL);
    struct call c = {
        .command = cmd,
        .ks = h->ks,
        .argv = argv,
        .argc = argc,
        .flags = h->call_flags | CALL_WHOLE,
        .db = h->db,
        .out = &out,
        .now_ms = h->now_ms,
        .slot_end = SLOT_COUNT,
    };
    reply_init(&out, h->resp);
    if (cmd) {
        run_call(h, cmd, &c);
    } else {
        reply_error(&out, "ERR unknown command");
    }
    h->dirty = c.dirty;
    h->nkeys = c.nkeys;
    h->errors = out.errors;
    mem_free(h->marks_);
    h->marks = h->marks_ = c.marks;
    h->marks_count = c.marks_count;
    take_text(h, &out);
    reply_clear(&out);
    return slice_of(h->text_, h->text_len_);
}

const char *harness_run(struct harness *h, const char *word, ...)
{
    struct slice argv[WORDS_MAX];
    uint32_t argc = 0;
    va_list words;
    va_start(words, word);
    for (; word; word = va_arg(words, const char *)) {
        assert(argc < WORDS_MAX);
        argv[argc++] = slice_str(word);
    }
    va_end(words);
    return harness_run_argv(h, argv, argc).ptr;
}

const char *harness_line(struct harness *h, const char *line)
{
    struct slice argv[WORDS_MAX];
    uint32_t argc = 0;
    while (*line) {
        size_t len = strcspn(line, " ");
        assert(argc < WORDS_MAX);
        argv[argc++] = slice_of(line, len);
        line += len;
        line += strspn(line, " ");
    }
    return harness_run_argv(h, argv, argc).ptr;
}
