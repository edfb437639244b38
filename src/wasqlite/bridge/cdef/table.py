"""The guest's function table: C function pointers are indices into it, those to Python functions included.

A slot for Python functions leads through an adapter (see ``bridge.adapter``) to a trampoline. Neither can be removed
from a store again, so slots are kept and reused, the one that is free for longest first, and only when some are
free: C code that still calls a closed callback gets an exception, and not at once somebody else's function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from wasqlite.bridge._wasmtime import TABLE, Extern
from wasqlite.bridge.errors import BridgeError, CallbackClosed, LinkError
from wasqlite.bridge.hostfunction import HostFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from wasqlite.bridge.instance import Instance

BLOCK = 8
"""How many slots are made at once; they share an adapter and its page of memory."""
QUARANTINE = 32
"""How many slots of a signature are free before the first is used again."""


class Slot(HostFunction):
    """A slot of the table whose Python function can be replaced."""

    __slots__ = ("index",)

    def __init__(self, params: str, result: str) -> None:
        # The trampoline keeps the callable that it finds here; a partial can be made to call another one.
        super().__init__("callback", "slot", params, result, partial(_closed), reentrant=True)
        self.index = 0

    def use(self, call: Callable[..., Any], error: float | None) -> None:
        """Serve ``call``, and ``error`` when it raises; None unwinds the guest."""
        self.call.__setstate__((call, (), {}, None))  # type: ignore[attr-defined]
        self.on_error = error
        self.fallback[:] = self.failure()

    def clear(self, ctype: str) -> None:
        """Serve nothing any more, where a function of that type was before."""
        self.use(partial(_closed, ctype, self.index), None)


def _closed(ctype: str = "callback", index: int = 0, *_: object) -> NoReturn:
    raise CallbackClosed(f"C code called the {ctype} at {index:#x} of its function table, a callback that was closed")


class FunctionTable:
    """The table of one instance."""

    def __init__(self, instance: Instance) -> None:
        extern = instance._api.export(instance._context, instance._instance, "__indirect_function_table", TABLE)
        if extern is None:
            raise LinkError(f"{instance.name} does not export its function table: link it with --export-table")
        self._extern = extern
        self._instance = instance
        self._unused: dict[tuple[str, str], list[Slot]] = {}
        self._closed: dict[tuple[str, str], deque[Slot]] = {}
        self.used = 0
        # Other instances may be opened with snapshots of this one's memory, where the slots' indices are. Such an index
        # must not lead to another function there: their own slots begin after those of all snapshots.
        while (
            self.size() < instance.library.slots
            and instance._api.put_function(instance._context, extern, None) is not None
        ):
            pass
        instance.held.append(self)

    def reason(self) -> None:
        """A snapshot is being taken."""
        self._instance.library.slots = max(self._instance.library.slots, self.size())

    def release(self) -> None:
        """A snapshot was restored: slots stay, as they are not memory."""

    def size(self) -> int:
        """How many slots there are, whoever made them."""
        size: int = self._instance._api.table_size(self._instance._context, self._extern.address)
        return size

    def get(self, index: int) -> Extern | None:
        """The function at an index."""
        return self._instance._api.function_at(self._instance._context, self._extern, index)

    def put(self, function: Extern) -> int:
        """The index of a new slot with that function."""
        index = self._instance._api.put_function(self._instance._context, self._extern, function)
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
        if not unused and len(closed) <= QUARANTINE:
            self._grow(unused, params, result)
        self.used += 1
        return unused.pop() if unused else closed.popleft()

    def _grow(self, unused: list[Slot], params: str, result: str) -> None:
        instance = self._instance
        slots = [Slot(params, result) for _ in range(BLOCK)]
        adapter = instance.adapter(((params, result, False),) * BLOCK)
        for slot, extern in zip(slots, instance._adapted(adapter, list(slots)), strict=True):
            slot.index = self.put(extern)
        unused += reversed(slots)

    def give_back(self, slot: Slot, ctype: str) -> None:
        """Make the slot free that a function of this type was in."""
        slot.clear(ctype)
        self._closed[slot.params, slot.result].append(slot)
        self.used -= 1
