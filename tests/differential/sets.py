#!/usr/bin/env python3
"""Random set commands to redis-server and to ours; every reply must be the same.

    sets.py <ours> [seed [commands [resp]]]

As oracle.py says. Replies that are sets are compared without regard to order. What chance
decides (SPOP, SRANDMEMBER) is asked for only where the reply is determined: all members, or none;
otherwise its length is compared. DEBUG DIGEST-VALUE is not at hand, so DUMP of intsets and SMEMBERS
are what tells that contents are equal. redis-server 7.0 has no listpacks for sets: OBJECT ENCODING
of small text sets is left out."""
import sys

from oracle import Random, compare

KEYS = [b'a', b'b', b'c', b'{x}1', b'{x}2']
INTS = [b'0', b'1', b'-1', b'5', b'-3', b'32767', b'32768', b'-32769', b'2147483648', b'007',
        b'9223372036854775807', b'-9223372036854775808', b'9223372036854775808', b'-0', b'+1']
TEXTS = [b'', b'a', b'b', b'abc', b'x' * 64, b'x' * 65, b'y' * 254, b'y' * 255, b'z' * 5000,
         b'\x00\r\n', b'*', b'[a', b'1.5']
COUNTS = [b'0', b'1', b'3', b'1000', b'-1', b'-5', b'x', b'', b'9223372036854775807',
          b'-9223372036854775808', b'9223372036854775808', b' 1']
PATTERNS = [b'*', b'a*', b'?', b'[ab]', b'1*', b'', b'\\a', b'x*x']
NAMES = [b'SADD', b'SREM', b'SMEMBERS', b'SISMEMBER', b'SMISMEMBER', b'SCARD', b'SPOP',
         b'SRANDMEMBER', b'SMOVE', b'SINTER', b'SINTERSTORE', b'SINTERCARD', b'SUNION',
         b'SUNIONSTORE', b'SDIFF', b'SDIFFSTORE', b'SSCAN']
UNORDERED = (b'SMEMBERS', b'SINTER', b'SUNION', b'SDIFF', b'SSCAN', b'SPOP', b'SRANDMEMBER')


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        stores = [b'SINTERSTORE', b'SUNIONSTORE', b'SDIFFSTORE']
        reads = [b'SINTER', b'SUNION', b'SDIFF']
        add = [lambda k: [b'SADD', k] + self.members(6),
               lambda k: [b'SADD', k] + self.numbers(40),
               lambda k: [b'SADD', k] + self.numbers(8)]
        self.shapes = add * 4 + [
            lambda k: [b'SADD', k] + self.numbers(700),
            lambda k: [b'SADD', k] + [b'm%d' % self.random.randrange(400) for _ in range(200)],
            lambda k: [b'SREM', k] + self.members(6),
            lambda k: [b'SREM', k] + self.numbers(60),
            lambda k: [b'SMEMBERS', k],
            lambda k: [b'SCARD', k],
            lambda k: [b'SISMEMBER', k, self.member()],
            lambda k: [b'SMISMEMBER', k] + self.members(5),
            lambda k: [b'SMOVE', k, self.key(), self.member()],
            lambda k: [b'SMOVE', k, self.key(), self.number()],
            lambda k: [self.pick(reads)] + self.several(KEYS, 6),
            lambda k: [self.pick(reads)] + self.several(KEYS, 3),
            lambda k: [self.pick(stores), k] + self.several(KEYS, 6),
            lambda k: [b'SINTERCARD', self.pick([b'1', b'2', b'3', b'0', b'-1', b'x'])] +
            self.several(KEYS, 4),
            lambda k: [b'SINTERCARD', b'2', k, self.key()] + self.pick(
                [[], [b'LIMIT', self.pick(COUNTS)], [b'limit', b'2'], [b'LIMIT'], [b'q', b'1'],
                 [b'LIMIT', b'1', b'LIMIT', b'0']]),
            lambda k: [b'SPOP', k, self.pick([b'1000000', b'0', b'x', b'-1', b''])],
            lambda k: [b'SPOP', b'never'] + self.pick([[], [b'3'], [b'1', b'2']]),
            lambda k: [b'SRANDMEMBER', k, self.pick([b'1000000', b'0', b'x', b'-1', b'-7', b'5',
                                                     b'9223372036854775807',
                                                     b'-9223372036854775808'])],
            lambda k: [b'SRANDMEMBER', self.pick([b'never', b'string'])] + self.pick(
                [[], [b'3'], [b'1', b'2']]),
            lambda k: [b'SSCAN', k, self.pick([b'0', b'0', b'x', b''])] + self.pick(
                [[b'COUNT', b'100000'], [b'COUNT', b'100000', b'MATCH', self.pick(PATTERNS)],
                 [b'COUNT', b'0'], [b'COUNT', b'x'], [b'COUNT'], [b'TYPE', b'set']]),
            lambda k: [b'SSCAN', b'never', self.pick([b'0', b'5', b'x'])] + self.pick(
                [[], [b'COUNT', b'x'], [b'bad']]),
            lambda k: [b'DEL', k],
            lambda k: [b'SET', k, b'v'],
            lambda k: [b'COPY', k, self.key(), b'REPLACE'],
            lambda k: [b'RENAME', k, self.key()],
            lambda k: [b'EXPIREAT', k, b'4102444800'],
            lambda k: [b'EXPIRETIME', k],
            lambda k: [b'TYPE', k],
            lambda k: [b'SET', b'string', b'v'],
            lambda k: [self.pick(NAMES)] + [self.pick([k, b'string', b'1', b'q'])] *
            self.random.randrange(4),
        ]

    def key(self):
        return self.pick(KEYS if self.random.random() < 0.97 else [b'string', b'', b'nosuch'])

    def number(self):
        return b'%d' % self.random.randrange(600)

    def numbers(self, below):
        return [self.number() for _ in range(self.random.randrange(1, below))]

    def member(self):
        return self.pick(self.pick([INTS, TEXTS]))

    def members(self, below):
        return [self.member() for _ in range(self.random.randrange(below))]

    def several(self, choices, below):
        return [self.pick(choices) for _ in range(self.random.randrange(below))]

    def command(self):
        return self.pick(self.shapes)(self.key())


def elements(reply):
    """The bulks of a flat array or set, sorted; the reply as it is when it is none."""
    lines, out, at = reply, [], reply.find(b'\r\n') + 2
    while at < len(lines):
        end = lines.find(b'\r\n', at)
        if lines[at:at + 1] != b'$':
            out.append(lines[at:end])
            at = end + 2
            continue
        length = int(lines[at + 1:end])
        out.append(lines[end + 2:end + 2 + length])
        at = end + 4 + length
    return sorted(out)


def comparable(words, reply):
    name = words[0].upper()
    if name == b'SRANDMEMBER' and reply[:1] == b'$' and reply[:2] != b'$-':
        return b'$'
    if name == b'SRANDMEMBER' and len(words) == 3 and words[2] in (b'-1', b'-7', b'3', b'5'):
        return reply.split(b'\r\n')[0]
    if name in UNORDERED and reply[:1] in b'*~':
        return reply.split(b'\r\n')[0], elements(reply)
    return reply


def settle(generator, commands):
    """SPOP without a count, and with a small one, decides by chance: those are left out."""
    return [c for c in commands
            if c[0] != b'SPOP' or c[1:2] == [b'never'] or len(c) > 3 or
            (len(c) == 3 and c[2] not in (b'1', b'3'))]


def settled(seed, count):
    generator = Generator(seed)
    return settle(generator, [generator.command() for _ in range(count)])


if __name__ == '__main__':
    sys.exit(compare(settled, comparable))
