"""The build's cache directory, and files that appear in it all at once or not at all."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from pathlib import Path

from wasqlite.bridge.builder.report import BuildError, say


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@functools.cache
def cache_directory() -> Path:
    """Return a writable directory: `WASQLITE_CACHE_DIR`, the user's cache, or else a temporary one."""
    override = os.environ.get("WASQLITE_CACHE_DIR")
    if override:
        base = Path(override).absolute()
    else:
        # Imported late: with the variable set, a plain `python build/x.py` needs no third-party package.
        try:
            import platformdirs
        except ImportError:
            raise BuildError("run `pip install platformdirs`, or set WASQLITE_CACHE_DIR to a directory") from None
        base = Path(platformdirs.user_cache_dir("wasqlite", appauthor=False))
    directory = base / "build"
    try:
        # Only for the owner: objects from here end up in what the user runs.
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        directory = Path(tempfile.mkdtemp(prefix="wasqlite-build-"))
        say(f"the cache {base} cannot be written ({error.strerror}): nothing will be reused")
    return directory


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
