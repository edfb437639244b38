"""Linear memory and arenas: every access is checked, scratch memory is given back."""

from __future__ import annotations

import subprocess
import sys
from pickle import PickleBuffer

import pytest

from wasqlite.bridge import Library, Memory, MemoryAccessError

# A bump allocator that counts what is alive, and refuses more than 1000 bytes at once.
WAT = """
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (global $alive (mut i32) (i32.const 0))
  (func (export "malloc") (param i32) (result i32)
    (if (i32.gt_u (local.get 0) (i32.const 1000)) (then (return (i32.const 0))))
    (global.set $alive (i32.add (global.get $alive) (i32.const 1)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 0))))
  (func (export "free") (param i32) (global.set $alive (i32.sub (global.get $alive) (i32.const 1))))
  (func (export "alive") (result i32) (global.get $alive))
  (func (export "trap") unreachable)
)
"""


@pytest.fixture
def instance():
    with Library.from_wat(WAT).open() as opened:
        yield opened


def test_reads_and_writes(instance):
    memory = instance.memory
    memory.write(100, b"hello\0world")
    assert memory.read(100, 5) == b"hello"
    assert memory.string(106) == b"world"
    memory.write_u32(200, -1)
    assert memory.read_u32(200) == 0xFFFF_FFFF
    memory.write_u64(208, -1)
    assert memory.read(208, 8) == b"\xff" * 8
    memory.span(300, 2)[:] = b"ab"
    assert memory.read(300, 3) == b"ab\0"


@pytest.mark.parametrize(
    ("address", "size"),
    [(65536, 1), (65535, 2), (0, 65537), (-1, 1), (0, -1), (0xFFFF_FFFF, 1), (0xFFFF_FFFF, 0xFFFF_FFFF), (65537, 0)],
)
def test_an_access_outside_is_an_exception(instance, address, size):
    with pytest.raises(MemoryAccessError, match="outside the linear memory of 65536 bytes"):
        instance.memory.read(address, size)


def test_the_very_end_is_inside(instance):
    assert instance.memory.read(65535, 1) == b"\0"
    assert instance.memory.read(65536, 0) == b""


def test_writes_outside_change_nothing(instance):
    with pytest.raises(MemoryAccessError):
        instance.memory.write(65535, b"ab")
    assert instance.memory.read(65535, 1) == b"\0"
    with pytest.raises(MemoryAccessError):
        instance.memory.write_u32(65533, 1)


def test_an_unterminated_string_is_an_exception(instance):
    instance.memory.write(65000, b"x" * 536)
    with pytest.raises(MemoryAccessError, match="no NUL"):
        instance.memory.string(65000)
    instance.memory.write(1000, b"x" * 100)
    with pytest.raises(MemoryAccessError, match="no NUL within 50 bytes"):
        instance.memory.string(1000, 50)
    with pytest.raises(MemoryAccessError):
        instance.memory.string(70000)


def test_a_memory_over_a_buffer_needs_no_guest():
    buffer = bytearray(16)
    memory = Memory.over(buffer)
    memory.write(4, b"hi")
    assert buffer[4:6] == b"hi"
    with pytest.raises(MemoryAccessError):
        memory.read(15, 2)


def test_an_arena_gives_everything_back(instance):
    alive = instance.function("alive")
    with instance.arena() as arena:
        at = arena.bytes(b"\1\2\3")
        text = arena.string("grüße")
        arena.alloc(10)
        assert alive() == 3
        assert instance.memory.read(at, 3) == b"\1\2\3"
        assert instance.memory.string(text) == "grüße".encode()
    assert alive() == 0


def test_an_arena_gives_everything_back_after_an_exception(instance):
    with pytest.raises(KeyError), instance.arena() as arena:
        arena.alloc(10)
        raise KeyError
    assert instance.function("alive")() == 0


def test_out_of_guest_memory_is_memory_error(instance):
    with instance.arena() as arena:
        arena.alloc(10)
        with pytest.raises(MemoryError):
            arena.alloc(1001)
        with pytest.raises(MemoryError):
            arena.alloc(1 << 40)
    assert instance.function("alive")() == 0


def test_a_string_with_a_nul_is_refused(instance):
    with instance.arena() as arena, pytest.raises(ValueError, match="null character"):
        arena.string("a\0b")


def test_an_arena_outlives_a_trap(instance):
    with instance.arena() as arena:
        arena.alloc(10)
        with pytest.raises(Exception, match="unreachable"):
            instance.function("trap")()


def test_a_view_that_outlives_its_instance_is_not_a_crash():
    instance = Library.from_wat(WAT).open()
    instance.memory.write(0, b"kept")
    view = instance.memory.span(0, 4)
    instance.close()
    assert bytes(view) == b"kept"  # the memory stays mapped for as long as the process lives


def test_a_buffer_that_outlives_its_instance_is_not_a_crash_nor_an_error():
    instance = Library.from_wat(WAT).open()
    instance.memory.write(0, b"kept")
    buffers = [PickleBuffer(view) for view in (instance.memory.pin(0, 4), instance.memory.view)]
    instance.close()
    assert [bytes(buffer)[:4] for buffer in buffers] == [b"kept"] * 2
    assert instance.memory.size == 0


def test_a_memory_that_begins_empty_grows():
    with Library.from_wat(
        '(module (memory (export "memory") 0 3) (func (export "grow") (result i32) (memory.grow (i32.const 2))))'
    ).open() as instance:
        assert instance.memory.size == 0
        instance.function("grow")()
        instance.memory.write(65536, b"there")
        assert instance.memory.string(65536) == b"there"
        assert instance.memory.size == 2 * 65536


RACE = """
import sys, threading, time
from wasqlite.bridge import BridgeError, Library
sys.setswitchinterval(1e-6)
library = Library.from_wat(
    '(module (memory (export "memory") 1) (global (export "g") i32 (i32.const 1))'
    ' (global (export "__stack_pointer") (mut i32) (i32.const 8)) (func (export "f") (result i32) (i32.const 4)))'
)
odd = []
def work(instance):
    looks = (
        lambda: instance.memory.string(0), lambda: instance.memory.read(0, 4), lambda: instance.function("f")(),
        lambda: instance.global_value("g"), instance.stack_pointer,
    )
    for look in looks * 50:
        try: look()
        except BridgeError: pass
        except ValueError as error:
            if "released memoryview" not in str(error): odd.append(error)
        except BaseException as error: odd.append(error)
for _ in range(500):
    instance = library.open()
    threads = [threading.Thread(target=work, args=(instance,)) for _ in range(3)]
    for thread in threads: thread.start()
    time.sleep(0.0005)
    instance.close()
    for thread in threads: thread.join()
print(odd)
"""


def test_looking_while_another_thread_closes_is_not_a_crash():
    command = [sys.executable, "-X", "faulthandler", "-c", RACE]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (result.stdout, result.stderr) == ("[]\n", "")
