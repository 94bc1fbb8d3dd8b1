/* mailbox.h - the way into a shard.
 *
 * Any thread pushes messages, one thread (the shard) takes them, all at once. Pushes have one
 * total order; a take returns everything pushed before it, oldest first. On that the order
 * between connections is built (order.h).
 *
 *   producers ──push──► [newest … oldest] ──take──► oldest … newest
 *
 * I1  If push(a) returned before push(b) was called, a is taken no later than b, and before b.
 * I2  A shard that sleeps is woken at least once for any number of pushes: the sleeper declares
 *     itself, fences, and looks once more; the producer pushes, fences, and looks for a sleeper.
 *     One of the two sees the other.
 *
 * The stack is Concurrency Kit's (unbounded pushers, one popper of everything), the one of its
 * structures that never waits for a preempted producer.
 */
#ifndef ASHLAR_SHARDS_MAILBOX_H
#define ASHLAR_SHARDS_MAILBOX_H

#include "shards/sim_point.h"
#include <ck_stack.h>
#include <stdatomic.h>
#include <stdbool.h>

enum message_kind {
    MESSAGE_RUNS,    /* a chain of runs to execute (struct run), all with one stamp and home */
    MESSAGE_RETURNS, /* a chain of runs that are done, back to their home */
    MESSAGE_READY,   /* lending: all parts hold, the runner may go (struct lend) */
    MESSAGE_RELEASE, /* lending: a part's slots come back (struct lend_part) */
    MESSAGE_PUSHES,  /* a chain of deliveries for connections (struct delivery) */
    MESSAGE_DECIDED, /* EXEC: all shards have voted (struct decision_part) */
    MESSAGE_NOTE,    /* a function to call (struct note) */
    MESSAGE_CANCEL,  /* waiting for data is over (struct wait_part) */
    MESSAGE_ASK,     /* the same for a broadcast: may look at the keyspace, waits while it is lent */
};

struct message {
    ck_stack_entry_t link;
    enum message_kind kind;
};

struct mailbox {
    _Alignas(64) ck_stack_t stack;       /* producers write */
    _Alignas(64) _Atomic bool sleeping;  /* the owner sets, whoever wakes it clears */
};

static inline void mailbox_init(struct mailbox *m)
{
    ck_stack_init(&m->stack);
    atomic_init(&m->sleeping, false);
}

/* Any thread. True when the caller must wake the owner. */
static inline bool mailbox_push_mp(struct mailbox *m, struct message *msg)
{
    sched_point("push");
    ck_stack_push_upmc(&m->stack, &msg->link);
    atomic_thread_fence(memory_order_seq_cst); /* I2 */
    sched_point("pushed");
    if (!atomic_load_explicit(&m->sleeping, memory_order_relaxed)) {
        return false;
    }
    sched_point("push: sleeps");
    return atomic_exchange(&m->sleeping, false);
}

/* Owner. Everything pushed so far, oldest first, linked by message_next(); NULL when empty. */
static inline struct message *mailbox_take_sc(struct mailbox *m)
{
    sched_point("take");
    ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&m->stack), *oldest = NULL;
    sched_point("taken");
    while (entry != NULL) {
        ck_stack_entry_t *next = entry->next;
        entry->next = oldest;
        oldest = entry;
        entry = next;
    }
    return (struct message *)oldest;
}

static inline struct message *message_next(const struct message *msg)
{
    return (struct message *)msg->link.next;
}

static inline bool mailbox_empty(const struct mailbox *m)
{
    return __atomic_load_n(&m->stack.head, __ATOMIC_RELAXED) == NULL;
}

/* Owner: declares that it is going to sleep. False (and awake) when there is something to take. */
static inline bool mailbox_sleep_sc(struct mailbox *m)
{
    sched_point("sleep");
    atomic_store(&m->sleeping, true);
    atomic_thread_fence(memory_order_seq_cst); /* I2 */
    sched_point("sleep declared");
    if (mailbox_empty(m) || sched_has(SCHED_SLEEPS_BLINDLY)) {
        sched_point("sleeps");
        return true;
    }
    atomic_store(&m->sleeping, false);
    return false;
}

static inline void mailbox_awake_sc(struct mailbox *m)
{
    sched_point("awake");
    atomic_store(&m->sleeping, false);
}

#endif
