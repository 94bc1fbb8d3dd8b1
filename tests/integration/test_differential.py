"""Random commands of every type, options and hostile arguments included, to redis-server and to ours: the
same replies (tests/differential). Once without a server, which says that core/ is right, and once over
all shards, which says that routing, groups and lending keep it so.

ASHLAR_SEED takes another sequence; longer runs: tests/differential/<type>.py by hand.
"""
import os
import subprocess

import pytest

from conftest import BINARY, ROOT

TYPES = ['strings', 'generic', 'bits', 'hashes', 'lists', 'sets', 'zsets', 'streams', 'hll', 'geo', 'sort', 'scripts']
SEED = os.environ.get('ASHLAR_SEED', '4711')
BUILD = os.path.dirname(os.path.abspath(BINARY))


def run(name, ours, resp, flags='--shards 4'):
    script = os.path.join(ROOT, 'tests', 'differential', name + '.py')
    ran = subprocess.run(['/usr/bin/python3', '-B', script, ours, SEED, '3000', resp], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors='replace', timeout=600,
                         env={**os.environ, 'ASHLAR_FLAGS': flags})
    assert ran.returncode == 0, ran.stdout[-4000:]


@pytest.mark.parametrize('name', TYPES)
def test_core(name):
    harness = os.path.join(BUILD, 'tests', 'script-replay' if name == 'scripts' else 'harness-replay')
    if not os.path.exists(harness):
        pytest.skip(f'{harness} is not built')
    run(name, harness, '2')


@pytest.mark.parametrize('name', TYPES + ['server'])
def test_server(name):
    # SCAN returns everything at once with one shard only.
    run(name, os.path.abspath(BINARY), '3', '--shards 1' if name == 'generic' else '--shards 4')
