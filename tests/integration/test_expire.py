"""Expiry: many keys at one deadline, and what TTL and its like say, beside Redis."""
import time

import pytest
from patience import wait_until
from rawresp import Raw, plain


def expired_keys(c):
    return c.info("stats")["expired_keys"]


def fill(raw, names, deadline_ms):
    names = list(names)
    for i in range(0, len(names), 5000):
        replies = raw.pipeline(["SET", n, "v", "PXAT", deadline_ms] for n in names[i:i + 5000])
        assert set(replies) == {("+", "OK")}


def wait_for_size(raw, size, others):
    """Until DBSIZE says so; others are served meanwhile."""
    def there():
        for other in others:
            assert other.call("PING") == ("+", "PONG")
            assert other.call("GET", "stays")[1] == b"here"
        return plain(raw.line("DBSIZE")) == size
    wait_until(there, lambda: plain(raw.line("DBSIZE")))


def in_time(act):
    """act(deadline): all of it must be done by then, on a machine that is as slow as it is."""
    for seconds in (2, 8, 32, 128):
        deadline = time.time() + seconds
        act(deadline)
        if time.time() < deadline - 0.1:
            return deadline
    raise AssertionError("this takes minutes")


def test_mass_expiry(server):
    """100k keys vanish by themselves after their deadline, none before, others are served."""
    n = 100_000
    c = server.client()
    with Raw(server.port) as raw, Raw(server.port) as a, Raw(server.port) as b:
        before = size = None

        def act(deadline):
            nonlocal before, size
            c.flushall()
            raw.call("SET", "stays", "here")
            raw.call("SET", "later", "v", "PX", "10000000")
            before = expired_keys(c)
            fill(raw, ("mass:%d" % i for i in range(n)), int(deadline * 1000))
            size = plain(raw.line("DBSIZE"))
        in_time(act)
        assert size == n + 2
        wait_for_size(raw, 2, [a, b])  # nobody touches them: the active cycle does
        assert expired_keys(c) - before == n
        assert sorted(c.keys("*")) == [b"later", b"stays"]
        assert c.info("keyspace")["db0"]["expires"] == 1


def test_mass_expiry_of_one_slot_and_other_databases(server):
    c = server.client()
    c.flushall()
    with Raw(server.port) as raw, Raw(server.port) as other:
        other.call("SET", "stays", "here")
        deadline = time.time() + 1
        fill(raw, ("{one}%d" % i for i in range(20_000)), int(deadline * 1000))
        raw.call("SELECT", "7")
        fill(raw, ("seven:%d" % i for i in range(10_000)), int(deadline * 1000))
        raw.call("SET", "seven", "v")
        wait_for_size(raw, 1, [other])
        raw.call("SELECT", "0")
        wait_for_size(raw, 1, [other])


def test_expired_is_gone_at_once_without_active_expiry(server):
    """What is past its time is never seen, whether or not anything has removed it."""
    c = server.client(decode_responses=True)
    c.flushall()
    assert c.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    try:
        names = ["lazy:%d" % i for i in range(50)]
        deadline = int(time.time() * 1000) + 60
        with c.pipeline(transaction=False) as p:
            for n in names:
                p.set(n, "v", pxat=deadline)
            p.set("lazy:stays", "v")
            p.execute()
        while time.time() * 1000 <= deadline + 1:
            time.sleep(0.005)
        assert c.exists(*names) == 0
        assert c.mget(*names) == [None] * 50
        assert c.keys("lazy:*") == ["lazy:stays"] and list(c.scan_iter()) == ["lazy:stays"]
        assert {c.randomkey() for _ in range(50)} == {"lazy:stays"}
        assert c.ttl(names[0]) == -2 and c.type(names[1]) == "none"
        assert c.set(names[2], "new", nx=True) and c.ttl(names[2]) == -1
        assert c.renamenx("lazy:stays", names[3]) and c.get(names[3]) == "v"
        assert c.delete(names[4], names[5]) == 0 and c.persist(names[6]) is False
        assert c.incr(names[7]) == 1 and c.append(names[8], "x") == 1
        assert c.copy(names[3], names[9]) and not c.copy(names[10], names[11])
        assert c.msetnx({names[12]: 1, names[13]: 2})
    finally:
        assert c.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    wait_until(lambda: c.dbsize() == 7, lambda: c.keys("*"))


FAR = 32503680000  # a year far away
COMMANDS = [
    "SET a v", "TTL a", "PTTL a", "EXPIRETIME a", "PEXPIRETIME a", "TTL none", "PTTL none", "EXPIRETIME none", "PEXPIRETIME none",
    "EXPIREAT a %d" % FAR, "EXPIRETIME a", "PEXPIRETIME a", "PERSIST a", "PERSIST a", "PERSIST none", "EXPIRETIME a",
    "PEXPIREAT a %d123" % FAR, "EXPIRETIME a", "PEXPIRETIME a",
    # conditions
    "EXPIREAT a %d NX" % FAR, "EXPIREAT a %d XX" % (FAR + 5), "EXPIREAT a %d GT" % FAR, "EXPIREAT a %d GT" % (FAR + 9),
    "EXPIREAT a %d LT" % (FAR + 10), "EXPIREAT a %d LT" % (FAR + 1), "EXPIRETIME a", "PERSIST a", "EXPIREAT a %d GT" % FAR,
    "EXPIREAT a %d XX" % FAR, "EXPIREAT a %d LT" % FAR, "EXPIRETIME a", "EXPIREAT a %d NX XX" % FAR, "EXPIREAT a %d GT LT" % FAR,
    "EXPIREAT a %d NX GT" % FAR, "EXPIREAT a %d XX GT" % (FAR + 20), "EXPIREAT a %d XX LT" % (FAR + 2), "EXPIRETIME a",
    "EXPIREAT a %d BAD" % FAR, "EXPIREAT a %d nx" % FAR, "EXPIRE none 10", "EXPIREAT none %d" % FAR, "PEXPIRE none 1 XX",
    # what keeps a deadline, what takes it away
    "SET a w KEEPTTL", "EXPIRETIME a", "APPEND a x", "EXPIRETIME a", "SETRANGE a 0 y", "EXPIRETIME a", "GETSET a 5", "EXPIRETIME a",
    "EXPIREAT a %d" % FAR, "INCR a", "EXPIRETIME a", "INCRBYFLOAT a 1.5", "EXPIRETIME a", "RENAME a b", "EXPIRETIME b", "TTL a",
    "COPY b c", "EXPIRETIME c", "SET d v", "RENAME d b", "EXPIRETIME b", "MSET c 1", "EXPIRETIME c", "EXPIREAT c %d" % FAR, "MOVE c 5",
    "EXPIRETIME c", "SELECT 5", "EXPIRETIME c", "SELECT 0", "SET e v EXAT %d" % FAR, "SET e w", "EXPIRETIME e",
    "SET e v PXAT %d007" % FAR, "PEXPIRETIME e", "GETEX e", "PEXPIRETIME e", "GETEX e EXAT %d" % (FAR + 1), "EXPIRETIME e",
    "GETEX e PERSIST", "EXPIRETIME e", "GETEX none PERSIST", "SET e v EX 0", "SET e v EX -1", "SET e v EX x", "SET e v EX",
    "SET e v EXAT 1", "EXISTS e", "SET e v", "SETEX e 0 v", "SETEX e x v", "PSETEX e -5 v", "GET e", "SET e v EX 10 KEEPTTL", "SET e v EX 10 PX 10",
    # in the past: gone at once
    "EXPIRE e 0", "EXISTS e", "SET e v", "EXPIRE e -1", "EXISTS e", "SET e v", "PEXPIREAT e 1", "GET e", "SET e v", "EXPIREAT e -5", "EXISTS e",
    "SET e v", "GETEX e EXAT 1", "EXISTS e", "SET f v", "EXPIREAT f 1 GT", "EXISTS f", "EXPIREAT f 1 XX", "EXISTS f", "EXPIREAT f 1 NX", "EXISTS f",
    # numbers at the edge
    "SET g v", "EXPIRE g 9223372036854775807", "EXPIRE g 9223372036854776", "PEXPIRE g 9223372036854775807",
    "EXPIREAT g 9223372036854775807", "EXPIREAT g 9223372036854776", "PEXPIREAT g 9223372036854775807", "PEXPIRETIME g", "EXPIREAT g 9223372036854775",
    "EXPIRETIME g", "EXPIRE g -9223372036854775808", "EXPIRE g 99999999999999999999", "EXPIRE g 1.5", "EXPIRE g", "EXPIRE g 1 NX NX", "TTL", "TTL g g",
    "EXISTS g", "SET h v EX 9223372036854775807", "SET h v PX 9223372036854775807", "SET h v EXAT 9223372036854775807",
    "SETEX h 9223372036854775807 v", "PSETEX h 9223372036854775807 v", "GETEX h EX 9223372036854775807", "EXISTS h", "DBSIZE",
]


@pytest.mark.parametrize("pipelined", [False, True])
def test_replies_as_redis(server, oracle, pipelined):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for raw in (ours, theirs):
            raw.line("FLUSHALL")
        commands = [line.split() for line in COMMANDS]
        if pipelined:
            replies = zip(ours.pipeline(commands), theirs.pipeline(commands))
        else:
            replies = ((ours.call(*c), theirs.call(*c)) for c in commands)
        for n, (c, (a, b)) in enumerate(zip(commands, replies)):
            assert a == b, (n, c)


def test_relative_deadlines(server):
    """EXPIRE, SETEX … count from now; TTL rounds, PTTL does not."""
    c = server.client(decode_responses=True)
    c.flushall()
    now = time.time()
    c.set("a", "v", ex=100), c.set("b", "v", px=100_000), c.setex("c", 100, "v"), c.psetex("d", 100_000, "v")
    c.mset({"e": "v", "f": "v", "g": "v"})
    assert c.expire("e", 100) and c.pexpire("f", 100_000) and c.getex("g", ex=100) == "v"
    spent = time.time() - now
    for key in "abcdefg":
        left = c.pttl(key)
        assert 100_000 - 1000 * (spent + time.time() - now) - 50 <= left <= 100_000, key
        spent_on_ttl = -time.time()
        ttl = c.ttl(key)
        spent_on_ttl += time.time()
        assert abs(ttl - left / 1000) <= 1 + spent_on_ttl, key
        at = c.execute_command("PEXPIRETIME", key)
        assert 1000 * now + 99_990 <= at <= 1000 * (now + spent) + 100_010, key
        assert abs(c.execute_command("EXPIRETIME", key) - at / 1000) <= 1, key


def test_short_deadlines_are_kept(server):
    """A key is there until its time and never after it. A shard reads the clock once in a turn: where it is
    made to wait in the middle of one, that counts as the time that it has read."""
    c = server.client()
    c.flushall()
    for i in range(8):
        key, late = "short:%d" % i, 0
        begin = time.time()
        c.set(key, "v", px=100)
        sent = time.time()
        while True:
            asked = time.time()
            there = c.exists(key)
            if time.time() < begin + 0.05:
                assert there, "gone too early"
            if asked > sent + 0.102:
                late += 1
                if not there:
                    break
                assert late < 3, "still there"


def test_fields_expire_by_themselves(server):
    """Fields of many small hashes, and of a large one, vanish after their deadline though nobody touches
    them; a hash that is left empty goes; others are served meanwhile."""
    c = server.client(decode_responses=True)
    small, large = 2000, 100_000
    with Raw(server.port) as raw, Raw(server.port) as other:
        before = None

        def act(deadline):
            nonlocal before
            c.flushall()
            raw.call("SET", "stays", "here")
            before = c.info("stats")["expired_subkeys"]
            raw.pipeline(["HSET", "small:%d" % i, "a", "1", "b", "2"] for i in range(small))
            for i in range(0, large, 1000):
                pairs = [w for j in range(i, i + 1000) for w in ("f%d" % j, "v")]
                raw.call("HSET", "large", *pairs)
            at = str(int(deadline * 1000))
            raw.pipeline(["HPEXPIREAT", "small:%d" % i, at, "FIELDS", "2" if i % 2 else "1", "a"]
                         + (["b"] if i % 2 else []) for i in range(small))
            for i in range(0, large - 1, 1000):
                fields = ["f%d" % j for j in range(i, min(i + 1000, large - 1))]
                raw.call("HPEXPIREAT", "large", at, "FIELDS", str(len(fields)), *fields)
        in_time(act)
        wait_for_size(raw, small // 2 + 2, [other])

        def all_are_gone():
            assert other.call("GET", "stays")[1] == b"here"
            return c.info("stats")["expired_subkeys"] - before == 3 * small // 2 + large - 1
        wait_until(all_are_gone)
        assert c.hgetall("large") == {"f%d" % (large - 1): "v"}
        assert c.hgetall("small:0") == {"b": "2"}
