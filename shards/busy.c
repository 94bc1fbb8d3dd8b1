/* busy.c - see busy.h. */
#include "shards/busy.h"
#include <assert.h>
#include <stddef.h>

void busy_begin(struct busy *b, unsigned shard, uint8_t state)
{
    assert(atomic_load_explicit(&b->state[shard], memory_order_relaxed) == 0);
    atomic_store_explicit(&b->state[shard], state | BUSY_ON, memory_order_release);
    atomic_fetch_add_explicit(&b->count, 1, memory_order_acq_rel);
}

void busy_end(struct busy *b, unsigned shard)
{
    uint8_t old = atomic_exchange_explicit(&b->state[shard], 0, memory_order_acq_rel);
    assert(old & BUSY_ON);
    if (!(old & BUSY_KILLED)) {
        atomic_fetch_sub_explicit(&b->count, 1, memory_order_acq_rel);
    }
}

bool busy_is_killed(const struct busy *b, unsigned shard)
{
    return atomic_load_explicit(&b->state[shard], memory_order_acquire) & BUSY_KILLED;
}

bool busy_may_write(struct busy *b, unsigned shard)
{
    uint8_t old = atomic_load_explicit(&b->state[shard], memory_order_acquire);
    while (!(old & BUSY_KILLED)) {
        if (atomic_compare_exchange_weak_explicit(&b->state[shard], &old, old | BUSY_WROTE,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

const char *busy_error(const struct busy *b, int shard)
{
    for (unsigned i = 0; i < BUSY_SHARDS_MAX; i++) {
        uint8_t state = atomic_load_explicit(&b->state[i], memory_order_acquire);
        if ((state & BUSY_ON) && !(state & BUSY_KILLED) &&
            (shard < 0 || (unsigned)shard == i || (state & BUSY_WHOLE))) {
            return state & BUSY_FUNCTION ? BUSY_ERROR_FUNCTION : BUSY_ERROR_SCRIPT;
        }
    }
    return NULL;
}

/* One shard's script. True: it is ours, and now killed; else *why may say why not. */
static bool kill_one(struct busy *b, unsigned shard, bool function, const char **why)
{
    uint8_t old = atomic_load_explicit(&b->state[shard], memory_order_acquire);
    do {
        if (!(old & BUSY_ON) || (old & BUSY_KILLED)) {
            return false;
        }
        if (old & BUSY_WROTE) {
            *why = "UNKILLABLE Sorry the script already executed write commands against the dataset. "
                   "You can either wait the script termination or kill the server in a hard way "
                   "using the SHUTDOWN NOSAVE command.";
            return false;
        }
        if (function != ((old & BUSY_FUNCTION) != 0)) {
            *why = old & BUSY_FUNCTION ? BUSY_ERROR_FUNCTION : BUSY_ERROR_SCRIPT;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->state[shard], &old, old | BUSY_KILLED,
                                                    memory_order_acq_rel, memory_order_acquire));
    atomic_fetch_sub_explicit(&b->count, 1, memory_order_acq_rel);
    return true;
}

const char *busy_kill(struct busy *b, bool function)
{
    const char *why = "NOTBUSY No scripts in execution right now.";
    bool killed = false;
    for (unsigned i = 0; i < BUSY_SHARDS_MAX; i++) {
        killed |= kill_one(b, i, function, &why);
    }
    return killed ? NULL : why;
}
