/* fiber.h - a function on a stack of its own, which can be left in the middle and entered again.
 *
 *   thread's stack:   fiber_enter() ──────────┐         ┌── returns false   fiber_enter() ──┐
 *   fiber's stack:                    main(arg) … fiber_leave() ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ returns … end
 *
 * A stack is mapped, with a page in front that must not be touched.
 * A switch saves what a function call has to preserve, and nothing else: the few nanoseconds of a
 * call. (Other processors than x86-64: ucontext, two system calls.)
 *
 * F1  A fiber is entered and left on one thread only.
 * F2  Who is on a fiber does not enter another.
 */
#ifndef ASHLAR_SHARDS_FIBER_H
#define ASHLAR_SHARDS_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;
typedef void fiber_main(void *arg);

/* NULL when there is no memory for a stack. */
struct fiber *fiber_new(void);
/* Its function has come to its end. */
void fiber_free(struct fiber *f);

/* What the next fiber_enter() begins. */
void fiber_begin(struct fiber *f, fiber_main *main, void *arg);
/* Goes on with it until it leaves, or ends: true then. */
bool fiber_enter(struct fiber *f);
/* On the fiber: back to where it was entered. Returns when it is entered again. */
void fiber_leave(struct fiber *f);

#endif
