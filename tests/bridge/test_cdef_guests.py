"""Typed use together with the rest of the bridge: arenas, policies, snapshots and clones, nesting, signals."""

from __future__ import annotations

import gc
import signal
import sys
import threading

import pytest

from wasqlite.bridge import (
    ArgumentTypeError,
    BridgeError,
    CallbackClosed,
    DeadlineExceeded,
    DeclarationError,
    InstancePoisoned,
    Interrupted,
    Library,
    PointerError,
    Policy,
    ReentryError,
    Trap,
)

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
typedef int (*unary)(int);
typedef enum { LOW = 1, HIGH = 1 << 20 } level;
enum sign { NEGATIVE = -1, POSITIVE = 1 };
extern unary hook;
typedef struct { int total; } totals;
extern totals state;
unary hook;
totals state;
typedef float vector __attribute__((vector_size(16)));
struct odd { int before; _Complex double complicated; long double wide; int after; };
struct odd odd;
int plus_one(int n) { return n + 1; }
int call_hook(int n) { return hook ? hook(n) : -1; }
int raise_total(int now) { state.total += now; return state.total; }
int deadline(int wake, int resting, int state) { return wake + resting + state; }
void forever(void) { for (;;) __asm__ volatile(""); }
int forever_if(int n) { while (n) __asm__ volatile("" : "+r"(n)); return n; }
level other(level l) { return l == LOW ? HIGH : LOW; }
int read_after(const struct odd *o) { return o->after; }
long double widen(double d) { return d; }
unsigned read_text(const char *text) { return strlen(text); }
int stop(int n) { if (n) __builtin_trap(); return n; }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="guests")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


def test_an_arena_frees_its_pointers(guest):
    with guest.arena() as arena:
        text = arena.new("char[100]", b"text")
        number = arena.new("int *", 5)
        assert (text.string(), number[0]) == (b"text", 5)
        assert guest.memory.string(arena.string("raw")) == b"raw"
        assert guest.stats().allocations == 2
        number.free()
    assert guest.stats().allocations == 0
    with pytest.raises(PointerError, match="freed"):
        text.string()


def test_an_arena_frees_when_an_exception_leaves_it(guest):
    with pytest.raises(KeyError), guest.arena() as arena:
        arena.new("char[100]")
        raise KeyError
    assert guest.stats().allocations == 0
    with pytest.raises(Trap), guest.arena() as arena:
        arena.new("char[100]")
        guest.lib.stop(1)


def test_addresses_of_variables_and_functions(guest):
    total = guest.addressof("state")
    total.total = 10
    assert guest.lib.raise_total(5) == 15
    assert guest.lib.state.total == 15
    assert guest.addressof("plus_one")(4) == 5
    assert guest.addressof("plus_one") == guest.addressof("plus_one")
    with pytest.raises(DeclarationError, match="no variable missing"):
        guest.addressof("missing")


def test_functions_of_the_library_are_stored_as_pointers(guest):
    assert guest.lib.call_hook(1) == -1
    guest.lib.hook = guest.lib.plus_one
    assert guest.lib.call_hook(1) == 2
    assert guest.lib.hook(5) == 6
    guest.lib.hook = None
    assert guest.lib.call_hook(1) == -1
    with pytest.raises(ArgumentTypeError, match=r"through callback\(\"int \(int\)\", function\)"):
        guest.lib.hook = abs


def test_a_function_of_another_instance_is_refused(guest, library):
    with library.open() as other, pytest.raises(ArgumentTypeError):
        guest.lib.hook = other.lib.plus_one


def test_enumerations_without_a_tag(guest, library):
    assert guest.lib.other(library.enums.level.LOW) == library.constants.HIGH == 1 << 20
    assert library.enums.sign.NEGATIVE == -1
    assert sorted(library.enums.sign) == ["NEGATIVE", "POSITIVE"]
    assert {"level", "sign"} <= set(dir(library.enums))
    with pytest.raises(AttributeError):
        library.enums.missing  # noqa: B018


def test_parameters_called_like_what_calls_use(guest):
    assert guest.lib.deadline(wake=1, resting=2, state=3) == 6


def test_numbers_made_by_cast_are_arguments(guest):
    assert guest.lib.plus_one(guest.cast("short", 65537)) == 2
    with pytest.raises(ArgumentTypeError):
        guest.lib.plus_one(guest.cast("double", 1.0))


def test_types_without_python_values_spoil_nothing_else(guest):
    odd = guest.new("struct odd *", {"before": 1, "after": 2})
    assert (odd.before, odd.after, guest.lib.read_after(odd)) == (1, 2, 2)
    for name in ("complicated", "wide"):
        with pytest.raises(DeclarationError, match="cannot be read"):
            odd[name]
        with pytest.raises(DeclarationError, match="cannot be written"):
            odd[name] = 1
    with pytest.raises(DeclarationError, match="long double cannot be passed or returned"):
        guest.lib.widen(1.0)


def test_a_deadline_stops_a_typed_call(library):
    with library.open(Policy(deadline=0.1)) as guest:
        assert guest.lib.plus_one(1) == 2
        with pytest.raises(DeadlineExceeded):
            guest.lib.forever()
        with pytest.raises(InstancePoisoned):
            guest.lib.plus_one(1)


def test_a_deadline_holds_in_function_pointers_and_nested_calls(library):
    with library.open(Policy(deadline=0.1)) as guest:
        guest.lib.hook = guest.lib.forever_if
        with pytest.raises(DeadlineExceeded):
            guest.lib.hook(1)
    with library.open(Policy(deadline=0.1)) as guest:
        guest.lib.hook = guest.callback("int (int)", lambda n: guest.lib.forever_if(n), error=-1)
        with pytest.raises(DeadlineExceeded):
            guest.lib.call_hook(1)


def test_interrupt_from_another_thread(library):
    with library.open(Policy()) as guest:
        timer = threading.Timer(0.1, guest.interrupt)
        timer.start()
        with pytest.raises(Interrupted):
            guest.lib.forever()
        timer.join()


def test_a_trap_rolls_back(library):
    with library.open(Policy(rollback=True)) as guest:
        guest.lib.raise_total(5)
        before = guest.new("int *", 1)
        guest.snapshot()
        guest.lib.raise_total(5)
        with pytest.raises(Trap):
            guest.lib.stop(1)
        assert guest.lib.raise_total(0) == 5
        with pytest.raises(PointerError, match="before a snapshot was restored"):
            before[0]
        assert guest.new("int *", 2)[0] == 2


def test_callbacks_and_handles_survive_a_restore(guest):
    seen = []
    callback = guest.callback("int (int)", lambda n: seen.append(n) or n * 2, error=-1)
    handle = guest.handle(seen)
    guest.lib.hook = callback
    snapshot = guest.snapshot()
    pointer = guest.new("int *")
    for n in range(3):
        guest.restore(snapshot)
        assert guest.lib.call_hook(n) == n * 2
        assert callback(5) == 10
    assert guest.from_handle(handle) is seen
    with pytest.raises(PointerError, match="restored"):
        pointer[0]
    assert guest.stats().allocations == 0
    callback.close()
    with pytest.raises(PointerError, match="closed"):
        guest.lib.hook = callback


def test_restoring_over_and_over_leaks_nothing(guest):
    # What C's allocator takes of linear memory after the snapshot, it would take again after each restore.
    guest.lib.read_after({"after": 1})
    guest.new("char[1000]").free()
    snapshot = guest.snapshot()
    size = guest.memory.size
    for _ in range(300):
        guest.new("char[1000]", b"x")
        guest.lib.read_after({"after": 1})
        guest.restore(snapshot)
    gc.collect()
    guest.lib.plus_one(1)
    assert guest.memory.size == size
    assert guest.stats().allocations == 0


def test_snapshots_of_what_was_restored_do_not_grow(library):
    # Memory for arguments is taken from C's heap: once, and not again after each restore.
    guest = library.open()
    sizes = set()
    for n in range(100):
        assert guest.lib.read_after({"after": n}) == n
        if n % 2:
            snapshot = guest.snapshot()
            assert guest.lib.read_after({"after": 1}) == 1
            guest.restore(snapshot)
        else:
            clone = guest.clone()
            guest.close()
            guest = clone
        assert guest.lib.read_text("x" * 20_000) == 20_000
        sizes.add(guest.memory.size)
    assert len(sizes) == 1
    guest.close()


def test_a_clone_calls_the_same_functions_and_no_others(guest):
    guest.lib.hook = guest.callback("int (int)", lambda n: n * 2)
    with guest.clone() as clone:
        # What its memory remembers is no other function of the clone's, whatever is registered there.
        others = [clone.callback("int (int)", lambda n: 1000) for _ in range(20)]
        assert clone.lib.hook not in others
        assert clone.lib.call_hook(1) == 2
    closed = guest.callback("int (int)", lambda n: n * 2)
    guest.lib.hook = closed
    closed.close()
    with guest.clone() as clone:
        others = [clone.callback("int (int)", lambda n: 1000) for _ in range(20)]
        with pytest.raises(CallbackClosed):
            clone.lib.call_hook(1)
    guest.lib.hook = guest.callback("int (int)", lambda n: n * 2)
    with guest.clone() as clone:
        clone.lib.hook = clone.callback("int (int)", lambda n: n * 3)
        assert clone.lib.call_hook(2) == 6
    assert guest.lib.call_hook(2) == 4


def test_a_callback_may_register_others(guest):
    def first(n):
        with guest.callback("int (int)", lambda n: n + 100) as second:
            guest.lib.hook = second
            return guest.lib.call_hook(n)

    callback = guest.callback("int (int)", first, error=-1)
    for n in range(50):
        guest.lib.hook = callback
        assert guest.lib.call_hook(n) == n + 100


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_handler_is_refused_and_loses_nothing(guest):
    # The handler strikes inside the call of a host function that is not open for calls.
    pointers = [guest.new("char[10]") for _ in range(3)]
    outcomes = []

    def handler(number, frame):
        pointers.pop()
        for use in (lambda: guest.lib.plus_one(1), pointers[0].free, lambda: guest.new("int *")):
            try:
                use()
            except ReentryError:
                outcomes.append("refused")

    class Index:
        def __index__(self):
            signal.raise_signal(signal.SIGUSR1)
            return 1

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        assert guest.lib.plus_one(Index()) == 2
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert outcomes == ["refused"] * 3
    assert pointers[0].bytes() == bytes(10)
    pointers.clear()
    assert guest.stats().allocations == 0


def test_tables_are_full_sometime(library):
    with library.open(Policy(table=20)) as guest, pytest.raises(BridgeError, match=r"function table .* is full"):
        for _ in range(100):
            guest.callback("int (int)", abs)


def test_threads_use_instances_of_their_own(library):
    results = []

    def work(n):
        with library.open() as guest:
            guest.lib.hook = guest.callback("int (int)", lambda value: value * n)
            results.append(sum(guest.lib.call_hook(i) for i in range(100)) == 4950 * n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_other_libraries_have_types_of_their_own(guest, built):
    twin = Library.load(built(SOURCE, name="guests"))
    with twin.open() as other, pytest.raises((PointerError, ArgumentTypeError)):
        guest.lib.read_after(other.new("struct odd *"))


def test_out_of_memory_is_memory_error(library):
    with library.open(Policy(memory=4 << 20)) as guest:
        for use in (
            lambda: guest.new("char[]", 10 << 20),
            lambda: guest.new("char[10000000]"),
            lambda: guest.lib.read_text("x" * (10 << 20)),
            lambda: guest.lib.read_text(bytearray(10 << 20)),
        ):
            with pytest.raises(MemoryError):
                use()
        assert guest.lib.read_text("x" * 100_000) == 100_000
        assert guest.stats().allocations == 0


def test_statistics_know_what_c_took(guest):
    before = guest.stats().memory
    guest.function("malloc")(10 << 20)
    assert guest.stats().memory >= before + (10 << 20)


def test_types_made_of_many_lengths_are_not_kept(library):
    with library.open() as guest:
        for n in range(1, 3000):
            assert len(guest.new(f"short[{n}]")) == n
            assert len(guest.new("short[]", n)) == n
    item = library.layout.type("short")
    assert len(item.arrays) <= 1002


def test_threads_read_the_types_once(built):
    for _ in range(10):
        fresh = Library.load(built(SOURCE, name="guests"))
        found = []
        barrier = threading.Barrier(8)

        def look(fresh=fresh, found=found, barrier=barrier):
            barrier.wait()
            found.append(fresh.layout)

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1
