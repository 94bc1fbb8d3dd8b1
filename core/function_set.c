/* function_set.c - all libraries at one moment: looking up, changing, showing, dumping. See
 * function.h. A set is an array of libraries by name and one of functions by name; changes copy the
 * arrays, which are small, and share the libraries. */
#include "core/blob.h"
#include "core/function.h"
#include "core/glob.h"
#include "core/mem.h"
#include "core/script_internal.h"
#include "core/serial_type.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OPCODE_FUNCTION = 246,  /* release candidates of Redis 7.0: name, engine, description, code */
    OPCODE_FUNCTION2 = 245, /* code with its shebang */
    FOOTER_BYTES = 10,
    CODE_MAX_BYTES = 1 << 29, /* of one library */
};

static int library_order(const void *a, const void *b)
{
    return strcmp((*(struct function_library *const *)a)->name,
                  (*(struct function_library *const *)b)->name);
}

static int function_order(const void *a, const void *b)
{
    return strcasecmp((*(const struct function *const *)a)->name,
                      (*(const struct function *const *)b)->name);
}

static size_t library_bytes(const struct function_library *lib)
{
    size_t bytes = sizeof *lib + strlen(lib->name) + 1 + lib->code_len + 1;
    for (uint32_t i = 0; i < lib->count; i++) {
        const struct function *f = &lib->functions[i];
        bytes += sizeof *f + strlen(f->name) + 1 + f->description_len;
    }
    return bytes;
}

/* A set of these libraries; takes the array and its references. */
static struct function_set *make_set(struct function_library **libraries, uint32_t count)
{
    struct function_set *set = mem_alloc_zero(sizeof *set);
    atomic_init(&set->refs_, 1);
    set->libraries = libraries;
    set->count = count;
    set->memory_bytes = sizeof *set + count * sizeof *libraries;
    for (uint32_t i = 0; i < count; i++) {
        set->function_count += libraries[i]->count;
        set->memory_bytes += library_bytes(libraries[i]);
    }
    if (count == 0) {
        return set;
    }
    qsort(libraries, count, sizeof *libraries, library_order);
    set->functions = mem_alloc(set->function_count * sizeof *set->functions);
    set->memory_bytes += set->function_count * sizeof *set->functions;
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < libraries[i]->count; j++) {
            set->functions[n++] = &libraries[i]->functions[j];
        }
    }
    qsort(set->functions, n, sizeof *set->functions, function_order);
    return set;
}

struct function_set *function_set_empty(void)
{
    return make_set(NULL, 0);
}

struct function_set *function_set_ref(struct function_set *set)
{
    uint32_t before = atomic_fetch_add_explicit(&set->refs_, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return set;
}

void function_set_unref(struct function_set *set)
{
    if (atomic_fetch_sub_explicit(&set->refs_, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        function_library_unref(set->libraries[i]);
    }
    mem_free(set->libraries);
    mem_free(set->functions);
    mem_free(set);
}

/* strcasecmp of a slice and a name. */
static int compare_name(struct slice a, const char *b)
{
    int order = strncasecmp(a.ptr, b, a.len);
    return order != 0 ? order : b[a.len] == 0 ? 0 : -1;
}

const struct function *function_set_find(const struct function_set *set, struct slice name)
{
    if (memchr(name.ptr, 0, name.len) != NULL) {
        return NULL;
    }
    uint32_t low = 0, high = set->function_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_name(name, set->functions[middle]->name);
        if (order == 0) {
            return set->functions[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

struct function_library *function_set_library(const struct function_set *set, struct slice name)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (slice_equal(name, slice_str(set->libraries[i]->name))) {
            return set->libraries[i];
        }
    }
    return NULL;
}

/* --- Changes --- */

/* Libraries of both sets; those of set that have a namesake in more give way. */
static struct function_set *join(const struct function_set *set,
                                 struct function_library *const *more, uint32_t more_count)
{
    struct function_library **all = mem_alloc((set->count + more_count) * sizeof *all);
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        bool replaced = false;
        for (uint32_t j = 0; j < more_count && !replaced; j++) {
            replaced = strcmp(set->libraries[i]->name, more[j]->name) == 0;
        }
        if (!replaced) {
            all[n++] = function_library_ref(set->libraries[i]);
        }
    }
    for (uint32_t j = 0; j < more_count; j++) {
        all[n++] = function_library_ref(more[j]);
    }
    return make_set(all, n);
}

/* A function of lib that another library of set has, the one of lib's own name left aside. */
static const struct function *find_collision(const struct function_set *set,
                                             const struct function_library *lib)
{
    for (uint32_t i = 0; i < lib->count; i++) {
        const struct function *f = &lib->functions[i];
        const struct function *other = function_set_find(set, slice_str(f->name));
        if (other != NULL && strcmp(other->library->name, lib->name) != 0) {
            return f;
        }
    }
    return NULL;
}

struct function_set *function_set_add(const struct function_set *set, struct function_library *lib,
                                      bool replace, struct reply *out)
{
    if (!replace && function_set_library(set, slice_str(lib->name)) != NULL) {
        reply_errorf(out, "ERR Library '%s' already exists", lib->name);
        return NULL;
    }
    const struct function *taken = find_collision(set, lib);
    if (taken != NULL) {
        reply_errorf(out, "ERR Function %s already exists", taken->name);
        return NULL;
    }
    return join(set, &lib, 1);
}

struct function_set *function_set_load(const struct function_set *set, struct script_vm *vm,
                                       struct slice code, bool replace, int64_t timeout_ms,
                                       struct function_library **loaded, struct reply *out)
{
    struct slice name;
    size_t shebang_len;
    if (!function__parse_shebang(code, &name, &shebang_len, out)) {
        return NULL;
    }
    bool taken = function_set_library(set, name) != NULL;
    if (taken && !replace) {
        reply_errorf(out, "ERR Library '%s' already exists", name.ptr);
    }
    mem_free((char *)name.ptr);
    if (taken && !replace) {
        return NULL;
    }
    struct function_library *lib = function_library_load(vm, code, timeout_ms, out);
    if (lib == NULL) {
        return NULL;
    }
    struct function_set *added = function_set_add(set, lib, replace, out);
    if (added == NULL) {
        function_library_unref(lib);
        function_vm_settle(vm);
        return NULL;
    }
    *loaded = lib;
    return added;
}

struct function_set *function_set_delete(const struct function_set *set, struct slice library,
                                         struct reply *out)
{
    const struct function_library *gone = function_set_library(set, library);
    if (gone == NULL) {
        reply_error(out, "ERR Library not found");
        return NULL;
    }
    struct function_library **rest = mem_alloc(set->count * sizeof *rest);
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->libraries[i] != gone) {
            rest[n++] = function_library_ref(set->libraries[i]);
        }
    }
    return make_set(rest, n);
}

/* --- DUMP and RESTORE --- */

void function_set_dump(const struct function_set *set, const struct settings *settings,
                       struct bytes *out, bool without_footer)
{
    const size_t start = out->len;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct function_library *lib = set->libraries[i];
        serial__write_byte(out, OPCODE_FUNCTION2);
        serial__write_string(out, slice_of(lib->code, lib->code_len), settings);
    }
    if (!without_footer) {
        serial__write_footer(out, start);
    }
}

/* A string of the payload, appended to code. */
static bool append_string(struct serial_reader *r, struct bytes *code)
{
    struct blob *blob;
    int64_t number;
    if (!serial__read_string(r, &blob, &number)) {
        return false;
    }
    if (blob == NULL) {
        char digits[24];
        bytes_append(code, digits, (size_t)snprintf(digits, sizeof digits, "%lld",
                                                    (long long)number));
        return true;
    }
    bytes_append(code, blob->data, blob->len);
    blob_release(blob);
    return true;
}

/* Of the old form: name and engine become a shebang, the description is dropped. NULL: good, else
 * the error. */
static const char *read_old_library(struct serial_reader *r, struct bytes *code)
{
    struct bytes name = {0}, engine = {0}, description = {0};
    uint64_t has_description = 0;
    const char *error = NULL;
    if (!append_string(r, &name)) {
        error = "Failed loading library name";
    } else if (!append_string(r, &engine)) {
        error = "Failed loading engine name";
    } else if (!serial__read_len(r, &has_description)) {
        error = "Failed loading library description indicator";
    } else if (has_description != 0 && !append_string(r, &description)) {
        error = "Failed loading library description";
    } else {
        bytes_append(code, "#!", 2);
        bytes_append(code, engine.data, engine.len);
        bytes_append(code, " name=", 6);
        bytes_append(code, name.data, name.len);
        bytes_append(code, "\n", 1);
        if (!append_string(r, code)) {
            error = "Failed loading library blob";
        }
    }
    bytes_free(&name);
    bytes_free(&engine);
    bytes_free(&description);
    return error;
}

/* The next library of a payload as its code. False: an error was written. */
static bool read_library(struct serial_reader *r, struct bytes *code, struct reply *out)
{
    const uint8_t *opcode = serial__read_bytes(r, 1);
    const char *error = NULL;
    if (opcode == NULL) {
        error = "can not read data type";
    } else if (*opcode == OPCODE_FUNCTION2) {
        error = append_string(r, code) ? NULL : "Failed loading library payload";
    } else if (*opcode == OPCODE_FUNCTION) {
        error = read_old_library(r, code);
    } else {
        error = "given type is not a function";
    }
    if (error != NULL) {
        reply_errorf(out, "ERR %s", error);
    }
    return error == NULL;
}

/* All libraries of a payload as a set of their own. */
static struct function_set *read_payload(struct script_vm *vm, struct slice payload,
                                         struct reply *out)
{
    static const struct settings bounds = {.proto_max_bulk_len = CODE_MAX_BYTES};
    struct serial_reader r = {.settings = &bounds};
    if (!serial__footer_is_good(payload, false, &r.version)) {
        reply_error(out, "ERR DUMP payload version or checksum are wrong");
        return NULL;
    }
    r.at = (const uint8_t *)payload.ptr;
    r.end = r.at + payload.len - FOOTER_BYTES;
    struct function_set *set = function_set_empty();
    while (set != NULL && r.at < r.end) {
        struct bytes code = {0};
        struct function_library *lib = NULL;
        struct function_set *more = NULL;
        if (read_library(&r, &code, out)) {
            more = function_set_load(set, vm, slice_of(code.data, code.len), false, 0, &lib, out);
        }
        if (lib != NULL) {
            function_library_unref(lib);
        }
        bytes_free(&code);
        function_set_unref(set);
        set = more;
    }
    return set;
}

/* APPEND and REPLACE: nothing of loaded may stand in the way of what stays of set. */
static bool may_join(const struct function_set *set, const struct function_set *loaded,
                     bool replace, struct reply *out)
{
    for (uint32_t i = 0; !replace && i < loaded->count; i++) {
        if (function_set_library(set, slice_str(loaded->libraries[i]->name)) != NULL) {
            reply_errorf(out, "ERR Library %s already exists", loaded->libraries[i]->name);
            return false;
        }
    }
    for (uint32_t i = 0; i < loaded->function_count; i++) {
        const struct function *f = loaded->functions[i];
        const struct function *other = function_set_find(set, slice_str(f->name));
        if (other != NULL &&
            function_set_library(loaded, slice_str(other->library->name)) == NULL) {
            reply_errorf(out, "ERR Function %s already exists", f->name);
            return false;
        }
    }
    return true;
}

struct function_set *function_set_restore(const struct function_set *set, struct script_vm *vm,
                                          struct slice payload, enum function_restore policy,
                                          struct reply *out)
{
    struct function_set *loaded = read_payload(vm, payload, out);
    if (loaded == NULL || policy == FUNCTION_RESTORE_FLUSH) {
        return loaded;
    }
    struct function_set *joined = NULL;
    if (may_join(set, loaded, policy == FUNCTION_RESTORE_REPLACE, out)) {
        joined = join(set, loaded->libraries, loaded->count);
    }
    function_set_unref(loaded);
    function_vm_settle(vm);
    return joined;
}

/* --- What is shown --- */

static void reply_flags(uint32_t flags, struct reply *out)
{
    reply_set(out, (size_t)__builtin_popcount(flags));
    for (unsigned bit = 0; bit < 32; bit++) {
        if (flags & (1u << bit)) {
            reply_status(out, script_flag_name(bit));
        }
    }
}

static void reply_library(const struct function_library *lib, bool with_code, struct reply *out)
{
    reply_map(out, with_code ? 4 : 3);
    reply_bulk_str(out, "library_name");
    reply_bulk_str(out, lib->name);
    reply_bulk_str(out, "engine");
    reply_bulk_str(out, "LUA");
    reply_bulk_str(out, "functions");
    reply_array(out, lib->count);
    for (uint32_t i = 0; i < lib->count; i++) {
        const struct function *f = &lib->functions[i];
        reply_map(out, 3);
        reply_bulk_str(out, "name");
        reply_bulk_str(out, f->name);
        reply_bulk_str(out, "description");
        if (f->description != NULL) {
            reply_bulk(out, f->description, f->description_len);
        } else {
            reply_null(out);
        }
        reply_bulk_str(out, "flags");
        reply_flags(f->flags, out);
    }
    if (with_code) {
        reply_bulk_str(out, "library_code");
        reply_bulk(out, lib->code, lib->code_len);
    }
}

static bool is_shown(const struct function_library *lib, struct slice pattern)
{
    return pattern.ptr == NULL || glob_match(pattern, slice_str(lib->name), true);
}

void function_set_reply_list(const struct function_set *set, struct slice pattern, bool with_code,
                             struct reply *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        n += is_shown(set->libraries[i], pattern);
    }
    reply_array(out, n);
    for (uint32_t i = 0; i < set->count; i++) {
        if (is_shown(set->libraries[i], pattern)) {
            reply_library(set->libraries[i], with_code, out);
        }
    }
}

void function_set_reply_engines(const struct function_set *set, struct reply *out)
{
    reply_map(out, 1);
    reply_bulk_str(out, "LUA");
    reply_map(out, 2);
    reply_bulk_str(out, "libraries_count");
    reply_int(out, set->count);
    reply_bulk_str(out, "functions_count");
    reply_int(out, set->function_count);
}
