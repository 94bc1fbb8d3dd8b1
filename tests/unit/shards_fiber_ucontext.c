/* shards_fiber_ucontext.c - the same as shards_fiber.c, with the switch of other processors. */
#define FIBER_UCONTEXT
#define SUITE shards_fiber_ucontext
#include "shards/fiber.c"
#include "tests/unit/shards_fiber.c"
