"""COMMAND: for each command that both servers have, the table says what Redis says.

The reference is Redis 7.0.15. What 7.2 and 7.4 changed is listed here, and nothing else may
differ. Summaries, complexities, histories and notes are our own words.
"""
import pytest
from rawresp import Raw, plain, shape

# command: fields of COMMAND INFO that newer versions have changed
INFO_CHANGED = {
    "command|getkeys": {"arity"},          # 7.2: a command without arguments may be asked for
    "command|getkeysandflags": {"arity"},
    "client|setname": {"tips"},            # 7.2, as all of the tips below
    "latency|reset": {"tips"},
    "msetnx": {"tips"},
    "randomkey": {"tips"},
    "scan": {"tips"},
    "xautoclaim": {"keys"},                # 7.2: says that it reads
    "zrank": {"arity"},                    # 7.2: WITHSCORE
    "zrevrank": {"arity"},
}
# command: fields of COMMAND DOCS
DOCS_CHANGED = {
    "client|kill": {"arguments"},          # 7.2: SKIPME's words; 7.4: MAXAGE
    "command|getkeys": {"arguments"},      # 7.2: has arguments at all
    "command|getkeysandflags": {"arguments"},
    "quit": {"deprecated_since"},          # 7.2
    "psetex": {"deprecated_since"},        # 7.2 says so of these three
    "setex": {"deprecated_since"},
    "setnx": {"deprecated_since"},
    "bitop": {"arguments"},                # 8.2: further operations
    "geohash": {"arguments"},              # members may be left out, as they always could
    "geopos": {"arguments"},
    "georadius": {"arguments"},            # 7.2: COUNT's ANY within its block
    "georadiusbymember": {"arguments"},
    "georadiusbymember_ro": {"arguments"},
    "hscan": {"arguments"},                # 7.4: NOVALUES
    "pfmerge": {"arguments"},              # sources may be left out, as they always could
    "sort": {"arguments"},                 # patterns are no keys
    "sort_ro": {"arguments"},
    "xinfo|stream": {"arguments"},         # 7.2: FULL is a token of its own
    "zrank": {"arguments"},
    "zrevrank": {"arguments"},
}


def info_entry(entry):
    name, arity, flags, first, last, step, categories, tips, keys, subs = entry
    fields = dict(arity=arity, flags=set(flags), first=first, last=last, step=step,
                  categories=set(categories), tips=set(tips))
    fields["keys"] = [{k: v for k, v in spec.items() if k != "notes"} for spec in keys]
    yield name, fields
    for sub in subs:
        yield from info_entry(sub)


def all_info(port):
    with Raw(port, 3) as raw:
        entries = plain(raw.call("COMMAND"))
        assert plain(raw.call("COMMAND", "COUNT")) == len(entries)
        return {name: fields for e in entries for name, fields in info_entry(e)}


def args_shape(args):
    """What a client needs to build the command. Names are not part of that."""
    return [(a["type"], a.get("token"), frozenset(a.get("flags", ())), a.get("key_spec_index"),
             a.get("since"), args_shape(a.get("arguments", ()))) for a in args]


def docs_entry(name, doc):
    yield name, dict(since=doc.get("since"), group=doc["group"],
                     deprecated_since=doc.get("deprecated_since"),
                     arguments=args_shape(doc.get("arguments", ())))
    for sub, sub_doc in doc.get("subcommands", {}).items():
        yield from docs_entry(sub, sub_doc)


def all_docs(port):
    with Raw(port, 3) as raw:
        docs = plain(raw.call("COMMAND", "DOCS"))
        return {n: f for name, doc in docs.items() for n, f in docs_entry(name, doc)}


def differences(ours, theirs, changed):
    found = []
    for name in sorted(ours.keys() & theirs.keys()):
        for field, value in ours[name].items():
            if field not in changed.get(name, ()) and value != theirs[name][field]:
                found.append(f"{name}: {field}: {value!r}, Redis has {theirs[name][field]!r}")
    return found


def test_info_as_redis(server, oracle):
    ours, theirs = all_info(server.port), all_info(oracle.port)
    assert "client|list" in ours
    assert differences(ours, theirs, INFO_CHANGED) == []


def test_docs_as_redis(server, oracle):
    ours, theirs = all_docs(server.port), all_docs(oracle.port)
    assert set(ours) == set(all_info(server.port))
    assert differences(ours, theirs, DOCS_CHANGED) == []


def test_list(server):
    everything = set(all_info(server.port))
    with Raw(server.port) as raw:
        assert set(plain(raw.line("COMMAND LIST"))) == everything
        clients = {n for n in everything if n.startswith("client")}
        assert set(plain(raw.line("COMMAND LIST FILTERBY PATTERN CLIENT*"))) == clients
        assert "ping" in plain(raw.line("COMMAND LIST FILTERBY ACLCAT connection"))


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("line", [
    "COMMAND INFO ping",
    "COMMAND INFO ping nothing",
    "COMMAND INFO client|id",
    "COMMAND INFO client|id|x",
    "COMMAND INFO ping|x",
    "COMMAND DOCS nothing",
    "COMMAND DOCS echo",
    "COMMAND DOCS auth",
    "COMMAND DOCS client|setname",
    "COMMAND LIST FILTERBY MODULE nothing",
    "COMMAND LIST FILTERBY ACLCAT nothing",
])
def test_shapes(server, oracle, resp, line):
    with Raw(server.port, resp) as ours, Raw(oracle.port, resp) as theirs:
        got, want = ours.line(line), theirs.line(line)
        if "DOCS" in line or resp == 3:
            assert shape(got) == shape(want)
        else:
            assert got == want


@pytest.mark.parametrize("line", [
    "COMMAND GETKEYS PING x",
    "COMMAND GETKEYS nothing a",
    "COMMAND GETKEYS CLIENT nothing",
    "COMMAND GETKEYS CLIENT LIST",
    "COMMAND GETKEYS GET k x",
    "COMMAND GETKEYS GET k",
    "COMMAND GETKEYS MSET a 1 b 2",
    "COMMAND GETKEYS MSET a 1 b 2 c",
    "COMMAND GETKEYSANDFLAGS GET k",
    "COMMAND GETKEYSANDFLAGS SET k v",
    "COMMAND GETKEYSANDFLAGS SET k v EX 3 get",
    "COMMAND GETKEYSANDFLAGS MSET a 1 b 2",
    "COMMAND GETKEYSANDFLAGS RENAME a b",
    "COMMAND GETKEYSANDFLAGS COPY a b",
    "COMMAND GETKEYSANDFLAGS SORT a BY x* STORE b",
    "COMMAND GETKEYSANDFLAGS OBJECT ENCODING a",
    "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 9",
    "COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0",
    "COMMAND GETKEYSANDFLAGS BITFIELD k SET u8 0 1",
    "COMMAND GETKEYSANDFLAGS BITOP AND d a b",
    "COMMAND FOO",
    "COMMAND COUNT x",
    "COMMAND LIST x",
    "COMMAND LIST FILTERBY x y",
    "COMMAND LIST FILTERBY PATTERN",
    "CLIENT",
    "CLIENT nothing",
    "CLIENT ID x",
    "GET",
    "nothing-like-that",
    "nothing-like-that a b c",
    "nothing " + "x" * 300 + " y",
    "nothing " + "x" * 124 + " abcdef g",
    "x" * 300 + " a",
    "CLIENT " + "x" * 300,
])
def test_replies_as_redis(server, oracle, line):
    with Raw(server.port) as ours, Raw(oracle.port) as theirs:
        words = line.split(" ")
        if words[1:2] in (["GETKEYS"], ["GETKEYSANDFLAGS"]):
            if plain(ours.call("COMMAND", "INFO", words[2])) == [None] and words[2] != "nothing":
                pytest.skip(f"{words[2]} does not exist yet")
        assert ours.line(line) == theirs.line(line)
