"""The SQLite module as a bridge library: located, compiled and checked once per process."""

from __future__ import annotations

import os
import threading
import weakref

from wasqlite.bridge import Instance, Library

ABI = 7
# Without pathlib, whose import would be a tenth of a warm start.
PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "_wasm", "sqlite.wasm")  # noqa: PTH118,PTH120

_lock = threading.Lock()
_library: Library | None = None


def _after_fork_in_child() -> None:
    # A thread that held the lock does not exist in the child.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Fixed:
    """What is the same for all new connections in instances of one library, 0 while nobody has asked the guest."""

    __slots__ = ("sql_length", "status_at")

    def __init__(self) -> None:
        self.status_at = 0
        """The address of the status block."""
        self.sql_length = 0
        """The limit SQLITE_LIMIT_SQL_LENGTH that a connection begins with."""


_fixed: weakref.WeakKeyDictionary[Library, Fixed] = weakref.WeakKeyDictionary()


def fixed(instance: Instance) -> Fixed:
    """That of this instance's library."""
    found = _fixed.get(instance.library)
    return found if found is not None else _fixed.setdefault(instance.library, Fixed())


def library() -> Library:
    """The compiled module; the first call loads it (from the cache, or by compiling), in whatever thread that is."""
    global _library
    if _library is None:
        with _lock:
            if _library is None:
                _library = Library.load(PATH, abi=("wsq_abi", ABI), interruptible=False)
    return _library
