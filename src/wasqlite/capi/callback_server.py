"""The generators that the guest's callbacks resume: one for all of them, and lanes for what is called most often."""

from __future__ import annotations

from collections.abc import Callable, Generator

from wasqlite.bridge.record import Record
from wasqlite.capi.callback_block import ARGUMENTS, KEY, LANE_INTEGER, LANE_REAL
from wasqlite.capi.parameters import TOO_LARGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge import State
    from wasqlite.capi.callbacks import Callbacks, Handler

    Target = tuple[Any, memoryview, bytes]
    """A function of one number: it, where its argument stands (int64 or float64), what SQLite is told if it raises."""


class Place(Record):
    """What the generators work with, known when the first callback is registered."""

    words: memoryview
    reals: memoryview
    handlers: dict[int, Handler]
    put: Callable[[Any], None]
    failed: Callable[[BaseException, object, bytes], None]


def serve(callbacks: Callbacks, parked: list[BaseException], state: State) -> Generator[None, None, None]:
    """One generator for all callbacks that are not made from inside another one. The nets are those of the bridge.

    No ``continue``: a signal's exception in its jump would miss the nets (CPython 3.11 looks for its handler one
    instruction before the target).
    """
    words: Any = ()
    handlers: dict[int, Handler] = {}
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
                                    handler = handlers.get(words[KEY])
                                except IndexError:
                                    words, _, handlers, _, _ = callbacks.place()
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


class Switch(BaseException):
    """Thrown into a lane: it is for another function from now on."""


def serve_lane(
    targets: list[Target], place: Place, parked: list[BaseException], state: State
) -> Generator[None, None, None]:
    """A lane serves one function for one type of argument, and so goes without the key and the handler.

    Where its answer stands tells its type. ``targets`` has one item, which ``Switch`` makes it take.
    """
    words, reals, _, put, failed = place
    function: Any
    function, arguments, message = targets.pop()
    result = None
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
                                except Switch:
                                    (function, arguments, message), targets[:] = targets[0], ()
                                else:
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
                                    result = None  # or it would live until the next callback
                        except BaseException as error:
                            state.reentrant = False
                            parked += [error]
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]
