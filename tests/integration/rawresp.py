"""A client that hides nothing: replies as they are on the wire, with their types.

A reply is a pair of its type character and its value: ('+', 'OK'), ('-', 'ERR …'), (':', 1),
('$', b'…' or None), ('*', [replies] or None), ('~', [replies]), ('%', [(reply, reply), …]),
('_', None), ('=', b'txt:…'), and so on. plain() forgets the types.
"""
import socket

from patience import PATIENCE_SECONDS


def encode(args):
    words = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
    return b"".join(parts)


class Raw:
    def __init__(self, port, resp=2):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        if resp == 3:
            self.call("HELLO", "3")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *args):
        self.sock.sendall(encode(args))

    def pipeline(self, commands):
        """All of them in one go, and their replies."""
        commands = list(commands)
        self.sock.sendall(b"".join(encode(c) for c in commands))
        return [self.read() for _ in commands]

    def call(self, *args):
        self.send(*args)
        return self.read()

    def line(self, text):
        """A command whose words are parted by blanks."""
        return self.call(*text.split(" "))

    def at_end(self):
        """Whether the server has closed the connection, and all of it has been read. A server that closes
        before it has read everything resets the connection: so does redis-server."""
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("connection closed")
        kind, rest = chr(line[0]), line[1:-2]
        if kind in "+-,(":
            return kind, rest.decode()
        if kind == ":":
            return kind, int(rest)
        if kind == "#":
            return kind, rest == b"t"
        if kind == "_":
            return kind, None
        if kind in "$=!":
            n = int(rest)
            if n < 0:
                return kind, None
            data = self.file.read(n + 2)
            return kind, data[:-2]
        if kind in "*~>":
            n = int(rest)
            return kind, None if n < 0 else [self.read() for _ in range(n)]
        if kind == "%":
            return kind, [(self.read(), self.read()) for _ in range(int(rest))]
        raise ValueError(line)


def plain(reply):
    """Text, numbers, lists; maps as dicts, sets as frozensets where they can be."""
    kind, value = reply
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if kind == "%":
        return {plain(k): plain(v) for k, v in value}
    if kind == "~" and all(k in "+$:" for k, _ in value):
        return frozenset(plain(v) for v in value)
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def shape(reply):
    """The types alone, of sets and maps only those of the first element."""
    kind, value = reply
    if kind == "%":
        return kind, [(plain(k), shape(v)) for k, v in value]
    if isinstance(value, list):
        return kind, [shape(v) for v in value[:1]]
    return kind if value is not None or kind == "_" else kind + "-1"
