/* ab_worker_internal.h - what ab_worker.c and ab_worker_loop.c share. Nobody else includes it. */
#ifndef ASHLAR_BENCH_AB_WORKER_INTERNAL_H
#define ASHLAR_BENCH_AB_WORKER_INTERNAL_H

#include "bench/ab_replay.h"
#include "bench/ab_worker.h"

enum request_kind {
    REQUEST,
    GREETING, /* AUTH, HELLO, SELECT, PING at the start: an error ends the run */
    EXTRA,    /* ASKING, SELECT of a replay: not measured */
};

enum request_result { RESULT_OK, RESULT_NULL, RESULT_ERROR, RESULT_DIFFERS };

struct ab_request {
    uint64_t intended_ns; /* what its latency counts from */
    uint64_t sent_ns;     /* 0: still in the output */
    struct ab_draw draw;  /* replay: sequence is the item */
    uint32_t bytes;
    uint16_t command;
    uint8_t kind;
    uint8_t tries;
    bool asked, warm;     /* warm: of the warm-up, not measured */
};

struct ab_out {
    char *bytes;
    size_t len, cap;
};

struct ab_conn {
    struct io_sock sock;
    struct ab_worker *worker;
    struct ab_client *client;
    int node;            /* in the cluster, 0 otherwise */
    int db;              /* selected */
    uint32_t head, tail, mask;
    struct ab_request *ring;
    struct ab_out out[2]; /* one is being filled while the other is being sent */
    int filling;
    bool dirty;          /* on worker->dirty */
    bool closing;        /* by us */
    bool was_open;       /* its greeting has been answered once */
    struct ab_conn *next_dirty;
    uint64_t reply_bytes; /* of the reply that is being read, in earlier buffers */
    struct ab_reply reply;
};

struct ab_client {
    uint32_t in_flight;
    bool ready;
    bool queued;            /* open loop: in worker->room */
    struct ab_conn **conn;  /* by node; standalone: one */
};

extern const struct io_handlers worker__handlers;

/* Requests have intended starts: an open loop, or a replay in its own time. */
static inline bool worker__is_timed(const struct ab_run_spec *spec)
{
    return spec->rate > 0 || (spec->replay && spec->replay_speed > 0);
}

void *worker__alloc(size_t count, size_t size);
struct ab_conn *worker__connect(struct ab_worker *w, struct ab_client *client, int node);
void worker__conn_free(struct ab_conn *c);
size_t worker__max_bytes(const struct ab_worker *w, const struct ab_request *r);
void worker__send_request(struct ab_worker *w, struct ab_client *client, const struct ab_request *r);
void worker__flush(struct ab_worker *w, uint64_t now_ns);
/* A client has room again: its next batch, or a place for a request that is due. */
void worker__client_free(struct ab_worker *w, struct ab_client *client);
/* Brings what is pending into the histograms. */
void worker__record_pending(struct ab_worker *w);
void worker__record(struct ab_worker *w, const struct ab_request *r, uint64_t now_ns, uint64_t bytes,
                    enum request_result result);

#endif
