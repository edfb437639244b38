"""What the stdlib's module has had, and has no longer in newer Pythons: served as the running one serves it."""

from __future__ import annotations

import operator
from typing import Any

from wasqlite._compat import MODULE_VERSION, SHARED_CACHE_SWITCH, TEXT_FACTORY_ALIAS, warn_deprecated

# The version of the module that once was apart from Python, pysqlite.
_VERSIONS = {"version": "2.6.0", "version_info": (2, 6, 0)}


def attribute(name: str) -> Any:
    """The module's attribute of that name, or AttributeError."""
    if name in _VERSIONS and MODULE_VERSION != "absent":
        if MODULE_VERSION == "warn":
            warn_deprecated(f"{name} is deprecated and will be removed in Python 3.14")
        return _VERSIONS[name]
    if name == "enable_shared_cache" and SHARED_CACHE_SWITCH:
        return enable_shared_cache
    if name == "OptimizedUnicode" and TEXT_FACTORY_ALIAS:
        warn_deprecated("OptimizedUnicode is deprecated and will be removed in Python 3.12. It is the same as str.")
        return str
    raise AttributeError(f"module 'wasqlite' has no attribute '{name}'")


def enable_shared_cache(enable: int) -> None:
    """Does nothing: connections to one file have a cache each; shared memory is asked for with a URI."""
    warn_deprecated(
        "enable_shared_cache is deprecated and will be removed in Python 3.12. If a cache must be shared, open the "
        "database with uri=True and the query parameter cache=shared."
    )
    operator.index(enable)
