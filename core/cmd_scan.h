/* cmd_scan.h - SCAN's cursor, for those who must read it before the command runs. Any thread.
 *
 *   63         48 47                                    0
 *   slot          position in the slot's table (hash order)
 *
 * 0 starts a scan and ends it. */
#ifndef ASHLAR_CORE_CMD_SCAN_H
#define ASHLAR_CORE_CMD_SCAN_H

#include "proto/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { SCAN_CURSOR_SLOT_SHIFT = 48 };

/* Reads a cursor as strictly, or rather as leniently, as Redis 7.0: an empty one is 0, a sign is
 * allowed. False when it is not one ("ERR invalid cursor"). */
bool scan_cursor_parse(struct slice text, uint64_t *cursor);

#endif
