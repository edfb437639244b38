"""The arguments of ``connect()``: names, defaults, conversions, and who may pass them by position."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

from wasqlite import transactions
from wasqlite._compat import POSITIONAL_CONNECT, warn_deprecated

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


class Arguments(NamedTuple):
    """The arguments after conversion."""

    database: Any
    timeout: float
    detect_types: int
    isolation_level: str | None
    check_same_thread: bool
    cached_statements: int
    uri: bool
    autocommit: bool | int


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
        _c_int(given.get("detect_types", 0)),
        transactions.isolation_level(given.get("isolation_level", "")),
        bool(given.get("check_same_thread", True)),
        _c_int(given.get("cached_statements", 128)),
        bool(given.get("uri", False)),
        transactions.autocommit(given.get("autocommit", transactions.LEGACY_TRANSACTION_CONTROL)),
    )


def _c_int(value: Any) -> int:
    number = operator.index(value)
    if not -0x8000_0000 <= number <= 0x7FFF_FFFF:
        raise OverflowError("Python int too large to convert to C int")
    return number
