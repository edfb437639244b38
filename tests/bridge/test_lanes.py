"""Lanes: generators that a guest resumes by number, by ctypes or directly while it holds the GIL."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from wasqlite.bridge import BridgeError, InstancePoisoned, Library, Trap

sys.path.append(str(Path(__file__).resolve().parents[1]))
from guest_with_lanes import WAT, functions, put
from storm import storm

TESTS = Path(__file__).resolve().parents[1]
WAYS = [{}, {"hold_gil": True}, {"lanes": True}]


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT, interruptible=False)


@pytest.fixture
def instance(library):
    with library.open(hosts=[functions]) as opened:
        yield opened


@pytest.fixture(params=WAYS, ids=str)
def way(request):
    return request.param


def held(instance):
    return instance.lanes.held[0]


def test_each_number_has_its_generator(instance, way):
    for number in (0, 1, 255):
        put(instance, number, lambda n, number=number: n * 1000 + number)
    call = instance.function("call", **way)
    assert [call(number, 7) for number in (0, 1, 255, 0)] == [7000, 7001, 7255, 7000]
    assert held(instance) == 0


def test_only_the_low_bits_of_a_number_count(instance, way):
    put(instance, 3, lambda n: n + 1)
    call = instance.function("call", **way)
    assert [call(number, 7) for number in (3, 259, 0xFFFF_FF03)] == [8, 8, 8]


def test_a_number_without_a_generator_is_a_trap(instance, way):
    put(instance, 3, lambda n: n + 1)
    with pytest.raises(Trap, match="uninitialized element"):
        instance.function("call", **way)(4, 7)
    assert held(instance) == 0
    assert isinstance(instance.dead, InstancePoisoned)


def test_other_host_functions_are_beside_them(instance, way):
    put(instance, 5, lambda n: n * 100)
    assert instance.function("both", **way)(5) == 321


def test_a_lane_that_is_under_way_is_not_resumed(instance, way):
    call = instance.function("call", **way)
    put(instance, 1, lambda n: call(1, n - 1) if n else call(2, 5))
    put(instance, 2, lambda n: n + call(1, 0))
    assert call(1, 0) == 3  # 1 calls 2, which calls 1, which is under way
    assert call(1, 9) == -2
    assert call(2, 5) == 3
    assert held(instance) == 0


@pytest.mark.parametrize("inner", WAYS, ids=str)
def test_calls_of_both_kinds_may_nest(instance, way, inner):
    outer, nested = instance.function("sum", **way), instance.function("sum", **inner)
    put(instance, 1, lambda n: nested(2, n) + 1)
    seen = []
    put(instance, 2, lambda n: seen.append(held(instance)) or n)
    assert outer(1, 3) == (1 + 1) + (3 + 1) + (6 + 1)
    # Only a guest that holds the GIL says so.
    assert set(seen) == {256 if "lanes" in inner else 0}
    assert held(instance) == 0


def test_what_it_raises_comes_out_of_the_call(instance, way):
    put(instance, 1, lambda n: 1 // n)
    call = instance.function("call", **way)
    with pytest.raises(ZeroDivisionError):
        call(1, 0)
    assert held(instance) == 0
    assert call(1, 1) == 1


def test_a_trap_leaves_nothing_held_for_the_state_before_it(instance, way):
    put(instance, 1, lambda n: n)
    snapshot = instance.snapshot()
    with pytest.raises(Trap):
        instance.function("trap", **way)(1)
    assert held(instance) == 0
    instance.restore(snapshot)
    assert instance.function("call")(1, 6) == 6


def test_who_has_no_such_host_function_has_no_lanes(library):
    other = Library.from_wat('(module (memory (export "memory") 1))', interruptible=False)
    with other.open(hosts=[lambda _: []]) as instance, pytest.raises(BridgeError, match="no host function for lanes"):
        instance.lanes  # noqa: B018


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_other_threads_get_their_turn(instance, way):
    turns, done = [], threading.Event()

    def count():
        while not done.is_set():
            turns.append(None)

    put(instance, 1, lambda n: n)
    total, counter = instance.function("sum", **way), threading.Thread(target=count)
    counter.start()
    try:
        before = len(turns)
        while len(turns) < before + 1000:
            assert total(1, 50_000) == 50_000 * 50_001 // 2
    finally:
        done.set()
        counter.join()


STORM = f"""
sys.path[:0] = [{str(TESTS)!r}]
from guest_with_lanes import WAT, functions, put
from wasqlite.bridge import Library
instance = Library.from_wat(WAT, interruptible=False).open(hosts=[functions])
released, direct = instance.function("sum"), instance.function("sum", lanes=True)
put(instance, 1, lambda n: n + 1)
put(instance, 2, lambda n: released(1, n))
put(instance, 3, lambda n: direct(1, n))
settle()
while True:
    try:
        strike()
        while True:
            assert direct(1, 300) == 300 * 301 // 2 + 300
            assert released(1, 300) == 300 * 301 // 2 + 300
            assert direct(2, 9) == direct(3, 9) == released(3, 9) == 165 + 45
    except kind:
        survived()
        assert instance.lanes.held[0] == 0
        assert instance.dead is None and not instance.parked and not instance.state.depth
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals(kind):
    storm(STORM, kind, 60)
