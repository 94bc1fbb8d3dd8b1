"""Many clients at once. GROUPS_SECONDS is the time that a storm lasts."""
import os
import random
import threading
import time

from rawresp import Raw

SECONDS = float(os.environ.get("GROUPS_SECONDS", "1.5"))


class Storm:
    """Threads that each repeat a step until the time is up or one of them has failed."""

    def __init__(self, port):
        self.port = port
        self.threads = []
        self.failures = []
        self.steps = {}
        self.end = None

    def add(self, step, count=1):
        for _ in range(count):
            number = len(self.threads)
            self.threads.append(threading.Thread(target=self._run, args=(step, number), daemon=True))

    def _run(self, step, number):
        try:
            with Raw(self.port) as raw:
                rnd = random.Random(number)
                done = 0
                while time.monotonic() < self.end and not self.failures:
                    step(raw, rnd, number)
                    done += 1
                self.steps[step.__name__] = self.steps.get(step.__name__, 0) + done
        except BaseException as e:  # assertions as well: they belong to the test's thread
            self.failures.append(e)

    def blow(self, seconds=SECONDS):
        self.end = time.monotonic() + seconds
        for t in self.threads:
            t.start()
        for t in self.threads:
            t.join(seconds + 30)
            assert not t.is_alive(), "a client hangs"
        if self.failures:
            raise self.failures[0]
        assert all(n > 0 for n in self.steps.values()), self.steps
        print(self.steps)
