/* scripts.h - the scripts and functions that the server knows, for all shards.
 *
 *   EVAL body ──► scripts_by_body() ─┐
 *   EVALSHA sha ► scripts_by_sha() ──┼─► struct runnable ─► op->extra ─► the shard that runs it
 *   FCALL name ─► functions_find() ──┘
 *
 * There is one cache of scripts, shared: a hash table whose chains only grow, by one
 * compare-and-swap. So what one connection has made by EVAL or SCRIPT LOAD is found by EVALSHA on
 * every shard from the moment on at which it was put there, and that is while its EVAL is routed:
 * before anybody can know of it. The table can be searched by sha (EVALSHA) and by the hash of the
 * body, so that EVAL computes no sha of a script that is known.
 *
 * SCRIPT FLUSH puts an empty table in the place of the old one: for all shards at one moment. The old
 * one is freed when every shard has answered a broadcast: none can be searching it any more
 * (searches do not outlast the phase or command in which they begin). Functions are published in the
 * same way, a new catalog for every change.
 *
 * How far a script reaches (shards/scripting.h) is remembered with it.
 *
 * I1  A runnable lives while it is in a table or catalog, and while somebody holds a reference.
 * I2  A table or catalog that was replaced is freed only after all shards have passed a broadcast.
 *
 * Any shard's thread.
 */
#ifndef ASHLAR_SHARDS_SCRIPTS_H
#define ASHLAR_SHARDS_SCRIPTS_H

#include "core/function.h"
#include "core/script.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SCRIPT_BUCKETS = 4096, SCRIPT_RECENT = 64 };

enum runnable_reach {
    RUNNABLE_UNKNOWN,  /* has not run yet: runs with everything in reach */
    RUNNABLE_TRIED,    /* has kept to the keys that it was given, so far */
    RUNNABLE_PROVEN,   /* can do nothing else (script_scan.h) */
    RUNNABLE_WIDE,     /* reaches for keys that it is not given: needs everything in reach */
};

enum runnable_code { RUNNABLE_UNSEEN, RUNNABLE_COMPILES, RUNNABLE_BROKEN };

struct function_catalog;

struct runnable {
    _Atomic uint32_t refs_;    /* of a script; a function counts with its catalog */
    _Atomic uint8_t reach;     /* enum runnable_reach */
    _Atomic uint8_t code;      /* enum runnable_code; a broken script is not known to EVALSHA */
    uint32_t flags;            /* enum script_flag */
    struct script *script;     /* one of the two */
    const struct function *function;
    struct function_catalog *catalog; /* of a function */
    /* of a script; written before it can be found */
    uint64_t body_hash;
    struct runnable *next_by_sha, *next_by_body;
};

/* All functions at one moment. Immutable, but for what the runnables remember. */
struct function_catalog {
    _Atomic uint32_t refs_;
    struct function_set *set;
    uint32_t count;
    struct runnable functions[]; /* as in set->functions */
};

struct script_table {
    _Atomic(struct runnable *) by_sha[SCRIPT_BUCKETS], by_body[SCRIPT_BUCKETS];
    _Atomic(struct runnable *) recent[SCRIPT_RECENT]; /* found lately, by a few bytes of the body */
    _Atomic uint64_t count, bytes;
};

struct scripts {
    _Atomic(struct script_table *) table;
    _Atomic(struct function_catalog *) catalog;
};

struct scripts *scripts_new(void);
void scripts_free(struct scripts *s); /* nothing runs any more */

static inline const char *runnable_name(const struct runnable *r)
{
    return r->script != NULL ? r->script->sha : r->function->name;
}
void runnable_ref(struct runnable *r);
void runnable_unref(struct runnable *r);

/* --- scripts; all hand out a reference --- */
/* NULL: not known. sha as the client wrote it. */
struct runnable *scripts_by_sha(struct scripts *s, struct slice sha);
/* The script with this body, made if it is not known. NULL: cannot be made, an error was written to
 * out. */
struct runnable *scripts_by_body(struct scripts *s, struct slice body, struct reply *out);
/* Whether it compiles has turned out: what does not is no longer known to EVALSHA, nor counted. */
void scripts_judge(struct scripts *s, struct runnable *r, bool compiles);
/* Puts an empty table in the place of the present one, which is returned, to be freed (I2). */
struct script_table *scripts_replace(struct scripts *s);
void script_table_free(struct script_table *t);

struct scripts_count {
    uint64_t scripts, script_bytes, functions, libraries, function_bytes;
};
/* For INFO. */
struct scripts_count scripts_count(const struct scripts *s);

/* --- functions --- */
/* NULL: there is none. Hands out a reference. */
struct runnable *functions_find(struct scripts *s, struct slice name);
/* The present set: valid until this shard runs something else, or takes its mailbox (I2). */
struct function_catalog *functions_now(const struct scripts *s);
/* Puts set (taken over) in the place of old's. False: another one came first; set is released. On
 * success old is the caller's, to be released by function_catalog_unref() as I2 says. */
bool functions_publish(struct scripts *s, struct function_catalog *old, struct function_set *set);
void function_catalog_unref(struct function_catalog *c);

#endif
