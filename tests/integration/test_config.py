"""CONFIG, the configuration file and the command line, against what redis-server says.

The fixture `server` is a running Ashlar (conftest.py); servers with files and options of their own
are started here.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
import redis
from patience import PATIENCE_SECONDS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.environ.get("ASHLAR_SERVER", os.path.join(ROOT, "build", "ashlar-server"))

# Ours, and those that came to Redis after the version that we compare with.
NOT_IN_REDIS_7_0 = {
    "cluster-announce-human-nodename",
    "hide-user-data-from-log",
    "io-backend",
    "lazyexpire-nested-arbitrary-keys",
    "locale-collate",
    "max-new-connections-per-cycle",
    "max-new-tls-connections-per-cycle",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "shard-pinning",
    "shard-threads",
    "shards",
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A server of our own making, ended with the test."""

    def __init__(self, binary, port, directory, *args):
        self.port = port
        self.log = open(os.path.join(directory, f"log-{port}"), "w+b")
        self.process = subprocess.Popen(
            [binary, *args], cwd=directory, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.client().ping()
                return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    output = self.output()
                    self.stop()
                    raise RuntimeError(f"{binary} did not start: {output}")
                time.sleep(0.02)

    def client(self, **options):
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, **options)

    def output(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode


@pytest.fixture
def start(tmp_path):
    """start(*args): an Ashlar with these arguments in an empty directory."""
    running = []

    def starter(*args, port=None, binary=SERVER):
        port = port or free_port()
        shards = [] if binary != SERVER or "--shards" in args else ["--shards", "2"]
        process = Process(binary, port, str(tmp_path), *args, "--port", str(port), *shards)
        running.append(process)
        return process

    yield starter
    for process in running:
        process.stop()


@pytest.fixture
def config(server):
    """A client whose changes of the configuration are taken back."""
    client = server.client()
    before = text(client.execute_command("CONFIG", "GET", "*"))
    yield client
    after = text(client.execute_command("CONFIG", "GET", "*"))
    for name, value in before.items():
        if after[name] != value:
            client.execute_command("CONFIG", "SET", name, value)


def text(reply):
    """A CONFIG GET reply as a dict of str, whatever the client made of it."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2]))
    return {str_of(k): str_of(v) for k, v in reply.items()}


def str_of(value):
    return value.decode() if isinstance(value, bytes) else value


def get(client, *names):
    return text(client.execute_command("CONFIG", "GET", *names))


def refused(client, *args):
    with pytest.raises(redis.ResponseError) as info:
        client.execute_command("CONFIG", *args)
    return str(info.value)


# --- against redis-server ------------------------------------------------------------------------


@pytest.fixture
def pair(start):
    """Ashlar and redis-server with the same arguments."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    options = ["--bind", "127.0.0.1", "--enable-protected-configs", "local"]
    ours = start(*options)
    theirs = start(*options, binary="redis-server")
    return ours.client(), theirs.client()


def test_defaults_are_those_of_redis(pair):
    ours, theirs = (get(c, "*") for c in pair)
    for values in (ours, theirs):
        values.pop("port")
    missing = theirs.keys() - ours.keys()
    assert not missing
    assert ours.keys() - theirs.keys() == NOT_IN_REDIS_7_0
    assert {k: ours[k] for k in theirs} == theirs


SETS = [
    ("maxmemory", "10mb"),
    ("maxmemory", "abc"),
    ("maxmemory", "-1"),
    ("maxmemory", "1", "maxmemory", "2"),
    ("maxmemory", "1", "timeout"),
    ("maxmemory-clients", "7%"),
    ("maxmemory-clients", "200%"),
    ("maxmemory-clients", "7x"),
    ("maxmemory-policy", "ALLKEYS-LRU"),
    ("maxmemory-policy", "none"),
    ("timeout", "12"),
    ("timeout", "-1"),
    ("timeout", "99999999999"),
    ("timeout", "1.5"),
    ("protected-mode", "yes"),
    ("protected-mode", "1"),
    ("hz", "9999"),
    ("hz", "0"),
    ("save", "60 100 10 1000"),
    ("save", ""),
    ("save", "1"),
    ("save", "0 1"),
    ("client-output-buffer-limit", "replica 1mb 2mb 3"),
    ("client-output-buffer-limit", "normal 1 2"),
    ("client-output-buffer-limit", "master 1 2 3"),
    ("client-output-buffer-limit", "normal a 2 3"),
    ("notify-keyspace-events", "KEA"),
    ("notify-keyspace-events", "Elg"),
    ("notify-keyspace-events", ""),
    ("notify-keyspace-events", "y"),
    ("latency-tracking-info-percentiles", "1 50.5 99.99"),
    ("latency-tracking-info-percentiles", ""),
    ("latency-tracking-info-percentiles", "a"),
    ("latency-tracking-info-percentiles", "100.1"),
    ("oom-score-adj-values", "1 2"),
    ("oom-score-adj-values", "1 2 3000"),
    ("shutdown-on-sigterm", "nosave now"),
    ("shutdown-on-sigterm", "save nosave"),
    ("shutdown-on-sigterm", "never"),
    ("hash-max-ziplist-entries", "7"),
    ("lua-time-limit", "17"),
    ("slave-priority", "3"),
    ("repl-timeout", "0"),
    ("requirepass", ""),
    ("dbfilename", "a/b"),
    ("dir", "/nonexistent"),
    ("proc-title-template", "{nothing}"),
    ("databases", "4"),
    ("unixsocketperm", "700"),
    ("daemonize", "yes"),
    ("nonsense", "1"),
    ("timeout", "1", "nonsense", "1"),
    ("timeout", "77", "maxmemory", "x"),
    ("timeout", "78", "databases", "1"),
    ("list-max-listpack-size", "-5"),
    ("cluster-announce-hostname", "a b"),
    ("appendfsync", "always"),
    ("slowlog-log-slower-than", "-2"),
    ("proto-max-bulk-len", "1"),
    ("client-query-buffer-limit", "1"),
]


def outcome(client, args):
    try:
        return str_of(client.execute_command("CONFIG", "SET", *args))
    except redis.ResponseError as e:
        return str(e)


@pytest.mark.parametrize("part", range(4))
def test_set_as_redis_does(pair, part):
    ours, theirs = pair
    for args in SETS[part::4]:
        assert outcome(ours, args) == outcome(theirs, args), args
        names = args[::2]
        assert get(ours, *names) == get(theirs, *names), args


PATTERNS = [
    ("max*",), ("MAXMEMORY",), ("slave*", "replica*"), ("*ziplist*",), ("port", "port"),
    ("nothing",), ("[ab]ppend*",), ("rdb-key-save-delay",), ("*key-save*",), ("a?l*", "acl*"),
]


@pytest.mark.parametrize("patterns", PATTERNS)
def test_get_as_redis_does(pair, patterns):
    ours, theirs = (get(c, *patterns) for c in pair)
    for values in (ours, theirs):
        values.pop("port", None)
    assert {k: v for k, v in ours.items() if k not in NOT_IN_REDIS_7_0} == theirs


# --- by itself -----------------------------------------------------------------------------------


def test_immutable(config):
    for name in ("shards", "io-backend", "databases", "logfile", "tcp-backlog"):
        value = "epoll" if get(config, name)[name] == "io_uring" else "io_uring" if name == "io-backend" else "77"
        assert refused(config, "SET", name, value) == (
            f"CONFIG SET failed (possibly related to argument '{name}') - "
            "can't set immutable config")


def test_set_is_all_or_nothing(config):
    config.execute_command("CONFIG", "SET", "timeout", "5")
    assert "related to argument 'hz'" in refused(config, "SET", "timeout", "6", "hz", "x")
    assert get(config, "timeout") == {"timeout": "5"}
    config.execute_command("CONFIG", "SET", "timeout", "7", "maxmemory-samples", "8")
    assert get(config, "timeout", "maxmemory-samples") == {"timeout": "7", "maxmemory-samples": "8"}
    config.execute_command("CONFIG", "SET", "timeout", "0")


def test_pipelined_set_and_get(config):
    pipe = config.pipeline(transaction=False)
    for i in range(1, 200):
        pipe.execute_command("CONFIG", "SET", "maxmemory-samples", str(i))
        pipe.execute_command("CONFIG", "GET", "maxmemory-samples")
    replies = pipe.execute()
    assert [text(r)["maxmemory-samples"] for r in replies[1::2]] == [str(i) for i in range(1, 200)]


def test_concurrent_sets_do_not_get_lost(server, config):
    names = ["lfu-log-factor", "lfu-decay-time", "slowlog-max-len", "tcp-keepalive",
             "maxmemory-samples", "hash-max-listpack-entries"]
    errors = []

    def change(name):
        try:
            client = server.client()
            for i in range(1, 101):
                client.execute_command("CONFIG", "SET", name, str(i))
                assert get(client, name) == {name: str(i)}
        except Exception as e:  # reported in the main thread
            errors.append(e)

    threads = [threading.Thread(target=change, args=(n,)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert get(config, *names) == {n: "100" for n in names}


def test_set_is_seen_by_all_shards(start):
    server = start("--shards", "4")
    client = server.client()
    client.execute_command("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    for _ in range(8):  # connections are spread over the shards
        assert get(server.client(), "proto-max-bulk-len") == {"proto-max-bulk-len": "1048576"}


def test_resetstat(server):
    client = server.client()
    for _ in range(10):
        client.get("nothing")
    assert int(client.info("stats")["keyspace_misses"]) >= 10
    assert client.config_resetstat() in (True, b"OK", "OK")
    assert int(client.info("stats")["keyspace_misses"]) == 0


def test_help(server):
    lines = server.client().execute_command("CONFIG", "HELP")
    assert str_of(lines[0]).startswith("CONFIG <subcommand> [<arg> [value] [opt] ...]")


# --- files and command line ----------------------------------------------------------------------


def test_rewrite_without_a_file(start):
    client = start().client()
    assert refused(client, "REWRITE") == "The server is running without a config file"


def test_rewrite(start, tmp_path):
    path = tmp_path / "a.conf"
    path.write_text("# ours\ntimeout 5\nmaxmemory 1mb\n# end\n")
    server = start("a.conf")
    client = server.client()
    client.execute_command("CONFIG", "SET", "timeout", "6", "maxmemory", "2gb", "save", "",
                           "maxmemory-policy", "allkeys-lru")
    client.execute_command("CONFIG", "REWRITE")
    lines = path.read_text().split("\n")
    assert lines[:4] == ["# ours", "timeout 6", "maxmemory 2gb", "# end"]
    assert "# Generated by CONFIG REWRITE" in lines
    assert "maxmemory-policy allkeys-lru" in lines
    assert 'save ""' in lines
    assert server.stop() == 0

    again = start("a.conf", port=server.port).client()
    assert get(again, "timeout", "maxmemory", "save", "maxmemory-policy") == {
        "timeout": "6", "maxmemory": "2147483648", "save": "", "maxmemory-policy": "allkeys-lru"}


def test_options_win_over_the_file(start, tmp_path):
    (tmp_path / "a.conf").write_text("timeout 5\nhz 20\ninclude more-*.conf\n")
    (tmp_path / "more-1.conf").write_text("hz 30")
    client = start("a.conf", "--timeout", "9", "--save", "60", "1", "--bind", "127.0.0.1").client()
    assert get(client, "timeout", "hz", "save") == {"timeout": "9", "hz": "30", "save": "60 1"}


def run(*args, **options):
    return subprocess.run([SERVER, *args], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
                          **options)


def test_bad_file(tmp_path):
    (tmp_path / "bad.conf").write_text("port 1\nnonsense yes\n")
    done = run("bad.conf", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r"\*\*\* FATAL CONFIG FILE ERROR \(Ashlar [0-9.]+\) \*\*\*\n"
                     r"Reading the configuration file, at line 2\n"
                     r">>> 'nonsense yes'\nBad directive or wrong number of arguments\n",
                     done.stdout + done.stderr)


def test_version_and_help():
    assert re.match(r"Ashlar server v=[0-9.]+ ", run("--version").stdout)
    assert run("-v").stdout == run("--version").stdout
    assert "Usage:" in run("--help").stderr


def test_requirepass_and_protected(start):
    server = start("--requirepass", "secret", "--enable-protected-configs", "no")
    with pytest.raises(redis.AuthenticationError):
        server.client().get("x")
    client = server.client(password="secret")
    assert "can't set protected config" in refused(client, "SET", "dir", "/tmp")
    client.execute_command("CONFIG", "SET", "requirepass", "other")
    with pytest.raises((redis.AuthenticationError, redis.ResponseError)):
        server.client(password="secret").get("x")
    assert server.client(password="other").get("x") is None


def test_dir(start, tmp_path):
    (tmp_path / "inner").mkdir()
    client = start("--enable-protected-configs", "yes").client()
    assert get(client, "dir") == {"dir": str(tmp_path)}
    client.execute_command("CONFIG", "SET", "dir", "inner")
    assert get(client, "dir") == {"dir": str(tmp_path / "inner")}


def test_sigterm_ends_it_in_order(start):
    server = start()
    assert server.stop() == 0
    with open(server.log.name, encoding="utf-8") as f:
        assert "Received SIGTERM scheduling shutdown..." in f.read()


def test_directives_without_effect_are_named(start):
    server = start("--io-threads", "4", "--appendfsync", "always")
    server.client().ping()
    log = server.output()
    assert "'io-threads' is known but has no effect" in log
    assert "'appendfsync' is known but has no effect" in log
    assert "'maxmemory'" not in log


def test_many_changes_and_the_pidfile(start, tmp_path):
    """What main() reads at the end was configured at the start, before many changes."""
    pidfile = tmp_path / "a.pid"
    server = start("--pidfile", str(pidfile), "--shards", "3")
    client = server.client()
    for i in range(100):
        client.execute_command("CONFIG", "SET", "timeout", str(i))
    assert int(pidfile.read_text()) == server.process.pid
    assert server.stop() == 0
    assert not pidfile.exists()
