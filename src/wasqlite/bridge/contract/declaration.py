"""One C declaration of a contract, read: the types and names of its parameters, and what their values are in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from wasqlite.bridge.cdef.layout import FORMAT, Layout
from wasqlite.bridge.cdef.numbers import Character, Number
from wasqlite.bridge.cdef.pointertype import PointerType
from wasqlite.bridge.cdef.types import CType, Void
from wasqlite.bridge.errors import DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_FUNCTION = re.compile(r"\s*(.*?)\b([A-Za-z_]\w*)\s*\((.*)\)\s*;?\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*(.*?)\b([A-Za-z_]\w*)\s*(?:\[\s*(\w+)\s*\])?\s*", re.DOTALL)
_BYTES = ("signed char", "unsigned char")


class Parameter:
    """One parameter. ``length`` is that of ``name[length]``: another parameter's name, or a number."""

    __slots__ = ("ctype", "length", "name", "text")

    def __init__(self, text: str, name: str, ctype: CType, length: str | None) -> None:
        self.text = text
        self.name = name
        self.ctype = ctype
        self.length = length

    @property
    def item(self) -> CType:
        """What it points at."""
        assert isinstance(self.ctype, PointerType)
        return self.ctype.target

    @property
    def const(self) -> bool:
        """Whether what it points at is only to be read."""
        return isinstance(self.ctype, PointerType) and self.ctype.const

    @property
    def is_text(self) -> bool:
        """Whether it points at characters to be read: a str in Python."""
        return self.const and isinstance(self.item, Character)

    @property
    def is_bytes(self) -> bool:
        """Whether its items are bytes, and no numbers."""
        return isinstance(self.item, Void | Character) or (isinstance(self.item, Number) and self.item.name in _BYTES)


class Declaration:
    """A function: ``"int line(int number, char text[capacity], size_t capacity)"``."""

    __slots__ = ("_returns", "name", "params", "result", "text")

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split()).rstrip("; ")
        match = _FUNCTION.fullmatch(text)
        if match is None:
            self._fail("it is no declaration of a function")
        self.name = match[2]
        self._returns = " ".join(match[1].split())
        self.result = self._type(match[1])
        self.params = list(self._params(match[3]))
        if not (isinstance(self.result, Number | PointerType | Void)):
            self._fail("it can return a number, a pointer or nothing")
        known = {param.name: param.ctype for param in self.params}
        if len(known) < len(self.params):
            self._fail("two parameters have the same name")
        for param in self.params:
            length = param.length
            if length is None or length.isdigit():
                continue
            if not isinstance(ctype := known.get(length), Number) or not ctype.integer:
                self._fail(f"the length of {param.name} is neither a number nor the name of an integer parameter")

    def _fail(self, reason: str) -> NoReturn:
        raise DeclarationError(f"{self.text!r}: {reason}")

    def _params(self, text: str) -> Iterator[Parameter]:
        if text.strip() in ("", "void"):
            return
        for piece in text.split(","):
            match = _PARAMETER.fullmatch(piece)
            if match is None or not match[1].strip():
                self._fail(f"{piece.strip()!r} is no parameter with a type and a name")
            length = match[3]
            ctype = self._type(f"{match[1]} *" if length is not None else match[1])
            if length is not None and not (isinstance(ctype, PointerType) and isinstance(ctype.target, Number | Void)):
                self._fail(f"{match[2]} is no array of numbers or bytes")
            if not isinstance(ctype, Number | PointerType):
                self._fail(f"{match[2]} is neither a number nor a pointer")
            text = " ".join(piece.split() if length is None else [*match[1].split(), f"*{match[2]}"])
            yield Parameter(text, match[2], ctype, length)

    def _type(self, text: str) -> CType:
        try:
            return _types().type(text.strip())
        except DeclarationError as error:
            self._fail(str(error))

    @property
    def signature(self) -> tuple[str, str]:
        """The wasm type, in letters."""
        return "".join(param.ctype.letter for param in self.params), self.result.letter

    def prototype(self) -> str:
        """The declaration in C."""
        params = ", ".join(param.text for param in self.params)
        space = "" if self._returns.endswith("*") else " "
        return f"{self._returns}{space}{self.name}({params or 'void'});"


@cache
def _types() -> Layout:
    """C's own types. Records have no fields here: how they look, is the guest's affair."""
    return Layout({"format": FORMAT})
