"""SQLite in a WebAssembly sandbox, behind the interface of the standard library's ``sqlite3``."""

from __future__ import annotations

import collections
import datetime
import time

from wasqlite import _compat
from wasqlite import arguments as _arguments
from wasqlite.adapting import PrepareProtocol, adapt, adapters, register_adapter
from wasqlite.capi import constants as _constants
from wasqlite.capi.constants import SQLITE_VERSION as sqlite_version
from wasqlite.complete import complete_statement
from wasqlite.connection import Connection
from wasqlite.converting import PARSE_COLNAMES, PARSE_DECLTYPES, converters, register_converter
from wasqlite.cursor import Cursor
from wasqlite.exceptions import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from wasqlite.row import Row
from wasqlite.transactions import LEGACY_TRANSACTION_CONTROL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from os import PathLike
    from typing import Any, Literal, TypeVar, overload

    from wasqlite.blob import Blob
    from wasqlite.capi.constants import *  # noqa: F403

    _ConnectionT = TypeVar("_ConnectionT", bound=Connection)

    @overload
    def connect(
        database: str | bytes | PathLike[str] | PathLike[bytes],
        timeout: float = 5.0,
        detect_types: int = 0,
        isolation_level: str | None = "",
        check_same_thread: bool = True,
        *,
        cached_statements: int = 128,
        uri: bool = False,
        autocommit: bool | Literal[-1] = -1,
    ) -> Connection: ...
    @overload
    def connect(
        database: str | bytes | PathLike[str] | PathLike[bytes],
        timeout: float,
        detect_types: int,
        isolation_level: str | None,
        check_same_thread: bool,
        factory: type[_ConnectionT],
        cached_statements: int = 128,
        uri: bool = False,
        *,
        autocommit: bool | Literal[-1] = -1,
    ) -> _ConnectionT: ...
    @overload
    def connect(
        database: str | bytes | PathLike[str] | PathLike[bytes],
        timeout: float = 5.0,
        detect_types: int = 0,
        isolation_level: str | None = "",
        check_same_thread: bool = True,
        *,
        factory: type[_ConnectionT],
        cached_statements: int = 128,
        uri: bool = False,
        autocommit: bool | Literal[-1] = -1,
    ) -> _ConnectionT: ...
    def connect(*args: Any, **keywords: Any) -> Any:
        """Open a connection to an SQLite database: a file, ``:memory:``, or ``""`` for a private temporary one."""

    def install() -> AbstractContextManager[Any]:
        """Let ``import sqlite3`` find wasqlite in this process, until ``uninstall()`` or the end of a ``with``."""

    def uninstall() -> None:
        """Undo ``install()``."""

else:

    def connect(*args, **keywords):
        """Open a connection to an SQLite database: a file, ``:memory:``, or ``""`` for a private temporary one."""
        _arguments.positional("sqlite3.connect", len(args))
        factory = args[5] if len(args) > 5 else keywords.get("factory", Connection)
        # What was passed is relayed as it is: a factory may take other arguments.
        return factory(*args, **keywords)

    def __getattr__(name):
        """What is loaded when it is first asked for, and what only older Pythons have."""
        if name == "Blob":
            from wasqlite.blob import Blob

            return globals().setdefault(name, Blob)
        if name in ("dbapi2", "install", "uninstall"):
            from importlib import import_module

            found = import_module("wasqlite.dbapi2" if name == "dbapi2" else "wasqlite.drop_in")
            return found if name == "dbapi2" else getattr(found, name)
        from wasqlite.obsolete import attribute

        return attribute(name)


apilevel = "2.0"
paramstyle = "qmark"
threadsafety = 3
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))

Binary = memoryview
Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime


def DateFromTicks(ticks: float) -> datetime.date:
    """The local date at ``ticks`` seconds after the epoch."""
    return Date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> datetime.time:
    """The local time at ``ticks`` seconds after the epoch."""
    return Time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> datetime.datetime:
    """The local date and time at ``ticks`` seconds after the epoch."""
    return Timestamp(*time.localtime(ticks)[:6])


def enable_callback_tracebacks(enable: int, /) -> None:
    """Enable or disable callback functions throwing errors to stderr: through ``sys.unraisablehook``."""
    from wasqlite import tracebacks

    tracebacks.enable(enable)


# The stdlib has result codes, authorizer codes, limits and configuration options; not the other constants.
_families = ("SQLITE_OPEN_", "SQLITE_PREPARE_", "SQLITE_UTF16", "SQLITE_SUBTYPE", "SQLITE_RESULT_SUBTYPE")
_others = {
    "INTEGER",
    "FLOAT",
    "TEXT",
    "BLOB",
    "NULL",
    "SQLITE3_TEXT",
    "UTF8",
    "ANY",
    "DETERMINISTIC",
    "DIRECTONLY",
    "INNOCUOUS",
    "SELFORDER1",
    "UTF8_ZT",
    "VERSION",
    # No switches, so setconfig() does not take them.
    "DBCONFIG_FP_DIGITS",
    "DBCONFIG_LOOKASIDE",
    "DBCONFIG_MAINDBNAME",
    "DBCONFIG_MAX",
}
_exported = {
    _name: _value
    for _name, _value in vars(_constants).items()
    if _name.startswith("SQLITE_") and not _name.startswith(_families) and _name[7:] not in _others
}
globals().update(_exported)

__all__ = [
    "LEGACY_TRANSACTION_CONTROL",
    "PARSE_COLNAMES",
    "PARSE_DECLTYPES",
    "Binary",
    "Blob",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "PrepareProtocol",
    "ProgrammingError",
    "Row",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "adapt",
    "adapters",
    "apilevel",
    "collections",
    "complete_statement",
    "connect",
    "converters",
    "datetime",
    "enable_callback_tracebacks",
    "paramstyle",
    "register_adapter",
    "register_converter",
    "sqlite_version",
    "sqlite_version_info",
    "threadsafety",
    "time",
]
__all__ += _exported
__all__ += _compat.OLD_NAMES
