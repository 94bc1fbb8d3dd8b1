"""Races over keys of many shards (tests/litmus/litmus.c) whose outcomes only one order allows.

LITMUS_SECONDS is the time for each race (0.35 by default). The canaries show that each race can
find a violation where there is one: they send the commands of every pair the other way round.
"""
import os
import re
import subprocess
import time

import pytest
from conftest import BINARY

LITMUS = os.path.join(os.path.dirname(BINARY), "tests", "litmus")
SECONDS = float(os.environ.get("LITMUS_SECONDS", "0.35"))
RACES = subprocess.run([LITMUS, "0", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
# Those that clients may vanish in.
VANISHING = subprocess.run([LITMUS, "0", "--list", "--kill"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
CANARY_SECONDS = 1
CANARY_TRIES = 8


def litmus(port, *args, seconds):
    """{race: (rounds, violations)} and the exit code."""
    run = subprocess.run([LITMUS, str(port), "--seconds", str(seconds), *args], timeout=600,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.findall(r"^(\w+) +(\d+) rounds, (\d+) violations$", run.stdout, re.M)
    assert run.returncode in (0, 1) and found, run.stdout
    return {name: (int(rounds), int(bad)) for name, rounds, bad in found}, run.returncode


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_one_order(launch, shards, backend):
    s = launch("--io-backend", backend, shards=shards)
    results, code = litmus(s.port, seconds=SECONDS)
    assert list(results) == RACES
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    assert min(rounds for rounds, _ in results.values()) > 0
    assert s.client().info("server")["io_backend"] == backend


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_one_order_though_clients_vanish(launch, shards, backend):
    s = launch("--io-backend", backend, shards=shards)
    results, code = litmus(s.port, "--kill", seconds=SECONDS / 2)
    assert list(results) == VANISHING
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    client = s.client()
    end = time.monotonic() + 60
    while client.info("clients")["connected_clients"] > 1:
        assert time.monotonic() < end, "connections are left over"
        time.sleep(0.05)


# Nothing is small: every value is of the encoding that commands go through in slices.
LARGE = ["--list-max-listpack-size", "1", "--hash-max-listpack-entries", "0", "--set-max-intset-entries", "0",
         "--set-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--stream-node-max-entries", "1"]


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", [1, 2, 4, 8])
@pytest.mark.parametrize("vanish", [[], ["--kill"]], ids=["all-stay", "some-vanish"])
def test_one_order_in_slices(launch, vanish, shards, backend):
    """Commands are left in the middle wherever that is possible (shards/slices.h)."""
    s = launch("--io-backend", backend, *LARGE, shards=shards)
    client = s.client()
    assert client.execute_command("DEBUG SLICES", 1, 0)
    results, code = litmus(s.port, *vanish, seconds=SECONDS / 2)
    assert list(results) == (VANISHING if vanish else RACES)
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    shard_rows = [row for row in client.info("shards").values() if isinstance(row, dict)]
    assert sum(row["commands_sliced"] for row in shard_rows) > 0


@pytest.mark.parametrize("race", RACES)
def test_canary_is_found(launch, race):
    s = launch(shards=4)
    for attempt in range(CANARY_TRIES):
        results, code = litmus(s.port, "--canary", "--test", race, "--seed", str(attempt + 1),
                               seconds=CANARY_SECONDS)
        if results[race][1] > 0:
            assert code == 1
            return
    pytest.fail(f"{CANARY_TRIES} tries of a second each, and no violation found")
