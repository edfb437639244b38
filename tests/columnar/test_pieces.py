"""What only a broken guest would write is an exception, never a wrong array."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasqlite.capi.batch import DESCRIPTOR, CorruptBatch, guest_columns
from wasqlite.columnar.pieces import Piece, from_guest

INTEGER, FLOAT, TEXT, BLOB, NULL = 1, 2, 3, 4, 5


def pieces(
    *,
    seen: int,
    tags: bytes = b"",
    slots: tuple[int, ...] = (),
    payload: bytes = b"",
    nulls: tuple[int, ...] = (),
    rows: int | None = None,
    packed: bool = True,
) -> Piece:
    """A column that a guest could have written."""
    memory = bytearray(DESCRIPTOR.size)
    places = []
    for data in (tags, struct.pack(f"<{len(slots)}q", *slots), payload, struct.pack(f"<{len(nulls)}I", *nulls)):
        memory.extend(bytes(-len(memory) % 8))
        places.append(len(memory))
        memory.extend(data)
    DESCRIPTOR.pack_into(memory, 0, seen, 0, places[0], places[1], places[2], len(payload), places[3], len(nulls))
    rows = len(slots) if rows is None else rows
    (column,) = guest_columns(memoryview(memory), 0, 1, rows)
    return from_guest(rows, column, packed=packed)


def test_a_column_of_integers() -> None:
    piece = pieces(seen=1 << INTEGER | 1 << NULL, slots=(5, 0, 7), nulls=(1,))
    assert piece.slots.tolist() == [5, 0, 7]
    assert piece.mask.tolist() == [False, True, False]
    assert piece.first_row(1 << INTEGER) == 0
    assert piece.first_row(1 << TEXT) is None


def test_packed_text() -> None:
    piece = pieces(seen=1 << TEXT, slots=(1, 0, 2), payload=b"abc")
    assert (piece.payload, piece.slots.tolist()) == (b"abc", [1, 0, 2])


def test_classes_that_were_taken_back() -> None:
    # An unfinished row had text here; the tags say what is left.
    piece = pieces(seen=1 << INTEGER | 1 << TEXT, tags=bytes([INTEGER, NULL]), slots=(5, 0), nulls=(1,))
    assert (piece.classes, piece.tags, piece.mask.tolist()) == (1 << INTEGER, None, [False, True])


@pytest.mark.parametrize(
    "column",
    [
        {"seen": 1 << TEXT, "slots": (1, 1), "payload": b"abc"},
        {"seen": 1 << TEXT, "slots": (4, -1), "payload": b"abc"},
        {"seen": 1 << BLOB, "slots": (2**62, 2**62, 2**62, 2**62 + 3), "payload": b"abc"},
        {"seen": 1 << INTEGER, "slots": (1, 2), "nulls": (2,)},
        {"seen": 1 << INTEGER, "slots": (1, 2), "nulls": (0, 0)},
        {"seen": 1 << NULL, "slots": (1, 2), "nulls": (0,)},
        {"seen": 0, "slots": (1, 2)},
        {"seen": 1 << INTEGER | 1 << FLOAT, "slots": (1, 2), "tags": b"\1\0"},
        {"seen": 1 << INTEGER | 1 << FLOAT, "slots": (1, 2), "tags": b"\1\6"},
        {"seen": 1 << 9, "slots": (1, 2)},
        {"seen": 1 << INTEGER, "slots": (1, 2), "rows": 100},
        {"seen": 1 << TEXT, "slots": (1, 2), "payload": b"a\0bc", "packed": False},
    ],
)
def test_contradictions(column: dict[str, object]) -> None:
    with pytest.raises(CorruptBatch):
        pieces(**column)


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=32, max_size=200), st.integers(0, 300), st.integers(0, 3), st.integers(1, 20), st.booleans())
def test_garbage(memory: bytes, address: int, columns: int, rows: int, packed: bool) -> None:
    try:
        found = [from_guest(rows, c, packed=packed) for c in guest_columns(memoryview(memory), address, columns, rows)]
    except CorruptBatch:
        return
    for piece in found:
        assert piece.slots is None or len(piece.slots) == rows
        assert piece.values is None or len(piece.values) == rows
        assert piece.mask is None or len(piece.mask) == rows
