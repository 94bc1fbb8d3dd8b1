"""What a machine and its clients can do to a server: no descriptors left, no memory left, thousands that come
and go in the middle of everything. It must survive, say what is wrong, and forget those who have gone."""
import os
import random
import re
import socket
import stat
import struct

import pytest
from conftest import BINARY
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, encode, plain
from test_bad_input import assert_memory_levels_off, info

# AddressSanitizer and ThreadSanitizer reserve terabytes.
SANITIZED = any(os.path.exists(BINARY) and word in open(BINARY, "rb").read() for word in (b"__asan_init", b"__tsan_init"))
no_sanitizer = pytest.mark.skipif(SANITIZED, reason="the sanitizer needs the address space")


@pytest.fixture
def limited(launch, tmp_path):
    """limited("-n 100", …): a server under such a limit of the shell."""
    def start(limit, *flags, shards):
        script = tmp_path / "server"
        script.write_text('#!/bin/sh\nulimit %s\nexec %s "$@"\n' % (limit, BINARY))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return launch(*flags, shards=shards, binary=str(script))
    return start


# --- descriptors --------------------------------------------------------------------------------

@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", [1, 4])
def test_no_descriptors_left(limited, shards, backend):
    """The limit of clients follows that of descriptors; who comes too many is refused, and places come back."""
    s = limited("-n 150", "--io-backend", backend, shards=shards)
    with Raw(s.port) as control:
        most = int(plain(control.line("config get maxclients"))[1])
        assert 10 < most < 150
        wait_until(lambda: info(control, "connected_clients") == 1, "who asked whether it is up has gone")
        for _ in range(3):
            raws, refused = [], 0
            for _ in range(200):
                sock = socket.create_connection(("127.0.0.1", s.port), PATIENCE_SECONDS)
                try:
                    sock.sendall(b"PING\r\n")
                    answer = sock.recv(100)
                except ConnectionError:
                    answer = b""
                if answer == b"+PONG\r\n":
                    raws.append(sock)
                else:
                    assert answer in (b"-ERR max number of clients reached\r\n", b""), answer
                    refused += 1
                    sock.close()
            assert refused > 0 and len(raws) == most - 1
            for sock in raws:
                sock.sendall(encode(["MSET", "a", 1, "b", 2, "c", 3]))
                assert sock.recv(100) == b"+OK\r\n"
            for sock in raws:
                sock.close()
            wait_until(lambda: info(control, "connected_clients") == 1, "all have gone")


# --- memory -------------------------------------------------------------------------------------

@no_sanitizer
@pytest.mark.parametrize("shards", [1, 4])
def test_no_memory_left_for_strings(limited, shards):
    """Values that do not fit are refused; what was there stays, and smaller ones go on."""
    s = limited("-v 1000000", shards=shards)
    with Raw(s.port) as raw:
        assert raw.call("SET", "kept", "here") == ("+", "OK")
        answers = set()
        for i in range(3):
            for command in (["SETRANGE", "r%d" % i, 150_000_000, "x"], ["SETBIT", "b%d" % i, 1_200_000_000, 1],
                            ["BITOP", "NOT", "o%d" % i, "r%d" % i], ["APPEND", "r%d" % i, "y"],
                            ["BITFIELD", "f%d" % i, "SET", "u8", "#150000000", 1], ["COPY", "r0", "c%d" % i],
                            ["GETRANGE", "r%d" % i, 0, -1] if i < 2 else ["STRLEN", "r0"]):
                try:
                    kind, value = raw.call(*command)
                except EOFError:
                    raise AssertionError("the server is gone: %s\n%s" % (command, s.log()[-2000:])) from None
                if kind == "-":
                    answers.add(value)
        assert answers, "nothing was refused"
        assert raw.call("GET", "kept") == ("$", b"here")
        assert raw.call("FLUSHALL") == ("+", "OK")
        assert raw.call("SET", "kept", "again") == ("+", "OK")


ANNOUNCED = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc", b"*1048576\r\n$3\r\nGET\r\n",
             b"*1048576\r\n" + b"$1\r\na\r\n" * 100, b"*2\r\n$3\r\nGET\r\n$536870912\r\n",
             encode(["MULTI"]) + b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\nabc",
             encode(["EVAL", "return 1", 0]) * 3 + b"*3\r\n$4\r\nEVAL\r\n$500000000\r\n"]


@pytest.mark.parametrize("announced", ANNOUNCED, ids=lambda d: ascii(d[:24])[2:-1])
def test_announced_sizes_cost_nothing(server, announced):
    """Who announces gigabytes and sends a few bytes gets memory for a few bytes."""
    with Raw(server.port) as raw:
        before = info(raw, "used_memory")
        socks = [server.socket() for _ in range(60)]
        for sock in socks:
            sock.sendall(announced)
        wait_until(lambda: info(raw, "connected_clients") > 60, "all are there")
        assert raw.line("PING") == ("+", "PONG")
        assert info(raw, "used_memory") < before + 60 * 1_200_000
        for sock in socks:
            sock.close()
        wait_until(lambda: info(raw, "connected_clients") == 1, "all have gone")


def test_arguments_larger_than_maxmemory(server):
    with Raw(server.port) as raw:
        raw.line("FLUSHALL")
        limit = info(raw, "used_memory") + 3_000_000
        assert raw.call("CONFIG", "SET", "maxmemory", limit) == ("+", "OK")
        try:
            big, refused = "x" * 6_000_000, 0
            for i in range(6):
                for command in (["SET", "big%d" % i, big], ["MSET", "a%d" % i, big, "b%d" % i, 1],
                                ["RPUSH", "l%d" % i, big, big], ["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "e", big]):
                    kind, value = raw.call(*command)
                    if kind == "-":
                        refused += 1
                        assert "OOM command not allowed when used memory > 'maxmemory'." in value, value
            assert refused > 12
            assert raw.call("STRLEN", "none") == (":", 0)
            raw.line("FLUSHALL")
            wait_until(lambda: raw.call("SET", "small", 1) == ("+", "OK"), "there is room again")
        finally:
            raw.call("CONFIG", "SET", "maxmemory", 0)
            raw.line("FLUSHALL")


# --- clients that go ------------------------------------------------------------------------------

def leave(server, data, read_bytes, reset):
    with server.socket() as sock:
        sock.settimeout(0.3)
        try:
            sock.sendall(data)
            while read_bytes > 0 and (got := sock.recv(min(read_bytes, 1 << 16))):
                read_bytes -= len(got)
        except OSError:
            pass
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BIG = [["GET", "large"], ["MGET", "large", "large2", "large"], ["LRANGE", "biglist", 0, -1], ["SMEMBERS", "bigset"],
       ["HGETALL", "bighash"], ["ZRANGE", "bigzset", 0, -1, "WITHSCORES"], ["XRANGE", "bigstream", "-", "+"], ["KEYS", "*"],
       ["SUNION", "bigset", "bigset2"], ["SORT", "bigset", "ALPHA"], ["DUMP", "biglist"],
       ["EVAL", "return redis.call('LRANGE', KEYS[1], 0, -1)", 1, "biglist"],
       ["EVAL", "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}", 2, "large", "large2"]]


def test_gone_in_the_middle_of_big_replies(server):
    names = ["member:%d" % i for i in range(4000)]

    def round_of_many(n):
        rnd = random.Random(n)
        with Raw(server.port) as raw:
            raw.call("MSET", "large", "v" * 3_000_000, "large2", "w" * 2_000_000)
            raw.call("RPUSH", "biglist", *[name * 20 for name in names])
            raw.call("SADD", "bigset", *names)
            raw.call("SADD", "bigset2", *names[2000:], "x")
            raw.call("HSET", "bighash", *[x for name in names for x in (name, name)])
            raw.call("ZADD", "bigzset", *[x for i, name in enumerate(names) for x in (i, name)])
            raw.pipeline(["XADD", "bigstream", "*", "f", name * 9] for name in names[:1000])
        for i in range(100):
            commands = [rnd.choice(BIG) for _ in range(rnd.randint(1, 4))]
            if i % 3 == 0:
                commands = [["MULTI"], *commands, ["EXEC"]]
            data = b"".join(encode(c) for c in commands)
            leave(server, data, rnd.choice([0, 0, 1, 5000, 200_000]), reset=rnd.random() < 0.5)

    assert_memory_levels_off(server, round_of_many)


SCENES = [
    [["MULTI"], ["SET", "a", 1], ["GET", "b"], ["EXEC"]], [["WATCH", "a", "b", "c"], ["MULTI"], ["INCR", "n"], ["EXEC"]],
    [["MULTI"], ["SET", "a", 1]], [["WATCH", "a", "b", "c", "d"]], [["BLPOP", "q1", "q2", "q3", 0]], [["BLMOVE", "q1", "q5", "LEFT", "LEFT", 0]],
    [["BZPOPMIN", "z1", "z2", 0]], [["XREAD", "BLOCK", 0, "STREAMS", "x1", "x2", "$", "$"]], [["BLPOP", "q1", "q2", 0.01], ["GET", "a"]],
    [["SUBSCRIBE", "ch1", "ch2"], ["PSUBSCRIBE", "c*"], ["SSUBSCRIBE", "ch3"]], [["HELLO", 3], ["CLIENT", "TRACKING", "ON"], ["MGET", "a", "b", "c"]],
    [["HELLO", 3], ["CLIENT", "TRACKING", "ON", "BCAST"], ["SET", "a", 2]], [["MONITOR"]], [["CLIENT", "NO-EVICT", "ON"], ["BLMPOP", 0, 2, "q1", "q4", "LEFT"]],
    [["EVAL", "return redis.call('INCR', KEYS[1])", 1, "n"]] * 3, [["EVAL", "return redis.call('INCR', 'n' .. ARGV[1])", 0, 2]] * 2,
    [["MSET", "a", 1, "b", 2, "c", 3, "d", 4], ["RENAME", "a", "e"], ["COPY", "b", "f"]], [["CLIENT", "REPLY", "OFF"], ["SET", "a", 3], ["BLPOP", "q9", 0]],
    [["SORT", "q1", "BY", "w*"], ["KEYS", "*"], ["DBSIZE"]], [["CLIENT", "LIST"], ["INFO"], ["CONFIG", "GET", "*"]],
    [["MULTI"], ["CONFIG", "GET", "maxclients"], ["INCR", "n"], ["EXEC"]],
]


def test_thousands_come_and_go(server):
    """In the middle of transactions, waiting, subscriptions, scripts: nothing of them is left."""
    def round_of_many(n):
        rnd = random.Random(n)
        with Raw(server.port) as raw:
            open_socks = []
            for i in range(700):
                data = b"".join(encode(c) for c in rnd.choice(SCENES))
                sock = server.socket()
                open_socks.append(sock)
                sock.sendall(data if rnd.random() < 0.7 else data[:rnd.randrange(len(data) + 1)])
                if rnd.random() < 0.2:
                    raw.pipeline(rnd.choice([[["RPUSH", "q1", "v"], ["DEL", "q1", "q5"]], [["ZADD", "z1", 1, "m"]], [["PUBLISH", "ch1", "x"]],
                                             [["XADD", "x1", "*", "f", "v"]], [["SET", "a", i], ["DEL", "b"]]]))
                while len(open_socks) > rnd.randrange(1, 60):
                    gone = open_socks.pop(rnd.randrange(len(open_socks)))
                    if rnd.random() < 0.4:
                        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    gone.close()
            for sock in open_socks:
                sock.close()
            wait_until(lambda: info(raw, "connected_clients") <= 2, "all have gone")
            for field in ("blocked_clients", "tracking_clients", "pubsub_clients", "watching_clients", "clients_in_timeout_table",
                          "monitors", "pubsub_channels", "pubsub_patterns"):
                if re.search("^%s:" % field, plain(raw.call("INFO", "everything")), re.M):
                    wait_until(lambda: info(raw, field) == 0, "no %s" % field)

    assert_memory_levels_off(server, round_of_many)
