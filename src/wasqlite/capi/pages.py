"""The pages of a database, read from outside of the guest: the source of a backup into another instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wasqlite.bridge import BridgeError
from wasqlite.capi.owned import Owned, discard

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure, Status


_PAGE_SIZES = frozenset(1 << n for n in range(9, 17))


class Snapshot(NamedTuple):
    """What a read transaction sees."""

    page_size: int
    page_count: int
    version: int
    """Changes with every commit."""
    others: int
    """Changes with the commits of other connections."""
    temporary: bool
    """In memory, or a temporary database."""

    @classmethod
    def of(cls, found: Status) -> Snapshot:
        """As ``wsq_pages_begin`` leaves it. Checked, since another guest may be told."""
        if found.columns not in _PAGE_SIZES:
            raise BridgeError(f"a guest says that its database has pages of {found.columns} bytes")
        return cls(found.columns, found.rows, found.tail, found.reprepared, bool(found.readonly))


def open_pages(database: Database, schema: bytes) -> tuple[Pages | None, Failure | None]:
    """The pages of one of the databases of a connection; while they are open it cannot be detached."""
    with database.lock:
        if database.dropped:
            database.drain()
        try:
            found, failure = database.run("wsq_pages_open", database._entry.address, database.put(schema + b"\0"))
        except BaseException:
            discard(database, Pages)
            raise
        return (Pages(database, found.handle) if failure is None else None), failure


class Pages(Owned):
    """Open pages. Between ``begin`` and ``end`` hold the lock: the connection must not write meanwhile."""

    __slots__ = ()

    closes = "wsq_pages_close"

    def begin(self, *, while_writing: bool = False) -> tuple[Snapshot | None, int, Failure | None]:
        """Begin to read, in the connection's own transaction if there is one; with the result code. Hold the lock.

        If that one writes, it is SQLITE_BUSY, or, with ``while_writing``, its changes are seen.
        """
        if self.database.dropped:
            self.database.drain()
        found, failure = self.run("wsq_pages_begin", while_writing)
        return (Snapshot.of(found) if failure is None else None), found.rc, failure

    def read(self, first: int, count: int, page_size: int) -> tuple[memoryview, int, Failure | None]:
        """The bytes of ``count`` pages from number ``first`` on, in guest memory: copy them at once. Hold the lock."""
        size = count * page_size
        address = self.database.reserve(size)
        found, failure = self.run("wsq_pages_read", first, count, address)
        return self.database.memory.span(address, size), found.rc, failure

    def end(self) -> None:
        """End the transaction that ``begin`` began, if it did. Hold the lock."""
        if not self.database.closed and self.database.instance.dead is None:
            self.run("wsq_pages_end")
