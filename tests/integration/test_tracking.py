"""CLIENT TRACKING: what caches are told, and when, with shards between those who read and who write.

TRACKING_SECONDS is the time that each storm of clients lasts.
"""
import os
import random
import threading
import time

import pytest
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, plain

SECONDS = float(os.environ.get("TRACKING_SECONDS", "1.5"))


class Cache(Raw):
    """A RESP3 connection that keeps pushes apart from replies."""

    def __init__(self, port, *options):
        super().__init__(port, resp=3)
        self.pushes = []
        self.values = {}
        self.id = plain(self.call("CLIENT", "ID"))
        if options:
            assert plain(self.call("CLIENT", "TRACKING", "ON", *options[1:])) == "OK"

    def read(self):
        while True:
            reply = super().read()
            if reply[0] != ">":
                return reply
            self.pushes.append(plain(reply))
            kind, keys = self.pushes[-1][0], self.pushes[-1][1]
            assert kind in ("invalidate", "tracking-redir-broken"), reply
            if keys is None:
                self.values.clear()
            elif kind == "invalidate":
                for key in keys:
                    self.values.pop(key, None)

    def get(self, key):
        """Asks again although it may be cached, and says what was cached when the answer came."""
        value = plain(self.call("GET", key))
        cached = self.values.get(key, value)
        self.values[key] = value
        return value, cached

    def wait(self, count, seconds=PATIENCE_SECONDS):
        end = time.monotonic() + seconds
        while len(self.pushes) < count and time.monotonic() < end:
            self.call("PING")
            time.sleep(0.005)
        return [p[1] for p in self.pushes]


KEYS = ["key:%d" % i for i in range(12)]


def blow(threads, seconds=SECONDS + PATIENCE_SECONDS):
    failures = []

    def guarded(step):
        try:
            step()
        except BaseException as e:  # assertions belong to the test's thread
            failures.append(e)

    running = [threading.Thread(target=guarded, args=(t,), daemon=True) for t in threads]
    for t in running:
        t.start()
    for t in running:
        t.join(seconds)
        assert not t.is_alive(), "a client hangs"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("options", [["on"], ["on", "BCAST"], ["on", "NOLOOP"]], ids=" ".join)
def test_no_cache_is_stale(server, options):
    """Whoever is answered a new value has been told before that the one it held is not valid."""
    end = time.monotonic() + SECONDS
    checked = []

    def reader(seed):
        def run():
            rnd = random.Random(seed)
            with Cache(server.port, *options) as c:
                while time.monotonic() < end:
                    key = rnd.choice(KEYS)
                    value, cached = c.get(key)
                    assert value == cached, (key, value, cached)
                    checked.append(1)
        return run

    def writer(seed):
        def run():
            rnd = random.Random(seed)
            with Raw(server.port) as raw:
                n = 0
                while time.monotonic() < end:
                    n += 1
                    a, b = rnd.sample(KEYS, 2)
                    raw.call(*rnd.choice([
                        ("SET", a, n), ("INCR", a), ("MSET", a, n, b, n), ("RENAME", a, b), ("DEL", a, b),
                        ("COPY", a, b, "REPLACE"), ("GETDEL", a),
                    ]))
                    if n % 400 == 0:
                        raw.call("FLUSHALL")
        return run

    blow([reader(i) for i in range(5)] + [writer(i) for i in range(3)])
    assert checked


def test_pipelines_see_invalidations_in_place(server):
    """Within one pipeline, too: GET, a write by another connection, GET."""
    with Cache(server.port, "on") as cache, Raw(server.port) as other:
        for round_ in range(200):
            for key in KEYS:
                cache.get(key)
            other.pipeline([("SET", key, round_) for key in KEYS])
            for key in KEYS:
                value, cached = cache.get(key)
                assert value == cached == str(round_)


def test_own_changes_come_behind_the_reply(server):
    with Cache(server.port, "on") as c:
        for key in KEYS:
            c.get(key)
            c.send("SET", key, "x")
            assert super(Cache, c).read() == ("+", "OK")
            assert plain(super(Cache, c).read()) == ["invalidate", [key]]


def test_noloop(server):
    with Cache(server.port, "on", "NOLOOP") as c, Raw(server.port) as other:
        c.get("key:1")
        c.call("SET", "key:1", 1)
        c.get("key:1")
        other.call("SET", "key:1", 2)
        assert c.wait(1) == [["key:1"]]


def test_prefixes(server):
    with Cache(server.port, "on", "BCAST", "PREFIX", "a:", "PREFIX", "b:") as c, Raw(server.port) as w:
        w.call("MSET", "a:1", 1, "c:1", 1)
        assert c.wait(1) == [["a:1"]]
        w.call("SET", "b:2", 1)
        assert c.wait(2)[1] == ["b:2"]
        assert plain(c.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a:x"))\
            .startswith("ERR Prefix 'a:x' overlaps with an existing prefix 'a:'")
        info = plain(c.line("CLIENT TRACKINGINFO"))
        info = dict(info) if isinstance(info, list) and info and isinstance(info[0], tuple) else info
        assert sorted(dict(info)["prefixes"]) == ["a:", "b:"]
        c.call("CLIENT", "TRACKING", "OFF")
        w.call("SET", "a:1", 2)
        time.sleep(0.05)
        assert len(c.wait(3, 0.1)) == 2


def test_redirect_over_homes(server):
    """Six targets, six trackers: whatever their homes, the target is told, in RESP2 and RESP3."""
    with Raw(server.port) as w:
        for resp in (2, 3):
            for i in range(6):
                with Raw(server.port, resp=resp) as target, Raw(server.port) as tracker:
                    target_id = plain(target.call("CLIENT", "ID"))
                    if resp == 2:
                        target.call("SUBSCRIBE", "__redis__:invalidate")
                    key = "redir:%d:%d" % (resp, i)
                    w.call("SET", key, 1)
                    assert plain(tracker.call("CLIENT", "TRACKING", "ON", "REDIRECT", target_id)) == "OK"
                    assert plain(tracker.call("CLIENT", "GETREDIR")) == target_id
                    tracker.call("GET", key)
                    w.call("SET", key, 2)
                    got = plain(target.read())
                    want = ["message", "__redis__:invalidate", [key]] if resp == 2 \
                        else ["invalidate", [key]]
                    assert got == want
                    target.close()


def test_limit_of_the_table(server, client):
    client.config_set("tracking-table-max-keys", 50)
    try:
        with Cache(server.port, "on") as c:
            for i in range(200):
                c.get("many:%d" % i)
            told = [k for keys in c.wait(150) for k in keys]
            assert len(told) >= 150 and len(set(told)) == len(told)
            assert client.info("stats")["tracking_total_keys"] <= 50
    finally:
        client.config_set("tracking-table-max-keys", 1000000)


def test_nothing_is_left_behind(server, client):
    caches = [Cache(server.port, "on", *(["BCAST", "PREFIX", "p%d" % i] if i % 2 else []))
              for i in range(8)]
    for c in caches:
        c.get("left:1")
    assert client.info("clients")["tracking_clients"] == 8
    for c in caches:
        c.close()
    client.set("left:1", 1)
    wait_until(lambda: client.info("clients")["tracking_clients"] == 0, "no caches")
    wait_until(lambda: client.info("stats")["tracking_total_prefixes"] == 0, "no prefixes")
