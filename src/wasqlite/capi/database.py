"""A ``sqlite3*``: an open database in a guest instance, its status and its calls."""

from __future__ import annotations

import time
from collections.abc import Callable

from wasqlite.bridge import BridgeError, InstanceClosed
from wasqlite.capi import status
from wasqlite.capi.callbacks import Callbacks
from wasqlite.capi.constants import (
    SQLITE_BUSY,
    SQLITE_DONE,
    SQLITE_LIMIT_SQL_LENGTH,
    SQLITE_NOMEM,
    SQLITE_OK,
    SQLITE_ROW,
)
from wasqlite.capi.library import fixed, library
from wasqlite.capi.progress import Interrupt
from wasqlite.capi.quick import INPUT_AT, RECORD_AT
from wasqlite.capi.sandbox import Handle, HostSide, Sandbox
from wasqlite.capi.statement import Statement
from wasqlite.capi.status import WAL_DATABASE, Failure, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SUCCESS = (SQLITE_OK, SQLITE_ROW, SQLITE_DONE)
_OUT_OF_MEMORY = Failure(SQLITE_NOMEM, "out of memory")
_SHORTEST_WAIT, _LONGEST_WAIT = 0.001, 0.1


class Database:
    """A connection to a database. It has an instance of its own, or shares one with others: see ``Sandbox``.

    Operations hold ``lock`` from writing their input to reading their output.
    """

    __slots__ = (
        "__weakref__",
        "_entry",
        "_handle",
        "_state",
        "_statements",
        "_status",
        "autocommit",
        "call_execute",
        "call_prepare",
        "closed",
        "dropped",
        "fresh",
        "input_at",
        "instance",
        "interrupt",
        "lock",
        "memory",
        "progress",
        "put",
        "record_at",
        "reserve",
        "sandbox",
        "sql_length",
        "status_at",
    )

    def __init__(self, home: HostSide | Sandbox) -> None:
        """In a sandbox that there is, or in a fresh one over a host side, which belongs to it from now on."""
        self.closed = False
        self.interrupt = Interrupt()
        self._handle = 0
        self._entry = Handle(self)
        self._statements = self._entry.statements
        self.sandbox = sandbox = home if isinstance(home, Sandbox) else Sandbox(home, library())
        self.instance = instance = sandbox.instance
        self.dropped = sandbox.dropped
        self.progress = sandbox.progress
        self.put: Callable[[bytes], int] = sandbox.put
        self.reserve: Callable[[int], int] = sandbox.reserve
        self.memory = instance.memory
        self.lock = sandbox.lock
        self._state = instance.state
        function = sandbox.function
        # What may wait for a lock or run long gives the GIL up.
        self.call_prepare = function("wsq_prepare")
        self.call_execute = function("wsq_execute")
        same = fixed(instance)
        if not same.status_at:
            same.status_at = function("wsq_status", hold_gil=True)()
        self.status_at = same.status_at
        self.record_at, self.input_at = self.status_at + RECORD_AT, self.status_at + INPUT_AT
        self.take_status(status.read(self.memory.view, self.status_at))
        self.autocommit = 1
        self.sql_length = 0

    def __del__(self) -> None:
        # Without close(): the next operation of another connection in the sandbox closes the handle. If there is no
        # other, the sandbox goes with it.
        if not self.closed:
            self.closed = True
            if self._handle:
                self.dropped.append(self._entry)

    def function(self, name: str, *, hold_gil: bool = False) -> Callable[..., int]:
        """The instance's function, unless this database was closed. Hold the lock."""
        if self.closed:
            _refuse()
        return self.sandbox.function(name, hold_gil=hold_gil)

    def with_lanes(self, name: str) -> Callable[..., int]:
        """The same for a statement that spends its time in user functions."""
        if self.closed:
            _refuse()
        return self.sandbox.function_with_lanes(name)

    # -- input and output --------------------------------------------------------------------------------------

    def take_status(self, found: Status) -> Status:
        """Remember what a call of this database left behind."""
        self._status = found
        self.autocommit = found.autocommit
        self.fresh = True
        return found

    @property
    def status(self) -> Status:
        """The status of the last call. ``Statement.quick`` leaves it in the guest until somebody asks."""
        if not self.fresh:
            self.take_status(status.read(self.memory.view, self.status_at))
        return self._status

    def finish(self) -> tuple[Status, Failure | None]:
        """Read what the call that just returned left behind. Hold the lock."""
        found = self.take_status(status.read(self.memory.view, self.status_at))
        return found, None if found.rc in _SUCCESS else self.failure(found)

    def failure(self, found: Status) -> Failure:
        """The error of a call, with its message copied out of guest memory. Hold the lock."""
        message = self.memory.read(found.message, found.message_size).decode("utf-8", "replace")
        code = found.extended or found.rc
        raised = self.interrupt.take(self._state.depth) if self.interrupt.raised else None
        return Failure(
            code,
            message,
            found.error_offset,
            found.system_errno,
            bool(found.flags & WAL_DATABASE),
            self.sandbox.cause(code, found.system_errno),
            raised,
        )

    def run(self, name: str, *arguments: int) -> tuple[Status, Failure | None]:
        """Call a function that may wait or run long, and read what it left behind. Hold the lock."""
        self.begin()
        outer, self.progress.running = self.progress.running, self.interrupt
        try:
            self.function(name)(*arguments)
        finally:
            self.progress.running = outer
        return self.finish()

    def callbacks(self) -> Callbacks:
        """Where functions and hooks are registered. Hold the lock."""
        callbacks = self.sandbox.callbacks
        callbacks.attach(self.instance)
        return callbacks

    def drain(self) -> None:
        """Finalize, reset and close what finalisers have queued. Hold the lock."""
        self.sandbox.drain()

    def wait_turn(self, failure: Failure, since: float | None) -> float | None:
        """Let others have the instance for a moment after SQLITE_BUSY: when the waiting began.

        None: do not try again, the busy handler's time is up. The lock, which the caller holds, is free meanwhile.
        """
        asked = self.interrupt.asked
        # Inside a callback the guest is on the stack: nobody else may enter.
        if not asked or failure.code & 0xFF != SQLITE_BUSY or self._state.depth or self.interrupt.requested:
            return None
        now = time.monotonic()
        if since is None:
            since = now
        left = since + asked / 1e9 - now
        if left <= 0:
            return None
        self.sandbox.turns.wait(min(max(now - since, _SHORTEST_WAIT), _LONGEST_WAIT, left))
        return since

    def interrupt_all(self) -> None:
        """End what is running, from any thread: at the next progress callback, or at once from inside a callback.

        https://sqlite.org/c3ref/interrupt.html
        """
        self.interrupt.requested = 1
        state = self._state
        # Whoever gets the lock while a call is under way, is in the call's thread.
        if state.depth and self.lock.acquire(blocking=False):
            try:
                with self.sandbox.callbacks.admitted():
                    if state.depth and state.reentrant and not self.closed:
                        self.function("sqlite3_interrupt", hold_gil=True)(self._handle)
            finally:
                self.lock.release()

    def inside(self) -> bool:
        """Whether this thread is in a guest call of the database, that is, in one of its callbacks."""
        with self.lock:
            return self._state.depth > 0 and self._state.dead is None

    def begin(self) -> None:
        """Forget what is of interest for one call only. Hold the lock."""
        interrupt = self.interrupt
        interrupt.asked = 0
        if interrupt.raised:
            interrupt.take(self._state.depth)

    def settle(self) -> None:
        """Do now what finalisers have queued."""
        with self.lock:
            self.drain()

    # -- the C functions ---------------------------------------------------------------------------------------

    def open(self, path: bytes, flags: int, milliseconds: int = 0) -> Failure | None:
        """Open a database file, and wait that long for locks before SQLITE_BUSY; ``path`` has no NUL.

        https://sqlite.org/c3ref/open.html, https://sqlite.org/c3ref/busy_timeout.html
        """
        with self.lock:
            if self.dropped:
                self.drain()
            self.function("wsq_open")(self.put(path + b"\0"), flags, 0, milliseconds)
            found, failure = self.finish()
            self._handle = self._entry.address = found.handle
            if found.handle:
                self.sandbox.handles.add(self._entry)
            if failure is None:
                same = fixed(self.instance)
                if not same.sql_length:
                    same.sql_length = self.limit(SQLITE_LIMIT_SQL_LENGTH)
                self.sql_length = same.sql_length
            return _OUT_OF_MEMORY if failure is not None and not found.handle else failure

    def close(self) -> None:
        """Finalize all statements and close the database, with its sandbox if it was the last one in it.

        Whatever fails, it is closed. https://sqlite.org/c3ref/close.html
        """
        with self.lock:
            if self.closed:
                return
            self.shut()
            sandbox = self.sandbox
            try:
                if self.instance.dead is None:
                    sandbox.close_handle(self._entry)
                    if sandbox.handles:
                        sandbox.drain()
            except BridgeError:
                pass  # poisoned or forked: it is thrown away all the same
            finally:
                self._handle = 0
                sandbox.handles.discard(self._entry)
                if not sandbox.handles:
                    sandbox.close()

    def shut(self) -> None:
        """Take no more calls, before anything else is done about it. Hold the lock."""
        self.closed = True
        # A thread that waits for the lock with a statement in its hand must not get into the guest with it.
        self.call_prepare = self.call_execute = _refuse
        self.put = self.reserve = _refuse

    def prepare(self, sql: bytes, flags: int = 0) -> tuple[Statement, int, Failure | None]:
        """Compile the first statement of ``sql``: it (without a handle if there was none) and the offset of the rest.

        https://sqlite.org/c3ref/prepare.html
        """
        since: float | None = None
        with self.lock:
            while True:
                if self.dropped:
                    self.drain()
                address = self.put(sql + b"\0")
                self.begin()
                outer, self.progress.running = self.progress.running, self.interrupt
                try:
                    self.call_prepare(self._handle, address, len(sql) + 1, flags)
                finally:
                    self.progress.running = outer
                found, failure = self.finish()
                if failure is None or (since := self.wait_turn(failure, since)) is None:
                    break
            if failure is None and found.stmt:
                self._statements.add(found.stmt)
            return Statement(self, found), found.tail, failure

    def script(self, sql: bytes) -> tuple[Status, Failure | None]:
        """Run every statement of ``sql``, discarding rows, up to the first error.

        https://sqlite.org/c3ref/exec.html
        """
        since: float | None = None
        start = 0
        with self.lock:
            if not self._state.depth:
                self.interrupt.requested = 0
            while True:
                if self.dropped:
                    self.drain()
                address = self.put(sql[start:] + b"\0")
                found, failure = self.run("wsq_script", self._handle, address, len(sql) - start)
                if failure is None or (since := self.wait_turn(failure, since)) is None:
                    return found, failure
                if found.tail:
                    start += found.tail  # what came before is done
                    since = None

    def limit(self, category: int, value: int = -1) -> int:
        """Set a run-time limit (negative: only ask) and return its former value, -1 if there is no such category.

        https://sqlite.org/c3ref/limit.html
        """
        with self.lock:
            former: int = self.function("sqlite3_limit", hold_gil=True)(self._handle, category, value)
            if category == SQLITE_LIMIT_SQL_LENGTH and value >= 0:
                self.sql_length = self.limit(category)
        return former - (former >> 31 << 32)  # the bridge returns i32 unsigned

    def error_string(self, code: int) -> str:
        """A result code in words.

        https://sqlite.org/c3ref/errcode.html
        """
        with self.lock:
            address = self.function("sqlite3_errstr", hold_gil=True)(code)
            return self.memory.string(address).decode()


def _refuse(*_: object) -> NoReturn:
    raise InstanceClosed("this database was closed")
