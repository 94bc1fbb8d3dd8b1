#!/usr/bin/env python3
"""Random SORT commands to redis-server and to ours; every reply must be the same.

    sort.py <ours> [seed [commands [resp]]]

As oracle.py says. Sets sorted by nothing (BY a constant) come in any order, so their replies
are compared without regard to it, and not at all under a LIMIT. With BY and ALPHA, elements of
equal weight come in the order in which they were gathered: only lists show the same one, and
under a LIMIT Redis sorts in a way that does not keep it."""
import sys

from oracle import Random, compare

SETS, LISTS, ZSETS = [b's', b's2'], [b'l', b'l2'], [b'z']
OTHERS = [b'string', b'never', b'dst']
NUMBERS = [b'%d' % n for n in range(-5, 60)] + [b'1.5', b'-2.25', b'007', b'1e3', b'0x10', b' 7',
                                               b'2147483648', b'inf']
TEXTS = [b'', b'a', b'b', b'abc', b'abd', b'B', b'x' * 70, b'1x', b'nan', b'\xff', b'a b']
PATTERNS = [b'w_*', b'w_*', b'h_*->f', b'h_*->none', b'#', b'const', b'none_*', b'w_*x', b'*',
            b'h_*->', b'l*', b'']


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)

    def elements(self):
        odd = self.random.random() < 0.1
        return [self.pick(NUMBERS if not odd or self.random.random() < 0.9 else TEXTS)
                for _ in range(self.random.randrange(1, 30))]

    def fill(self):
        key = self.pick(SETS + LISTS + ZSETS)
        words = self.pick([self.elements(), [self.pick(TEXTS) for _ in range(8)]])
        if self.random.random() < 0.4:
            return [b'DEL', key]
        if key in SETS:
            return [b'SADD', key] + words
        if key in LISTS:
            return [b'RPUSH', key] + words
        return [b'ZADD', key] + [w for i, m in enumerate(words)
                                 for w in (b'%d' % self.random.randrange(9), m)]

    def weight(self):
        value = self.pick(NUMBERS) if self.random.random() < 0.97 else self.pick(TEXTS)
        element = self.pick(NUMBERS + TEXTS)
        return self.pick([[b'SET', b'w_' + element, value],
                          [b'HSET', b'h_' + element, b'f', value]])

    def options(self):
        out = []
        for _ in range(self.random.randrange(5)):
            out += self.pick([
                [b'ALPHA'], [b'alpha'], [b'DESC'], [b'ASC'], [b'GET', self.pick(PATTERNS)],
                [b'GET', b'#'], [b'BY', self.pick(PATTERNS)],
                [b'LIMIT', self.pick([b'0', b'1', b'5', b'-1', b'100', b'x',
                                      b'9223372036854775807']),
                 self.pick([b'0', b'1', b'5', b'-1', b'-2', b'100', b'',
                            b'9223372036854775807'])],
                [b'STORE', b'dst']])
        if self.random.random() < 0.03:
            out += self.pick([[b'LIMIT', b'1'], [b'STORE'], [b'BY'], [b'GET'], [b'q']])
        return out

    def command(self):
        what = self.random.random()
        if what < 0.2:
            return self.fill()
        if what < 0.4:
            return self.weight()
        if what < 0.45:
            return [b'LRANGE', b'dst', b'0', b'-1']
        if what < 0.46:
            return [b'SET', b'string', b'v']
        key = self.pick(SETS + LISTS + ZSETS) if what < 0.97 else self.pick(OTHERS)
        return [self.pick([b'SORT', b'SORT', b'SORT_RO']), key] + self.options()


def is_determined(words):
    """Whether the order of the reply follows from the words."""
    upper = [w.upper() for w in words]
    if upper[0].startswith(b'SORT') and {b'BY', b'ALPHA', b'LIMIT'} <= set(upper):
        return False
    if not upper[0].startswith(b'SORT') or words[1] in LISTS + OTHERS:
        return True
    by = [words[i + 1] for i in range(2, len(words) - 1) if upper[i] == b'BY']
    if not by:
        return True
    if b'*' not in by[-1] or any(b'*' not in b for b in by):
        return words[1] in ZSETS
    return b'ALPHA' not in upper


def determined(seed, count):
    return [c for c in Generator.sequence(seed, count) if is_determined(c)]


if __name__ == '__main__':
    sys.exit(compare(determined))
