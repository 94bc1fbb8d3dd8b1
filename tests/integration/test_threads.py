"""Several shards on one thread (shard-threads): the order of commands is the same, and a script that keeps one shard
for long keeps its siblings from nothing."""
import select
import time

import pytest
from patience import PATIENCE_SECONDS
from rawresp import Raw
from test_litmus import RACES, SECONDS, VANISHING, litmus
from test_scripts import BUSY, answer, in_background, wait_until

CASES = [(4, 1), (8, 3)]
NAMES = [f"k{i}" for i in range(64)]


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards,threads", CASES)
def test_one_order(launch, shards, threads, backend):
    s = launch("--io-backend", backend, shards=shards, threads=threads)
    results, code = litmus(s.port, seconds=SECONDS / 2)
    assert list(results) == RACES
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    assert min(rounds for rounds, _ in results.values()) > 0


@pytest.mark.parametrize("shards,threads", CASES)
def test_one_order_however_often_scripts_share(launch, shards, threads):
    """Whatever its siblings have begun when a script lets them in."""
    s = launch(shards=shards, threads=threads)
    assert s.client().execute_command("DEBUG SLICES", 16, 0)
    results, code = litmus(s.port, seconds=SECONDS / 2)
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0


def test_one_order_though_clients_vanish(launch):
    s = launch(shards=8, threads=3)
    results, code = litmus(s.port, "--kill", seconds=SECONDS / 3)
    assert list(results) == VANISHING
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    client = s.client()
    end = time.monotonic() + 60
    while client.info("clients")["connected_clients"] > 1:
        assert time.monotonic() < end, "connections are left over"
        time.sleep(0.05)


def served(server):
    """How many of the keys are answered for, none of the others with anything but BUSY."""
    replies = [answer(server, "GET", name) for name in NAMES]
    assert all(r in (("-", BUSY), ("$", b"v")) for r in replies)
    return sum(r == ("$", b"v") for r in replies)


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
def test_scripts_on_top_of_each_other(launch, backend):
    """Two shards of one thread are busy: the others are served, and both scripts can be ended."""
    s = launch("--io-backend", backend, "--busy-reply-threshold", "10", shards=8, threads=1)
    for name in NAMES:
        answer(s, "SET", name, "v")
    first, first_result = in_background(s, "EVAL", "while true do end", 1, NAMES[0])
    wait_until(lambda: answer(s, "GET", NAMES[0]) == ("-", BUSY))
    other = next(name for name in NAMES if answer(s, "GET", name) == ("$", b"v"))
    with_one = served(s)
    second, second_result = in_background(s, "EVAL", "while true do end", 1, other)
    wait_until(lambda: answer(s, "GET", other) == ("-", BUSY))
    assert 0 < served(s) < with_one < len(NAMES)
    assert answer(s, "SCRIPT", "KILL") == ("+", "OK")
    first.join()
    second.join()
    for result in (first_result, second_result):
        assert "Script killed by user with SCRIPT KILL" in result[0][1]
    assert served(s) == len(NAMES)


def test_before_a_script_is_busy(launch):
    """Siblings need not wait until the script is known to be busy: connections at home there, keys that lie there."""
    s = launch("--busy-reply-threshold", "600000", shards=8, threads=1)
    connections = [Raw(s.port) for _ in range(16)]
    thread, _ = in_background(s, "EVAL", "while true do end", 1, "{stop}")
    for i, c in enumerate(connections):
        c.send("GET", f"k{i}")
    assert select.select([c.sock for c in connections], [], [], PATIENCE_SECONDS)[0]
    s.process.terminate()
    thread.join()
    for c in connections:
        c.close()
