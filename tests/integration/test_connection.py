"""PING, AUTH, HELLO, CLIENT … over a real connection, beside Redis."""
import contextlib
import re

import pytest
from rawresp import Raw, plain, shape

LINES = [
    "PING", "PING x", "PING x y", "ECHO x", "ECHO",
    "SELECT 0", "SELECT 15", "SELECT 16", "SELECT -1", "SELECT x", "SELECT 99999999999",
    "SELECT 99999999999999999999",
    "AUTH x", "AUTH default x", "AUTH joe x", "AUTH a b c", "AUTH",
    "HELLO x", "HELLO 1", "HELLO 4", "HELLO 2 x", "HELLO 3 AUTH a", "HELLO 3 SETNAME",
    "HELLO 3 AUTH joe x", "RESET", "RESET x",
    "CLIENT GETNAME", "CLIENT SETNAME joe", "CLIENT GETNAME", "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT x", "CLIENT REPLY x",
    "CLIENT REPLY ON", "CLIENT LIST TYPE x", "CLIENT LIST TYPE", "CLIENT LIST TYPE normal x",
    "CLIENT LIST x", "CLIENT LIST ID", "CLIENT LIST ID x", "CLIENT LIST TYPE master",
    "CLIENT LIST ID 123456789", "CLIENT KILL 1.2.3.4:5", "CLIENT KILL", "CLIENT KILL ID 0 x y",
    "CLIENT KILL ID x TYPE y", "CLIENT KILL ID 123456789", "CLIENT KILL TYPE x",
    "CLIENT KILL ID 3 TYPE", "CLIENT KILL SKIPME x", "CLIENT KILL USER joe", "CLIENT KILL x y",
    "CLIENT KILL ADDR 1.2.3.4:5 SKIPME no", "CLIENT KILL LADDR 1.2.3.4:5",
    "CLIENT UNBLOCK 123456789", "CLIENT UNBLOCK x", "CLIENT UNBLOCK 1 x",
    "CLIENT UNBLOCK 1 error x",
    "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 0", "CLIENT PAUSE 1 x",
    "CLIENT PAUSE 1 all x", "CLIENT PAUSE 1 write", "CLIENT UNPAUSE", "CLIENT UNPAUSE x",
]


@pytest.mark.parametrize("resp", [2, 3])
def test_replies_as_redis(server, oracle, resp):
    with Raw(server.port, resp) as ours, Raw(oracle.port, resp) as theirs:
        for line in LINES:
            assert ours.line(line) == theirs.line(line), line
        assert ours.call("CLIENT", "SETNAME", "a b") == theirs.call("CLIENT", "SETNAME", "a b")
        assert ours.call("CLIENT", "SETNAME", "") == theirs.call("CLIENT", "SETNAME", "")
        assert ours.call("CLIENT", "GETNAME") == theirs.call("CLIENT", "GETNAME")


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("line", [
    "HELLO", "CLIENT HELP", "COMMAND HELP", "CLIENT INFO", "CLIENT ID",
])
def test_shapes(server, oracle, resp, line):
    with Raw(server.port, resp) as ours, Raw(oracle.port, resp) as theirs:
        assert shape(ours.line(line)) == shape(theirs.line(line))


def test_hello_switches_its_own_reply(server):
    with Raw(server.port) as raw:
        kind, _ = raw.line("HELLO 3")
        assert kind == "%"
        kind, _ = raw.line("HELLO 2")
        assert kind == "*"


def test_client_info_fields(server, oracle):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        names = [re.findall(r"(\S+?)=", plain(r.line("CLIENT INFO"))) for r in (ours, theirs)]
        added = {"watch", "lib-name", "lib-ver"}  # 7.4, 7.2
        assert [n for n in names[0] if n not in added] == names[1]
        assert names[0].index("watch") == names[0].index("multi") + 1
        assert names[0][-2:] == ["lib-name", "lib-ver"]

        ours.line("CLIENT SETNAME joe")
        ours.line("CLIENT SETINFO LIB-NAME lib")
        ours.line("SELECT 3")
        text = plain(ours.line("CLIENT INFO"))
        for field in ("name=joe", "lib-name=lib", "db=3", "cmd=client|info", "user=default",
                      "resp=2", "flags=N", "sub=0", "multi=-1", "redir=-1"):
            assert f" {field} " in text
        assert f" laddr=127.0.0.1:{server.port} " in text


def test_client_list_is_by_id(server):
    raws = [Raw(server.port) for _ in range(20)]
    ids = [plain(r.line("CLIENT ID")) for r in raws]
    listed = [int(n) for n in re.findall(r"^id=(\d+)", plain(raws[0].line("CLIENT LIST")), re.M)]
    assert listed == sorted(listed) and set(ids) <= set(listed)
    some = [ids[7], ids[3], 10**9, ids[7]]
    listed = re.findall(r"^id=(\d+)", plain(raws[0].call("CLIENT", "LIST", "ID", *some)), re.M)
    assert [int(n) for n in listed] == [ids[7], ids[3], ids[7]]
    for r in raws:
        r.close()


def test_kill(server):
    with Raw(server.port) as raw, Raw(server.port) as victim:
        vid = plain(victim.line("CLIENT ID"))
        assert raw.call("CLIENT", "KILL", "ID", vid) == (":", 1)
        assert victim.at_end()
        assert raw.call("CLIENT", "KILL", "ID", vid) == (":", 0)
        own = plain(raw.line("CLIENT ID"))
        assert raw.call("CLIENT", "KILL", "ID", own) == (":", 0)
        assert raw.call("CLIENT", "KILL", "ID", own, "SKIPME", "no") == (":", 1)
        assert raw.at_end()


def test_kill_by_address(server):
    with Raw(server.port) as raw, Raw(server.port) as victim:
        host, port = victim.sock.getsockname()
        assert raw.line(f"CLIENT KILL {host}:{port}") == ("+", "OK")
        assert victim.at_end()
        host, port = raw.sock.getsockname()
        assert raw.line(f"CLIENT KILL {host}:{port}") == ("+", "OK")
        assert raw.at_end()


def test_reply_modes(server):
    with Raw(server.port) as raw:
        raw.send("CLIENT", "REPLY", "SKIP")
        raw.send("ECHO", "skipped")
        assert raw.call("ECHO", "a") == ("$", b"a")
        raw.send("CLIENT", "REPLY", "OFF")
        raw.send("ECHO", "muted")
        raw.send("CLIENT", "REPLY", "SKIP")
        raw.send("nonsense")
        assert raw.call("CLIENT", "REPLY", "ON") == ("+", "OK")
        assert raw.call("ECHO", "b") == ("$", b"b")


def test_reset(server):
    with Raw(server.port, 3) as raw:
        raw.line("SELECT 5")
        raw.line("CLIENT SETNAME joe")
        raw.line("CLIENT NO-TOUCH ON")
        raw.send("CLIENT", "REPLY", "OFF")
        assert raw.call("RESET") == ("+", "RESET")
        assert raw.line("CLIENT GETNAME") == ("$", None)
        assert " db=0 " in plain(raw.line("CLIENT INFO"))


def test_quit(server):
    with Raw(server.port) as raw:
        raw.send("PING")
        raw.send("QUIT")
        with contextlib.suppress(ConnectionError):  # it may have closed already
            raw.send("PING")
        assert raw.read() == ("+", "PONG")
        assert raw.read() == ("+", "OK")
        assert raw.at_end()


def test_pause_holds_writes(server):
    with Raw(server.port) as raw, Raw(server.port) as other:
        assert raw.line("CLIENT PAUSE 60000 WRITE") == ("+", "OK")
        other.send("SET", "pause", "1")
        assert plain(raw.line("GET pause")) is None
        assert raw.line("CLIENT UNPAUSE") == ("+", "OK")
        assert other.read() == ("+", "OK")
        assert raw.line("DEL pause") == (":", 1)


def test_pause_ends_by_itself(server):
    with Raw(server.port) as raw:
        assert raw.line("CLIENT PAUSE 50") == ("+", "OK")
        assert raw.line("PING") == ("+", "PONG")
