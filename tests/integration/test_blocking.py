"""Commands that wait for data: replies as Redis gives them, exactly once, first come first served.

BLOCKING_SEED is the first seed of the random parts, BLOCKING_SECONDS how long each storm lasts.
"""
import collections
import os
import random
import socket
import time

import pytest
from actors import Error, Stage
from conftest import SHARDS
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, encode, plain

SEED = int(os.environ.get("BLOCKING_SEED", "1"))
SECONDS = float(os.environ.get("BLOCKING_SECONDS", "1.5"))
STEPS = int(os.environ.get("BLOCKING_STEPS", "400"))


def info(raw, field):
    text = plain(raw.call("INFO", "clients"))
    return int(text.split(field + ":")[1].split("\r\n")[0])


def blocked_ids(raw):
    ids = set()
    for line in plain(raw.call("CLIENT", "LIST")).splitlines():
        fields = dict(f.split("=", 1) for f in line.split(" "))
        if "b" in fields["flags"]:
            ids.add(int(fields["id"]))
    return ids


class Blocked:
    """A client that may be waiting for the reply to its last command."""

    def __init__(self, port, resp=2):
        self.raw = Raw(port, resp)
        self.id = plain(self.raw.call("CLIENT", "ID"))
        self.waits = False

    def send(self, *args):
        self.raw.send(*args)
        self.waits, self.replies = True, 1

    def send_all(self, commands):
        self.raw.sock.sendall(b"".join(encode(c) for c in commands))
        self.waits, self.replies = True, len(commands)

    def take(self):
        """The (last) reply."""
        self.waits = False
        return [self.raw.read() for _ in range(self.replies)][-1]

    def ready(self):
        self.raw.sock.settimeout(0.0)
        try:
            return len(self.raw.file.peek(1)) > 0
        except (BlockingIOError, TimeoutError):
            return False
        finally:
            self.raw.sock.settimeout(PATIENCE_SECONDS)


class Ward:
    """Clients of one server, and what they have been told since the last look."""

    def __init__(self, port, n, resp=2):
        self.control = Raw(port)
        self.clients = [Blocked(port, resp if i % 2 else 2) for i in range(n)]

    def settle(self):
        """All replies that come until everybody else waits for data."""
        replies, quiet, end = {}, 0, time.monotonic() + PATIENCE_SECONDS
        while quiet < 2:
            assert time.monotonic() < end
            blocked = blocked_ids(self.control)
            quiet += 1
            for i, c in enumerate(self.clients):
                if c.waits and c.ready():
                    replies[i] = c.take()
                    quiet = 0
                elif c.waits and c.id not in blocked:
                    quiet = 0
        return replies

    def close(self):
        self.control.close()
        for c in self.clients:
            c.raw.close()


# --- one command at a time, as Redis answers ----------------------------------------------------

ERRORS = [
    "BLPOP k", "BLPOP k x", "BLPOP k -1", "BLPOP k nan", "BLPOP k 1e300", "BLPOP s 0", "BRPOP k abc",
    "BLPOP k s 0", "BLMOVE k d left right x", "BLMOVE k d up right 0", "BLMOVE k d left 0",
    "BLMOVE s d left right 0", "BRPOPLPUSH k d -2", "BRPOPLPUSH k d 1.5.1", "BRPOPLPUSH s d 0",
    "BLMPOP 0 0 k LEFT", "BLMPOP 0 2 k LEFT", "BLMPOP 0 1 k UP", "BLMPOP x 1 k LEFT", "BLMPOP -1 1 k LEFT",
    "BLMPOP 0 1 k LEFT COUNT 0", "BLMPOP 0 1 k LEFT COUNT", "BLMPOP 0 1 k LEFT COUNT 1 COUNT 2",
    "BLMPOP 0 x k LEFT", "BZPOPMIN k x", "BZPOPMAX k -0.1", "BZPOPMIN s 0", "BZMPOP 0 1 k UP",
    "BZMPOP 0 0 k MIN", "BZMPOP 1.x 1 k MIN", "BZMPOP 0 1 s MIN", "BZMPOP 0 3 k MIN", "XREAD BLOCK x STREAMS k $",
    "XREAD BLOCK -1 STREAMS k $", "XREAD BLOCK 1.5 STREAMS k $", "XREAD BLOCK 0 STREAMS s $",
    "XREAD BLOCK 0 STREAMS k", "XREADGROUP GROUP g c BLOCK 0 STREAMS k >", "XREADGROUP BLOCK 0 STREAMS k >",
    "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "WAIT 1 x", "WAIT 1 -1", "WAIT 1 0.5", "WAIT x 1",
    "CLIENT UNBLOCK 1 x", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 999999",
]


def test_errors_are_those_of_redis(server, oracle):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for raw in ours, theirs:
            raw.call("FLUSHALL")
            raw.call("SET", "s", "x")
        for line in ERRORS:
            assert ours.line(line) == theirs.line(line), line


@pytest.mark.parametrize("resp", [2, 3])
def test_data_that_is_there(server, oracle, resp):
    lines = [
        "RPUSH l 1 2 3 4 5 6 7 8 9", "BLPOP no l 0", "BRPOP l no 0", "BLMPOP 0 2 no l LEFT COUNT 2",
        "BLMPOP 0 1 l RIGHT", "BLMOVE l d LEFT RIGHT 0", "BRPOPLPUSH l d 0", "LRANGE d 0 -1", "BLMOVE d d LEFT RIGHT 0",
        "ZADD z 1 a 2.5 b 3 c 4 d", "BZPOPMIN no z 0", "BZPOPMAX z no 0", "BZMPOP 0 2 no z MIN COUNT 5",
        "XADD x 1-1 a b", "XADD x 1-2 a b", "XREAD BLOCK 0 STREAMS no x 0 1-1", "XREAD BLOCK 0 COUNT 1 STREAMS x 0",
        "XGROUP CREATE x g 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >", "XREADGROUP GROUP g c BLOCK 0 STREAMS x 0",
        "SET s x", "RPUSH l 1", "BLMOVE l s LEFT LEFT 0", "BLPOP s l 0", "BLPOP l s 0",
        "BLPOP no no2 0.01", "BRPOPLPUSH no l 0.01", "BZPOPMIN no 0.01", "XREAD BLOCK 10 STREAMS x no $ $",
        "XREADGROUP GROUP g c BLOCK 5 STREAMS x >", "BLMPOP 0.001 1 no LEFT",
        "WAIT 0 0", "WAIT -1 0", "WAIT 1 5",
    ]
    with Raw(server.port, resp) as ours, Raw(oracle.port, resp) as theirs:
        for raw in ours, theirs:
            raw.call("FLUSHALL")
        for line in lines:
            assert ours.line(line) == theirs.line(line), line


def test_wait_without_replicas(server):
    """It keeps its place: what its connection sends before is done, what comes behind waits. In MULTI
    nothing waits."""
    with Raw(server.port) as raw, Raw(server.port) as other:
        waiting = Blocked(server.port)
        waiting.send_all([["SET", "k", "before"], ["WAIT", "1", "0"], ["SET", "k", "behind"]])
        end = time.time() + 10
        while waiting.id not in blocked_ids(other) and time.time() < end:
            time.sleep(0.01)
        assert info(other, "blocked_clients") == 1
        assert plain(other.call("GET", "k")) == "before"
        raw.call("MULTI")
        raw.call("WAIT", "1", "0")
        assert plain(raw.call("EXEC")) == [0]
        waiting.raw.close()
        while info(other, "blocked_clients") and time.time() < end:
            time.sleep(0.01)
        assert info(other, "blocked_clients") == 0
        assert plain(other.call("GET", "k")) == "before"


class Play:
    """A random sequence of commands by a few clients. Tagged keys lie on one shard. Where there are
    several, an element moves to keys that nobody waits for: who is served first of those who wait for
    what moves is not defined then (BLMOVE over shards is served a moment later). "stored" keys are never
    of another type: a list that takes the place of a string by SORT STORE wakes nobody in Redis."""

    def __init__(self, seed, shards):
        self.random = random.Random(seed)
        self.lists = ["{a}l1", "{a}l2", "l3", "l4", "stored-l"]
        self.zsets = ["{a}z1", "z2", "stored-z"]
        self.streams = ["{a}x1", "x2"]
        self.sinks = ["sink1", "sink2"] if shards > 1 else self.lists[:4]
        self.id = 0

    def pick(self, choices):
        return self.random.choice(choices)

    def some(self, choices):
        return [self.pick(choices) for _ in range(self.random.randint(1, 3))]

    def value(self):
        self.id += 1
        return "v%d" % self.id

    def blocking(self):
        ls, zs, xs = self.some(self.lists), self.some(self.zsets), self.some(self.streams)
        end = lambda: self.pick(["LEFT", "RIGHT"])
        xs = list(dict.fromkeys(xs))
        return self.pick([
            ["BLPOP"] + ls + ["0"], ["BRPOP"] + ls + ["0"],
            ["BLMPOP", "0", str(len(ls))] + ls + [end(), "COUNT", self.pick("123")],
            ["BLMOVE", "{a}l1", "{a}l2", end(), end(), "0"], ["BLMOVE", "{a}l1", "{a}l1", end(), end(), "0"],
            ["BLMOVE", self.pick(self.lists), self.pick(self.sinks), end(), end(), "0"],
            ["BRPOPLPUSH", self.pick(self.lists), self.pick(self.sinks), "0"],
            ["BZPOPMIN"] + zs + ["0"], ["BZPOPMAX"] + zs + ["0"],
            ["BZMPOP", "0", str(len(zs))] + zs + [self.pick(["MIN", "MAX"]), "COUNT", self.pick("123")],
            ["XREAD", "BLOCK", "0", "STREAMS"] + xs + ["$"] * len(xs),
            ["XREAD", "COUNT", "2", "BLOCK", "0", "STREAMS"] + xs + ["0-1"] * len(xs),
            ["XREADGROUP", "GROUP", "g", self.pick("cd"), "BLOCK", "0", "STREAMS"] + xs + [">"] * len(xs),
            ["WAIT", "1", "0"],
        ])

    def other(self):
        lists, zsets, streams = self.lists, self.zsets, self.streams
        every = [k for k in lists + zsets + streams + self.sinks if not k.startswith("stored")]
        others = lists[:4] + zsets[:2] + streams
        push = lambda: [self.pick(["LPUSH", "RPUSH"]), self.pick(lists)] + [self.value() for _ in range(self.pick([1, 1, 2, 3]))]
        return self.pick([
            push, push, push, push,
            lambda: ["ZADD", self.pick(zsets)] + [w for _ in range(self.pick([1, 2])) for w in (str(self.random.randint(0, 9)), self.value())],
            lambda: ["ZADD", self.pick(zsets), "1", self.value()],
            lambda: ["XADD", self.pick(streams), "%d-1" % (len(every) + self.next_ms()), "f", self.value()],
            lambda: ["XADD", self.pick(streams), "%d-1" % (len(every) + self.next_ms()), "f", self.value()],
            lambda: ["XGROUP", "CREATE", self.pick(streams), "g", "$", "MKSTREAM"],
            lambda: ["XGROUP", "CREATE", self.pick(streams), "g", "0", "MKSTREAM"],
            lambda: ["XGROUP", "DESTROY", self.pick(streams), "g"],
            lambda: ["DEL", self.pick(every)],
            lambda: ["SET", self.pick(every), "string"],
            lambda: ["RENAME", self.pick(every), self.pick(others)],
            lambda: ["COPY", self.pick(every), self.pick(others), "REPLACE"],
            lambda: ["SORT", self.pick(lists), "ALPHA", "STORE", "stored-l"],
            lambda: ["ZUNIONSTORE", "stored-z", "2"] + [self.pick(zsets) for _ in "ab"],
            lambda: ["LPOP", self.pick(lists)], lambda: ["ZPOPMIN", self.pick(zsets)],
            lambda: ["FLUSHALL"],
            lambda: ["MOVE", self.pick(every), "1"],
        ])()

    def next_ms(self):
        self.id += 1
        return self.id


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_the_same_clients_are_served(server, oracle, seed):
    """After every command the same clients have got the same replies."""
    shards = int(server.command[server.command.index("--shards") + 1])
    play = Play(seed, shards)
    wards = [Ward(s.port, 6, 2 + seed % 2) for s in (server, oracle)]
    for w in wards:
        w.control.call("FLUSHALL")
    done, last = [], {}
    try:
        for _ in range(STEPS):
            idle = [i for i, c in enumerate(wards[0].clients) if not c.waits]
            if not idle or play.random.random() < 0.05:
                i = play.random.randrange(6)
                how = play.pick(["ERROR", "TIMEOUT"])
                done.append(("unblock", i, how))
                replies = [w.control.call("CLIENT", "UNBLOCK", w.clients[i].id, how) for w in wards]
                assert replies[0] == replies[1], done[-30:]
            else:
                i = play.pick(idle)
                command = play.blocking() if len(idle) > 1 and play.random.random() < 0.4 else play.other()
                if play.random.random() < 0.15:
                    command = ["MULTI"]
                    inside = [play.blocking() if play.random.random() < 0.2 else play.other()
                              for _ in range(play.random.randint(1, 5))]
                done.append((i, command if command != ["MULTI"] else inside))
                last[i] = command
                for w in wards:
                    if command == ["MULTI"]:
                        w.clients[i].send_all([command] + inside + [["EXEC"]])
                    else:
                        w.clients[i].send(*command)
            ours, theirs = [w.settle() for w in wards]
            waiting = {i: d for i, d in last.items() if wards[0].clients[i].waits or i in ours}
            assert ours == theirs, (done[-12:], waiting)
        for key in play.lists + play.zsets + play.streams + play.sinks:
            kind = plain(wards[1].control.call("TYPE", key))
            show = {"list": ["LRANGE", key, "0", "-1"], "zset": ["ZRANGE", key, "0", "-1", "WITHSCORES"],
                    "stream": ["XRANGE", key, "-", "+"], "string": ["GET", key]}.get(kind, ["EXISTS", key])
            ours, theirs = [w.control.call(*show) for w in wards]
            assert ours == theirs, (key, done[-30:])
    finally:
        for w in wards:
            w.close()


# --- single situations ----------------------------------------------------------------------------

def wait_blocked(raw, n):
    wait_until(lambda: info(raw, "blocked_clients") == n, lambda: (n, info(raw, "blocked_clients")), every=0.001)


def test_replies_before_a_blocking_command_do_not_wait(server):
    with Raw(server.port) as a, Raw(server.port) as b:
        b.call("FLUSHALL")
        for command in ("BLPOP k 0", "BLPOP k k2 k3 k4 0"):
            a.sock.sendall(("PING\r\nSET x 1\r\nGET y\r\n%s\r\nPING\r\nGET x\r\n" % command).encode())
            assert [a.read() for _ in range(3)] == [("+", "PONG"), ("+", "OK"), ("$", None)]
            wait_blocked(b, 1)
            b.call("RPUSH", "k", "v")
            assert plain(a.read()) == ["k", "v"]
            assert [a.read() for _ in range(2)] == [("+", "PONG"), ("$", b"1")]


def test_a_transaction_is_seen_as_a_whole(server):
    """What it takes back was never there; keys are served in the order in which they became ready."""
    with Raw(server.port) as control:
        control.call("FLUSHALL")
        a, b = Blocked(server.port), Blocked(server.port)
        for i in range(20):
            keys = ["k%d" % j for j in range(i, i + 5)]
            a.send("BLPOP", *keys, "0")
            wait_blocked(control, 1)
            b.send("BLPOP", keys[0], "0")
            wait_blocked(control, 2)
            first, other = keys[4], keys[0]
            replies = control.pipeline([
                ["MULTI"], ["RPUSH", keys[1], "gone"], ["DEL", keys[1]], ["RPUSH", keys[2], "gone"],
                ["SET", keys[2], "string"], ["RPUSH", first, "x", "y"], ["RENAME", first, "spare"],
                ["RENAME", "spare", first], ["BLPOP", "nothing", "0"], ["EXEC"]])
            assert plain(replies[-1])[-1] is None
            assert plain(a.take()) == [first, "x"]
            control.call("RPUSH", other, "z")
            assert plain(b.take()) == [other, "z"]
            control.call("DEL", first, keys[2])


def test_first_come_first_served(server):
    n = 50
    with Raw(server.port) as control:
        control.call("FLUSHALL")
        clients = [Blocked(server.port) for _ in range(n)]
        for i, c in enumerate(clients):
            c.send(*(["BLPOP", "q", "0"] if i % 2 else ["BRPOP", "other%d" % i, "q", "another", "0"]))
            wait_blocked(control, i + 1)
        for i, c in enumerate(clients):
            control.call("RPUSH", "q", i)
            assert plain(c.take()) == ["q", str(i)]
            c.raw.close()
        assert info(control, "blocked_clients") == 0


def test_a_client_that_goes_leaves_the_queue(server):
    with Raw(server.port) as control:
        control.call("FLUSHALL")
        for keys in (["q"], ["q", "q2", "q3", "q4"]):
            a, b, c = Blocked(server.port), Blocked(server.port), Blocked(server.port)
            for i, x in enumerate((a, b, c)):
                x.send("BLPOP", *keys, "0")
                wait_blocked(control, i + 1)
            assert info(control, "clients_in_timeout_table") == 0
            a.raw.close()
            wait_blocked(control, 2)
            assert plain(control.call("CLIENT", "KILL", "ID", b.id)) == 1
            wait_blocked(control, 1)
            control.call("RPUSH", "q", "1")
            assert plain(c.take()) == ["q", "1"]
            assert plain(control.call("LLEN", "q")) == 0
            b.raw.close()
            c.raw.close()


WAITERS = ["BLPOP q 0", "BLPOP q q1 q2 q3 0", "BLMOVE q other LEFT LEFT 0", "BZPOPMIN z z1 0", "XREAD BLOCK 0 STREAMS x $",
           "BLMPOP 0 2 q q4 LEFT", "XREAD BLOCK 0 STREAMS x x1 $ $"]


@pytest.mark.parametrize("command", WAITERS)
def test_who_has_gone_already_does_not_wait(server, oracle, command):
    """The end of the input comes with the command: nobody is left who could wait, or lose what comes."""
    for s in (server, oracle):
        with Raw(s.port) as control:
            control.call("FLUSHALL")
            for i in range(30):
                with Raw(s.port) as raw:
                    raw.sock.sendall(b"PING\r\n" * (i % 3) + command.encode() + b"\r\nSET behind 1\r\n" * (i % 2))
                    if i % 5 == 0:
                        raw.sock.shutdown(socket.SHUT_WR)
                        assert [raw.read() for _ in range(i % 3)] == [("+", "PONG")] * (i % 3)
                        assert raw.at_end()
            wait_blocked(control, 0)
            wait_until(lambda: info(control, "connected_clients") == 1, "all have gone")
            control.pipeline([["RPUSH", "q", "1"], ["ZADD", "z", "1", "m"]])
            assert plain(control.call("EXISTS", "q", "z", "behind", "other")) == 2
            # what is there is taken all the same
            with Raw(s.port) as raw:
                raw.sock.sendall(b"BLPOP q 0\r\nSET behind 1\r\n")
                raw.sock.shutdown(socket.SHUT_WR)
                assert [plain(raw.read()) for _ in range(2)] == [["q", "1"], "OK"] and raw.at_end()


def test_a_move_to_another_shard_keeps_its_place(server):
    with Raw(server.port) as control:
        control.call("FLUSHALL")
        for d in range(20):
            mover, popper = Blocked(server.port), Blocked(server.port)
            mover.send("BLMOVE", "src", "dst%d" % d, "LEFT", "LEFT", "0")
            wait_blocked(control, 1)
            popper.send("BLPOP", "src", "0")
            wait_blocked(control, 2)
            control.call("RPUSH", "src", "first")
            assert plain(mover.take()) == "first"
            control.call("RPUSH", "src", "second")
            assert plain(popper.take()) == ["src", "second"]
            assert plain(control.call("LRANGE", "dst%d" % d, "0", "-1")) == ["first"]
            mover.raw.close()
            popper.raw.close()


def test_the_end_of_the_server_ends_waiting(launch):
    for shards in SHARDS:
        s = launch(shards=shards)
        clients = [Blocked(s.port) for _ in range(20)]
        for i, c in enumerate(clients):
            c.send(*[["BLPOP", "a", "b", "c", "0"], ["BLMOVE", "a", "b", "LEFT", "LEFT", "1000"],
                     ["XREAD", "BLOCK", "0", "STREAMS", "a", "b", "$", "$"]][i % 3])
        with Raw(s.port) as control:
            wait_blocked(control, 20)
            control.send("SHUTDOWN", "NOSAVE")
            assert control.at_end()
        s.process.wait(PATIENCE_SECONDS)
        for c in clients:
            c.raw.close()


# --- storms -----------------------------------------------------------------------------------------

class Storm:
    """Producers push numbered items, consumers wait for them."""

    def __init__(self, port, seed):
        self.random = random.Random(seed)
        self.stage = Stage(port, self.random)
        self.end = time.monotonic() + SECONDS
        self.pushed = collections.defaultdict(int)  # by key
        self.producers = []
        self.got = []      # (key, item) in the order of arrival here

    def time_is_up(self):
        return time.monotonic() > self.end

    def produce(self, generator):
        self.producers.append(self.stage.add(generator))

    def no_more(self):
        """Whatever will be produced is there."""
        return self.time_is_up() and all(p.over for p in self.producers)

    def item(self, key):
        self.pushed[key] += 1
        return "%s:%d" % (key, self.pushed[key])

    def producer(self, name, keys):
        while not self.time_is_up():
            if sum(self.pushed.values()) > len(self.got) + BACKLOG:
                yield None
                continue
            key = self.random.choice(keys)
            items = [self.item(key) for _ in range(self.random.choice([1, 1, 1, 2, 5]))]
            reply = yield ["RPUSH", key] + items
            assert not isinstance(reply, Error), reply
            if self.random.random() < 0.2:
                yield None

    def consumer(self, keys, timeouts=("0.001", "0.01", "1")):
        while True:
            mine = self.random.sample(keys, self.random.randint(1, len(keys)))
            timeout = "0.001" if self.no_more() else self.random.choice(timeouts)
            how = self.random.random()
            if how < 0.6:
                reply = yield ["BLPOP"] + mine + [timeout]
                items = reply and [reply]
            elif how < 0.8:
                reply = yield ["BLMPOP", timeout, str(len(mine))] + mine + ["LEFT", "COUNT", "3"]
                items = reply and not isinstance(reply, Error) and [(reply[0], v) for v in reply[1]]
            else:
                reply = yield ["LPOP", mine[0]]
                items = reply and [(mine[0], reply)]
            if isinstance(reply, Error):
                assert reply.startswith("UNBLOCKED"), reply
                continue
            if items:
                self.got += [tuple(i) for i in items]
            elif self.no_more():
                reply = yield ["BLPOP"] + keys + ["0.001"]
                if reply is None:
                    return
                self.got.append(tuple(reply))

    def check(self, in_order, lost_max=0):
        sent = {"%s:%d" % (k, i) for k, n in self.pushed.items() for i in range(1, n + 1)}
        got = [item for _, item in self.got]
        assert len(got) == len(set(got)), "twice: %r" % [i for i, n in collections.Counter(got).items() if n > 1][:9]
        assert set(got) <= sent
        assert len(sent) - len(got) <= lost_max, (len(sent), len(got), sorted(sent - set(got))[:9])
        for key, item in self.got:
            assert item.split(":")[0] == key
        if in_order:
            for key in self.pushed:
                numbers = [int(i.split(":")[1]) for k, i in self.got if k == key]
                assert numbers == sorted(numbers)


BACKENDS = ["io_uring", "epoll"]
BACKLOG = 1000  # items that producers let wait


@pytest.fixture(params=[(n, b) for n in SHARDS for b in BACKENDS], ids=lambda p: "%d-%s" % p)
def storm(request, launch):
    shards, backend = request.param
    server = launch("--io-backend", backend, shards=shards)
    s = Storm(server.port, SEED)
    s.server = server
    yield s
    s.stage.close()
    with Raw(server.port) as raw:
        wait_blocked(raw, 0)
        assert info(raw, "clients_in_timeout_table") == 0


KEYS = ["q%d" % i for i in range(6)]


def test_one_consumer_sees_each_producer_in_order(storm):
    for i, key in enumerate(KEYS):
        storm.produce(storm.producer(i, [key]))
    storm.stage.add(storm.consumer(KEYS))
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=True)


def test_each_item_goes_to_one_consumer(storm):
    for i in range(8):
        storm.produce(storm.producer(i, KEYS))
    for i in range(24):
        storm.stage.add(storm.consumer(KEYS))
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=False)


def test_unblocked_and_timed_out(storm):
    """CLIENT UNBLOCK and timeouts race with pushes: nothing is lost, nothing comes twice."""
    ids = []

    def consumer():
        ids.append((yield ["CLIENT", "ID"]))
        yield from storm.consumer(KEYS, ("0.001", "0.002", "0.5"))

    def unblocker():
        while not storm.time_is_up():
            yield ["CLIENT", "UNBLOCK", str(storm.random.choice(ids)), storm.random.choice(["ERROR", "TIMEOUT"])]

    consumers = [storm.stage.add(consumer()) for _ in range(16)]
    storm.stage.run(lambda: len(ids) == len(consumers))
    for i in range(4):
        storm.produce(storm.producer(i, KEYS))
        storm.stage.add(unblocker())
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=False)


def test_killed_clients_lose_only_what_was_theirs(storm):
    killed = 0
    for i in range(4):
        storm.produce(storm.producer(i, KEYS))
    steady = [storm.stage.add(storm.consumer(KEYS)) for _ in range(4)]
    victims = []

    def victim():
        yield from storm.consumer(KEYS, ("1",))

    while not storm.time_is_up() or killed <= 10:
        victims = [v for v in victims if not v.over]
        while len(victims) < 12:
            victims.append(storm.stage.add(victim()))
        deadline = time.monotonic() + 0.004
        storm.stage.run(lambda: time.monotonic() > deadline)
        for v in storm.random.sample(victims, 3):
            killed += not v.over
            v.kill()
    storm.stage.run(lambda: not storm.stage.alive)
    # a command that was answered when its client had gone took 3 items at most
    storm.check(in_order=False, lost_max=3 * killed)
    assert killed > 10 and steady


def test_chains_of_moves(storm):
    """Items wander from key to key by BLMOVE, over shards, and arrive each once and in order."""
    hops = ["h%d" % i for i in range(5)]

    def mover(i):
        while True:
            reply = yield ["BLMOVE", hops[i], hops[i + 1], "LEFT", "RIGHT", storm.random.choice(["0.001", "0.3"])]
            before = storm.producers if i == 0 else [movers[i - 1]]
            if reply is None and all(a.over for a in before):
                if (yield ["BLMOVE", hops[i], hops[i + 1], "LEFT", "RIGHT", "0.001"]) is None:
                    return

    def source():
        while not storm.time_is_up():
            yield ["RPUSH", hops[0]] + [storm.item("h") for _ in range(storm.random.choice([1, 1, 3]))]

    def sink():
        while True:
            reply = yield ["BLPOP", hops[-1], "0.3"]
            if reply is not None:
                storm.got.append(("h", reply[1]))
            elif movers[-1].over:
                reply = yield ["BLPOP", hops[-1], "0.001"]
                if reply is None:
                    return
                storm.got.append(("h", reply[1]))

    storm.produce(source())
    movers = []
    for i in range(len(hops) - 1):
        movers.append(storm.stage.add(mover(i)))
    storm.stage.add(sink())
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=True)


def test_moves_compete_with_pops(storm):
    """Over shards, a BLMOVE that was told of an element may find it gone: then it waits again."""
    def mover(i):
        while not storm.time_is_up():
            reply = yield ["BRPOPLPUSH", storm.random.choice(KEYS), "sink%d" % i, storm.random.choice(["0.001", "0.05"])]
            if reply is not None:
                storm.moved[i].append(reply)

    storm.moved = [[] for _ in range(6)]
    for i in range(6):
        storm.stage.add(mover(i))
        storm.produce(storm.producer(i, KEYS))
        storm.stage.add(storm.consumer(KEYS))
    storm.stage.run(lambda: not storm.stage.alive)
    with Raw(storm.server.port) as raw:
        for i, moved in enumerate(storm.moved):
            assert plain(raw.call("LRANGE", "sink%d" % i, "0", "-1")) == moved[::-1]
    storm.got += [(m.split(":")[0], m) for moved in storm.moved for m in moved]
    storm.check(in_order=False)


def test_lists_that_come_into_place(storm):
    """RENAME, SORT STORE, COPY and LMOVE make lists for those who wait."""
    def maker(i):
        while not storm.time_is_up():
            key, own = storm.random.choice(KEYS), "own%d" % i
            yield ["RPUSH", own] + [storm.item(key) for _ in range(3)]
            how = storm.random.randrange(3)
            if how == 0:
                while (yield ["RENAMENX", own, key]) == 0:
                    yield None
            elif how == 1:
                while (yield ["COPY", own, key]) == 0:
                    yield None
                yield ["DEL", own]
            else:
                for _ in range(3):
                    yield ["LMOVE", own, key, "LEFT", "RIGHT"]

    for i in range(6):
        storm.produce(maker(i))
    for i in range(12):
        storm.stage.add(storm.consumer(KEYS, ("0.001", "0.3")))
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=False)


def test_sorted_sets_exactly_once(storm):
    def producer(i):
        while not storm.time_is_up():
            key = storm.random.choice(KEYS)
            yield ["ZADD", key, str(storm.random.random()), storm.item(key)]

    def consumer():
        while True:
            keys = storm.random.sample(KEYS, 4)
            reply = yield [storm.random.choice(["BZPOPMIN", "BZPOPMAX"])] + keys + [storm.random.choice(["0.001", "0.3"])]
            if reply is not None:
                storm.got.append((reply[0], reply[1]))
            elif storm.no_more():
                return

    for i in range(6):
        storm.produce(producer(i))
    for i in range(12):
        storm.stage.add(consumer())
    storm.stage.run(lambda: not storm.stage.alive)

    def sweep():
        for key in KEYS:
            while True:
                reply = yield ["ZPOPMIN", key]
                if not reply:
                    break
                storm.got.append((key, reply[0]))
    storm.stage.add(sweep())
    storm.stage.run(lambda: not storm.stage.alive)
    storm.check(in_order=False)


def test_groups_give_each_entry_once(storm):
    streams = KEYS[:4]
    with Raw(storm.server.port) as raw:
        for s in streams:
            raw.call("XGROUP", "CREATE", s, "g", "0", "MKSTREAM")

    def producer(i):
        while not storm.time_is_up():
            key = storm.random.choice(streams)
            yield ["XADD", key, "*", "item", storm.item(key)]

    def consumer(name):
        while True:
            keys = storm.random.sample(streams, storm.random.randint(1, 4))
            reply = yield (["XREADGROUP", "GROUP", "g", name, "BLOCK", storm.random.choice(["1", "300"]), "STREAMS"] +
                           keys + [">"] * len(keys))
            for key, entries in reply or []:
                storm.got += [(key, e[1][1]) for e in entries]
            if reply is None and storm.time_is_up() and all(p.over for p in producers):
                return

    producers = [storm.stage.add(producer(i)) for i in range(4)]
    for i in range(12):
        storm.stage.add(consumer("c%d" % i))
    storm.stage.run(lambda: not storm.stage.alive)
    # those who stop read only some of the streams
    with Raw(storm.server.port) as raw:
        for s in streams:
            for key, entries in plain(raw.call("XREADGROUP", "GROUP", "g", "last", "STREAMS", s, ">")) or []:
                storm.got += [(key, e[1][1]) for e in entries]
    storm.check(in_order=False)


def test_a_reader_misses_nothing(storm):
    """XREAD from the last id on, over streams of several shards: every entry, in order."""
    streams = KEYS[:4]

    def producer(i):
        while not storm.time_is_up():
            key = streams[i]
            yield ["XADD", key, "*", "item", storm.item(key)]
            if storm.random.random() < 0.3:
                yield None

    def reader(got):
        last = {s: "0" for s in streams}
        while True:
            reply = yield ["XREAD", "BLOCK", "300", "STREAMS"] + streams + [last[s] for s in streams]
            for key, entries in reply or []:
                last[key] = entries[-1][0]
                got += [(key, e[1][1]) for e in entries]
            if reply is None and all(p.over for p in producers):
                return

    producers = [storm.stage.add(producer(i)) for i in range(4)]
    seen = [[] for _ in range(4)]
    for got in seen:
        storm.stage.add(reader(got))
    storm.stage.run(lambda: not storm.stage.alive)
    for storm.got in seen:
        storm.check(in_order=True)


@pytest.mark.parametrize("command", [["BRPOP", "gone:1", "gone:2", "0"], ["BLMOVE", "gone:1", "gone:3", "LEFT", "LEFT", "0"],
                                     ["BZPOPMIN", "gone:z", "0"], ["XREAD", "BLOCK", "0", "STREAMS", "gone:x", "$"]],
                         ids=lambda c: c[0])
def test_who_ends_with_the_command_does_not_wait(server, command):
    """The command and the end of its connection arrive together: nobody is left behind who would be given
    an element, and lose it."""
    with Raw(server.port) as raw:
        before = info(raw, "connected_clients")
        for _ in range(60):
            with server.socket() as s:
                s.sendall(encode(command))
        wait_until(lambda: info(raw, "connected_clients") <= before, lambda: plain(raw.call("CLIENT", "LIST")))
        assert info(raw, "blocked_clients") == 0
        raw.call("LPUSH", "gone:1", "a")
        assert plain(raw.call("RPOP", "gone:1")) == "a"
