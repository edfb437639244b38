"""A database as bytes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from wasqlite.capi.pages import open_pages

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

_PIECE = 1 << 20


def size_of(database: Database, schema: bytes) -> tuple[int, int, Failure | None]:
    """The size of a database that has been deserialized, and its address; of any other, the address is 0.

    An empty one is made into a database first. Hold the lock. https://sqlite.org/c3ref/serialize.html
    """
    since: float | None = None
    database.interrupt.requested = 0
    while True:
        if database.dropped:
            database.drain()
        found, failure = database.run("wsq_serialize", database._entry.address, database.put(schema + b"\0"))
        if failure is None or (since := database.wait_turn(failure, since)) is None:
            return found.changes_sum, found.handle, failure


def read_all(database: Database, schema: bytes) -> tuple[bytes, Failure | None]:
    """The pages of a database one after the other, with the changes of a transaction under way. Hold the lock."""
    pages, failure = open_pages(database, schema)
    if pages is None:
        return b"", failure
    data = BytesIO()
    try:
        snapshot, _, failure = pages.begin(while_writing=True)
        if snapshot is None:
            return b"", failure
        most = max(1, _PIECE // snapshot.page_size)
        for first in range(1, snapshot.page_count + 1, most):
            count = min(most, snapshot.page_count + 1 - first)
            piece, _, failure = pages.read(first, count, snapshot.page_size)
            if failure is not None:
                return b"", failure
            data.write(piece)
        return data.getvalue(), None
    finally:
        pages.release()


def deserialize(database: Database, schema: bytes, data: bytes | memoryview) -> Failure | None:
    """Close a database of the connection, and have in its place one in memory with this content.

    https://sqlite.org/c3ref/deserialize.html
    """
    with database.lock:
        if database.dropped:
            database.drain()
        name = database.put(schema + b"\0")
        address = database.function("sqlite3_malloc64", hold_gil=True)(len(data))
        if not address:
            raise MemoryError(f"the guest has no {len(data)} bytes for the database")
        try:
            database.memory.write(address, data)
        except BaseException:
            database.function("sqlite3_free", hold_gil=True)(address)
            raise
        return database.run("wsq_deserialize", database._entry.address, name, address, len(data))[1]
