"""The rules of transaction control: pure decisions, no database."""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.capi.statement import Statement

LEGACY_TRANSACTION_CONTROL = -1

_LEVELS = ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")


def isolation_level(value: Any) -> str | None:
    """The canonical form of an isolation level; TypeError or ValueError if it is none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("isolation_level must be str or None")
    level: str = str.__str__(value)  # without what a subclass makes of the methods used here
    level.encode()
    if "\0" in level:
        raise ValueError("embedded null character")
    level = level.upper() if level.isascii() else level
    if level not in _LEVELS:
        raise ValueError("isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'")
    return level


def begin(level: str) -> str:
    """The statement that opens an implicit transaction."""
    return f"BEGIN {level}"


def autocommit(value: Any) -> bool | int:
    """``True``, ``False`` or ``LEGACY_TRANSACTION_CONTROL``; ValueError for anything else, equal or not."""
    if value is True or value is False:
        return value
    try:
        if operator.index(value) == LEGACY_TRANSACTION_CONTROL:
            return LEGACY_TRANSACTION_CONTROL
    except TypeError:
        pass
    raise ValueError("autocommit must be True, False, or sqlite3.LEGACY_TRANSACTION_CONTROL")


def begins_implicitly(autocommit: bool | int, level: str | None, is_dml: bool, in_transaction: bool) -> bool:
    """Whether a transaction is to be opened before a statement."""
    return is_dml and not in_transaction and level is not None and autocommit == LEGACY_TRANSACTION_CONTROL


class Unkept(dict[str, "Statement"]):
    """A place for compiled statements that keeps none."""

    def __setitem__(self, sql: str, statement: Statement) -> None:
        pass
