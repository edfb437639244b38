"""Signals while the guest calls back: every one becomes one clean exception, and nothing crashes.

Each storm runs in a process of its own: what it must not do is take that process down.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from storm import storm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

# Endless callbacks; after each exception the instance is as good as new.
STORM = """
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
  (func (export "calls") (param i32))
  (func (export "loops") (param i32) (loop $again (br $again)))
)
'''
shape = sys.argv[3]

# `leaf` must be served even when a signal strikes: it is idempotent, like file I/O, so the guest never notices.
# `nest` answers -1 instead, like a user function that failed.
leaf = HostFunction("host", "leaf", "i", "i", lambda n: n + 1, on_error=0, retry=True)
nest = HostFunction("host", "nest", "i", "i", lambda n: add(n, 1), on_error=-1, reentrant=True)
"""
TRUSTED = """
instance = Library.from_wat(WAT).open(hosts=[lambda memory: [leaf, nest]])
add, work = instance.function("add"), instance.function(shape)
settle()
while True:
    try:
        strike()
        while True: work(300)
    except kind:
        survived()
        assert not instance.parked
        assert instance.dead is None, instance.dead
        assert instance.stack_pointer() == 60000
        assert add(caught, 1) == caught + 1
"""
# With a policy a signal also strikes in the middle of a loop in C, which cannot go on after that.
UNTRUSTED = """
from wasqlite.bridge import InstancePoisoned, Policy
library, poisoned = Library.from_wat(WAT), 0
def fresh():
    global instance, add, work
    instance = library.open(Policy(), hosts=[lambda memory: [leaf, nest]])
    add, work = instance.function("add"), instance.function(shape)
fresh()
settle()
while True:
    try:
        strike()
        while True: work(300)
    except kind:
        survived()
        assert not instance.parked
        assert instance.stack_pointer() == 60000
        if instance.dead is None:
            assert add(caught, 1) == caught + 1
        else:
            assert type(instance.dead) is InstancePoisoned, instance.dead
            assert kind.__name__ in str(instance.dead), instance.dead
            instance.close()
            fresh()
"""


@pytest.mark.parametrize("shape", ["leaves", "nests", "calls"])
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_is_a_series_of_exceptions(kind, shape):
    storm(STORM + TRUSTED, kind, 100, shape)


@pytest.mark.parametrize("shape", ["leaves", "nests", "calls", "loops"])
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_at_a_guest_with_a_policy(kind, shape):
    storm(STORM + UNTRUSTED, kind, 100, shape)


# Callbacks in callbacks, through the function table and typed calls.
TYPED = """
from wasqlite.bridge import InstancePoisoned, Library, Policy
WAT = '''
(module (memory (export "memory") 2)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (global $top (mut i32) (i32.const 65536))
  (type $f (func (param i32) (result i32)))
  (table $t (export "__indirect_function_table") 1 funcref)
  (func (export "malloc") (param i32) (result i32) (i32.const 65536))
  (func (export "free") (param i32))
  (func (export "realloc") (param i32 i32) (result i32) (i32.const 65536))
  (func (export "apply") (param i32 i32) (result i32) (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n)
        (call_indirect $t (type $f) (local.get 1) (local.get 0))))
      (br_if $again (i32.lt_s (local.get $n) (i32.const 40))))
    (local.get $n)))
'''
TYPES = {"format": 1, "name": "storm", "functions": {
    "apply": {"type": "int (int (*)(int), int)", "params": ["f", "n"]}}}
policy = Policy() if sys.argv[3] == "policy" else None
library = Library.from_wat(WAT, types=TYPES, interruptible=policy is not None)
def fresh():
    global guest, inner, outer
    guest = library.open(policy)
    inner = guest.callback("int (int)", lambda n: n + 1)
    outer = guest.callback("int (int)", lambda n: min(guest.lib.apply(inner, n), 20), error=50)
    assert guest.lib.apply(outer, 3) == 40
fresh()
settle()
while True:
    try:
        strike()
        while True: guest.lib.apply(outer, 3)
    except kind:
        survived()
        assert not guest.parked
        if guest.dead is None:
            assert guest.lib.apply(outer, 3) == 40
        else:
            assert type(guest.dead) is InstancePoisoned, guest.dead
            guest.close()
            fresh()
"""


@pytest.mark.parametrize("limits", ["policy", "none"])
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_at_nested_typed_callbacks(kind, limits):
    storm(TYPED, kind, 100, limits)


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
