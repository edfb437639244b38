"""``Blob``: one value of a row, read and written in place."""

from __future__ import annotations

import operator
import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, Self, SupportsIndex, overload

from wasqlite import arguments
from wasqlite.bridge import BridgeError
from wasqlite.capi.blob import open_blob
from wasqlite.exceptions import ProgrammingError, from_failure, raise_unusable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from wasqlite.capi.blob import Blob as Handle
    from wasqlite.capi.database import Database

_INT_MAX = 0x7FFF_FFFF


class Owner(Protocol):
    """A connection, as far as a blob knows it."""

    def _check(self) -> Database: ...


class Blob:
    """An open value of a row, with a position as a file has it. Its size does not change.

    It is neither a sequence nor a stream, though it has methods of both.
    """

    __module__ = "wasqlite"
    __slots__ = ("__weakref__", "_connection", "_handle", "_offset")

    _connection: Owner
    _handle: Handle | None
    _offset: int

    def __new__(cls) -> Self:
        raise TypeError("cannot create 'wasqlite.Blob' instances")

    def __init_subclass__(cls) -> None:
        raise TypeError("type 'wasqlite.Blob' is not an acceptable base type")

    def _check(self) -> Handle:
        self._connection._check()
        if self._handle is None:
            raise ProgrammingError("Cannot operate on a closed blob.")
        return self._handle

    # -- as a file ---------------------------------------------------------------------------------------------

    def read(self, length: int = -1, /) -> bytes:
        """Read ``length`` bytes from the current position on; to the end when it is negative or there are fewer."""
        length = arguments.c_int(length)
        handle = self._check()
        left = _size(handle) - self._offset
        size = left if length < 0 or length > left else length
        # Less than nothing is left where the row has changed: SQLite says so.
        data = _read(handle, max(size, 0), self._offset) if size else b""
        self._offset += len(data)
        return data

    def write(self, data: ReadableBuffer, /) -> None:
        """Write bytes at the current position. The blob does not grow: they must fit."""
        given = arguments.buffer(data)
        handle = self._check()
        if len(given) > _size(handle) - self._offset:
            raise ValueError("data longer than blob length")
        _write(handle, given, self._offset)
        self._offset += len(given)

    def seek(self, offset: int, origin: int = os.SEEK_SET, /) -> None:
        """Set the position, counted from the start, from the current one, or from the end."""
        offset, origin = arguments.c_int(offset), arguments.c_int(origin)
        handle = self._check()
        size = _size(handle)
        if origin not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError("'origin' should be os.SEEK_SET, os.SEEK_CUR, or os.SEEK_END")
        base = self._offset if origin == os.SEEK_CUR else size if origin == os.SEEK_END else 0
        if base + offset > _INT_MAX:
            raise OverflowError("seek offset results in overflow")
        if not 0 <= base + offset <= size:
            raise ValueError("offset out of blob range")
        self._offset = base + offset

    def tell(self) -> int:
        """The current position."""
        self._check()
        return self._offset

    def close(self) -> None:
        """Close the blob. Where no transaction is open, this commits what was written, and raises if that fails."""
        self._connection._check()
        self._close(report=True)

    def _close(self, *, report: bool) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            failure = handle.close()
        except BridgeError as error:
            raise_unusable(error)
        if failure is not None and report:
            raise from_failure(failure)

    def __enter__(self) -> Self:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]:
        self._check()
        self._close(report=error is None)
        return False

    # -- as a sequence of bytes --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return _size(self._check())

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> Any:
        handle = self._check()
        if hasattr(type(key), "__index__"):
            return _read(handle, 1, _position(key, handle))[0]
        chosen = _positions(key, handle)
        if not chosen:
            return _read(handle, 0, max(chosen.start, 0))
        first = min(chosen[0], chosen[-1])
        data = _read(handle, max(chosen[0], chosen[-1]) + 1 - first, first)
        return data if chosen.step == 1 else data[:: chosen.step]

    @overload
    def __setitem__(self, key: SupportsIndex, value: int, /) -> None: ...
    @overload
    def __setitem__(self, key: slice, value: ReadableBuffer, /) -> None: ...
    def __setitem__(self, key: SupportsIndex | slice, value: Any, /) -> None:
        handle = self._check()
        if hasattr(type(key), "__index__"):
            at = _position(key, handle)
            if not isinstance(value, int):
                raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
            if not 0 <= value <= 255:
                raise ValueError("byte must be in range(0, 256)")
            _write(handle, bytes((value,)), at)
            return
        chosen = _positions(key, handle)
        if not chosen:
            return
        given = arguments.buffer(value)
        if len(given) != len(chosen):
            raise IndexError("Blob slice assignment is wrong size")
        if chosen.step == 1:
            _write(handle, given, chosen.start)
            return
        first = min(chosen[0], chosen[-1])
        with handle.database.lock:  # nobody else writes what lies between
            data = bytearray(_read(handle, max(chosen[0], chosen[-1]) + 1 - first, first))
            data[:: chosen.step] = given
            _write(handle, data, first)

    def __delitem__(self, key: SupportsIndex | slice, /) -> NoReturn:
        self._check()
        if hasattr(type(key), "__index__"):
            raise TypeError("Blob doesn't support item deletion")
        if isinstance(key, slice):
            raise TypeError("Blob doesn't support slice deletion")
        raise TypeError("Blob indices must be integers")

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'wasqlite.Blob' object")

    # To have items is not to be a sequence: without these, Python would make one of it.
    __iter__ = None
    __reversed__ = None

    def __contains__(self, item: object, /) -> bool:
        raise TypeError("argument of type 'wasqlite.Blob' is not iterable")


def _size(handle: Handle) -> int:
    try:
        return handle.size()
    except BridgeError as error:
        raise_unusable(error)


def _position(key: Any, handle: Handle) -> int:
    at = operator.index(key)
    if not -sys.maxsize - 1 <= at <= sys.maxsize:
        raise IndexError(f"cannot fit '{type(key).__name__}' into an index-sized integer")
    size = _size(handle)
    if not -size <= at < size:
        raise IndexError("Blob index out of range")
    return at % size


def _positions(key: Any, handle: Handle) -> range:
    if not isinstance(key, slice):
        raise TypeError("Blob indices must be integers")
    return range(*key.indices(_size(handle)))


def _read(handle: Handle, size: int, offset: int) -> bytes:
    try:
        data, failure = handle.read(size, offset)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)
    return data


def _write(handle: Handle, data: bytes | bytearray | memoryview, offset: int) -> None:
    try:
        failure = handle.write(data, offset)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)


def open_on(connection: Owner, database: Database, names: tuple[bytes, bytes, bytes], row: int, writable: bool) -> Blob:
    """The blob at schema, table, column and row of a connection."""
    try:
        handle, failure = open_blob(database, *names, row, writable=writable)
    except BridgeError as error:
        raise_unusable(error)
    if failure is not None:
        raise from_failure(failure)
    blob = object.__new__(Blob)
    blob._connection = connection
    blob._handle = handle
    blob._offset = 0
    return blob
