"""A guest instance and what the connections in it have in common: one as a rule, several for shared memory."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, RLock

from wasqlite.bridge import ForkedInstance, HostFunction, Memory
from wasqlite.capi.callbacks import Callbacks
from wasqlite.capi.progress import Progress
from wasqlite.capi.turns import without_sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from wasqlite.bridge import Library, Snapshot
    from wasqlite.capi.database import Database
    from wasqlite.capi.statement import Statement
    from wasqlite.capi.status import Cause
else:
    Protocol = object


class HostSide(Protocol):
    """What serves the guest's imports: files, locks, clocks."""

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The host functions of the instance that has this memory."""

    def cause(self, code: int, number: int) -> Cause | None:
        """What failed on this side when a call ended with the result code ``code`` and the WASI errno ``number``."""

    def open_files(self) -> list[bytes]:
        """The paths of the files that the guest has open."""

    def close(self) -> None:
        """Give back everything that is held, without entering the guest."""

    def abandon(self) -> None:
        """The same in a forked child, where it is the parent's."""


class Handle:
    """A ``sqlite3*`` with its ``sqlite3_stmt*`` and what else it owns.

    It outlives a dropped ``Database`` until the guest closes it.
    """

    __slots__ = ("address", "database", "objects", "statements")

    def __init__(self, database: Database) -> None:
        self.address = 0
        self.statements: set[int] = set()
        self.objects: dict[int, str] = {}
        """The addresses of blobs and backups, with the C functions that close them: see ``Owned``."""
        self.database = weakref.ref(database)


_FIRST_BUFFER = 4096
ACTIVE, RUNNING = 1, 2
"""Of ``Statement.active``."""

_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A thread that was inside at the fork does not exist in the child, where its lock would never be released. Nothing
    # is lost with the lock: the instance takes no more calls there.
    for sandbox in list(_sandboxes):
        sandbox.lock = RLock()
        for handle in list(sandbox.handles):
            database = handle.database()
            if database is not None:
                database.lock = sandbox.lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Sandbox:
    """Owns the instance and everything in it; its databases own the sandbox.

    Finalisers never enter the guest: they append to ``dropped`` the address of a statement or of what else a
    ``Handle`` owns, with that, a ``Statement`` to reset, or a ``Handle`` to close; the next operation of any connection
    drains it.
    """

    __slots__ = (
        "__weakref__",
        "_buffer_at",
        "_buffer_size",
        "_call_buffer",
        "_functions",
        "_host",
        "_released",
        "_state",
        "callbacks",
        "dropped",
        "handles",
        "instance",
        "lock",
        "memory",
        "progress",
        "shared",
        "turns",
    )

    def __init__(
        self,
        host: HostSide,
        library: Library,
        *,
        shared: bool = False,
        snapshot: Snapshot | None = None,
        lock: RLock | None = None,
    ) -> None:
        """A fresh instance over ``host``, which belongs to it from now on; ``shared``: for several connections.

        With ``snapshot`` it begins in that state, of which ``capi.snapshot`` knows more. ``lock`` is the sandbox's
        in whose place it comes, if there is one: other threads may wait for it already.
        """
        self._host = host
        self._released = False
        self.shared = shared
        self.handles: set[Handle] = set()
        self.dropped: deque[tuple[int, Handle] | Handle | Statement] = deque()
        self.progress = Progress()
        self.callbacks = Callbacks(self.progress)
        # What host functions refer to must not lead back here, or nothing of this would ever be collected.
        functions = without_sleep(host.functions, self.handles, self.progress) if shared else host.functions
        hosts = [functions, self.progress.functions, self.callbacks.functions]
        self.instance = instance = library.open(hosts=hosts, snapshot=snapshot)
        if lock is not None:
            instance.lock = lock  # before any function is made, as they keep it
        self.progress.parked = instance.parked
        self.callbacks.state = instance.state
        self.memory = instance.memory
        self.lock = instance.lock
        self.turns = Condition(instance.lock)
        self._state = instance.state
        self._functions: dict[str, Callable[..., int]] = {}
        self._call_buffer = instance.function("wsq_buffer", hold_gil=True)
        self._buffer_at = 0
        self._buffer_size = 0
        _sandboxes.add(self)

    def __del__(self) -> None:
        # Without close(): the host's descriptors are closed and the guest is dropped, as if the process had died.
        if getattr(self, "instance", None) is not None:
            self._release()

    def _release(self) -> None:
        if self._released:
            return
        self._released = True
        self.callbacks.close()
        if isinstance(self.instance.dead, ForkedInstance):
            self._host.abandon()
        else:
            self._host.close()

    def close(self) -> None:
        """Throw the instance away, and give the host's files back. Hold the lock."""
        self._buffer_size = 0  # there is none to write to: who comes with input is told so by the call for another one
        try:
            self.instance.close()
        finally:
            self._release()

    def function_with_lanes(self, name: str) -> Callable[..., int]:
        """The instance's function in the form for statements that call user functions all the time."""
        found = self._functions.get(name + " with lanes")
        if found is None:
            found = self._functions[name + " with lanes"] = self.instance.function(name, lanes=True)
        return found

    def function(self, name: str, *, hold_gil: bool = False) -> Callable[..., int]:
        """The instance's function; which of the two kinds is settled by the first who asks for it."""
        found = self._functions.get(name)
        if found is None:
            # To make one takes 20 us.
            found = self._functions[name] = self.instance.function(name, hold_gil=hold_gil)
        return found

    def open_files(self) -> list[bytes]:
        """The paths of the files that the guest has open."""
        return self._host.open_files()

    def cause(self, code: int, number: int) -> Cause | None:
        """What failed on the host's side, for a call that ended with these."""
        return self._host.cause(code, number)

    # -- input -------------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> int:
        """Write ``data`` into the input buffer: its address. Hold the lock."""
        size = len(data)
        # A call from inside a callback has a buffer of its own, which is not to be remembered.
        if size > self._buffer_size or self._state.depth:
            address = self.reserve(size)
            self.memory.write(address, data)
        else:
            address = self._buffer_at
            self.memory.view[address : address + size] = data
        return address

    def reserve(self, size: int) -> int:
        """The address of an input buffer of ``size`` bytes. Hold the lock."""
        if self._state.depth:
            address: int = self._call_buffer(size)
        elif size <= self._buffer_size:
            return self._buffer_at
        else:
            size = max(size, _FIRST_BUFFER)
            self._buffer_size = 0
            address = self._buffer_at = self._call_buffer(size)
            if address:
                self._buffer_size = size
        if not address:
            raise MemoryError(f"the guest has no {size} bytes left for its input")
        return address

    @property
    def buffer(self) -> tuple[int, int]:
        """Address and size of the input buffer in the guest's heap, for snapshots."""
        return self._buffer_at, self._buffer_size

    @buffer.setter
    def buffer(self, found: tuple[int, int]) -> None:
        self._buffer_at, self._buffer_size = found

    # -- handles -----------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Finalize, reset and close what finalisers have queued, of all connections. Hold the lock."""
        progress = self.progress
        outer, progress.running = progress.running, progress.idle
        try:
            self._drain()
        finally:
            progress.running = outer

    def _drain(self) -> None:
        dropped = self.dropped
        while dropped:
            item = dropped.popleft()
            if isinstance(item, tuple):
                address, handle = item
                # Not there any more if its connection was closed; the address may be another object's by now.
                if address in handle.statements:
                    handle.statements.discard(address)
                    self.function("wsq_finalize")(address)
                elif address in handle.objects:
                    self.function(handle.objects.pop(address))(handle.address, address)
                else:
                    continue
                database = handle.database()
                if database is not None:
                    database.finish()
            elif isinstance(item, Handle):
                self.close_handle(item)
            elif item.active == ACTIVE and not item.database.closed:
                item.reset()

    def close_handle(self, handle: Handle) -> None:
        """Finalize its statements, close what else it owns, and close it. Hold the lock.

        https://sqlite.org/c3ref/close.html
        """
        self.progress.running = self.progress.idle
        finalize = self.function("wsq_finalize")
        while handle.statements:
            finalize(handle.statements.pop())
        while handle.objects:
            address, closes = handle.objects.popitem()
            self.function(closes)(handle.address, address)
        address, handle.address = handle.address, 0
        if address:
            self.function("wsq_close")(address)
            self.callbacks.forget_hooks(address)
            self.callbacks.settle()
        self.handles.discard(handle)

    def in_use(self) -> bool:
        """Whether there is an open connection that somebody can still use."""
        return any(handle.database() is not None for handle in list(self.handles))
