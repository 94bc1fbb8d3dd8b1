/* cmd_scan.h - what SCAN, HSCAN, SSCAN and ZSCAN share: cursor, options, the form of the reply; and
 * SCAN's cursor for those who must read it before the command runs. Any thread.
 *
 *   63         48 47                                    0
 *   slot          position in the slot's table (hash order)       SCAN's
 *
 * 0 starts a scan and ends it. */
#ifndef ASHLAR_CORE_CMD_SCAN_H
#define ASHLAR_CORE_CMD_SCAN_H

#include "core/command.h"
#include "proto/slice.h"
#include <stdbool.h>
#include <stdint.h>

enum { SCAN_CURSOR_SLOT_SHIFT = 48, SCAN_COUNT_DEFAULT = 10 };

/* Reads a cursor as strictly, or rather as leniently, as Redis 7.0: an empty one is 0, a sign is
 * allowed. False when it is not one ("ERR invalid cursor"). */
bool scan_cursor_parse(struct slice text, uint64_t *cursor);

struct scan_options {
    struct slice pattern;
    bool all;      /* no pattern, or "*" */
    int64_t count; /* at least 1 */
};

/* An option that only some know: the one at argv[*i], which is left at the option's last word. */
typedef bool scan_option(struct call *c, uint32_t *i, void *ctx);
/* COUNT and MATCH from argv[at] on; other is asked about the rest (NULL: there is no other). False: an
 * error was replied. */
bool scan_options_parse(struct call *c, uint32_t at, struct scan_options *o, scan_option *other,
                        void *ctx);
void scan_set_pattern(struct scan_options *o, struct slice pattern);
bool scan_wants(const struct scan_options *o, struct slice name);
/* The reply: elements (count of them) behind the cursor, which is known only after them. Empties
 * elements. */
void scan_reply(struct reply *out, uint64_t cursor, struct reply *elements, size_t count);
/* … where there is nothing. */
void scan_reply_empty(struct reply *out);

#endif
