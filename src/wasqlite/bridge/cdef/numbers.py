"""Integers, floats, bool, char and enumerations: ``struct`` packs them and checks their ranges."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from wasqlite.bridge.cdef.types import CType, expected, join
from wasqlite.bridge.errors import ArgumentRangeError, ArgumentTypeError, BridgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.pointer import Pointer

MISFITS = (StructError, OverflowError)
"""What ``struct`` raises for a value that it does not take."""

# The wasm type and struct's letter of an argument: what is shorter than an int is passed as one.
_PASSED = {"f": ("f", "f"), "d": ("F", "d"), "q": ("I", "q"), "Q": ("I", "Q"), "I": ("i", "I")}


class Number(CType):
    """An integer or floating point type."""

    __slots__ = ("code", "kind", "layout", "letter", "name")
    letter: str
    code: str

    def __init__(self, name: str, kind: str) -> None:
        self.layout = Struct("<" + kind)
        super().__init__(self.layout.size, self.layout.size)
        self.name = name
        self.kind = kind
        self.letter, self.code = _PASSED.get(kind, ("i", "i"))

    def spell(self, inner: str = "") -> str:
        return join(self.name, inner)

    @property
    def unpacked(self) -> str:
        """struct's letter for reading it."""
        return self.kind

    @property
    def integer(self) -> bool:
        """Whether it is not a floating point type."""
        return self.kind not in "fd"

    def load(self, at: Pointer, address: int) -> Any:
        return self.layout.unpack_from(at._instance.memory.view, address)[0]

    def store(self, at: Pointer, address: int, value: Any) -> None:
        try:
            self.layout.pack_into(at._instance.memory.view, address, value)
        except MISFITS:
            raise self.misfit(value) from None

    def number(self, value: Any) -> Any:
        """The number that C gets for ``value``."""
        try:
            return self.layout.unpack(self.layout.pack(value))[0]
        except MISFITS:
            raise self.misfit(value) from None

    def cast(self, value: Any) -> Any:
        """The number that C's cast gives: integers lose their upper bits, floats their fraction."""
        if not self.integer:
            return self.number(value)
        bits = 8 * self.layout.size
        wrapped = int(value) & (1 << bits) - 1
        return wrapped - (1 << bits) if self.kind.islower() and wrapped >> bits - 1 else wrapped

    def from_wasm(self, value: Any) -> Any:
        """The Python value of a number that came as an argument or a result."""
        return self.cast(value) if self.integer else value

    def converted(self, value: Any) -> Any:
        """What ``cast`` gives, of any number or Pointer."""
        if not any(hasattr(value, name) for name in ("__index__", "__float__", "__int__")):
            raise expected(self, "a number or a Pointer", value)
        try:
            return self.cast(value)
        except BridgeError:
            raise
        except (ValueError, OverflowError):  # of infinity, and of what is no number
            raise ArgumentRangeError(f"{value!r} has no value as {self.name}") from None

    def misfit(self, value: Any) -> BridgeError:
        """The exception for a value that is not taken."""
        if not self.integer:
            if hasattr(value, "__float__") or hasattr(value, "__index__"):
                return ArgumentRangeError(f"{value!r} is too large for {self.name}")
            return expected(self, "a float", value)
        if not hasattr(value, "__index__"):
            return expected(self, "an int", value)
        low, high = self.limits()
        return ArgumentRangeError(f"{value} is outside the range of {self.name}, {low} to {high}")

    def limits(self) -> tuple[int, int]:
        """The least and the greatest integer."""
        bits = 8 * self.layout.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.kind.islower() else (0, (1 << bits) - 1)


class Boolean(Number):
    """``_Bool``: True or False; a byte of the guest's other than 0 is True."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("_Bool", "B")

    unpacked = "?"

    def load(self, at: Pointer, address: int) -> bool:
        return at._instance.memory.view[address] != 0

    def store(self, at: Pointer, address: int, value: Any) -> None:
        at._instance.memory.view[address] = self.number(value)

    def number(self, value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        if not hasattr(value, "__index__"):
            raise expected(self, "a bool", value)
        if value not in (0, 1):
            raise ArgumentRangeError(f"{value} is neither 0 nor 1, the values of _Bool")
        return bool(value)

    def cast(self, value: Any) -> bool:
        return bool(value)


class Character(Number):
    """Plain ``char``: a bytes object of length 1, as in cffi. ``signed char`` and ``unsigned char`` are numbers."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("char", "b")

    def load(self, at: Pointer, address: int) -> bytes:
        return bytes(at._instance.memory.view[address : address + 1])

    def store(self, at: Pointer, address: int, value: Any) -> None:
        at._instance.memory.view[address] = self.number(value) & 0xFF

    def number(self, value: Any) -> int:
        if isinstance(value, bytes) and len(value) == 1:
            return value[0] - 256 if value[0] > 127 else value[0]
        if isinstance(value, bytes):
            raise ArgumentTypeError(f"char takes a bytes object of length 1, not of length {len(value)}")
        raise expected(self, "a bytes object of length 1", value)

    def cast(self, value: Any) -> bytes:
        return bytes([int(value) & 0xFF])

    def converted(self, value: Any) -> Any:
        return value if isinstance(value, bytes) and len(value) == 1 else super().converted(value)


class EnumType(Number):
    """An enumeration: its values are ints in Python, as in C."""

    __slots__ = ("values",)

    def __init__(self, name: str, base: Number, values: dict[str, int]) -> None:
        super().__init__(name, base.kind)
        self.values = values


class Scalar:
    """A number with a C type, which ``cast`` makes: for variadic functions, whose declarations name no types."""

    __slots__ = ("ctype", "value")

    def __init__(self, ctype: Number, value: Any) -> None:
        self.ctype = ctype
        self.value = value

    def __int__(self) -> int:
        return self.value[0] if isinstance(self.value, bytes) else int(self.value)

    def __index__(self) -> int:
        if not self.ctype.integer:
            raise ArgumentTypeError(f"{self!r} is no integer")
        return int(self)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return self.value not in (0, b"\0")

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, Scalar) else other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"<{self.ctype.spell()} {self.value!r}>"
