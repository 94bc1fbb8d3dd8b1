"""Races over keys of many shards (tests/litmus/litmus.c) whose outcomes only one order allows.

LITMUS_SECONDS is the time for each race (0.35 by default); LITMUS_CELLS=all runs those in slices with
every number of shards on every backend, as tests/matrix does. The canaries show that each race can
find a violation where there is one: they send the commands of every pair the other way round.
"""
import os
import re
import subprocess
import time

import pytest
from conftest import BINARY, RACE_SHARDS
from patience import PATIENCE_SECONDS, wait_until

LITMUS = os.path.join(os.path.dirname(BINARY), "tests", "litmus")
SECONDS = float(os.environ.get("LITMUS_SECONDS", "0.35"))
RACES = subprocess.run([LITMUS, "0", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
# Those that clients may vanish in.
VANISHING = subprocess.run([LITMUS, "0", "--list", "--kill"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
CANARY_SECONDS = 1


def litmus(port, *args, seconds):
    """{race: (rounds, violations)} and the exit code."""
    run = subprocess.run([LITMUS, str(port), "--seconds", str(seconds), *args], timeout=10 * PATIENCE_SECONDS,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.findall(r"^(\w+) +(\d+) rounds, (\d+) violations$", run.stdout, re.M)
    assert run.returncode in (0, 1) and found, run.stdout
    return {name: (int(rounds), int(bad)) for name, rounds, bad in found}, run.returncode


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", RACE_SHARDS)
def test_one_order(launch, shards, backend):
    s = launch("--io-backend", backend, shards=shards)
    results, code = litmus(s.port, seconds=SECONDS)
    assert list(results) == RACES
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    assert min(rounds for rounds, _ in results.values()) > 0
    assert s.client().info("server")["io_backend"] == backend


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", RACE_SHARDS)
def test_one_order_though_clients_vanish(launch, shards, backend):
    s = launch("--io-backend", backend, shards=shards)
    results, code = litmus(s.port, "--kill", seconds=SECONDS / 2)
    assert list(results) == VANISHING
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    client = s.client()
    wait_until(lambda: client.info("clients")["connected_clients"] == 1, "no connections are left over")


# Nothing is small: every value is of the encoding that commands go through in slices.
LARGE = ["--list-max-listpack-size", "1", "--hash-max-listpack-entries", "0", "--set-max-intset-entries", "0",
         "--set-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--stream-node-max-entries", "1"]


SLICED = [(n, b) for n in RACE_SHARDS for b in ("io_uring", "epoll")
          if os.environ.get("LITMUS_CELLS") == "all" or b == ("epoll" if n in (2, 8) else "io_uring")]


@pytest.mark.parametrize("shards,backend", SLICED, ids=["%d-%s" % cell for cell in SLICED])
@pytest.mark.parametrize("vanish", [[], ["--kill"]], ids=["all-stay", "some-vanish"])
def test_one_order_in_slices(launch, vanish, shards, backend):
    """Commands are left in the middle wherever that is possible (shards/slices.h)."""
    s = launch("--io-backend", backend, *LARGE, shards=shards)
    client = s.client()
    assert client.execute_command("DEBUG SLICES", 1, 0)
    results, code = litmus(s.port, *vanish, seconds=SECONDS / 4)
    assert list(results) == (VANISHING if vanish else RACES)
    assert {name: bad for name, (_, bad) in results.items() if bad > 0} == {}
    assert code == 0
    shard_rows = [row for row in client.info("shards").values() if isinstance(row, dict)]
    assert sum(row["commands_sliced"] for row in shard_rows) > 0


@pytest.mark.parametrize("race", RACES)
def test_canary_is_found(launch, race):
    s = launch(shards=4)
    end, attempt = time.monotonic() + PATIENCE_SECONDS, 0
    while time.monotonic() < end:
        results, code = litmus(s.port, "--canary", "--test", race, "--seed", str(attempt + 1),
                               seconds=CANARY_SECONDS)
        if results[race][1] > 0:
            assert code == 1
            return
        attempt += 1
    pytest.fail(f"{attempt} tries, and no violation found")
