"""The values of a callback: its arguments read from the block in guest memory, and its result written there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import CodeType
from typing import Any

from wasqlite.bridge import BridgeError, Memory
from wasqlite.capi.batch import BLOB, FLOAT, INTEGER, NULL, TEXT
from wasqlite.capi.callback_block import ARGUMENTS, BYTES, COUNT, NO_INTEGER, RESULT, SIZE, TYPES, VALUE
from wasqlite.capi.parameters import TOO_LARGE, UnsupportedType, normalise

_NO_MEMORY, _TOO_BIG, _ON_HEAP = 6, 7, 8
_MOST_ARGUMENTS = 1000
_KEY_TYPES = 8
_RESULT_BYTES = SIZE - BYTES
_INT_MAX = 0x7FFF_FFFF

_ITEMS = {INTEGER: "words[{}]", FLOAT: "reals[{}]", TEXT: "text({})", BLOB: "blob({})", NULL: "None"}

Read = Callable[[int], Any]
"""Reads an argument, given the number of its word."""


class Values:
    """The block at an address. ``allocate`` returns so many bytes of guest memory, or 0."""

    __slots__ = ("allocate", "blob", "memory", "put", "reals", "text", "unsupported", "view", "words")

    def __init__(self, memory: Memory, address: int, allocate: Callable[[int], int]) -> None:
        self.memory = memory
        self.allocate = allocate
        self.words = memory.pin(address, TYPES, "q")
        self.reals = memory.pin(address, TYPES, "d")
        self.view = memory.pin(address, SIZE)
        self.unsupported: Callable[[str], Exception] = TypeError
        """The exception for a result that SQLite has no storage class for."""
        # Closures, because a method that loads its five attributes takes twice as long.
        self.text, self.blob = _payload_readers(memory, self.words)
        self.put: Callable[[Any], None] = _putter(self, self.words, self.reals, self.view)
        """Answers with a value. OverflowError, UnicodeEncodeError, BufferError, ``unsupported``: it cannot be.

        https://sqlite.org/c3ref/result_blob.html
        """

    # -- arguments ---------------------------------------------------------------------------------------------

    def reader(self, shape: int) -> Callable[[], Iterable[Any]]:
        """A function that reads all arguments of this shape; if it has more than 8, of every shape."""
        count = shape >> 24
        if count > _KEY_TYPES:
            return self._read_many
        # Generated, because a call for each argument would cost as much as the rest of the callback.
        items = [_ITEMS.get(shape >> 3 * i & 7, "").format(ARGUMENTS + i) for i in range(count)]
        if not all(items):
            raise BridgeError(f"the guest called back with arguments of the shape {shape:#x}")
        namespace = {"words": self.words, "reals": self.reals, "text": self.text, "blob": self.blob}
        read: Callable[[], Iterable[Any]] = eval(_source(tuple(items)), namespace)
        return read

    def _read_many(self) -> Iterable[Any]:
        count = self.words[COUNT]
        if not 0 <= count <= _MOST_ARGUMENTS:
            raise BridgeError(f"the guest called back with {count} arguments")
        types = bytes(self.view[TYPES : TYPES + count])
        return [self.piece(kind)(index) for index, kind in enumerate(types, ARGUMENTS)]

    def piece(self, kind: int) -> Read:
        """A function that reads one argument of a storage class."""
        if kind == INTEGER:
            return self.words.__getitem__
        if kind == FLOAT:
            return self.reals.__getitem__
        if kind == TEXT:
            return self.text
        if kind == BLOB:
            return self.blob
        if kind == NULL:
            return _null
        raise BridgeError(f"the guest called back with an argument of the storage class {kind}")

    # -- results -----------------------------------------------------------------------------------------------

    def put_on_heap(self, kind: int, data: bytes) -> None:
        """Answer with a text or blob that the block has no room for."""
        size = len(data)
        if size > _INT_MAX:
            what = "string is" if kind == TEXT else "BLOB"
            raise OverflowError(f"{what} longer than INT_MAX bytes")
        address = self.allocate(size)
        if not address:
            raise MemoryError(f"the guest has no {size} bytes left")
        self.memory.write(address, data)
        self.words[VALUE] = address
        self.words[RESULT] = size << 8 | _ON_HEAP + kind

    def put_doubted(self) -> None:
        """Answer with the one integer that cannot be the answer of a lane."""
        self.put(NO_INTEGER)

    def put_no_memory(self) -> None:
        """Answer with SQLITE_NOMEM."""
        self.words[RESULT] = _NO_MEMORY

    def put_too_big(self) -> None:
        """Answer with SQLITE_TOOBIG."""
        self.words[RESULT] = _TOO_BIG

    def put_error(self, message: bytes) -> None:
        """Answer with an error."""
        self.view[BYTES : BYTES + len(message)] = message
        self.words[RESULT] = len(message) << 8


def _null(_: int) -> None:
    return None


def _payload_readers(memory: Memory, words: memoryview) -> tuple[Read, Read]:
    def text(index: int) -> str:
        bits = words[index]
        start = bits & 0xFFFF_FFFF
        end = start + (bits >> 32)
        if not start <= end <= memory.size:
            memory.span(start, end - start)  # it has grown; or an error
        return str(memory.view[start:end], "utf-8")

    def blob(index: int) -> bytes:
        bits = words[index]
        start = bits & 0xFFFF_FFFF
        end = start + (bits >> 32)
        if not start <= end <= memory.size:
            memory.span(start, end - start)
        return bytes(memory.view[start:end])

    return text, blob


@lru_cache(maxsize=256)
def _source(items: tuple[str, ...]) -> CodeType:
    return compile("lambda: (" + "".join(item + ", " for item in items) + ")", "<wasqlite arguments>", "eval")


def _putter(values: Values, words: memoryview, reals: memoryview, view: memoryview) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        kind = type(value)
        if kind is str:
            data = value.encode()
            size = len(data)
            if size > _RESULT_BYTES:
                values.put_on_heap(TEXT, data)
            else:
                view[BYTES : BYTES + size] = data
                words[RESULT] = size << 8 | TEXT
        elif value is None:
            words[RESULT] = NULL
        elif kind is bytes:
            size = len(value)
            if size > _RESULT_BYTES:
                values.put_on_heap(BLOB, value)
            else:
                view[BYTES : BYTES + size] = value
                words[RESULT] = size << 8 | BLOB
        elif kind is float:
            reals[VALUE] = value
            words[RESULT] = FLOAT
        elif kind is int:
            try:
                words[VALUE] = value
            except ValueError:
                raise OverflowError(TOO_LARGE) from None
            words[RESULT] = INTEGER
        else:
            put(_normalised(value))

    def _normalised(value: Any) -> Any:
        try:
            return normalise(value, 0)
        except UnsupportedType as error:
            name = error.args[1]
        raise values.unsupported(f"User-defined functions cannot return '{name}' values to SQLite")

    return put
