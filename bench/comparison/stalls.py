"""stalls.py - how long others wait while something large happens.

A probe (bench/probe.c) asks PING and GET of a key on the shard concerned, 2,000 times a second by the
clock, and counts latencies from the moment at which each was due. Meanwhile a value of millions of
members is built, copied, renamed to another shard and back, deleted, and expires; the keyspace
grows; a million keys expire at one moment. Each event is a window of the probe, which goes on until the
server has nothing more to do: what is freed in the background belongs to the event.

Two more things come with each event, to tell the server from the machine that it runs on:

    noise   the same probe's waits in the second before, in which nothing happens
    own     Ashlar's own view: its longest turn in CPU time (INFO shards), which no neighbour
            can lengthen, and no gap between two probes can hide

Ashlar runs with two shards, so that there is another shard to rename to. Members are sent a hundred
per command, keys sixteen deep, so that the probe does not mainly wait behind long commands.
"""
import json
import re
import subprocess
import time

from . import drive, servers, workloads
from .sections import FAILURES, Running

INTERVAL_US = 500
CALM_BUSY = 0.25        # the probe alone keeps a server less busy than this
CALM_SECONDS_MAX = 60
EXPIRY_SECONDS_MAX = 40
SLACK_BYTES = 1 << 20     # buffers and tables that an empty server keeps
MEMBERS_PER_COMMAND = 100
IDLE_SECONDS, QUICK_IDLE_SECONDS = 1.0, 0.1
LOAD_PER_SECOND = 200000  # keys; slower machines than that miss the deadline

# What adds members: the command, and the words of one, as ashlar-bench fills them in.
BUILD = {
    'set': ('SADD', 'member:__seq__'),
    'zset': ('ZADD', '__int:0:1000003__ member:__seq__'),
    'hash': ('HSET', 'field:__seq__ val:__int:10000000:99999999__'),
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


def _names():
    # The probe's key has another slot: who asks for the slot of the value that is copied waits for the copy.
    here, there = servers.tag_in_half(0), servers.tag_in_half(1)
    probe = f'{{{servers.tag_in_half(0, but=here)}}}probe'
    return {'probe': probe, 'big': f'{{{here}}}big', 'copy': f'{{{here}}}copy', 'away': f'{{{there}}}big'}


def _own_view(server):
    """{'turn_us', 'turn_wall_us'} since the last RESETSTAT, of an Ashlar; else nothing."""
    if not server.definition.shards:
        return {}
    with server.client() as c:
        text = c.command('INFO', 'shards').decode()
    turns = re.findall(r'longest_turn_usec=(\d+),longest_turn_cpu_usec=(\d+)', text)
    return {'turn_us': max(int(cpu) for _, cpu in turns), 'turn_wall_us': max(int(wall) for wall, _ in turns)} \
        if turns else {}


def _row(ctx, server, probe, kind, size, event, action):
    """One row of the report: the noise before, what happens, the server's own view."""
    noise = probe.measure('idle', lambda: time.sleep(QUICK_IDLE_SECONDS if ctx.options.quick else IDLE_SECONDS))
    with server.client() as c:
        c.command('CONFIG', 'RESETSTAT')
    result = probe.measure(event, action)
    own = _own_view(server)
    noise = {'max': max(noise['get']['max'], noise['ping']['max']),
             'p99.9': max(noise['get']['p99.9'], noise['ping']['p99.9'])}
    ctx.add('stalls', server=server.name, kind=kind, size=size, noise=noise, **own, **result)
    own_text = f', its longest turn {own["turn_us"] / 1000:.2f} ms of CPU' if own else ''
    ctx.progress(f'stalls, {kind or "keys"} of {size:,}, {event}: {server.name} worst '
                 f'{max(result["get"]["max"], result["ping"]["max"]) / 1000:.1f} ms (idle before: '
                 f'{noise["max"] / 1000:.1f} ms{own_text}) in {result["event_seconds"]:.1f} s')


def _empty(server):
    with server.client() as c:
        c.command('FLUSHALL')
        c.command('SET', _names()['probe'], 'value')


def _big_value(ctx, server, kind, size, events):
    n = _names()
    verb, words = BUILD[kind]

    def build():
        # Two commands on the way at most: a hundred members each keep the shard for long enough.
        drive.bench(ctx.generators, server.port, '-n', -(-size // MEMBERS_PER_COMMAND), '-c', 1, '-P', 2, '--command',
                    f'{verb} {n["big"]}' + f' {words}' * MEMBERS_PER_COMMAND)
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
    _empty(server)
    with Probe(ctx.generators.probe, server.port, n['probe']) as probe:
        for event in events:
            _row(ctx, server, probe, kind, size, event, actions[event])


def _growth(ctx, server, size_from, size_to):
    """From so many keys to sixteen times as many. Those that are there are written again first."""
    def load(keys, *options):
        drive.bench(ctx.generators, server.port, '--load', keys, '-d', 32, *options)

    _empty(server)
    load(size_from, '-c', 4, '-P', 64)
    with Probe(ctx.generators.probe, server.port, _names()['probe']) as probe:
        _row(ctx, server, probe, None, size_to, 'growth', lambda: load(size_to, '-c', 2, '-P', 16))


def _deadline(ctx, server, size):
    """All keys expire at one moment: when are they gone, when is their memory free?"""
    _empty(server)
    with server.client() as c:
        empty = _used(server, c)
        deadline_ms = int((time.time() + 4 + size / LOAD_PER_SECOND) * 1000)
        drive.bench(ctx.generators, server.port, '--load', size, '-d', 32, '-P', 64, '-c', 4, '--load-command',
                    f'SET __key__ __data__ PXAT {deadline_ms}')
        full = _used(server, c)
        if c.command('DBSIZE') != size + 1:
            raise servers.ServerError('loading took longer than the deadline allowed')

        def wait():
            found = {}
            while time.time() < deadline_ms / 1000 + EXPIRY_SECONDS_MAX and len(found) < 2:
                late = time.time() - deadline_ms / 1000
                if late > 0:
                    if 'gone_seconds' not in found and c.command('DBSIZE') <= 1:
                        found['gone_seconds'] = late
                    if 'free_seconds' not in found and (
                            _used(server, c) < empty + max((full - empty) // 20, SLACK_BYTES)):
                        found['free_seconds'] = late
                time.sleep(0.02)
            return found

        with Probe(ctx.generators.probe, server.port, _names()['probe']) as probe:
            time.sleep(max(0.0, deadline_ms / 1000 - time.time() - IDLE_SECONDS - 0.3))
            _row(ctx, server, probe, None, size, 'deadline', wait)


def _used(server, client):
    """Bytes in use. Ashlar's INFO memory measures its tables, which is an event of its own: its shards say it."""
    own = server.definition.shards
    text = client.command('INFO', 'shards' if own else 'memory').decode(errors='replace')
    return sum(int(n) for n in re.findall(r'used_memory=(\d+)' if own else r'(?m)^used_memory:(\d+)', text))


def stalls(ctx, definitions):
    for name in ('probe', 'ashlar_bench'):
        if not getattr(ctx.generators, name):
            ctx.problem(f'stalls: {name} has not been built')
            return
    o = ctx.options
    everything = ['build', 'copy', 'rename', 'del', 'expire']
    parts = [lambda s: _growth(ctx, s, o.growth_to // 16, o.growth_to), lambda s: _deadline(ctx, s, o.expire_keys),
             lambda s: _big_value(ctx, s, 'hash', o.stall_members // 10, ['build', 'del'])]
    parts += [lambda s, kind=kind: _big_value(ctx, s, kind, o.stall_members, everything) for kind in BUILD]
    # Ours first: when time runs out, it is the peers that are left out.
    definitions = sorted((d for d in definitions if d.protocol == 'resp'), key=lambda d: not d.shards)
    for number, part in enumerate(parts, 1):
        for d in definitions:  # a server of its own for each part: none finds what another left
            if ctx.is_late() and not d.shards:
                ctx.problem(f'stalls: part {number} of {len(parts)} without {d.name}: the time is used up')
                continue
            with Running(ctx, [d]) as running:
                for s in running:
                    try:
                        part(s)
                    except FAILURES as e:
                        ctx.problem(f'stalls: {s.name}: {e}')
