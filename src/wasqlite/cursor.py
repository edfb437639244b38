"""``Cursor``: executes statements and hands out rows, most of them with one guest call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import get_ident

from wasqlite import handout
from wasqlite import rows as row_values
from wasqlite.adapting import registered
from wasqlite.binding import packed
from wasqlite.bridge import BridgeError
from wasqlite.capi.constants import SQLITE_DONE, SQLITE_INTERRUPT, SQLITE_ROW
from wasqlite.capi.statement import Unfinished
from wasqlite.capi.status import Failure, Status
from wasqlite.columns import Columns, Description
from wasqlite.exceptions import ProgrammingError, from_failure, raise_unusable
from wasqlite.row import Row, explain_refusal, new_row
from wasqlite.statement_cache import Query, encode_sql

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self

    from wasqlite.capi.batch import Column, Raw
    from wasqlite.capi.database import Database
    from wasqlite.columnar.arrays import Batches
    from wasqlite.columnar.arrow.results import ArrowStream, ArrowTable
    from wasqlite.connection import Connection
    from wasqlite.converting import Conversion

    Values = tuple[Any, ...]


FIRST_ROWS = 2
"""One more than a look-up needs, so that its end is known at once."""
MOST_ROWS = 4096
ITERATION_BYTES = 256 << 10


class _NotInitialised:
    """In the place of the connection until ``Cursor.__init__`` has run."""

    _database = None
    row_factory = None
    text_factory = str

    def _check(self) -> NoReturn:
        raise ProgrammingError("Base Cursor.__init__ not called.")


_NOT_INITIALISED: Any = _NotInitialised()
_ARRAYSIZE: Any = type("arraysize", (), {"__repr__": lambda self: "arraysize"})()
_NO_MORE: Iterator[Values] = iter(())
LOST = Failure(SQLITE_INTERRUPT, "interrupted")
"""How a result ends whose rest was given up because an exception came out of a fetch."""


class Cursor:
    """SQLite database cursor class.

    ``_next`` is the row that the next fetch returns, ``_rows`` the rest of the batch. A further batch is fetched when
    the last row of this one is handed out: so the end of a statement, and the release of its locks, come with its
    last row, as in the stdlib. An error waits in ``_failure`` until the rows before it have been handed out.

    While a row factory runs over many rows at once, these are ``_lent``: any use of the cursor takes back what has not
    been worked on, so that a factory finds the cursor as if the rows went out one by one.
    """

    __module__ = "wasqlite"
    __slots__ = (
        "__weakref__",
        "_arraysize",
        "_batch_rows",
        "_cells",
        "_changes",
        "_closed",
        "_columns",
        "_connection",
        "_conversion",
        "_failure",
        "_fresh",
        "_known_steps",
        "_lastrowid",
        "_lent",
        "_locked",
        "_next",
        "_query",
        "_row_factory",
        "_rowcount",
        "_rows",
        "_unfinished",
    )

    _next: Values | None
    _rows: Iterator[Values]
    _columns: Columns | None

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        # A subclass may forget to call our __init__. No __getattr__ for that: it would slow down every attribute.
        self = object.__new__(cls)
        self._reset(_NOT_INITIALISED)
        self._rowcount = self._arraysize = 0
        return self

    def __init__(self, connection: Connection, /) -> None:
        if not isinstance(connection, _connection_classes):
            raise TypeError(f"Cursor() argument 1 must be sqlite3.Connection, not {type(connection).__name__}")
        if handout.converting and id(self) in handout.converting:
            raise ProgrammingError("Recursive use of cursors not allowed.")
        self._reset(connection)
        connection._check()

    def _reset(self, connection: Connection) -> None:
        """The state of a new cursor."""
        self._connection: Connection = connection
        self._locked = False
        self._closed = False
        self._arraysize = 1
        self._columns = None
        self._rowcount = -1
        self._lastrowid: int | None = None
        self._row_factory: Any = None
        self._lent: tuple[list[Values], Iterator[Values]] | None = None
        self._unfinished: Unfinished | None = None
        self._failure: Failure | None = None
        self._query: Query | None = None
        self._changes = -1
        self._cells: row_values.Cells = ()
        self._conversion: Conversion | None = None
        self._fresh: tuple[Values, Sequence[Sequence[Any]]] | None = None
        self._known_steps: tuple[row_values.Cells, Any, Columns, row_values.Steps] | None = None
        self._next = None
        self._rows = _NO_MORE

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
            self._check_lent()
        return database

    def _check_to_execute(self) -> Database:
        """As ``_check``; what is refused leaves no number of changes behind, as in the stdlib."""
        try:
            return self._check()
        except BaseException:
            self._rowcount = -1
            raise

    def _check_lent(self) -> None:
        """The cursor is at work: it may be used if that is a row factory's."""
        if self._lent is None:
            raise ProgrammingError("Recursive use of cursors not allowed.")
        handout.take_back(self)

    def _drop(self) -> None:
        """Forget the result, and reset the statement if it is not finished."""
        self._next = None
        self._failure = None
        unfinished = self._unfinished
        if unfinished is not None:
            self._unfinished = None
            unfinished.release()

    # -- execution ---------------------------------------------------------------------------------------------

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Executes an SQL statement."""
        if not isinstance(sql, str):
            raise TypeError(f"execute() argument 1 must be str, not {row_values.type_name(sql)}")
        connection = self._connection
        database = connection._database
        if self._closed or self._locked or database is None or connection._thread != get_ident():
            database = self._check_to_execute()
        return self._execute(connection, database, sql, parameters)

    def _execute(self, connection: Connection, database: Database, sql: str, parameters: Any) -> Self:
        """``execute`` after its checks."""
        self._locked = True
        try:
            # Held until the statement is active or finished, or another thread could take it from the cache as well.
            with database.lock:
                # _begin without its call, which a look-up would notice.
                self._columns = self._next = self._failure = None
                if self._unfinished is not None:
                    self._drop()
                query = connection._cache.get(sql)
                if query.statement.active:
                    query = self._another(database, sql, query)
                begin = None
                if query.is_dml:
                    self._rowcount = 0
                    if database.autocommit and (not query.quick or (begin := connection._begin_with()) is None):
                        connection._begin_for(database, True)
                else:
                    self._rowcount = -1
                if (
                    query.quick
                    and type(parameters) is tuple
                    and connection.text_factory is str
                    and not registered.every
                ):
                    outcome = query.statement.quick(parameters, begin)
                    if outcome is not None:
                        rc, changes, self._lastrowid, _, rows, reprepared, kinds = outcome
                        if rc != SQLITE_DONE or rows > 1 or reprepared != query.reprepared:
                            self._keep_outcome(query)
                        elif rows == 0:
                            self._columns = query.columns
                            self._query = query
                            if query.is_dml:
                                self._rowcount = changes
                        elif query.is_dml or not self._take_record(query, kinds):
                            self._keep_outcome(query)
                        return self
                if begin is not None:
                    connection._begin_for(database, True)
                data = packed(query, parameters)
                if query.attaches:
                    connection._check_attach(database, sql, parameters)
                if query.statement.handle:
                    status = self._run(query, data)
                    self._lastrowid = status.last_rowid
                    if query.is_dml and self._next is None:
                        self._rowcount = status.changes
                    query.note_use()
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
        self._columns = self._next = self._failure = None
        if self._unfinished is not None:
            self._drop()
        query = self._connection._cache.get(sql)
        return self._another(database, sql, query) if query.statement.active else query

    def _another(self, database: Database, sql: str, query: Query) -> Query:
        """The statement in the cache is in use, though perhaps only because the cursor that used it was dropped."""
        database.settle()
        return self._connection._cache.private(sql) if query.statement.active else query

    def _take_record(self, query: Query, kinds: int) -> bool:
        """Keep the only row that ``Statement.quick`` left behind; False if it needs the general way."""
        if not kinds:
            return False
        try:
            self._next = query.statement.record(kinds)
        except UnicodeDecodeError:
            return False
        self._columns = query.columns
        self._query = query
        self._rows = _NO_MORE
        self._cells = ()
        self._changes = -1
        return True

    def _keep_outcome(self, query: Query) -> None:
        """Keep what ``Statement.quick`` left behind, in the general way."""
        status = self._keep(query, *query.statement.result(raw=False))
        if query.is_dml and self._next is None:
            self._rowcount = status.changes

    def _run(self, query: Query, data: bytes) -> Status:
        """Execute a statement with packed parameters, and keep its first rows."""
        statement = query.statement
        raw = self._connection.text_factory is not str
        if query.types is None:
            return self._keep(query, *statement.execute(data, statement.parameters, FIRST_ROWS, ITERATION_BYTES, raw))
        conversion = query.types.conversion()
        result = statement.execute(data, statement.parameters, FIRST_ROWS, ITERATION_BYTES, raw, conversion.as_blobs)
        if result[0].reprepared != query.reprepared:
            query.describe_again()
            conversion = query.types.conversion()
            if result[0].rc == SQLITE_ROW and not result[1]:
                result = statement.fetch(FIRST_ROWS, ITERATION_BYTES, raw, conversion.as_blobs)
        return self._keep(query, *result, conversion)

    def _keep(
        self,
        query: Query,
        status: Status,
        columns: Sequence[Column],
        cells: Raw,
        failure: Failure | None,
        conversion: Conversion | None = None,
    ) -> Status:
        """Keep the first rows of a statement that was executed."""
        if failure is not None and not columns:
            raise from_failure(failure)
        if status.reprepared != query.reprepared:
            query.describe_again()
        self._columns = query.columns
        self._query = query
        self._conversion = conversion
        self._failure = failure
        if status.rc == SQLITE_ROW:
            self._unfinished = Unfinished(query.statement)
        if columns:
            self._changes = status.changes if query.is_dml else -1
            self._cells = cells if conversion is None else conversion.cells(cells)
            self._batch_rows = FIRST_ROWS
            self._rows = rows = zip(*columns, strict=True)
            self._next = next(rows)
        return status

    def executemany(self, sql: str, seq_of_parameters: Iterable[Any], /) -> Self:
        """Repeatedly executes an SQL statement."""
        if not isinstance(sql, str):
            raise TypeError(f"executemany() argument 1 must be str, not {row_values.type_name(sql)}")
        database = self._check_to_execute()
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
                from wasqlite.bulk import execute_chunks

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

    def executescript(self, sql_script: str, /) -> Self:
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
            conversion = self._conversion
            status, columns, cells, failure = unfinished.statement.fetch(
                max_rows,
                max_bytes,
                self._connection.text_factory is not str,
                None if conversion is None else conversion.as_blobs,
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
            self._cells = cells if conversion is None else conversion.cells(cells)
            self._rows = rows = zip(*columns, strict=True)
            self._next = first = next(rows)
            self._fresh = (first, columns) if self._cells or self._connection.text_factory is not str else None
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

    def __iter__(self) -> Iterator[Any]:
        # For the one thing that nearly all iterators are made for. A subclass may have a __next__ of its own.
        return handout.each(self, Cursor.__next__) if type(self) is Cursor else self

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
        if self._cells or connection.text_factory is not str:
            row = handout.converted(self, row)
        self._advance()
        factory = self._row_factory
        if factory is None:
            return row
        if factory is Row:
            assert self._columns is not None
            made = new_row(Row)
            made._columns = self._columns
            made._values = row
            return made
        try:
            return factory(self, row)
        except TypeError:
            refusal = explain_refusal(factory)
            if refusal is None:
                raise
            raise refusal from None

    def fetchone(self) -> Any:
        """Fetches one row from the resultset."""
        connection = self._connection
        if self._rows is _NO_MORE and self._row_factory is None and connection.text_factory is str:
            # What a look-up left: its only row, or nothing any more.
            if self._locked or self._closed or connection._database is None or connection._thread != get_ident():
                self._check()
            row, self._next = self._next, None
            if row is not None:
                return row
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
            fetched += handout.take(self, missing) or [Cursor.__next__(self)]
            self._check()
        return fetched

    def fetchall(self) -> list[Any]:
        """Fetches all rows from the resultset."""
        self._check()
        fetched: list[Any] = []
        while self._next is not None:
            if self._row_factory is None and not self._cells and self._connection.text_factory is str:
                # As handout.take() does, 1 us faster.
                fetched.append(self._next)
                fetched.extend(self._rows)
                if self._unfinished is not None:
                    self._refill(handout.ALL_ROWS, handout.ALL_BYTES)
                else:
                    self._advance()
            else:
                fetched += handout.take(self, None) or [Cursor.__next__(self)]
                self._check()
        self._end()
        return fetched

    def fetch_numpy(self, *, types: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Fetches all rows from the resultset as one numpy array per column, by the columns' names.

        A column with NULLs is a masked array. See docs/columnar.md; needs ``wasqlite[numpy]``.
        """
        from wasqlite.columnar import arrays

        return arrays.fetch(self, types)

    def fetch_numpy_batches(self, rows: int = 65536, *, types: Mapping[str, Any] | None = None) -> Batches:
        """The same in parts of ``rows`` rows (the last one may have fewer): an iterator that can be closed."""
        from wasqlite.columnar import arrays

        return arrays.Batches(self, rows, types)

    def fetch_arrow(self, *, types: Mapping[str, Any] | None = None) -> ArrowTable:
        """Fetches all rows from the resultset as Arrow data, which pyarrow, polars, duckdb and others take as it is.

        See docs/columnar.md; needs ``wasqlite[arrow]``.
        """
        from wasqlite.columnar.arrow import results

        return results.fetch(self, types)

    def fetch_arrow_batches(self, rows: int = 65536, *, types: Mapping[str, Any] | None = None) -> ArrowStream:
        """The same in record batches of at most ``rows`` rows, each fetched when the consumer asks for it."""
        from wasqlite.columnar.arrow import results

        return results.ArrowStream(self, rows, types)

    # -- the rest ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the cursor."""
        if self._locked:
            self._check_lent()
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
        return None if self._connection is _NOT_INITIALISED else self._connection  # type: ignore[return-value]

    @property
    # Not "| None", as typeshed has it: it would have to be ruled out after every SELECT.
    def description(self) -> Description | Any:
        """The names of the result columns, each with six times None; None if there are none."""
        columns = self._columns
        return None if columns is None else columns.description

    @property
    def rowcount(self) -> int:
        """How many rows the last INSERT, UPDATE, DELETE or REPLACE changed; -1 for other statements."""
        return self._rowcount

    @property
    def lastrowid(self) -> int | None:
        """The rowid of the connection's last inserted row at the end of the last ``execute``."""
        return self._lastrowid

    @property
    def row_factory(self) -> Any:
        """None for tuples, or what is called with the cursor and the tuple to make the row."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        if self._lent is not None:
            handout.take_back(self)
        self._row_factory = factory

    @property
    def arraysize(self) -> int:
        """How many rows ``fetchmany`` returns."""
        return self._arraysize

    @arraysize.setter
    def arraysize(self, size: int) -> None:
        self._arraysize = row_values.row_count(size)


_connection_classes: tuple[type, ...] = ()


def register_connection(connection: type) -> None:
    """Tell what cursors belong to; called once, by the module that cannot be imported from here."""
    global _connection_classes
    _connection_classes = (connection,)
