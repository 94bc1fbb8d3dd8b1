"""How long a test waits for what must come. It is no measure of anything: a loaded machine with one core
and the server under a sanitizer is to make it, and what never comes is to end the test. Tests wait for
conditions, never for moments, and nothing may depend on how soon a condition came true."""
import time

PATIENCE_SECONDS = 120
LOOK_EVERY_SECONDS = 0.01


def wait_until(condition, what="", every=LOOK_EVERY_SECONDS):
    """Returns what condition() says as soon as it is true; what: text, or a function that says what is wrong."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (said := condition()):
        assert time.monotonic() < end, "still not so: %s" % (what() if callable(what) else what)
        time.sleep(every)
    return said
