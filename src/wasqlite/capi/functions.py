"""SQL functions in Python: scalar, aggregate and window functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count as numbers
from typing import TYPE_CHECKING, Any, NamedTuple

from wasqlite.bridge import ReentryError
from wasqlite.capi.batch import NULL
from wasqlite.capi.callback_block import ARGUMENTS, INSTANCE, RESULT
from wasqlite.capi.callback_values import Read
from wasqlite.capi.callbacks import (
    CALL_FINAL,
    CALL_INVERSE,
    CALL_ITSELF,
    CALL_STEP,
    CALL_VALUE,
    Callbacks,
    Handler,
    Maker,
)

if TYPE_CHECKING:
    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

_ONE = 1 << 24
"""The shape of one argument, without its type."""
_KIND_SCALAR, _KIND_AGGREGATE, _KIND_WINDOW = range(3)

_identities = numbers(1)


class Messages(NamedTuple):
    """What SQLite is told when a method of an aggregate raises."""

    init: bytes
    step_missing: bytes
    step: bytes
    inverse_missing: bytes
    inverse_arguments: bytes
    inverse: bytes
    value_missing: bytes
    value: bytes
    value_result: bytes
    final_missing: bytes
    final: bytes


def create_scalar(
    database: Database, name: bytes, count: int, flags: int, function: Any, message: bytes
) -> Failure | None:
    """Register a function of ``count`` arguments (-1: any number); ``message`` is what SQLite is told when it raises.

    https://sqlite.org/c3ref/create_function.html
    """

    def add(callbacks: Callbacks) -> int:
        return callbacks.add(lambda there: {CALL_ITSELF: _scalar(there, function, message)}, (function, message))

    return _create(database, name, count, flags, _KIND_SCALAR, add)


def create_aggregate(
    database: Database, name: bytes, count: int, flags: int, factory: Any, messages: Messages, *, window: bool
) -> Failure | None:
    """Register an aggregate or window function, whose objects ``factory()`` makes.

    https://sqlite.org/c3ref/create_function.html
    """

    def add(callbacks: Callbacks) -> int:
        return callbacks.add(
            lambda there: {
                CALL_STEP: _step(there, factory, messages),
                CALL_INVERSE: _inverse(there, factory, messages),
                CALL_VALUE: _value(there, factory, messages),
                CALL_FINAL: _final(there, factory, messages, window),
            }
        )

    return _create(database, name, count, flags, _KIND_WINDOW if window else _KIND_AGGREGATE, add)


def remove(database: Database, name: bytes, count: int, flags: int) -> Failure | None:
    """Remove the function of this name and number of arguments.

    https://sqlite.org/c3ref/create_function.html
    """
    return _create(database, name, count, flags, _KIND_WINDOW, lambda _: 0)


def _create(
    database: Database,
    name: bytes,
    count: int,
    flags: int,
    kind: int,
    add: Callable[[Callbacks], int],
) -> Failure | None:
    with database.lock:
        create = database.function("wsq_create_function")
        callbacks = database.callbacks()
        number = add(callbacks)
        address = database.put(name + b"\0")
        try:
            create(database._handle, address, count, flags, number, kind)
        except ReentryError:
            callbacks.forget(number)
            raise
        failure = database.finish()[1]
        if failure is not None:
            callbacks.forget(number)
        callbacks.settle()
    return failure


# -- handlers ------------------------------------------------------------------------------------------------------
# A handler reads its arguments before it opens the instance for calls, and writes its answer after it closed it. The
# commonest case, one number, has no handler of its own once it was met: see callback_server.


def _scalar(callbacks: Callbacks, function: Any, message: bytes) -> Maker:
    values, state, failed = callbacks.values, callbacks.state, callbacks.failed
    put = values.put

    def of_one(read: Read) -> Handler:
        def call() -> None:
            try:
                argument = read(ARGUMENTS)
                state.reentrant = True
                result = function(argument)
                state.reentrant = False
                put(result)
            except BaseException as error:
                failed(error, function, message)

        return call

    def of_any(read: Callable[[], Iterable[Any]]) -> Handler:
        def call() -> None:
            try:
                arguments = read()
                state.reentrant = True
                result = function(*arguments)
                state.reentrant = False
                put(result)
            except BaseException as error:
                failed(error, function, message)

        return call

    def maker(shape: int) -> Handler:
        return of_one(values.piece(shape & 7)) if shape >> 24 == 1 else of_any(values.reader(shape))

    return maker


def _step(callbacks: Callbacks, factory: Any, messages: Messages) -> Maker:
    values, state, failed = callbacks.values, callbacks.state, callbacks.failed
    words, instances = values.words, callbacks.instances
    init, missing, raised = messages.init, messages.step_missing, messages.step

    def maker(shape: int) -> Handler:
        read = values.reader(shape)

        def call() -> None:
            number = words[INSTANCE]
            message = raised
            try:
                arguments = read()
                state.reentrant = True
                if number:
                    message = missing
                    step = instances[number].step
                    message = raised
                    step(*arguments)
                    state.reentrant = False
                else:
                    message = init
                    instance = factory()
                    number = _add(instances, instance)
                    message = missing
                    step = instance.step
                    message = raised
                    step(*arguments)
                    state.reentrant = False
                    words[INSTANCE] = number
                words[RESULT] = NULL
            except BaseException as error:
                words[INSTANCE] = number
                failed(error, factory, message)

        return call

    return maker


def _add(instances: dict[int, Any], instance: Any) -> int:
    number = next(_identities)
    instances[number] = instance
    return number


def _inverse(callbacks: Callbacks, factory: Any, messages: Messages) -> Maker:
    values, state, failed = callbacks.values, callbacks.state, callbacks.failed
    words, instances = values.words, callbacks.instances

    def maker(shape: int) -> Handler:
        read = values.reader(shape)

        def call() -> None:
            message = messages.inverse_arguments
            try:
                number = words[INSTANCE]
                arguments = read()
                state.reentrant = True
                message = messages.inverse_missing
                inverse = instances[number].inverse
                message = messages.inverse
                inverse(*arguments)
                state.reentrant = False
                words[RESULT] = NULL
            except BaseException as error:
                failed(error, factory, message)

        return call

    return maker


def _value(callbacks: Callbacks, factory: Any, messages: Messages) -> Maker:
    values, state, failed = callbacks.values, callbacks.state, callbacks.failed
    words, put, instances = values.words, values.put, callbacks.instances

    def call() -> None:
        message = None
        try:
            number = words[INSTANCE]
            state.reentrant = True
            result = instances[number].value()
            state.reentrant = False
            message = messages.value_result
            put(result)
        except BaseException as error:
            missing = messages.value_missing if isinstance(error, AttributeError) else messages.value
            failed(error, factory, message or missing)

    return lambda _: call


def _final(callbacks: Callbacks, factory: Any, messages: Messages, window: bool) -> Maker:
    values, state, failed = callbacks.values, callbacks.state, callbacks.failed
    words, put, instances = values.words, values.put, callbacks.instances

    def call() -> None:
        try:
            instance = instances.pop(words[INSTANCE])
            state.reentrant = True
            result = instance.finalize()
            state.reentrant = False
            put(result)
        except BaseException as error:
            failed(error, factory, messages.final_missing if isinstance(error, AttributeError) else messages.final)
            if window and not isinstance(error, Exception):
                raise  # SQLite does not report a failure here: Ctrl-C and exit() would be lost

    return lambda _: call
