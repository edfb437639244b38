"""The PEP 249 exceptions, and the one place where a result code becomes one of them."""

from __future__ import annotations

import errno
import os

from wasqlite.bridge import ForkedInstance, InstanceClosed, ReentryError
from wasqlite.capi import constants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from wasqlite.bridge import BridgeError
    from wasqlite.capi.status import Cause, Failure

# The public place of these classes is the package: tracebacks and pickles name them there.


class Warning(Exception):
    """An important warning."""

    __module__ = "wasqlite"


class Error(Exception):
    """Base of all database errors.

    Errors that come from SQLite have ``sqlite_errorcode`` (the extended result code) and ``sqlite_errorname``;
    the driver's own have neither attribute.

    Where the operating system refused something, ``system_errno`` (as in the ``errno`` module), ``system_operation``
    ("open", "write", "sync"...) and ``system_path`` say what, else they are None. The message stays SQLite's; a note
    carries the same in words.
    """

    __module__ = "wasqlite"
    system_errno: int | None = None
    system_operation: str | None = None
    system_path: str | None = None
    if TYPE_CHECKING:
        sqlite_errorcode: int
        sqlite_errorname: str


class InterfaceError(Error):
    """Misuse of SQLite's C API."""

    __module__ = "wasqlite"


class DatabaseError(Error):
    """An error of the database."""

    __module__ = "wasqlite"


class DataError(DatabaseError):
    """A problem with the processed data, such as a value that is too big."""

    __module__ = "wasqlite"


class OperationalError(DatabaseError):
    """An error of the database's operation, not necessarily under the programmer's control."""

    __module__ = "wasqlite"


class IntegrityError(DatabaseError):
    """A constraint failed."""

    __module__ = "wasqlite"


class InternalError(DatabaseError):
    """SQLite met an internal error, or its sandbox stopped."""

    __module__ = "wasqlite"


class ProgrammingError(DatabaseError):
    """The API was used wrongly."""

    __module__ = "wasqlite"


class NotSupportedError(DatabaseError):
    """A feature that is not there."""

    __module__ = "wasqlite"


def _classes(cls: type[Error], *names: str) -> dict[int, type[Error]]:
    return {getattr(constants, f"SQLITE_{name}"): cls for name in names}


_CLASS_BY_PRIMARY_CODE = {
    **_classes(InternalError, "INTERNAL", "NOTFOUND"),
    **_classes(OperationalError, "ERROR", "PERM", "ABORT", "BUSY", "LOCKED", "READONLY", "INTERRUPT", "IOERR", "FULL"),
    **_classes(OperationalError, "CANTOPEN", "PROTOCOL", "EMPTY", "SCHEMA"),
    **_classes(DataError, "TOOBIG"),
    **_classes(IntegrityError, "CONSTRAINT", "MISMATCH"),
    **_classes(InterfaceError, "MISUSE", "RANGE"),
}

_WAL = (
    "unable to open database file: it is in WAL mode, which needs memory shared with other processes, and wasqlite has "
    'none on this platform. Switch it with another SQLite: "PRAGMA journal_mode=DELETE"'
)


def from_failure(failure: Failure) -> Exception:
    """The exception for an error that SQLite reported."""
    code = failure.code
    primary = code & 0xFF
    if primary == constants.SQLITE_NOMEM:
        out_of_memory = MemoryError()
        out_of_memory.__cause__ = failure.raised
        return out_of_memory
    message = _WAL if failure.wal and primary == constants.SQLITE_CANTOPEN else failure.message
    error = _CLASS_BY_PRIMARY_CODE.get(primary, DatabaseError)(message)
    error.__cause__ = failure.raised
    error.sqlite_errorcode = code
    error.sqlite_errorname = constants.RESULT_CODE_NAMES.get(code, "unknown")
    if failure.cause is not None:
        _explain(error, failure.cause)
    return error


def _explain(error: Error, cause: Cause) -> None:
    """Add what the operating system said. Not as ``__cause__``, which belongs to the one who raises."""
    error.system_errno, error.system_operation = cause.errno, cause.operation
    words = f"{os.strerror(cause.errno)} ({errno.errorcode.get(cause.errno, cause.errno)})"
    if cause.path is not None:
        error.system_path = os.fsdecode(cause.path)
        words += f": {error.system_path!r}"
    error.add_note(f"{cause.operation}: {words}" if cause.operation else words)


def raise_unusable(error: BridgeError) -> NoReturn:
    """The exception for a sandbox that no longer works; the bridge's own is its cause."""
    if isinstance(error, ForkedInstance):
        raise ProgrammingError(
            "This connection was opened before fork(), in the parent process, and cannot be used in the child. "
            "Open a new one here."
        ) from error
    if isinstance(error, InstanceClosed):
        # By another thread, between our look at the connection and the call.
        raise ProgrammingError("Cannot operate on a closed database.") from error
    if isinstance(error, ReentryError):
        raise ProgrammingError(
            "The connection's SQLite is in the middle of another call, and cannot be used from a signal handler or "
            "callback that interrupts it."
        ) from error
    raise InternalError(
        f"The SQLite sandbox of this connection stopped and cannot be used any more: {error}"
    ) from error
