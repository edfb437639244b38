"""Threads, forks, garbage collection: what the process around an instance does."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from wasqlite.bridge import BridgeError, Exited, ForkedInstance, HostFunction, InstanceClosed, Library

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "spin") (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const 1664525)) (i32.const 1013904223)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
)
"""


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


def open_with(library, call=lambda n: n, **options):
    return library.open(hosts=[lambda memory: [HostFunction("host", "call", "i", "i", call, **options)]])


def test_exceptions_arrive_in_the_thread_that_made_the_call(library):
    wrong = []

    def work(number):
        class Mine(Exception):
            pass

        def call(n):
            raise Mine(number, n)

        with open_with(library, call, on_error=0) as instance:
            enter = instance.function("call")
            for i in range(300):
                try:
                    enter(i)
                except Mine as error:
                    if error.args != (number, i):
                        wrong.append(error)
                else:
                    wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_take_turns_in_one_instance(library):
    inside = []
    overlaps = []

    def call(n):
        inside.append(threading.get_ident())
        if len(inside) > 1:
            overlaps.append(list(inside))
        for _ in range(50):
            pass
        inside.pop()
        return n

    results = []
    with open_with(library, call) as instance:
        enter = instance.function("call")
        threads = [threading.Thread(target=lambda: results.extend(enter(i) for i in range(300))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert overlaps == []
    assert sorted(results) == sorted(list(range(300)) * 4)


def test_other_threads_run_while_the_guest_computes(library):
    with open_with(library) as instance:
        spin = instance.function("spin")
        started, finished = threading.Event(), threading.Event()

        def compute():
            started.set()
            spin(400_000_000)
            finished.set()

        thread = threading.Thread(target=compute)
        thread.start()
        started.wait()
        steps = 0
        while steps < 1000 and not finished.is_set():
            steps += 1
        progressed = steps == 1000 and not finished.is_set()
        thread.join()
        assert progressed


def test_closing_waits_for_the_call_under_way(library):
    entered, leave = threading.Event(), threading.Event()

    def call(n):
        entered.set()
        leave.wait(10)
        return n

    instance = open_with(library, call)
    results = []
    thread = threading.Thread(target=lambda: results.append(instance.function("call")(5)))
    thread.start()
    entered.wait(10)
    closer = threading.Thread(target=instance.close)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    leave.set()
    closer.join(10)
    thread.join(10)
    assert results == [5]
    with pytest.raises(InstanceClosed):
        instance.function("add")


def test_an_instance_whose_callback_closes_over_it_is_collected(library):
    dead = []
    for i in range(40):

        def make(i=i):
            def call(n):
                return instance.function("add")(n, i)

            instance = open_with(library, call, reentrant=i % 2 == 0)
            if i % 2 == 0:
                assert instance.function("call")(1) == 1 + i
            dead.append(weakref.ref(instance))

        make()
    gc.collect()
    assert sum(ref() is not None for ref in dead) == 0


def test_an_instance_without_cycles_goes_without_the_collector(library):
    gc.disable()
    try:
        instance = open_with(library)
        call = instance.function("add")
        ref = weakref.ref(instance)
        del instance
        assert call(1, 2) == 3  # a function keeps its instance alive
        del call
        assert ref() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts mappings in /proc")
def test_closed_and_forgotten_instances_leave_no_mapping_behind(library):
    def mappings():
        return len(Path("/proc/self/maps").read_text().splitlines())

    open_with(library).close()
    before = mappings()
    for i in range(50):
        instance = open_with(library)
        if i % 2:
            instance.close()
        del instance
    gc.collect()
    assert mappings() <= before + 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts mappings in /proc")
def test_libraries_that_are_forgotten_leave_no_code_behind():
    def cycle():
        library = Library(wasm)
        instance = open_with(library)
        del library
        gc.collect()
        assert instance.function("call")(5) == 5
        assert instance.library.sections

    def mappings():
        gc.collect()
        return len(Path("/proc/self/maps").read_text().splitlines())

    wasm = Library.from_wat(WAT)._wasm
    cycle()
    before = mappings()
    for _ in range(30):
        cycle()
    assert mappings() <= before + 3


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def in_child(action):
    """Run ``action`` in a forked child: the child's exit code, or 99 if it hangs."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            threading.Timer(20, lambda: os._exit(99)).start()
            code = action() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_and_the_parent_goes_on(library):
    with open_with(library) as instance:
        add = instance.function("add")

        def child():
            try:
                add(1, 2)
            except ForkedInstance:
                instance.close()
                return 7

        assert in_child(child) == 7
        assert add(1, 2) == 3


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_also_while_another_thread_was_inside(library):
    entered, leave = threading.Event(), threading.Event()

    def call(n):
        entered.set()
        leave.wait(60)
        return n

    with open_with(library, call) as instance:
        snapshot = instance.snapshot()
        thread = threading.Thread(target=lambda: instance.function("call")(1))
        thread.start()
        entered.wait(60)

        def child():
            refused = 0
            for act in (instance.snapshot, lambda: instance.restore(snapshot), lambda: instance.function("add")):
                try:
                    act()
                except ForkedInstance:
                    refused += 1
            instance.close()
            return refused

        try:
            assert in_child(child) == 3
        finally:
            leave.set()
            thread.join()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_a_callback_leaves_the_child_its_way_out(library):
    children = []

    def call(n):
        children.append(os.fork())
        if not children[-1]:
            signal.alarm(60)
        return n

    instance = open_with(library, call)
    code = 1
    try:
        if instance.function("call")(7) == 7:
            code = 5
    finally:
        if children == [0]:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == code == 5
    instance.close()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_compiles_and_runs_its_own(library, monkeypatch, tmp_path):
    monkeypatch.setenv("WASQLITE_CACHE_DIR", str(tmp_path))
    Library(engine_bytes(1))  # compiles in the parent

    def child():
        with Library(engine_bytes(2)).open() as instance:
            return instance.function("answer")()

    assert in_child(child) == 2


def engine_bytes(answer):
    from wasqlite.bridge.engine import engine

    return engine().api.wat(f'(module (func (export "answer") (result i32) (i32.const {answer})))')


def test_bridge_errors_have_one_root():
    from wasqlite.bridge import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert len(classes) > 5
    assert all(issubclass(c, BridgeError) for c in classes)


def test_an_exit_s_code_survives_another_process():
    error = pickle.loads(pickle.dumps(Exited(3)))
    assert (type(error), error.code, str(error)) == (Exited, 3, "the guest exited with code 3")


CHECKED = """
from wasqlite.bridge import Library
library = Library.from_wat(
    '(module (memory (export "memory") 1) (global (export "__stack_pointer") (mut i32) (i32.const 8))'
    ' (func (export "trap") unreachable))'
)
for _ in range(20):
    instance = library.open()
    try:
        instance.function("trap")()
    except Exception:
        pass
    instance.close()
print("done")
"""


def test_no_struct_is_too_small_for_what_wasmtime_writes_into_it():
    # The debug allocator puts guard bytes behind every block and looks at them when it is freed.
    environment = {**os.environ, "PYTHONMALLOC": "debug"}
    command = [sys.executable, "-X", "faulthandler", "-c", CHECKED]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("done\n", "")


DEEP = f"""
import sys
from wasqlite.bridge import HostFunction, Library, Policy
library = Library.from_wat('''{WAT}''')
function = HostFunction("host", "call", "i", "i", lambda n: n, -1, reentrant=sys.argv[1] == "reentrant")
instance = library.open(Policy() if sys.argv[2] == "policy" else None, hosts=[lambda memory: [function]])
call = instance.function("call")
def deeper(n):
    try: assert call(n) == n
    except RecursionError: pass
    deeper(n + 1)
for _ in range(3):
    try: deeper(0)
    except RecursionError: pass
    assert call(7) == 7
print(instance.dead, instance.parked)
"""


@pytest.mark.parametrize("kind", ["reentrant", "plain"])
@pytest.mark.parametrize("limits", ["policy", "none"])
def test_callbacks_at_the_recursion_limit(kind, limits):
    command = [sys.executable, "-X", "faulthandler", "-c", DEEP, kind, limits]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("None []\n", "")
