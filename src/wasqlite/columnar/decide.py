"""Decides the type of every column of a result, from what was read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wasqlite.columnar import kinds
from wasqlite.columnar.pieces import Piece


def column_kinds(
    names: Sequence[str],
    pieces: Sequence[Sequence[Piece]],
    wanted: Sequence[str | None],
    declared_types: Callable[[], Sequence[str | None]],
) -> list[str]:
    """A type for each column: the wanted one, else the one that its values have in common, else by declaration.

    DataError if the values of a column have no type in common.
    """
    found = []
    declared: Sequence[str | None] | None = None
    for number, (name, parts, wish) in enumerate(zip(names, pieces, wanted, strict=True)):
        kind = wish
        if kind is None:
            classes = 0
            for piece in parts:
                classes |= piece.classes
            try:
                kind = kinds.natural(classes)
            except LookupError:
                raise kinds.conflict(name, _places(parts, classes)) from None
        if kind is None:
            if declared is None:
                declared = declared_types()
            kind = kinds.declared(declared[number] if number < len(declared) else None)
        found.append(kind)
    return found


def _places(pieces: Sequence[Piece], classes: int) -> list[tuple[int, int]]:
    """For each storage class the first row that has it."""
    places = []
    for bit in kinds.split(classes):
        row = 0
        for piece in pieces:
            first = piece.first_row(bit)
            if first is not None:
                places.append((bit, row + first))
                break
            row += piece.rows
    return places
