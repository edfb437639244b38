"""Adapters: how Python objects that SQLite has no storage class for become values that it has one for."""

from __future__ import annotations

import array
import datetime
from collections.abc import Callable, Sequence

from wasqlite._compat import DEFAULT_ADAPTERS_WARN, warn_deprecated
from wasqlite.capi.parameters import normalise
from wasqlite.exceptions import ProgrammingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Adapter = Callable[[Any], Any]

_MISSING: Any = object()


class _Immutable(type):
    """A class whose attributes cannot be set, as those of the interpreter's own classes."""

    def __setattr__(cls, name: str, value: Any) -> NoReturn:
        raise TypeError(f"cannot set {name!r} attribute of immutable type 'sqlite3.{cls.__name__}'")


class PrepareProtocol(metaclass=_Immutable):
    """PEP 246 style object adaption protocol type."""

    __module__ = "wasqlite"
    __slots__ = ()

    def __init__(self, *args: Any, **keywords: Any) -> None:
        pass


adapters: dict[tuple[Any, Any], Adapter] = {}
"""By type and protocol. Programs change it directly."""


class _Registered:
    """What was registered for types whose values otherwise go to SQLite without a look at ``adapters``."""

    __slots__ = ("base", "every")

    def __init__(self) -> None:
        self.base = False
        """There was an adapter for int, float, str or bytearray; without one these four are not looked up."""
        self.every = False
        """There was one for those, or for bytes or None: the fast ways, which look nothing up, are closed."""


registered = _Registered()
_BASE = (int, float, str, bytearray)


def register_adapter(type: Any, adapter: Adapter, /) -> None:
    """Register a function to adapt Python objects to SQLite values."""
    adapters[type, PrepareProtocol] = adapter
    if type in _BASE:
        registered.base = registered.every = True
    elif type in (bytes, _NONE):
        registered.every = True


_NONE = type(None)


def adapt(obj: Any, proto: Any = PrepareProtocol, alt: Any = _MISSING, /) -> Any:
    """Adapt given object to given protocol."""
    adapter = adapters.get((type(obj), proto), _MISSING)
    if adapter is not _MISSING:
        return adapter(obj)
    # Nobody can give PrepareProtocol an __adapt__.
    if proto is not PrepareProtocol and (adapted := _ask(proto, "__adapt__", obj)) is not None:
        return adapted
    if (adapted := _ask(obj, "__conform__", proto)) is not None:
        return adapted
    if alt is _MISSING:
        raise ProgrammingError("can't adapt")
    return alt


def _ask(asked: Any, name: str, argument: Any) -> Any:
    method = getattr(asked, name, None)
    if method is None:
        return None
    try:
        return method(argument)
    except TypeError:  # it does not know how
        return None


def adapted(value: Any, position: int) -> Any:
    """``value`` as one of the exact types int, float, str, bytes, None. ``position`` is for error messages."""
    kind = type(value)
    if kind not in _BASE or registered.base:
        value = adapt(value, PrepareProtocol, value)
    return normalise(value, position)


def adapted_row(row: Sequence[Any]) -> list[Any]:
    """``adapted`` for the values of one row."""
    if type(row) is tuple and not registered.every:
        return [value if type(value) in _PLAIN else adapted(value, position) for position, value in enumerate(row)]
    # By number: an adapter may change the row, and what is then missing is an IndexError.
    return [adapted(row[position], position) for position in range(len(row))]


class Loud(Exception):
    """A column has values whose adapting may run code of the user's, who may mind in which order it runs."""


def adapted_column(column: tuple[Any, ...], kinds: set[type], position: int) -> tuple[Any, ...]:
    """A column of an ``executemany`` at once, where nobody can tell that from going row by row, else ``Loud``."""
    known = {}
    for kind in kinds - _PLAIN:
        adapter = adapters.get((kind, PrepareProtocol))
        if adapter is not None:
            if adapter not in _QUIET_ADAPTERS:
                raise Loud
            known[kind] = adapter
        elif kind not in _QUIET_TYPES:
            raise Loud
    if known:
        get = known.get
        column = tuple(v if (adapter := get(type(v))) is None else adapter(v) for v in column)
    return tuple(normalise(value, position) for value in column)


_PLAIN = {int, float, str, bytes, _NONE}
# Neither has a __conform__, nor can one be given to it.
_QUIET_TYPES = {bool, bytearray, memoryview, array.array}


def _adapt_date(value: datetime.date) -> str:
    if DEFAULT_ADAPTERS_WARN:
        warn_default("date adapter")
    return value.isoformat()


def _adapt_datetime(value: datetime.datetime) -> str:
    if DEFAULT_ADAPTERS_WARN:
        warn_default("datetime adapter")
    return value.isoformat(" ")


def warn_default(what: str) -> None:
    """Warn that an adapter or converter which is there from the start is used."""
    warn_deprecated(
        f"The default {what} is deprecated as of Python 3.12; "
        "see the sqlite3 documentation for suggested replacement recipes"
    )


_QUIET_ADAPTERS = {_adapt_date, _adapt_datetime}
register_adapter(datetime.date, _adapt_date)
register_adapter(datetime.datetime, _adapt_datetime)
