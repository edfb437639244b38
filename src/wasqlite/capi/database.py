"""A ``sqlite3*``: one guest instance with one open database, its status and its input buffer."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterable
from threading import RLock
from typing import Protocol

from wasqlite.bridge import BridgeError, ForkedInstance, HostFunction, Memory
from wasqlite.capi import status
from wasqlite.capi.constants import SQLITE_DONE, SQLITE_LIMIT_SQL_LENGTH, SQLITE_NOMEM, SQLITE_OK, SQLITE_ROW
from wasqlite.capi.library import library
from wasqlite.capi.progress import Interrupt
from wasqlite.capi.statement import Statement
from wasqlite.capi.status import WAL_DATABASE, Cause, Failure, Status


class HostSide(Protocol):
    """What serves the guest's imports: files, locks, clocks."""

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The host functions of the instance that has this memory."""

    def cause(self, code: int, number: int) -> Cause | None:
        """What failed on this side when a call ended with the result code ``code`` and the WASI errno ``number``."""

    def close(self) -> None:
        """Give back everything that is held, without entering the guest."""

    def abandon(self) -> None:
        """The same in a forked child, where it is the parent's."""


_SUCCESS = (SQLITE_OK, SQLITE_ROW, SQLITE_DONE)
_OUT_OF_MEMORY = Failure(SQLITE_NOMEM, "out of memory")
_FIRST_BUFFER = 4096


_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A thread that was inside at the fork does not exist in the child, where its lock would never be released. Nothing
    # is lost with the lock: the instance takes no more calls there.
    for database in list(_databases):
        database.lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Database:
    """Owns the instance and everything in it.

    Operations hold ``lock`` from writing their input to reading their output. Finalisers never enter the guest: they
    append to ``dropped`` (a handle to finalize, or a ``Statement`` to reset), and the next operation drains it.
    """

    __slots__ = (
        "__weakref__",
        "_buffer_at",
        "_buffer_size",
        "_handle",
        "_host",
        "_state",
        "_statements",
        "call_buffer",
        "call_execute",
        "call_execute_many",
        "call_fetch",
        "call_prepare",
        "closed",
        "dropped",
        "instance",
        "interrupt",
        "lock",
        "memory",
        "sql_length",
        "status",
        "status_at",
    )

    def __init__(self, host: HostSide) -> None:
        """A fresh instance over ``host``; it belongs to the database from now on."""
        self.closed = False
        self.dropped: deque[int | Statement] = deque()
        self.interrupt = Interrupt()
        self._host = host
        self._statements: set[int] = set()
        self._handle = 0
        self.instance = instance = library().open(hosts=[host.functions, self.interrupt.functions])
        self.interrupt.parked = instance.parked
        self.memory = instance.memory
        self.lock = instance.lock
        self._state = instance.state
        function = instance.function
        # What may wait for a lock or run long gives the GIL up.
        self.call_prepare = function("wsq_prepare")
        self.call_execute = function("wsq_execute")
        self.call_execute_many = function("wsq_execute_many")
        self.call_fetch = function("wsq_fetch")
        self.call_buffer = function("wsq_buffer", hold_gil=True)
        self.status_at: int = function("wsq_status", hold_gil=True)()
        self.status: Status = status.read(self.memory.view, self.status_at)
        self.sql_length = 0
        self._buffer_at = 0
        self._buffer_size = 0
        _databases.add(self)

    def __del__(self) -> None:
        # Without close(): the host's descriptors are closed and the guest is dropped, as if the process had died.
        if getattr(self, "instance", None) is not None and not self.closed:
            self.closed = True
            self._release()

    def _release(self) -> None:
        if isinstance(self.instance.dead, ForkedInstance):
            self._host.abandon()
        else:
            self._host.close()

    # -- input and output --------------------------------------------------------------------------------------

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
            address: int = self.call_buffer(size)
        elif size <= self._buffer_size:
            return self._buffer_at
        else:
            size = max(size, _FIRST_BUFFER)
            self._buffer_size = 0
            address = self._buffer_at = self.call_buffer(size)
            if address:
                self._buffer_size = size
        if not address:
            raise MemoryError(f"the guest has no {size} bytes left for its input")
        return address

    def finish(self) -> tuple[Status, Failure | None]:
        """Read what the call that just returned left behind. Hold the lock."""
        self.status = found = status.read(self.memory.view, self.status_at)
        return found, None if found.rc in _SUCCESS else self.failure(found)

    def failure(self, found: Status) -> Failure:
        """The error of a call, with its message copied out of guest memory. Hold the lock."""
        message = self.memory.read(found.message, found.message_size).decode("utf-8", "replace")
        code = found.extended or found.rc
        return Failure(
            code,
            message,
            found.error_offset,
            found.system_errno,
            bool(found.flags & WAL_DATABASE),
            self._host.cause(code, found.system_errno),
        )

    def drain(self) -> None:
        """Finalize and reset what finalisers have queued. Hold the lock."""
        dropped = self.dropped
        while dropped:
            item = dropped.popleft()
            if isinstance(item, Statement):
                if item.active:
                    item.reset()
            elif item in self._statements:
                self._statements.discard(item)
                self.instance.function("wsq_finalize", hold_gil=False)(item)
                self.finish()

    def inside(self) -> bool:
        """Whether this thread is in a guest call of the database, that is, in one of its callbacks."""
        with self.lock:
            return self._state.depth > 0 and self._state.dead is None

    def settle(self) -> None:
        """Do now what finalisers have queued."""
        with self.lock:
            self.drain()

    # -- the C functions ---------------------------------------------------------------------------------------

    def open(self, path: bytes, flags: int) -> Failure | None:
        """Open a database file; ``path`` has no NUL.

        https://sqlite.org/c3ref/open.html
        """
        with self.lock:
            self.instance.function("wsq_open")(self.put(path + b"\0"), flags, 0)
            found, failure = self.finish()
            self._handle = found.handle
            if failure is None:
                self.sql_length = self.limit(SQLITE_LIMIT_SQL_LENGTH)
            return _OUT_OF_MEMORY if failure is not None and not found.handle else failure

    def close(self) -> None:
        """Finalize all statements, close the database and throw the instance away; whatever fails, it is closed.

        https://sqlite.org/c3ref/close.html
        """
        if self.closed:
            return
        with self.lock:
            self.closed = True
            instance = self.instance
            try:
                if instance.dead is None and self._handle:
                    finalize = instance.function("wsq_finalize")
                    while self._statements:
                        finalize(self._statements.pop())
                    instance.function("wsq_close")(self._handle)
            except BridgeError:
                pass  # poisoned or forked: it is thrown away all the same
            finally:
                self._handle = 0
                try:
                    instance.close()
                finally:
                    self._release()

    def prepare(self, sql: bytes, flags: int = 0) -> tuple[Statement, int, Failure | None]:
        """Compile the first statement of ``sql``: it (without a handle if there was none) and the offset of the rest.

        https://sqlite.org/c3ref/prepare.html
        """
        with self.lock:
            if self.dropped:
                self.drain()
            address = self.put(sql + b"\0")
            self.call_prepare(self._handle, address, len(sql) + 1, flags)
            found, failure = self.finish()
            if failure is None and found.stmt:
                self._statements.add(found.stmt)
            return Statement(self, found), found.tail, failure

    def script(self, sql: bytes) -> tuple[Status, Failure | None]:
        """Run every statement of ``sql``, discarding rows, up to the first error.

        https://sqlite.org/c3ref/exec.html
        """
        with self.lock:
            if self.dropped:
                self.drain()
            address = self.put(sql + b"\0")
            self.instance.function("wsq_script")(self._handle, address, len(sql))
            return self.finish()

    def busy_timeout(self, milliseconds: int) -> None:
        """Wait that long for locks before SQLITE_BUSY.

        https://sqlite.org/c3ref/busy_timeout.html
        """
        self.instance.function("sqlite3_busy_timeout", hold_gil=True)(self._handle, milliseconds)

    def limit(self, category: int, value: int = -1) -> int:
        """Set a run-time limit (negative: only ask) and return its former value, -1 if there is no such category.

        https://sqlite.org/c3ref/limit.html
        """
        former: int = self.instance.function("sqlite3_limit", hold_gil=True)(self._handle, category, value)
        if category == SQLITE_LIMIT_SQL_LENGTH and value >= 0:
            self.sql_length = self.limit(category)
        return former - (former >> 31 << 32)  # the bridge returns i32 unsigned
