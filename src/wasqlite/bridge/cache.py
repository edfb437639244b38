"""The cache of compiled modules: native code on disk, so it is loaded only if nobody else can have written it.

One file per module, ``<key>-<sha256 of the content>.cwasm``: the key names the wasm, the runtime, and its settings; the
second half proves the content. Files appear by an atomic rename, so racing processes cannot harm
each other. Whatever is wrong with the cache means compiling in memory, never an error. What was not used for longest
is removed when something is stored.
"""

# Without pathlib and contextlib, whose imports would be a tenth of a warm start.
# ruff: noqa: PTH103, PTH105, PTH108, PTH111, PTH117, PTH118, PTH208, SIM105

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator

SUFFIX = ".cwasm"
MOST_FILES, MOST_BYTES = 500, 1 << 28
"""What the cache keeps at most; a SQLite is 4.6 MB, and each version of SQLite, wasmtime or Python's folder has one."""

_NEW = ".new-"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def directory() -> str | None:
    """Where compiled modules are kept: ``WASQLITE_CACHE_DIR``, or the user's cache folder; None if there is neither."""
    named = os.environ.get("WASQLITE_CACHE_DIR")
    if named:
        return os.path.join(named, "compiled")
    user = _user_cache()
    return os.path.join(user, "compiled") if user is not None else None


def _user_cache() -> str | None:
    # platformdirs' answer, without its import, which would be a fifth of a warm start. On Android it looks further.
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ:
        named = os.environ.get("XDG_CACHE_HOME", "")
        if os.path.isabs(named):
            return os.path.join(named, "wasqlite")
        if os.path.isabs(os.environ.get("HOME", "")):
            return os.path.expanduser("~/.cache/wasqlite")
    from platformdirs import user_cache_dir

    try:
        return user_cache_dir("wasqlite", appauthor=False)
    except (OSError, RuntimeError):
        return None


def _only_ours(status: os.stat_result) -> bool:
    # Windows has neither owner ids nor these mode bits; there the user's own cache folder is trusted as it is.
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def find(folder: str, key: str) -> Iterator[str]:
    """The verified artifacts for ``key``. There are several where machines with other processors share the folder."""
    try:
        status = os.lstat(folder)
        if not _only_ours(status) or not stat.S_ISDIR(status.st_mode):
            return
        names = [name for name in os.listdir(folder) if name.startswith(key) and name.endswith(SUFFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        if _verified(path, name[len(key) + 1 : -len(SUFFIX)]):
            yield path
        else:
            _remove(path)  # damaged or foreign: the next store() puts a good one in its place


def _verified(path: str, digest: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not _only_ours(status):
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def store(folder: str, key: str, artifact: bytes) -> str | None:
    """Keep an artifact: its path, or None if it cannot be kept."""
    temporary: str | None = None
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _only_ours(os.lstat(folder)):
            return None
        path = os.path.join(folder, f"{key}-{hashlib.sha256(artifact).hexdigest()}{SUFFIX}")
        temporary = os.path.join(folder, f"{_NEW}{os.getpid()}-{os.urandom(8).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(artifact)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            _remove(temporary)
        return None
    _prune(folder, path)
    return path


def _prune(folder: str, stored: str) -> None:
    """Remove what was not used for longest, as far as the file system tells, until all is within bounds."""
    try:
        with os.scandir(folder) as entries:
            # Also what somebody began to write, and was killed.
            ours = [entry for entry in entries if entry.name.endswith(SUFFIX) or entry.name.startswith(_NEW)]
            found = {entry.path: entry.stat(follow_symlinks=False) for entry in ours}
    except OSError:
        return
    used = {path: max(status.st_atime, status.st_mtime) for path, status in found.items()}
    size = 0
    for count, path in enumerate(sorted(found, key=lambda path: (path != stored, -used[path])), 1):
        size += found[path].st_size
        if count > MOST_FILES or size > MOST_BYTES:
            _remove(path)  # whoever is about to load it compiles it anew
