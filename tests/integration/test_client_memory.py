"""maxmemory-clients: the largest connections of all shards go, no more than have to, and not those that must stay."""
import socket

import pytest
import redis
from patience import wait_until

MB = 1 << 20


@pytest.fixture
def control(server):
    c = server.client()
    c.client_setname('control')
    c.execute_command('CLIENT', 'NO-EVICT', 'ON')
    c.config_resetstat()
    yield c
    c.execute_command('CONFIG', 'SET', 'maxmemory-clients', '0', 'maxmemory', '0')
    c.flushall()


def listed(control, field='tot-mem'):
    """name -> field of all connections that have a name."""
    text = control.execute_command('CLIENT', 'LIST')
    text = text.decode() if isinstance(text, bytes) else text
    lines = [dict(f.split('=', 1) for f in line.split()) for line in text.splitlines()]
    return {line['name']: int(line[field]) for line in lines if line['name']}


class Raw:
    """A connection that reads only when it is told to."""

    def __init__(self, server, name):
        self.name = name
        self.sock = server.socket()
        self.call('CLIENT', 'SETNAME', name)

    def send(self, *args):
        args = [a.encode() if isinstance(a, str) else a for a in args]
        self.sock.sendall(b'*%d\r\n' % len(args) + b''.join(b'$%d\r\n%s\r\n' % (len(a), a) for a in args))

    def call(self, *args):
        self.send(*args)
        return self.sock.recv(65536)

    def half(self, size):
        """Most of a command."""
        try:
            self.sock.sendall(b'*2\r\n$%d\r\n' % (size + 1) + b'v' * size)
        except OSError:
            pass

    def gone(self):
        try:
            while self.sock.recv(1 << 20):
                pass
        except ConnectionError:
            pass
        return True


def fill(server, control, sizes):
    conns = []
    for i, size in enumerate(sizes):
        conn = Raw(server, 'c%d' % i)
        conn.half(size)
        conns.append(conn)
    want = {'c%d' % i: size for i, size in enumerate(sizes)}
    wait_until(lambda: want.items() <= listed(control, 'qbuf').items(), 'all has arrived')
    return conns


def test_largest_go_first(server, control):
    sizes = [128 * 1024, MB, 4 * MB] * 3
    conns = fill(server, control, sizes)
    mem = listed(control)
    for size in (4 * MB, MB):
        rest = sum(m for n, m in mem.items() if n == 'control' or sizes[int(n[1:])] < size)
        control.config_set('maxmemory-clients', rest + 60000)
        left = listed(control)
        assert sorted(left) == sorted(n for n in mem if n == 'control' or sizes[int(n[1:])] < size)
    assert control.info('stats')['evicted_clients'] == 6
    assert all(c.gone() for c in conns if c.name not in left)


def test_no_more_than_have_to(server, control):
    conns = fill(server, control, [MB] * 12)
    one = max(listed(control).values())
    control.config_set('maxmemory-clients', 5 * one + one // 2)
    assert len(listed(control)) == 6
    assert control.info('stats')['evicted_clients'] == 7
    assert len([c for c in conns if c.name not in listed(control)]) == 7


def test_percent_of_maxmemory(server, control):
    control.execute_command('CONFIG', 'SET', 'maxmemory', str(500 * MB), 'maxmemory-clients', '1%')
    stays, goes = Raw(server, 'stays'), Raw(server, 'goes')
    stays.half(MB)
    goes.half(8 * MB)
    assert goes.gone()
    assert 'stays' in listed(control)
    control.config_set('maxmemory', 50 * MB)
    wait_until(lambda: 'stays' not in listed(control))
    control.config_set('maxmemory', 0)  # no percentage of nothing
    third = Raw(server, 'third')
    third.half(8 * MB)
    wait_until(lambda: listed(control)['third'] > 8 * MB)


@pytest.mark.parametrize('what', ['output', 'queue', 'watch', 'subscribe', 'psubscribe', 'prefixes', 'arguments'])
def test_what_counts(server, control, what):
    """A connection that takes more and more of one thing is closed in the end."""
    control.set('big', 'x' * 100000)
    control.config_set('maxmemory-clients', 300000)
    conn = Raw(server, 'grows')
    if what == 'queue':
        conn.call('MULTI')
    with pytest.raises(OSError):
        for i in range(200000):
            if what == 'output':
                conn.send('GET', 'big')
                continue
            if what == 'queue':
                answer = conn.call('SET', 'k', 'x' * 1000)
            elif what == 'prefixes':
                answer = conn.call('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', '%012d' % i)
            elif what == 'arguments':  # small ones of a command that never ends
                conn.sock.sendall(b'*1000000\r\n' if i == 0 else b'$1\r\nx\r\n' * 100)
                continue
            else:
                answer = conn.call(what, 'name%d' % i)
            if answer == b'':
                raise ConnectionResetError
            assert answer[:1] in b'+*', answer
    wait_until(lambda: 'grows' not in listed(control))
    assert control.info('stats')['evicted_clients'] == 1


def test_no_evict(server, control):
    control.config_set('maxmemory-clients', 2 * MB)
    stays = Raw(server, 'stays')
    assert stays.call('CLIENT', 'NO-EVICT', 'ON') == b'+OK\r\n'
    control.set('big', 'x' * MB)
    for _ in range(30):
        stays.send('GET', 'big')
    wait_until(lambda: listed(control)['stays'] > 8 * MB)
    other = Raw.__new__(Raw)
    other.sock = server.socket()
    assert other.gone()  # somebody has to
    stays.send('CLIENT', 'NO-EVICT', 'OFF')
    got = 0
    while got < 30 * MB:  # all it had asked for before
        part = stays.sock.recv(1 << 20)
        if part == b'':
            break
        got += len(part)
    control.ping()


def test_monitors_are_normal_clients(server, control):
    with control.monitor() as m:
        m.connection.send_command('CLIENT', 'ID')
        text = control.execute_command('CLIENT', 'LIST', 'TYPE', 'normal')
        text = text.decode() if isinstance(text, bytes) else text
        assert 'flags=O' in text
        assert 'flags=O' not in str(control.execute_command('CLIENT', 'LIST', 'TYPE', 'replica'))


def test_partial_command_in_client_list(server, control):
    """qbuf and argv-mem of what is half there: what is not parsed, and whole arguments."""
    conn = Raw(server, 'half')
    conn.sock.sendall(b'*3\r\n$3\r\nSET\r\n$5\r\nabcde\r\n$100\r\nxyz')
    def fields():
        text = control.execute_command('CLIENT', 'LIST')
        line = [x for x in text.decode().splitlines() if 'name=half' in x][0]
        return dict(f.split('=', 1) for f in line.split())
    wait_until(lambda: fields()['argv-mem'] == '8')
    assert fields()['qbuf'] == '3'
