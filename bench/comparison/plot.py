"""plot.py - the report's pictures, as SVG written by hand: nothing to install.

draw() makes those for which there are samples and returns {name: file name}. A Canvas knows shapes,
an Axis turns values into places; each picture is one function."""
import math
import os
from html import escape

from . import figures, report, workloads

# Told apart by lightness, too: red and green alone are not, for many.
COLOURS = {'redis': '#c0392b', 'ashlar': '#1a4e8a', 'ashlar-2': '#6aa5dd', 'memcached': '#9a9a9a', 'turn': '#c9d3dc'}
MORE_COLOURS = ['#8e5fb0', '#d98c1f', '#2aa5a0', '#77808a', '#b0587a', '#6b7a2f', '#a0703c',
                '#1a5599', '#c0392b', '#3a9a5b']
TEXT, FAINT, TARGET = '#222222', '#dddddd', '#222222'


def colour(name, names):
    if name in COLOURS:
        return COLOURS[name]
    others = [n for n in names if n not in COLOURS]
    return MORE_COLOURS[others.index(name) % len(MORE_COLOURS)]


class Canvas:
    def __init__(self, width, height, title, subtitle=''):
        self.width, self.height = width, height
        self.parts = [f'<rect width="{width}" height="{height}" fill="white"/>']
        self.text(16, 26, title, size=16, weight='bold')
        if subtitle:
            self.text(16, 45, subtitle, fill='#666666')

    def text(self, x, y, words, size=12, anchor='start', fill=TEXT, weight='normal', turn=0, halo=False):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ''
        turned += ' stroke="white" stroke-width="3" paint-order="stroke"' if halo else ''
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}" '
                          f'font-weight="{weight}"{turned}>{escape(str(words))}</text>')

    def line(self, x1, y1, x2, y2, stroke=FAINT, width=1, dash=''):
        dashed = f' stroke-dasharray="{dash}"' if dash else ''
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
                          f'stroke-width="{width}"{dashed}/>')

    def box(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" '
                          f'fill="{fill}"/>')

    def dot(self, x, y, fill, radius=3.5, hollow=False):
        inside = f'fill="white" stroke="{fill}" stroke-width="1.5"' if hollow else f'fill="{fill}"'
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {inside}/>')

    def path(self, points, stroke, width=2, dash=''):
        dashed = f' stroke-dasharray="{dash}"' if dash else ''
        self.parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
                          f'stroke="{stroke}" stroke-width="{width}"{dashed}/>')

    def legend(self, x, y, entries):
        """entries: (words, colour), one below the other."""
        for i, (words, fill) in enumerate(entries):
            self.box(x, y + 18 * i - 9, 12, 10, fill)
            self.text(x + 18, y + 18 * i, words)

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
                f'viewBox="0 0 {self.width} {self.height}" font-family="Helvetica, Arial, sans-serif">\n'
                + '\n'.join(self.parts) + '\n</svg>\n')


class Axis:
    """From a value to a place between two ends; logarithmic if asked."""

    def __init__(self, low, high, start, end, log=False):
        self.low, self.high, self.start, self.end, self.log = low, max(high, low * 1.0001 + 1e-9), start, end, log

    def at(self, value):
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count=6):
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            near = (1,) if len(powers) > 5 else (1, 2, 5)
            return [v for p in powers for v in (n * 10.0 ** p for n in near)
                    if self.low * 0.999 <= v <= self.high * 1.001]
        rough = (self.high - self.low) / count
        step = 10 ** math.floor(math.log10(rough))
        step *= next(n for n in (1, 2, 5, 10) if n * step >= rough)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def plain(v):
    return f'{v:,.0f}' if v >= 10 or v == int(v) else f'{v:g}'


def _title(name):
    return "Ashlar's longest turn, CPU time" if name == 'turn' else report.title(name)


def _legend_row(c, names, more):
    """Above the bars: who has which colour, and what the mark means."""
    at = 16
    for n in names:
        c.box(at, 59, 12, 10, colour(n, names))
        c.text(at + 17, 68, _title(n))
        at += 34 + 7 * len(_title(n))
    if more:
        c.line(at + 6, 57, at + 6, 71, TARGET, 2)
        c.text(at + 14, 68, more)


BAR, GAP = 12, 9
CHARACTER = 6.4   # pixels of a digit beside a bar, at most


def _bars(title, subtitle, rows, names, mark_words, axis_words, marked, log=False, cap=None):
    """Horizontal bars: rows of (label, {name: (value, words)}, target of the server that is marked). A row's
    bars stand together. What is beyond cap is cut there and says so."""
    values = [v[0] for _, of, _ in rows for v in of.values()] + [t for *_, t in rows if t]
    high, low = min(max(values), cap or max(values)), max(min(values), 1e-3)
    left, top, width = 30 + 6.6 * max(len(label) for label, *_ in rows), 100, 960
    height = top + sum(BAR * len(of) + GAP for _, of, _ in rows) + 40
    c = Canvas(width, height, title, subtitle)
    x = Axis(low / 2 if log else 0, high * (1.5 if log else 1.05), left, width - 110, log)
    _legend_row(c, names, mark_words)
    for tick in x.ticks():
        c.line(x.at(tick), top - 8, x.at(tick), height - 34)
        c.text(x.at(tick), height - 18, plain(tick), anchor='middle', size=11)
    c.text((left + width - 110) / 2, height - 4, axis_words, anchor='middle', size=11, fill='#666666')
    y = top
    for label, of, target in rows:
        here = [n for n in names if n in of]
        c.text(left - 8, y + BAR * len(here) / 2 + 3, label, anchor='end')
        for i, n in enumerate(here):
            value, words = of[n]
            words = f'{words} …' if value > high else words
            end, at = x.at(min(value, high)), y + BAR * i
            c.box(left, at, end - left, BAR - 2, colour(n, names))
            beside = end + 5
            if target and n == marked:
                mark = x.at(target)
                c.line(mark, at - 2, mark, at + BAR, 'white', 5)
                c.line(mark, at - 2, mark, at + BAR, TARGET, 2)
                if beside - 4 < mark < beside + CHARACTER * len(words) + 4:
                    beside = mark + 5
            c.text(beside, at + 9, words, size=11, halo=True)
        y += BAR * len(here) + GAP
    return c.svg()


STALL_LOW_MS = 0.1
CPU_CAP = 2.5  # × redis-server: beyond that a bar is cut, or it would leave no room for the others


def cpu(result):
    names = figures.measured(result, 'speed')
    rows = []
    for w, cost, times in figures.speed_rows(result):
        if cost.get(figures.BASE):
            values = {n: (times[n].median, f'{s.median:.2f}') for n, s in cost.items() if s and times[n]}
            rows.append((w.label, values, w.target))
    return rows and _bars('Server CPU time per request', 'bars: relative to redis-server, shorter is cheaper; numbers: µs; '
                          '…: the bar is cut', rows, names, 'target for Ashlar, 1 shard', '× redis-server', figures.OURS,
                          cap=CPU_CAP)


def memory(result):
    names = figures.measured(result, 'memory')
    rows = [(f'{shape.label}, per {shape.unit}' if 'per' not in shape.label else shape.label,
             {n: (s.median, f'{s.median:.1f}') for n, s in cost.items() if s}, shape.target)
            for shape, cost in figures.memory_rows(result)]
    return rows and _bars('Memory', 'growth of the resident set by what is stored; shorter is better', rows, names,
                          'target for Ashlar', 'bytes', figures.OURS)


def stalls(result):
    """The waits of others, and beside them what Ashlar says of itself."""
    names = figures.measured(result, 'stalls')
    target, rows = workloads.STALL_TARGET_US / 1000, []
    for label, by_server in figures.stall_rows(result):
        values = {}
        for n, s in by_server.items():
            worst = figures.worst_wait(s) / 1000
            values[n] = (worst, f'{report.milliseconds(worst * 1000)} ms')
            if n == figures.STALLS_OURS and 'turn_us' in s:
                turn = s['turn_us'] / 1000
                values['turn'] = (max(turn, STALL_LOW_MS), f'{report.milliseconds(s["turn_us"])} ms' if turn else '< 1 ms')
        rows.append((label, values, target))
    return rows and _bars('Longest wait of others', 'PING or GET on the same shard while it happens; logarithmic, shorter '
                          'is better', rows, names + ['turn'] * any('turn' in v for _, v, _ in rows),
                          f'target: {target:g} ms', 'milliseconds', figures.STALLS_OURS, log=True)


def _frame(c, x, y, x_words, y_words, x_ticks=None, y_ticks=None):
    for tick, words in x_ticks or [(t, plain(t)) for t in x.ticks()]:
        c.line(x.at(tick), y.start, x.at(tick), y.end)
        c.text(x.at(tick), y.start + 18, words, anchor='middle', size=11)
    for tick, words in y_ticks or [(t, plain(t)) for t in y.ticks()]:
        c.line(x.start, y.at(tick), x.end, y.at(tick))
        c.text(x.start - 6, y.at(tick) + 4, words, anchor='end', size=11)
    c.text((x.start + x.end) / 2, y.start + 38, x_words, anchor='middle', fill='#666666')
    c.text(x.start - 62, (y.start + y.end) / 2, y_words, anchor='middle', fill='#666666', turn=-90)


PANELS = ('p50', 'p99', 'p99.9')


def latency(result):
    """A panel for each percentile, with one scale."""
    points = figures.latency_points(result)
    values = [p[1][k] / 1000 for v in points.values() for p in v for k in PANELS if p[1].get(k)]
    if not values:
        return None
    names = list(points)
    c = Canvas(1000, 470, 'Latency over rate', 'GET of random keys, open loop: latencies from the moment '
               'at which a request was due; hollow: less than 98 % of the rate was reached')
    _legend_row(c, names, '')
    y = Axis(min(values) / 1.5, max(values) * 1.5, 410, 110, log=True)
    high = max(p[0] for v in points.values() for p in v) * 1.03
    for i, key in enumerate(PANELS):
        x = Axis(0, high, 75 + 310 * i, 75 + 310 * i + 285)
        _frame(c, x, y, 'thousand requests per second, asked for' if i == 1 else '', 'milliseconds' if i == 0 else '',
               [(t, f'{t / 1000:g}') for t in x.ticks(5)], None if i == 0 else [(t, '') for t in y.ticks()])
        c.text((x.start + x.end) / 2, 102, key, anchor='middle', weight='bold')
        for n in names:
            line = [(x.at(p[0]), y.at(p[1][key] / 1000), p[2] < p[0] * 0.98) for p in points[n] if p[1].get(key)]
            c.path([place[:2] for place in line], colour(n, names), 2)
            for at_x, at_y, short in line:
                c.dot(at_x, at_y, colour(n, names), 3, short)
    return c.svg()


PERCENTILE_RATE_STEP = 0.5  # of what the base server takes: where latencies are those of a server at ease
BEYOND_MIN = 5              # so many requests of a run must lie beyond a percentile, or it is not shown


def percentiles(result):
    points = figures.latency_points(result)
    base = result.get('latency_base')
    if not points or not base:
        return None
    names = list(points)
    wanted = base['rps'] * PERCENTILE_RATE_STEP
    chosen = {n: min(points[n], key=lambda p: abs(p[0] - wanted)) for n in names}
    requests = max(p[0] for p in chosen.values()) * base.get('seconds', 1)
    shown = {n: sorted((float(k[1:]), v / 1000) for k, v in p[1].items()
                       if k[0] == 'p' and v and requests * (1 - float(k[1:]) / 100) >= BEYOND_MIN)
             for n, p in chosen.items()}
    values = [v for of in shown.values() for _, v in of]
    if not values:
        return None
    rate = max(p[0] for p in chosen.values())
    c = Canvas(900, 500, 'Latency by percentile', f'GET at {rate:,.0f} requests/s, open loop: latencies from the moment at '
               'which a request was due; median of the rounds')
    nines = [1 / (1 - q / 100) for of in shown.values() for q, _ in of]
    x = Axis(min(nines), max(nines) * 1.2, 80, 700, log=True)
    y = Axis(min(values) / 1.5, max(values) * 1.5, 440, 70, log=True)
    marks = [(1 / (1 - q / 100), f'p{q:g}') for q in (50, 90, 99, 99.9, 99.99, 99.999)]
    _frame(c, x, y, 'percentile', 'milliseconds', [m for m in marks if x.low * 0.99 <= m[0] <= x.high])
    for n in names:
        line = [(x.at(1 / (1 - q / 100)), y.at(v)) for q, v in shown[n]]
        c.path(line, colour(n, names), 2.5)
        for place in line:
            c.dot(*place, colour(n, names))
    c.legend(720, 90, [(report.title(n), colour(n, names)) for n in names])
    return c.svg()


# Panels of the picture of routing: title, which workloads, targets by number of shards
ROUTING_PANELS = [
    ('no pipeline', lambda w: w.kind != 'home' and w.depth == 1, workloads.ROUTING_TARGET_UNPIPELINED),
    ('16 deep', lambda w: w.kind != 'home' and w.depth == 16, workloads.ROUTING_TARGET),
    ('64 deep', lambda w: w.kind != 'home' and w.depth == 64, workloads.ROUTING_TARGET),
    ('keys at home', lambda w: w.kind == 'home',
     {n: 1.0 if n == 1 else workloads.ROUTING_TARGET_HOME for n in workloads.ROUTING_TARGET}),
]
ROUTING_COLOURS = {'GET': '#1a4e8a', 'SET': '#c0392b', 'MGET of 10': '#6aa5dd', 'MSET of 10': '#e39a8f'}
STROKES_APART = 2.5


def _routing_line(c, x, y, w, cost, aside):
    """One workload: its medians, and their intervals as strokes, which stand a little aside of those of others."""
    stroke = ROUTING_COLOURS.get(w.label.split(',')[0], MORE_COLOURS[0])
    hollow = w.kind == 'home' and w.depth == 1
    c.path([(x.at(n), y.at(t.median)) for n, t in cost], stroke, 2, '3 3' if hollow else '')
    for n, t in cost:
        c.line(x.at(n) + aside, y.at(t.low), x.at(n) + aside, y.at(t.high), stroke, 1)
        c.dot(x.at(n), y.at(t.median), stroke, 3, hollow)


def routing(result):
    """A panel for each depth of the pipeline, with one scale."""
    rows = [(w, [(n, times) for n, (_, times) in cost.items() if times]) for w, cost in figures.routing_rows(result)]
    rows = [(w, of) for w, of in rows if len(of) > 1]
    if not rows:
        return None
    c = Canvas(1000, 450, 'Cost of routing', 'server CPU time per request as a multiple of what it is with one shard; all '
               'shards on one core; strokes: interval of the median')
    counts = sorted({n for _, of in rows for n, _ in of})
    high = max([t.high for _, of in rows for _, t in of] + [workloads.ROUTING_TARGET.get(n, 1) for n in counts])
    y = Axis(min([0.9] + [t.low for _, of in rows for _, t in of]) * 0.97, high * 1.03, 390, 110)
    names = [n for n in ROUTING_COLOURS if any(w.label.split(',')[0] == n for w, _ in rows)]
    at = 16
    for n in names:
        c.box(at, 59, 12, 10, ROUTING_COLOURS[n])
        c.text(at + 17, 68, n)
        at += 40 + 7 * len(n)
    c.line(at, 64, at + 22, 64, TARGET, 1.5, '6 4')
    c.text(at + 28, 68, 'target')
    c.line(at + 90, 64, at + 112, 64, ROUTING_COLOURS['GET'], 2, '3 3')
    c.text(at + 118, 68, 'keys at home, no pipeline')
    for i, (words, belongs, targets) in enumerate(ROUTING_PANELS):
        x = Axis(counts[0], counts[-1] * 1.1, 75 + 232 * i, 75 + 232 * i + 208, log=True)
        _frame(c, x, y, 'shards', '× one shard' if i == 0 else '', [(n, str(n)) for n in counts],
               [(t, f'{t:.2f}' if i == 0 else '') for t in y.ticks()])
        c.text((x.start + x.end) / 2, 102, words, anchor='middle', weight='bold')
        line = [(x.at(n), y.at(targets[n])) for n in counts if n in targets]
        if len(line) > 1:
            c.path(line, TARGET, 1.5, '6 4')
        elif line:  # one target alone: a stroke
            c.line(line[0][0] - 12, line[0][1], line[0][0] + 6, line[0][1], TARGET, 2)
        here = [(w, of) for w, of in rows if belongs(w)]
        for at, (w, of) in enumerate(here):
            _routing_line(c, x, y, w, of, STROKES_APART * (at - (len(here) - 1) / 2))
    return c.svg()


PICTURES = {'cpu': cpu, 'routing': routing, 'memory': memory, 'latency': latency, 'percentiles': percentiles,
            'stalls': stalls}


def draw(result, directory):
    made = {}
    for name, picture in PICTURES.items():
        svg = picture(result)
        if svg:
            made[name] = f'{name}.svg'
            with open(os.path.join(directory, made[name]), 'w') as f:
                f.write(svg)
    return made
