"""``install``: from here on, ``import sqlite3`` means wasqlite in this process, for every library that says so."""

from __future__ import annotations

import gc
import sys
from types import ModuleType, TracebackType
from typing import Any, Self

import wasqlite
import wasqlite.dbapi2
import wasqlite.dump

_ALIASES: dict[str, ModuleType] = {
    "sqlite3": wasqlite,
    "sqlite3.dbapi2": wasqlite.dbapi2,
    "sqlite3.dump": wasqlite.dump,
    "_sqlite3": wasqlite,
}
_kept: dict[str, ModuleType | None] | None = None
"""While installed: the modules that had the names before, None where there was none."""


class Installed:
    """What ``install`` returns. As a context manager, it undoes the installation at the end of the block."""

    __slots__ = ("_is_first",)

    def __init__(self, is_first: bool) -> None:
        self._is_first = is_first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._is_first:
            uninstall()


def install() -> Installed:
    """Put wasqlite in the place of the standard library's ``sqlite3``: ``import sqlite3`` finds it from here on.

    Call it first. A module that has imported ``sqlite3`` before keeps what it has, and so mixes the two; for the same
    reason a RuntimeError is raised if the other one has open connections. ``uninstall`` undoes it, or the end of a
    ``with wasqlite.install():``. When it is installed already, nothing happens, and the inner ``with`` undoes nothing.
    """
    global _kept
    if _kept is not None:
        return Installed(False)
    _refuse_if_in_use()
    # Other submodules of the one package must not be found in the other.
    names = {*_ALIASES, *(name for name in sys.modules if name.startswith("sqlite3."))}
    _kept = {name: sys.modules.pop(name, None) for name in names}
    sys.modules.update(_ALIASES)
    return Installed(True)


def uninstall() -> None:
    """Undo ``install``. Who has imported ``sqlite3`` meanwhile keeps wasqlite."""
    global _kept
    if _kept is None:
        return
    for name, module in _kept.items():
        if name in _ALIASES and sys.modules.get(name) is not _ALIASES[name]:
            continue  # somebody else has put something there
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module
    _kept = None


def _refuse_if_in_use() -> None:
    native = sys.modules.get("_sqlite3")
    if native is None:
        return
    if _open_connections(native):
        gc.collect()  # some may only be waiting for that
    found = _open_connections(native)
    if found:
        raise RuntimeError(
            f"wasqlite cannot take the place of sqlite3: {len(found)} connection(s) of the standard library's module "
            f"are open in this process ({', '.join(map(repr, found[:3]))}). Close them, or call wasqlite.install() "
            "before anything connects."
        )


def _open_connections(native: Any) -> list[Any]:
    return [
        found for found in gc.get_objects() if issubclass(type(found), native.Connection) and _is_open(found, native)
    ]


def _is_open(connection: Any, native: Any) -> bool:
    try:
        native.Connection.total_changes.__get__(connection)
    except native.ProgrammingError:
        return False
    return True
