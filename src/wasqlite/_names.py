"""Names of the module that come and go with the Python version."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from wasqlite._compat import warn_deprecated

VERSION = "2.6.0"
"""What the stdlib's module called its own version, which means nothing any more."""


def enable_shared_cache(enable: int) -> None:
    """Warns, and does nothing: every database file has a sandbox and a cache of its own.

    Connections that are opened with the URI of shared memory (``cache=shared``) share it either way.
    """
    warn_deprecated(
        "enable_shared_cache is deprecated and will be removed in Python 3.12. Open the database in URI mode with the "
        "cache=shared query parameter."
    )
    operator.index(enable)


_version: dict[str, Any] = {"version": VERSION, "version_info": tuple(map(int, VERSION.split(".")))}

NAMES: dict[str, Any] = {}
"""What the module has besides."""

_WARNED: dict[str, tuple[Any, str]] = {}
"""What it still has, with the warning that comes with it."""

if sys.version_info < (3, 12):
    NAMES = {**_version, "enable_shared_cache": enable_shared_cache}
    _WARNED = {"OptimizedUnicode": (str, "OptimizedUnicode is deprecated: it is an alias for 'str'.")}
elif sys.version_info < (3, 14):
    _WARNED = {
        name: (value, f"{name} is deprecated and will be removed in Python 3.14") for name, value in _version.items()
    }


def getter(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that has these names."""

    def get(name: str) -> Any:
        if module == "wasqlite":
            # Not everybody's, and so imported when asked for.
            if name == "dbapi2":
                return import_module("wasqlite.dbapi2")
            if name in ("install", "uninstall"):
                return getattr(import_module("wasqlite.drop_in"), name)
        if name in _WARNED:
            value, warning = _WARNED[name]
            warn_deprecated(warning)
            return value
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return get
