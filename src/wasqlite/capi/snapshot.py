"""A connection to databases in memory as a value: the guest's state, and what the host knows about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasqlite.bridge.record import Record
from wasqlite.capi.blob import Blob
from wasqlite.capi.callbacks import Registered
from wasqlite.capi.database import Database
from wasqlite.capi.library import library
from wasqlite.capi.sandbox import Sandbox
from wasqlite.capi.status import Status

if TYPE_CHECKING:
    from wasqlite.bridge import Snapshot
    from wasqlite.capi.sandbox import HostSide


class Refused(Exception):
    """Why there can be no snapshot now."""


class Saved(Record):
    """What ``take`` returns. Nothing in it refers to the connection that it is of."""

    guest: Snapshot
    buffer: tuple[int, int]
    handle: int
    statements: frozenset[int]
    """Compiled ones that somebody held: they are finalized where the snapshot is put."""
    blobs: frozenset[int]
    """The same, to be closed."""
    status: Status
    autocommit: int
    sql_length: int
    callbacks: Registered


def take(database: Database) -> Saved:
    """The present state of a connection that has its sandbox for itself; Refused."""
    sandbox = database.sandbox
    with database.lock:
        database.drain()
        if sandbox.shared:
            raise Refused("other connections share this one's memory")
        if database._state.depth:
            raise Refused("a statement of this connection is running")
        if files := sandbox.open_files():
            raise Refused(f"it would not hold the files that are open: {', '.join(map(ascii, files))}")
        entry = database._entry
        if any(closes != Blob.closes for closes in entry.objects.values()):
            raise Refused("a backup is under way")
        return Saved(
            sandbox.instance.snapshot(),
            sandbox.buffer,
            entry.address,
            frozenset(entry.statements),
            frozenset(entry.objects),
            database.status,
            database.autocommit,
            database.sql_length,
            sandbox.callbacks.save(),
        )


def open_saved(saved: Saved, host: HostSide, former: Database | None = None) -> Database:
    """A new connection in that state, with a sandbox of its own over ``host``; in the place of a former one."""
    lock = former.lock if former is not None else None
    return _adopt(Sandbox(host, library(), snapshot=saved.guest, lock=lock), saved)


def put_back(database: Database, saved: Saved) -> Database | None:
    """The same sandbox in that state, with another ``Database``; the one that there was is closed.

    None: that cannot be; open it in a sandbox of its own. That is so where something is open that the guest would not
    know of, and where the guest has stopped.
    """
    sandbox = database.sandbox
    with database.lock:
        instance = sandbox.instance
        if sandbox.shared or instance.dead is not None or database._state.depth or sandbox.open_files():
            return None
        database.shut()
        # Also of those that a signal handler kept from being handed out: what is left of any of them must not be
        # closed, since its address is that of the one which comes now.
        for entry in (database._entry, *sandbox.handles):
            other = entry.database()
            if other is not None:
                other.shut()
                other._handle = 0
            entry.address = 0
            entry.statements.clear()
            entry.objects.clear()
        sandbox.handles.clear()
        sandbox.dropped.clear()
        instance.restore(saved.guest)
        if instance.memory.size > saved.guest.size:
            sandbox.function("wsq_heap_regain", hold_gil=True)()
        return _adopt(sandbox, saved)


def _adopt(sandbox: Sandbox, saved: Saved) -> Database:
    """A ``Database`` for the handle that a snapshot has brought into the sandbox."""
    with sandbox.lock:
        sandbox.buffer = saved.buffer
        sandbox.callbacks.load(saved.callbacks, sandbox.instance)
        database = Database(sandbox)
        entry = database._entry
        sandbox.handles.add(entry)  # first: see above
        database._handle = entry.address = saved.handle
        database.sql_length = saved.sql_length
        for address in saved.statements:
            entry.statements.add(address)
            sandbox.dropped.append((address, entry))
        for address in saved.blobs:
            entry.objects[address] = Blob.closes
            sandbox.dropped.append((address, entry))
        # Two that begin alike must not go on alike: random() and the names of temporary files are unique.
        sandbox.function("sqlite3_randomness", hold_gil=True)(0, 0)
        if sandbox.dropped:
            sandbox.drain()
        database.take_status(saved.status)
        database.autocommit = saved.autocommit
        return database
