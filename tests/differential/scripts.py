#!/usr/bin/env python3
"""Scripts to redis-server and to ours; every reply must be the same.

    scripts.py <ours> [seed [random scripts [resp]]]

As oracle.py says; ours without a server is script-replay.

First the corpus below (conversions, errors, libraries, sandbox, functions), in RESP2 and RESP3, then
random scripts: values through cjson, cmsgpack, struct and bit, replies of random shapes. Addresses
in texts ("table: 0x…") are masked. What Redis dies of (error({}), string.rep of 10 GB) is left out."""
import re
import sys

from oracle import Random, Redis, compare


def evals(*bodies):
    return [[b'EVAL', b.encode() if isinstance(b, str) else b, b'0'] for b in bodies]


def returns(*expressions):
    return evals(*('return ' + e for e in expressions))


def caught(*statements):
    """The error that pcall gives for each, beside its own report."""
    return evals(*statements) + evals(*('return {pcall(function() %s end)}' % s for s in statements))


CONVERSIONS = returns(
    '1', '-1', '1.9', '-1.9', '3.99e9', '1e30', '-1e30', '0/0', '1/0', '"x"', '"a\\r\\nb"', '""',
    'true', 'false', 'nil', '{}', '{1,2,nil,4}', '{1,{2,{3,"x"}},true,false}', '{[0]=1}',
    '{ok="fine"}', '{ok="a\\r\\nb"}', '{err="ERR x"}', '{err="x y"}', '{err="a\\r\\nb"}', '{err=""}',
    '{err=1}', '{ok=1}', '{ok=1,1,2}', '{err="a",ok="b"}', '{1,{err="in"},2}', '{double=1.5}',
    '{double=3}', '{double=1/0}', '{double=-1/0}', '{double="x"}', '{big_number="123"}',
    '{big_number="1\\r\\n3"}', '{big_number=1}', '{map={a=1}}', '{map={}}', '{map={[1]={map={x=2}}}}',
    '{set={a=true}}', '{set={}}', '{set={[5]=true}}', '{map=1}', '{set=1,7}',
    '{verbatim_string={format="txt",string="abc"}}', '{verbatim_string={format="t",string="abc"}}',
    '{verbatim_string={format="long",string="abc"}}', '{verbatim_string={format=1,string="abc"}}',
    '{verbatim_string={string="abc"}}', '{verbatim_string=1}', 'print', 'function() end',
    'coroutine.create(function() end)', 'cjson.null', '_G', 'redis', 'string', '"a",1',
    'redis.status_reply("x")', 'redis.error_reply("x")', 'redis.error_reply("-x")',
    'redis.error_reply("-BAD x")', 'redis.error_reply("BAD x")', 'redis.error_reply("")',
    'redis.error_reply("-")', 'redis.error_reply("-x y\\r\\nz")', 'redis.error_reply(1)',
    'redis.status_reply(1)', 'redis.status_reply()', 'redis.error_reply("a","b")',
    'redis.error_reply("\\r\\nx\\r\\n")', 'redis.status_reply("a\\nb")', '{double=0.1}',
    '{double=1e100}', '{double=-0.0}', 'setmetatable({1},{__index=function() return 2 end})',
) + evals(
    '', ' ', 'return', 'do return 1 end', 'local t={} t[1]=t return #t',
    'redis.setresp(3) return {true,false,1.5,{double=2.5},{map={a="b"}},{set={x=true}}}',
    'redis.setresp(3) return true', 'redis.setresp(3) return false', 'redis.setresp(3) return nil',
    'redis.setresp(2) return true', 'redis.setresp(4)', 'redis.setresp()', 'redis.setresp("3") return 1',
    'redis.setresp("x")', 'redis.setresp(2.5) return 1', 'redis.setresp(2,3)',
    *['redis.call("del","h","s","z","k","l") redis.call("hset","h","f","v") redis.call("sadd","s",1) '
      'redis.call("zadd","z",1.5,"m") redis.setresp(%d) %s' % (resp, body)
      for resp in (2, 3) for body in (
          'return redis.call("hgetall","h")', 'return redis.call("hgetall","h").map.f',
          'return redis.call("smembers","s")', 'return redis.call("zscore","z","m")',
          'return redis.call("zrange","z",0,-1,"withscores")', 'return redis.call("get","k")',
          'return type(redis.call("get","k"))', 'return redis.call("zscore","z","none")',
          'return type(redis.call("zscore","z","none"))', 'return redis.call("mget","k","k")',
          'return redis.call("set","k","v")', 'return redis.call("lpop","l")',
          'return redis.call("lpop","l",2)', 'return type(redis.call("lpop","l",2))',
          'return cjson.encode(redis.call("zrange","z",0,-1,"withscores"))',
          'return cjson.encode(redis.call("set","k","v"))',
          'return redis.call("incr","k")', 'return redis.call("hello",3)')],
)

CALLS = caught(
    'return redis.call("foo")', 'return redis.call("set","a")', 'return redis.call()',
    'return redis.call({})', 'return redis.call("echo",nil)', 'return redis.call("echo",true)',
    'return redis.call("echo",print)', 'redis.call("foo")', 'redis.pcall("foo") return 1',
    'return redis.pcall("foo")', 'return redis.pcall({})', 'return redis.pcall()',
    'return redis.call("eval","return 1",0)', 'return redis.call("set","k","x") and redis.call("incr","k")',
    'redis.call("set","k","x") return redis.call("incr","k")',
    'redis.call("set","k","x") return redis.pcall("incr","k")',
    'redis.call("set","k","x") local e=redis.pcall("incr","k") return {e.err,e.source,e.line,'
    'tostring(e.ignore_error_stats_update)}',
    'redis.call("set","k","x") return redis.pcall("lpush","k",1)["err"]',
    'error(redis.pcall("foo"))', 'error(redis.error_reply("BAD thing"))', 'local x=redis.pcall("foo") error(x.err)',
    'return coroutine.wrap(function() return redis.call("foo") end)()',
    'return redis.acl_check_cmd("set","a")', 'return redis.acl_check_cmd("sett","a")',
    'return redis.acl_check_cmd()', 'return redis.acl_check_cmd({})',
    'return redis.sha1hex()', 'return redis.sha1hex("")', 'return redis.sha1hex("x")',
    'return redis.sha1hex(12)', 'return redis.sha1hex(nil)', 'return redis.sha1hex("a","b")',
    'return redis.log()', 'return redis.log(1)', 'return redis.log("x","y")', 'return redis.log(9,"y")',
    'return redis.log(-1,"y")', 'return redis.log(0,"y")', 'return redis.log(redis.LOG_DEBUG,"a",1,{})',
    'return redis.set_repl()', 'return redis.set_repl(9)', 'return redis.set_repl(redis.REPL_ALL)',
    'return redis.set_repl("x")', 'return redis.set_repl(-1)', 'return redis.breakpoint()',
    'return redis.debug("x")', 'return redis.replicate_commands()', 'return redis.REDIS_VERSION',
    'return redis.REDIS_VERSION_NUM', 'return redis.nothing', 'return redis.nothing()',
    'return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}',
    'return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}',
    'return redis.register_function("x",function() end)',
) + returns(*('redis.call("echo",%s)' % n for n in (
    '0', '-0', '1', '-1', '0.1', '1e20', '1e100', '123456789012', '1e9', '1e9+1', '3.0', '1/3', '0/0',
    '1/0', '-1/0', '2^53', '2^63', '-2^63', '1e-5', '5e-324', '99999999.5', '"a\\0b"', '1e17', '1e16')))

ERRORS = caught(
    'error("x")', 'error("x",0)', 'error("x",1)', 'error("x",2)', 'error()', 'error(nil)', 'error(12)',
    'error(true)', 'error({err="My Error"})', 'error({err="My Error",source="s",line=3})',
    'error({err="x",line="y"})', 'error("x\\r\\ny")', 'return error("x")', 'return nil+1', 'return {}+1',
    'return "a"+1', 'local x=5; x()', 'local t={} ; return t.a.b', 'local t={} t.a.b=1', 'return #nil',
    'return nil..1', 'return 1<"x"', 'return {}<{}', 'return nil<1', 'foo()', 'string.foo()',
    'string.rep()', 'string.rep("x",-1)', '("x"):foo()', 'return ("x"):rep(3)', 'local t=setmetatable({},'
    '{__index=function(t,k) error("idx "..k) end}) return t.q', 'return tostring()', 'return tonumber("x",99)',
    'for i=1,"x" do end', 'for i=1,10,0 do return i end', 'return ipairs()', 'return next({},"x")',
    'local function f() return f() + 1 end return f()', 'local function f() return 1 + f() end return f()',
    'return select(0)', 'return select("#",1,2,3)', 'return assert(false)', 'return assert(nil,"msg")',
    'return assert(false,{err="E"})', 'return assert(1,2)', 'return pcall()', 'return pcall(error)',
    'return xpcall(function() error("q") end, function(e) return e end)',
    'local a,b=xpcall(function() redis.call("foo") end, function(e) return type(e) end) return b',
    'local a,b=xpcall(function() redis.call("foo") end, function(e) return e.err end) return b',
    'return xpcall()', 'return xpcall(1)', 'return {xpcall(error,function(e) return e end)}', 'return {xpcall(function() return 1,2 end,1)}',
    'return {xpcall(function() error("a") end, function(e) error("b") end)}', 'return {xpcall(function() error("a") end, 1)}',
    'return {xpcall(function() local x=nil+1 end, function(e) return e.."!" end)}', 'return setmetatable(1,{})', 'return setmetatable({},1)', 'return getmetatable()', 'return rawset()',
    'return rawset(1,2,3)', 'return rawget()', 'return string.format("%d","x")', 'return string.format("%q","a\\nb")',
    'return string.format("%5.2f|%s|%x|%c",1.234,"s",255,65)', 'return ("x"):gsub("(","")',
    'return string.find("abc","b",1,true)', 'return ("abc"):byte(1,-1)', 'return string.char(256)',
    'return table.concat({1,{},2})', 'return table.concat({1,2,3},",",2,5)', 'return unpack({},1,1e8)',
    'return {unpack({1,2,3},-2,2147483647)}', 'return {unpack({1,2,3},-1,-2)}', 'return unpack()',
    'return {unpack({1,2,3},2)}', 'return #{unpack({1,2,3},-1,5)}', 'return table.getn({1,2})',
    'return table.setn({},1)', 'return table.foreach({1,2},function(i,v) return v end)',
    'return math.floor()', 'return math.huge', 'return collectgarbage("x")', 'return coroutine.resume(1)',
    'return {coroutine.resume(coroutine.create(function() error("x") end))}',
    'return {coroutine.resume(coroutine.create(function() redis.call("foo") end))}',
    'local f=function(...) return arg.n end return f(1,2)', 'local t={} t[nil]=1', 'local t={} t[0/0]=1',
    'return loadstring("return 1+")()', 'return {loadstring("return 1+")}', 'return loadstring("return 7")()',
    'return {loadstring("x x","=name")}', 'return loadstring("error(1)","@f.lua")()',
    'return loadstring("error(\\"e\\")","@f.lua")()', 'return loadstring("x=1")()', 'return loadstring()',
    'return {loadstring(string.dump(function() end))}', 'return string.dump(function() end):len()',
    'return load(function() return nil end)', 'return load("x")', 
    'return {load(function() return {} end)}', 'return {load(function() error("r") end)}',
    'local n=0 return load(function() n=n+1 return ({"return ","4","2"})[n] end)()',
    'local n=0 return {load(function() n=n+1 return ({"x ","x"})[n] end,"=n")}',
    'return tostring(nil)', 'return tostring(0/0)', 'return tostring(-(0/0))', 'return tostring(1e15)',
    'return tostring(2^53)', 'return 10 % 0', 'return -5 % 3', 'return 2^0.5', 'return math.fmod(-5,3)',
    'return math.mod(-5,3)', 'return string.gfind', 'return {("k=v"):match("(%w+)=(%w+)")}',
) + evals(
    'x x', 'return', 'if', 'return (', "return 'a", 'return "a\nb"', 'return [[a', 'a.b:c', 'x=', 'for', '\x00',
    'return 1\x00', '--', '#!lua', '#!lua\n', '#!lua\nreturn 5', '#!lua flags=no-writes\nreturn redis.call("set","k",1)',
    '#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1', '#!lua flags=\nreturn 1',
    '#!lua flags=,\nreturn 1', '#!lua flags=a\nreturn 1', '#!lua flags=no-writes,\nreturn 1', '#!lua name=x\nreturn 1',
    '#!lua x\nreturn 1', '#!Lua\nreturn 1', '#!python\nreturn 1', '#!\nreturn 1', '#! lua\nreturn 1', '#!lua "x\nreturn 1',
    '#!lua\nerror("x")', '#!lua\n\n\nerror("x")', '#!lua\nx x', '\x1bLua', b'\x1bLuaQ', '# x\nreturn 1',
    '#!lua  flags=no-writes   \nreturn 1', '#!lua flags=no-writes flags=allow-oom\nreturn 1', '#!lua "flags=no-writes"\nreturn 1',
    '#!lua FLAGS=no-writes\nreturn 1', '#!lua flags=No-Writes\nreturn 1', 'return "\\x41"', 'goto x', 'return 0x10',
)

SANDBOX = caught(
    'foo=1', 'return foo', 'redis=1', '_G.x=1', 'return _G.x', '_G=1', 'KEYS=1', 'ARGV[1]="x" return ARGV', 'KEYS[1]=1 return KEYS',
    'string.x=1', 'redis.call=1', 'redis.x=1', 'math.pi=3', 'table.insert=1', 'table.insert(redis,1)', 'table.insert(_G,1)',
    'table.remove(redis)', 'table.sort(redis)', 'return table.maxn(_G)', 'rawset(redis,"x",1)', 'rawset(_G,"x",1)',
    'return rawget(_G,"x")', 'return type(rawget(_G,"redis"))', 'return type(rawget(redis,"call"))', 'setmetatable(_G,{})',
    'setmetatable(redis,{})', 'setmetatable(_G,nil)', 'setmetatable(string,{})', 'getmetatable("").__index=1',
    'getmetatable("").x=1', 'getmetatable("").__index.x=1', 'return getmetatable("").__index==string',
    'return type(getmetatable(_G))', 'getmetatable(_G).__index=nil', 'return type(getmetatable(_G).__index)',
    'return getmetatable(_G).__newindex', 'return tostring(getmetatable(redis))', 'return getmetatable(1)',
    'return tostring(getmetatable({}))', 'return getmetatable(setmetatable({},{__metatable="m"}))',
    'setmetatable(setmetatable({},{__metatable="m"}),{})', 'return #_G', 'return #redis', 'return _G._G==_G',
    'return _G.redis==redis', 'return rawequal(_G,_G._G)', 'return print', 'return dofile', 'return loadfile', 'return require',
    'return module', 'return io', 'return os', 'return debug', 'return package', 'return newproxy', 'return getfenv',
    'return setfenv', 'return arg', 'return jit', 'return ffi', 'print("x")', 'return os.clock()', 'return type(gcinfo())',
    'return type(collectgarbage("count"))', 'return _VERSION', 'local x <const> = 1', 'return nothing.x',
    '__redis__err__handler=1', 'return type(__redis__err__handler)', 'return __redis__err__handler("x").err',
    'local n=0 for k,v in pairs(_G) do n=n+1 end return n > 30', 'local n=0 for k in pairs(redis) do n=n+1 end return n',
    'local n=0 for k in next,redis do n=n+1 end return n', 'local n=0 table.foreach(redis,function() n=n+1 end) return n',
    'local o={} for n,l in pairs(_G) do o[#o+1]=n.."="..type(l) if type(l)=="table" and n~="_G" and n~="KEYS" and '
    'n~="ARGV" then for k,v in pairs(l) do o[#o+1]=n.."."..k.."="..type(v) end end end table.sort(o) return o',
    'local f=loadstring("y=1") f()', 'local t={} setmetatable(t,{__index=_G}) return t.nope', 'local t=setmetatable({},'
    '{__index=string}) return t.rep("x",3)', 'local t=setmetatable({},{__newindex=redis}) t.x=1',
    'return string.gsub("call foo","%w+",redis)', 'return string.gsub("x","x",_G)', 'return tostring(math.pi)',
    'math.randomseed(5) return {math.random(100),math.random(5,10),tostring(math.random())}',
    'math.randomseed(-7) return {math.random(100),math.random(5,10),tostring(math.random())}',
    'return math.random(0)', 'return math.random(5,1)', 'return math.random(1,2,3)', 'return math.randomseed()',
    'math.randomseed(1) return {math.random(-2147483648,2147483647),math.random(2147483647)}',
    'return tostring(pairs)==tostring(pairs)', 'for k,v in pairs(string) do string[k]=nil end', 'string.rep=nil',
    'return #coroutine', 'coroutine.x=1', 'bit.x=1', 'cjson.x=1', 'struct.x=1', 'cmsgpack.x=1', 'local j=cjson.new() j.x=1 return j.x',
    'table.insert()', 'table.insert(1)', 'table.insert({},1,2,3)', 'local t={1,2} table.insert(t,1,0) return t', 'local t={1} table.insert(t,5,0) return {t[5],#t}', 'table.insert({},"x",1)',
    'return table.foreach()', 'return table.foreach({},1)', 'return getmetatable(setmetatable({},{__index=1})).__index', 'return pairs(1)', 'return pairs()', 'return next(1)', 'return next()', 'return rawget(1,2)',
)

JSON = caught(*(['return cjson.encode(%s)' % v for v in (
    '1', '1.5', '-0', '1e15', '1e14', '1e100', '0.1', '1/3', '123456789012345678', '"a"', '"\\"\\\\/\\b\\t\\n\\f\\r\\0\\1\\127"',
    'true', 'nil', 'cjson.null', '{}', '{1,2,3}', '{1,nil,3}', '{[1]=1,[3]=3}', '{[1]=1,[11]=3}', '{[1]=1,[100]=1}', '{a=1}',
    '{1,2,a=3}', '{[0]=1}', '{[-1]=1}', '{[1.5]=1}', '{[true]=1}', '{[1e10]=1}', '{{},{{}},{a={b={}}}}', 'print', '0/0', '1/0',
    '{1,print}', '{[print]=1}', '{a=print}', '"\\195\\164"', '"\\255"', '', '1,2', '_G', 'redis', 'coroutine.create(print)',
    '{["1"]=1,["a b"]=2}', '{x={1,2,{y="z"}}}')] + ['return {cjson.decode(%s)}' % v for v in (
    "'1'", "'-1.5e3'", "'0x10'", "'010'", "'+1'", "'nan'", "'inf'", "'-inf'", "'Infinity'", "'NaN'", "'\"a\"'", "'\"\\\\u0041\\\\u00e4\\\\u20ac\\\\ud83d\\\\ude00\"'",
    "'\"\\\\ud83d\"'", "'\"\\\\ude00\"'", "'\"\\\\ud83dx\"'", "'\"\\\\u12\"'", "'\"\\\\x\"'", "'\"abc'", "'\"a\\\\'", "'[1,2,3]'", "'[1,2,]'", "'[,1]'", "'[1 2]'", "'['",
    "'[]'", "'{}'", "'{\"a\":1}'", "'{\"a\" 1}'", "'{a:1}'", "'{\"a\":1,}'", "'{\"a\":}'", "'{'", "'{\"a\":1 \"b\"'", "'true'", "'false'", "'null'", "'tru'", "'nul'",
    "'x'", "''", "' '", "'1 2'", "' [ 1 , 2 ] '", "'\\0\\0'", "'1\\0'", "'\"\\\\/\\\\b\\\\f\\\\n\\\\r\\\\t\\\\\"\"'", "'1e999'", "'-'", "'1.'", "'.5'", "'[1,[2,[3]]]'",
    "'{\"a\":[{\"b\":null}]}'", "'[\"\\\\u0000\"]'", "'i'", "'n'", "'t'", "'f'", "'}'", "']'", "':'", "','", '1', 'nil', '', '"1","2"', '{}')])) + evals(
    'return cjson.encode(cjson.decode("{\\"a\\":[1,2,{\\"b\\":null}],\\"c\\":\\"x\\"}"))',
    'return type(cjson.decode("[null]")[1])', 'return cjson.decode("[null]")[1]==cjson.null', 'return tostring(cjson.null)',
    'return cjson._VERSION', 'return cjson._NAME', 'local t={} for i=1,1001 do t={t} end return pcall(cjson.encode,t)',
    'local t={} for i=1,1001 do t={t} end return {pcall(cjson.encode,t)}', 'local t={} for i=1,999 do t={t} end return #cjson.encode(t)',
    'return {pcall(cjson.decode,("["):rep(1001))}', 'return {pcall(cjson.decode,("["):rep(999)..("]"):rep(999))}',
    'local t={} t[1]=t return {pcall(cjson.encode,t)}', 'local j=cjson.new() return {j.encode_sparse_array()}',
    'local j=cjson.new() return {tostring(j.encode_sparse_array(true)),j.encode({[1]=1,[100]=1})}',
    'local j=cjson.new() j.encode_sparse_array(false,0) return j.encode({[20]=1})',
    'local j=cjson.new() return {pcall(j.encode_sparse_array,1,2,3,4)}', 'local j=cjson.new() return {pcall(j.encode_sparse_array,"x")}',
    'local j=cjson.new() return {pcall(j.encode_sparse_array,true,-1)}', 'local j=cjson.new() return {j.encode_max_depth(2),pcall(j.encode,{{{}}})}',
    'local j=cjson.new() return {j.decode_max_depth(2),pcall(j.decode,"[[[]]]")}', 'local j=cjson.new() return {pcall(j.encode_max_depth,0)}',
    'local j=cjson.new() return {j.encode_number_precision(3),j.encode(1/3)}', 'local j=cjson.new() return {pcall(j.encode_number_precision,15)}',
    'local j=cjson.new() return {pcall(j.encode_number_precision,0)}', 'local j=cjson.new() return {tostring(j.encode_keep_buffer()),tostring(j.encode_keep_buffer(false))}',
    'local j=cjson.new() return {tostring(j.encode_invalid_numbers("null")),j.encode({0/0,1/0})}',
    'local j=cjson.new() return {tostring(j.encode_invalid_numbers(true)),j.encode({0/0,1/0,-1/0})}',
    'local j=cjson.new() return {tostring(j.encode_invalid_numbers("off")),pcall(j.encode,0/0)}',
    'local j=cjson.new() return {tostring(j.decode_invalid_numbers(false)),pcall(j.decode,"nan")}',
    'local j=cjson.new() j.decode_invalid_numbers(false) return {pcall(j.decode,"0x10")}',
    'local j=cjson.new() j.decode_invalid_numbers(false) return {pcall(j.decode,"-01")}',
    'local j=cjson.new() return {pcall(j.encode_invalid_numbers,"x")}', 'return #cjson.encode(("\\1"):rep(100000))',
    'return #cjson.decode(cjson.encode(("\\1x"):rep(100000)))', 'return cjson.decode(\'["\'..("a"):rep(5000)..\'\\\\n"]\')[1]',
)

MSGPACK = caught(*(['return cmsgpack.pack(%s)' % v for v in (
    '0', '1', '127', '128', '255', '256', '65535', '65536', '2^32-1', '2^32', '2^53', '2^63', '2^64', '-1', '-32', '-33', '-128', '-129',
    '-32768', '-32769', '-2^31', '-2^31-1', '-2^63', '1.5', '0.1', '1e300', '0/0', '1/0', '-0', '"a"', '("x"):rep(31)', '("x"):rep(32)', '("x"):rep(256)',
    '("x"):rep(65536):sub(1,65535)', '("x"):rep(65536)', 'true', 'false', 'nil', '{}', '{1,2,3}', '{1,nil,3}', '{a=1}', '{[1]=1,[3]=2}', '{[1.5]=1}', '{[0]=1}',
    '{[true]=false}', 'print', '1,2,{3}', '', '{{{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}}}', 'cjson.null')] + ['return {cmsgpack.unpack("%s")}' % v for v in (
    '', '\\1', '\\127', '\\128', '\\129\\1\\2', '\\144', '\\146\\1\\2', '\\146\\1', '\\161a', '\\162a', '\\192', '\\193', '\\194', '\\195', '\\196\\1a', '\\199', '\\200', '\\201',
    '\\202\\63\\192\\0\\0', '\\202\\63', '\\203\\63\\248\\0\\0\\0\\0\\0\\0', '\\203', '\\204\\255', '\\204', '\\205\\255\\255', '\\206\\255\\255\\255\\255',
    '\\207\\255\\255\\255\\255\\255\\255\\255\\255', '\\207\\0\\0\\0\\1\\0\\0\\0\\0', '\\208\\255', '\\209\\255\\0', '\\209\\127\\255', '\\210\\128\\0\\0\\0', '\\211\\128\\0\\0\\0\\0\\0\\0\\0', '\\212',
    '\\216', '\\217\\1a', '\\217\\2a', '\\218\\0\\1a', '\\219\\0\\0\\0\\1a', '\\219\\255\\255\\255\\255', '\\220\\0\\1\\5', '\\220\\0', '\\221\\0\\0\\0\\1\\5', '\\221\\255\\255\\255\\255\\1',
    '\\222\\0\\1\\5\\6', '\\223\\0\\0\\0\\1\\5\\6', '\\223\\255\\255\\255\\255', '\\224', '\\255', '\\1\\2\\3', '\\129\\192\\1', '\\129\\202\\127\\192\\0\\0\\1')])) + caught(
    'return {cmsgpack.unpack_one("\\1\\2\\3")}', 'return {cmsgpack.unpack_one("\\1\\2\\3",1)}', 'return {cmsgpack.unpack_one("\\1\\2\\3",2)}', 'return {cmsgpack.unpack_one("\\1\\2\\3",3)}',
    'return {cmsgpack.unpack_one("\\1\\2\\3",4)}', 'return {cmsgpack.unpack_one("\\1\\2\\3",-1)}', 'return {cmsgpack.unpack_limit("\\1\\2\\3",2)}', 'return {cmsgpack.unpack_limit("\\1\\2\\3",2,1)}',
    'return {cmsgpack.unpack_limit("\\1\\2\\3",0)}', 'return {cmsgpack.unpack_limit("\\1\\2\\3",-1)}', 'return {cmsgpack.unpack_limit("\\1\\2\\3")}', 'return {cmsgpack.unpack()}', 'return {cmsgpack.unpack(1)}',
    'return {cmsgpack.unpack_one("")}', 'return cmsgpack._VERSION', 'return cmsgpack._NAME', 'return {cmsgpack.unpack(("\\145"):rep(10)..("\\1"))}', 'return cmsgpack._COPYRIGHT..cmsgpack._DESCRIPTION',
    'return #{cmsgpack.unpack(("\\1"):rep(5000))}')

STRUCT = caught(*(['return struct.pack(%s)' % v for v in (
    '"b",1', '"B",255', '"b",-1', '"h",-2', '"H",65535', '"l",-3', '"L",2^53', '"T",7', '"i",5', '"I",5', '"i1",5', '"i3",-2', '"i8",-2', '"i16",-2', '"i32",1', '"i33",1', '"i0",1', '">i",5', '"<i",5',
    '">h<h",1,1', '"f",1.5', '">f",1.5', '"d",0.1', '">d",0.1', '"s","abc"', '"c2","abc"', '"c3","ab"', '"c0","abc"', '"c","abc"', '"x"', '"xbx",1', '"!bi",1,2', '"!4bd",1,2', '"!3b",1', '"!0b",1', '"!8bhild",1,2,3,4,5',
    '"q",1', '"b"', '"s"', '"bb",1', '"b","x"', '"b",nil', '"b","12"', '""', '', '"i99999999999",1', '"=b",1', '"b",1e30', '"b",-1e30', '"L",2^63', '"L",2^64', '"l",-2^63', '"l",0/0', '" b ",1', '"c2147483648","x"')] + ['return {struct.unpack(%s)}' % v for v in (
    '"b","\\255"', '"B","\\255"', '"h","\\1\\2"', '">h","\\1\\2"', '"i","\\255\\255\\255\\255"', '"I","\\255\\255\\255\\255"', '"i3","\\255\\255\\255"', '"i0",""', '"i16",("\\255"):rep(16)', '"I16",("\\255"):rep(16)', '"l",("\\255"):rep(8)', '"L",("\\255"):rep(8)', '"f","\\0\\0\\192\\63"', '"d","\\0\\0\\0\\0\\0\\0\\248\\63"', '"s","abc\\0d"',
    '"s","abc"', '"ss","a\\0b\\0"', '"c2","abc"', '"c4","abc"', '"bc0","\\2abc"', '"bc0","\\9abc"', '"c0","abc"', '"sc0","a\\0bc"', '"fc0","\\0\\0\\0\\191abc"', '"x","a"', '"x",""', '"b","",1', '"b","ab",2', '"b","ab",3', '"b","ab",0', '"b","ab",-1', '"","ab",-1', '"q","a"', '"!bi","\\1\\0\\0\\0\\2\\0\\0\\0"', '"b"',
    '"b",1', '"bb","a"', '"<b>h","a\\1\\2"', '"c2147483647","x"', '"!xxd",("x"):rep(20)', '"i32",("\\1"):rep(32)')] + ['return struct.size(%s)' % v for v in (
    '"b"', '"bhild"', '"!bhild"', '"s"', '"c0"', '"c5"', '"c"', '"q"', '"!3"', '"x"', '""', '', '"i99"', '"=,"', '"!8bi3d"', '"<>! b"')]))

BIT = caught(*('return bit.' + v for v in (
    'tobit(1)', 'tobit(2^31)', 'tobit(2^32+5)', 'tobit(-1)', 'tobit(1.5)', 'tobit(2.5)', 'tobit(1e300)', 'tobit("0x10")', 'tobit()', 'tobit("x")', 'bnot(0)', 'band(7,12,6)', 'bor(1,2,4)', 'bxor(1,3)', 'band(1)', 'band()',
    'lshift(1,31)', 'lshift(1,32)', 'lshift(1,33)', 'rshift(-1,1)', 'arshift(-8,1)', 'rol(0x12345678,12)', 'ror(0x12345678,12)', 'rol(1,0)', 'bswap(0x12345678)', 'tohex(1)', 'tohex(-1)', 'tohex(255,2)', 'tohex(255,-4)', 'tohex(255,0)',
    'tohex(255,99)', 'tohex(65535,-2147483648)', 'tohex(1,nil)', 'lshift(1)', 'lshift()', 'bnot(2^52)', 'tobit(-2^31-1)')))

MORE = [
    [b'EVAL', b'return {KEYS[1],KEYS[2],ARGV[1],#KEYS,#ARGV}', b'2', b'a', b'b', b'c'],
    [b'EVAL', b'return KEYS', b'0', b'x'], [b'EVAL', b'return ARGV', b'0', b'x', b'', b'\x00\xff\r\n'],
    [b'EVAL', b'return 1', b'x'], [b'EVAL', b'return 1', b'-1'], [b'EVAL', b'return 1', b'2', b'a'],
    [b'EVAL_RO', b'return redis.call("set","k",1)', b'0'], [b'EVAL_RO', b'return redis.pcall("set","k",1)', b'0'],
    [b'EVAL_RO', b'return redis.call("get","k")', b'0'], [b'EVAL_RO', b'#!lua\nreturn 1', b'0'],
    [b'EVAL_RO', b'#!lua flags=no-writes\nreturn 1', b'0'],
    [b'SCRIPT', b'LOAD', b'return 42'], [b'EVALSHA', b'1fa00e76656cc152ad327c13fe365858fd7be306', b'0'],
    [b'EVALSHA', b'1FA00E76656CC152AD327C13FE365858FD7BE306', b'0'], [b'EVALSHA', b'x', b'0'],
    [b'EVALSHA', b'0' * 40, b'0'], [b'SCRIPT', b'EXISTS', b'1fa00e76656cc152ad327c13fe365858fd7be306', b'x'],
    [b'SCRIPT', b'LOAD', b'x x'], [b'SCRIPT', b'FLUSH'],
    [b'SCRIPT', b'EXISTS', b'1fa00e76656cc152ad327c13fe365858fd7be306'],
    [b'EVALSHA', b'1fa00e76656cc152ad327c13fe365858fd7be306', b'0'],
]


def library(code):
    return [b'FUNCTION', b'LOAD', code.encode()]


def function_with(body, head='#!lua name=l\n'):
    return [library(head + 'redis.register_function("f",function(keys,args) %s end)' % body),
            [b'FCALL', b'f', b'1', b'k', b'v', b'w'], [b'FCALL', b'F', b'1', b'k', b'v'],
            [b'FCALL_RO', b'f', b'0'], [b'FUNCTION', b'LIST', b'WITHCODE'], [b'FUNCTION', b'FLUSH']]


FUNCTIONS = [c for body in (
    'return 1', 'return {keys[1],args[1],args[2],#keys,#args}', 'return redis.call("set",keys[1],args[1])', 'return KEYS', 'return ARGV',
    'error("x")', 'return redis.call("foo")', 'return redis.pcall("foo")', 'x=1', 'return y', 'return redis.register_function("x",function() end)',
    'return redis.breakpoint', 'return redis.debug("x")', 'return redis.replicate_commands', 'redis.setresp(3) return true', 'return redis.log(1,"x")',
    'return cjson.encode({1})', 'return _G.redis==redis', 'return redis.sha1hex("x")', 'local a={} a[1]=1 return a', 'return __redis__err__handler',
    'rawset(_G,"x",1)', 'setmetatable(_G,{})', 'return type(getmetatable(_G))', 'redis.x=1', 'return math.random(1,1)', 'error({err="E x"})', 'return print',
    'local o={} for n,l in pairs(_G) do o[#o+1]=n end table.sort(o) return #o', 'local o={} for n,l in pairs(redis) do o[#o+1]=n end table.sort(o) return o',
    'return unpack(args)', 'return {err="x"}', 'return loadstring("return 5")()', 'return redis.REDIS_VERSION') for c in function_with(body)
] + [c for code in (
    '', 'x', '#!lua', '#!lua\n', '#!lua name=l\n', '#!lua name=l\nreturn 1', '#!lua name=\nx', '#!lua name=a-b\nx', '#!lua name=l name=m\nx', '#!lua nam=l\nx', '#!lua l\nx', '#!python name=l\nx', '#!LUA name=l\nx x', '#! name=l\nx', '#!\nx',
    '#!lua name=l\nx x', '#!lua name=l\nx=1', '#!lua name=l\nreturn y', '#!lua name=l\nerror("e")', '#!lua name=l\nerror({err="e"})', '#!lua name=l\nerror({err="E e"})', '#!lua name=l\nredis.call("get","x")', '#!lua name=l\nredis.setresp(3)', '#!lua name=l\nredis.log(1,"x")',
    '#!lua name=l\nstring.len("x")', '#!lua name=l\nlocal x=("x"):len()', '#!lua name=l\nlocal x=math.pi', '#!lua name=l\nfor k,v in pairs(redis) do end', '#!lua name=l\nredis.x=1', '#!lua name=l\n_G.x=1', '#!lua name=l\nreturn redis.REDIS_VERSION',
    '#!lua name=l\nredis.register_function()', '#!lua name=l\nredis.register_function(1)', '#!lua name=l\nredis.register_function("f")', '#!lua name=l\nredis.register_function("f",1)', '#!lua name=l\nredis.register_function(1,function() end)',
    '#!lua name=l\nredis.register_function({},function() end)', '#!lua name=l\nredis.register_function("f",function() end,1)', '#!lua name=l\nredis.register_function("",function() end)', '#!lua name=l\nredis.register_function("f-x",function() end)',
    '#!lua name=l\nredis.register_function("f",function() end) redis.register_function("f",function() end)', '#!lua name=l\nredis.register_function("f",function() return 1 end) redis.register_function("g",function() return 2 end)',
    '#!lua name=l\nredis.register_function{function_name="f",callback=function() return 5 end}', '#!lua name=l\nredis.register_function{function_name="f",callback=function() return 5 end,description="d",flags={"no-writes"}}',
    '#!lua name=l\nredis.register_function{function_name="f",callback=function() return 5 end,flags={"No-Writes","allow-oom","allow-stale","no-cluster","allow-cross-slot-keys"}}', '#!lua name=l\nredis.register_function{function_name="f",callback=function() return 5 end,flags={}}',
    '#!lua name=l\nredis.register_function{function_name="f",callback=function() end,flags={"x"}}', '#!lua name=l\nredis.register_function{function_name="f",callback=function() end,flags={{}}}', '#!lua name=l\nredis.register_function{function_name="f",callback=function() end,flags=1}',
    '#!lua name=l\nredis.register_function{function_name={},callback=function() end}', '#!lua name=l\nredis.register_function{function_name="f",callback=1}', '#!lua name=l\nredis.register_function{function_name="f"}', '#!lua name=l\nredis.register_function{callback=function() end}', '#!lua name=l\nredis.register_function{}',
    '#!lua name=l\nredis.register_function{function_name="f",callback=function() end,x=1}', '#!lua name=l\nredis.register_function{function_name="f",callback=function() end,description={}}', '#!lua name=l\nredis.register_function{FUNCTION_NAME="f",Callback=function() return 7 end}', '#!lua name=l\nredis.register_function{[true]=1}',
    '#!lua name=l\nlocal n=0 redis.register_function("f",function() n=n+1 return n end)', '#!lua name="l"\nredis.register_function("f",function() return 1 end)', '#!lua NAME=l\nredis.register_function("f",function() return 1 end)', '#!lua name=l\nlocal r=redis.register_function r("f",function() return r("x",function() end) end)',
    '#!lua name=l\nredis.register_function("f",function() return 1 end)\nerror("late")', '#!lua name=l\nredis.register_function("f",redis.register_function)', '#!lua name=l\nwhile true do end', '#!lua name=l\nlocal x=redis.nope',
    '#!lua name=l\nredis.register_function("f",function() return "x" end)\nlocal t={} t.a.b=1', '#!lua name=l\nlocal t=setmetatable({},{}) redis.register_function("f",t)', '#!lua name=l\npcall(error)') for c in (
        library(code), [b'FCALL', b'f', b'0'], [b'FCALL', b'f', b'0'], [b'FCALL_RO', b'f', b'0'], [b'FUNCTION', b'LIST'], library('#!lua name=l\nredis.register_function("f",function() return "again" end)'),
        [b'FUNCTION', b'LOAD', b'REPLACE', b'#!lua name=l\nredis.register_function("f",function() return "new" end)'], [b'FCALL', b'f', b'0'], library('#!lua name=m\nredis.register_function("F",function() return "other" end)'),
        library('#!lua name=m\nredis.register_function("g",function() return "other" end)'), [b'FUNCTION', b'LOAD', b'REPLACE', b'#!lua name=l\nredis.register_function("g",function() return "new" end)'],
        [b'FUNCTION', b'LOAD', b'REPLACE', b'#!lua name=l\nredis.register_function("f",function() return "new" end) error("x")'], [b'FCALL', b'f', b'0'], [b'FUNCTION', b'STATS'], [b'FUNCTION', b'DELETE', b'm'], [b'FUNCTION', b'DELETE', b'm'], [b'FUNCTION', b'DUMP'], [b'FUNCTION', b'FLUSH'])
] + [
    [b'FCALL', b'none', b'0'], [b'FUNCTION', b'DUMP'], [b'FUNCTION', b'RESTORE', b''], [b'FUNCTION', b'RESTORE', b'x' * 20],
    library('#!lua name=l\nredis.register_function("f",function() return 1 end)'), [b'FCALL', b'f', b'x'], [b'FCALL', b'f', b'-1'], [b'FCALL', b'f', b'1'],
    [b'FUNCTION', b'DUMP'], 'restore', 'restore flush', 'restore replace', [b'FUNCTION', b'DELETE', b'l'], 'restore', [b'FUNCTION', b'LIST', b'WITHCODE'], [b'FCALL', b'f', b'0'],
    library('#!lua name=m\nredis.register_function("g",function() return 2 end)'), 'restore flush', [b'FUNCTION', b'DELETE', b'm'], [b'FUNCTION', b'DELETE', b'l'],
    library('#!lua name=m\nredis.register_function("f",function() return 2 end)'), 'restore', 'restore replace', [b'FUNCTION', b'FLUSH'],
]

CORPUS = CONVERSIONS + CALLS + ERRORS + SANDBOX + JSON + MSGPACK + STRUCT + BIT + MORE + FUNCTIONS


class Generator(Random):
    """Random scripts: a value, sent through a library and back."""

    def __init__(self, seed):
        super().__init__(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def number(self):
        return self.pick('0', '1', '-1', '%d' % self.random.randrange(-300, 300), '%d' % self.random.randrange(-2**40, 2**40),
                         '2^%d' % self.random.randrange(70), '-2^%d' % self.random.randrange(70), '%.3f' % self.random.uniform(-9, 9), '1e%d' % self.random.randrange(-20, 30))

    def string(self):
        return '"%s"' % ''.join('\\%03d' % self.random.randrange(256) if self.random.random() < 0.4 else self.pick(*'abZ0 /{[')
                                for _ in range(self.random.randrange(8)))

    def value(self, depth=0):
        kind = self.random.random()
        if kind < 0.3 or depth > 3:
            return self.number()
        if kind < 0.55:
            return self.string()
        if kind < 0.65:
            return self.pick('true', 'false', 'nil', 'cjson.null')
        items = []
        for _ in range(self.random.randrange(5)):
            key = self.pick('', '', '', '[%d]=' % self.random.randrange(1, 14), 'a=', 'b=', '[%s]=' % self.string())
            items.append(key + self.value(depth + 1))
        wrapped = '{' + ','.join(items) + '}'
        return self.pick(wrapped, wrapped, wrapped, '{map=%s}' % wrapped, '{set=%s}' % wrapped, '{ok=%s}' % self.string(), '{err=%s}' % self.string(), '{double=%s}' % self.number())

    def bytes(self):
        first = self.random.choice([0x80, 0x90, 0xa0, 0xc0, 0xd0, 0xe0, 0, 0xcc, 0xd9, 0xdc, 0xde])
        return '"%s"' % ''.join('\\%03d' % b for b in [first + self.random.randrange(4)] + [
            self.random.choice([0, 1, 2, 5, 127, 128, 160, 200, 255, 0x91, 0x82, 0xa1, 0xc0]) for _ in range(self.random.randrange(12))])

    def format(self):
        return ''.join(self.pick('b', 'B', 'h', 'H', 'l', 'L', 'i', 'I', 'i%d' % self.random.randrange(10), 'I3', 'f', 'd', 'x', 's', 'c%d' % self.random.randrange(5), '<', '>', '!', '!4', ' ')
                       for _ in range(self.random.randrange(1, 6)))

    def json_text(self):
        return "'%s'" % ''.join(self.pick('{', '}', '[', ']', ',', ':', '1', '-2.5', '"a"', '"b"', 'true', 'null', ' ', '"\\\\u00%02x"' % self.random.randrange(256), '"\\\\n"') for _ in range(self.random.randrange(1, 8)))

    def command(self):
        kind = self.random.random()
        if kind < 0.25:
            body = 'return ' + self.value()
        elif kind < 0.4:
            body = 'local v=%s return {pcall(cjson.encode,v)}' % self.value()
        elif kind < 0.5:
            body = 'local ok,v=pcall(cjson.decode,%s) return {ok,v,type(v)}' % self.json_text()
        elif kind < 0.65:
            body = 'local p=cmsgpack.pack(%s,%s) return {p,cmsgpack.unpack(p)}' % (self.value(), self.value())
        elif kind < 0.75:
            body = 'return {pcall(cmsgpack.%s,%s)}' % (self.pick('unpack', 'unpack', 'unpack_one'), self.bytes())
        elif kind < 0.85:
            body = 'return {pcall(struct.pack,"%s",%s)}' % (self.format(), ','.join(self.pick(self.number(), self.string()) for _ in range(self.random.randrange(6))) or 'nil')
        elif kind < 0.93:
            body = 'local r={pcall(struct.unpack,"%s",%s)} for i=1,#r do r[i]=tostring(r[i]) end return r' % (self.format(), self.bytes())
        else:
            body = 'return bit.%s(%s,%s)' % (self.pick('band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror', 'tohex', 'tobit'), self.number(), self.number())
        return [b'EVAL', body.encode('latin-1'), b'0']


def masked(reply):
    reply = re.sub(rb'0x[0-9a-f]+', b'0x?', reply)
    return re.sub(rb'\$\d+\r\n(function|table|thread|userdata): 0x\?', rb'$?\r\n\1: 0x?', reply)


def resolve(commands):
    """'restore policy' becomes a FUNCTION RESTORE of the payload of library l below."""
    code = b'#!lua name=l\nredis.register_function("f",function() return 1 end)'
    payload = None
    redis = Redis(2)
    try:
        redis.run([b'FUNCTION', b'FLUSH'])
        redis.run([b'FUNCTION', b'LOAD', code])
        reply = redis.run([b'FUNCTION', b'DUMP'])
        payload = reply[reply.index(b'\r\n') + 2:-2]
        redis.run([b'FUNCTION', b'FLUSH'])
    finally:
        redis.stop()
    return [c if isinstance(c, list) else
            [b'FUNCTION', b'RESTORE', payload] + [w.encode() for w in c.split()[1:]] for c in commands]


def comparable(words, reply):
    if words[0] == b'FUNCTION' and words[1:2] == [b'LIST']:
        return sorted(reply)  # libraries and functions come in any order
    if words[:2] == [b'FUNCTION', b'STATS']:
        return reply.rpartition(b'engines\r\n')[2]  # the harness shows the engines only
    return masked(reply)


def commands(seed, count):
    return resolve(CORPUS) + Generator.sequence(seed, count)


if __name__ == '__main__':
    sys.setrecursionlimit(20000)
    sys.exit(compare(commands, comparable))
