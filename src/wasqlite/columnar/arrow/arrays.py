"""Builds Arrow arrays over the buffers of pieces: what is a buffer in Arrow's sense already is not copied again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import nanoarrow as na
import numpy as np

from wasqlite import rows as row_values
from wasqlite.columnar import decide, kinds, numeric, text
from wasqlite.columnar.pieces import Piece
from wasqlite.columnar.source import Parts, Source
from wasqlite.exceptions import DataError

if TYPE_CHECKING:
    from wasqlite.cursor import Cursor

_TYPES: dict[str, Any] = {
    "bool": na.Type.BOOL,
    "int8": na.Type.INT8,
    "int16": na.Type.INT16,
    "int32": na.Type.INT32,
    "int64": na.Type.INT64,
    "uint8": na.Type.UINT8,
    "uint16": na.Type.UINT16,
    "uint32": na.Type.UINT32,
    "uint64": na.Type.UINT64,
    "float32": na.Type.FLOAT,
    "float64": na.Type.DOUBLE,
    "text": na.Type.STRING,
    "blob": na.Type.BINARY,
    "null": na.Type.NULL,
}
_KINDS = {kind: name for name, kind in _TYPES.items()} | {na.Type.LARGE_STRING: "text", na.Type.LARGE_BINARY: "blob"}
_LARGE = (na.Type.LARGE_STRING, na.Type.LARGE_BINARY)
_INT32_MAX = 2**31 - 1


class Builder:
    """Knows the columns' types, once they are decided, and makes record batches."""

    def __init__(self, cursor: Cursor, wanted: Mapping[str, Any] | None) -> None:
        cursor._check()
        self.names = [column[0] for column in cursor.description or ()]
        self._wishes = [_wish(wish) for wish in kinds.per_column(wanted, self.names)]
        self._kinds: list[str] = []
        self._types: list[Any] = []
        self._decided_by = 0
        self._row = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {kind}" for name, kind in zip(self.names, self._kinds, strict=True))

    def decide(self, chunks: Sequence[Parts], rows: Source) -> None:
        """Choose the columns' types by what was read so far."""
        columns = [[piece for parts in chunks for piece in parts[number]] for number in range(len(self.names))]
        wanted = [kind for kind, _ in self._wishes]
        self._kinds = decide.column_kinds(self.names, columns, wanted, rows.declared_types)
        self._types = [wish or _TYPES[kind] for kind, (_, wish) in zip(self._kinds, self._wishes, strict=True)]
        self._decided_by = rows.row

    def schema(self) -> Any:
        """The schema of the record batches: a struct."""
        fields = [na.Schema(kind, name=name) for name, kind in zip(self.names, self._types, strict=True)]
        return na.c_schema(na.Schema(na.Type.STRUCT, fields=fields, nullable=False))

    def array(self, parts: Parts) -> Any:
        """A record batch of some pieces, which are used up."""
        rows = sum(piece.rows for piece in parts[0]) if parts else 0
        children = []
        for number, (name, kind) in enumerate(zip(self.names, self._kinds, strict=True)):
            chosen_by = ", by types=" if self._wishes[number][0] else f", by the first {self._decided_by} rows"
            column = numeric.Column(name, kind, self._row, chosen_by)
            pieces, parts[number] = parts[number], []
            children.append(_array(pieces, rows, column, self._types[number]))
        self._row += rows
        return na.c_array_from_buffers(self.schema(), rows, [None], null_count=0, children=children, move=True)


def _wish(wish: Any) -> tuple[str | None, Any]:
    """What the caller wants of a column: one of our types, and Arrow's if that was given."""
    if wish is None:
        return None, None
    if hasattr(wish, "__arrow_c_schema__"):
        kind = na.Schema(wish).type
        if kind not in _KINDS:
            raise ValueError(f"results have no columns of the Arrow type {na.Schema(wish)}: cast them afterwards")
        return _KINDS[kind], kind
    name = kinds.parse(wish)
    if name == "object":
        raise ValueError("Arrow has no type 'object'")
    return name, None


def _array(pieces: Sequence[Piece], rows: int, column: numeric.Column, kind: Any) -> Any:
    mask = numeric.joined_mask(pieces)
    if column.kind == "null":
        column.check_classes(pieces)
        return na.c_array_from_buffers(na.null(), rows, [], null_count=rows)
    buffers: list[Any] = [None if mask is None else np.packbits(~mask, bitorder="little")]
    if column.kind in kinds.NUMBERS:
        data = numeric.array(pieces, column)
        buffers.append(np.packbits(data, bitorder="little") if data.dtype == np.bool_ else data)
    else:
        column.check_classes(pieces)
        buffers += _sized(pieces, rows, column, kind)
    nulls = 0 if mask is None else int(np.count_nonzero(mask))
    return na.c_array_from_buffers(na.Schema(kind), rows, buffers, null_count=nulls)


def _sized(pieces: Sequence[Piece], rows: int, column: numeric.Column, kind: Any) -> list[Any]:
    """Offsets and bytes of text or blobs."""
    large = kind in _LARGE
    size = sum(len(piece.payload) for piece in pieces)
    if size > _INT32_MAX and not large:
        raise DataError(f"column {column.name!r} has {size} bytes in one record batch: choose a large Arrow type")
    offsets = np.zeros(rows + 1, np.int64 if large else np.int32)
    at = 0
    for piece in pieces:
        if piece.slots is not None:
            if column.kind == "text" and (row := text.first_invalid(piece.payload, piece.slots)) is not None:
                # Consumers take it for granted that text is UTF-8.
                start, length = int(piece.slots[:row].sum()), int(piece.slots[row])
                raise row_values.undecodable(piece.payload[start : start + length], column.name)
            offsets[at + 1 : at + 1 + piece.rows] = piece.slots
        at += piece.rows
    np.cumsum(offsets, out=offsets)
    filled = [piece.payload for piece in pieces if piece.payload]
    return [offsets, filled[0] if len(filled) == 1 else b"".join(filled)]
