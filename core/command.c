/* command.c - what all commands share: see command.h. */
#include "core/command.h"

#include "core/mem.h"
#include "core/num.h"
#include <assert.h>
#include <ctype.h>
#include <math.h>

enum {
    MARKS_FIRST = 16,     /* room for marks when the first is made; doubles */
    ERROR_WORD_MAX = 128, /* bytes of a client's word that an error repeats */
};

void call_mark(struct call *c)
{
    if (!(c->flags & CALL_PART)) {
        return;
    }
    if (c->marks_count == c->marks_cap) {
        c->marks_cap = c->marks_cap ? c->marks_cap * 2 : MARKS_FIRST;
        c->marks = mem_realloc(c->marks, c->marks_cap * sizeof c->marks[0]);
    }
    size_t bytes = c->out->total_bytes - c->marked_bytes_;
    assert(c->out->total_bytes >= c->marked_bytes_ && bytes <= UINT32_MAX);
    c->marks[c->marks_count++] = (uint32_t)bytes;
    c->marked_bytes_ = c->out->total_bytes;
}

struct key call_key(const struct call *c, const char *ptr, size_t len)
{
    assert(len <= UINT32_MAX);
    struct key k = {
        .ptr = ptr,
        .len = (uint32_t)len,
        .hash = hash_bytes(ptr, len),
        .slot = hash_slot(ptr, len),
    };
    k.shard = c->slot_shard ? c->slot_shard[k.slot] : 0;
    return k;
}

/* --- errors --- */

void call_error_syntax(struct call *c)
{
    reply_error(c->out, "ERR syntax error");
}

void call_error_integer(struct call *c)
{
    reply_error(c->out, "ERR value is not an integer or out of range");
}

void call_error_float(struct call *c)
{
    reply_error(c->out, "ERR value is not a valid float");
}

void call_error_wrong_type(struct call *c)
{
    reply_error(c->out, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_error_no_key(struct call *c)
{
    reply_error(c->out, "ERR no such key");
}

/* "parent|sub" once the table is built; before, and in tests of one file, the plain name. */
static const char *command_shown_name(const struct command *cmd)
{
    return cmd->full_name[0] ? cmd->full_name : cmd->name;
}

void call_error_arity(struct call *c)
{
    reply_errorf(c->out, "ERR wrong number of arguments for '%s' command",
                 command_shown_name(c->command));
}

void call_error_expire(struct call *c)
{
    reply_errorf(c->out, "ERR invalid expire time in '%s' command", command_shown_name(c->command));
}

/* The command's own word in capitals, as the client spelt it. */
static int upper_word(const struct slice *word, char out[ERROR_WORD_MAX])
{
    size_t len = word->len < ERROR_WORD_MAX ? word->len : ERROR_WORD_MAX;
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)toupper((unsigned char)word->ptr[i]);
    }
    return (int)len;
}

static void error_try_help(struct call *c, const char *complaint)
{
    char name[ERROR_WORD_MAX];
    int name_len = upper_word(&c->argv[0], name);
    struct slice sub = c->argc > 1 ? c->argv[1] : slice_of("", 0);
    int sub_len = (int)(sub.len < ERROR_WORD_MAX ? sub.len : ERROR_WORD_MAX);
    reply_errorf(c->out, "ERR %s '%.*s'. Try %.*s HELP.", complaint, sub_len, sub.ptr, name_len,
                 name);
}

void call_error_subcommand(struct call *c)
{
    error_try_help(c, "unknown subcommand");
}

void call_error_subcommand_args(struct call *c)
{
    error_try_help(c, "unknown subcommand or wrong number of arguments for");
}

void call_help(struct call *c, const char *const *lines)
{
    static const char intro[] = " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
    char head[ERROR_WORD_MAX + sizeof intro];
    int name_len = upper_word(&c->argv[0], head);
    memcpy(head + name_len, intro, sizeof intro);

    size_t count = 0;
    while (lines[count]) {
        count++;
    }
    reply_array(c->out, count + 3);
    reply_status(c->out, head);
    for (size_t i = 0; i < count; i++) {
        reply_status(c->out, lines[i]);
    }
    reply_status(c->out, "HELP");
    reply_status(c->out, "    Prints this help.");
}

/* --- arguments --- */

bool call_arg_int_or(struct call *c, uint32_t i, int64_t *out, const char *error)
{
    assert(i < c->argc);
    if (num_parse_int(c->argv[i].ptr, c->argv[i].len, out)) {
        return true;
    }
    if (error) {
        reply_error(c->out, error);
    } else {
        call_error_integer(c);
    }
    return false;
}

bool call_arg_int(struct call *c, uint32_t i, int64_t *out)
{
    return call_arg_int_or(c, i, out, NULL);
}

bool call_arg_range(struct call *c, uint32_t i, int64_t min, int64_t max, int64_t *out,
                    const char *error)
{
    int64_t v;
    if (!call_arg_int_or(c, i, &v, error)) {
        return false;
    }
    if (v < min || v > max) {
        if (error) {
            reply_error(c->out, error);
        } else {
            reply_errorf(c->out, "ERR value is out of range, value must between %lld and %lld",
                         (long long)min, (long long)max);
        }
        return false;
    }
    *out = v;
    return true;
}

bool call_arg_timeout(struct call *c, uint32_t i, int64_t *timeout_ms)
{
    static const long double ms_max = 9223372036854775808.0L; /* 2^63 */
    long double seconds;
    assert(i < c->argc);
    if (!num_parse_long_double(c->argv[i].ptr, c->argv[i].len, &seconds)) {
        reply_error(c->out, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = ceill(seconds * 1000);
    if (!(ms >= 0 && ms < ms_max)) { /* what is too large counts as negative, as in Redis */
        reply_error(c->out, "ERR timeout is negative");
        return false;
    }
    *timeout_ms = (int64_t)ms;
    return true;
}

/* --- waiting --- */

void call_block(struct call *c, enum wait_kind kind, uint32_t nkeys, int64_t timeout_ms, void *memo)
{
    assert(call_may_block(c) && !c->wait->blocked && nkeys <= c->nkeys);
    c->wait->blocked = true;
    if (c->flags & CALL_SERVING) {
        assert(memo == NULL);
        return; /* all else is as it was */
    }
    c->wait->kind = kind;
    c->wait->nkeys = nkeys;
    c->wait->timeout_ms = timeout_ms;
    c->wait->memo = memo;
}

/* --- categories --- */

uint32_t command_acl(const struct command *cmd)
{
    static const struct {
        uint32_t flag, acl;
    } implied[] = {
        {CMD_WRITE, ACL_WRITE},   {CMD_ADMIN, ACL_ADMIN | ACL_DANGEROUS},
        {CMD_PUBSUB, ACL_PUBSUB}, {CMD_FAST, ACL_FAST},
        {CMD_BLOCKING, ACL_BLOCKING},
    };
    uint32_t acl = cmd->acl;
    for (size_t i = 0; i < sizeof implied / sizeof implied[0]; i++) {
        if (cmd->flags & implied[i].flag) {
            acl |= implied[i].acl;
        }
    }
    /* A script that only reads is still not a command that only reads. */
    if ((cmd->flags & CMD_READONLY) && !(acl & ACL_SCRIPTING)) {
        acl |= ACL_READ;
    }
    if (!(acl & ACL_FAST)) {
        acl |= ACL_SLOW;
    }
    return acl;
}

/* --- keys --- */

struct key_positions {
    uint32_t *out;
    int count, max;
};

/* Position behind the keyword; 0 when it is not there. Neither the command's name nor the last
 * argument (of a search from the front), which no key could follow, is looked at. */
static int keyword_end(const struct key_spec *spec, const struct slice *argv, int argc)
{
    bool forward = spec->index > 0;
    int step = forward ? 1 : -1;
    int stop = forward ? argc - 1 : 1;
    int i = forward ? spec->index : argc + spec->index;

    for (; (forward ? i < stop : i > stop) && i < argc; i += step) {
        if (slice_is(argv[i], spec->keyword)) {
            return i + 1;
        }
    }
    return 0;
}

/* Keys of one specification; false when argv does not fit it. */
static bool spec_keys(const struct key_spec *spec, const struct slice *argv, int argc,
                      struct key_positions *keys)
{
    int first = 0;
    if (spec->begin == KEY_BEGIN_INDEX) {
        first = spec->index;
    } else if (spec->begin == KEY_BEGIN_KEYWORD) {
        first = keyword_end(spec, argv, argc);
        if (first == 0) {
            return true; /* an option that was not used */
        }
    } else {
        return false;
    }

    int last;
    if (spec->find == KEY_FIND_RANGE) {
        if (spec->last >= 0) {
            last = first + spec->last;
        } else if (spec->limit == 0) {
            last = argc + spec->last;
        } else {
            last = first + (argc - first) / spec->limit + spec->last;
        }
    } else if (spec->find == KEY_FIND_KEYNUM) {
        int64_t count;
        int at = first + spec->keynum;
        if (at >= argc || !num_parse_int(argv[at].ptr, argv[at].len, &count) || count < 0 ||
            count > argc) {
            return false;
        }
        if (count == 0) {
            return true; /* scripts may do without keys; other commands complain themselves */
        }
        first += spec->first;
        last = first + (int)count - 1;
    } else {
        return false;
    }

    if (first >= argc || last >= argc || last < first) {
        return false;
    }
    int step = spec->step > 0 ? spec->step : 1;
    for (int i = first; i <= last; i += step) {
        if (keys->count < keys->max) {
            keys->out[keys->count] = (uint32_t)i;
        }
        keys->count++;
    }
    return true;
}

static int spec_keys_all(const struct command *cmd, const struct slice *argv, int argc,
                         uint32_t *positions, int max)
{
    struct key_positions keys = {positions, 0, max};
    for (int i = 0; i < COMMAND_KEY_SPECS_MAX && cmd->keys[i].begin != KEY_BEGIN_NONE; i++) {
        const struct key_spec *spec = &cmd->keys[i];
        if (spec->flags & KEY_NOT_KEY) {
            continue;
        }
        if (!spec_keys(spec, argv, argc, &keys)) {
            return -1;
        }
        /* The specification says itself that it does not find them all. */
        if ((spec->flags & KEY_INCOMPLETE) && cmd->find_keys) {
            return -1;
        }
    }
    return keys.count;
}

int command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
                 uint32_t *positions, int max)
{
    const struct key_spec *spec = &cmd->keys[0];
    assert(argc <= INT32_MAX);

    /* One key at a fixed place: what nearly every command is. */
    if (spec->begin == KEY_BEGIN_INDEX && spec->find == KEY_FIND_RANGE && spec->last == 0 &&
        cmd->keys[1].begin == KEY_BEGIN_NONE && !cmd->find_keys && !(spec->flags & KEY_NOT_KEY)) {
        if (spec->index >= (int)argc) {
            return -1;
        }
        if (max > 0) {
            positions[0] = (uint32_t)spec->index;
        }
        return 1;
    }
    /* Options in front of the keyword may have arguments that look like it (XREADGROUP): only the
     * command's own function tells them apart. */
    if (spec->begin == KEY_BEGIN_KEYWORD && cmd->find_keys) {
        return cmd->find_keys(argv, argc, positions, max);
    }
    int count = spec_keys_all(cmd, argv, (int)argc, positions, max);
    if (count < 0 && cmd->find_keys) {
        return cmd->find_keys(argv, argc, positions, max);
    }
    return count;
}
