#!/usr/bin/env python3
"""Random list commands to redis-server and to ours; every reply must be the same, and
every list must survive the way from one to the other as a DUMP payload.

    lists.py <ours> [seed [commands [resp]]]

As oracle.py says. The limits of nodes and the compression change on the way. The payloads
themselves may differ where Redis 7.0 cuts lists into other nodes; what is in them may not."""
import sys

from oracle import Random, compare, replay, signed

KEYS = [b'a', b'b', b'c', b'{x}1', b'{x}2']
SMALL = [b'', b'a', b'b', b'ab', b'0', b'1', b'12', b'-1', b'127', b'128', b'-4097', b'4096', b'007',
         b'32768', b'8388608', b'2147483648', b'-2147483649', b'9223372036854775807',
         b'9223372036854775808', b'x' * 63, b'x' * 64, b'y' * 130]
LARGE = [b'z' * 4095, b'z' * 4096, b'w' * 9000, b'v' * 20000, bytes(range(256)) * 5, b'u' * 70000]
INDEXES = [b'0', b'1', b'2', b'3', b'5', b'10', b'40', b'-1', b'-2', b'-3', b'-6', b'-40', b'100',
           b'-1000']
ODD = [b'x', b'', b'1.0', b' 1', b'9223372036854775807', b'-9223372036854775807',
       b'9223372036854775808', b'99999999999999999999']
SIZES = [b'-1', b'-2', b'-5', b'1', b'2', b'3', b'5', b'16', b'0', b'128', b'-2']
# payloads of old forms and bad ones
BODIES = [b'\x01\x03\x01a\xc0\x05\x02bc', b'\x01\x00', b'\x01\x05\x01a', b'\x12\x00', b'\x12\x01\x03\x01a',
          b'\x12\x01\x01\x01a', b'\x12\x02\x01\x01a\x02\x09\x09\x00\x00\x00\x01\x00\x01\x01\xff',
          b'\x12\x01\x02\x09\x09\x00\x00\x00\x02\x00\x01\x01\xff', b'\x12\x01\x02\x07\x07\0\0\0\0\0\xff',
          b'\x12\x01\x02\x09\x09\x00\x00\x00\x01\x00\x81\x01\xff', b'\x12\x02\x01\xc0\x05\x01\xc1\x39\x30',
          b'\x12\x02\x01\x01q\x02\x07\x07\0\0\0\0\0\xff']


def ziplist(elements):
    """Elements: bytes, or (first byte, bytes of the number)."""
    out, before, last = b'', 0, 10
    for e in elements:
        last = 10 + len(out)
        head = bytes([before]) if before < 254 else b'\xfe' + before.to_bytes(4, 'little')
        if isinstance(e, tuple):
            body = bytes([e[0]]) + e[1]
        elif len(e) < 64:
            body = bytes([len(e)]) + e
        elif len(e) < 16384:
            body = bytes([0x40 | len(e) >> 8, len(e) & 255]) + e
        else:
            body = b'\x80' + len(e).to_bytes(4, 'big') + e
        out += head + body
        before = len(head + body)
    return ((10 + len(out) + 1).to_bytes(4, 'little') + last.to_bytes(4, 'little') +
            len(elements).to_bytes(2, 'little') + out + b'\xff')


def rdb_string(data):
    return b'\x80' + len(data).to_bytes(4, 'big') + data


ZIPLISTS = [
    ziplist([b'a', b'hello', (0xfe, b'\x80'), (0xc0, b'\x00\x80'), (0xf0, b'\x00\x00\x80')]),
    ziplist([(0xd0, b'\xff\xff\xff\x7f'), (0xe0, b'\0\0\0\0\0\0\0\x80'), (0xf1, b''), (0xfd, b'')]),
    ziplist([b'x' * 300, b'y' * 63, b'z' * 20000, b'12', b'']),
]
BODIES += [b'\x0a' + rdb_string(z) for z in ZIPLISTS]
BODIES += [b'\x0e\x02' + rdb_string(ZIPLISTS[0]) + rdb_string(ZIPLISTS[2])]
for bad in (ZIPLISTS[0][:-2], ZIPLISTS[0][:8] + b'\x09' + ZIPLISTS[0][9:],
            ZIPLISTS[0][:12] + b'\x3f' + ZIPLISTS[0][13:], b'', b'\0' * 11):
    BODIES.append(b'\x0a' + rdb_string(bad))
PAYLOADS = [signed(b) for b in BODIES]


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        ends = [b'LEFT', b'right', b'Right', b'left', b'q']
        self.shapes = [
            lambda k: [self.pick([b'LPUSH', b'RPUSH']), k] + self.elements(1, 6),
            lambda k: [self.pick([b'LPUSH', b'RPUSH']), k] + self.elements(1, 40),
            lambda k: [self.pick([b'LPUSH', b'RPUSH']), k, self.element()],
            lambda k: [self.pick([b'LPUSHX', b'RPUSHX']), k] + self.elements(0, 4),
            lambda k: [self.pick([b'LPOP', b'RPOP']), k],
            lambda k: [self.pick([b'LPOP', b'RPOP']), k, self.pick(INDEXES + ODD)],
            lambda k: [b'LLEN', k],
            lambda k: [b'LRANGE', k, b'0', b'-1'],
            lambda k: [b'LRANGE', k, self.index(), self.index()],
            lambda k: [b'LINDEX', k, self.index()],
            lambda k: [b'LSET', k, self.index(), self.element()],
            lambda k: [b'LINSERT', k, self.pick([b'BEFORE', b'after', b'q']), self.element(),
                       self.element()],
            lambda k: [b'LINSERT', k, self.pick([b'BEFORE', b'after']), self.pick(SMALL),
                       self.element()],
            lambda k: [b'LREM', k, self.pick([b'0', b'1', b'-1', b'2', b'-2', b'x']),
                       self.pick(SMALL)],
            lambda k: [b'LTRIM', k, self.index(), self.index()],
            lambda k: [b'LTRIM', k, self.pick([b'0', b'1']), self.pick([b'-1', b'-2', b'60'])],
            lambda k: [b'LPOS', k, self.element()] + self.pos_options(),
            lambda k: [b'LMOVE', k, self.key(), self.pick(ends), self.pick(ends)],
            lambda k: [b'RPOPLPUSH', k, self.key()],
            lambda k: [b'LMPOP', self.pick([b'1', b'2', b'2', b'0', b'-1', b'x', b'5']), k,
                       self.key(), self.pick(ends)] +
            self.pick([[], [], [b'COUNT', self.pick(INDEXES + ODD)], [b'COUNT'], [b'q', b'1']]),
            lambda k: [b'LMPOP', b'1', k, self.pick(ends), b'COUNT', self.pick(INDEXES)],
            lambda k: [b'COPY', k, self.key(), b'REPLACE'],
            lambda k: [b'RENAME', k, self.key()],
            lambda k: [b'RESTORE', k, b'0', self.pick(PAYLOADS), b'REPLACE'],
            lambda k: [b'CONFIG', b'SET', b'list-max-listpack-size', self.pick(SIZES)],
            lambda k: [b'CONFIG', b'SET', b'list-compress-depth', self.pick(
                [b'0', b'0', b'1', b'2', b'3'])],
            lambda k: [self.pick([b'LPUSH', b'LINDEX', b'LPOP', b'LSET', b'LPOS', b'LMPOP',
                                  b'LRANGE', b'LTRIM', b'LREM', b'LINSERT'])] +
            [k] * self.random.randrange(5),
            lambda k: [self.pick([b'SET', b'APPEND']), k, b'v'] if self.random.random() < 0.2 else
            [b'TYPE', k],
            lambda k: [b'DEL', k] if self.random.random() < 0.3 else [b'LLEN', k],
        ]

    def key(self):
        return self.pick(KEYS)

    def index(self):
        return self.pick(INDEXES if self.random.random() < 0.95 else ODD)

    def element(self):
        r = self.random.random()
        if r < 0.03:
            return self.pick(LARGE)
        return self.pick(SMALL) if r < 0.7 else b'e%d' % self.random.randrange(1000)

    def elements(self, least, below):
        return [self.element() for _ in range(self.random.randrange(least, below))]

    def pos_options(self):
        out = []
        for _ in range(self.random.randrange(4)):
            out += self.pick([[b'RANK', self.index()], [b'COUNT', self.index()],
                              [b'count', b'0'], [b'MAXLEN', self.index()], [b'RANK', b'-1'],
                              [b'RANK', b'0'], [b'q', b'1'], [b'RANK']][:8])
        return out

    def command(self):
        return self.pick(self.shapes)(self.key())


def exchange(program, commands, redis, resp):
    """Every key as the other's payload: how many differ."""
    different = 0
    reads = [[b'LRANGE', k, b'0', b'-1'] for k in KEYS]
    dumps = [[b'DUMP', k] for k in KEYS]
    ours = list(replay(program, commands + dumps, resp))[-len(KEYS):]
    theirs = [redis.run(d) for d in dumps]
    restores = []
    for k, payload in zip(KEYS, theirs):
        if payload[:2] != b'$-' and payload[:1] == b'$':
            restores.append([b'RESTORE', k, b'0', payload[payload.index(b'\n') + 1:-2]])
    got = list(replay(program, restores + reads, resp))[-len(KEYS):]
    for k, our, payload in zip(KEYS, got, ours):
        expected = redis.run([b'LRANGE', k, b'0', b'-1'])
        if payload[:1] == b'$' and payload[:2] != b'$-':
            body = payload[payload.index(b'\n') + 1:-2]
            redis.run([b'RESTORE', b'there', b'0', body, b'REPLACE'])
            back = redis.run([b'LRANGE', b'there', b'0', b'-1'])
        else:
            back = redis.run([b'LRANGE', b'nosuch', b'0', b'-1'])
        if expected[:1] != b'-' and (our != expected or back != expected):
            different += 1
            print('payload of', k, len(expected), len(our), len(back))
    return different


if __name__ == '__main__':
    # Bad payloads crash it otherwise.
    sys.exit(compare(Generator.sequence, after=exchange,
                     set_up=[[b'CONFIG', b'SET', b'sanitize-dump-payload', b'yes']]))
