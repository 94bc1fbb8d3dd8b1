/* script_harness.h - the commands EVAL, SCRIPT, FUNCTION and FCALL over one VM and a harness.h
 * keyspace, as a server of one shard would run them; all other commands go to the harness. Enough
 * to compare scripts with redis-server: no ACL, no maxmemory, no replicas.
 *
 * The test that uses it names its tables with HARNESS_COMMANDS. */
#ifndef ASHLAR_TESTS_SCRIPT_HARNESS_H
#define ASHLAR_TESTS_SCRIPT_HARNESS_H

#include "core/function.h"
#include "tests/unit/harness.h"

struct script_harness {
    struct harness *h;
    struct script_vm *vm;
    struct function_set *set;
    /* for the test to set */
    enum script_verdict verdict;   /* what tick answers */
    /* what the last script did */
    struct script_result result;
    uint32_t ticks, calls;
    int repl;                      /* redis.set_repl; -1: not called */
    char log[256];                 /* last line of redis.log, "level text" */

    struct script **scripts_;      /* the cache that EVALSHA and SCRIPT EXISTS look at */
    uint32_t script_count_, script_cap_;
    bool read_only_;
    struct reply reply_;
    char *text_;
};

struct script_harness *script_harness_new(void);
void script_harness_free(struct script_harness *sh);
/* The reply as RESP text, good until the next run. */
struct slice script_harness_run(struct script_harness *sh, const struct slice *argv, uint32_t argc);
/* EVAL body with keys and args: words up to NULL, the keys before "," and the arguments behind. */
const char *script_harness_eval(struct script_harness *sh, const char *body, ...)
    __attribute__((sentinel));
/* One command, words up to NULL. */
const char *script_harness_do(struct script_harness *sh, const char *word, ...)
    __attribute__((sentinel));

#endif
