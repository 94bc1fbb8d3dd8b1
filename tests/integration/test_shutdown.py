"""The server's beginning and end: signals, SHUTDOWN, ports, sockets and configuration files."""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest
import redis
from conftest import BINARY, Server, free_port
from patience import PATIENCE_SECONDS, wait_until
from rawresp import Raw, encode, plain


@pytest.fixture
def spawn():
    """spawn(*args): our server with these arguments alone, stopped at the test's end."""
    servers = []

    def start(*args, port=None, stdin=None):
        servers.append(Server([BINARY, *[str(a) for a in args]], port, tempfile.mkdtemp(prefix="ashlar-test.")))
        return servers[-1]
    yield start
    for s in servers:
        s.stop()


def ends_with(s, code):
    assert s.process.wait(PATIENCE_SECONDS) == code, s.log()


def refused(binary, *args, stdin=None):
    """Exit code and output of a server that must not start."""
    with tempfile.TemporaryDirectory() as d:
        done = subprocess.run([binary, *[str(a) for a in args]], cwd=d, input=stdin, timeout=PATIENCE_SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


# --- the end -----------------------------------------------------------------------------------


class Crowd:
    """Clients that are busy with all shards, and do not mind when the server goes."""

    def __init__(self, port, count=6):
        self.port = port
        self.done = [0] * count
        self.wrong = []
        self.threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(count)]
        for t in self.threads:
            t.start()
        wait_until(lambda: self.wrong or min(self.done) >= 3, "all of them are busy")
        assert not self.wrong, self.wrong

    def work(self, number):
        pairs = [x for i in range(10) for x in ("crowd:%d" % i, number)]
        commands = [["MSET"] + pairs, ["MGET"] + pairs[::2], ["RENAME", "crowd:0", "crowd:9"], ["DBSIZE"],
                    ["COPY", "crowd:1", "crowd:2", "REPLACE"]] * 5
        try:
            with Raw(self.port) as raw:
                while True:
                    raw.pipeline(commands)
                    self.done[number] += 1
        except (EOFError, OSError, ValueError):  # ValueError: a reply that was cut off
            pass
        except BaseException as e:
            self.wrong.append(e)

    def join(self):
        for t in self.threads:
            t.join(PATIENCE_SECONDS)
            assert not t.is_alive()
        assert not self.wrong, self.wrong


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
@pytest.mark.parametrize("shards", [1, 2, 8])
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SHUTDOWN NOSAVE"])
def test_ends_with_code_0_under_load(launch, how, shards, backend):
    s = launch("--io-backend", backend, shards=shards)
    crowd = Crowd(s.port)
    if how.startswith("SIG"):
        s.process.send_signal(getattr(signal, how))
    else:
        with Raw(s.port) as raw:
            raw.send(*how.split())
            assert raw.at_end()  # no reply: there is nobody left to give it
    ends_with(s, 0)
    crowd.join()
    with pytest.raises(OSError):
        s.socket()
    assert "bye bye" in s.log()


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN"])
def test_ends_with_data_and_idle_clients(launch, how):
    s = launch("--save", "", shards=4)
    c = s.client()
    c.execute_command("DEBUG", "POPULATE", "200000", "key", "100")
    idle = [Raw(s.port) for _ in range(50)]
    half = s.socket()
    half.sendall(b"*2\r\n$3\r\nGET\r\n$100\r\nabc")
    assert idle[0].call("PING") == ("+", "PONG")
    if how == "SIGTERM":
        s.process.send_signal(signal.SIGTERM)
    else:
        idle[1].send("SHUTDOWN")
    ends_with(s, 0)
    assert all(r.at_end() for r in idle)
    half.close()


def test_what_was_sent_before_shutdown_is_answered(launch):
    s = launch(shards=4)
    commands = [["MSET", "a:%d" % i, i, "b:%d" % i, i] for i in range(200)]
    with Raw(s.port) as raw:
        raw.sock.sendall(b"".join(encode(c) for c in commands) + encode(["SHUTDOWN", "NOSAVE"]))
        assert [raw.read() for _ in commands] == [("+", "OK")] * len(commands)
        assert raw.at_end()
    ends_with(s, 0)


def test_shutdown_errors(server, oracle):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        for line in ("SHUTDOWN bad", "SHUTDOWN ABORT", "SHUTDOWN NOSAVE SAVE", "SHUTDOWN NOSAVE ABORT", "SHUTDOWN NOW ABORT",
                     "SHUTDOWN NOSAVE NOW x"):
            assert ours.line(line) == theirs.line(line), line


# --- ports and sockets -------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
def test_port_in_use(launch, backend):
    s = launch(shards=4)
    code, out = refused(BINARY, "--port", s.port, "--shards", "2", "--io-backend", backend)
    assert code == 1 and "Address already in use" in out and str(s.port) in out, out
    assert s.client().ping()
    with socket.socket() as other:  # of a stranger
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, out = refused(BINARY, "--port", port, "--bind", "127.0.0.1")
        assert code == 1 and "Address already in use" in out, out


def test_starts_again_on_the_same_port(spawn):
    port = free_port()
    for n in range(3):
        s = spawn("--port", port, "--shards", 2, port=port).wait_ready()
        with Raw(port) as raw:
            assert plain(raw.line("GET again")) is None  # the one before was really gone
            raw.call("SET", "again", n)
            raw.send("SHUTDOWN", "NOSAVE")
            assert raw.at_end()
        ends_with(s, 0)


def wait_unix(s, path):
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            c = redis.Redis(unix_socket_path=str(path))
            c.ping()
            return c
        except redis.ConnectionError:
            assert time.monotonic() < end and s.process.poll() is None, s.log()
            time.sleep(0.01)


def test_unix_socket(spawn, tmp_path):
    path, port = tmp_path / "s.sock", free_port()
    s = spawn("--port", port, "--unixsocket", path, "--unixsocketperm", "700", "--shards", 4, port=port).wait_ready()
    c = wait_unix(s, path)
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert c.mset({"u:%d" % i: i for i in range(20)})
    with Raw(port) as raw:
        assert plain(raw.call("MGET", *["u:%d" % i for i in range(20)])) == [str(i) for i in range(20)]
    info = c.client_info()
    assert info["addr"] == "%s:0" % path and "U" in info["flags"]
    clients = [redis.Redis(unix_socket_path=str(path)) for _ in range(20)]
    assert all(x.get("u:7") == b"7" for x in clients)
    big = os.urandom(5_000_000)
    assert c.set("big", big) and c.get("big") == big
    s.process.send_signal(signal.SIGTERM)
    ends_with(s, 0)
    assert not path.exists()


def test_unix_socket_alone_and_stale(spawn, tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    s = spawn("--port", "0", "--unixsocket", path, "--shards", 2)
    c = wait_unix(s, path)
    assert c.config_get("port")["port"] == "0" and c.set("a", 1)
    try:
        c.execute_command("SHUTDOWN", "NOSAVE")
    except redis.ConnectionError:
        pass
    ends_with(s, 0)


@pytest.mark.parametrize("backend", ["io_uring", "epoll"])
def test_two_binds(spawn, backend):
    port = free_port()
    s = spawn("--port", port, "--bind", "127.0.0.1 127.0.0.2", "--shards", 4, "--io-backend", backend, port=port).wait_ready()
    for host in ("127.0.0.1", "127.0.0.2"):
        clients = [redis.Redis(host=host, port=port) for _ in range(8)]
        assert all(c.incr("binds") for c in clients)
    assert redis.Redis(host="127.0.0.1", port=port).get("binds") == b"16"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.3", port), 2).close()
    assert redis.Redis(host="127.0.0.1", port=port).config_get("bind")["bind"] == "127.0.0.1 127.0.0.2"
    s.process.send_signal(signal.SIGTERM)
    ends_with(s, 0)


def test_addresses_that_are_not_ours(spawn):
    port = free_port()
    code, out = refused(BINARY, "--port", port, "--bind", "127.0.0.1 203.0.113.7")
    assert code == 1 and "203.0.113.7" in out, out
    spawn("--port", port, "--bind", "127.0.0.1 -203.0.113.7", port=port).wait_ready()  # "-": it may be missing


# --- configuration -----------------------------------------------------------------------------

BAD_LINES = [
    "nosuch 1", "port", "port x", "port 1 2", "port 99999", "maxmemory 12xb", "maxmemory-policy nosuch", 'requirepass "unbalanced',
    "appendfsync sometimes", "hz 1 2 3", "save 60", "client-output-buffer-limit normal 1 2",
    "timeout -1", "include", "rename-command GET", "tcp-backlog x", "activedefrag maybe",
    "maxclients 0",
]


def message(out):
    """From the number of the line on; what comes before names the program."""
    at = out.find("Reading the configuration file")
    assert at >= 0, out
    return out[at:].strip()


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_line_as_redis(tmp_path, line):
    path = tmp_path / "bad.conf"
    path.write_text("# a comment\n\ntimeout 0\n%s\nport 0\n" % line)
    ours, theirs = refused(BINARY, path), refused("redis-server", path)
    assert ours[0] == theirs[0] == 1
    assert message(ours[1]) == message(theirs[1])
    assert "at line 4" in ours[1] and line in ours[1]


def test_bad_choice_names_the_choices(tmp_path):
    for line in ("loglevel loud", "databases 0"):  # 7.4 has more levels than the oracle
        (tmp_path / "bad.conf").write_text("port 0\n%s\n" % line)
        code, out = refused(BINARY, tmp_path / "bad.conf")
        assert code == 1 and "at line 2\n>>> '%s'" % line in out, out


def test_bad_flags():
    for args in (["--nosuch", "1"], ["--port"], ["--port", "x"], ["--shards", "0"], ["--shards", "x"],
                 ["--io-backend", "nosuch"], ["/nonexistent/ashlar.conf"]):
        code, out = refused(BINARY, *args)
        assert code == 1 and out.strip(), args
    code, out = refused(BINARY, "-", stdin="port 0\nnosuch 1\n")
    assert code == 1 and "at line 2" in out


def test_redis_conf_with_includes(spawn, tmp_path):
    port = free_port()
    (tmp_path / "d").mkdir()
    (tmp_path / "base.conf").write_text("maxmemory 10mb\ntimeout 7\nmaxmemory-policy allkeys-lru\n")
    (tmp_path / "d" / "1.conf").write_text('requirepass "a b\\x41"\n')
    (tmp_path / "d" / "2.conf").write_text("databases 5\nmaxclients 321\n")
    conf = tmp_path / "redis.conf"
    conf.write_text("""
# as people write it
timeout 1
include %s/base.conf
   MAXMEMORY   20mb
include %s/d/*.conf
port %d
save ""
save 900 1
save 300 10
client-output-buffer-limit normal 1mb 2mb 30
rename-command DEBUG ""
rename-command FLUSHALL wipe
shards 2
""" % (tmp_path, tmp_path, port))
    s = spawn(conf, "--maxclients", "123", "--loglevel", "verbose", port=port).wait_ready()
    c = redis.Redis(host="127.0.0.1", port=port, password="a bA")

    def get(name):
        return c.config_get(name)[name]

    assert get("timeout") == "7" and get("maxmemory") == str(20 << 20) and get("maxmemory-policy") == "allkeys-lru"
    assert get("databases") == "5" and get("maxclients") == "123" and get("loglevel") == "verbose"
    assert get("save") == "900 1 300 10" and get("shards") == "2"
    assert get("client-output-buffer-limit").startswith("normal 1048576 2097152 30 ")
    assert c.info("server")["config_file"] == str(conf)
    with pytest.raises(redis.ResponseError, match="out of range"):
        c.execute_command("SELECT", "5")
    for name in ("DEBUG", "FLUSHALL"):
        with pytest.raises(redis.ResponseError, match="unknown command"):
            c.execute_command(name)
    assert c.execute_command("WIPE") == b"OK"
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host="127.0.0.1", port=port).ping()


def test_include_that_is_missing(tmp_path):
    conf = tmp_path / "redis.conf"
    conf.write_text("port 0\ninclude %s/none.conf\n" % tmp_path)
    code, out = refused(BINARY, conf)
    assert code == 1 and "none.conf" in out


def test_bad_line_in_an_included_file(tmp_path):
    conf, part = tmp_path / "redis.conf", tmp_path / "part.conf"
    part.write_text("timeout 0\n\nnosuch 1\n")
    conf.write_text("port 0\n\n\n\n\n\ninclude %s\n" % part)
    ours, theirs = refused(BINARY, conf), refused("redis-server", conf)
    assert ours[0] == 1 and message(ours[1]) == message(theirs[1])


STOCK = [p for p in ("/etc/redis/redis.conf", "/opt/src/redis-7.0.15/redis.conf", "/usr/share/doc/redis-server/examples/redis.conf")
         if os.access(p, os.R_OK)]


@pytest.mark.parametrize("path", STOCK)
def test_stock_redis_conf(spawn, path, tmp_path):
    port = free_port()
    s = spawn(path, "--port", port, "--dir", tmp_path, "--daemonize", "no", "--logfile", "", "--pidfile", tmp_path / "pid",
              "--save", "", port=port).wait_ready()
    c = redis.Redis(host="127.0.0.1", port=port)
    assert c.set("a", 1) and c.get("a") == b"1"
    assert c.config_get("appendfsync") == {"appendfsync": "everysec"}
    assert (tmp_path / "pid").read_text().strip() == str(s.pid)
    s.process.send_signal(signal.SIGTERM)
    ends_with(s, 0)
    assert not (tmp_path / "pid").exists()


def test_config_rewrite_survives_a_restart(spawn, tmp_path):
    port, conf = free_port(), tmp_path / "redis.conf"
    conf.write_text("# mine\nport %d\nmaxmemory 1mb\nshards 2\n" % port)
    s = spawn(conf, port=port).wait_ready()
    c = redis.Redis(host="127.0.0.1", port=port)
    assert c.config_set("maxmemory", "7mb") and c.config_set("timeout", 77) and c.config_rewrite()
    c.close()
    s.process.send_signal(signal.SIGTERM)
    ends_with(s, 0)
    text = conf.read_text()
    assert text.startswith("# mine\nport %d\nmaxmemory 7mb\nshards " % port) and "\ntimeout 77\n" in text
    spawn(conf, port=port).wait_ready()
    c = redis.Redis(host="127.0.0.1", port=port)
    assert c.config_get("timeout")["timeout"] == "77" and c.config_get("maxmemory")["maxmemory"] == str(7 << 20)


def test_logfile(spawn, tmp_path):
    port, path = free_port(), tmp_path / "server.log"
    s = spawn("--port", port, "--logfile", path, port=port).wait_ready()
    s.process.send_signal(signal.SIGTERM)
    ends_with(s, 0)
    text = path.read_text()
    assert "Ready to accept connections" in text and "bye bye" in text
    assert "Ready to accept" not in s.log()
