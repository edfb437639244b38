"""Exceptions of callbacks that SQLite swallows, reported as the interpreter reports what it cannot raise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any

from wasqlite._compat import UNRAISABLE_NAMES_CALLBACK, in_package
from wasqlite.arguments import c_int

_enabled = False


def enable(flag: Any) -> None:
    """Whether ``report`` reports."""
    global _enabled
    _enabled = bool(c_int(flag))


def report(error: BaseException, function: object) -> None:
    """Give an exception that ``function`` raised to ``sys.unraisablehook``, if that is switched on."""
    if not _enabled:
        return
    message, culprit = None, function
    if UNRAISABLE_NAMES_CALLBACK:
        message, culprit = f"Exception ignored on sqlite3 callback {function!r}", None
    _call_hook(type(error), error, _traceback(error), message, culprit)


def _call_hook(*values: Any) -> None:
    arguments = _arguments_type()(values)
    hook = sys.unraisablehook
    if hook is not sys.__unraisablehook__:
        sys.audit("sys.unraisablehook", hook, arguments)
    try:
        hook(arguments)
    except Exception as error:
        sys.__unraisablehook__(
            _arguments_type()(
                (type(error), error, error.__traceback__, "Exception ignored in sys.unraisablehook", hook)
            )
        )


def _traceback(error: BaseException) -> TracebackType | None:
    """The traceback from the callback on; where that was not reached, the place of the call that led to it."""
    traceback = error.__traceback__
    while traceback is not None and in_package(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    if traceback is not None:
        return traceback
    frame = sys._getframe()
    while in_package(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return TracebackType(None, frame, frame.f_lasti, frame.f_lineno)


@cache
def _arguments_type() -> Callable[[tuple[Any, ...]], Any]:
    """The type that hooks want, which has no public name: the type of what one receives."""
    received: list[Any] = []
    error = Exception()

    class Dying:
        def __del__(self) -> None:
            raise error

    def hook(arguments: Any) -> None:
        if arguments.exc_value is error:
            received.append(type(arguments))
        else:
            former(arguments)  # another thread's

    former, sys.unraisablehook = sys.unraisablehook, hook
    try:
        Dying()
    finally:
        sys.unraisablehook = former
    found: Callable[[tuple[Any, ...]], Any] = received[0]
    return found
