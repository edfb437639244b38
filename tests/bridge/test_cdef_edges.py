"""The rarer uses of typed objects: what they give, and what they refuse with which words."""

from __future__ import annotations

import copy
import pickle
from array import array

import pytest

from wasqlite.bridge import (
    ArgumentRangeError,
    ArgumentTypeError,
    BridgeError,
    DeclarationError,
    Library,
    LinkError,
    LoadError,
    PointerError,
)

SOURCE = r"""
#include <stdbool.h>
#include <stdlib.h>
struct flags { bool on; bool many[3]; int numbers[3]; const char *names[2]; };
struct mixed { int i; long double wide; };
union both { struct flags flags; int first; };
void *sum_of(void *to, const void *from) { *(int *)to += *(const int *)from; return to; }
const char **pass_texts(const char **texts) { return texts; }
void **pass_any(void **any) { return any; }
int (*pass_row(int (*row)[3]))[3] { return row; }
int call_it(int (*f)(char *, const char *), char *a) { return f(a, a); }
int visit(void *(*f)(void)) { return f() != 0; }
struct mixed mix(struct mixed m) { return m; }
struct bits { char c : 4; unsigned char u : 3; bool b : 1; unsigned __int128 wide : 70; };
typedef void (*visitor)(int number);
typedef void (*walker)(visitor visit);
int walk(void (*through)(void (*visit)(int))) { return through != 0; }
int under(int _, int __, int _1, int a$b, int len, int class, int _class)
{ return _ + 2 * __ + 3 * _1 + 4 * a$b + 5 * len + 6 * class + 7 * _class; }
struct pair { int a, b; };
struct one { int value; };
int from_pair(struct pair (*f)(void)) { return f().b; }
int from_one(struct one (*f)(void)) { return f().value; }
unsigned first(const unsigned char *data) { return data[0]; }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="edges")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


def test_bools_in_memory(guest):
    flags = guest.new("struct flags *", {"on": True, "many": [True, 0, 1]})
    assert (flags.on, list(flags.many), flags.many[0:2]) == (True, [True, False, True], [True, False])
    guest.cast("unsigned char *", flags)[0] = 200
    assert flags.on is True
    flags.on = False
    assert flags.on is False
    for value, error in ((2, ArgumentRangeError), ("x", ArgumentTypeError), (None, ArgumentTypeError)):
        with pytest.raises(error, match=r"struct flags\.on: "):
            flags.on = value


def test_arrays_from_other_arrays(guest):
    numbers = guest.new("int[3]", [1, 2, 3])
    flags = guest.new("struct flags *", {"numbers": numbers})
    assert list(flags.numbers) == [1, 2, 3]
    with pytest.raises(ArgumentTypeError, match=r"numbers: int\[3\] takes a sequence, or a Pointer to int"):
        flags.numbers = guest.new("short[3]")
    with pytest.raises(ArgumentTypeError, match="takes a sequence, not int"):
        flags.numbers = 5
    with pytest.raises(PointerError, match="outside"):
        flags.numbers = guest.new("int[2]")
    with pytest.raises(ArgumentRangeError, match=r"numbers: item 1: .* outside the range of int"):
        flags.numbers = [1, 2**31]


def test_arrays_of_text(guest):
    texts = [guest.new("char[]", text) for text in (b"a", b"b")]
    flags = guest.new("struct flags *", {"names": texts})
    assert [name.string() for name in flags.names] == [b"a", b"b"]
    assert flags.names[:] == texts
    with pytest.raises(ArgumentTypeError, match="takes a Pointer or None, not bytes"):
        flags.names[0] = b"text"  # nobody would own it


def test_unions_of_structs(guest):
    both = guest.new("union both *", {"flags": {"on": True}})
    assert both.first == 1
    assert both.flags.on is True
    other = guest.new("union both *", both)
    assert other.first == 1


def test_slices(guest):
    array = guest.new("int[4]", [1, 2, 3, 4])
    assert (array[:2], array[2:], array[:], array[1:1]) == ([1, 2], [3, 4], [1, 2, 3, 4], [])
    with pytest.raises(ArgumentTypeError, match="3 values for 2 items"):
        array[0:2] = [1, 2, 3]
    for bad in (slice(0, 4, 2), slice(3, 1)):
        with pytest.raises(PointerError, match="a slice needs an end"):
            array[bad]
    with pytest.raises(PointerError, match="a slice needs an end"):
        guest.cast("int *", array)[1:]
    with pytest.raises(PointerError, match="outside"):
        array[2:5]
    assert guest.cast("int *", array)[0:2] == [1, 2]


def test_pointers_to_pointers(guest):
    texts = guest.new("char *[2]")
    assert guest.lib.pass_texts(texts) == texts
    with pytest.raises(ArgumentTypeError, match=r"void \*\* does not take a char \*\*"):
        guest.lib.pass_any(texts)
    with pytest.raises(ArgumentTypeError, match=r"const char \*\* does not take a void \*\*"):
        guest.lib.pass_texts(guest.new("void **"))
    assert guest.lib.pass_any(guest.cast("void **", texts)) == texts


def test_pointers_to_arrays(guest):
    table = guest.new("int[2][3]", [[1, 2, 3], [4, 5, 6]])
    row = guest.lib.pass_row(table)
    assert list(row[1]) == [4, 5, 6]
    assert (row + 1)[0][2] == 6
    with pytest.raises(ArgumentTypeError):
        guest.lib.pass_row(guest.new("int[2][4]"))


def test_void_pointers_count_bytes(guest):
    block = guest.new("char[8]", b"abcdefg")
    anything = guest.cast("void *", block)
    assert (anything + 3).bytes(2) == b"de"
    assert guest.lib.sum_of(guest.new("int *", 5), guest.new("int *", 6)) is not None


def test_distances(guest):
    array = guest.new("int[4]")
    assert (array + 3) - (array + 1) == 2
    with pytest.raises(PointerError, match="not a multiple of 4 bytes apart"):
        (guest.cast("int *", guest.cast("char *", array) + 2)) - array


def test_order(guest, library):
    array = guest.new("int[4]")
    second = array + 1
    assert array < second <= second
    assert second > array >= array
    with pytest.raises(TypeError):
        array < 5  # noqa: B015
    with library.open() as other, pytest.raises(PointerError, match="different instances"):
        array < other.new("int *")  # noqa: B015


def test_functions_that_differ_in_const_fit(guest):
    with guest.callback("int (const char *, char *)", lambda a, b: 5) as callback:
        assert guest.lib.call_it(callback, guest.new("char[2]")) == 5
    other = guest.callback("int (int *, char *)", lambda a, b: 5)
    with pytest.raises(ArgumentTypeError, match=r"does not take a int \(\*\)\(int \*, char \*\)"):
        guest.lib.call_it(other, None)


def test_results_that_are_pointers_are_checked(guest, library):
    with library.open() as other:
        foreign = other.new("int *")
        for result, error in (("x", ArgumentTypeError), (foreign, PointerError)):
            with library.open() as fresh, pytest.raises(error, match="a callback's result: "):
                fresh.lib.visit(fresh.callback("void *(void)", lambda result=result: result))
    number = guest.new("int *")
    with guest.callback("void *(void)", lambda: 1 / 0, error=number) as callback:
        with pytest.raises(ZeroDivisionError):
            guest.lib.visit(callback)
        assert guest.dead is None


def test_scalars(guest):
    half, five, letter = guest.cast("double", 0.5), guest.cast("int", 5), guest.cast("char", b"x")
    assert (float(half), int(five), int(letter), bool(five), bool(half), bool(guest.cast("char", 0))) == (
        0.5, 5, 120, True, True, False,
    )  # fmt: skip
    assert five == 5
    assert five == guest.cast("short", 5)
    assert len({five, 5}) == 1
    assert repr(five) == "<int 5>"
    assert range(10)[five] == 5


def test_handles_of_others(guest, library):
    with library.open() as other:
        handle = other.handle("x")
        with pytest.raises(PointerError, match="another instance"):
            guest.from_handle(handle)
        with pytest.raises(PointerError, match="belongs to another instance"):
            guest.cast("int *", handle)
        for use in (guest.string, guest.buffer):
            with pytest.raises(PointerError, match="belongs to another instance"):
                use(handle)
    with pytest.raises(ArgumentTypeError, match=r"from_handle\(\) takes a Pointer, not int"):
        guest.from_handle(5)
    with pytest.raises(ArgumentTypeError, match=r"string\(\) takes a Pointer, not bytes"):
        guest.string(b"x")


@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps])
def test_pointers_are_not_copied(guest, use):
    with pytest.raises(TypeError, match=r"<Pointer int \* 0x.*> belongs to its instance"):
        use(guest.new("int *"))


def test_what_is_behind_a_handle_is_nothing(guest):
    with guest.handle("x") as handle:
        behind = handle + 1
        assert int(behind) == int(handle) + 1
        with pytest.raises(PointerError, match="outside"):
            guest.cast("char *", behind)[0]
        with pytest.raises(PointerError, match="no handle"):
            guest.from_handle(behind)


def test_structs_with_what_cannot_be_passed(guest):
    with pytest.raises(DeclarationError, match="cannot be read"):
        guest.lib.mix({"i": 1}).wide  # noqa: B018


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_new_memory_is_zeroed(guest, size):
    dirty = guest.new("char[]", size)
    dirty.write(b"\xff" * size)
    dirty.free()
    assert guest.new("char[]", size).bytes() == bytes(size)


def test_modules_without_what_types_need():
    types = {
        "format": 1,
        "functions": {"f": {"type": "int"}},
        "variables": {"v": {"type": "int"}},
    }
    with Library.from_wat('(module (memory (export "memory") 1) (func (export "f")))', types=types).open() as guest:
        with pytest.raises(BridgeError, match="does not export malloc"):
            guest.new("int *")
        with pytest.raises(LinkError, match="does not export its function table"):
            guest.callback("void (void)", print)
        with pytest.raises(LinkError, match="declares the variable v, but does not export it"):
            guest.lib.v  # noqa: B018
        with pytest.raises(LoadError, match="the function f is a int"):
            guest.lib.f  # noqa: B018


@pytest.mark.parametrize(
    ("malloc", "free"),
    [
        ("(param i32) (result f64) f64.const 8", "(param i32)"),
        ("(param i32)", "(param i32)"),
        ("(param i32) (result i32) i32.const 8", "(param i32 i32)"),
        ("(param i32) (result externref) ref.null extern", "(param i32)"),
    ],
)
def test_allocators_that_are_not_those_of_c(malloc, free):
    functions = f'(func (export "malloc") {malloc}) (func (export "free") {free})'
    with (
        Library.from_wat(f'(module (memory (export "memory") 1) {functions})', types={"format": 1}).open() as guest,
        pytest.raises(LinkError, match=r"exports a (malloc|free) that is not C's"),
    ):
        guest.new("int *")


def test_no_function_pointer_is_null():
    types = {"format": 1, "functions": {"f": {"type": "int (int)"}}}
    wat = """(module (memory (export "memory") 1) (table (export "__indirect_function_table") 0 funcref)
               (func (export "f") (param i32) (result i32) (local.get 0)))"""
    with Library.from_wat(wat, types=types).open() as guest:
        callback = guest.callback("int (int)", lambda n: n + 1)
        assert callback
        assert callback(1) == 2
        with guest.clone() as clone:
            assert clone.cast("int (*)(int)", int(callback))(5) == 6
    with Library.from_wat(wat, types=types).open() as guest:
        assert guest.addressof("f")(5) == 5


def test_types_show_what_they_are(library):
    assert repr(library.layout.type("const char *[3]")) == "<C type const char *[3]>"
    for path in ((0,), ("on", "x")):
        with pytest.raises(DeclarationError, match=r"is not an array|is not a struct"):
            library.offsetof("struct flags", *path)


def test_bits_of_other_types_than_int(guest):
    bits = guest.new("struct bits *", {"c": -8, "u": 7, "b": True})
    assert (bits.c, bits.u, bits.b) == (-8, 7, True)
    bits.c = 7
    assert (bits.c, bits.u, bits.b) == (7, 7, True)
    for value, error in ((8, ArgumentRangeError), (b"x", ArgumentTypeError)):
        with pytest.raises(error, match=r"struct bits\.c: "):
            bits.c = value
    with pytest.raises(DeclarationError, match="cannot be read"):
        bits.wide  # noqa: B018
    with pytest.raises(DeclarationError, match="cannot be written"):
        bits.wide = 1


def test_function_types_that_are_spelled_in_other_ways_fit(guest):
    with guest.callback("walker", lambda visit: None) as callback:
        assert guest.lib.walk(callback) == 1
    with pytest.raises(ArgumentTypeError):
        guest.lib.walk(guest.callback("void (*)(void (*)(long))", print))


def test_parameters_whose_names_python_cannot_have(guest):
    assert guest.lib.under(1, 1, 1, 1, 1, 1, 1) == 28
    for position in range(7):
        with pytest.raises(ArgumentTypeError):
            guest.lib.under(*["x" if place == position else 1 for place in range(7)])


def test_a_length_is_no_initialiser(guest):
    assert len(guest.new("int[]", 5)) == 5
    for value in (5, 3, True):
        with pytest.raises(ArgumentTypeError, match=r"int\[3\] takes a sequence, not "):
            guest.new("int[3]", value)


def test_casts_take_numbers_only(guest):
    for name in ("int", "double", "char", "_Bool"):
        for value in ("1", b"12", None, [1], 1j):
            with pytest.raises(ArgumentTypeError, match=f"{name} takes a number or a Pointer, not "):
                guest.cast(name, value)
    for value in (float("nan"), float("inf")):
        with pytest.raises(ArgumentRangeError, match="has no value as int"):
            guest.cast("int", value)
        assert repr(float(guest.cast("float", value))) == repr(value)
    with pytest.raises(ArgumentRangeError, match="too large for float"):
        guest.cast("float", 1e300)
    assert bool(guest.cast("_Bool", guest.new("int *"))) is True
    assert guest.cast("char", b"x").value == b"x"


def test_buffers_are_their_bytes(guest):
    numbers = memoryview(array("i", [1, 2]))
    assert guest.new("unsigned char[]", numbers).bytes() == bytes(numbers)
    assert guest.new("char[9]", numbers).bytes() == bytes(numbers) + b"\0"
    assert list(guest.new("int[]", numbers)) == [1, 2]
    with pytest.raises(ArgumentRangeError, match="8 values are too many"):
        guest.new("char[7]", numbers)
    assert guest.lib.first(numbers) == bytes(numbers)[0]


def test_buffers_must_be_contiguous(guest):
    every_other = memoryview(bytearray(b"abcd"))[::2]
    for use in (
        lambda: guest.lib.first(every_other),
        lambda: guest.new("char[2]").write(every_other),
        lambda: guest.inout(every_other),
    ):
        with pytest.raises(ArgumentTypeError, match="contiguous"):
            use()
    assert guest.new("char[2]", every_other).bytes() == b"ac"


def test_bools_from_bytes(guest):
    assert list(guest.new("_Bool[]", b"\0\1")) == [False, True]
    with pytest.raises(ArgumentRangeError, match="item 1: 2 is neither 0 nor 1"):
        guest.new("_Bool[2]", b"\1\2")


def test_bytes_for_several_items(guest):
    for value in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        for name in ("char", "unsigned char", "signed char"):
            items = guest.new(f"{name}[4]")
            items[0:3] = value
            assert items.bytes() == b"abc\0"


@pytest.mark.parametrize(("name", "value"), [("pair", {"b": 7}), ("one", [7])])
def test_structs_that_callbacks_return_are_checked(guest, name, value):
    with guest.callback(f"struct {name} (*)(void)", lambda: value) as callback:
        assert getattr(guest.lib, f"from_{name}")(callback) == 7
    with (
        guest.callback(f"struct {name} (*)(void)", lambda: None) as callback,
        pytest.raises(ArgumentTypeError, match=f"a callback's result: struct {name} takes a dict"),
    ):
        getattr(guest.lib, f"from_{name}")(callback)
