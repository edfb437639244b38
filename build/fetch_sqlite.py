"""Fetch the SQLite amalgamation, and refuse anything but the bytes that were reviewed.

SQLite is not in the repository. Its official amalgamation travels in an npm package;
`WASQLITE_SQLITE_DIR` names a directory that holds the same two files instead.
Run as a script, it prints the directory that holds them.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import source_tree  # noqa: F401 - makes wasqlite importable
from wasqlite.bridge.builder.archives import read_archive
from wasqlite.bridge.builder.cache import cache_directory, sha256, write_atomically
from wasqlite.bridge.builder.downloads import npm_pack
from wasqlite.bridge.builder.report import BuildError, run_command, step

SQLITE_VERSION = "3.54.1"
SQLITE_SOURCE_ID = "2026-10-16 14:45:20 555e07ef33f69a0957d24d8e555b702464a131d6f1607f4c3c1e4551e8e6ca76"
SQLITE_SHA256 = {
    "sqlite3.c": "75a4760a7b9727a4c4c877aec92eacf39e52a8f2921ce00bd33be6d3a8e8e254",
    "sqlite3.h": "d6c84557261893439b341d2e6c35187ae3ea24fbfd843ad94616f72d89242b8c",
}
NPM_PACKAGE = "better-sqlite3@13.2.0"
NPM_FOLDER = "package/deps/sqlite3"

_SOURCE_ID = re.compile(rb'^#define SQLITE_SOURCE_ID\s+"([^"]*)"', re.MULTILINE)


def check_source(name: str, data: bytes, origin: str) -> None:
    """Raise BuildError unless `data` is exactly the reviewed file `name`."""
    match = _SOURCE_ID.search(data)
    found = match[1].decode("ascii", "replace") if match else "none"
    if found != SQLITE_SOURCE_ID:
        raise BuildError(
            f"{name} from {origin} has SQLITE_SOURCE_ID '{found}', wanted '{SQLITE_SOURCE_ID}': "
            f"take sqlite3.c and sqlite3.h of SQLite {SQLITE_VERSION}"
        )
    digest = sha256(data)
    if digest != SQLITE_SHA256[name]:
        raise BuildError(
            f"{name} from {origin} has SHA-256 {digest}, wanted {SQLITE_SHA256[name]}: "
            f"it was modified, take the unmodified file of SQLite {SQLITE_VERSION}"
        )


def check_directory(directory: Path, origin: str) -> None:
    """Raise BuildError unless `directory` holds all the reviewed files."""
    for name in SQLITE_SHA256:
        try:
            data = (directory / name).read_bytes()
        except OSError as error:
            raise BuildError(f"cannot read {name} in {directory} ({origin}): {error.strerror}") from None
        check_source(name, data, origin)


def read_tarball(path: Path) -> dict[str, bytes]:
    """Return the wanted files of the npm tarball."""
    wanted = {f"{NPM_FOLDER}/{name}": name for name in SQLITE_SHA256}
    sources = {wanted[member]: data for member, data in read_archive(path, wanted.__contains__).items()}
    missing = sorted(SQLITE_SHA256.keys() - sources.keys())
    if missing:
        raise BuildError(f"{NPM_PACKAGE} holds no {NPM_FOLDER}/{missing[0]}: is it the right package?")
    return sources


def download(directory: Path) -> Path:
    """Download the npm package into `directory` and return its tarball; none of its scripts run."""
    try:
        return npm_pack(NPM_PACKAGE, directory)
    except BuildError as error:
        other = f"set WASQLITE_SQLITE_DIR to a directory with sqlite3.c and sqlite3.h of SQLite {SQLITE_VERSION}"
        raise BuildError(f"{error}; or {other}") from None


def fetch() -> Path:
    """Return a directory that holds the checked `sqlite3.c` and `sqlite3.h`; download them if need be."""
    local = os.environ.get("WASQLITE_SQLITE_DIR")
    if local:
        check_directory(Path(local), "WASQLITE_SQLITE_DIR")
        return Path(local).absolute()
    directory = cache_directory() / f"sqlite-{SQLITE_VERSION}"
    try:
        check_directory(directory, "the cache")
        return directory
    except BuildError:
        pass  # not there yet, or damaged: fetch (again)
    with (
        step(f"fetch SQLite {SQLITE_VERSION} (npm pack {NPM_PACKAGE})"),
        tempfile.TemporaryDirectory() as scratch,
    ):
        for name, data in read_tarball(download(Path(scratch))).items():
            check_source(name, data, NPM_PACKAGE)
            write_atomically(directory / name, data)
    return directory


def main() -> None:
    print(fetch())


if __name__ == "__main__":
    run_command(main)
