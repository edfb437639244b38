"""``Cursor``: executes statements and hands out rows, most of them with one guest call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn

from wasqlite import rows as row_values
from wasqlite.binding import packed
from wasqlite.bridge import BridgeError
from wasqlite.bulk import execute_chunks
from wasqlite.capi.constants import SQLITE_INTERRUPT, SQLITE_ROW
from wasqlite.capi.statement import Unfinished
from wasqlite.capi.status import Failure, Status
from wasqlite.exceptions import ProgrammingError, from_failure, raise_unusable
from wasqlite.statement_cache import Description, Query, encode_sql

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.connection import Connection

Row = tuple[Any, ...]

FIRST_ROWS = 2
"""One more than a look-up needs, so that its end is known at once."""
MOST_ROWS = 4096
ALL_ROWS = 1 << 20
ITERATION_BYTES = 256 << 10
FETCHALL_BYTES = 1 << 20

_ARRAYSIZE: Any = type("arraysize", (), {"__repr__": lambda self: "arraysize"})()
LOST = Failure(SQLITE_INTERRUPT, "interrupted")
"""How a result ends whose rest was given up because an exception came out of a fetch."""


class Cursor:
    """SQLite database cursor class.

    ``_next`` is the row that the next fetch returns, ``_rows`` the rest of the batch. A further batch is fetched when
    the last row of this one is handed out: so the end of a statement, and the release of its locks, come with its
    last row, as in the stdlib. An error waits in ``_failure`` until the rows before it have been handed out.
    """

    __module__ = "wasqlite"
    __slots__ = (
        "__weakref__",
        "_arraysize",
        "_batch_rows",
        "_changes",
        "_closed",
        "_connection",
        "_description",
        "_failure",
        "_lastrowid",
        "_locked",
        "_next",
        "_query",
        "_raw",
        "_rowcount",
        "_rows",
        "_unfinished",
        "row_factory",
    )

    _next: Row | None
    _rows: Iterator[Row]
    _description: Description | None

    def __init__(self, connection: Connection, /) -> None:
        if not isinstance(connection, _connection_class()):
            raise TypeError(f"Cursor() argument 1 must be sqlite3.Connection, not {type(connection).__name__}")
        self._connection: Connection = connection
        self._locked = False
        self._closed = False
        self._arraysize = 1
        self._description = None
        self._rowcount = -1
        self._lastrowid: int | None = None
        self.row_factory: Any = None
        self._unfinished: Unfinished | None = None
        self._failure: Failure | None = None
        self._query: Query | None = None
        self._changes = -1
        self._raw = False
        self._next = None
        connection._check()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            # A slot that was never filled: a subclass did not call our __init__.
            if name.startswith("_") and name in Cursor.__slots__:
                raise ProgrammingError("Base Cursor.__init__ not called.")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    # -- checks ------------------------------------------------------------------------------------------------

    def _check(self) -> Database:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor.")
        connection = self._connection
        database = connection._database
        # The common case without two calls; connection._check() has the stdlib's order and messages.
        if database is None or connection._thread not in (None, get_ident()):
            database = connection._check()
        if self._locked:
            raise ProgrammingError("Recursive use of cursors not allowed.")
        return database

    def _drop(self) -> None:
        """Forget the result, and reset the statement if it is not finished."""
        self._next = None
        self._failure = None
        unfinished = self._unfinished
        if unfinished is not None:
            self._unfinished = None
            unfinished.release()

    # -- execution ---------------------------------------------------------------------------------------------

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Executes an SQL statement."""
        if not isinstance(sql, str):
            raise TypeError(f"execute() argument 1 must be str, not {row_values.type_name(sql)}")
        database = self._check()
        self._locked = True
        try:
            # Held until the statement is active or finished, or another thread could take it from the cache as well.
            with database.lock:
                query = self._begin(database, sql)
                self._rowcount = 0 if query.is_dml else -1
                if query.is_dml:
                    self._connection._begin_for(database, True)
                data = packed(query, parameters)
                if query.attaches:
                    self._connection._check_attach(database, sql, parameters)
                if query.statement.handle:
                    status = self._run(query, data)
                    self._lastrowid = status.last_rowid
                    if query.is_dml and self._next is None:
                        self._rowcount = status.changes
        except BridgeError as error:
            self._rowcount = -1
            raise_unusable(error)
        except BaseException:
            self._rowcount = -1
            raise
        finally:
            self._locked = False
        return self

    def _begin(self, database: Database, sql: str) -> Query:
        """Forget the last result, and find or compile the next statement."""
        self._description = self._next = self._failure = None
        if self._unfinished is not None:
            self._drop()
        cache = self._connection._cache
        query = cache.get(sql)
        if query.statement.active:
            # Perhaps only because the cursor that used it was dropped.
            database.settle()
            if query.statement.active:
                return cache.private(sql)
        return query

    def _run(self, query: Query, data: bytes) -> Status:
        """Execute a statement with packed parameters, and keep its first rows."""
        statement = query.statement
        status, columns, raw, failure = statement.execute(
            data, statement.parameters, FIRST_ROWS, ITERATION_BYTES, self._connection.text_factory is not str
        )
        if failure is not None and not columns:
            raise from_failure(failure)
        if status.reprepared != query.reprepared:
            query.describe_again()
        self._description = query.description
        self._query = query
        self._failure = failure
        if status.rc == SQLITE_ROW:
            self._unfinished = Unfinished(statement)
        if columns:
            self._changes = status.changes if query.is_dml else -1
            self._raw = raw
            self._batch_rows = FIRST_ROWS
            self._rows = rows = zip(*columns, strict=True)
            self._next = next(rows)
        return status

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Cursor:
        """Repeatedly executes an SQL statement."""
        if not isinstance(sql, str):
            raise TypeError(f"executemany() argument 1 must be str, not {row_values.type_name(sql)}")
        database = self._check()
        self._locked = True
        try:
            iterator = iter(seq_of_parameters)
            query = self._begin(database, sql)
            if query.statement.readonly:
                raise ProgrammingError("executemany() can only execute DML statements.")
            self._rowcount = 0 if query.is_dml else -1
            self._connection._begin_for(database, query.is_dml)
            if query.statement.names:
                with database.lock:
                    changes = self._run_returning(query, iterator)
            else:
                changes = execute_chunks(query, iterator)
            if query.is_dml:
                self._rowcount = changes
        except BridgeError as error:
            self._rowcount = -1
            raise_unusable(error)
        except BaseException:
            self._rowcount = -1
            raise
        finally:
            self._locked = False
        return self

    def _run_returning(self, query: Query, iterator: Iterator[Any]) -> int:
        """A statement that may return rows: set by set. A set after one that did is a misuse, as in the stdlib."""
        changes = 0
        for parameters in iterator:
            data = packed(query, parameters)
            if self._next is not None:
                self._drop()
                raise from_failure(row_values.MISUSE)
            status = self._run(query, data)
            if self._next is None:
                changes += status.changes
        return changes

    def executescript(self, sql_script: str, /) -> Cursor:
        """Executes multiple SQL statements at once; an open transaction is committed first."""
        if not isinstance(sql_script, str):
            raise TypeError(f"executescript() argument must be str, not {row_values.type_name(sql_script)}")
        sql_script.encode()
        if "\0" in sql_script:
            raise ValueError("embedded null character")
        database = self._check()
        encoded = encode_sql(database, sql_script)
        if "attach" in sql_script.lower():
            self._connection._check_attach(database, sql_script)
        self._connection._commit_before_script(database)
        try:
            failure = database.script(encoded)[1]
        except BridgeError as error:
            raise_unusable(error)
        if failure is not None:
            raise from_failure(failure)
        return self

    # -- fetching ----------------------------------------------------------------------------------------------

    def _advance(self, wanted: int = 0) -> None:
        """Put the row after the current one into ``_next``, from a further batch if need be."""
        following = next(self._rows, None)
        if following is None:
            if self._unfinished is not None:
                self._batch_rows = min(2 * self._batch_rows, MOST_ROWS)
                self._refill(max(self._batch_rows, wanted), ITERATION_BYTES)
                return
            if self._changes >= 0 and self._failure is None:
                self._rowcount = self._changes
        self._next = following

    def _refill(self, max_rows: int, max_bytes: int) -> None:
        """Fetch a further batch and put its first row into ``_next``."""
        unfinished = self._unfinished
        assert unfinished is not None and unfinished.statement is not None
        self._locked = True
        try:
            status, columns, self._raw, failure = unfinished.statement.fetch(
                max_rows, max_bytes, self._connection.text_factory is not str
            )
        except BaseException as error:
            self._unfinished = None
            self._failure = LOST  # what comes after the rows that are here must not look like the end
            unfinished.release_quietly()
            if isinstance(error, BridgeError):
                raise_unusable(error)
            raise
        finally:
            self._locked = False
        if status.rc != SQLITE_ROW:
            unfinished.finished()
            self._unfinished = None
            self._failure = failure
            if self._changes >= 0:
                self._changes = status.changes
        if columns:
            self._rows = rows = zip(*columns, strict=True)
            self._next = next(rows)
        else:
            self._next = None
            if self._changes >= 0 and failure is None:
                self._rowcount = self._changes

    def _end(self) -> None:
        """No row is left: raise the error that ended the statement, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._rowcount = -1 if self._changes >= 0 else self._rowcount
            raise from_failure(failure)

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> Any:
        connection = self._connection
        if (
            self._locked
            or self._closed
            or connection._database is None
            or connection._thread not in (None, get_ident())
        ):
            self._check()
        row = self._next
        if row is None:
            self._end()
            raise StopIteration
        if self._raw or connection.text_factory is not str:
            row = self._converted(row)
        self._advance()
        factory = self.row_factory
        return row if factory is None else factory(self, row)

    def _converted(self, row: Row) -> Row:
        self._locked = True
        try:
            return row_values.convert(row, self._connection.text_factory, self._description)
        finally:
            self._locked = False

    def fetchone(self) -> Any:
        """Fetches one row from the resultset."""
        try:
            return Cursor.__next__(self)
        except StopIteration:
            return None

    def fetchmany(self, size: int = _ARRAYSIZE) -> list[Any]:
        """Fetches several rows from the resultset; ``arraysize`` unless told."""
        count = self._arraysize if size is _ARRAYSIZE else row_values.row_count(size)
        self._check()
        fetched: list[Any] = []
        while (missing := count - len(fetched)) > 0:
            if self._next is None:
                if not fetched:
                    self._end()
                break
            if self._plain():
                fetched.append(self._next)
                fetched.extend(islice(self._rows, missing - 1))
                self._advance(missing)
            else:
                fetched.append(Cursor.__next__(self))
        return fetched

    def fetchall(self) -> list[Any]:
        """Fetches all rows from the resultset."""
        self._check()
        fetched: list[Any] = []
        while self._next is not None:
            if self._plain():
                fetched.append(self._next)
                fetched.extend(self._rows)
                if self._unfinished is not None:
                    self._refill(ALL_ROWS, FETCHALL_BYTES)
                else:
                    self._advance()
            else:
                fetched.append(Cursor.__next__(self))
        self._end()
        return fetched

    def fetch_numpy(self, *, types: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Fetches all rows from the resultset as one numpy array per column, by the columns' names.

        A column with NULLs is a masked array. See docs/columnar.md; needs ``wasqlite[numpy]``.
        """
        from wasqlite.columnar import arrays

        return arrays.fetch(self, types)

    def fetch_numpy_batches(self, rows: int = 65536, *, types: Mapping[str, Any] | None = None) -> Any:
        """The same in parts of ``rows`` rows (the last one may have fewer): an iterator that can be closed."""
        from wasqlite.columnar import arrays

        return arrays.Batches(self, rows, types)

    def fetch_arrow(self, *, types: Mapping[str, Any] | None = None) -> Any:
        """Fetches all rows from the resultset as Arrow data, which pyarrow, polars, duckdb and others take as it is.

        See docs/columnar.md; needs ``wasqlite[arrow]``.
        """
        from wasqlite.columnar.arrow import results

        return results.fetch(self, types)

    def fetch_arrow_batches(self, rows: int = 65536, *, types: Mapping[str, Any] | None = None) -> Any:
        """The same in record batches of at most ``rows`` rows, each fetched when the consumer asks for it."""
        from wasqlite.columnar.arrow import results

        return results.ArrowStream(self, rows, types)

    def _plain(self) -> bool:
        """Whether the rows of the batch go out as they are."""
        return self.row_factory is None and not self._raw and self._connection.text_factory is str

    # -- the rest ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the cursor."""
        if self._locked:
            raise ProgrammingError("Recursive use of cursors not allowed.")
        self._connection._check()
        try:
            self._drop()
        except BridgeError as error:
            raise_unusable(error)
        self._closed = True

    def setinputsizes(self, sizes: Any, /) -> None:
        """Required by DB-API. Does nothing."""

    def setoutputsize(self, size: Any, column: Any = None, /) -> None:
        """Required by DB-API. Does nothing."""

    @property
    def connection(self) -> Connection:
        """The connection that the cursor belongs to."""
        return self._connection

    @property
    def description(self) -> Description | None:
        """The names of the result columns, each with six times None; None if there are none."""
        return self._description

    @property
    def rowcount(self) -> int:
        """How many rows the last INSERT, UPDATE, DELETE or REPLACE changed; -1 for other statements."""
        return self._rowcount

    @property
    def lastrowid(self) -> int | None:
        """The rowid of the connection's last inserted row at the end of the last ``execute``."""
        return self._lastrowid

    @property
    def arraysize(self) -> int:
        """How many rows ``fetchmany`` returns."""
        return self._arraysize

    @arraysize.setter
    def arraysize(self, size: int) -> None:
        self._arraysize = row_values.row_count(size)


def _connection_class() -> type:
    from wasqlite.connection import Connection

    return Connection
