"""Many clients at once. GROUPS_SECONDS is the time that a storm lasts."""
import os
import random
import threading
import time

from patience import PATIENCE_SECONDS
from rawresp import Raw

SECONDS = float(os.environ.get("GROUPS_SECONDS", "1.5"))


class Storm:
    """Threads that each repeat a step, once at least, until the time is up or one of them has failed."""

    def __init__(self, port):
        self.port = port
        self.threads = []
        self.failures = []
        self.steps = {}
        self.end = self.last_end = self.enough = None

    def add(self, step, count=1):
        for _ in range(count):
            number = len(self.threads)
            self.threads.append(threading.Thread(target=self._run, args=(step, number), daemon=True))

    def _run(self, step, number):
        try:
            with Raw(self.port) as raw:
                rnd = random.Random(number)
                done = 0
                while done == 0 or self._goes_on():
                    step(raw, rnd, number)
                    done += 1
                self.steps[step.__name__] = self.steps.get(step.__name__, 0) + done
        except BaseException as e:  # assertions as well: they belong to the test's thread
            self.failures.append(e)

    def _goes_on(self):
        now = time.monotonic()
        return not self.failures and (now < self.end or (now < self.last_end and not self.enough()))

    def blow(self, seconds=SECONDS, enough=lambda: True):
        """Longer when enough() is not yet true by then: what depends on luck needs time on a busy machine."""
        self.end = time.monotonic() + seconds
        self.last_end = self.end + PATIENCE_SECONDS
        self.enough = enough
        for t in self.threads:
            t.start()
        for t in self.threads:
            t.join(seconds + 2 * PATIENCE_SECONDS)
            assert not t.is_alive(), "a client hangs"
        if self.failures:
            raise self.failures[0]
        assert all(n > 0 for n in self.steps.values()), self.steps
        print(self.steps)
