/* What a script's text shows about its reach. */
#include "core/hash.h"
#include "shards/commands.h"
#include "shards/script_scan.h"
#include <criterion/criterion.h>
#include <stdio.h>

static bool narrow(const char *body)
{
    static bool begun;
    if (!begun) {
        commands_init();
        begun = true;
    }
    struct reply error;
    reply_init(&error, 2);
    struct script *script = script_create(slice_str(body), NULL, &error);
    cr_assert_not_null(script, "%s", body);
    bool result = script_scan_is_narrow(script);
    script_unref(script);
    reply_clear(&error);
    return result;
}

Test(script_scan, scripts_that_show_it)
{
    static const char *const bodies[] = {
        "return 1",
        "return redis.call('INCR', KEYS[1])",
        "return redis.call(\"get\" , KEYS [ 1 ] )",
        "redis.call('SET', KEYS[1], ARGV[1]) return redis.pcall('GET', KEYS[2])",
        "local k = KEYS[1] return redis.call('GET', k)",
        "local a, b = KEYS[1], KEYS[2] return redis.call('RENAME', a, b)",
        "return redis.call('DEL', unpack(KEYS))",
        "return redis.call('MSET', KEYS[1], ARGV[1], KEYS[2], ARGV[2])",
        "for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end",
        "for i, k in ipairs(KEYS) do redis.call('DEL', KEYS[i]) end",
        "return redis.call('TIME')",
        "-- redis.call('GET', 'x')\nreturn redis.call('GET', KEYS[1])",
        "--[[ redis.call('GET', 'x') ]] return redis.call('GET', KEYS[1])",
        "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])",
        "local s = [==[redis.call('GET', 'x')]==] return redis.call('HSET', KEYS[1], 'f', s)",
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
        "return redis.status_reply('FINE')",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_expect(narrow(bodies[i]), "%s", bodies[i]);
    }
}

Test(script_scan, scripts_that_may_reach_further)
{
    static const char *const bodies[] = {
        "return redis.call('GET', 'key')",
        "return redis.call('GET', KEYS[1] .. 'x')",
        "return redis.call('GET', ARGV[1])",
        "return redis.call(ARGV[1], KEYS[1])",
        "local call = redis.call return call('GET', 'x')",
        "local r = redis return r.call('GET', 'x')",
        "return _G['redis'].call('GET', 'x')",
        "return loadstring(ARGV[1])()",
        "KEYS[1] = 'other' return redis.call('GET', KEYS[1])",
        "KEYS = ARGV return redis.call('GET', KEYS[1])",
        "local t = KEYS t[1] = 'x' return redis.call('GET', KEYS[1])",
        "local k = KEYS[1] k = 'x' return redis.call('GET', k)",
        "local k = KEYS[1] .. 'x' return redis.call('GET', k)",
        "local k = KEYS[1] local function f(k) return redis.call('GET', k) end return f('x')",
        "for k = 1, 3 do redis.call('GET', k) end",
        "local k = KEYS[1] for k = 1, 3 do redis.call('GET', k) end",
        "return redis.call('MSET', KEYS[1], 1, 'x', 2)",
        "return redis.call('MSET', unpack(ARGV))",
        "return redis.call('DEL', KEYS[1], unpack(ARGV))",
        "return redis.call('DBSIZE')",
        "return redis.call('FLUSHALL')",
        "return redis.call('SCAN', 0)",
        "return redis.call('SORT', KEYS[1], 'BY', 'w*')",
        "return redis.call('EVAL', 'x', 0)",
        "return redis.call('NOSUCH', KEYS[1])",
        "return redis.call('ZUNIONSTORE', KEYS[1], 1, 'x')",
        "redis.call = redis.log return 1",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_expect_not(narrow(bodies[i]), "%s", bodies[i]);
    }
}

static bool library_narrow(const char *body)
{
    narrow("return 1"); /* makes the command table */
    char code[1024];
    snprintf(code, sizeof code, "#!lua name=lib\n%s", body);
    return script_scan_library_is_narrow(slice_str(code));
}

Test(script_scan, libraries)
{
    cr_expect(library_narrow("redis.register_function('f', function(keys, args) "
                             "return redis.call('INCR', keys[1]) end)"));
    cr_expect(library_narrow("redis.register_function{function_name='f', callback=function(keys, args) "
                             "return redis.call('GET', keys[1]) end, flags={'no-writes'}}"));
    cr_expect(library_narrow("local function f(keys, args) local h = keys[1] "
                             "return redis.call('HSET', h, args[1], args[2]) end "
                             "redis.register_function('f', f)"));
    cr_expect_not(library_narrow("local function f(keys) return redis.call('GET', keys[1]) end "
                                 "redis.register_function('g', function() return f({'x'}) end)"));
    cr_expect_not(library_narrow("redis.register_function('f', function(k, keys) "
                                 "return redis.call('GET', keys[1]) end)"));
    cr_expect_not(library_narrow("redis.register_function('f', function(keys) "
                                 "return redis.call('GET', 'x') end)"));
    cr_expect_not(library_narrow("local keys = {'x'} redis.register_function('f', function() "
                                 "return redis.call('GET', keys[1]) end)"));
}

Test(script_scan, text_that_ends_anywhere)
{
    static const char whole[] = "local a = KEYS[1] --[[x]] return redis.call('MSET', a, \"v\\\"\", KEYS[2], [[y]])";
    char part[sizeof whole];
    for (size_t n = 0; n < sizeof whole; n++) {
        memcpy(part, whole, n);
        part[n] = '\0';
        narrow(part); /* must only come back */
    }
}
