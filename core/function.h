/* function.h - libraries of functions: FUNCTION LOAD, FCALL, and what FUNCTION LIST shows.
 *
 *   struct function_library   one FUNCTION LOAD: name, code, functions. Immutable, counted.
 *   struct function_set       all libraries at one moment. Immutable, counted: a change makes a new
 *                             set that shares the libraries, and whoever runs functions takes the
 *                             set that is current at his place in the order.
 *
 *   home: function_library_load(vm, code) ► function_set_add(set, library) ► publish the new set
 *   FCALL: function_set_find(set, name) ► function_run(vm, function, call, out)
 *
 * Loading runs the library's code once in the VM of the shard that serves FUNCTION LOAD, to learn
 * what it registers; every other VM runs it again when it first calls one of its functions
 * (lazily). What a library keeps in local variables is therefore one copy per shard, and gone after
 * a restart: Redis promises no more than the second.
 *
 * Threads: values on any thread; functions that take a VM on the VM's.
 */
#ifndef ASHLAR_CORE_FUNCTION_H
#define ASHLAR_CORE_FUNCTION_H

#include "core/script.h"
#include "core/serial.h"

enum { FUNCTION_LOAD_TIMEOUT_MS = 500 };

struct function {
    char *name;                             /* zero-terminated: letters, digits, _ */
    char *description;                      /* NULL: none */
    size_t description_len;
    uint32_t flags;                         /* enum script_flag */
    const struct function_library *library;
};

struct function_library {
    _Atomic uint32_t refs_;
    uint32_t count;
    char *name;
    char *code;                 /* with its shebang line, and a 0 behind it */
    size_t code_len;
    struct function *functions; /* count of them, by name */
};

/* FUNCTION LOAD: parses "#!lua name=…", runs the code. NULL: an error was written to out.
 * timeout_ms 0: none. */
struct function_library *function_library_load(struct script_vm *vm, struct slice code,
                                               int64_t timeout_ms, struct reply *out);
struct function_library *function_library_ref(struct function_library *lib);
void function_library_unref(struct function_library *lib);

struct function_set {
    _Atomic uint32_t refs_;
    uint32_t count, function_count;
    struct function_library **libraries; /* by name */
    const struct function **functions;   /* by name without regard to case */
    size_t memory_bytes;                 /* of the set and its libraries */
};

struct function_set *function_set_empty(void);
struct function_set *function_set_ref(struct function_set *set);
void function_set_unref(struct function_set *set);
/* Names of functions without regard to case, of libraries with. NULL: there is none. */
const struct function *function_set_find(const struct function_set *set, struct slice name);
struct function_library *function_set_library(const struct function_set *set, struct slice name);

/* New sets; the old one stays as it is. NULL: an error was written to out. */
struct function_set *function_set_add(const struct function_set *set, struct function_library *lib,
                                      bool replace, struct reply *out);
struct function_set *function_set_delete(const struct function_set *set, struct slice library,
                                         struct reply *out);
enum function_restore { FUNCTION_RESTORE_APPEND, FUNCTION_RESTORE_REPLACE, FUNCTION_RESTORE_FLUSH };
struct function_set *function_set_restore(const struct function_set *set, struct script_vm *vm,
                                          struct slice payload, enum function_restore policy,
                                          struct reply *out);
/* FUNCTION LOAD in one: parse, refuse a name that is taken (unless replace) before any code runs,
 * load, add. On success *loaded is the new library, the caller's to unref. */
struct function_set *function_set_load(const struct function_set *set, struct script_vm *vm,
                                       struct slice code, bool replace, int64_t timeout_ms,
                                       struct function_library **loaded, struct reply *out);

/* FUNCTION DUMP's payload; without_footer: as an RDB file has it. */
void function_set_dump(const struct function_set *set, const struct settings *settings,
                       struct bytes *out, bool without_footer);

/* FUNCTION LIST. pattern.ptr NULL: all. */
void function_set_reply_list(const struct function_set *set, struct slice pattern, bool with_code,
                             struct reply *out);
/* FUNCTION STATS: the value of "engines". */
void function_set_reply_engines(const struct function_set *set, struct reply *out);

/* FCALL: runs it, writes one reply. The caller has asked script_may_run(f->flags, …). */
struct script_result function_run(struct script_vm *vm, const struct function *f,
                                  const struct script_call *call, struct reply *out);
/* Lets go of what the VM holds of libraries that nobody else refers to. It does so by itself when
 * it next instantiates a library; after FUNCTION FLUSH or DELETE a shard may do it at once. */
void function_vm_settle(struct script_vm *vm);

#endif
