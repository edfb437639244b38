"""Stopping a guest from outside: deadlines, ``interrupt()``, and signals in long C loops.

wasmtime's way is a counter per engine, the *epoch*, at which interruptible code looks in every loop and function. When
it was advanced, wasmtime asks a callback of the store, on the thread that runs the guest, whether to go on. That
callback runs in Python and looks at three things: what ``interrupt()`` left, the time, and pending signals.

Nothing is done per call to arm this: each store always waits for the very next epoch. A thread advances it every
``PERIOD`` while calls are under way, also because Python runs signal handlers only between its own instructions, and in
a long C loop there are none. ``interrupt()`` advances it at once.
"""

from __future__ import annotations

import _thread
import atexit
import ctypes
import os
import time
import weakref
from collections.abc import Generator
from functools import cache, partial

from wasqlite.bridge._wasmtime import EpochCallback
from wasqlite.bridge.engine import Engine
from wasqlite.bridge.errors import DeadlineExceeded, Interrupted
from wasqlite.bridge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PERIOD = 0.05
"""Seconds between two looks at a guest that runs: a deadline may be exceeded by as much, and so long a signal waits."""

_AT_EXIT = 0.5
"""Seconds that the interpreter's exit waits for guests which daemon threads still run, after they were stopped."""


class Ticker:
    """Advances one engine's epoch while any of its interruptible instances is in a call.

    ``resting`` is not empty while nothing is advanced; whoever begins a call then wakes the ticker. Both sides first
    say what they are about to do and look at the other afterwards, so that none is missed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._states: set[weakref.ref[State]] = set()
        self.resting: list[None] = []
        self._finished = False
        self.reset()

    def reset(self) -> None:
        """As if no call had ever been made: there is no thread yet (any more, in a fork's child)."""
        self._states.clear()
        self.resting[:] = [None]
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._started = _thread.allocate_lock()

    def watch(self, state: State) -> None:
        """Tick for the calls that ``state`` tells of."""
        self._states.add(weakref.ref(state, self._states.discard))

    def advance(self) -> None:
        """Have all guests under way asked, now."""
        self._engine.api.engine_increment_epoch(self._engine.pointer)

    def wake(self) -> None:
        """Begin to tick. A signal handler may raise anywhere in here, or call again: then the next call wakes."""
        if not self._started.locked() and not self._finished:
            _thread.start_new_thread(self._run, ())
        try:  # noqa: SIM105 - a context manager's code would be one more place for a signal to strike
            self._gate.release()
        except RuntimeError:
            pass  # somebody else did it

    def _under_way(self) -> list[State]:
        # copy(): while a list or tuple is made of a set, the collector may run, and have `discard` called.
        states = [ref() for ref in self._states.copy()]
        return [state for state in states if state is not None and state.depth]

    def _run(self) -> None:
        if not self._started.acquire(False):
            return  # two were started at once
        try:
            while not self._finished:
                self.resting.clear()
                time.sleep(PERIOD)
                if self._under_way():
                    self.advance()
                else:
                    self.resting[:] = [None]
                    if not self._under_way():
                        self._gate.acquire()
        finally:
            # Also if there was no memory left: whoever makes the next call starts another thread.
            self.resting[:] = [None]
            self._started.release()

    def finish(self) -> None:
        """Stop what daemon threads still run: no guest may ask an interpreter that is going down."""
        running = self._under_way()
        for state in running:
            state.stop += [Interrupted("the interpreter exits")]
        self._finished = True
        until = time.monotonic() + _AT_EXIT
        while running and time.monotonic() < until:
            self.advance()
            time.sleep(0.001)
            running = self._under_way()


@cache
def ticker(engine: Engine) -> Ticker:
    """The ticker of an engine."""
    made = Ticker(engine)
    atexit.register(made.finish)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made.reset)
    return made


def too_late(name: str, deadline: float | None) -> DeadlineExceeded:
    """What a call raises that took longer than it may."""
    return DeadlineExceeded(f"{name}: a call took longer than its deadline of {deadline} s")


class Interruption:
    """What makes one instance interruptible.

    The errors are what the callback may end the guest's call with; ``unused`` has the one that it has not given away.
    """

    __slots__ = ("_api", "_callback", "_errors", "_name", "_store", "deadline", "state", "ticker", "unused")

    def __init__(
        self,
        engine: Engine,
        name: str,
        store: int,
        context: int,
        state: State,
        parked: list[BaseException],
        unused: list[int],
        deadline: float | None,
    ) -> None:
        self._api = engine.api
        self._name = name
        self._store = store
        self.state = state
        self.deadline = deadline
        self._errors: list[int] = []
        self.unused = unused
        self.ticker = ticker(engine)
        self.ticker.watch(state)
        late = partial(too_late, name, deadline)
        watcher = _watch(context, self._errors, self.unused, state, parked, late)
        next(watcher)
        # max() passes each argument on, after a 0, and returns the one that got the highest number. All of that is C
        # code, so that the first Python code to run is inside of the generator's nets (see trampoline).
        self._callback = EpochCallback(partial(max, 0, key=watcher.send))
        self.arm()
        engine.api.context_set_epoch_deadline(context, 1)

    def arm(self) -> None:
        """Provide an error for the next time, if the last one was used."""
        if not self.unused:
            error = self._api.error_new(b"interrupted")
            self._errors.append(error)
            self._api.store_epoch_callback(self._store, self._callback, error, None)
            self.unused.append(error)
            del self._errors[:-1]

    def stopped(self, parked: list[BaseException]) -> bool:
        """Whether a call was stopped, until ``arm`` is called. Then the reasons come before all else that was kept."""
        if self.unused:
            return False
        known = set(map(id, parked))
        parked[:0] = [reason for reason in self.state.stop if id(reason) not in known]
        return True

    def begin(self) -> None:
        """What the generated code of an outermost call does, for one that is not generated."""
        self.state.stop = []
        if self.deadline is not None:
            self.state.until = time.monotonic() + self.deadline
        if self.ticker.resting:
            self.ticker.wake()

    def source(self, prefix: str) -> tuple[str, str, dict[str, Any]]:
        """The same as source text for generated calls: what an outermost one does before it sets the depth, what each
        one does after that, and the names in both, which begin with ``prefix``."""
        begin = f"{prefix}state.stop = []"
        if self.deadline is not None:
            begin += f"; {prefix}state.until = {prefix}now() + {prefix}deadline"
        resting, wake = self.ticker.resting, self.ticker.wake
        names = {"now": time.monotonic, "deadline": self.deadline, "resting": resting, "wake": wake}
        return begin, f"if {prefix}resting: {prefix}wake()", {prefix + name: value for name, value in names.items()}

    def interrupt(self) -> None:
        """Stop the call under way, if there is one; from any thread."""
        stop = self.state.stop  # of this very call: if it ends now and another begins, that goes on
        if self.state.depth:
            stop += [Interrupted(f"{self._name}: the call was interrupted")]
            self.ticker.advance()


def _watch(
    context: int,
    errors: list[int],
    unused: list[int],
    state: State,
    parked: list[BaseException],
    late: Callable[[], BaseException],
) -> Generator[int, int, None]:
    """The callback's Python part: it is sent 0, the context, the error, and where the next deadline goes.

    It answers 1 for the error if the guest is to be stopped, so that this is what ``max`` returns; else the 0 wins.
    An exception that strikes here, a signal handler's as a rule, is kept and stops the guest. Where it makes an
    argument lost, the last answer is given once more; the worst of it is that the next deadline is not set, so that
    the callback is called again at once. As in all such generators: no ``continue``, and no calls in handlers.
    """
    now = time.monotonic
    word = ctypes.c_uint64.from_address
    answer = 0
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                try:
                                    argument = yield answer
                                except GeneratorExit:
                                    return
                                answer = -1
                                if argument == 0:
                                    answer = 0
                                elif argument == context:
                                    until = state.until
                                    if until is not None and now() >= until and not state.stop:
                                        state.stop += [late()]
                                elif argument in errors:
                                    if state.stop and unused:
                                        answer = 1
                                        del unused[:]
                                else:
                                    word(argument).value = 1
                        except BaseException as error:
                            parked += [error]
                            state.stop += [error]
                except BaseException as error:
                    parked += [error]
                    state.stop += [error]
        except BaseException as error:
            parked += [error]
            state.stop += [error]
