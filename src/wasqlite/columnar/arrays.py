"""Results as numpy arrays: ``Cursor.fetch_numpy`` and ``fetch_numpy_batches``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wasqlite import rows as row_values
from wasqlite.capi.batch import FLOAT, SEEN_FLOAT, SEEN_TEXT, RawText
from wasqlite.columnar import decide, kinds, numeric, source
from wasqlite.columnar.pieces import Piece
from wasqlite.exceptions import DataError, ProgrammingError

if TYPE_CHECKING:
    from wasqlite.cursor import Cursor

Columns = dict[str, NDArray[Any]]


def fetch(cursor: Cursor, wanted: Mapping[str, Any] | None) -> Columns:
    """The rest of the cursor's rows, column by column."""
    kinds = _Kinds(cursor, wanted)
    rows = source.Source(cursor, packed=False)
    try:
        pieces = source.locked(cursor, lambda: source.columns(rows))
    finally:
        rows.close()
    return kinds.arrays(rows, pieces, 0)


class Batches:
    """The rest of a cursor's rows as dicts of arrays, read when they are asked for.

    Close it, or use it in a ``with`` statement, if it is not read to its end: until then it holds a read lock.
    """

    def __init__(self, cursor: Cursor, rows: int, wanted: Mapping[str, Any] | None) -> None:
        self._size = row_values.row_count(rows)
        if not self._size:
            raise ValueError("rows must be positive")
        self._kinds = _Kinds(cursor, wanted)
        self._source = source.Source(cursor, packed=False)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Columns:
        self._source.check_thread()
        first = self._source.row
        pieces = source.columns(self._source, self._size)
        if not pieces or not pieces[0]:
            raise StopIteration
        return self._kinds.arrays(self._source, pieces, first)

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the rows that were not read, and the lock with them."""
        self._source.check_thread()
        self._source.close()


class _Kinds:
    """The columns' types: decided once, by the first rows that are turned into arrays."""

    def __init__(self, cursor: Cursor, wanted: Mapping[str, Any] | None) -> None:
        cursor._check()
        names = [column[0] for column in cursor.description or ()]
        for name in names:
            if names.count(name) > 1:
                raise ProgrammingError(f"two columns are named {name!r}: name one of them with AS")
        wishes = [_wish(wish) for wish in kinds.per_column(wanted, names)]
        self._wanted = [kind for kind, _ in wishes]
        self._string_dtypes = [dtype for _, dtype in wishes]
        self._found: list[str] | None = None
        self._decided_by = 0

    def arrays(self, rows: source.Source, pieces: list[list[Piece]], first_row: int) -> Columns:
        """The arrays of some pieces, which are used up."""
        if self._found is None:
            self._found = decide.column_kinds(rows.names, pieces, self._wanted, rows.declared_types)
            self._decided_by = rows.row
        found: Columns = {}
        for number, (name, kind) in enumerate(zip(rows.names, self._found, strict=True)):
            chosen_by = ", by types=" if self._wanted[number] else f", by the first {self._decided_by} rows"
            column = numeric.Column(name, kind, first_row, chosen_by)
            parts, pieces[number] = pieces[number], []  # so that its memory is free before the next column needs some
            if kind in kinds.NUMBERS:
                found[name] = _masked(numeric.array(parts, column), numeric.joined_mask(parts))
            else:
                found[name] = _objects(parts, column, self._string_dtypes[number])
        return found


def _wish(wish: Any) -> tuple[str | None, np.dtype[Any] | None]:
    """What the caller wants of a column: one of our types, and the dtype of its strings if those are numpy's."""
    if wish is None:
        return None, None
    if isinstance(wish, np.dtype) or (isinstance(wish, type) and issubclass(wish, np.generic)):
        dtype = np.dtype(wish)
        if dtype.kind == "T":
            return "text", dtype
        wish = dtype.name
    return kinds.parse(wish), None


def _masked(data: NDArray[Any], mask: numeric.Mask) -> NDArray[Any]:
    if mask is None:
        return data
    if data.dtype.kind == "f":
        data[mask] = np.nan
    return np.ma.MaskedArray(data, mask=mask)


def _objects(pieces: Sequence[Piece], column: numeric.Column, dtype: np.dtype[Any] | None) -> NDArray[Any]:
    column.check_classes(pieces)
    found: NDArray[Any] = np.empty(sum(piece.rows for piece in pieces), object)
    at = 0
    for piece in pieces:
        if piece.classes:
            found[at : at + piece.rows] = _values(piece, column)
        at += piece.rows
    mask = numeric.joined_mask(pieces)
    if dtype is not None:
        if mask is not None:
            if not hasattr(dtype, "na_object"):
                raise DataError(f"column {column.name!r} has NULLs, and its type {dtype!r} has no na_object")
            found[mask] = dtype.na_object
        return found.astype(dtype)
    return found if mask is None else np.ma.MaskedArray(found, mask=mask)


def _values(piece: Piece, column: numeric.Column) -> Sequence[Any]:
    """A piece's values as Python objects."""
    if piece.values is None:
        return _numbers(piece)
    if column.kind == "blob":
        if piece.classes & SEEN_TEXT:
            return [value.encode() if isinstance(value, str) else value and bytes(value) for value in piece.values]
        return piece.values
    # Text that is not UTF-8 came as RawText, and with it all text of its batch.
    if RawText in set(map(type, piece.values)):
        return [_text(value, column.name) if isinstance(value, RawText) else value for value in piece.values]
    return piece.values


def _numbers(piece: Piece) -> list[Any]:
    assert piece.slots is not None
    values: list[Any] = (piece.slots.view(np.float64) if piece.classes == SEEN_FLOAT else piece.slots).tolist()
    if piece.tags is not None:
        floats = piece.slots.view(np.float64)
        for row in np.flatnonzero(piece.tags == FLOAT).tolist():
            values[row] = float(floats[row])
    if piece.mask is not None:
        for row in np.flatnonzero(piece.mask).tolist():
            values[row] = None
    return values


def _text(value: RawText, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise row_values.undecodable(value, name) from None
