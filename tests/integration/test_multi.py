"""MULTI, EXEC, WATCH: replies as Redis gives them; and whatever runs at once, a transaction is one.

MULTI_SEED is the first seed of the random sequences, MULTI_COMMANDS their length, GROUPS_SECONDS the
time of each storm. The races of test_litmus.py have transactions in them, too.
"""
import os
import random
import socket
import time

import pytest
from conftest import RACE_SHARDS
from patience import wait_until
from rawresp import Raw, plain
from storm import Storm
from test_groups import Sequence

SEED = int(os.environ.get("MULTI_SEED", "1"))
COMMANDS = int(os.environ.get("MULTI_COMMANDS", "3000"))
OK, QUEUED = ("+", "OK"), ("+", "QUEUED")

# --- as Redis, line by line ---------------------------------------------------------------------

# What connections 1 and 2 say, in turn; "! 20" waits so many milliseconds.
TALKS = {
    "errors": """1 exec|1 discard|1 multi|1 multi|1 exec|1 multi|1 nosuch a|1 set a 1|1 exec|1 get a
        1 multi|1 get|1 exec|1 exec foo|1 multi|1 exec foo|1 exec|1 multi|1 watch a|1 exec|1 multi foo
        1 multi|1 shutdown|1 exec|1 multi|1 client nosuch|1 exec|1 multi|1 discard|1 discard|1 watch
        1 multi|1 set l 1|1 lpush l x|1 rename no1 no2|1 get l|1 exec|1 multi|1 exec""",
    "home": """1 multi|1 ping|1 select 3|1 set a 1|1 echo hi|1 select 99|1 get a|1 select 0|1 get a|1 exec
        1 multi|1 hello 3 setname me|1 hgetall h|1 get no|1 exec|1 client getname|1 get no|1 reset|1 get no
        1 multi|1 reset|1 exec|1 multi|1 unwatch|1 command count2|1 exec""",
    "barrier": """1 multi|1 set a 1|1 config get maxclients|1 incr a|1 slowlog reset|1 get a|1 exec|1 get a
        1 watch a|1 multi|1 set a 1|1 config get maxclients|1 select 2|1 incr a|1 get a|1 exec|1 get a
        1 select 0|1 watch a|2 set a 9|1 multi|1 set a 1|1 config get maxclients|1 incr a|1 exec|1 get a""",
    "watch": """1 set x 1|1 watch x|2 set x 2|1 multi|1 ping|1 exec|1 get x|1 watch x|1 multi|1 get x|1 exec
        1 watch x y z a b c d|1 multi|1 mget x y z|1 rename x xx|1 exec|1 watch x y z a b c d|2 del nope|2 set d 1
        1 multi|1 select 3|1 rename xx x|1 ping|1 hello 3|1 exec|1 get xx|1 get no|1 watch x|1 unwatch|2 set x 3
        1 multi|1 get x|1 exec|1 watch x|2 set x 4|1 unwatch|1 multi|1 get x|1 exec|1 watch x|1 set x 5|1 multi
        1 ping|1 exec|1 watch x|1 multi|1 watch x|1 exec|1 watch x|1 multi|1 nosuch|1 exec|1 watch x|2 set x 6
        1 multi|1 nosuch|1 exec|1 watch x|1 multi|2 set x 7|1 set x 8|1 select 4|1 ping|1 exec|1 get x
        1 watch a|1 watch a b|1 watch a a b|2 set b 1|1 multi|1 exec|1 watch a|1 reset|2 set a 1|1 multi|1 exec
        1 watch a b|1 multi|1 discard|2 set a 3|1 multi|1 exec|1 watch a|1 select 1|1 watch a|2 select 1|2 set a 1
        1 multi|1 exec|1 watch a|2 select 0|2 set a 1|1 multi|1 get a|1 exec""",
    "changes": """1 set x 1|1 watch x|2 expire x 10|1 multi|1 exec|1 watch x|2 touch x|1 multi|1 exec|1 watch x
        2 persist x|1 multi|1 exec|1 watch l|2 sort none store l|1 multi|1 exec|1 set l 1|1 watch l
        2 sort none store l|1 multi|1 exec|1 watch a b c d e f g h|2 mset a 1 q 2 r 3|1 multi|1 mget a b c
        1 lpush a 1|1 exec|1 watch a b c d e f g h|2 rename a zz|1 multi|1 ping|1 exec|1 watch no|2 rename zz no
        1 multi|1 exec|1 watch to|2 copy no to|1 multi|1 exec|1 watch to|2 copy no to|1 multi|1 exec|1 sadd s a
        1 watch s t|2 sinterstore t s none|1 multi|1 exec|1 watch s t|2 sinterstore t s s|1 multi|1 exec
        1 watch s t|2 smove s t a|1 multi|1 exec|1 watch t s u v w|1 multi|1 sunionstore w t s|1 smembers w
        1 rename w u|1 smembers u|1 exec|1 watch k|2 eval2|2 set k v nx|1 multi|1 exec|1 watch k|2 getdel k|1 multi
        1 exec|1 watch k|2 del k|1 multi|1 exec""",
    "databases": """1 watch no1 no2|2 flushall|1 multi|1 ping|1 exec|1 set x 1|1 watch x|2 flushall|1 multi|1 ping
        1 exec|1 set x 1|1 watch x|2 flushdb|1 multi|1 ping|1 exec|1 set x 1|1 watch x|2 swapdb 0 1|1 multi|1 exec
        1 watch x|2 swapdb 1 0|1 multi|1 exec|1 watch x|2 swapdb 3 4|1 multi|1 exec|1 watch y|2 swapdb 0 1|1 multi
        1 exec|2 select 5|1 watch x|2 flushdb|1 multi|1 exec|1 watch x|2 move x 3|1 multi|1 exec|1 multi|1 dbsize
        1 flushall|1 dbsize|1 exec""",
    "expiry": """1 debug set-active-expire 0|1 set x 1 px 1|! 20|1 watch x|2 get x|1 multi|1 ping|1 exec
        1 set x 1 px 500|1 watch x|! 550|1 multi|1 ping|1 exec|1 set x 1 px 1|! 20|1 watch x|2 set x 2|1 multi|1 ping
        1 exec|1 set x 1 px 1|! 20|1 watch x|2 flushall|1 multi|1 ping|1 exec|1 set x 1 px 1|! 20|1 watch x
        2 swapdb 0 1|1 multi|1 ping|1 exec|2 swapdb 0 1|1 flushall|1 set x 1 px 1|1 select 1|! 20|1 watch x
        2 swapdb 0 1|1 multi|1 ping|1 exec|1 select 0|1 set x 1 px 1|1 set y 2 px 1|! 20|1 watch x y z
        1 multi|1 get x|1 set y 1|1 get y|1 exec|1 debug set-active-expire 1|1 set x 1 px 500|1 watch x|! 700
        1 multi|1 exec|1 watch x|2 get x|1 multi|1 exec""",
}


def without_hello(reply):
    """HELLO's reply names version and connection."""
    kind, value = reply
    if kind == "%" and value and value[0][0] == ("$", b"server"):
        return kind, "HELLO"
    return kind, [without_hello(r) for r in value] if kind == "*" and value else value


@pytest.mark.parametrize("talk", TALKS)
def test_talk_as_redis(server, oracle, talk):
    said = []
    ours, theirs = ({who: Raw(s.port) for who in "12"} for s in (server, oracle))
    for raws in (ours, theirs):
        raws["1"].line("flushall")
    for line in (part.strip() for line in TALKS[talk].split("\n") for part in line.split("|")):
        who, words = line.split(" ", 1)
        said.append(line)
        if who == "!":
            time.sleep(int(words) / 1000)
            continue
        a, b = ours[who].line(words), theirs[who].line(words)
        assert without_hello(a) == without_hello(b), said[-20:]
    for raw in [*ours.values(), *theirs.values()]:
        raw.close()


class Transactions(Sequence):
    """Random commands, most of them in transactions, on three connections."""

    def one(self):
        while True:
            command = self.command()
            if command[0] not in ("KEYS", "SCAN", "RANDOMKEY"):
                return command

    def chunk(self):
        out = []
        if self.random.random() < 0.4:
            out.append(["WATCH"] + self.keys(4))
        if self.random.random() < 0.2:
            out.append(self.one())
        shape = self.random.random()
        if shape < 0.7:
            out.append(["MULTI"])
        out += [self.one() for _ in range(self.random.randint(0, 6))]
        if self.random.random() < 0.1:
            out.append(self.pick([["PING"], ["NOSUCH"], ["GET"], ["CONFIG", "GET", "maxclients"], ["UNWATCH"],
                                  ["ECHO", "x"], ["WATCH", "k1"], ["DISCARD"], ["MULTI"], ["RESET"]]))
        if shape < 0.6:
            out.append(self.pick([["EXEC"]] * 8 + [["DISCARD"], ["EXEC", "x"]]))
        return out


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_sequence_as_redis(server, oracle, seed):
    sequence, history, done = Transactions(seed), [], 0
    ours, theirs = ([Raw(s.port) for _ in range(3)] for s in (server, oracle))
    for raws in (ours, theirs):
        raws[0].line("flushall")
    while done < COMMANDS:
        who, chunk = sequence.random.randrange(3), sequence.chunk()
        if not chunk:
            continue
        replies = zip(chunk, ours[who].pipeline(chunk), theirs[who].pipeline(chunk))
        for command, a, b in replies:
            history.append((who, command, a))
            assert a == b, "seed %d: %s\nours %s\nRedis %s\nbefore: %s" % (seed, command, a, b, history[-40:])
        done += len(chunk)
    for raw in ours + theirs:
        raw.close()


def test_client_list(server):
    with Raw(server.port) as raw, Raw(server.port) as other:
        def field(name):
            info = plain(other.call("CLIENT", "LIST", "ID", number))
            info = (info if isinstance(info, bytes) else info.encode()).decode()
            return dict(f.split("=", 1) for f in info.split())[name]

        number = plain(raw.line("client id"))
        other.line("set w 1")
        assert (field("multi"), field("watch"), field("flags")) == ("-1", "0", "N")
        raw.pipeline([["WATCH", "w", "v"], ["MULTI"], ["SET", "a", "1"], ["GET", "b"]])
        assert (field("multi"), field("watch"), field("flags")) == ("2", "2", "x")
        assert int(field("multi-mem")) > 0
        assert int(field("tot-mem")) > int(field("multi-mem"))
        other.line("set w 2")
        assert field("flags") == "xd"
        assert raw.line("exec") == ("*", None)
        assert (field("multi"), field("watch"), field("flags")) == ("-1", "0", "N")


def test_watchers_are_forgotten(server):
    """What a connection watched is nobody's business after UNWATCH, EXEC, or its end."""
    for _ in range(20):
        raws = [Raw(server.port) for _ in range(10)]
        for i, raw in enumerate(raws):
            raw.pipeline([["WATCH"] + ["w%d" % k for k in range(40)], ["WATCH", "x", "y"]])
            if i % 3 == 1:
                raw.pipeline([["UNWATCH"], ["WATCH", "w%d" % i]])
            elif i % 3 == 2:
                raw.pipeline([["MULTI"], ["SET", "w%d" % i, "1"], ["EXEC"]])
        for raw in raws:
            raw.close()
    with Raw(server.port) as raw:
        assert raw.pipeline([["SET", "w%d" % k, "2"] for k in range(40)]) == [OK] * 40
        assert raw.pipeline([["WATCH", "w1"], ["MULTI"], ["GET", "w1"], ["EXEC"]])[-1] == ("*", [("$", b"2")])


def test_large_transactions(server):
    """Thousands of commands, arguments that are larger than a buffer, and the rest of a pipeline."""
    big = b"v" * 300000
    with Raw(server.port) as raw:
        commands = [["MULTI"]] + [["SET", "big:%d" % (i % 7), big] for i in range(10)]
        commands += [["INCR", "n:%d" % (i % 97)] for i in range(9700)] + [["EXEC"], ["DEL"] + ["n:%d" % i for i in range(97)]]
        replies = raw.pipeline(commands)
        assert replies[0] == OK and set(replies[1:-2]) == {QUEUED}
        assert replies[-2] == ("*", [OK] * 10 + [(":", 1 + i // 97) for i in range(9700)])
        assert replies[-1] == (":", 97)
        assert raw.call("GET", "big:3") == ("$", big)


def test_memory_limit(launch):
    s = launch("--maxmemory", "1", shards=4)
    with Raw(s.port) as raw:
        assert raw.line("multi") == OK
        assert raw.line("get a") == ("-", "OOM command not allowed when used memory > 'maxmemory'.")
        assert raw.line("exec") == ("-", "EXECABORT Transaction discarded because of previous errors.")
        raw.line("config set maxmemory 0")
        raw.pipeline([["MULTI"], ["SET", "a", "1"]])
        with Raw(s.port) as other:
            other.line("config set maxmemory 1")
        assert raw.line("exec") == (
            "-", "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.")
        raw.line("config set maxmemory 0")
        raw.pipeline([["MULTI"], ["GET", "a"]])
        with Raw(s.port) as other:
            other.line("config set maxmemory 1")
        assert raw.line("exec") == ("*", [("$", None)])


# --- storms -------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[(n, b) for n in RACE_SHARDS for b in ("io_uring", "epoll")],
                ids=lambda p: "%d-shards-%s" % p)
def storm_server(request):
    from conftest import _check_end, start_server
    s = start_server("--io-backend", request.param[1], shards=request.param[0])
    yield s
    _check_end(s)


@pytest.fixture
def storm(storm_server):
    with Raw(storm_server.port) as raw:
        assert plain(raw.line("FLUSHALL")) == "OK"
    return Storm(storm_server.port)


def execute(raw, *commands):
    """The elements of EXEC's reply, None when a watched key had changed."""
    replies = raw.pipeline([["MULTI"], *commands, ["EXEC"]])
    assert replies[:-1] == [OK] + [QUEUED] * len(commands), replies
    assert replies[-1][0] == "*", replies[-1]
    return replies[-1][1]


ACCOUNTS, TOTAL = 12, 1200
# Every other account shares a tag with a neighbour: some transfers are for one shard alone.
NAMES = ["acc:{%d}:%d" % (i // 2 if i % 4 < 2 else i, i) for i in range(ACCOUNTS)]


def open_accounts(port):
    with Raw(port) as raw:
        raw.call("MSET", *[x for n in NAMES for x in (n, TOTAL // ACCOUNTS)])


def read_total(raw, rnd, _number):
    some = rnd.sample(NAMES, ACCOUNTS)
    if rnd.random() < 0.5:
        values = [int(v) for v in plain(raw.call("MGET", *some))]
    else:
        values = [int(r[1]) for r in execute(raw, *(["GET", n] for n in some))]
    assert sum(values) == TOTAL


def transfer(raw, rnd, _number):
    pair = rnd.sample(NAMES, 2) if rnd.random() < 0.5 else [NAMES[0], NAMES[1]]
    amount = rnd.randint(1, 9)
    commands = [["DECRBY", pair[0], amount], ["INCRBY", pair[1], amount]]
    if rnd.random() < 0.2:
        commands.insert(1, rnd.choice([["PING"], ["MGET"] + NAMES, ["DBSIZE"]]))
    execute(raw, *commands)


def test_bank(storm):
    open_accounts(storm.port)
    storm.add(transfer, 5)
    storm.add(read_total, 4)
    storm.blow()


def test_optimistic_bank(storm):
    """Balances are read, and written when nobody else has changed them: money is neither made nor lost."""
    open_accounts(storm.port)
    outcomes = {True: 0, False: 0}

    def move(raw, rnd, number):
        few = NAMES if number % 2 else NAMES[:4]
        pair = rnd.sample(few, 2)
        values = raw.pipeline([["WATCH", *pair], ["MGET", *pair]])[1]
        a, b = (int(v) for v in plain(values))
        amount = rnd.randint(1, 9)
        commands = [["SET", pair[0], a - amount], ["SET", pair[1], b + amount]]
        commands += rnd.choice([[], [["PING"]], [["MGET"] + NAMES], [["SELECT", "0"], ["GET", pair[0]]]])
        done = execute(raw, *commands)
        outcomes[done is not None] += 1
        if done is not None:
            assert done[:2] == [OK, OK]
            if commands[-1][0] == "GET":
                assert done[-1] == ("$", b"%d" % (a - amount))

    storm.add(move, 6)
    storm.add(read_total, 3)
    storm.blow(enough=lambda: min(outcomes.values()) > 0)
    assert outcomes[True] > 0 and outcomes[False] > 0, outcomes


def test_optimistic_counters(storm):
    """As many executed transactions as the counter says; it is read under WATCH with keys of other shards."""
    executed = {}

    def count(raw, rnd, number):
        also = ["also:%d" % i for i in range(rnd.randint(0, 5))]
        value = raw.pipeline([["WATCH", "counter"] + also, ["GET", "counter"]])[1][1]
        done = execute(raw, ["SET", "counter", int(value or 0) + 1],
                       *(["INCR", "side:%d" % rnd.randrange(20)] for _ in range(rnd.randint(0, 3))))
        if done is not None:
            executed[number] = executed.get(number, 0) + 1

    def disturb(raw, rnd, _number):
        how = rnd.random()
        if how < 0.3:
            raw.pipeline([["WATCH", "counter", "also:1"], ["UNWATCH"], ["WATCH", "also:2"], ["MULTI"], ["DISCARD"]])
        elif how < 0.6:
            raw.pipeline([["INCR", "also:%d" % rnd.randrange(5)]])
        else:
            raw.pipeline([["WATCH", "also:1"], ["RESET"], ["GET", "counter"]])

    storm.add(count, 6)
    storm.add(disturb, 2)
    storm.blow()
    with Raw(storm.port) as raw:
        assert int(raw.line("get counter")[1]) == sum(executed.values())


def test_writers_of_every_kind(storm):
    """Renamed, stored, copied and moved in transactions: whoever looks sees all of one, or nothing."""
    with Raw(storm.port) as raw:
        raw.pipeline([["MSET", "p1", "1", "p2", "2", "p3", "3"], ["SADD", "sa", "0"], ["SADD", "sb", "0"],
                      ["SADD", "sc", "0"], ["LPUSH", "la", "0"]])

    def rename(raw, rnd, number):
        there = [["RENAME", "p%d" % i, "q%d" % i] for i in (1, 2, 3)]
        back = [["RENAME", "q%d" % i, "p%d" % i] for i in (3, 2, 1)]
        if number % 2 == 0:
            assert execute(raw, *there, ["EXISTS", "p1", "p2", "p3"], *back) == [OK] * 3 + [(":", 0)] + [OK] * 3
        else:
            raw.pipeline([["WATCH", "p1", "q2", "sa"]])
            done = execute(raw, *there, *back)
            assert done is None or done == [OK] * 6

    def store(raw, rnd, number):
        n = str(rnd.randrange(10**6))
        done = execute(raw, ["DEL", "sa"], ["SADD", "sa", n], ["SUNIONSTORE", "sb", "sa"], ["COPY", "sb", "sc", "REPLACE"],
                       ["SMEMBERS", "sc"], ["LPUSH", "la", n], ["LMOVE", "la", "lb", "LEFT", "RIGHT"], ["LTRIM", "lb", "-1", "-1"])
        assert done[4] == ("*", [("$", n.encode())]), done

    def look(raw, rnd, _number):
        names = ["p1", "p2", "p3"]
        if rnd.random() < 0.5:
            assert raw.call("EXISTS", *names, "q1", "q2", "q3") == (":", 3)
            assert plain(raw.call("MGET", *names, "q1")) == ["1", "2", "3", None]
        else:
            found = execute(raw, ["SMEMBERS", "sa"], ["SINTERCARD", "3", "sa", "sb", "sc"], ["SMEMBERS", "sc"],
                            ["SMEMBERS", "sb"], ["LLEN", "la"], ["EXISTS", "q1", "q2", "p3"])
            assert found[0] == found[2] == found[3] and found[1] == (":", 1), found
            assert found[4:] == [(":", 1), (":", 1)], found

    storm.add(rename, 4)
    storm.add(store, 2)
    storm.add(look, 4)
    storm.blow()


def test_clients_that_vanish(storm):
    """Killed, or gone in the middle of whatever they do: their transactions happen or do not."""
    open_accounts(storm.port)
    executed = []

    def vanish(_raw, rnd, _number):
        raw = Raw(storm.port)
        pair = rnd.sample(NAMES, 2)
        script = [["WATCH", *rnd.sample(NAMES, 3)], ["GET", pair[0]], ["MULTI"], ["DECRBY", pair[0], 5],
                  rnd.choice([["PING"], ["RENAME", pair[0], pair[0]]]),
                  ["INCRBY", pair[1], 5], ["EXEC"]] * rnd.randint(1, 3)
        try:
            raw.send("CLIENT", "SETNAME", "victim")
            for command in script[:rnd.randint(1, len(script))]:
                raw.send(*command)
        except OSError:
            pass  # killed
        raw.close()

    def vanish_half(_raw, rnd, _number):
        raw = Raw(storm.port)
        try:
            raw.line("client setname victim")
            raw.pipeline([["MULTI"], ["INCR", "half:1"], ["CONFIG", "GET", "hz"], ["INCR", "half:2"], ["CLIENT", "LIST"],
                          ["INCR", "half:3"]])
            raw.send("EXEC")
            if rnd.random() < 0.3:
                executed.append(raw.read())
        except (EOFError, OSError, IndexError):
            pass  # killed
        raw.close()

    def kill(raw, rnd, _number):
        clients = [dict(f.split("=", 1) for f in line.split()) for line in plain(raw.line("client list")).split("\n") if line]
        raw.call("CLIENT", "KILL", "ID", rnd.choice([c["id"] for c in clients if c["name"] == "victim"] or ["0"]))

    def die(raw, rnd, number):
        victim = Raw(storm.port)
        try:
            victim.line("client setname victim")
            for _ in range(20):
                transfer(victim, rnd, number)
                victim.pipeline([["WATCH", *rnd.sample(NAMES, 3)], ["MULTI"], ["EXEC"]])
        except (EOFError, OSError, IndexError):
            pass
        victim.close()

    storm.add(read_total, 3)
    storm.add(transfer, 1)
    storm.add(kill, 1)
    storm.add(vanish, 3)
    storm.add(die, 2)
    storm.add(vanish_half, 2)
    storm.blow(enough=lambda: executed)
    with Raw(storm.port) as raw:
        def halves():
            return plain(raw.line("mget half:1 half:2 half:3"))
        wait_until(lambda: len(set(halves())) == 1, "a transaction that has begun ends, whoever waits for it")
        assert int(halves()[0]) > 0


def test_blocked_clients_see_whole_transactions(storm):
    """What a transaction pushes and takes away again is never given to a client blocked on the key."""
    def write(raw, rnd, number):
        k = rnd.randrange(4)
        source, target, other = "src:%d:%d" % (number, k), "dst:%d" % k, "other:%d:%d" % (number, k)
        done = execute(raw, ["RPUSH", source, "x"], ["LMOVE", source, target, "LEFT", "RIGHT"], ["RPUSH", target, "y"],
                       ["RENAME", target, other], ["DEL", source, other])
        assert done == [(":", 1), ("$", b"x"), (":", 2), OK, (":", 1)]

    def block(raw, rnd, number):
        assert raw.call("BLPOP", "dst:%d" % (number % 4), "0.2") == ("*", None)

    storm.add(block, 4)
    storm.add(write, 4)
    storm.blow()


def test_transactions_cut_anywhere(server):
    """Queued arguments stay in the input as long as it stays (multi.h I4): wherever it is cut, also
    among inline commands, the replies are the same."""
    def resp(*words):
        return f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
    parts = [resp("SET", "a", "1"), resp("MULTI"), resp("INCR", "a"), resp("SET", "b", "value"), resp("EXEC"),
             resp("MULTI"), b"GET b\r\n", resp("GET", "a"), resp("PING", "there"), resp("EXEC"), b"MULTI\r\n",
             resp("APPEND", "b", "d"), b"EXEC\r\n", resp("MULTI"), resp("MGET", "a", "b", "c"),
             resp("DBSIZE"), resp("CLIENT", "GETNAME"), resp("GET", "b"), resp("EXEC"), resp("GET", "b")]
    text = b"".join(parts)
    want = None
    for at in [None, *range(1, len(text))]:
        with server.client() as c:
            c.flushall()
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if at is None:
                s.sendall(text)
            else:
                s.sendall(text[:at])
                time.sleep(0.001)
                s.sendall(text[at:])
            s.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: s.recv(65536), b""))
        want = want or said
        assert said == want, (at, text[:at])
    assert want.endswith(b"$6\r\nvalued\r\n") and want.count(b"QUEUED") == 10, want
