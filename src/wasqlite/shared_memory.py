"""The process's one sandbox for databases in memory that several connections share."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence

from wasqlite import sqltext
from wasqlite.bridge import InstanceClosed
from wasqlite.capi.library import library
from wasqlite.capi.sandbox import Sandbox
from wasqlite.exceptions import InternalError, NotSupportedError
from wasqlite.uri import names_shared_memory
from wasqlite.vfs.host import HostFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_TIMEOUT = 1_000_000
"""Milliseconds. SQLite goes through its whole busy timeout, without sleeping, at each attempt: see ``capi.turns``."""

# Weak: its connections own it. An RLock, because a collected object's __del__ may connect while we hold it.
_lock = threading.RLock()
_current: weakref.ref[Sandbox] | None = None


def _after_fork_in_child() -> None:
    # What is shared in the parent is out of reach here; the child's own begins empty.
    global _lock, _current
    _lock = threading.RLock()
    _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def sandbox() -> Sandbox:
    """The sandbox to open a shared name in. Between this and the opening its last connection may close it."""
    global _current
    with _lock:
        found = _living()
        if found is None:
            made = Sandbox(HostFiles(), library(), shared=True)
            found = _living()  # a signal handler may have been here meanwhile
            if found is None:
                found = made
                _current = weakref.ref(found)
        return found


def _living() -> Sandbox | None:
    found = _current() if _current is not None else None
    if found is None or found.instance.dead is None:
        return found
    if isinstance(found.instance.dead, InstanceClosed) or not found.in_use():
        return None
    raise InternalError(
        "The sandbox of this process's shared databases in memory stopped, and they are lost. Close all connections "
        f"to them, then they can be opened again, empty: {found.instance.dead}"
    )


def refuse_attach(sql: str, parameters: Any = ()) -> None:
    """Raise if ATTACH statements of a connection with a sandbox of its own name shared memory.

    SQLite would attach a database that nobody else sees. What an expression makes up is not noticed.
    """
    given: Iterable[Any] = ()
    if isinstance(parameters, Mapping):
        given = parameters.values()
    elif isinstance(parameters, Sequence):
        given = parameters
    for name in (*sqltext.string_literals(sql), *(value for value in given if isinstance(value, str))):
        if names_shared_memory(os.fsencode(name)):
            raise NotSupportedError(
                f"A shared database in memory ({name!r}) can be attached only to a connection that was itself opened "
                "with the URI of one, such as 'file:name?mode=memory&cache=shared': connect to that, and attach there."
            )
