"""The C library for zig: compiled from the sources in the `ziglang` wheel, once, and kept in our cache.

zig would do this by itself on every first link, but its own cache is keyed by where zig is installed,
and an isolated build installs it somewhere else each time: 27 s instead of 0.1 s (2-core x86-64).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from wasqlite.bridge.builder.cache import write_atomically
from wasqlite.bridge.builder.report import BuildError, step

NAMES = ("crt1-reactor.o", "libc.a", "libzigc.a", "libcompiler_rt.a")


def library_paths(directory: Path) -> tuple[Path, ...]:
    """Return the files that a module is linked with."""
    return tuple(directory / name for name in NAMES)


def build_libc(compiler: tuple[str, ...], flags: tuple[str, ...], directory: Path) -> None:
    """Have zig link an empty reactor, and take the libraries that it made for that."""
    with step("compile wasi-libc (once per zig version)"), tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        (scratch / "empty.c").write_text("")
        done = subprocess.run(
            [*compiler, *flags, "-O2", "-s", "-mexec-model=reactor", "empty.c", "-o", "empty.wasm"],
            cwd=scratch,
            env={**os.environ, **zig_environment(scratch)},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            reason = next(iter(done.stderr.splitlines()), "no message")
            raise BuildError(f"zig cannot compile wasi-libc ({reason}): reinstall ziglang")
        for path in library_paths(directory):
            # zig compiles some start-up files twice, to the same bytes.
            found = {made.read_bytes() for made in scratch.glob(f"zig/o/*/{path.name}")}
            if len(found) != 1:
                raise BuildError(f"zig made {len(found)} versions of {path.name}: use the pinned ziglang")
            write_atomically(path, found.pop())


def zig_environment(scratch: Path) -> dict[str, str]:
    """Return the variables that keep zig's own caches in `scratch`."""
    return {"ZIG_GLOBAL_CACHE_DIR": str(scratch / "zig"), "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig-local")}
