"""Takes the rest of a result over from its cursor and reads it in large batches of columns."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import TYPE_CHECKING, Any

from wasqlite.bridge import BridgeError
from wasqlite.capi.batch import RAW_TEXT, CorruptBatch, GuestColumn, marked
from wasqlite.capi.constants import SQLITE_ROW
from wasqlite.columnar.pieces import Piece, from_guest, from_values
from wasqlite.cursor import LOST
from wasqlite.exceptions import NotSupportedError, ProgrammingError, from_failure, raise_unusable

if TYPE_CHECKING:
    from wasqlite.capi.batch import Column
    from wasqlite.capi.statement import Unfinished
    from wasqlite.capi.status import Failure
    from wasqlite.cursor import Cursor

BATCH_ROWS = 65536
BATCH_BYTES = 8 << 20
"""Limits of one guest call. A batch of 2,000 rows is as fast per row; fewer and larger arrays are nicer to have."""


Parts = list[list[Piece]]
"""For each column its pieces, which follow each other."""


class Source:
    """The rows that a cursor has not handed out. The cursor has none left, and may execute something else.

    ``packed`` is how text is wanted: see ``Piece``.
    """

    def __init__(self, cursor: Cursor, *, packed: bool) -> None:
        cursor._check()
        self.names = [column[0] for column in cursor.description or ()]
        self.row = 0
        """How many rows were read."""
        self._cursor = cursor
        self._connection = cursor._connection
        self._columns = cursor._columns
        self._query = cursor._query
        self._packed = packed
        self._closed = False
        self._head = [] if cursor._next is None else list(zip(*_columns(cursor), strict=True))
        self._unfinished: Unfinished | None = cursor._unfinished
        self._failure: Failure | None = cursor._failure
        self._changes = -1 if cursor._next is None else cursor._changes
        cursor._next = cursor._failure = cursor._unfinished = None
        if self._unfinished is None:
            self._count_changes()

    def check_thread(self) -> None:
        """Refuse another thread than the connection's, if it minds."""
        self._connection._check_thread()

    def read(self, rows: int | None = None) -> list[Piece] | None:
        """The next batch, of at most ``rows`` rows: a piece for each column. None at the end; an error that comes
        after rows is raised by the call that follows them."""
        most = BATCH_ROWS if rows is None else min(rows, BATCH_ROWS)
        while True:
            if self._head:
                head, self._head = self._head[:most], self._head[most:]
                self.row += len(head)
                return [from_values(column, packed=self._packed) for column in zip(*head, strict=True)]
            if self._closed:
                raise ProgrammingError("The rest of these rows was given up: their reader was closed.")
            if self._unfinished is None:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise from_failure(failure)
                return None
            pieces = self._fetch(self._unfinished, most)
            if pieces:
                return pieces

    def _fetch(self, unfinished: Unfinished, most: int) -> list[Piece]:
        statement = unfinished.statement
        pieces: list[Piece] = []

        def take(rows: int, columns: list[GuestColumn]) -> None:
            if len(columns) != len(self.names):
                raise CorruptBatch(f"a batch has {len(columns)} columns for {len(self.names)} names")
            pieces.extend([from_guest(rows, column, packed=self._packed) for column in columns])

        try:
            if statement is None:
                return []  # closed just now, by another thread
            with statement.database.lock:
                if unfinished.statement is None:
                    return []
                status, failure = statement.fetch_columns(most, BATCH_BYTES, take, packed=self._packed)
        except BaseException as error:
            self._unfinished = None
            self._failure = LOST  # what comes after the rows that were read must not look like the end
            unfinished.release_quietly()
            if isinstance(error, BridgeError):
                raise_unusable(error)
            raise
        if status.rc != SQLITE_ROW:
            unfinished.finished()
            self._unfinished = None
            self._failure = failure
            if self._changes >= 0:
                self._changes = status.changes
            self._count_changes()
        if pieces:
            self.row += pieces[0].rows
        return pieces

    def _count_changes(self) -> None:
        """At the end of INSERT ... RETURNING and its like, the cursor knows how many rows were changed."""
        if self._changes >= 0 and self._cursor._columns is self._columns:
            self._cursor._rowcount = self._changes if self._failure is None else -1

    def declared_types(self) -> list[str | None]:
        """The columns' types in the words of CREATE TABLE."""
        if self._query is None or not self.names:
            return []
        self._connection._check_open()
        try:
            return self._query.statement.declared_types()
        except BridgeError as error:
            raise_unusable(error)

    def close(self, *, quietly: bool = False) -> None:
        """Give the rest of the rows up; ``quietly``: with the connection's next operation."""
        unfinished = self._unfinished
        if unfinished is not None or self._head or self._failure is not None:
            self._closed = True
        self._unfinished = self._failure = None
        self._head = []
        if unfinished is None:
            return
        if quietly or self._connection._database is None:
            unfinished.release_quietly()
            return
        try:
            unfinished.release()
        except BridgeError as error:
            raise_unusable(error)


def _columns(cursor: Cursor) -> list[Column]:
    """The columns of the rows that the cursor has in hand, with text that it got as bytes as ``RawText``."""
    conversion = cursor._conversion
    if conversion is not None and any(conversion.as_blobs):
        raise NotSupportedError(
            "This result has columns that converters (detect_types) make objects of. Fetch it as rows, or use a "
            "connection without detect_types."
        )
    assert cursor._next is not None
    found: list[Column] = list(zip(cursor._next, *cursor._rows, strict=True))
    kinds = cursor._cells or repeat(0)
    return [marked(column) if kind == RAW_TEXT else column for column, kind in zip(found, kinds, strict=False)]


def columns(source: Source, rows: int | None = None) -> Parts:
    """All that is left, or at most ``rows`` rows of it: for each column its pieces."""
    found: Parts = [[] for _ in source.names]
    wanted = rows
    while wanted is None or wanted > 0:
        pieces = source.read(wanted)
        if pieces is None:
            break
        for parts, piece in zip(found, pieces, strict=True):
            parts.append(piece)
        if wanted is not None:
            wanted -= pieces[0].rows if pieces else 0
    return found


def locked(cursor: Cursor, action: Callable[[], Any]) -> Any:
    """Run ``action`` with the cursor locked against its use by callbacks."""
    if cursor._locked:
        raise ProgrammingError("Recursive use of cursors not allowed.")
    cursor._locked = True
    try:
        return action()
    finally:
        cursor._locked = False
