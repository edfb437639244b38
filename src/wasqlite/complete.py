"""``complete_statement``: whether a text ends where a statement does."""

from __future__ import annotations

from wasqlite.bridge import BridgeError
from wasqlite.capi.library import library
from wasqlite.capi.sandbox import Sandbox
from wasqlite.exceptions import raise_unusable
from wasqlite.rows import type_name
from wasqlite.vfs.host import HostFiles

_sandbox: Sandbox | None = None


def complete_statement(statement: str) -> bool:
    """Checks if a string contains a complete SQL statement.

    https://sqlite.org/c3ref/complete.html
    """
    if not isinstance(statement, str):
        raise TypeError(f"complete_statement() argument 'statement' must be str, not {type_name(statement)}")
    text = statement.encode()
    if b"\0" in text:
        raise ValueError("embedded null character")
    try:
        sandbox = _instance()
        with sandbox.lock:
            return bool(sandbox.instance.function("sqlite3_complete", hold_gil=True)(sandbox.put(text + b"\0")))
    except BridgeError as error:
        raise_unusable(error)


def _instance() -> Sandbox:
    """A guest without a database: SQLite needs none for this. It is kept, since a shell asks again for every line."""
    global _sandbox
    if _sandbox is None or _sandbox.instance.dead is not None:
        _sandbox = Sandbox(HostFiles(), library())
    return _sandbox
