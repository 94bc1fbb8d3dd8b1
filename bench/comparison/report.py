"""report.py - from numbers (figures.py) to text: report.md, and the parts of it that README.md shows.

markdown() takes what report.json holds and nothing else: the same samples give the same report."""
import statistics
import textwrap

from . import workloads
from .figures import (AGREEMENT_OURS, BASE, CLOSE, CLOSE_US, CONFIDENCE, OURS, STALLS_OURS, UNTOLD, Stat, agree,
                      agreement_rows, all_verdicts, collect, judge, latency_points, measured, memory_rows,
                      memory_verdicts, routing_rows, routing_target, speed_rows, stall_reached, stall_rows, stat,
                      uniq, worst_wait)

TITLES = {'redis': 'redis-server', 'ashlar': 'Ashlar, 1 shard', 'memcached': 'memcached'}
NOTHING = '–'
VERDICT_WORDS = {None: NOTHING, True: 'reached', False: '**missed**', UNTOLD: 'cannot be told'}


def title(name):
    if name in TITLES:
        return TITLES[name]
    if name.startswith('ashlar-'):
        return f'Ashlar, {name[7:]} shards'
    return name


# --- text ---

def number(v, digits=2):
    return NOTHING if v is None else f'{v:.{digits}f}'


def with_spread(s, digits=2):
    """5.83 (5.70–6.01)"""
    if s is None:
        return NOTHING
    text = number(s.median, digits)
    return text if s.rounds < 2 else f'{text} ({number(s.low, digits)}–{number(s.high, digits)})'


def milliseconds(us):
    if us is None:
        return NOTHING
    ms = us / 1000
    return f'{ms:.2f}' if ms < 10 else f'{ms:.1f}' if ms < 100 else f'{ms:.0f}'


def grid(rows):
    lines = ['| ' + ' | '.join(str(c) for c in rows[0]) + ' |', '|' + '---|' * len(rows[0])]
    return lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows[1:]] + ['']


# --- speed ---

def _speed(result):
    names = measured(result, 'speed')
    others = [n for n in names if n != BASE]
    out = ['## Server CPU time per request, µs', '',
           'Medians. × is the median of the ratios to redis-server, round by round, with its interval; the verdict is '
           'on that of one shard.', '']
    head = ['workload'] + ([title(BASE)] if BASE in names else [])
    for n in others:
        head += [title(n)] + (['×'] if BASE in names else [])
    rows = [head + ['target ×', '']]
    for w, cpu, times in speed_rows(result):
        row = [w.label] + ([number(cpu[BASE] and cpu[BASE].median)] if BASE in names else [])
        for n in others:
            row.append(number(cpu[n] and cpu[n].median))
            if BASE in names:
                row.append(with_spread(times[n]))
        rows.append(row + [number(w.target), VERDICT_WORDS[judge(times.get(OURS), w.target)]])
    return out + grid(rows) + _speed_details(result, names) + _servers_busy(result)


def _speed_details(result, names):
    out = ['<details><summary>The same runs: spread, throughput and latency (closed loop; ratios within one run only)'
           '</summary>', '']
    rows = [['workload'] + [f'{title(n)}: µs (fastest–slowest); requests/s; p50 / p99 ms' for n in names]]
    for w, cpu, _ in speed_rows(result):
        row = [w.label]
        for n in names:
            rps, p50, p99 = (collect(result['speed'], f, workload=w.key, server=n) for f in ('rps', 'p50', 'p99'))
            row.append(NOTHING if rps is None else
                       f'{with_spread(cpu[n])}; {rps.median:,.0f}; '
                       f'{milliseconds(p50 and p50.median)} / {milliseconds(p99 and p99.median)}')
        rows.append(row)
    return out + grid(rows) + ['</details>', '']


def _servers_busy(result):
    """A generator that was the bottleneck is worth knowing."""
    busy = [s['busy'] for s in result['speed'] if 'busy' in s and s['server'] in (BASE, OURS)]
    return [] if not busy else [f'The servers were busy for {min(busy) * 100:.0f} to {max(busy) * 100:.0f} % of a '
                                f'run (median {statistics.median(busy) * 100:.0f} %).', '']


# --- routing ---

def _routing(result):
    rows = routing_rows(result)
    counts = list(rows[0][1]) if rows else []
    table = [['workload'] + ['1 shard, µs' if n == 1 else f'× with {n} shards' for n in counts]]
    for w, cost in rows:
        row = [w.label]
        for n in counts:
            s, times = cost[n]
            verdict = judge(times, routing_target(w, n))
            text = number(s and s.median) if n == 1 else with_spread(times)
            row.append(f'**{text}**' if verdict is False else f'{text} ?' if verdict == UNTOLD else text)
        table.append(row)
    if any(w.kind == 'home' for w, _ in rows):
        table.append(['target ×, keys at home'] + [NOTHING if n == 1 else number(workloads.ROUTING_TARGET_HOME)
                                                   for n in counts])
    for words, targets in (('pipelined', workloads.ROUTING_TARGET),
                           ('no pipeline', workloads.ROUTING_TARGET_UNPIPELINED)):
        table.append([f'target ×, {words}'] + [NOTHING if n == 1 else number(targets.get(n)) for n in counts])
    return ['## Cost of routing', '',
            'Server CPU time per request as a multiple of what it is with one shard, by number of shards, all of them '
            'on one core (oversubscription is in it): the median of the ratios round by round, with its interval. '
            'Bold: missed; ?: cannot be told. "Keys at home": all connections and keys are of one shard, the others '
            'idle.', ''] + grid(table)


# --- memory ---

def _memory(result):
    names = measured(result, 'memory')
    rows = [['shape', 'per'] + [title(n) for n in names] + ['target ≤', '']]
    for (shape, cost), verdict in zip(memory_rows(result), memory_verdicts(result)):
        rows.append([shape.label, shape.unit] + [number(cost[n] and cost[n].median, 1) for n in names]
                    + [shape.target, VERDICT_WORDS[verdict.reached]])
    return ['## Memory', '', 'Growth of the resident set, bytes for each unit, keys and values included.', '',
            *grid(rows)]


# --- latency ---

def _latency_words(result):
    base = result.get('latency_base')
    return ('GET of random keys in an open loop: requests are due by the clock, and latency counts from the moment at '
            'which each was due. ' + (f'Rates are shares of the {base["rps"]:,.0f}/s that {title(base["server"])} '
                                      'reached in a closed loop. ' if base else ''))


def _latency(result):
    points = latency_points(result)
    names = list(points)
    out = ['## Latency over rate', '', _latency_words(result)
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

def _agreement_ms(s):
    return with_spread(s and Stat(s.median / 1000, s.low / 1000, s.high / 1000, s.rounds), 3)


def _agreement_percent(s):
    return NOTHING if s is None else f'{s.median * 100:.0f} %'


def _agreement(result):
    rows = agreement_rows(result)
    out = ['## ashlar-bench beside other load generators', '',
           'One redis-server, driven by each in turn: closed loop, one thread, the same commands. × is '
           'ashlar-bench to the other: the median of the ratios round by round, with its interval. "Server busy": the '
           'server\'s CPU time / time that passed. Where it is near 100 % under both, the server limits and not what '
           'drives it: throughput can then only differ by what its CPU time per request does.', '']
    table = [['workload', 'beside', 'requests/s ×', 'own CPU ×', 'server\'s CPU per request ×',
              'server busy: ashlar-bench', 'server busy: other', 'percentiles']]
    for w, of, times in rows:
        for other, t in times.items():
            ours, theirs = of[AGREEMENT_OURS], of[other]
            apart = abs(1 - t['rps'].median) if t['rps'] else 0.0
            differ = [k for k in ('p50', 'p95', 'p99') if agree(ours[k], theirs[k], apart) is False]
            table.append([w.label, other, *(with_spread(t[f]) for f in ('rps', 'generator_us', 'cpu_us')),
                          _agreement_percent(ours['busy']), _agreement_percent(theirs['busy']),
                          f'{", ".join(differ)} differ' if differ else 'agree'])
    out += grid(table)
    out += ['Medians (lowest–highest round). Percentiles agree when they differ by less than '
            f'{CLOSE:.0%} more than the rates do, {CLOSE_US} µs, or the rounds\' own spread.', '']
    table = [['workload', 'generator', 'requests/s', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms', 'own CPU, µs/request',
              'server\'s CPU, µs/request']]
    for w, of, _ in rows:
        for g, f in of.items():
            table.append([w.label, g, NOTHING if f['rps'] is None else
                          f'{f["rps"].median:,.0f} ({f["rps"].low:,.0f}–{f["rps"].high:,.0f})',
                          *(_agreement_ms(f[k]) for k in ('p50', 'p95', 'p99', 'max')),
                          with_spread(f['generator_us']), with_spread(f['cpu_us'])])
    return out + grid(table)


# --- stalls ---

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
            row += ['< 1' if turn == 0 else milliseconds(turn), VERDICT_WORDS[None if not s else stall_reached(result, s)]]
        rows.append(row)
    out += grid(rows)
    ends = [s for s in result['stalls'] if 'error' not in s and s['event'] == 'deadline']
    for s in ends:
        out.append(f'- {title(s["server"])}: {s["size"]:,} keys of one deadline were gone after '
                   f'{number(s.get("gone_seconds"))} s, their memory was free after {number(s.get("free_seconds"))} s '
                   f'(target for Ashlar: {workloads.EXPIRY_TARGET_S:g} s).')
    good = [s for s in result['stalls'] if 'error' not in s]
    late = stat([s['late']['max'] for s in good])
    return out + [''] * bool(ends) + ([] if not late else [
        f'The probe itself was late by at most {milliseconds(late.median)} ms (median over the rows; '
        f'{"real-time" if all(s["realtime"] for s in good) else "without real-time"} scheduling).', ''])


# --- all of it ---

PARTS = {'speed': _speed, 'routing': _routing, 'memory': _memory, 'stalls': _stalls, 'latency': _latency,
         'agreement': _agreement}
PLOTS = {'speed': ['cpu'], 'routing': ['routing'], 'memory': ['memory'], 'latency': ['latency', 'percentiles'],
         'stalls': ['stalls'], 'agreement': []}

RULE = (f'Ratios (speed, routing) are judged by the interval in which their median lies with {CONFIDENCE:.0%} '
        'certainty, whatever the noise (of 5 rounds: lowest to highest; of 11: third lowest to third highest). A target is '
        'reached when the whole interval is within it, missed when the whole interval is beyond it, and otherwise it cannot be '
        'told on this machine (the tables say which). Memory is measured once; how stalls are told from the machine\'s own: bench/README.md.')


def _value(v):
    if v.value is None:
        return NOTHING
    return with_spread(v.value) if isinstance(v.value, Stat) else number(v.value)


def _targets(verdicts):
    """What was missed. One line for each row of a table, whatever columns of it are meant."""
    rows = {}
    for section, v in verdicts:
        rows.setdefault((section, v.what), []).append(v)
    table = [['missed (stalls: longest turn, ms)', 'is', 'should be']]
    for (section, what), of in rows.items():
        targets = uniq(f'{v.target:g}' for v in of)
        table.append([f'{section}: {what}', '; '.join(f'{v.at} {_value(v)}'.strip() for v in of),
                      '≤ ' + (targets[0] if len(targets) == 1 else '; '.join(f'{v.target:g}' for v in of))])
    return grid(table)


def _summary(result):
    verdicts = all_verdicts(result)
    if not verdicts:
        return []
    of = {key: [(section, v) for section, v in verdicts if v.reached == key] for key in (True, False, UNTOLD)}
    within = sum(isinstance(v.value, Stat) and round(v.value.median, 2) <= v.target for _, v in of[UNTOLD])
    out = [f'**{len(of[True])} of {len(verdicts)} targets of PERFORMANCE.md are reached, {len(of[False])} missed'
           + (f', {len(of[UNTOLD])} cannot be told on this machine' if of[UNTOLD] else '') + '.**'
           + (f' Of those that cannot be told, {within} have their median within the target.' if of[UNTOLD] else ''), '']
    table = [['', 'targets', 'reached', 'missed', 'cannot be told']]
    for section in uniq(s for s, _ in verdicts):
        table.append([section, sum(s == section for s, _ in verdicts)]
                     + [sum(s == section for s, _ in of[key]) for key in (True, False, UNTOLD)])
    out += grid(table) + [RULE, '']
    if of[False]:
        out += _targets(of[False])
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


def _problems(result):
    errors = uniq(f'{s["server"]}, {s.get("workload") or s.get("shape") or s.get("rate")}: {s["error"]}'
                  for section in PARTS for s in result.get(section, []) if 'error' in s)
    problems = result.get('problems', []) + errors
    return ['## Problems', ''] + [f'- {p}' for p in problems] + [''] if problems else []


def _wrapped(lines):
    return [w for line in lines for w in (textwrap.wrap(line, 118, break_on_hyphens=False)
                                          if line[:1] not in ('', '|', ' ', '!', '-', '<') else [line])]


PAGE_PLOTS = {'speed': ['cpu'], 'latency': ['latency']}  # the others stand in the report


def for_page(result):
    """{mark: lines} for a page that tells the results (readme.py): the compact tables, without headings."""
    parts = {'head': _wrapped(_machine(result) + _summary(result))}
    for section in ('speed', 'routing', 'memory', 'stalls'):
        if result.get(section):
            lines = PARTS[section](result)[2:]
            start = next((i for i, line in enumerate(lines) if line.startswith('<details>')), len(lines))
            parts[section] = _wrapped(lines[:start])
    if result.get('latency'):
        parts['latency'] = _wrapped([_latency_words(result)])
    return parts


def markdown(result, plots=None):
    """The whole report; plots: {name: address of the picture}."""
    plots = plots or {}
    out = _head(result) + _summary(result)
    for section, part in PARTS.items():
        if not result.get(section):
            continue
        out += part(result)
        out += [line for name in PLOTS[section] if name in plots for line in (f'![{name}]({plots[name]})', '')]
    return '\n'.join(_wrapped(out + _problems(result)))
