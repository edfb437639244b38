"""Typed calls: numbers, strings and pointers in and out, ranges checked, errors that name function and argument."""

from __future__ import annotations

import math
import shutil

import pytest

from wasqlite.bridge import BridgeError, Library
from wasqlite.bridge.errors import (
    ArgumentRangeError,
    ArgumentTypeError,
    DeclarationError,
    InstanceClosed,
    LinkError,
    LoadError,
    PointerError,
    Trap,
)

SOURCE = r"""
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>

int add(int a, int b) { return (int)((unsigned)a + (unsigned)b); }
signed char s8(signed char v) { return v; }
unsigned char u8(unsigned char v) { return v; }
short s16(short v) { return v; }
unsigned short u16(unsigned short v) { return v; }
int s32(int v) { return v; }
unsigned u32(unsigned v) { return v; }
long long s64(long long v) { return v; }
unsigned long long u64(unsigned long long v) { return v; }
float f32(float v) { return v; }
double f64(double v) { return v; }
bool flip(bool v) { return !v; }
char next(char c) { return c + 1; }
enum color { RED, GREEN = 5, BLUE = -1 };
enum color paint(enum color c) { return c; }
double mixed(signed char a, long long b, float c, double d, unsigned char e, unsigned long long f)
{ return a + (double)b + c + d + e + (double)f; }
unsigned length(const char *text) { return strlen(text); }
char *copy(const char *text) { return strdup(text); }
const char *none(void) { return 0; }
const char *greeting(void) { return "hello"; }
void *same(void *p) { return p; }
int sum(const int *values, int count) { int s = 0; while (count-- > 0) s += *values++; return s; }
void fill(char *to, int value, unsigned long size) { memset(to, value, size); }
void upper(char *text, int size) { for (int i = 0; i < size; i++) if (text[i] >= 'a') text[i] -= 32; }
int from(int from, int class, int _state) { return from * 100 + class * 10 + _state; }
void stop(void) { __builtin_trap(); }
#define LIMIT 7
#define PI 3.5
#define NAME "text"
extern int counter;
extern double ratios[3];
extern const char *title;
int counter = 3;
double ratios[3] = {0.5, 1.5, 2.5};
const char *title = "tests";
int get_counter(void) { return counter; }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="calls", constants=("LIMIT", "PI", "NAME"))


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


def test_two_integers(guest):
    assert guest.lib.add(2, 3) == 5
    assert guest.lib.add(a=-2, b=-3) == -5
    assert guest.lib.add is guest.lib.add
    assert guest.lib.add.__doc__ == "int add(int, int)"


LIMITS = {
    "s8": (-(2**7), 2**7 - 1),
    "u8": (0, 2**8 - 1),
    "s16": (-(2**15), 2**15 - 1),
    "u16": (0, 2**16 - 1),
    "s32": (-(2**31), 2**31 - 1),
    "u32": (0, 2**32 - 1),
    "s64": (-(2**63), 2**63 - 1),
    "u64": (0, 2**64 - 1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_integers_have_the_range_of_their_type(guest, name):
    call = getattr(guest.lib, name)
    low, high = LIMITS[name]
    for value in (low, high, 0, 1, high // 2):
        assert call(value) == value
    for value in (low - 1, high + 1, 2**70, -(2**70)):
        message = rf"{name}\(\) argument 'v': {value} is outside .* {low} to {high}"
        with pytest.raises(ArgumentRangeError, match=message):
            call(value)
    assert call(high) == high


@pytest.mark.parametrize("value", ["1", 1.0, None, b"1", [1]])
def test_what_is_no_integer_is_refused(guest, value):
    for name in LIMITS:
        message = rf"{name}\(\) argument 'v': .* takes an int, not {type(value).__name__}"
        with pytest.raises(ArgumentTypeError, match=message):
            getattr(guest.lib, name)(value)
    with pytest.raises(TypeError):
        guest.lib.add(1, value)
    assert guest.lib.add(1, 2) == 3


def test_objects_with_an_index_are_integers(guest):
    class Seven:
        def __index__(self):
            return 7

    assert guest.lib.add(Seven(), True) == 8
    assert guest.lib.u8(Seven()) == 7


def test_what_an_index_raises_goes_through(guest):
    class Broken:
        def __index__(self):
            raise KeyError("broken")

    with pytest.raises(KeyError):
        guest.lib.add(1, Broken())
    assert guest.lib.add(1, 1) == 2


def test_an_index_that_calls_in_is_refused_or_harmless(guest):
    class Sneaky:
        def __index__(self):
            return guest.lib.add(40, 2)

    with pytest.raises(BridgeError):
        guest.lib.add(1, Sneaky())
    assert guest.lib.add(1, 2) == 3


def test_wrong_number_of_arguments(guest):
    with pytest.raises(TypeError):
        guest.lib.add(1)
    with pytest.raises(TypeError):
        guest.lib.add(1, 2, 3)


def test_floats(guest):
    assert guest.lib.f64(1e300) == 1e300
    assert guest.lib.f64(3) == 3.0
    assert math.isnan(guest.lib.f64(math.nan))
    assert guest.lib.f32(0.5) == 0.5
    assert guest.lib.f32(math.inf) == math.inf
    with pytest.raises(ArgumentRangeError, match=r"f32\(\) argument 'v': 1e\+300 is too large for float"):
        guest.lib.f32(1e300)
    with pytest.raises(ArgumentTypeError, match="takes a float, not str"):
        guest.lib.f64("1")


def test_bool(guest):
    assert guest.lib.flip(True) is False
    assert guest.lib.flip(0) is True
    with pytest.raises(ArgumentRangeError, match="neither 0 nor 1"):
        guest.lib.flip(2)
    with pytest.raises(ArgumentTypeError, match="takes a bool, not str"):
        guest.lib.flip("yes")


def test_plain_char_is_a_byte(guest):
    assert guest.lib.next(b"a") == b"b"
    assert guest.lib.next(b"\xfe") == b"\xff"
    assert guest.lib.next(b"\x7f") == b"\x80"
    with pytest.raises(ArgumentTypeError, match="bytes object of length 1, not int"):
        guest.lib.next(1)
    with pytest.raises(ArgumentTypeError, match="not of length 2"):
        guest.lib.next(b"ab")


def test_enumerations_are_integers(guest):
    assert guest.lib.paint(guest.lib.BLUE) == -1
    assert guest.lib.paint(guest.library.enums.color.GREEN) == 5
    assert guest.library.constants.RED == 0


def test_all_kinds_of_numbers_at_once(guest):
    assert guest.lib.mixed(-1, 2**40, 0.5, 0.25, 255, 2**41) == -1 + 2**40 + 0.75 + 255 + 2**41


def test_text_and_bytes_for_const_char(guest):
    assert guest.lib.length("hello") == 5
    assert guest.lib.length("hüllo") == 6
    assert guest.lib.length(b"a\0b") == 1
    assert guest.lib.length("x" * 100_000) == 100_000
    assert guest.lib.length(bytearray(b"abc\0")) == 3
    with pytest.raises(ArgumentTypeError, match=r"length\(\) argument 'text': embedded null"):
        guest.lib.length("a\0b")
    with pytest.raises(ArgumentTypeError, match=r"length\(\) argument 'text': const char \* takes .*, not int"):
        guest.lib.length(5)


def test_temporaries_are_given_back(guest):
    for size in (10, 5000, 100_000):
        guest.lib.length("x" * size)
    scratch = guest.typed.scratch
    top, memory = scratch.top, guest.memory.size
    for size in (10, 5000, 100_000) * 50:
        guest.lib.length("x" * size)
        with pytest.raises(ArgumentTypeError):
            guest.lib.sum("x", 1)
    assert (scratch.top, scratch.large, guest.memory.size) == (top, [], memory)


def test_pointers_come_back(guest):
    copied = guest.lib.copy("text")
    assert copied.string() == b"text"
    assert guest.string(copied) == b"text"
    assert copied.bytes(5) == b"text\0"
    assert bool(copied)
    assert guest.lib.length(copied) == 4
    assert guest.lib.greeting().string() == b"hello"
    with pytest.raises(PointerError, match="give a size"):
        copied.bytes()


def test_null(guest):
    null = guest.lib.none()
    assert not null
    assert int(null) == 0
    assert null == None  # noqa: E711
    assert guest.lib.same(None) == null
    assert guest.lib.same(null) == null
    for use in (lambda: null.string(), lambda: null[0], lambda: null.bytes(1), lambda: null + 1, lambda: null()):
        with pytest.raises((PointerError, DeclarationError)):
            use()


def test_bytes_for_what_c_may_write_are_refused_with_advice(guest):
    for value in (b"abc", "abc"):
        with pytest.raises(ArgumentTypeError, match=r"upper\(\) argument 'text': .*new\("):
            guest.lib.upper(value, 3)
    with pytest.raises(ArgumentTypeError, match=r"inout\("):
        guest.lib.upper(bytearray(b"abc"), 3)


def test_buffers_in_and_out(guest):
    data = bytearray(b"hello world")
    guest.lib.upper(guest.inout(data), 5)
    assert data == b"HELLO world"
    guest.lib.fill(guest.out(memoryview(data)[2:4]), 0x41, 2)
    assert data == b"HEAAO world"
    large = bytearray(50_000)
    guest.lib.fill(guest.out(large), 7, len(large))
    assert large == bytes([7]) * 50_000
    with pytest.raises(ArgumentTypeError, match="read-only"):
        guest.inout(b"fixed")
    with pytest.raises(ArgumentTypeError, match="not int"):
        guest.out(5)


def test_sequences_for_const_pointers(guest):
    assert guest.lib.sum([1, 2, 3], 3) == 6
    with pytest.raises(ArgumentRangeError, match=r"sum\(\) argument 'values': item 1: 2147483648 is outside"):
        guest.lib.sum([1, 2**31], 2)


def test_pointers_of_another_type_are_refused(guest):
    numbers = guest.new("int[3]", [1, 2, 3])
    assert guest.lib.sum(numbers, 3) == 6
    assert guest.lib.same(numbers) == numbers
    with pytest.raises(ArgumentTypeError, match=r"length\(\) argument 'text': const char \* does not take a int \*"):
        guest.lib.length(numbers)
    assert guest.lib.length(guest.cast("char *", numbers)) == 1


def test_pointers_of_another_instance_are_refused(guest, library):
    with library.open() as other:
        theirs = other.new("int[3]", [1, 2, 3])
        with pytest.raises(PointerError, match=r"sum\(\) argument 'values': .* another instance"):
            guest.lib.sum(theirs, 3)
        assert other.lib.sum(theirs, 3) == 6


def test_names_that_python_cannot_have(guest):
    call = getattr(guest.lib, "from")
    assert call(1, 2, 3) == 123
    assert call(from_=1, class_=2, state_=3) == 123


def test_variables(guest, library):
    assert guest.lib.counter == 3
    guest.lib.counter = 12
    assert guest.lib.get_counter() == 12
    with library.open() as other:
        assert other.lib.counter == 3
    assert list(guest.lib.ratios) == [0.5, 1.5, 2.5]
    guest.lib.ratios[1] = 9
    assert guest.lib.ratios[1] == 9.0
    guest.lib.ratios = [1, 2, 3]
    assert list(guest.lib.ratios) == [1.0, 2.0, 3.0]
    with pytest.raises(PointerError, match="outside"):
        guest.lib.ratios[3]
    assert guest.lib.title.string() == b"tests"
    with pytest.raises(ArgumentRangeError):
        guest.lib.counter = 2**31


def test_constants(guest, library):
    assert (library.constants.LIMIT, library.constants.PI, library.constants.NAME) == (7, 3.5, "text")
    assert guest.lib.LIMIT == 7
    assert sorted(library.constants) == ["BLUE", "GREEN", "LIMIT", "NAME", "PI", "RED"]


def test_names_that_are_not_declared(guest, library):
    with pytest.raises(DeclarationError, match=r"calls\.wasm declares no missing"):
        guest.lib.missing  # noqa: B018
    assert not hasattr(guest.lib, "missing")
    with pytest.raises(DeclarationError, match="declares no variable missing"):
        guest.lib.missing = 1
    with pytest.raises(DeclarationError, match="no constant missing"):
        library.constants.missing  # noqa: B018
    assert "add" in dir(guest.lib)


def test_a_declaration_that_the_module_does_not_fit(built):
    wasm = built(SOURCE, name="calls", constants=("LIMIT", "PI", "NAME"))
    types = {"format": 1, "functions": {"add": {"type": "int (int)"}, "gone": {"type": "void (void)"}}}
    with Library(wasm.read_bytes(), name="calls", types=types).open() as guest:
        with pytest.raises(LinkError, match=r"add is declared as int add\(int\), which is \(i, i\) in wasm"):
            guest.lib.add  # noqa: B018
        with pytest.raises(LinkError, match="declares the function gone, but does not export it"):
            guest.lib.gone  # noqa: B018


def test_a_trap_poisons(guest):
    with pytest.raises(Trap, match=r"^stop\(\) stopped: calls\.wasm: .*unreachable"):
        guest.lib.stop()
    with pytest.raises(BridgeError, match="can no longer be trusted"):
        guest.lib.add(1, 2)


def test_after_close(library):
    with library.open() as guest:
        add = guest.lib.add
        pointer = guest.lib.greeting()
    with pytest.raises(InstanceClosed):
        add(1, 2)
    with pytest.raises(InstanceClosed):
        pointer.string()
    with pytest.raises(InstanceClosed):
        guest.lib.counter  # noqa: B018


def test_a_library_without_a_table():
    with Library.from_wat("(module)").open() as guest, pytest.raises(LoadError, match="without a layout table"):
        guest.lib  # noqa: B018


def test_the_table_beside_a_file(built, tmp_path):
    wasm = built(SOURCE, name="calls", constants=("LIMIT", "PI", "NAME"))
    shutil.copy(wasm, tmp_path)
    library = Library.load(tmp_path / "calls.wasm")
    with pytest.raises(LoadError, match=r"there is no .*calls\.types\.json"):
        library.constants  # noqa: B018
    table = tmp_path / "calls.types.json"
    table.write_text("{")
    with pytest.raises(LoadError, match="cannot be read"):
        library.constants  # noqa: B018
    table.write_text('{"format": 2}')
    with pytest.raises(LoadError, match="format 2"):
        library.constants  # noqa: B018
    shutil.copy(wasm.with_suffix(".types.json"), tmp_path)
    with library.open() as guest:
        assert guest.lib.add(1, 2) == 3
