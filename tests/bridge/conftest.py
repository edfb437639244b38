"""C sources to libraries with types, by the builder; kept where it keeps its objects.

Other interpreters than the one with the compiler find them there; without both the test is skipped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from wasqlite.bridge import Library, builder
from wasqlite.bridge.builder.cache import cache_directory


def _digest(source: str, constants: tuple[str, ...]) -> str:
    """What changes the library: its source, and the builder."""
    digest = hashlib.sha256("\0".join((source, *constants)).encode())
    for path in sorted(Path(builder.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that builds C source, with the macros that it names as constants: the path of the module."""

    def build(source: str, name: str = "unit", constants: tuple[str, ...] = ()) -> Path:
        folder = cache_directory() / "test-libraries" / _digest(source, constants)
        if not folder.is_dir():
            root = tmp_path_factory.mktemp(name)
            (root / f"{name}.c").write_text(source)
            file = f"{name}.c"
            try:
                builder.build(
                    builder.Configuration(
                        root=root, name=name, sources=(file,), headers=(file,), constants=constants, output="out"
                    )
                )
            except builder.BuildError as error:
                if find_spec("ziglang") or "WASI_SDK_PATH" in os.environ:
                    raise
                pytest.skip(str(error))
            fresh = folder.with_name(f".{os.getpid()}-{folder.name}")
            shutil.copytree(root / "out", fresh)
            try:
                fresh.rename(folder)
            except OSError:  # somebody was faster
                shutil.rmtree(fresh)
        return folder / f"{name}.wasm"

    return build


@pytest.fixture(scope="session")
def build_library(built: Callable[..., Path]) -> Callable[..., Library]:
    """A function that builds C source and loads the library."""
    return lambda source, **options: Library.load(built(source, **options))
