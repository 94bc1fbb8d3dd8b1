"""bench/compare: what its report makes of samples, and that it runs (with sizes that mean nothing)."""
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree

import pytest

from conftest import BINARY, ROOT
from patience import PATIENCE_SECONDS

sys.path.insert(0, os.path.join(ROOT, 'bench'))
from comparison import drive, figures, plot, readme, report, servers, stalls, workloads  # noqa: E402

COMPARE = os.path.join(ROOT, 'bench', 'compare')
BUILD = os.path.dirname(os.path.abspath(BINARY))


def head(**more):
    return {
        'tool': 'compare', 'format': 1, 'date': '2026-01-02 03:04 UTC', 'command': 'bench/compare', 'quick': False,
        'machine': {'cpu': 'a CPU', 'cores': 2, 'kernel': '6', 'memory_gib': 8.0, 'load_before': 0.0},
        'options': {'rounds': 3, 'keys': 1000, 'clients': 50, 'cpu': 0, 'gencpu': 1},
        'servers': [{'name': n, 'version': f'{n} 1', 'command': n}
                    for n in ('redis', 'ashlar', 'ashlar-2', 'memcached')],
        'generators': {'ashlar-bench': '1'}, **more}


def cpu(server, workload, *values, **more):
    return [{'server': server, 'workload': workload, 'round': i, 'cpu_us': v, 'rps': 1e6 / v, 'p50': 100.0,
             'p99': 2000.0, 'busy': 0.5, **more} for i, v in enumerate(values)]


def probe(server, event, worst_us, **more):
    of = {'p50': 30.0, 'p99': 50.0, 'p99.9': worst_us / 2, 'max': worst_us}
    return {'server': server, 'event': event, 'kind': 'zset', 'size': 1000, 'event_seconds': 1.0, 'realtime': True,
            'ping': of, 'get': of, 'late': {'max': 20.0}, 'noise': {'max': 80.0, 'p99.9': 70.0}, **more}


@pytest.fixture
def full():
    speed = (cpu('redis', 'get-16', 2.0, 1.0, 9.0) + cpu('ashlar', 'get-16', 0.9, 1.1, 1.0) +
             cpu('ashlar-2', 'get-16', 1.2, 1.2, 1.2) + cpu('memcached', 'get-16', 4.0) +
             cpu('redis', 'set-16', 2.0) + cpu('ashlar', 'set-16', 1.0) +
             [{'server': 'memcached', 'workload': 'set-16', 'round': 0, 'error': 'it is | broken'}])
    routing = (cpu('ashlar', 'get-16', 1.0, shards=1) + cpu('ashlar-2', 'get-16', 1.1, shards=2) +
               cpu('ashlar-16', 'get-16', 1.6, shards=16) + cpu('ashlar', 'get-1', 5.0, shards=1) +
               cpu('ashlar-2', 'get-1', 9.0, shards=2) + cpu('ashlar-16', 'get-1', 6.0, shards=16))
    memory = [{'server': s, 'shape': 'str32', 'units': 10, 'bytes': v} for s, v in (('redis', 141.0), ('ashlar', 72.3))]
    latency = [{'server': s, 'rate': r, 'step': r / 2000, 'round': i,
                'rps': r * (0.5 if s == 'redis' and r == 2000 else 1),
                'latency_us': {'p50': 30.0 + i, 'p99': 60.0, 'p99.9': 100.0 * i, 'max': 5000.0}}
               for s in ('redis', 'ashlar') for r in (1000, 2000) for i in range(3)]
    stall = [probe('redis', 'copy', 2e6, command_seconds=2.1), probe('ashlar-2', 'copy', 900.0, command_seconds=0.1),
             probe('ashlar-2', 'deadline', 5000.0, gone_seconds=0.5, free_seconds=1.5)]
    stall[-1]['kind'] = None
    agreement = [{'server': 'redis', 'generator': g, 'workload': 'get-16', 'round': i, 'rps': r, 'p50': p50 + i,
                  'p95': 1000.0, 'p99': 2000.0, 'max': 3000.0, 'generator_us': us, 'cpu_us': 8.0}
                 for g, r, p50, us in (('redis-benchmark', 1e5, 500.0, 2.0), ('ashlar-bench', 1.25e5, 800.0, 1.0))
                 for i in range(3)]
    sweep = [{'server': 'redis', 'bound': 'p99<1ms', 'best': 1000.0, 'points': []},
             {'server': 'ashlar', 'bound': 'p99<1ms', 'best': 1500.0, 'points': []}]
    return head(speed=speed, routing=routing, memory=memory, latency=latency, stalls=stall, agreement=agreement, sweep=sweep,
                latency_base={'server': 'redis', 'rps': 2000.0})


def table_row(text, first):
    """The cells of the first table row that begins with this."""
    line = next(x for x in text.splitlines() if x.startswith(f'| {first} |'))
    return [c.strip() for c in line.strip('|').split('|')]


def test_median_and_spread():
    s = figures.stat([9.0, None, 1.0, 2.0])
    assert (s.median, s.low, s.high, s.rounds) == (2.0, 1.0, 9.0, 3)
    assert figures.stat([]) is None and figures.stat([None]) is None
    assert report.with_spread(s) == '2.00 (1.00–9.00)'
    assert report.with_spread(figures.stat([1.234])) == '1.23'
    assert report.with_spread(None) == report.NOTHING


def test_errors_are_not_samples(full):
    assert figures.collect(full['speed'], 'cpu_us', workload='set-16', server='memcached') is None
    assert figures.collect(full['speed'], 'cpu_us', workload='get-16', server='redis').median == 2.0


@pytest.mark.parametrize('count, cut', [(1, 0), (2, 0), (3, 0), (5, 0), (7, 0), (8, 1), (10, 1), (11, 2), (20, 5)])
def test_interval_of_the_median(count, cut):
    """So many rounds left out at each end keep the chance that the median lies outside below 10 %."""
    values = [float(v) for v in range(count)][::-1]
    assert figures.interval(values) == (cut, count - 1 - cut)


def test_ratios_are_of_the_same_round():
    # The machine was three times as slow in the second round, and nothing came of the third one.
    samples = cpu('redis', 'get-16', 2.0, 6.0, 2.0, 2.0) + cpu('ashlar', 'get-16', 1.0, 3.0, 1.0, 1.2)
    samples[2] = {'server': 'redis', 'workload': 'get-16', 'round': 2, 'error': 'gone'}
    r = figures.paired(samples, 'cpu_us', 'server', 'ashlar', 'redis')
    assert (r.median, r.low, r.high, r.rounds) == (0.5, 0.5, 0.6, 3)
    assert figures.paired(samples, 'cpu_us', 'server', 'ashlar', 'memcached') is None
    assert figures.paired(samples, 'no such field', 'server', 'ashlar', 'redis') is None


@pytest.mark.parametrize('low, high, target, expected', [
    (0.4, 0.48, 0.48, True), (0.4, 0.484, 0.48, True), (0.4, 0.486, 0.48, figures.UNTOLD),
    (0.48, 0.6, 0.48, figures.UNTOLD), (0.485, 0.6, 0.48, figures.UNTOLD), (0.49, 0.6, 0.48, False),
    (0.5, 0.5, None, None)])
def test_verdict_on_a_ratio(low, high, target, expected):
    assert figures.judge(figures.Stat((low + high) / 2, low, high, 5), target) == expected
    assert figures.judge(None, target) is None


def test_speed(full):
    verdicts = {v.what: v for v in figures.speed_verdicts(full)}
    assert verdicts['GET, 16 deep'].value.median == 0.45            # of 0.45, 1.10, 0.11
    assert verdicts['GET, 16 deep'].reached == figures.UNTOLD       # target 0.48
    assert verdicts['SET, 16 deep'].reached is True                 # target 0.50
    row = table_row(report.markdown(full), 'GET, 16 deep')
    assert row[1:] == ['2.00', '1.00', '0.45 (0.11–1.10)', '1.20', '0.60 (0.13–1.20)', '4.00', '2.00', '0.48',
                       'cannot be told']
    assert '1.00 (0.90–1.10); 1,000,000;' in report.markdown(full)  # the details: spread, throughput


def test_routing(full):
    verdicts = {(v.what, v.at): v.reached for v in figures.routing_verdicts(full)}
    assert verdicts == {('GET, 16 deep', '2 shards'): True, ('GET, 16 deep', '16 shards'): False,
                        ('GET, no pipeline', '16 shards'): True}
    row = table_row(report.markdown(full), 'GET, 16 deep')
    rows = [line for line in report.markdown(full).splitlines() if line.startswith('| GET, ') and '**1.60**' in line]
    assert len(rows) == 1 and '| GET, no pipeline | 5.00 | 1.80 | 1.20 |' in report.markdown(full), row


def test_keys_at_home_have_a_target_of_their_own(full):
    full['routing'] += (cpu('ashlar', 'home-get-1', 5.0, 5.0, 6.0, shards=1) +
                        cpu('ashlar-2', 'home-get-1', 5.0, 5.1, 5.0, shards=2))
    verdicts = {(v.what, v.at): (v.target, v.reached) for v in figures.routing_verdicts(full)}
    assert verdicts['GET, no pipeline, keys at home', '2 shards'] == (1.02, True)
    full['routing'][-3:] = cpu('ashlar-2', 'home-get-1', 5.2, 5.2, 6.0, shards=2)
    text = report.markdown(full)
    assert '| 1.04 (1.00–1.04) ? |' in text and 'target ×, keys at home' in text


def test_memory_targets_are_whole_bytes(full):
    assert [(v.value, v.reached) for v in figures.memory_verdicts(full)] == [(72.3, True)]
    full['memory'][1]['bytes'] = 72.6
    assert not figures.memory_verdicts(full)[0].reached


def test_latency(full):
    points = figures.latency_points(full)
    assert [p[0] for p in points['redis']] == [1000, 2000]
    assert points['redis'][0][1]['p50'] == 31.0
    row = table_row(report.markdown(full), '2,000')
    assert row[1].endswith('[1,000/s]') and '[' not in row[2]
    assert '| Ashlar, 1 shard | 1,500/s | 1.50 |' in report.markdown(full)


def test_agreement(full):
    rows = [[c.strip() for c in line.strip('|').split('|')] for line in report.markdown(full).splitlines()
            if line.startswith('| GET, 16 deep | ')]
    ratios = next(r for r in rows if r[1] == 'redis-benchmark' and '%' in r[5])
    assert ratios[2:] == ['1.25 (1.25–1.25)', '0.50 (0.50–0.50)', '1.00 (1.00–1.00)', '100 %', '80 %', 'p50 differ']
    assert next(r for r in rows if r[1] == 'ashlar-bench')[2].startswith('125,000')
    a, b = figures.stat([100.0, 110.0]), figures.stat([150.0, 151.0])
    assert not figures.agree(a, b) and figures.agree(a, b, apart=0.25) and figures.agree(a, figures.stat([115.0]))
    assert figures.agree(figures.stat([100.0, 160.0]), b) and figures.agree(None, b) is None


def test_stalls(full):
    verdicts = {(v.what, v.at): v.reached for v in figures.stall_verdicts(full)}
    assert verdicts == {('zset of 1,000', 'COPY on its shard (worst wait)'): True,
                        ('1,000 keys', 'all keys expire at one moment (worst wait)'): False,
                        ('1,000 keys', 'one deadline: memory free after, s'): False}
    row = table_row(report.markdown(full), 'zset of 1,000: COPY on its shard')
    assert row[1:] == ['2000', '1000', '0.08', '0.90', '0.45', '0.08', '–', 'reached']
    assert 'gone after 0.50 s, their memory was free after 1.50 s' in report.markdown(full)


@pytest.mark.parametrize('worst, turn, wall, idle, expected', [
    (900.0, 0, 0, 80.0, True),                 # nobody waited
    (900.0, 1200, 1300, 80.0, False),          # the probe was lucky: the server knows better
    (5000.0, 0, 900, 80.0, False),             # they waited, the machine was quiet: it is ours
    (5000.0, 0, 900, 4500.0, figures.UNTOLD),   # such waits come without any cause
    (5000.0, 300, 4800, 80.0, figures.UNTOLD),  # another had the core
    (50000.0, 300, 4800, 80.0, False),         # … but not for that long
    (5000.0, None, None, 4500.0, False),       # no view of its own: what the probe saw counts
    (5000.0, 1200, 5000, 9000.0, False)])
def test_verdicts_of_stalls(full, worst, turn, wall, idle, expected):
    own = {} if turn is None else {'turn_us': turn, 'turn_wall_us': wall}
    sample = probe('ashlar-2', 'copy', worst, noise={'max': idle}, **own)
    full['stalls'] = [sample]
    assert figures.stall_reached(full, sample) == expected
    assert figures.stall_verdicts(full)[0].reached == expected
    assert table_row(report.markdown(full), 'stalls')[1:] == ['1'] + [
        '1' if expected == of else '0' for of in (True, False, figures.UNTOLD)]


def test_tables_go_into_a_page(full, tmp_path):
    page = tmp_path / 'README.md'
    page.write_text('before\n<!-- compare:speed -->\nold\n<!-- end -->\nbetween\n<!-- compare:nothing -->\nkept\n'
                    '<!-- end -->\nafter\n<!-- compare:stalls -->\n<!-- end -->\n<!-- compare:latency -->\n'
                    '<!-- end -->\n<!-- compare:head -->\n<!-- end -->\n')
    readme.put(full, page)
    text = page.read_text()
    assert '\nold\n' not in text and '| GET, 16 deep |' in text and 'zset of 1,000' in text and '##' not in text
    assert '<details>' not in text and 'targets of PERFORMANCE.md' in text
    assert text.startswith('before\n') and 'between\n<!-- compare:nothing -->\nkept\n<!-- end -->\nafter\n' in text
    whole = (tmp_path / 'bench' / 'REPORT.md').read_text()
    for heading in ('Server CPU time', 'Cost of routing', 'Memory', 'How long', 'Latency over rate', 'ashlar-bench beside'):
        assert f'\n## {heading}' in whole
    for folder, of in ((tmp_path, text), (tmp_path / 'bench', whole)):
        pictures = re.findall(r'!\[.*?\]\((.*?)\)', of)
        assert pictures
        for name in pictures:
            xml.etree.ElementTree.parse(folder / name)
    readme.put(full, page)
    assert page.read_text() == text


def test_summary_counts_targets(full):
    text = report.markdown(full)
    assert '**5 of 9 targets' in text and '3 missed, 1 cannot be told' in text
    assert '1 have their median within' in ' '.join(text.split())
    assert table_row(text, 'speed')[1:] == ['2', '1', '0', '1']
    assert table_row(text, 'routing: GET, 16 deep')[1:] == ['16 shards 1.60', '≤ 1.45']


def test_problems_are_told(full):
    full['problems'] = ['keydb: did not start']
    text = report.markdown(full)
    assert '- keydb: did not start' in text and '- memcached, set-16: it is | broken' in text


def test_a_part_is_enough(full):
    for section in ('speed', 'routing', 'memory', 'latency', 'stalls', 'agreement'):
        text = report.markdown(head(**{section: full[section]}))
        assert text.startswith('# Ashlar') and text.count('## ') == (2 if 'broken' in text else 1)
    assert report.markdown(head()).startswith('# Ashlar')


def test_tables_are_whole(full):
    rows = 0
    for block in re.findall(r'(?:^\|.*\n)+', report.markdown(full), re.M):
        lengths = {line.count('|') for line in block.splitlines()}
        assert len(lengths) == 1, block
        rows += len(block.splitlines())
    assert rows > 20


def test_pictures(full, tmp_path):
    made = plot.draw(full, tmp_path)
    assert set(made) == {'cpu', 'routing', 'memory', 'latency', 'percentiles', 'stalls'}
    for name in made.values():
        tree = xml.etree.ElementTree.parse(tmp_path / name).getroot()
        width, height = float(tree.get('width')), float(tree.get('height'))
        for e in tree.iter():
            for key in ('x', 'x1', 'x2', 'y', 'y1', 'y2'):
                limit = width if key[0] == 'x' else height
                assert -1 <= float(e.get(key, 0)) <= limit + 1, (name, e.attrib)
    assert plot.draw(head(), tmp_path) == {}


def test_axis():
    a = plot.Axis(1, 1000, 0, 300, log=True)
    assert [round(a.at(v)) for v in (1, 10, 1000, 0.1)] == [0, 100, 300, 0]
    assert a.ticks()[:4] == [1, 2, 5, 10]
    assert plot.Axis(0, 10, 0, 100).ticks() == [0, 2, 4, 6, 8, 10]


def test_hash_tags():
    assert servers.crc16(b'123456789') == 0x31C3
    n = stalls._names()
    slots = {k: servers.crc16(v[1:v.index('}')].encode()) % 16384 for k, v in n.items()}
    assert slots['big'] == slots['copy'] < 8192 <= slots['away']
    assert slots['probe'] < 8192 and slots['probe'] != slots['big']


def test_workloads_have_keys_of_their_own():
    keys = [w.key for w in workloads.SPEED]
    assert len(keys) == len(set(keys))
    assert set(workloads.QUICK_SPEED) | set(workloads.ROUTING) | set(workloads.QUICK_ROUTING) <= set(keys)
    assert {n for w in workloads.SPEED for n in w.needs} <= set(keys)


# --- running it ---

def run_compare(out, *args):
    r = subprocess.run([sys.executable, COMPARE, '--ashlar', BINARY, '--build', BUILD, '--quick', '-o', str(out),
                        *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5 * PATIENCE_SECONDS)
    assert r.returncode == 0, r.stdout.decode()
    with open(out / 'report.json') as f:
        return json.load(f), (out / 'report.md').read_text()


needs_two_cores = pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason='it pins to cores 0 and 1')


@needs_two_cores
def test_it_measures(tmp_path):
    result, text = run_compare(tmp_path, 'speed', 'routing', '--only', 'get-16,set-16,zrange-16', '--keys', '1000',
                               '--scale', '0.005', '--rounds', '2', '--shards', '1,2', '--clients', '5', '-s',
                               'second=redis-server --port {port} --dir {dir} --save ""')
    assert not result.get('problems') and not [s for s in result['speed'] if 'error' in s]
    of = {(s['server'], s['workload']) for s in result['speed']}
    assert {(n, w) for n in ('redis', 'ashlar', 'ashlar-2', 'second') for w in ('get-16', 'set-16', 'zrange-16')} <= of
    assert all(s['cpu_us'] > 0 and s['requests'] > 0 for s in result['speed'] + result['routing'])
    assert {s['shards'] for s in result['routing']} == {1, 2}
    assert '## Server CPU time' in text and '## Cost of routing' in text and '![cpu](cpu.svg)' in text
    # The same samples make the same report.
    r = subprocess.run([sys.executable, COMPARE, '--render', str(tmp_path / 'report.json')], timeout=PATIENCE_SECONDS)
    assert r.returncode == 0 and (tmp_path / 'report.md').read_text() == text


# A server that answers everything by OK, until it has been sent so many bytes: then it is gone.
MORTAL = textwrap.dedent("""
    import os, socket, sys, threading
    left = int(sys.argv[2])
    def serve(s):
        global left
        while data := s.recv(1 << 16):
            left -= len(data)
            if left < 0:
                os._exit(1)
            s.sendall(b'+OK\\r\\n' * data.count(b'*'))
    listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))
    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
    """)


@needs_two_cores
def test_peers_that_die_leave_the_others_alone(tmp_path):
    """One is not there at all, one does not survive being filled, one dies while it is measured."""
    mortal = tmp_path / 'mortal.py'
    mortal.write_text(MORTAL)
    peer = f'{sys.executable} {mortal} {{port}}'
    result, text = run_compare(tmp_path / 'report', 'speed', '--only', 'get-16,set-16', '--keys', '1000', '--scale', '0.01',
                               '--rounds', '3', '--clients', '5', '--without', 'memcached,ashlar-2', '-s',
                               'missing=no-such-server --port {port}', '-s', f'early={peer} 20000', '-s',
                               f'late={peer} 200000')
    good = {(s['server'], s['workload'], s['round']) for s in result['speed'] if 'error' not in s}
    assert good >= {(n, w, i) for n in ('redis', 'ashlar') for w in ('get-16', 'set-16') for i in range(3)}
    assert not [s for s in result['speed'] if s['server'] in ('missing', 'early')]
    assert any('early' in p for p in result['problems']) and any('late' in p and 'died' in p for p in result['problems'])
    assert '## Problems' in text


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as f:
        return [int(n) for n in f.read().split()]


def running(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


@needs_two_cores
@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_its_servers(tmp_path, number, status):
    process = subprocess.Popen([sys.executable, COMPARE, '--ashlar', BINARY, '--build', BUILD, '-o', str(tmp_path), 'speed',
                                '--only', 'get-16', '--keys', '1000'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if 'keys loaded' in line:
                break
        started = children(process.pid)
        assert started
        process.send_signal(number)
        _, rest = process.communicate(timeout=120)
        assert process.returncode == status, rest
        assert 'Traceback' not in rest
        assert not [pid for pid in started if running(pid)]
    finally:
        process.kill()
        process.wait()
    with open(tmp_path / 'report.json') as f:
        assert any('ended early' in p for p in json.load(f)['problems'])


def test_memtier(tmp_path, monkeypatch):
    """What it is asked for, and what is made of its JSON: it is in no Debian that we test on."""
    fake = tmp_path / 'memtier_benchmark'
    totals = {'ALL STATS': {'Totals': {'Ops/sec': 5000.0, 'Max Latency': 9.5, 'Percentile Latencies': {
        'p50.00': 0.25, 'p95.00': 1.5, 'p99.00': 2.0, 'Histogram log format': {}}}}}
    fake.write_text(f'#!{sys.executable}\nimport json, sys\n'
                    'out = next(a for a in sys.argv if a.startswith("--json-out-file=")).split("=", 1)[1]\n'
                    f'json.dump({totals!r}, open(out, "w"))\n'
                    f'json.dump(sys.argv[1:], open({str(tmp_path / "arguments")!r}, "w"))\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    assert 'memtier_benchmark' in drive.other_generators()

    class Generators:
        clients, keys = 50, 1000

    class Idle:
        port = 7000

        @staticmethod
        def cpu_ns():
            return 0

    sample = drive.agreement_run(Generators, Idle, 'memtier_benchmark', workloads.SET, 16, 10020)
    assert sample['generator_us'] > 0
    assert {k: sample[k] for k in ('requests', 'rps', 'p50', 'p95', 'p99', 'max', 'cpu_us')} == {
        'requests': 10000, 'rps': 5000.0, 'p50': 250.0, 'p95': 1500.0, 'p99': 2000.0, 'max': 9500.0, 'cpu_us': 0.0}
    arguments = json.loads((tmp_path / 'arguments').read_text())
    for wanted in ('--pipeline=16', '--command=SET __key__ __data__', '--data-size=32', '--key-prefix=key:',
                   '--key-minimum=100000000000', '--key-maximum=100000000999'):
        assert wanted in arguments
    assert arguments[arguments.index('-n') + 1] == '200'  # it counts by client


@needs_two_cores
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, 'bench', 'probe')), reason='probe has not been built')
def test_it_measures_stalls(tmp_path):
    result, text = run_compare(tmp_path, 'stalls', '--without', 'redis', '--stall-members', '2000',
                               '--growth-to', '3200', '--expire-keys', '2000')
    assert not result.get('problems')
    events = [(s['kind'], s['event']) for s in result['stalls']]
    for kind in ('set', 'zset', 'hash'):
        for event in ('build', 'copy', 'rename', 'del', 'expire'):
            assert (kind, event) in events
    assert (None, 'growth') in events and (None, 'deadline') in events
    assert all(s['get']['max'] > 0 and s['ping']['max'] > 0 for s in result['stalls'] if s['requests'] > 1)
    assert all(s['left'] == 0 for s in result['stalls'] if s['event'] == 'expire')
    assert all('turn_us' in s and s['noise']['max'] > 0 for s in result['stalls'])
    assert '## How long others wait' in text


@needs_two_cores
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, 'ashlar-bench')), reason='ashlar-bench has not been built')
def test_it_measures_within_a_budget(tmp_path):
    """Everything else that needs ashlar-bench. What it takes depends on the machine; that it chooses its sizes not."""
    result, text = run_compare(tmp_path, 'latency', 'agreement', 'routing', '--without', 'memcached,ashlar-2', '--minutes',
                               '0.2', '--keys', '2000', '--shards', '1,2', '--scale', '0.01', '--rounds', '1')
    assert not result.get('problems')
    assert {s['generator'] for s in result['agreement']} == {'ashlar-bench', 'redis-benchmark'}
    assert all(s['generator_us'] > 0 and s['p50'] <= s['p99'] <= s['max'] for s in result['agreement'])
    home = {s['shards'] for s in result['routing'] if s['workload'].startswith('home-') and 'error' not in s}
    assert home == {1, 2}  # and no problem: their keys were at home
    assert {s['server'] for s in result['latency']} == {s['server'] for s in result['sweep']} == {'redis', 'ashlar'}
    assert '## Latency over rate' in text and '## ashlar-bench beside other' in text


def test_it_refuses_what_it_does_not_know():
    for args in (['nothing'], ['speed', '--only', 'nothing'], ['-s', 'x=redis-server --port 1']):
        r = subprocess.run([sys.executable, COMPARE, '--ashlar', BINARY, '--quick', *args], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS)
        assert r.returncode != 0 and b'Traceback' not in r.stderr
