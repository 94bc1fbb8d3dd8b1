/* core_command.c - where a row's keys are found, the categories it has, and that the rows of the
 * string commands are complete. */
#include "core/command.h"
#include "core/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { WORDS = 32 };

/* Positions of the keys of a line, as "1 3 5"; "-" when argv does not fit. */
static const char *keys_of(const struct command *cmd, const char *line)
{
    static char text[256];
    struct slice argv[WORDS];
    uint32_t argc = 0, at[WORDS];
    while (*line) {
        size_t len = strcspn(line, " ");
        argv[argc++] = slice_of(line, len);
        line += len;
        line += strspn(line, " ");
    }
    int n = command_keys(cmd, argv, argc, at, WORDS);
    if (n < 0) {
        return "-";
    }
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), i ? " %u" : "%u", at[i]);
    }
    return text;
}

static const struct command *row(const char *name)
{
    for (const struct command *cmd = string_commands; cmd->name; cmd++) {
        if (strcmp(cmd->name, name) == 0) {
            return cmd;
        }
    }
    cr_assert_fail("no row %s", name);
    return NULL;
}

Test(command_keys, at_fixed_places)
{
    cr_assert_str_eq(keys_of(row("get"), "GET k"), "1");
    cr_assert_str_eq(keys_of(row("get"), "GET"), "-");
    cr_assert_str_eq(keys_of(row("set"), "SET k v EX 10"), "1");
    cr_assert_str_eq(keys_of(row("lcs"), "LCS a b LEN"), "1 2");
    cr_assert_str_eq(keys_of(row("lcs"), "LCS a"), "-");
}

Test(command_keys, up_to_the_end)
{
    cr_assert_str_eq(keys_of(row("mget"), "MGET a b c"), "1 2 3");
    cr_assert_str_eq(keys_of(row("mget"), "MGET"), "-");
    cr_assert_str_eq(keys_of(row("mset"), "MSET a 1 b 2"), "1 3");
    cr_assert_str_eq(keys_of(row("mset"), "MSET a 1 b"), "1 3");

    /* all but the last, as BLPOP */
    const struct command blpop = {.keys = {{KEYS_AT(1, -2, 1)}}};
    cr_assert_str_eq(keys_of(&blpop, "BLPOP a b 0"), "1 2");
    cr_assert_str_eq(keys_of(&blpop, "BLPOP 0"), "-");
}

Test(command_keys, behind_a_keyword)
{
    /* half of what follows STREAMS, as XREAD */
    const struct command xread = {.keys = {{
        .begin = KEY_BEGIN_KEYWORD, .index = 1, .keyword = "STREAMS",
        .find = KEY_FIND_RANGE, .last = -1, .step = 1, .limit = 2,
    }}};
    cr_assert_str_eq(keys_of(&xread, "XREAD COUNT 1 streams a b 0 0"), "4 5");
    cr_assert_str_eq(keys_of(&xread, "XREAD STREAMS a 0"), "2");
    cr_assert_str_eq(keys_of(&xread, "XREAD COUNT 1"), "");
    cr_assert_str_eq(keys_of(&xread, "XREAD COUNT STREAMS"), "", "nothing follows it");

    /* searched from the end, as GEORADIUS … STORE and MIGRATE … KEYS do */
    const struct command store = {.keys = {
        {KEYS_AT(1, 0, 1)},
        {.begin = KEY_BEGIN_KEYWORD, .index = -2, .keyword = "KEYS",
         .find = KEY_FIND_RANGE, .last = -1, .step = 1},
    }};
    cr_assert_str_eq(keys_of(&store, "M k x KEYS a b"), "1 4 5");
    cr_assert_str_eq(keys_of(&store, "M k x a KEYS"), "1", "looked for from the last but one");
    cr_assert_str_eq(keys_of(&store, "M k x KEYS a"), "1 4");
    cr_assert_str_eq(keys_of(&store, "M KEYS KEYS a"), "1 3");
}

Test(command_keys, with_a_count)
{
    const struct command zunionstore = {.keys = {
        {KEYS_AT(1, 0, 1)},
        {.begin = KEY_BEGIN_INDEX, .index = 2, .find = KEY_FIND_KEYNUM,
         .keynum = 0, .first = 1, .step = 1},
    }};
    cr_assert_str_eq(keys_of(&zunionstore, "Z d 2 a b WEIGHTS 1 2"), "1 3 4");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d 0"), "1");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d 3 a b"), "-");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d x a b"), "-");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d -1 a b"), "-");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d 9223372036854775807 a"), "-");
    cr_assert_str_eq(keys_of(&zunionstore, "Z d"), "-");
}

static int find_second(const struct slice *argv, uint32_t argc, uint32_t *positions, int max)
{
    if (argc < 3 || max < 1) {
        return -1;
    }
    positions[0] = 2;
    return 1;
}

Test(command_keys, found_by_a_function)
{
    const struct command unknown = {
        .keys = {{.begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN}},
        .find_keys = find_second,
    };
    cr_assert_str_eq(keys_of(&unknown, "X a b"), "2");
    cr_assert_str_eq(keys_of(&unknown, "X a"), "-");

    const struct command incomplete = {
        .keys = {{.flags = KEY_INCOMPLETE, KEYS_AT(1, 0, 1)}},
        .find_keys = find_second,
    };
    cr_assert_str_eq(keys_of(&incomplete, "X a b"), "2");

    const struct command unknown_alone = {
        .keys = {{.begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN}},
    };
    cr_assert_str_eq(keys_of(&unknown_alone, "X a b"), "-");
}

Test(command_keys, that_are_none)
{
    const struct command spublish = {.keys = {{.flags = KEY_NOT_KEY, KEYS_AT(1, 0, 1)}}};
    cr_assert_str_eq(keys_of(&spublish, "SPUBLISH c m"), "");
    const struct command ping = {.name = "ping"};
    cr_assert_str_eq(keys_of(&ping, "PING a"), "");
}

Test(command_keys, writes_no_more_than_there_is_room_for)
{
    struct slice argv[5] = {{"MGET", 4}, {"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    uint32_t at[3] = {77, 77, 77};
    cr_assert_eq(command_keys(row("mget"), argv, 5, at, 2), 4);
    cr_assert_eq(at[1], 2);
    cr_assert_eq(at[2], 77);
}

Test(command_acl, implied_by_flags)
{
    const struct command admin = {.flags = CMD_ADMIN | CMD_PUBSUB};
    const struct command script = {.flags = CMD_READONLY, .acl = ACL_SCRIPTING};
    const struct command pop = {.flags = CMD_WRITE | CMD_BLOCKING, .acl = ACL_LIST};
    cr_assert_eq(command_acl(row("get")), ACL_STRING | ACL_READ | ACL_FAST);
    cr_assert_eq(command_acl(row("set")), ACL_STRING | ACL_WRITE | ACL_SLOW);
    cr_assert_eq(command_acl(&admin), ACL_ADMIN | ACL_DANGEROUS | ACL_PUBSUB | ACL_SLOW);
    cr_assert_eq(command_acl(&script), ACL_SCRIPTING | ACL_SLOW);
    cr_assert_eq(command_acl(&pop), ACL_LIST | ACL_WRITE | ACL_BLOCKING | ACL_SLOW);
}

Test(command, rows_are_complete)
{
    int rows = 0;
    for (const struct command *cmd = string_commands; cmd->name; cmd++, rows++) {
        cr_assert(cmd->run && cmd->arity && cmd->flags && cmd->acl == ACL_STRING, "%s", cmd->name);
        cr_assert(cmd->since && cmd->summary && cmd->complexity && cmd->args, "%s", cmd->name);
        cr_assert_str_eq(cmd->group, "string");
        cr_assert_eq(cmd->keys[0].begin, KEY_BEGIN_INDEX);
        bool writes = cmd->flags & CMD_WRITE, reads = cmd->flags & CMD_READONLY;
        cr_assert(writes != reads, "%s", cmd->name);
        cr_assert(!reads || (cmd->keys[0].flags & KEY_RO), "%s", cmd->name);
        cr_assert(!cmd->deprecated_since == !cmd->replaced_by, "%s", cmd->name);
    }
    cr_assert_eq(rows, 22);
}

static size_t text_of(struct reply *r, char *out)
{
    struct iovec pieces[16];
    size_t len = 0;
    int n = reply_iovec(r, pieces, 16);
    for (int i = 0; i < n; i++) {
        memcpy(out + len, pieces[i].iov_base, pieces[i].iov_len);
        len += pieces[i].iov_len;
    }
    out[len] = '\0';
    reply_clear(r);
    return len;
}

Test(call, errors_and_help)
{
    static const char *const lines[] = {"COUNT", "    Counts.", NULL};
    struct reply r;
    struct slice argv[] = {slice_str("Object"), slice_str("nonsense")};
    struct command cmd = {.name = "encoding", .full_name = "object|encoding"};
    struct call c = {.command = &cmd, .argv = argv, .argc = 2, .out = &r};
    char text[1024];
    reply_init(&r, 2);

    call_error_subcommand(&c);
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR unknown subcommand 'nonsense'. Try OBJECT HELP.\r\n");
    call_error_subcommand_args(&c);
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR unknown subcommand or wrong number of arguments for 'nonsense'. "
                           "Try OBJECT HELP.\r\n");
    call_error_arity(&c);
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR wrong number of arguments for 'object|encoding' command\r\n");
    call_error_expire(&c);
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR invalid expire time in 'object|encoding' command\r\n");
    call_help(&c, lines);
    text_of(&r, text);
    cr_assert_str_eq(text,
                     "*5\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
                     "+COUNT\r\n+    Counts.\r\n+HELP\r\n+    Prints this help.\r\n");
}

Test(call, integer_arguments)
{
    struct reply r;
    struct slice argv[] = {slice_str("X"), slice_str("12"), slice_str("twelve")};
    struct call c = {.argv = argv, .argc = 3, .out = &r};
    char text[256];
    int64_t v = 0;
    reply_init(&r, 2);

    cr_assert(call_arg_int(&c, 1, &v) && v == 12);
    cr_assert(!call_arg_int(&c, 2, &v));
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR value is not an integer or out of range\r\n");
    cr_assert(!call_arg_int_or(&c, 2, &v, "ERR twelve what"));
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR twelve what\r\n");
    cr_assert(call_arg_range(&c, 1, 0, 12, &v, NULL));
    cr_assert(!call_arg_range(&c, 1, 13, 20, &v, NULL));
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR value is out of range, value must between 13 and 20\r\n");
    cr_assert(!call_arg_range(&c, 1, 13, 20, &v, "ERR too few"));
    text_of(&r, text);
    cr_assert_str_eq(text, "-ERR too few\r\n");
}

Test(call, marks_measure_elements)
{
    struct reply r;
    struct call c = {.out = &r};
    reply_init(&r, 2);
    reply_int(&r, 1);
    call_mark(&c);
    cr_assert_eq(c.marks_count, 0, "not in a part");

    reply_clear(&r);
    c.flags = CALL_PART;
    for (int i = 0; i < 100; i++) {
        reply_int(&r, i < 10 ? 1 : 11);
        call_mark(&c);
    }
    cr_assert_eq(c.marks_count, 100);
    cr_assert_eq(c.marks[9], 4);
    cr_assert_eq(c.marks[10], 5);
    mem_free(c.marks);
    reply_clear(&r);
}

Test(call, keys_by_hash_and_slot)
{
    static uint16_t slot_shard[SLOT_COUNT];
    slot_shard[hash_slot("foo", 3)] = 3;
    struct call c = {.slot_shard = slot_shard};
    struct key k = call_key(&c, "foo", 3);
    cr_assert_eq(k.slot, 12182);
    cr_assert_eq(k.hash, hash_bytes("foo", 3));
    cr_assert_eq(k.shard, 3);
    cr_assert_eq(call_key(&c, "{foo}bar", 8).slot, k.slot);
}
