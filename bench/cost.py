#!/usr/bin/env python3
"""cost.py - what a request and a key cost: Ashlar beside redis-server, in one run.

    bench/cost.py speed      server CPU time per request, redis-server and Ashlar with 1 and 2 shards
    bench/cost.py routing    the same for Ashlar with 1, 2, 4, 8 and 16 shards, against 1 shard
    bench/cost.py memory     bytes per key (growth of the resident set)
    bench/cost.py all        everything, as README.md shows it

Server CPU time per request is (user + system time of all threads of the server during the run) /
requests. The server is pinned to one core and redis-benchmark to another; servers take turns inside
every workload, so that ratios come from the same minutes; medians of --rounds. Prints Markdown.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HZ = os.sysconf('SC_CLK_TCK')
PAGE = os.sysconf('SC_PAGE_SIZE')
KEYS = 1000000
VALUE = 'v' * 32

# name, pipeline depth, requests in thousands, target as a multiple of redis 7.0 (None: not given), command
WORKLOADS = [
    ('GET', 1, 100, 0.82, 'GET key:__rand_int__'),
    ('SET', 1, 100, 0.82, 'SET key:__rand_int__ ' + VALUE),
    ('GET', 16, 1000, 0.48, 'GET key:__rand_int__'),
    ('SET', 16, 1000, 0.50, 'SET key:__rand_int__ ' + VALUE),
    ('GET', 64, 2000, 0.31, 'GET key:__rand_int__'),
    ('SET', 64, 2000, 0.34, 'SET key:__rand_int__ ' + VALUE),
    ('INCR', 16, 1000, None, 'INCR counter:__rand_int__'),
    ('MSET of 10', 16, 150, 0.33, 'MSET' + (' key:__rand_int__ ' + VALUE) * 10),
    ('MGET of 10', 16, 150, 0.30, 'MGET' + ' key:__rand_int__' * 10),
]
ROUTING = [('GET', 1), ('GET', 16), ('SET', 16), ('GET', 64), ('SET', 64), ('MGET of 10', 16), ('MSET of 10', 16)]
ROUTING_TARGET = {1: 1.0, 2: 1.15, 4: 1.2, 8: 1.3, 16: 1.45}

# name, target, floor, key and value by number, expiry
SHAPES = [
    ('16 B key + 32 B string', 72, lambda i: (b'k:%014d' % i, b'v' * 32), False),
    ('16 B key + 16 B string', 56, lambda i: (b'k:%014d' % i, b'w' * 16), False),
    ('16 B key + 8-digit integer', 44, lambda i: (b'k:%014d' % i, b'%d' % (10000000 + i)), False),
    ('16 B key + 32 B string + TTL', 80, lambda i: (b'k:%014d' % i, b'v' * 32), True),
]


def cpu_us(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000000 // HZ


def rss(pid):
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * PAGE


class Server:
    def __init__(self, name, command, cpus):
        self.name, self.cpus = name, cpus
        self.dir = tempfile.mkdtemp(prefix='ashlar-cost.')
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.port = s.getsockname()[1]
        self.log = open(os.path.join(self.dir, 'log'), 'wb')
        self.process = subprocess.Popen(
            command + ['--port', str(self.port), '--dir', self.dir, '--bind', '127.0.0.1'], stdout=self.log,
            stderr=self.log, stdin=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        for _ in range(400):
            try:
                with socket.create_connection(('127.0.0.1', self.port), 1) as s:
                    s.sendall(b'PING\r\n')
                    if s.recv(16).startswith(b'+PONG'):
                        return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f'{name} did not start: {command}')

    def load(self, commands, replies_each=1):
        """Sends encoded commands, two batches in flight."""
        with socket.create_connection(('127.0.0.1', self.port)) as s:
            pending, batch = 0, []

            def drain(limit):
                nonlocal pending
                while pending > limit:
                    data = s.recv(1 << 20)
                    if not data or b'-ERR' in data:
                        sys.exit(f'{self.name}: loading failed: {data[:80]!r}')
                    pending -= data.count(b'\n')
            for c in commands:
                batch.append(c)
                if len(batch) == 500:
                    s.sendall(b''.join(batch))
                    pending += 500 * replies_each
                    batch = []
                    drain(500)
            s.sendall(b''.join(batch))
            pending += len(batch) * replies_each
            drain(0)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def encode(*args):
    return b'*%d\r\n' % len(args) + b''.join(b'$%d\r\n%s\r\n' % (len(a), a) for a in args)


def redis(cpus):
    return Server('redis', ['redis-server', '--save', '', '--appendonly', 'no'], cpus)


def ashlar(binary, shards, cpus, extra=()):
    return Server(f'ashlar/{shards}', [binary, '--shards', str(shards), *extra], cpus)


def measure(server, args, command, depth, requests):
    before = cpu_us(server.process.pid)
    started = time.monotonic()
    r = subprocess.run(
        ['taskset', '-c', str(args.gencpu), 'redis-benchmark', '-h', '127.0.0.1', '-p', str(server.port), '-c',
         str(args.clients), '-n', str(requests), '-P', str(depth), '-r', str(KEYS), '-q', '--precision', '3',
         *command.split()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    seconds = time.monotonic() - started
    text = r.stdout.decode(errors='replace')
    if r.returncode or 'Error' in text or not re.search(r'requests per second', text):
        sys.exit(f'{server.name}: redis-benchmark: {text[-300:]}')
    return (cpu_us(server.process.pid) - before) / requests, requests / seconds


def preload(server):
    server.load(encode(b'SET', b'key:%012d' % i, VALUE.encode()) for i in range(KEYS))


def run_workloads(args, servers, workloads):
    """{(workload, depth): {server name: median CPU}} and the same for rates."""
    cost, rate = {}, {}
    for name, depth, thousands, _, command in workloads:
        samples = {s.name: [] for s in servers}
        for _ in range(args.rounds):
            for s in servers:
                samples[s.name].append(measure(s, args, command, depth, int(thousands * 1000 * args.scale)))
        cost[name, depth] = {n: statistics.median(x[0] for x in v) for n, v in samples.items()}
        rate[name, depth] = {n: statistics.median(x[1] for x in v) for n, v in samples.items()}
        print(f'# {name}, {depth} deep: ' + '  '.join(f'{n} {c:.2f}' for n, c in cost[name, depth].items()),
              file=sys.stderr, flush=True)
    return cost, rate


def speed(args):
    one, two = {args.cpu}, {args.cpu}
    servers = [redis(one), ashlar(args.server, 1, one), ashlar(args.server, 2, two)]
    try:
        for s in servers:
            preload(s)
        chosen = [w for w in WORKLOADS if not args.only or w[0] in args.only.split(',')]
        cost, _ = run_workloads(args, servers, chosen)
    finally:
        for s in servers:
            s.stop()
    print('\nServer CPU time per request, µs (medians)\n')
    print('| workload | redis-server | Ashlar, 1 shard | × redis | Ashlar, 2 shards | × redis | target × |')
    print('|---|---|---|---|---|---|---|')
    for name, depth, _, target, _ in chosen:
        c = cost[name, depth]
        base, a1, a2 = (c[s.name] for s in servers)
        label = f'{name}, no pipeline' if depth == 1 else f'{name}, {depth} deep'
        print(f'| {label} | {base:.2f} | {a1:.2f} | **{a1 / base:.2f}** | {a2:.2f} | {a2 / base:.2f} | {target or "–"} |')


def routing(args):
    counts = [1, 2, 4, 8, 16]
    cpus = set(range(os.cpu_count())) if args.both_cpus else {args.cpu}
    servers = [ashlar(args.server, n, cpus) for n in counts]
    try:
        for s in servers:
            preload(s)
        chosen = [w for w in WORKLOADS if (w[0], w[1]) in ROUTING]
        cost, _ = run_workloads(args, servers, chosen)
    finally:
        for s in servers:
            s.stop()
    print('\nServer CPU time per request, µs, by number of shards (all on the same core), and × 1 shard\n')
    print('| workload | ' + ' | '.join(f'{n}' for n in counts) + ' |')
    print('|---|' + '---|' * len(counts))
    for name, depth, *_ in chosen:
        c = cost[name, depth]
        base = c[servers[0].name]
        label = f'{name}, no pipeline' if depth == 1 else f'{name}, {depth} deep'
        print(f'| {label} | ' + ' | '.join(f'{c[s.name]:.2f} ({c[s.name] / base:.2f})' for s in servers) + ' |')
    print('| target × | ' + ' | '.join(str(ROUTING_TARGET[n]) for n in counts) + ' |')


def memory(args):
    print('\nBytes per key (growth of the resident set, 1,000,000 keys)\n')
    print('| shape | redis-server | Ashlar, 1 shard | target |')
    print('|---|---|---|---|')
    for name, target, make, ttl in SHAPES:
        row = []
        for start in (lambda: redis({args.cpu}), lambda: ashlar(args.server, 1, {args.cpu})):
            s = start()
            try:
                s.load([encode(b'PING')])
                before = rss(s.process.pid)
                extra = (b'EX', b'100000') if ttl else ()
                s.load(encode(b'SET', *make(i), *extra) for i in range(KEYS))
                time.sleep(0.5)
                row.append((rss(s.process.pid) - before) / KEYS)
            finally:
                s.stop()
        print(f'| {name} | {row[0]:.1f} | **{row[1]:.1f}** | ≤ {target} |', flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('mode', choices=['speed', 'routing', 'memory', 'all'])
    ap.add_argument('--server', default=os.path.join(ROOT, 'build', 'ashlar-server'))
    ap.add_argument('--rounds', type=int, default=3)
    ap.add_argument('--scale', type=float, default=1.0, help='multiplies the number of requests')
    ap.add_argument('--clients', type=int, default=50)
    ap.add_argument('--cpu', type=int, default=0, help='core of the servers')
    ap.add_argument('--gencpu', type=int, default=1, help='core of the load generator')
    ap.add_argument('--both-cpus', action='store_true', help='routing: let the shards use all cores')
    ap.add_argument('--only', help='comma list of workload names')
    args = ap.parse_args()
    for mode, f in (('speed', speed), ('routing', routing), ('memory', memory)):
        if args.mode in (mode, 'all'):
            f(args)


if __name__ == '__main__':
    main()
