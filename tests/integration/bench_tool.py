"""What the tests of ashlar-bench share: the binary, a run of it, a cluster of redis-servers."""
import json
import os
import subprocess
import tempfile
import time

from conftest import ROOT, Server, free_port
from patience import PATIENCE_SECONDS, wait_until

BENCH = os.environ.get('ASHLAR_BENCH', os.path.join(ROOT, 'build', 'ashlar-bench'))


def bench(*args, port=None, timeout=2 * PATIENCE_SECONDS, check=0, stdin=None):
    """Runs ashlar-bench; check is the exit status that is expected, None: any."""
    command = [BENCH, *(['-p', str(port)] if port else []), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin)
    if check is not None:
        assert done.returncode == check, (command, done.returncode, done.stdout, done.stderr)
    return done


def bench_json(*args, port=None, **kwargs):
    """The JSON result of a run."""
    with tempfile.NamedTemporaryFile(suffix='.json') as f:
        bench('--json', f.name, '-q', *args, port=port, **kwargs)
        return json.load(f)


class Cluster:
    """Three redis-servers, each with a third of the slots."""

    def __init__(self):
        self.nodes = []
        for _ in range(3):
            port = free_port()
            while port > 50000 or any(n.port == port for n in self.nodes):  # the bus is at port + 10000
                port = free_port()
            directory = tempfile.mkdtemp(prefix='bench-cluster.')
            self.nodes.append(Server(['redis-server', '--port', str(port), '--dir', directory, '--save', '',
                                      '--cluster-enabled', 'yes', '--cluster-node-timeout', '5000'],
                                     port, directory).wait_ready())
        addresses = ['127.0.0.1:%d' % n.port for n in self.nodes]
        subprocess.run(['redis-cli', '--cluster', 'create', *addresses, '--cluster-yes'], check=True,
                       capture_output=True, timeout=PATIENCE_SECONDS)
        self.clients = [n.client() for n in self.nodes]
        wait_until(lambda: all('cluster_state:ok' in self._cli(n, 'cluster', 'info') for n in self.nodes),
                   'the cluster is up', every=0.1)
        self.ids = [self._cli(n, 'cluster', 'myid').strip() for n in self.nodes]

    @staticmethod
    def _cli(node, *args):
        return subprocess.run(['redis-cli', '-p', str(node.port), *args], capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS, check=True).stdout

    def migrate(self, slot, source, target):
        """Moves a slot with its keys, step by step, as redis-cli does."""
        a, b = self.clients[source], self.clients[target]
        b.execute_command('CLUSTER SETSLOT', slot, 'IMPORTING', self.ids[source])
        a.execute_command('CLUSTER SETSLOT', slot, 'MIGRATING', self.ids[target])
        while True:
            keys = a.execute_command('CLUSTER GETKEYSINSLOT', slot, 10)
            if not keys:
                break
            for key in keys:
                a.execute_command('MIGRATE', '127.0.0.1', self.nodes[target].port, key, 0, 5000)
                time.sleep(0.002)
        for c in (b, a, *self.clients):
            c.execute_command('CLUSTER SETSLOT', slot, 'NODE', self.ids[target])

    def stop(self):
        for n in self.nodes:
            n.stop()
