"""Rows on their way out: text as the connection's ``text_factory`` wants it, and values as converters make them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence

from wasqlite.capi.batch import RAW_MIXTURE, RAW_TEXT, RawText
from wasqlite.capi.constants import SQLITE_MISUSE
from wasqlite.capi.status import Failure
from wasqlite.converting import DECODED_TEXT
from wasqlite.exceptions import OperationalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.columns import Columns
    from wasqlite.converting import Converter

    Values = tuple[Any, ...]

    Steps = Sequence[tuple[int, type, Callable[[Any], Any]]]
    """What is to be done with a row: apply a function to the value in a column, if it is of this type."""

MISUSE = Failure(SQLITE_MISUSE, "bad parameter or other API misuse")

_UINT32_MAX = 0xFFFF_FFFF


Cells = Sequence["int | Converter"]
"""What the values of each column are: 0 if there is no text, ``RAW_TEXT``, ``RAW_MIXTURE``, ``DECODED_TEXT``, or the
converter that wants them. Empty where that is ``DECODED_TEXT`` for all columns."""


def steps(cells: Cells, factory: Any, columns: Columns) -> Steps:
    """How rows go out: converters applied, and text as ``factory`` makes it of the bytes.

    With the factory ``str``, text that is not UTF-8 is an error.
    """
    width = len(columns.description or ())
    found: list[tuple[int, type, Callable[[Any], Any]]] = []
    for index, cell in enumerate(cells or [DECODED_TEXT] * width):
        if not isinstance(cell, int):
            found.append((index, bytes, cell))
        elif cell == RAW_TEXT:
            if factory is not bytes:
                found.append((index, bytes, factory if factory is not str else _decoder(index, columns)))
        elif cell == RAW_MIXTURE:
            text = _decoder(index, columns) if factory is str else lambda value: factory(bytes(value))
            found.append((index, RawText, text))
        elif cell == DECODED_TEXT and factory is not str:
            # It came before the factory was set.
            found.append((index, str, lambda value: factory(value.encode())))
    return found


def _decoder(index: int, columns: Columns) -> Callable[[bytes], str]:
    def decode(value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            name = columns.description[index][0] if columns.description else ""
            raise undecodable(value, name) from None

    return decode


def convert_columns(
    columns: Iterable[Sequence[Any]], count: int, steps: Steps
) -> tuple[list[Values], BaseException | None]:
    """``count`` rows after these steps, column by column: up to the first row that they failed for, and the error.

    Each value is converted once, as if row by row, but not in that order.
    """
    failure: BaseException | None = None
    converted = list(columns)
    for index, kind, function in steps:
        column = converted[index] if failure is None else converted[index][:count]
        values: list[Any] = []
        try:
            if set(map(type, column)) == {kind}:
                values.extend(map(function, column))
            else:
                values.extend(function(value) if type(value) is kind else value for value in column)
        except BaseException as error:
            # Of the columns to the right, only the rows above can still fail before this one.
            failure, count = error, len(values)
        converted[index] = values
    if failure is not None:
        converted = [values[:count] for values in converted]
    return list(zip(*converted, strict=True)), failure


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
