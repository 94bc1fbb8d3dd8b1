#!/usr/bin/env python3
"""Random sorted set commands to redis-server and to ours; every reply must be the same.

    zsets.py <ours> [seed [commands [resp]]]

As oracle.py says. Keys z1 to z3 are small, t1 and t2 are trees (a long member comes first, or
hundreds of members). Ranges by name are asked of sets with one score only (l1, l2): of others Redis
shows what its own structure happens to lead to. ZSCAN is compared without regard to order,
ZRANDMEMBER where chance has no say."""
import sys

from oracle import Random, compare, signed

KEYS = [b'z1', b'z2', b'z3', b't1', b't2']
LEX = [b'l1', b'l2']
LONG = b'L' * 65
MEMBERS = [b'a', b'b', b'c', b'd', b'', b'1', b'-5', b'007', b'aa', b'ab', b'm' * 64, LONG,
           b'x\0y', b'\xff\xfe', b'10000000000']
SCORES = [b'0', b'-0', b'1', b'2', b'3', b'-1', b'1.5', b'0.1', b'inf', b'-inf', b'+inf', b'1e300',
          b'-1e300', b'1e17', b'1e18', b'1e20', b'4611686018427387904', b'123456789012345678',
          b'3.0', b'5e-324', b'2.2250738585072014e-308', b'0x10']
BAD_SCORES = [b'nan', b'x', b'', b' 1', b'1 ', b'1e400', b'1e-400', b'--1', b'(1', b'1,5']
BOUNDS = SCORES + BAD_SCORES + [b'(0', b'(1', b'(-inf', b'(inf', b'(1.5', b'(', b'((1', b'1\x00x']
INTS = [b'0', b'1', b'2', b'5', b'-1', b'-2', b'-100', b'100', b'x', b'', b'9223372036854775807',
        b'-9223372036854775808', b'1.5', b'99999999999999999999']
NAMES = [b'-', b'+', b'[', b'(', b'[a', b'(a', b'[b', b'(b', b'[aa', b'(m', b'[zz', b'[\xff', b'a',
         b'', b'-x', b'+x', b'[m5', b'(m50', b'[1', b'(-5', b'+\0x']
COUNTS = [b'0', b'1', b'2', b'-1', b'10', b'x', b'9223372036854775807', b'-9223372036854775808']


def binary(score):
    import struct
    return struct.pack('<d', score)


BODIES = [b'\5\2\1a' + binary(1) + b'\1b' + binary(2), b'\5\2\1b' + binary(2) + b'\1a' + binary(1),
          b'\5\1\1a' + binary(float('nan')), b'\5\2\1a' + binary(1) + b'\1a' + binary(2), b'\5\0',
          b'\5\2\1a' + binary(1), b'\5\1\1a' + binary(-0.0), b'\5\1\1a' + binary(float('inf')),
          b'\3\1\1a\0031.5', b'\3\1\1a\xfe', b'\3\1\1a\xff', b'\3\1\1a\xfd',
          b'\5\1\xc0\x05' + binary(1), b'\5\1\x40\x50' + b'z' * 80 + binary(1),
          b'\x11\x0c\x0c\0\0\0\2\0\x81a\2\1\1\xff', b'\x11\x07\x07\0\0\0\0\0\xff',
          b'\x11\x0a\x0a\0\0\0\1\0\x81a\2\xff', b'\x11\x0c\x0d\0\0\0\2\0\x81a\2\1\1\xff']
PAYLOADS = [signed(b) for b in BODIES]


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        pick = self.pick
        self.shapes = [
            lambda: self.zadd(),
            lambda: self.zadd(),
            lambda: self.zadd(),
            lambda: [b'ZADD', pick(LEX)] + sum([[b'0', self.member()] for _ in range(3)], []),
            lambda: [b'ZADD', pick(KEYS)] + self.several(
                [b'NX', b'xx', b'GT', b'LT', b'CH', b'INCR', b'Q'], 4) + [
                    self.score(), self.member()] * pick([0, 1, 1, 1, 2]),
            lambda: [b'ZINCRBY', pick(KEYS + [b'set', b'none']), self.score(), self.member()],
            lambda: [b'ZREM', self.key()] + [self.member() for _ in range(pick([1, 1, 2, 5]))],
            lambda: [b'ZCARD', self.key()],
            lambda: [b'ZSCORE', self.key(), self.member()],
            lambda: [b'ZMSCORE', self.key()] + [self.member() for _ in range(3)],
            lambda: [pick([b'ZRANK', b'ZREVRANK']), self.key(), self.member()],
            lambda: [b'ZCOUNT', self.key(), pick(BOUNDS), pick(BOUNDS)],
            lambda: [b'ZLEXCOUNT', pick(LEX), self.name(), self.name()],
            lambda: self.zrange(),
            lambda: self.zrange(),
            lambda: self.zrangestore(),
            lambda: [pick([b'ZREVRANGE', b'ZRANGE']), self.key(), pick(INTS), pick(INTS)] +
            self.range_options(),
            lambda: [pick([b'ZRANGEBYSCORE', b'ZREVRANGEBYSCORE']), self.key(), pick(BOUNDS),
                     pick(BOUNDS)] + self.range_options(),
            lambda: [pick([b'ZRANGEBYLEX', b'ZREVRANGEBYLEX']), pick(LEX), self.name(),
                     self.name()] + self.range_options(),
            lambda: [b'ZREMRANGEBYRANK', self.key(), pick(INTS), pick(INTS)],
            lambda: [b'ZREMRANGEBYSCORE', self.key(), pick(BOUNDS), pick(BOUNDS)],
            lambda: [b'ZREMRANGEBYLEX', pick(LEX), self.name(), self.name()],
            lambda: [pick([b'ZPOPMIN', b'ZPOPMAX']), self.key()] + pick([
                [], [], [pick(COUNTS)], [b'1', b'2']]),
            lambda: [b'ZMPOP'] + self.keys() + [pick([b'MIN', b'max', b'q'])] + pick([
                [], [], [b'COUNT', pick(COUNTS)], [b'COUNT'], [b'COUNT', b'1', b'COUNT', b'2']]),
            lambda: self.combine(),
            lambda: self.combine(),
            lambda: [b'ZRANDMEMBER', self.key(), pick([b'x', b'0', b'-9223372036854775808'])],
            lambda: [b'ZRANDMEMBER', self.key(), pick([b'x', b'-9223372036854775807']),
                     pick([b'WITHSCORES', b'q'])],
            lambda: [b'ZSCAN', self.key(), b'0', b'COUNT', b'100000'] + pick([
                [], [b'MATCH', b'a*'], [b'COUNT', b'0'], [b'TYPE', b'x'], [b'MATCH']]),
            lambda: [b'ZSCAN', self.key(), b'x'],
            lambda: [b'OBJECT', b'ENCODING', pick(KEYS + LEX)],
            lambda: [b'TYPE', self.key()],
            lambda: [b'DUMP', pick(KEYS + LEX)],
            lambda: [b'COPY', pick(KEYS), pick(KEYS), b'REPLACE'],
            lambda: [b'RESTORE', pick(KEYS), b'0', pick(PAYLOADS), b'REPLACE'],
            lambda: [b'SET', pick(KEYS), pick(MEMBERS)],
            lambda: [b'SADD', b'set'] + [pick(MEMBERS) for _ in range(3)],
            lambda: [b'DEL', self.key()] if self.random.random() < 0.3 else [b'DEL', b'set'],
            lambda: [pick([b'ZADD', b'ZRANGE', b'ZUNION', b'ZMPOP', b'ZSCAN'])] +
            [pick([b'z1', b'1'])] * self.random.randrange(5),
            lambda: self.many(),
        ]

    def key(self):
        return self.pick(KEYS + LEX + ([b'set', b'none'] if self.random.random() < 0.1 else []))

    def member(self):
        if self.random.random() < 0.5:
            return self.pick(MEMBERS)
        return b'm%d' % self.random.randrange(200)

    def score(self):
        if self.random.random() < 0.03:
            return self.pick(BAD_SCORES)
        if self.random.random() < 0.3:
            return self.pick(SCORES)
        return b'%d' % self.random.randrange(40)

    def name(self):
        if self.random.random() < 0.3:
            return self.pick([b'[', b'(']) + self.member()
        return self.pick(NAMES)

    def several(self, choices, below):
        return [self.pick(choices) for _ in range(self.random.randrange(below))]

    def zadd(self):
        pairs = sum([[self.score(), self.member()]
                     for _ in range(self.pick([1, 1, 1, 2, 3, 10]))], [])
        return [b'ZADD', self.pick(KEYS)] + pairs

    def many(self):
        if self.random.random() < 0.7:
            return [b'ZADD', self.pick([b't1', b't2']), b'7', LONG]
        key = self.pick([b't1', b't2', b'l2'])
        return [b'ZADD', key] + sum(
            [[b'0' if key == b'l2' else b'%d' % self.random.randrange(1000),
              b'm%d' % self.random.randrange(1000)] for _ in range(100)], [])

    def limit(self):
        return [b'LIMIT', self.pick(INTS[:8] + [b'3', b'x']), self.pick(INTS[:8] + [b'3', b'3'])]

    def range_options(self):
        out = []
        for _ in range(self.pick([0, 0, 1, 1, 2, 3])):
            out += self.pick([[b'WITHSCORES'], self.limit(), self.limit(), [b'LIMIT'],
                              [b'REV'], [b'q'], [b'BYSCORE']])
        return out

    def zrange_words(self):
        by = self.pick([b'', b'BYSCORE', b'BYLEX'])
        key = self.pick(LEX) if by == b'BYLEX' else self.key()
        bound = {b'': lambda: self.pick(INTS), b'BYSCORE': lambda: self.pick(BOUNDS),
                 b'BYLEX': self.name}[by]
        return [key, bound(), bound()] + ([by] if by else []) + self.pick([[], [b'REV']]) + \
            self.pick([[], [], self.limit()])

    def zrange(self):
        return [b'ZRANGE'] + self.zrange_words() + self.pick([[], [b'WITHSCORES']])

    def zrangestore(self):
        words = self.zrange_words()
        to = self.pick(LEX) if words[0] in LEX else self.pick(KEYS)
        return [b'ZRANGESTORE', to] + words

    def keys(self):
        n = self.pick([1, 2, 2, 3])
        count = b'%d' % n if self.random.random() < 0.95 else self.pick(INTS)
        return [count] + [self.pick(KEYS + LEX + [b'set']) for _ in range(n)]

    def combine(self):
        keys = self.keys()
        options = []
        for _ in range(self.pick([0, 0, 1, 1, 2])):
            options += self.pick([
                [b'WITHSCORES'], [b'WITHSCORES'], [b'AGGREGATE', self.pick([b'SUM', b'min', b'MAX',
                                                                         b'q'])],
                [b'WEIGHTS'] + [self.pick([b'1', b'2', b'-1', b'0', b'inf', b'1.5', self.score()])
                                for _ in keys[1:]], [b'LIMIT', self.pick(COUNTS)], [b'LIMIT']])
        op = self.pick([b'ZUNION', b'ZINTER', b'ZDIFF', b'ZINTERCARD'])
        if op == b'ZINTERCARD':
            return [op] + keys + self.pick([options, [b'LIMIT', self.pick(COUNTS)]])
        if self.random.random() < 0.5:
            return [op] + keys + options
        return [op + b'STORE', self.pick(KEYS)] + keys + [o for o in options
                                                          if o != b'WITHSCORES' or
                                                          self.random.random() < 0.1]

    def command(self):
        return self.pick(self.shapes)()


def comparable(words, reply):
    if words[0] == b'ZSCAN' and reply[:1] == b'*':
        return sorted(reply.split(b'\r\n'))
    return reply


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence, comparable))
