"""Typed callbacks under signals, and many times over: clean exceptions, nothing lost, nothing leaked."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
from storm import storm

SOURCE = r"""
#include <string.h>
typedef int (*unary)(int);
typedef double (*real)(double);
int plus(int a, int b) { return a + b; }
unsigned length(const char *text) { return strlen(text); }
/* Each answer is right, or the error value. */
int ints(unary f, int n) { while (n--) { int r = f(n); if (r != n + 1 && r != -5) return n; } return -1; }
int reals(real f, int n) { while (n--) { double r = f(n); if (r != n + 0.5 && r != -5) return n; } return -1; }
"""

STORM = """
from wasqlite.bridge import InstancePoisoned, Library
shape, path, interruptible = sys.argv[3], sys.argv[4], sys.argv[5] == "interruptible"
library = Library.load(path, interruptible=interruptible)
def nested(n):
    assert lib.length("x" * (n % 50)) == n % 50
    return lib.plus(n, 1)
texts = ["x" * n for n in (3, 300, 9000)]
def strings():
    for text in texts: assert lib.length(text) == len(text)
def calls():
    found = getattr(lib, shape)(callback, 300)
    assert found == -1, found
run = strings if shape == "strings" else calls
def forever():
    while True: run()
def fresh():
    global guest, lib, callback, base, top
    guest = library.open()
    lib = guest.lib
    if shape == "ints": callback = guest.callback("int (int)", nested, error=-5)
    if shape == "reals": callback = guest.callback("double (double)", lambda x: x + 0.5, error=-5)
    run()
    base, top = guest.stack_pointer(), guest.typed.scratch.top
fresh()
settle()
while True:
    try:
        strike()
        forever()
    except kind:
        survived()
        assert not guest.parked
        if guest.dead is not None:
            # Only what can be interrupted may be stopped in the middle of C code.
            assert interruptible and isinstance(guest.dead, InstancePoisoned), guest.dead
            fresh()
        assert guest.stack_pointer() == base
        assert guest.typed.scratch.top == top
        assert lib.plus(caught, 1) == caught + 1
        assert lib.length("x") == 1
        assert not guest.typed.scratch.large
"""


@pytest.fixture(scope="module")
def wasm(built):
    return built(SOURCE)


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("shape", ["ints", "reals", "strings"])
@pytest.mark.parametrize("mode", ["interruptible", "fast"])
@pytest.mark.parametrize("kind", ["int", "alarm"])
def test_a_storm_of_signals_at_typed_calls_is_a_series_of_exceptions(wasm, kind, shape, mode):
    storm(STORM, kind, 100, shape, str(wasm), mode)


def test_exceptions_of_many_threads_arrive_where_they_belong(library):
    wrong = []

    def work(number):
        def fail(n):
            if n % 3 == 0:
                raise KeyError(number)
            return n + 1

        with library.open() as guest, guest.callback("int (int)", fail, error=-5) as callback:
            for _ in range(30):
                try:
                    guest.lib.ints(callback, 5)
                except KeyError as error:
                    if error.args != (number,):
                        wrong.append(error)
                else:
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_take_turns_in_one_instance(library):
    wrong = []
    with library.open() as guest:

        def work(number):
            def served(n):
                return guest.lib.plus(n, 1) if guest.lib.length("x" * number) == number else 0

            with guest.callback("int (int)", served, error=-5) as callback:
                for _ in range(30):
                    if guest.lib.ints(callback, 20) != -1:
                        wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.slow
def test_nothing_leaks_over_many_cycles(library):

    def cycle(guest, n):
        def served(value):
            if value == 3:
                raise KeyError(n)
            return value + 1

        with guest.callback("int (int)", served, error=-5) as callback, guest.handle(n), guest.new("char[100]", b"x"):
            guest.new("int *", n)
            guest.lib.length("y" * (n * 100 % 20_000))
            with pytest.raises(KeyError):
                guest.lib.ints(callback, 5)

    def slots(guest):
        return guest._api.put_function(guest._context, guest.typed.table._extern, guest.typed.table.get(1))

    with library.open() as guest:
        for n in range(1000):
            cycle(guest, n)
        memory, first, trampolines = guest.memory.size, slots(guest), len(guest._trampolines)
        for n in range(20_000):
            cycle(guest, n)
        assert guest.memory.size == memory
        assert slots(guest) == first + 1
        assert len(guest._trampolines) == trampolines
        guest.typed.drain()
        assert guest.stats()[:2] == (0, 0)
    gc.collect()  # what other tests have left behind
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
    for n in range(300):
        with library.open() as guest:
            cycle(guest, n)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
