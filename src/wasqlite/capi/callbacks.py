"""Callbacks from SQLite into Python: what the guest calls back for, by number, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wasqlite.bridge import BridgeError, HostFunction, Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge import Instance
    from wasqlite.bridge.state import State
    from wasqlite.capi.callback_values import Values
    from wasqlite.capi.progress import Progress

CALL_ITSELF, CALL_STEP, CALL_INVERSE, CALL_VALUE, CALL_FINAL, CALL_UNEXPANDED, CALL_NO_MEMORY = range(7)
_CALLS = 8
"""Every number is a multiple of it; ``CALL_...`` is added."""

_MOST_HANDLERS = 4096
"""How many handlers are kept: a function with many arguments can be called with very many combinations of types."""
_ANY_SHAPE = 255 << 24
"""The shape of many arguments, whose types a handler looks up each time."""

_MOST_RAISED = 100
"""How many exceptions are kept of a statement. Most fail at the first; SQLite ignores errors of window functions."""

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
        "_find",
        "_forgotten",
        "_handlers",
        "_makers",
        "_memory",
        "_next",
        "_values",
        "hooks",
        "ignored",
        "in_hook",
        "instances",
        "progress",
        "state",
    )

    state: State

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.hooks: dict[tuple[int, str], int] = {}
        """The numbers of authorizers and the like, by the address of their connection."""
        self.instances: dict[int, Any] = {}
        """The objects of aggregates that are under way."""
        self.in_hook = False
        """Whether a callback is running from which SQLite must not be called."""
        self.ignored: Callable[[BaseException, object], None] = _silent
        """Told of every exception that SQLite's caller may not get to see, with the callable that raised it."""
        self._handlers: dict[int, Handler] = {}
        self._makers: dict[int, Maker] = {}
        self._next = 0
        self._values: Values | None = None
        self._forgotten: Callable[[], int] | None = None

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The ``callback`` import."""
        handlers = self._handlers
        words = memoryview(b"").cast("q")

        def callback() -> None:
            try:
                handler = handlers[words[0]]
            except KeyError:
                handler = self._handler(words[0])
            handler()

        def find(found: memoryview) -> None:
            nonlocal words
            words = found

        self._find = find
        self._memory = memory
        return [HostFunction("wasqlite", "callback", "", "", callback, bare=True)]

    def attach(self, instance: Instance) -> None:
        """Find the block, before the first registration. Hold the lock."""
        if self._values is None:
            # Here, because many connections have no callbacks.
            from wasqlite.capi.callback_values import Values

            # These functions hold the instance, which holds this object: close() undoes that.
            malloc = instance.function("malloc", hold_gil=True)
            self._forgotten = instance.function("wsq_forgotten", hold_gil=True)

            def allocate(size: int) -> int:
                self.state.reentrant = True
                try:
                    return malloc(size)
                finally:
                    self.state.reentrant = False

            self._values = Values(self._memory, instance.function("wsq_callback", hold_gil=True)(), allocate)
            self._find(self._values.words)

    @property
    def values(self) -> Values:
        """Where arguments and results are."""
        assert self._values is not None
        return self._values

    def close(self) -> None:
        """Forget everything; the guest is gone."""
        if self._values is not None:
            self._values.allocate = _nothing
        self._values = self._forgotten = None
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
        if self._forgotten is not None:
            while number := self._forgotten():
                self.forget(number)

    def forget_hooks(self, address: int) -> None:
        """Forget the authorizer and the like of a connection that has been closed. Hold the lock."""
        for key in [key for key in self.hooks if key[0] == address]:
            self.forget(self.hooks.pop(key))

    def _handler(self, key: int) -> Handler:
        """The handler of a key that has not been met yet."""
        maker = self._makers.get(key >> 32)
        if maker is None:
            raise BridgeError(f"the guest called back for {key:#x}, which is not registered")
        if len(self._handlers) >= _MOST_HANDLERS:
            return maker(_ANY_SHAPE)
        handler = self._handlers[key] = maker(key & 0xFFFF_FFFF)
        return handler

    # -- for handlers ------------------------------------------------------------------------------------------

    def failed(self, error: BaseException, function: object, message: bytes) -> None:
        """Answer with an error, and keep what was raised for the statement that fails of it."""
        # First what makes no call, after which a signal handler could raise.
        self.state.reentrant = self.in_hook = False
        running = self.progress.running
        if running is not self.progress.idle and len(running.raised) < _MOST_RAISED:
            running.raised += [(self.state.depth, error)]
        elif not isinstance(error, Exception):
            raise error  # nobody asks for it: Ctrl-C and exit() leave the guest by themselves
        self.ignored(error, function)
        if isinstance(error, MemoryError):
            self.values.put_no_memory()
        elif isinstance(error, OverflowError):
            self.values.put_too_big()
        else:
            self.values.put_error(message)

    def admitted(self) -> Admission:
        """A ``with`` block in which the instance is open for a call that even hooks may make."""
        return Admission(self)


class Admission:
    """What ``Callbacks.admitted`` returns. Not a generator: contextlib would be a twentieth of a warm start."""

    __slots__ = ("_callbacks", "_was_open")

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._was_open = callbacks.state.reentrant

    def __enter__(self) -> None:
        if self._callbacks.in_hook:
            self._callbacks.state.reentrant = True

    def __exit__(self, *_: object) -> None:
        self._callbacks.state.reentrant = self._was_open


def _nothing(size: int) -> int:
    return 0


def _silent(error: BaseException, function: object) -> None:
    pass
