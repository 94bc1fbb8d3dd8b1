/* script_run.h - one run of a script, between scripting.c (which starts it) and script_call.c (the
 * commands that it calls). Thread: the shard's that runs it. */
#ifndef ASHLAR_SHARDS_SCRIPT_RUN_H
#define ASHLAR_SHARDS_SCRIPT_RUN_H

#include "shards/scripting.h"

struct script_run {
    struct shard *shard;
    struct scripting *scripting;
    struct call *outer;       /* EVAL's or FCALL's */
    struct runnable *what;
    uint64_t started_ticks;
    int db;                   /* SELECT in a script ends with it */
    bool read_only, allow_oom;
    bool out_of_memory;       /* when it began */
    bool wrote;
    bool bounded;             /* only declared slots are in reach */
    bool watched;             /* not bounded, but told apart (UNKNOWN) */
    bool strayed;             /* reached for others */
    bool may_restart;         /* REACH_TRY: it can be run anew */
    bool abandoned;           /* … and will be */
    bool busy;
};

enum { SCRIPT_RUN_KEYS_FEW = 8 }; /* more declared keys than this are looked up in a bitmap */

/* struct script_host's call and acl_check. */
void script_call(void *ctx, const struct slice *argv, uint32_t argc, struct reply *out);
int script_call_allowed(void *ctx, const struct slice *argv, uint32_t argc);

#endif
