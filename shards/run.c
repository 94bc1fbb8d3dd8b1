/* run.c - memory of runs (see run.h). */
#include "shards/run.h"
#include "core/mem.h"
#include <assert.h>

static struct run_block *block_take(struct run_pool *pool, size_t bytes)
{
    struct run_block *b;
    if (bytes <= RUN_BLOCK_BYTES && pool->free != NULL) {
        b = pool->free;
        pool->free = b->next;
        pool->count--;
        return b;
    }
    if (bytes < RUN_BLOCK_BYTES) {
        bytes = RUN_BLOCK_BYTES;
    }
    b = mem_alloc(bytes);
    b->bytes = bytes;
    return b;
}

static void block_give(struct run_pool *pool, struct run_block *b)
{
    if (b->bytes == RUN_BLOCK_BYTES && pool->count < RUN_POOL_MAX) {
        b->next = pool->free;
        pool->free = b;
        pool->count++;
    } else {
        mem_free(b);
    }
}

struct run *run_new(struct run_pool *pool, unsigned home, unsigned shard, uint64_t stamp,
                    struct conn *conn, int resp)
{
    static_assert(sizeof(struct run_block) + sizeof(struct run) < RUN_BLOCK_BYTES / 4,
                  "a block has room for ops");
    struct run_block *b = block_take(pool, RUN_BLOCK_BYTES);
    b->next = NULL;
    struct run *run = (struct run *)(b + 1);
    run->next = run->chain_last = NULL;
    run->stamp = stamp;
    run->home = (uint16_t)home;
    run->shard = (uint16_t)shard;
    run->flags = 0;
    run->first = run->last = run->at = run->unit = NULL;
    run->unit_open = false;
    reply_init(&run->reply, resp);
    run->conn = conn;
    run->io_buf = NULL;
    run->inbuf = NULL;
    run->undrained = 0;
    run->blocks = b;
    run->room = (char *)(run + 1);
    run->room_end = (char *)b + b->bytes;
    return run;
}

void run_free(struct run_pool *pool, struct run *run)
{
    reply_clear(&run->reply);
    struct run_block *b = run->blocks;
    while (b != NULL) {
        struct run_block *next = b->next;
        block_give(pool, b);
        b = next;
    }
}

void *run_alloc_slow(struct run_pool *pool, struct run *run, size_t bytes)
{
    struct run_block *b = block_take(pool, sizeof *b + bytes);
    /* The first block must stay the last of the chain: it holds the run itself. */
    b->next = run->blocks;
    run->blocks = b;
    char *p = (char *)(b + 1);
    if (b->bytes - sizeof *b - bytes >= (size_t)(run->room_end - run->room)) {
        run->room = p + bytes;
        run->room_end = (char *)b + b->bytes;
    }
    return p;
}

void run_pool_free(struct run_pool *pool)
{
    while (pool->free != NULL) {
        struct run_block *b = pool->free;
        pool->free = b->next;
        mem_free(b);
    }
    pool->count = 0;
}
