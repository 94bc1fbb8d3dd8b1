#!/usr/bin/env python3
"""Random string commands to redis-server and to ours; every reply must be the same.

    strings.py <ours> [seed [commands [resp]]]

The generator prefers what borders on errors: bounds of integers, odd numbers, options that
contradict each other. Expiries lie minutes ahead or in the far future, so that the clock of the
two does not matter. A redis-server is started on a port of its own and stopped at the end."""
import sys

from oracle import Random, compare

KEYS = [b'a', b'b', b'c', b'd', b'']
INTS = [b'0', b'1', b'-1', b'5', b'-3', b'20', b'100', b'x', b'', b'01', b'+1', b' 1', b'1.5',
        b'9223372036854775807', b'-9223372036854775808', b'9223372036854775',
        b'99999999999999999999']
OFFSETS = [b'0', b'1', b'2', b'20', b'100', b'-1', b'x', b'9223372036854775807',
           b'9223372036854775800', b'536870912']
FLOATS = [b'0.1', b'1', b'-5.5', b'1e10', b'nan', b'inf', b'x', b'', b' 1', b'1e-18', b'-0',
          b'3.333333333333', b'0x1p3', b'1e400', b'12345678901234567.89']
VALUES = [b'', b'v', b'10', b'-5', b'9223372036854775807', b'-9223372036854775808', b'3.0',
          b'1e5', b'hello world', b'ab' * 30, b'x' * 500, b'\x00\r\n', b'007', b'nan', b'inf',
          b'0.1', b'ohmytext', b'mynewtext', b'-0', b'1e-20', b'1e300']
TTLS = [b'1000', b'100000', b'0', b'-1', b'x', b'9223372036854775807', b'9223372036854775',
        b'1', b'1900000000', b'1900000000000', b'9223370000000000']
EXPIRE_WORDS = [b'EX', b'PX', b'EXAT', b'PXAT']
SET_WORDS = [b'NX', b'XX', b'GET', b'KEEPTTL', b'PERSIST', b'BAD'] + EXPIRE_WORDS
# of SETEX and PSETEX, and of EX and PX: not so short that a key is gone in one of the two only
RELATIVE_TTLS = [t for t in TTLS if t not in (b'1',)]


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.shapes = [
            lambda k: [b'GET', k],
            lambda k: [b'SET', k, self.pick(VALUES)],
            lambda k: [b'SET', k, self.letters()],
            lambda k: [b'SET', k, self.pick(VALUES)] + self.options(SET_WORDS),
            lambda k: [b'GETEX', k] + self.options(EXPIRE_WORDS + [b'PERSIST', b'KEEPTTL']),
            lambda k: [b'SETNX', k, self.pick(VALUES)],
            lambda k: [self.pick([b'SETEX', b'PSETEX']), k, self.pick(RELATIVE_TTLS),
                       self.pick(VALUES)],
            lambda k: [b'GETSET', k, self.pick(VALUES)],
            lambda k: [b'GETDEL', k],
            lambda k: [b'APPEND', k, self.pick(VALUES + INTS)],
            lambda k: [b'STRLEN', k],
            lambda k: [b'SETRANGE', k, self.pick(OFFSETS), self.pick(VALUES)],
            lambda k: [self.pick([b'GETRANGE', b'SUBSTR']), k, self.pick(INTS), self.pick(INTS)],
            lambda k: [self.pick([b'INCR', b'DECR']), k],
            lambda k: [self.pick([b'INCRBY', b'DECRBY']), k, self.pick(INTS)],
            lambda k: [b'INCRBYFLOAT', k, self.pick(FLOATS)],
            lambda k: [b'MGET'] + self.several(KEYS, 5),
            lambda k: [self.pick([b'MSET', b'MSETNX'])] + self.several(KEYS + VALUES, 6),
            lambda k: [b'LCS', k, self.pick(KEYS)] + self.lcs_options(),
            lambda k: [self.pick([b'GET', b'SET', b'INCR', b'LCS', b'SETNX'])] + [k] *
            self.random.randrange(4),
        ]

    def several(self, choices, below):
        return [self.pick(choices) for _ in range(self.random.randrange(below))]

    def letters(self):
        return bytes(self.random.choice(b'abc') for _ in range(self.random.randrange(40)))

    def options(self, words):
        out = []
        for _ in range(self.pick([0, 1, 1, 1, 2, 2, 3])):
            word = self.pick(words)
            out.append(self.pick([word, word.lower()]))
            if word in EXPIRE_WORDS and self.random.random() < 0.95:
                out.append(self.pick(TTLS if word.endswith(b'AT') else RELATIVE_TTLS))
        return out

    def lcs_options(self):
        out = []
        for _ in range(self.random.randrange(3)):
            out += self.pick([[b'LEN'], [b'IDX'], [b'WITHMATCHLEN'], [b'NONSENSE'],
                              [b'MINMATCHLEN'], [b'MINMATCHLEN', self.pick(INTS)]])
        return out

    def command(self):
        return self.pick(self.shapes)(self.pick(KEYS))


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence))
