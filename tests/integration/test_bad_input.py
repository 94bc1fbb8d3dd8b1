"""Clients that send nonsense, too much or half of it, that vanish or never read.

What Redis answers is compared byte for byte; others must be served meanwhile (every test runs
beside a bystander), and memory must come back.
"""
import contextlib
import random
import re
import socket
import struct
import threading
import time

import pytest
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, encode, plain

LEVEL_ROUNDS_MAX = 20
LEVEL_NOISE_BYTES = 12_000
CACHE_BYTES = 2_400_000  # what a shard keeps of a flood, for the next one


def read_to_end(sock):
    out = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(1 << 16):
            out += data
    return bytes(out)


def answers(s, *pieces):
    """Everything that the server says to these bytes, up to the end of the connection. It may close the
    connection in the middle of them: what it has said before that is still there to be read."""
    with s.socket() as sock:
        with contextlib.suppress(OSError):  # ENOTCONN is no ConnectionError
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


def info(raw, field):
    return int(re.search(r"^%s:(\d+)" % field, plain(raw.call("INFO", "everything")), re.M).group(1))


def shards_of(raw):
    return int(plain(raw.call("CONFIG", "GET", "shards"))[1])


@pytest.fixture(autouse=True)
def bystander(server):
    """A client of good manners; whatever a test does, it is answered, and rightly."""
    failures, end, count = [], threading.Event(), [0]

    def live():
        try:
            with Raw(server.port) as raw:
                while not end.is_set():
                    assert raw.call("SELECT", "9") == ("+", "OK")  # tests flush database 0
                    values = ["%d:%d" % (i, count[0]) for i in range(8)]
                    pairs = [x for i, v in enumerate(values) for x in ("by:%d" % i, v)]
                    assert raw.call("MSET", *pairs) == ("+", "OK")
                    assert plain(raw.call("MGET", *pairs[::2])) == values
                    count[0] += 1
                    end.wait(0.005)
        except BaseException as e:
            failures.append(e)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    wait_until(lambda: failures or count[0] > 0, "the bystander is there")
    yield
    so_far = count[0]
    if not failures:
        wait_until(lambda: failures or count[0] > so_far, "the bystander is answered")
    end.set()
    thread.join(PATIENCE_SECONDS)
    assert not failures and not thread.is_alive(), failures


# --- malformed requests ------------------------------------------------------------------------

PING = b"*1\r\n$4\r\nPING\r\n"
MALFORMED = [
    # counts of arguments
    b"*x\r\n", b"*\r\n", b"*-1\r\n" + PING, b"*0\r\n" + PING, b"*-5\r\n" + PING, b"*1048577\r\n",
    b"*1048576\r\n", b"*2147483647\r\n", b"*2147483648\r\n", b"*99999999999999999999\r\n", b"*1 \r\n" + PING,
    b"* 1\r\n$4\r\nPING\r\n", b"*+1\r\n$4\r\nPING\r\n", b"*01\r\n$4\r\nPING\r\n", b"*1.0\r\n$4\r\nPING\r\n",
    b"*1\n$4\r\nPING\r\n", b"**1\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n",
    # lengths of arguments
    b"*1\r\n$-1\r\n", b"*1\r\n$-9223372036854775808\r\n", b"*1\r\n$x\r\n", b"*1\r\n$\r\n", b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$4294967300\r\nPING\r\n", b"*1\r\n$9223372036854775807\r\n",
    b"*1\r\n$99999999999999999999\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$+4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$-1\r\n",
    b"*1\r\n:4\r\nPING\r\n", b"*1\r\nPING\r\n", b"*1\r\n+PING\r\n", b"*1\r\n\r\n", b"*1\r\n%4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n4\r\nxxxx\r\n", b"*1\r\n\xff4\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\n" + PING, b"*2\r\n$0\r\n\r\n$1\r\nx\r\n" + PING,
    b"*1\r\n$4\r\nPINGxx" + PING, b"*2\r\n$4\r\nECHO\r\n$1\r\nabc\r\n" + PING,
    # inline
    b"PING\r\n", b"PING\n", b"\r\n\r\n\n" + PING, b"   \r\nPING\r\n", b"  PING   hello  \r\n", b"'PING'\r\n",
    b"PING 'a\r\n", b'PING "a\r\n', b'PING "a"b\r\n', b"PING 'a'b\r\n", b'ECHO "\\x41\\n\\q\\"z"\r\n',
    b"ECHO 'it\\'s \\n'\r\n", b'ECHO "\\xg1"\r\n', b"ECHO ''\r\n", b'"" x\r\n', b"''\r\nPING\r\n",
    b"$4\r\nPING\r\n", b"+OK\r\n", b":1\r\n", b"-ERR\r\n", b"\x01\x02\r\nPING\r\n",
    b"\xff\xfe\r\nPING\r\n", b"PING\rPING\n", b"POST / HTTP/1.1\r\nPING\r\n", b"host: x\r\nPING\r\n", b"ECHO " + b"a " * 1000 + b"\r\n",
    # good ones before bad ones are answered
    PING * 3 + b"*1\r\n$x\r\n" + PING * 3, b"SET bad 1\r\nGET bad\r\n*1\r\n$-7\r\nGET bad\r\n",
    b"MSET bad:1 1 bad:2 2 bad:3 3 bad:4 4\r\nMGET bad:1 bad:2 bad:3 bad:4\r\n*x\r\n",
    # the end comes in the middle
    b"", b"P", b"*", b"*2\r\n$4\r\nECHO\r\n$5\r\nhel", b"*2\r\n$4\r\nECHO\r\n", b"*2\r\n$4\r\nECHO\r\n$5",
    PING + b"*1\r\n$4\r\nPI", PING[:-1], PING[:-2], b"*1\r\n$4", b"PING\r",
    # lines without an end
    b"x" * 65537, b"*" + b"1" * 65537, b"*1\r\n$" + b"1" * 65537,
    b"ECHO " + b"x" * 60000 + b"\r\n", b"*" + b"0" * 40 + b"1\r\n$4\r\nPING\r\n", b"*1\r\n$" + b"0" * 40 + b"4\r\nPING\r\n",
]


@pytest.mark.parametrize("data", MALFORMED, ids=lambda d: ascii(d[:24])[2:-1])
def test_malformed_as_redis(server, oracle, data):
    assert answers(server, data) == answers(oracle, data)


# Redis looks for the ends of lines with functions for C strings, so that a zero byte makes it wait
# for more; we need not, and only must go on.
ZEROS = [b"*1\r\n\x004\r\n", b"\x00\x01\x02\r\nPING\r\n", b"PING\x00x\r\n", b"*\x001\r\n" + PING, b"\x00" * 70000,
         b"*1\r\n$\x00\r\n" + PING, b"GET \x00\r\n", b"GET a\x00b\r\n"]


@pytest.mark.parametrize("data", ZEROS, ids=lambda d: ascii(d[:24])[2:-1])
def test_zero_bytes(server, data):
    reply = answers(server, data)
    assert reply == b"" or reply[:1] in b"+-$" and reply.endswith(b"\r\n")


def test_http_is_cut_off(server):
    """So that no web page can have commands run by a browser; what came before Host: is harmless."""
    reply = answers(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET http 1\r\n")
    assert reply == b"-ERR wrong number of arguments for 'get' command\r\n"
    assert answers(server, b"post /x HTTP/1.1\r\nSET http 1\r\n") == b""
    assert answers(server, b"EXISTS http\r\n") == b":0\r\n"


def mutated(rnd):
    commands = [encode(c) for c in (
        ["SET", "mut", "value"], ["GET", "mut"], ["ECHO", "x" * rnd.randrange(40)], ["MGET", "mut", "mut2"],
        ["MSET", "mut", "1", "mut2", "2"], ["DEL", "mut", "mut2"], ["PING"], ["STRLEN", "mut"])]
    data = bytearray(b"".join(rnd.choices(commands, k=rnd.randint(1, 6))))
    for _ in range(rnd.randint(1, 3)):
        at = rnd.randrange(len(data))
        how = rnd.randrange(4)
        if how == 0:
            data[at] = rnd.choice(b"*$:\r\n0123456789-x \"'\xff")
        elif how == 1:
            del data[at:at + rnd.randint(1, 4)]
        elif how == 2:
            data[at:at] = bytes(rnd.choices(b"*$:\r\n019- \"'", k=rnd.randint(1, 4)))
        else:
            data[at:at] = data[at:at + rnd.randint(1, 12)]
        if not data:
            data = bytearray(b"x")
    return bytes(data)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mutated_as_redis(server, oracle, seed):
    rnd = random.Random(seed)
    for n in range(250):
        data = mutated(rnd)
        for s in (server, oracle):
            answers(s, b"DEL mut mut2\r\n")
        a, b = answers(server, data), answers(oracle, data)
        assert a == b, "seed %d, number %d: %r\nours %r\nRedis %r" % (seed, n, data, a, b)


def test_unknown_commands_and_arities_as_redis(server, oracle):
    commands = [
        ["nosuch"], ["nosuch", "a", "b"], ["NoSuch", "x" * 300], ["n" * 300, "a"], ["nosuch"] + ["arg%d" % i for i in range(60)],
        ["no\r\nsuch", "a\r\nb"], [b"\x00\xff", b"\x00"], ["", ""], ["GET"], ["GET", "a", "b"], ["SET", "a"], ["MSET"],
        ["MSET", "a"], ["MSET", "a", "1", "b"], ["MSETNX", "a", "1", "b"], ["MGET"], ["DEL"], ["RENAME", "a"], ["COPY", "a"],
        ["DBSIZE", "x"], ["FLUSHALL", "x"], ["FLUSHALL", "sync", "x"], ["SWAPDB", "0"], ["SWAPDB", "0", "99"], ["SWAPDB", "x", "0"],
        ["SWAPDB", "0", "x"], ["MOVE", "a"], ["RANDOMKEY", "x"], ["KEYS"], ["LCS", "a"], ["EXPIRE", "a"], ["CONFIG"],
        ["CONFIG", "nosuch"], ["CONFIG", "GET"], ["CONFIG", "SET", "nosuch", "1"], ["CONFIG", "SET", "maxmemory"],
        ["CLIENT"], ["CLIENT", "nosuch"], ["OBJECT"], ["OBJECT", "nosuch", "a"], ["OBJECT", "ENCODING"], ["DEBUG"],
        ["COMMAND", "nosuch"], ["MEMORY", "nosuch"], ["SLOWLOG"], ["LATENCY", "nosuch"], ["GET|x"], ["config|get", "x"],
        ["ECHO"], ["SELECT"], ["PING", "a", "b"], ["INCR"], ["INCRBY", "a", "x"], ["SETRANGE", "a", "-1", "x"],
    ]
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for c in commands:
            assert ours.call(*c) == theirs.call(*c), c
        for c, a, b in zip(commands, ours.pipeline(commands), theirs.pipeline(commands)):
            assert a == b, c


# --- pieces ------------------------------------------------------------------------------------


def session(rnd, commands):
    """Bytes of a pipeline whose replies depend on their order."""
    out = [b"FLUSHDB\r\n"]
    for i in range(commands):
        k, j = "pc:%d" % rnd.randrange(12), "pc:%d" % rnd.randrange(12)
        out.append(rnd.choice([
            encode(["SET", k, "v%d" % i * rnd.choice([1, 1, 1, 3000])]), encode(["GET", k]), encode(["MGET", k, j]),
            encode(["MSET", k, i, j, -i]), b"GET %s\r\n" % k.encode(), encode(["APPEND", k, "."]), encode(["DBSIZE"]),
            encode(["RENAME", k, j]), encode(["nosuch", k]), encode(["EXISTS", k, j, k]), b"\r\n", b"*0\r\n",
            encode(["STRLEN", j])]))
    return b"".join(out)


def test_a_byte_at_a_time(server, oracle):
    data = session(random.Random(3), 40).replace(b"v" * 100, b"")[:3000]
    assert answers(server, *[data[i:i + 1] for i in range(len(data))]) == answers(oracle, data)


@pytest.mark.parametrize("seed", range(4))
def test_random_pieces(server, oracle, seed):
    rnd = random.Random(seed)
    data = session(rnd, 1500)
    cuts = sorted(rnd.randrange(len(data)) for _ in range(rnd.choice([10, 300])))
    pieces = [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]
    assert answers(server, *pieces) == answers(oracle, *pieces)


def test_half_close_gets_all_replies(server):
    """As `printf … | nc`: the sender is done, but waits for what it asked."""
    commands = [["MSET", "hc:%d" % i, i, "hd:%d" % i, i] for i in range(300)]
    commands += [["MGET", "hc:%d" % i, "hd:%d" % i] for i in range(300)]
    expected = b"+OK\r\n" * 300 + b"".join(b"*2\r\n" + (b"$%d\r\n%d\r\n" % (len(str(i)), i)) * 2 for i in range(300))
    assert answers(server, b"".join(encode(c) for c in commands)) == expected


# --- those who vanish --------------------------------------------------------------------------

HALVES = [
    b"*2\r\n$3\r\nGET\r\n$3\r\nke", b"*3\r\n$3\r\nSET\r\n$6\r\nvanish\r\n$400000\r\n" + b"v" * 200000,
    b"*100000\r\n$4\r\nMGET\r\n" + b"$1\r\na\r\n" * 300, b"PING " + b"x" * 30000, b"*1\r\n$400000000\r\nabc",
    b"*3\r\n$3\r\nSET\r\n$6\r\nvanish\r\n$5\r\nvalue\r\n" * 50 + b"*2\r\n$4\r\nMGE",
    encode(["MGET"] + ["by:%d" % (i % 8) for i in range(2000)]) * 5 + b"*", b"",
]


def vanish(s, data, reset):
    with s.socket() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def assert_memory_levels_off(server, round_of_many):
    """Buffers and caches may grow with their first uses, but a leak grows in every round: among the
    rounds there must be two in a row that leave next to nothing."""
    levels = []
    with Raw(server.port) as raw:
        clients = info(raw, "connected_clients")
        for n in range(LEVEL_ROUNDS_MAX):
            round_of_many(n)
            raw.line("FLUSHDB")
            wait_until(lambda: info(raw, "connected_clients") <= clients, "all of them are gone")
            levels.append(min(info(raw, "used_memory") for _ in range(5)))
            if len(levels) > 2 and max(levels[-2:]) <= levels[-3] + LEVEL_NOISE_BYTES:
                return
    raise AssertionError("used_memory grows and grows: %s" % levels)


def test_vanishing_leaves_nothing_behind(server):
    def round_of_many(_):
        for i in range(240):
            vanish(server, HALVES[i % len(HALVES)], reset=i % 3 == 0)

    assert_memory_levels_off(server, round_of_many)


def test_nonsense_leaves_nothing_behind(server):
    def round_of_many(seed):
        rnd = random.Random(seed)
        for data in MALFORMED:
            answers(server, data)
        for _ in range(300):
            answers(server, mutated(rnd))

    assert_memory_levels_off(server, round_of_many)


# --- those who send without end and never read -------------------------------------------------


@pytest.mark.parametrize("command,reply", [
    (["PING"], b"+PONG\r\n"), (["GET", "long"], b"$500\r\n" + b"l" * 500 + b"\r\n"),
    (["MGET", "by:none", "short"], b"*2\r\n$-1\r\n$1\r\ns\r\n"), (["nosuch"], None), (["INCR", "counter"], None),
], ids=lambda c: c[0] if isinstance(c, list) else "")
def test_100k_commands_before_the_first_read(server, command, reply):
    n = 100_000
    with Raw(server.port) as raw:
        raw.call("MSET", "long", "l" * 500, "short", "s")
        raw.call("DEL", "counter")
        with server.socket() as sock:
            sock.sendall(encode(command) * n)  # Redis takes all of it
            sock.shutdown(socket.SHUT_WR)
            got = read_to_end(sock)
    if reply:
        assert got == reply * n
    elif command[0] == "INCR":
        assert got == b"".join(b":%d\r\n" % i for i in range(1, n + 1))
    else:
        assert got == b"-ERR unknown command 'nosuch', with args beginning with: \r\n" * n


@contextlib.contextmanager
def config(server, name, value):
    with Raw(server.port) as raw:
        before = plain(raw.call("CONFIG", "GET", name))[1]
        assert raw.call("CONFIG", "SET", name, value) == ("+", "OK")
        try:
            yield
        finally:
            assert raw.call("CONFIG", "SET", name, before) == ("+", "OK")


def flood(sock, data, seconds=PATIENCE_SECONDS):
    """Sends over and over, reads nothing; true when the server has hung up."""
    end, at = time.monotonic() + seconds, 0
    sock.settimeout(0.2)
    while time.monotonic() < end:
        try:
            at = (at + sock.send(data[at:])) % len(data)
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("limit,request_bytes", [
    ("normal 4194304 0 0", encode(["GET", "mega"]) * 20),
    ("normal 4194304 0 0", encode(["MGET", "mega", "mega2", "mega3"])),
    ("normal 0 1048576 1", encode(["GET", "mega"]) * 20),
], ids=["hard", "hard-mget", "soft"])
def test_who_never_reads_is_disconnected(server, limit, request_bytes):
    with Raw(server.port) as raw, config(server, "client-output-buffer-limit", limit):
        for k in ("mega", "mega2", "mega3"):
            raw.call("SET", k, "m" * 500_000)
        before, caches = info(raw, "used_memory"), CACHE_BYTES * shards_of(raw)
        hung_up = info(raw, "client_output_buffer_limit_disconnections")
        with server.socket() as sock:
            assert flood(sock, request_bytes)
        assert info(raw, "client_output_buffer_limit_disconnections") == hung_up + 1
        wait_until(lambda: info(raw, "used_memory") < before + caches, "its output is freed")
        assert plain(raw.line("STRLEN mega")) == 500_000


DRAWS = -(1 << 40)  # hours of work, and terabytes


@pytest.mark.parametrize("commands", [
    [["HRANDFIELD", "h", DRAWS, "WITHVALUES"]],
    [["SRANDMEMBER", "s", DRAWS]],
    [["ZRANDMEMBER", "z", DRAWS]],
    [["PING"], ["MULTI"], ["HRANDFIELD", "h", DRAWS], ["EXEC"], ["PING"]],
], ids=["hash", "set", "zset", "multi"])
def test_a_reply_beyond_the_limit_ends_its_command(server, commands):
    """The hard limit holds while the command is running: nothing is made that will never be sent."""
    with Raw(server.port) as raw, config(server, "client-output-buffer-limit", "normal 1000000 0 0"):
        raw.pipeline([["DEL", "h", "s", "z"], ["HSET", "h", "f", "v"], ["SADD", "s", "m"], ["ZADD", "z", "1", "m"]])
        hung_up = info(raw, "client_output_buffer_limit_disconnections")
        with server.socket() as sock:
            sock.settimeout(PATIENCE_SECONDS)
            sock.sendall(b"".join(encode(c) for c in commands))
            assert read_to_the_end(sock) < 1 << 22
        assert info(raw, "client_output_buffer_limit_disconnections") == hung_up + 1
        assert plain(raw.call("HGET", "h", "f")) == "v"


def read_to_the_end(sock):
    got = 0
    try:
        while piece := sock.recv(65536):
            got += len(piece)
    except ConnectionError:
        pass
    return got


def test_many_who_never_read(server):
    """Eight at once; all are disconnected, memory stays bounded, and comes back."""
    with Raw(server.port) as raw, config(server, "client-output-buffer-limit", "normal 4194304 0 0"):
        raw.call("SET", "mega", "m" * 300_000)
        before, caches = info(raw, "used_memory"), CACHE_BYTES * shards_of(raw)
        results = []
        threads = []
        for _ in range(8):
            def run():
                with server.socket() as sock:
                    results.append(flood(sock, encode(["GET", "mega"]) * 5))
            threads.append(threading.Thread(target=run, daemon=True))
        for t in threads:
            t.start()
        most = 0
        while any(t.is_alive() for t in threads):
            most = max(most, info(raw, "used_memory"))
        assert results == [True] * 8
        assert most - before < 100 << 20
        wait_until(lambda: info(raw, "used_memory") < before + caches, "their output is freed")


def test_query_buffer_limit(server, oracle):
    endless = b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$200000000\r\n"
    for s in (server, oracle):
        with Raw(s.port) as raw, config(s, "client-query-buffer-limit", "1048576"):
            before = info(raw, "used_memory")
            caches = CACHE_BYTES * shards_of(raw) if s is server else 0
            with s.socket() as sock:
                sock.sendall(endless)
                assert flood(sock, b"x" * 100_000)
            if s is server:
                assert info(raw, "client_query_buffer_limit_disconnections") >= 1
                wait_until(lambda: info(raw, "used_memory") < before + 300_000, "its input is freed")
            # what is whole is still taken
            assert raw.call("SET", "fits", "x" * 500_000) == ("+", "OK")


# --- limits ------------------------------------------------------------------------------------


def test_proto_max_bulk_len(server, oracle):
    for s in (server, oracle):
        with config(s, "proto-max-bulk-len", "1048576"):
            assert answers(s, encode(["SET", "pm", "x" * 1048576])) == b"+OK\r\n"
            assert answers(s, b"*3\r\n$3\r\nSET\r\n$2\r\npm\r\n$1048577\r\n") == \
                b"-ERR Protocol error: invalid bulk length\r\n"
            with Raw(s.port) as raw:
                assert raw.call("APPEND", "pm", "y") == \
                    ("-", "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
                assert raw.call("SETRANGE", "pm", "1048576", "y") == \
                    ("-", "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
                assert raw.call("STRLEN", "pm") == (":", 1048576)
                raw.call("DEL", "pm")


def test_large_values_whole(server, oracle):
    value = random.Random(5).randbytes(30_000_000)
    for s in (server, oracle):
        with Raw(s.port) as raw:
            assert raw.call("SET", "large", value) == ("+", "OK")
            assert raw.call("GET", "large") == ("$", value)
            assert raw.call("MGET", "large", "by:none", "large") == ("*", [("$", value), ("$", None), ("$", value)])
            assert raw.call("DEL", "large") == (":", 1)


@pytest.mark.parametrize("shards", [1, 4])
def test_maxclients(launch, shards):
    s = launch("--maxclients", "6", shards=shards)
    refused = b"-ERR max number of clients reached\r\n"
    raws = []

    def accepted():
        raw = Raw(s.port)
        try:
            if raw.call("PING") == ("+", "PONG"):
                raws.append(raw)
                return True
        except (EOFError, OSError):
            pass
        raw.close()
        return False

    wait_until(accepted, "the first of all is accepted")
    wait_until(lambda: info(raws[0], "connected_clients") == 1, "alone")
    for _ in range(5):
        assert accepted()
    for n in range(10):
        with s.socket() as sock:
            assert read_to_end(sock) == refused
        assert info(raws[0], "rejected_connections") == n + 1
    assert [r.call("PING") for r in raws] == [("+", "PONG")] * 6
    raws.pop().close()
    wait_until(accepted, "a place is free again")
    with s.socket() as sock:
        assert read_to_end(sock) == refused
    assert raws[0].call("CONFIG", "SET", "maxclients", "8") == ("+", "OK")
    assert accepted() and accepted() and not accepted()
    for r in raws:
        r.close()


def test_without_password_as_redis(launch, oracle):
    from conftest import start_oracle
    theirs = start_oracle("--requirepass", "secret")
    try:
        for shards in (1, 4):
            ours = launch("--requirepass", "secret", shards=shards)
            for data in [
                b"PING\r\n", b"GET a\r\n", b"nosuch\r\n", b"GET\r\n", b"AUTH bad\r\nGET a\r\n", b"AUTH a b c\r\n",
                b"AUTH secret\r\nSET a 1\r\nGET a\r\nMGET a b c\r\n", b"AUTH default secret\r\nPING\r\n", b"QUIT\r\nPING\r\n",
                b"RESET\r\nPING\r\n", b"AUTH secret\r\nRESET\r\nGET a\r\n", b"HELLO 2 AUTH default bad\r\n",
                b"CONFIG GET maxmemory\r\n", b"SHUTDOWN\r\nPING\r\n", b"FLUSHALL\r\n", b"MSET a 1 b 2\r\n", b"COMMAND COUNT\r\n",
                b"*10\r\n" + b"$1\r\na\r\n" * 10, b"*11\r\n" + b"$1\r\na\r\n" * 11, b"*11\r\n", b"*1\r\n$16384\r\n" + b"x" * 16384 + b"\r\n",
                b"*1\r\n$16385\r\n", b"*1048577\r\n", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"*2\r\n$4\r\nAUTH\r\n$-1\r\n",
                b"AUTH secret\r\n*11\r\n$6\r\nEXISTS\r\n" + b"$1\r\na\r\n" * 10,
            ]:
                assert answers(ours, data) == answers(theirs, data), data
    finally:
        theirs.stop()
