/* ab_replay.h - what redis-cli MONITOR has written, to be sent again.
 *
 *   1339518083.107412 [0 127.0.0.1:60866] "set" "k\xff" "1"
 *
 * Each line becomes an encoded request with its time, database and client. Every client of the
 * recording gets a connection of its own (as many share one as there are more clients than
 * connections), so that the order of each client's commands stays. Left out, and counted: commands
 * of scripts ("lua"; the script itself is there), those after which a connection no longer answers
 * once for each command (SUBSCRIBE, MONITOR …), logins (the server does not log passwords), and
 * SHUTDOWN.
 *
 * Thread: constant once read.
 */
#ifndef ASHLAR_BENCH_AB_REPLAY_H
#define ASHLAR_BENCH_AB_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AB_REPLAY_NAMES_MAX = 64, AB_REPLAY_NAME_BYTES = 32 };

struct ab_replay_item {
    uint64_t at_ns;   /* since the first one */
    size_t offset;    /* in bytes */
    uint32_t len;
    uint32_t client;  /* number of its client, in order of appearance */
    uint16_t name, db;
    uint16_t key_arg; /* decides the slot, 0: none */
};

struct ab_replay {
    struct ab_replay_item *items;
    size_t count, left_out;
    char *bytes;
    uint32_t clients;
    char names[AB_REPLAY_NAMES_MAX][AB_REPLAY_NAME_BYTES]; /* the last may be "OTHER" */
    int name_count;
};

/* Reads a file ("-": standard input). False, with a text in err, when a line is not MONITOR's. */
bool ab_replay_read(struct ab_replay *r, const char *path, char err[300]);
void ab_replay_free(struct ab_replay *r);

#endif
