"""Keyspace notifications beside redis-server: the same commands, the same events for every key.

A listener has the pattern __key*; after each command a marker is published, so that all events of
the command have come when the marker has: the reply comes behind the events (shards/push.h I2). Events
of different keys have no order between shards, so they are compared key by key.
"""
import time

import pytest

from rawresp import Raw

ALL = 'KEA'
# Each line a command; lines are run in order on an empty database.
STRINGS = """
SET s v|SET s v EX 100|SET s v KEEPTTL|SETEX s 100 v|PSETEX s 100000 v|SETNX s v|SETNX s2 v|GETSET s w
GETDEL s2|GETEX s EX 50|GETEX s PERSIST|GETEX s|GETEX s PXAT 1|SET n 1|INCR n|DECR n|INCRBY n 5|DECRBY n 2
INCRBYFLOAT n 1.5|APPEND s x|SETRANGE s 3 y|SETRANGE e 0 |MSET a 1 b 2 c 3|MSETNX a 1 d 2|MSETNX d 1 f 2
SETBIT bit 7 1|BITOP AND dest a b|BITOP AND dest nokey1 nokey2|BITFIELD bf SET u8 0 7|BITFIELD bf GET u8 0
BITFIELD bf INCRBY u8 0 1|PFADD hll a b|PFADD hll a|PFADD hll2 z|PFMERGE hll3 hll hll2|PFCOUNT hll hll2
GETRANGE s 0 1|STRLEN s|MGET a b|SUBSTR s 0 1|LCS a b
"""
GENERIC = """
SET s v|DEL s|DEL s|SET s v|UNLINK s|SET s v|EXPIRE s 100|PEXPIRE s 100000|EXPIREAT s 99999999999
PEXPIREAT s 99999999999999|EXPIRE s 100 NX|PERSIST s|PERSIST s|EXPIRE s -1|SET s v|PEXPIREAT s 1
EXPIRE nokey 10|SET a 1|SET b 2|RENAME a b|RENAMENX b c|SET d 1|RENAMENX c d|COPY d e|COPY d e|COPY d e REPLACE
SET m 1|MOVE m 5|MOVE nokey 5|TOUCH d e|DEL d e nokey|SET r v|RESTORE-OF r r2|TYPE r|OBJECT ENCODING r
RPUSH l 3 1 2|SORT l STORE sorted|SORT nokey STORE sorted|SORT l|RENAME r r2|FLUSHALL
"""
LISTS = """
RPUSH l a b c|LPUSH l d|RPUSHX l e|LPUSHX l f|LPUSHX nol f|LPOP l|RPOP l|LPOP l 2|RPOP l 10|RPUSH l a b c d e f
LINSERT l BEFORE b x|LINSERT l BEFORE nothere x|LSET l 0 z|LREM l 1 c|LREM l 0 nothere|LTRIM l 1 3|LTRIM l 5 3
RPUSH l a b c|RPOPLPUSH l m|LMOVE l m LEFT RIGHT|LMOVE l l LEFT RIGHT|LMOVE l m LEFT RIGHT|LMOVE l m LEFT LEFT
RPUSH p 1 2 3 4|LMPOP 2 nol p LEFT COUNT 3|LMPOP 1 p RIGHT|LMPOP 1 p LEFT|LRANGE m 0 -1|LPOS m a
"""
SETS = """
SADD s a b c|SADD s a|SREM s a|SREM s nothere|SREM s b c|SADD s a b c d|SPOP s|SPOP s 2|SPOP s 5|SADD s 1 2 3
SADD t 3 4|SMOVE s t 1|SMOVE s t 99|SMOVE s t 3|SMOVE s t 2|SADD s 3 4 5|SINTERSTORE i s t|SUNIONSTORE u s t
SDIFFSTORE d s t|SINTERSTORE i s nokey|SINTERSTORE i s nokey|SINTER s t|SRANDMEMBER s|SISMEMBER s 3
"""
HASHES = """
HSET h a 1 b 2|HSET h a 1|HSETNX h a 1|HSETNX h c 1|HINCRBY h a 1|HINCRBYFLOAT h a 1.5|HMSET h x 1 y 2|HDEL h a
HDEL h nothere|HDEL h b c x y|HSET h a 1|HGET h a|HGETALL h|HRANDFIELD h|HDEL h a
"""
ZSETS = """
ZADD z 1 a 2 b 3 c|ZADD z 1 a|ZADD z XX CH 5 a|ZADD z NX 1 a|ZADD z INCR 1 a|ZINCRBY z 1 a|ZREM z nothere|ZREM z a
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f|ZPOPMIN z|ZPOPMAX z 2|ZREMRANGEBYRANK z 0 0|ZREMRANGEBYSCORE z 100 200
ZREMRANGEBYSCORE z 0 3|ZREMRANGEBYLEX z - +|ZADD z 1 a 2 b|ZADD y 1 b 2 c|ZUNIONSTORE u 2 z y|ZINTERSTORE i 2 z y
ZDIFFSTORE d 2 z y|ZINTERSTORE i 2 z nokey|ZINTERSTORE i 2 z nokey|ZRANGESTORE r z 0 -1|ZRANGESTORE r z 5 6
ZMPOP 2 nokey z MIN|ZMPOP 1 z MAX|GEOADD g 13 38 P 15 37 C|GEOADD g 13 38 P|GEOSEARCHSTORE gs g FROMMEMBER P BYRADIUS 300 km ASC
GEOSEARCHSTORE gs g FROMLONLAT 0 0 BYRADIUS 1 km ASC|GEORADIUS g 15 37 300 km STORE gr|ZRANGE y 0 -1
"""
STREAMS = """
XADD x 1-1 a b|XADD x 2-1 a b|XADD x 3-1 a b|XADD nox NOMKSTREAM 1-1 a b|XADD x MAXLEN 2 4-1 a b|XTRIM x MAXLEN 5
XTRIM x MAXLEN 1|XDEL x 9-9|XGROUP CREATE x g 0|XGROUP CREATE new g $ MKSTREAM|XGROUP CREATECONSUMER x g c
XGROUP CREATECONSUMER x g c|XREADGROUP GROUP g c STREAMS x >|XACK x g 4-1
XADD x 5-1 a b|XREADGROUP GROUP g c STREAMS x >|XCLAIM x g c3 0 5-1|XAUTOCLAIM x g c4 0 0|XSETID x 9-9
XGROUP SETID x g 0|XGROUP DELCONSUMER x g c|XGROUP DELCONSUMER x g never|XGROUP DESTROY x g|XGROUP DESTROY x g|XDEL x 5-1
"""
# Not here: XREADGROUP that finds nothing makes its consumer since 7.2, and tells so.
BY_CLASS = {'strings': STRINGS, 'generic': GENERIC, 'lists': LISTS, 'sets': SETS, 'hashes': HASHES,
            'zsets': ZSETS, 'streams': STREAMS}


class Side:
    def __init__(self, port, patterns=('__key*',)):
        self.commands, self.listener = Raw(port), Raw(port, 3)
        self.commands.call('FLUSHALL')
        self.commands.call('CONFIG', 'SET', 'notify-keyspace-events', ALL)
        for p in patterns:
            self.listener.call('PSUBSCRIBE', p)
        self.port = port

    def run(self, *words):
        if words[0] == 'RESTORE-OF':
            dump = self.commands.call('DUMP', words[1])[1]
            words = ['RESTORE', words[2], '0', dump]
        reply = self.commands.call(*words)
        self.commands.call('PUBLISH', '__key-marker', '')
        events = {}
        while True:
            channel, payload = [x[1].decode() for x in self.listener.read()[1][2:]]
            if channel == '__key-marker':
                return reply, events
            head, name = channel.split('__:', 1)
            key, event = (name, payload) if 'keyspace' in head else (payload, name)
            events.setdefault((head, key), []).append(event)

    def close(self):
        self.commands.call('CONFIG', 'SET', 'notify-keyspace-events', '')
        self.commands.close()
        self.listener.close()


@pytest.fixture
def sides(server, oracle):
    both = [Side(server.port), Side(oracle.port)]
    yield both
    for s in both:
        s.close()


@pytest.mark.parametrize('name', BY_CLASS)
def test_events_of_every_class(sides, name):
    for line in BY_CLASS[name].strip().split('\n'):
        for command in line.split('|'):
            words = command.split(' ')
            (_, ours), (_, theirs) = [s.run(*words) for s in sides]
            assert ours == theirs, command


def test_events_name_the_database(sides):
    for s in sides:
        s.commands.call('SELECT', '3')
    ours, theirs = [s.run('SET', 'k', 'v')[1] for s in sides]
    assert ours == theirs == {('__keyspace@3', 'k'): ['set'], ('__keyevent@3', 'k'): ['set']}


@pytest.mark.parametrize('flags', ['K', 'E', 'KE', 'KEg', 'Kg$', 'E$', 'KElshz', 'KEx', 'KEA', 'KEm', 'KEn', 'KEAmn', 'A', ''])
def test_flags_choose_the_events(sides, flags):
    for s in sides:
        s.commands.call('CONFIG', 'SET', 'notify-keyspace-events', flags)
    for command in ('SET k v|GET k|GET nokey|DEL k|RPUSH l a|LPOP l|SADD s a|HSET h a 1|ZADD z 1 a|XADD x 1-1 a b|'
                    'EXPIRE s 100|RENAME s t|EXISTS nokey|TTL nokey|TYPE nokey|HGET nokey a|LRANGE nokey 0 -1').split('|'):
        ours, theirs = [s.run(*command.split(' '))[1] for s in sides]
        assert ours == theirs, (flags, command)


def expect(listener, *want):
    got = [tuple(x[1].decode() for x in listener.read()[1][1:]) for _ in want]
    assert sorted(got) == sorted(want)


def test_expired_by_access_and_by_itself(server):
    with Raw(server.port) as c, Raw(server.port, 3) as l:
        c.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEx')
        l.call('SUBSCRIBE', '__keyevent@0__:expired')
        l.call('SUBSCRIBE', '__keyspace@0__:k1')
        c.call('SET', 'k1', 'v', 'PX', '20')
        expect(l, ('__keyevent@0__:expired', 'k1'), ('__keyspace@0__:k1', 'expired'))
        c.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
        c.call('SET', 'k2', 'v', 'PX', '1')
        time.sleep(0.02)
        assert c.call('GET', 'k2') == ('$', None)
        expect(l, ('__keyevent@0__:expired', 'k2'))
        c.call('DEBUG', 'SET-ACTIVE-EXPIRE', '1')
        many = ['many%d' % i for i in range(300)]
        for k in many:
            c.call('SET', k, 'v', 'PX', '30')
        expect(l, *[('__keyevent@0__:expired', k) for k in many])
        c.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def test_channels_have_the_order_of_each_key_over_lent_slots(server):
    """RENAME works on slots of other shards: its events and those before and after keep their order."""
    with Raw(server.port) as c, Raw(server.port, 3) as l, Raw(server.port, 3) as p:
        c.call('CONFIG', 'SET', 'notify-keyspace-events', 'KA')
        names = ['k%d' % i for i in range(12)]
        l.send('SUBSCRIBE', *['__keyspace@0__:' + n for n in names])
        for _ in names:
            l.read()
        p.call('PSUBSCRIBE', '__keyspace@0__:k*')
        commands, want = [], {n: [] for n in names}
        for round_ in range(60):
            a, b = names[round_ % 12], names[round_ * 5 % 12]
            if a == b:
                continue
            commands += [['SET', a, 'v'], ['RENAME', a, b], ['APPEND', b, 'x'], ['DEL', b]]
            want[a] += [b'set', b'rename_from']
            want[b] += [b'rename_to', b'append', b'del']
        for reply in c.pipeline(commands):
            assert reply[0] != '-'
        total = sum(len(w) for w in want.values())
        for listener, at in ((l, 1), (p, 2)):
            got = {n: [] for n in names}
            for _ in range(total):
                words = [x[1] for x in listener.read()[1]]
                got[words[at].decode().split(':')[1]].append(words[-1])
            assert got == want
        c.call('CONFIG', 'SET', 'notify-keyspace-events', '')


def test_a_user_may_publish_to_an_event_channel(server):
    with Raw(server.port) as c, Raw(server.port) as l:
        l.call('SUBSCRIBE', '__keyspace@0__:x')
        assert c.call('PUBLISH', '__keyspace@0__:x', 'mine') == (':', 1)
        assert l.read()[1][2] == ('$', b'mine')
