#!/usr/bin/env python3
"""Random HyperLogLog commands to redis-server and to ours; every reply must be the same.

    hll.py <ours> [seed [commands [resp]]]

As oracle.py says. What PFADD writes is compared byte by byte (GET, DUMP, PFDEBUG DECODE). What
PFMERGE writes is not: the runs may be cut differently, the registers are the same. So merges go to
keys of their own, of which counts and registers are compared. Corrupt values are left out: the
reference is not safe against all of them (they are in the unit tests)."""
import sys

from oracle import Random, compare

KEYS = [b'a', b'b', b'c', b'd']
MERGED = [b'm', b'n']
DENSE = b'HYLL\0\0\0\0' + b'\0' * 7 + b'\x80'
EMPTY = b'HYLL\1\0\0\0' + b'\0' * 8 + b'\x7f\xff'
VALUES = [b'', b'12', b'foo', b'HYLL', b'HYLL\0' + b'\0' * 11, b'HYLL\2' + b'\0' * 20, EMPTY,
          DENSE + b'\0' * 12288, DENSE + b'\0' * 12287, DENSE + b'\0' * 12289,
          DENSE + b'\xff' * 12288, DENSE[:-1] + b'\0' + b'\x41' * 12288, b'x' * 12304,
          b'HYLL\1\0\0\0' + b'\0' * 7 + b'\x80' + b'\x8b\x7f\xfa\x00']


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.next = 0
        few = [
            lambda k: [b'SET', k, self.pick(VALUES)],
            lambda k: [b'DEL', k],
            lambda k: [b'PFDEBUG', self.pick([b'GETREG', b'todense', b'x', b'']), k],
            lambda k: [b'PFDEBUG', b'GETREG', self.pick(MERGED)],
            lambda k: [b'PFSELFTEST'],
            lambda k: [b'DEL', self.pick(MERGED)],
            lambda k: [self.pick([b'PFADD', b'PFDEBUG', b'PFSELFTEST', b'PFCOUNT'])] +
            [k] * self.random.randrange(4),
            lambda k: [b'PFMERGE'],
        ]
        many = [
            lambda k: [b'PFADD', k] + self.elements(self.pick([0, 1, 2, 3, 10, 300])),
            lambda k: [b'PFADD', k] + self.elements(self.pick([0, 1, 1, 2, 3, 5])),
            lambda k: [b'PFADD', k, self.pick([b'', b'x', b'12345678', b'y' * 100])],
            lambda k: [b'PFCOUNT', k],
            lambda k: [b'PFCOUNT', self.pick(MERGED)],
            lambda k: [b'PFCOUNT'] + [self.pick(KEYS + MERGED) for _ in range(3)],
            lambda k: [b'PFMERGE', self.pick(MERGED)] +
            [self.pick(KEYS + MERGED) for _ in range(self.random.randrange(4))],
            lambda k: [b'GET', k],
            lambda k: [b'DUMP', k],
            lambda k: [b'PFDEBUG', b'decode', k],
            lambda k: [b'PFDEBUG', b'ENCODING', k],
            lambda k: [b'STRLEN', k],
        ]
        self.shapes = many * 6 + few

    def elements(self, count):
        self.next += count
        return [b'%d' % self.random.randrange(self.next + 1) for _ in range(count)]

    def command(self):
        return self.pick(self.shapes)(self.pick(KEYS))


def determined(seed, count):
    # PFSELFTEST takes seconds in Redis
    return [c for c in Generator.sequence(seed, count) if c[0] != b'PFSELFTEST' or len(c) > 1]


if __name__ == '__main__':
    sys.exit(compare(determined, commands=5000))
