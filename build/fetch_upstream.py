"""Fetch SQLite's own test programs (mptest, speedtest1) from the Debian source package, for tests and benchmarks.

They are in no package of npm or PyPI, and never committed. apt downloads and verifies the package with a configuration
of its own in a temporary directory: the system's sources are read, not changed. Run as a script, it prints the
directory that holds them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import source_tree  # noqa: F401 - makes wasqlite importable
from wasqlite.bridge.builder.archives import read_archive
from wasqlite.bridge.builder.cache import cache_directory, write_atomically
from wasqlite.bridge.builder.downloads import apt_source
from wasqlite.bridge.builder.report import BuildError, run_command, step

PACKAGE = "sqlite3"
WANTED = ("mptest/", "test/speedtest1.c")
# The largest wanted file has 80 KB.
MAXIMUM_SIZE = 4 << 20
_COMPLETE = "complete"


def unpack(tarball: Path, directory: Path) -> None:
    """Write the wanted files of the tarball into `directory`, each by its name below the top folder."""
    files = read_archive(tarball, lambda name: name.partition("/")[2].startswith(WANTED), MAXIMUM_SIZE)
    if len(files) < 2:
        raise BuildError(f"{tarball.name} holds no mptest and no speedtest1: is it the right package?")
    for name, data in files.items():
        write_atomically(directory / name.partition("/")[2], data)
    write_atomically(directory / _COMPLETE, tarball.name.encode())


def fetch() -> Path:
    """Return a directory with `mptest/` and `test/speedtest1.c`; download them if need be."""
    directory = cache_directory() / "sqlite-upstream-tests"
    if not (directory / _COMPLETE).exists():
        with (
            step(f"fetch SQLite's test programs (apt-get source {PACKAGE})"),
            tempfile.TemporaryDirectory() as scratch,
        ):
            unpack(apt_source(PACKAGE, Path(scratch)), directory)
    return directory


def main() -> None:
    print(fetch())


if __name__ == "__main__":
    run_command(main)
