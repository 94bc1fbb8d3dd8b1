#!/usr/bin/env python3
"""Random HyperLogLog commands to a redis-server and to harness-replay; every reply must be the same.

    hll.py <harness-replay> [seed [commands [resp]]]

As strings.py does it. What PFADD writes is compared byte by byte (GET, DUMP, PFDEBUG DECODE). What
PFMERGE writes is not: the runs may be cut differently, the registers are the same. So merges go to
keys of their own, of which counts and registers are compared. Corrupt values are left out: the
reference is not safe against all of them (they are in the unit tests)."""
import random
import sys
import time

from strings import Redis, replay

KEYS = [b'a', b'b', b'c', b'd']
MERGED = [b'm', b'n']
DENSE = b'HYLL\0\0\0\0' + b'\0' * 7 + b'\x80'
EMPTY = b'HYLL\1\0\0\0' + b'\0' * 8 + b'\x7f\xff'
VALUES = [b'', b'12', b'foo', b'HYLL', b'HYLL\0' + b'\0' * 11, b'HYLL\2' + b'\0' * 20, EMPTY,
          DENSE + b'\0' * 12288, DENSE + b'\0' * 12287, DENSE + b'\0' * 12289,
          DENSE + b'\xff' * 12288, DENSE[:-1] + b'\0' + b'\x41' * 12288, b'x' * 12304,
          b'HYLL\1\0\0\0' + b'\0' * 7 + b'\x80' + b'\x8b\x7f\xfa\x00']


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
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

    def pick(self, choices):
        return self.random.choice(choices)

    def elements(self, count):
        self.next += count
        return [b'%d' % self.random.randrange(self.next + 1) for _ in range(count)]

    def command(self):
        return self.pick(self.shapes)(self.pick(KEYS))


def main():
    program = sys.argv[1]
    seed, count, resp = [int(a) for a in (sys.argv[2:] + ['1', '5000', '2'][len(sys.argv) - 2:])]
    generator = Generator(seed)
    commands = [generator.command() for _ in range(count)]
    commands = [c for c in commands if c[0] != b'PFSELFTEST' or len(c) > 1]  # seconds in Redis
    redis = Redis(resp)
    different = 0
    try:
        started = time.time()
        ours = list(replay(program, commands, resp))
        assert len(ours) == len(commands), 'replay gave %d replies' % len(ours)
        for words, our in zip(commands, ours):
            theirs = redis.run(words)
            if our != theirs:
                different += 1
                if different <= 10:
                    print([w[:40] for w in words])
                    print('  redis', theirs[:200])
                    print('  ours ', our[:200])
    finally:
        redis.stop()
    print('seed %d, RESP%d: %d commands, %d different (%.1f s)' %
          (seed, resp, count, different, time.time() - started))
    return different != 0


if __name__ == '__main__':
    sys.exit(main())
