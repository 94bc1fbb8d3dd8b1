/* core_script.c - scripts in one VM over the harness: what differential/scripts.py cannot see in
 * replies (flags of results, the host's calls, memory, ticks, the cache of compiled scripts). */
#include "tests/unit/script_harness.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

HARNESS_COMMANDS(string_commands, generic_commands, hash_commands, list_commands, zset_commands)

static struct script_harness *sh;

static void setup(void)
{
    sh = script_harness_new();
}

static void teardown(void)
{
    script_harness_free(sh);
}

TestSuite(core_script, .init = setup, .fini = teardown);

#define expect_eval(reply, ...) \
    cr_expect_str_eq(script_harness_eval(sh, __VA_ARGS__, NULL), reply)

/* --- KEYS and ARGV --- */

/* The tables serve again from run to run: whatever a script does to them, the next one sees its own
 * keys and arguments and nothing else. */
Test(core_script, keys_and_arguments_are_fresh)
{
    static const char *const mess[] = {
        "KEYS[1] = 'x' ARGV[1] = 'y'",
        "KEYS[1] = nil",
        "KEYS[2] = nil ARGV[1] = nil",
        "KEYS[3] = 'more' ARGV[2] = 'more'",
        "KEYS.name = 'more' ARGV.name = 1",
        "KEYS[0] = 1 ARGV[-1] = 1 ARGV[0.5] = 1",
        "KEYS[1] = nil KEYS[7] = 1",
        "KEYS[1] = nil KEYS.a = 1",
        "table.remove(KEYS, 1)",
        "table.insert(KEYS, 1, 'first') table.insert(ARGV, 'last')",
        "setmetatable(KEYS, {__index = function() return 'never' end})",
        "setmetatable(ARGV, {__newindex = function() end})",
        "rawset(KEYS, 'x', 1) rawset(ARGV, 2, 1)",
        "for i = 1, 1000 do KEYS[i] = i end for i = 3, 1000 do KEYS[i] = nil end",
        "for i = 1, 1000 do KEYS['n' .. i] = i end for i = 1, 1000 do KEYS['n' .. i] = nil end",
        "local k = KEYS k[1], k[2] = k[2], k[1]",
        "kept = KEYS", /* refused, as any global is */
        "error('in the middle')",
        "KEYS[3] = 1 return {KEYS, ARGV}",
    };
    static const char check[] =
        "local n, m = 0, 0 "
        "for k, v in pairs(KEYS) do n = n + 1 end for k, v in pairs(ARGV) do m = m + 1 end "
        "return {KEYS[1], KEYS[2], ARGV[1], n, m, tostring(getmetatable(KEYS)), "
        "tostring(getmetatable(ARGV)), tostring(KEYS[3]), tostring(KEYS.name)}";
    for (size_t i = 0; i < sizeof mess / sizeof *mess; i++) {
        for (int round = 0; round < 2; round++) {
            script_harness_eval(sh, mess[i], "k1", "k2", ",", "a1", NULL);
            const char *reply = script_harness_eval(sh, check, "one", "two", ",", "three", NULL);
            cr_expect_str_eq(reply,
                             "*9\r\n$3\r\none\r\n$3\r\ntwo\r\n$5\r\nthree\r\n:2\r\n:1\r\n"
                             "$3\r\nnil\r\n$3\r\nnil\r\n$3\r\nnil\r\n$3\r\nnil\r\n",
                             "after %s: %s", mess[i], reply);
        }
    }
    expect_eval(":0\r\n", "return #KEYS + #ARGV");
    expect_eval(":0\r\n", "return #KEYS + #ARGV");
    expect_eval("$1\r\nb\r\n", "return KEYS[2]", "a", "b");
    expect_eval("$-1\r\n", "return KEYS[2]", "a");
    expect_eval("$1\r\nj\r\n", "return KEYS[10]", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j");
    expect_eval("$-1\r\n", "return KEYS[10]", "a", "b", "c", "d", "e", "f", "g", "h", "i");
}

/* --- Values --- */

Test(core_script, sha_and_flags)
{
    struct reply out;
    reply_init(&out, 2);
    struct script *s = script_create(slice_str("return 42"), NULL, &out);
    cr_assert_str_eq(s->sha, "1fa00e76656cc152ad327c13fe365858fd7be306");
    cr_assert_eq(s->flags, SCRIPT_COMPAT);
    script_unref(script_ref(s));
    script_unref(s);

    s = script_create(slice_str("#!lua flags=no-writes,allow-oom\nreturn 1"), NULL, &out);
    cr_assert_eq(s->flags, SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM);
    cr_assert_eq(s->shebang_len, strlen("#!lua flags=no-writes,allow-oom"));
    script_unref(s);

    cr_assert_null(script_create(slice_str("#!lua flags=nothing\n"), NULL, &out));
    cr_assert_eq(out.errors, 1);
    reply_clear(&out);
}

Test(core_script, sha_in_any_case)
{
    char sha[SCRIPT_SHA_LEN + 1];
    cr_assert(script_sha_normalize(slice_str("1FA00E76656CC152AD327C13FE365858FD7BE306"), sha));
    cr_assert_str_eq(sha, "1fa00e76656cc152ad327c13fe365858fd7be306");
    cr_assert_not(script_sha_normalize(slice_str("1FA0"), sha));
}

Test(core_script, names_of_flags)
{
    cr_assert_eq(script_flag_by_name(slice_str("no-writes"), false), SCRIPT_NO_WRITES);
    cr_assert_eq(script_flag_by_name(slice_str("No-Writes"), false), 0);
    cr_assert_eq(script_flag_by_name(slice_str("No-Writes"), true), SCRIPT_NO_WRITES);
    cr_assert_eq(script_flag_by_name(slice_str(""), true), 0);
    cr_assert_str_eq(script_flag_name(5), "allow-cross-slot-keys");
    cr_assert_null(script_flag_name(4));
}

static const char *refusal(uint32_t flags, struct script_conditions now)
{
    static char text[512];
    struct reply out;
    reply_init(&out, 2);
    text[0] = 0;
    if (!script_may_run(flags, &now, &out)) {
        memcpy(text, out.head->data, out.head->len - 2);
        text[out.head->len - 2] = 0;
    }
    reply_clear(&out);
    return text;
}

Test(core_script, conditions)
{
    cr_expect_str_eq(refusal(SCRIPT_COMPAT, (struct script_conditions){.out_of_memory = true}), "");
    cr_expect_str_eq(refusal(0, (struct script_conditions){.out_of_memory = true}),
                     "-OOM allow-oom flag is not set on the script, can not run it when used memory "
                     "> 'maxmemory'");
    cr_expect_str_eq(refusal(SCRIPT_NO_WRITES, (struct script_conditions){.out_of_memory = true}), "");
    cr_expect_str_eq(refusal(SCRIPT_ALLOW_OOM, (struct script_conditions){.out_of_memory = true}), "");
    cr_expect_str_eq(refusal(0, (struct script_conditions){.read_only_command = true}),
                     "-ERR Can not execute a script with write flag using *_ro command.");
    cr_expect_str_eq(refusal(SCRIPT_COMPAT, (struct script_conditions){.read_only_command = true}),
                     "");
    cr_expect_str_eq(refusal(SCRIPT_NO_CLUSTER, (struct script_conditions){.cluster_enabled = true}),
                     "-ERR Can not run script on cluster, 'no-cluster' flag is set.");
    cr_expect_str_eq(refusal(0, (struct script_conditions){.replica_read_only = true}),
                     "-READONLY Can not run script with write flag on readonly replica");
    cr_expect_str_eq(refusal(0, (struct script_conditions){.replica_read_only = true,
                                                           .from_master = true}), "");
    cr_expect_str_eq(refusal(0, (struct script_conditions){.too_few_replicas = true}),
                     "-NOREPLICAS Not enough good replicas to write.");
    cr_expect(script_is_read_only(SCRIPT_NO_WRITES, false));
    cr_expect(!script_is_read_only(SCRIPT_COMPAT, false));
    cr_expect(script_is_read_only(SCRIPT_COMPAT, true));
}

/* --- Runs --- */

Test(core_script, keys_and_arguments)
{
    expect_eval("*3\r\n$1\r\na\r\n$1\r\nb\r\n:2\r\n", "return {KEYS[1],ARGV[1],#KEYS}", "a", "k",
                ",", "b");
    expect_eval("*0\r\n", "return KEYS");
}

Test(core_script, commands)
{
    expect_eval("+OK\r\n", "return redis.call('set',KEYS[1],ARGV[1])", "k", ",", "5");
    expect_eval(":6\r\n", "return redis.call('incr',KEYS[1])", "k");
    cr_expect_eq(sh->calls, 2);
    cr_expect_str_eq(script_harness_do(sh, "GET", "k", NULL), "$1\r\n6\r\n");
}

Test(core_script, errors_of_commands_are_marked)
{
    expect_eval("-ERR Unknown Redis command called from script\r\n", "return redis.pcall('foo')");
    cr_expect(sh->result.failed && sh->result.error_counted);
    script_harness_eval(sh, "return redis.call('foo')", NULL);
    cr_expect(sh->result.failed && sh->result.error_counted);
    script_harness_eval(sh, "error('x')", NULL);
    cr_expect(sh->result.failed && !sh->result.error_counted);
    script_harness_eval(sh, "return {err='x'}", NULL);
    cr_expect(sh->result.failed && !sh->result.error_counted);
    script_harness_eval(sh, "return 1", NULL);
    cr_expect(!sh->result.failed);
}

/* Redis dies of this one. */
Test(core_script, error_without_a_text)
{
    const char *reply = script_harness_eval(sh, "error({})", NULL);
    cr_expect(strstr(reply, "-ERR unknown error script: ") == reply);
    cr_expect(strstr(script_harness_eval(sh, "error({err=1})", NULL), "-ERR unknown error") != NULL);
    cr_expect(strstr(script_harness_eval(sh, "error(redis)", NULL), "readonly table") != NULL);
}

Test(core_script, values_in_several_chunks)
{
    /* Longer than a chunk of a reply, and large enough to be referred to. */
    for (int n = 100; n <= 1000000; n *= 10) {
        char body[256];
        snprintf(body, sizeof body, "redis.call('set','k',('x'):rep(%d)) local v=redis.call('get','k') "
                 "local m=redis.call('mget','k','k','none') "
                 "return {#v,v==('x'):rep(%d),#m[1],#m[2],m[3]}", n, n);
        char reply[128];
        snprintf(reply, sizeof reply, "*5\r\n:%d\r\n:1\r\n:%d\r\n:%d\r\n$-1\r\n", n, n, n);
        cr_expect_str_eq(script_harness_eval(sh, body, NULL), reply);
    }
}

Test(core_script, results_nested_without_end)
{
    const char *reply = script_harness_eval(sh, "local t={} t[1]=t return t", NULL);
    cr_expect(strstr(reply, "-ERR reached lua stack limit\r\n") != NULL);
    reply = script_harness_eval(sh, "local t={} t.map={t=t} return t", NULL);
    cr_expect(strstr(reply, "-ERR reached lua stack limit\r\n") != NULL);
    expect_eval(":1\r\n", "return 1");
}

Test(core_script, log_and_replication)
{
    script_harness_eval(sh, "redis.log(redis.LOG_WARNING,'a',5,{},'b')", NULL);
    cr_expect_str_eq(sh->log, "3 a 5 b");
    script_harness_eval(sh, "redis.log(redis.LOG_DEBUG,'quiet')", NULL);
    cr_expect_str_eq(sh->log, "3 a 5 b");
    script_harness_eval(sh, "redis.set_repl(redis.REPL_AOF)", NULL);
    cr_expect_eq(sh->repl, SCRIPT_REPL_AOF);
}

Test(core_script, running_name)
{
    bool is_function = true;
    cr_expect_null(script_vm_running(sh->vm, &is_function));
    script_harness_eval(sh, "return redis.call('ping')", NULL);
    cr_expect_null(script_vm_running(sh->vm, &is_function));
    cr_expect(!is_function);
}

/* --- Ticks and killing --- */

Test(core_script, ticks)
{
    expect_eval(":1\r\n", "for i=1,1000000 do end return 1");
    cr_expect_geq(sh->ticks, 9);
}

Test(core_script, killed_for_good)
{
    static const char *const bodies[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return pcall(f) end while true do f() end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "while true do xpcall(function() while true do end end, function(e) while true do end end) end",
        "while true do pcall(loadstring,'x') end",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        sh->verdict = SCRIPT_STOP;
        const char *reply = script_harness_eval(sh, bodies[i], NULL);
        cr_expect(strstr(reply, "-ERR ") == reply, "%s", reply);
        cr_expect(strstr(reply, "Script killed by user with SCRIPT KILL...") != NULL ||
                  strstr(reply, "error in error handling") != NULL, "%s: %s", bodies[i], reply);
        cr_expect(sh->result.failed);
        sh->verdict = SCRIPT_GO_ON;
        expect_eval(":500\r\n", "local n=0 for i=1,500 do\nn=n+1\nend\nreturn n");
    }
    cr_expect_str_eq(sh->log, "3 Lua script killed by user with SCRIPT KILL.");
}

/* --- Memory --- */

Test(core_script, memory_is_counted_and_given_back)
{
    expect_eval(":1\r\n", "return 1");
    script_vm_collect(sh->vm);
    size_t before = script_vm_memory_bytes(sh->vm);
    cr_expect_gt(before, 10000);
    expect_eval(":0\r\n", "for i=1,100 do local s=('x'):rep(100000)..i end return 0");
    script_vm_collect(sh->vm);
    cr_expect_lt(script_vm_memory_bytes(sh->vm), before + 200000); /* Lua keeps a buffer */
    script_vm_flush(sh->vm);
    cr_expect_eq(script_vm_memory_bytes(sh->vm), 0);
}

Test(core_script, garbage_is_collected_in_slices)
{
    expect_eval(":0\r\n", "local t = {} for i=1,200 do t[i]=('x'):rep(100000)..i end return 0");
    size_t before = script_vm_memory_bytes(sh->vm);
    cr_expect_gt(before, 16 << 20);
    int slices = 0;
    while (script_vm_collect_slice(sh->vm)) {
        cr_assert_lt(slices++, 100000);
    }
    cr_expect_lt(script_vm_memory_bytes(sh->vm), 1 << 20);
    char *big = malloc((8 << 20) + 1);
    memset(big, 'x', 8 << 20);
    big[8 << 20] = 0;
    expect_eval(":8388608\r\n", "return #ARGV[1]", ",", big);
    cr_expect_gt(script_vm_memory_bytes(sh->vm), 8 << 20);
    while (script_vm_collect_slice(sh->vm)) {
    }
    cr_expect_lt(script_vm_memory_bytes(sh->vm), 1 << 20);
    for (int i = 0; i < 3; i++) { /* with as many arguments, whose tables might serve again */
        expect_eval(":8388610\r\n", "return #ARGV[1] + #KEYS[1] + #KEYS", "k", ",", big);
        while (i == 1 && script_vm_collect_slice(sh->vm)) {
        }
    }
    free(big);
    while (script_vm_collect_slice(sh->vm)) {
    }
    cr_expect_not(script_vm_collect_slice(sh->vm));
    expect_eval(":0\r\n", "return #KEYS + #ARGV"); /* they are there again */
    expect_eval(":0\r\n", "local t = {} for i=1,200 do t[i]=('x'):rep(100000)..i end return #KEYS");
    expect_eval(":1\r\n", "return #KEYS", "small");
    while (script_vm_collect_slice(sh->vm)) {
    }
    expect_eval("$4\r\nsame\r\n", "return KEYS[1]", "same");
    expect_eval(":200\r\n", "local t = {} for i=1,200 do t[i]=('x'):rep(100000)..i end return #t");
}

Test(core_script, out_of_memory_is_an_error)
{
    static const char *const bodies[] = {
        "local t={} for i=1,1e9 do t[i]=i end",
        "local s='x' while true do s=s..s end",
        "return string.rep('x',1e9)",
        "local t={} while true do t={t} end",
        "return cjson.encode(('x'):rep(1e9))",
        "local t={} while true do t[#t+1]=function() return t end end",
        "while true do loadstring(('local x=1 '):rep(1e6)) end",
        "local t={} while true do t[#t+1]=coroutine.create(function() end) end",
        "local t={} while true do t[#t+1]=redis.call('echo',('x'):rep(10000)..#t) end",
        "local t={} for i=1,1e9 do t[i]=i pcall(redis.call,'echo','x') end",
    };
    script_vm_limit_memory(sh->vm, 4 << 20);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const char *reply = script_harness_eval(sh, bodies[i], NULL);
        cr_expect(strstr(reply, "-ERR ") == reply, "%s: %s", bodies[i], reply);
        cr_expect(sh->result.failed);
        expect_eval(":3\r\n", "return 3");
    }
    cr_expect_leq(script_vm_memory_bytes(sh->vm), 4 << 20);
}

Test(core_script, arguments_beyond_the_limit)
{
    script_vm_limit_memory(sh->vm, 1 << 20);
    char *big = malloc((2 << 20) + 1);
    memset(big, 'x', 2 << 20);
    big[2 << 20] = 0;
    const char *reply = script_harness_eval(sh, "return #ARGV[1]", ",", big, NULL);
    cr_expect(strstr(reply, "not enough memory") != NULL, "%s", reply);
    script_vm_limit_memory(sh->vm, 0);
    expect_eval(":2097152\r\n", "return #ARGV[1]", ",", big);
    free(big);
}

Test(core_script, collector_cannot_be_stopped)
{
    script_vm_limit_memory(sh->vm, 64 << 20);
    for (int i = 0; i < 2000; i++) {
        expect_eval(":1\r\n", "collectgarbage('stop') collectgarbage('setpause',1e6) "
                    "local s=('x'):rep(100000) return 1");
    }
    cr_expect_lt(script_vm_memory_bytes(sh->vm), 32 << 20);
}

/* --- Compiled scripts --- */

Test(core_script, compiled_once_dropped_and_flushed)
{
    expect_eval(":1\r\n", "return 1");
    expect_eval(":1\r\n", "return 1");
    expect_eval(":2\r\n", "return 2");
    cr_expect_eq(script_vm_count(sh->vm), 2);
    script_harness_eval(sh, "x x", NULL);
    cr_expect_eq(script_vm_count(sh->vm), 2);
    char sha[SCRIPT_SHA_LEN + 1];
    script_sha(slice_str("return 1"), sha);
    script_vm_drop(sh->vm, sha);
    script_vm_drop(sh->vm, sha);
    cr_expect_eq(script_vm_count(sh->vm), 1);
    expect_eval(":1\r\n", "return 1"); /* from the harness's cache, compiled anew */
    cr_expect_eq(script_vm_count(sh->vm), 2);
    script_vm_flush(sh->vm);
    cr_expect_eq(script_vm_count(sh->vm), 0);
    expect_eval(":2\r\n", "return 2");
}

Test(core_script, many_scripts_some_dropped)
{
    enum { SCRIPTS = 3000 };
    char body[64], reply[64], sha[SCRIPT_SHA_LEN + 1];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SCRIPTS; i++) {
            snprintf(body, sizeof body, "return %d", i);
            snprintf(reply, sizeof reply, ":%d\r\n", i);
            expect_eval(reply, body);
        }
        cr_expect_eq(script_vm_count(sh->vm), SCRIPTS);
        for (int i = round; i < SCRIPTS; i += 3) {
            snprintf(body, sizeof body, "return %d", i);
            script_sha(slice_str(body), sha);
            script_vm_drop(sh->vm, sha);
        }
        cr_expect_eq(script_vm_count(sh->vm), SCRIPTS - SCRIPTS / 3);
    }
}

/* Random numbers begin anew in each state and are the same everywhere. */
Test(core_script, random_numbers)
{
    const char *body = "math.randomseed(7) local t={} for i=1,3 do t[i]=math.random(1000) end return t";
    char first[128];
    snprintf(first, sizeof first, "%s", script_harness_eval(sh, body, NULL));
    cr_expect_str_eq(script_harness_eval(sh, body, NULL), first);
}

Test(core_script, settings_of_json_end_with_a_flush)
{
    expect_eval("*1\r\n:3\r\n", "return {cjson.encode_number_precision(3)}");
    expect_eval("*1\r\n:3\r\n", "return {cjson.encode_number_precision()}");
    script_harness_do(sh, "SCRIPT", "FLUSH", NULL);
    expect_eval("*1\r\n:14\r\n", "return {cjson.encode_number_precision()}");
}
