"""The hatchling hook ``wasqlite-bridge``: compile the module before a wheel is made or the project is installed.

Only hatchling loads this file, through the entry point in the group ``hatch``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from wasqlite.bridge.builder.config import read_configuration
from wasqlite.bridge.builder.module import build
from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.toolchain import build_requirements


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn a BuildError into SystemExit, because front ends print a traceback for anything else."""
    try:
        yield
    except BuildError as error:
        raise SystemExit(f"wasqlite build: error: {error}") from None


class BridgeBuildHook(BuildHookInterface[Any]):
    """Compiles for wheels, also editable ones; a source distribution holds sources only."""

    PLUGIN_NAME = "wasqlite-bridge"

    def dependencies(self) -> list[str]:
        """The compiler, and pip where it is to fetch sources: PEP 517's ``get_requires_for_build_wheel``."""
        if self.target_name != "wheel":
            return []
        with _one_line():
            fetched = read_configuration(Path(self.root)).fetch.values()
        return [*build_requirements(), *(["pip"] if any(source.registry == "pypi" for source in fetched) else [])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the module into the source tree, whence the wheel takes it, ignored by git or not."""
        if self.target_name != "wheel":
            return
        root = Path(self.root).resolve()
        with _one_line():
            outputs = build(root)
            folder = Path(os.path.normpath(outputs.folder))
            if not folder.is_relative_to(root):
                raise BuildError(f"the wheel takes only what is in the project: output is {folder}")
        build_data["artifacts"] += [f"/{(folder / path.name).relative_to(root).as_posix()}" for path in outputs.files()]
        # The module is the same on every platform.
        build_data["tag"] = "py3-none-any"


@hookimpl
def hatch_register_build_hook() -> type[BridgeBuildHook]:
    """Tell hatchling the class."""
    return BridgeBuildHook
