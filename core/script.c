/* script.c - scripts as values: sha, shebang, flags, and the checks before a run. See script.h. */
#include "core/script.h"
#include "core/mem.h"
#include "core/script_internal.h"
#include "core/sha1.h"
#include <assert.h>

static const char *const flag_names[] = {
    "no-writes", "allow-oom", "allow-stale", "no-cluster", NULL, "allow-cross-slot-keys",
};
enum { FLAG_COUNT = sizeof flag_names / sizeof *flag_names };
static_assert(1 << (FLAG_COUNT - 1) == SCRIPT_ALLOW_CROSS_SLOT, "names stand at their bits");

const char *script_flag_name(unsigned bit)
{
    return bit < FLAG_COUNT ? flag_names[bit] : NULL;
}

uint32_t script_flag_by_name(struct slice name, bool ignore_case)
{
    for (unsigned bit = 0; bit < FLAG_COUNT; bit++) {
        const char *known = flag_names[bit];
        if (known == NULL || strlen(known) != name.len) {
            continue;
        }
        if (ignore_case ? slice_is(name, known) : memcmp(name.ptr, known, name.len) == 0) {
            return 1u << bit;
        }
    }
    return 0;
}

void script_sha(struct slice body, char sha[SCRIPT_SHA_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[SHA1_BYTES];
    sha1(body.ptr, body.len, hash);
    for (int i = 0; i < SHA1_BYTES; i++) {
        sha[2 * i] = digits[hash[i] >> 4];
        sha[2 * i + 1] = digits[hash[i] & 15];
    }
    sha[SCRIPT_SHA_LEN] = 0;
}

bool script_sha_normalize(struct slice given, char sha[SCRIPT_SHA_LEN + 1])
{
    if (given.len != SCRIPT_SHA_LEN) {
        return false;
    }
    for (int i = 0; i < SCRIPT_SHA_LEN; i++) {
        char c = given.ptr[i];
        sha[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    sha[SCRIPT_SHA_LEN] = 0;
    return true;
}

bool script__shebang_words(struct resp_parser *words, struct slice code, struct slice *line)
{
    resp_parser_init(words);
    const char *end = memchr(code.ptr, '\n', code.len);
    *line = slice_of(code.ptr, end != NULL ? (size_t)(end - code.ptr) : 0);
    if (end == NULL || memchr(code.ptr, 0, line->len) != NULL) {
        *line = slice_of(NULL, 0);
        return false;
    }
    static const struct resp_limits limits = {.bulk_max_bytes = INT32_MAX, .authenticated = true};
    return resp_parse(words, code.ptr, line->len + 1, &limits) == RESP_COMMAND;
}

/* "flags=a,b,c" behind the '='. Nothing at all is no flags; an empty name is none that we know. */
static bool parse_flags(struct slice list, uint32_t *flags, struct reply *out)
{
    size_t at = 0;
    while (list.len > 0 && at <= list.len) {
        const char *name = list.ptr + at;
        const char *comma = memchr(name, ',', list.len - at);
        size_t len = comma != NULL ? (size_t)(comma - name) : list.len - at;
        uint32_t flag = script_flag_by_name(slice_of(name, len), false);
        if (flag == 0) {
            reply_errorf(out, "ERR Unexpected flag in script shebang: %.*s", (int)len, name);
            return false;
        }
        *flags |= flag;
        at += len + 1;
    }
    return true;
}

/* What follows "#!lua". */
static bool parse_options(const struct resp_parser *words, uint32_t *flags, struct reply *out)
{
    if (!slice_equal(words->argv[0], slice_str("#!lua"))) {
        reply_errorf(out, "ERR Unexpected engine in script shebang: %.*s", (int)words->argv[0].len,
                     words->argv[0].ptr);
        return false;
    }
    for (uint32_t i = 1; i < words->argc; i++) {
        struct slice word = words->argv[i];
        if (word.len < 6 || memcmp(word.ptr, "flags=", 6) != 0) {
            reply_errorf(out, "ERR Unknown lua shebang option: %.*s", (int)word.len, word.ptr);
            return false;
        }
        if (!parse_flags(slice_of(word.ptr + 6, word.len - 6), flags, out)) {
            return false;
        }
    }
    return true;
}

static bool parse_shebang(struct slice body, uint32_t *flags, uint32_t *shebang_len,
                          struct reply *out)
{
    struct resp_parser words;
    struct slice line;
    bool good = false;
    *flags = 0;
    if (script__shebang_words(&words, body, &line)) {
        good = parse_options(&words, flags, out);
    } else if (line.ptr == NULL) {
        reply_error(out, "ERR Invalid script shebang");
    } else {
        reply_error(out, "ERR Invalid engine in script shebang");
    }
    resp_parser_free(&words);
    *shebang_len = (uint32_t)line.len;
    return good;
}

struct script *script_create(struct slice body, const char *sha, struct reply *out)
{
    uint32_t flags = SCRIPT_COMPAT, shebang_len = 0;
    if (body.len >= 2 && memcmp(body.ptr, "#!", 2) == 0 &&
        !parse_shebang(body, &flags, &shebang_len, out)) {
        return NULL;
    }
    struct script *s = mem_try_alloc(sizeof *s + body.len + 1);
    if (s == NULL) {
        reply_error(out, "OOM not enough memory for the script");
        return NULL;
    }
    atomic_init(&s->refs_, 1);
    s->flags = flags;
    s->shebang_len = shebang_len;
    s->body_len = body.len;
    if (body.len > 0) {
        memcpy(s->body, body.ptr, body.len);
    }
    s->body[body.len] = 0;
    if (sha != NULL) {
        memcpy(s->sha, sha, SCRIPT_SHA_LEN + 1);
    } else {
        script_sha(body, s->sha);
    }
    return s;
}

struct script *script_ref(struct script *s)
{
    uint32_t before = atomic_fetch_add_explicit(&s->refs_, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return s;
}

void script_unref(struct script *s)
{
    if (atomic_fetch_sub_explicit(&s->refs_, 1, memory_order_acq_rel) == 1) {
        mem_free(s);
    }
}

/* --- May it run? --- */

static bool refuse_on_disk_error(const char *error, struct reply *out)
{
    if (strcmp(error, "RDB") == 0) {
        reply_error(out, "MISCONF Redis is configured to save RDB snapshots, but it's currently "
                         "unable to persist to disk. Writable scripts are blocked. Use 'no-writes' "
                         "flag for read only scripts.");
    } else {
        reply_errorf(out, "MISCONF Redis is configured to persist data to AOF, but it's currently "
                          "unable to persist to disk. Writable scripts are blocked. Use 'no-writes' "
                          "flag for read only scripts. AOF error: %s", error);
    }
    return false;
}

/* A script that may write and says what it needs. */
static bool may_write(const struct script_conditions *now, struct reply *out)
{
    if (now->replica_read_only && !now->from_master) {
        reply_error(out, "READONLY Can not run script with write flag on readonly replica");
        return false;
    }
    if (now->disk_error != NULL && !now->from_master) {
        return refuse_on_disk_error(now->disk_error, out);
    }
    if (now->read_only_command) {
        reply_error(out, "ERR Can not execute a script with write flag using *_ro command.");
        return false;
    }
    if (now->too_few_replicas) {
        reply_error(out, "NOREPLICAS Not enough good replicas to write.");
        return false;
    }
    return true;
}

bool script_may_run(uint32_t flags, const struct script_conditions *now, struct reply *out)
{
    if (flags & SCRIPT_COMPAT) {
        if (now->replica_stale) {
            reply_error(out, "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
                             "set to 'no'.");
            return false;
        }
        return true;
    }
    if ((flags & SCRIPT_NO_CLUSTER) && now->cluster_enabled) {
        reply_error(out, "ERR Can not run script on cluster, 'no-cluster' flag is set.");
        return false;
    }
    if (now->replica_stale && !(flags & SCRIPT_ALLOW_STALE)) {
        reply_error(out, "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to "
                         "'no' and 'allow-stale' flag is not set on the script.");
        return false;
    }
    if (!(flags & SCRIPT_NO_WRITES) && !may_write(now, out)) {
        return false;
    }
    if (now->out_of_memory && !(flags & (SCRIPT_ALLOW_OOM | SCRIPT_NO_WRITES))) {
        reply_error(out, "OOM allow-oom flag is not set on the script, can not run it when used "
                         "memory > 'maxmemory'");
        return false;
    }
    return true;
}
