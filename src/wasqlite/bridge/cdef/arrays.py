"""Arrays: their Python value is a Pointer that ends where they end; sequences and bytes initialise them."""

from __future__ import annotations

from struct import pack

from wasqlite.bridge.cdef.numbers import MISFITS, Boolean, Character, Number
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.types import CType, expected
from wasqlite.bridge.errors import ArgumentRangeError, BridgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.pointertype import PointerType

_BYTES = (bytes, bytearray, memoryview)


class ArrayType(CType):
    """An array; ``length`` is None where C leaves it open."""

    __slots__ = ("decayed", "item", "length")

    def __init__(self, item: CType, length: int | None, decayed: PointerType) -> None:
        super().__init__(None if length is None else length * item.extent(), item.align)
        self.item = item
        self.length = length
        self.decayed = decayed
        """The type of its value."""

    def spell(self, inner: str = "") -> str:
        return self.item.spell(f"{inner}[{'' if self.length is None else self.length}]")

    def load(self, at: Pointer, address: int) -> Pointer:
        # A flexible array member goes on as far as what it stands in.
        low, high = (at._low, at._high) if self.size is None else (address, address + self.size)
        return self.decayed.factory(at._instance, self.decayed, address, low, high, at._owner, self.length)

    def store(self, at: Pointer, address: int, value: Any) -> None:
        """Fill its beginning. Bytes get a NUL behind them where there is room, as in C."""
        array = self.load(at, address)
        value = self._flat(value)
        if isinstance(value, Pointer):
            if value._type.target is not self.item:
                raise expected(self, f"a sequence, or a Pointer to {self.item.spell()}", value)
            array.write(value.bytes(self.extent()))
            return
        if not isinstance(value, (*_BYTES, list, tuple)):
            raise expected(self, "a sequence", value)
        room = (array._high - address) // (self.item.size or 1)
        if len(value) > room:
            raise ArgumentRangeError(f"{len(value)} values are too many for {self.spell()}")
        if self._of_bytes() and isinstance(value, _BYTES):
            array.write(bytes(value) + b"\0" if len(value) < room else value)
        elif not self._store_numbers(array, value):
            self._store_each(array, value)

    def _of_bytes(self) -> bool:
        return self.item.size == 1 and isinstance(self.item, Number) and not isinstance(self.item, Boolean)

    def _flat(self, value: Any) -> Any:
        """Text, and buffers of whatever items, as bytes."""
        if isinstance(value, str):
            return value.encode()
        return bytearray(value) if isinstance(value, memoryview) and self._of_bytes() else value

    def _store_numbers(self, array: Pointer, values: Any) -> bool:
        item = self.item
        if not isinstance(item, Number) or isinstance(item, (Boolean, Character)):
            return False
        try:
            data = pack(f"<{len(values)}{item.kind}", *values)
        except MISFITS:
            return False  # stored one by one, that says which one it is
        array.write(data)
        return True

    def _store_each(self, array: Pointer, values: Any) -> None:
        for index, value in enumerate(values):
            try:
                array[index] = value
            except BridgeError as error:
                raise type(error)(f"item {index}: {error}") from None

    def needs(self, value: Any) -> int:
        """How many items an array of this type has that is made for ``value``, a length or an initialiser."""
        if self.length is not None:
            return self.length
        if isinstance(value, int):
            if value < 0:
                raise ArgumentRangeError(f"an array cannot have {value} items")
            return value
        value = self._flat(value)
        if isinstance(value, (*_BYTES, list, tuple)):
            return len(value) + (self._of_bytes() and isinstance(value, bytes))
        raise expected(self, "a length, a sequence, or bytes", value)
