"""The batch decoder on plain data: what a guest would write, and what only a broken one would."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasqlite.capi.batch import DESCRIPTOR, RAW_MIXTURE, RAW_TEXT, CorruptBatch, RawText, decode, decode_raw

BASE = 64
CLASSES = {int: 1, float: 2, str: 3, RawText: 3, bytes: 4, type(None): 5}


def encode(rows: list[tuple[Any, ...]]) -> tuple[bytearray, int, int]:
    """What the guest writes for rows: the memory, the address of the descriptors, the number of columns."""
    columns = list(zip(*rows, strict=True))
    memory = bytearray(BASE + DESCRIPTOR.size * len(columns))

    def put(data: bytes) -> int:
        memory.extend(bytes(-len(memory) % 8))
        address = len(memory)
        memory.extend(data)
        return address

    for number, column in enumerate(columns):
        payload, slots, flags, seen, nulls = b"", b"", 0, 0, []
        for row, value in enumerate(column):
            tag = CLASSES[type(value)]
            seen |= 1 << tag
            if value is None:
                payload += b"\0"
                nulls.append(row)
                slots += bytes(8)
            elif isinstance(value, int):
                slots += struct.pack("<q", value)
            elif isinstance(value, float):
                slots += struct.pack("<d", value)
            else:
                data = value.encode() if isinstance(value, str) else bytes(value)
                slots += struct.pack("<q", len(data))
                flags |= (b"\0" in data) if tag == 3 else 0
                payload += data + (b"\0" if tag == 3 else b"")
        tags = put(bytes(CLASSES[type(value)] for value in column))
        at_slots, at_payload = put(slots), put(payload)
        at_nulls = put(struct.pack(f"<{len(nulls)}I", *nulls))
        DESCRIPTOR.pack_into(
            memory,
            BASE + DESCRIPTOR.size * number,
            seen,
            flags,
            tags,
            at_slots,
            at_payload,
            len(payload),
            at_nulls,
            len(nulls),
        )
    return memory, BASE, len(columns)


def decoded(rows: list[tuple[Any, ...]], raw: bool = False) -> list[tuple[Any, ...]]:
    memory, address, columns = encode(rows)
    view = memoryview(memory)
    found = decode_raw(view, address, columns, len(rows))[0] if raw else decode(view, address, columns, len(rows))
    assert all(len(column) == len(rows) for column in found)
    return list(zip(*found, strict=True))


@pytest.mark.parametrize(
    "column",
    [
        [1, -(2**63), 2**63 - 1],
        [1.5, -0.0, float("inf")],
        ["a", "", "ä日本"],
        ["a\0b", "\0", "ä\0"],
        [b"a", b"", b"\0\xff"],
        [None, None],
        [1, None, 3],
        [None, "a", None, ""],
        [b"a", None, b""],
        [1, 2.5, "x", b"y", None, "a\0b"],
        [7],
        [2.5],
        [""],
        ["a\0b"],
        [b""],
        [None],
    ],
)
def test_columns(column: list[Any]) -> None:
    assert decoded([(value, "end") for value in column]) == [(value, "end") for value in column]


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=5),
)


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[cells] * width), min_size=1, max_size=20)))
def test_any_rows(rows: list[tuple[Any, ...]]) -> None:
    assert decoded(rows) == rows


def test_raw_text_is_bytes() -> None:
    rows = [(1, "ä"), (None, "b\0"), ("c", b"d")]
    assert decoded(rows, raw=True) == [(1, "ä".encode()), (None, b"b\0"), (b"c", b"d")]
    assert [type(row[1]) for row in decoded(rows, raw=True)] == [RawText, RawText, bytes]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["a", "b"], RAW_TEXT),
        (["a", None], RAW_TEXT),
        (["a\0", None, 5], RAW_TEXT),
        (["a", b"b"], RAW_MIXTURE),
        ([b"a", b"b", None], 0),
        ([1, None], 0),
        ([None], 0),
    ],
)
def test_raw_columns_say_what_is_text_in_them(column: list[Any], kind: int) -> None:
    memory, address, columns = encode([(value,) for value in column])
    found, kinds = decode_raw(memoryview(memory), address, columns, len(column))
    assert kinds == [kind]
    assert found == [[value.encode() if isinstance(value, str) else value for value in column]]
    texts = [isinstance(value, RawText if kind == RAW_MIXTURE else bytes) for value in found[0]]
    assert texts == [isinstance(value, str) for value in column] or not kind


@pytest.mark.parametrize("rows", [[(RawText(b"\xff"),)], [("a",), (RawText(b"\xff"),)], [(1,), (RawText(b"\xff"),)]])
def test_text_that_is_not_utf8(rows: list[tuple[Any, ...]]) -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(rows)
    assert decoded(rows, raw=True)[-1] == (b"\xff",)


def test_classes_that_were_taken_back() -> None:
    memory, address, columns = encode([(5,)])
    memory[address] |= 1 << 3  # an unfinished row had text here
    assert decode(memoryview(memory), address, columns, 1) == [[5]]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(BASE, 400), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, 40),
    st.booleans(),
)
def test_broken_batches_give_wrong_values_or_an_error(
    rows: list[tuple[Any, ...]], damage: list[tuple[int, int]], count: int, raw: bool
) -> None:
    memory, address, columns = encode(rows)
    for at, byte in damage:
        if at < len(memory):
            memory[at] = byte
    try:
        view = memoryview(memory)
        found = decode_raw(view, address, columns, count)[0] if raw else decode(view, address, columns, count)
    except (CorruptBatch, UnicodeDecodeError):
        return
    assert [len(column) for column in found] == [count] * columns


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=64, max_size=200), st.integers(0, 300), st.integers(0, 5), st.integers(0, 50))
def test_garbage(memory: bytes, address: int, columns: int, rows: int) -> None:
    try:
        found = decode(memoryview(bytearray(memory)), address, columns, rows)
    except (CorruptBatch, UnicodeDecodeError):
        return
    assert [len(column) for column in found] == [rows] * columns
