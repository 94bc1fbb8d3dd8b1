"""ashlar-bench from outside, against redis-server and ours: options, counts, rates, verification, stalls."""
import csv
import io
import json
import re
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from bench_tool import BENCH, bench, bench_json
from conftest import start_oracle
from patience import PATIENCE_SECONDS, wait_until


@pytest.fixture
def redis_server(oracle):
    oracle.client().flushall()
    return oracle


def calls(client, command):
    return client.info('commandstats').get('cmdstat_' + command, {}).get('calls', 0)


# ---- options of redis-benchmark ---------------------------------------------------------------------

TESTS = 'ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset'


def names_of(output):
    return [row[0] for row in csv.reader(io.StringIO(output))]


@pytest.mark.parametrize('options', [
    ['-r', '1000', '-P', '4', '-d', '20'], ['-c', '3', '--threads', '2'], ['-3', '--dbnum', '2']], ids=' '.join)
def test_csv_is_that_of_redis_benchmark(redis_server, options):
    args = ['-n', '300', '-t', TESTS, '--csv', *options]
    theirs = subprocess.run(['redis-benchmark', '-p', str(redis_server.port), *args], capture_output=True,
                            text=True, timeout=PATIENCE_SECONDS, check=True).stdout
    ours = bench(*args, port=redis_server.port).stdout
    assert names_of(ours) == names_of(theirs)
    for line in ours.splitlines()[1:]:
        assert re.fullmatch(r'"[^"]+",("\d+\.\d+",){6}"\d+\.\d+"', line), line
    assert ours.splitlines()[0] == theirs.splitlines()[0]


def test_quiet_lines_have_the_same_shape(redis_server):
    shape = re.compile(r'^(.+): (\d+\.\d\d) requests per second, p50=\d+\.\d+ msec *$')
    out = {}
    for name in (BENCH, 'redis-benchmark'):
        done = subprocess.run([name, '-p', str(redis_server.port), '-q', '-n', '500', '-t', 'set,lrange_100'],
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
        out[name] = [m.group(1) for m in (shape.match(part) for part in re.split('[\r\n]', done.stdout)) if m]
    assert out[BENCH] == out['redis-benchmark'] and len(out[BENCH]) == 3


def test_the_same_keys_are_written(redis_server):
    """-r, and without -r: the keys of redis-benchmark."""
    client = redis_server.client()
    for options in ([], ['-r', '5']):
        keys = {}
        for name in (BENCH, 'redis-benchmark'):
            client.flushall()
            subprocess.run([name, '-p', str(redis_server.port), '-q', '-n', '2000', '-t', TESTS + ',set', *options],
                           capture_output=True, timeout=PATIENCE_SECONDS, check=True)
            keys[name] = sorted((k, client.type(k)) for k in client.keys())
        assert keys[BENCH] == keys['redis-benchmark']


def test_a_command_with_rand_int(redis_server):
    client = redis_server.client()
    bench('-n', 500, '-r', 10, 'lpush', 'mylist', '__rand_int__', port=redis_server.port)
    values = client.lrange('mylist', 0, -1)
    assert len(values) == 500 and {len(v) for v in values} == {12} and {int(v) for v in values} == set(range(10))


def test_last_argument_from_standard_input(redis_server):
    bench('-n', 1, '-x', 'set', 'k', port=redis_server.port, stdin='a b\n')
    assert redis_server.client().get('k') == b'a b\n'


def test_exactly_n_requests(redis_server):
    client = redis_server.client()
    for n, options in ((1, []), (7, ['-c', 50]), (1000, ['-P', 16]), (12345, ['--threads', 3, '-P', 7, '-c', 5]),
                       (2000, ['-k', 0, '-c', 4]), (500, ['--epoll']), (3000, ['--rate', 20000])):
        client.config_resetstat()
        run = bench_json('-n', n, 'incr', 'c', *(), port=redis_server.port) if not options else \
            bench_json('-n', n, *options, 'incr', 'c', port=redis_server.port)
        assert run['runs'][0]['requests'] == n
        assert calls(client, 'incr') == n, options


def test_no_keep_alive_makes_connections(redis_server):
    client = redis_server.client()
    before = client.info('stats')['total_connections_received']
    bench('-n', 300, '-k', 0, '-c', 5, '-t', 'get', port=redis_server.port)
    assert client.info('stats')['total_connections_received'] - before >= 300


def test_unix_socket_password_and_database(tmp_path):
    path = str(tmp_path / 's')
    server = start_oracle('--unixsocket', path)
    try:
        client = server.client()
        client.execute_command('ACL SETUSER me on >secret ~* +@all')
        client.config_set('requirepass', 'main')
        bench('-s', path, '-a', 'main', '--dbnum', 5, '-n', 10, 'incr', 'x')
        bench('-s', path, '-a', 'secret', '--user', 'me', '-3', '-n', 10, 'incr', 'y')
        bench('-u', 'redis://me:secret@127.0.0.1:%d/7' % server.port, '-n', 10, 'incr', 'z')
        fresh = server.client(password='main')
        assert set(fresh.info('keyspace')) == {'db0', 'db5', 'db7'}
        wrong = bench('-a', 'no', '-n', 1, port=server.port, check=1)
        assert 'WRONGPASS' in wrong.stderr
        none = bench('-n', 1, '-t', 'get', port=server.port, check=1)
        assert 'NOAUTH' in none.stderr
    finally:
        server.stop()


def test_tracking(redis_server):
    """Invalidations arrive between replies and are none."""
    run = bench_json('-n', 3000, '-3', '--enable-tracking', '-c', 5, '--mix', 'get=1,set=1', '--keys', 3, '-P', 4,
                     port=redis_server.port)
    assert run['runs'][0]['requests'] == 3000 and run['runs'][0]['errors'] == 0


def test_messages():
    assert bench('--bogus', check=1).stderr == "ashlar-bench: unknown option '--bogus' (--help lists them)\n"
    assert bench('-n', check=1).stderr == 'ashlar-bench: -n needs a number of requests\n'
    refused = bench('-p', 1, '-n', 1, check=1).stderr
    assert refused == 'ashlar-bench: Could not connect to Redis at 127.0.0.1:1: Connection refused\n'
    assert bench('--version').stdout.startswith('ashlar-bench ')
    text = bench('--help').stdout
    for option in ('--rate', '--sweep', '--replay', '--verify', '-P', '--cluster'):
        assert option in text


def test_error_replies_are_counted_and_shown(redis_server):
    done = bench('-n', 100, '-c', 2, 'lpush', 'only', port=redis_server.port, check=2)
    assert "errors: 100, the first: ERR wrong number of arguments for 'lpush' command" in done.stdout
    assert bench_json('-n', 50, 'nonsense', port=redis_server.port, check=2)['runs'][0]['errors'] == 50


# ---- keys, values, mixes ----------------------------------------------------------------------------

def test_load_writes_every_key_once(server):
    client = server.client()
    client.flushall()
    client.config_resetstat()
    bench('--load', 12345, '-d', '8-40', '--key-prefix', 'user:', '--threads', 2, '--expiry', '100-200',
          port=server.port)
    assert client.dbsize() == 12345 and calls(client, 'set') == 12345
    ttls = [client.pttl('user:%012d' % i) for i in range(0, 12345, 50)]
    assert all(0 < t <= 200000 for t in ttls) and max(ttls) - min(ttls) > 50000  # 100 to 200 s, drawn anew each time
    assert max(ttls) > 110000  # however long the loading took
    assert 8 <= client.strlen('user:000000000000') <= 40


def test_mix_ratios(redis_server):
    run = bench_json('-n', 30000, '--mix', 'get=3,set=1,incr=2', '-P', 8, port=redis_server.port)
    total, *parts = run['runs']
    assert total['requests'] == 30000 and all(p['part_of'] == total['name'] for p in parts)
    counts = {p['name']: p['requests'] for p in parts}
    assert sum(counts.values()) == 30000  # within 6 standard deviations:
    assert abs(counts['GET'] - 15000) < 520 and abs(counts['SET'] - 5000) < 390


def test_file_of_commands(redis_server, tmp_path):
    path = tmp_path / 'commands'
    path.write_text('# a comment\n@3 SET "a b" __seq__\n\nINCR c\nHSET h f "\\x00\\xff"\n')
    run = bench_json('-n', 3000, '--commands', path, '--order', 'sequence', port=redis_server.port)
    assert [r['requests'] for r in run['runs']] == [3000, 1000, 1000, 1000]
    client = redis_server.client()
    assert client.get('c') == b'1000' and client.hget('h', 'f') == b'\x00\xff' and client.exists('a b')


def test_zipf_and_sequential_keys(redis_server):
    client = redis_server.client()
    bench('-n', 20000, '--dist', 'zipf:1.2', '--keys', 1000, '-P', 10, '--command', 'ZINCRBY z 1 __key__',
          port=redis_server.port)
    first = client.zscore('z', 'key:000000000000')
    assert 20000 * 0.18 < first < 20000 * 0.28  # 1 / sum of k^-1.2 to 1000 = 0.231
    client.flushall()
    bench('-n', 1000, '--dist', 'sequential', '--keys', 500, '-P', 10, '--threads', 2, '--command',
          'ZINCRBY z 1 __key__', port=redis_server.port)
    assert client.zcard('z') == 500 and set(dict(client.zrange('z', 0, -1, withscores=True)).values()) == {2.0}


def counts_by_key(client, *options):
    """How often each of 1000 keys was drawn in 20,000 requests."""
    client.flushall()
    bench('-n', 20000, '--keys', 1000, '-P', 10, '--command', 'ZINCRBY z 1 __key__', *options,
          port=client.connection_pool.connection_kwargs['port'])
    return {int(k[4:]): n for k, n in client.zrange('z', 0, -1, withscores=True)}


def test_hot_set_and_gaussian_keys(redis_server):
    client = redis_server.client()
    hot = counts_by_key(client, '--dist', 'hot:0.1,0.9')
    assert sum(hot.values()) == 20000
    share = sum(n for k, n in hot.items() if k < 100)  # 18000, deviation 42
    assert abs(share - 18000) < 6 * 42.5 and max(hot) > 900
    bell = counts_by_key(client, '--dist', 'gauss:0.5,0.1')
    near = sum(n for k, n in bell.items() if 400 <= k < 600)  # 68.3 % within one deviation: 13654, deviation 66
    assert abs(near - 13654) < 6 * 66 and not [k for k in bell if abs(k - 500) > 600]
    flat = counts_by_key(client)
    assert len(flat) == 1000 and abs(sum(n for k, n in flat.items() if k < 500) - 10000) < 6 * 71


@pytest.mark.parametrize('kind', ['string', 'integer', 'double', 'null', 'array', 'set', 'map', 'attrib', 'verbatim',
                                  'true', 'false'])
def test_replies_of_resp3(redis_server, kind):
    """Their ends are found: counts are right, and the SET in between is answered by OK and nothing else."""
    client = redis_server.client()
    client.config_resetstat()
    run = bench_json('-3', '-n', 400, '-P', 7, '-c', 3, '--order', 'sequence', '--command', f'DEBUG PROTOCOL {kind}',
                     '--command', 'SET k v', port=redis_server.port)['runs'][0]
    assert run['requests'] == 400 and run['errors'] == 0
    assert calls(client, 'debug') == 200 and calls(client, 'set') == 200
    assert calls(client, 'hello') >= 3


def test_resp2_says_no_hello(redis_server):
    client = redis_server.client()
    client.config_resetstat()
    bench('-n', 10, '-t', 'get', port=redis_server.port)
    assert calls(client, 'hello') == 0


def test_idle_connections(redis_server):
    client = redis_server.client()
    before = client.info('clients')['connected_clients']
    idle = subprocess.Popen([BENCH, '-p', str(redis_server.port), '-I', '-c', '17'], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: client.info('clients')['connected_clients'] >= before + 17)
    finally:
        idle.terminate()
        idle.wait(PATIENCE_SECONDS)


# ---- verification -----------------------------------------------------------------------------------

def test_verification_finds_a_wrong_value(server):
    client = server.client()
    client.flushall()
    args = ['--verify', '--load', 200, '-d', '10-5000', '-P', 4]
    clean = bench_json(*args, '-n', 5000, '--mix', 'get=4,set=1', port=server.port)
    assert clean['runs'][0]['mismatches'] == 0 and clean['runs'][0]['misses'] == 0
    value = bytearray(client.get('key:000000000077'))
    value[-1] ^= 1
    client.set('key:000000000077', bytes(value))
    found = bench_json('--verify', '--keys', 200, '-d', '10-5000', '-n', 5000, '-t', 'get', port=server.port,
                       check=3)
    assert 0 < found['runs'][0]['mismatches'] < 200
    client.set('key:000000000077', client.get('key:000000000078'))  # another key's value
    assert bench_json('--verify', '--keys', 200, '-d', '10-5000', '-n', 5000, '-t', 'get', port=server.port,
                      check=3)['runs'][0]['mismatches'] > 0
    client.delete('key:000000000077')
    gone = bench_json('--verify', '--keys', 200, '-d', '10-5000', '-n', 5000, '-t', 'get', port=server.port)
    assert gone['runs'][0]['mismatches'] == 0 and gone['runs'][0]['misses'] > 0


# ---- open loop --------------------------------------------------------------------------------------

@pytest.mark.parametrize('arrival', ['even', 'poisson'])
@pytest.mark.parametrize('threads', [1, 2])
def test_the_rate_is_kept(redis_server, arrival, threads):
    """Every due request is sent sooner or later, however busy the machine: the number is what counts."""
    run = bench_json('--rate', 2000, '--duration', 2, '--warmup', 0.3, '--arrival', arrival, '--threads', threads,
                     '-t', 'get', '--drain', 30, port=redis_server.port)['runs'][0]
    assert run['unfinished'] == 0
    if arrival == 'even':
        assert abs(run['requests'] - 4000) <= threads
    else:
        assert abs(run['requests'] - 4000) < 6 * 4000 ** 0.5


def test_open_loop_shows_a_stall_and_closed_loop_hides_it(redis_server):
    """DEBUG SLEEP 0.3 in 3 seconds: a tenth of all requests is due while the server sleeps. The closed
    loop sends none but its 2 clients' meanwhile."""
    client = redis_server.client()

    def stall():
        while calls(client, 'get') < 50:
            time.sleep(0.01)
        client.execute_command('DEBUG', 'SLEEP', '0.3')

    def run(*options):
        client.config_resetstat()
        thread = threading.Thread(target=stall)
        thread.start()
        result = bench_json('--duration', 3, '-c', 2, '-t', 'get', '--drain', 30, *options,
                            port=redis_server.port)['runs'][0]
        thread.join()
        return result

    def shows():  # unless the machine is so busy that it stalls by itself
        opened = run('--rate', 1000)['latency_us']
        closed = run()['latency_us']
        # 300 of 3000 were due during the stall, with 0 to 300 ms to wait: about 200 waited more than 100 ms.
        # Two requests of thousands: what the closed loop reports as p99 knows nothing of it.
        return min(opened['max'], closed['max']) >= 290000 and opened['p99'] >= 150000 and closed['p99'] < opened['p99']
    wait_until(shows)


def test_overload_is_reported_not_hidden(redis_server):
    """A rate that cannot be served: latencies grow with the backlog, and what was never answered counts."""
    run = bench_json('--rate', '5m', '--duration', 0.5, '--drain', '100ms', '-c', 1, '-t', 'get',
                     port=redis_server.port)['runs'][0]
    assert run['unfinished'] > 0 and run['latency_us']['p50'] > 100000


# ---- output -----------------------------------------------------------------------------------------

def test_json_csv_and_pictures(redis_server, tmp_path):
    prefix, table, data = tmp_path / 'pic', tmp_path / 'out.csv', tmp_path / 'out.json'
    bench('-n', 20000, '-t', 'set,get', '-P', 4, '--svg', prefix, '--csv-file', table, '--json', data,
          '--title', 'a <b> & "c"', '--interval', '20ms', port=redis_server.port)
    result = json.loads(data.read_text())
    assert result['tool'] == 'ashlar-bench' and result['server']['process_id'] == redis_server.pid
    assert [r['name'] for r in result['runs']] == ['SET', 'GET']
    for run in result['runs']:
        assert run['requests'] == 20000 and run['errors'] == 0 and run['seconds'] > 0
        assert abs(run['rps'] * run['seconds'] - 20000) < 20
        assert run['server_cpu_us_per_request'] > 0 and run['client_cpu_us_per_request'] > 0
        order = [run['latency_us'][k] for k in
                 ('min', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'p99.999', 'max')]
        assert order == sorted(order) and order[0] > 0
        assert abs(sum(p['rps'] for p in run['series'])) > 0
    assert result['runs'][0]['bytes_in'] == 20000 * 5
    rows = list(csv.DictReader(table.open()))
    assert [r['test'] for r in rows] == ['SET', 'GET'] and float(rows[0]['latency_us_p99.9']) > 0
    assert len({len(r) for r in csv.reader(table.open())}) == 1
    for name in ('percentiles', 'throughput'):
        root = xml.etree.ElementTree.parse('%s-%s.svg' % (prefix, name)).getroot()
        lines = root.findall('{http://www.w3.org/2000/svg}polyline')
        assert len(lines) >= 2
        for line in lines:
            for point in line.get('points').split():
                x, y = map(float, point.split(','))
                assert 0 <= x <= float(root.get('width')) and 0 <= y <= float(root.get('height'))


def test_png_or_a_reason(redis_server, tmp_path):
    done = bench('-n', 1000, '-t', 'set', '--png', tmp_path / 'pic', port=redis_server.port, check=None)
    if done.returncode == 0:
        assert (tmp_path / 'pic-percentiles.png').read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    else:
        assert 'neither gnuplot nor python3 with matplotlib is installed' in done.stderr


def test_sweep(redis_server, tmp_path):
    result = bench_json('--sweep', 'p99<10s', '--sweep-from', 200, '--sweep-to', 1000, '--sweep-steps', 3,
                        '--sweep-time', '300ms', '-t', 'get', '--svg', tmp_path / 'pic', port=redis_server.port)
    sweep = result['sweep']
    assert sweep['bound'] == 'p99<10s' and [p['rate'] for p in sweep['points']][:1] == [200]
    xml.etree.ElementTree.parse(str(tmp_path / 'pic-rate.svg'))
    never = bench_json('--sweep', 'p50<1ns', '--sweep-from', 200, '--sweep-to', 1000, '--sweep-steps', 3,
                       '--sweep-time', '200ms', '-t', 'get', port=redis_server.port)['sweep']
    assert never['best'] == 0 and not any(p['holds'] for p in never['points'])


def test_a_server_that_dies_ends_the_run():
    server = start_oracle()
    done = []
    thread = threading.Thread(target=lambda: done.append(
        bench('--duration', 60, '-t', 'get', '-q', port=server.port, check=None)))
    thread.start()
    wait_until(lambda: calls(server.client(), 'get') > 0, 'it runs')
    server.stop()
    thread.join(PATIENCE_SECONDS)
    assert done and done[0].returncode == 1 and 'closed the connection' in done[0].stderr


# ---- replay of MONITOR ------------------------------------------------------------------------------

def test_replay_gives_the_same_data(redis_server, tmp_path):
    client = redis_server.client()
    record = tmp_path / 'monitor'
    with record.open('w') as f:
        monitor = subprocess.Popen(['redis-cli', '-p', str(redis_server.port), 'monitor'], stdout=f)
        try:
            while not record.read_text().startswith('OK'):
                time.sleep(0.01)
            other = redis_server.client(db=3)
            for i in range(300):
                client.rpush('list', i)
                other.set('k\x00"\\ %d' % (i % 10), b'\xff\n' + bytes([i % 256]))
            client.eval("redis.call('incr', 'c'); return redis.call('incr', 'c')", 0)
            client.set('end', 'x')
            while '"end"' not in record.read_text():
                time.sleep(0.01)
        finally:
            monitor.terminate()
            monitor.wait()
    digest = client.execute_command('DEBUG', 'DIGEST')
    for options in (['--replay-speed', 'max', '-P', 5], ['--replay-speed', '2'], ['--threads', 2]):
        client.flushall()
        run = bench_json('--replay', record, '-c', 2, *options, port=redis_server.port)
        assert run['runs'][0]['errors'] == 0
        assert client.execute_command('DEBUG', 'DIGEST') == digest, options
    bad = tmp_path / 'bad'
    bad.write_text('OK\nnonsense\n')
    done = bench('--replay', bad, port=redis_server.port, check=1)
    assert done.stderr == 'ashlar-bench: --replay: line 2 of %s is not what MONITOR writes\n' % bad
