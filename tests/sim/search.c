/* search.c - strict serialisability with program order (see sim.h).
 *
 * An order is looked for in which every op is answered as the model answers it, that keeps each
 * client's order, and in which an op that was answered before another was sent comes before it: the
 * search of Wing and Gong (1993), with Lowe's memory of the states already seen (2017). As clients
 * keep their order, what has happened so far is one number per client (state.at), and part of the
 * state. It ends: no more than STATES_MAX states are kept. */
#include "tests/sim/sim.h"
#include <stdlib.h>
#include <string.h>

enum { STATES_MAX = 300000, BUCKETS = 1 << 19 };

static struct sim_state *seen; /* those to be looked at are the last ones of todo */
static uint32_t seen_count;
static uint32_t *bucket; /* 1 + index into seen, 0: empty */
static uint32_t *todo;
static uint32_t todo_count;

static uint64_t hash_of(const struct sim_state *s)
{
    const unsigned char *p = (const unsigned char *)s;
    uint64_t h = 0;
    size_t i = 0;
    for (; i + 8 <= sizeof *s; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    for (; i < sizeof *s; i++) {
        h = (h ^ p[i]) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return h ^ h >> 31;
}

static void meet(const struct sim_state *s)
{
    uint64_t at = hash_of(s) % BUCKETS;
    while (bucket[at] != 0) {
        if (memcmp(&seen[bucket[at] - 1], s, sizeof *s) == 0) {
            return;
        }
        at = (at + 1) % BUCKETS;
    }
    seen[seen_count] = *s;
    todo[todo_count++] = seen_count;
    bucket[at] = ++seen_count;
}

static const struct sim_op *next_op(const struct sim_state *s, unsigned client)
{
    const struct sim_client *c = &sim_history.client[client];
    return s->at[client] < c->sent ? &c->op[s->at[client]] : NULL;
}

/* Everything has happened, and who still waits was never answered. */
static bool complete(const struct sim_state *s)
{
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        const struct sim_op *op = next_op(s, i);
        if (op != NULL && sim_history.client[i].gone && op->answered_at == 0) {
            continue; /* it and all after it may never have happened */
        }
        if (op != NULL && (s->waits[i] == 0 || op->answered_at != 0)) {
            return false;
        }
    }
    return true;
}

/* Nothing that is sent later than this may happen yet. */
static uint64_t first_answer(const struct sim_state *s)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        const struct sim_op *op = next_op(s, i);
        if (op != NULL && op->answered_at != 0 && op->answered_at < first) {
            first = op->answered_at;
        }
    }
    return first;
}

static void go_on(const struct sim_state *from)
{
    uint64_t limit = first_answer(from);
    for (unsigned i = 0; i <= sim_history.clients; i++) {
        const struct sim_op *op = next_op(from, i);
        if (op == NULL || op->sent_at > limit) {
            continue;
        }
        struct sim_state s = *from;
        if (from->waits[i] > 0) {
            if (sim_model_timeout(&s, i)) {
                meet(&s);
            }
            continue;
        }
        if (sim_model_step(&s, i)) {
            meet(&s);
        }
    }
}

int sim_search(unsigned *states)
{
    enum { AHEAD_MAX = 4 * SIM_CLIENTS_MAX }; /* states that one leads to */
    seen = malloc((STATES_MAX + AHEAD_MAX) * sizeof *seen);
    todo = malloc((STATES_MAX + AHEAD_MAX) * sizeof *todo);
    bucket = calloc(BUCKETS, sizeof *bucket);
    if (seen == NULL || todo == NULL || bucket == NULL) {
        abort();
    }
    struct sim_state start;
    memset(&start, 0, sizeof start);
    meet(&start);
    int found = 0;
    while (todo_count > 0 && found == 0) {
        struct sim_state s = seen[todo[--todo_count]];
        found = complete(&s) ? 1 : 0;
        go_on(&s);
        if (seen_count > STATES_MAX && found == 0) {
            found = -1;
        }
    }
    *states = seen_count;
    return found;
}
