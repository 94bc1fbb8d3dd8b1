/* ab_control.h - a blocking connection for questions beside the load: INFO, CONFIG GET, CLUSTER
 * SLOTS. Replies are decoded whole, into a tree.
 *
 * Thread: one.
 */
#ifndef ASHLAR_BENCH_AB_CONTROL_H
#define ASHLAR_BENCH_AB_CONTROL_H

#include "bench/ab_cluster.h"
#include "bench/ab_cpu.h"
#include "bench/ab_target.h"

struct ab_tree {
    char type;          /* the RESP2 type, '_' for a null */
    long long number;   /* : */
    char *text;         /* + - $, zero-terminated */
    size_t text_bytes;
    struct ab_tree *item;
    size_t count;       /* * and, flat, % and ~ */
};

struct ab_control {
    int fd;
    char *buf;
    size_t at, len, cap;
};

/* Connects and logs in. host NULL: the target. False: err says why. */
bool ab_control_open(struct ab_control *c, const struct ab_target *t, const char *host, uint16_t port,
                     char err[400]);
void ab_control_close(struct ab_control *c);
/* Sends a command and waits for its reply, at most 10 s. NULL: the connection is gone. */
struct ab_tree *ab_control_ask(struct ab_control *c, int argc, const char *const *args);
void ab_tree_free(struct ab_tree *t);

/* What INFO server says, "" and 0 for what it does not. */
struct ab_server_info {
    char version[64], mode[32], os[128], name[32];
    long long pid, uptime_s;
    bool loading;
};
bool ab_control_info(struct ab_control *c, struct ab_server_info *out);

/* Reads CLUSTER SLOTS into the map. False: err says why. */
bool ab_control_slots(struct ab_control *c, const struct ab_target *t, struct ab_cluster *cluster,
                      char err[400]);
/* Adds the processes of the server, or of all nodes of the cluster. */
void ab_control_find_cpu(const struct ab_target *t, struct ab_cluster *cluster, struct ab_cpu *cpu);

#endif
