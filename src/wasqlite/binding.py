"""Turns what callers pass as parameters into values for SQLite, with the driver's error messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType

from wasqlite._compat import NAMED_WITH_SEQUENCE, NUMBERED_IS_NAMED, warn_deprecated
from wasqlite.adapting import adapted, registered
from wasqlite.capi.parameters import UnsupportedType, pack
from wasqlite.exceptions import ProgrammingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.statement_cache import Query


def packed(query: Query, parameters: Any) -> bytes:
    """The packed form of one set of parameters."""
    try:
        if type(parameters) is tuple and len(parameters) == query.parameters and not query.has_names:
            if not parameters:
                return b""
            return pack(parameters if not registered.every else _all_adapted(parameters), adapted)
        return pack_values(values(query, parameters))
    except UnsupportedType as error:
        raise unsupported(error) from None


def pack_values(found: Sequence[Any]) -> bytes:
    """The packed form of values, adapted before."""
    return pack(found if not registered.every else _all_adapted(found), adapted)


def _all_adapted(found: Sequence[Any]) -> Iterator[Any]:
    # By number: an adapter may change the list, and what is then missing is an IndexError.
    return (adapted(found[position], position) for position in range(len(found)))


def unsupported(error: UnsupportedType) -> ProgrammingError:
    """The exception for a value that cannot be bound."""
    position, name = error.args
    return ProgrammingError(f"Error binding parameter {position + 1}: type '{name}' is not supported")


def values(query: Query, parameters: Any) -> Sequence[Any]:
    """The values of one set of parameters, in the statement's order, exactly as many as it needs."""
    kind = type(parameters)
    needed = query.parameters
    if kind is not tuple and kind is not list:
        if isinstance(parameters, dict):
            return _by_name(query, parameters)
        # A mapping proxy has __getitem__, but is no sequence for C code.
        if not hasattr(kind, "__getitem__") or kind is MappingProxyType:
            raise ProgrammingError("parameters are of unsupported type")
    supplied = len(parameters)
    if supplied != needed:
        raise ProgrammingError(
            "Incorrect number of bindings supplied. "
            f"The current statement uses {needed}, and there are {supplied} supplied."
        )
    if query.has_names and NAMED_WITH_SEQUENCE != "accept":
        _check_nameless(query)
    if kind is not tuple and kind is not list:
        return [parameters[i] for i in range(needed)]
    return parameters  # type: ignore[no-any-return]


def _by_name(query: Query, parameters: dict[str, Any]) -> list[Any]:
    found = []
    for position, name in enumerate(query.parameter_names(), 1):
        if name is None:
            raise ProgrammingError(
                f"Binding {position} has no name, but you supplied a dictionary (which has only names)."
            )
        try:
            found.append(parameters[name[1:]])
        except LookupError:
            pack_values(found)  # an error of what comes before has precedence
            raise ProgrammingError(f"You did not supply a value for binding parameter :{name[1:]}.") from None
    return found


def _check_nameless(query: Query) -> None:
    for position, name in enumerate(query.parameter_names(), 1):
        if name is None or (name.startswith("?") and not NUMBERED_IS_NAMED):
            continue
        message = (
            f"Binding {position} ('{name}') is a named parameter, but you supplied a sequence which requires "
            "nameless (qmark) placeholders."
        )
        if NAMED_WITH_SEQUENCE == "refuse":
            raise ProgrammingError(message)
        warn_deprecated(message + " Starting with Python 3.14 an sqlite3.ProgrammingError will be raised.")
