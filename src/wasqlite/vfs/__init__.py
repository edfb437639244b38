"""The host's side of SQLite's files: WASI, and the ``wasqlite`` imports for what WASI lacks."""

from __future__ import annotations

from wasqlite.vfs.host import HostFiles
from wasqlite.vfs.locks import LocksUnsupported

__all__ = ["HostFiles", "LocksUnsupported"]
