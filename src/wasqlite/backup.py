"""``Connection.backup()``: from here to another connection, while both stay usable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from wasqlite.bridge import BridgeError
from wasqlite.capi.backup import Backup
from wasqlite.capi.constants import SQLITE_BUSY, SQLITE_LOCKED, SQLITE_OK
from wasqlite.exceptions import from_failure, raise_unusable

if TYPE_CHECKING:
    from wasqlite.capi.database import Database

Progress = Callable[[int, int, int], object]

_INT_MAX = 0x7FFF_FFFF


def copy(source: Database, name: bytes, target: Database, pages: int, progress: Progress | None, sleep: float) -> None:
    """Copy the database ``name`` of one connection over another's main one."""
    try:
        backup, failure = Backup.open(target, b"main", source, name)
    except BridgeError as error:
        raise_unusable(error)
    if backup is None:
        assert failure is not None
        raise from_failure(failure)
    try:
        while True:
            rc = backup.step(pages if pages else -1)
            if progress is not None:
                progress(rc, backup.remaining, backup.total)
            if rc in (SQLITE_BUSY, SQLITE_LOCKED):
                time.sleep(sleep)
            elif rc != SQLITE_OK:
                break
    except BridgeError as error:
        raise_unusable(error)
    finally:
        _finish(backup)
    if backup.failure is not None:
        raise from_failure(backup.failure)


def _finish(backup: Backup) -> None:
    with suppress(BridgeError):  # what was to be given back is gone with its sandbox
        backup.finish()


def seconds(sleep: float) -> float:
    """Whole milliseconds, none if they do not fit C's int."""
    milliseconds = math.ldexp(sleep, 0) * 1000  # TypeError in the interpreter's words for what is no real number
    return int(milliseconds) / 1000 if 0 < milliseconds <= _INT_MAX else 0
