"""Callbacks: Python functions as C function pointers, with errors, nesting, closing and reuse."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest

from wasqlite.bridge import BridgeError, InstancePoisoned
from wasqlite.bridge.cdef import table
from wasqlite.bridge.errors import (
    ArgumentRangeError,
    ArgumentTypeError,
    CallbackClosed,
    DeclarationError,
    PointerError,
    Trap,
)

SOURCE = r"""
#include <stdlib.h>
typedef int (*binary)(int, int);
int apply(binary f, int a, int b) { return f(a, b); }
int twice(binary f, int a) { return f(f(a, 1), 2); }
static binary kept;
void keep(binary f) { kept = f; }
int call_kept(int a, int b) { return kept(a, b); }
long long wide(long long (*f)(long long, unsigned long long), long long a, unsigned long long b) { return f(a, b); }
unsigned long long wider(unsigned long long (*f)(void)) { return f(); }
double real(double (*f)(float, double), float a, double b) { return f(a, b); }
float single(float (*f)(void)) { return f(); }
int small(signed char (*f)(signed char, unsigned char, short, unsigned short, _Bool, char))
{ return f(-1, 255, -2, 65535, 1, 'x'); }
void visit(void (*f)(void *), void *data) { f(data); }
const char *name(const char *(*f)(void)) { return f(); }
void sort(int *values, int count, int (*compare)(const void *, const void *))
{ qsort(values, count, sizeof *values, compare); }
static int minus(int a, int b) { return a - b; }
binary choose(int which) { return which ? minus : 0; }
int plus(int a, int b) { return a + b; }
struct operations { binary first; int (*second)(void); };
int use(struct operations *o) { return o->first(2, 3) + (o->second ? o->second() : 0); }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="callbacks")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


def test_a_python_function_is_called(guest):
    with guest.callback("int (*)(int, int)", lambda a, b: a * 10 + b) as cb:
        assert guest.lib.apply(cb, 3, 4) == 34
        assert guest.lib.apply(cb, -3, -4) == -34
        assert guest.lib.twice(cb, 5) == 512
    with guest.callback("binary", max) as cb, guest.callback("int (int, int)", min) as other:
        assert guest.lib.apply(cb, 3, 4) == 4
        assert guest.lib.apply(other, 3, 4) == 3


def test_numbers_of_all_kinds(guest):
    seen = []

    def record(*arguments):
        seen.append(arguments)
        return arguments[0]

    with guest.callback("long long (long long, unsigned long long)", record) as cb:
        assert guest.lib.wide(cb, -(2**63), 2**64 - 1) == -(2**63)
    with guest.callback("unsigned long long (void)", lambda: 2**64 - 1) as cb:
        assert guest.lib.wider(cb) == 2**64 - 1
    with guest.callback("double (float, double)", record) as cb:
        assert guest.lib.real(cb, 0.5, 1e300) == 0.5
    with guest.callback("float (void)", lambda: 3) as cb:
        assert guest.lib.single(cb) == 3.0
    kind = "signed char (signed char, unsigned char, short, unsigned short, _Bool, char)"
    with guest.callback(kind, record) as cb:
        assert guest.lib.small(cb) == -1
    assert seen == [(-(2**63), 2**64 - 1), (0.5, 1e300), (-1, 255, -2, 65535, True, b"x")]


def test_pointers_arrive_and_are_checked(guest):
    found = []
    with guest.callback("void (void *)", lambda p: found.append(guest.cast("int *", p)[0])) as cb:
        with guest.new("int *", 42) as number:
            guest.lib.visit(cb, number)
        assert found == [42]
        with pytest.raises(PointerError, match="NULL"):
            guest.lib.visit(cb, None)


def test_sorting_by_a_python_function(guest):
    values = [5, -3, 17, 0, 2**31 - 1, -(2**31), 4]
    array = guest.new("int[]", values)

    def compare(a, b):
        x, y = (guest.cast("const int *", p)[0] for p in (a, b))
        return (x > y) - (x < y)

    with guest.callback("int (const void *, const void *)", compare) as cb:
        guest.lib.sort(array, len(values), cb)
    assert list(array) == sorted(values)


def test_an_exception_with_an_error_value(guest):
    def fail(a, b):
        raise KeyError(a)

    with guest.callback("binary", fail, error=-7) as cb:
        guest.lib.keep(cb)
        with pytest.raises(KeyError):
            guest.lib.call_kept(1, 2)
        assert guest.dead is None
        assert guest.lib.plus(1, 2) == 3
        seen = []
        # The C code sees the value, and goes on with it.
        with guest.callback("binary", lambda a, b: seen.append((a, b)) or fail(a, b), error=-7) as second:
            with pytest.raises(KeyError) as caught:
                guest.lib.twice(second, 1)
            assert seen == [(1, 1), (-7, 2)]
            assert len(caught.value.__notes__) == 1


def test_an_exception_without_an_error_value_unwinds(guest):
    def fail(a, b):
        raise KeyError(a)

    cb = guest.callback("binary", fail)
    with pytest.raises(KeyError):
        guest.lib.apply(cb, 1, 2)
    with pytest.raises(InstancePoisoned, match="KeyError"):
        guest.lib.plus(1, 2)


@pytest.mark.parametrize(
    ("kind", "function", "call"),
    [
        ("long long (long long, unsigned long long)", "wide", lambda lib, cb: lib.wide(cb, 1, 2)),
        ("double (float, double)", "real", lambda lib, cb: lib.real(cb, 1.0, 2.0)),
    ],
)
def test_error_values_that_are_not_ints(guest, kind, function, call):
    def fail(*_):
        raise KeyError

    with guest.callback(kind, fail, error=-2) as cb:
        with pytest.raises(KeyError):
            call(guest.lib, cb)
        assert guest.dead is None


def test_error_values_are_checked(guest):
    with pytest.raises(ArgumentRangeError):
        guest.callback("binary", max, error=2**31)
    with pytest.raises(ArgumentTypeError):
        guest.callback("binary", max, error="x")
    with pytest.raises(DeclarationError, match="returns no number"):
        guest.callback("void (void *)", print, error=0)


@pytest.mark.parametrize("result", [None, "1", 2**31, 1.0])
def test_results_are_checked(guest, result):
    with guest.callback("binary", lambda a, b: result, error=-1) as cb:
        with pytest.raises((ArgumentTypeError, ArgumentRangeError), match="a callback's result: "):
            guest.lib.apply(cb, 1, 2)
        assert guest.dead is None


def test_pointer_results(guest):
    text = guest.new("char[]", b"text")
    with guest.callback("const char *(void)", lambda: text, error=None) as cb:
        assert guest.lib.name(cb).string() == b"text"
    with guest.callback("const char *(void)", lambda: None) as cb:
        assert not guest.lib.name(cb)


def test_nested_calls(guest):
    def depth(a, b):
        return guest.lib.apply(cb, a - 1, b + 1) if a else b

    with guest.callback("binary", depth) as cb:
        for _ in range(3):
            assert guest.lib.apply(cb, 30, 0) == 30


def test_an_exception_inside_a_nested_call_is_raised_there(guest):
    def inner(a, b):
        raise KeyError

    def outer(a, b):
        with pytest.raises(KeyError):
            guest.lib.apply(failing, a, b)
        return 5

    with guest.callback("binary", inner, error=0) as failing, guest.callback("binary", outer) as cb:
        assert guest.lib.apply(cb, 1, 2) == 5


def test_an_earlier_exception_waits_for_its_own_call(guest):
    # `twice` calls twice: what the first call raised is not raised by what the second calls.
    def run(a, b):
        if b == 1:
            raise KeyError("first")
        return guest.lib.plus(a, b)

    with guest.callback("binary", run, error=10) as cb, pytest.raises(KeyError, match="first"):
        guest.lib.twice(cb, 1)
    assert guest.lib.plus(1, 1) == 2


def test_function_pointers_of_c_are_called_from_python(guest):
    minus = guest.lib.choose(1)
    assert minus(7, 3) == 4
    assert guest.lib.apply(minus, 7, 3) == 4
    with pytest.raises(PointerError, match="NULL pointer cannot be called"):
        guest.lib.choose(0)(1, 2)
    with pytest.raises(ArgumentRangeError):
        minus(2**31, 0)
    with pytest.raises(PointerError, match="no function at 0x7000"):
        guest.cast("binary", 0x7000)(1, 2)
    with pytest.raises(BridgeError, match="wasm"):
        guest.cast("void (*)(void)", minus)()
    with pytest.raises(DeclarationError, match="not a pointer to a function"):
        guest.new("int *")()


def test_callbacks_are_called_from_python_through_c(guest):
    with guest.callback("binary", lambda a, b: a + b) as cb:
        assert cb(1, 2) == 3


def test_functions_of_the_library_as_function_pointers(guest):
    assert guest.lib.apply(guest.lib.plus, 3, 4) == 7
    assert guest.lib.apply(guest.lib.plus, 3, 5) == 8
    with pytest.raises(ArgumentTypeError, match=r"apply\(\) argument 'f'"):
        guest.lib.apply(guest.lib.choose, 3, 4)
    with pytest.raises(ArgumentTypeError, match="through callback"):
        guest.lib.apply(max, 3, 4)


def test_function_pointers_in_structs(guest):
    with guest.callback("binary", lambda a, b: a * b) as cb, guest.new("struct operations *") as operations:
        operations.first = cb
        assert guest.lib.use(operations) == 6
        operations.second = guest.callback("int (void)", lambda: 100)
        assert guest.lib.use(operations) == 106
        assert operations.first(5, 6) == 30
        operations.second = None
        assert not operations.second


def test_a_closed_callback_is_an_exception(guest):
    cb = guest.callback("binary", max, error=-1)
    guest.lib.keep(cb)
    cb.close()
    cb.close()
    with pytest.raises(PointerError, match="the callback was closed"):
        guest.lib.apply(cb, 1, 2)
    with pytest.raises(CallbackClosed, match=r"C code called the int \(int, int\) at 0x.* was closed"):
        guest.lib.call_kept(1, 2)
    assert isinstance(guest.dead, InstancePoisoned)


def test_another_callback_does_not_get_the_calls_of_a_closed_one(guest):
    cb = guest.callback("binary", max)
    guest.lib.keep(cb)
    cb.close()
    others = [guest.callback("binary", min) for _ in range(table.QUARANTINE)]
    with pytest.raises(CallbackClosed):
        guest.lib.call_kept(1, 2)
    assert len({int(other) for other in [*others, cb]}) == len(others) + 1


def test_slots_are_used_again(guest):
    indices = set()
    for n in range(1000):
        with guest.callback("binary", lambda a, b, n=n: a + b + n) as cb:
            assert guest.lib.apply(cb, 1, 2) == 3 + n
            indices.add(int(cb))
    assert len(indices) <= table.QUARANTINE + table.BLOCK
    assert guest.stats().callbacks == 0


def test_a_call_with_another_type_traps(guest):
    cb = guest.callback("void (void)", lambda: None)
    with pytest.raises(ArgumentTypeError):
        guest.lib.apply(cb, 1, 2)
    with pytest.raises(Trap, match="indirect call type mismatch"):
        guest.lib.apply(guest.cast("binary", cb), 1, 2)


def test_callbacks_live_until_they_are_closed(guest):
    class Function:
        def __call__(self, a, b):
            return 9

    function = Function()
    reference = weakref.ref(function)
    cb = guest.callback("binary", function)
    guest.lib.keep(cb)
    del function
    index = int(cb)
    del cb
    gc.collect()
    assert guest.lib.call_kept(1, 2) == 9
    assert reference() is not None
    assert index


def test_closing_lets_the_function_go(guest):
    class Function:
        def __call__(self, a, b):
            return 9

    function = Function()
    reference = weakref.ref(function)
    with guest.callback("binary", function) as cb:
        assert guest.lib.apply(cb, 1, 2) == 9
    del function, cb
    gc.collect()
    assert reference() is None


def test_an_instance_whose_callback_refers_to_it_is_collected(library):
    references = []
    for _ in range(5):
        guest = library.open()
        guest.lib.keep(guest.callback("binary", lambda a, b, guest=guest: guest.lib.plus(a, b)))
        assert guest.lib.call_kept(1, 2) == 3
        references.append(weakref.ref(guest))
        del guest
    gc.collect()
    assert [reference() for reference in references] == [None] * 5


def test_variadic_callbacks_are_refused(guest):
    with pytest.raises(DeclarationError, match="variadic"):
        guest.callback("int (const char *, ...)", print)
    with pytest.raises(DeclarationError, match="takes the type of a function"):
        guest.callback("int", print)
    with pytest.raises(ArgumentTypeError, match="takes a callable"):
        guest.callback("binary", 5)


def test_handles(guest):
    found = []
    with guest.callback("void (void *)", lambda p: found.append(guest.from_handle(p))) as cb:
        thing = object()
        with guest.handle(thing) as handle:
            assert guest.from_handle(handle) is thing
            guest.lib.visit(cb, handle)
            assert found == [thing]
            assert guest.stats().handles == 1
            with pytest.raises(PointerError):
                handle.bytes(1)
            number = int(handle)
        with pytest.raises(PointerError, match="handle was closed"):
            guest.lib.visit(cb, handle)
        with pytest.raises(PointerError, match="is no handle, or one that was closed"):
            guest.from_handle(guest.cast("void *", number))
    assert guest.stats().handles == 0
    handles = {int(guest.handle(n)) for n in range(100)}
    assert len(handles) == 100
    assert number not in handles


def test_callbacks_of_different_types_call_each_other(guest):
    # They hand their arguments and results over in the same memory.
    def real(a, b):
        return guest.lib.apply(ints, int(a), int(b)) + 0.25

    def wide(a, b):
        return int(guest.lib.real(reals, a % 100, float(b % 100)) * 4) + 2**40

    def inner(a, b):
        return a * 100 + b

    with (
        guest.callback("binary", inner) as ints,
        guest.callback("double (float, double)", real) as reals,
        guest.callback("long long (long long, unsigned long long)", wide) as wides,
    ):
        for n in range(50):
            expected = (((2**50 + n) % 100) * 100 + n) * 4 + 1 + 2**40
            assert guest.lib.wide(wides, 2**50 + n, n) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the size of the process is found as Linux tells it")
def test_callbacks_of_many_types_share_address_space(library):
    def size():
        return (
            next(
                int(line.split()[1])
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmSize")
            )
            << 10
        )

    with library.open() as guest:
        guest.callback("void (void)", print)
        before = size()
        for count in range(1, 20):
            guest.callback(f"int ({', '.join(['int'] * count)})", max)
        assert size() - before < 1 << 32
