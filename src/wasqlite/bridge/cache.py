"""The cache of compiled modules: native code on disk, so it is loaded only if nobody else can have written it.

One file per module, ``<key>-<sha256 of the content>.cwasm``: the key names the wasm, the runtime, and its settings; the
second half proves the content. Files appear by an atomic rename, so racing processes cannot harm
each other. Whatever is wrong with the cache means compiling in memory, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

SUFFIX = ".cwasm"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def directory() -> Path | None:
    """Where compiled modules are kept: ``WASQLITE_CACHE_DIR``, or the user's cache folder; None if there is neither."""
    named = os.environ.get("WASQLITE_CACHE_DIR")
    if named:
        return Path(named) / "compiled"
    from platformdirs import user_cache_path  # some milliseconds, saved when the variable is set

    try:
        return Path(user_cache_path("wasqlite", appauthor=False)) / "compiled"
    except (OSError, RuntimeError):
        return None


def _only_ours(status: os.stat_result) -> bool:
    # Windows has neither owner ids nor these mode bits; there the user's own cache folder is trusted as it is.
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


def find(folder: Path, key: str) -> Path | None:
    """The verified artifact for ``key``, or None."""
    try:
        if not _only_ours(folder.lstat()) or not folder.is_dir():
            return None
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(key) and entry.name.endswith(SUFFIX)]
    except OSError:
        return None
    for name in names:
        path = folder / name
        if _verified(path, name[len(key) + 1 : -len(SUFFIX)]):
            return path
        with contextlib.suppress(OSError):
            path.unlink()  # damaged or foreign: the next store() puts a good one in its place
    return None


def _verified(path: Path, digest: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not _only_ours(status):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def store(folder: Path, key: str, artifact: bytes) -> Path | None:
    """Keep an artifact: its path, or None if it cannot be kept."""
    temporary: Path | None = None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _only_ours(folder.lstat()):
            return None
        path = folder / f"{key}-{hashlib.sha256(artifact).hexdigest()}{SUFFIX}"
        temporary = folder / f".new-{os.getpid()}-{os.urandom(8).hex()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(artifact)
        temporary.replace(path)
        return path
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return None
