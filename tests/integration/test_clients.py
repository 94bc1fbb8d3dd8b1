"""What people run against Redis runs against us: redis-cli, redis-benchmark, redis-py, ioredis and
the Prometheus exporter.

ioredis is installed by npm into build/npm, unless it is there already.
"""
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest
import redis
from conftest import ROOT, free_port
from patience import PATIENCE_SECONDS, wait_until

NPM_DIR = os.path.join(ROOT, "build", "npm")


def run(*command, stdin=None, timeout=PATIENCE_SECONDS, env=None):
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, timeout=timeout, env=env)
    assert done.returncode == 0, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def cli(server, *args, **kwargs):
    return run("redis-cli", "-p", server.port, *args, **kwargs)[0]


# --- redis-cli ---------------------------------------------------------------------------------


def both(server, oracle, *args, **kwargs):
    for s in (server, oracle):
        cli(s, "flushall")
    return cli(server, *args, **kwargs), cli(oracle, *args, **kwargs)


def test_cli_piped_commands(server, oracle):
    script = b"""set greeting "hello world"
get greeting
mset a 1 b 2 c 3 d 4
mget a b c d nosuch
incrby a 41
append greeting "\\x21\\n"
strlen greeting
rename a z
get a
exists z a b
object encoding z
expire b 1000 nx
expiretime nosuch
lcs c d
nosuch command
get
select 1
dbsize
select 0
dbsize
config get maxmemory-policy
del z b c
type d
"""
    for flags in ([], ["-3"], ["--csv"], ["--raw"], ["--no-raw"], ["--json", "-3"]):
        ours, theirs = both(server, oracle, *flags, stdin=script)
        assert ours == theirs and "hello world" in ours, flags


def test_cli_scans(server, oracle):
    data = b"".join(b"set big:%d %s\n" % (i, b"x" * (1 + i % 50)) for i in range(500)) + b"set giant %s\n" % (b"g" * 5000)
    both(server, oracle, stdin=data)
    ours, theirs = cli(server, "--scan"), cli(oracle, "--scan")
    assert sorted(ours.split()) == sorted(theirs.split()) and len(ours.split()) == 501
    ours, theirs = cli(server, "--scan", "--pattern", "big:1*"), cli(oracle, "--scan", "--pattern", "big:1*")
    assert sorted(ours.split()) == sorted(theirs.split())

    def summary(text):  # what follows depends on the order of keys
        return text[text.index("-------- summary"):]

    ours, theirs = cli(server, "--bigkeys"), cli(oracle, "--bigkeys")
    assert summary(ours) == summary(theirs) and 'Biggest string found \'"giant"\' has 5000 bytes' in ours
    ours = cli(server, "--memkeys")
    assert re.search(r"Biggest string found '\"giant\"' has \d+ bytes", ours)
    assert "Sampled 501 keys" in summary(ours)


def bounded(server, *args, lines):
    """A redis-cli that runs until it is stopped: what it said until it had said so many lines."""
    p = subprocess.Popen(["stdbuf", "-oL", "redis-cli", "-p", str(server.port), *args], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    said = [line for line, _ in zip(p.stdout, range(lines))]
    p.terminate()
    p.communicate()
    return said


def test_cli_stat(server):
    lines = bounded(server, "--stat", "-i", "0.1", lines=8)
    rows = [line.split() for line in lines if re.match(r"^\d", line)]
    assert len(rows) >= 3, lines  # and a header
    assert all(len(r) == 7 and float(re.sub(r"[A-Z]+$", "", r[1])) > 0 and int(r[2]) >= 1 for r in rows), lines
    requests = [int(r[4]) for r in rows]
    assert requests == sorted(requests) and requests[-1] > requests[0]


def test_cli_latency(server):
    out = cli(server, "--latency", "--raw", "-i", "1")  # not a terminal: one line after a second
    low, high, mean, count = (float(x) for x in out.split()[:4])
    assert 0 <= low <= mean <= high and count > 0
    out = bounded(server, "--latency-history", "-i", "1", "--raw", lines=1)
    assert len(out[0].split()) >= 4


def test_cli_mass_insertion(server):
    n = 50_000
    cli(server, "flushall")
    data = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nmass:%d\r\n$%d\r\n%d\r\n" % (len(str(i)) + 5, i, len(str(i)), i)
                    for i in range(n))
    out = cli(server, "--pipe", stdin=data)
    assert "errors: 0, replies: %d" % n in out
    assert cli(server, "dbsize").strip() == str(n)
    done = subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], capture_output=True, timeout=PATIENCE_SECONDS,
                          input=data.replace(b"$3\r\nSET", b"$3\r\nXET", 7))
    assert b"errors: 7, replies: %d" % n in done.stdout
    values = cli(server, "mget", *["mass:%d" % i for i in range(0, n, 997)]).split()
    assert values == [str(i) for i in range(0, n, 997)]


def test_cli_odds_and_ends(server, oracle):
    assert cli(server, "-n", "3", "set", "x", "1") == cli(oracle, "-n", "3", "set", "x", "1") == "OK\n"
    assert cli(server, "-r", "3", "-n", "3", "incr", "x") == "2\n3\n4\n"
    assert cli(server, "-x", "-n", "3", "set", "y", stdin=b"from stdin") == "OK\n"
    assert cli(server, "-n", "3", "get", "y") == "from stdin\n"
    assert cli(server, "-u", "redis://127.0.0.1:%d/3" % server.port, "get", "x") == "4\n"
    assert "redis_version:7.4" in cli(server, "info", "server")
    assert cli(server, "-e", "command", "count").strip().isdigit()
    assert "SET key value" in cli(server, "command", "docs", "set") or cli(server, "command", "docs", "set")


# --- redis-benchmark ---------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [
    [], ["-P", "64"], ["--threads", "2"], ["--threads", "2", "-P", "64"], ["-3"], ["-3", "-P", "16"],
    ["-k", "0", "-n", "500"], ["-r", "10000", "-P", "16"], ["-d", "5000", "-P", "8"], ["-c", "200"],
], ids=" ".join)
def test_benchmark(server, flags):
    n = [] if "-n" in flags else ["-n", "4000"]
    tests = "ping,set,get,incr,mset"
    out, err = run("redis-benchmark", "-p", server.port, "-t", tests, "--csv", *n, *flags)
    names = re.findall(r'^"([A-Z_]+)', out, re.M)
    assert {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"} <= set(names), out
    assert "error" not in (out + err).lower(), (out, err)
    assert all(float(rps) > 0 for rps in re.findall(r'^"[A-Z][^"]*","([\d.]+)"', out, re.M))


def test_benchmark_of_any_command(server):
    cli(server, "flushall")
    out, err = run("redis-benchmark", "-p", server.port, "-n", 2000, "-P", 10, "-q", "-r", 100,
                   "mset", "a:__rand_int__", "1", "b:__rand_int__", "2", "c:__rand_int__", "3")
    assert "error" not in (out + err).lower() and "requests per second" in out
    assert 3 <= int(cli(server, "dbsize")) <= 300


# --- redis-py ----------------------------------------------------------------------------------


@pytest.mark.parametrize("transaction", [False])
def test_redis_py_pipelines(server, transaction):
    c = server.client(decode_responses=True)
    c.flushall()
    with c.pipeline(transaction=transaction) as p:
        for i in range(2000):
            p.set("py:%d" % i, i).get("py:%d" % i).incrby("py:sum", i)
        replies = p.execute()
    assert replies[::3] == [True] * 2000
    assert replies[1::3] == [str(i) for i in range(2000)]
    assert replies[-1] == sum(range(2000))
    with c.pipeline(transaction=False) as p:
        p.set("py:text", "abc").incr("py:text").get("py:text")
        replies = p.execute(raise_on_error=False)
    assert replies[0] is True and isinstance(replies[1], redis.ResponseError) and replies[2] == "abc"


def test_redis_py_api(server):
    c = server.client()
    c.flushall()
    assert c.set("k", b"\x00\xff", ex=100, nx=True) and not c.set("k", "w", nx=True)
    assert c.get("k") == b"\x00\xff" and 0 < c.ttl("k") <= 100
    assert c.set("k", "new", get=True, keepttl=True) == b"\x00\xff"
    assert c.mset({"a": 1, "b": 2}) and c.mget("a", "b", "nosuch") == [b"1", b"2", None]
    assert c.msetnx({"a": 1, "z": 2}) is False and c.exists("a", "b", "z") == 2
    assert c.rename("a", "c") and c.copy("c", "d") and c.getdel("d") == b"1"
    assert c.incrbyfloat("f", 1.5) == 1.5 and c.decr("n") == -1 and c.append("t", "xy") == 2
    assert c.object("encoding", "c") == b"int" and c.type("c") == b"string"
    assert sorted(c.keys("*")) == [b"b", b"c", b"f", b"k", b"n", b"t"]
    assert c.dump("c") and c.restore("r", 0, c.dump("c")) and c.get("r") == b"1"
    assert c.client_setname("py") and c.client_getname() == "py"
    assert c.config_get("maxmemory")["maxmemory"] == "0" and c.dbsize() == 7
    assert c.info()["redis_mode"] == "standalone" and c.time()[0] > 1.6e9
    assert c.memory_usage("k") > 0 and c.lastsave() and c.ping() and c.echo("x") == b"x"
    assert c.command_count() > 50 and "get" in c.command()
    with pytest.raises(redis.ResponseError, match="no such key"):
        c.rename("nosuch", "x")
    assert c.unlink("a", "b", "c") == 2 and c.flushdb() and c.dbsize() == 0


def test_redis_py_threads_share_a_pool(server):
    from concurrent.futures import ThreadPoolExecutor
    c = server.client()
    c.flushall()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: c.incr("shared:%d" % (i % 5)), range(2000)))
    assert [int(c.get("shared:%d" % i)) for i in range(5)] == [400] * 5


# --- ioredis -----------------------------------------------------------------------------------

IOREDIS_SCRIPT = r"""
const assert = require('assert');
const Redis = require('ioredis');

async function main(port, options) {
  const r = new Redis({port, host: '127.0.0.1', db: 2, connectionName: 'io', maxRetriesPerRequest: 0, ...options});
  const errors = [];
  r.on('error', e => errors.push(e));
  await r.flushall();
  assert.strictEqual(await r.set('k', 'v', 'EX', 100), 'OK');
  assert.strictEqual(await r.get('k'), 'v');
  assert.deepStrictEqual(await r.mset('a', 1, 'b', 2, 'c', 3), 'OK');
  assert.deepStrictEqual(await r.mget('a', 'b', 'c', 'nosuch'), ['1', '2', '3', null]);
  assert.strictEqual(await r.exists('a', 'b', 'nosuch'), 2);
  assert.deepStrictEqual(await r.getBuffer('a'), Buffer.from('1'));
  assert.strictEqual(await r.rename('a', 'z'), 'OK');
  await assert.rejects(r.rename('nosuch', 'x'), /no such key/);
  await assert.rejects(r.call('nosuch'), /unknown command/);
  assert.strictEqual(await r.client('GETNAME'), 'io');
  assert.strictEqual(await r.dbsize(), 4);

  const p = r.pipeline();
  for (let i = 0; i < 2000; i++) p.set('p:' + i, i).mget('p:' + i, 'p:' + (i - 1)).incr('sum');
  p.call('nosuch');
  const replies = await p.exec();
  assert.strictEqual(replies.length, 6001);
  for (let i = 0; i < 2000; i++) {
    assert.deepStrictEqual(replies[3 * i], [null, 'OK']);
    assert.deepStrictEqual(replies[3 * i + 1], [null, [String(i), i > 0 ? String(i - 1) : null]]);
    assert.deepStrictEqual(replies[3 * i + 2], [null, i + 1]);
  }
  assert.match(replies[6000][0].message, /unknown command/);

  const values = await Promise.all(Array.from({length: 2000}, (_, i) => r.get('p:' + i)));
  assert.deepStrictEqual(values, Array.from({length: 2000}, (_, i) => String(i)));
  const found = new Set();
  for await (const names of r.scanStream({match: 'p:*', count: 100})) names.forEach(n => found.add(n));
  assert.strictEqual(found.size, 2000);

  const d = r.duplicate();
  assert.strictEqual(await d.get('p:7'), '7');
  assert.deepStrictEqual(errors, []);
  d.disconnect();
  await r.quit();
}

main(Number(process.argv[2]), JSON.parse(process.argv[3])).then(() => console.log('all good'),
  e => { console.error(e); process.exit(1); });
"""


@pytest.fixture(scope="module")
def ioredis():
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("no npm on this machine")
    if not os.path.isdir(os.path.join(NPM_DIR, "node_modules", "ioredis")):
        os.makedirs(NPM_DIR, exist_ok=True)
        with open(os.path.join(NPM_DIR, "package.json"), "w") as f:
            json.dump({"name": "ashlar-tests", "private": True}, f)
        run("npm", "install", "--prefix", NPM_DIR, "--no-audit", "--no-fund", "--ignore-scripts", "ioredis@5",
            timeout=2 * PATIENCE_SECONDS)
    path = os.path.join(NPM_DIR, "test.js")
    with open(path, "w") as f:
        f.write(IOREDIS_SCRIPT)
    return path


@pytest.mark.parametrize("options", [{}, {"enableAutoPipelining": True}, {"enableReadyCheck": False}],
                         ids=["plain", "auto-pipelining", "no-ready-check"])
def test_ioredis(server, ioredis, options):
    out, err = run("node", ioredis, server.port, json.dumps(options))
    assert "all good" in out and err == ""


# --- prometheus-redis-exporter -----------------------------------------------------------------


@pytest.fixture
def exporter(server, tmp_path):
    binary = shutil.which("prometheus-redis-exporter")
    if binary is None:
        pytest.skip("no prometheus-redis-exporter on this machine")
    port = free_port()
    log = tmp_path / "exporter.log"
    with open(log, "wb") as f:
        p = subprocess.Popen([binary, "-redis.addr", "redis://127.0.0.1:%d" % server.port, "-web.listen-address",
                              "127.0.0.1:%d" % port, "-check-keys", "db0=exporter:*", "-count-keys", "db0=exporter:*"],
                             stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield port, log, p
    finally:
        p.terminate()
        p.wait(PATIENCE_SECONDS)


def scrape(port, path="/metrics"):
    def answer():
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=PATIENCE_SECONDS) as f:
                return f.read().decode()
        except OSError:
            return None
    return wait_until(answer, "the exporter answers")


def test_prometheus_exporter(server, exporter):
    port, log, process = exporter
    c = server.client()
    c.flushall()
    c.mset({"exporter:%d" % i: "x" * i for i in range(20)})
    c.setex("exporter:ttl", 1000, "x")
    for path in ("/metrics", "/scrape?target=redis://127.0.0.1:%d" % server.port, "/metrics"):
        text = scrape(port, path)
        metric = dict(re.findall(r"^(redis_[a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.M))
        assert metric["redis_up"] == "1", path
        assert metric['redis_exporter_last_scrape_error{err=""}'] == "0"
        assert float(metric['redis_db_keys{db="db0"}']) == 21
        assert float(metric['redis_db_keys_expiring{db="db0"}']) == 1
        assert float(metric["redis_connected_clients"]) >= 1
        assert float(metric["redis_memory_used_bytes"]) > 0
        assert float(metric["redis_commands_processed_total"]) > 0
        assert float(metric['redis_commands_total{cmd="mset"}']) >= 1
        assert 'redis_instance_info{' in text and 'redis_version="7.4' in text
        assert float(metric['redis_config_maxclients']) == 10000
    assert float(metric['redis_key_size{db="db0",key="exporter:7"}']) == 7
    assert process.poll() is None
    lines = log.read_text().splitlines()
    assert [x for x in lines if re.search(r"level=(error|warn|fatal)|panic|err=", x)] == []
