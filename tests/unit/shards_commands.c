/* The command table: building, finding, resolving, and COMMAND. The rows of other parts are
 * replaced by small ones of this file. */
#include "proto/reply.h"
#include "shards/commands.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void run_nothing(struct call *c)
{
    reply_ok(c->out);
}

static int find_second(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    positions[0] = 1;
    if (argc > 3 && slice_is(argv[2], "store")) {
        positions[1] = 3;
        return 2;
    }
    return 1;
}

static const struct command object_subcommands[] = {
    {.name = "encoding", .run = run_nothing, .arity = 3, .flags = CMD_READONLY,
     .keys = {{.flags = KEY_RO, KEYS_AT(2, 0, 1)}}},
    {.name = "help", .run = run_nothing, .arity = 2},
    {0},
};

#define READ .run = run_nothing, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_STRING

/* Weak: they win over the parts' own, which are then not linked, and match their declarations. */
__attribute__((weak)) const struct command string_commands[] = {
    {.name = "get", READ, .arity = 2, .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)}}},
    {.name = "set", .run = run_nothing, .arity = -3, .flags = CMD_WRITE,
     .keys = {{.flags = KEY_RW | KEY_UPDATE | KEY_VARIABLE_FLAGS, KEYS_AT(1, 0, 1)}}},
    {.name = "mset", .run = run_nothing, .arity = -3, .flags = CMD_WRITE,
     .keys = {{.flags = KEY_OW | KEY_UPDATE, KEYS_AT(1, -1, 2)}}},
    {.name = "getrange", READ, .arity = 4, .keys = {{.flags = KEY_RO, KEYS_AT(1, 0, 1)}}},
    {.name = "georadiusbymember_ro", READ, .arity = -5,
     .keys = {{.flags = KEY_RO, KEYS_AT(1, 0, 1)}}},
    {.name = "georadiusbynumber_ro", READ, .arity = -5,
     .keys = {{.flags = KEY_RO, KEYS_AT(1, 0, 1)}}},
    {.name = "bitop", .run = run_nothing, .arity = -4, .flags = CMD_WRITE,
     .keys = {{.flags = KEY_OW, KEYS_AT(2, 0, 1)}, {.flags = KEY_RO, KEYS_AT(3, -1, 1)}}},
    {0},
};
__attribute__((weak)) const struct command generic_commands[] = {
    {.name = "sort", .run = run_nothing, .arity = -2, .flags = CMD_WRITE, .find_keys = find_second,
     .keys = {{.flags = KEY_RO | KEY_ACCESS, KEYS_AT(1, 0, 1)},
              {.flags = KEY_OW | KEY_UPDATE, .begin = KEY_BEGIN_UNKNOWN,
               .find = KEY_FIND_UNKNOWN}}},
    {.name = "eval", .run = run_nothing, .arity = -3, .flags = CMD_NO_MANDATORY_KEYS,
     .keys = {{.flags = KEY_RW, .begin = KEY_BEGIN_INDEX, .index = 2, .find = KEY_FIND_KEYNUM,
               .keynum = 0, .first = 1, .step = 1}}},
    {.name = "object", .arity = -2, .subcommands = object_subcommands},
    {0},
};
__attribute__((weak)) const struct command connection_commands[] = {{0}};
__attribute__((weak)) const struct command pubsub_commands[] = {{0}};
__attribute__((weak)) const struct command cluster_commands[] = {{0}};
__attribute__((weak)) const struct command replication_commands[] = {{0}};
__attribute__((weak)) const struct command multi_commands[] = {{0}};
__attribute__((weak)) const struct command eval_commands[] = {{0}};
__attribute__((weak)) const struct command script_commands[] = {{0}};
__attribute__((weak)) const struct command function_commands[] = {{0}};
__attribute__((weak)) const struct command config_commands[] = {{0}};
__attribute__((weak)) const struct command server_commands[] = {{0}};
/* Data types are not what is tested here. */
__attribute__((weak)) const struct command list_commands[] = {{0}};
__attribute__((weak)) const struct command set_commands[] = {{0}};
__attribute__((weak)) const struct command sort_commands[] = {{0}};
__attribute__((weak)) const struct command hash_commands[] = {{0}};
__attribute__((weak)) const struct command zset_commands[] = {{0}};
__attribute__((weak)) const struct command bitmap_commands[] = {{0}};
__attribute__((weak)) const struct command hll_commands[] = {{0}};
__attribute__((weak)) const struct command geo_commands[] = {{0}};
__attribute__((weak)) const struct command stream_commands[] = {{0}};

static struct reply out;

/* The bytes of the reply, which is emptied. */
static const char *taken(void)
{
    static char text[65536];
    size_t len = 0;
    for (const struct reply_chunk *c = out.head; c != NULL; c = c->next) {
        cr_assert_lt(len + c->len, sizeof(text));
        memcpy(text + len, c->data, c->len);
        len += c->len;
    }
    text[len] = '\0';
    reply_clear(&out);
    return text;
}

enum { ARGS_MAX = 400 };

static uint32_t split(const char *line, struct slice argv[ARGS_MAX])
{
    uint32_t argc = 0;
    while (*line != '\0') {
        size_t len = strcspn(line, " ");
        argv[argc++] = slice_of(line, len);
        line += len + (line[len] == ' ');
    }
    return argc;
}

static const struct command *resolve(const char *line)
{
    struct slice argv[ARGS_MAX];
    return commands_resolve(argv, split(line, argv), &out);
}

static const char *run(const char *line)
{
    struct slice argv[ARGS_MAX];
    struct call c = {.argv = argv, .out = &out};
    c.argc = split(line, argv);
    c.command = commands_resolve(argv, c.argc, &out);
    if (c.command != NULL) {
        c.command->run(&c);
    }
    return taken();
}

static void setup(void)
{
    reply_init(&out, 2);
    commands_init();
}

TestSuite(commands, .init = setup);

Test(commands, ids_and_names)
{
    cr_assert_eq(commands_count(), 11);
    cr_assert_eq(commands_ids(), 11 + 2 + 7); /* OBJECT's and COMMAND's subcommands */
    for (unsigned id = 0; id < commands_ids(); id++) {
        const struct command *cmd = commands_by_id(id);
        cr_assert_eq(cmd->id, id);
        cr_assert_eq(cmd->parent == NULL, id < commands_count());
        cr_assert_eq(commands_find_full(slice_str(cmd->full_name)), cmd);
        if (cmd->parent != NULL) {
            cr_assert_eq(commands_find_sub(cmd->parent, slice_str(cmd->name)), cmd);
            cr_assert_geq(cmd, cmd->parent->subcommands);
        }
    }
    const struct command *found = commands_find_full(slice_str("OBJECT|Encoding"));
    cr_assert_str_eq(found->full_name, "object|encoding");
    cr_assert_null(commands_find_full(slice_str("object|")));
    cr_assert_null(commands_find_full(slice_str("object|help|me")));
    cr_assert_null(commands_find_full(slice_str("get|help")));
}

Test(commands, find)
{
    static const char *const absent[] = {
        "", "g", "ge", "gett", "GETRANGF", "getrange ", "georadiusbymember_rw",
        "georadiusbyXember_ro", "encoding", "object|encoding", "sorT\x01",
    };
    for (unsigned id = 0; id < commands_count(); id++) {
        char name[64];
        const struct command *cmd = commands_by_id(id);
        for (int round = 0; round < 3; round++) {
            size_t len = strlen(cmd->name);
            for (size_t i = 0; i < len; i++) {
                bool upper = round == 1 || (round == 2 && i % 2 == 0);
                bool letter = cmd->name[i] >= 'a' && cmd->name[i] <= 'z';
                name[i] = (char)(cmd->name[i] - (upper && letter ? 32 : 0));
            }
            char *exact = malloc(len); /* reading beyond it is noticed */
            memcpy(exact, name, len);
            cr_assert_eq(commands_find(slice_of(exact, len)), cmd);
            free(exact);
        }
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        cr_assert_null(commands_find(slice_str(absent[i])), "%s", absent[i]);
    }
    /* '_' is 0x5f: with bit 5 set it would be 0x7f. Only letters have two cases. */
    cr_assert_null(commands_find(slice_str("georadiusbymember\x7fro")));
    cr_assert_null(commands_find(slice_of("get\0", 4)));
}

Test(commands, resolve)
{
    cr_assert_str_eq(resolve("GET k")->full_name, "get");
    cr_assert_str_eq(resolve("object ENCODING k")->full_name, "object|encoding");
    cr_assert_str_eq(resolve("command")->full_name, "command");
    cr_assert_str_eq(resolve("command count")->full_name, "command|count");
    cr_assert_eq(out.total_bytes, 0);

    cr_assert_null(resolve("get"));
    cr_assert_str_eq(taken(), "-ERR wrong number of arguments for 'get' command\r\n");
    cr_assert_null(resolve("MSET a"));
    cr_assert_str_eq(taken(), "-ERR wrong number of arguments for 'mset' command\r\n");
    cr_assert_null(resolve("object"));
    cr_assert_str_eq(taken(), "-ERR wrong number of arguments for 'object' command\r\n");
    cr_assert_null(resolve("object encoding"));
    cr_assert_str_eq(taken(), "-ERR wrong number of arguments for 'object|encoding' command\r\n");
    cr_assert_null(resolve("Object foo"));
    cr_assert_str_eq(taken(), "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n");
    cr_assert_null(resolve("foo"));
    cr_assert_str_eq(taken(), "-ERR unknown command 'foo', with args beginning with: \r\n");
    cr_assert_null(resolve("foo a bc"));
    cr_assert_str_eq(taken(),
                     "-ERR unknown command 'foo', with args beginning with: 'a' 'bc' \r\n");
}

Test(commands, errors_are_cut)
{
    char line[2048], want[2048], x[301];
    memset(x, 'x', 300);
    x[300] = '\0';
    snprintf(line, sizeof(line), "%s %s b", x, x);
    snprintf(want, sizeof(want),
             "-ERR unknown command '%.128s', with args beginning with: '%.128s' \r\n", x, x);
    cr_assert_null(resolve(line));
    cr_assert_str_eq(taken(), want);

    /* 127 bytes are used: one byte of the next argument still fits, and then no more. */
    snprintf(line, sizeof(line), "foo %.124s bcd e", x);
    snprintf(want, sizeof(want),
             "-ERR unknown command 'foo', with args beginning with: '%.124s' 'b' \r\n", x);
    cr_assert_null(resolve(line));
    cr_assert_str_eq(taken(), want);

    snprintf(line, sizeof(line), "object %s", x);
    snprintf(want, sizeof(want), "-ERR unknown subcommand '%.128s'. Try OBJECT HELP.\r\n", x);
    cr_assert_null(resolve(line));
    cr_assert_str_eq(taken(), want);

    struct slice argv[] = {slice_of("a\r\nb\0c", 6), slice_of("\nd", 2)};
    cr_assert_null(commands_resolve(argv, 2, &out));
    cr_assert_str_eq(taken(), "-ERR unknown command 'a  b', with args beginning with: ' d' \r\n");
}

Test(commands, movable_keys)
{
    static const struct {
        const char *name;
        int first, last, step;
        bool movable;
    } cases[] = {
        {"get", 1, 1, 1, false},  {"mset", 1, -1, 2, false}, {"bitop", 2, -1, 1, false},
        {"sort", 1, 1, 1, true},  {"eval", 0, 0, 0, true},   {"object", 0, 0, 0, false},
        {"object|encoding", 2, 2, 1, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct command *cmd = commands_find_full(slice_str(cases[i].name));
        struct command_range range;
        bool misses = command_legacy_range(cmd, &range);
        cr_assert_eq(misses, cases[i].movable, "%s", cases[i].name);
        cr_assert_eq((cmd->flags & CMD_MOVABLE_KEYS) != 0, cases[i].movable, "%s", cases[i].name);
        cr_assert_eq(range.first, cases[i].first, "%s", cases[i].name);
        cr_assert_eq(range.last, cases[i].last, "%s", cases[i].name);
        cr_assert_eq(range.step, cases[i].step, "%s", cases[i].name);
    }
}

Test(commands, command_info)
{
    cr_assert_str_eq(run("command count"), ":11\r\n");
    cr_assert_str_eq(run("command info nothing"), "*1\r\n$-1\r\n");
    cr_assert_str_eq(
        run("command info get"),
        "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n"
        "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
        "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n"
        "$5\r\nindex\r\n:1\r\n"
        "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n"
        "$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n");
    out.resp = 3;
    cr_assert_str_eq(run("command docs get object|help nothing"),
                     "%2\r\n$3\r\nget\r\n%1\r\n$5\r\ngroup\r\n$7\r\ngeneric\r\n"
                     "$11\r\nobject|help\r\n%1\r\n$5\r\ngroup\r\n$7\r\ngeneric\r\n");
}

Test(commands, command_list)
{
    cr_assert_str_eq(run("command list filterby pattern OBJ*"),
                     "*3\r\n$6\r\nobject\r\n$15\r\nobject|encoding\r\n$11\r\nobject|help\r\n");
    cr_assert_str_eq(run("command list filterby aclcat nonsense"), "*0\r\n");
    cr_assert_str_eq(run("command list filterby module m"), "*0\r\n");
    cr_assert_str_eq(run("command list filterby colour blue"), "-ERR syntax error\r\n");
    cr_assert_str_eq(run("command list filterby"), "-ERR syntax error\r\n");
    cr_assert_str_eq(run("command list filterby aclcat write"),
                     "*4\r\n$3\r\nset\r\n$4\r\nmset\r\n$5\r\nbitop\r\n$4\r\nsort\r\n");
}

Test(commands, command_getkeys)
{
    cr_assert_str_eq(run("command getkeys mset a 1 b 2"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    cr_assert_str_eq(run("command getkeys object encoding a"), "*1\r\n$1\r\na\r\n");
    cr_assert_str_eq(run("command getkeys eval x 0"), "*0\r\n");
    cr_assert_str_eq(run("command getkeys eval x 2 a b c"), "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    cr_assert_str_eq(run("command getkeys nothing a"), "-ERR Invalid command specified\r\n");
    cr_assert_str_eq(run("command getkeys object nothing"), "-ERR Invalid command specified\r\n");
    cr_assert_str_eq(run("command getkeys command count"),
                     "-ERR The command has no key arguments\r\n");
    cr_assert_str_eq(run("command getkeys get"),
                     "-ERR Invalid number of arguments specified for command\r\n");

    cr_assert_str_eq(run("command getkeysandflags set a 1"),
                     "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
    cr_assert_str_eq(run("command getkeysandflags set a 1 ex 3 GET"),
                     "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n");
    cr_assert_str_eq(run("command getkeysandflags sort a store b"),
                     "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"
                     "*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n");
}

/* Last: it changes the table. Criterion runs every test in a process of its own. */
Test(commands, rename)
{
    const struct command *get = commands_find(slice_str("get"));
    const char *longer = "georadiusbymember_secret";
    cr_assert_eq(commands_rename("nothing", "x"), -ENOENT);
    cr_assert_eq(commands_rename("get", "set"), -EEXIST);
    cr_assert_eq(commands_find(slice_str("GET")), get);
    cr_assert_eq(commands_rename("get", longer), 0);
    cr_assert_null(commands_find(slice_str("get")));
    cr_assert_eq(commands_find(slice_str("GeoRadiusByMember_SECRET")), get);
    cr_assert_null(commands_find(slice_str("georadiusbymember_secreT2")));
    cr_assert_str_eq(get->name, "get");

    const struct command *sort = commands_find(slice_str("sort"));
    cr_assert_eq(commands_rename("sort", ""), 0);
    cr_assert_null(commands_find(slice_str("sort")));
    cr_assert_null(commands_find(slice_str("")));
    cr_assert(commands_callable(get) && !commands_callable(sort));
}
