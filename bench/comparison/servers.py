"""servers.py - starting servers pinned to cores, watching what they cost, filling them."""
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PAGE = os.sysconf('SC_PAGE_SIZE')
START_SECONDS = 30
STOP_SECONDS = 20
LOAD_BATCH = 500


class ServerError(Exception):
    pass


class Unsupported(ServerError):
    """The server does not know the command: the row is left empty."""


class Definition:
    """What to start: a name and a command line with {port} and {dir}."""

    def __init__(self, name, command, shards=None):
        self.name, self.command, self.shards = name, command, shards
        words = shlex.split(command)
        self.protocol = 'memcached' if words and os.path.basename(words[0]) == 'memcached' else 'resp'

    def installed(self):
        words = shlex.split(self.command)
        return bool(words) and shutil.which(words[0]) is not None

    def version(self):
        """The first line of --version."""
        try:
            r = subprocess.run([shlex.split(self.command)[0], '--version'], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=10)
            return (r.stdout.decode(errors='replace').strip().splitlines() or ['?'])[0][:200]
        except (OSError, subprocess.TimeoutExpired):
            return '?'


def ashlar(binary, shards, extra=''):
    name = 'ashlar' if shards == 1 else f'ashlar-{shards}'
    return Definition(name, f'{shlex.quote(binary)} --port {{port}} --bind 127.0.0.1 --dir {{dir}} --save "" '
                            f'--shards {shards} {extra}'.rstrip(), shards)


REDIS = Definition('redis', 'redis-server --port {port} --bind 127.0.0.1 --dir {dir} --save "" --appendonly no')
MEMCACHED = Definition('memcached', 'memcached -p {port} -U 0 -l 127.0.0.1 -t 1 -m 8192 -c 4096'
                       + (' -u root' if os.geteuid() == 0 else ''))


def cpu_ns(pid):
    """User and system time of all threads of a process, living and ended: its CPU clock."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def resident_bytes(pid):
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * PAGE


def encode(*words):
    return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%b\r\n' % (len(w), w) for w in words)


class Client:
    """A plain RESP2 client."""

    def __init__(self, port, timeout=600):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')

    def reply(self):
        line = self.file.readline()
        if not line:
            raise ServerError('the server closed the connection')
        kind, rest = line[:1], line[1:-2]
        if kind in b'+':
            return rest.decode()
        if kind == b':':
            return int(rest)
        if kind == b'-':
            text = rest.decode(errors='replace')
            raise (Unsupported if 'unknown command' in text else ServerError)(text)
        if kind == b'$':
            n = int(rest)
            return None if n < 0 else self.file.read(n + 2)[:-2]
        if kind == b'*':
            return [self.reply() for _ in range(int(rest))]
        raise ServerError(f'not a reply: {line[:80]!r}')

    def send(self, *words):
        self.socket.sendall(encode(*[w if isinstance(w, bytes) else str(w).encode() for w in words]))

    def command(self, *words):
        self.send(*words)
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port(first, taken):
    """The first port from here on that nobody listens on."""
    for port in range(first, first + 900):
        if port in taken:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port
    raise ServerError('no free port')


class Server:
    """A running server, in a directory of its own, on the cores given."""

    ports = set()

    def __init__(self, definition, first_port, cpus):
        self.definition, self.name, self.protocol = definition, definition.name, definition.protocol
        self.port = free_port(first_port, Server.ports)
        Server.ports.add(self.port)
        self.directory = tempfile.mkdtemp(prefix='ashlar-compare.')
        command = [w.replace('{port}', str(self.port)).replace('{dir}', self.directory)
                   for w in shlex.split(definition.command)]
        self.log_path = os.path.join(self.directory, 'server.log')
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            cwd=self.directory, start_new_session=True,
                                            preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        self.pid = self.process.pid
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_ready(self):
        end = time.monotonic() + START_SECONDS
        hello = b'version\r\n' if self.protocol == 'memcached' else encode(b'PING')
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 2) as s:
                    s.sendall(hello)
                    if s.recv(100).startswith((b'+', b'VERSION', b'-NOAUTH')):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise ServerError(f'{self.name} did not start: {self.last_words()}')

    def alive(self):
        return self.process.poll() is None

    def last_words(self, characters=2000):
        """The end of its log, on one line."""
        with open(self.log_path, errors='replace') as f:
            return ' '.join(f.read().split())[-characters:]

    def cpu_ns(self):
        return cpu_ns(self.pid)

    def resident_bytes(self):
        return resident_bytes(self.pid)

    def client(self):
        return Client(self.port)

    def supports(self, *words):
        """Does it know this command? Whatever else it answers does not matter."""
        with self.client() as c:
            try:
                c.command(*words)
            except Unsupported:
                return False
            except ServerError:
                pass
            return True

    def load(self, requests, lines=1, batch=LOAD_BATCH):
        """Sends encoded requests, each answered by so many lines, two batches in flight."""
        with socket.create_connection(('127.0.0.1', self.port), 600) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pending, part = 0, []

            def drain(limit):
                nonlocal pending
                while pending > limit:
                    data = s.recv(1 << 20)
                    if not data:
                        raise ServerError(f'{self.name} closed the connection while it was loaded')
                    error = re.search(rb'(?:^|\n)(-[^\r\n]*|(?:SERVER_|CLIENT_)?ERROR[^\r\n]*)', data)
                    if error:
                        text = error[1].decode(errors='replace')
                        raise (Unsupported if 'unknown command' in text else ServerError)(text)
                    pending -= data.count(b'\n')
            for request in requests:
                part.append(request)
                if len(part) == batch:
                    s.sendall(b''.join(part))
                    pending += batch * lines
                    part = []
                    drain(batch * lines)
            if part:
                s.sendall(b''.join(part))
                pending += len(part) * lines
            drain(0)

    def settle(self, seconds=5):
        """Waits until it has nothing more to do in the background and its memory stands still."""
        end, still = time.monotonic() + seconds, 0
        cpu, rss = self.cpu_ns(), self.resident_bytes()
        while time.monotonic() < end and still < 3:
            time.sleep(0.15)
            cpu_now, rss_now = self.cpu_ns(), self.resident_bytes()
            still = still + 1 if cpu_now - cpu < 20e6 and abs(rss_now - rss) < 1 << 18 else 0
            cpu, rss = cpu_now, rss_now
        return rss

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        Server.ports.discard(self.port)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# --- where things lie: for keys that are to be on one shard, or on another ---

def crc16(data):
    """CRC16/XMODEM, as Redis Cluster numbers slots."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc


def tags_of_first_shard(count, shards_max=16):
    """So many hash tags whose slots the first shard owns, with any number of shards up to the largest."""
    found, i = [], 0
    while len(found) < count:
        if crc16(b't%d' % i) % 16384 < 16384 // shards_max:
            found.append('t%d' % i)
        i += 1
    return found


def tag_in_half(half, but=None):
    """A hash tag whose slot lies in the lower (0) or the upper (1) half of all slots, and is not but."""
    for i in range(1000):
        tag = 't%d' % i
        if crc16(tag.encode()) % 16384 // 8192 == half and tag != but:
            return tag
    raise AssertionError('CRC16 is not that bad')
