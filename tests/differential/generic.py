#!/usr/bin/env python3
"""Random commands on keys of any type to redis-server and to ours; every reply must be
the same.

    generic.py <ours> [seed [commands [resp]]]

As oracle.py says. Left out is what differs by chance or by the moment (RANDOMKEY, SCAN in
steps, TTL of keys that expire); replies of KEYS and SCAN are compared without regard to order.
OBJECT REFCOUNT is left out because Redis does not share the integers that COPY makes."""
import sys

from oracle import Random, compare, signed

KEYS = [b'a', b'b', b'c', b'{x}1', b'{x}2']
ODD_KEYS = KEYS + [b'*', b'']
VALUES = [b'v', b'12', b'9999', b'10000', b'z' * 44, b'z' * 45, b'ab' * 300, b'', b'-5', b'007',
          b'12345678901234567890', b'9223372036854775807']
# none so short that a key is gone in one of the two only
TIMES = [b'0', b'-1', b'x', b'', b' 1', b'4102444800', b'4102444800000', b'5102444800000',
         b'9223372036854775', b'9223372036854776', b'9123372036854775806',
         b'-9223372036854775808', b'99999999999999999999']
FAR = [b'4102444800', b'4102444800000', b'5102444800000']
DATABASES = [b'0', b'1', b'1', b'15', b'16', b'-1', b'x', b'', b'4294967296']
PATTERNS = [b'*', b'a', b'?', b'{x}*', b'{x}?', b'[ab]', b'{*', b'', b'\\a', b'[^a]', b'{x}1']
BODIES = [b'\0\1a', b'\0\0', b'\0\xc0\x85', b'\0\xc1\x39\x30', b'\0\xc2\0\0\1\0', b'\0\x0212',
          b'\0\x40\x03abc', b'\0\x80\0\0\0\x03abc', b'\0\x81\0\0\0\0\0\0\0\x03abc',
          b'\0\xc3\x04\x03\x02abc', b'\0\xc3\x06\x15\x01aa\xe0\x0a\0',
          # bad ones
          b'\0\x3fabc', b'\0\x80\x7f\0\0\0a', b'\0\x82\0', b'\0\xc4\0', b'\0\xff',
          b'\0\xc3\x04\x04\x02abc', b'\0\xc3\x03\x05\x20\x07a', b'\x7fa', b'\x08\1a']


PAYLOADS = [signed(b) for b in BODIES] + [signed(b'\0\1a', 9), signed(b'\0\1a', 999),
                                          signed(b'\0\1a')[:-1] + b'?', b'', b'short']


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        expire = [b'EXPIRE', b'pexpire', b'EXPIREAT', b'PEXPIREAT']
        self.shapes = [
            lambda k: [b'SET', k, self.pick(VALUES)],
            lambda k: [b'SET', k, self.pick(VALUES)],
            lambda k: [b'SET', k, self.pick(VALUES)],
            lambda k: [b'GET', k],
            lambda k: [b'APPEND', k, self.pick(VALUES)],
            lambda k: [self.pick([b'DEL', b'UNLINK'])] + self.several(KEYS, 3),
            lambda k: [self.pick([b'EXISTS', b'TOUCH'])] + self.several(KEYS, 4),
            lambda k: [self.pick(expire), k, self.pick(FAR)] + self.several(
                [b'NX', b'xx', b'GT', b'LT', b'Q'], 3),
            lambda k: [b'PEXPIREAT', k, self.pick(TIMES)],
            lambda k: [self.pick(expire), k, self.pick(TIMES)],
            lambda k: [b'PERSIST', k],
            lambda k: [self.pick([b'TTL', b'PTTL', b'EXPIRETIME']), b'nosuch'],
            lambda k: [b'TYPE', k],
            lambda k: [self.pick([b'RENAME', b'RENAMENX']), k, self.key()],
            lambda k: [b'COPY', k, self.key()] + self.pick([
                [], [b'REPLACE'], [b'DB', self.pick(DATABASES)], [b'db'], [b'q'],
                [b'replace', b'DB', b'1']]),
            lambda k: [b'MOVE', k, self.pick(DATABASES)],
            lambda k: [b'KEYS', self.pick(PATTERNS)],
            lambda k: [b'DBSIZE'],
            lambda k: [b'SWAPDB', self.pick(DATABASES), self.pick(DATABASES)],
            lambda k: [self.pick([b'FLUSHDB', b'FLUSHALL']), self.pick([b'x', b'SYNC', b'x'])],
            lambda k: [b'OBJECT', self.pick([b'ENCODING', b'FREQ']), k],
            lambda k: [b'DUMP', k],
            lambda k: [b'RESTORE', k, self.pick([b'0', b'0', b'x', b'-1', b'4102444800000']),
                       self.pick(PAYLOADS)] + self.restore_options(),
            lambda k: [b'RESTORE', k, b'0', self.pick(PAYLOADS), b'REPLACE'],
            lambda k: [b'SCAN', self.pick([b'x', b'1x', b'18446744073709551616', b' 0', b'+'])],
            lambda k: [b'SCAN', b'0', b'COUNT', b'10000'] + self.pick([
                [], [b'MATCH', self.pick(PATTERNS)], [b'TYPE', self.pick([b'string', b'LIST'])],
                [b'COUNT', b'0'], [b'COUNT', b'x'], [b'MATCH'], [b'q', b'1']]),
            lambda k: [self.pick([b'PERSIST', b'DUMP', b'MOVE', b'RESTORE', b'COPY'])] + [k] *
            self.random.randrange(4),
        ]

    def key(self):
        return self.pick(KEYS if self.random.random() < 0.95 else ODD_KEYS)

    def several(self, choices, below):
        return [self.pick(choices) for _ in range(self.random.randrange(below))]

    def restore_options(self):
        out = []
        for _ in range(self.random.randrange(4)):
            out += self.pick([[b'REPLACE'], [b'replace'], [b'ABSTTL'], [b'IDLETIME', b'5'],
                              [b'IDLETIME', b'-1'], [b'FREQ', b'7'], [b'FREQ', b'256'],
                              [b'IDLETIME'], [b'q']])
        return out

    def command(self):
        return self.pick(self.shapes)(self.key())


def comparable(words, reply):
    if words[0] in (b'KEYS', b'SCAN') and reply[:1] == b'*':
        return sorted(reply.split(b'\r\n'))
    return reply


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence, comparable))
