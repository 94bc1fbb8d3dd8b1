#!/usr/bin/env python3
"""Random hash commands to redis-server and to ours; every reply must be the same.

    hashes.py <ours> [seed [commands [resp]]]

As oracle.py says. Large hashes have an order of their own in either server: what lists fields is
compared without regard to order, DUMP of them by its length only. Draws (HRANDFIELD) are compared by
the number of their elements. Fields that expire are newer than this redis-server: they are
tested in core_cmd_hash.c."""
import sys

from oracle import Random, compare, signed
from strings import FLOATS, INTS, VALUES

KEYS = [b'a', b'b', b'c', b'd']
FIELDS = [b'f', b'g', b'', b'1', b'-5', b'007', b'9223372036854775807', b'z' * 64, b'z' * 65,
          b'\x00\r\n', b'3.0', b'127', b'128', b'4095', b'-4097', b'65536', b'x' * 500]
MANY = [b'field:%d' % i for i in range(150)] + [b'%d' % (i * 37) for i in range(150)]
PATTERNS = [b'*', b'f*', b'field:1?', b'[0-9]*', b'', b'nosuch', b'*1']
COUNTS = [b'0', b'1', b'-1', b'3', b'-7', b'100', b'1000', b'-1000', b'x', b'',
          b'9223372036854775807', b'-9223372036854775808', b'4611686018427387904',
          b'-9223372036854775807']
# none that would make either server draw for ever
SMALL_COUNTS = COUNTS[:10]
UNORDERED = (b'HGETALL', b'HKEYS', b'HVALS', b'HSCAN')
HASHTABLE = b'\x04'  # the type in a payload
LISTPACK = (b'\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff')
BODIES = [b'\4\1\1f\1v', b'\4\2\1f\1v\1g\xc0\x05', b'\4\0', b'\4\1\1f', b'\4\2\1f\1v',
          LISTPACK, LISTPACK[:-1] + b'\0', LISTPACK[:-1], LISTPACK[:6] + b'\x03' + LISTPACK[7:],
          b'\x10\x07\x07\0\0\0\0\0\xff', b'\x10\x09\x09\0\0\0\1\0\x01\x01\xff',
          b'\x10\xc0\1', b'\4\x80\x00\x3f\xff\xff\1f\1v', b'\4\1\1f\x41\x00' + b'v' * 256]
PAYLOADS = [signed(b) for b in BODIES]


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.shapes = [
            lambda k: [b'HSET', k] + self.pairs(3),
            lambda k: [b'HSET', k] + self.pairs(3),
            lambda k: [b'HSET', k, self.field(), self.pick(INTS)],
            lambda k: [b'HSET', k] + self.many(),
            lambda k: [b'HSET', k] + self.many(),
            lambda k: [b'HMSET', k] + self.pairs(3),
            lambda k: [b'HSETNX', k, self.field(), self.value()],
            lambda k: [b'HGET', k, self.field()],
            lambda k: [b'HMGET', k] + self.fields(5),
            lambda k: [b'HDEL', k] + self.fields(5),
            lambda k: [b'HDEL', k] + self.random.sample(MANY, 60),
            lambda k: [b'HLEN', k],
            lambda k: [b'HSTRLEN', k, self.field()],
            lambda k: [b'HEXISTS', k, self.field()],
            lambda k: [b'HINCRBY', k, self.field(), self.pick(INTS)],
            lambda k: [b'HINCRBY', k, b'n', self.pick(INTS)],
            lambda k: [b'HINCRBYFLOAT', k, self.field(), self.pick(FLOATS)],
            lambda k: [b'HINCRBYFLOAT', k, b'n', self.pick(FLOATS)],
            lambda k: [self.pick([b'HGETALL', b'HKEYS', b'HVALS']), k],
            lambda k: [b'HSCAN', k, b'0', b'COUNT', b'100000'] + self.scan_options(),
            lambda k: [b'HSCAN', k, self.pick([b'x', b'1x', b'18446744073709551616', b' 0'])],
            lambda k: [b'HRANDFIELD', k] + self.draw(),
            lambda k: [b'OBJECT', b'ENCODING', k],
            lambda k: [b'TYPE', k],
            lambda k: [b'EXISTS', k],
            lambda k: [b'DUMP', k],
            lambda k: [b'COPY', k, self.pick(KEYS), b'REPLACE'],
            lambda k: [b'RENAME', k, self.pick(KEYS)],
            lambda k: [b'RESTORE', k, b'0', self.pick(PAYLOADS), b'REPLACE'],
            lambda k: [self.pick([b'DEL', b'UNLINK', b'GET', b'EXISTS']), k],
            lambda k: [b'SET', k, b'v'] if self.random.random() < 0.2 else [b'DEL', k],
            lambda k: [self.pick([b'HSET', b'HMSET', b'HGET', b'HSETNX', b'HINCRBY', b'HDEL',
                                  b'HSCAN', b'HRANDFIELD', b'HMGET', b'HLEN'])] +
            [k] * self.random.randrange(5),
        ]

    def field(self):
        return self.pick(FIELDS if self.random.random() < 0.7 else MANY)

    def fields(self, below):
        return [self.field() for _ in range(self.random.randrange(below))]

    def value(self):
        return self.pick(VALUES + FIELDS)

    def pairs(self, below):
        short = self.random.random() < 0.7
        out = []
        for _ in range(self.random.randrange(1, below + 1)):
            out += [self.field(), self.value()]
        if short:
            out = [w[:64] for w in out]
        return out + ([b'odd'] if self.random.random() < 0.03 else [])

    def many(self):
        out = []
        for field in self.random.sample(MANY, self.random.randrange(100)):
            out += [field, self.pick([b'v', b'12', field])]
        return out

    def draw(self):
        if self.random.random() < 0.1:
            return []
        out = [self.pick(SMALL_COUNTS)]
        if self.random.random() < 0.5:
            out = [self.pick(SMALL_COUNTS), self.pick([b'WITHVALUES', b'withvalues', b'q'])]
        return out + ([b'q'] if self.random.random() < 0.05 else [])

    def scan_options(self):
        out = []
        for _ in range(self.random.randrange(3)):
            out += self.pick([[b'MATCH', self.pick(PATTERNS)], [b'match', b'*'], [b'COUNT'],
                              [b'COUNT', b'0'], [b'COUNT', b'x'], [b'TYPE', b'hash'], [b'q']])
        return out

    def command(self):
        return self.pick(self.shapes)(self.pick(KEYS))


def comparable(words, reply):
    if reply[:1] in b'*%' and words[0] in UNORDERED:
        return sorted(reply.split(b'\r\n'))
    if words[0] == b'HRANDFIELD' and reply[:1] in b'$*':
        return reply.split(b'\r\n')[0] if reply[:1] == b'*' else reply[:1]
    if words[0] == b'DUMP' and reply[:1] == b'$' and reply[reply.index(b'\n') + 1:][:1] == HASHTABLE:
        return len(reply)
    return reply


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence, comparable,
                     set_up=[[b'CONFIG', b'SET', b'hash-max-listpack-entries', b'128',
                              b'sanitize-dump-payload', b'yes']]))
