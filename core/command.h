/* command.h - the command table's rows, and the call of a command.
 *
 * Every command stands in one file per type with the rows that describe it beside it; the rows of
 * all files together are the command table (shards/commands.c): arity, flags, keys, categories and
 * documentation that COMMAND, ACL, routing and the execution go by.
 *
 * A command runs on the thread that owns its keys, as on one single-threaded server: it sees its
 * arguments as slices, its keys hashed and routed, and writes its reply. It never blocks and never
 * sees another shard.
 *
 *   home shard: parse ► look up the row ► arity, auth ► keys ► route ──► executing shard: run(call)
 */
#ifndef ASHLAR_CORE_COMMAND_H
#define ASHLAR_CORE_COMMAND_H

#include "core/keyspace.h"
#include "proto/reply.h"
#include "proto/slice.h"
#include <stdint.h>

/* Flags, with the names that COMMAND INFO prints. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13,
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_NO_ASYNC_LOADING = 1 << 15,
    CMD_NO_MULTI = 1 << 16,
    CMD_NO_MANDATORY_KEYS = 1 << 17,
    CMD_ALLOW_BUSY = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    CMD_SENTINEL = 1 << 20,
    CMD_ONLY_SENTINEL = 1 << 21,
    CMD_MOVABLE_KEYS = 1 << 22,
    CMD_SUBSCRIBER = 1 << 23, /* not printed: allowed while a RESP2 connection is subscribed */
    CMD_SLICED = 1 << 24, /* not printed: may work for long, and has pause points (core/pause.h) */
    CMD_DRAWS = 1 << 25,  /* not printed: with a count it may reply far more than its key holds */
};

/* ACL categories that the flags do not imply already (READONLY -> @read, FAST -> @fast …; see
 * command_acl()). */
enum command_acl {
    ACL_KEYSPACE = 1 << 0,
    ACL_READ = 1 << 1,
    ACL_WRITE = 1 << 2,
    ACL_SET = 1 << 3,
    ACL_SORTEDSET = 1 << 4,
    ACL_LIST = 1 << 5,
    ACL_HASH = 1 << 6,
    ACL_STRING = 1 << 7,
    ACL_BITMAP = 1 << 8,
    ACL_HYPERLOGLOG = 1 << 9,
    ACL_GEO = 1 << 10,
    ACL_STREAM = 1 << 11,
    ACL_PUBSUB = 1 << 12,
    ACL_ADMIN = 1 << 13,
    ACL_FAST = 1 << 14,
    ACL_SLOW = 1 << 15,
    ACL_BLOCKING = 1 << 16,
    ACL_DANGEROUS = 1 << 17,
    ACL_CONNECTION = 1 << 18,
    ACL_TRANSACTION = 1 << 19,
    ACL_SCRIPTING = 1 << 20,
};

enum key_flag { /* as COMMAND INFO's key specifications name them */
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

enum key_begin { KEY_BEGIN_NONE, KEY_BEGIN_INDEX, KEY_BEGIN_KEYWORD, KEY_BEGIN_UNKNOWN };
enum key_find { KEY_FIND_NONE, KEY_FIND_RANGE, KEY_FIND_KEYNUM, KEY_FIND_UNKNOWN };

struct key_spec {
    uint32_t flags;
    enum key_begin begin;
    int index;             /* KEY_BEGIN_INDEX: position; KEYWORD: where to start looking (<0: from the end) */
    const char *keyword;
    enum key_find find;
    int last, step, limit; /* RANGE: last relative to begin (<0: from the end), limit divisor */
    int keynum, first;     /* KEYNUM: where the count stands, where the first key, relative to begin; step as above */
    const char *notes;
};
/* The common shape: keys from argv[pos] to last (relative; -1: to the end), every step. */
#define KEYS_AT(pos, last_, step_) \
    .begin = KEY_BEGIN_INDEX, .index = (pos), .find = KEY_FIND_RANGE, .last = (last_), .step = (step_)

/* How a command is brought to its data. */
enum command_route {
    ROUTE_KEYS,     /* by its keys. All on one shard: it runs there. Keys apart: as .apart says */
    ROUTE_HOME,     /* on the connection's own shard at once, while later commands are still parsed:
                       touches nothing but the connection (PING, SELECT, HELLO …) */
    ROUTE_BARRIER,  /* on the connection's own shard, when all its earlier commands are answered */
    ROUTE_ALL,      /* a part on every shard, at one place in the order (FLUSHALL, DBSIZE, KEYS) */
    ROUTE_CHANNELS, /* as ROUTE_KEYS, by what are no keys: argv[1]; of a subcommand argv[2] and all after */
    ROUTE_SUBSCRIBE, /* the connection's subscriptions change: home and owners (subscribe.h) */
    ROUTE_CURSOR,   /* to the shard that owns the slot in argv[1]'s SCAN cursor */
    ROUTE_TRANSACTION, /* MULTI, EXEC, WATCH …: on the connection's own shard at once; EXEC and WATCH
                          send to others what they need there */
};

/* What happens when the keys lie on several shards (or ROUTE_ALL). */
enum command_apart {
    APART_LEND,     /* the slots are lent to one shard, which runs the command as if all were its own */
    APART_SUM,      /* each shard runs its part; integer replies are added (DEL, EXISTS, DBSIZE) */
    APART_OK,       /* each shard runs its part; one +OK (MSET, FLUSHALL) */
    APART_EACH_KEY, /* each part writes one element per key and calls call_mark(); put together in key order (MGET) */
    APART_EACH_PAIR, /* the same with two elements per key, marked together (PUBSUB NUMSUB) */
    APART_MADE,     /* home has made the reply already; parts write nothing (SUBSCRIBE) */
    APART_CONCAT,   /* each part writes elements and calls call_mark() for each; one array (KEYS) */
    APART_ANY,      /* one part's reply is taken, chosen at random by weight in call->weight (RANDOMKEY); nil when all weigh 0 */
};

enum arg_type {
    ARG_STRING, ARG_INTEGER, ARG_DOUBLE, ARG_KEY, ARG_PATTERN, ARG_UNIX_TIME, ARG_PURE_TOKEN,
    ARG_ONEOF, ARG_BLOCK,
};
enum arg_flag { ARG_OPTIONAL = 1, ARG_MULTIPLE = 2, ARG_MULTIPLE_TOKEN = 4 };

struct command_arg {
    const char *name;
    enum arg_type type;
    const char *token;            /* NULL: none */
    uint32_t flags;
    const char *since, *deprecated_since, *summary;
    int key_spec;                 /* of ARG_KEY: index into keys */
    const struct command_arg *sub; /* ONEOF, BLOCK: ended by name == NULL */
};

struct command_change {
    const char *since, *text; /* ended by since == NULL */
};

enum {
    COMMAND_KEY_SPECS_MAX = 4,
    COMMAND_MANY_ARGS = 130, /* from here on a command that takes many arguments may work for long */
};

/* How far a call reaches beyond the keys that it names. */
enum command_reach {
    REACH_NAMED, /* not at all */
    REACH_TRY,   /* not at all, to all appearances: if it does after all, it is run anew as REACH_ALL */
    REACH_ALL,   /* anywhere */
};

typedef void command_run(struct call *c);
/* Positions of the keys in argv for rows whose key_spec find is UNKNOWN (SORT, MIGRATE …). Writes
 * at most max positions and returns their number, or -1 for a syntax error. */
typedef int command_find_keys(const struct slice *argv, uint32_t argc, uint32_t *positions, int max);

struct command {
    const char *name;      /* lower case; of a subcommand only the last word */
    command_run *run;      /* NULL for a container that is only its subcommands */
    int arity;             /* with the name(s); negative: at least */
    uint32_t flags;        /* enum command_flag */
    uint32_t acl;          /* enum command_acl beyond what flags imply */
    enum command_route route;
    enum command_apart apart;
    struct key_spec keys[COMMAND_KEY_SPECS_MAX]; /* ended by begin == KEY_BEGIN_NONE */
    command_find_keys *find_keys;
    /* Whether this call reads or writes keys that it does not name; NULL: never. Where there are
     * several shards it then holds all of them, whole (CALL_WHOLE). */
    bool (*undeclared)(const struct slice *argv, uint32_t argc);
    /* At home, before the call is routed: what it needs beyond argv (*extra, which becomes
     * call->extra; it was NULL) and how far it reaches, in place of undeclared. release() gives
     * *extra back, at home. */
    enum command_reach (*prepare)(const struct slice *argv, uint32_t argc, void **extra);
    void (*release)(void *extra);
    uint32_t sliced_from;  /* CMD_SLICED: … when it has at least so many arguments */
    int member;            /* argument that names a member or field of the first key's value (<0: from
                              the end), so that it can be loaded early; 0: none */
    /* Whether this call may have to wait; NULL: it may if the row has CMD_BLOCKING. */
    bool (*may_wait)(const struct slice *argv, uint32_t argc);
    const struct command *subcommands; /* ended by name == NULL */

    /* documentation, for COMMAND DOCS */
    const char *group, *since, *summary, *complexity;
    const char *deprecated_since, *replaced_by;
    const struct command_change *history;
    const struct command_arg *args; /* ended by name == NULL */
    const char *const *tips;        /* ended by NULL */

    /* filled in when the table is built */
    uint16_t id;              /* index for statistics; subcommands have their own */
    uint16_t only_key;        /* the argument that is its one key, and it reaches no others; else 0 */
    const struct command *parent;
    char full_name[48];       /* "client|list" */
};

enum call_flag {
    CALL_PART = 1 << 0,     /* one part of a command whose keys lie apart */
    CALL_NO_TOUCH = 1 << 1, /* CLIENT NO-TOUCH: leave access clocks alone */
    CALL_FROM_MASTER = 1 << 2,
    CALL_IN_MULTI = 1 << 3,
    CALL_DENY_BLOCKING = 1 << 4,
    CALL_WHOLE = 1 << 5,    /* all keys of all shards are in reach, named or not */
    CALL_IN_SCRIPT = 1 << 6, /* redis.call; CALL_DENY_BLOCKING is set, too */
    CALL_SERVING = 1 << 8,  /* a command that waits is run again, for the key that may have data */
};

/* What a blocking command waits for. Those in a WAIT_GROUP want to know, too, that the key is no
 * longer what it was (XREADGROUP); WAIT waits for no key at all. */
enum wait_kind { WAIT_LIST, WAIT_ZSET, WAIT_STREAM, WAIT_GROUP, WAIT_REPLICAS };

/* How a blocking command tells that there is nothing for it yet; see call_block().
 *
 *   first try:  all keys ──► data: reply.  Nothing: call_block(), no reply, nothing changed
 *   later, whenever a key changes, CALL_SERVING with this key (and those behind call_block's
 *   nkeys) alone: ──► data: call_claim(), and if that is granted, reply.  Nothing: call_block()
 */
struct call_wait {
    bool blocked;        /* call_block() was called */
    enum wait_kind kind;
    uint32_t nkeys;      /* it waits for the first so many of its keys */
    int64_t timeout_ms;  /* 0: none */
    void *memo;          /* what the first try leaves for later ones (mem_alloc), read only then */
    /* CALL_SERVING: whether nobody else (another shard, a timeout) has answered meanwhile. */
    bool (*claim)(struct call_wait *wait);
};

struct call {
    const struct command *command;
    struct keyspace *ks;            /* of the shard that runs this */
    struct keyspace *const *views;  /* by shard, when slots of other shards are lent; else NULL */
    const struct slice *argv;
    const struct key *keys;         /* the command's keys in order; in a part: this shard's only */
    uint32_t argc, nkeys;
    uint32_t flags;                 /* enum call_flag */
    int db;
    struct reply *out;
    int64_t now_ms;                 /* unix time at which this command happens */
    uint64_t dirty;                 /* changes made */
    uint64_t weight;                /* APART_ANY */
    uint32_t *marks;                /* APART_EACH_KEY, APART_CONCAT in a part: see call_mark() */
    uint32_t marks_count, marks_cap;
    size_t marked_bytes_;
    uint16_t slot_begin, slot_end;  /* slots of this shard: [begin, end) (ROUTE_ALL, ROUTE_CURSOR) */
    const uint16_t *slot_shard;     /* the slot map, for call_key(); NULL: one shard */
    struct call_wait *wait;         /* how to wait for data; NULL: it may not */
    void *extra;                    /* what the row needs beyond argv (a script …): op->extra */
    void *host;                     /* ROUTE_HOME, ROUTE_BARRIER: struct conn; else the struct shard */
};

static inline struct keyspace *call_keyspace(const struct call *c, const struct key *k)
{
    return c->views ? c->views[k->shard] : c->ks;
}

/* In a part (CALL_PART) of EACH_KEY or CONCAT: the element just written ends here. Without CALL_PART
 * nothing happens. marks[i] is the length of element i in bytes of c->out; the array comes from
 * mem_alloc, and whoever made the call frees it (mem_free). */
void call_mark(struct call *c);

/* Key of argv[arg]: those that the row's key_spec names are in c->keys already. */
struct key call_key(const struct call *c, const char *ptr, size_t len);

/* --- error replies that many commands share, worded as Redis --- */
void call_error_syntax(struct call *c);     /* ERR syntax error */
void call_error_integer(struct call *c);    /* ERR value is not an integer or out of range */
void call_error_float(struct call *c);      /* ERR value is not a valid float */
void call_error_wrong_type(struct call *c); /* WRONGTYPE Operation against … */
void call_error_no_key(struct call *c);     /* ERR no such key */
void call_error_subcommand(struct call *c); /* ERR unknown subcommand '…'. Try X HELP. */
/* ERR unknown subcommand or wrong number of arguments for '…'. Try X HELP. */
void call_error_subcommand_args(struct call *c);
void call_error_arity(struct call *c);      /* ERR wrong number of arguments for '…' command */
void call_error_expire(struct call *c);     /* ERR invalid expire time in '…' command */
void call_help(struct call *c, const char *const *lines); /* X HELP, lines ended by NULL */
/* Parses argv[i]; on failure replies call_error_integer (or text) and returns false. */
bool call_arg_int(struct call *c, uint32_t i, int64_t *out);
bool call_arg_int_or(struct call *c, uint32_t i, int64_t *out, const char *error);
bool call_arg_range(struct call *c, uint32_t i, int64_t min, int64_t max, int64_t *out, const char *error);
/* A timeout in seconds, as milliseconds (rounded up). */
bool call_arg_timeout(struct call *c, uint32_t i, int64_t *timeout_ms);

/* --- blocking commands (struct call_wait) --- */
/* Whether the command may wait: not inside of transactions and scripts. */
static inline bool call_may_block(const struct call *c)
{
    return c->wait != NULL && !(c->flags & CALL_DENY_BLOCKING);
}
/* There is nothing for the command: it waits, for one of its first nkeys keys. It must be one that
 * may. memo is taken over. */
void call_block(struct call *c, enum wait_kind kind, uint32_t nkeys, int64_t timeout_ms, void *memo);
/* Before the first change or reply of a command that has found data: false means that another
 * has answered it, and it must leave everything as it is. */
static inline bool call_claim(struct call *c)
{
    return !(c->flags & CALL_SERVING) || c->wait->claim(c->wait);
}

/* --- the table --- */
/* Rows by type, each ended by name == NULL. */
extern const struct command string_commands[], generic_commands[];
extern const struct command bitmap_commands[], hll_commands[], geo_commands[];
extern const struct command set_commands[], sort_commands[];
extern const struct command list_commands[];
extern const struct command hash_commands[];
extern const struct command zset_commands[];
extern const struct command stream_commands[];
/* Categories of a command, those that its flags imply included. */
uint32_t command_acl(const struct command *cmd);
/* Positions of all keys of argv by the row's specifications; returns how many, -1 when argv does
 * not fit them ("Invalid arguments specified for command"). At most max are written; room for argc
 * is always enough. */
int command_keys(const struct command *cmd, const struct slice *argv, uint32_t argc,
                 uint32_t *positions, int max);

#endif
