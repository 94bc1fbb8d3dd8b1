#!/usr/bin/env python3
"""Random SORT commands to a redis-server and to harness-replay; every reply must be the same.

    sort.py <harness-replay> [seed [commands [resp]]]

As strings.py does it. Sets sorted by nothing (BY a constant) come in any order, so their replies
are compared without regard to it, and not at all under a LIMIT. With BY and ALPHA, elements of
equal weight come in the order in which they were gathered: only lists show the same one, and
under a LIMIT Redis sorts in a way that does not keep it."""
import random
import sys
import time

from strings import Redis, replay

SETS, LISTS, ZSETS = [b's', b's2'], [b'l', b'l2'], [b'z']
OTHERS = [b'string', b'never', b'dst']
NUMBERS = [b'%d' % n for n in range(-5, 60)] + [b'1.5', b'-2.25', b'007', b'1e3', b'0x10', b' 7',
                                               b'2147483648', b'inf']
TEXTS = [b'', b'a', b'b', b'abc', b'abd', b'B', b'x' * 70, b'1x', b'nan', b'\xff', b'a b']
PATTERNS = [b'w_*', b'w_*', b'h_*->f', b'h_*->none', b'#', b'const', b'none_*', b'w_*x', b'*',
            b'h_*->', b'l*', b'']


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, choices):
        return self.random.choice(choices)

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


def main():
    program = sys.argv[1]
    seed, count, resp = [int(a) for a in (sys.argv[2:] + ['1', '20000', '2'][len(sys.argv) - 2:])]
    generator = Generator(seed)
    commands = [generator.command() for _ in range(count)]
    commands = [c for c in commands if is_determined(c)]
    redis = Redis(resp)
    different = 0
    started = time.time()
    try:
        ours = list(replay(program, commands, resp))
        assert len(ours) == len(commands), 'replay gave %d replies' % len(ours)
        for words, our in zip(commands, ours):
            theirs = redis.run(words)
            if our != theirs:
                different += 1
                if different <= 10:
                    print([w[:40] for w in words][:12])
                    print('  redis', theirs[:200])
                    print('  ours ', our[:200])
    finally:
        redis.stop()
    print('seed %d, RESP%d: %d commands, %d different (%.1f s)' %
          (seed, resp, len(commands), different, time.time() - started))
    return different != 0


if __name__ == '__main__':
    sys.exit(main())
