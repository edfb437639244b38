"""``Connection.ingest``: whole tables in, a chunk of rows per guest call, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wasqlite.bridge import BridgeError
from wasqlite.capi.parameters import Encoded
from wasqlite.columnar.inputs import Block, Field, Unsuitable
from wasqlite.cursor import Cursor
from wasqlite.exceptions import Error, ProgrammingError, from_failure, raise_unusable

if TYPE_CHECKING:
    from wasqlite.capi.statement import Statement
    from wasqlite.connection import Connection

_FIRST_ROWS = 1024
_MOST_ROWS = 65536
_TARGET_BYTES = 1 << 20
_MOST_BYTES = 8 << 20
_SAVEPOINT = '"wasqlite ingest"'
_MODES = ("create", "append", "replace", "create_append")


def ingest(connection: Connection, table: str, data: Any, mode: str, schema: str) -> int:
    """Insert the rows of ``data`` into a table: how many there were."""
    database = connection._check()
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
    target = f"{_quoted(schema)}.{_quoted(table)}"
    fields, blocks = _opened(data)
    if not fields:
        raise ProgrammingError("the data has no columns")
    names = ", ".join(_quoted(field.name) for field in fields)
    insert = f"INSERT INTO {target} ({names}) VALUES ({', '.join('?' * len(fields))})"
    outside = not connection.in_transaction
    connection._begin_for(database, True)
    begun = outside and connection.in_transaction
    try:
        connection._control(database, f"SAVEPOINT {_SAVEPOINT}")
        try:
            for sql in _preparation(target, fields, mode):
                Cursor(connection).execute(sql)
            count = _insert(connection, insert, fields, blocks)
            connection._control(database, f"RELEASE {_SAVEPOINT}")
        except BaseException:
            _undo(connection, f"ROLLBACK TO {_SAVEPOINT}", f"RELEASE {_SAVEPOINT}")
            raise
    except BaseException:
        if begun:
            _undo(connection, "ROLLBACK")
        raise
    return count


def _opened(data: Any) -> tuple[list[Field], Iterable[Block]]:
    if isinstance(data, Mapping):
        from wasqlite.columnar.array_inputs import open_mapping

        return open_mapping(data)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        from wasqlite.columnar.arrow.inputs import open_stream

        return open_stream(data)
    raise TypeError(
        "ingest() takes Arrow data (an object with __arrow_c_stream__ or __arrow_c_array__) or a mapping from column "
        f"names to arrays, not {type(data).__name__}"
    )


def _quoted(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name must be str, not {type(name).__name__}")
    return '"' + name.replace('"', '""') + '"'


def _preparation(target: str, fields: Sequence[Field], mode: str) -> Iterable[str]:
    """The statements that come before the rows."""
    if mode == "append":
        return
    if mode == "replace":
        yield f"DROP TABLE IF EXISTS {target}"
    columns = ", ".join(f"{_quoted(field.name)} {field.declared}".rstrip() for field in fields)
    yield f"CREATE TABLE {'IF NOT EXISTS ' if mode == 'create_append' else ''}{target} ({columns})"


def _insert(connection: Connection, sql: str, fields: Sequence[Field], blocks: Iterable[Block]) -> int:
    query = connection._cache.get(sql)
    if query.statement.active:
        query = connection._cache.private(sql)
    count = 0
    size = _FIRST_ROWS
    for block in blocks:
        at = 0
        while at < block.rows:
            batch = _encoded(block, at, min(at + size, block.rows), fields, count)
            done = _run(query.statement, batch, count)
            at += done
            count += done
            # The next chunk as large as the target, judging by this one, but growing step by step.
            size = max(1, min(8 * size, _MOST_ROWS, batch.rows * _TARGET_BYTES // max(batch.size, 1)))
    return count


def _encoded(block: Block, start: int, stop: int, fields: Sequence[Field], count: int) -> Encoded:
    """Rows of a block as an input batch, fewer if they would make a huge one. ``count``: rows before ``start``."""
    while True:
        batch = Encoded(stop - start, len(block.columns))
        for field, column in zip(fields, block.columns, strict=True):
            try:
                column.encode(batch, start, stop)
            except Unsuitable as unsuitable:
                unsuitable.error.add_note(
                    f"column {field.name!r}, row {count + unsuitable.row - start} (counted from 0)"
                )
                raise unsuitable.error from None
        if batch.size <= _MOST_BYTES or batch.rows == 1:
            return batch
        stop = start + max(1, batch.rows * _MOST_BYTES // (2 * batch.size))


def _run(statement: Statement, batch: Encoded, count: int) -> int:
    """How many rows were inserted: not all if another connection in the sandbox must be let in before the rest."""
    try:
        status, failure = statement.execute_many(batch)
    except BridgeError as stopped:
        raise_unusable(stopped)
    if failure is None:
        return batch.rows
    if status.rows and statement.database.interrupt.asked:
        return status.rows
    error = from_failure(failure)
    if isinstance(error, Error):
        error.add_note(f"row {count + status.rows} (counted from 0)")
    raise error


def _undo(connection: Connection, *statements: str) -> None:
    """Take back what was done, where SQLite has not done so itself. The error that led here is more interesting."""
    for sql in statements:
        try:
            if connection.in_transaction:
                connection._control(connection._check_open(), sql)
        except Error:
            return
