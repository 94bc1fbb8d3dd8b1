#!/usr/bin/env python3
"""Random stream commands to redis-server and to ours; every reply must be the same.

    streams.py <ours> [seed [commands [resp]]]

As oracle.py says. Ids are small numbers, so that commands meet; automatic ids and times are left
out, as the clocks of the two differ. XREADGROUP, XCLAIM and XAUTOCLAIM make the consumer in any case, as
Redis does since 7.2; redis-server 7.0 only when there is something to deliver, so the consumer is made
before. Of XINFO, fields that depend on the clock or on how trees are built are not compared."""
import re
import sys

from oracle import Random, compare, replay, signed

KEYS = [b's', b't', b'{s}u', b'str']
GROUPS = [b'g', b'h', b'5']
CONSUMERS = [b'alice', b'bob', b'7', b'streams']
FIELDS = [b'f', b'field', b'12', b'', b'-7', b'x' * 70, b'007']
VALUES = [b'v', b'', b'0', b'127', b'128', b'-1', b'-4096', b'-4097', b'4095', b'4096', b'32767', b'32768',
          b'-32769', b'8388607', b'8388608', b'2147483647', b'2147483648', b'-9223372036854775808',
          b'9223372036854775807', b'9223372036854775808', b'01', b'x' * 63, b'x' * 64, b'y' * 127, b'y' * 125,
          b'z' * 4095, b'z' * 4096, b'\0\r\n\xff', b'1.5']
BIG = [b'18446744073709551615-18446744073709551615', b'18446744073709551615-0', b'18446744073709551615',
       b'18446744073709551616-0']
BAD_IDS = [b'', b'x', b'-', b'+', b'1-', b'-1', b'1-2-3', b'1-x', b'*', b'5-*', b'0-*', b'$', b'>', b'(5', b'1--1', b'007',
           b'007-01', b' 7', b'+7', b'1--02', b'5 ', b'9' * 130, b'0-0', b'0', b'9223372036854775808-1',
           b'~', b'='] + BIG
COUNTS = [b'0', b'1', b'2', b'3', b'4', b'7', b'10', b'20', b'100'] * 3 + [b'-1', b'x', b'', b'9223372036854775807']


def comparable(words, reply):
    name = words[0].lower()
    if name == b'xinfo':
        # radix-tree-nodes; times; and the fields of 7.2
        reply = re.sub(rb'(radix-tree-nodes|seen-time|idle)\r\n:\d+', rb'\1', reply)
        reply = re.sub(rb'\$(8|11)\r\n(inactive|active-time)\r\n:-?\d+\r\n', b'', reply)
        reply = re.sub(rb'[*%]\d+\r\n(?=\$4\r\nname)', b'', reply)
        reply = re.sub(rb':1[67]\d{11}\r\n', b':now\r\n', reply)
    if name == b'xpending':
        reply = re.sub(rb':\d+\r\n(?=:\d+\r\n)', b':idle\r\n', reply)
    if name == b'dump':
        return reply[:6]
    return reply


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.top = 1
        self.shapes = [
            (30, self.xadd), (6, self.xdel), (4, self.xtrim), (8, self.xrange), (6, self.xread), (10, self.xreadgroup),
            (8, self.xgroup), (6, self.xack), (6, self.xpending), (6, self.xclaim), (5, self.xautoclaim), (8, self.xinfo),
            (2, self.xsetid), (2, lambda k: [[b'XLEN', k]]), (0.4, lambda k: [[b'DEL', k]] + self.groups(k)),
            (2, lambda k: [[b'COPY', k, self.pick(KEYS), b'REPLACE']]), (0.3, lambda k: [[b'RENAME', k, self.pick(KEYS)]] + self.groups(k)),
            (1, lambda k: [[b'TYPE', k]]), (1, lambda k: [[b'OBJECT', b'ENCODING', k]]),
            (1, lambda k: [[b'SET', b'str', b'x']]), (1, self.malformed),
        ]

    def groups(self, k):
        return [[b'XGROUP', b'CREATE', k, g, b'0', b'MKSTREAM'] for g in GROUPS]

    def chance(self, p):
        return self.random.random() < p

    def word(self, w):
        return self.pick([w, w, w.lower()])

    def new_id(self):
        if self.chance(0.04):
            return self.pick(BAD_IDS[:-4] if self.chance(0.9) else BAD_IDS)
        if self.chance(0.1):
            return b'%d' % self.top
        if self.chance(0.2):
            return b'%d-*' % (self.top + self.pick([0, 0, 1]))
        self.top += self.pick([0, 0, 0, 1, 1, 1, 2, 200])
        return b'%d-%d' % (self.top, self.random.randrange(12 if self.chance(0.8) else 300))

    def old_id(self):
        if self.chance(0.04):
            return self.pick(BAD_IDS)
        ms = max(0, self.top - self.random.randrange(self.pick([4, 40, 400])))
        return b'%d-%d' % (ms, self.random.randrange(12)) if self.chance(0.9) else b'%d' % ms

    def bound(self, special):
        if self.chance(0.3):
            return special
        return self.pick([b'', b'', b'', b'(']) + self.old_id()

    def trim(self):
        out = [self.word(self.pick([b'MAXLEN', b'MINID']))]
        out += self.pick([[], [], [b'~'], [b'=']])
        out.append(self.pick([b'0', b'3', b'10', b'50', b'-1', b'x']) if out[0].lower() == b'maxlen' else self.old_id())
        if self.chance(0.15):
            out += [b'LIMIT', self.pick(COUNTS)]
        return out

    def pairs(self):
        if self.chance(0.6):
            return [b'f', self.pick(VALUES), b'12', self.pick(VALUES)]
        n = self.random.randrange(0 if self.chance(0.05) else 1, 5)
        out = [self.pick(FIELDS if i % 2 == 0 else VALUES) for i in range(2 * n)]
        return out + ([b'odd'] if self.chance(0.02) else [])

    def xadd(self, k):
        out = [b'XADD', k]
        if self.chance(0.1):
            out.append(self.word(b'NOMKSTREAM'))
        if self.chance(0.08):
            out += self.trim()
        return [out + [self.new_id()] + self.pairs()]

    def xdel(self, k):
        return [[b'XDEL', k] + [self.old_id() for _ in range(self.random.randrange(1, 6))]]

    def xtrim(self, k):
        return [[b'XTRIM', k] + (self.trim() if self.chance(0.95) else [self.pick(COUNTS), b'q'])]

    def xrange(self, k):
        out = [b'XRANGE', k, self.bound(b'-'), self.bound(b'+')] if self.chance(0.5) else [
            b'XREVRANGE', k, self.bound(b'+'), self.bound(b'-')]
        return [out + self.pick([[]] * 8 + [[b'COUNT', self.pick(COUNTS)]] * 8 + [[b'count'], [b'q', b'1']])]

    def streams(self, ids):
        n = self.pick([1, 1, 1, 2, 3])
        keys = [self.pick(KEYS[:3] if self.chance(0.97) else KEYS) for _ in range(n)]
        out = [self.word(b'STREAMS')] + keys + [self.pick(ids) if self.chance(0.4) else self.old_id() for _ in range(n)]
        return (out[:-1] if self.chance(0.02) else out), keys

    def read_options(self):
        out = []
        if self.chance(0.6):
            out += [self.word(b'COUNT'), self.pick(COUNTS)]
        if self.chance(0.02):
            out += [b'BLOCK', self.pick([b'x', b'-1', b''])]
        if self.chance(0.01):
            out += [self.pick([b'q', b'NOACK', b'GROUP', b'COUNT'])]
        return out

    def xread(self, k):
        return [[b'XREAD'] + self.read_options() + self.streams([b'$', b'0', b'0-0'])[0]]

    def xreadgroup(self, k):
        group, consumer = self.pick(GROUPS), self.pick(CONSUMERS)
        streams, keys = self.streams([b'>', b'>', b'>', b'>', b'0'] if self.chance(0.97) else [b'$', b'>'])
        name = [self.word(b'GROUP'), group, consumer]
        options = self.read_options()
        if self.chance(0.15):
            options.insert(0, self.word(b'NOACK'))
        words = name + options if self.chance(0.7) else options + name
        return [[b'XGROUP', b'CREATECONSUMER', key, group, consumer] for key in keys] + [
            [b'XREADGROUP'] + words + streams]

    def xgroup(self, k):
        g = self.pick(GROUPS)
        return [self.pick([
            [b'XGROUP', self.word(b'CREATE'), k, g, self.pick([b'0', b'$', self.old_id()])] + self.pick(
                [[], [b'MKSTREAM'], [b'ENTRIESREAD', self.pick(COUNTS)], [b'MKSTREAM', b'ENTRIESREAD', b'3'],
                 [b'q'], [b'MKSTREAM', b'MKSTREAM', b'MKSTREAM', b'MKSTREAM']]),
            [b'XGROUP', b'CREATE', k, g, self.pick([b'0', b'$', self.old_id()])],
            [b'XGROUP', b'SETID', k, g, self.pick([b'0', b'$', self.old_id()])] + self.pick(
                [[], [b'ENTRIESREAD', self.pick(COUNTS)], [b'ENTRIESREAD'], [b'MKSTREAM']]),
            [b'XGROUP', b'DESTROY', k, g] if self.chance(0.1) else [b'XLEN', k],
            [b'XGROUP', b'CREATECONSUMER', k, g, self.pick(CONSUMERS)],
            [b'XGROUP', b'DELCONSUMER', k, g, self.pick(CONSUMERS)],
        ])]

    def ids(self, below=5):
        return [self.old_id() for _ in range(self.random.randrange(1, below))]

    def xack(self, k):
        return [[b'XACK', k, self.pick(GROUPS)] + self.ids()]

    def xpending(self, k):
        out = [b'XPENDING', k, self.pick(GROUPS)]
        if self.chance(0.3):
            return [out]
        if self.chance(0.2):
            out += [b'IDLE', self.pick([b'0', b'100000000', b'x', b'-5'])]
        out += [self.bound(b'-'), self.bound(b'+'), self.pick(COUNTS)]
        return [out + self.pick([[], [], [self.pick(CONSUMERS)], [b'nobody'], [b'a', b'b']])]

    def claim(self, name, k):
        g, consumer = self.pick(GROUPS), self.pick(CONSUMERS)
        return [[b'XGROUP', b'CREATECONSUMER', k, g, consumer],
                [name, k, g, consumer, self.pick([b'0'] * 9 + [b'100000000', b'-1', b'x'])]]

    def xclaim(self, k):
        out = self.claim(b'XCLAIM', k)
        out[1] += self.ids(6)
        for _ in range(self.pick([0, 0, 1, 2])):
            out[1] += self.pick([[b'FORCE'], [b'JUSTID'], [b'IDLE', b'5'], [b'IDLE', b'x'], [b'TIME', b'1000'],
                                 [b'TIME', b'x'], [b'RETRYCOUNT', b'7'], [b'RETRYCOUNT', b'-3'], [b'LASTID', self.old_id()],
                                 [b'q'], [b'force', b'justid'], [b'IDLE']])
        return out

    def xautoclaim(self, k):
        out = self.claim(b'XAUTOCLAIM', k)
        out[1].append(self.bound(b'-'))
        out[1] += self.pick([[], [], [b'COUNT', self.pick([b'1', b'2', b'5', b'0', b'x', b'-1'])], [b'JUSTID'], [b'q'],
                             [b'COUNT', b'2', b'JUSTID'], [b'COUNT']])
        return out

    def xinfo(self, k):
        return [self.pick([
            [b'XINFO', b'STREAM', k], [b'XINFO', b'STREAM', k, b'FULL', b'COUNT', self.pick(COUNTS)],
            [b'XINFO', b'STREAM', k, b'FULL', b'COUNT', b'0'], [b'xinfo', b'groups', k],
            [b'XINFO', b'STREAM', k] + self.pick([[b'q'], [b'FULL'], [b'FULL', b'COUNT'], [b'FULL', b'q', b'1']]),
            [b'XINFO', b'CONSUMERS', k, self.pick(GROUPS)], [b'XINFO', b'GROUPS', k]])]

    def xsetid(self, k):
        return [[b'XSETID', k, self.pick([b'%d-5' % self.top, b'%d' % (self.top + 3), self.old_id()])] + self.pick(
            [[], [], [b'ENTRIESADDED', self.pick(COUNTS)], [b'MAXDELETEDID', self.old_id()], [b'q'],
             [b'ENTRIESADDED', b'1000', b'MAXDELETEDID', self.old_id()], [b'ENTRIESADDED']])]

    def malformed(self, k):
        name = self.pick([b'XADD', b'XDEL', b'XRANGE', b'XREAD', b'XREADGROUP', b'XACK', b'XCLAIM', b'XTRIM', b'XSETID'])
        return [[name] + [self.pick(KEYS + BAD_IDS + [b'STREAMS', b'COUNT', b'GROUP', b'BLOCK', b'MAXLEN'])
                          for _ in range(self.random.randrange(7))]]

    def commands(self):
        weights, shapes = zip(*self.shapes)
        return self.random.choices(shapes, weights)[0](self.pick(KEYS if self.chance(0.03) else KEYS[:3]))


def quiet(words):
    """Commands whose reply depends on the clock, or on the version."""
    if words[0].lower() == b'xadd':
        return b'*' in words
    if words[0].lower() in (b'xread', b'xreadgroup') and b'+' in words:
        return True  # an id since 7.4
    return words[0].lower() in (b'xread', b'xreadgroup') and b'BLOCK' in words[:-1] and words[
        words.index(b'BLOCK') + 1] not in (b'x', b'-1', b'')


def commands(seed, count):
    generator = Generator(seed)
    out = sum(map(generator.groups, KEYS[:3]), [])
    while len(out) < count:
        out += [c for c in generator.commands() if not quiet(c)]
    return out


def damaged(body, random):
    broken = bytearray(body[:-10])
    for _ in range(random.randrange(1, 4)):
        broken[random.randrange(len(broken))] = random.randrange(256)
    return signed(bytes(broken))


def exchange(program, _commands, redis, resp):
    """What is saved is the same bytes, and read back the same stream; damaged payloads do no harm."""
    different = 0
    random = Random(len(_commands)).random
    for k in KEYS[:3]:
        payload = redis.run([b'DUMP', k])
        if payload[:1] != b'$' or payload[:2] == b'$-':
            continue
        body = payload[payload.index(b'\r\n') + 2:-2]
        info = [b'XINFO', b'STREAM', k, b'FULL', b'COUNT', b'0']
        entries = [b'XRANGE', k, b'-', b'+']
        restored, saved, our_info, our_entries = replay(
            program, [[b'RESTORE', k, b'0', body], [b'DUMP', k], info, entries], resp)
        if (restored != b'+OK\r\n' or saved != payload or our_entries != redis.run(entries) or
                comparable(info, our_info) != comparable(info, redis.run(info))):
            different += 1
            print('payload of', k, restored, len(saved), len(payload), saved == payload)
        for _ in range(0, len(body) - 10, 97):
            restore = [b'RESTORE', k, b'0', damaged(body, random)]
            list(replay(program, [restore, entries, [b'XREVRANGE', k, b'+', b'-'], info,
                                  [b'XADD', k, b'*', b'a', b'b'], [b'XTRIM', k, b'MAXLEN', b'2'],
                                  [b'XDEL', k, b'1-1', b'2-2'], [b'XTRIM', k, b'MINID', b'10-0'],
                                  [b'DUMP', k]], resp))
    return different


if __name__ == '__main__':
    sys.exit(compare(commands, comparable, after=exchange))
