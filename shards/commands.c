/* commands.c - see commands.h.
 *
 * Finding a name: its letters are lowered eight at a time in a register. The first and the last
 * eight bytes (they overlap in names shorter than 16) and the length say all about a name of up to
 * 16 bytes, so that most commands are recognised by comparing three integers.
 *
 *   "GETRANGE"     first = "getrange"  last = 0           a name of up to 8 bytes has no last part
 *   "zrangebylex"  first = "zrangeby"  last = "angebylex" (its last 8 bytes)
 *
 * The same hash table holds the subcommands, under their container's id.
 *
 * I1  A slot without command ends a probe: nothing is removed, renaming fills the table anew.
 * I2  At most half of the slots are used.
 */
#include "shards/commands.h"
#include "core/mem.h"
#include "shards/stats.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum {
    HASH_BITS = 11,
    HASH_SLOTS = 1 << HASH_BITS,
    NO_CONTAINER = UINT16_MAX,
    ERROR_TEXT_BYTES = 128, /* of each name, and of all arguments, that an error repeats */
    EXACT_BYTES = 16,       /* names up to this are told apart by their two parts alone */
};
static_assert(STATS_COMMANDS_MAX * 2 <= HASH_SLOTS, "I2");
static_assert((int)STATS_COMMANDS_MAX < (int)NO_CONTAINER, "ids fit");

/* The rows of all parts. Add an array here and its commands exist. */
static const struct command *const arrays[] = {
    string_commands,  generic_commands, stream_commands, connection_commands,
    command_commands, config_commands,  server_commands,
    bitmap_commands,  hll_commands,     geo_commands,
    set_commands,     sort_commands,
    list_commands,
    hash_commands,
    zset_commands,
    eval_commands,    script_commands,  function_commands,
    pubsub_commands,  cluster_commands, replication_commands,
    multi_commands,
};
enum { ARRAYS = sizeof(arrays) / sizeof(arrays[0]) };

/* A name, taken apart (see the top). */
struct folded {
    uint64_t first, last;
    uint32_t len;
};

struct slot {
    uint64_t first, last;
    const struct command *command; /* NULL: free */
    uint32_t len;
    uint16_t container;            /* its id, or NO_CONTAINER */
};
static_assert(sizeof(struct slot) == 32, "two slots to a cache line");

static struct slot slots[HASH_SLOTS] __attribute__((aligned(64)));
static struct command *rows; /* the commands, then subcommands; each row of them ends with NULL */
static struct command *by_id[STATS_COMMANDS_MAX];
static unsigned count, ids;
/* rename-command: the names under which commands are called instead of their own; an empty one: not
 * at all. Everything but the look-up goes on by a command's own name. */
static const char *renamed[STATS_COMMANDS_MAX];

/* --- names --- */

/* Lowers the ASCII letters among eight bytes. */
static inline uint64_t lower8(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
    uint64_t low7 = w & ~high;
    uint64_t from_a = low7 + ones * (0x80 - 'A');      /* high bit: byte >= 'A' */
    uint64_t above_z = low7 + ones * (0x80 - 'Z' - 1); /* high bit: byte > 'Z' */
    uint64_t upper = (from_a ^ above_z) & ~w & high;
    return w | upper >> 2;
}

static inline uint64_t load(const char *p, size_t len)
{
    uint64_t w = 0;
    memcpy(&w, p, len);
    return w;
}

/* Up to eight bytes without reading beyond them, and without a loop. */
static inline uint64_t load_short(const char *p, size_t len)
{
    if (len >= 4) {
        return load(p, 4) | load(p + len - 4, 4) << (8 * (len - 4));
    }
    if (len == 0) {
        return 0;
    }
    uint64_t first = (uint8_t)p[0], middle = (uint8_t)p[len / 2], last = (uint8_t)p[len - 1];
    return first | middle << (8 * (len / 2)) | last << (8 * (len - 1));
}

static inline struct folded fold(struct slice name)
{
    struct folded f = {.len = (uint32_t)name.len};
    if (name.len <= 8) {
        f.first = lower8(load_short(name.ptr, name.len));
    } else {
        f.first = lower8(load(name.ptr, 8));
        f.last = lower8(load(name.ptr + name.len - 8, 8));
    }
    return f;
}

static inline uint32_t slot_of(const struct folded *f, uint16_t container)
{
    uint64_t h = f->first * 0x9e3779b97f4a7c15u;
    h ^= (f->last + f->len + ((uint64_t)container << 32)) * 0xc2b2ae3d27d4eb4fu;
    return (uint32_t)((h ^ h >> 29) * 0x9e3779b97f4a7c15u >> (64 - HASH_BITS));
}

static inline const char *called(const struct command *cmd)
{
    return renamed[cmd->id] != NULL ? renamed[cmd->id] : cmd->name;
}

static inline const struct command *find(struct slice name, uint16_t container)
{
    if (name.len > UINT32_MAX) {
        return NULL;
    }
    struct folded f = fold(name);
    for (uint32_t i = slot_of(&f, container);; i = (i + 1) & (HASH_SLOTS - 1)) {
        const struct slot *s = &slots[i];
        if (s->command == NULL) {
            return NULL; /* I1 */
        }
        if (s->first == f.first && s->last == f.last && s->len == f.len &&
            s->container == container &&
            (f.len <= EXACT_BYTES || strncasecmp(called(s->command), name.ptr, name.len) == 0)) {
            return s->command;
        }
    }
}

const struct command *commands_find(struct slice name)
{
    return find(name, NO_CONTAINER);
}

const struct command *commands_find_sub(const struct command *container, struct slice name)
{
    return find(name, container->id);
}

const struct command *commands_find_full(struct slice full_name)
{
    const char *bar = memchr(full_name.ptr, '|', full_name.len);
    if (bar == NULL) {
        return commands_find(full_name);
    }
    size_t len = (size_t)(bar - full_name.ptr);
    const struct command *container = commands_find(slice_of(full_name.ptr, len));
    if (container == NULL) {
        return NULL;
    }
    return commands_find_sub(container, slice_of(bar + 1, full_name.len - len - 1));
}

/* --- building --- */

static unsigned rows_in(const struct command *array)
{
    unsigned n = 0;
    while (array != NULL && array[n].name != NULL) {
        n++;
    }
    return n;
}

static void insert(const struct command *cmd)
{
    uint16_t container = cmd->parent != NULL ? cmd->parent->id : NO_CONTAINER;
    struct slice name = slice_str(called(cmd));
    assert(find(name, container) == NULL); /* no command is described twice */

    struct folded f = fold(name);
    uint32_t i = slot_of(&f, container);
    while (slots[i].command != NULL) {
        i = (i + 1) & (HASH_SLOTS - 1);
    }
    slots[i] = (struct slot){f.first, f.last, cmd, f.len, container};
}

static void rehash(void)
{
    memset(slots, 0, sizeof(slots));
    for (unsigned id = 0; id < ids; id++) {
        if (called(by_id[id])[0] != '\0') {
            insert(by_id[id]);
        }
    }
}

/* What nearly every command is; it is routed without looking at its description. */
static uint16_t only_key(const struct command *cmd)
{
    const struct key_spec *spec = &cmd->keys[0];
    bool one = cmd->route == ROUTE_KEYS && spec->begin == KEY_BEGIN_INDEX &&
               spec->find == KEY_FIND_RANGE && spec->last == 0 && !(spec->flags & KEY_NOT_KEY) &&
               cmd->keys[1].begin == KEY_BEGIN_NONE;
    int args = cmd->arity < 0 ? -cmd->arity : cmd->arity;
    bool plain = cmd->find_keys == NULL && cmd->undeclared == NULL && cmd->prepare == NULL &&
                 !(cmd->flags & CMD_BLOCKING);
    return one && plain && spec->index < args ? (uint16_t)spec->index : 0;
}

static void add(struct command *cmd, const struct command *parent)
{
    assert(ids < STATS_COMMANDS_MAX);
    assert(cmd->run != NULL || cmd->subcommands != NULL);
    assert(cmd->arity != 0);
    cmd->id = (uint16_t)ids;
    cmd->parent = parent;
    cmd->only_key = only_key(cmd);
    int n = snprintf(cmd->full_name, sizeof(cmd->full_name), "%s%s%s",
                     parent != NULL ? parent->name : "", parent != NULL ? "|" : "", cmd->name);
    assert(n > 0 && (size_t)n < sizeof(cmd->full_name));

    struct command_range range;
    if (command_legacy_range(cmd, &range)) {
        cmd->flags |= CMD_MOVABLE_KEYS;
    }
    by_id[ids++] = cmd;
    insert(cmd);
}

void commands_init(void)
{
    assert(rows == NULL);
    unsigned total = 0;
    for (unsigned a = 0; a < ARRAYS; a++) {
        unsigned n = rows_in(arrays[a]);
        count += n;
        for (unsigned i = 0; i < n; i++) {
            unsigned subs = rows_in(arrays[a][i].subcommands);
            total += subs > 0 ? subs + 1 : 0;
        }
    }
    total += count + 1;
    rows = mem_alloc_zero(total * sizeof(*rows));

    struct command *next = rows;
    for (unsigned a = 0; a < ARRAYS; a++) {
        for (const struct command *from = arrays[a]; from->name != NULL; from++) {
            *next = *from;
            add(next++, NULL);
        }
    }
    next++; /* the end of the commands */
    for (unsigned i = 0; i < count; i++) {
        const struct command *from = rows[i].subcommands;
        if (from == NULL) {
            continue;
        }
        rows[i].subcommands = next;
        for (; from->name != NULL; from++) {
            *next = *from;
            add(next++, &rows[i]);
        }
        next++;
    }
    assert(next == rows + total);
}

int commands_rename(const char *from, const char *to)
{
    const struct command *cmd = commands_find(slice_str(from));
    if (cmd == NULL) {
        return -ENOENT;
    }
    const char *old = renamed[cmd->id];
    renamed[cmd->id] = "";
    rehash();
    if (to[0] != '\0' && commands_find(slice_str(to)) != NULL) {
        renamed[cmd->id] = old;
        rehash();
        return -EEXIST;
    }
    renamed[cmd->id] = to;
    rehash();
    return 0;
}

bool commands_callable(const struct command *cmd)
{
    return called(cmd->parent != NULL ? cmd->parent : cmd)[0] != '\0';
}

unsigned commands_count(void)
{
    return count;
}

unsigned commands_ids(void)
{
    return ids;
}

const struct command *commands_by_id(unsigned id)
{
    assert(id < ids);
    return by_id[id];
}

/* --- keys for old clients --- */

/* One range of neighbours can stand for several specifications, as long as each follows the one
 * before it. Whatever does not fit leaves keys out. */
bool command_legacy_range(const struct command *cmd, struct command_range *out)
{
    *out = (struct command_range){0};
    const struct key_spec *k = cmd->keys;
    int specs = 0;
    bool misses = false;
    while (specs < COMMAND_KEY_SPECS_MAX && k[specs].begin != KEY_BEGIN_NONE) {
        misses |= (k[specs].flags & KEY_INCOMPLETE) != 0;
        specs++;
    }
    if (specs == 1 && k->begin == KEY_BEGIN_INDEX && k->find == KEY_FIND_RANGE) {
        *out = (struct command_range){k->index, k->last, k->step};
        out->last += k->last >= 0 ? k->index : 0;
        return misses;
    }

    for (int i = 0; i < specs; i++) {
        if (k[i].begin != KEY_BEGIN_INDEX || k[i].find != KEY_FIND_RANGE || k[i].step != 1 ||
            (out->last != 0 && out->last != k[i].index - 1)) {
            misses = true;
            continue;
        }
        if (out->first == 0 || k[i].index < out->first) {
            out->first = k[i].index;
        }
        int last = k[i].last >= 0 ? k[i].last + k[i].index : k[i].last;
        if (out->last >= 0 && (last < 0 || last > out->last)) {
            out->last = last; /* an end counted from behind is beyond any other */
        }
        out->step = 1;
    }
    return misses;
}

/* --- resolving a call --- */

/* What a client sent must not break the reply's line. */
static void blank_newlines(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\r' || *text == '\n') {
            *text = ' ';
        }
    }
}

/* A name as an error repeats it: at most that many bytes, up to the first zero. */
static int shown(struct slice s, size_t max)
{
    return (int)strnlen(s.ptr, s.len < max ? s.len : max);
}

__attribute__((cold)) static void error_unknown(const struct slice *argv, uint32_t argc,
                                                struct reply *err)
{
    char args[ERROR_TEXT_BYTES + 8];
    size_t used = 0;
    args[0] = '\0';
    for (uint32_t i = 1; i < argc && used < ERROR_TEXT_BYTES; i++) {
        int len = shown(argv[i], ERROR_TEXT_BYTES - used);
        used += (size_t)snprintf(args + used, sizeof(args) - used, "'%.*s' ", len, argv[i].ptr);
    }

    char text[2 * ERROR_TEXT_BYTES + 128];
    snprintf(text, sizeof(text), "ERR unknown command '%.*s', with args beginning with: %s",
             shown(argv[0], ERROR_TEXT_BYTES), argv[0].ptr, args);
    blank_newlines(text);
    reply_error(err, text);
}

__attribute__((cold)) static void error_unknown_sub(const struct command *container,
                                                    struct slice name, struct reply *err)
{
    char upper[sizeof(container->full_name)];
    size_t i = 0;
    for (; container->name[i] != '\0'; i++) {
        char ch = container->name[i];
        upper[i] = ch >= 'a' && ch <= 'z' ? (char)(ch - 'a' + 'A') : ch;
    }
    upper[i] = '\0';

    char text[ERROR_TEXT_BYTES + 128];
    bool debug = container->flags & CMD_PROTECTED; /* in Redis not a container, so worded otherwise */
    snprintf(text, sizeof(text), "ERR unknown subcommand%s '%.*s'. Try %s HELP.",
             debug ? " or wrong number of arguments for" : "", shown(name, ERROR_TEXT_BYTES),
             name.ptr, upper);
    blank_newlines(text);
    reply_error(err, text);
}

const struct command *commands_lookup(const struct slice *argv, uint32_t argc)
{
    const struct command *cmd = commands_find(argv[0]);
    if (cmd == NULL || cmd->subcommands == NULL || argc == 1) {
        return cmd;
    }
    return commands_find_sub(cmd, argv[1]);
}

const struct command *commands_resolve(const struct slice *argv, uint32_t argc, struct reply *err)
{
    const struct command *cmd = commands_find(argv[0]), *container = cmd;
    if (__builtin_expect(cmd == NULL, 0)) {
        error_unknown(argv, argc, err);
        return NULL;
    }
    if (cmd->subcommands != NULL && argc > 1) {
        const struct command *sub = commands_find_sub(cmd, argv[1]);
        if (sub == NULL) {
            error_unknown_sub(cmd, argv[1], err);
            return NULL;
        }
        cmd = sub;
    }
    /* A pure container has arity -2: the check below also answers "CLIENT" alone. */
    if (__builtin_expect(!command_arity_fits(cmd, argc) || cmd->run == NULL, 0)) {
        if (cmd != container && (container->flags & CMD_PROTECTED)) {
            error_unknown_sub(container, argv[1], err); /* of DEBUG, which has no rows in Redis */
            return NULL;
        }
        reply_errorf(err, "ERR wrong number of arguments for '%s' command", cmd->full_name);
        return NULL;
    }
    return cmd;
}
