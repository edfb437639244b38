"""A ``sqlite3_backup*``: copies a database page by page, also from one instance into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasqlite.capi.constants import SQLITE_OK
from wasqlite.capi.owned import Owned, discard
from wasqlite.capi.pages import Pages, Snapshot, open_pages

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure, Status

_WINDOW = 256 << 10
"""Bytes that are carried from one instance into another at a time."""


class Target(Owned):
    """The ``sqlite3_backup*``, in the target's instance."""

    __slots__ = ()

    closes = "wsq_backup_finish"


def _open_target(
    database: Database, schema: bytes, source: Database, source_schema: bytes, *, peer: bool
) -> tuple[Target | None, Failure | None]:
    with database.lock:
        if database.dropped:
            database.drain()
        name = database.put(schema + b"\0" + source_schema + b"\0")
        handles = database._entry.address, 0 if peer else source._entry.address
        try:
            found, failure = database.run("wsq_backup_open", handles[0], name, handles[1], name + len(schema) + 1)
        except BaseException:
            discard(database, Target)
            raise
        return (Target(database, found.handle) if failure is None else None), failure


class Backup:
    """A backup under way: ``step`` until the code is SQLITE_DONE or an error, then ``finish``.

    Where source and target are in different instances, SQLite's backup reads from a "peer" in the target's: a database
    whose file consists of the pages that ``step`` brings. RATIONALE.md: "How does a backup get from one instance
    into another?"
    """

    __slots__ = ("_ahead", "_pages", "_position", "_snapshot", "_source", "_target", "failure", "remaining", "total")

    def __init__(self, target: Target, source: Database, pages: Pages | None) -> None:
        self._target = target
        self._source = source
        self._pages = pages
        self._snapshot: Snapshot | None = None
        self._position = 0
        """How many pages the target has."""
        self._ahead = 0
        """How many more it has had, of a source that was longer then."""
        self.failure: Failure | None = None
        """What the last step said."""
        self.remaining = 0
        """Pages that were left to copy after it, of ``total``."""
        self.total = 0

    @classmethod
    def open(
        cls, target: Database, target_schema: bytes, source: Database, source_schema: bytes
    ) -> tuple[Backup | None, Failure | None]:
        """Find the databases, of which the target must not be in use; the names have no NUL.

        https://sqlite.org/c3ref/backup_finish.html#sqlite3backupinit
        """
        pages = None
        apart = source.sandbox is not target.sandbox
        if apart:
            pages, failure = open_pages(source, source_schema)
            if pages is None:
                return None, failure
        found, failure = _open_target(target, target_schema, source, source_schema, peer=apart)
        if found is not None:
            return cls(found, source, pages), None
        if pages is not None:
            pages.release()
        return None, failure

    def step(self, pages: int) -> int:
        """Copy up to ``pages`` pages, all of them if it is negative: a result code.

        https://sqlite.org/c3ref/backup_finish.html#sqlite3backupstep
        """
        target = self._target.database
        # In one order for all, so that two backups in opposite directions do not wait for each other.
        first, second = sorted((target.lock, self._source.lock), key=id)
        since: float | None = None
        while True:
            with first, second:
                self._source.function("wsq_status")  # raises if it was closed
                rc, busy = self._try(target, pages)
            if self.failure is None:
                return rc
            with busy.lock:  # and no other: it is free while we wait
                since = busy.wait_turn(self.failure, since)
            if since is None:
                return rc

    def _try(self, target: Database, pages: int) -> tuple[int, Database]:
        """A step, and whose lock there was to wait for if it failed."""
        if target.dropped:
            target.drain()
        if self._pages is None:
            found, self.failure = self._target.run("wsq_backup_step", pages)
            return self._note(found), target
        try:
            snapshot, rc, self.failure = self._pages.begin()
            if snapshot is None:
                return rc, self._source
            return self._carry(target, self._pages, snapshot, pages), target
        finally:
            self._pages.end()

    def _carry(self, target: Database, pages: Pages, snapshot: Snapshot, wanted: int) -> int:
        """Bring the next pages into the target's instance, window by window, and let SQLite copy them."""
        copied = self._follow(snapshot)
        size, total = snapshot.page_size, snapshot.page_count
        stop = total if wanted < 0 else min(total, copied + wanted)
        most = max(1, _WINDOW // size)
        while True:
            count = max(0, min(most, stop - self._position))
            first = self._position + 1
            address = 0
            if count:
                data, rc, self.failure = pages.read(first, count, size)
                if self.failure is not None:
                    return rc
                address = target.reserve(len(data))
                target.memory.write(address, data)
            found, self.failure = self._target.run("wsq_backup_feed", size, total, first, count, address)
            rc = self._note(found)
            self._position = self.total - self.remaining
            self._ahead = max(0, copied - total)
            self.remaining -= self._ahead
            if rc != SQLITE_OK or self._position >= stop:
                return rc

    def _follow(self, snapshot: Snapshot) -> int:
        """How many pages are copied already. If the source has changed since, the target's first page is next."""
        before, self._snapshot = self._snapshot, snapshot
        copied = self._position + self._ahead
        if before is not None and before != snapshot:
            self._target.run("wsq_backup_restart")
            self._position = 0
            # SQLite brings the connection's own commits to a file into the copy, and counts on.
            if before.others != snapshot.others or snapshot.temporary:
                copied = 0
        return copied

    def _note(self, found: Status) -> int:
        self.remaining, self.total = found.rows, found.columns
        return found.rc

    def finish(self) -> None:
        """Give everything back: the target is as it was, unless the backup is complete.

        https://sqlite.org/c3ref/backup_finish.html#sqlite3backupfinish
        """
        try:
            self._target.release()
        finally:
            if self._pages is not None:
                self._pages.release()
