/* core_function.c - libraries and sets of functions: sharing, instances in several VMs, DUMP. What is
 * seen in replies alone is compared with redis-server by differential/scripts.py. */
#include "core/mem.h"
#include "tests/unit/script_harness.h"
#include <criterion/criterion.h>
#include <stdio.h>

HARNESS_COMMANDS(string_commands, generic_commands)

static struct script_harness *sh;

static void setup(void)
{
    sh = script_harness_new();
}

static void teardown(void)
{
    script_harness_free(sh);
}

TestSuite(core_function, .init = setup, .fini = teardown);

static const char count_library[] =
    "#!lua name=counting\nlocal n=0\nredis.register_function('count',function() n=n+1 return n end)\n"
    "redis.register_function{function_name='ask',callback=function() return n end,"
    "flags={'no-writes'},description='how many'}";

#define expect_do(reply, ...) cr_expect_str_eq(script_harness_do(sh, __VA_ARGS__, NULL), reply)

Test(core_function, library_as_a_value)
{
    struct reply out;
    reply_init(&out, 2);
    struct function_library *lib =
        function_library_load(sh->vm, slice_str(count_library), 0, &out);
    cr_assert_not_null(lib);
    cr_expect_str_eq(lib->name, "counting");
    cr_expect_eq(lib->count, 2);
    cr_expect_str_eq(lib->functions[0].name, "ask");
    cr_expect_str_eq(lib->functions[0].description, "how many");
    cr_expect_eq(lib->functions[0].flags, SCRIPT_NO_WRITES);
    cr_expect_str_eq(lib->functions[1].name, "count");
    cr_expect_eq(lib->functions[1].library, lib);
    cr_expect_null(lib->functions[1].description);
    cr_expect_eq(out.total_bytes, 0);
    function_library_unref(lib);
    function_vm_settle(sh->vm);
}

Test(core_function, sets_do_not_change)
{
    struct reply out;
    reply_init(&out, 2);
    struct function_set *none = function_set_empty();
    struct function_library *lib;
    struct function_set *one = function_set_load(none, sh->vm, slice_str(count_library), false, 0,
                                                 &lib, &out);
    cr_assert_not_null(one);
    function_library_unref(lib);
    cr_expect_eq(none->count, 0);
    cr_expect_null(function_set_find(none, slice_str("count")));
    cr_expect_not_null(function_set_find(one, slice_str("COUNT")));
    cr_expect_null(function_set_find(one, slice_str("coun")));
    cr_expect_null(function_set_find(one, slice_str("counts")));
    cr_expect_null(function_set_find(one, slice_str("")));
    cr_expect_not_null(function_set_library(one, slice_str("counting")));
    cr_expect_null(function_set_library(one, slice_str("COUNTING")));
    cr_expect_gt(one->memory_bytes, sizeof count_library);

    struct function_set *again = function_set_delete(one, slice_str("counting"), &out);
    cr_expect_eq(again->count, 0);
    cr_expect_eq(one->count, 1);
    /* The old set still runs. */
    struct script_call call = {.ctx = sh};
    function_run(sh->vm, function_set_find(one, slice_str("count")), &call, &out);
    cr_expect_eq(out.errors, 0);
    function_set_unref(none);
    function_set_unref(one);
    function_set_unref(again);
    reply_clear(&out);
}

Test(core_function, every_vm_has_its_own_locals)
{
    expect_do("$8\r\ncounting\r\n", "FUNCTION", "LOAD", count_library);
    expect_do(":1\r\n", "FCALL", "count", "0");
    expect_do(":2\r\n", "FCALL", "count", "0");
    expect_do(":2\r\n", "FCALL_RO", "ask", "0");

    struct script_harness *other = script_harness_new(); /* another shard */
    function_set_unref(other->set);
    other->set = function_set_ref(sh->set);
    cr_expect_str_eq(script_harness_do(other, "FCALL", "count", "0", NULL), ":1\r\n");
    expect_do(":3\r\n", "FCALL", "count", "0");
    script_harness_free(other);
    expect_do(":4\r\n", "FCALL", "count", "0");
}

Test(core_function, code_that_registers_other_things_each_time)
{
    /* The only thing that differs from one load to the next, and that a library can see. */
    const char *code = "#!lua name=l\nlocal s=('%p'):format({}) redis.register_function('f'..s:sub(3),"
                       "function() return 1 end)";
    const char *reply = script_harness_do(sh, "FUNCTION", "LOAD", code, NULL);
    cr_assert(reply[0] == '-'); /* Lua 5.1 has no %p, and the globals of loading no tostring */
}

Test(core_function, memory_of_deleted_libraries_is_given_back)
{
    expect_do("$8\r\ncounting\r\n", "FUNCTION", "LOAD", count_library);
    script_vm_collect(sh->vm);
    size_t before = script_vm_function_memory_bytes(sh->vm);
    for (int i = 0; i < 200; i++) {
        char code[200];
        snprintf(code, sizeof code, "#!lua name=l%d\nlocal s=('x'):rep(10000)..'%d' "
                 "redis.register_function('f%d',function() return #s end)", i, i, i);
        cr_expect(script_harness_do(sh, "FUNCTION", "LOAD", code, NULL)[0] == '$');
        char name[16];
        snprintf(name, sizeof name, "l%d", i);
        expect_do("+OK\r\n", "FUNCTION", "DELETE", name);
    }
    script_vm_collect(sh->vm);
    cr_expect_lt(script_vm_function_memory_bytes(sh->vm), before + 100000);
    expect_do(":1\r\n", "FCALL", "count", "0");
}

Test(core_function, eval_and_functions_are_apart)
{
    expect_do("$8\r\ncounting\r\n", "FUNCTION", "LOAD", count_library);
    expect_do(":1\r\n", "FCALL", "count", "0");
    expect_do("+OK\r\n", "SCRIPT", "FLUSH");
    expect_do(":2\r\n", "FCALL", "count", "0");
}

Test(core_function, loading_ends_in_time)
{
    const char *reply = script_harness_do(
        sh, "FUNCTION", "LOAD", "#!lua name=l\nwhile true do local x = redis end", NULL);
    cr_expect_str_eq(reply, "-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n");
    expect_do("$8\r\ncounting\r\n", "FUNCTION", "LOAD", count_library);
}

Test(core_function, killed)
{
    script_harness_do(sh, "FUNCTION", "LOAD",
                      "#!lua name=l\nredis.register_function('f',function() while true do end end)",
                      NULL);
    sh->verdict = SCRIPT_STOP;
    cr_expect_str_eq(script_harness_do(sh, "FCALL", "f", "0", NULL),
                     "-ERR Script killed by user with SCRIPT KILL... script: f, on "
                     "@user_function:2.\r\n");
}

static struct function_set *restore(struct slice payload, struct reply *out)
{
    return function_set_restore(sh->set, sh->vm, payload, FUNCTION_RESTORE_FLUSH,
                                out);
}

Test(core_function, restore_of_hostile_payloads)
{
    struct function_set *set;
    struct bytes dump = {0};
    script_harness_do(sh, "FUNCTION", "LOAD", count_library, NULL);
    function_set_dump(sh->set, &sh->h->settings, &dump, false);
    cr_assert_eq((uint8_t)dump.data[0], 245);
    struct reply out;
    reply_init(&out, 2);
    set = restore(slice_of(dump.data, dump.len), &out);
    cr_assert_not_null(set);
    cr_expect_eq(set->count, 1);
    function_set_unref(set);
    for (size_t i = 0; i < dump.len; i++) { /* any byte changed: refused by its checksum */
        dump.data[i] ^= 0x40;
        cr_expect_null(restore(slice_of(dump.data, dump.len), &out));
        dump.data[i] ^= 0x40;
    }
    /* With a good checksum the contents are looked at. */
    for (size_t i = 0; i < dump.len - 10; i++) {
        struct bytes bad = {0};
        bytes_append(&bad, dump.data, dump.len - 8);
        bad.data[i] = (char)(bad.data[i] + 17);
        uint64_t crc = crc64_update(0, bad.data, bad.len);
        bytes_append(&bad, &crc, sizeof crc);
        set = restore(slice_of(bad.data, bad.len), &out);
        if (set != NULL) {
            function_set_unref(set);
        }
        bytes_free(&bad);
        reply_clear(&out);
    }
    bytes_free(&dump);
}
