"""sections.py - many runs: speed, routing, memory, latency, agreement. Servers take turns inside every
workload, in every second round the other way round: runs of one round are neighbours in time, and figures.py
compares them with each other only. Each section yields flat samples into the report.

A server that fails a run, or dies, loses its sample and is left out as long as it is dead; the others go on.

With a time budget (--minutes) a section knows when it has to be through. What is left is shared among the
workloads that are left, and the warm-up of each says how many requests fit into its share: the same
number for all servers. One that takes longer than its share all the same has fewer rounds."""
import math
import re
import signal
import statistics
import time

from . import drive, servers, workloads

WARM_UP_SHARE = 20  # an unmeasured run of 1/20 of the requests comes first


class Context:
    """What all sections need: options, generators, and where samples and progress go."""

    def __init__(self, options, generators, report, progress):
        self.options, self.generators, self.report, self.progress = options, generators, report, progress
        self.cpus, self.port = {options.cpu}, options.port
        self.dead = set()  # servers that are known to have died
        self.until = None  # with a budget: when this section has to be through (monotonic)

    def share(self, parts):
        """Seconds for the next of so many parts that are left; None: without limit."""
        return None if self.until is None else max(0.0, self.until - time.monotonic()) / max(1, parts)

    def is_late(self):
        return self.until is not None and time.monotonic() > self.until

    def problem(self, text):
        self.progress(text)
        self.report.setdefault('problems', []).append(text)

    def add(self, section, **sample):
        self.report.setdefault(section, []).append(sample)

    def start(self, definition):
        return servers.Server(definition, self.port, self.cpus)

    def attempt(self, server, what, action):
        """What the action returns; None, and a problem in the report, when it fails."""
        try:
            return action()
        except FAILURES as e:
            self.problem(f'{what}: {server.name}: {str(e)[:300]}')
            return None

    def tell_dead(self, running, during):
        """Says who has died since it was last asked."""
        for server in running:
            if not server.alive() and server not in self.dead:
                self.dead.add(server)
                self.problem(f'{server.name} died during {during}; the last it said: {server.last_words()}')


# What may happen when a server or a generator fails: any of them, a value that is no number included.
FAILURES = (servers.ServerError, OSError, ValueError, LookupError)


class Running:
    """Starts several servers and stops them all, whatever happens: while it stops them, a second Ctrl-C waits.
    One that does not start is left out."""

    def __init__(self, ctx, definitions):
        self.ctx, self.definitions, self.servers = ctx, definitions, []

    def __enter__(self):
        try:
            for d in self.definitions:
                try:
                    server = self.ctx.start(d)
                except servers.ServerError as e:
                    self.ctx.problem(f'{d.name} is left out: {e}')
                    continue
                self.servers.append(server)
        except BaseException:
            self.__exit__()
            raise
        return self.servers

    def __exit__(self, *_):
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            for s in self.servers:
                s.stop()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)


def in_turn(items, round_):
    """Forth and back, so that nobody is always first."""
    return items[::-1] if round_ % 2 else items


def _one_run(ctx, section, server, w, round_, requests, **more):
    try:
        sample = drive.run(ctx.generators, server, w, requests)
    except FAILURES as e:
        ctx.progress(f'{w.label}: {server.name}: {e}')
        ctx.add(section, server=server.name, workload=w.key, round=round_, error=str(e)[:300], **more)
        return None
    ctx.add(section, server=server.name, workload=w.key, round=round_, **sample, **more)
    return sample


def _requests(ctx, w):
    return max(w.depth * 10, int(w.thousands * 1000 * ctx.options.scale))


RUN_OVERHEAD_SECONDS = 0.15  # starting the generator, connecting
REQUESTS_MAX_TIMES = 2       # a run that is given much time: so many times its requests at full scale
ROUNDS_MIN = 3               # even if the time is up
BUDGET_SHARE = 0.85          # of the time that the measured runs are planned to take: some will be slower


def _requests_in(ctx, w, seconds, rates):
    """How many requests fit into so many seconds, for all rounds and servers; rates: of the warm-up."""
    runs = ctx.options.rounds * len(rates)
    per_request = ctx.options.rounds * sum(1 / r for r in rates)
    fit = (seconds * BUDGET_SHARE - runs * RUN_OVERHEAD_SECONDS) / per_request
    return int(min(max(fit, w.depth * 100, w.thousands * 20), w.thousands * 1000 * REQUESTS_MAX_TIMES))


def _warm_up(ctx, able, w):
    """What the workload works on, and a first run; the rates that were reached."""
    rates = []
    for s in able:
        try:
            rates.append(drive.run(ctx.generators, s, w, max(w.depth * 10, _requests(ctx, w) // WARM_UP_SHARE))['rps'])
        except FAILURES:
            pass  # the measured runs will say so
    return rates


def _able(ctx, running, w):
    return [s for s in running if s.alive() and ctx.attempt(s, w.label, lambda s=s: drive.supported(s, w))]


def _prepare(ctx, able, w, chosen_keys):
    """Runs what the workload needs and what is not measured itself."""
    by_key = {n.key: n for n in workloads.SPEED}
    for need in w.needs:
        if need not in chosen_keys:
            for s in able:
                ctx.attempt(s, w.label,
                            lambda s=s, need=need: drive.run(ctx.generators, s, by_key[need], _requests(ctx, by_key[need])))


def _workloads(ctx, section, running, chosen, rounds, name_of=lambda s: {}, reserve=0):
    """reserve: workloads that are to come behind these, for the budget."""
    requests_of, label = {}, 'filling'
    for number, w in enumerate(chosen, 1):
        ctx.tell_dead(running, label)  # here, too: one that is just ending may not have ended yet
        able, label = _able(ctx, running, w), w.label
        _prepare(ctx, able, w, {c.key for c in chosen})
        seconds = ctx.share(len(chosen) - number + 1 + reserve)
        end = math.inf if seconds is None else time.monotonic() + seconds
        rates = _warm_up(ctx, able, w)
        requests = _requests(ctx, w) if seconds is None or not rates else _requests_in(ctx, w, seconds, rates)
        # Not more than what those before have left: popping from an empty list is something else.
        requests = requests_of[w.key] = min([requests] + [requests_of[n] for n in w.needs if n in requests_of])
        seen = {}
        for round_ in range(rounds):
            if round_ >= ROUNDS_MIN and time.monotonic() > end:
                break
            for s in in_turn(able, round_):
                if s.alive():
                    sample = _one_run(ctx, section, s, w, round_, requests, **name_of(s))
                    if sample:
                        seen.setdefault(s.name, []).append(sample['cpu_us'])
        ctx.tell_dead(running, label)
        ctx.progress(f'{section} {number}/{len(chosen)} {w.label}: ' + '  '.join(
            f'{s.name} {statistics.median(seen[s.name]):.2f}' if s.name in seen else f'{s.name} -'
            for s in running) + ' us/request')


def _preload(ctx, running):
    """Fills them all; one that cannot be filled is left out."""
    for s in list(running):
        started = time.monotonic()
        if ctx.attempt(s, 'filling', lambda s=s: drive.preload(ctx.generators, s) or True):
            ctx.progress(f'{s.name}: {ctx.generators.keys} keys loaded in {time.monotonic() - started:.1f} s')
        else:
            running.remove(s)
            s.stop()


def speed(ctx, definitions):
    chosen = [w for w in workloads.SPEED if ctx.options.wants(w.key)]
    with Running(ctx, definitions) as running:
        _preload(ctx, running)
        _workloads(ctx, 'speed', running, chosen, ctx.options.rounds)


class _AllAtHome:
    """While it lasts, new connections come to the first shard. A server gives a connection to the shard that
    has the fewest: idle ones keep the others occupied."""

    SPARE = 10  # the generator's own connection, ours

    def __init__(self, server, clients):
        self.server, self.idle = server, []
        if server.definition.shards == 1:
            return
        first = []
        with server.client() as control:
            counts = self._counts(control)
            for _ in range((clients + self.SPARE) * len(counts)):
                c = server.client()
                self.idle.append(c)
                now = self._counts(control)
                if now[0] > counts[0]:
                    first.append(c)
                counts = now
            for c in first:
                c.close()
                self.idle.remove(c)
            end = time.monotonic() + 10
            while self._counts(control)[0] > 1 and time.monotonic() < end:
                time.sleep(0.01)

    @staticmethod
    def _counts(control):
        text = control.command('INFO', 'shards').decode()
        return [int(n) for n in re.findall(r'connections=(\d+)', text)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for c in self.idle:
            c.close()


def _share_elsewhere(server):
    """Of the commands that the server has executed, how many for connections of another shard."""
    with server.client() as c:
        text = c.command('INFO', 'shards').decode()
    executed, remote = (sum(int(n) for n in re.findall(rf'{f}=(\d+)', text)) for f in ('executed', 'remote'))
    return remote / executed if executed else 0.0


def _routing_home(ctx, running):
    """Connections whose keys all live at home. That they do is checked: no more than the rest may go elsewhere."""
    for s in running:
        drive.preload_at_home(ctx.generators, s)
    holds = []
    try:
        for s in running:
            holds.append(_AllAtHome(s, ctx.generators.clients))
            with s.client() as c:
                c.command('CONFIG', 'RESETSTAT')
        _workloads(ctx, 'routing', running, workloads.ROUTING_HOME, ctx.options.rounds,
                   lambda s: {'shards': s.definition.shards})
        for s in running:
            elsewhere = _share_elsewhere(s)
            if elsewhere > 0.01:
                ctx.problem(f'{s.name}: {elsewhere:.0%} of the commands whose keys should be at home were not')
    finally:
        for h in holds:
            h.__exit__()


def routing(ctx, definitions):
    """definitions: Ashlar with different numbers of shards."""
    chosen = [w for w in workloads.SPEED if w.key in workloads.ROUTING and ctx.options.wants(w.key)]
    if ctx.options.quick:
        chosen = [w for w in chosen if w.key in workloads.QUICK_ROUTING]
    home = bool(ctx.generators.ashlar_bench) and not ctx.options.only
    with Running(ctx, definitions) as running:
        _preload(ctx, running)
        _workloads(ctx, 'routing', running, chosen, ctx.options.rounds, lambda s: {'shards': s.definition.shards},
                   len(workloads.ROUTING_HOME) if home else 0)
        if home:
            try:
                _routing_home(ctx, running)
            except FAILURES as e:
                ctx.problem(f'routing, keys at home: {e}')


def _fill(ctx, server, shape, units):
    if server.protocol == 'memcached':
        server.load(shape.memcached(units))
    elif shape.template and ctx.generators.ashlar_bench:
        drive.bench(ctx.generators, server.port, '--load', units, '--key-format', shape.key_format, '-c', 1, '-P', 128,
                    '--load-command', shape.template)
    else:
        batch = 20 if shape.key == 'set' else servers.LOAD_BATCH
        server.load((servers.encode(*words) for words in shape.commands(units)), shape.lines, batch)


def _growth_of(ctx, server, shape, units):
    """Fills an empty server; bytes for each unit, None if it failed."""
    try:
        before, cpu = server.settle(), server.cpu_ns()
        _fill(ctx, server, shape, units)
        load_us = (server.cpu_ns() - cpu) / 1000 / units
        each = (server.settle() - before) / units
    except FAILURES as e:
        ctx.add('memory', server=server.name, shape=shape.key, error=str(e)[:300])
        return None
    ctx.add('memory', server=server.name, shape=shape.key, units=units, bytes=each, load_us=load_us)
    return each


def memory(ctx, definitions):
    for shape in workloads.MEMORY:
        units = max(100, ctx.options.memory_keys // shape.share)
        line = []
        for d in definitions:
            if d.protocol == 'memcached' and not shape.memcached:
                continue
            with Running(ctx, [d]) as running:
                for s in running:
                    each = _growth_of(ctx, s, shape, units)
                    line.append(f'{s.name} {each:.1f}' if each is not None else f'{s.name} -')
        ctx.progress(f'memory {shape.label}: ' + '  '.join(line) + f' bytes/{shape.unit}')


RATE_STEPS = [0.1, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6]
QUICK_RATE_STEPS = [0.2, 0.5, 0.8, 1.0]
RATE_ROUNDS_MAX = 3  # many rates, each of them seconds long
SWEEP_BOUND = 'p99<1ms'
SWEEP_RUNS = 25      # that a sweep may need: steps, bisection, second tries
SWEEP_BUDGET_SHARE = 0.3


def _sweeps(ctx, running, seconds):
    """The highest rate that each server serves within the bound."""
    for s in running:
        try:
            found = drive.sweep(ctx.generators, s, SWEEP_BOUND, seconds)
        except FAILURES as e:
            ctx.add('sweep', server=s.name, error=str(e)[:300])
            continue
        ctx.add('sweep', server=s.name, **found)
        ctx.progress(f'sweep, {SWEEP_BOUND}: {s.name} {found["best"]:,.0f}/s')


def _at_rate(ctx, server, get, rate, step, round_, seconds):
    """One point of the curve; its p99 in words."""
    try:
        point = drive.at_rate(ctx.generators, server, get.command, rate, seconds)
    except FAILURES as e:
        ctx.add('latency', server=server.name, rate=rate, step=step, round=round_, error=str(e)[:300])
        return f'{server.name} -'
    ctx.add('latency', server=server.name, rate=rate, step=step, round=round_, rps=point.rps,
            latency_us=point.latency_us)
    return f'{server.name} {point.latency_us.get("p99", 0):.0f}'


def latency(ctx, definitions):
    """GET at fixed rates: shares of what redis (or the first server) takes in a closed loop."""
    definitions = [d for d in definitions if d.protocol == 'resp']
    get = next(w for w in workloads.SPEED if w.key == 'get-1')
    steps = QUICK_RATE_STEPS if ctx.options.quick else RATE_STEPS
    rounds = min(ctx.options.rounds, RATE_ROUNDS_MAX)
    if not ctx.generators.ashlar_bench:
        ctx.problem('latency: ashlar-bench has not been built')
        return
    with Running(ctx, definitions) as running:
        _preload(ctx, running)
        if not running:
            return
        seconds, sweep_seconds = ctx.options.rate_seconds, max(0.3, ctx.options.rate_seconds / 4)
        base = next((s for s in running if s.name == 'redis'), running[0])
        full = ctx.attempt(base, 'latency', lambda: drive.run(ctx.generators, base, get, _requests(ctx, get))['rps'])
        if full is None:
            return
        if ctx.until is not None:
            left, n = ctx.share(1), len(running)
            seconds = max(0.5, left * (1 - SWEEP_BUDGET_SHARE) / (len(steps) * rounds * n * 1.2) - RUN_OVERHEAD_SECONDS)
            sweep_seconds = max(0.2, left * SWEEP_BUDGET_SHARE / (SWEEP_RUNS * n))
        ctx.report['latency_base'] = {'server': base.name, 'rps': full, 'seconds': round(seconds, 1)}
        for number, step in enumerate(steps, 1):
            rate = max(100, round(full * step, -2))
            line = []
            for round_ in range(rounds):
                if ctx.is_late() and round_ > 0:
                    break
                line += [_at_rate(ctx, s, get, rate, step, round_, seconds) for s in in_turn(running, round_)
                         if s.alive()]
            ctx.progress(f'latency {number}/{len(steps)} at {rate:.0f}/s, p99: ' + '  '.join(line) + ' us')
        _sweeps(ctx, [s for s in running if s.alive()], sweep_seconds)


AGREEMENT = [w for w in workloads.SPEED if w.key in ('get-1', 'set-1', 'get-16', 'set-16', 'get-64', 'set-64')]


def _agreement_run(ctx, server, generator, w, requests):
    return ctx.attempt(server, f'{w.label} by {generator}', lambda: drive.agreement_run(
        ctx.generators, server, generator, w.command, w.depth, requests))


def agreement(ctx, definitions):
    """One redis-server, driven by ashlar-bench and by the other generators in turn, with the same options."""
    names = drive.other_generators() + ['ashlar-bench']
    if not ctx.generators.ashlar_bench or len(names) < 2:
        ctx.problem('agreement: needs ashlar-bench, and redis-benchmark or memtier_benchmark')
        return
    with Running(ctx, [d for d in definitions if d.name == 'redis']) as running:
        _preload(ctx, running)
        if running and 'memtier_benchmark' in names:
            ctx.attempt(running[0], 'filling', lambda: drive.preload_for_memtier(ctx.generators, running[0]))
        for number, w in enumerate(AGREEMENT, 1):
            server = next((s for s in running if s.alive()), None)
            if server is None:
                return
            seconds = ctx.share(len(AGREEMENT) - number + 1)
            warm = [_agreement_run(ctx, server, g, w, max(w.depth * 10 * ctx.generators.clients,
                                                          _requests(ctx, w) // WARM_UP_SHARE)) for g in names]
            rates = [x['rps'] for x in warm if x]
            requests = _requests(ctx, w) if seconds is None or not rates else _requests_in(ctx, w, seconds, rates)
            line = []
            end = math.inf if seconds is None else time.monotonic() + seconds
            for round_ in range(ctx.options.rounds):
                if round_ >= ROUNDS_MIN and time.monotonic() > end:
                    break
                for g in in_turn(names, round_):
                    sample = _agreement_run(ctx, server, g, w, requests) if server.alive() else None
                    if sample:
                        ctx.add('agreement', server=server.name, generator=g, workload=w.key, round=round_, **sample)
                        line.append(f'{g[:5]} {sample["rps"] / 1000:.0f}k')
            ctx.progress(f'agreement {number}/{len(AGREEMENT)} {w.label}: ' + '  '.join(line))
