"""The arguments of ``connect()``: names, defaults, conversions, and who may pass them by position."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import wraps

from wasqlite import transactions
from wasqlite._compat import CALLBACK_KEYWORDS, POSITIONAL_CONNECT, warn_deprecated
from wasqlite.bridge.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _Method = TypeVar("_Method", bound=Callable[..., Any])

_NAMES = (
    "database",
    "timeout",
    "detect_types",
    "isolation_level",
    "check_same_thread",
    "factory",
    "cached_statements",
    "uri",
)


class Arguments(Record):
    """The arguments after conversion."""

    database: Any
    timeout: float
    detect_types: int
    isolation_level: str | None
    check_same_thread: bool
    cached_statements: int
    uri: bool
    autocommit: bool | int


def sqlite_integer(value: Any) -> int:
    """An int of 64 bits."""
    if not isinstance(value, int):
        raise TypeError("expected 'int'")
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError("Python int too large to convert to SQLite INTEGER")
    return int(value)


def buffer(value: Any) -> bytes | memoryview:
    """The bytes of an object with a buffer, not copied: for immediate use."""
    if isinstance(value, bytes):
        return value
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not '{type(value).__name__}'") from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else b""


def positional(function: str, count: int) -> None:
    """Warn of, or refuse, more than one positional argument, as the running Python does."""
    if count <= 1 or POSITIONAL_CONNECT == "accept":
        return
    if POSITIONAL_CONNECT == "refuse":
        raise TypeError(f"{function}() takes at most 1 positional argument ({count} given)")
    warn_deprecated(
        f"Passing more than 1 positional argument to {function}() is deprecated. Parameters 'timeout', 'detect_types', "
        "'isolation_level', 'check_same_thread', 'factory', 'cached_statements' and 'uri' will become keyword-only "
        "parameters in Python 3.15."
    )


def parse(args: tuple[Any, ...], keywords: dict[str, Any]) -> Arguments:
    """Convert the arguments of ``Connection``."""
    if len(args) > len(_NAMES):
        raise TypeError(f"Connection() takes at most {len(_NAMES)} positional arguments ({len(args)} given)")
    given = dict(zip(_NAMES, args, strict=False))
    for position, name in enumerate(given, 1):
        if name in keywords:
            raise TypeError(f"argument for Connection() given by name ('{name}') and position ({position})")
    for name in keywords:
        if name not in _NAMES and name != "autocommit":
            raise TypeError(f"Connection() got an unexpected keyword argument '{name}'")
    given.update(keywords)
    if "database" not in given:
        raise TypeError("Connection() missing required argument 'database' (pos 1)")
    return Arguments(
        given["database"],
        # Any real number, with the interpreter's own message for everything else.
        math.ldexp(given.get("timeout", 5.0), 0),
        c_int(given.get("detect_types", 0)),
        transactions.isolation_level(given.get("isolation_level", "")),
        bool(given.get("check_same_thread", True)),
        c_int(given.get("cached_statements", 128)),
        bool(given.get("uri", False)),
        transactions.autocommit(given.get("autocommit", transactions.LEGACY_TRANSACTION_CONTROL)),
    )


def positional_only(*names: str) -> Callable[[_Method], _Method]:
    """For a method of ``Connection``: warn of, or refuse, these parameters by name, as the running Python does."""

    def decorate(method: _Method) -> _Method:
        if CALLBACK_KEYWORDS == "accept":
            return method
        function = method.__name__

        @wraps(method)
        def checked(*args: Any, **keywords: Any) -> Any:
            if not keywords.keys().isdisjoint(names):
                if CALLBACK_KEYWORDS == "refuse":
                    given = ", ".join(name for name in names if name in keywords)
                    raise TypeError(
                        f"{function}() got some positional-only arguments passed as keyword arguments: '{given}'"
                    )
                _warn_keywords(function, names)
            return method(*args, **keywords)

        return checked  # type: ignore[return-value]

    return decorate


def _warn_keywords(function: str, names: tuple[str, ...]) -> None:
    quoted = [f"'{name}'" for name in names]
    listed = " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))
    plural = "s" * (len(names) > 1)
    warn_deprecated(
        f"Passing keyword argument{plural} {listed} to _sqlite3.Connection.{function}() is deprecated. "
        f"Parameter{plural} {listed} will become positional-only in Python 3.15."
    )


def c_string(function: str, parameter: str, value: Any) -> bytes:
    """A string argument for C, with the interpreter's own messages for what is none."""
    if not isinstance(value, str):
        kind = "None" if value is None else type(value).__name__
        raise TypeError(f"{function}() argument {parameter} must be str, not {kind}")
    encoded = value.encode()
    if "\0" in value:
        raise ValueError("embedded null character")
    return encoded


def c_int(value: Any) -> int:
    """An int argument for C, with the interpreter's own messages for what is none."""
    number = operator.index(value)
    if not -0x8000_0000 <= number <= 0x7FFF_FFFF:
        raise OverflowError("Python int too large to convert to C int")
    return number
