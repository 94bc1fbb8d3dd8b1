#!/usr/bin/env python3
"""Random bitmap commands to redis-server and to ours; every reply must be the same.

    bits.py <ours> [seed [commands [resp]]]

As oracle.py says. BITOP's operations of Redis 8.2 are left out: the reference has none. So is
BITFIELD's SET of numbers near the lowest with OVERFLOW SAT: the reference computes the distance to
the field's maximum in 64 bits, which overflows, and stores the maximum instead of the minimum."""
import sys

from oracle import Random, compare

KEYS = [b'a', b'b', b'c', b'{x}1', b'']
VALUES = [b'', b'\xff', b'\x00', b'\xff\xff\xff', b'12', b'-9', b'9223372036854775807', b'foobar',
          b'\xff' * 300, b'\x00' * 300, b'\x00' * 200 + b'\x10' + b'\x00' * 99,
          b'\xff' * 97 + b'\xef' + b'\xff' * 500, b'ab' * 224, b'ab' * 224 + b'c', b'\x00' * 3000]
OFFSETS = [b'0', b'1', b'7', b'8', b'9', b'15', b'20', b'63', b'64', b'100', b'3583', b'3584',
           b'3585', b'9000', b'-1', b'x', b'', b'#1', b'4294967296', b'9223372036854775807', b'01']
FIELD_OFFSETS = OFFSETS + [b'#0', b'#2', b'#3', b'#10', b'#100', b'#-1', b'#x', b'##1', b'#']
RANGE = [b'0', b'1', b'2', b'3', b'5', b'7', b'8', b'9', b'10', b'100', b'799', b'2000', b'-1',
         b'-2', b'-3', b'-7', b'-8', b'-9', b'-100', b'-3000', b'x', b'', b'9223372036854775807',
         b'-9223372036854775808']
UNITS = [b'BIT', b'BYTE', b'bit', b'byte', b'q', b'']
INTS = [b'0', b'1', b'-1', b'2', b'5', b'-3', b'100', b'127', b'128', b'-128', b'-129', b'255',
        b'256', b'32767', b'-40000', b'9223372036854775807', b'-9223372036854775808',
        b'9223372036854775806', b'x', b'', b'99999999999999999999']
SET_INTS = [n for n in INTS[:18] if n != b'-9223372036854775808']
WIDTHS = [b'u1', b'i1', b'u2', b'u7', b'u8', b'i8', b'u9', b'i16', b'u31', b'i32', b'u33', b'i63',
          b'u63', b'i64']
BAD_WIDTHS = [b'u64', b'i65', b'u0', b'i0', b'u-1', b'x8', b'8', b'', b'u', b'U8', b'i08', b'i 8']
OVERFLOWS = [b'WRAP', b'sat', b'SAT', b'fail', b'FAIL', b'fail']


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.shapes = [
            lambda k: [b'SET', k, self.value()],
            lambda k: [b'SETBIT', k, self.rarely(OFFSETS, OFFSETS[:14]),
                       self.pick([b'0', b'1', b'1', b'1', b'0', b'2', b'x', b''])],
            lambda k: [b'SETBIT', k, b'%d' % self.random.randrange(5000), self.pick([b'0', b'1'])],
            lambda k: [b'GETBIT', k, self.pick(OFFSETS)],
            lambda k: [b'GETBIT', k, b'%d' % self.random.randrange(5000)],
            lambda k: [b'BITCOUNT', k],
            lambda k: [b'BITCOUNT', k] + self.range(),
            lambda k: [b'BITCOUNT', k, self.number(), self.number(), self.pick(UNITS)],
            lambda k: [b'BITPOS', k, self.pick([b'0', b'1', b'1', b'0', b'2', b'x'])] +
            self.range(),
            lambda k: [b'BITPOS', k, self.pick([b'0', b'1']), self.number(), self.number(),
                       self.pick(UNITS)],
            lambda k: [b'BITOP', self.pick([b'AND', b'or', b'XOR', b'NOT', b'nand']), k] +
            self.keys(),
            lambda k: [b'BITOP', self.pick([b'AND', b'OR', b'XOR']), k] + self.keys() + self.keys(),
            lambda k: [b'BITOP', b'NOT', k, self.pick(KEYS)],
            lambda k: [b'BITFIELD', k] + self.fields(),
            lambda k: [b'BITFIELD', k] + self.fields(),
            lambda k: [b'BITFIELD_RO', k] + self.fields(),
            lambda k: [b'BITFIELD_RO', k, b'GET', self.pick(WIDTHS), self.pick(FIELD_OFFSETS)],
            lambda k: [b'GET', k],
            lambda k: [b'STRLEN', k],
            lambda k: [b'DUMP', k],
            lambda k: [b'OBJECT', b'ENCODING', k],
            lambda k: [b'APPEND', k, self.value()],
            lambda k: [b'DEL', k],
            lambda k: [self.pick([b'SETBIT', b'GETBIT', b'BITPOS', b'BITOP', b'BITFIELD',
                                  b'BITCOUNT'])] + [k] * self.random.randrange(5),
        ]

    def rarely(self, odd, usual):
        return self.pick(odd if self.random.random() < 0.1 else usual)

    def value(self):
        if self.random.random() < 0.6:
            return self.pick(VALUES)
        return self.random.randbytes(self.random.randrange(1000))

    def number(self):
        if self.random.random() < 0.5:
            return self.pick(RANGE)
        return b'%d' % self.random.randrange(-600, 600)

    def range(self):
        return [self.number() for _ in range(self.random.randrange(4))]

    def keys(self):
        return [self.pick(KEYS) for _ in range(self.random.randrange(1, 4))]

    def fields(self):
        out = []
        for _ in range(self.pick([0, 1, 1, 2, 3, 6])):
            width = self.rarely(BAD_WIDTHS, WIDTHS)
            at = self.rarely(FIELD_OFFSETS, OFFSETS[:14] + [b'#0', b'#1', b'#2', b'#10'])
            out += self.pick([[b'GET', width, at], [b'set', width, at, self.pick(SET_INTS)],
                              [b'INCRBY', width, at, self.pick(INTS[:18])],
                              [b'INCRBY', width, at, self.rarely(INTS, INTS[:18])],
                              [b'OVERFLOW', self.rarely([b'q', b''], OVERFLOWS)]])
        if self.random.random() < 0.05:
            out = out[:-1]
        return out

    def command(self):
        return self.pick(self.shapes)(self.pick(KEYS))


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence))
