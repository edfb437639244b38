"""A ``sqlite3_blob*``: reads and writes inside one value, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasqlite.capi.constants import SQLITE_OK
from wasqlite.capi.owned import Owned, discard

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

_PIECE = 1 << 20
"""Bytes per guest call: a large value does not need a buffer of its size in guest memory."""


def open_blob(
    database: Database, name: bytes, table: bytes, column: bytes, row: int, *, writable: bool
) -> tuple[Blob | None, Failure | None]:
    """Open the value in ``column`` of the row with the rowid ``row``; the names have no NUL.

    https://sqlite.org/c3ref/blob_open.html
    """
    since: float | None = None
    with database.lock:
        database.interrupt.requested = 0
        while True:
            if database.dropped:
                database.drain()
            first = database.put(b"\0".join((name, table, column, b"")))
            second = first + len(name) + 1
            third = second + len(table) + 1
            try:
                found, failure = database.run(
                    "wsq_blob_open", database._entry.address, first, second, third, row, writable
                )
            except BaseException:
                discard(database, Blob)
                raise
            if failure is None:
                return Blob(database, found.handle), None
            if (since := database.wait_turn(failure, since)) is None:
                return None, failure


class Blob(Owned):
    """An open blob."""

    __slots__ = ("_code", "_size")

    closes = "wsq_blob_close"

    def __init__(self, database: Database, handle: int) -> None:
        super().__init__(database, handle)
        self._code = SQLITE_OK
        self._size: int | None = None

    def size(self) -> int:
        """The length in bytes; 0 once an operation found that the row has changed.

        https://sqlite.org/c3ref/blob_bytes.html
        """
        if self._size is None:
            with self.database.lock:
                self._size = self.database.function("sqlite3_blob_bytes", hold_gil=True)(self.handle)
        return self._size

    def read(self, size: int, offset: int) -> tuple[bytes, Failure | None]:
        """``size`` bytes from ``offset`` on, both inside the value.

        https://sqlite.org/c3ref/blob_read.html
        """
        database = self.database
        pieces = []
        with database.lock:
            for at in range(offset, offset + max(size, 1), _PIECE):
                count = min(_PIECE, offset + size - at)
                address = database.reserve(count)
                failure = self._transfer("wsq_blob_read", address, count, at)
                if failure is not None:
                    return b"", failure
                pieces.append(database.memory.read(address, count))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), None

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> Failure | None:
        """Put bytes at ``offset``, all inside the value.

        https://sqlite.org/c3ref/blob_write.html
        """
        database = self.database
        with database.lock:
            for start in range(0, max(len(data), 1), _PIECE):
                piece = bytes(data[start : start + _PIECE])
                failure = self._transfer("wsq_blob_write", database.put(piece), len(piece), offset + start)
                if failure is not None:
                    return failure
        return None

    def _transfer(self, name: str, address: int, size: int, offset: int) -> Failure | None:
        found, failure = self.run(name, address, size, offset)
        self._code = found.rc
        if failure is not None:
            self._size = None
        return failure

    def close(self) -> Failure | None:
        """Close it, whatever happens. The failure: that of the commit, if this ended a transaction of its own.

        https://sqlite.org/c3ref/blob_close.html
        """
        closed = self.release()
        if closed is None or closed[0].rc == self._code:
            return None  # SQLite repeats the error of the last operation, which has been reported
        return closed[1]
