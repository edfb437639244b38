"""Pieces of numbers as one numpy array, where every value has to fit: nothing is wrapped, cut or rounded unasked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wasqlite.capi.batch import FLOAT, SEEN_FLOAT, SEEN_INTEGER
from wasqlite.columnar import kinds
from wasqlite.columnar.pieces import Piece
from wasqlite.exceptions import DataError

Mask = NDArray[np.bool_] | None


class Column:
    """What error messages say of a column."""

    __slots__ = ("chosen_by", "kind", "name", "row")

    def __init__(self, name: str, kind: str, row: int, chosen_by: str = "") -> None:
        self.name = name
        self.kind = kind
        self.row = row
        """Of the result, where the first piece begins."""
        self.chosen_by = chosen_by

    def misfit(self, row: int, what: str) -> DataError:
        """``row`` counts from the first piece on."""
        return kinds.misfit(self.name, self.row + row, what, self.kind, self.chosen_by)

    def check_classes(self, pieces: Sequence[Piece]) -> None:
        """DataError for the first value of a storage class that the type has no room for."""
        strange = ~kinds.HOLDS[self.kind]
        row = 0
        for piece in pieces:
            if piece.classes & strange:
                first, bit = min((piece.first_row(bit) or 0, bit) for bit in kinds.split(piece.classes & strange))
                raise self.misfit(row + first, kinds.CLASS_NAMES[bit])
            row += piece.rows


def joined_mask(pieces: Sequence[Piece]) -> Mask:
    """True where a value is NULL; None if none is."""
    if all(piece.mask is None for piece in pieces):
        return None
    if len(pieces) == 1:
        return pieces[0].mask
    return np.concatenate([np.zeros(p.rows, np.bool_) if p.mask is None else p.mask for p in pieces])


def array(pieces: Sequence[Piece], column: Column) -> NDArray[Any]:
    """The values as the column's type, which is a numeric one; what stands in NULL rows is zero."""
    column.check_classes(pieces)
    if len(pieces) == 1 and (column.kind, pieces[0].classes) in (("int64", SEEN_INTEGER), ("float64", SEEN_FLOAT)):
        slots = pieces[0].slots
        assert slots is not None
        return slots if column.kind == "int64" else slots.view(np.float64)
    found = np.empty(sum(piece.rows for piece in pieces), column.kind)
    at = 0
    for piece in pieces:
        _fill(found[at : at + piece.rows], piece, column, at)
        at += piece.rows
    return found


def _fill(out: NDArray[Any], piece: Piece, column: Column, at: int) -> None:
    slots = piece.slots
    if slots is None:
        out[:] = 0
        return
    floats = None
    if piece.classes == SEEN_FLOAT:
        _put_floats(out, slots.view(np.float64), column, at)
        return
    if piece.tags is not None:
        floats = piece.tags == FLOAT
        slots = np.where(floats, 0, slots)
    if out.dtype.kind == "f":
        _put_exactly(out, slots, column, at)
    else:
        _put_integers(out, slots, column, at)
    if floats is not None:
        assert piece.slots is not None
        rows = np.flatnonzero(floats)
        values = np.empty(len(rows), out.dtype)
        _put_floats(values, piece.slots[rows].view(np.float64), column, at, rows)
        out[rows] = values


def _put_integers(out: NDArray[Any], integers: NDArray[np.int64], column: Column, at: int) -> None:
    if out.dtype != np.int64:
        low, high = (0, 1) if out.dtype == np.bool_ else (np.iinfo(out.dtype).min, np.iinfo(out.dtype).max)
        # Compared as int64: for uint64 that is the whole range above zero.
        wrong = (integers < max(low, -(2**63))) | (integers > min(high, 2**63 - 1))
        if wrong.any():
            row = int(wrong.argmax())
            raise column.misfit(at + row, f"the integer {integers[row]}")
    out[:] = integers


def _put_exactly(out: NDArray[Any], integers: NDArray[np.int64], column: Column, at: int) -> None:
    """Integers as floats, if they are the same number there."""
    out[:] = integers
    limit = 2 ** (np.finfo(out.dtype).nmant + 1)
    for row in np.flatnonzero((integers > limit) | (integers < -limit)).tolist():
        if int(out[row]) != int(integers[row]):
            raise column.misfit(at + row, f"the integer {integers[row]}, which has no exact equal there,")


def _put_floats(
    out: NDArray[Any], floats: NDArray[np.float64], column: Column, at: int, rows: NDArray[np.intp] | None = None
) -> None:
    with np.errstate(over="ignore"):
        out[:] = floats
    if out.dtype != np.float64:  # float32 was asked for: it rounds, but it must not make infinity of a number
        wrong = np.isinf(out) & ~np.isinf(floats)
        if wrong.any():
            first = int(wrong.argmax())
            row = first if rows is None else int(rows[first])
            raise column.misfit(at + row, f"the number {floats[first]}")
