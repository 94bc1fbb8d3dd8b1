"""Commands over keys of several shards: replies as Redis gives them, and nobody sees half of one.

GROUPS_SEED is the first seed of the random sequences (their seeds are in the tests' names),
GROUPS_COMMANDS their length, GROUPS_SECONDS the time that each storm of clients lasts.
"""
import os
import random
import threading

import pytest
from conftest import RACE_SHARDS
from patience import PATIENCE_SECONDS
from rawresp import Raw, plain
from storm import Storm

SEED = int(os.environ.get("GROUPS_SEED", "1"))
COMMANDS = int(os.environ.get("GROUPS_COMMANDS", "6000"))

# --- the same replies as Redis, one by one -----------------------------------------------------

KEYS = ["k%d" % i for i in range(20)] + ["{tag}%d" % i for i in range(4)] + [""]
VALUES = ["v", "1", "-7", "ohmytext", "mynewtext", "x" * 60, "y" * 1500, ""]
DBS = 4
CHUNK_MAX = 60


class Sequence:
    """Random commands, with the way in which their replies are compared."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.shapes = [
            (8, self.mset), (3, self.msetnx), (6, self.mget), (6, self.single),
            (3, lambda: [self.pick(["DEL", "UNLINK"])] + self.keys(3)),
            (5, lambda: [self.pick(["EXISTS", "TOUCH"])] + self.keys(6)),
            (6, lambda: [self.pick(["RENAME", "RENAMENX"]), self.key(), self.key()]),
            (6, self.copy), (3, self.lcs),
            (3, lambda: ["MOVE", self.key(), self.db()]),
            (1, lambda: ["SWAPDB", self.db(), self.db()]),
            (2, lambda: ["SELECT", self.db()]),
            (1, self.flush),
            (2, lambda: ["DBSIZE"]),
            (2, lambda: ["KEYS", self.pick(["*", "k1*", "{tag}*", "k[3-6]", "?2", "nothing", "{tag}1"])]),
            (1, lambda: ["SCAN", "0", "COUNT", "1000"]),
            (1, lambda: ["RANDOMKEY"]),
            (3, self.expire), (3, lambda: [self.pick(["EXPIRETIME", "PEXPIRETIME", "PERSIST"]), self.key()]),
        ]
        self.weights = [w for w, _ in self.shapes]

    def pick(self, choices):
        return self.random.choice(choices)

    def key(self):
        return self.pick(KEYS)

    def keys(self, most):
        return [self.key() for _ in range(self.random.randint(1, most))]

    def db(self):
        # mostly good ones
        return self.pick([str(i) for i in range(DBS)] * 6 + ["16", "-1", "x"])

    def single(self):
        k = self.key()
        return self.pick([["SET", k, self.pick(VALUES)], ["GET", k], ["STRLEN", k], ["APPEND", k, "z"],
                          ["TYPE", k], ["INCR", k], ["GETDEL", k], ["SET", k, "t", "PXAT", "32503680000000"]])

    def pairs(self):
        out = []
        for k in self.keys(6):
            out += [k, self.pick(VALUES)]
        if self.random.random() < 0.03:
            out.pop()
        return out

    def mset(self):
        return ["MSET"] + self.pairs()

    def msetnx(self):
        return ["MSETNX"] + self.pairs()[:4]

    def mget(self):
        return ["MGET"] + self.keys(10)

    def copy(self):
        out = ["COPY", self.key(), self.key()]
        if self.random.random() < 0.5:
            out += ["DB", self.db()]
        if self.random.random() < 0.5:
            out.append("REPLACE")
        if self.random.random() < 0.03:
            out.append("BAD")
        return out

    def lcs(self):
        # not of values so long that their matrix takes long
        return ["LCS", self.key(), self.key()] + self.pick([[], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"],
                                                             ["LEN", "IDX"], ["BAD"]])

    def flush(self):
        roll = self.random.random()
        if roll < 0.2:
            return ["FLUSHALL"] + self.pick([[], ["ASYNC"], ["SYNC"], ["BAD"]])
        return ["FLUSHDB"] + self.pick([[], ["ASYNC"], ["SYNC"]]) if roll < 0.6 else ["DBSIZE"]

    def expire(self):
        # in the past: gone at once; or far away. Nothing in between, where two clocks would matter.
        at = self.pick(["1", "32503680000", "32503680001", "x"])
        return ["EXPIREAT", self.key(), at] + self.pick([[], ["NX"], ["XX"], ["GT"], ["LT"]])

    def command(self):
        return self.random.choices(self.shapes, self.weights)[0][1]()


def alike(command, ours, theirs):
    name = command[0]
    if name == "KEYS":
        return sorted(ours[1]) == sorted(theirs[1]) if ours[0] == theirs[0] == "*" else ours == theirs
    if name == "RANDOMKEY":
        return (ours[1] is None) == (theirs[1] is None) and (ours[1] is None or ours[1].decode() in KEYS)
    return ours == theirs


def scan_all(raw):
    found, cursor = [], "0"
    for _ in range(10000):
        cursor, some = plain(raw.call("SCAN", cursor, "COUNT", "1000"))
        found += some
        if cursor == "0":
            return sorted(found)
    raise AssertionError("SCAN has no end")


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_sequence_as_redis(server, oracle, seed):
    sequence, history = Sequence(seed), []
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for raw in (ours, theirs):
            assert plain(raw.line("FLUSHALL")) == "OK"
        done = 0
        while done < COMMANDS:
            chunk = [sequence.command() for _ in range(sequence.random.randint(1, CHUNK_MAX))]
            scans = False
            for c, a, b in zip(chunk, ours.pipeline(chunk), theirs.pipeline(chunk)):
                history.append((c, a))
                if c[0] == "SCAN":  # our cursor may need more than one call: compared below
                    scans = True
                    continue
                assert alike(c, a, b), "seed %d, command %d: %s\nours %s\nRedis %s\nbefore: %s" % (
                    seed, done + chunk.index(c), c, a, b, history[-30:])
            done += len(chunk)
            if scans:
                assert scan_all(ours) == scan_all(theirs), "seed %d, after %d" % (seed, done)
        for db in range(DBS):
            for raw in (ours, theirs):
                raw.call("SELECT", db)
            names = sorted(plain(ours.line("KEYS *")))
            assert names == sorted(plain(theirs.line("KEYS *")))
            for name in names:
                for question in ("GET", "PEXPIRETIME"):
                    assert ours.call(question, name) == theirs.call(question, name), (seed, db, name)


# --- storms: many clients at once --------------------------------------------------------------


@pytest.fixture(scope="module", params=RACE_SHARDS, ids=lambda n: "%d-shards" % n)
def storm_server(request):
    from conftest import _check_end, start_server
    s = start_server(shards=request.param)
    yield s
    _check_end(s)


@pytest.fixture
def storm(storm_server):
    with Raw(storm_server.port) as raw:
        assert plain(raw.line("FLUSHALL")) == "OK"
    return Storm(storm_server.port)


def numbers(reply):
    return [None if v is None else int(v) for v in plain(reply)]


def test_bank(storm):
    """Money moves between accounts that belong to the mover alone; the sum never changes."""
    movers, accounts, total = 5, 6, 600

    def names(mover):
        return ["bank:%d:%d" % (mover, i) for i in range(accounts)]

    with Raw(storm.port) as raw:
        for m in range(movers):
            raw.call("MSET", *[x for n in names(m) for x in (n, total // accounts)])

    def move(raw, rnd, number):
        moves = []  # pipelined: what is moved is known to the mover alone
        for _ in range(8):
            a, b = rnd.sample(range(accounts), 2)
            purse = purses.setdefault(number, [total // accounts] * accounts)
            amount = rnd.randint(1, 20)
            purse[a] -= amount
            purse[b] += amount
            moves.append(["MSET", names(number)[a], purse[a], names(number)[b], purse[b]])
        assert raw.pipeline(moves) == [("+", "OK")] * 8

    def watch(raw, rnd, number):
        batch = [rnd.randrange(movers) for _ in range(8)]
        for m, reply in zip(batch, raw.pipeline(["MGET"] + rnd.sample(names(m), accounts) for m in batch)):
            assert sum(numbers(reply)) == total, m

    purses = {}
    storm.add(move, movers)
    storm.add(watch, 4)
    storm.blow()
    with Raw(storm.port) as raw:
        for m in range(movers):
            assert numbers(raw.call("MGET", *names(m))) == purses[m]


def test_rename_ping_pong(storm):
    """A key that is renamed there and back is always in exactly one place, value and all."""
    balls = 4
    with Raw(storm.port) as raw:
        for i in range(balls):
            raw.call("SET", "ping:%d" % i, "ball" * (1 + 400 * (i % 2)))

    def play(raw, _rnd, number):
        there, back = ["RENAME", "ping:%d" % number, "pong:%d" % number], \
            ["RENAMENX", "pong:%d" % number, "ping:%d" % number]
        assert raw.pipeline([there, back] * 10) == [("+", "OK"), (":", 1)] * 10

    def count(raw, rnd, _number):
        everywhere = ["%s:%d" % (side, i) for side in ("ping", "pong") for i in range(balls)]
        batch = [rnd.randrange(balls) for _ in range(10)]
        replies = raw.pipeline(
            c for i in batch
            for c in (["EXISTS"] + rnd.sample(everywhere, 2 * balls), ["MGET", "ping:%d" % i, "pong:%d" % i]))
        for i, exists, mget in zip(batch, replies[::2], replies[1::2]):
            assert exists == (":", balls)
            assert [v for v in plain(mget) if v is not None] == ["ball" * (1 + 400 * (i % 2))]

    storm.add(play, balls)
    storm.add(count, 4)
    storm.blow()


def test_rename_chain(storm):
    """Many clients push the same few keys around: none gets lost, none is doubled."""
    places, tokens = ["place:%d" % i for i in range(12)], 4
    with Raw(storm.port) as raw:
        for i in range(tokens):
            raw.call("SET", places[i], "token%d" % i)

    def push(raw, rnd, _number):
        for reply in raw.pipeline(["RENAMENX"] + rnd.sample(places, 2) for _ in range(10)):
            assert reply in ((":", 0), (":", 1), ("-", "ERR no such key"))

    def count(raw, _rnd, _number):
        values = sorted(v for v in plain(raw.call("MGET", *places)) if v is not None)
        assert values == ["token%d" % i for i in range(tokens)]

    storm.add(push, 6)
    storm.add(count, 2)
    storm.blow()


def test_copy_is_of_one_moment(storm):
    """Writers set two keys to one number; who copies both, newest last, sees it grow or stay."""
    pairs = 3
    with Raw(storm.port) as raw:
        for i in range(pairs):
            raw.call("MSET", "cx:%d" % i, 0, "cy:%d" % i, 0)
    tick = {}

    def write(raw, _rnd, number):
        at = tick[number] = tick.get(number, 0) + 8
        assert raw.pipeline(["MSET", "cx:%d" % number, n, "cy:%d" % number, n]
                            for n in range(at - 7, at + 1)) == [("+", "OK")] * 8

    def copy(raw, _rnd, number):
        commands = []
        for i in range(pairs):
            a, b = "ca:%d:%d" % (number, i), "cb:%d:%d" % (number, i)
            commands += [["COPY", "cx:%d" % i, a, "REPLACE"], ["COPY", "cy:%d" % i, b, "REPLACE"],
                         ["MGET", a, b, "cx:%d" % i, "cy:%d" % i]]
        replies = raw.pipeline(commands)
        for i in range(0, len(replies), 3):
            assert replies[i:i + 2] == [(":", 1)] * 2
            a, b, x, y = numbers(replies[i + 2])
            assert a <= b <= x == y

    storm.add(write, pairs)
    storm.add(copy, 5)
    storm.blow()


def test_flushall_against_mset(storm):
    """MGET sees all keys of an MSET or none of them, whenever a flush comes."""
    names = ["fl:%d" % i for i in range(12)]

    def write(raw, rnd, _number):
        value = rnd.randrange(10**9)
        mset = ["MSET"] + [x for n in names for x in (n, value)]
        assert raw.pipeline([mset] * 6) == [("+", "OK")] * 6

    def flush(raw, rnd, _number):
        how = rnd.choice([["FLUSHALL"],
                          ["FLUSHDB"], ["FLUSHALL", "ASYNC"], ["DEL"] + names, ["UNLINK"] + names])
        assert raw.call(*how) in (("+", "OK"), (":", 0), (":", len(names))), how

    def read(raw, rnd, _number):
        for reply in raw.pipeline(["MGET"] + rnd.sample(names, len(names)) for _ in range(6)):
            assert len(set(plain(reply))) == 1

    def count(raw, _rnd, _number):
        size, exists, keys = raw.pipeline([["DBSIZE"], ["EXISTS"] + names, ["KEYS", "fl:*"]])
        assert size[1] in (0, len(names)) and exists[1] in (0, len(names))
        assert len(keys[1]) in (0, len(names))

    storm.add(write, 3)
    storm.add(flush, 2)
    storm.add(read, 3)
    storm.add(count, 2)
    storm.blow()


def test_pairs_come_and_go_together(storm):
    """Keys are set and deleted in pairs: DBSIZE and KEYS are even at any time, SWAPDB or not."""
    with Raw(storm.port) as raw:
        raw.call("MSET", "stay1", 1, "stay2", 2)

    def change(raw, rnd, number):
        commands = []
        for _ in range(8):
            i = rnd.randrange(40)
            a, b = "even:%d:%d:a" % (number, i), "even:%d:%d:b" % (number, i)
            commands.append(rnd.choice([["MSET", a, i, b, i], ["MSETNX", a, i, b, i], ["DEL", a, b],
                                        ["UNLINK", b, a]]))
        for command, reply in zip(commands, raw.pipeline(commands)):
            allowed = {"MSET": [("+", "OK")], "MSETNX": [(":", 0), (":", 1)]}
            assert reply in allowed.get(command[0], [(":", 0), (":", 2)]), command

    def swap(raw, rnd, _number):
        assert raw.call("SWAPDB", *rnd.sample([0, 1], 2)) == ("+", "OK")

    def count(raw, _rnd, _number):
        size, keys = raw.pipeline([["DBSIZE"], ["KEYS", "*"]])
        assert size[1] % 2 == 0
        found = [n for n in plain(keys) if n.startswith("even")]
        twins = {n[:-1] + ("b" if n[-1] == "a" else "a") for n in found}
        assert twins == set(found)

    storm.add(change, 4)
    storm.add(count, 4)
    storm.blow()
    storm.threads = []
    storm.add(change, 3)
    storm.add(swap, 1)
    storm.add(count, 4)
    storm.blow()


def test_msetnx_has_one_winner(storm):
    """Of clients that ask for overlapping keys at once, all the winner's keys are there, none else's."""
    rounds, clients = 60, 8
    gate = threading.Barrier(clients)
    won = [[None] * clients for _ in range(rounds)]
    failures = []

    def ask(number):
        try:
            with Raw(storm.port) as raw:
                for r in range(rounds):
                    gate.wait(PATIENCE_SECONDS)
                    own = "own:%d:%d" % (r, number)
                    keys = ["prize:%d:a" % r, own, "prize:%d:b" % r]
                    random.Random(number * 1000 + r).shuffle(keys)
                    won[r][number] = raw.call("MSETNX", *[x for k in keys for x in (k, number)])[1]
        except BaseException as e:
            failures.append(e)
            gate.abort()

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(2 * PATIENCE_SECONDS)
    assert not failures, failures
    with Raw(storm.port) as raw:
        for r in range(rounds):
            assert sorted(won[r]) == [0] * (clients - 1) + [1]
            winner = won[r].index(1)
            owns = ["own:%d:%d" % (r, i) for i in range(clients)]
            values = numbers(raw.call("MGET", "prize:%d:a" % r, "prize:%d:b" % r, *owns))
            assert values[:2] == [winner, winner]
            assert [i for i, v in enumerate(values[2:]) if v is not None] == [winner]


# --- keys that a command does not name: all shards lend themselves whole -------------------------

def test_sort_by_keys_of_any_shard(storm):
    """Weights move between elements, their sum stays: SORT … BY … GET sees every move whole."""
    elements, total = 8, 800
    names = ["e%d" % i for i in range(elements)]
    with Raw(storm.port) as raw:
        raw.call("SADD", "all", *names)
        raw.call("MSET", *[x for n in names for x in ("weight:%s" % n, total // elements)])

    def move(raw, rnd, number):
        mine = names[number * 2:number * 2 + 2]
        amount = rnd.randint(1, 9)
        a, b = numbers(raw.call("MGET", "weight:%s" % mine[0], "weight:%s" % mine[1]))
        assert plain(raw.call("MSET", "weight:%s" % mine[0], a - amount,
                              "weight:%s" % mine[1], b + amount)) == "OK"

    def look(raw, rnd, number):
        weights = numbers(raw.call("SORT", "all", "BY", "weight:*", "GET", "weight:*"))
        assert len(weights) == elements and sum(weights) == total, weights
        assert weights == sorted(weights)

    def store(raw, rnd, number):
        n = plain(raw.call("SORT", "all", "BY", "weight:*", "GET", "weight:*", "STORE", "sorted"))
        assert n == elements
        weights = numbers(raw.call("LRANGE", "sorted", 0, -1))
        assert sum(weights) == total, weights

    def others(raw, rnd, number):
        """Keeps commands of every kind on the way through the shards that are lent."""
        key = "other:%d" % rnd.randint(0, 99)
        kind = rnd.randint(0, 4)
        if kind == 0:
            raw.call("MSET", key, 1, key + "x", 2)
        elif kind == 1:
            raw.call("RENAME", "weight:none", key)
        elif kind == 2:
            assert isinstance(plain(raw.call("DBSIZE")), int)
        elif kind == 3:
            raw.call("SET", key, 1, "PX", 3)
        else:
            raw.call("INFO", "keyspace")

    storm.add(move, 4)
    storm.add(look, 2)
    storm.add(store)
    storm.add(others, 3)
    storm.blow()
