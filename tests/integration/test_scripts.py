"""Scripts and functions: replies as Redis gives them, one order over several shards, keys that are
not declared, scripts that run for too long.

SCRIPTS_SECONDS is the length of each storm of clients, SCRIPTS_SEED the first seed.
"""
import hashlib
import os
import random
import threading
import time

import pytest
import redis
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, plain

SECONDS = float(os.environ.get("SCRIPTS_SECONDS", "1.5"))
SEED = int(os.environ.get("SCRIPTS_SEED", "1"))
BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
BUSY_FUNCTION = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."


def sha(body):
    return hashlib.sha1(body.encode()).hexdigest()


# --- the same replies as Redis ------------------------------------------------------------------

BODIES = [
    "return redis.call('GET', KEYS[1])",
    "return redis.call('INCR', KEYS[1])",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return {KEYS[1], ARGV[1], redis.call('EXISTS', KEYS[1])}",
    "redis.call('MSET', KEYS[1], ARGV[1], KEYS[2] or 'k0', ARGV[2] or 'x') return redis.call('MGET', unpack(KEYS))",
    "return redis.call('DEL', unpack(KEYS))",
    "local k = KEYS[1] return redis.pcall('LPUSH', k, ARGV[1])",
    "return redis.call('RENAME', KEYS[1], KEYS[2] or KEYS[1])",
    "return redis.call('DBSIZE')",
    "local all = redis.call('KEYS', '*') table.sort(all) return all",
    "redis.call('SELECT', '3') redis.call('SET', KEYS[1], 'three') return redis.call('DBSIZE')",
    "return redis.call('SELECT', 'x')",
    "return redis.call('INCR', 'undeclared' .. ARGV[1])",
    "for i = 1, 5 do redis.call('INCRBY', 'k' .. i, i) end return redis.call('GET', 'k5')",
    "return redis.call('SORT', 'list', 'BY', 'w*', 'GET', '#')",
    "return redis.call('SINTERSTORE', KEYS[1], 'set1', 'set2')",
    "return redis.call('NOSUCH')",
    "return redis.call('GET')",
    "return redis.call('AUTH', 'x')",
    "return redis.call('PING', 'pong')",
    "return redis.call('ECHO', ARGV[1])",
    "return redis.pcall('INCR', KEYS[1], 'too', 'many')",
    "return redis.call('FLUSHALL')",
    "local n = redis.call('DBSIZE') redis.call('SWAPDB', 0, 3) return {n, redis.call('DBSIZE')}",
    "return redis.error_reply('MY error')",
    "return redis.status_reply('FINE')",
    "error('thrown')",
    "this is not Lua",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
    "#!lua flags=nonsense\nreturn 1",
    "#!python\nreturn 1",
    "return redis.sha1hex(ARGV[1])",
    "return {1.5, 'a', true, false, {2, {3}}}",
    "redis.setresp(3) return redis.call('HGETALL', 'hash')",
    "return redis.call('TYPE', KEYS[1])",
    "return redis.call('RPOPLPUSH', 'list', KEYS[1])",
]


class Sequence:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def keys(self):
        n = self.random.choice([0, 1, 1, 1, 2, 3])
        return ["k%d" % self.random.randrange(8) for _ in range(n)]

    def command(self):
        roll, rnd = self.random.random(), self.random
        body = rnd.choice(BODIES)
        keys = self.keys()
        args = [rnd.choice(["1", "7", "v", "", "x" * 40]) for _ in range(rnd.randrange(4))]
        numkeys = rnd.choice([len(keys)] * 12 + [len(keys) + len(args) + 1, -1, "x", ""])
        if roll < 0.5:
            return [rnd.choice(["EVAL", "EVAL", "EVAL_RO"]), body, numkeys, *keys, *args]
        if roll < 0.7:
            digest = rnd.choice([sha(body), sha(body).upper(), "0" * 40, "short"])
            return [rnd.choice(["EVALSHA", "EVALSHA_RO"]), digest, numkeys, *keys, *args]
        if roll < 0.76:
            return ["SCRIPT", "EXISTS", sha(body), sha(rnd.choice(BODIES))]
        if roll < 0.8:
            return ["SCRIPT", "LOAD", body]
        if roll < 0.81:
            return ["SCRIPT", "FLUSH"] + rnd.choice([[], ["SYNC"], ["ASYNC"], ["BAD"]])
        if roll < 0.83:
            return ["SCRIPT", "KILL"]
        if roll < 0.9:
            return rnd.choice([["RPUSH", "list", "3", "1", "2"], ["SADD", "set1", "a", "b"],
                               ["SADD", "set2", "b", "c"], ["HSET", "hash", "f", "v"], ["SET", "w1", "5"]])
        return ["GET", "k%d" % rnd.randrange(8)]


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_sequence_as_redis(server, oracle, seed):
    sequence, history = Sequence(seed), []
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for raw in (ours, theirs):
            assert plain(raw.line("FLUSHALL")) == "OK"
            assert plain(raw.line("SCRIPT FLUSH")) == "OK"
        for _ in range(60):
            chunk = [sequence.command() for _ in range(sequence.random.randint(1, 30))]
            for c, a, b in zip(chunk, ours.pipeline(chunk), theirs.pipeline(chunk)):
                history.append(c)
                assert a == b, "seed %d: %s\nours %s\nRedis %s\nbefore: %s" % (seed, c, a, b, history[-12:])


# --- one order ----------------------------------------------------------------------------------

TRANSFER = """
local n = tonumber(ARGV[1])
redis.call('DECRBY', KEYS[1], n)
redis.call('INCRBY', KEYS[2], n)
return n
"""
TRANSFER_UNDECLARED = """
redis.call('DECRBY', 'acc' .. ARGV[1], ARGV[3])
redis.call('INCRBY', 'acc' .. ARGV[2], ARGV[3])
return 1
"""
# Proven to keep to its keys nowhere in its text: known from experience only.
TRANSFER_TRIED = """
local from, to = KEYS[1] .. '', KEYS[2] .. ''
redis.call('DECRBY', from, ARGV[1])
redis.call('INCRBY', to, ARGV[1])
return 1
"""
SUM = "local s = 0 for _, k in ipairs(KEYS) do s = s + redis.call('GET', k) end return s"
SUM_UNDECLARED = "local s = 0 for i = 0, 15 do s = s + redis.call('GET', 'acc' .. i) end return s"
ACCOUNTS = ["acc%d" % i for i in range(16)]


def storm(port, steps):
    failures, end = [], time.monotonic() + SECONDS

    def run(step, number):
        rnd = random.Random(number)
        try:
            with Raw(port) as raw:
                while time.monotonic() < end and not failures:
                    step(raw, rnd)
        except Exception as e:  # pylint: disable=broad-except
            failures.append(repr(e))

    threads = [threading.Thread(target=run, args=(step, i)) for i, step in enumerate(steps)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]


def test_transfers_are_seen_whole(server, client):
    for a in ACCOUNTS:
        client.set(a, 1000)

    def transfer(raw, rnd):
        commands = []
        for _ in range(6):
            i, j = rnd.sample(range(16), 2)
            commands.append(["EVAL", TRANSFER, 2, "acc%d" % i, "acc%d" % j, rnd.randint(1, 9)])
        for reply in raw.pipeline(commands):
            assert reply[0] == ":", reply

    def others(raw, rnd):
        i, j = rnd.sample(range(16), 2)
        commands = [["EVAL", TRANSFER_UNDECLARED, 0, i, j, 3], ["EVAL", TRANSFER_TRIED, 2, "acc%d" % j, "acc%d" % i, 2]]
        for reply in raw.pipeline(commands):
            assert reply[0] == ":", reply

    def read(raw, rnd):
        commands = [["MGET", *ACCOUNTS], ["EVAL", SUM, 16, *ACCOUNTS], ["EVAL", SUM_UNDECLARED, 0]]
        balances, some, all_ = raw.pipeline(commands)
        assert sum(int(x) for x in plain(balances)) == 16000
        assert plain(some) == plain(all_) == 16000

    storm(server.port, [transfer, transfer, transfer, others, read, read])


def test_program_order_with_scripts_that_stray(server, client):
    """A script that has kept to its keys so far strays, with commands behind it in the pipeline."""
    body = "local k = KEYS[1] if ARGV[1] ~= '' then k = ARGV[1] end return redis.call('INCR', k)"
    for i in range(40):
        other, fresh = "other%d" % i, body + "-- %d" % i
        with Raw(server.port) as raw:
            assert plain(raw.call("EVAL", fresh, 1, "k", "")) == 2 * i + 1  # learns that it is narrow
            replies = raw.pipeline([["EVAL", fresh, 1, "k", ""], ["EVAL", fresh, 1, "k", other],
                                    ["GET", other], ["SET", other, "9"], ["GET", "k"]])
            assert [plain(r) for r in replies] == [2 * i + 2, 1, "1", "OK", "%d" % (2 * i + 2)]
            assert plain(raw.call("EVAL", fresh, 1, "k", other)) == 10


def test_stray_after_write(server, client):
    """Whatever a script has done before, its writes to keys that it does not declare work as in Redis."""
    body = "redis.call('SET', KEYS[1], 1) return redis.call('SET', KEYS[1] .. ARGV[1], 2)"
    assert client.eval(body, 1, "k", "") == b"OK"
    for i in range(2):
        assert client.eval(body, 1, "k", "far%d" % i) == b"OK"
        assert client.get("kfar%d" % i) == b"2"
    reads_first = """
        redis.call('GET', KEYS[1] .. '')
        for i = 1, ARGV[1] do redis.call('INCR', KEYS[1] .. '') redis.call('INCR', 'near:' .. i) end
        return redis.call('GET', KEYS[1] .. '')"""
    client.set("count", 0)
    for n, want in ((0, b"0"), (0, b"0"), (8, b"8"), (8, b"16")):
        assert client.eval(reads_first, 1, "count", n) == want
    assert client.mget(*["near:%d" % i for i in range(1, 9)]) == [b"2"] * 8


def test_known_everywhere_at_once(server, client):
    for i in range(60):
        body = "return {%d, KEYS[1]}" % i
        a, b = Raw(server.port), Raw(server.port)
        with a, b:
            if i % 2:
                assert plain(a.call("SCRIPT", "LOAD", body)) == sha(body)
            else:
                a.call("EVAL", body, 1, "k%d" % i)
            for key in ("a", "b", "c%d" % i):
                assert plain(b.call("EVALSHA", sha(body), 1, key)) == [i, key]
    body = "return 'pipelined'"
    with Raw(server.port) as raw:
        replies = raw.pipeline([["EVAL", body, 1, "x"]] + [["EVALSHA", sha(body), 1, "y%d" % i] for i in range(30)])
        assert all(plain(r) == "pipelined" for r in replies)
    client.script_flush()
    for _ in range(8):
        with Raw(server.port) as raw:
            assert plain(raw.call("SCRIPT", "EXISTS", sha(body))) == [0]
            assert raw.call("EVALSHA", sha(body), 0)[1].startswith("NOSCRIPT")


def test_flush_among_runs(server, client):
    bodies = ["return %d" % i for i in range(20)]

    def run(raw, rnd):
        i = rnd.randrange(20)
        assert plain(raw.call("EVAL", bodies[i], 0)) == i
        reply = raw.call("EVALSHA", sha(bodies[i]), 1, "k%d" % i)
        assert reply == (":", i) or reply[1].startswith("NOSCRIPT"), reply

    def flush(raw, rnd):
        assert plain(raw.call("SCRIPT", "FLUSH")) == "OK"
    storm(server.port, [run, run, run, flush])


# --- functions ------------------------------------------------------------------------------------

LIBRARY = """#!lua name=%s
redis.register_function('%s_incr', function(keys, args) return redis.call('INCR', keys[1]) end)
redis.register_function{function_name='%s_get', callback=function(keys, args)
    return redis.call('GET', keys[1]) end, flags={'no-writes'}, description='reads'}
"""


def library(name):
    return LIBRARY % (name, name, name)


def test_functions_as_redis(server, oracle):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        def both(*command):
            a, b = ours.call(*command), theirs.call(*command)
            assert a == b, "%s\nours %s\nRedis %s" % (command, a, b)
            return plain(a)
        both("FUNCTION", "FLUSH")
        both("FLUSHALL")
        both("FUNCTION", "LOAD", library("one"))
        both("FUNCTION", "LOAD", library("one"))
        both("FUNCTION", "LOAD", "REPLACE", library("one"))
        both("FUNCTION", "LOAD", "WRONG", library("one"))
        both("FUNCTION", "LOAD", "no shebang")
        both("FUNCTION", "LOAD", "#!lua name=two\nthis is no Lua")
        both("FCALL", "one_incr", 1, "k")
        both("FCALL", "ONE_INCR", 1, "k")
        both("FCALL_RO", "one_incr", 1, "k")
        both("FCALL_RO", "one_get", 1, "k")
        both("FCALL", "one_get", "x", "k")
        both("FCALL", "one_get", 5, "k")
        both("FCALL", "one_get", -1, "k")
        both("FCALL", "none", "x")
        both("FCALL", "none", 0)
        both("FUNCTION", "LIST", "LIBRARYNAME", "none")
        both("FUNCTION", "LIST", "LIBRARYNAME")
        both("FUNCTION", "LIST", "BAD")
        both("FUNCTION", "STATS")
        dump = both("FUNCTION", "DUMP")
        both("FUNCTION", "FLUSH", "BAD")
        both("FUNCTION", "RESTORE", dump)
        both("FUNCTION", "RESTORE", dump, "REPLACE")
        both("FUNCTION", "RESTORE", dump, "SOMEHOW")
        both("FUNCTION", "RESTORE", "junk")
        both("FUNCTION", "DELETE", "none")
        both("FUNCTION", "DELETE", "one")
        both("FCALL", "one_get", 1, "k")
        both("FUNCTION", "RESTORE", dump, "FLUSH")
        both("FCALL", "one_get", 1, "k")
        both("FUNCTION", "KILL")
        both("FUNCTION", "FLUSH", "ASYNC")


def test_function_changes_among_calls(server, client):
    def call(raw, rnd):
        reply = raw.call("FCALL", "lib_incr", 1, "k%d" % rnd.randrange(30))
        assert reply[0] == ":" or reply == ("-", "ERR Function not found"), reply

    def change(raw, rnd):
        step = rnd.choice([["LOAD", "REPLACE", library("lib")], ["DELETE", "lib"], ["FLUSH"]])
        reply = raw.call("FUNCTION", *step)
        assert reply[0] in "+$" or reply == ("-", "ERR Library not found"), reply
    storm(server.port, [call, call, call, change, change])
    client.execute_command("FUNCTION", "FLUSH")


# --- scripts that run for too long ----------------------------------------------------------------


CLOSED = ("closed", None)  # instead of a reply


def in_background(server, *command):
    """A thread that gets the reply to a command, and the list that it puts it in."""
    result = []

    def run():
        with Raw(server.port) as raw:
            try:
                result.append(raw.call(*command))
            except (EOFError, ConnectionError):
                result.append(CLOSED)
    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def answer(server, *command):
    with Raw(server.port) as raw:
        return raw.call(*command)


@pytest.fixture
def impatient(server, client):
    client.config_set("lua-time-limit", 10)
    yield server
    client.config_set("busy-reply-threshold", 5000)


def test_busy_and_kill(impatient, client):
    server = impatient
    names = ["k%d" % i for i in range(64)]
    for name in names:
        client.set(name, "v")
    thread, result = in_background(server, "EVAL", "while true do end", 1, "k0")
    wait_until(lambda: answer(server, "GET", "k0") == ("-", BUSY))
    replies = [answer(server, "GET", name) for name in names]
    assert all(r in (("-", BUSY), ("$", b"v")) for r in replies)
    served = sum(r == ("$", b"v") for r in replies)
    assert served > 20 or "--shards 1" in " ".join(server.command)
    assert answer(server, "DBSIZE") == ("-", BUSY)
    assert answer(server, "EVAL", "return redis.call('DBSIZE')", 0) == ("-", BUSY)
    assert answer(server, "FUNCTION", "KILL") == ("-", BUSY)
    assert answer(server, "FUNCTION", "STATS") == ("-", BUSY)
    assert answer(server, "SHUTDOWN") == ("-", BUSY)
    assert answer(server, "SCRIPT", "KILL") == ("+", "OK")
    assert answer(server, "GET", "k0") == ("$", b"v")
    thread.join()
    assert result[0][0] == "-" and "Script killed by user with SCRIPT KILL" in result[0][1]
    assert answer(server, "SCRIPT", "KILL") == ("-", "NOTBUSY No scripts in execution right now.")


def test_unkillable_once_it_has_written(impatient, client):
    server = impatient
    body = """
        redis.call('SET', KEYS[1], 'begun')
        local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
        local start = now()
        while now() - start < tonumber(ARGV[1]) do end
        return redis.call('GET', KEYS[1])
    """
    for ms in (500, 5000, 50000):  # longer until it is met while it runs
        replies = []
        thread, result = in_background(server, "EVAL", body, 1, "k", ms)
        while not result and all(r[1].startswith("NOTBUSY") for r in replies):
            replies.append(answer(server, "SCRIPT", "KILL"))
        thread.join()
        assert result == [("$", b"begun")]
        if not replies[-1][1].startswith("NOTBUSY"):
            break
    assert replies[-1][1].startswith("UNKILLABLE Sorry the script already executed write")


def test_whole_server_busy(impatient, client):
    """A script that has borrowed all shards keeps all of them."""
    server = impatient
    body = "redis.call('GET', 'not' .. 'declared') while true do end"
    thread, _ = in_background(server, "EVAL", body, 0)
    wait_until(lambda: answer(server, "GET", "k") == ("-", BUSY))
    assert all(answer(server, "GET", "k%d" % i) == ("-", BUSY) for i in range(20))
    assert answer(server, "PING") == ("-", BUSY)
    assert answer(server, "SCRIPT", "KILL") == ("+", "OK")
    thread.join()
    assert answer(server, "GET", "k") == ("$", None)


def test_busy_function(impatient, client):
    server = impatient
    code = "#!lua name=spin\nredis.register_function('spin', function() while true do end end)"
    client.execute_command("FUNCTION", "LOAD", "REPLACE", code)
    thread, result = in_background(server, "FCALL", "spin", 1, "k")
    wait_until(lambda: answer(server, "GET", "k") == ("-", BUSY_FUNCTION))
    stats = plain(answer(server, "FUNCTION", "STATS"))
    assert stats[1][:4] == ["name", "spin", "command", ["FCALL", "spin", "1", "k"]]
    assert answer(server, "SCRIPT", "KILL") == ("-", BUSY_FUNCTION)
    assert answer(server, "FUNCTION", "KILL") == ("+", "OK")
    thread.join()
    assert "Script killed by user with" in result[0][1]
    client.execute_command("FUNCTION", "FLUSH")


def test_pipelines_behind_a_busy_script(impatient, client):
    """What was on its way waits, or is refused; nothing is lost and nothing answered twice."""
    server = impatient
    with Raw(server.port) as raw:
        thread, _ = in_background(server, "EVAL", "while true do end", 1, "k1")
        wait_until(lambda: answer(server, "GET", "k1") == ("-", BUSY))
        replies = raw.pipeline([["SET", "k%d" % i, i] for i in range(50)])
        assert all(r in (("+", "OK"), ("-", BUSY)) for r in replies)
        assert answer(server, "SCRIPT", "KILL") == ("+", "OK")
        thread.join()
        for i, r in enumerate(replies):
            assert plain(raw.call("GET", "k%d" % i)) == (str(i) if r[0] == "+" else None)


def test_shutdown_ends_a_busy_script(launch):
    server = launch("--lua-time-limit", "10", shards=2)
    thread, result = in_background(server, "EVAL", "while true do end", 1, "k")
    wait_until(lambda: answer(server, "GET", "k") == ("-", BUSY))
    with Raw(server.port) as raw:
        raw.send("SHUTDOWN", "NOSAVE")
        assert raw.at_end()
    assert server.process.wait(PATIENCE_SECONDS) == 0
    thread.join()
    assert result == [CLOSED] or "Script killed by user" in result[0][1]
