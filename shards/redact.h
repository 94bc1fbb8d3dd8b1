/* redact.h - arguments that must not be shown: passwords in MONITOR and in the slow log.
 *
 * Any thread; looks only at what it is given. */
#ifndef ASHLAR_SHARDS_REDACT_H
#define ASHLAR_SHARDS_REDACT_H

#include "core/command.h"
#include <stdbool.h>

/* What is shown in their place. */
#define REDACTED_TEXT "(redacted)"

/* Whether argv[i] of this command is a secret. */
bool redact_argument(const struct command *cmd, const struct slice *argv, uint32_t argc,
                     uint32_t i);

#endif
