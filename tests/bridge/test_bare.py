"""Bare host functions: no arguments, no result, everything in guest memory; called again while they are under way."""

from __future__ import annotations

import gc
import weakref

import pytest

from wasqlite.bridge import HostFunction, Library, ReentryError

# `call(n)` puts n at 8 and -1 at 16, calls the host, and returns what stands at 16, where it leaves -1 behind.
WAT = """
(module
  (import "host" "bare" (func $bare))
  (import "host" "other" (func $other))
  (memory (export "memory") 1)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "other") (call $other))
  (func (export "call") (param i64) (result i64) (local i64)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (i64.store (i32.const 8) (local.get 0))
    (i64.store (i32.const 16) (i64.const -1))
    (call $bare)
    (local.set 1 (i64.load (i32.const 16)))
    (i64.store (i32.const 16) (i64.const -1))
    (global.set $sp (i32.add (global.get $sp) (i32.const 64)))
    (local.get 1))
)
"""


class Served:
    """An instance whose function ``work`` gets the number and returns the answer; open while it runs."""

    def __init__(self, library, work, *, opens=True):
        self.work = work
        self.words = None

        def bare():
            number = self.words[1]
            self.instance.state.reentrant = opens
            answer = self.work(number)
            self.instance.state.reentrant = False
            self.words[2] = answer

        functions = [
            HostFunction("host", "bare", "", "", bare, bare=True),
            HostFunction("host", "other", "", "", lambda: None, 0),
        ]
        self.instance = library.open(hosts=[lambda memory: functions])
        self.words = self.instance.memory.pin(0, 64, "q")
        self.call = self.instance.function("call")
        self.add = self.instance.function("add")


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


@pytest.fixture
def serve(library):
    opened = []

    def open_with(work, **options):
        served = Served(library, work, **options)
        opened.append(served.instance)
        return served

    yield open_with
    for instance in opened:
        instance.close()


def test_it_reads_and_answers_in_memory(serve):
    served = serve(lambda n: n * 2)
    assert [served.call(n) for n in range(5)] == [0, 2, 4, 6, 8]
    served.instance.function("other")()
    assert served.call(-(2**62)) == -(2**63)


def test_it_can_be_called_again_while_it_is_under_way(serve):
    served = serve(lambda n: sum(served.call(m) for m in range(n)) + 1)
    assert [served.call(n) for n in (6, 6, 0, 6)] == [64, 64, 1, 64]


def test_deep_nesting(serve):
    served = serve(lambda n: n if n == 0 else served.call(n - 1) + served.add(1, 1))
    for _ in range(3):
        assert served.call(30) == 60


def test_an_exception_leaves_the_answer_of_failure_and_is_raised(serve):
    def work(n):
        if n % 3 == 0:
            raise KeyError(n)
        return n

    served = serve(work)
    for n in range(1, 20):
        if n % 3 == 0:
            with pytest.raises(KeyError):
                served.call(n)
            assert served.instance.state.reentrant is False
        else:
            assert served.call(n) == n
    assert served.instance.dead is None
    assert served.instance.stack_pointer() == 60000


@pytest.mark.parametrize("kind", [GeneratorExit, StopIteration, SystemExit, KeyboardInterrupt])
def test_exceptions_that_generators_know_are_like_all_others(serve, kind):
    def work(n):
        if n:
            raise kind
        return 5

    served = serve(work)
    for _ in range(3):
        with pytest.raises(kind):
            served.call(1)
        assert served.call(0) == 5


def test_an_exception_after_calls_of_its_own_leaves_the_answer_of_failure(serve):
    found = []

    def work(n):
        if n == 0:
            return 7
        assert served.call(0) == 7
        raise KeyError

    served = serve(work)

    def outer(n):
        if n < 100:
            return work(n)
        try:
            served.call(1)
        except KeyError:
            found.append(served.words[2])
        return 1

    served.work = outer
    assert served.call(100) == 1
    assert found == [-1]


def test_an_exception_caught_inside_stays_there(serve):
    def work(n):
        if n == 0:
            raise KeyError
        with pytest.raises(KeyError):
            served.call(n - 1 if n > 1 else 0)
        return n

    served = serve(work)
    assert served.call(1) == 1


def test_one_that_does_not_open_the_instance_cannot_call_in(serve):
    served = serve(lambda n: served.add(n, 1), opens=False)
    with pytest.raises(ReentryError):
        served.call(1)
    assert served.add(1, 1) == 2


def test_pinned_views_are_released_with_the_instance(library):
    served = Served(library, lambda n: n)
    served.instance.close()
    with pytest.raises(ValueError, match="released"):
        served.words[0]


def test_an_instance_with_one_is_collected(library):
    references = []
    for _ in range(10):
        served = Served(library, lambda n: n)
        served.work = lambda n, served=served: served.add(n, 1)
        assert served.call(1) == 2
        references.append(weakref.ref(served.instance))
        del served
    gc.collect()
    assert [reference() for reference in references] == [None] * 10
