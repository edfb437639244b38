"""``Connection.snapshot()``, ``restore()`` and ``clone()``: databases in memory as values."""

from __future__ import annotations

import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wasqlite.bridge import BridgeError, InstancePoisoned, ReentryError, SnapshotError
from wasqlite.capi import snapshot as capi
from wasqlite.exceptions import InternalError, NotSupportedError, ProgrammingError, raise_unusable
from wasqlite.statement_cache import StatementCache
from wasqlite.vfs.host import HostFiles

if TYPE_CHECKING:
    from typing import NoReturn

    from wasqlite.capi.database import Database
    from wasqlite.connection import Connection

    ConnectionT = TypeVar("ConnectionT", bound=Connection)
else:
    ConnectionT = TypeVar("ConnectionT")

_KEPT = ("row_factory", "text_factory", "_autocommit", "_isolation_level", "_uri")
"""The attributes of a connection that belong to a snapshot."""


class Snapshot(Generic[ConnectionT]):
    """A connection as it was when ``Connection.snapshot()`` was called. Immutable; it outlives the connection.

    ``connect()`` opens another connection with it, in any thread, and in the child of a fork too;
    ``Connection.restore`` puts it back. Its memory is given back with the last reference.
    """

    __slots__ = ("_attributes", "_cached", "_checked", "_detected", "_kind", "_own", "_saved", "_unkept")

    def __init__(self, connection: ConnectionT, saved: capi.Saved) -> None:
        self._saved = saved
        self._kind = type(connection)
        self._attributes = {name: getattr(connection, name) for name in _KEPT}
        self._own = dict(getattr(connection, "__dict__", {}))
        self._checked = connection._thread is not None
        self._unkept = type(connection._kept)
        self._cached, self._detected = connection._cache.size, connection._cache.detect_types

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self._saved.guest.stored

    def __repr__(self) -> str:
        return f"<snapshot of a {self._kind.__name__}, {self.size} bytes>"

    def connect(self) -> ConnectionT:
        """A further connection in this state: the databases, an open transaction, functions, collations and hooks.

        It has the class of the one that the snapshot is of, made without ``__init__`` as ``copy.copy`` would, and its
        options.
        """
        sys.audit("sqlite3.connect", ":memory:")
        try:
            database = capi.open_saved(self._saved, HostFiles())
        except BridgeError as error:
            raise InternalError(f"The SQLite sandbox cannot be started: {error}") from error
        connection = self._kind.__new__(self._kind)
        connection._thread = get_ident() if self._checked else None
        if self._own:
            connection.__dict__.update(self._own)
        self._give(connection, database)
        sys.audit("sqlite3.connect/handle", connection)
        return connection

    def _give(self, connection: Connection, database: Database) -> None:
        for name, value in self._attributes.items():
            setattr(connection, name, value)
        connection._cache = StatementCache(database, self._cached, self._detected)
        connection._kept = self._unkept()
        connection._database = database


def take(connection: ConnectionT, database: Database) -> Snapshot[ConnectionT]:
    """``Connection.snapshot``."""
    # What is compiled is compiled anew when it is wanted again; or else each connection that is opened with the
    # snapshot would begin with finalizing it.
    connection._cache = StatementCache(database, connection._cache.size, connection._cache.detect_types)
    connection._kept = type(connection._kept)()
    try:
        return Snapshot(connection, capi.take(database))
    except capi.Refused as error:
        raise NotSupportedError(f"There can be no snapshot of this connection: {error}. {_WANTED}") from None
    except SnapshotError as error:
        raise NotSupportedError(f"There can be no snapshot of this connection: {error}") from error
    except BridgeError as error:
        raise_unusable(error)


_WANTED = (
    "It must be to a database in memory that is not shared, with nothing attached but such, and be between two "
    "operations; temporary tables that have grown out of the cache are in files, unless PRAGMA temp_store = MEMORY"
)


def restore(connection: Connection, snapshot: Any, database: Database) -> None:
    """``Connection.restore``."""
    if not isinstance(snapshot, Snapshot):
        raise TypeError(f"restore() argument 1 must be a snapshot, not {type(snapshot).__name__}")
    dead = database.instance.dead
    if dead is not None and not isinstance(dead, InstancePoisoned):
        raise_unusable(dead)
    try:
        if database.inside():
            _refuse_inside()
        there = capi.put_back(database, snapshot._saved)
        if there is None:
            there = capi.open_saved(snapshot._saved, HostFiles(), database)
            database.close()
    except ReentryError:
        _refuse_inside()
    except BridgeError as error:
        raise_unusable(error)
    snapshot._give(connection, there)


def _refuse_inside() -> NoReturn:
    raise ProgrammingError("Cannot restore a connection from inside one of its own callbacks.")
