"""workloads.py - what is measured, in which shape, and the targets of PERFORMANCE.md."""
import hashlib
from collections import namedtuple

VALUE = 'v' * 32
RANDOM = '__rand_int__'  # 12 digits below the number of keys, fresh for every request

# key        identifies the row in report.json
# depth      of the pipeline
# thousands  requests of one run in full mode
# target     CPU per request as a multiple of redis-server 7.0; None where none is set
# command    the request; None where the kind says what happens
# kind       'command': the load generator sends it
#            'template': pump sends it (several commands in one request); lines: of the answer
#            'publish': command, with so many subscribers listening; 'handover': BRPOP and LPUSH
#            'home': command, its keys on the shard where all connections are
# memcached  (template, lines) with the same meaning there, or None
Workload = namedtuple('Workload', 'key label depth thousands target kind command memcached lines subscribers '
                                  'needs')


def row(key, label, depth, thousands, target, command, kind='command', memcached=None, lines=1, subscribers=0,
        needs=()):
    if isinstance(command, str):
        command = command.split()
    return Workload(key, label, depth, thousands, target, kind, command, memcached, lines, subscribers, needs)


def resp(*words):
    """A RESP request as pump wants it: with escapes."""
    return f'*{len(words)}\\r\\n' + ''.join(f'${len(w)}\\r\\n{w}\\r\\n' for w in words)


GET = ['GET', 'key:' + RANDOM]
SET = ['SET', 'key:' + RANDOM, VALUE]
MGET = ['MGET'] + ['key:' + RANDOM] * 10
MSET = ['MSET'] + ['key:' + RANDOM, VALUE] * 10
MEMCACHED_GET = (f'get key:{RANDOM}\\r\\n', 3)
MEMCACHED_SET = (f'set key:{RANDOM} 0 0 32\\r\\n{VALUE}\\r\\n', 1)
MEMCACHED_MGET = ('get' + f' key:{RANDOM}' * 10 + '\\r\\n', 21)
INCR_SCRIPT = "return redis.call('incr',KEYS[1])"
INCR_SHA = hashlib.sha1(INCR_SCRIPT.encode()).hexdigest()

SPEED = [
    row('get-1', 'GET, no pipeline', 1, 120, 0.82, GET, memcached=MEMCACHED_GET),
    row('set-1', 'SET, no pipeline', 1, 120, 0.82, SET, memcached=MEMCACHED_SET),
    row('get-16', 'GET, 16 deep', 16, 1000, 0.48, GET, memcached=MEMCACHED_GET),
    row('set-16', 'SET, 16 deep', 16, 1000, 0.50, SET, memcached=MEMCACHED_SET),
    row('get-64', 'GET, 64 deep', 64, 2000, 0.31, GET, memcached=MEMCACHED_GET),
    row('set-64', 'SET, 64 deep', 64, 2000, 0.34, SET, memcached=MEMCACHED_SET),
    row('incr-16', 'INCR, 16 deep', 16, 1000, None, ['INCR', 'counter:' + RANDOM]),
    row('mset10-16', 'MSET of 10, 16 deep', 16, 150, 0.33, MSET),
    row('mget10-16', 'MGET of 10, 16 deep', 16, 150, 0.30, MGET, memcached=MEMCACHED_MGET),
    row('hset-16', 'HSET, one big key, 16 deep', 16, 600, 0.42, ['HSET', 'myhash', 'element:' + RANDOM, VALUE]),
    row('sadd-16', 'SADD, one big key, 16 deep', 16, 600, 0.45, ['SADD', 'myset', 'element:' + RANDOM]),
    row('lpush-16', 'LPUSH, 16 deep', 16, 600, 0.75, ['LPUSH', 'mylist', VALUE]),
    row('lpop-16', 'LPOP, 16 deep', 16, 600, None, ['LPOP', 'mylist'], needs=('lpush-16',)),
    row('zadd-16', 'ZADD, one big key, 16 deep', 16, 400, 0.45, ['ZADD', 'myzset', RANDOM, 'element:' + RANDOM]),
    row('zrange-16', 'ZRANGE 0 9, 16 deep', 16, 400, 0.60, ['ZRANGE', 'myzset', '0', '9'], needs=('zadd-16',)),
    row('zrangebyscore-16', 'ZRANGEBYSCORE LIMIT 10, 16 deep', 16, 200, 0.36,
        ['ZRANGEBYSCORE', 'myzset', RANDOM, '+inf', 'LIMIT', '0', '10'], needs=('zadd-16',)),
    row('xadd-16', 'XADD, 16 deep', 16, 400, 0.50, ['XADD', 'mystream', '*', 'field', VALUE]),
    row('eval-16', 'EVAL of one INCR, 16 deep', 16, 200, 0.40, ['EVAL', INCR_SCRIPT, '1', 'counter:' + RANDOM]),
    row('evalsha-16', 'EVALSHA of one INCR, 16 deep', 16, 200, None, ['EVALSHA', INCR_SHA, '1', 'counter:' + RANDOM],
        needs=('eval-16',)),
    row('exec-16', 'MULTI, INCR, EXEC, 16 deep', 16, 200, None,
        resp('MULTI') + resp('INCR', 'counter:' + RANDOM) + resp('EXEC'), kind='template', lines=4),
    row('exec2-16', 'MULTI, 2 INCR of any shards, EXEC, 16 deep', 16, 200, None,
        resp('MULTI') + resp('INCR', 'counter:' + RANDOM) * 2 + resp('EXEC'), kind='template', lines=6),
    row('publish1-16', 'PUBLISH, 1 subscriber, 16 deep', 16, 300, None, ['PUBLISH', 'news', VALUE], kind='publish',
        subscribers=1),
    row('publish100-16', 'PUBLISH, 100 subscribers, 16 deep', 16, 10, None, ['PUBLISH', 'news', VALUE],
        kind='publish', subscribers=100),
    row('brpop-1', 'BRPOP hand-over (BRPOP and LPUSH)', 1, 40, None, None, kind='handover'),
]
QUICK_SPEED = ['get-1', 'set-1', 'get-16', 'set-16', 'get-64', 'mset10-16', 'mget10-16', 'hset-16', 'zadd-16',
               'zrange-16', 'xadd-16', 'eval-16', 'exec-16', 'publish1-16', 'brpop-1']

ROUTING = ['get-1', 'get-16', 'set-16', 'get-64', 'set-64', 'mget10-16', 'mset10-16']
QUICK_ROUTING = ['get-1', 'get-16', 'set-16']
ROUTING_TARGET = {1: 1.0, 2: 1.15, 4: 1.2, 8: 1.3, 16: 1.45}
ROUTING_TARGET_UNPIPELINED = {16: 1.25}

# All connections are at home on the first shard, and so are all keys: a few tags that lie there,
# however many shards there are.
HOME = '{home}:' + RANDOM
ROUTING_HOME = [
    row('home-get-1', 'GET, no pipeline, keys at home', 1, 120, None, ['GET', HOME], kind='home'),
    row('home-get-16', 'GET, 16 deep, keys at home', 16, 1000, None, ['GET', HOME], kind='home'),
    row('home-set-16', 'SET, 16 deep, keys at home', 16, 1000, None, ['SET', HOME, VALUE], kind='home'),
]
HOME_TAGS = 8
ROUTING_TARGET_HOME = 1.02

# --- memory ---

# commands: yields tuples of words, given how many units there are; lines: of each answer
# template: the same for ashlar-bench, which is faster, where it can be said: once for each __key__, which looks
#           like key_format
Shape = namedtuple('Shape', 'key label unit share target commands lines memcached template key_format',
                   defaults=(None, 'k:%014d'))


def _key(i):
    return b'k:%014d' % i


def _strings(value, *more):
    return lambda n: ((b'SET', _key(i), value(i), *more) for i in range(n))


def _stored(value, seconds=0):
    def requests(n):
        for i in range(n):
            v = value(i)
            yield b'set %b 0 %d %d\r\n%b\r\n' % (_key(i), seconds, len(v), v)
    return requests


def _v32(i):
    return b'v' * 32


def _v16(i):
    return b'w' * 16


def _int8(i):
    return b'%d' % (10000000 + i)


_FIELDS = [x for j in range(10) for x in (b'f%d' % j, b'val%05d' % j)]
_ELEMENTS = [b'elem%04d' % j for j in range(20)]


def _sets(n):
    """Sets of 10,000 members (one smaller), filled a hundred at a time, in turn."""
    sets = max(1, n // 10000)
    for i in range(n // 100):
        yield (b'SADD', b's:%d' % (i % sets), *[b'member:%08d' % (i // sets * 100 + j) for j in range(100)])


# share: units are the section's keys / share. target: bytes per unit
MEMORY = [
    Shape('str32', '16 B key + 32 B string', 'key', 1, 72, _strings(_v32), 1, _stored(_v32),
          'SET __key__ ' + 'v' * 32),
    Shape('str16', '16 B key + 16 B string', 'key', 1, 56, _strings(_v16), 1, _stored(_v16),
          'SET __key__ ' + 'w' * 16),
    Shape('int8', '16 B key + 8-digit integer', 'key', 1, 44, _strings(_int8), 1, _stored(_int8),
          'SET __key__ __int:10000000:99999999__'),
    Shape('str32ttl', '16 B key + 32 B string + TTL', 'key', 1, 80, _strings(_v32, b'EX', b'100000'), 1,
          _stored(_v32, 100000), 'SET __key__ ' + 'v' * 32 + ' EX 100000'),
    Shape('hash10', 'hash of 10 small fields', 'hash', 1, 195,
          lambda n: ((b'HSET', _key(i), *_FIELDS) for i in range(n)), 1, None,
          'HSET __key__ ' + b' '.join(_FIELDS).decode()),
    Shape('list20', 'list of 20 small elements', 'list', 1, 230,
          lambda n: ((b'RPUSH', _key(i), *_ELEMENTS) for i in range(n)), 1, None,
          'RPUSH __key__ ' + b' '.join(_ELEMENTS).decode()),
    Shape('zset', 'one big zset, per member', 'member', 1, 48,
          lambda n: ((b'ZADD', b'z', b'%d' % (i * 7 % n), b'member:%08d' % i) for i in range(n)), 1, None,
          'ZADD z __int:0:999999__ __key__', 'member:%08d'),
    Shape('hash', 'one big hash, per field', 'field', 1, 46,
          lambda n: ((b'HSET', b'h', b'field:%08d' % i, b'val:%08d' % i) for i in range(n)), 1, None,
          'HSET h __key__ val:__int:10000000:99999999__', 'field:%08d'),
    Shape('set', 'sets of 10^4, per member', 'member', 1, 34, _sets, 1, None),
    Shape('stream', 'one big stream, per entry', 'entry', 1, 30,
          lambda n: ((b'XADD', b'st', b'*', b'f1', b'%08d' % i, b'f2', b'val%05d' % (i % 100000)) for i in range(n)),
          2, None, 'XADD st * f1 __key__ f2 val__int:10000:99999__', '%08d'),
]

# --- stalls ---

STALL_TARGET_US = 1000  # nobody waits longer, DESIGN.md P4
STALL_EVENTS = {        # in this order in the report
    'build': 'building it',
    'copy': 'COPY on its shard',
    'rename': 'RENAME to another shard and back',
    'del': 'DEL',
    'expire': 'expiry',
    'growth': 'growth of the keyspace',
    'deadline': 'all keys expire at one moment',
}
EXPIRY_TARGET_S = 1.0   # all keys of one deadline are gone and their memory is free
