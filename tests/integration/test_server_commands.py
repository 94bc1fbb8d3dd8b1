"""INFO, SLOWLOG, LATENCY, MEMORY, DEBUG, MONITOR and the small server commands."""
import random
import re
import select
import threading
import time

import pytest
import redis
from patience import PATIENCE_SECONDS, wait_until
from redis.exceptions import ResponseError

# Fields of Redis 7.0 for which we have no true value.
INFO_LACKING = {
    'expired_stale_perc', 'expired_time_cap_reached_count', 'expire_cycle_cpu_milliseconds',
    'dump_payload_sanitizations',
    'total_reads_processed', 'total_writes_processed', 'reply_buffer_shrinks', 'reply_buffer_expands',
}


def nothing_left_to_free(client):
    wait_until(lambda: client.info('memory')['lazyfree_pending_objects'] == 0, 'all is freed')


def raw(server):
    """A client that gives replies as they come."""
    client = server.client(decode_responses=True)
    client.response_callbacks.clear()
    return client


def fields(text):
    return [line.split(':', 1)[0] for line in text.split('\r\n') if ':' in line]


def titles(text):
    return [line for line in text.split('\r\n') if line.startswith('#')]


def field(text, name):
    return re.search('^%s:(.*?)\r?$' % re.escape(name), text, re.M).group(1)


# --- INFO ---

def test_info_has_the_fields_of_redis(server, oracle):
    ours, theirs = raw(server).execute_command('INFO'), raw(oracle).execute_command('INFO')
    assert titles(ours) == titles(theirs)
    lacking = {f for f in fields(theirs) if not re.match('db\\d|errorstat', f)} - set(fields(ours))
    assert lacking <= INFO_LACKING, lacking - INFO_LACKING
    assert not INFO_LACKING & set(fields(ours)), 'no longer lacking'


def test_info_fields_stand_in_the_order_of_redis(server, oracle):
    ours, theirs = (fields(raw(s).execute_command('INFO')) for s in (server, oracle))
    common = [f for f in theirs if f in ours and not f.startswith(('db', 'errorstat'))]
    assert [f for f in ours if f in common] == common


@pytest.mark.parametrize('sections', [
    (), ('default',), ('all',), ('everything',), ('server',), ('SERVER', 'clients'), ('nosuch',),
    ('keyspace', 'nosuch', 'cpu'), ('commandstats',), ('default', 'commandstats'), ('modules',)])
def test_info_sections(server, oracle, sections):
    ours, theirs = (titles(raw(s).execute_command('INFO', *sections)) for s in (server, oracle))
    assert [t for t in ours if t != '# Shards'] == theirs


def test_info_server(server):
    text = raw(server).execute_command('INFO', 'server')
    assert text.startswith('# Server\r\nredis_version:7.4.0\r\n')
    assert int(field(text, 'process_id')) == server.pid
    assert int(field(text, 'tcp_port')) == server.port
    assert re.fullmatch('[0-9a-f]{40}', field(text, 'run_id'))


def test_info_keyspace_is_exact(client, server):
    for i in range(100):
        client.set('k%d' % i, 'v', ex=100 if i < 30 else None)
        assert client.info('keyspace')['db0']['keys'] == i + 1
    db = client.info('keyspace')['db0']
    assert db['expires'] == 30
    assert 90000 < db['avg_ttl'] <= 100000
    client.flushall()
    assert client.info('keyspace') == {}


def test_info_counts_hits_misses_and_changes(client):
    client.config_resetstat()
    before = client.info()
    client.mset({'h%d' % i: 'v' for i in range(10)})
    client.mget(['h%d' % i for i in range(20)])
    client.get('nosuch')
    after = client.info()
    assert after['keyspace_hits'] - before['keyspace_hits'] == 10
    assert after['keyspace_misses'] - before['keyspace_misses'] == 11
    assert after['rdb_changes_since_last_save'] - before['rdb_changes_since_last_save'] == 10


def test_info_commandstats_and_errorstats(client, server):
    client.config_resetstat()
    for i in range(7):
        client.set('c%d' % i, 'v')
    with pytest.raises(ResponseError):
        client.execute_command('INCR', 'c0')
    with pytest.raises(ResponseError):
        client.execute_command('GET')
    stats = client.info('commandstats')
    assert stats['cmdstat_set']['calls'] == 7
    assert stats['cmdstat_incr']['failed_calls'] == 1
    assert stats['cmdstat_get']['rejected_calls'] == 1
    assert 'cmdstat_config|resetstat' in stats
    assert field(raw(server).execute_command('INFO', 'errorstats'), 'errorstat_ERR') == 'count=2'
    assert client.info('stats')['total_error_replies'] == 2
    text = raw(server).execute_command('INFO', 'latencystats')
    assert re.search(r'^latency_percentiles_usec_set:p50=[\d.]+,p99=[\d.]+,p99\.9=[\d.]+\r$', text, re.M)
    client.config_resetstat()
    assert 'cmdstat_set' not in client.info('commandstats')
    assert client.info('errorstats') == {}


def test_info_debug_is_one_command(client):
    client.config_resetstat()
    client.execute_command('DEBUG', 'SLEEP', '0.05')
    stats = client.info('commandstats')
    assert stats['cmdstat_debug']['calls'] == 1
    assert 'cmdstat_debug|sleep' not in stats
    assert client.info('latencystats')['latency_percentiles_usec_debug']['p50'] >= 50000 * 31 / 32


def test_info_memory_follows_the_data(client):
    nothing_left_to_free(client)
    before = client.info('memory')
    client.execute_command('DEBUG', 'POPULATE', '2000', 'mem', '1000')
    after = client.info('memory')
    assert after['used_memory'] - before['used_memory'] > 2000 * 1000
    assert after['used_memory_peak'] >= after['used_memory']
    assert after['used_memory_dataset'] > 2000 * 1000
    assert re.fullmatch(r'\d+\.\d\dM', after['used_memory_human'])
    assert after['used_memory_rss'] > 1000000


def test_info_shards(client, server):
    client.execute_command('DEBUG', 'POPULATE', '500')
    text = raw(server).execute_command('INFO', 'shards')
    shards = re.findall(r'^shard(\d+):slots=(\d+)-(\d+),keys=(\d+),', text, re.M)
    assert len(shards) == int(field(raw(server).execute_command('INFO', 'server'), 'shards'))
    assert sum(int(s[3]) for s in shards) == 500
    slots = [(int(s[1]), int(s[2])) for s in shards]
    assert slots[0][0] == 0 and slots[-1][1] == 16383
    assert all(a[1] + 1 == b[0] for a, b in zip(slots, slots[1:]))


def longest_turns(server):
    text = raw(server).execute_command('INFO', 'shards')
    found = re.findall(r'longest_turn_usec=(\d+),longest_turn_cpu_usec=(\d+)', text)
    return max(int(wall) for wall, _ in found), max(int(cpu) for _, cpu in found)


def test_longest_turn(client, server):
    """A shard that sleeps keeps others waiting, but not by work of its own; one that computes does both."""
    client.config_resetstat()
    client.execute_command('DEBUG', 'SLEEP', '0.2')
    wall, cpu = longest_turns(server)
    assert wall >= 200000 and cpu < 100000
    client.config_resetstat()
    client.eval('local n = 0; for i = 1, 3e6 do n = n + i end', 0)
    wall, cpu = longest_turns(server)
    assert wall >= cpu * 0.9 and cpu > 1000  # 3 million rounds in 1 ms: no machine that there is
    client.config_resetstat()
    assert longest_turns(server)[1] < cpu


def test_instantaneous_ops(client):
    def told():
        for _ in range(100):
            client.ping()
        return client.info('stats')['instantaneous_ops_per_sec'] > 0
    wait_until(told, every=0)


# --- SLOWLOG ---

@pytest.fixture
def slowlog(client):
    client.config_set('slowlog-log-slower-than', 0)
    client.config_set('slowlog-max-len', 128)
    client.slowlog_reset()
    yield client
    client.config_set('slowlog-log-slower-than', 10000)
    client.config_set('slowlog-max-len', 128)


def entries(client, *args):
    reply = client.connection_pool.get_connection('_')
    reply.send_command('SLOWLOG', 'GET', *args)
    answer = reply.read_response()
    client.connection_pool.release(reply)
    return answer


def test_slowlog_entry(slowlog, server):
    named = server.client(client_name='tester')
    named.set('slow', 'value')
    last = [e for e in entries(slowlog) if e[3][0] == b'SET'][0]
    assert last[3] == [b'SET', b'slow', b'value']
    assert re.fullmatch(rb'127\.0\.0\.1:\d+', last[4])
    assert last[5] == b'tester'
    assert abs(last[1] - time.time()) < PATIENCE_SECONDS


def test_slowlog_merges_all_homes_newest_first(slowlog, server):
    clients = [server.client() for _ in range(8)]
    for i in range(40):
        clients[i % 8].execute_command('ECHO', 'm%d' % i)
    got = entries(slowlog, -1)
    assert [e[0] for e in got] == sorted((e[0] for e in got), reverse=True)
    echoes = [e[3][1] for e in got if e[3][0] == b'ECHO']
    assert echoes == [b'm%d' % i for i in reversed(range(40))]
    assert len(entries(slowlog)) == 10
    assert len(entries(slowlog, 3)) == 3


def test_slowlog_limit_is_that_of_the_whole_server(slowlog, server):
    slowlog.config_set('slowlog-max-len', 10)
    clients = [server.client() for _ in range(8)]
    for i in range(80):
        clients[i % 8].ping()
    assert slowlog.slowlog_len() == 10
    assert len(entries(slowlog, -1)) == 10
    slowlog.config_set('slowlog-log-slower-than', -1)
    slowlog.slowlog_reset()
    assert slowlog.slowlog_len() == 0


def test_slowlog_cuts_and_hides(slowlog):
    slowlog.execute_command('MSET', *['a' * 129, 'v'] * 20)
    slowlog.execute_command('CONFIG', 'SET', 'masterauth', 'secret')
    slowlog.execute_command('CONFIG', 'SET', 'masterauth', '')
    got = entries(slowlog)
    mset = [e[3] for e in got if e[3][0] == b'MSET'][0]
    assert len(mset) == 32
    assert mset[31] == b'... (10 more arguments)'
    assert mset[1] == b'a' * 128 + b'... (1 more bytes)'
    assert [b'CONFIG', b'SET', b'masterauth', b'(redacted)'] in [e[3] for e in got]
    assert not any(b'secret' in e[3] for e in got)


def test_slowlog_measures(slowlog):
    slowlog.config_set('slowlog-log-slower-than', 700000)  # a busy machine makes any command slower than 0.1 s
    slowlog.slowlog_reset()
    slowlog.ping()
    assert slowlog.slowlog_len() == 0
    slowlog.execute_command('DEBUG', 'SLEEP', '0.8')
    got = entries(slowlog)
    assert got[0][3] == [b'DEBUG', b'SLEEP', b'0.8']
    assert 800000 <= got[0][2] < PATIENCE_SECONDS * 1000000


def test_slowlog_errors(client):
    for args in (['GET', 'x'], ['GET', '-2']):
        with pytest.raises(ResponseError, match='count should be greater than or equal to -1'):
            client.execute_command('SLOWLOG', *args)
    with pytest.raises(ResponseError, match="unknown subcommand 'foo'. Try SLOWLOG HELP"):
        client.execute_command('SLOWLOG', 'foo')


# --- LATENCY ---

@pytest.fixture
def latency(client):
    client.config_set('latency-monitor-threshold', 500)  # a busy machine makes any command slower than 50 ms
    client.execute_command('LATENCY', 'RESET')
    yield client
    client.config_set('latency-monitor-threshold', 0)
    client.execute_command('LATENCY', 'RESET')


def test_latency_events(latency, server):
    latency.execute_command('DEBUG', 'SLEEP', '0.6')
    time.sleep(1.1)  # one entry for each second
    server.client().execute_command('DEBUG', 'SLEEP', '0.8')
    history = latency.execute_command('LATENCY', 'HISTORY', 'command')
    assert len(history) == 2
    assert 600 <= history[0][1] and 800 <= history[1][1]
    assert history[0][0] < history[1][0] <= time.time()
    latest = latency.execute_command('LATENCY', 'LATEST')
    assert [bytes(e[0]) for e in latest] == [b'command']
    assert latest[0][2] == history[1][1] and latest[0][3] >= 800
    graph = latency.execute_command('LATENCY', 'GRAPH', 'command').decode()
    assert re.match(r'command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)\n-{80}\n', graph)
    doctor = latency.execute_command('LATENCY', 'DOCTOR')
    assert b'command' in doctor and b'2 latency spikes' in doctor
    assert latency.execute_command('LATENCY', 'RESET', 'nosuch') == 0
    assert latency.execute_command('LATENCY', 'RESET', 'nosuch', 'COMMAND') == 1
    assert latency.execute_command('LATENCY', 'LATEST') == []


def test_latency_without_events(latency):
    assert latency.execute_command('LATENCY', 'HISTORY', 'command') == []
    with pytest.raises(ResponseError, match="No samples available for event 'nosuch'"):
        latency.execute_command('LATENCY', 'GRAPH', 'nosuch')


def test_latency_histogram(client):
    client.config_resetstat()
    for i in range(50):
        client.set('h%d' % i, 'v')
    client.execute_command('CLIENT', 'ID')
    reply = client.execute_command('LATENCY', 'HISTOGRAM', 'set', 'nosuch', 'client|id')
    by_name = dict(zip(reply[::2], reply[1::2]))
    assert set(by_name) == {b'set', b'client|id'}
    one = dict(zip(by_name[b'set'][::2], by_name[b'set'][1::2]))
    assert one[b'calls'] == 50
    micros, counts = one[b'histogram_usec'][::2], one[b'histogram_usec'][1::2]
    assert micros == sorted(micros) and counts == sorted(counts) and counts[-1] == 50
    allowed = {(1024 * 2 ** k + 8 * 2 ** k - 1) // 1000 for k in range(31)}
    assert set(micros) <= allowed
    assert b'client|id' in client.execute_command('LATENCY', 'HISTOGRAM', 'client')


# --- MEMORY ---

def test_memory_stats_has_the_fields_of_redis(client, oracle):
    client.set('k', 'v')
    oracle.client().set('k', 'v')
    ours, theirs = client.memory_stats(), oracle.client().memory_stats()
    assert set(ours) == set(theirs)
    assert set(ours['db.0']) == set(theirs['db.0']) if isinstance(theirs['db.0'], dict) else True
    assert ours['keys.count'] == 1


def test_memory_others(client, oracle):
    client.set('k', 'x' * 10000)
    assert client.memory_usage('k') >= 10000
    assert client.memory_usage('nosuch') is None
    assert client.memory_purge() in (True, b'OK')
    assert len(client.execute_command('MEMORY', 'DOCTOR')) > 20
    assert len(client.execute_command('MEMORY', 'MALLOC-STATS')) > 20


# --- DEBUG ---

def test_debug_digest_sees_the_data(client, oracle):
    assert client.execute_command('DEBUG', 'DIGEST') == b'0' * 40
    other = oracle.client()
    other.flushall()
    for i in range(50):
        client.set('k%d' % i, 'value %d' % i)
        other.set('k%d' % i, 'value %d' % i)
    assert client.execute_command('DEBUG', 'DIGEST') == other.execute_command('DEBUG', 'DIGEST')
    for c in (client, other):
        c.execute_command('SELECT', 3)
        c.set('elsewhere', 'v')
        c.pexpire('elsewhere', 10000000)
        c.set('also', 12345)
        c.execute_command('SELECT', 0)
    assert client.execute_command('DEBUG', 'DIGEST') == other.execute_command('DEBUG', 'DIGEST')
    names = ['k%d' % i for i in range(50)] + ['nosuch']
    assert client.execute_command('DEBUG', 'DIGEST-VALUE', *names) == \
        other.execute_command('DEBUG', 'DIGEST-VALUE', *names)


@pytest.mark.parametrize('args', [['100'], ['50', 'pre'], ['20', 'cut', '3'], ['20', 'wide', '100'], ['0']])
def test_debug_populate_is_that_of_redis(client, oracle, args):
    other = oracle.client()
    other.flushall()
    for c in (client, other):
        c.execute_command('DEBUG', 'POPULATE', *args)
    assert client.dbsize() == other.dbsize()
    assert client.execute_command('DEBUG', 'DIGEST') == other.execute_command('DEBUG', 'DIGEST')
    client.execute_command('DEBUG', 'POPULATE', *args)
    assert client.dbsize() == other.dbsize()


@pytest.mark.parametrize('kind', ['string', 'integer', 'double', 'bignum', 'null', 'array', 'set', 'map',
                                  'attrib', 'push', 'verbatim', 'true', 'false', 'nosuch'])
@pytest.mark.parametrize('resp', [2, 3])
def test_debug_protocol(server, oracle, kind, resp):
    def ask(s):
        with s.socket() as sock:
            if resp == 3:
                sock.sendall(b'HELLO 3\r\nECHO hello-end\r\n')
                data = b''
                while not data.endswith(b'hello-end\r\n'):
                    data += sock.recv(65536)
            sock.sendall(b'DEBUG PROTOCOL %s\r\nECHO the-end\r\n' % kind.encode())
            data = b''
            while not data.endswith(b'the-end\r\n'):
                data += sock.recv(65536)
            return data
    assert ask(server) == ask(oracle)


def test_debug_sleep_stops_every_shard(client, server):
    other = server.client()
    other.ping()
    with server.socket() as sock:
        sock.sendall(b'DEBUG SLEEP 1\r\n')
        longest = 0
        while not select.select([sock], [], [], 0)[0]:
            start = time.monotonic()
            other.mget(['k%d' % i for i in range(50)])
            longest = max(longest, time.monotonic() - start)
        assert longest > 0.15
        assert sock.recv(100) == b'+OK\r\n'


def test_debug_set_active_expire(client):
    client.execute_command('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
    for i in range(20):
        client.set('e%d' % i, 'v', px=50)
    time.sleep(0.5)
    assert client.dbsize() == 20
    client.execute_command('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
    wait_until(lambda: client.dbsize() == 0)


def test_debug_skip_checksum(client, oracle):
    """RESTORE takes a wrong checksum then, and still looks at what it protects."""
    theirs = oracle.client()
    payload = b'\x00\x05hello\x0a\x00' + bytes(8)
    empty_node = b'\x12\x01\x01\x00\x0a\x00' + bytes(8)
    for on in '0', '1', '0':
        replies = []
        for c in client, theirs:
            c.execute_command('DEBUG', 'SET-SKIP-CHECKSUM-VALIDATION', on)
            c.delete('k')
            said = []
            for p in payload, empty_node, payload[:5] + payload[8:]:
                try:
                    said.append(c.execute_command('RESTORE', 'k', 0, p, 'REPLACE'))
                except ResponseError as e:
                    said.append(str(e))
            replies.append((said, c.get('k')))
        assert replies[0] == replies[1]
        assert (replies[0][1] == b'hello') == (on == '1')


def test_debug_errors(client):
    with pytest.raises(ResponseError, match='^MY own  error$'):
        client.execute_command('DEBUG', 'ERROR', 'MY own\r\nerror')
    with pytest.raises(ResponseError, match="unknown subcommand or wrong number of arguments for 'foo'"
                                            '. Try DEBUG HELP.'):
        client.execute_command('DEBUG', 'foo')
    with pytest.raises(ResponseError, match='no such key'):
        client.execute_command('DEBUG', 'OBJECT', 'nosuch')
    with pytest.raises(ResponseError, match='Out of range database'):
        client.execute_command('DEBUG', 'HTSTATS', '99')
    assert b'keys:' in client.execute_command('DEBUG', 'HTSTATS', '0')


def test_debug_change_repl_id(client):
    before = client.info('replication')['master_replid']
    assert re.fullmatch('[0-9a-f]{40}', before)
    client.execute_command('DEBUG', 'CHANGE-REPL-ID')
    assert client.info('replication')['master_replid'] != before


def test_debug_is_protected(launch):
    s = launch('--enable-debug-command', 'no')
    for args in (['SLEEP', '0'], ['DIGEST'], ['OBJECT', 'k'], ['ERROR', 'x']):
        with pytest.raises(ResponseError, match='DEBUG command not allowed. If the enable-debug-command '
                                                'option is set to "local"'):
            s.client().execute_command('DEBUG', *args)
    s = launch('--enable-debug-command', 'local')
    assert s.client().execute_command('DEBUG', 'SLEEP', '0') == b'OK'


@pytest.mark.parametrize('how', ['SEGFAULT', 'PANIC', 'ASSERT'])
def test_debug_crashes(launch, how):
    s = launch()
    with pytest.raises(redis.exceptions.ConnectionError):
        s.client(retry=None, retry_on_timeout=False).execute_command('DEBUG', how)
    assert s.process.wait(PATIENCE_SECONDS) != 0


# --- MONITOR ---

def read_lines(sock, count):
    data = b''
    while data.count(b'\r\n') < count:
        data += sock.recv(65536)
    return data.split(b'\r\n')[:-1]


def test_monitor_sees_all_homes(server, client):
    with server.socket() as sock:
        sock.sendall(b'MONITOR\r\n')
        assert read_lines(sock, 1) == [b'+OK']
        clients = [server.client() for _ in range(6)]
        for i, c in enumerate(clients):
            c.set('m%d' % i, 'a"b\\c\n\x01')
        lines = [x for x in read_lines(sock, 6) if b'"SET"' in x]
        assert len(lines) == 6
        pattern = rb'\+\d{10}\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "m\d" "a\\"b\\\\c\\n\\x01"'
        assert all(re.fullmatch(pattern, x) for x in lines), lines


def test_monitor_keeps_the_order_of_a_connection(server, client):
    with server.socket() as sock:
        sock.sendall(b'MONITOR\r\n')
        read_lines(sock, 1)
        pipe = server.client().pipeline(transaction=False)
        for i in range(500):
            pipe.set('o%d' % i, i)
        pipe.execute()
        lines = [x for x in read_lines(sock, 500) if b'"SET"' in x]
        assert [int(x.rsplit(b'"', 2)[1]) for x in lines] == list(range(len(lines)))
        assert len(lines) == 500


def test_monitors_see_the_order_in_which_commands_take_effect(server, client):
    """Clients append their marks to keys of several shards: what each key holds in the end is what
    the lines say, in their order, and all monitors say the same."""
    keys, clients, rounds = ['app%d' % i for i in range(4)], 5, 300
    client.delete(*keys)
    monitors = [server.socket() for _ in range(3)]
    try:
        for sock in monitors:
            sock.sendall(b'MONITOR\r\n')
            assert read_lines(sock, 1) == [b'+OK']

        def work(number):
            rnd, c = random.Random(number), server.client()
            for i in range(rounds // 10):
                pipe = c.pipeline(transaction=False)
                for j in range(10):
                    pipe.append(rnd.choice(keys), '%d.%d,' % (number, i * 10 + j))
                pipe.execute()
            c.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        client.echo('end')
        seen = []
        for sock in monitors:
            data = b''
            while b'"end"' not in data or not data.endswith(b'\r\n'):
                data += sock.recv(1 << 20)
            seen.append([x.split(b']', 1)[1] for x in data.split(b'\r\n') if b'"APPEND"' in x])
    finally:
        for sock in monitors:
            sock.close()
    assert len(seen[0]) == clients * rounds
    assert seen[0] == seen[1] == seen[2]
    for key in keys:
        said = b''.join(x.split(b'"')[5] for x in seen[0] if x.split(b'"')[3] == key.encode())
        assert said == client.get(key), key


def test_monitor_hides_passwords_and_admin_commands(server, client):
    with server.socket() as sock:
        sock.sendall(b'MONITOR\r\n')
        read_lines(sock, 1)
        other = server.client()
        for command in (['AUTH', 'one'], ['AUTH', 'one', 'two'], ['HELLO', '3', 'AUTH', 'one', 'two'],
                        ['CONFIG', 'GET', 'maxmemory'], ['ECHO', 'last']):
            try:
                other.execute_command(*command)
            except redis.exceptions.RedisError:
                pass
        lines = b'\n'.join(read_lines(sock, 4))
        assert b'"AUTH" "(redacted)"\n' in lines and b'"AUTH" "(redacted)" "(redacted)"' in lines
        assert b'"HELLO" "3" "AUTH" "(redacted)" "(redacted)"' in lines
        assert b'"one"' not in lines and b'CONFIG' not in lines and b'"ECHO" "last"' in lines


def test_monitor_ends_with_reset_and_with_the_connection(server, client):
    assert client.info('clients')['monitors'] == 0
    with server.socket() as a, server.socket() as b:
        for sock in (a, b):
            sock.sendall(b'MONITOR\r\n')
            read_lines(sock, 1)
        assert client.info('clients')['monitors'] == 2
        a.sendall(b'RESET\r\n')
        data = b''
        while not data.endswith(b'+RESET\r\n'):
            data += a.recv(65536)
        assert client.info('clients')['monitors'] == 1
        a.sendall(b'PING\r\n')
        assert a.recv(100) == b'+PONG\r\n'
    wait_until(lambda: client.info('clients')['monitors'] == 0)


# --- the small ones ---

def test_time_role_lastsave_module(client):
    before = time.time()
    seconds, micros = client.time()
    assert before - 0.1 <= seconds + micros / 1e6 <= time.time() + 0.1
    assert client.execute_command('ROLE') == [b'master', 0, []]
    lastsave = client.lastsave()
    assert time.time() - (lastsave.timestamp() if hasattr(lastsave, 'timestamp') else lastsave) < 3600
    assert client.execute_command('MODULE', 'LIST') == []


def test_lolwut(client):
    text = client.execute_command('LOLWUT')
    assert text.endswith(b'\nRedis ver. 7.4.0\n')
    assert text != client.execute_command('LOLWUT')
    assert client.execute_command('LOLWUT', 'VERSION', '5', '10', '20').endswith(b'Redis ver. 7.4.0\n')
    with pytest.raises(ResponseError, match='not an integer'):
        client.execute_command('LOLWUT', 'VERSION', 'x')


def test_commands_of_cluster_and_replication_have_the_rows_of_redis(server, oracle):
    """As COMMAND INFO shows them: arity, flags, keys, categories, tips."""
    names = ['cluster', 'asking', 'readonly', 'readwrite', 'wait', 'replicaof', 'slaveof', 'failover', 'role',
             'module|load', 'module|loadex', 'module|unload', 'module|list']

    def rows(s):
        return {row[0]: unordered(row[1:]) for row in raw(s).execute_command('COMMAND', 'INFO', *names)}

    def unordered(value):
        return sorted(map(unordered, value), key=repr) if isinstance(value, list) else value

    assert rows(server) == rows(oracle)


@pytest.mark.parametrize('command', ['SLOWLOG', 'LATENCY', 'MEMORY', 'DEBUG', 'MODULE'])
def test_help(client, command):
    lines = client.execute_command(command, 'HELP')
    assert lines[0] == b'%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:' % command.encode()
    assert lines[-2:] == [b'HELP', b'    Prints this help.']


@pytest.mark.parametrize('args', [['SAVE', 'NOSAVE'], ['ABORT', 'NOW'], ['foo']])
def test_shutdown_syntax(client, args):
    with pytest.raises(ResponseError, match='syntax error'):
        client.execute_command('SHUTDOWN', *args)


def test_shutdown(launch):
    s = launch(shards=2)
    c = s.client()
    with pytest.raises(ResponseError, match='No shutdown in progress'):
        c.execute_command('SHUTDOWN', 'ABORT')
    with pytest.raises(ResponseError, match='Errors trying to SHUTDOWN. Check logs.'):
        c.execute_command('SHUTDOWN', 'SAVE')
    with s.socket() as sock:
        sock.sendall(b'SHUTDOWN NOSAVE\r\n')
        assert sock.recv(100) == b''
    assert s.process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize('count', [1, 40, 600, 3000])
def test_memory_usage_of_every_encoding(client, count):
    """It once took the block of a small sorted set for another allocator's, and the server crashed."""
    p = client.pipeline(transaction=False)
    for i in range(count):
        p.rpush('list', 'e%d' % i)
        p.sadd('set', 'm%d' % i)
        p.sadd('ints', i)
        p.zadd('zset', {'m%d' % i: i})
        p.hset('hash', 'f%d' % i, i)
        p.hset('fields', 'f%d' % i, i)
        p.execute_command('HPEXPIRE', 'fields', '1000000', 'FIELDS', '1', 'f%d' % i)
        p.xadd('stream', {'a': 'b'}, '%d-1' % (i + 1))
    p.xgroup_create('stream', 'g', '0')
    p.xreadgroup('g', 'c', {'stream': '>'})
    p.set('int', 12)
    p.set('short', 'x')
    p.set('long', 'x' * 10 * count)
    p.execute()
    for key in client.keys():
        assert client.memory_usage(key) > 16
    client.flushall()


def test_oom_score_adj(server, client):
    def score():
        with open('/proc/%d/oom_score_adj' % server.pid) as f:
            return int(f.read())
    before = score()
    client.execute_command('CONFIG', 'SET', 'oom-score-adj-values', '7 20 30', 'oom-score-adj', 'relative')
    assert score() == before + 7
    client.config_set('oom-score-adj-values', '9 20 30')
    assert score() == before + 9
    client.config_set('oom-score-adj', 'absolute')
    assert score() == 9
    client.config_set('oom-score-adj', 'no')
    assert score() == before


def test_lazyfreed_objects(client):
    client.config_resetstat()
    client.sadd('big', *range(20000))
    client.unlink('big')
    nothing_left_to_free(client)
    assert client.info('memory')['lazyfreed_objects'] == 1


def test_memory_of_many_keys_in_one_command_is_given_back(client):
    nothing_left_to_free(client)
    before = client.info('memory')['used_memory']
    client.delete(*['nosuch%d' % i for i in range(100000)])
    wait_until(lambda: client.info('memory')['used_memory'] < before + 1000000)
