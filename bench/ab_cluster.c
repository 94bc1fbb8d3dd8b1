/* ab_cluster.c - see ab_cluster.h. */
#include "bench/ab_cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert(AB_NODES_MAX < AB_NODE_NONE, "an index of a node fits a slot's entry");

struct ab_cluster *ab_cluster_new(void)
{
    struct ab_cluster *c = calloc(1, sizeof *c);
    if (!c) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    pthread_mutex_init(&c->lock, NULL);
    for (int i = 0; i < AB_SLOTS; i++) {
        atomic_init(&c->slot[i], AB_NODE_NONE);
    }
    return c;
}

void ab_cluster_free(struct ab_cluster *c)
{
    if (c) {
        pthread_mutex_destroy(&c->lock);
        free(c);
    }
}

int ab_cluster_add_mp(struct ab_cluster *c, const char *host, uint16_t port)
{
    int found = -1;

    pthread_mutex_lock(&c->lock);
    int count = atomic_load_explicit(&c->node_count, memory_order_relaxed);
    for (int i = 0; i < count && found < 0; i++) {
        if (c->node[i].port == port && strcmp(c->node[i].host, host) == 0) {
            found = i;
        }
    }
    if (found < 0 && count < AB_NODES_MAX) {
        found = count;
        snprintf(c->node[count].host, sizeof c->node[count].host, "%s", host);
        c->node[count].port = port;
        atomic_store_explicit(&c->node_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* CRC16 of XMODEM (polynomial 0x1021), four bits at a time: the table is one cache line. */
static uint16_t crc16(const char *s, size_t len)
{
    static const uint16_t nibble[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)s[i];
        crc = (uint16_t)(crc << 4) ^ nibble[(crc >> 12) ^ (byte >> 4)];
        crc = (uint16_t)(crc << 4) ^ nibble[(crc >> 12) ^ (byte & 15)];
    }
    return crc;
}

uint32_t ab_cluster_slot_of(const char *key, size_t len)
{
    const char *open = memchr(key, '{', len);
    if (open) {
        size_t rest = len - (size_t)(open - key) - 1;
        const char *close = memchr(open + 1, '}', rest);
        if (close && close != open + 1) {
            key = open + 1;
            len = (size_t)(close - key);
        }
    }
    return crc16(key, len) & (AB_SLOTS - 1);
}

bool ab_cluster_redirect(const char *error, struct ab_redirect *out)
{
    char address[AB_HOST_BYTES];
    unsigned slot, port;
    int used = 0;

    if (strncmp(error, "MOVED ", 6) == 0) {
        out->ask = false;
    } else if (strncmp(error, "ASK ", 4) == 0) {
        out->ask = true;
    } else {
        return false;
    }
    error = strchr(error, ' ') + 1;
    if (sscanf(error, "%u %255s%n", &slot, address, &used) != 2 || slot >= AB_SLOTS) {
        return false;
    }
    char *colon = strrchr(address, ':');
    if (!colon || sscanf(colon + 1, "%u", &port) != 1 || port == 0 || port > 65535) {
        return false;
    }
    *colon = 0;
    size_t len = strlen(address);
    bool brackets = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    snprintf(out->host, sizeof out->host, "%.*s", (int)(brackets ? len - 2 : len),
             address + (brackets ? 1 : 0));
    out->slot = slot;
    out->port = (uint16_t)port;
    return true;
}
