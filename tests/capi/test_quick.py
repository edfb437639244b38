"""The generated packers and takers on plain data, against the general forms of parameters and rows."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasqlite.capi.batch import BLOB, FLOAT, INTEGER, NULL, TEXT, CorruptBatch
from wasqlite.capi.parameters import pack
from wasqlite.capi.quick import (
    INPUT_AT,
    INPUT_SIZE,
    MOST,
    OUTCOME,
    RECORD_AT,
    RECORD_VALUES,
    Packers,
    Takers,
    packers,
    takers,
)
from wasqlite.capi.status import LAYOUT, Status

VALUE = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.none(),
)
AT = 24


def put(values: tuple[Any, ...]) -> tuple[bool, bytes]:
    memory = memoryview(bytearray(AT + INPUT_SIZE))
    done = packers[tuple(map(type, values))](memory, AT, values)
    return done, memory[AT:].tobytes()


def record(row: tuple[Any, ...]) -> tuple[int, memoryview]:
    """What the guest would write: the record at AT, the payload behind it."""
    memory = bytearray(AT + 8 * RECORD_VALUES)
    kinds = 0
    for index, value in enumerate(row):
        at = AT + 8 * index
        if isinstance(value, (str, bytes)):
            data = value.encode() if isinstance(value, str) else value
            struct.pack_into("<II", memory, at, len(memory), len(data))
            memory += data
            kind = TEXT if isinstance(value, str) else BLOB
        elif value is None:
            kind = NULL
        else:
            kind = INTEGER if isinstance(value, int) else FLOAT
            struct.pack_into("<q" if kind == INTEGER else "<d", memory, at, value)
        kinds |= kind << 3 * index
    return kinds, memoryview(memory)


@given(st.lists(VALUE, max_size=12).map(tuple))
def test_parameters_are_packed_as_by_the_general_form(values: tuple[Any, ...]) -> None:
    done, memory = put(values)
    assert done
    general = pack(values)
    assert memory[: len(general)] == general


def test_the_outcome_is_part_of_the_status_block() -> None:
    status = Status(*range(1, len(Status._fields) + 1))
    block = LAYOUT.pack(*status)
    assert len(block) == RECORD_AT == INPUT_AT - 8 * RECORD_VALUES
    assert OUTCOME.unpack_from(block) == (
        status.rc,
        status.changes,
        status.last_rowid,
        status.autocommit,
        status.rows,
        status.reprepared,
        status.kinds,
    )


def test_values_that_do_not_fit_the_area_are_refused() -> None:
    assert put(("x" * (INPUT_SIZE - 16),))[0]
    assert not put(("x" * (INPUT_SIZE - 15),))[0]
    assert not put(("x" * 3000, b"y" * 1100))[0]
    assert not put((1,) * (INPUT_SIZE // 16 + 1))[0]
    assert put((1,) * (INPUT_SIZE // 16))[0]


@pytest.mark.parametrize("values", [(True,), (1, bytearray(b"x")), (type("Sub", (int,), {})(3),), (object(),)])
def test_other_types_are_refused(values: tuple[Any, ...]) -> None:
    assert not put(values)[0]


def test_a_packer_refuses_values_of_other_types_or_number() -> None:
    memory = memoryview(bytearray(INPUT_SIZE))
    packer = packers[(int, str, type(None))]
    assert packer(memory, 0, (1, "x", None))
    for wrong in [("1", "x", None), (1, b"x", None), (1, "x", 0), (1, "x"), (1, "x", None, None), (True, "x", None)]:
        assert not packer(memory, 0, wrong)


def test_what_cannot_be_stored_raises() -> None:
    with pytest.raises(struct.error):
        put((2**63,))
    with pytest.raises(UnicodeEncodeError):
        put(("\ud800",))


@given(st.lists(VALUE, min_size=1, max_size=RECORD_VALUES).map(tuple))
def test_a_record_comes_back_as_it_was(row: tuple[Any, ...]) -> None:
    kinds, memory = record(row)
    taken = takers[kinds](memory, AT)
    assert taken == row
    assert [type(value) for value in taken] == [type(value) for value in row]


@given(st.lists(VALUE, min_size=1, max_size=5).map(tuple), st.data())
def test_a_hostile_record_is_a_value_or_an_exception(row: tuple[Any, ...], data: st.DataObject) -> None:
    kinds, memory = record(row)
    broken = bytearray(memory)
    for _ in range(3):
        broken[data.draw(st.integers(AT, AT + 8 * len(row) - 1))] = data.draw(st.integers(0, 255))
    try:
        taken = takers[kinds](memoryview(broken), AT)
    except (CorruptBatch, UnicodeDecodeError):
        return
    assert len(taken) == len(row)


@pytest.mark.parametrize("kinds", [0, 6, 7, INTEGER | 7 << 3, NULL << 3])
def test_impossible_storage_classes_are_refused(kinds: int) -> None:
    with pytest.raises(CorruptBatch):
        takers[kinds](memoryview(bytearray(400)), 0)


def test_a_record_at_the_end_of_memory_is_refused() -> None:
    with pytest.raises(CorruptBatch):
        takers[INTEGER](memoryview(bytearray(12)), 8)


def test_the_tables_stay_bounded() -> None:
    table, rows = Packers(), Takers()
    for size in range(MOST + 10):
        table[(int,) * size]
        rows[INTEGER << 3 * (size % 20) | sum(TEXT << 3 * i for i in range(size % 20))]
    assert len(table) <= MOST
    assert len(rows) <= MOST
