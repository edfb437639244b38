"""Scratch memory in the guest's heap: allocated piece by piece, freed all at once."""

from __future__ import annotations

from types import TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.pointer import Pointer
    from wasqlite.bridge.instance import Instance

Text = str | bytes  # the class below has a method of the name bytes


class Arena:
    """What was allocated inside the ``with`` block is freed at its end, whatever happened in it.

    The module must export ``malloc`` and ``free``. Out of guest memory is ``MemoryError``.
    """

    __slots__ = ("_addresses", "_generation", "_instance", "_pointers")

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._generation = instance.generation
        self._addresses: list[int] = []
        self._pointers: list[Pointer] = []

    def __enter__(self) -> Arena:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._instance.dead is not None or self._instance.generation != self._generation:
            return  # the heap is gone, must not be entered any more, or knows nothing of these
        while self._pointers:
            self._pointers.pop().__exit__()
        free = self._instance.function("free", hold_gil=True)
        while self._addresses:
            free(self._addresses.pop())

    def new(self, ctype: str, value: Any = None) -> Pointer:
        """``Instance.new``, but freed with the arena, whoever holds the Pointer then."""
        pointer = self._instance.new(ctype, value)
        self._pointers.append(pointer)
        return pointer

    def alloc(self, size: int) -> int:
        """The address of ``size`` bytes (at least one), not cleared."""
        if not 0 <= size < 1 << 32:
            raise MemoryError(f"{size} bytes cannot be allocated in a 32-bit guest")
        address: int = self._instance.function("malloc", hold_gil=True)(max(size, 1))
        if address == 0:
            raise MemoryError(f"the guest has no {size} bytes left")
        self._addresses.append(address)
        return address

    def bytes(self, data: bytes | bytearray | memoryview) -> int:
        """The address of a copy of ``data``."""
        address = self.alloc(len(data))
        self._instance.memory.write(address, data)
        return address

    def string(self, text: Text) -> int:
        """The address of ``text`` in UTF-8 (bytes as they are) with a NUL behind it. A NUL inside is a ValueError."""
        data = text.encode() if isinstance(text, str) else text
        if b"\0" in data:
            raise ValueError("embedded null character")
        return self.bytes(data + b"\0")
