"""Signals while the guest calls back: every one becomes one clean exception, and nothing crashes.

Each storm runs in a process of its own: what it must not do is take that process down.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

# The child runs endless callbacks; the parent sends signals at it. It counts the exceptions, checks after each that the
# instance is as good as new, and that none of them was lost.
STORM = """
import gc, os, signal, sys
from wasqlite.bridge import HostFunction, Library

WAT = '''
(module
  (import "host" "leaf" (func $leaf (param i32) (result i32)))
  (import "host" "nest" (func $nest (param i32) (result i32)))
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "leaves") (param i32)
    (loop $again
      (if (i32.ne (call $leaf (local.get 0)) (i32.add (local.get 0) (i32.const 1))) (then unreachable))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "nests") (param i32)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (loop $again
      (drop (call $nest (local.get 0)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (global.set $sp (i32.add (global.get $sp) (i32.const 64))))
)
'''
class Alarm(BaseException): pass
def on_alarm(number, frame): raise Alarm
signal.signal(signal.SIGALRM, on_alarm)
kinds = {"int": KeyboardInterrupt, "alarm": Alarm}
kind, wanted, shape = kinds[sys.argv[1]], int(sys.argv[2]), sys.argv[3]

# `leaf` must be served even when a signal strikes: it is idempotent, like file I/O, so the guest never notices.
# `nest` answers -1 instead, like a user function that failed.
leaf = HostFunction("host", "leaf", "i", "i", lambda n: n + 1, on_error=0, retry=True)
nest = HostFunction("host", "nest", "i", "i", lambda n: add(n, 1), on_error=-1, reentrant=True)
instance = Library.from_wat(WAT).open(hosts=[lambda memory: [leaf, nest]])
add, work = instance.function("add"), instance.function(shape)
# What is garbage now goes now: in any Python program an exception that strikes in a finaliser is lost.
gc.collect()
gc.freeze()
caught = 0
while True:
    try:
        print(caught, flush=True)
        if caught == wanted: break
        if kind is Alarm: signal.setitimer(signal.ITIMER_REAL, 0.0005)
        while True: work(300)
    except kind as error:
        caught += 1
        assert not instance.parked
        assert instance.dead is None, instance.dead
        assert instance.stack_pointer() == 60000
        assert add(caught, 1) == caught + 1
"""


@pytest.mark.parametrize("shape", ["leaves", "nests"])
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_is_a_series_of_exceptions(kind, shape):
    rounds = 100
    child = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", STORM, kind, str(rounds), shape],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = []
    for expected in range(rounds + 1):
        seen.append(child.stdout.readline())
        if seen[-1] != f"{expected}\n":
            break
        if kind == "int" and expected < rounds:
            child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, (seen[-2:], err)
    assert seen[-1] == f"{rounds}\n"
    assert "Exception ignored" not in err


HANDLER = """
import signal, sys
from wasqlite.bridge import HostFunction, Library, ReentryError
WAT = '''
(module
  (import "host" "work" (func $work (param i32) (result i32)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "work") (param i32) (result i32) (call $work (local.get 0))))
'''
def work(n):
    signal.raise_signal(signal.SIGUSR1)
    return n
def handler(number, frame):
    outcomes.append(add(2, 3) if allowed else refused())
def refused():
    try: add(2, 3)
    except ReentryError: return "refused"
signal.signal(signal.SIGUSR1, handler)
for allowed in (False, True):
    outcomes = []
    function = HostFunction("host", "work", "i", "i", work, on_error=0, reentrant=allowed)
    instance = Library.from_wat(WAT).open(hosts=[lambda memory: [function]])
    add = instance.function("add")
    assert instance.function("work")(7) == 7
    print(outcomes)
"""


def test_a_signal_handler_enters_only_where_a_callback_may():
    result = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == ["['refused']", "[5]"], result.stderr
