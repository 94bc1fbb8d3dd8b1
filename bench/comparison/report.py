"""report.py - from samples to tables: medians with their spread, ratios to redis, verdicts on targets.

markdown() takes what report.json holds and nothing else: the same samples give the same report. Functions
above it give numbers and are what the tests look at."""
import statistics
import textwrap
from collections import namedtuple

from . import workloads

BASE = 'redis'
OURS = 'ashlar'           # one shard: what the targets of speed and memory are about
STALLS_OURS = 'ashlar-2'  # two shards: what stalls are measured with
TITLES = {'redis': 'redis-server', 'ashlar': 'Ashlar, 1 shard', 'memcached': 'memcached'}
NOTHING = '–'
UNTOLD = 'untold'        # neither reached nor missed: the machine itself is worse than what is asked

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
    return {None: NOTHING, True: 'reached', False: '**missed**', UNTOLD: 'below what this machine can tell'}[is_reached]


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
    if workload.kind == 'home':
        return workloads.ROUTING_TARGET_HOME
    if workload.depth == 1:
        return workloads.ROUTING_TARGET_UNPIPELINED.get(shards)
    return workloads.ROUTING_TARGET.get(shards)


def routing_rows(result):
    """(workload, {shards: (Stat, × one shard)})"""
    samples = result.get('routing', [])
    counts = sorted({s['shards'] for s in samples})
    rows = []
    for w in workloads.SPEED + workloads.ROUTING_HOME:
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
            text = f'{with_spread(s)}, × {number(times)}' if n > 1 else with_spread(s)
            row.append(f'**{text}**' if n > 1 and reached(times, routing_target(w, n)) is False else text)
        table.append(row)
    if any(w.kind == 'home' for w, _ in rows):
        table.append(['target ×, keys at home'] + [number(workloads.ROUTING_TARGET_HOME if n > 1 else 1) for n in counts])
    table.append(['target ×, pipelined'] + [number(workloads.ROUTING_TARGET.get(n)) for n in counts])
    table.append(['target ×, no pipeline'] + [number(workloads.ROUTING_TARGET_UNPIPELINED.get(n)) for n in counts])
    return ['## Cost of routing', '',
            'Server CPU time per request, µs, by number of shards, all of them on one core (oversubscription is in '
            'it), median of the rounds (fastest–slowest), and × one shard. Bold: above the target. "Keys at home": all '
            'connections and keys are of one shard, the others idle.', ''] + grid(table)


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
    """{server: [(rate, {percentile: median over the rounds}, achieved rate, Stat of p99)]} in order of rate."""
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
                           stat([s['rps'] for s in at]).median, stat([s['latency_us'].get('p99') for s in at])))
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
           + 'p50 / p99 (best–worst round) / p99.9, ms; in brackets what was reached where it was less than 98 % of '
           'the rate.', '']
    rows = [['requests/s'] + [title(n) for n in names]]
    for rate in sorted({p[0] for v in points.values() for p in v}):
        row = [f'{rate:,.0f}']
        for n in names:
            at = next((p for p in points[n] if p[0] == rate), None)
            if at is None:
                row.append(NOTHING)
                continue
            p50, p99, p999 = (milliseconds(at[1].get(k)) for k in ('p50', 'p99', 'p99.9'))
            if at[3] and at[3].rounds > 1:
                p99 += f' ({milliseconds(at[3].low)}–{milliseconds(at[3].high)})'
            text = f'{p50} / {p99} / {p999}'
            row.append(text if at[2] >= rate * 0.98 else f'{text} [{at[2]:,.0f}/s]')
        rows.append(row)
    return out + grid(rows) + _sweep(result)


def _sweep(result):
    """What every server serves within a bound."""
    found = [s for s in result.get('sweep', []) if 'error' not in s]
    if not found:
        return []
    base = next((s['best'] for s in found if s['server'] == BASE), None)
    rows = [['server', f'highest rate with {found[0]["bound"]}'] + (['×'] if base else [])]
    rows += [[title(s['server']), f'{s["best"]:,.0f}/s' if s['best'] else 'none']
             + ([number(s['best'] / base)] if base else []) for s in found]
    return ['`ashlar-bench --sweep` (steps, then bisection; a rate that fails is tried a second time):', ''] + grid(rows)


# --- agreement ---

CLOSE = 0.10   # percentiles that differ by less than this agree
CLOSE_US = 20  # and so do those that differ by less: a tick of either's clock


def agreement_rows(result):
    """(workload, {generator: {field: Stat}})"""
    samples = result.get('agreement', [])
    fields = ('rps', 'p50', 'p95', 'p99', 'max', 'generator_us')
    names = uniq(s['generator'] for s in samples)
    return [(w, {g: {f: collect(samples, f, workload=w.key, generator=g) for f in fields} for g in sorted(names)[::-1]})
            for w in workloads.SPEED if any(s['workload'] == w.key for s in samples)]


def agree(a, b, apart=0.0):
    """Whether two Stats tell the same: close, or within what either's rounds differ by. In a closed loop the
    one that drives the server faster sees shorter latencies: apart is how far their rates are apart."""
    if not a or not b:
        return None
    gap = abs(a.median - b.median)
    return gap <= max((CLOSE + apart) * max(a.median, b.median), CLOSE_US, a.high - a.low, b.high - b.low)


def _agreement(result):
    out = ['## ashlar-bench beside redis-benchmark', '',
           'One redis-server, driven by both in turn: closed loop, 50 connections, one thread, the same commands. Medians '
           f'(lowest–highest round). Percentiles agree when they differ by less than {CLOSE:.0%} more than the rates do, '
           f'{CLOSE_US} µs, or the rounds\' own spread.', '']
    rows = [['workload', 'generator', 'requests/s', '×', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms',
             'own CPU, µs/request', '×', 'percentiles']]
    for w, of in agreement_rows(result):
        for g, f in of.items():
            other = of.get('redis-benchmark') if g != 'redis-benchmark' else None
            faster = ratio(f['rps'], other['rps']) if other else None
            differ = [k for k in ('p50', 'p95', 'p99')
                      if other and not agree(f[k], other[k], abs(1 - (faster or 1)))]
            ms = [with_spread(f[k] and Stat(*(v / 1000 for v in f[k][:3]), f[k].rounds), 3)
                  for k in ('p50', 'p95', 'p99', 'max')]
            rate = f['rps']
            rows.append([w.label, g, f'{rate.median:,.0f} ({rate.low:,.0f}–{rate.high:,.0f})' if rate else NOTHING,
                         number(faster) if other else '', *ms, with_spread(f['generator_us']),
                         number(ratio(f['generator_us'], other['generator_us'])) if other else '',
                         '' if not other else 'agree' if not differ else f'{", ".join(differ)} differ'])
    return out + grid(rows)


# --- stalls ---

def stall_label(sample):
    size = f'{sample["size"]:,}'
    label = workloads.STALL_EVENTS[sample['event']]
    if sample['kind']:
        return f'{sample["kind"]} of {size}: {label}'
    return f'{label}, {size} keys'


def stall_rows(result):
    """(label, {server: sample}) in the order measured."""
    rows = {}
    for s in result.get('stalls', []):
        if 'error' not in s:
            rows.setdefault(stall_label(s), {})[s['server']] = s
    return list(rows.items())


def worst_wait(sample):
    return max(sample['get']['max'], sample['ping']['max'])


def idle_worst(result, server):
    """The longest wait while nothing happened, in all the idle periods of a server."""
    waits = [s['noise']['max'] for s in result.get('stalls', []) if s['server'] == server and 'noise' in s]
    return max(waits, default=0.0)


def stall_reached(result, sample):
    """Whether nobody waited longer than the target: True, False, or UNTOLD.

    A server that says of itself that a turn took longer has missed it, whatever the probe saw. One that
    says that none did, while the probe waited longer, has not reached it; but the fault cannot be told
    from the machine's when the same wait came up while nothing happened, or when its longest turn took
    that long by the clock and not in CPU time: then somebody else had its core."""
    target, own, worst = workloads.STALL_TARGET_US, sample.get('turn_us'), worst_wait(sample)
    if own is not None and own > target:
        return False
    if worst <= target:
        return True
    machine = max(idle_worst(result, sample['server']), sample.get('turn_wall_us') or 0)
    return UNTOLD if own is not None and worst <= machine + target else False


def stall_verdicts(result):
    out = []
    for label, by_server in stall_rows(result):
        s = by_server.get(STALLS_OURS)
        if s:
            is_reached = stall_reached(result, s)
            own, target = s.get('turn_us'), workloads.STALL_TARGET_US
            shown = own if own is not None and own > target else worst_wait(s)
            out.append(Verdict(f'{label}, ' + ('longest turn, ms' if shown == own else 'worst wait, ms'), shown / 1000,
                               target / 1000, is_reached))
            if s['event'] == 'deadline':
                free = s.get('free_seconds')
                out.append(Verdict(f'{label}: memory free after, s', free, workloads.EXPIRY_TARGET_S,
                                   free is not None and free <= workloads.EXPIRY_TARGET_S))
    return out


def _stall_cells(sample):
    """worst, p99.9, worst while idle just before"""
    if not sample:
        return [NOTHING] * 3
    left = f' ({sample["left"]} left)' if sample.get('left') else ''
    return [milliseconds(worst_wait(sample)) + left,
            milliseconds(max(sample['get']['p99.9'], sample['ping']['p99.9'])),
            milliseconds(sample['noise']['max'] if 'noise' in sample else None)]


def _stalls(result):
    names = measured(result, 'stalls')
    ours = STALLS_OURS in names
    out = ['## How long others wait', '',
           'PING and GET of a key on the shard concerned, 2,000 a second by the clock, latencies from the moment at which '
           'each was due, ms. Ashlar with two shards on one core. "Idle": the longest wait in the second before, in which '
           'nothing happened. "Longest turn": of Ashlar\'s shards, in CPU time: its own view, which no '
           f'neighbour disturbs. Target: nobody waits longer than {workloads.STALL_TARGET_US / 1000:.0f} ms.', '']
    rows = [['what happens'] + [f'{title(n)}: {what}' for n in names for what in ('worst', 'p99.9', 'idle')]
            + (['longest turn', ''] if ours else [])]
    for label, by_server in stall_rows(result):
        row = [label]
        for n in names:
            row += _stall_cells(by_server.get(n))
        if ours:
            s = by_server.get(STALLS_OURS)
            turn = s.get('turn_us') if s else None
            row += ['< 1' if turn == 0 else milliseconds(turn), verdict_text(None if not s else stall_reached(result, s))]
        rows.append(row)
    out += grid(rows)
    ends = [s for s in result['stalls'] if s['event'] == 'deadline']
    for s in ends:
        out.append(f'- {title(s["server"])}: {s["size"]:,} keys of one deadline were gone after '
                   f'{number(s.get("gone_seconds"))} s, their memory was free after {number(s.get("free_seconds"))} s '
                   f'(target for Ashlar: {workloads.EXPIRY_TARGET_S:g} s).')
    late = stat([s['late']['max'] for s in result['stalls']])
    realtime = all(s['realtime'] for s in result['stalls'])
    return out + [''] * bool(ends) + [
        f'The probe itself was late by at most {milliseconds(late.median)} ms (median over the rows; '
        f'{"real-time" if realtime else "without real-time"} scheduling).', '']


# --- all of it ---

VERDICTS = {'speed': speed_verdicts, 'routing': routing_verdicts, 'memory': memory_verdicts, 'stalls': stall_verdicts}
PARTS = {'speed': _speed, 'routing': _routing, 'memory': _memory, 'stalls': _stalls, 'latency': _latency,
         'agreement': _agreement}
PLOTS = {'speed': ['cpu'], 'routing': ['routing'], 'memory': ['memory'], 'latency': ['latency', 'percentiles'],
         'stalls': ['stalls'], 'agreement': []}


def all_verdicts(result):
    return [(section, v) for section, of in VERDICTS.items() for v in of(result) if v.reached is not None]


def _summary(result):
    verdicts = all_verdicts(result)
    if not verdicts:
        return []
    missed = [(section, v) for section, v in verdicts if not v.reached]
    untold = [v for _, v in verdicts if v.reached == UNTOLD]
    out = [f'**{len(verdicts) - len(missed) - len(untold)} of {len(verdicts)} targets of PERFORMANCE.md are reached'
           + (f', {len(untold)} cannot be told on this machine' if untold else '') + '.**', '']
    if missed:
        out += grid([['missed', 'is', 'should be']] + [
            [f'{section}: {v.what}', number(v.value), f'≤ {v.target:g}'] for section, v in missed])
    return out


def _machine(result):
    m, o = result['machine'], result['options']
    return [f'{result["date"]}, {m["cpu"]}, {m["cores"]} cores, {m["memory_gib"]} GiB, Linux {m["kernel"]}; '
            f'load before: {m["load_before"]:.2f}.', '',
            *(['*Quick mode: to try it out. Nothing here is to be quoted.*', ''] if result.get('quick') else []),
            f'    {result["command"]}', '',
            f'{o["clients"]} connections, {o["keys"]:,} random keys, 32-byte values, persistence off; servers on core '
            f'{o["cpu"]}, load generators on core {o["gencpu"]}; {o["rounds"]} rounds, servers in turn.', '']


def _head(result):
    out = ['# Ashlar beside its peers', ''] + _machine(result)
    return out + grid([['server', 'version', 'command']] + [
        [title(s['name']), s['version'], f'`{s["command"]}`'] for s in result['servers']] + [
        [name, version, 'load generator'] for name, version in result['generators'].items()])


def _wrapped(lines):
    return [w for line in lines for w in (textwrap.wrap(line, 118, break_on_hyphens=False)
                                          if line[:1] not in ('', '|', ' ', '!', '-') else [line])]


def for_page(result):
    """{mark: lines} for a page that tells the results (readme.py): the tables, without headings."""
    parts = {'head': _wrapped(_machine(result) + _summary(result))}
    for section, part in PARTS.items():
        if result.get(section):
            lines = part(result)[2:]
            start = next((i for i, line in enumerate(lines) if line.startswith('<details>')), len(lines))
            parts[section] = _wrapped(lines[:start])
    return parts


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
