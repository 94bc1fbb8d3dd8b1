/* order.h - the one order of all commands: phases, stamps and the horizon (DESIGN.md section 3).
 *
 * A home shard takes in commands in phases. All commands of one phase bear its stamp, read from
 * the machine's monotonic clock; their place in the order is (stamp, home, connection's turn,
 * position). An executing shard may run ordered messages whose stamp is below its horizon.
 *
 *              order_phase_open              order_phase_close
 *    CLOSED ──────────────────► OPENING ► stamp ───────────────► CLOSED
 *
 * I1  Stamps of one home grow strictly.
 * I2  Every push of a phase happens before its CLOSED is visible.
 * I3  A phase that order_horizon() did not see open bears a stamp >= the T that it read first.
 *     (open: store OPENING, full fence, read clock; horizon: read clock, full fence, read phases.)
 * I4  The horizons that one shard computes never go back.
 */
#ifndef ASHLAR_SHARDS_ORDER_H
#define ASHLAR_SHARDS_ORDER_H

#include <stdatomic.h>
#include <stdint.h>

enum { ORDER_SHARDS_MAX = 256 };
#define ORDER_CLOSED UINT64_MAX
#define ORDER_OPENING 0u

/* One cache line per home; written by it alone, read by all. */
struct order_phase {
    _Alignas(64) _Atomic uint64_t stamp; /* ORDER_CLOSED, ORDER_OPENING, or the open phase's stamp */
    uint64_t last_;                      /* home only: the stamp before */
};

struct order {
    struct order_phase phase[ORDER_SHARDS_MAX];
    unsigned shards;
};

void order_init(struct order *o, unsigned shards);
/* Home's thread. Returns the stamp of the phase. */
uint64_t order_phase_open(struct order *o, unsigned home);
void order_phase_close(struct order *o, unsigned home);
/* Executing shard's thread. last is the horizon it computed before (0 at first). *now receives T:
 * batches newer than that are left for the next turn. */
uint64_t order_horizon(const struct order *o, uint64_t last, uint64_t *now);

#endif
