"""Compile C files to objects, in parallel, and keep each object in the cache by the content of what went into it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from wasqlite.bridge.builder.cache import cache_directory, sha256, write_atomically
from wasqlite.bridge.builder.report import BuildError, step
from wasqlite.bridge.builder.stamp import digest_of
from wasqlite.bridge.builder.toolchain import Toolchain

KEPT_OBJECTS = 400

_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*(?:include|include_next|import|embed)\b[ \t]*(.*)$", re.MULTILINE)
_NAMED = re.compile(rb'(?:"([^"]+)"|<([^>]+)>)')


@dataclass(frozen=True)
class Units:
    """What C files are compiled with; the same for all files of a module."""

    flags: tuple[str, ...]
    include: tuple[Path, ...] = ()
    # Compiled without our warnings.
    system_include: tuple[Path, ...] = ()
    # What the compiler is to take a folder's path for, so that no path of this machine gets into the output.
    names: tuple[tuple[Path, str], ...] = ()
    # One of these, from which what is beside them is named: "point/../shared/a.h".
    base: tuple[Path, str] | None = None
    _scanned: dict[Path, tuple[list[str], bool]] = field(default_factory=dict, compare=False, repr=False)
    _digests: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)

    def arguments(self, toolchain: Toolchain) -> list[str]:
        """The compiler's arguments, but for the file itself."""
        return [*toolchain.compile_flags, *toolchain.location_flags, *self.flags, *self.folders()]

    def folders(self) -> list[str]:
        """The arguments that hold paths of this machine."""
        return [
            *(f"-I{path}" for path in self.include),
            *(word for path in self.system_include for word in ("-isystem", str(path))),
            # The compiler takes the last one that fits, ``name_of`` the first.
            *(f"-ffile-prefix-map={path}={name}" for path, name in reversed(self.names)),
        ]

    def name_of(self, path: Path) -> str:
        """The path as the compiler is to take it."""
        for folder, name in self.names:
            if path.is_relative_to(folder):
                return f"{name}/{path.relative_to(folder).as_posix()}"
        if self.base is not None and path.drive == self.base[0].drive:
            return f"{self.base[1]}/{Path(os.path.relpath(path, self.base[0])).as_posix()}"
        return path.name

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file."""
        if path not in self._digests:
            self._digests[path] = sha256(path.read_bytes())
        return self._digests[path]

    def included_files(self, source: Path) -> list[Path]:
        """The files that ``source`` includes, directly or not, whatever the conditions; all headers when in doubt."""
        found: set[Path] = set()
        pending = [source]
        while pending:
            path = pending.pop()
            names, computed = self._scan(path)
            folders = (path.parent, *self.include, *self.system_include)
            wanted = [file for name in names for file in self._look_up(name, folders)]
            if computed:
                # What is not ours does not include what is.
                around = folders[:1] if path.parent in self.system_include else folders
                wanted += [file for folder in around for file in sorted(folder.glob("*.h"))]
            for file in wanted:
                if file != source and file not in found:
                    found.add(file)
                    pending.append(file)
        return sorted(found)

    @staticmethod
    def _look_up(name: str, folders: Sequence[Path]) -> list[Path]:
        found = (Path(os.path.normpath(folder / name)) for folder in folders)
        return [path for path in found if path.is_file()]

    def included_by_text(self, text: str, folder: Path) -> list[Path]:
        """The files that a text includes, as if it were a file in ``folder``."""
        source = folder / "<text>"
        self._scanned[source] = _includes(text.encode())
        return self.included_files(source)

    def _scan(self, path: Path) -> tuple[list[str], bool]:
        if path not in self._scanned:
            self._scanned[path] = _includes(path.read_bytes())
        return self._scanned[path]

    def inputs(self, source: Path) -> dict[str, str]:
        """The digests of a file and all that it includes, by name."""
        return {self.name_of(path): self.digest(path) for path in [source, *self.included_files(source)]}

    def key(self, source: Path, toolchain: Toolchain) -> str:
        """The digest of all that determines the object of ``source``."""
        return digest_of(
            {
                "compiler": toolchain.identity,
                "flags": [*toolchain.compile_flags, *self.flags],
                "files": self.inputs(source),
                "source": self.name_of(source),
            }
        )

    def cached(self, source: Path, toolchain: Toolchain) -> Path:
        """Where the object of ``source`` is, or will be."""
        return cache_directory() / "objects" / f"{self.key(source, toolchain)}.o"

    def compile(self, source: Path, toolchain: Toolchain, cached: Path) -> tuple[bool, str]:
        """Compile one file to the object ``cached``; tell whether that worked, and what the compiler said."""
        with step(f"compile {source.name}"), tempfile.TemporaryDirectory(prefix="wasqlite-") as temporary:
            scratch = Path(temporary)
            command = [*toolchain.compiler, *self.arguments(toolchain), "-c", str(source), "-o", "unit.o"]
            done = toolchain.run(command, scratch)
            if done.returncode == 0:
                write_atomically(cached, (scratch / "unit.o").read_bytes())
            return done.returncode == 0, done.stderr


def _includes(data: bytes) -> tuple[list[str], bool]:
    """The names that a file includes, and whether one of them is a macro."""
    named = [_NAMED.match(argument) for argument in _INCLUDE.findall(data)]
    names = [(match[1] or match[2]).decode("utf-8", "surrogateescape") for match in named if match]
    return names, None in named


def compile_units(units: Units, sources: Sequence[Path], toolchain: Toolchain) -> dict[str, Path]:
    """Compile what is not in the cache; return the objects by name, in the order of ``sources``.

    The compiler's messages appear whole, those of one file together, in the order of ``sources``. All files
    are compiled, also when one fails.
    """
    objects = {source: units.cached(source, toolchain) for source in sources}
    missing = [source for source, cached in objects.items() if not _take(cached)]
    # A file that includes much takes long: start it first.
    missing.sort(key=lambda source: -sum(path.stat().st_size for path in [source, *units.included_files(source)]))
    jobs: dict[Path, Future[tuple[bool, str]]] = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        try:
            for source in missing[:1]:
                jobs[source] = pool.submit(units.compile, source, toolchain, objects[source])
            # Takes as long as a very large file: beside it, not after it.
            prepared = None if toolchain.is_ready() else pool.submit(toolchain.prepare)
            for source in missing[1:]:
                jobs[source] = pool.submit(units.compile, source, toolchain, objects[source])
            failed = [source.name for source in sources if source in jobs and not _report(jobs[source])]
            if prepared:
                prepared.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise BuildError(f"compiling {', '.join(failed)} failed with {toolchain.identity}: see the messages above")
    prune(cache_directory() / "objects", max(KEPT_OBJECTS, len(objects)))
    return dict(zip(_object_names(units, sources), objects.values(), strict=True))


def _take(cached: Path) -> bool:
    """Whether an object is there; from now on it is one of the newest."""
    with suppress(OSError):
        os.utime(cached)
    return cached.is_file()


def _report(job: Future[tuple[bool, str]]) -> bool:
    succeeded, messages = job.result()
    show_messages(messages)
    return succeeded


def show_messages(messages: str) -> None:
    """Print what a compiler or linker said."""
    if messages.strip():
        print(messages.rstrip(), file=sys.stderr, flush=True)


def _object_names(units: Units, sources: Sequence[Path]) -> list[str]:
    """A file name for each object, for the linker's messages."""
    names: dict[str, str] = {}  # by what they are where case makes no difference
    for source in sources:
        name = f"{source.stem}.o"
        if name.casefold() in names:
            name = units.name_of(source).replace("/", "-") + ".o"
        if name.casefold() in names:
            name = f"{len(names)}-{name}"
        names[name.casefold()] = name
    return list(names.values())


def prune(folder: Path, keep: int = KEPT_OBJECTS) -> None:
    """Delete all but the newest cached objects."""
    with suppress(FileNotFoundError):  # another build deletes them already
        objects = sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in objects[keep:]:
            path.unlink(missing_ok=True)
