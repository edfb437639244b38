"""What the guest keeps for a connection besides its statements: blobs, and the two ends of a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure, Status


class Owned:
    """The base of objects in the guest that belong to a database, and are closed before it at the latest.

    The database's next operation closes it after the last reference is gone.
    """

    __slots__ = ("_entry", "database", "handle")

    closes: str
    """The C function that closes it, with the arguments ``sqlite3*`` and ``handle``."""

    def __init__(self, database: Database, handle: int) -> None:
        self.database = database
        self.handle = handle
        self._entry = database._entry
        self._entry.objects[handle] = self.closes

    def __del__(self) -> None:
        if getattr(self, "handle", 0):
            self.database.dropped.append((self.handle, self._entry))

    def run(self, name: str, *arguments: int) -> tuple[Status, Failure | None]:
        """Call a function with the arguments ``sqlite3*``, ``handle``, and these. Hold the lock."""
        return self.database.run(name, self._entry.address, self.handle, *arguments)

    def release(self) -> tuple[Status, Failure | None] | None:
        """Close it, once: whatever that says, it is closed."""
        with self.database.lock:
            handle, self.handle = self.handle, 0
            if self._entry.objects.pop(handle, None) is None:
                return None
            return self.database.run(self.closes, self._entry.address, handle)


def discard(database: Database, kind: type[Owned]) -> None:
    """After an exception came out of a call that may have opened something all the same. Hold the lock."""
    if not database.closed and database.instance.dead is None:
        found, failure = database.finish()
        if failure is None and found.handle:
            kind(database, found.handle).release()
