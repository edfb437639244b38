"""What the typed layer of an instance adds to a snapshot: its callbacks and handles, for other instances."""

from __future__ import annotations

from wasqlite.bridge._wasmtime import FUNC
from wasqlite.bridge.cdef import callback
from wasqlite.bridge.errors import SnapshotError
from wasqlite.bridge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.table import Growth, Served
    from wasqlite.bridge.cdef.typed import Typed


class Saved(Record):
    """What ``save`` returns."""

    growth: tuple[Growth, ...]
    callbacks: dict[int, Served]
    handles: dict[int, Any]
    next_handle: int
    scratch: int
    """Where the memory for arguments is, which would be lost if each restore took another one."""


def save(typed: Typed) -> Saved:
    """What there is now."""
    table = typed.used_table
    growth = tuple(table.growth) if table else ()
    callbacks = {index: slot.served for index, slot in table.slots.items() if slot.served} if table else {}
    return Saved(growth, callbacks, dict(typed.handles.objects), typed.handles.next, typed.scratch.base)


def load(typed: Typed, saved: Saved) -> None:
    """Make a fresh instance's table like it, where each slot serves the same Python function; and share the handles."""
    instance = typed.instance
    for signature, name in saved.growth:
        if signature is not None:
            typed.table.grow(*signature)
            continue
        extern = instance.find(name, FUNC)
        if extern is None:  # one that C told of, by its place in the table
            extern = typed.table.get(int(name.split()[-1], 16))
        if extern is None:
            raise SnapshotError(f"{instance.name} has no {name}, of which a function pointer was made")
        typed.table.add(name, extern)
    if saved.growth:  # else there may be no table at all
        typed.table.take_all()
    for index, served in saved.callbacks.items():
        callback.serve(typed, typed.table.take_at(index), served)
    typed.handles.objects.update(saved.handles)
    typed.handles.next = saved.next_handle
    resume(typed, saved)


def resume(typed: Typed, saved: Saved) -> None:
    """What the restored memory has of an instance's own."""
    if saved.scratch:
        typed.scratch.use(saved.scratch)
