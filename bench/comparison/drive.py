"""drive.py - one run of one workload on one server: what the server's CPU did, and how fast it was.

run() is the one way in. Who generates the load:

    command    ashlar-bench, or redis-benchmark where that is asked for or nothing else is there
    template   pump (bench/pump.c): transactions, and everything for memcached
    publish    as command, with subscribers that a process beside it drains
    handover   a process of ours: consumers that wait in BRPOP, a producer that pushes

All of them run on the core that this process is pinned to. Server CPU time is read from the server's
CPU clock (all threads, user and system) just before and just after the generator's run, its
connecting included, which is little against the requests.
"""
import collections
import csv
import json
import multiprocessing
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import servers, workloads

TIMEOUT_SECONDS = 600
ERROR_REPLIES = 2  # ashlar-bench's exit status when some requests were answered by an error


class Generators:
    """The programs that generate load, and how to call them."""

    def __init__(self, build, which=None, clients=50, keys=1000000):
        self.clients, self.keys = clients, keys
        self.ashlar_bench = self._find(build, 'ashlar-bench')
        self.pump = self._find(build, 'pump')
        self.probe = self._find(build, 'probe')
        if which is None:
            which = 'ashlar-bench' if self.ashlar_bench else 'redis-benchmark'
        if which == 'ashlar-bench' and not self.ashlar_bench:
            raise SystemExit(f'compare: there is no ashlar-bench in {build}: build it, or ask for '
                             '--generator redis-benchmark')
        if which == 'redis-benchmark' and not shutil.which('redis-benchmark'):
            raise SystemExit('compare: neither ashlar-bench nor redis-benchmark is there')
        self.which = which

    @staticmethod
    def _find(build, name):
        for folder in (os.path.join(build, 'bench'), build):
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                return path
        return None

    def versions(self):
        path = self.ashlar_bench if self.which == 'ashlar-bench' else 'redis-benchmark'
        return {self.which: servers.Definition(self.which, path).version()}


def _call(command, fine=(0,)):
    try:
        r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                           timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as e:
        raise servers.ServerError(f'{os.path.basename(command[0])} did not end') from e
    out = r.stdout.decode(errors='replace')
    if r.returncode not in fine:
        raise servers.ServerError(f'{os.path.basename(command[0])}: '
                                  f'{(r.stderr.decode(errors="replace") or out).strip()[-300:]}')
    return out


def _from_json(text):
    """The one run of a result in ashlar-bench's shape, flat."""
    run = json.loads(text)['runs'][0]
    if run.get('errors'):
        raise servers.ServerError(f'{run["errors"]} of {run["requests"]} requests were answered by an error '
                                  + run.get('first_error', ''))
    return {'requests': run['requests'], 'rps': run['rps'], 'latency_us': run['latency_us']}


def _at_home(generators, port, command, depth, requests):
    """The same command once for every tag of the first shard, mixed."""
    words = []
    for tag in servers.tags_of_first_shard(workloads.HOME_TAGS):
        words += ['--command', ' '.join(command).replace('{home}', '{%s}' % tag)]
    return _ashlar_bench(generators, port, [], depth, requests,
                         ('-r', str(generators.keys // workloads.HOME_TAGS), *words))


def preload_at_home(generators, server):
    for tag in servers.tags_of_first_shard(workloads.HOME_TAGS):
        bench(generators, server.port, '--load', generators.keys // workloads.HOME_TAGS, '--key-format',
              '{%s}:%%012d' % tag, '-d', len(workloads.VALUE), '-P', 64)


def _ashlar_bench(generators, port, command, depth, requests, extra=()):
    with tempfile.NamedTemporaryFile('r', prefix='ashlar-compare.', suffix='.json') as result:
        _call([generators.ashlar_bench, '-h', '127.0.0.1', '-p', str(port), '-c', str(generators.clients), '-n',
               str(requests), '-P', str(depth), '-r', str(generators.keys), '--threads', '1', '-q', '--no-progress',
               '--json', result.name, *extra, *command], fine=(0, ERROR_REPLIES))
        return _from_json(result.read())


def bench(generators, port, *options):
    """A run of ashlar-bench that fills a server, whatever the options; errors raise."""
    _call([generators.ashlar_bench, '-p', str(port), '--threads', '1', '-q', '--no-progress', *map(str, options)])


def _redis_benchmark(generators, port, command, depth, requests):
    text = _call(['redis-benchmark', '-h', '127.0.0.1', '-p', str(port), '-c', str(generators.clients), '-n',
                  str(requests), '-P', str(depth), '-r', str(generators.keys), '--precision', '3', *command])
    text = text.replace('\r', '\n')
    rate = re.search(r'throughput summary: ([\d.]+)', text)
    if not rate or 'Error' in text:
        raise servers.ServerError('redis-benchmark: ' + text.strip()[-200:])
    columns = text[text.index('latency summary'):].splitlines()[2].split()
    names = ('mean', 'min', 'p50', 'p95', 'p99', 'max')
    return {'requests': requests, 'rps': float(rate[1]),
            'latency_us': {n: float(v) * 1000 for n, v in zip(names, columns)}}


def _pump(generators, port, template, lines, depth, requests):
    if not generators.pump:
        raise servers.Unsupported('pump has not been built')
    return _from_json(_call([generators.pump, '-p', str(port), '-c', str(generators.clients), '-n', str(requests), '-P',
                             str(depth), '-r', str(generators.keys), '-l', str(lines), template]))


# --- subscribers ---

def _drain(port, channel, count, ready):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    poll = select.epoll()
    sockets = {}
    for _ in range(count):
        s = socket.create_connection(('127.0.0.1', port))
        s.sendall(servers.encode(b'SUBSCRIBE', channel))
        s.recv(4096)
        sockets[s.fileno()] = s
        poll.register(s, select.EPOLLIN)
    ready.set()
    while True:
        for fd, _ in poll.poll():
            if not sockets[fd].recv(1 << 20):
                return


class _Subscribers:
    def __init__(self, server, workload):
        ready = multiprocessing.Event()
        self.process = multiprocessing.Process(
            target=_drain, args=(server.port, workload.command[1].encode(), workload.subscribers, ready), daemon=True)
        self.process.start()
        if not ready.wait(30):
            self.stop()
            raise servers.ServerError('the subscribers could not subscribe')

    def stop(self):
        self.process.terminate()
        self.process.join()


def _wait_idle(server):
    """Until what was published has been delivered: the server's clock stands still."""
    last = server.cpu_ns()
    for _ in range(500):
        time.sleep(0.02)
        now = server.cpu_ns()
        if now - last < 1e6:
            return
        last = now


# --- hand-over ---

class _Consumers:
    """Clients that wait in BRPOP, each on a list of its own."""

    def __init__(self, server, count):
        self.clients, self.by_fd = [], {}
        self.poll = select.epoll()
        self.pops = [servers.encode(b'BRPOP', b'queue:%d' % i, b'0') for i in range(count)]
        self.answers = [len(servers.encode(b'queue:%d' % i, b'job')) for i in range(count)]
        for i in range(count):
            c = server.client()
            self.clients.append(c)
            self.by_fd[c.socket.fileno()] = i
            self.poll.register(c.socket, select.EPOLLIN)
            c.socket.sendall(self.pops[i])

    def served(self):
        """Waits until each has got its element and waits again; yields the moments of that."""
        left = len(self.clients)
        while left:
            events = self.poll.poll(30)
            if not events:
                raise servers.ServerError('a consumer was not served')
            for fd, _ in events:
                i = self.by_fd[fd]
                data = self.clients[i].socket.recv(4096)
                if len(data) != self.answers[i]:
                    raise servers.ServerError(f'BRPOP was answered by {data[:80]!r}')
                yield time.monotonic()
                self.clients[i].socket.sendall(self.pops[i])
                left -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for c in self.clients:
            c.close()


def _handover(server, pairs_wanted, consumers=50):
    """A producer pushes one element to the list of each consumer, and again when all have been served. A
    request is a BRPOP with its LPUSH."""
    push = b''.join(servers.encode(b'LPUSH', b'queue:%d' % i, b'job') for i in range(consumers))
    done, latencies = 0, []
    with server.client() as producer:
        # Those of the run before are gone, but a server with several threads may not have noticed yet.
        end = time.monotonic() + 10
        while b'blocked_clients:0\r' not in producer.command('INFO', 'clients') and time.monotonic() < end:
            time.sleep(0.01)
        with _Consumers(server, consumers) as waiting:
            start = time.monotonic()
            while done < pairs_wanted:
                time.sleep(0.0002)  # the BRPOPs sent last have come to wait
                sent = time.monotonic()
                producer.socket.sendall(push)
                latencies += [(at - sent) * 1e6 for at in waiting.served()]
                for _ in range(consumers):
                    producer.reply()
                done += consumers
            seconds = time.monotonic() - start
    latencies.sort()
    return {'requests': done, 'rps': done / seconds,
            'latency_us': {'p50': latencies[len(latencies) // 2], 'p99': latencies[len(latencies) * 99 // 100],
                           'max': latencies[-1]}}


# --- one run ---

def supported(server, w):
    """Whether the server can do this workload at all."""
    if server.protocol == 'memcached':
        return w.memcached is not None
    if w.kind == 'template':
        return server.supports('MULTI')
    if w.kind == 'handover':
        return server.supports('BRPOP', 'no-such-list', '0.001')
    if w.kind == 'publish' and not server.supports('SUBSCRIBE', 'a'):
        return False
    return server.supports(*[x.replace(workloads.RANDOM, '0' * 12) for x in w.command])


def _generate(generators, server, w, requests):
    if server.protocol == 'memcached':
        template, lines = w.memcached
        return _pump(generators, server.port, template, lines, w.depth, requests)
    if w.kind == 'template':
        return _pump(generators, server.port, w.command[0], w.lines, w.depth, requests)
    if w.kind == 'handover':
        return _handover(server, requests)
    if w.kind == 'home':
        return _at_home(generators, server.port, w.command, w.depth, requests)
    which = _ashlar_bench if generators.which == 'ashlar-bench' else _redis_benchmark
    return which(generators, server.port, w.command, w.depth, requests)


def _generator_cpu_us():
    total = 0
    for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF):
        u = resource.getrusage(who)
        total += (u.ru_utime + u.ru_stime) * 1e6
    return total


def run(generators, server, w, requests):
    """One run: a flat sample."""
    listeners = _Subscribers(server, w) if w.subscribers else None
    try:
        mine, before, start = _generator_cpu_us(), server.cpu_ns(), time.monotonic()
        result = _generate(generators, server, w, requests)
        if listeners:
            _wait_idle(server)
        cpu_us, seconds = (server.cpu_ns() - before) / 1000, time.monotonic() - start
        generator_us = _generator_cpu_us() - mine
    finally:
        if listeners:
            listeners.stop()
    n = result['requests']
    sample = {'requests': n, 'seconds': seconds, 'cpu_us': cpu_us / n, 'busy': cpu_us / 1e6 / seconds,
              'generator_us': generator_us / n, 'rps': result['rps']}
    sample.update({k: v for k, v in result['latency_us'].items() if k in ('p50', 'p99', 'p99.9', 'max')})
    return sample


def preload(generators, server):
    """Every key that a GET may ask for."""
    value = workloads.VALUE.encode()
    if server.protocol == 'resp' and generators.ashlar_bench:
        bench(generators, server.port, '--load', generators.keys, '-d', len(value), '-P', 64)
    elif server.protocol == 'memcached':
        server.load(b'set key:%012d 0 0 %d\r\n%b\r\n' % (i, len(value), value) for i in range(generators.keys))
    else:
        server.load(servers.encode(b'SET', b'key:%012d' % i, value) for i in range(generators.keys))


# --- open loop ---

Point = collections.namedtuple('Point', 'rps latency_us')


def at_rate(generators, server, command, rate, seconds):
    """A run at a fixed rate, latencies counted from the intended start: ashlar-bench alone can do that."""
    if not generators.ashlar_bench:
        raise servers.Unsupported('ashlar-bench has not been built')
    with tempfile.NamedTemporaryFile('r', prefix='ashlar-compare.', suffix='.json') as out:
        bench(generators, server.port, '-c', generators.clients, '-r', generators.keys, '--rate', int(rate), '--warmup',
              f'{seconds * 100:.0f}ms', '--duration', f'{seconds * 1000:.0f}ms', '--drain', f'{seconds * 1000:.0f}ms',
              '--json', out.name, *command)
        result = _from_json(out.read())
    return Point(result['rps'], result['latency_us'])


def sweep(generators, server, bound, seconds):
    """The highest rate of GETs that keeps the bound; what was tried."""
    with tempfile.NamedTemporaryFile('r', prefix='ashlar-compare.', suffix='.json') as result:
        bench(generators, server.port, '-c', generators.clients, '-r', generators.keys, '-t', 'get', '--sweep', bound,
              '--sweep-time', f'{seconds * 1000:.0f}ms', '--sweep-steps', 8, '--json', result.name)
        found = json.loads(result.read())['sweep']
    return {'bound': bound, 'best': found['best'], 'points': found['points']}


# --- generators beside each other ---

CSV_COLUMNS = ('rps', 'mean', 'min', 'p50', 'p95', 'p99', 'max')
MEMTIER = 'memtier_benchmark'
# memtier does not pad the numbers of its keys. With a 1 in front they have as many digits as those of the others.
MEMTIER_FIRST_KEY = 10**11


def other_generators():
    """Those beside ashlar-bench that are installed."""
    return [name for name in ('redis-benchmark', MEMTIER) if shutil.which(name)]


def preload_for_memtier(generators, server):
    bench(generators, server.port, '--load', generators.keys, '--key-format', 'key:1%011d', '-d', len(workloads.VALUE),
          '-P', 64)


def _by_csv(program, generators, port, command, depth, requests):
    """ashlar-bench and redis-benchmark take the same options and print the same CSV."""
    text = _call([program, '-h', '127.0.0.1', '-p', str(port), '-c', str(generators.clients), '-n', str(requests),
                  '-P', str(depth), '-r', str(generators.keys), '--csv', *command])
    cells = next(csv.reader(text.strip().splitlines()[-1:]), [])
    if len(cells) != len(CSV_COLUMNS) + 1:
        raise servers.ServerError(f'{os.path.basename(program)}: {text.strip()[-200:]}')
    return {'requests': requests, **{n: float(v) * (1 if n == 'rps' else 1000) for n, v in zip(CSV_COLUMNS, cells[1:])}}


def _memtier(generators, port, command, depth, requests):
    """The same GET or SET: one thread, its keys and value for ours."""
    each = max(1, requests // generators.clients)  # memtier counts by client
    words = ['__key__' if workloads.RANDOM in w else '__data__' if w == workloads.VALUE else w for w in command]
    with tempfile.NamedTemporaryFile('r', prefix='ashlar-compare.', suffix='.json') as result:
        _call([MEMTIER, '-s', '127.0.0.1', '-p', str(port), '-t', '1', '-c', str(generators.clients), '-n', str(each),
               f'--pipeline={depth}', f'--command={" ".join(words)}', '--command-key-pattern=R', '--key-prefix=key:',
               f'--key-minimum={MEMTIER_FIRST_KEY}', f'--key-maximum={MEMTIER_FIRST_KEY + generators.keys - 1}',
               f'--data-size={len(workloads.VALUE)}', '--distinct-client-seed', '--hide-histogram',
               '--print-percentiles=50,95,99', f'--json-out-file={result.name}'])
        totals = json.loads(result.read())['ALL STATS']['Totals']
    sample = {'requests': each * generators.clients, 'rps': totals['Ops/sec']}
    sample.update({f'p{float(k[1:]):g}': ms * 1000 for k, ms in totals['Percentile Latencies'].items() if k[0] == 'p'})
    if 'Max Latency' in totals:
        sample['max'] = totals['Max Latency'] * 1000
    return sample


def agreement_run(generators, server, generator, command, depth, requests):
    """The same closed loop with the same options, driven by one of them. CPU times are the generator's and the
    server's. A flat sample, times in microseconds."""
    mine, before = _generator_cpu_us(), server.cpu_ns()
    if generator == MEMTIER:
        sample = _memtier(generators, server.port, command, depth, requests)
    else:
        program = generators.ashlar_bench if generator == 'ashlar-bench' else generator
        sample = _by_csv(program, generators, server.port, command, depth, requests)
    generator_us, server_us = _generator_cpu_us() - mine, (server.cpu_ns() - before) / 1000
    n = sample['requests']
    return {**sample, 'generator_us': generator_us / n, 'cpu_us': server_us / n}
