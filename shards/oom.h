/* oom.h - oom-score-adj: whom the kernel ends first when the host runs out of memory.
 *
 * The process's own score is remembered when it is first changed, and restored by `no`. Only a
 * master's value is used: there are no replicas and no child processes yet.
 *
 * Thread: the one that starts the server, then whoever has the right to change the configuration
 * (server->config_changing).
 */
#ifndef ASHLAR_SHARDS_OOM_H
#define ASHLAR_SHARDS_OOM_H

#include "shards/config.h"

/* Whether a change from one to the other needs oom_score_apply(). */
bool oom_score_differs(const struct config *a, const struct config *b);
/* Writes the score that the configuration asks for. 0, or negative errno (logged). */
int oom_score_apply(const struct config *config);

#endif
