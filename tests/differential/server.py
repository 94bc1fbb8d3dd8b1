#!/usr/bin/env python3
"""Random calls of the commands about connections and the server, with wrong options, too many and too
few arguments and hostile words, to a redis-server and to ours; every reply must be the same.

As oracle.py says, but ours has to be ashlar-server, and the protocol is whatever HELLO has chosen. Where
a reply depends on the moment or is free text (INFO, CLIENT LIST, HELP …) only its type is compared; errors
are always compared word for word. Known differences (README, Redis 7.2 and 7.4) are in KNOWN. A call that
closes the connection must do so on both."""
import os
import re
import socket
import sys
import time

from oracle import Random, Server

WORDS = [b'', b' ', b'x', b'0', b'1', b'-1', b'2', b'10', b'007', b'1.5', b'18446744073709551616',
         b'9223372036854775807', b'-9223372036854775808', b'a b', b'\xc3\xa9', b'\n', b'\r\n', b'\0', b'*', b'[',
         b'%s%n', b'z' * 300, b'ID', b'TYPE', b'on', b'off', b'yes', b'NO', b'help', b'default', b'list', b'get',
         b'set']
KEYS = [b'str', b'int', b'list', b'none', b'hash', b'set', b'zset', b'stream']
LIBRARY = b"#!lua name=%s\nredis.register_function('%s', function(keys, args) return args end)"
FUNCTIONS = [LIBRARY % (b'one', b'f1'), LIBRARY % (b'two', b'f1'), LIBRARY % (b'one', b'f2'), b'#!lua name=a b\n',
             b'#!lua\nreturn 1', b'#!js name=q\n', b'x', b'', b'#!lua name=q foo=1\n', b'#!lua name=q name=r\n']
# What is asked for: words, where a list stands for one of its members and a string that begins with '?' for what may
# be missing. '@': any of WORDS; 'KEY': one of KEYS.
CALLS = '''
CLIENT CACHING YES|NO|@
CLIENT GETNAME
CLIENT GETREDIR
CLIENT ID
CLIENT INFO
CLIENT HELP
CLIENT KILL @
CLIENT KILL ID|ADDR|LADDR|USER|SKIPME|TYPE|MAXAGE|@ 123456|@|replica|pubsub|master ?SKIPME|TYPE|USER|ID ?yes|@|pubsub
CLIENT LIST ?TYPE|ID|@ ?normal|pubsub|master|replica|slave|@|1 ?@
CLIENT NO-EVICT on|off|@
CLIENT PAUSE 0|@ ?WRITE|ALL|@
CLIENT REPLY ON|@
CLIENT SETNAME name|@
CLIENT TRACKING on|off|@ ?REDIRECT|BCAST|PREFIX|OPTIN|OPTOUT|@ ?0|@|1234567|OPTIN|NOLOOP ?PREFIX|BCAST ?a|b|ab|@
CLIENT TRACKINGINFO
CLIENT UNBLOCK 1234567|@ ?TIMEOUT|ERROR|@
CLIENT UNPAUSE
PUBSUB CHANNELS ?*|x|@
PUBSUB NUMSUB ?a|@ ?b
PUBSUB NUMPAT ?x
PUBSUB SHARDCHANNELS ?*|@
PUBSUB SHARDNUMSUB ?a|@ ?b
PUBSUB HELP
PUBLISH a|@ b|@
SPUBLISH a|@ b|@
SUBSCRIBE
PSUBSCRIBE
SSUBSCRIBE
UNSUBSCRIBE ?a|@
PUNSUBSCRIBE ?a|@
SUNSUBSCRIBE ?a|@
LATENCY DOCTOR
LATENCY GRAPH command|@
LATENCY HISTORY command|@
LATENCY LATEST
LATENCY RESET ?command|@ ?x
LATENCY HISTOGRAM ?nosuch|@
LATENCY HELP
SLOWLOG GET ?-1|@
SLOWLOG LEN
SLOWLOG RESET
SLOWLOG HELP
MEMORY DOCTOR
MEMORY HELP
MEMORY PURGE
MEMORY USAGE KEY ?SAMPLES|@ ?0|1|@
OBJECT ENCODING|FREQ|IDLETIME|@ KEY
OBJECT HELP
COMMAND COUNT
COMMAND GETKEYS GET|SET|MSET|EVAL|XREAD|SORT|ZUNIONSTORE|PING|@ ?KEY|@ ?1|2|@ ?KEY ?STORE|STREAMS ?KEY
COMMAND GETKEYSANDFLAGS GET|SET|MSET|EVAL|LMOVE|COPY|PING|@ ?KEY|@ ?1|2|@ ?KEY ?STORE ?KEY
COMMAND INFO nosuch|@
COMMAND LIST ?FILTERBY|@ MODULE|ACLCAT|PATTERN|@ xyz|@|nosuch*
COMMAND DOCS nosuch|@
COMMAND HELP
CONFIG GET maxmemory|timeout|databases|hz|nosuch|max?emory|[|@|slowlog-max-len|appendonly|requirepass ?port2|timeout
CONFIG SET timeout|hz|nosuch|slowlog-max-len|maxmemory-policy|loglevel|databases|@ 0|1|1mb|1x|allkeys-lru|@ ?timeout|hz ?1|@
CONFIG RESETSTAT
CONFIG HELP
CONFIG REWRITE
SCRIPT EXISTS ?@ ?e0e1f9fabfc9d4800c877a703b823ac0578ff8db
SCRIPT FLUSH ?ASYNC|SYNC|@ ?@
SCRIPT LOAD return+1|@
SCRIPT KILL
SCRIPT HELP
SCRIPT DEBUG NO|x
FUNCTION DELETE one|two|@
FUNCTION DUMP
FUNCTION FLUSH ?ASYNC|SYNC|@
FUNCTION KILL
FUNCTION LIST ?LIBRARYNAME|WITHCODE|@ ?one|*|WITHCODE|@
FUNCTION LOAD ?REPLACE|@ LIB
FUNCTION RESTORE @ ?FLUSH|APPEND|REPLACE|@
FUNCTION STATS
FUNCTION HELP
FCALL f1|f2|@ 0|1|2|@ ?KEY ?@
FCALL_RO f1|@ 0|1|@ ?KEY ?@
EVAL return+1|return+ARGV|return+redis.call('ping')|@ 0|1|-1|@ ?KEY ?@
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db|@ 0|1|@ ?KEY
EVAL_RO return+redis.call('set','x','y') 0|@
HELLO ?2|3|3|4|1|@ ?AUTH|SETNAME|@ ?default|name|@ ?@|SETNAME ?x
AUTH x|default|@ ?y|@ ?z
RESET ?x
SELECT 0|1|15|16|@
ECHO hi|@
PING ?hi|@ ?x
SWAPDB 0|1|@ 0|1|16|@
DBSIZE ?x
TIME ?x
LASTSAVE ?x
ROLE ?x
LOLWUT VERSION 1|@
INFO nosuch|@ ?nosuch
MULTI ?x
EXEC ?x
DISCARD ?x
WATCH ?str|@
UNWATCH ?x
MONITOR x
SHUTDOWN foo|NOSAVE foo
CLUSTER INFO|NODES|SLOTS|SHARDS|MYID|LINKS|HELP|BUMPEPOCH|FLUSHSLOTS|SAVECONFIG|RESET|@ ?x
CLUSTER KEYSLOT|COUNTKEYSINSLOT|ADDSLOTS|DELSLOTS|FORGET|REPLICATE|REPLICAS|SLAVES|SET-CONFIG-EPOCH|@ KEY|1|@ ?1
CLUSTER COUNT-FAILURE-REPORTS|FAILOVER|GETKEYSINSLOT|MEET|SETSLOT|ADDSLOTSRANGE|DELSLOTSRANGE @ ?1 ?2
READONLY ?x
READWRITE ?x
ASKING ?x
FAILOVER ?TO|FORCE|ABORT|TIMEOUT|@ ?h|1|0|TIMEOUT|@ ?10|@|FORCE ?FORCE|TIMEOUT|@ ?10|@ ?TO|@
REPLICAOF|SLAVEOF NO|@ ONE|-1|65536|x|
WAIT 0|1|-1|@ 1|10|-1|x|1.5|
MODULE LIST|LOAD|LOADEX|UNLOAD|@ ?/nosuch|@ ?CONFIG|ARGS|@ ?a
EVAL return+redis.call('WAIT','0','1')|return+redis.call('CLUSTER','INFO')|return+redis.call('CLUSTER','RESET') 0
EVAL return+redis.call('REPLICAOF','NO','ONE')|return+redis.call('READONLY')|return+redis.call('ASKING') 0
DEBUG ERROR @
DEBUG SLEEP 0|x
DEBUG SET-ACTIVE-EXPIRE 1|x
DEBUG PROTOCOL string|integer|double|null|array|set|map|attrib|push|verbatim|true|false|bignum|@
DEBUG OBJECT none
DEBUG DIGEST-VALUE ?KEY ?KEY
DEBUG nosuch|@
NOSUCH ?x
@ ?@ ?@
'''
# Replies of which only the type is compared.
LOOSE = re.compile(rb'^(COMMAND( (LIST|DOCS|INFO))?$|CLIENT (ID|INFO|LIST|HELP)|\w+ HELP|'
                   rb'LATENCY (DOCTOR|HISTOGRAM)|MEMORY (DOCTOR|USAGE)|COMMAND COUNT|DEBUG OBJECT|HELLO|TIME|LASTSAVE|LOLWUT|'
                   rb'INFO|FUNCTION DUMP|SLOWLOG (GET|LEN)|FUNCTION STATS|OBJECT IDLETIME|'
                   rb'DEBUG DIGEST)', re.I)
# Known differences: patterns of the call, of redis-server's reply and of ours, and why.
KNOWN = [
    (rb'^COMMAND GETKEYS', rb'wrong number of arguments', b'', 'arity since Redis 7.2'),
    (rb'^COMMAND GETKEYS(ANDFLAGS)?\s', rb'^\+QUEUED', b'', 'the same'),
    (rb'^COMMAND GETKEYS XREAD', rb'^\*', rb'Invalid arguments', 'Redis takes what is behind any word STREAMS'),
    (rb'^COMMAND GETKEYSANDFLAGS EVAL \S+ 1.5', rb'', b'', 'Redis takes the 1'),
    (rb'^CLIENT KILL .*MAXAGE', rb'syntax error', b'', 'Redis 7.4'),
    (rb'^HELLO .*AUTH', rb'WRONGPASS', rb'Syntax error|special characters', 'since Redis 7.2 all is read first'),
    (rb'^CONFIG SET LOGLEVEL', rb'must be one of', rb'nothing', 'Redis 7.2'),
    (rb'^CLIENT TRACKING .*REDIRECT', rb'does not exist', rb'', 'other shards are asked when all else is right'),
    (rb'^DEBUG', rb'QUEUED', rb'unknown subcommand|wrong number', 'subcommands are rows of the table here'),
    (rb'^OBJECT ENCODING (set|list)', rb'.', rb'listpack', 'Redis 7.2'),
    (rb'^CONFIG SET .*\0', rb'', rb'zero byte', 'Redis takes what stands before it'),
    (rb'^(FUNCTION|LATENCY) .*[\r\n]', rb'^-', rb'^-', 'line ends in an error: blanks, or nothing at its end'),
    (rb'^DEBUG ERROR', b'\0', b'', 'a zero byte in an error'),
]


class Connection(Server):
    """To a server that may close it."""

    def __init__(self, command):
        flags = '--enable-debug-command yes --enable-module-command yes --slowlog-log-slower-than -1'
        super().__init__(2, command + flags.split())
        self.port = self.socket.getpeername()[1]
        self.prepare()

    def prepare(self):
        self.socket.settimeout(5)
        for line in ('SET str abc', 'SET int 12', 'RPUSH list a b', 'HSET hash f v', 'SADD set a b', 'ZADD zset 1 a',
                     'XADD stream 1-1 f v'):
            self.run(line.encode().split())

    def again(self):
        self.socket.close()
        self.socket = socket.create_connection(('127.0.0.1', self.port))
        self.input = self.socket.makefile('rb')
        self.prepare()

    def run(self, words):
        try:
            reply = super().run(words)
            while reply[:1] == b'>' and b'\r\ninvalidate\r\n' in reply:  # when is not compared
                reply = self.reply()
            more = reply[:1] == b'|' or (reply[:1] == b'>' and words[0].upper() == b'DEBUG')
            return reply + (self.reply() if more else b'')
        except ConnectionError:
            return b'closed'
        except TimeoutError:
            return b'no answer'

    def reply(self):
        reply = super().reply()
        if reply[:1] == b'|':  # an attribute; oracle.py reads only its first line
            reply += b''.join(super(Connection, self).reply() for _ in range(2 * int(reply[1:])))
        return reply

    def alive(self):
        return self.server.poll() is None


class Generator(Random):
    def __init__(self, seed):
        super().__init__(seed)
        self.calls = [line.split() for line in CALLS.strip().splitlines()]

    def word(self, choices):
        word = self.random.choice(choices.split('|')) if choices != '@' else '@'
        if word == '@':
            return self.random.choice(WORDS)
        if word == 'KEY':
            return self.random.choice(KEYS)
        if word == 'LIB':
            return self.random.choice(FUNCTIONS)
        return word.replace('+', ' ').encode()

    def command(self):
        words = []
        for choices in self.random.choice(self.calls):
            if choices[0] == '?':
                if self.random.random() < 0.4:
                    break
                choices = choices[1:]
            words.append(self.word(choices))
        dice = self.random.random()
        if dice < 0.05:
            words.append(self.random.choice(WORDS))
        elif dice < 0.1 and len(words) > 1:
            words.pop()
        elif dice < 0.2:
            words = [w.swapcase() for w in words]
        return words


def forbidden(words):
    """Calls that end one of the servers, that answer with nothing, or with more than one reply."""
    line = b' '.join(words[:3]).upper()
    return (re.match(rb'^(CLIENT REPLY (OFF|SKIP)|MONITOR$|SHUTDOWN$|DEBUG (SEGFAULT|PANIC|OOM|RESTART)|'
                     rb'QUIT|SYNC|PSYNC)', line) or
            (line.startswith(b'SHUTDOWN') and not any(w.upper() in (b'FOO', b'X') for w in words[1:])) or
            line.startswith(b'SCRIPT DEBUG YES') or
            # the connection's own id on one of them
            (re.match(rb'CLIENT (TRACKING|KILL|UNBLOCK)', line) and {b'1', b'2', b'3', b'007', b'10'} & set(words)) or
            (words[0].upper() in (b'REPLICAOF', b'SLAVEOF') and words[2:3] and words[2].isdigit() and
             int(words[2]) < 65536) or
            (words[0].upper() == b'WAIT' and words[2:3] and words[2] in (b'0', b'9223372036854775807')) or
            (line.startswith(b'CLIENT KILL') and re.search(rb'(?i)type.(normal|0)|skipme.no', b' '.join(words))) or
            (line.startswith(b'CLIENT PAUSE') and words[2:] and words[2] not in (b'0', b'', b'x', b'-1', b'a b')) or
            (re.match(rb'^[PS]?(UN)?SUBSCRIBE', line) and len(words) != 1 + (b'UNSUB' in line)))


def comparable(words, reply):
    if b' '.join(words[:2]).upper() == b'CONFIG GET' and reply[:1] in b'*%':
        if b'*' in words[2:] or b'' in words[2:]:
            return reply[:1]
        return sorted(reply.split(b'\r\n'))
    if words[0].upper() == b'EXEC' and reply[:1] == b'*':
        return reply[:2]
    if reply[:1] != b'-' and LOOSE.match(b' '.join(words[:2])):
        return reply[:1]
    return reply


def known(words, our, their):
    line = b' '.join(words)
    return any(re.search(call, line, re.I | re.S) and re.search(theirs, their, re.S) and re.search(ours, our, re.S)
               for call, theirs, ours, _ in KNOWN)


def main():
    seed, count, _ = [int(a) for a in (sys.argv[2:] + ['1', '20000', '2'][len(sys.argv) - 2:])]
    ours = Connection([os.path.abspath(sys.argv[1]), *os.environ.get('ASHLAR_FLAGS', '--shards 4').split()])
    theirs = Connection(['redis-server'])
    both = (ours, theirs)
    different, expected, started, log = 0, 0, time.time(), []
    for words in Generator.sequence(seed, count):
        if forbidden(words):
            continue
        log.append(words)
        our, their = ours.run(words), theirs.run(words)
        if comparable(words, our) != comparable(words, their):
            if known(words, our, their):
                expected += 1
            else:
                different += 1
                if different <= int(os.environ.get('SHOW', '10')):
                    print([w[:60] for w in words])
                    print('  redis', their[:300])
                    print('  ours ', our[:300], flush=True)
        if not ours.alive():
            break
        if words[0].upper() == b'HELLO':  # a name is set by one that failed only before Redis 7.2
            for server in both:
                server.run([b'CLIENT', b'SETNAME', b''])
        if {b'closed', b'no answer'} & {our, their}:
            for server in both:
                server.again()
    died = not ours.alive()
    for server in both:
        server.stop()
    if died:
        print('our server died; the last calls:', log[-5:])
    print('seed %d: %d commands, %d different, %d known (%.1f s)' %
          (seed, len(log), different, expected, time.time() - started))
    sys.exit(1 if different or died else 0)


if __name__ == '__main__':
    main()
