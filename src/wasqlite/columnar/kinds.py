"""Pure rules of which array type a column gets: by its values, by what the table declares, by what the caller wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from wasqlite.capi.batch import SEEN_BLOB, SEEN_FLOAT, SEEN_INTEGER, SEEN_TEXT
from wasqlite.exceptions import DataError

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMBERS = (*INTEGERS, "bool", "float32", "float64")
NAMES = (*NUMBERS, "text", "blob", "object", "null")

_ALIASES: dict[Any, str] = {
    "integer": "int64",
    "real": "float64",
    "string": "text",
    "binary": "blob",
    int: "int64",
    float: "float64",
    str: "text",
    bytes: "blob",
    bool: "bool",
    object: "object",
}

_NATURAL = {
    0: None,
    SEEN_INTEGER: "int64",
    SEEN_FLOAT: "float64",
    SEEN_INTEGER | SEEN_FLOAT: "float64",
    SEEN_TEXT: "text",
    SEEN_BLOB: "blob",
}

HOLDS = {
    **dict.fromkeys((*INTEGERS, "bool"), SEEN_INTEGER),
    "float32": SEEN_INTEGER | SEEN_FLOAT,
    "float64": SEEN_INTEGER | SEEN_FLOAT,
    "text": SEEN_TEXT,
    "blob": SEEN_BLOB | SEEN_TEXT,
    "object": SEEN_INTEGER | SEEN_FLOAT | SEEN_TEXT | SEEN_BLOB,
    "null": 0,
}
"""The storage classes that an array type has room for. Text as a blob is its bytes."""

CLASS_NAMES = {SEEN_INTEGER: "INTEGER", SEEN_FLOAT: "REAL", SEEN_TEXT: "TEXT", SEEN_BLOB: "BLOB"}


def parse(name: Any) -> str:
    """One of ``NAMES``, for what a caller wrote; ValueError."""
    found: Any = name
    with suppress(TypeError):  # what cannot be hashed is no type either
        found = _ALIASES.get(name, name)
    if found not in NAMES:
        raise ValueError(f"{name!r} is not an array type; there are {', '.join(NAMES)}")
    return str(found)


def per_column(types: Mapping[str, Any] | None, names: Sequence[str]) -> list[Any]:
    """What ``types`` says of each column, None where it says nothing. ValueError if it names others."""
    if not types:
        return [None] * len(names)
    unknown = [name for name in types if name not in names]
    if unknown:
        raise ValueError(f"types names a column that the result does not have: {unknown[0]!r}")
    return [types.get(name) for name in names]


def natural(classes: int) -> str | None:
    """The type for a column of these storage classes: None if it has no values. LookupError: no type holds them."""
    return _NATURAL[classes]


def declared(name: str | None) -> str:
    """The type for a column without values, from its declared type by SQLite's rules of affinity; else ``null``.

    https://sqlite.org/datatype3.html#determination_of_column_affinity
    """
    upper = (name or "").upper()
    for type_name, words in (
        ("int64", ("INT",)),
        ("text", ("CHAR", "CLOB", "TEXT")),
        ("blob", ("BLOB",)),
        ("float64", ("REAL", "FLOA", "DOUB")),
    ):
        if any(word in upper for word in words):
            return type_name
    return "null"  # NUMERIC affinity, or no type at all: anything may be there


def split(classes: int) -> list[int]:
    """The single storage classes of a mask."""
    return [bit for bit in CLASS_NAMES if classes & bit]


def conflict(column: str, places: Iterable[tuple[int, int]]) -> DataError:
    """The error for a column of several storage classes; ``places`` are classes with the first row of each."""
    words = " and ".join(f"{CLASS_NAMES[bit]} in row {row}" for row, bit in sorted((row, bit) for bit, row in places))
    return DataError(
        f"column {column!r} has {words} (counted from 0), and no array type holds both: CAST it in SQL, or choose with "
        f"types={{{column!r}: ...}}"
    )


def misfit(column: str, row: int, what: str, kind: str, chosen_by: str) -> DataError:
    """The error for a value that a column's type has no room for."""
    return DataError(f"column {column!r} has {what} in row {row} (counted from 0), but its type is {kind}{chosen_by}")
