#!/usr/bin/env python3
"""Random string commands to a redis-server and to harness-replay; every reply must be the same.

    strings.py <harness-replay> [seed [commands [resp]]]

The generator prefers what borders on errors: bounds of integers, odd numbers, options that
contradict each other. Expiries lie minutes ahead or in the far future, so that the clock of the
two does not matter. A redis-server is started on a port of its own and stopped at the end."""
import random
import socket
import struct
import subprocess
import sys
import time

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


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
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

    def pick(self, choices):
        return self.random.choice(choices)

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


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Redis:
    def __init__(self, resp):
        port = free_port()
        self.server = subprocess.Popen(
            ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', ''],
            stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.socket = socket.create_connection(('127.0.0.1', port), timeout=10)
                break
            except OSError:
                time.sleep(0.05)
        self.input = self.socket.makefile('rb')
        if resp == 3:
            self.run([b'HELLO', b'3'])

    def run(self, words):
        self.socket.sendall(b'*%d\r\n' % len(words) +
                            b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.input.readline()
        kind = line[:1]
        if kind in (b'$', b'='):
            length = int(line[1:])
            return line if length < 0 else line + self.input.read(length + 2)
        if kind in (b'*', b'%', b'~', b'>'):
            count = max(int(line[1:]), 0) * (2 if kind == b'%' else 1)
            return line + b''.join(self.reply() for _ in range(count))
        return line

    def stop(self):
        self.server.terminate()
        self.server.wait()


def replay(program, commands, resp):
    def packed(data):
        return struct.pack('=I', len(data)) + data
    given = b''.join(struct.pack('=I', len(c)) + b''.join(map(packed, c)) for c in commands)
    out = subprocess.run([program, str(int(time.time() * 1000)), str(resp)], input=given,
                         stdout=subprocess.PIPE, check=True).stdout
    at = 0
    while at < len(out):
        length, = struct.unpack_from('=I', out, at)
        yield out[at + 4:at + 4 + length]
        at += 4 + length


def main():
    program = sys.argv[1]
    seed, count, resp = [int(a) for a in (sys.argv[2:] + ['1', '20000', '2'][len(sys.argv) - 2:])]
    generator = Generator(seed)
    commands = [generator.command() for _ in range(count)]
    redis = Redis(resp)
    different = 0
    try:
        ours = list(replay(program, commands, resp))
        assert len(ours) == count, 'replay gave %d replies' % len(ours)
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
    print('seed %d, RESP%d: %d commands, %d different' % (seed, resp, count, different))
    return different != 0


if __name__ == '__main__':
    sys.exit(main())
