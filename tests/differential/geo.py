#!/usr/bin/env python3
"""Random geo commands to redis-server and to ours; every reply must be the same.

    geo.py <ours> [seed [commands [resp]]]

As oracle.py says. COUNT without ANY is compared only where all distances differ: which of
several members at the same distance it leaves out is chance. So places are random there, and those
that repeat (poles, date line, corners) live in keys of their own, which are not asked with COUNT."""
import sys

from oracle import Random, compare

RANDOM_KEYS = [b'r1', b'r2']
EDGE_KEYS = [b'e1', b'e2', b'{x}e']
EDGES = [(b'0', b'0'), (b'180', b'0'), (b'-180', b'0'), (b'180', b'85.05112878'),
         (b'-180', b'-85.05112878'), (b'0', b'85.05112878'), (b'179.999999', b'10'),
         (b'-179.999999', b'10'), (b'90', b'66.5'), (b'90', b'-80.5'), (b'0.0000001', b'-0.0000001'),
         (b'13.361389', b'38.115556'), (b'15.087269', b'37.502669')]
BAD = [(b'181', b'0'), (b'0', b'86'), (b'x', b'0'), (b'0', b'nan'), (b'inf', b'0'), (b'', b'1'),
       (b'1e400', b'0')]
RADII = [b'0', b'1', b'100', b'5000', b'200000', b'1000000', b'6000000', b'21000000', b'1e300',
         b'0.5', b'1e-9', b'inf']
BAD_RADII = [b'-1', b'x', b'', b'nan']
UNITS = [b'm', b'm', b'M', b'km', b'KM', b'ft', b'mi', b'mi']
SCORES = [b'1', b'-1', b'1e300', b'-1e300', b'inf', b'-inf', b'3479099956230698', b'0.5',
          b'4503599627370496', b'9223372036854775808', b'18446744073709551616']


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.shapes = [
            lambda k: self.add(k),
            lambda k: self.add(k),
            lambda k: self.add(k),
            lambda k: [b'GEOPOS', k] + self.members(k, 5),
            lambda k: [b'GEOHASH', k] + self.members(k, 5),
            lambda k: [b'GEODIST', k, self.member(k), self.member(k)] +
            self.pick([[], [], [self.unit()], [self.unit(), b'x']]),
            lambda k: [b'GEORADIUS', k] + self.place(k) + [self.radius(), self.unit()] +
            self.options(k, True),
            lambda k: [b'GEORADIUS_RO', k] + self.place(k) + [self.radius(), self.unit()] +
            self.options(k, self.random.random() < 0.1),
            lambda k: [b'GEORADIUSBYMEMBER', k, self.member(k), self.radius(), self.unit()] +
            self.options(k, True),
            lambda k: [b'GEORADIUSBYMEMBER_RO', k, self.member(k), self.radius(), self.unit()] +
            self.options(k, self.random.random() < 0.1),
            lambda k: [b'GEOSEARCH', k] + self.search(k) + self.options(k, False),
            lambda k: [b'geosearch', k] + self.search(k) + self.options(k, False),
            lambda k: [b'GEOSEARCH', k] + self.search(k) + self.options(k, False),
            lambda k: [b'GEOSEARCHSTORE', self.store(k), k] + self.search(k) +
            self.options(k, False, self.random.random() < 0.1),
            lambda k: [b'ZRANGE', k, b'0', b'-1', b'WITHSCORES'],
            lambda k: [b'ZRANGE', b'd', b'0', b'-1', b'WITHSCORES'],
            lambda k: [b'OBJECT', b'ENCODING', self.pick([b'd', k])],
            lambda k: [b'ZREM', k] + self.members(k, 4),
        ]
        self.rare = [
            lambda k: [b'SET', k, b'x'],
            lambda k: [b'DEL', k],
            lambda k: [b'DEL', k],
            lambda k: [b'ZADD', self.pick(EDGE_KEYS), self.pick(SCORES), b'odd'],
            lambda k: [self.pick([b'GEOADD', b'GEOPOS', b'GEODIST', b'GEOHASH', b'GEORADIUS',
                                  b'GEOSEARCH', b'GEOSEARCHSTORE', b'GEORADIUSBYMEMBER'])] +
            [k] * self.random.randrange(9),
        ]

    def member(self, key):
        if key in EDGE_KEYS and self.random.random() < 0.2:
            return self.pick([b'odd', b'', b'no such'])
        return b'%d' % self.random.randrange(300) if key in RANDOM_KEYS else self.pick(
            [b'a', b'bb', b'12', b'-7', b'x' * 70, b'c', b'd'])

    def members(self, key, below):
        return [self.member(key) for _ in range(self.random.randrange(below))]

    def place(self, key):
        if self.random.random() < 0.03:
            return list(self.pick(BAD))
        if key in EDGE_KEYS and self.random.random() < 0.8:
            return list(self.pick(EDGES))
        near = self.random.random() < 0.7
        around = self.pick([(2, 48), (-70, -33), (179, 70), (100, 1)])
        return [b'%.6f' % (max(-180, min(180, around[0] + self.random.gauss(0, 2)))
                           if near else self.random.uniform(-180, 180)),
                b'%.6f' % (around[1] + self.random.gauss(0, 2)
                           if near else self.random.uniform(-85, 85))]

    def radius(self):
        if self.random.random() < 0.03:
            return self.pick(BAD_RADII)
        return self.pick(RADII) if self.random.random() < 0.6 else b'%.2f' % (
            10 ** self.random.uniform(0, 8))

    def unit(self):
        return self.pick([b'x', b'']) if self.random.random() < 0.02 else self.pick(UNITS)

    def add(self, key):
        out = [b'GEOADD', key] + self.pick([[], [], [], [b'NX'], [b'xx'], [b'CH'], [b'CH', b'XX'],
                                            [b'NX', b'XX']])
        for _ in range(self.pick([1, 1, 2, 5, 20])):
            out += self.place(key) + [self.member(key)]
        return out[:-1] if self.random.random() < 0.02 else out

    def store(self, key):
        return key if key in EDGE_KEYS and self.random.random() < 0.1 else b'd'

    def search(self, key):
        center = self.pick([[b'FROMLONLAT'] + self.place(key), [b'frommember', self.member(key)]])
        shape = self.pick([[b'BYRADIUS', self.radius(), self.unit()],
                           [b'bybox', self.radius(), self.radius(), self.unit()]])
        out = center + shape if self.random.random() < 0.5 else shape + center
        if self.random.random() < 0.04:
            out += self.pick([center, shape, [b'FROMLONLAT', b'1', b'1'], [b'BYRADIUS', b'1', b'm'],
                              [b'BYBOX', b'1', b'1', b'm']])
        if self.random.random() < 0.03:
            out = self.pick([center, shape, out[:-1]])
        return out

    def options(self, key, radius_store, extras=True):
        out = []
        words = [[b'ASC'], [b'desc']]
        if extras:
            words += [[b'WITHDIST'], [b'withcoord'], [b'WITHHASH']]
        if key in RANDOM_KEYS:
            words += [[b'COUNT', b'%d' % self.random.randrange(1, 30)]] * 2
        words += [[b'COUNT', b'%d' % self.random.randrange(1, 5), b'ANY']]
        if radius_store:
            words += [[b'STORE', self.store(key)], [b'STOREDIST', self.store(key)]]
        if self.random.random() < 0.05:
            words += [[b'COUNT', b'0'], [b'COUNT', b'x'], [b'ANY'], [b'COUNT'], [b'q'], [b'STORE'],
                      [b'STOREDIST']] * 2
        stored = False
        for _ in range(self.random.randrange(4)):
            option = self.pick(words)
            if option[0] in (b'STORE', b'STOREDIST'):
                if stored:
                    continue
                stored = True
            out += option
        if not extras and self.random.random() < 0.7:
            out += [b'STOREDIST']
        return out

    def command(self):
        return self.pick(self.rare if self.random.random() < 0.03 else self.shapes)(
            self.pick(RANDOM_KEYS + EDGE_KEYS))


if __name__ == '__main__':
    sys.exit(compare(Generator.sequence))
