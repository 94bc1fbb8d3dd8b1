"""sections.py - many runs: speed, routing, memory, latency. Servers take turns inside every workload,
so that ratios come from the same minutes. Each section yields flat samples into the report."""
import time

from . import drive, servers, workloads

WARM_UP_SHARE = 20  # an unmeasured run of 1/20 of the requests comes first


class Context:
    """What all sections need: options, generators, and where samples and progress go."""

    def __init__(self, options, generators, report, progress):
        self.options, self.generators, self.report, self.progress = options, generators, report, progress
        self.cpus, self.port = {options.cpu}, options.port

    def add(self, section, **sample):
        self.report.setdefault(section, []).append(sample)

    def start(self, definition):
        return servers.Server(definition, self.port, self.cpus)


class Running:
    """Starts several servers and stops them all, whatever happens. One that does not start is left out."""

    def __init__(self, ctx, definitions):
        self.ctx, self.definitions, self.servers = ctx, definitions, []

    def __enter__(self):
        try:
            for d in self.definitions:
                try:
                    server = self.ctx.start(d)
                except servers.ServerError as e:
                    self.ctx.progress(f'{d.name} is left out: {e}')
                    self.ctx.report.setdefault('problems', []).append(f'{d.name}: {e}')
                    continue
                self.servers.append(server)
        except BaseException:
            self.__exit__()
            raise
        return self.servers

    def __exit__(self, *_):
        for s in self.servers:
            s.stop()


def _one_run(ctx, section, server, w, round_, requests, **more):
    try:
        sample = drive.run(ctx.generators, server, w, requests)
    except (servers.ServerError, OSError) as e:
        ctx.progress(f'{w.label}: {server.name}: {e}')
        ctx.add(section, server=server.name, workload=w.key, round=round_, error=str(e)[:300], **more)
        if not server.alive():
            ctx.report.setdefault('problems', []).append(f'{server.name} died during {w.label}')
        return None
    ctx.add(section, server=server.name, workload=w.key, round=round_, **sample, **more)
    return sample


def _requests(ctx, w):
    return max(w.depth * 10, int(w.thousands * 1000 * ctx.options.scale))


def _workloads(ctx, section, running, chosen, rounds, name_of=lambda s: {}):
    chosen_keys = {w.key for w in chosen}
    by_key = {w.key: w for w in workloads.SPEED}
    for number, w in enumerate(chosen, 1):
        able = [s for s in running if s.alive() and drive.supported(s, w)]
        for s in able:  # what the workload works on, and a warm-up
            for need in w.needs:
                if need not in chosen_keys:
                    drive.run(ctx.generators, s, by_key[need], _requests(ctx, by_key[need]))
            try:
                drive.run(ctx.generators, s, w, max(w.depth * 10, _requests(ctx, w) // WARM_UP_SHARE))
            except (servers.ServerError, OSError):
                pass  # the measured runs will say so
        seen = {}
        for round_ in range(rounds):
            for s in able:
                if s.alive():
                    sample = _one_run(ctx, section, s, w, round_, _requests(ctx, w), **name_of(s))
                    if sample:
                        seen.setdefault(s.name, []).append(sample['cpu_us'])
        ctx.progress(f'{section} {number}/{len(chosen)} {w.label}: ' + '  '.join(
            f'{s.name} {sorted(seen[s.name])[len(seen[s.name]) // 2]:.2f}' if s.name in seen else f'{s.name} -'
            for s in running) + ' us/request')


def _preload(ctx, running):
    for s in running:
        started = time.monotonic()
        drive.preload(ctx.generators, s)
        ctx.progress(f'{s.name}: {ctx.generators.keys} keys loaded in {time.monotonic() - started:.1f} s')


def speed(ctx, definitions):
    chosen = [w for w in workloads.SPEED if ctx.options.wants(w.key)]
    with Running(ctx, definitions) as running:
        _preload(ctx, running)
        _workloads(ctx, 'speed', running, chosen, ctx.options.rounds)


def routing(ctx, definitions):
    """definitions: Ashlar with different numbers of shards."""
    chosen = [w for w in workloads.SPEED if w.key in workloads.ROUTING and ctx.options.wants(w.key)]
    if ctx.options.quick:
        chosen = [w for w in chosen if w.key in workloads.QUICK_ROUTING]
    with Running(ctx, definitions) as running:
        _preload(ctx, running)
        _workloads(ctx, 'routing', running, chosen, ctx.options.rounds,
                   lambda s: {'shards': s.definition.shards})


def _fill(server, shape, units):
    if server.protocol == 'memcached':
        server.load(shape.memcached(units))
    else:
        batch = 20 if shape.key == 'set' else servers.LOAD_BATCH
        server.load((servers.encode(*words) for words in shape.commands(units)), shape.lines, batch)


def memory(ctx, definitions):
    for shape in workloads.MEMORY:
        units = max(100, ctx.options.memory_keys // shape.share)
        line = []
        for d in definitions:
            if d.protocol == 'memcached' and not shape.memcached:
                continue
            with Running(ctx, [d]) as running:
                for s in running:
                    before = s.settle()
                    cpu = s.cpu_ns()
                    try:
                        _fill(s, shape, units)
                    except servers.ServerError as e:
                        ctx.add('memory', server=s.name, shape=shape.key, error=str(e)[:300])
                        continue
                    load_us = (s.cpu_ns() - cpu) / 1000 / units
                    each = (s.settle() - before) / units
                    ctx.add('memory', server=s.name, shape=shape.key, units=units, bytes=each, load_us=load_us)
                    line.append(f'{s.name} {each:.1f}')
        ctx.progress(f'memory {shape.label}: ' + '  '.join(line) + f' bytes/{shape.unit}')


RATE_STEPS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
QUICK_RATE_STEPS = [0.2, 0.5, 0.8, 1.0]
RATE_ROUNDS_MAX = 3  # many rates, each of them seconds long


def latency(ctx, definitions):
    """GET at fixed rates: shares of what redis (or the first server) takes in a closed loop."""
    definitions = [d for d in definitions if d.protocol == 'resp']
    get = next(w for w in workloads.SPEED if w.key == 'get-1')
    steps = QUICK_RATE_STEPS if ctx.options.quick else RATE_STEPS
    if not ctx.generators.ashlar_bench:
        ctx.progress('latency: needs ashlar-bench, which has not been built')
        ctx.report.setdefault('problems', []).append('latency: ashlar-bench has not been built')
        return
    with Running(ctx, definitions) as running:
        if not running:
            return
        _preload(ctx, running)
        base = next((s for s in running if s.name == 'redis'), running[0])
        full = drive.run(ctx.generators, base, get, _requests(ctx, get))['rps']
        ctx.report['latency_base'] = {'server': base.name, 'rps': full}
        for step in steps:
            rate = max(100, round(full * step, -2))
            line = []
            for round_ in range(min(ctx.options.rounds, RATE_ROUNDS_MAX)):
                for s in running:
                    try:
                        point = drive.at_rate(ctx.generators, s, get.command, rate, ctx.options.rate_seconds)
                    except (servers.ServerError, OSError) as e:
                        ctx.add('latency', server=s.name, rate=rate, step=step, round=round_, error=str(e)[:300])
                        continue
                    ctx.add('latency', server=s.name, rate=rate, step=step, round=round_, rps=point.rps,
                            latency_us=point.latency_us)
                    line.append(f'{s.name} {point.latency_us.get("p99", 0):.0f}')
            ctx.progress(f'latency at {rate:.0f}/s, p99: ' + '  '.join(line) + ' us')
