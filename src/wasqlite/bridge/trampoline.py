"""The Python end of a host call: a generator, so that no exception can ever reach the runtime.

ctypes calls ``generator.__next__``, a C function. The generator resumes *inside* a ``try``, so an exception that a
signal handler raises at the first instruction is caught like any other; with a plain function, 5 of 16 runs under
Ctrl-C segfaulted. Nothing is lost: what was caught is kept on the instance and raised by the guest call under way.
Arguments and result travel through the adapter's frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from struct import Struct

from wasqlite.bridge._wasmtime import FUNC, TABLE, Extern, HostCallback
from wasqlite.bridge.adapter import ARGUMENTS, READY, REQUEST
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from typing import Any

    from wasqlite.bridge.engine import Engine

    Unpack = Callable[[memoryview, int], tuple[Any, ...]]

MOST_PARKED = 100
"""How many of the exceptions of one call are kept, the first and the last: a guest may cause very many of them."""

_FORMATS = {"i": "q", "I": "q", "f": "f4x", "F": "d"}
_WIDE = {"I": "q", "f": "f", "F": "d"}


class Trampoline:
    """One import's way into Python: ``callback`` is the C-level callable, ready once ``attach`` gave it the frame.

    A bare function has a ``second`` one, for when the first is under way.
    """

    __slots__ = ("_frame", "_function", "_generators", "_parked", "_pool", "_state", "callback", "second")

    def __init__(self, function: HostFunction, parked: list[BaseException], state: State) -> None:
        self._function = function
        self._parked = parked
        self._state = state
        self._generators: list[Generator[None, memoryview, None]] = []
        self._pool: deque[Generator[None, memoryview, None]] = deque()
        self.callback: Callable[[], None]
        self.second: Callable[[], None] | None = None
        if function.reentrant:
            # A generator that is running cannot be resumed, so a function that may be called while it is under way
            # needs one more for every level. They are picked from the pool without any bytecode in between.
            self.callback = map(next, iter(self._pool.pop, None)).__next__
            if function.bare:
                self.second = self.callback
                serve = function.serve or partial(_serve_bare, function.call)
                self.callback = serve(parked, state).__next__
                self.callback()
        else:
            generator = _serve(function, parked)
            next(generator)
            self._generators.append(generator)
            self.callback = generator.__next__

    def attach(self, frame: memoryview) -> None:
        """Tell where arguments and results are: the adapter's memory."""
        self._frame = frame
        if not self._function.reentrant:
            self._generators[0].send(frame)
        elif not self._function.bare:
            self.prepare()

    def prepare(self) -> None:
        """Make sure that the function can be called once more while it is under way."""
        if not self._pool:
            level = len(self._generators)
            generator = _serve_reentrant(
                self._function, self._parked, self._state, self._generators, level, self._pool, self
            )
            next(generator)
            generator.send(self._frame)
            self._generators.append(generator)
            self._pool.append(generator)

    def close(self) -> None:
        """Break the reference cycles."""
        self._generators.clear()
        self._pool.clear()


class Late:
    """Makes an adapter's ways into the host, each when its function is called for the first time.

    Its own is ``make``. What it refers to does not lead back to it, so that it goes with the instance.
    """

    __slots__ = (
        "_adapter", "_context", "_engine", "_first", "_frame", "_functions", "_kept", "_parked", "_request", "_state",
        "_trampolines",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        context: int,
        functions: list[HostFunction],
        first: int,
        parked: list[BaseException],
        state: State,
    ) -> None:
        """``first`` is the slot of the first function in the adapter's table."""
        self._engine = engine
        self._context = context
        self._functions = functions
        self._first = first
        self._parked = parked
        self._state = state
        self._kept: list[object] = []
        self._trampolines: list[Trampoline] = []

    def attach(self, adapter: ctypes.Array[ctypes.c_uint64], frame: memoryview) -> None:
        """Tell where the table and the frame are."""
        self._adapter = adapter
        self._frame = frame
        self._request = frame[REQUEST : REQUEST + 4].cast("i")

    def make(self) -> None:
        """Make the way whose number is in the frame. It can be made again, if this is left early."""
        engine, context, number = self._engine, self._context, self._request[0]
        trampoline = Trampoline(self._functions[number], self._parked, self._state)
        trampoline.attach(self._frame)
        self._trampolines.append(trampoline)
        way = way_into(engine, context, trampoline.callback, self._kept)
        table = engine.api.export(context, self._adapter, "table", TABLE)
        assert table is not None
        engine.api.set_function(context, table, self._first + number, way)
        self._frame[READY + number] = 1

    def close(self) -> None:
        """Break the reference cycles."""
        for trampoline in self._trampolines:
            trampoline.close()


def way_into(engine: Engine, context: int, callback: Callable[[], None], kept: list[object]) -> Extern:
    """A function of the store, without parameters and result, that calls this. ``kept`` owns what it refers to."""
    thunk = HostCallback(callback)
    extern = Extern(kind=FUNC)
    engine.api.func_new(context, engine.procedure, thunk, None, None, extern.address)
    kept.append(thunk)
    return extern


def _wide(function: HostFunction, slot: Any) -> Callable[..., int]:
    """``function.call`` with its result in the frame's second slot."""
    call: Callable[..., Any] = function.call

    def served(*arguments: Any) -> int:
        slot[0] = call(*arguments)
        return 0

    return served


def _prepare(function: HostFunction, frame: memoryview) -> tuple[Any, Any, Unpack, list[Any]]:
    """What both generators need: the two slots of answers, the way to the arguments, the answers on failure."""
    unpack = Struct("<" + "".join(_FORMATS[letter] for letter in function.params)).unpack_from
    wide = frame[8:16].cast(_WIDE.get(function.result, "q"))  # type: ignore[call-overload]
    return frame[:8].cast("q"), wide, unpack, function.fallback


def _serve(function: HostFunction, parked: list[BaseException]) -> Generator[None, memoryview, None]:
    # A state machine: `attempts` is how often the call may still be tried for the guest that waits, 0 if none waits.
    # Wherever an exception strikes, the loop goes on from the state that it left.
    # Three nets, one inside the other: an exception that strikes in a net's handler, or at its jump back, where signal
    # handlers run too, lands in the next. Handlers make no calls, since after a call signal handlers run as well.
    # Only where it waits does a GeneratorExit mean that there is an end of it; `call` may raise one as anything else.
    frame = yield
    status, wide, unpack, fallback = _prepare(function, frame)
    call = _wide(function, wide) if function.result in _WIDE else function.call
    allowed = 100 if function.retry else 1  # signals at the rate of a flood still let one of so many through
    attempts = 0
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                if attempts == 0:
                                    attempts = allowed
                                    try:
                                        yield
                                    except GeneratorExit:
                                        return
                                attempts -= 1
                                wide[0] = fallback[1]
                                status[0] = fallback[0]
                                status[0] = call(*unpack(frame, ARGUMENTS)) or 0
                                attempts = 0
                        except BaseException as error:
                            parked += [error]
                            parked[MOST_PARKED:-1] = ()
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]


def _serve_bare(call: Callable[[], Any], parked: list[BaseException], state: State) -> Generator[None, None, None]:
    # No state machine: wherever an exception strikes, the guest waits, and its answer is there, or is that of failure.
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                try:
                                    yield
                                except GeneratorExit:
                                    return
                                call()
                        except BaseException as error:
                            state.reentrant = False
                            parked += [error]
                            parked[MOST_PARKED:-1] = ()
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]


def _serve_reentrant(
    function: HostFunction,
    parked: list[BaseException],
    state: State,
    generators: list[Generator[None, memoryview, None]],
    level: int,
    pool: deque[Generator[None, memoryview, None]],
    trampoline: Trampoline,
) -> Generator[None, memoryview, None]:
    # As above, with three duties more: to open the instance for calls only while the callable runs, when its arguments
    # are read; to write the answer last, because calls that were made meanwhile used the same frame; and to go back
    # into the pool, when no call can be made any more that would take this generator from there too early.
    frame = yield
    status, wide, unpack, fallback = _prepare(function, frame)
    call: Callable[..., Any] = function.call
    narrow = function.result not in _WIDE
    opened = False if function.bare else trampoline
    waiting = False
    answer = value = 0
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                if not waiting:
                                    wide[0] = value
                                    status[0] = answer
                                    waiting = True
                                    try:
                                        yield
                                    except GeneratorExit:
                                        return
                                waiting = False
                                answer = fallback[0]
                                value = fallback[1]
                                arguments = unpack(frame, ARGUMENTS)
                                state.reentrant = opened
                                wide[0] = result = call(*arguments) or 0
                                state.reentrant = False
                                value = result
                                answer = result if narrow else 0
                                pool.appendleft(generators[level])
                        except BaseException as error:
                            state.reentrant = False
                            parked += [error]
                            parked[MOST_PARKED:-1] = ()
                            if not waiting and generators[level] not in pool:
                                pool.appendleft(generators[level])
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]
