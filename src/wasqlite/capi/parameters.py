"""Encodes parameters: one set as packed records, many sets as a columnar input batch.

Values must be None, int, float, str or bytes, or of a subclass, or support the buffer protocol; anything else is
``UnsupportedType``. Nothing is ever stored differently from what was passed: what does not fit is an error.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from struct import Struct
from struct import error as StructError

from wasqlite.capi.batch import BLOB, DESCRIPTOR, FLOAT, INTEGER, NULL, TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    PlainColumn = Callable[[tuple[Any, ...], set[type], int], tuple[Any, ...]]

_INTEGER_RECORD = Struct("<IIq").pack
_FLOAT_RECORD = Struct("<IId").pack
_SIZED_RECORD = Struct("<IIII").pack
_NULL_RECORD = _INTEGER_RECORD(NULL, 0, 0)
RECORD_SIZE = 16
_TEXT_PLACE, _BLOB_PLACE = b"t", b"b"

TOO_LARGE = "Python int too large to convert to SQLite INTEGER"

_CLASSES: dict[type, int] = {int: INTEGER, float: FLOAT, str: TEXT, bytes: BLOB, type(None): NULL}
_SEEN = {kind: 1 << tag for kind, tag in _CLASSES.items()}
_FILL: dict[type, Any] = {int: 0, float: 0.0, str: "", bytes: b""}
"""What stands in a NULL's place among values of one class."""


class UnsupportedType(TypeError):
    """A value that SQLite has no storage class for; ``args`` are its position and its type's name."""


def pack(values: Iterable[Any], plain: Callable[[Any, int], Any] | None = None) -> bytes:
    """One set of parameters as 16-byte records with the payload of text and blobs behind them.

    ``plain`` makes one of the five exact types of another value, given its position; unless told, ``normalise``. It is
    called in the values' order, and errors come in that order.
    """
    records: list[bytes] = []
    payload: list[bytes] = []
    add = records.append
    for value in values:
        kind = type(value)
        if kind is int:
            try:
                add(_INTEGER_RECORD(INTEGER, 0, value))
            except StructError:
                raise OverflowError(TOO_LARGE) from None
        elif kind is str:
            payload.append(value.encode())
            add(_TEXT_PLACE)
        elif value is None:
            add(_NULL_RECORD)
        elif kind is float:
            add(_FLOAT_RECORD(FLOAT, 0, value))
        elif kind is bytes:
            payload.append(value)
            add(_BLOB_PLACE)
        else:
            _add_others(values, records, payload, plain or normalise)
            break
    if payload:
        _place(records, payload)
        records += payload
    return b"".join(records)


def _add_others(values: Any, records: list[bytes], payload: list[bytes], plain: Callable[[Any, int], Any]) -> None:
    """The rest of ``pack``, from the first value on that is of another type."""
    # By number: plain may run code that changes the values, and what is then missing is an IndexError.
    for position in range(len(records), len(values)):
        value = values[position]
        if type(value) not in _CLASSES:
            value = plain(value, position)
        kind = type(value)
        if kind is int:
            try:
                records.append(_INTEGER_RECORD(INTEGER, 0, value))
            except StructError:
                raise OverflowError(TOO_LARGE) from None
        elif kind is float:
            records.append(_FLOAT_RECORD(FLOAT, 0, value))
        elif value is None:
            records.append(_NULL_RECORD)
        else:
            text = kind is str
            payload.append(value.encode() if text else value)
            records.append(_TEXT_PLACE if text else _BLOB_PLACE)


def _place(records: list[bytes], payload: list[bytes]) -> None:
    """Replace the short placeholders of text and blobs by records that point at their payload."""
    offset = RECORD_SIZE * len(records)
    pieces = iter(payload)
    for index, record in enumerate(records):
        if len(record) < RECORD_SIZE:
            size = len(next(pieces))
            records[index] = _SIZED_RECORD(TEXT if record is _TEXT_PLACE else BLOB, size, offset, 0)
            offset += size


def normalise(value: Any, position: int) -> Any:
    """``value`` as one of the five exact types. ``position`` (from 0) is for the error message."""
    kind = type(value)
    if kind in _CLASSES:
        return value
    if isinstance(value, int):
        return int.__index__(value) if kind is not bool else int(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(memoryview(value))
    try:
        view = memoryview(value)
    except TypeError as error:
        # The interpreter's own message has the type's name as C spells it, which the stdlib's messages use.
        name = str(error).partition("not '")[2][:-1] or kind.__name__
        raise UnsupportedType(position, name) from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return bytes(view)


class Encoded:
    """An input batch whose addresses are relative until it is known where in guest memory it goes."""

    __slots__ = ("_chunks", "_descriptors", "columns", "rows", "size")

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self._chunks: list[bytes | memoryview] = []
        self._descriptors: list[tuple[int, int, int, int, int]] = []
        self.size = DESCRIPTOR.size * columns

    def _put(self, data: bytes | memoryview) -> int:
        address = self.size
        padding = -len(data) % 8
        self._chunks.append(data)
        if padding:
            self._chunks.append(bytes(padding))
        self.size += len(data) + padding
        return address

    def add(self, seen: int, tags: bytes | None, slots: bytes | memoryview | None, payload: bytes = b"") -> None:
        """Append a column, as docs/abi.md has it."""
        at_tags = self._put(tags) if tags is not None else 0
        at_slots = self._put(slots) if slots is not None else 0
        at_payload = self._put(payload) if payload else 0
        self._descriptors.append((seen, at_tags, at_slots, at_payload, len(payload)))

    def placed(self, base: int) -> bytes:
        """The bytes of the batch for the guest address ``base``."""
        head: list[bytes | memoryview] = [
            DESCRIPTOR.pack(
                seen, 0, tags and tags + base, slots and slots + base, payload and payload + base, size, 0, 0
            )
            for seen, tags, slots, payload, size in self._descriptors
        ]
        return b"".join(head + self._chunks)


def normalise_column(column: tuple[Any, ...], kinds: set[type], position: int) -> tuple[Any, ...]:
    """``normalise`` for a column, which has values of these types."""
    return tuple(map(normalise, column, repeat(position)))


def encode(rows: Sequence[Sequence[Any]], columns: int, plain: PlainColumn = normalise_column) -> Encoded:
    """A chunk of rows, all of ``columns`` values, as an input batch.

    ``plain`` makes a column of the five exact types of one that has others. Raises what the first unsuitable value
    raises, without telling its row: see ``first_unsuitable``.
    """
    batch = Encoded(len(rows), columns)
    for position in range(columns):
        # Not zip(*rows), which makes an object for every row that the garbage collector then visits: twice the time.
        encode_column(batch, tuple(map(itemgetter(position), rows)), position, plain)
    return batch


def first_unsuitable(
    rows: Sequence[Sequence[Any]], plain: Callable[[Any, int], Any] | None = None
) -> tuple[int, Exception] | None:
    """The number of the first row that cannot be encoded, and why."""
    for number, row in enumerate(rows):
        try:
            pack(row, plain)
        except Exception as error:
            return number, error
    return None


def encode_column(
    batch: Encoded, column: tuple[Any, ...], position: int, plain: PlainColumn = normalise_column
) -> None:
    """Append a column of values; ``plain`` as for ``encode``. ``position`` (from 0) is for the error message."""
    kinds = set(map(type, column))
    seen, tags, values = 0, None, column
    if len(kinds) == 2 and type(None) in kinds:
        kinds.discard(type(None))
        (kind,) = kinds
        if kind in _FILL:
            tag, fill = _CLASSES[kind], _FILL[kind]
            tags = bytes([NULL if value is None else tag for value in column])
            values = tuple([fill if value is None else value for value in column])
        else:
            kinds.add(type(None))
        seen = _SEEN[type(None)]
    if len(kinds) == 1:
        (kind,) = kinds
        seen |= _SEEN.get(kind, 0)
        if kind is int:
            batch.add(seen, tags, _integers(values))
            return
        if kind is float:
            batch.add(seen, tags, _little(array("d", values)))
            return
        if kind is str:
            lengths, payload = _text(values)
            batch.add(seen, tags, _integers(lengths), payload)
            return
        if kind is bytes:
            batch.add(seen, tags, _integers(tuple(map(len, values))), b"".join(values))
            return
        if kind is type(None):
            batch.add(seen, None, None)
            return
    if not kinds <= _CLASSES.keys():
        encode_column(batch, plain(column, kinds, position), position)
        return
    _encode_mixed(batch, column, kinds)


def _encode_mixed(batch: Encoded, column: tuple[Any, ...], kinds: set[type]) -> None:
    slots = bytearray()
    payload: list[bytes] = []
    for value in column:
        kind = type(value)
        if kind is float:
            slots += _SLOT_FLOAT(value)
        elif kind is int:
            try:
                slots += _SLOT_INTEGER(value)
            except StructError:
                raise OverflowError(TOO_LARGE) from None
        elif value is None:
            slots += _SLOT_EMPTY
        else:
            data = value.encode() if kind is str else value
            payload.append(data)
            slots += _SLOT_INTEGER(len(data))
    seen = 0
    for kind in kinds:
        seen |= _SEEN[kind]
    tags = bytes(map(_CLASSES.__getitem__, map(type, column)))
    batch.add(seen, tags, bytes(slots), b"".join(payload))


_SLOT_INTEGER = Struct("<q").pack
_SLOT_FLOAT = Struct("<d").pack
_SLOT_EMPTY = bytes(8)


def _text(column: tuple[str, ...]) -> tuple[tuple[int, ...], bytes]:
    """The byte lengths and the UTF-8 of a column of text."""
    joined = "".join(column)
    if joined.isascii():
        return tuple(map(len, column)), joined.encode()
    pieces = [value.encode() for value in column]
    return tuple(map(len, pieces)), b"".join(pieces)


def _integers(values: tuple[int, ...]) -> bytes:
    try:
        return _little(array("q", values))
    except OverflowError:
        raise OverflowError(TOO_LARGE) from None


def _little(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
