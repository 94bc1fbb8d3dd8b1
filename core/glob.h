/* glob.h - glob patterns as KEYS and SCAN know them: * ? [a-z] [^a] \x. Any thread.
 * Time is bounded: a pattern of many stars gives up rather than exploding. */
#ifndef ASHLAR_CORE_GLOB_H
#define ASHLAR_CORE_GLOB_H

#include "proto/slice.h"

bool glob_match(struct slice pattern, struct slice text, bool ignore_case);
/* The pattern has no special character: it can match only itself. */
bool glob_is_literal(struct slice pattern);

#endif
