"""figures.py - from samples to numbers: medians with their spread, paired ratios, verdicts on targets.

A neighbour on the machine slows down whoever runs at that moment. So servers take turns, and what is
compared is not two medians but two runs of the same round, which are neighbours in time:

    round       0      1      2      3      4
    redis      2.0    1.9    3.4    2.1    2.0     µs
    Ashlar     0.8    0.8    1.3    0.9    0.8     µs
    ratio      0.40   0.42   0.38   0.43   0.40    median 0.40, interval 0.38 to 0.43

The interval is the narrowest pair of rounds between which the median of endlessly many rounds would lie with
CONFIDENCE, whatever the noise is like: with 5 to 7 rounds the lowest and the highest, with 8 to 10 all but
these two, and so on. With less than 5 there is no such pair; then it is the lowest and the highest.

The rule for all ratios: a target is reached when the whole interval is within it, missed when the whole
interval is beyond it, and otherwise it cannot be told.
"""
import math
import statistics
from collections import namedtuple

from . import workloads

BASE = 'redis'
OURS = 'ashlar'           # one shard: what the targets of speed and memory are about
STALLS_OURS = 'ashlar-2'  # two shards: what stalls are measured with
UNTOLD = 'untold'         # neither reached nor missed: the noise is larger than what is asked
CONFIDENCE = 0.9

# low, high: of all rounds (stat), or the interval of the median (paired)
Stat = namedtuple('Stat', 'median low high rounds')
# what: the row; at: which of its columns, '' if there is one; value: a number, or a Stat of ratios
Verdict = namedtuple('Verdict', 'what at value target reached')


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


def interval(values):
    """The narrowest two of the values that have the true median between them with CONFIDENCE."""
    values, n = sorted(values), len(values)
    outside, cut = 0.0, 0  # the chance that the median lies beyond what would be left
    while cut < n // 2:
        outside += 2 * math.comb(n, cut) / 2 ** n
        if outside > 1 - CONFIDENCE:
            break
        cut += 1
    cut = max(cut - 1, 0)
    return values[cut], values[n - 1 - cut]


def paired(samples, field, who, ours, base):
    """The ratio of ours to base, round by round; who: the field that tells them apart. None without pairs."""
    def by_round(name):
        return {s['round']: s[field] for s in samples if 'error' not in s and s.get(who) == name and s.get(field)}
    a, b = by_round(ours), by_round(base)
    ratios = [a[r] / b[r] for r in a if r in b]
    return Stat(statistics.median(ratios), *interval(ratios), len(ratios)) if ratios else None


def judge(ratio, target):
    """Whether a ratio keeps its target, to the two decimals that targets are given in: True, False, UNTOLD."""
    if ratio is None or target is None:
        return None
    low, high = round(ratio.low, 2), round(ratio.high, 2)
    return True if high <= target else False if low > target else UNTOLD


def measured(result, section):
    """Names of the servers that a section has samples of."""
    samples = result.get(section, [])
    names = [s['name'] for s in result.get('servers', [])]
    seen = uniq(s['server'] for s in samples)
    return [n for n in names if n in seen] + [n for n in seen if n not in names]


# --- speed ---

SpeedRow = namedtuple('SpeedRow', 'workload cpu times')  # {server: Stat of µs}, {server: ratio to redis}


def speed_rows(result):
    """In the order of PERFORMANCE.md, those measured."""
    names, rows = measured(result, 'speed'), []
    for w in workloads.SPEED:
        of = [s for s in result.get('speed', []) if s['workload'] == w.key]
        if of:
            rows.append(SpeedRow(w, {n: collect(of, 'cpu_us', server=n) for n in names},
                                 {n: paired(of, 'cpu_us', 'server', n, BASE) for n in names}))
    return rows


def speed_verdicts(result):
    return [Verdict(w.label, '', times.get(OURS), w.target, judge(times.get(OURS), w.target))
            for w, _, times in speed_rows(result) if w.target is not None]


# --- routing ---

def routing_target(workload, shards):
    if shards == 1:
        return None
    if workload.kind == 'home':
        return workloads.ROUTING_TARGET_HOME
    if workload.depth == 1:
        return workloads.ROUTING_TARGET_UNPIPELINED.get(shards)
    return workloads.ROUTING_TARGET.get(shards)


def routing_rows(result):
    """(workload, {shards: (Stat of µs, ratio to one shard)})"""
    samples = result.get('routing', [])
    counts = sorted({s['shards'] for s in samples})
    rows = []
    for w in workloads.SPEED + workloads.ROUTING_HOME:
        of = [s for s in samples if s['workload'] == w.key]
        if of:
            rows.append((w, {n: (collect(of, 'cpu_us', shards=n), paired(of, 'cpu_us', 'shards', n, 1))
                             for n in counts}))
    return rows


def routing_verdicts(result):
    return [Verdict(w.label, f'{n} shards', times, routing_target(w, n), judge(times, routing_target(w, n)))
            for w, cost in routing_rows(result) for n, (_, times) in cost.items()
            if routing_target(w, n) is not None]


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
        out.append(Verdict(shape.label, '', value, shape.target,
                           None if value is None else round(value) <= shape.target))
    return out


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


# --- agreement ---

AGREEMENT_OURS = 'ashlar-bench'
AGREEMENT_FIELDS = ('rps', 'p50', 'p95', 'p99', 'max', 'generator_us', 'cpu_us', 'busy')
CLOSE = 0.10   # percentiles that differ by less than this agree
CLOSE_US = 20  # and so do those that differ by less: a tick of either's clock


def agreement_rows(result):
    """(workload, {generator: {field: Stat}}, {other generator: {field: ratio of ashlar-bench to it}})"""
    rows = []
    for w in workloads.SPEED:
        of = [{**s, 'busy': s['cpu_us'] * s['rps'] / 1e6} for s in result.get('agreement', [])
              if s['workload'] == w.key and 'error' not in s]
        names = uniq(s['generator'] for s in of)
        others = sorted(n for n in names if n != AGREEMENT_OURS)[::-1]
        if of:
            rows.append((w, {g: {f: collect(of, f, generator=g) for f in AGREEMENT_FIELDS}
                             for g in others + [n for n in names if n == AGREEMENT_OURS]},
                         {o: {f: paired(of, f, 'generator', AGREEMENT_OURS, o) for f in AGREEMENT_FIELDS}
                          for o in others}))
    return rows


def agree(a, b, apart=0.0):
    """Whether two Stats tell the same: close, or within what either's rounds differ by. In a closed loop the
    one that drives the server faster sees shorter latencies: apart is how far their rates are apart."""
    if not a or not b:
        return None
    gap = abs(a.median - b.median)
    return gap <= max((CLOSE + apart) * max(a.median, b.median), CLOSE_US, a.high - a.low, b.high - b.low)


# --- stalls ---

def stall_name(sample):
    """What it happens to, and what happens."""
    event, size = workloads.STALL_EVENTS[sample['event']], f'{sample["size"]:,}'
    return (f'{sample["kind"]} of {size}' if sample['kind'] else f'{size} keys'), event


def stall_label(sample):
    return ': '.join(stall_name(sample))


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
    target = workloads.STALL_TARGET_US
    for _, by_server in stall_rows(result):
        s = by_server.get(STALLS_OURS)
        if not s:
            continue
        what, event = stall_name(s)
        own = s.get('turn_us')
        if own is not None and own > target:
            out.append(Verdict(what, event, own / 1000, target / 1000, stall_reached(result, s)))
        else:
            out.append(Verdict(what, f'{event} (worst wait)', worst_wait(s) / 1000, target / 1000,
                               stall_reached(result, s)))
        if s['event'] == 'deadline':
            free = s.get('free_seconds')
            out.append(Verdict(what, 'one deadline: memory free after, s', free, workloads.EXPIRY_TARGET_S,
                               free is not None and free <= workloads.EXPIRY_TARGET_S))
    return out


# --- all of it ---

VERDICTS = {'speed': speed_verdicts, 'routing': routing_verdicts, 'memory': memory_verdicts, 'stalls': stall_verdicts}


def all_verdicts(result):
    """(section, Verdict) of every target that was measured."""
    return [(section, v) for section, of in VERDICTS.items() for v in of(result) if v.reached is not None]
