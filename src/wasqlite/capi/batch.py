"""Decodes a columnar batch of rows from guest memory with C-speed builtins.

The decoder is bounds-checked and total: whatever bytes the guest wrote, it returns columns of exactly ``rows`` items or
raises ``CorruptBatch``. Nothing that it returns refers to guest memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import Struct
from struct import error as StructError

from wasqlite.bridge import BridgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Column = Sequence[Any]

INTEGER, FLOAT, TEXT, BLOB, NULL = 1, 2, 3, 4, 5
SEEN_INTEGER, SEEN_FLOAT, SEEN_TEXT, SEEN_BLOB, SEEN_NULL = (1 << c for c in (INTEGER, FLOAT, TEXT, BLOB, NULL))
HAS_NUL = 1

DESCRIPTOR = Struct("<8I")
_SIZE = DESCRIPTOR.size
_DESCRIPTOR = DESCRIPTOR.unpack_from
_Q = Struct("<q").unpack_from
_D = Struct("<d").unpack_from
_SEEN_ANY = SEEN_INTEGER | SEEN_FLOAT | SEEN_TEXT | SEEN_BLOB | SEEN_NULL


RAW_TEXT, RAW_MIXTURE = 1, 2
Raw = Sequence[int]
"""Per column of a raw batch: 0, there is no text; ``RAW_TEXT``: every ``bytes`` object is text; ``RAW_MIXTURE``: text
is ``RawText``, blobs are ``bytes``. Empty for a batch that is not raw."""


class CorruptBatch(BridgeError):
    """A batch that contradicts itself or points outside guest memory: the guest is not to be trusted."""


class RawText(bytes):
    """A text value as the bytes that SQLite has, in a column that has blobs too."""

    __slots__ = ()


def decode(view: memoryview, address: int, columns: int, rows: int) -> list[Column]:
    """The columns of a batch, each a sequence of ``rows`` values. Text that is not UTF-8 is a UnicodeDecodeError."""
    if rows == 1:
        return _single(view, address, columns)
    limit = len(view)
    return [
        _column(view, limit, rows, False, *descriptor) for descriptor in _descriptors(view, limit, address, columns)
    ]


def decode_raw(view: memoryview, address: int, columns: int, rows: int) -> tuple[list[Column], Raw]:
    """The same with text as the bytes that SQLite has, and what is text in each column."""
    limit = len(view)
    found: list[Column] = []
    kinds = []
    for descriptor in _descriptors(view, limit, address, columns):
        kinds.append(_raw_kind(descriptor[0]))
        found.append(_column(view, limit, rows, True, *descriptor))
    return found, kinds


def _raw_kind(seen: int) -> int:
    return 0 if not seen & SEEN_TEXT else RAW_MIXTURE if seen & SEEN_BLOB else RAW_TEXT


def marked(column: Column) -> Column:
    """A ``RAW_TEXT`` column with its text as ``RawText``."""
    return [RawText(value) if type(value) is bytes else value for value in column]


class GuestColumn:
    """One column of a batch as it lies in guest memory, for immediate use: copy what is to be kept.

    That the buffers lie inside of guest memory was checked, what is in them was not.
    """

    __slots__ = ("_descriptor", "_limit", "_rows", "_view", "flags", "seen")

    def __init__(self, view: memoryview, limit: int, rows: int, descriptor: tuple[int, ...]) -> None:
        self.seen, self.flags, tags, slots, payload, size, nulls, null_count = descriptor
        if max(tags + rows, slots + 8 * rows, payload + size, nulls + 4 * null_count) > limit or self.seen & ~_SEEN_ANY:
            raise CorruptBatch("a column lies outside guest memory")
        self._view = view
        self._limit = limit
        self._rows = rows
        self._descriptor = descriptor

    @property
    def slots(self) -> memoryview:
        """8 bytes for each row: int64, float64, or the length of text and blobs."""
        address = self._descriptor[3]
        return self._view[address : address + 8 * self._rows]

    @property
    def tags(self) -> memoryview:
        """The storage class of each row, a byte."""
        address = self._descriptor[2]
        return self._view[address : address + self._rows]

    @property
    def payload(self) -> memoryview:
        """The bytes of text and blobs."""
        address, size = self._descriptor[4:6]
        return self._view[address : address + size]

    @property
    def nulls(self) -> memoryview:
        """The row numbers that are NULL, 4 bytes each."""
        address, count = self._descriptor[6:8]
        return self._view[address : address + 4 * count]

    def values(self, *, raw: bool = False) -> Column:
        """Decoded as by ``decode``, with ``raw`` text as ``RawText``; not for packed batches."""
        column = _column(self._view, self._limit, self._rows, raw, *self._descriptor)
        return marked(column) if raw and _raw_kind(self.seen) == RAW_TEXT else column


def guest_columns(view: memoryview, address: int, columns: int, rows: int) -> list[GuestColumn]:
    """The columns of a batch where they are."""
    limit = len(view)
    return [GuestColumn(view, limit, rows, found) for found in _descriptors(view, limit, address, columns)]


def _descriptors(view: memoryview, limit: int, address: int, columns: int) -> Iterator[tuple[Any, ...]]:
    if address + _SIZE * columns > limit:
        raise CorruptBatch(f"descriptors of {columns} columns at {address:#x} lie outside guest memory")
    return DESCRIPTOR.iter_unpack(view[address : address + _SIZE * columns])


def _single(view: memoryview, address: int, columns: int) -> list[Column]:
    """The columns of one row: the common case of a look-up, without lists, casts and splits; a third of the time."""
    found: list[Column] = []
    try:
        for at in range(address, address + _SIZE * columns, _SIZE):
            seen, flags, tags, slots, payload, size, nulls, null_count = _DESCRIPTOR(view, at)
            if seen == SEEN_INTEGER:
                found.append(_Q(view, slots))
            elif seen == SEEN_TEXT:
                text = view[payload : payload + size - 1]
                if len(text) != _Q(view, slots)[0] or len(text) != size - 1:
                    raise CorruptBatch("a text value contradicts its length")
                found.append((str(text, "utf-8"),))
            elif seen == SEEN_NULL:
                found.append((None,))
            elif seen == SEEN_FLOAT:
                found.append(_D(view, slots))
            else:
                # A blob; or several bits for one value, when the guest took an unfinished row back: the tags tell.
                limit = len(view)
                found.append(_column(view, limit, 1, False, seen, flags, tags, slots, payload, size, nulls, null_count))
    except StructError:
        raise CorruptBatch("a column lies outside guest memory") from None
    return found


def _column(
    view: memoryview,
    limit: int,
    rows: int,
    raw: bool,
    seen: int,
    flags: int,
    tags: int,
    slots: int,
    payload: int,
    size: int,
    nulls: int = 0,
    null_count: int = 0,
) -> Column:
    if slots + 8 * rows > limit or payload + size > limit or nulls + 4 * null_count > limit:
        raise CorruptBatch("a column lies outside guest memory")
    classes = seen & ~SEEN_NULL
    column: list[Any]
    if classes == SEEN_INTEGER:
        column = _integers(view, slots, rows)
    elif classes == SEEN_FLOAT:
        column = _floats(view, slots, rows)
    elif classes == SEEN_TEXT and not flags & HAS_NUL:
        if not size or view[payload + size - 1]:
            raise CorruptBatch("a text column does not end with NUL")
        text = view[payload : payload + size - 1]
        pieces: list[Any] = bytes(text).split(b"\0") if raw else _split(str(text, "utf-8"))
        column = pieces
        if len(column) != rows:
            raise CorruptBatch(f"a text column has {len(column)} values for {rows} rows")
    elif classes == 0:
        if seen != SEEN_NULL or null_count != rows:
            raise CorruptBatch("a column without values is not all NULL")
        return [None] * rows
    elif classes == SEEN_BLOB and seen == SEEN_BLOB:
        lengths = _integers(view, slots, rows)
        column = list(_slices(bytes(view[payload : payload + size]), lengths))
    else:
        return _mixed(view, limit, rows, raw, seen, tags, slots, payload, size)
    if null_count:
        try:
            for row in _unsigned(view, nulls, null_count):
                column[row] = None
        except IndexError:
            raise CorruptBatch("a NULL lies beyond the last row") from None
    return column


def _mixed(
    view: memoryview, limit: int, rows: int, raw: bool, seen: int, tags: int, slots: int, payload: int, size: int
) -> list[Any]:
    """A column of several storage classes, or of text that cannot be split: value by value, by its tags."""
    if tags + rows > limit or (seen & ~_SEEN_ANY):
        raise CorruptBatch("a column lies outside guest memory")
    data = bytes(view[payload : payload + size])
    integers = _integers(view, slots, rows)
    floats = _floats(view, slots, rows) if seen & SEEN_FLOAT else integers
    column: list[Any] = []
    append = column.append
    at = 0
    for tag, integer, real in zip(bytes(view[tags : tags + rows]), integers, floats, strict=True):
        if tag == INTEGER:
            append(integer)
        elif tag == FLOAT:
            append(real)
        elif tag == NULL:
            append(None)
            at += 1
        elif tag in (TEXT, BLOB) and 0 <= integer <= size - at:
            piece = data[at : at + integer]
            at += integer
            if tag == BLOB:
                append(piece)
            else:
                append(piece.decode() if not raw else RawText(piece) if seen & SEEN_BLOB else piece)
                at += 1
        else:
            raise CorruptBatch(f"a value has the storage class {tag} and the length {integer}")
    return column


def _split(text: str) -> list[Any]:
    return text.split("\0")


def _slices(data: bytes, lengths: list[int]) -> list[bytes]:
    if min(lengths, default=0) < 0 or sum(lengths) != len(data):
        raise CorruptBatch("the blobs of a column contradict their lengths")
    return [data[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)]


if sys.byteorder == "little":

    def _integers(view: memoryview, address: int, count: int) -> list[Any]:
        return view[address : address + 8 * count].cast("q").tolist()

    def _floats(view: memoryview, address: int, count: int) -> list[Any]:
        return view[address : address + 8 * count].cast("d").tolist()

    def _unsigned(view: memoryview, address: int, count: int) -> list[int]:
        return view[address : address + 4 * count].cast("I").tolist()

else:

    def _integers(view: memoryview, address: int, count: int) -> list[Any]:
        return list(Struct(f"<{count}q").unpack_from(view, address))

    def _floats(view: memoryview, address: int, count: int) -> list[Any]:
        return list(Struct(f"<{count}d").unpack_from(view, address))

    def _unsigned(view: memoryview, address: int, count: int) -> list[int]:
        return list(Struct(f"<{count}I").unpack_from(view, address))
