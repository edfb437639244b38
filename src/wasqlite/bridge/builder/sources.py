"""C sources that are fetched when they are needed, and never committed: packages of PyPI, npm and Debian."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from wasqlite.bridge.builder.archives import read_archive
from wasqlite.bridge.builder.cache import cache_directory, sha256, write_atomically
from wasqlite.bridge.builder.downloads import apt_source, npm_pack, pip_download
from wasqlite.bridge.builder.report import BuildError, step
from wasqlite.bridge.builder.stamp import digest_of

REGISTRIES = ("pypi", "npm", "debian")
KEYS = (*REGISTRIES, "sha256", "folder", "files")
# A folder with archives that were downloaded before.
ARCHIVES = "WASQLITE_ARCHIVES"
# Against archives that claim nonsense; what is in them is pinned by their digest.
LARGEST = 256 << 20
_MANIFEST = "wasqlite-source.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """A package, the digest of its archive, and which of its files are wanted: below ``folder``, fitting ``files``."""

    registry: str
    package: str
    sha256: str
    folder: str = ""
    files: tuple[str, ...] = ("*",)

    def describe(self) -> dict[str, Any]:
        """For the provenance."""
        return {self.registry: self.package, "sha256": self.sha256, "folder": self.folder, "files": list(self.files)}


def parse_source(table: Any, fail: Callable[[str], BuildError]) -> Source:
    """A source from its table in the configuration."""
    if not isinstance(table, Mapping):
        raise fail(f"must be a table, not {table!r}")
    for key in table:
        if key not in KEYS:
            raise fail(f"unknown key {key!r}; possible are: {', '.join(KEYS)}")
    named = [key for key in REGISTRIES if key in table]
    if len(named) != 1:
        raise fail(f"name the package with one of: {', '.join(REGISTRIES)}")
    values = {"package": table[named[0]], "sha256": table.get("sha256", ""), "folder": table.get("folder", "")}
    for key, value in values.items():
        if not isinstance(value, str):
            raise fail(f"{key} must be a string, not {value!r}")
    if not _DIGEST.fullmatch(values["sha256"]):
        raise fail("sha256 must be the digest of the package's archive, 64 digits, as sha256sum prints it")
    files = table.get("files", ["*"])
    if not isinstance(files, list) or not all(isinstance(item, str) for item in files):
        raise fail(f"files must be a list of strings, not {files!r}")
    return Source(named[0], values["package"], values["sha256"], values["folder"].strip("/"), tuple(files))


def fetch_source(name: str, source: Source) -> Path:
    """The folder that holds the source's files; they are downloaded if need be."""
    key = digest_of(source.describe())[:16]
    directory = cache_directory() / "sources" / f"{name}-{key}"
    if not _is_whole(directory):
        with tempfile.TemporaryDirectory(prefix="wasqlite-") as scratch:
            archive = _local(source) or _download(source, Path(scratch))
            _unpack(name, source, archive, directory)
    return directory


def _is_whole(directory: Path) -> bool:
    """Whether all files are there as they were unpacked."""
    try:
        manifest = json.loads((directory / _MANIFEST).read_bytes())
        return all(sha256((directory / name).read_bytes()) == digest for name, digest in manifest.items())
    except (OSError, ValueError, AttributeError):
        return False


def _local(source: Source) -> Path | None:
    """The archive, if somebody has put it into the folder of archives."""
    folder = os.environ.get(ARCHIVES)
    if folder:
        try:
            for path in sorted(Path(folder).iterdir()):
                if path.is_file() and sha256(path.read_bytes()) == source.sha256:
                    return path
        except OSError as error:
            raise BuildError(f"{ARCHIVES}={folder} cannot be read ({error.strerror}): name a folder") from None
    return None


def _download(source: Source, directory: Path) -> Path:
    try:
        with step(f"fetch {source.package} ({source.registry})"):
            if source.registry == "pypi":
                archive = pip_download(source.package, source.sha256, directory)
            elif source.registry == "npm":
                archive = npm_pack(source.package, directory)
            else:
                archive = apt_source(source.package, directory)
    except BuildError as error:
        raise BuildError(f"{error}; or put the archive into a folder that {ARCHIVES} names") from None
    found = sha256(archive.read_bytes())
    if found != source.sha256:
        raise BuildError(
            f"{archive.name} of {source.package} has SHA-256 {found}, and not {source.sha256}: is it another version?"
        )
    return archive


def _unpack(name: str, source: Source, archive: Path, directory: Path) -> None:
    seen: set[str] = set()

    def relative(member: str) -> str | None:
        """A member's name below the wanted folder; the archive's one top folder is left out."""
        below = member.removeprefix("./").partition("/")[2]
        seen.add(below.rpartition("/")[0])
        if source.folder and not below.startswith(f"{source.folder}/"):
            return None
        below = below.removeprefix(f"{source.folder}/") if source.folder else below
        return below if any(fnmatchcase(below, pattern) for pattern in source.files) else None

    files = {
        relative(member): data for member, data in read_archive(archive, lambda m: bool(relative(m)), LARGEST).items()
    }
    if not files:
        where = f" below {source.folder}" if source.folder else ""
        folders = ", ".join(sorted(folder for folder in seen if folder and folder.count("/") < 2))
        wanted = f"no files{where} that fit {', '.join(source.files)}"
        raise BuildError(f"fetch.{name}: {archive.name} has {wanted}; its folders are: {folders}")
    for path, data in files.items():
        assert path is not None
        write_atomically(directory / path, data)
    manifest = {path: sha256(data) for path, data in files.items()}
    write_atomically(directory / _MANIFEST, json.dumps(manifest, indent=1).encode())
