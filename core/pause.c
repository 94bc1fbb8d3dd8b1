/* pause.c - see pause.h. */
#include "core/pause.h"

_Thread_local struct pause pause_state = {.left = INT64_MAX};

void pause_disarm(void)
{
    pause_state = (struct pause){.left = INT64_MAX};
}

void pause_reached(void)
{
    if (pause_state.hook == NULL) {
        pause_state.left = INT64_MAX;
        return;
    }
    pause_state.hook(pause_state.ctx);
}
