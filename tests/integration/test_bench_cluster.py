"""ashlar-bench against a real cluster of three redis-servers: routing, MOVED, ASK, a slot on the move."""
import threading

import pytest

from bench_tool import Cluster, bench, bench_json
from patience import wait_until


@pytest.fixture(scope='module')
def cluster():
    c = Cluster()
    yield c
    c.stop()


@pytest.fixture
def empty(cluster):
    for c in cluster.clients:
        c.flushall()
        c.config_resetstat()
    return cluster


def sizes(cluster):
    return [c.dbsize() for c in cluster.clients]


def test_every_key_goes_to_its_node_at_once(empty):
    run = bench_json('--cluster', '--load', 3000, '-n', 6000, '--mix', 'get=1,set=1', '-P', 4, '--threads', 2,
                     '--verify', '-d', 50, port=empty.nodes[1].port)['runs'][0]
    assert run['errors'] == run['mismatches'] == run['misses'] == run['moved'] == run['asked'] == 0
    assert sum(sizes(empty)) == 3000 and min(sizes(empty)) > 800
    assert run['server_cpu_us_per_request'] > 0


def test_commands_of_several_keys_share_a_slot(empty):
    for test in ('mset', 'mget'):
        run = bench_json('--cluster', '-n', 500, '-t', test, '-r', 100, port=empty.nodes[0].port)['runs'][0]
        assert run['errors'] == 0
    assert min(sizes(empty)) > 0


def test_without_cluster_redirects_are_errors(empty):
    done = bench('-n', 300, '--mix', 'set=1', port=empty.nodes[0].port, check=2)
    assert 'MOVED' in done.stdout


def test_open_loop(empty):
    run = bench_json('--cluster', '--rate', 1000, '--duration', 1, '--mix', 'set=1', '--keys', 500, '--drain', 30,
                     port=empty.nodes[2].port)['runs'][0]
    assert run['requests'] == 1000 and run['errors'] == 0 and min(sizes(empty)) > 0


def test_a_slot_moves_during_the_run(empty):
    """All keys lie in one slot, which goes from its node to another with its keys and back: no request
    fails, no value is wrong, none is missing. MOVED and ASK are both met."""
    source = next(i for i, c in enumerate(empty.clients)
                  if any(b - a >= 0 and a <= 12182 <= b for a, b in owned(c, empty.ids[i])))
    target = (source + 1) % 3
    args = ['--cluster', '--verify', '--key-format', '{foo}%06d', '--keys', 200, '-d', 100]
    bench(*args, '--load', 200, '-q', port=empty.nodes[0].port)
    for seconds in (4, 16, 64):  # a slow machine takes longer to move it
        for c in empty.clients:
            c.config_resetstat()
        done = []
        thread = threading.Thread(target=lambda: done.append(bench_json(
            *args, '--duration', seconds, '--mix', 'get=3,set=1', '-P', 2, '-c', 4, port=empty.nodes[0].port)))
        thread.start()
        wait_until(lambda: any(c.info('commandstats').get('cmdstat_get') for c in empty.clients), 'it runs')
        empty.migrate(12182, source, target)
        empty.migrate(12182, target, source)
        thread.join()
        run = done[0]['runs'][0]
        assert run['errors'] == run['mismatches'] == run['misses'] == 0
        if run['moved'] > 0 and run['asked'] > 0:
            break
    assert run['moved'] > 0 and run['asked'] > 0
    assert sum(sizes(empty)) == 200


def owned(client, node_id):
    """The slot ranges of this node, by its own CLUSTER SLOTS."""
    import redis
    raw = redis.Redis(host="127.0.0.1", port=client.connection_pool.connection_kwargs['port'])
    raw.response_callbacks.clear()
    ranges = []
    for first, last, master, *_ in raw.execute_command('CLUSTER', 'SLOTS'):
        if master[2].decode() == node_id:
            ranges.append((first, last))
    raw.close()
    return ranges
