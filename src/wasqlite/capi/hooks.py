"""Collations, and the hooks of a connection: authorizer, progress handler, trace."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wasqlite.bridge import ReentryError
from wasqlite.capi.batch import INTEGER
from wasqlite.capi.callback_block import ARGUMENTS, RESULT, VALUE
from wasqlite.capi.callbacks import CALL_ITSELF, CALL_NO_MEMORY, CALL_UNEXPANDED, Callbacks, Handler, Maker

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

_INT_MIN, _INT_MAX = -0x8000_0000, 0x7FFF_FFFF


def create_collation(database: Database, name: bytes, function: Any) -> Failure | None:
    """Register a collation; None removes it. What the function raises is raised again when the statement has ended.

    https://sqlite.org/c3ref/create_collation.html
    """
    with database.lock:
        create = database.function("wsq_create_collation")
        callbacks = database.callbacks()
        number = 0 if function is None else callbacks.add(lambda there: {CALL_ITSELF: _collation(there, function)})
        address = database.put(name + b"\0")
        try:
            create(database._handle, address, number)
        except ReentryError:
            callbacks.forget(number)
            raise
        failure = database.finish()[1]
        if failure is not None:
            callbacks.forget(number)
        callbacks.settle()
    return failure


def set_authorizer(database: Database, function: Any) -> Failure | None:
    """Ask ``function`` what a statement may do, while it is compiled; None: no more.

    https://sqlite.org/c3ref/set_authorizer.html
    """
    return _set(database, "wsq_set_authorizer", function, _authorizer)


def set_progress(database: Database, function: Any, steps: int) -> Failure | None:
    """Call ``function`` every ``steps`` VDBE steps; true interrupts the statement. None, or no steps: no more.

    https://sqlite.org/c3ref/progress_handler.html
    """
    return _set(database, "wsq_set_progress", function if steps > 0 else None, _progress, max(steps, 0))


def set_trace(database: Database, function: Any, too_long: Callable[[], Exception]) -> Failure | None:
    """Call ``function`` with the SQL of each statement that begins, its parameters filled in; None: no more.

    ``too_long`` makes the exception for SQL that is too long with its parameters.
    https://sqlite.org/c3ref/trace_v2.html
    """

    def makers(callbacks: Callbacks, function: Any) -> Mapping[int, Maker]:
        return _trace(callbacks, function, too_long)

    return _set(database, "wsq_set_trace", function, makers)


def _set(
    database: Database,
    name: str,
    function: Any,
    makers: Callable[[Callbacks, Any], Mapping[int, Maker]],
    *arguments: int,
) -> Failure | None:
    with database.lock:
        install = database.function(name)
        callbacks = database.callbacks()
        number = 0 if function is None else callbacks.add(lambda there: makers(there, function))
        try:
            with callbacks.admitted():
                install(database._handle, number, *arguments)
        except ReentryError:
            callbacks.forget(number)
            raise
        failure = database.finish()[1]
        key = database._handle, name
        if failure is not None:
            callbacks.forget(number)
            return failure
        former = callbacks.hooks.pop(key, 0)
        if number:
            callbacks.hooks[key] = number
        callbacks.forget(former)
    return None


# -- handlers ------------------------------------------------------------------------------------------------------
# They leave the instance shut: SQLite forbids the calls of an authorizer or progress handler that would use the
# connection, and a comparison is made while a B-tree is being walked.


def _collation(callbacks: Callbacks, function: Any) -> Maker:
    progress, words, text = callbacks.progress, callbacks.values.words, callbacks.values.text

    def call() -> None:
        try:
            first, second = text(ARGUMENTS), text(ARGUMENTS + 1)
            callbacks.in_hook = True
            result = function(first, second)
            callbacks.in_hook = False
            words[VALUE] = (result > 0) - (result < 0) if type(result) is int else _sign(result)
            words[RESULT] = INTEGER
        except Exception as error:
            callbacks.in_hook = False
            parked = progress.parked
            if not parked:
                progress.waived = error
            parked += [error]

    return lambda _: call


def _sign(result: Any) -> int:
    """-1, 0 or 1; what is not a whole number is 0."""
    try:
        number = operator.index(result)
    except Exception:
        return 0
    return (number > 0) - (number < 0)


def _authorizer(callbacks: Callbacks, function: Any) -> Mapping[int, Maker]:
    words, failed = callbacks.values.words, callbacks.failed

    def maker(shape: int) -> Handler:
        read = callbacks.values.reader(shape)

        def call() -> None:
            try:
                arguments = read()
                callbacks.in_hook = True
                result = function(*arguments)
                callbacks.in_hook = False
                if isinstance(result, int):
                    answer = int.__index__(result)
                    if not _INT_MIN <= answer <= _INT_MAX:
                        raise OverflowError("Python int too large to convert to C int")
                    words[VALUE] = answer
                    words[RESULT] = INTEGER
            except BaseException as error:
                failed(error, function, b"")

        return call

    return {CALL_ITSELF: maker}


def _progress(callbacks: Callbacks, function: Any) -> Mapping[int, Maker]:
    words, failed = callbacks.values.words, callbacks.failed

    def call() -> None:
        try:
            callbacks.in_hook = True
            stop = bool(function())
            callbacks.in_hook = False
            words[VALUE] = stop
            words[RESULT] = INTEGER
        except BaseException as error:
            failed(error, function, b"")

    return {CALL_ITSELF: lambda _: call}


def _trace(callbacks: Callbacks, function: Any, too_long: Callable[[], Exception]) -> Mapping[int, Maker]:
    state = callbacks.state

    def maker(shape: int, unexpanded: bool = False) -> Handler:
        read = callbacks.values.reader(shape)

        def call() -> None:
            try:
                if unexpanded:
                    callbacks.ignored(too_long(), function)
                (sql,) = read()
                state.reentrant = True
                function(sql)
            except Exception as error:
                state.reentrant = False
                callbacks.ignored(error, function)
            finally:
                state.reentrant = False

        return call

    def no_memory() -> None:
        raise MemoryError("the guest has no memory left for the SQL of a statement")

    return {
        CALL_ITSELF: maker,
        CALL_UNEXPANDED: lambda shape: maker(shape, True),
        CALL_NO_MEMORY: lambda _: no_memory,
    }
