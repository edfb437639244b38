"""Columns on their way into a table: each writes a range of its rows into an input batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wasqlite.adapting import adapted, registered
from wasqlite.binding import unsupported
from wasqlite.capi.batch import (
    BLOB,
    FLOAT,
    INTEGER,
    NULL,
    SEEN_BLOB,
    SEEN_FLOAT,
    SEEN_INTEGER,
    SEEN_NULL,
    SEEN_TEXT,
    TEXT,
)
from wasqlite.capi.parameters import TOO_LARGE, Encoded, UnsupportedType, encode_column
from wasqlite.columnar import text
from wasqlite.exceptions import DataError

Mask = NDArray[np.bool_] | None
"""True for NULL; None: there is none."""

_TAGS = {SEEN_INTEGER: INTEGER, SEEN_FLOAT: FLOAT, SEEN_TEXT: TEXT, SEEN_BLOB: BLOB}


class Unsuitable(Exception):
    """A value that cannot be stored: its row in the column, and the exception for the caller."""

    def __init__(self, row: int, error: Exception) -> None:
        super().__init__(row, error)
        self.row = row
        self.error = error


class Input(Protocol):
    """A column's rows."""

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        """Append rows ``start`` to ``stop`` as the batch's next column, or raise Unsuitable."""

    def take(self, rows: NDArray[Any], mask: Mask) -> Input:
        """A column of these rows, NULL where ``mask`` is True."""


class Field(NamedTuple):
    """A column's name, and its type for CREATE TABLE, which may be empty."""

    name: str
    declared: str


class Block(NamedTuple):
    """Rows that are in memory at the same time."""

    rows: int
    columns: list[Input]


def add(batch: Encoded, seen: int, mask: Mask, slots: NDArray[Any], payload: bytes = b"") -> None:
    data = np.ascontiguousarray(slots).data.cast("B")
    if mask is None or not mask.any():
        batch.add(seen, None, data, payload)
    else:
        tags = np.where(mask, NULL, _TAGS[seen]).astype(np.uint8)
        batch.add(seen | SEEN_NULL, tags.tobytes(), data, payload)


def part_of(mask: Mask, start: int, stop: int) -> Mask:
    return None if mask is None else mask[start:stop]


def either(mask: Mask, other: Mask, rows: NDArray[Any]) -> Mask:
    """``mask``, or ``other`` of these rows."""
    if other is None:
        return mask
    found: NDArray[np.bool_] = other[rows]
    return found if mask is None else mask | found


class Numbers:
    """Numbers and booleans of any size."""

    def __init__(self, data: NDArray[Any], mask: Mask = None) -> None:
        self._data = data
        self._mask = mask

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        part = self._data[start:stop]
        mask = part_of(self._mask, start, stop)
        if part.dtype.kind == "f":
            # A NaN is stored as NULL, as sqlite3_bind_double has it.
            add(batch, SEEN_FLOAT, mask, part.astype("<f8", copy=False))
            return
        if part.dtype.kind == "u" and part.dtype.itemsize == 8:
            large = part > 2**63 - 1
            if mask is not None:
                large &= ~mask
            if large.any():
                raise Unsuitable(start + int(large.argmax()), OverflowError(TOO_LARGE))
        add(batch, SEEN_INTEGER, mask, part.astype("<i8", copy=False))

    def take(self, rows: NDArray[Any], mask: Mask) -> Numbers:
        return Numbers(self._data[rows], either(mask, self._mask, rows))


class Sized:
    """Text (``seen``) or blobs that lie anywhere in ``data``, at ``starts``; or else, with ``ends`` in the place of
    lengths, one after the other."""

    def __init__(
        self,
        seen: int,
        data: NDArray[np.uint8],
        starts: NDArray[Any],
        *,
        ends: NDArray[Any] | None = None,
        lengths: NDArray[Any] | None = None,
        mask: Mask = None,
    ) -> None:
        self._seen = seen
        self._data = data
        self._starts = starts
        self._ends = ends
        self._lengths = lengths
        self._mask = mask

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        mask = part_of(self._mask, start, stop)
        starts, lengths = self._placed(slice(start, stop))
        strange = mask is not None and bool(lengths[mask].any())
        if strange:
            lengths[mask] = 0  # NULLs may have bytes, which must not be taken for the next value's
        if self._ends is None or strange:
            payload = text.gathered(self._data, starts, lengths).tobytes()
        else:
            payload = self._data[starts[0] : self._ends[stop - 1]].tobytes() if stop > start else b""
        if self._seen == SEEN_TEXT:
            row = text.first_invalid(payload, lengths)
            if row is not None:
                raise Unsuitable(start + row, DataError("text that is not UTF-8 cannot be stored"))
        add(batch, self._seen, mask, lengths.astype("<i8", copy=False), payload)

    def _placed(self, rows: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts = self._starts[rows].astype(np.int64)
        if self._ends is not None:
            return starts, self._ends[rows] - starts
        assert self._lengths is not None
        return starts, self._lengths[rows].astype(np.int64)

    def take(self, rows: NDArray[Any], mask: Mask) -> Sized:
        starts, lengths = self._placed(rows)
        return Sized(self._seen, self._data, starts, lengths=lengths, mask=either(mask, self._mask, rows))


class Nulls:
    """A column without values."""

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        batch.add(SEEN_NULL, None, None)

    def take(self, rows: NDArray[Any], mask: Mask) -> Nulls:
        return self


class Values:
    """Python objects, as ``executemany`` takes them, and numpy's scalars."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def encode(self, batch: Encoded, start: int, stop: int) -> None:
        part = tuple(self._values[start:stop])
        if any(issubclass(kind, np.generic) for kind in set(map(type, part))):
            part = tuple(value.item() if isinstance(value, np.generic) else value for value in part)
        if registered.every or not set(map(type, part)) <= _EXACT:
            part = tuple(_adapted(value, start + row) for row, value in enumerate(part))
        try:
            encode_column(batch, part, 0)
        except Exception:
            for row, value in enumerate(part):
                try:
                    encode_column(Encoded(1, 1), (value,), 0)
                except Exception as error:
                    raise Unsuitable(start + row, error) from None
            raise

    def take(self, rows: NDArray[Any], mask: Mask) -> Values:
        raise NotImplementedError  # Python values are not taken from dictionaries


_EXACT = {int, float, str, bytes, type(None)}


def _adapted(value: Any, row: int) -> Any:
    try:
        return adapted(value, 0)
    except UnsupportedType as error:
        raise Unsuitable(row, unsupported(error)) from None
    except Exception as error:
        raise Unsuitable(row, error) from None
