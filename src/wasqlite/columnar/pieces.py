"""One column's share of a batch, copied out of guest memory, with what the guest says about it checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    CorruptBatch,
    GuestColumn,
    RawText,
)

NUMERIC = SEEN_INTEGER | SEEN_FLOAT
SIZED = SEEN_TEXT | SEEN_BLOB

_TAGS: dict[type, int] = {int: INTEGER, float: FLOAT, str: TEXT, RawText: TEXT, bytes: BLOB, type(None): NULL}
_FLOAT_BITS = struct.Struct("<d")


class Piece:
    """``rows`` values of the storage classes ``classes`` (a mask, without NULL).

    Numbers are in ``slots``, as int64 or as float64's bits. Text and blobs: of a packed batch their lengths are in
    ``slots``, their bytes in ``payload``; of another one they, and everything else in a mixed column, are in
    ``values``. ``mask`` is True for NULL (None: there is none); ``tags`` are there if there are several classes.
    """

    __slots__ = ("classes", "mask", "payload", "rows", "slots", "tags", "values")

    def __init__(self, rows: int, classes: int, mask: NDArray[np.bool_] | None) -> None:
        self.rows = rows
        self.classes = classes
        self.mask = mask
        self.tags: NDArray[np.uint8] | None = None
        self.slots: NDArray[np.int64] | None = None
        self.payload = b""
        self.values: Sequence[Any] | None = None

    def first_row(self, classes: int) -> int | None:
        """The first row with a value of these classes."""
        if not self.classes & classes:
            return None
        if self.tags is not None:
            return int(np.isin(self.tags, [c for c in (INTEGER, FLOAT, TEXT, BLOB) if classes >> c & 1]).argmax())
        return 0 if self.mask is None else int((~self.mask).argmax())


def from_guest(rows: int, column: GuestColumn, *, packed: bool) -> Piece:
    """A copy of what the guest wrote. CorruptBatch if that contradicts itself."""
    piece = _classified(rows, column)
    classes = piece.classes
    if classes & SIZED and not packed:
        try:
            piece.values = column.values()
        except UnicodeDecodeError:
            piece.values = column.values(raw=True)
    elif classes & NUMERIC and classes & SIZED:
        pass  # no array type for that: nobody will ask for the values
    elif classes:
        # Always a copy, on big-endian machines with the bytes turned round.
        piece.slots = slots = np.frombuffer(column.slots, "<i8").astype(np.int64)
        if classes & SIZED:
            piece.payload = payload = bytes(column.payload)
            if slots.min() < 0 or slots.max() > len(payload) or slots.sum() != len(payload):
                raise CorruptBatch("text or blobs contradict their lengths")
    return piece


def _classified(rows: int, column: GuestColumn) -> Piece:
    """The piece without its values. Of the guest's statements the tags have the last word if there is any doubt."""
    classes = column.seen & ~SEEN_NULL
    if classes & (classes - 1):
        tags = np.frombuffer(column.tags, np.uint8).copy()
        counts = np.bincount(tags, minlength=NULL + 1)
        if len(counts) > NULL + 1 or counts[0]:
            raise CorruptBatch("a value has no storage class")
        classes = sum(1 << c for c in (INTEGER, FLOAT, TEXT, BLOB) if counts[c])
        piece = Piece(rows, classes, tags == NULL if counts[NULL] else None)
        if classes & (classes - 1):
            piece.tags = tags
        return piece
    mask = _mask(rows, column.nulls)
    if not classes and (mask is None or not mask.all()):
        raise CorruptBatch("a column without values is not all NULL")
    return Piece(rows, classes, mask)


def _mask(rows: int, nulls: memoryview) -> NDArray[np.bool_] | None:
    if not nulls:
        return None
    positions = np.frombuffer(nulls, "<u4")
    mask = np.zeros(rows, np.bool_)
    try:
        mask[positions] = True
    except IndexError:
        raise CorruptBatch("a NULL lies beyond the last row") from None
    if np.count_nonzero(mask) != len(positions):
        raise CorruptBatch("a row is NULL twice")
    return mask


def from_values(values: Sequence[Any], *, packed: bool) -> Piece:
    """A piece of values that were decoded already: the few rows that came with the execution."""
    tags = np.array([_TAGS[type(value)] for value in values], np.uint8)
    classes = 0
    for tag in set(tags.tolist()) - {NULL}:
        classes |= 1 << tag
    piece = Piece(len(values), classes, tags == NULL if NULL in tags else None)
    if classes & (classes - 1):
        piece.tags = tags
    if classes & SIZED and not packed:
        piece.values = values
    elif classes & SIZED:
        data = [b"" if value is None else value.encode() if isinstance(value, str) else value for value in values]
        if not classes & NUMERIC:
            piece.slots = np.array([len(value) for value in data], np.int64)
            piece.payload = b"".join(data)
    elif classes:
        bits = [_bits(value) for value in values]
        piece.slots = np.array(bits, np.int64)
    return piece


def _bits(value: float | None) -> int:
    if isinstance(value, float):
        return int.from_bytes(_FLOAT_BITS.pack(value), "little", signed=True)
    return value or 0
