"""Native SQLite of the amalgamation that wasqlite is built from, by ``gcc -O2``: what wasqlite is compared with.

Two products, kept in the build's cache: a shared library that the stdlib's ``sqlite3`` loads when its folder is in
``LD_LIBRARY_PATH``, and SQLite's program speedtest1. Run as a script, it prints the library's folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "build"))

from fetch_sqlite import SQLITE_SHA256, SQLITE_SOURCE_ID, fetch  # noqa: E402
from wasqlite.bridge.builder.cache import cache_directory, sha256, write_atomically  # noqa: E402
from wasqlite.bridge.builder.report import BuildError, run_command, step  # noqa: E402

__all__ = [
    "SQLITE_SOURCE_ID",
    "BuildError",
    "cache_directory",
    "fetch",
    "run_command",
    "sha256",
    "step",
    "write_atomically",
]

SONAME = "libsqlite3.so.0"
_DEFINE = re.compile(r"^#define (SQLITE_(?:ENABLE_\w+|THREADSAFE|OMIT_\w+|SOUNDEX)) (\d+)", re.MULTILINE)


def features(**changed: int | None) -> list[str]:
    """The options of c-src/sqlite_config.h that a native build can have too; ``None`` takes one out."""
    found = dict(_DEFINE.findall((ROOT / "c-src" / "sqlite_config.h").read_text())) | changed
    return [f"-D{name}={value}" for name, value in found.items() if value is not None]


def gcc(product: str, flags: Sequence[str], *sources: Path) -> Path:
    """What ``gcc -O2`` makes of the sources and the amalgamation; made again only when something changed."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise BuildError("gcc was not found: install it (Debian: apt-get install gcc libc6-dev)")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    inputs = [version, *flags, SQLITE_SHA256["sqlite3.c"], *(sha256(path.read_bytes()) for path in sources)]
    made = cache_directory() / f"native-{sha256(repr(inputs).encode())[:16]}" / product
    if not made.exists():
        with step(f"compile {product} natively"):
            made.parent.mkdir(exist_ok=True)
            partial = made.with_suffix(".partial")
            amalgamation = fetch()
            command = [compiler, "-O2", *flags, "-I", str(amalgamation), *map(str, sources)]
            subprocess.run([*command, str(amalgamation / "sqlite3.c"), "-lm", "-o", str(partial)], check=True)
            partial.replace(made)
    return made


def library() -> Path:
    """The folder of the shared library. It is safe for threads, as every library that a Python is linked with is."""
    if not sys.platform.startswith("linux"):
        raise BuildError("the native library is loaded by LD_LIBRARY_PATH: benchmarks run on Linux only")
    options = features(SQLITE_THREADSAFE=1, SQLITE_OMIT_LOAD_EXTENSION=None)
    return gcc(SONAME, ["-fPIC", "-shared", f"-Wl,-soname,{SONAME}", *options]).parent


def speedtest(program: Path) -> Path:
    """The program speedtest1, without threads as in the sandbox."""
    return gcc("speedtest1", features(), program)


def environment() -> dict[str, str]:
    """The environment of a process whose ``sqlite3`` is on this library: checked."""
    found = dict(os.environ)
    found["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(library()), found.get("LD_LIBRARY_PATH")]))
    program = "import sqlite3; print(sqlite3.connect('').execute('SELECT sqlite_source_id()').fetchone()[0])"
    done = subprocess.run([sys.executable, "-c", program], env=found, capture_output=True, text=True, check=False)
    if done.stdout.strip() != SQLITE_SOURCE_ID:
        raise BuildError(
            f"this Python's sqlite3 does not take the native library ({done.stdout.strip() or done.stderr[-300:]}): "
            "its SQLite is built in; use a Python that is linked with libsqlite3.so.0"
        )
    return found


def main() -> None:
    environment()
    print(library())


if __name__ == "__main__":
    run_command(main)
