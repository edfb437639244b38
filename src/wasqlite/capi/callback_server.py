"""The generator that the guest's callbacks resume: a scalar function of one number, in as few steps as possible."""

from __future__ import annotations

from collections.abc import Callable, Generator

from wasqlite.bridge.record import Record
from wasqlite.capi.callback_block import ARGUMENTS, KEY, LANE, LANE_INTEGER, LANE_REAL
from wasqlite.capi.parameters import TOO_LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge import State
    from wasqlite.capi.callbacks import Callbacks, Handler

    Lane = tuple[Any, memoryview, bytes]
    """A function of one number: it, where its argument stands (int64 or float64), what SQLite is told if it raises."""


class Place(Record):
    """What the generator works with, known when the first callback is registered."""

    words: memoryview
    reals: memoryview
    lanes: list[Lane]
    handlers: dict[int, Handler]
    put: Callable[[Any], None]
    failed: Callable[[BaseException, object, bytes], None]


def serve(callbacks: Callbacks, parked: list[BaseException], state: State) -> Generator[None, None, None]:
    """One generator for all callbacks that are not made from inside another one. The nets are those of the bridge.

    No ``continue``: a signal's exception in its jump would miss the nets (CPython 3.11 looks for its handler one
    instruction before the target).

    A lane goes without the key, the handler and two calls, and where its answer stands tells its type: together 40 % of
    the time of ``SELECT sum(f(x))``.
    """
    words: Any = ()
    reals: Any = ()
    lanes: list[Lane] = []
    handlers: dict[int, Handler] = {}
    put: Any = None
    failed: Any = None
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
                                try:
                                    lane = words[LANE]
                                except IndexError:
                                    words, reals, lanes, handlers, put, failed = callbacks.place()
                                    lane = words[LANE]
                                if lane:
                                    function, arguments, message = lanes[lane]
                                    try:
                                        argument = arguments[ARGUMENTS]
                                        state.reentrant = True
                                        result = function(argument)
                                        state.reentrant = False
                                        kind = type(result)
                                        if kind is int:
                                            try:
                                                words[LANE_INTEGER] = result
                                            except ValueError:
                                                raise OverflowError(TOO_LARGE) from None
                                        elif kind is float and result == result:
                                            reals[LANE_REAL] = result
                                        else:
                                            put(result)
                                    except BaseException as error:
                                        failed(error, function, message)
                                    function = result = None  # or they would live until the next callback
                                else:
                                    handler = handlers.get(words[KEY])
                                    if handler is None:
                                        callbacks.dispatch()
                                    else:
                                        handler()
                                        handler = None
                        except BaseException as error:
                            state.reentrant = False
                            parked += [error]
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]
