/* scripting.h - running scripts and functions: EVAL, EVALSHA, FCALL and what they call.
 *
 *   home:      prepare ► find or make the script ► how far does it reach? ► route
 *   executing: cmd_eval ► script_run(vm) ─redis.call─► host_call ► row's run() on this thread
 *
 * A script runs where its keys lie, as any command does (command.h): on one shard, as one free or
 * ordered op; over several, with their slots lent to the runner (APART_LEND); its commands run as if
 * they were called there, on the outer call's keyspace or views. To all others it is one command.
 *
 * Keys that a script does not declare work as in Redis. With one shard nothing is special. With
 * several, a script (by digest; a function by its library) is in one of four states:
 *
 *                    first run: all shards whole
 *   UNKNOWN ──┬── only read its keys ──► TRIED ──┐
 *             │                                  │ writes, or reaches for another slot
 *             └── did more ──► WIDE ◄────────────┘
 *   PROVEN: its text shows that it cannot (script_scan.h)
 *
 *   PROVEN    runs on its keys' slots alone, pipelined like any command
 *   TRIED     the same, but its connection takes in nothing behind it until it is answered: if it
 *             is about to do more, it is abandoned and run anew, with all shards whole, at a later
 *             place in the order; a command behind it must not have run by then
 *   UNKNOWN,  borrow all shards whole (group_lend_all): nothing else runs meanwhile, as in Redis.
 *   WIDE      Costs a message to and from every shard, and their time while it runs
 *
 * I1  What a script touches on a shard lies in slots that its op holds there (or the shard is its
 *     own and has come to the op's turn), else the script is stopped before the command runs.
 * I2  A script that is run anew has changed nothing.
 * I3  While a script is busy (busy.h) its shard runs no other op: shard_serve only collects.
 *
 * Thread: the shard's.
 */
#ifndef ASHLAR_SHARDS_SCRIPTING_H
#define ASHLAR_SHARDS_SCRIPTING_H

#include "core/command.h"
#include "core/script.h"
#include "shards/scripts.h"
#include "shards/shard.h"

struct script_run;

/* What a shard has for scripts. */
struct scripting {
    struct script_vm *vm;          /* NULL: none has run here yet */
    struct script_run *running;    /* NULL: none runs now */
    struct key *keys;              /* scratch: of the command that a script calls */
    uint32_t *positions;
    uint32_t keys_cap;
    uint64_t declared[SLOT_COUNT / 64]; /* slots in reach, of runs with many keys; else 0 */
    /* for INFO; the shard writes, any reads */
    _Atomic uint64_t vm_bytes, vm_function_bytes;
};

struct scripting *scripting_new(void);
void scripting_free(struct scripting *s);
/* The shard's VM, made on first use. */
struct script_vm *scripting_vm(struct shard *s);
/* Publishes the VM's memory: now and then. */
void scripting_measure(struct shard *s);
/* Of all shards, as published. Any shard's thread. */
void scripting_memory(const struct server *server, uint64_t *eval_bytes, uint64_t *function_bytes);

/* Compiles r on its first run anywhere, so that what does not compile stays unknown. False: an error
 * was written. */
bool scripting_compiles(struct shard *s, struct runnable *r, struct reply *out);
/* The flags of the command with what the script that it runs says of itself. */
uint32_t scripting_command_flags(const struct command *cmd, const struct runnable *r);
/* Runs r for c: checks its flags, writes one reply. keys lie at argv[3]. */
void scripting_run(struct call *c, struct runnable *r, uint32_t nkeys, bool read_only_command);

/* What runs on this shard, for FUNCTION STATS: NULL when nothing does. */
const struct call *scripting_running(const struct shard *s, const char **name, uint64_t *duration_ms,
                                     bool *is_function);
/* worker.c: a turn of the thread between a busy script's instructions; runs no op of s (I3). */
void shard_serve(struct shard *s);
/* … between those of one that is not busy yet: siblings only, now and then. */
void shard_share(struct shard *s);

#endif
