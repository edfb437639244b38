"""Snapshots of instances that are used through C types: pointers, callbacks, handles, open files."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from wasqlite.bridge import CallbackClosed, Library, PointerError, Policy, SnapshotError
from wasqlite.bridge.cdef.table import QUARANTINE

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guests import compiled

SOURCE = r"""
#include <stdlib.h>
typedef int (*binary)(int, int);
struct node { int value; struct node *next; };
static binary kept;
static void *remembered;
static struct node *list;
void keep(binary f) { kept = f; }
int call_kept(int a, int b) { return kept ? kept(a, b) : -1; }
void remember(void *data) { remembered = data; }
void *recall(void) { return remembered; }
int plus(int a, int b) { return a + b; }
static int minus(int a, int b) { return a - b; }
binary subtraction(void) { return minus; }
struct node *push(int value)
{ struct node *n = malloc(sizeof *n); n->value = value; n->next = list; return list = n; }
int sum(void) { int s = 0; for (struct node *n = list; n; n = n->next) s += n->value; return s; }
void trap(void) { __builtin_trap(); }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="snapshots")


@pytest.fixture
def guest(library):
    with library.open(Policy()) as instance:
        yield instance


def test_the_heap_goes_back_and_pointers_of_before_are_refused(guest):
    first = guest.lib.push(1)
    own = guest.new("struct node *", {"value": 5})
    taken = guest.snapshot()
    for _ in range(3):
        for value in range(1000):
            guest.lib.push(value)
        guest.restore(taken)
        assert guest.lib.sum() == 1
    for pointer in (first, own):
        with pytest.raises(PointerError, match="before a snapshot was restored"):
            pointer.value  # noqa: B018
    # The address is right, and what says so is a cast.
    assert guest.cast("struct node *", int(first)).value == 1
    assert guest.cast("struct node *", int(own)).value == 5
    assert guest.stats().allocations == 0
    del own
    gc.collect()
    guest.new("int *", 3)
    assert guest.cast("struct node *", int(first)).value == 1


def test_arguments_work_in_every_state(guest):
    taken = guest.snapshot()
    for _ in range(3):
        with guest.callback("int (int, int)", lambda a, b: 0, error=-1) as callback:
            guest.lib.keep(callback)
            assert guest.lib.call_kept(1, 2) == 0
        guest.restore(taken)
        assert guest.lib.call_kept(1, 2) == -1


def test_an_open_callback_serves_after_a_restore(guest):
    callback = guest.callback("int (int, int)", lambda a, b: a * b, error=-1)
    guest.lib.keep(callback)
    taken = guest.snapshot()
    guest.lib.keep(None)
    guest.restore(taken)
    assert guest.lib.call_kept(6, 7) == 42
    guest.lib.keep(callback)
    assert guest.lib.call_kept(6, 7) == 42


def test_a_closed_callback_is_nobody_elses_as_long_as_there_is_the_snapshot(guest):
    callback = guest.callback("int (int, int)", lambda a, b: a * b, error=-1)
    index = int(callback)
    guest.lib.keep(callback)
    taken = guest.snapshot()
    callback.close()

    def others():
        found = [guest.callback("int (int, int)", lambda a, b: 0, error=-1) for _ in range(3 * QUARANTINE)]
        indices = {int(other) for other in found}
        for other in found:
            other.close()
        return indices

    for _ in range(4):
        assert index not in others()
    guest.restore(taken)
    with pytest.raises(CallbackClosed):
        guest.lib.call_kept(6, 7)
    del taken
    gc.collect()


def test_it_is_reused_when_the_snapshot_is_gone(guest):
    callback = guest.callback("int (int, int)", lambda a, b: a * b, error=-1)
    index = int(callback)
    taken = guest.snapshot()
    callback.close()
    del taken
    seen = set()
    for _ in range(4):
        found = [guest.callback("int (int, int)", lambda a, b: 0, error=-1) for _ in range(QUARANTINE)]
        seen |= {int(other) for other in found}
        for other in found:
            other.close()
    assert index in seen


def test_a_clone_has_the_callbacks_and_handles_of_its_original(guest):
    calls = []

    def multiply(a, b):
        calls.append((a, b))
        return a * b

    value = object()
    closed = guest.callback("int (int, int)", multiply, error=-1)
    callback = guest.callback("int (int, int)", multiply, error=-1)
    closed.close()
    guest.lib.keep(callback)
    guest.lib.remember(guest.handle(value))
    with guest.clone() as other:
        assert other.lib.call_kept(6, 7) == 42
        assert other.from_handle(other.lib.recall()) is value
        # Its own ones stand beside them.
        with other.callback("int (int, int)", lambda a, b: a - b, error=-1) as mine:
            other.lib.keep(mine)
            assert other.lib.call_kept(6, 7) == -1
        assert guest.lib.call_kept(5, 5) == 25
        callback.close()
        with pytest.raises(CallbackClosed):
            guest.lib.call_kept(5, 5)
        second = other.handle(3)
        assert other.from_handle(other.lib.recall()) is value
        assert int(second) != int(other.lib.recall())
    assert calls == [(6, 7), (5, 5)]


def test_a_clone_has_function_pointers_to_the_guests_functions(guest):
    guest.lib.keep(guest.lib.plus)
    callback = guest.callback("int (int, int)", lambda a, b: 9, error=-1)
    with guest.clone() as other:
        assert other.lib.call_kept(2, 3) == 5
    guest.lib.keep(guest.lib.subtraction())
    with guest.clone() as other, other.clone() as third:
        assert third.lib.call_kept(2, 3) == -1
        third.lib.keep(third.cast("int (*)(int, int)", int(callback)))
        assert third.lib.call_kept(2, 3) == 9


def test_what_a_callback_raises_in_a_clone_arrives_there(guest):
    def fail(a, b):
        raise ZeroDivisionError(a)

    callback = guest.callback("int (int, int)", fail, error=-5)
    guest.lib.keep(callback)
    with guest.clone() as other:
        with pytest.raises(ZeroDivisionError):
            other.lib.call_kept(1, 2)
        assert other.dead is None


def test_callbacks_of_another_instance_are_not_restored(library, guest):
    callback = guest.callback("int (int, int)", lambda a, b: a * b, error=-1)
    guest.lib.keep(callback)
    taken = guest.snapshot()
    with library.open(Policy()) as other:
        with pytest.raises(SnapshotError, match="1 callbacks of another instance"):
            other.restore(taken)
        assert other.lib.call_kept(1, 2) == -1
    with library.open(Policy(), snapshot=taken) as other:
        other.lib.keep(None)
        other.restore(taken)
        assert other.lib.call_kept(6, 7) == 42


def test_without_callbacks_any_instance_can_be_restored(library, guest):
    guest.lib.push(4)
    taken = guest.snapshot()
    with library.open(Policy()) as other:
        other.lib.push(100)
        other.restore(taken)
        assert other.lib.sum() == 4


def test_rolling_back_keeps_callbacks_and_refuses_pointers(library):
    with library.open(Policy(rollback=True)) as guest:
        guest.lib.keep(guest.callback("int (int, int)", lambda a, b: a * b, error=-1))
        node = guest.lib.push(3)
        guest.snapshot()
        guest.lib.push(4)
        with pytest.raises(Exception, match="unreachable"):
            guest.lib.trap()
        assert (guest.lib.sum(), guest.lib.call_kept(2, 3)) == (3, 6)
        with pytest.raises(PointerError, match="restored"):
            node.value  # noqa: B018


# -- files ---------------------------------------------------------------------------------------------------------

FILES = r"""
#include <stdio.h>
static FILE *file;
static int count;
EXPORT int open_it(void) { file = fopen("/data/file", "r"); return file != NULL; }
EXPORT void close_it(void) { fclose(file); file = NULL; }
EXPORT int read_it(void) { return file ? fgetc(file) : -2; }
EXPORT int counted(void) { return ++count; }
EXPORT void say(void) { puts("said"); fflush(stdout); }
"""


@pytest.fixture
def filer(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    policy = Policy(files={"/data": tmp_path}, stdout="discard", rollback=True)
    with Library.load(compiled(FILES)).open(policy) as guest:
        yield guest


def test_open_files_are_not_copied(filer):
    function = filer.function
    filer.snapshot()
    assert function("open_it")() == 1
    for operation in (filer.snapshot, filer.clone):
        with pytest.raises(SnapshotError, match=r"the guest has files open: .*file"):
            operation()
    function("close_it")()
    function("say")()
    with filer.clone() as other:
        assert other.function("open_it")() == 1
        assert other.function("read_it")() == ord("a")


def test_a_restore_closes_what_was_opened_since(filer):
    function = filer.function
    taken = filer.snapshot()
    for _ in range(3):
        assert function("open_it")() == 1
        assert function("counted")() == 1
        filer.restore(taken)
        assert function("read_it")() == 0xFFFFFFFE
        if sys.platform == "linux":
            links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
            assert not [link for link in links if link.name == "file"]


def test_a_module_without_a_function_table_is_cloned_too():
    types = {"format": 1, "name": "small", "functions": {"plus": {"type": "int (int, int)", "params": ["a", "b"]}}}
    library = Library.from_wat(
        '(module (memory (export "memory") 1)'
        ' (func (export "plus") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))',
        types=types,
    )
    with library.open() as guest:
        assert guest.lib.plus(2, 3) == 5
        guest.memory.write(0, b"kept")
        with guest.clone() as other:
            assert (other.lib.plus(4, 5), other.memory.read(0, 4)) == (9, b"kept")
