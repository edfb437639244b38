"""Rows on their way out: text as the connection's ``text_factory`` wants it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from wasqlite.capi.batch import RawText
from wasqlite.capi.constants import SQLITE_MISUSE
from wasqlite.capi.status import Failure
from wasqlite.exceptions import OperationalError

if TYPE_CHECKING:
    from wasqlite.columns import Columns

MISUSE = Failure(SQLITE_MISUSE, "bad parameter or other API misuse")

_UINT32_MAX = 0xFFFF_FFFF


def convert(row: tuple[Any, ...], factory: Any, columns: Columns | None) -> tuple[Any, ...]:
    """The row with its text as ``factory`` makes it of the bytes; with ``str``, text that is not UTF-8 is an error."""
    return tuple(
        _text(value, factory, columns, index) if type(value) in (str, RawText) else value
        for index, value in enumerate(row)
    )


def _text(value: str | RawText, factory: Any, columns: Columns | None, index: int) -> Any:
    if factory is str:
        if isinstance(value, str):
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            name = columns.description[index][0] if columns is not None and columns.description else ""
            raise undecodable(value, name) from None
    data = value.encode() if isinstance(value, str) else bytes(value)
    return data if factory is bytes else factory(data)


def undecodable(value: bytes, name: str) -> OperationalError:
    """The error for text that is not UTF-8, in the column ``name``."""
    text = value.partition(b"\0")[0].decode("ascii", "replace")
    return OperationalError(f"Could not decode to UTF-8 column '{name}' with text '{text}'")


def row_count(size: Any) -> int:
    """A number of rows as ``fetchmany`` and ``arraysize`` take it."""
    count = operator.index(size)
    if count < 0:
        raise ValueError("value must be positive")
    if count > _UINT32_MAX:
        raise OverflowError("Python int too large for C uint32_t")
    return count


def type_name(value: Any) -> str:
    """How the interpreter names the type of a wrong argument."""
    return "None" if value is None else type(value).__name__
