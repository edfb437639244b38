"""C types: what each one is called, how large it is, and what Python value stands for an object of it.

``load`` and ``store`` are the inside of ``Pointer``: it has checked the address before, and is passed along for the
instance and for what bounds an object inside another one.
"""

from __future__ import annotations

from wasqlite.bridge.errors import ArgumentTypeError, DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.arrays import ArrayType
    from wasqlite.bridge.cdef.pointer import Pointer
    from wasqlite.bridge.cdef.pointertype import PointerType


class CType:
    """Any C type. ``size`` is None for what has none: void, functions, incomplete records, arrays of unknown length."""

    __slots__ = ("align", "arrays", "derived", "size")
    letter = ""
    """The wasm type of an argument; none if it is not passed as one value."""
    code = ""
    """struct's letter for the same."""

    def __init__(self, size: int | None, align: int) -> None:
        self.size = size
        self.align = align
        # Types are unique within a library, so that `is` compares them: each keeps its pointer types, by const, and
        # its array types, by length and const.
        self.derived: dict[bool, PointerType] = {}
        self.arrays: dict[tuple[int | None, bool], ArrayType] = {}

    def spell(self, inner: str = "") -> str:
        """The C declaration of ``inner`` with this type."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<C type {self.spell()}>"

    def load(self, at: Pointer, address: int) -> Any:
        """The Python value of the object at ``address``."""
        raise DeclarationError(f"an object of type {self.spell()} cannot be read")

    def store(self, at: Pointer, address: int, value: Any) -> None:
        """Write a Python value to ``address``."""
        raise DeclarationError(f"an object of type {self.spell()} cannot be written")

    def extent(self) -> int:
        """The size, which must be known."""
        if self.size is None:
            raise DeclarationError(f"the size of {self.spell()} is not known")
        return self.size


def join(name: str, inner: str) -> str:
    """A type's name before a declarator."""
    return f"{name} {inner}" if inner and inner[0] != "[" else name + inner


class Void(CType):
    """``void``."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, 1)

    def spell(self, inner: str = "") -> str:
        return join("void", inner)


class Opaque(CType):
    """A type without a Python value: ``long double``, ``__int128`` and their like."""

    __slots__ = ("name",)

    def __init__(self, name: str, size: int | None, align: int) -> None:
        super().__init__(size, align)
        self.name = name

    def spell(self, inner: str = "") -> str:
        return join(self.name, inner)


class FunctionType(CType):
    """A function type."""

    __slots__ = ("params", "result", "variadic")

    def __init__(self, result: CType, params: tuple[CType, ...], variadic: bool) -> None:
        super().__init__(None, 1)
        self.result = result
        self.params = params
        self.variadic = variadic

    def spell(self, inner: str = "") -> str:
        params = [param.spell() for param in self.params] + ["..."] * self.variadic
        return self.result.spell(f"{inner}({', '.join(params) or 'void'})")

    def fits(self, other: FunctionType) -> bool:
        """Whether a function of the other type may be called as one of this: const is no difference."""
        return (
            self.variadic == other.variadic
            and len(self.params) == len(other.params)
            and all(_same(mine, theirs) for mine, theirs in zip(self.params, other.params, strict=True))
            and _same(self.result, other.result)
        )


def _same(mine: CType, theirs: CType) -> bool:
    if mine is theirs:
        return True
    if isinstance(mine, FunctionType) and isinstance(theirs, FunctionType):
        return mine.fits(theirs)
    first, second = getattr(mine, "target", None), getattr(theirs, "target", None)
    return first is not None and second is not None and _same(first, second)


def expected(ctype: CType, what: str, value: object) -> ArgumentTypeError:
    """The exception for a value of the wrong Python type."""
    return ArgumentTypeError(f"{ctype.spell()} takes {what}, not {type(value).__name__}")
