"""A ``sqlite3_stmt*``: execution in one guest call that binds, steps and returns a batch of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import error as StructError

from wasqlite.capi.batch import CorruptBatch, GuestColumn, Raw, decode, decode_raw, guest_columns
from wasqlite.capi.constants import SQLITE_DONE, SQLITE_INTERRUPT, SQLITE_ROW
from wasqlite.capi.parameters import Encoded
from wasqlite.capi.quick import OUTCOME, ROWS, packers, refuse, takers
from wasqlite.capi.sandbox import ACTIVE, RUNNING
from wasqlite.capi.status import LANES, NO_LANES, Failure, Status, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.capi.batch import Column
    from wasqlite.capi.database import Database
    from wasqlite.capi.quick import Put, Take

    Result = tuple[Status, Sequence[Column], Raw, Failure | None]
    """Status, columns of the batch, what is raw text in them, error. Rows before an error are there."""


BYTES, BOOLS = 1, 2
"""Of ``Statement.execute_rows``: everything that has a buffer is of just the class ``bytes``; bools are integers."""

_INTERRUPTED = Failure(SQLITE_INTERRUPT, "interrupted")


_OUTCOME = OUTCOME.unpack_from


class Statement:
    """A prepared statement. Its handle is finalized by the database's next operation after the last reference is gone.

    ``active`` is set while it has been stepped and neither finished nor been reset: it may hold a lock. It is
    ``RUNNING`` while it is being stepped: callbacks can see it, and must leave it alone.
    """

    __slots__ = (
        "_begun",
        "_kinds",
        "_prepared",
        "_put",
        "_take",
        "active",
        "calls",
        "database",
        "handle",
        "names",
        "parameters",
        "readonly",
        "reprepared",
    )

    def __init__(self, database: Database, found: Status) -> None:
        self.database = database
        self.active = 0
        self.calls = False
        """Whether it spends so much time in user functions that the GIL is better held meanwhile."""
        self._prepared: Callable[[], None] | None = None
        self._begun: tuple[int, Callable[[], None]] | None = None
        self._put: Put = refuse
        self._kinds = 0
        self._take: Take
        self.handle = found.stmt
        self.parameters = found.parameters
        self.readonly = bool(found.readonly)
        self.reprepared = found.reprepared
        self.names: list[str] = self._names(found) if found.stmt and found.columns else []

    def __del__(self) -> None:
        # A signal handler may have raised before __init__ got anywhere.
        if getattr(self, "handle", 0):
            self.database.dropped.append((self.handle, self.database._entry))

    def _names(self, found: Status) -> list[str]:
        columns, raw = self._decode(found, 1, found.rows, raw=False)
        return [name.decode("utf-8", "replace") for name in columns[0]] if raw else list(columns[0])

    def _decode(self, found: Status, columns: int, limit: int, *, raw: bool) -> tuple[list[Column], Raw]:
        """The columns of the batch; raw also if there is text that is not UTF-8."""
        if found.rows > limit:
            raise CorruptBatch(f"a batch has {found.rows} rows where at most {limit} were asked for")
        memory = self.database.memory
        try:
            return _decoded(memory.view, found, columns, raw)
        except CorruptBatch:
            memory.refresh()  # it may have grown during the call
            return _decoded(memory.view, found, columns, raw)

    def _result(self, max_rows: int, raw: bool) -> Result:
        database = self.database
        view = database.memory.view
        status = database.take_status(read(view, database.status_at))
        rc = status.rc
        self.active = ACTIVE if rc == SQLITE_ROW else 0
        if status.flags:
            self._note(status.flags)
        failure = None if rc in (SQLITE_DONE, SQLITE_ROW) else database.failure(status)
        rows = status.rows
        if not rows:
            return status, (), (), failure
        if rows <= max_rows and not raw:
            try:
                return status, decode(view, status.batch, status.columns, rows), (), failure
            except (UnicodeDecodeError, CorruptBatch):
                pass  # or only that the memory has grown during the call
        return status, *self._decode(status, status.columns, max_rows, raw=raw), failure

    def execute(
        self,
        packed: bytes,
        count: int,
        max_rows: int,
        max_bytes: int,
        raw: bool = False,
        as_blobs: bytes | None = None,
    ) -> Result:
        """Reset, bind ``count`` packed parameters, and step until the batch is full or there are no more rows.

        ``as_blobs``: a byte per column, not 0 if its values are to be read as blobs. If SQLite prepared the statement
        again, there are no rows in the result, but a status with ``SQLITE_ROW`` and another ``reprepared``: fetch them.
        https://sqlite.org/c3ref/step.html
        """
        database = self.database
        progress = database.progress
        interrupt = database.interrupt
        since: float | None = None
        with database.lock:
            if interrupt.requested and not database._state.depth:
                interrupt.requested = 0  # it was meant for what ran before; inside a callback, that is still running
            while True:
                if database.dropped:
                    database.drain()
                address = database.put(packed if as_blobs is None else packed + as_blobs) if packed or as_blobs else 0
                interrupt.asked = 0
                if interrupt.raised:
                    database.begin()
                outer = progress.running
                progress.running = interrupt
                self.active = RUNNING
                try:
                    if as_blobs is None:
                        call = database.call_execute if not self.calls else database.with_lanes("wsq_execute")
                        call(self.handle, address, count, max_rows, max_bytes)
                    else:
                        mask = address + len(packed)
                        database.function("wsq_execute_as_blobs")(
                            self.handle, address, count, max_rows, max_bytes, mask, len(as_blobs), self.reprepared
                        )
                except BaseException:
                    self._abandon()
                    raise
                finally:
                    progress.running = outer
                result = self._result(max_rows, raw)
                if result[3] is None or (since := self._wait_turn(result[3], since)) is None:
                    return result

    def prepare_quick(self) -> bool:
        """Make ``quick`` possible, for a statement that is executed often, unless it cannot be. Hold the lock."""
        database = self.database
        if not self.handle or self.calls or database.sandbox.shared or database.closed:
            return False
        if self._prepared is None:
            self._prepared = database.instance.prepare("wsq_quick", self.handle, self.parameters, 0)
        return True

    def _after(self, begin: Statement) -> Callable[[], None]:
        """The prepared call that executes ``begin`` first."""
        if self._begun is None or self._begun[0] != begin.handle:
            call = self.database.instance.prepare("wsq_quick", self.handle, self.parameters, begin.handle)
            self._begun = begin.handle, call
        return self._begun[1]

    def quick(
        self, values: tuple[Any, ...], begin: Statement | None = None
    ) -> tuple[int, int, int, int, int, int, int] | None:
        """``execute`` for a few small values of exact types. None: not possible, and nothing has happened.

        ``begin``, which has no parameters and returns no rows, is executed before it; if it fails, so does this.

        Else the fields of ``OUTCOME``; the row, if there is just one, is for ``takers`` at the database's ``record_at``
        (kinds 0: it is for ``result``, as more rows and errors are). Hold the lock.
        """
        database = self.database
        call = self._prepared
        if call is None or database._state.depth:
            return None
        if begin is not None:
            call = self._after(begin)
        if database.dropped:
            database.drain()
        view = database.memory.view
        try:
            written = self._put(view, database.input_at, values)
            if not written:
                put = self._put = packers[tuple(map(type, values))] if len(values) == self.parameters else refuse
                written = put(view, database.input_at, values)
                if not written:
                    return None
        except (StructError, UnicodeEncodeError):
            return None  # the general way tells what is wrong
        interrupt = database.interrupt
        interrupt.requested = 0
        if interrupt.raised:
            database.begin()
        database.progress.running = interrupt  # the only one in this sandbox
        self.active = RUNNING
        try:
            call()
        except BaseException:
            self._abandon()
            raise
        outcome = _OUTCOME(view, database.status_at)
        database.autocommit = outcome[3]
        database.fresh = False
        self.active = 0
        return outcome

    def run(self) -> Failure | None:
        """Execute a statement that has no parameters and returns no rows.

        https://sqlite.org/c3ref/step.html
        """
        with self.database.lock:
            outcome = self.quick(()) if self.prepare_quick() else None
            if outcome is not None:
                return None if outcome[0] == SQLITE_DONE else self._result(1, raw=False)[3]
        return self.execute(b"", 0, 1, 0)[3]

    def record(self, kinds: int) -> tuple[Any, ...]:
        """The row that ``quick`` left behind; UnicodeDecodeError if a text is not UTF-8. Hold the lock."""
        database = self.database
        if kinds != self._kinds:
            self._take = takers[kinds]
            self._kinds = kinds
        try:
            return self._take(database.memory.view, database.record_at)
        except CorruptBatch:
            database.memory.refresh()  # it may have grown during the call
            return self._take(database.memory.view, database.record_at)

    def result(self, raw: bool) -> Result:
        """What ``quick`` left behind, in ``execute``'s form."""
        return self._result(ROWS, raw)

    def fetch(self, max_rows: int, max_bytes: int, raw: bool = False, as_blobs: bytes | None = None) -> Result:
        """Step on, for a further batch.

        https://sqlite.org/c3ref/step.html
        """
        database = self.database
        with database.lock:
            if as_blobs is not None:
                call = self._fetching(as_blobs)
            else:
                call = database.function("wsq_fetch") if not self.calls else database.with_lanes("wsq_fetch")
            if not self._step_on(call, max_rows, max_bytes):
                return database.status, (), (), _INTERRUPTED
            return self._result(max_rows, raw)

    def _fetching(self, as_blobs: bytes) -> Callable[..., int]:
        database = self.database
        function = database.function("wsq_fetch_as_blobs")

        def call(handle: int, max_rows: int, max_bytes: int) -> int:
            return function(handle, max_rows, max_bytes, database.put(as_blobs), len(as_blobs))

        return call

    def fetch_columns(
        self, max_rows: int, max_bytes: int, take: Callable[[int, list[GuestColumn]], None], *, packed: bool
    ) -> tuple[Status, Failure | None]:
        """Step on, for a further batch, and let ``take`` copy its rows' columns out of guest memory.

        ``packed``: nothing stands between the texts of a column. https://sqlite.org/c3ref/step.html
        """
        database = self.database
        with database.lock:
            call = database.function("wsq_fetch_packed" if packed else "wsq_fetch")
            if not self._step_on(call, max_rows, max_bytes):
                return database.status, _INTERRUPTED
            status, failure = database.finish()
            self.active = ACTIVE if status.rc == SQLITE_ROW else 0
            if status.rows > max_rows:
                raise CorruptBatch(f"a batch has {status.rows} rows where at most {max_rows} were asked for")
            if status.rows:
                database.memory.refresh()
                view = database.memory.view
                take(status.rows, guest_columns(view, status.batch, status.columns, status.rows))
            return status, failure

    def _step_on(self, call: Callable[..., int], max_rows: int, max_bytes: int) -> bool:
        """Run one of the fetching functions. False: interrupted, and reset. Hold the lock."""
        database = self.database
        if database.dropped:
            database.drain()
        if database.interrupt.requested:
            # SQLite would see it at the next step of a statement that is under way; we look less often.
            database.interrupt.requested = 0
            self.reset()
            return False
        progress = database.progress
        outer = progress.running
        progress.running = database.interrupt
        if progress.running.raised:
            database.begin()
        self.active = RUNNING
        try:
            call(self.handle, max_rows, max_bytes)
        except BaseException:
            self._abandon()
            raise
        finally:
            progress.running = outer
        return True

    def _note(self, flags: int) -> None:
        """Take note of how much time it spent in user functions."""
        if flags & LANES:
            self.calls = True
            self._prepared = None  # what is quick for others would be slower
        elif flags & NO_LANES:
            self.calls = False

    def execute_many(self, batch: Encoded) -> tuple[Status, Failure | None]:
        """Bind, step to the end and reset for each row of an input batch; ``status.rows`` tells how many were done.

        https://sqlite.org/c3ref/step.html
        """
        database = self.database

        def call() -> None:
            address = database.reserve(batch.size)
            database.memory.write(address, batch.placed(address))
            database.function("wsq_execute_many")(self.handle, address, batch.columns, batch.rows)

        return self._run_many(call)

    def execute_rows(self, rows: bytes, readable: int) -> tuple[Status, Failure | None]:
        """``execute_many`` for what ``marshal.dumps(rows, 2)`` makes of a list of tuples or lists.

        ``readable``: what may be in them besides int, float, str and None, ``BYTES`` and ``BOOLS``. With
        ``UNSUITABLE_ROW`` in ``status.flags`` the row after those that were done is for ``execute_many``.
        """
        database = self.database

        def call() -> None:
            address = database.reserve(len(rows))
            database.memory.write(address, rows)
            database.function("wsq_execute_rows")(self.handle, address, len(rows), readable)

        return self._run_many(call)

    def _run_many(self, call: Callable[[], None]) -> tuple[Status, Failure | None]:
        database = self.database
        progress = database.progress
        interrupt = database.interrupt
        since: float | None = None
        with database.lock:
            if interrupt.requested and not database._state.depth:
                interrupt.requested = 0  # it was meant for what ran before; inside a callback, that is still running
            while True:
                if database.dropped:
                    database.drain()
                database.begin()
                outer = progress.running
                progress.running = interrupt
                self.active = RUNNING
                try:
                    call()
                except BaseException:
                    self._abandon()
                    raise
                finally:
                    progress.running = outer
                self.active = 0
                found, failure = database.finish()
                if failure is None or found.rows or (since := self._wait_turn(failure, since)) is None:
                    return found, failure

    def _wait_turn(self, failure: Failure, since: float | None) -> float | None:
        """``Database.wait_turn``; while the lock is free, nobody else must take the statement."""
        self.active = RUNNING
        try:
            return self.database.wait_turn(failure, since)
        finally:
            self.active = 0

    def _abandon(self) -> None:
        """An exception came out of a call in place of its result: take note of what it did, and give its rows up."""
        if self.database.closed or self.database.instance.dead is not None:
            self.active = 0
            return
        found, _ = self.database.finish()
        if found.rc == SQLITE_ROW:
            self.reset()
        self.active = 0

    def reset(self) -> None:
        """Give up the rest of the rows, and the locks with them.

        https://sqlite.org/c3ref/reset.html
        """
        database = self.database
        with database.lock:
            self.active = 0
            if database.closed:
                return  # and with it the statement is gone
            progress = database.progress
            outer, progress.running = progress.running, progress.idle
            try:
                database.function("wsq_reset")(self.handle)
            finally:
                progress.running = outer
            database.finish()

    def column_names(self) -> list[str]:
        """The names of the result columns, asked for again: the statement may have been prepared anew.

        https://sqlite.org/c3ref/column_name.html
        """
        database = self.database
        with database.lock:
            database.function("wsq_columns", hold_gil=True)(self.handle)
            found, failure = database.finish()
            if failure is None:
                self.reprepared = found.reprepared
                self.names = self._names(found) if found.columns else []
            return self.names

    def declared_types(self) -> list[str | None]:
        """The types of the result columns in the words of CREATE TABLE; None for expressions and columns without one.

        https://sqlite.org/c3ref/column_decltype.html
        """
        database = self.database
        with database.lock:
            database.function("wsq_declared_types", hold_gil=True)(self.handle)
            found, failure = database.finish()
            if failure is not None or not found.rows:
                return [None] * found.columns
            columns, _ = self._decode(found, 1, found.columns, raw=True)
            return [None if text is None else text.decode("utf-8", "replace") for text in columns[0]]

    def parameter_names(self) -> list[str | None]:
        """The names of the parameters with their prefix; None for those without a name.

        https://sqlite.org/c3ref/bind_parameter_name.html
        """
        database = self.database
        with database.lock:
            database.function("wsq_parameters", hold_gil=True)(self.handle)
            found, failure = database.finish()
            if failure is not None or not found.rows:
                return [None] * self.parameters
            return list(self._decode(found, 1, self.parameters, raw=False)[0][0])


def _decoded(view: memoryview, found: Status, columns: int, raw: bool) -> tuple[list[Column], Raw]:
    if not raw:
        try:
            return decode(view, found.batch, columns, found.rows), ()
        except UnicodeDecodeError:
            pass
    return decode_raw(view, found.batch, columns, found.rows)


class Unfinished:
    """Holds an active statement. When it is dropped without ``release()``, the statement is queued to be reset."""

    __slots__ = ("statement",)

    def __init__(self, statement: Statement) -> None:
        self.statement: Statement | None = statement

    def __del__(self) -> None:
        statement = getattr(self, "statement", None)
        if statement is not None:
            statement.database.dropped.append(statement)

    def finished(self) -> None:
        """The statement has come to its end by itself."""
        self.statement = None

    def release(self) -> None:
        """Reset the statement now."""
        statement, self.statement = self.statement, None
        if statement is not None and statement.active:
            statement.reset()

    def release_quietly(self) -> None:
        """Reset the statement with the database's next operation."""
        statement, self.statement = self.statement, None
        if statement is not None and statement.active:
            statement.database.dropped.append(statement)
