"""The guest's function table: C function pointers are indices into it, those to Python functions included.

A slot for Python functions leads through an adapter (see ``bridge.adapter``) to a trampoline. Neither can be removed
from a store again, so slots are kept and reused, the one that is free for longest first, and only when some are
free: C code that still calls a closed callback gets an exception, and not at once somebody else's function.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

from wasqlite.bridge._wasmtime import TABLE, Extern
from wasqlite.bridge.errors import BridgeError, CallbackClosed, LinkError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from wasqlite.bridge.cdef.types import FunctionType
    from wasqlite.bridge.instance import Instance
    from wasqlite.bridge.snapshot import Snapshot

    Served = tuple[FunctionType, Callable[..., Any], float | None]
    """Type, Python function, error value."""

BLOCK = 8
"""How many slots are made at once; they share an adapter and its page of memory."""
QUARANTINE = 32
"""How many slots of a signature are free before the first is used again."""


class Slot(HostFunction):
    """A slot of the table whose Python function can be replaced."""

    __slots__ = ("index", "served")

    def __init__(self, params: str, result: str) -> None:
        # The trampoline keeps the callable that it finds here; a partial can be made to call another one.
        super().__init__("callback", "slot", params, result, partial(_closed, "callback", 0), reentrant=True)
        self.index = 0
        self.served: Served | None = None
        """What it serves on behalf of Python."""

    def use(self, call: Callable[..., Any], error: float | None, served: Served | None = None) -> None:
        """Serve ``call``, and ``error`` when it raises; None unwinds the guest."""
        self.served = served
        self.call.__setstate__((call, (), {}, None))  # type: ignore[attr-defined]
        self.on_error = error
        self.fallback[:] = self.failure()

    def clear(self, ctype: str) -> None:
        """Serve nothing any more, where a function of that type was before."""
        self.use(partial(_closed, ctype, self.index), None)


def _closed(ctype: str, index: int, *_: object) -> NoReturn:
    raise CallbackClosed(f"C code called the {ctype} at {index:#x} of its function table, a callback that was closed")


class Growth(Record):
    """What was appended to a table: a block of slots of a type, or one of the guest's own functions."""

    signature: tuple[str, str] | None
    function: str


class FunctionTable:
    """The table of one instance.

    Snapshots do not hold it: the guest's memory does not say what its functions are. But while there is one, no slot
    that it knows as open is used for another function, and ``growth`` tells how a clone gets the same slots.
    """

    def __init__(self, instance: Instance) -> None:
        extern = instance._api.export(instance._context, instance._instance, "__indirect_function_table", TABLE)
        if extern is None:
            raise LinkError(f"{instance.name} does not export its function table: link it with --export-table")
        self._extern = extern
        self._instance = instance
        self._unused: dict[tuple[str, str], list[Slot]] = {}
        self._closed: dict[tuple[str, str], deque[Slot]] = {}
        self.used = 0
        self.growth: list[Growth] = []
        self.slots: dict[int, Slot] = {}
        self.snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()

    def get(self, index: int) -> Extern | None:
        """The function at an index."""
        return self._instance._api.function_at(self._instance._context, self._extern, index)

    def add(self, name: str, function: Extern) -> int:
        """The index of a new slot with one of the guest's functions."""
        index = self._put(function)
        self.growth.append(Growth(None, name))
        return index

    def _put(self, function: Extern) -> int:
        index = self._instance._api.put_function(self._instance._context, self._extern, function)
        if index == 0:  # that is NULL
            return self._put(function)
        if index is None:
            raise BridgeError(
                f"the function table of {self._instance.name} is full: link it with --growable-table, close callbacks"
            )
        return index

    def take(self, params: str, result: str) -> Slot:
        """A slot for functions of that wasm type."""
        kind = params, result
        closed = self._closed.setdefault(kind, deque())
        unused = self._unused.setdefault(kind, [])
        slot = None if unused else self._reusable(closed)
        if slot is None:
            if not unused:
                self.grow(params, result)
            slot = unused.pop()
        self.used += 1
        return slot

    def _reusable(self, closed: deque[Slot]) -> Slot | None:
        """The slot that is closed for longest and that no snapshot has as an open one."""
        if len(closed) > QUARANTINE:
            known = {index for snapshot in self.snapshots for index in snapshot.callbacks}
            for slot in closed:
                if slot.index not in known:
                    closed.remove(slot)
                    return slot
        return None

    def take_all(self) -> None:
        """Make no slot that there is the next to be used: C code may remember any, of an instance that had the same."""
        for kind, unused in self._unused.items():
            self._closed.setdefault(kind, deque()).extend(unused)
            unused.clear()

    def take_at(self, index: int) -> Slot:
        """A slot that is not in use, by its index."""
        slot = self.slots[index]
        self._closed[slot.params, slot.result].remove(slot)
        self.used += 1
        return slot

    def grow(self, params: str, result: str) -> None:
        """Append a block of slots."""
        instance = self._instance
        unused = self._unused.setdefault((params, result), [])
        slots = [Slot(params, result) for _ in range(BLOCK)]
        for slot, extern in zip(slots, instance.host_functions(list(slots)), strict=True):
            slot.index = self._put(extern)
            slot.clear("callback")
            self.slots[slot.index] = slot
        self.growth.append(Growth((params, result), ""))
        unused += reversed(slots)

    def give_back(self, slot: Slot, ctype: str) -> None:
        """Make the slot free that a function of this type was in."""
        slot.clear(ctype)
        self._closed[slot.params, slot.result].append(slot)
        self.used -= 1
