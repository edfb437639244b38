"""``Connection.ingest`` of a mapping from column names to numpy arrays, or to sequences of Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wasqlite.columnar.inputs import Block, Field, Input, Mask, Numbers, Values
from wasqlite.columnar.moments import UNITS, Moments

_DECLARED = {"i": "INTEGER", "u": "INTEGER", "b": "INTEGER", "f": "REAL", "U": "TEXT", "T": "TEXT", "S": "BLOB"}
_PYTHON: dict[type, str] = {int: "INTEGER", bool: "INTEGER", float: "REAL", str: "TEXT", bytes: "BLOB"}
_COARSE = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s"}


def open_mapping(data: Mapping[str, Any]) -> tuple[list[Field], list[Block]]:
    """The columns of a mapping, and their rows as one block."""
    fields, columns, lengths = [], [], {}
    for name, values in data.items():
        column, declared, lengths[name] = _column(name, values)
        fields.append(Field(name, declared))
        columns.append(column)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths: {lengths}")
    return fields, [Block(next(iter(lengths.values()), 0), columns)]


def _column(name: str, values: Any) -> tuple[Input, str, int]:
    if isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray | memoryview):
        return Values(values), _common(values), len(values)
    if not isinstance(values, np.ndarray):
        if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
            raise TypeError(f"column {name!r} is Arrow data: pass the whole table, or a numpy array of the column")
        values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"column {name!r} has {values.ndim} dimensions, where one is needed")
    mask: Mask = None
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values) if np.ma.is_masked(values) else None
        values = values.data
    column, declared = _array(name, values, mask)
    return column, declared, len(values)


def _array(name: str, values: NDArray[Any], mask: Mask) -> tuple[Input, str]:
    kind = values.dtype.kind
    if kind in "iub" or (kind == "f" and values.dtype.itemsize <= 8):
        return Numbers(values, mask), _DECLARED[kind]
    if kind in "UTSO":
        objects = _objects(values, mask)
        return Values(objects), _DECLARED.get(kind) or _common(objects)
    if kind == "M":
        unit, count = np.datetime_data(values.dtype)
        if count == 1 and unit in _COARSE:
            unit = _COARSE[unit]
            values = values.astype(f"datetime64[{unit}]")
        if count == 1 and unit in UNITS:
            return Moments(values, mask), "DATE" if unit == "D" else "TIMESTAMP"
    raise TypeError(f"column {name!r} has the dtype {values.dtype}, which SQLite has no storage class for")


def _objects(values: NDArray[Any], mask: Mask) -> list[Any]:
    objects: list[Any] = values.tolist()
    if hasattr(values.dtype, "na_object"):
        missing = values.dtype.na_object
        objects = [None if value is missing else value for value in objects]
    if mask is not None:
        for row in np.flatnonzero(mask).tolist():
            objects[row] = None
    return objects


def _common(values: Sequence[Any]) -> str:
    """The type that values have in common, for CREATE TABLE. If there is none, none is declared: it would convert."""
    kinds = set(map(type, values)) - {type(None)}
    return _PYTHON.get(kinds.pop(), "") if len(kinds) == 1 else ""
