"""A recorded history of one-key operations has an order that respects real time (linearizability).

Clients work on a few keys, each operation with the moments at which it was sent and answered; every
value written is unique. Then, for each key, an order is looked for in which every answer is the one
that a single thread would have given: Wing and Gong's search (1993) with Lowe's memory of the states
seen (2017). Some clients vanish before they are answered; what they wrote, they wrote in one with a
key of its own, which tells later whether it happened. HISTORY_SEED is the first seed, HISTORY_OPS the
number of operations of each client.
"""
import os
import random
import socket
import struct
import threading
import time

import pytest
from conftest import RACE_SHARDS, _check_end, start_server
from patience import PATIENCE_SECONDS
from rawresp import Raw, encode, plain

SEED = int(os.environ.get("HISTORY_SEED", "1"))
OPS = int(os.environ.get("HISTORY_OPS", "150"))
CLIENTS, KEYS = 8, 3
ANY = object()  # the answer that nobody got

SWAP = "local old = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1]) return old"
COMPARE = """if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end
return 0"""


# --- operations: how they are sent, and what they do to a register -------------------------------

def get(raw, key, _old, _new):
    return plain(raw.call("GET", key))


def swap(raw, key, _old, new):
    return plain(raw.call("GETSET", key, new))


def put(raw, key, _old, new):
    return plain(raw.call("SET", key, new))


def take(raw, key, _old, _new):
    return plain(raw.call("GETDEL", key))


def put_if_absent(raw, key, _old, new):
    return plain(raw.call("SETNX", key, new))


def swap_in_exec(raw, key, _old, new):
    raw.pipeline([["MULTI"], ["GET", key], ["SET", key, new]])
    return plain(raw.call("EXEC"))[0]


def swap_in_script(raw, key, _old, new):
    return plain(raw.call("EVAL", SWAP, 1, key, new))


def compare_in_script(raw, key, old, new):
    return plain(raw.call("EVAL", COMPARE, 1, key, old, new))


def pair(raw, key, _old, new):
    """As a part of a command over several shards."""
    return plain(raw.call("MSET", key, new, "side:" + new, 1))


def look_far(raw, key, _old, _new):
    return plain(raw.call("MGET", "side:x", key))[1]


# name: (state, old, new) -> (answer, next state)
MODEL = {
    get: lambda s, old, new: (s, s), look_far: lambda s, old, new: (s, s),
    put: lambda s, old, new: ("OK", new), pair: lambda s, old, new: ("OK", new),
    swap: lambda s, old, new: (s, new), swap_in_exec: lambda s, old, new: (s, new),
    swap_in_script: lambda s, old, new: (s, new), take: lambda s, old, new: (s, None),
    put_if_absent: lambda s, old, new: (1, new) if s is None else (0, s),
    compare_in_script: lambda s, old, new: (1, new) if s == old else (0, s),
}


class Operation:
    def __init__(self, kind, old, new, sent, answered, answer):
        self.kind, self.old, self.new = kind, old, new
        self.sent, self.answered, self.answer = sent, answered, answer

    def __repr__(self):
        return "%s(%s, %s) = %s" % (self.kind.__name__, self.old, self.new, "?" if self.answer is ANY else self.answer)


# --- the search ----------------------------------------------------------------------------------

def linearizable(operations, state=None):
    """Whether there is an order. Looks only at operations that may come next: sent before the first
    answer among those that are left."""
    operations = sorted(operations, key=lambda o: o.sent)
    seen, stack = set(), [(0, frozenset(), state)]  # all before index are done, and these besides
    while stack:
        first, ahead, state = stack.pop()
        while first in ahead:
            ahead -= {first}
            first += 1
        if first == len(operations):
            return True
        if (first, ahead, state) in seen:
            continue
        seen.add((first, ahead, state))
        limit, left = operations[first].answered, []
        for i in range(first, len(operations)):
            if operations[i].sent > limit:
                break  # and so are all behind it
            if i not in ahead:
                left.append(i)
                limit = min(limit, operations[i].answered)
        for i in left:
            o = operations[i]
            if o.sent > limit:
                break
            answer, after = MODEL[o.kind](state, o.old, o.new)
            if o.answer is ANY or answer == o.answer:
                stack.append((first, ahead | {i}, after))
    return False


def test_the_search_finds_violations():
    """The checker can fail: a read that comes after a newer one was answered."""
    def o(kind, new, sent, answered, answer):
        return Operation(kind, None, new, sent, answered, answer)
    fine = [o(put, "a", 0, 10, "OK"), o(put, "b", 5, 15, "OK"), o(get, None, 6, 7, "b"), o(get, None, 11, 12, "a")]
    assert linearizable(fine)
    assert not linearizable(fine + [o(get, None, 13, 14, None)])
    assert not linearizable([o(put, "a", 0, 1, "OK"), o(get, None, 2, 3, None)])
    stale = [o(put, "a", 0, 1, "OK"), o(put, "b", 2, 9, "OK"), o(get, None, 3, 4, "b"), o(get, None, 5, 6, "a")]
    assert not linearizable(stale)
    lost = [o(put, "a", 0, 1, "OK"), o(put, "b", 2, 9, ANY)]
    assert linearizable(lost + [o(get, None, 3, 4, "a"), o(get, None, 5, 6, "b")])
    assert not linearizable(lost + [o(get, None, 3, 4, "b"), o(get, None, 5, 6, "a")])
    assert not linearizable(lost + [o(get, None, 10, 11, "a")])


# --- recording -----------------------------------------------------------------------------------

@pytest.fixture(scope="module", params=[(n, b) for n in RACE_SHARDS for b in ("io_uring", "epoll")],
                ids=lambda p: "%d-shards-%s" % p)
def recorded(request):
    s = start_server("--io-backend", request.param[1], shards=request.param[0])
    yield s
    _check_end(s)


BOTH = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], 1)"
LOST = [lambda key, new, side: [["MSET", key, new, side, 1]],
        lambda key, new, side: [["MULTI"], ["SET", side, 1], ["SET", key, new], ["EXEC"]],
        lambda key, new, side: [["EVAL", BOTH, 2, key, side, new]]]


def vanish(port, rnd, raw, key, new):
    """Writes, and is gone before the answer; True when it has happened, False when it never will."""
    with Raw(port) as lost:
        number = plain(lost.call("CLIENT", "ID"))
        lost.sock.sendall(b"".join(encode(c) for c in rnd.choice(LOST)(key, new, "lost:" + new)))
        if rnd.random() < 0.5:
            lost.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    while plain(raw.call("CLIENT", "LIST", "ID", number)):
        pass
    return plain(raw.call("EXISTS", "lost:" + new)) == 1


@pytest.mark.parametrize("share", [0, 0.1], ids=["all-stay", "some-vanish"])
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_history(recorded, seed, share):
    undone = []
    history = {"key:%d" % i: [] for i in range(KEYS)}
    kinds = list(MODEL)
    failures = []
    with Raw(recorded.port) as raw:
        raw.call("FLUSHALL")

    def work(number):
        rnd = random.Random(seed * 1000 + number)
        last = {}
        try:
            with Raw(recorded.port) as raw:
                for i in range(OPS):
                    key, kind = rnd.choice(list(history)), rnd.choice(kinds)
                    old, new = last.get(key, "none"), "%d.%d" % (number, i)
                    sent = time.monotonic_ns()
                    if rnd.random() < share:
                        if vanish(recorded.port, rnd, raw, key, new):
                            history[key].append(Operation(put, old, new, sent, time.monotonic_ns(), ANY))
                        else:
                            undone.append("lost:" + new)
                        continue
                    answer = kind(raw, key, old, new)
                    answered = time.monotonic_ns()
                    history[key].append(Operation(kind, old, new, sent, answered, answer))
                    if kind is get and answer is not None:
                        last[key] = answer
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(2 * PATIENCE_SECONDS)
        assert not t.is_alive()
    assert not failures, failures
    if undone:
        with Raw(recorded.port) as raw:
            assert plain(raw.call("EXISTS", *undone)) == 0, "it happened after all"
    for key, operations in history.items():
        assert linearizable(operations), (key, sorted(operations, key=lambda o: o.sent)[:50])
