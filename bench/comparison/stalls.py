"""stalls.py - how long others wait while something large happens.

A probe (bench/probe.c) asks PING and GET of a key on the shard concerned, 2,000 times a second by the
clock, and counts latencies from the moment at which each was due. Meanwhile a value of millions of
members is built, copied, renamed to another shard and back, deleted, and expires; the keyspace
grows; a million keys expire at one moment. Each event is a window of the probe, which goes on until the
server has nothing more to do: what is freed in the background belongs to the event.

Ashlar runs with two shards, so that there is another shard to rename to. Members are sent a hundred
per command, keys sixteen deep, so that the probe does not mainly wait behind long commands.
"""
import json
import subprocess
import time

from . import servers, workloads
from .sections import Running

INTERVAL_US = 500
CALM_BUSY = 0.25        # the probe alone keeps a server less busy than this
CALM_SECONDS_MAX = 120
EXPIRY_SECONDS_MAX = 60
SLACK_BYTES = 1 << 20     # buffers and tables that an empty server keeps
MEMBERS_PER_COMMAND = 100
IDLE_SECONDS = 1.0

BUILD = {
    'set': (b'SADD', lambda j: (b'member:%09d' % j,)),
    'zset': (b'ZADD', lambda j: (b'%d' % (j * 7919 % 1000003), b'member:%09d' % j)),
    'hash': (b'HSET', lambda j: (b'field:%09d' % j, b'val:%08d' % j)),
}


class Probe:
    """The steady load of others; measure() says how they fared during something."""

    def __init__(self, path, port, key):
        self.process = subprocess.Popen([path, str(port), str(INTERVAL_US), key], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self._say('between')

    def _say(self, name):
        self.process.stdin.write(f'window {name}\n')

    def _result(self):
        line = self.process.stdout.readline()
        if not line:
            raise servers.ServerError('the probe ended: the server closed its connection')
        return json.loads(line)

    def measure(self, name, action):
        self._say(name)
        self._result()  # what was between
        started = time.monotonic()
        more = action() or {}
        seconds = time.monotonic() - started
        self._say('between')
        result = self._result()
        result.pop('window')
        return {'event': name, 'event_seconds': seconds, **result, **more}

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _calm(server):
    """Until nothing goes on in the background any more."""
    end, quiet = time.monotonic() + CALM_SECONDS_MAX, 0
    while quiet < 2 and time.monotonic() < end:
        cpu, at = server.cpu_ns(), time.monotonic_ns()
        time.sleep(0.1)
        busy = (server.cpu_ns() - cpu) / (time.monotonic_ns() - at)
        quiet = quiet + 1 if busy < CALM_BUSY else 0


def _command(server, *words):
    """Runs a command and waits until all that it set off is over; its own time."""
    def action():
        with server.client() as c:
            started = time.monotonic()
            c.command(*words)
            took = time.monotonic() - started
        _calm(server)
        return {'command_seconds': took}
    return action


def _members(kind, key, count):
    verb, member = BUILD[kind]
    for i in range(0, count, MEMBERS_PER_COMMAND):
        words = [verb, key.encode()]
        for j in range(i, min(i + MEMBERS_PER_COMMAND, count)):
            words.extend(member(j))
        yield servers.encode(*words)


def _names():
    here, there = servers.tag_in_half(0), servers.tag_in_half(1)
    return {'probe': f'{{{here}}}probe', 'big': f'{{{here}}}big', 'copy': f'{{{here}}}copy', 'away': f'{{{there}}}big'}


def _add(ctx, server, kind, size, result):
    ctx.add('stalls', server=server.name, kind=kind, size=size, **result)
    ctx.progress(f'stalls, {kind or "keys"} of {size}, {result["event"]}: {server.name} worst GET '
                 f'{result["get"]["max"] / 1000:.1f} ms, PING {result["ping"]["max"] / 1000:.1f} ms '
                 f'in {result["event_seconds"]:.1f} s')


def _idle(probe):
    return probe.measure('idle', lambda: time.sleep(IDLE_SECONDS))


def _big_value(ctx, server, kind, size, events):
    n = _names()

    def build():
        # Four commands on the way at most: a hundred members each keep the shard for long enough.
        server.load(_members(kind, n['big'], size), batch=2)
        _calm(server)

    def rename():
        with server.client() as c:
            started = time.monotonic()
            c.command('RENAME', n['big'], n['away'])
            c.command('RENAME', n['away'], n['big'])
            took = time.monotonic() - started
        _calm(server)
        return {'command_seconds': took}

    def expire():
        with server.client() as c:
            c.command('PEXPIRE', n['big'], 50)
            time.sleep(0.5)
            _calm(server)
            left = c.command('DBSIZE')
        return {'left': left - 1}

    actions = {'build': build, 'copy': _command(server, 'COPY', n['big'], n['copy']), 'rename': rename,
               'del': _command(server, 'DEL', n['copy'] if 'copy' in events else n['big']), 'expire': expire}
    with server.client() as c:
        c.command('FLUSHALL')
        c.command('SET', n['probe'], 'value')
    with Probe(ctx.generators.probe, server.port, n['probe']) as probe:
        _add(ctx, server, kind, size, _idle(probe))
        for event in events:
            _add(ctx, server, kind, size, probe.measure(event, actions[event]))


def _growth(ctx, server, size_from, size_to):
    n = _names()
    value = workloads.VALUE.encode()

    def keys(a, b):
        return (servers.encode(b'SET', b'key:%012d' % i, value) for i in range(a, b))

    with server.client() as c:
        c.command('FLUSHALL')
        c.command('SET', n['probe'], 'value')
    server.load(keys(0, size_from))
    with Probe(ctx.generators.probe, server.port, n['probe']) as probe:
        grow = probe.measure('growth', lambda: server.load(keys(size_from, size_to), batch=16))
        _add(ctx, server, None, size_to, grow)


def _deadline(ctx, server, size):
    """All keys expire at one moment: when are they gone, when is their memory free?"""
    n = _names()
    value = workloads.VALUE.encode()
    with server.client() as c:
        c.command('FLUSHALL')
        c.command('SET', n['probe'], 'value')
        empty = _used(c)
        deadline_ms = int((time.time() + 3 + size / 50000) * 1000)
        server.load(servers.encode(b'SET', b'key:%012d' % i, value, b'PXAT', b'%d' % deadline_ms) for i in range(size))
        full = _used(c)

        def wait():
            found = {}
            while time.time() < deadline_ms / 1000 + EXPIRY_SECONDS_MAX and len(found) < 2:
                late = time.time() - deadline_ms / 1000
                if late > 0:
                    if 'gone_seconds' not in found and c.command('DBSIZE') <= 1:
                        found['gone_seconds'] = late
                    if 'free_seconds' not in found and _used(c) < empty + max((full - empty) // 20, SLACK_BYTES):
                        found['free_seconds'] = late
                time.sleep(0.01)
            return found

        with Probe(ctx.generators.probe, server.port, n['probe']) as probe:
            time.sleep(max(0.0, deadline_ms / 1000 - time.time() - 0.3))
            if time.time() * 1000 > deadline_ms:
                raise servers.ServerError('loading took longer than the deadline allowed')
            _add(ctx, server, None, size, probe.measure('deadline', wait))


def _used(client):
    text = client.command('INFO', 'memory').decode(errors='replace')
    return next(int(line.split(':')[1]) for line in text.splitlines() if line.startswith('used_memory:'))


def stalls(ctx, definitions):
    if not ctx.generators.probe:
        ctx.progress('stalls: needs probe, which has not been built')
        ctx.report.setdefault('problems', []).append('stalls: probe has not been built')
        return
    o = ctx.options
    everything = ['build', 'copy', 'rename', 'del', 'expire']
    parts = [lambda s, kind=kind: _big_value(ctx, s, kind, o.stall_members, everything) for kind in BUILD]
    parts.append(lambda s: _big_value(ctx, s, 'hash', o.stall_members // 10, ['build', 'del']))
    parts.append(lambda s: _growth(ctx, s, o.growth_to // 16, o.growth_to))
    parts.append(lambda s: _deadline(ctx, s, o.expire_keys))
    for part in parts:
        for d in definitions:  # a server of its own for each part: none finds what another left
            if d.protocol != 'resp':
                continue
            with Running(ctx, [d]) as running:
                for s in running:
                    try:
                        part(s)
                    except (servers.ServerError, OSError) as e:
                        ctx.progress(f'stalls: {s.name}: {e}')
                        ctx.report.setdefault('problems', []).append(f'stalls: {s.name}: {e}')
