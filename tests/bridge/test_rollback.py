"""A policy with ``rollback``: a trap brings the instance back to its last snapshot."""

from __future__ import annotations

import threading

import pytest

from wasqlite.bridge import (
    DeadlineExceeded,
    HostFunction,
    InstanceClosed,
    InstancePoisoned,
    Interrupted,
    Library,
    Policy,
    Trap,
)

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 4096))
  (global $next (mut i32) (i32.const 8192))
  (export "next" (global $next))
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "put") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func $put_prepared (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "trap") (i32.store (i32.const 100) (i32.const 666)) (global.set $sp (i32.const 1024)) unreachable)
  (func (export "spin") (i32.store (i32.const 100) (i32.const 666)) (loop $on (br $on)))
  (func (export "call") (param i32) (result i32)
    (i32.store (i32.const 100) (i32.const 666)) (call $call (local.get 0)))
  (func (export "malloc") (param i32) (result i32)
    (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
  (func (export "free") (param i32) (i32.store (i32.const 200) (local.get 0)))
)
"""


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


def open_with(library, call=lambda n: n, policy=None, **options):
    hosts = [lambda memory: [HostFunction("host", "call", "i", "i", call, **options)]]
    return library.open(policy or Policy(rollback=True), hosts=hosts)


def at_one(guest):
    guest.function("put")(100, 1)
    guest.snapshot()
    guest.function("put")(100, 2)


def is_back(guest, times=1):
    assert guest.dead is None
    assert guest.generation == times
    assert guest.stack_pointer() == 4096
    assert guest.function("get")(100) == 1


def test_after_a_trap(library):
    with open_with(library) as guest:
        at_one(guest)
        for times in range(1, 4):
            with pytest.raises(Trap, match="unreachable"):
                guest.function("trap")()
            is_back(guest, times)
            guest.function("put")(100, 3)


def test_to_the_last_of_several(library):
    with open_with(library) as guest:
        first = guest.snapshot()
        at_one(guest)
        with pytest.raises(Trap):
            guest.function("trap")()
        is_back(guest)
        guest.restore(first)
        guest.function("put")(100, 9)
        with pytest.raises(Trap):
            guest.function("trap")()
        assert guest.function("get")(100) == 0


def test_without_a_snapshot_it_is_poisoned(library):
    with open_with(library) as guest:
        with pytest.raises(Trap):
            guest.function("trap")()
        with pytest.raises(InstancePoisoned):
            guest.function("get")(100)


def test_only_if_the_policy_says_so(library):
    with open_with(library, policy=Policy()) as guest:
        at_one(guest)
        with pytest.raises(Trap):
            guest.function("trap")()
        with pytest.raises(InstancePoisoned):
            guest.function("get")(100)


def test_after_a_deadline(library):
    with open_with(library, policy=Policy(rollback=True, deadline=0.05)) as guest:
        at_one(guest)
        for times in (1, 2):
            with pytest.raises(DeadlineExceeded):
                guest.function("spin")()
            is_back(guest, times)


def test_after_an_interrupt(library):
    with open_with(library) as guest:
        at_one(guest)
        timer = threading.Timer(0.05, guest.interrupt)
        timer.start()
        with pytest.raises(Interrupted):
            guest.function("spin")()
        timer.join()
        is_back(guest)


def test_after_an_exception_that_unwound_c_frames(library):
    def call(n):
        raise ZeroDivisionError(n)

    with open_with(library, call) as guest:
        at_one(guest)
        with pytest.raises(ZeroDivisionError):
            guest.function("call")(5)
        is_back(guest)


def test_not_after_an_exception_that_c_was_told_of(library):
    def call(n):
        raise ZeroDivisionError(n)

    with open_with(library, call, on_error=0) as guest:
        at_one(guest)
        with pytest.raises(ZeroDivisionError):
            guest.function("call")(5)
        assert (guest.generation, guest.function("get")(100)) == (0, 666)


def test_a_trap_inside_a_callback_stops_all_calls_that_are_under_way(library):
    seen = []

    def call(n):
        try:
            guest.function("trap")()
        except Trap:
            seen.append(guest.generation)
        try:
            guest.function("get")(100)
        except InstancePoisoned:
            seen.append("poisoned")
        return 7

    with open_with(library, call, reentrant=True) as guest:
        at_one(guest)
        guest.function("call")(5)
        assert seen == [0, "poisoned"]
        # The outer call ended by itself: it is the next one that finds the instance dead.
        assert isinstance(guest.dead, InstancePoisoned)
        assert guest.function("get")(100) == 1
        is_back(guest)


def test_a_prepared_call_works_afterwards(library):
    def call(n):
        try:
            guest.function("trap")()
        except Trap:
            return 0

    with open_with(library, call, reentrant=True) as guest:
        poke = guest.prepare("poke", 104, 5)
        at_one(guest)
        guest.function("call")(5)
        assert guest.dead is not None
        poke()
        is_back(guest)
        assert guest.function("get")(104) == 5


def test_scratch_memory_of_before_is_not_freed(library):
    with open_with(library) as guest:
        at_one(guest)
        with guest.arena() as arena:
            arena.string("scratch")
            with pytest.raises(Trap):
                guest.function("trap")()
            is_back(guest)
        assert guest.function("get")(200) == 0
        with guest.arena() as arena:
            address = arena.string("scratch")
        assert guest.function("get")(200) == address == 8192


def test_a_clone_rolls_back_to_where_it_began(library):
    with open_with(library) as guest:
        at_one(guest)
        with guest.clone() as other:
            other.function("put")(100, 3)
            with pytest.raises(Trap):
                other.function("trap")()
            assert other.function("get")(100) == 2
        assert guest.function("get")(100) == 2


def test_a_closed_instance_stays_closed(library):
    guest = open_with(library)
    at_one(guest)
    guest.close()
    with pytest.raises(InstanceClosed):
        guest.function("get")(100)
