"""Compile small C sources with the build's own toolchain; modules are cached by their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wasqlite.bridge.builder.cache import cache_directory, sha256, write_atomically
from wasqlite.bridge.builder.toolchain import find_toolchain

COMPILE = ("-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror=date-time", "-fno-sanitize=undefined")
LINK = (
    "-O2", "--strip-all", "--build-id=none", "--entry=_initialize", "--export-memory", "--export-table",
    "--growable-table", "--stack-first", "-z", "stack-size=65536", "--export=__stack_pointer", "--export=malloc",
    "--export=free", "--export=realloc",
)  # fmt: skip


def compile_c(source: str, exports: list[str], folder: Path) -> bytes:
    """The module that ``source`` compiles to, which exports these functions and variables."""
    toolchain = find_toolchain()
    key = sha256("\0".join((source, toolchain.identity, *COMPILE, *LINK, *exports)).encode())
    cached = cache_directory() / "test-modules" / f"{key}.wasm"
    if not cached.is_file():
        toolchain.prepare()
        (folder / "unit.c").write_text(source)
        compiler = [*toolchain.compiler, *toolchain.compile_flags, *toolchain.location_flags, *COMPILE]
        linker = [*toolchain.linker, *LINK, *(f"--export={name}" for name in exports)]
        for command in (
            [*compiler, "-c", "unit.c", "-o", "unit.o"],
            [*linker, "unit.o", *map(str, toolchain.libraries), "-o", "unit.wasm"],
        ):
            done = toolchain.run(command, folder)
            assert done.returncode == 0, done.stderr
        write_atomically(cached, (folder / "unit.wasm").read_bytes())
    return cached.read_bytes()


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[str]], bytes]:
    """A function that compiles C source to a module with these exports."""
    return lambda source, exports: compile_c(source, exports, tmp_path_factory.mktemp("c"))
