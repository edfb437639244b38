"""Packed parameters and input batches on plain data, decoded by a reader that follows docs/abi.md."""

from __future__ import annotations

import array
import enum
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasqlite.capi.batch import DESCRIPTOR
from wasqlite.capi.parameters import UnsupportedType, encode, first_unsuitable, pack


class Seven(enum.IntEnum):
    SEVEN = 7


class Text(str):
    __slots__ = ()


def unpacked(packed: bytes, count: int) -> list[Any]:
    values: list[Any] = []
    for number in range(count):
        kind, size, low = struct.unpack_from("<IIq", packed, 16 * number)
        piece = packed[low : low + size] if kind in (3, 4) else b""
        real = struct.unpack_from("<d", packed, 16 * number + 8)[0]
        values.append(piece.decode() if kind == 3 else {1: low, 2: real, 4: piece, 5: None}[kind])
    return values


def read_batch(memory: bytes, base: int, columns: int, rows: int) -> list[list[Any]]:
    found = []
    for number in range(columns):
        seen, _, tags, slots, payload, size, _, _ = DESCRIPTOR.unpack_from(memory, base + DESCRIPTOR.size * number)
        assert slots % 8 == 0
        at = payload
        column: list[Any] = []
        for row in range(rows):
            tag = memory[tags + row] if tags else seen.bit_length() - 1
            assert seen >> tag & 1
            slot = slots + 8 * row
            if tag == 5:
                column.append(None)
            elif tag == 2:
                column.append(struct.unpack_from("<d", memory, slot)[0])
            else:
                (number_or_length,) = struct.unpack_from("<q", memory, slot)
                if tag == 1:
                    column.append(number_or_length)
                else:
                    data = memory[at : at + number_or_length]
                    at += number_or_length
                    column.append(data.decode() if tag == 3 else data)
        assert at == payload + size
        found.append(column)
    return found


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=5),
)


@given(st.lists(cells, max_size=8))
def test_packed(values: list[Any]) -> None:
    assert unpacked(pack(values), len(values)) == values


def test_subclasses_and_buffers_are_packed_as_their_base() -> None:
    values = [True, Seven.SEVEN, Text("a"), bytearray(b"b"), memoryview(b"c"), array.array("B", [1]), "end", 5]
    found = unpacked(pack(values), len(values))
    assert found == [1, 7, "a", b"b", b"c", b"\1", "end", 5]
    assert [type(value) for value in found] == [int, int, str, bytes, bytes, bytes, str, int]


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[cells] * width), min_size=1, max_size=20)))
def test_batches(rows: list[tuple[Any, ...]]) -> None:
    batch = encode(rows, len(rows[0]))
    placed = batch.placed(4096)
    assert len(placed) == batch.size
    memory = bytes(4096) + placed
    assert list(zip(*read_batch(memory, 4096, batch.columns, batch.rows), strict=True)) == rows


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**50])
@pytest.mark.parametrize("others", [[], [1], ["x"], [None]])
def test_integers_beyond_64_bits(value: int, others: list[Any]) -> None:
    with pytest.raises(OverflowError, match=r"^Python int too large to convert to SQLite INTEGER$"):
        pack([*others, value])
    with pytest.raises(OverflowError, match=r"^Python int too large to convert to SQLite INTEGER$"):
        encode([(1,), *[(other,) for other in others], (value,)], 1)


def test_unsupported_type_tells_where() -> None:
    with pytest.raises(UnsupportedType) as caught:
        pack([1, "a", object()])
    assert caught.value.args == (2, "object")


def test_errors_come_in_the_order_of_the_values() -> None:
    with pytest.raises(OverflowError):
        pack([True, 2**70, object()])


def test_first_unsuitable_row() -> None:
    found = first_unsuitable([(1, 2), ("a", b"b"), (2**70, 1), (object(), 1)])
    assert found is not None
    assert found[0] == 2
    assert isinstance(found[1], OverflowError)
    assert first_unsuitable([(1,), (None,)]) is None


def test_no_columns() -> None:
    batch = encode([(), (), ()], 0)
    assert (batch.rows, batch.columns, batch.placed(8)) == (3, 0, b"")
