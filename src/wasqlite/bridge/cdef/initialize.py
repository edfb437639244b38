"""Initialisers: a struct from a dict, a sequence or another struct, an array from a sequence or bytes."""

from __future__ import annotations

from collections.abc import Mapping

from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.records import RecordType, fits
from wasqlite.bridge.cdef.types import ArrayType, expected
from wasqlite.bridge.errors import ArgumentRangeError, BridgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BYTES = (bytes, bytearray, memoryview)


def fill_record(record: Pointer, ctype: RecordType, value: Any) -> None:
    """Write what ``value`` names of the record's fields; a sequence gives them in order, a union only one."""
    if isinstance(value, Pointer):
        source = fits(ctype, value)
        record.write(source.bytes(ctype.extent()))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            ctype.field(name).store(record, one)
    elif isinstance(value, (list, tuple)):
        fields = list(ctype.fields.values())
        if len(value) > (1 if ctype.kind == "union" else len(fields)):
            raise ArgumentRangeError(f"{len(value)} values are too many for {ctype.name}")
        for field, one in zip(fields, value, strict=False):
            field.store(record, one)
    else:
        fits(ctype, value)


def array_length(ctype: ArrayType, value: Any) -> int:
    """How many items an array of open length needs for ``value``, a length or an initialiser."""
    if ctype.length is not None:
        return ctype.length
    if isinstance(value, int):
        if value < 0:
            raise ArgumentRangeError(f"an array cannot have {value} items")
        return value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, (*_BYTES, list, tuple)):
        return len(value) + (_is_bytes(ctype) and isinstance(value, bytes))
    raise expected(ctype, "a length, a sequence, or bytes", value)


def _is_bytes(ctype: ArrayType) -> bool:
    return ctype.item.size == 1 and isinstance(ctype.item, Number)


def fill_array(array: Pointer, ctype: ArrayType, value: Any) -> None:
    """Write ``value`` to the beginning of the array. Bytes get a NUL behind them where there is room, as in C."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, Pointer):
        if value._type.target is not ctype.item:
            raise expected(ctype, f"a sequence, or a Pointer to {ctype.item.spell()}", value)
        array.write(value.bytes(ctype.extent()))
        return
    if not isinstance(value, (*_BYTES, list, tuple)):
        raise expected(ctype, "a sequence", value)
    room = (array._high - array._address) // (ctype.item.size or 1)
    if len(value) > room:
        raise ArgumentRangeError(f"{len(value)} values are too many for {ctype.spell()}")
    if _is_bytes(ctype) and isinstance(value, _BYTES):
        array.write(bytes(value) + b"\0" if len(value) < room else value)
        return
    for index, one in enumerate(value):
        try:
            array[index] = one
        except BridgeError as error:
            raise type(error)(f"item {index}: {error}") from None
