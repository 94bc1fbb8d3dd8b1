/* script_harness.c - see script_harness.h. */
#include "script_harness.h"
#include "core/mem.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 64 };

/* --- The host --- */

static const struct command *find_row(const struct slice *argv, uint32_t argc)
{
    const struct command *row = harness_find(argv[0], argc > 1 ? &argv[1] : NULL);
    return row;
}

static bool is_never_in_scripts(struct slice name)
{
    static const char *const names[] = {"eval", "evalsha", "fcall", "script", "function", "multi",
                                        "subscribe", "hello"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (slice_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Commands of the server that scripts like to call. */
static bool call_builtin(const struct slice *argv, uint32_t argc, struct reply *out)
{
    if (slice_is(argv[0], "ping") && argc == 1) {
        reply_status(out, "PONG");
    } else if (slice_is(argv[0], "ping") && argc == 2) {
        reply_bulk(out, argv[1].ptr, argv[1].len);
    } else if (slice_is(argv[0], "echo") && argc == 2) {
        reply_bulk(out, argv[1].ptr, argv[1].len);
    } else {
        return false;
    }
    return true;
}

static void host_call(void *ctx, const struct slice *argv, uint32_t argc, struct reply *out)
{
    struct script_harness *sh = ctx;
    sh->calls++;
    if (call_builtin(argv, argc, out)) {
        return;
    }
    const struct command *row = find_row(argv, argc);
    if (is_never_in_scripts(argv[0])) {
        reply_error(out, SCRIPT_ERROR_NOSCRIPT);
    } else if (row == NULL) {
        reply_error(out, SCRIPT_ERROR_UNKNOWN);
    } else if (row->arity > 0 ? argc != (uint32_t)row->arity : argc < (uint32_t)-row->arity) {
        reply_error(out, SCRIPT_ERROR_ARITY);
    } else if (sh->read_only_ && (row->flags & CMD_WRITE)) {
        reply_error(out, SCRIPT_ERROR_READ_ONLY);
    } else {
        sh->h->resp = out->resp;
        struct slice text = harness_run_argv(sh->h, argv, argc);
        reply_raw(out, text.ptr, text.len);
    }
}

static int host_acl_check(void *ctx, const struct slice *argv, uint32_t argc)
{
    return find_row(argv, argc) != NULL ? 1 : -1;
}

static struct script_harness *current; /* log has no context */

static bool host_wants_log(enum script_log_level level)
{
    return level > SCRIPT_LOG_DEBUG;
}

static void host_log(enum script_log_level level, struct slice text)
{
    snprintf(current->log, sizeof current->log, "%d %.*s", level, (int)text.len, text.ptr);
}

static void host_set_repl(void *ctx, int repl)
{
    ((struct script_harness *)ctx)->repl = repl;
}

static enum script_verdict host_tick(void *ctx)
{
    struct script_harness *sh = ctx;
    sh->ticks++;
    return sh->verdict;
}

static const struct script_host host = {
    .call = host_call,
    .acl_check = host_acl_check,
    .wants_log = host_wants_log,
    .log = host_log,
    .set_repl = host_set_repl,
    .tick = host_tick,
};

/* --- Scripts --- */

static struct script *cached(const struct script_harness *sh, const char *sha)
{
    for (uint32_t i = 0; i < sh->script_count_; i++) {
        if (memcmp(sh->scripts_[i]->sha, sha, SCRIPT_SHA_LEN) == 0) {
            return sh->scripts_[i];
        }
    }
    return NULL;
}

static struct script *load_script(struct script_harness *sh, struct slice body, struct reply *out)
{
    char sha[SCRIPT_SHA_LEN + 1];
    script_sha(body, sha);
    struct script *s = cached(sh, sha);
    if (s != NULL) {
        return s;
    }
    s = script_create(body, sha, out);
    if (s == NULL || !script_compile(sh->vm, s, out)) {
        if (s != NULL) {
            script_unref(s);
        }
        return NULL;
    }
    if (sh->script_count_ == sh->script_cap_) {
        sh->script_cap_ = sh->script_cap_ == 0 ? 16 : 2 * sh->script_cap_;
        sh->scripts_ = realloc(sh->scripts_, sh->script_cap_ * sizeof *sh->scripts_);
    }
    sh->scripts_[sh->script_count_++] = s;
    return s;
}

static bool parse_keys(struct script_harness *sh, const struct slice *argv, uint32_t argc,
                       const char *not_a_number, struct script_call *call, struct reply *out)
{
    char *end;
    long long nkeys = strtoll(argv[2].ptr, &end, 10);
    if (argv[2].len == 0 || *end != 0) {
        reply_error(out, not_a_number);
    } else if (nkeys > (long long)argc - 3) {
        reply_error(out, "ERR Number of keys can't be greater than number of args");
    } else if (nkeys < 0) {
        reply_error(out, "ERR Number of keys can't be negative");
    } else {
        *call = (struct script_call){.ctx = sh, .keys = argv + 3, .nkeys = (uint32_t)nkeys,
                                     .args = argv + 3 + nkeys, .nargs = argc - 3 - (uint32_t)nkeys};
        return true;
    }
    return false;
}

static bool may_run(struct script_harness *sh, uint32_t flags, bool read_only, struct reply *out)
{
    const struct script_conditions now = {.read_only_command = read_only};
    sh->read_only_ = script_is_read_only(flags, read_only);
    return script_may_run(flags, &now, out);
}

static void do_eval(struct script_harness *sh, const struct slice *argv, uint32_t argc, bool by_sha,
                    bool read_only, struct reply *out)
{
    struct script_call call;
    if (!parse_keys(sh, argv, argc, "ERR value is not an integer or out of range", &call, out)) {
        return;
    }
    struct script *s;
    char sha[SCRIPT_SHA_LEN + 1];
    if (by_sha) {
        s = script_sha_normalize(argv[1], sha) ? cached(sh, sha) : NULL;
        if (s == NULL) {
            reply_error(out, "NOSCRIPT No matching script. Please use EVAL.");
            return;
        }
    } else {
        s = load_script(sh, argv[1], out);
    }
    if (s != NULL && may_run(sh, s->flags, read_only, out)) {
        sh->result = script_run(sh->vm, s, &call, out);
    }
}

static void forget_scripts(struct script_harness *sh)
{
    for (uint32_t i = 0; i < sh->script_count_; i++) {
        script_unref(sh->scripts_[i]);
    }
    sh->script_count_ = 0;
}

static void do_script(struct script_harness *sh, const struct slice *argv, uint32_t argc,
                      struct reply *out)
{
    if (slice_is(argv[1], "load")) {
        struct script *s = load_script(sh, argv[2], out);
        if (s != NULL) {
            reply_bulk(out, s->sha, SCRIPT_SHA_LEN);
        }
    } else if (slice_is(argv[1], "flush")) {
        script_vm_flush(sh->vm);
        forget_scripts(sh);
        reply_ok(out);
    } else {
        reply_array(out, argc - 2);
        for (uint32_t i = 2; i < argc; i++) {
            char sha[SCRIPT_SHA_LEN + 1];
            reply_int(out, script_sha_normalize(argv[i], sha) && cached(sh, sha) != NULL);
        }
    }
}

/* --- Functions --- */

static void take_set(struct script_harness *sh, struct function_set *set)
{
    function_set_unref(sh->set);
    sh->set = set;
    function_vm_settle(sh->vm);
}

static void do_function_load(struct script_harness *sh, struct slice code, bool replace,
                             struct reply *out)
{
    struct function_library *lib;
    struct function_set *set = function_set_load(sh->set, sh->vm, code, replace,
                                                 FUNCTION_LOAD_TIMEOUT_MS, &lib, out);
    if (set != NULL) {
        reply_bulk_str(out, lib->name);
        function_library_unref(lib);
        take_set(sh, set);
    }
}

static void do_function(struct script_harness *sh, const struct slice *argv, uint32_t argc,
                        struct reply *out)
{
    struct function_set *set = NULL;
    if (slice_is(argv[1], "load")) {
        do_function_load(sh, argv[argc - 1], argc == 4, out);
        return;
    }
    if (slice_is(argv[1], "list")) {
        function_set_reply_list(sh->set, slice_of(NULL, 0), argc == 3, out);
        return;
    }
    if (slice_is(argv[1], "dump")) {
        struct bytes dump = {0};
        function_set_dump(sh->set, &sh->h->settings, &dump, false);
        reply_bulk(out, dump.data, dump.len);
        bytes_free(&dump);
        return;
    }
    if (slice_is(argv[1], "stats")) {
        function_set_reply_engines(sh->set, out);
        return;
    }
    if (slice_is(argv[1], "delete")) {
        set = function_set_delete(sh->set, argv[2], out);
    } else if (slice_is(argv[1], "flush")) {
        set = function_set_empty();
    } else if (slice_is(argv[1], "restore")) {
        enum function_restore policy = FUNCTION_RESTORE_APPEND;
        if (argc == 4) {
            policy = slice_is(argv[3], "flush") ? FUNCTION_RESTORE_FLUSH : FUNCTION_RESTORE_REPLACE;
        }
        set = function_set_restore(sh->set, sh->vm, argv[2], policy, out);
    }
    if (set != NULL) {
        take_set(sh, set);
        reply_ok(out);
    }
}

static void do_fcall(struct script_harness *sh, const struct slice *argv, uint32_t argc,
                     bool read_only, struct reply *out)
{
    const struct function *f = function_set_find(sh->set, argv[1]);
    struct script_call call;
    if (f == NULL) {
        reply_error(out, "ERR Function not found");
    } else if (parse_keys(sh, argv, argc, "ERR Bad number of keys provided", &call, out) &&
               may_run(sh, f->flags, read_only, out)) {
        sh->result = function_run(sh->vm, f, &call, out);
    }
}

/* --- Commands --- */

static bool dispatch(struct script_harness *sh, const struct slice *argv, uint32_t argc,
                     struct reply *out)
{
    struct slice name = argv[0];
    if (slice_is(name, "eval") || slice_is(name, "eval_ro")) {
        do_eval(sh, argv, argc, false, slice_is(name, "eval_ro"), out);
    } else if (slice_is(name, "evalsha") || slice_is(name, "evalsha_ro")) {
        do_eval(sh, argv, argc, true, slice_is(name, "evalsha_ro"), out);
    } else if (slice_is(name, "script")) {
        do_script(sh, argv, argc, out);
    } else if (slice_is(name, "function")) {
        do_function(sh, argv, argc, out);
    } else if (slice_is(name, "fcall") || slice_is(name, "fcall_ro")) {
        do_fcall(sh, argv, argc, slice_is(name, "fcall_ro"), out);
    } else if (slice_is(name, "hello")) {
        out->resp = (uint8_t)strtol(argv[1].ptr, NULL, 10);
        reply_ok(out);
    } else {
        return false;
    }
    return true;
}

static struct slice text_of(struct script_harness *sh)
{
    struct reply *r = &sh->reply_;
    free(sh->text_);
    sh->text_ = malloc(r->total_bytes + 1);
    size_t len = 0;
    for (const struct reply_chunk *c = r->head; c != NULL; c = c->next) {
        memcpy(sh->text_ + len, c->data, c->len);
        len += c->len;
    }
    sh->text_[len] = 0;
    reply_clear(r);
    return slice_of(sh->text_, len);
}

struct slice script_harness_run(struct script_harness *sh, const struct slice *argv, uint32_t argc)
{
    current = sh;
    sh->result = (struct script_result){0};
    if (!dispatch(sh, argv, argc, &sh->reply_)) {
        sh->h->resp = sh->reply_.resp;
        return harness_run_argv(sh->h, argv, argc);
    }
    return text_of(sh);
}

struct script_harness *script_harness_new(void)
{
    struct script_harness *sh = calloc(1, sizeof *sh);
    sh->h = harness_new();
    sh->vm = script_vm_create(&host);
    sh->set = function_set_empty();
    sh->repl = -1;
    reply_init(&sh->reply_, 2);
    return sh;
}

void script_harness_free(struct script_harness *sh)
{
    forget_scripts(sh);
    free(sh->scripts_);
    function_set_unref(sh->set);
    script_vm_free(sh->vm);
    reply_clear(&sh->reply_);
    free(sh->text_);
    harness_free(sh->h);
    free(sh);
}

const char *script_harness_do(struct script_harness *sh, const char *word, ...)
{
    struct slice argv[WORDS_MAX];
    uint32_t argc = 0;
    va_list words;
    va_start(words, word);
    for (const char *w = word; w != NULL; w = va_arg(words, const char *)) {
        assert(argc < WORDS_MAX);
        argv[argc++] = slice_str(w);
    }
    va_end(words);
    return script_harness_run(sh, argv, argc).ptr;
}

const char *script_harness_eval(struct script_harness *sh, const char *body, ...)
{
    struct slice argv[WORDS_MAX] = {slice_str("EVAL"), slice_str(body)};
    char nkeys[16];
    uint32_t argc = 3, keys = 0;
    bool in_args = false;
    va_list words;
    va_start(words, body);
    for (const char *w = va_arg(words, const char *); w != NULL; w = va_arg(words, const char *)) {
        if (strcmp(w, ",") == 0) {
            in_args = true;
            continue;
        }
        assert(argc < WORDS_MAX);
        argv[argc++] = slice_str(w);
        keys += !in_args;
    }
    va_end(words);
    snprintf(nkeys, sizeof nkeys, "%u", keys);
    argv[2] = slice_str(nkeys);
    return script_harness_run(sh, argv, argc).ptr;
}
