"""Fetch SQLite's own test programs (mptest, speedtest1) from the Debian source package, for tests and benchmarks.

They are in no package of npm or PyPI, and never committed. apt downloads and verifies the package with a configuration
of its own in a temporary directory: the system's sources are read, not changed. Run as a script, it prints the
directory that holds them.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import source_tree  # noqa: F401 - makes wasqlite importable
from wasqlite.bridge.builder.cache import cache_directory, write_atomically
from wasqlite.bridge.builder.report import BuildError, run_command, step

PACKAGE = "sqlite3"
WANTED = ("mptest/", "test/speedtest1.c")
# The largest wanted file has 80 KB.
MAXIMUM_SIZE = 4 << 20
_SYSTEM = Path("/etc/apt")
_COMPLETE = "complete"


def source_entries(system: Path = _SYSTEM) -> str:
    """Return the system's own deb822 sources as `deb-src`: same places, same keys."""
    entries = []
    for path in sorted((system / "sources.list.d").glob("*.sources")):
        for entry in path.read_text().split("\n\n"):
            lines = [line for line in entry.splitlines() if line.strip() and not line.startswith("#")]
            if lines and "debian" in entry:
                entries.append("\n".join("Types: deb-src" if line.startswith("Types:") else line for line in lines))
    return "\n\n".join(entries) + "\n"


def source_lines(system: Path = _SYSTEM) -> str:
    """Return the lines of the older `sources.list` as `deb-src`."""
    path = system / "sources.list"
    lines = path.read_text().splitlines() if path.exists() else []
    return "".join(f"deb-src{line[3:]}\n" for line in lines if line.startswith("deb "))


def apt_get(private: Path, *words: str) -> None:
    """Run apt-get with lists, cache and sources in `private`; raise BuildError with its last complaint."""
    options = {
        "Dir::Etc::sourcelist": private / "sources.list",
        "Dir::Etc::sourceparts": private / "sources.list.d",
        "Dir::State::lists": private / "lists",
        "Dir::Cache": private / "cache",
        "APT::Sandbox::User": "",  # the directory belongs to who runs this
        "Acquire::Languages": "none",
    }
    command = ["apt-get", "--quiet", *(f"-o{name}={value}" for name, value in options.items()), *words]
    done = subprocess.run(command, cwd=private, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        complaint = next((line for line in reversed(done.stderr.splitlines()) if line), "no message")
        raise BuildError(f"`apt-get {' '.join(words)}` failed ({complaint}): is there a network and a Debian mirror?")


def download(private: Path) -> Path:
    """Return the upstream tarball of the package, downloaded and verified by apt."""
    if shutil.which("apt-get") is None:
        raise BuildError("apt-get was not found: SQLite's test programs come from a Debian source package")
    for name in ("sources.list.d", "lists/partial", "cache/archives/partial"):
        (private / name).mkdir(parents=True)
    (private / "sources.list").write_text(source_lines())
    (private / "sources.list.d" / "source.sources").write_text(source_entries())
    apt_get(private, "update")
    # apt checks the signature of the index, and every file's SHA-256 against the index.
    apt_get(private, "source", "--download-only", PACKAGE)
    tarballs = [path for path in private.glob(f"{PACKAGE}_*.orig.tar.*") if path.suffix != ".asc"]
    if len(tarballs) != 1:
        raise BuildError(f"the source package {PACKAGE} came without its upstream tarball: is the mirror complete?")
    return tarballs[0]


def unpack(tarball: Path, directory: Path) -> None:
    """Write the wanted files of the tarball into `directory`, each by its name below the top folder."""
    count = 0
    try:
        with tarfile.open(tarball) as archive:
            for member in archive:
                name = member.name.partition("/")[2]
                if not member.isreg() or not name.startswith(WANTED) or ".." in name.split("/"):
                    continue
                if member.size > MAXIMUM_SIZE:
                    raise BuildError(f"{member.name} claims {member.size} bytes: refused")
                file = archive.extractfile(member)
                assert file is not None
                write_atomically(directory / name, file.read())
                count += 1
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BuildError(f"{tarball.name} cannot be read ({error}): try again") from None
    if count < 2:
        raise BuildError(f"{tarball.name} holds no mptest and no speedtest1: is it the right package?")
    write_atomically(directory / _COMPLETE, tarball.name.encode())


def fetch() -> Path:
    """Return a directory with `mptest/` and `test/speedtest1.c`; download them if need be."""
    directory = cache_directory() / "sqlite-upstream-tests"
    if not (directory / _COMPLETE).exists():
        with (
            step(f"fetch SQLite's test programs (apt-get source {PACKAGE})"),
            tempfile.TemporaryDirectory() as scratch,
        ):
            unpack(download(Path(scratch)), directory)
    return directory


def main() -> None:
    print(fetch())


if __name__ == "__main__":
    run_command(main)
