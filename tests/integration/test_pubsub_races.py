"""Pub/Sub under load: many publishers and subscribers on all shards, subscribers that come, go and are
killed. What must hold: every subscriber of a channel sees its messages in one order, without gaps or
repetition between its confirmation and its unsubscription; what PUBLISH replies is what is delivered.

Every message carries who sent it and its number. One thread per connection; a subscriber's reader
stops at an end marker that is published when all publishers are through.
"""
import os
import random
import threading

import pytest

from conftest import RACE_SHARDS, start_server
from patience import PATIENCE_SECONDS
from rawresp import Raw

CHANNELS = 7
PUBLISHERS = 6
MESSAGES = int(os.environ.get('ASHLAR_PUBSUB_MESSAGES', '400'))
BATCH = 20


@pytest.fixture(params=RACE_SHARDS, ids=lambda n: '%d-shards' % n)
def launched(request):
    s = start_server(shards=request.param)
    yield s
    assert s.process.poll() is None, s.log()[-3000:]
    assert s.stop() == 0, s.final_log[-3000:]


def in_threads(functions):
    errors = []

    def run(f):
        try:
            f()
        except BaseException as e:
            errors.append(e)
            raise
    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join(2 * PATIENCE_SECONDS)
        assert not t.is_alive(), 'it hangs'
    assert not errors, errors


def publisher(port, who, totals):
    """Publishes numbered messages to random channels, pipelined; adds up the receivers."""
    rng = random.Random(who)
    with Raw(port) as c:
        number = 0
        while number < MESSAGES:
            batch = []
            for _ in range(BATCH):
                channel = rng.randrange(CHANNELS)
                batch.append(['PUBLISH', 'ch%d' % channel, '%d %d' % (who, number)])
                number += 1
            for command, reply in zip(batch, c.pipeline(batch)):
                assert reply[0] == ':'
                totals[command[1]] = totals.get(command[1], 0) + reply[1]


def take(c, got):
    """Reads one push or reply; messages go to got[channel]. False at the end marker."""
    kind, value = c.read()
    words = [x[1] for x in value]
    if words[0] in (b'message', b'pmessage'):
        if words[-1] == b'END':
            return False
        got.setdefault((words[0], words[-2].decode()), []).append(words[-1])
    return True


def subscriber(port, resp, patterns, ready, seen):
    with Raw(port, resp) as c:
        names = ['ch%d' % i for i in range(CHANNELS)] + ['end']
        c.send('SUBSCRIBE', *names)
        for _ in names:
            c.read()
        if patterns:
            c.call('PSUBSCRIBE', 'ch*')
        ready.wait()
        got = {}
        while take(c, got):
            pass
        seen.append(got)


def end_readers(port):
    with Raw(port) as c:
        c.call('PUBLISH', 'end', 'END')


def test_one_order_and_nothing_lost(launched):
    port = launched.port
    subs, seen, totals = 8, [], [{} for _ in range(PUBLISHERS)]
    ready = threading.Barrier(subs + 1)

    def publish_all():
        ready.wait()
        in_threads([lambda w=w: publisher(port, w, totals[w]) for w in range(PUBLISHERS)])
        end_readers(port)
    in_threads([publish_all] + [
        lambda n=n: subscriber(port, 2 + n % 2, n % 4 == 0, ready, seen) for n in range(subs)])
    assert len(seen) == subs
    delivered = {}
    for channel in ('ch%d' % i for i in range(CHANNELS)):
        lists = [got[b'message', channel] for got in seen]
        assert all(one == lists[0] for one in lists), 'two orders on one channel'
        for got in seen: # the end marker is ordered behind messages of its own channel only
            if (b'pmessage', channel) in got:
                assert got[b'pmessage', channel] == lists[0]
        for who in range(PUBLISHERS):
            numbers = [int(m.split()[1]) for m in lists[0] if int(m.split()[0]) == who]
            assert numbers == sorted(numbers)
        delivered[channel] = sum(len(x) for got in seen for k, x in got.items() if k[1] == channel)
    for channel, n in delivered.items():
        assert n == sum(t.get(channel, 0) for t in totals)
    assert sum(len(got[b'message', 'ch%d' % i]) for got in seen for i in range(CHANNELS)) == \
        subs * PUBLISHERS * MESSAGES


def comer_and_goer(port, seed, stop, counted):
    """Subscribes and unsubscribes in pipelines: messages of a channel come only in between."""
    rng = random.Random(seed)
    with Raw(port, 3) as c:
        on, expected = {}, []
        while not stop.is_set():
            commands = []
            for _ in range(rng.randrange(1, 6)):
                name = 'ch%d' % rng.randrange(CHANNELS)
                commands.append([rng.choice(['SUBSCRIBE', 'UNSUBSCRIBE']), name])
            commands.append(['PING'])
            for command in commands:
                c.send(*command)
            while True:
                kind, value = c.read()
                if (kind, value) == ('+', 'PONG'):
                    break
                words = [x[1] for x in value]
                name = words[1].decode()
                if words[0] == b'subscribe':
                    on.setdefault(name, {})
                elif words[0] == b'unsubscribe':
                    on.pop(name, None)
                else:
                    assert words[0] == b'message' and name in on, (words, sorted(on))
                    who, number = map(int, words[2].split())
                    assert number > on[name].get(who, -1), 'out of order'
                    on[name][who] = number
                    counted[0] += 1


def test_messages_come_between_confirmations(launched):
    port = launched.port
    stop, counted = threading.Event(), [0]

    def publish_all():
        for round_ in range(100):
            if round_ >= 3 and counted[0] > 0:
                break
            in_threads([lambda w=w: publisher(port, w + 100 * round_, {}) for w in range(PUBLISHERS)])
        stop.set()
    in_threads([publish_all] + [lambda n=n: comer_and_goer(port, n, stop, counted) for n in range(8)])
    assert counted[0] > 0


def test_subscribers_are_killed_in_the_middle(launched):
    port = launched.port
    stop = threading.Event()
    over = []  # victims that have ended: the killer goes on until then, or the last ones would wait for messages

    def victim(seed):
        rng = random.Random(seed)
        while not stop.is_set():
            try:
                with Raw(port, rng.choice([2, 3])) as c:
                    c.send('SUBSCRIBE', *['ch%d' % i for i in range(rng.randrange(1, CHANNELS + 1))])
                    c.send('PSUBSCRIBE', 'ch*', 'x%d' % seed)
                    c.send('SSUBSCRIBE', 'ch%d' % seed)
                    for _ in range(rng.randrange(0, 60)):
                        c.read()
                    if rng.random() < 0.3:
                        c.send('UNSUBSCRIBE')
                        c.send('RESET')
            except OSError:
                pass
            except EOFError:
                pass

    def counted_victim(seed):
        try:
            victim(seed)
        finally:
            over.append(seed)

    def killer():
        with Raw(port) as c:
            while len(over) < 8:
                assert c.call('CLIENT', 'KILL', 'TYPE', 'pubsub')[0] == ':'

    def publish_all():
        for round_ in range(2):
            in_threads([lambda w=w: publisher(port, w, {}) for w in range(PUBLISHERS)])
        stop.set()
    in_threads([publish_all, killer] + [lambda n=n: counted_victim(n) for n in range(8)])
    with Raw(port) as c:
        while c.call('PUBSUB', 'NUMPAT') != (':', 0) or c.call('PUBSUB', 'CHANNELS') != ('*', []) or \
                c.call('PUBSUB', 'SHARDCHANNELS') != ('*', []):
            pass
        assert b'pubsub_clients:0\r\n' in c.call('INFO', 'clients')[1]
