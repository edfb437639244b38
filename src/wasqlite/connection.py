"""``Connection``: one database in a sandbox of its own, with the stdlib's transaction control."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from threading import get_ident
from types import MethodType, ModuleType, TracebackType

from wasqlite import arguments, exceptions, transactions
from wasqlite._compat import WARN_UNCLOSED
from wasqlite.bridge import BridgeError, InstanceClosed
from wasqlite.capi.constants import SQLITE_OPEN_CREATE, SQLITE_OPEN_READWRITE, SQLITE_OPEN_URI
from wasqlite.capi.database import Database
from wasqlite.cursor import Cursor, register_connection
from wasqlite.exceptions import ProgrammingError, from_failure, raise_unusable
from wasqlite.rows import type_name
from wasqlite.statement_cache import CompiledStatement, StatementCache, compile_query
from wasqlite.vfs.host import HostFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, Self, TypeVar, overload

    from _typeshed import ReadableBuffer

    from wasqlite import backup, blob, snapshots
    from wasqlite.capi.statement import Statement

    _CursorT = TypeVar("_CursorT", bound=Cursor)

_INT_MAX = 0x7FFF_FFFF
_NO_THREAD = -1
"""The thread of a connection that is not initialised: nobody's."""


class _of_open_connection:
    """A method that a closed connection refuses before it looks at the arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        function.__annotations__.clear()  # inspect.signature(connection) is "(sql, /)", as the stdlib's
        self._function = function

    def __get__(self, connection: Connection | None, owner: type) -> Callable[..., Any]:
        if connection is None:
            return self._function
        connection._check_open()
        return MethodType(self._function, connection)


class Connection:
    """SQLite database connection object.

    Close it: a connection that is only dropped loses its open transaction as if the process had died, and the next
    one to open the file rolls that back.
    """

    __module__ = "wasqlite"
    __slots__ = (
        "_autocommit",
        "_cache",
        "_database",
        "_isolation_level",
        "_kept",
        "_thread",
        "_uri",
        "row_factory",
        "text_factory",
    )

    Warning = exceptions.Warning
    Error = exceptions.Error
    InterfaceError = exceptions.InterfaceError
    DatabaseError = exceptions.DatabaseError
    DataError = exceptions.DataError
    OperationalError = exceptions.OperationalError
    IntegrityError = exceptions.IntegrityError
    InternalError = exceptions.InternalError
    ProgrammingError = exceptions.ProgrammingError
    NotSupportedError = exceptions.NotSupportedError

    _autocommit: bool | int
    _cache: StatementCache
    _database: Database | None
    _isolation_level: str | None
    _kept: dict[str, Statement]
    _thread: int | None
    _uri: bool
    row_factory: Any
    text_factory: Any

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        # A subclass may not call our __init__, or it fails. No __getattr__ for that: it slows down every attribute.
        self = object.__new__(cls)
        self._database = None
        self._thread = _NO_THREAD
        self.row_factory = self.text_factory = None
        return self

    if TYPE_CHECKING:

        def __init__(
            self,
            database: str | bytes | os.PathLike[str] | os.PathLike[bytes],
            timeout: float = 5.0,
            detect_types: int = 0,
            isolation_level: str | None = "",
            check_same_thread: bool = True,
            factory: Any = None,
            cached_statements: int = 128,
            uri: bool = False,
            *,
            autocommit: bool | Literal[-1] = -1,
        ) -> None:
            """Open a database; the arguments are those of ``connect()``."""

    else:

        def __init__(self, *args, **keywords):
            """Open a database; the arguments are those of ``connect()``."""
            self._initialise(args, keywords)

    def _initialise(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        arguments.positional("_sqlite3.Connection", len(args))
        given = arguments.parse(args, keywords)
        sys.audit("sqlite3.connect", given.database)
        path = os.fsencode(given.database)
        if b"\0" in path:
            raise ValueError("embedded null byte")
        self._detach()
        database = _open(path, given)
        self._isolation_level = given.isolation_level
        self._autocommit = given.autocommit
        self._uri = given.uri
        self._cache = StatementCache(database, given.cached_statements, given.detect_types)
        self._kept = {}
        self.row_factory: Any = None
        self.text_factory: Any = str
        sys.audit("sqlite3.connect/handle", self)
        self._thread = get_ident() if given.check_same_thread else None
        self._database = database
        if self._autocommit is False:
            self._control(database, "BEGIN")

    def _detach(self) -> None:
        """Before a second ``__init__``: cursors keep the old database, without its transaction."""
        database = self._database
        if database is not None and not database.autocommit and database.instance.dead is None:
            self._control(database, "ROLLBACK")  # first: where this is refused, in a callback, nothing has happened
        self._database = None
        self._thread = _NO_THREAD

    def __del__(self) -> None:
        # The slot is empty if a signal handler raised in __new__.
        database = getattr(self, "_database", None)
        if database is not None and WARN_UNCLOSED:
            warnings.warn(f"unclosed database in {self!r}", ResourceWarning, stacklevel=2, source=self)

    # -- checks ------------------------------------------------------------------------------------------------

    def _check_thread(self) -> None:
        if self._thread is not None and self._thread != (current := get_ident()):
            self._check_initialised()
            raise ProgrammingError(
                "SQLite objects created in a thread can only be used in that same thread. "
                f"The object was created in thread id {self._thread} and this is thread id {current}."
            )

    def _check_initialised(self) -> None:
        if self._thread == _NO_THREAD:
            raise ProgrammingError("Base Connection.__init__ not called.")

    def _check_open(self) -> Database:
        database = self._database
        if database is None:
            self._check_initialised()
            raise ProgrammingError("Cannot operate on a closed database.")
        return database

    def _check(self) -> Database:
        self._check_thread()
        return self._check_open()

    # -- statements --------------------------------------------------------------------------------------------

    if TYPE_CHECKING:

        @overload
        def cursor(self) -> Cursor: ...
        @overload
        def cursor(self, factory: Callable[[Connection], _CursorT]) -> _CursorT: ...

    def cursor(self, factory: Callable[[Connection], Any] = Cursor) -> Any:
        """Return a cursor for the connection."""
        if factory is Cursor:
            return self._cursor()
        self._check()
        cursor = factory(self)
        if not issubclass(type(cursor), Cursor):
            raise TypeError(f"factory must return a cursor, not {type(cursor).__name__}")
        if self.row_factory is not None:
            cursor.row_factory = self.row_factory
        return cursor

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        """Executes an SQL statement."""
        cursor = self._cursor()
        database = self._database
        if database is None or not isinstance(sql, str):
            return cursor.execute(sql, parameters)  # which tells what is wrong
        return cursor._execute(self, database, sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Repeatedly executes an SQL statement."""
        return self._cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Cursor:
        """Executes multiple SQL statements at once."""
        return self._cursor().executescript(sql_script)

    def ingest(self, table: str, data: Any, /, *, mode: str = "create", schema: str = "main") -> int:
        """Insert Arrow data, or a mapping of column names to numpy arrays, into a table: how many rows there were.

        ``mode``: "create" the table, "append" to one, "replace" one that is there, or "create_append" if need be. All
        of it is stored or nothing. See docs/columnar.md; needs ``wasqlite[arrow]``, or ``wasqlite[numpy]``.
        """
        from wasqlite.columnar.ingest import ingest

        return ingest(self, table, data, mode, schema)

    def _cursor(self) -> Cursor:
        if self._database is None or self._thread != get_ident():
            self._check()
        cursor: Cursor = _new_cursor(Cursor)
        cursor._reset(self)
        if self.row_factory is not None:
            cursor.row_factory = self.row_factory
        return cursor

    def _check_attach(self, database: Database, sql: str, parameters: Any = ()) -> None:
        """Refuse to attach shared memory where it would not be shared."""
        if self._uri and not database.sandbox.shared:
            _shared_memory().refuse_attach(sql, parameters)

    @_of_open_connection
    def __call__(self, sql: str, /) -> CompiledStatement:
        """Compile a statement; all that can be done with it is to know that it compiles."""
        database = self._check_open()
        if not isinstance(sql, str):
            raise TypeError(f"argument 1 must be str, not {type_name(sql)}")
        try:
            return CompiledStatement._of(compile_query(database, sql))
        except BridgeError as error:
            raise_unusable(error)

    def iterdump(self, *, filter: str | None = None) -> Iterator[str]:
        """Returns iterator to the dump of the database in an SQL text format."""
        self._check_open()
        from wasqlite.dump import _iterdump

        return _iterdump(self, filter=filter)

    # -- objects -----------------------------------------------------------------------------------------------

    def blobopen(
        self, table: str, column: str, row: int, /, *, readonly: bool = False, name: str = "main"
    ) -> blob.Blob:
        """Open a value of an existing row for reading and writing in place."""
        from wasqlite.blob import open_on

        names = (
            arguments.c_string("blobopen", "'name'", name),
            arguments.c_string("blobopen", "1", table),
            arguments.c_string("blobopen", "2", column),
        )
        rowid = arguments.sqlite_integer(row)
        return open_on(self, self._check(), names, rowid, not readonly)

    def backup(
        self,
        target: Connection,
        *,
        pages: int = -1,
        progress: backup.Progress | None = None,
        name: str = "main",
        sleep: float = 0.25,
    ) -> None:
        """Copy the database into that of another connection, ``pages`` pages at a time (all, if not positive).

        After each time ``progress(status, remaining, total)`` is called. ``sleep`` is how many seconds to wait before
        trying again where a database is locked.
        """
        from wasqlite.backup import copy, seconds

        if not isinstance(target, Connection):
            raise TypeError(f"backup() argument 'target' must be sqlite3.Connection, not {type_name(target)}")
        pages = arguments.c_int(pages)
        encoded = arguments.c_string("backup", "'name'", name)
        pause = seconds(sleep)
        source = self._check()
        if target is self:
            raise ValueError("target cannot be the same connection instance")
        other = target._check_open()
        if progress is not None and not callable(progress):
            raise TypeError("progress argument must be a callable")
        copy(source, encoded, other, pages, progress, pause)

    def serialize(self, *, name: str = "main") -> bytes:
        """Serialize a database into a byte string."""
        from wasqlite.serialization import serialize

        encoded = arguments.c_string("serialize", "'name'", name)
        return serialize(self._check(), encoded)

    def deserialize(self, data: str | ReadableBuffer, /, *, name: str = "main") -> None:
        """Load a serialized database, in memory, in the place of the one with that name."""
        from wasqlite.serialization import data_of, deserialize

        content = data_of(data)
        encoded = arguments.c_string("deserialize", "'name'", name)
        deserialize(self._check(), content, encoded)

    def snapshot(self) -> snapshots.Snapshot[Self]:
        """The connection's present state, with everything in its databases, which must be in memory.

        NotSupportedError if there can be none. See docs/snapshots.md.
        """
        from wasqlite import snapshots

        return snapshots.take(self, self._check())

    def restore(self, snapshot: snapshots.Snapshot[Any], /) -> None:
        """Make the connection what another, or this one, was when the snapshot was taken.

        What it was connected to is closed; an open transaction there is lost.
        """
        from wasqlite import snapshots

        snapshots.restore(self, snapshot, self._check())

    def clone(self) -> Self:
        """Another connection in the same state, with databases of its own: ``snapshot().connect()``."""
        return self.snapshot().connect()

    # -- transactions ------------------------------------------------------------------------------------------

    def _control(self, database: Database, sql: str) -> None:
        """Run BEGIN, COMMIT or ROLLBACK; each is compiled once per connection."""
        try:
            statement = self._kept.get(sql)
            if statement is None or statement.active:  # active: this is one of its own callbacks
                statement, _, failure = database.prepare(sql.encode())
                if failure is not None:
                    raise from_failure(failure)
                self._kept[sql] = statement
            failure = statement.run()
        except BridgeError as error:
            raise_unusable(error)
        if failure is not None:
            raise from_failure(failure)

    def _begin_for(self, database: Database, is_dml: bool) -> None:
        """Open the implicit transaction that a statement wants."""
        level = self._isolation_level
        if (
            transactions.begins_implicitly(self._autocommit, level, is_dml, not database.autocommit)
            and level is not None
        ):
            self._control(database, transactions.begin(level))

    def _begin_with(self) -> Statement | None:
        """The statement that opens the implicit transaction, if it can do so in the call of the one that wants it.

        One that waits for no lock: an error is then not the other statement's.
        """
        if self._autocommit != transactions.LEGACY_TRANSACTION_CONTROL or self._isolation_level not in ("", "DEFERRED"):
            return None
        begin = self._kept.get(transactions.begin(self._isolation_level))
        return None if begin is None or begin.active else begin

    def _commit_before_script(self, database: Database) -> None:
        if self._autocommit == transactions.LEGACY_TRANSACTION_CONTROL and not database.autocommit:
            self._control(database, "COMMIT")

    def _end(self, sql: str) -> None:
        database = self._check()
        if self._autocommit is True:
            return
        if self._autocommit is False:
            self._control(database, sql)
            self._control(database, "BEGIN")
        elif not database.autocommit:
            self._control(database, sql)

    def commit(self) -> None:
        """Commit any pending transaction to the database."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back to the start of any pending transaction."""
        self._end("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return not self._check_open().autocommit

    @property
    def total_changes(self) -> int:
        """How many rows were inserted, updated and deleted since the connection was opened."""
        return self._check_open().status.total_changes

    @property
    def isolation_level(self) -> str | None:
        """How implicit transactions begin: "", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", or None for never."""
        self._check_open()
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        level = transactions.isolation_level(value)
        self._check_open()
        if level is None:
            self._isolation_level = None
            self.commit()
        else:
            self._isolation_level = level

    @isolation_level.deleter
    def isolation_level(self) -> None:
        raise AttributeError("cannot delete attribute")

    @property
    def autocommit(self) -> bool | int:
        """True: every statement for itself; False: always in a transaction; -1: the legacy rules."""
        self._check()
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool | int) -> None:
        database = self._check()
        mode = transactions.autocommit(value)
        if mode is True and not database.autocommit:
            self._control(database, "COMMIT")
        elif mode is False and database.autocommit:
            self._control(database, "BEGIN")
        self._autocommit = mode

    @autocommit.deleter
    def autocommit(self) -> None:
        raise AttributeError("cannot delete attribute")

    # -- callbacks ---------------------------------------------------------------------------------------------

    @arguments.positional_only("name", "narg", "func")
    def create_function(self, name: str, narg: int, func: Any, *, deterministic: bool = False) -> None:
        """Creates a new function. ``narg`` is its number of arguments, -1 for any."""
        _callbacks().create_function(self._check(), name, narg, func, deterministic)

    @arguments.positional_only("name", "n_arg", "aggregate_class")
    def create_aggregate(self, name: str, n_arg: int, aggregate_class: Any) -> None:
        """Creates a new aggregate: its objects have the methods ``step`` and ``finalize``."""
        _callbacks().create_aggregate(self._check(), name, n_arg, aggregate_class)

    def create_window_function(self, name: str, num_params: int, aggregate_class: Any, /) -> None:
        """Creates or redefines an aggregate window function, with ``value`` and ``inverse`` too; None removes it."""
        _callbacks().create_window_function(self._check(), name, num_params, aggregate_class)

    def create_collation(self, name: str, callback: Any, /) -> None:
        """Creates a collation function; None removes it."""
        _callbacks().create_collation(self._check(), name, callback)

    @arguments.positional_only("authorizer_callback")
    def set_authorizer(self, authorizer_callback: Any) -> None:
        """Set authorizer callback; None removes it."""
        _callbacks().set_authorizer(self._check(), authorizer_callback)
        # It wants to be asked for each BEGIN and COMMIT, not only when they are compiled for the first time.
        self._kept = {} if authorizer_callback is None else transactions.Unkept()

    @arguments.positional_only("progress_handler")
    def set_progress_handler(self, progress_handler: Any, n: int) -> None:
        """Set progress handler callback, called every ``n`` instructions; None removes it."""
        _callbacks().set_progress_handler(self._check(), progress_handler, n)

    @arguments.positional_only("trace_callback")
    def set_trace_callback(self, trace_callback: Any) -> None:
        """Set a trace callback called for each SQL statement, parameters filled in; None removes it."""
        _callbacks().set_trace_callback(self._check(), trace_callback)

    # -- life --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the database connection. An open transaction is lost."""
        self._check_thread()
        database = self._database
        if database is None:
            return
        if database.inside():
            raise ProgrammingError("Cannot close a connection from inside one of its own callbacks.")
        self._database = None
        self._kept = {}
        # Empty, and of no use: another thread may be about to look for its statement there.
        self._cache = StatementCache(database, 0)
        try:
            if self._autocommit is False and not database.autocommit and database.instance.dead is None:
                self._control(database, "ROLLBACK")
        finally:
            database.close()

    def interrupt(self) -> None:
        """Abort any pending database operation, from any thread."""
        self._check_open().interrupt_all()

    def getlimit(self, category: int, /) -> int:
        """Get connection run-time limits."""
        return self.setlimit(category, -1)

    def setlimit(self, category: int, limit: int, /) -> int:
        """Set connection run-time limits; the former limit is returned."""
        database = self._check()
        try:
            former = database.limit(category, limit)
        except BridgeError as error:
            raise_unusable(error)
        if former < 0:
            raise ProgrammingError("'category' is out of bounds")
        return former

    def getconfig(self, op: int, /) -> bool:
        """Query a boolean connection configuration option, one of ``SQLITE_DBCONFIG_*``."""
        from wasqlite import config

        number = arguments.c_int(op)
        return config.get(self._check(), number)

    def setconfig(self, op: int, enable: bool = True, /) -> None:
        """Set a boolean connection configuration option, one of ``SQLITE_DBCONFIG_*``."""
        from wasqlite import config

        number, switch = arguments.c_int(op), bool(enable)
        config.put(self._check(), number, switch)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]:
        if kind is not None or error is not None or trace is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            # To unlock the database. If this fails too, its error has the first one as context.
            self.rollback()
            raise
        return False


register_connection(Connection)
_new_cursor = object.__new__


def _callbacks() -> ModuleType:
    # Here, because many programs have none, and every module costs start-up time.
    from wasqlite import callbacks

    return callbacks


def _shared_memory() -> ModuleType:
    # Here for the same reason.
    from wasqlite import shared_memory

    return shared_memory


def _names_shared_memory(path: bytes) -> bool:
    from wasqlite.uri import names_shared_memory

    return names_shared_memory(path)


def _open(path: bytes, given: arguments.Arguments) -> Database:
    flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | (SQLITE_OPEN_URI if given.uri else 0)
    shared = _shared_memory() if given.uri and _names_shared_memory(path) else None
    try:
        database = Database(shared.sandbox() if shared else HostFiles())
    except InstanceClosed:
        return _open(path, given)  # the last connection in the shared sandbox was closed just now
    except BridgeError as error:
        raise exceptions.InternalError(f"The SQLite sandbox cannot be started: {error}") from error
    try:
        try:
            # As the stdlib: what is not a positive number of milliseconds in C's int means not to wait.
            milliseconds = given.timeout * 1000
            milliseconds = milliseconds if 0 < milliseconds <= _INT_MAX else 0
            wait = int(min(milliseconds, shared.LONGEST_TIMEOUT) if shared else milliseconds)
            failure = database.open(path, flags, wait)
        except InstanceClosed:
            database.close()
            return _open(path, given)
        if failure is not None:
            raise from_failure(failure)
    except BridgeError as error:
        database.close()
        raise_unusable(error)
    except BaseException:
        database.close()
        raise
    return database
