"""Read files out of archives that others made; nothing is written, so no member's name can escape."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from wasqlite.bridge.builder.report import BuildError

# What claims more than this is no C source, and is not read into memory.
MAXIMUM_SIZE = 32 << 20


def read_archive(path: Path, wanted: Callable[[str], bool], maximum: int = MAXIMUM_SIZE) -> dict[str, bytes]:
    """The wanted regular files of a tar or zip archive, by their names in it."""
    try:
        return {name: data for name, data in _members(path, wanted, maximum) if _is_safe(name)}
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise BuildError(f"{path.name} cannot be read ({error}): try again") from None


def _members(path: Path, wanted: Callable[[str], bool], maximum: int) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as start:
        is_zip = start.read(4) == b"PK\3\4"
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and wanted(entry.filename):
                    _check_size(entry.filename, entry.file_size, maximum)
                    yield entry.filename, archive.read(entry)
        return
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isreg() and wanted(member.name):
                _check_size(member.name, member.size, maximum)
                file = tar.extractfile(member)
                assert file is not None
                yield member.name, file.read()


def _check_size(name: str, size: int, maximum: int) -> None:
    if size > maximum:
        raise BuildError(f"{name} claims {size} bytes: refused")


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return not name.startswith("/") and ".." not in parts and "\\" not in name and ":" not in parts[0]
