"""Steps of workloads that are not SQL: blobs and backups, the same with both modules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

Step = Callable[[Any, Any, Path], None]
"""Called with the module, the connection, and the folder of the files."""

PATIENCE = 5


def write_blob(module: Any, con: Any, folder: Path) -> None:
    """Overwrite a part of a value, which is committed when the blob is closed."""
    with con.blobopen("t", "b", 30) as blob:
        blob.seek(100)
        blob.write(b"in place " * 10)
        blob[0:50:2] = b"z" * 25


def restore(module: Any, con: Any, folder: Path) -> None:
    """Copy y.db over the connection's x.db."""
    with closing(module.connect(folder / "y.db", isolation_level=None, timeout=0)) as other:
        copy(module, other, con)


def copy(module: Any, source: Any, target: Any) -> None:
    """A backup in steps that gives up when a lock is held for long."""
    waits = []

    def progress(status: int, remaining: int, total: int) -> None:
        if status not in (0, 101):
            waits.append(status)
        if len(waits) > PATIENCE:
            raise module.OperationalError("gave up")

    source.backup(target, pages=10, progress=progress, sleep=0)
