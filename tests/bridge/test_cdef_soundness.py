"""Typed objects where calls nest, threads meet, signal handlers strike, or the instance is gone."""

from __future__ import annotations

import sys
import threading

import pytest

from wasqlite.bridge import (
    BridgeError,
    InstanceClosed,
    InstancePoisoned,
    Library,
    Policy,
    Trap,
)

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
typedef int (*binary)(int, int);
struct pair { int a, b; };
int plus(int a, int b) { return a + b; }
int unused(int a) { return a; }
extern int level;
int level = 1;
int twice(binary f, int a) { return f(f(a, 1), 2); }
binary choose(void) { return plus; }
void stop(void) { __builtin_trap(); }
unsigned length(const char *text) { return strlen(text); }
unsigned count(const char *text, char wanted, const struct pair *pair)
{ unsigned n = 0; while (*text) n += *text++ == wanted; return n + pair->a; }
int fill(int n, char *buffer, int size) { if (buffer) memset(buffer, 'x', size); return n * 2; }
struct pair swap(struct pair p, char *buffer) { *buffer = 'x'; return (struct pair){p.b, p.a}; }
struct one { int value; };
struct one less(struct one o, char *buffer) { *buffer = 'x'; o.value--; return o; }
"""


@pytest.fixture(scope="module")
def path(built):
    return built(SOURCE, name="soundness")


@pytest.fixture(scope="module")
def library(path):
    return Library.load(path)


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


USES = {
    "a function that was not used before": lambda guest, pointer: guest.lib.unused,
    "a variable": lambda guest, pointer: guest.lib.level,
    "a function pointer": lambda guest, pointer: pointer(1, 2),
    "a callback": lambda guest, pointer: guest.callback("binary", max),
    "an address": lambda guest, pointer: guest.addressof("unused"),
    "the address of a variable": lambda guest, pointer: guest.addressof("level"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_who_is_closed_is_not_asked_for_functions(library, use):
    with library.open() as guest:
        pointer = guest.lib.choose()
    with pytest.raises(InstanceClosed):
        use(guest, pointer)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_who_is_dead_says_why(guest, use):
    pointer = guest.lib.choose()
    with pytest.raises(Trap):
        guest.lib.stop()
    with pytest.raises(InstancePoisoned):
        use(guest, pointer)


def test_statistics_of_a_closed_instance(library):
    with library.open() as guest:
        pointer = guest.new("int *")
    del pointer
    assert guest.stats().memory == 0


def test_callbacks_that_were_not_made_are_not_counted(library):
    with library.open(Policy(table=20)) as guest:
        made = 0
        for _ in range(50):
            try:
                guest.callback("binary", max)
            except BridgeError:
                continue
            made += 1
        assert 0 < made < 50
        assert guest.stats().callbacks == made


def test_memory_is_allocated_in_a_callback_after_another_one_failed(guest):
    # `twice` calls twice: what the first call raised is raised by `twice`, and not by the second's allocation.
    def run(a, b):
        if b == 1:
            raise KeyError("first")
        with guest.new("struct pair *", {"a": a}) as pair:
            second.append((pair.a, guest.lib.count("xx" * 5000, b"x", pair), guest.function("plus")(1, 2)))
        return 0

    second = []
    with guest.callback("binary", run, error=10) as cb, pytest.raises(KeyError, match="first"):
        guest.lib.twice(cb, 1)
    assert second == [(10, 10_010, 3)]
    assert guest.stats().allocations == 0


class Calling(dict):
    """A mapping that calls the guest while it is converted."""

    def __init__(self, call, **values):
        super().__init__(**values)
        self.call = call

    def items(self):
        self.call()
        return super().items()


def test_a_call_in_the_middle_of_conversions_leaves_the_arguments_alone(guest):
    others = []

    def call():
        assert guest.lib.length("y" * 30_000) == 30_000
        others.append(guest.new("char[]", b"y" * 20_000))

    for size in (10, 20_000):
        assert guest.lib.count("x" * size, b"x", Calling(call, a=1)) == size + 1
    scratch = guest.typed.scratch
    assert (scratch.top, scratch.large) == (0, [])


def test_what_a_call_cut_off_left_is_freed_by_the_next(guest):
    scratch = guest.typed.scratch
    scratch.reserve(20_000)
    scratch.top = 0  # as in the end of a call, before the large blocks are freed
    assert guest.lib.length("x" * 20_000) == 20_000
    assert scratch.large == []


CALLS = {
    "a number": (lambda guest, out: guest.lib.fill(4, out, 1), lambda result: result == 8),
    "a struct": (
        lambda guest, out: guest.lib.swap({"a": 1, "b": 2}, out),
        lambda result: (result.a, result.b) == (2, 1),
    ),
    "a struct of one": (lambda guest, out: guest.lib.less({"value": 5}, out), lambda result: result.value == 4),
}


@pytest.mark.parametrize(("call", "is_right"), CALLS.values(), ids=CALLS)
def test_a_call_while_buffers_are_copied_back_does_not_change_the_result(guest, call, is_right):
    # Where a signal handler or a finaliser may run: the profiler's function takes its place.
    def strike(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "_copy_back":
            sys.setprofile(None)
            struck.append(guest.lib.fill(100, None, 0))
            struck.append(guest.lib.less({"value": 50}, guest.out(bytearray(1))))

    struck = []
    buffer = bytearray(1)
    sys.setprofile(strike)
    try:
        result = call(guest, guest.out(buffer))
    finally:
        sys.setprofile(None)
    assert struck
    assert struck[0] == 200
    assert is_right(result)
    assert buffer == b"x"


def test_threads_share_what_knows_the_types(path):
    wasm, types = path.read_bytes(), str(path.with_suffix(".types.json"))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            with Library(wasm, name="soundness", types=types).open() as guest:
                found = []
                barrier = threading.Barrier(4)

                def work(guest=guest, found=found, barrier=barrier):
                    barrier.wait()
                    pointer = guest.new("struct pair *")
                    found.append((guest.typed, pointer._type, guest.library.layout.type("int[3]")))

                threads = [threading.Thread(target=work) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert len(found) == 4
                assert len({tuple(map(id, objects)) for objects in found}) == 1
    finally:
        sys.setswitchinterval(interval)


def test_variables_are_read_while_another_thread_is_inside(guest):
    read = []

    def serve(a, b):
        guest.lib.level += 1
        reading = threading.Thread(target=lambda: read.append(guest.lib.level))
        reading.start()
        reading.join(20)
        return 0

    assert guest.lib.level == 1
    with guest.callback("binary", serve) as callback:
        guest.lib.twice(callback, 1)
    assert read == [2, 3]


def test_the_first_allocation_locks_no_other_instance(library):
    # One thread waits for an instance in the middle of a call, in which another instance allocates for the first time.
    busy, other = library.open(), library.open()  # not closed where they hang
    waiting = threading.Thread(target=busy.new, args=("int *",), daemon=True)

    def serve(a, b):
        if b == 1:
            waiting.start()
            waiting.join(0.2)
        return other.new("int *", a)[0]

    calling = threading.Thread(target=busy.lib.twice, args=(busy.callback("binary", serve), 1), daemon=True)
    calling.start()
    for thread in (calling, waiting):
        thread.join(20)
        assert not thread.is_alive()
    busy.close()
    other.close()


@pytest.mark.parametrize("use", ["a callback", "an address", "a variable"])
def test_what_asks_the_runtime_waits_for_the_call_of_another_thread(guest, use):
    inside, leave, done = threading.Event(), threading.Event(), threading.Event()
    pointer = guest.lib.choose()

    def wait(a, b):
        inside.set()
        leave.wait()
        return 0

    def ask():
        USES[use](guest, pointer)
        done.set()

    with guest.callback("binary", wait) as callback:
        threads = [threading.Thread(target=guest.lib.twice, args=(callback, 1)), threading.Thread(target=ask)]
        threads[0].start()
        inside.wait()
        threads[1].start()
        assert not done.wait(0.2)
        leave.set()
        for thread in threads:
            thread.join()
    assert done.is_set()
