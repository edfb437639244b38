"""User functions, collations, authorizer, progress handler and trace: the stdlib's interface to SQLite's callbacks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wasqlite import tracebacks
from wasqlite._compat import CALLBACK_KEYWORDS, CHECK_FUNCTION_ARITY
from wasqlite.arguments import c_int, c_string
from wasqlite.bridge import BridgeError
from wasqlite.capi import functions, hooks
from wasqlite.capi.constants import SQLITE_DETERMINISTIC, SQLITE_LIMIT_FUNCTION_ARG, SQLITE_UTF8
from wasqlite.exceptions import DataError, OperationalError, ProgrammingError, from_failure, raise_unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasqlite.capi.database import Database
    from wasqlite.capi.status import Failure

_FUNCTION_FAILED = b"user-defined function raised exception"


def _of(method: str, problem: str) -> bytes:
    return f"user-defined aggregate's '{method}' method {problem}".encode()


_MESSAGES = functions.Messages(
    init=_of("__init__", "raised error"),
    step_missing=_of("step", "not defined"),
    step=_of("step", "raised error"),
    inverse_missing=_of("inverse", "not defined"),
    inverse_arguments=b"unable to build arguments for " + _of("inverse", "")[:-1],
    inverse=_of("inverse", "raised error"),
    value_missing=_of("value", "not defined"),
    value=_of("value", "raised error"),
    value_result=b"unable to set result from " + _of("value", "")[:-1],
    final_missing=_of("finalize", "not defined"),
    final=_of("finalize", "raised error"),
)


def create_function(database: Database, name: Any, narg: Any, func: Any, deterministic: Any) -> None:
    """``Connection.create_function``."""
    encoded, count = _named("create_function", name), c_int(narg)
    flags = SQLITE_UTF8 | (SQLITE_DETERMINISTIC if deterministic else 0)
    _check_arity(database, "narg", count)
    if _register(database, functions.create_scalar, encoded, count, flags, func, _FUNCTION_FAILED) is not None:
        raise OperationalError("Error creating function")


def create_aggregate(database: Database, name: Any, n_arg: Any, aggregate_class: Any) -> None:
    """``Connection.create_aggregate``."""
    encoded, count = _named("create_aggregate", name), c_int(n_arg)
    _check_arity(database, "n_arg", count)
    create = partial(functions.create_aggregate, window=False)
    if _register(database, create, encoded, count, SQLITE_UTF8, aggregate_class, _MESSAGES) is not None:
        raise OperationalError("Error creating aggregate")


def create_window_function(database: Database, name: Any, num_params: Any, aggregate_class: Any) -> None:
    """``Connection.create_window_function``."""
    encoded, count = c_string("create_window_function", "1", name), c_int(num_params)
    _check_arity(database, "num_params", count)
    try:
        _connect(database)
        if aggregate_class is None:
            failure = functions.remove(database, encoded, count, SQLITE_UTF8)
        else:
            failure = functions.create_aggregate(
                database, encoded, count, SQLITE_UTF8, aggregate_class, _MESSAGES, window=True
            )
        if failure is not None:
            # As the stdlib: the code's own words, not the connection's.
            raise ProgrammingError(database.error_string(failure.code))
    except BridgeError as error:
        raise_unusable(error)


def create_collation(database: Database, name: Any, callback: Any) -> None:
    """``Connection.create_collation``."""
    encoded = c_string("create_collation", "1", name)
    if callback is not None and not callable(callback):
        raise TypeError("parameter must be callable")
    _raise(_register(database, hooks.create_collation, encoded, callback))


def set_authorizer(database: Database, callback: Any) -> None:
    """``Connection.set_authorizer``."""
    _raise(_register(database, hooks.set_authorizer, callback))


def set_progress_handler(database: Database, handler: Any, n: Any) -> None:
    """``Connection.set_progress_handler``."""
    steps = c_int(n)
    _raise(_register(database, hooks.set_progress, handler, steps))


def set_trace_callback(database: Database, callback: Any) -> None:
    """``Connection.set_trace_callback``."""
    _raise(_register(database, hooks.set_trace, callback, _too_long))


def _too_long() -> Exception:
    return DataError("Expanded SQL string exceeds the maximum string length")


def _register(database: Database, register: Callable[..., Failure | None], *arguments: Any) -> Failure | None:
    """Register something; what went wrong, in SQLite's words."""
    try:
        _connect(database)
        return register(database, *arguments)
    except BridgeError as error:
        raise_unusable(error)


def _connect(database: Database) -> None:
    """Give the sandbox what its callbacks need of this layer."""
    with database.lock:
        callbacks = database.callbacks()
        callbacks.ignored = tracebacks.report
        callbacks.values.unsupported = ProgrammingError


def _named(function: str, name: Any) -> bytes:
    return c_string(function, "1" if CALLBACK_KEYWORDS == "refuse" else "'name'", name)


def _check_arity(database: Database, parameter: str, count: int) -> None:
    if CHECK_FUNCTION_ARITY:
        try:
            limit = database.limit(SQLITE_LIMIT_FUNCTION_ARG)
        except BridgeError as error:
            raise_unusable(error)
        if not -1 <= count <= limit:
            raise ProgrammingError(f"'{parameter}' must be between -1 and {limit}, not {count}")


def _raise(failure: Failure | None) -> None:
    if failure is not None:
        raise from_failure(failure)
