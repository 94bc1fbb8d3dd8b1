/* tracking.h - client-side caching (CLIENT TRACKING): connections are told when keys that they have
 * read, or that begin with their prefixes, change.
 *
 *   default   home: read command ► OP_TRACK ──► owner: tracking_remember()   key ► {connections}
 *             owner: key changes ► tracking_key() ──push──► home: tracking_write() ► connection
 *   BCAST     all shards know all prefixes; what changed during a turn goes out as one push for each
 *             prefix and connection, before the replies of that turn
 *
 * The owner remembers connections by (home, id) and forgets them when the key changes; one that has
 * gone, or tracks no more, is found out at home when the push arrives. Whether a push is wanted
 * (NOLOOP, mode) and where it goes (REDIRECT) is decided there, too.
 *
 * I1  A push leaves the owner before the return of any command that saw the change (push.h I2): a
 *     connection that reads the new value anywhere has been told before.
 * I5  Nor does it leave the home before the answer to a command that saw the key before: what is
 *     cached from that answer is known to be invalid afterwards.
 * I2  A connection is told of its own changes behind the reply (push.h I3).
 * I3  server->tracked_keys and tracked_items are the sums over all shards' tables.
 * I4  shard->interests counts this shard's tracked keys, prefixes, and connections that track.
 *
 * Thread: the shard's own.
 */
#ifndef ASHLAR_SHARDS_TRACKING_H
#define ASHLAR_SHARDS_TRACKING_H

#include "core/command.h"
#include "core/keyspace.h"
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct op;
struct shard;
struct tracking_shard; /* a shard's keys and prefixes */

enum tracking_flag {
    TRACKING_BCAST = 1 << 0,
    TRACKING_OPTIN = 1 << 1,
    TRACKING_OPTOUT = 1 << 2,
    TRACKING_NOLOOP = 1 << 3,
    TRACKING_CACHING = 1 << 4, /* CLIENT CACHING was given for the command to come */
    TRACKING_BROKEN = 1 << 5,  /* the connection that pushes are redirected to is gone */
};

struct tracking_prefix {
    struct tracking_prefix *next;
    uint32_t len;
    char bytes[];
};

/* Of a connection that tracks; else conn->tracking is NULL. Home. */
struct tracking {
    uint32_t flags;
    uint64_t redirect; /* connection that is told in this one's place; 0: none */
    uint16_t redirect_home;
    uint64_t flushed_at; /* 1 + answers given when it was last told that nothing is valid */
    struct tracking_prefix *prefixes; /* BCAST */
    size_t bytes; /* of the prefixes */
};

struct tracking_shard *tracking_shard_new(void);
void tracking_shard_free(struct tracking_shard *t);

/* --- at home --- */
/* Whether what the connection's next command reads is to be remembered. */
bool tracking_wanted(const struct conn *conn);
/* Tracks (again) with other options, or no more. Takes over t's prefixes. */
void tracking_start(struct conn *conn, const struct tracking *t);
void tracking_stop(struct conn *conn);
size_t tracking_memory(const struct conn *conn);

/* --- where keys are read and changed (owner's thread) --- */
/* The command read those of the keys that this shard owns. */
void tracking_remember(struct shard *s, const struct op *op, const struct key *keys, uint32_t nkeys);
void tracking_key(struct shard *s, const struct key *k, uint64_t client);
/* All keys, or those of one database: connections at home here are told that nothing is valid. */
void tracking_flush(struct shard *s, uint64_t client);
/* Puts what was gathered for prefixes into the push box; keeps to tracking-table-max-keys. Before
 * pushes_flush(). */
void tracking_turn(struct shard *s);
/* Another connection's redirect target is about to go. */
void tracking_target_gone(struct shard *s, uint64_t conn_id);

/* On every shard: the prefixes of a connection that begins to track. */
void tracking__join(struct shard *s, uint64_t id, uint16_t home, const struct tracking *t);

/* --- run functions of CLIENT's rows (cmd_client.c) --- */
command_run tracking__tracking, tracking__caching, tracking__info, tracking__getredir;

#endif
