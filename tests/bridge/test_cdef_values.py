"""Structs and unions by value, as wasm32's C ABI passes them, and variadic functions."""

from __future__ import annotations

import ctypes
import sys

import pytest

from wasqlite.bridge import ArgumentRangeError, ArgumentTypeError, DeclarationError, MemoryAccessError, PointerError

SOURCE = r"""
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef struct { int x, y; } pair;
typedef struct { double only; } single;
typedef struct { struct { float inner[1]; } outer; } wrapped;
typedef struct { char *text; } holder;
typedef struct { signed char c; } tiny;
typedef struct { } empty;
typedef struct { empty e; long long n; } padded;
typedef struct { _Alignas(8) int n; } aligned;
typedef struct { int a : 3; int b : 5; } bits;
typedef struct { int a : 7; } bit;
typedef union { int i; float f; } either;
typedef union { int i; } one;
typedef struct { unsigned char data[20]; double d; } large;

pair swap(pair p) { return (pair){p.y, p.x}; }
int sum_pairs(pair p, int n, pair q) { return p.x + p.y + n * (q.x + q.y); }
single half(single s) { return (single){s.only / 2}; }
wrapped twice(wrapped w) { w.outer.inner[0] *= 2; return w; }
holder skip(holder h) { return (holder){h.text + 1}; }
tiny minus(tiny t) { t.c = -t.c; return t; }
int around(int a, empty e, int b) { (void)e; return a * 10 + b; }
empty nothing(int n) { (void)n; return (empty){}; }
padded more(padded p) { p.n++; return p; }
aligned grown(aligned a) { a.n++; return a; }
bits flip(bits b) { return (bits){-b.a, -b.b}; }
bit flip_one(bit b) { return (bit){-b.a}; }
either as_float(either e) { return (either){.f = (float)e.i}; }
one inc(one o) { o.i++; return o; }
large fill(large l, int value) { memset(l.data, value, sizeof l.data); l.d *= 2; return l; }
int changed(pair p) { p.x = 99; return p.x; }

int apply_pair(pair (*f)(pair, int), int x, int y) { pair p = f((pair){x, y}, 3); return p.x * 100 + p.y; }
double apply_single(single (*f)(single), double d) { return f((single){d}).only; }
int apply_tiny(tiny (*f)(tiny), int c) { return f((tiny){(signed char)c}).c; }
char *apply_holder(holder (*f)(holder), char *text) { return f((holder){text}).text; }
int apply_empty(empty (*f)(int, empty, int)) { f(1, (empty){}, 2); return 7; }
pair (*get_swap(void))(pair) { return swap; }

int format(char *to, unsigned long size, const char *format, ...)
{ va_list list; va_start(list, format); int n = vsnprintf(to, size, format, list); va_end(list); return n; }
long long add_all(int count, ...)
{ va_list list; va_start(list, count); long long sum = 0;
  while (count-- > 0) sum += va_arg(list, long long);
  va_end(list); return sum; }
int add_pairs(int count, ...)
{ va_list list; va_start(list, count); int sum = 0;
  while (count-- > 0) { pair p = va_arg(list, pair); sum += p.x * p.y; }
  va_end(list); return sum; }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="values")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


def test_structs_by_value(guest):
    swapped = guest.lib.swap({"x": 1, "y": 2})
    assert (swapped.x, swapped.y) == (2, 1)
    again = guest.lib.swap(swapped)
    assert (again.x, again.y) == (1, 2)
    assert (swapped.x, swapped.y) == (2, 1)
    assert guest.lib.sum_pairs([1, 2], 10, (3, 4)) == 73
    large = guest.lib.fill({"d": 1.5}, 7)
    assert list(large.data) == [7] * 20
    assert large.d == 3.0


def test_the_callee_gets_a_copy(guest):
    pair = guest.new("pair *", [1, 2])
    assert guest.lib.changed(pair) == 99
    assert pair.x == 1


def test_structs_of_one_number_travel_as_it(guest):
    assert guest.lib.half([3.0]).only == 1.5
    assert guest.lib.twice({"outer": {"inner": [2.5]}}).outer.inner[0] == 5.0
    assert guest.lib.minus([-128]).c == -128
    assert guest.lib.minus([5]).c == -5
    assert guest.lib.more({"n": 2**40}).n == 2**40 + 1
    assert guest.lib.inc({"i": 6}).i == 7
    text = guest.new("char[]", b"text")
    assert guest.lib.skip([text]).text.string() == b"ext"


def test_structs_with_padding_unions_and_bit_fields(guest):
    assert guest.lib.grown({"n": 6}).n == 7
    assert guest.lib.as_float({"i": 3}).f == 3.0
    flipped = guest.lib.flip({"a": 3, "b": -15})
    assert (flipped.a, flipped.b) == (-3, 15)
    assert guest.lib.flip_one({"a": 63}).a == -63


def test_empty_structs(guest):
    assert guest.lib.around(1, {}, 2) == 12
    assert guest.lib.nothing(1).bytes() == b""


def test_results_are_owned(guest):
    pair = guest.lib.swap([1, 2])
    assert guest.stats().allocations == 1
    pair.free()
    assert guest.stats().allocations == 0
    for n in range(1000):
        guest.lib.swap([n, n])
    assert guest.stats().allocations == 0


def test_values_that_do_not_fit(guest):
    with pytest.raises(
        ArgumentTypeError, match=r"swap\(\) argument 'p': pair takes a dict, a sequence, or a Pointer to pair"
    ):
        guest.lib.swap(5)
    with pytest.raises(ArgumentTypeError, match=r"swap\(\) argument 'p'"):
        guest.lib.swap(guest.new("single *"))
    with pytest.raises(ArgumentRangeError, match=r"swap\(\) argument 'p': .*x: "):
        guest.lib.swap([2**31, 0])
    with pytest.raises(PointerError, match="NULL"):
        guest.lib.swap(guest.cast("pair *", 0))
    pair = guest.new("pair *")
    pair.free()
    with pytest.raises(PointerError, match="freed"):
        guest.lib.swap(pair)


def test_structs_of_another_instance_are_copied(guest, library):
    with library.open() as other:
        assert guest.lib.swap(other.new("pair *", [1, 2])).x == 2


def test_callbacks_with_structs(guest):
    kept = []

    def pairs(p, n):
        kept.append(p)
        return {"x": p.y * n, "y": p.x}

    with guest.callback("pair (pair, int)", pairs) as cb:
        assert guest.lib.apply_pair(cb, 4, 5) == 1504
    assert (kept[0].x, kept[0].y) == (4, 5)
    with guest.callback("single (single)", lambda s: [s.only * 3]) as cb:
        assert guest.lib.apply_single(cb, 0.5) == 1.5
        assert cb([1.0]).only == 3.0
    with guest.callback("tiny (tiny)", lambda t: [t.c + 1]) as cb:
        assert guest.lib.apply_tiny(cb, -128) == -127
    text = guest.new("char[]", b"abc")
    with guest.callback("holder (holder)", lambda h: [h.text + 1]) as cb:
        assert guest.lib.apply_holder(cb, text).string() == b"bc"
    with guest.callback("empty (int, empty, int)", lambda a, e, b: kept.append((a, b))) as cb:
        assert guest.lib.apply_empty(cb) == 7
    assert kept[-1] == (1, 2)


@pytest.mark.parametrize("address", [0, 2**32 - 4, 2**31])
def test_a_guest_that_lies_about_where_a_struct_is(library, address):
    with library.open() as guest:
        made = guest.callback("pair (int)", lambda n: [n, n])
        with pytest.raises(MemoryAccessError):
            guest.cast("void (*)(unsigned int, int)", made)(address, 1)
    with library.open() as guest:
        taken = guest.callback("int (pair)", lambda p: p.x)
        call = guest.cast("int (*)(unsigned int)", taken)
        if address:
            with pytest.raises(MemoryAccessError):
                call(address)
        else:
            call(address)


def test_an_exception_in_a_callback_that_returns_a_struct(guest):
    with pytest.raises(DeclarationError, match="no number or pointer"):
        guest.callback("pair (pair, int)", print, error=0)


def test_function_pointers_with_structs(guest):
    assert guest.lib.get_swap()([1, 2]).x == 2


FORMATS = [
    (b"%d %s", (5, "text")),
    (b"%d %f %d %g", (1, 2.5, -3, 1e100)),
    (b"%s|%5s|%-5s|", (b"a", "b", b"c")),
    (b"%c%x%u", (65, 255, 7)),
    (b"%%", ()),
]


def formatted(guest, template, *values):
    with guest.new("char[200]") as buffer:
        length = guest.lib.format(buffer, 200, template, *values)
        return buffer.bytes(length)


@pytest.mark.parametrize(("template", "values"), FORMATS)
@pytest.mark.skipif(sys.platform == "win32", reason="C's snprintf is found in the process")
def test_variadic_calls_are_those_of_native_c(guest, template, values):
    native = ctypes.CDLL(None).snprintf
    native.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    buffer = ctypes.create_string_buffer(200)
    theirs = [ctypes.c_double(v) if isinstance(v, float) else v.encode() if isinstance(v, str) else v for v in values]
    native(buffer, 200, template, *theirs)
    assert formatted(guest, template, *values) == buffer.value


def test_variadic_arguments_with_explicit_types(guest):
    cast = guest.cast
    assert formatted(guest, "%d %lld %d", 1, cast("long long", -(2**40)), 2) == b"1 -1099511627776 2"
    assert formatted(guest, "%llu %g", cast("uint64_t", 2**64 - 1), cast("float", 0.5)) == b"18446744073709551615 0.5"
    assert formatted(guest, "%u", cast("unsigned int", 4_000_000_000)) == b"4000000000"
    assert formatted(guest, "%hhd %d", cast("signed char", -1), cast("short", -2)) == b"-1 -2"
    assert formatted(guest, "%p %s", None, guest.new("char[]", b"owned")) in (b"0 owned", b"(nil) owned", b"0x0 owned")
    assert guest.lib.add_all(3, *(cast("long long", n) for n in (1, 2**40, -5))) == 2**40 - 4
    assert guest.lib.add_pairs(2, guest.new("pair *", [2, 3]), guest.new("pair *", [4, 5])) == 26
    assert guest.lib.add_all(0) == 0


def test_variadic_arguments_that_do_not_fit(guest):
    with pytest.raises(ArgumentRangeError, match=r'argument \.\.\.2: .*cast\("long long", 2147483648\)'):
        formatted(guest, "%d %d", 1, 2**31)
    with pytest.raises(ArgumentTypeError, match=r"argument \.\.\.1: .*not list"):
        formatted(guest, "%d", [1])
    array = guest.new("int[1]")
    array.free()
    with pytest.raises(PointerError, match="freed"):
        formatted(guest, "%p", array)
    with pytest.raises(DeclarationError, match="variadic"):
        guest.callback("int (int, ...)", print)
