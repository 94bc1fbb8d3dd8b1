"""Many clients in one thread: each is a generator that yields a command and is sent its reply.

    def consumer():
        while True:
            reply = yield ["BLPOP", "k", "0"]

yield None waits a moment without a command. A generator that returns closes its connection; kill()
closes it whatever it waits for. Replies are as plain() of rawresp.py makes them; errors are
instances of Error.
"""
import heapq
import selectors
import socket
import time

from patience import PATIENCE_SECONDS
from rawresp import encode


class Error(str):
    pass


def parse(buf, at):
    """(reply, where it ends), or None while it is not complete."""
    end = buf.find(b"\r\n", at)
    if end < 0:
        return None
    kind, rest = buf[at:at + 1], bytes(buf[at + 1:end])
    end += 2
    if kind == b"+":
        return rest.decode(), end
    if kind == b"-":
        return Error(rest.decode()), end
    if kind == b":":
        return int(rest), end
    n = int(rest)
    if n < 0:
        return None, end
    if kind == b"$":
        if len(buf) < end + n + 2:
            return None
        return bytes(buf[end:end + n]).decode(), end + n + 2
    assert kind == b"*", kind
    items = []
    for _ in range(n):
        one = parse(buf, end)
        if one is None:
            return None
        items.append(one[0])
        end = one[1]
    return items, end


class Actor:
    def __init__(self, stage, generator):
        self.stage, self.generator = stage, generator
        self.sock = socket.create_connection(("127.0.0.1", stage.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buf = bytearray()
        self.waits = False  # for a reply
        self.over = False
        self.command = None

    def step(self, value):
        try:
            command = self.generator.send(value)
        except StopIteration:
            self.close()
            return
        self.command = command
        if command is None:
            self.stage.later(self, self.stage.pause())
            return
        self.waits = True
        self.sock.sendall(encode(command))

    def received(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError("closed by the server: %r" % (self.command,))
        self.buf += data
        while self.waits and not self.over:
            one = parse(self.buf, 0)
            if one is None:
                return
            del self.buf[:one[1]]
            self.waits = False
            self.step(one[0])

    def close(self):
        if not self.over:
            self.over = True
            self.stage.selector.unregister(self.sock)
            self.stage.alive.discard(self)
            self.sock.close()

    kill = close


class Stage:
    def __init__(self, port, rng):
        self.port, self.random = port, rng
        self.selector = selectors.DefaultSelector()
        self.alive = set()
        self.timers = []
        self.count = 0

    def pause(self):
        return self.random.random() * 0.003

    def add(self, generator):
        a = Actor(self, generator)
        self.alive.add(a)
        self.selector.register(a.sock, selectors.EVENT_READ, a)
        a.step(None)
        return a

    def later(self, actor, seconds):
        self.count += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.count, actor))

    def run(self, until, seconds=PATIENCE_SECONDS):
        """Until until() is true; an error when that takes too long."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now > end:
                raise TimeoutError("still waiting: %r" % [a.command for a in self.alive])
            while self.timers and self.timers[0][0] <= now:
                actor = heapq.heappop(self.timers)[2]
                if not actor.over:
                    actor.step(None)
            wait = min(self.timers[0][0] - now, 0.05) if self.timers else 0.05
            for key, _ in self.selector.select(max(wait, 0)):
                if not key.data.over:
                    key.data.received()

    def close(self):
        for a in list(self.alive):
            a.close()
        self.selector.close()
