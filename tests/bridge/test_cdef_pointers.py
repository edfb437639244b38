"""Pointers: structs, unions, arrays and bit fields where the compiler has them, and every wrong use an exception."""

from __future__ import annotations

import ctypes
import gc

import pytest

from wasqlite.bridge import BridgeError, MemoryAccessError
from wasqlite.bridge.errors import (
    ArgumentRangeError,
    ArgumentTypeError,
    DeclarationError,
    InstanceClosed,
    PointerError,
)

# The layouts below are wasm32's, which those of ctypes on every 64-bit platform equal, save for pointers.
SOURCE = r"""
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
typedef struct point { int x, y; } point_t;
typedef const char *text_t;
text_t text_of(int n);
struct packed { char tag; short s; struct point where; double d; unsigned char raw[5]; long long big; float f; };
struct bits { unsigned a : 3; int b : 5; unsigned long long c : 40; _Bool d : 1; int : 2; unsigned e : 32; };
union value { int i; double d; char text[8]; };
struct tagged { int kind; union { int number; char letter; }; struct { short low, high; } pair; };
struct node { struct node *next; int value; };
struct list { int count; int items[]; };
extern struct point points[3];
extern int table[2][3];
extern char unterminated[4];
struct point points[3] = {{1, 2}, {3, 4}, {5, 6}};
int table[2][3] = {{1, 2, 3}, {4, 5, 6}};
struct method { int free; int string; struct point *write; };
struct hidden;
struct hidden *hide(void) { return (struct hidden *)points; }
void make_packed(struct packed *p)
{ *p = (struct packed){'t', -2, {3, 4}, 0.5, {9, 8, 7, 6, 5}, -(1LL << 40), 2.5f}; }
void make_bits(struct bits *p)
{ memset(p, 0, sizeof *p); p->a = 5; p->b = -3; p->c = 0x123456789AULL; p->d = 1; p->e = 77; }
int read_bits(const struct bits *p)
{ return p->a == 2 && p->b == -16 && p->c == 0xFFFFFFFFFFULL && !p->d && p->e == 1; }
int total(const struct node *n) { int t = 0; for (; n; n = n->next) t += n->value; return t; }
unsigned long sizes(int which) {
  switch (which) {
    case 0: return sizeof(struct packed); case 1: return sizeof(struct bits); case 2: return sizeof(union value);
    case 3: return offsetof(struct packed, raw); case 4: return offsetof(struct tagged, pair);
    default: return sizeof(struct list);
  }
}
char unterminated[4] = {'a', 'b', 'c', 'd'};
int live(void *p) { return *(int *)p; }
void *grow(unsigned long size) { return malloc(size); }
"""


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="pointers")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int32), ("y", ctypes.c_int32))


class Packed(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char),
        ("s", ctypes.c_short),
        ("where", Point),
        ("d", ctypes.c_double),
        ("raw", ctypes.c_ubyte * 5),
        ("big", ctypes.c_longlong),
        ("f", ctypes.c_float),
    )


def test_the_table_is_what_the_compiler_computed(guest, library):
    sizes = [library.sizeof(name) for name in ("struct packed", "struct bits", "union value")]
    sizes += [library.offsetof("struct packed", "raw"), library.offsetof("struct tagged", "pair")]
    assert [guest.lib.sizes(n) for n in range(5)] == sizes
    assert guest.lib.sizes(5) == 4


def test_structs_are_laid_out_as_by_ctypes(guest, library):
    pointer = guest.new("struct packed *")
    guest.lib.make_packed(pointer)
    theirs = Packed.from_buffer_copy(pointer.bytes())
    assert library.sizeof("struct packed") == ctypes.sizeof(Packed)
    for name, _ in Packed._fields_:
        assert library.offsetof("struct packed", name) == getattr(Packed, name).offset
        if name not in ("where", "raw"):
            assert getattr(pointer, name) == getattr(theirs, name)
    assert (pointer.where.x, pointer.where.y) == (theirs.where.x, theirs.where.y) == (3, 4)
    assert list(pointer.raw) == list(theirs.raw) == [9, 8, 7, 6, 5]
    pointer.where.y = -9
    pointer.raw[4] = 200
    pointer.tag = b"\xff"
    pointer.big = 2**62
    theirs = Packed.from_buffer_copy(pointer.bytes())
    assert (theirs.where.y, theirs.raw[4], theirs.tag, theirs.big) == (-9, 200, b"\xff", 2**62)


def test_initialisers(guest):
    pointer = guest.new("struct packed *", {"tag": b"x", "where": {"y": 2}, "raw": [1, 2], "d": 3})
    assert (pointer.tag, pointer.where.x, pointer.where.y, pointer.d) == (b"x", 0, 2, 3.0)
    assert list(pointer.raw) == [1, 2, 0, 0, 0]
    assert guest.new("point_t *", [1, 2]).y == 2
    assert guest.new("struct point[2]", [(1, 2), {"x": 3}])[1].x == 3
    copied = guest.new("struct point *", guest.lib.points[2])
    assert (copied.x, copied.y) == (5, 6)
    assert guest.new("int *", 7)[0] == 7
    assert guest.new("char[]", b"abc").bytes() == b"abc\0"
    assert guest.new("char[]", "abc").string() == b"abc"
    assert guest.new("char[3]", b"abc").bytes() == b"abc"
    assert len(guest.new("int[]", 5)) == 5
    assert guest.new("int[2][3]", [[1, 2, 3], [4, 5]])[1][1] == 5


@pytest.mark.parametrize(
    ("ctype", "value", "error", "message"),
    [
        ("struct point *", {"z": 1}, DeclarationError, "struct point has no field 'z'; it has x, y"),
        ("struct point *", [1, 2, 3], ArgumentRangeError, "3 values are too many"),
        ("struct point *", {"x": 2**31}, ArgumentRangeError, r"struct point\.x: 2147483648 is outside"),
        ("struct point *", 5, ArgumentTypeError, "takes a dict"),
        ("struct packed *", {"where": {"y": "1"}}, ArgumentTypeError, r"packed\.where: struct point\.y: int takes"),
        ("union value *", [1, 2], ArgumentRangeError, "too many"),
        ("char[2]", b"abc", ArgumentRangeError, "3 values are too many"),
        ("int[2]", [1, 2, 3], ArgumentRangeError, "too many"),
        ("int[]", None, ArgumentTypeError, "takes a length"),
        ("int[]", -1, ArgumentRangeError, "cannot have -1 items"),
        ("int", 1, DeclarationError, "takes a pointer or an array type"),
        ("void *", None, DeclarationError, "size of void is not known"),
        ("struct hidden *", None, DeclarationError, "size of struct hidden is not known"),
        ("struct nothing *", None, DeclarationError, "size of struct nothing is not known"),
        ("nothing *", None, DeclarationError, "does not declare 'nothing'"),
        ("int * *]", None, DeclarationError, "not a C type"),
        ("char[1000000000000]", None, MemoryError, "32-bit"),
    ],
)
def test_initialisers_that_do_not_fit(guest, ctype, value, error, message):
    with pytest.raises(error, match=message):
        guest.new(ctype, value)


def test_bit_fields(guest):
    pointer = guest.new("struct bits *")
    guest.lib.make_bits(pointer)
    assert (pointer.a, pointer.b, pointer.c, pointer.d, pointer.e) == (5, -3, 0x123456789A, True, 77)
    pointer.a, pointer.b, pointer.c, pointer.d, pointer.e = 2, -16, 0xFFFFFFFFFF, False, 1
    assert guest.lib.read_bits(pointer) == 1
    for name, value in (("a", 8), ("a", -1), ("b", 16), ("b", -17), ("c", 2**40)):
        with pytest.raises(ArgumentRangeError, match=f"struct bits.{name}: "):
            setattr(pointer, name, value)
    assert guest.lib.read_bits(pointer) == 1


def test_unions_and_anonymous_members(guest):
    value = guest.new("union value *", {"d": 1.0})
    assert value.text[7:8] == b"\x3f"
    value.i = -1
    assert value.bytes()[:4] == b"\xff" * 4
    tagged = guest.new("struct tagged *", {"kind": 1, "number": 0x41, "pair": [1, -1]})
    assert (tagged.letter, tagged.pair.high) == (b"A", -1)


def test_linked_structs(guest):
    last = guest.new("struct node *", {"value": 3})
    first = guest.new("struct node *", {"value": 4, "next": last})
    assert guest.lib.total(first) == 7
    assert first.next.value == 3
    assert first.next == last
    assert not first.next.next
    first.next = None
    assert guest.lib.total(first) == 4


def test_arrays(guest):
    points = guest.lib.points
    assert [(p.x, p.y) for p in points] == [(1, 2), (3, 4), (5, 6)]
    points[1].x = 33
    assert guest.lib.points[1].x == 33
    assert len(guest.lib.table) == 2
    assert [list(row) for row in guest.lib.table] == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(PointerError):
        guest.lib.table[0][3]
    array = guest.new("int[4]", [1, 2, 3, 4])
    assert array[1:3] == [2, 3]
    array[1:3] = [7, 8]
    assert list(array) == [1, 7, 8, 4]
    text = guest.new("char[6]", b"hello")
    assert text[1:3] == b"el"
    text[0:2] = b"HE"
    assert text.string() == b"HEllo"
    with pytest.raises(TypeError, match="no length"):
        len(guest.new("int *"))


def test_flexible_array_members(guest):
    block = guest.new("char[16]")
    record = guest.cast("struct list *", block)
    record.items[2] = 5
    assert record.items[2] == 5
    with pytest.raises(PointerError):
        record.items[3] = 1


def test_arithmetic(guest):
    array = guest.new("int[4]", [1, 2, 3, 4])
    second = array + 1
    assert second[0] == 2
    assert second[-1] == 1
    assert second - array == 1
    assert (second - 1) == array
    assert second > array
    assert int(second) == int(array) + 4
    assert {array: "x"}[second - 1] == "x"
    end = array + 4
    for use in (
        lambda: end[0],
        lambda: array[-1],
        lambda: array[4],
        lambda: end.bytes(1),
        lambda: (array + 5).bytes(0),
    ):
        with pytest.raises(PointerError, match="outside"):
            use()
    with pytest.raises(PointerError, match="outside"):
        guest.lib.live(array + 5)
    with pytest.raises(PointerError, match="same array"):
        array - guest.new("char *")
    with pytest.raises(PointerError, match="32-bit"):
        array + 2**31
    with pytest.raises(TypeError):
        array + "1"


def test_freed_memory_is_not_touched(guest):
    array = guest.new("struct point[2]")
    inner = array[1]
    array.free()
    for use in (lambda: array[0], lambda: inner.x, lambda: array.bytes(), lambda: array.free(), lambda: (array + 1)[0]):
        with pytest.raises(PointerError, match="its memory was freed"):
            use()
    with pytest.raises(PointerError, match="freed"):
        inner.x = 1
    with pytest.raises(PointerError, match=r"live\(\) argument 'p': .*freed"):
        guest.lib.live(array)
    with guest.new("int *") as number:
        number[0] = 5
    with pytest.raises(PointerError, match="freed"):
        number[0]


def test_only_owned_memory_is_freed(guest):
    with pytest.raises(PointerError, match="not Python's to free"):
        guest.lib.points[0].free()
    with pytest.raises(PointerError, match="NULL"):
        guest.cast("int *", 0).free()


def test_memory_that_nobody_holds_is_freed_by_the_next_call(guest):
    base = guest.stats()
    kept = [guest.new("char[1000]") for _ in range(100)]
    stats = guest.stats()
    assert (stats.allocations, stats.bytes) == (base.allocations + 100, base.bytes + 100_000)
    inner = kept[0] + 10
    del kept
    gc.collect()
    assert len(guest.typed.dropped) == 99
    guest.lib.total(None)
    assert not guest.typed.dropped
    assert guest.stats().allocations == base.allocations + 1
    assert inner.bytes(1) == b"\0"
    assert guest.stats().most_bytes >= 100_000
    size = guest.memory.size
    for _ in range(20_000):
        guest.new("char[1000]")
    assert guest.memory.size == size


def test_a_pointer_that_outlives_its_instance(library):
    with library.open() as guest:
        pointer = guest.new("struct point *")
        allocated = guest.new("char[10]")
    with pytest.raises(InstanceClosed):
        pointer.x  # noqa: B018
    with pytest.raises(InstanceClosed):
        allocated.free()
    del pointer, allocated
    gc.collect()


def test_the_bounds_of_memory(guest):
    size = guest.memory.size
    for address in (size, size - 1, size - 3, 2**32 - 4, 2**32 - 1):
        pointer = guest.cast("int *", address)
        for use in (lambda p=pointer: p[0], lambda p=pointer: p.bytes(4), lambda p=pointer: p.write(b"abcd")):
            with pytest.raises(PointerError, match="outside"):
                use()
    assert isinstance(guest.cast("int *", size - 4)[0], int)
    with pytest.raises(MemoryAccessError):
        guest.cast("char *", 8).bytes(-1)


def test_unterminated_strings(guest, library):
    with pytest.raises(PointerError, match="no NUL within 4 bytes"):
        guest.lib.unterminated.string()
    assert guest.new("char[5]", b"abcd").string() == b"abcd"
    with pytest.raises(PointerError, match="no NUL within 2 bytes"):
        guest.new("char[5]", b"abcd").string(max=2)
    filled = guest.cast("char *", guest.lib.grow(100))
    filled.write(b"x" * 100)
    with pytest.raises(PointerError, match="no NUL within 50 bytes"):
        guest.string(filled, 50)
    end = guest.cast("char *", guest.memory.size - 1)
    end.write(b"x")
    with pytest.raises(PointerError, match="no NUL"):
        end.string()


def test_the_memory_of_before_a_restore(guest):
    array = guest.new("int[3]")
    number = int(array)
    live = guest.stats().allocations
    guest.generation += 1  # what restore() does
    for use in (lambda: array[0], lambda: array.free(), lambda: (array + 1)[0], lambda: guest.lib.live(array)):
        with pytest.raises(PointerError, match="before a snapshot was restored"):
            use()
    assert live == 1
    assert guest.stats().allocations == 0
    array = None
    gc.collect()
    guest.lib.total(None)
    assert guest.lib.live(guest.cast("int *", number)) == 0  # still allocated: not freed behind the guest's back


def test_fields_that_are_also_methods(guest):
    pointer = guest.new("struct method *", {"free": 1, "string": 2})
    assert pointer["free"] == 1
    pointer["string"] = 5
    assert pointer["string"] == 5
    assert not pointer["write"]
    pointer.free()
    with pytest.raises(PointerError, match="freed"):
        pointer["free"]


def test_names_that_are_no_fields(guest):
    pointer = guest.new("struct point *")
    with pytest.raises(AttributeError, match="struct point has no field 'z'"):
        pointer.z  # noqa: B018
    with pytest.raises(AttributeError):
        pointer.z = 1
    with pytest.raises(DeclarationError, match="no field 'z'; it has x, y"):
        pointer["z"]
    with pytest.raises(DeclarationError, match="is not a struct"):
        guest.new("int *")["x"]


def test_incomplete_types(guest):
    hidden = guest.lib.hide()
    with pytest.raises(BridgeError, match="size of struct hidden is not known"):
        hidden[0]
    with pytest.raises(AttributeError):
        hidden.x  # noqa: B018
    assert guest.cast("int *", hidden)[0] == 1
    with pytest.raises(PointerError, match=r"no items; cast\(\)"):
        guest.cast("void *", hidden)[0]


def test_casts(guest):
    assert guest.cast("unsigned char", -1) == 255
    assert guest.cast("signed char", 200) == -56
    assert int(guest.cast("long long", 5)) == 5
    assert guest.cast("float", 0.1) == ctypes.c_float(0.1).value
    assert guest.cast("int", 3.9) == 3
    assert guest.cast("char", 65).value == b"A"
    assert int(guest.cast("int", guest.cast("void *", 4000))) == 4000
    array = guest.new("int[2]", [0x01020304, 5])
    assert list(guest.cast("unsigned char[4]", array)) == [4, 3, 2, 1]
    with pytest.raises(PointerError):
        guest.cast("unsigned char[400]", array)[100]
    with pytest.raises(PointerError):
        guest.cast("char *", array).bytes(9)
    with pytest.raises(DeclarationError):
        guest.cast("struct point", 1)
    with pytest.raises(ArgumentTypeError):
        guest.cast("int *", "1")


def test_buffers(guest):
    array = guest.new("char[10]", b"abc")
    view = guest.buffer(array)
    assert len(view) == 10
    view[0:2] = b"XY"
    assert array.string() == b"XYc"
    assert bytes(guest.buffer(array, 3)) == b"XYc"
    with pytest.raises(PointerError):
        guest.buffer(array, 11)
    view.release()


def test_offsets(library):
    assert library.offsetof("struct packed", "where", "y") == 8
    assert library.offsetof("struct packed", "raw", 3) == 27
    assert library.offsetof("struct tagged", "letter") == 4
    assert library.sizeof("int[10]") == 40
    assert library.sizeof("struct point[2][3]") == 48
    assert library.sizeof("text_t") == 4
    for path in (("a",), ("z",), ("a", "b")):
        with pytest.raises(DeclarationError):
            library.offsetof("struct bits", *path)


def test_repr_names_type_and_address(guest):
    pointer = guest.new("struct point *")
    assert repr(pointer) == f"<point struct point * {int(pointer):#x}>"
