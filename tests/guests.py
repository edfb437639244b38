"""C sources to guests, for tests: compiled by the build's compiler, and kept where the build keeps its objects.

Other interpreters than the one with the compiler find them there; without both the test is skipped.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from wasqlite.bridge import cache

EXPORT = re.compile(r"^EXPORT\b.*?(\w+)\(", re.MULTILINE)
PRELUDE = '#define EXPORT __attribute__((visibility("default"), used))\n'
FLAGS = (
    "-std=gnu17",
    "-O1",
    "-Wall",
    "-Werror=implicit-function-declaration",
    "-fno-sanitize=undefined",
    "-fno-builtin",
    "-UNDEBUG",
)
LINK = (
    "--strip-all",
    "--build-id=none",
    "--entry=_initialize",
    "--export-memory",
    "--export-table",
    "--growable-table",
    "--export=__stack_pointer",
    "--export=malloc",
    "--export=free",
    "--stack-first",
    "-z",
    "stack-size=262144",
)


def compiled(source: str) -> Path:
    """The module with the functions that are marked ``EXPORT``: a reactor on wasi-libc, with malloc and free."""
    digest = hashlib.sha256("\0".join((PRELUDE, source, *FLAGS, *LINK)).encode()).hexdigest()[:32]
    folder = cache.directory()
    assert folder is not None
    path = Path(folder).with_name("guests") / f"{digest}.wasm"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{os.getpid()}-{path.name}")
        fresh.write_bytes(_compile(source))
        fresh.replace(path)
    return path


def _compile(source: str) -> bytes:
    from wasqlite.bridge.builder.report import BuildError
    from wasqlite.bridge.builder.toolchain import find_toolchain

    try:
        toolchain = find_toolchain()
    except BuildError as error:
        import pytest  # a third of an evil module's time

        pytest.skip(str(error))
    if not toolchain.is_ready():
        toolchain.prepare()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "guest.c").write_text(PRELUDE + source)
        flags = (*toolchain.compile_flags, *toolchain.location_flags, *FLAGS)
        exports = [f"--export={name}" for name in EXPORT.findall(source)]
        for command in (
            [*toolchain.compiler, *flags, "-c", "guest.c", "-o", "guest.o"],
            [*toolchain.linker, *LINK, *exports, "guest.o", *map(str, toolchain.libraries), "-o", "guest.wasm"],
        ):
            done = toolchain.run(command, folder)
            assert done.returncode == 0, done.stderr
        return (folder / "guest.wasm").read_bytes()
