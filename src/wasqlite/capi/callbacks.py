"""Callbacks from SQLite into Python: what the guest calls back for, by number, through one block in its memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from struct import Struct
from typing import TYPE_CHECKING, Any

from wasqlite.bridge import BridgeError, HostFunction, Memory
from wasqlite.capi.batch import BLOB, FLOAT, INTEGER, NULL, TEXT
from wasqlite.capi.parameters import TOO_LARGE, UnsupportedType, normalise

if TYPE_CHECKING:
    from wasqlite.bridge import Instance
    from wasqlite.bridge.state import State
    from wasqlite.capi.progress import Progress

# docs/abi.md, "Callback block": numbers of 8-byte words, and byte offsets.
KEY, RESULT, VALUE, INSTANCE, ARGUMENTS = range(5)
TYPES, BYTES, SIZE = 8032, 9032, 13128
_MOST_ARGUMENTS = 1000
_KEY_TYPES = 8
_RESULT_BYTES = SIZE - BYTES
_NO_MEMORY, _TOO_BIG, _ON_HEAP = 6, 7, 8
_INT_MAX = 0x7FFF_FFFF

CALL_ITSELF, CALL_STEP, CALL_INVERSE, CALL_VALUE, CALL_FINAL, CALL_UNEXPANDED, CALL_NO_MEMORY = range(7)
_CALLS = 8

_MOST_HANDLERS = 4096
"""How many handlers are kept: a function with many arguments can be called with very many combinations of types."""

Handler = Callable[[], None]
"""Serves a callback whose arguments have certain types."""
Maker = Callable[[int], Handler]
"""Makes a handler for the ``shape`` of arguments: their number and types, as the block has them."""


class Callbacks:
    """What is registered in a sandbox, of all kinds and connections.

    A callback costs a look-up of its key, which names function and types of arguments, and a handler that was made for
    just these. Whatever a handler does not catch leaves the guest with the answer "failed", and is raised by the guest
    call that is under way.
    """

    __slots__ = (
        "_attach",
        "_handlers",
        "_instance",
        "_makers",
        "_next",
        "_view",
        "hooks",
        "ignored",
        "in_hook",
        "instances",
        "memory",
        "progress",
        "reals",
        "state",
        "unsupported",
        "words",
    )

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.state: State
        self.hooks: dict[tuple[int, str], int] = {}
        """The numbers of authorizers and the like, by the address of their connection."""
        self.instances: dict[int, Any] = {}
        """The objects of aggregates that are under way."""
        self.in_hook = False
        """Whether a callback is running from which SQLite must not be called."""
        self.ignored: Callable[[BaseException, object], None] = _silent
        """Told of every exception that SQLite's caller may not get to see, with the callable that raised it."""
        self.unsupported: Callable[[str], Exception] = TypeError
        """The exception for a result that SQLite has no storage class for."""
        self._handlers: dict[int, Handler] = {}
        self._makers: dict[int, Maker] = {}
        self._next = 0
        self._instance: weakref.ref[Instance] | None = None

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The ``callback`` import."""
        handlers = self._handlers
        words = memoryview(b"").cast("q")

        def callback() -> None:
            try:
                handler = handlers[words[KEY]]
            except KeyError:
                handler = self._handler(words[KEY])
            handler()

        def attach(found: memoryview) -> None:
            nonlocal words
            words = found

        self._attach = attach
        self.memory = memory
        return [HostFunction("wasqlite", "callback", "", "", callback, bare=True)]

    def attach(self, instance: Instance) -> None:
        """Find the block, before the first registration. Hold the lock."""
        if self._instance is not None:
            return
        address = instance.function("wsq_callback", hold_gil=True)()
        self.words = self.memory.pin(address, TYPES, "q")
        self.reals = self.memory.pin(address, TYPES, "d")
        self._view = self.memory.pin(address, SIZE)
        self._attach(self.words)
        # Weak: the instance holds this object.
        self._instance = weakref.ref(instance)

    def close(self) -> None:
        """Forget everything; the guest is gone."""
        for registered in (self.hooks, self.instances, self._handlers, self._makers):
            registered.clear()

    # -- registration ------------------------------------------------------------------------------------------

    def add(self, makers: Mapping[int, Maker]) -> int:
        """Register a callback by its ``CALL_...``: its number."""
        self._next += _CALLS
        for call, maker in makers.items():
            self._makers[self._next + call] = maker
        return self._next

    def forget(self, number: int) -> None:
        """Undo ``add``, if that was not done yet."""
        for call in range(_CALLS):
            self._makers.pop(number + call, None)
        for key in [key for key in self._handlers if number <= key >> 32 < number + _CALLS]:
            del self._handlers[key]

    def settle(self) -> None:
        """Forget what SQLite has dropped. Hold the lock."""
        instance = self._instance() if self._instance is not None else None
        if instance is not None:
            forgotten = instance.function("wsq_forgotten", hold_gil=True)
            while number := forgotten():
                self.forget(number)

    def forget_hooks(self, address: int) -> None:
        """Forget the authorizer and the like of a connection that has been closed. Hold the lock."""
        for key in [key for key in self.hooks if key[0] == address]:
            self.forget(self.hooks.pop(key))

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Open the instance for a call that even hooks may make."""
        state = self.state
        was_open = state.reentrant
        if self.in_hook:
            state.reentrant = True
        try:
            yield
        finally:
            state.reentrant = was_open

    def _handler(self, key: int) -> Handler:
        """The handler of a key that has not been met yet."""
        maker = self._makers.get(key >> 32)
        if maker is None:
            raise BridgeError(f"the guest called back for {key:#x}, which is not registered")
        handler = maker(key & 0xFFFF_FFFF)
        if len(self._handlers) < _MOST_HANDLERS:
            self._handlers[key] = handler
        return handler

    # -- arguments ---------------------------------------------------------------------------------------------

    def reader(self, shape: int) -> Callable[[], Iterable[Any]]:
        """A function that reads all arguments of this shape from the block."""
        count = shape >> 24
        if count > _KEY_TYPES:
            return self._read_many
        types = [shape >> 3 * i & 7 for i in range(count)]
        if set(types) <= {INTEGER, FLOAT}:
            unpack = Struct("<" + "".join("q" if kind == INTEGER else "d" for kind in types)).unpack_from
            view = self._view
            return lambda: unpack(view, 8 * ARGUMENTS)
        pieces = [self._read_one(kind) for kind in types]
        if count == 1:
            (only,) = pieces
            return lambda: (only(ARGUMENTS),)
        if count == 2:
            first, second = pieces
            return lambda: (first(ARGUMENTS), second(ARGUMENTS + 1))
        located = list(enumerate(pieces, ARGUMENTS))
        return lambda: [read(index) for index, read in located]

    def _read_many(self) -> Iterable[Any]:
        count = self.words[INSTANCE] >> 32
        if not 0 <= count <= _MOST_ARGUMENTS:
            raise BridgeError(f"the guest called back with {count} arguments")
        types = bytes(self._view[TYPES : TYPES + count])
        return [self._read_one(kind)(index) for index, kind in enumerate(types, ARGUMENTS)]

    def _read_one(self, kind: int) -> Callable[[int], Any]:
        if kind == INTEGER:
            return self.words.__getitem__
        if kind == FLOAT:
            return self.reals.__getitem__
        if kind == TEXT:
            return self._text
        if kind == BLOB:
            return self._blob
        if kind == NULL:
            return _null
        raise BridgeError(f"the guest called back with an argument of the storage class {kind}")

    def _text(self, index: int) -> str:
        bits = self.words[index]
        return str(self.memory.span(bits & 0xFFFF_FFFF, bits >> 32), "utf-8")

    def _blob(self, index: int) -> bytes:
        bits = self.words[index]
        return bytes(self.memory.span(bits & 0xFFFF_FFFF, bits >> 32))

    # -- results -----------------------------------------------------------------------------------------------

    def put(self, value: Any) -> None:
        """Answer with a value. OverflowError, UnicodeEncodeError, BufferError, ``unsupported``: it cannot be.

        https://sqlite.org/c3ref/result_blob.html
        """
        kind = type(value)
        if kind is str:
            self._put_bytes(TEXT, value.encode())
        elif value is None:
            self.words[RESULT] = NULL
        elif kind is bytes:
            self._put_bytes(BLOB, value)
        elif kind is float:
            self.reals[VALUE] = value
            self.words[RESULT] = FLOAT
        elif kind is int:
            try:
                self.words[VALUE] = value
            except ValueError:
                raise OverflowError(TOO_LARGE) from None
            self.words[RESULT] = INTEGER
        else:
            try:
                value = normalise(value, 0)
            except UnsupportedType as error:
                raise self.unsupported(
                    f"User-defined functions cannot return '{error.args[1]}' values to SQLite"
                ) from None
            self.put(value)

    def _put_bytes(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size <= _RESULT_BYTES:
            self._view[BYTES : BYTES + size] = data
            self.words[RESULT] = size << 8 | kind
            return
        if size > _INT_MAX:
            what = "string is" if kind == TEXT else "BLOB"
            raise OverflowError(f"{what} longer than INT_MAX bytes")
        instance = self._instance() if self._instance is not None else None
        assert instance is not None
        self.state.reentrant = True
        try:
            address = instance.function("malloc", hold_gil=True)(size)
        finally:
            self.state.reentrant = False
        if not address:
            raise MemoryError(f"the guest has no {size} bytes left")
        self.memory.write(address, data)
        self.words[VALUE] = address
        self.words[RESULT] = size << 8 | _ON_HEAP + kind

    def failed(self, error: BaseException, function: object, message: bytes) -> None:
        """Answer with an error, and keep what was raised for the statement that fails of it."""
        # First what makes no call, after which a signal handler could raise.
        self.state.reentrant = self.in_hook = False
        self.progress.running.raised += [(self.state.depth, error)]
        self.ignored(error, function)
        if isinstance(error, MemoryError):
            self.words[RESULT] = _NO_MEMORY
        elif isinstance(error, OverflowError):
            self.words[RESULT] = _TOO_BIG
        else:
            self._view[BYTES : BYTES + len(message)] = message
            self.words[RESULT] = len(message) << 8


def _null(_: int) -> None:
    return None


def _silent(error: BaseException, function: object) -> None:
    pass
