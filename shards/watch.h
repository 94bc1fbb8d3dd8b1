/* watch.h - WATCH: keys whose change makes the next EXEC do nothing.
 *
 * Each watched key of a connection is a *watcher*: made at home, registered with the shard that owns
 * the key, which finds it there when the key changes (touch.h). All watchers of a connection share
 * one *watch*, which any of them makes dirty; a dirty watch stays so.
 *
 *   home                                    owner of the key
 *   WATCH    ─► watcher ──op──────────────► registered (watch_run_watch)
 *                                           key changes: dirty, no longer registered
 *   UNWATCH, DISCARD, RESET, close
 *            ─► ended ────note────────────► no longer registered
 *   EXEC     ─► check op, before all others of the transaction (multi.h):
 *                 ────run─────────────────► expired meanwhile? dirty. No longer registered. Decided
 *
 * Deciding. When all keys of the transaction, watched ones included, are on one shard, the check
 * decides there. Else every shard concerned has a part of the check as the first op of the
 * transaction in its run. A part whose turn in the one order has come votes, and waits; the last one
 * to vote knows whether the watch is dirty and tells all others: then all go on, or skip the
 * transaction. While a run waits, whatever is newer and concerns the keys of its commands waits
 * behind it. That is all the holding that is needed: what changes a watched key after the vote has
 * a later place than the transaction, and finds the watcher no longer registered.
 *
 *   shard 0:  … older ► vote ─ ─ waits ─ ─ ─ ─ ─ ─ ─ ─ ─ DECIDED ► SET a ► GET a
 *   shard 1:  … older … ► vote: the last ► decided ──────────┘   ► INCR b
 *
 * No deadlock: a part waits for parts of its own place, and those only for what is older.
 *
 * In such a transaction a command that runs at home (PING, SELECT, CLIENT …) has to wait for the
 * decision, too: it is queued behind it like a barrier command, and the connection stalls until it
 * has run. SELECT and HELLO are anticipated for the commands that follow them.
 *
 * Keys that had expired already when they were watched (and were still there) are not touched by
 * their deletion, only by what makes them anew; a key that expires later is.
 *
 * I1  A watch is freed when its count is 0: one for the connection, one for each watcher until it is
 *     no longer registered (or found not to be needed), one for each check op and note.
 * I2  Whoever comes after ended does not register: notes may overtake a WATCH that still waits.
 * I3  shard->interests counts the registered watchers of the shard.
 * I4  A run proceeds from its check only when the decision's message has come to its shard, so no
 *     message of a decision is on its way when the memory in which it lies is given back.
 *
 * Threads: fields say whose they are.
 */
#ifndef ASHLAR_SHARDS_WATCH_H
#define ASHLAR_SHARDS_WATCH_H

#include "core/command.h"
#include "shards/shard.h"
#include <stdatomic.h>

struct watched; /* a key that somebody watches, on its owner */

struct watcher {
    /* home makes it; fixed from then on */
    struct watcher *next; /* home: the connection's */
    struct watch *watch;
    struct key key;       /* .ptr is bytes */
    int db;
    /* the key's owner */
    struct watcher *part_next;          /* of the same watch on this shard */
    struct watcher *key_next, *key_prev; /* of the same key */
    struct watched *watched;            /* NULL: not registered */
    bool expired;                       /* it had expired when it was watched */
    char bytes[];
};

struct watch_part {
    struct watcher *first; /* the shard's */
    bool concerned;        /* home's: a WATCH was sent there */
};

struct watch {
    _Atomic uint32_t refs; /* I1 */
    _Atomic bool dirty;    /* any shard sets */
    _Atomic bool ended;    /* home sets; I2 */
    /* home */
    struct watcher *watchers;
    uint32_t count;
    size_t bytes;
    struct watch_part parts[]; /* by shard */
};

/* EXEC's decision; lies in the memory of a run of the group. */
struct decision_part {
    struct message message; /* DECIDED: the last voter -> this shard */
    struct decision *decision;
    uint16_t shard;
    bool voted, told;       /* the shard's */
};
struct decision {
    _Atomic uint32_t missing; /* votes */
    bool skip;                /* the last voter, before it tells */
    struct watch *watch;
    uint32_t commands;        /* elements of EXEC's reply */
    struct group *group;
    struct decision_part parts[]; /* group->nparts of them */
};

command_run watch_run_watch, watch_run_unwatch;

/* --- home --- */
bool watch_dirty(const struct conn *conn);
uint32_t watch_count(const struct conn *conn);
size_t watch_memory(const struct conn *conn);
/* WATCH, in the connection's session. */
void watch_command(struct shard *s, struct conn *conn, const struct command *cmd,
                   const struct slice *argv, uint32_t argc);
/* The connection watches nothing any more. */
void watch_end(struct conn *conn);
/* EXEC: the check that stands before a transaction of so many commands. From here on every run that
 * is begun for the connection has a part of it (watch_check_run), until watch_check_end(). Returns
 * the op in the connection's order. */
struct op *watch_check_begin(struct shard *s, struct conn *conn, const struct command *cmd,
                             uint32_t commands);
void watch_check_run(struct shard *s, struct conn *conn, struct run *run);
void watch_check_end(struct shard *s, struct conn *conn);
/* The check's reply, when all parts are back; true when the transaction was skipped. */
bool watch_check_reply(const struct op *head, struct reply *out);

/* --- the executing shard --- */
/* A check's turn has come. False: it waits for the other shards. Else op->outcome says. */
bool watch_decide(struct shard *s, struct op *op);
void watch_decided(struct message *message);
/* --- the owner of a key --- */
void watch_touched(struct shard *s, int db, const struct key *k);
void watch_flushing(struct shard *s, int db);
void watch_swapping(struct shard *s, int a, int b);
/* A database (-1: all) was emptied or swapped while it was lent: what it held is not known. */
void watch_changed(struct shard *s, int db);

#endif
