"""Pointer types: which Pointers each one takes, and the class of its own."""

from __future__ import annotations

from struct import Struct

from wasqlite.bridge.cdef.arrays import ArrayType
from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointer import FOREIGN, TOP, Owner, Pointer
from wasqlite.bridge.cdef.records import RecordType, make_class
from wasqlite.bridge.cdef.types import CType, FunctionType, Void, expected
from wasqlite.bridge.errors import ArgumentTypeError, DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.records import Field
    from wasqlite.bridge.instance import Instance

MOST_ARRAYS = 1000
"""How many array types of an item are kept, as programs may make the names of such types out of lengths."""

_U32 = Struct("<I")


class PointerType(CType):
    """A pointer to ``target``. ``factory`` is the class of its Pointers, made when there is the first one."""

    __slots__ = ("const", "factory", "target")
    letter = "i"
    code = "I"
    factory: type[Pointer]

    def __init__(self, target: CType, const: bool) -> None:
        super().__init__(4, 4)
        self.target = target
        self.const = const

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name != "factory":
                raise AttributeError(name)
            self.factory = make_class(self.target) if isinstance(self.target, RecordType) else Pointer
            return self.factory

    def spell(self, inner: str = "") -> str:
        inner = "*" + inner
        if self.const and isinstance(self.target, PointerType):
            return self.target.spell("const " + inner)
        if isinstance(self.target, (ArrayType, FunctionType)):
            inner = f"({inner})"
        return ("const " if self.const else "") + self.target.spell(inner)

    def to(self, target: CType) -> PointerType:
        """The type of pointers to something else."""
        return pointer_to(target)

    def field(self, name: str) -> Field:
        """A field of the record that it points at."""
        if not isinstance(self.target, RecordType):
            raise DeclarationError(f"{self.target.spell()} is not a struct or union, and has no field {name!r}")
        return self.target.field(name)

    def load(self, at: Pointer, address: int) -> Pointer:
        return self.factory(at._instance, self, _U32.unpack_from(at._instance.memory.view, address)[0])

    def store(self, at: Pointer, address: int, value: Any) -> None:
        _U32.pack_into(at._instance.memory.view, address, self.address(at._instance, value))

    def address(self, instance: Instance, value: Any) -> int:
        """What C gets for ``value``: a Pointer that fits, or None for NULL."""
        if value is None:
            return 0
        if not isinstance(value, Pointer):
            if isinstance(self.target, FunctionType):
                # A function of the library gets a slot of the table when it first needs one.
                index = instance.typed.function_pointer(value, self.target)
                if index is not None:
                    return index
                if callable(value):
                    raise ArgumentTypeError(
                        f'C calls Python through callback("{self.target.spell()}", function), not directly'
                    )
            raise expected(self, "a Pointer or None", value)
        if not self.takes(value._type):
            raise ArgumentTypeError(
                f"{self.spell()} does not take a {value._type.spell()}; use cast() if that is what is meant"
            )
        return value._pass(instance)

    def takes(self, other: PointerType) -> bool:
        """Whether C would take a pointer of the other type without a cast."""
        mine, theirs = self.target, other.target
        if mine is theirs or isinstance(mine, Void) or isinstance(theirs, Void):
            return True
        if isinstance(mine, Number) and isinstance(theirs, Number):
            # Besides: an enumeration and its integer, and all kinds of char.
            return mine.kind == theirs.kind or (mine.size == theirs.size == 1)
        if isinstance(mine, PointerType) and isinstance(theirs, PointerType):
            return mine.takes(theirs) and isinstance(mine.target, Void) == isinstance(theirs.target, Void)
        if isinstance(mine, ArrayType) and isinstance(theirs, ArrayType):
            return mine.item is theirs.item and mine.length == theirs.length
        return isinstance(mine, FunctionType) and isinstance(theirs, FunctionType) and mine.fits(theirs)

    def make(self, instance: Instance, address: int, low: int = 0, high: int = TOP, owner: Owner = FOREIGN) -> Pointer:
        """A Pointer of this type."""
        return self.factory(instance, self, address, low, high, owner)


def pointer_to(target: CType, const: bool = False) -> PointerType:
    """The one type of pointers to ``target``."""
    found = target.derived.get(const)
    if found is None:  # setdefault: another thread may be at the same
        found = target.derived.setdefault(const, PointerType(target, const))
    return found


def array_of(item: CType, length: int | None, const: bool = False) -> ArrayType:
    """The one type of arrays of ``length`` items."""
    found = item.arrays.get((length, const))
    if found is None:
        if len(item.arrays) > MOST_ARRAYS:
            item.arrays.clear()
        found = item.arrays.setdefault((length, const), ArrayType(item, length, pointer_to(item, const)))
    return found
