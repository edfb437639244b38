"""A signal at every place of a call where handlers can run: what it raises is the only thing that happens.

A trace function stands for the signal, so that each place has its turn: where a function begins, and after each call.
"""

from __future__ import annotations

import dis
import gc
import itertools
import sys
from pathlib import Path

import pytest

from wasqlite.bridge import HostFunction, InstancePoisoned, Library, Policy, ReentryError
from wasqlite.bridge.cdef import calls as typed_calls

WAT = """
(module
  (import "host" "told" (func $told (result i32)))
  (import "host" "unwinds" (func $unwinds (result i32)))
  (import "host" "stops" (func $stops (result i32)))
  (memory (export "memory") 1)
  (global (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func (export "malloc") (param i32) (result i32) (i32.const 4096))
  (func (export "free") (param i32))
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "subtract") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func (export "told") (result i32) (call $told))
  (func (export "unwinds") (result i32) (i32.store (i32.const 100) (i32.const 666)) (call $unwinds))
  (func (export "stops") (result i32)
    (i32.store (i32.const 100) (i32.const 666)) (drop (call $stops)) (loop $on (br $on)) (i32.const 0))
  (func (export "traps") (result i32) (i32.store (i32.const 100) (i32.const 666)) unreachable)
  (func (export "told_prepared") (drop (call $told)))
  (func (export "traps_prepared") (i32.store (i32.const 100) (i32.const 666)) unreachable)
)
"""
FUNCTIONS = {name: {"type": "int (void)"} for name in ("told", "unwinds", "stops", "traps")}
TYPES = {"format": 1, "name": "strikes", "functions": FUNCTIONS | {"subtract": {"type": "int (int, int)"}}}


ELSEWHERE = ("_watch", "__del__", "_dispose")
"""Generators have nets of their own (test_nets), and finalisers may lose exceptions in any program."""


class Strike(BaseException):
    pass


def strike(number, act, work):
    """Call ``work``, and ``act`` at the place of this number: whether there is such a place."""
    places = itertools.count()
    before = {}

    def trace(frame, event, argument):
        code = frame.f_code
        name = code.co_filename
        if "wasqlite" not in name or "/tests/" in name or "trampoline" in name or code.co_name in ELSEWHERE:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "call":
            here = True
        elif event == "opcode":
            last, before[frame] = before.get(frame), frame.f_lasti
            here = last is not None and dis.opname[code.co_code[last]].startswith("CALL")
        else:
            here = False
        if here and next(places) == number:
            sys.settrace(None)
            act()
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(former)
    return next(places) > number


def raising():
    raise Strike


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT, types=TYPES)


def opened(library, policy):
    def told():
        raise KeyError("told")

    def stops():
        trace = sys.gettrace()
        sys.settrace(None)  # without it the guest would loop for ever
        instance.interrupt()
        sys.settrace(trace)

    functions = [
        HostFunction("host", "told", "", "i", told, -1),
        HostFunction("host", "unwinds", "", "i", told),
        HostFunction("host", "stops", "", "i", stops, -1),
    ]
    instance = library.open(policy, hosts=[lambda memory: functions])
    return instance


def called(instance, way, shape):
    """The call, ready to be made."""
    if way == "typed":
        return getattr(instance.lib, shape)
    return instance.function(shape) if way == "function" else instance.prepare(f"{shape}_prepared")


CASES = [(way, shape) for way in ("function", "typed") for shape in ("told", "unwinds", "traps", "stops")]
CASES += [("prepared", "told"), ("prepared", "traps")]


@pytest.mark.parametrize("policy", [None, Policy(), Policy(rollback=True)], ids=["none", "policy", "rollback"])
@pytest.mark.parametrize(("way", "shape"), CASES)
def test_nothing_is_left_of_a_call_that_failed(library, way, shape, policy):
    if shape == "stops" and policy is None:
        pytest.skip("nothing can stop it")
    struck = 0
    for number in itertools.count():
        with opened(library, policy) as instance:
            get, work = instance.function("get"), called(instance, way, shape)
            snapshot = instance.snapshot()
            raised = None
            try:
                if not strike(number, raising, work):
                    break
            except BaseException as error:
                raised = error
            if not isinstance(raised, Strike):
                assert struck > 3  # the last place was passed
                break
            struck += 1
            assert instance.parked == []
            assert (instance.state.depth, instance.state.reentrant) == (0, False)
            assert not instance.lock._is_owned()
            assert instance.stack_pointer() == 60000
            ran = instance.memory.read_u32(100) == 666
            if policy is not None and policy.rollback:
                assert get(100) == 0
            elif ran:
                with pytest.raises(InstancePoisoned):
                    get(100)
                instance.restore(snapshot)
            assert get(100) == 0
            # And no later call has anything of it.
            with pytest.raises(Exception) as second:
                work()
            assert second.value is not raised
            assert "told" not in str(getattr(second.value, "__notes__", ""))
    assert struck > 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts mappings in /proc")
def test_what_was_not_closed_to_its_end_can_be_closed_again(library):
    def mappings():
        gc.collect()
        return len(Path("/proc/self/maps").read_text().splitlines())

    counts = []
    for number in itertools.count():
        instance = opened(library, Policy())
        instance.memory.pin(0, 8)
        try:
            more = strike(number, raising, instance.close)
        except Strike:
            more = True
        instance.close()
        assert (instance.closed, instance.memory.size, instance._finalizer.alive) == (True, 0, False)
        del instance
        if not more:
            break
        counts.append(mappings())
    assert len(counts) > (10 if sys.version_info < (3, 13) else 3)  # 3.13 traces fewer places
    assert counts[-1] <= counts[2] + 1


@pytest.mark.parametrize("deadline", [None, 60.0])
@pytest.mark.parametrize("way", ["function", "typed"])
def test_a_handler_s_own_call_does_not_get_into_the_arguments(library, way, deadline):
    with opened(library, Policy(deadline=deadline)) as instance:
        subtract = called(instance, way, "subtract")
        outcomes = []

        def handler():
            try:
                outcomes.append(subtract(1000, 1))
            except ReentryError:
                outcomes.append("refused")

        results = []
        for number in itertools.count():
            if not strike(number, handler, lambda: results.append(subtract(7, 2))):
                break
        assert set(results) == {5}
        assert {999, "refused"} == set(outcomes) or outcomes == [999] * len(outcomes)
        assert outcomes


def test_the_typed_calls_are_traced_too():
    # That names in the generated code's own file name are what is looked for above.
    code = typed_calls._code((), "", (), "return None", "pass", "pass")
    assert "wasqlite" in code.co_filename
