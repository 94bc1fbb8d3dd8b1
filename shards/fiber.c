/* fiber.c - see fiber.h.
 *
 * A fiber's own function never ends: it runs what fiber_begin() gave it, says that this is done,
 * leaves, and runs the next. So a stack is set up once.
 *
 * The sanitizers have to be told of every switch: AddressSanitizer where the stack lies, and
 * ThreadSanitizer that another one goes on with its work. */
#include "shards/fiber.h"
#include "core/mem.h"
#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(FIBER_UCONTEXT)
#define FIBER_ASSEMBLY 1
#else
#define FIBER_ASSEMBLY 0
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/* Of address space; what is never touched takes no memory. liblzf alone wants 512 KiB. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STACK_BYTES = 4 << 20 };
#else
enum { STACK_BYTES = 2 << 20 };
#endif

/* Where somebody is who does not run. */
struct place {
#if FIBER_ASSEMBLY
    void *sp; /* everything else lies on the stack */
#else
    ucontext_t context;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void *fake; /* its stack of variables that are watched after their end */
    const void *stack;
    size_t stack_bytes;
#endif
#if defined(__SANITIZE_THREAD__)
    void *tsan;
#endif
};

struct fiber {
    char *map;          /* guard page, then the stack */
    size_t map_bytes;
    fiber_main *main;
    void *arg;
    bool ended;
    struct place inside, outside;
};

/* --- switching ------------------------------------------------------------------------------- */

#if FIBER_ASSEMBLY
/* Saves the registers that a call preserves on the stack, notes where, and takes those of another. */
void fiber__switch(void **save, void *load);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber__switch\n"
        ".hidden fiber__switch\n"
        ".type fiber__switch, @function\n"
        "fiber__switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size fiber__switch, .-fiber__switch\n");
enum { SAVED_REGISTERS = 6 };
#endif

/* The fiber that is entered for the first time on this thread. */
static _Thread_local struct fiber *starting;

/* Now at to; the one who left knows from where. */
static void arrived(struct place *to, struct place *from)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(to->fake, &from->stack, &from->stack_bytes);
#endif
    (void)to;
    (void)from;
}

static void go(struct place *from, struct place *to)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
    from->tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
#if FIBER_ASSEMBLY
    fiber__switch(&from->sp, to->sp);
#else
    swapcontext(&from->context, &to->context);
#endif
    arrived(from, to);
}

static void body(void)
{
    struct fiber *f = starting;
    arrived(&f->inside, &f->outside);
    for (;;) {
        f->main(f->arg);
        f->ended = true;
        go(&f->inside, &f->outside);
    }
}

/* --- stacks ---------------------------------------------------------------------------------- */

static void prepare(struct fiber *f, size_t guard)
{
    char *stack = f->map + guard;
#if FIBER_ASSEMBLY
    /* As if body() had called fiber__switch(): registers, where to return to, and where body()
     * itself would (nowhere: what walks the stack ends there). */
    void **top = (void **)(void *)(stack + STACK_BYTES) - 1; /* a call's alignment */
    top[0] = NULL;
    top[-1] = (void *)(uintptr_t)body;
    f->inside.sp = top - 1 - SAVED_REGISTERS;
#else
    getcontext(&f->inside.context);
    f->inside.context.uc_stack.ss_sp = stack;
    f->inside.context.uc_stack.ss_size = STACK_BYTES;
    f->inside.context.uc_link = NULL;
    makecontext(&f->inside.context, body, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
    f->inside.stack = stack;
    f->inside.stack_bytes = STACK_BYTES;
#endif
#if defined(__SANITIZE_THREAD__)
    f->inside.tsan = __tsan_create_fiber(0);
#endif
    (void)stack;
}

struct fiber *fiber_new(void)
{
    const size_t guard = (size_t)sysconf(_SC_PAGESIZE), bytes = guard + STACK_BYTES;
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(map, guard, PROT_NONE) != 0) {
        munmap(map, bytes);
        return NULL;
    }
    struct fiber *f = mem_alloc_zero(sizeof *f);
    f->map = map;
    f->map_bytes = bytes;
    f->ended = true;
    prepare(f, guard);
    return f;
}

void fiber_free(struct fiber *f)
{
    assert(f->ended);
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(f->inside.tsan);
#endif
    munmap(f->map, f->map_bytes);
    mem_free(f);
}

/* --- running --------------------------------------------------------------------------------- */

void fiber_begin(struct fiber *f, fiber_main *main, void *arg)
{
    assert(f->ended);
    f->main = main;
    f->arg = arg;
    f->ended = false;
}

bool fiber_enter(struct fiber *f)
{
    assert(!f->ended);
    starting = f;
    go(&f->outside, &f->inside);
    return f->ended;
}

void fiber_leave(struct fiber *f)
{
    go(&f->inside, &f->outside);
}
