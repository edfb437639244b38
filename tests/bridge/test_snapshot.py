"""Snapshots of instances: taken, restored, opened, cloned, and refused."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from pathlib import Path

import pytest

from wasqlite.bridge import (
    BridgeError,
    HostFunction,
    InstanceClosed,
    InstancePoisoned,
    Library,
    ReentryError,
    SnapshotError,
    Trap,
    image,
)
from wasqlite.bridge.memory import Memory

WAT = """
(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 2)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 4096))
  (global $i (export "long") (mut i64) (i64.const -5))
  (global $f (export "real") (mut f64) (f64.const 1.5))
  (global (export "constant") i32 (i32.const 9))
  (data (i32.const 200) "data")
  (func (export "_initialize") (i32.store (i32.const 300) (i32.add (i32.load (i32.const 300)) (i32.const 1))))
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "put") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "get_long") (result i64) (global.get $i))
  (func (export "get_real") (result f64) (global.get $f))
  (func (export "set") (param i32 i64 f64)
    (global.set $sp (local.get 0)) (global.set $i (local.get 1)) (global.set $f (local.get 2)))
  (func (export "trap") (i32.store (i32.const 100) (i32.const 666)) unreachable)
)
"""
PAGE = 65536


@pytest.fixture(scope="module")
def library():
    return Library.from_wat(WAT)


@pytest.fixture(params=["mapped", "copied"])
def way(request, monkeypatch):
    """Both ways to keep an image, where there are two."""
    if request.param == "copied":
        monkeypatch.setattr(image, "_file", lambda: -1)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def hosts(call=lambda n: n, **options):
    return [lambda memory: [HostFunction("host", "call", "i", "i", call, **options)]]


def test_restoring_brings_back_memory_and_globals(library, way):
    with library.open(hosts=hosts()) as guest:
        get, put = guest.function("get"), guest.function("put")
        put(100, 1)
        put(PAGE + 8, 2)
        guest.function("set")(2048, 1 << 60, -0.25)
        taken = guest.snapshot()
        for _ in range(3):
            put(100, 3)
            put(PAGE + 8, 0)
            put(50_000, 4)
            put(200, 5)
            guest.function("set")(1024, 7, 2.0)
            guest.restore(taken)
            assert (get(100), get(PAGE + 8), get(50_000), get(300)) == (1, 2, 0, 1)
            assert guest.memory.read(200, 4) == b"data"
            assert guest.stack_pointer() == 2048
            assert (guest.function("get_long")(), guest.function("get_real")()) == (1 << 60, -0.25)
        assert guest.generation == 3


def test_a_snapshot_opens_in_other_instances_which_have_nothing_in_common(library, way):
    with library.open(hosts=hosts()) as guest:
        guest.function("put")(100, 1)
        guest.function("grow")(5)
        guest.function("put")(6 * PAGE, 11)
        taken = guest.snapshot()
        guest.function("put")(100, 2)
    others = [library.open(hosts=hosts(), snapshot=taken) for _ in range(3)]
    for number, other in enumerate(others):
        assert other.memory.size == taken.size == 7 * PAGE
        assert (other.function("get")(100), other.function("get")(6 * PAGE)) == (1, 11)
        assert other.function("get")(300) == 1  # not initialised once more
        other.function("put")(100, 100 + number)
    assert [other.function("get")(100) for other in others] == [100, 101, 102]
    for other in others:
        other.close()
    with library.open(hosts=hosts(), snapshot=taken) as late:
        assert late.function("get")(100) == 1


def test_a_clone_has_the_hosts_of_its_original(library):
    asked = []

    def host(memory):
        def call(n):
            asked.append((memory, n))
            return n + 1

        return [HostFunction("host", "call", "i", "i", call)]

    with library.open(hosts=[host]) as guest:
        guest.function("put")(100, 7)
        with guest.clone() as other:
            assert other.function("get")(100) == 7
            assert (other.function("call")(1), guest.function("call")(5)) == (2, 6)
            assert asked == [(other.memory, 1), (guest.memory, 5)]


def test_memory_that_has_grown_since_stays_and_is_zero(library, way):
    with library.open(hosts=hosts()) as guest:
        taken = guest.snapshot()
        guest.function("grow")(4)
        guest.function("put")(5 * PAGE, 1)
        guest.restore(taken)
        assert guest.memory.size == 6 * PAGE
        assert guest.function("get")(5 * PAGE) == 0
        # and may be written to again, and is in a snapshot of now
        guest.function("put")(5 * PAGE, 2)
        second = guest.snapshot()
        guest.restore(taken)
        guest.restore(second)
        assert guest.function("get")(5 * PAGE) == 2


def test_a_snapshot_that_is_larger_than_the_instance(library, way):
    with library.open(hosts=hosts()) as guest, library.open(hosts=hosts(), memory_limit=4 * PAGE) as small:
        guest.function("grow")(8)
        guest.function("put")(9 * PAGE, 5)
        taken = guest.snapshot()
        with pytest.raises(MemoryError, match="does not fit"):
            small.restore(taken)
        assert (small.memory.size, small.function("get")(300)) == (2 * PAGE, 1)
        with library.open(hosts=hosts()) as other:
            other.restore(taken)
            assert (other.memory.size, other.function("get")(9 * PAGE)) == (10 * PAGE, 5)


def test_memory_grows_on_after_a_restore(library, way):
    with library.open(hosts=hosts()) as guest:
        taken = guest.snapshot()
        guest.restore(taken)
        assert guest.function("grow")(3) == 2
        guest.function("put")(5 * PAGE - 4, 9)
        assert guest.function("get")(5 * PAGE - 4) == 9


def test_content_is_exact_with_gaps_of_every_kind(library, way):
    with library.open(hosts=hosts()) as guest:
        guest.function("grow")(100)
        guest.memory.refresh()
        for page in (0, 1, 3, 20, 38, 39, 75, 101):
            guest.memory.write(page * PAGE + page, bytes([page + 1] * 3))
        before = bytes(guest.memory.view)
        taken = guest.snapshot()
        assert taken.stored < taken.size
        for at in range(0, guest.memory.size, PAGE // 2):
            guest.memory.write(at, b"\xff" * 8)
        guest.restore(taken)
        assert bytes(guest.memory.view) == before
        with library.open(hosts=hosts(), snapshot=taken) as other:
            assert bytes(other.memory.view) == before


def test_pinned_views_stay_right(library):
    with library.open(hosts=hosts()) as guest:
        pinned = guest.memory.pin(104, 8, "q")
        pinned[0] = 77
        taken = guest.snapshot()
        pinned[0] = 78
        guest.restore(taken)
        assert pinned[0] == 77
        guest.function("put")(104, 79)
        assert pinned[0] == 79


def test_restoring_heals_a_poisoned_instance(library):
    with library.open(hosts=hosts()) as guest:
        taken = guest.snapshot()
        with pytest.raises(Trap):
            guest.function("trap")()
        with pytest.raises(InstancePoisoned):
            guest.snapshot()
        guest.restore(taken)
        assert guest.dead is None
        assert guest.function("get")(100) == 0
        assert guest.stack_pointer() == 4096


def test_a_closed_instance_stays_closed(library):
    guest = library.open(hosts=hosts())
    taken = guest.snapshot()
    guest.close()
    for operation in (guest.snapshot, lambda: guest.restore(taken), guest.clone):
        with pytest.raises(InstanceClosed):
            operation()


def test_not_from_inside_a_call(library):
    taken = None
    seen = []

    def call(n):
        for operation in (guest.snapshot, lambda: guest.restore(taken), guest.clone):
            with pytest.raises(ReentryError, match="while a call is under way"):
                operation()
        seen.append(n)
        return n

    guest = library.open(hosts=hosts(call, reentrant=True))
    with guest:
        taken = guest.snapshot()
        assert guest.function("call")(5) == 5
        assert seen == [5]
        assert guest.generation == 0


def test_only_into_instances_of_the_same_library(library):
    other = Library.from_wat('(module (memory (export "memory") 1))')
    with library.open(hosts=hosts()) as guest, other.open() as stranger:
        taken = guest.snapshot()
        with pytest.raises(SnapshotError, match="cannot be put into an instance of text"):
            stranger.restore(taken)
        with pytest.raises(SnapshotError, match="the very library"):
            other.open(snapshot=taken)


@pytest.mark.parametrize(
    ("wat", "message"),
    [
        (
            '(memory (export "memory") 1) (global (mut i64) (i64.const 1))',
            "mutable global .number 0, i64. that it does",
        ),
        (
            '(memory (export "memory") 1) (global i32 (i32.const -70000)) (global (mut f64) (f64.const 1))'
            '(global (export "x") (mut f32) (f32.const 1))',
            "number 1, f64",
        ),
        (
            '(memory (export "memory") 1) (global (mut v128) (v128.const i64x2 1 2))',
            "number 0, v128",
        ),
        ('(memory (export "memory") 1) (global (export "r") (mut funcref) (ref.null func))', "type is a reference"),
        ('(memory (export "memory") 1) (memory 1)', "has 2 memories"),
        ("", "has 0 memories"),
    ],
)
def test_state_that_is_out_of_reach_is_refused(wat, message):
    library = Library.from_wat(f"(module {wat})", interruptible=False)  # a policy would allow one memory only
    with library.open() as guest, pytest.raises(SnapshotError, match=message):
        guest.snapshot()


def test_immutable_globals_of_every_kind_are_none_of_it():
    wat = """(module (memory (export "memory") 1) (table 1 funcref) (func $f)
      (global i32 (i32.const -1)) (global i64 (i64.const 0x7fffffffffffffff)) (global f32 (f32.const 11))
      (global f64 (f64.const 11)) (global v128 (v128.const i64x2 11 11)) (global funcref (ref.func $f))
      (global externref (ref.null extern)) (global $a i32 (i32.const 3))
      (global i32 (i32.add (global.get $a) (i32.const 1)))
      (global (export "vector") (mut v128) (v128.const i64x2 1 2)))"""
    with Library.from_wat(wat, interruptible=False).open() as guest:
        taken = guest.snapshot()
        guest.memory.write(0, b"x")
        guest.restore(taken)
        assert guest.memory.read(0, 1) == b"\0"


class Held:
    def __init__(self):
        self.files = []

    def reason(self):
        return f"{len(self.files)} files are open" if self.files else None

    def release(self):
        self.files.clear()


def test_what_the_guest_has_of_the_hosts_is_not_copied(library):
    with library.open(hosts=hosts()) as guest:
        held = Held()
        guest.held.append(held)
        taken = guest.snapshot()
        held.files.append("file")
        for operation in (guest.snapshot, guest.clone):
            with pytest.raises(SnapshotError, match="1 files are open"):
                operation()
        guest.restore(taken)
        assert held.files == []
        guest.snapshot()


@pytest.mark.skipif(sys.platform != "linux", reason="files are mapped over guest memory on Linux only")
def test_not_while_a_file_is_mapped(library, tmp_path):
    (tmp_path / "file").write_bytes(bytes(PAGE))
    with library.open(hosts=hosts()) as guest, (tmp_path / "file").open("rb+") as file:
        guest.memory.map_file(PAGE, PAGE, file.fileno(), 0)
        with pytest.raises(SnapshotError, match="files are mapped"):
            guest.snapshot()
        guest.memory.unmap(PAGE)
        guest.snapshot()


def test_too_large_for_the_memory_limit(library):
    with library.open(hosts=hosts()) as guest:
        guest.function("grow")(10)
        taken = guest.snapshot()
    with pytest.raises(MemoryError, match="does not fit"):
        library.open(hosts=hosts(), memory_limit=4 * PAGE, snapshot=taken)
    library.open(hosts=hosts(), memory_limit=12 * PAGE, snapshot=taken).close()


def test_a_mapping_that_fails_is_a_copy(library, monkeypatch):
    if not image.mapping.page_size():
        pytest.skip("nothing is mapped here")

    def private(address, size, fd, offset):
        raise OSError(12, "no")

    with library.open(hosts=hosts()) as guest:
        guest.function("put")(100, 4)
        taken = guest.snapshot()
        guest.function("put")(100, 5)
        monkeypatch.setattr(image.mapping, "private", private)
        guest.restore(taken)
        assert guest.function("get")(100) == 4
        assert guest.memory.read(200, 4) == b"data"


def test_an_interrupted_restore_leaves_the_instance_poisoned_until_the_next(library, monkeypatch):
    class Struck(BaseException):
        pass

    def put(self, memory):
        raise Struck

    with library.open(hosts=hosts()) as guest:
        taken = guest.snapshot()
        with monkeypatch.context() as patched:
            patched.setattr(image.Image, "put", put)
            with pytest.raises(Struck):
                guest.restore(taken)
        with pytest.raises(InstancePoisoned, match="did not come to its end"):
            guest.function("get")(0)
        guest.restore(taken)
        assert guest.function("get")(300) == 1


def test_an_image_of_a_memory_without_a_guest():
    buffer = bytearray(b"abc" + bytes(PAGE * 40) + b"xyz")
    memory = Memory.over(buffer)
    kept = image.Image(memory)
    before = bytes(buffer)
    buffer[:] = b"\xff" * len(buffer)
    kept.put(memory)
    assert bytes(buffer) == before


def test_a_snapshot_is_collected_with_its_last_reference(library):
    gc.collect()
    descriptors = open_descriptors()
    with library.open(hosts=hosts()) as guest:
        taken = [guest.snapshot() for _ in range(10)]
        seen = weakref.ref(taken[0])
        guest.restore(taken[3])
        taken.clear()
        assert seen() is None
        assert guest.function("get")(300) == 1
    gc.collect()
    assert open_descriptors() == descriptors


def test_instances_of_one_snapshot_in_many_threads(library):
    with library.open(hosts=hosts()) as guest:
        guest.function("put")(100, 1000)
        taken = guest.snapshot()
    wrong = []

    def work(number):
        for turn in range(30):
            with library.open(hosts=hosts(), snapshot=taken) as mine:
                get, put = mine.function("get"), mine.function("put")
                for value in (number, turn):
                    if get(100) != 1000:
                        wrong.append((number, turn))
                    put(100, value)
                    mine.restore(taken)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_snapshot_can_be_opened_in_the_child_of_a_fork(library):
    with library.open(hosts=hosts()) as guest:
        guest.function("put")(100, 42)
        taken = guest.snapshot()
        child = os.fork()
        if not child:
            code = 1
            try:
                try:
                    guest.restore(taken)
                except BridgeError:
                    with library.open(hosts=hosts(), snapshot=taken) as mine:
                        mine.function("put")(104, 1)
                        code = 0 if mine.function("get")(100) == 42 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (guest.function("get")(100), guest.function("get")(104)) == (42, 0)


def test_no_signal_handler_gets_between_the_pieces(library, monkeypatch):
    # What a handler would do that runs in the middle: the image is written, or put back, piece by piece.
    far = 60 * PAGE

    def handler():
        for act in (lambda: guest.function("put")(far, 7), guest.snapshot, guest.close, lambda: guest.restore(first)):
            with pytest.raises(BridgeError):
                act()
        handled.append(True)

    handled = []
    with library.open(hosts=hosts()) as guest:
        get, put = guest.function("get"), guest.function("put")
        guest.function("grow")(70)
        put(100, 1)
        put(far, 1)
        first = guest.snapshot()
        for name in ("_write", "_mapped", "_clear"):
            plain = getattr(image, name)

            def interrupted(*arguments, plain=plain):
                done = plain(*arguments)
                handler()
                return done

            monkeypatch.setattr(image, name, interrupted)
        second = guest.snapshot()
        put(100, 2)
        put(far, 2)
        guest.restore(second)
        assert (get(100), get(far)) == (1, 1)
        assert (guest.dead, guest.state.depth) == (None, 0)
    assert handled


def test_calls_of_other_threads_wait_for_a_restore(library, monkeypatch):
    with library.open(hosts=hosts()) as guest:
        get = guest.function("get")
        guest.function("put")(100, 1)
        taken = guest.snapshot()
        guest.function("put")(100, 2)
        plain, under_way, asked = image._clear, threading.Event(), threading.Event()
        results = []

        def slow(*arguments):
            under_way.set()
            asked.wait(20)
            plain(*arguments)

        def ask(call):
            try:
                results.append(call())
            except BridgeError as error:
                results.append(error)

        monkeypatch.setattr(image, "_clear", slow)
        restoring = threading.Thread(target=guest.restore, args=(taken,))
        restoring.start()
        under_way.wait(20)
        asking = [threading.Thread(target=ask, args=(call,)) for call in (lambda: get(100), lambda: get(100))]
        asking.append(threading.Thread(target=ask, args=(lambda: guest.function("get")(100),)))
        for thread in asking:
            thread.start()
        asking[0].join(0.05)  # it has asked by then, or asks later, which is no harm
        asked.set()
        for thread in (restoring, *asking):
            thread.join(20)
        assert results == [1, 1, 1]
