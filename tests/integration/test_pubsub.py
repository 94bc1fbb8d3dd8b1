"""Pub/Sub beside redis-server: replies and messages on the wire, RESP2 and RESP3, subscriber mode,
counts and lists, endings. Races over many connections are in test_pubsub_races.py, keyspace events in
test_pubsub_events.py.
"""
import pytest

from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw

REFUSED = ("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
           "are allowed in this context")


def message(*words, resp=2):
    return ('>' if resp == 3 else '*', [('$', w if isinstance(w, bytes) else w.encode()) for w in words])


def confirmation(word, name, count, resp=2):
    shown = ('_', None) if name is None and resp == 3 else ('$', name.encode() if name else None)
    return ('>' if resp == 3 else '*', [('$', word.encode()), shown, (':', count)])


@pytest.mark.parametrize('resp', [2, 3])
@pytest.mark.parametrize('kind', ['', 'p', 's'])
def test_confirmations_and_messages(server, resp, kind):
    publish = 'SPUBLISH' if kind == 's' else 'PUBLISH'
    with Raw(server.port, resp) as sub, Raw(server.port) as pub:
        names = ['one', 'two', 'three', 'one', 'f' * 300]
        sub.send(kind + 'subscribe', *names)
        for name, count in zip(names, [1, 2, 3, 3, 4]):
            assert sub.read() == confirmation(kind + 'subscribe', name, count, resp)
        assert pub.call(publish, 'two', 'hello') == (':', 1)
        assert pub.call(publish, 'none', 'hello') == (':', 0)
        words = ['pmessage', 'two', 'two', 'hello'] if kind == 'p' else [kind + 'message', 'two', 'hello']
        assert sub.read() == message(*words, resp=resp)
        sub.send(kind + 'unsubscribe', 'two', 'never', 'two')
        for name in ['two', 'never', 'two']:
            assert sub.read() == confirmation(kind + 'unsubscribe', name, 3, resp)
        assert pub.call(publish, 'two', 'hello') == (':', 0)
        sub.send(kind + 'unsubscribe')
        left = [sub.read() for _ in range(3)]
        assert sorted(x[1][1][1] for x in left) == sorted(n.encode() for n in {'one', 'three', 'f' * 300})
        assert [x[1][2] for x in left] == [(':', 2), (':', 1), (':', 0)]
        assert sub.call(kind + 'unsubscribe') == confirmation(kind + 'unsubscribe', None, 0, resp)
        assert sub.call('PING') == ('+', 'PONG')


def test_the_kinds_are_counted_as_redis_counts_them(server):
    with Raw(server.port) as c:
        assert c.call('SUBSCRIBE', 'a') == confirmation('subscribe', 'a', 1)
        assert c.call('PSUBSCRIBE', 'a') == confirmation('psubscribe', 'a', 2)
        assert c.call('SSUBSCRIBE', 'a') == confirmation('ssubscribe', 'a', 1)
        assert c.call('UNSUBSCRIBE') == confirmation('unsubscribe', 'a', 1)
        assert c.call('SUNSUBSCRIBE') == confirmation('sunsubscribe', 'a', 0)
        assert c.call('GET', 'x') == ('-', REFUSED % 'get')
        assert c.call('PUNSUBSCRIBE') == confirmation('punsubscribe', 'a', 0)
        assert c.call('GET', 'x') == ('$', None)


def test_shard_channels_and_channels_are_apart(server):
    with Raw(server.port) as a, Raw(server.port) as b, Raw(server.port) as pub:
        a.call('SUBSCRIBE', 'c')
        b.call('SSUBSCRIBE', 'c')
        b.call('PSUBSCRIBE', '*')
        assert pub.call('PUBLISH', 'c', '1') == (':', 2)
        assert pub.call('SPUBLISH', 'c', '2') == (':', 1)
        assert a.read() == message('message', 'c', '1')
        assert b.read() == message('pmessage', '*', 'c', '1')
        assert b.read() == message('smessage', 'c', '2')


def test_what_a_resp2_subscriber_may_do(server):
    with Raw(server.port) as c:
        c.call('SUBSCRIBE', 'c')
        assert c.call('PING') == ('*', [('$', b'pong'), ('$', b'')])
        assert c.call('PING', 'you') == ('*', [('$', b'pong'), ('$', b'you')])
        for words in (['SET', 'a', 'b'], ['CLIENT', 'ID'], ['PUBLISH', 'c', 'm'], ['HELLO', '3'],
                      ['PUBSUB', 'CHANNELS'], ['MGET', 'a', 'b'], ['DBSIZE'], ['CONFIG', 'GET', 'port']):
            full = words[0].lower()
            if full in ('client', 'pubsub', 'config'):
                full += '|' + words[1].lower()
            assert c.call(*words) == ('-', REFUSED % full)
        assert c.call('NOSUCH')[1].startswith('ERR unknown command')
        assert c.call('GET')[1].startswith('ERR wrong number')
        assert c.call('RESET') == ('+', 'RESET')
        assert c.call('SET', 'a', 'b') == ('+', 'OK')
        c.call('PSUBSCRIBE', 'c')
        assert c.call('QUIT') == ('+', 'OK')
        assert c.at_end()
    with Raw(server.port, 3) as c:
        c.call('SUBSCRIBE', 'c')
        assert c.call('PING') == ('+', 'PONG')
        assert c.call('GET', 'a') == ('$', b'b')
        assert c.call('HELLO', '2')[0] == '*'
        assert c.call('GET', 'a') == ('-', REFUSED % 'get')
        assert c.call('PING')[0] == '*'


def test_the_mode_is_judged_in_the_order_of_the_pipeline(server):
    with Raw(server.port) as c:
        got = c.pipeline([['GET', 'no'], ['SUBSCRIBE', 'a'], ['GET', 'no'], ['UNSUBSCRIBE', 'a'],
                          ['GET', 'no'], ['SSUBSCRIBE', 'b'], ['PING'], ['RESET'], ['PING']])
        assert got == [('$', None), confirmation('subscribe', 'a', 1), ('-', REFUSED % 'get'),
                       confirmation('unsubscribe', 'a', 0), ('$', None),
                       confirmation('ssubscribe', 'b', 1), ('*', [('$', b'pong'), ('$', b'')]),
                       ('+', 'RESET'), ('+', 'PONG')]


def test_a_publisher_that_listens_to_itself(server):
    with Raw(server.port, 3) as c:
        for round_ in range(20):
            names = ['own%d' % i for i in range(6)]
            commands = []
            for name in names:
                commands += [['SUBSCRIBE', name], ['PUBLISH', name, 'in'], ['UNSUBSCRIBE', name],
                             ['PUBLISH', name, 'out']]
            c.sock.sendall(b''.join(b'*%d\r\n' % len(x) + b''.join(
                b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in x) for x in commands))
            got = [c.read() for _ in range(5 * len(names))]
            for i, name in enumerate(names):
                mine = got[5 * i:5 * i + 5]
                assert mine == [confirmation('subscribe', name, 1, 3), (':', 1),
                                message('message', name, 'in', resp=3),
                                confirmation('unsubscribe', name, 0, 3), (':', 0)], round_


def test_hello_3_in_between(server):
    with Raw(server.port, 3) as c, Raw(server.port) as pub:
        c.call('SUBSCRIBE', 'c')
        pub.call('PUBLISH', 'c', '1')
        assert c.read() == message('message', 'c', '1', resp=3)
        c.call('HELLO', '2')
        pub.call('PUBLISH', 'c', '2')
        assert c.read() == message('message', 'c', '2', resp=2)


@pytest.mark.parametrize('size', [0, 1, 1000, 16383, 16384, 100000, 3000000])
def test_payloads_of_any_size(server, size):
    payload = bytes(i * 7 % 256 for i in range(251)) * (size // 251 + 1)
    payload = payload[:size]
    with Raw(server.port) as a, Raw(server.port, 3) as b, Raw(server.port) as pub:
        a.call('SUBSCRIBE', 'c')
        a.call('PSUBSCRIBE', 'c*')
        b.call('SUBSCRIBE', 'c')
        for _ in range(3):
            assert pub.call('PUBLISH', 'c', payload) == (':', 3)
        got = [a.read() for _ in range(6)]
        assert sorted(x[1][0][1] for x in got) == [b'message'] * 3 + [b'pmessage'] * 3
        assert all(x[1][-1] == ('$', payload) for x in got)
        for _ in range(3):
            assert b.read() == message('message', 'c', payload, resp=3)


def test_names_that_are_not_text(server):
    name = b'a\r\n\x00*$\xff'
    with Raw(server.port) as c, Raw(server.port) as pub:
        for n, given in enumerate([name, b'', b'[', b'x' * 70000]):
            assert c.call('SUBSCRIBE', given) == ('*', [('$', b'subscribe'), ('$', given), (':', n + 1)])
            assert pub.call('PUBLISH', given, given) == (':', 1)
            assert c.read() == message('message', given, given)


def test_patterns(server):
    with Raw(server.port) as c, Raw(server.port) as pub:
        for pattern in ['news.*', 'n?ws.a', '[mn]ews.a', 'news.a', 'News.*', '']:
            c.call('PSUBSCRIBE', pattern)
        assert pub.call('PUBSUB', 'NUMPAT') == (':', 6)
        assert pub.call('PUBLISH', 'news.a', 'm') == (':', 4)
        got = [c.read() for _ in range(4)]
        assert got == [message('pmessage', p, 'news.a', 'm')
                       for p in ['news.*', 'n?ws.a', '[mn]ews.a', 'news.a']]


def test_pubsub_looks_at_all_shards(server):
    names = ['chan%d' % i for i in range(40)]
    with Raw(server.port) as a, Raw(server.port) as b, Raw(server.port) as c:
        for conn, chosen in ((a, names), (b, names[:10])):
            conn.send('SUBSCRIBE', *chosen)
            conn.send('SSUBSCRIBE', *['s' + n for n in chosen])
            for _ in range(2 * len(chosen)):
                conn.read()
        a.call('PSUBSCRIBE', 'x*')
        b.call('PSUBSCRIBE', 'x*')
        b.call('PSUBSCRIBE', 'y*')

        def words(reply):
            return sorted(x[1].decode() for x in reply[1])
        assert words(c.call('PUBSUB', 'CHANNELS')) == sorted(names)
        assert words(c.call('PUBSUB', 'CHANNELS', 'chan1*')) == sorted(n for n in names if n[4] == '1')
        assert words(c.call('PUBSUB', 'SHARDCHANNELS', 's*')) == sorted('s' + n for n in names)
        assert c.call('PUBSUB', 'NUMPAT') == (':', 2)
        want = []
        for i, n in enumerate(names + ['nobody']):
            want += [('$', n.encode()), (':', 2 if i < 10 else 1 if i < 40 else 0)]
        assert c.call('PUBSUB', 'NUMSUB', *names, 'nobody') == ('*', want)
        assert c.call('PUBSUB', 'SHARDNUMSUB', 'schan1', 'chan1') == (
            '*', [('$', b'schan1'), (':', 2), ('$', b'chan1'), (':', 0)])
        assert c.call('PUBSUB', 'NUMSUB') == ('*', [])
        info = c.call('INFO', 'everything')[1].decode()
        for field in ('pubsub_channels:40', 'pubsub_patterns:2', 'pubsubshard_channels:40', 'pubsub_clients:2'):
            assert field + '\r\n' in info
    with Raw(server.port) as c: # their ends are noticed by all shards
        wait_until(lambda: c.call('PUBSUB', 'CHANNELS') == ('*', []) and
              c.call('PUBSUB', 'SHARDCHANNELS') == ('*', []) and c.call('PUBSUB', 'NUMPAT') == (':', 0))
        info = c.call('INFO', 'everything')[1].decode()
        for field in ('pubsub_channels:0', 'pubsub_patterns:0', 'pubsubshard_channels:0', 'pubsub_clients:0'):
            assert field + '\r\n' in info


def test_errors_and_help_as_redis(server, oracle):
    for words in (['PUBSUB'], ['PUBSUB', 'NUMPAT', 'x'], ['PUBSUB', 'FOO'], ['PUBSUB', 'CHANNELS', 'a', 'b'],
                  ['SUBSCRIBE'], ['PSUBSCRIBE'], ['SSUBSCRIBE'], ['PUBLISH', 'a'], ['SPUBLISH', 'a', 'b', 'c'],
                  ['COMMAND', 'GETKEYS', 'SPUBLISH', 'a', 'b'], ['COMMAND', 'GETKEYS', 'PUBLISH', 'a', 'b']):
        with Raw(server.port) as a, Raw(oracle.port) as b:
            assert a.call(*words) == b.call(*words), words
    with Raw(server.port) as c:
        assert c.call('PUBSUB', 'HELP')[1][0][1].startswith('PUBSUB <subcommand>')


def test_client_list_and_kill(server):
    with Raw(server.port) as c, Raw(server.port) as sub, Raw(server.port) as quiet:
        name = 'victim'
        sub.call('CLIENT', 'SETNAME', name)
        sub.send('SUBSCRIBE', 'a', 'b')
        sub.read(), sub.read()
        sub.call('PSUBSCRIBE', 'p')
        sub.call('SSUBSCRIBE', 's')
        lines = c.call('CLIENT', 'LIST', 'TYPE', 'pubsub')[1].decode().splitlines()
        assert len(lines) == 1 and 'name=victim ' in lines[0]
        assert ' flags=P ' in lines[0] and ' sub=2 psub=1 ssub=1 ' in lines[0]
        assert c.call('CLIENT', 'KILL', 'TYPE', 'pubsub') == (':', 1)
        assert sub.at_end()
        wait_until(lambda: c.call('PUBLISH', 'a', 'm') == (':', 0))
        assert quiet.call('PING') == ('+', 'PONG')


def test_replies_off_do_not_concern_messages(server):
    with Raw(server.port, 3) as c, Raw(server.port) as pub:
        c.send('CLIENT', 'REPLY', 'OFF')
        c.send('GET', 'x')
        c.send('SUBSCRIBE', 'c')
        assert c.read() == confirmation('subscribe', 'c', 1, 3)
        assert pub.call('PUBLISH', 'c', 'm') == (':', 1)
        assert c.read() == message('message', 'c', 'm', resp=3)
        c.send('CLIENT', 'REPLY', 'ON')
        assert c.read() == ('+', 'OK')


def test_a_slow_subscriber_is_cut(launch):
    s = launch('--client-output-buffer-limit', 'pubsub 300000 0 0', shards=4)
    with Raw(s.port) as slow, Raw(s.port) as quick, Raw(s.port) as pub:
        slow.call('SUBSCRIBE', 'c')
        quick.call('SUBSCRIBE', 'c')
        receivers = 2
        for n in range(2000):
            receivers = pub.call('PUBLISH', 'c', b'%08d' % n * 2500)[1]
            assert quick.read()[1][2][1].startswith(b'%08d' % n)
            if receivers == 1:
                break
        assert receivers == 1
        info = pub.call('INFO', 'stats')[1].decode()
        assert 'client_output_buffer_limit_disconnections:1\r\n' in info
        assert pub.call('PUBLISH', 'c', 'm') == (':', 1)


def test_a_subscriber_is_not_idle(launch):
    s = launch('--timeout', '1', shards=2)
    with Raw(s.port) as sub, Raw(s.port) as idle:
        sub.call('SUBSCRIBE', 'c')
        idle.call('PING')
        assert idle.at_end()
        assert sub.call('PING')[0] == '*'


def test_the_end_with_subscribers(launch):
    s = launch(shards=4)
    conns = [Raw(s.port) for _ in range(20)]
    for c in conns:
        c.send('SUBSCRIBE', *['c%d' % i for i in range(20)])
        c.send('PSUBSCRIBE', 'c*')
    for c in conns:
        for _ in range(21):
            c.read()
    s.process.terminate()
    assert s.process.wait(PATIENCE_SECONDS) == 0


def transaction_talk(port, resp, touched):
    """What a transaction that subscribes answers; a watched key is touched or not."""
    with Raw(port, resp) as c, Raw(port) as other:
        c.call('WATCH', 'watched')
        if touched:
            other.call('SET', 'watched', 'x')
        got = c.pipeline([['MULTI'], ['SET', 'a', '1'], ['SUBSCRIBE', 'c1', 'c2'], ['INCR', 'a'],
                          ['PUBLISH', 'c9', 'm'], ['UNSUBSCRIBE', 'c1'], ['EXEC']])
        got.append(other.call('PUBSUB', 'NUMSUB', 'c1', 'c2'))
        other.call('PUBLISH', 'c2', 'hello')
        if not touched:
            # The two channels of SUBSCRIBE are two elements, but EXEC counts commands.
            got.append(c.read())
            got.append(c.read())
        got += c.pipeline([['UNSUBSCRIBE', 'c1', 'c2'], ['PING']])
        return got


@pytest.mark.parametrize('touched', [False, True])
@pytest.mark.parametrize('resp', [2, 3])
def test_subscribe_in_a_watched_transaction(server, oracle, resp, touched):
    for s in (server, oracle):
        with Raw(s.port) as c:
            c.call('FLUSHALL')
    for _ in range(5):
        assert transaction_talk(server.port, resp, touched) == transaction_talk(oracle.port, resp, touched)
