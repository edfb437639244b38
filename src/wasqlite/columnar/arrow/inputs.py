"""``Connection.ingest`` of Arrow data: whatever has ``__arrow_c_stream__`` or ``__arrow_c_array__``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import c_array_stream
from nanoarrow.c_schema import c_schema_view
from numpy.typing import NDArray

from wasqlite.capi.batch import SEEN_BLOB, SEEN_TEXT
from wasqlite.columnar.inputs import Block, Field, Input, Mask, Nulls, Numbers, Sized
from wasqlite.columnar.moments import Moments
from wasqlite.exceptions import NotSupportedError

_NUMBERS: dict[str, str] = {
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "half_float": "<f2",
    "float": "<f4",
    "double": "<f8",
}
_SIZED = {
    "string": (SEEN_TEXT, "<i4"),
    "large_string": (SEEN_TEXT, "<i8"),
    "binary": (SEEN_BLOB, "<i4"),
    "large_binary": (SEEN_BLOB, "<i8"),
}
_VIEWS = {"string_view": SEEN_TEXT, "binary_view": SEEN_BLOB}
_DECLARED = {SEEN_TEXT: "TEXT", SEEN_BLOB: "BLOB"}
_DAY = 86_400_000
_INLINE = 12


def open_stream(data: Any) -> tuple[list[Field], Iterator[Block]]:
    """The columns of a table, and its record batches one by one."""
    stream = c_array_stream(data)
    schema = stream.get_schema()
    if schema.format != "+s":
        raise TypeError(f"a table is needed, whose Arrow type is a struct, not {na.Schema(schema)}")
    fields = [Field(child.name, _declared(child)) for child in map(schema.child, range(schema.n_children))]
    return fields, _blocks(stream, schema)


def _blocks(stream: Any, schema: Any) -> Iterator[Block]:
    while True:
        try:
            array = stream.get_next()
        except StopIteration:
            return
        if array.null_count:
            raise TypeError("a record batch must not be NULL as a whole in some rows")
        view = array.view()
        columns = []
        for number in range(schema.n_children):
            child = view.child(number)
            first = array.offset + child.offset
            columns.append(_input(schema.child(number), child, first, array.length))
        yield Block(array.length, columns)


def _declared(schema: Any) -> str:
    """The column's type for CREATE TABLE; NotSupportedError if there is no way to store it."""
    view = c_schema_view(schema)
    kind = view.type
    if kind == "dictionary":
        return _declared(schema.dictionary)
    if kind in _NUMBERS:
        return "REAL" if _NUMBERS[kind].strip("<")[0] == "f" else "INTEGER"
    if kind in _SIZED:
        return _DECLARED[_SIZED[kind][0]]
    if kind in _VIEWS:
        return _DECLARED[_VIEWS[kind]]
    for name, declared in (
        ("bool", "INTEGER"),
        ("fixed_size_binary", "BLOB"),
        ("date32", "DATE"),
        ("date64", "DATE"),
        ("timestamp", "TIMESTAMP"),
        ("na", ""),
    ):
        if kind == name:
            return declared
    raise NotSupportedError(
        f"column {schema.name!r} has the Arrow type {na.Schema(schema)}, which SQLite has no storage class for: "
        "cast it first"
    )


def _input(schema: Any, view: Any, first: int, rows: int) -> Input:
    """``rows`` rows from ``first`` on of an array."""
    kind = c_schema_view(schema).type
    if kind == "na":
        return Nulls()
    mask = _mask(view, first, rows)
    if kind == "dictionary":
        return _dictionary(schema, view, first, rows, mask)
    if kind in _NUMBERS:
        return Numbers(_buffer(view, 1, _NUMBERS[kind])[first : first + rows], mask)
    if kind == "bool":
        return Numbers(_bits(view, 1, first, rows), mask)
    if kind in _SIZED:
        seen, offset = _SIZED[kind]
        offsets = _buffer(view, 1, offset)[first : first + rows + 1]
        return Sized(seen, _buffer(view, 2, "u1"), offsets[:-1], ends=offsets[1:], mask=mask)
    if kind in _VIEWS:
        return _views(_VIEWS[kind], view, first, rows, mask)
    if kind == "fixed_size_binary":
        size = c_schema_view(schema).fixed_size
        starts = np.arange(first, first + rows, dtype=np.int64) * size
        return Sized(SEEN_BLOB, _buffer(view, 1, "u1"), starts, ends=starts + size, mask=mask)
    return _moments(schema, view, first, rows, mask)


def _moments(schema: Any, view: Any, first: int, rows: int, mask: Mask) -> Input:
    found = c_schema_view(schema)
    if found.type == "date32":
        days = _buffer(view, 1, "<i4")[first : first + rows].astype(np.int64)
        return Moments(days.view("datetime64[D]"), mask)
    ticks = _buffer(view, 1, "<i8")[first : first + rows]
    if found.type == "date64":
        # Arrow has whole days there: what is not one would be cut off.
        return (
            Moments((ticks // _DAY).view("datetime64[D]"), mask)
            if not (ticks % _DAY).any()
            else Moments(ticks.view("datetime64[ms]"), mask)
        )
    # A time zone says how to show the moment; the moment itself is in UTC, and is stored so.
    return Moments(ticks.view(f"datetime64[{found.time_unit}]"), mask, "+00:00" if found.timezone else "")


def _views(seen: int, view: Any, first: int, rows: int, mask: Mask) -> Input:
    """Text or blobs of 16 bytes each: the length, and the value itself, or where it is in which buffer."""
    places = _buffer(view, 1, "<i4").reshape(-1, 4)[first : first + rows]
    lengths = places[:, 0].astype(np.int64)
    if mask is not None:
        lengths[mask] = 0
    # First the short values, where they are; then of every buffer the part that is in use.
    parts = [np.ascontiguousarray(places).view(np.uint8).reshape(-1)]
    starts = np.arange(rows, dtype=np.int64) * 16 + 4
    size = len(parts[0])
    outside = lengths > _INLINE
    for number in np.unique(places[outside, 2]).tolist():
        there = outside & (places[:, 2] == number)
        offsets = places[there, 3].astype(np.int64)
        low, high = int(offsets.min()), int((offsets + lengths[there]).max())
        parts.append(_buffer(view, 2 + number, "u1")[low:high])
        starts[there] = offsets - low + size
        size += high - low
    return Sized(seen, np.concatenate(parts), starts, lengths=lengths, mask=mask)


def _dictionary(schema: Any, view: Any, first: int, rows: int, mask: Mask) -> Input:
    indices = _buffer(view, 1, _NUMBERS[c_schema_view(schema).storage_type])[first : first + rows]
    values = view.dictionary
    if not values.length:
        return Nulls()
    if mask is not None:
        indices = np.where(mask, 0, indices)
    return _input(schema.dictionary, values, values.offset, values.length).take(indices, mask)


def _buffer(view: Any, number: int, dtype: str) -> NDArray[Any]:
    buffer = view.buffer(number)
    return np.frombuffer(buffer, dtype) if buffer.size_bytes else np.zeros(0, dtype)


def _bits(view: Any, number: int, first: int, rows: int) -> NDArray[np.bool_]:
    data = _buffer(view, number, "u1")
    bits = np.unpackbits(data[first // 8 : (first + rows + 7) // 8], bitorder="little")
    return bits[first % 8 : first % 8 + rows].view(np.bool_)


def _mask(view: Any, first: int, rows: int) -> Mask:
    return ~_bits(view, 0, first, rows) if view.buffer(0).size_bytes else None
