"""Commands that work for long, in slices: others are served in between, and nobody sees half of one.

DEBUG SLICES 16 0 makes them rest every 16 units of work, so that one over MANY members rests some
thousand times. That others came in between is told by their replies, never by the time it took.
SLICES_MEMBERS is the number of members.
"""
import binascii
import os
import re
import select
import threading

import pytest
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, encode, plain

MANY = int(os.environ.get("SLICES_MEMBERS", "20000"))
FEW = 600
CHUNK = 500


def slot(key):
    tag = key[key.index("{") + 1:key.index("}")] if "{" in key else key
    return binascii.crc_hqx(tag.encode(), 0) % 16384


def shards_of(c):
    """[(first slot, last slot, {counter: value})] by shard."""
    out = []
    for line in c.call("INFO", "shards")[1].decode().split("\r\n"):
        if line.startswith("shard"):
            words = dict(w.split("=") for w in line.split(":")[1].split(","))
            first, last = words["slots"].split("-")
            out.append((int(first), int(last), words))
    return out


def counter(c, name):
    return sum(int(words[name]) for _, _, words in shards_of(c))


def neighbour(c, key, n=0):
    """A key in another slot of the same shard."""
    first, last, _ = next(s for s in shards_of(c) if s[0] <= slot(key) <= s[1])
    names = ("neighbour%d" % i for i in range(100000))
    found = [k for k, _ in zip((k for k in names if first <= slot(k) <= last and slot(k) != slot(key)),
                               range(n + 1))]
    return found[-1]


def fill(c, members, tag="", only="zsthlgxb"):
    """A value of each type."""
    commands = []
    for at in range(0, members, CHUNK):
        ids = range(at, min(members, at + CHUNK))
        commands += [
            ["ZADD", tag + "z"] + [w for i in ids for w in (i * 7919 % 10007, "member%d" % i)],
            ["SADD", tag + "s"] + ["member%d" % i for i in ids],
            ["SADD", tag + "t"] + ["member%d" % (i + members // 2) for i in ids],
            ["HSET", tag + "h"] + [w for i in ids for w in ("field%d" % i, "value%d" % i)],
            ["RPUSH", tag + "l"] + [i * 7919 % 10007 for i in ids],
            ["GEOADD", tag + "g"] + [w for i in ids for w in (i % 360 - 180 + i / 1e5, i % 170 - 85, "p%d" % i)],
        ]
        commands += [["XADD", tag + "x", "%d-1" % (i + 1), "f", i] for i in ids]
    commands.append(["SETBIT", tag + "b", members * 2000, 1])
    commands.append(["XGROUP", "CREATE", tag + "x", "group", "0"])
    commands = [c for c in commands if (c[1] if c[0] != "XGROUP" else c[2])[len(tag)] in only]
    for at in range(0, len(commands), 200):
        for r in c.pipeline(commands[at:at + 200]):
            assert r[0] != "-", r


# Long commands; T is in front of each key.
LONG = [
    "COPY Tz Tz2 REPLACE", "COPY Ts Ts2 REPLACE", "COPY Th Th2 REPLACE", "COPY Tl Tl2 REPLACE",
    "COPY Tx Tx2 REPLACE",
    "ZUNIONSTORE Tz3 2 Tz Ts", "ZINTERSTORE Tz4 2 Tz Ts WEIGHTS 2 3", "ZDIFFSTORE Tz5 2 Tz Tt",
    "ZUNION 2 Tz Tt WITHSCORES", "ZINTERCARD 2 Tz Ts", "ZRANGESTORE Tz6 Tz 1 -2",
    "SUNIONSTORE Ts3 Ts Tt", "SINTERSTORE Ts4 Ts Tt", "SDIFFSTORE Ts5 Ts Tt", "SUNION Ts Tt",
    "SINTER Ts Tt", "SDIFF Ts Tt", "SINTERCARD 2 Ts Tt", "SMEMBERS Ts",
    "SORT Tl", "SORT Tl DESC", "SORT Ts ALPHA STORE Tl3", "SORT Tz ALPHA LIMIT 5 50", "SORT_RO Tl ALPHA DESC",
    "HGETALL Th", "HKEYS Th", "HVALS Th", "LRANGE Tl 0 -1", "LPOS Tl nothing", "LPOS Tl 5 COUNT 0",
    "ZRANGE Tz 0 -1 WITHSCORES", "ZRANGE Tz (100 (5000 BYSCORE LIMIT 10 700", "ZREVRANGE Tz 0 -1",
    "ZRANGEBYSCORE Tz -inf +inf", "XRANGE Tx - +", "XREVRANGE Tx + - COUNT 700", "XREAD STREAMS Tx 0",
    "XREADGROUP GROUP group consumer STREAMS Tx >", "XPENDING Tx group",
    "XREADGROUP GROUP group consumer STREAMS Tx 0", "COPY Tx Tx3 REPLACE", "XGROUP DELCONSUMER Tx group consumer",
    "GEOSEARCH Tg FROMLONLAT 0 0 BYRADIUS 9000 km ASC", "GEOSEARCH Tg FROMLONLAT 0 0 BYRADIUS 9000 km DESC COUNT 700",
    "GEOSEARCHSTORE Tg2 Tg FROMLONLAT 0 0 BYRADIUS 9000 km", "BITOP NOT Tb2 Tb", "BITOP XOR Tb3 Tb Tb2 Tb",
    "BITCOUNT Tb3", "BITCOUNT Tb2 5 -5 BIT", "BITPOS Tb 1", "BITPOS Tb2 0", "DUMP Tl", "DUMP Ts4",
    "LREM Tl2 0 5", "LREM Tl2 -3 7", "LINSERT Tl2 BEFORE 11 x", "LTRIM Tl2 20 -20", "LPOP Tl2 300",
    "ZREMRANGEBYRANK Tz2 5 -5", "ZREMRANGEBYSCORE Tz3 10 20000", "ZPOPMIN Tz4 500", "XTRIM Tx2 MAXLEN 3",
    "XTRIM Tx3 MINID 99", "XGROUP DESTROY Tx3 group", "SPOP Ts2 100000000", "ZCARD Tz3", "SCARD Ts3", "LLEN Tl2",
]
CONTENTS = ["ZRANGE Tz%d 0 -1 WITHSCORES" % i for i in (2, 3, 4, 6)] + ["SMEMBERS Ts%d" % i for i in (3, 4, 5)] + [
    "LRANGE Tl2 0 -1", "LRANGE Tl3 0 -1", "HGETALL Th2", "GETRANGE Tb3 0 -1", "ZRANGE Tg2 0 -1 WITHSCORES", "XRANGE Tx2 - +"]
UNORDERED = {"SMEMBERS", "SUNION", "SINTER", "SDIFF", "HKEYS", "HVALS", "SPOP"}
WHICH_VARIES = {"DUMP"}  # what is written depends on limits of nodes


def comparable(line, reply):
    if line.split()[0] in WHICH_VARIES:
        return reply is not None
    if line.split()[0] in UNORDERED:
        return sorted(reply)
    if line.startswith("HGETALL"):
        return sorted(zip(reply[::2], reply[1::2]))
    return reply


# --- the same replies as Redis, however often they rest ----------------------------------------


@pytest.mark.parametrize("spread", [False, True], ids=["one slot", "many slots"])
def test_replies_are_those_of_redis(server, oracle, spread):
    tag = "" if spread else "{tag}"
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for c in ours, theirs:
            c.call("FLUSHALL")
            c.call("CONFIG", "SET", "list-max-listpack-size", "16")
            fill(c, FEW, tag)
        assert plain(ours.call("DEBUG", "SLICES", "3", "0")) == "OK"
        before = counter(ours, "commands_sliced")
        for line in LONG:
            words = [tag + w[1:] if w[0] == "T" else w for w in line.split()]
            a, b = plain(ours.call(*words)), plain(theirs.call(*words))
            assert comparable(line, a) == comparable(line, b), line
        for line in CONTENTS:
            words = [tag + w[1:] if w[0] == "T" else w for w in line.split()]
            a, b = plain(ours.call(*words)), plain(theirs.call(*words))
            assert len(a) >= 2 and comparable(line, a) == comparable(line, b), line
        for key in "zshlx":
            dump = ours.call("DUMP", tag + key)[1]
            assert plain(ours.call("RESTORE", tag + key + "r", 0, dump)) == "OK"
            assert ours.call("DEBUG", "DIGEST-VALUE", tag + key) == ours.call("DEBUG", "DIGEST-VALUE", tag + key + "r")
        assert counter(ours, "commands_sliced") - before > len(LONG) / 2


def test_sort_by_other_keys(server, oracle):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        replies = []
        for c in ours, theirs:
            c.call("FLUSHALL")
            fill(c, FEW)
            c.pipeline(["SET", "weight%d" % i, i * 31 % 1009] for i in range(0, 10007, 7))
            c.call("DEBUG", "SLICES", "1", "0")  # not known there
            replies.append([plain(c.call(*line.split())) for line in [
                "SORT l BY weight* GET # GET weight*", "SORT l BY weight* DESC STORE sorted", "LRANGE sorted 0 -1"]])
        assert replies[0] == replies[1]


# --- others are served in between --------------------------------------------------------------


def rests(c, before):
    while counter(c, "commands_sliced") == before:
        pass


def served_between(server, line):
    """How many commands of another client on the same shard were answered before the long one."""
    with Raw(server.port) as long, Raw(server.port) as other:
        other.call("FLUSHALL")
        fill(other, MANY, "{tag}", "z" if line == "COPY z3 other" else re.findall(r"\{tag\}(.)", line))
        if line == "COPY z3 other":
            other.call("COPY", "{tag}z", "z3")
        key = neighbour(other, line.split()[-1 if "z3" in line else 1 if "STORE" not in line else 2].replace("NOT", "{tag}b"))
        other.call("DEBUG", "SLICES", "16", "0")
        before = counter(other, "commands_sliced")
        long.send(*line.split())
        served = 0
        while not select.select([long.sock], [], [], 0)[0]:
            served = plain(other.call("INCR", key))
        assert long.read()[0] != "-"
        assert counter(other, "commands_sliced") == before + 1
        return served


@pytest.mark.parametrize("line", [
    "COPY {tag}z {tag}z2", "COPY {tag}s {tag}s2", "COPY {tag}h {tag}h2", "ZUNIONSTORE {tag}z3 2 {tag}z {tag}s",
    "SUNIONSTORE {tag}s3 {tag}s {tag}t", "SORT {tag}l STORE {tag}l3", "SORT {tag}s ALPHA", "SMEMBERS {tag}s",
    "HGETALL {tag}h", "LRANGE {tag}l 0 -1", "ZREMRANGEBYRANK {tag}z 10 -10", "DUMP {tag}z", "XRANGE {tag}x - +",
    "GEOSEARCH {tag}g FROMLONLAT 0 0 BYRADIUS 20000 km ASC", "BITOP NOT {tag}b2 {tag}b", "COPY z3 other"])
def test_others_in_between(server, line):
    """Once is enough: on a busy machine the other client may not get a turn of its own meanwhile."""
    wait_until(lambda: served_between(server, line) > 1, "others are served")


def test_several_rest_at_once(server):
    """More than may rest at once."""
    clients = [Raw(server.port) for _ in range(80)]
    with Raw(server.port) as c:
        c.call("FLUSHALL")
        c.call("DEBUG", "SLICES", "100", "0")
        keys = ["set%d" % i for i in range(len(clients))]
        for key in keys:
            c.call("SADD", key, *range(1000))
        for client, key in zip(clients, keys):
            client.send("SUNION", key, key)
        assert all(plain(c.call("INCR", "n")) for _ in range(20))
        for client in clients:
            assert len(plain(client.read())) == 1000
            client.close()


# --- nobody sees half of it --------------------------------------------------------------------


class Readers:
    """Clients that look at keys again and again; seen: every answer."""

    def __init__(self, port, *commands):
        self.stop, self.seen, self.threads = threading.Event(), [set() for _ in commands], []
        for i, command in enumerate(commands):
            t = threading.Thread(target=self.run, args=(port, command, self.seen[i]))
            t.start()
            self.threads.append(t)

    def run(self, port, command, seen):
        with Raw(port) as c:
            while not self.stop.is_set():
                if callable(command):
                    seen.add(command(c))
                else:
                    seen.add(plain(c.call(*command)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def both_counts(c):
    return tuple(plain(c.pipeline([["MULTI"], ["ZCARD", "a"], ["ZCARD", "{x}b"], ["EXEC"]])[3]))


@pytest.mark.parametrize("keys", [("{x}a", "{x}b"), ("a", "{x}b")], ids=["one slot", "two slots"])
def test_readers_see_all_or_nothing(server, keys):
    n = MANY // 4
    a, b = keys
    with Raw(server.port) as c:
        c.call("FLUSHALL")
        for at in range(0, n, CHUNK):
            c.call("ZADD", a, *[w for i in range(at, at + CHUNK) for w in (i, "m%d" % i)])
        c.call("DEBUG", "SLICES", "16", "0")
        with Readers(server.port, ["ZCARD", a], ["ZCARD", b], lambda c: both_counts(c)) as readers:
            for _ in range(3):
                assert plain(c.call("COPY", a, b)) == 1
                assert plain(c.call("ZREMRANGEBYRANK", b, 0, -2)) == n - 1
                assert plain(c.call("ZUNIONSTORE", b, 2, a, b)) == n
                assert plain(c.call("RENAME", b, "c")) == "OK"
                assert plain(c.call("RENAME", "c", b)) == "OK"
                assert plain(c.call("DEL", b)) == 1
        assert readers.seen[0] == {n}
        assert readers.seen[1] <= {0, 1, n}
        assert {second for _, second in readers.seen[2]} <= {0, 1, n}


def test_watch_and_blocked_clients(server):
    with Raw(server.port) as c, Raw(server.port) as watcher, Raw(server.port) as blocked:
        c.call("FLUSHALL")
        for at in range(0, 10000, CHUNK):
            c.call("RPUSH", "l", *range(at, at + CHUNK))
        c.call("DEBUG", "SLICES", "4", "0")
        watcher.call("WATCH", "sorted")
        blocked.send("BLPOP", "sorted", 0)
        before = counter(watcher, "commands_sliced")
        c.send("SORT", "l", "DESC", "STORE", "sorted")
        rests(watcher, before)
        watcher.call("MULTI")
        watcher.call("LLEN", "sorted")
        watcher.send("EXEC")
        assert plain(c.read()) == 10000
        assert plain(blocked.read()) == ["sorted", "9999"]
        assert plain(watcher.read()) is None
        assert plain(c.call("LLEN", "sorted")) == 9999


def test_flushall_waits(server):
    with Raw(server.port) as c, Raw(server.port) as other:
        other.call("FLUSHALL")
        other.call("DEBUG", "SLICES", "4", "0")
        for line in ["SUNIONSTORE s3 s t", "ZUNIONSTORE z3 2 z s", "SORT l STORE sorted"]:
            fill(other, FEW * 2)
            before = counter(other, "commands_sliced")
            c.send(*line.split())
            rests(other, before)
            assert plain(other.call("FLUSHALL")) == "OK"
            assert plain(other.call("DBSIZE")) == 0
            assert plain(c.read()) > 0
            assert plain(other.call("DBSIZE")) == 0


def test_pipelines_keep_their_order(server):
    """What stands before and behind a command that rests, on one connection."""
    n = 1000
    with Raw(server.port) as c:
        c.call("FLUSHALL")
        c.call("DEBUG", "SLICES", "1", "0")
        c.call("SADD", "s", *range(n))
        replies = c.pipeline([["SET", "k", 1], ["SMEMBERS", "s"], ["INCR", "k"], ["PING"], ["SCARD", "s"],
                              ["SORT", "s", "STORE", "l"], ["LINDEX", "l", -1], ["SUNIONSTORE", "s2", "s", "t"],
                              ["GET", "k"], ["SCARD", "s2"], ["FLUSHALL"], ["SCARD", "s2"]])
        got = [plain(r) for r in replies]
        assert len(got[1]) == n
        assert got[:1] + got[2:] == ["OK", 2, "PONG", n, n, "%d" % (n - 1), n, "2", n, "OK", 0]


def test_scripts_see_all_or_nothing(server):
    n = 4000
    script = "return {redis.call('scard', 'dst'), redis.call('scard', ARGV[1])}"
    with Raw(server.port) as c, Raw(server.port) as other:
        c.call("FLUSHALL")
        c.call("SADD", "src", *range(n))
        c.call("DEBUG", "SLICES", "1", "0")
        for _ in range(4):
            before = counter(other, "commands_sliced")
            c.send("SUNIONSTORE", "dst", "src")
            rests(other, before)
            assert plain(other.call("EVAL", script, 0, "src")) in ([n, n], [0, n])
            assert plain(c.read()) == n
            before = counter(other, "commands_sliced")
            c.send("SDIFFSTORE", "dst", "src", "src2")
            rests(other, before)
            assert plain(other.call("EVAL", "return redis.call('incr', KEYS[1])", 1, neighbour(other, "dst"))) > 0
            assert plain(c.read()) == n
            c.call("DEL", "dst")


# --- ends ----------------------------------------------------------------------------------------


def test_clients_that_vanish(server):
    n = 5000
    with Raw(server.port) as c:
        c.call("FLUSHALL")
        c.call("SADD", "s", *range(n))
        c.call("DEBUG", "SLICES", "2", "0")
        for line in ["SUNIONSTORE dst s", "SMEMBERS s", "COPY s dst REPLACE", "SORT s STORE sorted"]:
            gone = Raw(server.port)
            before = counter(c, "commands_sliced")
            gone.send(*line.split())
            rests(c, before)
            gone.close()
            assert plain(c.call("SCARD", "s")) == n
        assert plain(c.call("SCARD", "dst")) == n
        assert plain(c.call("LLEN", "sorted")) == n


@pytest.mark.parametrize("shards", [1, 2])
def test_shutdown_meanwhile(launch, shards):
    server = launch(shards=shards)
    with Raw(server.port) as c, Raw(server.port) as long, Raw(server.port) as other:
        fill(c, FEW)
        c.call("DEBUG", "SLICES", "1", "0")
        before = counter(c, "commands_sliced")
        long.send("ZUNIONSTORE", "dst", 2, "z", "s")
        other.send("SMEMBERS", "t")
        rests(c, before)
        c.sock.sendall(encode(["SHUTDOWN", "NOSAVE"]))
        assert c.at_end()
    server.process.wait(PATIENCE_SECONDS)
    assert server.process.returncode == 0, server.log()


def test_configuration_changes_meanwhile(server):
    with Raw(server.port) as c, Raw(server.port) as long:
        c.call("FLUSHALL")
        c.call("SADD", "a", *range(4000))
        c.call("SADD", "b", *range(2000, 6000))
        c.call("DEBUG", "SLICES", "1", "0")
        before = counter(c, "commands_sliced")
        long.send("SUNIONSTORE", "{x}dst", "a", "b")
        rests(c, before)
        for i in range(80):
            assert plain(c.call("CONFIG", "SET", "set-max-intset-entries", str(100 + i))) == "OK"
        assert plain(long.read()) == 6000
        assert plain(c.call("CONFIG", "SET", "set-max-intset-entries", "512")) == "OK"
