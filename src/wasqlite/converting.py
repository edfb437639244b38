"""Converters: what ``detect_types`` makes of values, by declared type or by a type in brackets in the column's name."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat

from wasqlite._compat import DEFAULT_ADAPTERS_WARN
from wasqlite.adapting import warn_default

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.capi.statement import Statement

    Converter = Callable[[bytes], Any]

PARSE_DECLTYPES = 1
PARSE_COLNAMES = 2

DECODED_TEXT = 3
"""Beside the kinds of raw columns: text is ``str``."""


converters: dict[str, Converter] = {}
"""By name in upper case. Programs change it directly."""


def register_converter(typename: str, converter: Converter, /) -> None:
    """Register a function to convert SQLite values to Python objects."""
    if not isinstance(typename, str):
        name = "None" if typename is None else type(typename).__name__
        raise TypeError(f"register_converter() argument 1 must be str, not {name}")
    converters[typename.upper()] = converter


class Conversion:
    """The converters of one execution, by column."""

    __slots__ = ("as_blobs", "found")

    def __init__(self, found: list[Converter | None]) -> None:
        self.found = found
        self.as_blobs = bytes(converter is not None for converter in found)
        """For the statement: which columns the converters want as bytes, whatever the values are."""

    def cells(self, raw: Sequence[int]) -> Sequence[int | Converter]:
        """What is to be done with the columns of a batch: see ``rows.Cells``."""
        if not any(self.as_blobs):
            return raw
        return [
            converter if callable(converter) else partial(_call, converter) if converter is not None else kind
            for converter, kind in zip(self.found, raw or repeat(DECODED_TEXT), strict=False)
        ]


def _call(converter: Converter, value: bytes) -> Any:
    return converter(value)


class Types:
    """The names of types that a statement's columns have."""

    __slots__ = ("_detect", "_keys", "_statement")

    def __init__(self, statement: Statement, detect: int) -> None:
        self._statement = statement
        self._detect = detect
        self._keys: list[list[str]] | None = None

    def column_names(self) -> list[str]:
        """The names for the description: without the types in brackets, if these count."""
        self._keys = None
        names = self._statement.names
        return [_before_bracket(name) for name in names] if self._detect & PARSE_COLNAMES else names

    def conversion(self) -> Conversion:
        """The converters that are registered now."""
        keys = self._keys
        if keys is None:
            keys = self._keys = self._find()
        return Conversion([next((converters[name] for name in names if name in converters), None) for names in keys])

    def _find(self) -> list[list[str]]:
        """Per column, what to look for among the converters, the first choice first."""
        found: list[list[str]] = [[] for _ in self._statement.names]
        if self._detect & PARSE_COLNAMES:
            for keys, name in zip(found, self._statement.names, strict=True):
                named = _in_brackets(name)
                if named is not None:
                    keys.append(named.upper())
        if self._detect & PARSE_DECLTYPES:
            for keys, declared in zip(found, self._statement.declared_types(), strict=False):
                if declared is not None:
                    keys.append(declared.partition("(")[0].partition(" ")[0].upper())
        return found


def _before_bracket(name: str) -> str:
    """What stands before the first bracket and a space before that."""
    before, bracket, _ = name.partition("[")
    return before.removesuffix(" ") if bracket else name


def _in_brackets(name: str) -> str | None:
    """What stands in the first brackets that are closed."""
    for piece in name.split("[")[1:]:
        inside, closed, _ = piece.partition("]")
        if closed:
            return inside
    return None


def _convert_date(value: bytes) -> datetime.date:
    if DEFAULT_ADAPTERS_WARN:
        warn_default("date converter")
    return datetime.date(*map(int, value.split(b"-")))


def _convert_timestamp(value: bytes) -> datetime.datetime:
    """Local or not, the time as it is written: what follows six digits of a second, such as an offset, is ignored."""
    if DEFAULT_ADAPTERS_WARN:
        warn_default("timestamp converter")
    date, time = value.split(b" ")
    year, month, day = map(int, date.split(b"-"))
    whole, *fraction = time.split(b".")
    hours, minutes, seconds = map(int, whole.split(b":"))
    microseconds = int(fraction[0].decode()[:6].ljust(6, "0")) if len(fraction) == 1 else 0
    return datetime.datetime(year, month, day, hours, minutes, seconds, microseconds)


register_converter("date", _convert_date)
register_converter("timestamp", _convert_timestamp)
