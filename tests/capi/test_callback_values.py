"""Callback blocks on plain data: every address, length and type that the guest writes is checked."""

from __future__ import annotations

from struct import pack_into

import pytest

from wasqlite.bridge import BridgeError, Memory, MemoryAccessError
from wasqlite.capi.callback_block import ARGUMENTS, BYTES, COUNT, RESULT, SIZE, TYPES, VALUE
from wasqlite.capi.callback_values import Values
from wasqlite.capi.callbacks import Callbacks
from wasqlite.capi.progress import Progress

AT = 64
FREE = AT + SIZE
TOP = FREE + 100_000
INTEGER, FLOAT, TEXT, BLOB, NULL = range(1, 6)


@pytest.fixture
def memory():
    return Memory.over(bytearray(TOP))


@pytest.fixture
def values(memory):
    return Values(memory, AT, lambda size: FREE)


def shape(*types):
    return len(types) << 24 | sum(kind << 3 * i for i, kind in enumerate(types[:8]))


def argument(values, index, bits):
    pack_into("<Q", values.memory.view, AT + 8 * (ARGUMENTS + index), bits & (1 << 64) - 1)


def located(start, size):
    return size << 32 | start


def test_arguments_of_every_type(values):
    values.memory.write(FREE, "tä\0".encode() + b"\xff\0")
    argument(values, 0, -5)
    values.reals[ARGUMENTS + 1] = 2.5
    argument(values, 2, located(FREE, 4))
    argument(values, 3, located(FREE + 4, 2))
    assert tuple(values.reader(shape(INTEGER, FLOAT, TEXT, BLOB, NULL))()) == (-5, 2.5, "tä\0", b"\xff\0", None)
    assert tuple(values.reader(shape())()) == ()
    assert values.piece(TEXT)(ARGUMENTS + 2) == "tä\0"
    values.words[COUNT] = 12
    values.view[TYPES : TYPES + 12] = bytes([INTEGER, FLOAT, TEXT, BLOB] + [NULL] * 8)
    assert list(values.reader(shape(*[0] * 12))()) == [-5, 2.5, "tä\0", b"\xff\0", *[None] * 8]


@pytest.mark.parametrize("kind", [TEXT, BLOB])
@pytest.mark.parametrize(
    ("start", "size"),
    [(TOP, 1), (TOP - 1, 2), (0, TOP + 1), (0xFFFF_FFFF, 1), (0, 0x7FFF_FFFF), (0, 0xFFFF_FFFF), (8, -1)],
)
def test_a_value_outside_of_memory_is_an_error(values, kind, start, size):
    argument(values, 0, located(start, size))
    with pytest.raises(MemoryAccessError):
        values.reader(shape(kind))()
    with pytest.raises(MemoryAccessError):
        values.piece(kind)(ARGUMENTS)


def test_a_value_at_the_end_of_memory_is_whole(values):
    values.memory.write(TOP - 3, b"end")
    argument(values, 0, located(TOP - 3, 3))
    assert values.text(ARGUMENTS) == "end"
    argument(values, 0, located(TOP, 0))
    assert values.blob(ARGUMENTS) == b""


@pytest.mark.parametrize("wrong", [shape(0), shape(6), shape(INTEGER, 7), shape(INTEGER, INTEGER, 0)])
def test_an_unknown_storage_class_is_an_error(values, wrong):
    with pytest.raises(BridgeError):
        values.reader(wrong)()


@pytest.mark.parametrize("count", [-1, 1001, 2**40])
def test_a_wrong_number_of_arguments_is_an_error(values, count):
    values.words[COUNT] = count
    with pytest.raises(BridgeError, match="arguments"):
        values.reader(255 << 24)()


def test_an_unknown_storage_class_among_many_is_an_error(values):
    values.words[COUNT] = 9
    values.view[TYPES : TYPES + 9] = bytes([NULL] * 8 + [9])
    with pytest.raises(BridgeError, match="storage class 9"):
        values.reader(9 << 24)()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096])
def test_a_short_result_is_in_the_block(values, size):
    values.put("x" * size)
    assert values.words[RESULT] == size << 8 | TEXT
    assert bytes(values.view[BYTES : BYTES + size]) == b"x" * size


def test_a_long_result_is_on_the_heap(values):
    values.put(b"y" * 4097)
    assert values.words[RESULT] == 4097 << 8 | BLOB + 8
    assert values.words[VALUE] == FREE
    assert values.memory.read(FREE, 4097) == b"y" * 4097


@pytest.mark.parametrize("address", [0, TOP - 10, 0xFFFF_0000])
def test_an_allocation_that_failed_or_lies_outside_writes_nothing(memory, address):
    values = Values(memory, AT, lambda size: address)
    before = bytes(memory.view)
    with pytest.raises(MemoryError if address == 0 else MemoryAccessError):
        values.put("x" * 5000)
    assert bytes(memory.view) == before


def test_a_key_that_nobody_registered_is_an_error():
    callbacks = Callbacks(Progress())
    number = callbacks.add(lambda callbacks: {0: lambda shape: lambda: None})
    callbacks._handler(number << 32)()
    for key in (0, 7, (number + 1) << 32, -1, 2**62):
        with pytest.raises(BridgeError, match="not registered"):
            callbacks._handler(key)
    callbacks.forget(number)
    callbacks.forget(number)
    with pytest.raises(BridgeError, match="not registered"):
        callbacks._handler(number << 32)
