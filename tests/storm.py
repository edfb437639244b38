"""A storm of signals at a program in a process of its own: each must come out as exactly one exception.

``make storm`` sets ``WASQLITE_STORM_ROUNDS``; the tests have fewer.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

# What the program begins with. `strike()` announces that it is ready for the next signal, and ends it after the last;
# `survived()` is called for each exception, and sees that there was just one signal for it.
PRELUDE = """
import gc, random, signal, sys
class Alarm(BaseException): pass
kind, wanted = {"int": KeyboardInterrupt, "alarm": Alarm}[sys.argv[1]], int(sys.argv[2])
delivered = caught = 0
def deliver(number, frame):
    global delivered
    delivered += 1
    raise kind
signal.signal(signal.SIGALRM, deliver)
signal.signal(signal.SIGINT, deliver)
def strike():
    print(caught, flush=True)
    if caught == wanted: sys.exit()
    if kind is Alarm: signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.004))
def survived():
    global caught
    caught += 1
    assert delivered == caught, (delivered, caught)
# In any Python program an exception that strikes in a finaliser (__del__) is lost: then the signal comes once more.
def unraisable(ignored):
    global delivered
    if ignored.exc_type is kind and getattr(ignored.object, "__name__", "") == "__del__":
        delivered -= 1
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
    else:
        sys.__unraisablehook__(ignored)
sys.unraisablehook = unraisable
def settle():
    gc.collect()
    gc.freeze()
"""


def storm(program: str, kind: str, usual: int, *arguments: str) -> None:
    """Run ``program`` under ``usual`` signals, SIGINT (``"int"``) from here or its own SIGALRM (``"alarm"``)."""
    rounds = int(os.environ.get("WASQLITE_STORM_ROUNDS", usual))
    child = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + program, kind, str(rounds), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    seen = []
    try:
        for expected in range(rounds + 1):
            seen.append(child.stdout.readline())
            if seen[-1] != f"{expected}\n":
                break
            if kind == "int" and expected < rounds:
                time.sleep(random.uniform(0, 0.004))
                child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 0, (seen[-2:], err)
    assert seen[-1] == f"{rounds}\n"
    assert "Exception ignored" not in err
