/* ab_cluster.h - which node serves a slot.
 *
 * One map for all threads: the main thread fills it from CLUSTER SLOTS, at the start and again
 * when a node has answered MOVED; the thread that met the MOVED corrects that one slot at once. A
 * stale entry does no harm, it costs a redirect.
 *
 * Thread: slots are relaxed atomics, any thread reads and writes them. Nodes are only ever added,
 * under the lock; what ab_cluster_node() points to stays.
 */
#ifndef ASHLAR_BENCH_AB_CLUSTER_H
#define ASHLAR_BENCH_AB_CLUSTER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AB_SLOTS = 16384, AB_NODES_MAX = 1024, AB_HOST_BYTES = 256, AB_NODE_NONE = 0xffff };

struct ab_node {
    char host[AB_HOST_BYTES];
    uint16_t port;
};

struct ab_cluster {
    pthread_mutex_t lock;            /* for node and node_count */
    _Atomic int node_count;
    struct ab_node node[AB_NODES_MAX];
    _Atomic uint16_t slot[AB_SLOTS]; /* index of a node, or AB_NODE_NONE */
    atomic_bool refresh_wanted;      /* workers set it, the main thread clears it */
    _Atomic uint64_t moved, asked;   /* redirects followed */
};

struct ab_cluster *ab_cluster_new(void);
void ab_cluster_free(struct ab_cluster *c);
/* The index of a node, added if it is new; -1 when there are AB_NODES_MAX already. */
int ab_cluster_add_mp(struct ab_cluster *c, const char *host, uint16_t port);
uint32_t ab_cluster_slot_of(const char *key, size_t len); /* hash tags as in Redis */

/* Reads "MOVED 3999 10.0.0.1:6381" or "ASK …" (also [v6]:port and v6:port). host is empty when the
 * server left it out: the one that answered. */
struct ab_redirect {
    bool ask;
    uint32_t slot;
    char host[AB_HOST_BYTES];
    uint16_t port;
};
bool ab_cluster_redirect(const char *error, struct ab_redirect *out);

#endif
