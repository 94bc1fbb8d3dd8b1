"""maxmemory: memory stays under the limit, the policy's keys go, those who must hear of it do."""
import random
import threading

import pytest
import redis
from patience import PATIENCE_SECONDS, wait_until
from redis.exceptions import ResponseError

MB = 1 << 20
POLICIES = ['allkeys-lru', 'allkeys-lfu', 'allkeys-random',
            'volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl']
# Of INFO's own connection, and of what shards keep for the next command.
SLACK = 65536
OOM = "command not allowed when used memory > 'maxmemory'."


def used(client):
    return int(client.info('memory')['used_memory'])


def settled(client):
    """Memory in use once everything flushed is freed."""
    wait_until(lambda: client.info('memory')['lazyfree_pending_objects'] == 0, 'all is freed')
    return used(client)


def comes_down(client, limit):
    """Eviction takes as long as it takes: what a command has begun is finished in slices behind it, as in
    Redis. But it goes on, also when nobody writes, until memory is below the limit."""
    wait_until(lambda: used(client) < limit + SLACK, lambda: 'below %d: %d' % (limit, used(client)))


@pytest.fixture
def limited(client):
    """limited(policy, bytes): so much more than now may be used."""
    def limit(policy, extra):
        bytes_ = settled(client) + extra
        client.execute_command('CONFIG', 'SET', 'maxmemory-policy', policy, 'maxmemory', str(bytes_))
        return bytes_
    yield limit
    client.execute_command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0',
                           'notify-keyspace-events', '')


def load(client, count, size, ex=None, prefix='k'):
    """SETs in pipelines; returns the errors."""
    errors = []
    for start in range(0, count, 100):
        p = client.pipeline(transaction=False)
        for i in range(start, min(start + 100, count)):
            p.set('%s%d' % (prefix, i), 'x' * size, ex=ex)
        errors += [e for e in p.execute(raise_on_error=False) if isinstance(e, Exception)]
    return errors


@pytest.mark.parametrize('policy', POLICIES)
def test_limit_is_kept(client, limited, policy):
    volatile = policy.startswith('volatile')
    client.config_resetstat()
    limit = limited(policy, 2 * MB)
    for part in range(10):
        assert not load(client, 1000, 1000, ex=1000 if volatile else None, prefix='p%d:' % part)
        comes_down(client, limit)
    stats = client.info('stats')
    assert stats['evicted_keys'] > 5000
    assert stats['evicted_keys'] + client.dbsize() == 10000


def test_nothing_can_be_evicted(client, limited):
    client.mset({'stays%d' % i: 'y' * 1000 for i in range(200)})
    for policy in ('noeviction', 'volatile-lru', 'volatile-random', 'volatile-ttl'):
        limited(policy, -100000)
        with pytest.raises(ResponseError, match=OOM):
            client.set('more', 'x')
        assert client.get('stays7') == b'y' * 1000
        assert client.dbsize() == 200
    client.expire('stays0', 1000)
    client.delete(*['stays%d' % i for i in range(1, 200)])
    assert client.set('more', 'x')


def test_all_is_evicted_and_it_is_not_enough(client):
    client.set('a', 'x')
    client.execute_command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '1')
    try:
        for _ in range(3):  # what was taken in is evicted again, after a while
            def refused():
                try:
                    return not client.set('k', 'x')
                except ResponseError as e:
                    assert OOM in str(e)
                    return True
            wait_until(refused, 'a write is refused', every=0)
        assert client.info('stats')['current_eviction_exceeded_time'] >= 0
    finally:
        client.execute_command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '0')
    assert client.set('a', 'x')


def test_only_volatile_keys_go(client, limited):
    client.mset({'stays%d' % i: 'y' * 500 for i in range(500)})
    for policy in ('volatile-lru', 'volatile-lfu', 'volatile-random', 'volatile-ttl'):
        limited(policy, MB)
        assert not load(client, 4000, 1000, ex=1000, prefix=policy)
        assert client.exists(*['stays%d' % i for i in range(500)]) == 500
        client.execute_command('CONFIG', 'SET', 'maxmemory', '0')
        client.delete(*[policy + str(i) for i in range(4000)])


def test_used_keys_stay(client, limited):
    """LFU: what is read all the time survives a stream of keys that are not."""
    client.execute_command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu')
    hot = ['hot%d' % i for i in range(50)]
    client.mset({k: 'h' * 100 for k in hot})
    pipe = client.pipeline(transaction=False)
    for _ in range(1000):  # counters are a matter of chance: far enough above those of new keys
        pipe.mget(hot)
    pipe.execute()
    limited('allkeys-lfu', MB)
    for part in range(25):
        load(client, 200, 1000, prefix='cold%d:' % part)
        client.mget(hot)
    # No shard may pay for the others, or for its connections' input, until it has no cold keys left.
    assert client.exists(*hot) > 40
    assert client.object('freq', next(k for k in hot if client.exists(k))) > 5


def test_all_databases(server, client, limited):
    others = [server.client(db=n) for n in (1, 5)]
    for c in [client, *others]:
        load(c, 300, 500)
    limit = limited('allkeys-random', -200000)
    comes_down(client, limit)
    for c in [client, *others]:
        assert c.dbsize() < 300


def test_huge_values_are_freed_in_slices(client, limited):
    """While one is being freed nothing else is evicted for it on its shard."""
    client.rpush('{h}big', *['x' * 100] * 50000)
    client.mset({'{h}small%d' % i: 'y' for i in range(20)})
    limited('volatile-lru', -MB)
    client.expire('{h}big', 1000)
    wait_until(lambda: not client.exists('{h}big'), 'the huge one is evicted')
    for i in range(50):
        client.set('{h}more', 'x' * 1000)
    assert client.dbsize() == 21


def test_events_and_invalidations(server, client, limited):
    client.execute_command('CONFIG', 'SET', 'notify-keyspace-events', 'Ee')
    listener = server.client().pubsub()
    listener.subscribe('__keyevent@0__:evicted')
    assert listener.get_message(timeout=PATIENCE_SECONDS)['type'] == 'subscribe'
    keys = {'key:%d' % i for i in range(200)}
    client.mset({k: 'v' * 2000 for k in keys})
    cache = redis.connection.Connection(port=server.port)
    cache.connect()

    def call(*args):
        cache.send_command(*args)
        return cache.read_response()
    target = server.client()
    inval = target.pubsub()
    inval.subscribe('__redis__:invalidate')
    assert inval.get_message(timeout=PATIENCE_SECONDS)['type'] == 'subscribe'
    ids = [c for c in client.client_list(_type='pubsub')]
    last = max(int(c['id']) for c in ids)
    assert call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', str(last)) == b'OK'
    call('MGET', *keys)
    comes_down(client, limited('allkeys-lru', -200000))
    load(client, 1, 10, prefix='one more')
    gone = {k for k in keys if not client.exists(k)}
    assert len(gone) >= 20
    told, invalid = set(), set()
    while not gone <= told:
        told.add(listener.get_message(timeout=PATIENCE_SECONDS)['data'].decode())
    while not gone <= invalid:
        invalid |= {k.decode() for k in inval.get_message(timeout=PATIENCE_SECONDS)['data']}
    cache.disconnect()


def test_watch_sees_eviction(server, client, limited):
    client.set('watched', 'v', ex=1000)
    limited('noeviction', MB)
    with server.client().pipeline() as p:
        p.watch('watched')
        client.config_set('maxmemory-policy', 'volatile-ttl')
        client.config_set('maxmemory', 1)
        wait_until(lambda: not client.exists('watched'), 'it is evicted')
        client.config_set('maxmemory', 0)
        p.multi()
        p.set('other', 1)
        with pytest.raises(redis.WatchError):
            p.execute()


def test_storm(server, client, limited):
    """Pairs are written and moved together; what is evicted goes by single keys, so a transaction that
    reads both, twice, must see the same twice."""
    limit = limited('allkeys-lru', MB)
    wrong, stop = [], threading.Event()

    def writer(seed):
        c, rng = server.client(), random.Random(seed)
        for n in range(200):
            i = rng.randrange(100)
            try:
                c.mset({'a%d' % i: 'x' * rng.randrange(3000), 'b%d' % i: 'y' * rng.randrange(3000)})
                c.rename('a%d' % i, 'c%d' % i)
            except ResponseError as e:
                if 'no such key' not in str(e):
                    wrong.append(str(e))
            load(c, 10, 500, prefix='fill%d:%d:' % (seed, n))
        c.close()

    def reader(seed):
        c, rng = server.client(), random.Random(seed)
        while not stop.is_set():
            i = rng.randrange(100)
            p = c.pipeline(transaction=True)
            for _ in range(2):
                p.strlen('b%d' % i)
                p.strlen('c%d' % i)
                p.set('w%d' % i, 'z' * 500)
            got = p.execute(raise_on_error=False)
            if any(isinstance(g, Exception) for g in got) or got[0:2] != got[3:5]:
                wrong.append(got)
        c.close()
    writers = [threading.Thread(target=writer, args=(n,)) for n in range(3)]
    readers = [threading.Thread(target=reader, args=(n,)) for n in range(2)]
    for t in writers + readers:
        t.start()
    for t in writers:
        t.join()
    stop.set()
    for t in readers:
        t.join()
    assert not wrong
    comes_down(client, limit)
    assert client.info('stats')['evicted_keys'] > 0
    client.config_set('maxmemory', 0)
    size, cursor, seen = client.dbsize(), 0, set()
    while True:
        cursor, keys = client.scan(cursor, count=1000)
        seen.update(keys)
        if cursor == 0:
            break
    assert len(seen) == client.dbsize() == size
