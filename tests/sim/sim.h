/* sim.h - the simulator's parts (README.md in this folder).
 *
 *   main.c     seeds: one process forked for each from a server that has just started
 *   fiber.c    shards as fibers, the seeded scheduler, the clock
 *   net.c      io/io.h in memory: connections whose other end is a simulated client
 *   client.c   what clients send, and the history of what they are answered
 *   model.c    one single-threaded server of the commands that are used
 *   search.c   whether the history has an order: strict serialisability with program order
 *
 *   client ──bytes──► net ──portions──► shard's fiber ──► … ──► net ──► client ──► history ──► search
 *                                          ▲
 *                          sched_point() ──┴── scheduler: who goes on, what time it is
 *
 * Everything that happens follows from the seed: nothing here asks the machine for time, threads or
 * random numbers. One thread; a failure ends the process.
 */
#ifndef ASHLAR_TESTS_SIM_H
#define ASHLAR_TESTS_SIM_H

#include "shards/sim_point.h"
#include "shards/shard.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_SHARDS_MAX = 8,
    SIM_CLIENTS_MAX = 5, /* the last one only reads what is left at the end */
    SIM_OPS_MAX = 24,    /* of one client */
    SIM_KEYS_MAX = 5,
    SIM_COMMANDS_MAX = 4, /* of one transaction */
    SIM_LIST_MAX = 24,   /* and no more pushes are drawn */
    SIM_MEMBERS = 6,      /* what sets are made of: 0 to 5 */
    SIM_REPLY_BYTES = 1536,
};

/* --- main.c --- */
extern int sim_verbose;              /* 1: history; 2: every switch of fibers */
extern enum sched_mutant sim_mutant; /* 0: none */
/* Says what is wrong, shows the history and ends the process. */
void sim_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* --- fiber.c --- */
void sim_random_seed(uint64_t seed);
uint64_t sim_random(void);
static inline unsigned sim_below(unsigned n)
{
    return (unsigned)(sim_random() % n);
}
static inline bool sim_one_in(unsigned n)
{
    return sim_below(n) == 0;
}

extern struct server *sim_server;
extern uint64_t sim_now_ns;
extern uint64_t sim_steps; /* scheduling points so far */
/* Starts all shards, each up to its first wait. */
void sim_fibers_start(struct server *server);
/* Goes on until sim_client_quiet() says that it is over. Chooses how it schedules from the seed. */
void sim_fibers_run(void);
/* The running fiber waits until it is woken, has events, or the time comes. */
void sim_fiber_wait(uint64_t deadline_ns);
void sim_fiber_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- net.c --- */
/* Whether an io_turn() that waits has a reason to return. */
bool sim_net_pending(const struct io *io);
/* A client of that number arrives at a shard. */
void sim_net_connect(unsigned client, unsigned shard);
/* Hangs up. */
void sim_net_leave(unsigned client);
void sim_net_send(unsigned client, const char *bytes, size_t len);

/* --- client.c --- */
enum sim_kind {
    SIM_GET, SIM_SET, SIM_INCR, SIM_GETSET, SIM_DEL, SIM_EXISTS, SIM_MSET, SIM_MGET, SIM_MSETNX,
    SIM_RENAME, SIM_LPUSH, SIM_RPUSH, SIM_LPOP, SIM_LRANGE, SIM_LMOVE, SIM_BLPOP, SIM_SADD, SIM_SREM,
    SIM_SMISMEMBER, SIM_SINTERSTORE, SIM_SUNIONSTORE, SIM_SMOVE, SIM_FLUSHALL, SIM_DBSIZE,
    SIM_EVAL_SUM, SIM_EVAL_MOVE, SIM_EVAL_FAR, SIM_EVAL_BLIND, SIM_WATCH, SIM_UNWATCH, SIM_RESETSTAT,
    SIM_KINDS
};

struct sim_command {
    uint8_t kind, nkeys;
    uint8_t key[3];
    int16_t value[3];
};

/* One thing that a client asks for: a command, or MULTI, commands, EXEC. */
struct sim_op {
    bool transaction, alone; /* alone: sent when all before it is answered */
    uint8_t count;
    struct sim_command command[SIM_COMMANDS_MAX];
    uint64_t sent_at, answered_at; /* in the order of all that happens; 0: not yet */
    uint16_t reply_len;
    char reply[SIM_REPLY_BYTES];   /* RESP2, errors cut down to "-" */
};

struct sim_client {
    struct sim_op op[SIM_OPS_MAX];
    unsigned count, sent, answered;
    unsigned home;
    unsigned leaves_after; /* hangs up when so many are sent; 0: does not */
    bool gone;             /* what it has not been answered may have happened or not */
};

struct sim_history {
    unsigned clients, keys;
    char key[SIM_KEYS_MAX][24];
    struct sim_client client[SIM_CLIENTS_MAX];
};
extern struct sim_history sim_history;

void sim_client_prepare(void);
bool sim_client_can_act(void);
/* One client, chosen at random, does something. */
void sim_client_act(void);
void sim_client_received(unsigned client, const char *bytes, size_t len);
/* Nobody can go on at this time. True: it is all over. Fails when somebody waits in vain; else time
 * goes on. */
bool sim_client_quiet(void);
void sim_history_show(void);

/* --- model.c --- */
struct sim_key {
    uint8_t type; /* 0: absent */
    uint8_t count; /* of a list */
    uint16_t members;
    int32_t value;
    int16_t item[SIM_LIST_MAX];
};
enum { SIM_NONE, SIM_STRING, SIM_LIST, SIM_SETTYPE };

struct sim_state {
    struct sim_key key[SIM_KEYS_MAX];
    uint8_t watched[SIM_CLIENTS_MAX]; /* bit per key */
    bool dirty[SIM_CLIENTS_MAX];
    uint8_t waits[SIM_CLIENTS_MAX];   /* place in the queue of those blocked, from 1; 0: is not */
    uint8_t at[SIM_CLIENTS_MAX];      /* next op of each client */
    uint8_t waiting;
};

/* The client's next op happens. False: it would have been answered differently, or somebody who is
 * served by it would. */
bool sim_model_step(struct sim_state *state, unsigned client);
/* The client has waited long enough, or is gone. */
bool sim_model_timeout(struct sim_state *state, unsigned client);
static inline bool sim_op_blocks(const struct sim_op *op)
{
    return !op->transaction && op->command[0].kind == SIM_BLPOP;
}

/* --- search.c --- */
/* Whether there is an order; -1: given up. *states: how many were looked at. */
int sim_search(unsigned *states);

#endif
