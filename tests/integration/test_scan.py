"""SCAN: whatever stays during a whole scan is returned, while tables grow, shrink and split.

The cursor says more of our own tables than of Redis's, so replies are checked, not compared; only
filters and errors stand beside the oracle.
"""
import random

import pytest
import redis
from rawresp import Raw, plain

CALLS_MAX = 2_000_000  # a scan that does not end fails here


def scan(raw, *options, cursor="0", step=None):
    """All names, with repetitions; step(call number) runs between the calls."""
    out = []
    for n in range(CALLS_MAX):
        cursor, names = plain(raw.call("SCAN", cursor, *options))
        out += names
        if cursor == "0":
            return out
        if step:
            step(n)
    raise AssertionError("SCAN has no end")


def fill(raw, names, value="v"):
    names = list(names)
    for i in range(0, len(names), 10000):
        replies = raw.pipeline(["MSET"] + [x for n in names[j:j + 100] for x in (n, value)]
                               for j in range(i, min(i + 10000, len(names)), 100))
        assert set(replies) == {("+", "OK")}


def delete(raw, names):
    names = list(names)
    replies = raw.pipeline(["UNLINK"] + names[i:i + 500] for i in range(0, len(names), 500))
    assert sum(n for _, n in replies) == len(names)


@pytest.fixture
def raw(server):
    with Raw(server.port) as r:
        assert r.line("FLUSHALL") == ("+", "OK")
        yield r


def repeated(found):
    return len(found) - len(set(found))


@pytest.mark.parametrize("count", [1, 10, 1000, 10**9])
def test_nothing_missing_at_rest(raw, count):
    names = ["rest:%d" % i for i in range(3000)] + ["{t}%d" % i for i in range(2000)]
    fill(raw, names)
    assert sorted(scan(raw, "COUNT", count)) == sorted(names)  # and nothing twice: nothing moved


def test_growth_from_nothing(raw):
    """200k keys arrive while one scan goes on; what was there before it began must be returned."""
    early = ["early:%d" % i for i in range(500)]
    late = iter(range(200_000))
    fill(raw, early)

    def grow(_):
        batch = [i for _, i in zip(range(2000), late)]
        if batch:
            fill(raw, ["late:%d" % i for i in batch])

    found = scan(raw, "COUNT", 10, step=grow)
    assert set(early) <= set(found)
    for i in late:  # the scan may have come to its end first
        fill(raw, ["late:%d" % j for j in [i] + [j for _, j in zip(range(9999), late)]])
    assert plain(raw.line("DBSIZE")) == 200_500
    found = scan(raw, "COUNT", 1000)
    assert sorted(found) == sorted(early + ["late:%d" % i for i in range(200_000)])


def test_one_hash_tag_and_spread_keys_grow_and_shrink(raw):
    """One slot holds 50k keys: its table splits while it is scanned, and most of it goes again."""
    stay = ["{x}stay:%d" % i for i in range(1500)] + ["stay:%d" % i for i in range(1500)]
    tagged, spread = ["{x}go:%d" % i for i in range(50_000)], ["go:%d" % i for i in range(50_000)]
    fill(raw, stay)
    arriving = iter([tagged[i:i + 1000] + spread[i:i + 1000] for i in range(0, 50_000, 1000)])

    found = scan(raw, "COUNT", 20, step=lambda _: fill(raw, next(arriving, [])))
    assert set(stay) <= set(found)
    for rest in arriving:
        fill(raw, rest)
    assert sorted(scan(raw, "COUNT", 5000)) == sorted(stay + tagged + spread)
    assert sorted(scan(raw, "COUNT", 5000, "MATCH", "{x}*")) == sorted(
        [n for n in stay + tagged if n.startswith("{x}")])

    leaving = iter([tagged[i:i + 1000] + spread[i:i + 1000] for i in range(0, 50_000, 1000)])
    found = scan(raw, "COUNT", 1500, step=lambda _: delete(raw, next(leaving, [])))
    assert set(stay) <= set(found)
    for rest in leaving:
        delete(raw, rest)
    assert sorted(set(scan(raw))) == sorted(stay)
    assert plain(raw.line("DBSIZE")) == len(stay)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_changes_during_scans(raw, seed):
    """Scans with random COUNTs while others come and go in waves, in one slot and in all."""
    rnd = random.Random(seed)
    stay = ["%sstay:%d" % (rnd.choice(["", "{x}", "{y}"]), i) for i in range(800)]
    fill(raw, stay)
    alive = set()

    def wave(_):
        if rnd.random() < 0.5:
            new = {"%sgo:%d" % (rnd.choice(["", "{x}", "{y}"]), rnd.randrange(10**6)) for _ in range(600)}
            fill(raw, new)
            alive.update(new)
        elif alive:
            old = rnd.sample(sorted(alive), len(alive) * rnd.choice([1, 9]) // 10)
            delete(raw, old)
            alive.difference_update(old)

    for _ in range(4):
        count = rnd.choice([3, 30, 300])
        steps = iter(range(100))  # waves end, so that the scan does
        found = scan(raw, "COUNT", count, step=lambda n: wave(n) if next(steps, None) is not None else None)
        assert set(stay) <= set(found), seed
    assert set(scan(raw)) == set(stay) | alive
    assert plain(raw.line("DBSIZE")) == len(stay) + len(alive)


def test_nearly_nothing_twice(raw):
    names = ["n:%d" % i for i in range(5000)]
    fill(raw, names)
    more = iter(range(20_000))
    found = scan(raw, "COUNT", 50,
                 step=lambda _: fill(raw, ["m:%d" % i for _, i in zip(range(300), more)]))
    twice = repeated([n for n in found if n.startswith("n:")])
    assert set(names) <= set(found)
    assert twice <= len(names) // 20


def test_count_bounds_the_work_of_one_call(raw):
    fill(raw, ["b:%d" % i for i in range(20_000)] + ["{b}%d" % i for i in range(20_000)])
    cursor = "0"
    for _ in range(CALLS_MAX):
        cursor, names = plain(raw.call("SCAN", cursor, "COUNT", "10"))
        assert len(names) <= 100
        if cursor == "0":
            return


def test_filters(server, oracle):
    patterns = ["*", "a*", "*9", "a?1", "[ab]1", "[^a]*", "\\*", "h[a-c]llo", "", "nothing*", "{t}*",
                "{t}a*", "*{t}*", "a1"]
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for raw in (ours, theirs):
            raw.line("FLUSHALL")
            fill(raw, ["a%d" % i for i in range(120)] + ["b%d" % i for i in range(50)] +
                 ["{t}%s" % c for c in "abc1"] + ["*", "hbllo", "\\", ""])
        for pattern in patterns:
            for extra in ([], ["COUNT", "7"], ["COUNT", "1000", "TYPE", "string"], ["TYPE", "STRING"],
                          ["TYPE", "list"], ["TYPE", "nosuch"]):
                assert sorted(scan(ours, "MATCH", pattern, *extra)) == sorted(
                    scan(theirs, "MATCH", pattern, *extra)), (pattern, extra)
            assert sorted(plain(ours.call("KEYS", pattern))) == sorted(plain(theirs.call("KEYS", pattern)))


def test_expired_names_are_not_returned(raw):
    fill(raw, ["e:%d" % i for i in range(200)])
    raw.pipeline(["PEXPIREAT", "e:%d" % i, 1] for i in range(0, 200, 2))
    assert sorted(scan(raw)) == sorted("e:%d" % i for i in range(1, 200, 2))


def test_databases_are_scanned_apart(raw):
    fill(raw, ["zero:%d" % i for i in range(100)])
    raw.line("SELECT 1")
    fill(raw, ["one:%d" % i for i in range(100)])
    assert set(scan(raw)) == {"one:%d" % i for i in range(100)}
    raw.line("SELECT 0")
    assert set(scan(raw)) == {"zero:%d" % i for i in range(100)}
    raw.line("SELECT 15")
    assert scan(raw) == []


ERRORS = [
    ["SCAN"], ["SCAN", "x"], ["SCAN", "-1"], ["SCAN", ""], ["SCAN", "18446744073709551616"],
    ["SCAN", "1 "], ["SCAN", " 1"], ["SCAN", "0x1"], ["SCAN", "0", "COUNT"], ["SCAN", "0", "COUNT", "0"],
    ["SCAN", "0", "COUNT", "-5"], ["SCAN", "0", "COUNT", "x"], ["SCAN", "0", "MATCH"],
    ["SCAN", "0", "TYPE"], ["SCAN", "0", "NOSUCH", "1"], ["SCAN", "0", "COUNT", "99999999999999999999"],
    ["SCAN", "x", "COUNT", "x"],
]


@pytest.mark.parametrize("command", ERRORS, ids=" ".join)
def test_errors_as_redis(server, oracle, command):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        a, b = ours.call(*command), theirs.call(*command)
        if b[0] == "-":
            assert a == b
        else:  # Redis takes it as a number
            assert a[0] == "*"


def test_garbage_cursors(raw):
    """Any 64-bit cursor is answered, by names that exist, and leads to an end."""
    names = {"g:%d" % i for i in range(3000)} | {"{g}%d" % i for i in range(6000)}
    fill(raw, names)
    rnd = random.Random(7)
    cursors = [1, 2, 16383, 16384, 2**31, 2**32, 2**48 - 1, 2**48, 2**63 - 1, 2**63, 2**64 - 1]
    cursors += [rnd.getrandbits(64) for _ in range(30)] + [1 << i for i in range(0, 64, 5)]
    for c in cursors:
        found = scan(raw, "COUNT", 2000, cursor=str(c))
        assert set(found) <= names, c


def test_redis_py_iterates(server):
    c = server.client(decode_responses=True)
    c.flushall()
    c.mset({"it:%d" % i: i for i in range(1234)})
    assert sorted(c.scan_iter(match="it:*", count=17, _type="string")) == sorted("it:%d" % i for i in range(1234))
    with pytest.raises(redis.ResponseError):
        c.execute_command("SCAN", "0", "COUNT")
