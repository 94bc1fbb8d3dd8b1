/* watch.c - see watch.h. */
#include "shards/watch.h"

void watch_run_unwatch(struct call *c)
{
    reply_ok(c->out);
}
