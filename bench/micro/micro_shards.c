/* micro_shards.c - what lies between shards: mailboxes and the order's phases.
 *
 * "hop" is half of a round trip of one message between two threads that poll their mailboxes, on
 * two different cores where the machine (or whoever pinned us) leaves two; on one core it is the
 * cost of handing over the core. The others run on one thread: the price without another's cache
 * lines. */
#include "bench/micro/micro.h"
#include "shards/clock.h"
#include "shards/mailbox.h"
#include "shards/order.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { SPINS = 2000, BURST = 64 };

/* --- mailbox --- */

struct pair {
    struct mailbox there, back;
    _Atomic bool stop;
    pthread_t partner;
    int cpu; /* the partner's, -1: where the scheduler likes */
};

static struct pair pair;

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set); /* where it is refused, the scheduler decides */
}

/* Waits for one message, politely: the other thread may need this core. */
static struct message *wait_message(struct mailbox *from)
{
    for (;;) {
        for (int spin = 0; spin < SPINS; spin++) {
            struct message *msg = mailbox_empty(from) ? NULL : mailbox_take_sc(from);
            if (msg || atomic_load_explicit(&pair.stop, memory_order_relaxed)) {
                return msg;
            }
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        sched_yield();
    }
}

static void *echo(void *arg)
{
    if (pair.cpu >= 0) {
        pin(pair.cpu);
    }
    for (struct message *msg; (msg = wait_message(&pair.there));) {
        mailbox_push_mp(&pair.back, msg);
    }
    return NULL;
}

static void *mailbox_setup(uint32_t keys)
{
    mailbox_init(&pair.there);
    mailbox_init(&pair.back);
    cpu_set_t set;
    pair.cpu = -1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 2) {
        int first = 0;
        while (!CPU_ISSET(first, &set)) {
            first++;
        }
        pair.cpu = first + 1;
        while (!CPU_ISSET(pair.cpu, &set)) {
            pair.cpu++;
        }
        pin(first);
    }
    return &pair;
}

static void hop(struct micro *m)
{
    micro_pause(m);
    atomic_store(&pair.stop, false);
    if (pthread_create(&pair.partner, NULL, echo, NULL) != 0) {
        abort();
    }
    struct message msg = {.kind = MESSAGE_NOTE};
    mailbox_push_mp(&pair.there, &msg); /* it has started when this comes back */
    wait_message(&pair.back);
    micro_resume(m);
    for (uint64_t i = 0; i < m->ops; i += 2) {
        mailbox_push_mp(&pair.there, &msg);
        wait_message(&pair.back);
    }
    micro_pause(m);
    atomic_store(&pair.stop, true);
    pthread_join(pair.partner, NULL);
    micro_resume(m);
}

static void push_and_take(struct micro *m)
{
    static struct message messages[BURST];
    struct mailbox box;
    mailbox_init(&box);
    for (uint64_t done = 0; done < m->ops; done += BURST) {
        for (int i = 0; i < BURST; i++) {
            mailbox_push_mp(&box, &messages[i]);
        }
        for (struct message *msg = mailbox_take_sc(&box); msg; msg = message_next(msg)) {
            micro_keep(msg);
        }
    }
}

static const struct micro_bench mailbox_benches[] = {
    {"push-take", "push 64 messages and take them, per message, one thread", push_and_take},
    {"hop", "a message from one thread to another that polls (time that passes)", hop, MICRO_WALL},
};
const struct micro_group micro_mailbox = {
    "mailbox", mailbox_setup, mailbox_benches, sizeof mailbox_benches / sizeof *mailbox_benches};

/* --- order --- */

static void *order_setup(uint32_t keys)
{
    static struct order order;
    order_init(&order, 1);
    return &order;
}

static void phase(struct micro *m)
{
    struct order *o = m->state;
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep_word(order_phase_open(o, 0));
        order_phase_close(o, 0);
    }
}

static inline void horizon_of(struct micro *m, unsigned shards)
{
    struct order *o = m->state;
    uint64_t last = 0, now;
    o->shards = shards;
    for (uint64_t i = 0; i < m->ops; i++) {
        last = order_horizon(o, last, &now);
    }
    micro_keep_word(last);
}

static void horizon_1(struct micro *m)
{
    horizon_of(m, 1);
}

static void horizon_16(struct micro *m)
{
    horizon_of(m, 16);
}

static void horizon_64(struct micro *m)
{
    horizon_of(m, 64);
}

static void clock_read(struct micro *m)
{
    for (uint64_t i = 0; i < m->ops; i++) {
        micro_keep_word(clock_mono_ns());
    }
}

static const struct micro_bench order_benches[] = {
    {"clock", "read the monotonic clock (in phase and horizon too)", clock_read},
    {"phase", "open and close a phase", phase},
    {"horizon-1", "compute the horizon of 1 shard", horizon_1},
    {"horizon-16", "compute the horizon of 16 shards", horizon_16},
    {"horizon-64", "compute the horizon of 64 shards", horizon_64},
};
const struct micro_group micro_order = {
    "order", order_setup, order_benches, sizeof order_benches / sizeof *order_benches};
