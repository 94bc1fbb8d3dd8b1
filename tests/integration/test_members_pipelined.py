"""Pipelined commands on members of large collections: their members are hashed and prefetched before the
first of them runs (shards/exec.c), which must not show. Compared with redis-server, in several connections
and with errors (WRONGTYPE) in between, so that a member that was prefetched is not looked up.
"""
import random

import pytest

KEYS = ['h', 's', 'z', 'h2', 'text']


def command(rng):
    member = 'm:%d' % rng.randrange(3000)
    key = rng.choice(KEYS)
    return rng.choice([
        ('HSET', key, member, 'v%d' % rng.randrange(100)), ('HSET', 'h', member, 'x', member + 'b', 'y'),
        ('HSET', 'h2', member, member), ('HGET', key, member), ('HDEL', key, member), ('HEXISTS', 'h2', member),
        ('HINCRBY', 'numbers', member, rng.randrange(10)), ('HSTRLEN', key, member), ('HSETNX', 'h2', member, '1'),
        ('SADD', key, member), ('SADD', 's', member, member + 'b'), ('SREM', 's', member), ('SISMEMBER', key, member),
        ('SMOVE', 's', 's2', member), ('ZADD', key, rng.randrange(1000), member), ('ZINCRBY', 'z', '1', member),
        ('ZSCORE', key, member), ('ZREM', 'z', member), ('ZRANK', 'z', member), ('EVAL', "return redis.call("
         "'HGET', KEYS[1], ARGV[1])", '1', 'h', member), ('SET', 'text', member), ('DEL', 's2'),
    ])


def load(client):
    pipe = client.pipeline(transaction=False)
    for i in range(2000):
        pipe.hset('h', 'm:%d' % i, i)
        pipe.hset('h2', 'm:%d' % i, i)
        pipe.sadd('s', 'm:%d' % i)
        pipe.zadd('z', {'m:%d' % i: i})
        pipe.hset('numbers', 'm:%d' % i, i)
    pipe.execute()


@pytest.mark.parametrize('transaction', [False, True])
def test_same_replies(client, oracle, transaction):
    theirs = oracle.client()
    theirs.flushall()
    rng = random.Random(4711)
    for c in (client, theirs):
        load(c)
    for _ in range(150):
        commands = [command(rng) for _ in range(rng.randrange(1, 80))]
        replies = []
        for c in (client, theirs):
            pipe = c.pipeline(transaction=transaction)
            for words in commands:
                pipe.execute_command(*words)
            replies.append([str(r) for r in pipe.execute(raise_on_error=False)])
        assert replies[0] == replies[1]
