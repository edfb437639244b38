"""What a policy limits, and that a guest can be stopped: memory, tables, stack, deadlines, interrupts, signals."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wasqlite.bridge import (
    BridgeError,
    DeadlineExceeded,
    HostFunction,
    InstancePoisoned,
    Interrupted,
    Library,
    LinkError,
    LoadError,
    Policy,
    SteppingClock,
    Trap,
)
from wasqlite.bridge.state import State

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (table $table (export "table") 1 funcref)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "calls") (param i32)
    (loop $again (drop (call $call (local.get 0))) (br $again)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "grow_table") (param i32) (result i32) (table.grow $table (ref.null func) (local.get 0)))
  (func $recurse (export "recurse") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $recurse (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0))))
  (func (export "spin")
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (loop $again (br $again))))
"""


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


def calling(call, **options):
    return [lambda memory: [HostFunction("host", "call", "i", "i", call, **options)]]


def open_with(library, policy=None, call=lambda n: n, **options):
    return library.open(policy or Policy(), hosts=calling(call, **options))


def running(instance):
    while not instance.state.depth:
        time.sleep(0.001)


def test_a_policy_is_a_frozen_value():
    assert Policy(memory=1 << 20) == Policy(memory=1 << 20) != Policy()
    assert hash(Policy()) == hash(Policy())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().deadline = 3.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": -1},
        {"memory": (1 << 32) + 1},
        {"memory": 16e6},
        {"memory": "16M"},
        {"table": -1},
        {"table": 1e5},
        {"memory": 64e6},
        {"table": "many"},
        {"stack": 10},
        {"stack": 1e6},
        {"deadline": 0},
        {"deadline": -1},
        {"deadline": "1"},
        {"deadline": float("nan")},
        {"stdin": 5},
        {"stdout": b""},
        {"files": "data"},
        {"files": {"/data": 5}},
        {"arguments": [1]},
        {"arguments": b"name"},
        {"environment": ["A=1"]},
        {"environment": {"A": 1}},
        {"stdin": "text"},
        {"stdin": 0},
        {"stdout": b"text"},
        {"stdout": Path("log")},
        {"stderr": "inherit"},
        {"clock": 5},
        {"clock": "fast"},
        {"random": "seed"},
        {"random": [1]},
        {"arguments": "prog -x"},
        {"arguments": [Path("prog")]},
        {"arguments": ["a\0b"]},
        {"environment": {"N": 1}},
        {"environment": {"A=B": "x"}},
        {"environment": {"": "x"}},
        {"environment": {"A": "\0"}},
        {"files": {3: "data"}},
        {"files": {"\0": "data"}},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)


@pytest.mark.parametrize("wrong", [{"start": -1}, {"step": -1}, {"start": time.time()}])
def test_a_clock_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="whole ns"):
        SteppingClock(**wrong)


def test_a_limit_of_memory_is_said_once(library):
    with pytest.raises(ValueError, match=r"say Policy\(memory"):
        library.open(Policy(), hosts=calling(lambda n: n), memory_limit=1 << 20)
    for wrong in (-1, 1e6):
        with pytest.raises(ValueError, match="whole number of bytes"):
            library.open(hosts=calling(lambda n: n), memory_limit=wrong)
    with Library.from_wat('(module (memory (export "memory") 1))').open(memory_limit=1 << 20) as guest:
        guest.clone().close()


def test_memory_is_limited(library):
    with open_with(library, Policy(memory=1 << 20)) as instance:
        grow = instance.function("grow")
        assert grow(15) == 1
        assert grow(1) == 0xFFFF_FFFF
        assert instance.function("add")(1, 2) == 3


def test_a_module_that_needs_more_than_its_policy_gives_is_not_opened(library):
    with pytest.raises(LinkError, match="memory"):
        open_with(library, Policy(memory=100))


def test_tables_are_limited(library):
    with open_with(library, Policy(table=10)) as instance:
        grow = instance.function("grow_table")
        assert grow(9) == 1
        assert grow(1) == 0xFFFF_FFFF


def test_the_stack_is_limited(library):
    depth = 1000
    while True:
        with open_with(library, Policy(stack=256 << 10)) as small:
            try:
                assert small.function("recurse")(depth) == depth
            except Trap as trap:
                assert "stack" in str(trap)
                break
        depth *= 2
    with open_with(library, Policy(stack=2 << 20)) as large:
        assert large.function("recurse")(depth) == depth


@pytest.mark.parametrize("kilobytes", [160, 256, 512, 1024, 4096])
def test_the_stack_of_threads_is_not_used_up(kilobytes):
    result = alone(
        """
def work():
    try: library.open(Policy(), hosts=hosts).function("recurse")(1 << 30)
    except Trap as trap: print("stack" in str(trap))
threading.stack_size(int(sys.argv[2]) * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
        "60",
        str(kilobytes),
    )
    assert (result.stdout, result.returncode) == ("True\n", 0), result.stderr


def test_a_deadline_stops_an_endless_loop(library):
    with open_with(library, Policy(deadline=0.1)) as instance, open_with(library) as other:
        with pytest.raises(DeadlineExceeded, match=r"text: a call took longer than its deadline of 0\.1 s"):
            instance.function("spin")()
        assert instance.stack_pointer() == 60000
        with pytest.raises(InstancePoisoned, match="DeadlineExceeded"):
            instance.function("add")(1, 2)
        assert other.function("add")(1, 2) == 3


def test_a_deadline_is_for_each_call_and_not_for_all(library):
    with open_with(library, Policy(deadline=0.3)) as instance:
        add, until = instance.function("add"), time.monotonic() + 0.7
        while time.monotonic() < until:
            assert add(1, 2) == 3


def test_a_deadline_counts_what_host_functions_take(library):
    slow = open_with(library, Policy(deadline=0.1), lambda n: time.sleep(0.02) or n)
    with slow as instance, pytest.raises(DeadlineExceeded):
        instance.function("calls")(1)


def test_a_callback_s_own_calls_share_its_deadline(library):
    with open_with(library, Policy(deadline=0.2), lambda n: add(n, 1), reentrant=True) as instance:
        add = instance.function("add")
        with pytest.raises(DeadlineExceeded):
            instance.function("calls")(1)


def test_a_nested_call_is_stopped_and_so_is_the_outer_one(library):
    seen = []

    def call(n):
        try:
            spin()
        except DeadlineExceeded as error:
            seen.append(error)
        return n

    with open_with(library, Policy(deadline=0.1), call, reentrant=True, on_error=0) as instance:
        spin = instance.function("spin")
        with pytest.raises(DeadlineExceeded):
            instance.function("calls")(1)
    assert len(seen) == 1


def test_interrupt_from_another_thread(library):
    with open_with(library) as instance, open_with(library) as other:
        outcomes = []

        def work():
            try:
                instance.function("spin")()
            except Interrupted as error:
                outcomes.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        running(instance)
        assert other.function("add")(1, 2) == 3
        instance.interrupt()
        thread.join(20)
        assert [type(error) for error in outcomes] == [Interrupted]
        with pytest.raises(InstancePoisoned):
            instance.function("add")
        assert other.function("add")(1, 2) == 3


@pytest.mark.parametrize("shared", [False, True])
def test_exceptions_from_16_threads_arrive_where_they_belong(library, shared):
    class Mine(Exception):
        pass

    def call(n):
        raise Mine(threading.get_ident(), n)

    one = open_with(library, call=call, on_error=0)
    wrong, right = [], []

    def work():
        enter = (one if shared else open_with(library, call=call, on_error=0)).function("call")
        for n in range(500):
            try:
                enter(n)
            except Mine as error:
                (right if error.args == (threading.get_ident(), n) else wrong).append(error.args)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    assert (len(right), wrong) == (16 * 500, [])


def test_16_threads_are_stopped_each_for_itself(library):
    outcomes = []

    def work(number):
        with open_with(library, Policy(deadline=0.05 + number / 100)) as instance:
            started = time.monotonic()
            try:
                instance.function("spin" if number % 2 else "calls")(*[1] * (number % 2 == 0))
            except DeadlineExceeded as error:
                outcomes.append((f"deadline of {0.05 + number / 100} s" in str(error), time.monotonic() - started))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [right for right, _ in outcomes] == [True] * 16
    assert min(seconds for _, seconds in outcomes) >= 0.05


def test_interrupting_what_does_nothing_does_nothing(library):
    with open_with(library) as instance:
        instance.interrupt()
        assert instance.function("add")(1, 2) == 3


def test_an_interrupt_is_for_the_call_that_was_under_way(library):
    with open_with(library, call=lambda n: instance.interrupt() or n) as instance:
        assert instance.function("call")(5) == 5  # it ends before it looks again
        assert instance.function("add")(1, 2) == 3
        with pytest.raises(Interrupted):
            instance.function("calls")(5)


def test_interrupts_hit_one_instance_of_many(library):
    instances = [open_with(library) for _ in range(6)]
    outcomes = {}

    def work(number):
        try:
            instances[number].function("spin")()
        except Interrupted:
            outcomes[number] = True

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for number, instance in enumerate(instances):
        running(instance)
        assert outcomes == dict.fromkeys(range(number), True)
        instance.interrupt()
        threads[number].join(20)
    assert len(outcomes) == 6
    for instance in instances:
        instance.close()


def test_without_a_policy_there_is_no_interrupt(library):
    with library.open(hosts=calling(lambda n: n)) as instance:
        with pytest.raises(BridgeError, match="without a policy"):
            instance.interrupt()
        assert instance.function("recurse")(1000) == 1000
    fast = Library.from_wat(WAT, interruptible=False)
    with fast.open(hosts=calling(lambda n: n)) as instance:
        assert instance.function("recurse")(1000) == 1000
    with pytest.raises(LoadError, match="not interruptible"):
        open_with(fast)


def test_a_start_function_is_limited_too():
    endless = Library.from_wat("(module (func $start (loop $again (br $again))) (start $start))")
    with pytest.raises(DeadlineExceeded):
        endless.open(Policy(deadline=0.1))


def test_a_prepared_call_is_limited_too(library):
    with open_with(library, Policy(deadline=0.1)) as instance:
        spin = instance.prepare("spin")
        with pytest.raises(DeadlineExceeded):
            spin()


def test_calls_that_would_hold_the_gil_can_be_stopped(library):
    with open_with(library, Policy(deadline=0.1)) as instance, pytest.raises(DeadlineExceeded):
        instance.function("spin", hold_gil=True)()


def test_nothing_ticks_while_nothing_runs(library):
    with open_with(library, Policy(deadline=0.1)) as instance:
        assert instance.function("add")(1, 2) == 3
        ticker = instance.interruption.ticker
        until = time.monotonic() + 60
        while not ticker.resting and time.monotonic() < until:
            time.sleep(0.01)
        assert ticker.resting
        with pytest.raises(DeadlineExceeded):  # and it wakes up again
            instance.function("spin")()
        assert not ticker.resting


def test_the_collector_does_not_stop_the_clock(library):
    # What watches the time looks at all instances, of which some may go at that very moment.
    def forget():
        states = [State() for _ in range(50)]
        for state in states:
            ticker.watch(state)
        cycle = [states]
        cycle.append(cycle)

    with open_with(library) as instance:
        ticker, threshold = instance.interruption.ticker, gc.get_threshold()
        try:
            for allocations in range(1, 40):
                gc.disable()
                gc.collect()
                forget()
                gc.set_threshold(gc.get_count()[0] + allocations)
                gc.enable()
                assert ticker._under_way() == []
        finally:
            gc.enable()
            gc.set_threshold(*threshold)


def test_a_clock_that_failed_is_wound_up_again(library, monkeypatch):
    with open_with(library, Policy(deadline=0.1)) as instance:
        ticker = instance.interruption.ticker
        failed = threading.Event()

        def fail():
            monkeypatch.undo()
            failed.set()
            raise SystemExit  # what ends a thread without a word

        monkeypatch.setattr(ticker, "_under_way", fail)
        with pytest.raises(DeadlineExceeded):
            for _ in range(1000):  # the call that it fails in has nobody to look at its time, but the next has
                instance.function("recurse")(1000)
                if failed.is_set():
                    instance.function("spin")()
                time.sleep(0.01)


ALONE = f"""
import os, signal, sys, threading, time
from wasqlite.bridge import HostFunction, Library, Policy, Interrupted, DeadlineExceeded, Trap
library, hosts = Library.from_wat('''{WAT}'''), [lambda memory: [HostFunction("host", "call", "i", "i", lambda n: n)]]
instance = library.open(Policy(deadline=float(sys.argv[1]) if len(sys.argv) > 1 else None), hosts=hosts)
def later(seconds, act):
    threading.Thread(target=lambda: (time.sleep(seconds), act()), daemon=True).start()
"""


def alone(program, *arguments):
    command = [sys.executable, "-X", "faulthandler", "-c", ALONE + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_stops_a_long_loop_in_c():
    result = alone("""
later(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
try: instance.function("spin")()
except KeyboardInterrupt: print("interrupted", type(instance.dead).__name__)
""")
    assert (result.stdout, result.stderr) == ("interrupted InstancePoisoned\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_handler_that_returns_disturbs_nobody():
    result = alone(
        """
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
try: instance.function("spin")()
except DeadlineExceeded: print("deadline", len(seen) > 2)
""",
        "0.5",
    )
    assert (result.stdout, result.stderr) == ("deadline True\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_handler_may_interrupt():
    result = alone("""
signal.signal(signal.SIGALRM, lambda *_: instance.interrupt())
signal.setitimer(signal.ITIMER_REAL, 0.1)
try: instance.function("spin")()
except Interrupted as error: print(error)
""")
    assert (result.stdout, result.stderr) == ("text: the call was interrupted\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_handler_may_use_another_instance():
    result = alone("""
other = library.open(Policy(), hosts=hosts).function("add")
sums = []
def handler(*_):
    sums.append(other(len(sums), 1))
    # Again when this one is over: a signal in the middle of a call of `other` would find it busy.
    if len(sums) < 20: signal.setitimer(signal.ITIMER_REAL, 0.01)
    else: instance.interrupt()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
try: instance.function("spin")()
except Interrupted: print(sums == list(range(1, 21)), instance.parked)
""")
    assert (result.stdout, result.stderr) == ("True []\n", "")


def test_a_guest_that_a_daemon_thread_runs_does_not_harm_the_interpreter_s_exit():
    result = alone("""
threading.Thread(target=lambda: instance.function("spin")(), daemon=True).start()
while not instance.state.depth: time.sleep(0.01)
print("exits")
""")
    assert result.stdout == "exits\n"
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own_deadlines(library):
    with open_with(library, Policy(deadline=0.1)) as instance:
        with pytest.raises(DeadlineExceeded):
            instance.function("spin")()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.alarm(60)
                with open_with(library, Policy(deadline=0.1)) as own:
                    try:
                        own.function("spin")()
                    except DeadlineExceeded:
                        code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
