"""The state of an instance as a value: taken, put back any number of times, and put into other instances.

What belongs to it: the content of linear memory, and the mutable globals. What does not, because it is the host's:
what host functions keep; handles; and callbacks. After ``restore`` those that are still open serve as before, and a
closed one is an exception for C code that remembers it. An instance that is opened with a snapshot gets its callbacks,
which call the same Python functions, and handles for the same objects; they end with the instance.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping

from wasqlite.bridge import sections
from wasqlite.bridge._wasmtime import GLOBAL, MEMORY, Value
from wasqlite.bridge.errors import BridgeError, InstancePoisoned, ReentryError, SnapshotError
from wasqlite.bridge.image import PIECE, Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from wasqlite.bridge.cdef.saved import Saved
    from wasqlite.bridge.instance import Instance
    from wasqlite.bridge.library import Library
else:
    Protocol = object


class Held(Protocol):
    """What a guest may have of the host's."""

    def reason(self) -> str | None:
        """Why there can be no snapshot now; None if there is nothing."""

    def release(self) -> None:
        """Give it up: the guest is in a state in which it does not know of it."""


class Snapshot:
    """An instance as it was when ``Instance.snapshot()`` was called. Immutable; it outlives the instance.

    ``Instance.restore`` puts it back, ``Library.open(snapshot=...)`` opens another instance with it, in any thread, and
    in the child of a fork too. Its memory is given back with the last reference.
    """

    __slots__ = ("__weakref__", "_globals", "_image", "_of", "_typed", "library", "name")

    def __init__(self, instance: Instance, image: Image, values: dict[str, bytes], typed: Saved | None) -> None:
        self.library = instance.library
        self.name = instance.name
        self._of = weakref.ref(instance)
        self._typed = typed
        self._image = image
        self._globals = values

    @property
    def callbacks(self) -> Mapping[int, object]:
        """The callbacks that were open, by their index in the guest's function table."""
        return self._typed.callbacks if self._typed is not None else {}

    @property
    def size(self) -> int:
        """The size of linear memory, in bytes."""
        return self._image.size

    @property
    def stored(self) -> int:
        """How many bytes the snapshot takes: memory that is all zeros does not count."""
        return self._image.stored

    def __repr__(self) -> str:
        return f"<snapshot of {self.name}: {self.size} bytes of memory, {self.stored} stored>"


def take(instance: Instance) -> Snapshot:
    """``Instance.snapshot``."""
    library = instance.library
    names = _globals(library, instance.name)
    with instance.lock:
        if instance.state.dead is not None:
            instance.refuse()
        _check(instance, "taken of")
        instance.state.depth = 1  # so that no signal handler makes a call, restores or closes in the middle
        try:
            for held in instance.held:
                reason = held.reason()
                if reason is not None:
                    raise SnapshotError(f"no snapshot can be taken of {instance.name}: {reason}")
            instance.memory.refresh()
            values = {name: _value(instance, name) for name in names}
            return _remember(instance, Snapshot(instance, Image(instance.memory), values, _typed(instance)))
        finally:
            instance.state.depth = 0


def put_back(instance: Instance, snapshot: Snapshot) -> None:
    """``Instance.restore``."""
    if snapshot.library is not instance.library:
        raise _foreign(instance, snapshot)
    with instance.lock:
        if instance.state.dead is not None and not isinstance(instance.state.dead, InstancePoisoned):
            instance.refuse()
        _check(instance, "restored in")
        if snapshot.callbacks and snapshot._of() is not instance and instance.opened_with() is not snapshot:
            raise SnapshotError(
                f"the snapshot has {len(snapshot.callbacks)} callbacks of another instance of {instance.name}; open an "
                "instance with it, and it has them too"
            )
        _grow(instance, snapshot.size)
        _put(instance, _remember(instance, snapshot))


def fill(instance: Instance, snapshot: Snapshot) -> None:
    """Put a snapshot into an instance that was made just now."""
    if snapshot.library is not instance.library:
        raise _foreign(instance, snapshot)
    _grow(instance, snapshot.size)
    _put(instance, _remember(instance, snapshot))
    instance.generation = 0
    instance.opened_with = weakref.ref(snapshot)
    if snapshot._typed is not None:
        from wasqlite.bridge.cdef.saved import load

        load(instance.typed, snapshot._typed)
        _keep_slots(instance, snapshot)


def _typed(instance: Instance) -> Saved | None:
    if instance._typed is None:
        return None
    from wasqlite.bridge.cdef.saved import save

    return save(instance._typed)


def roll_back(instance: Instance, snapshot: Snapshot, ending: int) -> None:
    """After a trap: put the snapshot back, unless a call is still under way besides those that are ``ending``: its end
    will see to it."""
    with instance.lock:
        if instance.state.depth == ending and isinstance(instance.state.dead, InstancePoisoned):
            instance.memory.unmap_all()
            _grow(instance, snapshot.size)
            _put(instance, snapshot)


def _remember(instance: Instance, snapshot: Snapshot) -> Snapshot:
    if instance.rolls_back:
        instance.last_snapshot = snapshot
    _keep_slots(instance, snapshot)
    return snapshot


def _keep_slots(instance: Instance, snapshot: Snapshot) -> None:
    """As long as the snapshot lives, no other function takes a slot of the table that it has as an open callback."""
    if snapshot.callbacks and instance._typed is not None:
        instance._typed.table.snapshots.add(snapshot)


def _foreign(instance: Instance, snapshot: Snapshot) -> SnapshotError:
    return SnapshotError(
        f"a snapshot of {snapshot.name} cannot be put into an instance of {instance.name}: it must be the very "
        "library that the snapshot is of"
    )


def _put(instance: Instance, snapshot: Snapshot) -> None:
    state, depth = instance.state, instance.state.depth
    state.depth = depth + 1  # as in take()
    try:
        instance.memory.refresh()
        # A signal handler's exception may end this in the middle.
        state.dead = InstancePoisoned(
            f"restoring a snapshot in this instance of {instance.name} did not come to its end; restore it once more"
        )
        instance.generation += 1
        snapshot._image.put(instance.memory)
        for name, content in snapshot._globals.items():
            _set_value(instance, name, content)
        for held in instance.held:
            held.release()
        if instance._typed is not None and snapshot._typed is not None:
            from wasqlite.bridge.cdef.saved import resume

            resume(instance._typed, snapshot._typed)
        instance.parked.clear()
        state.dead = None
    finally:
        state.depth = depth


def _check(instance: Instance, what: str) -> None:
    """Refuse what would tear something apart. The lock is held."""
    if instance.state.depth:
        raise ReentryError(f"no snapshot can be {what} {instance.name} while a call is under way: {_WHEN}")
    if instance.memory.mapped:
        raise SnapshotError(f"no snapshot can be {what} {instance.name} while files are mapped over its memory")


_WHEN = "do it after that call has returned, not from inside a callback"


# -- globals -------------------------------------------------------------------------------------------------------


def _globals(library: Library, name: str) -> tuple[str, ...]:
    """The names of the mutable globals; SnapshotError if there is state that cannot be reached from outside."""
    if library.mutable is None:
        library.mutable = _checked(library, name)
    return library.mutable


def _checked(library: Library, name: str) -> tuple[str, ...]:
    state = sections.state(library.sections)
    if state.imported:
        raise SnapshotError(f"{name} imports {', '.join(state.imported)}: that state is not its own")
    if state.memories != 1:
        raise SnapshotError(f"{name} has {state.memories} memories, and a snapshot is of one")
    names = []
    for item in state.globals:
        if item.exported is None:
            raise SnapshotError(
                f"{name} has a mutable global (number {item.number}, {item.type}) that it does not export, so "
                "a snapshot would lack it; export it (wasm-ld: --export=NAME, or --export-all)"
            )
        if item.type == "reference":
            raise SnapshotError(f"{name} has a mutable global, {item.exported}, whose type is a reference")
        names.append(item.exported)
    return tuple(names)


def _value(instance: Instance, name: str) -> bytes:
    value = Value()
    extern = instance._export(instance._instance, name, GLOBAL)
    instance._api.global_get(instance._context, extern.address, ctypes.byref(value))
    return bytes(value)


def _set_value(instance: Instance, name: str, content: bytes) -> None:
    value = Value.from_buffer_copy(content)
    extern = instance._export(instance._instance, name, GLOBAL)
    error = instance._api.global_set(instance._context, extern.address, ctypes.byref(value))
    if error:
        raise BridgeError(f"{instance.name}: {name} cannot be set: {instance._api.take_error(error)}")


def _grow(instance: Instance, size: int) -> None:
    instance.memory.refresh()
    missing = size - instance.memory.size
    if missing <= 0:
        return
    memory = instance._export(instance._instance, "memory", MEMORY)
    before = ctypes.c_uint64()
    error = instance._api.memory_grow(instance._context, memory.address, missing // PIECE, ctypes.byref(before))
    if error:
        reason = instance._api.take_error(error)
        raise MemoryError(f"a snapshot of {size} bytes does not fit into this instance of {instance.name}: {reason}")
    instance.memory.refresh()
