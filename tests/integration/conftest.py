"""Fixtures: our server (with every number of shards that a test asks for) and redis-server, the oracle.

ASHLAR_SERVER names the binary (build/ashlar-server by default), ASHLAR_ARGS adds flags, ASHLAR_SHARDS
the numbers of shards to test with ("1,2,4,8"; by default 1 and 4, races with 2 and 8 as well). Every server gets a port and a directory of its own
and is ended by its pid.
"""
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import redis
from patience import PATIENCE_SECONDS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get('ASHLAR_SERVER', os.path.join(ROOT, 'build', 'ashlar-server'))
SHARDS = [int(n) for n in os.environ.get('ASHLAR_SHARDS', '1,4').split(',')]
RACE_SHARDS = SHARDS if 'ASHLAR_SHARDS' in os.environ else [1, 2, 4, 8]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A server process; use start_server() to make one."""

    def __init__(self, command, port, directory):
        self.port = port
        self.dir = directory
        self.command = command
        self.log_path = os.path.join(directory, 'stdout.log')
        self._log = open(self.log_path, 'wb')
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, cwd=directory)
        self._clients = []

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, errors='replace') as f:
            return f.read()

    def wait_ready(self, seconds=PATIENCE_SECONDS):
        end = time.time() + seconds
        while time.time() < end:
            if self.process.poll() is not None:
                raise RuntimeError('%s ended with %s:\n%s' % (self.command, self.process.returncode, self.log()))
            try:
                with socket.create_connection(('127.0.0.1', self.port), 1) as s:
                    s.sendall(b'PING\r\n')
                    if s.recv(64)[:1] in (b'+', b'-'):
                        return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError('not ready: %s\n%s' % (self.command, self.log()))

    def client(self, **kwargs):
        c = redis.Redis(host='127.0.0.1', port=self.port, **kwargs)
        self._clients.append(c)
        return c

    def socket(self, timeout=PATIENCE_SECONDS):
        s = socket.create_connection(('127.0.0.1', self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def stop(self):
        for c in self._clients:
            c.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        self.final_log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        return self.process.returncode


def start_server(*flags, shards=1, threads=None, binary=None):
    """Our server with these flags; the caller stops it. Every shard has a thread of its own, however few cores
    there are, so that they race; threads=0 leaves it to the server, and any other number is one."""
    count = {None: str(shards), 0: 'auto'}.get(threads, str(threads))
    port, directory = free_port(), tempfile.mkdtemp(prefix='ashlar-test.')
    command = [binary or BINARY, '--port', str(port), '--dir', directory, '--shards', str(shards),
               '--shard-threads', count, '--enable-debug-command', 'yes', *flags,
               *shlex.split(os.environ.get('ASHLAR_ARGS', ''))]
    return Server(command, port, directory).wait_ready()


def start_oracle(*flags):
    port, directory = free_port(), tempfile.mkdtemp(prefix='oracle.')
    command = ['redis-server', '--port', str(port), '--dir', directory, '--save', '',
               '--enable-debug-command', 'yes', *flags]
    return Server(command, port, directory).wait_ready()


def _check_end(s):
    """A server must have survived its tests and must end cleanly when it is told to."""
    alive = s.process.poll() is None
    code = s.stop()
    log = s.final_log
    assert alive, 'the server died during the test:\n' + log[-4000:]
    assert code == 0, 'the server ended with %s:\n%s' % (code, log[-4000:])


@pytest.fixture(scope='module', params=SHARDS, ids=lambda n: '%d-shards' % n)
def server(request):
    s = start_server(shards=request.param)
    yield s
    _check_end(s)


@pytest.fixture(scope='module')
def oracle():
    s = start_oracle()
    yield s
    s.stop()


@pytest.fixture
def client(server):
    c = server.client()
    c.flushall()
    yield c
    c.close()


@pytest.fixture
def launch():
    """launch(*flags, shards=n): a server of the test's own, checked and stopped at its end."""
    servers = []

    def start(*flags, **kwargs):
        servers.append(start_server(*flags, **kwargs))
        return servers[-1]
    yield start
    for s in servers:
        if s.process.poll() is None:
            _check_end(s)
        else:
            s.stop()
