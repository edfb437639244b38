"""Callbacks from SQLite into Python: what the guest calls back for, by number, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping

from wasqlite.bridge import BridgeError, HostFunction, Memory
from wasqlite.bridge.record import Record
from wasqlite.capi.batch import FLOAT, INTEGER
from wasqlite.capi.callback_block import KEY, LANE
from wasqlite.capi.callback_server import Place, Switch, serve, serve_lane

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge import Instance, State
    from wasqlite.capi.callback_server import Target
    from wasqlite.capi.callback_values import Values
    from wasqlite.capi.progress import Progress

CALL_ITSELF, CALL_STEP, CALL_INVERSE, CALL_VALUE, CALL_FINAL, CALL_UNEXPANDED, CALL_NO_MEMORY, _CALL_DOUBT = range(8)
_CALLS = 8
"""Every number is a multiple of it; ``CALL_...`` is added."""

_MOST_HANDLERS = 4096
"""How many handlers are kept: a function with many arguments can be called with very many combinations of types."""
_LANES = 250
_ANY_SHAPE = 255 << 24
"""The shape of many arguments, whose types a handler looks up each time."""
_ONE_INTEGER = 1 << 24 | INTEGER
_ONE_FLOAT = 1 << 24 | FLOAT

_MOST_RAISED = 100
"""How many exceptions of a statement are kept. Most end with the first, but SQLite ignores some of window functions."""

Handler = Callable[[], None]
"""Serves a callback whose arguments have certain types."""
Maker = Callable[[int], Handler]
"""Makes a handler for the ``shape`` of arguments: their number and types, as the block has them."""
Recipe = Callable[["Callbacks"], Mapping[int, Maker]]
"""What makes the handlers of a callback, by its ``CALL_...``: again for each sandbox that a snapshot is opened in."""


class Callbacks:
    """What is registered in a sandbox, of all kinds and connections.

    A callback costs a look-up of its key, which names function and types of arguments, and a handler that was made for
    just these. Whatever a handler does not catch leaves the guest with the answer "failed", and is raised by the guest
    call that is under way.
    """

    __slots__ = (
        "_forgotten",
        "_free",
        "_handlers",
        "_lanes",
        "_made",
        "_makers",
        "_memory",
        "_next",
        "_put_lane",
        "_recipes",
        "_scalars",
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
        self._made: dict[int, tuple[Generator[None, None, None], list[Target]]] = {}
        """The lanes that there are, by their number, and how they are told whom to serve."""
        self._lanes: dict[int, int] = {}
        """The numbers of those that serve a function of one number, by its key. 0 is none."""
        self._scalars: dict[int, tuple[Any, bytes]] = {}
        self._free = list(range(_LANES, 0, -1))
        self._handlers: dict[int, Handler] = {}
        self._makers: dict[int, Maker] = {_CALL_DOUBT: lambda _: self._doubt}
        self._recipes: dict[int, Recipe] = {}
        self._next = 0
        self._put_lane: Callable[[int, Generator[None, None, None]], None] = _nowhere
        self._values: Values | None = None
        self._forgotten: Callable[[], int] | None = None

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The imports ``callback`` and ``lane``."""
        self._memory = memory
        return [
            HostFunction("wasqlite", "callback", "", "", self.dispatch, bare=True, serve=self._serve),
            HostFunction("wasqlite", "lane", "i", "i", _nothing, bare=True, lanes=True),
        ]

    def _serve(self, parked: list[BaseException], state: State) -> Generator[None, None, None]:
        return serve(self, parked, state)

    def dispatch(self) -> None:
        """Serve the callback whose key is in the block, one met for the first time, or made from inside another one."""
        words = self.values.words
        key = words[KEY]
        handler = self._handlers.get(key)
        if handler is None:
            self._handler(key)()
            words[LANE] = self._lanes.get(key, 0)
        else:
            handler()

    def place(self) -> Place:
        """For the generator that serves callbacks."""
        values = self.values
        return Place(values.words, values.reals, self._handlers, values.put, self.failed)

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

            self._put_lane = instance.lanes.put
            self._values = Values(self._memory, instance.function("wsq_callback", hold_gil=True)(), allocate)

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
        for lane in self._made:
            try:  # noqa: SIM105 - contextlib is not loaded at the start
                self._serve_in(lane, _NO_TARGET)
            except (Switch, ValueError):
                pass  # it is garbage itself, in a cycle, and was ended already; or it is running
        self._made.clear()
        self._put_lane = _nowhere
        for registered in (self.hooks, self.instances, self._handlers, self._lanes, self._makers, self._scalars):
            registered.clear()
        self._recipes.clear()

    # -- registration ------------------------------------------------------------------------------------------

    def add(self, recipe: Recipe, scalar: tuple[Any, bytes] | None = None) -> int:
        """Register a callback: its number. ``scalar``: a function and its error, worth a lane."""
        makers = recipe(self)
        self._next += _CALLS
        self._recipes[self._next] = recipe
        if scalar is not None:
            self._scalars[self._next] = scalar
        for call, maker in makers.items():
            self._makers[self._next + call] = maker
        return self._next

    def forget(self, number: int) -> None:
        """Undo ``add``, if that was not done yet."""
        self._scalars.pop(number, None)
        self._recipes.pop(number, None)
        for call in range(_CALLS):
            self._makers.pop(number + call, None)
        for key in [key for key in self._handlers if number <= key >> 32 < number + _CALLS]:
            del self._handlers[key]
            lane = self._lanes.pop(key, 0)
            if lane:
                self._serve_in(lane, _NO_TARGET)
                self._free.append(lane)

    def settle(self) -> None:
        """Forget what SQLite has dropped. Hold the lock."""
        if self._forgotten is not None and not self.state.depth:  # or one that is being called could be among them
            while number := self._forgotten():
                self.forget(number)

    def forget_hooks(self, address: int) -> None:
        """Forget the authorizer and the like of a connection that has been closed. Hold the lock."""
        for key in [key for key in self.hooks if key[0] == address]:
            self.forget(self.hooks.pop(key))

    # -- snapshots ---------------------------------------------------------------------------------------------

    def save(self) -> Registered:
        """What the guest's memory refers to by numbers. Hold the lock."""
        return Registered(
            self._values is not None,
            self._next,
            dict(self._recipes),
            dict(self._scalars),
            dict(self.hooks),
            dict(self._lanes),
            list(self._free),
            tuple(self.instances),
            self.ignored,
            self._values.unsupported if self._values is not None else TypeError,
        )

    def load(self, saved: Registered, instance: Instance) -> None:
        """Serve a guest whose memory is from when that was saved, here or in another sandbox. Hold the lock."""
        if saved.attached:
            self.attach(instance)
            self.values.unsupported = saved.unsupported
        for registered in (self.hooks, self.instances, self._handlers, self._lanes, self._makers, self._scalars):
            registered.clear()
        self._makers[_CALL_DOUBT] = lambda _: self._doubt
        self.ignored = saved.ignored
        self.in_hook = False
        self._next = saved.next
        self._recipes = dict(saved.recipes)
        for number, recipe in saved.recipes.items():
            for call, maker in recipe(self).items():
                self._makers[number + call] = maker
        self._scalars.update(saved.scalars)
        self.hooks.update(saved.hooks)
        # The statements that they belong to are finalized before anything else happens.
        self.instances.update(dict.fromkeys(saved.instances, _GIVEN_UP))
        self._free = list(saved.free)
        for lane in self._made:
            self._serve_in(lane, _NO_TARGET)
        for key, lane in saved.lanes.items():
            self._open_lane(key, lane)

    # -- dispatch ----------------------------------------------------------------------------------------------

    def _handler(self, key: int) -> Handler:
        """The handler of a key that has not been met yet."""
        maker = self._makers.get(key >> 32)
        if maker is None:
            raise BridgeError(f"the guest called back for {key:#x}, which is not registered")
        if len(self._handlers) >= _MOST_HANDLERS:
            return maker(_ANY_SHAPE)
        shape = key & 0xFFFF_FFFF
        handler = self._handlers[key] = maker(shape)
        if key >> 32 in self._scalars and shape in (_ONE_INTEGER, _ONE_FLOAT) and self._free:
            self._open_lane(key, self._free.pop())
        return handler

    def _open_lane(self, key: int, lane: int) -> None:
        function, message = self._scalars[key >> 32]
        words = self.values.words if key & 0xFFFF_FFFF == _ONE_INTEGER else self.values.reals
        self._lanes[key] = lane
        self._serve_in(lane, (function, words, message))

    def _serve_in(self, lane: int, target: Target) -> None:
        """Let a lane, which is not under way, serve this from now on."""
        made = self._made.get(lane)
        if made is None:
            targets = [target]
            generator = serve_lane(targets, self.place(), self.progress.parked, self.state)
            next(generator)
            self._put_lane(lane, generator)
            self._made[lane] = generator, targets
        else:
            generator, targets = made
            targets[:] = [target]
            while targets:  # a signal handler's exception may have come in between
                generator.throw(Switch)

    def _doubt(self) -> None:
        """A lane seems not to have answered. If it was not struck by an exception, it did, with this very integer."""
        if not self.progress.parked:
            self.values.put_doubted()

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


class Registered(Record):
    """What ``Callbacks.save`` returns."""

    attached: bool
    next: int
    recipes: dict[int, Recipe]
    scalars: dict[int, tuple[Any, bytes]]
    hooks: dict[tuple[int, str], int]
    lanes: dict[int, int]
    free: list[int]
    instances: tuple[int, ...]
    ignored: Callable[[BaseException, object], None]
    unsupported: Callable[[str], Exception]


class _GivenUp:
    """Stands for the object of an aggregate that was under way: what becomes of it, nobody asks."""

    def finalize(self) -> None:
        pass


_GIVEN_UP = _GivenUp()


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


def _nowhere(lane: int, generator: Generator[None, None, None]) -> None:
    raise BridgeError("there is no guest any more")


def _refuse(_: object) -> None:
    raise BridgeError("the guest called back for a lane that is not in use")


_NO_TARGET: Target = _refuse, memoryview(bytes(128)).cast("q"), b""


def _silent(error: BaseException, function: object) -> None:
    pass
