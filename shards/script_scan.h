/* script_scan.h - a look at a script's text: can it touch other keys than those it is given?
 *
 * A script may name any key in redis.call, so where there are several shards it needs all of them,
 * whole, until it is known better. Most scripts show at a glance that they keep to their keys:
 *
 *   local n = redis.call('INCR', KEYS[1])
 *   if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
 *
 * The scan splits the text into words and accepts it when
 *  - redis is only ever followed by .call or .pcall with a literal command, or by another field;
 *  - every argument that is a key of such a command is KEYS[…], or a local that is bound once, to
 *    KEYS[…], or unpack(KEYS) at the end;
 *  - KEYS is never assigned to or handed on, and nothing is used that gets at globals in other ways.
 * Whatever it does not understand it does not accept. A script that gets through and strays all the
 * same (debug tricks) does no harm: keys are checked when it runs.
 *
 * Any thread.
 */
#ifndef ASHLAR_SHARDS_SCRIPT_SCAN_H
#define ASHLAR_SHARDS_SCRIPT_SCAN_H

#include "core/script.h"
#include <stdbool.h>

enum { SCRIPT_SCAN_WORDS_MAX = 4096 }; /* longer ones are not scanned */

/* True: it cannot. */
bool script_scan_is_narrow(const struct script *s);
/* None of the library's functions can: their first parameter must be called keys, and they must not
 * call each other with keys. */
bool script_scan_library_is_narrow(struct slice code);

#endif
