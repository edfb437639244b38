"""Ways into the host that are made when a function is called for the first time."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest

from wasqlite.bridge import HostFunction, Library, Policy

sys.path.append(str(Path(__file__).resolve().parents[1]))
from storm import storm

LETTERS = "iIfF"
TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
# `echo_i` and so on return what the host makes of their argument; `nest` calls the host, which calls `echo_I`.
WAT = "(module\n"
for letter in LETTERS:
    WAT += f'(import "host" "{letter}" (func ${letter} (param {TYPES[letter]}) (result {TYPES[letter]})))\n'
WAT += '(import "host" "nest" (func $nest (param i64) (result i64)))\n(memory (export "memory") 1)\n'
for letter in (*LETTERS, "nest"):
    kind = TYPES.get(letter, "i64")
    WAT += f'(func (export "echo_{letter}") (param {kind}) (result {kind}) (call ${letter} (local.get 0)))\n'
WAT += '(global (export "__stack_pointer") (mut i32) (i32.const 60000)))'


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


def functions(instances):
    """The hosts of an instance, which is appended to ``instances`` when it is there."""
    host = [HostFunction("host", letter, letter, letter, lambda x: x + 1, retry=True, on_error=0) for letter in LETTERS]
    nest = HostFunction("host", "nest", "I", "I", lambda x: instances[0].function("echo_I")(x) * 2, reentrant=True)
    return [lambda _: [*host, nest]]


def made(instance):
    return len(instance._late._trampolines)


def test_what_is_called_is_made_and_nothing_else(library):
    instances = []
    with library.open(hosts=functions(instances)) as instance:
        instances.append(instance)
        assert made(instance) == 0
        for count, letter in enumerate(LETTERS):
            echo = instance.function(f"echo_{letter}")
            assert [echo(5), echo(6)] == [6, 7]
            assert made(instance) == count + 1


def test_one_may_be_made_inside_another(library):
    instances = []
    with library.open(hosts=functions(instances)) as instance:
        instances.append(instance)
        nest = instance.function("echo_nest")
        assert [nest(5), nest(6)] == [12, 14]
        assert made(instance) == 2


def test_under_a_policy_all_are_made_at_once(library):
    instances = []
    with library.open(Policy(), hosts=functions(instances)) as instance:
        instances.append(instance)
        assert instance._late is None
        assert instance.function("echo_nest")(5) == 12


def test_functions_that_were_not_called_are_freed_with_the_instance(library):
    class Call:
        def __call__(self, x):
            return x + 1

    calls = [Call() for _ in (*LETTERS, "nest")]
    references = [weakref.ref(call) for call in calls]
    host = [
        HostFunction("host", letter, (letter if letter != "nest" else "I"), (letter if letter != "nest" else "I"), call)
        for letter, call in zip((*LETTERS, "nest"), calls, strict=True)
    ]
    gc.collect()
    gc.disable()
    try:
        instance = library.open(hosts=[lambda _, host=host: host])
        assert instance.function("echo_i")(1) == 2
        del calls, host
        instance.close()
        del instance
        assert [reference() for reference in references] == [None] * 5
    finally:
        gc.enable()


STORM = f"""
from wasqlite.bridge import HostFunction, Library
library = Library.from_wat('''{WAT}''')
host = [HostFunction("host", x, x, x, lambda x: x + 1, retry=True, on_error=0) for x in {LETTERS!r}]
nest = HostFunction("host", "nest", "I", "I", lambda x: x + 2, reentrant=True, on_error=-1)
def call_all():  # a function: Python 3.13 misses the handler for what strikes in the jumps of loops inside of "try"
    for instance in ready:
        for letter in {LETTERS!r}:
            assert instance.function("echo_" + letter)(1) == 2
        assert instance.function("echo_nest")(1) == 3
settle()
gc.disable()  # what ends, ends when no signal can come, which would be lost in the callback of a weak reference
while True:
    # Opened while no signal can come: every call is the first one of its function.
    ready = [library.open(hosts=[lambda _: [*host, nest]]) for _ in range(40)]
    try:
        strike()
        while True:
            call_all()
    except kind:
        survived()
    for instance in ready:
        assert instance.dead is None and not instance.parked
        instance.close()
    del instance, ready
    gc.collect()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_at_first_calls(kind):
    storm(STORM, kind, 60)
