"""The same commands to redis-server and to ours; every reply must be the same.

    <script>.py <ours> [seed [commands [resp]]]

Ours is harness-replay (the commands of core/ without a server) or ashlar-server, which is then started
with the flags in ASHLAR_FLAGS (--shards 4 unless given). A redis-server is started on a port of its own.
Both are stopped at the end. Prints the first differences, and how many there were.
"""
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time


def crc64(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95ac9329ac4bc9b5 if crc & 1 else 0)
    return crc


def signed(body, version=10):
    """A payload for RESTORE: version of the format and checksum follow the body."""
    data = body + version.to_bytes(2, 'little')
    return data + crc64(data).to_bytes(8, 'little')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A server with one connection to it."""

    def __init__(self, resp, command):
        port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        self.server = subprocess.Popen(command + ['--port', str(port), '--bind', '127.0.0.1', '--save', ''],
                                       stdout=subprocess.DEVNULL, cwd=self.folder.name)
        for _ in range(400):
            try:
                self.socket = socket.create_connection(('127.0.0.1', port), timeout=60)
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise SystemExit(f'{command[0]} did not start')
        self.input = self.socket.makefile('rb')
        if resp == 3:
            self.run([b'HELLO', b'3'])

    def run(self, words):
        self.socket.sendall(b'*%d\r\n' % len(words) +
                            b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.input.readline()
        if not line:
            raise ConnectionError('the server closed the connection')
        kind = line[:1]
        if kind in (b'$', b'='):
            length = int(line[1:])
            return line if length < 0 else line + self.input.read(length + 2)
        if kind in (b'*', b'%', b'~', b'>'):
            count = max(int(line[1:]), 0) * (2 if kind == b'%' else 1)
            return line + b''.join(self.reply() for _ in range(count))
        return line

    def stop(self):
        self.socket.close()
        self.server.terminate()
        self.server.wait()
        self.folder.cleanup()


class Redis(Server):
    def __init__(self, resp):
        super().__init__(resp, ['redis-server'])


def replay(program, commands, resp, set_up=()):
    """Ours, from an empty keyspace: a reply for each command."""
    if os.path.basename(program) == 'ashlar-server':
        server = Server(resp, [os.path.abspath(program), *os.environ.get('ASHLAR_FLAGS', '--shards 4').split()])
        try:
            for words in set_up:
                server.run(words)
            for words in commands:
                yield server.run(words)
        finally:
            server.stop()
        return

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


class Random:
    """What the generators of commands have in common."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    @classmethod
    def sequence(cls, seed, count):
        generator = cls(seed)
        return [generator.command() for _ in range(count)]

    def pick(self, values):
        return self.random.choice(values)

    def rarely(self, odd, usual):
        """Mostly one of the usual values, so that commands get past their arguments."""
        return self.pick(odd if self.random.random() < 0.15 else usual)


def same(_words, reply):
    return reply


def compare(generate, comparable=same, set_up=(), after=None, commands=20000):
    """generate(seed, count): the commands. comparable(words, reply): what of a reply must be the same.
    set_up: commands for both servers (the harness has those settings). after(program, commands, redis, resp): further checks, returns
    differences. The exit status."""
    program = sys.argv[1]
    seed, count, resp = [int(a) for a in (sys.argv[2:] + ['1', str(commands), '2'][len(sys.argv) - 2:])]
    commands = generate(seed, count)
    redis = Redis(resp)
    started = time.time()
    different = errors = 0
    try:
        for words in set_up:
            redis.run(words)
        ours = list(replay(program, commands, resp, set_up))
        assert len(ours) == len(commands), f'{len(ours)} replies to {len(commands)} commands'
        for i, (words, our) in enumerate(zip(commands, ours)):
            their = redis.run(words)
            errors += their[:1] == b'-'
            if comparable(words, our) != comparable(words, their):
                different += 1
                if different <= 10:
                    print(i, [w[:60] for w in words][:12])
                    print('  redis', their[:1000])
                    print('  ours ', our[:1000])
        if after is not None:
            different += after(program, commands, redis, resp)
    finally:
        redis.stop()
    print(f'seed {seed}, RESP{resp}: {len(commands)} commands, {errors} of them errors, {different} different '
          f'({time.time() - started:.1f} s)')
    return different != 0
