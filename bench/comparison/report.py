"""report.py - from samples to tables: medians with their spread, ratios to redis, verdicts on targets.

markdown() takes what report.json holds and nothing else: the same samples give the same report. Functions
above it give numbers and are what the tests look at."""
import statistics
from collections import namedtuple

from . import workloads

BASE = 'redis'
OURS = 'ashlar'           # one shard: what the targets of speed and memory are about
STALLS_OURS = 'ashlar-2'  # two shards: what stalls are measured with
TITLES = {'redis': 'redis-server', 'ashlar': 'Ashlar, 1 shard', 'memcached': 'memcached'}
NOTHING = '–'

Stat = namedtuple('Stat', 'median low high rounds')
Verdict = namedtuple('Verdict', 'what value target reached')


def title(name):
    if name in TITLES:
        return TITLES[name]
    if name.startswith('ashlar-'):
        return f'Ashlar, {name[7:]} shards'
    return name


def uniq(values):
    return list(dict.fromkeys(values))


def stat(values):
    """Median, lowest and highest; None of nothing."""
    values = [v for v in values if v is not None]
    return Stat(statistics.median(values), min(values), max(values), len(values)) if values else None


def collect(samples, field, **wanted):
    """The stat of a field over the samples whose other fields are as wanted."""
    return stat([s.get(field) for s in samples
                 if 'error' not in s and all(s.get(k) == v for k, v in wanted.items())])


def ratio(a, b):
    return a.median / b.median if a and b and b.median else None


def reached(value, target):
    """To the two decimals that targets are given in."""
    return None if value is None or target is None else round(value, 2) <= target


# --- text ---

def number(v, digits=2):
    return NOTHING if v is None else f'{v:.{digits}f}'


def with_spread(s, digits=2):
    """5.83 (5.70–6.01)"""
    if s is None:
        return NOTHING
    text = number(s.median, digits)
    return text if s.rounds < 2 else f'{text} ({number(s.low, digits)}–{number(s.high, digits)})'


def verdict_text(is_reached):
    return {None: NOTHING, True: 'reached', False: '**missed**'}[is_reached]


def milliseconds(us):
    if us is None:
        return NOTHING
    ms = us / 1000
    return f'{ms:.2f}' if ms < 10 else f'{ms:.1f}' if ms < 100 else f'{ms:.0f}'


def grid(rows):
    lines = ['| ' + ' | '.join(str(c) for c in rows[0]) + ' |', '|' + '---|' * len(rows[0])]
    return lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows[1:]] + ['']


# --- speed ---

def measured(result, section):
    samples = result.get(section, [])
    names = [s['name'] for s in result.get('servers', [])]
    seen = uniq(s['server'] for s in samples)
    return [n for n in names if n in seen] + [n for n in seen if n not in names]


def speed_rows(result):
    """(workload, {server: Stat of CPU µs per request}) in the order of PERFORMANCE.md, those measured."""
    samples = result.get('speed', [])
    there = {s['workload'] for s in samples}
    names = measured(result, 'speed')
    return [(w, {n: collect(samples, 'cpu_us', workload=w.key, server=n) for n in names})
            for w in workloads.SPEED if w.key in there]


def speed_verdicts(result):
    return [Verdict(w.label, ratio(cpu.get(OURS), cpu.get(BASE)), w.target,
                    reached(ratio(cpu.get(OURS), cpu.get(BASE)), w.target))
            for w, cpu in speed_rows(result) if w.target is not None]


def _speed(result):
    names = measured(result, 'speed')
    others = [n for n in names if n != BASE]
    out = ['## Server CPU time per request, µs', '',
           'Median of the rounds (fastest–slowest); × is the ratio of medians to redis-server. The verdict is on '
           'one shard.', '']
    head = ['workload'] + ([title(BASE)] if BASE in names else [])
    for n in others:
        head += [title(n)] + (['×'] if BASE in names else [])
    rows = [head + ['target ×', '']]
    for w, cpu in speed_rows(result):
        row = [w.label] + ([with_spread(cpu[BASE])] if BASE in names else [])
        for n in others:
            row.append(with_spread(cpu[n]))
            if BASE in names:
                row.append(number(ratio(cpu[n], cpu[BASE])))
        rows.append(row + [number(w.target) if w.target else NOTHING,
                           verdict_text(reached(ratio(cpu.get(OURS), cpu.get(BASE)), w.target))])
    out += grid(rows)
    out += ['<details><summary>Throughput and latency of the same runs (closed loop; ratios within one run only)'
            '</summary>', '']
    rows = [['workload'] + [f'{title(n)}: requests/s, p50 / p99 ms' for n in names]]
    samples = result['speed']
    for w, _ in speed_rows(result):
        row = [w.label]
        for n in names:
            rps, p50, p99 = (collect(samples, f, workload=w.key, server=n) for f in ('rps', 'p50', 'p99'))
            row.append(NOTHING if rps is None else
                       f'{rps.median:,.0f}, {milliseconds(p50 and p50.median)} / {milliseconds(p99 and p99.median)}')
        rows.append(row)
    return out + grid(rows) + ['</details>', ''] + _generator_cost(result)


def _generator_cost(result):
    """A generator that was the bottleneck, or that cost more than the server, is worth knowing."""
    slack = [s['busy'] for s in result['speed'] if 'busy' in s and s['server'] in (BASE, OURS)]
    return [] if not slack else [f'The servers were busy for {min(slack) * 100:.0f} to {max(slack) * 100:.0f} % of a '
                                 f'run (median {statistics.median(slack) * 100:.0f} %).', '']


# --- routing ---

def routing_target(workload, shards):
    if workload.depth == 1:
        return workloads.ROUTING_TARGET_UNPIPELINED.get(shards)
    return workloads.ROUTING_TARGET.get(shards)


def routing_rows(result):
    """(workload, {shards: (Stat, × one shard)})"""
    samples = result.get('routing', [])
    counts = sorted({s['shards'] for s in samples})
    rows = []
    for w in workloads.SPEED:
        of = [s for s in samples if s['workload'] == w.key]
        if of:
            cost = {n: collect(of, 'cpu_us', shards=n) for n in counts}
            rows.append((w, {n: (cost[n], ratio(cost[n], cost.get(1))) for n in counts}))
    return rows


def routing_verdicts(result):
    return [Verdict(f'{w.label}, {n} shards', times, routing_target(w, n), reached(times, routing_target(w, n)))
            for w, cost in routing_rows(result) for n, (_, times) in cost.items()
            if n > 1 and routing_target(w, n) is not None]


def _routing(result):
    rows = routing_rows(result)
    counts = list(rows[0][1]) if rows else []
    table = [['workload'] + [f'{n} shard' + 's' * (n > 1) for n in counts]]
    for w, cost in rows:
        row = [w.label]
        for n in counts:
            s, times = cost[n]
            text = f'{number(s and s.median)} (× {number(times)})'
            row.append(f'**{text}**' if n > 1 and reached(times, routing_target(w, n)) is False else text)
        table.append(row)
    table.append(['target ×, pipelined'] + [number(workloads.ROUTING_TARGET.get(n)) for n in counts])
    table.append(['target ×, no pipeline'] + [number(workloads.ROUTING_TARGET_UNPIPELINED.get(n)) for n in counts])
    return ['## Cost of routing', '',
            'Server CPU time per request, µs, by number of shards, all of them on one core (oversubscription is in '
            'it), and × one shard. Bold: above the target.', ''] + grid(table)


# --- memory ---

def memory_rows(result):
    samples = result.get('memory', [])
    names = measured(result, 'memory')
    return [(shape, {n: collect(samples, 'bytes', shape=shape.key, server=n) for n in names})
            for shape in workloads.MEMORY if any(s['shape'] == shape.key for s in samples)]


def memory_verdicts(result):
    out = []
    for shape, cost in memory_rows(result):
        ours = cost.get(OURS)
        value = ours.median if ours else None
        # Targets are whole bytes; a page more or less is none.
        out.append(Verdict(shape.label, value, shape.target, None if value is None else round(value) <= shape.target))
    return out


def _memory(result):
    names = measured(result, 'memory')
    rows = [['shape', 'per'] + [title(n) for n in names] + ['target ≤', '']]
    for (shape, cost), verdict in zip(memory_rows(result), memory_verdicts(result)):
        rows.append([shape.label, shape.unit] + [number(cost[n] and cost[n].median, 1) for n in names]
                    + [shape.target, verdict_text(verdict.reached)])
    return ['## Memory', '', 'Growth of the resident set, bytes for each unit, keys and values included.', '',
            *grid(rows)]


# --- latency ---

def latency_points(result):
    """{server: [(rate, {percentile: median over the rounds}, achieved rate)]} in order of rate."""
    out = {}
    samples = [s for s in result.get('latency', []) if 'error' not in s]
    for name in measured(result, 'latency'):
        of = [s for s in samples if s['server'] == name]
        points = []
        for rate in sorted({s['rate'] for s in of}):
            at = [s for s in of if s['rate'] == rate]
            keys = [k for k in at[0]['latency_us']]
            points.append((rate, {k: stat([s['latency_us'].get(k) for s in at]).median for k in keys
                                  if any(s['latency_us'].get(k) is not None for s in at)},
                           stat([s['rps'] for s in at]).median))
        if points:
            out[name] = points
    return out


def _latency(result):
    points = latency_points(result)
    names = list(points)
    base = result.get('latency_base')
    out = ['## Latency over rate', '',
           'GET of random keys in an open loop: requests are due by the clock, and latency counts from the moment at '
           'which each was due. ' + (f'Rates are shares of the {base["rps"]:,.0f}/s that {title(base["server"])} '
                                     'reached in a closed loop. ' if base else '')
           + 'p50 / p99 / p99.9, ms; in brackets what was reached where it was less than 98 % of the rate.', '']
    rows = [['requests/s'] + [title(n) for n in names]]
    for rate in sorted({p[0] for v in points.values() for p in v}):
        row = [f'{rate:,.0f}']
        for n in names:
            at = next((p for p in points[n] if p[0] == rate), None)
            if at is None:
                row.append(NOTHING)
                continue
            text = ' / '.join(milliseconds(at[1].get(k)) for k in ('p50', 'p99', 'p99.9'))
            row.append(text if at[2] >= rate * 0.98 else f'{text} [{at[2]:,.0f}/s]')
        rows.append(row)
    return out + grid(rows)


# --- stalls ---

def stall_label(sample):
    size = f'{sample["size"]:,}'
    label = workloads.STALL_EVENTS[sample['event']]
    if sample['kind']:
        return f'{sample["kind"]} of {size}: {label}'
    return f'{label}, {size} keys'


def stall_rows(result):
    """(label, {server: sample}) in the order measured, without idle windows."""
    rows = {}
    for s in result.get('stalls', []):
        if s['event'] != 'idle':
            rows.setdefault(stall_label(s), {})[s['server']] = s
    return list(rows.items())


def stall_verdicts(result):
    out = []
    for label, by_server in stall_rows(result):
        s = by_server.get(STALLS_OURS)
        if s:
            worst = max(s['get']['max'], s['ping']['max'])
            out.append(Verdict(f'{label}, worst wait, ms', worst / 1000, workloads.STALL_TARGET_US / 1000,
                               worst <= workloads.STALL_TARGET_US))
            if s['event'] == 'deadline':
                free = s.get('free_seconds')
                out.append(Verdict(f'{label}: memory free after, s', free, workloads.EXPIRY_TARGET_S,
                                   free is not None and free <= workloads.EXPIRY_TARGET_S))
    return out


def _stalls(result):
    names = measured(result, 'stalls')
    out = ['## Stalls', '',
           'How long others wait: PING and GET of a key on the shard concerned, 2,000 a second by the clock, '
           'latencies from the moment at which each was due. Ashlar with two shards on one core. Target: nobody '
           f'waits longer than {workloads.STALL_TARGET_US / 1000:.0f} ms. What stands after "took" is the command itself.', '']
    rows = [['what happens'] + [f'{title(n)}: worst GET, worst PING, p99.9 GET, ms' for n in names] + ['']]
    for label, by_server in stall_rows(result):
        row = [label]
        for n in names:
            s = by_server.get(n)
            text = NOTHING
            if s:
                text = ', '.join(milliseconds(v) for v in (s['get']['max'], s['ping']['max'], s['get']['p99.9']))
                if 'command_seconds' in s:
                    text += f' (took {milliseconds(s["command_seconds"] * 1e6)})'
                if s['event'] == 'deadline':
                    text += (f' (gone after {number(s.get("gone_seconds"))} s, '
                             f'memory after {number(s.get("free_seconds"))} s)')
                if s.get('left'):
                    text += f' ({s["left"]} left)'
            row.append(text)
        s = by_server.get(STALLS_OURS)
        is_reached = None if not s else max(s['get']['max'], s['ping']['max']) <= workloads.STALL_TARGET_US
        rows.append(row + [verdict_text(is_reached)])
    out += grid(rows)
    idle = [s for s in result['stalls'] if s['event'] == 'idle']
    if idle:
        worst = max(max(s['get']['max'], s['ping']['max']) for s in idle)
        late = stat([s['late']['max'] for s in result['stalls']])
        realtime = all(s['realtime'] for s in result['stalls'])
        out += [f'While nothing happened, the longest wait was {milliseconds(worst)} ms: no figure above means anything '
                f'below that. The probe itself was late by at most {milliseconds(late.median)} ms (median over the windows; '
                f'{"real-time" if realtime else "without real-time"} scheduling).', '']
    return out


# --- all of it ---

VERDICTS = {'speed': speed_verdicts, 'routing': routing_verdicts, 'memory': memory_verdicts, 'stalls': stall_verdicts}
PARTS = {'speed': _speed, 'routing': _routing, 'memory': _memory, 'latency': _latency, 'stalls': _stalls}
PLOTS = {'speed': ['cpu'], 'routing': ['routing'], 'memory': ['memory'], 'latency': ['latency', 'percentiles'],
         'stalls': ['stalls']}


def all_verdicts(result):
    return [(section, v) for section, of in VERDICTS.items() for v in of(result) if v.reached is not None]


def _summary(result):
    verdicts = all_verdicts(result)
    if not verdicts:
        return []
    missed = [(section, v) for section, v in verdicts if not v.reached]
    out = [f'**{len(verdicts) - len(missed)} of {len(verdicts)} targets of PERFORMANCE.md are reached.**', '']
    if missed:
        out += grid([['missed', 'is', 'should be']] + [
            [f'{section}: {v.what}', number(v.value), f'≤ {v.target:g}'] for section, v in missed])
    return out


def _head(result):
    m = result['machine']
    out = ['# Ashlar beside its peers', '',
           f'{result["date"]}, {m["cpu"]}, {m["cores"]} cores, {m["memory_gib"]} GiB, Linux {m["kernel"]}; '
           f'load before: {m["load_before"]:.2f}.', '']
    if result.get('quick'):
        out += ['*Quick mode: to try it out. Nothing here is to be quoted.*', '']
    o = result['options']
    out += [f'    {result["command"]}', '',
            f'{o["clients"]} connections, {o["keys"]:,} random keys, 32-byte values, persistence off; servers on core '
            f'{o["cpu"]}, load generators on core {o["gencpu"]}; {o["rounds"]} rounds, servers in turn.', '']
    return out + grid([['server', 'version', 'command']] + [
        [title(s['name']), s['version'], f'`{s["command"]}`'] for s in result['servers']] + [
        [name, version, 'load generator'] for name, version in result['generators'].items()])


def markdown(result, plots=None):
    plots = plots or {}
    out = _head(result) + _summary(result)
    for section, part in PARTS.items():
        if not result.get(section):
            continue
        out += part(result)
        out += [line for name in PLOTS[section] if name in plots for line in (f'![{name}]({plots[name]})', '')]
    errors = uniq(f'{s["server"]}, {s.get("workload") or s.get("shape") or s.get("rate")}: {s["error"]}'
                  for section in PARTS for s in result.get(section, []) if 'error' in s)
    problems = result.get('problems', []) + errors
    if problems:
        out += ['## Problems', ''] + [f'- {p}' for p in problems] + ['']
    return '\n'.join(out)
