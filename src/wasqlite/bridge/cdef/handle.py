"""Handles: Python objects that C code passes around as ``void *``, and hands back to callbacks."""

from __future__ import annotations

from wasqlite.bridge.cdef.pointer import Lasting, Owner, Pointer
from wasqlite.bridge.errors import BridgeError, PointerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.pointertype import PointerType
    from wasqlite.bridge.instance import Instance

# Above what a guest's memory reaches as a rule, and odd: nothing that C takes the address of. Not used again before
# the numbers are exhausted, so that a closed handle is noticed.
_FIRST, _STEP, _END = 0xC000_0001, 16, 0xFFFF_FFF1


class _Held(Owner):
    __slots__ = ()
    gone = "the handle was closed"


class Handle(Lasting):
    """A ``void *`` that stands for a Python object until it is closed. It survives ``restore``, as the object does."""

    __slots__ = ("_handles",)

    def __init__(self, handles: Handles, ctype: PointerType, number: int) -> None:
        # Nothing can be read through it: its bounds are empty.
        super().__init__(handles.instance, ctype, number, number, number, _Held())
        self._handles = handles

    def close(self) -> None:
        """Forget the object."""
        if self._owner.alive:
            self._owner.alive = False
            self._handles.objects.pop(self._address, None)

    def __exit__(self, *_: object) -> None:
        self.close()


class Handles:
    """The objects of one instance's handles."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.objects: dict[int, Any] = {}
        self.next = _FIRST

    def __len__(self) -> int:
        return len(self.objects)

    def new(self, ctype: PointerType, value: Any) -> Handle:
        """A handle for an object."""
        if len(self.objects) >= (_END - _FIRST) // _STEP:
            raise BridgeError("too many handles are open")
        while self.next in self.objects:
            self._advance()
        number = self.next
        self._advance()
        self.objects[number] = value
        return Handle(self, ctype, number)

    def _advance(self) -> None:
        self.next = self.next + _STEP if self.next < _END else _FIRST

    def find(self, value: Pointer) -> Any:
        """The object of a handle that came back from C."""
        try:
            return self.objects[value._address]
        except KeyError:
            raise PointerError(f"{value!r} is no handle, or one that was closed") from None
